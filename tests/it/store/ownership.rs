//! The contract: one owner per run, and what happens to the work of an earlier one.

use nocturne::domain::ids::RunId;
use nocturne::domain::run::{JobState, LOST, RunState};
use nocturne::store::{StoreError, Unattempted};

use super::fixtures::{Place, at, failure, full_outcome, job, lost, new_run, running, success};

pub(super) async fn a_stale_worker_is_fenced(place: &Place) {
    let store = place.open().await;
    let (run, stale) = running(&store).await;
    let attempt = store.start_attempt(&stale, &job("pull"), at(2)).await.unwrap();
    let fresh = store.take_up(&run.run_id, at(3)).await.unwrap();
    let before = store.events(&run.run_id, 0).await.unwrap();

    let skip = Unattempted::Skipped { why: "not wanted".to_owned() };
    let refused = [
        store.start_attempt(&stale, &job("pull"), at(4)).await.unwrap_err(),
        store.end_attempt(&stale, &job("pull"), attempt, success(full_outcome()), at(4)).await.unwrap_err(),
        store.end_attempt(&stale, &job("pull"), attempt, failure(None), at(4)).await.unwrap_err(),
        store.finish_unattempted(&stale, &job("digest"), skip, at(4)).await.map(drop).unwrap_err(),
        store.finish_run(&stale, RunState::Cancelled, at(4)).await.unwrap_err(),
    ];

    for error in refused {
        assert!(matches!(error, StoreError::Fenced { .. }), "{error}");
    }
    assert!(fresh.token > stale.token);
    assert_eq!(store.events(&run.run_id, 0).await.unwrap(), before);
    assert!(store.snapshots().await.unwrap().is_empty());
    assert_eq!(store.start_attempt(&fresh, &job("pull"), at(5)).await.unwrap(), 2);
}

pub(super) async fn what_the_earlier_owner_left_running_is_lost(place: &Place) {
    let store = place.open().await;
    let (run, first) = running(&store).await;
    store.start_attempt(&first, &job("pull"), at(2)).await.unwrap();

    let second = store.take_up(&run.run_id, at(3)).await.unwrap();

    let pull = store.jobs(&run.run_id).await.unwrap().remove(0);
    assert_eq!((pull.state, pull.attempts), (JobState::Retrying, 1));
    assert_eq!(pull.error.as_deref(), Some("the attempt was lost: its process died"));
    let events = store.events(&run.run_id, 0).await.unwrap();
    assert_eq!(events.last().unwrap().event, serde_json::json!({ "event": "attempt_lost", "attempt": 1, "why": LOST }));
    assert_eq!(store.start_attempt(&second, &job("pull"), at(4)).await.unwrap(), 2);
    store.end_attempt(&second, &job("pull"), 2, lost(), at(5)).await.unwrap();
    assert_eq!(store.start_attempt(&second, &job("pull"), at(6)).await.unwrap(), 3);
    store.end_attempt(&second, &job("pull"), 3, success(full_outcome()), at(7)).await.unwrap();
    assert_eq!(store.run(&run.run_id).await.unwrap().unwrap().started_at, Some(at(1)));
}

pub(super) async fn only_one_of_concurrent_starts_begins_the_attempt(place: &Place) {
    let store = place.open().await;
    let (run, claim) = running(&store).await;

    let name = job("pull");
    let fences: Vec<String> = (0..8).map(|n| format!("fence-{n}")).collect();
    let starts = fences.iter().map(|fence| store.begin_attempt(&claim, &name, fence, at(2)));
    let started = futures::future::join_all(starts).await;

    let (begun, refused): (Vec<_>, Vec<_>) = started.into_iter().partition(Result::is_ok);
    assert_eq!(begun.into_iter().map(|begun| begun.unwrap().attempt.attempt).collect::<Vec<_>>(), [1]);
    assert!(refused.iter().all(|error| matches!(error, Err(StoreError::Illegal(_)))));
    assert_eq!(store.jobs(&run.run_id).await.unwrap()[0].attempts, 1);
}

pub(super) async fn a_run_that_is_not_there_is_named(place: &Place) {
    let store = place.open().await;
    let nowhere = RunId::from_stored("nightly.2031-01-01.1".to_owned());

    let error = store.take_up(&nowhere, at(1)).await.unwrap_err();

    assert_eq!(error.to_string(), "there is no run nightly.2031-01-01.1; `nocturne runs list` shows those there are");
    assert!(matches!(store.request_cancel(&nowhere, "jo cancelled it", at(1)).await, Err(StoreError::NoRun { .. })));
    assert!(matches!(store.dag_of(&nowhere).await, Err(StoreError::NoRun { .. })));
    assert_eq!(store.run(&nowhere).await.unwrap(), None);
    assert!(store.create_run(new_run()).await.unwrap().is_some());
}
