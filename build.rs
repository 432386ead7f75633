//! Hashes what the program is made from, for `domain::code`: sources, SQL, embedded files and the locked dependencies.
//!
//! Files are read in the order of their paths, each with its length, so that the same tree gives the same hash on every
//! machine, with or without git. Hidden files (such as an editor's) are left out. Only these files make it run again.

use std::io::{Error, Result};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// Everything that the program is made from.
const PROGRAM: [&str; 7] = ["Cargo.lock", "Cargo.toml", "assets", "config", "sql", "src", "templates"];

/// What the bytes of a feature partition depend on, besides the SQL and the contracts in its own fingerprint.
const FEATURES: [&str; 5] =
    ["Cargo.lock", "src/domain/lineage.rs", "src/domain/table.rs", "src/features", "src/lake/parts.rs"];

fn main() -> Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    for path in PROGRAM {
        println!("cargo::rerun-if-changed={path}");
    }
    #[expect(clippy::disallowed_methods, reason = "this is how cargo tells a build script its target")]
    let target_env = std::env::var("CARGO_CFG_TARGET_ENV");
    if target_env.is_ok_and(|env| env == "gnu") {
        // 170,000 relocations in 60 kB instead of 5 MB, all of which are read at start: they count as a process's
        // memory.
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    println!("cargo::rustc-env=NOCTURNE_PROGRAM_HASH={}", hash(&PROGRAM)?);
    println!("cargo::rustc-env=NOCTURNE_FEATURES_HASH={}", hash(&FEATURES)?);
    Ok(())
}

fn hash(roots: &[&str]) -> Result<String> {
    let mut files = Vec::new();
    for root in roots {
        collect(Path::new(root), &mut files)?;
    }
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        let content = std::fs::read(&file)?;
        let name = file.to_string_lossy();
        hash.update(format!("{}\n{name}\n{}\n", name.len(), content.len()));
        hash.update(content);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let failed = |cause: Error| Error::new(cause.kind(), format!("{}: {cause}", path.display()));
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            collect(&entry.path(), files)?;
        }
    }
    Ok(())
}
