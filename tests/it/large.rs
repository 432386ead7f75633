//! Files far larger than any site's are checked in a time that grows with them, and what is said of them stays short.
//!
//! How long it takes in a release build is measured by `benches/bench/program.rs`; a check that went through the whole
//! file again for each mistake or need would take minutes here and meet the limit of every test that waits.

use crate::support::site::{Site, text};

#[test]
fn a_configuration_of_very_many_unknown_sections_is_refused_shortly() {
    let site = Site::new("");
    let sections: String = (0..80_000).map(|number| format!("[section_{number}]\nkey = 1\n")).collect();
    site.write("large.toml", sections);

    let checked = site.nocturne(&["--config", "large.toml", "config", "check"]);

    let told = String::from_utf8(checked.stderr).unwrap();
    assert_eq!(checked.status.code(), Some(3), "{told}");
    assert!(
        told.contains("80000 mistakes\n  large.toml:1:2: `section_0`: unknown key; allowed: institution"),
        "{told}"
    );
    assert!(told.ends_with("\n  and 79900 more\n"), "{told}");
}

#[test]
fn a_file_that_is_too_large_for_a_configuration_is_refused_at_once() {
    let site = Site::new("");
    let sections: String = (0..300_000).map(|number| format!("[section_{number}]\nkey = 1\n")).collect();
    site.write("large.toml", sections);
    site.write("latin.toml", b"# one\n[institution]\nname = 'Universit\xe9'\n");

    let large = site.nocturne(&["--config", "large.toml", "config", "check"]);
    let latin = site.nocturne(&["--config", "latin.toml", "config", "check"]);

    assert_eq!((large.status.code(), latin.status.code()), (Some(3), Some(3)));
    let said = "large.toml: is larger than 2 MiB, which no configuration is: name another file";
    assert!(text(&large).contains(said), "{}", text(&large));
    assert!(text(&latin).contains("latin.toml: is not UTF-8 text: line 3"), "{}", text(&latin));
}

#[test]
fn a_dag_of_very_many_needs_is_checked_and_a_cycle_in_it_found() {
    let site = Site::new("[paths]\njobs = 'dags'\n");
    let names: Vec<String> = (0..1_000).map(|number| format!("'j{number:03}'")).collect();
    let dag = |first_needs: &str| {
        let needs = |number: usize| if number == 0 { first_needs.to_owned() } else { names[..number].join(", ") };
        let job =
            |number: usize| format!("[jobs.{}]\nkind = 'quality_check'\nneeds = [{}]\n", names[number], needs(number));
        format!("name = 'large'\n{}", (0..1_000).map(job).collect::<String>())
    };
    let check = || site.start(&["dags", "check"]).wait_with_output().unwrap();

    site.write("dags/large.toml", dag(""));
    let sound = check();
    site.write("dags/large.toml", dag("'j999'"));
    let round = check();

    assert_eq!((sound.status.code(), text(&sound).trim()), (Some(0), "large in order"));
    assert_eq!(round.status.code(), Some(3));
    assert!(text(&round).contains("`jobs.j000.needs`: these jobs need each other in a cycle: j000 -> j999 -> j000"));
}
