//! From the terms of a logit to the answer, and what differs from the golden one.

use crate::lanes::{LANES, Lane, Lanes};
use crate::plain;

/// What stands for every NaN.
const CANONICAL_NAN: f32 = f32::from_bits(0x7fc0_0000);

/// Rows counted as they are answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Answered {
    /// Rows whose answer has other bits than the golden one.
    pub changed: u32,
    /// Rows whose logit is +Inf.
    pub high: u32,
    /// Rows whose logit is -Inf.
    pub low: u32,
}

/// Where answers go, one value a row each.
#[derive(Debug, Default)]
pub struct Answers<'a> {
    /// The golden answers; empty where nothing is counted.
    pub golden: &'a [f32],
    /// The answers.
    pub answers: &'a mut [f32],
    /// The logits; empty where nobody asks.
    pub logits: &'a mut [f32],
    /// What is counted, added to what was.
    pub counted: Answered,
}

#[inline(always)]
fn canonical(x: f32) -> f32 {
    if x.is_nan() { CANONICAL_NAN } else { x }
}

/// Logits and answers of one lane group.
#[inline(always)]
fn group<L: Lanes>(terms: &[&[Lane]], g: usize, sigmoid: bool) -> (Lane, Lane) {
    let mut sum = L::load(&terms[0][g]);
    for term in &terms[1..] {
        sum = sum.add(L::load(&term[g]));
    }
    let mut logit: Lane = [0.0; LANES];
    sum.store(&mut logit);
    for x in &mut logit {
        *x = canonical(*x);
    }
    let mut answer = logit;
    if sigmoid {
        for x in &mut answer {
            *x = canonical(plain::sigmoid(*x));
        }
    }
    (logit, answer)
}

/// Counts by lane, so that lanes are counted side by side.
#[derive(Default)]
struct ByLane {
    changed: [u32; LANES],
    high: [u32; LANES],
    low: [u32; LANES],
}

impl ByLane {
    #[inline(always)]
    fn count(&mut self, (logit, answer): (&Lane, &Lane), golden: &Lane) {
        for lane in 0..LANES {
            self.changed[lane] += u32::from(answer[lane].to_bits() != golden[lane].to_bits());
            self.high[lane] += u32::from(logit[lane] == f32::INFINITY);
            self.low[lane] += u32::from(logit[lane] == f32::NEG_INFINITY);
        }
    }
}

#[inline(always)]
fn answer<L: Lanes>(terms: &[&[Lane]], sigmoid: bool, out: &mut Answers<'_>) {
    let (answers, last) = out.answers.as_chunks_mut::<LANES>();
    let (logits, last_logits) = out.logits.as_chunks_mut::<LANES>();
    let (golden, last_golden) = out.golden.as_chunks::<LANES>();
    let mut counts = ByLane::default();
    for (g, to) in answers.iter_mut().enumerate() {
        let (logit, answer) = group::<L>(terms, g, sigmoid);
        *to = answer;
        if let Some(to) = logits.get_mut(g) {
            *to = logit;
        }
        if let Some(golden) = golden.get(g) {
            counts.count((&logit, &answer), golden);
        }
    }
    if !last.is_empty() {
        let (mut logit, answer) = group::<L>(terms, answers.len(), sigmoid);
        let rows = last.len();
        last.copy_from_slice(&answer[..rows]);
        if !last_logits.is_empty() {
            last_logits.copy_from_slice(&logit[..rows]);
        }
        if !last_golden.is_empty() {
            // Lanes beyond the last row are no rows.
            let mut golden = answer;
            golden[..rows].copy_from_slice(last_golden);
            logit[rows..].fill(0.0);
            counts.count((&logit, &answer), &golden);
        }
    }
    out.counted.changed += counts.changed.iter().sum::<u32>();
    out.counted.high += counts.high.iter().sum::<u32>();
    out.counted.low += counts.low.iter().sum::<u32>();
}

kernels! {
    /// The sum of a logit's terms in their order, NaN made canonical, and the answer: its sigmoid, or itself.
    ///
    /// # Shapes
    /// `terms` `[1, R]` each, at least one; `out` `[B]`, B ≤ R.
    pub fn answer(terms: &[&[Lane]], sigmoid: bool, out: &mut Answers<'_>) = answer;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kernels, Path};

    #[test]
    fn answers_are_those_of_the_steps_taken_one_by_one() {
        let special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -f32::NAN, 200.0, -200.0, 0.0, -0.0];
        let term = |seed: usize| -> Vec<Lane> {
            let value = |i: usize| match (i * 7 + seed) % 23 {
                at if at < special.len() && seed == 1 => special[at],
                at => at as f32 / 5.0 - 2.0,
            };
            (0..4).map(|g| std::array::from_fn(|l| value(g * LANES + l))).collect()
        };
        let terms = [term(1), term(2), term(3)];
        for &path in Path::available() {
            let kernels = Kernels::on(path).unwrap();
            for (count, rows, sigmoid) in
                [(1, 64, true), (3, 64, true), (2, 37, true), (3, 5, false), (3, 48, false)]
            {
                let terms: Vec<&[Lane]> = terms[..count].iter().map(Vec::as_slice).collect();
                let mut logits: Vec<f32> = terms[0].as_flattened().to_vec();
                for term in &terms[1..] {
                    logits.iter_mut().zip(term.as_flattened()).for_each(|(x, y)| *x += y);
                }
                let mut expected = logits.clone();
                if sigmoid {
                    kernels.sigmoid(&logits, &mut expected);
                }
                let golden: Vec<f32> =
                    (0..rows).map(|i| if i % 3 == 0 { canonical(expected[i]) } else { 0.123 }).collect();
                for asked in [true, false] {
                    let (mut answers, mut found) = (vec![0.0; rows], vec![0.0; if asked { rows } else { 0 }]);
                    let mut out = Answers {
                        golden: &golden,
                        answers: &mut answers,
                        logits: &mut found,
                        counted: Answered { changed: 5, high: 6, low: 7 },
                    };
                    kernels.answer(&terms, sigmoid, &mut out);
                    let counted = out.counted;
                    let bits = |x: &[f32]| x.iter().map(|x| canonical(*x).to_bits()).collect::<Vec<_>>();
                    let plain = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                    assert_eq!(plain(&answers), bits(&expected[..rows]), "{path}");
                    if asked {
                        assert_eq!(plain(&found), bits(&logits[..rows]), "{path}");
                    }
                    let changed =
                        answers.iter().zip(&golden).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
                    let infinite = |of: f32| logits[..rows].iter().filter(|x| **x == of).count() as u32;
                    assert!(changed > 0 && (rows < 64 || infinite(f32::INFINITY) > 0));
                    assert_eq!(
                        counted,
                        Answered {
                            changed: 5 + changed as u32,
                            high: 6 + infinite(f32::INFINITY),
                            low: 7 + infinite(f32::NEG_INFINITY)
                        },
                        "{path}"
                    );
                }
            }
        }
    }
}
