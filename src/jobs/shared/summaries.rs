//! The sheets of a report: its figures as CSV and Parquet, for spreadsheets and notebooks.
//!
//! They are made from what readers are told, so they hold no exact count. Each row has the DAG and the logical date, so
//! that the sheets of many nights can be read as one table (`published/reports/nightly/*/support.parquet`). Columns are
//! added at the end, never renamed or removed. What each column is says [`SHEETS`], which is part of the data dictionary.

use anyhow::Context as _;
use jiff::civil::{Date, date};
use polars::prelude::{AnyValue, Column, DataFrame, DataType, NamedFrom as _, ParquetWriter, Series};

use crate::report::view::{DictionaryColumn, DictionaryTable, ReaderView};

/// A sheet: its name, what a row is, and its columns with their types and what they are.
struct Sheet {
    name: &'static str,
    about: &'static str,
    columns: &'static [(&'static str, &'static str, &'static str)],
}

const NIGHT: [(&str, &str, &str); 2] =
    [("dag", "text", "The DAG."), ("logical_date", "date", "The night: it covers through the end of the day before.")];

const SHEETS: [Sheet; 4] = [
    Sheet {
        name: "support",
        about: "A group of a term's students, or, where `group` is empty, the whole term: how many may need support.",
        columns: &[
            ("term", "text", "The term."),
            ("grouped_by", "text", "What the groups are. A student may be in several."),
            ("group", "text", "The group; empty for the whole term."),
            (
                "flagged",
                "int",
                "Students whom the model flags, distinct, rounded to 5; empty where that would be too few.",
            ),
            ("with_score", "int", "Students with a score, distinct, rounded to 5; empty below 10."),
        ],
    },
    Sheet {
        name: "freshness",
        about: "A table: through which day it is complete.",
        columns: &[
            ("table", "text", "The table."),
            (
                "complete_through",
                "date",
                "The last day through the end of which it is complete; empty where not known.",
            ),
            ("rhythm", "text", "How often it is delivered: daily, weekly or termly."),
            ("is_late", "bool", "Whether it is older than it should be."),
            ("is_stale", "bool", "Whether a delivery of it could not be used."),
        ],
    },
    Sheet {
        name: "model",
        about: "A course week of a model in use: how well it told students apart when it was trained.",
        columns: &[
            ("model", "text", "The model."),
            ("version", "text", "The version in use."),
            ("week", "int", "The course week."),
            ("auc", "number", "The area under the ROC curve."),
            ("auc_low", "number", "The lower end of its 95 % interval."),
            ("auc_high", "number", "The upper end."),
            ("rule_auc", "number", "The same for a simple rule; empty where it is not defined."),
            ("base_rate_auc", "number", "The same for the courses' own history; empty where it is not defined."),
        ],
    },
    Sheet {
        name: "findings",
        about: "A quality rule that found something.",
        columns: &[
            ("rule", "text", "The rule."),
            ("subject", "text", "The table or column."),
            ("status", "text", "How it ended: warn, fail or error."),
            ("why", "text", "Why the rule matters."),
        ],
    },
];

/// Returns the sheets of the dictionary.
pub(in crate::jobs) fn described() -> Vec<DictionaryTable> {
    let sheets = SHEETS.iter().map(|sheet| DictionaryTable {
        name: sheet.name.to_owned(),
        about: sheet.about.to_owned(),
        key: Vec::new(),
        owner: None,
        version: None,
        columns: NIGHT
            .iter()
            .chain(sheet.columns)
            .map(|(name, kind, about)| DictionaryColumn {
                name: (*name).to_owned(),
                kind: (*kind).to_owned(),
                about: (*about).to_owned(),
                unit: None,
                notes: Vec::new(),
            })
            .collect(),
    });
    sheets.collect()
}

/// Returns the files of a report's sheets, by name: each as CSV and as Parquet, also where it has no row.
///
/// # Errors
/// When one cannot be written.
pub(in crate::jobs) fn files(view: &ReaderView) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    for (sheet, columns) in SHEETS.iter().zip([support(view), freshness(view), model(view), findings(view)]) {
        let mut frame = frame(sheet, view, columns).with_context(|| format!("making the sheet `{}`", sheet.name))?;
        files.push((format!("{}.csv", sheet.name), csv(&frame)?));
        let mut parquet = Vec::new();
        ParquetWriter::new(&mut parquet).finish(&mut frame)?;
        files.push((format!("{}.parquet", sheet.name), parquet));
    }
    Ok(files)
}

/// A column before it has a name.
enum Values {
    Text(Vec<Option<String>>),
    Count(Vec<Option<u64>>),
    Number(Vec<Option<f64>>),
    Flag(Vec<bool>),
    Day(Vec<Option<Date>>),
}

fn frame(sheet: &Sheet, view: &ReaderView, columns: Vec<Values>) -> anyhow::Result<DataFrame> {
    anyhow::ensure!(columns.len() == sheet.columns.len(), "it has {} columns", columns.len());
    let n_rows = columns.first().map_or(0, Values::len);
    let night =
        [Values::Text(vec![Some(view.dag.to_string()); n_rows]), Values::Day(vec![Some(view.logical_date); n_rows])];
    let names = NIGHT.iter().chain(sheet.columns).map(|(name, ..)| *name);
    let columns = names.zip(night.into_iter().chain(columns)).map(|(name, values)| values.column(name));
    Ok(DataFrame::new(n_rows, columns.collect::<anyhow::Result<Vec<Column>>>()?)?)
}

impl Values {
    fn len(&self) -> usize {
        match self {
            Self::Text(values) => values.len(),
            Self::Count(values) => values.len(),
            Self::Number(values) => values.len(),
            Self::Flag(values) => values.len(),
            Self::Day(values) => values.len(),
        }
    }

    fn column(self, name: &str) -> anyhow::Result<Column> {
        let series = match self {
            Self::Text(values) => Series::new(name.into(), values),
            Self::Count(values) => {
                let values = values.into_iter().map(|value| value.map(i64::try_from).transpose());
                Series::new(name.into(), values.collect::<Result<Vec<Option<i64>>, _>>()?)
            }
            Self::Number(values) => Series::new(name.into(), values),
            Self::Flag(values) => Series::new(name.into(), values),
            Self::Day(values) => {
                let days: Vec<Option<i32>> =
                    values.into_iter().map(|day| day.map(|day| (day - EPOCH).get_days())).collect();
                Series::new(name.into(), days).cast(&DataType::Date)?
            }
        };
        Ok(series.into())
    }
}

const EPOCH: Date = date(1970, 1, 1);

fn support(view: &ReaderView) -> Vec<Values> {
    let mut rows = Vec::new();
    for term in &view.flagged {
        let whole = (None, term.flagged, term.enrolled);
        let groups = term.groups.iter().map(|group| (Some(group.group.clone()), group.flagged, group.enrolled));
        rows.extend([whole].into_iter().chain(groups).map(|row| (term, row)));
    }
    vec![
        Values::Text(rows.iter().map(|(term, _)| Some(term.term.clone())).collect()),
        Values::Text(rows.iter().map(|(term, _)| Some(term.grouped_by.clone())).collect()),
        Values::Text(rows.iter().map(|(_, (group, ..))| group.clone()).collect()),
        Values::Count(rows.iter().map(|(_, (_, flagged, _))| flagged.shown()).collect()),
        Values::Count(rows.iter().map(|(_, (.., enrolled))| enrolled.shown()).collect()),
    ]
}

fn freshness(view: &ReaderView) -> Vec<Values> {
    let tables = &view.tables;
    vec![
        Values::Text(tables.iter().map(|table| Some(table.name.clone())).collect()),
        Values::Day(tables.iter().map(|table| table.complete_through).collect()),
        Values::Text(tables.iter().map(|table| Some(table.rhythm.as_str().to_owned())).collect()),
        Values::Flag(tables.iter().map(|table| table.is_late).collect()),
        Values::Flag(tables.iter().map(|table| table.is_stale).collect()),
    ]
}

fn model(view: &ReaderView) -> Vec<Values> {
    let champions = view.models.iter().filter_map(|model| model.champion.as_ref());
    let weeks: Vec<_> = champions.flat_map(|model| model.weeks.iter().map(move |week| (model, week))).collect();
    vec![
        Values::Text(weeks.iter().map(|(model, _)| Some(model.name.clone())).collect()),
        Values::Text(weeks.iter().map(|(model, _)| Some(model.version.clone())).collect()),
        Values::Count(weeks.iter().map(|(_, week)| Some(u64::from(week.week))).collect()),
        Values::Number(weeks.iter().map(|(_, week)| Some(week.auc.value)).collect()),
        Values::Number(weeks.iter().map(|(_, week)| Some(week.auc.low)).collect()),
        Values::Number(weeks.iter().map(|(_, week)| Some(week.auc.high)).collect()),
        Values::Number(weeks.iter().map(|(_, week)| week.rule_auc).collect()),
        Values::Number(weeks.iter().map(|(_, week)| week.base_rate_auc).collect()),
    ]
}

fn findings(view: &ReaderView) -> Vec<Values> {
    let of = |text: &dyn Fn(&crate::report::view::ReaderFinding) -> String| {
        Values::Text(view.findings.iter().map(|finding| Some(text(finding))).collect())
    };
    vec![
        of(&|finding| finding.rule.clone()),
        of(&|finding| finding.subject.clone()),
        of(&|finding| finding.status.as_str().to_owned()),
        of(&|finding| finding.why.clone()),
    ]
}

/// Returns a frame as CSV (RFC 4180). A text that a spreadsheet would take for a formula gets an apostrophe before it.
fn csv(frame: &DataFrame) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    writer.write_record(frame.get_column_names().into_iter().map(|name| name.as_str()))?;
    for row in 0..frame.height() {
        let cells = frame.columns().iter().map(|column| Ok(cell(&column.get(row)?)));
        writer.write_record(cells.collect::<anyhow::Result<Vec<String>>>()?)?;
    }
    writer.into_inner().map_err(|error| anyhow::anyhow!("writing CSV: {error}"))
}

fn cell(value: &AnyValue<'_>) -> String {
    match value {
        AnyValue::Null => String::new(),
        AnyValue::String(text) => harmless(text),
        // The value of a column that has one value is owned.
        AnyValue::StringOwned(text) => harmless(text),
        AnyValue::Date(days) => EPOCH.saturating_add(jiff::Span::new().days(*days)).to_string(),
        other => other.to_string(),
    }
}

fn harmless(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use polars::prelude::{ParquetReader, SerReader as _};

    use super::*;
    use crate::report::view::{ReportView, Verdict};

    fn sheet(name: &str, view: &ReaderView) -> (String, DataFrame) {
        let files = files(view).unwrap();
        let of = |kind: &str| files.iter().find(|(file, _)| *file == format!("{name}.{kind}")).unwrap().1.clone();
        let frame = ParquetReader::new(std::io::Cursor::new(of("parquet"))).finish().unwrap();
        (String::from_utf8(of("csv")).unwrap(), frame)
    }

    #[test]
    fn csv_and_parquet_hold_the_same_and_a_hidden_count_is_empty() {
        let view = ReportView::sample(Verdict::Warning).for_readers();

        let (text, frame) = sheet("support", &view);

        let rows: usize = view.flagged.iter().map(|term| term.groups.len() + 1).sum();
        assert_eq!((frame.height(), text.lines().count()), (rows, rows + 1));
        assert!(text.starts_with("dag,logical_date,term,grouped_by,group,flagged,with_score\r\n"), "{text}");
        assert_eq!(frame.column("flagged").unwrap().null_count(), text.lines().filter(|line| is_hidden(line)).count());
        assert_eq!(frame.column("logical_date").unwrap().dtype(), &DataType::Date);
    }

    fn is_hidden(line: &str) -> bool {
        line.split(',').nth(5) == Some("")
    }

    #[test]
    fn a_night_without_rows_has_sheets_with_columns_and_their_types() {
        let mut view = ReportView::sample(Verdict::Ok).for_readers();
        view.flagged.clear();

        let (text, frame) = sheet("support", &view);

        assert_eq!((frame.height(), frame.width(), text.lines().count()), (0, 7, 1));
        assert_eq!(frame.column("flagged").unwrap().dtype(), &DataType::Int64);
    }

    #[test]
    fn a_sheet_of_one_row_is_written_like_any_other() {
        let mut view = ReportView::sample(Verdict::Warning).for_readers();
        view.findings.truncate(1);

        let (text, frame) = sheet("findings", &view);

        assert_eq!(frame.height(), 1);
        assert!(text.lines().nth(1).unwrap().starts_with("nightly,2026-11-20,"), "{text}");
    }

    #[test]
    fn a_text_is_never_a_formula() {
        assert_eq!(cell(&AnyValue::String("=HYPERLINK(1)")), "'=HYPERLINK(1)");
        assert_eq!(cell(&AnyValue::String("Autumn, 2026")), "Autumn, 2026");
    }

    #[test]
    fn the_dictionary_has_every_column_of_every_sheet() {
        let view = ReportView::sample(Verdict::Warning).for_readers();

        for described in described() {
            let (_, frame) = sheet(&described.name, &view);
            let names: Vec<&str> = frame.get_column_names().into_iter().map(|name| name.as_str()).collect();
            assert_eq!(names, described.columns.iter().map(|column| column.name.as_str()).collect::<Vec<_>>());
        }
    }
}
