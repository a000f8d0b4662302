//! Arrivals: which sites of a parameter a chip hits below a rate.

use crate::band::{BANDS, BITS, Band, BandPurposes, WORDS};
use crate::window::Windows;
use crate::{BitErrorRate, Chip, ExposedParameter, StreamKey};

/// Rates from here on are drawn window by window.
const DENSE: f64 = 1.0 / 8192.0;

/// Parameters with so many expected hits are.
const MANY: f64 = 1024.0;

/// A site and its arrival value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arrival {
    /// The bit in storage order, or the element.
    pub site: u64,
    /// Where in [0, 1) it arrives.
    pub value: f64,
}

/// Draws arrivals; keeps its buffers from draw to draw.
///
/// Numerics: the count of sites below p is Binomial(sites, p), see the crate's Precision. Work is O(sites · p), and
/// O(sites) above p = 1/2.
#[derive(Clone, Debug)]
pub struct Arrivals {
    bands: [Band; BANDS],
    sites: Vec<u64>,
    cut: Vec<u64>,
    hits: Vec<u64>,
    spare: Vec<u64>,
    windows: Windows,
}

impl Default for Arrivals {
    fn default() -> Self {
        let [sites, cut, hits, spare] = [const { Vec::new() }; 4];
        Self { bands: Band::all(), sites, cut, hits, spare, windows: Windows::default() }
    }
}

impl Arrivals {
    /// The bits of a parameter, exposed or not, that arrive below the rate, in storage order.
    pub fn bits_below(&mut self, chip: Chip, parameter: &ExposedParameter, rate: BitErrorRate) -> &[u64] {
        self.below(&chip.key(parameter), BITS, parameter.sites(), rate)
    }

    /// The elements of a parameter that arrive as words below the rate, in order.
    pub fn words_below(&mut self, chip: Chip, parameter: &ExposedParameter, rate: BitErrorRate) -> &[u64] {
        self.below(&chip.key(parameter), WORDS, parameter.elements, rate)
    }

    /// Calls `push` with each element that has exposed bits arriving below the rate, in order, and those bits.
    pub(crate) fn flips_below(
        &mut self,
        chip: Chip,
        exposed: &ExposedParameter,
        rate: BitErrorRate,
        push: impl FnMut(u64, u64),
    ) {
        let (key, p) = (chip.key(exposed), rate.get());
        if p >= DENSE && p * exposed.sites() as f64 >= MANY {
            let lowest = self.bands.partition_point(Band::rare);
            let rare = BitErrorRate::new(self.bands[lowest].lo).unwrap_or(rate);
            self.below(&key, BITS, exposed.sites(), rare);
            let reached = self.bands.partition_point(|band| band.lo < p);
            let bands = &self.bands[lowest..reached];
            self.windows.flips((&key, BITS), exposed, (bands, p), &self.sites, push);
        } else {
            words(exposed, self.below(&key, BITS, exposed.sites(), rate), push);
        }
    }

    fn below(&mut self, key: &StreamKey, purposes: BandPurposes, sites: u64, rate: BitErrorRate) -> &[u64] {
        let p = rate.get();
        self.sites.clear();
        self.cut.clear();
        let reached = self.bands.partition_point(|band| band.lo < p);
        let whole = self.bands.partition_point(|band| band.hi <= p);
        for band in &self.bands[whole..reached] {
            band.hits(key, purposes.gaps, sites, &mut self.cut);
            let kept = band.keep_below(p, key, purposes.marks, 0, &mut self.cut);
            self.cut.truncate(kept);
        }
        // Bands double in size, so the smaller list first keeps the merging linear; the cut one waits for its turn.
        for band in &self.bands[..whole] {
            band.hits(key, purposes.gaps, sites, &mut self.hits);
            merge(&mut self.sites, &mut self.hits, &mut self.spare);
            if self.cut.len() <= self.sites.len() {
                merge(&mut self.sites, &mut self.cut, &mut self.spare);
            }
        }
        merge(&mut self.sites, &mut self.cut, &mut self.spare);
        &self.sites
    }

    /// Appends the bits of a parameter that arrive below the rate with their arrival values, in storage order.
    pub fn marked_bits_below(
        &mut self,
        chip: Chip,
        parameter: &ExposedParameter,
        rate: BitErrorRate,
        out: &mut Vec<Arrival>,
    ) {
        let (key, sites, p) = (chip.key(parameter), parameter.sites(), rate.get());
        let start = out.len();
        for band in self.bands.iter().take_while(|band| band.lo < p) {
            band.hits(&key, BITS.gaps, sites, &mut self.hits);
            band.for_each_mark(&key, BITS.marks, 0, self.hits.len(), |i, value| {
                if value < p {
                    out.push(Arrival { site: self.hits[i], value });
                }
            });
        }
        // A site that several bands hit arrives in the lowest of them, which comes first.
        let found = &mut out[start..];
        found.sort_by_key(|arrival| arrival.site);
        let mut last = None;
        let mut kept = start;
        for i in start..out.len() {
            if last != Some(out[i].site) {
                last = Some(out[i].site);
                out[kept] = out[i];
                kept += 1;
            }
        }
        out.truncate(kept);
    }

    /// Bytes that the buffers hold.
    pub(crate) fn allocated_bytes(&self) -> usize {
        let buffers = [&self.sites, &self.cut, &self.hits, &self.spare];
        buffers.map(Vec::capacity).iter().sum::<usize>() * size_of::<u64>() + self.windows.allocated_bytes()
    }
}

/// Calls `push` with each element that has exposed bits among these sites, in order, and those bits.
pub(crate) fn words(exposed: &ExposedParameter, sites: &[u64], mut push: impl FnMut(u64, u64)) {
    let mut pending = (0, 0);
    for &site in sites {
        let (element, bit) = exposed.element_and_bit(site);
        let mask = 1 << bit & exposed.mask;
        if element == pending.0 {
            pending.1 |= mask;
        } else {
            if pending.1 != 0 {
                push(pending.0, pending.1);
            }
            pending = (element, mask);
        }
    }
    if pending.1 != 0 {
        push(pending.0, pending.1);
    }
}

/// Moves the sites of `from` into `into`, both sorted and free of doubles before and after; `spare` is scratch.
fn merge(into: &mut Vec<u64>, from: &mut Vec<u64>, spare: &mut Vec<u64>) {
    if into.is_empty() {
        std::mem::swap(into, from);
    } else if !from.is_empty() {
        union(into, from, spare);
        std::mem::swap(into, spare);
    }
    from.clear();
}

/// Replaces `out` by the sorted union of two sorted lists.
///
/// No branch depends on which list is behind: random lists would mispredict every other one.
fn union(a: &[u64], b: &[u64], out: &mut Vec<u64>) {
    out.clear();
    out.resize(a.len() + b.len(), 0);
    let (mut i, mut j, mut written) = (0, 0, 0);
    while i < a.len() && j < b.len() {
        let (x, y) = (a[i], b[j]);
        out[written] = x.min(y);
        i += usize::from(x <= y);
        j += usize::from(y <= x);
        written += 1;
    }
    for rest in [&a[i..], &b[j..]] {
        out[written..written + rest.len()].copy_from_slice(rest);
        written += rest.len();
    }
    out.truncate(written);
}
