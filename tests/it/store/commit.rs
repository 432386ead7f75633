//! The contract: the commit is all or nothing, and what it wrote is what readers get.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use nocturne::domain::delivery::Word;
use nocturne::domain::ids::RunId;
use nocturne::domain::measurement::Measurement;
use nocturne::domain::outcome::{ModelRole, Outcome};
use nocturne::domain::run::JobState;
use nocturne::store::{StateStore, check};

use super::fixtures::{
    DAY, Place, at, dag_name, full_outcome, job, mail, model, new_run, running, snapshot, stored, succeed, success,
};

pub(super) async fn a_commit_writes_every_effect(place: &Place) {
    let store = place.open().await;
    let (run, claim) = running(&*store).await;

    succeed(&*store, &claim, "pull", full_outcome()).await;

    let outcome = full_outcome();
    let snapshots = store.snapshots().await.unwrap();
    assert_eq!(snapshots.into_values().rev().collect::<Vec<_>>(), outcome.snapshots);
    assert_eq!(store.cursors().await.unwrap(), outcome.cursors);
    assert_eq!(store.models().await.unwrap(), outcome.models);
    let due = store.mail_due(at(3)).await.unwrap();
    assert_eq!(due.len(), 1);
    let outgoing = &due[0].outgoing;
    assert_eq!((outgoing.to.as_str(), due[0].since, due[0].tries), ("dean@example.edu", at(3), 0));
    let head = format!("To: dean@example.edu\r\nMessage-ID: <{}>\r\nSubject: ", outgoing.message_id);
    assert!(outgoing.message.starts_with(&head), "{}", outgoing.message);
    let events = store.events(&run.run_id, 0).await.unwrap();
    let expected = serde_json::json!({ "event": "attempt_succeeded", "attempt": 1, "summary": outcome.summary });
    assert_eq!(events.last().unwrap().event, expected);
    assert_eq!(store.jobs(&run.run_id).await.unwrap()[0].outcome, Some(stored(outcome)));
    let report = check(&place.url).await.unwrap();
    assert_eq!((report.audit_entries, report.problems), (1, vec![]));
}

pub(super) async fn a_failing_effect_leaves_nothing_of_the_commit(place: &Place) {
    let store = place.open().await;
    let (run, claim) = running(&*store).await;
    store.start_attempt(&claim, &job("pull"), at(2)).await.unwrap();
    let before = (store.events(&run.run_id, 0).await.unwrap(), store.jobs(&run.run_id).await.unwrap());
    let mut too_large = full_outcome();
    too_large.snapshots[0].rows = u64::MAX;
    let mut named_twice = full_outcome();
    named_twice.snapshots.push(snapshot("restricted/tables/users", "u2"));

    let mut not_finite = full_outcome();
    not_finite.measurements.push(Measurement::new("model.auc", f64::NAN));

    for failing in [too_large, named_twice, not_finite] {
        store.finish_attempt(&claim, &job("pull"), 1, success(failing), at(3)).await.unwrap_err();

        let after = (store.events(&run.run_id, 0).await.unwrap(), store.jobs(&run.run_id).await.unwrap());
        assert_eq!(before, after);
        assert_eq!(effects(&*store).await, 0);
    }
    store.finish_attempt(&claim, &job("pull"), 1, success(full_outcome()), at(4)).await.unwrap();
    assert_eq!(effects(&*store).await, 5);
}

pub(super) async fn a_commit_that_is_dropped_anywhere_is_all_or_nothing(place: &Place) {
    let store = place.open().await;
    let (run, claim) = running(&*store).await;
    store.start_attempt(&claim, &job("pull"), at(2)).await.unwrap();
    let name = job("pull");

    for polls in 0.. {
        let commit = store.finish_attempt(&claim, &name, 1, success(full_outcome()), at(3));
        let finished = poll_at_most(commit, polls).await;

        let (state, written) = settled(&*store, &run.run_id).await;
        match state {
            JobState::Running => assert_eq!(written, 0, "after {polls} polls"),
            _ => assert_eq!((state, written), (JobState::Succeeded, 5), "after {polls} polls"),
        }
        if finished.is_some() {
            break;
        }
    }

    assert_eq!(settled(&*store, &run.run_id).await, (JobState::Succeeded, 5));
    assert_eq!(check(&place.url).await.unwrap().problems, Vec::<String>::new());
}

pub(super) async fn a_new_champion_retires_the_old(place: &Place) {
    let store = place.open().await;
    let (_, claim) = running(&*store).await;
    let record = |models: Vec<_>| Outcome { models, ..Outcome::default() };
    succeed(&*store, &claim, "pull", record(vec![model("m1", ModelRole::Champion)])).await;
    let challenger = vec![model("m2", ModelRole::Challenger)];
    let attempt = store.start_attempt(&claim, &job("features"), at(20)).await.unwrap();
    store.finish_attempt(&claim, &job("features"), attempt, success(record(challenger)), at(21)).await.unwrap();
    let roles = async || -> Vec<_> {
        store.models().await.unwrap().into_iter().map(|model| (model.version, model.role)).collect()
    };
    let before = roles().await;

    let promoted = vec![model("m2", ModelRole::Champion)];
    let attempt = store.start_attempt(&claim, &job("digest"), at(30)).await.unwrap();
    store.finish_attempt(&claim, &job("digest"), attempt, success(record(promoted)), at(31)).await.unwrap();

    let (m1, m2) = ("m1".to_owned(), "m2".to_owned());
    assert_eq!(before, [(m2.clone(), ModelRole::Challenger), (m1, ModelRole::Champion)]);
    assert_eq!(roles().await, [(m2, ModelRole::Champion)]);
}

pub(super) async fn the_later_snapshot_is_the_current_one(place: &Place) {
    let store = place.open().await;
    let (_, claim) = running(&*store).await;
    let users =
        |content: &str| Outcome { snapshots: vec![snapshot("restricted/tables/users", content)], ..Outcome::default() };

    // Back to the first content: the same snapshot is committed, and current, again.
    for (name, content) in [("pull", "u1"), ("features", "u2"), ("digest", "u1")] {
        succeed(&*store, &claim, name, users(content)).await;

        let current = store.snapshots().await.unwrap();
        assert_eq!(current["restricted/tables/users"], snapshot("restricted/tables/users", content));
        assert_eq!(current.len(), 1);
    }
}

pub(super) async fn the_last_success_is_found_by_date_and_without(place: &Place) {
    let store = place.open().await;
    let (first, claim) = running(&*store).await;
    succeed(&*store, &claim, "pull", full_outcome()).await;
    let mut next = new_run();
    next.logical_date = DAY.tomorrow().unwrap();
    let second = store.create_run(next).await.unwrap().unwrap();
    let claim = store.claim_run(&second.run_id, "worker-1", at(4)).await.unwrap();
    succeed(&*store, &claim, "pull", Outcome::default()).await;

    let of = async |date| store.last_success(&dag_name(), &job("pull"), date).await.unwrap();
    let (dated, any) = (of(Some(DAY)).await.unwrap(), of(None).await.unwrap());

    assert_eq!((dated.run_id, dated.logical_date), (first.run_id, DAY));
    assert_eq!((dated.fingerprint.as_deref(), dated.outcome), (Some("f1"), stored(full_outcome())));
    assert_eq!((any.run_id, any.logical_date), (second.run_id, DAY.tomorrow().unwrap()));
    assert_eq!(of(Some(DAY.yesterday().unwrap())).await, None);
    assert_eq!(store.last_success(&dag_name(), &job("features"), None).await.unwrap(), None);
}

/// Runs that write the same datasets, cursors, models, mails and audit log, each in an order of its own.
pub(super) async fn concurrent_commits_on_shared_rows_all_succeed(place: &Place) {
    let store = place.open().await;
    let mut claims = Vec::new();
    for _ in 0..8 {
        let (_, claim) = running(&*store).await;
        store.start_attempt(&claim, &job("pull"), at(2)).await.unwrap();
        claims.push(claim);
    }
    let name = job("pull");

    let commits = claims.iter().enumerate().map(|(n, claim)| {
        let mut outcome = full_outcome();
        outcome.snapshots.extend((0..10).map(|n| snapshot(&format!("restricted/features/s{n}"), "s")));
        outcome.mails.push(mail("alert", Word::Look));
        outcome.models = vec![model(&format!("m{n}"), ModelRole::Champion)];
        let turn = n % outcome.snapshots.len();
        outcome.snapshots.rotate_left(turn);
        outcome.mails.rotate_left(n % 2);
        store.finish_attempt(claim, &name, 1, success(outcome), at(3))
    });
    let done = futures::future::join_all(commits).await;

    for result in done {
        result.unwrap();
    }
    assert_eq!(store.snapshots().await.unwrap().len(), 12);
    assert_eq!(store.models().await.unwrap().len(), 1);
    assert_eq!(store.mail_due(at(9)).await.unwrap().len(), 2);
    let report = check(&place.url).await.unwrap();
    assert_eq!((report.audit_entries, report.problems), (8, vec![]));
}

/// Counts everything that [`full_outcome`] writes: 2 snapshots, a cursor, a model, an e-mail.
pub(super) async fn effects(store: &dyn StateStore) -> usize {
    store.snapshots().await.unwrap().len()
        + store.cursors().await.unwrap().len()
        + store.models().await.unwrap().len()
        + store.mail_due(at(999)).await.unwrap().len()
}

/// Returns the state of the first job and the number of effects as they were at one moment: the database may still be
/// at work on a commit whose caller is gone.
async fn settled(store: &dyn StateStore, run_id: &RunId) -> (JobState, usize) {
    loop {
        let before = store.jobs(run_id).await.unwrap()[0].state;
        let written = effects(store).await;
        if store.jobs(run_id).await.unwrap()[0].state == before {
            return (before, written);
        }
    }
}

/// Drives a future through so many polls, then drops it: what a kill does to a transaction.
async fn poll_at_most<F: Future>(future: F, times: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}
