//! Puts the complaints of a JSON schema validator into plain words.
//!
//! Each complaint of the validator becomes one or more sentences, each with the keys it is about: what was found and
//! what is allowed. Complaints about alternatives are reported as those of the alternative that was meant. A value
//! whose schema is `writeOnly` (a secret) is never quoted. Positions in the file are left to `document`.

use std::cell::Cell;

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::paths::{Location, LocationSegment};
use serde_json::Value;

/// The schema keyword that says in words what a value must be, where the standard keywords alone would not help a
/// person.
const EXPECTED: &str = "x-expected";

/// How many allowed words are listed; for the rest only their number.
const LISTED: usize = 40;

/// For how many unknown words a similar one is looked for.
const SEARCHED: usize = 200;

/// Returns the sentences for one complaint, each with the keys below the document's root that it is about.
pub(super) fn explain(error: &ValidationError<'_>, schema: &Value) -> Vec<(Vec<String>, String)> {
    let path = keys(error.instance_path());
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            let allowed = Words::new(allowed_keys(schema, error.schema_path()));
            let mut unexpected: Vec<&String> = unexpected.iter().collect();
            unexpected.sort();
            let one = |key: &String| {
                let path = path.iter().chain([key]).cloned().collect();
                (path, format!("unknown key; {}", allowed.among(key)))
            };
            unexpected.into_iter().map(one).collect()
        }
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            alternatives(error, context, schema)
        }
        _ => vec![(path, sentence(error, schema))],
    }
}

/// Words that are allowed somewhere, with which many unknown ones are compared.
pub struct Words {
    allowed: Vec<String>,
    list: String,
    /// How many searches for similar words are left: each takes time, and of very many mistakes most are not printed.
    searches: Cell<usize>,
}

impl Words {
    /// Returns the words.
    pub fn new(allowed: Vec<String>) -> Self {
        let list = match allowed.len() {
            0 => "none is allowed here".to_owned(),
            n if n <= LISTED => format!("allowed: {}", allowed.join(", ")),
            n => format!("allowed: {}, and {} more", allowed[..LISTED].join(", "), n - LISTED),
        };
        Self { allowed, list, searches: Cell::new(SEARCHED) }
    }

    /// Returns "allowed: …", preceded by "did you mean" if a word is similar.
    pub fn among(&self, found: &str) -> String {
        match self.near(found) {
            Some(word) => format!("did you mean `{word}`? {}", self.list),
            None => self.list.clone(),
        }
    }

    fn near(&self, found: &str) -> Option<&String> {
        self.searches.set(self.searches.get().checked_sub(1)?);
        let near = self.allowed.iter().map(|word| (strsim::damerau_levenshtein(found, word), word));
        near.filter(|(distance, word)| *distance <= 1 + word.len() / 4).min().map(|(_, word)| word)
    }
}

/// The complaint of `anyOf` and `oneOf`: optional values, words with a description each, tables that state their kind.
fn alternatives(
    error: &ValidationError<'_>,
    context: &[Vec<ValidationError<'static>>],
    schema: &Value,
) -> Vec<(Vec<String>, String)> {
    let meant: Vec<_> = context.iter().filter(|branch| !is_null_only(branch)).collect();
    let without_words: Vec<_> = meant.iter().filter(|branch| words(branch).is_empty()).collect();
    if let [branch] = without_words.as_slice() {
        return branch.iter().flat_map(|inner| explain(inner, schema)).collect();
    }
    if let [branch] = meant.as_slice()
        && branch.iter().any(|inner| !matches!(inner.kind(), ValidationErrorKind::Constant { .. }))
    {
        return branch.iter().flat_map(|inner| explain(inner, schema)).collect();
    }
    let allowed: Vec<String> = meant.iter().flat_map(|branch| words(branch)).collect();
    let word = meant.iter().flat_map(|branch| branch.iter()).find(|inner| is_word(inner)).unwrap_or(error);
    let found = described(word, schema);
    let message = if allowed.is_empty() {
        format!("found {found}, which has none of the allowed forms")
    } else {
        format!("found {found}; {}", Words::new(allowed).among(word.instance().as_str().unwrap_or_default()))
    };
    vec![(keys(word.instance_path()), message)]
}

fn is_null_only(branch: &[ValidationError<'static>]) -> bool {
    matches!(branch, [error] if matches!(error.kind(),
        ValidationErrorKind::Type { kind: TypeKind::Single(wanted) } if wanted.to_string() == "null"))
}

fn is_word(error: &ValidationError<'_>) -> bool {
    matches!(error.kind(), ValidationErrorKind::Constant { .. } | ValidationErrorKind::Enum { .. })
}

/// The words that an alternative would have allowed.
fn words(branch: &[ValidationError<'static>]) -> Vec<String> {
    let mut words = Vec::new();
    for error in branch {
        match error.kind() {
            ValidationErrorKind::Constant { expected_value } => {
                words.extend(expected_value.as_str().map(str::to_owned));
            }
            ValidationErrorKind::Enum { options } => words.extend(texts(options)),
            ValidationErrorKind::OneOfNotValid { context } => {
                words.extend(context.iter().flat_map(|branch| self::words(branch)));
            }
            _ => {}
        }
    }
    words
}

fn sentence(error: &ValidationError<'_>, schema: &Value) -> String {
    let found = described(error, schema);
    if let Some(expected) = around(schema, error.schema_path()).and_then(|node| node.get(EXPECTED)?.as_str()) {
        return format!("expected {expected}, found {found}");
    }
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            format!("the key `{}` is missing", property.as_str().unwrap_or_default())
        }
        ValidationErrorKind::Type { kind: TypeKind::Single(wanted) } => {
            format!("expected {}, found {found}", type_words(&wanted.to_string()))
        }
        ValidationErrorKind::Type { kind: TypeKind::Multiple(wanted) } => {
            let wanted: Vec<String> = wanted.iter().map(|wanted| wanted.to_string()).collect();
            let wanted: Vec<&str> = wanted.iter().filter(|w| *w != "null").map(|w| type_words(w)).collect();
            format!("expected {}, found {found}", wanted.join(" or "))
        }
        ValidationErrorKind::Enum { options } => {
            format!(
                "found {found}; {}",
                Words::new(texts(options)).among(error.instance().as_str().unwrap_or_default())
            )
        }
        ValidationErrorKind::Constant { expected_value } => format!("found {found}; allowed: {expected_value}"),
        ValidationErrorKind::Minimum { limit } => format!("found {found}; the smallest allowed is {limit}"),
        ValidationErrorKind::Maximum { limit } => format!("found {found}; the largest allowed is {limit}"),
        ValidationErrorKind::ExclusiveMinimum { limit } => format!("found {found}; it must be more than {limit}"),
        ValidationErrorKind::ExclusiveMaximum { limit } => format!("found {found}; it must be less than {limit}"),
        ValidationErrorKind::MinItems { limit } => format!("the list needs at least {limit}"),
        ValidationErrorKind::MaxItems { limit } => format!("the list may hold at most {limit}"),
        ValidationErrorKind::MinProperties { limit } => format!("the table needs at least {limit}"),
        ValidationErrorKind::MinLength { limit } if *limit == 1 => "the text is empty".to_owned(),
        ValidationErrorKind::MinLength { limit } => format!("the text needs at least {limit} characters"),
        ValidationErrorKind::MaxLength { limit } => format!("the text may have at most {limit} characters"),
        ValidationErrorKind::UniqueItems => "the list names something twice".to_owned(),
        ValidationErrorKind::Pattern { pattern } => format!("found {found}; it must match `{pattern}`"),
        _ => error.masked_with("the value").to_string(),
    }
}

/// What was found, as far as it may be shown.
fn described(error: &ValidationError<'_>, schema: &Value) -> String {
    let is_secret = around(schema, error.schema_path())
        .is_some_and(|node| node.get("writeOnly").and_then(Value::as_bool).unwrap_or_default());
    match error.instance().as_ref() {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a table".to_owned(),
        _ if is_secret => "something else (it is not shown)".to_owned(),
        Value::Null => "nothing".to_owned(),
        Value::Bool(truth) => format!("`{truth}`"),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) if text.chars().count() > 60 => {
            format!("the text \"{}…\"", text.chars().take(60).collect::<String>())
        }
        Value::String(text) => format!("the text \"{text}\""),
    }
}

fn type_words(json_type: &str) -> &'static str {
    match json_type {
        "integer" => "a whole number",
        "number" => "a number",
        "string" => "text",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a table",
        _ => "nothing",
    }
}

fn texts(options: &Value) -> Vec<String> {
    options.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn keys(location: &Location) -> Vec<String> {
    let key = |segment: LocationSegment<'_>| match segment {
        LocationSegment::Property(name) => name.to_string(),
        LocationSegment::Index(index) => index.to_string(),
    };
    location.iter().map(key).collect()
}

/// The keys that the schema around an `additionalProperties` knows.
fn allowed_keys(schema: &Value, at: &Location) -> Vec<String> {
    let properties = around(schema, at).and_then(|node| node.get("properties")?.as_object());
    properties.map(|keys| keys.keys().cloned().collect()).unwrap_or_default()
}

/// The schema whose keyword complains at `at`.
fn around<'a>(schema: &'a Value, at: &Location) -> Option<&'a Value> {
    let segments = keys(at);
    let (_, around) = segments.split_last()?;
    around.iter().try_fold(schema, |node, segment| {
        if segment == "$ref" {
            return schema.pointer(node.get("$ref")?.as_str()?.strip_prefix('#')?);
        }
        segment.parse::<usize>().ok().and_then(|index| node.get(index)).or_else(|| node.get(segment.as_str()))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use schemars::JsonSchema;
    use serde::Deserialize;

    use crate::domain::document::Document;

    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Sample {
        name: String,
        count: u32,
        #[serde(default)]
        inner: Inner,
        secret: Option<Secret>,
        retry: Option<Inner>,
        #[serde(default)]
        rule: crate::domain::table::TermRule,
        #[serde(default)]
        many: BTreeMap<String, Inner>,
        #[schemars(length(min = 1))]
        list: Option<Vec<u32>>,
    }

    #[derive(Deserialize, JsonSchema, Default)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Inner {
        policy: crate::domain::dag::CatchUp,
        limit: Option<f64>,
        maybe: Option<crate::domain::dag::GapPolicy>,
    }

    #[derive(Deserialize, JsonSchema)]
    #[schemars(extend("writeOnly" = true, "x-expected" = "`env:NAME` or `file:PATH`"))]
    #[expect(dead_code, reason = "only its schema is used")]
    struct Secret(#[schemars(regex(pattern = "^env:"))] String);

    fn mistakes(text: &str) -> String {
        let schema = schemars::schema_for!(Sample).to_value();
        let document = Document::parse("a.toml", text).unwrap();
        let mut mistakes = document.mistakes(&schema);
        mistakes.sort();
        mistakes.iter().map(|mistake| format!("{mistake}\n")).collect()
    }

    #[test]
    fn every_mistake_is_told_with_its_line_and_what_is_allowed() {
        let found = mistakes("nam = 'x'\ncount = 'three'\n[inner]\npolicy = 'lates'\nlimit = true\nmaybe = 'nxt'\n");

        insta::assert_snapshot!(found, @r#"
        a.toml:1:1: the key `name` is missing
        a.toml:1:1: `nam`: unknown key; did you mean `name`? allowed: name, count, inner, secret, retry, rule, many, list
        a.toml:2:1: `count`: expected a whole number, found the text "three"
        a.toml:4:1: `inner.policy`: found the text "lates"; did you mean `latest`? allowed: none, latest, all
        a.toml:5:1: `inner.limit`: expected a number, found `true`
        a.toml:6:1: `inner.maybe`: found the text "nxt"; did you mean `next`? allowed: next, skip
        "#);
    }

    #[test]
    fn a_mistake_in_an_optional_table_is_told_as_in_any_other() {
        let found = mistakes(
            "name = 'x'\ncount = 1\nlist = []\nretry = { polcy = 'all', limit = 'x' }\n[many.a]\npolicy = 3\n",
        );

        insta::assert_snapshot!(found, @r#"
        a.toml:3:1: `list`: the list needs at least 1
        a.toml:4:1: `retry`: the key `policy` is missing
        a.toml:4:11: `retry.polcy`: unknown key; did you mean `policy`? allowed: policy, limit, maybe
        a.toml:4:26: `retry.limit`: expected a number, found the text "x"
        a.toml:6:1: `many.a.policy`: found the number 3; allowed: none, latest, all
        "#);
    }

    #[test]
    fn a_table_that_states_its_kind_is_held_to_that_kind() {
        let wrong_kind = mistakes("name = 'x'\ncount = 1\nrule = { by = 'curse', column = 'id' }\n");
        let wrong_key = mistakes("name = 'x'\ncount = 1\nrule = { by = 'course', colum = 'id' }\n");

        insta::assert_snapshot!(format!("{wrong_kind}{wrong_key}"), @r#"
        a.toml:3:10: `rule.by`: found the text "curse"; did you mean `course`? allowed: none, term, course, enrollment
        a.toml:3:1: `rule`: the key `column` is missing
        a.toml:3:25: `rule.colum`: unknown key; did you mean `column`? allowed: by, column
        "#);
    }

    #[test]
    fn a_secret_is_not_quoted() {
        for secret in ["'hunter2'", "70077"] {
            let found = mistakes(&format!("name = 'x'\ncount = 1\nsecret = {secret}\n"));

            assert_eq!(
                found,
                "a.toml:3:1: `secret`: expected `env:NAME` or `file:PATH`, found something else (it is not shown)\n"
            );
        }
    }
}
