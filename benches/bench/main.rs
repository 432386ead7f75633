//! Measures the engine and the program: `cargo bench --bench bench -- [engine] [stored] [program] [folder=/dev/shm]`.
//!
//! These are not tests: nothing here fails for being slow. The headers of the files beside this one say what was
//! measured, and on what. State stores are in `folder`, by default the system's folder for temporary files.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and ends where it cannot go on")]

use std::path::PathBuf;
use std::time::Duration;

mod engine;
mod program;
mod stored;

fn main() {
    let asked: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let folder = asked.iter().find_map(|word| word.strip_prefix("folder="));
    let folder = folder.map_or_else(std::env::temp_dir, PathBuf::from);
    let wants = |name: &str| asked.iter().all(|word| word.contains('=')) || asked.iter().any(|word| word == name);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    println!("State stores in {}", folder.display());
    if wants("engine") {
        runtime.block_on(engine::measure(&folder));
    }
    if wants("stored") {
        runtime.block_on(stored::measure(&folder));
    }
    if wants("program") {
        program::measure(&folder);
    }
}

/// Prints a figure.
fn say(what: &str, figure: &str) {
    println!("{what:<58} {figure}");
}

/// The value at or below which this percentage of the sorted times is.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

fn sorted(mut times: Vec<Duration>) -> Vec<Duration> {
    times.sort();
    times
}
