//! What is on record is not prepared again, and what is shared between protections changes no record.

use std::path::Path;
use std::sync::Mutex;

use radhard_campaign::{CheckedPlan, Evaluation, How, Watch, run};
use radhard_data::synth::{Shape, SynthOptions, synth};
use radhard_data::{DataSet, Split, SplitRatio};
use radhard_models::{Config, Init, Model};

/// Writes down which subjects are prepared.
#[derive(Default)]
struct Prepared(Mutex<Vec<String>>);

impl Watch for Prepared {
    fn stage(&self, what: &str) {
        if what.starts_with("preparing") && what.contains(" on ") {
            self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(what.to_owned());
        }
    }
}

/// A directory with two models on the same rows.
fn subjects(directory: &Path) {
    let shape = Shape::named("movielens-1m").expect("a shape");
    let split = Some(Split { ratio: SplitRatio::default(), seed: 1 });
    let data = directory.join("rows.data");
    synth(shape, &data, &SynthOptions { rows: Some(6_000), seed: 1, split }, &mut |_| {}).expect("rows");
    let dims = DataSet::open(&data).expect("what was written opens").meta().field_dims.clone();
    for name in ["fm", "wide-deep"] {
        let model = Model::new(&Config::new(name, dims.clone()), Init::TorchFm, 3).expect("a model");
        model.save(directory.join(format!("{name}.safetensors"))).expect("it is written");
    }
}

fn plan(directory: &Path, protections: &[&str], chips: u32) -> CheckedPlan {
    let subject = |name: &str| {
        format!("[[subject]]\nname = \"{name}\"\nmodel = \"{name}.safetensors\"\ndata = \"rows.data\"\n")
    };
    let text = format!(
        "chips = {chips}\nrates = [1e-5]\ntargets = [\"all\"]\nprotections = {protections:?}\n{}{}",
        subject("fm"),
        subject("wide-deep")
    );
    CheckedPlan::parse(&text, &directory.join("plan.toml")).expect("a plan")
}

fn prepared(plan: &CheckedPlan, out: &Path) -> Vec<String> {
    let watch = Prepared::default();
    let report = run(plan, out, How::new(Evaluation::Auto), &watch).expect("it runs");
    assert!(!report.interrupted);
    watch.0.into_inner().expect("nothing panicked")
}

#[test]
fn a_directory_with_all_chips_on_record_prepares_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    subjects(directory.path());
    let out = directory.path().join("out");
    let protections = ["none", "sbp", "clip:paper", "ranger"];
    let first = prepared(&plan(directory.path(), &protections, 6), &out);
    // Once without hooks, and once for each protection with a golden run of its own: a clip finds nothing in fm.
    assert_eq!(first.len(), 2 + 3, "{first:?}");
    assert_eq!(prepared(&plan(directory.path(), &protections, 6), &out), [""; 0]);
    // More chips are prepared for again.
    assert_eq!(prepared(&plan(directory.path(), &protections, 7), &out).len(), 2 + 3);
}
