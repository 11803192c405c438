//! The plugin as a process.

use std::process::Stdio;

use tokio::process::Command;

use super::{Complaint, END_LIMIT, Subject, Verdict};
use crate::testing::TestPlugin;

/// Whoever starts it by hand must not be left waiting for a host.
pub(super) async fn by_hand(subject: &Subject) -> Verdict {
    const HINT: &str = "end at once where the cookie's variable is not set: the SDKs do";
    let (program, arguments) =
        subject.argv.split_first().ok_or_else(|| Complaint::new("there is no program", HINT))?;
    let child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(subject.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    // Starting may take as long as it takes a host.
    let limit = END_LIMIT * 2;
    let Ok(output) = tokio::time::timeout(limit, child.wait_with_output()).await else {
        return Err(Complaint::new("it goes on without a host", HINT));
    };
    let output = output?;
    if output.status.success() || !output.stdout.is_empty() {
        return Err(Complaint::new("it takes itself for started by a host", HINT));
    }
    if output.stderr.is_empty() {
        return Err(Complaint::new("it says nothing", "say on stderr that it is a plugin"));
    }
    Ok(())
}

pub(super) async fn serving(plugin: &TestPlugin) -> Verdict {
    const HINT: &str = "serve grpc.health.v1.Health, and SERVING for the service `plugin`";
    match plugin.is_serving().await {
        Ok(true) => Ok(()),
        Ok(false) => Err(Complaint::new("it says that it does not serve", HINT)),
        Err(error) => Err(Complaint::new(error.to_string(), HINT)),
    }
}

pub(super) async fn healthy(plugin: &TestPlugin) -> Verdict {
    match plugin.health().await? {
        Ok(()) => Ok(()),
        Err(detail) => Err(Complaint::new(
            format!("it says that it is not: {detail}"),
            "none of the calls before may harm it: a host replaces a plugin that is not well",
        )),
    }
}

pub(super) async fn shut_down(plugin: TestPlugin) -> Verdict {
    let hint = "end within two seconds of Shutdown, with exit code 0";
    ended(plugin.shut_down(END_LIMIT).await, hint)
}

pub(super) async fn shut_down_by_controller(subject: &Subject) -> Verdict {
    let plugin = subject.start().await?;
    let hint = "serve plugin.GRPCController, and end within two seconds of its Shutdown";
    ended(plugin.shut_down_by_controller(END_LIMIT).await, hint)
}

fn ended(ended: Result<bool, crate::testing::CallError>, hint: &'static str) -> Verdict {
    match ended {
        Ok(true) => Ok(()),
        Ok(false) => Err(Complaint::new("its exit code is not 0", hint)),
        Err(error) => Err(Complaint::new(format!("it goes on: {error}"), hint)),
    }
}
