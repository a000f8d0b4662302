//! Numeric kernels on slices: gather, linear layers, interactions, normalisation, sigmoid, Adam.
//!
//! Every kernel exists once as plain code for one data row (module [`plain`]), which defines the bits, and once over
//! *lanes*: a block keeps its values feature-major, so that 16 data rows share one vector and each row meets the
//! plain code's operations in the plain code's order. The result of a row therefore depends on neither the
//! instruction set, nor the block, nor the neighbours.
//!
//! Letters of shapes: R rows of a block (a multiple of 16), G = R / 16 lane groups, F fields, D embedding width,
//! K inputs and J outputs of a layer. A feature-major value `[K, R]` is a `&[Lane]` of K · G lanes.
//!
//! # Numeric contract
//!
//! All arithmetic is IEEE binary32, rounded to nearest, subnormals kept; `fma` rounds once.
//!
//! - *Table rows*: f16 and bf16 words are converted exactly, a quantised byte is fma(code, scale, bias).
//! - *Tree* of n values: the left part is the largest power of two below n, `tree(left) + tree(right)`; in other
//!   words neighbours are added pair by pair, a last odd one moves up a level.
//! - *Sum over fields*: the tree of the fields.
//! - *Sum over a dimension*: 16 virtual lanes, lane l adds the elements l, l + 16, l + 32 … in this order; then the
//!   tree of the min(n, 16) lanes.
//! - *Field layer* (a linear layer that reads the concatenated embedding rows): per field an fma chain over the
//!   embedding dimension from +0, the tree over fields, then the bias.
//! - *Sum over a bag* of table rows: per dimension the rows in their order, from +0.
//! - *Linear layer*: one fma chain from +0 per block of 256 inputs, the blocks added in order, then the bias.
//! - *Batch norm*: α = w · (1 / √(var + ε)), β = b − mean · α, y = fma(α, x, β).
//! - *Factorisation machine*: per dimension s = tree of v, q = tree of v · v, t = s · s − q; ½ times the sum over
//!   the dimensions of t.
//! - *Cross layer*: fma(x0, s, b) + x.
//! - *Softmax*: exp(x − max), each divided by the sum over the dimension; *attention*: per dimension the sum over
//!   pairs of a · (v_i · v_j), the inner product rounded first.
//! - *Dot interaction*: one fma chain from +0 over the embedding dimension.
//! - *Rectifier*: x ≤ 0 gives +0, everything else (NaN too) passes.
//! - *exp*: [`plain::exp`]; *sigmoid*: 1 / (1 + exp(−x)).
//!
//! The payload and sign of a NaN are not part of the contract; stored scores carry 0x7fc00000.
#![expect(
    clippy::inline_always,
    reason = "a generic body takes the instruction set of the function that it is inlined into"
)]
#![expect(
    clippy::needless_range_loop,
    reason = "loops over the constant extents of register tiles index several arrays"
)]

#[macro_use]
mod dispatch;
mod adam;
mod answer;
mod attention;
mod bag;
mod batch_norm;
mod check;
mod column;
mod cross;
mod dropout;
mod exp;
mod factorisation;
mod finish;
mod gather;
mod held;
mod hidden;
mod id;
mod int8;
mod lanes;
mod leaves;
mod linear;
mod look_up;
mod loss;
pub mod plain;
mod products;
mod reading;
mod resumed;
mod row_step;
mod split;
mod table;
mod through;
mod words;

pub use adam::AdamStep;
pub use answer::{Answered, Answers};
pub use attention::{Affine, KnownScores, ScorePlaces};
pub use check::{Bounds, LinearSums, LinearTotals, LookupSums, Outside, WideLane};
pub use column::Clearing;
pub use dispatch::{Kernels, Path};
pub use dropout::Mask;
pub use finish::{Finish, Nans, STAGES};
pub use held::Held;
pub use id::{GlobalId, TableRow};
pub use int8::{CHECK_MODULUS, CHECKED_INPUTS, int8_checksums, int8_row_agrees};
pub use lanes::{LANES, Lane};
pub use linear::Ending;
pub use look_up::{Behind, Joined, LookUps, RowIds, Sums, TwoValues};
pub use reading::Limits;
pub use row_step::{RowGradients, RowSlopes};
pub use table::Table;
pub use through::{CROSSES, Crosses, Order, PIECE};

/// Version of the numeric contract above; it changes when any score may change a bit.
pub const NUMERIC_CONTRACT: u32 = 1;
