use radhard_fault::{Format, ParameterSpec};
use radhard_kernels::{LANES, Lane};
use radhard_models::HookEvents;
use rayon::prelude::*;

use super::{CLEAN_COPY, GatherReader, Lookups, per_sample, table_rows};
use crate::protection::{
    Checked, Cost, Events, Prepared, ProtectError, Protection, SliceReader, Subject, Touched,
};

/// A checksum for each row of each table, from clean words; on read, a row that differs from it is reloaded or becomes zero.
///
/// Quantised tables have one for each row of codes, of scales and of biases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowChecksum {
    checksum: Checksum,
    action: RowAction,
}

/// A checksum of 32 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksum {
    /// Wrapping sum of the row's bytes, taken as 32-bit words; the last one is filled with zeros.
    #[default]
    Sum,
    /// CRC-32 as in IEEE 802.3.
    Crc32,
}

/// What readers get of a bad row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RowAction {
    /// The row of the clean copy.
    #[default]
    Reload,
    /// Zeros.
    Zero,
}

const CRC: [u32; 256] = crc_table();

const fn crc_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut value, mut bit) = (byte as u32, 0);
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ 0xEDB8_8320 } else { value >> 1 };
            bit += 1;
        }
        table[byte] = value;
        byte += 1;
    }
    table
}

fn crc_step(crc: u32, byte: u8) -> u32 {
    CRC[usize::from(crc as u8 ^ byte)] ^ crc >> 8
}

impl Checksum {
    /// The checksum of the bytes of a row.
    pub fn of(self, bytes: &[u8]) -> u32 {
        match self {
            Self::Sum => bytes.chunks(4).fold(0, |sum: u32, chunk| {
                let mut word = [0; 4];
                word[..chunk.len()].copy_from_slice(chunk);
                sum.wrapping_add(u32::from_le_bytes(word))
            }),
            Self::Crc32 => !bytes.iter().copied().fold(u32::MAX, crc_step),
        }
    }
}

impl RowChecksum {
    /// This checksum, and what happens to a bad row.
    pub fn new(checksum: Checksum, action: RowAction) -> Self {
        Self { checksum, action }
    }

    pub(crate) fn parse(settings: &[&str]) -> Option<Self> {
        let (checksum, rest) = match settings {
            ["crc32", rest @ ..] => (Checksum::Crc32, rest),
            ["sum", rest @ ..] | rest => (Checksum::Sum, rest),
        };
        let action = match rest {
            [] | ["reload"] => RowAction::Reload,
            ["zero"] => RowAction::Zero,
            _ => return None,
        };
        Some(Self { checksum, action })
    }
}

struct PreparedRows {
    checksum: RowChecksum,
    /// Words of a row, per parameter; none where it is no table.
    widths: Vec<Option<u64>>,
    cost: Cost,
}

impl Protection for RowChecksum {
    fn name(&self) -> String {
        match (self.checksum, self.action) {
            (Checksum::Sum, RowAction::Reload) => "row-checksum",
            (Checksum::Sum, RowAction::Zero) => "row-checksum:zero",
            (Checksum::Crc32, RowAction::Reload) => "row-checksum:crc32",
            (Checksum::Crc32, RowAction::Zero) => "row-checksum:crc32,zero",
        }
        .to_owned()
    }

    fn prepare(&self, subject: &Subject<'_>) -> Result<Box<dyn Prepared>, ProtectError> {
        let tables: Vec<_> = subject.parameters.specs().iter().map(table_rows).collect();
        let rows: u64 = tables.iter().flatten().map(|(rows, _)| rows).sum();
        if rows == 0 {
            let reason = "the model has no table".to_owned();
            return Err(ProtectError::NoPlace { protection: self.name(), reason });
        }
        let words = |spec: &ParameterSpec| spec.format.bytes(1) as f64;
        let operations = match self.checksum {
            Checksum::Sum => per_sample(subject, |spec| words(spec) / 4.0),
            Checksum::Crc32 => per_sample(subject, |spec| 3.0 * words(spec)),
        };
        let mut cost = Cost { memory_bits: 32 * rows, operations_per_sample: operations, ..Cost::default() };
        cost.assumptions.push("the checksums of rows".to_owned());
        if self.action == RowAction::Reload {
            cost.assumptions.push(CLEAN_COPY.to_owned());
        }
        let widths = tables.into_iter().map(|table| table.map(|(_, width)| width)).collect();
        Ok(Box::new(PreparedRows { checksum: *self, widths, cost }))
    }
}

/// Sums of the rows of a table, and its clean copy where bad rows are reloaded.
struct Sums {
    of_rows: Vec<u32>,
    width: usize,
    copy: Option<Vec<f32>>,
}

impl GatherReader for Sums {
    fn read(&self, lookups: &Lookups<'_>, words: &mut [Lane]) -> HookEvents {
        let groups = lookups.groups();
        let mut failed = vec![0; lookups.fields * groups];
        lookups.kernels.unlike_sums(&self.of_rows, (lookups.rows_read, lookups.fields), words, &mut failed);
        let mut events = HookEvents::default();
        for (at, &failed) in failed.iter().enumerate().filter(|&(_, &failed)| failed != 0) {
            let (field, g) = (at / groups, at % groups);
            for l in (0..LANES).filter(|l| failed >> l & 1 == 1 && g * LANES + l < lookups.rows) {
                let row = lookups.rows_read[at * LANES + l].index() * self.width;
                for d in 0..self.width {
                    words[(field * self.width + d) * groups + g][l] =
                        self.copy.as_ref().map_or(0.0, |copy| copy[row + d]);
                }
                events.detected += 1;
                if self.copy.is_some() {
                    events.reloads += 1;
                    events.reload_bytes += 4 * self.width as u64;
                } else {
                    events.fallbacks += 1;
                }
            }
        }
        events
    }
}

/// The bytes of words, little-endian; two words of half a byte take two.
fn bytes(format: Format, words: impl Iterator<Item = u64>, out: &mut Vec<u8>) {
    out.clear();
    let width = format.bits().div_ceil(8) as usize;
    words.for_each(|word| out.extend_from_slice(&word.to_le_bytes()[..width]));
}

impl Prepared for PreparedRows {
    fn reads(&self) -> bool {
        true
    }

    fn read(&self, touched: &Touched<'_>, out: &mut Vec<(u64, u64)>, events: &mut Events) {
        let Some(width) = self.widths[touched.index] else {
            out.extend_from_slice(touched.words);
            return;
        };
        let format = touched.clean.format();
        let (mut row, mut buffer) = (Vec::new(), Vec::new());
        touched.codewords(width, self, |number, words, _| {
            let elements = number * width..(number + 1) * width;
            row.clear();
            row.extend(elements.clone().map(|element| touched.clean.get(element)));
            bytes(format, row.iter().copied(), &mut buffer);
            let expected = self.checksum.checksum.of(&buffer);
            for &(element, word) in words {
                row[(element - elements.start) as usize] = word;
            }
            bytes(format, row.iter().copied(), &mut buffer);
            if self.checksum.checksum.of(&buffer) != expected {
                events.detected += 1;
                match self.checksum.action {
                    RowAction::Reload => {
                        events.reloads += 1;
                        events.reload_bytes += touched.bytes(width);
                        return;
                    }
                    RowAction::Zero => {
                        events.fallbacks += 1;
                        row.fill(0);
                    }
                }
            }
            for (element, &word) in elements.zip(&row) {
                if word != touched.clean.get(element) {
                    out.push((element, word));
                }
            }
        });
    }

    fn slice_reader(&self, index: usize, clean: &[u32]) -> Option<SliceReader> {
        let width = self.widths[index]? as usize;
        let RowChecksum { checksum, action } = self.checksum;
        let sum = move |row: &[u32]| match checksum {
            Checksum::Sum => row.iter().fold(0, |sum: u32, &word| sum.wrapping_add(word)),
            Checksum::Crc32 => !row.iter().flat_map(|word| word.to_le_bytes()).fold(u32::MAX, crc_step),
        };
        let sums: Vec<u32> = clean.chunks(width).map(sum).collect();
        let clean = clean.to_vec();
        Some(Box::new(move |words| {
            let mut fired = 0;
            for (number, (row, &expected)) in words.chunks_mut(width).zip(&sums).enumerate() {
                if sum(row) != expected {
                    fired += 1;
                    match action {
                        RowAction::Reload => row.copy_from_slice(&clean[number * width..][..row.len()]),
                        RowAction::Zero => row.fill(0),
                    }
                }
            }
            Checked { checks: sums.len() as u64, fired }
        }))
    }

    fn gather_reader(&self, index: usize, clean: &[f32]) -> Option<Box<dyn GatherReader>> {
        let RowChecksum { checksum: Checksum::Sum, action } = self.checksum else { return None };
        let width = self.widths[index]? as usize;
        let sum = |row: &[f32]| row.iter().fold(0, |sum: u32, word| sum.wrapping_add(word.to_bits()));
        let of_rows = clean.par_chunks(width).with_min_len(1 << 12).map(sum).collect();
        Some(Box::new(Sums { of_rows, width, copy: (action == RowAction::Reload).then(|| clean.to_vec()) }))
    }

    fn cost(&self) -> Cost {
        self.cost.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_have_their_known_values() {
        assert_eq!(Checksum::Crc32.of(b"123456789"), 0xCBF4_3926);
        assert_eq!(Checksum::Sum.of(&[1, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 2]), 2);
    }
}
