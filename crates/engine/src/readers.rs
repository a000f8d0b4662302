//! Who reads a row of a table: the data rows, by table row.

use radhard_data::RowsView;
use radhard_models::{Config, GlobalId};
use rayon::prelude::*;

/// A table row that more than one data row in so many reads keeps their number only: its changes cost a full pass anyway.
const HEAVY: u32 = 3;

/// The data rows that read each table row, field by field.
///
/// Memory: 8 bytes per table row, and 4 per data row and field where the table row is not among the heaviest.
#[derive(Debug)]
pub struct Readers {
    fields: Vec<Field>,
    /// The first id of each field, and at last the number of ids.
    offsets: Vec<GlobalId>,
    rows: usize,
}

#[derive(Debug)]
struct Field {
    /// Data rows that read each value.
    counts: Vec<u32>,
    /// Where the readers of each value begin in `rows`, and at last where the last ones end.
    starts: Vec<u32>,
    rows: Vec<u32>,
}

/// Data rows that read some table rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// They were listed.
    Listed,
    /// They are too many to be listed.
    TooMany,
}

impl Readers {
    /// The readers of the tables of a model, among these rows; indices lie in their fields.
    pub fn of(config: &Config, rows: &RowsView<'_>) -> Self {
        let offsets = Self::offsets(config);
        let fields = config
            .field_dims
            .par_iter()
            .enumerate()
            .map(|(field, &dim)| match rows.bags {
                Some(bags) => Field::of(dim, rows.len(), || {
                    (0..bags.len()).flat_map(move |row| bags.of(row).iter().map(move |id| (row as u32, *id)))
                }),
                None => Field::of(dim, rows.len(), || {
                    rows.indices.iter().skip(field).step_by(rows.fields).zip(0..).map(|(id, row)| (row, *id))
                }),
            })
            .collect();
        Self { fields, offsets, rows: rows.len() }
    }

    fn offsets(config: &Config) -> Vec<GlobalId> {
        let mut offsets = config.offsets();
        // A configuration has at most as many table rows as 32 bits count.
        offsets.push(GlobalId::new(config.table_rows() as u32));
        offsets
    }

    /// Whether they can be those of a model's tables among these rows.
    pub(crate) fn are_of(&self, config: &Config, rows: &RowsView<'_>) -> bool {
        self.rows == rows.len() && self.offsets == Self::offsets(config)
    }

    /// Bytes that are held.
    pub fn bytes(&self) -> u64 {
        let bytes = |field: &Field| {
            size_of_val(field.counts.as_slice())
                + size_of_val(field.starts.as_slice())
                + size_of_val(field.rows.as_slice())
        };
        self.fields.iter().map(|field| bytes(field) as u64).sum()
    }

    /// How many data rows read a table row; a bag that names it twice counts twice.
    pub fn count(&self, id: GlobalId) -> u32 {
        let (field, value) = self.place(id);
        self.fields[field].counts[value]
    }

    /// Lists the data rows that read any of these table rows, ascending, each once.
    ///
    /// Stops where they are surely more than `most`.
    pub fn list(
        &self,
        ids: impl Iterator<Item = GlobalId>,
        most: usize,
        marks: &mut Marks,
        out: &mut Vec<u32>,
    ) -> Found {
        out.clear();
        let mut sorted = true;
        let mut fields = 0;
        let mut found = Found::Listed;
        for id in ids {
            let (field, value) = self.place(id);
            let field = &self.fields[field];
            let readers = &field.rows[field.starts[value] as usize..field.starts[value + 1] as usize];
            // A heavy value is not listed; one list can't be within bounds and too long.
            if readers.len() != field.counts[value] as usize || readers.len() > most {
                found = Found::TooMany;
                break;
            }
            if readers.is_empty() {
                continue;
            }
            sorted &= fields == 0;
            fields += 1;
            out.extend_from_slice(readers);
            if out.len() > 8 * most {
                found = Found::TooMany;
                break;
            }
        }
        if found == Found::TooMany {
            out.clear();
            return found;
        }
        if !sorted {
            if out.len() > self.rows / 64 {
                marks.sort(self.rows, out);
            } else {
                out.sort_unstable();
                out.dedup();
            }
        }
        if out.len() > most {
            out.clear();
            return Found::TooMany;
        }
        found
    }

    /// The field of a table row, and the value whose row it is.
    fn place(&self, id: GlobalId) -> (usize, usize) {
        let field = self.offsets.partition_point(|first| *first <= id) - 1;
        (field, id.row(self.offsets[field]).index())
    }
}

impl Field {
    fn of<I: Iterator<Item = (u32, u32)>>(dim: u32, rows: usize, reads: impl Fn() -> I) -> Self {
        let mut counts = vec![0_u32; dim as usize];
        for (_, id) in reads() {
            counts[id as usize] += 1;
        }
        let heavy = (rows as u32 / HEAVY).max(16);
        let mut starts = Vec::with_capacity(counts.len() + 1);
        let mut next = 0;
        for &count in &counts {
            starts.push(next);
            next += if count > heavy { 0 } else { count };
        }
        starts.push(next);
        let mut listed = vec![0; next as usize];
        let mut at = starts.clone();
        for (row, id) in reads() {
            if counts[id as usize] <= heavy {
                let place = &mut at[id as usize];
                listed[*place as usize] = row;
                *place += 1;
            }
        }
        Self { counts, starts, rows: listed }
    }
}

/// One bit per data row, used again from list to list.
#[derive(Debug, Default)]
pub struct Marks(Vec<u64>);

impl Marks {
    /// Sorts rows and leaves each in once.
    fn sort(&mut self, rows: usize, list: &mut Vec<u32>) {
        self.0.resize(rows.div_ceil(64), 0);
        for &row in &*list {
            self.0[row as usize / 64] |= 1 << (row % 64);
        }
        list.clear();
        for (at, word) in (0_u32..).zip(&mut self.0) {
            let mut left = std::mem::take(word);
            while left != 0 {
                list.push(at * 64 + left.trailing_zeros());
                left &= left - 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readers(indices: &[u32]) -> Readers {
        let config = Config::new("fm", vec![5, 4]);
        let rows = indices.len() / 2;
        let labels = vec![0; rows];
        let rows =
            RowsView { fields: 2, numeric_width: 0, indices, numeric: &[], labels: &labels, bags: None };
        Readers::of(&config, &rows)
    }

    #[test]
    fn rows_are_listed_once_and_in_order() {
        let readers = readers(&[0, 3, 4, 3, 0, 0, 2, 1]);
        let (mut marks, mut out) = (Marks::default(), Vec::new());
        let mut list = |ids: &[u32], most: usize| {
            let found = readers.list(ids.iter().copied().map(GlobalId::new), most, &mut marks, &mut out);
            (found, out.clone())
        };
        assert_eq!(list(&[0], 4), (Found::Listed, vec![0, 2]));
        assert_eq!(list(&[0, 8], 4), (Found::Listed, vec![0, 1, 2]));
        assert_eq!(list(&[1, 3], 4), (Found::Listed, vec![]));
        assert_eq!(list(&[0, 8], 2), (Found::TooMany, vec![]));
        assert_eq!([8, 1, 5].map(|id| readers.count(GlobalId::new(id))), [2, 0, 1]);
    }

    #[test]
    fn a_value_that_most_rows_read_keeps_its_count_alone() {
        let indices: Vec<u32> = (0..100).flat_map(|row| [u32::from(row % 10 == 0), row % 4]).collect();
        let readers = readers(&indices);
        assert_eq!(readers.count(GlobalId::FIRST), 90);
        let (mut marks, mut out) = (Marks::default(), Vec::new());
        assert_eq!(readers.list([GlobalId::FIRST].into_iter(), 100, &mut marks, &mut out), Found::TooMany);
        assert_eq!(readers.list([GlobalId::new(1)].into_iter(), 100, &mut marks, &mut out), Found::Listed);
        assert_eq!(out, (0..100).step_by(10).collect::<Vec<_>>());
    }

    #[test]
    fn long_lists_are_sorted_by_marks() {
        let indices: Vec<u32> = (0..640).flat_map(|row| [row % 5, (row / 7) % 4]).collect();
        let readers = readers(&indices);
        let (mut marks, mut out) = (Marks::default(), Vec::new());
        assert_eq!(
            readers.list([1, 3, 6].map(GlobalId::new).into_iter(), 640, &mut marks, &mut out),
            Found::Listed
        );
        let expected: Vec<u32> =
            (0..640).filter(|row| [1, 3].contains(&(row % 5)) || (row / 7) % 4 == 1).collect();
        assert_eq!(out, expected);
    }
}
