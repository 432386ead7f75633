//! `build_features`: builds feature sets and labels for every cutoff that is needed, and keeps what still stands.
//!
//! Reads the tables; writes `restricted/features/<set>` and `restricted/labels/<label>`, one part per as-of date: the
//! configured course weeks of past courses, and the logical date for those in progress. A part whose fingerprint (SQL,
//! contract, and the table parts that it reads) is that of the last snapshot's is kept. Another try makes sense when the
//! lake could not be reached.
//!
//! ```toml
//! [jobs.features]
//! kind = "build_features"
//! with = { sets = ["engagement", "assessment"], labels = ["at_risk"] }
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Context as _;
use async_trait::async_trait;
use futures::StreamExt as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::kind::{JobContext, JobKind};
use super::tables::lake_error;
use crate::domain::check::{Finding, Severity};
use crate::domain::job::Force;
use crate::domain::lineage::{Manifest, Part};
use crate::domain::measurement::Measurement;
use crate::domain::outcome::{JobError, Outcome, SnapshotRef};
use crate::domain::schedule::parse_zone;
use crate::domain::spec::{LONGEST_GRACE, parse_duration};
use crate::features::{
    self, AsOf, Basis, Built, Catalogue, CourseRules, FeatureSet, Inputs, PlanRequest, Role, Stage, build_partition,
    plan_labels, plan_partitions, read_courses,
};
use crate::lake::{self, Dataset, Provenance, Staging};
use crate::telemetry::spawn_blocking;

/// The kind.
pub(super) struct BuildFeatures;

/// The parameters of `build_features`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Params {
    /// The feature sets (`sql/features/<set>.sql`).
    sets: Vec<String>,
    /// The labels (`sql/labels/<label>.sql`).
    #[serde(default)]
    labels: Vec<String>,
    /// The course weeks of past courses; without it the configured ones (`features.weeks`).
    weeks: Option<Vec<u32>>,
}

/// The partition key of a part's cutoff.
pub(super) const AS_OF: &str = "as_of";
/// The partition key of a part's stage: `past` or `current`.
pub(super) const STAGE: &str = "stage";
const FINGERPRINT: &str = "fingerprint";
/// The partition key that says whether a part is as known or reconstructed.
pub(super) const BASIS: &str = "basis";

#[async_trait]
impl JobKind for BuildFeatures {
    const NAME: &'static str = "build_features";
    const SUMMARY: &'static str = "Builds feature sets and labels for every cutoff, and keeps what still stands.";
    const EXAMPLE: &'static str = r#"
        [jobs.features]
        kind = "build_features"
        with = { sets = ["engagement", "assessment"], labels = ["at_risk"] }
    "#;
    type Params = Params;

    async fn inputs(_: &Params, cx: &JobContext) -> Result<Option<String>, JobError> {
        let config = &cx.environment.config;
        let tables: Vec<String> =
            cx.tables()?.iter().map(|(_, snapshot)| format!("{}@{}", snapshot.dataset, snapshot.snapshot)).collect();
        let settings = serde_json::json!([config.features, config.labels, config.population]);
        let sql = catalogue(cx)?.sets().map(|set| format!("{set:?}")).collect::<Vec<_>>().join("\n");
        Ok(Some(format!("{}\n{}\n{settings}\n{sql}\n{}", cx.input.logical_date, cx.input.timezone, tables.join("\n"))))
    }

    async fn run(params: Params, cx: &JobContext) -> Result<Outcome, JobError> {
        let catalogue = catalogue(cx)?;
        let config = &cx.environment.config;
        let request = plan_request(&params, cx)?;
        let inputs = Arc::new(cx.feature_inputs().await?);
        let rules = CourseRules {
            accounts: Some(config.population.accounts.iter().copied().collect::<BTreeSet<_>>())
                .filter(|a| !a.is_empty()),
            default_zone: request.zone.clone(),
        };
        let (read_inputs, read_request) = (Arc::clone(&inputs), request.clone());
        let courses = spawn_blocking(move || {
            let cutoff = read_request.cutoff().map_err(anyhow::Error::from)?;
            read_courses(&read_inputs, cutoff, &rules).map_err(anyhow::Error::from)
        })
        .await?;
        let as_ofs = plan_partitions(&courses.eligible, &request).map_err(JobError::fail)?;
        let lag = jiff::SignedDuration::from_hours(24 * config.labels.lag_days);
        let label_as_ofs = plan_labels(&courses.eligible, lag, &request).map_err(JobError::fail)?;

        let mut outcome = Outcome::default();
        for (id, stated) in &courses.unknown_zones {
            outcome.findings.push(Finding::new(
                Severity::Warning,
                "course.unknown_zone",
                format!("course {id}"),
                format!("the course states the time zone `{stated}`, which IANA does not know; the DAG's is used"),
                "Mend the course's time zone in Canvas",
            ));
        }
        let mut tally = Tally::default();
        for name in &params.sets {
            let set = catalogue.features(name).map_err(JobError::fail)?;
            build_set(cx, set, &as_ofs, &inputs, &mut outcome, &mut tally).await?;
        }
        let settings = BTreeMap::from([
            ("lag_days".to_owned(), config.labels.lag_days as f64),
            ("pass_mark".to_owned(), config.labels.pass_mark),
        ]);
        for name in &params.labels {
            let label =
                catalogue.label(name).and_then(|label| label.clone().with_params(&settings)).map_err(JobError::fail)?;
            build_set(cx, &label, &label_as_ofs, &inputs, &mut outcome, &mut tally).await?;
        }
        outcome.summary = tally.summary(params.sets.len(), as_ofs.len());
        Ok(outcome)
    }
}

/// Returns the site's feature sets, or the program's where the site has none.
pub(super) fn catalogue(cx: &JobContext) -> Result<Catalogue, JobError> {
    let folder = &cx.environment.config.paths.sql;
    let catalogue =
        if folder.join("features").is_dir() { Catalogue::from_folder(folder) } else { Catalogue::embedded() };
    catalogue.map_err(JobError::fail)
}

fn plan_request(params: &Params, cx: &JobContext) -> Result<PlanRequest, JobError> {
    let config = &cx.environment.config.features;
    let grace = parse_duration(&config.delivery_grace, LONGEST_GRACE)
        .map_err(|message| JobError::Fail(anyhow::anyhow!(message)))?;
    Ok(PlanRequest {
        date: cx.input.logical_date,
        zone: parse_zone(&cx.input.timezone).map_err(JobError::fail)?,
        weeks: params.weeks.clone().unwrap_or_else(|| config.weeks.clone()).into_iter().collect(),
        grace: jiff::SignedDuration::try_from(grace).context("features.delivery_grace")?,
    })
}

#[derive(Default)]
struct Tally {
    built: usize,
    kept: usize,
    rows: u64,
    reconstructed: usize,
    left_out: usize,
}

impl Tally {
    fn summary(&self, sets: usize, dates: usize) -> String {
        let basis = match self.reconstructed {
            0 => "as known".to_owned(),
            n if n == self.built + self.kept => "reconstructed".to_owned(),
            n => format!("{n} of {} parts reconstructed", self.built + self.kept),
        };
        format!("{sets} sets, {dates} dates, {basis}; {} built, {} kept", self.built, self.kept)
    }
}

/// How many partitions are built at once: planning a query is work for one core.
const AT_ONCE: usize = 2;

/// A partition as it was found or made.
enum Partition {
    /// It was built before from the same parts.
    Stands(Part),
    /// It was built now; with what its part is named by.
    Built(Box<Built>, BTreeMap<String, String>),
}

/// Builds the partition `as_of`, unless a part of the snapshot `before` is what it would be.
async fn partition(
    cx: &JobContext,
    set: &FeatureSet,
    as_of: AsOf,
    inputs: &Arc<Inputs>,
    before: Option<&Manifest>,
) -> Result<Partition, JobError> {
    let (of_set, of_date, of_inputs) = (set.clone(), as_of.clone(), Arc::clone(inputs));
    let fingerprint =
        spawn_blocking(move || features::fingerprint(&of_set, &of_date, &of_inputs)).await.map_err(JobError::fail)?;
    let standing = before.and_then(|manifest| {
        manifest.parts.iter().find(|part| {
            part.partition.get(AS_OF) == Some(&as_of.key) && part.partition.get(FINGERPRINT) == Some(&fingerprint)
        })
    });
    if let (Some(part), Force::No) = (standing, cx.input.force) {
        return Ok(Partition::Stands(part.clone()));
    }
    cx.go_on()?;
    let (of_set, of_date, of_inputs) = (set.clone(), as_of.clone(), Arc::clone(inputs));
    let built = spawn_blocking(move || build_partition(&of_set, &of_date, &of_inputs)).await.map_err(JobError::fail)?;
    let is_current = as_of.courses.iter().any(|course| course.stage == Stage::Current);
    let names = [
        (AS_OF, as_of.key.as_str()),
        (BASIS, built.basis.as_str()),
        (FINGERPRINT, fingerprint.as_str()),
        (STAGE, if is_current { "current" } else { "past" }),
    ];
    Ok(Partition::Built(Box::new(built), names.map(|(key, value)| (key.to_owned(), value.to_owned())).into()))
}

/// Builds a set's partitions that do not stand, and stages its snapshot.
async fn build_set(
    cx: &JobContext,
    set: &FeatureSet,
    as_ofs: &[AsOf],
    inputs: &Arc<Inputs>,
    outcome: &mut Outcome,
    tally: &mut Tally,
) -> Result<(), JobError> {
    let dataset = match set.role {
        Role::Features => Dataset::feature_set(&set.name),
        Role::Label => Dataset::label(&set.name),
    };
    let before = cx.manifest(&dataset).await?;
    let mut staging: Option<Staging<'_>> =
        before.as_ref().map(|manifest| Staging::new(&cx.environment.lake, dataset.clone(), manifest.schema.clone()));
    let partitions =
        futures::stream::iter(as_ofs.to_vec()).map(|as_of| partition(cx, set, as_of, inputs, before.as_ref()));
    let mut partitions = std::pin::pin!(partitions.buffered(AT_ONCE));
    while let Some(partition) = partitions.next().await {
        cx.go_on()?;
        match partition? {
            Partition::Stands(part) => {
                tally.kept += 1;
                tally.rows += part.rows;
                tally.reconstructed +=
                    usize::from(part.partition.get(BASIS).is_some_and(|basis| basis == "reconstructed"));
                if let Some(staging) = staging.as_mut() {
                    staging.keep(part);
                }
            }
            Partition::Built(built, names) => {
                tally.built += 1;
                tally.rows += built.frame.height() as u64;
                tally.left_out += built.left_out;
                tally.reconstructed += usize::from(built.basis == Basis::Reconstructed);
                let schema = lake::schema(&built.frame);
                let staging =
                    staging.get_or_insert_with(|| Staging::new(&cx.environment.lake, dataset.clone(), schema.clone()));
                staging.set_schema(schema);
                staging.add(built.frame, names).await.map_err(lake_error)?;
            }
        }
    }
    let Some(staging) = staging else { return Ok(()) };
    let provenance = Provenance {
        inputs: read_snapshots(cx, set),
        code_hash: crate::domain::ids::content_hash(format!("{}\n{set:?}", crate::domain::code::FEATURES).as_bytes())
            [..32]
            .to_owned(),
        privacy_key_id: cx.privacy_key_id().await?,
        facts: BTreeMap::from([("logical_date".to_owned(), cx.input.logical_date.to_string())]),
    };
    let staged = staging.finish(provenance).await.map_err(lake_error)?;
    outcome
        .measurements
        .push(Measurement::new("features.rows", staged.reference.rows as f64).unit("rows").of("set", &set.name));
    outcome.snapshots.push(staged.reference);
    Ok(())
}

fn read_snapshots(cx: &JobContext, set: &FeatureSet) -> Vec<String> {
    let reads = |snapshot: &&SnapshotRef| {
        snapshot
            .dataset
            .rsplit_once('/')
            .is_some_and(|(folder, table)| folder == "restricted/tables" && set.reads().contains(table))
    };
    let snapshots = cx.input.snapshots.values().filter(reads);
    snapshots.map(|snapshot| format!("{}@{}", snapshot.dataset, snapshot.snapshot)).collect()
}
