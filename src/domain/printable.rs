//! Text from outside, made fit for a terminal: what would steer it is shown instead of obeyed.
//!
//! File names, values, messages of other programs and what a `command` prints may hold escape sequences, line breaks and
//! characters that turn the order of text round. Whoever prints text that may hold some of it passes it through here,
//! at the edge: the command line and the log. Letters of every script stay as they are. What is stored is not changed.

use std::borrow::Cow;

/// Returns text of several lines: its line breaks and tabs stay, all else that steers a terminal reads `\u{1b}`.
pub fn lines(text: &str) -> Cow<'_, str> {
    let text = if text.contains("\r\n") { Cow::Owned(text.replace("\r\n", "\n")) } else { Cow::Borrowed(text) };
    let steers = |c: char| steers_a_terminal(c) && c != '\n' && c != '\t';
    if text.contains(steers) { Cow::Owned(shown(&text, steers)) } else { text }
}

/// Returns text that stands in one line, such as a name or a cell of a table: line breaks and tabs are shown too.
pub fn cell(text: &str) -> Cow<'_, str> {
    if text.contains(steers_a_terminal) { Cow::Owned(shown(text, steers_a_terminal)) } else { Cow::Borrowed(text) }
}

/// Returns JSON that means the same and has no character that steers a terminal: serde escapes only some of them.
pub fn json(text: &str) -> Cow<'_, str> {
    let steers = |c: char| steers_a_terminal(c) && c != '\n';
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    // Outside of its strings JSON has no such character, and all of them lie in the first plane.
    let escaped = |c: char| if steers(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    Cow::Owned(text.chars().map(escaped).collect())
}

fn shown(text: &str, steers: impl Fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if steers(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Control characters (C0, DEL, C1), separators of lines and paragraphs, and what overrides the direction of text.
fn steers_a_terminal(c: char) -> bool {
    let turns_round =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns_round || matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_steers_a_terminal_is_shown_and_letters_stay() {
        assert_eq!(lines("a\u{1b}[2J\tb\nc\u{9b}31m"), "a\\u{1b}[2J\tb\nc\\u{9b}31m");
        assert_eq!(cell("a\nb\u{202e}gpj\r"), "a\\u{a}b\\u{202e}gpj\\u{d}");
        assert_eq!(lines("one\r\ntwo\rthree"), "one\ntwo\\u{d}three");
        for plain in ["Bürö · ß", "学生", "naïve “quotes” — ✓", ""] {
            assert_eq!((lines(plain), cell(plain)), (plain.into(), plain.into()));
        }
    }

    proptest! {
        #[test]
        fn nothing_that_steers_is_left(text in "(\\PC|[\\x00-\\x1f\\x7f-\\x9f\\u{202a}-\\u{202e}\\u{2066}\\u{2028}\\r\\n]){0,40}") {
            prop_assert!(!cell(&text).contains(steers_a_terminal));
            prop_assert!(!lines(&text).contains(|c| steers_a_terminal(c) && c != '\n' && c != '\t'));
            let written = serde_json::to_string_pretty(&[&text]).unwrap();
            prop_assert!(!json(&written).contains(|c| steers_a_terminal(c) && c != '\n'));
            prop_assert_eq!(serde_json::from_str::<Vec<String>>(&json(&written)).unwrap(), [text]);
        }
    }
}
