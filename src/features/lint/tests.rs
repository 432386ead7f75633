//! One test for each rule of the lint, and the promise that no text makes it panic.

use proptest::prelude::*;

use super::*;

const AS_OF: &str = "TIMESTAMP '2014-12-02 00:00:00'";

fn refusals(sql: &str) -> String {
    match lint(sql, &[AS_OF.to_owned()]) {
        Ok(_) => String::new(),
        Err(refusals) => refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
    }
}

#[track_caller]
fn refused(sql: &str, words: &str) {
    let found = refusals(sql);
    assert!(found.contains(words), "{sql}\nwas not refused for `{words}` but: {found:?}");
}

#[track_caller]
fn admitted(sql: &str) {
    assert_eq!(refusals(sql), "", "{sql}");
}

#[test]
fn the_common_subset_is_admitted() {
    admitted(
        "WITH v AS (SELECT w.user_id, SUM(CAST(w.page_views AS BIGINT)) AS views, COUNT(DISTINCT w.date) AS days
           FROM web_logs_daily AS w WHERE w.date < CAST(TIMESTAMP '2014-12-02 00:00:00' AS DATE) GROUP BY w.user_id)
         SELECT p.enrollment_id, COALESCE(v.views, 0) AS views, LN(1.0 + CAST(v.views AS DOUBLE)) AS views_log1p,
           CASE WHEN v.days > 3 THEN 1 ELSE 0 END AS busy, v.views / NULLIF(CAST(v.days AS DOUBLE), 0.0) AS a_day,
           RANK() OVER (PARTITION BY p.course_id ORDER BY COALESCE(v.views, 0) DESC NULLS LAST) AS place,
           SUM(CAST(v.views AS BIGINT)) OVER (PARTITION BY p.course_id ORDER BY p.enrollment_id ASC NULLS FIRST
             ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS running
         FROM population AS p LEFT JOIN v ON v.user_id = p.user_id AND p.course_id = v.course_id
         WHERE EXISTS (SELECT 1 FROM courses AS c WHERE c.id = p.course_id) AND p.term IN ('1', '2')
         ORDER BY p.enrollment_id ASC NULLS LAST LIMIT 10",
    );
}

#[test]
fn the_tables_read_are_told_without_the_names_of_with() {
    let linted = lint("WITH a AS (SELECT id FROM courses) SELECT a.id FROM a JOIN terms AS t ON a.id = t.id", &[]);

    assert_eq!(linted.unwrap().reads, BTreeSet::from(["courses".to_owned(), "terms".to_owned()]));
}

#[test]
fn all_refusals_come_at_once_with_their_places() {
    let found = lint("SELECT NOW() AS a,\n  AVG(x) AS b\nFROM read_csv('x')", &[]).unwrap_err();

    let places: Vec<_> = found.iter().map(|refusal| (refusal.line, refusal.column)).collect();
    assert_eq!(places, vec![(1, 8), (2, 3), (3, 6)]);
    assert_eq!(
        found[0].to_string(),
        "line 1, column 8: `now` is the wall clock: a rebuild would differ; use {{ as_of }}"
    );
}

#[test]
fn only_one_query_is_admitted() {
    refused("SELECT 1; SELECT 2", "2 statements");
    refused("", "0 statements");
    refused("DROP TABLE courses", "not a query");
    refused("INSERT INTO a SELECT 1", "not a query");
    refused("SELECT x FROM WHERE = 1", "not SQL");
    refused("SELECT FROM courses", "without columns");
    refused("VALUES (1)", "other than a SELECT");
    refused("WITH RECURSIVE a AS (SELECT 1 AS x) SELECT x FROM a", "RECURSIVE");
}

#[test]
fn sources_other_than_tables_are_refused() {
    refused("SELECT a FROM read_parquet('/etc/passwd')", "table function");
    refused("SELECT a FROM x, y", "commas");
    refused("SELECT a FROM other.x", "schema");
    refused("SELECT a FROM (SELECT 1 AS a)", "without a name");
    refused("SELECT a FROM UNNEST(x) AS t", "not a table");
}

#[test]
fn joins_on_more_than_equal_columns_are_refused() {
    refused("SELECT a.x FROM a LEFT JOIN b ON a.k = b.k AND a.t > b.t", "drops unmatched rows");
    refused("SELECT a.x FROM a LEFT JOIN b ON a.k = b.k AND b.s = 'on'", "drops unmatched rows");
    refused("SELECT a.x FROM a LEFT JOIN b ON a.k <> b.k", "drops unmatched rows");
    refused("SELECT a.x FROM a JOIN b ON a.t < b.t", "more than equal columns");
    refused("SELECT a.x FROM a FULL OUTER JOIN b ON a.k = b.k", "kind of join");
    refused("SELECT a.x FROM a RIGHT JOIN b ON a.k = b.k", "kind of join");
    refused("SELECT a.x FROM a NATURAL JOIN b", "NATURAL");
    refused("SELECT a.x FROM a JOIN b", "without ON");
    refused("SELECT a.x FROM a CROSS JOIN b", "kind of join");
    admitted("SELECT a.x FROM a LEFT JOIN b ON (a.k = b.k AND a.l = b.l)");
}

#[test]
fn wildcards_that_engines_expand_differently_are_refused() {
    refused("SELECT * FROM a JOIN b USING (k)", "twice");
    refused("SELECT * EXCLUDE (k) FROM a", "EXCLUDE");
    admitted("SELECT * FROM a");
    admitted("SELECT k FROM a JOIN b USING (k)");
}

#[test]
fn limits_need_a_total_order() {
    refused("SELECT x FROM a LIMIT 3", "LIMIT without an order");
    refused("SELECT x FROM a ORDER BY x LIMIT 3", "where nulls go");
    refused("SELECT x FROM a ORDER BY x NULLS LAST LIMIT 3 OFFSET 2", "OFFSET");
    refused("SELECT DISTINCT ON (x) x FROM a", "DISTINCT ON");
}

#[test]
fn windows_that_read_the_future_or_depend_on_ties_are_refused() {
    refused("SELECT MEDIAN(x) OVER (PARTITION BY k ORDER BY t NULLS LAST) AS m FROM a", "read the future");
    refused("SELECT AVG(x) OVER (PARTITION BY k ORDER BY t NULLS LAST) AS m FROM a", "read the future");
    refused("SELECT SUM(1) OVER (ORDER BY t NULLS LAST) AS m FROM a", "without its frame");
    refused(
        "SELECT SUM(1) OVER (ORDER BY t NULLS LAST RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS m FROM a",
        "without its frame",
    );
    refused("SELECT RANK() OVER (ORDER BY t) AS m FROM a", "where nulls go");
    refused("SELECT RANK() OVER (PARTITION BY t) AS m FROM a", "without an order");
    refused("SELECT RANK() OVER (ORDER BY t NULLS LAST, u DESC NULLS LAST) AS m FROM a", "ASC and DESC");
    refused("SELECT LAST_VALUE(x) OVER (ORDER BY t NULLS LAST) AS m FROM a", "ROW_NUMBER");
    refused("SELECT LAG(x, 1, 0) OVER (ORDER BY t NULLS LAST) AS m FROM a", "with a default");
    refused("SELECT SUM(1) OVER w AS m FROM a WINDOW w AS (PARTITION BY k)", "named window");
    refused("SELECT x FROM a QUALIFY ROW_NUMBER() OVER (ORDER BY t NULLS LAST) = 1", "QUALIFY");
}

#[test]
fn windows_that_put_nulls_elsewhere_are_refused() {
    refused("SELECT ROW_NUMBER() OVER (ORDER BY t ASC NULLS LAST) AS m FROM a", "other end");
    refused("SELECT LAG(x) OVER (ORDER BY t DESC NULLS FIRST) AS m FROM a", "other end");
    refused("SELECT RANK() OVER (ORDER BY t ASC NULLS FIRST) AS m FROM a", "may be null");
    refused("SELECT RANK() OVER (ORDER BY t ASC NULLS FIRST) AS m FROM a WHERE t IS NOT NULL OR u > 1", "may be null");
    refused(
        "SELECT RANK() OVER (ORDER BY t ASC NULLS FIRST) AS m FROM (SELECT t FROM a WHERE t IS NOT NULL) AS b",
        "may be null",
    );
    admitted("SELECT RANK() OVER (ORDER BY t ASC NULLS LAST) AS m FROM a WHERE t IS NOT NULL AND u > 1");
    admitted("SELECT DENSE_RANK() OVER (ORDER BY COALESCE(t, 0) DESC NULLS FIRST) AS m FROM a");
    admitted("SELECT ROW_NUMBER() OVER (ORDER BY t ASC NULLS FIRST, u ASC NULLS FIRST) AS m FROM a");
}

#[test]
fn truth_of_null_is_asked_for_in_words_that_engines_agree_on() {
    refused("SELECT b IS TRUE AS m FROM a", "null as null");
    refused("SELECT x FROM a WHERE (x > 1) IS NOT FALSE", "null as null");
    admitted("SELECT COALESCE(b, FALSE) AS m FROM a");
}

#[test]
fn time_comes_from_the_cutoff_alone() {
    refused("SELECT CURRENT_DATE AS d", "wall clock");
    refused("SELECT CURRENT_TIMESTAMP AS d", "wall clock");
    refused("SELECT DATE '2014-01-01' AS d", "fixed date");
    refused("SELECT TIMESTAMP '2014-01-01 00:00:00' AS d", "fixed date");
    refused("SELECT EXTRACT(DOW FROM t) AS d FROM a", "count differently");
    refused("SELECT t + INTERVAL '1 month' AS d FROM a", "number of days");
    refused("SELECT t + INTERVAL '7' DAY AS d FROM a", "number of days");
    admitted("SELECT TIMESTAMP '2014-12-02 00:00:00' + INTERVAL '7 days' AS d");
}

#[test]
fn arithmetic_that_engines_do_differently_is_refused() {
    refused("SELECT x % 2 AS m FROM a", "`%`");
    refused("SELECT MOD(x, 2) AS m FROM a", "not admitted");
    refused("SELECT x / y AS m FROM a", "may be zero");
    refused("SELECT x / NULLIF(y, 0) AS m FROM a", "whole numbers");
    refused("SELECT x / NULLIF(y, 0.0) AS m FROM a", "whole numbers");
    admitted("SELECT x / NULLIF(CAST(y AS DOUBLE), 0.0) AS m, (x + 0.5) / NULLIF(y, 0) AS n FROM a");
    refused("SELECT x / 0 AS m FROM a", "single row");
    refused("SELECT x / (7.0) AS m FROM a", "single row");
    refused("SELECT ROUND(x, 1) AS m FROM a", "halves");
    refused("SELECT SUM(x) AS m FROM a", "order of rows");
    refused("SELECT AVG(x) AS m FROM a", "exact_mean");
    refused("SELECT x::BIGINT AS m FROM a", "cast");
    refused("SELECT CAST(x AS DECIMAL(6, 2)) AS m FROM a", "cast");
    refused("SELECT x || y AS m FROM a", "operator");
    admitted("SELECT x * 7.0 AS m, FLOOR(x + 0.5) AS n, SUM(CASE WHEN x > 1 THEN 1 ELSE 0 END) AS s FROM a GROUP BY x");
}

#[test]
fn subqueries_that_hide_rows_are_refused() {
    refused("SELECT x FROM a WHERE x NOT IN (SELECT y FROM b)", "NOT IN");
    refused("SELECT (SELECT MAX(y) FROM b) AS m FROM a", "as a value");
    refused("SELECT x IN (SELECT y FROM b) AS m FROM a", "in WHERE only");
    refused("SELECT a.x FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.k = a.k AND b.y > 0)", "equal columns");
    refused("SELECT x FROM a WHERE EXISTS (SELECT 1 FROM b)", "equal columns");
    refused("SELECT x FROM a EXCEPT ALL SELECT y FROM b", "polars has neither");
    refused("SELECT x FROM a INTERSECT ALL SELECT y FROM b", "polars has neither");
    admitted("SELECT a.x FROM a WHERE NOT EXISTS (SELECT 1 FROM b WHERE b.k = a.k)");
    admitted("SELECT x FROM a EXCEPT SELECT y FROM b");
    admitted("SELECT x FROM a WHERE x IN (SELECT y FROM b)");
}

#[test]
fn quoted_names_are_refused() {
    refused("SELECT \"x\" FROM a", "quoted identifier");
    refused("SELECT `x` FROM a", "quoted identifier");
}

#[test]
fn arrays_and_order_dependent_aggregates_are_refused() {
    refused("SELECT ARRAY_AGG(x) AS m FROM a", "no order");
    refused("SELECT STRING_AGG(x, ',') AS m FROM a", "no order");
    refused("SELECT [1, 2] AS m", "not admitted");
    refused("SELECT RANDOM() AS m", "every build");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        let linted = lint(&text, &[]);
        prop_assert!(linted.is_ok() || linted.is_err_and(|refusals| !refusals.is_empty()));
    }

    #[test]
    fn no_sequence_of_sql_words_makes_it_panic(
        words in proptest::collection::vec(
            proptest::sample::select(vec![
                "SELECT", "FROM", "WHERE", "a", "b.c", "*", ",", "(", ")", "JOIN", "LEFT", "ON", "=", "<", "1", "'x'", "OVER",
                "ORDER BY", "GROUP BY", "WITH", "AS", "SUM", "CASE", "WHEN", "THEN", "END", "NOT", "IN", "EXISTS", "UNION",
                "INTERVAL", "CAST", "::", "/", "%", "LIMIT", "NULLS LAST", "EXTRACT", "QUALIFY", "VALUES", "\"q\"", "--", "/*",
            ]),
            0..60,
        ),
    ) {
        let linted = lint(&words.join(" "), &[]);
        prop_assert!(linted.is_ok() || linted.is_err_and(|refusals| !refusals.is_empty()));
    }
}
