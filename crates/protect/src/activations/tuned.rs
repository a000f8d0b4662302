use radhard_data::RowsView;
use radhard_fault::{
    BitErrorRate, Chip, DrawError, DrawnMap, ErrorModel, Expose, Flips, ParameterSpec, Parameters, Target,
};
use radhard_metrics::{Golden, Observed, ScoreOptions, TrialScores};
use radhard_models::{Hooks, Model, Scores, ScoresError};

/// Rows that bounds are tuned on, spread evenly over those that are given.
const ROWS: usize = 8192;
/// Bit error rates of the chips.
pub(super) const RATES: [f64; 3] = [1e-4, 1e-3, 1e-2];
/// Chips at each rate.
pub(super) const CHIPS: u64 = 4;
/// The seed of these chips: bounds must not be tuned on the chips that they are measured on.
const SEED: u64 = 0x7475_6e65_6463_6c70;
/// How often the interval around the best bound is halved.
const HALVINGS: u32 = 3;

/// Rows, chips and the model that bounds are tuned on.
pub(super) struct Tuning {
    rows: OwnedRows,
    scratch: Model,
    chips: Vec<Vec<Flip>>,
    /// Passes made so far.
    passes: u64,
}

/// What makes tuning impossible.
#[derive(Debug, thiserror::Error)]
pub(super) enum TuneError {
    /// One class only.
    #[error(
        "bounds are tuned by AUC, which is undefined: {positives} of {rows} calibration rows are positive"
    )]
    OneClass {
        /// Rows with label 1.
        positives: usize,
        /// All rows.
        rows: usize,
    },
    /// The chips can't be drawn.
    #[error(transparent)]
    Draw(#[from] DrawError),
    /// Nothing is exposed.
    #[error(transparent)]
    Target(#[from] radhard_fault::TargetError),
    /// A pass failed.
    #[error(transparent)]
    Pass(#[from] ScoresError),
}

/// Flipped bits of one word.
struct Flip {
    parameter: usize,
    byte: usize,
    width: usize,
    mask: u64,
}

/// Rows of their own.
struct OwnedRows {
    fields: usize,
    numeric_width: usize,
    indices: Vec<u32>,
    numeric: Vec<f32>,
    labels: Vec<u8>,
}

impl OwnedRows {
    fn spread(rows: &RowsView<'_>) -> Self {
        let count = rows.len().min(ROWS);
        let places = || (0..count).map(|i| i * rows.len() / count);
        let of = |width: usize| places().map(move |place| place * width..(place + 1) * width);
        Self {
            fields: rows.fields,
            numeric_width: rows.numeric_width,
            indices: of(rows.fields).flat_map(|range| &rows.indices[range]).copied().collect(),
            numeric: of(rows.numeric_width).flat_map(|range| &rows.numeric[range]).copied().collect(),
            labels: places().map(|place| rows.labels[place]).collect(),
        }
    }

    fn view(&self) -> RowsView<'_> {
        RowsView {
            fields: self.fields,
            numeric_width: self.numeric_width,
            indices: &self.indices,
            numeric: &self.numeric,
            labels: &self.labels,
            bags: None,
        }
    }
}

/// The flips of a chip, by the place of their bytes.
fn flips(drawn: &DrawnMap, specs: &[ParameterSpec], parameters: &dyn Parameters) -> Vec<Flip> {
    let mut flips = Vec::new();
    for parameter in drawn.parameters() {
        let index = parameter.index();
        let words = parameters.words(index);
        let width = specs[index].format.bytes(1) as usize;
        flips.extend(parameter.iter().map(|(element, effect)| {
            let word = words.get(element);
            Flip { parameter: index, byte: element as usize * width, width, mask: word ^ effect.on(word) }
        }));
    }
    flips
}

impl Tuning {
    /// Draws the chips.
    pub(super) fn new(
        model: &Model,
        parameters: &dyn Parameters,
        rows: &RowsView<'_>,
    ) -> Result<Self, TuneError> {
        let positives = rows.labels.iter().filter(|&&label| label != 0).count();
        if rows.bags.is_some() || positives == 0 || positives == rows.len() {
            return Err(TuneError::OneClass { positives, rows: rows.len() });
        }
        let specs = parameters.specs();
        let exposure = Target::all().resolve(specs, Expose::default())?;
        let mut chips = Vec::new();
        for rate in RATES.map(|rate| BitErrorRate::new(rate).ok()) {
            for chip in 0..CHIPS {
                let mut drawn = DrawnMap::new();
                Flips.draw(Chip::new(SEED, chip), &exposure, rate, &mut drawn)?;
                chips.push(flips(&drawn, specs, parameters));
            }
        }
        Ok(Self { rows: OwnedRows::spread(rows), scratch: model.clone(), chips, passes: 0 })
    }

    /// Rows passed so far.
    pub(super) fn rows_passed(&self) -> u64 {
        self.passes * self.rows.labels.len() as u64
    }

    /// Passes of so many rows.
    pub(super) fn passes(&self) -> (u64, usize) {
        (self.passes, self.rows.labels.len())
    }

    fn flip(&mut self, chip: usize) {
        let mut parameters: Vec<_> = self.scratch.parameters_mut().iter_mut().collect();
        for flip in &self.chips[chip] {
            let bytes = &mut parameters[flip.parameter].bytes_mut()[flip.byte..][..flip.width];
            bytes.iter_mut().zip(flip.mask.to_le_bytes()).for_each(|(byte, mask)| *byte ^= mask);
        }
    }

    fn auc(&mut self, hooks: &dyn Hooks) -> Result<f64, TuneError> {
        let mut scores = Scores::default();
        self.scratch.scores_hooked(&self.rows.view(), hooks, &mut scores)?;
        self.passes += 1;
        let labels = &self.rows.labels;
        let positives = labels.iter().filter(|&&label| label != 0).count();
        let options = ScoreOptions::new(positives as f64 / labels.len() as f64);
        let observed =
            Observed { probabilities: &scores.probabilities, logits: Some(&scores.logits), labels };
        let golden = Golden { probabilities: &scores.probabilities, auc: None };
        Ok(TrialScores::of(&observed, Some(&golden), &options).auc.unwrap_or(0.5))
    }

    /// The area under the mean AUC over the logarithm of the rate, the fault-free one a decade before the lowest rate; by the
    /// trapezoidal rule, as a mean height.
    fn area(&mut self, hooks: &dyn Hooks) -> Result<f64, TuneError> {
        let mut area = 0.5 * self.auc(hooks)?;
        for rate in 0..RATES.len() {
            let weight = if rate + 1 == RATES.len() { 0.5 } else { 1.0 };
            for chip in 0..CHIPS as usize {
                let chip = rate * CHIPS as usize + chip;
                self.flip(chip);
                let auc = self.auc(hooks);
                self.flip(chip);
                area += weight / CHIPS as f64 * auc?;
            }
        }
        Ok(area / RATES.len() as f64)
    }

    /// The bound up to `most` with the largest area: the best of four evenly spaced ones, then what is half as far to both sides of
    /// the best so far, again and again. Of equals the largest.
    pub(super) fn best<H: Hooks>(&mut self, most: f32, hooks: impl Fn(f32) -> H) -> Result<f32, TuneError> {
        let mut best = (f64::NEG_INFINITY, most);
        let mut see = |bound: f32, best: &mut (f64, f32)| -> Result<(), TuneError> {
            let area = self.area(&hooks(bound))?;
            if area > best.0 || area.total_cmp(&best.0).is_eq() && bound > best.1 {
                *best = (area, bound);
            }
            Ok(())
        };
        for quarter in (1..=4u8).rev() {
            see(most * f32::from(quarter) / 4.0, &mut best)?;
        }
        for halving in 1..=HALVINGS {
            let (centre, step) = (best.1, most / (4 << halving) as f32);
            for bound in [centre + step, centre - step] {
                if bound <= most {
                    see(bound, &mut best)?;
                }
            }
        }
        Ok(best.1)
    }
}
