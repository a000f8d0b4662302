//! The law of the engine: whatever way it takes, its scores are those of the full pass under the guard, bit for bit.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use radhard_data::RowsView;
use radhard_engine::{Changes, Crew, Engine, LentModel, Way};
use radhard_fault::{BitErrorRate, Chip, DrawnMap, Expose, Injected, Parameters, Target, parse_error_model};
use radhard_metrics::{Golden, MetricsWork, Observed, Reference, ScoreOptions, TrialScores, UserRows};
use radhard_models::{Config, Init, Model, Scores, TableFormat, convert};

const ROWS: usize = 700;

struct Case {
    name: String,
    lent: LentModel,
    indices: Vec<u32>,
    numeric: Vec<f32>,
    labels: Vec<u8>,
    users: UserRows,
}

fn case(name: &str, format: TableFormat) -> Case {
    let dims = [90_u32, 40, 12];
    let mut config = Config::new(name, dims.to_vec());
    if name == "dlrm" {
        (config.numeric, config.bottom_dims, config.mlp_dims) = (4, vec![8], vec![9, 6]);
    }
    let model = convert(&Model::new(&config, Init::TorchFm, 11).unwrap(), format).unwrap();
    // Some values are read by most rows, some by none.
    let indices: Vec<u32> = (0..ROWS as u32)
        .flat_map(|row| [row * row % 71, (row * 13 + 5) % 37, if row % 3 == 0 { row % 11 } else { 0 }])
        .collect();
    let users = UserRows::of(&indices.iter().copied().step_by(3).collect::<Vec<_>>());
    let numeric = (0..ROWS * config.numeric).map(|i| (i * 37 % 101) as f32 / 50.0 - 1.0).collect();
    let labels = (0..ROWS).map(|row| u8::from(row * 7 % 5 < 2)).collect();
    let name = format!("{name} {format}");
    Case { name, lent: LentModel::new(model), indices, numeric, labels, users }
}

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = ["fm", "deepfm", "wide-deep", "dcn", "afm", "dlrm"]
        .into_iter()
        .map(|name| case(name, TableFormat::F32))
        .collect();
    cases.extend(
        [TableFormat::F16, TableFormat::Bf16, TableFormat::Int8Rowwise].map(|f| case("wide-deep", f)),
    );
    cases
}

#[test]
fn every_way_gives_the_scores_and_metrics_of_the_full_pass() {
    let mut ways = [0_usize; 4];
    for Case { name, mut lent, indices, numeric, labels, users } in cases() {
        let rows = RowsView {
            fields: 3,
            numeric_width: numeric.len() / ROWS,
            indices: &indices,
            numeric: &numeric,
            labels: &labels,
            bags: None,
        };
        let options = ScoreOptions { users: Some(&users), ..ScoreOptions::new(0.4) };
        let mut golden = Scores::default();
        let engines = [u64::MAX, 0].map(|budget| Engine::new(&lent, &rows, budget, &mut golden).unwrap());
        let observed =
            Observed { probabilities: &golden.probabilities, logits: Some(&golden.logits), labels: &labels };
        let auc = TrialScores::of(&observed, None, &options).auc;
        let against = Golden { probabilities: &golden.probabilities, auc };
        let reference = Reference::new(observed, against, options);
        let mut crew = Crew::new(lent.model());
        let mut full = Scores::default();
        let mut drawn = DrawnMap::new();
        for (target, expose) in [
            ("all", Expose::State),
            ("embedding", Expose::Parameters),
            ("dense", Expose::State),
            ("*bias*", Expose::Parameters),
        ] {
            let exposure = target.parse::<Target>().unwrap().resolve(lent.specs(), expose).unwrap();
            for model in
                ["flips", "stuck-at:random", "burst:6:0.5", "value:uniform", "asymmetric:0.1:1", "count:3"]
            {
                let model = parse_error_model(model).unwrap();
                // Chips of all rates side by side: some are known, some cheap, some evaluated together, some dear.
                let (mut chips, mut expected) = (Vec::new(), Vec::new());
                for rate in [1e-9, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1] {
                    let rate = model.takes_rate().then(|| BitErrorRate::new(rate).unwrap());
                    for chip in 0..3 {
                        model.draw(Chip::new(3, chip), &exposure, rate, &mut drawn).unwrap();
                        let changes = Changes::of(&drawn, &lent);
                        assert_eq!(changes.flips(), drawn.effective_flips(&lent).unwrap());
                        let clean = lent.model().fingerprint();
                        Engine::full(&mut lent, &rows, &changes, &mut full).unwrap();
                        let mut guarded = Scores::default();
                        Injected::new(&mut lent, &drawn)
                            .unwrap()
                            .model()
                            .scores(&rows, &mut guarded)
                            .unwrap();
                        assert!(full.same_bits(&guarded), "{name}, {target}, {}", model.name());
                        assert_eq!(lent.model().fingerprint(), clean, "{name}: the guard leaves no trace");
                        let mut work = MetricsWork::default();
                        expected.push(reference.all(&mut work, &full.probabilities, &full.logits));
                        chips.push(changes);
                    }
                }
                let chips: Vec<&Changes> = chips.iter().collect();
                for engine in &engines {
                    let outcomes = engine.beside(&lent, &rows, &reference, &chips, &mut crew);
                    assert_eq!(outcomes.len(), chips.len());
                    for (at, (exposed, outcome)) in outcomes.into_iter().enumerate() {
                        assert!(exposed.flips_read <= chips[at].flips());
                        let Some(outcome) = outcome else {
                            ways[3] += 1;
                            continue;
                        };
                        let what = format!("{name}, {target}, {}, chip {at}", model.name());
                        same(&outcome.scores, &expected[at], &what);
                        ways[match outcome.way {
                            Way::Known => 0,
                            Way::Rows => 1,
                            Way::Layers => 2,
                            Way::Full => 3,
                        }] += 1;
                        if exposed.flips_read == 0 {
                            same(&outcome.scores, reference.metrics(), &what);
                        }
                    }
                }
            }
        }
    }
    // A choice that never takes one of the ways would test nothing.
    assert!(ways.iter().all(|way| *way > 50), "{ways:?}");
}

/// Equal in every bit: the text of floats tells all of them apart, NaN and signs of zero too.
fn same(found: &TrialScores, expected: &TrialScores, what: &str) {
    assert_eq!(format!("{found:?}"), format!("{expected:?}"), "{what}");
}
