//! Nothing from data steers a terminal: what names, values and programs hold of control characters is shown, not obeyed.
//!
//! With the real binary, on every way by which such text reaches standard output or standard error.

use crate::support::site::{SMALL, Site, text};

const SITE: &str = "[sources.canvas]\nkind = 'files'\npath = 'exports'\nanonymous = true\n[paths]\njobs = 'dags'\n";

/// A name that clears the screen, forges a line and turns round what follows it.
const NAME: &str = "part\u{1b}[2J\nWRONG \u{202e}gpj.jsonl.gz";

/// What a program prints: colours, the title of the window, an 8-bit control sequence, a line that overwrites itself.
const PROGRAM: &str = r"printf 'one \033[31mred\033[0m \033]0;title\007 \302\2335m\rtwo\tthree\n'; exit 1";

#[track_caller]
fn steers_nothing(told: &[u8]) -> String {
    let told = String::from_utf8(told.to_vec()).unwrap();
    let steering: Vec<char> = told
        .chars()
        .filter(|c| (c.is_control() && *c != '\n' && *c != '\t') || ('\u{202a}'..='\u{202e}').contains(c))
        .collect();
    assert_eq!(steering, Vec::<char>::new(), "{told:?}");
    told
}

#[test]
fn a_file_name_of_an_export_does_not_steer_the_terminal() {
    let site = Site::new(&format!("{SMALL}{SITE}[log]\nfilter = 'info'\n"));
    site.write("dags/night.toml", "name = 'night'\n[jobs.pull]\nkind = 'canvas_pull'\nwith = { source = 'canvas' }\n");
    let made = site.nocturne(&["sim", "generate", "exports/2026-11-20", "--date", "2026-11-20"]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made));
    let sound = site.path().join("exports/2026-11-20/users/part-00000.jsonl.gz");
    std::fs::rename(sound, site.path().join(format!("exports/2026-11-20/users/{NAME}"))).unwrap();

    let night = site.nocturne(&["run", "night", "--date", "2026-11-20"]);
    let shown = site.nocturne(&["runs", "show", "last"]);
    let logs = site.nocturne(&["runs", "logs", "last"]);
    let json = site.nocturne(&["--json", "runs", "show", "last"]);

    for output in [&night, &shown, &logs, &json] {
        steers_nothing(&output.stdout);
        steers_nothing(&output.stderr);
    }
    assert!(serde_json::from_slice::<serde_json::Value>(&json.stdout).is_ok());
}

#[test]
fn what_a_command_prints_is_shown_and_does_not_steer_the_terminal() {
    let site = Site::new(&format!("{SMALL}{SITE}"));
    let args = format!("['-c', '''{PROGRAM}''']");
    let job = format!("[jobs.print]\nkind = 'command'\nwith = {{ program = 'sh', args = {args} }}\n");
    site.write("dags/night.toml", format!("name = 'night'\n{job}"));

    let night = site.nocturne(&["run", "night", "--date", "2026-11-20"]);
    let logs = site.nocturne(&["runs", "logs", "last"]);
    let shown = site.nocturne(&["runs", "show", "last"]);

    for output in [&night, &shown] {
        steers_nothing(&output.stdout);
        steers_nothing(&output.stderr);
    }
    let told = steers_nothing(&logs.stdout);
    assert!(told.contains(r"one \u{1b}[31mred\u{1b}[0m \u{1b}]0;title\u{7} \u{9b}5m\u{d}two"), "{told}");
    assert!(told.contains("\tthree"), "tabs stay: {told}");
}

#[test]
fn keys_of_the_lake_and_names_on_the_command_line_do_not_steer_the_terminal() {
    let site = Site::new(SMALL);
    site.write(&format!("var/lake/published/{NAME}"), "x");

    let listed = site.nocturne(&["lake", "ls", "published"]);
    let tree = site.nocturne(&["lake", "tree", "published"]);
    assert_eq!(site.nocturne(&["db", "migrate"]).status.code(), Some(0));
    let none = site.nocturne(&["runs", "show", "a\u{1b}[2J\u{202e}b"]);

    for output in [&listed, &tree] {
        let told = steers_nothing(&output.stdout);
        assert!(!told.lines().any(|line| line.starts_with("WRONG")), "a name forged a line: {told}");
        steers_nothing(&output.stderr);
    }
    let told = steers_nothing(&none.stderr);
    assert_eq!(none.status.code(), Some(4));
    assert!(told.contains(r"there is no run `a\u{1b}[2J\u{202e}b`"), "{told}");
}

#[test]
fn a_log_line_of_data_does_not_look_like_a_line_of_its_own() {
    let site = Site::new(&format!("{SMALL}{SITE}[log]\nfilter = 'info'\n"));
    site.write("dags/night.toml", "name = 'night'\n[jobs.\"a\\nWRONG \\u001b[2J\"]\nkind = 'x'\n");

    let listed = site.nocturne(&["dags", "check"]);

    let told = steers_nothing(&listed.stderr);
    assert_eq!(listed.status.code(), Some(3), "{told}");
    assert!(told.contains(r"\u{1b}[2J"), "{told}");
}
