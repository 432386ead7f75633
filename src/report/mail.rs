//! Makes the finished e-mail for the outbox: addresses, headers and MIME, as bytes.
//!
//! The body is the same for all recipients, and its MIME boundaries are made from DAG, date and audience, so that the
//! same night gives the same e-mail; `To`, `Message-ID` and what a revision corrects belong to a row of the outbox and
//! are put in front when it is sent. Every address and every header text is checked: a line break in one of them would
//! let it forge headers, so it is refused. Nothing is sent here (`transport.rs`), and the time comes from the caller.

use jiff::Timestamp;
use lettre::Address;
use lettre::address::Envelope;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue, Headers, To};
use lettre::message::{Attachment, Mailbox, Mailboxes, Message, MultiPart, SinglePart};

use super::RenderedEmail;
use crate::config::parse_mailbox;
use crate::domain::delivery::{Recipient, webhook_of};
use crate::domain::ids::content_hash;
use crate::domain::outcome::MailRecord;

/// The part of a picture's Content-ID after its name; templates write `cid:<name>@nocturne`.
pub(super) const CID_DOMAIN: &str = "nocturne";

/// From whom an e-mail comes, and who reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// The sender, `Name <address>` or an address; its domain is that of the Message-ID.
    pub from: String,
    /// Where answers go; the sender when absent.
    pub reply_to: Option<String>,
    /// The job that writes it.
    pub audience: String,
    /// Who gets it, each in an envelope of their own.
    pub to: Vec<Recipient>,
    /// A page on which a recipient can leave the list; a mail to `reply_to` is offered in any case.
    pub unsubscribe_url: Option<String>,
}

/// An e-mail that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// Nobody would get it.
    #[error("the e-mail has no recipients: name at least one in `mail.to`, or in `to` of the job")]
    NoRecipients,
    /// An address is not valid. It is not quoted whole: it may be a person's.
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

/// Returns the finished e-mail made from `email`, dated `sent_at`, except what differs between recipients and
/// revisions: its `To`, its `Message-ID` and what it corrects are put in front when it is sent.
///
/// # Errors
/// When there is no recipient, an address is not valid, or a header text holds a control character.
pub fn compose(email: &RenderedEmail, addresses: &Addresses, sent_at: Timestamp) -> Result<MailRecord, MailError> {
    let from = mailbox("sender", &addresses.from)?;
    let reply_to = addresses.reply_to.as_deref().map(|text| mailbox("reply-to address", text)).transpose()?;
    let first = addresses.to.first().ok_or(MailError::NoRecipients)?;
    let first = mailbox("recipient", &first.address)?;
    refuse_control_characters("subject", &email.subject)?;
    refuse_control_characters("unsubscribe link", addresses.unsubscribe_url.as_deref().unwrap_or_default())?;

    let answers = reply_to.as_ref().map_or(&from.email, |mailbox| &mailbox.email).clone();
    let mut builder = Message::builder()
        .envelope(Envelope::new(Some(from.email.clone()), vec![first.email])?)
        .date(sent_at.into())
        .from(from.clone())
        .subject(email.subject.clone())
        .raw_header(header("List-Id", format!("<{}.nocturne.{}>", email.dag, from.email.domain())))
        .raw_header(header("List-Unsubscribe", unsubscribe(email, &answers, addresses)))
        .raw_header(header("Auto-Submitted", "auto-generated".to_owned()))
        .raw_header(header("X-Auto-Response-Suppress", "All".to_owned()));
    if let Some(reply_to) = reply_to {
        builder = builder.reply_to(reply_to);
    }
    let message = builder.multipart(body(email, &addresses.audience))?;

    Ok(MailRecord {
        dag: email.dag.clone(),
        logical_date: email.logical_date,
        audience: addresses.audience.clone(),
        signature: email.signature.clone(),
        from: from.email.to_string(),
        to: addresses.to.clone(),
        subject: email.subject.clone(),
        body: String::from_utf8(message.formatted())
            .expect("headers and parts are encoded as ASCII, addresses are UTF-8"),
        tells: Vec::new(),
    })
}

/// Returns the recipients, each once, sorted by address, so that the order of a configuration does not matter.
///
/// # Errors
/// When one is not a valid address.
pub fn recipients(texts: &[String]) -> Result<Vec<Recipient>, MailError> {
    let mut to = Vec::with_capacity(texts.len());
    for text in texts {
        let mailbox = mailbox("recipient", text)?;
        let address = mailbox.email.to_string();
        let mut headers = Headers::new();
        headers.set(To::from(Mailboxes::from(mailbox)));
        to.push(Recipient { address, header: headers.to_string() });
    }
    to.sort_by_key(Recipient::key);
    to.dedup_by_key(|recipient| recipient.key());
    Ok(to)
}

/// Returns an address with its local part hidden, for logs and errors: `j…@example.edu`. A webhook's name is no secret.
pub fn masked(address: &str) -> String {
    if webhook_of(address).is_some() {
        return address.to_owned();
    }
    let address = address.rsplit_once('<').map_or(address, |(_, rest)| rest).trim_end_matches('>').trim();
    let first = address.chars().next().filter(char::is_ascii_alphanumeric).map(String::from).unwrap_or_default();
    let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
    let domain: String = domain.chars().filter(|c| c.is_ascii_alphanumeric() || ".-".contains(*c)).collect();
    format!("{first}\u{2026}@{domain}")
}

fn mailbox(what: &'static str, text: &str) -> Result<Mailbox, MailError> {
    refuse_control_characters(what, text)?;
    parse_mailbox(text).ok_or_else(|| MailError::Address { what, masked: masked(text) })
}

fn refuse_control_characters(what: &'static str, text: &str) -> Result<(), MailError> {
    if text.chars().any(char::is_control) { Err(MailError::ControlCharacter { what }) } else { Ok(()) }
}

fn unsubscribe(email: &RenderedEmail, answers: &Address, addresses: &Addresses) -> String {
    let by_mail = format!("<mailto:{answers}?subject=unsubscribe%20{}>", email.dag);
    match &addresses.unsubscribe_url {
        Some(url) => format!("<{url}>, {by_mail}"),
        None => by_mail,
    }
}

fn header(name: &'static str, value: String) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value)
}

fn body(email: &RenderedEmail, audience: &str) -> MultiPart {
    let whose = format!("{} {} {audience}", email.dag, email.logical_date);
    let boundary = |part: &str| content_hash(format!("{part} {whose}").as_bytes())[..32].to_owned();
    let html = part(ContentType::TEXT_HTML, &email.html);
    let mut related = MultiPart::related().boundary(boundary("related")).singlepart(html);
    for chart in &email.charts {
        let picture =
            Attachment::new_inline_with_name(format!("{}@{CID_DOMAIN}", chart.name), format!("{}.png", chart.name));
        let png = ContentType::parse("image/png").expect("`image/png` is a content type");
        related = related.singlepart(picture.body(chart.png.clone(), png));
    }
    MultiPart::alternative()
        .boundary(boundary("alternative"))
        .singlepart(part(ContentType::TEXT_PLAIN, &email.text))
        .multipart(related)
}

/// Returns a text part as quoted-printable: seven bits and short lines, whatever the text holds.
fn part(kind: ContentType, text: &str) -> SinglePart {
    SinglePart::builder().header(kind).header(ContentTransferEncoding::QuotedPrintable).body(text.to_owned())
}
