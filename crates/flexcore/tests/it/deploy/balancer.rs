//! HAProxy in front of two servers on one database: one is taken away, and nobody notices.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use flexcore_api::ListPipelines;
use flexcore_client::{ApiKey, Client, ClientOptions};

use super::file;
use crate::{
    postgres::Database,
    project::{Project, wait_until},
    remote::Served,
};

/// HAProxy with the configuration that is delivered.
struct Balancer {
    process: Child,
    url: String,
}

impl Balancer {
    fn start(servers: [&Served; 2]) -> Self {
        let (listen, statistics) = (free_address(), free_address());
        let of = |served: &Served| served.url.trim_start_matches("http://").to_owned();
        let process = Command::new("haproxy")
            .args(["-db", "-f"])
            .arg(file("haproxy/haproxy.cfg"))
            .env("LISTEN", &listen)
            .env("STATISTICS", statistics)
            .env("FLEXCORE_1", of(servers[0]))
            .env("FLEXCORE_2", of(servers[1]))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("haproxy; run `make setup`");
        Self { process, url: format!("http://{listen}") }
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An address that nobody listens at just now.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its address").to_string()
}

fn server_of(database: &Arc<Database>, token: &str) -> (Project, Served) {
    let project = database.of(Project::new());
    project.write(".flexcore/token", token);
    let server = Served::start(&project);
    (project, server)
}

fn client(url: &str, token: &str) -> Client {
    let mut options = ClientOptions::new(url);
    options.key = ApiKey::parse(token);
    // Whatever goes wrong is to be seen.
    options.retries = 0;
    Client::new(options).expect("a client")
}

#[test]
fn a_server_that_ends_costs_no_request() {
    let database = Database::new();
    let token = "one-token-for-both-servers";
    let (_one, first) = server_of(&database, token);
    let (_two, second) = server_of(&database, token);
    let balancer = Balancer::start([&first, &second]);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let client = client(&balancer.url, token);
    wait_until("the balancer answers", || runtime.block_on(client.health()).is_ok());

    let (answered, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (client, answered) = (client.clone(), Arc::clone(&answered));
            let ended = Arc::clone(&ended);
            runtime.spawn(async move {
                while !ended.load(Ordering::Relaxed) {
                    client.query(&ListPipelines::default()).await?;
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                Ok::<(), flexcore_client::ClientError>(())
            })
        })
        .collect();
    let count = || answered.load(Ordering::Relaxed);
    wait_until("requests are answered", || count() > 50);
    first.end();
    let before = count();
    wait_until("requests go on being answered", || count() > before + 50);
    ended.store(true, Ordering::Relaxed);
    for caller in callers {
        let went = runtime.block_on(caller).expect("a caller");
        went.expect("no request failed");
    }
    second.end();
}
