//! Faults of whole deliveries: rows that are missing or come twice, and a column with another name.

use serde_json::Value;

use super::scope::Scope;
use super::table_file::TableFile;

/// Drops a share of the rows.
pub(super) fn drop_rows(file: &mut TableFile, scope: &Scope<'_>) {
    file.rows.retain(|row| !scope.hits(row));
}

/// Delivers a share of the rows twice.
pub(super) fn double_rows(file: &mut TableFile, scope: &Scope<'_>) {
    let twice: Vec<_> = file.rows.iter().filter(|row| scope.hits(row)).cloned().collect();
    file.rows.extend(twice);
}

/// Delivers a share of the rows a second time with another content.
pub(super) fn repeat_keys(file: &mut TableFile, scope: &Scope<'_>) {
    let mut again: Vec<_> = file.rows.iter().filter(|row| scope.hits(row)).cloned().collect();
    for row in &mut again {
        row.cells.insert("extra_attempts".to_owned(), Value::from(1));
    }
    file.rows.extend(again);
}

/// Gives a column that no reader of the table needs another name.
pub(super) fn rename_column(file: &mut TableFile, scope: &Scope<'_>) {
    let (column, name) = match scope.table {
        "web_logs_daily" => ("distinct_resources", "unique_resources"),
        _ => ("late_policy_status", "lateness"),
    };
    file.rename(column, name);
}
