//! Real servers for tests to talk to, each on loopback and stopped with its test; sites to run in; limits.

pub(crate) mod closed;
pub(crate) mod limit;
pub(crate) mod postgres;
pub(crate) mod proxy;
pub(crate) mod s3;
pub(crate) mod site;
pub(crate) mod smtp;
pub(crate) mod tls;
pub(crate) mod webhook;
