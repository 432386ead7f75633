//! Real parts that tests start for themselves, and take away again.

pub(crate) mod postgres;
