//! The troubles of the simulated institution's deliveries, done to an export that has been written.
//!
//! The world knows nothing of them: an export is made clean, and then the files of the tables that have a trouble are
//! read, changed and written again, so without troubles it is what it is without this module, byte for byte. What is hit
//! depends on the seed, the kind and the row alone, so the same trouble hits the same rows on every night. `delivery` has
//! the faults of whole deliveries, `values` those of what is in the rows, `outcomes` those that show in labels and models.
//!
//! How to add a kind: a variant of `config::TroubleKind` with its table and size there, its arm in [`apply`], and its night
//! in `tests/it/truth/troubles.rs`.

mod delivery;
mod outcomes;
mod scope;
mod table_file;
mod values;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use jiff::civil::Date;

use self::scope::Scope;
use self::table_file::TableFile;
use super::calendar::{LocalDays, day_of};
use super::export::{ExportError, TABLES};
use super::write::FileFacts;
use crate::config::{Trouble, TroubleKind};

/// Returns the date at whose start the delivery is taken that comes on `date`: an earlier one while the source is late.
pub(super) fn taken_on(troubles: &[Trouble], date: Date) -> Date {
    let late =
        troubles.iter().filter(|trouble| is_late(trouble) && trouble.of_table().is_none() && trouble.is_in(date));
    late.filter_map(|trouble| trouble.from.yesterday().ok()).fold(date, Date::min)
}

/// The delivery that has troubles.
pub(super) struct Delivery<'a> {
    /// The institution's seed.
    pub(super) seed: u64,
    /// The institution's days.
    pub(super) home: &'a LocalDays,
    /// The date at whose start it is taken.
    pub(super) as_of: Date,
}

/// Does the troubles that a delivery has to the files of the export in `folder`, and brings what is known of them up to
/// date: `facts`, by table. The file of a table that is late is removed.
///
/// # Errors
/// When a file cannot be read or written.
pub(super) fn inject(
    troubles: &[Trouble],
    delivery: &Delivery<'_>,
    folder: &Path,
    facts: &mut BTreeMap<String, FileFacts>,
) -> Result<(), ExportError> {
    for (table, file) in TABLES {
        let has_it = |trouble: &&Trouble| trouble.is_in(delivery.as_of) && trouble.of_table() == Some(table);
        let own: Vec<&Trouble> = troubles.iter().filter(has_it).collect();
        if own.is_empty() {
            continue;
        }
        let path = folder.join(file);
        let failed = |source| ExportError { path: path.clone(), source };
        if own.iter().any(|trouble| is_late(trouble)) {
            fs::remove_file(&path).map_err(failed)?;
            facts.remove(table);
            continue;
        }
        let mut rows = TableFile::read(&path).map_err(failed)?;
        for trouble in own {
            let since = delivery.home.start_of(day_of(trouble.from) - 1);
            apply(&mut rows, &Scope { trouble, table, since, seed: delivery.seed });
        }
        facts.insert(table.to_owned(), rows.write(&path).map_err(failed)?);
    }
    Ok(())
}

fn is_late(trouble: &Trouble) -> bool {
    trouble.kind == TroubleKind::LateSource
}

fn apply(rows: &mut TableFile, scope: &Scope<'_>) {
    match scope.trouble.kind {
        TroubleKind::LateSource => {}
        TroubleKind::VolumeDrop => delivery::drop_rows(rows, scope),
        TroubleKind::DoubledDelivery => delivery::double_rows(rows, scope),
        TroubleKind::KeyDuplicates => delivery::repeat_keys(rows, scope),
        TroubleKind::SchemaChange => delivery::rename_column(rows, scope),
        TroubleKind::NullBurst => values::take_away(rows, scope),
        TroubleKind::UnitChange => values::change_unit(rows, scope),
        TroubleKind::OrphanRows => values::lose_parents(rows, scope),
        TroubleKind::ShiftedTimes => values::shift_times(rows, scope),
        TroubleKind::ChangedGradingScale => values::change_scale(rows, scope),
        TroubleKind::BrokenLabel => outcomes::withdraw(rows, scope),
        TroubleKind::StaleModel => outcomes::exchange_marks(rows, scope),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SIMULATED_TABLES;

    #[test]
    fn every_table_of_an_export_may_have_a_trouble() {
        assert_eq!(TABLES.map(|(table, _)| table), SIMULATED_TABLES);
    }

    #[test]
    fn while_the_source_is_late_the_newest_export_is_that_of_the_day_before() {
        let date = |text: &str| text.parse::<Date>().unwrap();
        let trouble = |text: &str| vec![toml::from_str::<Trouble>(text).unwrap()];
        let late = trouble("kind = 'late_source'\nfrom = '2026-10-05'\nuntil = '2026-10-08'");
        let taken = |day: &str| taken_on(&late, date(day));

        assert_eq!(
            ["2026-10-04", "2026-10-05", "2026-10-07", "2026-10-08"].map(taken).map(|day| day.day()),
            [4, 4, 4, 8]
        );
        let one_table = trouble("kind = 'late_source'\nfrom = '2026-10-05'\ntable = 'users'");
        assert_eq!(taken_on(&one_table, date("2026-10-06")), date("2026-10-06"));
    }
}
