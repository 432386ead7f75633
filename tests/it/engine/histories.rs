//! Whole histories of a run, drawn from a seed: jobs that fail, vanish and stall, processes that die or are told to end
//! at any moment, a store whose answers are lost. In the end each run is done, every event is legal, and every effect
//! has happened once. The long form is `NOCTURNE_HISTORIES=10000 cargo test --test it histories -- --nocapture`.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use nocturne::domain::dag::{Dag, When};
use nocturne::domain::ids::{JobName, RunId, content_hash};
use nocturne::domain::outcome::Outcome;
use nocturne::domain::run::{JobEvent, JobState, RunEvent, RunState};
use nocturne::engine::Stop;
use nocturne::store::check;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::faulty::Faulty;
use super::world::{Does, Told, World, dag, makes};

const SHORT_FORM: u64 = 60;

/// What a history tried, for the summary.
#[derive(Debug, Default)]
struct Tried {
    histories: u64,
    processes: u64,
    crashes: u64,
    drains: u64,
    attempts: u64,
    lost_attempts: u64,
    succeeded_runs: u64,
}

#[tokio::test]
async fn whatever_happens_to_a_run_it_ends_and_every_effect_is_there_once() {
    #[expect(clippy::disallowed_methods, reason = "the number of histories is asked for on the command line")]
    let asked = std::env::var("NOCTURNE_HISTORIES").ok().map(|number| number.parse().unwrap());
    let mut tried = Tried::default();

    for seed in 0..asked.unwrap_or(SHORT_FORM) {
        history(seed, &mut tried).await;
    }

    println!("tried: {tried:?}; lost: nothing");
    assert!(tried.crashes > 0 && tried.drains > 0 && tried.lost_attempts > 0, "{tried:?}");
    assert!(tried.succeeded_runs * 3 > tried.histories, "hardly a run succeeds: {tried:?}");
}

async fn history(seed: u64, tried: &mut Tried) {
    let mut draws = ChaCha8Rng::seed_from_u64(seed);
    let world = World::new().await;
    let dag = draw_dag(&mut draws);
    let run_id = world.make(&dag).await;
    let told = Told::new(move |work| behaviour(seed, work.input.job.as_str(), work.input.attempt));
    let store = Faulty {
        inner: Arc::clone(&world.store),
        draws: Mutex::new(ChaCha8Rng::seed_from_u64(seed ^ 0xFA17)),
        per_mille: draws.random_range(0..20),
    };
    let mut engine = world.engine_on(Arc::new(store), told);
    (engine.patience, engine.stop_grace) = (Duration::from_millis(200), Duration::from_millis(3));

    for process in 0.. {
        assert!(process < 100, "history {seed}: run {run_id} does not end");
        tried.processes += 1;
        let stop = Stop::default();
        let executing = engine.execute(&world.tenure, &run_id, &stop);
        match draws.random_range(0..6) {
            // It dies at some moment: its work is dropped in the middle.
            0 | 1 => {
                tried.crashes += 1;
                drop(poll_at_most(executing, draws.random_range(0..400), None).await);
            }
            2 => {
                tried.drains += 1;
                drop(poll_at_most(executing, usize::MAX, Some((draws.random_range(0..300), &stop))).await);
            }
            _ => drop(executing.await),
        }
        if world.store.run(&run_id).await.unwrap().unwrap().state.is_done() {
            break;
        }
    }

    tried.histories += 1;
    assert_is_whole(&world, &run_id, seed, tried).await;
}

/// Two to five jobs, each needing some of those before it; the last one runs however they end.
fn draw_dag(draws: &mut ChaCha8Rng) -> Dag {
    let names = ["a", "b", "c", "d", "e"];
    let jobs = draws.random_range(2..=names.len());
    let mut needs: Vec<Vec<&str>> = Vec::new();
    for job in 0..jobs {
        needs.push(names[..job].iter().copied().filter(|_| draws.random_range(0..2) == 0).collect());
    }
    let jobs: Vec<(&str, &[&str])> = names.iter().zip(&needs).map(|(name, needs)| (*name, needs.as_slice())).collect();
    let mut dag = dag(&jobs);
    dag.max_parallel = draws.random_range(1..=3);
    for job in dag.jobs.values_mut() {
        job.timeout = Duration::from_millis(8);
    }
    if let Some(mut last) = dag.jobs.last_entry() {
        last.get_mut().when = When::AllDone;
    }
    dag
}

/// The same job does the same at the same attempt, whichever process carries it out.
fn behaviour(seed: u64, job: &str, attempt: u32) -> Does {
    let hash = content_hash(format!("{seed}/{job}/{attempt}").as_bytes());
    let effects = || Outcome { audit: vec![format!("{job} was done")], ..makes(&format!("restricted/{job}"), job) };
    match u32::from_str_radix(&hash[..4], 16).unwrap() % 100 {
        0..70 => Does::Succeed(effects()),
        70..82 => Does::Retry,
        82..87 => Does::Lose,
        87..90 => Does::Fail,
        90..93 => Does::Stall,
        _ => {
            let rest = Outcome { snapshots: Vec::new(), ..effects() };
            let part = makes(&format!("restricted/{job}"), job);
            // A later attempt may hand over the same part again: it is identified by its name and committed once.
            Does::HandOver(
                "part",
                part,
                Box::new(if hash.as_bytes()[5].is_multiple_of(2) { Does::Succeed(rest) } else { Does::Retry }),
            )
        }
    }
}

async fn assert_is_whole(world: &World, run_id: &RunId, seed: u64, tried: &mut Tried) {
    let store = &*world.store;
    let mut run_state = None;
    let mut jobs: BTreeMap<JobName, JobState> = BTreeMap::new();
    for event in store.events(run_id, 0).await.unwrap() {
        match event.job {
            None => {
                let event: RunEvent = serde_json::from_value(event.event).unwrap();
                run_state = Some(RunState::after(run_state, &event).unwrap());
            }
            Some(name) => {
                let event: JobEvent = serde_json::from_value(event.event).unwrap();
                let state = jobs.entry(name).or_insert(JobState::Queued);
                *state = state.after(&event).unwrap();
                tried.attempts += u64::from(matches!(event, JobEvent::AttemptStarted { .. }));
                tried.lost_attempts += u64::from(matches!(event, JobEvent::AttemptLost { .. }));
            }
        }
    }
    let stored = store.run(run_id).await.unwrap().unwrap();
    assert_eq!(Some(stored.state), run_state, "history {seed}");
    tried.succeeded_runs += u64::from(stored.state == RunState::Succeeded);

    let snapshots = store.snapshots().await.unwrap();
    let report = check(&world.url).await.unwrap();
    let succeeded = jobs.values().filter(|state| **state == JobState::Succeeded).count();
    assert_eq!((report.audit_entries, report.problems), (succeeded as u64, vec![]), "history {seed}: one entry a job");
    for view in store.jobs(run_id).await.unwrap() {
        assert_eq!(
            jobs.get(&view.name).copied().unwrap_or(JobState::Queued),
            view.state,
            "history {seed}: {}",
            view.name
        );
        assert!(view.state.is_done(), "history {seed}: {} is {}", view.name, view.state);
        if view.state == JobState::Succeeded {
            assert!(snapshots.contains_key(&format!("restricted/{}", view.name)), "history {seed}: {}", view.name);
        }
    }
}

/// Polls a future at most so many times, then drops it; after `drain.0` polls it is told to drain.
async fn poll_at_most<F: Future>(future: F, times: usize, drain: Option<(usize, &Stop)>) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut polled = 0;
    poll_fn(|context| {
        if polled == times {
            return Poll::Ready(None);
        }
        polled += 1;
        if let Some((after, stop)) = drain
            && polled > after
        {
            stop.drain.cancel();
        }
        future.as_mut().poll(context).map(Some)
    })
    .await
}
