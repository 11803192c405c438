//! Properties of the public codec: nothing panics, everything that is written reads back.

use flexcore_singer::{
    ActivateVersionMessage, BatchMessage, Catalog, CatalogRules, Json, Kind, Message,
    RecordMessage, SchemaMessage, SelectPattern, State, StateMessage, glance, members,
};
use proptest::prelude::*;

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?".prop_map(Json::Number),
        any::<String>().prop_map(Json::String),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Json::Array),
            object(inner).prop_map(Json::Object),
        ]
    })
}

fn object(values: impl Strategy<Value = Json>) -> impl Strategy<Value = flexcore_singer::Object> {
    prop::collection::vec((any::<String>(), values), 0..5)
        .prop_map(|members| members.into_iter().collect())
}

/// Lines that are nearly right: pieces of messages in any order.
fn shards() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "\\",
        "\\u12",
        "\"type\"",
        "\"RECORD\"",
        "\"stream\"",
        "\"record\"",
        "\"value\"",
        "\"STATE\"",
        "NaN",
        "-Infinity",
        "1",
        "-",
        "0.",
        "1e",
        "null",
        " ",
        "\n",
        "é",
        "{\"type\":\"RECORD\",\"stream\":\"a\",\"record\":{",
        "}}",
    ]);
    prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_bytes_panic_any_parser(line in any::<Vec<u8>>()) {
        let _ = Message::parse(&line);
        glance(&line);
        if let Ok(text) = std::str::from_utf8(&line) {
            let _ = (Json::parse(text), State::parse(text), Catalog::parse(text));
            members(text).for_each(drop);
        }
    }

    #[test]
    fn no_broken_message_panics_any_parser(line in shards()) {
        let parsed = Message::parse(line.as_bytes());
        let seen = glance(line.as_bytes());
        let _ = (Json::parse(&line), State::parse(&line), Catalog::parse(&line));
        SelectPattern::parse(&line);
        if parsed.is_ok() {
            prop_assert_ne!(seen.kind, Kind::NotJson, "a sound line passes the glance");
        }
    }

    #[test]
    fn the_scanner_accepts_what_serde_json_accepts(line in shards()) {
        let ours = Json::parse(&line).is_ok();
        let theirs = serde_json::from_str::<&serde_json::value::RawValue>(&line).is_ok();
        prop_assert_eq!(ours, theirs, "{}", line);
    }

    #[test]
    fn trees_round_trip(tree in json()) {
        let text = tree.to_string();
        prop_assert_eq!(Json::parse(&text).unwrap(), tree.clone());
        prop_assert!(serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok());
    }

    #[test]
    fn records_round_trip(
        stream in any::<String>(),
        record in object(json()),
        version in any::<Option<i64>>(),
        time in any::<Option<String>>(),
    ) {
        let record = Json::Object(record).to_string();
        let message = RecordMessage {
            stream: stream.as_str().into(),
            record: &record,
            version,
            time_extracted: time.as_deref().map(Into::into),
        };
        let mut line = Vec::new();
        message.write_line(&mut line);
        prop_assert_eq!(Message::parse(&line).unwrap(), Message::Record(message));
        let seen = glance(&line);
        prop_assert_eq!(seen.kind, Kind::Record);
        prop_assert_eq!(seen.stream.as_deref(), Some(stream.as_str()));
    }

    #[test]
    fn schemas_round_trip(
        stream in any::<String>(),
        schema in object(json()),
        key_properties in any::<Vec<String>>(),
        bookmark_properties in any::<Vec<String>>(),
    ) {
        let message = SchemaMessage {
            stream: stream.into(),
            schema: Json::Object(schema).to_string().into(),
            key_properties,
            bookmark_properties,
        };
        let mut line = Vec::new();
        message.write_line(&mut line);
        prop_assert_eq!(Message::parse(&line).unwrap(), Message::Schema(message));
    }

    #[test]
    fn the_others_round_trip(
        value in object(json()),
        stream in any::<String>(),
        version in any::<i64>(),
        manifest in any::<Vec<String>>(),
        compression in any::<Option<String>>(),
    ) {
        let value = Json::Object(value).to_string();
        let mut line = Vec::new();
        StateMessage { value: &value }.write_line(&mut line);
        prop_assert_eq!(Message::parse(&line).unwrap(), Message::State(StateMessage { value: &value }));

        let activate = ActivateVersionMessage { stream: stream.as_str().into(), version };
        line.clear();
        activate.write_line(&mut line);
        prop_assert_eq!(Message::parse(&line).unwrap(), Message::ActivateVersion(activate));

        let batch = BatchMessage {
            stream: stream.as_str().into(),
            format: "jsonl".into(),
            compression: compression.map(Into::into),
            manifest,
        };
        line.clear();
        batch.write_line(&mut line);
        prop_assert_eq!(Message::parse(&line).unwrap(), Message::Batch(batch));
    }

    #[test]
    fn merging_keeps_every_stream_and_takes_the_newer(
        old in object(json()),
        new in object(json()),
    ) {
        let state = |bookmarks: &flexcore_singer::Object| {
            let mut state = State::default();
            bookmarks.iter().for_each(|(stream, value)| state.set_stream(stream, value.clone()));
            state
        };
        let (older, newer) = (state(&old), state(&new));
        let mut merged = older.clone();
        merged.merge(&newer);
        for stream in older.streams().chain(newer.streams()) {
            let expected = newer.stream(stream).or_else(|| older.stream(stream));
            prop_assert_eq!(merged.stream(stream), expected);
        }
        prop_assert_eq!(State::parse(&merged.to_string()).unwrap(), merged.clone());
        prop_assert!(older.differences(&older).is_empty());
    }

    #[test]
    fn no_pattern_panics_a_catalog(patterns in prop::collection::vec("[a-z.*?!\\[\\]\\\\]{0,8}", 0..4)) {
        let mut catalog = Catalog::parse(
            r#"{"streams":[{"stream":"a.b","schema":{"properties":{"c":{"properties":{"d":{}}}}}}]}"#,
        ).unwrap();
        let select = patterns.iter().map(|pattern| SelectPattern::parse(pattern)).collect();
        catalog.apply(&CatalogRules { select, ..CatalogRules::default() });
        prop_assert_eq!(Catalog::parse(&catalog.to_json().to_string()).unwrap(), catalog);
    }
}
