//! The lake: writable, its listing complete, its conditional writes real, its clock right.

use std::path::Path;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use rustix::fs::{Access, access};

use super::checked::{Checked, Subject};
use super::clock;
use super::site::{Site, nearest};
use crate::lake::{Lake, Probe};
use crate::telemetry::{chain, spawn_blocking};

pub(super) const THIS: Subject = Subject("lake");

/// Checks the lake.
pub(super) fn check(site: &Site) -> BoxFuture<'_, Vec<Checked>> {
    async move {
        if let Some(folder) = site.lake_folder()
            && let Some(checked) = spawn_blocking(move || not_there(&folder)).await
        {
            return vec![checked];
        }
        let options = match crate::app::environment::lake_options(&site.config, &site.variables, &site.config.lake.url)
        {
            Ok(options) => options,
            Err(error) => return vec![THIS.skipped("writable", format!("{:#}", anyhow::Error::new(error)))],
        };
        let before = site.clock.now();
        let id = format!("doctor-{}-{}", std::process::id(), before.as_microsecond());
        let probed = async { Lake::open(options).await?.probe(&id).await };
        match probed.await {
            Ok(probe) => judge(&probe, &site.config.lake.url, (before, site.clock.now())),
            Err(error) => vec![THIS.fail("writable", chain(&error), advice(&site.config.lake.url))],
        }
    }
    .boxed()
}

/// Returns the result for a folder that does not exist yet.
fn not_there(folder: &Path) -> Option<Checked> {
    if folder.exists() {
        return None;
    }
    let above = nearest(folder);
    if access(&above, Access::WRITE_OK).is_ok() {
        return Some(THIS.ok("writable", format!("{} is not there yet: the first run makes it", folder.display())));
    }
    let found = format!("{} is not there, and {} may not be written", folder.display(), above.display());
    Some(THIS.fail("writable", found, "make the folder, and give it to the user that runs nocturne"))
}

fn advice(url: &str) -> &'static str {
    if url.starts_with("s3://") {
        return "check `lake.endpoint`, the bucket and the keys: they need to list, read, write and delete objects";
    }
    "see that the user that runs nocturne may write this folder, and that its disk is not read-only or full"
}

fn judge(probe: &Probe, url: &str, between: (Timestamp, Timestamp)) -> Vec<Checked> {
    let another = "use another store: without this, two writers may spoil each other's data";
    let mut checks = vec![THIS.ok("writable", format!("{url}: an object was written, read and removed"))];
    if !probe.is_read_back {
        checks = vec![THIS.fail("writable", format!("{url}: what was read is not what was written first"), another)];
    }
    checks.push(if probe.is_listed {
        THIS.ok("listing", "what is written is listed at once")
    } else {
        let found = "an object that was written is not in the listing";
        THIS.fail("listing", found, "use a store whose listing is consistent: a run would miss what it has written")
    });
    checks.push(if probe.is_created_once {
        THIS.ok("conditional put", "a second writer of the same object is refused")
    } else {
        let found = "a second writer of the same object is not refused (`If-None-Match: *` is ignored)";
        THIS.fail("conditional put", found, another)
    });
    checks.push(skew(probe.written_at, between));
    checks
}

/// Compares the time of an object, in whole seconds on some stores, with the clock here before and after it was written.
fn skew(written_at: Timestamp, (before, after): (Timestamp, Timestamp)) -> Checked {
    let ahead = if written_at > after {
        written_at.duration_since(after)
    } else if written_at < before {
        written_at.duration_since(before)
    } else {
        SignedDuration::ZERO
    };
    clock::skew(THIS, "clock", "the store", ahead)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::doctor::Verdict;

    const AT: &str = "2026-11-20T02:30:00Z";

    fn verdicts(change: impl Fn(&mut Probe)) -> Vec<(String, Verdict)> {
        let at: Timestamp = AT.parse().unwrap();
        let mut probe = Probe { is_listed: true, is_created_once: true, is_read_back: true, written_at: at };
        change(&mut probe);
        let wrong = judge(&probe, "s3://lake", (at, at)).into_iter().filter(|check| check.verdict != Verdict::Ok);
        wrong.map(|check| (check.check, check.verdict)).collect()
    }

    #[test]
    fn a_store_that_keeps_its_promises_is_well() {
        assert_eq!(verdicts(|_| {}), []);
    }

    #[test]
    fn each_broken_promise_fails() {
        assert_eq!(verdicts(|probe| probe.is_listed = false), [("listing".to_owned(), Verdict::Fail)]);
        assert_eq!(verdicts(|probe| probe.is_created_once = false), [("conditional put".to_owned(), Verdict::Fail)]);
        assert_eq!(verdicts(|probe| probe.is_read_back = false), [("writable".to_owned(), Verdict::Fail)]);
    }

    #[test]
    fn a_store_whose_clock_is_minutes_away_is_a_warning() {
        let away = |seconds| verdicts(|probe| probe.written_at += SignedDuration::from_secs(seconds));

        assert_eq!(away(90), [("clock".to_owned(), Verdict::Warn)]);
        assert_eq!(away(-600), [("clock".to_owned(), Verdict::Fail)]);
        assert_eq!(away(-1), []);
    }
}
