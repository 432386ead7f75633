//! `nocturne quality quarantine`: how many rows rules hold back. Counts and times only, never a row.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::app::App;
use crate::cli::follow::unreachable;
use crate::cli::{ExitCode, Failure, Global, output};
use crate::config::Use;
use crate::domain::quarantine::{Account, Ledger};
use crate::jobs::site_contracts;
use crate::lake::keys::waiting_table;
use crate::lake::waiting::ledger_of;
use crate::lake::{Dataset, LakeError};

/// Show how many rows rules hold back: the ledger of each rule, in = out + waiting.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Quarantine {
    /// Only this table.
    table: Option<String>,
}

/// A rule's ledger, as `--json` shows it: in = out + waiting.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::cli) struct LedgerShape {
    table: String,
    rule: String,
    /// Rows that were ever held back.
    #[serde(rename = "in")]
    held: u64,
    /// Rows that wait no more.
    out: u64,
    /// Of those, how many the rule let pass later.
    released: u64,
    /// Of those, how many a newer version from the source has replaced.
    superseded: u64,
    /// Of those, how many wait for another rule now.
    moved: u64,
    waiting: u64,
    /// Since when the oldest of them waits.
    since: Option<String>,
}

impl LedgerShape {
    pub(super) fn of(table: &str, rule: &str, account: &Account) -> Self {
        Self {
            table: table.to_owned(),
            rule: rule.to_owned(),
            held: account.held,
            out: account.out(),
            released: account.released,
            superseded: account.superseded,
            moved: account.moved,
            waiting: account.waiting,
            since: account.since.map(|since| since.to_string()),
        }
    }
}

impl Quarantine {
    pub(super) async fn run(self, global: &Global) -> Result<ExitCode, Failure> {
        let app = App::open(&global.config, Use::Looking).await?;
        if let Some(table) = &self.table {
            find_table(&app, table)?;
        }
        let mut ledgers = ledgers(&app).await?;
        ledgers.retain(|table, _| self.table.as_ref().is_none_or(|wanted| wanted == table));
        let accounts = ledgers.iter().flat_map(|(table, ledger)| {
            ledger.accounts.iter().map(move |(rule, account)| (table.as_str(), rule.as_str(), account))
        });
        let accounts: Vec<(&str, &str, &Account)> = accounts.collect();
        if global.json {
            let told = accounts.iter().map(|(table, rule, account)| LedgerShape::of(table, rule, account));
            output::json(&told.collect::<Vec<_>>())?;
            return Ok(ExitCode::Done);
        }
        if accounts.is_empty() {
            return output::line("No rule has ever held a row back.").map(|()| ExitCode::Done);
        }
        let rows = accounts.iter().map(|(_, rule, account)| {
            let counts = [account.held, account.released, account.superseded, account.moved, account.waiting];
            let since = account.since.map_or_else(String::new, |since| since.to_string());
            let counts = counts.iter().map(|count| output::thousands(*count));
            [(*rule).to_owned()].into_iter().chain(counts).chain([since]).collect()
        });
        let head = ["rule", "in", "let pass", "superseded", "moved", "waiting", "since"];
        output::table(&head, &[1, 2, 3, 4, 5], rows.collect())?;
        Ok(ExitCode::Done)
    }
}

/// Returns the ledgers of all tables that have one, by table.
pub(super) async fn ledgers(app: &App) -> Result<BTreeMap<String, Ledger>, Failure> {
    let mut ledgers = BTreeMap::new();
    for (key, reference) in app.store.snapshots().await.map_err(unreachable)? {
        let Some(table) = waiting_table(&key) else { continue };
        let failed = |error: LakeError| Failure::new(ExitCode::Unreachable, error);
        let dataset = Dataset::parse(&key).map_err(|error| Failure::new(ExitCode::Unreachable, error))?;
        let manifest = app.lake.manifest(&dataset, &reference.snapshot).await.map_err(failed)?;
        let ledger = ledger_of(&manifest).map_err(|error| Failure::new(ExitCode::Unreachable, error))?;
        ledgers.insert(table.to_owned(), ledger);
    }
    Ok(ledgers)
}

/// Refuses a table that no source has.
pub(super) fn find_table(app: &App, table: &str) -> Result<(), Failure> {
    let contracts = site_contracts(&app.config).map_err(|mistakes| Failure::new(ExitCode::Invalid, mistakes))?;
    if contracts.iter().any(|contract| contract.name.as_str() == table) {
        return Ok(());
    }
    let known: Vec<&str> = contracts.iter().map(|contract| contract.name.as_str()).collect();
    let error = anyhow::anyhow!("no source has a table `{table}`; there are {}", known.join(", "));
    Err(Failure::new(ExitCode::NotFound, error))
}
