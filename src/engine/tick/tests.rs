//! What a scheduler decides, checked against a model of its world: crashes, pauses and wrong clocks.

use std::str::FromStr;
use std::sync::LazyLock;

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::domain::dag::{CatchUp, FoldPolicy, GapPolicy};
use crate::domain::job::Force;
use crate::domain::manual::Manual;

fn dag(cron: &str, zone: &str, catch_up: CatchUp, overlap: OverlapPolicy) -> Dag {
    let schedule = Schedule { cron: cron.to_owned(), gap: GapPolicy::Next, fold: FoldPolicy::First, catch_up, overlap };
    Dag {
        name: DagName::from_str("nightly").unwrap(),
        description: String::new(),
        schedule: Some(schedule),
        timezone: zone.to_owned(),
        deadline: None,
        max_parallel: 1,
        jobs: BTreeMap::new(),
        version: String::new(),
    }
}

fn nightly(overlap: OverlapPolicy) -> Dag {
    dag("30 2 * * *", "America/Detroit", CatchUp::Latest, overlap)
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn run(n: u32, state: RunState) -> RunRecord {
    let dag = DagName::from_str("nightly").unwrap();
    let date = date(2026, 11, 20);
    RunRecord {
        run_id: RunId::new(&dag, date, n),
        dag,
        dag_version: String::new(),
        logical_date: date,
        trigger: Trigger::Schedule,
        manual: None,
        repairs: None,
        backfill: None,
        slot: None,
        only: None,
        force: Force::No,
        state,
        cancel_requested: false,
        taken_up: 1,
        queued_at: Timestamp::from_second(i64::from(n)).unwrap(),
        started_at: None,
        finished_at: None,
    }
}

/// What happens to slots, as the state store would record it.
#[derive(Debug, Default)]
struct World {
    watermark: Option<Watermark>,
    slots: BTreeMap<Timestamp, Option<String>>,
    runs: Vec<Slot>,
}

impl World {
    /// Does what a scheduler that wakes at `now` does; runs end at once.
    fn wake(&mut self, dag: &Dag, now: Timestamp) {
        self.wake_beside(dag, &[], &BTreeSet::new(), now);
    }

    fn wake_beside(&mut self, dag: &Dag, open: &[RunRecord], taken_up: &BTreeSet<RunId>, now: Timestamp) {
        for act in due(dag, self.watermark.as_ref(), Runs { open, taken_up }, now).unwrap() {
            match act {
                Act::SetWatermark(watermark) => self.watermark = Some(watermark),
                Act::Free { after, beyond } => {
                    self.slots.retain(|at, skipped| *at <= after || (skipped.is_none() && *at <= beyond));
                }
                Act::Make { slot, .. } => {
                    if self.take(&slot, None) {
                        self.runs.push(slot);
                    }
                }
                Act::Skip { slot, why, .. } => drop(self.take(&slot, Some(why))),
            }
        }
    }

    fn take(&mut self, slot: &Slot, skipped: Option<String>) -> bool {
        let is_free = !self.slots.contains_key(&slot.at);
        if is_free {
            self.slots.insert(slot.at, skipped);
        }
        if let Some(watermark) = &mut self.watermark {
            watermark.at = watermark.at.max(slot.at);
        }
        is_free
    }

    fn dates(&self) -> Vec<Date> {
        self.runs.iter().map(|slot| slot.date).collect()
    }

    fn skipped(&self) -> Vec<&str> {
        self.slots.values().filter_map(|skipped| skipped.as_deref()).collect()
    }
}

#[test]
fn a_dag_that_is_new_begins_with_its_next_slot() {
    let (dag, mut world) = (nightly(OverlapPolicy::Skip), World::default());

    world.wake(&dag, at("2026-11-20T12:00:00Z"));
    world.wake(&dag, at("2026-11-21T07:29:59Z"));
    assert_eq!(world.dates(), []);
    world.wake(&dag, at("2026-11-21T07:30:00Z"));

    assert_eq!(world.dates(), [date(2026, 11, 21)]);
    assert!(world.slots.values().all(Option::is_none));
}

#[test]
fn after_downtime_the_policy_says_what_is_made_up_for() {
    let nights = |catch_up| {
        let dag = dag("30 2 * * *", "America/Detroit", catch_up, OverlapPolicy::Skip);
        let mut world = World::default();
        world.wake(&dag, at("2026-11-17T12:00:00Z"));
        world.wake(&dag, at("2026-11-20T12:00:00Z"));
        (world.dates(), world.skipped().len())
    };

    assert_eq!(nights(CatchUp::Latest), (vec![date(2026, 11, 20)], 2));
    assert_eq!(nights(CatchUp::All), (vec![date(2026, 11, 18), date(2026, 11, 19), date(2026, 11, 20)], 0));
    assert_eq!(nights(CatchUp::None), (vec![], 3));
}

#[test]
fn a_run_that_was_cut_off_never_costs_the_next_slot() {
    let dag = nightly(OverlapPolicy::Skip);
    // Left running by a process that died; taken up again since; or waiting for its turn after that.
    let left = run(1, RunState::Running);
    let again = RunRecord { taken_up: 2, ..run(1, RunState::Running) };
    let by_hand = RunRecord { trigger: Trigger::Command, ..run(1, RunState::Running) };
    let one_job = RunRecord { only: Some(vec!["digest".parse().unwrap()]), ..run(1, RunState::Running) };
    let made_up_for = RunRecord {
        slot: Some(at("2026-11-20T07:30:00Z")),
        queued_at: at("2026-11-21T07:20:00Z"),
        ..run(1, RunState::Queued)
    };
    let taken_up = BTreeSet::from([left.run_id.clone()]);

    for (open, taken_up) in [
        (left, BTreeSet::new()),
        (again, taken_up.clone()),
        (by_hand, taken_up.clone()),
        (one_job, taken_up),
        (made_up_for, BTreeSet::new()),
    ] {
        let mut world = World::default();
        world.wake(&dag, at("2026-11-20T12:00:00Z"));
        world.wake_beside(&dag, &[open], &taken_up, at("2026-11-21T07:30:00Z"));
        assert_eq!((world.dates(), world.skipped().len()), (vec![date(2026, 11, 21)], 0));
    }
}

#[test]
fn a_night_that_goes_on_as_it_should_skips_the_next_and_says_which_it_is() {
    let dag = nightly(OverlapPolicy::Skip);
    let open = run(1, RunState::Running);
    let taken_up = BTreeSet::from([open.run_id.clone()]);
    let mut world = World::default();
    world.wake(&dag, at("2026-11-20T12:00:00Z"));

    world.wake_beside(&dag, &[open], &taken_up, at("2026-11-21T07:30:00Z"));

    assert_eq!(world.dates(), []);
    assert_eq!(world.skipped(), ["the earlier run nightly.2026-11-20.1 was still open (`overlap = \"skip\"`)"]);
}

#[test]
fn a_replacing_slot_cancels_what_is_open() {
    let dag = nightly(OverlapPolicy::Replace);
    let open = [run(1, RunState::Running), run(2, RunState::Queued)];
    let watermark = Watermark { at: at("2026-11-20T12:00:00Z"), schedule: None };

    let taken_up = BTreeSet::new();
    let acts = due(&dag, Some(&watermark), Runs { open: &open, taken_up: &taken_up }, at("2026-11-21T07:30:00Z"));

    let acts = acts.unwrap();
    let Some(Act::Make { cancel, .. }) = acts.last() else { panic!("{acts:?}") };
    assert_eq!(*cancel, [open[0].run_id.clone(), open[1].run_id.clone()]);
}

#[test]
fn an_edited_schedule_begins_with_its_next_slot() {
    let mut world = World::default();
    world.wake(&dag("30 23 * * *", "UTC", CatchUp::Latest, OverlapPolicy::Skip), at("2026-11-20T12:00:00Z"));
    // Moved from 23:30 to an hour that has passed: it must not fire at once.
    let edited = dag("30 2 * * *", "UTC", CatchUp::Latest, OverlapPolicy::Skip);

    world.wake(&edited, at("2026-11-20T13:00:00Z"));
    assert_eq!(world.dates(), []);
    world.wake(&edited, at("2026-11-21T02:30:00Z"));

    assert_eq!(world.dates(), [date(2026, 11, 21)]);
}

#[test]
fn what_the_old_schedule_still_owed_is_not_lost_by_an_edit() {
    let mut world = World::default();
    world.wake(&dag("30 2 * * *", "UTC", CatchUp::Latest, OverlapPolicy::Skip), at("2026-11-19T12:00:00Z"));
    let edited = dag("30 23 * * *", "UTC", CatchUp::Latest, OverlapPolicy::Skip);

    // The daemon was down at 02:30, and the file was edited meanwhile.
    world.wake(&edited, at("2026-11-20T12:00:00Z"));
    world.wake(&edited, at("2026-11-20T23:30:00Z"));

    assert_eq!(
        world.runs.iter().map(|slot| slot.at.to_string()).collect::<Vec<_>>(),
        ["2026-11-20T02:30:00Z", "2026-11-20T23:30:00Z"]
    );
}

#[test]
fn a_clock_that_goes_back_runs_nothing_twice_and_loses_nothing() {
    let (dag, mut world) = (nightly(OverlapPolicy::Skip), World::default());
    world.wake(&dag, at("2026-11-20T12:00:00Z"));
    world.wake(&dag, at("2026-11-21T07:30:00Z"));

    for back in ["2026-11-21T06:40:00Z", "2026-11-21T07:30:00Z", "2026-11-21T07:31:00Z", "2026-11-22T07:30:00Z"] {
        world.wake(&dag, at(back));
    }

    assert_eq!(world.dates(), [date(2026, 11, 21), date(2026, 11, 22)]);
}

#[test]
fn a_clock_that_was_a_year_ahead_uses_up_no_slot_of_that_year() {
    let (dag, mut world) = (nightly(OverlapPolicy::Skip), World::default());
    world.wake(&dag, at("2026-11-20T12:00:00Z"));
    world.wake(&dag, at("2027-11-20T12:00:00Z"));
    assert_eq!(world.dates(), [date(2027, 11, 20)]);

    for night in ["2026-11-20T13:00:00Z", "2026-11-21T07:30:00Z", "2026-11-22T07:30:00Z", "2027-11-20T07:30:00Z"] {
        world.wake(&dag, at(night));
    }

    let nights = [date(2027, 11, 20), date(2026, 11, 21), date(2026, 11, 22), date(2027, 11, 20)];
    assert_eq!(world.dates(), nights, "the night that was run a year early comes again in its time");
}

#[test]
fn what_was_left_running_comes_before_what_waits_and_one_dag_goes_on_at_a_time() {
    let open = [run(1, RunState::Queued), run(2, RunState::Running), run(3, RunState::Running)];
    let none = BTreeSet::new();
    let ids = |order: &[usize]| order.iter().map(|n| open[*n].run_id.clone()).collect::<Vec<_>>();

    let one_by_one = to_take_up(Runs { open: &open, taken_up: &none }, &BTreeMap::new());
    let any = open.iter().map(|run| (run.run_id.clone(), Beside::Any)).collect();
    let at_once = to_take_up(Runs { open: &open, taken_up: &none }, &any);
    let taken_up = BTreeSet::from([open[1].run_id.clone()]);
    let beside = to_take_up(Runs { open: &open, taken_up: &taken_up }, &BTreeMap::new());

    assert_eq!((one_by_one, at_once, beside), (ids(&[1]), ids(&[1, 2, 0]), ids(&[])));
}

#[test]
fn nobodys_night_waits_for_a_backfill() {
    let backfilled = |day| RunRecord {
        trigger: Trigger::Backfill,
        backfill: Some("b".to_owned()),
        slot: None,
        ..run(day, RunState::Queued)
    };
    let open = [backfilled(1), backfilled(2), backfilled(3), run(9, RunState::Queued)];
    let beside: BTreeMap<_, _> = open.iter().map(|run| (run.run_id.clone(), Beside::OfBackfill(2))).collect();
    let ids = |order: &[usize]| order.iter().map(|n| open[*n].run_id.clone()).collect::<Vec<_>>();
    let begin = |open: &[RunRecord], taken_up: &[usize]| {
        let taken_up = ids(taken_up).into_iter().collect();
        to_take_up(Runs { open, taken_up: &taken_up }, &beside)
    };

    assert_eq!(begin(&open[..3], &[]), ids(&[0, 1]), "two at once");
    assert_eq!(begin(&open[..3], &[0]), ids(&[1]));
    assert_eq!(begin(&open[..3], &[0, 1]), ids(&[]));
    assert_eq!(begin(&open[1..], &[]), ids(&[3]), "the scheduled one first, and alone");
    assert_eq!(begin(&open, &[0]), ids(&[]), "it waits for what runs, and nobody overtakes it");
}

#[test]
fn while_a_schedule_is_paused_its_slots_are_skipped_and_nobody_is_told() {
    let manual = Manual { by: "jo".to_owned(), why: Some("summer".to_owned()) };
    let pause = Pause { dag: "nightly".parse().unwrap(), since: at("2026-06-01T00:00:00Z"), manual };
    let slot = Slot { at: at("2026-06-02T06:30:00Z"), date: date(2026, 6, 2) };
    let mark = Act::SetWatermark(Watermark { at: slot.at, schedule: None });
    let acts = vec![Act::Make { slot: slot.clone(), cancel: vec![run(1, RunState::Running).run_id] }, mark.clone()];

    let acts = while_paused(acts, &pause);

    let why = "jo paused the schedule: summer".to_owned();
    assert_eq!(acts, [Act::Skip { slot, why, tells: Tells::Nobody }, mark]);
}

/// Zones whose clocks change between 2024 and 2030, with the changes; one of each group that changes alike.
static ZONES: LazyLock<Vec<(String, Vec<Timestamp>)>> = LazyLock::new(|| {
    let (from, to) = (at("2024-01-01T00:00:00Z"), at("2031-01-01T00:00:00Z"));
    let mut zones: BTreeMap<Vec<(Timestamp, i32)>, String> = BTreeMap::new();
    for name in jiff::tz::db().available() {
        let zone = TimeZone::get(name.as_str()).unwrap();
        let changes = zone.following(from).map(|change| (change.timestamp(), change.offset().seconds()));
        let changes: Vec<_> = changes.take_while(|(change, _)| *change < to).collect();
        if !changes.is_empty() {
            zones.entry(changes).or_insert_with(|| name.as_str().to_owned());
        }
    }
    assert!(zones.len() > 20, "the time zone database holds {} zones that change", zones.len());
    let only_when = |changes: Vec<(Timestamp, i32)>| changes.into_iter().map(|(change, _)| change).collect();
    zones.into_iter().map(|(changes, name)| (name, only_when(changes))).collect()
});

/// A day around a change of the clocks, a DAG due every minute, three restarts: as many runs as minutes, none twice.
fn minutes_around(zone: &str, change: Timestamp, wake_every: i64) {
    let dag = dag("* * * * *", zone, CatchUp::All, OverlapPolicy::Queue);
    let start = change - SignedDuration::from_hours(12);
    let mut world = World::default();
    world.wake(&dag, start);
    for minute in (1..=24 * 60).filter(|minute| minute % wake_every == 0) {
        // Down for some minutes, three times: before, across and after the change.
        let is_down = [300..310, 715..725, 1100..1107].iter().any(|down| down.contains(&minute));
        if !is_down {
            world.wake(&dag, start + SignedDuration::from_mins(minute));
        }
    }
    let runs: BTreeSet<Timestamp> = world.runs.iter().map(|slot| slot.at).collect();
    assert_eq!((runs.len(), world.runs.len()), (24 * 60, 24 * 60), "{zone} around {change}");
}

#[test]
fn around_every_change_of_the_clocks_each_minute_is_run_once() {
    for (zone, changes) in ZONES.iter() {
        // The rules of a zone repeat: two changes cover both directions.
        for change in changes.iter().take(2) {
            minutes_around(zone, *change, 45);
        }
    }
}

#[test]
fn a_scheduler_that_wakes_each_minute_runs_each_minute_of_a_change_once() {
    // An hour, half an hour, two hours, a change before midnight and at midnight.
    for zone in ["America/Detroit", "Australia/Lord_Howe", "Antarctica/Troll", "America/Nuuk", "Africa/Cairo"] {
        let (from, until) = (at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
        let zone_of = TimeZone::get(zone).unwrap();
        let changes = zone_of.following(from).map(|change| change.timestamp()).take_while(|change| *change < until);
        let changes: Vec<Timestamp> = changes.collect();
        assert_eq!(changes.len(), 2, "{zone}");
        changes.into_iter().for_each(|change| minutes_around(zone, change, 1));
    }
}

proptest! {
    /// Whenever a scheduler wakes, in every zone: each local day has one night, in order, none twice.
    #[test]
    fn every_day_of_every_zone_has_one_night(
        which in any::<prop::sample::Index>(),
        change in any::<prop::sample::Index>(),
        hour in 0_u32..24,
        minute in 0_u32..60,
        wakes in prop::collection::vec(1_i64..600, 40..120),
    ) {
        let (zone, changes) = which.get(&ZONES);
        let dag = dag(&format!("{minute} {hour} * * *"), zone, CatchUp::All, OverlapPolicy::Queue);
        let start = *change.get(changes) - SignedDuration::from_hours(72);
        let (mut world, mut now) = (World::default(), start);
        world.wake(&dag, now);
        for minutes in wakes {
            now += SignedDuration::from_mins(minutes);
            world.wake(&dag, now);
        }

        let local = TimeZone::get(zone).unwrap();
        let dates = world.dates();
        prop_assert!(dates.windows(2).all(|pair| pair[0] < pair[1]), "{zone}: {dates:?}");
        let (first, last) = (local.to_datetime(start).date(), local.to_datetime(now).date());
        let mut days = first.series(jiff::Span::new().days(1)).take_while(|day| *day < last).skip(1);
        // A day that a zone skipped entirely has no night.
        let has_day = |day: &Date| local.to_ambiguous_timestamp(day.at(12, 0, 0, 0)).unambiguous().is_ok();
        prop_assert!(days.all(|day| !has_day(&day) || dates.contains(&day)), "{zone}: {dates:?}");
    }

    /// 10,000 histories of wake-ups, crashes, pauses and clock changes: no slot is run twice by a clock that is right,
    /// and once it is right for good every night comes.
    #[test]
    fn whatever_the_clock_does_the_nights_after_it_come_once(
        steps in prop::collection::vec((1_i64..2_000, prop::option::weighted(0.2, -3_000_i64..3_000)), 1..40),
    ) {
        let dag = nightly(OverlapPolicy::Skip);
        let (mut world, mut truth, mut wrong) = (World::default(), at("2026-11-20T12:00:00Z"), 0);
        world.wake(&dag, truth);
        for (minutes, set) in steps {
            truth += SignedDuration::from_mins(minutes);
            if let Some(offset) = set {
                wrong = offset;
            }
            world.wake(&dag, truth + SignedDuration::from_mins(wrong));
        }
        // The clock is right from here on.
        world.wake(&dag, truth);
        let before = world.runs.len();
        let nights: Vec<Date> = (1..=8)
            .map(|n| {
                let night = truth + SignedDuration::from_hours(24 * n);
                world.wake(&dag, night);
                night.to_zoned(TimeZone::get("America/Detroit").unwrap()).date()
            })
            .collect();

        let after: Vec<Date> = world.runs[before..].iter().map(|slot| slot.date).collect();
        prop_assert!(after.windows(2).all(|pair| pair[0] < pair[1]), "{after:?}");
        let early: BTreeSet<Date> = world.runs[..before].iter().map(|slot| slot.date).collect();
        // The first day may have been run early, by a clock that was less than a day ahead; the last is not over.
        for night in &nights[2..7] {
            prop_assert!(after.contains(night) || early.contains(night), "{night} of {nights:?} has no run: {after:?}");
        }
    }
}
