//! The contract: slots, watermarks and living schedulers.

use nocturne::domain::manual::Asked;
use nocturne::store::{RunFilter, check};

use super::fixtures::{Place, at, dag_name, new_run, skipped};

pub(super) async fn the_same_slot_twice_gives_one_run(place: &Place) {
    let store = place.open().await;
    let scheduled = || {
        let mut new = new_run();
        (new.slot, new.asked) = (Some(at(0)), Asked::by_schedule());
        new
    };

    let made = futures::future::join_all((0..8).map(|_| store.create_run(scheduled()))).await;

    let runs: Vec<_> = made.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(runs.len(), 1);
    assert_eq!((runs[0].slot, runs[0].run_id.as_str()), (Some(at(0)), "nightly.2026-11-20.1"));
    assert_eq!(store.runs(&RunFilter::default()).await.unwrap(), runs);
    assert_eq!(store.watermark(&dag_name()).await.unwrap().map(|mark| mark.at), Some(at(0)));
    let by_hand = store.create_run(new_run()).await.unwrap().unwrap();
    assert_eq!(by_hand.run_id.as_str(), "nightly.2026-11-20.2");
}

pub(super) async fn a_skipped_slot_moves_the_watermark_and_is_audited(place: &Place) {
    let store = place.open().await;
    assert_eq!(store.watermark(&dag_name()).await.unwrap(), None);

    store.skip_slot(&skipped(at(60), "the earlier run still runs"), None, at(61)).await.unwrap();
    store.skip_slot(&skipped(at(60), "again"), None, at(62)).await.unwrap();

    assert_eq!(store.watermark(&dag_name()).await.unwrap().map(|mark| mark.at), Some(at(60)));
    let report = check(&place.url).await.unwrap();
    assert_eq!((report.audit_entries, report.problems), (1, vec![]));
    let mut late = new_run();
    late.slot = Some(at(60));
    assert_eq!(store.create_run(late).await.unwrap(), None);
}

pub(super) async fn the_watermark_never_goes_back(place: &Place) {
    let store = place.open().await;
    store.skip_slot(&skipped(at(120), "paused"), None, at(121)).await.unwrap();
    let mut earlier = new_run();
    earlier.slot = Some(at(60));

    assert!(store.create_run(earlier).await.unwrap().is_some());

    assert_eq!(store.watermark(&dag_name()).await.unwrap().map(|mark| mark.at), Some(at(120)));
    assert_eq!(store.watermark(&"weekly".parse().unwrap()).await.unwrap(), None);
}
