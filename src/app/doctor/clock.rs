//! The clock and the time zones: events in the future mean that the clock went back, and every zone must be known.
//!
//! The lake and the HTTPS servers report what their clocks show; [`skew`] judges the difference.

use std::collections::BTreeSet;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};

use super::checked::{Checked, Subject};
use super::site::Site;
use crate::domain::schedule::parse_zone;

pub(super) const THIS: Subject = Subject("clock");

/// From this difference on, a warning is worthwhile.
const NOTABLE: SignedDuration = SignedDuration::from_secs(30);

/// From this difference on, signed requests and certificates begin to fail.
const HARMFUL: SignedDuration = SignedDuration::from_mins(5);

const ADVICE: &str = "set the clock of this machine by NTP (`timedatectl set-ntp true`), or that of the other one";

/// Checks the clock and the zones.
pub(super) fn check(site: &Site) -> BoxFuture<'_, Vec<Checked>> {
    async move {
        let mut named: BTreeSet<&str> = site.dags.iter().map(|dag| dag.timezone.as_str()).collect();
        named.extend([site.config.institution.timezone.as_str(), site.config.simulation.zone.as_str()]);
        let mut checks = vec![zones(&named)];
        // If the store cannot be read, its own check says so.
        if let Ok(Some(health)) = site.health().await {
            checks.push(history(health.newest_event, site.clock.now()));
        }
        checks
    }
    .boxed()
}

/// Judges by how much another clock is ahead of this machine's.
pub(super) fn skew(subject: Subject, check: &str, whose: &str, ahead: SignedDuration) -> Checked {
    let difference = ahead.abs();
    if difference < NOTABLE {
        return subject.ok(check, format!("the clock of {whose} agrees with this machine's"));
    }
    let word = if ahead.is_positive() { "ahead of" } else { "behind" };
    let found = format!("the clock of {whose} is {} s {word} this machine's", difference.as_secs());
    if difference < HARMFUL { subject.warn(check, found, ADVICE) } else { subject.fail(check, found, ADVICE) }
}

fn zones(named: &BTreeSet<&str>) -> Checked {
    let unknown: Vec<String> =
        named.iter().filter_map(|zone| parse_zone(zone).err()).map(|error| error.to_string()).collect();
    if unknown.is_empty() {
        let names: Vec<&str> = named.iter().copied().collect();
        return THIS.ok("time zones", format!("known: {}", names.join(", ")));
    }
    let advice = "correct the names; where they are right, update the system's time zone data (package `tzdata`)";
    THIS.fail("time zones", "there are zones that are not known", advice).with_details(unknown)
}

fn history(newest: Option<Timestamp>, now: Timestamp) -> Checked {
    let ahead = newest.map_or(SignedDuration::ZERO, |newest| newest.duration_since(now));
    if ahead < NOTABLE {
        return THIS.ok("history", "nothing that is recorded lies in the future");
    }
    let found = format!("the newest recorded event lies {} s in the future: the clock went back", ahead.as_secs());
    let advice = "set the clock by NTP; if it is right now, it was wrong then, and slots between are made up for";
    THIS.warn("history", found, advice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::doctor::Verdict;

    #[test]
    fn an_event_in_the_future_means_that_the_clock_went_back() {
        let now: Timestamp = "2026-11-20T02:30:00Z".parse().unwrap();
        let after = |seconds| history(Some(now + SignedDuration::from_secs(seconds)), now).verdict;

        assert_eq!([after(-5), after(5), after(3600)], [Verdict::Ok, Verdict::Ok, Verdict::Warn]);
        assert_eq!(history(None, now).verdict, Verdict::Ok);
    }

    #[test]
    fn a_zone_that_is_not_known_is_named() {
        let checked = zones(&BTreeSet::from(["America/Detroit", "Detroit"]));

        assert_eq!((checked.verdict, checked.details.len()), (Verdict::Fail, 1));
        assert!(checked.details[0].contains("`Detroit`"), "{checked:?}");
    }

    #[test]
    fn the_side_on_which_a_clock_is_wrong_is_said() {
        let checked = skew(THIS, "x", "the store", SignedDuration::from_secs(-400));

        assert_eq!(
            (checked.verdict, checked.found.as_str()),
            (Verdict::Fail, "the clock of the store is 400 s behind this machine's")
        );
    }
}
