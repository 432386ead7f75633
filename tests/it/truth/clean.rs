//! Clean nights of the simulated institution: there is nothing to look at, and nobody can work out a count of people from
//! everything that they publish and mail.
//!
//! `NOCTURNE_CLEAN_NIGHTS=60 cargo test --test it clean_nights -- --nocapture` runs the long form: 30 nights at the end of
//! one term and 30 at the beginning of the next; `NOCTURNE_CLEAN_SEEDS=1,2` says of which institutions. Every night counts,
//! the first included. `NOCTURNE_CLEAN_SINCE=2026-01-12` begins with nights of the tables alone from that date on, so that
//! the rules against comparable nights have some to compare with.

use jiff::ToSpan as _;
use jiff::civil::{Date, date};

use super::READERS;
use super::subtraction::{Night, attack, read};
use crate::support::site::{Site, text};

/// The jobs of nights that only lead up to those that count.
const TABLES: &str = "
name = 'nightly'
timezone = 'America/Detroit'
[jobs.pull]
kind = 'canvas_pull'
with = { source = 'canvas' }
[jobs.quality]
kind = 'quality_check'
needs = ['pull']
";

/// What nights that follow each other left.
struct Nights {
    /// Those whose verdict was another than OK, with what they said.
    not_ok: Vec<String>,
    /// What each published and mailed about people.
    published: Vec<Night>,
}

/// Carries out full nights of the shipped DAG, one after another, after nights of its tables alone.
fn carry_out(seed: u64, before: &[Date], nights: &[Date]) -> Nights {
    let site = Site::new(&format!(
        "[simulation]\nseed = {seed}\nstudents = 150\nfirst_year = 2025\n[features]\nweeks = [4, 8]\n\
         [paths]\njobs = 'dags'\n[mail]\nreaders = ['dean@example.edu']\n"
    ));
    site.write("dags/nightly.toml", TABLES);
    for night in before {
        let run = site.nocturne(&["run", "nightly", "--date", &night.to_string()]);
        assert!(matches!(run.status.code(), Some(0 | 9)), "{night}: {}", text(&run));
        forget_exports(&site);
    }
    site.write("dags/nightly.toml", include_str!("../../../jobs/nightly.toml").to_owned() + READERS);
    let mut left = Nights { not_ok: Vec::new(), published: Vec::new() };
    for night in nights.iter().map(Date::to_string) {
        let run = site.nocturne(&["run", "nightly", "--date", &night]);
        if run.status.code() != Some(0) {
            let alerts = site.nocturne(&["alerts", "list"]);
            left.not_ok.push(format!("seed {seed}, {night}: {}\n{}", text(&run), text(&alerts)));
        }
        left.published.push(read(&site, "nightly", &night));
        forget_exports(&site);
    }
    left
}

/// Removes what the simulation delivered: a night makes its own again.
fn forget_exports(site: &Site) {
    let made = site.path().join("var/scratch/simulation");
    if made.exists() {
        std::fs::remove_dir_all(made).unwrap();
    }
}

/// What was asked for on the command line.
fn asked_for(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the long form is asked for on the command line")]
    std::env::var(name).ok()
}

#[test]
fn clean_nights_have_nothing_to_look_at_and_tell_of_nobody() {
    let wanted: i64 = asked_for("NOCTURNE_CLEAN_NIGHTS").map_or(8, |nights| nights.parse().unwrap());
    let seeds = asked_for("NOCTURNE_CLEAN_SEEDS").unwrap_or_else(|| "3".to_owned());
    // A term ends on Sunday 6 September; its labels become known to the night of the 14th.
    let first = date(2026, 9, 7).checked_sub((wanted / 2).days()).unwrap();
    let nights: Vec<Date> = (0..wanted).map(|day| first.checked_add(day.days()).unwrap()).collect();
    let since: Option<Date> = asked_for("NOCTURNE_CLEAN_SINCE").map(|date| date.parse().unwrap());
    let before = since.map_or_else(Vec::new, |since| since.series(1.day()).take_while(|date| *date < first).collect());

    for seed in seeds.split(',') {
        let Nights { not_ok, published } = carry_out(seed.trim().parse().unwrap(), &before, &nights);
        let (attacked, hidden) = attack(published);

        println!("seed {seed}: {} of {} nights were not OK\n{}", not_ok.len(), nights.len(), not_ok.join("\n"));
        println!("seed {seed}: {attacked} counts of people were attacked, {hidden} of them hidden");
        assert!(not_ok.len() <= nights.len() / 60, "{}", not_ok.join("\n"));
        assert!(attacked > 0 && hidden > 0, "there was something to attack");
    }
}
