//! Attempts on the file system.

use super::cage::{Cage, Stage, assert_held};

#[tokio::test]
async fn nothing_but_what_was_granted_can_be_read_or_written() {
    for stage in Stage::all() {
        let cage = Cage::new(stage).await;
        let other = cage.folder.path().join("other-plugin/settings");
        let lock = cage.folder.path().join("launcher.lock");
        let work = cage.seen("scratch");
        let targets = [
            "files",
            work.to_str().unwrap(),
            "/etc/shadow",
            "/root/.bashrc",
            "/home",
            other.to_str().unwrap(),
            lock.to_str().unwrap(),
            "/plugin/../etc/shadow",
            "/proc/1/root/etc/shadow",
            "/proc/1/exe",
            "/proc/1/cwd/etc/shadow",
            "/proc/1/environ",
            "/proc/1/mem",
            "/proc/kcore",
            "/dev/mem",
            "/dev/kvm",
            "/dev/vda",
            "/sys/kernel",
            "/run",
        ];
        let (printed, exit) = cage.escape(&targets, cage.spec()).await;
        // Only `/etc/passwd` of the jail itself exists, and it is read-only.
        assert_held(stage, &printed);
        assert!(printed.contains("work writable"), "{stage:?}: {printed}");
        assert!(exit.status.is_success(), "{stage:?}: {printed}");
        assert!(!std::path::Path::new("/usr/escaped").exists());
        cage.assert_clean().await;
    }
}

/// The store that plugins lie in, and what lies beside the plugin in it.
#[tokio::test]
async fn neither_its_own_files_nor_those_of_other_plugins_can_be_written() {
    for stage in Stage::all() {
        let cage = Cage::new(stage).await;
        let file = |name: &str| cage.folder.path().join(name);
        let before = std::fs::read(file("plugin/escape")).unwrap();
        let script = r#"
            for path in "$@"; do
                for try in 'echo x > "$1"' 'echo x > "$1.new"' 'rm -f "$1"; ! test -e "$1"' \
                    'mv "$1" "$1.moved"' 'ln -f "$1" "$1.link"' 'ln -sf /etc/shadow "$1"'; do
                    if sh -c "$try" sh "$path" 2>/dev/null; then echo "ESCAPED $try $path"; fi
                done
            done
            echo tried; echo tried; echo tried"#;
        let own = cage.seen("plugin/escape");
        let (other, exe) = (file("other-plugin/settings"), file("plugin/escape"));
        let paths = [&own, &other, &exe].map(|path| path.to_str().unwrap());
        let argv: Vec<&str> = ["/bin/sh", "-c", script, "sh"].into_iter().chain(paths).collect();
        // What does not exist in the jail need not be removed from it.
        let (printed, _) = cage.run(&argv, cage.spec(), &[]).await;
        let printed = printed.replace("ESCAPED rm -f \"$1\"; ! test -e \"$1\"", "absent");
        assert_held(stage, &printed);
        let (printed, _) = cage.escape(&["overwrite"], cage.spec()).await;
        assert!(
            printed.contains("tried\n") && !printed.contains("ESCAPED"),
            "{stage:?}: {printed}"
        );
        assert_eq!(std::fs::read(&exe).unwrap(), before, "{stage:?}");
        assert_eq!(std::fs::read_to_string(&other).unwrap(), "password", "{stage:?}");
        assert_eq!(std::fs::read_dir(file("other-plugin")).unwrap().count(), 1);
        assert_eq!(std::fs::read_dir(file("plugin")).unwrap().count(), 2);
        cage.assert_clean().await;
    }
}

#[tokio::test]
async fn a_program_gets_no_descriptor_but_its_streams() {
    for stage in Stage::all() {
        let cage = Cage::new(stage).await;
        let (printed, _) = cage.escape(&["descriptors"], cage.spec()).await;
        assert_eq!(printed, "looked\n", "{stage:?}");
        cage.assert_clean().await;
    }
}

#[tokio::test]
async fn the_private_folder_for_temporary_files_is_bounded_and_empty() {
    for stage in Stage::with_namespaces() {
        let cage = Cage::new(stage).await;
        let mut spec = cage.spec();
        (spec.tmp_bytes, spec.tmp_files) = (1 << 20, 50);
        let (printed, _) = cage.run(&["/bin/ls", "-A", "/tmp"], spec.clone(), &[]).await;
        assert_eq!(printed, "", "{stage:?}");
        let (printed, _) = cage.escape(&["fill", "/tmp", "4000000", "1000"], spec).await;
        let lines: Vec<&str> = printed.lines().collect();
        assert_eq!(lines[0], "bytes 1048576 ENOSPC", "{stage:?}");
        assert!(lines[1].ends_with(" ENOSPC"), "{stage:?}: {printed}");
        cage.assert_clean().await;
    }
}

/// What one program leaves in a writable folder must not lead the jail of the next one astray.
#[tokio::test]
async fn a_link_left_where_the_next_jail_mounts_is_not_followed() {
    for stage in Stage::with_namespaces() {
        let cage = Cage::new(stage).await;
        std::os::unix::fs::symlink("/etc", cage.folder.path().join("scratch/inner")).unwrap();
        let mut spec = cage.spec();
        let mut inner = spec.binds[0].clone();
        inner.target = "/scratch/inner/hosts".into();
        spec.binds.push(inner);
        let refused = cage.try_spawn(&["/bin/true"], spec).await;
        let message = refused.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(message.contains("/scratch/inner/hosts"), "{stage:?}: {message}");
        cage.assert_clean().await;
    }
}

#[tokio::test]
async fn a_mount_below_a_read_only_folder_is_read_only_too() {
    for stage in Stage::with_namespaces() {
        let cage = Cage::new(stage).await;
        let mut spec = cage.spec();
        // /dev holds writable mounts of its own on every machine (/dev/shm).
        let mut dev = spec.binds[0].clone();
        (dev.source, dev.target) = ("/dev".into(), "/machine".into());
        spec.binds.push(dev);
        let script = "echo x > /machine/shm/escaped; echo status $?";
        let (printed, _) = cage.run(&["/bin/sh", "-c", script], spec, &[]).await;
        assert!(!printed.contains("status 0"), "{stage:?}: {printed}");
        assert!(!std::path::Path::new("/dev/shm/escaped").exists());
        cage.assert_clean().await;
    }
}
