//! What is wrong below HTTP/2.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
};

/// Speaks on the bare socket if the mode is about that, and gives it back otherwise.
pub(crate) async fn speak(mode: &str, mut stream: UnixStream) -> Option<UnixStream> {
    match mode {
        // Taken, and nothing ever said.
        "half-open" => std::future::pending().await,
        "garbage" => {
            let _ = stream.write_all(&b"\xff\0garbage, and much of it\n".repeat(10_000)).await;
        }
        "closes" => drop(stream),
        "header-flood" => flood(stream, headers).await,
        "settings-flood" => flood(stream, |_| vec![0, 0, 0, 4, 0, 0, 0, 0, 0]).await,
        "reset-flood" => {
            flood(stream, |_| vec![0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8]).await;
        }
        "frame-of-16-MiB" => {
            let _ = stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await;
            let _ = stream.write_all(&[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]).await;
            let _ = stream.write_all(&vec![0; 16 << 20]).await;
        }
        "endless-headers" => {
            // Of the answer to the first call, with a continuation that never ends.
            let _ = stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await;
            let _ = stream.write_all(&[0, 0, 1, 1, 0, 0, 0, 0, 1, 0x88]).await;
            flood(stream, |_| {
                let mut frame = vec![0, 0x40, 0, 9, 0, 0, 0, 0, 1];
                frame.extend_from_slice(&literal_header(0x4000));
                frame
            })
            .await;
        }
        _ => return Some(stream),
    }
    None
}

/// Streams that nobody opened, one after the other.
fn headers(number: u32) -> Vec<u8> {
    let mut frame = vec![0, 0, 1, 1, 4];
    frame.extend_from_slice(&(number * 2 + 2).to_be_bytes());
    frame.push(0x88);
    frame
}

/// A header whose encoded form has so many bytes.
fn literal_header(length: usize) -> Vec<u8> {
    let value = length - 6;
    let mut bytes = vec![0x00, 0x01, b'x', 0x7f];
    // 127 and the rest in groups of seven bits.
    let mut rest = value - 127;
    let mut groups = Vec::new();
    while rest >= 128 {
        groups.push(u8::try_from(rest % 128).expect("seven bits") | 0x80);
        rest /= 128;
    }
    groups.push(u8::try_from(rest).expect("seven bits"));
    bytes.extend_from_slice(&groups);
    bytes.resize(length, b'v');
    bytes
}

/// Sends 100 000 of these frames, and reads nothing but what has to be read to go on.
async fn flood(mut stream: UnixStream, frame: impl Fn(u32) -> Vec<u8>) {
    let mut read = vec![0; 64 << 10];
    let _ = stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await;
    for number in 0..100_000 {
        if stream.write_all(&frame(number)).await.is_err() {
            return;
        }
        let _ = stream.try_read(&mut read);
    }
    while stream.read(&mut read).await.is_ok_and(|length| length > 0) {}
}
