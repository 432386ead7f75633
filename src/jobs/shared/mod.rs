//! What several kinds of job share, by subject; a kind never imports another kind.
//!
//! [`environment`] is what bodies may use. `tables`, `features`, `examples` and `models` read what is committed, as
//! methods of the `JobContext` where they read what its input names, so that a body reads the same at every try. `labels`
//! says what people should know of a model's labels.
//! `facts` is what jobs leave for each other and for the report, `published` what of it may be published, `browsed` the
//! files that lie beside a report (sheets, model cards, the data dictionary), `told` what e-mails told on earlier nights.
//! `pull` is what `canvas_pull` is made of.

pub(super) mod alerts;
pub(super) mod browsed;
pub(super) mod cards;
pub(super) mod dictionary;
pub mod environment;
pub(super) mod examples;
pub(super) mod facts;
pub(super) mod features;
pub(super) mod labels;
pub(super) mod models;
pub(super) mod published;
pub(super) mod pull;
pub(super) mod report;
pub(super) mod routes;
pub(super) mod rules;
pub(super) mod summaries;
pub(super) mod tables;
pub(super) mod told;
