//! What the template of a chart sees: its size, its words and its marks.

use serde::Serialize;

/// The width of every chart, in units: that of an e-mail's column.
pub(super) const WIDTH: f64 = 600.0;

/// What a chart's template sees.
#[derive(Debug, Serialize)]
pub(super) struct Drawing<D> {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) title: String,
    pub(super) subtitle: String,
    pub(super) alt: String,
    pub(super) marks: D,
}
