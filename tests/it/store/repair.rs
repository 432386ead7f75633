//! The contract: backfills are created completely, marks and pauses are people's acts, and each is in the audit log.

use nocturne::domain::ids::RunId;
use nocturne::domain::manual::{Asked, Manual};
use nocturne::domain::outcome::{Outcome, SnapshotRef};
use nocturne::domain::run::{JobState, RunState};
use nocturne::store::{Backfill, JobMark, NewRun, RunFilter, StateStore, StoreError, Watermark};

use super::fixtures::{DAY, Place, at, dag_name, failure, job, mail, new_run, recipient, running, succeed};
use nocturne::domain::delivery::Word;

fn jo(why: Option<&str>) -> Manual {
    Manual { by: "jo".to_owned(), why: why.map(str::to_owned) }
}

fn backfill(id: &str) -> Backfill {
    Backfill {
        id: id.to_owned(),
        dag: dag_name(),
        first: DAY,
        last: DAY.tomorrow().unwrap(),
        reprocess: "all".to_owned(),
        parallel: 2,
        asked_at: at(0),
    }
}

fn of_backfill(id: &str, second: i64) -> NewRun {
    NewRun { asked: Asked::as_backfill(jo(Some("a wrong scale")), id.to_owned()), now: at(second), ..new_run() }
}

async fn acts(store: &dyn StateStore) -> Vec<String> {
    store.audit_entries(None, 10).await.unwrap().into_iter().map(|entry| entry.entry).collect()
}

pub(super) async fn a_backfill_is_made_with_all_of_its_runs_or_not_at_all(place: &Place) {
    let store = place.open().await;
    let missing = NewRun { only: Some(vec![job("nowhere")]), ..of_backfill("b1", 2) };

    let refused = store.create_backfill(&backfill("b1"), vec![of_backfill("b1", 1), missing]).await;
    let left = store.runs(&RunFilter::default()).await.unwrap().len();
    store.create_backfill(&backfill("b2"), vec![of_backfill("b2", 5), of_backfill("b2", 4)]).await.unwrap();
    let made = store.runs_of_backfill("b2").await.unwrap();
    let again = store.create_backfill(&backfill("b3"), vec![of_backfill("b3", 6)]).await.unwrap();

    assert!(matches!(refused, Err(StoreError::NoJob { .. })));
    assert_eq!((left, made.len()), (0, 2));
    assert_eq!((again.id.as_str(), store.runs(&RunFilter::default()).await.unwrap().len()), ("b2", 2));
    assert_eq!(store.open_backfills().await.unwrap(), [backfill("b2")]);
    let runs = store.runs_of_backfill("b2").await.unwrap();
    assert_eq!(runs.iter().map(|run| run.queued_at).collect::<Vec<_>>(), [at(4), at(5)]);
    assert_eq!(runs[0].manual, Some(jo(Some("a wrong scale"))));
    let told = acts(&*store).await;
    assert_eq!(told.len(), 1, "one entry for all of it: {told:?}");
    assert!(
        told[0].starts_with("jo asked for the backfill b2 of DAG nightly: 2 runs")
            && told[0].ends_with(": a wrong scale")
    );
}

pub(super) async fn a_backfill_is_open_while_a_run_of_it_is(place: &Place) {
    let store = place.open().await;
    store.create_backfill(&backfill("b"), vec![of_backfill("b", 1)]).await.unwrap();
    let made = store.runs_of_backfill("b").await.unwrap();

    store.request_cancel(&made[0].run_id, "jo cancelled it", at(2)).await.unwrap();

    assert_eq!(store.open_backfills().await.unwrap(), []);
}

pub(super) async fn a_run_of_a_backfill_sends_no_mail(place: &Place) {
    let store = place.open().await;
    store.create_backfill(&backfill("b"), vec![of_backfill("b", 1)]).await.unwrap();
    let made = store.runs_of_backfill("b").await.unwrap();
    let claim = store.take_up(&made[0].run_id, at(2)).await.unwrap();
    let mut outcome = Outcome { mails: vec![mail("digest", Word::Failed)], ..Outcome::default() };
    outcome.mails[0].to = vec![recipient("dean")];

    succeed(&store, &claim, "digest", outcome.clone()).await;
    let mut repaired = made[0].run_id.clone();
    for second in [10, 20] {
        let asked = Asked::as_retry(jo(None), repaired);
        let retry = store.create_run(NewRun { asked, now: at(second), ..new_run() }).await.unwrap().unwrap();
        let claim = store.take_up(&retry.run_id, at(second + 1)).await.unwrap();
        succeed(&store, &claim, "digest", outcome.clone()).await;
        repaired = retry.run_id;
    }

    assert_eq!(store.mails_of(&dag_name(), DAY).await.unwrap(), [], "nor does a retry of it, nor a retry of that");
}

pub(super) async fn what_counts_as_failed_makes_no_run_up_to_date(place: &Place) {
    let store = place.open().await;
    for second in [0, 20] {
        let run = store.create_run(NewRun { now: at(second), ..new_run() }).await.unwrap().unwrap();
        let claim = store.take_up(&run.run_id, at(second + 1)).await.unwrap();
        succeed(&store, &claim, "pull", Outcome::default()).await;
        store.request_cancel(&run.run_id, "jo cancelled it", at(second + 5)).await.unwrap();
        store.finish_run(&claim, RunState::Cancelled, at(second + 6)).await.unwrap();
    }
    let fingerprint = async || {
        let last = store.last_success(&dag_name(), &job("pull"), None).await.unwrap();
        last.map(|last| last.fingerprint.is_some())
    };
    let newest = store.runs(&RunFilter::default()).await.unwrap()[0].run_id.clone();
    let before = fingerprint().await;

    let mark = JobMark { run_id: &newest, job: &job("pull"), state: JobState::Failed };
    store.mark_job(mark, &jo(Some("wrong")), at(40)).await.unwrap();

    assert_eq!((before, fingerprint().await), (Some(true), Some(false)), "an older success with the same inputs");
}

pub(super) async fn a_marked_job_changes_how_its_run_counts_and_whether_it_is_up_to_date(place: &Place) {
    let store = place.open().await;
    let (run, claim) = running(&store).await;
    for name in ["pull", "features"] {
        succeed(&store, &claim, name, Outcome::default()).await;
    }
    let attempt = store.start_attempt(&claim, &job("digest"), at(4)).await.unwrap();
    store.end_attempt(&claim, &job("digest"), attempt, failure(None), at(5)).await.unwrap();
    let mark = async |name: &str, state| {
        let mark = JobMark { run_id: &run.run_id, job: &job(name), state };
        store.mark_job(mark, &jo(Some("by hand")), at(9)).await
    };
    let last = async || store.last_success(&dag_name(), &job("pull"), None).await.unwrap().is_some();

    let too_early = mark("digest", JobState::Succeeded).await;
    store.finish_run(&claim, RunState::Failed, at(6)).await.unwrap();
    let well = mark("digest", JobState::Succeeded).await.unwrap();
    let before = last().await;
    let bad = mark("pull", JobState::Failed).await.unwrap();
    let after = last().await;
    let twice = mark("pull", JobState::Failed).await;
    let nothing = mark("nowhere", JobState::Failed).await;
    let well_again = mark("pull", JobState::Succeeded).await.unwrap();

    assert!(matches!(too_early, Err(StoreError::StillOpen { .. })));
    assert_eq!((well, bad, well_again), (RunState::Succeeded, RunState::Failed, RunState::Succeeded));
    assert_eq!((before, after, last().await), (true, false, true), "what counts as failed is not up to date");
    assert!(matches!(twice, Err(StoreError::Illegal(_))) && matches!(nothing, Err(StoreError::NoSuchJob { .. })));
    assert_eq!(store.run(&run.run_id).await.unwrap().unwrap().state, RunState::Succeeded);
    let said = store.jobs(&run.run_id).await.unwrap()[0].error.clone();
    assert_eq!(said.as_deref(), Some("jo marked the job pull as succeeded: by hand"));
    assert_eq!(acts(&*store).await.iter().filter(|act| act.contains("marked")).count(), 3);
}

pub(super) async fn a_paused_dag_is_known_until_it_is_resumed(place: &Place) {
    let store = place.open().await;
    store.set_watermark(&dag_name(), &Watermark { at: at(10), schedule: None }).await.unwrap();

    let paused = store.pause(&dag_name(), &jo(Some("summer")), at(20)).await.unwrap();
    let again = store.pause(&dag_name(), &jo(None), at(21)).await.unwrap();
    let known = store.pauses().await.unwrap();
    let resumed = store.resume(&dag_name(), &jo(None), at(30)).await.unwrap();
    let resumed_again = store.resume(&dag_name(), &jo(None), at(31)).await.unwrap();

    assert_eq!((paused, again, resumed, resumed_again), (true, false, true, false));
    assert_eq!(known.len(), 1);
    assert_eq!((known[0].since, &known[0].manual), (at(20), &jo(Some("summer"))), "the first pause stands");
    assert_eq!(store.pauses().await.unwrap(), []);
    let watermark = store.watermark(&dag_name()).await.unwrap().unwrap();
    assert_eq!(watermark.at, at(30), "slots of the pause are not made up for");
    assert_eq!(acts(&*store).await, ["jo resumed DAG nightly (no reason given)", "jo paused DAG nightly: summer"]);
}

pub(super) async fn what_a_run_stood_on_at_its_end_is_what_was_current_then_or_its_own(place: &Place) {
    let store = place.open().await;
    let snapshot = |id: &str| SnapshotRef {
        dataset: "restricted/tables/users".to_owned(),
        snapshot: nocturne::domain::ids::SnapshotId::from_stored(id.to_owned()),
        rows: 1,
        size_bytes: 1,
        stale: false,
        inputs: Vec::new(),
    };
    let makes = |id: &str| Outcome { snapshots: vec![snapshot(id)], ..Outcome::default() };
    let (first, claim) = running(&store).await;
    succeed(&store, &claim, "pull", makes("one")).await;
    store.finish_run(&claim, RunState::Cancelled, at(4)).await.unwrap();
    let next_day = NewRun { logical_date: DAY.tomorrow().unwrap(), now: at(10), ..new_run() };
    let second = store.create_run(next_day).await.unwrap().unwrap();
    let claim = store.take_up(&second.run_id, at(11)).await.unwrap();
    store
        .end_attempt(
            &claim,
            &job("pull"),
            store.start_attempt(&claim, &job("pull"), at(12)).await.unwrap(),
            super::fixtures::success(makes("two")),
            at(13),
        )
        .await
        .unwrap();
    let stood = async |run: &RunId| {
        let found = store.snapshots_at_end_of(run).await.unwrap();
        found["restricted/tables/users"].snapshot.to_string()
    };

    assert_eq!((stood(&first.run_id).await, stood(&second.run_id).await), ("one".to_owned(), "two".to_owned()));
}
