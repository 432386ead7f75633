//! What a digest, a notice and a failed try lead to.

use jiff::civil::date;
use proptest::prelude::*;

use super::*;
use crate::domain::dag::{CatchUp, FoldPolicy, GapPolicy, OverlapPolicy, Schedule};

fn says(word: Word) -> Signature {
    Signature::new(word, Vec::new())
}

fn revision(number: u32, state: MailState, word: Option<Word>) -> Revision {
    Revision { number, state, signature: word.map(says), is_sending: false }
}

fn deliver_plain(revision: u32, corrects: &[u32], replaces: &[u32]) -> Decision {
    Decision::Deliver { revision, corrects: corrects.to_vec(), replaces: replaces.to_vec(), promises: None }
}

#[test]
fn a_first_digest_is_revision_0_and_a_promised_one_is_filled() {
    let promised = [revision(0, MailState::Expected, None)];

    assert_eq!(on_digest(&[], &says(Word::Ok), Bringer::Promised), deliver_plain(0, &[], &[]));
    assert_eq!(on_digest(&promised, &says(Word::Ok), Bringer::Promised), deliver_plain(0, &[], &[]));
}

#[test]
fn the_same_verdict_is_not_mailed_twice_and_another_one_is_a_correction() {
    let sent = [revision(0, MailState::Sent, Some(Word::Failed))];

    assert_eq!(on_digest(&sent, &says(Word::Failed), Bringer::Promised), Decision::Nothing);
    let of_an_earlier_version = [revision(0, MailState::Sent, None)];
    assert_eq!(on_digest(&of_an_earlier_version, &says(Word::Ok), Bringer::Promised), Decision::Nothing);
    assert_eq!(on_digest(&sent, &says(Word::Ok), Bringer::Promised), deliver_plain(1, &[0], &[]));
    let other_jobs = Signature::new(Word::Failed, vec!["train".to_owned()]);
    assert_eq!(on_digest(&sent, &other_jobs, Bringer::Promised), deliver_plain(1, &[0], &[]));
}

#[test]
fn what_waits_is_replaced_only_by_another_verdict() {
    let waiting = [revision(0, MailState::Sent, Some(Word::Late)), revision(1, MailState::Waiting, Some(Word::Failed))];

    assert_eq!(on_digest(&waiting, &says(Word::Failed), Bringer::Promised), Decision::Nothing);
    assert_eq!(on_digest(&waiting, &says(Word::Ok), Bringer::Promised), deliver_plain(2, &[0], &[1]));
}

#[test]
fn what_the_server_is_being_told_is_corrected_not_replaced() {
    let mut sending = revision(0, MailState::Waiting, Some(Word::Failed));
    sending.is_sending = true;

    assert_eq!(on_digest(&[sending], &says(Word::Ok), Bringer::Promised), deliver_plain(1, &[0], &[]));
}

#[test]
fn an_e_mail_that_was_given_up_has_another_chance_with_the_next_digest() {
    let given_up = [revision(0, MailState::GivenUp, Some(Word::Ok))];

    assert_eq!(on_digest(&given_up, &says(Word::Ok), Bringer::Promised), deliver_plain(1, &[], &[0]));
}

#[test]
fn a_trial_before_the_slot_does_not_use_up_the_digest() {
    let trial = [revision(0, MailState::Sent, Some(Word::Ok))];
    assert_eq!(promise(&trial), Some(1));

    let promised = [trial[0].clone(), revision(1, MailState::Expected, None)];

    assert_eq!(on_digest(&promised, &says(Word::Ok), Bringer::Promised), deliver_plain(1, &[0], &[]));
}

#[test]
fn a_trial_beside_the_night_leaves_the_promise_to_the_night() {
    let promised = [revision(0, MailState::Expected, None)];

    let decision = on_digest(&promised, &says(Word::Ok), Bringer::Another);

    let promises = Some(1);
    assert_eq!(decision, Decision::Deliver { revision: 0, corrects: vec![], replaces: vec![], promises });
}

#[test]
fn a_notice_fills_a_promise_once_and_the_true_digest_corrects_it() {
    let promised = [revision(0, MailState::Expected, None)];
    assert_eq!(on_notice(&promised, &says(Word::Late)), deliver_plain(0, &[], &[]));

    let told = [revision(0, MailState::Sent, Some(Word::Late))];
    assert_eq!(on_notice(&told, &says(Word::Late)), Decision::Nothing);
    assert_eq!(on_digest(&told, &says(Word::Ok), Bringer::Promised), deliver_plain(1, &[0], &[]));
}

#[test]
fn what_the_watchdog_said_is_not_said_again() {
    let promised = [revision(0, MailState::Sent, Some(Word::NeverBegan)), revision(1, MailState::Expected, None)];

    assert_eq!(on_notice(&promised, &says(Word::NeverBegan)), Decision::Close { revision: 1 });
    assert_eq!(on_notice(&promised, &says(Word::Late)), deliver_plain(1, &[0], &[]));
}

#[test]
fn a_promise_that_was_closed_does_not_open_the_way_for_a_repeat() {
    let closed = [revision(0, MailState::Sent, Some(Word::Ok)), revision(1, MailState::Replaced, None)];

    assert_eq!(on_digest(&closed, &says(Word::Ok), Bringer::Promised), Decision::Nothing);
    assert_eq!(on_digest(&closed, &says(Word::Failed), Bringer::Promised), deliver_plain(2, &[0], &[]));
}

#[test]
fn all_is_well_is_not_said_late_once_a_later_night_has_written() {
    let now = Timestamp::UNIX_EPOCH;
    let newer = Some(date(2026, 11, 21));

    for word in [Word::Ok, Word::Late, Word::Unknown] {
        assert_eq!(turn(Some(word), newer, now, now), Turn::Overtaken(date(2026, 11, 21)), "{word:?}");
        assert_eq!(turn(Some(word), None, now, now), Turn::Try, "{word:?}");
    }
    for word in [Word::Look, Word::Failed, Word::NoDigest, Word::NeverBegan, Word::Undelivered] {
        assert_eq!(turn(Some(word), newer, now, now), Turn::Try, "what happened stays true: {word:?}");
    }
}

#[test]
fn what_has_waited_for_two_days_is_not_tried_again() {
    let since = Timestamp::UNIX_EPOCH;

    assert_eq!(turn(Some(Word::Failed), None, since, since + SignedDuration::from_hours(48)), Turn::Try);
    assert_eq!(turn(Some(Word::Failed), None, since, since + SignedDuration::from_hours(49)), Turn::GiveUp);
}

#[test]
fn a_message_id_names_the_night_and_not_the_person() {
    let key = MailKey {
        dag: "nightly".parse().unwrap(),
        logical_date: date(2026, 11, 20),
        audience: "digest".to_owned(),
        recipient: "jane.doe@riverbend.example".to_owned(),
    };
    let id = |revision| MailId { key: key.clone(), revision }.message_id("riverbend.example");

    assert!(id(0).starts_with("nightly.2026-11-20.digest."), "{}", id(0));
    assert!(!id(0).contains("jane") && !id(0).contains("doe"));
    assert_eq!(id(0), id(0));
    assert_ne!(id(0), id(1));
}

#[test]
fn waits_double_from_five_minutes_to_five_hours() {
    let now = Timestamp::UNIX_EPOCH;
    let minutes = |tries| match next_try(tries, Refusal::Transient, now, now) {
        NextTry::At(at) => at.duration_since(now).as_mins(),
        NextTry::GiveUp => 0,
    };

    assert_eq!([1, 2, 3, 4, 5, 6, 7, 8, 99].map(minutes), [5, 10, 20, 40, 80, 160, 300, 300, 300]);
    assert_eq!(next_try(1, Refusal::Permanent, now, now), NextTry::GiveUp);
}

fn dag(deadline: &str) -> Dag {
    Dag {
        name: "nightly".parse().unwrap(),
        description: String::new(),
        schedule: Some(Schedule {
            cron: "30 2 * * *".to_owned(),
            gap: GapPolicy::Next,
            fold: FoldPolicy::First,
            catch_up: CatchUp::Latest,
            overlap: OverlapPolicy::Skip,
        }),
        timezone: "America/Detroit".to_owned(),
        deadline: Some(deadline.parse().unwrap()),
        max_parallel: 1,
        jobs: std::collections::BTreeMap::new(),
        version: String::new(),
    }
}

#[test]
fn a_deadline_is_the_first_one_after_the_slot_on_the_clocks_of_its_zone() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let of = |slot: &str, deadline| deadline_of(&dag(deadline), &Slot { at: at(slot), date: date(2026, 1, 1) });

    assert_eq!(of("2026-11-20T07:30:00Z", "06:30"), Some(at("2026-11-20T11:30:00Z")));
    // Begun in the evening, due in the morning.
    assert_eq!(of("2026-11-21T03:00:00Z", "06:30"), Some(at("2026-11-21T11:30:00Z")));
    // In the night on which the clocks go forward, 02:30 does not exist.
    assert_eq!(of("2026-03-08T06:00:00Z", "02:30"), Some(at("2026-03-08T07:30:00Z")));
}

/// A signature from a small set, so that equal ones are common.
fn any_signature() -> impl Strategy<Value = Signature> {
    let words = [Word::Ok, Word::Look, Word::Failed, Word::Late, Word::NeverBegan];
    (0..words.len(), 0..2_usize).prop_map(move |(word, failed)| {
        Signature::new(words[word], ["pull".to_owned()].into_iter().take(failed).collect())
    })
}

fn is_waiting(revision: &Revision) -> bool {
    revision.state == MailState::Waiting
}

#[derive(Debug, Clone)]
enum Event {
    Promise,
    Digest(Signature, bool),
    Notice(Signature),
    Handover,
    GiveUp,
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Promise),
        (any_signature(), any::<bool>()).prop_map(|(signature, another)| Event::Digest(signature, another)),
        any_signature().prop_map(Event::Notice),
        Just(Event::Handover),
        Just(Event::GiveUp),
    ]
}

fn carry_out(there: &mut Vec<Revision>, decision: Decision, signature: &Signature) {
    match decision {
        Decision::Nothing => {}
        Decision::Close { revision } => {
            there.iter_mut().filter(|old| old.number == revision).for_each(|old| old.state = MailState::Replaced);
        }
        Decision::Deliver { revision, replaces, promises, .. } => {
            there
                .iter_mut()
                .filter(|old| replaces.contains(&old.number))
                .for_each(|old| old.state = MailState::Replaced);
            there.retain(|old| old.number != revision);
            let signature = Some(signature.clone());
            there.push(Revision { number: revision, state: MailState::Waiting, signature, is_sending: false });
            there.extend(promises.map(|number| Revision {
                number,
                state: MailState::Expected,
                signature: None,
                is_sending: false,
            }));
        }
    }
}

proptest! {
    /// Whatever happens: at most one revision waits and at most one is promised, numbers have no gaps, what was handed
    /// over stays so, and without a promise nothing is said twice in a row.
    #[test]
    fn revisions_stay_in_order(events in prop::collection::vec(any_event(), 0..40)) {
        let mut there: Vec<Revision> = Vec::new();
        for event in events {
            let before = there.clone();
            let was_promised = newest(&before).is_some_and(|newest| newest.state == MailState::Expected);
            match &event {
                Event::Promise => there.extend(promise(&before).map(|number| revision(number, MailState::Expected, None))),
                Event::Digest(signature, another) => {
                    let bringer = if *another { Bringer::Another } else { Bringer::Promised };
                    carry_out(&mut there, on_digest(&before, signature, bringer), signature);
                }
                Event::Notice(signature) => carry_out(&mut there, on_notice(&before, signature), signature),
                Event::Handover => there.iter_mut().filter(|old| is_waiting(old)).for_each(|old| old.state = MailState::Sent),
                Event::GiveUp => there.iter_mut().filter(|old| is_waiting(old)).for_each(|old| old.state = MailState::GivenUp),
            }
            there.sort_by_key(|revision| revision.number);
            let numbers: Vec<u32> = there.iter().map(|revision| revision.number).collect();
            prop_assert_eq!(&numbers, &(0..u32::try_from(there.len()).unwrap()).collect::<Vec<_>>());
            prop_assert!(there.iter().filter(|old| is_waiting(old)).count() <= 1, "{:?}", there);
            prop_assert!(there.iter().filter(|old| old.state == MailState::Expected).count() <= 1, "{:?}", there);
            for old in before.iter().filter(|old| old.state == MailState::Sent) {
                prop_assert!(there.contains(old), "what was handed over changed: {:?}", there);
            }
            if let (Event::Digest(signature, _), false) = (&event, was_promised)
                && let Some(newest) = newest(&before)
                && matches!(newest.state, MailState::Sent | MailState::Waiting)
                && newest.signature.as_ref() == Some(signature)
            {
                prop_assert_eq!(&there, &before);
            }
        }
    }

    /// However often it fails, the tries end within two days, and no wait is longer than five hours.
    #[test]
    fn every_e_mail_is_given_up_in_the_end(delays in prop::collection::vec(0_i64..7_200, 60)) {
        let since = Timestamp::UNIX_EPOCH;
        let mut now = since;
        for (tries, delay) in (1..).zip(delays) {
            match next_try(tries, Refusal::Transient, since, now) {
                NextTry::GiveUp => return Ok(()),
                NextTry::At(at) => {
                    prop_assert!(at > now && at.duration_since(now) <= LONGEST_WAIT);
                    prop_assert!(at.duration_since(since) <= GIVE_UP_AFTER);
                    now = at + SignedDuration::from_secs(delay);
                }
            }
        }
        prop_assert!(false, "still tried after 60 tries");
    }
}
