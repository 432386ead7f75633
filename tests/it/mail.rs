//! E-mails from the outbox to a real SMTP server, deadlines, and the watchdog: through the application, with a clock of
//! its own.
//!
//! Nobody gets an e-mail twice except with the same Message-ID, a refused recipient delays nobody else, and by the
//! deadline everybody has received something.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use mail_parser::MessageParser;
use nocturne::app::{App, Watch, Watchdog};
use nocturne::config::{Config, Layers};
use nocturne::domain::clock::Clock;
use nocturne::domain::dag::Dag;
use nocturne::domain::delivery::{MailState, Signature, Word};
use nocturne::domain::job::{Force, SkippedSlot};
use nocturne::domain::manual::Asked;
use nocturne::domain::outcome::{MailRecord, Outcome};
use nocturne::domain::run::RunState;
use nocturne::domain::schedule::Slot;
use nocturne::report::mail::recipients;
use nocturne::report::transport::{EmlFolder, Login, LoginBy, ReadSecret, Smtp, SmtpSecurity, SmtpSettings, Transport};
use nocturne::store::{AttemptEnd, Base, MailRow, NewRun, Role};
use tempfile::TempDir;

use crate::support::smtp::{Offer, Received, SmtpServer, Temper};

const DATE: jiff::civil::Date = jiff::civil::date(2026, 11, 20);

/// A night due at 06:30 whose digest three people get.
const DAG: &str = r#"
name = "nightly"
schedule = "30 2 * * *"
timezone = "UTC"
deadline = "06:30"
[jobs.pull]
kind = "command"
with = { program = "true" }
[jobs.digest]
kind = "send_report"
needs = ["pull"]
when = "all_done"
with = { report = "digest" }
"#;

/// A clock that tests move.
struct Hands(AtomicI64);

impl Hands {
    fn at(text: &str) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(instant(text).as_second())))
    }

    fn move_to(&self, text: &str) {
        self.0.store(instant(text).as_second(), Ordering::SeqCst);
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::SeqCst)).unwrap()
    }
}

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A folder with a state store, a DAG and a clock, and the server that it sends to.
struct MailSite {
    folder: TempDir,
    server: SmtpServer,
    clock: Arc<Hands>,
}

impl MailSite {
    async fn new(temper: Temper) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("jobs")).unwrap();
        std::fs::write(folder.path().join("jobs/nightly.toml"), DAG).unwrap();
        let server = SmtpServer::start(Offer::StartTls, temper).await;
        std::fs::write(folder.path().join("ca.pem"), &server.certificate_pem).unwrap();
        Self { folder, server, clock: Hands::at("2026-11-20T02:30:00Z") }
    }

    fn config(&self) -> Config {
        let here = self.folder.path().display();
        let text = format!(
            "[paths]\nstate = '{here}/var'\njobs = '{here}/jobs'\nscratch = '{here}/var/scratch'\nlogs = '{here}/var/logs'\n\
             [state]\nurl = 'sqlite://{here}/var/nocturne.db'\n[lake]\nurl = 'memory://'\n[engine]\nisolation = 'thread'\n\
             [mail]\ntransport = 'smtp'\nhost = 'localhost'\nport = {}\nsecurity = 'starttls'\nca_file = '{here}/ca.pem'\n\
             user = 'nocturne'\npassword = 'env:SMTP_PASSWORD'\n\
             hello_name = 'night.example.edu'\nfrom = 'nocturne@example.edu'\n\
             to = ['Board <board@example.edu>', 'data@example.edu', 'dean@example.edu']\n",
            self.server.port
        );
        Layers::from_texts(vec![(PathBuf::from("site.toml"), text)], Default::default()).config().unwrap()
    }

    async fn app(&self) -> App {
        let variables = [("SMTP_PASSWORD".to_owned(), "open sesame".to_owned())];
        App::with(self.config(), variables.into(), Arc::clone(&self.clock) as _).await.unwrap()
    }

    fn watchdog(&self) -> Watchdog {
        let transport = Transport::Smtp(Box::new(Smtp::new(self.settings()).unwrap()));
        Watchdog::with(self.config(), transport, Arc::clone(&self.clock) as _).unwrap()
    }

    fn settings(&self) -> SmtpSettings {
        SmtpSettings {
            host: "localhost".to_owned(),
            port: self.server.port,
            security: SmtpSecurity::StartTls,
            login: Some(Login {
                user: "nocturne".to_owned(),
                by: LoginBy::Password,
                secret: ReadSecret::known("open sesame"),
            }),
            ca_file: Some(self.folder.path().join("ca.pem")),
            proxy: None,
            timeout: std::time::Duration::from_secs(30),
            reply_timeout: std::time::Duration::from_secs(30),
            hello_name: Some("night.example.edu".to_owned()),
        }
    }

    /// What was accepted: the recipient, and the header of that name.
    fn heard(&self, header: &str) -> Vec<(String, Option<String>)> {
        let of = |received: Received| {
            let message = MessageParser::default().parse(&received.message).unwrap();
            let value = message.header_raw(header).map(|value| value.trim().to_owned());
            (received.to.join(","), value)
        };
        let mut heard: Vec<_> = self.server.received().into_iter().map(of).collect();
        heard.sort();
        heard
    }
}

fn dag(app: &App) -> Dag {
    app.dag_with("nightly", &[]).unwrap()
}

/// Takes the night's slot, as the scheduler does, and begins the run.
/// A slot that was not made up for, because its DAG was new.
fn first_seen(at: Timestamp) -> SkippedSlot {
    SkippedSlot { dag: "nightly".parse().unwrap(), at, why: "first seen".to_owned() }
}

async fn begin(app: &App) -> nocturne::store::Claim {
    let dag = dag(app);
    let slot = Slot { at: instant("2026-11-20T02:30:00Z"), date: DATE };
    let expected = app.engine.promises.expected(&dag, &slot);
    let new = NewRun {
        dag,
        logical_date: DATE,
        asked: Asked::by_schedule(),
        slot: Some(slot.at),
        only: None,
        force: Force::No,
        expected,
        now: app.clock.now(),
    };
    let run = app.store.create_run(new).await.unwrap().unwrap();
    let tenure = app.own(Role::Command).await.unwrap().unwrap();
    app.store.claim_run(&run.run_id, &tenure, app.clock.now()).await.unwrap()
}

/// Does a job with one attempt.
async fn attempt(app: &App, claim: &nocturne::store::Claim, job: &str, end: AttemptEnd) {
    let job = job.parse().unwrap();
    let fence = format!("{}.{job}.1", claim.run_id);
    let begun = app.store.begin_attempt(claim, &job, &fence, app.clock.now()).await.unwrap();
    app.store.finish_attempt(&begun.attempt, end.into(), app.clock.now()).await.unwrap();
}

fn digest(word: Word) -> MailRecord {
    let to = ["board@example.edu", "data@example.edu", "dean@example.edu"].map(str::to_owned);
    MailRecord {
        dag: "nightly".parse().unwrap(),
        logical_date: DATE,
        audience: "digest".to_owned(),
        signature: Signature::new(word, Vec::new()),
        from: "nocturne@example.edu".to_owned(),
        to: recipients(&to).unwrap(),
        subject: "The night".to_owned(),
        tells: Vec::new(),
        body: format!("Subject: The night\r\n\r\n{}.\r\n", word.as_str()),
    }
}

/// Commits a digest of that verdict as the job `digest` does.
async fn commit_digest(app: &App, claim: &nocturne::store::Claim, word: Word) {
    let outcome = Box::new(Outcome { mails: vec![digest(word)], ..Outcome::default() });
    attempt(app, claim, "digest", AttemptEnd::Succeeded { outcome, fingerprint: None, base: Base::default() }).await;
}

async fn rows(app: &App) -> Vec<MailRow> {
    app.store.mails_of(&"nightly".parse().unwrap(), DATE).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refused_recipient_of_three_keeps_nobody_else_waiting() {
    let site = MailSite::new(Temper::RefusesOne("data@example.edu")).await;
    let app = site.app().await;
    let claim = begin(&app).await;
    commit_digest(&app, &claim, Word::Ok).await;

    let unsent = app.send_due_mail().await.unwrap();

    let (digests, notices): (Vec<_>, Vec<_>) =
        site.heard("Subject").into_iter().partition(|(_, subject)| subject.as_deref() == Some("The night"));
    let to = |heard: Vec<(String, Option<String>)>| heard.into_iter().map(|(to, _)| to).collect::<Vec<_>>();
    assert_eq!(to(digests), ["board@example.edu", "dean@example.edu"]);
    assert_eq!(to(notices), ["board@example.edu", "dean@example.edu"], "both operators are told of the third");
    assert_eq!((unsent.len(), unsent[0].state, unsent[0].tries), (1, MailState::GivenUp, 1));
    assert!(unsent[0].last_error.as_ref().unwrap().contains("550"), "{unsent:?}");
    drop(app);
    let next = site.app().await;
    next.begin_tenure().await.unwrap();
    next.send_due_mail().await.unwrap();
    assert_eq!(site.server.received().len(), 4, "the next process does not tell them again");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_every_recipient_is_refused_nobody_is_told_and_it_ends() {
    let site = MailSite::new(Temper::RefusesRecipients).await;
    let app = site.app().await;
    let claim = begin(&app).await;
    commit_digest(&app, &claim, Word::Failed).await;

    let unsent = app.send_due_mail().await.unwrap();

    assert_eq!(unsent.len(), 3, "{unsent:?}");
    assert!(unsent.iter().all(|mail| mail.state == MailState::GivenUp && mail.tries == 1), "{unsent:?}");
    assert!(site.server.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_e_mail_that_no_server_takes_is_given_up_after_two_days() {
    let site = MailSite::new(Temper::Greylists).await;
    let app = site.app().await;
    let claim = begin(&app).await;
    commit_digest(&app, &claim, Word::Failed).await;

    app.send_due_mail().await.unwrap();
    site.clock.move_to("2026-11-22T02:29:59Z");
    let waiting = app.send_due_mail().await.unwrap();
    site.clock.move_to("2026-11-22T02:30:01Z");
    let given_up = app.send_due_mail().await.unwrap();

    let digests = |mails: &[MailRow], state| {
        mails.iter().filter(|mail| mail.id.key.audience == "digest" && mail.state == state).count()
    };
    assert_eq!((waiting.len(), digests(&waiting, MailState::Waiting)), (3, 3), "{waiting:?}");
    assert_eq!(digests(&given_up, MailState::GivenUp), 3, "{given_up:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_greylisted_e_mail_goes_out_five_minutes_later() {
    let site = MailSite::new(Temper::GreylistsOnce).await;
    let app = site.app().await;
    let claim = begin(&app).await;
    commit_digest(&app, &claim, Word::Ok).await;

    let waiting = app.send_due_mail().await.unwrap();
    site.clock.move_to("2026-11-20T02:34:59Z");
    app.send_due_mail().await.unwrap();
    let too_early = site.server.received().len();
    site.clock.move_to("2026-11-20T02:35:00Z");
    let left = app.send_due_mail().await.unwrap();

    assert!(waiting.iter().all(|mail| mail.state == MailState::Waiting && mail.tries == 1), "{waiting:?}");
    assert_eq!((waiting.len(), too_early, left.len(), site.server.received().len()), (3, 0, 0, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_between_the_servers_answer_and_our_note_repeats_the_message_id() {
    let site = MailSite::new(Temper::Accepts).await;
    let app = site.app().await;
    let claim = begin(&app).await;
    commit_digest(&app, &claim, Word::Ok).await;
    let due = app.store.mail_due(app.clock.now()).await.unwrap();
    assert!(app.store.mail_begin(&due[0].id, "the one that dies", app.clock.now()).await.unwrap());
    let transport = Transport::Smtp(Box::new(Smtp::new(site.settings()).unwrap()));
    transport.send(&due[0].outgoing).await.unwrap();
    drop(app);

    let next = site.app().await;
    next.begin_tenure().await.unwrap();
    next.send_due_mail().await.unwrap();

    let mut ids: Vec<_> = site.heard("Message-ID").into_iter().filter_map(|(_, id)| id).collect();
    assert_eq!(ids.len(), 4);
    ids.dedup();
    assert_eq!(ids.len(), 3, "the one that was heard twice has one Message-ID");
    assert!(rows(&next).await.iter().all(|row| row.state == MailState::Sent));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_night_is_told_at_its_deadline_and_the_digest_corrects_it() {
    let site = MailSite::new(Temper::Accepts).await;
    let app = site.app().await;
    let claim = begin(&app).await;
    site.clock.move_to("2026-11-20T06:29:59Z");
    app.look_at_deadlines().await.unwrap();
    app.send_due_mail().await.unwrap();
    assert!(site.server.received().is_empty());

    site.clock.move_to("2026-11-20T06:30:00Z");
    app.look_at_deadlines().await.unwrap();
    app.look_at_deadlines().await.unwrap();
    app.send_due_mail().await.unwrap();
    let told = site.heard("Subject");
    commit_digest(&app, &claim, Word::Ok).await;
    app.send_due_mail().await.unwrap();

    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told.iter().all(|(_, subject)| subject.as_ref().unwrap().contains("LATE")), "{told:?}");
    let answers: Vec<_> = site.heard("In-Reply-To").into_iter().filter_map(|(_, id)| id).collect();
    let ids: Vec<_> = site.heard("Message-ID").into_iter().filter_map(|(_, id)| id).collect();
    assert_eq!((answers.len(), ids.len()), (3, 6));
    assert!(answers.iter().all(|answer| ids.contains(answer)), "{answers:?} {ids:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_nobody_took_is_told_to_have_never_begun() {
    let site = MailSite::new(Temper::Accepts).await;
    let app = site.app().await;
    let yesterday = instant("2026-11-19T02:30:00Z");
    app.store.skip_slot(&first_seen(yesterday), None, yesterday).await.unwrap();

    site.clock.move_to("2026-11-20T06:30:00Z");
    app.look_at_deadlines().await.unwrap();
    app.look_at_deadlines().await.unwrap();
    app.send_due_mail().await.unwrap();

    let told = site.heard("Subject");
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told.iter().all(|(_, subject)| subject.as_ref().unwrap().contains("NEVER BEGAN")), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_night_whose_file_was_broken_before_its_slot_is_told_all_the_same() {
    let site = MailSite::new(Temper::Accepts).await;
    let app = site.app().await;
    let yesterday = instant("2026-11-19T02:30:00Z");
    app.store.skip_slot(&first_seen(yesterday), None, yesterday).await.unwrap();
    app.look_at_deadlines().await.unwrap();

    std::fs::write(site.folder.path().join("jobs/nightly.toml"), "jobs = [").unwrap();
    site.clock.move_to("2026-11-20T06:30:00Z");
    app.look_at_deadlines().await.unwrap();
    app.send_due_mail().await.unwrap();

    let told = site.heard("Subject");
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told.iter().all(|(_, subject)| subject.as_ref().unwrap().contains("NEVER BEGAN")), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_night_whose_file_was_broken_before_the_daemon_began_is_told_by_it_and_by_the_watchdog() {
    for by_watchdog in [false, true] {
        let site = MailSite::new(Temper::Accepts).await;
        let app = site.app().await;
        let new = NewRun {
            dag: dag(&app),
            logical_date: jiff::civil::date(2026, 11, 19),
            asked: Asked::by_schedule(),
            slot: Some(instant("2026-11-19T02:30:00Z")),
            only: None,
            force: Force::No,
            expected: Vec::new(),
            now: app.clock.now(),
        };
        let run = app.store.create_run(new).await.unwrap().unwrap();
        assert!(app.store.request_cancel(&run.run_id, "jo cancelled it", app.clock.now()).await.unwrap());
        drop(app);

        std::fs::write(site.folder.path().join("jobs/nightly.toml"), "jobs = [").unwrap();
        site.clock.move_to("2026-11-20T06:30:00Z");
        if by_watchdog {
            site.watchdog().watch().await.unwrap();
        } else {
            let app = site.app().await;
            app.look_at_deadlines().await.unwrap();
            app.send_due_mail().await.unwrap();
        }

        let told = site.heard("Subject");
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told.iter().all(|(_, subject)| subject.as_ref().unwrap().contains("NEVER BEGAN")), "{told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_night_that_is_over_without_a_digest_is_told_with_the_job_that_failed() {
    let site = MailSite::new(Temper::Accepts).await;
    let app = site.app().await;
    let claim = begin(&app).await;
    for job in ["pull", "digest"] {
        let error = "no space left on device".to_owned();
        attempt(&app, &claim, job, AttemptEnd::Failed { error, retry_at: None }).await;
    }
    app.store.finish_run(&claim, RunState::Failed, app.clock.now()).await.unwrap();

    site.clock.move_to("2026-11-20T06:31:00Z");
    app.look_at_deadlines().await.unwrap();
    app.send_due_mail().await.unwrap();

    let received = site.server.received();
    assert_eq!(received.len(), 3);
    let message = MessageParser::default().parse(&received[0].message).unwrap();
    let text = message.body_text(0).unwrap();
    assert!(
        text.contains("no space left on device") && text.contains("nocturne runs logs nightly.2026-11-20.1 "),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watchdog_sends_what_a_dead_daemon_owes_once_and_the_next_owner_knows() {
    let site = MailSite::new(Temper::Accepts).await;
    let app = site.app().await;
    begin(&app).await;
    drop(app);
    let watchdog = site.watchdog();
    assert_eq!(watchdog.watch().await.unwrap(), Watch::Well, "nothing is due yet");

    site.clock.move_to("2026-11-20T06:31:00Z");
    assert_eq!(watchdog.watch().await.unwrap(), Watch::Sent(3));
    assert_eq!(watchdog.watch().await.unwrap(), Watch::Well, "it was told once");

    let next = site.app().await;
    next.look_at_deadlines().await.unwrap();
    next.send_due_mail().await.unwrap();
    assert_eq!(site.server.received().len(), 3);
    assert!(rows(&next).await.iter().all(|row| row.state == MailState::Sent && row.id.revision == 0));
    let left = std::fs::read_dir(site.folder.path().join("var/watchdog")).unwrap();
    assert_eq!(left.filter(|entry| entry.as_ref().unwrap().path().extension().is_some()).count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watchdog_hands_over_the_digest_that_waits() {
    let site = MailSite::new(Temper::Accepts).await;
    let app = site.app().await;
    let claim = begin(&app).await;
    commit_digest(&app, &claim, Word::Ok).await;
    // The owner dies, and its tenure with it.
    drop((app, claim));

    site.clock.move_to("2026-11-20T06:31:00Z");
    assert_eq!(site.watchdog().watch().await.unwrap(), Watch::Sent(3));

    assert!(site.heard("Subject").iter().all(|(_, subject)| subject.as_deref() == Some("The night")));
    let next = site.app().await;
    next.look_at_deadlines().await.unwrap();
    assert_eq!(next.send_due_mail().await.unwrap(), vec![]);
    assert_eq!(site.server.received().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watchdog_leaves_a_living_owner_its_work() {
    let site = MailSite::new(Temper::Accepts).await;
    let app = site.app().await;
    std::fs::create_dir_all(site.folder.path().join("var")).unwrap();
    // The claim holds the owner's tenure.
    let claim = begin(&app).await;

    site.clock.move_to("2026-11-20T06:31:00Z");

    assert_eq!(site.watchdog().watch().await.unwrap(), Watch::Owner);
    assert!(site.server.received().is_empty());
    drop(claim);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watchdog_tells_that_nothing_is_known_where_the_state_is_gone() {
    let site = MailSite::new(Temper::Accepts).await;
    site.clock.move_to("2026-11-20T06:31:00Z");
    let folder = site.folder.path().join("outbox");
    let transport = Transport::EmlFolder(EmlFolder::new(&folder));
    let watchdog = Watchdog::with(site.config(), transport, Arc::clone(&site.clock) as _).unwrap();

    assert_eq!(watchdog.watch().await.unwrap(), Watch::Sent(3));

    let page = std::fs::read_to_string(folder.join("nightly-digest.html")).unwrap();
    assert!(page.contains("Nothing is known about the night"));
}
