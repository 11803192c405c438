//! Attempts on the network, and the one way out.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    os::linux::net::SocketAddrExt as _,
    os::unix::net::{SocketAddr, UnixListener},
};

use flexcore_sandbox::{HostPort, JailError, Network};

use super::cage::{Cage, Stage, assert_held};

fn grant(host: &str, port: u16) -> HostPort {
    HostPort { host: host.into(), port }
}

/// Answers one connection by saying what it said, in capitals.
fn shouting_server(address: &str) -> (u16, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let mut said = [0; 5];
        connection.read_exact(&mut said).unwrap();
        connection.write_all(&said.to_ascii_uppercase()).unwrap();
    });
    (port, thread)
}

#[tokio::test]
async fn without_a_grant_nothing_can_be_reached() {
    for stage in Stage::all() {
        let cage = Cage::new(stage).await;
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port().to_string();
        let name = format!("flexcore-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let abstract_server = UnixListener::bind_addr(&address).unwrap();
        let (printed, exit) = cage.escape(&["network", &port, &name], cage.spec()).await;
        // In a network of its own a port can be bound, and is nobody else's.
        let own_port = if stage.has_namespaces() { "bind_port ESCAPED\n" } else { "" };
        assert!(printed.contains(own_port), "{stage:?}: {printed}");
        let printed = printed.replace(own_port, "");
        assert_held(stage, &printed);
        // Five addresses beyond its own network.
        assert_eq!(exit.denied_connects, if stage.has_namespaces() { 5 } else { 0 }, "{stage:?}");
        // Not a machine that happens to be offline, or an address where nobody answers.
        let held = ["EACCES", "EPERM", "ENETUNREACH", "EAFNOSUPPORT", "ECONNREFUSED"];
        for line in printed.lines().filter(|line| !line.starts_with("abstract")) {
            let is_held = held.iter().any(|answer| line.ends_with(answer));
            assert!(is_held || line == "docker ENOENT", "{stage:?}: {line}");
        }
        for server in [server.set_nonblocking(true), abstract_server.set_nonblocking(true)] {
            server.unwrap();
        }
        assert!(server.accept().is_err() && abstract_server.accept().is_err(), "{stage:?}");
        drop((server, abstract_server));
        cage.assert_clean().await;
    }
}

const CLIENT: &str = "
import socket, sys
try:
    connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10)
    connection.sendall(b'hello')
    print(connection.recv(5).decode() or 'closed')
except OSError as error:
    print('refused')
";

#[tokio::test]
async fn a_granted_address_is_reached_and_its_bytes_are_counted() {
    for stage in Stage::with_namespaces() {
        for host in ["127.0.0.1", "localhost", "::1"] {
            let cage = Cage::new(stage).await;
            let (port, server) = shouting_server(if host == "::1" { host } else { "127.0.0.1" });
            let mut spec = cage.spec();
            spec.network = Network::Only(vec![grant(host, port)]);
            let client = ["/usr/bin/python3", "-c", CLIENT, host, &port.to_string()];
            let (printed, exit) = cage.run(&client, spec, &[]).await;
            assert_eq!(printed, "HELLO\n", "{stage:?}");
            server.join().unwrap();
            let [used] = exit.network.as_slice() else { panic!("{exit:?}") };
            assert_eq!((used.connections, used.failed), (1, 0), "{stage:?}");
            assert_eq!((used.bytes_sent, used.bytes_received), (5, 5), "{stage:?}");
            cage.assert_clean().await;
        }
    }
}

#[tokio::test]
async fn a_grant_for_one_port_is_none_for_another() {
    for stage in Stage::with_namespaces() {
        let cage = Cage::new(stage).await;
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let granted = if port == 1_024 { 1_025 } else { port - 1 };
        let mut spec = cage.spec();
        spec.network = Network::Only(vec![grant("127.0.0.1", granted)]);
        let client = ["/usr/bin/python3", "-c", CLIENT, "127.0.0.1", &port.to_string()];
        let (printed, exit) = cage.run(&client, spec, &[]).await;
        assert_eq!(printed, "refused\n", "{stage:?}");
        assert_eq!(exit.network[0].connections, 0, "{stage:?}");
        server.set_nonblocking(true).unwrap();
        assert!(server.accept().is_err(), "{stage:?}");
        drop(server);
        cage.assert_clean().await;
    }
}

#[tokio::test]
async fn low_ports_and_private_addresses_are_listened_on_inside() {
    for stage in Stage::with_namespaces() {
        let cage = Cage::new(stage).await;
        let mut spec = cage.spec();
        // Nobody answers there; what counts is that the server, not the jail, is asked to connect.
        let grants = [("name.invalid", 443), ("192.0.2.10", 80), ("2001:db8::10", 80)];
        spec.network = Network::Only(grants.map(|(host, port)| grant(host, port)).to_vec());
        for (index, (host, port)) in grants.into_iter().enumerate().filter(|(index, _)| *index != 1)
        {
            let client = ["/usr/bin/python3", "-c", CLIENT, host, &port.to_string()];
            let (printed, exit) = cage.run(&client, spec.clone(), &[]).await;
            assert!(printed == "closed\n" || printed == "refused\n", "{stage:?}: {printed}");
            let used = &exit.network[index];
            assert_eq!(used.grant, grant(host, port));
            assert_eq!((used.connections, used.failed), (0, 1), "{stage:?}: {host}");
        }
        cage.assert_clean().await;
    }
}

#[tokio::test]
async fn where_a_list_cannot_be_held_its_program_is_refused_even_if_not_strict() {
    let cage = Cage::new(Stage::Restricted).await;
    let mut spec = cage.spec();
    spec.strict = false;
    spec.network = Network::Only(vec![grant("127.0.0.1", 1)]);
    let refused = cage.try_spawn(&["/bin/true"], spec).await.unwrap_err();
    assert!(matches!(refused, JailError::Missing { .. }), "{refused:?}");
    assert!(refused.to_string().contains("egress"), "{refused}");
    cage.assert_clean().await;
}

/// Tries names, addresses and ports, each with TCP and UDP, and says which were reached.
const WANDERER: &str = "
import socket, sys
for name in ('secret-in-a-name.example.com', 'metadata.google.internal'):
    try: print('resolved', socket.getaddrinfo(name, 80), 'ESCAPED')
    except OSError: print('unresolved')
for target in sys.argv[1:]:
    host, port = target.rsplit(':', 1)
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        family = socket.AF_INET6 if ':' in host else socket.AF_INET
        try:
            connection = socket.socket(family, kind)
            connection.settimeout(10)
            connection.connect((host, int(port)))
            if kind == socket.SOCK_STREAM or '127.' not in host: print('reached', target, 'ESCAPED')
            else: connection.send(b'secret'); print('sent into its own network')
        except OSError as error: print('refused', target)
";

/// Neither a name server nor the granted host's other ports, nor its address where its name was
/// granted, nor the addresses around it.
#[tokio::test]
async fn a_grant_leads_to_itself_and_nowhere_beside() {
    for stage in Stage::with_namespaces() {
        let cage = Cage::new(stage).await;
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let resolver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let ports = [&server, &other].map(|server| server.local_addr().unwrap().port());
        let resolver_port = resolver.local_addr().unwrap().port();
        let mut spec = cage.spec();
        spec.network = Network::Only(vec![grant("localhost", ports[0])]);
        let targets = [
            format!("127.0.0.1:{}", ports[0]),
            format!("127.0.0.1:{}", ports[1]),
            format!("127.1.0.1:{}", ports[1]),
            format!("127.0.0.1:{resolver_port}"),
            "127.0.0.53:53".to_owned(),
            "192.0.2.1:53".to_owned(),
            "169.254.169.254:80".to_owned(),
            "2001:db8::1:443".to_owned(),
            "::ffff:127.0.0.1:80".to_owned(),
        ];
        let mut argv = vec!["/usr/bin/python3", "-c", WANDERER];
        argv.extend(targets.iter().map(String::as_str));
        let (printed, exit) = cage.run(&argv, spec, &[]).await;
        assert_held(stage, &printed);
        let [used] = exit.network.as_slice() else { panic!("{exit:?}") };
        assert_eq!((used.connections, used.bytes_sent), (0, 0), "{stage:?}");
        assert!(exit.denied_connects >= 6, "{stage:?}: {exit:?}");
        for listener in [&server, &other] {
            listener.set_nonblocking(true).unwrap();
            assert!(listener.accept().is_err(), "{stage:?}");
        }
        resolver.set_nonblocking(true).unwrap();
        assert!(resolver.recv(&mut [0; 16]).is_err(), "{stage:?}: a packet came out");
        drop((server, other, resolver));
        cage.assert_clean().await;
    }
}

/// What a list of addresses does not hold: which name a client speaks of to the host that it may
/// reach. What the host does with it, and where it sends the client, cannot lead anywhere else.
#[tokio::test]
async fn another_name_goes_to_the_granted_host_only_and_a_redirect_leads_nowhere() {
    const CLIENT: &str = "
import http.client, sys, urllib.request
connection = http.client.HTTPConnection('localhost', int(sys.argv[1]), timeout=10)
connection.request('GET', '/', headers={'Host': 'internal.example.com'})
answer = connection.getresponse()
print(answer.status, answer.getheader('Location'))
try: print(urllib.request.urlopen(answer.getheader('Location'), timeout=10).status, 'ESCAPED')
except OSError: print('refused')
";
    for stage in Stage::with_namespaces() {
        let cage = Cage::new(stage).await;
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let location = format!("http://127.0.0.1:{}/", elsewhere.local_addr().unwrap().port());
        let answer = format!(
            "HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let thread = std::thread::spawn(move || {
            let (mut connection, _) = server.accept().unwrap();
            let mut asked = vec![0; 4_096];
            let length = connection.read(&mut asked).unwrap();
            connection.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&asked[..length]).into_owned()
        });
        let mut spec = cage.spec();
        spec.network = Network::Only(vec![grant("localhost", port)]);
        let client = ["/usr/bin/python3", "-c", CLIENT, &port.to_string()];
        let (printed, exit) = cage.run(&client, spec, &[]).await;
        assert_eq!(printed, format!("302 {location}\nrefused\n"), "{stage:?}");
        assert!(thread.join().unwrap().contains("internal.example.com"), "{stage:?}");
        assert_eq!(exit.network[0].connections, 1, "{stage:?}: and it is counted");
        elsewhere.set_nonblocking(true).unwrap();
        assert!(elsewhere.accept().is_err(), "{stage:?}");
        drop(elsewhere);
        cage.assert_clean().await;
    }
}
