//! Real ratings that travel with the program: ml-latest-small of GroupLens, under its own terms.
use std::io::Read;

use flate2::read::GzDecoder;

const RATINGS: &[u8] = include_bytes!("../data/ml-latest-small/ratings.csv.gz");

/// Whose the ratings are, on what terms they are here, and how to cite them.
pub const NOTICE: &str = include_str!("../data/ml-latest-small/NOTICE.md");

/// The README of the data set as GroupLens wrote it, with its terms.
pub const README: &str = include_str!("../data/ml-latest-small/README.txt");

/// `ratings.csv` of ml-latest-small, byte for byte as published.
///
/// Panics: never; the compressed copy is part of the program and tested.
pub fn ml_latest_small_ratings() -> Vec<u8> {
    let mut ratings = Vec::new();
    let read = GzDecoder::new(RATINGS).read_to_end(&mut ratings);
    debug_assert!(read.is_ok(), "{read:?}");
    ratings
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_ratings_are_the_published_bytes() {
        let ratings = ml_latest_small_ratings();
        assert_eq!(ratings.len(), 2_483_723);
        let digest = crate::fingerprint::hex(&Sha256::digest(&ratings));
        assert_eq!(digest, "aa289ca83157595d0df6aea1be6a4ded676ddc4385472e8313a8ed9805352646");
        assert!(README.contains("Usage License") && NOTICE.contains("10.1145/2827872"));
    }
}
