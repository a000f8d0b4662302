//! Room in vectors, in huge pages where that pays.

use bytemuck::Pod;

/// Gives a vector room for `len` values in all, with the advice to use huge pages for what was not touched yet.
///
/// A vector of some megabytes that is read in no order loses much of its time to page tables otherwise. What the vector holds, and its
/// length, stay. Systems without such advice give room alone.
pub fn reserve<T: Pod>(values: &mut Vec<T>, len: usize) {
    if len <= values.capacity() {
        return;
    }
    values.reserve_exact(len - values.len());
    #[cfg(target_os = "linux")]
    advise(values);
}

/// Asks for huge pages in the room of a vector; a refusal changes nothing.
#[cfg(target_os = "linux")]
fn advise<T: Pod>(values: &mut Vec<T>) {
    use crate::buffer::HUGE_PAGE_BYTES;
    // Ends are left out: pages there may be shared with other allocations.
    let start = (values.as_ptr() as usize).next_multiple_of(HUGE_PAGE_BYTES);
    let end = values.as_ptr() as usize + values.capacity() * size_of::<T>();
    let bytes = end.saturating_sub(start) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
    if bytes > 0 {
        // SAFETY: the range lies in the vector's own allocation, on page boundaries, and this advice changes no byte of it.
        unsafe { libc::madvise(start as *mut libc::c_void, bytes, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_and_room_is_there() {
        for len in [0, 5, 1 << 20, 3 << 20] {
            let mut values = vec![1_u32, 2, 3];
            reserve(&mut values, len);
            assert_eq!(values, [1, 2, 3]);
            assert!(values.capacity() >= len);
            let before = values.as_ptr();
            values.resize(len.max(3), 7);
            assert_eq!(values.as_ptr(), before, "{len}: it moved");
            assert_eq!(values[..3], [1, 2, 3]);
        }
    }
}
