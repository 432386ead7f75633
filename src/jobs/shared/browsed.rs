//! What is published beside a report's page: its sheets, and what is current, a card for each model in use and the data
//! dictionary.
//!
//! The sheets are in the report's folder. Cards and dictionary describe what is current, so a run for an earlier date
//! leaves them as they are.

use super::cards::cards;
use super::dictionary::{self, dictionary};
use super::summaries;
use crate::domain::ids::TableName;
use crate::domain::outcome::JobError;
use crate::jobs::kind::JobContext;
use crate::lake::keys;
use crate::report::Renderer;
use crate::report::view::{DictionaryView, ModelCardView, ReaderView, ReportView};

/// What the files are made from.
pub(in crate::jobs) struct Browsed {
    /// The folder of the report.
    folder: String,
    readers: ReaderView,
    cards: Vec<(TableName, ModelCardView)>,
    dictionary: Option<DictionaryView>,
}

/// Returns what is published beside a report.
///
/// # Errors
/// When a contract or a feature set cannot be read.
pub(in crate::jobs) fn gather(report: &ReportView, cx: &JobContext) -> Result<Browsed, JobError> {
    let mut browsed = Browsed {
        folder: keys::report_folder(&cx.input.dag, cx.input.logical_date),
        readers: report.for_readers(),
        cards: Vec::new(),
        dictionary: None,
    };
    if !cx.input.is_for_earlier_date {
        browsed.cards = cards(cx, report.is_simulation)?;
        // Before the first delivery there is nothing to describe.
        browsed.dictionary = cx.tables().is_ok().then(|| dictionary(cx)).transpose()?;
    }
    Ok(browsed)
}

impl Browsed {
    /// Returns the files with their keys.
    ///
    /// # Errors
    /// When a template does not render, or a sheet cannot be written.
    pub(in crate::jobs) fn files(&self, renderer: &Renderer) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        let sheets = summaries::files(&self.readers)?.into_iter();
        let mut files: Vec<(String, Vec<u8>)> =
            sheets.map(|(file, bytes)| (format!("{}/{file}", self.folder), bytes)).collect();
        for (model, card) in &self.cards {
            files.push((keys::model_card(model, "index.html"), renderer.model_card(card)?.into_bytes()));
            files.push((keys::model_card(model, "card.json"), serde_json::to_vec_pretty(card)?));
        }
        if let Some(dictionary) = &self.dictionary {
            files.push((keys::dictionary_file("index.html"), renderer.dictionary(dictionary)?.into_bytes()));
            files.push((keys::dictionary_file("dictionary.json"), serde_json::to_vec_pretty(dictionary)?));
            files.push((keys::dictionary_file("dictionary.csv"), dictionary::csv(dictionary)?));
        }
        Ok(files)
    }
}
