//! The e-mail in other hands: a mail server that is not ours takes it, and a parser that is not ours reads it.
//!
//! The server is aiosmtpd, the parser Python's own; `tests/run` installs both. The real binary hands them the digest of
//! a whole night with all its charts.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rcgen::KeyPair;
use serde_json::Value;

use crate::support::site::{Site, text};
use crate::support::tls;

/// A night with a model, small.
const NIGHT: &str = "
[simulation]
students = 150
first_year = 2026
[features]
weeks = [4, 8]
";

/// The Python that `tests/run` has put aiosmtpd into.
fn python() -> PathBuf {
    let target = Path::new(env!("CARGO_BIN_EXE_nocturne")).ancestors().nth(2).unwrap();
    let python = target.join("aiosmtpd/bin/python");
    assert!(python.is_file(), "there is no {}: `tests/run` installs it; call that once", python.display());
    python
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/aiosmtpd").join(name)
}

/// A server in a process of its own.
struct SecondServer {
    process: Child,
    port: u16,
}

impl SecondServer {
    /// Starts it with a certificate made for it, which clients of the site must trust.
    fn start(site: &Site) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = tls::valid().self_signed(&key).unwrap();
        site.write("smtp/ca.pem", certificate.pem());
        site.write("smtp/key.pem", key.serialize_pem());
        std::fs::create_dir(site.path().join("received")).unwrap();
        let mut process = Command::new(python())
            .arg(script("serve.py"))
            .args(["smtp/ca.pem", "smtp/key.pem", "received"])
            .current_dir(site.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut port).unwrap();
        Self { process, port: port.trim().parse().unwrap() }
    }
}

impl Drop for SecondServer {
    fn drop(&mut self) {
        // It ends when its standard input is closed.
        drop(self.process.stdin.take());
        self.process.wait().unwrap();
    }
}

fn read(message: &Path) -> Value {
    let read = Command::new(python()).arg(script("read.py")).arg(message).output().unwrap();
    assert!(read.status.success(), "{}", text(&read));
    serde_json::from_slice(&read.stdout).unwrap()
}

#[test]
fn a_second_server_takes_the_digest_and_a_second_parser_shows_all_of_it() {
    let site = Site::new("");
    let server = SecondServer::start(&site);
    site.write("smtp/password", "open sesame\n");
    let mail = format!(
        "[mail]\ntransport = 'smtp'\nhost = 'localhost'\nport = {}\nca_file = 'smtp/ca.pem'\nuser = 'nocturne'\n\
         password = 'file:smtp/password'\nhello_name = 'night.example.edu'\nto = ['\"Büro, 2\" <board@example.edu>']\n",
        server.port
    );
    site.write("site.toml", format!("{NIGHT}{mail}"));

    let run = site.nocturne(&["run", "nightly", "--date", "2026-11-20"]);

    assert!(matches!(run.status.code(), Some(0 | 9)), "{}", text(&run));
    let received = site.files("received");
    assert_eq!(received.len(), 1, "{}", text(&run));
    let shown = read(&received[0]);
    assert_eq!(shown["defects"], serde_json::json!([]), "{shown}");
    assert_eq!((&shown["to"][0], &shown["from"]), (&"board@example.edu".into(), &"nocturne@example.edu".into()));
    let subject = shown["subject"].as_str().unwrap();
    assert!(subject.starts_with("[nocturne] ") && subject.contains("· nightly 2026-11-20"), "{subject}");
    for part in ["text", "html"] {
        let words = shown[part].as_str().unwrap();
        let is_whole = words.to_lowercase().contains("how many students may need support");
        assert!(words.contains("Friday 20 November 2026") && is_whole, "{words}");
    }
    let asked_for: Vec<&str> = shown["asked_for"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(asked_for.len() >= 3, "{asked_for:?}");
    for picture in &asked_for {
        let found = &shown["pictures"][picture];
        assert_eq!(found["type"], "image/png", "{picture}: {found}");
        assert_eq!((&found["shown"], &found["begins"]), (&"inline".into(), &"89504e470d0a1a0a".into()), "{picture}");
    }
    assert_eq!(shown["pictures"].as_object().unwrap().len(), asked_for.len(), "a picture that nothing shows");
}
