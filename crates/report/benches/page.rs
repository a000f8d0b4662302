//! Size of the page of a campaign of the paper's size, time to write it, and time until a browser has it ready.
//!
//! Ready is when every control answers and what is in sight is laid out, from the start of the navigation. The chart's
//! change is from the change of a control to the new chart laid out; so is sorting the table of all cells. The browser is
//! Chromium or Chrome, from `RADHARD_CHROMIUM` or `PATH`; each repetition is a new process.
#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]

#[path = "../tests/fixture/mod.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod fixture;
#[path = "../tests/fixture/grid.rs"]
mod grid;

use std::fs;
use std::process::Command;
use std::time::Instant;

use radhard_report::{Summary, page};

const REPETITIONS: usize = 15;

/// Stands behind the page's scripts: lays the page out, uses its controls, and writes down the times in milliseconds.
const PROBE: &str = r"<script>{
const now = () => { document.body.getBoundingClientRect(); return performance.now(); };
const ready = now();
const set = (name, value) => {
  const control = document.getElementById('choose').elements[name];
  control.value = value;
  control.dispatchEvent(new Event('change', { bubbles: true }));
};
set('target', 'dense');
const one = now();
set('protection', '');
const many = now();
document.querySelector('#all-cells th[data-field=mean] button').click();
const sorted = now();
document.body.setAttribute('data-times', [ready, one - ready, many - one, sorted - many].join(' '));
}</script></body>";

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let store = grid::campaign_of_the_papers_size(dir.path(), 10);
    let (mut summing, mut writing) = (Vec::new(), Vec::new());
    let mut html = String::new();
    for _ in 0..REPETITIONS {
        let start = Instant::now();
        let summary = Summary::of(&store).unwrap();
        summing.push(start.elapsed().as_secs_f64() * 1e3);
        let start = Instant::now();
        html = page::html(&summary).unwrap();
        writing.push(start.elapsed().as_secs_f64() * 1e3);
    }
    println!("page of 2,700 cells with 10 chips each: {} bytes", html.len());
    println!("{:40} {:>24}", "", "ms, median [min, max]");
    report("statistics from the records", &mut summing);
    report("page from the statistics", &mut writing);

    let file = dir.path().join("page.html");
    fs::write(&file, html.replace("</body>", PROBE)).unwrap();
    let browser = std::env::var("RADHARD_CHROMIUM").unwrap_or_else(|_| "chromium".to_owned());
    let mut times: [Vec<f64>; 4] = Default::default();
    for _ in 0..REPETITIONS {
        let profile = tempfile::tempdir().unwrap();
        let output = Command::new(&browser)
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,900", "--dump-dom"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(format!("file://{}", file.display()))
            .output();
        let Ok(output) = output else {
            println!("{browser} cannot be started: set RADHARD_CHROMIUM to the path of Chromium or Chrome");
            return;
        };
        let dom = String::from_utf8(output.stdout).unwrap();
        let found = dom.split("data-times=\"").nth(1).expect("the page is ready").split('"').next().unwrap();
        for (list, time) in times.iter_mut().zip(found.split(' ')) {
            list.push(time.parse().unwrap());
        }
    }
    let names =
        ["ready in the browser", "another target chosen", "every protection chosen", "2,700 cells sorted"];
    for (name, list) in names.iter().zip(&mut times) {
        report(name, list);
    }
}

fn report(name: &str, times: &mut [f64]) {
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    println!("{name:40} {:>24}", format!("{median:.0} [{:.0}, {:.0}]", times[0], times[times.len() - 1]));
}
