//! The data that the page carries: every cell and golden run, for its controls and its downloads.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::summary::Summary;

/// Fields of a cell that the page carries, in the order of `cells.csv` first.
const COLUMNS: [&str; 63] = [
    "model",
    "data",
    "target",
    "error_model",
    "ber",
    "protection",
    "seed",
    "n",
    "known",
    "golden",
    "mean",
    "stratified_mean",
    "sd",
    "min",
    "max",
    "median",
    "quartile_1",
    "quartile_3",
    "ci_low",
    "ci_high",
    "ci_method",
    "non_finite_share",
    "collapse",
    "flips_mean",
    "exposed_bits",
    "p_no_flip",
    "predicted",
    "prediction",
    "stand_in",
    "median_ci_low",
    "median_ci_high",
    "loss_q95",
    "loss_q95_ci_low",
    "loss_q95_ci_high",
    "bad_share",
    "bad_share_ci_low",
    "bad_share_ci_high",
    "severe_share",
    "severe_share_ci_low",
    "severe_share_ci_high",
    "non_finite_ci_low",
    "non_finite_ci_high",
    "collapse_ci_low",
    "collapse_ci_high",
    "p05",
    "p95",
    "unprotected",
    "loss",
    "critical_share",
    "prediction_note",
    "predicted_low",
    "predicted_high",
    "prediction_verdict",
    "gain",
    "gain_ci_low",
    "gain_ci_high",
    "gain_shown",
    "rmse_median",
    "rmse_low",
    "rmse_high",
    "rmse_min",
    "rmse_max",
    "rmse_undefined_share",
];

/// Those among them whose values are places in the list of names.
const NAMED: [&str; 10] = [
    "model",
    "data",
    "target",
    "error_model",
    "protection",
    "seed",
    "ci_method",
    "prediction",
    "prediction_note",
    "prediction_verdict",
];

/// One JSON object that may stand inside a `script` element: names are written once, cells are rows of values.
///
/// Errors: none that records can cause.
pub fn embedded(summary: &Summary) -> Result<String, serde_json::Error> {
    let mut names = Names::default();
    let mut rows = Vec::with_capacity(summary.cells.len());
    for cell in &summary.cells {
        let fields = serde_json::to_value(cell)?;
        let row: Vec<Value> = COLUMNS
            .iter()
            .map(|column| match &fields[*column] {
                // The seed goes beyond the whole numbers that a script can hold.
                Value::Number(seed) if *column == "seed" => json!(names.place(&seed.to_string())),
                Value::String(name) => json!(names.place(name)),
                value => value.clone(),
            })
            .collect();
        rows.push(Value::Array(row));
    }
    let findings = listed(&summary.findings)?;
    // Gains are many and alike: their names are written once.
    let mut protections = listed(&summary.protections)?;
    let mut gains = Vec::new();
    for protection in &mut protections {
        let own = protection.as_object_mut().and_then(|one| one.remove("gains"));
        gains.push(own.and_then(|own| own.as_array().cloned()).unwrap_or_default());
    }
    let packed_gains = json!({
        "shape": gains.iter().flatten().next().map_or(Value::Null, shape),
        "rows": gains.iter().map(|own| own.iter().map(flat).collect()).collect::<Vec<Vec<Value>>>(),
    });
    let object = json!({
        "version": summary.version,
        "seed": summary.seed.to_string(),
        "stream_version": summary.stream_version,
        "numeric_contract": summary.numeric_contract,
        "trials": summary.trials,
        "complete": summary.progress.complete,
        "trials_planned": summary.progress.trials_planned,
        "trials_recorded": summary.progress.trials_recorded,
        "golden_ci_low": summary.golden_ci_low,
        "golden_ci_high": summary.golden_ci_high,
        "metric": summary.metric,
        "better": summary.better,
        "date": summary.date,
        "boxes": summary.boxes,
        "packed": { "findings": packed(&findings), "gains": packed_gains },
        "firsts": summary.firsts,
        "advice": summary.advice,
        "advices": summary.advices,
        "known": summary.known,
        "plan": summary.plan,
        "identity": summary.identity,
        "goldens": summary.goldens,
        "panels": summary.panels,
        "protections": protections,
        "columns": COLUMNS.as_slice(),
        "named": NAMED,
        "names": names.list,
        "cells": rows,
    });
    Ok(safe(&serde_json::to_string(&object)?))
}

/// A list of records as JSON objects.
fn listed<T: serde::Serialize>(list: &[T]) -> Result<Vec<Value>, serde_json::Error> {
    list.iter().map(serde_json::to_value).collect()
}

/// Objects of one shape as that shape and a row of values each.
fn packed(list: &[Value]) -> Value {
    json!({ "shape": list.first().map_or(Value::Null, shape), "rows": list.iter().map(flat).collect::<Vec<Value>>() })
}

/// The names of an object's values, each with the shape of what it names; null for what is no object.
fn shape(value: &Value) -> Value {
    value.as_object().map_or(Value::Null, |object| {
        Value::Array(object.iter().map(|(name, inner)| json!([name, shape(inner)])).collect())
    })
}

/// The values of an object in the order of its shape.
fn flat(value: &Value) -> Value {
    value
        .as_object()
        .map_or_else(|| value.clone(), |object| Value::Array(object.values().map(flat).collect()))
}

/// Names in the order in which they first come.
#[derive(Default)]
struct Names {
    list: Vec<String>,
    places: BTreeMap<String, usize>,
}

impl Names {
    fn place(&mut self, name: &str) -> usize {
        *self.places.entry(name.to_owned()).or_insert_with(|| {
            self.list.push(name.to_owned());
            self.list.len() - 1
        })
    }
}

/// JSON without the letters that could end a `script` element or begin a comment in it; it still reads as the same.
fn safe(json: &str) -> String {
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_ends_the_element() {
        let hostile = "</script><!-- & ]]>";
        let text = safe(&serde_json::to_string(hostile).expect("text is json"));
        assert!(!text.contains(['<', '>', '&']));
        assert_eq!(serde_json::from_str::<String>(&text).expect("still json"), hostile);
    }
}
