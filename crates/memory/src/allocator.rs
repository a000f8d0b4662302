//! The system's allocator, with a word to the user where it has no memory left.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::OnceLock;

/// The action where the system refuses memory, given how many bytes were wanted; it ends the process.
static REFUSED: OnceLock<fn(u64) -> !> = OnceLock::new();

/// The system's allocator. Where it refuses, what [`on_refusal`] was given is called in place of the abort that Rust ends with.
///
/// Sizes that come from files and flags are asked for before ([`need`](crate::need)); this is for what nobody foresaw.
#[derive(Debug, Clone, Copy, Default)]
pub struct Allocator;

/// Sets what is done where the system refuses memory; the first call counts.
pub fn on_refusal(end: fn(u64) -> !) {
    let _ = REFUSED.set(end);
}

#[cold]
fn refused(bytes: usize) {
    if let Some(end) = REFUSED.get() {
        end(bytes as u64);
    }
}

// SAFETY: every call is handed on to the system's allocator as it came, and its answer is given back; a null pointer is
// looked at only, and the contract allows not to return.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract of `alloc`, which is the system's.
        let memory = unsafe { System.alloc(layout) };
        if memory.is_null() {
            refused(layout.size());
        }
        memory
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as for `alloc`.
        let memory = unsafe { System.alloc_zeroed(layout) };
        if memory.is_null() {
            refused(layout.size());
        }
        memory
    }

    #[inline]
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as for `alloc`: the memory is the system's, since all of it comes from there.
        let grown = unsafe { System.realloc(memory, layout, size) };
        if grown.is_null() {
            refused(size);
        }
        grown
    }

    #[inline]
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as for `alloc`: the memory is the system's, since all of it comes from there.
        unsafe { System.dealloc(memory, layout) }
    }
}
