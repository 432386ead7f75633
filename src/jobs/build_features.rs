//! `build_features`: builds feature sets and labels for every cutoff that is needed, and keeps what is still current.
//!
//! Reads the tables; writes `restricted/features/<set>` and `restricted/labels/<label>`, one part per as-of date: the
//! configured course weeks of past courses, and the logical date for those in progress. A part is kept when its
//! fingerprint (SQL, contract, and the table parts that it reads) is the one in the last snapshot. Another try makes
//! sense when the lake could not be reached.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::Context as _;
use async_trait::async_trait;
use futures::StreamExt as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::kind::{JobContext, JobKind};
use super::shared::features::{PartName, catalogue};
use super::shared::tables::{DATE, lake_error};
use crate::domain::check::Finding;
use crate::domain::code;
use crate::domain::fingerprint::DependsOn;
use crate::domain::ids::content_hash;
use crate::domain::job::Force;
use crate::domain::lineage::{Basis, Manifest, Part};
use crate::domain::measurement::Measurement;
use crate::domain::number::count_of;
use crate::domain::outcome::{JobError, Outcome, SnapshotRef};
use crate::domain::schedule::parse_zone;
use crate::domain::spec::{LONGEST_GRACE, parse_duration};
use crate::features::{
    self, AsOf, Built, CourseRules, FeatureSet, Inputs, PlanRequest, Role, build_partition, plan_labels,
    plan_partitions, read_courses,
};
use crate::lake::{self, Dataset, Provenance, Staging, keys};
use crate::telemetry::{progress, spawn_blocking};

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

    async fn inputs(_: &Params, cx: &JobContext) -> Result<Option<DependsOn>, JobError> {
        let config = &cx.environment.config;
        let settings = serde_json::json!([config.features, config.labels, config.population]);
        let sql = catalogue(cx)?.sets().map(|set| format!("{set:?}")).collect::<Vec<_>>().join("\n");
        let inputs = cx.table_inputs()?.with(DATE, cx.input.logical_date).with("the time zone", &cx.input.timezone);
        Ok(Some(
            inputs
                .with("the settings `features`, `labels` and `population`", settings)
                .with("the SQL of the features", sql),
        ))
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
            outcome.findings.push(Finding::warning(
                "course.unknown_zone",
                format!("course {id}"),
                format!("the course states the time zone `{stated}`, which IANA does not know; the DAG's is used"),
                "Correct the course's time zone in Canvas",
            ));
        }
        let mut tally = Tally::default();
        let partitions = params.sets.len() * as_ofs.len() + params.labels.len() * label_as_ofs.len();
        let build = Build { cx, inputs, partitions: partitions as u64 };
        for name in &params.sets {
            let set = catalogue.features(name).map_err(JobError::fail)?;
            record(&mut outcome, set, build.set(set, &as_ofs, &mut tally).await?);
        }
        let settings = BTreeMap::from([
            ("lag_days".to_owned(), config.labels.lag_days as f64),
            ("pass_mark".to_owned(), config.labels.pass_mark),
        ]);
        for name in &params.labels {
            let label =
                catalogue.label(name).and_then(|label| label.clone().with_params(&settings)).map_err(JobError::fail)?;
            record(&mut outcome, &label, build.set(&label, &label_as_ofs, &mut tally).await?);
        }
        outcome.summary = tally.summary(params.sets.len(), as_ofs.len());
        Ok(outcome)
    }
}

/// Adds a staged snapshot of a set to the outcome.
fn record(outcome: &mut Outcome, set: &FeatureSet, staged: Option<SnapshotRef>) {
    let Some(staged) = staged else { return };
    let rows = Measurement::new("features.rows", staged.rows as f64).unit("rows");
    outcome.measurements.push(rows.of("set", &set.name));
    outcome.snapshots.push(staged);
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

/// What was done, for the summary.
#[derive(Default)]
struct Tally {
    built: usize,
    kept: usize,
    reconstructed: usize,
}

impl Tally {
    fn count(&mut self, partition: &Partition) {
        let basis = match partition {
            Partition::Stands(_, basis) => {
                self.kept += 1;
                *basis
            }
            Partition::Built(built, _) => {
                self.built += 1;
                built.basis
            }
        };
        self.reconstructed += usize::from(basis == Basis::Reconstructed);
    }

    fn done(&self) -> u64 {
        (self.built + self.kept) as u64
    }

    fn summary(&self, sets: usize, dates: usize) -> String {
        let basis = match self.reconstructed {
            0 => "as known".to_owned(),
            n if n == self.built + self.kept => "reconstructed".to_owned(),
            n => format!("{n} of {} parts reconstructed", self.built + self.kept),
        };
        let (sets, dates) = (count_of(sets, "set", "sets"), count_of(dates, "date", "dates"));
        format!("{sets}, {dates}, {basis}; {} built, {} kept", self.built, self.kept)
    }
}

/// How many partitions are built at once: planning a query keeps one core busy.
const AT_ONCE: usize = 2;

/// A partition, either found or built.
enum Partition {
    /// It was built before, from the same parts.
    Stands(Part, Basis),
    /// It was built now.
    Built(Box<Built>, PartName),
}

/// What every set is built from.
struct Build<'a> {
    cx: &'a JobContext,
    inputs: Arc<Inputs>,
    /// How many partitions all sets and labels have together.
    partitions: u64,
}

impl Build<'_> {
    /// Builds the partition `as_of`, unless the snapshot `before` already has the same part.
    async fn partition(&self, set: &FeatureSet, as_of: AsOf, before: Option<&Manifest>) -> Result<Partition, JobError> {
        let (of_set, of_date, of_inputs) = (set.clone(), as_of.clone(), Arc::clone(&self.inputs));
        let fingerprint = spawn_blocking(move || features::fingerprint(&of_set, &of_date, &of_inputs))
            .await
            .map_err(JobError::fail)?;
        let is_it = |name: &PartName| name.as_of == as_of.key && name.fingerprint == fingerprint;
        // A part that an older program named differently is not kept: it is built again.
        let standing = before.into_iter().flat_map(|manifest| &manifest.parts).find_map(|part| {
            let name = PartName::of(part).ok().filter(is_it)?;
            Some((part.clone(), name.basis))
        });
        if let (Some((part, basis)), Force::No) = (standing, self.cx.input.force) {
            return Ok(Partition::Stands(part, basis));
        }
        self.cx.go_on()?;
        let (stage, key) = (as_of.stage(), as_of.key.clone());
        let (of_set, of_inputs) = (set.clone(), Arc::clone(&self.inputs));
        let built =
            spawn_blocking(move || build_partition(&of_set, &as_of, &of_inputs)).await.map_err(JobError::fail)?;
        let name = PartName { as_of: key, basis: built.basis, fingerprint, stage };
        Ok(Partition::Built(Box::new(built), name))
    }

    /// Builds those of a set's partitions that are not current, and stages its snapshot; `None` where it has no
    /// partition.
    async fn set(&self, set: &FeatureSet, as_ofs: &[AsOf], tally: &mut Tally) -> Result<Option<SnapshotRef>, JobError> {
        let cx = self.cx;
        let dataset = match set.role {
            Role::Features => Dataset::feature_set(&set.name),
            Role::Label => Dataset::label(&set.name),
        };
        let before = cx.manifest(&dataset).await?;
        let mut staging: Option<Staging<'_>> = before
            .as_ref()
            .map(|manifest| Staging::new(&cx.environment.lake, dataset.clone(), manifest.schema.clone()));
        let partitions =
            futures::stream::iter(as_ofs.to_vec()).map(|as_of| self.partition(set, as_of, before.as_ref()));
        let mut partitions = std::pin::pin!(partitions.buffered(AT_ONCE));
        while let Some(partition) = partitions.next().await {
            cx.go_on()?;
            let partition = partition?;
            tally.count(&partition);
            progress::report("partitions", tally.done(), Some(self.partitions));
            match partition {
                Partition::Stands(part, _) => {
                    if let Some(staging) = staging.as_mut() {
                        staging.keep(part);
                    }
                }
                Partition::Built(built, name) => {
                    let schema = lake::schema(&built.frame);
                    let staging = staging
                        .get_or_insert_with(|| Staging::new(&cx.environment.lake, dataset.clone(), schema.clone()));
                    staging.set_schema(schema);
                    staging.add(built.frame, name.into_partition()).await.map_err(lake_error)?;
                }
            }
        }
        let Some(staging) = staging else { return Ok(None) };
        let staged = staging.finish(provenance(cx, set).await?).await.map_err(lake_error)?;
        Ok(Some(staged.reference))
    }
}

async fn provenance(cx: &JobContext, set: &FeatureSet) -> Result<Provenance, JobError> {
    let code = content_hash(format!("{}\n{set:?}", code::FEATURES).as_bytes());
    Ok(Provenance {
        inputs: read_snapshots(cx, set),
        code_hash: code[..32].to_owned(),
        privacy_key_id: cx.privacy_key_id().await?,
        facts: BTreeMap::from([("logical_date".to_owned(), cx.input.logical_date.to_string())]),
    })
}

fn read_snapshots(cx: &JobContext, set: &FeatureSet) -> Vec<String> {
    let reads = |snapshot: &&SnapshotRef| {
        keys::source_table(&snapshot.dataset).is_some_and(|table| set.reads().contains(table))
    };
    let snapshots = cx.input.snapshots.values().filter(reads);
    snapshots.map(|snapshot| format!("{}@{}", snapshot.dataset, snapshot.snapshot)).collect()
}
