//! How far the scores of a trial are from the golden ones, row by row.

use radhard_memory::{Wide, widest};

use crate::outcome::{Outcome, SampleOutcomes};
use crate::sum::{LANES, LEAF, join, pairwise};

/// A change of probability beyond this counts in the changed share.
pub const CHANGED: f64 = 0.01;
/// A row is decided positive from this probability up.
pub const DECISION: f32 = 0.5;

/// Whether a row is decided positive, with NaN replaced.
#[inline(always)]
fn decides(p: f32, substitute: f32) -> bool {
    let substituted = substitute >= DECISION;
    (p >= DECISION) | (p.is_nan() & substituted)
}

/// Rows counted by how they differ from golden.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Differing {
    /// Rows with |Δp| > 0.01 or NaN on one side.
    pub(crate) changed: u64,
    /// Rows whose decision differs.
    pub(crate) decision_flips: u64,
    /// Rows by outcome.
    pub(crate) samples: SampleOutcomes,
}

impl Differing {
    /// What one row counts.
    fn of(p: f32, g: f32, substitute: f32) -> [u64; 2] {
        let changed = ((f64::from(p) - f64::from(g)).abs() > CHANGED) | (p.is_nan() != g.is_nan());
        [changed, decides(p, substitute) != decides(g, substitute)].map(u64::from)
    }

    /// Exchanges what a row counts: its probability before, now, and in the golden run.
    pub(crate) fn exchange(&mut self, [before, now, golden]: [f32; 3], substitute: f32, tolerance: f64) {
        let [before_counts, now_counts] = [before, now].map(|p| Self::of(p, golden, substitute));
        self.changed = self.changed + now_counts[0] - before_counts[0];
        self.decision_flips = self.decision_flips + now_counts[1] - before_counts[1];
        self.samples.remove(Outcome::of_sample(before, golden, tolerance));
        self.samples.add(Outcome::of_sample(now, golden, tolerance));
    }
}

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
        widest(Compared { observed, golden, substitute, tolerance }).0
    }

    /// The same, and the counts of rows.
    pub(crate) fn with_counts(
        (observed, golden): (&[f32], &[f32]),
        substitute: f32,
        tolerance: f64,
    ) -> (Self, Differing) {
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
        let [mut changed, mut flips, mut incomparable, mut due, mut masked, mut tolerable] = [0_u32; 6];
        for ((&p, &g), &d) in observed.iter().zip(golden).zip(distances) {
            // No branches: each row adds to each count.
            let [p_decides, g_decides] = [p, g].map(|p| decides(p, self.substitute));
            let (same, other) = (p.to_bits() == g.to_bits(), p.to_bits() != g.to_bits());
            changed += u32::from((d > CHANGED) | (p.is_nan() != g.is_nan()));
            flips += u32::from(p_decides != g_decides);
            incomparable += u32::from(d.is_nan());
            due += u32::from(p.is_nan());
            masked += u32::from(!p.is_nan() & same);
            tolerable += u32::from((d <= self.tolerance) & other);
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
    type Output = (Deviation, Differing);

    #[inline(always)]
    fn run(self) -> (Deviation, Differing) {
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
        let samples = SampleOutcomes { recovered: 0, due, masked, tolerable, sdc };
        let deviation = Deviation {
            rmse: rmse_finite.filter(|_| finite == n as u64),
            rmse_finite,
            max_abs_difference: (finite > 0).then_some(largest),
            changed_share: (n > 0).then(|| changed as f64 / n as f64),
            decision_flips,
            samples,
        };
        (deviation, Differing { changed, decision_flips, samples })
    }
}
