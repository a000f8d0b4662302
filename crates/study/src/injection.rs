//! What an injection into 19 million parameters takes.

use std::hint::black_box;
use std::time::Instant;

use radhard_fault::{
    BitErrorRate, Chip, Component, DrawnMap, ErrorModel, Expose, Flips, Injected, OwnedParameters,
    Parameters, Target,
};
use serde::{Deserialize, Serialize};

use crate::study::{SEED, StudyError};

/// Rows of a table of 16-wide rows: 19 million words.
const ROWS: usize = 1_187_500;
/// The rate.
const RATE: f64 = 1e-3;
/// Injections that are timed, after one that makes buffers.
const TURNS: u64 = 9;
/// The part of the words for which one number is drawn per bit; times grow with the words.
const PART: usize = 16;

/// Times of injections, in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Injection {
    /// Words of the model.
    pub words: u64,
    /// The rate.
    pub rate: f64,
    /// Draw, injection and undo, rising.
    pub seconds: Vec<f64>,
    /// One number drawn per bit, without undo, rising.
    pub per_bit_seconds: Vec<f64>,
}

impl Injection {
    /// Times injections on one thread.
    pub(crate) fn measured() -> Result<Self, StudyError> {
        let refused = |reason: String| StudyError::Struck { model: "19 million words".to_owned(), reason };
        let words = 16 * ROWS;
        let mut parameters = OwnedParameters::default();
        let values: Vec<f32> = (0..words).map(|place| (place % 1999) as f32 * 1e-3 - 1.0).collect();
        parameters.push_f32("table.weight", &[ROWS, 16], Component::Embedding, &values);
        let rate = BitErrorRate::new(RATE).map_err(|error| refused(error.to_string()))?;
        let exposure = Target::all()
            .resolve(parameters.specs(), Expose::Parameters)
            .map_err(|error| refused(error.to_string()))?;
        let mut drawn = DrawnMap::new();
        let (mut seconds, mut per_bit_seconds) = (Vec::new(), Vec::new());
        let mut part = values[..words / PART].to_vec();
        for turn in 0..=TURNS {
            let start = Instant::now();
            Flips
                .draw(Chip::new(SEED, turn), &exposure, Some(rate), &mut drawn)
                .map_err(|error| refused(error.to_string()))?;
            let injected =
                Injected::new(&mut parameters, &drawn).map_err(|error| refused(error.to_string()))?;
            black_box(&*injected);
            drop(injected);
            let taken = start.elapsed().as_secs_f64();
            let start = Instant::now();
            one_draw_per_bit(&mut part, turn);
            let per_bit = start.elapsed().as_secs_f64() * PART as f64;
            if turn > 0 {
                seconds.push(taken);
                per_bit_seconds.push(per_bit);
            }
        }
        seconds.sort_unstable_by(f64::total_cmp);
        per_bit_seconds.sort_unstable_by(f64::total_cmp);
        Ok(Self { words: words as u64, rate: RATE, seconds, per_bit_seconds })
    }
}

/// The plain way: a random word per bit, compared with the rate.
///
/// The generator is SplitMix64, two comparisons a number.
fn one_draw_per_bit(words: &mut [f32], turn: u64) {
    let threshold = (RATE * 4_294_967_296.0) as u32;
    let mut state = turn;
    for word in words.iter_mut() {
        let mut mask = 0;
        for pair in 0..16 {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^= z >> 31;
            mask |= u32::from((z as u32) < threshold) << (2 * pair);
            mask |= u32::from(((z >> 32) as u32) < threshold) << (2 * pair + 1);
        }
        *word = f32::from_bits(word.to_bits() ^ mask);
    }
    black_box(words);
}
