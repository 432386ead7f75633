//! The lint over feature and label SQL: only constructs that are known to be right pass.
//!
//! polars-sql answers some SQL wrongly without an error (non-equi outer joins lose rows, ordered averages read the
//! future, running sums depend on the order of ties, windows put nulls where they are not asked to), and some SQL has no single answer at all (sums of floats in any
//! order, LIMIT without a total order, the wall clock). So this is an allow-list over the parsed text, by the parser that
//! polars uses: whatever is not named here is refused, with its place, the reason and what to write instead, all at once.
//! It promises never to panic, whatever the text. It deliberately knows no schema: names and types are checked when
//! a frame is built. Every rule has a test below.
//!
//! To admit a construct: add it to `query` or `expression`, a test here, and a query with it to `tests/it/oracle`, which
//! holds polars' answers against PostgreSQL's, value by value.

mod expression;
mod query;

use std::collections::BTreeSet;
use std::fmt;

use sqlparser::ast::{
    Cte, Expr, ObjectName, ObjectNamePart, Query, Select, Spanned, Statement, TableFactor, Value, Visit, Visitor,
};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Location, Span, Token, Tokenizer};

/// One construct that is refused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    /// The line in the rendered SQL, from 1; 0 where the place is unknown.
    pub line: u64,
    /// The column, from 1; 0 where the place is unknown.
    pub column: u64,
    /// What was found, and why it is refused.
    pub problem: String,
    /// What to write instead.
    pub instead: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}, column {}: ", self.line, self.column)?;
        }
        write!(f, "{}; {}", self.problem, self.instead)
    }
}

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
    let mut walk = Walk {
        times,
        refusals: Vec::new(),
        relations: BTreeSet::new(),
        names: BTreeSet::new(),
        never_null: Vec::new(),
    };
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

/// The walk over the parsed text: what was refused so far, and the names met.
struct Walk<'a> {
    times: &'a [String],
    refusals: Vec<Refusal>,
    relations: BTreeSet<String>,
    names: BTreeSet<String>,
    /// For each SELECT around the place that is looked at, the columns that its WHERE keeps from being null.
    never_null: Vec<Vec<String>>,
}

impl Walk<'_> {
    /// Whether an expression is visibly never null.
    fn is_never_null(&self, expression: &Expr) -> bool {
        match expression {
            Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => self.is_never_null(inner),
            Expr::Value(value) => !matches!(value.value, Value::Null),
            Expr::Function(function) if expression::name_of(function).as_deref() == Some("coalesce") => {
                expression::arguments(function).last().is_some_and(|last| self.is_never_null(last))
            }
            column => self.never_null.last().is_some_and(|known| known.contains(&column.to_string())),
        }
    }

    fn refuse(&mut self, span: Span, problem: &str, instead: &str) {
        self.refuse_at(span.start, problem, instead);
    }

    fn refuse_at(&mut self, at: Location, problem: &str, instead: &str) {
        self.refusals.push(Refusal {
            line: at.line,
            column: at.column,
            problem: problem.to_owned(),
            instead: instead.to_owned(),
        });
    }

    fn refuse_nowhere(&mut self, problem: &str, instead: &str) {
        self.refuse(Span::empty(), problem, instead);
    }

    /// What the parser forgets or reads in its own way is refused by its tokens.
    fn tokens(&mut self, sql: &str) {
        // What does not tokenise does not parse either; the parser says so.
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
            self.refuse(statement.span(), "a statement that is no query", "write one SELECT");
            return;
        };
        // The walk never breaks off, so that all refusals come at once.
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
