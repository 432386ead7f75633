//! The published shapes: JSON schemas of what goes in (the configuration) and of what comes out (`--json`, webhooks).
//!
//! A test holds the output of the real commands against them. Fields are added, never renamed or removed.

use std::path::PathBuf;

use schemars::{Schema, schema_for};

use super::alerts::ActShape;
use super::alerts::test::TriedShape;
use super::quality::{LedgerShape, ReplayShape, RuleShape, RunShape};
use super::report::{ReportShape, SentShape};
use crate::config::Config;
use crate::domain::alert::StandingAlert;
use crate::ml::quality::RuleFile;
use crate::report::view::AlertNewsView;
use crate::store::AlertNews;

/// Of what a schema is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Shape {
    /// The configuration.
    #[default]
    Config,
    /// What is posted to a webhook.
    Webhook,
    /// `alerts list --json`.
    Alerts,
    /// `alerts show --json`.
    Alert,
    /// `alerts history --json`.
    AlertHistory,
    /// `alerts test --json`.
    AlertTest,
    /// `alerts ack --json` and `alerts silence --json`.
    AlertAct,
    /// `quality list --json`.
    QualityRules,
    /// `quality show --json`.
    QualityRule,
    /// `quality run --json`.
    QualityRun,
    /// `quality quarantine --json`.
    QualityQuarantine,
    /// `quality replay --json`, where it runs nothing.
    QualityReplay,
    /// `quality suggest --json`: a rule file.
    QualitySuggest,
    /// `report show --json`.
    Report,
    /// `report preview --json`.
    ReportPreview,
    /// `report send --json`.
    ReportSend,
}

impl Shape {
    /// Returns the schema.
    pub(super) fn schema(self) -> Schema {
        match self {
            Self::Config => schema_for!(Config),
            Self::Webhook => schema_for!(AlertNewsView),
            Self::Alerts => schema_for!(Vec<StandingAlert>),
            Self::Alert => schema_for!(StandingAlert),
            Self::AlertHistory => schema_for!(Vec<AlertNews>),
            Self::AlertTest => schema_for!(Vec<TriedShape>),
            Self::AlertAct => schema_for!(ActShape<'_>),
            Self::QualityRules => schema_for!(Vec<RuleShape>),
            Self::QualityRule => schema_for!(RuleShape),
            Self::QualityRun => schema_for!(RunShape),
            Self::QualityQuarantine => schema_for!(Vec<LedgerShape>),
            Self::QualityReplay => schema_for!(ReplayShape<'_>),
            Self::QualitySuggest => schema_for!(RuleFile),
            Self::Report => schema_for!(ReportShape),
            Self::ReportPreview => schema_for!(Vec<PathBuf>),
            Self::ReportSend => schema_for!(SentShape),
        }
    }
}
