//! Alerts, as a commit writes them and as an attempt reads them.
//!
//! A night's commit writes what the night knows, and what became of it; what people did about an alert (`alert_book`) is in
//! columns of its own, which it leaves alone. A run for an earlier date than one that succeeded writes none.

use super::database::Transaction;
use super::error::StoreError;
use super::hold::Held;
use super::job_at::JobAt;
use super::row::Row;
use crate::domain::alert::{AlertEvent, AlertStep, Silence, StandingAlert};
use crate::domain::manual::Manual;

const PUT: &str = include_str!("../../sql/state/alert_put.sql");
const EVENT_PUT: &str = include_str!("../../sql/state/alert_event_put.sql");
const STANDING: &str = include_str!("../../sql/state/alerts_standing.sql");

/// Writes what a night makes of alerts.
pub(super) async fn put(
    tx: &mut Transaction,
    run: &Held,
    at: JobAt<'_>,
    steps: &[AlertStep],
) -> Result<(), StoreError> {
    let mut sorted: Vec<_> = steps.iter().collect();
    sorted.sort_by(|a, b| a.state.id.cmp(&b.state.id));
    let date = run.date.to_string();
    for AlertStep { state, event } in sorted {
        let (opened, resolved) = (state.opened_on.to_string(), state.resolved_on.map(|date| date.to_string()));
        let json = tx.json("an alert", state)?;
        let binds = [
            state.id.as_str().into(),
            (&state.dag).into(),
            (&opened).into(),
            resolved.as_deref().into(),
            (&json).into(),
            at.now.into(),
        ];
        tx.execute(PUT, &binds).await?;
        if *event != AlertEvent::Same && *event != AlertEvent::NotLookedAt {
            let binds = [state.id.as_str().into(), (&date).into(), event_word(*event).into(), at.now.into()];
            tx.execute(EVENT_PUT, &binds).await?;
        }
    }
    Ok(())
}

const fn event_word(event: AlertEvent) -> &'static str {
    match event {
        AlertEvent::Opened => "opened",
        AlertEvent::Worse => "worse",
        AlertEvent::Same => "same",
        AlertEvent::NotLookedAt => "not_looked_at",
        AlertEvent::Resolved => "resolved",
    }
}

/// Returns the alerts of a run's DAG that stand in its night.
pub(super) async fn standing(tx: &mut Transaction, run: &Held) -> Result<Vec<StandingAlert>, StoreError> {
    let date = run.date.to_string();
    tx.rows(STANDING, &[(&run.dag).into(), (&date).into()]).await?.iter().map(alert_of).collect()
}

/// Reads an alert.
pub(super) fn alert_of(row: &Row) -> Result<StandingAlert, StoreError> {
    let manual = |by: Option<String>, why: Option<String>| by.map(|by| Manual { by, why });
    let acknowledged = manual(row.text_or_null("acknowledged_by")?, row.text_or_null("acknowledged_why")?);
    let silenced_by = manual(row.text_or_null("silenced_by")?, row.text_or_null("silenced_why")?);
    let silenced = row.instant_or_null("silenced_until")?.zip(silenced_by);
    Ok(StandingAlert {
        state: row.json("state")?,
        acknowledged,
        silenced: silenced.map(|(until, manual)| Silence { until, manual }),
    })
}
