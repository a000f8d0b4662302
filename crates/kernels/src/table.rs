//! Tables in the number formats that they are stored in, and what their words stand for.

/// The rows of a table `[V, D]`, row-major.
#[derive(Debug, Clone, Copy)]
pub enum Table<'a> {
    /// IEEE binary32.
    F32(&'a [f32]),
    /// The words of IEEE binary16.
    F16(&'a [u16]),
    /// The words of bfloat16: the upper halves of binary32.
    Bf16(&'a [u16]),
    /// A byte per value, a scale and a bias per row: fma(code, scale, bias).
    Int8Rowwise {
        /// The codes `[V, D]`.
        codes: &'a [u8],
        /// The scales `[V]`.
        scales: &'a [f32],
        /// The biases `[V]`.
        biases: &'a [f32],
    },
}

impl Table<'_> {
    /// Writes the values of one row of `out.len()` values.
    ///
    /// # Panics
    /// If the row is outside the table.
    pub fn row(self, row: usize, out: &mut [f32]) {
        let words = row * out.len()..(row + 1) * out.len();
        match self {
            Self::F32(table) => out.copy_from_slice(&table[words]),
            Self::F16(table) => convert(&table[words], out, crate::plain::f16),
            Self::Bf16(table) => convert(&table[words], out, crate::plain::bf16),
            Self::Int8Rowwise { codes, scales, biases } => {
                let (scale, bias) = (scales[row], biases[row]);
                convert(&codes[words], out, |code| crate::plain::dequantised(code, scale, bias));
            }
        }
    }
}

fn convert<T: Copy>(words: &[T], out: &mut [f32], value: impl Fn(T) -> f32) {
    for (out, &word) in out.iter_mut().zip(words) {
        *out = value(word);
    }
}
