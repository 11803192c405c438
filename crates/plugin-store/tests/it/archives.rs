//! Taking in archives: good ones, and those that want out.

use std::{fs, io::Write as _, path::PathBuf};

use flate2::{Compression, write::GzEncoder};
use flexcore_plugin_protocol::ArchiveLimits;
use flexcore_plugin_store::StoreOptions;
use tar::{Builder, EntryType, Header};

use crate::support::{MANIFEST, Stage};

/// An entry of a tar archive, its name as it is: the library would not write the bad ones.
fn entry(archive: &mut Builder<Vec<u8>>, name: &str, kind: EntryType, link: &str, bytes: &[u8]) {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o755);
    header.set_size(bytes.len() as u64);
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_cksum();
    archive.append(&header, bytes).unwrap();
}

fn good() -> Builder<Vec<u8>> {
    let mut archive = Builder::new(Vec::new());
    entry(&mut archive, "./", EntryType::Directory, "", b"");
    entry(&mut archive, "plugin.toml", EntryType::Regular, "", MANIFEST.as_bytes());
    entry(&mut archive, "config.schema.json", EntryType::Regular, "", b"{}");
    entry(&mut archive, "bin/greeter", EntryType::Regular, "", b"#!/bin/sh\n");
    archive
}

fn save(stage: &Stage, name: &str, bytes: &[u8]) -> PathBuf {
    let path = stage.path(name);
    fs::write(&path, bytes).unwrap();
    path
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zip(entries: &[(&str, &[u8], u32)]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes, mode) in entries {
        let options = zip::write::SimpleFileOptions::default().unix_permissions(*mode);
        archive.start_file(*name, options).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

#[tokio::test]
async fn the_same_files_have_the_same_digest_however_they_come() {
    let stage = Stage::new();
    let mut archive = good();
    entry(&mut archive, "bin/again", EntryType::Link, "bin/greeter", b"");
    let long = format!("lib/{}/name.txt", "x".repeat(120));
    let mut header = Header::new_gnu();
    header.set_size(1);
    header.set_mode(0o644);
    archive.append_data(&mut header, &long, &b"l"[..]).unwrap();
    let plain = archive.into_inner().unwrap();
    let zipped = zip(&[
        ("plugin.toml", MANIFEST.as_bytes(), 0o644),
        ("config.schema.json", b"{}", 0o644),
        ("bin/greeter", b"#!/bin/sh\n", 0o755),
        ("bin/again", b"#!/bin/sh\n", 0o755),
        (&long, b"l", 0o644),
    ]);
    let mut digests = Vec::new();
    for (name, bytes) in [("a.tar", plain.clone()), ("a.tar.gz", gzip(&plain)), ("a.zip", zipped)] {
        let kept = stage.install(&save(&stage, name, &bytes)).await.unwrap();
        assert!(kept.folder.join(&long).is_file());
        digests.push(kept.digest);
    }
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:?}");
}

#[tokio::test]
async fn nothing_of_a_hostile_archive_is_left_behind() {
    let stage = Stage::new();
    let outside = stage.path("outside");
    let absolute = outside.to_str().unwrap().to_owned();
    let hostile: [(&str, &str, EntryType, &str); 9] = [
        ("up", "../../../../outside", EntryType::Regular, ""),
        ("absolute", &absolute, EntryType::Regular, ""),
        ("link out", "link", EntryType::Symlink, "/etc/passwd"),
        ("climbing link", "lib/link", EntryType::Symlink, "../../x"),
        ("hard link out", "link", EntryType::Link, "/etc/passwd"),
        ("device", "null", EntryType::Char, ""),
        ("pipe", "pipe", EntryType::Fifo, ""),
        ("twice", "bin/greeter", EntryType::Regular, ""),
        ("below a file", "bin/greeter/x", EntryType::Regular, ""),
    ];
    for (what, name, kind, link) in hostile {
        let mut archive = good();
        entry(&mut archive, name, kind, link, b"");
        let path = save(&stage, "hostile.tar", &archive.into_inner().unwrap());
        let error = stage.install(&path).await.unwrap_err();
        assert_eq!(error.code, "FC0609", "{what}: {error}");
        assert!(stage.kept().is_empty(), "{what}");
        assert!(!outside.exists(), "{what}");
    }
}

#[tokio::test]
async fn a_file_through_a_link_of_the_archive_is_refused() {
    let stage = Stage::new();
    let mut archive = good();
    entry(&mut archive, "way", EntryType::Symlink, "bin", b"");
    entry(&mut archive, "way/x", EntryType::Regular, "", b"x");
    let path = save(&stage, "hostile.tar", &archive.into_inner().unwrap());
    assert_eq!(stage.install(&path).await.unwrap_err().code, "FC0609");
}

#[tokio::test]
async fn a_decompression_bomb_ends_at_the_limit() {
    let limits = ArchiveLimits { entries: 10, file_bytes: 1 << 20, total_bytes: 1 << 20 };
    let stage = Stage::with(StoreOptions { limits, must_be_signed: false });
    let zeros = vec![0; 8 << 20];
    let mut archive = good();
    entry(&mut archive, "zeros", EntryType::Regular, "", &zeros);
    let path = save(&stage, "bomb.tar.gz", &gzip(&archive.into_inner().unwrap()));
    assert_eq!(stage.install(&path).await.unwrap_err().code, "FC0609");

    // A name that is as large as a file.
    let mut archive = Builder::new(Vec::new());
    entry(&mut archive, "././@LongLink", EntryType::GNULongName, "", &zeros);
    let path = save(&stage, "name.tar.gz", &gzip(&archive.into_inner().unwrap()));
    assert_eq!(stage.install(&path).await.unwrap_err().code, "FC0677");

    let path = save(&stage, "bomb.zip", &zip(&[("zeros", &zeros, 0o644)]));
    assert_eq!(stage.install(&path).await.unwrap_err().code, "FC0609");
    assert!(stage.kept().is_empty());
}

#[tokio::test]
async fn a_zip_that_lies_about_a_length_is_refused() {
    let stage = Stage::new();
    let mut bytes = zip(&[
        ("plugin.toml", MANIFEST.as_bytes(), 0o644),
        ("config.schema.json", b"{}", 0o644),
        ("bin/greeter", b"#!/bin/sh\n", 0o755),
    ]);
    // The uncompressed size of the first entry in the central directory.
    let directory = bytes.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    bytes[directory + 24..directory + 28].copy_from_slice(&5_u32.to_le_bytes());
    let error = stage.install(&save(&stage, "lie.zip", &bytes)).await.unwrap_err();
    assert_eq!(error.code, "FC0677", "{error}");
}

#[tokio::test]
async fn cut_archives_and_other_files_are_refused() {
    let stage = Stage::new();
    let whole = good().into_inner().unwrap();
    let zipped = zip(&[("plugin.toml", MANIFEST.as_bytes(), 0o644)]);
    for (name, bytes) in [
        ("cut.tar", whole[..1_300].to_vec()),
        ("cut.tar.gz", gzip(&whole)[..120].to_vec()),
        ("cut.zip", zipped[..zipped.len() / 2].to_vec()),
        ("text.tar", b"this is no archive".to_vec()),
        ("empty.tar", Vec::new()),
    ] {
        let error = stage.install(&save(&stage, name, &bytes)).await.unwrap_err();
        assert_eq!(error.code, "FC0677", "{name}: {error}");
        assert!(error.message.contains(name), "{error}");
    }
    assert!(stage.kept().is_empty());
}
