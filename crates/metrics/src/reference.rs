//! A golden run, prepared so that runs which differ from it in few rows are scored at the cost of these rows.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use radhard_memory::Buffer;

use crate::auc::{AucCounts, MannWhitney, Standing};
use crate::deviation::{Deviation, Differing};
use crate::distances::{Distances, DistancesWork};
use crate::exact_sum::ExactSum;
use crate::loss;
use crate::order::{Exchange, Order, key};
use crate::outcome::{Detection, Outcome};
use crate::ranking::Ranking;
use crate::start_rows::{Group, Groups, StartRow, StartRows};
use crate::trial::{Golden, Observed, Saturated, ScoreOptions, TrialScores, is_bound};
use crate::users::{Users, UsersWork};

/// More than one changed row in so many costs as much as all of them.
const FEW: usize = 40;

/// A fault-free run that others are scored beside.
///
/// Memory: about 33 bytes a row, and 88 a user.
#[derive(Debug)]
pub struct Reference<'a> {
    start: Observed<'a>,
    golden: Golden<'a>,
    options: ScoreOptions<'a>,
    metrics: TrialScores,
    users: Option<Users>,
    quick: Option<Quick>,
    /// Tells it from others that the same work serves.
    number: u64,
}

/// Counts references.
static REFERENCES: AtomicU64 = AtomicU64::new(1);

/// What scoring few rows starts from.
#[derive(Debug)]
struct Quick {
    order: Order,
    counts: MannWhitney,
    substitute: Standing,
    rows: StartRows,
    groups: Groups,
    loss: ExactSum,
    probability: ExactSum,
    differing: Differing,
    distances: Distances,
    /// Whether the run is the golden one.
    golden: bool,
}

/// Memory for scoring, used again from run to run.
#[derive(Debug, Default)]
pub struct MetricsWork {
    ranking: Ranking,
    /// The run's scores, row by row; between runs those of the reference.
    probabilities: Buffer<f32>,
    /// Which reference's scores the probabilities are.
    of: u64,
    rows: Vec<StartRow>,
    groups: Vec<(usize, Group)>,
    exchange: Exchange,
    distances: DistancesWork,
    users: UsersWork,
}

impl<'a> Reference<'a> {
    /// Prepares a run; `golden` is what losses and differences are taken against: the run itself, or the unprotected one.
    ///
    /// # Panics
    /// If lengths differ, or logits are missing.
    pub fn new(start: Observed<'a>, golden: Golden<'a>, options: ScoreOptions<'a>) -> Self {
        assert!(start.logits.is_some(), "a reference has logits");
        let users = || {
            let scores = (start.probabilities, golden.probabilities);
            let substitute = options.non_finite.rank_score(options.fallback);
            options.users.map(|rows| Users::of(rows, options.top_k, scores, start.labels, substitute))
        };
        let (metrics, (users, quick)) = rayon::join(
            || TrialScores::of(&start, Some(&golden), &options),
            || {
                let users = users();
                let quick = Quick::of(&start, &golden, &options, users.as_ref());
                (users, quick)
            },
        );
        let number = REFERENCES.fetch_add(1, Relaxed);
        Self { start, golden, options, metrics, users, quick, number }
    }

    /// The scores of the run itself.
    pub fn metrics(&self) -> &TrialScores {
        &self.metrics
    }

    /// The probabilities of the run itself.
    pub fn probabilities(&self) -> &'a [f32] {
        self.start.probabilities
    }

    /// Whether so many changed rows are scored at less than all rows cost.
    pub fn are_few(&self, rows: usize) -> bool {
        self.quick.is_some() && rows * FEW < self.start.probabilities.len()
    }

    /// Scores of a run that differs from this one in some rows at most: `rows` ascending, each once.
    ///
    /// The bits of [`TrialScores::of`] on all rows, at the cost of the changed rows, their groups of likelihoods and their users.
    pub fn changed(
        &self,
        work: &mut MetricsWork,
        rows: &[u32],
        probabilities: &[f32],
        logits: &[f32],
    ) -> TrialScores {
        let mut saturated = Saturated::of(logits);
        saturated += Saturated { high: self.metrics.saturated_high, low: self.metrics.saturated_low };
        if self.metrics.saturated > 0 {
            for &row in rows {
                let golden = self.start.logits.map_or(0.0, |logits| logits[row as usize]);
                saturated.high -= u64::from(golden == f32::INFINITY);
                saturated.low -= u64::from(golden == f32::NEG_INFINITY);
            }
        }
        self.changed_with(work, rows, probabilities, saturated)
    }

    /// The same, where the infinite logits of all rows were counted.
    pub fn changed_with(
        &self,
        work: &mut MetricsWork,
        rows: &[u32],
        probabilities: &[f32],
        saturated: Saturated,
    ) -> TrialScores {
        if rows.is_empty() {
            let Saturated { high, low } = saturated;
            let saturated = high + low;
            return TrialScores {
                saturated,
                saturated_high: high,
                saturated_low: low,
                ..self.metrics.clone()
            };
        }
        if work.of != self.number {
            work.of = self.number;
            if work.probabilities.len() == self.start.probabilities.len() {
                work.probabilities.copy_from_slice(self.start.probabilities);
            } else {
                work.probabilities = Buffer::from_slice(self.start.probabilities);
            }
        }
        for (&row, &probability) in rows.iter().zip(probabilities) {
            work.probabilities[row as usize] = probability;
        }
        let keyed = |p: &f32| p.is_nan() || key(*p).is_some();
        let scores = match &self.quick {
            Some(quick) if self.are_few(rows.len()) && probabilities.iter().all(keyed) => {
                self.scored(quick, work, rows, probabilities, saturated)
            }
            _ => {
                let now = std::mem::take(&mut work.probabilities);
                let scores = self.all_with(work, &now, saturated);
                work.probabilities = now;
                scores
            }
        };
        for &row in rows {
            work.probabilities[row as usize] = self.start.probabilities[row as usize];
        }
        scores
    }

    /// Scores of a run that may differ in every row.
    ///
    /// # Panics
    /// If lengths differ.
    pub fn all(&self, work: &mut MetricsWork, probabilities: &[f32], logits: &[f32]) -> TrialScores {
        assert_eq!(logits.len(), probabilities.len(), "logits and probabilities differ in length");
        self.all_with(work, probabilities, Saturated::of(logits))
    }

    /// The same, where the infinite logits were counted.
    pub fn all_with(
        &self,
        work: &mut MetricsWork,
        probabilities: &[f32],
        saturated: Saturated,
    ) -> TrialScores {
        let top_k = self.users.as_ref().map(|users| users.all(probabilities, &mut work.users));
        let of = (probabilities, self.start.labels);
        let known = (top_k.unwrap_or_default(), saturated);
        TrialScores::with_top_k(&mut work.ranking, of, Some(&self.golden), &self.options, known)
    }

    /// Scores of a run whose changed rows are few and have keys or NaN; `work` holds its probabilities.
    fn scored(
        &self,
        quick: &Quick,
        work: &mut MetricsWork,
        rows: &[u32],
        probabilities: &[f32],
        saturated: Saturated,
    ) -> TrialScores {
        let labels = self.start.labels;
        let options = &self.options;
        let n = labels.len();
        let substitute = options.non_finite.probability(options.fallback);
        // Each loop touches one array, so that many rows are on their way from memory at a time.
        work.rows.clear();
        work.rows.extend(rows.iter().map(|row| quick.rows.get(*row)));
        let mut last = usize::MAX;
        work.groups.clear();
        for at in rows.iter().map(|row| *row as usize / loss::GROUP) {
            if at != last {
                work.groups.push((at, quick.groups.get(at)));
                last = at;
            }
        }
        let Moved { mut counts, doubled, probability, differing, ties_at_bounds } =
            self.moved(quick, work, rows, probabilities);
        let Differing { changed, decision_flips, samples } = differing;
        let nan = counts.nan_positives + counts.nan_negatives;
        counts.finite = MannWhitney {
            doubled: quick.order.exchanged(quick.counts.doubled, doubled, &mut work.exchange),
            positives: quick.counts.positives - counts.nan_positives,
            negatives: quick.counts.negatives - counts.nan_negatives,
        };
        if nan > 0 {
            counts.substitute = self.substitute(quick, &work.rows, probabilities);
        }
        let aucs = counts.aucs();

        let loss = loss::exchanged(quick.loss, &work.groups, &work.probabilities, substitute);
        let log_loss = loss.mean(n);
        let positives = quick.counts.positives;
        let calibration = (positives > 0).then(|| probability.value() / positives as f64);

        let MetricsWork { rows: starts, distances, .. } = &mut *work;
        let changed_rows = rows.iter().zip(starts.iter().zip(probabilities)).map(|(row, (start, p))| {
            let golden = self.golden_of(quick, *row, start.probability);
            let distance = (f64::from(*p) - f64::from(golden)).abs();
            // NaN is no distance.
            (*row as usize, if distance.is_nan() { 0.0 } else { distance })
        });
        let (squares, largest) = quick.distances.with(changed_rows, distances);
        let finite = n as u64 - nan;
        let rmse_finite = (finite > 0).then(|| (squares / finite as f64).sqrt());

        let top_k = self
            .users
            .as_ref()
            .map(|users| {
                let changed = work.rows.iter().zip(probabilities).map(|(row, p)| (row.user, row.place, *p));
                users.changed(changed, &mut work.users)
            })
            .unwrap_or_default();
        let auc_loss = self.golden.auc.zip(aucs.auc).map(|(golden, auc)| golden - auc);
        TrialScores {
            rows: n as u64,
            auc: aucs.auc,
            auc_finite: aucs.auc_finite,
            auc_worst: aucs.auc_worst,
            log_loss,
            normalised_entropy: log_loss
                .zip(loss::base_entropy(positives, n as u64))
                .map(|(loss, entropy)| loss / entropy),
            calibration,
            rmse: rmse_finite.filter(|_| nan == 0),
            rmse_finite,
            max_abs_difference: (finite > 0).then_some(largest),
            changed_share: Some(changed as f64 / n as f64),
            decision_flips: Some(decision_flips),
            non_finite: aucs.non_finite,
            saturated: saturated.high + saturated.low,
            saturated_high: saturated.high,
            saturated_low: saturated.low,
            masked: samples.masked,
            tolerable: samples.tolerable,
            sdc: samples.sdc,
            due: samples.due,
            outcome: Outcome::of_trial(&samples, Detection::Silent),
            auc_loss,
            critical: auc_loss.map(|loss| loss > options.critical_loss),
            ndcg: top_k.ndcg,
            hit_rate: top_k.hit_rate,
            top_k_overlap: top_k.overlap,
            ties_at_bounds: self
                .metrics
                .ties_at_bounds
                .map(|start| start.wrapping_add_signed(ties_at_bounds)),
        }
    }

    /// The golden probability of a row that starts from another, or from that one.
    fn golden_of(&self, quick: &Quick, row: u32, start: f32) -> f32 {
        if quick.golden { start } else { self.golden.probabilities[row as usize] }
    }

    /// What each row adds to counts and exact sums, and takes away from them.
    fn moved(&self, quick: &Quick, work: &mut MetricsWork, rows: &[u32], probabilities: &[f32]) -> Moved {
        let options = &self.options;
        let substitute = options.non_finite.probability(options.fallback);
        let mut moved = Moved {
            counts: AucCounts::default(),
            doubled: 0,
            probability: quick.probability,
            differing: quick.differing,
            ties_at_bounds: 0,
        };
        work.exchange.clear();
        for ((start, row), &p) in work.rows.iter().zip(rows).zip(probabilities) {
            let (before, positive) = (start.probability, start.positive);
            moved.doubled += u64::from(start.doubled);
            work.exchange.goes(before.to_bits(), positive);
            match (p.is_nan(), positive) {
                (true, true) => moved.counts.nan_positives += 1,
                (true, false) => moved.counts.nan_negatives += 1,
                (false, _) => work.exchange.comes(p.to_bits(), positive),
            }
            moved.probability.take(f64::from(before));
            moved.probability.add(f64::from(if p.is_nan() { substitute } else { p }));
            let golden = self.golden_of(quick, *row, before);
            moved.differing.exchange([before, p, golden], substitute, options.tolerance);
            moved.ties_at_bounds += i64::from(is_bound(p)) - i64::from(is_bound(before));
        }
        moved
    }

    /// Where the substitute of scores that are not numbers stands once rows changed.
    fn substitute(&self, quick: &Quick, rows: &[StartRow], probabilities: &[f32]) -> Standing {
        use std::cmp::Ordering;
        let rank = self.options.non_finite.rank_score(self.options.fallback);
        assert!(!rank.is_nan(), "the substitute for scores that are not numbers is not a number");
        let mut standing = quick.substitute;
        // NaN stands nowhere.
        let place = |standing: &mut Standing, score: f32, positive: bool, step: i64| {
            let count = match (score.partial_cmp(&rank), positive) {
                (Some(Ordering::Less), false) => &mut standing.negatives_below,
                (Some(Ordering::Equal), false) => &mut standing.negatives_equal,
                (Some(Ordering::Greater), true) => &mut standing.positives_above,
                (Some(Ordering::Equal), true) => &mut standing.positives_equal,
                _ => return,
            };
            *count = count.wrapping_add_signed(step);
        };
        for (row, &p) in rows.iter().zip(probabilities) {
            place(&mut standing, row.probability, row.positive, -1);
            place(&mut standing, p, row.positive, 1);
        }
        standing
    }
}

/// Counts and sums of a run, moved by its changed rows.
struct Moved {
    counts: AucCounts,
    /// Doubled pairs of the changed rows as they were.
    doubled: u64,
    probability: ExactSum,
    differing: Differing,
    /// More rows with a probability of exactly 0 or 1 than before.
    ties_at_bounds: i64,
}

impl Quick {
    /// `None` where a run is not to be scored in parts: its scores are raw, or they or the golden ones are not numbers from +0 to
    /// below 2.
    fn of(
        start: &Observed<'_>,
        golden: &Golden<'_>,
        options: &ScoreOptions<'_>,
        users: Option<&Users>,
    ) -> Option<Self> {
        let Observed { probabilities, labels, .. } = *start;
        if !options.probabilities || probabilities.is_empty() {
            return None;
        }
        let golden = golden.probabilities;
        if !golden.iter().all(|p| key(*p).is_some()) {
            return None;
        }
        let substitute = options.non_finite.probability(options.fallback);
        let rank = options.non_finite.rank_score(options.fallback);
        let ordered = || {
            let order = Order::of(probabilities, labels)?;
            let of_rows = users.map(Users::of_rows).unwrap_or_default();
            let rows = StartRows::of(start, &order.doubled_of(probabilities, labels), &of_rows);
            Some((order, rows))
        };
        let summed = || {
            let groups = Groups::of(start, substitute);
            let loss = ExactSum::of(groups.len(), |at| groups.get(at).loss)?;
            let probability = ExactSum::of(probabilities.len(), |i| f64::from(probabilities[i]))?;
            Some((groups, loss, probability, Ranking::default().count(probabilities, labels, rank).finite))
        };
        let (ordered, summed) = rayon::join(ordered, summed);
        let ((order, rows), (groups, loss, probability, counts)) = ordered.zip(summed)?;
        let (_, differing) = Deviation::with_counts((probabilities, golden), substitute, options.tolerance);
        Some(Self {
            counts,
            substitute: Standing::of(rank, probabilities, labels),
            rows,
            loss,
            groups,
            probability,
            distances: Distances::of(probabilities, golden),
            golden: differing.samples.masked == probabilities.len() as u64,
            differing,
            order,
        })
    }
}
