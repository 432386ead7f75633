//! An e-mail as a page: its HTML with the pictures embedded, for browsers, which do not support `cid:`.
//!
//! It reads only what `mail.rs` wrote: multipart with quoted boundaries, HTML as quoted-printable, pictures as base64.
//! A test compares it with a full MIME parser. A message without an HTML part has no page.

use super::mail::CID_DOMAIN;

/// Returns the page, or nothing where the message has no HTML part.
pub(super) fn browser_page(message: &str) -> Option<String> {
    let parts = parts(message);
    let html =
        parts.iter().find(|part| part.header("content-type").is_some_and(|kind| kind.starts_with("text/html")))?;
    let mut page = decode_quoted_printable(html.body);
    for part in &parts {
        let Some(cid) = part.header("content-id") else { continue };
        let cid = cid.trim_start_matches('<').trim_end_matches('>');
        if cid.ends_with(CID_DOMAIN) {
            let base64: String = part.body.split_whitespace().collect();
            page = page.replace(&format!("cid:{cid}"), &format!("data:image/png;base64,{base64}"));
        }
    }
    Some(page)
}

struct Part<'a> {
    head: &'a str,
    body: &'a str,
}

impl Part<'_> {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// Returns every part between the boundaries that the message declares, at whatever depth.
fn parts(message: &str) -> Vec<Part<'_>> {
    let boundaries: Vec<String> = message
        .split("boundary=\"")
        .skip(1)
        .filter_map(|rest| rest.split_once('"').map(|(boundary, _)| format!("--{boundary}")))
        .collect();
    let mut cuts = vec![(0, 0)];
    let mut at = 0;
    for line in message.split_inclusive("\r\n") {
        if boundaries.iter().any(|boundary| line.trim_end().trim_end_matches("--") == boundary.as_str()) {
            cuts.push((at, at + line.len()));
        }
        at += line.len();
    }
    cuts.push((message.len(), message.len()));
    cuts.windows(2)
        .filter_map(|pair| message.get(pair[0].1..pair[1].0)?.split_once("\r\n\r\n"))
        .map(|(head, body)| Part { head, body: body.strip_suffix("\r\n").unwrap_or(body) })
        .collect()
}

fn decode_quoted_printable(body: &str) -> String {
    let joined = body.replace("=\r\n", "").replace("\r\n", "\n");
    let mut bytes = Vec::with_capacity(joined.len());
    let mut rest = joined.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let code = (first == b'=').then(|| tail.get(..2)).flatten().and_then(|digits| hex::decode(digits).ok());
        match code {
            Some(code) => {
                bytes.extend(code);
                rest = &tail[2..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use mail_parser::MessageParser;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::delivery::{Signature, Word};
    use crate::report::RenderedEmail;
    use crate::report::mail::{Addresses, compose, recipients};

    fn message(html: &str) -> String {
        let email = RenderedEmail {
            dag: "nightly".parse().unwrap(),
            logical_date: jiff::civil::date(2026, 11, 20),
            signature: Signature::new(Word::Ok, Vec::new()),
            subject: "subject".to_owned(),
            text: "text".to_owned(),
            html: html.to_owned(),
            charts: Vec::new(),
            undrawn: Vec::new(),
        };
        let addresses = Addresses {
            from: "nocturne@riverbend.example".to_owned(),
            reply_to: None,
            audience: "digest".to_owned(),
            to: recipients(&["dean@riverbend.example".to_owned()]).unwrap(),
            unsubscribe_url: None,
        };
        compose(&email, &addresses, Timestamp::UNIX_EPOCH).unwrap().body
    }

    proptest! {
        #[test]
        fn the_page_is_what_a_mime_parser_reads(html in "[ -~äß–✓\n=]{0,400}") {
            let message = message(&html);

            let page = browser_page(&message).unwrap();

            let parsed = MessageParser::default().parse(message.as_bytes()).unwrap();
            prop_assert_eq!(page.replace("\r\n", "\n"), parsed.body_html(0).unwrap().replace("\r\n", "\n"));
        }
    }

    #[test]
    fn a_message_without_html_has_no_page() {
        assert_eq!(browser_page("Subject: x\r\nContent-Type: text/plain\r\n\r\nhello\r\n"), None);
    }
}
