//! Reads the values of a DAG file: names, zone, times, durations, retries.
//!
//! Every value is read even where something else is wrong, so that one pass finds everything; a DAG is returned only
//! when the list of mistakes is empty.

use std::cell::RefCell;
use std::time::Duration;

use serde_json::Value;

use super::checks::jobs_of;
use super::shape::{DagFile, JobTable};
use super::{LONGEST_TIMEOUT, LONGEST_WAIT, parse_duration};
use crate::domain::dag::{Dag, Job, Schedule};
use crate::domain::document::{Document, Mistake, Mistakes};
use crate::domain::ids::{DagName, JobName, KindName, content_hash};
use crate::domain::retry::RetryPolicy;
use crate::domain::schedule::{check_cron, parse_zone};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3600);
const DEFAULT_PARALLEL: usize = 2;

/// Reads the values of a document, noting every one that is not usable.
pub(super) struct Reader<'a> {
    document: &'a Document,
    mistakes: RefCell<Vec<Mistake>>,
}

impl<'a> Reader<'a> {
    /// Returns a reader that adds to these mistakes.
    pub(super) fn new(document: &'a Document, mistakes: Vec<Mistake>) -> Self {
        Self { document, mistakes: RefCell::new(mistakes) }
    }

    /// Returns the DAG of the file `stem`.toml.
    ///
    /// # Errors
    /// With every mistake, including those found before the reading.
    pub(super) fn read(self, stem: &str, default_zone: &str) -> Result<Dag, Mistakes> {
        let dag = self.dag(stem, default_zone);
        let nothing = self.document.mistake(&[], "the file does not describe a DAG");
        Mistakes::unless_none(self.mistakes.into_inner(), dag)?.ok_or_else(|| Mistakes(vec![nothing]))
    }

    fn dag(&self, stem: &str, default_zone: &str) -> Option<Dag> {
        let name = self.text(&["name"]).and_then(|name| self.ok(&["name"], name.parse::<DagName>()));
        if let Some(name) = &name
            && name.as_str() != stem
        {
            self.note(&["name"], format!("the name is that of the file: `{stem}`"));
        }
        let timezone = self.text(&["timezone"]).unwrap_or_else(|| default_zone.to_owned());
        self.ok(&["timezone"], parse_zone(&timezone));
        if let Some(cron) = self.text(&["schedule"]) {
            self.ok(&["schedule"], check_cron(&cron));
        }
        let deadline = self.text(&["deadline"]).and_then(|text| self.ok(&["deadline"], time(&text)));
        let defaults = self.retry(&["defaults", "retry"], &RetryPolicy::default());
        let default_timeout = self.timeout(&["defaults", "timeout"]).unwrap_or(DEFAULT_TIMEOUT);
        for (job, _) in jobs_of(self.document) {
            self.timeout(&["jobs", job, "timeout"]);
            self.retry(&["jobs", job, "retry"], &defaults);
        }
        if !self.mistakes.borrow().is_empty() {
            return None;
        }
        let file: DagFile = match serde_json::from_value(self.document.value.clone()) {
            Ok(file) => file,
            Err(error) => {
                self.note(&[], error.to_string());
                return None;
            }
        };
        let jobs = file.jobs.into_iter().map(|(name, table)| self.job(&name, table, default_timeout, &defaults));
        Some(Dag {
            name: name?,
            description: file.description,
            schedule: file.schedule.map(|cron| Schedule {
                cron,
                gap: file.dst.gap,
                fold: file.dst.overlap,
                catch_up: file.catch_up,
                overlap: file.overlap,
            }),
            timezone,
            deadline,
            max_parallel: file.max_parallel.map_or(Some(DEFAULT_PARALLEL), |n| usize::try_from(n).ok())?,
            jobs: jobs.collect::<Option<Vec<_>>>()?.into_iter().map(|job| (job.name.clone(), job)).collect(),
            version: content_hash(self.document.text.as_bytes())[..16].to_owned(),
        })
    }

    fn job(&self, name: &str, table: JobTable, timeout: Duration, retry: &RetryPolicy) -> Option<Job> {
        let path = ["jobs", name];
        Some(Job {
            name: self.ok(&path, name.parse::<JobName>())?,
            kind: self.ok(&["jobs", name, "kind"], table.kind.parse::<KindName>())?,
            params: Value::Object(table.with.into_iter().collect()),
            needs: table.needs.iter().map(|need| need.parse().ok()).collect::<Option<Vec<_>>>()?,
            when: table.when,
            timeout: self.timeout(&["jobs", name, "timeout"]).unwrap_or(timeout),
            retry: self.retry(&["jobs", name, "retry"], retry),
        })
    }

    fn retry(&self, path: &[&str], defaults: &RetryPolicy) -> RetryPolicy {
        let at = |key| path.iter().copied().chain([key]).collect::<Vec<_>>();
        let attempts = self.value(&at("attempts")).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
        let backoff = self.duration(&at("backoff"), LONGEST_WAIT).unwrap_or(defaults.backoff);
        let stated = self.duration(&at("max_backoff"), LONGEST_WAIT);
        if let Some(longest) = stated
            && longest < backoff
        {
            self.note(&at("max_backoff"), "the longest wait is shorter than the first (`backoff`)".to_owned());
        }
        // A first wait beyond the inherited limit raises the limit: it was set closer to the job.
        let max_backoff = stated.unwrap_or_else(|| defaults.max_backoff.max(backoff));
        RetryPolicy { attempts: attempts.unwrap_or(defaults.attempts), backoff, max_backoff }
    }

    fn timeout(&self, path: &[&str]) -> Option<Duration> {
        let timeout = self.duration(path, LONGEST_TIMEOUT)?;
        if timeout.is_zero() {
            self.note(path, "an attempt needs some time; write `30s`, `10m`, `1h` or `1h 30m`".to_owned());
        }
        Some(timeout)
    }

    fn duration(&self, path: &[&str], longest: &str) -> Option<Duration> {
        self.text(path).and_then(|text| self.ok(path, parse_duration(&text, longest)))
    }

    fn text(&self, path: &[&str]) -> Option<String> {
        self.value(path).and_then(Value::as_str).map(str::to_owned)
    }

    fn value(&self, path: &[&str]) -> Option<&Value> {
        path.iter().try_fold(&self.document.value, |value, key| value.get(key))
    }

    fn ok<T, E: std::fmt::Display>(&self, path: &[&str], result: Result<T, E>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.note(path, error.to_string());
                None
            }
        }
    }

    fn note(&self, path: &[&str], message: String) {
        self.mistakes.borrow_mut().push(self.document.mistake(path, message));
    }
}

fn time(text: &str) -> Result<jiff::civil::Time, String> {
    text.parse().map_err(|_| format!("`{text}` is not a local time; write `06:30`"))
}
