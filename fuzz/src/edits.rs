//! A whole file with some of its bytes changed, as an input tells.

/// Bytes of one edit: a position, a kind and a value.
const EDIT: usize = 6;

/// `base` after the edits of `input`: each changes, overwrites, inserts or removes a byte, or cuts the file.
///
/// A mutation of `input` is a small change of the file, so a search reaches behind checks that hold the whole together.
pub(crate) fn edited(base: &[u8], input: &[u8]) -> Vec<u8> {
    let mut bytes = base.to_vec();
    for edit in input.chunks_exact(EDIT) {
        let [a, b, c, d, kind, value] = *edit else { continue };
        if bytes.is_empty() {
            break;
        }
        let at = u32::from_le_bytes([a, b, c, d]) as usize % bytes.len();
        match kind % 8 {
            0..=2 => bytes[at] ^= 1 << (value % 8),
            3 | 4 => bytes[at] = value,
            5 => bytes.insert(at, value),
            6 => drop(bytes.remove(at)),
            _ => bytes.truncate(at),
        }
    }
    bytes
}

/// The file that an input stands for: after a 0 the bytes themselves, after anything else edits of `base`.
pub(crate) fn file(base: &[u8], input: &[u8]) -> Vec<u8> {
    match input.split_first() {
        None => Vec::new(),
        Some((0, bytes)) => bytes.to_vec(),
        Some((_, edits)) => edited(base, edits),
    }
}

/// Inputs for [`file`]: the whole file, no edit, and one edit of each kind.
pub(crate) fn seeds(base: &[u8]) -> Vec<Vec<u8>> {
    let mut seeds = vec![[&[0], base].concat(), vec![1]];
    seeds.extend((0..8).map(|kind| vec![1, 40 + 9 * kind, 0, 0, 0, kind, 3]));
    seeds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_edit_does_what_it_says() {
        let base = [1, 2, 3, 4];
        assert_eq!(edited(&base, &[1, 0, 0, 0, 0, 7]), [1, 130, 3, 4]);
        assert_eq!(edited(&base, &[5, 0, 0, 0, 3, 9]), [1, 9, 3, 4]);
        assert_eq!(edited(&base, &[1, 0, 0, 0, 5, 9]), [1, 9, 2, 3, 4]);
        assert_eq!(edited(&base, &[1, 0, 0, 0, 6, 0]), [1, 3, 4]);
        assert_eq!(edited(&base, &[2, 0, 0, 0, 7, 0]), [1, 2]);
        assert_eq!(edited(&base, &[0, 0, 0, 0, 7, 0, 1, 2]), [0_u8; 0]);
    }

    #[test]
    fn an_input_is_a_file_or_its_edits() {
        assert_eq!(file(&[1, 2], &[0, 8, 9]), [8, 9]);
        assert_eq!(file(&[1, 2], &[1]), [1, 2]);
        assert_eq!(file(&[1, 2], &[]), [0_u8; 0]);
    }
}
