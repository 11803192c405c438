use std::fs;

use flexcore_singer::{Catalog, Object};

use super::*;
use crate::tap::{
    blocks::Blocks,
    error::RecordError,
    format::{KeyValue, RecordFormat as _},
};

fn format(entry: &str) -> CsvFormat {
    let entry = serde_json::from_str(entry).unwrap();
    CsvFormat::new("s", &entry)
}

fn blocks(content: &str) -> (tempfile::TempDir, Blocks) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.csv");
    fs::write(&path, content).unwrap();
    let blocks = Blocks::open(&path).unwrap();
    (folder, blocks)
}

/// Samples and sends a whole file: the schema first, then records, a schema again where it widened.
fn send(format: &mut CsvFormat, sampled: &str, content: &str) -> Result<String, RecordError> {
    format.sample(&mut blocks(sampled).1)?;
    let (_folder, mut blocks) = blocks(content);
    format.begin_file(&mut blocks)?;
    let mut lines = vec![format.schema().to_string()];
    while let Some(length) = format.next(&mut blocks)? {
        let record = blocks.available()[..length].to_vec();
        let mut out = Vec::new();
        while !format.write(&record, &mut out)? {
            out.clear();
            lines.push(format.schema().to_string());
        }
        lines.push(String::from_utf8(out).unwrap().trim_end().to_owned());
        blocks.consume(length);
    }
    Ok(lines.join("\n"))
}

fn send_all(entry: &str, content: &str) -> String {
    send(&mut format(entry), content, content).unwrap()
}

#[test]
fn types_are_inferred_and_texts_survive() {
    let content = "id,zip,price,ok,note,none\n1,007,12.50,true,\"say \"\"hi\"\"\nthere\",\n-2,1e5,3,false,é,\n";
    insta::assert_snapshot!(send_all(r#"{"path":"x","key":["id"]}"#, content), @r#"
    {"type":"object","properties":{"id":{"type":["integer"]},"zip":{"type":["string","null"]},"price":{"type":["number","null"]},"ok":{"type":["boolean","null"]},"note":{"type":["string","null"]},"none":{"type":["string","null"]}}}
    {"type":"RECORD","stream":"s","record":{"id":1,"zip":"007","price":12.50,"ok":true,"note":"say \"hi\"\nthere","none":null}}
    {"type":"RECORD","stream":"s","record":{"id":-2,"zip":"1e5","price":3,"ok":false,"note":"é","none":null}}
    "#);
}

#[test]
fn empty_is_null_and_quoted_empty_is_the_empty_string() {
    let content = "a,b,c\n\"\",,\"x\"\n,\"\",\"\"\n";
    insta::assert_snapshot!(send_all(r#"{"path":"x"}"#, content), @r#"
    {"type":"object","properties":{"a":{"type":["string","null"]},"b":{"type":["string","null"]},"c":{"type":["string","null"]}}}
    {"type":"RECORD","stream":"s","record":{"a":"","b":null,"c":"x"}}
    {"type":"RECORD","stream":"s","record":{"a":null,"b":"","c":""}}
    "#);
    insta::assert_snapshot!(send_all(r#"{"path":"x","quoted_empty":"null","null_values":["","NA"]}"#, "a,b\n\"\",1\n2,NA\n"), @r#"
    {"type":"object","properties":{"a":{"type":["integer","null"]},"b":{"type":["integer","null"]}}}
    {"type":"RECORD","stream":"s","record":{"a":null,"b":1}}
    {"type":"RECORD","stream":"s","record":{"a":2,"b":null}}
    "#);
    insta::assert_snapshot!(send_all(r#"{"path":"x","null_values":["NA"]}"#, "a,b\n,NA\n"), @r#"
    {"type":"object","properties":{"a":{"type":["string","null"]},"b":{"type":["string","null"]}}}
    {"type":"RECORD","stream":"s","record":{"a":"","b":null}}
    "#);
}

#[test]
fn a_value_that_does_not_fit_widens_the_column_and_the_schema_is_sent_again() {
    let mut format = format(r#"{"path":"x"}"#);
    let sent = send(&mut format, "a\n1\n", "a\n1\n2.5\nx\n3\n").unwrap();
    insta::assert_snapshot!(sent, @r#"
    {"type":"object","properties":{"a":{"type":["integer","null"]}}}
    {"type":"RECORD","stream":"s","record":{"a":1}}
    {"type":"object","properties":{"a":{"type":["number","null"]}}}
    {"type":"RECORD","stream":"s","record":{"a":2.5}}
    {"type":"object","properties":{"a":{"type":["string","null"]}}}
    {"type":"RECORD","stream":"s","record":{"a":"x"}}
    {"type":"RECORD","stream":"s","record":{"a":"3"}}
    "#);
    assert_eq!(format.types().get("a"), Some(&"string".into()));
}

#[test]
fn types_of_earlier_runs_are_kept() {
    let mut format = format(r#"{"path":"x"}"#);
    format.widen_to(&[("a", "string".into())].into_iter().collect::<Object>());
    let sent = send(&mut format, "a\n1\n", "a\n1\n").unwrap();
    assert!(sent.ends_with(r#""record":{"a":"1"}}"#), "{sent}");
}

#[test]
fn given_types_convert_and_do_not_give_way() {
    let entry = r#"{"path":"x","types":{"a":"integer","b":"boolean","c":"string","d":"date-time","e":"number"}}"#;
    insta::assert_snapshot!(send_all(entry, "a,b,c,d,e\n007,Yes,1,2024-05-31 10:00,1e5\n"), @r#"
    {"type":"object","properties":{"a":{"type":["integer","null"]},"b":{"type":["boolean","null"]},"c":{"type":["string","null"]},"d":{"type":["string","null"],"format":"date-time"},"e":{"type":["number","null"]}}}
    {"type":"RECORD","stream":"s","record":{"a":7,"b":true,"c":"1","d":"2024-05-31 10:00","e":1e5}}
    "#);
    for (row, expected) in [
        (
            "x,1,1,2024-05-31 10:00,1",
            "column 'a': 'x' is no integer, as `types` or the catalog says it is",
        ),
        (
            "1,maybe,1,2024-05-31 10:00,1",
            "column 'b': 'maybe' is no boolean, as `types` or the catalog says it is",
        ),
        (
            "1,1,1,soon,1",
            "column 'd': 'soon' is no date-time, as `types` or the catalog says it is",
        ),
        (
            "1,1,1,2024-05-31 10:00,.5",
            "column 'e': '.5' is no number, as `types` or the catalog says it is",
        ),
    ] {
        let content = format!("a,b,c,d,e\n{row}\n");
        let error = send(&mut format(entry), &content, &content).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn broken_rows_are_errors() {
    let error = |entry: &str, content: &str| {
        send(&mut format(entry), content, content).unwrap_err().to_string()
    };
    assert_eq!(error(r#"{"path":"x"}"#, "a,b\n1\n"), "the row has 1 fields where the header has 2");
    assert_eq!(error(r#"{"path":"x"}"#, "a,a\n1,2\n"), "the header names 'a' twice");
    assert_eq!(error(r#"{"path":"x","key":["a"]}"#, "a,b\n,2\n"), "key 'a' has no value");
}

#[test]
fn bytes_that_are_not_utf8_are_errors_even_across_fields() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.csv");
    fs::write(&path, b"a,b\nx\xc3,\xa9\n").unwrap();
    let mut format = format(r#"{"path":"x"}"#);
    let error = format.sample(&mut Blocks::open(&path).unwrap()).unwrap_err();
    assert!(matches!(error, RecordError::NotUtf8 { offset: 1 }), "{error}");
    assert_eq!(format.line(), 2);
}

#[test]
fn headers_may_be_given_and_byte_order_marks_and_odd_line_ends_are_passed_over() {
    let sent =
        send_all(r#"{"path":"x","header":["p","q"],"delimiter":";"}"#, "\u{feff}1;2\r\n\r\n3;4");
    insta::assert_snapshot!(sent, @r#"
    {"type":"object","properties":{"p":{"type":["integer","null"]},"q":{"type":["integer","null"]}}}
    {"type":"RECORD","stream":"s","record":{"p":1,"q":2}}
    {"type":"RECORD","stream":"s","record":{"p":3,"q":4}}
    "#);
}

#[test]
fn a_catalog_leaves_out_columns_but_never_keys_and_corrects_types() {
    let catalog = Catalog::parse(
        r#"{"streams":[{"stream":"s","schema":{"properties":{"a":{},"b":{"type":["number","null"]},"c":{}}},
        "metadata":[{"breadcrumb":["properties","a"],"metadata":{"selected":false}},
                    {"breadcrumb":["properties","c"],"metadata":{"selected":false}}]}]}"#,
    )
    .unwrap();
    let mut format = format(r#"{"path":"x","key":["a"]}"#);
    format.sample(&mut blocks("a,b,c\n1,2,3\n").1).unwrap();
    format.apply(&catalog.streams[0]);
    let sent = send(&mut format, "a,b,c\n1,2,3\n", "a,b,c\n1,2,3\n").unwrap();
    insta::assert_snapshot!(sent, @r#"
    {"type":"object","properties":{"a":{"type":["integer"]},"b":{"type":["number","null"]}}}
    {"type":"RECORD","stream":"s","record":{"a":1,"b":2}}
    "#);
}

#[test]
fn key_values_are_numbers_texts_or_null() {
    let mut format = format(r#"{"path":"x","null_values":["","NA"]}"#);
    let (_folder, mut blocks) = blocks("a,b,c,d\n5,2024,x,NA\n");
    format.begin_file(&mut blocks).unwrap();
    format.next(&mut blocks).unwrap();
    let value = |name: &str| format.key_value(b"", name).unwrap();
    assert_eq!(value("a"), KeyValue::Number("5"));
    assert_eq!(value("c"), KeyValue::Text("x"));
    assert_eq!(value("d"), KeyValue::Null);
    assert_eq!(value("nope"), KeyValue::Null);
}

#[test]
fn rows_longer_than_the_buffers_are_read_whole() {
    let long = "x".repeat(700_000);
    let wide: Vec<String> = (0..500).map(|n| format!("c{n}")).collect();
    let sent = send_all(r#"{"path":"x"}"#, &format!("a,b\n{long},1\n"));
    assert!(sent.contains(&format!("\"a\":\"{long}\",\"b\":1")));
    let row = vec!["7"; 500].join(",");
    let sent = send_all(r#"{"path":"x"}"#, &format!("{}\n{row}\n", wide.join(",")));
    assert!(sent.ends_with(r#""c499":7}}"#));
}

#[test]
fn a_copy_of_the_format_reads_as_the_format_itself() {
    let original = format(r#"{"path":"x","delimiter":";"}"#);
    let sent = send(&mut original.clone(), "a;b\n1;x\n", "a;b\n1;x\n").unwrap();
    assert!(sent.ends_with(r#""record":{"a":1,"b":"x"}}"#), "{sent}");
}
