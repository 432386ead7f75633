//! What a configuration is wanted for, on which it depends how much of it must be right.

/// What a configuration is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// To run nights: everything must be right.
    Nights,
    /// To change something by hand in the state store: the sources may still be without their paths and keys.
    Acting,
    /// To look at what nights have left: nothing is made or changed, and the sources may be without paths and keys.
    Looking,
}
