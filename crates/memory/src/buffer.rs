//! Zeroed memory for tables and rows, on cache-line boundaries and in huge pages where that pays.
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::panic::panic_any;

use bytemuck::Pod;
use memmap2::MmapMut;

use crate::available::{TooLittleMemory, need};

/// The alignment of every buffer.
pub const CACHE_LINE_BYTES: usize = 64;

/// From this size on a buffer is an anonymous map on a huge-page boundary, with the advice to use huge pages.
pub const HUGE_PAGE_BYTES: usize = 2 << 20;

enum Memory {
    Heap(Vec<u8>),
    Map(MmapMut),
}

/// A slice of plain values of fixed length, zeroed when made, aligned to [`CACHE_LINE_BYTES`].
///
/// Example:
/// ```
/// let mut buffer = radhard_memory::Buffer::<f32>::zeroed(3);
/// buffer[1] = 0.5;
/// assert_eq!(&buffer[..], [0.0, 0.5, 0.0]);
/// ```
pub struct Buffer<T: Pod> {
    memory: Memory,
    start: usize,
    bytes: usize,
    element: PhantomData<T>,
}

impl<T: Pod> Buffer<T> {
    /// `len` zeros.
    ///
    /// Panics: when the system has no such memory, with [`TooLittleMemory`] as what the panic carries. Whoever has a size from a file or
    /// a flag asks [`need`] first.
    pub fn zeroed(len: usize) -> Self {
        const { assert!(align_of::<T>() <= CACHE_LINE_BYTES, "the element needs a larger alignment") }
        let bytes = bytes_of::<T>(len);
        if bytes >= HUGE_PAGE_BYTES { Self::mapped(bytes) } else { Self::on_heap(bytes) }
    }

    /// A copy of `values`.
    pub fn from_slice(values: &[T]) -> Self {
        let mut buffer = Self::zeroed(values.len());
        buffer.copy_from_slice(values);
        buffer
    }

    fn on_heap(bytes: usize) -> Self {
        let heap = vec![0u8; bytes + CACHE_LINE_BYTES - 1];
        let start = heap.as_ptr().align_offset(CACHE_LINE_BYTES);
        Self { memory: Memory::Heap(heap), start, bytes, element: PhantomData }
    }

    fn mapped(bytes: usize) -> Self {
        // One huge page more than needed, so that the buffer can start on a boundary; untouched pages cost nothing.
        let map = match need(bytes as u64).map(|()| MmapMut::map_anon(bytes + HUGE_PAGE_BYTES)) {
            Ok(Ok(map)) => map,
            Ok(Err(_)) => panic_any(TooLittleMemory::refused(bytes as u64)),
            Err(too_little) => panic_any(too_little),
        };
        let start = map.as_ptr().align_offset(HUGE_PAGE_BYTES);
        // Whole huge pages only: the rest, most of which would be empty, comes in small ones. Advice may be refused (kernels
        // without huge pages); the buffer is right without it.
        #[cfg(target_os = "linux")]
        let _ = map.advise_range(memmap2::Advice::HugePage, start, bytes / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES);
        Self { memory: Memory::Map(map), start, bytes, element: PhantomData }
    }
}

fn bytes_of<T>(len: usize) -> usize {
    match len.checked_mul(size_of::<T>()) {
        Some(bytes) if bytes <= isize::MAX as usize - 2 * HUGE_PAGE_BYTES => bytes,
        _ => panic_any(TooLittleMemory::refused(len.saturating_mul(size_of::<T>()) as u64)),
    }
}

impl<T: Pod> Deref for Buffer<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        let all: &[u8] = match &self.memory {
            Memory::Heap(heap) => heap,
            Memory::Map(map) => map,
        };
        bytemuck::cast_slice(&all[self.start..self.start + self.bytes])
    }
}

impl<T: Pod> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        let all: &mut [u8] = match &mut self.memory {
            Memory::Heap(heap) => heap,
            Memory::Map(map) => map,
        };
        bytemuck::cast_slice_mut(&mut all[self.start..self.start + self.bytes])
    }
}

impl<T: Pod> Clone for Buffer<T> {
    fn clone(&self) -> Self {
        Self::from_slice(self)
    }
}

impl<T: Pod> Default for Buffer<T> {
    fn default() -> Self {
        Self::zeroed(0)
    }
}

impl<T: Pod + fmt::Debug> fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<T: Pod + PartialEq> PartialEq for Buffer<T> {
    fn eq(&self, other: &Self) -> bool {
        self[..] == other[..]
    }
}

impl<T: Pod> FromIterator<T> for Buffer<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Self::from_slice(&values.into_iter().collect::<Vec<T>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_of_every_size_are_zeroed_and_aligned() {
        for len in
            [0, 1, 63, 64, 1000, (HUGE_PAGE_BYTES - 4) / 4, HUGE_PAGE_BYTES / 4, 3 * HUGE_PAGE_BYTES / 4 + 1]
        {
            let buffer = Buffer::<f32>::zeroed(len);
            assert_eq!(buffer.len(), len);
            assert!(buffer.iter().all(|v| v.to_bits() == 0));
            assert_eq!(buffer.as_ptr() as usize % CACHE_LINE_BYTES, 0, "{len}");
            if len * 4 >= HUGE_PAGE_BYTES {
                assert_eq!(buffer.as_ptr() as usize % HUGE_PAGE_BYTES, 0, "{len}");
            }
        }
    }

    #[test]
    fn a_moved_buffer_keeps_its_values_and_alignment() {
        let mut buffer = Buffer::<u64>::from_slice(&[1, 2, 3]);
        buffer[2] = 9;
        let moved = [buffer];
        assert_eq!(&moved[0][..], [1, 2, 9]);
        assert_eq!(moved[0].as_ptr() as usize % CACHE_LINE_BYTES, 0);
    }

    #[test]
    fn a_clone_is_apart_from_its_source() {
        for len in [5, HUGE_PAGE_BYTES] {
            let source: Buffer<u8> = (0..len).map(|i| (i % 251) as u8).collect();
            let mut clone = source.clone();
            assert_eq!(clone, source);
            clone[4] = 200;
            assert_eq!(source[4], 4);
        }
    }

    #[test]
    fn a_length_that_no_memory_holds_is_told_in_bytes() {
        for (length, bytes) in [(usize::MAX / 2, u64::MAX), (1 << 50, 1 << 52)] {
            let panic = std::panic::catch_unwind(|| Buffer::<f32>::zeroed(length)).unwrap_err();
            let TooLittleMemory { needed, there } = panic.downcast_ref().unwrap();
            assert!(*needed == bytes && there < needed, "{needed} {there}");
        }
    }
}
