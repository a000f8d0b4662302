//! Plain loops, compiled for the vectors that the processor has.

/// Work that is worth wide vectors: plain code that the compiler turns into vector instructions.
///
/// [`run`](Self::run) and everything that it calls in its loops must be `#[inline(always)]`: what is not inlined keeps the instructions
/// of the baseline. Arithmetic is IEEE and is never contracted, so all instruction sets give the same bits.
pub trait Wide {
    /// What comes of it.
    type Output;
    /// Does the work.
    fn run(self) -> Self::Output;
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
pub fn widest<W: Wide>(work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2")]
        fn avx512<W: Wide>(work: W) -> W::Output {
            work.run()
        }
        #[target_feature(enable = "avx2")]
        fn avx2<W: Wide>(work: W) -> W::Output {
            work.run()
        }
        if is_x86_feature_detected!("avx2") {
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl")
            {
                // SAFETY: the processor was found to have all features that the function enables.
                return unsafe { avx512(work) };
            }
            // SAFETY: as above.
            return unsafe { avx2(work) };
        }
    }
    work.run()
}
