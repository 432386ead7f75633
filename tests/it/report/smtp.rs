//! Sending: real conversations with a real SMTP server, and the folder of `.eml` files.
//!
//! Each stage of a conversation fails once, and the error must say where it stopped, whether to try again, and nothing
//! about a person.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use nocturne::domain::delivery::Refusal;
use nocturne::report::mail::{Addresses, compose, recipients};
use nocturne::report::transport::{
    EmlFolder, Login, LoginBy, Proxy, ReadSecret, Smtp, SmtpSecurity, SmtpSettings, Stage, Transport, TransportError,
};
use nocturne::report::view::DigestView;
use nocturne::store::Outgoing;
use secrecy::SecretString;
use tempfile::TempDir;

use crate::support::closed::ClosedPort;
use crate::support::proxy::HttpProxy;
use crate::support::smtp::{Offer, SmtpServer, TOKEN, Temper};

const MESSAGE: &str =
    "Message-ID: <nightly.2026-11-20.digest.ab@riverbend.example>\r\nSubject: Night\r\n\r\nHello.\r\n";

fn mail() -> Outgoing {
    Outgoing {
        message_id: "nightly.2026-11-20.digest.ab@riverbend.example".to_owned(),
        from: "nocturne@riverbend.example".to_owned(),
        to: "jane.doe@riverbend.example".to_owned(),
        message: MESSAGE.to_owned(),
    }
}

fn settings(server: &SmtpServer, security: SmtpSecurity) -> (SmtpSettings, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, &server.certificate_pem).unwrap();
    let settings = SmtpSettings {
        host: "localhost".to_owned(),
        port: server.port,
        security,
        login: None,
        ca_file: Some(ca_file),
        proxy: None,
        timeout: Duration::from_secs(10),
        reply_timeout: Duration::from_secs(10),
        hello_name: Some("nocturne.test".to_owned()),
    };
    (settings, folder)
}

fn smtp(settings: SmtpSettings) -> Transport {
    Transport::Smtp(Box::new(Smtp::new(settings).unwrap()))
}

fn login(by: LoginBy, secret: &str) -> Option<Login> {
    Some(Login { user: "nocturne".to_owned(), by, secret: ReadSecret::known(secret) })
}

fn refusal(error: &TransportError) -> (Stage, bool) {
    match error {
        TransportError::Smtp { stage, is_transient, .. } => (*stage, *is_transient),
        other => panic!("not an SMTP error: {other}"),
    }
}

#[tokio::test]
async fn the_outbox_bytes_arrive_unchanged_over_starttls_with_a_login() {
    let server = SmtpServer::start(Offer::StartTls, Temper::Accepts).await;
    let (mut settings, _folder) = settings(&server, SmtpSecurity::StartTls);
    settings.login = login(LoginBy::Password, "open sesame");

    smtp(settings).send(&mail()).await.unwrap();

    let received = server.received();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].user, "nocturne");
    assert_eq!(received[0].to, ["jane.doe@riverbend.example"]);
    assert_eq!(String::from_utf8(received[0].message.clone()).unwrap(), MESSAGE);
}

#[tokio::test]
async fn the_outbox_bytes_arrive_over_tls_from_the_first_byte() {
    let server = SmtpServer::start(Offer::Tls, Temper::Accepts).await;
    let (settings, _folder) = settings(&server, SmtpSecurity::Tls);

    smtp(settings).send(&mail()).await.unwrap();

    assert_eq!(server.received()[0].from, "nocturne@riverbend.example");
}

#[tokio::test]
async fn a_server_without_starttls_gets_nothing() {
    let server = SmtpServer::start(Offer::Plain, Temper::Accepts).await;
    let (settings, _folder) = settings(&server, SmtpSecurity::StartTls);

    let error = smtp(settings).send(&mail()).await.unwrap_err();

    assert_eq!(refusal(&error), (Stage::StartTls, false));
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_not_tried_again() {
    let server = SmtpServer::start(Offer::StartTls, Temper::Accepts).await;
    let (mut settings, _folder) = settings(&server, SmtpSecurity::StartTls);
    settings.ca_file = None;

    let error = smtp(settings).send(&mail()).await.unwrap_err();

    assert_eq!(refusal(&error), (Stage::StartTls, false), "{error}");
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn a_refused_recipient_is_final_and_masked() {
    let server = SmtpServer::start(Offer::Plain, Temper::RefusesRecipients).await;
    let (settings, _folder) = settings(&server, SmtpSecurity::PlainToThisMachine);

    let error = smtp(settings).send(&mail()).await.unwrap_err();

    assert_eq!(refusal(&error), (Stage::Send, false));
    assert_eq!(
        error.to_string(),
        format!(
            "handing over the e-mail at the SMTP server localhost:{}: permanent error (550): Mailbox unavailable; check \
             that the server accepts this recipient and this message",
            server.port
        )
    );
}

#[tokio::test]
async fn a_greylisting_server_is_tried_again_and_its_echo_is_masked() {
    let server = SmtpServer::start(Offer::Plain, Temper::Greylists).await;
    let (settings, _folder) = settings(&server, SmtpSecurity::PlainToThisMachine);

    let error = smtp(settings).send(&mail()).await.unwrap_err();

    assert_eq!(refusal(&error), (Stage::Send, true));
    assert!(error.to_string().contains("j…@riverbend.example"), "{error}");
    assert!(!error.to_string().contains("jane.doe"));
}

#[tokio::test]
async fn a_sender_that_is_refused_is_a_matter_of_configuration_not_of_this_e_mail() {
    let server = SmtpServer::start(Offer::StartTls, Temper::Accepts).await;
    let (settings, _folder) = settings(&server, SmtpSecurity::StartTls);

    let error = smtp(settings).send(&mail()).await.unwrap_err();

    assert_eq!((refusal(&error), error.refusal()), ((Stage::Sender, false), Refusal::Transient), "{error}");
}

#[tokio::test]
async fn a_wrong_password_is_final_and_not_repeated_in_the_error() {
    let server = SmtpServer::start(Offer::StartTls, Temper::Accepts).await;
    let (mut settings, _folder) = settings(&server, SmtpSecurity::StartTls);
    settings.login = login(LoginBy::Password, "guess");

    let error = smtp(settings).send(&mail()).await.unwrap_err();

    assert_eq!(refusal(&error), (Stage::LogIn, false));
    assert!(!format!("{error} {error:?}").contains("guess"));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_tried_again() {
    let server = SmtpServer::start(Offer::Plain, Temper::Accepts).await;
    let (mut settings, _folder) = settings(&server, SmtpSecurity::PlainToThisMachine);
    let closed = ClosedPort::new();
    settings.host = "127.0.0.1".to_owned();
    settings.port = closed.address().port();

    let error = smtp(settings).send(&mail()).await.unwrap_err();

    assert_eq!(refusal(&error), (Stage::Connect, true));
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_and_tried_again() {
    let server = SmtpServer::start(Offer::Plain, Temper::Accepts).await;
    let (mut settings, _folder) = settings(&server, SmtpSecurity::PlainToThisMachine);
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    settings.host = "127.0.0.1".to_owned();
    settings.port = silent.local_addr().unwrap().port();
    settings.timeout = Duration::from_millis(50);

    let error = smtp(settings).send(&mail()).await.unwrap_err();

    assert_eq!(refusal(&error), (Stage::Connect, true));
    assert!(error.to_string().contains("no answer within 0.05 s"), "{error}");
}

#[tokio::test]
async fn a_token_logs_in_by_xoauth2_and_is_read_for_each_login() {
    let server = SmtpServer::start(Offer::StartTlsAndToken, Temper::Accepts).await;
    let (mut settings, folder) = settings(&server, SmtpSecurity::StartTls);
    let file = folder.path().join("token");
    std::fs::write(&file, "an-old-one").unwrap();
    let read = move || Ok(SecretString::from(std::fs::read_to_string(folder.path().join("token")).unwrap()));
    settings.login = Some(Login { user: "nocturne".to_owned(), by: LoginBy::Token, secret: ReadSecret::by(read) });
    let transport = smtp(settings);

    let refused = transport.send(&mail()).await.unwrap_err();
    std::fs::write(&file, TOKEN).unwrap();
    transport.send(&mail()).await.unwrap();

    assert_eq!((refusal(&refused), refused.refusal()), ((Stage::LogIn, false), Refusal::Transient));
    let said = refused.to_string();
    assert!(said.contains("the server refused the token") && said.contains("`mail.oauth_token`"), "{said}");
    assert!(!format!("{refused:?} {transport:?}").contains("an-old-one"));
    assert_eq!(server.received().iter().map(|mail| mail.user.as_str()).collect::<Vec<_>>(), ["nocturne"]);
}

#[tokio::test]
async fn a_server_that_takes_no_token_is_not_told_one() {
    let server = SmtpServer::start(Offer::StartTls, Temper::Accepts).await;
    let (mut settings, _folder) = settings(&server, SmtpSecurity::StartTls);
    settings.login = login(LoginBy::Token, TOKEN);

    let error = smtp(settings).send(&mail()).await.unwrap_err();

    assert_eq!(refusal(&error), (Stage::LogIn, false));
    assert!(error.to_string().contains("the server does not offer to log in by XOAUTH2"), "{error}");
}

#[tokio::test]
async fn the_answer_to_the_message_may_take_longer_than_any_step_before() {
    let server = SmtpServer::start(Offer::Plain, Temper::AnswersLate).await;
    let (mut settings, _folder) = settings(&server, SmtpSecurity::PlainToThisMachine);
    settings.timeout = Duration::from_millis(200);
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let beside = smtp(SmtpSettings { host: "127.0.0.1".to_owned(), port, ..settings.clone() });

    let (transport, message) = (smtp(settings), mail());
    let meanwhile = async {
        server.has_message().await;
        // While the answer is held back, another conversation uses up a step's whole time.
        let step = beside.send(&mail()).await.unwrap_err();
        server.answer();
        step
    };
    let (sent, step) = tokio::join!(transport.send(&message), meanwhile);

    assert!(step.to_string().contains("no answer within 0.2 s"), "{step}");
    sent.unwrap();
    assert_eq!(server.received().len(), 1);
}

#[tokio::test]
async fn a_server_that_never_answers_the_message_is_given_up_and_tried_again() {
    let server = SmtpServer::start(Offer::Plain, Temper::AnswersLate).await;
    let (mut settings, _folder) = settings(&server, SmtpSecurity::PlainToThisMachine);
    settings.reply_timeout = Duration::from_millis(50);

    let error = smtp(settings).send(&mail()).await.unwrap_err();

    assert_eq!((refusal(&error), error.refusal()), ((Stage::Send, true), Refusal::Transient), "{error}");
    assert!(error.to_string().contains("no answer within 0.05 s"), "{error}");
}

#[tokio::test]
async fn a_server_behind_a_proxy_is_reached_privately_through_it() {
    let server = SmtpServer::start(Offer::StartTls, Temper::Accepts).await;
    let proxy = HttpProxy::start().await;
    let (mut settings, _folder) = settings(&server, SmtpSecurity::StartTls);
    settings.login = login(LoginBy::Password, "open sesame");
    settings.proxy = Proxy::parse(&format!("http://127.0.0.1:{}", proxy.port));

    smtp(settings).send(&mail()).await.unwrap();

    assert_eq!((proxy.tunnels(), server.received().len()), (1, 1));
}

#[tokio::test]
async fn a_proxy_that_is_not_there_is_named_and_tried_again() {
    let server = SmtpServer::start(Offer::StartTls, Temper::Accepts).await;
    let (mut settings, _folder) = settings(&server, SmtpSecurity::StartTls);
    let closed = ClosedPort::new();
    settings.proxy = Proxy::parse(&format!("socks5://{}", closed.address()));

    let error = smtp(settings).send(&mail()).await.unwrap_err();

    assert_eq!((refusal(&error), error.refusal()), ((Stage::Connect, true), Refusal::Transient));
    assert!(error.to_string().contains(&format!("the proxy socks5://{}", closed.address())), "{error}");
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn tls_from_the_first_byte_is_not_lost_on_the_way_through_a_proxy() {
    let server = SmtpServer::start(Offer::Tls, Temper::Accepts).await;
    let (mut settings, _folder) = settings(&server, SmtpSecurity::Tls);
    settings.proxy = Proxy::parse("http://127.0.0.1:3128");

    let error = Smtp::new(settings).unwrap_err();

    assert!(matches!(error, TransportError::ProxyWithTls), "{error}");
}

#[tokio::test]
async fn a_server_elsewhere_is_never_spoken_to_in_the_clear() {
    let server = SmtpServer::start(Offer::Plain, Temper::Accepts).await;
    let (mut settings, _folder) = settings(&server, SmtpSecurity::PlainToThisMachine);
    settings.host = "mail.riverbend.example".to_owned();

    let error = Smtp::new(settings).unwrap_err();

    assert!(matches!(error, TransportError::NotPrivate { .. }));
}

#[tokio::test]
async fn a_missing_certificate_file_is_named() {
    let server = SmtpServer::start(Offer::Plain, Temper::Accepts).await;
    let (mut settings, _folder) = settings(&server, SmtpSecurity::StartTls);
    settings.ca_file = Some(PathBuf::from("/nowhere/ca.pem"));

    let error = Smtp::new(settings).unwrap_err();

    assert!(error.to_string().starts_with("reading the certificate file `/nowhere/ca.pem`"), "{error}");
}

#[tokio::test]
async fn the_folder_holds_one_file_per_e_mail_and_a_page_for_a_browser() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = folder.path().join("outbox");
    let transport = Transport::EmlFolder(EmlFolder::new(&outbox));
    let mut mail = mail();
    mail.message =
        "Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>Fr=C3=BCh</p>\r\n".to_owned();

    transport.send(&mail).await.unwrap();
    transport.send(&mail).await.unwrap();

    let mut names: Vec<String> =
        std::fs::read_dir(&outbox).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["nightly-digest.html", "nightly.2026-11-20.digest.ab.eml"]);
    assert_eq!(std::fs::read_to_string(outbox.join(&names[1])).unwrap(), mail.message);
    assert_eq!(std::fs::read_to_string(outbox.join(&names[0])).unwrap(), "<p>Früh</p>");
}

#[tokio::test]
async fn the_page_of_a_digest_shows_its_pictures_without_the_network() {
    let folder = tempfile::tempdir().unwrap();
    let email = super::RENDERER.digest(&DigestView::sample_between_terms()).unwrap();
    let addresses = Addresses {
        from: "nocturne@riverbend.example".to_owned(),
        reply_to: None,
        audience: "digest".to_owned(),
        to: recipients(&["dean@riverbend.example".to_owned()]).unwrap(),
        unsubscribe_url: None,
    };
    let mut mail = mail();
    mail.message = compose(&email, &addresses, Timestamp::UNIX_EPOCH).unwrap().body;

    Transport::EmlFolder(EmlFolder::new(folder.path())).send(&mail).await.unwrap();

    let page = std::fs::read_to_string(folder.path().join("nightly-digest.html")).unwrap();
    assert_eq!(page.matches("src=\"data:image/png;base64,").count(), email.charts.len());
    assert!(!page.contains("cid:"));
}
