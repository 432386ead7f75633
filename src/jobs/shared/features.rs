//! The feature sets of the site, and how the parts of a feature set are named.

use crate::domain::outcome::JobError;
use crate::features::Catalogue;
use crate::jobs::kind::JobContext;

/// The partition key of a part's cutoff.
pub(in crate::jobs) const AS_OF: &str = "as_of";
/// The partition key of a part's stage: `past` or `current`.
pub(in crate::jobs) const STAGE: &str = "stage";
/// The partition key of what a part was built from.
pub(in crate::jobs) const FINGERPRINT: &str = "fingerprint";
/// The partition key that says whether a part is as known or reconstructed.
pub(in crate::jobs) const BASIS: &str = "basis";

/// Returns the site's feature sets, or the program's where the site has none.
pub(in crate::jobs) fn catalogue(cx: &JobContext) -> Result<Catalogue, JobError> {
    let folder = &cx.environment.config.paths.sql;
    let catalogue =
        if folder.join("features").is_dir() { Catalogue::from_folder(folder) } else { Catalogue::embedded() };
    catalogue.map_err(JobError::fail)
}
