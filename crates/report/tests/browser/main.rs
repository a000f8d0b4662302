//! The page in a real browser: every control works, what is shown equals the records, nothing is asked of a network.
//!
//! Chromium or Chrome is taken from `RADHARD_CHROMIUM` or from `PATH`; without one these tests say so and check nothing.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../fixture/mod.rs"]
mod fixture;
#[path = "../fixture/grid.rs"]
mod grid;

use std::env;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use fixture::{SUBJECTS, Subject, UNLABELLED, campaign};
use radhard_report::folio::{Section, Table};
use radhard_report::quantity::{loss, rate, rmse, score};
use radhard_report::{CellLine, Summary, page};
use serde_json::Value;

const WATCH: &str = include_str!("watch.js");
const DRIVE: &str = include_str!("drive.js");
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// The browser of this machine; where there is none, the reason is printed past the test's captured output.
fn browser() -> Option<PathBuf> {
    let asked = env::var_os("RADHARD_CHROMIUM").map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    let found = asked.or_else(|| {
        let dirs: Vec<PathBuf> = env::split_paths(&path).collect();
        NAMES.iter().flat_map(|name| dirs.iter().map(move |dir| dir.join(name))).find(|file| file.is_file())
    });
    if found.is_none() {
        let said = "the page is not tested in a browser: none of chromium, chromium-browser, google-chrome, chrome is in PATH; \
                    install one (Debian: apt install chromium) or set RADHARD_CHROMIUM to its path\n";
        std::io::stderr().write_all(said.as_bytes()).unwrap();
    }
    found
}

/// What a page shows after its controls were used.
fn driven(html: &str, window: &str) -> Option<Value> {
    let copy = html
        .replacen("<style>", &format!("<script>{WATCH}</script><style>"), 1)
        .replace("</body>", &format!("<script>{DRIVE}</script></body>"));
    let facts = opened(&copy, window)?;
    assert_eq!(facts["faults"], serde_json::json!([]));
    assert_eq!(facts["requests"], serde_json::json!([]), "something was asked of a network");
    Some(facts)
}

/// Opens a page that writes down facts about itself; the console of the browser must stay empty.
fn opened(copy: &str, window: &str) -> Option<Value> {
    let browser = browser()?;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("page.html");
    fs::write(&file, copy).unwrap();
    let profile = format!("--user-data-dir={}", dir.path().join("profile").display());
    let output = Command::new(&browser)
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions"])
        .args(["--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND"])
        .args(["--enable-logging=stderr", "--virtual-time-budget=60000", window, &profile, "--dump-dom"])
        .arg(format!("file://{}", file.display()))
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", browser.display()));
    let console: Vec<String> = String::from_utf8_lossy(&output.stderr)
        .lines()
        // That a frame may run no scripts is what a test asks for.
        .filter(|line| {
            line.contains("CONSOLE") && !line.contains("Blocked script execution in 'about:srcdoc'")
        })
        .map(str::to_owned)
        .collect();
    assert_eq!(console, Vec::<String>::new(), "the console is not empty");
    let dom = String::from_utf8(output.stdout).unwrap();
    let facts = dom
        .rsplit_once("id=\"facts\">")
        .unwrap_or_else(|| panic!("no facts: {}", String::from_utf8_lossy(&output.stderr)))
        .1;
    Some(serde_json::from_str(facts.split("</script>").next().unwrap()).unwrap())
}

const WIDE: &str = "--window-size=1280,900";

fn summary_of(subjects: &[Subject]) -> Summary {
    let dir = tempfile::tempdir().unwrap();
    Summary::of(&campaign(dir.path(), subjects, 20)).unwrap()
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect()
}

fn cell<'a>(summary: &'a Summary, model: &str, target: &str, ber: f64) -> &'a CellLine {
    summary
        .cells
        .iter()
        .find(|cell| (cell.model.as_str(), cell.target.as_str(), cell.ber) == (model, target, Some(ber)))
        .unwrap()
}

#[test]
fn every_control_changes_the_chart_as_it_says() {
    let summary = summary_of(&SUBJECTS);
    let Some(facts) = driven(&page::html(&summary).unwrap(), WIDE) else { return };
    assert_eq!(
        texts(&facts["controls"]),
        [
            "model",
            "data",
            "target",
            "error_model",
            "protection",
            "measure",
            "from",
            "to",
            "x=log",
            "x=linear",
            "y=log",
            "y=linear",
            "band",
            "interval",
            "predicted"
        ]
    );
    assert_eq!(facts["visible"], serde_json::json!({ "form": true, "charts": false }));
    let steps = &facts["steps"];
    let start = &facts["start"];
    assert_eq!(start["told"], "3 lines, 27 points.");
    assert_eq!(start["marks"], 27);
    assert_eq!(texts(&start["lines"])[..3], ["all", "dense", "embedding"]);
    assert_eq!([&steps["one target"]["marks"], &steps["every target"]["marks"]], [9, 27]);
    assert_eq!(steps["every target"]["values"], start["values"]);
    assert!(steps["loss"]["explained"].as_str().unwrap().starts_with("mean loss of AUC"));
    assert!(steps["rmse"]["explained"].as_str().unwrap().starts_with("median RMSE"));
    assert!(steps["share"]["explained"].as_str().unwrap().starts_with("share of chips"));
    assert_eq!(steps["auc"]["values"], start["values"]);
    let ticks = |step: &str| texts(&steps[step]["ticks"]).into_iter().map(str::to_owned).collect::<Vec<_>>();
    assert!(ticks("logarithmic rates").contains(&"1e-9".to_owned()));
    assert!(
        !ticks("linear rates").contains(&"1e-9".to_owned())
            && ticks("linear rates").contains(&"0.02".to_owned())
    );
    assert!(ticks("logarithmic loss").contains(&"1e-2".to_owned()));
    let told = steps["logarithmic loss"]["told"].as_str().unwrap();
    assert!(told.contains("not above 0"), "{told}");
    let parts = |step: &str| {
        [&steps[step]["areas"], &steps[step]["whiskers"], &steps[step]["dashes"]].map(Value::as_u64)
    };
    assert_eq!(parts("bare"), [Some(0); 3]);
    assert_eq!(parts("dressed"), [Some(3), Some(27), Some(2)]);
    // fm was measured on another data set, which the choice of the model brings along.
    assert_eq!(steps["model fm"]["chosen"]["data"], "movielens-1m");
    assert!(steps["model fm"]["told"].as_str().unwrap().contains("data is now movielens-1m"));
    assert_eq!(steps["data ml-latest-small"]["chosen"]["model"], "wide-deep");
    assert_eq!(steps["everything"]["told"], "5 lines, 45 points.");
    for (name, step) in steps.as_object().unwrap() {
        assert!(!step["told"].as_str().unwrap().is_empty(), "{name} is not announced");
        assert_eq!(step["hidden"], false, "{name} shows nothing");
    }
    // Two of nine rates are left out, and the address remembers it.
    assert_eq!(steps["from 1e-7"]["told"], "3 lines, 21 points.");
    assert!(facts["address"].as_str().unwrap().contains("from=1e-7"), "{}", facts["address"]);
    assert_eq!(steps["every rate"]["values"], start["values"]);
    // The filter of the table leaves the cells of one rate.
    assert_eq!(facts["filtered"], serde_json::json!([5, summary.cells.len()]));
    assert_eq!(facts["unfolded"], serde_json::json!([true, "true"]));
    assert_eq!(facts["folded"], serde_json::json!([false, "false"]));
}

#[test]
fn pointer_and_keys_tell_the_values_of_the_records() {
    let summary = summary_of(&SUBJECTS);
    let Some(facts) = driven(&page::html(&summary).unwrap(), WIDE) else { return };
    let rates = [1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1];
    let said = |target: &str, place: usize| {
        let cell = cell(&summary, "wide-deep", target, rates[place]);
        let interval = format!("[{}, {}]", score(cell.ci_low), score(cell.ci_high));
        format!(
            "{target} at {}; mean AUC {} {interval}; 5–95 % of chips",
            rate(rates[place]),
            score(cell.mean)
        )
    };
    let expected = [
        ("all", 0),
        ("all", 1),
        ("dense", 1),
        ("dense", 8),
        ("dense", 8),
        ("dense", 7),
        ("dense", 0),
        ("all", 0),
    ];
    let keys = texts(&facts["keys"]);
    for (told, (target, place)) in keys.iter().zip(expected) {
        assert!(told.starts_with(&said(target, place)), "{told} is not {}", said(target, place));
        assert!(told.contains("n 20, flips ") && told.contains("chips with NaN "), "{told}");
    }
    assert!(keys[2].contains("predicted ~"), "{}", keys[2]);
    assert_eq!([&facts["tip"]["hidden"], &facts["escaped"], &facts["left"]], [false, true, true]);
    // Every mark answers with its own mean, or with that of one that lies on it.
    let pointed = facts["pointed"].as_array().unwrap();
    let targets = ["all", "dense", "embedding"];
    for (index, told) in pointed.iter().enumerate() {
        let mean = score(cell(&summary, "wide-deep", targets[index / 9], rates[index % 9]).mean);
        let told = texts(told);
        assert!(told[0].ends_with(&format!(" at {}", rate(rates[index % 9]))), "{told:?}");
        let shown: f64 = told[1].split(' ').nth(2).unwrap().parse().unwrap();
        assert!((shown - mean.parse::<f64>().unwrap()).abs() < 0.002, "{told:?} is not {mean}");
    }
    assert_eq!(pointed.len(), 27);
}

#[test]
fn the_table_behind_the_chart_holds_its_values() {
    let summary = summary_of(&SUBJECTS);
    let Some(facts) = driven(&page::html(&summary).unwrap(), WIDE) else { return };
    let rows = |step: &Value| -> Vec<Vec<String>> { serde_json::from_value(step["values"].clone()).unwrap() };
    for row in rows(&facts["start"]) {
        let cell = cell(&summary, "wide-deep", &row[0], row[1].parse().unwrap());
        assert!(row[2].starts_with(&format!("{} [", score(cell.mean))), "{row:?}");
        assert_eq!(row[3..6], [score(cell.p05), score(cell.p95), cell.n.to_string()]);
        assert!(row[8].ends_with(&score(cell.predicted)), "{row:?}");
    }
    for row in rows(&facts["steps"]["loss"]) {
        let cell = cell(&summary, "wide-deep", &row[0], row[1].parse().unwrap());
        assert!(row[2].starts_with(&format!("{} [", loss(cell.loss))), "{row:?}");
    }
}

#[test]
fn heads_sort_by_value_up_and_down() {
    let summary = summary_of(&SUBJECTS);
    let Some(facts) = driven(&page::html(&summary).unwrap(), WIDE) else { return };
    let sorted = facts["sorted"].as_object().unwrap();
    assert!(sorted.len() >= 12);
    for (field, orders) in sorted {
        assert_eq!([&orders[0][0], &orders[1][0]], ["ascending", "descending"], "{field}");
        assert_eq!(orders[0][1].as_array().unwrap().len(), summary.cells.len());
    }
    let numbers = |field: &str, order: usize| -> Vec<f64> {
        texts(&sorted[field][order][1])
            .iter()
            .map(|text| text.split(' ').next().unwrap().parse().unwrap())
            .collect()
    };
    for field in ["ber", "mean", "p05", "loss"] {
        assert!(numbers(field, 0).is_sorted(), "{field}");
        assert!(numbers(field, 1).iter().rev().is_sorted(), "{field}");
    }
}

#[test]
fn downloads_hold_the_cells_of_the_records() {
    let dir = tempfile::tempdir().unwrap();
    let store = campaign(dir.path(), &SUBJECTS, 20);
    let summary = Summary::of(&store).unwrap();
    let Some(facts) = driven(&page::html(&summary).unwrap(), WIDE) else { return };
    assert_eq!(texts(&facts["saved"]), ["cells.csv", "report.json"]);
    assert_eq!(facts["announced"], "report.json is made.");
    let files = texts(&facts["files"]);
    store.export_csv(dir.path()).unwrap();
    let exported = fs::read_to_string(dir.path().join("cells.csv")).unwrap();
    let rows = |text: &str| -> Vec<Vec<String>> {
        text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
    };
    let (saved, exported) = (rows(files[0]), rows(&exported));
    assert_eq!(saved.len(), exported.len());
    for (saved, exported) in saved.iter().zip(&exported) {
        for (one, other) in saved.iter().zip(exported) {
            let same = one == other || one.parse::<f64>().is_ok_and(|one| other.parse() == Ok(one));
            assert!(same, "{one} is not {other}");
        }
    }
    let json: Value = serde_json::from_str(files[1]).unwrap();
    for (one, cell) in json["cells"].as_array().unwrap().iter().zip(&summary.cells) {
        assert_eq!((one["target"].as_str(), one["mean"].as_f64()), (Some(cell.target.as_str()), cell.mean));
    }
    assert_eq!(json["goldens"].as_array().unwrap().len(), 2);
    // The data packed in the page unpack to the JSON of the report, but for numbers that a script rounds.
    let whole = serde_json::to_value(&summary).unwrap();
    for key in ["boxes", "firsts", "complete", "trials_planned", "metric", "findings", "protections"] {
        assert_eq!(as_floats(&json[key]), as_floats(&whole[key]), "{key}");
    }
}

/// Numbers as a script writes them: 3.0 is 3.
fn as_floats(value: &Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().map_or(Value::Null, Value::from),
        Value::Array(list) => list.iter().map(as_floats).collect(),
        Value::Object(object) => {
            object.iter().map(|(name, value)| (name.clone(), as_floats(value))).collect()
        }
        other => other.clone(),
    }
}

#[test]
fn a_page_with_more_around_it_works_as_any() {
    let summary = summary_of(&SUBJECTS).untimed();
    let Some(facts) = driven(&framed(&summary), WIDE) else { return };
    assert_eq!(facts["start"]["told"], "3 lines, 27 points.");
    assert_eq!(texts(&facts["saved"]), ["cells.csv", "report.json"]);
    let claims = &facts["further"][0];
    assert_eq!((texts(&claims[0]), texts(&claims[1])), (vec!["C1", "C9", "C10"], vec!["9.5", "10", "–"]));
}

/// A page with sections of its own, one of a wide table and one of a drawing.
fn framed(summary: &Summary) -> String {
    let table = Table {
        caption: "claims".to_owned(),
        wide: true,
        head: ["#", "seconds", "the paper says"].map(str::to_owned).to_vec(),
        numbers: vec![false, true, false],
        rows: [("C10", "9.5"), ("C9", "–"), ("C1", "10")]
            .map(|(id, seconds)| {
                vec![id.to_owned(), seconds.to_owned(), "a sentence of some length ".repeat(9)]
            })
            .to_vec(),
    };
    let drawing = radhard_report::chart::chart(&summary.panels[0], summary).unwrap();
    let section = |id: &str| Section { id: id.to_owned(), heading: id.to_uppercase(), ..Section::default() };
    let first = vec![Section { tables: vec![table], ..section("claims") }];
    let then = vec![Section { drawings: vec![drawing], ..section("fig7") }];
    let frame =
        page::Frame { title: Some("A study".to_owned()), lead: vec!["Repeated.".to_owned()], first, then };
    page::framed(summary, frame).unwrap()
}

#[test]
fn a_reader_without_eyes_or_mouse_finds_everything_named() {
    let summary = summary_of(&SUBJECTS);
    let pages = [page::html(&summary).unwrap(), framed(&summary)];
    for (window, page) in
        [WIDE, "--window-size=500,900"].into_iter().flat_map(|w| pages.iter().map(move |p| (w, p)))
    {
        let Some(facts) = driven(page, window) else { return };
        assert_eq!(facts["nameless"], serde_json::json!([]));
        assert_eq!(facts["doubled"], serde_json::json!([]));
        assert_eq!(facts["dangling"], serde_json::json!([]));
        assert_eq!(facts["landmarks"], serde_json::json!([1, 1, 1, 1]));
        assert!(
            facts["wide"].as_i64().unwrap() <= 0,
            "the page is wider than its window by {}",
            facts["wide"]
        );
    }
}

#[test]
fn a_reader_without_scripts_sees_charts_and_no_controls() {
    // A frame that may not run scripts, looked into from outside.
    let html = page::html(&summary_of(&SUBJECTS)).unwrap();
    let frame = radhard_report::svg::escaped(&html);
    let look = r#"<script>addEventListener("load", () => {
        const inside = document.querySelector("iframe").contentDocument;
        const out = document.createElement("script");
        out.type = "application/json";
        out.id = "facts";
        const shown = (id) => inside.getElementById(id).checkVisibility();
        out.textContent = JSON.stringify(["charts", "cells", "choose", "explorer", "unfold", "save-csv"].map(shown));
        document.body.append(out);
    });</script>"#;
    let copy = format!(
        "<body><iframe sandbox=\"allow-same-origin\" width=1200 srcdoc=\"{frame}\"></iframe>{look}</body>"
    );
    let Some(facts) = opened(&copy, WIDE) else { return };
    assert_eq!(facts, serde_json::json!([true, true, false, false, false, false]));
}

#[test]
fn a_model_without_labels_is_drawn_by_its_distance_from_golden() {
    let summary = summary_of(&UNLABELLED);
    let html = page::html(&summary).unwrap();
    let Some(facts) = driven(&html, WIDE) else { return };
    let start = &facts["start"];
    assert_eq!(
        start["explained"],
        "median RMSE from golden against bit error rate: model dummy-d1, data dummy-0.001, unprotected"
    );
    assert!(start["told"].as_str().unwrap().contains("points are infinite"), "{}", start["told"]);
    for row in start["values"].as_array().unwrap() {
        let row = texts(row);
        let cell = cell(&summary, "dummy-d1", row[0], row[1].parse().unwrap());
        let median = cell.deviation.rmse_median.unwrap_or(f64::INFINITY);
        assert!(row[2].starts_with(&rmse(Some(median))), "{row:?} is not {median}");
    }
    assert_eq!(facts["steps"]["auc"]["told"], "No cell of this choice has such a value.");
}

#[test]
fn a_grid_of_the_papers_size_is_under_5_mb_and_works() {
    let dir = tempfile::tempdir().unwrap();
    let summary = Summary::of(&grid::campaign_of_the_papers_size(dir.path(), 4)).unwrap();
    assert_eq!(summary.cells.len(), 5 * 3 * 3 * 15 * 4);
    let html = page::html(&summary).unwrap();
    assert!(html.len() < 5_000_000, "{} bytes", html.len());
    let Some(facts) = driven(&html, WIDE) else { return };
    assert_eq!(facts["start"]["told"], "3 lines, 45 points.");
    assert_eq!(facts["steps"]["protection "]["told"], "12 lines, 180 points.");
    let told = facts["steps"]["everything"]["told"].as_str().unwrap();
    assert!(told.starts_with("24 lines, 360 points. 156 more lines are not drawn"), "{told}");
}
