//! How far the scores of a trial are from the golden ones, row by row.

use radhard_memory::{Wide, widest};

use crate::outcome::SampleOutcomes;
use crate::sum::{LANES, LEAF, join, pairwise};

/// A change of probability beyond this counts in the changed share.
pub const CHANGED: f64 = 0.01;
/// A row is decided positive from this probability up.
pub const DECISION: f32 = 0.5;

/// Distances between the probabilities of a trial and the golden ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Deviation {
    /// Root mean square of Δp over all rows; `None` where a row has NaN on either side, or there is no row.
    pub rmse: Option<f64>,
    /// The same over the rows with numbers on both sides.
    pub rmse_finite: Option<f64>,
    /// Largest |Δp| over the rows with numbers on both sides.
    pub max_abs_difference: Option<f64>,
    /// Share of rows with |Δp| > 0.01; a row that is NaN on one side counts, NaN on both sides does not.
    pub changed_share: Option<f64>,
    /// Rows whose decision at ½ differs, NaN replaced by the substitute on both sides.
    pub decision_flips: u64,
    /// Rows by outcome.
    pub samples: SampleOutcomes,
}

impl Deviation {
    /// Compares row by row; `tolerance` bounds a tolerable |Δp|.
    ///
    /// Numerics: differences of f32 taken in f64; squares added by a fixed tree.
    ///
    /// # Panics
    ///
    /// If the lengths differ.
    pub fn of(observed: &[f32], golden: &[f32], substitute: f32, tolerance: f64) -> Self {
        assert_eq!(observed.len(), golden.len(), "observed and golden rows differ in number");
        widest(Compared { observed, golden, substitute, tolerance })
    }
}

/// Rows that are compared.
struct Compared<'a> {
    observed: &'a [f32],
    golden: &'a [f32],
    substitute: f32,
    tolerance: f64,
}

/// Counts of rows.
#[derive(Default)]
struct Counts {
    changed: u64,
    decision_flips: u64,
    incomparable: u64,
    due: u64,
    masked: u64,
    tolerable: u64,
}

impl Compared<'_> {
    /// Adds the rows of one leaf of the tree to the counts; `distances` are theirs.
    #[inline(always)]
    fn count(&self, (observed, golden): (&[f32], &[f32]), distances: &[f64], counts: &mut Counts) {
        let substitute_decides = self.substitute >= DECISION;
        let [mut changed, mut flips, mut incomparable, mut due, mut masked, mut tolerable] = [0_u32; 6];
        for ((&p, &g), &d) in observed.iter().zip(golden).zip(distances) {
            // No branches: each row adds to each count.
            let (p_decides, g_decides) = (
                (p >= DECISION) | (p.is_nan() & substitute_decides),
                (g >= DECISION) | (g.is_nan() & substitute_decides),
            );
            let same = p.to_bits() == g.to_bits();
            changed += u32::from((d > CHANGED) | (p.is_nan() != g.is_nan()));
            flips += u32::from(p_decides != g_decides);
            incomparable += u32::from(d.is_nan());
            due += u32::from(p.is_nan());
            masked += u32::from(same & !p.is_nan());
            tolerable += u32::from((d <= self.tolerance) & !same);
        }
        counts.changed += u64::from(changed);
        counts.decision_flips += u64::from(flips);
        counts.incomparable += u64::from(incomparable);
        counts.due += u64::from(due);
        counts.masked += u64::from(masked);
        counts.tolerable += u64::from(tolerable);
    }
}

impl Wide for Compared<'_> {
    type Output = Deviation;

    #[inline(always)]
    fn run(self) -> Deviation {
        let n = self.observed.len();
        let mut counts = Counts::default();
        let mut largest = [0.0_f64; LANES];
        let mut leaves = Vec::with_capacity(n.div_ceil(LEAF));
        for (observed, golden) in self.observed.chunks(LEAF).zip(self.golden.chunks(LEAF)) {
            // NaN on either side, or infinities on both, make a distance NaN: it has no square, and is no larger than anything.
            let mut distances = [0.0_f64; LEAF];
            for ((distance, p), g) in distances.iter_mut().zip(observed).zip(golden) {
                *distance = (f64::from(*p) - f64::from(*g)).abs();
            }
            // Distances of no rows are +0, which change no sum.
            let mut squares = [0.0; LANES];
            for distances in distances.chunks_exact(LANES) {
                for lane in 0..LANES {
                    let d = distances[lane];
                    squares[lane] += if d.is_nan() { 0.0 } else { d * d };
                    largest[lane] = if d > largest[lane] { d } else { largest[lane] };
                }
            }
            leaves.push(pairwise(squares));
            self.count((observed, golden), &distances[..observed.len()], &mut counts);
        }
        let Counts { changed, decision_flips, incomparable, due, masked, tolerable } = counts;
        let finite = n as u64 - incomparable;
        let sdc = n as u64 - due - masked - tolerable;
        let squares = join(leaves.into_iter());
        let rmse_finite = (finite > 0).then(|| (squares / finite as f64).sqrt());
        let largest = largest.into_iter().fold(0.0, |largest, d| if d > largest { d } else { largest });
        Deviation {
            rmse: rmse_finite.filter(|_| finite == n as u64),
            rmse_finite,
            max_abs_difference: (finite > 0).then_some(largest),
            changed_share: (n > 0).then(|| changed as f64 / n as f64),
            decision_flips,
            samples: SampleOutcomes { recovered: 0, due, masked, tolerable, sdc },
        }
    }
}
