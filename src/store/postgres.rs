//! PostgreSQL: how to reach the server.
//!
//! sqlx interprets everything in the server's URL (`sslmode`, `host=/socket/folder`, …); `PGPASSFILE` works, so the URL
//! needs no password. Only user, host, port and database are shown. Every write transaction that belongs to a run
//! starts by updating the run's row, and shared rows are updated in the order of their keys, so transactions wait for
//! each other but never deadlock.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::database::{Database, Pools};
use super::error::StoreError;

const CONNECTIONS: u32 = 8;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);

/// Opens the database that `url` names.
pub(super) async fn connect(url: &str) -> Result<Database, StoreError> {
    let options: PgConnectOptions = url
        .parse()
        .map_err(|cause| StoreError::Open { url: "postgres://… (the URL is not readable)".to_owned(), cause })?;
    // An owner that hangs inside a transaction locks rows; they are free before another process may take over.
    let options = options
        .application_name("nocturne")
        .options([("lock_timeout", "30s"), ("idle_in_transaction_session_timeout", "10s")]);
    let shown = shown(&options);

    let pool = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(ACQUIRE_TIMEOUT);
    let pool = pool.connect_with(options).await.map_err(|cause| StoreError::Open { url: shown.clone(), cause })?;
    Ok(Database { url: shown, pools: Pools::Postgres(pool) })
}

fn shown(options: &PgConnectOptions) -> String {
    let host = options.get_socket().map_or_else(|| options.get_host().to_owned(), |path| path.display().to_string());
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    format!("postgres://{}@{host}:{}/{database}", options.get_username(), options.get_port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_not_shown() {
        let options: PgConnectOptions = "postgres://night:hunter2@db.example.edu:5433/state".parse().unwrap();

        assert_eq!(shown(&options), "postgres://night@db.example.edu:5433/state");
    }
}
