//! What nights have left behind, so that two sites can be compared: the lake's files and the e-mails.
//!
//! Durations are only in `timings.json`, so every other file of the lake must be the same, byte by byte.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// What nights have left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Harvest {
    /// The SHA-256 of every file of the lake, by its key.
    pub files: BTreeMap<String, String>,
    /// The revisions of each e-mail that were sent, by its DAG, date, audience and recipient.
    pub e_mails: BTreeMap<String, BTreeSet<String>>,
}

/// How a harvest differs from what it should be, a line each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// What is missing, or is not what it should be.
    pub lost: BTreeSet<String>,
    /// What there should not be, or should be only once.
    pub doubled: BTreeSet<String>,
}

impl Harvest {
    /// Reads a lake and a folder of e-mails; one that does not exist is empty.
    ///
    /// # Errors
    /// When a folder or file cannot be read.
    pub fn read(lake: &Path, outbox: &Path) -> io::Result<Self> {
        let mut harvest = Self::default();
        for path in files_below(lake)? {
            if !path.ends_with("timings.json") {
                let key = path.strip_prefix(lake).unwrap_or(&path).display().to_string();
                harvest.files.insert(key, hex::encode(Sha256::digest(std::fs::read(&path)?)));
            }
        }
        for path in files_below(outbox)?.iter().filter(|path| path.extension().is_some_and(|e| e == "eml")) {
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let (e_mail, revision) = name.rsplit_once('.').unwrap_or((&name, ""));
            harvest.e_mails.entry(e_mail.to_owned()).or_default().insert(revision.to_owned());
        }
        Ok(harvest)
    }

    /// Compares it with that of an undisturbed twin.
    pub fn difference(&self, twin: &Self) -> Difference {
        let mut difference = Difference::default();
        for (key, hash) in &twin.files {
            match self.files.get(key) {
                Some(found) if found == hash => {}
                Some(_) => drop(difference.lost.insert(format!("`{key}` has other bytes"))),
                None => drop(difference.lost.insert(format!("`{key}` is not there"))),
            }
        }
        let extra = self.files.keys().filter(|key| !twin.files.contains_key(*key));
        difference.doubled.extend(extra.map(|key| format!("`{key}` is left over")));
        for e_mail in twin.e_mails.keys().filter(|e_mail| !self.e_mails.contains_key(*e_mail)) {
            difference.lost.insert(format!("the e-mail `{e_mail}` did not go out"));
        }
        for (e_mail, revisions) in &self.e_mails {
            let wanted = twin.e_mails.get(e_mail).map_or(0, BTreeSet::len);
            if revisions.len() > wanted {
                let times = revisions.len();
                difference.doubled.insert(format!("the e-mail `{e_mail}` went out {times} times in place of {wanted}"));
            }
        }
        difference
    }
}

/// Returns every file below a folder, sorted.
fn files_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> = folder.exists().then(|| folder.to_owned()).into_iter().collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn harvest(files: &[(&str, &str)], e_mails: &[&str]) -> Harvest {
        let folder = tempfile::tempdir().unwrap();
        let write = |below: &str, name: &str, content: &str| {
            let path = folder.path().join(below).join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        };
        files.iter().for_each(|(name, content)| write("lake", name, content));
        e_mails.iter().for_each(|name| write("outbox", name, "x"));
        Harvest::read(&folder.path().join("lake"), &folder.path().join("outbox")).unwrap()
    }

    #[test]
    fn equal_sites_differ_in_nothing_but_durations() {
        let one = harvest(&[("a/b.parquet", "1"), ("a/timings.json", "2 s")], &["n.2026-11-20.digest.ab.0.eml"]);
        let other = harvest(&[("a/b.parquet", "1"), ("a/timings.json", "9 s")], &["n.2026-11-20.digest.ab.0.eml"]);

        assert_eq!(one.difference(&other), Difference::default());
    }

    #[test]
    fn what_is_missing_or_changed_is_lost() {
        let one = harvest(&[("a", "1")], &[]);
        let twin = harvest(&[("a", "2"), ("b", "2")], &["n.2026-11-20.digest.ab.0.eml"]);

        let lost: Vec<String> = one.difference(&twin).lost.into_iter().collect();

        assert_eq!(
            lost,
            ["`a` has other bytes", "`b` is not there", "the e-mail `n.2026-11-20.digest.ab` did not go out"]
        );
    }

    #[test]
    fn what_there_is_too_much_of_is_doubled() {
        let twice = ["n.2026-11-20.digest.ab.0.eml", "n.2026-11-20.digest.ab.1.eml"];
        let one = harvest(&[("restricted/staged/x", "1")], &twice);
        let twin = harvest(&[], &twice[..1]);

        let doubled: Vec<String> = one.difference(&twin).doubled.into_iter().collect();

        assert_eq!(
            doubled,
            [
                "`restricted/staged/x` is left over",
                "the e-mail `n.2026-11-20.digest.ab` went out 2 times in place of 1"
            ]
        );
    }
}
