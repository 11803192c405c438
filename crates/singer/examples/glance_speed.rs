//! How many lines a second [`flexcore_singer::glance`] tells: `cargo run --release --example
//! glance_speed`. Prints the usual form, with spaces, and the form that needs the thorough scan.
#![expect(clippy::print_stdout, reason = "a measurement for people")]

use std::{hint::black_box, time::Instant};

use flexcore_singer::{Message, glance};

const RECORD: &str = r#"{"id":417,"email":"ana.silva417@ex.com","name":"Ana Silva","city":"Porto Alegre","country":"BR","amount":512.33,"qty":17,"active":true,"created_at":"2024-05-17T10:20:00Z","ref":"9f86d081884c7d65"}"#;
const LINES: u32 = 5_000_000;

fn main() {
    let usual = format!(r#"{{"type":"RECORD","stream":"orders","record":{RECORD}}}"#);
    let spaced = format!(r#"{{"type": "RECORD", "stream": "orders", "record": {RECORD}}}"#);
    let turned = format!(r#"{{"record":{RECORD},"stream":"orders","type":"RECORD"}}"#);
    for (name, line) in [("usual", &usual), ("spaced", &spaced), ("record first", &turned)] {
        let lines = line.repeat(64);
        measure(name, line.len(), &lines, |line| {
            black_box(glance(line));
        });
    }
    measure("strict parse", usual.len(), &usual.repeat(64), |line| {
        let _ = black_box(Message::parse(line));
    });
}

fn measure(name: &str, length: usize, lines: &str, mut work: impl FnMut(&[u8])) {
    let start = Instant::now();
    let mut done = 0;
    while done < LINES {
        for line in lines.as_bytes().chunks(length) {
            work(black_box(line));
            done += 1;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    println!("{name:<13} {:6.2} M lines/s of {length} bytes", f64::from(done) / seconds / 1e6);
}
