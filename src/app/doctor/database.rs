//! The state store: reachable, with this program's schema, intact, safely written, and who owns it.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::checked::{Checked, Subject};
use super::site::Site;
use crate::engine::ownership;
use crate::store::{self, FileHealth, Health, StateStore, StoreError};
use crate::telemetry::chain;

pub(super) const THIS: Subject = Subject("database");

/// How long reading the file through may take; beyond that, `nocturne db check` is the better way.
const READING: Duration = Duration::from_secs(20);

const UNREACHABLE: &str = "correct `state.url`, or see that the server or the file can be reached by this user";

const DAMAGED: &str = "stop the daemon, keep the file, and put a backup in its place with `nocturne db restore FILE`";

const NOBODY: &str = "nobody owns it now: no daemon runs, so no schedule does";

/// Checks the state store.
pub(super) fn check(site: &Site) -> BoxFuture<'_, Vec<Checked>> {
    async move {
        let url = &site.config.state.url;
        let health = match site.health().await {
            Ok(Some(health)) => health,
            Ok(None) => return vec![THIS.ok("reachable", "there is none yet: the first run or the daemon makes it")],
            Err(error) => return vec![THIS.fail("reachable", error.clone(), UNREACHABLE)],
        };
        let mut checks = vec![THIS.ok("reachable", health.url.clone()), schema(health)];
        checks.extend(health.file.as_ref().map(journal));
        checks.push(integrity(url).await);
        if health.schema == health.known {
            checks.push(owner(url, health.file.as_ref()).await);
        }
        checks
    }
    .boxed()
}

/// Reads the whole file.
async fn integrity(url: &str) -> Checked {
    if !url.starts_with("sqlite://") {
        return THIS.skipped("whole", "it is on a server, which sees to that; `nocturne db check` reads its rows");
    }
    match tokio::time::timeout(READING, store::file_problems(url)).await {
        Ok(Ok(problems)) => whole(problems),
        Ok(Err(error)) => THIS.fail("whole", chain(&error), DAMAGED),
        Err(_) => {
            let why = format!("reading it takes more than {} s: `nocturne db check` takes its time", READING.as_secs());
            THIS.skipped("whole", why)
        }
    }
}

fn schema(health: &Health) -> Checked {
    let Health { schema, known, .. } = health;
    match schema.cmp(known) {
        std::cmp::Ordering::Equal => THIS.ok("schema", format!("schema {schema}, this program's")),
        std::cmp::Ordering::Less => {
            let found = format!("it has schema {schema}, and this program needs {known}");
            let advice = "end the older daemon, take a backup, then start the daemon or run `nocturne db migrate`";
            THIS.warn("schema", found, advice)
        }
        std::cmp::Ordering::Greater => {
            let found = format!("a newer nocturne wrote it (schema {schema}, this program knows {known})");
            THIS.fail("schema", found, "use that version, or put a backup back with `nocturne db restore FILE`")
        }
    }
}

fn journal(file: &FileHealth) -> Checked {
    match (file.journal.as_str(), file.is_synced) {
        ("wal", true) => THIS.ok("journal", "WAL, and every commit is on the disk before it counts"),
        ("wal", false) => {
            let found = "a commit counts before it is on the disk: a power cut may take it back";
            THIS.warn(
                "journal",
                found,
                "this build of SQLite ignores `synchronous = FULL`: use the one that is embedded",
            )
        }
        (other, _) => {
            let found = format!("the journal is `{other}`, not WAL: whoever reads keeps the daemon from writing");
            let advice = "the next start sets it, where the file system can; put the file on a local disk, not on NFS";
            THIS.warn("journal", found, advice)
        }
    }
}

fn whole(problems: Vec<String>) -> Checked {
    if problems.is_empty() {
        return THIS.ok("whole", "the file is whole");
    }
    let found = format!("the file is damaged: {} problems", problems.len());
    THIS.fail("whole", found, DAMAGED).with_details(problems)
}

async fn owner(url: &str, file: Option<&FileHealth>) -> Checked {
    if file.is_some_and(|file| !file.is_owned) {
        return THIS.ok("owner", NOBODY);
    }
    match owning(url).await {
        Ok(Some(role)) => THIS.ok("owner", format!("a {role} owns it")),
        Ok(None) => THIS.ok("owner", NOBODY),
        Err(error) => THIS.skipped("owner", chain(&error)),
    }
}

async fn owning(url: &str) -> Result<Option<&'static str>, StoreError> {
    let store = store::look(url).await?;
    let store: &dyn StateStore = &*store;
    Ok(ownership::is_owned(store).await?.map(store::Role::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::doctor::Verdict;

    fn health(schema: i64) -> Health {
        Health { url: "sqlite://x".to_owned(), schema, known: 4, newest_event: None, file: None }
    }

    #[test]
    fn an_older_schema_is_a_warning_and_a_newer_one_fails() {
        let verdicts = [4, 1, 5].map(|found| schema(&health(found)).verdict);

        assert_eq!(verdicts, [Verdict::Ok, Verdict::Warn, Verdict::Fail]);
    }

    #[test]
    fn a_journal_that_is_not_wal_or_not_synced_is_a_warning() {
        let file = |journal: &str, is_synced| FileHealth {
            path: "x".into(),
            journal: journal.to_owned(),
            is_synced,
            is_owned: false,
        };

        let verdicts = [file("wal", true), file("delete", true), file("wal", false)].map(|file| journal(&file).verdict);

        assert_eq!(verdicts, [Verdict::Ok, Verdict::Warn, Verdict::Warn]);
    }

    #[test]
    fn each_problem_of_the_file_is_a_line() {
        assert_eq!(whole(vec!["page 3".to_owned()]).details, ["page 3"]);
        assert_eq!(whole(Vec::new()).verdict, Verdict::Ok);
    }
}
