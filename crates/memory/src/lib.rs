//! Access to the machine for all crates: mapped files, huge-page aligned buffers, wide vectors, how much memory there is, signals.
//!
//! `unsafe` are here the advice to use huge pages and about reads, holes of files, the allocator, signals, and the mapping of files: the
//! compiler cannot know that nobody truncates a file while it is mapped. radhard replaces its files by rename ([`write_atomically`],
//! [`replace`]), so a mapped file keeps its bytes; where another program cuts one, the process ends with an error that names it
//! ([`end_where_files_are_cut`]).
mod allocator;
mod atomic;
mod available;
mod buffer;
mod door;
mod logarithm;
mod mapped;
mod positioned;
mod reserve;
mod signals;
mod sparse;
mod wide;

pub use allocator::{Allocator, on_refusal};
pub use atomic::{
    can_write, followed, is_stream, remove_temporaries, replace, sync_directory, write_atomically,
};
pub use available::{TooLittleMemory, available_bytes, need};
pub use buffer::{Buffer, CACHE_LINE_BYTES, HUGE_PAGE_BYTES};
pub use door::{open_regular, open_stream, read_text, read_whole};
pub use logarithm::log;
pub use mapped::{MapError, Mapped, MappedMut};
pub use positioned::{LockError, Positioned, read_at, write_at};
pub use reserve::reserve;
pub use signals::{end_where_files_are_cut, ignore_hangup, ignores_hangup};
pub use sparse::{Advice, advise, copy_sparse};
pub use wide::{Wide, widest};
