//! What bad input does to a night: each kind has one clear message (what, where, what to do) and its exit code.
//!
//! Where a last good snapshot matters, the test first pulls a sound export, then one with one thing wrong in it.

use std::io::{Read as _, Write as _};

use nocturne::telemetry::spawn_blocking;

use crate::support::site::{SMALL, Site, text};
use crate::support::smtp::{Offer, SmtpServer, Temper};

const SITE: &str = r#"
[sources.canvas]
kind = "files"
path = "exports"
anonymous = true
[paths]
jobs = "dags"
"#;

/// The parts of the night that these tests need.
const DAG: &str = r#"
name = "night"
[jobs.pull]
kind = "canvas_pull"
with = { source = "canvas" }
[jobs.digest]
kind = "send_report"
needs = ["pull"]
when = "all_done"
with = { report = "digest" }
"#;

/// A site with a sound export of the 17th and one of the 20th, which the test may damage.
fn site(configuration: &str) -> Site {
    let site = Site::new(&format!("{SMALL}{SITE}{configuration}"));
    site.write("dags/night.toml", DAG);
    for date in ["2026-11-17", "2026-11-20"] {
        let made = site.nocturne(&["sim", "generate", &format!("exports/{date}"), "--date", date]);
        assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    }
    site
}

fn night(site: &Site, date: &str) -> (Option<i32>, String) {
    let output = site.nocturne_with(&["run", "night", "--date", date], &[("SMTP_PASSWORD", "open sesame")]);
    (output.status.code(), text(&output))
}

/// The night of the 17th, which is sound, then that of the 20th, and what its findings say.
fn two_nights(site: &Site) -> (Option<i32>, String) {
    let (code, told) = night(site, "2026-11-17");
    assert_eq!(code, Some(0), "{told}");
    let (code, told) = night(site, "2026-11-20");
    let shown = text(&site.nocturne(&["runs", "show", "last"]));
    (code, format!("{told}\n{shown}"))
}

const PART: &str = "exports/2026-11-20/submissions/part-00000.jsonl.gz";

fn bytes(site: &Site, name: &str) -> Vec<u8> {
    std::fs::read(site.path().join(name)).unwrap()
}

/// Rewrites the lines of a table of the second export; the manifest then states nothing about it.
fn rewrite(site: &Site, table: &str, change: impl Fn(usize, &str) -> Option<String>) {
    let name = format!("exports/2026-11-20/{table}/part-00000.jsonl.gz");
    let mut before = String::new();
    flate2::read::MultiGzDecoder::new(bytes(site, &name).as_slice()).read_to_string(&mut before).unwrap();
    let after: Vec<String> = before.lines().enumerate().filter_map(|(n, line)| change(n, line)).collect();
    assert_ne!(after.join("\n"), before.trim_end(), "the test would change nothing");
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for line in after {
        writeln!(gz, "{line}").unwrap();
    }
    site.write(&name, gz.finish().unwrap());
    forget(site, table);
}

/// Removes what the second export's manifest states about a table.
fn forget(site: &Site, table: &str) {
    let name = "exports/2026-11-20/manifest.json";
    let mut manifest: serde_json::Value = serde_json::from_slice(&bytes(site, name)).unwrap();
    assert!(manifest["tables"].as_object_mut().unwrap().remove(table).is_some(), "the manifest names {table}");
    site.write(name, manifest.to_string());
}

fn assert_tells(told: &str, words: &[&str]) {
    for word in words {
        assert!(told.contains(word), "`{word}` is not told in:\n{told}");
    }
}

#[test]
fn a_truncated_gzip_leaves_the_last_good_snapshot_and_says_which_file() {
    let site = site("");
    let whole = bytes(&site, PART);
    site.write(PART, &whole[..whole.len() / 2]);

    let (code, told) = two_nights(&site);

    assert_eq!(code, Some(9), "{told}");
    assert_tells(&told, &["1 stale", "submissions/part-00000.jsonl.gz", "is corrupt after", "fetch the delivery"]);
}

#[test]
fn a_bad_checksum_leaves_the_last_good_snapshot_and_says_which_file() {
    let site = site("");
    let mut broken = bytes(&site, PART);
    let crc = broken.len() - 8;
    broken[crc] ^= 0xff;
    site.write(PART, broken);

    let (code, told) = two_nights(&site);

    assert_eq!(code, Some(9), "{told}");
    assert_tells(&told, &["1 stale", "submissions/part-00000.jsonl.gz", "is corrupt after", "fetch the delivery"]);
}

#[test]
fn a_good_delivery_after_a_corrupt_one_makes_up_for_it() {
    let site = site("");
    let whole = bytes(&site, PART);
    site.write(PART, &whole[..whole.len() / 2]);
    assert_eq!(night(&site, "2026-11-17").0, Some(0));
    site.nocturne(&["sim", "generate", "exports/2026-11-21", "--date", "2026-11-21"]);

    let (code, told) = night(&site, "2026-11-21");

    assert_eq!(code, Some(0), "{told}");
    assert!(!told.contains(" stale"), "{told}");
}

#[test]
fn a_corrupt_table_without_an_earlier_snapshot_fails_the_job_and_the_digest_still_goes_out() {
    let site = site("");
    let whole = bytes(&site, PART);
    site.write(PART, &whole[..whole.len() / 2]);
    std::fs::remove_dir_all(site.path().join("exports/2026-11-17")).unwrap();

    let (code, told) = night(&site, "2026-11-20");

    assert_eq!(code, Some(1), "{told}");
    assert_tells(&told, &["FAIL pull", "no earlier snapshot", "submissions/part-00000.jsonl.gz", "fetch the delivery"]);
    assert!(site.path().join("var/outbox/night-digest.html").is_file());
}

#[test]
fn an_unknown_column_is_a_finding_and_the_night_goes_on() {
    let site = site("");
    rewrite(&site, "submissions", |_, line| Some(line.replacen("\"value\":{", "\"value\":{\"mood\":\"ok\",", 1)));

    let (code, told) = two_nights(&site);

    assert_eq!(code, Some(9), "{told}");
    assert_tells(&told, &["submissions.mood", "in no contract", "sources.NAME.contracts"]);
    assert!(!told.contains("stale"), "{told}");
}

#[test]
fn a_missing_required_column_stops_the_table() {
    let site = site("");
    rewrite(&site, "submissions", |_, line| Some(line.replace("\"workflow_state\"", "\"state_of_work\"")));

    let (code, told) = two_nights(&site);

    assert_eq!(code, Some(9), "{told}");
    assert_tells(
        &told,
        &["1 stale", "`submissions` has lost what it must have: workflow_state", "sources.NAME.contracts"],
    );
}

#[test]
fn a_text_where_a_number_belongs_is_held_back_and_never_told() {
    let site = site("");
    rewrite(&site, "courses", |n, line| {
        let mut record: serde_json::Value = serde_json::from_str(line).unwrap();
        if n == 0 {
            record["value"]["account_id"] = "Ada Lovelace".into();
        }
        // Enough rows that one of them is less than 1 %.
        Some(
            (0..200)
                .map(|copy| {
                    let mut record = record.clone();
                    if copy > 0 {
                        record["key"]["id"] = (9_000_000 + n * 1000 + copy).into();
                        record["value"]["account_id"] = 1.into();
                    }
                    record.to_string()
                })
                .collect::<Vec<_>>()
                .join("\n"),
        )
    });

    let (code, told) = two_nights(&site);
    let held = text(&site.nocturne(&["lake", "head", "restricted/quarantine/courses"]));

    assert_eq!(code, Some(9), "{told}");
    assert_tells(&told, &["1 held back", "type.id in `account_id`: 1", "quarantine"]);
    assert_tells(&held, &["type.id", "account_id", "courses/part-00000.jsonl.gz"]);
    assert!(!told.contains("Lovelace") && !held.contains("Lovelace"), "{told}{held}");
}

#[test]
fn more_misfits_than_one_in_a_hundred_stop_the_table_with_their_rule() {
    let site = site("");
    rewrite(&site, "submissions", |n, line| {
        Some(if n % 10 == 0 {
            line.replacen("\"course_id\":", "\"course_id\":\"x\",\"was\":", 1)
        } else {
            line.to_owned()
        })
    });

    let (code, told) = two_nights(&site);

    assert_eq!(code, Some(9), "{told}");
    assert_tells(&told, &["1 stale", "type.id in `course_id`", "more than 1 % stops the table"]);
}

#[test]
fn a_full_export_of_a_table_that_is_suddenly_empty_leaves_the_last_good_snapshot() {
    let site = site("");
    rewrite(&site, "submissions", |_, _| None);

    let (code, told) = two_nights(&site);

    assert_eq!(code, Some(9), "{told}");
    assert_tells(&told, &["1 stale", "`submissions`", "its full export is empty, and the table had rows"]);
}

#[test]
fn a_table_that_is_empty_from_the_start_is_told_and_the_night_goes_on() {
    let site = site("");
    std::fs::remove_dir_all(site.path().join("exports/2026-11-17")).unwrap();
    rewrite(&site, "scores", |_, _| None);

    let (code, told) = night(&site, "2026-11-20");
    let shown = text(&site.nocturne(&["runs", "show", "last"]));

    assert_eq!(code, Some(9), "{told}");
    assert_tells(&shown, &["scores", "The full export of `scores` holds no rows"]);
}

#[test]
fn what_is_wrong_with_a_delivery_is_told_in_its_own_night_only() {
    let site = site("");
    site.write("exports/2026-11-17/courses/part-00001.parquet", "not read");

    let first = night(&site, "2026-11-17");
    let second = night(&site, "2026-11-20");

    assert_eq!(first.0, Some(9), "{}", first.1);
    assert_eq!(second.0, Some(0), "{}", second.1);
}

#[test]
fn a_dag_with_a_cycle_unknown_keys_and_an_unknown_kind_is_refused_all_at_once() {
    let site = site("");
    site.write(
        "dags/bad.toml",
        "name = 'bad'\nshedule = '@daily'\n[jobs.a]\nkind = 'canvas_pul'\nneeds = ['b']\n[jobs.b]\nkind = 'quality_check'\nneeds = ['a']\nretries = 3\n",
    );

    let refused = site.nocturne(&["run", "bad", "--date", "2026-11-20"]);

    let told = text(&refused);
    assert_eq!(refused.status.code(), Some(3), "{told}");
    assert_tells(
        &told,
        &["dags/bad.toml:2:", "shedule", "`schedule`", "retries", "canvas_pul", "`canvas_pull`", "cycle"],
    );
}

#[test]
fn a_configuration_with_three_mistakes_tells_all_three_with_their_lines() {
    let site = site("");
    let own = "[mail]\ntransport = 'pigeon'\n[quality]\nfresh_days = 'two'\n[lakes]\nurl = 'x'\n";
    site.write("site.toml", own);

    let refused = site.nocturne(&["run", "night", "--date", "2026-11-20"]);

    let told = text(&refused);
    assert_eq!(refused.status.code(), Some(3), "{told}");
    assert_tells(&told, &["site.toml:2:", "pigeon", "site.toml:4:", "fresh_days", "site.toml:5:", "`lake`"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_smtp_server_that_refuses_for_good_is_told_and_the_next_run_has_another_try() {
    let server = SmtpServer::start(Offer::StartTls, Temper::RefusesRecipients).await;
    let mail = |port: u16| {
        format!(
            "[mail]\ntransport = 'smtp'\nhost = 'localhost'\nport = {port}\nsecurity = 'starttls'\nca_file = 'ca.pem'\n\
             user = 'nocturne'\npassword = 'env:SMTP_PASSWORD'\n"
        )
    };
    let site = site(&mail(server.port));
    site.write("ca.pem", &server.certificate_pem);

    let (site, code, told) = spawn_blocking(move || {
        let (code, told) = night(&site, "2026-11-17");
        (site, code, told)
    })
    .await;

    assert_eq!(code, Some(9), "{told}");
    assert_tells(&told, &["to a…@example.edu was given up, tried once", "localhost", "550"]);
    assert!(!told.contains("analytics@example.edu"), "{told}");

    // The next run tries again, and says what the result was.
    let (code, told) = spawn_blocking(move || night(&site, "2026-11-17")).await;
    assert_eq!(code, Some(9), "{told}");
    assert_tells(&told, &["was given up"]);
}

#[test]
fn a_lake_that_is_gone_is_told_of_with_its_way_out_and_the_way_out_works() {
    let site = site("");
    assert_eq!(night(&site, "2026-11-17").0, Some(0));
    std::fs::remove_dir_all(site.path().join("var/lake")).unwrap();

    for force in [&["run", "night", "--date", "2026-11-20"][..], &["run", "night", "--date", "2026-11-17", "--force"]] {
        let output = site.nocturne(force);

        let told = text(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains(" is gone from the lake at var/lake") && !told.contains("os error"), "{told}");
        assert!(
            told.contains("restore the lake") && told.contains("move the lake and the state store aside"),
            "{told}"
        );
        // From the job: its line and its log. From the start: one more.
        assert_eq!(told.matches("is gone from the lake").count(), 3, "{told}");
    }

    let aside = site.path().join("aside");
    std::fs::create_dir(&aside).unwrap();
    for file in ["lake", "nocturne.db", "nocturne.db-wal", "nocturne.db-shm"] {
        let from = site.path().join("var").join(file);
        if from.exists() {
            std::fs::rename(from, aside.join(file)).unwrap();
        }
    }
    let (code, told) = night(&site, "2026-11-20");
    assert_eq!(code, Some(0), "{told}");
}

#[test]
fn changes_that_begin_after_what_is_known_are_refused_and_the_gap_is_told() {
    let site = site("");
    let name = "exports/2026-11-20/manifest.json";
    let mut manifest: serde_json::Value = serde_json::from_slice(&bytes(&site, name)).unwrap();
    let until = manifest.as_object_mut().unwrap().remove("at").unwrap();
    manifest.as_object_mut().unwrap().remove("as_of");
    manifest["since"] = "2026-11-19T05:00:00Z".into();
    manifest["until"] = until;
    site.write(name, manifest.to_string());

    let (code, told) = two_nights(&site);

    assert_eq!(code, Some(9), "{told}");
    assert_tells(&told, &["its changes begin at 2026-11-19T05:00:00Z", "a delivery between the two is missing"]);
    assert_tells(&told, &["13 stale"]);
}

#[test]
fn a_dag_that_is_not_utf_8_is_a_mistake_in_it_with_its_line() {
    let site = site("");
    site.write("dags/latin.toml", b"name = \"latin\"\ndescription = \"\xfcber\"\n");

    for command in [&["dags", "check"][..], &["run", "latin"]] {
        let output = site.nocturne(command);

        assert_eq!(output.status.code(), Some(3), "{}", text(&output));
        assert_tells(&text(&output), &["dags/latin.toml:2:16: found a byte that is not UTF-8"]);
    }
}

#[test]
fn a_state_store_that_is_damaged_or_is_none_is_told_with_what_to_do() {
    let site = Site::new(SMALL);
    for damage in [0, 4096 * 3] {
        std::fs::remove_dir_all(site.path().join("var")).unwrap_or_default();
        for make in [&["db", "migrate"][..], &["db", "backup", "var/whole.db"]] {
            let made = site.nocturne(make);
            assert_eq!(made.status.code(), Some(0), "{}", text(&made));
        }
        let mut file = bytes(&site, "var/whole.db");
        file[damage..].fill(0x5a);
        std::fs::remove_dir_all(site.path().join("var")).unwrap();
        site.write("var/nocturne.db", file);

        let output = site.nocturne(&["runs", "list"]);

        assert_eq!(output.status.code(), Some(6), "{}", text(&output));
        assert_tells(&text(&output), &["the file is damaged or is not a state store", "`nocturne db restore FILE`"]);
    }
}
