use proptest::prelude::*;

use super::*;

fn entry<'a>(path: &'a str, kind: EntryKind<'a>) -> ArchiveEntry<'a> {
    ArchiveEntry { path: path.as_bytes(), kind, mode: 0o755, bytes: 1 }
}

fn link<'a>(path: &'a str, target: &'a str) -> ArchiveEntry<'a> {
    entry(path, EntryKind::SymbolicLink { target: target.as_bytes() })
}

fn hard<'a>(path: &'a str, target: &'a str) -> ArchiveEntry<'a> {
    entry(path, EntryKind::HardLink { target: target.as_bytes() })
}

fn check(entries: &[ArchiveEntry<'_>]) -> Result<Vec<String>, ArchiveRefusal> {
    let mut check =
        ArchiveCheck::new(ArchiveLimits { entries: 8, file_bytes: 10, total_bytes: 15 });
    let admitted = entries.iter().filter_map(|entry| check.admit(entry).transpose());
    admitted.map(|path| path.map(|path| path.to_string())).collect()
}

#[test]
fn an_ordinary_archive_is_admitted() {
    let entries = [
        entry("./", EntryKind::Folder),
        entry("lib/", EntryKind::Folder),
        entry("lib/a.so.1", EntryKind::File),
        link("lib/a.so", "a.so.1"),
        link("lib/deep/up", "../a.so"),
        hard("b", "lib/a.so.1"),
    ];
    let admitted = check(&entries).unwrap();
    assert_eq!(admitted, ["lib", "lib/a.so.1", "lib/a.so", "lib/deep/up", "b"]);
}

#[test]
fn whatever_leads_out_is_refused() {
    let file = EntryKind::File;
    for bad in ["/etc/passwd", "../x", "a/../../x", "a\\b", "a\nb", ""] {
        assert!(matches!(check(&[entry(bad, file)]), Err(ArchiveRefusal::Path { .. })), "{bad}");
    }
    for (path, target) in [
        ("a", "/etc/passwd"),
        ("a", "../x"),
        ("d/a", "../../x"),
        ("a", "b/../../x"),
        // Through a link that leads to a higher folder this would climb out.
        ("m", "p/q/r/l/../x"),
        ("a", ""),
    ] {
        let refusal = check(&[link(path, target)]);
        assert!(matches!(refusal, Err(ArchiveRefusal::LinkOut { .. })), "{path} -> {target}");
    }
}

#[test]
fn nothing_is_written_through_a_link_or_over_something_else() {
    let file = EntryKind::File;
    for entries in [
        [link("d", "e"), entry("d/x", file)],
        [entry("d/x", file), link("d", "e")],
        [entry("x", file), entry("x", file)],
        [entry("x", file), entry("x/y", file)],
        [entry("x", file), entry("./x", file)],
        [link("x", "y"), entry("x", EntryKind::Folder)],
    ] {
        assert!(matches!(check(&entries), Err(ArchiveRefusal::Clash { .. })), "{entries:?}");
    }
}

#[test]
fn hard_links_need_a_file_of_the_archive() {
    for entries in [
        vec![hard("a", "/etc/shadow")],
        vec![hard("a", "b"), entry("b", EntryKind::File)],
        vec![link("l", "x"), hard("a", "l")],
    ] {
        assert!(matches!(check(&entries), Err(ArchiveRefusal::LinkTarget { .. })), "{entries:?}");
    }
}

#[test]
fn devices_and_special_bits_are_refused() {
    let refusal = check(&[entry("dev", EntryKind::Special)]).unwrap_err();
    assert_eq!(refusal.to_string(), "`dev` is neither file, folder nor link");
    let setuid = ArchiveEntry { mode: 0o4755, ..entry("su", EntryKind::File) };
    assert_eq!(check(&[setuid]), Err(ArchiveRefusal::Mode { path: "su".into(), mode: 0o4755 }));
}

#[test]
fn counts_and_sizes_have_an_end() {
    let sized = |path, bytes| ArchiveEntry { bytes, ..entry(path, EntryKind::File) };
    assert!(matches!(check(&[sized("a", 11)]), Err(ArchiveRefusal::FileBytes { .. })));
    let refusal = check(&[sized("a", 10), sized("b", 10)]);
    assert_eq!(refusal, Err(ArchiveRefusal::TotalBytes { limit: 15 }));
    let many = vec![entry("d", EntryKind::Folder); 9];
    assert_eq!(check(&many), Err(ArchiveRefusal::Entries { limit: 8 }));
    assert!(check(&[sized("a", u64::MAX)]).is_err());
}

/// Where a path really leads, as a kernel would find it; none outside of the folder.
fn resolve(
    links: &BTreeMap<String, String>,
    from: &[String],
    path: &str,
    depth: u32,
) -> Option<Vec<String>> {
    let mut at = from.to_vec();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            at.pop()?;
            continue;
        }
        at.push(part.to_owned());
        if let Some(target) = links.get(&at.join("/")) {
            at.pop();
            at = if depth == 0 { return Some(at) } else { resolve(links, &at, target, depth - 1)? };
        }
    }
    Some(at)
}

proptest! {
    #[test]
    fn no_admitted_link_leads_out(
        links in proptest::collection::vec(("[ab](/[ab]){0,3}", "(\\.\\./){0,2}[ab.]{1,2}(/(\\.\\.|[ab])){0,3}"), 1..6)
    ) {
        let mut check = ArchiveCheck::default();
        let mut admitted = BTreeMap::new();
        for (path, target) in &links {
            if let Ok(Some(path)) = check.admit(&link(path, target)) {
                admitted.insert(path.to_string(), target.clone());
            }
        }
        for path in admitted.keys() {
            prop_assert!(resolve(&admitted, &[], path, 8).is_some(), "{path} in {admitted:?}");
        }
    }

    #[test]
    fn no_bytes_panic(path: Vec<u8>, target: Vec<u8>, mode: u32, bytes: u64) {
        let kind = EntryKind::SymbolicLink { target: &target };
        let _ = ArchiveCheck::default().admit(&ArchiveEntry { path: &path, kind, mode, bytes });
        let kind = EntryKind::File;
        let _ = ArchiveCheck::default().admit(&ArchiveEntry { path: &path, kind, mode, bytes });
    }
}
