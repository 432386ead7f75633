//! `nocturne drill kill9`: proof on the user's own machine that a night that is killed again and again ends like one
//! that was not disturbed.
//!
//! Two sites of a tiny invented institution are set up in a scratch folder. Each night runs undisturbed in one and is
//! killed at random moments in the other, until it is done there too. Then lakes and e-mails are compared (`harvest`),
//! and the state store is checked. Nothing of the user's is touched, and nothing leaves the machine.

mod harvest;
mod recovery;
mod site;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use jiff::civil::{Date, date};
use jiff::{Timestamp, ToSpan as _};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

pub use harvest::{Difference, Harvest};
pub use recovery::Recovery;

use self::recovery::{Recorded, recoveries};
use self::site::{DAG, Ended, Site};
use super::temporary::TemporaryFolder;
use crate::config::{Environment as Variables, process_environment};
use crate::domain::clock::Clock as _;
use crate::domain::ids::DagName;
use crate::lake::keys;
use crate::store::{self, RunFilter, StateStore};
use crate::telemetry::{SystemClock, spawn_blocking};

/// The first night: in the middle of a term at the invented institution.
const FIRST: Date = date(2026, 11, 3);

/// The most times a night is killed: a job that is lost three times is stopped, as it should be.
const KILLS: u32 = 2;

/// What the drill does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drill {
    /// How many nights.
    pub nights: u32,
    /// The seed of the random moments.
    pub seed: u64,
    /// What becomes of the scratch folder.
    pub afterwards: Afterwards,
}

/// What becomes of the scratch folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afterwards {
    /// It is removed, unless something was lost or doubled.
    Remove,
    /// It is kept.
    Keep,
}

/// What a drill has shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The seed of the moments: the same seed gives the same parts of a night.
    pub seed: u64,
    /// The nights.
    pub nights: Vec<Night>,
    /// What an undisturbed twin has and the disturbed site does not.
    pub lost: BTreeSet<String>,
    /// What the disturbed site has and an undisturbed twin does not.
    pub doubled: BTreeSet<String>,
    /// Files of the lake that were compared.
    pub files: usize,
    /// Files among them that attempts staged and nobody committed.
    pub staged: usize,
    /// E-mails that were compared, one for each recipient and night.
    pub e_mails: usize,
    /// The scratch folder, where it was kept.
    pub folder: Option<PathBuf>,
}

/// One night.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Night {
    /// Its date.
    pub date: Date,
    /// How long the undisturbed twin's took.
    pub undisturbed_secs: f64,
    /// How often it was killed.
    pub kills: u32,
    /// The jobs that were run again.
    pub run_again: Vec<RunAgain>,
    /// How its runs were recovered.
    pub recoveries: Vec<Recovery>,
}

/// A job that was run again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RunAgain {
    /// The job.
    pub job: String,
    /// Its attempts in total.
    pub attempts: u32,
}

impl Report {
    /// Returns whether nothing was lost and nothing doubled.
    pub fn is_well(&self) -> bool {
        self.lost.is_empty() && self.doubled.is_empty()
    }
}

/// Runs the drill, and calls `on_night` for each night that is done.
///
/// # Errors
/// When the scratch folder cannot be used, a process cannot be started, or an undisturbed night fails.
pub async fn kill9(drill: Drill, mut on_night: impl FnMut(&Night)) -> anyhow::Result<Report> {
    let variables = process_environment();
    let mut folder = TemporaryFolder::new(&variables, "nocturne-drill").context("making a scratch folder")?;
    let mut sites = Sites::new(&folder, &variables, drill.seed).context("making the institution")?;
    let mut nights = Vec::new();
    for n in 0..drill.nights {
        let night = sites.night(FIRST.checked_add(i64::from(n).days())?).await?;
        on_night(&night);
        nights.push(night);
    }
    let (mut report, is_kept) = (sites.compare(drill.seed, nights).await?, drill.afterwards == Afterwards::Keep);
    if is_kept || !report.is_well() {
        folder.keep();
        report.folder = Some(folder.path().to_owned());
    }
    Ok(report)
}

/// The two sites.
struct Sites {
    calm: Site,
    stormy: Site,
    draws: ChaCha8Rng,
    /// What went wrong in the disturbed site's nights.
    failed: BTreeSet<String>,
}

impl Sites {
    fn new(folder: &TemporaryFolder, variables: &Variables, seed: u64) -> std::io::Result<Self> {
        let site = |name: &str| Site::new(folder.path().join(name), variables);
        let draws = ChaCha8Rng::seed_from_u64(seed);
        Ok(Self { calm: site("undisturbed")?, stormy: site("killed")?, draws, failed: BTreeSet::new() })
    }

    /// Runs the night of a date in both.
    async fn night(&mut self, date: Date) -> anyhow::Result<Night> {
        let began = Instant::now();
        let ended = self.calm.night(date).await?;
        let usual = began.elapsed();
        if !is_done(ended) {
            anyhow::bail!("the undisturbed night of {date} ended with {ended}: this machine cannot run a night at all");
        }
        let mut started = Vec::new();
        let (mut kills, mut is_over) = (0, false);
        while !is_over && kills < KILLS {
            started.push(SystemClock.now());
            is_over = self.killed_once(date, usual, &mut kills).await?;
        }
        if !is_over {
            started.push(SystemClock.now());
            let ended = self.stormy.night(date).await?;
            self.note(date, ended);
        }
        let (run_again, recoveries) = self.told(date, &started).await?;
        Ok(Night { date, undisturbed_secs: usual.as_secs_f64(), kills, run_again, recoveries })
    }

    /// Kills the night of a date at a random moment; returns whether it had already finished.
    async fn killed_once(&mut self, date: Date, usual: Duration, kills: &mut u32) -> anyhow::Result<bool> {
        let moment = usual.mul_f64(self.draws.random_range(0.0..1.0));
        match self.stormy.night_killed_after(date, moment).await? {
            Ended::Killed => *kills += 1,
            Ended::Before(ended) => {
                self.note(date, ended);
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn note(&mut self, date: Date, ended: ExitStatus) {
        if !is_done(ended) {
            self.failed.insert(format!("the night of {date} did not succeed: it ended with {ended}"));
        }
    }

    /// Returns what the disturbed site's state store records of a night.
    async fn told(&self, date: Date, started: &[Timestamp]) -> anyhow::Result<(Vec<RunAgain>, Vec<Recovery>)> {
        let store = store::look(&self.stormy.state_url()).await?;
        let store: &dyn StateStore = &*store;
        let dag: DagName = DAG.parse()?;
        let filter = RunFilter { dag: Some(dag), logical_date: Some(date), ..RunFilter::default() };
        let (mut again, mut recovered) = (Vec::new(), Vec::new());
        for run in store.runs(&filter).await? {
            let jobs = store.jobs(&run.run_id).await?;
            let twice = jobs.iter().filter(|job| job.attempts > 1);
            again.extend(twice.map(|job| RunAgain { job: job.name.to_string(), attempts: job.attempts }));
            let events = store.events(&run.run_id, 0).await?;
            let taken_up = events.iter().filter(|event| event.job.is_none() && event.event["event"] == "started");
            let taken_up = taken_up.map(|event| event.at).collect();
            let recorded = Recorded { queued_at: run.queued_at, finished_at: run.finished_at, taken_up };
            recovered.extend(recoveries(&recorded, started));
        }
        Ok((again, recovered))
    }

    /// Compares what both have left behind, and checks the disturbed one's state.
    async fn compare(self, seed: u64, nights: Vec<Night>) -> anyhow::Result<Report> {
        let checked = store::check(&self.stormy.state_url()).await?;
        let mut lost = self.failed;
        lost.extend(checked.problems.into_iter().map(|problem| format!("the state store: {problem}")));
        let (calm, stormy) = (self.calm, self.stormy);
        let harvests = spawn_blocking(move || Ok::<_, std::io::Error>((stormy.harvest()?, calm.harvest()?)));
        let (harvest, twin) = harvests.await.context("comparing the sites")?;
        let difference = harvest.difference(&twin);
        lost.extend(difference.lost);
        let staged = keys::all_staged().to_string();
        Ok(Report {
            seed,
            nights,
            lost,
            doubled: difference.doubled,
            files: twin.files.len(),
            staged: harvest.files.keys().filter(|key| key.starts_with(&staged)).count(),
            e_mails: twin.e_mails.len(),
            folder: None,
        })
    }
}

/// Whether a night ended well: with 0, or with 9 if it gave a warning.
fn is_done(ended: ExitStatus) -> bool {
    matches!(ended.code(), Some(0 | 9))
}
