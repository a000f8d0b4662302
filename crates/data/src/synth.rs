//! Stand-ins: data sets of a real one's shape, drawn by seed, for machines without the real files.
//!
//! Each id occurs as often as its popularity says (of Criteo: on average), in random rows; the label is drawn from a planted model. Unlike in the
//! real files a user may rate an item twice, rows have no order in time, and popularity says nothing about quality.
use std::io;
use std::path::Path;

use radhard_memory::write_atomically;
use rayon::prelude::*;

pub use crate::dummy::{DummyOptions, dummy};
pub use crate::shape::{FieldShape, Ids, SHAPES, Shape};

use crate::meta::{Meta, Planted};
use crate::planted::PlantedModel;
use crate::popularity::{Points, Popularity};
use crate::prepare::{PrepareError, draw_split};
use crate::progress::{Progress, Report, Stage};
use crate::random::{Draws, Stream, unit};
use crate::row_writer::RowWriter;
use crate::split::Split;

/// Rows drawn by one task.
const BLOCK_ROWS: usize = 1 << 12;
/// Rows drawn before they are written.
const BATCH_ROWS: usize = 1 << 18;

/// What to draw.
#[derive(Debug, Clone, Copy, Default)]
pub struct SynthOptions {
    /// Rows; `None` draws as many as the real file has.
    pub rows: Option<u64>,
    /// The seed of ids, planted model and labels.
    pub seed: u64,
    /// How parts are drawn; `None` leaves all rows in `train`.
    pub split: Option<Split>,
}

/// Draws a stand-in of `shape` and writes it as a prepared file.
pub fn synth(
    shape: &Shape,
    out: &Path,
    options: &SynthOptions,
    report: &mut Report<'_>,
) -> Result<Meta, PrepareError> {
    let rows = options.rows.unwrap_or(shape.rows);
    if rows == 0 {
        return Err(PrepareError::Empty { path: shape.name.into() });
    }
    if rows > u64::from(u32::MAX) {
        return Err(PrepareError::TooManyRows);
    }
    // Labels and parts take a byte a row, and the planted probabilities four.
    need_rows(rows, 6)?;
    let seed = options.seed;
    let popularities: Vec<Popularity> = shape
        .fields
        .iter()
        .zip(0..)
        .map(|(field, number)| Popularity::new(field, shape.rows, seed, number))
        .collect();
    let model = PlantedModel::new(shape, &popularities, seed);
    let names = shape.fields.iter().map(|field| field.name.to_owned()).collect();
    let mut meta = Meta::new(shape.name, names, shape.fields.iter().map(|field| field.dim).collect());
    meta.rows = rows;
    meta.source = format!("stand-in for {}, seed {seed}", shape.name);
    meta.stand_in = true;
    meta.user_field = shape.user_field;
    meta.item_field = shape.item_field;
    meta.ids = shape.id_rule;
    "drawn from a planted model".clone_into(&mut meta.positive);
    meta.planted = Some(Planted {
        shape: shape.name.to_owned(),
        seed,
        expected_auc: model.expected_auc,
        expected_positive_rate: model.expected_positive_rate,
    });
    meta.notes
        .push("stand-in: ids and labels are drawn from a planted model, not read from a file".to_owned());
    let parts = draw_split(&mut meta, options.split);
    let written = write_atomically(out, |file| {
        let mut writer = RowWriter::begin(file, &meta, &[])?;
        meta.attainable_auc = draw(shape, rows as usize, seed, &popularities, &model, &mut writer, report)?;
        report(Progress { stage: Stage::Writing, done: 0, total: rows });
        writer.finish(meta, &parts)
    });
    let meta = written.map_err(|source| PrepareError::Write { path: out.to_owned(), source })?;
    report(Progress { stage: Stage::Writing, done: rows, total: rows });
    Ok(meta)
}

/// Whether there is memory for rows of so many bytes.
pub(crate) fn need_rows(rows: u64, bytes: u64) -> Result<(), PrepareError> {
    let what = || format!("{rows} rows");
    radhard_memory::need(rows.saturating_mul(bytes))
        .map_err(|source| PrepareError::Memory { what: what(), source })
}

/// Draws all rows into the file and says the AUC of their planted probabilities.
fn draw(
    shape: &Shape,
    rows: usize,
    seed: u64,
    popularities: &[Popularity],
    model: &PlantedModel,
    writer: &mut RowWriter<'_>,
    report: &mut Report<'_>,
) -> io::Result<Option<f64>> {
    let fields = popularities.len();
    let ids = Draws::new(seed, Stream::Ids);
    let points: Vec<Points> = (0..)
        .zip(shape.fields)
        .map(|(number, field)| Points::new(field.ids, ids.substream(number), rows as u64))
        .collect();
    let labels = Draws::new(seed, Stream::Labels);
    let batch = rows.min(BATCH_ROWS);
    let (mut batch_indices, mut batch_labels) = (vec![0; batch * fields], vec![0; batch]);
    // The probability's bits, which order as it does, above the label.
    let mut scored = vec![0u32; rows];
    let mut first = 0;
    for batch_scored in scored.chunks_mut(BATCH_ROWS) {
        let indices = &mut batch_indices[..batch_scored.len() * fields];
        let drawn_labels = &mut batch_labels[..batch_scored.len()];
        indices
            .par_chunks_mut(BLOCK_ROWS * fields)
            .zip(drawn_labels.par_chunks_mut(BLOCK_ROWS))
            .zip(batch_scored.par_chunks_mut(BLOCK_ROWS))
            .enumerate()
            .for_each(|(block, ((indices, block_labels), scored))| {
                let first = (first + block * BLOCK_ROWS) as u64;
                // Field by field, since the draws of one row wait for nothing of the row before.
                for (field, (points, popularity)) in points.iter().zip(popularities).enumerate() {
                    let column = indices.iter_mut().skip(field).step_by(fields);
                    (first..).zip(column).for_each(|(row, index)| *index = popularity.id(points.of(row)));
                }
                let rows = indices.chunks_exact(fields).zip(block_labels).zip(scored);
                for (row, ((indices, label), scored)) in (first..).zip(rows) {
                    let probability = model.probability(indices);
                    *label = u8::from(unit(labels.bits(row)) < probability);
                    *scored = ((probability as f32).to_bits() << 1) | u32::from(*label);
                }
            });
        writer.append(indices, &[], drawn_labels)?;
        first += drawn_labels.len();
        report(Progress { stage: Stage::Drawing, done: first as u64, total: rows as u64 });
    }
    Ok(auc(&mut scored))
}

/// The share of pairs of a positive and a negative in which the positive has the larger probability, ties counted half;
/// `None` without such pairs.
fn auc(scored: &mut [u32]) -> Option<f64> {
    scored.par_sort_unstable();
    let mut negatives = 0u64;
    let mut positives = 0u64;
    // Twice the number of pairs in order.
    let mut ordered = 0u128;
    for ties in scored.chunk_by(|a, b| a >> 1 == b >> 1) {
        let tied_positives = ties.iter().map(|key| u64::from(key & 1)).sum::<u64>();
        let tied_negatives = ties.len() as u64 - tied_positives;
        ordered += u128::from(tied_positives) * u128::from(2 * negatives + tied_negatives);
        positives += tied_positives;
        negatives += tied_negatives;
    }
    let pairs = u128::from(positives) * u128::from(negatives);
    (pairs > 0).then(|| ordered as f64 / (2 * pairs) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_auc_counts_pairs_and_half_of_ties() {
        let key = |p: f32, label: u32| (p.to_bits() << 1) | label;
        assert_eq!(auc(&mut [key(0.9, 1), key(0.1, 0), key(0.5, 1), key(0.7, 0)]), Some(0.75));
        assert_eq!(auc(&mut [key(0.5, 1), key(0.5, 0)]), Some(0.5));
        assert_eq!(auc(&mut [key(0.5, 1)]), None);
    }
}
