//! The contract: a night's commit keeps its alerts, people's acts on them stay, and both can be read back.

use jiff::ToSpan as _;
use nocturne::domain::alert::{AlertEvent, AlertState, AlertStep, Cause, Silence};
use nocturne::domain::check::Severity;
use nocturne::domain::manual::Manual;
use nocturne::domain::outcome::Outcome;
use nocturne::domain::run::RunState;
use nocturne::store::Which;

use super::fixtures::{DAY, Place, TestStore, at, dag_name, job, running, succeed};

fn step(id: &str, event: AlertEvent) -> AlertStep {
    let state = AlertState {
        id: id.to_owned(),
        dag: dag_name(),
        check: "users.unique".to_owned(),
        subject: "users.id".to_owned(),
        job: job("pull"),
        owner: Some("registrar".to_owned()),
        cause: Cause::Quality,
        severity: Severity::Warning,
        severity_before: None,
        worst: Some(Severity::Warning),
        why: None,
        message: "`users.id`: 3 of 12 rows".to_owned(),
        advice: "Look at it".to_owned(),
        opened_on: DAY,
        seen_on: DAY,
        nights: 1,
        found: None,
        resolved_on: (event == AlertEvent::Resolved).then_some(DAY),
        returned_on: None,
        returns: 0,
    };
    AlertStep { state, event }
}

async fn night(store: &TestStore, alerts: Vec<AlertStep>) {
    let (_, claim) = running(store).await;
    succeed(store, &claim, "pull", Outcome { alerts, ..Outcome::default() }).await;
    for name in ["features", "digest"] {
        succeed(store, &claim, name, Outcome::default()).await;
    }
    store.finish_run(&claim, RunState::Succeeded, at(4)).await.unwrap();
}

fn jo(why: &str) -> Manual {
    Manual { by: "jo".to_owned(), why: Some(why.to_owned()) }
}

pub(super) async fn an_alert_is_kept_with_the_commit_and_stands_until_a_night_resolves_it(place: &Place) {
    let store = place.open().await;

    night(&store, vec![step("a1", AlertEvent::Opened)]).await;
    let standing = store.alerts(Which::Standing, 10).await.unwrap();
    night(&store, vec![step("a1", AlertEvent::Resolved)]).await;

    assert_eq!(standing[0].state, step("a1", AlertEvent::Opened).state);
    assert_eq!(store.alerts(Which::Standing, 10).await.unwrap(), []);
    assert_eq!(store.alerts(Which::All, 10).await.unwrap().len(), 1);
    let tonight = store.alerts_standing_in(&dag_name(), DAY).await.unwrap();
    assert_eq!(tonight.len(), 1, "the night that resolved it can be asked again");
    let days_later = |days: i32| DAY.checked_add(days.days()).unwrap();
    assert_eq!(store.alerts_standing_in(&dag_name(), days_later(30)).await.unwrap().len(), 1, "it may come back");
    assert_eq!(store.alerts_standing_in(&dag_name(), days_later(31)).await.unwrap(), []);
    let mut news: Vec<AlertEvent> =
        store.alert_history(Some("a1"), 10).await.unwrap().into_iter().map(|news| news.event).collect();
    news.sort_by_key(|event| format!("{event:?}"));
    assert_eq!(news, [AlertEvent::Opened, AlertEvent::Resolved]);
}

pub(super) async fn what_people_did_about_an_alert_outlives_the_next_night(place: &Place) {
    let store = place.open().await;
    night(&store, vec![step("a1", AlertEvent::Opened)]).await;
    let silence = Silence { until: at(1_000), manual: jo("until the term begins") };

    assert!(store.acknowledge("a1", &jo("the export is being mended"), at(5)).await.unwrap());
    assert!(store.silence("a1", &silence, at(6)).await.unwrap());
    assert!(!store.acknowledge("a2", &jo("there is none"), at(7)).await.unwrap());
    night(&store, vec![step("a1", AlertEvent::Same)]).await;

    let standing = store.alerts(Which::Standing, 10).await.unwrap();
    assert_eq!(standing[0].acknowledged, Some(jo("the export is being mended")));
    assert_eq!(standing[0].silenced, Some(silence));
    let said: Vec<String> = store.audit_entries(None, 10).await.unwrap().into_iter().map(|entry| entry.entry).collect();
    assert_eq!(said.len(), 2);
    assert!(said[1].contains("jo acknowledged the alert a1: the export is being mended"), "{said:?}");
}
