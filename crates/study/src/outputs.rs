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
use crate::claim::{Claim, Verdict};
use crate::claims::subjects::PAPER_AUC;
use crate::clock::Clock;
use crate::dummy::{DENSE_DIM, DummyShape, SPARSE_DIM};
use crate::figures::{HeatMap, Sheet};
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
        let mut data = "plot,line,ber,mean,min,max,ci_low,ci_high,predicted,golden\n".to_owned();
        for plot in &sheet.plots {
            for line in &plot.lines {
                for mark in &line.marks {
                    let [low, high] = mark.interval.map_or([None; 2], |interval| interval.map(Some));
                    let _ = writeln!(
                        data,
                        "{},{},{:e},{},{},{},{},{},{},{}",
                        field(&plot.title),
                        field(&line.name),
                        mark.rate,
                        mark.mean,
                        mark.band[0],
                        mark.band[1],
                        number(low),
                        number(high),
                        number(mark.predicted),
                        number(line.golden)
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
                "{component},{rate:e},{hidden},{embedding},{},{},{},{},{}",
                failures.chips, failures.printed, failures.median_rmse, failures.non_finite, failures.touched
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
        self.tabled("table1", "Table 1", vec![table])
    }

    /// Table 2: the models, their sizes and fault-free AUCs, beside the paper's.
    pub fn table2(&mut self, trained: &[Trained]) -> Result<String, StudyError> {
        let paper = |one: &Trained| {
            PAPER_AUC.iter().find(|(m, s, _)| (*m, *s) == (one.model, one.set)).map(|(.., auc)| *auc)
        };
        let head =
            ["model", "data", "stand_in", "parameters", "validation_auc", "test_auc", "paper_auc", "epochs"];
        let values: Vec<Vec<String>> = trained
            .iter()
            .map(|one| {
                vec![
                    one.model.to_owned(),
                    one.set.to_owned(),
                    one.stand_in.to_string(),
                    one.parameters.to_string(),
                    number(one.validation_auc),
                    number(one.test_auc),
                    number(paper(one)),
                    one.epochs.to_string(),
                ]
            })
            .collect();
        self.write("table2.csv", comma_separated(&head.map(str::to_owned), &values).as_bytes())?;
        let auc = |auc: Option<f64>, digits: usize| {
            auc.map_or_else(|| "–".to_owned(), |auc| format!("{auc:.digits$}"))
        };
        let rows = trained.iter().map(|one| {
            vec![
                one.model.to_owned(),
                format!("{}{}", one.set, if one.stand_in { " (stand-in)" } else { "" }),
                one.parameters.to_string(),
                auc(one.validation_auc, 4),
                auc(one.test_auc, 4),
                auc(paper(one), 3),
                one.epochs.to_string(),
            ]
        });
        let table = Table {
            caption: "Table 2: the models, their sizes and AUC without faults".to_owned(),
            rows: rows.collect(),
            ..headed("model data parameters# validation_AUC# test_AUC# the_paper's_AUC# epochs#")
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
                ("by the clock".to_owned(), "in times.md".to_owned())
            } else {
                (claim.verdict.to_string(), claim.why.clone())
            };
            of_claim(claim, verdict, why)
        });
        let verdicts = Table {
            caption: "The paper's claims".to_owned(),
            wide: true,
            rows: rows.collect(),
            ..headed("# § the_paper_says criterion verdict why")
        };
        let by_the_clock = |id: &str| claims.iter().any(|claim| claim.id == id && claim.by_the_clock());
        let shown = |(id, verdict): &(&str, Verdict)| {
            if by_the_clock(id) { format!("{id} by the clock") } else { format!("{id} {verdict}") }
        };
        // Answers without what the clock decides: it may decide otherwise in another run.
        let kept: Vec<Claim> = claims.iter().filter(|claim| !claim.by_the_clock()).cloned().collect();
        let rows = crate::answers::answers(&kept).into_iter().zip(answers).map(|(answer, full)| {
            let rests_on: Vec<String> = full.rests_on.iter().map(shown).collect();
            vec![answer.id.to_owned(), answer.asks.to_owned(), answer.says, rests_on.join(", ")]
        });
        let questions = Table {
            caption: "The paper's questions".to_owned(),
            wide: true,
            rows: rows.collect(),
            ..headed("# the_paper_asks answer verdicts")
        };
        let json = serde_json::to_vec_pretty(&kept).map_err(StudyError::Json)?;
        self.write("claims.json", &json)?;
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
        let decided = Table { rows: rows.collect(), ..headed("# § the_paper_says criterion verdict why") };
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
            let notice = "stand-in: some data are made up in the shape of the set they are named after. Their scores are not those of the \
                          set itself.";
            let notices = if stand_in { vec![notice.to_owned()] } else { Vec::new() };
            Folio { title: title.to_owned(), lead, notices, sections }.html()
        };
        let html =
            html.map_err(|source| StudyError::Figure { name: name.to_owned(), reason: source.to_string() })?;
        self.write(&format!("{name}.html"), html.as_bytes())
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
    vec![(*id).to_owned(), (*section).to_owned(), (*says).to_owned(), (*criterion).to_owned(), verdict, why]
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
