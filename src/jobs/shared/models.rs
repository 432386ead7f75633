//! A model's recipe and its artefact, as jobs read them.

use super::tables::lake_error;
use crate::domain::ids::TableName;
use crate::domain::outcome::{JobError, ModelRecord};
use crate::jobs::kind::JobContext;
use crate::lake::keys;
use crate::ml::model::FittedModel;
use crate::ml::recipe::Recipe;

/// Reads a model's recipe.
pub(in crate::jobs) fn recipe(cx: &JobContext, model: &TableName) -> Result<Recipe, JobError> {
    Recipe::read(&cx.environment.config.paths.models, model.as_str())
        .map_err(|mistakes| JobError::Fail(mistakes.into()))
}

/// Reads a model's artefact.
pub(in crate::jobs) async fn load_model(cx: &JobContext, record: &ModelRecord) -> Result<FittedModel, JobError> {
    let key = keys::browsed(&record.artefact).map_err(JobError::fail)?;
    let bytes = cx.environment.lake.get(&key).await.map_err(lake_error)?;
    FittedModel::from_bytes(&bytes).map_err(JobError::fail)
}
