//! A folder in which the real binary runs: the shipped DAGs, SQL and configuration, and one file of its own.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::limit::{Running, within};

/// The smallest institution that has past terms: a pull of it takes two seconds.
pub(crate) const SMALL: &str = "[simulation]\nstudents = 40\nfirst_year = 2026\n";

/// A site; its folder is removed after the test.
pub(crate) struct Site {
    /// The disk that is mounted on its folder; it is unmounted before the folder is removed.
    disk: Option<Mounted>,
    folder: tempfile::TempDir,
}

/// A file system in memory, until it is dropped.
struct Mounted(PathBuf);

impl Mounted {
    /// Mounts one, if that is allowed.
    fn on(folder: &Path, kib: u32) -> Option<Self> {
        let size = format!("size={kib}k");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder).output().unwrap();
        mounted.status.success().then(|| Self(folder.to_owned()))
    }
}

/// A folder that has no room, until it is dropped.
pub(crate) struct SmallDisk(#[expect(dead_code, reason = "it is unmounted when it is dropped")] Option<Mounted>);

/// A file that fills a disk, until it is dropped.
pub(crate) struct Ballast(PathBuf);

impl Drop for Ballast {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily: a process that is still ending may have a file open.
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

impl Site {
    /// Makes a site whose own configuration is `configuration`.
    pub(crate) fn new(configuration: &str) -> Self {
        Self::in_folder(tempfile::tempdir().unwrap(), None, configuration)
    }

    /// Makes a site on a disk of its own, which a test may fill; if mounting is not allowed, on the existing disk.
    pub(crate) fn on_a_disk_of(mib: u32, configuration: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let disk = Mounted::on(folder.path(), mib * 1024);
        Self::in_folder(folder, disk, configuration)
    }

    /// Makes a folder of the site a disk of its own, too small for what is written there, until the result is dropped. If
    /// mounting is not allowed, nothing may be written there.
    pub(crate) fn small_disk(&self, folder: &str, kib: u32) -> SmallDisk {
        let folder = self.path().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        let mounted = Mounted::on(&folder, kib);
        if mounted.is_none() {
            std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o555)).unwrap();
        }
        SmallDisk(mounted)
    }

    /// Fills the site's disk except for so much, until the result is dropped; `None` if the site has no disk of its
    /// own.
    pub(crate) fn fill_disk(&self, left_kib: u32) -> Option<Ballast> {
        self.disk.as_ref()?;
        let ballast = Ballast(self.path().join("ballast"));
        let fill = format!("fallocate -l $(( ($(df -k --output=avail . | tail -1) - {left_kib}) * 1024 )) ballast");
        let filled = Command::new("sh").args(["-c", &fill]).current_dir(self.path()).status().unwrap();
        assert!(filled.success(), "the disk could not be filled");
        Some(ballast)
    }

    /// Starts the binary with a limit on the size of files.
    pub(crate) fn start_with_small_files(&self, limit_kib: u32, arguments: &[&str]) -> Running {
        let command = self.command(arguments, &[]);
        let mut limited = Command::new("sh");
        limited
            .args(["-c", &format!("trap '' XFSZ; ulimit -f {}; exec \"$@\"", limit_kib * 2), "sh"])
            .arg(command.get_program())
            .args(command.get_args())
            .current_dir(self.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Running::new(limited.spawn().unwrap())
    }

    fn in_folder(folder: tempfile::TempDir, disk: Option<Mounted>, configuration: &str) -> Self {
        std::fs::write(folder.path().join("site.toml"), configuration).unwrap();
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
        for shared in ["jobs", "sql", "config"] {
            std::os::unix::fs::symlink(repository.join(shared), folder.path().join(shared)).unwrap();
        }
        Self { disk, folder }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
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

    /// Starts the binary; its output is kept until it ends.
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

/// Returns everything that a program printed.
pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
