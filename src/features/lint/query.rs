//! The lint's rules on queries: clauses, joins, tables.
//!
//! An admitted outer join compares columns of the two sides for equality and nothing else; a limit has a total order
//! with a stated place for nulls. Expressions are judged in `expression`.

use sqlparser::ast::{
    BinaryOperator, Distinct, Expr, GroupByExpr, Join, JoinConstraint, JoinOperator, LimitClause, OrderByExpr,
    OrderByKind, Query, Select, SelectItem, SetExpr, SetOperator, SetQuantifier, Spanned, TableFactor,
    visit_expressions,
};

use super::walk::Walk;

const INNER_ON: &str = "compare columns of the two sides with `=` in ON, and filter in WHERE";
const OUTER_ON: &str = "join on `a.x = b.y` alone, and filter the joined side in a subselect before the join";

pub(super) fn check_query(walk: &mut Walk<'_>, query: &Query) {
    let span = query.span();
    if query.with.as_ref().is_some_and(|with| with.recursive) {
        walk.refuse(span, "WITH RECURSIVE", "write the steps out");
    }
    if query.fetch.is_some()
        || !query.locks.is_empty()
        || query.for_clause.is_some()
        || query.settings.is_some()
        || query.format_clause.is_some()
        || !query.pipe_operators.is_empty()
    {
        walk.refuse(span, "a clause after the query that only some engines know", "leave it out");
    }
    check_body(walk, &query.body);
    if let Some(limit) = &query.limit_clause {
        let plain = matches!(limit, LimitClause::LimitOffset { limit_by, offset: None, .. } if limit_by.is_empty());
        if !plain {
            walk.refuse(span, "OFFSET or LIMIT BY", "use ROW_NUMBER in a subselect and filter on it");
        }
        match query.order_by.as_ref().map(|order| &order.kind) {
            Some(OrderByKind::Expressions(keys)) => {
                for key in keys.iter().filter(|key| key.options.nulls_first.is_none()) {
                    refuse_order(walk, key);
                }
            }
            _ => walk.refuse(span, "LIMIT without an order: any rows may come", "add ORDER BY with a unique last key"),
        }
    }
}

pub(super) fn refuse_order(walk: &mut Walk<'_>, key: &OrderByExpr) {
    walk.refuse(
        key.expr.span(),
        "an order that does not say where nulls go: engines differ",
        "add NULLS FIRST or NULLS LAST",
    );
}

fn check_body(walk: &mut Walk<'_>, body: &SetExpr) {
    match body {
        SetExpr::Select(_) | SetExpr::Query(_) => {}
        SetExpr::SetOperation { op, set_quantifier, left, right } => {
            check_body(walk, left);
            check_body(walk, right);
            if !matches!(set_quantifier, SetQuantifier::None | SetQuantifier::All | SetQuantifier::Distinct) {
                walk.refuse(body.span(), "BY NAME", "put the columns in the same order");
            }
            if *set_quantifier == SetQuantifier::All && *op != SetOperator::Union {
                walk.refuse(body.span(), "EXCEPT ALL or INTERSECT ALL: polars has neither", "leave ALL out");
            }
        }
        _ => walk.refuse(body.span(), "something other than a SELECT", "write a SELECT"),
    }
}

pub(super) fn check_select(walk: &mut Walk<'_>, select: &Select) {
    let span = select.span();
    if matches!(select.distinct, Some(Distinct::On(_))) {
        walk.refuse(span, "DISTINCT ON: which row is kept depends on the engine", "use ROW_NUMBER in a subselect");
    }
    if select.qualify.is_some() {
        walk.refuse(span, "QUALIFY", "filter on the window's column in an outer SELECT");
    }
    if !select.named_window.is_empty() {
        walk.refuse(span, "a named window", "write the window out in OVER (…)");
    }
    if select.into.is_some()
        || select.top.is_some()
        || select.exclude.is_some()
        || select.prewhere.is_some()
        || select.value_table_mode.is_some()
        || select.select_modifiers.is_some()
        || !select.lateral_views.is_empty()
        || !select.connect_by.is_empty()
        || !select.cluster_by.is_empty()
        || !select.distribute_by.is_empty()
        || !select.sort_by.is_empty()
    {
        walk.refuse(span, "a clause of SELECT that only some engines know", "use FROM, WHERE, GROUP BY and HAVING");
    }
    let (GroupByExpr::All(modifiers) | GroupByExpr::Expressions(_, modifiers)) = &select.group_by;
    if !modifiers.is_empty() {
        walk.refuse(span, "ROLLUP, CUBE or TOTALS", "write one SELECT for each grouping");
    }
    if select.from.len() > 1 {
        walk.refuse(span, "tables separated by commas", "write JOIN … ON");
    }
    if select.projection.is_empty() {
        walk.refuse(span, "SELECT without columns", "name the columns");
    }
    let joins: Vec<&Join> = select.from.iter().flat_map(|from| &from.joins).collect();
    for join in &joins {
        check_join(walk, join);
    }
    check_wildcards(walk, select, &joins);
    if let std::ops::ControlFlow::Break(span) = visit_expressions(&select.projection, |expression| match expression {
        Expr::InSubquery { .. } => std::ops::ControlFlow::Break(expression.span()),
        _ => std::ops::ControlFlow::Continue(()),
    }) {
        walk.refuse(
            span,
            "IN (SELECT …) as a value: polars computes it in WHERE only",
            "use it in WHERE, or LEFT JOIN",
        );
    }
}

/// Returns the columns that are not null in every row that `condition` lets through, as they are written there.
pub(super) fn never_null(condition: Option<&Expr>) -> Vec<String> {
    match condition {
        Some(Expr::Nested(inner)) => never_null(Some(inner)),
        Some(Expr::IsNotNull(column)) => vec![column.to_string()],
        Some(Expr::BinaryOp { left, op: BinaryOperator::And, right }) => {
            [never_null(Some(left)), never_null(Some(right))].concat()
        }
        _ => Vec::new(),
    }
}

fn check_wildcards(walk: &mut Walk<'_>, select: &Select, joins: &[&Join]) {
    let using = joins.iter().any(|join| matches!(constraint(&join.join_operator), Some(JoinConstraint::Using(_))));
    for item in &select.projection {
        let (SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options)) = item else {
            if matches!(item, SelectItem::ExprWithAliases { .. }) {
                walk.refuse(item.span(), "several names for one column", "give it one name");
            }
            continue;
        };
        if using {
            walk.refuse(item.span(), "`*` with USING: the key comes twice", "name the columns");
        }
        if options.opt_exclude.is_some()
            || options.opt_except.is_some()
            || options.opt_replace.is_some()
            || options.opt_rename.is_some()
            || options.opt_ilike.is_some()
        {
            walk.refuse(item.span(), "`*` with EXCLUDE, REPLACE or RENAME", "name the columns");
        }
    }
}

fn constraint(operator: &JoinOperator) -> Option<&JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint) => Some(constraint),
        _ => None,
    }
}

fn check_join(walk: &mut Walk<'_>, join: &Join) {
    let span = join.relation.span();
    let Some(found) = constraint(&join.join_operator).filter(|_| !join.global) else {
        let instead = "use JOIN or LEFT JOIN (IN and EXISTS for semi-joins)";
        let problem = "a kind of join that is not admitted (polars panics at a CROSS JOIN with a comparison)";
        walk.refuse(span, problem, instead);
        return;
    };
    let outer = matches!(join.join_operator, JoinOperator::Left(_) | JoinOperator::LeftOuter(_));
    match found {
        JoinConstraint::Natural => walk.refuse(span, "NATURAL: a new column changes the join", "write ON a.x = b.x"),
        JoinConstraint::None => walk.refuse(span, "a join without ON", "write ON"),
        JoinConstraint::On(condition) if !is_equi(condition) => {
            let (problem, instead) = if outer {
                ("an outer join on more than equal columns: polars drops unmatched rows", OUTER_ON)
            } else {
                ("a join on more than equal columns: polars compares only equal types, and materialises", INNER_ON)
            };
            walk.refuse(condition.span(), problem, instead);
        }
        _ => {}
    }
}

/// Whether a condition is a conjunction of `a.x = b.y` with two different sides.
pub(super) fn is_equi(condition: &Expr) -> bool {
    match condition {
        Expr::Nested(inner) => is_equi(inner),
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => is_equi(left) && is_equi(right),
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => match (left.as_ref(), right.as_ref()) {
            (Expr::CompoundIdentifier(a), Expr::CompoundIdentifier(b)) => {
                a.len() == 2 && b.len() == 2 && a[0].value != b[0].value
            }
            _ => false,
        },
        _ => false,
    }
}

pub(super) fn check_table(walk: &mut Walk<'_>, factor: &TableFactor) {
    match factor {
        TableFactor::Table { args: None, with_hints, version: None, with_ordinality: false, sample: None, .. }
            if with_hints.is_empty() => {}
        TableFactor::Table { args: Some(_), .. } | TableFactor::TableFunction { .. } | TableFactor::Function { .. } => {
            let instead = "read the tables of the catalogue by their names";
            walk.refuse(factor.span(), "a table function: SQL must not open files", instead);
        }
        TableFactor::Derived { lateral: false, sample: None, alias: Some(_), .. } => {}
        TableFactor::Derived { lateral: false, sample: None, alias: None, .. } => {
            walk.refuse(factor.span(), "a subselect without a name", "add AS name");
        }
        TableFactor::NestedJoin { .. } => {
            walk.refuse(factor.span(), "joins in parentheses", "write the joins one after the other, or use WITH");
        }
        _ => walk.refuse(factor.span(), "a source of rows that is not a table", "use a table or a subselect"),
    }
}
