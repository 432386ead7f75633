//! What the labels of a model say besides what it learns from them: whether the newest term is like the earlier ones, and
//! which terms the model in use has not learned from although it could have.

use std::collections::BTreeMap;

use anyhow::Context as _;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use polars::prelude::{PolarsResult, col};

use super::models::model_terms;
use super::tables::lake_error;
use crate::domain::check::Finding;
use crate::domain::outcome::{JobError, ModelRecord};
use crate::domain::schedule::parse_zone;
use crate::jobs::kind::JobContext;
use crate::lake::Dataset;
use crate::ml::dataset::Rows;
use crate::ml::label_share::{LabelShare, label_share};
use crate::ml::recipe::Recipe;
use crate::telemetry::spawn_blocking;

/// Returns a finding if the labels of the newest term are unlike those of earlier terms.
pub(in crate::jobs) async fn unusual_labels(
    cx: &JobContext,
    recipe: &Recipe,
    rows: &Rows,
) -> Result<Option<Finding>, JobError> {
    let Some(found) = label_share(rows).filter(LabelShare::is_unusual) else { return Ok(None) };
    let term = term_name(cx, &found.term).await?;
    let (label, now, before) = (&recipe.label, in_twenty(found.share), in_twenty(found.before));
    Ok(Some(Finding::warning(
        "labels.share_unusual",
        label.as_str(),
        format!(
            "about {now} % of the enrolments of {term} have the label `{label}`, and about {before} % had it in earlier terms"
        ),
        format!(
            "Compare the marks and withdrawals of {term} with the registrar's before a model that learned from them is \
             used; the label is defined in `labels/{label}.sql` (`paths.sql`)"
        ),
    )))
}

/// Returns a finding if the champion has not learned from a term whose labels have been known for longer than the recipe
/// allows.
pub(in crate::jobs) async fn stale_champion(
    cx: &JobContext,
    recipe: &Recipe,
    champion: &ModelRecord,
) -> Result<Option<Finding>, JobError> {
    let learned = model_terms(champion);
    if learned.is_empty() {
        return Ok(None);
    }
    let zone = parse_zone(&cx.input.timezone).map_err(JobError::fail)?;
    let known = first_known(cx, &recipe.label, &zone).await?;
    let Some((term, since)) = longest_waiting(&known, &learned) else { return Ok(None) };
    let days = cx.input.logical_date.since((jiff::Unit::Day, since)).map_or(0, |span| span.get_days());
    if days < i32::try_from(recipe.max_age_days).unwrap_or(i32::MAX) {
        return Ok(None);
    }
    let (model, term) = (&champion.model, term_name(cx, term).await?);
    Ok(Some(Finding::warning(
        "model.stale",
        model.as_str(),
        format!(
            "the version of `{model}` in use has not learned from {term}, whose outcomes have been known since the night \
             of {since}, for {days} days"
        ),
        format!(
            "See in the report why newer versions did not go into use, and correct what they learn from or the recipe \
             `{model}.toml` (`paths.models`); until then read the scores with care"
        ),
    )))
}

/// A share in steps of 5 %, so that no count of people follows from it.
fn in_twenty(share: f64) -> f64 {
    (share * 20.0).round() * 5.0
}

/// Of the terms that were not learned from, the one whose labels have been known the longest.
fn longest_waiting<'a>(known: &'a BTreeMap<String, Date>, learned: &[String]) -> Option<(&'a str, Date)> {
    let missed = known.iter().filter(|(term, _)| !learned.contains(term));
    missed.min_by_key(|(term, since)| (**since, *term)).map(|(term, since)| (term.as_str(), *since))
}

/// The first night that knew labels of a term, by term.
async fn first_known(cx: &JobContext, label: &str, zone: &TimeZone) -> Result<BTreeMap<String, Date>, JobError> {
    let dataset = Dataset::label(&label.parse().map_err(JobError::fail)?);
    let Some(manifest) = cx.manifest(&dataset).await? else { return Ok(BTreeMap::new()) };
    let rows = cx.environment.lake.rows(&dataset, &manifest.parts).await.map_err(lake_error)?;
    let Some(rows) = rows else { return Ok(BTreeMap::new()) };
    let read = spawn_blocking(move || {
        let first = rows.group_by([col("term")]).agg([col("known_at").to_physical().min()]).collect()?;
        let (terms, known) = (first.column("term")?.str()?.clone(), first.column("known_at")?.i64()?.clone());
        let pairs = terms.iter().zip(known.iter());
        PolarsResult::Ok(pairs.filter_map(|(term, known)| Some((term?.to_owned(), known?))).collect::<Vec<_>>())
    });
    let read = read.await.with_context(|| format!("reading when the labels of `{dataset}` became known"))?;
    Ok(read.into_iter().filter_map(|(term, known)| Some((term, first_night(known, zone)?))).collect())
}

/// The first night that knows what became known at an instant: the date whose start is not before it.
fn first_night(known_at_micros: i64, zone: &TimeZone) -> Option<Date> {
    let known_at = Timestamp::from_microsecond(known_at_micros).ok()?.to_zoned(zone.clone());
    let is_midnight = known_at.start_of_day().is_ok_and(|start| start == known_at);
    if is_midnight { Some(known_at.date()) } else { known_at.date().tomorrow().ok() }
}

/// The name of a term; its number where the source has no names.
async fn term_name(cx: &JobContext, term: &str) -> Result<String, JobError> {
    let names = cx.term_names().await?;
    let name = term.parse().ok().and_then(|id: i64| names.get(&id).cloned());
    Ok(name.unwrap_or_else(|| format!("the term {term}")))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_term_that_was_learned_from_does_not_make_a_model_old() {
        let known = BTreeMap::from([
            ("4".to_owned(), date(2026, 5, 11)),
            ("5".to_owned(), date(2026, 9, 14)),
            ("6".to_owned(), date(2027, 1, 11)),
        ]);
        let learned = |terms: &[&str]| terms.iter().map(|term| (*term).to_owned()).collect::<Vec<_>>();

        assert_eq!(longest_waiting(&known, &learned(&["4"])), Some(("5", date(2026, 9, 14))));
        assert_eq!(longest_waiting(&known, &learned(&["4", "5", "6"])), None);
    }

    #[test]
    fn labels_that_become_known_in_the_last_second_of_a_day_are_known_to_the_next_night() {
        let zone = TimeZone::get("America/Detroit").unwrap();
        let night = |text: &str| first_night(text.parse::<Timestamp>().unwrap().as_microsecond(), &zone);

        assert_eq!(night("2026-09-14T03:59:59Z"), Some(date(2026, 9, 14)));
        assert_eq!(night("2026-09-14T04:00:00Z"), Some(date(2026, 9, 14)));
        assert_eq!(night("2026-09-14T04:00:01Z"), Some(date(2026, 9, 15)));
    }
}
