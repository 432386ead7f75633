//! What a slot owes to people: the scheduler asks when it takes a slot, so that the promise is written with it.
//!
//! The engine knows no kind, so the answer comes from the layer that knows which jobs write e-mails, and to whom.

use crate::domain::dag::Dag;
use crate::domain::delivery::ExpectedMail;
use crate::domain::schedule::Slot;

/// Says what a slot owes.
pub trait Promises: Send + Sync {
    /// Returns the e-mails that `slot` of `dag` owes, whether it gets a run or is skipped.
    fn expected(&self, dag: &Dag, slot: &Slot) -> Vec<ExpectedMail>;
}

/// Promises nothing: for engines without e-mail.
#[derive(Debug, Clone, Copy)]
pub struct NoPromises;

impl Promises for NoPromises {
    fn expected(&self, _: &Dag, _: &Slot) -> Vec<ExpectedMail> {
        Vec::new()
    }
}
