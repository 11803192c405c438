//! Group `pump`: how fast lines go from tap to target inside a run, beside a bare pipe.
//!
//! The tap is `cat`, the target is this program's `discard`: it reads as fast as it can, notes how
//! long it took from the first byte to the end, and confirms the last STATE, so that what is timed
//! is the pump between two processes and nothing of a run's beginning and end.

use std::{
    fs,
    io::{self, Read, Write as _},
    path::Path,
    time::Instant,
};

use anyhow::Context;

use crate::{
    data::write_singer,
    flexcore::{Project, shell},
    measure::{Measure, Reach},
    sample::median,
};

/// The word that makes this program a target.
pub(crate) const DISCARD: &str = "discard";

const RECORDS: u32 = 5_000_000;

/// How many rounds; their median counts.
const ROUNDS: usize = 5;

/// How much of the end of its input a target keeps: a STATE line is shorter.
const TAIL: usize = 64 * 1024;

/// Runs the group.
pub(crate) fn run(work: &Path) -> anyhow::Result<Vec<Measure>> {
    let this = std::env::current_exe()?;
    let pipeline = format!(
        "pipeline: pump\nsteps:\n  - id: load\n    sync:\n      \
         tap: {{ command: [sh, -c, 'exec cat records.jsonl'] }}\n      \
         target: {{ command: ['{}', {DISCARD}, elapsed] }}\n      full_refresh: true\n",
        this.display(),
    );
    let project = Project::new(&work.join("project"), &pipeline)?;
    let records = project.path("records.jsonl");
    write_singer(&records, RECORDS)?;
    let (mut bare, mut pump, mut memory) = (vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        let time = shell("cat \"$1\" | cat > /dev/null", &[&records])?;
        bare.push(f64::from(RECORDS) / time.as_secs_f64());
        memory.push(project.run_watched()?.peak_megabytes);
        let seconds: f64 = fs::read_to_string(project.path("elapsed"))?.trim().parse()?;
        pump.push(f64::from(RECORDS) / seconds);
    }
    let (pump, bare, memory) = (median(pump), median(bare), median(memory));
    let rate = |name: &str, against, reach| Measure {
        name: name.to_owned(),
        value: pump,
        unit: "records/s",
        against,
        reach,
    };
    Ok(vec![
        rate(
            "pump, 5 M records / `cat FILE | cat > /dev/null`",
            Some(bare),
            Reach::RatioAtLeast(0.35),
        ),
        rate("pump, 5 M records", None, Reach::AtLeast(4e6)),
        Measure {
            name: "memory of the process while that sync runs".to_owned(),
            value: memory,
            unit: "MB",
            against: None,
            reach: Reach::Below(60.0),
        },
    ])
}

/// Reads standard input to its end, writes how many seconds that took from its first byte on, and
/// confirms the last STATE. The Singer flags that follow are of no interest.
pub(crate) fn discard(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let file = arguments.next().context("the file for the time is missing")?;
    let mut input = io::stdin().lock();
    // As much as `cat` reads at a time: it stays in the cache of a processor.
    let mut buffer = vec![0; 128 * 1024];
    let mut tail: Vec<u8> = Vec::with_capacity(TAIL);
    let mut read = input.read(&mut buffer)?;
    let start = Instant::now();
    while read > 0 {
        keep_tail(&mut tail, &buffer[..read]);
        read = input.read(&mut buffer)?;
    }
    fs::write(file, start.elapsed().as_secs_f64().to_string())?;
    let tail = String::from_utf8_lossy(&tail);
    let last = tail.lines().next_back().unwrap_or_default();
    if let Some(state) = last.strip_prefix(r#"{"type":"STATE","value":"#) {
        let state = state.strip_suffix('}').unwrap_or(state);
        writeln!(io::stdout(), "{state}")?;
    }
    Ok(())
}

/// Keeps the end of what was read.
fn keep_tail(tail: &mut Vec<u8>, read: &[u8]) {
    if read.len() < TAIL {
        let surplus = (tail.len() + read.len()).saturating_sub(TAIL);
        tail.drain(..surplus);
    } else {
        tail.clear();
    }
    tail.extend_from_slice(&read[read.len().saturating_sub(TAIL)..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_what_was_read_last() {
        let mut tail = Vec::new();
        keep_tail(&mut tail, &vec![1; TAIL + 5]);
        assert_eq!(tail, vec![1; TAIL]);
        keep_tail(&mut tail, b"end");
        assert_eq!(tail.len(), TAIL);
        assert!(tail.ends_with(b"\x01end"));
    }
}
