//! `radhard inspect`: what a model file holds, and which of its bits are critical.

use comfy_table::{Cell, CellAlignment, LineStyle, Table, TableStyle};
use radhard_campaign::files::{self, Mark, Provenance};
use radhard_fault::{Component, Field, Format, ParameterSpec, SafetensorsBytes, Words};
use radhard_memory::Mapped;
use serde::Serialize;

use crate::arguments::Inspect;
use crate::console::{Console, in_line};
use crate::exit::{Exit, Failure, failure};

/// One parameter of a file.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    shape: Vec<usize>,
    format: String,
    component: Component,
    bits: u64,
    /// Words whose top exponent bit is 0: one flip of it makes them huge, infinite or NaN. None where they were not counted, and for
    /// formats without an exponent.
    critical_bits: Option<u64>,
    #[serde(skip)]
    elements: u64,
}

#[derive(Debug, Serialize)]
struct Inspection {
    model: Option<String>,
    parameters: Vec<Row>,
    /// Parameters in all, state left out.
    total: u64,
    /// Bits of them.
    bits: u64,
    /// None where they were not counted.
    critical_bits: Option<u64>,
    /// The provenance of faults in the file; none where it has no mark.
    fault: Option<Provenance>,
    /// Tensors whose number format is not known; they can't be injected.
    others: Vec<String>,
}

pub(crate) fn run(arguments: &Inspect, console: &Console) -> Result<Exit, Failure> {
    let path = &arguments.model;
    let input = |error: &dyn std::fmt::Display| failure(Exit::Input, format!("{}: {error}", path.display()));
    let file = Mapped::open(path).map_err(|error| input(&error))?;
    let lent = SafetensorsBytes::new(&file[..], files::component_of(&file)).map_err(|error| input(&error))?;
    let mark = Mark::of(path).map_err(|error| failure(Exit::Input, error))?;
    let specs = lent.specs().iter().enumerate();
    let words = |index| arguments.critical.then(|| lent.words(index));
    let parameters: Vec<Row> = specs.map(|(index, spec)| row(spec, words(index).as_ref())).collect();
    let counted = || parameters.iter().filter(|row| row.component != Component::State);
    let inspection = Inspection {
        model: radhard_models::Config::of_file(&file).map(|config| config.name),
        total: counted().map(|row| row.elements).sum(),
        bits: counted().map(|row| row.bits).sum(),
        critical_bits: arguments.critical.then(|| counted().filter_map(|row| row.critical_bits).sum()),
        fault: mark.as_ref().map(|mark| mark.provenance().clone()),
        others: lent.layout().foreign().iter().map(ToString::to_string).collect(),
        parameters,
    };
    console.result(&inspection, || text(&inspection, mark.as_ref()))?;
    Ok(Exit::Done)
}

fn row(spec: &ParameterSpec, words: Option<&Words<'_>>) -> Row {
    let critical_bits = words
        .zip(top_exponent_bit(spec.format))
        .map(|(words, bit)| words.iter().filter(|word| word >> bit & 1 == 0).count() as u64);
    Row {
        name: spec.name.clone(),
        shape: spec.shape.clone(),
        format: spec.format.to_string(),
        component: spec.component,
        bits: spec.bits(),
        critical_bits,
        elements: spec.elements(),
    }
}

fn top_exponent_bit(format: Format) -> Option<u32> {
    let mask = format.field(Field::Exponent);
    (mask != 0).then(|| u64::BITS - 1 - mask.leading_zeros())
}

fn text(inspection: &Inspection, mark: Option<&Mark>) -> String {
    let mut table = Table::new();
    table.load_style(TableStyle::new().header_separator(LineStyle::none().fill('─')));
    let mut header = vec!["parameter", "shape", "format", "component", "bits"];
    if inspection.critical_bits.is_some() {
        header.push("critical bits");
    }
    table.set_header(header);
    let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
    for row in &inspection.parameters {
        let shape: Vec<String> = row.shape.iter().map(ToString::to_string).collect();
        let component = format!("{:?}", row.component).to_lowercase();
        let shape = format!("[{}]", shape.join(", "));
        let mut cells = vec![
            Cell::new(in_line(&row.name)),
            Cell::new(shape),
            Cell::new(&row.format),
            Cell::new(component),
            right(row.bits.to_string()),
        ];
        if inspection.critical_bits.is_some() {
            cells.push(right(row.critical_bits.map_or_else(|| "–".to_owned(), |bits| bits.to_string())));
        }
        table.add_row(cells);
    }
    let model = in_line(inspection.model.as_deref().unwrap_or("unknown architecture"));
    let critical = inspection.critical_bits.map_or_else(String::new, |bits| {
        format!("; {bits} critical bits: exponent bits that read 0 and whose flip makes a word huge, infinite or NaN")
    });
    let mut lines = vec![format!(
        "{table}\n{model}: {} parameters, {} bits (state left out){critical}",
        inspection.total, inspection.bits
    )];
    if !inspection.others.is_empty() {
        lines.push(format!("not injectable (unknown format): {}", in_line(&inspection.others.join(", "))));
    }
    if let Some(mark) = mark {
        lines.push(format!(
            "holds injected faults: {mark}; scores in its metadata are of the fault-free model"
        ));
    }
    lines.join("\n")
}
