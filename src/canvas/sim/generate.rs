//! Writing an export: decide whether it exists already, write it to a temporary folder, and put it in place complete.
//!
//! A folder with an intact export of the same options and date is left alone. Otherwise the new export is written next
//! to it and takes its place by renaming: an interrupted call leaves the old export or none, never half of one. It
//! replaces only what it wrote itself: any other non-empty folder is refused.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::calendar::{self, LocalDays, Term};
use super::courses::REMOTE_ZONE;
use super::export::{self, TABLES, TERM_LEAD_DAYS, View};
use super::options::SimOptions;
use super::trouble::{self, Delivery};
use super::world;
use super::write::FileFacts;
use crate::domain::ids::content_hash;

/// Counts the changes of the simulation that affect its output.
const WORLD_VERSION: u32 = 1;
/// How many years of terms an institution may have.
const MAX_YEARS: i16 = 30;
const MANIFEST: &str = "manifest.json";
const SOURCE: &str = "Nocturne simulation, invented people";

/// The result of a call of [`generate`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimSummary {
    /// The date at whose start the institution is exported.
    pub as_of: Date,
    /// That instant, in RFC 3339.
    pub at: String,
    /// Whether anything had to be written.
    pub state: SimState,
    /// The tables, sorted by name.
    pub tables: Vec<SimTable>,
}

impl SimSummary {
    /// Returns the number of rows of all tables.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }
}

/// Whether an export had to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SimState {
    /// It was written.
    Written,
    /// It existed already, intact.
    UpToDate,
}

/// One table of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimTable {
    /// The name of the table.
    pub name: &'static str,
    /// Its file, below the folder of the export.
    pub file: &'static str,
    /// How many rows it has.
    pub rows: u64,
    /// The SHA-256 of the file, in hex.
    pub sha256: String,
    /// The size of the file.
    pub size_bytes: u64,
}

/// Why an export could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// The options cannot be used.
    #[error("the options of the simulation cannot be used: {}", problems.join("; "))]
    Options {
        /// Every mistake, with what is allowed.
        problems: Vec<String>,
    },
    /// The date is before the institution's first term.
    #[error(
        "the simulated institution begins on {first}, so there is nothing to see on {as_of}: use a date from {first} on, or an earlier `first_year`"
    )]
    TooEarly {
        /// The date asked for.
        as_of: Date,
        /// The first possible date.
        first: Date,
    },
    /// The date is too far after the institution's first term.
    #[error(
        "the simulated institution ends before {end}, so it cannot be seen on {as_of}: use an earlier date, or a later `first_year`"
    )]
    TooLate {
        /// The date asked for.
        as_of: Date,
        /// The first date that is too late.
        end: Date,
    },
    /// The folder holds something that is not an export of the simulation.
    #[error(
        "{path} holds files that are no export of the simulation, so it is not replaced: name an empty or a new folder"
    )]
    Foreign {
        /// The folder.
        path: PathBuf,
    },
    /// A file or folder could not be read or written.
    #[error("{action} {path} of the simulated export")]
    File {
        /// What was attempted.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// Writes the institution's export as of the start of `as_of` to the folder `out`, unless it exists already.
///
/// It covers through the end of the day before `as_of`, in the institution's zone; while the source is late, which is a
/// trouble that the options may have, the export is an earlier one. The work is synchronous and takes
/// up to a few seconds: call it where blocking is allowed.
///
/// # Errors
/// When the options or the date cannot be used, when `out` holds something else, or when a file cannot be written.
pub fn generate(options: &SimOptions, as_of: Date, out: &Path) -> Result<SimSummary, SimError> {
    let problems = options.problems();
    let zone = TimeZone::get(&options.zone);
    let remote = TimeZone::get(REMOTE_ZONE);
    let (Ok(zone), Ok(remote), true) = (zone, remote, problems.is_empty()) else {
        return Err(SimError::Options { problems });
    };
    let as_of = trouble::taken_on(&options.troubles, as_of);
    let last_term = last_visible_term(options.first_year, as_of)?;
    let options_hash = options_hash(options);
    if let Some(manifest) = standing_export(out)?
        && manifest.options_hash == options_hash
        && manifest.as_of == as_of
        && is_unharmed(&manifest, out)
    {
        return Ok(manifest.into_summary(SimState::UpToDate));
    }

    let first_day = Term::new(options.first_year, 0).first_day - 2 * TERM_LEAD_DAYS;
    let last_day = Term::new(options.first_year, last_term).last_day + 7;
    let home = LocalDays::new(zone, first_day, last_day);
    let remote = LocalDays::new(remote, first_day, last_day);
    let terms = world::terms_to(options, last_term, &home, &remote);
    let day = calendar::day_of(as_of);
    let view = View { terms: &terms, zone: &options.zone, home: &home, as_of: day, before: home.start_of(day) };

    let aside = beside(out, "partial");
    remove_folder(&aside)?;
    let facts = export::export_tables(&view, &aside).map_err(|error| SimError::File {
        action: "writing",
        path: error.path,
        source: error.source,
    })?;
    let mut tables: BTreeMap<String, FileFacts> =
        TABLES.iter().map(|(name, _)| (*name).to_owned()).zip(facts).collect();
    let delivery = Delivery { seed: options.seed, home: &home, as_of };
    let injected = trouble::inject(&options.troubles, &delivery, &aside, &mut tables);
    injected.map_err(|error| SimError::File { action: "changing", path: error.path, source: error.source })?;
    let manifest = Manifest {
        source: SOURCE.to_owned(),
        as_of,
        at: instant_text(view.before),
        format: "jsonl".to_owned(),
        options_hash,
        options: options.clone(),
        tables,
    };
    write_manifest(&manifest, &aside)?;
    stamp(&manifest, &aside)?;
    put_in_place(&aside, out)?;
    Ok(manifest.into_summary(SimState::Written))
}

/// `manifest.json`: what an export holds.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    source: String,
    as_of: Date,
    at: String,
    format: String,
    options_hash: String,
    options: SimOptions,
    tables: BTreeMap<String, FileFacts>,
}

impl Manifest {
    /// The tables that it has, each with its file.
    fn files(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        TABLES.into_iter().filter(|(name, _)| self.tables.contains_key(*name))
    }

    fn into_summary(mut self, state: SimState) -> SimSummary {
        let mut tables = Vec::with_capacity(TABLES.len());
        for (name, file) in TABLES {
            if let Some(facts) = self.tables.remove(name) {
                let FileFacts { rows, sha256, bytes } = facts;
                tables.push(SimTable { name, file, rows, sha256, size_bytes: bytes });
            }
        }
        SimSummary { as_of: self.as_of, at: self.at, state, tables }
    }
}

/// Returns the last term about which something is known at the start of `as_of`.
fn last_visible_term(first_year: i16, as_of: Date) -> Result<i64, SimError> {
    let day = calendar::day_of(as_of);
    let first_day = Term::new(first_year, 0).first_day;
    if day < first_day {
        return Err(SimError::TooEarly { as_of, first: calendar::date_of(first_day) });
    }
    let end_day = Term::new(first_year, 3 * i64::from(MAX_YEARS)).first_day;
    if day >= end_day {
        return Err(SimError::TooLate { as_of, end: calendar::date_of(end_day) });
    }
    let is_visible = |index: &i64| Term::new(first_year, *index).first_day - TERM_LEAD_DAYS < day;
    Ok((0..).take_while(is_visible).last().unwrap_or(0))
}

fn options_hash(options: &SimOptions) -> String {
    let SimOptions { seed, students, first_year, zone, courses_per_term, troubles } = options;
    let mut text = format!("{WORLD_VERSION}/{seed}/{students}/{first_year}/{zone}/{courses_per_term}");
    if !troubles.is_empty() {
        text.push_str(&format!("/{troubles:?}"));
    }
    content_hash(text.as_bytes())
}

fn instant_text(second: i64) -> String {
    jiff::Timestamp::from_second(second).map_or_else(|_| String::new(), |instant| instant.to_string())
}

/// Returns the manifest of the export in `out`, or nothing if `out` is empty or does not exist.
fn standing_export(out: &Path) -> Result<Option<Manifest>, SimError> {
    let reading = |source| SimError::File { action: "reading", path: out.to_owned(), source };
    let mut entries = match fs::read_dir(out) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(reading(error)),
    };
    if entries.next().transpose().map_err(reading)?.is_none() {
        return Ok(None);
    }
    let foreign = || SimError::Foreign { path: out.to_owned() };
    let text = match fs::read_to_string(out.join(MANIFEST)) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(foreign()),
        Err(error) => return Err(reading(error)),
    };
    let manifest: Manifest = serde_json::from_str(&text).map_err(|_| foreign())?;
    if manifest.source == SOURCE { Ok(Some(manifest)) } else { Err(foreign()) }
}

/// Returns whether every file exists with the bytes that the manifest names.
fn is_unharmed(manifest: &Manifest, out: &Path) -> bool {
    manifest.files().all(|(name, file)| {
        let facts = manifest.tables.get(name);
        let bytes = fs::read(out.join(file));
        facts.zip(bytes.ok()).is_some_and(|(facts, bytes)| content_hash(&bytes) == facts.sha256)
    })
}

fn write_manifest(manifest: &Manifest, folder: &Path) -> Result<(), SimError> {
    let path = folder.join(MANIFEST);
    let written = serde_json::to_string_pretty(manifest)
        .map_err(io::Error::from)
        .and_then(|text| fs::write(&path, text + "\n"))
        .and_then(|()| fs::File::open(&path)?.sync_all());
    written.map_err(|source| SimError::File { action: "writing", path, source })
}

/// Sets the modification time of an export's files to the time of the export, so that they look unchanged when the same
/// export is written again.
fn stamp(manifest: &Manifest, folder: &Path) -> Result<(), SimError> {
    let seconds = manifest.at.parse::<jiff::Timestamp>().map_or(0, |at| u64::try_from(at.as_second()).unwrap_or(0));
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    for file in manifest.files().map(|(_, file)| file).chain([MANIFEST]) {
        let path = folder.join(file);
        let stamped = fs::File::options().append(true).open(&path).and_then(|file| file.set_modified(at));
        stamped.map_err(|source| SimError::File { action: "stamping", path, source })?;
    }
    Ok(())
}

/// Puts the finished export `aside` in place of `out`.
fn put_in_place(aside: &Path, out: &Path) -> Result<(), SimError> {
    let old = beside(out, "old");
    remove_folder(&old)?;
    match fs::rename(out, &old) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(SimError::File { action: "moving aside", path: out.to_owned(), source }),
    }
    let placed = fs::rename(aside, out);
    placed.map_err(|source| SimError::File { action: "putting in place", path: out.to_owned(), source })?;
    remove_folder(&old)
}

fn remove_folder(path: &Path) -> Result<(), SimError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(SimError::File { action: "removing", path: path.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

/// Returns the path of a hidden folder next to `out`.
fn beside(out: &Path, suffix: &str) -> PathBuf {
    let name = out.file_name().map_or_else(|| "export".to_owned(), |name| name.to_string_lossy().into_owned());
    out.with_file_name(format!(".{name}.{suffix}"))
}

#[cfg(test)]
mod tests;
