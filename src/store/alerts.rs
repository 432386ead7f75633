//! Alerts, as a commit writes them and as an attempt reads them.
//!
//! A night's commit writes what the night knows, and what became of it; what people did about an alert (`alert_book`) is in
//! columns of its own, which it leaves alone. A run for an earlier date than one that succeeded writes none.

use jiff::ToSpan as _;
use jiff::civil::Date;

use super::database::Transaction;
use super::error::StoreError;
use super::hold::Held;
use super::job_at::JobAt;
use super::row::Row;
use crate::domain::alert::{AlertEvent, AlertStep, LONGEST_COOLDOWN_NIGHTS, Silence, StandingAlert};
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
            let binds = [state.id.as_str().into(), (&date).into(), event.as_str().into(), at.now.into()];
            tx.execute(EVENT_PUT, &binds).await?;
        }
    }
    Ok(())
}

/// Returns the alerts of a run's DAG that its night knows: those that stand, and those that may come back.
pub(super) async fn standing(tx: &mut Transaction, run: &Held) -> Result<Vec<StandingAlert>, StoreError> {
    let (date, since) = (run.date.to_string(), may_come_back_since(run.date).to_string());
    tx.rows(STANDING, &[(&run.dag).into(), (&date).into(), (&since).into()]).await?.iter().map(alert_of).collect()
}

/// Since when an alert must have been resolved to be known still.
pub(super) fn may_come_back_since(date: Date) -> Date {
    date.saturating_sub(LONGEST_COOLDOWN_NIGHTS.days())
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
