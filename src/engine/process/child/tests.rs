//! The parent's side, with shell scripts as children: they follow the protocol, or break it.

use std::sync::Mutex;

use super::*;
use crate::domain::fingerprint::Why;
use crate::domain::ids::RunId;
use crate::domain::job::{Force, JobInput};

/// Commits parts by keeping their summaries; the second one is refused.
#[derive(Default)]
struct Kept(Mutex<Vec<String>>, Mutex<Option<Why>>);

#[async_trait]
impl Parts for Kept {
    fn note_why(&self, why: Why) {
        *self.1.lock().unwrap() = Some(why);
    }

    async fn commit(&self, _: &str, part: Outcome) -> Result<(), JobError> {
        let mut kept = self.0.lock().unwrap();
        if !kept.is_empty() {
            return Err(JobError::Retry(anyhow::anyhow!("the store is busy")));
        }
        kept.push(part.summary);
        Ok(())
    }
}

struct Staged {
    folder: tempfile::TempDir,
    parts: Arc<Kept>,
    cancel: CancellationToken,
}

const FENCE: &str = "night.1.job.1";

fn assignment() -> Assignment {
    Assignment {
        input: JobInput {
            run_id: RunId::from_stored("night.1".to_owned()),
            dag: "night".parse().unwrap(),
            job: "job".parse().unwrap(),
            kind: "kind".parse().unwrap(),
            params: serde_json::json!({}),
            dag_params: BTreeMap::new(),
            logical_date: jiff::civil::date(2026, 11, 20),
            timezone: "UTC".to_owned(),
            attempt: 1,
            force: Force::No,
            snapshots: BTreeMap::new(),
            cursors: BTreeMap::new(),
            models: Vec::new(),
            jobs: Vec::new(),
            dependents: std::collections::BTreeSet::new(),
            last_success: None,
            parts: BTreeMap::new(),
            left_findings: Vec::new(),
            is_for_earlier_date: false,
            alerts: Vec::new(),
            skipped: Vec::new(),
            earlier_email: None,
            history: Vec::new(),
        },
        earlier: None,
        fence: FENCE.to_owned(),
    }
}

fn outcome(summary: &str) -> Outcome {
    Outcome { summary: summary.to_owned(), ..Outcome::default() }
}

impl Staged {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            parts: Arc::new(Kept::default()),
            cancel: CancellationToken::new(),
        }
    }

    /// Prepares a staged value that a script may put in place.
    fn prepare(&self, name: &str, value: &impl serde::Serialize) {
        protocol::stage(&self.folder.path().join(name), value).unwrap();
    }

    fn prepare_done(&self) {
        let done = Done { outcome: outcome("done"), fingerprint: None };
        self.prepare("outcome", &Report { ended: Ended::Done(Box::new(done)), peak_bytes: None });
    }

    /// Carries out an attempt whose child is a script; the script begins in the folder with the prepared values.
    async fn carry_out(&self, script: &str) -> Result<Done, JobError> {
        let scratch = self.folder.path().join("scratch");
        let results = scratch.join("outcomes").join(FENCE);
        let script = format!("cd {}; RESULTS={}; {script}", self.folder.path().display(), results.display());
        let isolation = ProcessIsolation::new(ProcessSettings {
            program: PathBuf::from("/bin/sh"),
            arguments: vec!["-c".to_owned(), script],
            environment: std::env::vars().filter(|(name, _)| name == "PATH").collect(),
            setup: serde_json::json!({ "secret": "hunter2" }),
            scratch: scratch.clone(),
            logs: self.folder.path().join("logs"),
            log_bytes: 1 << 20,
            limit: Box::new(|kind| MemoryLimit { bytes: 512 << 20, key: format!("engine.memory_by_kind.{kind}") }),
            means: || MemoryMeans::Sampling("a test".to_owned()),
        });
        let parts = Arc::clone(&self.parts) as Arc<dyn Parts>;
        let carried_out = isolation.carry_out(assignment(), parts, self.cancel.clone());
        let ended = timeout(Duration::from_secs(60), carried_out).await.unwrap();
        assert!(!results.exists(), "results are left");
        ended
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap()
    }
}

#[tokio::test]
async fn the_outcome_comes_back_and_the_order_goes_through_the_pipe_alone() {
    let staged = Staged::new();
    staged.prepare_done();

    let done = staged
        .carry_out(
            "echo '{\"why\":{\"why\":\"always\"}}'; read -r order; echo \"$order\" > order; env > env; cat /proc/$$/cmdline > args; mv outcome $RESULTS/",
        )
        .await
        .unwrap();

    assert_eq!((done.outcome, staged.parts.1.lock().unwrap().take()), (outcome("done"), Some(Why::Always)));
    let order: Order = serde_json::from_str(&staged.text("order")).unwrap();
    assert_eq!(order.assignment, assignment());
    assert_eq!(order.setup["secret"], "hunter2");
    let environment = staged.text("env");
    let mut names: Vec<&str> = environment.lines().map(|line| line.split('=').next().unwrap()).collect();
    names.retain(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name));
    names.sort_unstable();
    assert_eq!(names, ["NOCTURNE_ATTEMPT_FENCE", "NOCTURNE_ATTEMPT_SCRATCH", "PATH"]);
    assert!(!staged.text("args").contains("hunter2"));
}

#[tokio::test]
async fn parts_are_committed_and_the_child_hears_what_became_of_them() {
    let staged = Staged::new();
    staged.prepare_done();
    staged.prepare("part-1", &outcome("first"));
    staged.prepare("part-2", &outcome("second"));

    let script = "read -r order; echo noise; \
                  mv part-1 part-2 $RESULTS/; printf '{\"part\":{\"number\":1,\"name\":\"p\"}}\\n'; read -r answer; echo \"$answer\" > answers; \
                  printf '{\"part\":{\"number\":2,\"name\":\"p\"}}\\n'; read -r answer; echo \"$answer\" >> answers; \
                  printf '{\"part\":{\"number\":3,\"name\":\"p\"}}\\n'; read -r answer; echo \"$answer\" >> answers; mv outcome $RESULTS/";
    staged.carry_out(script).await.unwrap();

    assert_eq!(*staged.parts.0.lock().unwrap(), ["first"]);
    let answers = staged.text("answers");
    let answers: Vec<&str> = answers.lines().collect();
    assert_eq!(answers[..2], ["\"part_taken\"", "{\"part_refused\":{\"retry\":\"the store is busy\"}}"]);
    assert!(answers[2].contains("part-3 is not there"), "{}", answers[2]);
}

#[tokio::test]
async fn a_child_that_is_told_to_stop_says_how_it_ended() {
    let staged = Staged::new();
    staged.prepare("outcome", &Report { ended: Ended::Wrong(Wrong::Cancelled), peak_bytes: None });
    staged.cancel.cancel();

    let ended = staged.carry_out("read -r order; read -r wish; [ $wish = '\"cancel\"' ] && mv outcome $RESULTS/").await;

    assert!(matches!(ended, Err(JobError::Cancelled)), "{ended:?}");
}

#[tokio::test]
async fn a_child_without_an_outcome_is_lost_and_how_it_ended_is_told() {
    for (script, expected) in [
        ("read -r order; exit 7", "ended with exit code 7 before it handed its outcome over"),
        ("exit 101", "ended with exit code 101 before it handed its outcome over"),
        ("read -r order; kill -SEGV $$", "was killed by signal 11 before it handed its outcome over"),
        ("read -r order; kill -KILL $$", "was killed by signal 9 (by a person, or by the system when memory ran out)"),
        ("read -r order; echo torn > $RESULTS/outcome", "ended with exit code 0, and its outcome"),
    ] {
        let ended = Staged::new().carry_out(script).await;

        let Err(JobError::Lost(why)) = ended else { panic!("{script}: {ended:?}") };
        assert!(why.starts_with("the process of the attempt ") && why.contains(expected), "{why}");
    }
}

#[tokio::test]
async fn a_child_that_was_refused_memory_ran_out_of_it() {
    let ended =
        Staged::new().carry_out("read -r order; echo 'memory allocation of 9 bytes failed' >&2; kill -ABRT $$").await;

    let Err(JobError::Fail(why)) = ended else { panic!("{ended:?}") };
    assert_eq!(why.to_string(), "it ran out of memory: its limit is 512 MiB (`engine.memory_by_kind.kind`)");
}

#[tokio::test]
async fn an_attempt_that_is_dropped_is_killed() {
    let staged = Staged::new();
    let pid_file = staged.folder.path().join("pid");
    let begun = async {
        loop {
            match std::fs::read_to_string(&pid_file).ok().and_then(|text| text.trim().parse::<i32>().ok()) {
                Some(pid) => return pid,
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };

    let pid = tokio::select! {
        ended = staged.carry_out("trap '' TERM; echo $$ > pid; while :; do sleep 302; done") => panic!("{ended:?}"),
        pid = begun => pid,
    };

    let lives = || procfs::process::Process::new(pid).and_then(|p| p.stat()).is_ok_and(|stat| stat.state != 'Z');
    for _ in 0..2_000 {
        if !lives() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the child lives on");
}
