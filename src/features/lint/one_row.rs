//! Whether a predicate is about one row: it can be decided from the row's own columns.
//!
//! A subquery, an aggregate or a window sees other rows. Such a predicate is fine where rows are counted, and not where
//! single rows are held back and judged again later, among others.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Query, Visit, Visitor};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;

use super::expression::{AGGREGATE, name_of};

/// Returns what in a rendered query sees other rows than the one it filters; `None` where nothing does, and where the
/// query does not parse, which the lint reports.
pub(in crate::features) fn other_rows(sql: &str) -> Option<&'static str> {
    let statements = Parser::parse_sql(&GenericDialect, sql).ok()?;
    let mut search = Search { queries: 0 };
    statements.iter().find_map(|statement| statement.visit(&mut search).break_value())
}

struct Search {
    queries: u32,
}

impl Visitor for Search {
    type Break = &'static str;

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<Self::Break> {
        self.queries += 1;
        if self.queries > 1 { ControlFlow::Break("a subquery") } else { ControlFlow::Continue(()) }
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<Self::Break> {
        let Expr::Function(function) = expression else { return ControlFlow::Continue(()) };
        match name_of(function) {
            _ if function.over.is_some() => ControlFlow::Break("a window"),
            Some(name) if AGGREGATE.contains(&name.as_str()) => ControlFlow::Break("an aggregate"),
            _ => ControlFlow::Continue(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(predicate: &str) -> Option<&'static str> {
        other_rows(&format!("SELECT id FROM t WHERE {predicate}"))
    }

    #[test]
    fn what_sees_other_rows_is_named() {
        assert_eq!(found("score > 1 AND COALESCE(state, 'a') IN ('a', 'b')"), None);
        assert_eq!(found("id IN (SELECT id FROM t WHERE score > 1)"), Some("a subquery"));
        assert_eq!(found("score > MAX(score)"), Some("an aggregate"));
        assert_eq!(found("score > MAX(score) OVER (PARTITION BY state)"), Some("a window"));
    }
}
