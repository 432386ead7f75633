//! The state store: one contract suite, run on SQLite and on a real PostgreSQL server; and what only one of them has.
//!
//! To add a fact of the contract: add a function to a file of the suite and its name to the list below; it runs on
//! both.

mod alerts;
mod commit;
mod fixtures;
mod keeping;
mod mails;
mod measurements;
mod model;
mod ownership;
mod postgres_only;
mod repair;
mod runs;
mod schedule;
mod sqlite_only;

use fixtures::Place;

macro_rules! contract {
    ($($topic:ident::$fact:ident,)+) => {
        mod on_sqlite {
            use super::Place;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $fact() {
                    super::$topic::$fact(&Place::sqlite()).await;
                }
            )+
        }

        mod on_postgres {
            use super::Place;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $fact() {
                    super::$topic::$fact(&Place::postgres().await).await;
                }
            )+
        }
    };
}

contract! {
    runs::a_new_run_is_numbered_and_its_jobs_wait,
    runs::concurrent_creators_get_different_numbers,
    runs::jobs_that_were_not_asked_for_are_skipped,
    runs::a_job_that_the_dag_does_not_have_is_refused,
    runs::the_dag_is_kept_as_the_run_has_it,
    runs::runs_are_listed_newest_first_and_filtered,
    runs::a_run_does_not_end_while_jobs_are_open,
    runs::a_queued_run_is_cancelled_at_once,
    runs::a_running_run_is_asked_to_stop_and_then_cancels_what_is_open,
    runs::illegal_transitions_are_refused_and_nothing_is_written,
    runs::reopening_keeps_everything,
    runs::retries_show_their_error_until_one_succeeds,
    runs::jobs_are_listed_in_the_order_in_which_they_began,
    runs::a_nul_in_an_error_does_not_keep_an_attempt_from_ending,
    runs::the_oldest_stored_forms_are_still_read,
    ownership::a_stale_worker_is_fenced,
    ownership::what_the_earlier_owner_left_running_is_lost,
    ownership::only_one_of_concurrent_starts_begins_the_attempt,
    ownership::a_run_that_is_not_there_is_named,
    commit::a_commit_writes_every_effect,
    commit::a_run_for_an_earlier_date_replaces_nothing_that_a_later_night_goes_on_from,
    commit::a_failing_effect_leaves_nothing_of_the_commit,
    commit::a_commit_that_is_dropped_anywhere_is_all_or_nothing,
    commit::a_new_champion_retires_the_old,
    commit::the_later_snapshot_is_the_current_one,
    commit::the_last_success_is_found_by_date_and_without,
    commit::of_concurrent_commits_on_shared_rows_one_is_true,
    commit::concurrent_commits_on_rows_of_their_own_all_succeed,
    commit::a_commit_over_something_else_than_was_read_is_refused,
    commit::a_run_for_an_earlier_date_moves_nothing_that_is_current,
    commit::a_part_is_true_before_its_attempt_ends_and_is_found_by_the_next,
    commit::what_a_commit_leaves_to_do_is_a_row_until_it_is_done_as_wanted,
    mails::each_recipient_has_a_row_and_only_another_verdict_is_mailed_again,
    mails::a_correction_names_what_it_corrects,
    mails::a_sent_mail_stays_sent_and_one_given_up_is_listed,
    mails::what_waits_can_be_hurried_or_ended_and_knows_of_a_later_nights,
    mails::what_is_being_sent_is_neither_replaced_nor_given_to_another,
    mails::a_slot_promises_its_mails_and_a_trial_does_not_use_them_up,
    mails::a_trial_beside_the_night_leaves_it_its_promise,
    mails::a_skipped_slot_owes_its_mails_all_the_same,
    mails::a_notice_fills_what_is_promised_and_the_digest_corrects_it,
    mails::a_job_that_was_up_to_date_keeps_its_promise,
    mails::what_the_watchdog_handed_over_is_known_once,
    mails::mails_of_the_first_outbox_are_one_row_for_each_recipient,
    mails::the_durations_are_those_of_work,
    schedule::the_same_slot_twice_gives_one_run,
    schedule::a_skipped_slot_moves_the_watermark_and_is_audited,
    schedule::the_watermark_never_goes_back,
    repair::a_backfill_is_made_with_all_of_its_runs_or_not_at_all,
    repair::a_backfill_is_open_while_a_run_of_it_is,
    repair::a_run_of_a_backfill_sends_no_mail,
    repair::what_counts_as_failed_makes_no_run_up_to_date,
    repair::a_marked_job_changes_how_its_run_counts_and_whether_it_is_up_to_date,
    repair::a_paused_dag_is_known_until_it_is_resumed,
    repair::what_a_run_stood_on_at_its_end_is_what_was_current_then_or_its_own,
    alerts::an_alert_is_kept_with_the_commit_and_stands_until_a_night_resolves_it,
    alerts::what_people_did_about_an_alert_outlives_the_next_night,
    measurements::what_was_measured_is_read_back_by_later_nights_alone,
    measurements::the_newest_measurement_for_a_date_counts,
    measurements::what_an_e_mail_tells_is_kept_only_if_somebody_gets_it,
    measurements::what_an_up_to_date_job_repeats_is_not_measured_again,
    measurements::measurements_outlive_their_run_and_are_forgotten_by_age,
    keeping::a_run_is_in_use_while_something_refers_to_it,
    keeping::a_deleted_run_is_gone_whole_and_the_rest_is_as_it_was,
    keeping::an_open_run_is_not_deleted,
    keeping::what_is_forgotten_is_old_and_not_in_use,
    keeping::after_a_restore_nothing_is_collected_until_state_and_lake_agree,
    keeping::when_it_was_last_kept_within_its_limits_is_remembered,
    model::events_replayed_give_the_stored_states,
}
