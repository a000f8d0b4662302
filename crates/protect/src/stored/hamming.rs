//! Hamming's single error correcting code over a few bits, shortened.

/// Check bits that `data_bits` take: the smallest r with 2^r ≥ data_bits + r + 1.
pub(super) fn check_bits(data_bits: u32) -> u32 {
    (2..7).find(|&r| 1_u64 << r > u64::from(data_bits + r)).unwrap_or(7)
}

/// Position of a data bit in the code: the numbers from 3 on that are no power of two.
fn positions() -> impl Iterator<Item = u8> {
    (3..=u8::MAX).filter(|position| !position.is_power_of_two())
}

/// The check bits of data.
pub(super) fn encode(data: u64) -> u8 {
    positions()
        .take(64)
        .enumerate()
        .filter(|&(bit, _)| data >> bit & 1 == 1)
        .fold(0, |check, (_, position)| check ^ position)
}

/// What is wrong with a codeword.
pub(super) enum Found {
    /// Nothing.
    Clean,
    /// A check bit, if only one bit.
    Check,
    /// This data bit, if only one bit.
    Data(u32),
    /// More than one bit.
    More,
}

/// What is wrong with a codeword of so many data bits.
pub(super) fn find(data: u64, check: u8, data_bits: u32) -> Found {
    let syndrome = encode(data) ^ check;
    if syndrome == 0 {
        Found::Clean
    } else if syndrome.is_power_of_two() {
        Found::Check
    } else {
        let bit = positions().take(data_bits as usize).position(|position| position == syndrome);
        bit.map_or(Found::More, |bit| Found::Data(bit as u32))
    }
}

/// The bits of a mask, side by side from bit 0 on.
pub(super) fn extract(word: u64, mask: u64) -> u64 {
    bits(mask).enumerate().fold(0, |data, (place, bit)| data | (word >> bit & 1) << place)
}

/// The bit of a mask at a place.
pub(super) fn bit_at(mask: u64, place: u32) -> u64 {
    bits(mask).nth(place as usize).map_or(0, |bit| 1 << bit)
}

fn bits(mask: u64) -> impl Iterator<Item = u32> {
    (0..64).filter(move |bit| mask >> bit & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_bits_take_four_and_one_takes_two() {
        let sizes = [1, 2, 4, 5, 9, 11, 12, 26, 57, 58, 64].map(check_bits);
        assert_eq!(sizes, [2, 3, 3, 4, 4, 4, 5, 5, 6, 7, 7]);
    }

    #[test]
    fn every_single_error_is_found_where_it_is() {
        for data_bits in [1, 4, 9, 16, 64] {
            let data = 0xA5C3_96F0_1234_5678 & (u64::MAX >> (64 - data_bits));
            let check = encode(data);
            assert!(u32::from(check) < 1 << check_bits(data_bits));
            assert!(matches!(find(data, check, data_bits), Found::Clean));
            for bit in 0..data_bits {
                assert!(
                    matches!(find(data ^ 1 << bit, check, data_bits), Found::Data(found) if found == bit)
                );
            }
            for bit in 0..check_bits(data_bits) {
                assert!(matches!(find(data, check ^ 1 << bit, data_bits), Found::Check));
            }
        }
    }

    #[test]
    fn bits_are_extracted_in_order() {
        assert_eq!(extract(0b1010_0110, 0b1110_0001), 0b1010);
        assert_eq!((bit_at(0b1110_0001, 0), bit_at(0b1110_0001, 2)), (1, 1 << 6));
    }
}
