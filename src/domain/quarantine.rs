//! The quarantine of rows that a rule holds back: what they are marked with, and the ledger of each rule.
//!
//! A row that a rule with the action `quarantine_rows` finds bad does not become a version of its table: it waits, and what
//! stood before stands. It is out when it is *released* (the rule was mended, and the row was merged as of the time at
//! which it was delivered), when it is *superseded* (a later delivery has its key again, or says that it is gone), or when
//! it was *moved* to another rule. At most one row of each key waits: the one that was delivered last. In every account
//! in = out + waiting; the rows that wait are counted, never computed, and a ledger that does not balance is not written.
//!
//! Ledgers hold counts and times only. The rows, which are about people, lie in the lake (`lake::waiting`).

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One row in this many may be held back; more stop the table.
pub const ONE_IN: u64 = 100;

/// The id of the rule under which a row waits.
pub const RULE: &str = "_rule";
/// The file that it was delivered in.
pub const FILE: &str = "_file";
/// The byte of the file, unpacked, at which it begins.
pub const OFFSET: &str = "_offset";
/// The time of its delivery, UTC microseconds.
pub const DELIVERED_AT: &str = "_delivered_at";
/// The start of the night as of which the rule saw it, UTC microseconds: it is judged again as of the same instant.
pub const AS_OF: &str = "_as_of";

/// The version of the form in which ledgers are stored.
const VERSION: u32 = 1;

/// The account of one rule, in rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Rows that were ever held back under the rule.
    #[serde(rename = "in")]
    pub held: u64,
    /// Rows that the mended rule let pass.
    pub released: u64,
    /// Rows whose key a later delivery had again, or said to be gone.
    pub superseded: u64,
    /// Rows that another rule holds back now.
    pub moved: u64,
    /// Rows that wait.
    pub waiting: u64,
    /// The delivery of the oldest row that waits.
    #[serde(default)]
    pub since: Option<Timestamp>,
}

impl Account {
    /// Returns the rows that no longer wait.
    pub fn out(&self) -> u64 {
        self.released + self.superseded + self.moved
    }
}

/// Why a row no longer waits under a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Out {
    /// The mended rule let it pass.
    Released,
    /// A later delivery has its key.
    Superseded,
    /// Another rule holds it back.
    Moved,
}

/// The accounts of all rules that have ever held back rows of a table, by the rules' ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    version: u32,
    /// The accounts.
    pub accounts: BTreeMap<String, Account>,
}

/// A ledger in which a rule's rows do not add up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the ledger of the rule `{rule}` does not balance: {held} rows in, {out} out, {waiting} waiting; this is a mistake in \
     the program, and nothing was written"
)]
pub struct Unbalanced {
    rule: String,
    held: u64,
    out: u64,
    waiting: u64,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { version: VERSION, accounts: BTreeMap::new() }
    }
}

impl Ledger {
    /// Counts a row in.
    pub fn enter(&mut self, rule: &str) {
        self.account(rule).held += 1;
    }

    /// Counts a row out.
    pub fn leave(&mut self, rule: &str, why: Out) {
        let account = self.account(rule);
        match why {
            Out::Released => account.released += 1,
            Out::Superseded => account.superseded += 1,
            Out::Moved => account.moved += 1,
        }
    }

    /// States the rows that wait now: of each the rule and the time of its delivery.
    ///
    /// # Errors
    /// When an account does not balance.
    pub fn balanced<'a>(mut self, waiting: impl Iterator<Item = (&'a str, Timestamp)>) -> Result<Self, Unbalanced> {
        for account in self.accounts.values_mut() {
            (account.waiting, account.since) = (0, None);
        }
        for (rule, delivered_at) in waiting {
            let account = self.account(rule);
            account.waiting += 1;
            account.since = Some(account.since.map_or(delivered_at, |since| since.min(delivered_at)));
        }
        for (rule, account) in &self.accounts {
            if account.held != account.out() + account.waiting {
                let Account { held, waiting, .. } = *account;
                return Err(Unbalanced { rule: rule.clone(), held, out: account.out(), waiting });
            }
        }
        Ok(self)
    }

    /// Returns how many rows wait, under all rules.
    pub fn waiting(&self) -> u64 {
        self.accounts.values().map(|account| account.waiting).sum()
    }

    /// Returns what has changed in a rule's account since `before`: rows in, released, superseded.
    pub fn since(&self, before: &Self, rule: &str) -> Change {
        let (now, before) = (self.accounts.get(rule), before.accounts.get(rule));
        let of = |count: fn(&Account) -> u64| now.map_or(0, count).saturating_sub(before.map_or(0, count));
        Change {
            held: of(|account| account.held),
            released: of(|account| account.released),
            superseded: of(|account| account.superseded),
        }
    }

    fn account(&mut self, rule: &str) -> &mut Account {
        self.accounts.entry(rule.to_owned()).or_default()
    }
}

/// What a night has changed in a rule's account, in rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Change {
    /// Rows that came in.
    pub held: u64,
    /// Rows that were let pass.
    pub released: u64,
    /// Rows that were superseded.
    pub superseded: u64,
}

/// Returns whether so many rows held back are too large a share of those delivered.
pub fn is_too_much(held_back: u64, delivered: u64) -> bool {
    held_back.saturating_mul(ONE_IN) > delivered
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [(self.held, "came in"), (self.released, "were let pass"), (self.superseded, "were superseded")];
        let told: Vec<String> =
            parts.iter().filter(|(rows, _)| *rows > 0).map(|(rows, what)| format!("{rows} {what}")).collect();
        f.write_str(&told.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn what_came_in_is_out_or_waits_since_its_oldest_delivery() {
        let mut ledger = Ledger::default();
        for _ in 0..4 {
            ledger.enter("t.a");
        }
        ledger.leave("t.a", Out::Released);
        ledger.leave("t.a", Out::Moved);
        ledger.enter("t.b");

        let ledger = ledger.balanced([("t.a", at(9)), ("t.a", at(3)), ("t.b", at(3))].into_iter()).unwrap();

        let account = &ledger.accounts["t.a"];
        assert_eq!((account.held, account.out(), account.waiting, account.since), (4, 2, 2, Some(at(3))));
        assert_eq!(ledger.waiting(), 3);
    }

    #[test]
    fn a_ledger_that_does_not_balance_is_refused_with_its_rule() {
        let mut ledger = Ledger::default();
        ledger.enter("t.a");

        let error = ledger.clone().balanced(std::iter::empty()).unwrap_err().to_string();
        let stranger = ledger.balanced([("t.a", at(1)), ("t.b", at(1))].into_iter()).unwrap_err().to_string();

        assert!(error.contains("`t.a`") && error.contains("1 rows in, 0 out, 0 waiting"), "{error}");
        assert!(stranger.contains("`t.b`"), "{stranger}");
    }

    #[test]
    fn a_ledger_is_stored_under_the_names_that_people_are_told() {
        let mut ledger = Ledger::default();
        ledger.enter("t.a");
        let ledger = ledger.balanced([("t.a", at(0))].into_iter()).unwrap();

        let stored = serde_json::to_string(&ledger).unwrap();

        let oldest = r#"{"version":1,"accounts":{"t.a":{"in":1,"released":0,"superseded":0,"moved":0,"waiting":1,"since":"1970-01-01T00:00:00Z"}}}"#;
        assert_eq!(stored, oldest);
        assert_eq!(serde_json::from_str::<Ledger>(oldest).unwrap(), ledger);
    }

    #[test]
    fn one_row_in_a_hundred_may_be_held_back() {
        assert!(!is_too_much(1, 100) && !is_too_much(0, 0));
        assert!(is_too_much(2, 100) && is_too_much(1, 99));
    }
}
