//! A run is carried out as its DAG says, whatever its jobs do.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nocturne::domain::dag::When;
use nocturne::domain::outcome::Outcome;
use nocturne::domain::run::{JobState, RunState};
use nocturne::engine::Stop;
use nocturne::store::RunFilter;
use tokio::sync::Notify;

use super::world::{Does, Told, World, dag, job, makes};

#[tokio::test]
async fn a_failed_try_is_followed_by_others_until_the_policy_ends() {
    let world = World::new().await;
    let told = Told::new(|work| match (work.input.job.as_str(), work.input.attempt) {
        ("recovers", 3) => Does::Succeed(Outcome::default()),
        ("refuses", _) => Does::Fail,
        _ => Does::Retry,
    });
    let dag = dag(&[("recovers", &[]), ("gives_up", &[]), ("refuses", &[]), ("after", &["gives_up"])]);
    let run_id = world.make(&dag).await;

    let run = world.carry_out(&world.engine(told), &run_id).await;

    assert_eq!(run.state, RunState::Failed);
    let attempts = async |name| {
        let job = world.job(&run_id, name).await;
        (job.state, job.attempts)
    };
    assert_eq!(attempts("recovers").await, (JobState::Succeeded, 3));
    assert_eq!(attempts("gives_up").await, (JobState::Failed, 3));
    assert_eq!(attempts("refuses").await, (JobState::Failed, 1));
    assert_eq!(attempts("after").await, (JobState::UpstreamFailed, 0));
}

#[tokio::test]
async fn lost_attempts_have_a_budget_of_their_own_and_use_up_no_try() {
    let world = World::new().await;
    let told = Told::new(|work| match (work.input.job.as_str(), work.input.attempt) {
        ("unlucky", 1 | 2) | ("poison", _) => Does::Lose,
        ("unlucky", 3 | 4) => Does::Retry,
        _ => Does::Succeed(Outcome::default()),
    });
    let run_id = world.make(&dag(&[("unlucky", &[]), ("poison", &[])])).await;

    let run = world.carry_out(&world.engine(told), &run_id).await;

    assert_eq!(run.state, RunState::Failed);
    let (unlucky, poison) = (world.job(&run_id, "unlucky").await, world.job(&run_id, "poison").await);
    assert_eq!((unlucky.state, unlucky.attempts), (JobState::Succeeded, 5));
    assert_eq!((poison.state, poison.attempts), (JobState::Failed, 3));
    let why = poison.error.unwrap();
    assert!(why.contains("killed by signal 9; 3 attempts were lost like this"), "{why}");
}

#[tokio::test]
async fn at_most_so_many_run_at_once_and_a_due_retry_waits_for_room() {
    let world = World::new().await;
    let go = Arc::new(Notify::new());
    let held = Arc::clone(&go);
    let told = Told::new(move |work| match (work.input.job.as_str(), work.input.attempt) {
        ("a", 1) => Does::Retry,
        ("b", _) => Does::After(Arc::clone(&held), Box::new(Does::Succeed(Outcome::default()))),
        _ => Does::Succeed(Outcome::default()),
    });
    let mut dag = dag(&[("a", &[]), ("b", &[]), ("c", &["b"])]);
    dag.max_parallel = 1;
    let run_id = world.make(&dag).await;
    let engine = world.engine(Arc::clone(&told));

    let run = world.carry_out(&engine, &run_id);
    let watch = async {
        while told.begun.lock().unwrap().last().is_none_or(|begun| begun != "b.1") {
            told.has_begun.notified().await;
        }
        go.notify_one();
    };
    let (run, ()) = tokio::join!(run, watch);

    assert_eq!(run.state, RunState::Succeeded);
    assert_eq!(told.most_at_once.load(Ordering::SeqCst), 1);
    assert_eq!(*told.begun.lock().unwrap(), ["a.1", "b.1", "a.2", "c.1"]);
}

#[tokio::test]
async fn an_attempt_that_passes_its_time_limit_is_stopped_alone() {
    let world = World::new().await;
    let told = Told::new(|work| match work.input.job.as_str() {
        "stalls" => Does::Stall,
        "obeys" => Does::Hang,
        _ => Does::Succeed(Outcome::default()),
    });
    let mut dag = dag(&[("stalls", &[]), ("obeys", &[]), ("digest", &["stalls", "obeys"])]);
    for job in dag.jobs.values_mut() {
        (job.timeout, job.retry.attempts) = (Duration::from_millis(30), 1);
    }
    dag.jobs.get_mut(&job("digest")).unwrap().when = When::AllDone;
    let run_id = world.make(&dag).await;

    let run = world.carry_out(&world.engine(told), &run_id).await;

    assert_eq!(run.state, RunState::Failed);
    for name in ["stalls", "obeys"] {
        let why = world.job(&run_id, name).await.error.unwrap();
        assert!(why.starts_with("it did not end within its time limit of 30ms"), "{why}");
    }
    assert_eq!(world.job(&run_id, "digest").await.state, JobState::Succeeded);
}

#[tokio::test]
async fn a_run_that_is_drained_stays_running_and_the_next_start_goes_on_with_it() {
    let world = World::new().await;
    let told = Told::new(|work| match (work.input.job.as_str(), work.input.attempt) {
        ("features", 1) => Does::Stall,
        _ => Does::Succeed(Outcome::default()),
    });
    let run_id = world.make(&dag(&[("pull", &[]), ("features", &["pull"]), ("digest", &["features"])])).await;
    let (engine, stop) = (world.engine(Arc::clone(&told)), Stop::default());

    let drain = async {
        while told.begun.lock().unwrap().last().is_none_or(|begun| begun != "features.1") {
            told.has_begun.notified().await;
        }
        stop.drain.cancel();
    };
    let (left, ()) = tokio::join!(engine.execute(&world.tenure, &run_id, &stop), drain);
    let left = left.unwrap();
    let between = world.job(&run_id, "features").await;
    let run = world.carry_out(&engine, &run_id).await;

    assert_eq!((left.state, between.state), (RunState::Running, JobState::Retrying));
    assert_eq!((run.state, run.taken_up), (RunState::Succeeded, 2));
    assert_eq!(*told.begun.lock().unwrap(), ["pull.1", "features.1", "features.2", "digest.1"]);
    let standing = world.store.job_standings(&run_id).await.unwrap();
    assert!(standing.iter().all(|job| (job.failures, job.lost) == (0, 0)), "a drained attempt counts nowhere");
}

#[tokio::test]
async fn what_ends_in_its_grace_is_kept() {
    let world = World::new().await;
    let (go, stop) = (Arc::new(Notify::new()), Stop::default());
    let held = Arc::clone(&go);
    let told =
        Told::new(move |_| Does::After(Arc::clone(&held), Box::new(Does::Succeed(makes("restricted/a", "made")))));
    let run_id = world.make(&dag(&[("last", &[])])).await;
    let mut engine = world.engine(Arc::clone(&told));
    engine.stop_grace = Duration::from_secs(5);

    let drain = async {
        told.has_begun.notified().await;
        stop.drain.cancel();
        go.notify_one();
    };
    let (run, ()) = tokio::join!(engine.execute(&world.tenure, &run_id, &stop), drain);

    assert_eq!(run.unwrap().state, RunState::Succeeded, "it was the run's last");
    assert_eq!(world.store.snapshots().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_person_cancels_a_run_and_what_runs_is_stopped() {
    let world = World::new().await;
    let told = Told::new(|_| Does::Hang);
    let run_id = world.make(&dag(&[("pull", &[]), ("features", &["pull"])])).await;
    let engine = world.engine(Arc::clone(&told));

    let ask = async {
        told.has_begun.notified().await;
        assert!(
            world
                .store
                .request_cancel(&run_id, "jo cancelled it", "2026-11-20T07:31:00Z".parse().unwrap())
                .await
                .unwrap()
        );
    };
    let (run, ()) = tokio::join!(world.carry_out(&engine, &run_id), ask);

    assert_eq!(run.state, RunState::Cancelled);
    assert!(world.states(&run_id).await.values().all(|state| *state == JobState::Cancelled));
}

#[tokio::test]
async fn a_run_that_was_to_be_cancelled_starts_nothing_when_it_is_taken_up_again() {
    let world = World::new().await;
    let told = Told::new(|_| Does::Succeed(Outcome::default()));
    let run_id = world.make(&dag(&[("pull", &[])])).await;
    let now = "2026-11-20T07:31:00Z".parse().unwrap();
    // Taken up by a process that died before it noticed the request.
    world.store.claim_run(&run_id, &world.tenure, now).await.unwrap();
    world.store.request_cancel(&run_id, "jo cancelled it", now).await.unwrap();

    let run = world.carry_out(&world.engine(Arc::clone(&told)), &run_id).await;

    assert_eq!(run.state, RunState::Cancelled);
    assert_eq!(*told.begun.lock().unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_whose_ground_moved_runs_again_on_what_is_there_now() {
    let world = World::new().await;
    let (other, moved) = (Arc::clone(&world.store), Arc::new(AtomicUsize::new(0)));
    let beside = world.make(&dag(&[("beside", &[])])).await;
    let claim = other.claim_run(&beside, &world.tenure, "2026-11-20T07:31:00Z".parse().unwrap()).await.unwrap();
    let times = Arc::clone(&moved);
    let told = Told::new(move |work| {
        // Another run commits to the same dataset while the first attempt runs.
        if work.input.attempt == 1 && times.fetch_add(1, Ordering::SeqCst) == 0 {
            let (other, claim) = (Arc::clone(&other), claim.clone());
            let commit = async move {
                let now = "2026-11-20T07:32:00Z".parse().unwrap();
                let begun = other.begin_attempt(&claim, &job("beside"), "beside", now).await.unwrap();
                let outcome = Box::new(makes("restricted/a", "by the other"));
                let end =
                    nocturne::store::AttemptEnd::Succeeded { outcome, fingerprint: None, base: begun.base.clone() };
                other.finish_attempt(&begun.attempt, end.into(), now).await.unwrap();
            };
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(commit));
        }
        let seen = work.input.snapshot("restricted/a").map(|snapshot| snapshot.snapshot.to_string());
        Does::Succeed(makes("restricted/a", &format!("on {seen:?}")))
    });
    let run_id = world.make(&dag(&[("mine", &[])])).await;

    let run = world.carry_out(&world.engine(told), &run_id).await;

    assert_eq!(run.state, RunState::Succeeded);
    let mine = world.job(&run_id, "mine").await;
    assert_eq!(mine.attempts, 2);
    let by_other = nocturne::domain::ids::SnapshotId::of(b"by the other");
    assert_eq!(mine.outcome.unwrap().summary, format!("on {:?}", Some(by_other.to_string())));
}

#[tokio::test]
async fn a_part_stands_when_its_attempt_is_lost_and_the_next_one_knows_it() {
    let world = World::new().await;
    let told = Told::new(|work| match work.input.attempt {
        1 => Does::HandOver("users", makes("restricted/users", "u"), Box::new(Does::Lose)),
        _ => {
            let known: Vec<&str> = work.input.parts.keys().map(String::as_str).collect();
            Does::Succeed(Outcome { summary: known.join(","), ..Outcome::default() })
        }
    });
    let run_id = world.make(&dag(&[("pull", &[])])).await;

    let run = world.carry_out(&world.engine(told), &run_id).await;

    assert_eq!(run.state, RunState::Succeeded);
    assert_eq!(world.job(&run_id, "pull").await.outcome.unwrap().summary, "users");
    assert_eq!(world.store.snapshots().await.unwrap().len(), 1);
    assert!(world.store.runs(&RunFilter { open: true, ..RunFilter::default() }).await.unwrap().is_empty());
}
