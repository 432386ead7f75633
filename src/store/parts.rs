//! Parts of outcomes that were committed before their attempt ended, as later attempts and jobs read them.

use std::collections::BTreeMap;

use super::database::{Database, Transaction};
use super::error::StoreError;
use super::job_at::JobAt;
use crate::domain::check::Finding;
use crate::domain::ids::RunId;
use crate::domain::outcome::Outcome;

const PARTS_TO_READ: &str = include_str!("../../sql/state/parts_to_read.sql");

/// Returns the parts that a job has committed in its run, by name, and the findings in parts of other jobs that failed
/// in the end: nothing else reports those.
pub(super) async fn parts(
    tx: &mut Transaction,
    at: JobAt<'_>,
) -> Result<(BTreeMap<String, Outcome>, Vec<Finding>), StoreError> {
    let (mut own, mut left) = (BTreeMap::new(), Vec::new());
    for row in tx.rows(PARTS_TO_READ, &[at.run_id.into(), at.job.into()]).await? {
        let part: Outcome = row.json("outcome")?;
        if row.text("job")? == at.job.as_str() {
            own.insert(row.text("name")?, part);
        } else {
            left.extend(part.findings);
        }
    }
    Ok((own, left))
}

/// Returns the findings in parts of a run's jobs that did not succeed in the end.
pub(super) async fn findings_left(database: &Database, run_id: &RunId) -> Result<Vec<Finding>, StoreError> {
    let rows = database.rows("reading the parts of a run's jobs", PARTS_TO_READ, &[run_id.into(), "".into()]).await?;
    let parts = rows.iter().map(|row| row.json::<Outcome>("outcome")).collect::<Result<Vec<_>, _>>()?;
    Ok(parts.into_iter().flat_map(|part| part.findings).collect())
}
