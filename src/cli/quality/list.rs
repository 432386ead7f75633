//! `nocturne quality list|show`: the rules, and what one of them found on the last nights.

use jiff::ToSpan as _;
use schemars::JsonSchema;
use serde::Serialize;

use super::quarantine::{LedgerShape, ledgers};
use crate::app::App;
use crate::cli::follow::unreachable;
use crate::cli::layers::load_to_look;
use crate::cli::{ExitCode, Failure, Global, output};
use crate::config::{Config, Use};
use crate::domain::check::Action;
use crate::domain::measurement::{HistoryWanted, PastMeasurement};
use crate::domain::quarantine::Account;
use crate::domain::rule::Rule;
use crate::jobs::{RULE_VALUE, site_rules};

/// List every rule: those of the tables' contracts and those of the rule files.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct List {
    /// Only those about this table.
    #[arg(long)]
    table: Option<String>,
}

/// Show a rule, and what it found on the last nights.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Show {
    /// The rule's id, such as `submissions.unique`.
    rule: String,
}

/// A rule as `--json` shows it.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct RuleShape {
    rule: String,
    table: String,
    /// The column that it is about, where it is about one.
    column: Option<String>,
    /// What is expected, in words.
    expected: String,
    action: Action,
    owner: Option<String>,
    why: String,
    advice: Option<String>,
    /// The contract or the file that states it.
    stated_in: String,
    /// What it found on the last nights; of one rule only.
    #[serde(skip_serializing_if = "Option::is_none")]
    nights: Option<Vec<RuleNight>>,
    /// What it holds back, `null` if it never held a row back; of one rule only.
    #[serde(skip_serializing_if = "Option::is_none")]
    quarantine: Option<Option<LedgerShape>>,
}

/// What a rule found on a night.
#[derive(Debug, Serialize, JsonSchema)]
struct RuleNight {
    dag: String,
    logical_date: String,
    /// Bad rows, or the rule's value.
    value: f64,
}

impl RuleShape {
    fn of(rule: &Rule) -> Self {
        Self {
            rule: rule.id.clone(),
            table: rule.table.to_string(),
            column: rule.column.clone(),
            expected: rule.form.words(),
            action: rule.action,
            owner: rule.owner.clone(),
            why: rule.why.clone(),
            advice: rule.advice.clone(),
            stated_in: rule.origin.clone(),
            nights: None,
            quarantine: None,
        }
    }
}

/// How many nights are shown.
const NIGHTS: HistoryWanted = HistoryWanted { names: &[RULE_VALUE], days: 14 };

impl List {
    pub(super) fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let (config, _) = load_to_look(&global.config)?;
        let mut rules = rules(&config)?;
        if let Some(table) = &self.table {
            rules.retain(|rule| rule.table.as_str() == table);
            if rules.is_empty() {
                let error = anyhow::anyhow!("no rule is about a table `{table}`: `nocturne quality list` shows all");
                return Err(Failure::new(ExitCode::NotFound, error));
            }
        }
        if global.json {
            output::json(&rules.iter().map(RuleShape::of).collect::<Vec<_>>())?;
            return Ok(ExitCode::Done);
        }
        let rows = rules.iter().map(|rule| {
            vec![rule.id.clone(), rule.form.words(), rule.action.to_string(), rule.owner.clone().unwrap_or_default()]
        });
        output::table(&["rule", "expected", "action", "owner"], &[], rows.collect())?;
        Ok(ExitCode::Done)
    }
}

impl Show {
    pub(super) async fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let (config, _) = load_to_look(&global.config)?;
        let rules = rules(&config)?;
        let Some(rule) = rules.iter().find(|rule| rule.id == self.rule) else {
            let error = anyhow::anyhow!("there is no rule `{}`: `nocturne quality list` shows all", self.rule);
            return Err(Failure::new(ExitCode::NotFound, error));
        };
        let app = App::open(&global.config, Use::Looking).await?;
        let nights = nights(rule, &app).await?;
        let held = ledgers(&app).await?.remove(rule.table.as_str());
        let held = held.and_then(|mut ledger| ledger.accounts.remove(&rule.id));
        if global.json {
            let nights = nights.into_iter().map(|(dag, past)| RuleNight {
                dag,
                logical_date: past.date.to_string(),
                value: past.measurement.value,
            });
            let quarantine = Some(held.map(|held| LedgerShape::of(rule.table.as_str(), &rule.id, &held)));
            output::json(&RuleShape { nights: Some(nights.collect()), quarantine, ..RuleShape::of(rule) })?;
            return Ok(ExitCode::Done);
        }
        output::line(&format!("{}\n  {}", rule.id, rule.form.words()))?;
        output::line(&format!("  why: {}", rule.why))?;
        output::line(&format!("  action: {}; stated in {}", rule.action, rule.origin))?;
        if let Some(advice) = &rule.advice {
            output::line(&format!("  what to do: {advice}"))?;
        }
        if let Some(owner) = &rule.owner {
            output::line(&format!("  owner: {owner}"))?;
        }
        if let Some(held) = &held {
            output::line(&format!("  quarantine: {}", in_words(held, rule.table.as_str())))?;
        }
        if nights.is_empty() {
            return output::line("  It found nothing to measure in the last 14 days.").map(|()| ExitCode::Done);
        }
        output::line("")?;
        let rows = nights.iter().map(|(dag, past)| {
            vec![past.date.to_string(), dag.clone(), format!("{}", (past.measurement.value * 1e6).round() / 1e6)]
        });
        output::table(&["night", "dag", "found"], &[2], rows.collect())?;
        Ok(ExitCode::Done)
    }
}

fn rules(config: &Config) -> Result<Vec<Rule>, Failure> {
    site_rules(config).map_err(|mistakes| Failure::new(ExitCode::Invalid, mistakes))
}

/// What the rule found in each DAG on the last nights.
async fn nights(rule: &Rule, app: &App) -> Result<Vec<(String, PastMeasurement)>, Failure> {
    let mut found = Vec::new();
    for dag in app.dags.all()? {
        let tomorrow = app.today_in(&dag.timezone)?.saturating_add(1.day());
        let past = app.store.history(&dag.name, NIGHTS, tomorrow).await.map_err(unreachable)?;
        let own = past.into_iter().filter(|past| past.measurement.dimensions.get("rule") == Some(&rule.id));
        found.extend(own.map(|past| (dag.name.to_string(), past)));
    }
    Ok(found)
}

/// What the rule holds back, and what to do about it.
fn in_words(held: &Account, table: &str) -> String {
    let Account { held: came_in, released, superseded, waiting, .. } = held;
    let since = match held.since {
        Some(since) => format!(
            " since {since}; a better row from the source takes its place, and when the rule is mended \
             `nocturne quality replay {table}` takes it in"
        ),
        None => String::new(),
    };
    format!("{came_in} in, {} out ({released} let pass, {superseded} superseded), {waiting} waiting{since}", held.out())
}
