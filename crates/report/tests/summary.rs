//! What the numbers of a report are, as JSON and as the terminal's table.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fixture;

use fixture::{SUBJECTS, campaign};
use radhard_report::{Crossing, Summary, terminal_table};

fn summary() -> Summary {
    let dir = tempfile::tempdir().unwrap();
    Summary::of(&campaign(dir.path(), &SUBJECTS, 40)).unwrap()
}

#[test]
fn the_terminal_table_reads_as_it_should() {
    insta::assert_snapshot!(terminal_table(&summary()));
}

#[test]
fn the_terminal_table_fits_100_columns() {
    for line in terminal_table(&summary()).lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}

#[test]
fn json_has_the_keys_of_the_contract() {
    let json = serde_json::to_value(summary()).unwrap();
    let cells = json["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 45);
    for key in [
        "model",
        "data",
        "target",
        "error_model",
        "ber",
        "protection",
        "n",
        "golden",
        "mean",
        "sd",
        "min",
        "max",
        "median",
        "ci_low",
        "ci_high",
        "non_finite_share",
        "flips_mean",
        "predicted",
    ] {
        assert!(cells.iter().all(|cell| cell.get(key).is_some()), "{key}");
    }
    assert_eq!(cells[0]["model"], "fm");
    assert_eq!(cells[0]["ber"], 1e-9);
    assert!(cells.iter().any(|cell| cell["target"] == "all" && cell["predicted"].is_null()));
}

#[test]
fn the_mean_is_that_of_the_trials() {
    let dir = tempfile::tempdir().unwrap();
    let store = campaign(dir.path(), &SUBJECTS, 40);
    let summary = Summary::of(&store).unwrap();
    for ((id, _), line) in store.cells().zip(&summary.cells) {
        let aucs: Vec<f64> = store.trials(id).unwrap().iter().filter_map(|trial| trial.scores.auc).collect();
        let mean = aucs.iter().sum::<f64>() / aucs.len() as f64;
        assert!((line.mean.unwrap() - mean).abs() < 1e-12);
        assert!(line.ci_low.unwrap() <= line.stratified_mean.unwrap_or(mean));
        assert!(line.stratified_mean.unwrap_or(mean) <= line.ci_high.unwrap());
    }
}

#[test]
fn what_breaks_first_is_said_first() {
    let summary = summary();
    let panel = &summary.panels[1];
    let order: Vec<&str> = panel.by_fragility().iter().map(|curve| curve.target.as_str()).collect();
    assert_eq!(order, ["all", "dense", "embedding"]);
    assert!(
        panel
            .finding()
            .starts_with("Of its parts, dense breaks first: it loses more than 0.001 AUC from 1e-5")
    );
    let embedding = &panel.curves[2];
    let Crossing::At(half) = embedding.half else { panic!("{}", embedding.half) };
    assert!(half > 1e-2 && half < 1e-1);
    assert!(matches!(summary.panels[0].curves[0].half, Crossing::Above(rate) if rate == 1e-1));
}
