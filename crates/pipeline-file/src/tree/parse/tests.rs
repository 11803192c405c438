use proptest::prelude::*;
use serde_json::json;

use super::*;

fn tree(text: &str) -> Node {
    parse(&SourceFile::new("t.yaml", text)).unwrap()
}

fn error(text: &str) -> String {
    parse(&SourceFile::new("t.yaml", text)).unwrap_err().to_string()
}

#[test]
fn only_true_and_false_are_booleans() {
    assert_eq!(
        tree("[true, false, off, no, Yes, ~, null, '']").to_json(),
        json!([true, false, "off", "no", "Yes", null, null, ""])
    );
}

#[test]
fn numbers_follow_the_core_schema_and_keep_their_text() {
    let node = tree("[1.10, 012, 1_000, -5, 0x1f, 1e3, .inf, 3.11]");
    assert_eq!(node.to_json(), json!([1.1, 12, "1_000", -5, 31, 1000.0, ".inf", 3.11]));
    assert_eq!(node.items()[0].scalar_text().as_deref(), Some("1.10"));
    assert_eq!(node.items()[1].scalar_text().as_deref(), Some("012"));
}

#[test]
fn an_integer_that_does_not_fit_is_refused_rather_than_rounded() {
    assert!(error("a: 99999999999999999999").contains("more digits"));
}

#[test]
fn merge_keys_and_aliases_point_at_what_they_bring() {
    let node = tree("x: &x\n  a: 1\n  b: 2\ny:\n  <<: *x\n  b: 3\n");
    assert_eq!(node.get("y").unwrap().to_json(), json!({"a": 1, "b": 3}));
    let merged = node.get("y").unwrap().entry("a").unwrap();
    assert_eq!((merged.key_position.line, merged.value.position.line), (2, 2));
}

#[test]
fn json_is_read_by_the_same_parser() {
    let node = tree("{\n\t\"a\": {\"b\": [1,\n\t2.5]}, \"c\": \"x\\u00e9\\ny\"\n}\n");
    assert_eq!(node.to_json(), json!({"a": {"b": [1, 2.5]}, "c": "xé\ny"}));
    let long = format!("{{\"{}\": 1}}", "k".repeat(900));
    assert_eq!(tree(&long).entries().len(), 1);
}

#[test]
fn a_text_without_a_document_is_null() {
    assert!(tree("").is_null());
    assert!(tree("# only a comment\n").is_null());
}

#[test]
fn mistakes_are_shown_with_their_place() {
    let texts = [
        "a: 1\nb: 2\na: 3\n",
        "a: [1, 2\nb: 3\n",
        "a: b: c\n",
        "url: {{ params.x }}\n",
        "a:\n\t- b\n",
        "a: 'unclosed\n",
        "a: 1\n---\nb: 2\n",
        "a: *nope\n",
        "a: &a [*a]\n",
        "a: \"\\q\"\n",
        "- a\nb: c\n",
        "<<: 5\n",
        "{[a]: b}\n",
        "a: \u{1}\n",
    ];
    let shown: Vec<_> = texts.iter().map(|text| error(text)).collect();
    insta::assert_snapshot!(shown.join("\n\n"));
}

#[test]
fn aliases_that_multiply_are_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let row = vec![format!("*a{}", level - 1); 10].join(", ");
        text = format!("{text}a{level}: &a{level} [{row}]\n");
    }
    assert!(error(&text).contains("too large"), "{}", error(&text));
    assert!(error(&"[".repeat(1000)).starts_with("error[FC0101]"));
}

proptest! {
    #[test]
    fn no_text_panics_the_parser(text in ".{0,200}") {
        let _ = parse(&SourceFile::new("t", text));
    }

    #[test]
    fn no_text_of_yaml_characters_panics_the_parser(text in "[\\[\\]{}:,&*!|>'\"%@`#? \t\n\\-a-c0-9.<~\\\\]{0,80}") {
        if let Err(diagnostic) = parse(&SourceFile::new("t", text)) {
            prop_assert!(!diagnostic.to_string().is_empty());
        }
    }
}
