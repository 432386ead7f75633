//! A site of the drill: a folder with its own configuration and DAG, and nights as processes of this program.
//!
//! A process sees nothing of the user's: no configuration, no Nocturne variable, no service manager. It is killed,
//! together with what it has started, when nobody waits for it any more.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use jiff::civil::Date;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::harvest::Harvest;
use crate::config::Environment as Variables;

const CONFIGURATION: &str = include_str!("site.toml");
const NIGHT: &str = include_str!("night.toml");

/// The name of the DAG.
pub(super) const DAG: &str = "drill";

/// How long an undisturbed night may take: far longer than any does.
const LONGEST: Duration = Duration::from_secs(300);

/// What a process needs of the environment to find programs.
const PASSED_ON: [&str; 2] = ["PATH", "POLARS_MAX_THREADS"];

/// A folder in which nights run.
#[derive(Debug)]
pub(super) struct Site {
    folder: PathBuf,
    variables: Variables,
}

/// How a night ended that should be killed at a given moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// It was killed.
    Killed,
    /// It had finished before.
    Before(ExitStatus),
}

impl Site {
    /// Makes the folder and what is in it.
    pub(super) fn new(folder: PathBuf, variables: &Variables) -> io::Result<Self> {
        std::fs::create_dir_all(folder.join("dags"))?;
        std::fs::write(folder.join("site.toml"), CONFIGURATION)?;
        std::fs::write(folder.join(format!("dags/{DAG}.toml")), NIGHT)?;
        let passed_on = variables.iter().filter(|(name, _)| PASSED_ON.contains(&name.as_str()));
        let variables = passed_on.map(|(name, value)| (name.clone(), value.clone())).collect();
        Ok(Self { folder, variables })
    }

    /// Returns the URL of its state store.
    pub(super) fn state_url(&self) -> String {
        format!("sqlite://{}", self.var("nocturne.db").display())
    }

    /// Returns what its nights have left behind.
    pub(super) fn harvest(&self) -> io::Result<Harvest> {
        Harvest::read(&self.var("lake"), &self.var("outbox"))
    }

    /// Runs the night of a date to its end.
    pub(super) async fn night(&self, date: Date) -> io::Result<ExitStatus> {
        let mut night = self.start(date)?;
        match timeout(LONGEST, night.wait()).await {
            Ok(ended) => ended,
            Err(_) => Err(io::Error::other(format!("the night of {date} was not done within {} s", LONGEST.as_secs()))),
        }
    }

    /// Runs the night of a date and kills it at a moment, unless it is over before.
    pub(super) async fn night_killed_after(&self, date: Date, moment: Duration) -> io::Result<Ended> {
        let mut night = self.start(date)?;
        if let Ok(ended) = timeout(moment, night.wait()).await {
            return Ok(Ended::Before(ended?));
        }
        night.kill().await?;
        Ok(Ended::Killed)
    }

    /// Starts the night of a date, or continues it.
    fn start(&self, date: Date) -> io::Result<Child> {
        let log = std::fs::File::options().create(true).append(true).open(self.folder.join("nights.log"))?;
        Command::new("/proc/self/exe")
            .args(["--config", "site.toml", "run", DAG, "--date", &date.to_string()])
            .env_clear()
            .envs(&self.variables)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::from(log.try_clone()?))
            .stderr(Stdio::from(log))
            .kill_on_drop(true)
            .spawn()
    }

    fn var(&self, name: &str) -> PathBuf {
        Path::new(&self.folder).join("var").join(name)
    }
}
