//! What the mask hides, what it leaves, and that nothing survives it.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;

use super::*;

fn mask(values: &[&str]) -> SecretMask {
    let mask = SecretMask::default();
    for value in values {
        mask.hide(value);
    }
    mask
}

#[test]
fn a_text_without_secrets_is_not_copied() {
    for mask in [mask(&[]), mask(&["hunter2"]), mask(&["xy"])] {
        assert!(matches!(mask.apply("nothing here, xyz"), Cow::Borrowed("nothing here, xyz")));
    }
}

#[test]
fn a_value_is_hidden_also_inside_a_word() {
    let mask = mask(&["hunter2"]);
    assert_eq!(mask.apply("xhunter2x hunter2"), "x***x ***");
    assert_eq!(mask.apply("postgres://me:hunter2@db/x"), "postgres://me:***@db/x");
}

#[test]
fn a_short_value_is_hidden_only_as_a_whole_word() {
    let mask = mask(&["ab1"]);
    assert_eq!(mask.apply("pin=ab1; (ab1) ab1"), "pin=***; (***) ***");
    assert_eq!(mask.apply("cab1 ab12 ab1_ äab1"), "cab1 ab12 ab1_ äab1");
}

#[test]
fn white_space_and_nothing_are_not_secrets() {
    let mask = mask(&["", "     ", "\n\n\n\n\n"]);
    assert_eq!(mask.apply("a      b\n\n\n\n\n"), "a      b\n\n\n\n\n");
}

#[test]
fn white_space_around_a_value_does_not_show_it() {
    assert_eq!(mask(&["  hunter2 "]).apply("<hunter2>"), "<***>");
    assert_eq!(mask(&[" a1 \n"]).apply("<a1>"), "<***>");
}

#[test]
fn several_lines_are_hidden_together_and_one_by_one() {
    let key = "-----BEGIN KEY-----\r\nMIIabcdef\r\n}\r\n-----END KEY-----\n";
    let mask = mask(&[key]);
    assert_eq!(mask.apply("line MIIabcdef."), "line ***.");
    assert_eq!(mask.apply(&format!("all: {key}.")), "all: ***.");
    assert_eq!(mask.apply("fn main() {}"), "fn main() {}");
    assert_eq!(mask.apply(r"as JSON: -----BEGIN KEY-----\r\nMIIabcdef"), r"as JSON: ***\r\n***");
}

#[test]
fn escaped_and_encoded_forms_are_hidden() {
    let mask = mask(&["pä/ss \"w'rd\"<&"]);
    for leak in [
        r#"pä/ss \"w'rd\"<&"#,
        r#"p\u00e4/ss \"w'rd\"<&"#,
        r#"p\u00e4\/ss \"w'rd\"<&"#,
        r#"pä/ss \"w'rd\"\u003c\u0026"#,
        "p%C3%A4%2Fss%20%22w%27rd%22%3C%26",
        "p%c3%a4%2fss%20%22w%27rd%22%3c%26",
        "p%C3%A4/ss%20%22w%27rd%22%3C%26",
        "p%C3%A4%2Fss%20%22w'rd%22%3C%26",
        "p%C3%A4%2Fss%20%22w'rd%22%3C&",
        "p%C3%A4%2Fss+%22w%27rd%22%3C%26",
        r#"pä/ss "w'\''rd"<&"#,
    ] {
        assert_eq!(mask.apply(&format!("[{leak}]")), "[***]", "{leak}");
    }
}

#[test]
fn what_programs_print_of_a_value_is_hidden_too() {
    let mask = mask(&["pä\\ss \"w'rd\"<&\n-end"]);
    for leak in [
        r#"pä\\ss "w\'rd"<&\n-end"#,
        r#"pä\\\\ss \\\"w'rd\\\"<&\\n-end"#,
        r#"p\\u00e4\\\\ss \\\"w'rd\\\"<&\\n-end"#,
        "pä\\ss &quot;w&#39;rd&quot;&lt;&amp;\n-end",
        "pä\\ss &quot;w&#x27;rd&quot;&lt;&amp;\n-end",
        "70c3a45c7373202277277264223c260a2d656e64",
        "70C3A45C7373202277277264223C260A2D656E64",
    ] {
        assert_eq!(mask.apply(&format!("[{leak}]")), "[***]", "{leak}");
    }
}

#[test]
fn the_beginning_of_a_value_is_hidden_where_a_text_was_cut() {
    let mask = mask(&["correct-horse-battery-staple"]);
    assert_eq!(mask.apply("says correct-horse-ba"), "says ***");
    assert_eq!(mask.apply("says correct-horse-ba…"), "says ***…");
    assert_eq!(mask.apply("correct-horse-battery-staple correct-h"), "*** ***");
    for harmless in ["says correct", "correct-horse is a phrase", "…"] {
        assert_eq!(mask.apply(harmless), harmless);
    }
}

#[test]
fn only_long_values_are_found_and_short_ones_may_be_chance() {
    let mask = mask(&["password", "correct-horse"]);
    assert!(!mask.finds(r#"{"password": 1}"#));
    assert!(mask.finds(r#"{"next": "https://h/?token=correct-horse&page=2"}"#));
    assert!(mask.finds("Basic Y29ycmVjdC1ob3JzZQ=="));
    assert!(!mask.finds("correct-hors"));
}

#[test]
fn base64_is_hidden_wherever_the_value_begins() {
    let mask = mask(&["hunter2!"]);
    for user in ["", "a", "ab", "abc", "abcd"] {
        for after in ["", "x", "xy", "xyz"] {
            let text = STANDARD.encode(format!("{user}hunter2!{after}"));
            let masked = mask.apply(&text);
            // At most one character on each side shares bits with its neighbour.
            let alone = STANDARD.encode(format!("{user}{after}"));
            assert!(masked.contains("***"), "{user}|{after}: {masked}");
            assert!(masked.len() <= alone.len() + 2 + MASK.len() + 2, "{user}|{after}: {masked}");
        }
    }
    assert_eq!(mask.apply("Basic aHVudGVyMiE="), "Basic ***=");
}

#[test]
fn secrets_that_overlap_are_hidden_together() {
    let mask = mask(&["abcdef", "defghi", "cdef"]);
    assert_eq!(mask.apply("xabcdefghix"), "x***x");
    assert_eq!(mask.apply("abcdefabcdef"), "******");
}

#[test]
fn a_mask_does_not_complete_another_secret() {
    assert_eq!(mask(&["first-secret", "**tail"]).apply("first-secrettail"), "****");
    assert_eq!(mask(&["****", "***"]).apply("a ********* b *** c"), "a *** b *** c");
}

#[test]
fn a_large_secret_is_hidden() {
    let large = "0123456789abcdef\\\"".repeat(3_000);
    let mask = mask(&[&large, "hunter2"]);
    assert_eq!(mask.apply(&format!("<{large}> hunter2")), "<***> ***");
}

#[test]
fn values_learnt_by_one_thread_are_hidden_in_all() {
    let mask = Arc::new(mask(&[]));
    let learner = Arc::clone(&mask);
    std::thread::spawn(move || learner.hide("hunter2")).join().unwrap();
    assert_eq!(mask.apply("hunter2"), "***");
}

/// Any text, and texts of a small alphabet in which collisions are likely.
fn secret() -> impl Strategy<Value = String> {
    prop_oneof!["\\PC{4,12}", "[*a]{4,7}", "[ab\"\\\\/\n ]{4,9}", "[a-z0-9]{4,20}"]
        .prop_filter("white space is no secret", |value| !value.trim().is_empty())
}

fn leaks(value: &str) -> [String; 5] {
    let quoted = serde_json::to_string(value).unwrap();
    [
        value.to_owned(),
        quoted[1..quoted.len() - 1].to_owned(),
        utf8_percent_encode(value, NON_ALPHANUMERIC).to_string(),
        STANDARD.encode(value).trim_end_matches('=').to_owned(),
        URL_SAFE_NO_PAD.encode(value),
    ]
}

proptest! {
    #[test]
    fn no_secret_survives(
        values in prop::collection::vec(secret(), 1..4),
        short in "[*a]{0,3}",
        noise in prop::collection::vec("[*ab\"\\\\/ ]{0,6}", 12),
    ) {
        let mask = SecretMask::default();
        for value in &values {
            mask.hide(value);
        }
        mask.hide(&short);
        let mut text = String::new();
        let forms = values.iter().flat_map(|value| leaks(value));
        for (form, noise) in forms.zip(noise.iter().cycle()) {
            text.push_str(noise);
            text.push_str(&form);
        }
        let masked = mask.apply(&text);
        for value in &values {
            for leak in leaks(value) {
                prop_assert!(!masked.contains(&leak), "{leak:?} in {masked:?}");
            }
        }
        prop_assert!(matches!(mask.apply("-"), Cow::Borrowed("-")));
    }

    #[test]
    fn what_is_not_secret_stays(before in "[a-f ]{0,20}", after in "[a-f ]{0,20}") {
        let masked = mask(&["SECRET"]).apply(&format!("{before}SECRET{after}")).into_owned();
        prop_assert_eq!(masked, format!("{before}***{after}"));
    }
}
