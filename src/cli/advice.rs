//! Tests that the command line accepts every command that the program or its documents name.
//!
//! It reads the README, the templates, the configuration, `deploy/` and all sources, finds what follows `nocturne ` in
//! backticks, strings and shell examples, and gives it to the parser. A command that is named without its arguments
//! ("`nocturne runs logs`") is fine; one that does not exist, or not in that form, is useless advice at six in the
//! morning. Where a source fills in a value (`{}`), any value is tried in its place.

use std::path::{Path, PathBuf};

use clap::Parser as _;
use clap::error::ErrorKind;

use super::Cli;

const DOCUMENTS: [&str; 6] = ["README.md", "ARCHITECTURE.md", "templates", "config", "deploy", "src"];

/// What precedes a command's name.
const BEGINNINGS: [&str; 8] = [
    "`nocturne ",
    "\"nocturne ",
    "\nnocturne ",
    ": nocturne ",
    "· nocturne ",
    "(nocturne ",
    "cargo run -- ",
    "/bin/nocturne ",
];

/// Texts that look like commands and are not: the names of derived keys.
const NO_COMMANDS: [&str; 4] = ["identity map ", "demo key", "quarantined line", "key id"];

/// A command as it is named in a text.
#[derive(Debug)]
struct Named {
    file: PathBuf,
    line: usize,
    words: String,
}

fn files(path: &Path, found: &mut Vec<PathBuf>) {
    if path.is_dir() {
        std::fs::read_dir(path).unwrap().for_each(|entry| files(&entry.unwrap().path(), found));
    } else if !path.ends_with("src/cli/advice.rs") {
        found.push(path.to_owned());
    }
}

/// Returns the commands that a text names, each with the line on which it begins.
fn named(file: &Path, text: &str) -> Vec<Named> {
    // A string continued on the next line, and one that quotes another, are read as one.
    let text = text.replace("\\\n", " ").replace("\\\"", "'");
    let mut found = Vec::new();
    for beginning in BEGINNINGS {
        for (at, _) in text.match_indices(beginning) {
            let words = &text[at + beginning.len()..];
            let end = words.find(['`', '"', '\'', '\n', '·', '#', ';', ',', ')', '\\']).unwrap_or(words.len());
            let words = words[..end].trim().trim_end_matches(['.', ':']).to_owned();
            let is_command = words.starts_with(|c: char| c.is_ascii_lowercase() || c == '-');
            if is_command && !NO_COMMANDS.iter().any(|other| words.starts_with(other)) {
                let line = text[..=at].lines().count();
                found.push(Named { file: file.to_owned(), line, words });
            }
        }
    }
    found
}

/// Returns why the command line refuses the words; `a|b|c` means each of them in turn.
fn refused(words: &str) -> Option<String> {
    let words: Vec<&str> = words.split_whitespace().filter(|word| *word != "…").collect();
    let most = words.iter().map(|word| word.split('|').count()).max().unwrap_or(1);
    for choice in 0..most {
        let chosen = words.iter().enumerate().map(|(n, word)| {
            let one = word.split('|').nth(choice.min(word.split('|').count() - 1)).unwrap_or(word);
            let is_date = n > 0 && words[n - 1] == "--date";
            match one.contains('{') {
                true if is_date => "2026-11-20",
                true => "x",
                false => one,
            }
        });
        let Err(error) = Cli::try_parse_from(std::iter::once("nocturne").chain(chosen)) else { continue };
        let is_placeholder = |word: &&&str| word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase());
        match error.kind() {
            ErrorKind::MissingSubcommand
            | ErrorKind::MissingRequiredArgument
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            | ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion => {}
            ErrorKind::InvalidValue | ErrorKind::ValueValidation if words.iter().any(|word| is_placeholder(&word)) => {}
            _ => return Some(error.to_string().lines().next().unwrap_or_default().to_owned()),
        }
    }
    None
}

#[test]
fn every_command_that_is_named_anywhere_is_one_that_the_command_line_takes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    DOCUMENTS.iter().for_each(|document| files(&root.join(document), &mut found));

    let texts = found.iter().filter_map(|file| Some((file, std::fs::read_to_string(file).ok()?)));
    let named: Vec<Named> = texts.flat_map(|(file, text)| named(file, &text)).collect();
    let dead: Vec<String> = named
        .iter()
        .filter_map(|one| Some((one, refused(&one.words)?)))
        .map(|(one, why)| format!("{}:{}: `nocturne {}`: {why}", one.file.display(), one.line, one.words))
        .collect();

    assert!(named.len() > 40, "only {} commands were found: is this test still looking?", named.len());
    assert_eq!(dead, Vec::<String>::new());
}

#[test]
fn what_does_not_exist_is_found() {
    let text = "Try `nocturne runs undo last`, or `nocturne runs logs last --job x`; see `nocturne runs list|undo`.";

    let named = named(Path::new("x"), text);

    assert_eq!(named.iter().filter(|one| refused(&one.words).is_some()).count(), 3, "{named:?}");
    assert!(refused("runs show|logs|cancel last").is_none() && refused("dags show {dag}").is_none());
}
