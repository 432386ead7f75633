//! Notifies the service manager (systemd's `sd_notify`) that a daemon is ready, of its status, that its loop is still
//! running, and that it is stopping.
//!
//! Each message is one datagram to the socket that `NOTIFY_SOCKET` names; without one nothing is sent. `WATCHDOG=1` is
//! sent by the loop that must not hang ([`Supervisor::goes_round`]), at about half of `WATCHDOG_USEC`, and never by a
//! separate timer: if the loop hangs, the manager notices.

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tracing::warn;

use crate::config::Environment as Variables;
use crate::domain::dag::Dag;
use crate::domain::schedule::{next_after, parse_zone};

/// How often the status is renewed when there is nothing else to send.
const STATUS: Duration = Duration::from_secs(60);

/// The longest that an idle round of the loop takes.
const ROUND: Duration = Duration::from_secs(1);

/// The service manager, if there is one.
#[derive(Debug)]
pub(super) struct Supervisor {
    socket: Option<UnixDatagram>,
    /// How often it wants a sign that the loop is running; `None`: it does not ask.
    every: Option<Duration>,
    said: Mutex<Said>,
}

/// What was sent, and when.
#[derive(Debug, Default)]
struct Said {
    is_ready: bool,
    alive: Option<Instant>,
    status: Option<Instant>,
}

impl Supervisor {
    /// Returns what started this process, according to its environment.
    pub(super) fn of(variables: &Variables) -> Self {
        let address = variables.get("NOTIFY_SOCKET").filter(|address| !address.is_empty());
        let socket = address.and_then(|address| match connect(address) {
            Ok(socket) => Some(socket),
            Err(error) => {
                warn!("The service manager's socket `{address}` cannot be used, so it hears nothing: {error}");
                None
            }
        });
        Self { socket, every: every(variables, std::process::id()), said: Mutex::default() }
    }

    /// Reports another round of the loop that must not hang, and the first time also that the service is ready.
    /// `status` is called only when it is time for it.
    pub(super) fn goes_round(&self, status: impl FnOnce() -> String) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let is_due = |at: Option<Instant>, every: Duration| at.is_none_or(|at| now.duration_since(at) >= every);
        let mut lines = Vec::new();
        if !std::mem::replace(&mut said.is_ready, true) {
            lines.push("READY=1".to_owned());
        }
        if self.every.is_some_and(|every| is_due(said.alive, every)) {
            said.alive = Some(now);
            lines.push("WATCHDOG=1".to_owned());
        }
        if is_due(said.status, STATUS) {
            said.status = Some(now);
            lines.push(format!("STATUS={}", one_line(&status())));
        }
        self.say(&lines);
    }

    /// Reports what the service does between two loops; the next round sends its own status at once.
    pub(super) fn begins(&self, what: &str) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        (said.alive, said.status) = (Some(Instant::now()), None);
        let is_watched = self.every.is_some() && said.is_ready;
        let mut lines = vec![format!("STATUS={}", one_line(what))];
        lines.extend(is_watched.then(|| "WATCHDOG=1".to_owned()));
        self.say(&lines);
    }

    /// Reports that the service is stopping, and what it still waits for.
    pub(super) fn is_stopping(&self, why: &str) {
        self.say(&["STOPPING=1".to_owned(), format!("STATUS={}", one_line(why))]);
    }

    fn say(&self, lines: &[String]) {
        let Some(socket) = self.socket.as_ref().filter(|_| !lines.is_empty()) else { return };
        if let Err(error) = socket.send(lines.join("\n").as_bytes()) {
            warn!("Telling the service manager failed: {error}");
        }
    }
}

/// Returns how many DAGs there are and which comes next, in a sentence.
pub(super) fn at_work(dags: &[Dag], now: Timestamp) -> String {
    let next = |dag: &Dag| Some((next_after(dag.schedule.as_ref()?, &dag.timezone, now).ok()??.at, dag.clone()));
    let next = dags.iter().filter_map(next).min_by_key(|(at, _)| *at);
    let of = if dags.len() == 1 { "1 DAG".to_owned() } else { format!("{} DAGs", dags.len()) };
    let next = next.and_then(|(at, dag)| Some((at.to_zoned(parse_zone(&dag.timezone).ok()?), dag.name)));
    match next {
        Some((at, name)) => {
            format!("Running the schedules of {of}; next: {name}, {}", at.strftime("%a %d %b %H:%M %Z"))
        }
        None => format!("Running the schedules of {of}; none comes by itself"),
    }
}

/// How often `WATCHDOG_USEC` requires a sign from this process: half of it, less the time that a round may take.
fn every(variables: &Variables, pid: u32) -> Option<Duration> {
    let is_meant = variables.get("WATCHDOG_PID").is_none_or(|meant| meant.parse() == Ok(pid));
    let limit = variables.get("WATCHDOG_USEC")?.parse().ok().filter(|limit| *limit > 0 && is_meant)?;
    Some((Duration::from_micros(limit) / 2).saturating_sub(ROUND))
}

/// Connects to a path, or to a name without a file (`@name`).
fn connect(address: &str) -> io::Result<UnixDatagram> {
    let address = match address.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(Path::new(address))?,
    };
    let socket = UnixDatagram::unbound()?;
    // A manager that does not read must not stop a loop.
    socket.set_nonblocking(true)?;
    socket.connect_addr(&address)?;
    Ok(socket)
}

fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn supervised(watchdog: &[(&str, &str)]) -> (Supervisor, UnixDatagram, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        manager.set_nonblocking(true).unwrap();
        let mut variables = Variables::from([("NOTIFY_SOCKET".to_owned(), path.display().to_string())]);
        variables.extend(watchdog.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        (Supervisor::of(&variables), manager, folder)
    }

    fn heard(manager: &UnixDatagram) -> String {
        let mut buffer = [0; 512];
        manager.recv(&mut buffer).map_or_else(|_| String::new(), |n| String::from_utf8_lossy(&buffer[..n]).into_owned())
    }

    #[test]
    fn the_first_round_is_ready_and_only_a_round_says_that_the_loop_lives() {
        let (supervisor, manager, _folder) = supervised(&[("WATCHDOG_USEC", "2000000")]);

        assert_eq!(heard(&manager), "");
        supervisor.goes_round(|| "at work\nnow".to_owned());
        assert_eq!(heard(&manager), "READY=1\nWATCHDOG=1\nSTATUS=at work now");
        supervisor.goes_round(|| "at work".to_owned());
        assert_eq!(heard(&manager), "WATCHDOG=1");
        assert_eq!(heard(&manager), "");
    }

    #[test]
    fn nothing_is_said_of_the_loop_where_nobody_asks() {
        let (supervisor, manager, _folder) = supervised(&[("WATCHDOG_USEC", "2000000"), ("WATCHDOG_PID", "1")]);

        supervisor.goes_round(|| "at work".to_owned());
        supervisor.goes_round(|| "at work".to_owned());
        supervisor.is_stopping("waiting");

        assert_eq!([heard(&manager), heard(&manager)], ["READY=1\nSTATUS=at work", "STOPPING=1\nSTATUS=waiting"]);
    }

    #[test]
    fn a_name_without_a_file_is_a_socket_too() {
        let name = format!("nocturne-test-{}", std::process::id());
        let manager = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let supervisor = Supervisor::of(&Variables::from([("NOTIFY_SOCKET".to_owned(), format!("@{name}"))]));

        supervisor.begins("standing by");

        assert_eq!(heard(&manager), "STATUS=standing by");
    }
}
