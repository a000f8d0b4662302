//! Which instruction set serves: found once, forced only by tests and benchmarks.

use std::sync::OnceLock;

/// An implementation of the kernels; all give the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Path {
    /// Plain arrays, for any processor; on aarch64 they are compiled to NEON, which every such processor has.
    Portable,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// x86-64 with AVX-512 (F, BW, DQ, VL).
    Avx512,
}

impl Path {
    /// The paths that this processor can take, slowest first.
    pub fn available() -> &'static [Path] {
        static FOUND: OnceLock<Vec<Path>> = OnceLock::new();
        FOUND.get_or_init(|| {
            [Path::Portable, Path::Avx2, Path::Avx512].into_iter().filter(|p| p.runs()).collect()
        })
    }

    #[cfg(target_arch = "x86_64")]
    fn runs(self) -> bool {
        let avx2 = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("popcnt");
        match self {
            Self::Portable => true,
            Self::Avx2 => avx2,
            Self::Avx512 => {
                avx2 && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn runs(self) -> bool {
        self == Self::Portable
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        })
    }
}

/// The kernels, on a path that this processor has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernels {
    path: Path,
}

impl Kernels {
    /// The fastest path of this processor.
    pub fn detected() -> Self {
        Self { path: Path::available().last().copied().unwrap_or(Path::Portable) }
    }

    /// A given path, or `None` where the processor lacks it.
    pub fn on(path: Path) -> Option<Self> {
        Path::available().contains(&path).then_some(Self { path })
    }

    /// The path taken.
    pub fn path(self) -> Path {
        self.path
    }
}

/// Declares methods of [`Kernels`] that run a generic function over lanes on the chosen path.
macro_rules! kernels {
    ($( $(#[$doc:meta])* $visible:vis fn $name:ident ( $($arg:ident : $ty:ty),* $(,)? ) = $body:ident; )*) => {
        impl crate::Kernels {
            $(
                $(#[$doc])*
                $visible fn $name(self, $($arg: $ty),*) {
                    #[cfg(target_arch = "x86_64")]
                    {
                        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,popcnt")]
                        fn avx512($($arg: $ty),*) {
                            $body::<crate::lanes::Avx512>($($arg),*);
                        }
                        #[target_feature(enable = "avx2,fma,popcnt")]
                        fn avx2($($arg: $ty),*) {
                            $body::<crate::lanes::Avx2>($($arg),*);
                        }
                        match self.path() {
                            // SAFETY: a `Kernels` holds a path that the processor was found to have.
                            crate::Path::Avx512 => return unsafe { avx512($($arg),*) },
                            // SAFETY: as above.
                            crate::Path::Avx2 => return unsafe { avx2($($arg),*) },
                            crate::Path::Portable => {}
                        }
                    }
                    $body::<crate::lanes::Portable>($($arg),*);
                }
            )*
        }
    };
}
