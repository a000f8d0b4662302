//! The model that draws the labels of a stand-in: biases and a factorisation, calibrated.
//!
//! logit = offset + scale·(Σ_f b_f + Σ_{f<g} v_f·v_g), with normal biases and vectors per id. `scale` and `offset` are
//! solved on a sample of rows so that the expected share of positives and the expected AUC are those of the shape.
use rayon::prelude::*;

use crate::popularity::{Points, Popularity};
use crate::random::{Draws, Stream};
use crate::shape::Shape;

/// Width of the planted vectors.
const WIDTH: usize = 4;
/// Rows that `scale` and `offset` are solved on.
const CALIBRATION_ROWS: u64 = 1 << 16;

/// Bias and vector of one id.
#[derive(Debug, Clone, Copy)]
struct Traits {
    bias: f32,
    vector: [f32; WIDTH],
}

/// A calibrated planted model.
#[derive(Debug)]
pub(crate) struct PlantedModel {
    /// Traits of each field's ids.
    fields: Vec<Vec<Traits>>,
    offset: f64,
    scale: f64,
    /// The expected AUC after calibration.
    pub(crate) expected_auc: f64,
    /// The expected share of positives after calibration.
    pub(crate) expected_positive_rate: f64,
}

impl PlantedModel {
    /// The planted model of a shape and seed.
    pub(crate) fn new(shape: &Shape, popularities: &[Popularity], seed: u64) -> Self {
        let draws = Draws::new(seed, Stream::Planted);
        let traits = |(field, number): (&crate::shape::FieldShape, u64)| {
            let draws = draws.substream(number);
            // Pairs of vectors multiply, so each has the root of the product's spread.
            let spread = libm::sqrt(field.vector_sd) / libm::sqrt(libm::sqrt(WIDTH as f64));
            let ids = (0..u64::from(field.dim)).into_par_iter();
            ids.map(|id| {
                let first = id * (1 + WIDTH as u64);
                Traits {
                    bias: (field.bias_sd * draws.normal(first)) as f32,
                    vector: std::array::from_fn(|d| (spread * draws.normal(first + 1 + d as u64)) as f32),
                }
            })
            .collect()
        };
        let fields = shape.fields.iter().zip(0..).map(traits).collect();
        let mut model =
            Self { fields, offset: 0.0, scale: 1.0, expected_auc: 0.0, expected_positive_rate: 0.0 };
        model.calibrate(shape, popularities, seed);
        model
    }

    /// The probability that a row with these ids is positive.
    pub(crate) fn probability(&self, ids: &[u32]) -> f64 {
        logistic(self.offset + self.scale * f64::from(self.affinity(ids)))
    }

    /// Σ_f b_f + Σ_{f<g} v_f·v_g, by ½(square of the sum − sum of squares).
    fn affinity(&self, ids: &[u32]) -> f32 {
        let mut bias = 0.0f32;
        let mut sum = [0.0f32; WIDTH];
        let mut squares = 0.0f32;
        for (field, id) in self.fields.iter().zip(ids) {
            let traits = &field[*id as usize];
            bias += traits.bias;
            for (sum, v) in sum.iter_mut().zip(traits.vector) {
                *sum += v;
                squares += v * v;
            }
        }
        bias + 0.5 * (sum.iter().map(|s| s * s).sum::<f32>() - squares)
    }

    fn calibrate(&mut self, shape: &Shape, popularities: &[Popularity], seed: u64) {
        let draws = Draws::new(seed, Stream::Calibration);
        let points: Vec<Points> = (0..)
            .zip(shape.fields)
            .map(|(number, field)| Points::new(field.ids, draws.substream(number), CALIBRATION_ROWS))
            .collect();
        let mut affinities: Vec<f64> = (0..CALIBRATION_ROWS)
            .map(|row| {
                let ids = points.iter().zip(popularities).map(|(points, ids)| ids.id(points.of(row)));
                f64::from(self.affinity(&ids.collect::<Vec<u32>>()))
            })
            .collect();
        affinities.sort_by(f64::total_cmp);
        // The AUC grows with the scale, from ½ at 0.
        let (mut low, mut high) = (0.0f64, 16.0f64);
        let mut offset = 0.0;
        for _ in 0..30 {
            self.scale = 0.5 * (low + high);
            offset = solve_offset(&affinities, self.scale, shape.positive_rate, offset);
            let (auc, rate) = expectation(&affinities, self.scale, offset);
            (self.expected_auc, self.expected_positive_rate) = (auc, rate);
            if auc < shape.attainable_auc {
                low = self.scale;
            } else {
                high = self.scale;
            }
        }
        self.offset = offset;
    }
}

/// The offset at which the mean probability is `rate`, by Newton's method, whose steps are kept within 1.
fn solve_offset(affinities: &[f64], scale: f64, rate: f64, start: f64) -> f64 {
    let mut offset = start;
    for _ in 0..20 {
        let (mut sum, mut slope) = (0.0, 0.0);
        for affinity in affinities {
            let p = logistic(offset + scale * affinity);
            sum += p;
            slope += p * (1.0 - p);
        }
        let step = (rate * affinities.len() as f64 - sum) / slope;
        offset += if step.abs() > 1.0 { step.signum() } else { step };
        if step.abs() < 1e-9 {
            break;
        }
    }
    offset
}

/// The expected AUC and share of positives of rows sorted by affinity.
fn expectation(affinities: &[f64], scale: f64, offset: f64) -> (f64, f64) {
    let (mut positives, mut negatives, mut ordered) = (0.0, 0.0, 0.0);
    for affinity in affinities {
        let p = logistic(offset + scale * affinity);
        ordered += p * negatives;
        positives += p;
        negatives += 1.0 - p;
    }
    (ordered / (positives * negatives), positives / affinities.len() as f64)
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}
