//! Invented nights before tonight: what the charts of the last nights are previewed from; see `sample`.

use jiff::ToSpan as _;
use jiff::civil::{Date, date};

use super::sample_models::DATE;
use super::{NIGHTS, PeopleCount, RowsNight, SupportTerm, TableNights, TableView, Told, Verdict};

/// The rows of the tables on the last nights: of one too few nights are comparable, and on a night that is not well one has
/// fewer than usual.
pub(super) fn rows(tables: &[TableView], verdict: Verdict) -> Vec<TableNights> {
    let each = tables.iter().map(|table| {
        let is_known = table.name != "assignments";
        let is_short = verdict != Verdict::Ok && table.name == "submissions";
        let nights = (0..u64::from(NIGHTS)).map(|night| {
            let ago = u64::from(NIGHTS) - 1 - night;
            let rows = table.rows - table.rows * ago * 3 / 1000;
            let usual = (if is_short && ago == 0 { rows + rows / 50 } else { rows - rows / 30 }, rows + rows / 20);
            RowsNight { date: days_ago(ago), rows, usual: is_known.then_some(usual) }
        });
        let comparable = if is_known { 21 } else { 3 };
        TableNights { table: table.name.clone(), nights: nights.collect(), comparable, fewest: 8 }
    });
    each.collect()
}

/// What earlier e-mails told; on one night there was none.
pub(super) fn told_before() -> Vec<(Date, Told)> {
    let nights = (1..u64::from(NIGHTS)).rev().filter(|ago| *ago != 5);
    let told = |ago: u64| Told {
        errors: u64::from(ago == 9),
        warnings: [0, 1, 0, 2, 0, 0, 1][(ago % 7) as usize],
        notes: ago % 3,
    };
    nights.map(|ago| (days_ago(ago), told(ago))).collect()
}

/// How many may have needed support since the term began; one week is not shown.
pub(super) fn support() -> Vec<SupportTerm> {
    let first = date(2026, 9, 14);
    let nights = (0..68_u64).filter(|night| !(30..37).contains(night)).map(|night| {
        let flagged: PeopleCount = Some(if night == 67 { 325 } else { 95 + night * 3 + (night * 37 % 23) }).into();
        (first.saturating_add(i64::try_from(night).unwrap_or(0).days()), flagged)
    });
    vec![SupportTerm { term: "Autumn 2026".to_owned(), nights: nights.collect() }]
}

fn days_ago(ago: u64) -> Date {
    DATE.saturating_sub(i64::try_from(ago).unwrap_or(0).days())
}
