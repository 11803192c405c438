//! A look at everything that a run needs.

use std::{collections::BTreeMap, os::unix::fs::PermissionsExt as _, path::Path};

use flexcore_api::{DoctorCheck, DoctorReport, DoctorState, SandboxReportView};
use flexcore_cli::{HostError, HostErrorKind, Place, StoreAddress, StoreStatus};
use flexcore_eventsourcing::Timestamp;
use flexcore_ports::Clock as _;

use crate::{clock::SystemClock, paths::StatePaths, store};

/// A time before which no clock that was ever set can be: when this was written.
const OLDEST: Timestamp = Timestamp::from_micros(1_760_000_000_000_000);

/// What was found of the sandbox: the report, or why there is none.
type Sandbox = Result<SandboxReportView, HostError>;

/// Looks at a place on this machine.
pub(crate) async fn look(
    place: &Place,
    environment: &BTreeMap<String, String>,
    sandbox: Sandbox,
) -> DoctorReport {
    let path = environment.get("PATH").map(String::as_str).unwrap_or_default();
    let checks = vec![
        of_sandbox(&sandbox),
        of_store(place).await,
        of_state_folder(place),
        of_clock(),
        of_program("python3", path, "third-party taps and targets from PyPI are Python programs"),
        of_program("uv", path, "with it, `plugin install pypi:…` is several times faster"),
        of_plugins(place),
    ];
    let ready = checks.iter().all(|check| check.state != DoctorState::Failed);
    DoctorReport { checks, sandbox: sandbox.ok(), ready }
}

fn check(name: &str, state: DoctorState, detail: impl Into<String>) -> DoctorCheck {
    DoctorCheck { name: name.to_owned(), state, detail: detail.into(), remedy: None }
}

fn with_remedy(check: DoctorCheck, remedy: impl Into<String>) -> DoctorCheck {
    DoctorCheck { remedy: Some(remedy.into()), ..check }
}

fn failed(name: &str, error: &HostError) -> DoctorCheck {
    let found = check(name, DoctorState::Failed, format!("{} ({})", error.message, error.code));
    DoctorCheck { remedy: error.hint.clone(), ..found }
}

fn of_sandbox(sandbox: &Sandbox) -> DoctorCheck {
    const NAME: &str = "sandbox";
    let report = match sandbox {
        Ok(report) => report,
        Err(error) => return failed(NAME, error),
    };
    let held = report.controls.iter().filter(|control| control.state == "enforced").count();
    let detail = format!(
        "tier {}, {held} of {} controls enforced, policy {}",
        report.tier,
        report.controls.len(),
        report.policy
    );
    match report.policy.as_str() {
        "strict" if !report.strict_ok => with_remedy(
            check(NAME, DoctorState::Failed, detail),
            "strict refuses every program here: see the remedies of the required controls, or set \
             FLEXCORE_SANDBOX=best_effort",
        ),
        "off" => with_remedy(
            check(NAME, DoctorState::Warning, detail),
            "programs run without a jail; unset FLEXCORE_SANDBOX to hold them",
        ),
        _ if held < report.controls.len() => with_remedy(
            check(NAME, DoctorState::Warning, detail),
            "`flexcore sandbox report` says what to do about each control",
        ),
        _ => check(NAME, DoctorState::Good, detail),
    }
}

async fn of_store(place: &Place) -> DoctorCheck {
    const NAME: &str = "store";
    match store::status::of(place).await {
        Ok(StoreStatus::Sqlite(status)) => {
            check(NAME, DoctorState::Good, format!("SQLite in {}", status.folder))
        }
        Ok(StoreStatus::Postgresql(status)) => {
            let detail = format!("{}, PostgreSQL {}", status.server, status.server_version);
            check(NAME, DoctorState::Good, detail)
        }
        Err(error)
            if error.kind == HostErrorKind::Absent && place.store == StoreAddress::Folder =>
        {
            check(NAME, DoctorState::Good, "none yet; the first run makes it")
        }
        Err(error) => failed(NAME, &error),
    }
}

fn of_state_folder(place: &Place) -> DoctorCheck {
    const NAME: &str = "state folder";
    let folder = &place.state_folder;
    let shown = folder.display();
    let nearest = folder.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    if let Err(error) = rustix::fs::access(nearest, access) {
        let found = check(NAME, DoctorState::Failed, format!("{shown} cannot be written: {error}"));
        return with_remedy(found, "make it writable for this user, or choose another folder");
    }
    let mode = std::fs::metadata(folder).map(|status| status.permissions().mode());
    if mode.is_ok_and(|mode| mode & 0o022 != 0) {
        let found = check(NAME, DoctorState::Warning, format!("{shown} can be written by others"));
        return with_remedy(found, format!("chmod go-w {shown}"));
    }
    check(NAME, DoctorState::Good, format!("{shown} can be written"))
}

fn of_clock() -> DoctorCheck {
    let now = SystemClock.now();
    let detail = flexcore_app::format_time(now);
    if now < OLDEST {
        let found = check("clock", DoctorState::Failed, format!("it says {detail}"));
        return with_remedy(found, "set the clock; events are recorded with its time");
    }
    check("clock", DoctorState::Good, detail)
}

fn of_program(name: &str, path: &str, use_of: &str) -> DoctorCheck {
    let found = std::env::split_paths(path).map(|folder| folder.join(name)).find(|file| {
        file.is_file() && rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok()
    });
    match found {
        Some(file) => check(name, DoctorState::Good, file.display().to_string()),
        None => {
            with_remedy(check(name, DoctorState::Warning, "not found in PATH"), use_of.to_owned())
        }
    }
}

fn of_plugins(place: &Place) -> DoctorCheck {
    const NAME: &str = "plugins";
    let folder = StatePaths::new(&place.state_folder).plugins();
    let shown = folder.display();
    match std::fs::read_dir(folder.join("sha256")) {
        Ok(entries) => {
            let count = entries.flatten().count();
            check(NAME, DoctorState::Good, format!("{count} in {shown}"))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            check(NAME, DoctorState::Good, "none installed")
        }
        Err(error) => {
            let found = check(NAME, DoctorState::Failed, format!("{shown}: {error}"));
            with_remedy(found, "make it readable for this user")
        }
    }
}
