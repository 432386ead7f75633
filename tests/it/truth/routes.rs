//! Routes of alerts: who is told beside the digest, of what, and when again; by e-mail and by webhook.

use std::time::Duration;

use jiff::Timestamp;
use nocturne::report::transport::{Reach, TransportError, Webhook, WebhookSettings};
use nocturne::telemetry::spawn_blocking;

use super::Institution;
use super::alerts::breaks_page_views;
use crate::support::site::text;
use crate::support::webhook::{Receiver, SECRET};

const ROUTES: &str = "
[alerts.routes.desk]
to = ['desk@example.edu']
webhook = 'pager'
[alerts.routes.errors_only]
severity = 'error'
to = ['errors@example.edu']
[alerts.routes.sources]
causes = ['source']
to = ['sources@example.edu']
[alerts.routes.later]
after_nights = 2
to = ['later@example.edu']
";

fn webhook(receiver: &Receiver) -> String {
    format!(
        "[alerts.webhooks.pager]\nurl = 'https://localhost:{}/hook/t0ken'\nsecret = 'env:PAGER_SECRET'\n\
         ca_file = 'ca.pem'\nallow_private = true\n",
        receiver.port
    )
}

fn night(institution: &Institution, date: &str) -> (Option<i32>, String) {
    let run = institution.0.nocturne_with(&["run", "night", "--date", date], &[("PAGER_SECRET", SECRET)]);
    (run.status.code(), text(&run))
}

/// To whom e-mails about alerts went so far, sorted, with their subjects' words after the DAG and its date.
fn told(institution: &Institution) -> Vec<(String, String)> {
    let files =
        institution.0.files("var/outbox").into_iter().filter(|path| path.extension().is_some_and(|e| e == "eml"));
    let mut told: Vec<(String, String)> = files
        .filter_map(|path| {
            let raw = std::fs::read(path).unwrap();
            let mail = mail_parser::MessageParser::default().parse(&raw).unwrap();
            let subject = mail.subject().unwrap().to_owned();
            let to = mail.to().unwrap().first().unwrap().address().unwrap().to_owned();
            let (_, words) = subject.split_once("ALERT · night ")?;
            Some((to, words.to_owned()))
        })
        .collect();
    told.sort();
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_tells_what_is_new_once_and_what_is_over_by_mail_and_webhook() {
    let receiver = Receiver::start(&[]).await;
    let institution = Institution::new("");
    institution.0.write("ca.pem", &receiver.certificate_pem);
    institution.0.write("config.d/alerts.toml", format!("{ROUTES}{}", webhook(&receiver)));
    institution.0.write("site.toml", format!("{}\nalerts = 'config.d/alerts.toml'\n", super::site_text("")));

    let institution = spawn_blocking(move || {
        institution.deliver("2026-11-20");
        institution.change("2026-11-20", "web_logs_daily.csv.gz", breaks_page_views);
        let first = night(&institution, "2026-11-20");
        assert_eq!(first.0, Some(9), "{}", first.1);
        institution
    })
    .await;
    let posted = receiver.posted();

    assert_eq!(told(&institution), [("desk@example.edu".to_owned(), "2026-11-20 · 1 new".to_owned())]);
    assert_eq!(posted.len(), 1, "{posted:?}");
    assert!(posted[0].is_signed() && posted[0].line.starts_with("POST /hook/t0ken "), "{posted:?}");
    let body: serde_json::Value = serde_json::from_str(&posted[0].body).unwrap();
    let root = &body["groups"][0]["root"];
    assert_eq!((&body["version"], &body["route"]), (&1.into(), &"desk".into()));
    assert_eq!((&root["news"], &root["cause"]), (&"opened".into(), &"quality".into()));
    assert_eq!(root["subject"], "web_logs_daily.page_views");

    let institution = spawn_blocking(move || {
        // The same night again is up to date; the next one finds the same.
        for (date, code) in [("2026-11-20", 0), ("2026-11-21", 9)] {
            let again = night(&institution, date);
            assert_eq!(again.0, Some(code), "{}", again.1);
        }
        institution
    })
    .await;

    let later = ("later@example.edu".to_owned(), "2026-11-21 · 1 unattended".to_owned());
    assert_eq!(told(&institution).last(), Some(&later));
    assert_eq!((told(&institution).len(), receiver.posted().len()), (2, 1), "what stands is not told again");

    let institution = spawn_blocking(move || {
        institution.deliver("2026-11-22");
        let mended = night(&institution, "2026-11-22");
        assert_eq!(mended.0, Some(0), "{}", mended.1);
        institution
    })
    .await;
    let posted = receiver.posted();

    assert_eq!(posted.len(), 2);
    let body: serde_json::Value = serde_json::from_str(&posted[1].body).unwrap();
    assert_eq!(body["groups"][0]["root"]["news"], "resolved");
    assert_ne!(posted[0].headers["webhook-id"], posted[1].headers["webhook-id"]);
    assert_eq!(told(&institution).len(), 4, "{:?}", told(&institution));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_fails_waits_and_is_called_again_under_the_same_id() {
    let receiver = Receiver::start(&[503]).await;
    let institution = Institution::new("");
    institution.0.write("ca.pem", &receiver.certificate_pem);
    let route = "[alerts.routes.desk]\nwebhook = 'pager'\n";
    institution.0.write("alerts.toml", format!("{route}{}", webhook(&receiver)));
    institution.0.write("site.toml", format!("{}\nalerts = 'alerts.toml'\n", super::site_text("")));

    let (first, logged) = spawn_blocking(move || {
        institution.deliver("2026-11-20");
        institution.change("2026-11-20", "web_logs_daily.csv.gz", breaks_page_views);
        let first = night(&institution, "2026-11-20");
        let doctor = institution.0.nocturne_with(&["runs", "show", "last"], &[("PAGER_SECRET", SECRET)]);
        (first, text(&doctor))
    })
    .await;

    assert_eq!(first.0, Some(9), "{}", first.1);
    assert_eq!(receiver.posted().len(), 1);
    assert!(!first.1.contains("t0ken") && !logged.contains("t0ken"), "a URL may be a secret: {}", first.1);

    // What is posted again has the same id, so that a receiver can tell.
    let settings = WebhookSettings {
        name: "pager".to_owned(),
        url: format!("https://localhost:{}/hook/t0ken", receiver.port).into(),
        secret: SECRET.to_owned().into(),
        reach: Reach::Anywhere,
        proxy: None,
        ca_file: None,
    };
    let (folder, pem) = (tempfile::tempdir().unwrap(), &receiver.certificate_pem);
    std::fs::write(folder.path().join("ca.pem"), pem).unwrap();
    let trusted = WebhookSettings { ca_file: Some(folder.path().join("ca.pem")), ..settings.clone() };
    let posted = receiver.posted()[0].clone();
    let id = posted.headers["webhook-id"].clone();
    let later = Timestamp::from_second(1_800_000_000).unwrap();
    let trusting = Webhook::new(&trusted).unwrap();
    let again = tokio::time::timeout(Duration::from_secs(20), trusting.post(&id, &posted.body, later));
    assert!(again.await.unwrap().unwrap().words.contains("204"));
    assert!(receiver.posted().iter().all(|posted| posted.is_signed() && posted.headers["webhook-id"] == id));

    let public = WebhookSettings { reach: Reach::Public, ..trusted };
    let refused = Webhook::new(&public).unwrap().post(&id, "{}", later).await.unwrap_err();
    assert!(matches!(&refused, TransportError::Webhook { why, .. } if why.contains("private address")), "{refused}");
    let untrusted = Webhook::new(&settings).unwrap().post(&id, "{}", later).await.unwrap_err();
    assert!(untrusted.to_string().contains("webhook `pager`"), "{untrusted}");
    assert!(!format!("{untrusted:#} {refused:#}").contains("t0ken"));
    assert_eq!(receiver.posted().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_can_be_tried_and_says_what_each_recipient_answered() {
    let receiver = Receiver::start(&[204, 404]).await;
    let institution = Institution::new("");
    institution.0.write("ca.pem", &receiver.certificate_pem);
    institution.0.write("alerts.toml", format!("{ROUTES}{}", webhook(&receiver)));
    institution.0.write("site.toml", format!("{}\nalerts = 'alerts.toml'\n", super::site_text("")));

    let (accepted, refused, unknown) = spawn_blocking(move || {
        let test = |route: &str| {
            let output = institution.0.nocturne_with(&["alerts", "test", route], &[("PAGER_SECRET", SECRET)]);
            (output.status.code(), text(&output))
        };
        (test("desk"), test("desk"), test("nobody"))
    })
    .await;

    assert_eq!(accepted.0, Some(0), "{}", accepted.1);
    assert!(accepted.1.contains("webhook:pager: accepted (204"), "{}", accepted.1);
    assert!(accepted.1.contains("d…@example.edu: accepted"), "{}", accepted.1);
    assert_eq!(refused.0, Some(6), "{}", refused.1);
    assert!(
        refused.1.contains("webhook:pager: NOT accepted: posting to the webhook `pager`: it answered 404"),
        "{}",
        refused.1
    );
    assert_eq!(unknown.0, Some(4), "{}", unknown.1);
    assert!(receiver.posted().iter().all(|posted| posted.body.contains("This is a test")));
}
