//! The e-mails: their words, their size, their MIME, and that they are the same for the same night.
//!
//! Words and HTML are compared with snapshots, the message with an independent MIME parser. Every view is invented.

use jiff::Timestamp;
use mail_parser::{MessageParser, MimeHeaders};
use nocturne::domain::delivery::Recipient;
use nocturne::report::alerts::Alert;
use nocturne::report::mail::{Addresses, MailError, compose, recipients};
use nocturne::report::view::{DigestView, FailureKind, FailureView, JobView, UndeliveredView, Verdict};

use nocturne::store::Outgoing;

use super::{RENDERER, assert_snapshot};

fn addresses() -> Addresses {
    Addresses {
        from: "Nocturne <nocturne@riverbend.example>".to_owned(),
        reply_to: Some("Learning Analytics <analytics@riverbend.example>".to_owned()),
        audience: "digest".to_owned(),
        to: to(&["dean@riverbend.example", "Data Office <data@riverbend.example>"]).unwrap(),
        unsubscribe_url: Some("https://analytics.riverbend.example/lists/nightly".to_owned()),
    }
}

fn to(texts: &[&str]) -> Result<Vec<Recipient>, MailError> {
    recipients(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
}

fn sent_at() -> Timestamp {
    "2026-11-20T07:30:11Z".parse().unwrap()
}

fn assert_digest(name: &str, verdict: Verdict) {
    let email = RENDERER.digest(&DigestView::sample(verdict)).unwrap();

    assert_snapshot(&format!("digest_{name}_text"), &format!("Subject: {}\n\n{}", email.subject, email.text));
    assert_snapshot(&format!("digest_{name}_html"), &email.html);
    assert!(email.html.len() < 60_000, "the HTML is {} bytes", email.html.len());
    let pictures: usize = email.charts.iter().map(|chart| chart.png.len()).sum();
    assert!(pictures < 300_000, "the pictures are {pictures} bytes");
    let longest = email.text.lines().filter(|line| !line.contains("https://")).map(|line| line.chars().count()).max();
    assert!(longest.unwrap() <= 78, "a line of the text is {longest:?} columns wide");
}

#[test]
fn the_digest_of_a_good_night_reads_as_agreed() {
    assert_digest("ok", Verdict::Ok);
}

#[test]
fn the_digest_of_a_night_with_warnings_reads_as_agreed() {
    assert_digest("warning", Verdict::Warning);
}

#[test]
fn the_digest_of_a_failed_night_reads_as_agreed() {
    assert_digest("failed", Verdict::Failed);
}

#[test]
fn the_emails_of_nights_that_went_wrong_read_as_agreed() {
    for (name, kind) in [
        ("failed", FailureKind::Failed),
        ("late", FailureKind::Late),
        ("never_began", FailureKind::NeverBegan),
        ("unknown", FailureKind::Unknown),
    ] {
        let email = RENDERER.failure(&FailureView::sample(kind)).unwrap();

        assert_snapshot(&format!("failure_{name}_text"), &format!("Subject: {}\n\n{}", email.subject, email.text));
    }
}

#[test]
fn the_email_about_recipients_who_have_none_reads_as_agreed() {
    let email = RENDERER.undelivered(&UndeliveredView::sample()).unwrap();

    assert_snapshot("undelivered_text", &format!("Subject: {}\n\n{}", email.subject, email.text));
    assert!(email.html.contains("E-mails could not be delivered") && email.html.contains("d…@riverbend.example"));
    assert!(email.text.lines().all(|line| line.chars().count() <= 78), "{}", email.text);
}

#[test]
fn a_digest_between_terms_says_why_sections_are_missing() {
    let email = RENDERER.digest(&DigestView::sample_between_terms()).unwrap();

    assert!(email.text.contains("Scores and drift were skipped: nobody is enrolled."));
    assert!(email.html.contains("nobody is enrolled"));
}

#[test]
fn a_night_with_very_much_to_tell_still_fits_an_e_mail() {
    let mut view = DigestView::sample(Verdict::Failed);
    let long = "a long sentence that goes on and on, ".repeat(30);
    let report = &mut view.report;
    let alert = Alert { message: long.clone(), advice: long.clone(), ..report.alerts[0].clone() };
    report.alerts = vec![alert; 300];
    report.tables = vec![report.tables[6].clone(); 300];
    report.jobs = vec![JobView { summary: long, ..report.jobs[3].clone() }; 100];
    let quality = report.quality.as_mut().unwrap();
    quality.problems = vec![quality.problems[0].clone(); 300];
    view.night.spans = vec![view.night.spans[3].clone(); 100];

    let email = RENDERER.digest(&view).unwrap();

    assert!(email.html.len() < 60_000, "the HTML is {} bytes", email.html.len());
    let pictures: usize = email.charts.iter().map(|chart| chart.png.len()).sum();
    assert!(pictures < 300_000, "the pictures are {pictures} bytes");
    assert!(email.html.contains("And 295 more: "));
}

#[test]
fn what_a_finding_says_is_escaped() {
    let mut view = DigestView::sample_between_terms();
    view.report.since = Some(view.report.logical_date);
    view.report.changes = vec!["<script>alert(1)</script> & `a<b`".to_owned()];

    let email = RENDERER.digest(&view).unwrap();

    assert!(email.html.contains("&lt;script&gt;alert(1)"));
    assert!(email.html.contains("a&lt;b</code>"));
    assert!(!email.html.contains("<script"));
}

#[test]
fn an_unknown_zone_is_an_error_that_names_it() {
    let mut view = DigestView::sample_between_terms();
    view.report.zone = "Mars/Base".to_owned();

    let error = anyhow::Error::from(RENDERER.digest(&view).unwrap_err());

    assert!(format!("{error:#}").contains("`Mars/Base` is not a time zone: use an IANA name"), "{error:#}");
}

#[test]
fn the_same_night_is_the_same_e_mail_and_every_part_is_where_clients_look() {
    let view = DigestView::sample(Verdict::Warning);

    let first = compose(&RENDERER.digest(&view).unwrap(), &addresses(), sent_at()).unwrap();
    let again = compose(&RENDERER.digest(&view).unwrap(), &addresses(), sent_at()).unwrap();

    assert_eq!(first, again);
    let id = "nightly.2026-11-20.digest.0a.0@riverbend.example";
    let whole = Outgoing::joined(&first.to[0].header, id, &[], &first.body);
    let message = MessageParser::default().parse(whole.as_bytes()).unwrap();
    assert_eq!(message.message_id(), Some(id));
    let data_office = message.to().unwrap().first().unwrap();
    assert_eq!((data_office.name(), data_office.address()), (Some("Data Office"), Some("data@riverbend.example")));
    assert_eq!(message.date().unwrap().to_rfc3339(), "2026-11-20T07:30:11Z");
    assert_eq!(message.header_raw("Auto-Submitted").map(str::trim), Some("auto-generated"));
    assert_eq!(message.header_raw("X-Auto-Response-Suppress").map(str::trim), Some("All"));
    assert_eq!(message.header_raw("List-Id").map(str::trim), Some("<nightly.nocturne.riverbend.example>"));
    assert!(message.header_raw("List-Unsubscribe").unwrap().contains("<mailto:analytics@riverbend.example"));
    let kinds: Vec<String> = message
        .parts
        .iter()
        .map(|part| {
            part.content_type().map_or_else(String::new, |kind| format!("{}/{}", kind.ctype(), kind.subtype().unwrap()))
        })
        .collect();
    assert_eq!(
        kinds,
        [
            "multipart/alternative",
            "text/plain",
            "multipart/related",
            "text/html",
            "image/png",
            "image/png",
            "image/png",
            "image/png",
            "image/png",
            "image/png",
            "image/png"
        ]
    );
    let html = message.body_html(0).unwrap();
    for part in message.parts.iter().filter(|part| part.is_content_type("image", "png")) {
        assert!(html.contains(&format!("cid:{}", part.content_id().unwrap())));
        assert!(part.contents().starts_with(b"\x89PNG"));
    }
    assert_eq!(html.matches("cid:").count(), 7);
    assert!(whole.is_ascii());
    assert!(whole.lines().all(|line| line.len() <= 998));
}

#[test]
fn recipients_are_told_once_each_in_the_order_of_their_addresses() {
    let texts = ["Zoe <zoe@riverbend.example>", "Jürgen <dean@riverbend.example>", "DEAN@riverbend.example"];

    let found = to(&texts).unwrap();

    let addresses: Vec<&str> = found.iter().map(|recipient| recipient.address.as_str()).collect();
    assert_eq!(addresses, ["dean@riverbend.example", "zoe@riverbend.example"]);
    assert!(found[0].header.starts_with("To: =?utf-8?b?"), "{}", found[0].header);
    assert!(found[0].header.is_ascii() && found[0].header.ends_with("\r\n"));
}

#[test]
fn an_address_that_would_forge_a_header_is_refused() {
    let email = RENDERER.failure(&FailureView::sample(FailureKind::Late)).unwrap();
    let forged = to(&["dean@riverbend.example\r\nBcc: all@riverbend.example"]).unwrap_err();
    assert!(matches!(forged, MailError::ControlCharacter { what: "recipient" }));
    let wrong = to(&["jane.doe@"]).unwrap_err();
    assert_eq!(
        wrong.to_string(),
        "the recipient `j…@` is not an e-mail address: write `name@example.edu` or `Name <name@example.edu>`"
    );
    let nobody = compose(&email, &Addresses { to: Vec::new(), ..addresses() }, sent_at()).unwrap_err();
    assert!(matches!(nobody, MailError::NoRecipients));
    let mut subject = email;
    subject.subject.push_str("\nBcc: all@riverbend.example");
    let forged = compose(&subject, &addresses(), sent_at()).unwrap_err();
    assert!(matches!(forged, MailError::ControlCharacter { what: "subject" }));
}
