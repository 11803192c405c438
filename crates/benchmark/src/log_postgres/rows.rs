//! The rows of the table, each with its peer in turns.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use flexcore_eventsourcing::{leaf_hash, leaves_root};
use flexcore_testkit::postgres::Server;

use super::{
    bare::Bare,
    message_db::{self, MessageDb},
    ours::{Ours, Shape},
    visible,
};
use crate::{
    log_sqlite::workload::{TYPE, context, event, stream_name},
    measure::{Measure, Reach},
    sample::{count, median},
};

/// How many turns the sides of a row take; their medians count.
const TURNS: usize = 7;
/// How many events a subscriber catches up over.
const BACKLOG: usize = 5_000_000;
const STREAMS: usize = 1_024;
const CALLERS_64: Shape = Shape { callers: 64, events: 1, appends: 25_600 };
const CALLERS_1024: Shape = Shape { callers: 1_024, events: 1, appends: 51_200 };
/// Four nodes with 64 callers each.
const NODES: Shape = Shape { callers: 256, events: 1, appends: 102_400 };
const LONE: Shape = Shape { callers: 1, events: 1, appends: 1_000 };
const BULK: Shape = Shape { callers: 8, events: 1_000, appends: 64 };
/// How many messages or rows a peer writes in its turn, one per commit.
const SINGLE: usize = 12_800;

/// A server and what is measured on it.
pub(crate) struct Rows<'a> {
    server: Server,
    work: &'a Path,
    measures: Vec<Measure>,
    /// Events a second that 64 callers reach with one each.
    peak: f64,
}

/// What both sides of a row came to, turn by turn.
#[derive(Default)]
struct Turns {
    ours: Vec<f64>,
    peers: [Vec<f64>; 3],
}

impl<'a> Rows<'a> {
    pub(crate) fn new(server: Server, work: &'a Path) -> Self {
        Self { server, work, measures: Vec::new(), peak: f64::NAN }
    }

    pub(crate) async fn measure(mut self) -> anyhow::Result<Vec<Measure>> {
        // Those that `ROWS` names, separated by commas; all of them if it is not set.
        #[expect(clippy::disallowed_methods, reason = "a wish of whoever measures")]
        let only = std::env::var("ROWS").unwrap_or_default();
        let is_wanted = |name: &str| only.is_empty() || only.split(',').any(|row| row == name);
        // Half of its load is what the row `visible` runs under.
        if is_wanted("single") || is_wanted("visible") {
            self.single().await?;
        }
        if is_wanted("lone") {
            self.lone().await?;
        }
        if is_wanted("bulk") {
            self.bulk().await?;
        }
        if is_wanted("chain") {
            self.chain().await?;
        }
        if is_wanted("nodes") {
            self.nodes().await?;
        }
        if is_wanted("visible") {
            self.visible().await?;
        }
        if is_wanted("catch-up") {
            self.catch_up().await?;
        }
        Ok(self.measures)
    }

    fn row(
        &mut self,
        name: &str,
        unit: &'static str,
        (value, against): (f64, Option<f64>),
        reach: Reach,
    ) {
        self.measures.push(Measure { name: name.to_owned(), value, unit, against, reach });
    }

    async fn ours(&self, nodes: usize) -> anyhow::Result<Ours> {
        let mut ours = Ours::open(&self.server.database().await?, nodes, STREAMS).await?;
        // Streams exist and names are known, as they are on a node that has run for a moment.
        ours.slice(Shape { callers: 64, events: 1, appends: STREAMS * 4 }).await?;
        Ok(ours)
    }

    /// One event per append, many callers, beside message-db and bare inserts.
    async fn single(&mut self) -> anyhow::Result<()> {
        let package = message_db::package(&cache());
        let mut peers = Vec::new();
        for has_one_category in [true, false] {
            let Ok(package) = &package else { break };
            let url = self.server.database().await?;
            peers.push(MessageDb::open(&url, package, self.work, (64, has_one_category)).await?);
        }
        let mut bare = Bare::open(&self.server.database().await?, 64).await?;
        let mut ours = self.ours(1).await?;
        let mut turns = [Turns::default(), Turns::default()];
        for _ in 0..TURNS {
            for (shape, turns) in [CALLERS_64, CALLERS_1024].into_iter().zip(&mut turns) {
                turns.ours.push(rate(shape.appends, ours.slice(shape).await?.0));
            }
            for (index, peer) in peers.iter_mut().enumerate() {
                let rate = rate(SINGLE, peer.slice(SINGLE).await?);
                turns[0].peers[index].push(rate);
            }
            turns[0].peers[2].push(rate(SINGLE, bare.slice(SINGLE).await?.0));
        }
        ours.close().await?;
        let [few, many] = turns;
        self.peak = median(few.ours.clone());
        let [one, own, bare] = few.peers.map(median);
        let names = [
            "message-db, one category, 64 clients",
            "message-db, a category per client, 64 clients",
            "one INSERT per commit, 64 clients",
        ];
        let missing = match &package {
            Ok(_) => String::new(),
            Err(error) => format!(" (not measured: {error})"),
        };
        for (callers, value, reaches) in [
            (64, median(few.ours), [Some(5.0), Some(2.5), Some(1.2)]),
            (1_024, median(many.ours), [Some(8.0), Some(4.0), None]),
        ] {
            for ((name, against), reach) in names.iter().zip([one, own, bare]).zip(reaches) {
                let Some(reach) = reach else { continue };
                let missing = if against.is_nan() { missing.as_str() } else { "" };
                let name = format!("append, {callers} callers × 1 event / {name}{missing}");
                let against = Some(against);
                self.row(&name, "events/s", (value, against), Reach::RatioAtLeast(reach));
            }
        }
        Ok(())
    }

    /// One caller, beside one connection that inserts and commits.
    async fn lone(&mut self) -> anyhow::Result<()> {
        let mut bare = Bare::open(&self.server.database().await?, 1).await?;
        let mut ours = self.ours(1).await?;
        let (mut here, mut there) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            here.push(median(ours.slice(LONE).await?.1));
            there.push(median(bare.slice(LONE.appends).await?.1));
        }
        ours.close().await?;
        let name = "append, one caller × 1 event, p50 / INSERT and commit, p50";
        self.row(name, "µs", (median(here), Some(median(there))), Reach::RatioAtMost(2.0));
        Ok(())
    }

    /// Appends of a thousand events, beside binary COPY of the same rows.
    async fn bulk(&mut self) -> anyhow::Result<()> {
        let mut bare = Bare::open(&self.server.database().await?, 1).await?;
        let mut ours = self.ours(1).await?;
        let rows = BULK.appends * BULK.events;
        let (mut here, mut there) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            here.push(rate(rows, ours.slice(BULK).await?.0));
            there.push(rate(rows, bare.copy(rows, BULK.events).await?));
        }
        ours.close().await?;
        let name = "append, 8 callers × 1000 events / binary COPY of the same rows";
        self.row(name, "events/s", (median(here), Some(median(there))), Reach::RatioAtLeast(0.4));
        Ok(())
    }

    /// What hashing costs: the same appends with hashes that cost nothing on the server, less what
    /// leaves and roots cost a client.
    async fn chain(&mut self) -> anyhow::Result<()> {
        let url = self.server.database().await?;
        let mut ours = self.ours(1).await?;
        Ours::open(&url, 1, 1).await?.close().await?;
        unhash(&self.server, &url).await?;
        let mut plain = Ours::open(&url, 1, STREAMS).await?;
        plain.slice(Shape { callers: 64, events: 1, appends: STREAMS * 4 }).await?;
        let (mut here, mut there) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            here.push(rate(CALLERS_64.appends, ours.slice(CALLERS_64).await?.0));
            there.push(rate(CALLERS_64.appends, plain.slice(CALLERS_64).await?.0));
        }
        ours.close().await?;
        plain.close().await?;
        let (with, without) = (median(here), median(there));
        // A second of work has two seconds of processors; the clients hash on either of them.
        let clients = with * hashing_seconds()? / 2.0;
        let cost = (1.0 - with / without).max(0.0) + clients;
        let name = "cost of the hash chain, 64 callers × 1 event (server and client)";
        self.row(name, "%", (cost * 100.0, None), Reach::Below(12.0));
        Ok(())
    }

    /// Four nodes on one database, beside one; each has as many callers.
    async fn nodes(&mut self) -> anyhow::Result<()> {
        let mut one = self.ours(1).await?;
        let mut four = self.ours(4).await?;
        let (mut here, mut there) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            here.push(rate(NODES.appends, four.slice(NODES).await?.0));
            there.push(rate(CALLERS_64.appends, one.slice(CALLERS_64).await?.0));
        }
        one.close().await?;
        four.close().await?;
        let name = "append, 64 callers × 1 event on each of four nodes / on one node";
        self.row(name, "events/s", (median(here), Some(median(there))), Reach::RatioAtLeast(0.9));
        Ok(())
    }

    /// From an append to the views, while others append at half of the rate that 64 callers reach.
    async fn visible(&mut self) -> anyhow::Result<()> {
        let ours = self.ours(1).await?;
        let rate = self.peak / 2.0;
        let latencies = visible::latencies(ours.node(), rate).await?;
        ours.close().await?;
        let name = format!("append to visible in all views, p99, at {rate:.0} events/s");
        self.row(&name, "ms", (visible::percentile_99(latencies), None), Reach::Below(25.0));
        Ok(())
    }

    /// A subscriber that begins at the beginning.
    async fn catch_up(&mut self) -> anyhow::Result<()> {
        let mut ours = self.ours(1).await?;
        let appends = BACKLOG / BULK.events;
        ours.slice(Shape { appends, ..BULK }).await?;
        let mut rates = Vec::new();
        for _ in 0..3 {
            let (took, events) = ours.catch_up().await?;
            rates.push(rate(events, took));
        }
        ours.close().await?;
        let name = "a subscriber catches up over 5 million events";
        self.row(name, "events/s", (median(rates), None), Reach::AtLeast(300_000.0));
        Ok(())
    }
}

fn rate(events: usize, took: Duration) -> f64 {
    count(events) / took.as_secs_f64()
}

/// Replaces SHA-256 in the append functions of a database.
async fn unhash(server: &Server, url: &str) -> anyhow::Result<()> {
    let sql = "CREATE FUNCTION flexcore.unhashed(bytea) RETURNS bytea LANGUAGE sql IMMUTABLE \
        RETURN '\\x5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a'::bytea; \
        DO $$ DECLARE f oid; BEGIN \
        FOREACH f IN ARRAY ARRAY['flexcore.append_batch'::regproc, 'flexcore.append_one'::regproc] LOOP \
          EXECUTE replace(pg_get_functiondef(f), 'sha256(', 'flexcore.unhashed('); \
        END LOOP; END $$";
    server.sql(url, sql).await?;
    Ok(())
}

/// Seconds that the hashes of one event cost a client.
fn hashing_seconds() -> anyhow::Result<f64> {
    let (type_name, context, stream) = (TYPE.into(), context(), stream_name(1)?);
    let events: Vec<_> = (0..20_000).map(|number| event(number, &type_name, &context)).collect();
    let start = Instant::now();
    let leaves: Vec<_> = events.iter().map(|event| leaf_hash(&stream, event)).collect();
    std::hint::black_box(leaves_root(&leaves));
    Ok(start.elapsed().as_secs_f64() / count(events.len()))
}

/// What is fetched once.
fn cache() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.ancestors().nth(2).unwrap_or(manifest).join(".cache")
}
