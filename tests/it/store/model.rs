//! The contract against the pure state machine: whatever is asked, in whatever order, the stored events are legal,
//! and replaying them gives the stored states; what was refused left no event.

use std::collections::BTreeMap;

use nocturne::domain::ids::{JobName, RunId};
use nocturne::domain::outcome::Outcome;
use nocturne::domain::run::{JobEvent, JobState, RunEvent, RunState};
use nocturne::store::{AttemptEnd, Base, Claim, StoreError, Unattempted, check};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::fixtures::{Place, TestStore, at, failure, job, lost, new_run};

const SEQUENCES: u32 = 40;

#[derive(Debug, Clone)]
enum Ask {
    Claim,
    Start(usize),
    Succeed(usize, u32),
    Fail(usize, u32),
    FailAndRetry(usize, u32),
    Lose(usize, u32),
    Drain(usize, u32),
    Supersede(usize, u32),
    CancelAttempt(usize, u32),
    Skip(usize),
    BlameUpstream(usize),
    CancelJob(usize),
    RequestCancel,
    Finish(RunState),
}

fn ask() -> impl Strategy<Value = Ask> {
    let job = 0..3_usize;
    let attempt = 1..4_u32;
    let state = prop::sample::select(vec![
        RunState::Succeeded,
        RunState::Failed,
        RunState::Cancelled,
        RunState::Running,
        RunState::Queued,
    ]);
    prop_oneof![
        2 => Just(Ask::Claim),
        8 => job.clone().prop_map(Ask::Start),
        4 => (job.clone(), attempt.clone()).prop_map(|(job, n)| Ask::Succeed(job, n)),
        2 => (job.clone(), attempt.clone()).prop_map(|(job, n)| Ask::Fail(job, n)),
        4 => (job.clone(), attempt.clone()).prop_map(|(job, n)| Ask::FailAndRetry(job, n)),
        2 => (job.clone(), attempt.clone()).prop_map(|(job, n)| Ask::Lose(job, n)),
        2 => (job.clone(), attempt.clone()).prop_map(|(job, n)| Ask::Drain(job, n)),
        2 => (job.clone(), attempt.clone()).prop_map(|(job, n)| Ask::Supersede(job, n)),
        1 => (job.clone(), attempt).prop_map(|(job, n)| Ask::CancelAttempt(job, n)),
        2 => job.clone().prop_map(Ask::Skip),
        1 => job.clone().prop_map(Ask::BlameUpstream),
        1 => job.prop_map(Ask::CancelJob),
        1 => Just(Ask::RequestCancel),
        2 => state.prop_map(Ask::Finish),
    ]
}

pub(super) async fn events_replayed_give_the_stored_states(place: &Place) {
    let store = place.open().await;
    let config = Config { cases: SEQUENCES, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let runtime = tokio::runtime::Handle::current();

    tokio::task::block_in_place(|| {
        runner.run(&prop::collection::vec(ask(), 1..30), |asked| {
            runtime.block_on(live(&store, &asked));
            Ok(())
        })
    })
    .unwrap();

    assert_eq!(check(&place.url).await.unwrap().problems, Vec::<String>::new());
}

async fn live(store: &TestStore, asked: &[Ask]) {
    let run_id = store.create_run(new_run()).await.unwrap().unwrap().run_id;
    let mut claim = store.take_up(&run_id, at(1)).await.unwrap();
    for one in asked {
        let before = store.events(&run_id, 0).await.unwrap().len();
        let answer = carry_out(store, &mut claim, one).await;
        let after = store.events(&run_id, 0).await.unwrap().len();
        match answer {
            Ok(()) => {}
            Err(StoreError::Illegal(_) | StoreError::OpenJobs { .. } | StoreError::Fenced { .. }) => {
                assert_eq!(before, after, "{one:?}");
            }
            Err(other) => panic!("{one:?}: {other}"),
        }
    }
    assert_replays(store, &run_id).await;
}

async fn carry_out(store: &TestStore, claim: &mut Claim, ask: &Ask) -> Result<(), StoreError> {
    let name = |n: &usize| job(["pull", "features", "digest"][*n]);
    let finish =
        async |job: &usize, attempt: &u32, end| store.end_attempt(claim, &name(job), *attempt, end, at(5)).await;
    let success =
        || AttemptEnd::Succeeded { outcome: Box::new(Outcome::default()), fingerprint: None, base: Base::default() };
    match ask {
        Ask::Claim => {
            *claim = store.take_up(&claim.run_id, at(4)).await?;
            Ok(())
        }
        Ask::Start(job) => store.start_attempt(claim, &name(job), at(4)).await.map(|_| ()),
        Ask::Succeed(job, n) => finish(job, n, success()).await,
        Ask::Fail(job, n) => finish(job, n, failure(None)).await,
        Ask::FailAndRetry(job, n) => finish(job, n, failure(Some(at(9)))).await,
        Ask::Lose(job, n) => finish(job, n, lost()).await,
        Ask::Drain(job, n) => finish(job, n, AttemptEnd::Drained).await,
        Ask::Supersede(job, n) => finish(job, n, AttemptEnd::Superseded { what: "a cursor".to_owned() }).await,
        Ask::CancelAttempt(job, n) => finish(job, n, AttemptEnd::Cancelled).await,
        Ask::Skip(job) => {
            let end = Unattempted::Skipped { why: "not wanted".to_owned() };
            store.finish_unattempted(claim, &name(job), end, at(5)).await.map(drop)
        }
        Ask::BlameUpstream(n) => {
            let end = Unattempted::UpstreamFailed { upstream: job("pull") };
            store.finish_unattempted(claim, &name(n), end, at(5)).await.map(drop)
        }
        Ask::CancelJob(n) => store.finish_unattempted(claim, &name(n), Unattempted::Cancelled, at(5)).await.map(drop),
        Ask::RequestCancel => store.request_cancel(&claim.run_id, "jo cancelled it", at(5)).await.map(|_| ()),
        Ask::Finish(state) => store.finish_run(claim, *state, at(6)).await,
    }
}

async fn assert_replays(store: &TestStore, run_id: &RunId) {
    let mut run_state = None;
    let mut jobs: BTreeMap<JobName, (JobState, u32)> = BTreeMap::new();
    for event in store.events(run_id, 0).await.unwrap() {
        let Some(name) = event.job else {
            let event: RunEvent = serde_json::from_value(event.event).unwrap();
            run_state = Some(RunState::after(run_state, &event).unwrap());
            continue;
        };
        let event: JobEvent = serde_json::from_value(event.event).unwrap();
        let (state, attempts) = jobs.entry(name).or_insert((JobState::Queued, 0));
        *state = state.after(&event).unwrap();
        if let JobEvent::AttemptStarted { attempt } = event {
            assert_eq!(attempt, *attempts + 1);
            *attempts = attempt;
        }
    }

    assert_eq!(Some(store.run(run_id).await.unwrap().unwrap().state), run_state);
    for view in store.jobs(run_id).await.unwrap() {
        let replayed = jobs.get(&view.name).copied().unwrap_or((JobState::Queued, 0));
        assert_eq!((view.state, view.attempts), replayed, "{}", view.name);
    }
}
