//! The shape of Criteo's `train.txt` after preparation by counts.
use crate::meta::IdRule;
use crate::shape::{FieldShape, Ids, Shape};

/// The least count of a value that has a row of its own.
const LEAST: f64 = 10.0;
/// 39 biases against 741 products of vectors: with these spreads the products have a quarter of the biases' variance.
const BIAS_SD: f64 = 1.0;
const VECTOR_SD: f64 = 0.115;

/// A field by its dim, the share of rows in which it is missing, the rows that have a rare value, and the exponent and
/// shift of its law of popularity.
const fn field(
    name: &'static str,
    dim: u32,
    missing: f64,
    rare_rows: f64,
    exponent: f64,
    shift: f64,
) -> FieldShape {
    // One row is for rare values, one for a missing value if there is one.
    let occurring = dim - 1 - (missing > 0.0) as u32;
    FieldShape {
        name,
        dim,
        occurring,
        least: LEAST,
        exponent,
        shift,
        tail: 0.0,
        bias_sd: BIAS_SD,
        vector_sd: VECTOR_SD,
        ids: Ids::Ranked { missing, rare_rows },
    }
}

/// Facts of `train.txt`: 45,840,617 rows, 11,745,438 clicks; the dims that values seen at least 10 times need, as published
/// for torchfm's preparation and summing to 1,086,810; the share of missing values in all rows.
///
/// Exponent and shift are solved so that the most frequent value has its share of a 1 % sample (of integers: of the first
/// 10,000 rows), and the ten most frequent ones their share of the first 10,000 rows, scaled likewise. I4, I8 and I13 have
/// heavier heads than the law allows at its bounds, C9, C17 and C20 have no more than ten values, of which the first has its
/// share. Rare values are those beyond the dim among the published distinct ones, one row each, which comes nearest to
/// the distinct values of a 1 % sample; of the integers, whose distinct values are not published, ten rows a field.
///
/// The fields are independent of each other, which those of the real file are not. The attainable AUC is near the best
/// published ones (0.814).
pub(crate) const CRITEO: Shape = Shape {
    name: "criteo",
    rows: 45_840_617,
    positive_rate: 11_745_438.0 / 45_840_617.0,
    attainable_auc: 0.81,
    id_rule: IdRule::Index,
    user_field: None,
    item_field: None,
    fields: &[
        field("I1", 49, 0.453_606, 10.0, 3.2707, 3.4272),
        field("I2", 101, 0.0, 10.0, 1.5032, 3.0521),
        field("I3", 126, 0.214_645, 10.0, 4.9016, 23.6626),
        field("I4", 45, 0.216_781, 10.0, 20.0225, 100.0),
        field("I5", 223, 0.025_809, 10.0, 0.708, 4.6872),
        field("I6", 118, 0.223_652, 10.0, 1.0048, 5.08),
        field("I7", 84, 0.043_256, 10.0, 2.5553, 5.4321),
        field("I8", 76, 0.000_497, 10.0, 13.5064, 100.0),
        field("I9", 95, 0.043_256, 10.0, 1.3563, 13.1106),
        field("I10", 9, 0.453_606, 10.0, 2.1808, 2.0),
        field("I11", 30, 0.043_256, 10.0, 11.2281, 22.9413),
        field("I12", 40, 0.765_078, 10.0, 1.6548, 0.4875),
        field("I13", 75, 0.216_781, 10.0, 17.9489, 100.0),
        field("C1", 1458, 0.0, 3.0, 1.992, 1.3763),
        field("C2", 555, 0.0, 29.0, 1.0362, 1.5578),
        field("C3", 193_949, 0.034_019, 9_937_279.0, 0.9457, 1.7197),
        field("C4", 138_801, 0.034_019, 2_063_808.0, 0.9013, 1.1009),
        field("C5", 306, 0.0, 0.0, 3.4287, 2.0871),
        field("C6", 19, 0.120_867, 6.0, 0.6037, 0.0793),
        field("C7", 11_970, 0.0, 548.0, 1.1175, 9.9494),
        field("C8", 634, 0.0, 0.0, 2.4744, 1.5696),
        field("C9", 4, 0.0, 0.0, 5.8076, 2.0),
        field("C10", 42_646, 0.0, 50_500.0, 0.7482, 0.0251),
        field("C11", 5178, 0.0, 506.0, 0.9756, 3.9487),
        field("C12", 192_773, 0.034_019, 8_158_821.0, 0.9411, 1.7708),
        field("C13", 3175, 0.0, 20.0, 1.0405, 5.5331),
        field("C14", 27, 0.0, 1.0, 5.1597, 9.6166),
        field("C15", 11_422, 0.0, 3571.0, 0.801, 3.2399),
        field("C16", 181_075, 0.034_019, 5_280_232.0, 0.9236, 1.729),
        field("C17", 11, 0.0, 0.0, 2.0633, 2.0),
        field("C18", 4654, 0.0, 999.0, 0.8023, 1.5734),
        field("C19", 2032, 0.440_065, 142.0, 0.9829, 0.0691),
        field("C20", 5, 0.440_065, 0.0, 0.0633, 2.0),
        field("C21", 189_657, 0.034_019, 6_856_891.0, 0.9342, 1.7634),
        field("C22", 18, 0.762_535, 1.0, 5.402, 5.0864),
        field("C23", 16, 0.0, 0.0, 2.671, 2.9942),
        field("C24", 59_697, 0.034_019, 226_485.0, 1.2169, 4.391),
        field("C25", 86, 0.440_065, 20.0, 1.3318, 1.5058),
        field("C26", 45_571, 0.440_065, 97_002.0, 1.0185, 1.3416),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dims_are_the_published_ones() {
        assert_eq!(CRITEO.fields.len(), 39);
        assert_eq!(CRITEO.fields.iter().map(|field| field.dim).sum::<u32>(), 1_086_810);
    }
}
