//! The one integration test binary: real parts through the library's public door.
//!
//! One folder per layer, shared servers and stores under `support/`.

mod report;
mod support;
