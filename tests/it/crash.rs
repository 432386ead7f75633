//! Nights of a tiny institution that are disturbed at random moments, again and again, until they are done: in the end
//! they must be indistinguishable from undisturbed ones.
//!
//! A disturbance is a kill, a request to end, or a full disk; on PostgreSQL also a database that goes away for a while,
//! and an owner that is stopped for longer than its tenure and then continues. The moments are drawn from a seed; which
//! instruction they hit is chance. The short form runs with every test. The long one, with so many disturbances on each
//! database and every job of the shipped night, prints what was tried:
//! `NOCTURNE_CRASHES=200 cargo test --release --test it crash -- --nocapture`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use nocturne::app::drill::Harvest;
use nocturne::telemetry::spawn_blocking;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::support::limit::Running;
use crate::support::postgres;
use crate::support::site::{SMALL, Site, text};

const SHORT_FORM: u32 = 6;

const SITE: &str = r#"
[paths]
jobs = "dags"
[engine]
stop_grace_secs = 1
[mail]
to = ["dean@example.edu", "data@example.edu"]
"#;

/// The short form's night.
const DAG: &str = r#"
name = "night"
max_parallel = 2
[defaults]
retry = { attempts = 1 }
[jobs.pull]
kind = "canvas_pull"
with = { source = "canvas" }
[jobs.quality]
kind = "quality_check"
needs = ["pull"]
[jobs.say]
kind = "command"
with = { program = "sh", args = ["-c", "echo one; echo two"] }
[jobs.digest]
kind = "send_report"
needs = ["quality", "say"]
when = "all_done"
with = { report = "digest" }
"#;

/// The size of a disturbed site's disk: more than its nights need.
const DISK_MIB: u32 = 1024;

/// What was tried, for the summary.
#[derive(Debug, Default)]
struct Tried {
    nights: u32,
    killed: u32,
    told_to_end: u32,
    disk_full: u32,
    database_away: u32,
    owner_stood_still: u32,
    /// Processes that were done before their moment came.
    done_before: u32,
}

/// What happens to a night.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disturbance {
    Kill,
    TellToEnd,
    /// The disk is full from the start except for some KiB, and has room again later.
    DiskFull {
        left_kib: u32,
    },
    DatabaseAway,
    OwnerStandsStill,
}

fn draw(draws: &mut ChaCha8Rng, database: Option<&str>) -> Disturbance {
    match (draws.random_range(0..20), database) {
        (0..4, _) => Disturbance::TellToEnd,
        (4..8, _) => Disturbance::DiskFull { left_kib: draws.random_range(0..2048) },
        (8..11, Some(_)) => Disturbance::DatabaseAway,
        (11, Some(_)) => Disturbance::OwnerStandsStill,
        _ => Disturbance::Kill,
    }
}

/// How many disturbances of the long form were requested.
fn asked_for() -> Option<u32> {
    #[expect(clippy::disallowed_methods, reason = "the number of crashes is asked for on the command line")]
    std::env::var("NOCTURNE_CRASHES").ok().map(|number| number.parse().unwrap())
}

fn site(state: &str, disk_mib: Option<u32>) -> Site {
    let configuration = format!("{SMALL}{SITE}{state}");
    let site = disk_mib.map_or_else(|| Site::new(&configuration), |mib| Site::on_a_disk_of(mib, &configuration));
    let shipped = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("jobs/nightly.toml")).unwrap();
    let whole = shipped.replace("\"nightly\"", "\"night\"").replace("\"30s\"", "\"100ms\"");
    assert!(whole.contains("\"night\"") && whole.contains("\"100ms\""), "the shipped night looks different now");
    site.write("dags/night.toml", if asked_for().is_some() { whole.as_str() } else { DAG });
    site
}

/// What the nights of a site have left behind.
fn harvest(site: &Site) -> Harvest {
    Harvest::read(&site.path().join("var/lake"), &site.path().join("var/outbox")).unwrap()
}

/// Compares the e-mails: one each, except that a night which failed for lack of room may have said so before.
fn compare_emails(stormy: &Harvest, calm: &Harvest, failed: &BTreeSet<String>) {
    let (stormy, calm) = (&stormy.e_mails, &calm.e_mails);
    assert_eq!(stormy.keys().collect::<Vec<_>>(), calm.keys().collect::<Vec<_>>(), "the e-mails' recipients");
    for (email, revisions) in stormy {
        let may_be_corrected = failed.iter().any(|date| email.contains(date));
        assert!(may_be_corrected || revisions == &calm[email], "{email} went out as {revisions:?}");
    }
}

/// Waits until a moment comes or the night is over; returns whether it is over.
fn wait_for_moment(night: &mut Running, moment: Instant) -> bool {
    while Instant::now() < moment {
        if night.has_ended() {
            return true;
        }
        std::thread::yield_now();
    }
    night.has_ended()
}

/// A site whose nights are disturbed.
struct Stormy {
    site: Site,
    /// The URL of its database, if that is on a server.
    database: Option<String>,
    draws: ChaCha8Rng,
    tried: Tried,
    had_no_room: bool,
    /// The dates whose night has failed, because there was no room left.
    failed: BTreeSet<String>,
}

impl Stormy {
    /// Disturbs the night of `date` at most twice (because a job that is lost three times fails), then lets it end;
    /// returns how many disturbances there were.
    fn night(&mut self, date: &str, usual: Duration) -> u32 {
        let command = ["run", "night", "--date", date];
        let mut disturbances = 0;
        for _ in 0..2 {
            let disturbance = draw(&mut self.draws, self.database.as_deref());
            if let Disturbance::DiskFull { left_kib } = disturbance {
                self.with_full_disk(left_kib, date, usual);
                disturbances += 1;
                continue;
            }
            let mut night = self.site.start(&command);
            let moment = Instant::now() + usual.mul_f64(self.draws.random_range(0.0..1.0));
            if wait_for_moment(&mut night, moment) {
                self.tried.done_before += 1;
                break;
            }
            disturbances += 1;
            self.disturb(disturbance, night, &command);
        }
        // What had no room in the night's last run, such as the report, is written in the next.
        for _ in 0..=u8::from(self.had_no_room) {
            let last = self.site.nocturne(&command);
            assert!(matches!(last.status.code(), Some(0 | 9)), "{date}: {}", text(&last));
        }
        self.had_no_room = false;
        self.tried.nights += 1;
        disturbances
    }

    /// Begins the night of `date` while the disk is full, and frees the disk after a while.
    fn with_full_disk(&mut self, left_kib: u32, date: &str, usual: Duration) {
        let command = ["run", "night", "--date", date];
        let ballast = self.site.fill_disk(left_kib);
        let mut night = match &ballast {
            Some(_) => self.site.start(&command),
            None => self.site.start_with_small_files(left_kib, &command),
        };
        let moment = Instant::now() + usual.mul_f64(self.draws.random_range(0.0..2.0));
        let is_over = wait_for_moment(&mut night, moment);
        if ballast.is_none() && !is_over {
            night.signal("-KILL");
        }
        drop(ballast);
        let ended = night.wait_with_output().unwrap();
        if ended.status.code() == Some(1) {
            self.failed.insert(date.to_owned());
        }
        assert!(!text(&ended).contains("panicked"), "{date}: {}", text(&ended));
        self.had_no_room = true;
        self.tried.disk_full += 1;
    }

    fn disturb(&mut self, disturbance: Disturbance, mut night: Running, command: &[&str]) {
        match disturbance {
            Disturbance::Kill | Disturbance::DiskFull { .. } => {
                night.signal("-KILL");
                self.tried.killed += 1;
            }
            Disturbance::TellToEnd => {
                night.signal("-TERM");
                self.tried.told_to_end += 1;
            }
            Disturbance::DatabaseAway => {
                database_away(self.database.as_deref().unwrap());
                self.tried.database_away += 1;
            }
            Disturbance::OwnerStandsStill => {
                night.signal("-STOP");
                let other = self.site.nocturne(command);
                assert!(matches!(other.status.code(), Some(0 | 9)), "beside a stopped owner: {}", text(&other));
                night.signal("-CONT");
                self.tried.owner_stood_still += 1;
            }
        }
        night.wait().unwrap();
    }
}

/// Cuts every connection of a database and refuses new ones for a second, as a restarting server does.
fn database_away(url: &str) {
    let (server, name) =
        url.split_once("/test_").map(|(server, rest)| (server, rest.split_once('?').unwrap())).unwrap();
    let admin = format!("{server}/postgres?{}", name.1);
    let name = format!("test_{}", name.0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut admin = PgConnection::connect(&admin).await.unwrap();
        for (statement, pause) in [
            (format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"), 0),
            (format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"), 1),
            (format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"), 0),
        ] {
            sqlx::query(AssertSqlSafe(statement)).execute(&mut admin).await.unwrap();
            sqlx::query("SELECT pg_sleep($1)").bind(f64::from(pause)).execute(&mut admin).await.unwrap();
        }
        admin.close().await.unwrap();
    });
}

fn compare_with_undisturbed(database: Option<String>, seed: u64) -> Tried {
    let state = database.as_ref().map(|url| format!("[state]\nurl = \"{url}\"\n")).unwrap_or_default();
    let calm = site("", None);
    let mut stormy = Stormy {
        site: site(&state, Some(DISK_MIB)),
        database,
        draws: ChaCha8Rng::seed_from_u64(seed),
        tried: Tried::default(),
        had_no_room: false,
        failed: BTreeSet::new(),
    };
    let (mut done, goal) = (0, asked_for().unwrap_or(SHORT_FORM));
    let mut date = jiff::civil::date(2026, 11, 2);
    let mut usual = Duration::from_secs(5);

    while done < goal {
        date = date.tomorrow().unwrap();
        let began = Instant::now();
        let night = calm.nocturne(&["run", "night", "--date", &date.to_string()]);
        assert!(matches!(night.status.code(), Some(0 | 9)), "{}", text(&night));
        usual = usual.min(began.elapsed());
        let before = done;
        done += stormy.night(&date.to_string(), usual);
        assert!(done > before || stormy.tried.done_before < 20, "hardly a moment hits a night: {:?}", stormy.tried);

        let (found, wanted) = (harvest(&stormy.site), harvest(&calm));
        let differ = |path: &&String| found.files.get(*path) != wanted.files.get(*path);
        let different: BTreeSet<&String> = found.files.keys().chain(wanted.files.keys()).filter(differ).collect();
        assert!(different.is_empty(), "the lake after {date} differs in {different:#?}: {:?}", stormy.tried);
        compare_emails(&found, &wanted, &stormy.failed);
        let left: Vec<_> = ["restricted/staged"].iter().filter(|below| has_files(&stormy.site, below)).collect();
        assert!(left.is_empty(), "staged files are left after {date}: {:?}", stormy.tried);
        let checked = stormy.site.nocturne(&["db", "check"]);
        assert_eq!(checked.status.code(), Some(0), "{date}: {}", text(&checked));
    }
    stormy.tried
}

fn has_files(site: &Site, below: &str) -> bool {
    let folder = format!("var/lake/{below}");
    site.path().join(&folder).exists() && !site.files(&folder).is_empty()
}

#[test]
fn on_sqlite_nights_that_crash_at_random_moments_end_like_undisturbed_ones() {
    let tried = compare_with_undisturbed(None, 1);

    println!("tried: {tried:?}; lost: nothing, twice: nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres_nights_that_crash_at_random_moments_end_like_undisturbed_ones() {
    let url = postgres::new_database().await;

    let tried = spawn_blocking(move || compare_with_undisturbed(Some(url), 2)).await;

    println!("tried: {tried:?}; lost: nothing, twice: nothing");
}
