//! Limits, as the files of a group hold them.

use crate::jail::{report::ControlName, spec::Limits};

/// A file, what to write into it, and whether it may be missing.
pub(super) type Setting = (&'static str, String, bool);

/// What to write for a control, and the limit to report; `None` if it is not limited.
pub(super) fn settings(
    control: ControlName,
    is_unified: bool,
    limits: &Limits,
    device: Option<&str>,
) -> Option<(u64, Vec<Setting>)> {
    let memory = limits.memory_bytes;
    // One more for the jail's init.
    let pids = u64::from(limits.pids) + 1;
    Some(match (control, is_unified) {
        (ControlName::Memory, true) => (
            memory,
            vec![
                ("memory.max", memory.to_string(), false),
                ("memory.swap.max", limits.swap_bytes.to_string(), true),
                ("memory.oom.group", "1".to_owned(), true),
            ],
        ),
        (ControlName::Memory, false) => (
            memory,
            vec![
                ("memory.limit_in_bytes", memory.to_string(), false),
                // Kernels can be built or started without counting swap.
                (
                    "memory.memsw.limit_in_bytes",
                    memory.saturating_add(limits.swap_bytes).to_string(),
                    true,
                ),
            ],
        ),
        (ControlName::Pids, _) => (limits.pids.into(), vec![("pids.max", pids.to_string(), false)]),
        (ControlName::Cpu, is_unified) => {
            // The kernel takes no less than a hundredth.
            let milli = limits.cpu_milli?.max(10);
            let quota = u64::from(milli) * 100;
            (
                milli.into(),
                if is_unified {
                    vec![("cpu.max", format!("{quota} 100000"), false)]
                } else {
                    vec![
                        ("cpu.cfs_period_us", "100000".to_owned(), false),
                        ("cpu.cfs_quota_us", quota.to_string(), false),
                    ]
                },
            )
        }
        (ControlName::Io, is_unified) => {
            let (read, write) = (limits.io_read_bytes_per_second, limits.io_write_bytes_per_second);
            (write.or(read)?, io_settings(is_unified, device?, read, write))
        }
        _ => return None,
    })
}

fn io_settings(
    is_unified: bool,
    device: &str,
    read: Option<u64>,
    write: Option<u64>,
) -> Vec<Setting> {
    if is_unified {
        let word = |key: &str, bytes: Option<u64>| {
            bytes.map_or_else(String::new, |bytes| format!(" {key}={bytes}"))
        };
        let line = format!("{device}{}{}", word("rbps", read), word("wbps", write));
        return vec![("io.max", line, false)];
    }
    let files =
        [("blkio.throttle.read_bps_device", read), ("blkio.throttle.write_bps_device", write)];
    let setting =
        |(file, bytes): (_, Option<u64>)| Some((file, format!("{device} {}", bytes?), false));
    files.into_iter().filter_map(setting).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_limited_is_not_written() {
        let limits = Limits { io_write_bytes_per_second: Some(1), ..Limits::default() };
        assert_eq!(settings(ControlName::Cpu, true, &limits, None), None);
        assert_eq!(settings(ControlName::Io, true, &limits, None), None, "no disk is known");
        let (limit, files) = settings(ControlName::Io, false, &limits, Some("8:0")).unwrap();
        assert_eq!((limit, files.len()), (1, 1));
        let (_, files) = settings(ControlName::Io, true, &limits, Some("8:0")).unwrap();
        assert_eq!(files, [("io.max", "8:0 wbps=1".to_owned(), false)]);
    }
}
