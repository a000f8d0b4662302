//! Mapped files and huge-page aligned buffers.
//!
//! The only `unsafe` here is the mapping of files: the compiler cannot know that nobody truncates a file while
//! it is mapped. radhard replaces its files by rename ([`write_atomically`], [`edit_copy`]), so a mapped file keeps its bytes.
mod atomic;
mod buffer;
mod mapped;

pub use atomic::{edit_copy, write_atomically};
pub use buffer::{Buffer, CACHE_LINE_BYTES, HUGE_PAGE_BYTES};
pub use mapped::{MapError, Mapped, MappedMut};
