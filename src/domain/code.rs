//! Hashes of this program's own code, taken by the build (`build.rs`).
//!
//! A fingerprint and a manifest name the code by these hashes, never by the version: a fixed program of the same
//! version must not take the results of the program before it for up to date. The same sources give the same hashes
//! everywhere.

/// The hash of all sources, SQL, embedded files and locked dependencies.
pub const PROGRAM: &str = env!("NOCTURNE_PROGRAM_HASH");

/// The hash of what turns visible rows into a feature partition. It changes more rarely than [`PROGRAM`]: partitions of
/// the past are built again only where this code changed.
pub const FEATURES: &str = env!("NOCTURNE_FEATURES_HASH");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hashes_are_two_sha_256() {
        for hash in [PROGRAM, FEATURES] {
            assert!(hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{hash}");
        }
        assert_ne!(PROGRAM, FEATURES);
    }
}
