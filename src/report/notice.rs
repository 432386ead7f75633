//! The words about a night that has no digest at its deadline, from what is known of it.
//!
//! Pure: from the run and its jobs to a [`FailureView`]. It says what is done, what has been running and since when,
//! what still holds, and what to do, with commands that exist; it says nothing that was not read. The watchdog, which
//! may be unable to read the state at all, says so.

use jiff::Timestamp;
use jiff::civil::Date;

use super::format::{day, day_and_time, duration};
use super::view::{FailedJob, FailureKind, FailureView, JobEnd, Pointer};
use crate::domain::ids::{DagName, RunId};
use crate::domain::job::JobView;
use crate::domain::run::JobState;

/// What is known of a night that has no digest.
#[derive(Debug, Clone, PartialEq)]
pub struct Night {
    /// The institution, as reports name it.
    pub institution: String,
    /// The DAG.
    pub dag: DagName,
    /// The logical date.
    pub logical_date: Date,
    /// The zone in which times are shown.
    pub zone: String,
    /// Whether the students are invented.
    pub is_simulation: bool,
    /// How many jobs the DAG has.
    pub n_jobs: usize,
    /// What became of it.
    pub end: NightEnd,
    /// The last night whose digest went out without a failed job; `None` where there is none or it cannot be read.
    pub last_digest: Option<Date>,
    /// When all this was read.
    pub seen_at: Timestamp,
    /// By when the digest was due.
    pub deadline: Option<Timestamp>,
    /// Whom to ask.
    pub contact: Option<String>,
}

/// What became of a night that has no digest.
#[derive(Debug, Clone, PartialEq)]
pub enum NightEnd {
    /// It never began.
    NeverBegan {
        /// Why, where that is known.
        why: Option<String>,
    },
    /// It is still running.
    Running {
        /// The run.
        run_id: RunId,
        /// Its jobs.
        jobs: Vec<JobView>,
    },
    /// It was running when its process died, and nothing has taken it up yet.
    CutOff {
        /// The run.
        run_id: RunId,
        /// Its jobs.
        jobs: Vec<JobView>,
    },
    /// It is over.
    Over {
        /// The run.
        run_id: RunId,
        /// Its jobs.
        jobs: Vec<JobView>,
    },
    /// It cannot be read.
    Unreadable {
        /// Why not.
        why: String,
    },
}

impl FailureView {
    /// Returns the e-mail about a night that has no digest.
    pub fn of(night: &Night) -> Self {
        let (kind, run_id, jobs): (_, _, &[JobView]) = match &night.end {
            NightEnd::NeverBegan { .. } => (FailureKind::NeverBegan, None, &[]),
            NightEnd::Running { run_id, jobs } | NightEnd::CutOff { run_id, jobs } => {
                (FailureKind::Late, Some(run_id.clone()), jobs)
            }
            NightEnd::Over { run_id, jobs } => (FailureKind::Failed, Some(run_id.clone()), jobs),
            NightEnd::Unreadable { .. } => (FailureKind::Unknown, None, &[]),
        };
        let done = jobs.iter().filter(|job| job.state == JobState::Succeeded).count();
        let n_jobs = if jobs.is_empty() { night.n_jobs } else { jobs.len() };
        Self {
            institution: night.institution.clone(),
            dag: night.dag.clone(),
            logical_date: night.logical_date,
            zone: night.zone.clone(),
            is_simulation: night.is_simulation,
            kind,
            run_id: run_id.clone(),
            seen_at: night.seen_at,
            deadline: night.deadline,
            jobs: jobs.iter().filter_map(|job| trouble(job, run_id.as_ref(), night)).collect(),
            done: (done, n_jobs),
            why: why(&night.end),
            still_stands: still_stands(night.last_digest),
            steps: steps(night, run_id.as_ref(), jobs),
            pointers: pointers(run_id.as_ref()),
            contact: night.contact.clone(),
        }
    }
}

/// Returns what there is to say about a job that failed or is under way.
fn trouble(job: &JobView, run_id: Option<&RunId>, night: &Night) -> Option<FailedJob> {
    let read_log = run_id.map_or_else(String::new, |id| format!("Its log: `nocturne runs logs {id} {}`.", job.name));
    let since = job.started_at.and_then(|at| {
        let shown = day_and_time(at, &night.zone).ok()?;
        Some(format!("since {shown} ({})", duration(night.seen_at.duration_since(at).as_secs_f64().max(0.0))))
    });
    let error = || job.error.clone().unwrap_or_else(|| "it gave no reason".to_owned());
    let (end, message) = match job.state {
        JobState::Failed => (JobEnd::Failed, sentence(&error())),
        JobState::Running if matches!(night.end, NightEnd::CutOff { .. }) => {
            (JobEnd::Running, "It was running when its process died.".to_owned())
        }
        JobState::Running => (JobEnd::Running, format!("It has been running {}.", since.unwrap_or_default())),
        JobState::Retrying => (JobEnd::Running, format!("It failed and is tried again: {}", sentence(&error()))),
        JobState::Cancelled => (JobEnd::Cancelled, "Somebody cancelled it.".to_owned()),
        JobState::Queued | JobState::Succeeded | JobState::Skipped | JobState::UpstreamFailed => return None,
    };
    Some(FailedJob { name: job.name.to_string(), end, message, advice: read_log, attempts: job.attempts })
}

fn sentence(text: &str) -> String {
    format!("{}.", text.trim_end_matches('.'))
}

fn why(end: &NightEnd) -> Option<String> {
    match end {
        NightEnd::NeverBegan { why: Some(why) } => Some(format!("The schedule skipped it: {}", sentence(why))),
        NightEnd::Unreadable { why } => Some(format!("The state store cannot be read: {}", sentence(why))),
        NightEnd::Running { .. } => Some("The digest follows when the night is done.".to_owned()),
        NightEnd::CutOff { .. } => {
            Some("No daemon is running, so the night does not go on until one is started.".to_owned())
        }
        NightEnd::NeverBegan { why: None } | NightEnd::Over { .. } => None,
    }
}

fn still_stands(last_digest: Option<Date>) -> String {
    match last_digest {
        Some(date) => format!("The last complete digest is that of {}; its report still stands.", day(date)),
        None => "What was published before still stands.".to_owned(),
    }
}

fn steps(night: &Night, run_id: Option<&RunId>, jobs: &[JobView]) -> Vec<String> {
    let (dag, date) = (&night.dag, night.logical_date);
    let run_again = format!("Run the night: `nocturne run {dag} --date {date}`; what is up to date is not done again.");
    match (&night.end, run_id) {
        (NightEnd::Running { .. }, Some(run_id)) => vec![
            "Nothing, if it may be late: the digest follows when the night is done.".to_owned(),
            format!(
                "If it hangs, stop it: `nocturne runs cancel {run_id}`. Then run it again: `nocturne run {dag} --date {date}`."
            ),
        ],
        (NightEnd::CutOff { .. }, _) => vec![
            "Start the daemon: `systemctl start nocturne`. It goes on where the night was cut off.".to_owned(),
            "See why it ended: `journalctl -u nocturne`.".to_owned(),
            format!("Without a daemon: `nocturne run {dag} --date {date}` goes on with it too."),
        ],
        (NightEnd::Over { .. }, Some(run_id)) => {
            let failed = jobs.iter().find(|job| job.state == JobState::Failed);
            let read = failed.map_or_else(
                || format!("See how it ended: `nocturne runs show {run_id}`."),
                |job| format!("Read the log: `nocturne runs logs {run_id} {}`, and put right what it names.", job.name),
            );
            vec![read, run_again]
        }
        (NightEnd::Unreadable { .. }, _) => vec![
            "Check that the state store is there: `nocturne db check`.".to_owned(),
            "Check that the daemon runs: `systemctl status nocturne`, `journalctl -u nocturne`.".to_owned(),
            run_again,
        ],
        _ => vec![
            "Check that the daemon runs: `systemctl status nocturne`, `journalctl -u nocturne`.".to_owned(),
            "Check that its file is valid: `nocturne dags check`.".to_owned(),
            run_again,
        ],
    }
}

fn pointers(run_id: Option<&RunId>) -> Vec<Pointer> {
    let mut pointers = Vec::new();
    if let Some(run_id) = run_id {
        pointers.push(Pointer {
            what: "What is done, and what is not".to_owned(),
            at: format!("nocturne runs show {run_id}"),
        });
    }
    pointers.push(Pointer { what: "All runs".to_owned(), at: "nocturne runs list".to_owned() });
    pointers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Renderer;

    fn job(name: &str, state: JobState, error: Option<&str>) -> JobView {
        JobView {
            name: name.parse().unwrap(),
            kind: "command".parse().unwrap(),
            state,
            attempts: 1,
            started_at: Some("2026-11-20T07:30:00Z".parse().unwrap()),
            finished_at: None,
            outcome: None,
            error: error.map(str::to_owned),
            why: None,
        }
    }

    fn night(end: NightEnd) -> Night {
        Night {
            institution: "Riverbend University".to_owned(),
            dag: "nightly".parse().unwrap(),
            logical_date: jiff::civil::date(2026, 11, 20),
            zone: "America/Detroit".to_owned(),
            is_simulation: false,
            n_jobs: 7,
            end,
            last_digest: Some(jiff::civil::date(2026, 11, 19)),
            seen_at: "2026-11-20T11:30:00Z".parse().unwrap(),
            deadline: Some("2026-11-20T11:30:00Z".parse().unwrap()),
            contact: None,
        }
    }

    fn run_id() -> RunId {
        RunId::from_stored("nightly.2026-11-20.1".to_owned())
    }

    #[test]
    fn a_late_night_says_what_runs_since_when_and_what_is_done() {
        let jobs = vec![
            job("pull", JobState::Succeeded, None),
            job("features", JobState::Running, None),
            job("digest", JobState::Queued, None),
        ];

        let view = FailureView::of(&night(NightEnd::Running { run_id: run_id(), jobs }));

        assert_eq!((view.kind, view.done), (FailureKind::Late, (1, 3)));
        assert_eq!(view.jobs.len(), 1);
        assert_eq!(view.jobs[0].message, "It has been running since 20 Nov 2026, 02:30 EST (4 h 0 min).");
    }

    #[test]
    fn a_night_whose_daemon_is_dead_is_not_said_to_run() {
        let jobs = vec![job("features", JobState::Running, None)];

        let view = FailureView::of(&night(NightEnd::CutOff { run_id: run_id(), jobs }));

        assert_eq!(view.jobs[0].message, "It was running when its process died.");
        assert!(view.steps[0].contains("systemctl start nocturne"), "{:?}", view.steps);
    }

    #[test]
    fn a_night_that_is_over_names_the_job_that_failed_and_how_to_run_it_again() {
        let jobs = vec![
            job("pull", JobState::Failed, Some("no export for `submissions`.")),
            job("digest", JobState::UpstreamFailed, None),
        ];

        let view = FailureView::of(&night(NightEnd::Over { run_id: run_id(), jobs }));

        assert_eq!(view.jobs[0].message, "no export for `submissions`.");
        assert!(view.steps[0].contains("nocturne runs logs nightly.2026-11-20.1 pull"), "{:?}", view.steps);
        assert!(view.steps[1].contains("nocturne run nightly --date 2026-11-20"), "{:?}", view.steps);
        assert_eq!(view.signature().failed_jobs, ["pull"]);
    }

    #[test]
    fn a_skipped_night_says_why() {
        let why = Some("the earlier run is still open".to_owned());

        let view = FailureView::of(&night(NightEnd::NeverBegan { why }));

        assert_eq!(view.why.as_deref(), Some("The schedule skipped it: the earlier run is still open."));
    }

    #[test]
    fn what_cannot_be_read_is_not_guessed() {
        let view = FailureView::of(&night(NightEnd::Unreadable { why: "no such file".to_owned() }));
        let email = Renderer::new().unwrap().failure(&view).unwrap();

        assert!(email.text.contains("The state store cannot be read: no such file."), "{}", email.text);
        assert!(!email.text.contains("of 7 jobs"), "{}", email.text);
    }

    /// Each command that an e-mail of the night names must exist.
    #[test]
    fn the_commands_are_those_of_the_command_line() {
        let ends = [
            NightEnd::NeverBegan { why: None },
            NightEnd::Running { run_id: run_id(), jobs: vec![job("pull", JobState::Running, None)] },
            NightEnd::CutOff { run_id: run_id(), jobs: vec![job("pull", JobState::Running, None)] },
            NightEnd::Over { run_id: run_id(), jobs: vec![job("pull", JobState::Failed, None)] },
            NightEnd::Unreadable { why: "gone".to_owned() },
        ];
        let known = ["run ", "runs show ", "runs logs ", "runs list", "runs cancel ", "dags check", "db check"];
        for end in ends {
            let view = FailureView::of(&night(end));
            let text = format!("{:?} {:?} {:?}", view.steps, view.jobs, view.pointers);
            for (at, _) in text.match_indices("nocturne ") {
                let rest = &text[at + "nocturne ".len()..];
                assert!(known.iter().any(|command| rest.starts_with(command)) || rest.starts_with("`"), "{rest}");
            }
        }
    }
}
