//! What every action on a run needs: the run that a person names, who asks, and how long something took.
//!
//! A run is named by its id, by its DAG with or without a date, or as `last`; a name that fits no run is an error.

use crate::app::App;
use crate::cli::follow::unreachable;
use crate::cli::{ExitCode, Failure};
use crate::domain::ids::{DagName, RunId};
use crate::domain::manual::Manual;
use crate::store::{RunFilter, RunRecord};

/// Returns the run that `text` names.
pub(super) async fn find(app: &App, text: &str) -> Result<RunRecord, Failure> {
    if let Some(run) = app.store.run(&RunId::from_stored(text.to_owned())).await.map_err(unreachable)? {
        return Ok(run);
    }
    let newest = |filter: RunFilter| async move {
        let filter = RunFilter { limit: Some(1), ..filter };
        Ok::<_, Failure>(app.store.runs(&filter).await.map_err(unreachable)?.into_iter().next())
    };
    let (dag, date) = match text.rsplit_once('.') {
        Some((dag, date)) => (dag, date.parse().ok()),
        None => (text, None),
    };
    let found = match dag.parse::<DagName>() {
        _ if text == "last" => newest(RunFilter::default()).await?,
        Ok(dag) if date.is_some() || !text.contains('.') => {
            newest(RunFilter { dag: Some(dag), logical_date: date, ..RunFilter::default() }).await?
        }
        _ => None,
    };
    found.ok_or_else(|| {
        let error = anyhow::anyhow!("there is no run `{text}`; `nocturne runs list` shows those there are");
        Failure::new(ExitCode::NotFound, error)
    })
}

/// Returns who asks, and why.
pub(super) fn manual(app: &App, why: Option<String>) -> Manual {
    Manual { by: app.account.clone(), why }
}

/// Returns how long a run or a job took, for people.
pub(super) fn took(from: Option<jiff::Timestamp>, to: Option<jiff::Timestamp>) -> String {
    let took = from.zip(to).map(|(from, to)| to.duration_since(from).as_secs_f64().max(0.0));
    took.map_or_else(String::new, |seconds| format!("{seconds:.1} s"))
}
