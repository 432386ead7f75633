//! Real servers for tests, on the loopback interface.
//!
//! Each starts on a port of its own and ends with the test that holds it; none is a stub.
//! Nothing here reaches another machine.

pub(crate) mod smtp;
