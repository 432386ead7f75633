//! Real servers for tests, on the loopback interface.

pub(crate) mod smtp;
