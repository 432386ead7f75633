//! When a run will probably be done: a pure function from its jobs' states and their usual durations.
//!
//! Each job takes as long as the median of its own last successes; one without a history counts as nothing, so the
//! forecast is early rather than late and never raises a false alarm. The remaining jobs are simulated with at most
//! `max_parallel` at once. It reads no clock and no store.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::domain::dag::Dag;
use crate::domain::ids::JobName;
use crate::domain::job::JobView;

/// How many successes a job's usual duration is taken from.
pub const HISTORY: u32 = 14;

/// A change of the expected end that is too small to report.
const SMALL_CHANGE: SignedDuration = SignedDuration::from_mins(15);

/// When a run will probably be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecast {
    /// When its last job will end.
    pub end: Timestamp,
    /// The longest of the jobs that determine the end.
    pub longest: Option<JobName>,
    /// How long that job usually takes.
    pub takes: SignedDuration,
}

/// Returns the median of a job's durations.
pub fn usual(durations: &[SignedDuration]) -> Option<SignedDuration> {
    let mut sorted = durations.to_vec();
    sorted.sort();
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = sorted[middle - 1];
    Some(lower + (upper - lower) / 2)
}

/// Returns when a run of `dag` will probably be done, given its jobs as they are at `now` and their usual durations.
pub fn forecast(dag: &Dag, jobs: &[JobView], usual: &BTreeMap<JobName, SignedDuration>, now: Timestamp) -> Forecast {
    let takes = |job: &JobName| usual.get(job).copied().unwrap_or_default();
    // Where each job ends, and which one it waited for.
    let mut ends: BTreeMap<&JobName, (Timestamp, Option<&JobName>)> = BTreeMap::new();
    let mut running: Vec<(Timestamp, &JobName)> = Vec::new();
    let mut left: Vec<&JobName> = Vec::new();
    for name in dag.jobs.keys() {
        let view = jobs.iter().find(|view| view.name == *name);
        match view {
            Some(view) if view.state.is_done() => {
                ends.insert(name, (view.finished_at.unwrap_or(now).min(now), None));
            }
            Some(JobView { started_at: Some(started_at), .. }) => {
                running.push((after(*started_at, takes(name)).max(now), name));
            }
            _ => left.push(name),
        }
    }
    ends.extend(running.iter().map(|(end, name)| (*name, (*end, None))));
    let mut time = now;
    let mut freed = None;
    loop {
        let mut waiting = Vec::new();
        for name in left {
            let needs = dag.jobs.get(name).map(|job| job.needs.as_slice()).unwrap_or_default();
            let is_ready = needs
                .iter()
                .all(|need| ends.get(need).is_none_or(|(end, _)| *end <= time) && !is_left(need, dag, &ends));
            if is_ready && running.len() < dag.max_parallel {
                let last = needs.iter().max_by_key(|need| ends.get(need).map(|(end, _)| *end));
                let waited_for = last.filter(|need| ends.get(need).is_some_and(|(end, _)| *end == time)).or(freed);
                let end = after(time, takes(name));
                ends.insert(name, (end, waited_for));
                running.push((end, name));
            } else {
                waiting.push(name);
            }
        }
        left = waiting;
        running.sort();
        if running.is_empty() {
            break;
        }
        let (end, name) = running.remove(0);
        (time, freed) = (time.max(end), Some(name));
    }
    decided_by(&ends, &takes, time)
}

/// Returns whether a new forecast differs enough from the last one reported.
pub fn is_news(told: Option<&Forecast>, new: &Forecast) -> bool {
    told.is_none_or(|told| new.end.duration_since(told.end).abs() > SMALL_CHANGE)
}

/// Returns whether `need` has no end yet, although it is a job of the DAG.
fn is_left(need: &JobName, dag: &Dag, ends: &BTreeMap<&JobName, (Timestamp, Option<&JobName>)>) -> bool {
    dag.jobs.contains_key(need) && !ends.contains_key(need)
}

/// Follows the last job back through the jobs that it waited for.
fn decided_by(
    ends: &BTreeMap<&JobName, (Timestamp, Option<&JobName>)>,
    takes: &dyn Fn(&JobName) -> SignedDuration,
    end: Timestamp,
) -> Forecast {
    let mut longest: Option<&JobName> = None;
    let mut next = ends.iter().filter(|(_, (at, _))| *at == end).map(|(name, _)| *name).max_by_key(|name| takes(name));
    while let Some(name) = next {
        if longest.is_none_or(|longest| takes(longest) < takes(name)) {
            longest = Some(name);
        }
        next = ends.get(name).and_then(|(_, waited_for)| *waited_for);
    }
    Forecast { end, longest: longest.cloned(), takes: longest.map(takes).unwrap_or_default() }
}

fn after(time: Timestamp, duration: SignedDuration) -> Timestamp {
    time.checked_add(duration).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::dag::{Job, When};
    use crate::domain::retry::RetryPolicy;
    use crate::domain::run::JobState;

    fn name(text: &str) -> JobName {
        text.parse().unwrap()
    }

    fn minutes(n: i64) -> SignedDuration {
        SignedDuration::from_mins(n)
    }

    fn at(minute: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + minutes(minute)
    }

    fn dag(max_parallel: usize, jobs: &[(&str, &[&str])]) -> Dag {
        let jobs = jobs.iter().map(|(job, needs)| {
            let job = Job {
                name: name(job),
                kind: "command".parse().unwrap(),
                params: serde_json::Value::Null,
                needs: needs.iter().map(|need| name(need)).collect(),
                when: When::AllSuccess,
                timeout: Duration::from_secs(1),
                retry: RetryPolicy::default(),
            };
            (job.name.clone(), job)
        });
        Dag {
            name: "d".parse().unwrap(),
            description: String::new(),
            schedule: None,
            timezone: "UTC".to_owned(),
            deadline: None,
            max_parallel,
            jobs: jobs.collect(),
            version: String::new(),
        }
    }

    fn view(job: &str, state: JobState, started: Option<i64>, finished: Option<i64>) -> JobView {
        JobView {
            name: name(job),
            kind: "command".parse().unwrap(),
            state,
            attempts: 1,
            started_at: started.map(at),
            finished_at: finished.map(at),
            outcome: None,
            error: None,
            why: None,
        }
    }

    fn usually(pairs: &[(&str, i64)]) -> BTreeMap<JobName, SignedDuration> {
        pairs.iter().map(|(job, n)| (name(job), minutes(*n))).collect()
    }

    #[test]
    fn the_usual_duration_is_the_median() {
        assert_eq!(usual(&[]), None);
        assert_eq!(usual(&[minutes(3), minutes(90), minutes(2)]), Some(minutes(3)));
        assert_eq!(usual(&[minutes(4), minutes(2)]), Some(minutes(3)));
    }

    #[test]
    fn the_longest_job_on_the_way_to_the_end_is_named() {
        let dag = dag(
            2,
            &[("pull", &[]), ("checks", &["pull"]), ("features", &["pull"]), ("digest", &["checks", "features"])],
        );
        let usual = usually(&[("pull", 10), ("checks", 5), ("features", 60), ("digest", 1)]);
        let jobs = [view("pull", JobState::Running, Some(0), None)];

        let forecast = forecast(&dag, &jobs, &usual, at(4));

        assert_eq!(forecast, Forecast { end: at(71), longest: Some(name("features")), takes: minutes(60) });
    }

    #[test]
    fn what_runs_longer_than_usual_ends_now_at_the_earliest() {
        let dag = dag(1, &[("pull", &[]), ("train", &["pull"])]);
        let jobs = [view("pull", JobState::Running, Some(0), None)];

        let forecast = forecast(&dag, &jobs, &usually(&[("pull", 10), ("train", 5)]), at(30));

        assert_eq!(forecast.end, at(35));
    }

    #[test]
    fn one_at_a_time_takes_longer_than_two() {
        let jobs: [(&str, &[&str]); 2] = [("a", &[]), ("b", &[])];
        let usual = usually(&[("a", 20), ("b", 30)]);

        assert_eq!(forecast(&dag(1, &jobs), &[], &usual, at(0)).end, at(50));
        assert_eq!(forecast(&dag(2, &jobs), &[], &usual, at(0)).end, at(30));
    }

    #[test]
    fn what_is_done_takes_no_more_time() {
        let dag = dag(1, &[("pull", &[]), ("digest", &["pull"])]);
        let jobs = [view("pull", JobState::Succeeded, Some(0), Some(8)), view("digest", JobState::Queued, None, None)];

        assert_eq!(forecast(&dag, &jobs, &usually(&[("pull", 99), ("digest", 2)]), at(9)).end, at(11));
    }

    #[test]
    fn a_small_change_is_not_told_again() {
        let of = |end| Forecast { end: at(end), longest: None, takes: SignedDuration::ZERO };

        assert!(is_news(None, &of(0)));
        assert!(!is_news(Some(&of(0)), &of(15)));
        assert!(is_news(Some(&of(0)), &of(16)));
    }

    proptest! {
        /// The end is never before now, before the longest chain, or after running all jobs one by one.
        #[test]
        fn the_end_lies_between_the_longest_chain_and_the_sum(
            shape in prop::collection::vec((0_i64..60, prop::collection::vec(any::<prop::sample::Index>(), 0..3)), 1..10),
            max_parallel in 1_usize..4,
        ) {
            let names: Vec<String> = (0..shape.len()).map(|i| format!("j{i}")).collect();
            let needs: Vec<Vec<&str>> = shape.iter().enumerate()
                .map(|(i, (_, needs))| if i == 0 { vec![] } else { needs.iter().map(|n| names[n.index(i)].as_str()).collect() })
                .collect();
            let jobs: Vec<(&str, &[&str])> = names.iter().zip(&needs).map(|(n, needs)| (n.as_str(), needs.as_slice())).collect();
            let usual: BTreeMap<JobName, SignedDuration> =
                names.iter().zip(&shape).map(|(n, (takes, _))| (name(n), minutes(*takes))).collect();
            let mut chains: Vec<i64> = Vec::new();
            for (i, (takes, _)) in shape.iter().enumerate() {
                let before = needs[i].iter().map(|need| chains[need[1..].parse::<usize>().unwrap()]).max().unwrap_or(0);
                chains.push(before + takes);
            }

            let forecast = forecast(&dag(max_parallel, &jobs), &[], &usual, at(0));

            prop_assert!(forecast.end >= at(*chains.iter().max().unwrap()), "{:?}", forecast);
            prop_assert!(forecast.end <= at(shape.iter().map(|(takes, _)| takes).sum()), "{:?}", forecast);
        }
    }
}
