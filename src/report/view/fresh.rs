//! The first answer: is it fresh? Through the end of which day the tables are complete, and which are not.
//!
//! Pure, as the other answers. Only tables that came, and came whole, are spoken of as complete: what is late, could not be
//! renewed, has no row, or was not read is named, and so is that rows of a table are in quarantine.

use jiff::civil::Date;

use super::answers::{Answer, all_of, fine, listed, unfinished, warning};
use super::{JobEnd, ReportView, TableView};
use crate::domain::freshness::Rhythm;
use crate::report::format::{count_of, day, entry};

impl ReportView {
    pub(super) fn fresh(&self) -> Answer {
        if self.tables.is_empty() {
            return warning(match self.named(JobEnd::is_open) {
                open if open.is_empty() || self.jobs.iter().any(|job| job.end.is_trouble()) => {
                    "No. No table was read, so nothing below is new.".to_owned()
                }
                open => {
                    format!("Not known yet. No table had been read when this was written; {}.", unfinished(&open))
                }
            });
        }
        let of = count_of(self.tables.len(), "table", "tables");
        let mut wrong = Vec::new();
        let is_new = |table: &&TableView| !table.is_late && !table.is_stale && table.rows > 0;
        let new: Vec<&TableView> = self.tables.iter().filter(is_new).collect();
        wrong.extend(self.late(&of));
        let stale: Vec<&str> =
            self.tables.iter().filter(|table| table.is_stale).map(|table| table.name.as_str()).collect();
        if !stale.is_empty() {
            wrong.push(format!(
                "{} of {of} could not be renewed ({}); the version before stands in, and everything made from it says so.",
                stale.len(),
                listed(&stale),
            ));
        }
        let empty: Vec<&str> =
            self.tables.iter().filter(|table| table.rows == 0).map(|table| table.name.as_str()).collect();
        if !empty.is_empty() {
            let verb = if empty.len() == 1 { "has" } else { "have" };
            wrong.push(format!("{} of {of} {verb} no row ({}).", empty.len(), listed(&empty)));
        }
        if !self.unread.is_empty() {
            let unread: Vec<&str> = self.unread.iter().map(String::as_str).collect();
            let tables = count_of(unread.len(), "table", "tables");
            wrong.push(format!("{tables} may be as before, because a pull did not succeed ({}).", listed(&unread)));
        }
        let waiting = self.in_quarantine();
        if wrong.is_empty() {
            let tables = all_of(self.tables.len(), "table", "tables");
            return fine(format!(
                "Yes. {}{}{}{waiting}",
                self.complete_through(&new, &tables),
                self.not_come_yet(),
                self.newest_entry()
            ));
        }
        if new.is_empty() {
            return warning(format!("No. {}{waiting}", wrong.join(" ")));
        }
        let others = match new.len() {
            1 => "The other one".to_owned(),
            n => format!("The other {n}"),
        };
        warning(format!("Not all of it. {} {}{waiting}", wrong.join(" "), self.complete_through(&new, &others)))
    }

    /// The tables that are older than they should be.
    fn late(&self, of: &str) -> Option<String> {
        let late: Vec<&TableView> = self.tables.iter().filter(|table| table.is_late).collect();
        let oldest = late.iter().min_by_key(|table| (table.complete_through, &table.name))?;
        let until = match oldest.complete_through {
            Some(through) => format!("ends with {}", day(through)),
            None => "has no delivery that is known".to_owned(),
        };
        let expected = oldest.rhythm.words();
        let what = match late.len() {
            1 if self.tables.len() == 1 => "The one table is older than expected: it".to_owned(),
            1 => format!("1 of {of} is older than expected: {}", oldest.name),
            n if n == self.tables.len() => {
                format!("{} are older than expected; the oldest, {},", all_of(n, "table", "tables"), oldest.name)
            }
            n => format!("{n} of {of} are older than expected; the oldest, {},", oldest.name),
        };
        Some(format!("{what} {until} and should come {expected}."))
    }

    /// The rows that a rule holds back, or that did not fit: the tables are without them.
    fn in_quarantine(&self) -> String {
        let n: u64 = self.tables.iter().map(|table| table.waiting + table.held_back).sum();
        let tables: Vec<&str> = self
            .tables
            .iter()
            .filter(|table| table.waiting + table.held_back > 0)
            .map(|table| table.name.as_str())
            .collect();
        if n == 0 {
            String::new()
        } else {
            format!(
                " Some rows of {} are in quarantine: here they are missing, or as they were before.",
                listed(&tables)
            )
        }
    }

    /// Through the end of which day tables are complete: those that come every day, and the oldest of the others.
    fn complete_through(&self, tables: &[&TableView], all: &str) -> String {
        let covered = self.logical_date.yesterday().unwrap_or(self.logical_date);
        let (daily, seldom): (Vec<&TableView>, Vec<&TableView>) =
            tables.iter().copied().partition(|table| table.rhythm == Rhythm::Daily);
        let oldest_seldom = oldest(&seldom);
        let base = oldest(&daily).or(oldest_seldom).map_or(covered, |(through, _)| through.min(covered));
        let verb = if tables.len() == 1 { "is" } else { "are" };
        let as_expected = if base < covered { "as new as expected: " } else { "" };
        let seldom = oldest_seldom.filter(|(through, _)| *through < base);
        let seldom = seldom.map_or_else(String::new, |(through, table)| {
            format!(" ({}, which comes {}, through {})", table.name, table.rhythm.words(), day(through))
        });
        format!("{all} {verb} {as_expected}complete through the end of {}{seldom}.", day(base))
    }

    /// The daily tables whose newest delivery has not come, and is not late yet.
    fn not_come_yet(&self) -> String {
        let covered = self.logical_date.yesterday().unwrap_or(self.logical_date);
        let daily = self.tables.iter().filter(|table| table.rhythm == Rhythm::Daily);
        let behind: Vec<&str> = daily
            .filter(|table| table.complete_through.is_some_and(|through| through < covered))
            .map(|table| table.name.as_str())
            .collect();
        match behind.len() {
            0 => String::new(),
            n if n == self.tables.len() => " Nothing newer has come yet; it is not late so far.".to_owned(),
            n => {
                let tables = count_of(n, "table", "tables");
                format!(" Nothing newer has come yet for {tables} ({}); it is not late so far.", listed(&behind))
            }
        }
    }

    fn newest_entry(&self) -> String {
        let newest = self.tables.iter().filter_map(|table| table.newest_event).max();
        // An unknown zone is an error of the page, which shows times too; the sentence leaves the time out.
        let newest = newest.and_then(|at| entry(at, &self.zone).ok());
        newest.map_or_else(String::new, |at| format!(" The newest entry is from {at}."))
    }
}

/// Returns the oldest of these tables, and the day through the end of which it is complete.
fn oldest<'a>(tables: &[&'a TableView]) -> Option<(Date, &'a TableView)> {
    let dated = tables.iter().filter_map(|table| Some((table.complete_through?, *table)));
    dated.min_by_key(|(through, table)| (*through, &table.name))
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::super::answers::State;
    use super::*;

    #[test]
    fn a_delivery_that_has_not_come_and_is_not_late_is_said() {
        let mut report = ReportView::sample(Verdict::Ok);
        let covered = report.logical_date.yesterday().unwrap();
        let daily: Vec<usize> =
            (0..report.tables.len()).filter(|n| report.tables[*n].rhythm == Rhythm::Daily).collect();
        report.tables[daily[0]].complete_through = covered.yesterday().ok();
        let name = report.tables[daily[0]].name.clone();

        let fresh = report.answers().fresh;

        assert_eq!(fresh.state, State::Ok);
        let said = format!("Nothing newer has come yet for 1 table ({name}); it is not late so far.");
        assert!(fresh.sentence.contains(&said), "{fresh:?}");
    }

    #[test]
    fn an_empty_table_is_not_complete() {
        let mut report = ReportView::sample(Verdict::Ok);
        report.tables[1].rows = 0;
        let (name, all) = (report.tables[1].name.clone(), report.tables.len());

        let fresh = report.answers().fresh;

        assert_eq!(fresh.state, State::Warning);
        let others = all - 1;
        let said =
            format!("Not all of it. 1 of {all} tables has no row ({name}). The other {others} are complete through");
        assert!(fresh.sentence.starts_with(&said), "{fresh:?}");
    }
}
