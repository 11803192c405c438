//! "Did you mean": the known name that is nearest to an unknown one.

/// How many known names a hint lists when none is near.
const LISTED: usize = 24;

/// The nearest of some names, if it is near enough to be what was meant.
pub(crate) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let distance = |other: &&'a str| strsim::damerau_levenshtein(name, other);
    let best = known.iter().copied().min_by_key(distance)?;
    let allowed = (name.chars().count().max(3)) / 3;
    let near = distance(&best) <= allowed;
    let same_but_style =
        best.replace(['-', '_'], "") == name.to_lowercase().replace(['-', '_'], "");
    (near || same_but_style).then_some(best)
}

/// A hint: the nearest name, else the names there are.
pub(crate) fn did_you_mean(name: &str, known: &[&str]) -> Option<String> {
    let mut seen = std::collections::BTreeSet::new();
    let known: Vec<&str> = known.iter().copied().filter(|one| seen.insert(*one)).collect();
    match nearest(name, &known) {
        Some(near) => Some(format!("did you mean `{near}`?")),
        None if known.is_empty() => None,
        None if known.len() > LISTED => None,
        None if known.len() == 1 => Some(format!("the only one is `{}`", known[0])),
        None => Some(format!("the known ones are {}", list_of(&known, "and"))),
    }
}

/// `` `a`, `b` or `c` ``
pub(crate) fn list_of(words: &[&str], last: &str) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [most @ .., end] => format!("{} {last} {end}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_another_word_is_not() {
        let known = ["target", "tap", "state", "select"];
        assert_eq!(nearest("traget", &known), Some("target"));
        assert_eq!(nearest("tpa", &known), Some("tap"));
        assert_eq!(nearest("destination", &known), None);
        assert_eq!(nearest("allowFailure", &["allow_failure"]), Some("allow_failure"));
        assert_eq!(
            did_you_mean("zzz", &["a", "b", "c"]).unwrap(),
            "the known ones are `a`, `b` and `c`"
        );
        assert_eq!(did_you_mean("zzz", &[]), None);
    }
}
