//! CSV to `tap-csv` to `target-csv` to CSV.

use proptest::prelude::*;

use crate::process::{Call, Folder};

/// What becomes of a CSV text on its way through tap and target; `None` if the tap refuses it.
fn through(text: &str) -> Option<String> {
    let folder = Folder::new();
    folder.write("in.csv", text);
    let sent =
        Call::new(&folder, "tap-csv", r#"{"files":[{"path":"in.csv","stream":"s"}]}"#).run("");
    if sent.code != Some(0) {
        return None;
    }
    Call::new(&folder, "target-csv", r#"{"path":"out"}"#).run(&sent.stdout).ok();
    // A file without a header has no columns, and so no stream.
    Some(std::fs::read_to_string(folder.path().join("out/s.csv")).unwrap_or_default())
}

/// A field as the target writes it: null is empty, the empty text is quoted.
fn field(value: Option<&String>) -> String {
    match value {
        None => String::new(),
        Some(text) if text.is_empty() || text.contains([',', '"', '\n', '\r']) => {
            format!("\"{}\"", text.replace('"', "\"\""))
        }
        Some(text) => text.clone(),
    }
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z ,\"\n\r]{0,6}",
        "-?[0-9]{1,20}(\\.[0-9]{1,4})?",
        Just("true".to_owned()),
        any::<String>(),
    ]
}

/// A header and rows of its width. A row of one null would be an empty line, which is no row.
fn table() -> impl Strategy<Value = (Vec<String>, Vec<Vec<Option<String>>>)> {
    prop::collection::hash_set(value(), 1..5).prop_flat_map(|names| {
        let names: Vec<String> = names.into_iter().collect();
        let is_single = names.len() == 1;
        let field = (value(), prop::bool::weighted(0.3))
            .prop_map(move |(text, is_null)| (is_single || !is_null).then_some(text));
        let row = prop::collection::vec(field, names.len());
        (Just(names), prop::collection::vec(row, 0..8))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn csv_in_the_writers_own_quoting_stays_the_same_text((names, rows) in table()) {
        let header: Vec<_> = names.iter().map(|name| field(Some(name))).collect();
        let mut text = format!("{}\n", header.join(","));
        for row in &rows {
            let fields: Vec<_> = row.iter().map(|value| field(value.as_ref())).collect();
            text.push_str(&fields.join(","));
            text.push('\n');
        }
        // A byte order mark at the very start is no text.
        prop_assume!(!text.starts_with('\u{feff}'));
        let back = through(&text);
        prop_assert_eq!(back.as_deref(), Some(&*text));
    }

    #[test]
    fn any_other_csv_keeps_its_fields(text in "[ab1.,\"\n\r]{0,40}") {
        let parse = |text: &str| -> Option<Vec<csv::StringRecord>> {
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
            reader.records().collect::<Result<_, _>>().ok()
        };
        if let Some(back) = through(&text) {
            prop_assert_eq!(parse(&back), parse(&text), "{:?}", back);
        } else {
                let rows = parse(&text);
                let has_twins = rows.iter().flatten().next().is_some_and(|header| {
                    let names: std::collections::HashSet<_> = header.iter().collect();
                    names.len() < header.len()
                });
                prop_assert!(rows.is_none() || has_twins, "the tap refused {:?}", text);
        }
    }
}
