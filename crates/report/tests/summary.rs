//! What the numbers of a report are, as JSON and as the terminal's table.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fixture;

use fixture::{SUBJECTS, UNLABELLED, campaign, protected_campaign};
use radhard_report::{
    BoundVerdict, Comparison, ComparisonError, Crossing, Grade, Limit, Share, Summary, page, terminal_cells,
    terminal_summary,
};

fn summary() -> Summary {
    let dir = tempfile::tempdir().unwrap();
    Summary::of(&campaign(dir.path(), &SUBJECTS, 40)).unwrap()
}

#[test]
fn the_terminal_answers_three_questions_first() {
    insta::assert_snapshot!(terminal_summary(&summary()));
}

#[test]
fn the_terminal_tables_read_as_they_should() {
    insta::assert_snapshot!(terminal_cells(&summary()));
}

#[test]
fn the_terminal_says_what_to_protect_and_what_is_undecided() {
    let text = terminal_summary(&protected("abft-gemm:reload"));
    insta::assert_snapshot!(text);
}

fn protected(protection: &str) -> Summary {
    let dir = tempfile::tempdir().unwrap();
    let protections = [("none", 1.0), (protection, 0.2)];
    Summary::of(&protected_campaign(dir.path(), &SUBJECTS[..1], &[1e-7, 1e-3], &protections, 40)).unwrap()
}

#[test]
fn what_protections_cost_and_noticed_stands_below_what_they_win() {
    let text = terminal_cells(&protected("abft-gemm:reload"));
    let from = text.find("Protections of wide-deep").unwrap();
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
    assert!(told.contains("1.07 [1.01, 1.31]") && !left_out.contains("1.07 [1.01, 1.31]"));
    assert!(apart.date.is_some() && untimed.date.is_none());
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
fn everything_for_terminals_fits_80_columns() {
    for summary in [summary(), protected("abft-gemm:reload"), unlabelled()] {
        for line in terminal_cells(&summary).lines().chain(terminal_summary(&summary).lines()) {
            assert!(line.chars().count() <= 80, "{line}");
        }
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
        "gain",
        "gain_ci_low",
        "gain_ci_high",
        "gain_shown",
        "predicted_low",
        "predicted_high",
    ] {
        assert!(cells.iter().all(|cell| cell.get(key).is_some()), "{key}");
    }
    assert_eq!(cells[0]["model"], "fm");
    assert_eq!(cells[0]["ber"], 1e-9);
    assert!(cells.iter().any(|cell| cell["target"] == "all" && cell["predicted"].is_null()));
    assert_eq!((&json["metric"], &json["better"]), (&"auc".into(), &"higher".into()));
    assert_eq!((&json["complete"], &json["trials_recorded"]), (&true.into(), &1800.into()));
    // One finding for each curve and bound, with every key of the contract.
    let findings = json["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 5 * 3);
    for key in [
        "model",
        "data",
        "target",
        "error_model",
        "protection",
        "metric",
        "seed",
        "bound",
        "largest_within",
        "smallest_beyond",
        "status",
        "more_chips",
    ] {
        assert!(findings.iter().all(|finding| finding.get(key).is_some()), "{key}");
    }
    let boxes = json["boxes"].as_array().unwrap();
    assert_eq!(boxes.len(), 3);
    assert!(
        boxes.iter().all(|one| ["shown", "likely", "not shown"].contains(&one["grade"].as_str().unwrap()))
    );
    assert!(json["advice"].is_null());
    let advised = serde_json::to_value(protected("abft-gemm:reload")).unwrap();
    for key in ["at", "front", "undecided", "time"] {
        assert!(!advised["advice"][key].is_null(), "{key}");
    }
}

#[test]
fn shares_are_clopper_pearson_of_the_chips_with_flips_times_their_exact_probability() {
    let dir = tempfile::tempdir().unwrap();
    let store = campaign(dir.path(), &SUBJECTS, 40);
    let summary = Summary::of(&store).unwrap();
    // The binomial tail below the count, summed term by term.
    let tail = |n: u64, k: u64, p: f64| -> f64 {
        let choose = |j: u64| (0..j).map(|i| (n - i) as f64 / (j - i) as f64).product::<f64>();
        (0..k).map(|j| choose(j) * p.powi(j as i32) * (1.0 - p).powi((n - j) as i32)).sum()
    };
    let mut rare = 0;
    for ((id, cell), line) in store.cells().zip(&summary.cells) {
        let (golden, p0) = (line.golden.unwrap(), cell.p_no_flip.unwrap());
        let trials = store.trials(id).unwrap();
        let flipped: Vec<f64> = trials
            .iter()
            .filter(|trial| trial.flips > 0)
            .map(|trial| golden - trial.scores.auc.unwrap())
            .collect();
        let n = flipped.len() as u64;
        for (bound, share, low, high) in [
            (0.001, line.bad_share, line.bad_share_ci_low, line.bad_share_ci_high),
            (0.05, line.severe_share, line.severe_share_ci_low, line.severe_share_ci_high),
        ] {
            let k = flipped.iter().filter(|loss| **loss > bound).count() as u64;
            let (share, low, high) = (share.unwrap(), low.unwrap(), high.unwrap());
            assert!(low <= share && share <= high && high <= 1.0 - p0 + 1e-15);
            if n == 0 {
                assert_eq!((low, share, high), (0.0, 0.0, 1.0 - p0));
                continue;
            }
            assert!((share - (1.0 - p0) * k as f64 / n as f64).abs() < 1e-12);
            // Each end leaves 2.5 % beyond it.
            if k > 0 {
                assert!((1.0 - tail(n, k, low / (1.0 - p0)) - 0.025).abs() < 1e-9, "{k} of {n}");
            }
            if k < n {
                assert!((tail(n, k + 1, high / (1.0 - p0)) - 0.025).abs() < 1e-9, "{k} of {n}");
            }
            rare += u64::from(k == 0);
        }
        assert_eq!(line.loss_q95_ci_high, None, "40 chips give no upper end");
    }
    assert!(rare > 0, "no share without an event was looked at");
}

#[test]
fn a_report_of_five_chips_says_undecided_and_how_many_more_it_takes() {
    let dir = tempfile::tempdir().unwrap();
    let few = Summary::of(&campaign(dir.path(), &SUBJECTS[1..], 5)).unwrap();
    let text = terminal_summary(&few);
    assert!(text.contains("undecided") && text.contains("more chips"), "{text}");
    assert!(few.firsts.iter().all(|first| first.grade != Grade::Shown));
    for finding in few.findings.iter().filter(|finding| finding.limit == Limit::Bad) {
        assert_eq!(finding.smallest_beyond, None, "{finding:?}");
    }
}

#[test]
fn an_unfinished_campaign_says_so_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    // The plan of the fixture: 40 chips, 3 targets, 2 rates, one model; 3 chips of 3 targets at one rate are there.
    let store = protected_campaign(dir.path(), &SUBJECTS[..1], &[1e-3], &[("none", 1.0)], 3);
    let summary = Summary::of(&store).unwrap();
    let json = serde_json::to_value(&summary).unwrap();
    assert_eq!(
        (&json["complete"], &json["trials_planned"], &json["trials_recorded"]),
        (&false.into(), &240.into(), &9.into())
    );
    let said = "9 of 240 planned trials";
    assert!(terminal_summary(&summary).contains(said) && page::html(&summary).unwrap().contains(said));
    assert!(terminal_summary(&summary).contains("not yet measured"));
    assert_eq!(summary.boxes[2].grade, Grade::NotShown);
}

#[test]
fn bounds_are_crossed_kept_or_undecided_as_the_chips_show() {
    let summary = summary();
    let check = |text: &str| summary.check(&text.parse().unwrap()).unwrap();
    assert_eq!(check("all/severe_share@1e-3 > 0.5").verdict, BoundVerdict::Crossed);
    assert_eq!(check("dense/none/loss@1e-9 > 0.001").verdict, BoundVerdict::Kept);
    assert_eq!(check("embedding/bad_share@1e-3 > 0.8").verdict, BoundVerdict::Undecided);
    // Without names every cell at that rate counts: one that crosses is enough, and all must keep it.
    let all = check("severe_share@1e-2 > 0.5");
    assert_eq!((all.verdict, all.cells), (BoundVerdict::Crossed, 5));
    assert_eq!(check("loss_q95@1e-2 > 0.9").verdict, BoundVerdict::Undecided);
    assert!(summary.check(&"loss@2e-3 > 0".parse().unwrap()).is_err());
    assert!(summary.check(&"nowhere/loss@1e-3 > 0".parse().unwrap()).is_err());
}

#[test]
fn the_advice_is_taken_at_the_rate_that_is_given_and_marks_only_what_holds() {
    let rates = [1e-7, 1e-5, 1e-3];
    let of = |chips: u64| {
        let dir = tempfile::tempdir().unwrap();
        let protections = [("none", 1.0), ("range-guard", 0.0), ("secded", 0.0), ("sbp", 0.0)];
        Summary::of(&protected_campaign(dir.path(), &SUBJECTS[..1], &rates, &protections, chips)).unwrap()
    };
    let summary = of(200);
    let advice = summary.advice.clone().unwrap();
    // The widest target loses more than 0.05 in more than 1 % of chips first at 1e-5.
    assert_eq!((advice.target.as_str(), advice.at), ("all", 1e-5));
    // Both cost the same and recover the same, so both are worth it; what is ideal is never advice.
    assert_eq!(advice.front, ["range-guard", "secded"]);
    assert_eq!(advice.undecided, Vec::<String>::new());
    assert_eq!(advice.time, "undecided");
    let marked: Vec<bool> = summary.protections.iter().map(|one| one.on_front).collect();
    assert_eq!(marked.iter().filter(|mark| **mark).count(), 2);
    assert_eq!(of(200).advice, Some(advice), "the same records give the same advice");
    let few = of(3).advice.unwrap();
    assert_eq!(few.front, Vec::<String>::new());
    let elsewhere = of(20).decided_at(1e-7).unwrap();
    assert_eq!(elsewhere.advice.unwrap().at, 1e-7);
    let error = of(3).decided_at(2e-5).unwrap_err().to_string();
    assert_eq!(error, "rate 2e-5 is not in this campaign; --at takes one of 1e-7, 1e-5, 1e-3");
}

#[test]
fn two_campaigns_on_the_same_chips_are_compared_cell_by_cell() {
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let of = |place: usize, share: f64| {
        let store =
            protected_campaign(dirs[place].path(), &SUBJECTS[..1], &[1e-7, 1e-4], &[("none", share)], 100);
        Summary::of(&store).unwrap()
    };
    let (bare, guarded) = (of(0, 1.0), of(1, 0.999_999e-2));
    let comparison = Comparison::of(&bare, &guarded).unwrap();
    assert_eq!(comparison.cells.len(), 6);
    let all = comparison.cells.iter().find(|cell| cell.target == "all" && cell.ber == Some(1e-4)).unwrap();
    assert_eq!((all.grade, all.better, all.n), (Grade::Shown, Some(2), 100));
    assert!(all.high.unwrap() < 0.0 && all.severe_alone[0] > all.severe_alone[1]);
    assert!(comparison.text().contains("second is better (shown)"));
    assert!(comparison.html().unwrap().contains("Two campaigns on the same chips"));
    // A campaign compared with itself shows nothing.
    let same = Comparison::of(&bare, &bare).unwrap();
    assert!(same.cells.iter().all(|cell| cell.grade == Grade::NotShown && cell.better.is_none()));
    let mut other = guarded;
    other.seed = 2;
    assert!(matches!(
        Comparison::of(&bare, &other),
        Err(ComparisonError::OtherChips { first: 1, second: 2, .. })
    ));
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
    let first = summary.firsts.iter().find(|first| first.model == "wide-deep").unwrap();
    assert_eq!((first.part.as_deref(), first.grade), (Some("dense"), Grade::Shown));
    assert_eq!(first.parts, ["dense", "embedding"], "the whole model is no rival of its parts");
    // 881 of 180,881 words.
    assert!((first.bits_share.unwrap() - 881.0 / 180_881.0).abs() < 1e-12);
    assert!(summary.boxes[0].answer.starts_with("Of this model, the dense layers (0.5 % of the bits"));
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
    insta::assert_snapshot!(terminal_cells(&unlabelled()));
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
    assert!(terminal_summary(&summary).contains("the median RMSE from golden exceeds 0.01"));
}
