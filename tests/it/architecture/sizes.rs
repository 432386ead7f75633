//! Files and functions stay readable in size: the limits of the house style, measured.
//!
//! `cargo test --test it architecture::sizes -- --nocapture` prints them.

use super::source::Purpose;
use super::tree::{SRC, Tree};

const MEDIAN_LINES: std::ops::RangeInclusive<usize> = 100..=180;
const P90_LINES: usize = 300;
const MOST_LINES: usize = 450;
const MOST_LINES_OF_TESTS: usize = 600;
const MOST_LINES_OF_A_FUNCTION: usize = 60;
const MOST_PARAMETERS: usize = 4;

/// The lengths of the program's files before their tests, the shortest first.
fn lengths(tree: &Tree) -> Vec<(usize, &str)> {
    let mut lengths: Vec<_> = tree.program().map(|file| (file.lines_before_tests, file.path.as_str())).collect();
    lengths.sort_unstable();
    assert!(!lengths.is_empty(), "no file was measured");
    lengths
}

/// The program's functions with the value of `measure`, if it is more than `most`.
pub(super) fn functions_over(tree: &Tree, most: usize, measure: fn(&super::source::Function) -> usize) -> Vec<String> {
    let functions = || tree.program().flat_map(|file| file.functions.iter().map(move |function| (file, function)));
    assert!(functions().count() > 0, "no function was measured");
    functions()
        .filter(|(_, function)| measure(function) > most)
        .map(|(file, function)| format!("{}:{}: {}: {}", file.path, function.line, function.name, measure(function)))
        .collect()
}

#[test]
fn files_fit_on_a_few_screens() {
    let lengths = lengths(&SRC);
    let at = |share: usize| lengths[(lengths.len() - 1) * share / 100].0;
    let (median, p90) = (at(50), at(90));
    let (most, longest) = lengths[lengths.len() - 1];
    eprintln!("{} files before tests: median {median} lines, p90 {p90}, longest {most} ({longest})", lengths.len());

    let long: Vec<_> = lengths.iter().filter(|(lines, _)| *lines > MOST_LINES).collect();
    assert_eq!(long, Vec::<&(usize, &str)>::new(), "files over {MOST_LINES} lines before tests");
    assert!(MEDIAN_LINES.contains(&median), "the median file has {median} lines");
    assert!(p90 <= P90_LINES, "one file in ten has more than {p90} lines");
}

#[test]
fn files_of_tests_stay_below_600_lines() {
    let of_tests = (0..SRC.files.len()).filter(|file| SRC.purpose(*file) == Purpose::Tests);
    let lengths: Vec<_> = of_tests.map(|file| (SRC.files[file].text.lines().count(), &SRC.files[file].path)).collect();
    assert!(!lengths.is_empty(), "no file of tests was found");

    let long: Vec<_> = lengths.iter().filter(|(lines, _)| *lines > MOST_LINES_OF_TESTS).collect();
    assert!(long.is_empty(), "{long:?}");
}

#[test]
fn no_function_is_longer_than_60_lines() {
    let all: Vec<usize> = SRC.program().flat_map(|file| file.functions.iter().map(|function| function.lines)).collect();
    let over_40 = all.iter().filter(|lines| **lines > 40).count();
    eprintln!("{} functions: {over_40} over 40 lines, the longest {}", all.len(), all.iter().max().unwrap_or(&0));

    assert_eq!(functions_over(&SRC, MOST_LINES_OF_A_FUNCTION, |function| function.lines), Vec::<String>::new());
}

#[test]
fn no_function_takes_more_than_four_parameters() {
    assert_eq!(functions_over(&SRC, MOST_PARAMETERS, |function| function.parameters), Vec::<String>::new());
}
