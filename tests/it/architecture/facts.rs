//! The checks themselves, each on a small tree that violates it and on one that does not.

use super::kinds::{kinds_that_import_kinds, not_registered, strangers_among_kinds};
use super::sizes::functions_over;
use super::source::Purpose;
use super::tree::Tree;
use super::{crates_out_of_place, keys_spelt, upward_imports};

fn tree(files: &[(&str, &str)]) -> Tree {
    let owned = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
    Tree::of(&files.iter().map(owned).collect::<Vec<_>>())
}

const NOTHING: [String; 0] = [];

#[test]
fn an_import_that_goes_up_is_found_however_it_is_written() {
    let cli = ("src/cli/mod.rs", "pub fn start() {}");
    for import in [
        "use crate::cli::start;",
        "use crate::{cli::start, domain};",
        "use super::super::cli::start;",
        "use crate::cli; fn f() { cli::start(); }",
        "use crate as all; fn f() { all::cli::start(); }",
        "fn f() { println!(\"{:?}\", crate::cli::start()); }",
        "fn f() { let _ = super::super::cli::start; }",
        "#[cfg(test)] use std::fmt; use crate::cli::start;",
        "#[cfg(test)] mod tests { use super::super::super::cli::start; }",
    ] {
        let found = upward_imports(&tree(&[cli, ("src/lake/keys.rs", import)]));
        assert_eq!(found, ["src/lake/keys.rs imports cli::start"], "{import}");
    }
}

#[test]
fn an_import_that_goes_down_or_to_another_crate_is_none() {
    let down = "use crate::lake::keys::part; use std::cli::start; fn f() { part(); domain(); }";

    let found = upward_imports(&tree(&[("src/lake/keys.rs", "pub fn part() {}"), ("src/cli/mod.rs", down)]));

    assert_eq!(found, NOTHING);
}

#[test]
fn an_import_through_a_re_export_leads_to_the_file_that_defines_it() {
    let found = upward_imports(&tree(&[
        ("src/lake/mod.rs", "mod keys; pub use crate::cli::run::start as begin; pub use keys::*;"),
        ("src/lake/keys.rs", "pub fn part() {}"),
        ("src/lake/parts.rs", "use super::{begin, part};"),
        ("src/cli/mod.rs", "mod run;"),
        ("src/cli/run.rs", "pub fn start() {}"),
    ]));

    assert_eq!(found, ["src/lake/mod.rs imports cli::run::start", "src/lake/parts.rs imports cli::run::start"]);
}

#[test]
fn files_that_need_each_other_are_a_circle() {
    let found = tree(&[
        ("src/a/mod.rs", "pub mod b; pub mod c; pub mod d;"),
        ("src/a/b.rs", "use super::c::C; pub struct B(C);"),
        ("src/a/c.rs", "pub struct C; fn f() -> String { format!(\"{}\", crate::a::d::D::new()) }"),
        ("src/a/d.rs", "use super::b; pub struct D(b::B);"),
    ]);

    let circles = found.circles();
    assert_eq!(circles, [["src/a/b.rs", "src/a/c.rs", "src/a/d.rs"]]);
    assert_eq!(
        found.needs_within(&circles[0]),
        [
            "src/a/b.rs needs src/a/c.rs: a::c::C",
            "src/a/c.rs needs src/a/d.rs: a::d::D::new",
            "src/a/d.rs needs src/a/b.rs: a::b::B",
        ]
    );
}

#[test]
fn a_parent_is_in_a_circle_only_with_a_child_that_it_uses_and_that_uses_it() {
    let child = ("src/a/b.rs", "use super::Error; pub fn f() -> Error { Error }");
    let uses = "mod b; pub struct Error; fn g() -> Error { b::f() }";
    let passes_on = "mod b; pub use b::f; pub struct Error;";

    assert_eq!(tree(&[("src/a/mod.rs", uses), child]).circles(), [["src/a/b.rs", "src/a/mod.rs"]]);
    assert_eq!(tree(&[("src/a/mod.rs", passes_on), child]).circles(), Vec::<Vec<String>>::new());
}

#[test]
fn siblings_that_meet_in_their_parents_re_exports_are_no_circle_with_it() {
    let found = tree(&[
        ("src/a/mod.rs", "mod b; mod c; pub use b::B; pub use c::C;"),
        ("src/a/b.rs", "pub struct B;"),
        ("src/a/c.rs", "use super::B; pub struct C(B);"),
    ]);

    assert_eq!(found.circles(), Vec::<Vec<String>>::new());
}

#[test]
fn what_tests_need_makes_no_circle() {
    let found = tree(&[
        ("src/a/mod.rs", "pub mod b; pub mod c; #[cfg(test)] mod fixture;"),
        ("src/a/b.rs", "use super::c::C; pub struct B(C);"),
        ("src/a/c.rs", "pub struct C; #[cfg(test)] mod tests { use super::super::b::B; }"),
        ("src/a/fixture.rs", "use super::c::C;"),
    ]);

    assert_eq!(found.circles(), Vec::<Vec<String>>::new());
    assert_eq!(found.purpose(3), Purpose::Tests);
}

#[test]
fn a_key_that_is_spelt_is_found_and_a_sentence_is_not() {
    let code = r#"
        /// Lies below `restricted/tables`.
        #[cfg(test)] use std::fmt;
        fn f(table: &str) -> String { let _ = "Look at `restricted/x`"; format!("restricted/tables/{table}") }
        #[cfg(test)] mod tests { const KEY: &str = "restricted/tables/users"; }"#;

    let found = keys_spelt(&tree(&[("src/jobs/x.rs", code), ("src/lake/keys.rs", "const A: &str = \"restricted\";")]));

    assert_eq!(found, ["src/jobs/x.rs:4: \"restricted/tables/{table}\""]);
}

#[test]
fn a_crate_is_found_out_of_its_place() {
    let found = crates_out_of_place(&tree(&[
        ("src/ml/train.rs", "use smartcore::linalg; #[cfg(test)] mod tests { use sqlx::Row; }"),
        ("src/ml/model.rs", "use smartcore::linalg;"),
        ("src/engine/plan.rs", "#[cfg(test)] use std::fmt; fn f() { let _ = sqlx::query(\"\"); }"),
    ]));

    assert_eq!(found, ["src/ml/train.rs names smartcore", "src/engine/plan.rs names sqlx"]);
}

#[test]
fn functions_are_measured_and_those_of_tests_are_not() {
    let code = "/// Four lines, by their code.\nfn a(\n    x: u8,\n) {\n}\n#[cfg(test)]\nmod tests {\n    fn b(\n    ) {\n\n\n\n    }\n}\n";
    let found = tree(&[("src/a.rs", code)]);

    assert_eq!(functions_over(&found, 3, |function| function.lines), ["src/a.rs:2: a: 4"]);
    assert_eq!(functions_over(&found, 0, |function| function.parameters), ["src/a.rs:2: a: 1"]);
    assert_eq!(found.files[0].lines_before_tests, 5);
}

#[test]
fn a_kind_out_of_the_registry_and_one_that_imports_another_are_found() {
    let found = tree(&[
        ("src/jobs/mod.rs", "mod a; mod b; fn registry() { register::<a::A>(); }"),
        ("src/jobs/a.rs", "pub struct A; impl JobKind for A {} pub fn shared() {}"),
        ("src/jobs/b.rs", "use super::a::shared; struct B; impl JobKind for B {}"),
        ("src/jobs/tables.rs", ""),
        ("src/jobs/shared/models.rs", ""),
    ]);

    assert_eq!(not_registered(&found), ["b"]);
    assert_eq!(kinds_that_import_kinds(&found), ["src/jobs/b.rs imports jobs::a::shared"]);
    assert_eq!(strangers_among_kinds(&found), ["src/jobs/tables.rs"]);
}

#[test]
fn checks_that_looked_at_nothing_fail() {
    let bare = || tree(&[("src/jobs/mod.rs", "")]);

    assert!(std::panic::catch_unwind(|| upward_imports(&bare())).is_err());
    assert!(std::panic::catch_unwind(|| bare().circles()).is_err());
    assert!(std::panic::catch_unwind(|| not_registered(&bare())).is_err());
    assert!(std::panic::catch_unwind(|| functions_over(&bare(), 0, |function| function.lines)).is_err());
    assert!(std::panic::catch_unwind(|| keys_spelt(&bare())).is_err());
    assert!(std::panic::catch_unwind(|| crates_out_of_place(&bare())).is_err());
    assert!(std::panic::catch_unwind(|| tree(&[])).is_err());
}
