//! One interface to either database: transactions, statements, values.
//!
//! A statement's text, its parameters ([`Bind`]) and its columns (`row::Row`) are the same for SQLite and PostgreSQL,
//! so each operation of the store is written once. Below are two typed pools; sqlx's `Any` is not used, and nothing but
//! text, 64-bit integers and 64-bit floating-point numbers goes in or out. A [`Transaction`] that is dropped is rolled back.
//!
//! It promises that a write transaction on SQLite holds the write lock from its start (`BEGIN IMMEDIATE`): one that
//! reads first and writes later could fail at once, whatever the busy time-out.

use std::borrow::Cow;

use jiff::Timestamp;
use sqlx::{PgPool, Postgres, Sqlite, SqlitePool};

use super::error::StoreError;
use super::row::Row;
use crate::domain::ids::{DagName, JobName, RunId};

/// An open database.
#[derive(Debug)]
pub(super) struct Database {
    /// Its URL, without password.
    pub(super) url: String,
    /// Its pools.
    pub(super) pools: Pools,
}

/// The typed pools.
#[derive(Debug)]
pub(super) enum Pools {
    /// One connection writes, others read.
    Sqlite {
        /// The only connection that writes.
        write: SqlitePool,
        /// Those that read.
        read: SqlitePool,
    },
    /// Every connection does both.
    Postgres(PgPool),
}

/// A write transaction; all its errors name the operation.
pub(super) struct Transaction {
    operation: &'static str,
    inner: Inner,
}

enum Inner {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

/// A statement's parameter.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bind<'a> {
    /// Text, or NULL where text belongs.
    Text(Option<&'a str>),
    /// A number, or NULL where a number belongs.
    Int(Option<i64>),
    /// A figure.
    Number(f64),
}

/// Builds the query for whichever database the context uses.
macro_rules! bound {
    ($sql:expr, $binds:expr) => {{
        let mut query = sqlx::query($sql);
        for bind in $binds {
            query = match bind {
                Bind::Text(text) => query.bind(text.map(storable)),
                Bind::Int(number) => query.bind(*number),
                Bind::Number(figure) => query.bind(*figure),
            };
        }
        query
    }};
}

impl Database {
    /// Begins a write transaction.
    pub(super) async fn begin(&self, operation: &'static str) -> Result<Transaction, StoreError> {
        let inner = match &self.pools {
            Pools::Sqlite { write, .. } => write.begin_with("BEGIN IMMEDIATE").await.map(Inner::Sqlite),
            Pools::Postgres(pool) => pool.begin().await.map(Inner::Postgres),
        };
        Ok(Transaction { operation, inner: inner.map_err(|cause| StoreError::Query { operation, cause })? })
    }

    /// Returns the rows of one reading statement, which sees one state of the database.
    pub(super) async fn rows(
        &self,
        operation: &'static str,
        sql: &'static str,
        binds: &[Bind<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        let rows = match &self.pools {
            Pools::Sqlite { read, .. } => bound!(sql, binds).fetch_all(read).await.map(Row::all_sqlite),
            Pools::Postgres(pool) => bound!(sql, binds).fetch_all(pool).await.map(Row::all_postgres),
        };
        rows.map_err(|cause| StoreError::Query { operation, cause })
    }

    /// Returns the first row of one reading statement.
    pub(super) async fn row(
        &self,
        operation: &'static str,
        sql: &'static str,
        binds: &[Bind<'_>],
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(operation, sql, binds).await?.into_iter().next())
    }
}

impl Transaction {
    /// Runs a statement and returns how many rows it changed.
    pub(super) async fn execute(&mut self, sql: &'static str, binds: &[Bind<'_>]) -> Result<u64, StoreError> {
        let changed = match &mut self.inner {
            Inner::Sqlite(tx) => bound!(sql, binds).execute(&mut **tx).await.map(|done| done.rows_affected()),
            Inner::Postgres(tx) => bound!(sql, binds).execute(&mut **tx).await.map(|done| done.rows_affected()),
        };
        changed.map_err(|cause| self.failed(cause))
    }

    /// Runs a statement and returns its rows.
    pub(super) async fn rows(&mut self, sql: &'static str, binds: &[Bind<'_>]) -> Result<Vec<Row>, StoreError> {
        let rows = match &mut self.inner {
            Inner::Sqlite(tx) => bound!(sql, binds).fetch_all(&mut **tx).await.map(Row::all_sqlite),
            Inner::Postgres(tx) => bound!(sql, binds).fetch_all(&mut **tx).await.map(Row::all_postgres),
        };
        rows.map_err(|cause| self.failed(cause))
    }

    /// Runs a statement and returns its first row.
    pub(super) async fn row(&mut self, sql: &'static str, binds: &[Bind<'_>]) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, binds).await?.into_iter().next())
    }

    /// Commits everything that was written in it.
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        let committed = match self.inner {
            Inner::Sqlite(tx) => tx.commit().await,
            Inner::Postgres(tx) => tx.commit().await,
        };
        committed.map_err(|cause| StoreError::Query { operation: self.operation, cause })
    }

    /// Returns `value` as JSON text.
    pub(super) fn json(&self, what: &'static str, value: &impl serde::Serialize) -> Result<String, StoreError> {
        serde_json::to_string(value).map_err(|cause| StoreError::Encode { operation: self.operation, what, cause })
    }

    fn failed(&self, cause: sqlx::Error) -> StoreError {
        StoreError::Query { operation: self.operation, cause }
    }
}

/// Returns `text` in a form that both databases can store: PostgreSQL's text has no NUL, and a program's error message
/// may.
pub(super) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

macro_rules! bind_text {
    ($($type:ty),+) => {$(
        impl<'a> From<&'a $type> for Bind<'a> {
            fn from(value: &'a $type) -> Self {
                Self::Text(Some(value.as_str()))
            }
        }
    )+};
}

bind_text!(String, DagName, JobName, RunId);

impl<'a> From<&'a str> for Bind<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Some(text))
    }
}

impl<'a> From<Option<&'a str>> for Bind<'a> {
    fn from(text: Option<&'a str>) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Bind<'_> {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}

impl From<u32> for Bind<'_> {
    fn from(number: u32) -> Self {
        Self::Int(Some(i64::from(number)))
    }
}

impl From<Timestamp> for Bind<'_> {
    fn from(instant: Timestamp) -> Self {
        Self::Int(Some(instant.as_microsecond()))
    }
}

impl From<Option<Timestamp>> for Bind<'_> {
    fn from(instant: Option<Timestamp>) -> Self {
        Self::Int(instant.map(Timestamp::as_microsecond))
    }
}
