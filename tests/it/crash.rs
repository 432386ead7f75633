//! Nights of a tiny institution that are killed and told to end at random moments, again and again, until they are done:
//! in the end nobody can tell them from undisturbed ones.
//!
//! The moments are drawn from a seed; which instruction they hit is chance. The short form runs with every test; the long
//! one is `NOCTURNE_CRASHES=200 cargo test --test it crash -- --nocapture` (so many on each database), and prints what was
//! tried.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use nocturne::telemetry::spawn_blocking;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest as _, Sha256};

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

/// What was tried, for the summary.
#[derive(Debug, Default)]
struct Tried {
    nights: u32,
    killed: u32,
    told_to_end: u32,
    /// Processes that were done before their moment came.
    done_before: u32,
}

fn site(state: &str) -> Site {
    let site = Site::new(&format!("{SMALL}{SITE}{state}"));
    site.write("dags/night.toml", DAG);
    site
}

fn crashes() -> u32 {
    #[expect(clippy::disallowed_methods, reason = "the number of crashes is asked for on the command line")]
    std::env::var("NOCTURNE_CRASHES").map_or(SHORT_FORM, |number| number.parse().unwrap())
}

/// The hash of every file that the same inputs must make the same.
fn hashes(site: &Site) -> BTreeMap<String, String> {
    let files = site.files("var/lake").into_iter().filter(|path| !path.ends_with("timings.json"));
    let hash = |path: &std::path::Path| hex::encode(Sha256::digest(fs::read(path).unwrap()));
    files.map(|path| (path.strip_prefix(site.path()).unwrap().display().to_string(), hash(&path))).collect()
}

/// The recipients of the e-mails that lie in the outbox, one for each e-mail.
fn recipients(site: &Site) -> Vec<String> {
    let letters = site.files("var/outbox").into_iter().filter(|path| path.extension().is_some_and(|e| e == "eml"));
    let to = |path: std::path::PathBuf| {
        let letter = fs::read_to_string(path).unwrap();
        let to = letter.lines().find_map(|line| line.strip_prefix("To: ")).unwrap();
        to.trim().to_owned()
    };
    let mut all: Vec<String> = letters.map(to).collect();
    all.sort();
    all
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

/// Disturbs the night of `date` until it is done; returns how many crashes there were.
fn disturbed_night(site: &Site, date: &str, usual: Duration, draws: &mut ChaCha8Rng, tried: &mut Tried) -> u32 {
    let command = ["run", "night", "--date", date];
    let mut crashes = 0;
    // Three disturbances at most, as a job that kills its process three times is stopped; then it may end.
    for _ in 0..2 {
        let mut night = site.start(&command);
        let moment = Instant::now() + usual.mul_f64(draws.random_range(0.0..1.0));
        if wait_for_moment(&mut night, moment) {
            tried.done_before += 1;
            break;
        }
        let is_kill = draws.random_range(0..3) > 0;
        night.signal(if is_kill { "-KILL" } else { "-TERM" });
        night.wait().unwrap();
        crashes += 1;
        *(if is_kill { &mut tried.killed } else { &mut tried.told_to_end }) += 1;
    }
    let last = site.nocturne(&command);
    assert_eq!(last.status.code(), Some(0), "{date}: {}", text(&last));
    tried.nights += 1;
    crashes
}

fn compare_with_undisturbed(state: &str, seed: u64) -> Tried {
    let (calm, stormy) = (site(""), site(state));
    let mut draws = ChaCha8Rng::seed_from_u64(seed);
    let (mut tried, mut done, wanted) = (Tried::default(), 0, crashes());
    let mut date = jiff::civil::date(2026, 11, 2);
    let mut usual = Duration::from_secs(5);

    while done < wanted {
        date = date.tomorrow().unwrap();
        let began = Instant::now();
        let night = calm.nocturne(&["run", "night", "--date", &date.to_string()]);
        assert_eq!(night.status.code(), Some(0), "{}", text(&night));
        usual = usual.min(began.elapsed());
        let before = done;
        done += disturbed_night(&stormy, &date.to_string(), usual, &mut draws, &mut tried);
        assert!(done > before || tried.done_before < 20, "hardly a moment hits a night: {tried:?}");

        assert_eq!(hashes(&stormy), hashes(&calm), "the lake after {date}: {tried:?}");
        assert_eq!(recipients(&stormy), recipients(&calm), "the e-mails after {date}: {tried:?}");
        let left: Vec<_> = ["restricted/staged"].iter().filter(|below| has_files(&stormy, below)).collect();
        assert!(left.is_empty(), "staged files are left after {date}: {tried:?}");
        let checked = stormy.nocturne(&["db", "check"]);
        assert_eq!(checked.status.code(), Some(0), "{date}: {}", text(&checked));
    }
    tried
}

fn has_files(site: &Site, below: &str) -> bool {
    let folder = format!("var/lake/{below}");
    site.path().join(&folder).exists() && !site.files(&folder).is_empty()
}

#[test]
fn on_sqlite_nights_that_crash_at_random_moments_end_like_undisturbed_ones() {
    let tried = compare_with_undisturbed("", 1);

    println!("tried: {tried:?}; lost: nothing, twice: nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgres_nights_that_crash_at_random_moments_end_like_undisturbed_ones() {
    let url = postgres::new_database().await;

    let tried = spawn_blocking(move || compare_with_undisturbed(&format!("[state]\nurl = \"{url}\"\n"), 2)).await;

    println!("tried: {tried:?}; lost: nothing, twice: nothing");
}
