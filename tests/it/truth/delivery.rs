//! Nights on which the e-mail is hard to deliver, or the report hard to write: what its readers and operators are told,
//! and the exit code. The real binary hands over to a real SMTP server with TLS and a login.

use mail_parser::MessageParser;
use nocturne::telemetry::spawn_blocking;
use serde_json::Value;

use super::{Institution, NIGHT};
use crate::support::closed::ClosedPort;
use crate::support::limit::Patience;
use crate::support::site::text;
use crate::support::smtp::{Offer, Received, SmtpServer, Temper};

const DATE: &str = "2026-11-20";
const THREE: &str = "'Board <board@example.edu>', 'data@example.edu', 'dean@example.edu'";
const ALL_IS_WELL: &str = "Yes. All 13 tables are complete through the end of Thursday 19 November 2026.";

/// An e-mail as its reader gets it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Mail {
    to: String,
    subject: String,
    id: String,
    corrects: Option<String>,
    /// Its text part, its white space folded.
    text: String,
}

impl Mail {
    fn of(received: &Received) -> Self {
        let message = MessageParser::default().parse(&received.message).unwrap();
        let text = message.body_text(0).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        Self {
            to: received.to.join(","),
            subject: message.subject().unwrap().to_owned(),
            id: message.message_id().unwrap().to_owned(),
            corrects: message.in_reply_to().as_text().map(str::to_owned),
            text,
        }
    }
}

/// What a server has accepted, by recipient and then as it came.
fn accepted(server: &SmtpServer) -> Vec<Mail> {
    let mut mails: Vec<Mail> = server.received().iter().map(Mail::of).collect();
    mails.sort_by(|a, b| a.to.cmp(&b.to));
    mails
}

fn recipients(mails: &[Mail]) -> Vec<&str> {
    mails.iter().map(|mail| mail.to.as_str()).collect()
}

fn assert_all(mails: &[Mail], subject: &str, sentence: &str) {
    for mail in mails {
        assert!(mail.subject.starts_with(subject) && mail.text.contains(sentence), "{mail:?}");
    }
}

/// A site that sends to a server at `port`, with an export of the date.
fn institution(port: u16, certificate_pem: &str, to: &str) -> Institution {
    let institution = Institution::new(&configuration(port, to));
    institution.0.write("ca.pem", certificate_pem);
    institution.0.write("password", "open sesame\n");
    institution.deliver(DATE);
    institution
}

fn configuration(port: u16, to: &str) -> String {
    format!(
        "[mail]\ntransport = 'smtp'\nhost = 'localhost'\nport = {port}\nca_file = 'ca.pem'\nuser = 'nocturne'\n\
         password = 'file:password'\nhello_name = 'night.example.edu'\nfrom = 'night@example.edu'\nto = [{to}]\n"
    )
}

async fn sending_to(temper: Temper, to: &str) -> (SmtpServer, Institution) {
    let server = SmtpServer::start(Offer::StartTls, temper).await;
    let institution = institution(server.port, &server.certificate_pem, to);
    (server, institution)
}

/// Carries out a night; returns its exit code and what it printed.
fn night(institution: &Institution, more: &[&str]) -> (Option<i32>, String) {
    let run = institution.0.nocturne(&[&["run", "night", "--date", DATE], more].concat());
    (run.status.code(), text(&run))
}

/// Hands over what waits; returns the exit code and what the command printed.
fn send_waiting(institution: &Institution) -> (Option<i32>, String) {
    let sent = institution.0.nocturne(&["report", "send", "--waiting"]);
    (sent.status.code(), text(&sent))
}

/// The DAG of these nights with another job before the digest.
fn with_job(job: &str) -> String {
    NIGHT
        .replace("[jobs.digest]", &format!("[jobs.extra]\nkind = 'command'\nneeds = ['quality']\n{job}\n[jobs.digest]"))
        .replace("needs = ['quality']\nwhen", "needs = ['quality', 'extra']\nwhen")
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_address_of_three_is_told_to_the_operators_and_mended_by_the_advised_command() {
    let (server, institution) = sending_to(Temper::RefusesOne("dean@example.edu"), THREE).await;

    let (code, printed) = night(&institution, &[]);

    assert_eq!(code, Some(9), "{printed}");
    assert!(printed.contains("to d…@example.edu was given up, tried once") && printed.contains("550"), "{printed}");
    assert!(printed.contains("Part of the e-mail is sent"), "{printed}");
    let (digests, notices): (Vec<Mail>, Vec<Mail>) =
        accepted(&server).into_iter().partition(|mail| mail.subject.starts_with("[nocturne] OK"));
    assert_eq!(recipients(&digests), ["board@example.edu", "data@example.edu"]);
    assert_all(&digests, "[nocturne] OK", ALL_IS_WELL);
    assert_eq!(recipients(&notices), ["board@example.edu", "data@example.edu"]);
    assert_all(&notices, &format!("[nocturne] UNDELIVERED · night {DATE} · d…@example.edu"), "(550)");
    let command = format!("nocturne run night --date {DATE} --job digest --force");
    assert_all(&notices, "[nocturne] UNDELIVERED", &command);
    assert!(notices.iter().all(|mail| !mail.text.contains("dean@") && mail.text.contains("`mail.to`")), "{notices:?}");

    let shown = text(&institution.0.nocturne(&["runs", "show"]));
    assert!(shown.contains("given up") && shown.contains("d…@example.edu") && !shown.contains("dean@"), "{shown}");
    let doctor = institution.0.nocturne(&["doctor", "--json"]);
    let doctor: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let outbox = doctor["checks"].as_array().unwrap().iter().find(|check| check["check"] == "outbox").unwrap();
    assert_eq!(outbox["verdict"], "warn", "{outbox}");
    assert!(outbox["details"][0].as_str().unwrap().contains("d…@example.edu"), "{outbox}");

    // The address is corrected, and the advised command writes to the new one alone.
    let site = std::fs::read_to_string(institution.0.path().join("site.toml")).unwrap();
    institution.0.write("site.toml", site.replace("dean@", "provost@"));
    let (_, again) = night(&institution, &["--job", "digest", "--force"]);
    let later: Vec<Mail> = accepted(&server).into_iter().filter(|mail| !digests.contains(mail)).collect();
    let later: Vec<Mail> = later.into_iter().filter(|mail| !notices.contains(mail)).collect();
    assert_eq!(recipients(&later), ["provost@example.edu"], "{again}");
    assert_all(&later, "[nocturne] OK", ALL_IS_WELL);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_greylists_has_the_e_mail_at_the_second_try() {
    let (server, institution) = sending_to(Temper::GreylistsOnce, THREE).await;

    let (code, printed) = night(&institution, &[]);
    let before = accepted(&server).len();
    let (sent_code, sent) = send_waiting(&institution);
    let (again_code, again) = send_waiting(&institution);

    assert_eq!((code, before), (Some(9), 0), "{printed}");
    assert!(printed.contains("waits, tried once") && printed.contains("nocturne report send --waiting"), "{printed}");
    assert!(!printed.contains("board@") && printed.contains("b…@example.edu"), "{printed}");
    assert_eq!((sent_code, again_code), (Some(0), Some(0)), "{sent}\n{again}");
    assert_eq!(sent.matches("handed over").count(), 3, "{sent}");
    assert!(again.contains("No e-mail waits."), "{again}");
    let mails = accepted(&server);
    assert_eq!(recipients(&mails), ["board@example.edu", "data@example.edu", "dean@example.edu"]);
    assert_all(&mails, "[nocturne] OK", ALL_IS_WELL);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_answers_late_after_the_message_has_it_once() {
    let (server, institution) = sending_to(Temper::AnswersLate, "'dean@example.edu'").await;

    let run = institution.0.start(&["run", "night", "--date", DATE]);
    server.has_message().await;
    server.answer();
    let ended = spawn_blocking(move || run.wait_with_output().unwrap()).await;

    assert_eq!(ended.status.code(), Some(0), "{}", text(&ended));
    assert!(text(&ended).contains("E-mail is sent"), "{}", text(&ended));
    let mails = accepted(&server);
    assert_eq!(recipients(&mails), ["dean@example.edu"]);
    assert_all(&mails, "[nocturne] OK", ALL_IS_WELL);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_all_night_gets_the_last_night_and_no_stale_all_is_well() {
    let port = ClosedPort::new();
    let (server, pem) = SmtpServer::certificate_ahead();
    let institution = institution(port.address().port(), &pem, "'dean@example.edu'");

    let (code, printed) = night(&institution, &[]);
    let (vain_code, vain) = send_waiting(&institution);
    institution.deliver("2026-11-21");
    let next = institution.0.nocturne(&["run", "night", "--date", "2026-11-21"]);
    let server = SmtpServer::start_at(port, (server, pem));
    let sent = institution.0.nocturne(&["report", "send", "--waiting", "--json"]);

    assert_eq!((code, vain_code, next.status.code()), (Some(9), Some(9), Some(9)), "{printed}\n{vain}");
    assert!(printed.contains("E-mail waits") && printed.contains("nocturne report send --waiting"), "{printed}");
    assert!(vain.contains("waits, tried 2 times") && vain.contains("One still waits"), "{vain}");
    assert_eq!(sent.status.code(), Some(0), "{}", text(&sent));
    let sent: Value = serde_json::from_slice(&sent.stdout).unwrap();
    let states: Vec<_> =
        sent["e_mails"].as_array().unwrap().iter().map(|mail| (&mail["logical_date"], &mail["state"])).collect();
    let said = Value::from;
    assert_eq!(
        states,
        [(&said(DATE), &said("replaced")), (&said("2026-11-21"), &said("sent"))],
        "what was well on one day is not said on the next"
    );
    let mails = accepted(&server);
    assert_eq!(recipients(&mails), ["dean@example.edu"]);
    assert_all(&mails, "[nocturne] OK · night 2026-11-21", "through the end of Friday 20 November 2026.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_hands_over_what_waits_when_it_is_asked_to() {
    let port = ClosedPort::new();
    let (server, pem) = SmtpServer::certificate_ahead();
    let institution = institution(port.address().port(), &pem, "'dean@example.edu'");
    night(&institution, &[]);

    let daemon = institution.0.start(&["daemon"]);
    let patience = Patience::new("a daemon to live");
    institution
        .0
        .write("dags/other.toml", "name = 'other'\n[jobs.say]\nkind = 'command'\nwith = { program = 'true' }\n");
    while institution.0.nocturne(&["run", "other", "--date", DATE, "--detach"]).status.code() != Some(0) {
        patience.again();
    }
    let server = SmtpServer::start_at(port, (server, pem));
    let sent = institution.0.nocturne(&["report", "send", "--waiting", "--json"]);
    daemon.signal("-TERM");
    spawn_blocking(move || daemon.wait_with_output().unwrap()).await;

    assert_eq!(sent.status.code(), Some(0), "{}", text(&sent));
    let sent: Value = serde_json::from_slice(&sent.stdout).unwrap();
    assert_eq!((&sent["sent_by"], &sent["e_mails"][0]["state"]), (&"daemon".into(), &"sent".into()));
    assert_eq!(recipients(&accepted(&server)), ["dean@example.edu"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_that_is_gone_when_the_report_is_written_is_a_note_in_the_e_mail() {
    let (server, institution) = sending_to(Temper::Accepts, "'dean@example.edu'").await;
    let breaks = "test -e mended || { rm -rf var/lake/restricted/staged; echo > var/lake/restricted/staged; }";
    institution
        .0
        .write("dags/night.toml", with_job(&format!("with = {{ program = 'sh', args = ['-c', '{breaks}'] }}")));

    let (code, printed) = night(&institution, &[]);
    let first = accepted(&server);
    std::fs::remove_file(institution.0.path().join("var/lake/restricted/staged")).unwrap();
    institution.0.write("mended", "");
    let (mended_code, mended) = night(&institution, &[]);

    assert_eq!(code, Some(9), "{printed}");
    assert_eq!(recipients(&first), ["dean@example.edu"], "{printed}");
    let advice = format!("Once the lake is reachable and has room: `nocturne run night --date {DATE}`.");
    for sentence in ["The report was not published (", &advice, ALL_IS_WELL] {
        assert_all(&first, "[nocturne] LOOK", sentence);
    }
    assert_eq!(mended_code, Some(0), "the advised command publishes it: {mended}");
    assert!(institution.0.path().join(format!("var/lake/published/reports/night/{DATE}/index.html")).is_file());
    let all = accepted(&server);
    assert_eq!((all.len(), all[1].corrects.as_ref()), (2, Some(&first[0].id)), "{all:?}");
    assert_all(&all[1..], "[nocturne] Correction: OK", ALL_IS_WELL);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_when_the_report_is_written_is_a_note_in_the_e_mail() {
    let (server, institution) = sending_to(Temper::Accepts, "'dean@example.edu'").await;
    let _full = institution.0.small_disk("var/lake/restricted/staged", 16);

    let (code, printed) = night(&institution, &[]);

    assert_eq!(code, Some(9), "{printed}");
    let mails = accepted(&server);
    assert_eq!(recipients(&mails), ["dean@example.edu"], "{printed}");
    assert_all(&mails, "[nocturne] LOOK", "The report was not published (");
    assert_all(&mails, "[nocturne] LOOK", "and has room");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partial_run_writes_no_second_copy_and_one_without_a_digest_none() {
    let (server, institution) = sending_to(Temper::Accepts, "'dean@example.edu'").await;

    let (pull_code, pull) = night(&institution, &["--job", "pull"]);
    let after_pull = accepted(&server).len();
    let (code, whole) = night(&institution, &[]);
    let first = accepted(&server);
    let (from_code, from) = night(&institution, &["--from", "quality", "--force"]);

    assert_eq!((pull_code, after_pull), (Some(0), 0), "{pull}");
    assert!(pull.contains("No e-mail was written"), "{pull}");
    assert_eq!((code, from_code), (Some(0), Some(0)), "{whole}\n{from}");
    assert_eq!(recipients(&first), ["dean@example.edu"]);
    assert_all(&first, "[nocturne] OK", ALL_IS_WELL);
    assert_eq!(accepted(&server), first, "the same verdict is not sent again: {from}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resumed_night_writes_as_if_it_had_not_been_killed() {
    let (server, institution) = sending_to(Temper::Accepts, "'dean@example.edu'").await;
    let holds = "test -e resumed || { echo begun > begun; cat held; }";
    institution.0.write("dags/night.toml", with_job(&format!("with = {{ program = 'sh', args = ['-c', '{holds}'] }}")));
    institution.0.pipe("begun");
    institution.0.pipe("held");

    let killed = institution.0.start(&["run", "night", "--date", DATE]);
    institution.0.read_pipe("begun");
    killed.signal("-KILL");
    spawn_blocking(move || killed.wait_with_output().unwrap()).await;
    institution.0.write("resumed", "");
    let (code, printed) = night(&institution, &[]);

    assert_eq!(code, Some(0), "{printed}");
    let mails = accepted(&server);
    assert_eq!(recipients(&mails), ["dean@example.edu"], "{printed}");
    assert_all(&mails, "[nocturne] OK", ALL_IS_WELL);
}

/// A text on one line.
fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mended_night_sends_one_correction_and_no_second_copy() {
    let (server, institution) = sending_to(Temper::Accepts, THREE).await;
    institution.0.write("dags/night.toml", with_job("with = { program = 'test', args = ['-e', 'mended'] }"));

    let (failed_code, failed) = night(&institution, &[]);
    let (again_code, again) = night(&institution, &[]);
    let first = accepted(&server);
    institution.0.write("mended", "");
    let (code, mended) = night(&institution, &[]);
    let (last_code, last) = night(&institution, &[]);

    assert_eq!((failed_code, again_code), (Some(1), Some(1)), "{failed}\n{again}");
    assert_eq!(recipients(&first), ["board@example.edu", "data@example.edu", "dean@example.edu"]);
    assert_all(&first, "[nocturne] FAILED", "1 of 3 jobs failed: extra");
    assert_eq!((code, last_code), (Some(0), Some(0)), "{mended}\n{last}");
    let all = accepted(&server);
    assert_eq!(all.len(), 6, "one correction each: {all:?}");
    for [failed, corrected] in all.as_chunks::<2>().0 {
        assert_eq!(corrected.corrects.as_ref(), Some(&failed.id), "{corrected:?}");
        assert!(
            corrected.subject.starts_with("[nocturne] Correction: OK") && corrected.text.contains(ALL_IS_WELL),
            "{corrected:?}"
        );
        let said = folded(&corrected.text);
        assert!(said.contains("This corrects the e-mail of ") && said.contains(&failed.subject), "{corrected:?}");
        assert!(!failed.text.contains("This corrects"), "{failed:?}");
    }
}

#[test]
fn a_second_dag_has_a_page_of_its_own() {
    let institution = Institution::new("");
    institution.deliver(DATE);
    institution.0.write("dags/other.toml", NIGHT.replace("name = 'night'", "name = 'other'"));

    institution.night(DATE);
    let other = institution.0.nocturne(&["run", "other", "--date", DATE]);

    assert_eq!(other.status.code(), Some(0), "{}", text(&other));
    for dag in ["night", "other"] {
        let page = institution.0.path().join(format!("var/outbox/{dag}-digest.html"));
        let page = std::fs::read_to_string(&page).unwrap();
        assert!(super::words(&page).contains(&format!("Learning analytics, {dag}")), "{page}");
    }
}

#[test]
fn every_recipient_of_every_dag_is_checked_at_once_with_file_and_key() {
    let institution = Institution::new(
        "[mail]\nto = ['ops@example.edu', 'chief@elsewhere.example']\nreaders = ['dean']\ndomains = ['example.edu']\n",
    );
    let digest = |to: &str| NIGHT.replace("{ report = 'digest' }", &format!("{{ report = 'digest', to = [{to}] }}"));
    institution.0.write("dags/night.toml", digest("'good@example.edu', 'one@partner.example'"));
    institution.0.write("dags/other.toml", digest("'two@partner.example', 'three'").replace("'night'", "'other'"));

    let checked = institution.0.nocturne(&["config", "check"]);
    let said = text(&checked);
    institution.0.write(
        "site.toml",
        format!(
            "{}{}[mail]\nto = ['ops@example.edu']\ndomains = ['example.edu']\n",
            crate::support::site::SMALL,
            super::CONFIGURATION
        ),
    );
    let run = institution.0.nocturne(&["run", "night", "--date", DATE]);

    assert_eq!(checked.status.code(), Some(3), "{said}");
    for key in [
        "`mail.to.1`: e-mail may not go to this domain",
        "`mail.readers.0`: this is not an address",
        "`jobs.digest.with.to.1`: e-mail may not go to this domain",
        "`jobs.digest.with.to.0`: e-mail may not go to this domain",
    ] {
        assert!(said.contains(key), "{key}: {said}");
    }
    assert!(said.contains("dags/night.toml:") && said.contains("dags/other.toml:"), "{said}");
    assert_eq!(said.matches("`jobs.digest.with.to.1`").count(), 2, "`three` is no address: {said}");
    assert!(!said.contains("partner.example") && !said.contains("three"), "an address is not quoted: {said}");
    assert_eq!(run.status.code(), Some(3), "{}", text(&run));
    assert!(text(&run).contains("`jobs.digest.with.to.1`: e-mail may not go"), "{}", text(&run));
}
