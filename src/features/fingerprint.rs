//! Whether a built partition is still current: a hash of everything that went into it.
//!
//! Covers the SQL as rendered for the cutoff, the contract, the plan's courses and weeks, the code that builds it, and of
//! each table read its contract, when it was first known, and the content hashes of the parts of the partition's terms.
//! A delivery for another term, or another logical date, leaves it as it is.

use super::catalogue::FeatureSet;
use super::error::FeatureError;
use super::inputs::Inputs;
use super::plan::AsOf;
use crate::domain::code;
use crate::domain::ids::content_hash;
use serde::Serialize;

/// Returns the fingerprint of the partition `as_of` of `set` over `inputs`, as 64 hex digits.
///
/// # Errors
/// When a table is missing, or the SQL is refused.
pub fn fingerprint(set: &FeatureSet, as_of: &AsOf, inputs: &Inputs) -> Result<String, FeatureError> {
    let rendered = set.rendered(as_of.cutoff)?;
    let terms = as_of.terms();
    let mut names: Vec<&str> = set.reads().iter().map(String::as_str).collect();
    if inputs.table("enrollment_terms").is_some() && !names.contains(&"enrollment_terms") {
        names.push("enrollment_terms");
    }
    let tables = names
        .into_iter()
        .map(|name| {
            let table = inputs.required(set.name.as_str(), name)?;
            Ok(TableFacts {
                contract: json(&table.contract),
                first_known_at: table.first_known_at.to_string(),
                parts: table.parts_of(Some(&terms)).into_iter().map(|file| file.part.sha256.as_str()).collect(),
            })
        })
        .collect::<Result<Vec<_>, FeatureError>>()?;
    let facts = PartitionFacts {
        code: code::FEATURES,
        set: set.name.as_str(),
        contract: json(&set.contract),
        sql: &rendered.sql,
        population_sql: rendered.population.as_ref().map(|(sql, _)| sql.as_str()),
        as_of,
        tables,
    };
    Ok(content_hash(json(&facts).as_bytes()))
}

#[derive(Serialize)]
struct PartitionFacts<'a> {
    code: &'a str,
    set: &'a str,
    contract: String,
    sql: &'a str,
    population_sql: Option<&'a str>,
    as_of: &'a AsOf,
    tables: Vec<TableFacts<'a>>,
}

#[derive(Serialize)]
struct TableFacts<'a> {
    contract: String,
    first_known_at: String,
    parts: Vec<&'a str>,
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("facts are text, numbers and maps with text keys, which always serialise")
}
