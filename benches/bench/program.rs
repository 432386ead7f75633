//! What the program costs around its work: its start, a child process, a start after `kill -9`, an idle daemon.
//!
//! Two cores, 24 GiB, Linux, local disk, release build.
//!
//! | what | figure |
//! |---|---|
//! | `nocturne --version`, `dags list`, `runs list`, `config check` | 3, 9, 13, 8 ms |
//! | a child process, besides its job | 15 to 20 ms |
//! | from a start after `kill -9` to the job's next beginning | 28 to 47 ms |
//! | `config check` with 80,000 unknown sections, with 270,000 of short names (2 MiB: no file may be larger) | 0.52 s, 0.94 s |
//! | `dags check` of 1,000 jobs with 499,500 needs | 0.55 to 0.62 s |
//! | an idle daemon: resident memory | 32 MiB, of which 8 are its own and 23 its program file's |
//! | an idle daemon: written to storage in 60 s | nothing |
//!
//! Without packed relocations (`build.rs`) an idle daemon has 37 MiB. Its 196 calls of `write` in that minute only wake
//! its own threads.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::say;

const QUIET: Duration = Duration::from_secs(60);

const CHECKS: u32 = 40;

const WAITING: &str = r#"
name = "waiting"
[jobs.wait]
kind = "command"
with = { program = "sh", args = ["-c", "echo $$ >> began; exec sleep 600"] }
"#;

/// A folder in which the program runs, with the shipped configuration, SQL and DAGs, and a DAG of its own.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new(folder: &Path, configuration: &str, dag: &str) -> Self {
        let place = tempfile::tempdir_in(folder).unwrap();
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
        for shared in ["sql", "config"] {
            std::os::unix::fs::symlink(repository.join(shared), place.path().join(shared)).unwrap();
        }
        std::fs::create_dir(place.path().join("jobs")).unwrap();
        std::fs::copy(repository.join("jobs/nightly.toml"), place.path().join("jobs/nightly.toml")).unwrap();
        let name = dag.split('"').nth(1).unwrap();
        std::fs::write(place.path().join(format!("jobs/{name}.toml")), dag).unwrap();
        std::fs::write(place.path().join("site.toml"), configuration).unwrap();
        Self(place)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn url(&self) -> String {
        format!("sqlite://{}/var/nocturne.db", self.path().display())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nocturne"));
        command.args(["--config", "site.toml"]).args(arguments).current_dir(self.path());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Runs the program to its end, which must be a success.
    pub(crate) fn done(&self, arguments: &[&str]) {
        let status = self.command(arguments).status().unwrap();
        assert!(status.success(), "{arguments:?}: {status}");
    }

    fn start(&self, arguments: &[&str]) -> Running {
        Running(self.command(arguments).spawn().unwrap())
    }
}

/// A program that is killed when it is no longer needed.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// The fastest of several tries: what the machine can do when nothing else disturbs it.
pub(crate) fn fastest(tries: u32, act: impl Fn()) -> Duration {
    let time = |_| {
        let began = Instant::now();
        act();
        began.elapsed()
    };
    (0..tries).map(time).min().unwrap_or_default()
}

pub(crate) fn measure(folder: &Path) {
    start(folder);
    children(folder);
    recovery(folder);
    large(folder);
    idle(folder);
}

fn start(folder: &Path) {
    let place = Place::new(folder, "", WAITING);
    place.done(&["db", "migrate"]);
    for arguments in [&["--version"][..], &["--help"], &["dags", "list"], &["runs", "list"], &["config", "check"]] {
        let took = fastest(20, || place.done(arguments));
        say(&format!("`nocturne {}`", arguments.join(" ")), &format!("{took:.1?} (the fastest of 20)"));
    }
}

/// A night of many jobs that are all up to date, one after the other: what remains is the cost of carrying them out.
fn children(folder: &Path) {
    let mut dag =
        "name = \"checks\"\nmax_parallel = 1\n[jobs.pull]\nkind = \"canvas_pull\"\nwith = { source = \"canvas\" }\n"
            .to_owned();
    for number in 0..CHECKS {
        let needs = if number == 0 { "pull".to_owned() } else { format!("check-{}", number - 1) };
        dag.push_str(&format!("[jobs.check-{number}]\nkind = \"quality_check\"\nneeds = [\"{needs}\"]\n"));
    }
    let night = ["run", "checks", "--date", "2026-11-20"];
    let small = "[simulation]\nstudents = 40\nfirst_year = 2026\n";
    let [thread, process] = ["thread", "process"].map(|isolation| {
        let place = Place::new(folder, &format!("{small}[engine]\nisolation = \"{isolation}\"\n"), &dag);
        let first = place.command(&night).status().unwrap();
        assert!(matches!(first.code(), Some(0 | 9)), "{first}");
        let took = fastest(10, || {
            let again = place.command(&night).status().unwrap();
            assert!(matches!(again.code(), Some(0 | 9)), "{again}");
        });
        say(&format!("{CHECKS} checks that are up to date, isolation = \"{isolation}\""), &format!("{took:.0?}"));
        took
    });
    let each = process.saturating_sub(thread) / (CHECKS + 1);
    say("A child process", &format!("{each:.1?} a job"));
}

/// From the start of a daemon after `kill -9` to the second start of the job that was interrupted.
fn recovery(folder: &Path) {
    let place = Place::new(folder, "", WAITING);
    let began = place.path().join("began");
    let mut took = Vec::new();
    for already in 0..2 {
        let mut night = place.start(&["run", "waiting", "--date", "2026-11-20"]);
        wait_for_lines(&began, already * 2 + 1);
        night.0.kill().unwrap();
        night.0.wait().unwrap();
        let started = Instant::now();
        let daemon = place.start(&["daemon"]);
        wait_for_lines(&began, already * 2 + 2);
        took.push(started.elapsed());
        place.done(&["runs", "cancel", "last"]);
        let gone = Instant::now();
        while is_running(&place) && gone.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(100));
        }
        drop(daemon);
    }
    let best = took.iter().min().unwrap();
    say("From the start after kill -9 to the job's next beginning", &format!("{best:.0?}"));
}

fn is_running(place: &Place) -> bool {
    let listed = place.command(&["--json", "runs", "list"]).stdout(Stdio::piped()).output().unwrap();
    String::from_utf8_lossy(&listed.stdout).contains("\"running\"")
}

fn wait_for_lines(path: &Path, lines: usize) {
    let since = Instant::now();
    while std::fs::read_to_string(path).unwrap_or_default().lines().count() < lines {
        assert!(since.elapsed() < Duration::from_secs(60), "waited for line {lines} of {}", path.display());
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Files far larger than any site's: as many sections as a configuration may have, wrong and right, and a DAG of 1,000
/// jobs each of which needs all before it.
fn large(folder: &Path) {
    let place = Place::new(folder, "", WAITING);
    let unknown: String = (0..80_000).map(|number| format!("[section_{number}]\nkey = 1\n")).collect();
    let short: String = (0..270_000).map(|number| format!("[{number:x}]\n")).collect();
    let sources: String = (0..50_000).map(|number| format!("[sources.s{number}]\nkind = \"simulation\"\n")).collect();
    let files = [("80,000 unknown sections", unknown), ("270,000 of short names", short), ("50,000 sources", sources)];
    for (what, text) in files {
        std::fs::write(place.path().join("large.toml"), text).unwrap();
        let check = || {
            let status = place.command(&["--config", "large.toml", "config", "check"]).status().unwrap();
            assert!(matches!(status.code(), Some(0 | 3)), "{status}");
        };
        say(&format!("`config check` with {what}"), &format!("{:.2?}", fastest(3, check)));
    }
    let names: Vec<String> = (0..1_000).map(|number| format!("\"j{number:03}\"")).collect();
    let mut dag = "name = \"large\"\n".to_owned();
    for (number, name) in names.iter().enumerate() {
        let needs = names[..number].join(", ");
        dag.push_str(&format!("[jobs.{name}]\nkind = \"quality_check\"\nneeds = [{needs}]\n"));
    }
    std::fs::write(place.path().join("jobs/large.toml"), dag).unwrap();
    let took = fastest(3, || place.done(&["dags", "check", "large"]));
    say("`dags check` of 1,000 jobs with 499,500 needs", &format!("{took:.2?}"));
}

/// A daemon that has nothing to do for a minute.
fn idle(folder: &Path) {
    let place = Place::new(folder, "", WAITING);
    let daemon = place.start(&["daemon"]);
    std::thread::sleep(Duration::from_secs(15));
    let before = Io::of(&daemon);
    let cpu = cpu(&daemon);
    std::thread::sleep(QUIET);
    let after = Io::of(&daemon);
    let status = std::fs::read_to_string(proc(&daemon, "status")).unwrap();
    let memory = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    };
    say(
        "An idle daemon: resident memory",
        &format!(
            "{} MiB (its own {} MiB, the program's file {} MiB)",
            memory("VmRSS:"),
            memory("RssAnon:"),
            memory("RssFile:")
        ),
    );
    say(
        &format!("An idle daemon: in {} s", QUIET.as_secs()),
        &format!(
            "{} calls that write, {} bytes written to storage, {} ticks of 10 ms",
            after.calls - before.calls,
            after.bytes - before.bytes,
            self::cpu(&daemon) - cpu
        ),
    );
}

fn proc(daemon: &Running, file: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{}/{file}", daemon.0.id()))
}

fn cpu(daemon: &Running) -> u64 {
    let stat = std::fs::read_to_string(proc(daemon, "stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

struct Io {
    calls: u64,
    bytes: u64,
}

impl Io {
    fn of(daemon: &Running) -> Self {
        let io = std::fs::read_to_string(proc(daemon, "io")).unwrap();
        let field = |name: &str| {
            let line = io.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().parse().unwrap()
        };
        Self { calls: field("syscw: "), bytes: field("write_bytes: ") }
    }
}
