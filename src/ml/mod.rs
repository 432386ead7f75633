//! Models, their evaluation, drift and quality figures.
//!
//! All pure and synchronous: frames and rows in, values out. `recipe` says what is wanted; `dataset` turns frames into
//! matrices; `model` is the only file that names smartcore; `train` splits by time, evaluates and decides; `auc`,
//! `metrics`, `drift`, `label_share` and `quality` hold the figures.
//!
//! To add a candidate: a variant of `recipe::Candidate`, its arm in `FittedModel::fit`, and a `Form` it is kept in.

pub mod auc;
pub mod dataset;
pub mod drift;
mod kolmogorov;
pub mod label_share;
pub mod metrics;
pub mod model;
pub mod quality;
pub mod recipe;
pub mod train;
