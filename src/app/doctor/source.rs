//! The sources of student data: present, readable, and how old their newest delivery is.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;

use super::checked::{Checked, Subject};
use super::site::Site;
use crate::app::temporary::TemporaryFolder;
use crate::canvas::contracts::Contracts;
use crate::canvas::delivery::find_deliveries;
use crate::config::{Source, SourceKind};

pub(super) const THIS: Subject = Subject("source");

/// Checks every source.
pub(super) fn check(site: &Site) -> BoxFuture<'_, Vec<Checked>> {
    async move {
        let looks = site.config.sources.iter().map(|(name, source)| look(site, name, source));
        let checks = futures::future::join_all(looks).await;
        if checks.is_empty() {
            return vec![THIS.warn(
                "all",
                "there is no source",
                "describe one in `[sources.NAME]` of the configuration",
            )];
        }
        checks
    }
    .boxed()
}

async fn look(site: &Site, name: &str, source: &Source) -> Checked {
    if source.kind == SourceKind::Simulation {
        return THIS.ok(name, "the simulated Canvas: all students are invented");
    }
    match newest_delivery(site, source).await {
        Ok((known_at, deliveries)) => {
            age(name, (known_at, deliveries), site.config.quality.fresh_days, site.clock.now())
        }
        Err(error) => {
            let advice = format!(
                "see that the export has arrived in `sources.{name}.path`, that this user may read it, and that it has \
                 a `manifest.json`"
            );
            THIS.fail(name, format!("{error:#}"), advice)
        }
    }
}

/// Returns when the newest delivery was known, and how many there are.
async fn newest_delivery(site: &Site, source: &Source) -> anyhow::Result<(Timestamp, usize)> {
    let contracts = Contracts::load(&source.extra, source.contracts.as_deref())?;
    let url = source.path.clone().unwrap_or_default();
    let mut options = crate::app::environment::lake_options(&site.config, &site.variables, &url)?;
    // Manifests of a remote source are copied; they do not stay.
    let copies = TemporaryFolder::new(&site.variables, "nocturne-doctor")?;
    copies.path().clone_into(&mut options.scratch);
    let files = crate::lake::open_source(options).await?;
    let deliveries = find_deliveries(&*files, &contracts, source.at).await?;
    let newest = deliveries.iter().map(|delivery| delivery.mode.known_at()).max();
    Ok((newest.unwrap_or(Timestamp::MIN), deliveries.len()))
}

fn age(name: &str, (known_at, deliveries): (Timestamp, usize), fresh_days: i64, now: Timestamp) -> Checked {
    let hours = now.duration_since(known_at).as_hours();
    let count = if deliveries == 1 { "1 delivery".to_owned() } else { format!("{deliveries} deliveries") };
    let found = format!("{count}, the newest of {known_at}, {hours} hours old");
    if hours <= fresh_days * 24 {
        return THIS.ok(name, found);
    }
    let advice =
        format!("find out why no export comes: more than `quality.fresh_days = {fresh_days}` is stale in every report");
    THIS.warn(name, found, advice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::doctor::Verdict;

    #[test]
    fn a_delivery_that_is_older_than_fresh_days_is_a_warning() {
        let now: Timestamp = "2026-11-20T02:30:00Z".parse().unwrap();
        let known = |at: &str| age("canvas", (at.parse().unwrap(), 1), 2, now);

        let fresh = known("2026-11-19T04:00:00Z");

        assert_eq!(
            (fresh.verdict, fresh.found.as_str()),
            (Verdict::Ok, "1 delivery, the newest of 2026-11-19T04:00:00Z, 22 hours old")
        );
        assert_eq!(known("2026-11-10T04:00:00Z").verdict, Verdict::Warn);
    }
}
