//! `nocturne doctor`: checks everything that a night needs and says in plain words what is wrong and what to do.
//!
//! It changes nothing permanently: it creates no folder, migrates no schema and sends no e-mail; the one object that it
//! writes into the lake is removed again. Each subject is one file, which checks (with a time limit: a server that
//! hangs is a finding) and leaves decisions to pure functions. A wrong configuration is a finding too, and the checks
//! that do not depend on what is wrong are still done.
//!
//! How to add a subject: a file with `check`, and a line in `PLAN`.

mod certificates;
mod checked;
mod clock;
mod configuration;
mod database;
mod disk;
mod lake;
mod limits;
mod mail;
mod permissions;
mod schedules;
mod secrets;
mod site;
mod source;
mod webhooks;

use std::path::PathBuf;
use std::time::Duration;

use futures::future::BoxFuture;
use serde::Serialize;

pub use checked::{Checked, Verdict};

use self::checked::Subject;
use self::site::Site;

/// Everything that was checked.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The worst verdict.
    pub verdict: Verdict,
    /// The checks, by subject.
    pub checks: Vec<Checked>,
}

impl Report {
    fn of(checks: Vec<Checked>) -> Self {
        let worst = checks.iter().map(|check| check.verdict).filter(|verdict| verdict.is_finding()).max();
        Self { verdict: worst.unwrap_or(Verdict::Ok), checks }
    }

    /// Returns how many checks ended with this verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.checks.iter().filter(|check| check.verdict == verdict).count()
    }
}

/// What checks a subject.
type Look = for<'a> fn(&'a Site) -> BoxFuture<'a, Vec<Checked>>;

/// A subject: the sections of the configuration without which it cannot be checked, how long that may take, and what
/// does it.
struct Planned {
    subject: Subject,
    sections: &'static [&'static str],
    limit: Duration,
    look: Look,
}

const PLAN: [Planned; 13] = [
    plan(configuration::THIS, &[], configuration::check),
    plan(schedules::THIS, &["paths", "institution"], schedules::check),
    Planned { limit: Duration::from_secs(60), ..plan(database::THIS, &["state"], database::check) },
    plan(lake::THIS, &["lake"], lake::check),
    plan(source::THIS, &["sources", "lake", "privacy"], source::check),
    Planned { limit: Duration::from_secs(30), ..plan(mail::THIS, &["mail"], mail::check) },
    Planned { limit: Duration::from_secs(30), ..plan(webhooks::THIS, &["alerts"], webhooks::check) },
    plan(certificates::THIS, &["mail", "lake", "watchdog"], certificates::check),
    plan(clock::THIS, &["state", "institution"], clock::check),
    plan(disk::THIS, &["paths", "lake", "mail"], disk::check),
    plan(secrets::THIS, &["privacy", "lake", "mail", "alerts"], secrets::check),
    plan(permissions::THIS, &["paths", "lake", "sources"], permissions::check),
    plan(limits::THIS, &["engine"], limits::check),
];

/// How long a check may take.
const LIMIT: Duration = Duration::from_secs(20);

const fn plan(subject: Subject, sections: &'static [&'static str], look: Look) -> Planned {
    Planned { subject, sections, limit: LIMIT, look }
}

/// Checks everything, all subjects concurrently.
pub async fn examine(files: &[PathBuf]) -> Report {
    let site = Site::read(files);
    let looks = PLAN.iter().map(|planned| look_at(planned, &site));
    let mut checks: Vec<Checked> = futures::future::join_all(looks).await.into_iter().flatten().collect();
    let place = |check: &Checked| PLAN.iter().position(|planned| planned.subject.0 == check.subject);
    checks.sort_by_key(place);
    Report::of(checks)
}

async fn look_at(planned: &Planned, site: &Site) -> Vec<Checked> {
    if let Some(section) = planned.sections.iter().find(|section| site.is_wrong(section)) {
        let why = format!("not looked at: `[{section}]` of the configuration is not valid");
        return vec![planned.subject.skipped("all", why)];
    }
    match tokio::time::timeout(planned.limit, (planned.look)(site)).await {
        Ok(checks) => checks,
        Err(_) => {
            let found = format!("there was no answer within {} s", planned.limit.as_secs_f64());
            vec![planned.subject.fail("all", found, "find out what hangs: a server, a network or a mounted folder")]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_finding_is_the_verdict_and_a_check_that_was_skipped_is_none() {
        let this = Subject("x");
        let verdict = |checks: Vec<Checked>| Report::of(checks).verdict;

        assert_eq!(verdict(vec![this.ok("a", ""), this.skipped("b", "")]), Verdict::Ok);
        assert_eq!(verdict(vec![this.warn("a", "", ""), this.ok("b", "")]), Verdict::Warn);
        assert_eq!(verdict(vec![this.fail("a", "", ""), this.warn("b", "", "")]), Verdict::Fail);
    }

    #[tokio::test]
    async fn what_hangs_is_a_finding() {
        let hangs = plan(Subject("lake"), &[], |_| Box::pin(std::future::pending()));
        let hangs = Planned { limit: Duration::from_millis(1), ..hangs };

        let checks = look_at(&hangs, &Site::read(&[])).await;

        assert_eq!(
            (checks[0].verdict, checks[0].found.as_str()),
            (Verdict::Fail, "there was no answer within 0.001 s")
        );
    }
}
