//! The one integration-test binary: every further one would link all of polars again.
//!
//! One folder per module of the library, `support` for the real servers that tests start themselves. Nothing here
//! talks to anything but loopback, and nothing sleeps.

#![expect(clippy::unwrap_used, reason = "tests may unwrap, and helpers of tests are part of them")]

mod store;
mod support;
