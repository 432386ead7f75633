//! `nocturne doctor` with the real binary: it reports what is in order, finds each fault that a test stages, and
//! changes nothing.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use nocturne::domain::clock::Clock as _;
use nocturne::telemetry::{SystemClock, spawn_blocking};
use serde_json::Value;

use crate::support::closed::ClosedPort;
use crate::support::s3::{ACCESS_KEY, BUCKET, S3Server, SECRET_KEY};
use crate::support::site::{SMALL, Site, text};
use crate::support::smtp::{Offer, SmtpServer, Temper};
use crate::support::tls::{self, HttpsServer};
use crate::support::webhook::{Receiver, SECRET};

const NIGHTLY: &str = "[jobs.say]\nkind = 'command'\nwith = { program = 'true' }\n";

/// A site with one DAG, `night`, without a schedule.
fn site(configuration: &str) -> Site {
    let site = Site::new(&format!("[paths]\njobs = 'dags'\n{configuration}"));
    site.write("dags/night.toml", format!("name = 'night'\n{NIGHTLY}"));
    site
}

/// Runs the doctor; returns its exit code and its checks, by subject and name.
fn examined(site: &Site, environment: &[(&str, &str)]) -> (Option<i32>, BTreeMap<String, Value>) {
    let output = site.nocturne_with(&["--json", "doctor"], environment);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)));
    let checks = report["checks"].as_array().unwrap().iter().map(|check| {
        let name = format!("{} · {}", check["subject"].as_str().unwrap(), check["check"].as_str().unwrap());
        (name, check.clone())
    });
    (output.status.code(), checks.collect())
}

/// The checks that are not in order, with their verdicts.
fn findings(checks: &BTreeMap<String, Value>) -> Vec<(&str, &str)> {
    let verdict = |check: &'_ Value| match check["verdict"].as_str().unwrap() {
        "warn" => Some("warn"),
        "fail" => Some("fail"),
        _ => None,
    };
    checks.iter().filter_map(|(name, check)| Some((name.as_str(), verdict(check)?))).collect()
}

/// Everything below a folder, with mode, size and time.
fn all_below(folder: &Path) -> BTreeMap<PathBuf, (u32, u64, i64)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let meta = std::fs::symlink_metadata(&path).unwrap();
            found.insert(path.clone(), (meta.mode(), meta.len(), meta.mtime()));
            if meta.is_dir() {
                folders.push(path);
            }
        }
    }
    found
}

#[test]
fn on_a_fresh_folder_all_is_well_and_nothing_is_made() {
    let site = Site::new("");
    let before = all_below(site.path());

    let looked = site.nocturne(&["doctor"]);

    assert_eq!(looked.status.code(), Some(0), "{}", text(&looked));
    assert!(text(&looked).contains("0 to look at, 0 wrong"), "{}", text(&looked));
    assert_eq!(all_below(site.path()), before);
}

#[test]
fn after_a_night_all_is_well_and_the_lake_is_as_it_was() {
    let site = site(SMALL);
    let night = site.nocturne(&["run", "night", "--date", "2026-11-20"]);
    assert_eq!(night.status.code(), Some(0), "{}", text(&night));
    std::fs::create_dir_all(site.path().join("var/lake/restricted/tables")).unwrap();
    let before = all_below(site.path());

    let (code, checks) = examined(&site, &[]);

    assert_eq!((code, findings(&checks)), (Some(0), vec![]), "{checks:#?}");
    assert_eq!(checks["database · journal"]["verdict"], "ok");
    assert_eq!(checks["lake · conditional put"]["verdict"], "ok");
    let names = |all: &BTreeMap<PathBuf, _>| all.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&all_below(site.path())), names(&before));
}

#[test]
fn every_check_has_the_documented_shape() {
    let site = site("[lake]\nurl = '/proc/sys/kernel'\n");

    let output = site.nocturne(&["--json", "doctor"]);

    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["verdict"], "fail");
    assert_eq!(report.as_object().unwrap().keys().collect::<Vec<_>>(), ["verdict", "checks"]);
    for check in report["checks"].as_array().unwrap() {
        let keys: Vec<_> = check.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["subject", "check", "verdict", "found", "advice", "details"]);
        let is_finding = ["warn", "fail"].contains(&check["verdict"].as_str().unwrap());
        assert_eq!(check["advice"].is_string(), is_finding, "{check}");
    }
}

#[test]
fn a_key_that_everybody_may_read_fails_and_is_not_shown() {
    let site = site("[privacy]\nkey = 'file:privacy.key'\n");
    let key = "0123456789abcdef0123456789abcdef";
    site.write("privacy.key", key);
    let mode = |mode| {
        std::fs::set_permissions(site.path().join("privacy.key"), std::fs::Permissions::from_mode(mode)).unwrap();
        site.nocturne(&["doctor"])
    };

    let (open, closed) = (mode(0o644), mode(0o600));

    assert_eq!((open.status.code(), closed.status.code()), (Some(9), Some(0)), "{}{}", text(&open), text(&closed));
    assert!(text(&open).contains("everybody on this machine may use privacy.key (mode 0644)"), "{}", text(&open));
    assert!(!text(&open).contains(key) && !text(&closed).contains(key));
}

#[test]
fn a_lake_that_cannot_be_written_fails() {
    // Nobody can create a file in this folder, not even the superuser.
    let site = site("[lake]\nurl = '/proc/sys/kernel'\n");

    let (code, checks) = examined(&site, &[]);

    assert_eq!(code, Some(9));
    assert_eq!(checks["lake · writable"]["verdict"], "fail", "{checks:#?}");
    assert!(checks["lake · writable"]["found"].as_str().unwrap().contains("/proc/sys/kernel"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_s3_lake_keeps_its_promises_and_wrong_keys_are_found() {
    let server = S3Server::start().await;
    let configuration = format!(
        "[lake]\nurl = 's3://{BUCKET}/x'\nendpoint = '{}'\nallow_http = true\naccess_key_id = 'env:LAKE_ID'\n\
         secret_access_key = 'env:LAKE_SECRET'\n",
        server.endpoint
    );

    let [right, wrong] = [SECRET_KEY, "another"].map(|secret| {
        let configuration = configuration.clone();
        spawn_blocking(move || examined(&site(&configuration), &[("LAKE_ID", ACCESS_KEY), ("LAKE_SECRET", secret)]))
    });
    let ((_, right), (code, wrong)) = tokio::join!(right, wrong);

    assert_eq!(findings(&right), []);
    assert_eq!(right["lake · conditional put"]["verdict"], "ok", "{right:#?}");
    assert_eq!((code, wrong["lake · writable"]["verdict"].as_str()), (Some(9), Some("fail")), "{wrong:#?}");
    let left = std::fs::read_dir(server.bucket()).unwrap().flatten().filter(|entry| entry.path().is_file()).count();
    assert_eq!(left, 0);
}

/// The e-mail section for a server on this machine.
fn mail(port: u16) -> String {
    format!(
        "[mail]\ntransport = 'smtp'\nhost = 'localhost'\nport = {port}\nsecurity = 'starttls'\nca_file = 'ca.pem'\n\
         user = 'nocturne'\npassword = 'env:SMTP_PASSWORD'\nhello_name = 'nocturne.test'\n"
    )
}

async fn examined_with(server: &SmtpServer, password: &'static str) -> (Option<i32>, BTreeMap<String, Value>) {
    let site = site(&mail(server.port));
    site.write("ca.pem", &server.certificate_pem);
    spawn_blocking(move || examined(&site, &[("SMTP_PASSWORD", password)])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_smtp_server_is_asked_for_everything_but_an_e_mail() {
    let server = SmtpServer::start(Offer::StartTls, Temper::Accepts).await;

    let (code, checks) = examined_with(&server, "open sesame").await;

    assert_eq!((code, findings(&checks)), (Some(0), vec![]), "{checks:#?}");
    assert_eq!(checks["e-mail · server"]["found"], "localhost greets, upgrades to TLS and accepts the login");
    assert!(checks["certificates · localhost"]["found"].as_str().unwrap().starts_with("its certificate is valid for"));
    assert!(server.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_asked_whether_it_is_there_and_nothing_is_posted() {
    let (receiver, closed) = (Receiver::start(&[405]).await, ClosedPort::new());
    let webhook = |name: &str, port: u16, secret: &str| {
        format!(
            "[alerts.webhooks.{name}]\nurl = 'https://localhost:{port}/hook'\nsecret = 'env:{secret}'\n\
             ca_file = 'ca.pem'\nallow_private = true\n"
        )
    };
    let site = site(&format!(
        "[alerts.routes.desk]\nwebhook = 'pager'\n{}{}{}{}",
        webhook("pager", receiver.port, "PAGER_SECRET"),
        webhook("gone", closed.address().port(), "PAGER_SECRET"),
        webhook("short", receiver.port, "SHORT_SECRET"),
        webhook("unset", receiver.port, "UNSET_SECRET"),
    ));
    site.write("ca.pem", &receiver.certificate_pem);

    let secrets = [("PAGER_SECRET", SECRET), ("SHORT_SECRET", "hunter2")];
    let (code, checks) = spawn_blocking(move || examined(&site, &secrets)).await;

    assert_eq!(code, Some(9), "{checks:#?}");
    assert_eq!(checks["webhooks · pager"]["verdict"], "ok", "whatever it answers, it is there: {checks:#?}");
    let found = |name: &str| checks[&format!("webhooks · {name}")]["found"].as_str().unwrap().to_owned();
    assert!(found("gone").contains("was not reached"), "{}", found("gone"));
    assert!(found("short").contains("too short to sign with"), "{}", found("short"));
    assert!(found("unset").contains("UNSET_SECRET"), "{}", found("unset"));
    assert_eq!(checks["secrets · alerts.webhooks.unset.secret"]["verdict"], "fail");
    assert!(receiver.posted().iter().all(|posted| posted.line.starts_with("HEAD ")), "{:?}", receiver.posted().len());
    assert!(!format!("{checks:?}").contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_smtp_server_that_refuses_the_login_fails() {
    let server = SmtpServer::start(Offer::StartTls, Temper::Accepts).await;

    let (code, checks) = examined_with(&server, "hunter2").await;

    assert_eq!((code, findings(&checks)), (Some(9), vec![("e-mail · server", "fail")]));
    assert!(checks["e-mail · server"]["found"].as_str().unwrap().starts_with("logging in"), "{checks:#?}");
    assert!(!format!("{checks:?}").contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_is_found_with_its_day() {
    let server = SmtpServer::start_with_expired_certificate(Offer::StartTls).await;

    let (code, checks) = examined_with(&server, "open sesame").await;

    let expired = [("certificates · localhost", "fail"), ("e-mail · server", "fail")];
    assert_eq!((code, findings(&checks)), (Some(9), expired.to_vec()));
    let found = checks["certificates · localhost"]["found"].as_str().unwrap();
    assert!(found.starts_with("its certificate expired on 2024-12-31, "), "{found}");
}

/// Looks at a server that is to be pinged; with `trusted`, the system trusts its certificate.
async fn examined_ping(server: &HttpsServer, trusted: bool) -> BTreeMap<String, Value> {
    let site = site(&format!("[watchdog]\nping_url = 'https://localhost:{}/secret'\n", server.port));
    site.write("ca.pem", if trusted { &server.certificate_pem } else { "" });
    let ca_file = site.path().join("ca.pem").display().to_string();
    let environment = move || examined(&site, &[("SSL_CERT_FILE", &ca_file), ("NO_PROXY", "localhost")]).1;
    spawn_blocking(environment).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_https_server_is_asked_for_its_certificate_and_its_time_and_never_pinged() {
    let now = jiff::fmt::rfc2822::to_string(&SystemClock.now().in_tz("UTC").unwrap()).unwrap();
    let server = HttpsServer::start(tls::valid(), &now).await;
    let certificate = format!("certificates · localhost:{}", server.port);

    let trusted = examined_ping(&server, true).await;
    let stranger = examined_ping(&server, false).await;

    assert_eq!(findings(&trusted), []);
    assert!(trusted[&certificate]["found"].as_str().unwrap().starts_with("its certificate is valid for"));
    assert_eq!(trusted[&format!("clock · localhost:{}", server.port)]["verdict"], "ok");
    assert_eq!(findings(&stranger), [(certificate.as_str(), "fail")]);
    assert!(stranger[&certificate]["found"].as_str().unwrap().starts_with("its certificate is not trusted"));
    let asked = server.asked();
    assert!(asked.contains(&"HEAD / HTTP/1.1".to_owned()) && !asked.concat().contains("secret"), "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_https_server_whose_certificate_or_clock_is_out_of_date_is_found() {
    let server = HttpsServer::start(tls::expired(), "Fri, 20 Nov 2020 02:30:00 GMT").await;
    let [certificate, clock] = ["certificates", "clock"].map(|of| format!("{of} · localhost:{}", server.port));

    let checks = examined_ping(&server, true).await;

    assert_eq!(findings(&checks), [(certificate.as_str(), "fail"), (clock.as_str(), "fail")]);
    let found = checks[&certificate]["found"].as_str().unwrap();
    assert!(found.starts_with("its certificate expired on 2024-12-31, "), "{found}");
}

#[test]
fn an_smtp_server_that_hangs_is_a_finding_and_not_a_hang() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let site = site(&mail(silent.local_addr().unwrap().port()).replace("ca_file = 'ca.pem'\n", ""));

    let (code, checks) = examined(&site, &[("SMTP_PASSWORD", "x")]);

    assert_eq!((code, findings(&checks)), (Some(9), vec![("e-mail · server", "fail")]));
    assert!(checks["e-mail · server"]["found"].as_str().unwrap().contains("no answer within 8 s"), "{checks:#?}");
}

#[test]
fn a_schedule_that_never_fires_is_found() {
    let site = site("");
    site.write("dags/never.toml", format!("name = 'never'\nschedule = '0 0 30 2 *'\n{NIGHTLY}"));
    site.write("dags/early.toml", format!("name = 'early'\nschedule = '0 7 * * *'\ndeadline = '06:30'\n{NIGHTLY}"));

    let output = site.nocturne(&["doctor"]);

    assert_eq!(output.status.code(), Some(9));
    let told = text(&output);
    assert!(told.contains("`0 0 30 2 *`") && told.contains("never"), "{told}");
    assert!(told.contains("the deadline 06:30 is before the slot at") && told.contains("→ set `deadline`"), "{told}");
}

#[test]
fn a_database_of_an_older_version_is_named_and_left_alone() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/released");
    let site = Site::new(&std::fs::read_to_string(fixture.join("site/site.toml")).unwrap());
    site.write("dags/night.toml", std::fs::read(fixture.join("site/dags/night.toml")).unwrap());
    let packed = std::fs::File::open(fixture.join("night.tar.gz")).unwrap();
    tar::Archive::new(GzDecoder::new(packed)).unpack(site.path()).unwrap();
    let before = std::fs::read(site.path().join("var/nocturne.db")).unwrap();

    let (code, checks) = examined(&site, &[]);

    assert_eq!(code, Some(9));
    assert_eq!(checks["database · schema"]["verdict"], "warn", "{checks:#?}");
    assert!(checks["database · schema"]["advice"].as_str().unwrap().contains("`nocturne db migrate`"));
    assert!(std::fs::read(site.path().join("var/nocturne.db")).unwrap() == before, "the database was changed");
}

#[test]
fn a_source_that_is_not_there_or_is_empty_fails_and_one_that_is_old_warns() {
    let configuration = "[sources.canvas]\nkind = 'files'\npath = 'exports'\nanonymous = true\n";
    let verdict = |site: &Site| examined(site, &[]).1["source · canvas"]["verdict"].as_str().unwrap().to_owned();
    let site = site(configuration);

    let absent = verdict(&site);
    std::fs::create_dir(site.path().join("exports")).unwrap();
    let empty = verdict(&site);
    let out = site.path().join("exports").display().to_string();
    let made = site.nocturne(&["sim", "generate", &out, "--date", "2026-01-20", "--students", "10"]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    let old = verdict(&site);

    assert_eq!([absent, empty, old], ["fail", "fail", "warn"]);
}

#[test]
fn a_configuration_that_is_not_valid_is_a_finding_and_what_does_not_depend_on_it_is_looked_at() {
    let site = site("[lake]\nurl = 'ftp://x'\n[quality]\nfresh_days = 'two'\n");
    site.write("dags/bad.toml", "name = 'bad'\nshedule = '@daily'\n");

    let (code, checks) = examined(&site, &[]);

    assert_eq!(code, Some(9));
    let settings = format!("{}", checks["configuration · settings"]["details"]);
    assert!(settings.contains("lake.url") && settings.contains("fresh_days"), "{settings}");
    assert!(checks["configuration · DAG files"]["details"].to_string().contains("shedule"), "{checks:#?}");
    assert_eq!(checks["lake · all"]["verdict"], "skipped");
    assert_eq!(checks["database · reachable"]["verdict"], "ok");
    assert_eq!(checks["limits · open files"]["verdict"], "ok");
}

#[test]
fn without_a_configuration_file_that_can_be_read_the_machine_is_still_looked_at() {
    let site = site("[mail\n");

    let (code, checks) = examined(&site, &[]);

    assert_eq!((code, findings(&checks)), (Some(9), vec![("configuration · settings", "fail")]), "{checks:#?}");
    assert_eq!(checks["secrets · all"]["verdict"], "skipped");
}

#[test]
fn a_paused_dag_is_named_with_the_command_that_resumes_it() {
    let site = site("");
    site.write("dags/summer.toml", format!("name = 'summer'\nschedule = '30 2 * * *'\n{NIGHTLY}"));
    let paused = site.nocturne(&["dags", "pause", "summer", "--why", "no courses"]);
    assert_eq!(paused.status.code(), Some(0), "{}", text(&paused));

    let (_, checks) = examined(&site, &[]);

    let found = checks["schedules · summer"]["found"].as_str().unwrap();
    assert!(found.starts_with("paused by ") && found.ends_with("`nocturne dags resume summer`"), "{found}");
}
