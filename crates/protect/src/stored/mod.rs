//! Protections of stored words: shields, codes, copies, guards, checksums.

mod constant_bits;
mod gather;
mod hamming;
pub mod hsiao;
mod mset;
mod range_guard;
mod row_checksum;
mod sbp;
mod secded;
mod tmr;

pub use constant_bits::ConstantBits;
pub(crate) use gather::rows_read;
pub use gather::{GatherHooks, GatherReader, Lookups};
pub use mset::Mset;
pub use range_guard::{Bound, RangeGuard, Replacement};
pub use row_checksum::{Checksum, RowAction, RowChecksum};
pub use sbp::{BitChoice, Realisation, Sbp};
pub use secded::{OnDouble, Secded};
pub use tmr::Tmr;

use radhard_fault::{Component, Format, ParameterSpec};

use crate::protection::{Checked, SliceReader, Subject};

/// Said in every cost of a protection that reloads.
pub(crate) const CLEAN_COPY: &str = "the clean copy that is reloaded from";

/// Whether faults can strike in it: counters of batches are never exposed.
pub(crate) fn exposable(spec: &ParameterSpec) -> bool {
    spec.elements() > 0 && spec.name.rsplit('.').next() != Some("num_batches_tracked")
}

/// Rows of a table and words of a row; none for what is no table.
pub(crate) fn table_rows(spec: &ParameterSpec) -> Option<(u64, u64)> {
    let rows = *spec.shape.first()? as u64;
    (spec.component == Component::Embedding && spec.elements() > 0).then(|| (rows, spec.elements() / rows))
}

/// What is kept for a parameter: name with a suffix, as many words as given.
pub(crate) fn beside(spec: &ParameterSpec, suffix: &str, shape: Vec<usize>, format: Format) -> ParameterSpec {
    ParameterSpec { name: format!("{}#{suffix}", spec.name), shape, format, component: spec.component }
}

/// A reader that makes one check a word.
pub(crate) fn each_word(mut read: impl FnMut(usize, u32) -> (u32, bool) + Send + 'static) -> SliceReader {
    Box::new(move |words| {
        let mut fired = 0;
        for (place, word) in words.iter_mut().enumerate() {
            let (read, bad) = read(place, *word);
            *word = read;
            fired += u64::from(bad);
        }
        Checked { checks: words.len() as u64, fired }
    })
}

/// Sum over parameters of the words looked up per scored row, each weighed.
pub(crate) fn per_sample(subject: &Subject<'_>, weight: impl Fn(&ParameterSpec) -> f64) -> f64 {
    let specs = subject.parameters.specs();
    specs.iter().zip(subject.looked_up).map(|(spec, words)| words * weight(spec)).sum()
}
