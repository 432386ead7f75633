//! What a daemon reports to the service manager, through a real socket: that it is ready, its status, that its loop is
//! running, and that it is ending.

use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::time::Duration;

use nocturne::telemetry::spawn_blocking;
use sqlx::{Connection as _, PgConnection};

use crate::support::limit::{Patience, Running};
use crate::support::postgres;
use crate::support::site::{Site, text};

const DAG: &str = "name = 'night'\nschedule = '30 2 * * *'\ntimezone = 'UTC'\n\
    [jobs.say]\nkind = 'command'\nwith = { program = 'true' }\n";

/// A service manager that expects a sign of the loop every three seconds.
struct Manager(UnixDatagram);

impl Manager {
    fn of(site: &Site) -> Self {
        let socket = UnixDatagram::bind(site.path().join("notify.sock")).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self(socket)
    }

    fn start(&self, site: &Site, arguments: &[&str]) -> Running {
        let socket = site.path().join("notify.sock").display().to_string();
        let environment = [("NOTIFY_SOCKET", socket.as_str()), ("WATCHDOG_USEC", "3000000")];
        let mut command = site.command(arguments, &environment);
        Running::new(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    fn hear(&self) -> String {
        let mut buffer = [0; 1024];
        let n = self.0.recv(&mut buffer).expect("the daemon has said nothing for a minute");
        String::from_utf8_lossy(&buffer[..n]).into_owned()
    }

    /// Receives until a message contains `what`, and returns that message.
    fn hear_of(&self, what: &str) -> String {
        let patience = Patience::new("the daemon to say something");
        loop {
            let message = self.hear();
            if message.contains(what) {
                return message;
            }
            patience.again();
        }
    }

    /// Returns whether nothing is received for so long.
    fn is_left_alone_for(&self, time: Duration) -> bool {
        self.0.set_read_timeout(Some(time)).unwrap();
        let is_silent = self.0.recv(&mut [0; 1024]).is_err();
        self.0.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        is_silent
    }
}

fn site(configuration: &str) -> Site {
    let site = Site::new(&format!("[paths]\njobs = 'dags'\n{configuration}"));
    site.write("dags/night.toml", DAG);
    site
}

fn end(daemon: Running) {
    daemon.signal("-TERM");
    let ended = daemon.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{}", text(&ended));
}

#[test]
fn a_daemon_says_that_it_is_ready_that_it_lives_and_that_it_ends() {
    let site = site("");
    let manager = Manager::of(&site);
    let daemon = manager.start(&site, &["daemon"]);

    let ready = manager.hear_of("READY=1");
    let alive = [manager.hear(), manager.hear()];
    end(daemon);
    let stopping = manager.hear_of("STOPPING=1");

    assert!(ready.contains("STATUS=Running the schedules of 1 DAG; next: night, "), "{ready}");
    assert!(ready.contains("02:30 UTC"), "{ready}");
    assert_eq!(alive, ["WATCHDOG=1", "WATCHDOG=1"]);
    assert!(stopping.contains("STATUS=Ending"), "{stopping}");
}

#[test]
fn a_standby_is_ready_when_it_stands_by_and_says_when_it_has_taken_over() {
    let site = site("");
    let first_manager = Manager::of(&site);
    let mut first = first_manager.start(&site, &["daemon"]);
    first_manager.hear_of("READY=1");
    std::fs::remove_file(site.path().join("notify.sock")).unwrap();
    let manager = Manager::of(&site);
    let standby = manager.start(&site, &["daemon", "--standby"]);

    let ready = manager.hear_of("READY=1");
    let alive = manager.hear();
    first.kill().unwrap();
    let taken_over = manager.hear_of("STATUS=Running");
    end(standby);

    assert!(ready.contains("STATUS=Standing by: another scheduler owns the state store"), "{ready}");
    assert_eq!(alive, "WATCHDOG=1");
    assert!(!taken_over.contains("READY=1"), "{taken_over}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_whose_loop_hangs_does_not_say_that_it_lives() {
    let url = postgres::new_database().await;
    let site = site(&format!("[state]\nurl = '{url}'\n"));
    let manager = Manager::of(&site);
    let daemon = manager.start(&site, &["daemon"]);
    let manager = spawn_blocking(move || {
        manager.hear_of("READY=1");
        manager.hear_of("WATCHDOG=1");
        manager
    })
    .await;

    // Every query of the runs waits, and so does the loop.
    let mut other = PgConnection::connect(&url).await.unwrap();
    sqlx::query("BEGIN").execute(&mut other).await.unwrap();
    sqlx::query("LOCK TABLE runs IN ACCESS EXCLUSIVE MODE").execute(&mut other).await.unwrap();
    let (manager, is_silent) = spawn_blocking(move || {
        let patience = Patience::new("the loop to hang");
        while !manager.is_left_alone_for(Duration::from_secs(4)) {
            patience.again();
        }
        (manager, true)
    })
    .await;
    sqlx::query("COMMIT").execute(&mut other).await.unwrap();
    let again = spawn_blocking(move || manager.hear_of("WATCHDOG=1")).await;

    assert!(is_silent);
    assert!(again.contains("WATCHDOG=1"));
    spawn_blocking(move || end(daemon)).await;
}

#[test]
fn the_unit_asks_for_what_the_daemon_says() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/systemd/nocturne.service");
    let unit = std::fs::read_to_string(path).unwrap();

    for line in ["Type=notify", "NotifyAccess=main", "WatchdogSec=5min", "Restart=on-failure"] {
        assert!(unit.lines().any(|found| found == line), "{line}");
    }
}
