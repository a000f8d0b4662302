//! Scores of one trial on one thread: what changed, and all rows, beside the plain scoring of all rows.
//!
//! All give the same scores, which is checked before the clock starts. They take turns, so that what else the machine
//! does falls on each; ratios are medians over turns.

use std::hint::black_box;
use std::time::Instant;

use radhard_metrics::{
    Golden, MetricsWork, Observed, Ranking, Reference, ScoreOptions, TrialScores, UserRows,
};

const TURNS: usize = 7;

/// SplitMix64 as a fraction in [0, 1) with 24 bits.
fn uniform(state: &mut u64) -> f32 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 40) as f32 / 16_777_216.0
}

fn milliseconds(work: impl FnOnce() -> TrialScores) -> f64 {
    let start = Instant::now();
    black_box(work());
    start.elapsed().as_secs_f64() * 1e3
}

/// Median (min–max).
fn spread(mut times: Vec<f64>) -> String {
    times.sort_unstable_by(f64::total_cmp);
    format!("{:.3} ({:.3}–{:.3})", times[TURNS / 2], times[0], times[TURNS - 1])
}

fn measure(rows: usize, users: Option<u32>) {
    let mut state = 1;
    let labels: Vec<u8> = (0..rows).map(|_| u8::from(uniform(&mut state) < 0.5)).collect();
    let logistic = |x: f32| 1.0 / (1.0 + (-x).exp());
    let logits: Vec<f32> = (0..rows).map(|_| 6.0 * uniform(&mut state) - 3.0).collect();
    let golden: Vec<f32> = logits.iter().map(|x| logistic(*x)).collect();
    let ids = |count: u32| -> Vec<u32> {
        (0..rows as u64).map(|row| (row * u64::from(count) / rows as u64) as u32).collect()
    };
    let groups = users.map(|count| UserRows::of(&ids(count)));
    let options = ScoreOptions { users: groups.as_ref(), ..ScoreOptions::new(0.5) };
    let start = Observed { probabilities: &golden, logits: Some(&logits), labels: &labels };
    let auc = TrialScores::of(&start, None, &options).auc;
    let against = Golden { probabilities: &golden, auc };
    let reference = Reference::new(start, against, options);
    let (mut work, mut ranking) = (MetricsWork::default(), Ranking::default());
    for changed in [300, rows / 100, rows / 14, rows] {
        let mut picked: Vec<u32> = if changed == rows {
            (0..rows as u32).collect()
        } else {
            (0..changed).map(|_| (uniform(&mut state) * rows as f32) as u32).collect()
        };
        picked.sort_unstable();
        picked.dedup();
        let mut now_logits = logits.clone();
        for row in &picked {
            now_logits[*row as usize] += uniform(&mut state) - 0.5;
        }
        let now: Vec<f32> = now_logits.iter().map(|x| logistic(*x)).collect();
        let of = |from: &[f32]| -> Vec<f32> { picked.iter().map(|row| from[*row as usize]).collect() };
        let (some, some_logits) = (of(&now), of(&now_logits));
        let observed = Observed { probabilities: &now, logits: Some(&now_logits), labels: &labels };
        let mut quick = || {
            if changed == rows {
                reference.all(&mut work, &now, &now_logits)
            } else {
                reference.changed(&mut work, &picked, &some, &some_logits)
            }
        };
        let mut plain = || TrialScores::with(&mut ranking, &observed, Some(&against), &options);
        assert_eq!(format!("{:?}", quick()), format!("{:?}", plain()), "the scores differ");
        let turns: Vec<(f64, f64)> =
            (0..TURNS).map(|_| (milliseconds(&mut quick), milliseconds(&mut plain))).collect();
        println!(
            "| {rows} | {} | {} | {} | {} | {} |",
            users.unwrap_or(0),
            picked.len(),
            spread(turns.iter().map(|turn| turn.0).collect()),
            spread(turns.iter().map(|turn| turn.1).collect()),
            spread(turns.iter().map(|turn| turn.1 / turn.0).collect()),
        );
    }
}

fn main() {
    println!("scores of one trial, one thread, milliseconds: median (min–max) of {TURNS} turns\n");
    println!("| rows | users | changed | reference | plain | ratio |");
    println!("|---:|---:|---:|---:|---:|---:|");
    for (rows, users) in [(100_021, Some(6_040)), (2_000_026, Some(138_493)), (4_584_062, None)] {
        measure(rows, users);
    }
}
