//! What is in a prepared file, for people.
use rayon::prelude::*;
use serde::Serialize;

use crate::data_set::DataSet;
use crate::meta::Meta;

/// Rows and positives of one part.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PartInfo {
    /// Rows.
    pub rows: u64,
    /// Rows with label 1.
    pub positives: u64,
    /// Share of positives; `None` without rows.
    pub positive_rate: Option<f64>,
}

/// How the rows spread over the ids of one field.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FieldInfo {
    /// Its name.
    pub name: String,
    /// Rows of its table.
    pub dim: u32,
    /// Ids that occur.
    pub occurring: u64,
    /// The least count of an id that occurs.
    pub least: u64,
    /// The median count of the ids that occur, the lower one of two.
    pub median: u64,
    /// The 90th percentile of the counts of the ids that occur: the least count that 90 % of them do not exceed.
    pub percentile_90: u64,
    /// The greatest count.
    pub greatest: u64,
    /// The Gini coefficient of the counts of the ids that occur: 0 when all are equal, near 1 when few have all.
    pub gini: f64,
    /// Ids that occur outside `train` but never in it, so that no model can have learnt them.
    pub unseen_in_train: u64,
}

/// The summary of a data set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Info {
    /// What the data are.
    pub name: String,
    /// The file they came from.
    pub source: String,
    /// Whether they were drawn instead of read.
    pub stand_in: bool,
    /// Rows.
    pub rows: u64,
    /// Table rows of each field.
    pub field_dims: Vec<u32>,
    /// Rows with label 1.
    pub positives: u64,
    /// Share of positives.
    pub positive_rate: f64,
    /// Lines that were no rows.
    pub bad_lines: u64,
    /// Rows of `train`.
    pub train: u64,
    /// Rows of `validation`.
    pub validation: u64,
    /// Rows of `test`.
    pub test: u64,
    /// Rows and positives of train, validation and test.
    pub parts: [PartInfo; 3],
    /// The fields.
    pub fields: Vec<FieldInfo>,
    /// Names of the numeric columns.
    pub numeric_names: Vec<String>,
    /// Rows by the product of the numbers of ids that occur, with two fields; above 1 only where pairs repeat.
    pub density: Option<f64>,
    /// Of stand-ins: the AUC that no model can expect to beat.
    pub attainable_auc: Option<f64>,
    /// The stored fingerprint.
    pub fingerprint: String,
    /// Whether the rows have that fingerprint; a file with another one does not open.
    pub intact: bool,
    /// What a reader should know besides.
    pub notes: Vec<String>,
}

impl Info {
    /// The summary of `data`.
    pub fn of(data: &DataSet) -> Self {
        let meta: &Meta = data.meta();
        let fields: Vec<FieldInfo> = (0..data.fields()).map(|field| field_info(data, field)).collect();
        let parts = parts(data);
        let density = match &fields[..] {
            [a, b] => Some(meta.rows as f64 / (a.occurring as f64 * b.occurring as f64)),
            _ => None,
        };
        Self {
            name: meta.name.clone(),
            source: meta.source.clone(),
            stand_in: meta.stand_in,
            rows: meta.rows,
            field_dims: meta.field_dims.clone(),
            positives: meta.positives,
            positive_rate: meta.positives as f64 / meta.rows as f64,
            bad_lines: meta.bad_lines,
            train: parts[0].rows,
            validation: parts[1].rows,
            test: parts[2].rows,
            parts,
            fields,
            numeric_names: meta.numeric_names.clone(),
            density,
            attainable_auc: meta.attainable_auc,
            fingerprint: meta.fingerprint.clone(),
            intact: data.computed_fingerprint() == meta.fingerprint,
            notes: meta.notes.clone(),
        }
    }
}

fn parts(data: &DataSet) -> [PartInfo; 3] {
    let mut counts = [(0u64, 0u64); 3];
    for (label, part) in data.labels().iter().zip(data.parts()) {
        let (rows, positives) = &mut counts[usize::from(*part)];
        *rows += 1;
        *positives += u64::from(*label);
    }
    counts.map(|(rows, positives)| PartInfo {
        rows,
        positives,
        positive_rate: (rows > 0).then(|| positives as f64 / rows as f64),
    })
}

fn field_info(data: &DataSet, field: usize) -> FieldInfo {
    let dim = data.meta().field_dims[field];
    let rows = || {
        data.indices()
            .chunks_exact(data.fields())
            .zip(data.parts())
            .map(|(row, part)| (row[field], *part == 0))
    };
    // A dim may be far larger than the file.
    let (unseen, mut counts) = if dim as usize <= data.rows().max(1 << 20) {
        counted(dim as usize, rows())
    } else {
        sorted(rows().collect())
    };
    counts.sort_unstable();
    let n = counts.len();
    let at = |rank: usize| counts.get(rank.clamp(1, n.max(1)) - 1).copied().unwrap_or(0);
    FieldInfo {
        name: data.meta().field_names[field].clone(),
        dim,
        occurring: n as u64,
        least: at(1),
        median: at(n.div_ceil(2)),
        percentile_90: at((9 * n).div_ceil(10)),
        greatest: at(n),
        gini: gini(&counts),
        unseen_in_train: unseen as u64,
    }
}

/// How many ids occur outside of `train` alone, and how often each occurs; a place for every id there may be.
fn counted(dim: usize, rows: impl Iterator<Item = (u32, bool)>) -> (usize, Vec<u64>) {
    let mut all = vec![0u64; dim];
    let mut train = vec![false; dim];
    for (id, in_train) in rows {
        all[id as usize] += 1;
        train[id as usize] |= in_train;
    }
    let unseen = all.iter().zip(&train).filter(|(count, seen)| **count > 0 && !**seen).count();
    (unseen, all.into_iter().filter(|count| *count > 0).collect())
}

/// The same by sorting, in memory that follows the rows.
fn sorted(mut rows: Vec<(u32, bool)>) -> (usize, Vec<u64>) {
    rows.par_sort_unstable();
    let ids = || rows.chunk_by(|(a, _), (b, _)| a == b);
    let unseen = ids().filter(|rows| rows.iter().all(|(_, train)| !train)).count();
    (unseen, ids().map(|rows| rows.len() as u64).collect())
}

/// The Gini coefficient of counts sorted upwards.
fn gini(counts: &[u64]) -> f64 {
    let n = counts.len() as f64;
    let sum = counts.iter().map(|count| *count as f64).sum::<f64>();
    let ranked = (1u64..).zip(counts).map(|(rank, count)| rank as f64 * *count as f64).sum::<f64>();
    if sum == 0.0 { 0.0 } else { 2.0 * ranked / (n * sum) - (n + 1.0) / n }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Columns, Meta, SplitMeta};

    #[test]
    fn ids_are_counted_alike_by_places_and_by_sorting() {
        // Every fifth id occurs outside of `train` alone.
        let rows: Vec<(u32, bool)> = (0..200_u32)
            .map(|row| (row * row % 37, row))
            .map(|(id, row)| (id, id % 5 != 0 && row % 3 == 0))
            .collect();
        let (unseen, mut counts) = counted(40, rows.iter().copied());
        let (other, mut sorted) = sorted(rows);
        counts.sort_unstable();
        sorted.sort_unstable();
        assert_eq!((unseen, counts), (other, sorted));
        assert!(unseen > 0);
    }

    #[test]
    fn a_summary_counts_what_is_there() {
        let mut meta = Meta::new("small", vec!["user".into(), "item".into()], vec![3, 9]);
        meta.split = Some(SplitMeta { seed: 0, ratio: [1, 1, 0], counts: [2, 2, 0] });
        let columns = Columns {
            indices: vec![0, 0, 0, 1, 0, 8, 2, 0],
            labels: vec![1, 0, 1, 1],
            parts: vec![0, 0, 1, 1],
            ..Columns::default()
        };
        let info = Info::of(&DataSet::from_columns(meta, &columns).unwrap());
        assert_eq!((info.rows, info.positives, info.train, info.validation, info.test), (4, 3, 2, 2, 0));
        assert_eq!(info.parts[1].positive_rate, Some(1.0));
        assert_eq!(info.parts[2].positive_rate, None);
        let user = &info.fields[0];
        assert_eq!((user.occurring, user.least, user.median, user.greatest), (2, 1, 1, 3));
        assert_eq!((user.gini, user.unseen_in_train), (0.25, 1));
        assert_eq!(info.fields[1].unseen_in_train, 1);
        assert_eq!(info.density, Some(4.0 / 6.0));
        assert!(info.intact);
    }
}
