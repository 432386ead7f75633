//! The layers, the defaults, the examples, and how mistakes are reported.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::*;

fn load(files: &[(&str, &str)], env: &[(&str, &str)]) -> Result<Config, crate::domain::document::Mistakes> {
    let files = files.iter().map(|(name, text)| (PathBuf::from(name), (*text).to_owned())).collect();
    let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Layers::from_texts(files, env).config()
}

#[test]
fn the_defaults_work_as_they_are() {
    assert!(load(&[], &[]).is_ok());
}

/// Pins the structs to `config/default.toml`: both have the same keys.
#[test]
fn the_defaults_speak_of_every_key_in_its_section() {
    let mut spoken: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut section = String::new();
    for line in DEFAULT.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
        } else if let Some((key, _)) = line.trim_start_matches("# ").split_once('=')
            && !key.trim().contains(' ')
        {
            spoken.entry(section.clone()).or_default().push(key.trim().to_owned());
        }
    }
    let schema = schemars::schema_for!(Config).to_value();
    let keys_of = |section: &serde_json::Value| -> Vec<String> {
        let name = section["$ref"].as_str().unwrap().trim_start_matches("#/$defs/");
        schema["$defs"][name]["properties"].as_object().unwrap().keys().cloned().collect()
    };
    let mut missing = Vec::new();
    for (section, shape) in schema["properties"].as_object().unwrap() {
        let (section, keys) = match shape.get("additionalProperties") {
            Some(each) => (format!("{section}.canvas"), keys_of(each)),
            None => (section.clone(), keys_of(shape)),
        };
        let known = spoken.remove(&section).unwrap_or_default();
        missing.extend(keys.iter().filter(|key| !known.contains(key)).map(|key| format!("{section}.{key}")));
    }

    assert_eq!(missing, Vec::<String>::new(), "config/default.toml does not speak of these keys");
    assert_eq!(spoken, BTreeMap::new(), "config/default.toml has sections that are none");
}

#[test]
fn every_key_of_the_defaults_has_a_comment_and_those_commented_out_are_valid_too() {
    let is_key = |line: &str| line.split_once('=').is_some_and(|(key, _)| !key.trim().contains(' ') && !key.is_empty());
    let mut uncommented = String::new();
    let mut bare = Vec::new();
    for line in DEFAULT.lines() {
        let key = line.strip_prefix("# ").filter(|line| is_key(line)).unwrap_or(line);
        uncommented.push_str(&format!("{key}\n"));
        if is_key(key) && !key.contains(" # ") {
            bare.push(key.to_owned());
        }
    }

    assert_eq!(bare, Vec::<String>::new(), "these keys of config/default.toml have no comment");
    // One logs in by a password or by a token.
    for other in ["password = ", "oauth_token = "] {
        let lines = uncommented.lines().filter(|line| !line.starts_with(other));
        let text = lines.fold(String::new(), |text, line| text + line + "\n");
        let loaded = load(&[("uncommented.toml", &text)], &[]);
        assert!(text.len() < uncommented.len() && loaded.is_ok(), "{}", loaded.unwrap_err());
    }
}

#[test]
fn every_key_has_a_description_for_editors() {
    let schema = schemars::schema_for!(Config).to_value();
    let root = String::new();
    let sections = schema["$defs"].as_object().unwrap().iter().chain([(&root, &schema)]);
    let mut bare = Vec::new();
    for (section, shape) in sections {
        for (key, value) in shape.get("properties").and_then(serde_json::Value::as_object).into_iter().flatten() {
            if value.get("description").is_none() {
                bare.push(format!("{section}.{key}"));
            }
        }
    }

    assert_eq!(bare, Vec::<String>::new());
}

#[test]
fn later_layers_win_and_the_environment_last() {
    let config = load(
        &[("a.toml", "[lake]\nurl = 'a'\n[institution]\nname = 'A'"), ("b.toml", "[lake]\nurl = 'b'")],
        &[("NOCTURNE__LAKE__URL", "2014"), ("NOCTURNE__LABELS__LAG_DAYS", "9"), ("OTHER", "x")],
    )
    .unwrap();

    assert_eq!(config.institution.name, "A");
    assert_eq!(config.lake.url, "2014", "text that looks like a number is text where text is wanted");
    assert_eq!(config.labels.lag_days, 9);
}

#[test]
fn three_mistakes_are_told_at_once_with_their_layers() {
    let mistakes = load(
        &[("site.toml", "[lake]\nulr = 's3://b'\n[mail]\nport = 'smtp'\n")],
        &[("NOCTURNE__LABELS__LAG_DAYS", "soon")],
    )
    .unwrap_err();

    insta::assert_snapshot!(mistakes, @r#"
    3 mistakes
      NOCTURNE__LABELS__LAG_DAYS: `labels.lag_days`: expected a whole number, found the text "soon"
      site.toml:2:1: `lake.ulr`: unknown key; did you mean `url`? allowed: url, endpoint, region, access_key_id, secret_access_key, allow_http
      site.toml:4:1: `mail.port`: expected a whole number, found the text "smtp"
    "#);
}

#[test]
fn a_source_without_a_path_and_an_unknown_zone_are_told() {
    let mistakes =
        load(&[("site.toml", "[institution]\ntimezone = 'Mars/Base'\n[sources.canvas]\nkind = 'files'\n")], &[])
            .unwrap_err();

    let text = mistakes.to_string();
    assert!(text.contains("site.toml:2:1: `institution.timezone`"), "{text}");
    assert!(text.contains("`sources.canvas.path`"), "{text}");
}

#[test]
fn a_secret_never_shows() {
    let config = load(&[("a.toml", "[privacy]\nkey = 'env:KEY'")], &[("KEY", "hunter2-hunter2")]).unwrap();

    assert!(!format!("{config:?}").contains("hunter2"));
    assert!(!serde_json::to_string(&config).unwrap().contains("hunter2"));
}

#[test]
fn a_variable_is_read_as_its_key_wants() {
    let config = load(
        &[],
        &[
            ("NOCTURNE__LAKE__URL", "2014"),
            ("NOCTURNE__INSTITUTION__NAME", "true"),
            ("NOCTURNE__MAIL__TO", "a@example.edu, Dean <b@example.edu>"),
            ("NOCTURNE__POPULATION__ACCOUNTS", "10,11"),
            ("NOCTURNE__FEATURES__WEEKS", "[3, 6]"),
            ("NOCTURNE__LABELS__PASS_MARK", "40"),
        ],
    )
    .unwrap();

    assert_eq!((config.lake.url.as_str(), config.institution.name.as_str()), ("2014", "true"));
    assert_eq!(config.mail.to, ["a@example.edu", "Dean <b@example.edu>"]);
    assert_eq!(config.population.accounts, [10, 11]);
    assert_eq!((config.features.weeks, config.labels.pass_mark), (vec![3, 6], 40.0));
}

#[test]
fn a_variable_that_names_no_key_is_told_by_its_name() {
    let mistakes = load(
        &[],
        &[
            ("NOCTURNE__LAEK__URL", "x"),
            ("NOCTURNE__LAKE__URL__PREFIX", "x"),
            ("NOCTURNE__MAIL__TRANSPORT", "smpt"),
            ("NOCTURNE__PRIVACY__KEY", "hunter2"),
        ],
    )
    .unwrap_err();

    insta::assert_snapshot!(mistakes, @r#"
    4 mistakes
      NOCTURNE__LAEK__URL: `laek`: unknown key; did you mean `lake`? allowed: institution, paths, state, lake, sources, simulation, privacy, population, labels, features, quality, drift, mail, alerts, watchdog, engine, log, retention
      NOCTURNE__LAKE__URL__PREFIX: `lake.url`: expected text, found a table
      NOCTURNE__MAIL__TRANSPORT: `mail.transport`: found the text "smpt"; did you mean `smtp`? allowed: eml, smtp
      NOCTURNE__PRIVACY__KEY: `privacy.key`: expected a reference to the secret, `env:NAME` or `file:PATH`, found something else (it is not shown)
    "#);
}

#[test]
fn what_makes_no_sense_together_is_told_at_once() {
    let mistakes = load(
        &[(
            "site.toml",
            "[institution]
timezone = 'Mars/Base'
[state]
url = 'mysql://db/nocturne'
[lake]
url = 's3://bucket/prefix'
endpoint = 'http://127.0.0.1:9000'
access_key_id = 'env:ID'
[sources.canvas]
kind = 'files'
[features]
delivery_grace = 'soon'
[mail]
transport = 'smtp'
user = 'night'
to = ['a@example.edu', 'nobody']
[log]
filter = 'nocturne=loud'
",
        )],
        &[],
    )
    .unwrap_err();

    insta::assert_snapshot!(mistakes, @r#"
    11 mistakes
      site.toml:2:1: `institution.timezone`: `Mars/Base` is not an IANA time zone, such as `America/Detroit`
      site.toml:4:1: `state.url`: `mysql://` is not a usable state store; allowed: `sqlite://PATH`, `postgres://USER@HOST/DATABASE`
      site.toml:5:2: `lake.secret_access_key`: there is an `access_key_id` and no secret to it
      site.toml:7:1: `lake.endpoint`: plain HTTP is used only where `lake.allow_http = true` says so
      site.toml:9:10: `sources.canvas.path`: a source of files needs the folder or prefix of its exports (or set NOCTURNE__SOURCES__CANVAS__PATH)
      site.toml:10:1: `sources.canvas.kind`: the source `canvas` names people, so its ids become pseudonyms under a key of your own: set `privacy.key` to `env:NAME` or `file:PATH` (only data that name nobody already may say `anonymous = true`)
      site.toml:12:1: `features.delivery_grace`: `soon` is not a duration; write `30s`, `10m`, `1h` or `1h 30m`
      site.toml:13:2: `mail.host`: SMTP needs the host of the server
      site.toml:13:2: `mail.password`: to log in, SMTP needs with `user` a `password` or an `oauth_token`
      site.toml:16:24: `mail.to.1`: this is not an address that a mail server can deliver to; write `name@example.edu` or `Name <name@example.edu>`
      site.toml:18:1: `log.filter`: error parsing level filter: expected one of "off", "error", "warn", "info", "debug", "trace", or a number 0-5
    "#);
}

#[test]
fn nobody_to_write_to_and_addresses_without_a_domain_are_refused() {
    let told = |text: &str| load(&[("site.toml", text)], &[]).unwrap_err().to_string();

    assert!(told("[mail]\nto = []\n").contains("`mail.to`: nobody would get the digest; name at least one address"));
    assert!(told("[mail]\nto = ['dean@campus']\n").contains("`mail.to.0`: this is not an address"));
    assert!(told("[watchdog]\nping_url = 'ping.example.edu'\n").contains("`watchdog.ping_url`: write a URL"));
}

#[test]
fn wrong_shapes_do_not_hide_what_makes_no_sense() {
    let mistakes = load(
        &[("site.toml", "[institution]\ntimezone = 'Mars/Base'\n[mail]\nto = [1]\nhots = 'x'\ntransport = 'smtp'\n")],
        &[("NOCTURNE__SOURCES__SIS__PATH", "/data")],
    )
    .unwrap_err();

    insta::assert_snapshot!(mistakes, @r#"
    5 mistakes
      NOCTURNE__SOURCES__SIS__PATH: `sources.sis`: the key `kind` is missing
      site.toml:2:1: `institution.timezone`: `Mars/Base` is not an IANA time zone, such as `America/Detroit`
      site.toml:3:2: `mail.host`: SMTP needs the host of the server
      site.toml:4:7: `mail.to.0`: expected text, found the number 1
      site.toml:5:1: `mail.hots`: unknown key; did you mean `host`? allowed: transport, folder, host, port, security, user, password, oauth_token, ca_file, proxy, from, to, readers, readers_from, domains, report_url, reply_to, hello_name
    "#);
}

#[test]
fn a_value_out_of_its_range_is_told_with_the_range() {
    let mistakes = load(
        &[("site.toml", "[features]\nweeks = [2, 2, 90]\n[labels]\npass_mark = 140\n[engine]\nheartbeat_secs = 0\n")],
        &[],
    )
    .unwrap_err();

    insta::assert_snapshot!(mistakes, @r#"
    4 mistakes
      site.toml:2:1: `features.weeks`: the list names something twice
      site.toml:2:16: `features.weeks.2`: found the number 90; the largest allowed is 60
      site.toml:4:1: `labels.pass_mark`: found the number 140; the largest allowed is 100
      site.toml:6:1: `engine.heartbeat_secs`: found the number 0; the smallest allowed is 1
    "#);
}

#[test]
fn files_that_cannot_be_read_or_parsed_are_told() {
    let unread = Layers::read(&[PathBuf::from("/nowhere/a.toml")], BTreeMap::new()).unwrap_err().to_string();
    let unparsed = load(&[("a.toml", "[lake\nurl = 3"), ("b.toml", "x = [")], &[]).unwrap_err();

    assert!(unread.contains("/nowhere/a.toml: cannot be read"), "{unread}");
    assert!(["a.toml", "b.toml"].iter().all(|file| unparsed.0.iter().any(|m| m.file == *file)), "{unparsed}");
}

#[test]
fn a_source_of_people_needs_a_key() {
    let files = ("site.toml", "[sources.canvas]\nkind = 'files'\npath = '/data/canvas'\n");

    let refused = load(&[files], &[]).unwrap_err().to_string();

    assert!(refused.contains("site.toml:2:1: `sources.canvas.kind`"), "{refused}");
    assert!(refused.contains("privacy.key"), "{refused}");
    assert!(load(&[files, ("key.toml", "[privacy]\nkey = 'env:KEY'")], &[]).is_ok());
    assert!(load(&[files], &[("NOCTURNE__SOURCES__CANVAS__ANONYMOUS", "true")]).is_ok());
}

#[test]
fn the_example_of_exports_takes_its_folder_from_the_environment() {
    let example = include_str!("../../config/examples/canvas-files.toml");

    let without = load(&[("canvas-files.toml", example)], &[]).unwrap_err().to_string();
    let config = load(&[("canvas-files.toml", example)], &[("NOCTURNE__SOURCES__CANVAS__PATH", "/data/1")]).unwrap();

    assert!(without.contains("set NOCTURNE__SOURCES__CANVAS__PATH"), "{without}");
    let source = &config.sources["canvas"];
    assert_eq!((source.kind, source.path.as_deref(), source.anonymous), (SourceKind::Files, Some("/data/1"), true));
    assert_eq!(source.extra, ["web_logs_daily", "demographics"]);
    assert_eq!(config.institution.timezone, "Europe/London");
    assert!(config.institution.attribution.unwrap().contains("CC BY 4.0"));
}

#[test]
fn the_examples_are_valid() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config/examples");
    let mut looked_at = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let loaded = load(&[(path.to_str().unwrap(), &text)], &[("NOCTURNE__SOURCES__CANVAS__PATH", "x")]);
        assert!(loaded.is_ok(), "{}", loaded.unwrap_err());
        looked_at += 1;
    }
    assert!(looked_at >= 4);
}

#[test]
fn values_that_cannot_work_are_told_at_once() {
    let mistakes = load(
        &[(
            "site.toml",
            r#"[institution]
name = " "
attribution = "a\u001b[2J"
[paths]
jobs = ""
[lake]
url = "s3:///prefix"
endpoint = "https://"
[sources."Canvas/2"]
kind = "simulation"
extra = ["../x"]
[population]
accounts = [-1]
[features]
delivery_grace = "999999999999h"
[quality]
fresh_days = 999999999
row_change = 1e300
[watchdog]
ping_url = "https:///x"
[engine]
memory = "1B"
memory_by_kind = { trian_model = "999999TiB" }
[log]
attempt_bytes = "1B"
[retention]
runs = 10
"#,
        )],
        &[("NOCTURNE__MAIL__TO", ""), ("NOCTURNE__LAKE__", "x")],
    );

    insta::assert_snapshot!(mistakes.unwrap_err(), @r#"
    18 mistakes
      NOCTURNE__LAKE__: names no key; write NOCTURNE__SECTION__KEY
      NOCTURNE__MAIL__TO: `mail.to`: nobody would get the digest; name at least one address
      site.toml:2:1: `institution.name`: the text is empty; reports and e-mails need the institution's name
      site.toml:3:1: `institution.attribution`: the text holds a control character such as a line break; remove it
      site.toml:5:1: `paths.jobs`: the path is empty; write a folder (`.` is the working directory) or a file
      site.toml:7:1: `lake.url`: the bucket is missing; write `s3://bucket/prefix`
      site.toml:8:1: `lake.endpoint`: the endpoint needs a URL such as `https://s3.example.edu`
      site.toml:9:10: `sources.Canvas/2`: `Canvas/2` is not a usable source name: use 1 to 64 of a-z, 0-9, `_` and `-`, beginning with a letter
      site.toml:11:10: `sources.Canvas/2.extra.0`: `../x` is not a usable table name: use 1 to 64 of a-z, 0-9, `_` and `-`, beginning with a letter
      site.toml:13:13: `population.accounts.0`: found the number -1; the smallest allowed is 1
      site.toml:15:1: `features.delivery_grace`: `999999999999h` is too long; the longest allowed is `168h`
      site.toml:17:1: `quality.fresh_days`: found the number 999999999; the largest allowed is 3650
      site.toml:18:1: `quality.row_change`: found the number 1e+300; the largest allowed is 100
      site.toml:20:1: `watchdog.ping_url`: write a URL such as `https://ping.example.edu/nocturne`
      site.toml:22:1: `engine.memory`: found `1B`; allowed: `8MiB` to `64TiB`
      site.toml:23:20: `engine.memory_by_kind.trian_model`: found `999999TiB`; allowed: `8MiB` to `64TiB`
      site.toml:25:1: `log.attempt_bytes`: found `1B`; allowed: `1KiB` to `64GiB`
      site.toml:27:1: `retention.runs`: found 10, and `retention.runs_at_least` keeps 30 of each DAG: raise this, or lower that
    "#);
}

#[test]
fn every_duration_of_the_configuration_states_its_limit_and_is_held_to_it() {
    let schema = schemars::schema_for!(Config).to_value();
    let mut limits = Vec::new();
    for shape in schema["$defs"].as_object().unwrap().values() {
        for (key, value) in shape.get("properties").and_then(serde_json::Value::as_object).into_iter().flatten() {
            let limit = value.get("x-longest").and_then(serde_json::Value::as_str);
            limits.extend(limit.map(|limit| (key.clone(), limit.to_owned())));
        }
    }
    assert_eq!(limits, [("delivery_grace".to_owned(), "168h".to_owned())]);

    let grace = |text: &str| load(&[("site.toml", &format!("[features]\ndelivery_grace = '{text}'\n"))], &[]);
    assert!(grace("168h").is_ok());
    assert!(grace("168h 1s").unwrap_err().to_string().contains("the longest allowed is `168h`"));
}

#[test]
fn a_limit_for_a_kind_that_there_is_not_is_told_with_its_line() {
    let file = (PathBuf::from("site.toml"), "[engine]\nmemory_by_kind = { trian_model = '1GiB' }\n".to_owned());
    let layers = Layers::from_texts(vec![file], BTreeMap::new()).with_kinds(vec!["score".into(), "train_model".into()]);

    let told = layers.config().unwrap_err().to_string();

    assert!(
        told.contains(
            "site.toml:2:20: `engine.memory_by_kind.trian_model`: there is no such kind; did you mean `train_model`?"
        ),
        "{told}"
    );
}

#[test]
fn of_very_many_mistakes_the_first_are_printed_and_the_others_counted() {
    let text: String = (0..5_000).map(|number| format!("[section_{number}]\nkey = 1\n")).collect();

    let mistakes = load(&[("site.toml", &text)], &[]).unwrap_err();

    assert_eq!(mistakes.0.len(), 5_000);
    let told = mistakes.to_string();
    assert_eq!(told.lines().count(), 102);
    assert!(
        told.starts_with("5000 mistakes\n  site.toml:1:2: `section_0`: unknown key; allowed: institution"),
        "{told}"
    );
    assert!(told.ends_with("\n  and 4900 more"), "{told}");
}

#[test]
fn a_value_that_only_its_type_refuses_is_placed_and_a_missing_secret_is_told_once() {
    let day = load(&[("site.toml", "[[simulation.troubles]]\nkind = 'null_burst'\nfrom = '2026-13-40'\n")], &[]);
    let webhook = "[alerts.webhooks.desk]\nurl = 'https://hooks.example.edu/'\nsecret = 'hunter2hunter2'\n";
    let secret = load(&[("site.toml", webhook)], &[]).unwrap_err().to_string();

    let day = day.unwrap_err().to_string();
    assert!(day.contains("site.toml:3:1: `simulation.troubles.0.from`: "), "{day}");
    assert!(secret.contains("`alerts.webhooks.desk.secret`: expected a reference"), "{secret}");
    assert!(!secret.contains("missing field") && !secret.contains("hunter2"), "{secret}");
}
