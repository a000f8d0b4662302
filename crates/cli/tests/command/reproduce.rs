//! `radhard reproduce`: what is asked for is checked before anything is made, and tables lie where the result says.

use std::fs;

use crate::workbench::Workbench;

#[test]
fn what_cannot_be_reproduced_is_a_usage_error_and_leaves_nothing() {
    let bench = Workbench::new();
    let nothing = |arguments: &str, code: i32, parts: &[&str]| {
        bench.run(&format!("reproduce {arguments} --quick --out paper")).fails(code, parts);
        assert!(!bench.path("paper").exists(), "{arguments}");
    };
    fs::create_dir(bench.path("real")).expect("a directory of its own");
    nothing("fig11 --data-dir real", 1, &["fig11", "fig4 … fig10"]);
    nothing("table1 --data-dir nowhere", 5, &["--data-dir", "nowhere"]);
    nothing("table2 --data-dir real --train-rows few", 1, &["--train-rows", "few"]);
    nothing("table1 --data-dir real --as-artefact", 1, &["--as-artefact", "table1"]);
    nothing("claims --data-dir real --as-artefact", 1, &["--as-artefact", "claims"]);
    nothing(
        "table2 --data-dir real --sets movielens-2m",
        1,
        &["--sets", "movielens-2m", "movielens-20m, criteo"],
    );
    nothing("table2 --data-dir real --start warm", 1, &["--start", "warm", "torchfm", "zero"]);
    nothing("fig10 --data-dir real --as-artefact --sets criteo", 1, &["--as-artefact", "movielens-1m"]);
}

#[test]
fn table_1_has_a_line_for_each_dummy_model_and_its_directory_one_scale() {
    let bench = Workbench::new();
    let result = bench.run("reproduce table1 --quick --out paper --json").json();
    assert_eq!((&result["part"], &result["scale"]), (&"table1".into(), &"quick".into()));
    let files = result["files"].as_array().expect("files are listed");
    for file in files {
        assert!(bench.path(file.as_str().expect("a path")).exists(), "{file}");
    }
    let table = fs::read_to_string(bench.path("paper/paper/table1.csv")).expect("table 1 is there");
    assert_eq!(table.lines().count(), 1 + 16);
    bench.run("reproduce table1 --out paper").fails(4, &["quick", "full", "paper"]);
}
