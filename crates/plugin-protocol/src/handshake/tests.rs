use proptest::prelude::*;

use super::*;

const OFFER: HandshakeOffer<'static> =
    HandshakeOffer { app_versions: &[1, 3], socket_folder: "/run/plugin", multiplex: false };

fn parse(line: &str) -> Result<Handshake, HandshakeError> {
    Handshake::parse(line.as_bytes(), OFFER)
}

#[test]
fn the_lines_of_real_plugins_are_read() {
    let expected =
        Handshake { app_version: 3, socket_name: "plugin1234567".to_owned(), multiplex: false };
    for line in [
        "1|3|unix|/run/plugin/plugin1234567|grpc|\n",
        "1|3|unix|/run/plugin/plugin1234567|grpc",
        "1|3|unix|/run/plugin/plugin1234567|grpc||false\r\n",
    ] {
        assert_eq!(parse(line), Ok(expected.clone()), "{line}");
    }
    let offer = HandshakeOffer { multiplex: true, ..OFFER };
    let read = Handshake::parse(b"1|1|unix|/run/plugin/p|grpc||true", offer).unwrap();
    assert!(read.multiplex);
}

#[test]
fn each_refusal_names_what_is_wrong() {
    let cases = [
        ("", "the plugin's first line is ``, not the handshake"),
        ("Starting up ...", "the plugin's first line is `Starting up ...`, not the handshake"),
        ("1|1|unix", "not the handshake"),
        ("2|1|unix|/run/plugin/p|grpc", "speaks version `2` of go-plugin's protocol"),
        ("+1|1|unix|/run/plugin/p|grpc", "speaks version `+1` of go-plugin's protocol"),
        ("1|2|unix|/run/plugin/p|grpc", "version `2` of its own protocol, the host offers 1, 3"),
        ("1|1|tcp|127.0.0.1:1234|grpc", "listens on `tcp`"),
        ("1|1|unix|/tmp/p|grpc", "socket is `/tmp/p`, not a file in `/run/plugin`"),
        ("1|1|unix|/run/plugin/../x|grpc", "not a file in"),
        ("1|1|unix|/run/plugin/..|grpc", "not a file in"),
        ("1|1|unix|/run/plugin/a/b|grpc", "not a file in"),
        ("1|1|unix|/run/plugin/|grpc", "not a file in"),
        ("1|1|unix|/run/pluginx|grpc", "not a file in"),
        ("1|1|unix|/run/plugin/p", "speaks `netrpc`; only `grpc`"),
        ("1|1|unix|/run/plugin/p|netrpc", "speaks `netrpc`; only `grpc`"),
        ("1|1|unix|/run/plugin/p|grpc|MIIB", "wants TLS"),
        ("1|1|unix|/run/plugin/p|grpc||true", "last field is `true`"),
        ("1|1|unix|/run/plugin/p|grpc||maybe", "last field is `maybe`"),
        ("1|1|unix|/run/plugin/p\0|grpc", "no text"),
    ];
    for (line, part) in cases {
        let message = parse(line).unwrap_err().to_string();
        assert!(message.contains(part), "{line}: {message}");
    }
    assert_eq!(Handshake::parse(b"1|\xff", OFFER), Err(HandshakeError::NotText));
    let long = format!("1|1|unix|/run/plugin/{}|grpc", "p".repeat(81));
    assert!(matches!(parse(&long), Err(HandshakeError::Address { .. })));
}

#[test]
fn a_line_without_end_is_given_up() {
    assert_eq!(first_line(b""), FirstLine::Incomplete);
    assert_eq!(first_line(b"1|1"), FirstLine::Incomplete);
    assert_eq!(first_line(b"1|1\nx\n"), FirstLine::Complete { line: b"1|1", rest: b"x\n" });
    let mut line = vec![b'x'; MAX_HANDSHAKE_BYTES];
    assert_eq!(first_line(&line), FirstLine::Incomplete);
    line.push(b'\n');
    assert!(matches!(first_line(&line), FirstLine::Complete { .. }));
    line.insert(0, b'x');
    assert_eq!(first_line(&line), FirstLine::TooLong);
    assert_eq!(Handshake::parse(&line, OFFER), Err(HandshakeError::TooLong));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = first_line(&bytes);
        let _ = Handshake::parse(&bytes, OFFER);
    }

    #[test]
    fn whatever_is_accepted_lies_in_the_folder(
        line in "1\\|[0-9+]{1,2}\\|unix\\|(/run/plugin)?[/.a]{0,6}\\|grpc(\\|(\\|[a-z]{0,5})?)?"
    ) {
        if let Ok(read) = parse(&line) {
            prop_assert!(!read.socket_name.contains('/'));
            prop_assert!(OFFER.app_versions.contains(&read.app_version));
        }
    }
}
