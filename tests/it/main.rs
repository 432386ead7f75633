//! The one integration-test binary: every further one would link all of polars again.
//!
//! One folder per module of the library, `support` for the real servers that tests start themselves. Nothing here
//! talks to anything but loopback, and nothing sleeps.

mod store;
mod support;
