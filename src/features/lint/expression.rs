//! The lint's rules on expressions: operators, functions, windows, casts, literals.
//!
//! A sum adds whole numbers only, because the order in which floats are added changes the last digits; a running
//! aggregate states its frame; a division cannot divide by zero; the one instant is the cutoff.

use sqlparser::ast::{
    BinaryOperator, CastKind, CeilFloorKind, DataType, DateTimeField, DuplicateTreatment, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArguments, Interval, ObjectNamePart, Query, SetExpr, Spanned, UnaryOperator, Value,
    WindowFrameBound, WindowFrameUnits, WindowSpec, WindowType,
};

use super::query::{is_equi, refuse_order};
use super::walk::Walk;

const SCALAR: [&str; 14] = [
    "abs", "coalesce", "exp", "greatest", "least", "length", "ln", "lower", "nullif", "power", "sign", "sqrt", "upper",
    "concat",
];
pub(super) const AGGREGATE: [&str; 5] = ["count", "sum", "min", "max", "median"];
const RUNNING: [&str; 4] = ["count", "sum", "min", "max"];
const RANKING: [&str; 6] = ["row_number", "rank", "dense_rank", "lag", "lead", "first_value"];

pub(super) fn check(walk: &mut Walk<'_>, expression: &Expr) {
    match expression {
        Expr::Identifier(_)
        | Expr::CompoundIdentifier(_)
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::InList { .. }
        | Expr::InSubquery { negated: false, .. }
        | Expr::Between { .. }
        | Expr::Like { any: false, escape_char: None, .. }
        | Expr::Nested(_)
        | Expr::Case { operand: None, .. }
        | Expr::Ceil { field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime), .. }
        | Expr::Floor { field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime), .. } => {}
        Expr::IsTrue(_) | Expr::IsFalse(_) | Expr::IsNotTrue(_) | Expr::IsNotFalse(_) => {
            let problem = "IS [NOT] TRUE or FALSE: polars leaves null as null";
            walk.refuse(expression.span(), problem, "write COALESCE(x, FALSE), or NOT COALESCE(x, FALSE)");
        }
        Expr::Exists { subquery, .. } => check_exists(walk, expression, subquery),
        Expr::Value(value) => check_value(walk, expression, &value.value),
        Expr::UnaryOp { op: UnaryOperator::Not | UnaryOperator::Minus | UnaryOperator::Plus, .. } => {}
        Expr::BinaryOp { left, op, right } => check_operator(walk, expression, [left, right], op),
        Expr::Cast { kind, data_type, format, array, .. } => {
            let plain = *kind == CastKind::Cast && format.is_none() && !array;
            if !plain || !is_admitted_type(data_type) {
                let instead = "write CAST(x AS BIGINT | DOUBLE | BOOLEAN | VARCHAR | DATE | TIMESTAMP)";
                walk.refuse(expression.span(), "a cast that engines read differently", instead);
            }
        }
        Expr::Extract { field, .. } => check_extract(walk, expression, field),
        Expr::TypedString(typed) => {
            if !walk.times.contains(&typed.to_string()) {
                let instead = "compare with {{ as_of }}, the only source of time";
                walk.refuse(expression.span(), "a fixed date or time", instead);
            }
        }
        Expr::Interval(interval) => check_interval(walk, expression, interval),
        Expr::Function(function) => check_function(walk, function),
        Expr::InSubquery { .. } => {
            let instead = "use NOT EXISTS, or LEFT JOIN and IS NULL";
            walk.refuse(expression.span(), "NOT IN (SELECT …): one null on the right hides every row", instead);
        }
        Expr::Subquery(_) => {
            walk.refuse(
                expression.span(),
                "a subquery as a value",
                "join to a subselect that has one row for each key",
            );
        }
        Expr::Case { .. } => walk.refuse(expression.span(), "CASE x WHEN y", "write CASE WHEN x = y"),
        _ => {
            let problem = format!("`{}`: an expression that is not admitted", head(expression));
            walk.refuse(expression.span(), &problem, "use comparisons, arithmetic, CASE, COALESCE and CAST");
        }
    }
}

/// The first word of an expression, short enough for a message.
fn head(expression: &Expr) -> String {
    expression.to_string().chars().take(32).collect()
}

fn check_value(walk: &mut Walk<'_>, expression: &Expr, value: &Value) {
    if !matches!(value, Value::Number(..) | Value::SingleQuotedString(_) | Value::Boolean(_) | Value::Null) {
        walk.refuse(expression.span(), "a literal that only some engines know", "use a number, 'text', TRUE or NULL");
    }
}

/// polars computes EXISTS only where its WHERE compares columns of the two sides for equality, and with nothing else.
fn check_exists(walk: &mut Walk<'_>, expression: &Expr, subquery: &Query) {
    let compares = match subquery.body.as_ref() {
        SetExpr::Select(select) => select.selection.as_ref().is_some_and(is_equi),
        _ => false,
    };
    if !compares {
        let instead = "compare `a.x = b.y` alone in it, and filter in a subselect or a step of WITH";
        walk.refuse(expression.span(), "EXISTS on more, or less, than equal columns", instead);
    }
}

fn check_operator(walk: &mut Walk<'_>, expression: &Expr, [left, right]: [&Expr; 2], op: &BinaryOperator) {
    match op {
        BinaryOperator::Divide if is_number(right) => {
            let instead = "write {{ per('x', 7) }}, or multiply";
            let problem = "a division by a number: polars rounds it differently for a single row than for many";
            walk.refuse(expression.span(), problem, instead);
        }
        BinaryOperator::Divide if !is_never_zero(right) => {
            let instead = "write {{ safe_div('a', 'b') }}, or divide by NULLIF(b, 0)";
            walk.refuse(expression.span(), "a division by what may be zero: polars gives infinity", instead);
        }
        BinaryOperator::Divide if !is_fraction(left) && !is_fraction(right) => {
            let instead = "write {{ safe_div('a', 'b') }}, or CAST one side AS DOUBLE";
            let problem =
                "a division of what may be whole numbers: polars keeps the fraction, other engines cut it off";
            walk.refuse(expression.span(), problem, instead);
        }
        BinaryOperator::Plus
        | BinaryOperator::Minus
        | BinaryOperator::Multiply
        | BinaryOperator::Divide
        | BinaryOperator::Gt
        | BinaryOperator::Lt
        | BinaryOperator::GtEq
        | BinaryOperator::LtEq
        | BinaryOperator::Eq
        | BinaryOperator::NotEq
        | BinaryOperator::And
        | BinaryOperator::Or => {}
        // Already refused by its token.
        BinaryOperator::Modulo => {}
        _ => {
            let problem = format!("the operator `{op}`");
            walk.refuse(expression.span(), &problem, "use + - * / = <> < <= > >= AND OR");
        }
    }
}

fn is_never_zero(divisor: &Expr) -> bool {
    match divisor {
        Expr::Nested(inner) => is_never_zero(inner),
        Expr::Function(function) => {
            name_of(function).as_deref() == Some("nullif")
                && arguments(function).last().is_some_and(|last| is_zero(last))
        }
        _ => false,
    }
}

/// Whether an expression is visibly a number with a fraction.
fn is_fraction(expression: &Expr) -> bool {
    match expression {
        Expr::Nested(inner) => is_fraction(inner),
        Expr::Cast { data_type, .. } => data_type.to_string().eq_ignore_ascii_case("double"),
        Expr::Value(value) => matches!(&value.value, Value::Number(text, _) if text.parse::<i64>().is_err()),
        Expr::BinaryOp { left, right, .. } => is_fraction(left) || is_fraction(right),
        Expr::Function(function) if name_of(function).as_deref() == Some("nullif") => {
            arguments(function).first().is_some_and(|first| is_fraction(first))
        }
        _ => false,
    }
}

fn is_number(expression: &Expr) -> bool {
    match expression {
        Expr::Nested(inner) => is_number(inner),
        Expr::Value(value) => matches!(&value.value, Value::Number(..)),
        _ => false,
    }
}

fn is_zero(expression: &Expr) -> bool {
    match expression {
        Expr::Value(value) => {
            matches!(&value.value, Value::Number(text, _) if text.parse::<f64>().is_ok_and(|number| number == 0.0))
        }
        _ => false,
    }
}

fn is_admitted_type(data_type: &DataType) -> bool {
    let text = data_type.to_string().to_ascii_lowercase();
    matches!(text.as_str(), "bigint" | "double" | "boolean" | "varchar" | "date" | "timestamp")
}

fn check_extract(walk: &mut Walk<'_>, expression: &Expr, field: &DateTimeField) {
    if !matches!(
        field,
        DateTimeField::Year
            | DateTimeField::Month
            | DateTimeField::Day
            | DateTimeField::Hour
            | DateTimeField::Minute
            | DateTimeField::Epoch
    ) {
        let instead = "use YEAR, MONTH, DAY, HOUR, MINUTE or EPOCH, or {{ days_between('a', 'b') }}";
        walk.refuse(expression.span(), "a part of a date that engines count differently", instead);
    }
}

fn check_interval(walk: &mut Walk<'_>, expression: &Expr, interval: &Interval) {
    let text = match interval.value.as_ref() {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        _ => None,
    };
    let days = text.and_then(|text| text.strip_suffix(" days").or_else(|| text.strip_suffix(" day")));
    if interval.leading_field.is_some() || days.is_none_or(|days| days.parse::<u32>().is_err()) {
        walk.refuse(expression.span(), "an interval that is not a number of days", "write INTERVAL '7 days'");
    }
}

/// Whether an expression is visibly never null.
fn is_never_null(walk: &Walk<'_>, expression: &Expr) -> bool {
    match expression {
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => is_never_null(walk, inner),
        Expr::Value(value) => !matches!(value.value, Value::Null),
        Expr::Function(function) if name_of(function).as_deref() == Some("coalesce") => {
            arguments(function).last().is_some_and(|last| is_never_null(walk, last))
        }
        column => walk.never_null.last().is_some_and(|known| known.contains(&column.to_string())),
    }
}

pub(super) fn name_of(function: &Function) -> Option<String> {
    match function.name.0.as_slice() {
        [ObjectNamePart::Identifier(name)] => Some(name.value.to_ascii_lowercase()),
        _ => None,
    }
}

pub(super) fn arguments(function: &Function) -> Vec<&Expr> {
    let FunctionArguments::List(list) = &function.args else {
        return Vec::new();
    };
    list.args
        .iter()
        .filter_map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => Some(expression),
            _ => None,
        })
        .collect()
}

fn check_function(walk: &mut Walk<'_>, function: &Function) {
    let span = function.span();
    let name = name_of(function).unwrap_or_else(|| function.name.to_string());
    let aggregate = AGGREGATE.contains(&name.as_str());
    if !aggregate && !SCALAR.contains(&name.as_str()) && !RANKING.contains(&name.as_str()) {
        let (problem, instead) = refused_function(&name);
        walk.refuse(span, &problem, &instead);
        return;
    }
    if function.uses_odbc_syntax
        || function.null_treatment.is_some()
        || !function.within_group.is_empty()
        || function.parameters != FunctionArguments::None
        || has_extras(&function.args)
    {
        walk.refuse(span, &format!("`{name}` with a clause that only some engines know"), "leave the clause out");
    }
    if function.filter.is_some() && !aggregate {
        walk.refuse(span, &format!("FILTER on `{name}`, which is not an aggregate"), "filter in WHERE");
    }
    if name == "sum" && !arguments(function).iter().all(|argument| is_whole(argument)) {
        let instead = "write {{ exact_sum('x') }}, or SUM(CAST(x AS BIGINT)) over whole numbers";
        walk.refuse(span, "SUM over what may be floats: its last digits depend on the order of rows", instead);
    }
    match &function.over {
        Some(WindowType::WindowSpec(window)) => check_window(walk, function, &name, window),
        Some(WindowType::NamedWindow(_)) => walk.refuse(span, "a named window", "write the window out in OVER (…)"),
        None if RANKING.contains(&name.as_str()) => {
            walk.refuse(span, &format!("`{name}` without a window"), "add OVER (PARTITION BY … ORDER BY …)");
        }
        None => {}
    }
}

fn refused_function(name: &str) -> (String, String) {
    let (problem, instead) = match name {
        "current_date" | "current_timestamp" | "current_time" | "localtimestamp" | "localtime" | "now" | "today"
        | "getdate" => ("is the wall clock: a rebuild would differ", "use {{ as_of }}"),
        "random" | "rand" | "uuid" => ("differs at every build", "leave it out"),
        "avg" | "mean" | "stddev" | "stddev_samp" | "variance" | "var_samp" | "corr" | "covar" | "covar_samp"
        | "total" => (
            "adds floats in any order, and with OVER (ORDER BY) polars lets it read the future",
            "use {{ exact_mean('x') }}, or MEDIAN",
        ),
        "round" => ("rounds halves to even here and away from zero elsewhere", "use FLOOR(x + 0.5)"),
        "last_value" | "first" | "last" => {
            ("depends on a frame that engines choose differently", "use ROW_NUMBER and filter on 1")
        }
        "array_agg" | "string_agg" | "listagg" | "group_concat" => ("has no order of its own", "aggregate to a number"),
        _ if name.starts_with("read_") => ("opens files", "read the tables of the catalogue by their names"),
        _ => ("is not admitted", "use a function of the list in `features/lint/expression.rs`"),
    };
    (format!("`{name}` {problem}"), instead.to_owned())
}

fn has_extras(arguments: &FunctionArguments) -> bool {
    match arguments {
        FunctionArguments::None => false,
        FunctionArguments::Subquery(_) => true,
        FunctionArguments::List(list) => {
            !list.clauses.is_empty()
                || matches!(list.duplicate_treatment, Some(DuplicateTreatment::All))
                || list.args.iter().any(|argument| {
                    !matches!(argument, FunctionArg::Unnamed(FunctionArgExpr::Expr(_) | FunctionArgExpr::Wildcard))
                })
        }
    }
}

/// Whether an expression is visibly a whole number.
fn is_whole(expression: &Expr) -> bool {
    match expression {
        Expr::Nested(inner) => is_whole(inner),
        Expr::Cast { data_type, .. } => data_type.to_string().eq_ignore_ascii_case("bigint"),
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) => text.parse::<i64>().is_ok(),
            Value::Null => true,
            _ => false,
        },
        Expr::Case { conditions, else_result, .. } => {
            conditions.iter().all(|branch| is_whole(&branch.result))
                && else_result.as_ref().is_none_or(|otherwise| is_whole(otherwise))
        }
        _ => false,
    }
}

fn check_window(walk: &mut Walk<'_>, function: &Function, name: &str, window: &WindowSpec) {
    let span = function.span();
    if window.window_name.is_some() {
        walk.refuse(span, "a named window", "write the window out in OVER (…)");
    }
    if RANKING.contains(&name) {
        check_ranking(walk, function, name, window);
        return;
    }
    if !AGGREGATE.contains(&name) {
        walk.refuse(span, &format!("`{name}` over a window"), "leave OVER out");
        return;
    }
    if window.order_by.is_empty() {
        if window.window_frame.is_some() {
            walk.refuse(span, "a frame without an order", "leave the frame out");
        }
        return;
    }
    check_order(walk, window);
    if !RUNNING.contains(&name) {
        let instead = "leave ORDER BY out, or compute it in a subselect of the rows before";
        walk.refuse(span, &format!("`{name}` OVER (… ORDER BY …): polars lets it read the future"), instead);
    } else if !is_running_frame(window) {
        let instead = "add ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW, and a unique last key";
        walk.refuse(span, "a running aggregate without its frame: engines treat ties differently", instead);
    }
}

fn check_ranking(walk: &mut Walk<'_>, function: &Function, name: &str, window: &WindowSpec) {
    let span = function.span();
    if window.order_by.is_empty() {
        walk.refuse(span, &format!("`{name}` without an order"), "add ORDER BY with a unique last key");
    }
    if window.window_frame.is_some() {
        walk.refuse(span, &format!("`{name}` with a frame"), "leave the frame out");
    }
    if matches!(name, "lag" | "lead") && arguments(function).len() > 2 {
        walk.refuse(span, &format!("`{name}` with a default"), "write COALESCE around it");
    }
    if matches!(name, "rank" | "dense_rank") && !window.order_by.iter().all(|key| is_never_null(walk, &key.expr)) {
        let instead = "add `x IS NOT NULL` to the WHERE of its SELECT, or order by COALESCE(x, 0)";
        walk.refuse(
            span,
            &format!("`{name}` by what may be null: polars gives null, and leaves such rows out"),
            instead,
        );
    }
    check_order(walk, window);
}

fn check_order(walk: &mut Walk<'_>, window: &WindowSpec) {
    for key in &window.order_by {
        let is_ascending = key.options.asc != Some(false);
        match key.options.nulls_first {
            None => refuse_order(walk, key),
            Some(nulls_first) if nulls_first != is_ascending && !is_never_null(walk, &key.expr) => {
                let problem = "a window in which polars puts nulls at the other end, whatever is written";
                walk.refuse(key.expr.span(), problem, "write ASC NULLS FIRST or DESC NULLS LAST");
            }
            Some(_) => {}
        }
    }
    let descending = |key: &sqlparser::ast::OrderByExpr| key.options.asc == Some(false);
    if let Some(first) = window.order_by.first()
        && window.order_by.iter().any(|key| descending(key) != descending(first))
    {
        walk.refuse(first.expr.span(), "ASC and DESC in one window", "use one direction, negating a number if need be");
    }
}

fn is_running_frame(window: &WindowSpec) -> bool {
    window.window_frame.as_ref().is_some_and(|frame| {
        frame.units == WindowFrameUnits::Rows
            && frame.start_bound == WindowFrameBound::Preceding(None)
            && frame.end_bound == Some(WindowFrameBound::CurrentRow)
    })
}
