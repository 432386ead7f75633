//! Runs queries on polars' streaming engine, which keeps memory bounded where it can, on a stack that is deep enough.
//!
//! Synchronous: callers on the async runtime wrap a whole build in `telemetry::spawn_blocking`. polars plans a query by
//! recursion over its steps, and a feature set of a dozen WITH steps needs more than the 2 MiB of a worker's stack when
//! polars is built without optimisation; so each build runs on its own thread. The row order of a result is that of the
//! query's sort; nothing may rely on any other order.

use std::panic::resume_unwind;
use std::thread;

use polars::prelude::*;

use super::error::FeatureError;

const STACK_BYTES: usize = 64 * 1024 * 1024;

/// Runs `frame`, which computes `set` as of the partition `as_of`.
///
/// # Errors
/// When polars cannot compute it.
pub(super) fn run(set: &str, as_of: &str, frame: LazyFrame) -> Result<DataFrame, FeatureError> {
    frame
        .collect_with_engine(Engine::Streaming)
        .and_then(|result| typed(result.unwrap_single()))
        .map_err(FeatureError::compute(set, as_of))
}

/// Gives each column a type that can be stored.
///
/// Where a query had no rows, polars leaves `SUM(CASE … THEN 1 ELSE 0 END)` at the open type of its literals, and
/// panics when the column is joined.
fn typed(mut frame: DataFrame) -> PolarsResult<DataFrame> {
    if frame.height() > 0 {
        return Ok(frame);
    }
    let open = |column: &&Column| matches!(column.dtype(), DataType::Unknown(_));
    let open: Vec<Column> = frame.columns().iter().filter(open).cloned().collect();
    for column in open {
        let dtype = column.dtype().clone().materialize_unknown(false)?;
        frame.with_column(Column::full_null(column.name().clone(), 0, &dtype))?;
    }
    Ok(frame)
}

/// Runs `work` on a thread with a deep stack and waits for it; a panic is propagated to the caller.
///
/// # Errors
/// Those of `work`, or when the system cannot start a thread.
pub(super) fn on_deep_stack<T: Send>(work: impl FnOnce() -> Result<T, FeatureError> + Send) -> Result<T, FeatureError> {
    thread::scope(|scope| {
        thread::Builder::new()
            .name("features".to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, work)
            .map_err(FeatureError::Thread)?
            .join()
            .unwrap_or_else(|panic| resume_unwind(panic))
    })
}
