//! The plans that the documents show are plans.

use std::path::{Path, PathBuf};

use radhard_campaign::CheckedPlan;

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn page() -> String {
    std::fs::read_to_string(repository("docs/formats/plan.md")).expect("the page is there")
}

#[test]
fn the_example_is_a_plan() {
    let plan = CheckedPlan::read(&repository("examples/plan.toml")).expect("a plan");
    assert_eq!(plan.targets().len(), 4);
    assert_eq!(plan.resolve(Path::new("../ml.data")).file_name(), Some("ml.data".as_ref()));
}

#[test]
fn the_example_of_protections_is_a_plan_and_names_them_as_records_do() {
    for example in ["examples/protections.toml", "examples/compute.toml"] {
        let plan = CheckedPlan::read(&repository(example)).expect("a plan");
        for (combination, name) in plan.protections().iter().zip(&plan.plan().protections) {
            assert_eq!(&combination.name(), name);
        }
    }
}

#[test]
fn the_page_shows_a_plan_and_an_example_of_each_key() {
    let page = page();
    let block = page.split("```toml").nth(1).and_then(|rest| rest.split("```").next()).expect("a block");
    let whole = CheckedPlan::parse(block, Path::new("plan.md")).expect("a plan");
    assert_eq!(whole.rates().len(), 9);

    let subject = "\n[[subject]]\nmodel = \"m\"\ndata = \"d\"\n";
    let mut keys = 0;
    for line in page.lines().filter(|line| line.starts_with("| `") && line.ends_with("` |")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        let example = cells[cells.len() - 1].trim().trim_matches('`');
        let rates = if example.starts_with("rates") { "" } else { "rates = [1e-6]\n" };
        let text = if example.starts_with("model") {
            format!("{rates}[[subject]]\n{example}\ndata = \"d\"\n")
        } else {
            format!("{rates}{example}{subject}")
        };
        CheckedPlan::parse(&text, Path::new("plan.md")).unwrap_or_else(|error| panic!("{example}: {error}"));
        keys += 1;
    }
    assert_eq!(keys, 13, "a key without an example");
}

#[test]
fn every_error_model_of_the_page_is_known() {
    let page = page();
    let table = page.split("| error model | meaning |").nth(1).expect("the table of error models");
    let names = table.lines().filter(|line| line.starts_with("| `")).flat_map(|line| {
        let cell = line.trim_matches('|').split(" | ").next().unwrap_or_default().trim();
        cell.split(", ").map(|name| name.trim_matches('`').to_owned()).collect::<Vec<_>>()
    });
    let mut known = 0;
    for name in names {
        let name = name
            .replace('K', "8")
            .replace("P01:P10", "0.1:1")
            .replace("L:R", "4:0.5")
            .replace("LO..HI", "-1..1");
        radhard_fault::parse_error_model(&name).unwrap_or_else(|error| panic!("{name}: {error}"));
        known += 1;
    }
    assert_eq!(known, 10);
}
