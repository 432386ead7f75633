//! The contract: what was measured is kept with the commit, night by night, and read back as it was.

use jiff::civil::{Date, date};
use nocturne::domain::delivery::Word;
use nocturne::domain::measurement::{HistoryWanted, Measurement, PastMeasurement};
use nocturne::domain::outcome::{MailRecord, Outcome, Reason};
use nocturne::domain::run::RunState;
use nocturne::store::Cuts;

use super::fixtures::{DAY, Place, TestStore, at, dag_name, job, mail, running, succeed};

const ROWS: HistoryWanted = HistoryWanted { names: &["table.rows"], days: 400 };

fn rows(table: &str, value: f64) -> Measurement {
    Measurement::new("table.rows", value).unit("rows").of("table", table)
}

fn measured(values: Vec<Measurement>) -> Outcome {
    Outcome { measurements: values, ..Outcome::default() }
}

async fn history(store: &TestStore, before: Date) -> Vec<PastMeasurement> {
    store.history(&dag_name(), ROWS, before).await.unwrap()
}

/// A run whose first job measures that, and whose other jobs measure nothing.
async fn night(store: &TestStore, outcome: Outcome) {
    let (_, claim) = running(store).await;
    succeed(store, &claim, "pull", outcome).await;
    for name in ["features", "digest"] {
        succeed(store, &claim, name, Outcome::default()).await;
    }
    store.finish_run(&claim, RunState::Succeeded, at(4)).await.unwrap();
}

pub(super) async fn what_was_measured_is_read_back_by_later_nights_alone(place: &Place) {
    let store = place.open().await;
    let other = Measurement::new("model.auc", 0.781_25);

    night(&store, measured(vec![rows("users", 12.0), rows("courses", 0.1 + 0.2), other])).await;

    let found = history(&store, DAY.tomorrow().unwrap()).await;
    let past = |measurement| PastMeasurement { date: DAY, job: job("pull"), measurement };
    assert_eq!(found, [past(rows("courses", 0.1 + 0.2)), past(rows("users", 12.0))]);
    assert_eq!(history(&store, DAY).await, [], "a night does not read its own figures");
    assert_eq!(history(&store, date(2030, 1, 1)).await, [], "nor those from before its window");
}

pub(super) async fn the_newest_measurement_for_a_date_counts(place: &Place) {
    let store = place.open().await;
    night(&store, measured(vec![rows("users", 12.0), rows("courses", 3.0)])).await;

    night(&store, measured(vec![rows("users", 14.0)])).await;

    let found = history(&store, DAY.tomorrow().unwrap()).await;
    let values: Vec<f64> = found.iter().map(|past| past.measurement.value).collect();
    assert_eq!(values, [3.0, 14.0]);
}

pub(super) async fn what_an_e_mail_tells_is_kept_only_if_somebody_gets_it(place: &Place) {
    let store = place.open().await;
    let told = |word, tells: &[Measurement]| {
        let mail = MailRecord { tells: tells.to_vec(), ..mail("pull", word) };
        Outcome { mails: vec![mail], ..Outcome::default() }
    };
    let values = async || -> Vec<f64> {
        let found = history(&store, DAY.tomorrow().unwrap()).await;
        found.iter().map(|past| past.measurement.value).collect()
    };

    night(&store, told(Word::Ok, &[rows("users", 1.0), rows("courses", 5.0)])).await;
    let first = values().await;
    night(&store, told(Word::Ok, &[rows("users", 2.0)])).await;
    let same = values().await;
    night(&store, told(Word::Failed, &[rows("users", 3.0)])).await;

    assert_eq!((first, same), (vec![5.0, 1.0], vec![5.0, 1.0]), "the second one said the same, so nobody got it");
    assert_eq!(values().await, [3.0], "a correction tells its own figures in place of those that it corrects");
}

pub(super) async fn what_an_up_to_date_job_repeats_is_not_measured_again(place: &Place) {
    let store = place.open().await;

    night(&store, Outcome { reason: Some(Reason::UpToDate), ..measured(vec![rows("users", 12.0)]) }).await;

    assert_eq!(history(&store, DAY.tomorrow().unwrap()).await, []);
}

pub(super) async fn measurements_outlive_their_run_and_are_forgotten_by_age(place: &Place) {
    let store = place.open().await;
    night(&store, measured(vec![rows("users", 12.0)])).await;
    let run = store.runs(&nocturne::store::RunFilter::default()).await.unwrap().remove(0);
    let cuts =
        |before| Cuts { events: before, outcomes: before, mail_bodies: before, slots: before, measurements: before };

    store.delete_run(&run.run_id).await.unwrap();
    store.forget(&cuts(at(0))).await.unwrap();
    assert_eq!(history(&store, DAY.tomorrow().unwrap()).await.len(), 1);

    store.forget(&cuts(at(999))).await.unwrap();
    assert_eq!(history(&store, DAY.tomorrow().unwrap()).await, []);
}
