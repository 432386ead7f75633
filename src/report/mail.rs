//! A letter becomes an e-mail: addresses, headers and MIME, as finished bytes for the outbox.
//!
//! The Message-ID is made from DAG, logical date, template and recipients, and the MIME boundaries from it, so
//! that a repeat is the same e-mail. Every address and every header text is checked: a line break in one of
//! them would let it forge headers, so it is refused. Nothing is sent here (`transport.rs`), and the time comes
//! from the caller.

use jiff::Timestamp;
use lettre::Address;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, Message, MultiPart, SinglePart};

use super::Letter;
use crate::domain::ids::content_hash;
use crate::domain::outcome::MailRecord;

/// The part of a picture's Content-ID after its name; templates write `cid:<name>@nocturne`.
pub(super) const CID_DOMAIN: &str = "nocturne";

/// From whom, to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// The sender, `Name <address>` or an address; its domain is that of the Message-ID.
    pub from: String,
    /// Where answers go; the sender when absent.
    pub reply_to: Option<String>,
    /// The recipients, each `Name <address>` or an address.
    pub to: Vec<String>,
    /// A page on which a recipient can leave the list; a mail to `reply_to` is offered in any case.
    pub unsubscribe_url: Option<String>,
}

/// An e-mail that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// Nobody would get it.
    #[error("the e-mail has no recipients: name at least one in `mail.to`")]
    NoRecipients,
    /// An address is not one. It is not quoted whole: it may be a person's.
    #[error("the {what} `{masked}` is not an e-mail address: write `name@example.edu` or `Name <name@example.edu>`")]
    Address {
        /// Which address.
        what: &'static str,
        /// The address, masked.
        masked: String,
    },
    /// A header's text holds a line break or another control character.
    #[error("the {what} holds a control character such as a line break, which could forge a header: remove it")]
    ControlCharacter {
        /// Which text.
        what: &'static str,
    },
    /// The message could not be put together.
    #[error("putting the e-mail together")]
    Build(#[from] lettre::error::Error),
}

/// Returns the finished e-mail of `letter`, dated `sent_at`.
///
/// # Errors
/// When there is no recipient, an address is not one, or a header text holds a control character.
pub fn compose(letter: &Letter, addresses: &Addresses, sent_at: Timestamp) -> Result<MailRecord, MailError> {
    let from = mailbox("sender", &addresses.from)?;
    let reply_to = addresses.reply_to.as_deref().map(|text| mailbox("reply-to address", text)).transpose()?;
    let to = recipients(&addresses.to)?;
    refuse_control_characters("subject", &letter.subject)?;
    refuse_control_characters("unsubscribe link", addresses.unsubscribe_url.as_deref().unwrap_or_default())?;

    let message_id = message_id(letter, &from.email, &to);
    let answers = reply_to.as_ref().map_or(&from.email, |mailbox| &mailbox.email).clone();
    let mut builder = Message::builder()
        .message_id(Some(format!("<{message_id}>")))
        .date(sent_at.into())
        .from(from.clone())
        .subject(letter.subject.clone())
        .raw_header(header("List-Id", format!("<{}.nocturne.{}>", letter.dag, from.email.domain())))
        .raw_header(header("List-Unsubscribe", unsubscribe(letter, &answers, addresses)))
        .raw_header(header("Auto-Submitted", "auto-generated".to_owned()))
        .raw_header(header("X-Auto-Response-Suppress", "All".to_owned()));
    builder = to.iter().cloned().fold(builder, lettre::message::MessageBuilder::to);
    if let Some(reply_to) = reply_to {
        builder = builder.reply_to(reply_to);
    }
    let message = builder.multipart(body(letter, &message_id))?;

    Ok(MailRecord {
        message_id,
        from: from.email.to_string(),
        to: to.iter().map(|mailbox| mailbox.email.to_string()).collect(),
        subject: letter.subject.clone(),
        message: String::from_utf8(message.formatted())
            .expect("headers and parts are encoded as ASCII, addresses are UTF-8"),
    })
}

/// Returns an address with its local part hidden, for logs and errors: `j…@example.edu`.
pub fn masked(address: &str) -> String {
    let address = address.rsplit_once('<').map_or(address, |(_, rest)| rest).trim_end_matches('>').trim();
    let first = address.chars().next().filter(char::is_ascii_alphanumeric).map(String::from).unwrap_or_default();
    let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
    let domain: String = domain.chars().filter(|c| c.is_ascii_alphanumeric() || ".-".contains(*c)).collect();
    format!("{first}\u{2026}@{domain}")
}

fn mailbox(what: &'static str, text: &str) -> Result<Mailbox, MailError> {
    refuse_control_characters(what, text)?;
    let mailbox: Mailbox = text.parse().map_err(|_| MailError::Address { what, masked: masked(text) })?;
    if mailbox.email.domain().contains('.') || mailbox.email.domain() == "localhost" {
        Ok(mailbox)
    } else {
        Err(MailError::Address { what, masked: masked(text) })
    }
}

/// Returns the recipients, each once, sorted by address, so that the order of a configuration does not matter.
fn recipients(texts: &[String]) -> Result<Vec<Mailbox>, MailError> {
    let mut to = Vec::with_capacity(texts.len());
    for text in texts {
        to.push(mailbox("recipient", text)?);
    }
    to.sort_by(|a: &Mailbox, b| a.email.cmp(&b.email));
    to.dedup_by(|a, b| a.email == b.email);
    if to.is_empty() { Err(MailError::NoRecipients) } else { Ok(to) }
}

fn refuse_control_characters(what: &'static str, text: &str) -> Result<(), MailError> {
    if text.chars().any(char::is_control) { Err(MailError::ControlCharacter { what }) } else { Ok(()) }
}

fn message_id(letter: &Letter, from: &Address, to: &[Mailbox]) -> String {
    let all: Vec<String> = to.iter().map(|mailbox| mailbox.email.to_string()).collect();
    let recipients = content_hash(all.join(",").as_bytes());
    format!("{}.{}.{}.{}@{}", letter.dag, letter.logical_date, letter.template, &recipients[..12], from.domain())
}

fn unsubscribe(letter: &Letter, answers: &Address, addresses: &Addresses) -> String {
    let by_mail = format!("<mailto:{answers}?subject=unsubscribe%20{}>", letter.dag);
    match &addresses.unsubscribe_url {
        Some(url) => format!("<{url}>, {by_mail}"),
        None => by_mail,
    }
}

fn header(name: &'static str, value: String) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value)
}

fn body(letter: &Letter, message_id: &str) -> MultiPart {
    let boundary = |part: &str| content_hash(format!("{part} {message_id}").as_bytes())[..32].to_owned();
    let html = part(ContentType::TEXT_HTML, &letter.html);
    let mut related = MultiPart::related().boundary(boundary("related")).singlepart(html);
    for chart in &letter.charts {
        let picture =
            Attachment::new_inline_with_name(format!("{}@{CID_DOMAIN}", chart.name), format!("{}.png", chart.name));
        let png = ContentType::parse("image/png").expect("`image/png` is a content type");
        related = related.singlepart(picture.body(chart.png.clone(), png));
    }
    MultiPart::alternative()
        .boundary(boundary("alternative"))
        .singlepart(part(ContentType::TEXT_PLAIN, &letter.text))
        .multipart(related)
}

/// Returns a text part as quoted-printable: seven bits and short lines, whatever the text holds.
fn part(kind: ContentType, text: &str) -> SinglePart {
    SinglePart::builder().header(kind).header(ContentTransferEncoding::QuotedPrintable).body(text.to_owned())
}
