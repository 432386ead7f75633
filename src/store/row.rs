//! A row of either database, and its columns as typed values.
//!
//! Anything that does not parse is an error that names the column and what was found, never a default. For JSON only
//! the position of the mistake is reported: outcomes and e-mails do not belong in error texts.

use std::str::FromStr;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;

use super::error::StoreError;

/// A row.
pub(super) enum Row {
    /// Of SQLite.
    Sqlite(SqliteRow),
    /// Of PostgreSQL.
    Postgres(PgRow),
}

impl Row {
    /// Wraps the rows of SQLite.
    pub(super) fn all_sqlite(rows: Vec<SqliteRow>) -> Vec<Self> {
        rows.into_iter().map(Self::Sqlite).collect()
    }

    /// Wraps the rows of PostgreSQL.
    pub(super) fn all_postgres(rows: Vec<PgRow>) -> Vec<Self> {
        rows.into_iter().map(Self::Postgres).collect()
    }

    /// Returns a text column.
    pub(super) fn text(&self, column: &'static str) -> Result<String, StoreError> {
        self.text_or_null(column)?.ok_or_else(|| null(column))
    }

    /// Returns a text column that may be NULL.
    pub(super) fn text_or_null(&self, column: &'static str) -> Result<Option<String>, StoreError> {
        let value = match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        };
        value.map_err(|cause| StoreError::Query { operation: "reading a text column", cause })
    }

    /// Returns a number.
    pub(super) fn int(&self, column: &'static str) -> Result<i64, StoreError> {
        self.int_or_null(column)?.ok_or_else(|| null(column))
    }

    /// Returns a number that may be NULL.
    pub(super) fn int_or_null(&self, column: &'static str) -> Result<Option<i64>, StoreError> {
        let value = match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        };
        value.map_err(|cause| StoreError::Query { operation: "reading a number column", cause })
    }

    /// Returns a figure.
    pub(super) fn number(&self, column: &'static str) -> Result<f64, StoreError> {
        let value = match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        };
        value.map_err(|cause| StoreError::Query { operation: "reading a figure", cause })
    }

    /// Returns a number of another width.
    pub(super) fn count<T: TryFrom<i64>>(&self, column: &'static str) -> Result<T, StoreError> {
        let number = self.int(column)?;
        T::try_from(number).map_err(|_| StoreError::Unreadable { what: column, found: number.to_string() })
    }

    /// Returns a boolean.
    pub(super) fn flag(&self, column: &'static str) -> Result<bool, StoreError> {
        match self.int(column)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(StoreError::Unreadable { what: column, found: other.to_string() }),
        }
    }

    /// Returns an instant.
    pub(super) fn instant(&self, column: &'static str) -> Result<Timestamp, StoreError> {
        self.instant_or_null(column)?.ok_or_else(|| null(column))
    }

    /// Returns an instant that may be NULL.
    pub(super) fn instant_or_null(&self, column: &'static str) -> Result<Option<Timestamp>, StoreError> {
        let Some(micros) = self.int_or_null(column)? else {
            return Ok(None);
        };
        Timestamp::from_microsecond(micros)
            .map(Some)
            .map_err(|_| StoreError::Unreadable { what: column, found: micros.to_string() })
    }

    /// Returns a word or name as its type.
    pub(super) fn parse<T: FromStr>(&self, column: &'static str) -> Result<T, StoreError> {
        let text = self.text(column)?;
        text.parse().map_err(|_| StoreError::Unreadable { what: column, found: text })
    }

    /// Returns a JSON column as its type.
    pub(super) fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, StoreError> {
        from_json(column, &self.text(column)?)
    }

    /// Returns a JSON column that may be NULL.
    pub(super) fn json_or_null<T: DeserializeOwned>(&self, column: &'static str) -> Result<Option<T>, StoreError> {
        self.text_or_null(column)?.map(|text| from_json(column, &text)).transpose()
    }

    /// Returns a word that serde knows (an enum without fields).
    pub(super) fn word<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, StoreError> {
        let text = self.text(column)?;
        serde_json::from_value(serde_json::Value::String(text.clone()))
            .map_err(|_| StoreError::Unreadable { what: column, found: text })
    }
}

fn from_json<T: DeserializeOwned>(column: &'static str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Unreadable {
        what: column,
        found: format!("JSON of {} characters, line {} column {}", text.len(), error.line(), error.column()),
    })
}

fn null(column: &'static str) -> StoreError {
    StoreError::Unreadable { what: column, found: "NULL".to_owned() }
}
