//! The law of the engine: whatever way it takes, its scores are those of the full pass under the guard, bit for bit.

use law_models::{LawModel, law_models};
use radhard_engine::{Changes, Crew, Engine, LentModel, Way};
use radhard_fault::{BitErrorRate, Chip, DrawnMap, Expose, Injected, Parameters, Target, parse_error_model};
use radhard_metrics::{Golden, MetricsWork, Observed, Reference, ScoreOptions, TrialScores, UserRows};
use radhard_models::{Scores, TableFormat, convert};

#[path = "../../models/tests/law_models/mod.rs"]
mod law_models;

const ROWS: usize = 700;

/// Every model, some of them with their tables in every format.
fn cases() -> Vec<(LawModel, TableFormat)> {
    let mut cases: Vec<_> = law_models(ROWS).into_iter().map(|law| (law, TableFormat::F32)).collect();
    for format in [TableFormat::F16, TableFormat::Bf16, TableFormat::Int8Rowwise] {
        let some = law_models(ROWS).into_iter();
        let some = some.filter(|law| ["wide-deep", "dlrm", "dummy of depth 2"].contains(&law.name.as_str()));
        cases.extend(some.map(|law| (law, format)));
    }
    cases
}

#[test]
fn every_way_gives_the_scores_and_metrics_of_the_full_pass() {
    let mut ways = [0_usize; 4];
    for (law, format) in cases() {
        let (name, rows, labels) = (format!("{} {format}", law.name), law.rows(), &law.labels);
        let mut lent = LentModel::new(convert(&law.model, format).unwrap());
        let users = UserRows::of(&(0..ROWS as u32).map(|row| (row * 13 + 5) % 37).collect::<Vec<_>>());
        let options = ScoreOptions { users: Some(&users), ..ScoreOptions::new(0.4) };
        let mut golden = Scores::default();
        let engines = [u64::MAX, 0].map(|budget| Engine::new(&lent, &rows, budget, &mut golden).unwrap());
        let observed =
            Observed { probabilities: &golden.probabilities, logits: Some(&golden.logits), labels };
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
