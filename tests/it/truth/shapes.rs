//! What commands print with `--json` has the shape that `config schema --of` publishes.

use serde_json::Value;

use super::Institution;
use super::alerts::breaks_page_views;
use crate::support::site::text;

fn json(institution: &Institution, arguments: &[&str]) -> Value {
    let output = institution.0.nocturne(arguments);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}", text(&output)))
}

#[test]
fn what_json_shows_has_its_published_shape() {
    let institution = Institution::new("[alerts.routes.desk]\nto = ['desk@example.edu']\n");
    institution.deliver("2026-11-20");
    institution.change("2026-11-20", "web_logs_daily.csv.gz", breaks_page_views);
    institution.night("2026-11-20");
    let alerts = json(&institution, &["alerts", "list", "--json"]);
    let id = alerts[0]["state"]["id"].as_str().unwrap().to_owned();
    for act in [["alerts", "ack", id.as_str()], ["alerts", "silence", id.as_str()]] {
        assert_eq!(institution.0.nocturne(&act).status.code(), Some(0));
    }

    for (of, arguments) in [
        ("alerts", &["alerts", "list", "--json"][..]),
        ("alert", &["alerts", "show", &id, "--json"]),
        ("alert-history", &["alerts", "history", "--json"]),
        ("alert-test", &["alerts", "test", "desk", "--json"]),
        ("quality-rules", &["quality", "list", "--json"]),
        ("quality-rule", &["quality", "show", "web_logs_daily.page_views_in_range", "--json"]),
        ("report", &["report", "show", "night", "--json"]),
        ("quality-run", &["quality", "run", "--all", "--json"]),
        ("quality-suggest", &["quality", "suggest", "scores", "--json"]),
        ("quality-replay", &["quality", "replay", "scores", "--dry-run", "--json"]),
        ("alert-act", &["alerts", "ack", &id, "--json"]),
        ("alert-act", &["alerts", "silence", &id, "--json"]),
        ("report-send", &["report", "send", "--waiting", "--json"]),
        ("report-preview", &["report", "preview", "--to", "preview", "--json"]),
    ] {
        let schema = json(&institution, &["config", "schema", "--of", of]);
        let shown = json(&institution, arguments);

        let is_empty = shown.as_array().is_some_and(Vec::is_empty);
        assert!(!is_empty && shown != Value::Null, "{of}: nothing was shown");
        let validator = jsonschema::validator_for(&schema).unwrap();
        let wrong: Vec<String> = validator.iter_errors(&shown).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{of}: {wrong:?}");
        assert!(!validator.is_valid(&serde_json::json!({ "another": "shape" })), "{of}: anything has that shape");
    }
}
