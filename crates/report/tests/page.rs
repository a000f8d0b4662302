//! The page and what lies beside it: complete, without outside references, and safe from hostile names.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod fixture;

use std::fs;
use std::path::Path;

use fixture::{SUBJECTS, Subject, UNLABELLED, campaign, protected_campaign};
use radhard_report::svg::{Colours, svg};
use radhard_report::{Extras, ReportError, Summary, chart, files, page, png, write_all};

const HOSTILE: [Subject; 2] = [
    Subject {
        model: "</title><script>alert(1)</script>",
        data: "\" onload=\"alert(2)\" x='{{ 7 * 7 }}",
        golden: 0.8,
        stand_in: true,
        targets: &[("../../etc/passwd\u{1b}[2J", 900.0), ("]]>&<!--", 90.0)],
    },
    Subject { model: "..", data: "/", golden: 0.8, stand_in: false, targets: &[("all", 9.0)] },
];

fn summary_of(subjects: &[Subject]) -> Summary {
    let dir = tempfile::tempdir().unwrap();
    Summary::of(&campaign(dir.path(), subjects, 20)).unwrap()
}

/// Where a tag ends: the first `>` outside quotes.
fn tag_end(text: &str) -> usize {
    let mut quoted = false;
    let end = text.find(|letter| {
        quoted ^= letter == '"';
        letter == '>' && !quoted
    });
    end.expect("a tag ends")
}

/// Names of the elements of a page in their order; fails on a tag that is not closed.
fn elements(text: &str) -> Vec<String> {
    const VOID: [&str; 4] = ["meta", "br", "link", "input"];
    let (mut open, mut seen) = (Vec::new(), Vec::new());
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        if rest.starts_with('!') {
            continue;
        }
        let end = tag_end(rest);
        let tag = &rest[..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "closed out of turn");
            continue;
        }
        let name = tag.split([' ', '/', '\n']).next().unwrap_or_default().to_owned();
        seen.push(name.clone());
        if matches!(name.as_str(), "script" | "style") {
            let close = rest.find(&format!("</{name}>")).expect("a script ends");
            rest = &rest[close + name.len() + 3..];
        } else if !tag.ends_with('/') && !VOID.contains(&name.as_str()) {
            open.push(name);
        }
    }
    assert_eq!(open, Vec::<String>::new(), "left open");
    seen
}

#[test]
fn costs_and_what_was_noticed_fold_out_below_the_gains() {
    let dir = tempfile::tempdir().unwrap();
    let protections = [("none", 1.0), ("abft-gemm:reload", 0.2)];
    let store = protected_campaign(dir.path(), &SUBJECTS[..1], &[1e-7, 1e-3], &protections, 40);
    let summary = Summary::of(&store).unwrap();
    let text = page::html(&summary).unwrap();
    elements(&text);
    let of = |class: &str| {
        let from = text.find(&format!("<details class=\"{class}\">")).unwrap();
        &text[from..from + text[from..].find("</details>").unwrap()]
    };
    for shown in
        ["4.00", "12.50 %", "408", "1.07 [1.01, 1.31]", "80,668", "of 3,000,000", "the checksum columns"]
    {
        assert!(of("costs").contains(shown), "{shown}");
    }
    assert!(of("costs").contains("data-key=\"80668.0\""));
    // Cells without anything to say have no row.
    let gains = &summary.protections[0].gains;
    let said = gains.iter().filter(|gain| gain.noticed.detected + gain.noticed.rows_missed > 0.0).count();
    assert!(said > 1 && said < gains.len());
    assert_eq!(of("noticed").matches("<td>abft-gemm:reload</td>").count(), said);
    assert!(of("noticed").contains(">90 %<"));
}

#[test]
fn a_prediction_that_is_no_auc_lies_on_the_edge_of_the_chart() {
    let mut summary = summary_of(&SUBJECTS);
    let plain = chart::chart(&summary.panels[0], &summary).unwrap();
    for cell in summary.panels[0].curves.iter_mut().flat_map(|curve| &mut curve.cells) {
        cell.predicted = cell.predicted.map(|_| 1e14);
    }
    let drawing = chart::chart(&summary.panels[0], &summary).unwrap();
    assert_eq!((drawing.shapes.len(), drawing.height), (plain.shapes.len(), plain.height));
}

#[test]
fn the_page_holds_every_part_and_refers_to_nothing_outside() {
    let summary = summary_of(&SUBJECTS);
    let html = page::html(&summary).unwrap();
    let seen = elements(&html);
    let count = |name: &str| seen.iter().filter(|seen| *seen == name).count();
    assert_eq!((count("svg"), count("script"), count("style"), count("h1")), (2, 2, 1, 1));
    assert_eq!((count("img"), count("link"), count("iframe"), count("object")), (0, 0, 0, 0));
    for text in
        ["wide-deep on ml-latest-small", "fm on movielens-1m (stand-in)", "chips = 40", &"3f".repeat(32)]
    {
        assert!(html.contains(text), "{text} is missing");
    }
    for attribute in ["href=\"", "src=\"", "url("] {
        for (place, _) in html.match_indices(attribute) {
            let address = &html[place + attribute.len()..];
            assert!(address.starts_with('#'), "{}", &address[..40]);
        }
    }
    assert_eq!(
        html.matches("http").count(),
        html.matches("http://www.w3.org/2000/svg").count() + 1,
        "the namespace of svg, and http-equiv"
    );
    assert!(html.len() < 5_000_000);
}

/// The object that the page carries.
fn embedded(html: &str) -> serde_json::Value {
    let start = html.split("<script type=\"application/json\" id=\"data\">").nth(1).unwrap();
    serde_json::from_str(start.split("</script>").next().unwrap()).unwrap()
}

#[test]
fn the_page_carries_the_values_of_the_records() {
    let summary = summary_of(&SUBJECTS);
    let html = page::html(&summary).unwrap();
    let data = embedded(&html);
    let place = |name: &str| data["columns"].as_array().unwrap().iter().position(|one| one == name).unwrap();
    assert_eq!(data["cells"].as_array().unwrap().len(), summary.cells.len());
    for (row, cell) in data["cells"].as_array().unwrap().iter().zip(&summary.cells) {
        let name = |column: &str| &data["names"][row[place(column)].as_u64().unwrap() as usize];
        assert_eq!(
            (name("target"), name("seed")),
            (&cell.target.as_str().into(), &cell.seed.to_string().into())
        );
        for (column, value) in [
            ("ber", cell.ber),
            ("mean", cell.mean),
            ("ci_low", cell.ci_low),
            ("ci_high", cell.ci_high),
            ("non_finite_share", cell.non_finite_share),
            ("predicted", cell.predicted),
            ("rmse_median", cell.deviation.rmse_median),
        ] {
            assert_eq!(row[place(column)].as_f64(), value, "{column}");
        }
    }
}

#[test]
fn the_table_of_cells_shows_the_values_of_the_records() {
    let summary = summary_of(&SUBJECTS);
    let html = page::html(&summary).unwrap();
    let table = html.split("id=\"all-cells\"").nth(1).unwrap().split("</table>").next().unwrap();
    let rows: Vec<&str> = table.split("<tr><td>").skip(1).collect();
    assert_eq!(rows.len(), summary.cells.len());
    for (row, cell) in rows.iter().zip(&summary.cells) {
        let fields: Vec<&str> = row.split("<td>").map(|field| field.split("</td>").next().unwrap()).collect();
        assert_eq!(fields[2], cell.target);
        let mean = format!("{:.4} [", cell.mean.unwrap());
        assert!(fields[12].starts_with(&mean), "{} is not {mean}", fields[12]);
        assert_eq!(fields[10], format!("{:.4}", cell.p05.unwrap()));
        // Shares first, each with its interval.
        assert!(fields[6..9].iter().all(|field| field.contains(" % [")), "{fields:?}");
    }
}

#[test]
fn the_heat_map_shows_every_loss_as_text() {
    let summary = summary_of(&SUBJECTS);
    let html = page::html(&summary).unwrap();
    let table = html.split("class=\"heat\"").nth(1).unwrap().split("</table>").next().unwrap();
    let fields: Vec<&str> = table
        .split("<td class=\"h")
        .skip(1)
        .map(|field| field.split_once('>').unwrap().1.split('<').next().unwrap())
        .collect();
    let shown = |cell: &radhard_report::CellLine| {
        let severe = radhard_report::quantity::share(cell.severe_share);
        format!("{severe} · {}", radhard_report::quantity::loss(cell.loss))
    };
    let losses: Vec<String> = summary.cells.iter().map(shown).collect();
    assert_eq!(fields, losses);
}

#[test]
fn a_page_without_an_auc_shows_distances_instead_of_dashes() {
    let html = page::html(&summary_of(&UNLABELLED)).unwrap();
    let seen = elements(&html);
    assert_eq!(seen.iter().filter(|name| *name == "svg").count(), 1);
    assert!(html.contains(">RMSE from golden<") && !html.contains(">guessing 0.5<"));
    let table = html.split("id=\"all-cells\"").nth(1).unwrap().split("</table>").next().unwrap();
    assert!(table.contains("median RMSE [95 %]") && !table.contains("mean AUC"));
    assert!(table.contains("<td>∞</td>") && !table.contains("<td>–</td>"));
    assert!(html.contains("class=\"h7\">∞<") && html.contains("median RMSE &gt; 0.01 at"));
}

#[test]
fn hostile_names_stay_names() {
    let summary = summary_of(&HOSTILE);
    let html = page::html(&summary).unwrap();
    let seen = elements(&html);
    assert_eq!(seen.iter().filter(|name| *name == "script").count(), 2);
    assert_eq!(embedded(&html)["cells"].as_array().unwrap().len(), summary.cells.len());
    assert!(!html.contains("<script>alert"));
    assert!(!html.contains("onload=\"alert"));
    assert!(html.contains("{{ 7 * 7 }}"), "a name was taken as a template");
    for panel in &summary.panels {
        let drawing = chart::chart(panel, &summary).unwrap();
        let text = svg(&drawing, Colours::Own, "chart");
        assert!(!elements(&text).contains(&"script".to_owned()));
        assert!(!text.contains('\u{1b}'));
        assert!(png::png(&drawing).unwrap().len() > 1000);
    }
    let table = radhard_report::terminal_cells(&summary);
    assert!(!table.contains('\u{1b}'), "a name reached the terminal's controls");
    let names: Vec<String> = files::figure_names(&summary).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["-.._-", "--title--script-alert-1---script-_--onload--alert-2---x-----7---7---"]);
}

#[test]
fn everything_is_written_and_twice_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let store = campaign(dir.path(), &SUBJECTS, 20);
    let summary = Summary::of(&store).unwrap();
    let extras = Extras { figures: true, csv: true };
    let written = write_all(dir.path(), &summary, &store, extras).unwrap();
    let names: Vec<String> = written
        .iter()
        .map(|path| path.strip_prefix(dir.path()).unwrap().to_string_lossy().replace('\\', "/"))
        .collect();
    assert_eq!(
        names,
        [
            "cells.csv",
            "trials.csv",
            "figures/fm_movielens-1m.svg",
            "figures/fm_movielens-1m.png",
            "figures/wide-deep_ml-latest-small.svg",
            "figures/wide-deep_ml-latest-small.png",
            "report.html"
        ]
    );
    let bytes: Vec<Vec<u8>> = written.iter().map(|path| fs::read(path).unwrap()).collect();
    write_all(dir.path(), &summary, &store, extras).unwrap();
    let page = tempfile::tempdir().unwrap();
    let alone = write_all(page.path(), &summary, &store, Extras::default()).unwrap();
    assert_eq!(alone, [page.path().join("report.html")]);
    assert_eq!(fs::read_dir(page.path()).unwrap().count(), 1);
    for (path, before) in written.iter().zip(bytes) {
        assert_eq!(fs::read(path).unwrap(), before, "{}", path.display());
    }
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let store = campaign(dir.path(), &SUBJECTS[..1], 3);
    let summary = Summary::of(&store).unwrap();
    fs::create_dir(dir.path().join("report.html")).unwrap();
    let error = write_all(dir.path(), &summary, &store, Extras::default()).unwrap_err();
    assert!(matches!(error, ReportError::Write { .. }), "{error}");
    assert!(error.to_string().contains("report.html: writing: "), "{error}");
    let error = write_all(Path::new("/proc/radhard"), &summary, &store, Extras::default()).unwrap_err();
    assert!(error.to_string().contains("/proc/radhard"), "{error}");
}

#[test]
fn a_campaign_without_cells_has_a_page() {
    let summary = summary_of(&[]);
    elements(&page::html(&summary).unwrap());
    assert!(radhard_report::terminal_summary(&summary).starts_with("No cell was run"));
}

#[test]
fn figures_are_svg_and_png_of_their_size_with_text() {
    let summary = summary_of(&SUBJECTS);
    let drawing = chart::chart(&summary.panels[0], &summary).unwrap();
    let text = svg(&drawing, Colours::Own, "chart");
    let seen = elements(&text);
    assert_eq!(seen[..3], ["svg", "title", "desc"]);
    assert!(text.contains(">golden 0.8014<") && text.contains(">guessing 0.5<") && text.contains(">1e-9<"));
    assert!(text.contains("(stand-in)") && !text.contains("class=\"line"));
    let image = png::png(&drawing).unwrap();
    assert_eq!(&image[..8], b"\x89PNG\r\n\x1a\n");
    let side = |at: usize| u32::from_be_bytes(image[at..at + 4].try_into().unwrap());
    assert_eq!((side(16), side(20)), (2 * drawing.width as u32, 2 * drawing.height as u32));
}
