//! The lint over feature and label SQL: only constructs that are known to be right pass.
//!
//! polars-sql answers some SQL wrongly without an error (non-equi outer joins lose rows, ordered averages read the
//! future, running sums depend on the order of ties, windows put nulls where they are not asked to), and some SQL has no
//! single answer at all (sums of floats in any order, LIMIT without a total order, the wall clock). So this is an
//! allow-list over the parsed text, by the parser that polars uses: whatever is not named here is refused, with its
//! place, the reason and what to write instead, all at once.
//! It promises never to panic, whatever the text. It deliberately knows no schema: names and types are checked when
//! a frame is built. Every rule has a test below.
//!
//! To admit a construct: add it to `query` or `expression`, a test here, and a query with it to `tests/it/oracle`, which
//! holds polars' answers against PostgreSQL's, value by value.

mod expression;
mod one_row;
mod query;
mod walk;

use std::collections::BTreeSet;

use sqlparser::ast::{
    Cte, Expr, ObjectName, ObjectNamePart, Query, Select, Spanned, Statement, TableFactor, Visit, Visitor,
};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Tokenizer};

use walk::Walk;

pub(super) use one_row::other_rows;
pub use walk::Refusal;

/// What the SQL reads, when it passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linted {
    /// The tables it reads, without its own common table expressions.
    pub reads: BTreeSet<String>,
}

/// Lints `sql`, a rendered template; `times` are the only instants it may name, as SQL literals.
///
/// # Errors
/// All refusals, in order of their place.
pub fn lint(sql: &str, times: &[String]) -> Result<Linted, Vec<Refusal>> {
    let mut walk = Walk::new(times);
    walk.tokens(sql);
    match Parser::parse_sql(&GenericDialect, sql) {
        Err(error) => walk.refuse_nowhere(&format!("it is not SQL: {error}"), "correct the syntax"),
        Ok(statements) => walk.statements(&statements),
    }
    walk.refusals.sort();
    walk.refusals.dedup();
    if walk.refusals.is_empty() {
        Ok(Linted { reads: walk.relations.difference(&walk.names).cloned().collect() })
    } else {
        Err(walk.refusals)
    }
}

impl Walk<'_> {
    /// Refuses, by their tokens, constructs that the parser drops or reads in its own way.
    fn tokens(&mut self, sql: &str) {
        // What does not tokenise does not parse either; the parser reports it.
        let tokens = Tokenizer::new(&GenericDialect, sql).tokenize_with_location().unwrap_or_default();
        for token in tokens {
            match &token.token {
                Token::Word(word) if word.quote_style.is_some() => self.refuse(
                    token.span,
                    "a quoted identifier: other engines read it as text",
                    "use a plain lower-case name",
                ),
                Token::Mod => self.refuse(
                    token.span,
                    "`%` gives another sign for negative numbers than other engines",
                    "use FLOOR: a - b * FLOOR(a / b)",
                ),
                _ => {}
            }
        }
    }

    fn statements(&mut self, statements: &[Statement]) {
        let [statement] = statements else {
            let problem = format!("{} statements", statements.len());
            self.refuse_nowhere(&problem, "write one SELECT, with WITH where it has several steps");
            return;
        };
        let Statement::Query(query) = statement else {
            self.refuse(statement.span(), "a statement that is not a query", "write one SELECT");
            return;
        };
        // The walk never stops early, so that all refusals come at once.
        let std::ops::ControlFlow::Continue(()) = query.visit(self);
    }

    fn common_table(&mut self, cte: &Cte) {
        self.names.insert(cte.alias.name.value.clone());
        if cte.from.is_some() || !cte.alias.columns.is_empty() {
            self.refuse(cte.span(), "a column list on a WITH name", "name the columns with AS in its SELECT");
        }
    }
}

impl Visitor for Walk<'_> {
    type Break = std::convert::Infallible;

    fn pre_visit_query(&mut self, query: &Query) -> std::ops::ControlFlow<Self::Break> {
        query::check_query(self, query);
        if let Some(with) = &query.with {
            with.cte_tables.iter().for_each(|cte| self.common_table(cte));
        }
        std::ops::ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> std::ops::ControlFlow<Self::Break> {
        query::check_select(self, select);
        self.never_null.push(query::never_null(select.selection.as_ref()));
        std::ops::ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _: &Select) -> std::ops::ControlFlow<Self::Break> {
        self.never_null.pop();
        std::ops::ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> std::ops::ControlFlow<Self::Break> {
        query::check_table(self, factor);
        std::ops::ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> std::ops::ControlFlow<Self::Break> {
        match relation.0.as_slice() {
            [ObjectNamePart::Identifier(name)] => {
                self.relations.insert(name.value.clone());
            }
            _ => self.refuse(relation.span(), "a table name with a schema", "use the plain name of the table"),
        }
        std::ops::ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> std::ops::ControlFlow<Self::Break> {
        expression::check(self, expression);
        std::ops::ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests;
