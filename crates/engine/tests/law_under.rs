//! The law of the engine under protections: rows evaluated where they were hit give what a pass over all rows gives, events too.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use radhard_data::RowsView;
use radhard_engine::{Acted, Changes, Computed, Engine, LentModel, Transients, Under, Work};
use radhard_fault::{BitErrorRate, Chip, DrawnMap, Expose, Parameters, Target, parse_error_model};
use radhard_kernels::Kernels;
use radhard_metrics::{Golden, Noticing, Observed, Reference, ScoreOptions, TrialScores};
use radhard_models::{Acting, Config, Evaluation, HookEvents, Init, Model, Noted, Overlay, Scores, Worker};
use radhard_protect::{Protected, Subject, parse_protection};

const ROWS: usize = 400;

struct Case {
    name: &'static str,
    lent: LentModel,
    indices: Vec<u32>,
    labels: Vec<u8>,
}

impl Case {
    fn of(name: &'static str) -> Self {
        let model = Model::new(&Config::new(name, vec![90, 40, 12]), Init::TorchFm, 11).unwrap();
        let indices =
            (0..ROWS as u32).flat_map(|row| [row * row % 71, (row * 13 + 5) % 37, row % 11]).collect();
        let labels = (0..ROWS).map(|row| u8::from(row * 7 % 5 < 2)).collect();
        Self { name, lent: LentModel::new(model), indices, labels }
    }

    fn rows<'a>(indices: &'a [u32], labels: &'a [u8]) -> RowsView<'a> {
        RowsView { fields: 3, numeric_width: 0, indices, numeric: &[], labels, bags: None }
    }

    fn protect(&self, name: &str) -> Protected {
        let subject = Subject {
            model: Some(self.lent.model()),
            parameters: &self.lent,
            calibration: Some(Self::rows(&self.indices, &self.labels)),
            looked_up: &vec![3.0; self.lent.specs().len()],
        };
        parse_protection(name).unwrap().prepare(&subject).unwrap()
    }
}

const MODELS: [&str; 5] = ["fm", "deepfm", "wide-deep", "dcn", "afm"];
const PROTECTIONS: [&str; 11] = [
    "none",
    "clip:paper",
    "zero:linear,-1..1",
    "ranger",
    "abft-gemm:recompute",
    "abft-gemm:reload",
    "abft-gemm:fallback",
    "abft-embedding:recompute",
    "abft-embedding:reload",
    "abft-embedding:fallback",
    "abft-gemm:recompute+abft-embedding:reload+clip:paper",
];

#[test]
fn rows_that_are_hit_give_what_a_pass_over_all_rows_gives() {
    let (mut parts, mut wholes, mut recovered, mut retried) = (0, 0, 0_u64, 0_u64);
    for mut case in MODELS.map(Case::of) {
        let (indices, labels) = (case.indices.clone(), case.labels.clone());
        let rows = Case::rows(&indices, &labels);
        let mut unprotected = Scores::default();
        let engine = Engine::new(&case.lent, &rows, 0, &mut unprotected).unwrap();
        for name in PROTECTIONS {
            let protected = case.protect(name);
            let hooks = protected.hooks();
            let (mut golden, mut noted) = (Scores::default(), Noted::default());
            let acting = Acting { hooks, upsets: None };
            case.lent.model().scores_under(&rows, acting, &mut golden, &mut noted).unwrap();
            assert_eq!(noted.events, HookEvents::default(), "{} {name}", case.name);
            let options = ScoreOptions::new(0.4);
            let observed = Observed {
                probabilities: &golden.probabilities,
                logits: Some(&golden.logits),
                labels: &labels,
            };
            let auc = TrialScores::of(&observed, None, &options).auc;
            let against = Golden { probabilities: &unprotected.probabilities, auc };
            let reference = Reference::new(observed, against, options);
            let noticing = Noticing {
                start: &golden.probabilities,
                golden: &unprotected.probabilities,
                tolerance: options.tolerance,
            };
            let beside = (&reference, noticing);
            let mut work = Work::new(case.lent.model());
            let mut drawn = DrawnMap::new();
            let (mut out, mut noted) = (Scores::default(), Noted::default());
            for (error_model, target) in
                [("flips", "all"), ("flips", "embedding"), ("burst:4:0.5", "dense"), ("count:3", "all")]
            {
                let error_model = parse_error_model(error_model).unwrap();
                let target: Target = target.parse().unwrap();
                let exposure = target.resolve(case.lent.specs(), Expose::Parameters).unwrap();
                let computed = Computed::of(&case.lent, &target, ROWS).unwrap();
                for rate in [1e-6, 1e-5, 1e-4, 1e-3, 1e-2] {
                    let rate = error_model.takes_rate().then(|| BitErrorRate::new(rate).unwrap());
                    let chip = Chip::new(3, 1);
                    error_model.draw(chip, &exposure, rate, &mut drawn).unwrap();
                    let changes = Changes::of(&drawn, &case.lent);
                    let again = hooks.is_some();
                    let transients =
                        Transients::draw(error_model.as_ref(), (chip, rate), &computed, again, &mut drawn)
                            .unwrap();
                    for compute in [false, true] {
                        let none = Changes::default();
                        let under = if compute {
                            Under { changes: &none, transients: Some(&transients), hooks }
                        } else {
                            Under { changes: &changes, transients: None, hooks }
                        };
                        let (exposed, part) =
                            engine.evaluate_under((&case.lent, &rows), beside, under, &mut work);
                        let Some(part) = part else {
                            wholes += 1;
                            continue;
                        };
                        assert_eq!(exposed, engine.exposed_under(&case.lent, under, &mut work));
                        Engine::full_under(&mut case.lent, &rows, under, (&mut out, &mut noted)).unwrap();
                        let whole = Engine::judged(beside, under, (&out, &noted), &mut work);
                        let what = format!(
                            "{} {name} {} {target} {rate:?} {compute}",
                            case.name,
                            error_model.name()
                        );
                        same(&part, &whole, &what);
                        parts += 1;
                        recovered += part.rows.recovered;
                        retried += part.events.retries;
                    }
                }
            }
        }
    }
    // A law that is never asked tests nothing.
    assert!(
        parts > 400 && wholes > 100 && recovered > 1000 && retried > 1000,
        "{parts} {wholes} {recovered} {retried}"
    );
}

/// Equal in every bit but the way: the text of floats tells all of them apart.
fn same(part: &Acted, whole: &Acted, what: &str) {
    assert_eq!(format!("{:?}", part.outcome.scores), format!("{:?}", whole.outcome.scores), "{what}");
    assert_eq!(
        (part.events, part.rows, part.as_golden),
        (whole.events, whole.rows, whole.as_golden),
        "{what}"
    );
}

#[test]
fn what_hooks_and_faults_make_of_a_row_does_not_depend_on_its_block() {
    for case in MODELS.map(Case::of) {
        let rows = Case::rows(&case.indices, &case.labels);
        let computed = Computed::of(&case.lent, &Target::all(), ROWS).unwrap();
        let rate = BitErrorRate::new(3e-4).unwrap();
        let flips = parse_error_model("flips").unwrap();
        let of = (Chip::new(9, 4), Some(rate));
        let hit = Transients::draw(flips.as_ref(), of, &computed, true, &mut DrawnMap::new()).unwrap();
        for name in PROTECTIONS {
            let protected = case.protect(name);
            let acting = Acting { hooks: protected.hooks(), upsets: Some(&hit) };
            let (mut all, mut all_noted) = (Scores::default(), Noted::default());
            case.lent.model().scores_under(&rows, acting, &mut all, &mut all_noted).unwrap();
            let overlay = Overlay::new(case.lent.model());
            let evaluation =
                Evaluation { kernels: Kernels::detected(), rows, overlay: &overlay, apart: None };
            let mut worker = Worker::new(case.lent.model());
            // One row, a lane group, and blocks of rows that lie apart.
            for picked in [
                vec![17],
                (0..16).map(|i| 399 - i * 3).collect(),
                (0..ROWS as u32).step_by(3).collect::<Vec<_>>(),
            ] {
                let (mut some, mut noted) = (Scores::default(), Noted::default());
                let model = case.lent.model();
                model.scores_of_under(&evaluation, &picked, acting, &mut worker, (&mut some, &mut noted));
                for (place, &row) in picked.iter().enumerate() {
                    let what = format!("{} {name} row {row} of {}", case.name, picked.len());
                    assert_eq!(some.logits[place].to_bits(), all.logits[row as usize].to_bits(), "{what}");
                    assert_eq!(noted.rows[place], all_noted.rows[row as usize], "{what}");
                }
            }
        }
    }
}

#[test]
fn computing_again_helps_against_faults_in_what_is_computed_and_never_against_those_in_memory() {
    let mut case = Case::of("wide-deep");
    let (indices, labels) = (case.indices.clone(), case.labels.clone());
    let rows = Case::rows(&indices, &labels);
    let target: Target = "mlp.mlp.0.weight@30".parse().unwrap();
    let flips = parse_error_model("flips").unwrap();
    let (chip, rate) = (Chip::new(1, 0), BitErrorRate::new(2e-3).unwrap());
    let computed = Computed::of(&case.lent, &target, ROWS).unwrap();
    let hit =
        Transients::draw(flips.as_ref(), (chip, Some(rate)), &computed, true, &mut DrawnMap::new()).unwrap();
    assert!(!hit.is_empty());
    let mut drawn = DrawnMap::new();
    let exposure = target.resolve(case.lent.specs(), Expose::Parameters).unwrap();
    flips.draw(chip, &exposure, Some(BitErrorRate::new(1e-1).unwrap()), &mut drawn).unwrap();
    let changes = Changes::of(&drawn, &case.lent);
    let mut run = |protection: &str, compute: bool| {
        let protected = case.protect(protection);
        let none = Changes::default();
        let under = if compute {
            Under { changes: &none, transients: Some(&hit), hooks: protected.hooks() }
        } else {
            Under { changes: &changes, transients: None, hooks: protected.hooks() }
        };
        let (mut out, mut noted) = (Scores::default(), Noted::default());
        Engine::full_under(&mut case.lent, &rows, under, (&mut out, &mut noted)).unwrap();
        noted.events
    };
    let transient = run("abft-gemm:recompute", true);
    assert!(transient.detected > 0);
    assert_eq!(transient.corrected, transient.detected);
    let transient = run("abft-gemm:reload", true);
    assert_eq!((transient.corrected, transient.reloads, transient.reload_bytes), (transient.detected, 0, 0));
    let stored = run("abft-gemm:recompute", false);
    assert!(stored.detected > 0);
    assert_eq!((stored.corrected, stored.retries), (0, 2 * stored.detected));
    let stored = run("abft-gemm:reload", false);
    assert_eq!((stored.corrected, stored.reloads), (0, stored.detected));
    assert!(stored.reload_bytes > 0);
}
