//! A golden run, prepared so that runs which differ from it in few rows are scored at the cost of these rows.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::auc::{AucCounts, MannWhitney, Standing};
use crate::deviation::{CHANGED, DECISION};
use crate::kept_sum::{KeptMean, KeptSum};
use crate::loss;
use crate::order::{Order, key};
use crate::outcome::{Detection, Outcome, SampleOutcomes};
use crate::ranking::Ranking;
use crate::sum::mean;
use crate::top_k::{OfUser, TopK, UserWork};
use crate::trial::{Golden, Observed, ScoreOptions, TrialScores};

/// More than one changed row in so many costs as much as all of them, while the scores lie in cache.
const FEW: usize = 12;
/// The same from so many rows on, when each changed row is fetched from memory.
const FEW_OF_MANY: usize = 40;
const MANY: usize = 1 << 20;

/// A fault-free run that others are scored beside.
///
/// Memory: about 11 bytes a row, and 40 a user.
#[derive(Debug)]
pub struct Reference<'a> {
    start: Observed<'a>,
    golden: Golden<'a>,
    options: ScoreOptions<'a>,
    metrics: TrialScores,
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
    /// Negative logarithms of the likelihoods of each group of rows.
    losses: Vec<f64>,
    loss: KeptSum,
    probability: KeptSum,
    /// Squared distances from golden: none.
    squares: KeptSum,
    samples: SampleOutcomes,
    users: Option<Users>,
}

/// What each user of the golden run sees.
#[derive(Debug)]
struct Users {
    /// The user of each row, by place among the groups.
    of_row: Vec<u32>,
    groups: Vec<OfGroup>,
    /// Place of each user among those with a positive row.
    with_positive: Vec<Option<u32>>,
    gains: KeptMean,
    hits: KeptMean,
    overlaps: KeptMean,
}

/// The rows of one user, and the first of them.
#[derive(Debug)]
struct OfGroup {
    rows: Vec<u32>,
    first: Vec<u32>,
}

/// Memory for scoring, used again from run to run.
#[derive(Debug, Default)]
pub struct MetricsWork {
    ranking: Ranking,
    /// The run's scores, row by row; between runs those of the reference.
    probabilities: Vec<f32>,
    logits: Vec<f32>,
    losses: Vec<f64>,
    means: Option<[KeptMean; 3]>,
    /// Which reference's scores the vectors above hold.
    of: u64,
    leaves: Vec<f64>,
    old: Vec<(f32, u8)>,
    new: Vec<(f32, u8)>,
    both: Vec<(f32, u8)>,
    users: Vec<u32>,
    user: UserWork,
}

impl<'a> Reference<'a> {
    /// Prepares a run; `golden` is what losses and differences are taken against: the run itself, or the unprotected one.
    ///
    /// # Panics
    /// If lengths differ, or logits are missing.
    pub fn new(start: Observed<'a>, golden: Golden<'a>, options: ScoreOptions<'a>) -> Self {
        assert!(start.logits.is_some(), "a reference has logits");
        let metrics = TrialScores::of(&start, Some(&golden), &options);
        let quick = Quick::of(&start, &golden, &options);
        let number = REFERENCES.fetch_add(1, Relaxed);
        Self { start, golden, options, metrics, quick, number }
    }

    /// The scores of the run itself.
    pub fn metrics(&self) -> &TrialScores {
        &self.metrics
    }

    /// Scores of a run that differs from this one in some rows at most: `rows` ascending, each once.
    ///
    /// The bits of [`TrialScores::of`] on all rows, at the cost of the changed rows, their leaves of the sums' trees and
    /// their users.
    pub fn changed(
        &self,
        work: &mut MetricsWork,
        rows: &[u32],
        probabilities: &[f32],
        logits: &[f32],
    ) -> TrialScores {
        if rows.is_empty() {
            return self.metrics.clone();
        }
        self.load(work);
        let all = self.start.probabilities.len();
        let keyed = |p: &f32| p.is_nan() || key(*p).is_some();
        let few = if all < MANY { FEW } else { FEW_OF_MANY };
        let quick = self.quick.as_ref().filter(|_| rows.len() * few < all && probabilities.iter().all(keyed));
        for ((&row, &probability), &logit) in rows.iter().zip(probabilities).zip(logits) {
            work.probabilities[row as usize] = probability;
            work.logits[row as usize] = logit;
        }
        let scores = if let Some(quick) = quick {
            self.scored(quick, work, rows, logits)
        } else {
            let MetricsWork { ranking, probabilities, logits, .. } = work;
            let observed = Observed { probabilities, logits: Some(logits), labels: self.start.labels };
            TrialScores::with(ranking, &observed, Some(&self.golden), &self.options)
        };
        for &row in rows {
            let row = row as usize;
            work.probabilities[row] = self.start.probabilities[row];
            work.logits[row] = self.start.logits.unwrap_or_default()[row];
        }
        scores
    }

    /// Scores of a run that may differ in every row.
    pub fn all(&self, work: &mut MetricsWork, probabilities: &[f32], logits: &[f32]) -> TrialScores {
        let labels = self.start.labels;
        let observed = Observed { probabilities, logits: Some(logits), labels };
        let Some(users) = self.quick.as_ref().and_then(|quick| quick.users.as_ref()) else {
            return TrialScores::with(&mut work.ranking, &observed, Some(&self.golden), &self.options);
        };
        let substitute = self.options.non_finite.rank_score(self.options.fallback);
        let (mut gains, mut hits) = (Vec::with_capacity(users.groups.len()), Vec::new());
        let mut overlaps = Vec::with_capacity(users.groups.len());
        for OfGroup { rows, first } in &users.groups {
            let k = self.options.top_k;
            let of = work.user.of(rows, k, probabilities, labels, Some(first), substitute);
            gains.extend(of.gain_and_hit.map(|(gain, _)| gain));
            hits.extend(of.gain_and_hit.map(|(_, hit)| hit));
            overlaps.extend(of.overlap);
        }
        let top_k = TopK { ndcg: mean(&gains), hit_rate: mean(&hits), overlap: mean(&overlaps) };
        TrialScores::with_top_k(&mut work.ranking, &observed, Some(&self.golden), &self.options, top_k)
    }

    /// Brings this run's scores into the work, where another's are.
    fn load(&self, work: &mut MetricsWork) {
        if work.of == self.number {
            return;
        }
        work.of = self.number;
        work.probabilities.clear();
        work.probabilities.extend_from_slice(self.start.probabilities);
        work.logits.clear();
        work.logits.extend_from_slice(self.start.logits.unwrap_or_default());
        work.losses.clear();
        work.means = None;
        if let Some(quick) = &self.quick {
            work.losses.extend_from_slice(&quick.losses);
            work.means = quick
                .users
                .as_ref()
                .map(|users| [users.gains.clone(), users.hits.clone(), users.overlaps.clone()]);
        }
    }

    fn scored(&self, quick: &Quick, work: &mut MetricsWork, rows: &[u32], logits: &[f32]) -> TrialScores {
        let Observed { probabilities: start, labels, .. } = self.start;
        let golden = self.golden.probabilities;
        let options = &self.options;
        let n = start.len();
        let substitute = options.non_finite.probability(options.fallback);

        let aucs = self.counts(quick, work, rows).aucs();

        // Sums over rows.
        let groups = || {
            let mut last = usize::MAX;
            rows.iter().map(|row| *row as usize / loss::GROUP).filter(move |group| {
                let first = *group != last;
                last = *group;
                first
            })
        };
        for group in groups() {
            work.losses[group] = loss::group_log_loss(group, &work.probabilities, labels, substitute);
        }
        let log_loss = quick.loss.with(groups(), &mut work.leaves, |group| work.losses[group]) / n as f64;
        for group in groups() {
            work.losses[group] = quick.losses[group];
        }
        let row_places = || rows.iter().map(|row| *row as usize);
        let now = &work.probabilities;
        let probability = |i: usize| f64::from(if now[i].is_nan() { substitute } else { now[i] });
        let total = quick.probability.with(row_places(), &mut work.leaves, probability);
        let positives = quick.counts.positives;
        let calibration = (positives > 0).then(|| total / positives as f64);

        // Distances from golden: only changed rows have any where the start is golden.
        let squares = quick.squares.with(row_places(), &mut work.leaves, |i| {
            let distance = f64::from(now[i]) - f64::from(golden[i]);
            if distance.is_nan() { 0.0 } else { distance * distance }
        });
        let mut samples = quick.samples;
        let (mut changed, mut decision_flips, mut largest) = (0, 0, 0.0_f64);
        let mut nan = 0;
        let decision = |p: f32| if p.is_nan() { substitute >= DECISION } else { p >= DECISION };
        for &row in rows {
            let (p, g) = (now[row as usize], golden[row as usize]);
            let distance = (f64::from(p) - f64::from(g)).abs();
            if distance.is_nan() {
                nan += 1;
                changed += 1;
            } else {
                changed += u64::from(distance > CHANGED);
                largest = if distance > largest { distance } else { largest };
            }
            decision_flips += u64::from(decision(p) != decision(g));
            samples.remove(Outcome::of_sample(g, g, options.tolerance));
            samples.add(Outcome::of_sample(p, g, options.tolerance));
        }
        let finite = n as u64 - nan;
        let rmse_finite = (finite > 0).then(|| (squares / finite as f64).sqrt());

        let saturated = |before: u64, infinity: f32| {
            let golden = self.start.logits.unwrap_or_default();
            let of = |logit: f32| u64::from(logit == infinity);
            let old: u64 = rows.iter().map(|row| of(golden[*row as usize])).sum();
            before + logits.iter().map(|logit| of(*logit)).sum::<u64>() - old
        };
        let saturated_high = saturated(self.metrics.saturated_high, f32::INFINITY);
        let saturated_low = saturated(self.metrics.saturated_low, f32::NEG_INFINITY);

        let [ndcg, hit_rate, top_k_overlap] = self.of_users(quick, work, rows);
        let auc_loss = self.golden.auc.zip(aucs.auc).map(|(golden, auc)| golden - auc);
        TrialScores {
            rows: n as u64,
            auc: aucs.auc,
            auc_finite: aucs.auc_finite,
            auc_worst: aucs.auc_worst,
            log_loss: Some(log_loss),
            normalised_entropy: loss::base_entropy(positives, n as u64).map(|entropy| log_loss / entropy),
            calibration,
            rmse: rmse_finite.filter(|_| nan == 0),
            rmse_finite,
            max_abs_difference: (finite > 0).then_some(largest),
            changed_share: Some(changed as f64 / n as f64),
            decision_flips: Some(decision_flips),
            non_finite: aucs.non_finite,
            saturated: saturated_high + saturated_low,
            saturated_high,
            saturated_low,
            masked: samples.masked,
            tolerable: samples.tolerable,
            sdc: samples.sdc,
            due: samples.due,
            outcome: Outcome::of_trial(&samples, Detection::Silent),
            auc_loss,
            critical: auc_loss.map(|loss| loss > options.critical_loss),
            ndcg,
            hit_rate,
            top_k_overlap,
        }
    }

    /// The pairs won once these rows changed.
    fn counts(&self, quick: &Quick, work: &mut MetricsWork, rows: &[u32]) -> AucCounts {
        let Observed { probabilities: start, labels, .. } = self.start;
        let options = &self.options;
        work.old.clear();
        work.new.clear();
        let mut counts = AucCounts::default();
        for &row in rows {
            let (now, label) = (work.probabilities[row as usize], labels[row as usize]);
            work.old.push((start[row as usize], label));
            match (now.is_nan(), label != 0) {
                (true, true) => counts.nan_positives += 1,
                (true, false) => counts.nan_negatives += 1,
                (false, _) => work.new.push((now + 0.0, label)),
            }
        }
        counts.finite = MannWhitney {
            doubled: quick.order.replaced(quick.counts.doubled, &mut work.old, &mut work.new, &mut work.both),
            positives: quick.counts.positives - counts.nan_positives,
            negatives: quick.counts.negatives - counts.nan_negatives,
        };
        if counts.nan_positives + counts.nan_negatives > 0 {
            let rank = options.non_finite.rank_score(options.fallback);
            assert!(!rank.is_nan(), "the substitute for scores that are not numbers is not a number");
            counts.substitute = quick.substitute;
            moved(&mut counts.substitute, rank, &work.old, false);
            moved(&mut counts.substitute, rank, &work.new, true);
        }
        counts
    }

    fn of_users(&self, quick: &Quick, work: &mut MetricsWork, rows: &[u32]) -> [Option<f64>; 3] {
        let (Some(users), Some([gains, hits, overlaps])) = (&quick.users, &mut work.means) else {
            return [None; 3];
        };
        work.users.clear();
        work.users.extend(rows.iter().map(|row| users.of_row[*row as usize]));
        work.users.sort_unstable();
        work.users.dedup();
        let substitute = self.options.non_finite.rank_score(self.options.fallback);
        let (mut new_gains, mut new_hits, mut new_overlaps) = (Vec::new(), Vec::new(), Vec::new());
        for &user in &work.users {
            let group = &users.groups[user as usize];
            let OfUser { gain_and_hit, overlap } = work.user.of(
                &group.rows,
                self.options.top_k,
                &work.probabilities,
                self.start.labels,
                Some(&group.first),
                substitute,
            );
            if let (Some((gain, hit)), Some(place)) = (gain_and_hit, users.with_positive[user as usize]) {
                new_gains.push((place as usize, gain));
                new_hits.push((place as usize, hit));
            }
            new_overlaps.extend(overlap.map(|overlap| (user as usize, overlap)));
        }
        [(gains, &mut new_gains), (hits, &mut new_hits), (overlaps, &mut new_overlaps)]
            .map(|(mean, changed)| mean.with(changed, &mut work.leaves))
    }
}

impl Quick {
    /// `None` where a run is not to be scored in parts: its scores are raw, or not those it is held against, or not numbers
    /// from +0 to below 2.
    fn of(start: &Observed<'_>, golden: &Golden<'_>, options: &ScoreOptions<'_>) -> Option<Self> {
        let Observed { probabilities, labels, .. } = *start;
        let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits();
        if !options.probabilities
            || probabilities.is_empty()
            || !probabilities.iter().zip(golden.probabilities).all(same)
        {
            return None;
        }
        let order = Order::of(probabilities, labels)?;
        let n = probabilities.len();
        let substitute = options.non_finite.probability(options.fallback);
        let losses: Vec<f64> = (0..n.div_ceil(loss::GROUP))
            .map(|group| loss::group_log_loss(group, probabilities, labels, substitute))
            .collect();
        let rank = options.non_finite.rank_score(options.fallback);
        let counts = Ranking::default().count(probabilities, labels, rank).finite;
        let users = options.users.map(|rows| {
            let mut work = UserWork::default();
            let groups: Vec<OfGroup> = rows
                .groups()
                .map(|rows| OfGroup {
                    rows: rows.to_vec(),
                    first: work.first(rows, options.top_k, golden.probabilities, rank).to_vec(),
                })
                .collect();
            let mut of_row = vec![0; n];
            let (mut gains, mut hits, mut overlaps) = (Vec::new(), Vec::new(), Vec::new());
            let mut with_positive = Vec::with_capacity(groups.len());
            for (user, OfGroup { rows, first }) in (0..).zip(&groups) {
                for row in rows {
                    of_row[*row as usize] = user;
                }
                let of = work.of(rows, options.top_k, probabilities, labels, Some(first), rank);
                with_positive.push(of.gain_and_hit.map(|_| gains.len() as u32));
                gains.extend(of.gain_and_hit.map(|(gain, _)| gain));
                hits.extend(of.gain_and_hit.map(|(_, hit)| hit));
                overlaps.extend(of.overlap);
            }
            let [gains, hits, overlaps] = [gains, hits, overlaps].map(KeptMean::of);
            Users { of_row, groups, with_positive, gains, hits, overlaps }
        });
        Some(Self {
            counts,
            substitute: Standing::of(rank, probabilities, labels),
            loss: KeptSum::of(losses.len(), |group| losses[group]),
            losses,
            probability: KeptSum::of(n, |i| f64::from(probabilities[i])),
            squares: KeptSum::zeros(n),
            samples: SampleOutcomes { masked: n as u64, ..SampleOutcomes::default() },
            users,
            order,
        })
    }
}

/// Adds rows with numbers to where a score stands, or takes them away.
fn moved(standing: &mut Standing, score: f32, rows: &[(f32, u8)], add: bool) {
    for &(other, label) in rows {
        let count = match (other.total_cmp(&(score + 0.0)), label != 0) {
            (std::cmp::Ordering::Less, false) => &mut standing.negatives_below,
            (std::cmp::Ordering::Equal, false) => &mut standing.negatives_equal,
            (std::cmp::Ordering::Greater, true) => &mut standing.positives_above,
            (std::cmp::Ordering::Equal, true) => &mut standing.positives_equal,
            _ => continue,
        };
        *count = if add { *count + 1 } else { *count - 1 };
    }
}
