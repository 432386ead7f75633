//! The schedules: when each DAG runs next, whether it ever does or is paused, and whether its deadline belongs to its
//! slot.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};

use super::checked::{Checked, Subject};
use super::site::Site;
use crate::domain::dag::Dag;
use crate::domain::delivery::deadline_of;
use crate::domain::schedule::{next_after, parse_zone};
use crate::store::{self, Pause};

pub(super) const THIS: Subject = Subject("schedules");

/// A deadline that is further from its slot than this was meant for another day.
const FAR: SignedDuration = SignedDuration::from_hours(12);

/// Checks the schedules.
pub(super) fn check(site: &Site) -> BoxFuture<'_, Vec<Checked>> {
    async move {
        let now = site.clock.now();
        let pauses = pauses(site).await;
        let paused = |dag: &Dag| pauses.iter().find(|pause| pause.dag == dag.name);
        let mut checks: Vec<Checked> = site.dags.iter().filter_map(|dag| schedule(dag, paused(dag), now)).collect();
        if checks.is_empty() {
            checks.push(THIS.ok("all", "no DAG has a schedule: each runs when asked"));
        }
        checks
    }
    .boxed()
}

/// Returns the DAGs that are paused; none if the state store cannot be read, which its own check reports.
async fn pauses(site: &Site) -> Vec<Pause> {
    match store::look(&site.config.state.url).await {
        Ok(store) => store.pauses().await.unwrap_or_default(),
        Err(_) => Vec::new(),
    }
}

/// Returns the result for a DAG's schedule; `None` if it has none.
fn schedule(dag: &Dag, paused: Option<&Pause>, now: Timestamp) -> Option<Checked> {
    let (name, schedule) = (dag.name.as_str(), dag.schedule.as_ref()?);
    let (next, zone) = match (next_after(schedule, &dag.timezone, now), parse_zone(&dag.timezone)) {
        (Ok(next), Ok(zone)) => (next, zone),
        (Err(error), _) | (_, Err(error)) => {
            return Some(THIS.fail(name, error.to_string(), "correct `schedule` or `timezone` in its file"));
        }
    };
    let Some(slot) = next else {
        let found = format!("`{}` never comes: this DAG does not run by itself", schedule.cron);
        return Some(THIS.fail(name, found, "correct `schedule` in its file, or take it out"));
    };
    let local = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%a %d %b %Y %H:%M %Z").to_string();
    let at = local(slot.at);
    let late = deadline_of(dag, &slot).map(|deadline| deadline.duration_since(slot.at)).filter(|late| *late > FAR);
    Some(match (late, dag.deadline) {
        (Some(late), Some(time)) => {
            let hours = late.as_secs() / 3600;
            let found = format!(
                "the deadline {} is before the slot at {at}, so it means the next day, {hours} hours later",
                time.strftime("%H:%M")
            );
            THIS.warn(name, found, "set `deadline` to a time soon after the schedule's")
        }
        _ => THIS.ok(
            name,
            match paused {
                None => format!("next at {at}"),
                Some(Pause { since, manual, .. }) => {
                    let (by, since) = (&manual.by, local(*since));
                    format!("paused by {by} since {since}: it does not run until `nocturne dags resume {name}`")
                }
            },
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::doctor::Verdict;
    use crate::domain::dag::{CatchUp, FoldPolicy, GapPolicy, OverlapPolicy, Schedule};

    fn checked(cron: &str, deadline: Option<&str>) -> Checked {
        let schedule = Schedule {
            cron: cron.to_owned(),
            gap: GapPolicy::Next,
            fold: FoldPolicy::First,
            catch_up: CatchUp::Latest,
            overlap: OverlapPolicy::Skip,
        };
        let dag = Dag {
            name: "nightly".parse().unwrap(),
            description: String::new(),
            schedule: Some(schedule),
            timezone: "America/Detroit".to_owned(),
            deadline: deadline.map(|text| text.parse().unwrap()),
            max_parallel: 1,
            jobs: std::collections::BTreeMap::new(),
            version: String::new(),
        };
        super::schedule(&dag, None, "2026-11-20T12:00:00Z".parse().unwrap()).unwrap()
    }

    #[test]
    fn the_next_slot_is_said_in_the_zone_of_its_dag() {
        let nightly = checked("30 2 * * *", Some("06:30"));

        assert_eq!((nightly.verdict, nightly.found.as_str()), (Verdict::Ok, "next at Sat 21 Nov 2026 02:30 EST"));
        assert_eq!(checked("0 22 * * *", Some("06:30")).verdict, Verdict::Ok);
    }

    #[test]
    fn a_schedule_that_never_comes_fails() {
        let never = checked("0 0 30 2 *", None);

        assert_eq!((never.verdict, never.found.starts_with("`0 0 30 2 *` never comes")), (Verdict::Fail, true));
    }

    #[test]
    fn a_deadline_before_its_slot_is_a_warning() {
        let early = checked("0 7 * * *", Some("06:30"));

        assert_eq!(early.verdict, Verdict::Warn);
        assert_eq!(
            early.found,
            "the deadline 06:30 is before the slot at Sat 21 Nov 2026 07:00 EST, so it means the next day, 23 hours later"
        );
    }
}
