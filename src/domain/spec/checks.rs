//! What must hold between the jobs of a DAG file, and between it and the catalogue of kinds.
//!
//! It looks at the raw document, so that it finds what it can even where the shape is wrong elsewhere. It adds to the
//! list of mistakes and never stops at the first.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use serde_json::Value;

use super::catalogue::KindCatalogue;
use crate::domain::document::{Document, Mistake, Shape, Words};
use crate::domain::ids::JobName;

/// Returns the jobs of a document, whatever else is wrong with it.
pub(super) fn jobs_of(document: &Document) -> Vec<(&String, &Value)> {
    document.value.get("jobs").and_then(Value::as_object).map(|jobs| jobs.iter().collect()).unwrap_or_default()
}

/// Notes what is wrong between jobs and against the catalogue.
pub(super) fn check_jobs(document: &Document, catalogue: &dyn KindCatalogue, mistakes: &mut Vec<Mistake>) {
    let jobs = jobs_of(document);
    if jobs.is_empty() && document.value.get("jobs").is_some_and(Value::is_object) {
        mistakes.push(document.mistake(&["jobs"], "a DAG needs at least one job"));
    }
    for (name, _) in &jobs {
        if let Err(error) = JobName::try_from((*name).clone()) {
            mistakes.push(document.mistake(&["jobs", name], error.to_string()));
        }
    }
    check_kinds(document, &jobs, catalogue, mistakes);
    check_needs(document, &jobs, mistakes);
    check_whens(document, &jobs, mistakes);
    check_cycles(document, &jobs, mistakes);
}

fn check_kinds(
    document: &Document,
    jobs: &[(&String, &Value)],
    catalogue: &dyn KindCatalogue,
    mistakes: &mut Vec<Mistake>,
) {
    let kinds = Words::new(catalogue.kinds());
    let mut shapes: BTreeMap<&str, Option<Shape>> = BTreeMap::new();
    let empty = Value::Object(serde_json::Map::new());
    for (name, job) in jobs {
        let Some(kind) = job.get("kind").and_then(Value::as_str) else { continue };
        let shape = shapes.entry(kind).or_insert_with(|| catalogue.params_schema(kind).map(Shape::new));
        match shape {
            None => {
                let message = format!("there is no kind `{kind}`; {}", kinds.among(kind));
                mistakes.push(document.mistake(&["jobs", name, "kind"], message));
            }
            Some(shape) => {
                let params = job.get("with").unwrap_or(&empty);
                let found = document.mistakes_at(&["jobs", name, "with"], params, shape);
                let objections = catalogue.objections(kind, params).into_iter().map(|(inside, message)| {
                    let path = ["jobs", name, "with"].into_iter().chain(inside.iter().map(String::as_str));
                    document.mistake(&path.collect::<Vec<_>>(), message)
                });
                // What does not fit the schema is said once.
                let is_new = |objection: &Mistake| !found.iter().any(|mistake| mistake.path == objection.path);
                mistakes.extend(objections.filter(is_new).collect::<Vec<_>>());
                mistakes.extend(found);
            }
        }
    }
}

fn check_needs(document: &Document, jobs: &[(&String, &Value)], mistakes: &mut Vec<Mistake>) {
    let names: BTreeSet<&str> = jobs.iter().map(|(name, _)| name.as_str()).collect();
    let words = Words::new(names.iter().map(|name| (*name).to_owned()).collect());
    for (name, job) in jobs {
        let mut seen = BTreeSet::new();
        for (index, need) in job.get("needs").and_then(Value::as_array).into_iter().flatten().enumerate() {
            let Some(need) = need.as_str() else { continue };
            let at = |message: String| document.mistake(&["jobs", name, "needs", &index.to_string()], message);
            if !names.contains(need) {
                mistakes.push(at(format!("there is no job `{need}`; {}", words.among(need))));
            }
            if !seen.insert(need) {
                mistakes.push(at(format!("`{need}` is named twice")));
            }
        }
    }
}

/// A job whose `when` depends on how its needs end, but which has no needs, would never run.
fn check_whens(document: &Document, jobs: &[(&String, &Value)], mistakes: &mut Vec<Mistake>) {
    for (name, job) in jobs {
        let has_needs = job.get("needs").is_some_and(|needs| needs.as_array().is_none_or(|needs| !needs.is_empty()));
        let when = job.get("when").and_then(Value::as_str).unwrap_or_default();
        if ["one_failed", "one_success"].contains(&when) && !has_needs {
            let message = format!("the job never runs: it waits for `{when}` among its needs, and has none");
            mistakes.push(document.mistake(&["jobs", name, "when"], message));
        }
    }
}

fn check_cycles(document: &Document, jobs: &[(&String, &Value)], mistakes: &mut Vec<Mistake>) {
    let mut graph = DiGraph::<&str, ()>::new();
    let nodes: BTreeMap<&str, NodeIndex> =
        jobs.iter().map(|(name, _)| (name.as_str(), graph.add_node(name.as_str()))).collect();
    for (name, job) in jobs {
        for need in job.get("needs").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            if let Some(need) = nodes.get(need) {
                graph.add_edge(nodes[name.as_str()], *need, ());
            }
        }
    }
    for component in kosaraju_scc(&graph) {
        let members: BTreeSet<NodeIndex> = component.into_iter().collect();
        let Some(first) = members.iter().copied().min_by_key(|node| graph[*node]) else { continue };
        if let Some(cycle) = shortest_cycle(&graph, first, &members) {
            let name = graph[first];
            let message = if let [_] = cycle.as_slice() {
                "the job needs itself".to_owned()
            } else {
                format!("these jobs need each other in a cycle: {} -> {name}", named(&cycle))
            };
            mistakes.push(document.mistake(&["jobs", name, "needs"], message));
        }
    }
}

/// The names on the shortest way from a job through its needs back to itself, all of them among `members`.
fn shortest_cycle<'a>(
    graph: &DiGraph<&'a str, ()>,
    start: NodeIndex,
    members: &BTreeSet<NodeIndex>,
) -> Option<Vec<&'a str>> {
    let mut came_from: BTreeMap<NodeIndex, NodeIndex> = BTreeMap::new();
    let mut waiting = VecDeque::from([start]);
    while let Some(node) = waiting.pop_front() {
        let mut needs: Vec<NodeIndex> = graph.neighbors(node).filter(|need| members.contains(need)).collect();
        needs.sort_by_key(|need| graph[*need]);
        if needs.contains(&start) {
            let way = std::iter::successors(Some(node), |node| came_from.get(node).copied());
            let mut names: Vec<&str> = way.map(|node| graph[node]).collect();
            names.reverse();
            return Some(names);
        }
        for need in needs {
            if let std::collections::btree_map::Entry::Vacant(place) = came_from.entry(need) {
                place.insert(node);
                waiting.push_back(need);
            }
        }
    }
    None
}

/// The names of a cycle; of a long one, its beginning and its end.
fn named(cycle: &[&str]) -> String {
    const SHOWN: usize = 10;
    match cycle {
        [first @ .., last] if cycle.len() > 2 * SHOWN => {
            let hidden = first.len() - SHOWN;
            format!("{} -> ({hidden} more) -> {last}", first[..SHOWN].join(" -> "))
        }
        _ => cycle.join(" -> "),
    }
}
