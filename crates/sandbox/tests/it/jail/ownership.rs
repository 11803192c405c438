//! Whose files are a program's: read and written as their owner's, made as the owner's, and never a
//! way to the owner's rights.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown},
    path::Path,
};

use flexcore_sandbox::{Access, Bind, ControlName, ControlState, JailSpec};

use super::cage::{Cage, ORDINARY_USER, Stage};

/// Who owns the private folder of these tests where they run as root.
const OWNERS: [u32; 2] = [0, 61_990];

fn show(spec: &mut JailSpec, folder: &Path, access: Access) {
    let bind = Bind { source: folder.to_owned(), target: folder.to_owned(), access };
    spec.binds.push(bind);
}

/// A folder that nobody but its owner may enter.
fn private_folder(folder: &Path, owner: u32) {
    fs::create_dir(folder).unwrap();
    fs::write(folder.join("before"), "before\n").unwrap();
    for (path, mode) in [(folder.join("before"), 0o600), (folder.to_owned(), 0o700)] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        chown(&path, Some(owner), Some(owner)).unwrap();
    }
}

const WORK: &str = "
set -e
cat before
echo changed >> before
echo new > new
mkdir -p deep/er
mv new deep/er/renamed
chmod 640 deep/er/renamed
ln deep/er/renamed link
rm link
if chmod 4755 deep/er/renamed 2>/dev/null; then echo ESCAPED; fi
if install -m 6755 /bin/true suid 2>/dev/null; then echo ESCAPED; fi
if chown 1 before 2>/dev/null; then echo ESCAPED; fi
stat -c %u before deep/er/renamed | sort -u | wc -l
";

#[tokio::test]
async fn a_private_folder_is_written_as_by_its_owner_and_what_is_made_is_the_owners() {
    for owner in OWNERS {
        let cage = Cage::new(Stage::all()[0]).await;
        if cage.stage != Stage::Root && owner != 0 {
            continue;
        }
        let owner =
            if cage.stage == Stage::Root { owner } else { rustix::process::geteuid().as_raw() };
        let folder = cage.folder.path().join("private");
        private_folder(&folder, owner);
        let mut spec = cage.spec();
        show(&mut spec, &folder, Access::ReadWrite);
        let script = format!("cd {} && {WORK}", folder.display());
        let (printed, exit) = cage.run(&["/bin/sh", "-c", &script], spec, &[]).await;
        assert_eq!(printed, "before\n1\n", "{owner}");
        assert!(exit.status.is_success());
        let made = folder.join("deep/er/renamed");
        for path in [&folder.join("before"), &folder.join("deep"), &made] {
            let status = fs::metadata(path).unwrap();
            assert_eq!((status.uid(), status.gid()), (owner, owner), "{}", path.display());
            assert_eq!(status.mode() & 0o6000, 0, "{}", path.display());
        }
        assert_eq!(fs::metadata(&made).unwrap().mode() & 0o777, 0o640);
        assert_eq!(fs::read_to_string(&made).unwrap(), "new\n");
        assert_eq!(fs::read_to_string(folder.join("before")).unwrap(), "before\nchanged\n");
        cage.assert_clean().await;
    }
}

#[tokio::test]
async fn a_private_folder_that_is_only_shown_can_be_read_and_not_written() {
    for stage in Stage::all() {
        let cage = Cage::new(stage).await;
        let owner = match stage {
            Stage::Ordinary if rustix::process::geteuid().is_root() => ORDINARY_USER,
            _ => rustix::process::geteuid().as_raw(),
        };
        let folder = cage.folder.path().join("private");
        private_folder(&folder, owner);
        let mut spec = cage.spec();
        show(&mut spec, &folder, Access::ReadOnly);
        // Landlock holds no modes.
        let change = if stage.has_namespaces() { "'chmod 777 before'" } else { "" };
        let script = format!(
            "cd {} && cat before; for try in 'echo x > before' 'echo x > new' 'rm before' \
             {change} 'mv before after'; do \
             if sh -c \"$try\" 2>/dev/null; then echo ESCAPED \"$try\"; fi; done",
            folder.display()
        );
        let (printed, _) = cage.run(&["/bin/sh", "-c", &script], spec, &[]).await;
        assert_eq!(printed, "before\n", "{stage:?}");
        assert_eq!(fs::read_to_string(folder.join("before")).unwrap(), "before\n");
        cage.assert_clean().await;
    }
}

#[tokio::test]
async fn an_ordinary_user_writes_what_is_its_own() {
    for stage in Stage::all() {
        let cage = Cage::new(stage).await;
        let ordinary = stage == Stage::Ordinary && rustix::process::geteuid().is_root();
        let owner = if ordinary { ORDINARY_USER } else { rustix::process::geteuid().as_raw() };
        let folder = cage.folder.path().join("private");
        private_folder(&folder, owner);
        let mut spec = cage.spec();
        show(&mut spec, &folder, Access::ReadWrite);
        let script = format!("cd {} && echo new > new && mv new newer", folder.display());
        let (printed, exit) = cage.run(&["/bin/sh", "-c", &script], spec, &[]).await;
        assert!(exit.status.is_success(), "{stage:?}: {printed}");
        assert_eq!(fs::metadata(folder.join("newer")).unwrap().uid(), owner, "{stage:?}");
        cage.assert_clean().await;
    }
}

/// Overlays map no owners (Linux 6.18); network file systems often do not either.
#[tokio::test]
async fn where_owners_cannot_be_mapped_the_program_is_the_servers_user_without_rights() {
    if !Stage::all().contains(&Stage::Root) {
        return;
    }
    let cage = Cage::with_mount(Stage::Root, "overlay", "private").await;
    let folder = cage.folder.path().join("private");
    let mut spec = cage.spec();
    show(&mut spec, &folder, Access::ReadWrite);
    let script = format!(
        "cd {} && echo new > new && id -u; grep CapEff /proc/self/status; cat /etc/shadow",
        folder.display()
    );
    let jailed = cage.spawn(&["/bin/true"], spec.clone()).await;
    let uid = jailed.report.control(ControlName::Uid).unwrap().clone();
    assert_eq!(uid.state, ControlState::Unavailable);
    assert!(uid.detail.unwrap().contains("private cannot be mapped"));
    jailed.wait().await;
    let (printed, _) = cage.run(&["/bin/sh", "-c", &script], spec, &[]).await;
    let expected = "0\nCapEff:\t0000000000000000\ncat: /etc/shadow: No such file or directory\n";
    assert_eq!(printed, expected);
    cage.assert_clean().await;
}
