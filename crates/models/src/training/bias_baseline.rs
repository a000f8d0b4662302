//! The smoothed bias model: what the fields say each on their own, as a bar that a trained model must clear.

use radhard_data::{DataSet, Part};

/// Rounds of alternating over the fields.
const ROUNDS: usize = 10;

/// Pseudo-rows without a deviation, added to each value of a field.
const SMOOTHING: f64 = 5.0;

/// Probabilities of the rows of `part` from a mean and one additive deviation per value of each field.
///
/// # Numerics
/// Ridge regression of the label on the fields' indicators, solved by alternating over the fields on the training
/// rows: a value's deviation is its summed residual over (count + 5). In f64, in the order of the rows.
pub fn bias_baseline(data: &DataSet, part: Part) -> Vec<f32> {
    let train = data.select(Part::Train);
    let fields = data.fields();
    let mean = train.labels().iter().map(|&y| f64::from(y)).sum::<f64>() / train.len().max(1) as f64;
    let mut biases: Vec<Vec<f64>> = data.meta().field_dims.iter().map(|&d| vec![0.0; d as usize]).collect();
    let predicted = |biases: &[Vec<f64>], row: &[u32]| {
        row.iter().zip(biases).fold(mean, |sum, (&i, biases)| sum + biases[i as usize])
    };
    for _ in 0..ROUNDS {
        for field in 0..fields {
            let mut sums = vec![(0.0, 0.0); biases[field].len()];
            for (row, &label) in train.indices.chunks_exact(fields).zip(train.labels()) {
                let i = row[field] as usize;
                sums[i].0 += f64::from(label) - (predicted(&biases, row) - biases[field][i]);
                sums[i].1 += 1.0;
            }
            biases[field] = sums.into_iter().map(|(sum, n)| sum / (n + SMOOTHING)).collect();
        }
    }
    let rows = data.select(part);
    rows.indices
        .chunks_exact(fields)
        .map(|row| {
            let p = predicted(&biases, row);
            if p < 0.0 {
                0.0
            } else if p > 1.0 {
                1.0
            } else {
                p as f32
            }
        })
        .collect()
}
