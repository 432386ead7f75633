//! PostgreSQL as the engine that polars is compared with, and the few words that are other words there.
//!
//! - `DOUBLE` is `DOUBLE PRECISION`;
//! - `MEDIAN` is an aggregate of our own there;
//! - a cast to BIGINT cuts off (PostgreSQL rounds) and takes truth values, one to BOOLEAN takes numbers: functions;
//! - a `SUM` of whole numbers is a whole number (PostgreSQL widens it to NUMERIC, which divides otherwise).

use std::ops::ControlFlow;

use serde_json::Value;
use sqlparser::ast::{Expr, VisitMut as _, VisitorMut};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::Cell;
use super::rows::{Kind, Table};
use crate::support::postgres::new_database;

const FUNCTIONS: &str = "
    CREATE FUNCTION to_bigint(v DOUBLE PRECISION) RETURNS BIGINT LANGUAGE sql IMMUTABLE AS 'SELECT TRUNC(v)::BIGINT';
    CREATE FUNCTION to_bigint(v NUMERIC) RETURNS BIGINT LANGUAGE sql IMMUTABLE AS 'SELECT TRUNC(v)::BIGINT';
    CREATE FUNCTION to_bigint(v BIGINT) RETURNS BIGINT LANGUAGE sql IMMUTABLE AS 'SELECT v';
    CREATE FUNCTION to_bigint(v INTEGER) RETURNS BIGINT LANGUAGE sql IMMUTABLE AS 'SELECT v::BIGINT';
    CREATE FUNCTION to_bigint(v BOOLEAN) RETURNS BIGINT LANGUAGE sql IMMUTABLE AS 'SELECT v::INTEGER::BIGINT';
    CREATE FUNCTION to_boolean(v DOUBLE PRECISION) RETURNS BOOLEAN LANGUAGE sql IMMUTABLE AS 'SELECT v <> 0';
    CREATE FUNCTION median_of(v DOUBLE PRECISION[]) RETURNS DOUBLE PRECISION LANGUAGE sql IMMUTABLE AS
        'SELECT PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY x) FROM UNNEST(v) AS x';
    CREATE AGGREGATE median(DOUBLE PRECISION) (
        SFUNC = array_append, STYPE = DOUBLE PRECISION[], FINALFUNC = median_of, INITCOND = '{}'
    );";

/// A database with the rows.
pub(super) struct Peer(PgConnection);

impl Peer {
    pub(super) async fn with(tables: &[Table]) -> Self {
        let mut connection = PgConnection::connect(&new_database().await).await.unwrap();
        sqlx::raw_sql(FUNCTIONS).execute(&mut connection).await.unwrap();
        let mut peer = Self(connection);
        for table in tables {
            peer.add(table).await;
        }
        peer
    }

    pub(super) async fn add(&mut self, table: &Table) {
        sqlx::raw_sql(AssertSqlSafe(table.statements())).execute(&mut self.0).await.unwrap();
    }

    /// Returns the rows of a query, its columns read as these kinds.
    pub(super) async fn answer(&mut self, sql: &str, kinds: &[Kind]) -> Result<Vec<Vec<Cell>>, String> {
        let sql = format!("SELECT ROW_TO_JSON(answer_row)::TEXT FROM ({}) AS answer_row", translated(sql));
        let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql.clone()))
            .fetch_all(&mut self.0)
            .await
            .map_err(|error| format!("PostgreSQL: {error}: {sql}"))?;
        rows.iter().map(|row| cells(row, kinds)).collect()
    }
}

fn cells(row: &str, kinds: &[Kind]) -> Result<Vec<Cell>, String> {
    let row: serde_json::Map<String, Value> = serde_json::from_str(row).map_err(|error| error.to_string())?;
    row.into_iter().zip(kinds).map(|((_, value), kind)| cell(value, *kind)).collect()
}

fn cell(value: Value, kind: Kind) -> Result<Cell, String> {
    Ok(match (value, kind) {
        (Value::Null, _) => Cell::Null,
        (Value::Bool(truth), _) => Cell::Bool(truth),
        (Value::Number(number), _) => number.as_f64().map_or(Cell::Null, Cell::Number),
        (Value::String(text), Kind::Time | Kind::Date) => {
            let at: jiff::civil::DateTime = text.parse().map_err(|error| format!("PostgreSQL: {error}"))?;
            Cell::Time(at.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_microsecond())
        }
        (Value::String(text), _) => Cell::Text(text),
        (other, _) => Cell::Text(other.to_string()),
    })
}

fn translated(sql: &str) -> String {
    let mut statements = Parser::parse_sql(&GenericDialect, sql).unwrap();
    let ControlFlow::Continue(()) = statements.visit(&mut Words);
    statements.remove(0).to_string()
}

struct Words;

impl VisitorMut for Words {
    type Break = std::convert::Infallible;

    fn post_visit_expr(&mut self, expression: &mut Expr) -> ControlFlow<Self::Break> {
        let other = match &*expression {
            Expr::Cast { expr, data_type, .. } => match data_type.to_string().to_ascii_uppercase().as_str() {
                "BIGINT" => format!("to_bigint({expr})"),
                "BOOLEAN" => format!("to_boolean({expr})"),
                "DOUBLE" => format!("CAST({expr} AS DOUBLE PRECISION)"),
                _ => return ControlFlow::Continue(()),
            },
            Expr::Function(function) if function.name.to_string().eq_ignore_ascii_case("sum") => {
                format!("to_bigint({function})")
            }
            _ => return ControlFlow::Continue(()),
        };
        *expression = Parser::new(&GenericDialect).try_with_sql(&other).unwrap().parse_expr().unwrap();
        ControlFlow::Continue(())
    }
}
