//! Small and read-only file systems that only one test sees.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Set in the second run of a test, which has mounts of its own.
const MARK: &str = "FLEXCORE_TEST_OWN_MOUNTS";

/// Runs the calling test once more, in a mount namespace of its own; true in that second run.
///
/// Without root it takes a user namespace besides; a machine that has neither fails the test.
pub(crate) fn in_own_mounts(test: &str) -> bool {
    if is_marked() {
        return true;
    }
    let mut command = Command::new("unshare");
    command.arg("--mount");
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    let this = std::env::current_exe().expect("this program");
    command.arg(this).args(["--exact", test, "--nocapture"]).env(MARK, "1");
    let output = command.output().expect("unshare of util-linux; run `make setup`");
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{errors}");
    false
}

#[expect(clippy::disallowed_methods, reason = "how the second run of a test knows that it is")]
fn is_marked() -> bool {
    std::env::var(MARK).is_ok()
}

/// Something mounted over a folder, until it is dropped.
pub(crate) struct Mount {
    folder: PathBuf,
}

impl Mount {
    /// An empty file system in memory of so many KiB.
    pub(crate) fn small(folder: &Path, kibibytes: u32) -> Self {
        std::fs::create_dir_all(folder).expect("a folder to mount on");
        let size = format!("size={kibibytes}k");
        mount(&["-t", "tmpfs", "-o", &size, "none"], folder)
    }

    /// The folder itself, but read-only.
    pub(crate) fn read_only(folder: &Path) -> Self {
        let bound = mount(&["--bind", &folder.display().to_string()], folder);
        // A bind mount takes its options from a remount only.
        std::mem::forget(mount(&["-o", "remount,bind,ro"], folder));
        bound
    }
}

fn mount(arguments: &[&str], folder: &Path) -> Mount {
    let output = Command::new("mount").args(arguments).arg(folder).output().expect("mount");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Mount { folder: folder.to_owned() }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a launcher may be about to go.
        let _ = Command::new("umount").arg("--lazy").arg(&self.folder).status();
    }
}
