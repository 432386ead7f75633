//! The exit codes that scripts rely on, each from the real binary.

use std::process::Output;

use crate::support::closed::ClosedPort;
use crate::support::limit::{Patience, Running};
use crate::support::site::{SMALL, Site, text};

/// A site with the DAGs `good`, `bad`, `slow` (it waits on the pipe `go` after it has written to the pipe `begun`) and
/// `mail`, whose digest goes to an SMTP server that refuses every connection.
fn site(port: u16) -> Site {
    let mail = format!(
        "[mail]\ntransport = 'smtp'\nhost = '127.0.0.1'\nport = {port}\nsecurity = 'starttls'\n\
         from = 'nocturne@example.edu'\nto = ['dean@example.edu']\n"
    );
    let site = Site::new(&format!("{SMALL}\n[paths]\njobs = 'dags'\n[engine]\nstop_grace_secs = 1\n{mail}"));
    site.pipe("begun");
    site.pipe("go");
    let (begun, go) = (site.path().join("begun"), site.path().join("go"));
    let dag = |name: &str, script: &str| {
        let job = format!("kind = 'command'\nwith = {{ program = 'sh', args = ['-c', '''{script}'''] }}\n");
        site.write(
            &format!("dags/{name}.toml"),
            format!("name = '{name}'\n[defaults]\nretry = {{ attempts = 1 }}\n[jobs.only]\n{job}"),
        );
    };
    dag("good", "true");
    dag("bad", "false");
    dag("slow", &format!("echo on > {}; read line < {}", begun.display(), go.display()));
    let digest = "[jobs.digest]\nkind = 'send_report'\nwith = { report = 'digest' }\n";
    site.write("dags/mail.toml", format!("name = 'mail'\n{digest}"));
    site
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("it was killed: {}", text(output)))
}

#[test]
fn a_command_ends_with_the_code_of_its_kind() {
    let closed = ClosedPort::new();
    let site = site(closed.address().port());
    site.write("dags/wrong.toml", "name = 3\n");
    let day = ["--date", "2026-11-20"];
    let cases: [(&[&str], i32); 9] = [
        (&["run", "good"], 0),
        (&["run", "bad"], 1),
        (&["run", "good", "--nonsense"], 2),
        (&["run", "wrong"], 3),
        (&["run", "nowhere"], 4),
        (&["run", "good", "--detach"], 6),
        (&["run", "mail"], 9),
        (&["run", "mail", "--force", "--strict"], 1),
        (&["kinds", "show", "nowhere"], 4),
    ];

    for (arguments, expected) in cases {
        let arguments = if arguments[0] == "run" { [arguments, &day].concat() } else { arguments.to_vec() };
        let output = site.nocturne(&arguments);
        assert_eq!(code(&output), expected, "{arguments:?}: {}", text(&output));
    }
    assert_eq!(code(&site.nocturne(&["runs", "cancel", "last"])), 5);
}

#[test]
fn a_command_that_is_told_to_end_says_by_which_signal() {
    let closed = ClosedPort::new();
    let site = site(closed.address().port());
    let ended = |signal: &str| {
        let run = site.start(&["run", "slow", "--date", "2026-11-20"]);
        site.read_pipe("begun");
        run.signal(signal);
        code(&run.wait_with_output().unwrap())
    };

    assert_eq!((ended("-INT"), ended("-TERM")), (130, 143));
}

#[test]
fn a_second_daemon_is_refused_and_whoever_waits_too_long_is_told() {
    let closed = ClosedPort::new();
    let site = site(closed.address().port());
    let mut daemon: Running = site.start(&["daemon"]);
    // Until it owns the state store, a run cannot be enqueued; a second daemon could become the owner in its place.
    let patience = Patience::new("the daemon to own the state store");
    while code(&site.nocturne(&["run", "good", "--date", "2026-11-20", "--detach"])) != 0 {
        patience.again();
        assert!(!daemon.has_ended(), "{}", text(&daemon.wait_with_output().unwrap()));
    }

    let second = site.nocturne(&["daemon"]);
    let late = site.nocturne(&["run", "slow", "--date", "2026-11-20", "--wait", "10ms"]);

    assert_eq!(code(&second), 8, "{}", text(&second));
    assert_eq!(code(&late), 7, "{}", text(&late));
    daemon.signal("-TERM");
    assert_eq!(daemon.wait().unwrap().code(), Some(0), "a daemon that is told to end has done what it was asked");
}
