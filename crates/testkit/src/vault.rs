//! A stand-in for HashiCorp Vault: the part of its documented HTTP API that FlexCore asks.
//!
//! Vault is not in Debian, and its licence lets nobody ship it with tests. This answers as
//! <https://developer.hashicorp.com/vault/api-docs> says for `kv-v2` (reading a secret, deleted
//! versions, absent paths and mounts), for `auth/token` (`lookup-self`, `renew-self`) and for errors
//! (403, 503 while it is sealed). What a real Vault does beyond that is not tested by it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, BufRead as _, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// What is believed of a request's headers, in bytes.
const MAX_HEADERS: u64 = 64 * 1024;

/// A connection, in clear or not.
pub trait Connection: Read + Write {}

impl<T: Read + Write> Connection for T {}

/// Makes a connection of a socket: TLS, for example.
pub type Transport = Box<dyn Fn(TcpStream) -> io::Result<Box<dyn Connection>> + Send + Sync>;

/// A Vault with one key-value engine of version 2, mounted at `secret`.
#[derive(Debug)]
pub struct VaultDouble {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    sealed: bool,
    is_closed: bool,
    /// JSON objects by path.
    secrets: BTreeMap<String, String>,
    deleted: BTreeSet<String>,
    denied: BTreeSet<String>,
    tokens: BTreeMap<String, Token>,
    /// Method and path of each request, in order.
    requests: Vec<String>,
    namespaces: Vec<String>,
}

#[derive(Debug)]
struct Token {
    ttl: Option<Duration>,
    ends: Option<Instant>,
    renewable: bool,
}

struct Request {
    line: String,
    token: String,
    namespace: String,
}

impl VaultDouble {
    /// One that speaks plain HTTP on loopback.
    ///
    /// # Errors
    /// If there is no port.
    pub fn start() -> io::Result<Self> {
        Self::start_with(Box::new(|socket| Ok(Box::new(socket))))
    }

    /// One whose connections `transport` makes.
    ///
    /// # Errors
    /// If there is no port.
    pub fn start_with(transport: Transport) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State::default()));
        let (shared, transport) = (Arc::clone(&state), Arc::new(transport));
        thread::spawn(move || {
            for socket in listener.incoming() {
                if lock(&shared).is_closed {
                    return;
                }
                let (shared, transport) = (Arc::clone(&shared), Arc::clone(&transport));
                // A client that goes away in between is a client that got no answer.
                thread::spawn(move || socket.and_then(|socket| serve(&shared, transport(socket)?)));
            }
        });
        Ok(Self { address, state })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets a token read everything; without `ttl` it has no end.
    pub fn add_token(&self, token: &str, ttl: Option<Duration>, renewable: bool) {
        let ends = ttl.map(|ttl| Instant::now() + ttl);
        lock(&self.state).tokens.insert(token.to_owned(), Token { ttl, ends, renewable });
    }

    /// Takes a token back.
    pub fn revoke(&self, token: &str) {
        lock(&self.state).tokens.remove(token);
    }

    /// Puts a secret, a JSON object, at a path of the engine.
    pub fn put(&self, path: &str, fields: &str) {
        lock(&self.state).secrets.insert(path.to_owned(), fields.to_owned());
    }

    /// Deletes the newest version of a secret.
    pub fn delete(&self, path: &str) {
        lock(&self.state).deleted.insert(path.to_owned());
    }

    /// Takes the right to read a path from every token.
    pub fn deny(&self, path: &str) {
        lock(&self.state).denied.insert(path.to_owned());
    }

    /// Seals or unseals it.
    pub fn seal(&self, sealed: bool) {
        lock(&self.state).sealed = sealed;
    }

    /// Method and path of each request so far.
    pub fn requests(&self) -> Vec<String> {
        lock(&self.state).requests.clone()
    }

    /// The namespaces that requests named.
    pub fn namespaces(&self) -> Vec<String> {
        lock(&self.state).namespaces.clone()
    }
}

impl Drop for VaultDouble {
    fn drop(&mut self) {
        lock(&self.state).is_closed = true;
        // Wakes the listener, which looks at that; without one nobody waits.
        let _ = TcpStream::connect(self.address);
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(state: &Mutex<State>, connection: Box<dyn Connection>) -> io::Result<()> {
    let mut reader = BufReader::new(connection);
    let request = read(&mut reader)?;
    let (status, body) = lock(state).answer(&request);
    let length = body.len();
    let connection = reader.get_mut();
    write!(
        connection,
        "HTTP/1.1 {status} -\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    )?;
    connection.flush()
}

fn read(reader: &mut BufReader<Box<dyn Connection>>) -> io::Result<Request> {
    let mut headers = reader.take(MAX_HEADERS);
    let mut line = String::new();
    headers.read_line(&mut line)?;
    let line = line.rsplit_once(' ').map_or("", |(line, _)| line).to_owned();
    let mut request = Request { line, token: String::new(), namespace: String::new() };
    let mut length = 0;
    loop {
        let mut header = String::new();
        if headers.read_line(&mut header)? == 0 || header.trim().is_empty() {
            break;
        }
        let Some((name, value)) = header.split_once(':') else { continue };
        let value = value.trim();
        match name.to_ascii_lowercase().as_str() {
            "x-vault-token" => value.clone_into(&mut request.token),
            "x-vault-namespace" => value.clone_into(&mut request.namespace),
            "content-length" => length = value.parse().unwrap_or(0),
            _ => {}
        }
    }
    io::copy(&mut reader.take(length), &mut io::sink())?;
    Ok(request)
}

impl State {
    fn answer(&mut self, request: &Request) -> (u16, String) {
        self.requests.push(request.line.clone());
        if !request.namespace.is_empty() {
            self.namespaces.push(request.namespace.clone());
        }
        if self.sealed {
            return (503, errors("Vault is sealed"));
        }
        let now = Instant::now();
        let Some(token) = self.tokens.get_mut(&request.token) else { return denied() };
        if token.ends.is_some_and(|ends| ends <= now) {
            return denied();
        }
        match request.line.as_str() {
            "GET /v1/auth/token/lookup-self" => (200, token.looked_up(now)),
            "POST /v1/auth/token/renew-self" if token.renewable => (200, token.renewed(now)),
            "POST /v1/auth/token/renew-self" => (400, errors("lease is not renewable")),
            line => self.read(line),
        }
    }

    fn read(&self, line: &str) -> (u16, String) {
        let Some(path) = line.strip_prefix("GET /v1/secret/data/") else {
            let path = line.rsplit('/').next().unwrap_or_default();
            return (
                404,
                errors(&format!("no handler for route {path:?}. route entry not found.")),
            );
        };
        if self.denied.contains(path) {
            return denied();
        }
        let metadata = |deleted: &str| {
            format!(
                r#"{{"created_time":"2026-01-02T03:04:05Z","custom_metadata":null,"deletion_time":"{deleted}","destroyed":false,"version":1}}"#
            )
        };
        let answer = |data: &str, deleted| {
            let metadata = metadata(deleted);
            format!(
                r#"{{"request_id":"r","lease_id":"","renewable":false,"lease_duration":0,"data":{{"data":{data},"metadata":{metadata}}},"wrap_info":null,"warnings":null,"auth":null}}"#
            )
        };
        match self.secrets.get(path) {
            Some(_) if self.deleted.contains(path) => (404, answer("null", "2026-02-03T04:05:06Z")),
            Some(fields) => (200, answer(fields, "")),
            None => (404, r#"{"errors":[]}"#.to_owned()),
        }
    }
}

impl Token {
    fn looked_up(&self, now: Instant) -> String {
        let left = self.ends.map_or(0, |ends| ends.duration_since(now).as_secs());
        let (creation, renewable) = (self.ttl.map_or(0, |ttl| ttl.as_secs()), self.renewable);
        format!(
            r#"{{"request_id":"r","lease_id":"","renewable":false,"lease_duration":0,"data":{{"accessor":"a","creation_ttl":{creation},"ttl":{left},"renewable":{renewable},"type":"service","policies":["flexcore"]}},"wrap_info":null,"warnings":null,"auth":null}}"#
        )
    }

    fn renewed(&mut self, now: Instant) -> String {
        self.ends = self.ttl.map(|ttl| now + ttl);
        let seconds = self.ttl.map_or(0, |ttl| ttl.as_secs());
        format!(
            r#"{{"request_id":"r","data":null,"auth":{{"accessor":"a","policies":["flexcore"],"lease_duration":{seconds},"renewable":true}}}}"#
        )
    }
}

fn denied() -> (u16, String) {
    (403, errors("1 error occurred:\n\t* permission denied\n\n"))
}

fn errors(text: &str) -> String {
    let text = text.replace('"', "\\\"").replace('\n', "\\n").replace('\t', "\\t");
    format!(r#"{{"errors":["{text}"]}}"#)
}
