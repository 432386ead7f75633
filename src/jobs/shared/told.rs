//! What people were told on earlier nights: tonight's e-mail is compared with the last one, and leaves its own figures.
//!
//! Each e-mail that somebody gets leaves measurements of the job that writes it, which is its audience: the rows of each
//! table, the findings by severity and the version of each model. So "what changed" is since the last e-mail that told of
//! rows, whatever was pulled in between. An e-mail that nobody gets, because the last one said the same, leaves nothing; a
//! correction leaves its own figures in place of those that it corrects. `score` leaves rounded counts
//! of people, none below ten.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::facts::{FLAGGED, model_of};
use crate::domain::check::Severity;
use crate::domain::ids::JobName;
use crate::domain::measurement::{HistoryWanted, Measurement, PastMeasurement};
use crate::domain::number::grouped;
use crate::domain::outcome::JobError;
use crate::jobs::kind::JobContext;
use crate::report::view::{FlaggedTerm, ModelInUse, ReportView, SupportTerm, TableView, Told, ToldVersion};

/// The rows of a table, as an e-mail told them.
const ROWS: &str = "told.rows";
/// How many findings of a severity an e-mail told.
const FINDINGS: &str = "told.findings";
/// Whether an e-mail told that a version of a model is in use: 1, with that version and whether it is to be read with care,
/// or 0.
const MODEL: &str = "told.model";
/// What is told of a version that is not clearly better than the simple rule.
const WITH_CARE: &str = "with care";
/// How many students of a term may need support, rounded.
const SUPPORT: &str = "people.may_need_support";

/// What an e-mail reads of earlier nights: as far back as a term is long.
pub(in crate::jobs) const EARLIER: HistoryWanted =
    HistoryWanted { names: &[ROWS, FINDINGS, MODEL, SUPPORT], days: 200 };

/// Returns what tonight's e-mail tells, for later ones.
pub(in crate::jobs) fn measurements(report: &ReportView) -> Vec<Measurement> {
    let rows = report.tables.iter();
    let rows = rows.map(|table| Measurement::new(ROWS, table.rows as f64).unit("rows").of("table", &table.name));
    let Told { errors, warnings, notes } = report.told();
    let findings = [(Severity::Error, errors), (Severity::Warning, warnings), (Severity::Info, notes)];
    let findings = findings.map(|(severity, n)| Measurement::new(FINDINGS, n as f64).of("severity", severity.word()));
    let models = report.models.iter().map(|model| match &model.champion {
        Some(champion) => {
            let used = Measurement::new(MODEL, 1.0).of("model", &model.name).of("version", &champion.version);
            if champion.beats_rule() { used } else { used.of("read", WITH_CARE) }
        }
        None => Measurement::new(MODEL, 0.0).of("model", &model.name),
    });
    rows.chain(findings).chain(models).collect()
}

/// Returns the counts of people that may be shown, for later nights.
pub(in crate::jobs) fn support_measured(terms: &[FlaggedTerm]) -> Vec<Measurement> {
    let shown = terms.iter().filter_map(|term| Some((term, term.flagged.shown()?)));
    shown.map(|(term, n)| Measurement::new(SUPPORT, n as f64).unit("students").of("term", &term.term)).collect()
}

/// The last e-mail that told of rows.
pub(in crate::jobs) struct LastEmail {
    /// Its night.
    pub(in crate::jobs) night: Date,
    /// The rows that it told, by table.
    rows: BTreeMap<String, u64>,
}

impl LastEmail {
    /// Returns the last e-mail before tonight's; `None` where none is known.
    pub(in crate::jobs) fn of(cx: &JobContext) -> Option<Self> {
        let told: Vec<_> = own(cx, ROWS).collect();
        let night = told.iter().map(|past| past.date).max()?;
        let last = told.iter().filter(|past| past.date == night);
        let rows = last.filter_map(|past| Some((dimension(past, "table")?, whole(past))));
        Some(Self { night, rows: rows.collect() })
    }

    /// Returns by how many rows a table has changed since; `None` where it did not tell of the table.
    pub(in crate::jobs) fn change(&self, table: &TableView) -> Option<i64> {
        let before = *self.rows.get(&table.name)?;
        Some(i64::try_from(table.rows).unwrap_or(i64::MAX) - i64::try_from(before).unwrap_or(i64::MAX))
    }

    /// Returns what changed since: the versions in use, then the tables, the largest changes first. It was told what they
    /// are now, so `tables` has their changes.
    pub(in crate::jobs) fn changes(&self, tables: &[TableView], models: &[ModelInUse]) -> Vec<String> {
        let mut changed: Vec<(u64, String)> = Vec::new();
        for table in tables {
            let name = &table.name;
            match table.change {
                None => changed.push((table.rows, format!("{name}: new, with {}", rows_of(table.rows, "")))),
                Some(0) => {}
                Some(change) => {
                    let by = change.unsigned_abs();
                    let word = if change > 0 { "more " } else { "fewer " };
                    changed.push((by, format!("{name}: {}", rows_of(by, word))));
                }
            }
        }
        let gone = self.rows.iter().filter(|(name, _)| tables.iter().all(|table| table.name != **name));
        changed.extend(gone.map(|(name, rows)| (*rows, format!("{name}: not among tonight's tables"))));
        changed.sort_by(|a, b| (b.0, &a.1).cmp(&(a.0, &b.1)));
        let versions = models.iter().filter_map(change_of_version);
        let changes: Vec<String> = versions.chain(changed.into_iter().map(|(_, words)| words)).collect();
        if changes.is_empty() {
            return vec!["Nothing: no table has more or fewer rows.".to_owned()];
        }
        changes
    }
}

/// Returns what this job's last e-mail said of the version of a model that is in use, and whether it said that it is to be
/// read with care.
pub(in crate::jobs) fn told_version(cx: &JobContext, model: &str) -> (ToldVersion, bool) {
    let of_model = |past: &&PastMeasurement| dimension(past, "model").as_deref() == Some(model);
    match own(cx, MODEL).filter(of_model).max_by_key(|past| past.date) {
        None => (ToldVersion::Nothing, false),
        Some(past) => (
            dimension(past, "version").map_or(ToldVersion::NoVersion, ToldVersion::Version),
            dimension(past, "read").as_deref() == Some(WITH_CARE),
        ),
    }
}

/// What changed in the version of a model that is in use, since the last e-mail that spoke of it.
fn change_of_version(model: &ModelInUse) -> Option<String> {
    let name = &model.name;
    match (&model.told, &model.champion) {
        (ToldVersion::NoVersion, Some(champion)) => {
            Some(format!("{name}: a first version is in use, {}", champion.version))
        }
        (ToldVersion::Version(before), Some(champion)) if *before != champion.version => {
            Some(format!("{name}: version {} is in use, in place of {before}", champion.version))
        }
        (ToldVersion::Version(before), None) => Some(format!("{name}: no version is in use; it was {before}")),
        (ToldVersion::Nothing, _) | (ToldVersion::NoVersion, None) | (ToldVersion::Version(_), Some(_)) => None,
    }
}

/// Returns what this job's e-mails told on earlier nights, the oldest first.
pub(in crate::jobs) fn told_before(cx: &JobContext) -> Vec<(Date, Told)> {
    let mut nights: BTreeMap<Date, Told> = BTreeMap::new();
    for past in own(cx, FINDINGS) {
        let night = nights.entry(past.date).or_default();
        let severity = past.measurement.dimensions.get("severity").map(String::as_str);
        for (word, count) in [
            (Severity::Error.word(), &mut night.errors),
            (Severity::Warning.word(), &mut night.warnings),
            (Severity::Info.word(), &mut night.notes),
        ] {
            if severity == Some(word) {
                *count = whole(past);
            }
        }
    }
    nights.into_iter().collect()
}

/// A term's counts, and how they were measured.
pub(in crate::jobs) struct Scored {
    /// The job that scored.
    job: JobName,
    /// The term, as that job calls it.
    term: String,
    /// The counts; where several models score, the term's name says which.
    pub(in crate::jobs) counts: FlaggedTerm,
}

/// Returns the counts of every job that scored, by term.
pub(in crate::jobs) fn scored(cx: &JobContext) -> Result<Vec<Scored>, JobError> {
    let by_job = FLAGGED.by_job(cx)?;
    let of_several = by_job.len() > 1;
    let each = by_job.into_iter().flat_map(|(job, terms)| {
        let model = model_of(cx, job).unwrap_or(job.as_str());
        terms.into_iter().map(move |counts| {
            let term = counts.term.clone();
            let shown = if of_several { format!("{term}, by {model}") } else { term.clone() };
            Scored { job: job.clone(), term, counts: FlaggedTerm { term: shown, ..counts } }
        })
    });
    Ok(each.collect())
}

/// Returns how many students of tonight's terms may have needed support, night by night, tonight last.
pub(in crate::jobs) fn support(cx: &JobContext, scored: &[Scored]) -> Vec<SupportTerm> {
    let each = scored.iter().map(|Scored { job, term, counts }| {
        let earlier = cx.input.history.iter().filter(|past| past.measurement.name == SUPPORT && past.job == *job);
        let earlier = earlier.filter(|past| dimension(past, "term").as_ref() == Some(term));
        let tonight = counts.flagged.shown().map(|_| (cx.input.logical_date, counts.flagged));
        let nights = earlier.map(|past| (past.date, Some(whole(past)).into())).chain(tonight);
        SupportTerm { term: counts.term.clone(), nights: nights.collect() }
    });
    each.collect()
}

/// What this job itself left on earlier nights: another audience may have been told on other nights.
fn own<'a>(cx: &'a JobContext, name: &'a str) -> impl Iterator<Item = &'a PastMeasurement> {
    cx.input.history.iter().filter(move |past| past.measurement.name == name && past.job == cx.input.job)
}

fn dimension(past: &PastMeasurement, name: &str) -> Option<String> {
    past.measurement.dimensions.get(name).cloned()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts were written as whole numbers")]
fn whole(past: &PastMeasurement) -> u64 {
    past.measurement.value.max(0.0) as u64
}

fn rows_of(count: u64, word: &str) -> String {
    let rows = if count == 1 { "row" } else { "rows" };
    format!("{} {word}{rows}", grouped(count))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::report::view::Verdict;

    fn last(rows: &[(&str, u64)]) -> LastEmail {
        let rows = rows.iter().map(|(table, rows)| ((*table).to_owned(), *rows)).collect();
        LastEmail { night: date(2026, 11, 6), rows }
    }

    fn changes(before: &[(&str, u64)], now: &[(&str, u64)]) -> Vec<String> {
        let (last, mut tables) = (last(before), ReportView::sample(Verdict::Ok).tables);
        tables.truncate(now.len());
        for (table, (name, rows)) in tables.iter_mut().zip(now) {
            (table.name, table.rows) = ((*name).to_owned(), *rows);
            table.change = last.change(table);
        }
        last.changes(&tables, &[])
    }

    #[test]
    fn the_largest_change_comes_first_and_new_and_missing_tables_are_named() {
        let said =
            changes(&[("users", 40), ("scores", 900), ("old", 7)], &[("users", 41), ("scores", 880), ("new", 1)]);

        assert_eq!(
            said,
            ["scores: 20 fewer rows", "old: not among tonight's tables", "new: new, with 1 row", "users: 1 more row"]
        );
    }

    #[test]
    fn where_nothing_changed_that_is_said() {
        assert_eq!(changes(&[("users", 40)], &[("users", 40)]), ["Nothing: no table has more or fewer rows."]);
    }

    #[test]
    fn another_version_of_a_model_is_the_first_change() {
        let told = |told: ToldVersion| {
            let mut model = ReportView::sample(Verdict::Ok).models.remove(0);
            model.told = told;
            last(&[]).changes(&[], &[model])
        };
        let version = |version: &str| ToldVersion::Version(version.to_owned());

        assert_eq!(told(version("51aa20c4")), ["at_risk: version 7c1f09ab is in use, in place of 51aa20c4"]);
        assert_eq!(told(ToldVersion::NoVersion), ["at_risk: a first version is in use, 7c1f09ab"]);
        let nothing = ["Nothing: no table has more or fewer rows."];
        assert_eq!(
            (told(version("7c1f09ab")), told(ToldVersion::Nothing)),
            (nothing.map(str::to_owned).into(), nothing.map(str::to_owned).into())
        );
    }

    #[test]
    fn only_counts_of_people_that_may_be_shown_are_measured_and_they_are_rounded() {
        let term = |name: &str, flagged| FlaggedTerm::of_disjoint(name, "level", &[("all", flagged, 400)]);

        let measured = support_measured(&[term("Autumn", 123), term("Summer", 7)]);

        assert_eq!(measured, [Measurement::new(SUPPORT, 125.0).unit("students").of("term", "Autumn")]);
    }
}
