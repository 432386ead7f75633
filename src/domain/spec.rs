//! A DAG file becomes a validated DAG, or the list of all its mistakes.
//!
//! The file's shape is the structs below (their JSON schema is also what editors get). After the shape come the cross
//! checks: unknown kinds, parameters against the kind's schema, needs that do not exist, cycles, cron, zone, times.
//! Everything wrong is told at once, with file and line. What kinds there are comes from a [`KindCatalogue`].

use std::collections::BTreeMap;
use std::time::Duration;

use petgraph::algo::tarjan_scc;
use petgraph::graph::DiGraph;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::dag::{CatchUp, Dag, FoldPolicy, GapPolicy, Job, OverlapPolicy, Schedule, When};
use super::document::{Document, Mistake, Mistakes, among};
use super::ids::{DagName, JobName, KindName, content_hash};
use super::retry::RetryPolicy;
use super::schedule::{parse_cron, parse_zone};

/// The kinds that a DAG may use.
pub trait KindCatalogue {
    /// Returns the names of all kinds, sorted.
    fn kinds(&self) -> Vec<String>;

    /// Returns the JSON schema of a kind's parameters.
    fn params_schema(&self, kind: &str) -> Option<Value>;
}

/// A DAG file.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DagFile {
    /// The DAG's name: that of its file, without `.toml`.
    name: String,
    /// What it is for, in a sentence.
    #[serde(default)]
    description: String,
    /// When it runs by itself: 5 or 6 cron fields, or `@daily` and its like. Without it: only when asked.
    schedule: Option<String>,
    /// The IANA zone of its dates and times; without it the institution's.
    timezone: Option<String>,
    /// What happens when the clocks change.
    #[serde(default)]
    dst: Dst,
    /// Which missed slots are made up for after downtime.
    #[serde(default)]
    catch_up: CatchUp,
    /// What happens when the earlier run still runs.
    #[serde(default)]
    overlap: OverlapPolicy,
    /// The local time by which a run should be done, such as `06:30`.
    deadline: Option<String>,
    /// How many jobs may run at once.
    #[schemars(range(min = 1, max = 256))]
    max_parallel: Option<u32>,
    /// What holds for every job that does not say otherwise.
    #[serde(default)]
    defaults: Defaults,
    /// The jobs, by name.
    jobs: BTreeMap<String, JobTable>,
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Dst {
    /// A local time that does not exist.
    #[serde(default)]
    gap: GapPolicy,
    /// A local time that comes twice.
    #[serde(default)]
    overlap: FoldPolicy,
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Defaults {
    /// How long one attempt may take, such as `1h`.
    timeout: Option<String>,
    /// How a failed attempt is tried again.
    retry: Option<RetryTable>,
}

#[derive(Debug, Default, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RetryTable {
    /// Attempts in all.
    #[schemars(range(min = 1, max = 100))]
    attempts: Option<u32>,
    /// The wait after the first failure, such as `30s`; it doubles.
    backoff: Option<String>,
    /// The longest wait.
    max_backoff: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct JobTable {
    /// The kind that does it; `nocturne kinds list` shows them.
    kind: String,
    /// What it is for.
    #[serde(default)]
    description: String,
    /// The jobs it needs.
    #[serde(default)]
    needs: Vec<String>,
    /// The kind's parameters.
    #[serde(default)]
    with: BTreeMap<String, Value>,
    /// When it may start, given how its needs ended.
    #[serde(default)]
    when: When,
    /// How long one attempt may take.
    timeout: Option<String>,
    /// How a failed attempt is tried again.
    retry: Option<RetryTable>,
}

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3600);

/// Returns the JSON schema of a DAG file, for editors.
pub fn dag_schema(catalogue: &dyn KindCatalogue) -> Value {
    let mut schema = schemars::schema_for!(DagFile).to_value();
    if let Some(kind) = schema.pointer_mut("/$defs/JobTable/properties/kind") {
        kind["examples"] = catalogue.kinds().into();
    }
    schema
}

/// Returns the DAG that the file `stem`.toml with this text describes.
///
/// # Errors
/// With every mistake.
pub fn parse_dag(
    file: &str,
    stem: &str,
    text: &str,
    default_zone: &str,
    catalogue: &dyn KindCatalogue,
) -> Result<Dag, Mistakes> {
    let document = Document::parse(file, text)?;
    let mut mistakes = document.mistakes(&schemars::schema_for!(DagFile).to_value());
    check_jobs(&document, catalogue, &mut mistakes);
    // Values are looked at even where the shape is wrong elsewhere, so that one reading finds everything.
    let reader = Reader { document: &document, mistakes: std::cell::RefCell::new(mistakes) };
    let dag = reader.dag(stem, default_zone);
    let mistakes = reader.mistakes.into_inner();
    match dag {
        Some(dag) => Mistakes::unless_none(mistakes, dag),
        None => Err(Mistakes::unless_none(mistakes, ())
            .err()
            .unwrap_or_else(|| Mistakes(vec![document.mistake(&[], "the file does not describe a DAG")]))),
    }
}

fn jobs_of(document: &Document) -> Vec<(&String, &Value)> {
    document.value.get("jobs").and_then(Value::as_object).map(|jobs| jobs.iter().collect()).unwrap_or_default()
}

/// The checks between jobs and against the catalogue, on the raw document.
fn check_jobs(document: &Document, catalogue: &dyn KindCatalogue, mistakes: &mut Vec<Mistake>) {
    let jobs = jobs_of(document);
    let names: Vec<String> = jobs.iter().map(|(name, _)| (*name).clone()).collect();
    if document.value.get("jobs").is_some() && jobs.is_empty() {
        mistakes.push(document.mistake(&["jobs"], "a DAG needs at least one job"));
    }
    for (name, job) in &jobs {
        if let Err(error) = JobName::try_from((*name).clone()) {
            mistakes.push(document.mistake(&["jobs", name], error.to_string()));
        }
        if let Some(kind) = job.get("kind").and_then(Value::as_str) {
            match catalogue.params_schema(kind) {
                None => {
                    let message = format!("there is no kind `{kind}`; {}", among(kind, &catalogue.kinds()));
                    mistakes.push(document.mistake(&["jobs", name, "kind"], message));
                }
                Some(schema) => check_params(document, name, job, &schema, mistakes),
            }
        }
        let mut seen = Vec::new();
        for (index, need) in job.get("needs").and_then(Value::as_array).into_iter().flatten().enumerate() {
            let (Some(need), index) = (need.as_str(), index.to_string()) else { continue };
            let path = ["jobs", name.as_str(), "needs", index.as_str()];
            if !names.iter().any(|name| name == need) {
                mistakes.push(document.mistake(&path, format!("there is no job `{need}`; {}", among(need, &names))));
            }
            if seen.contains(&need) {
                mistakes.push(document.mistake(&path, format!("`{need}` is named twice")));
            }
            seen.push(need);
        }
    }
    check_cycles(document, &jobs, mistakes);
}

fn check_params(document: &Document, name: &str, job: &Value, schema: &Value, mistakes: &mut Vec<Mistake>) {
    let empty = Value::Object(serde_json::Map::new());
    let params = job.get("with").unwrap_or(&empty);
    let within = document.part(&["jobs", name, "with"], params.clone());
    mistakes.extend(within.mistakes(schema));
}

fn check_cycles(document: &Document, jobs: &[(&String, &Value)], mistakes: &mut Vec<Mistake>) {
    let mut graph = DiGraph::<&str, ()>::new();
    let nodes: BTreeMap<&str, _> =
        jobs.iter().map(|(name, _)| (name.as_str(), graph.add_node(name.as_str()))).collect();
    for (name, job) in jobs {
        for need in job.get("needs").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            if let Some(need) = nodes.get(need) {
                graph.add_edge(*need, nodes[name.as_str()], ());
            }
        }
    }
    for component in tarjan_scc(&graph) {
        let is_cycle = component.len() > 1 || graph.contains_edge(component[0], component[0]);
        if is_cycle {
            let mut names: Vec<&str> = component.iter().map(|node| graph[*node]).collect();
            names.sort_unstable();
            let message = format!("these jobs need each other in a circle: {}", names.join(", "));
            mistakes.push(document.mistake(&["jobs", names[0], "needs"], message));
        }
    }
}

/// Reads the values of a document, noting every one that is not usable.
struct Reader<'a> {
    document: &'a Document,
    mistakes: std::cell::RefCell<Vec<Mistake>>,
}

impl Reader<'_> {
    fn dag(&self, stem: &str, default_zone: &str) -> Option<Dag> {
        let name = self.text(&["name"]).and_then(|name| self.ok(&["name"], name.parse::<DagName>()));
        if let Some(name) = &name
            && name.as_str() != stem
        {
            self.note(&["name"], format!("the name is that of the file: `{stem}`"));
        }
        let timezone = self.text(&["timezone"]).unwrap_or_else(|| default_zone.to_owned());
        self.ok(&["timezone"], parse_zone(&timezone));
        if let Some(cron) = self.text(&["schedule"]) {
            self.ok(&["schedule"], parse_cron(&cron));
        }
        let deadline = self.text(&["deadline"]).and_then(|text| self.ok(&["deadline"], time(&text)));
        let defaults = self.retry(&["defaults", "retry"], &RetryPolicy::default());
        let default_timeout = self.duration(&["defaults", "timeout"]).unwrap_or(DEFAULT_TIMEOUT);
        for (job, _) in jobs_of(self.document) {
            self.duration(&["jobs", job, "timeout"]);
            self.retry(&["jobs", job, "retry"], &defaults);
        }
        if !self.mistakes.borrow().is_empty() {
            return None;
        }
        let file: DagFile = match serde_json::from_value(self.document.value.clone()) {
            Ok(file) => file,
            Err(error) => {
                self.note(&[], error.to_string());
                return None;
            }
        };
        let jobs = file.jobs.into_iter().map(|(name, table)| self.job(&name, table, default_timeout, &defaults));
        Some(Dag {
            name: name?,
            description: file.description,
            schedule: file.schedule.map(|cron| Schedule {
                cron,
                gap: file.dst.gap,
                fold: file.dst.overlap,
                catch_up: file.catch_up,
                overlap: file.overlap,
            }),
            timezone,
            deadline,
            max_parallel: file.max_parallel.map_or(2, |n| usize::try_from(n).unwrap_or(1)),
            jobs: jobs.collect::<Option<Vec<_>>>()?.into_iter().map(|job| (job.name.clone(), job)).collect(),
            version: content_hash(self.document.text.as_bytes())[..16].to_owned(),
        })
    }

    fn job(&self, name: &str, table: JobTable, timeout: Duration, retry: &RetryPolicy) -> Option<Job> {
        let path = ["jobs", name];
        Some(Job {
            name: self.ok(&path, name.parse::<JobName>())?,
            kind: self.ok(&["jobs", name, "kind"], table.kind.parse::<KindName>())?,
            params: Value::Object(table.with.into_iter().collect()),
            needs: table.needs.iter().map(|need| need.parse().ok()).collect::<Option<Vec<_>>>()?,
            when: table.when,
            timeout: self.duration(&["jobs", name, "timeout"]).unwrap_or(timeout),
            retry: self.retry(&["jobs", name, "retry"], retry),
        })
    }

    fn retry(&self, path: &[&str], defaults: &RetryPolicy) -> RetryPolicy {
        let at = |key| path.iter().copied().chain([key]).collect::<Vec<_>>();
        let attempts = self.value(&at("attempts")).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
        RetryPolicy {
            attempts: attempts.unwrap_or(defaults.attempts),
            backoff: self.duration(&at("backoff")).unwrap_or(defaults.backoff),
            max_backoff: self.duration(&at("max_backoff")).unwrap_or(defaults.max_backoff),
        }
    }

    fn duration(&self, path: &[&str]) -> Option<Duration> {
        self.text(path).and_then(|text| self.ok(path, parse_duration(&text)))
    }

    fn text(&self, path: &[&str]) -> Option<String> {
        self.value(path).and_then(Value::as_str).map(str::to_owned)
    }

    fn value(&self, path: &[&str]) -> Option<&Value> {
        path.iter().try_fold(&self.document.value, |value, key| value.get(key))
    }

    fn ok<T, E: std::fmt::Display>(&self, path: &[&str], result: Result<T, E>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.note(path, error.to_string());
                None
            }
        }
    }

    fn note(&self, path: &[&str], message: String) {
        self.mistakes.borrow_mut().push(self.document.mistake(path, message));
    }
}

/// Returns the duration that text such as `30s`, `10m` or `1h 30m` means.
///
/// # Errors
/// With what is allowed.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no duration; write `30s`, `10m`, `1h` or `1h 30m`");
    let signed: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(signed).map_err(|_| wrong())
}

fn time(text: &str) -> Result<jiff::civil::Time, String> {
    text.parse().map_err(|_| format!("`{text}` is no local time; write `06:30`"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Fake;

    impl KindCatalogue for Fake {
        fn kinds(&self) -> Vec<String> {
            vec!["canvas_pull".to_owned(), "send_report".to_owned(), "train_model".to_owned()]
        }

        fn params_schema(&self, kind: &str) -> Option<Value> {
            self.kinds().contains(&kind.to_owned()).then(|| {
                json!({
                    "type": "object", "additionalProperties": false,
                    "properties": { "source": { "type": "string" }, "tables": { "type": "array" } }
                })
            })
        }
    }

    fn parse(text: &str) -> Result<Dag, Mistakes> {
        parse_dag("jobs/nightly.toml", "nightly", text, "UTC", &Fake)
    }

    #[test]
    fn a_file_becomes_a_dag_with_its_defaults() {
        let dag = parse(
            r#"
            name = "nightly"
            schedule = "30 2 * * *"
            timezone = "America/Detroit"
            deadline = "06:30"
            [defaults]
            timeout = "1h 30m"
            retry = { attempts = 3, backoff = "30s" }
            [jobs.pull]
            kind = "canvas_pull"
            with = { source = "canvas" }
            [jobs.digest]
            kind = "send_report"
            needs = ["pull"]
            when = "all_done"
            timeout = "5m"
            "#,
        )
        .unwrap();

        let pull = &dag.jobs[&"pull".parse().unwrap()];
        assert_eq!((pull.timeout.as_secs(), pull.retry.attempts), (5400, 3));
        let digest = &dag.jobs[&"digest".parse().unwrap()];
        assert_eq!((digest.timeout.as_secs(), digest.when), (300, When::AllDone));
        assert_eq!(dag.max_parallel, 2);
    }

    #[test]
    fn a_cycle_two_unknown_keys_and_an_unknown_kind_are_told_at_once() {
        let mistakes = parse(
            r#"name = "nightly"
shedule = "30 2 * * *"
[jobs.pull]
kind = "canvas_pul"
needs = ["train"]
[jobs.train]
kind = "train_model"
needs = ["pull"]
with = { sorce = "x" }
"#,
        )
        .unwrap_err();

        insta::assert_snapshot!(mistakes, @r#"
        4 mistakes
          jobs/nightly.toml:2:1: `shedule`: unknown key; did you mean `schedule`? allowed: name, description, schedule, timezone, dst, catch_up, overlap, deadline, max_parallel, defaults, jobs
          jobs/nightly.toml:4:1: `jobs.pull.kind`: there is no kind `canvas_pul`; did you mean `canvas_pull`? allowed: canvas_pull, send_report, train_model
          jobs/nightly.toml:5:1: `jobs.pull.needs`: these jobs need each other in a circle: pull, train
          jobs/nightly.toml:9:10: `jobs.train.with.sorce`: unknown key; did you mean `source`? allowed: source, tables
        "#);
    }

    #[test]
    fn values_that_do_not_parse_are_told_with_what_is_allowed() {
        let mistakes = parse(
            r#"name = "weekly"
schedule = "30 25 * * *"
timezone = "Detroit"
deadline = "late"
max_parallel = 0
[defaults]
timeout = "an hour"
[jobs.pull]
kind = "canvas_pull"
needs = ["pul"]
"#,
        )
        .unwrap_err();

        let lines: Vec<usize> = mistakes.0.iter().map(|mistake| mistake.line).collect();
        assert_eq!(lines, [1, 2, 3, 4, 5, 7, 10], "{mistakes}");
    }
}
