//! What people do about alerts, each act in one transaction with its entry in the audit log.

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;

use super::alert_contract::{AlertBook, AlertNews, Which};
use super::alerts::{alert_of, may_come_back_since};
use super::audit::{self, Origin};
use super::error::StoreError;
use super::sql_store::SqlStore;
use crate::domain::alert::{Silence, StandingAlert};
use crate::domain::ids::DagName;
use crate::domain::manual::Manual;

const SELECT: &str = include_str!("../../sql/state/alerts_select.sql");
const STANDING: &str = include_str!("../../sql/state/alerts_standing.sql");
const ACKNOWLEDGE: &str = "UPDATE alerts SET acknowledged_by = $2, acknowledged_why = COALESCE($3, acknowledged_why) \
                           WHERE alert = $1 AND resolved_on IS NULL";
const SILENCE: &str = "UPDATE alerts SET silenced_until = $2, silenced_by = $3, silenced_why = $4 \
                       WHERE alert = $1 AND resolved_on IS NULL";
const HISTORY: &str = "SELECT alert, logical_date, event, at FROM alert_events \
                       WHERE $1 = '' OR alert = $1 ORDER BY at DESC, alert LIMIT $2";

#[async_trait]
impl AlertBook for SqlStore {
    async fn alerts(&self, which: Which, most: u32) -> Result<Vec<StandingAlert>, StoreError> {
        let all: i64 = if which == Which::All { 1 } else { 0 };
        let rows = self.database.rows("listing the alerts", SELECT, &[all.into(), most.into()]).await?;
        rows.iter().map(alert_of).collect()
    }

    async fn alerts_standing_in(&self, dag: &DagName, date: Date) -> Result<Vec<StandingAlert>, StoreError> {
        let (date, since) = (date.to_string(), may_come_back_since(date).to_string());
        let binds = [dag.into(), (&date).into(), (&since).into()];
        let rows = self.database.rows("reading the alerts that stand", STANDING, &binds).await?;
        rows.iter().map(alert_of).collect()
    }

    async fn acknowledge(&self, alert: &str, manual: &Manual, now: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.database.begin("acknowledging an alert").await?;
        let binds = [alert.into(), manual.by.as_str().into(), manual.why.as_deref().into()];
        let is_there = tx.execute(ACKNOWLEDGE, &binds).await? == 1;
        if is_there {
            let said = manual.did(&format!("acknowledged the alert {alert}"));
            audit::append(&mut tx, Origin::default(), &said, now).await?;
        }
        tx.commit().await?;
        Ok(is_there)
    }

    async fn silence(&self, alert: &str, silence: &Silence, now: Timestamp) -> Result<bool, StoreError> {
        let Silence { until, manual } = silence;
        let mut tx = self.database.begin("silencing an alert").await?;
        let binds = [alert.into(), (*until).into(), manual.by.as_str().into(), manual.why.as_deref().into()];
        let is_there = tx.execute(SILENCE, &binds).await? == 1;
        if is_there {
            let act = match *until > now {
                true => format!("silenced the alert {alert} until {until}"),
                false => format!("lifted the silence of the alert {alert}"),
            };
            let said = manual.did(&act);
            audit::append(&mut tx, Origin::default(), &said, now).await?;
        }
        tx.commit().await?;
        Ok(is_there)
    }

    async fn alert_history(&self, alert: Option<&str>, most: u32) -> Result<Vec<AlertNews>, StoreError> {
        let binds = [alert.unwrap_or_default().into(), most.into()];
        let rows = self.database.rows("reading what became of alerts", HISTORY, &binds).await?;
        let news = rows.iter().map(|row| {
            Ok(AlertNews {
                alert: row.text("alert")?,
                logical_date: row.parse("logical_date")?,
                event: row.word("event")?,
                at: row.instant("at")?,
            })
        });
        news.collect()
    }
}
