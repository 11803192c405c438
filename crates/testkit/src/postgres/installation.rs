//! PostgreSQL's programs, and the account that they run under.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, bail};

/// Where Debian's packages put their programs, one folder for each major version.
const PACKAGES: &str = "/usr/lib/postgresql";
/// The oldest major version that the stores support.
const OLDEST: u32 = 15;

/// An installed version of PostgreSQL.
#[derive(Debug, Clone)]
pub(super) struct Installation {
    programs: PathBuf,
    version: u32,
    /// PostgreSQL refuses to run as root: who it runs as instead.
    account: Option<Account>,
}

/// A line of the password file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) user: u32,
    pub(super) group: u32,
}

impl Installation {
    /// The newest version on this machine.
    pub(super) fn find() -> anyhow::Result<Self> {
        let versions = fs::read_dir(PACKAGES).into_iter().flatten().flatten();
        let newest = versions
            .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
            .filter(|version| *version >= OLDEST && programs(*version).join("initdb").is_file())
            .max();
        let Some(version) = newest else {
            bail!(
                "PostgreSQL {OLDEST} or later is not installed in {PACKAGES}, and tests run on a \
                 real one; run `make setup`"
            );
        };
        let root = rustix::process::getuid().is_root();
        let account = if root { Some(account("postgres")?) } else { None };
        Ok(Self { programs: programs(version), version, account })
    }

    /// The major version.
    pub(super) fn version(&self) -> u32 {
        self.version
    }

    /// Who the server runs as, if that is somebody else.
    pub(super) fn account(&self) -> Option<Account> {
        self.account
    }

    /// A client program.
    pub(super) fn client(&self, name: &str) -> Command {
        isolated(Command::new(self.programs.join(name)))
    }

    /// A program that must run as the owner of the server's files.
    pub(super) fn server(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        let Some(Account { user, group }) = self.account else {
            return isolated(Command::new(program));
        };
        let mut command = Command::new("setpriv");
        command.arg(format!("--reuid={user}")).arg(format!("--regid={group}"));
        command.args(["--clear-groups", "--"]).arg(program);
        isolated(command)
    }
}

/// Nothing of whoever runs the tests: their servers and passwords, folder and language.
fn isolated(mut command: Command) -> Command {
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8");
    command.stdin(Stdio::null()).current_dir("/");
    command
}

fn programs(version: u32) -> PathBuf {
    Path::new(PACKAGES).join(version.to_string()).join("bin")
}

fn account(name: &str) -> anyhow::Result<Account> {
    let accounts = fs::read_to_string("/etc/passwd").context("/etc/passwd")?;
    let found = accounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let &[found, _, user, group, ..] = &fields[..] else { return None };
        (found == name).then_some(Account { user: user.parse().ok()?, group: group.parse().ok()? })
    });
    found.with_context(|| {
        format!(
            "there is no user {name}, whom PostgreSQL must run as instead of root; run `make setup`"
        )
    })
}

/// Runs a program to its end; what it said is in the error.
pub(super) fn run(command: &mut Command) -> anyhow::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("{name}; run `make setup`"))?;
    finished(&name, &output)
}

/// What a program printed, if it ended well.
pub(super) fn finished(name: &str, output: &std::process::Output) -> anyhow::Result<String> {
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{name}: {}: {}", output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
