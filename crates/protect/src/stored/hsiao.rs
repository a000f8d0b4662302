//! The (72,64) code of Hsiao: corrects one wrong bit of 72, notices two.
//!
//! Every column of the parity-check matrix has an odd number of ones: the eight of weight 1 belong to the check bits, all 56 of
//! weight 3 and eight of weight 5 to the data bits, each row holding 26 of the latter two. Two wrong bits add up to a column of
//! even weight, which is none of them.
//!
//! Source: M. Y. Hsiao, A class of optimal minimum odd-weight-column SEC-DED codes, IBM J. Res. Dev. 14 (1970).

/// Bits of data in a codeword.
pub const DATA_BITS: u32 = 64;
/// Check bits of a codeword.
pub const CHECK_BITS: u32 = 8;

/// Columns of the data bits.
const COLUMNS: [u8; 64] = columns();
/// Check bits of each byte of the data at each of its places.
const TABLES: [[u8; 256]; 8] = tables();
/// The bit that a syndrome points at: 0 to 63 data, 64 to 71 check, [`NONE`] nothing.
const POINTED_AT: [u8; 256] = pointed_at();
const NONE: u8 = u8::MAX;

const fn columns() -> [u8; 64] {
    let mut columns = [0; 64];
    let (mut used, mut column) = (0, 1_u8);
    while column != 0 {
        if column.count_ones() == 3 {
            columns[used] = column;
            used += 1;
        }
        column = column.wrapping_add(1);
    }
    let mut turn = 0;
    while turn < 8 {
        columns[used] = 0b0001_1111_u8.rotate_left(turn);
        used += 1;
        turn += 1;
    }
    columns
}

const fn tables() -> [[u8; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut place = 0;
    while place < 8 {
        let mut byte = 0;
        while byte < 256 {
            let mut bit = 0;
            while bit < 8 {
                if byte >> bit & 1 == 1 {
                    tables[place][byte] ^= COLUMNS[8 * place + bit];
                }
                bit += 1;
            }
            byte += 1;
        }
        place += 1;
    }
    tables
}

const fn pointed_at() -> [u8; 256] {
    let mut bits = [NONE; 256];
    let mut bit = 0;
    while bit < 64 {
        bits[COLUMNS[bit] as usize] = bit as u8;
        bit += 1;
    }
    let mut check = 0;
    while check < 8 {
        bits[1 << check] = 64 + check;
        check += 1;
    }
    bits
}

/// What a decoder found in a codeword.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A codeword.
    Clean,
    /// One wrong bit, if there were not three or more: 0 to 63 in the data, 64 to 71 in the check.
    Single(u32),
    /// Two wrong bits, or more.
    Double,
}

/// The check bits of data.
#[inline]
pub fn encode(data: u64) -> u8 {
    let mut check = 0;
    for (table, byte) in TABLES.iter().zip(data.to_le_bytes()) {
        check ^= table[usize::from(byte)];
    }
    check
}

/// What is wrong with a codeword.
#[inline]
pub fn find(data: u64, check: u8) -> Found {
    match encode(data) ^ check {
        0 => Found::Clean,
        syndrome => match POINTED_AT[usize::from(syndrome)] {
            NONE => Found::Double,
            bit => Found::Single(u32::from(bit)),
        },
    }
}

/// The check bits of many codewords.
///
/// # Panics
/// If the lengths differ.
pub fn encode_all(data: &[u64], check: &mut [u8]) {
    assert_eq!(data.len(), check.len(), "codewords and check bytes");
    for (data, check) in data.iter().zip(check) {
        *check = encode(*data);
    }
}

/// Corrects single errors in place and appends the numbers of codewords with more to `double`; gives how many were corrected.
///
/// # Panics
/// If the lengths differ.
pub fn decode_all(data: &mut [u64], check: &[u8], double: &mut Vec<usize>) -> u64 {
    assert_eq!(data.len(), check.len(), "codewords and check bytes");
    let mut corrected = 0;
    for (number, (data, &check)) in data.iter_mut().zip(check).enumerate() {
        match find(*data, check) {
            Found::Clean => {}
            Found::Single(bit) => {
                corrected += 1;
                if bit < DATA_BITS {
                    *data ^= 1 << bit;
                }
            }
            Found::Double => double.push(number),
        }
    }
    corrected
}

/// The data of the codewords that 32-bit words fill, the last one filled with a zero.
fn pairs(words: &[u32]) -> impl Iterator<Item = u64> {
    let pair = |pair: &[u32]| u64::from(pair[0]) | pair.get(1).map_or(0, |&high| u64::from(high) << 32);
    words.chunks(2).map(pair)
}

/// The check bits of the codewords that 32-bit words fill, the last one filled with a zero.
pub fn encode_words(words: &[u32]) -> Vec<u8> {
    pairs(words).map(encode).collect()
}

/// As [`decode_all`], on 32-bit words; gives how many codewords were found bad. `on_double` gets the words of a codeword
/// with two wrong bits.
///
/// # Panics
/// If there are fewer check bytes than codewords.
pub fn decode_words(words: &mut [u32], check: &[u8], mut on_double: impl FnMut(usize, &mut [u32])) -> u64 {
    let mut found_bad = 0;
    for (number, (words, &check)) in words.chunks_mut(2).zip(check).enumerate() {
        let data = u64::from(words[0]) | words.get(1).map_or(0, |&high| u64::from(high) << 32);
        match find(data, check) {
            Found::Clean => continue,
            Found::Single(bit) if bit >= DATA_BITS => {}
            Found::Single(bit) if (bit / 32) as usize >= words.len() => on_double(number, words),
            Found::Single(bit) => words[(bit / 32) as usize] ^= 1 << (bit % 32),
            Found::Double => on_double(number, words),
        }
        found_bad += 1;
    }
    found_bad
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: [u64; 4] = [0, u64::MAX, 0x0123_4567_89AB_CDEF, 0x3F20_0000_BF80_0001];

    fn hit(data: u64, check: u8, bit: u32) -> (u64, u8) {
        if bit < DATA_BITS { (data ^ 1 << bit, check) } else { (data, check ^ 1 << (bit - DATA_BITS)) }
    }

    #[test]
    fn columns_are_different_odd_and_balanced() {
        let mut sorted = COLUMNS;
        sorted.sort_unstable();
        assert!(sorted.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(COLUMNS.iter().all(|column| column.count_ones() % 2 == 1 && column.count_ones() > 1));
        for row in 0..CHECK_BITS {
            assert_eq!(COLUMNS.iter().filter(|&&column| column >> row & 1 == 1).count(), 26);
        }
    }

    #[test]
    fn every_single_error_is_found_where_it_is() {
        for data in DATA {
            let check = encode(data);
            assert_eq!(find(data, check), Found::Clean);
            for bit in 0..DATA_BITS + CHECK_BITS {
                let (data, check) = hit(data, check, bit);
                assert_eq!(find(data, check), Found::Single(bit));
            }
        }
    }

    #[test]
    fn every_double_error_is_noticed_and_none_corrected() {
        for data in DATA {
            let check = encode(data);
            let mut pairs = 0;
            for a in 0..DATA_BITS + CHECK_BITS {
                for b in 0..a {
                    let (data, check) = hit(data, check, a);
                    let (data, check) = hit(data, check, b);
                    assert_eq!(find(data, check), Found::Double, "{a} {b}");
                    pairs += 1;
                }
            }
            assert_eq!(pairs, 2556);
        }
    }

    #[test]
    fn whole_slices_are_decoded_as_codeword_by_codeword() {
        let clean: Vec<u64> = (0..500_u64).map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15)).collect();
        let mut check = vec![0; clean.len()];
        encode_all(&clean, &mut check);
        let mut data = clean.clone();
        data[3] ^= 1 << 30;
        data[4] ^= 3;
        check[7] ^= 1;
        let mut double = Vec::new();
        assert_eq!(decode_all(&mut data, &check, &mut double), 2);
        assert_eq!(double, [4]);
        data[4] ^= 3;
        assert_eq!(data, clean);
    }
}
