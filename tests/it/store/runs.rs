//! The contract: runs and their jobs, from the request to the end.

use nocturne::domain::fingerprint::Why;
use nocturne::domain::job::Force;
use nocturne::domain::outcome::{ModelRole, Outcome};
use nocturne::domain::run::{JobEvent, JobState, RunEvent, RunState};
use nocturne::store::{AttemptEnd, RunFilter, StoreError, Unattempted, check};

use super::fixtures::{
    DAY, Place, at, dag, dag_name, failure, full_outcome, job, new_run, running, stored, succeed, success,
};

pub(super) async fn a_new_run_is_numbered_and_its_jobs_wait(place: &Place) {
    let store = place.open().await;

    let first = store.create_run(new_run()).await.unwrap().unwrap();
    let mut forced = new_run();
    forced.force = Force::Rebuild;
    let second = store.create_run(forced).await.unwrap().unwrap();

    assert_eq!((first.run_id.as_str(), second.run_id.as_str()), ("nightly.2026-11-20.1", "nightly.2026-11-20.2"));
    assert_eq!((first.state, first.queued_at, first.started_at), (RunState::Queued, at(0), None));
    assert_eq!((first.force, second.force), (Force::No, Force::Rebuild));
    assert_eq!(store.run(&first.run_id).await.unwrap().unwrap(), first);
    let jobs = store.jobs(&first.run_id).await.unwrap();
    let names: Vec<_> = jobs.iter().map(|job| job.name.as_str()).collect();
    assert_eq!(names, ["digest", "features", "pull"]);
    assert!(jobs.iter().all(|job| job.state == JobState::Queued && job.attempts == 0 && job.outcome.is_none()));
    let events = store.events(&first.run_id, 0).await.unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].event, serde_json::json!({ "event": "queued", "trigger": "command" }));
}

pub(super) async fn concurrent_creators_get_different_numbers(place: &Place) {
    let store = place.open().await;

    let made = futures::future::join_all((0..8).map(|_| store.create_run(new_run()))).await;

    let mut ids: Vec<_> = made.into_iter().map(|run| run.unwrap().unwrap().run_id.to_string()).collect();
    ids.sort();
    assert_eq!(ids, (1..=8).map(|n| format!("nightly.2026-11-20.{n}")).collect::<Vec<_>>());
}

pub(super) async fn jobs_that_were_not_asked_for_are_skipped(place: &Place) {
    let store = place.open().await;
    let mut new = new_run();
    new.only = Some(vec![job("features")]);

    let run = store.create_run(new).await.unwrap().unwrap();

    assert_eq!(run.only, Some(vec![job("features")]));
    let jobs = store.jobs(&run.run_id).await.unwrap();
    let states: Vec<_> = jobs.iter().map(|job| (job.name.as_str(), job.state, job.error.as_deref())).collect();
    let why = Some("not asked for");
    assert_eq!(
        states,
        [("digest", JobState::Skipped, why), ("features", JobState::Queued, None), ("pull", JobState::Skipped, why)]
    );
    assert_eq!(store.events(&run.run_id, 0).await.unwrap().len(), 3);
}

pub(super) async fn a_job_that_the_dag_does_not_have_is_refused(place: &Place) {
    let store = place.open().await;
    let mut new = new_run();
    new.only = Some(vec![job("train")]);

    let refused = store.create_run(new).await.unwrap_err();

    assert_eq!(refused.to_string(), "DAG nightly has no job `train`; `nocturne dags show nightly` lists its jobs");
    assert!(store.runs(&RunFilter::default()).await.unwrap().is_empty());
}

pub(super) async fn the_dag_is_kept_as_the_run_has_it(place: &Place) {
    let store = place.open().await;
    let as_file = store.create_run(new_run()).await.unwrap().unwrap();
    let mut overridden = new_run();
    overridden.dag.max_parallel = 1;

    let other = store.create_run(overridden.clone()).await.unwrap().unwrap();

    assert_eq!(as_file.dag_version, other.dag_version);
    assert_eq!(store.dag_of(&as_file.run_id).await.unwrap(), dag());
    assert_eq!(store.dag_of(&other.run_id).await.unwrap(), overridden.dag);
}

pub(super) async fn runs_are_listed_newest_first_and_filtered(place: &Place) {
    let store = place.open().await;
    let (old, _) = running(&store).await;
    let mut new = new_run();
    (new.logical_date, new.now) = (DAY.tomorrow().unwrap(), at(50));
    let newer = store.create_run(new).await.unwrap().unwrap();
    store.request_cancel(&newer.run_id, "jo cancelled it", at(51)).await.unwrap();

    let ids = async |filter: RunFilter| -> Vec<_> {
        store.runs(&filter).await.unwrap().into_iter().map(|run| run.run_id).collect()
    };

    assert_eq!(ids(RunFilter::default()).await, [newer.run_id.clone(), old.run_id.clone()]);
    assert_eq!(ids(RunFilter { limit: Some(1), ..RunFilter::default() }).await, [newer.run_id]);
    let open = ids(RunFilter { open: true, ..RunFilter::default() }).await;
    assert_eq!(open, ids(RunFilter { logical_date: Some(DAY), ..RunFilter::default() }).await);
    assert_eq!(open, [old.run_id]);
    assert!(ids(RunFilter { dag: Some("weekly".parse().unwrap()), ..RunFilter::default() }).await.is_empty());
    assert_eq!(ids(RunFilter { dag: Some(dag_name()), ..RunFilter::default() }).await.len(), 2);
}

pub(super) async fn a_run_does_not_end_while_jobs_are_open(place: &Place) {
    let store = place.open().await;
    let (run, claim) = running(&store).await;
    succeed(&store, &claim, "pull", Outcome::default()).await;
    store.start_attempt(&claim, &job("features"), at(4)).await.unwrap();

    let refused = store.finish_run(&claim, RunState::Succeeded, at(5)).await.unwrap_err();

    let expected = "run nightly.2026-11-20.1 cannot end: `digest` (queued), `features` (running) not done; \
                    cancel the run, or end them first";
    assert_eq!(refused.to_string(), expected);
    assert_eq!(store.run(&run.run_id).await.unwrap().unwrap().state, RunState::Running);
    store.end_attempt(&claim, &job("features"), 1, failure(None), at(6)).await.unwrap();
    let upstream = Unattempted::UpstreamFailed { upstream: job("features") };
    store.finish_unattempted(&claim, &job("digest"), upstream, at(7)).await.unwrap();
    store.finish_run(&claim, RunState::Failed, at(8)).await.unwrap();
    let done = store.run(&run.run_id).await.unwrap().unwrap();
    assert_eq!((done.state, done.finished_at), (RunState::Failed, Some(at(8))));
}

pub(super) async fn a_queued_run_is_cancelled_at_once(place: &Place) {
    let store = place.open().await;
    let run = store.create_run(new_run()).await.unwrap().unwrap();

    assert!(store.request_cancel(&run.run_id, "jo cancelled it", at(1)).await.unwrap());

    let cancelled = store.run(&run.run_id).await.unwrap().unwrap();
    assert_eq!((cancelled.state, cancelled.finished_at), (RunState::Cancelled, Some(at(1))));
    assert!(store.jobs(&run.run_id).await.unwrap().iter().all(|job| job.state == JobState::Cancelled));
    assert!(!store.request_cancel(&run.run_id, "jo cancelled it", at(2)).await.unwrap());
    assert!(matches!(store.take_up(&run.run_id, at(3)).await, Err(StoreError::Illegal(_))));
}

pub(super) async fn a_running_run_is_asked_to_stop_and_then_cancels_what_is_open(place: &Place) {
    let store = place.open().await;
    let (run, claim) = running(&store).await;
    store.start_attempt(&claim, &job("pull"), at(2)).await.unwrap();

    assert!(store.request_cancel(&run.run_id, "jo cancelled it", at(3)).await.unwrap());
    assert!(store.request_cancel(&run.run_id, "jo cancelled it", at(3)).await.unwrap());

    let asked = store.run(&run.run_id).await.unwrap().unwrap();
    assert!(asked.cancel_requested && asked.state == RunState::Running);
    store.finish_run(&claim, RunState::Cancelled, at(4)).await.unwrap();
    let jobs = store.jobs(&run.run_id).await.unwrap();
    assert!(jobs.iter().all(|job| job.state == JobState::Cancelled && job.finished_at == Some(at(4))));
    let late = store.end_attempt(&claim, &job("pull"), 1, success(full_outcome()), at(5)).await;
    assert!(matches!(late, Err(StoreError::Illegal(_))));
    assert!(store.snapshots().await.unwrap().is_empty());
}

pub(super) async fn illegal_transitions_are_refused_and_nothing_is_written(place: &Place) {
    let store = place.open().await;
    let (run, claim) = running(&store).await;
    succeed(&store, &claim, "pull", Outcome::default()).await;
    store.start_attempt(&claim, &job("features"), at(4)).await.unwrap();
    let before = (store.events(&run.run_id, 0).await.unwrap(), store.jobs(&run.run_id).await.unwrap());

    let skip = || Unattempted::Skipped { why: "not wanted".to_owned() };
    let refused = [
        store.start_attempt(&claim, &job("pull"), at(5)).await.unwrap_err(),
        store.start_attempt(&claim, &job("features"), at(5)).await.unwrap_err(),
        store.end_attempt(&claim, &job("pull"), 1, failure(None), at(5)).await.unwrap_err(),
        store.end_attempt(&claim, &job("digest"), 1, success(full_outcome()), at(5)).await.unwrap_err(),
        store.end_attempt(&claim, &job("features"), 2, success(full_outcome()), at(5)).await.unwrap_err(),
        store.finish_unattempted(&claim, &job("features"), skip(), at(5)).await.map(drop).unwrap_err(),
        store.finish_run(&claim, RunState::Queued, at(5)).await.unwrap_err(),
    ];

    for error in refused {
        assert!(matches!(error, StoreError::Illegal(_) | StoreError::Fenced { .. }), "{error}");
    }
    let unknown = store.start_attempt(&claim, &job("train"), at(5)).await.unwrap_err();
    assert!(matches!(unknown, StoreError::NoSuchJob { .. }), "{unknown}");
    let after = (store.events(&run.run_id, 0).await.unwrap(), store.jobs(&run.run_id).await.unwrap());
    assert_eq!(before, after);
    assert!(store.snapshots().await.unwrap().is_empty());
}

pub(super) async fn reopening_keeps_everything(place: &Place) {
    let first = place.open().await;
    let (run, claim) = running(&first).await;
    succeed(&first, &claim, "pull", full_outcome()).await;
    let before = (first.jobs(&run.run_id).await.unwrap(), first.events(&run.run_id, 0).await.unwrap());
    drop(first);

    let second = place.open().await;

    let after = (second.jobs(&run.run_id).await.unwrap(), second.events(&run.run_id, 0).await.unwrap());
    assert_eq!(before, after);
    assert_eq!(second.snapshots().await.unwrap().len(), 2);
    drop(claim);
    assert_eq!(second.job_standings(&run.run_id).await.unwrap().len(), 3);
}

pub(super) async fn retries_show_their_error_until_one_succeeds(place: &Place) {
    let store = place.open().await;
    let (run, claim) = running(&store).await;
    let pull = job("pull");
    let view = async || store.jobs(&run.run_id).await.unwrap().into_iter().find(|view| view.name == pull).unwrap();

    store.start_attempt(&claim, &pull, at(2)).await.unwrap();
    store.end_attempt(&claim, &pull, 1, failure(Some(at(33))), at(3)).await.unwrap();
    let retrying = view().await;
    assert_eq!(store.start_attempt(&claim, &pull, at(33)).await.unwrap(), 2);
    store.end_attempt(&claim, &pull, 2, success(full_outcome()), at(34)).await.unwrap();
    let done = view().await;

    assert_eq!((retrying.state, retrying.error.as_deref()), (JobState::Retrying, Some("connection refused")));
    assert_eq!((retrying.started_at, retrying.finished_at), (Some(at(2)), None));
    assert_eq!(retrying.why, Some(Why::First), "a try that failed says why it ran");
    assert_eq!((done.state, done.error, done.attempts), (JobState::Succeeded, None, 2));
    assert_eq!((done.started_at, done.finished_at), (Some(at(2)), Some(at(34))));
    assert_eq!(done.outcome, Some(stored(full_outcome())));
}

pub(super) async fn jobs_are_listed_in_the_order_in_which_they_began(place: &Place) {
    let store = place.open().await;
    let (run, claim) = running(&store).await;

    // At the same instant: the order is that of the calls, not of the names.
    store.start_attempt(&claim, &job("pull"), at(2)).await.unwrap();
    store.start_attempt(&claim, &job("features"), at(2)).await.unwrap();

    let jobs = store.jobs(&run.run_id).await.unwrap();
    assert_eq!(jobs.iter().map(|job| job.name.as_str()).collect::<Vec<_>>(), ["pull", "features", "digest"]);
    let events = store.events(&run.run_id, 0).await.unwrap();
    let later = store.events(&run.run_id, events[1].seq).await.unwrap();
    assert_eq!(later, events[2..]);
    assert!(events.is_sorted_by(|a, b| a.seq < b.seq));
}

/// A program's last output may hold anything; PostgreSQL's text does not accept a NUL.
pub(super) async fn a_nul_in_an_error_does_not_keep_an_attempt_from_ending(place: &Place) {
    let store = place.open().await;
    let (run, claim) = running(&store).await;
    store.start_attempt(&claim, &job("pull"), at(2)).await.unwrap();

    let end = AttemptEnd::Failed { error: "exit 1: \0garbage".to_owned(), retry_at: None };
    store.end_attempt(&claim, &job("pull"), 1, end, at(3)).await.unwrap();

    let pull = store.jobs(&run.run_id).await.unwrap().remove(0);
    assert_eq!((pull.state, pull.error.as_deref()), (JobState::Failed, Some("exit 1: \u{fffd}garbage")));
}

/// The rows of `tests/fixtures/state/0001.sql` are as the first schema's program wrote them.
pub(super) async fn the_oldest_stored_forms_are_still_read(place: &Place) {
    place.migrate_to_first().await;
    place.execute(include_str!("../../fixtures/state/0001.sql")).await;
    let store = place.open().await;

    let runs = store.runs(&RunFilter::default()).await.unwrap();
    let [run] = runs.as_slice() else { panic!("{runs:?}") };
    assert_eq!((run.run_id.as_str(), run.state, run.force), ("nightly.2025-09-01.1", RunState::Failed, Force::Rebuild));
    assert_eq!((run.only.as_ref().unwrap().len(), run.slot), (3, Some(at(0))));
    let dag = store.dag_of(&run.run_id).await.unwrap();
    assert_eq!((dag.max_parallel, dag.deadline), (2, Some(jiff::civil::time(6, 30, 0, 0))));
    let jobs = store.jobs(&run.run_id).await.unwrap();
    let states: Vec<_> = jobs.iter().map(|job| (job.name.as_str(), job.state)).collect();
    let [pull, features, digest] = [JobState::Succeeded, JobState::Failed, JobState::UpstreamFailed];
    assert_eq!(states, [("pull", pull), ("features", features), ("digest", digest)]);
    let outcome = jobs[0].outcome.as_ref().unwrap();
    assert_eq!((outcome.measurements.len(), outcome.findings.len(), outcome.mails.len()), (1, 1, 0));
    for event in store.events(&run.run_id, 0).await.unwrap() {
        match event.job {
            Some(_) => drop(serde_json::from_value::<JobEvent>(event.event).unwrap()),
            None => drop(serde_json::from_value::<RunEvent>(event.event).unwrap()),
        }
    }
    let standings = store.job_standings(&run.run_id).await.unwrap();
    assert_eq!(standings.iter().map(|job| job.failures).collect::<Vec<_>>(), [0, 1, 0]);
    let pull = store.last_success(&dag_name(), &job("pull"), None).await.unwrap().unwrap();
    assert_eq!((pull.run_id, pull.fingerprint), (run.run_id.clone(), None), "a hash of everything names nothing");
    let to_settle = store.to_settle(at(99)).await.unwrap();
    assert_eq!(
        to_settle.iter().map(|row| row.target.as_str()).collect::<Vec<_>>(),
        ["dataset restricted/tables/users"]
    );
    assert_eq!(store.snapshots().await.unwrap()["restricted/tables/users"].inputs, ["restricted/raw/canvas/users@0a"]);
    assert_eq!(store.models().await.unwrap()[0].role, ModelRole::Champion);
    let due = store.mail_due(at(99)).await.unwrap();
    assert_eq!((due[0].tries, due[0].id.key.audience.as_str(), due[0].id.revision), (1, "pull", 0));
    assert_eq!(
        (due[0].outgoing.to.as_str(), due[0].outgoing.message.as_str()),
        ("dean@example.edu", "Subject: The night")
    );
    let report = check(&place.url).await.unwrap();
    assert_eq!((report.audit_entries, report.problems), (1, vec![]));
}
