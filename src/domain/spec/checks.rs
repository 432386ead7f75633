//! What must hold between the jobs of a DAG file, and between it and the catalogue of kinds.
//!
//! Looks at the raw document, so that it finds what it can even where the shape is wrong elsewhere. It adds to the
//! list of mistakes and never stops at the first.

use std::collections::BTreeMap;

use petgraph::algo::{astar, tarjan_scc};
use petgraph::graph::{DiGraph, NodeIndex};
use serde_json::Value;

use super::catalogue::KindCatalogue;
use crate::domain::document::{Document, Mistake, among};
use crate::domain::ids::JobName;

/// Returns the jobs of a document, whatever else is wrong with it.
pub(super) fn jobs_of(document: &Document) -> Vec<(&String, &Value)> {
    document.value.get("jobs").and_then(Value::as_object).map(|jobs| jobs.iter().collect()).unwrap_or_default()
}

/// Notes what is wrong between jobs and against the catalogue.
pub(super) fn check_jobs(document: &Document, catalogue: &dyn KindCatalogue, mistakes: &mut Vec<Mistake>) {
    let jobs = jobs_of(document);
    let names: Vec<String> = jobs.iter().map(|(name, _)| (*name).clone()).collect();
    if jobs.is_empty() && document.value.get("jobs").is_some_and(Value::is_object) {
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
    let nodes: BTreeMap<&str, NodeIndex> =
        jobs.iter().map(|(name, _)| (name.as_str(), graph.add_node(name.as_str()))).collect();
    for (name, job) in jobs {
        for need in job.get("needs").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            if let Some(need) = nodes.get(need) {
                graph.update_edge(nodes[name.as_str()], *need, ());
            }
        }
    }
    for component in tarjan_scc(&graph) {
        let Some(first) = component.into_iter().min_by_key(|node| graph[*node]) else { continue };
        if let Some(cycle) = shortest_cycle(&graph, first) {
            let name = graph[first];
            let message = if let [_] = cycle.as_slice() {
                "the job needs itself".to_owned()
            } else {
                format!("these jobs need each other in a cycle: {} -> {name}", cycle.join(" -> "))
            };
            mistakes.push(document.mistake(&["jobs", name, "needs"], message));
        }
    }
}

/// The names on the shortest way from a job through its needs back to itself.
fn shortest_cycle<'a>(graph: &DiGraph<&'a str, ()>, start: NodeIndex) -> Option<Vec<&'a str>> {
    let ways = graph.neighbors(start).filter_map(|need| astar(graph, need, |node| node == start, |_| 1, |_| 0));
    let names = ways.map(|(length, way)| (length, way.into_iter().map(|node| graph[node]).collect::<Vec<_>>()));
    let (_, mut way) = names.min()?;
    way.rotate_right(1);
    Some(way)
}
