//! Printing results: tables for people, JSON for programs.
//!
//! Results go to standard output. A closed pipe (`nocturne … | head`) ends a command that only shows something quietly;
//! one that does work goes on without a word ([`Listener`]).
//!
//! Nothing from data steers a terminal: all that is printed goes through here, and control characters in it are shown
//! (`domain::printable`); in a cell of a table and in a [`name`], line breaks too.

use std::io::{IsTerminal as _, Write as _};

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use super::exit_code::ExitCode;
use super::failure::Failure;
use crate::domain::document::Mistakes;
use crate::domain::printable;

pub(super) use crate::domain::number::grouped as thousands;

/// Prints `value` as indented JSON.
pub(super) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Failure::new(ExitCode::RunFailed, e))?;
    print(&printable::json(&text))
}

/// Prints the mistakes of a file that was checked, as JSON.
pub(super) fn mistakes(mistakes: &Mistakes) -> Result<ExitCode, Failure> {
    let shown = mistakes.0.iter().map(|one| {
        serde_json::json!({
            "file": one.file, "line": one.line, "column": one.column, "path": one.path, "message": one.message
        })
    });
    json(&serde_json::json!({ "valid": false, "mistakes": shown.collect::<Vec<_>>() }))?;
    Ok(ExitCode::Invalid)
}

/// Prints one line, or several.
pub(super) fn line(text: &str) -> Result<(), Failure> {
    print(&printable::lines(text))
}

/// Prints a name, or other text from data that stands in a line of its own.
pub(super) fn name(text: &str) -> Result<(), Failure> {
    print(&printable::cell(text))
}

/// Writes bytes as they are; on a terminal, as text that does not steer it.
pub(super) fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = std::io::stdout();
    if stdout.is_terminal() {
        return line(&String::from_utf8_lossy(bytes));
    }
    written(stdout.write_all(bytes))
}

fn print(text: &str) -> Result<(), Failure> {
    written(writeln!(std::io::stdout(), "{text}"))
}

fn written(done: std::io::Result<()>) -> Result<(), Failure> {
    match done {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(ExitCode::Done as i32),
        Err(error) => Err(Failure::new(ExitCode::Unreachable, error)),
    }
}

/// The reader of what a command prints while it works: the work continues when nobody reads any more.
#[derive(Debug, Default)]
pub(super) struct Listener {
    has_left: bool,
}

impl Listener {
    /// Prints one line, if the output is still being read.
    pub(super) fn line(&mut self, text: &str) {
        self.print(&printable::lines(text));
    }

    /// Prints `value` as indented JSON, if the output is still being read.
    pub(super) fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value).map_err(|e| Failure::new(ExitCode::RunFailed, e))?;
        self.print(&printable::json(&text));
        Ok(())
    }

    fn print(&mut self, text: &str) {
        self.has_left = self.has_left || writeln!(std::io::stdout(), "{text}").is_err();
    }
}

/// Prints rows below a header; the columns named in `right` are numbers, aligned to the right.
pub(super) fn table(header: &[&str], right: &[usize], rows: Vec<Vec<String>>) -> Result<(), Failure> {
    let header: Vec<String> = header.iter().map(|name| name.to_uppercase()).collect();
    data(&header, right, rows)
}

/// Prints rows of data under the names of their columns, as they are spelt.
pub(super) fn data(header: &[String], right: &[usize], rows: Vec<Vec<String>>) -> Result<(), Failure> {
    let mut table = Table::new();
    table.load_preset(NOTHING);
    table.set_header(header.iter().map(|name| printable::cell(name)));
    table.add_rows(rows.into_iter().map(|row| row.into_iter().map(|value| printable::cell(&value).into_owned())));
    for index in right {
        if let Some(column) = table.column_mut(*index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    line(&table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n"))
}

/// Returns a size in bytes for people: `812 B`, `4.1 MiB`.
pub(super) fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_for_people() {
        assert_eq!((size(812), size(4_300_000)), ("812 B".into(), "4.1 MiB".into()));
    }
}
