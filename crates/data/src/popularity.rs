//! How often each id of a stand-in occurs.
//!
//! Source: Zipf and Mandelbrot's law, weight ∝ (r + q)^-s of rank r, with the factor ((n - r)/n)^b for the end of a finite
//! list (the discrete generalised beta law of Martínez-Mekler et al., PLoS ONE 4(3): e4791, 2009) and a least count.
//!
//! Drawn ids come from systematic sampling: the places of R rows are R evenly spaced points, from a random start, on the line
//! on which each id has a stretch of its frequency's length, and a random permutation says which row has which place. So
//! an id that is expected x times occurs ⌊x⌋ or ⌈x⌉ times, and the ids of two fields are independent. Ranked ids are drawn
//! for each row by itself.

use crate::random::{Draws, Permutation, Stream};
use crate::shape::{FieldShape, Ids};

/// The ids of one field with their frequencies, ready to draw from.
#[derive(Debug)]
pub(crate) struct Popularity {
    /// The ids, most popular first.
    ids: Vec<u32>,
    /// Where each id's stretch of the line from 0 to 2^64 ends.
    ends: Vec<u64>,
    /// For each of equal parts of the line, the first id whose stretch ends beyond the part's beginning.
    guide: Vec<u32>,
    guide_shift: u32,
}

impl Popularity {
    /// The frequencies of a field that has `rows` rows where its counts were taken.
    ///
    /// Where the shape asks for it, which ids occur and which of them are popular is drawn by seed.
    pub(crate) fn new(field: &FieldShape, rows: u64, seed: u64, number: u64) -> Self {
        let counts = counts(field, rows);
        match field.ids {
            Ids::Drawn => {
                let ids = occurring(field, Draws::new(seed, Stream::Popularity).substream(number));
                Self::of(ids, &counts)
            }
            Ids::Ranked { missing, rare_rows } => {
                let (ids, counts) = ranked(counts, missing * rows as f64, rare_rows);
                Self::of(ids, &counts)
            }
        }
    }

    /// Frequencies in proportion to the counts of the ids.
    fn of(ids: Vec<u32>, counts: &[f64]) -> Self {
        let total = counts.iter().sum::<f64>();
        let mut sum = 0.0;
        let mut ends: Vec<u64> = counts
            .iter()
            .map(|count| {
                sum += count;
                (sum / total * 18_446_744_073_709_551_616.0) as u64
            })
            .collect();
        if let Some(last) = ends.last_mut() {
            *last = u64::MAX;
        }
        let bits = ids.len().next_power_of_two().trailing_zeros() + 1;
        let guide_shift = 64 - bits;
        let mut first = 0u32;
        let guide = (0..1u64 << bits)
            .map(|part| {
                while ends[first as usize] <= part << guide_shift && (first as usize) < ids.len() - 1 {
                    first += 1;
                }
                first
            })
            .collect();
        Self { ids, ends, guide, guide_shift }
    }

    /// The id whose stretch holds the point `value` of the line.
    pub(crate) fn id(&self, value: u64) -> u32 {
        let part = (value >> self.guide_shift) as usize;
        let low = self.guide[part] as usize;
        let high = self.guide.get(part + 1).map_or(self.ids.len() - 1, |first| *first as usize);
        let rank = low + self.ends[low..high].partition_point(|end| *end <= value);
        self.ids[rank]
    }
}

/// The points of the line that the rows of one field have.
#[derive(Debug)]
pub(crate) enum Points {
    /// Evenly spaced, in random rows.
    Spaced { order: Permutation, step: u64, start: u64 },
    /// Independent of each other.
    Independent(Draws),
}

impl Points {
    /// The points of a field: spaced where its ids are drawn, so that each occurs as often as it should, independent where
    /// they are ranked, as the impressions of a log are.
    pub(crate) fn new(ids: Ids, draws: Draws, rows: u64) -> Self {
        match ids {
            Ids::Drawn => Self::spaced(draws, rows),
            Ids::Ranked { .. } => Self::Independent(draws),
        }
    }

    /// Evenly spaced points for `rows` rows, at least one.
    fn spaced(draws: Draws, rows: u64) -> Self {
        let step = u64::MAX / rows;
        Self::Spaced { order: Permutation::new(draws.substream(0), rows), step, start: draws.below(0, step) }
    }

    /// The point of a row.
    pub(crate) fn of(&self, row: u64) -> u64 {
        match self {
            Self::Spaced { order, step, start } => order.place(row) * step + start,
            Self::Independent(draws) => draws.bits(row),
        }
    }
}

/// The expected count of each rank among `rows` rows; missing and rare values have no rank.
pub(crate) fn counts(field: &FieldShape, rows: u64) -> Vec<f64> {
    let n = f64::from(field.occurring);
    let weights: Vec<f64> = (0..field.occurring)
        .map(|rank| {
            let rank = f64::from(rank);
            libm::exp(field.tail * libm::log((n - rank) / n) - field.exponent * libm::log(rank + field.shift))
        })
        .collect();
    let others = match field.ids {
        Ids::Drawn => 0.0,
        Ids::Ranked { missing, rare_rows } => missing * rows as f64 + rare_rows,
    };
    let beyond_least = rows as f64 - others - field.least * n;
    let scale = beyond_least / weights.iter().sum::<f64>();
    weights.iter().map(|weight| field.least + scale * weight).collect()
}

/// Ids in the order of their counts, which fall, with the missing value among them and the rare ones at the end.
fn ranked(mut counts: Vec<f64>, missing: f64, rare: f64) -> (Vec<u32>, Vec<f64>) {
    if missing > 0.0 {
        counts.insert(counts.partition_point(|count| *count > missing), missing);
    }
    let mut ids = counts.len() as u32;
    if rare > 0.0 {
        counts.push(rare);
        ids += 1;
    }
    ((0..ids).collect(), counts)
}

/// The ids that occur, in the order of their popularity.
fn occurring(field: &FieldShape, draws: Draws) -> Vec<u32> {
    let mut wanted = u64::from(field.occurring) - 1;
    let last = field.dim - 1;
    let mut ids = Vec::with_capacity(field.occurring as usize);
    for id in 0..last {
        // Selection sampling, as in the split.
        if draws.below(u64::from(id), u64::from(last - id)) < wanted {
            wanted -= 1;
            ids.push(id);
        }
    }
    ids.push(last);
    for place in (1..ids.len()).rev() {
        let other = draws.below(u64::from(last) + place as u64, place as u64 + 1);
        ids.swap(place, other as usize);
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELD: FieldShape = FieldShape {
        name: "item",
        dim: 12,
        occurring: 8,
        least: 1.0,
        exponent: 0.7,
        shift: 0.5,
        tail: 1.0,
        bias_sd: 0.0,
        vector_sd: 0.0,
        ids: Ids::Drawn,
    };

    #[test]
    fn counts_add_up_and_fall_to_the_least() {
        let counts = counts(&FIELD, 1000);
        assert!((counts.iter().sum::<f64>() - 1000.0).abs() < 1e-9);
        assert!(counts.windows(2).all(|pair| pair[0] > pair[1]) && counts[7] > 1.0);
    }

    #[test]
    fn the_ids_that_occur_include_the_last() {
        for seed in 0..50 {
            let mut ids = occurring(&FIELD, Draws::new(seed, Stream::Popularity));
            ids.sort_unstable();
            ids.dedup();
            assert_eq!((ids.len(), ids[7]), (8, 11));
        }
    }

    #[test]
    fn ids_occur_as_often_as_their_weights_say() {
        let expected = counts(&FIELD, 1000);
        for seed in 0..20 {
            let popularity = Popularity::new(&FIELD, 1000, seed, 0);
            for rows in [1u32, 100, 1000, 12_345] {
                let points = Points::spaced(Draws::new(seed, Stream::Ids), u64::from(rows));
                let mut found = [0u32; 12];
                for row in 0..u64::from(rows) {
                    found[popularity.id(points.of(row)) as usize] += 1;
                }
                for (id, count) in popularity.ids.iter().zip(&expected) {
                    let expected = count * f64::from(rows) / 1000.0;
                    assert!(
                        (f64::from(found[*id as usize]) - expected).abs() < 1.0 + 1e-9,
                        "{expected} {found:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn ranked_ids_fall_in_count_with_rare_values_last() {
        let field = FieldShape { ids: Ids::Ranked { missing: 0.2, rare_rows: 300.0 }, dim: 10, ..FIELD };
        let popularity = Popularity::new(&field, 1000, 0, 0);
        assert_eq!(popularity.ids, (0..10).collect::<Vec<u32>>());
        let points = Points::spaced(Draws::new(0, Stream::Ids), 1000);
        let mut found = [0u32; 10];
        (0..1000).for_each(|row| found[popularity.id(points.of(row)) as usize] += 1);
        assert!(found[..9].windows(2).all(|pair| pair[0] + 1 >= pair[1]), "{found:?}");
        assert!(found[9].abs_diff(300) <= 1 && found[..9].iter().any(|n| n.abs_diff(200) <= 1), "{found:?}");
        let full = FieldShape { ids: Ids::Ranked { missing: 0.0, rare_rows: 0.0 }, ..field };
        assert_eq!(Popularity::new(&full, 1000, 0, 0).ids, (0..8).collect::<Vec<u32>>());
    }

    #[test]
    fn every_point_has_the_id_whose_stretch_holds_it() {
        let popularity = Popularity::new(&FIELD, 1000, 3, 0);
        let plain = |value: u64| {
            let rank =
                popularity.ends.iter().position(|end| value < *end).unwrap_or(popularity.ids.len() - 1);
            popularity.ids[rank]
        };
        let draws = Draws::new(1, Stream::Ids);
        let near_ends = popularity.ends.iter().flat_map(|end| [end - 1, *end, end.saturating_add(1)]);
        for value in (0..1000).map(|i| draws.bits(i)).chain(near_ends).chain([0, u64::MAX]) {
            assert_eq!(popularity.id(value), plain(value), "{value}");
        }
    }
}
