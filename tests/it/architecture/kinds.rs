//! Every kind of job is one file in `src/jobs/`, is listed in the registry, and imports no other kind.

use super::source::Purpose;
use super::tree::{SRC, Tree};

/// The files that hold a kind.
fn kinds(tree: &Tree) -> Vec<usize> {
    let is_kind = |file: &usize| tree.files[*file].implements.iter().any(|name| name == "JobKind");
    let found: Vec<usize> =
        (0..tree.files.len()).filter(|file| tree.purpose(*file) == Purpose::Program).filter(is_kind).collect();
    assert!(!found.is_empty(), "no kind was found: the check looked at nothing");
    found
}

/// Kinds that the registry does not name, as `register::<module::Kind>`.
pub(super) fn not_registered(tree: &Tree) -> Vec<String> {
    let registry = tree.files.iter().find(|file| file.path == "src/jobs/mod.rs").expect("src/jobs/mod.rs");
    let is_named =
        |module: &str| registry.mentions.iter().any(|mention| mention.path.len() == 2 && mention.path[0] == module);
    let name = |file: usize| tree.files[file].module().last().cloned().unwrap_or_default();
    kinds(tree).into_iter().map(name).filter(|module| !is_named(module)).collect()
}

/// Files next to the kinds that are not kinds: except for the registry and the trait they belong in `src/jobs/shared/`.
pub(super) fn strangers_among_kinds(tree: &Tree) -> Vec<String> {
    let kinds: Vec<&str> = kinds(tree).into_iter().map(|file| tree.files[file].path.as_str()).collect();
    let is_beside = |path: &str| path.strip_prefix("src/jobs/").is_some_and(|rest| !rest.contains('/'));
    let belongs = |path: &str| kinds.contains(&path) || ["src/jobs/mod.rs", "src/jobs/kind.rs"].contains(&path);
    let paths = tree.files.iter().map(|file| file.path.as_str());
    paths.filter(|path| is_beside(path) && !belongs(path)).map(str::to_owned).collect()
}

/// Kinds that import another kind.
pub(super) fn kinds_that_import_kinds(tree: &Tree) -> Vec<String> {
    let kinds = kinds(tree);
    let between = |need: &super::tree::Need| kinds.contains(&need.from) && kinds.contains(&need.to);
    tree.needs()
        .iter()
        .filter(|need| between(need))
        .map(|need| format!("{} imports {}", tree.files[need.from].path, need.path))
        .collect()
}

#[test]
fn every_kind_is_registered() {
    assert_eq!(not_registered(&SRC), Vec::<String>::new());
}

#[test]
fn a_kind_never_imports_another_kind() {
    assert_eq!(kinds_that_import_kinds(&SRC), Vec::<String>::new());
}

#[test]
fn what_is_no_kind_is_in_shared() {
    assert_eq!(strangers_among_kinds(&SRC), Vec::<String>::new());
}
