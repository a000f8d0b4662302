//! Rows one by one: from memory, or from their file without its pages in memory.

use std::borrow::Cow;
use std::io;

use radhard_memory::Mapped;
use rayon::prelude::*;

use crate::data_set::DataSet;
use crate::rows::Rows;

/// Bytes of a row's indices from which on it is read from the file.
///
/// Rows of a cache line or more cost about as much to read as to look up in mapped pages; small ones would cost far more.
const FROM_FILE_BYTES: usize = 64;

/// What reads the rows of a data set in any order.
///
/// Shapes: `indices` `[B, F]`, `numeric` `[B, N]`, row-major.
#[derive(Debug, Clone, Copy)]
pub struct RowReader<'a> {
    fields: usize,
    numeric_width: usize,
    source: Source<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Source<'a> {
    Memory { indices: &'a [u32], numeric: &'a [f32] },
    File { map: &'a Mapped, indices: usize, numeric: usize },
}

impl<'a> RowReader<'a> {
    /// Rows that lie in memory.
    pub fn of_memory(fields: usize, numeric_width: usize, indices: &'a [u32], numeric: &'a [f32]) -> Self {
        Self { fields, numeric_width, source: Source::Memory { indices, numeric } }
    }

    /// The rows of a mapped file, where indices and numeric values begin; `None` where its pages are the better way.
    pub(crate) fn of_file(
        map: &'a Mapped,
        (fields, numeric_width): (usize, usize),
        (indices, numeric): (usize, usize),
    ) -> Option<Self> {
        let pays = cfg!(unix) && fields * size_of::<u32>() >= FROM_FILE_BYTES;
        pays.then_some(Self { fields, numeric_width, source: Source::File { map, indices, numeric } })
    }

    /// Indices and numeric values of all rows, where they lie in memory.
    pub fn in_memory(&self) -> Option<(&'a [u32], &'a [f32])> {
        match self.source {
            Source::Memory { indices, numeric } => Some((indices, numeric)),
            Source::File { .. } => None,
        }
    }

    /// Reads one row: `indices` `[F]`, `numeric` `[N]`.
    ///
    /// # Errors
    /// If the file cannot be read.
    ///
    /// # Panics
    /// If the lengths are others, or there is no such row.
    pub fn read(&self, row: usize, indices: &mut [u32], numeric: &mut [f32]) -> io::Result<()> {
        assert_eq!((indices.len(), numeric.len()), (self.fields, self.numeric_width), "values of one row");
        self.read_indices(row, indices)?;
        self.read_numeric(row, numeric)
    }

    fn read_indices(&self, row: usize, to: &mut [u32]) -> io::Result<()> {
        let start = row * self.fields;
        match self.source {
            Source::Memory { indices, .. } => to.copy_from_slice(&indices[start..start + self.fields]),
            Source::File { map, indices, .. } => {
                map.read_at(indices + start * size_of::<u32>(), bytemuck::cast_slice_mut(to))?;
            }
        }
        Ok(())
    }

    fn read_numeric(&self, row: usize, to: &mut [f32]) -> io::Result<()> {
        let start = row * self.numeric_width;
        match self.source {
            Source::Memory { numeric, .. } => {
                to.copy_from_slice(&numeric[start..start + self.numeric_width]);
            }
            Source::File { map, numeric, .. } if self.numeric_width > 0 => {
                map.read_at(numeric + start * size_of::<f32>(), bytemuck::cast_slice_mut(to))?;
            }
            Source::File { .. } => {}
        }
        Ok(())
    }
}

impl DataSet {
    /// Some rows in the given order, by the [reader](Self::reader); bags stay behind.
    ///
    /// # Errors
    /// If the file cannot be read.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn read_rows(&self, rows: &[u32]) -> io::Result<Rows<'static>> {
        let (fields, numeric_width) = (self.fields(), self.meta().numeric_names.len());
        let reader = self.reader();
        let mut indices = vec![0; rows.len() * fields];
        let mut numeric = vec![0.0; rows.len() * numeric_width];
        values(rows, fields, &mut indices, |row, to| reader.read_indices(row, to))?;
        values(rows, numeric_width, &mut numeric, |row, to| reader.read_numeric(row, to))?;
        Ok(Rows {
            fields,
            numeric_width,
            indices: Cow::Owned(indices),
            numeric: Cow::Owned(numeric),
            labels: Cow::Owned(rows.iter().map(|row| self.labels()[*row as usize]).collect()),
            bags: None,
            row_ids: Some(rows.to_vec()),
        })
    }
}

/// Reads some rows of `width` values each, in parallel.
fn values<T: Send>(
    rows: &[u32],
    width: usize,
    to: &mut [T],
    read: impl Fn(usize, &mut [T]) -> io::Result<()> + Sync,
) -> io::Result<()> {
    const TASK: usize = 1024;
    if width == 0 {
        return Ok(());
    }
    to.par_chunks_mut(TASK * width).zip(rows.par_chunks(TASK)).try_for_each(|(to, rows)| {
        to.chunks_exact_mut(width).zip(rows).try_for_each(|(to, row)| read(*row as usize, to))
    })
}

#[cfg(test)]
mod tests {
    use crate::{Columns, DataSet, Meta};

    #[test]
    fn rows_are_read_one_by_one_from_memory_and_from_the_file() {
        let dir = tempfile::tempdir().unwrap();
        for fields in [3usize, 16, 20] {
            let names = (0..fields).map(|f| format!("c{f}")).collect();
            let mut meta = Meta::new("wide", names, vec![100; fields]);
            meta.numeric_names = vec!["x".into(), "y".into()];
            let rows = 50;
            let columns = Columns {
                indices: (0..rows * fields).map(|i| (i * 37 % 100) as u32).collect(),
                numeric: (0..rows * 2).map(|i| i as f32 / 3.0).collect(),
                labels: (0..rows).map(|i| (i % 2) as u8).collect(),
                parts: vec![0; rows],
                ..Columns::default()
            };
            let path = dir.path().join(format!("{fields}.data"));
            columns.write(&path, meta).unwrap();
            let data = DataSet::open(&path).unwrap();
            assert_eq!(data.reader().in_memory().is_some(), fields < 16 || cfg!(not(unix)));
            data.release();
            let order = [49, 0, 17, 17, 3];
            let read = data.read_rows(&order).unwrap();
            for (place, row) in order.map(|row| row as usize).into_iter().enumerate() {
                let view = read.view();
                assert_eq!(view.indices_of(place), &columns.indices[row * fields..(row + 1) * fields]);
                assert_eq!(view.numeric_of(place), &columns.numeric[row * 2..(row + 1) * 2]);
                assert_eq!(view.labels[place], columns.labels[row]);
            }
            assert_eq!(data.indices(), columns.indices);
        }
    }
}
