//! What polars answers to the SQL that the lint admits, and to the shipped feature sets and labels, PostgreSQL answers
//! too: value by value, over the same generated rows.
//!
//! The rows have what engines differ on: ties, nulls, duplicates, empty tables, letters beyond ASCII, negative numbers,
//! dates far away. PostgreSQL stands in for "another engine" because the tests have it anyway, and because it has the
//! functions and types that the SQLite that is linked here lacks (LN, FLOOR, POWER, MEDIAN, timestamps): with SQLite the
//! translation would itself be half an engine. What little is translated stands in `peer`.
//!
//! To admit a construct: a query with it in `queries`.

mod peer;
mod queries;
mod rows;

use nocturne::features::{Catalogue, Cutoff, run_query};
use polars::prelude::{AnyValue, DataFrame};

use peer::Peer;
use rows::{Kind, Table};

/// The cutoff, and the one instant that SQL may name.
const AS_OF: &str = "2014-12-02T00:00:00Z";
const TIME: &str = "TIMESTAMP '2014-12-02 00:00:00'";

/// One value of a result, in a form that both engines' values have.
#[derive(Debug, Clone, PartialEq)]
enum Cell {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    /// Microseconds since 1970, of dates and instants.
    Time(i64),
}

/// What was compared, so that a test which compared nothing fails.
#[derive(Debug, Default)]
struct Compared {
    rows: usize,
    values: usize,
    not_null: usize,
}

#[tokio::test]
async fn every_admitted_construct_is_answered_as_postgresql_answers_it() {
    let mut wrong = Vec::new();
    let mut compared = Compared::default();
    for seed in 0..4 {
        let tables = rows::small_tables(seed);
        let mut peer = Peer::with(&tables).await;
        for sql in queries::ADMITTED {
            if let Err(why) = compare(sql, &tables, &mut peer, &mut compared).await {
                wrong.push(format!("seed {seed}: {sql}\n    {why}"));
            }
        }
    }

    assert_eq!(wrong.len(), 0, "{}", wrong.join("\n"));
    assert!(compared.rows > 5_000 && compared.not_null > 10_000, "too little was compared: {compared:?}");
}

#[tokio::test]
async fn the_shipped_sets_and_labels_are_answered_as_postgresql_answers_them() {
    let cutoff = Cutoff::at(AS_OF.parse().unwrap(), jiff::SignedDuration::from_hours(6)).unwrap();
    let catalogue = Catalogue::embedded().unwrap();
    for set in catalogue.sets() {
        let rendered = set.rendered(cutoff).unwrap();
        let mut compared = Compared::default();
        for seed in 0..4 {
            let mut tables = rows::institution(seed);
            let mut peer = Peer::with(&tables).await;
            if let Some((sql, _)) = &rendered.population {
                compare(sql, &tables, &mut peer, &mut compared).await.unwrap();
                tables.push(rows::population(&answered(sql, &tables).unwrap()));
                peer.add(&tables[tables.len() - 1]).await;
            }
            let same = compare(&rendered.sql, &tables, &mut peer, &mut compared).await;
            assert_eq!(same, Ok(()), "{} with seed {seed}", set.name);
        }
        assert!(
            compared.rows > 100 && compared.not_null > 1_000,
            "{}: too little was compared: {compared:?}",
            set.name
        );
    }
}

fn answered(sql: &str, tables: &[Table]) -> Result<DataFrame, String> {
    let frames: Vec<(String, DataFrame)> = tables.iter().map(|table| (table.name.clone(), table.frame())).collect();
    let run = || run_query(sql, &[TIME.to_owned()], &frames).map_err(|error| nocturne::telemetry::chain(&error));
    // polars panics at some queries: that is a difference like any other.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_or_else(|_| Err("polars panics".to_owned()))
}

/// Runs a query on both engines and compares what they say; the order of rows does not count.
async fn compare(sql: &str, tables: &[Table], peer: &mut Peer, compared: &mut Compared) -> Result<(), String> {
    let frame = answered(sql, tables)?;
    let kinds: Vec<Kind> = frame.columns().iter().map(|column| Kind::of(column.dtype())).collect();
    let names: Vec<String> = frame.get_column_names().iter().map(ToString::to_string).collect();
    let ours = sorted((0..frame.height()).map(|row| of_frame(&frame, row)).collect());
    let theirs = sorted(peer.answer(sql, &kinds).await?);
    if ours.len() != theirs.len() {
        return Err(format!("polars gives {} rows, PostgreSQL {}", ours.len(), theirs.len()));
    }
    for (our_row, their_row) in ours.iter().zip(&theirs) {
        if our_row.len() != their_row.len() {
            return Err(format!("polars gives {} columns, PostgreSQL {}", our_row.len(), their_row.len()));
        }
        for ((ours, theirs), name) in our_row.iter().zip(their_row).zip(&names) {
            if !is_same(ours, theirs) {
                return Err(format!("`{name}`: polars gives {ours:?}, PostgreSQL {theirs:?}, in {our_row:?}"));
            }
            compared.values += 1;
            compared.not_null += usize::from(*ours != Cell::Null);
        }
    }
    compared.rows += ours.len();
    Ok(())
}

fn of_frame(frame: &DataFrame, row: usize) -> Vec<Cell> {
    let cell = |value: AnyValue<'_>| match value {
        AnyValue::Null => Cell::Null,
        AnyValue::Boolean(truth) => Cell::Bool(truth),
        AnyValue::Date(days) => Cell::Time(i64::from(days) * 86_400_000_000),
        AnyValue::Datetime(micros, _, _) => Cell::Time(micros),
        AnyValue::String(text) => Cell::Text(text.to_owned()),
        AnyValue::StringOwned(text) => Cell::Text(text.to_string()),
        number => number.extract::<f64>().map_or_else(|| Cell::Text(number.to_string()), Cell::Number),
    };
    frame.columns().iter().map(|column| cell(column.get(row).unwrap())).collect()
}

fn sorted(mut rows: Vec<Vec<Cell>>) -> Vec<Vec<Cell>> {
    // Numbers that differ in their last digits sort alike.
    let key = |cell: &Cell| match cell {
        Cell::Number(number) => format!("{:.7e}", number + 0.0),
        other => format!("{other:?}"),
    };
    rows.sort_by_cached_key(|row| row.iter().map(key).collect::<Vec<_>>());
    rows
}

fn is_same(ours: &Cell, theirs: &Cell) -> bool {
    match (ours, theirs) {
        (Cell::Number(a), Cell::Number(b)) => a == b || (a - b).abs() <= 1e-9 * a.abs().max(b.abs()),
        _ => ours == theirs,
    }
}
