use proptest::prelude::*;

use super::*;

fn chunk(seq: u64, text: &str, records: u32) -> v1::DataChunk {
    v1::DataChunk {
        seq,
        schema_id: 1,
        crc32c: crc32c::crc32c(text.as_bytes()),
        records,
        schema: (seq == 0).then(|| definition(1, "out")),
        payload: Some(Payload::Jsonl(text.to_owned().into())),
    }
}

fn definition(schema_id: u32, name: &str) -> v1::SchemaDefinition {
    let data_stream = v1::DataStream { name: name.to_owned(), ..v1::DataStream::default() };
    v1::SchemaDefinition { schema_id, data_stream: Some(data_stream) }
}

fn results() -> Results {
    Results::new(v1::Credit { chunks: 4, bytes: 100 }, 1_000)
}

fn refusal(chunk: v1::DataChunk) -> String {
    results().take(chunk).unwrap_err().to_string()
}

#[test]
fn records_come_out_by_data_stream() {
    let mut results = results();
    results.take(chunk(0, "{\"a\":1}\n{\"a\":2}\n", 2)).unwrap();
    let second =
        v1::DataChunk { schema: Some(definition(2, "other")), schema_id: 2, ..chunk(1, "{}\n", 1) };
    results.take(second).unwrap();
    results.remember(v1::Bookmark { bookmark_json: "{\"n\":2}".to_owned(), below_seq: 2 }).unwrap();
    let completed = v1::ExecutionCompleted { output_json: "7".to_owned(), chunks: 2 };
    let output = results.complete(&completed).unwrap();
    assert_eq!(output.result, Some(7.into()));
    assert_eq!(output.state.as_deref(), Some("{\"n\":2}"));
    let counts: Vec<_> =
        output.records.iter().map(|(name, all)| (name.as_str(), all.len())).collect();
    assert_eq!(counts, [("out", 2), ("other", 1)]);
}

#[test]
fn lies_are_found_out() {
    for (lie, says) in [
        (chunk(1, "{}\n", 1), "chunk 1 where 0 comes next"),
        (v1::DataChunk { crc32c: 1, ..chunk(0, "{}\n", 1) }, "checksum 00000001"),
        (chunk(0, "{}\n", 2), "for 2 records, and it has 1"),
        (chunk(0, "{}\n{}\n", 1), "for 1 records, and it has 2"),
        (chunk(0, "{}", 1), "last line has no end"),
        (chunk(0, "", 0), "last line has no end"),
        (chunk(0, "[]\n", 1), "line 1 is no object"),
        (chunk(0, "{}\n{\n", 2), "line 2 is no JSON"),
        (v1::DataChunk { schema_id: 9, ..chunk(0, "{}\n", 1) }, "schema 9"),
        (
            v1::DataChunk { schema: Some(definition(1, "")), ..chunk(0, "{}\n", 1) },
            "without a data stream",
        ),
        (
            v1::DataChunk { schema: Some(definition(0, "x")), ..chunk(0, "{}\n", 1) },
            "no new number",
        ),
        (v1::DataChunk { payload: None, ..chunk(0, "{}\n", 1) }, "without a payload"),
        (
            v1::DataChunk { payload: Some(Payload::ArrowIpc("x".into())), ..chunk(0, "", 0) },
            "Arrow",
        ),
        (chunk(0, &format!("{{\"a\":\"{}\"}}\n", "x".repeat(100)), 1), "credit"),
    ] {
        let refused = refusal(lie);
        assert!(refused.contains(says), "{refused}");
    }
}

#[test]
fn json_nested_without_end_is_refused() {
    let deep = format!("{{\"a\":{}{}}}\n", "[".repeat(40), "]".repeat(40));
    results().take(chunk(0, &deep, 1)).unwrap();
    let deeper = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(check_json(&deeper, "its output").is_err());
}

#[test]
fn credit_is_given_back_when_half_of_it_is_used() {
    let mut results = results();
    assert_eq!(results.take(chunk(0, "{}\n", 1)).unwrap(), None);
    assert_eq!(results.take(chunk(1, "{}\n", 1)).unwrap(), None);
    let back = results.take(chunk(2, "{}\n", 1)).unwrap();
    assert_eq!(back, Some(v1::Credit { chunks: 3, bytes: 9 }));
}

#[test]
fn ends_that_do_not_fit_are_refused() {
    let completed =
        |chunks, output: &str| v1::ExecutionCompleted { output_json: output.to_owned(), chunks };
    assert!(results().complete(&completed(1, "")).is_err());
    assert!(results().complete(&completed(0, "{")).is_err());
    assert_eq!(results().complete(&completed(0, "")).unwrap(), PluginOutput::default());
    let bookmark =
        |text: &str, below_seq| v1::Bookmark { bookmark_json: text.to_owned(), below_seq };
    assert!(results().remember(bookmark("{", 0)).is_err());
    assert!(results().remember(bookmark("{}", 1)).is_err());
}

#[test]
fn there_is_an_end_to_what_may_be_handed_over() {
    let mut results = Results::new(v1::Credit { chunks: 1_000, bytes: 1 << 20 }, 10);
    results.take(chunk(0, "{}\n", 1)).unwrap();
    let error = results.take(chunk(1, "{\"a\":1}\n", 1)).unwrap_err().to_string();
    assert!(error.contains("output_bytes"), "{error}");
}

proptest! {
    #[test]
    fn no_payload_panics(payload: Vec<u8>, seq in 0_u64..2, records in 0_u32..3) {
        let chunk = v1::DataChunk {
            crc32c: crc32c::crc32c(&payload),
            payload: Some(Payload::Jsonl(payload.into())),
            ..chunk(seq, "", records)
        };
        let _ = results().take(chunk);
    }
}
