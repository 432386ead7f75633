//! The one integration test binary: real parts through the library's public door.
//!
//! One folder per layer, shared servers and stores under `support/`.

#![expect(clippy::unwrap_used, reason = "tests may unwrap, and so may what they share")]

mod report;
mod support;
