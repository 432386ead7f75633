//! Charts: a view becomes an SVG by a template, the SVG a PNG by resvg with the font that is compiled in.
//!
//! Each chart is one file: from a view to coordinates and an alternative text that tells its numbers. The same
//! view gives the same bytes on every machine: no system font is read. PNGs have one and a half times the pixels of their stated
//! width and an opaque background, so that they stay sharp and legible in dark mode.

mod auc;
mod drawing;
mod drift;
mod findings;
mod freshness;
mod gantt;
mod rows;
mod scale;
mod support;

use std::sync::Arc;

use minijinja::Environment;
use resvg::{tiny_skia, usvg};
use serde::Serialize;

use drawing::Drawing;
use freshness::Rows;

use super::templates::{Template, render};
use super::view::{DigestView, ReportView};

/// How many PNG pixels there are for two units of the drawing: all pictures of an e-mail have 300 kB.
const PIXELS_FOR_TWO_UNITS: u16 = 3;

/// A finished chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chart {
    /// Its name: the file is `<name>.png`.
    pub name: &'static str,
    /// What it shows, with the numbers, for those who do not see it.
    pub alt: String,
    /// The drawing as SVG.
    pub svg: String,
    /// The drawing as PNG.
    pub png: Vec<u8>,
    /// The width at which it is shown, in CSS pixels.
    pub width: u32,
    /// The height at which it is shown, in CSS pixels.
    pub height: u32,
}

/// A chart that could not be drawn.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// A font that is compiled in could not be read.
    #[error("the font compiled in for charts is unreadable")]
    Font,
    /// A view says something impossible.
    #[error("drawing the chart `{name}`")]
    Zone {
        /// The chart.
        name: &'static str,
        /// The cause.
        source: super::format::ZoneError,
    },
    /// Its template did not render.
    #[error("rendering the chart `{name}`")]
    Template {
        /// The chart.
        name: &'static str,
        /// The cause.
        source: minijinja::Error,
    },
    /// Its SVG is not valid.
    #[error("reading the SVG of the chart `{name}`")]
    Svg {
        /// The chart.
        name: &'static str,
        /// The cause.
        source: Box<usvg::Error>,
    },
    /// It could not be turned into pixels.
    #[error("painting the chart `{name}`: {why}")]
    Paint {
        /// The chart.
        name: &'static str,
        /// Why.
        why: String,
    },
}

/// The charts that could be drawn, and why others could not.
#[derive(Debug, Default)]
pub(super) struct Drawn {
    pub(super) charts: Vec<Chart>,
    pub(super) failures: Vec<ChartError>,
}

impl Drawn {
    fn take(&mut self, painted: Result<Chart, ChartError>) {
        match painted {
            Ok(chart) => self.charts.push(chart),
            Err(failure) => self.failures.push(failure),
        }
    }
}

/// Draws charts with the fonts that are compiled in.
#[derive(Debug, Clone)]
pub(super) struct Brush {
    fonts: Arc<usvg::fontdb::Database>,
}

impl Brush {
    /// Returns a brush that holds the fonts.
    pub(super) fn new() -> Result<Self, ChartError> {
        let mut fonts = usvg::fontdb::Database::new();
        fonts.load_font_data(include_bytes!("../../../assets/fonts/OpenSans-Regular.ttf").to_vec());
        fonts.load_font_data(include_bytes!("../../../assets/fonts/OpenSans-Semibold.ttf").to_vec());
        fonts.set_sans_serif_family("Open Sans");
        if fonts.len() == 2 { Ok(Self { fonts: Arc::new(fonts) }) } else { Err(ChartError::Font) }
    }

    /// Returns the charts that readers see: without counts of rows. One that cannot be drawn does not hold back the others.
    pub(super) fn reader_charts(&self, environment: &Environment<'static>, view: &ReportView) -> Drawn {
        self.charts(environment, view, Rows::Hidden)
    }

    /// The charts of a report, in the order in which they are read.
    fn charts(&self, environment: &Environment<'static>, view: &ReportView, rows: Rows) -> Drawn {
        let mut drawn = Drawn::default();
        if let Some(drawing) = support::draw(view) {
            drawn.take(self.paint(environment, "support", Template::SupportChart, drawing));
        }
        // One model is drawn; the figures of others are in the tables.
        let champion = view.models.iter().find_map(|model| model.champion.as_ref());
        if let Some(drawing) = champion.and_then(auc::draw) {
            drawn.take(self.paint(environment, "auc", Template::AucChart, drawing));
        }
        if let Some(drawing) = view.drift.as_ref().and_then(drift::draw) {
            drawn.take(self.paint(environment, "drift", Template::DriftChart, drawing));
        }
        match freshness::draw(view, rows) {
            Ok(Some(drawing)) => drawn.take(self.paint(environment, "freshness", Template::FreshnessChart, drawing)),
            Ok(None) => {}
            Err(source) => drawn.take(Err(ChartError::Zone { name: "freshness", source })),
        }
        drawn
    }

    /// Returns the charts of the digest: those of the report, the last nights' rows and findings, and the night's times.
    pub(super) fn digest_charts(&self, environment: &Environment<'static>, view: &DigestView) -> Drawn {
        let mut drawn = self.charts(environment, &view.report, Rows::Shown);
        if let Some(drawing) = rows::draw(&view.report) {
            drawn.take(self.paint(environment, "rows", Template::RowsChart, drawing));
        }
        if let Some(drawing) = findings::draw(&view.report) {
            drawn.take(self.paint(environment, "findings", Template::FindingsChart, drawing));
        }
        if let Some(drawing) = gantt::draw(&view.night) {
            drawn.take(self.paint(environment, "night", Template::GanttChart, drawing));
        }
        drawn
    }

    fn paint<D: Serialize>(
        &self,
        environment: &Environment<'static>,
        name: &'static str,
        template: Template,
        drawing: Drawing<D>,
    ) -> Result<Chart, ChartError> {
        let svg = render(environment, template, &drawing).map_err(|source| ChartError::Template { name, source })?;
        let options =
            usvg::Options { fontdb: self.fonts.clone(), font_family: "Open Sans".to_owned(), ..Default::default() };
        let tree = usvg::Tree::from_str(&svg, &options)
            .map_err(|source| ChartError::Svg { name, source: Box::new(source) })?;
        let scale = f32::from(PIXELS_FOR_TWO_UNITS) / 2.0;
        let size = tree.size().to_int_size();
        let pixels = |units: u32| (units * u32::from(PIXELS_FOR_TWO_UNITS)).div_ceil(2);
        let (width, height) = (pixels(size.width()), pixels(size.height()));
        let mut pixels = tiny_skia::Pixmap::new(width, height)
            .ok_or_else(|| ChartError::Paint { name, why: format!("{width} × {height} pixels cannot be had") })?;
        pixels.fill(tiny_skia::Color::WHITE);
        resvg::render(&tree, tiny_skia::Transform::from_scale(scale, scale), &mut pixels.as_mut());
        let png = pixels.encode_png().map_err(|error| ChartError::Paint { name, why: error.to_string() })?;
        Ok(Chart { name, alt: drawing.alt, svg, png, width: size.width(), height: size.height() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::templates::environment;
    use crate::report::view::Verdict;

    #[test]
    fn a_chart_is_opaque_sharp_legible_and_tells_its_numbers() {
        let view = DigestView::sample_between_terms();

        let charts = Brush::new().unwrap().digest_charts(&environment().unwrap(), &view).charts;

        let names: Vec<&str> = charts.iter().map(|chart| chart.name).collect();
        assert_eq!(names, ["freshness", "night"]);
        for chart in &charts {
            let pixels = tiny_skia::Pixmap::decode_png(&chart.png).unwrap();
            assert_eq!(
                (pixels.width(), pixels.height()),
                ((chart.width * 3).div_ceil(2), (chart.height * 3).div_ceil(2))
            );
            assert!(pixels.pixels().iter().all(|pixel| pixel.alpha() == 255));
            // Text for which there is no font is dropped without an error: the title must have painted some pixels.
            let title = pixels.pixels().iter().take(usize::try_from(pixels.width()).unwrap() * 52);
            assert!(title.filter(|pixel| pixel.red() < 80).count() > 300, "{} has no title", chart.name);
        }
        assert!(charts[0].alt.contains("submissions: under an hour, 40,112 rows"), "{}", charts[0].alt);
    }

    #[test]
    fn what_was_not_computed_is_not_drawn() {
        let mut view = ReportView::sample(Verdict::Ok);
        (view.models, view.drift) = (Vec::new(), None);
        view.tables.clear();
        view.support.clear();

        let charts = Brush::new().unwrap().reader_charts(&environment().unwrap(), &view).charts;

        assert_eq!(charts, Vec::new());
    }
}
