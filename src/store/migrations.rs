//! The schema's history, embedded: which migrations there are, and how they are applied.
//!
//! All pending migrations are applied in one transaction, so a database has the old schema or the new one; two programs
//! that start at once wait for each other (SQLite: the write lock; PostgreSQL: an advisory lock). A database that a
//! newer program has migrated is refused before anything is changed.

use sqlx::migrate::{Migrate, MigrateError, Migration, MigrationType, Migrator};
use sqlx::{PgPool, SqlSafeStr, SqlitePool};

use super::database::{Database, Pools};
use super::error::StoreError;
use super::row::Row;

/// The migrations of both databases: number, name, text for SQLite, text for PostgreSQL.
const MIGRATIONS: [(i64, &str, &str, &str); 7] = [
    (
        1,
        "state",
        include_str!("../../sql/migrations/sqlite/0001_state.sql"),
        include_str!("../../sql/migrations/postgres/0001_state.sql"),
    ),
    (
        2,
        "survival",
        include_str!("../../sql/migrations/sqlite/0002_survival.sql"),
        include_str!("../../sql/migrations/postgres/0002_survival.sql"),
    ),
    (
        3,
        "mail",
        include_str!("../../sql/migrations/sqlite/0003_mail.sql"),
        include_str!("../../sql/migrations/postgres/0003_mail.sql"),
    ),
    (
        4,
        "keeping",
        include_str!("../../sql/migrations/sqlite/0004_keeping.sql"),
        include_str!("../../sql/migrations/postgres/0004_keeping.sql"),
    ),
    (
        5,
        "repair",
        include_str!("../../sql/migrations/sqlite/0005_repair.sql"),
        include_str!("../../sql/migrations/postgres/0005_repair.sql"),
    ),
    (
        6,
        "measurements",
        include_str!("../../sql/migrations/sqlite/0006_measurements.sql"),
        include_str!("../../sql/migrations/postgres/0006_measurements.sql"),
    ),
    (
        7,
        "alerts",
        include_str!("../../sql/migrations/sqlite/0007_alerts.sql"),
        include_str!("../../sql/migrations/postgres/0007_alerts.sql"),
    ),
];

/// The newest schema that this program knows.
pub(super) const KNOWN: i64 = MIGRATIONS[MIGRATIONS.len() - 1].0;

/// An arbitrary number: programs that migrate the same PostgreSQL database wait for each other on it.
const POSTGRES_LOCK: &str = "SELECT pg_advisory_xact_lock(7401988203114422)";

const HAS_SCHEMA_SQLITE: &str = "SELECT COUNT(*) AS n FROM sqlite_master WHERE name = '_sqlx_migrations'";
const HAS_SCHEMA_POSTGRES: &str = "SELECT COUNT(*) AS n FROM pg_catalog.pg_tables \
    WHERE tablename = '_sqlx_migrations' AND schemaname = ANY (current_schemas(false))";
const SCHEMA: &str = "SELECT COALESCE(MAX(version), 0) AS schema FROM _sqlx_migrations";

/// Brings a database to the newest schema and returns the one it had before (0: none).
pub(super) async fn apply(database: &Database) -> Result<i64, StoreError> {
    let found = match &database.pools {
        Pools::Sqlite { write, .. } => apply_to_sqlite(write).await,
        Pools::Postgres(pool) => apply_to_postgres(pool).await,
    };
    let found = found.map_err(|cause| StoreError::Migrate { url: database.url.clone(), cause })?;
    let found = refuse_newer(database, found)?;
    if found < KNOWN {
        tracing::info!(from = found, to = KNOWN, "Migrated the state store {}", database.url);
    }
    Ok(found)
}

/// Returns the schema that a database has (0: none), and changes nothing.
pub(super) async fn found(database: &Database) -> Result<i64, StoreError> {
    let found = schema_of(database).await?;
    refuse_newer(database, found)
}

/// Returns the schema that a database has (0: none), be it newer than this program's.
pub(super) async fn schema_of(database: &Database) -> Result<i64, StoreError> {
    let has_schema = match &database.pools {
        Pools::Sqlite { .. } => HAS_SCHEMA_SQLITE,
        Pools::Postgres(_) => HAS_SCHEMA_POSTGRES,
    };
    let count = |row: Option<Row>, column| row.map_or(Ok(0), |row| row.int(column));
    let has_schema = count(database.row("looking for the schema", has_schema, &[]).await?, "n")? > 0;
    if !has_schema {
        return Ok(0);
    }
    count(database.row("reading the schema's version", SCHEMA, &[]).await?, "schema")
}

fn refuse_newer(database: &Database, found: i64) -> Result<i64, StoreError> {
    if found > KNOWN {
        return Err(StoreError::Newer { url: database.url.clone(), found, known: KNOWN });
    }
    Ok(found)
}

async fn apply_to_sqlite(pool: &SqlitePool) -> Result<i64, MigrateError> {
    let migrator = migrator(|(_, _, sqlite, _)| sqlite);
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
    let found = apply_within(&mut *tx, &migrator).await?;
    tx.commit().await?;
    Ok(found)
}

async fn apply_to_postgres(pool: &PgPool) -> Result<i64, MigrateError> {
    let migrator = migrator(|(_, _, _, postgres)| postgres);
    let mut tx = pool.begin().await?;
    sqlx::query(POSTGRES_LOCK).execute(&mut *tx).await?;
    let found = apply_within(&mut *tx, &migrator).await?;
    tx.commit().await?;
    Ok(found)
}

/// Within one transaction: sqlx's own transactions become savepoints of it.
async fn apply_within<C: Migrate>(connection: &mut C, migrator: &Migrator) -> Result<i64, MigrateError> {
    connection.ensure_migrations_table(&migrator.table_name).await?;
    let applied = connection.list_applied_migrations(&migrator.table_name).await?;
    let found = applied.iter().map(|migration| migration.version).max().unwrap_or(0);
    if found <= KNOWN {
        // `run` is this with an `Acquire` bound, whose lifetimes keep the future from being `Send`.
        migrator.run_direct(None, connection, false).await?;
    }
    Ok(found)
}

fn migrator(text_of: fn(&(i64, &'static str, &'static str, &'static str)) -> &'static str) -> Migrator {
    let migrations = MIGRATIONS.iter().map(|migration| {
        let sql = text_of(migration).into_sql_str();
        Migration::new(migration.0, migration.1.into(), MigrationType::Simple, sql, false)
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    // Both transactions above already keep others out; sqlx's lock would be released before they commit.
    migrator.set_locking(false);
    migrator
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The statements under `sql/state` are shared, so the tables must be.
    #[test]
    fn both_databases_have_the_same_tables_but_for_the_key_of_events_and_the_reading_of_json() {
        let mut meant = vec![
            "seq    INTEGER PRIMARY KEY AUTOINCREMENT,",
            "JOIN json_each(o.recipients) AS e;",
            "UPDATE attempts SET outcome = json_remove(outcome, '$.mails')",
        ];
        for (number, _, sqlite, postgres) in MIGRATIONS {
            let statements = |text: &'static str| text.lines().filter(|line| !line.starts_with("--"));
            let pairs = statements(sqlite).zip(statements(postgres));
            let different: Vec<_> = pairs.filter(|(a, b)| a != b).map(|(a, _)| a.trim()).collect();

            assert_eq!(statements(sqlite).count(), statements(postgres).count(), "migration {number}");
            for line in different {
                assert!(meant.contains(&line), "migration {number}: {line}");
                meant.retain(|left| *left != line);
            }
        }
        assert_eq!(meant, Vec::<&str>::new());
    }

    #[test]
    fn migrations_are_numbered_without_gaps() {
        let numbers: Vec<_> = MIGRATIONS.iter().map(|migration| migration.0).collect();

        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    }
}
