//! The only way to render: a view goes in; finished pages, e-mail contents and charts come out.
//!
//! Pure and synchronous: a page takes a few milliseconds and its charts some tens, so async callers wrap it. It writes
//! nothing and sends nothing.

use std::borrow::Cow;

use jiff::civil::Date;
use minijinja::Environment;
use serde::Serialize;

use super::charts::{Brush, Chart, ChartError, Drawn};
use super::format::fitted;
use super::templates::{Template, environment, render};
use super::view::{
    AlertNewsView, DictionaryView, DigestView, FailureKind, FailureView, FolderView, FourAnswers, ModelCardView,
    ReaderView, ReportView, TableView, UndeliveredView, Verdict,
};
use crate::domain::check::Severity;
use crate::domain::delivery::Signature;
use crate::domain::ids::DagName;

/// The most tables that an e-mail lists; the report lists all.
const MOST_TABLES: usize = 8;

/// The most columns of a line of an e-mail's text part.
const TEXT_COLUMNS: usize = 78;

/// A page or an e-mail that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// A template does not parse.
    #[error("reading the templates")]
    Templates(#[source] Box<minijinja::Error>),
    /// A template did not render.
    #[error("rendering the template `{path}`")]
    Template {
        /// Its path below `templates/`.
        path: &'static str,
        /// The cause.
        source: Box<minijinja::Error>,
    },
    /// A chart could not be drawn.
    #[error("drawing the charts")]
    Chart(#[from] Box<ChartError>),
    /// The styles could not be written into the elements.
    #[error("inlining the styles of `{path}`")]
    Styles {
        /// The template's path.
        path: &'static str,
        /// The cause.
        source: Box<css_inline::InlineError>,
    },
}

/// The content of an e-mail, without addresses: what `mail` makes an e-mail from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedEmail {
    /// The DAG whose night it reports.
    pub dag: DagName,
    /// The logical date.
    pub logical_date: Date,
    /// What it says, in so far as a change in it is worth a correction.
    pub signature: Signature,
    /// The subject.
    pub subject: String,
    /// The text part.
    pub text: String,
    /// The HTML part, its styles inlined, its pictures named by `cid:`.
    pub html: String,
    /// The pictures.
    pub charts: Vec<Chart>,
    /// Why pictures are missing, one line each.
    pub undrawn: Vec<String>,
}

/// The published report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedReport {
    /// `index.html`: self-contained, its charts inside.
    pub index_html: String,
    /// The charts, each also to be written as `<name>.png` beside it.
    pub charts: Vec<Chart>,
    /// Why charts are missing, one line each.
    pub undrawn: Vec<String>,
}

/// Renders views.
#[derive(Debug, Clone)]
pub struct Renderer {
    environment: Environment<'static>,
    brush: Brush,
}

#[derive(Serialize)]
struct DigestContext<'a> {
    view: &'a DigestView,
    report: &'a ReportView,
    verdict: Verdict,
    headline: String,
    answers: FourAnswers,
    correction: Option<String>,
    tables: Vec<&'a TableView>,
    charts: Vec<Picture<'a>>,
}

/// What readers are told, in an e-mail or on the published page.
#[derive(Serialize)]
struct ReaderContext<'a> {
    reader: &'a ReaderView,
    correction: Option<String>,
    undrawn: Vec<String>,
    charts: Vec<Picture<'a>>,
}

#[derive(Serialize)]
struct FailureContext<'a> {
    view: &'a FailureView,
    verdict: Verdict,
}

#[derive(Serialize)]
struct AlertContext<'a> {
    view: &'a AlertNewsView,
    state: Verdict,
    summary: String,
    /// An alert that somebody may see to.
    stands: Option<&'a str>,
}

#[derive(Serialize)]
struct UndeliveredContext<'a> {
    view: &'a UndeliveredView,
    headline: &'static str,
    steps: Vec<String>,
}

/// A chart as a template sees it: a `cid:` reference in an e-mail, the drawing itself on a page.
#[derive(Serialize)]
struct Picture<'a> {
    name: &'static str,
    alt: &'a str,
    svg: Cow<'a, str>,
    width: u32,
    height: u32,
}

impl Renderer {
    /// Returns a renderer that holds the templates and fonts compiled in.
    ///
    /// # Errors
    /// When a template does not parse or a font is unreadable; a test keeps either from being released.
    pub fn new() -> Result<Self, RenderError> {
        let environment = environment().map_err(|source| RenderError::Templates(Box::new(source)))?;
        Ok(Self { environment, brush: Brush::new().map_err(Box::new)? })
    }

    /// Returns the content of the night's digest.
    ///
    /// # Errors
    /// When a template does not render: an unknown zone, for one. A chart that cannot be drawn is a note.
    pub fn digest(&self, view: &DigestView) -> Result<RenderedEmail, RenderError> {
        let Drawn { charts, failures } = self.brush.digest_charts(&self.environment, view);
        let report = &with_notes(&view.report, &failures);
        let context = DigestContext {
            view,
            report,
            verdict: report.verdict(),
            headline: report.headline(),
            answers: report.answers(),
            correction: view.correction(&report.signature()),
            tables: tables_that_matter(report),
            charts: charts.iter().map(Picture::of).collect(),
        };
        Ok(RenderedEmail {
            dag: report.dag.clone(),
            logical_date: report.logical_date,
            signature: report.signature(),
            subject: self.subject(Template::DigestSubject, &context)?,
            text: self.text(Template::DigestText, &context)?,
            html: self.email_html(Template::DigestHtml, &context)?,
            undrawn: failures.iter().map(undrawn).collect(),
            charts,
        })
    }

    /// Returns the content of the e-mail about a night that went wrong.
    ///
    /// # Errors
    /// When a template does not render.
    pub fn failure(&self, view: &FailureView) -> Result<RenderedEmail, RenderError> {
        let verdict = if view.kind == FailureKind::Late { Verdict::Warning } else { Verdict::Failed };
        let context = FailureContext { view, verdict };
        Ok(RenderedEmail {
            dag: view.dag.clone(),
            logical_date: view.logical_date,
            signature: view.signature(),
            subject: self.subject(Template::FailureSubject, &context)?,
            text: self.text(Template::FailureText, &context)?,
            html: self.email_html(Template::FailureHtml, &context)?,
            charts: Vec::new(),
            undrawn: Vec::new(),
        })
    }

    /// Returns the content of a route's e-mail about alerts.
    ///
    /// # Errors
    /// When a template does not render.
    pub fn alerts(&self, view: &AlertNewsView) -> Result<RenderedEmail, RenderError> {
        let state = match view.worst() {
            _ if view.standing().is_none() => Verdict::Ok,
            Severity::Error => Verdict::Failed,
            Severity::Warning | Severity::Info => Verdict::Warning,
        };
        let context = AlertContext { view, state, summary: view.summary(), stands: view.standing() };
        Ok(RenderedEmail {
            dag: view.dag.clone(),
            logical_date: view.logical_date,
            signature: view.signature(),
            subject: self.subject(Template::AlertSubject, &context)?,
            text: self.render(Template::AlertText, &context)?,
            html: self.email_html(Template::AlertHtml, &context)?,
            charts: Vec::new(),
            undrawn: Vec::new(),
        })
    }

    /// Returns the content of the e-mail about recipients of a night who have no e-mail.
    ///
    /// # Errors
    /// When a template does not render.
    pub fn undelivered(&self, view: &UndeliveredView) -> Result<RenderedEmail, RenderError> {
        let headline = match view.mails.len() {
            1 => "An e-mail could not be delivered",
            _ => "E-mails could not be delivered",
        };
        let context = UndeliveredContext { view, headline, steps: view.steps() };
        Ok(RenderedEmail {
            dag: view.dag.clone(),
            logical_date: view.logical_date,
            signature: view.signature(),
            subject: self.subject(Template::UndeliveredSubject, &context)?,
            text: self.render(Template::UndeliveredText, &context)?,
            html: self.email_html(Template::UndeliveredHtml, &context)?,
            charts: Vec::new(),
            undrawn: Vec::new(),
        })
    }

    /// Returns the published report, which says what readers are told: the same bytes for the same view.
    ///
    /// # Errors
    /// When the template does not render. A chart that cannot be drawn is a note.
    pub fn report(&self, report: &ReportView) -> Result<RenderedReport, RenderError> {
        let Drawn { charts, failures } = self.brush.reader_charts(&self.environment, report);
        let undrawn: Vec<String> = failures.iter().map(undrawn).collect();
        let context = ReaderContext {
            reader: &report.for_readers(),
            correction: None,
            undrawn: undrawn.clone(),
            charts: charts.iter().map(Picture::of).collect(),
        };
        let index_html = self.render(Template::Report, &context)?;
        Ok(RenderedReport { index_html, charts, undrawn })
    }

    /// Returns the content of the readers' e-mail.
    ///
    /// # Errors
    /// When a template does not render. A chart that cannot be drawn is a note.
    pub fn reader(&self, view: &DigestView) -> Result<RenderedEmail, RenderError> {
        let report = &view.report;
        let Drawn { mut charts, failures } = self.brush.reader_charts(&self.environment, report);
        charts.retain(|chart| chart.name == "auc" || chart.name == "support");
        let undrawn: Vec<String> = failures.iter().map(undrawn).collect();
        let reader =
            ReaderView { report_link: view.report_link.clone(), contact: view.contact.clone(), ..report.for_readers() };
        let pictures = charts.iter().map(Picture::of).collect();
        // A correction is worth a reader's time when the verdict changes, not when another job fails.
        let signature = Signature::new(report.signature().word, Vec::new());
        let correction = view.correction(&signature);
        let context = ReaderContext { reader: &reader, correction, undrawn: undrawn.clone(), charts: pictures };
        Ok(RenderedEmail {
            dag: report.dag.clone(),
            logical_date: report.logical_date,
            signature,
            subject: self.subject(Template::ReaderSubject, &context)?,
            text: self.text(Template::ReaderText, &context)?,
            html: self.email_html(Template::ReaderHtml, &context)?,
            undrawn,
            charts,
        })
    }

    /// Returns the `index.html` of a folder of the lake.
    ///
    /// # Errors
    /// When the template does not render.
    pub fn folder_index(&self, folder: &FolderView) -> Result<String, RenderError> {
        let mut folder = folder.clone();
        folder.entries.retain(|entry| entry.name != "index.html" || entry.size_bytes.is_none());
        folder.entries.sort_by(|a, b| (a.size_bytes.is_some(), &a.name).cmp(&(b.size_bytes.is_some(), &b.name)));
        self.render(Template::Folder, &folder)
    }

    /// Returns a model's card as a page.
    ///
    /// # Errors
    /// When the template does not render.
    pub fn model_card(&self, card: &ModelCardView) -> Result<String, RenderError> {
        self.render(Template::ModelCard, card)
    }

    /// Returns the data dictionary as a page.
    ///
    /// # Errors
    /// When the template does not render.
    pub fn dictionary(&self, dictionary: &DictionaryView) -> Result<String, RenderError> {
        self.render(Template::Dictionary, dictionary)
    }

    /// Renders every page and e-mail from invented views, and discards them.
    ///
    /// # Errors
    /// With the first that does not render.
    pub fn check(&self) -> Result<(), RenderError> {
        self.digest(&DigestView::sample_between_terms())?;
        for verdict in [Verdict::Ok, Verdict::Warning, Verdict::Failed] {
            self.digest(&DigestView::sample(verdict))?;
            self.reader(&DigestView::sample(verdict))?;
        }
        for kind in [FailureKind::Failed, FailureKind::Late, FailureKind::NeverBegan, FailureKind::Unknown] {
            self.failure(&FailureView::sample(kind))?;
        }
        let sample = ReportView::sample(Verdict::Failed);
        self.alerts(&AlertNewsView::sample(&sample.institution, &sample.dag, sample.logical_date))?;
        self.undelivered(&UndeliveredView::sample())?;
        self.report(&sample)?;
        self.folder_index(&FolderView::sample())?;
        self.model_card(&ModelCardView::sample())?;
        self.dictionary(&DictionaryView::sample())?;
        Ok(())
    }

    fn render(&self, template: Template, context: &impl Serialize) -> Result<String, RenderError> {
        render(&self.environment, template, context)
            .map_err(|source| RenderError::Template { path: template.path(), source: Box::new(source) })
    }

    fn text(&self, template: Template, context: &impl Serialize) -> Result<String, RenderError> {
        Ok(fitted(&self.render(template, context)?, TEXT_COLUMNS))
    }

    fn subject(&self, template: Template, context: &impl Serialize) -> Result<String, RenderError> {
        let subject = self.render(template, context)?;
        Ok(subject.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    fn email_html(&self, template: Template, context: &impl Serialize) -> Result<String, RenderError> {
        let html = self.render(template, context)?;
        let inliner = css_inline::CSSInliner::options().minify_css(true).load_remote_stylesheets(false).build();
        inliner.inline(&html).map_err(|source| RenderError::Styles { path: template.path(), source: Box::new(source) })
    }
}

/// Returns the report with a note for each chart that could not be drawn.
fn with_notes(report: &ReportView, failures: &[ChartError]) -> ReportView {
    let mut report = report.clone();
    report.notes.extend(failures.iter().map(undrawn));
    report
}

fn undrawn(failure: &ChartError) -> String {
    let mut text = format!("A chart is missing: {failure}");
    let mut source = std::error::Error::source(failure);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    format!("{text}.")
}

/// Returns the tables an e-mail has room for: those in trouble first, then the largest; in order of their names.
fn tables_that_matter(report: &ReportView) -> Vec<&TableView> {
    let mut tables: Vec<&TableView> = report.tables.iter().collect();
    let is_fine =
        |table: &TableView| !table.is_stale && !table.is_late && table.rows > 0 && table.held_back + table.waiting == 0;
    tables.sort_by_key(|table| (is_fine(table), std::cmp::Reverse(table.rows), &table.name));
    tables.truncate(MOST_TABLES);
    tables.sort_by_key(|table| &table.name);
    tables
}

impl<'a> Picture<'a> {
    fn of(chart: &'a Chart) -> Self {
        Self {
            name: chart.name,
            alt: &chart.alt,
            svg: Cow::Borrowed(&chart.svg),
            width: chart.width,
            height: chart.height,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_that_cannot_be_drawn_is_a_note_with_its_causes() {
        let source = crate::report::format::time_zone("Mars/Base").unwrap_err();
        let failure = ChartError::Zone { name: "freshness", source };

        let report = with_notes(&ReportView::sample(Verdict::Ok), &[failure]);

        let note = report.notes.last().unwrap();
        assert!(note.starts_with("A chart is missing: ") && note.contains("`Mars/Base`"), "{note}");
    }

    #[test]
    fn every_template_renders_with_every_sample() {
        Renderer::new().unwrap().check().unwrap();
    }
}
