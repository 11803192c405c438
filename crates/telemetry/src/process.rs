//! This process, as the kernel sees it: proc(5).

use std::fs;

use flexcore_ports::metric;

/// Processor time in seconds. The facade's counters are whole numbers; this one is not.
pub(crate) fn cpu_seconds() -> Option<f64> {
    let stat = parse(&fs::read_to_string("/proc/self/stat").ok()?)?;
    #[expect(clippy::cast_precision_loss, reason = "Prometheus knows doubles only")]
    let seconds = (stat.user_ticks + stat.system_ticks) as f64
        / rustix::param::clock_ticks_per_second() as f64;
    Some(seconds)
}

/// Reads memory, threads and descriptors. What cannot be read keeps its last value.
#[expect(clippy::cast_precision_loss, reason = "Prometheus knows doubles only")]
pub(crate) fn read() {
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    if let Some(stat) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(parse) {
        metrics::gauge!(metric::PROCESS_VIRTUAL_BYTES.name).set(stat.virtual_bytes as f64);
        let resident = stat.resident_pages * rustix::param::page_size() as u64;
        metrics::gauge!(metric::PROCESS_RESIDENT_BYTES.name).set(resident as f64);
        metrics::gauge!(metric::PROCESS_THREADS.name).set(stat.threads as f64);
        if let Some(boot) = boot_time() {
            let start = boot as f64 + stat.start_ticks as f64 / ticks;
            metrics::gauge!(metric::PROCESS_START_SECONDS.name).set(start);
        }
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // One of them is the folder that is being read.
        let open = open.count().saturating_sub(1);
        metrics::gauge!(metric::PROCESS_OPEN_FDS.name).set(open as f64);
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    if let Some(limit) = limit.current {
        metrics::gauge!(metric::PROCESS_MAX_FDS.name).set(limit as f64);
    }
}

/// What is needed of `/proc/self/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    user_ticks: u64,
    system_ticks: u64,
    threads: u64,
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

fn parse(text: &str) -> Option<Stat> {
    // The name of the program stands in parentheses and may hold anything, parentheses included.
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // The first of them is field 3 of the manual page.
    let field = |number: usize| fields.get(number - 3)?.parse().ok();
    Some(Stat {
        user_ticks: field(14)?,
        system_ticks: field(15)?,
        threads: field(20)?,
        start_ticks: field(22)?,
        virtual_bytes: field(23)?,
        resident_pages: field(24)?,
    })
}

/// When the machine started, in seconds since 1970.
fn boot_time() -> Option<u64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let text =
            "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 9 0 3000 8192 16 18446";
        let stat = parse(text).unwrap();
        assert_eq!((stat.user_ticks, stat.system_ticks), (150, 50));
        assert_eq!((stat.threads, stat.start_ticks), (9, 3000));
        assert_eq!((stat.virtual_bytes, stat.resident_pages), (8192, 16));
        assert_eq!(parse("7 (a) S 1"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn this_process_can_be_read() {
        let stat = parse(&fs::read_to_string("/proc/self/stat").unwrap()).unwrap();
        assert!(stat.resident_pages > 0 && stat.threads > 0);
        assert!(boot_time().unwrap() > 1_000_000_000);
    }
}
