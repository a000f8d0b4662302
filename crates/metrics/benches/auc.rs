//! AUC of a million scores on one thread: the ranking beside a comparison sort of (score, label).
//!
//! Both give the same count, which is checked before the clock starts, and both get their memory ready made. They take
//! turns, so that what else the machine does falls on both; the ratio is the median over turns.

use std::hint::black_box;
use std::time::Instant;

use radhard_metrics::{MannWhitney, Ranking};

const ROWS: usize = 1_000_000;
const RUNS: usize = 21;

/// SplitMix64 as a fraction in [0, 1) with 24 bits.
fn uniform(state: &mut u64) -> f32 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 40) as f32 / 16_777_216.0
}

fn by_comparison(rows: &mut Vec<(f32, u8)>, scores: &[f32], labels: &[u8]) -> MannWhitney {
    rows.clear();
    rows.extend(scores.iter().copied().zip(labels.iter().copied()));
    rows.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let mut count = MannWhitney::default();
    for group in rows.chunk_by(|a, b| a.0 == b.0) {
        let positives = group.iter().map(|row| u64::from(row.1)).sum::<u64>();
        let negatives = group.len() as u64 - positives;
        count.doubled += positives * (2 * count.negatives + negatives);
        count.positives += positives;
        count.negatives += negatives;
    }
    count
}

fn milliseconds(work: impl FnOnce() -> MannWhitney) -> f64 {
    let start = Instant::now();
    black_box(work());
    start.elapsed().as_secs_f64() * 1e3
}

/// Median (min–max).
fn spread(mut times: Vec<f64>) -> String {
    times.sort_unstable_by(f64::total_cmp);
    format!("{:.2} ({:.2}–{:.2})", times[RUNS / 2], times[0], times[RUNS - 1])
}

fn main() {
    let mut state = 1;
    let labels: Vec<u8> = (0..ROWS).map(|_| u8::from(uniform(&mut state) < 0.5)).collect();
    let random: Vec<f32> = (0..ROWS).map(|_| uniform(&mut state)).collect();
    let logistic: Vec<f32> = random.iter().map(|u| 1.0 / (1.0 + (3.0 - 6.0 * u).exp())).collect();
    let tied: Vec<f32> = random.iter().map(|u| (u * 100.0).floor() / 100.0).collect();

    println!("AUC of {ROWS} scores, one thread, milliseconds: median (min–max) of {RUNS} turns\n");
    println!("| scores | ranking | comparison sort | ratio |");
    println!("|---|---:|---:|---:|");
    for (name, scores) in
        [("uniform", &random), ("logistic of uniform", &logistic), ("uniform, 100 values", &tied)]
    {
        let mut ranking = Ranking::default();
        let mut rows = Vec::with_capacity(ROWS);
        let fast = ranking.count(scores, &labels, 0.5).finite;
        assert_eq!(fast, by_comparison(&mut rows, scores, &labels), "the two counts differ on {name}");
        let turns: Vec<(f64, f64)> = (0..RUNS)
            .map(|_| {
                let ours = milliseconds(|| ranking.count(black_box(scores), &labels, 0.5).finite);
                let theirs = milliseconds(|| by_comparison(&mut rows, black_box(scores), &labels));
                (ours, theirs)
            })
            .collect();
        println!(
            "| {name} | {} | {} | {} |",
            spread(turns.iter().map(|turn| turn.0).collect()),
            spread(turns.iter().map(|turn| turn.1).collect()),
            spread(turns.iter().map(|turn| turn.1 / turn.0).collect()),
        );
    }
}
