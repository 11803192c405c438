//! Scratch.
use flexcore_eventsourcing::*;
use flexcore_ports::*;
use flexcore_store_sqlite::*;
use flexcore_testkit::*;
use std::sync::Arc;
#[tokio::main]
async fn main() {
    let folder = std::path::PathBuf::from(std::env::args().nth(1).unwrap());
    if !folder.exists() {
        let store = SqliteStore::open(
            &folder,
            OpenMode::Writer { purpose: String::new() },
            Arc::new(ManualClock::at(5)),
        )
        .unwrap();
        let mut set = tokio::task::JoinSet::new();
        for c in 0..64u64 {
            let e = store.events();
            set.spawn(async move {
                for t in 0..976u64 {
                    let s = c + 64 * (t % 15);
                    let v = (t / 15) * 16;
                    let n = (c * 1000 + t) * 16;
                    let evs = (n..n + 16)
                        .map(|n| EventData { payload: payload(n, 256), ..event(n + 1) })
                        .collect();
                    e.append(Append::to(stream(&s.to_string()), v, evs)).await.unwrap();
                }
            });
        }
        while let Some(r) = set.join_next().await {
            r.unwrap();
        }
        store.close().await.unwrap();
    }
    for _ in 0..3 {
        let t = std::time::Instant::now();
        let r = SqliteLogVerifier::new(&folder).verify().await.unwrap();
        println!("{:?} {:?} {}", t.elapsed(), r.fault, r.events);
    }
}
