//! What a study leaves: tables, figures and claims, each as files that can be read without this program, and a page of all of them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use radhard_report::Summary;
use radhard_report::drawing::Drawing;
use radhard_report::folio::{Folio, Section, Table};
use radhard_report::page::{Frame, framed};
use radhard_report::png::png;
use radhard_report::svg::{Colours, svg};

use crate::answers::Answer;
use crate::artefact::{Shown, Way};
use crate::campaigns::{DUMMY_RATES, PAPER_DUMMY_RATES};
use crate::claim::{Claim, Verdict};
use crate::claims::subjects::Printed;
use crate::clock::Clock;
use crate::dummy::{DENSE_DIM, DummyShape, SPARSE_DIM};
use crate::figures::{HeatMap, Made, Sheet};
use crate::scale::Scale;
use crate::sets::grouped;
use crate::study::{StudyError, write};
use crate::training::Trained;

/// Files of one directory.
#[derive(Debug)]
pub struct Outputs {
    dir: PathBuf,
    written: Vec<PathBuf>,
    /// What was written so far, for the page.
    sections: Vec<Section>,
}

impl Outputs {
    /// The files go to this directory, which is made.
    pub fn new(dir: &Path) -> Result<Self, StudyError> {
        std::fs::create_dir_all(dir)
            .map_err(|source| StudyError::File { path: dir.to_path_buf(), source })?;
        Ok(Self { dir: dir.to_path_buf(), written: Vec::new(), sections: Vec::new() })
    }

    /// The files written so far.
    pub fn written(&self) -> &[PathBuf] {
        &self.written
    }

    /// A figure of curves: picture and data; whether anything was measured.
    pub fn sheet(&mut self, name: &str, sheet: &Sheet) -> Result<bool, StudyError> {
        let Some(drawing) = sheet.drawing() else { return Ok(false) };
        let mut data = "plot,line,ber,mean,min,max,ci_low,ci_high,predicted,golden,q05,q95\n".to_owned();
        for plot in &sheet.plots {
            for line in &plot.lines {
                for mark in &line.marks {
                    let [low, high] = mark.interval.map_or([None; 2], |interval| interval.map(Some));
                    let _ = writeln!(
                        data,
                        "{},{},{:e},{},{},{},{},{},{},{},{},{}",
                        field(&plot.title),
                        field(&line.name),
                        mark.rate,
                        mark.mean,
                        mark.ends[0],
                        mark.ends[1],
                        number(low),
                        number(high),
                        number(mark.predicted),
                        number(line.golden),
                        mark.band[0],
                        mark.band[1]
                    );
                }
            }
        }
        self.picture(name, drawing)?;
        self.write(&format!("{name}.csv"), data.as_bytes())?;
        Ok(true)
    }

    /// A figure of heat maps: picture and data; whether anything was measured.
    pub fn heat(&mut self, name: &str, map: &HeatMap) -> Result<bool, StudyError> {
        let Some(drawing) = map.drawing() else { return Ok(false) };
        let mut data =
            "component,ber,hidden,embedding,chips,printed_inf_nan,median_rmse,non_finite_share,touched_share\n"
                .to_owned();
        for (component, rate, hidden, embedding, failures) in map.values() {
            let Some(failures) = failures else { continue };
            let _ = writeln!(
                data,
                "{},{rate:e},{hidden},{embedding},{},{},{},{},{}",
                field(component),
                failures.chips,
                failures.printed,
                failures.median_rmse,
                failures.non_finite,
                failures.touched
            );
        }
        self.picture(name, drawing)?;
        self.write(&format!("{name}.csv"), data.as_bytes())?;
        Ok(true)
    }

    /// Table 1: the grid of the dummy models.
    pub fn table1(&mut self, widths: &[usize]) -> Result<String, StudyError> {
        let rows = DummyShape::grid(widths).into_iter().map(|shape| {
            vec![
                shape.name(),
                shape.depth.to_string(),
                shape.hidden.to_string(),
                shape.embedding.to_string(),
                DENSE_DIM.to_string(),
                SPARSE_DIM.to_string(),
                shape.sparsity.to_string(),
                shape.parameters().to_string(),
            ]
        });
        let table = Table {
            caption: "Table 1: the dummy models".to_owned(),
            rows: rows.collect(),
            ..headed("model depth# hidden# embedding# dense# sparse# sparsity# parameters#")
        };
        self.write("table1.csv", comma_separated(&table.head, &table.rows).as_bytes())?;
        let list = |values: &[usize]| values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let rates =
            |rates: &[f64]| rates.iter().map(|rate| format!("{rate:e}")).collect::<Vec<_>>().join(", ");
        let ranges = [
            ("hidden layers", "1, 2".to_owned()),
            ("hidden size", list(widths)),
            ("embedding dimension", list(widths)),
            ("length of the dense vector", DENSE_DIM.to_string()),
            ("length of the sparse vector", SPARSE_DIM.to_string()),
            ("sparsity", "0.001, 0.01".to_owned()),
            ("bit error rate", rates(&PAPER_DUMMY_RATES)),
            ("bit error rate, ours beyond", rates(&DUMMY_RATES[PAPER_DUMMY_RATES.len()..])),
        ];
        let ranges = Table {
            caption: "Table 1 as the paper has it: parameters and their values".to_owned(),
            rows: ranges.into_iter().map(|(name, values)| vec![name.to_owned(), values]).collect(),
            ..headed("parameter values")
        };
        self.tabled("table1", "Table 1", vec![ranges, table])
    }

    /// Table 2: the models, their sizes and fault-free AUCs, next to what is printed, with a verdict a cell.
    pub fn table2(&mut self, trained: &[Trained], scale: &Scale, made: &Made) -> Result<String, StudyError> {
        let head = [
            "model",
            "data",
            "stand_in",
            "parameters",
            "validation_auc",
            "test_auc",
            "paper_auc",
            "epochs",
            "train_rows",
            "epochs_at_most",
            "printed_parameters",
            "parameters_verdict",
            "auc_verdict",
            "auc_judged_by",
        ];
        let auc = |auc: Option<f64>, digits: usize| {
            auc.map_or_else(|| "–".to_owned(), |auc| format!("{auc:.digits$}"))
        };
        let (mut values, mut rows) = (Vec::new(), Vec::new());
        for one in trained {
            let printed = Printed::of(one.model, one.set);
            let count = printed.map_or(Verdict::Open, |printed| printed.count_verdict(one.parameters));
            let (judged, by) =
                printed.map_or((Verdict::Open, String::new()), |printed| printed.auc_verdict(one, scale));
            let shown = printed.map_or_else(String::new, Printed::shown);
            let paper = printed.map(|printed| printed.auc);
            values.push(vec![
                one.model.to_owned(),
                one.set.to_owned(),
                one.stand_in.to_string(),
                one.parameters.to_string(),
                number(one.validation_auc),
                number(one.test_auc),
                number(paper),
                one.epochs.to_string(),
                one.rows.to_string(),
                one.epochs_at_most.to_string(),
                shown.clone(),
                count.to_string(),
                judged.to_string(),
                field(&by),
            ]);
            rows.push(vec![
                one.model.to_owned(),
                format!("{}{}", one.set, if one.stand_in { " (synthetic)" } else { "" }),
                grouped(one.parameters),
                shown,
                count.to_string(),
                auc(one.validation_auc, 4),
                auc(one.test_auc, 4),
                auc(paper, 3),
                format!("{judged} ({by})"),
                format!("{} of {}", one.epochs, one.epochs_at_most),
                grouped(one.rows),
            ]);
        }
        self.write("table2.csv", comma_separated(&head.map(str::to_owned), &values).as_bytes())?;
        let sets: Vec<&str> =
            made.captions.iter().map(String::as_str).filter(|caption| !caption.is_empty()).collect();
        let table = Table {
            caption: format!(
                "Table 2: the models, their sizes and AUC without faults. {}. {}",
                sets.join(", "),
                made.note
            ),
            wide: true,
            rows,
            ..headed(
                "model data parameters# printed_parameters# parameters_verdict validation_AUC# test_AUC# printed_AUC# AUC_verdict \
                 epochs# training_rows#",
            )
        };
        self.tabled("table2", "Table 2", vec![table])
    }

    /// The released artefact's ways, and what each does to the curve.
    pub fn ways(&mut self, ways: &[(Way, Shown)]) -> Result<String, StudyError> {
        let rows = ways.iter().map(|(way, shown)| {
            vec![
                way.name.to_owned(),
                way.there.to_owned(),
                way.here.to_owned(),
                shown.effect.clone(),
                shown.n.to_string(),
                format!("as-artefact-{}.svg", way.name),
            ]
        });
        let table = Table {
            caption: "What each way of the released artefact does to the curve".to_owned(),
            wide: true,
            rows: rows.collect(),
            ..headed("as-artefact the_released_artefact here what_it_does_to_the_curve chips# figure")
        };
        let text = self.tabled("as-artefact", "as-artefact", vec![table])?;
        // What explains the pictures stands before them.
        self.sections.rotate_right(1);
        Ok(text)
    }

    /// The claims with their verdicts and the questions with their answers, as tables and with all evidence as JSON; what the
    /// clock decides stands with the [`times`](Self::times).
    pub fn claims(&mut self, claims: &[Claim], answers: &[Answer]) -> Result<String, StudyError> {
        let rows = claims.iter().map(|claim| {
            let (verdict, why) = if claim.by_the_clock() {
                (claim.verdict.to_string(), "by the clock: in times.md".to_owned())
            } else {
                (claim.verdict.to_string(), claim.why.clone())
            };
            of_claim(claim, verdict, why)
        });
        let verdicts = Table {
            caption: "The paper's claims".to_owned(),
            wide: true,
            rows: rows.collect(),
            ..headed("# § the_paper_says criterion verdict why evidence")
        };
        // Numbers that the clock decides differ between runs; verdicts do not.
        let kept: Vec<&Claim> = claims.iter().filter(|claim| !claim.by_the_clock()).collect();
        let rows = answers.iter().map(|answer| {
            let rests_on: Vec<String> =
                answer.rests_on.iter().map(|(id, verdict)| format!("{id} {verdict}")).collect();
            vec![
                answer.id.to_owned(),
                answer.asks.to_owned(),
                answer.paper.to_owned(),
                answer.stands.to_string(),
                answer.says.clone(),
                rests_on.join(", "),
            ]
        });
        let questions = Table {
            caption: "The paper's questions".to_owned(),
            wide: true,
            rows: rows.collect(),
            ..headed("# the_paper_asks the_paper's_answer stands ours verdicts")
        };
        let json = serde_json::to_vec_pretty(&kept).map_err(StudyError::Json)?;
        self.write("claims.json", &json)?;
        for claim in &kept {
            self.evidence(claim)?;
        }
        let text = self.tabled("claims", "Claims", vec![questions, verdicts])?;
        self.sections.rotate_right(1);
        Ok(text)
    }

    /// What the clock said: the stages, and the claims that it decides. These files differ from run to run, and no other does.
    pub fn times(&mut self, clock: &Clock, claims: &[Claim]) -> Result<String, StudyError> {
        let rows = clock.stages.iter().map(|(stage, seconds)| vec![stage.clone(), format!("{seconds:.1}")]);
        let stages = Table { rows: rows.collect(), ..headed("stage seconds#") };
        let timed: Vec<&Claim> = claims.iter().filter(|claim| claim.by_the_clock()).collect();
        let rows = timed.iter().map(|claim| of_claim(claim, claim.verdict.to_string(), claim.why.clone()));
        let decided =
            Table { rows: rows.collect(), ..headed("# § the_paper_says criterion verdict why evidence") };
        for claim in &timed {
            self.evidence(claim)?;
        }
        let text = format!("{}\n{}", stages.markdown(), decided.markdown());
        self.write("times.json", &serde_json::to_vec_pretty(&timed).map_err(StudyError::Json)?)?;
        self.write("times.md", text.as_bytes())?;
        Ok(text)
    }

    /// A page of all that was written so far, around what the records of the study's campaigns say together where there are any.
    pub fn page(
        &mut self,
        name: &str,
        title: &str,
        (scale, stand_in): (&str, bool),
        records: Option<&Summary>,
    ) -> Result<(), StudyError> {
        let mut lead = vec![
            "D. Ma et al., Evaluating and Enhancing Robustness of Deep Recommendation Systems Against Hardware Errors, repeated."
                .to_owned(),
            format!("A {scale} study by radhard {}.", env!("CARGO_PKG_VERSION")),
        ];
        let mut sections = std::mem::take(&mut self.sections);
        let html = if let Some(summary) = records {
            lead.push(
                "Findings, curves, gains and cells are those of the five models; dummy models are in figures 4 to 6 and the claims. \
                 What a clock said is left out, and stands in times.md."
                    .to_owned(),
            );
            let then = sections.split_off(usize::from(!sections.is_empty()));
            framed(summary, Frame { title: Some(title.to_owned()), lead, first: sections, then })
        } else {
            let notice = "synthetic data (stand-in): some data are drawn in the shape of the set they are named after. Their scores are not \
                          those of the set itself.";
            let notices = if stand_in { vec![notice.to_owned()] } else { Vec::new() };
            Folio { title: title.to_owned(), lead, notices, sections }.html()
        };
        let html =
            html.map_err(|source| StudyError::Figure { name: name.to_owned(), reason: source.to_string() })?;
        self.write(&format!("{name}.html"), html.as_bytes())
    }

    /// The evidence of a verdict, as a file: the comparisons with theirs, then every measured number.
    fn evidence(&mut self, claim: &Claim) -> Result<(), StudyError> {
        let mut data = "kind,of,quantity,verdict,p,chips_for,chips_against,value,low,high,n\n".to_owned();
        for part in &claim.parts {
            let of = field(&part.of);
            let counts = if part.chips_for + part.chips_against > 0 {
                format!("{},{}", part.chips_for, part.chips_against)
            } else {
                ",".to_owned()
            };
            let _ = writeln!(data, "comparison,{of},,{},{},{counts},,,,", part.verdict, number(part.p));
        }
        for piece in &claim.evidence {
            let (of, quantity) = (field(&piece.of), field(piece.quantity));
            let numbers = [piece.value, piece.low, piece.high].map(number).join(",");
            let _ = writeln!(data, "number,{of},{quantity},,,,,{numbers},{}", piece.n);
        }
        self.write(&claim.evidence_file(), data.as_bytes())
    }

    /// Writes tables as Markdown and keeps them for the page.
    fn tabled(&mut self, name: &str, heading: &str, tables: Vec<Table>) -> Result<String, StudyError> {
        let text = tables.iter().map(Table::markdown).collect::<Vec<_>>().join("\n");
        self.write(&format!("{name}.md"), text.as_bytes())?;
        let (id, heading) = (name.to_owned(), heading.to_owned());
        self.sections.push(Section { id, heading, tables, ..Section::default() });
        Ok(text)
    }

    fn picture(&mut self, name: &str, drawing: Drawing) -> Result<(), StudyError> {
        let image = png(&drawing).map_err(|reason| StudyError::Figure { name: name.to_owned(), reason })?;
        self.write(&format!("{name}.svg"), svg(&drawing, Colours::Own, name).as_bytes())?;
        self.write(&format!("{name}.png"), &image)?;
        // The pictures of one figure are one section.
        let id = if name.starts_with("fig") { name.split('-').next().unwrap_or(name) } else { name };
        match self.sections.last_mut().filter(|section| section.id == id) {
            Some(section) => section.drawings.push(drawing),
            None => self.sections.push(Section {
                id: id.to_owned(),
                heading: id.replace("fig", "Figure ").replace("as-artefact-", ""),
                drawings: vec![drawing],
                ..Section::default()
            }),
        }
        Ok(())
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), StudyError> {
        let path = self.dir.join(name);
        write(&path, bytes)?;
        self.written.push(path);
        Ok(())
    }
}

/// A table with these columns: words parted by spaces, `_` for a space within one, `#` behind a column of numbers.
fn headed(columns: &str) -> Table {
    let words = || columns.split(' ');
    let is_number = |word: &str| word.len() > 1 && word.ends_with('#');
    let name = |word: &str| if is_number(word) { word.trim_end_matches('#') } else { word }.replace('_', " ");
    Table { head: words().map(name).collect(), numbers: words().map(is_number).collect(), ..Table::default() }
}

fn of_claim(claim: &Claim, verdict: String, why: String) -> Vec<String> {
    let Claim { id, section, says, criterion, .. } = claim;
    let [id, section, says, criterion] = [id, section, says, criterion].map(|text| (*text).to_owned());
    vec![id, section, says, criterion, verdict, why, claim.evidence_file()]
}

fn comma_separated(head: &[String], rows: &[Vec<String>]) -> String {
    let mut data = format!("{}\n", head.join(","));
    for row in rows {
        let _ = writeln!(data, "{}", row.join(","));
    }
    data
}

/// A number, or nothing where it is undefined.
fn number(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// A field of csv: names here hold no quotes.
fn field(text: &str) -> String {
    if text.contains(',') { format!("\"{text}\"") } else { text.to_owned() }
}
