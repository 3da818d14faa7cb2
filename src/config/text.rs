//! Text in messages and listings: quoting, shortening, and the known word nearest to a misspelt
//! one.

/// The longest text whose slips are looked for, in bytes: the distance of longer ones takes long.
const LONGEST_SLIP: usize = 64;

/// At most the first 60 characters, for quoting in a message.
pub(crate) fn shorten(text: &str) -> String {
    let line: String =
        text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(60).collect();
    if line.chars().count() < text.chars().count() { line + "…" } else { line }
}

/// A basic TOML string.
pub fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// The candidate nearest to `word` by edit distance, if it is near enough to be a slip.
pub(crate) fn nearest(
    word: &str,
    candidates: impl IntoIterator<Item = impl Into<String>>,
) -> Option<String> {
    let plain = |text: &str| text.replace('_', "-");
    let lower = plain(&word.to_lowercase());
    let candidates = candidates.into_iter().map(Into::into).map(|candidate: String| {
        (strsim::damerau_levenshtein(&lower, &plain(&candidate)), candidate)
    });
    if word.len() > LONGEST_SLIP {
        return None;
    }
    candidates
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_as_toml_reads_them() {
        let text = "a \"b\" \\ \n \u{7f} é";
        let table: toml::Table = format!("x = {}", quote(text)).parse().expect("TOML");
        assert_eq!(table["x"].as_str(), Some(text));
    }

    #[test]
    fn slips_are_near_and_other_words_are_not() {
        let words = ["long-side-px", "style", "color"];
        let nearest = |word| nearest(word, words);
        assert_eq!(nearest("long_side_px").as_deref(), Some("long-side-px"));
        assert_eq!(nearest("sytle").as_deref(), Some("style"));
        assert_eq!(nearest("colour").as_deref(), Some("color"));
        assert_eq!(nearest("kitchen"), None);
    }
}
