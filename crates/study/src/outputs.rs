//! What a study leaves: tables, figures and claims, each as files that can be read without this program.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use radhard_memory::write_atomically;
use radhard_report::drawing::Drawing;
use radhard_report::png::png;
use radhard_report::svg::{Colours, svg};

use crate::claim::Claim;
use crate::claims::subjects::PAPER_AUC;
use crate::dummy::{DENSE_DIM, DummyShape, SPARSE_DIM};
use crate::figures::{HeatMap, Sheet};
use crate::study::StudyError;
use crate::training::Trained;

/// Files of one directory.
#[derive(Debug)]
pub struct Outputs {
    dir: PathBuf,
    written: Vec<PathBuf>,
}

impl Outputs {
    /// The files go to this directory, which is made.
    pub fn new(dir: &Path) -> Result<Self, StudyError> {
        std::fs::create_dir_all(dir)
            .map_err(|source| StudyError::File { path: dir.to_path_buf(), source })?;
        Ok(Self { dir: dir.to_path_buf(), written: Vec::new() })
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
        self.picture(name, &drawing)?;
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
        self.picture(name, &drawing)?;
        self.write(&format!("{name}.csv"), data.as_bytes())?;
        Ok(true)
    }

    /// Table 1: the grid of the dummy models.
    pub fn table1(&mut self, widths: &[usize]) -> Result<String, StudyError> {
        let mut data = "model,depth,hidden,embedding,dense,sparse,sparsity,parameters\n".to_owned();
        let mut text = "| model | depth | hidden | embedding | dense | sparse | sparsity | parameters |\n\
                        |---|---:|---:|---:|---:|---:|---:|---:|\n"
            .to_owned();
        for shape in DummyShape::grid(widths) {
            let values = [
                shape.name(),
                shape.depth.to_string(),
                shape.hidden.to_string(),
                shape.embedding.to_string(),
                DENSE_DIM.to_string(),
                SPARSE_DIM.to_string(),
                shape.sparsity.to_string(),
                shape.parameters().to_string(),
            ];
            let _ = writeln!(data, "{}", values.join(","));
            let _ = writeln!(text, "| {} |", values.join(" | "));
        }
        self.write("table1.csv", data.as_bytes())?;
        self.write("table1.md", text.as_bytes())?;
        Ok(text)
    }

    /// Table 2: the models, their sizes and fault-free AUCs, beside the paper's.
    pub fn table2(&mut self, trained: &[Trained]) -> Result<String, StudyError> {
        let mut data = "model,data,stand_in,parameters,validation_auc,test_auc,paper_auc,epochs\n".to_owned();
        let mut text =
            "| model | data | parameters | validation AUC | test AUC | the paper's AUC | epochs |\n\
                        |---|---|---:|---:|---:|---:|---:|\n"
                .to_owned();
        for one in trained {
            let paper =
                PAPER_AUC.iter().find(|(m, s, _)| (*m, *s) == (one.model, one.set)).map(|(.., auc)| *auc);
            let _ = writeln!(
                data,
                "{},{},{},{},{},{},{},{}",
                one.model,
                one.set,
                one.stand_in,
                one.parameters,
                number(one.validation_auc),
                number(one.test_auc),
                number(paper),
                one.epochs
            );
            let auc = |auc: Option<f64>| auc.map_or_else(|| "–".to_owned(), |auc| format!("{auc:.4}"));
            let _ = writeln!(
                text,
                "| {} | {}{} | {} | {} | {} | {} | {} |",
                one.model,
                one.set,
                if one.stand_in { " (stand-in)" } else { "" },
                one.parameters,
                auc(one.validation_auc),
                auc(one.test_auc),
                paper.map_or_else(|| "–".to_owned(), |auc| format!("{auc:.3}")),
                one.epochs
            );
        }
        self.write("table2.csv", data.as_bytes())?;
        self.write("table2.md", text.as_bytes())?;
        Ok(text)
    }

    /// The claims with their verdicts, as a table and with all evidence as JSON.
    pub fn claims(&mut self, claims: &[Claim]) -> Result<String, StudyError> {
        let mut text =
            "| # | § | the paper says | criterion | verdict | why |\n|---|---|---|---|---|---|\n".to_owned();
        for claim in claims {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} |",
                claim.id, claim.section, claim.says, claim.criterion, claim.verdict, claim.why
            );
        }
        let json = serde_json::to_vec_pretty(claims).map_err(StudyError::Json)?;
        self.write("claims.json", &json)?;
        self.write("claims.md", text.as_bytes())?;
        Ok(text)
    }

    fn picture(&mut self, name: &str, drawing: &Drawing) -> Result<(), StudyError> {
        let image = png(drawing).map_err(|reason| StudyError::Figure { name: name.to_owned(), reason })?;
        self.write(&format!("{name}.svg"), svg(drawing, Colours::Own, name).as_bytes())?;
        self.write(&format!("{name}.png"), &image)
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), StudyError> {
        let path = self.dir.join(name);
        match write_atomically(&path, |out| out.write_all(bytes)) {
            Ok(()) => {
                self.written.push(path);
                Ok(())
            }
            Err(source) => Err(StudyError::File { path, source }),
        }
    }
}

/// A number, or nothing where it is undefined.
fn number(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// A field of csv: names here hold no quotes.
fn field(text: &str) -> String {
    if text.contains(',') { format!("\"{text}\"") } else { text.to_owned() }
}
