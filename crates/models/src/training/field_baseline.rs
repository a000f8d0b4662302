//! The baseline of single fields: the bar that a trained model must clear to be worth measuring.

use std::io;

use radhard_data::{DataSet, Part, Rows};
use rayon::prelude::*;

use crate::training::fit::{pieces, rows_of};

/// Rows at the base rate that are added to those of each value of a field.
const SMOOTHING: f64 = 5.0;

/// One smoothed log-odds per value of each categorical field, fitted on the train rows.
///
/// # Numerics
/// Of n train rows with this value, k positive, and the train rows' positive rate π: log((k + 5π) / (n − k + 5(1 − π))) −
/// log(π / (1 − π)). A row's score is the sum over its fields, in their order, in f64, rounded to f32 at the end: what ranks
/// rows, no probability. Logarithms are libm's, so that the bits are the same everywhere.
#[derive(Debug, Clone)]
pub struct FieldBaseline {
    /// By field and value.
    log_odds: Vec<Vec<f64>>,
}

impl FieldBaseline {
    /// Fits it on the train rows; `None` where there is nothing to fit: no split, no categorical field, or one class only.
    ///
    /// # Errors
    /// If rows cannot be read.
    pub fn fit(data: &DataSet) -> io::Result<Option<Self>> {
        let dims = &data.meta().field_dims;
        if data.meta().split.is_none() || dims.is_empty() {
            return Ok(None);
        }
        let train = rows_of(data, Part::Train);
        let positives = train.iter().filter(|row| data.labels()[**row as usize] != 0).count();
        if positives == 0 || positives == train.len() {
            return Ok(None);
        }
        let mut counts: Vec<Vec<[u32; 2]>> = dims.iter().map(|dim| vec![[0; 2]; *dim as usize]).collect();
        for piece in pieces(data, &train) {
            let rows = data.read_rows(piece)?;
            let outside = |field: usize, value: u32| {
                let reason = format!("index {value} of field {field} is not below its dim");
                io::Error::new(io::ErrorKind::InvalidData, reason)
            };
            counts.par_iter_mut().enumerate().try_for_each(|(field, counts)| {
                for (value, label) in rows.field(field).zip(rows.labels()) {
                    let of = counts.get_mut(value as usize).ok_or_else(|| outside(field, value))?;
                    of[usize::from(*label != 0)] += 1;
                }
                Ok::<(), io::Error>(())
            })?;
        }
        let rate = positives as f64 / train.len() as f64;
        let base = libm::log(rate / (1.0 - rate));
        let log_odds = |[negatives, positives]: [u32; 2]| {
            let (negatives, positives) = (f64::from(negatives), f64::from(positives));
            let odds = (positives + SMOOTHING * rate) / (negatives + SMOOTHING * (1.0 - rate));
            libm::log(odds) - base
        };
        let log_odds = counts.into_iter().map(|counts| counts.into_iter().map(log_odds).collect()).collect();
        Ok(Some(Self { log_odds }))
    }

    /// The scores of rows; a value that is not below its field's dim counts nothing.
    pub fn scores(&self, rows: &Rows<'_>, out: &mut Vec<f32>) {
        let view = rows.view();
        out.extend((0..view.len()).map(|row| {
            let of_fields = view.indices_of(row).iter().zip(&self.log_odds);
            let of_fields = of_fields.map(|(value, log_odds)| log_odds.get(*value as usize).unwrap_or(&0.0));
            of_fields.sum::<f64>() as f32
        }));
    }

    /// The AUC of the rows of a part; `None` where it is undefined.
    ///
    /// # Errors
    /// If rows cannot be read.
    pub fn auc(
        &self,
        data: &DataSet,
        part: Part,
        auc: &crate::training::AucFunction<'_>,
    ) -> io::Result<Option<f64>> {
        let (mut scores, mut labels) = (Vec::new(), Vec::new());
        let of_part = rows_of(data, part);
        for piece in pieces(data, &of_part) {
            let rows = data.read_rows(piece)?;
            self.scores(&rows, &mut scores);
            labels.extend_from_slice(rows.labels());
        }
        Ok(if labels.is_empty() { None } else { auc(&scores, &labels) })
    }
}

/// The AUC that [`FieldBaseline`] reaches on a part; `None` without a train split, labels of both classes or fields.
///
/// # Errors
/// If rows cannot be read.
pub fn field_baseline_auc(
    data: &DataSet,
    part: Part,
    auc: &crate::training::AucFunction<'_>,
) -> io::Result<Option<f64>> {
    match FieldBaseline::fit(data)? {
        Some(baseline) => baseline.auc(data, part, auc),
        None => Ok(None),
    }
}
