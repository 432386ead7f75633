//! The configuration and the DAG files: every mistake in all of them.

use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::checked::{Checked, Subject};
use super::site::Site;

pub(super) const THIS: Subject = Subject("configuration");

/// Checks the configuration and the DAG files.
pub(super) fn check(site: &Site) -> BoxFuture<'_, Vec<Checked>> {
    let mistakes = site.mistakes.iter().map(ToString::to_string).collect();
    let names: Vec<&str> = site.dags.iter().map(|dag| dag.name.as_str()).collect();
    let mut checks = vec![settings(mistakes)];
    checks.push(if site.is_wrong("paths") {
        THIS.skipped("DAG files", "not looked at: `[paths]` of the configuration is not valid")
    } else {
        dag_files(&names, site.broken.clone())
    });
    std::future::ready(checks).boxed()
}

fn settings(mistakes: Vec<String>) -> Checked {
    if mistakes.is_empty() {
        return THIS.ok("settings", "every setting is valid");
    }
    let found = format!("{} of the settings are not valid", mistakes.len());
    let advice = "correct them; what depends on them was not looked at here, and no night runs until then";
    THIS.fail("settings", found, advice).with_details(mistakes)
}

fn dag_files(valid: &[&str], broken: Vec<String>) -> Checked {
    if broken.is_empty() && valid.is_empty() {
        let advice = "put one into the folder `paths.jobs`, or correct `paths.jobs`";
        return THIS.warn("DAG files", "there is no DAG, so nothing runs by itself", advice);
    }
    if broken.is_empty() {
        return THIS.ok("DAG files", format!("all are valid: {}", valid.join(", ")));
    }
    let others = if valid.is_empty() { "none".to_owned() } else { valid.join(", ") };
    let found = format!("there are mistakes in DAG files; valid are: {others}");
    THIS.fail("DAG files", found, "correct them: a DAG whose file is not valid does not run").with_details(broken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::doctor::Verdict;

    #[test]
    fn every_mistake_is_a_line() {
        let wrong = settings(vec!["a".to_owned(), "b".to_owned()]);

        assert_eq!((wrong.verdict, wrong.details.len()), (Verdict::Fail, 2));
        assert_eq!(settings(Vec::new()).verdict, Verdict::Ok);
    }

    #[test]
    fn a_broken_file_fails_and_the_valid_ones_are_named() {
        let broken = dag_files(&["weekly"], vec!["nightly.toml:3: x".to_owned()]);

        assert_eq!(broken.verdict, Verdict::Fail);
        assert!(broken.found.ends_with("valid are: weekly"), "{}", broken.found);
        assert_eq!(dag_files(&["nightly"], Vec::new()).verdict, Verdict::Ok);
        assert_eq!(dag_files(&[], Vec::new()).verdict, Verdict::Warn);
    }
}
