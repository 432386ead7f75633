//! A scheduler with a real timer and a real store: its slots fire, and open runs continue.

use std::sync::Arc;
use std::time::Duration;

use nocturne::domain::dag::{CatchUp, Dag, FoldPolicy, GapPolicy, OverlapPolicy, Schedule};
use nocturne::domain::outcome::Outcome;
use nocturne::domain::run::RunState;
use nocturne::engine::{Engine, scheduler};
use nocturne::store::{RunFilter, RunRecord, Watermark};
use nocturne::telemetry::SystemClock;
use tokio_util::sync::CancellationToken;

use super::world::{Does, Told, World, dag, job};

fn every_second(overlap: OverlapPolicy) -> Dag {
    let mut dag = dag(&[("pull", &[])]);
    dag.schedule = Some(Schedule {
        cron: "* * * * * *".to_owned(),
        gap: GapPolicy::Next,
        fold: FoldPolicy::First,
        catch_up: CatchUp::All,
        overlap,
    });
    dag
}

/// Runs a scheduler until `enough`, then lets it drain; one that takes more than twenty seconds has failed.
async fn run_until(world: &World, engine: &Engine, dag: &Dag, enough: impl Fn(&[RunRecord]) -> bool) -> Vec<RunRecord> {
    let stop = CancellationToken::new();
    let dags = || vec![dag.clone()];
    let running = scheduler::run(engine, &world.tenure, &dags, &stop);
    let watching = async {
        let mut look = tokio::time::interval(Duration::from_millis(20));
        loop {
            look.tick().await;
            if enough(&world.store.runs(&RunFilter::default()).await.unwrap()) {
                stop.cancel();
                return;
            }
        }
    };
    let both = async { tokio::join!(running, watching) };
    let (ended, ()) = tokio::time::timeout(Duration::from_secs(20), both).await.expect("the scheduler hangs");
    ended.unwrap();
    world.store.runs(&RunFilter::default()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_fire_on_time_one_run_each_and_the_runs_are_carried_out() {
    let world = World::new().await;
    let mut engine = world.engine(Told::new(|_| Does::Succeed(Outcome::default())));
    engine.clock = Arc::new(SystemClock);

    let runs = run_until(&world, &engine, &every_second(OverlapPolicy::Queue), |runs| {
        runs.iter().filter(|run| run.state == RunState::Succeeded).count() >= 3
    })
    .await;

    let mut slots: Vec<_> = runs.iter().map(|run| run.slot.unwrap()).collect();
    slots.dedup();
    assert_eq!(slots.len(), runs.len());
    for run in &runs {
        let late = run.queued_at.duration_since(run.slot.unwrap()).as_millis();
        assert!((0..1_000).contains(&late), "{} was made {late} ms after its slot", run.run_id);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_was_cut_off_and_the_slot_that_came_meanwhile_both_run() {
    let world = World::new().await;
    let told = Told::new(|_| Does::Succeed(Outcome::default()));
    let engine = world.engine(Arc::clone(&told));
    let mut dag = every_second(OverlapPolicy::Skip);
    dag.schedule.as_mut().unwrap().cron = "30 2 * * *".to_owned();
    // Yesterday's night, made for its slot and taken up by a process that died.
    let yesterday = "2026-11-19T07:30:00Z".parse().unwrap();
    world.store.set_watermark(&dag.name, &Watermark { at: yesterday, schedule: None }).await.unwrap();
    let cut_off = world.make(&dag).await;
    world.store.claim_run(&cut_off, &world.tenure, yesterday).await.unwrap();

    let runs = run_until(&world, &engine, &dag, |runs| {
        runs.iter().filter(|run| run.state == RunState::Succeeded).count() == 2
    })
    .await;

    assert_eq!(runs.len(), 2);
    assert!(world.store.skipped_slots(&RunFilter::default()).await.unwrap().is_empty());
    assert_eq!(told.begun.lock().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_night_cut_off_just_before_the_next_slot_does_not_cost_that_slot() {
    let world = World::new().await;
    let engine = world.engine(Told::new(|_| Does::Succeed(Outcome::default())));
    let mut dag = every_second(OverlapPolicy::Skip);
    dag.schedule.as_mut().unwrap().cron = "0 30 2 * * *".to_owned();
    let yesterday = "2026-11-19T07:30:00Z".parse().unwrap();
    world.store.set_watermark(&dag.name, &Watermark { at: yesterday, schedule: None }).await.unwrap();
    let cut_off = world.make_for_slot(&dag, yesterday).await;
    world.store.claim_run(&cut_off, &world.tenure, yesterday).await.unwrap();

    world.wall.set("2026-11-20T07:30:02Z");
    let two = |runs: &[RunRecord]| runs.iter().filter(|run| run.state.is_done()).count() == 2;
    let runs = run_until(&world, &engine, &dag, two).await;

    assert_eq!(world.store.skipped_slots(&RunFilter::default()).await.unwrap(), []);
    assert_eq!(runs.len(), 2, "{runs:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_is_skipped_is_a_row_with_its_reason_which_the_next_run_is_told() {
    let world = World::new().await;
    let told = Told::new(|work| {
        let skipped: Vec<String> = work.input.skipped.iter().map(|slot| slot.why.clone()).collect();
        Does::Succeed(Outcome { summary: skipped.join("; "), ..Outcome::default() })
    });
    let engine = world.engine(told);
    let mut dag = every_second(OverlapPolicy::Skip);
    let schedule = dag.schedule.as_mut().unwrap();
    (schedule.cron, schedule.catch_up) = ("30 2 * * *".to_owned(), CatchUp::Latest);
    let two_days_ago = "2026-11-18T07:30:00Z".parse().unwrap();
    world.store.set_watermark(&dag.name, &Watermark { at: two_days_ago, schedule: None }).await.unwrap();

    let runs = run_until(&world, &engine, &dag, |runs| runs.iter().any(|run| run.state.is_done())).await;

    let skipped = world.store.skipped_slots(&RunFilter::default()).await.unwrap();
    assert_eq!(skipped.len(), 1);
    assert_eq!(skipped[0].at.to_string(), "2026-11-19T07:30:00Z");
    let told = world.store.jobs(&runs[0].run_id).await.unwrap().remove(0).outcome.unwrap().summary;
    assert_eq!((told.as_str(), job("pull").as_str()), (skipped[0].why.as_str(), "pull"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_ahead_makes_no_run_until_it_has_stood() {
    let world = World::new().await;
    let engine = world.engine(Told::new(|_| Does::Succeed(Outcome::default())));
    let mut dag = every_second(OverlapPolicy::Skip);
    dag.schedule.as_mut().unwrap().cron = "31 2 * * *".to_owned();
    let stop = CancellationToken::new();
    let dags = || vec![dag.clone()];

    let running = scheduler::run(&engine, &world.tenure, &dags, &stop);
    let jumping = async {
        let mut look = tokio::time::interval(Duration::from_millis(20));
        while world.store.watermark(&dag.name).await.unwrap().is_none() {
            look.tick().await;
        }
        world.wall.set("2027-11-20T07:30:00Z");
        // Two looks of the scheduler at the wrong time, then the clock is corrected.
        for _ in 0..150 {
            look.tick().await;
        }
        world.wall.set("2026-11-20T07:31:00Z");
        while world.store.runs(&RunFilter::default()).await.unwrap().is_empty() {
            look.tick().await;
        }
        stop.cancel();
    };
    let both = async { tokio::join!(running, jumping) };
    let (ended, ()) = tokio::time::timeout(Duration::from_secs(20), both).await.expect("the scheduler hangs");

    ended.unwrap();
    let runs = world.store.runs(&RunFilter::default()).await.unwrap();
    assert_eq!(runs.iter().map(|run| run.logical_date.to_string()).collect::<Vec<_>>(), ["2026-11-20"]);
    assert!(world.store.skipped_slots(&RunFilter::default()).await.unwrap().is_empty());
}
