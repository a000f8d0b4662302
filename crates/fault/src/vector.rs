//! Loops compiled for the widest vectors that the processor has.
//!
//! Only the width differs: the operations, and so all results, are the same on every processor.

use std::sync::LazyLock;

use pulp::{Arch, Simd, WithSimd};

static ARCH: LazyLock<Arch> = LazyLock::new(Arch::new);

/// A loop without calls, that compilers turn into vector code; `run` must be inlined always, and so must what it calls.
pub(crate) trait Loop {
    /// Runs the loop.
    fn run(self);
}

struct Dispatched<L>(L);

impl<L: Loop> WithSimd for Dispatched<L> {
    type Output = ();

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it must become part of the loop that is compiled for vectors")]
    fn with_simd<S: Simd>(self, _simd: S) {
        self.0.run();
    }
}

/// Runs a loop in a version for this processor.
#[inline]
pub(crate) fn vector(run: impl Loop) {
    ARCH.dispatch(Dispatched(run));
}
