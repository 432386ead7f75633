//! The feature sets of the site, and how the parts of a feature set are named.

use std::collections::BTreeMap;

use anyhow::Context as _;

use crate::domain::lineage::{Basis, Part};
use crate::domain::outcome::JobError;
use crate::features::{Catalogue, Stage};
use crate::jobs::kind::JobContext;
use crate::lake::Dataset;

/// How a manifest names a part of a feature set or a label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::jobs) struct PartName {
    /// The partition's name: [`AsOf::key`](crate::features::AsOf).
    pub(in crate::jobs) as_of: String,
    /// How its past is known.
    pub(in crate::jobs) basis: Basis,
    /// What it was built from.
    pub(in crate::jobs) fingerprint: String,
    /// Why it was built.
    pub(in crate::jobs) stage: Stage,
}

const AS_OF: &str = "as_of";
const BASIS: &str = "basis";
const FINGERPRINT: &str = "fingerprint";
const STAGE: &str = "stage";

impl PartName {
    /// Returns the name as a manifest holds it.
    pub(in crate::jobs) fn into_partition(self) -> BTreeMap<String, String> {
        let Self { as_of, basis, fingerprint, stage } = self;
        let entries = [
            (AS_OF, as_of),
            (BASIS, basis.as_str().to_owned()),
            (FINGERPRINT, fingerprint),
            (STAGE, stage.as_str().to_owned()),
        ];
        entries.map(|(key, value)| (key.to_owned(), value)).into()
    }

    /// Returns the name of a part.
    pub(in crate::jobs) fn of(part: &Part) -> Result<Self, JobError> {
        let read = |key: &str| {
            let value = part.partition.get(key);
            value.with_context(|| format!("the part `{}` of features or labels does not state its `{key}`", part.path))
        };
        let known = |key: &str, words: &str| {
            anyhow::anyhow!("the part `{}` of features or labels has a `{key}` that is neither of {words}", part.path)
        };
        let bases = [Basis::AsKnown, Basis::Reconstructed];
        let stages = [Stage::Past, Stage::Current];
        let (basis, stage) = (read(BASIS)?, read(STAGE)?);
        Ok(Self {
            as_of: read(AS_OF)?.clone(),
            basis: bases
                .into_iter()
                .find(|known| known.as_str() == basis)
                .ok_or_else(|| known(BASIS, "`as_known` and `reconstructed`"))?,
            fingerprint: read(FINGERPRINT)?.clone(),
            stage: stages
                .into_iter()
                .find(|known| known.as_str() == stage)
                .ok_or_else(|| known(STAGE, "`past` and `current`"))?,
        })
    }
}

impl JobContext {
    /// Returns the parts of a feature set or label of one stage, with their names; `None` when it has no snapshot.
    pub(in crate::jobs) async fn parts_of_stage(
        &self,
        dataset: &Dataset,
        stage: Stage,
    ) -> Result<Option<Vec<(Part, PartName)>>, JobError> {
        let Some(manifest) = self.manifest(dataset).await? else { return Ok(None) };
        let mut found = Vec::new();
        for part in manifest.parts {
            let name = PartName::of(&part)?;
            if name.stage == stage {
                found.push((part, name));
            }
        }
        Ok(Some(found))
    }

    /// Returns, as text, what an outcome based on the parts of one stage depends on; `None` when there is no snapshot.
    pub(in crate::jobs) async fn stage_input(
        &self,
        dataset: &Dataset,
        stage: Stage,
    ) -> Result<Option<String>, JobError> {
        let parts = self.parts_of_stage(dataset, stage).await?;
        Ok(parts.map(|parts| parts.iter().map(|(part, _)| part.sha256.as_str()).collect::<Vec<_>>().join("\n")))
    }
}

/// Returns the site's feature sets, or the program's where the site has none.
pub(in crate::jobs) fn catalogue(cx: &JobContext) -> Result<Catalogue, JobError> {
    let folder = &cx.environment.config.paths.sql;
    let catalogue =
        if folder.join("features").is_dir() { Catalogue::from_folder(folder) } else { Catalogue::embedded() };
    catalogue.map_err(JobError::fail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(partition: BTreeMap<String, String>) -> Part {
        let (path, sha256) = ("data/a.parquet".to_owned(), "a".to_owned());
        Part { path, rows: 1, size_bytes: 1, sha256, partition, min_max: BTreeMap::new() }
    }

    #[test]
    fn a_name_is_read_as_it_was_written() {
        let name = PartName {
            as_of: "2014-12-02".to_owned(),
            basis: Basis::Reconstructed,
            fingerprint: "f".to_owned(),
            stage: Stage::Current,
        };

        let partition = name.clone().into_partition();

        assert_eq!(partition["stage"], "current");
        assert_eq!(partition["basis"], "reconstructed");
        assert_eq!(PartName::of(&part(partition)).unwrap(), name);
    }

    #[test]
    fn a_part_that_does_not_state_its_stage_is_an_error_that_names_it() {
        let error = PartName::of(&part(BTreeMap::from([("basis".to_owned(), "as_known".to_owned())]))).unwrap_err();

        assert!(
            error.to_string().contains("`data/a.parquet` of features or labels does not state its `stage`"),
            "{error}"
        );
    }
}
