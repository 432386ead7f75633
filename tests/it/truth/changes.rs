//! "What changed" is since the last e-mail, whatever ran in between, and says since which.

use super::Institution;

/// The rows of a table in the e-mail's own list.
fn rows(mail: &str, table: &str) -> i64 {
    let data = mail.split_once("Newest entry").unwrap_or_else(|| panic!("no list of tables: {mail}")).1;
    let after = data.split_once(&format!(" {table} ")).unwrap_or_else(|| panic!("no {table}: {mail}")).1;
    after.split(' ').next().unwrap().replace(',', "").parse().unwrap()
}

#[test]
fn the_first_e_mail_speaks_of_no_change() {
    let institution = Institution::new("");
    institution.deliver("2026-11-19");

    let (_, mail) = institution.night("2026-11-19");

    assert!(!mail.contains("What changed"), "{mail}");
}

#[test]
fn what_changed_is_since_the_last_e_mail_after_nights_without_one() {
    let institution = Institution::new("");
    institution.deliver("2026-11-18");
    let (_, before) = institution.night("2026-11-18");
    institution.deliver("2026-11-19");
    let pulled = institution.0.nocturne(&["run", "night", "--date", "2026-11-19", "--job", "pull"]);
    assert!(pulled.status.success(), "{}", crate::support::site::text(&pulled));
    institution.deliver("2026-11-20");

    let (_, mail) = institution.night("2026-11-20");

    assert!(mail.contains("What changed since the e-mail of Wednesday 18 November 2026"), "{mail}");
    let more = rows(&mail, "web_logs_daily") - rows(&before, "web_logs_daily");
    assert!(more > 0, "{before}\n{mail}");
    assert!(mail.contains(&format!("web_logs_daily: {more} more row")), "{more}: {mail}");
}

#[test]
fn after_two_weeks_without_a_night_the_comparison_names_its_night() {
    let institution = Institution::new("");
    institution.deliver("2026-11-06");
    let (_, before) = institution.night("2026-11-06");
    institution.deliver("2026-11-20");

    let (_, mail) = institution.night("2026-11-20");

    assert!(mail.contains("What changed since the e-mail of Friday 6 November 2026"), "{mail}");
    let more = rows(&mail, "web_logs_daily") - rows(&before, "web_logs_daily");
    assert!(mail.contains(&format!("web_logs_daily: {more} more rows")), "{more}: {mail}");
}

#[test]
fn a_night_on_which_nothing_changed_says_so() {
    let institution = Institution::new("");
    institution.deliver("2026-11-20");
    institution.night("2026-11-20");

    let (_, mail) = institution.night("2026-11-21");

    let said = "What changed since the e-mail of Friday 20 November 2026 Nothing: no table has more or fewer rows.";
    assert!(mail.contains(said), "{mail}");
}

#[test]
fn a_correction_of_the_same_night_compares_with_the_night_before() {
    let institution = Institution::new("");
    institution.deliver("2026-11-19");
    institution.night("2026-11-19");
    institution.deliver("2026-11-20");
    institution.night("2026-11-20");

    let again = institution.0.nocturne(&["run", "night", "--date", "2026-11-20", "--force"]);

    assert!(again.status.success(), "{}", crate::support::site::text(&again));
    let (_, mail) = institution.night("2026-11-20");
    assert!(mail.contains("What changed since the e-mail of Thursday 19 November 2026"), "{mail}");
}

#[test]
fn a_night_that_is_done_again_without_another_e_mail_is_compared_with_the_e_mail_that_was_sent() {
    let institution = Institution::new("");
    let deliver = |taken: &str, at: &str| {
        let made = institution.0.nocturne(&["sim", "generate", &format!("exports/{at}"), "--date", taken]);
        assert_eq!(made.status.code(), Some(0), "{}", crate::support::site::text(&made));
        let at = format!("{}:00:00Z", at.replace('_', "T"));
        institution
            .0
            .write(&format!("exports/{}/manifest.json", &at[..13].replace('T', "_")), format!("{{\"at\": \"{at}\"}}"));
    };
    deliver("2026-11-19", "2026-11-20_04");
    let (_, sent) = institution.night("2026-11-20");
    deliver("2026-11-20", "2026-11-20_05");
    let again = institution.0.nocturne(&["run", "night", "--date", "2026-11-20"]);
    let (_, next) = institution.night("2026-11-21");

    assert!(again.status.success(), "{}", crate::support::site::text(&again));
    let more = rows(&next, "web_logs_daily") - rows(&sent, "web_logs_daily");
    assert!(more > 0, "{sent}\n{next}");
    assert!(next.contains("What changed since the e-mail of Friday 20 November 2026"), "{next}");
    assert!(next.contains(&format!("web_logs_daily: {more} more row")), "{more}: {next}");
}

#[test]
fn charts_of_earlier_nights_come_with_the_second_night_and_a_night_between_is_a_gap() {
    let institution = Institution::new("");
    let page = || std::fs::read_to_string(institution.0.path().join("var/outbox/night-digest.html")).unwrap();
    institution.deliver("2026-11-18");
    institution.night("2026-11-18");
    let first = page();
    institution.deliver("2026-11-20");

    institution.night("2026-11-20");

    let second = page();
    for chart in ["Rows of tables over the last fourteen nights", "Findings in the e-mails of the last fourteen nights"]
    {
        assert!(!first.contains(chart) && second.contains(chart), "{chart}");
    }
    assert!(
        second.contains("that takes 8 nights of the same weekday in about the same week of a term, and 0 are known"),
        "two nights say nothing of what is usual"
    );
    assert!(second.contains("No finding on 2 nights. No e-mail on 12 nights."), "a night without an e-mail is a gap");
}
