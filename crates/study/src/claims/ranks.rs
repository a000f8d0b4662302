//! Rank agreement over few models: Kendall's S within each data set, added over data sets, with its exact null distribution.

/// One model with two values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ranked {
    pub(crate) first: f64,
    pub(crate) second: f64,
}

/// How two orders agree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Agreement {
    /// Pairs that were compared.
    pub(crate) pairs: u64,
    /// Concordant less discordant pairs.
    pub(crate) lead: i64,
    /// Chance of a lead at least as far from 0 if all orders were equally likely.
    pub(crate) p: f64,
}

/// The agreement within strata; none where no stratum has two models.
///
/// Source: Kendall 1938; the numbers of permutations by discordant pairs are the Mahonian numbers. Ties count as neither, which
/// makes the test conservative.
pub(crate) fn concordance(strata: &[Vec<Ranked>]) -> Option<Agreement> {
    let (mut pairs, mut lead) = (0_u64, 0_i64);
    // Permutations of all strata by their number of discordant pairs.
    let mut ways = vec![1.0];
    for stratum in strata {
        for (place, a) in stratum.iter().enumerate() {
            for b in &stratum[..place] {
                pairs += 1;
                let sign = |a: f64, b: f64| i64::from(a > b) - i64::from(a < b);
                lead += sign(a.first, b.first) * sign(a.second, b.second);
            }
            // The next model may be put before any of those there.
            let mut after = vec![0.0; ways.len() + place];
            for (discordant, count) in ways.iter().enumerate() {
                for more in 0..=place {
                    after[discordant + more] += count;
                }
            }
            ways = after;
        }
    }
    if pairs == 0 {
        return None;
    }
    let all: f64 = ways.iter().sum();
    let far: f64 = ways
        .iter()
        .enumerate()
        .filter(|(discordant, _)| (pairs as i64 - 2 * *discordant as i64).abs() >= lead.abs())
        .map(|(_, count)| count)
        .sum();
    Some(Agreement { pairs, lead, p: far / all })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranked(seconds: &[f64]) -> Vec<Ranked> {
        seconds
            .iter()
            .zip(1..)
            .map(|(second, first)| Ranked { first: f64::from(first), second: *second })
            .collect()
    }

    #[test]
    fn four_models_in_the_same_order_are_two_of_24_permutations() {
        let found = concordance(&[ranked(&[1.0, 2.0, 3.0, 4.0])]).unwrap();
        assert_eq!((found.pairs, found.lead), (6, 6));
        assert!((found.p - 2.0 / 24.0).abs() < 1e-12);
        let found = concordance(&[ranked(&[4.0, 3.0, 2.0]), ranked(&[3.0, 2.0, 1.0])]).unwrap();
        assert_eq!((found.pairs, found.lead), (6, -6));
        assert!((found.p - 2.0 / 36.0).abs() < 1e-12);
        assert_eq!(concordance(&[Vec::new()]), None);
    }
}
