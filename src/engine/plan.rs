//! What is next in a run: a pure function from the DAG and the jobs' states.
//!
//! The executor asks after every event and does what this says. It knows nothing of time, attempts or threads.

use std::collections::BTreeMap;

use crate::domain::dag::{Dag, Job, When};
use crate::domain::ids::JobName;
use crate::domain::run::{JobState, RunState};
use crate::store::Unattempted;

/// What is next.
#[derive(Debug, Clone, PartialEq)]
pub struct Next {
    /// Jobs whose first attempt may begin, by name.
    pub ready: Vec<JobName>,
    /// Jobs that end without an attempt.
    pub unattempted: Vec<(JobName, Unattempted)>,
    /// How the run ends; `None` while there is still something to do.
    pub end: Option<RunState>,
}

/// Returns what is next in a run of `dag` whose jobs are in `states`.
pub fn next(dag: &Dag, states: &BTreeMap<JobName, JobState>) -> Next {
    let mut ready = Vec::new();
    let mut unattempted = Vec::new();
    for (name, _) in states.iter().filter(|(_, state)| **state == JobState::Queued) {
        let Some(job) = dag.jobs.get(name) else { continue };
        match verdict(job, states) {
            Verdict::Wait => {}
            Verdict::Ready => ready.push(job.name.clone()),
            Verdict::End(end) => unattempted.push((job.name.clone(), end)),
        }
    }
    let is_done = states.values().all(|state| state.is_done());
    Next { ready, unattempted, end: is_done.then(|| RunState::of_jobs(states.values())) }
}

enum Verdict {
    Wait,
    Ready,
    End(Unattempted),
}

/// What becomes of a queued job. Except by `always`, it neither begins nor ends while a job that it needs is not done, even
/// where a failure has decided already what will become of it: so a job that is done stands for all that is upstream of it,
/// and a report that needs the last job of a chain is not written while another branch still runs.
fn verdict(job: &Job, states: &BTreeMap<JobName, JobState>) -> Verdict {
    let waits = job.needs.iter().filter_map(|need| states.get(need)).any(|state| !state.is_done());
    if waits && job.when != When::Always {
        return Verdict::Wait;
    }
    let needs: Vec<(&JobName, JobState)> =
        job.needs.iter().filter_map(|need| Some((need, *states.get(need)?))).collect();
    let failed = needs.iter().find(|(_, state)| state.is_failure());
    let succeeded = needs.iter().any(|(_, state)| *state == JobState::Succeeded);
    let cancelled = needs.iter().any(|(_, state)| *state == JobState::Cancelled);
    let skipped = |why: &str| Verdict::End(Unattempted::Skipped { why: why.to_owned() });

    match job.when {
        When::Always => Verdict::Ready,
        When::AllSuccess | When::NoneFailed if failed.is_some() => {
            let upstream = failed.map_or_else(|| job.name.clone(), |(name, _)| (*name).clone());
            Verdict::End(Unattempted::UpstreamFailed { upstream })
        }
        _ if cancelled && job.when != When::AllDone => Verdict::End(Unattempted::Cancelled),
        When::AllSuccess => {
            let missing = needs.iter().find(|(_, state)| *state != JobState::Succeeded);
            missing.map_or(Verdict::Ready, |(name, state)| skipped(&format!("`{name}`, which it needs, is {state}")))
        }
        When::AllDone | When::NoneFailed => Verdict::Ready,
        When::OneFailed if failed.is_some() => Verdict::Ready,
        When::OneFailed => skipped("none of its needs failed"),
        When::OneSuccess if succeeded => Verdict::Ready,
        When::OneSuccess => skipped("none of its needs succeeded"),
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::ids::{DagName, KindName};
    use crate::domain::retry::RetryPolicy;

    fn name(text: &str) -> JobName {
        JobName::from_str(text).unwrap()
    }

    fn dag(jobs: &[(&str, &[&str], When)]) -> Dag {
        let jobs = jobs.iter().map(|(job, needs, when)| {
            let job = Job {
                name: name(job),
                kind: KindName::from_str("command").unwrap(),
                params: serde_json::Value::Null,
                needs: needs.iter().map(|need| name(need)).collect(),
                when: *when,
                timeout: Duration::from_secs(1),
                retry: RetryPolicy::default(),
            };
            (job.name.clone(), job)
        });
        Dag {
            name: DagName::from_str("d").unwrap(),
            description: String::new(),
            schedule: None,
            timezone: "UTC".to_owned(),
            deadline: None,
            max_parallel: 2,
            jobs: jobs.collect(),
            version: String::new(),
        }
    }

    fn states(pairs: &[(&str, JobState)]) -> BTreeMap<JobName, JobState> {
        pairs.iter().map(|(job, state)| (name(job), *state)).collect()
    }

    #[test]
    fn a_failed_need_stops_what_waits_for_success_and_lets_the_digest_go() {
        let dag = dag(&[
            ("pull", &[], When::AllSuccess),
            ("train", &["pull"], When::AllSuccess),
            ("digest", &["train"], When::AllDone),
        ]);

        let first = next(
            &dag,
            &states(&[("pull", JobState::Failed), ("train", JobState::Queued), ("digest", JobState::Queued)]),
        );
        let second = next(
            &dag,
            &states(&[("pull", JobState::Failed), ("train", JobState::UpstreamFailed), ("digest", JobState::Queued)]),
        );

        assert_eq!(first.unattempted, vec![(name("train"), Unattempted::UpstreamFailed { upstream: name("pull") })]);
        assert_eq!(first.ready, vec![]);
        assert_eq!(second.ready, vec![name("digest")]);
    }

    #[test]
    fn a_job_whose_need_failed_ends_when_its_other_needs_are_done_and_with_it_what_reports_on_it() {
        let dag = dag(&[
            ("canvas", &[], When::AllSuccess),
            ("files", &[], When::AllSuccess),
            ("quality", &["canvas", "files"], When::AllSuccess),
            ("digest", &["quality"], When::AllDone),
        ]);
        let with = |files| {
            let queued = [("quality", JobState::Queued), ("digest", JobState::Queued)];
            next(&dag, &states(&[&[("canvas", JobState::Failed), ("files", files)][..], &queued].concat()))
        };

        let (before, after) = (with(JobState::Running), with(JobState::Succeeded));

        assert_eq!((before.ready, before.unattempted), (vec![], vec![]));
        let upstream = Unattempted::UpstreamFailed { upstream: name("canvas") };
        assert_eq!((after.ready, after.unattempted), (vec![], vec![(name("quality"), upstream)]));
    }

    #[test]
    fn a_skipped_need_skips_what_wants_success_and_says_why() {
        let dag = dag(&[("a", &[], When::AllSuccess), ("b", &["a"], When::AllSuccess)]);

        let next = next(&dag, &states(&[("a", JobState::Skipped), ("b", JobState::Queued)]));

        let why = "`a`, which it needs, is skipped".to_owned();
        assert_eq!(next.unattempted, vec![(name("b"), Unattempted::Skipped { why })]);
    }

    #[test]
    fn a_job_that_alone_was_asked_for_does_not_wait_for_what_was_not() {
        let dag =
            dag(&[("a", &[], When::AllSuccess), ("b", &["a"], When::AllSuccess), ("c", &["b"], When::AllSuccess)]);
        let dag = dag.asked_for(Some(&[name("b"), name("c")]));

        let first = next(&dag, &states(&[("a", JobState::Skipped), ("b", JobState::Queued), ("c", JobState::Queued)]));

        assert_eq!((first.ready, first.unattempted), (vec![name("b")], vec![]));
    }

    proptest! {
        /// Whatever the rules are and however jobs end, a run always comes to an end, and no job is ready twice.
        #[test]
        fn every_run_ends(
            rules in prop::collection::vec((0_usize..6, prop::collection::vec(any::<prop::sample::Index>(), 0..3)), 1..8),
            ends in prop::collection::vec(0_usize..3, 8),
        ) {
            let whens = [When::AllSuccess, When::AllDone, When::OneFailed, When::NoneFailed, When::OneSuccess, When::Always];
            let names: Vec<String> = (0..rules.len()).map(|i| format!("j{i}")).collect();
            let needs: Vec<Vec<&str>> = rules.iter().enumerate()
                .map(|(i, (_, needs))| if i == 0 { vec![] } else { needs.iter().map(|n| names[n.index(i)].as_str()).collect() })
                .collect();
            let jobs: Vec<(&str, &[&str], When)> = rules.iter().enumerate()
                .map(|(i, (when, _))| (names[i].as_str(), needs[i].as_slice(), whens[*when]))
                .collect();
            let dag = dag(&jobs);
            let mut states: BTreeMap<JobName, JobState> = dag.jobs.keys().map(|job| (job.clone(), JobState::Queued)).collect();

            for _ in 0..=rules.len() {
                let next = next(&dag, &states);
                if let Some(end) = next.end {
                    prop_assert!(end.is_done());
                    return Ok(());
                }
                prop_assert!(!next.ready.is_empty() || !next.unattempted.is_empty(), "stuck in {states:?}");
                for job in next.ready {
                    let i: usize = job.as_str()[1..].parse().unwrap();
                    states.insert(job, [JobState::Succeeded, JobState::Failed, JobState::Skipped][ends[i]]);
                }
                for (job, end) in next.unattempted {
                    states.insert(job, match end {
                        Unattempted::Skipped { .. } => JobState::Skipped,
                        Unattempted::UpstreamFailed { .. } => JobState::UpstreamFailed,
                        Unattempted::Cancelled => JobState::Cancelled,
                    });
                }
            }
            prop_assert!(next(&dag, &states).end.is_some());
        }
    }
}
