//! The contract: the commit is all or nothing, and readers get what it wrote.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use nocturne::domain::delivery::Word;
use nocturne::domain::ids::RunId;
use nocturne::domain::measurement::{HistoryWanted, Measurement};
use nocturne::domain::outcome::{ModelRole, Outcome};
use nocturne::domain::run::{JobState, RunState};
use nocturne::store::{AttemptEnd, Base, NewRun, OutcomePart, StateStore, StoreError, check};

use super::fixtures::{
    DAY, Place, at, dag_name, file, fingerprint, full_outcome, job, lost, mail, model, new_run, running, snapshot,
    stored, succeed, success,
};
use crate::support::limit::Patience;

pub(super) async fn a_commit_writes_every_effect(place: &Place) {
    let store = place.open().await;
    let (run, claim) = running(&store).await;

    succeed(&store, &claim, "pull", full_outcome()).await;

    let outcome = full_outcome();
    let snapshots = store.snapshots().await.unwrap();
    assert_eq!(snapshots.into_values().rev().collect::<Vec<_>>(), outcome.snapshots);
    assert_eq!(store.cursors().await.unwrap(), outcome.cursors);
    assert_eq!(store.models().await.unwrap(), outcome.models);
    let wanted = HistoryWanted { names: &["table.rows"], days: 7 };
    let measured = store.history(&dag_name(), wanted, DAY.tomorrow().unwrap()).await.unwrap();
    assert_eq!(measured.into_iter().map(|past| past.measurement).collect::<Vec<_>>(), outcome.measurements);
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
    let (run, claim) = running(&store).await;
    store.start_attempt(&claim, &job("pull"), at(2)).await.unwrap();
    let before = (store.events(&run.run_id, 0).await.unwrap(), store.jobs(&run.run_id).await.unwrap());
    let mut too_large = full_outcome();
    too_large.snapshots[0].rows = u64::MAX;
    let mut not_finite = full_outcome();
    not_finite.measurements.push(Measurement::new("model.auc", f64::NAN));

    for failing in [too_large, not_finite] {
        store.end_attempt(&claim, &job("pull"), 1, success(failing), at(3)).await.unwrap_err();

        let after = (store.events(&run.run_id, 0).await.unwrap(), store.jobs(&run.run_id).await.unwrap());
        assert_eq!(before, after);
        assert_eq!(effects(&*store).await, 0);
    }
    store.end_attempt(&claim, &job("pull"), 1, success(full_outcome()), at(4)).await.unwrap();
    assert_eq!(effects(&*store).await, 5);
}

pub(super) async fn a_commit_that_is_dropped_anywhere_is_all_or_nothing(place: &Place) {
    let store = place.open().await;
    let (run, claim) = running(&store).await;
    store.start_attempt(&claim, &job("pull"), at(2)).await.unwrap();
    let name = job("pull");

    let patience = Patience::new("a commit to be polled to its end");
    for polls in 0.. {
        patience.again();
        let commit = store.end_attempt(&claim, &name, 1, success(full_outcome()), at(3));
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
    let (_, claim) = running(&store).await;
    let record = |models: Vec<_>| Outcome { models, ..Outcome::default() };
    succeed(&store, &claim, "pull", record(vec![model("m1", ModelRole::Champion)])).await;
    let challenger = vec![model("m2", ModelRole::Challenger)];
    let attempt = store.start_attempt(&claim, &job("features"), at(20)).await.unwrap();
    store.end_attempt(&claim, &job("features"), attempt, success(record(challenger)), at(21)).await.unwrap();
    let roles = async || -> Vec<_> {
        store.models().await.unwrap().into_iter().map(|model| (model.version, model.role)).collect()
    };
    let before = roles().await;

    let promoted = vec![model("m2", ModelRole::Champion)];
    let attempt = store.start_attempt(&claim, &job("digest"), at(30)).await.unwrap();
    store.end_attempt(&claim, &job("digest"), attempt, success(record(promoted)), at(31)).await.unwrap();

    let (m1, m2) = ("m1".to_owned(), "m2".to_owned());
    assert_eq!(before, [(m2.clone(), ModelRole::Challenger), (m1, ModelRole::Champion)]);
    assert_eq!(roles().await, [(m2, ModelRole::Champion)]);
}

pub(super) async fn the_later_snapshot_is_the_current_one(place: &Place) {
    let store = place.open().await;
    let (_, claim) = running(&store).await;
    let users =
        |content: &str| Outcome { snapshots: vec![snapshot("restricted/tables/users", content)], ..Outcome::default() };

    // Back to the first content: the same snapshot is committed, and current, again.
    for (name, content) in [("pull", "u1"), ("features", "u2"), ("digest", "u1")] {
        succeed(&store, &claim, name, users(content)).await;

        let current = store.snapshots().await.unwrap();
        assert_eq!(current["restricted/tables/users"], snapshot("restricted/tables/users", content));
        assert_eq!(current.len(), 1);
    }
}

pub(super) async fn the_last_success_is_found_by_date_and_without(place: &Place) {
    let store = place.open().await;
    let (first, claim) = running(&store).await;
    succeed(&store, &claim, "pull", full_outcome()).await;
    let mut next = new_run();
    next.logical_date = DAY.tomorrow().unwrap();
    let second = store.create_run(next).await.unwrap().unwrap();
    let claim = store.take_up(&second.run_id, at(4)).await.unwrap();
    succeed(&store, &claim, "pull", Outcome::default()).await;

    let of = async |date| store.last_success(&dag_name(), &job("pull"), date).await.unwrap();
    let (dated, any) = (of(Some(DAY)).await.unwrap(), of(None).await.unwrap());

    assert_eq!((dated.run_id, dated.logical_date), (first.run_id, DAY));
    assert_eq!((dated.fingerprint, dated.outcome), (Some(fingerprint("1")), stored(full_outcome())));
    assert_eq!((any.run_id, any.logical_date), (second.run_id, DAY.tomorrow().unwrap()));
    assert_eq!(of(Some(DAY.yesterday().unwrap())).await, None);
    assert_eq!(store.last_success(&dag_name(), &job("features"), None).await.unwrap(), None);
}

/// Runs that write the same datasets, cursors, models, mails and audit log at once, each in an order of its own: one is
/// committed, and the others are refused because of what has changed, and for no other reason.
pub(super) async fn of_concurrent_commits_on_shared_rows_one_is_true(place: &Place) {
    let store = place.open().await;
    let mut begun = Vec::new();
    for n in 0..8 {
        let (_, claim) = running(&store).await;
        begun.push(store.begin_attempt(&claim, &job("pull"), &format!("fence-{n}"), at(2)).await.unwrap());
    }

    let commits = begun.iter().enumerate().map(|(n, begun)| {
        let mut outcome = full_outcome();
        outcome.snapshots.extend((0..10).map(|n| snapshot(&format!("restricted/features/s{n}"), "s")));
        outcome.mails.push(mail("alert", Word::Look));
        outcome.models = vec![model(&format!("m{n}"), ModelRole::Champion)];
        let turn = n % outcome.snapshots.len();
        outcome.snapshots.rotate_left(turn);
        outcome.mails.rotate_left(n % 2);
        let end = AttemptEnd::Succeeded { outcome: Box::new(outcome), fingerprint: None, base: begun.base.clone() };
        store.finish_attempt(&begun.attempt, end.into(), at(3))
    });
    let done = futures::future::join_all(commits).await;

    let (committed, refused): (Vec<_>, Vec<_>) = done.into_iter().partition(Result::is_ok);
    assert_eq!((committed.len(), refused.len()), (1, 7));
    for error in refused {
        assert!(matches!(error, Err(StoreError::Moved { .. })), "{error:?}");
    }
    assert_eq!(store.snapshots().await.unwrap().len(), 12);
    assert_eq!(store.models().await.unwrap().len(), 1);
    assert_eq!(store.mail_due(at(9)).await.unwrap().len(), 2);
    let report = check(&place.url).await.unwrap();
    assert_eq!((report.audit_entries, report.problems), (1, vec![]));
}

/// Runs that write rows of their own, and one chain of audit entries: all are committed.
pub(super) async fn concurrent_commits_on_rows_of_their_own_all_succeed(place: &Place) {
    let store = place.open().await;
    let mut begun = Vec::new();
    for n in 0..8 {
        let (_, claim) = running(&store).await;
        begun.push(store.begin_attempt(&claim, &job("pull"), &format!("fence-{n}"), at(2)).await.unwrap());
    }

    let commits = begun.iter().enumerate().map(|(n, begun)| {
        let snapshots = vec![snapshot(&format!("restricted/features/s{n}"), "s")];
        let outcome = Outcome { snapshots, audit: vec![format!("entry {n}")], ..Outcome::default() };
        let end = AttemptEnd::Succeeded { outcome: Box::new(outcome), fingerprint: None, base: begun.base.clone() };
        store.finish_attempt(&begun.attempt, end.into(), at(3))
    });

    for result in futures::future::join_all(commits).await {
        result.unwrap();
    }
    assert_eq!(store.snapshots().await.unwrap().len(), 8);
    assert_eq!(check(&place.url).await.unwrap().audit_entries, 8);
}

pub(super) async fn a_commit_over_something_else_than_was_read_is_refused(place: &Place) {
    let store = place.open().await;
    let (_, slow) = running(&store).await;
    let begun = store.begin_attempt(&slow, &job("pull"), "slow", at(2)).await.unwrap();
    let (_, quick) = running(&store).await;
    succeed(&store, &quick, "pull", full_outcome()).await;
    let moved = |outcome| {
        let end = AttemptEnd::Succeeded { outcome: Box::new(outcome), fingerprint: None, base: begun.base.clone() };
        store.finish_attempt(&begun.attempt, end.into(), at(5))
    };
    let only = full_outcome();

    let refused = [
        moved(Outcome { snapshots: vec![snapshot("restricted/tables/users", "u9")], ..Outcome::default() }).await,
        moved(Outcome { cursors: only.cursors, ..Outcome::default() }).await,
        moved(Outcome { models: vec![model("m9", ModelRole::Champion)], ..Outcome::default() }).await,
    ];

    let told: Vec<String> = refused.into_iter().map(|answer| answer.unwrap_err().to_string()).collect();
    for (told, what) in
        told.iter().zip(["dataset `restricted/tables/users`", "cursor `canvas/users`", "champion of `at_risk`"])
    {
        assert!(told.contains(what), "{told}");
    }
    moved(Outcome { audit: vec!["nothing replaced".to_owned()], ..Outcome::default() }).await.unwrap();
    assert_eq!(store.snapshots().await.unwrap()["restricted/tables/users"], full_outcome().snapshots[0]);
}

pub(super) async fn a_run_for_an_earlier_date_moves_nothing_that_is_current(place: &Place) {
    let store = place.open().await;
    let (_, tonight) = running(&store).await;
    succeed(&store, &tonight, "pull", full_outcome()).await;
    let mut earlier = new_run();
    earlier.logical_date = DAY.yesterday().unwrap();
    let run = store.create_run(earlier).await.unwrap().unwrap();
    let claim = store.take_up(&run.run_id, at(4)).await.unwrap();
    let mut old = full_outcome();
    old.snapshots = vec![snapshot("restricted/tables/users", "of the day before")];
    old.cursors.values_mut().for_each(|position| *position = "2026-11-18T00:00:00Z".to_owned());
    old.models = vec![model("m0", ModelRole::Champion)];

    succeed(&store, &claim, "pull", old.clone()).await;

    assert_eq!(store.snapshots().await.unwrap()["restricted/tables/users"], full_outcome().snapshots[0]);
    assert_eq!(store.cursors().await.unwrap(), full_outcome().cursors);
    assert_eq!(store.models().await.unwrap(), full_outcome().models);
    let own = store.begin_attempt(&claim, &job("features"), "own", at(6)).await.unwrap().committed;
    assert_eq!(own.snapshots["restricted/tables/users"], old.snapshots[0], "the run itself sees what it made");
    let others = store.begin_attempt(&tonight, &job("features"), "others", at(6)).await.unwrap().committed;
    assert_eq!(others.snapshots["restricted/tables/users"], full_outcome().snapshots[0]);
}

fn part<'a>(name: &'a str, outcome: &'a Outcome, base: &'a Base) -> OutcomePart<'a> {
    OutcomePart { name, outcome, base }
}

pub(super) async fn a_part_is_true_before_its_attempt_ends_and_is_found_by_the_next(place: &Place) {
    let store = place.open().await;
    let (run, claim) = running(&store).await;
    let first = store.begin_attempt(&claim, &job("pull"), "first", at(2)).await.unwrap();
    let users = Outcome { snapshots: vec![snapshot("restricted/tables/users", "u1")], ..Outcome::default() };
    let again = Outcome { snapshots: vec![snapshot("restricted/tables/users", "u2")], ..Outcome::default() };

    store.commit_part(&first.attempt, part("users", &users, &first.base), at(3)).await.unwrap();
    store.commit_part(&first.attempt, part("users", &users, &first.base), at(3)).await.unwrap();
    let stale = store.commit_part(&first.attempt, part("users again", &again, &first.base), at(3)).await.unwrap_err();
    store.finish_attempt(&first.attempt, lost().into(), at(4)).await.unwrap();
    let late = store.commit_part(&first.attempt, part("late", &again, &first.base), at(5)).await.unwrap_err();
    let second = store.begin_attempt(&claim, &job("pull"), "second", at(5)).await.unwrap();

    assert!(matches!(stale, StoreError::Moved { .. }), "{stale}");
    assert!(matches!(late, StoreError::Fenced { .. }), "{late}");
    assert_eq!(second.committed.parts, BTreeMap::from([("users".to_owned(), users.clone())]));
    assert_eq!(second.committed.snapshots["restricted/tables/users"], users.snapshots[0]);
    let mut base = second.base;
    base.follow(&users);
    store.commit_part(&second.attempt, part("users again", &again, &base), at(6)).await.unwrap();
    let committed = store.events(&run.run_id, 0).await.unwrap();
    let parts = committed.iter().filter(|event| event.event["event"] == "part_committed").count();
    assert_eq!(parts, 2, "asked for again, a part is committed once");
}

pub(super) async fn what_a_commit_leaves_to_do_is_a_row_until_it_is_done_as_wanted(place: &Place) {
    let store = place.open().await;
    let (_, claim) = running(&store).await;
    let users = |content: &str| Outcome {
        snapshots: vec![snapshot("restricted/tables/users", content)],
        files: vec![file("published/reports/index.html", content)],
        ..Outcome::default()
    };
    let targets = async |now| -> Vec<(String, i64)> {
        store.to_settle(now).await.unwrap().into_iter().map(|row| (row.target, row.wanted)).collect()
    };
    succeed(&store, &claim, "pull", users("u1")).await;
    let first = targets(at(9)).await;

    // A commit comes while its predecessor is being settled.
    succeed(&store, &claim, "features", users("u2")).await;
    for (target, wanted) in &first {
        store.settled(target, *wanted).await.unwrap();
    }
    let (dataset, page) =
        ("dataset restricted/tables/users".to_owned(), "file published/reports/index.html".to_owned());
    let second = targets(at(9)).await;
    store.not_settled(&dataset, "the store is away", at(60)).await.unwrap();
    store.settled(&page, 2).await.unwrap();

    assert_eq!(first, [(dataset.clone(), 1), (page.clone(), 1)]);
    assert_eq!(second, [(dataset.clone(), 2), (page, 2)]);
    assert_eq!(
        store.published_file("published/reports/index.html").await.unwrap(),
        Some(file("published/reports/index.html", "u2"))
    );
    assert_eq!(targets(at(59)).await, []);
    assert_eq!(targets(at(60)).await, [(dataset, 2)]);
    let row = store.to_settle(at(60)).await.unwrap().remove(0);
    assert_eq!((row.tries, row.last_error.as_deref()), (1, Some("the store is away")));
}

/// Counts everything that [`full_outcome`] writes: 2 snapshots, a cursor, a model, an e-mail.
pub(super) async fn effects(store: &dyn StateStore) -> usize {
    store.snapshots().await.unwrap().len()
        + store.cursors().await.unwrap().len()
        + store.models().await.unwrap().len()
        + store.mail_due(at(999)).await.unwrap().len()
}

/// Returns the state of the first job and the number of effects at one moment: the database may still be working on a
/// commit whose caller is gone.
async fn settled(store: &dyn StateStore, run_id: &RunId) -> (JobState, usize) {
    let patience = Patience::new("the state to stand still");
    loop {
        patience.again();
        let before = store.jobs(run_id).await.unwrap()[0].state;
        let written = effects(store).await;
        if store.jobs(run_id).await.unwrap()[0].state == before {
            return (before, written);
        }
    }
}

/// Polls a future so many times, then drops it: what a kill does to a transaction.
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

/// A backfill: the newest night found everything up to date, and a run for a date between comes later.
pub(super) async fn a_run_for_an_earlier_date_replaces_nothing_that_a_later_night_goes_on_from(place: &Place) {
    let store = place.open().await;
    let night = async |days: i32, second: i64, outcome: Outcome| {
        let date = DAY.checked_add(jiff::Span::new().days(days)).unwrap();
        let run = NewRun { logical_date: date, now: at(second), ..new_run() };
        let run = store.create_run(run).await.unwrap().unwrap();
        let claim = store.take_up(&run.run_id, at(second + 1)).await.unwrap();
        succeed(&store, &claim, "pull", outcome).await;
        store.request_cancel(&run.run_id, "the rest is of no matter", at(second + 4)).await.unwrap();
        store.finish_run(&claim, RunState::Cancelled, at(second + 5)).await.unwrap();
        run.run_id
    };
    let made = |content: &str, version: &str| Outcome {
        snapshots: vec![snapshot("restricted/tables/users", content)],
        models: vec![model(version, ModelRole::Champion)],
        ..Outcome::default()
    };
    night(0, 0, made("u1", "m1")).await;
    let newest = night(2, 20, Outcome::default()).await;

    night(1, 40, made("u2", "m2")).await;

    assert_eq!(store.snapshots().await.unwrap()["restricted/tables/users"], snapshot("restricted/tables/users", "u1"));
    let models: Vec<String> = store.models().await.unwrap().into_iter().map(|model| model.version).collect();
    assert_eq!(models, ["m1"]);
    let last = store.last_success(&dag_name(), &job("pull"), None).await.unwrap().unwrap();
    assert_eq!(last.run_id, newest, "the next night goes on from the newest one");
}
