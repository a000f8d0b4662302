//! The law of the two ways to evaluate: `auto` and `full` record the same scores, the same of what protections noticed, and the
//! same of how far flips are read, for every model.

use std::path::Path;

use law_models::{LawModel, law_models};
use radhard_campaign::{CheckedPlan, Evaluation, How, Silent, run};
use radhard_data::{Columns, Meta, SplitMeta};
use radhard_records::{Store, Trial, score};

#[path = "../../models/tests/law_models/mod.rs"]
mod law_models;

const ROWS: usize = 400;

const PROTECTIONS: [&str; 14] = [
    "none",
    "sbp",
    "mset",
    "secded:reload",
    "row-checksum",
    "range-guard:row",
    "clip:paper",
    "ranger",
    "abft-gemm:recompute",
    "abft-gemm:reload",
    "abft-embedding:recompute",
    "abft-embedding:reload",
    "abft-embedding:fallback",
    "row-checksum+abft-gemm:reload",
];

/// Writes a model and its rows, half of them to train and half to test.
fn write(law: &LawModel, directory: &Path) {
    let config = law.model.config();
    let names = |prefix: &str, count: usize| (0..count).map(|i| format!("{prefix}{i}")).collect::<Vec<_>>();
    let mut meta = if config.takes_bags() {
        Meta::new("rows", Vec::new(), Vec::new())
    } else {
        Meta::new("rows", names("f", config.fields()), config.field_dims.clone())
    };
    meta.numeric_names = names("x", config.numeric);
    meta.bag_dim = law.bags.as_ref().map(|bags| bags.dim);
    let parts: Vec<u8> = (0..ROWS).map(|row| if row % 2 == 0 { 0 } else { 2 }).collect();
    let half = ROWS as u64 / 2;
    meta.split = Some(SplitMeta { seed: 1, ratio: [1, 0, 1], counts: [half, 0, half] });
    let columns = Columns {
        indices: law.indices.clone(),
        numeric: law.numeric.clone(),
        labels: law.labels.clone(),
        parts,
        bags: law.bags.clone(),
        ..Columns::default()
    };
    assert_eq!(law.rows().len(), ROWS);
    columns.write(directory.join("rows.data"), meta).expect("rows are written");
    law.model.save(directory.join("a.model")).expect("the model is written");
}

/// All trials of a campaign, by cell and chip.
fn trials(directory: &Path, plan: &str, evaluation: Evaluation, out: &str) -> Vec<(String, Trial)> {
    let plan = CheckedPlan::parse(plan, &directory.join("plan.toml")).expect("a plan");
    let out = directory.join(out);
    run(&plan, &out, How::new(evaluation), &Silent).expect("it runs");
    let store = Store::open(&out).expect("records");
    let cells: Vec<_> = store.cells().map(|(id, cell)| (id, format!("{:?}", cell.key))).collect();
    let mut all = Vec::new();
    for (id, key) in cells {
        let mut trials = store.trials(id).expect("trials");
        trials.sort_by_key(|trial| trial.chip);
        all.extend(trials.into_iter().map(|trial| (key.clone(), trial)));
    }
    all
}

#[test]
fn both_ways_record_the_same_scores_events_and_reads_of_every_model() {
    let (mut noticed, mut reloaded, mut read) = (0, 0, 0);
    for law in law_models(ROWS) {
        let directory = tempfile::tempdir().expect("a directory");
        write(&law, directory.path());
        for persistence in ["memory", "compute"] {
            let plan = format!(
                "chips = 4\npersistence = \"{persistence}\"\ntargets = [\"embedding\", \"all\"]\nrates = [1e-5, 1e-3]\n\
                 protections = {PROTECTIONS:?}\n[[subject]]\nname = \"a\"\nmodel = \"a.model\"\ndata = \"rows.data\"\n"
            );
            let [auto, full] = [Evaluation::Auto, Evaluation::Full].map(|evaluation| {
                trials(directory.path(), &plan, evaluation, &format!("{persistence}-{evaluation:?}"))
            });
            assert_eq!(auto.len(), full.len(), "{}", law.name);
            for ((key, auto), (other, full)) in auto.iter().zip(&full) {
                let what = format!("{} {persistence} {key} chip {}", law.name, auto.chip);
                assert_eq!((key, auto.chip, auto.flips), (other, full.chip, full.flips), "{what}");
                assert_eq!(auto.noticed.counts(), full.noticed.counts(), "{what}");
                assert_eq!((auto.flips_read, auto.reads), (full.flips_read, full.reads), "{what}");
                let [a, b] = [auto, full].map(|trial| score::numbers(&trial.scores));
                assert!(a.iter().zip(&b).all(|(a, b)| a.is(*b)), "{what}: {a:?}, {b:?}");
                assert_eq!(auto.scores.outcome, full.scores.outcome, "{what}");
                noticed += u64::from(auto.noticed.rows_detected > 0);
                reloaded += auto.noticed.reload_bytes;
                read += auto.flips_read.unwrap_or(0);
            }
        }
    }
    // A law that is never asked tests nothing.
    assert!(noticed > 500 && reloaded > 1000 && read > 1000, "{noticed} {reloaded} {read}");
}
