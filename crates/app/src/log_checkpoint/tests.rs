use proptest::prelude::*;

use super::*;

/// What every program that reads notes must agree on: a key, a checkpoint, and its signed note.
const GOLDEN_KEY: &str = include_str!("../../tests/golden/checkpoint.key");
const GOLDEN_PUBLIC_KEY: &str = include_str!("../../tests/golden/checkpoint.key.pub");
const GOLDEN_NOTE: &str = include_str!("../../tests/golden/checkpoint.note");

fn key() -> CheckpointKey {
    CheckpointKey::from_seed("flexcore-test", &[7; 32]).unwrap()
}

fn checkpoint(batch: u64) -> LogCheckpoint {
    LogCheckpoint {
        log: Hash([0xab; 32]),
        head: LogHead { position: batch * 3, batch, hash: Hash([0x5c; 32]) },
        signed_at: Timestamp::from_micros(1_767_225_600_000_001),
    }
}

#[test]
fn a_checkpoint_is_signed_as_the_golden_files_say() {
    assert_eq!(key().secret_text() + "\n", GOLDEN_KEY);
    assert_eq!(format!("{}\n", key().public()), GOLDEN_PUBLIC_KEY);
    assert_eq!(checkpoint(14).sign(&key()), GOLDEN_NOTE);
    let public: CheckpointPublicKey = GOLDEN_PUBLIC_KEY.parse().unwrap();
    assert_eq!(LogCheckpoint::open(GOLDEN_NOTE, &public), Ok(checkpoint(14)));
    let private: CheckpointKey = GOLDEN_KEY.parse().unwrap();
    assert_eq!(private.public(), public);
}

#[test]
fn what_is_no_key_is_refused_without_repeating_it() {
    let public = key().public().to_string();
    let secret = key().secret_text();
    assert_eq!(secret.parse::<CheckpointPublicKey>(), Err(KeyError::IsPrivate));
    let error = public.parse::<CheckpointKey>().unwrap_err().to_string();
    assert_eq!(error, "it is not a private key, `PRIVATE+KEY+<name>+<id>+<key>`");
    let renamed = public.replace("flexcore-test", "other");
    assert_eq!(renamed.parse::<CheckpointPublicKey>(), Err(KeyError::Damaged));
    let renamed = secret.replace("flexcore-test", "other");
    assert_eq!(renamed.parse::<CheckpointKey>().unwrap_err(), KeyError::Damaged);
    for name in ["", "two words", "a+b", "line\nfeed"] {
        let error = CheckpointKey::from_seed(name, &[7; 32]).unwrap_err();
        assert_eq!(error, KeyError::Name(name.to_owned()));
    }
    assert!(!format!("{:?}", key()).contains(secret.rsplit('+').next().unwrap()));
}

#[test]
fn a_changed_a_foreign_and_a_torn_note_are_told_apart() {
    let note = checkpoint(14).sign(&key());
    let public = key().public();
    let open = |note: &str| LogCheckpoint::open(note, &public).unwrap_err();
    assert_eq!(open(&note.replace("\n42\n", "\n43\n")), NoteError::Forged);
    let other = CheckpointKey::from_seed("flexcore-test", &[8; 32]).unwrap();
    let of_other = NoteError::OtherKey { key: "flexcore-test".to_owned() };
    assert_eq!(open(&checkpoint(14).sign(&other)), of_other);
    let (text, _) = note.split_once("\n\n").unwrap();
    assert_eq!(open(text), NoteError::Unfinished);
    assert_eq!(open(&format!("{note}more\n")), NoteError::Malformed { line: 8 });
    let signature = note.lines().last().unwrap();
    let id_only = signature.replace(signature.rsplit(' ').next().unwrap(), "AAAAAA==");
    assert_eq!(open(&note.replace(signature, &id_only)), of_other);
}

#[test]
fn a_note_that_is_signed_by_others_too_is_good() {
    let other = CheckpointKey::from_seed("witness", &[8; 32]).unwrap();
    let note = checkpoint(14).sign(&key());
    let theirs = checkpoint(14).sign(&other);
    let both = format!("{note}{}\n", theirs.lines().last().unwrap());
    assert_eq!(LogCheckpoint::open(&both, &key().public()), Ok(checkpoint(14)));
    assert_eq!(LogCheckpoint::open(&both, &other.public()), Ok(checkpoint(14)));
}

#[test]
fn every_note_of_a_file_is_judged_alone_and_named_by_its_line() {
    let good = |batch| checkpoint(batch).sign(&key());
    let torn = &good(2)[..90];
    let forged = good(3).replace("\n9\n", "\n8\n");
    let file = format!("\n{}\n{torn}\n{forged}\n\n{}", good(1), good(4).trim_end());
    let found = read_notes(&file, &key().public());
    let found: Vec<_> = found.into_iter().map(|note| (note.line, note.checkpoint)).collect();
    let expected = [
        (2, Ok(checkpoint(1))),
        (10, Err(NoteError::Unfinished)),
        (14, Err(NoteError::Forged)),
        (23, Ok(checkpoint(4))),
    ];
    assert_eq!(found, expected);
    let garbage = read_notes("no note\n", &key().public());
    assert_eq!(garbage, [FoundNote { line: 1, checkpoint: Err(NoteError::Unfinished) }]);
}

#[test]
fn a_checkpoint_has_one_text_only() {
    let text = checkpoint(14).text();
    for (from, to, line) in [
        ("flexcore log", "some log", 1),
        ("abab", "ABAB", 1),
        ("\n42\n", "\n042\n", 2),
        ("\n42\n", "\n+42\n", 2),
        ("\n14\n", "\n0\n", 3),
        ("\n14\n", "\n\n", 3),
        ("XFxc", "XFx", 4),
        ("Z\n", "+00:00\n", 5),
        ("Z\n", "Z\nmore\n", 6),
        ("Z\n", "Z", 6),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        let found = LogCheckpoint::parse(&changed).map_err(|error| error.line);
        // A text without its last line feed is caught by the frame of notes.
        let expected = if to == "Z" { Ok(checkpoint(14)) } else { Err(line) };
        assert_eq!(found, expected, "{changed}");
    }
}

proptest! {
    #[test]
    fn any_checkpoint_comes_back(
        log: [u8; 32],
        hash: [u8; 32],
        position in 1_u64..,
        batch in 1_u64..,
        micros in -100_000_000_000_000_000_i64..200_000_000_000_000_000,
    ) {
        let head = LogHead { position, batch, hash: Hash(hash) };
        let signed_at = Timestamp::from_micros(micros);
        let checkpoint = LogCheckpoint { log: Hash(log), head, signed_at };
        let note = checkpoint.sign(&key());
        prop_assert_eq!(LogCheckpoint::open(&note, &key().public()), Ok(checkpoint));
    }

    #[test]
    fn a_note_with_any_other_byte_is_refused_or_the_same(place: prop::sample::Index, byte: u8) {
        let mut note = checkpoint(14).sign(&key()).into_bytes();
        let place = place.index(note.len());
        note[place] = byte;
        if let Ok(note) = String::from_utf8(note)
            && let Ok(opened) = LogCheckpoint::open(&note, &key().public())
        {
            prop_assert_eq!(opened, checkpoint(14));
        }
    }

    #[test]
    fn no_text_panics_a_reader(text in "(flexcore log )?[\\PC\n\u{2014} ]{0,200}") {
        read_notes(&text, &key().public());
        let _ = text.parse::<CheckpointKey>();
        let _ = text.parse::<CheckpointPublicKey>();
    }
}
