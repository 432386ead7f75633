//! A folder in which the real binary runs: the shipped DAGs, SQL and configuration, and one file of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::limit::{Running, within};

/// The smallest institution that has terms behind it: a pull of it takes two seconds.
pub(crate) const SMALL: &str = "[simulation]\nstudents = 40\nfirst_year = 2026\n";

/// A site; its folder is gone after the test.
pub(crate) struct Site(tempfile::TempDir);

impl Site {
    /// Makes a site whose own configuration is `configuration`.
    pub(crate) fn new(configuration: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("site.toml"), configuration).unwrap();
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
        for shared in ["jobs", "sql", "config"] {
            std::os::unix::fs::symlink(repository.join(shared), folder.path().join(shared)).unwrap();
        }
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Returns the URL of its state store, which is SQLite.
    pub(crate) fn state_url(&self) -> String {
        format!("sqlite://{}", self.path().join("var/nocturne.db").display())
    }

    /// Writes a file of the site.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Runs the binary with the site's configuration.
    pub(crate) fn nocturne(&self, arguments: &[&str]) -> Output {
        self.nocturne_with(arguments, &[])
    }

    /// Runs the binary with more variables in its environment.
    pub(crate) fn nocturne_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        self.command(arguments, environment).output().unwrap()
    }

    /// Returns the command that runs the binary, not yet started.
    pub(crate) fn command(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nocturne"));
        command
            .args(["--config", "site.toml"])
            .args(arguments)
            .envs(environment.iter().copied())
            .current_dir(self.path());
        command
    }

    /// Starts the binary; what it prints is kept for its end.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        Running::new(self.command(arguments, &[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// Makes a named pipe.
    pub(crate) fn pipe(&self, name: &str) {
        assert!(Command::new("mkfifo").arg(self.path().join(name)).status().unwrap().success());
    }

    /// Waits until something writes into a named pipe, and returns what it wrote until it closed the pipe.
    pub(crate) fn read_pipe(&self, name: &str) -> String {
        let path = self.path().join(name);
        within(&format!("a program to write into {name}"), move || std::fs::read_to_string(path).unwrap())
    }

    /// Waits until something reads a named pipe, and writes into it.
    pub(crate) fn write_pipe(&self, name: &str, text: &'static str) {
        let path = self.path().join(name);
        within(&format!("a program to read {name}"), move || {
            let mut pipe = std::fs::OpenOptions::new().write(true).open(path).unwrap();
            std::io::Write::write_all(&mut pipe, text.as_bytes()).unwrap();
        });
    }

    /// Returns every file below a folder of the site, sorted.
    pub(crate) fn files(&self, below: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.path().join(below)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { found.push(path) }
            }
        }
        found.sort();
        found
    }
}

/// Returns all that a program printed.
pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
