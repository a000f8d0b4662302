//! Weights of other programs: whole files, and the parts inside an archive whose checksums a search would not repair.

use radhard_models::import::{self, Convert};

use crate::zip;

/// Bytes that a file may become: see `Budget` of the import.
const FLOOR: usize = 64 << 20;

/// A file of any kind: converting accepts what not converting does, and nothing becomes larger than the budget.
pub(crate) fn any(input: &[u8]) {
    let plain = import::from_bytes(input, Convert::No);
    let converted = import::from_bytes(input, Convert::Yes);
    if let Ok(plain) = plain {
        assert_eq!(Some(&plain), converted.as_ref().ok());
    }
    let Ok(mut state) = converted else { return };
    let bytes: usize = state.tensors().iter().map(|tensor| tensor.bytes.len()).sum();
    assert!(bytes <= FLOOR + 16 * input.len(), "{bytes} bytes out of {}", input.len());
    for tensor in state.tensors() {
        let elements: usize = tensor.shape.iter().product();
        assert_eq!(tensor.bytes.len(), elements * tensor.element.bytes(), "{}", tensor.name);
        assert_eq!(state.named(&tensor.name), Some(tensor));
    }
    let names = state.tensors().len();
    state.strip_wrappers();
    assert_eq!(state.tensors().len(), names);
}

/// The pickle of a torch archive that has storages of 16 bytes.
pub(crate) fn pickle(input: &[u8]) {
    let storage = [7; 16];
    any(&zip::archive(&[("m/data.pkl", input), ("m/data/0", &storage), ("m/data/1", &storage)]));
}

/// An array of a NumPy archive.
pub(crate) fn npy(input: &[u8]) {
    any(&zip::archive(&[("a.npy", input)]));
}
