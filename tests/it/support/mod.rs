//! Real servers for tests to talk to, each on loopback and gone with its test.

pub(crate) mod postgres;
pub(crate) mod s3;
pub(crate) mod site;
pub(crate) mod smtp;
