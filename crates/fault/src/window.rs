//! Flips where hits are dense: all bands side by side, one window of sites after another, in a bitmap that stays in cache.
//!
//! The same flips as merging the bands' lists, which is the plain way and their reference; here no list is longer than a
//! chunk, a bit that two bands hit is one bit of the map by itself, and the masks of words come out ready.

use crate::band::{Band, BandPurposes, CHUNK};
use crate::{ExposedParameter, StreamKey};

/// Sites of a window.
const SITES: u64 = 1 << 17;

/// 64-bit words of its bitmap.
const WORDS: usize = (SITES / 64) as usize;

/// Draws windows; keeps its buffers from draw to draw.
#[derive(Clone, Debug)]
pub(crate) struct Windows {
    bitmap: Box<[u64; WORDS]>,
    /// Bit i is set if word i of the bitmap is not zero.
    touched: [u64; WORDS / 64],
    cursors: Vec<Cursor>,
}

/// The hits of one band, drawn a chunk at a time.
#[derive(Clone, Debug)]
struct Cursor {
    band: Band,
    sites: [u64; CHUNK],
    /// Place of the first site that is not taken yet.
    at: usize,
    /// Number of sites in the chunk.
    len: usize,
    /// First site that the next chunk may hit.
    next: u64,
    /// Hits drawn in all chunks so far, those cut off included.
    drawn: u64,
}

impl Default for Windows {
    fn default() -> Self {
        Self { bitmap: Box::new([0; WORDS]), touched: [0; WORDS / 64], cursors: Vec::new() }
    }
}

impl Windows {
    /// Appends the words with exposed bits that `bands`, cut at p, or the sorted sites of `others` hit.
    pub(crate) fn flips(
        &mut self,
        (key, purposes): (&StreamKey, BandPurposes),
        exposed: &ExposedParameter,
        (bands, p): (&[Band], f64),
        others: &[u64],
        mut push: impl FnMut(u64, u64),
    ) {
        self.cursors.clear();
        self.cursors.extend(bands.iter().map(|&band| Cursor::new(band)));
        let sites = exposed.sites();
        let mut others = others.iter().copied().peekable();
        for start in (0..sites).step_by(SITES as usize) {
            let end = sites.min(start + SITES);
            while let Some(site) = others.next_if(|&site| site < end) {
                set(&mut self.bitmap, &mut self.touched, site - start);
            }
            let Self { bitmap, touched, cursors } = self;
            for cursor in cursors {
                loop {
                    while let Some(&site) = cursor.sites[..cursor.len].get(cursor.at)
                        && site < end
                    {
                        set(bitmap, touched, site - start);
                        cursor.at += 1;
                    }
                    if cursor.at < cursor.len || cursor.next >= end {
                        break;
                    }
                    cursor.refill(key, purposes, p);
                }
            }
            self.empty(start, exposed, &mut push);
        }
    }

    /// Bytes that the buffers hold.
    pub(crate) fn allocated_bytes(&self) -> usize {
        size_of_val(&*self.bitmap) + self.cursors.capacity() * size_of::<Cursor>()
    }

    /// Reports the words of the window that starts at this site, and clears the bitmap.
    fn empty(&mut self, start: u64, exposed: &ExposedParameter, push: &mut impl FnMut(u64, u64)) {
        let (log2, word_mask) = (exposed.format.bits_log2(), exposed.format.word_mask());
        for (group, touched) in self.touched.iter_mut().enumerate() {
            while *touched != 0 {
                let place = group * 64 + touched.trailing_zeros() as usize;
                *touched &= *touched - 1;
                let mut bits = std::mem::take(&mut self.bitmap[place]);
                let first = (start + 64 * place as u64) >> log2;
                while bits != 0 {
                    let shift = bits.trailing_zeros() >> log2 << log2;
                    let mask = bits >> shift & exposed.mask;
                    if mask != 0 {
                        push(first + u64::from(shift >> log2), mask);
                    }
                    bits &= !(word_mask << shift);
                }
            }
        }
    }
}

/// Marks a site of the window in its bitmap.
#[inline]
fn set(bitmap: &mut [u64; WORDS], touched: &mut [u64; WORDS / 64], place: u64) {
    let word = (place / 64) as usize % WORDS;
    bitmap[word] |= 1 << (place % 64);
    touched[word / 64] |= 1 << (word % 64);
}

impl Cursor {
    fn new(band: Band) -> Self {
        Self { band, sites: [0; CHUNK], at: 0, len: 0, next: 0, drawn: 0 }
    }

    fn refill(&mut self, key: &StreamKey, purposes: BandPurposes, p: f64) {
        self.next = self.band.chunk(key, purposes.gaps, self.drawn, self.next, &mut self.sites);
        self.at = 0;
        self.len = CHUNK;
        if self.band.hi > p {
            self.len = self.band.keep_below(p, key, purposes.marks, self.drawn, &mut self.sites);
        }
        self.drawn += CHUNK as u64;
    }
}
