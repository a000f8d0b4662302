//! What rooms need of the machine: mapped files, huge-page aligned buffers, wide vectors.
//!
//! `unsafe` are here the advice to use huge pages, and the mapping of files: the compiler cannot know that nobody truncates a file while
//! it is mapped. radhard replaces its files by rename ([`write_atomically`], [`edit_copy`]), so a mapped file keeps its bytes.
mod atomic;
mod buffer;
mod logarithm;
mod mapped;
mod reserve;
mod wide;

pub use atomic::{edit_copy, write_atomically};
pub use buffer::{Buffer, CACHE_LINE_BYTES, HUGE_PAGE_BYTES};
pub use logarithm::log;
pub use mapped::{MapError, Mapped, MappedMut};
pub use reserve::reserve;
pub use wide::{Wide, widest};
