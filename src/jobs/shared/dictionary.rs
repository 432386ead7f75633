//! The data dictionary, from the site's contracts: of tables, of feature sets and labels, and of the published sheets.

use super::features::catalogue;
use super::summaries;
use crate::domain::outcome::JobError;
use crate::domain::table::{ColumnContract, TableContract};
use crate::features::{FeatureSet, Role};
use crate::jobs::kind::JobContext;
use crate::report::view::{DictionaryColumn, DictionaryTable, DictionaryView};

/// Returns the dictionary of what this site has: the tables that were ever pulled, and all its feature sets.
///
/// # Errors
/// When a contract or a feature set cannot be read.
pub(in crate::jobs) fn dictionary(cx: &JobContext) -> Result<DictionaryView, JobError> {
    let catalogue = catalogue(cx)?;
    let tables = cx.tables()?;
    let mut tables: Vec<DictionaryTable> = tables.iter().map(|(contract, _)| of_table(contract)).collect();
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(DictionaryView {
        institution: cx.environment.config.institution.name.clone(),
        sheets: summaries::described(),
        features: catalogue.sets().map(of_set).collect(),
        tables,
    })
}

/// Returns a dictionary as CSV: a row for each column.
///
/// # Errors
/// When it cannot be written.
pub(in crate::jobs) fn csv(dictionary: &DictionaryView) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(["zone", "table", "column", "type", "unit", "about", "notes"])?;
    let zones = [("published", &dictionary.sheets), ("features", &dictionary.features), ("tables", &dictionary.tables)];
    for (zone, tables) in zones {
        for table in tables {
            for column in &table.columns {
                let notes = column.notes.join("; ");
                let unit = column.unit.as_deref().unwrap_or_default();
                writer.write_record([zone, &table.name, &column.name, &column.kind, unit, &column.about, &notes])?;
            }
        }
    }
    writer.into_inner().map_err(|error| anyhow::anyhow!("writing CSV: {error}"))
}

fn of_table(contract: &TableContract) -> DictionaryTable {
    DictionaryTable {
        name: contract.name.to_string(),
        about: contract.about.clone(),
        key: contract.key.clone(),
        owner: None,
        version: None,
        columns: contract.columns.iter().map(|(name, column)| of_column(name, column)).collect(),
    }
}

fn of_column(name: &str, column: &ColumnContract) -> DictionaryColumn {
    let mut notes = Vec::new();
    if let Some(why) = &column.dropped {
        notes.push(format!("not kept ({why})"));
    }
    if let Some(domain) = &column.person {
        notes.push(format!("a pseudonym ({domain})"));
    }
    if let Some(referred) = &column.refers_to {
        notes.push(format!("refers to {referred}"));
    }
    if !column.values.is_empty() {
        notes.push(format!("one of {}", column.values.join(", ")));
    }
    if let Some((low, high)) = column.range {
        notes.push(format!("{low} to {high}"));
    }
    if column.required {
        notes.push("required".to_owned());
    }
    DictionaryColumn {
        name: name.to_owned(),
        kind: column.kind.as_str().to_owned(),
        about: String::new(),
        unit: None,
        notes,
    }
}

fn of_set(set: &FeatureSet) -> DictionaryTable {
    let contract = &set.contract;
    let columns = contract.columns.iter().map(|(name, column)| {
        let mut notes = Vec::new();
        if let Some(means) = &column.null_means {
            notes.push(format!("empty: {means}"));
        }
        if let Some((low, high)) = column.range {
            notes.push(format!("{low} to {high}"));
        }
        if column.actionable {
            notes.push("a person can act on it".to_owned());
        }
        DictionaryColumn {
            name: name.clone(),
            kind: column.kind.as_str().to_owned(),
            about: column.about.clone(),
            unit: column.unit.clone(),
            notes,
        }
    });
    DictionaryTable {
        name: if set.role == Role::Label { format!("label {}", set.name) } else { set.name.to_string() },
        about: contract.grain.clone(),
        key: contract.key.clone(),
        owner: Some(contract.owner.clone()),
        version: Some(contract.version),
        columns: columns.collect(),
    }
}
