//! Octave bands of arrival values, and geometric skips from hit to hit inside a band.
//!
//! Arrivals are split into [0, 2^-50), [2^-50, 2^-49), …, [1/2, 1). A site is hit in a band [lo, hi) with the
//! probability q = (hi − lo) / (1 − lo) of arriving there given that it did not arrive below; hits are independent
//! between bands and the lowest band that hits a site has its arrival, so a site arrives below hi with probability
//! 1 − ∏(1 − q) = hi. The number of sites passed between two hits is geometric: floor(log(1 − v) / log(1 − q)) for a
//! uniform v.
//!
//! # Precision
//! Bands below 2^-20 take v = r · 2^-64 for a 64-bit integer r, and log1p: the chance of a hit among the next g sites is
//! within 2^-64 of 1 − (1 − q)^g. The other bands take 1 − v = (r + 1) · 2^-53 for a 53-bit r, and log: it is within
//! 2^-53, that is 2^-32 of q or less. Logarithms are those of `libm`, so gaps are the same on every machine; their
//! error of an ulp moves a gap of g sites by at most 1, with probability g · 2^-51.

use radhard_memory::{Wide, log, widest};

use crate::floor::floor_to_u64;
use crate::stream::{Purpose, StreamKey, unit};

/// Number of bands.
pub(crate) const BANDS: usize = 51;

/// Exponent of the upper end of the lowest band.
const LOWEST: i32 = -50;

/// Upper ends up to here take uniform numbers with 64 bits after the point.
const RARE: f64 = 1.0 / 1_048_576.0;

/// Numbers drawn at a time where hits are frequent.
pub(crate) const CHUNK: usize = 64;

/// A band of arrival values and its conditional hit rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Band {
    /// Number of the band, lowest first; the lane of its streams.
    lane: u32,
    /// Lower end, included.
    pub(crate) lo: f64,
    /// Upper end, excluded.
    pub(crate) hi: f64,
    /// Conditional hit rate.
    q: f64,
    /// log(1 − q), negative.
    log_miss: f64,
}

/// Turns random numbers into gaps between the hits of a frequent band.
struct Gaps<'a> {
    log_miss: f64,
    numbers: &'a mut [u64],
}

impl Wide for Gaps<'_> {
    type Output = ();

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "it must become part of the loop that is compiled for vectors")]
    fn run(self) {
        for number in self.numbers {
            let u = unit(*number) + f64::EPSILON / 2.0;
            *number = floor_to_u64(log(u) / self.log_miss);
        }
    }
}

/// The two streams that a band draws from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BandPurposes {
    pub(crate) gaps: Purpose,
    pub(crate) marks: Purpose,
}

/// Arrivals of bits.
pub(crate) const BITS: BandPurposes = BandPurposes { gaps: Purpose::BitGaps, marks: Purpose::BitMarks };

/// Arrivals of words.
pub(crate) const WORDS: BandPurposes = BandPurposes { gaps: Purpose::WordGaps, marks: Purpose::WordMarks };

impl Band {
    /// All bands, from the lowest up.
    pub(crate) fn all() -> [Self; BANDS] {
        std::array::from_fn(|lane| {
            let hi = libm::ldexp(1.0, LOWEST + lane as i32);
            let lo = if lane == 0 { 0.0 } else { hi / 2.0 };
            let q = (hi - lo) / (1.0 - lo);
            Self { lane: lane as u32, lo, hi, q, log_miss: libm::log1p(-q) }
        })
    }

    /// Replaces `out` by the sites in 0..`sites` that this band hits, in order.
    pub(crate) fn hits(&self, key: &StreamKey, purpose: Purpose, sites: u64, out: &mut Vec<u64>) {
        out.clear();
        if self.q >= 1.0 {
            out.extend(0..sites);
        } else if self.rare() {
            self.rare_hits(key, purpose, sites, out);
        } else {
            self.frequent_hits(key, purpose, sites, out);
        }
    }

    /// Where hits are rare: two numbers at a time, and no logarithm where there clearly is no hit.
    fn rare_hits(&self, key: &StreamKey, purpose: Purpose, sites: u64, out: &mut Vec<u64>) {
        let mut next = 0;
        for block in 0.. {
            for number in key.pair(purpose, self.lane, block) {
                let v = number as f64 * TWO_TO_MINUS_64;
                let rest = (sites - next) as f64;
                // −log1p(−v) ≥ v, so beyond this the gap takes all that is left; the margin is far above the rounding.
                if v > -self.log_miss * rest * (1.0 + 1e-12) {
                    return;
                }
                let gap = libm::log1p(-v) / self.log_miss;
                if gap >= rest {
                    return;
                }
                let site = next + gap as u64;
                out.push(site);
                next = site + 1;
            }
        }
    }

    /// Where hits are frequent: a chunk of numbers at a time, in loops without branches.
    fn frequent_hits(&self, key: &StreamKey, purpose: Purpose, sites: u64, out: &mut Vec<u64>) {
        let expected = self.q * sites as f64;
        out.reserve((expected + 4.0 * expected.sqrt()) as usize + 2);
        let mut numbers = [0; CHUNK];
        let numbers = &mut numbers[..CHUNK.min(2 * (expected as usize / 2 + 1))];
        let (mut next, mut drawn) = (0, 0);
        while next < sites {
            next = self.chunk(key, purpose, drawn, next, numbers);
            drawn += numbers.len() as u64;
            let inside =
                if next <= sites { numbers.len() } else { numbers.partition_point(|&site| site < sites) };
            out.extend_from_slice(&numbers[..inside]);
        }
    }

    /// Of a frequent band, the hits number `drawn` (even) and on, from site `next` on; returns the site after the last.
    pub(crate) fn chunk(
        &self,
        key: &StreamKey,
        purpose: Purpose,
        drawn: u64,
        mut next: u64,
        out: &mut [u64],
    ) -> u64 {
        key.fill(purpose, self.lane, drawn / 2, out);
        widest(Gaps { log_miss: self.log_miss, numbers: out });
        for site in out {
            next += *site + 1;
            *site = next - 1;
        }
        next
    }

    pub(crate) fn rare(&self) -> bool {
        self.hi <= RARE
    }

    /// Arrival value of a hit in this band: uniform, with 52 random bits.
    pub(crate) fn mark(&self, number: u64) -> f64 {
        let fraction = number >> 12;
        if self.lo == 0.0 {
            fraction as f64 * (self.hi * f64::EPSILON)
        } else {
            f64::from_bits(self.lo.to_bits() | fraction)
        }
    }

    /// Moves the hits with an arrival below p to the front and returns how many these are; `drawn` (even) is the number
    /// of the first hit in its band.
    pub(crate) fn keep_below(
        &self,
        p: f64,
        key: &StreamKey,
        purpose: Purpose,
        drawn: u64,
        hits: &mut [u64],
    ) -> usize {
        let mut kept = 0;
        self.for_each_mark(key, purpose, drawn, hits.len(), |i, mark| {
            hits[kept] = hits[i];
            kept += usize::from(mark < p);
        });
        kept
    }

    /// Calls `visit` with the index and the arrival of each of `count` hits, the first of which is number `drawn` (even).
    pub(crate) fn for_each_mark(
        &self,
        key: &StreamKey,
        purpose: Purpose,
        drawn: u64,
        count: usize,
        mut visit: impl FnMut(usize, f64),
    ) {
        let mut numbers = [0; CHUNK];
        for start in (0..count).step_by(CHUNK) {
            let chunk = &mut numbers[..CHUNK.min(count - start)];
            key.fill(purpose, self.lane, drawn / 2 + start as u64 / 2, chunk);
            for (i, &number) in chunk.iter().enumerate() {
                visit(start + i, self.mark(number));
            }
        }
    }
}

/// 2^-64.
const TWO_TO_MINUS_64: f64 = 1.0 / 18_446_744_073_709_551_616.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_cover_the_unit_interval_without_gaps_and_multiply_to_their_upper_ends() {
        let bands = Band::all();
        assert_eq!((bands[0].lo, bands[0].hi, bands[BANDS - 1].hi), (0.0, 2.0_f64.powi(-50), 1.0));
        let mut log_spared = 0.0;
        for (i, band) in bands.iter().enumerate() {
            assert!(i == 0 || band.lo == bands[i - 1].hi);
            log_spared += band.log_miss;
            let arrived = -libm::expm1(log_spared);
            assert!((arrived / band.hi - 1.0).abs() < 1e-14, "1 − ∏(1 − q) is {arrived} at {}", band.hi);
        }
    }

    #[test]
    fn gaps_in_vector_loops_are_those_of_the_formula_in_libm() {
        let key = StreamKey::new(1, 2, 3);
        for band in Band::all().into_iter().filter(|band| !band.rare() && band.q < 1.0) {
            let mut numbers = [0; 1000];
            key.fill(Purpose::BitGaps, band.lane, 0, &mut numbers);
            numbers[..3].copy_from_slice(&[0, u64::MAX, 1 << 63]);
            let expected = numbers.map(|number| {
                let u = (number >> 11) as f64 * f64::EPSILON / 2.0 + f64::EPSILON / 2.0;
                (libm::log(u) / libm::log1p(-band.q)).floor() as u64
            });
            widest(Gaps { log_miss: band.log_miss, numbers: &mut numbers });
            assert_eq!(numbers, expected, "band below {}", band.hi);
        }
    }

    #[test]
    fn leaving_without_a_logarithm_is_what_the_logarithm_would_have_said() {
        for band in Band::all().into_iter().filter(Band::rare) {
            for sites in [1_u64, 77, 1 << 20, 1 << 40, 1 << 53] {
                // The last numbers that stay below the bound must be allowed to hit, those beyond it must not.
                let bound = -band.log_miss * sites as f64 * (1.0 + 1e-12) / TWO_TO_MINUS_64;
                for number in [0.9, 0.999_999, 1.0, 1.000_001, 1.1].map(|share| (bound * share) as u64) {
                    let v = number as f64 * TWO_TO_MINUS_64;
                    let leaves = v > -band.log_miss * sites as f64 * (1.0 + 1e-12);
                    let misses = libm::log1p(-v) / band.log_miss >= sites as f64;
                    assert!(misses || !leaves, "band below {}, {sites} sites, number {number}", band.hi);
                }
            }
        }
    }

    /// FNV-1a over words.
    fn fold(words: impl Iterator<Item = u64>) -> u64 {
        words.fold(0xCBF2_9CE4_8422_2325, |hash, word| (hash ^ word).wrapping_mul(0x0100_0000_01B3))
    }

    #[test]
    fn rare_bands_keep_their_logarithms_and_their_hits_to_the_bit() {
        let key = StreamKey::new(1, 2, 3);
        let bands = Band::all();
        let misses = fold(bands.iter().map(|band| band.log_miss.to_bits()));
        let mut numbers = vec![0; 20_000];
        key.fill(Purpose::BitGaps, 0, 0, &mut numbers);
        let logs = numbers.iter().enumerate().map(|(i, &number)| {
            let v = (number >> (i % 64)) as f64 * TWO_TO_MINUS_64;
            libm::log1p(-v).to_bits()
        });
        let logs = fold(logs);
        let mut all = Vec::new();
        let mut hits = Vec::new();
        for band in bands.iter().filter(|band| band.rare()) {
            let sites = (1000.0 / band.q) as u64;
            band.hits(&key, Purpose::BitGaps, sites.min(1 << 53), &mut hits);
            all.append(&mut hits);
        }
        // A change of any is a new stream version, be it an update of libm that makes it.
        assert_eq!(
            (misses, logs, fold(all.into_iter())),
            (12_634_020_025_243_059_551, 14_219_970_615_436_908_997, 16_607_636_166_160_275_063)
        );
    }

    #[test]
    fn marks_fill_their_band_and_stay_inside() {
        for band in Band::all() {
            assert_eq!(band.mark(0), band.lo);
            let last = band.mark(u64::MAX);
            assert!(last < band.hi && last > band.hi * (1.0 - 1e-15));
            assert!((band.mark(1 << 63) - f64::midpoint(band.lo, band.hi)).abs() < band.hi * 1e-15);
        }
    }
}
