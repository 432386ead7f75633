//! A table as it looked at a cutoff.
//!
//! Promises that nothing learned later, and nothing that happened later, is in the view. Where the table was already
//! known at the cutoff, the view holds the versions that were current then (*as known*). A cutoff before the first
//! delivery cannot know what was known: the versions of that first delivery are cut back by the contract's visibility
//! times (*reconstructed*), and no later delivery, back-dated or not, changes the view.
//! Instants are returned as naive UTC, so that SQL literals compare with them. It deliberately does not decide which
//! rows count: populations are SQL.

use std::collections::BTreeSet;

use jiff::Timestamp;
use polars::prelude::*;

use super::cutoff::Cutoff;
use super::error::FeatureError;
use super::inputs::{PartFile, TableInput};
use crate::domain::lineage::Basis;
use crate::domain::table::{ColumnContract, ColumnType, KNOWN_FROM, KNOWN_TO, TableContract};

/// Returns how the past of `table` is known at `cutoff`.
pub(super) fn basis(table: &TableInput, cutoff: Cutoff) -> Basis {
    if cutoff.known_by >= table.first_known_at { Basis::AsKnown } else { Basis::Reconstructed }
}

/// Returns the view of `table` at `cutoff`, from the parts that may hold rows of `terms` (none: of all terms).
///
/// # Errors
/// When a part cannot be opened or does not fit the contract.
pub fn visible(table: &TableInput, cutoff: Cutoff, terms: Option<&BTreeSet<&str>>) -> Result<LazyFrame, FeatureError> {
    let contract = &table.contract;
    let basis = basis(table, cutoff);
    let standing_at = match basis {
        Basis::AsKnown => cutoff.known_by,
        Basis::Reconstructed => table.first_known_at,
    };
    let standing = instant(standing_at);
    let mut rows = scan(table, terms)?
        .filter(col(KNOWN_FROM).lt_eq(standing.clone()))
        .filter(col(KNOWN_TO).is_null().or(col(KNOWN_TO).gt(standing)));
    if let Some(column) = &contract.visible_from {
        let happened = happened_before(contract, column, cutoff);
        rows = rows.filter(match basis {
            Basis::AsKnown => happened.or(col(column.as_str()).is_null()),
            Basis::Reconstructed => happened,
        });
    }
    let columns = contract
        .kept()
        .map(|(name, column)| {
            let value = match (basis, &column.visible_from) {
                (Basis::Reconstructed, Some(from)) => when(happened_before(contract, from, cutoff))
                    .then(col(name.as_str()))
                    .otherwise(value_before(contract, name, column)?),
                _ => col(name.as_str()),
            };
            let naive = match column.kind {
                ColumnType::Timestamp => value.dt().replace_time_zone(None, lit("raise"), NonExistent::Raise),
                _ => value,
            };
            Ok(naive.alias(name.as_str()))
        })
        .collect::<Result<Vec<_>, FeatureError>>()?;
    Ok(rows.select(columns))
}

/// Returns the polars type in which a table's column is stored.
pub fn stored_type(column: &ColumnContract) -> DataType {
    match column.kind {
        ColumnType::Id if column.person.is_some() => DataType::String,
        ColumnType::Id | ColumnType::Int => DataType::Int64,
        ColumnType::Float => DataType::Float64,
        ColumnType::Bool => DataType::Boolean,
        ColumnType::Timestamp => utc(),
        ColumnType::Date => DataType::Date,
        ColumnType::Text | ColumnType::Json => DataType::String,
    }
}

pub(super) fn utc() -> DataType {
    DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC))
}

/// Opens the parts: every kept column of the contract and the two clocks; a column that an older part lacks is null.
fn scan(table: &TableInput, terms: Option<&BTreeSet<&str>>) -> Result<LazyFrame, FeatureError> {
    let name = table.contract.name.as_str();
    let mut wanted: Vec<(&str, DataType)> =
        table.contract.kept().map(|(column, contract)| (column.as_str(), stored_type(contract))).collect();
    wanted.push((KNOWN_FROM, utc()));
    wanted.push((KNOWN_TO, utc()));
    let frames = table
        .parts_of(terms)
        .into_iter()
        .map(|file| open(name, file, &wanted))
        .collect::<Result<Vec<_>, FeatureError>>()?;
    if frames.is_empty() {
        let schema: Schema = wanted.into_iter().map(|(column, dtype)| Field::new(column.into(), dtype)).collect();
        return Ok(DataFrame::empty_with_schema(&schema).lazy());
    }
    concat(frames, UnionArgs::default()).map_err(FeatureError::compute(name, "-"))
}

fn open(table: &str, file: &PartFile, wanted: &[(&str, DataType)]) -> Result<LazyFrame, FeatureError> {
    let failed = || FeatureError::compute(table, "-");
    let path = PlRefPath::try_from_path(&file.local).map_err(failed())?;
    let arguments = ScanArgsParquet { glob: false, ..Default::default() };
    let mut part = LazyFrame::scan_parquet(path, arguments).map_err(failed())?;
    let schema = part.collect_schema().map_err(failed())?;
    let columns = wanted
        .iter()
        .map(|(column, dtype)| match schema.get(column) {
            None => Ok(lit(NULL).cast(dtype.clone()).alias(*column)),
            Some(found) if found == dtype => Ok(col(*column)),
            Some(found) => Err(FeatureError::ColumnType {
                table: table.to_owned(),
                column: (*column).to_owned(),
                path: file.local.clone(),
                found: found.to_string(),
                wanted: dtype.to_string(),
            }),
        })
        .collect::<Result<Vec<_>, FeatureError>>()?;
    Ok(part.select(columns))
}

/// A date counts once its day is over (`Cutoff::date`). Null where the column is null.
fn happened_before(contract: &TableContract, column: &str, cutoff: Cutoff) -> Expr {
    let before = instant(cutoff.event_before);
    match contract.columns.get(column).map(|found| found.kind) {
        Some(ColumnType::Date) => {
            let days = (cutoff.date() - jiff::civil::date(1970, 1, 1)).get_days();
            col(column).lt(lit(days).cast(DataType::Date))
        }
        _ => col(column).lt(before),
    }
}

fn value_before(contract: &TableContract, name: &str, column: &ColumnContract) -> Result<Expr, FeatureError> {
    let dtype = stored_type(column);
    let Some(text) = &column.before else {
        return Ok(lit(NULL).cast(dtype));
    };
    let unfit = || FeatureError::ValueBefore {
        table: contract.name.to_string(),
        column: name.to_owned(),
        wanted: dtype.to_string(),
    };
    Ok(match &dtype {
        DataType::String => lit(text.as_str()),
        DataType::Int64 => lit(text.parse::<i64>().map_err(|_| unfit())?),
        DataType::Float64 => lit(text.parse::<f64>().map_err(|_| unfit())?),
        DataType::Boolean => lit(text.parse::<bool>().map_err(|_| unfit())?),
        DataType::Datetime(..) => instant(text.parse::<Timestamp>().map_err(|_| unfit())?),
        _ => return Err(unfit()),
    })
}

fn instant(at: Timestamp) -> Expr {
    lit(at.as_microsecond()).cast(utc())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::compute::run;
    use crate::features::fixture::{part, rows, table, text};

    const KNOWN: &str = "2014-12-01T23:59:59Z";
    const SCORED: &str = "id=s1 course_id=1 user_id=u1 assignment_id=7 workflow_state=graded score=8 \
        created_at=2014-09-01T00:00:00Z submitted_at=2014-10-10T12:00:00Z posted_at=2014-10-20T12:00:00Z \
        updated_at=2014-10-20T12:00:00Z";

    fn view(lines: &[&str], at: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
        let part = part(folder.path(), "submissions", "1", &mut rows("submissions", KNOWN, &lines));
        let cutoff = Cutoff::at(at.parse().unwrap(), jiff::SignedDuration::from_hours(6)).unwrap();
        let view = visible(&table("submissions", KNOWN, vec![part]), cutoff, None).unwrap();
        let columns = ["workflow_state", "submitted_at", "posted_at", "score"].map(col);
        text(&run("submissions", "-", view.select(columns)).unwrap()).replace('\n', " ").trim().to_owned()
    }

    #[test]
    fn reconstructed_rows_show_each_value_from_its_own_time() {
        let hidden = "workflow_state=\"unsubmitted\" submitted_at=null posted_at=null score=null";
        let handed_in = "workflow_state=\"unsubmitted\" submitted_at=2014-10-10 12:00:00 posted_at=null score=null";
        let graded =
            "workflow_state=\"graded\" submitted_at=2014-10-10 12:00:00 posted_at=2014-10-20 12:00:00 score=8.0";

        assert_eq!(view(&[SCORED], "2014-08-31T00:00:00Z"), "");
        assert_eq!(view(&[SCORED], "2014-10-01T00:00:00Z"), hidden);
        assert_eq!(view(&[SCORED], "2014-10-20T12:00:00Z"), handed_in);
        assert_eq!(view(&[SCORED], "2014-10-20T12:00:01Z"), graded);
    }

    #[test]
    fn as_known_rows_are_the_versions_that_stood() {
        let replaced = format!("{SCORED} _known_to=2014-12-08T23:59:59Z");
        let better = format!("{} _known_from=2014-12-08T23:59:59Z", SCORED.replace("score=8", "score=9"));
        let score = |at: &str| view(&[&replaced, &better], at).rsplit('=').next().unwrap().to_owned();

        assert_eq!(score("2014-12-02T00:00:00Z"), "8.0");
        assert_eq!(score("2014-12-08T12:00:00Z"), "8.0");
        assert_eq!(score("2014-12-09T00:00:00Z"), "9.0");
        assert_eq!(score("2014-10-25T00:00:00Z"), "8.0", "reconstructed from the first delivery, not the last");
    }

    #[test]
    fn a_row_learned_within_the_grace_of_what_happened_later_is_not_shown() {
        let later =
            SCORED.replace("created_at=2014-09-01", "created_at=2014-12-02").replace("T00:00:00Z", "T01:00:00Z");

        assert_eq!(view(&[&later], "2014-12-02T00:00:00Z"), "");
    }

    #[test]
    fn an_older_part_without_a_column_shows_nulls_and_one_of_another_type_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let cutoff = Cutoff::at(KNOWN.parse().unwrap(), jiff::SignedDuration::from_hours(6)).unwrap();
        let shown = |change: &dyn Fn(DataFrame) -> DataFrame| {
            let mut frame = change(rows("submissions", KNOWN, &[SCORED.to_owned()]));
            let part = part(folder.path(), "submissions", "1", &mut frame);
            visible(&table("submissions", KNOWN, vec![part]), cutoff, None)
        };

        let older = shown(&|frame| frame.drop("score").unwrap()).unwrap();
        let other = shown(&|frame| frame.lazy().with_column(col("score").cast(DataType::Int64)).collect().unwrap());

        assert_eq!(run("submissions", "-", older).unwrap().column("score").unwrap().null_count(), 1);
        assert!(matches!(other, Err(FeatureError::ColumnType { column, .. }) if column == "score"));
    }
}
