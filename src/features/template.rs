//! SQL templates: the few macros that hide where SQL dialects differ, and `{{ as_of }}`, the only source of time (with
//! `{{ as_of_date }}`, the start of the first calendar date that was not over, for columns that hold dates).
//!
//! Strict: an unknown name is an error, so a typo never becomes an empty string. Every macro renders on one line; a
//! place in the rendered SQL is the same line of the template. The macros write only what the lint admits, so the
//! rendered text is linted like any other. Sums and means go through whole millionths: integers add up to the same
//! result in any order, floats do not.

use std::collections::BTreeMap;

use minijinja::{Environment, UndefinedBehavior, Value};

use super::cutoff::Cutoff;
use super::error::FeatureError;

/// Renders the template `sql` of `set` for `cutoff`, with the set's parameters.
///
/// # Errors
/// When the template is malformed or uses an unknown name.
pub(super) fn render(
    set: &str,
    sql: &str,
    cutoff: Cutoff,
    params: &BTreeMap<String, f64>,
) -> Result<String, FeatureError> {
    let failed = |source| FeatureError::Template { set: set.to_owned(), source: Box::new(source) };
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    add_macros(&mut environment);
    environment.add_template(set, sql).map_err(failed)?;
    let context: BTreeMap<&str, Value> = params
        .iter()
        .map(|(name, value)| (name.as_str(), Value::from(number(*value))))
        .chain(["as_of", "as_of_date"].into_iter().zip(time_literals(cutoff).map(Value::from)))
        .collect();
    environment.get_template(set).and_then(|template| template.render(Value::from_pairs(context))).map_err(failed)
}

/// Returns the two SQL literals of a cutoff, naive UTC: the instant, and the start of the first date that was not over.
pub(super) fn time_literals(cutoff: Cutoff) -> [String; 2] {
    let instant = cutoff.event_before.strftime("%Y-%m-%d %H:%M:%S%.f");
    [format!("TIMESTAMP '{instant}'"), format!("TIMESTAMP '{} 00:00:00'", cutoff.date())]
}

/// The macros:
/// - `safe_div(a, b)`: null where `b` is zero
/// - `days_between(later, earlier)`: days as a number with a fraction; null outside of the years 1678 to 2261
/// - `end_of_day(date)`: the instant at which the day is over
/// - `per(x, n)`: x over the whole number n, as a product (see there)
/// - `log1p(x)`: the natural logarithm of 1 + x
/// - `exact_sum(x)`, `exact_mean(x)`: over numbers below 10^12, to the millionth; null over nothing
/// - `share_below(x, by)`: the share of the other rows of `by` that lie below, ties counting half; null when alone. Its SELECT
///   has `WHERE x IS NOT NULL`
fn add_macros(environment: &mut Environment<'_>) {
    environment.add_function("safe_div", |a: &str, b: &str| {
        format!("(CAST({a} AS DOUBLE) / NULLIF(CAST({b} AS DOUBLE), 0.0))")
    });
    environment.add_function("days_between", |later: &str, earlier: &str| {
        let seconds = |at: &str| format!("CAST(EXTRACT(EPOCH FROM {at}) AS DOUBLE)");
        per(&format!("({} - {})", seconds(later), seconds(earlier)), 86_400)
    });
    environment.add_function("end_of_day", |date: &str| format!("(CAST({date} AS TIMESTAMP) + INTERVAL '1 day')"));
    environment.add_function("per", per);
    environment.add_function("log1p", |x: &str| format!("LN(1.0 + CAST({x} AS DOUBLE))"));
    environment.add_function("exact_sum", |x: &str| format!("(CAST(SUM({}) AS DOUBLE) * 0.000001)", millionths(x)));
    environment.add_function("exact_mean", |x: &str| {
        format!("(CAST(SUM({}) AS DOUBLE) / NULLIF(CAST(COUNT({x}) AS DOUBLE) * 1000000.0, 0.0))", millionths(x))
    });
    environment.add_function("share_below", |x: &str, by: &str| {
        let rank = format!("CAST(RANK() OVER (PARTITION BY {by} ORDER BY {x} ASC NULLS FIRST) AS DOUBLE)");
        let ties = format!("CAST(COUNT(*) OVER (PARTITION BY {by}, {x}) AS DOUBLE)");
        let all = format!("CAST(COUNT(*) OVER (PARTITION BY {by}) AS DOUBLE)");
        format!("(({rank} - 1.0 + ({ties} - 1.0) * 0.5) / NULLIF({all} - 1.0, 0.0))")
    });
}

/// polars divides by a literal by multiplying by its reciprocal, except where a batch holds a single row; so the last
/// digit of a quotient would depend on how rows are divided among threads. A product has one result.
fn per(x: &str, n: u32) -> String {
    format!("(CAST({x} AS DOUBLE) * {})", 1.0 / f64::from(n))
}

fn millionths(x: &str) -> String {
    format!("CAST(FLOOR(CAST({x} AS DOUBLE) * 1000000.0 + 0.5) AS BIGINT)")
}

/// A whole number renders without a point, so that `INTERVAL '{{ lag_days }} days'` reads as SQL.
fn number(value: f64) -> String {
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render_text(sql: &str) -> Result<String, FeatureError> {
        let params = BTreeMap::from([("lag_days".to_owned(), 7.0), ("pass_mark".to_owned(), 49.5)]);
        let midnight = "2014-07-01T23:00:00.5Z".parse().unwrap();
        render("demo", sql, Cutoff::at(midnight, jiff::SignedDuration::from_hours(6)).unwrap(), &params)
    }

    #[test]
    fn the_cutoff_and_the_parameters_become_literals() {
        let sql = render_text("{{ as_of }} {{ as_of_date }} INTERVAL '{{ lag_days }} days' < {{ pass_mark }}").unwrap();

        let times = "TIMESTAMP '2014-07-01 23:00:00.5' TIMESTAMP '2014-07-02 00:00:00'";
        assert_eq!(sql, format!("{times} INTERVAL '7 days' < 49.5"));
    }

    #[test]
    fn an_unknown_name_is_an_error() {
        let error = render_text("SELECT {{ as_off }}").unwrap_err();

        assert_eq!(error.to_string(), "the SQL template of `demo` could not be rendered");
    }

    #[test]
    fn macros_stay_on_one_line() {
        let sql = render_text("{{ share_below('x', 'course_id') }}{{ exact_mean('y') }}").unwrap();

        assert!(!sql.contains('\n'), "{sql}");
    }
}
