//! The law of the engine under protections: rows evaluated where they were hit give what a pass over all rows gives, events too.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use law_models::{LawModel, law_models};
use radhard_engine::{Acted, Changes, Computed, Engine, LentModel, Transients, Under, Work};
use radhard_fault::{BitErrorRate, Chip, DrawnMap, Expose, Parameters, Target, parse_error_model};
use radhard_kernels::Kernels;
use radhard_metrics::{Golden, Noticing, Observed, Reference, ScoreOptions, TrialScores};
use radhard_models::{Acting, Evaluation, HookEvents, Noted, Overlay, Scores, Worker};
use radhard_protect::{Protected, Subject, parse_protection};

#[path = "../../models/tests/law_models/mod.rs"]
mod law_models;

const ROWS: usize = 400;

fn protect(law: &LawModel, lent: &LentModel, name: &str) -> Protected {
    let subject = Subject {
        model: Some(lent.model()),
        parameters: lent,
        calibration: Some(law.rows()),
        looked_up: &vec![3.0; lent.specs().len()],
    };
    parse_protection(name).unwrap().prepare(&subject).unwrap()
}

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
    for law in law_models(ROWS) {
        let (rows, mut lent) = (law.rows(), LentModel::new(law.model.clone()));
        let (mut asked, mut unprotected) = (0, Scores::default());
        let engine = Engine::new(&lent, &rows, 0, &mut unprotected).unwrap();
        for name in PROTECTIONS {
            let protected = protect(&law, &lent, name);
            let hooks = protected.hooks();
            let (mut golden, mut noted) = (Scores::default(), Noted::default());
            let acting = Acting { hooks, upsets: None };
            lent.model().scores_under(&rows, acting, &mut golden, &mut noted).unwrap();
            assert_eq!(noted.events, HookEvents::default(), "{} {name}", law.name);
            let options = ScoreOptions::new(0.4);
            let observed = Observed {
                probabilities: &golden.probabilities,
                logits: Some(&golden.logits),
                labels: &law.labels,
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
            let mut work = Work::new(lent.model());
            let mut drawn = DrawnMap::new();
            let (mut out, mut noted) = (Scores::default(), Noted::default());
            for (error_model, target) in
                [("flips", "all"), ("flips", "embedding"), ("burst:4:0.5", "dense"), ("count:3", "all")]
            {
                let error_model = parse_error_model(error_model).unwrap();
                let target: Target = target.parse().unwrap();
                let exposure = target.resolve(lent.specs(), Expose::Parameters).unwrap();
                let computed = Computed::of(&lent, &target, ROWS).unwrap();
                for rate in [1e-6, 1e-5, 1e-4, 1e-3, 1e-2] {
                    let rate = error_model.takes_rate().then(|| BitErrorRate::new(rate).unwrap());
                    let chip = Chip::new(3, 1);
                    error_model.draw(chip, &exposure, rate, &mut drawn).unwrap();
                    let changes = Changes::of(&drawn, &lent);
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
                        let (exposed, part) = engine.evaluate_under((&lent, &rows), beside, under, &mut work);
                        let Some(part) = part else {
                            wholes += 1;
                            continue;
                        };
                        assert_eq!(exposed, engine.exposed_under(&lent, under, &mut work));
                        Engine::full_under(&mut lent, &rows, under, (&mut out, &mut noted)).unwrap();
                        let whole = Engine::judged(beside, under, (&out, &noted), &mut work);
                        let what =
                            format!("{} {name} {} {target} {rate:?} {compute}", law.name, error_model.name());
                        same(&part, &whole, &what);
                        parts += 1;
                        asked += 1;
                        recovered += part.rows.recovered;
                        retried += part.events.retries;
                    }
                }
            }
        }
        assert!(asked > 40, "{}: {asked}", law.name);
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
    for law in law_models(ROWS) {
        let (rows, lent) = (law.rows(), LentModel::new(law.model.clone()));
        let computed = Computed::of(&lent, &Target::all(), ROWS).unwrap();
        let rate = BitErrorRate::new(3e-4).unwrap();
        let flips = parse_error_model("flips").unwrap();
        let of = (Chip::new(9, 4), Some(rate));
        let hit = Transients::draw(flips.as_ref(), of, &computed, true, &mut DrawnMap::new()).unwrap();
        for name in PROTECTIONS {
            let protected = protect(&law, &lent, name);
            let acting = Acting { hooks: protected.hooks(), upsets: Some(&hit) };
            let (mut all, mut all_noted) = (Scores::default(), Noted::default());
            lent.model().scores_under(&rows, acting, &mut all, &mut all_noted).unwrap();
            let overlay = Overlay::new(lent.model());
            let evaluation =
                Evaluation { kernels: Kernels::detected(), rows, overlay: &overlay, apart: None };
            let mut worker = Worker::new(lent.model());
            // One row, a lane group, and blocks of rows that lie apart.
            for picked in [
                vec![17],
                (0..16).map(|i| 399 - i * 3).collect(),
                (0..ROWS as u32).step_by(3).collect::<Vec<_>>(),
            ] {
                let (mut some, mut noted) = (Scores::default(), Noted::default());
                let model = lent.model();
                model.scores_of_under(&evaluation, &picked, acting, &mut worker, (&mut some, &mut noted));
                for (place, &row) in picked.iter().enumerate() {
                    let what = format!("{} {name} row {row} of {}", law.name, picked.len());
                    assert_eq!(some.logits[place].to_bits(), all.logits[row as usize].to_bits(), "{what}");
                    assert_eq!(noted.rows[place], all_noted.rows[row as usize], "{what}");
                }
            }
        }
    }
}

#[test]
fn computing_again_helps_against_faults_in_what_is_computed_and_never_against_those_in_memory() {
    let law = law_models(ROWS).into_iter().find(|law| law.name == "wide-deep").unwrap();
    let (rows, mut lent) = (law.rows(), LentModel::new(law.model.clone()));
    let target: Target = "mlp.mlp.0.weight@30".parse().unwrap();
    let flips = parse_error_model("flips").unwrap();
    let (chip, rate) = (Chip::new(1, 0), BitErrorRate::new(2e-3).unwrap());
    let computed = Computed::of(&lent, &target, ROWS).unwrap();
    let hit =
        Transients::draw(flips.as_ref(), (chip, Some(rate)), &computed, true, &mut DrawnMap::new()).unwrap();
    assert!(!hit.is_empty());
    let mut drawn = DrawnMap::new();
    let exposure = target.resolve(lent.specs(), Expose::Parameters).unwrap();
    flips.draw(chip, &exposure, Some(BitErrorRate::new(1e-1).unwrap()), &mut drawn).unwrap();
    let changes = Changes::of(&drawn, &lent);
    let mut run = |protection: &str, compute: bool| {
        let protected = protect(&law, &lent, protection);
        let none = Changes::default();
        let under = if compute {
            Under { changes: &none, transients: Some(&hit), hooks: protected.hooks() }
        } else {
            Under { changes: &changes, transients: None, hooks: protected.hooks() }
        };
        let (mut out, mut noted) = (Scores::default(), Noted::default());
        Engine::full_under(&mut lent, &rows, under, (&mut out, &mut noted)).unwrap();
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
