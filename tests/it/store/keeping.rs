//! The contract: what is beyond the limits is deleted completely, what is in use stays, and a restore stops all
//! collecting.

use jiff::Timestamp;
use nocturne::domain::keeping::StoredRun;
use nocturne::domain::outcome::Outcome;
use nocturne::domain::run::RunState;
use nocturne::store::{Claim, Cuts, Forgotten, check};

use super::fixtures::{Place, TestStore, at, dag_name, full_outcome, job, running, succeed};

/// Runs every job of the run, each with everything that an outcome can have, and ends the run.
async fn whole(store: &TestStore, outcome: Outcome) -> Claim {
    let (_, claim) = running(store).await;
    for name in ["pull", "features", "digest"] {
        succeed(store, &claim, name, outcome.clone()).await;
    }
    store.finish_run(&claim, RunState::Succeeded, at(4)).await.unwrap();
    claim
}

async fn facts(store: &TestStore, claim: &Claim) -> StoredRun {
    let runs = store.stored_runs().await.unwrap();
    runs.into_iter().find(|run| run.run_id == claim.run_id).unwrap()
}

async fn hand_over_all(store: &TestStore) {
    for due in store.mail_due(at(999)).await.unwrap() {
        assert!(store.mail_begin(&due.id, "sender", at(5)).await.unwrap());
        store.mail_sent(&due.id, at(5)).await.unwrap();
    }
}

fn cuts(before: Timestamp) -> Cuts {
    Cuts { events: before, outcomes: before, mail_bodies: before, slots: before, measurements: before }
}

pub(super) async fn a_run_is_in_use_while_something_refers_to_it(place: &Place) {
    let store = place.open().await;
    let first = whole(&store, full_outcome()).await;
    assert!(facts(&store, &first).await.is_in_use, "its snapshots are current");

    // Everything that the first run made is replaced by the second, but its e-mail waits.
    let (_, second) = running(&store).await;
    let later = Outcome { mails: vec![], ..full_outcome() };
    for name in ["pull", "features", "digest"] {
        let attempt = store.start_attempt(&second, &job(name), at(5)).await.unwrap();
        let end = super::fixtures::success(later.clone());
        store.end_attempt(&second, &job(name), attempt, end, at(6)).await.unwrap();
    }
    assert!(facts(&store, &first).await.is_in_use, "its e-mail was not sent");
    hand_over_all(&store).await;

    let (first, second) = (facts(&store, &first).await, facts(&store, &second).await);
    assert_eq!((first.is_in_use, first.ended_at, first.dag), (false, Some(at(4)), dag_name()));
    assert_eq!((second.is_in_use, second.ended_at), (true, None));
}

pub(super) async fn a_deleted_run_is_gone_whole_and_the_rest_is_as_it_was(place: &Place) {
    let store = place.open().await;
    let first = whole(&store, full_outcome()).await;
    hand_over_all(&store).await;
    let second = whole(&store, full_outcome()).await;
    let before = (store.snapshots().await.unwrap(), store.models().await.unwrap(), store.cursors().await.unwrap());

    assert!(store.delete_run(&first.run_id).await.unwrap());
    assert!(!store.delete_run(&first.run_id).await.unwrap(), "it is gone already");

    assert!(store.run(&first.run_id).await.unwrap().is_none());
    assert!(store.events(&first.run_id, 0).await.unwrap().is_empty());
    let after = (store.snapshots().await.unwrap(), store.models().await.unwrap(), store.cursors().await.unwrap());
    assert_eq!(before, after);
    let last = store.last_success(&dag_name(), &job("pull"), None).await.unwrap().unwrap();
    assert_eq!(last.run_id, second.run_id);
    let report = check(&place.url).await.unwrap();
    assert_eq!((report.runs, report.attempts, report.problems), (1, 3, vec![]));
    let third = store.create_run(super::fixtures::new_run()).await.unwrap().unwrap();
    assert_eq!(third.run_id.as_str(), "nightly.2026-11-20.3", "a number is never given twice");
}

pub(super) async fn an_open_run_is_not_deleted(place: &Place) {
    let store = place.open().await;
    let (run, claim) = running(&store).await;
    store.start_attempt(&claim, &job("pull"), at(2)).await.unwrap();

    assert!(!store.delete_run(&run.run_id).await.unwrap());

    assert_eq!(store.running_attempts().await.unwrap(), ["nightly.2026-11-20.1.pull.1"]);
}

pub(super) async fn what_is_forgotten_is_old_and_not_in_use(place: &Place) {
    let store = place.open().await;
    let first = whole(&store, full_outcome()).await;
    let second = whole(&store, full_outcome()).await;
    let (third, _) = running(&store).await;
    // The last success of each job is determined by when it ended.
    place
        .execute("UPDATE attempts SET finished_at = finished_at + 1000000 WHERE run_id = 'nightly.2026-11-20.2'")
        .await;
    hand_over_all(&store).await;

    let nothing = store.forget(&cuts(at(0))).await.unwrap();
    let forgotten = store.forget(&cuts(at(60))).await.unwrap();
    let again = store.forget(&cuts(at(60))).await.unwrap();

    assert_eq!((nothing, again), (Forgotten::default(), Forgotten::default()));
    assert_eq!((forgotten.outcomes, forgotten.mail_bodies), (3, 1));
    for (claim, kept) in [(&first, 0), (&second, 3)] {
        let jobs = store.jobs(&claim.run_id).await.unwrap();
        assert_eq!(jobs.iter().filter(|job| job.outcome.is_some()).count(), kept, "{}", claim.run_id);
        assert!(store.events(&claim.run_id, 0).await.unwrap().is_empty());
    }
    assert_eq!(store.events(&third.run_id, 0).await.unwrap().len(), 2, "it is open");
    let last = store.last_success(&dag_name(), &job("pull"), Some(super::fixtures::DAY)).await.unwrap().unwrap();
    assert_eq!((last.run_id, last.outcome), (second.run_id, super::fixtures::stored(full_outcome())));
    assert_eq!(check(&place.url).await.unwrap().problems, Vec::<String>::new());
}

pub(super) async fn after_a_restore_nothing_is_collected_until_state_and_lake_agree(place: &Place) {
    let store = place.open().await;
    assert!(store.is_collecting_allowed().await.unwrap());

    store.note_restored(at(1)).await.unwrap();
    assert!(!store.is_collecting_allowed().await.unwrap());
    store.note_agreement(at(2)).await.unwrap();
    store.note_agreement(at(3)).await.unwrap();

    assert!(store.is_collecting_allowed().await.unwrap());
    let report = check(&place.url).await.unwrap();
    assert_eq!((report.audit_entries, report.problems), (2, vec![]), "one entry each");
}

pub(super) async fn when_it_was_last_kept_within_its_limits_is_remembered(place: &Place) {
    let store = place.open().await;
    assert_eq!(store.kept_at().await.unwrap(), None);

    store.note_kept(at(1)).await.unwrap();
    store.note_kept(at(9)).await.unwrap();

    assert_eq!(place.open().await.kept_at().await.unwrap(), Some(at(9)));
}
