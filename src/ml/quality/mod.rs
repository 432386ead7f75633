//! Quality rules: read, completed from the tables' contracts, and evaluated on what stands.
//!
//! `rule` has the words of the files of `config/quality`, `parse` reads them; `expand` adds what the contracts say;
//! `evaluate` looks at the tables (`standing`): `count` at their rows, `measure` at numbers; `rehearse` tries
//! them on empty tables when they are read; `held` says which rows of a delivery are held back; `suggest` writes rules; `expect` says what is usual for a night. What a rule is, and how a count
//! becomes a status, is in `domain::rule`. Everything is synchronous; frames are lazy and evaluated on the streaming engine.
//! Nothing here raises an error for one rule: a rule that cannot be evaluated has a status of its own, and the others are
//! evaluated all the same.
//!
//! How to add a shorthand: a field of `rule::RuleSpec`, its arm in `parse::what`, which expands it to one of the two
//! forms, a new variant of `domain::rule::{BadRows, Value}` only where SQL cannot say it, and its night in
//! `tests/it/truth/rules.rs`.

mod count;
mod evaluate;
mod expand;
mod expect;
mod found;
mod held;
mod measure;
mod parse;
mod rehearse;
mod rule;
mod standing;
mod suggest;

pub use evaluate::{evaluate, refusals};
pub use expand::{Limits, of_contract, rules_of};
pub use expect::{Band, FEWEST, Scale, Term, Usual, usual, week_of_term};
pub use held::{Unjudged, bad_rows, holding, verdicts};
pub use parse::{TableRules, parse, read_folder};
pub use rule::{RuleFile, RuleSpec};
pub use standing::{Delivered, Freshness, Standing, Tonight};
pub use suggest::suggest;
