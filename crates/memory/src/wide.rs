//! Plain loops, compiled for the vectors that the processor has.
//!
//! Only the width differs: the operations, and so all results, are the same on every processor.

use std::sync::LazyLock;

use pulp::{Arch, Simd, WithSimd};

static ARCH: LazyLock<Arch> = LazyLock::new(Arch::new);

/// Work that is worth wide vectors: plain loops that the compiler turns into vector instructions.
///
/// [`run`](Self::run) and everything that it calls in its loops must be `#[inline(always)]`: what is not inlined keeps the instructions
/// of the baseline. Arithmetic is IEEE and is never contracted, so all instruction sets give the same bits.
pub trait Wide {
    /// What comes of it.
    type Output;
    /// Does the work.
    fn run(self) -> Self::Output;
}

struct Dispatched<W>(W);

impl<W: Wide> WithSimd for Dispatched<W> {
    type Output = W::Output;

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it must become part of the loop that is compiled for vectors")]
    fn with_simd<S: Simd>(self, _simd: S) -> W::Output {
        self.0.run()
    }
}

/// Does work with the widest vectors of this processor.
///
/// Example:
/// ```
/// struct Sum<'a>(&'a [u32]);
///
/// impl radhard_memory::Wide for Sum<'_> {
///     type Output = u32;
///     #[inline(always)]
///     fn run(self) -> u32 {
///         self.0.iter().sum()
///     }
/// }
///
/// assert_eq!(radhard_memory::widest(Sum(&[1, 2, 3])), 6);
/// ```
#[inline]
pub fn widest<W: Wide>(work: W) -> W::Output {
    ARCH.dispatch(Dispatched(work))
}
