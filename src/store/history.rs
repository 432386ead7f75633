//! What was measured on earlier nights, as later ones read it.

use async_trait::async_trait;
use jiff::civil::Date;

use super::error::StoreError;
use super::history_contract::Measurements;
use super::sql_store::SqlStore;
use crate::domain::ids::DagName;
use crate::domain::measurement::{HistoryWanted, Measurement, PastMeasurement};

const SELECT: &str = include_str!("../../sql/state/measurements_select.sql");

#[async_trait]
impl Measurements for SqlStore {
    async fn history(
        &self,
        dag: &DagName,
        wanted: HistoryWanted,
        before: Date,
    ) -> Result<Vec<PastMeasurement>, StoreError> {
        let (from, before) = (wanted.from(before).to_string(), before.to_string());
        let mut found = Vec::new();
        for name in wanted.names {
            let binds = [dag.into(), (*name).into(), (&from).into(), (&before).into()];
            for row in self.database.rows("reading measurements of earlier nights", SELECT, &binds).await? {
                let measurement = Measurement {
                    name: row.text("name")?,
                    value: row.number("value")?,
                    unit: row.text("unit")?,
                    dimensions: row.json("labels")?,
                };
                found.push(PastMeasurement { date: row.parse("logical_date")?, job: row.parse("job")?, measurement });
            }
        }
        Ok(found)
    }
}
