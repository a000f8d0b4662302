//! The shapes of the data sets that stand-ins are drawn for: one line of [`SHAPES`] each.
use crate::UnknownWord;
use crate::criteo_shape::CRITEO;
use crate::meta::IdRule;

/// Which ids of a field occur, and which of them are popular.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Ids {
    /// Drawn by seed; the last id always occurs.
    Drawn,
    /// In the order of their popularity, the most popular first, as a preparation by counts gives them: a missing value
    /// has its own id among them, values too rare for one share the last id.
    Ranked {
        /// Share of rows in which the value is missing.
        missing: f64,
        /// Rows of the real file that have a rare value.
        rare_rows: f64,
    },
}

/// One field of a shape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FieldShape {
    /// Its name.
    pub name: &'static str,
    /// Rows of its table, ids that never occur included.
    pub dim: u32,
    /// Ids that occur and follow the law of popularity.
    pub occurring: u32,
    /// The least expected count of an id that occurs, at the rows of the real file.
    pub least: f64,
    /// s of the weight ((n - r)/n)^b · (r + q)^-s of rank r among the n ids that occur.
    pub exponent: f64,
    /// q of that weight.
    pub shift: f64,
    /// b of that weight.
    pub tail: f64,
    /// Spread of the planted biases, before the common scale.
    pub bias_sd: f64,
    /// Spread of the planted products with this field's vectors, before the common scale.
    pub vector_sd: f64,
    /// Which ids occur.
    pub ids: Ids,
}

/// What a stand-in imitates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// Its name, that of the data set it stands in for.
    pub name: &'static str,
    /// Rows of the real file.
    pub rows: u64,
    /// Share of positives of the real file.
    pub positive_rate: f64,
    /// The expected AUC of the planted probability.
    pub attainable_auc: f64,
    /// How the ids of the real file become rows.
    pub id_rule: IdRule,
    /// The field that names the user.
    pub user_field: Option<usize>,
    /// The field that names the item.
    pub item_field: Option<usize>,
    /// Its fields.
    pub fields: &'static [FieldShape],
}

/// Every shape that can be drawn.
pub const SHAPES: [&Shape; 4] = [&MOVIELENS_1M, &MOVIELENS_20M, &MOVIELENS_100K, &CRITEO];

impl Shape {
    /// The shape called `name`.
    pub fn named(name: &str) -> Result<&'static Self, UnknownWord> {
        SHAPES.into_iter().find(|shape| shape.name == name).ok_or_else(|| UnknownWord {
            value: name.to_owned(),
            expected: "a shape: movielens-1m, movielens-20m, movielens-100k or criteo",
        })
    }
}

/// Facts of `ratings.dat`: 1,000,209 ratings, 575,281 above 3; 6,040 users with 20 to 2,314 ratings, median 96, 90th
/// percentile 400, Gini 0.529; 3,706 of 3,952 items with 1 to 3,428, median 123.5, 90th percentile 729.5, Gini 0.634, 446
/// of them with fewer than 10. The laws of popularity are fitted to these by least squares of logarithms.
///
/// The ratio of biases and vectors gives users and items (of at least 20 ratings) the real spreads of their shares of
/// positives, 0.167 and 0.220, about. The attainable AUC lies between that of user and item biases alone on the real data
/// (0.782) and that of the best published models.
const MOVIELENS_1M: Shape = Shape {
    name: "movielens-1m",
    rows: 1_000_209,
    positive_rate: 575_281.0 / 1_000_209.0,
    attainable_auc: 0.81,
    id_rule: IdRule::OneBased,
    user_field: Some(0),
    item_field: Some(1),
    fields: &[
        FieldShape {
            name: "userId",
            dim: 6040,
            occurring: 6040,
            least: 20.0,
            exponent: 0.2319,
            shift: 0.703,
            tail: 2.0988,
            bias_sd: 0.75,
            vector_sd: 0.6,
            ids: Ids::Drawn,
        },
        FieldShape {
            name: "movieId",
            dim: 3952,
            occurring: 3706,
            least: 1.0,
            exponent: 0.4686,
            shift: 19.118,
            tail: 1.6904,
            bias_sd: 0.95,
            vector_sd: 0.6,
            ids: Ids::Drawn,
        },
    ],
};

/// Facts of the 20M `ratings.csv`: 20,000,263 ratings, 60.977 % above 3; 138,493 users with 20 to 9,254 ratings, median 68;
/// 26,744 items of ids up to 131,262 with 1 to 67,310, median 18, Gini 0.903. Planted model as [`MOVIELENS_1M`].
const MOVIELENS_20M: Shape = Shape {
    name: "movielens-20m",
    rows: 20_000_263,
    positive_rate: 0.609_77,
    attainable_auc: 0.82,
    id_rule: IdRule::OneBased,
    user_field: Some(0),
    item_field: Some(1),
    fields: &[
        FieldShape {
            name: "userId",
            dim: 138_493,
            occurring: 138_493,
            least: 20.0,
            exponent: 0.6792,
            shift: 83.394,
            tail: 1.0,
            bias_sd: 0.75,
            vector_sd: 0.6,
            ids: Ids::Drawn,
        },
        FieldShape {
            name: "movieId",
            dim: 131_262,
            occurring: 26_744,
            least: 1.0,
            exponent: 0.9137,
            shift: 64.459,
            tail: 4.9131,
            bias_sd: 0.95,
            vector_sd: 0.6,
            ids: Ids::Drawn,
        },
    ],
};

/// Facts of `u.data`: 100,000 ratings, 55.375 % above 3; 943 users with 20 to 737 ratings, median 65; 1,682 items with 1 to
/// 583, median 27, Gini 0.629. Planted model as [`MOVIELENS_1M`].
const MOVIELENS_100K: Shape = Shape {
    name: "movielens-100k",
    rows: 100_000,
    positive_rate: 0.553_75,
    attainable_auc: 0.80,
    id_rule: IdRule::OneBased,
    user_field: Some(0),
    item_field: Some(1),
    fields: &[
        FieldShape {
            name: "userId",
            dim: 943,
            occurring: 943,
            least: 20.0,
            exponent: 0.8518,
            shift: 32.963,
            tail: 0.6436,
            bias_sd: 0.75,
            vector_sd: 0.6,
            ids: Ids::Drawn,
        },
        FieldShape {
            name: "movieId",
            dim: 1682,
            occurring: 1682,
            least: 1.0,
            exponent: 0.6393,
            shift: 31.658,
            tail: 1.4271,
            bias_sd: 0.95,
            vector_sd: 0.6,
            ids: Ids::Drawn,
        },
    ],
};
