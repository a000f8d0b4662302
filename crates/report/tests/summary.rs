//! What the numbers of a report are, as JSON and as the terminal's table.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fixture;

use fixture::{SUBJECTS, UNLABELLED, campaign, protected_campaign};
use radhard_report::{Crossing, Share, Summary, page, terminal_table};

fn summary() -> Summary {
    let dir = tempfile::tempdir().unwrap();
    Summary::of(&campaign(dir.path(), &SUBJECTS, 40)).unwrap()
}

#[test]
fn the_terminal_table_reads_as_it_should() {
    insta::assert_snapshot!(terminal_table(&summary()));
}

fn protected(protection: &str) -> Summary {
    let dir = tempfile::tempdir().unwrap();
    let protections = [("none", 1.0), (protection, 0.2)];
    Summary::of(&protected_campaign(dir.path(), &SUBJECTS[..1], &[1e-7, 1e-3], &protections, 40)).unwrap()
}

#[test]
fn what_protections_cost_and_noticed_stands_below_what_they_win() {
    let text = terminal_table(&protected("abft-gemm:reload"));
    let from = text.find("protections of wide-deep").unwrap();
    insta::assert_snapshot!(&text[from..]);
}

#[test]
fn campaigns_on_the_same_chips_are_told_together() {
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let rates = [1e-7, 1e-3];
    let of = |place: usize, protections: &[(&str, f64)]| {
        protected_campaign(dirs[place].path(), &SUBJECTS[..1], &rates, protections, 40)
    };
    let (bare, reload) = (("none", 1.0), ("abft-gemm:reload", 0.2));
    let together = Summary::of(&of(0, &[bare, reload])).unwrap();
    let first = of(1, &[bare]);
    let apart = Summary::of_all(&first, &[of(2, &[reload])]).unwrap();
    assert_eq!((&apart.cells, &apart.protections), (&together.cells, &together.protections));
    assert_eq!((&apart.panels, &apart.goldens), (&together.panels, &together.goldens));
    assert!(apart.cells.iter().all(|cell| cell.unprotected.is_some() && cell.loss.is_some()));
    // Twice the same says nothing more.
    assert_eq!(
        Summary::of_all(&first, &[first_again(&first)]).unwrap().trials,
        Summary::of(&first).unwrap().trials
    );
    let untimed = apart.clone().untimed();
    assert!(apart.goldens.iter().all(|golden| golden.seconds.is_some()));
    assert!(untimed.goldens.iter().all(|golden| golden.seconds.is_none()));
    assert!(apart.protections[0].time.is_some() && untimed.protections[0].time.is_none());
    let [told, left_out] = [&apart, &untimed].map(|summary| page::html(summary).unwrap());
    // The time of a pass under the protection, in the advice and in its table.
    for said in ["time ×", "1.07 [1.01, 1.31]"] {
        assert!(told.contains(said) && !left_out.contains(said), "{said}");
    }
    assert!(!left_out.contains("time not measured"));
}

fn first_again(store: &radhard_records::Store) -> radhard_records::Store {
    radhard_records::Store::open(store.file().parent().unwrap()).unwrap()
}

#[test]
fn what_was_noticed_is_held_against_the_same_chips_without_protection() {
    let by_row = protected("abft-gemm:reload");
    let gains = &by_row.protections[0].gains;
    let gain = gains.iter().find(|gain| gain.target == "all" && gain.ber == Some(1e-3)).unwrap();
    let of = &gain.noticed;
    assert_eq!((of.found.n, of.found_of_harmful.n, gain.n), (40, 40, 40));
    assert!(of.found.count <= 40 && of.found.low.unwrap() < of.found.high.unwrap());
    // Flips are a fifth of those without protection; all chips change 10,000 rows, of which a tenth is missed.
    assert!((of.rows_missed - 1000.0).abs() < 1e-9 && (of.rows_found_share.unwrap() - 0.9).abs() < 1e-9);
    assert!((of.retries - 2.0 * of.detected).abs() < 1e-9);
    assert!((of.detected - of.reloads - of.fallbacks).abs() < 1e-9);
    let few = gains.iter().find(|gain| gain.target == "embedding" && gain.ber == Some(1e-7)).unwrap();
    assert_eq!((few.noticed.found, few.noticed.rows_found_share), (Share::default(), None));
    let of_words = protected("range-guard+abft-gemm:reload");
    assert!(of_words.protections[0].gains.iter().all(|gain| gain.noticed.rows_found_share.is_none()));
    let cost = &by_row.protections[0];
    assert_eq!((cost.memory_bits_per_parameter, cost.calibration_rows), (Some(4.0), Some(80_668)));
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

fn unlabelled() -> Summary {
    let dir = tempfile::tempdir().unwrap();
    Summary::of(&campaign(dir.path(), &UNLABELLED, 20)).unwrap()
}

#[test]
fn a_model_without_labels_is_shown_by_its_distance_from_golden() {
    let table = terminal_table(&unlabelled());
    insta::assert_snapshot!(table);
    assert!(table.lines().all(|line| line.chars().count() <= 100));
}

#[test]
fn the_median_distance_is_that_of_the_trials_and_infinite_without_one() {
    let dir = tempfile::tempdir().unwrap();
    let store = campaign(dir.path(), &UNLABELLED, 21);
    let summary = Summary::of(&store).unwrap();
    let mut infinite = 0;
    for ((id, _), line) in store.cells().zip(&summary.cells) {
        let mut rmse: Vec<f64> = store
            .trials(id)
            .unwrap()
            .iter()
            .map(|trial| trial.scores.rmse.unwrap_or(f64::INFINITY))
            .collect();
        rmse.sort_by(f64::total_cmp);
        assert!(line.by_rmse());
        let deviation = line.deviation;
        assert_eq!(deviation.rmse_median.unwrap_or(f64::INFINITY), rmse[10]);
        assert_eq!(deviation.rmse_max.unwrap_or(f64::INFINITY), rmse[20]);
        let none = rmse.iter().filter(|rmse| rmse.is_infinite()).count();
        assert_eq!(deviation.rmse_undefined_share, Some(none as f64 / 21.0));
        infinite += usize::from(rmse[10].is_infinite());
    }
    assert!(infinite > 0, "the fixture has no cell whose outputs are not finite");
    assert!(summary.panels[0].finding().starts_with("Hit in dense, its outputs move first"));
}
