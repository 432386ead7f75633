//! The contract: e-mails are promised, filled, corrected and handed over once, separately for each recipient.

use jiff::SignedDuration;
use nocturne::domain::delivery::{ExpectedMail, MailState, NextTry, Signature, Word};
use nocturne::domain::manual::Asked;
use nocturne::domain::outcome::{MailRecord, Outcome, Reason};
use nocturne::store::{Claim, HandedOver, MailRow, NewRun, Promise, StateStore};

use super::fixtures::{
    DAY, Place, TestStore, at, dag_name, job, mail, new_run, recipient, running, skipped, succeed, success,
};

fn digest(word: Word) -> Outcome {
    Outcome { mails: vec![mail("digest", word)], ..Outcome::default() }
}

fn expected(deadline: i64) -> ExpectedMail {
    ExpectedMail { audience: "digest".to_owned(), recipient: recipient("dean"), deadline: Some(at(deadline)) }
}

fn scheduled() -> NewRun {
    NewRun { slot: Some(at(0)), asked: Asked::by_schedule(), expected: vec![expected(100)], ..new_run() }
}

async fn claimed(store: &TestStore, new: NewRun) -> Claim {
    let run = store.create_run(new).await.unwrap().unwrap();
    store.take_up(&run.run_id, at(1)).await.unwrap()
}

async fn rows(store: &dyn StateStore) -> Vec<MailRow> {
    store.mails_of(&dag_name(), DAY).await.unwrap()
}

async fn states(store: &dyn StateStore) -> Vec<(u32, MailState)> {
    rows(store).await.into_iter().map(|row| (row.id.revision, row.state)).collect()
}

async fn hand_over_all(store: &dyn StateStore) {
    for due in store.mail_due(at(999)).await.unwrap() {
        assert!(store.mail_begin(&due.id, "sender", at(50)).await.unwrap());
        store.mail_sent(&due.id, at(50)).await.unwrap();
    }
}

pub(super) async fn each_recipient_has_a_row_and_only_another_verdict_is_mailed_again(place: &Place) {
    let store = place.open().await;
    let (_, first) = running(&store).await;
    let mut three = digest(Word::Failed);
    three.mails[0].to = vec![recipient("dean"), recipient("data"), recipient("Dean"), recipient("board")];

    succeed(&store, &first, "digest", three.clone()).await;
    let to: Vec<String> = store.mail_due(at(9)).await.unwrap().into_iter().map(|due| due.outgoing.to).collect();
    hand_over_all(&*store).await;
    let (_, again) = running(&store).await;
    succeed(&store, &again, "digest", three.clone()).await;
    let repeated = store.mail_due(at(99)).await.unwrap().len();
    three.mails[0].signature = Signature::new(Word::Failed, vec!["train".to_owned()]);
    let (_, changed) = running(&store).await;
    succeed(&store, &changed, "digest", three).await;

    assert_eq!(to, ["board@example.edu", "data@example.edu", "dean@example.edu"]);
    assert_eq!(repeated, 0);
    assert_eq!(store.mail_due(at(99)).await.unwrap().len(), 3);
    assert_eq!(store.last_digest(&dag_name(), DAY.tomorrow().unwrap()).await.unwrap(), None);
}

pub(super) async fn a_correction_names_what_it_corrects(place: &Place) {
    let store = place.open().await;
    for word in [Word::Failed, Word::Look, Word::Ok] {
        let (_, claim) = running(&store).await;
        succeed(&store, &claim, "digest", digest(word)).await;
        if word != Word::Ok {
            hand_over_all(&*store).await;
        }
    }

    let ids: Vec<String> = rows(&*store).await.into_iter().filter_map(|row| row.message_id).collect();
    let due = store.mail_due(at(99)).await.unwrap();
    assert_eq!(due.len(), 1);
    let message = &due[0].outgoing.message;
    assert!(message.contains(&format!("\r\nMessage-ID: <{}>\r\nIn-Reply-To: <{}>\r\n", ids[2], ids[1])), "{message}");
    assert!(message.contains(&format!("\r\nReferences: <{}>\r\n <{}>\r\nSubject: ", ids[0], ids[1])), "{message}");
    assert_eq!(store.last_digest(&dag_name(), DAY.tomorrow().unwrap()).await.unwrap(), Some(DAY));
    assert_eq!(store.last_digest(&dag_name(), DAY).await.unwrap(), None);
}

pub(super) async fn a_sent_mail_stays_sent_and_one_given_up_is_listed(place: &Place) {
    let store = place.open().await;
    let (_, claim) = running(&store).await;
    let both = Outcome { mails: vec![mail("b", Word::Ok), mail("a", Word::Ok)], ..Outcome::default() };
    succeed(&store, &claim, "pull", both).await;
    let due = store.mail_due(at(9)).await.unwrap();
    let (a, b) = (&due[0].id, &due[1].id);

    store.mail_failed(a, "450 greylisted", NextTry::At(at(60)), at(10)).await.unwrap();
    store.mail_failed(b, "550 no such user", NextTry::GiveUp, at(10)).await.unwrap();
    let early = store.mail_due(at(59)).await.unwrap();
    let later = store.mail_due(at(60)).await.unwrap();
    store.mail_sent(a, at(61)).await.unwrap();
    store.mail_failed(a, "a slower sender", NextTry::GiveUp, at(62)).await.unwrap();

    assert!(early.is_empty());
    assert_eq!((&later[0].id, later[0].tries), (a, 1));
    let open = store.mails_open(at(0)).await.unwrap();
    let shown: Vec<_> = open.iter().map(|row| (&row.id, row.state, row.last_error.as_deref())).collect();
    assert_eq!(shown, [(b, MailState::GivenUp, Some("550 no such user"))]);
    assert!(store.mails_open(at(11)).await.unwrap().is_empty(), "what was given up long ago is not shown");
    let mut unknown = a.clone();
    unknown.revision = 7;
    let error = store.mail_sent(&unknown, at(62)).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no e-mail nightly 2026-11-20 a, revision 7 in the outbox");
    store.mail_failed(&unknown, "?", NextTry::GiveUp, at(62)).await.unwrap_err();
}

pub(super) async fn what_waits_can_be_hurried_or_ended_and_knows_of_a_later_nights(place: &Place) {
    let store = place.open().await;
    let (_, claim) = running(&store).await;
    succeed(&store, &claim, "digest", digest(Word::Ok)).await;
    let first = store.mail_due(at(9)).await.unwrap().remove(0);
    store.mail_failed(&first.id, "450 later", NextTry::At(at(600)), at(10)).await.unwrap();
    let (mut later, mut earlier) = (digest(Word::Ok), digest(Word::Ok));
    later.mails[0].logical_date = DAY.tomorrow().unwrap();
    earlier.mails[0].logical_date = DAY.yesterday().unwrap();
    for (outcome, written) in [(later, 20), (earlier, 30)] {
        let (_, claim) = running(&store).await;
        let attempt = store.start_attempt(&claim, &job("digest"), at(2)).await.unwrap();
        store.end_attempt(&claim, &job("digest"), attempt, success(outcome), at(written)).await.unwrap();
    }

    let before = store.mail_due(at(100)).await.unwrap().len();
    assert_eq!(store.mail_hurry(at(100)).await.unwrap(), 3);
    let due = store.mail_due(at(100)).await.unwrap();
    store.mail_ended(&first.id, MailState::Replaced, "a later night knows better", at(101)).await.unwrap();

    assert_eq!(before, 2);
    let newer = |date| due.iter().find(|mail| mail.id.key.logical_date == date).map(|mail| (mail.word, mail.newer));
    assert_eq!(newer(DAY), Some((Some(Word::Ok), DAY.tomorrow().ok())));
    assert_eq!(newer(DAY.tomorrow().unwrap()), Some((Some(Word::Ok), None)));
    assert_eq!(
        newer(DAY.yesterday().unwrap()),
        Some((Some(Word::Ok), None)),
        "a backfill writes after the later night"
    );
    let ended = &rows(&*store).await[0];
    assert_eq!((ended.state, ended.tries), (MailState::Replaced, 1), "ending it was not a try");
    assert_eq!(store.mail_hurry(at(102)).await.unwrap(), 2);
}

pub(super) async fn what_is_being_sent_is_neither_replaced_nor_given_to_another(place: &Place) {
    let store = place.open().await;
    let (_, claim) = running(&store).await;
    succeed(&store, &claim, "digest", digest(Word::Failed)).await;
    let first = store.mail_due(at(9)).await.unwrap().remove(0);
    assert!(store.mail_begin(&first.id, "sender-1", at(10)).await.unwrap());

    assert!(!store.mail_begin(&first.id, "sender-2", at(11)).await.unwrap());
    assert!(store.mail_due(at(99)).await.unwrap().is_empty());
    let (_, again) = running(&store).await;
    succeed(&store, &again, "digest", digest(Word::Ok)).await;
    assert_eq!(states(&*store).await, [(0, MailState::Waiting), (1, MailState::Waiting)]);

    // Its sender died: it is sent again unchanged, unless it fails, because then the correction is enough.
    assert_eq!(store.mail_release(at(9)).await.unwrap(), 0);
    assert_eq!(store.mail_release(at(10)).await.unwrap(), 1);
    let released = store.mail_due(at(99)).await.unwrap().remove(0);
    assert_eq!(released, first);
    store.mail_failed(&first.id, "450 later", NextTry::At(at(60)), at(20)).await.unwrap();
    assert_eq!(states(&*store).await, [(0, MailState::Replaced), (1, MailState::Waiting)]);
}

pub(super) async fn a_slot_promises_its_mails_and_a_trial_does_not_use_them_up(place: &Place) {
    let store = place.open().await;
    let (_, trial) = running(&store).await;
    succeed(&store, &trial, "digest", digest(Word::Ok)).await;
    hand_over_all(&*store).await;

    let night = claimed(&store, scheduled()).await;
    let promised = rows(&*store).await.remove(1);
    succeed(&store, &night, "digest", digest(Word::Ok)).await;

    assert_eq!((promised.id.revision, promised.state, promised.deadline), (1, MailState::Expected, Some(at(100))));
    assert_eq!(promised.promised_to, Some(night.run_id));
    assert_eq!(states(&*store).await, [(0, MailState::Sent), (1, MailState::Waiting)]);
}

pub(super) async fn a_trial_beside_the_night_leaves_it_its_promise(place: &Place) {
    let store = place.open().await;
    let night = claimed(&store, scheduled()).await;
    let (_, trial) = running(&store).await;

    succeed(&store, &trial, "digest", digest(Word::Ok)).await;
    assert_eq!(states(&*store).await, [(0, MailState::Waiting), (1, MailState::Expected)]);
    hand_over_all(&*store).await;
    succeed(&store, &night, "digest", digest(Word::Ok)).await;

    assert_eq!(states(&*store).await, [(0, MailState::Sent), (1, MailState::Waiting)]);
}

pub(super) async fn a_skipped_slot_owes_its_mails_all_the_same(place: &Place) {
    let store = place.open().await;
    let (name, mails) = (dag_name(), [expected(100)]);
    let why = "the earlier run is still open";
    let promise = Promise { dag: &name, logical_date: DAY, run_id: None, skipped: Some(why), mails: &mails };

    store.skip_slot(&skipped(at(0), why), Some(promise), at(1)).await.unwrap();
    store.skip_slot(&skipped(at(0), why), Some(promise), at(2)).await.unwrap();

    let rows = rows(&*store).await;
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].state, rows[0].skipped.as_deref()), (MailState::Expected, Some(why)));
}

fn notice(word: Word) -> MailRecord {
    mail("digest", word)
}

pub(super) async fn a_notice_fills_what_is_promised_and_the_digest_corrects_it(place: &Place) {
    let store = place.open().await;
    let night = claimed(&store, scheduled()).await;

    assert_eq!(store.notify(&notice(Word::Late), at(100)).await.unwrap(), 1);
    hand_over_all(&*store).await;
    assert_eq!(store.notify(&notice(Word::Late), at(130)).await.unwrap(), 0, "it is told once");
    succeed(&store, &night, "digest", digest(Word::Ok)).await;

    assert_eq!(states(&*store).await, [(0, MailState::Sent), (1, MailState::Waiting)]);
    let correction = store.mail_due(at(999)).await.unwrap().remove(0);
    assert!(correction.outgoing.message.contains("\r\nIn-Reply-To: <nightly.2026-11-20.digest."));

    let (other, mails) = (DAY.tomorrow().unwrap(), [expected(100)]);
    let name = dag_name();
    let promise = Promise { dag: &name, logical_date: other, run_id: None, skipped: None, mails: &mails };
    store.promise_mail(promise, at(1)).await.unwrap();
    store.close_promises(&name, other, at(200)).await.unwrap();
    assert_eq!(store.mails_of(&name, other).await.unwrap()[0].state, MailState::Replaced);
}

pub(super) async fn a_job_that_was_up_to_date_keeps_its_promise(place: &Place) {
    let store = place.open().await;
    let (_, trial) = running(&store).await;
    succeed(&store, &trial, "digest", digest(Word::Ok)).await;
    hand_over_all(&*store).await;
    let up_to_date = Outcome { reason: Some(Reason::UpToDate), ..Outcome::default() };

    let (_, by_hand) = running(&store).await;
    succeed(&store, &by_hand, "digest", up_to_date.clone()).await;
    assert_eq!(states(&*store).await, [(0, MailState::Sent)]);
    let night = claimed(&store, scheduled()).await;
    succeed(&store, &night, "digest", up_to_date).await;

    assert_eq!(states(&*store).await, [(0, MailState::Sent), (1, MailState::Waiting)]);
    let due = store.mail_due(at(999)).await.unwrap();
    assert!(due[0].outgoing.message.ends_with("\r\n\r\nok.\r\n"), "{}", due[0].outgoing.message);
}

pub(super) async fn what_the_watchdog_handed_over_is_known_once(place: &Place) {
    let store = place.open().await;
    let name = dag_name();
    let mails = [expected(100)];
    let promise = Promise { dag: &name, logical_date: DAY, run_id: None, skipped: None, mails: &mails };
    store.promise_mail(promise, at(1)).await.unwrap();
    let id = rows(&*store).await.remove(0).id;
    let handed_over = HandedOver {
        message_id: id.message_id("example.edu"),
        id,
        recipient: recipient("dean"),
        signature: Signature::new(Word::NeverBegan, Vec::new()),
        from: "night@example.edu".to_owned(),
        subject: "The night never began".to_owned(),
        at: at(110),
    };

    store.record_handed_over(&handed_over, at(200)).await.unwrap();
    store.record_handed_over(&handed_over, at(201)).await.unwrap();

    let rows = rows(&*store).await;
    assert_eq!((rows.len(), rows[0].state, rows[0].ended_at), (1, MailState::Sent, Some(at(110))));
    assert_eq!(store.notify(&notice(Word::NeverBegan), at(210)).await.unwrap(), 0);
    let (_, claim) = running(&store).await;
    succeed(&store, &claim, "digest", digest(Word::Ok)).await;
    assert_eq!(store.mail_due(at(999)).await.unwrap().len(), 1, "the true digest follows");
}

pub(super) async fn mails_of_the_first_outbox_are_one_row_for_each_recipient(place: &Place) {
    place.migrate_to_first().await;
    place.execute(include_str!("../../fixtures/state/0001.sql")).await;
    place
        .execute(
            "INSERT INTO outbox (message_id, sender, recipients, subject, message, run_id, job, queued_at, tries, \
             next_try, sent_at) VALUES ('nightly.2025-09-01.digest.0123456789ab@example.edu', 'night@example.edu', \
             '[\"Dean@example.edu\",\"data@example.edu\"]', 'The night', 'Subject: The night', \
             'nightly.2025-09-01.1', 'digest', 1795000005000000, 1, 1795000005000000, 1795000006000000)",
        )
        .await;

    let store = place.open().await;

    let date = jiff::civil::date(2025, 9, 1);
    let rows = store.mails_of(&dag_name(), date).await.unwrap();
    let shown: Vec<_> =
        rows.iter().map(|row| (row.id.key.audience.as_str(), row.id.key.recipient.as_str(), row.state)).collect();
    assert_eq!(
        shown,
        [
            ("digest", "data@example.edu", MailState::Sent),
            ("digest", "dean@example.edu", MailState::Sent),
            ("pull", "dean@example.edu", MailState::Waiting),
        ]
    );
    let id = Some("nightly.2025-09-01.digest.0123456789ab@example.edu");
    assert!(rows[..2].iter().all(|row| row.message_id.as_deref() == id));
    // The same night again: what it said is unknown, so it is not said a second time.
    let claim = claimed(&store, NewRun { logical_date: date, ..new_run() }).await;
    let mut again = mail("digest", Word::Ok);
    again.logical_date = date;
    succeed(&store, &claim, "digest", Outcome { mails: vec![again], ..Outcome::default() }).await;
    assert_eq!(store.mails_of(&dag_name(), date).await.unwrap().len(), 3);
}

pub(super) async fn the_durations_are_those_of_work(place: &Place) {
    let store = place.open().await;
    for reason in [None, Some(Reason::UpToDate), None] {
        let (_, claim) = running(&store).await;
        succeed(&store, &claim, "pull", Outcome { reason, ..Outcome::default() }).await;
    }

    let pull = store.durations(&dag_name(), &job("pull"), 14).await.unwrap();
    assert_eq!(pull, [SignedDuration::from_secs(1); 2]);
    assert_eq!(store.durations(&dag_name(), &job("pull"), 1).await.unwrap().len(), 1);
    assert!(store.durations(&dag_name(), &job("digest"), 14).await.unwrap().is_empty());
}
