//! Rows of a frame as text for people, and as JSON for programs.

use jiff::Timestamp;
use jiff::civil::Date;
use polars::prelude::{AnyValue, DataFrame, PolarsResult, TimeUnit};
use serde_json::{Map, Value};

/// Returns the names of a frame's columns, and its rows as text.
pub(super) fn texts(frame: &DataFrame) -> PolarsResult<(Vec<String>, Vec<Vec<String>>)> {
    let rows =
        (0..frame.height()).map(|row| frame.columns().iter().map(|column| Ok(text(&column.get(row)?))).collect());
    Ok((names(frame), rows.collect::<PolarsResult<_>>()?))
}

/// Returns a frame's rows as objects: numbers, truth values and nulls as such, instants in RFC 3339.
pub(super) fn objects(frame: &DataFrame) -> PolarsResult<Vec<Map<String, Value>>> {
    let names = names(frame);
    let object = |row: usize| -> PolarsResult<Map<String, Value>> {
        names.iter().zip(frame.columns()).map(|(name, column)| Ok((name.clone(), json(&column.get(row)?)))).collect()
    };
    (0..frame.height()).map(object).collect()
}

fn names(frame: &DataFrame) -> Vec<String> {
    frame.get_column_names().iter().map(ToString::to_string).collect()
}

fn text(value: &AnyValue<'_>) -> String {
    value.get_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn json(value: &AnyValue<'_>) -> Value {
    match value {
        AnyValue::Null => Value::Null,
        AnyValue::Boolean(truth) => Value::from(*truth),
        AnyValue::Float32(number) => Value::from(*number),
        AnyValue::Float64(number) => Value::from(*number),
        AnyValue::Date(day) => Date::new(1970, 1, 1)
            .ok()
            .and_then(|epoch| epoch.checked_add(jiff::Span::new().try_days(*day).ok()?).ok())
            .map_or_else(|| Value::from(value.to_string()), |date| Value::from(date.to_string())),
        AnyValue::Datetime(at, TimeUnit::Microseconds, _) => Timestamp::from_microsecond(*at)
            .map_or_else(|_| Value::from(value.to_string()), |at| Value::from(at.to_string())),
        AnyValue::List(items) => items.iter().map(|item| json(&item)).collect(),
        other if other.is_integer() => other.extract::<i64>().map_or(Value::Null, Value::from),
        other => Value::from(text(other)),
    }
}

#[cfg(test)]
mod tests {
    use polars::prelude::{Column, DataType, IntoColumn as _, NamedFrom as _, Series};

    use super::*;

    #[test]
    fn values_keep_their_types_in_json() {
        let at = Series::new("at".into(), [Some(1_763_600_400_000_000_i64), None]);
        let at = at.cast(&DataType::Datetime(TimeUnit::Microseconds, None)).unwrap();
        let day = Series::new("day".into(), [20_412_i32, 0]).cast(&DataType::Date).unwrap();
        let columns: Vec<Column> = vec![
            Series::new("id".into(), [9_007_199_254_740_993_i64, -1]).into_column(),
            Series::new("score".into(), [Some(0.5), Some(f64::NAN)]).into_column(),
            Series::new("name".into(), ["ü", ""]).into_column(),
            Series::new("is_late".into(), [Some(true), None]).into_column(),
            at.into_column(),
            day.into_column(),
        ];
        let frame = DataFrame::new(2, columns).unwrap();

        let rows = serde_json::to_value(objects(&frame).unwrap()).unwrap();

        let expected = serde_json::json!([
            { "id": 9_007_199_254_740_993_i64, "score": 0.5, "name": "ü", "is_late": true,
              "at": "2025-11-20T01:00:00Z", "day": "2025-11-20" },
            { "id": -1, "score": null, "name": "", "is_late": null, "at": null, "day": "1970-01-01" },
        ]);
        assert_eq!(rows, expected);
    }
}
