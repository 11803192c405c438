//! What services say about their failures: RFC 9457, and what frameworks make of it.

use serde_json::Value;

/// How much of it is repeated.
const MAX_TEXT: usize = 1_000;
/// How many of several mistakes are repeated.
const MAX_PARTS: usize = 5;

/// The words of a problem; `None` if it has none.
pub(crate) fn text(problem: &Value) -> Option<String> {
    let word = |key: &str| problem.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let detail = word("detail").map(str::to_owned).or_else(|| {
        let parts = problem.get("detail").or_else(|| problem.get("errors"))?.as_array()?;
        let parts: Vec<String> = parts.iter().take(MAX_PARTS).filter_map(part).collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    });
    let title = word("title").or_else(|| word("message")).or_else(|| word("error"));
    match (title, detail) {
        (Some(title), Some(detail)) => Some(line(&format!("{title}: {detail}"))),
        (Some(title), None) => Some(line(title)),
        (None, Some(detail)) => Some(line(&detail)),
        (None, None) => None,
    }
}

/// One of several mistakes: `{ "loc": ["body", "config"], "msg": "…" }`, or a text.
fn part(part: &Value) -> Option<String> {
    if let Some(text) = part.as_str() {
        return Some(text.to_owned());
    }
    let word = |key: &str| part.get(key).and_then(Value::as_str);
    let said = word("msg").or_else(|| word("message")).or_else(|| word("detail"))?;
    let place = part.get("loc").and_then(Value::as_array).map(|steps| {
        let step = |step: &Value| step.as_str().map_or_else(|| step.to_string(), str::to_owned);
        steps.iter().map(step).collect::<Vec<_>>().join(".")
    });
    let place = place.or_else(|| word("pointer").map(str::to_owned));
    Some(place.map_or_else(|| said.to_owned(), |place| format!("`{place}`: {said}")))
}

/// A text from outside as part of a message: one line, of a length that can be read.
pub(crate) fn line(text: &str) -> String {
    let kept = &text[..text.floor_char_boundary(MAX_TEXT)];
    let cut = if kept.len() < text.len() { "…" } else { "" };
    let shown: String = kept.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    shown + cut
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn problems_are_read_in_the_forms_that_there_are() {
        for (problem, shown) in [
            (
                json!({ "title": "No such table", "detail": "ORDERS is gone", "status": 422 }),
                Some("No such table: ORDERS is gone"),
            ),
            (json!({ "title": "Busy" }), Some("Busy")),
            (json!({ "detail": "Not Found" }), Some("Not Found")),
            (
                json!({ "detail": [{ "loc": ["body", "n", 0], "msg": "too small" }] }),
                Some("`body.n.0`: too small"),
            ),
            (json!({ "error": "x\ny" }), Some("x y")),
            (json!({ "errors": ["a", "b"], "title": "t" }), Some("t: a; b")),
            (json!({ "detail": {} }), None),
            (json!([1]), None),
        ] {
            assert_eq!(text(&problem).as_deref(), shown, "{problem}");
        }
        assert!(line(&"é".repeat(5_000)).len() < 1_100);
    }
}
