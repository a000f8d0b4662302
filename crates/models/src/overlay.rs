//! What one evaluation reads in place of the model's own parameters.

use radhard_kernels::{GlobalId, Lane, TableRow};

use crate::graph::ParameterId;
use crate::model::Model;
use crate::parameter::{Component, NumberFormat, Tensor};
use crate::table::{TableFormat, TableId};

/// Words that read otherwise than the model stores them, for one evaluation at a time.
///
/// The model is not touched, so that any number of evaluations can go on side by side, each under an overlay of its own.
/// Buffers are kept from one use to the next; clearing costs what was written.
///
/// Memory: a copy of each dense parameter that was ever written, one bit per table row, and the rows written.
#[derive(Debug)]
pub struct Overlay {
    dense: Vec<Dense>,
    /// By the first parameter of the table.
    tables: Vec<Option<WrittenTable>>,
    roles: Vec<Role>,
    changed: Vec<(ParameterId, u64)>,
}

/// What a parameter is to an overlay.
#[derive(Debug, Clone, Copy)]
enum Role {
    /// Copied whole.
    Dense,
    /// Read by no evaluation.
    Unread,
    /// Part of the table that begins with parameter `first`.
    Table { first: ParameterId },
}

#[derive(Debug, Default)]
struct Dense {
    values: Vec<f32>,
    written: bool,
}

/// Rows of one table.
#[derive(Debug)]
struct WrittenTable {
    id: TableId,
    width: usize,
    /// The id of the table's first row.
    first: GlobalId,
    written: Vec<Write>,
    /// Of every 64 rows of the table.
    seen: Vec<Seen>,
    /// The rows written, ascending.
    rows: Vec<TableRow>,
    /// Their values, row-major.
    values: Vec<f32>,
}

/// Which of 64 rows are written.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    /// One bit per row.
    rows: u64,
    /// Rows written before these.
    before: u32,
}

#[derive(Debug, Clone, Copy)]
struct Write {
    row: TableRow,
    parameter: ParameterId,
    /// Within the row.
    column: u32,
    word: u64,
}

impl Overlay {
    /// An overlay of nothing.
    pub fn new(model: &Model) -> Self {
        let parameters = model.parameters().as_slice();
        let mut roles: Vec<Role> = parameters
            .iter()
            .map(|tensor| match tensor.format() {
                NumberFormat::F32 if tensor.component() != Component::Embedding => Role::Dense,
                _ => Role::Unread,
            })
            .collect();
        let mut tables: Vec<Option<WrittenTable>> = parameters.iter().map(|_| None).collect();
        for table in model.graph().tables() {
            let first = table.id.first;
            let parts = if table.id.format == TableFormat::Int8Rowwise { 3 } else { 1 };
            roles[first..first + parts].fill(Role::Table { first });
            let rows = parameters[first].shape()[0];
            tables[first] = Some(WrittenTable {
                id: table.id,
                width: table.width,
                first: model.graph().first_id(table),
                written: Vec::new(),
                seen: vec![Seen::default(); rows.div_ceil(64)],
                rows: Vec::new(),
                values: Vec::new(),
            });
        }
        let dense = parameters.iter().map(|_| Dense::default()).collect();
        Self { dense, tables, roles, changed: Vec::new() }
    }

    /// Forgets what was written.
    pub fn clear(&mut self) {
        for (parameter, _) in self.changed.drain(..) {
            self.dense[parameter].written = false;
        }
        for table in self.tables.iter_mut().flatten() {
            for row in table.rows.drain(..) {
                table.seen[row.index() / 64] = Seen::default();
            }
            table.written.clear();
            table.values.clear();
        }
    }

    /// The stored word of an element reads as `word` from now on, after [`finish`](Self::finish).
    ///
    /// # Panics
    /// If there is no such element.
    pub fn write(&mut self, model: &Model, parameter: usize, element: u64, word: u64) {
        let tensor = &model.parameters()[parameter];
        match self.roles[parameter] {
            Role::Unread => {}
            Role::Dense => {
                let dense = &mut self.dense[parameter];
                if !dense.written {
                    dense.written = true;
                    dense.values.clear();
                    dense.values.extend_from_slice(tensor.f32s());
                }
                dense.values[element as usize] = f32::from_bits(word as u32);
                self.changed.push((parameter, element));
            }
            Role::Table { first } => {
                let width = tensor.shape().get(1).copied().unwrap_or(1) as u64;
                assert!(element < tensor.elements() as u64, "element {element} of {}", tensor.name());
                // A configuration has at most as many table rows as 32 bits count.
                let (row, column) = (TableRow::new((element / width) as u32), (element % width) as u32);
                if let Some(table) = &mut self.tables[first] {
                    table.written.push(Write { row, parameter, column, word });
                }
            }
        }
    }

    /// Works out the values of the table rows that were written.
    pub fn finish(&mut self, model: &Model) {
        for table in self.tables.iter_mut().flatten() {
            table.finish(model.parameters().as_slice());
        }
    }

    /// Whether nothing reads otherwise.
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.tables.iter().flatten().all(|table| table.rows.is_empty())
    }

    /// Whether a parameter outside the tables reads otherwise.
    pub fn dense_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// The elements outside the tables that read otherwise, as they were written.
    pub(crate) fn dense_elements(&self) -> &[(ParameterId, u64)] {
        &self.changed
    }

    /// The ids of table rows that read otherwise: ascending within each table.
    pub fn ids(&self) -> impl Iterator<Item = GlobalId> + '_ {
        self.tables.iter().flatten().flat_map(|table| table.rows.iter().map(|row| row.id(table.first)))
    }

    /// The values of a dense parameter that reads otherwise.
    pub(crate) fn dense(&self, parameter: ParameterId) -> Option<&[f32]> {
        let dense = &self.dense[parameter];
        dense.written.then_some(&dense.values)
    }

    /// Replaces the values of overlaid rows in a gathered block `[F · D, R]`.
    pub(crate) fn patch(&self, table: TableId, ids: &[GlobalId], block: usize, out: &mut [Lane]) {
        let Some(table) = self.tables[table.first].as_ref().filter(|table| !table.rows.is_empty()) else {
            return;
        };
        let out = out.as_flattened_mut();
        for (field, ids) in ids.chunks_exact(block).enumerate() {
            for (at, &id) in ids.iter().enumerate() {
                if let Some(values) = table.row(id.row(table.first)) {
                    for (d, &value) in values.iter().enumerate() {
                        out[(field * table.width + d) * block + at] = value;
                    }
                }
            }
        }
    }

    /// The values of a row of a table, where it is overlaid.
    pub(crate) fn row(&self, table: TableId, row: TableRow) -> Option<&[f32]> {
        self.tables[table.first].as_ref()?.row(row)
    }
}

impl WrittenTable {
    fn row(&self, row: TableRow) -> Option<&[f32]> {
        let Seen { rows, before } = self.seen[row.index() / 64];
        let bit = 1 << (row.index() % 64);
        if rows & bit == 0 {
            return None;
        }
        let place = (before + (rows & (bit - 1)).count_ones()) as usize;
        Some(&self.values[place * self.width..(place + 1) * self.width])
    }

    fn finish(&mut self, tensors: &[Tensor]) {
        // The last write of a word wins: the sort is stable.
        self.written.sort_by_key(|write| write.row);
        let table = self.id.of(tensors);
        let mut codes = vec![0; if self.id.format == TableFormat::Int8Rowwise { self.width } else { 0 }];
        for writes in self.written.chunk_by(|a, b| a.row == b.row) {
            let row = writes[0].row;
            let seen = &mut self.seen[row.index() / 64];
            if seen.rows == 0 {
                seen.before = self.rows.len() as u32;
            }
            seen.rows |= 1 << (row.index() % 64);
            self.rows.push(row);
            let start = self.values.len();
            self.values.resize(start + self.width, 0.0);
            let values = &mut self.values[start..];
            if self.id.format != TableFormat::Int8Rowwise {
                table.row(row.index(), values);
                for write in writes {
                    values[write.column as usize] = match self.id.format {
                        TableFormat::F16 => radhard_kernels::plain::f16(write.word as u16),
                        TableFormat::Bf16 => radhard_kernels::plain::bf16(write.word as u16),
                        _ => f32::from_bits(write.word as u32),
                    };
                }
                continue;
            }
            let (at, row) = (row.index() * self.width, row.index());
            codes.copy_from_slice(&tensors[self.id.first].bytes()[at..at + self.width]);
            let mut scale = tensors[self.id.first + 1].f32s()[row];
            let mut bias = tensors[self.id.first + 2].f32s()[row];
            for write in writes {
                match write.parameter - self.id.first {
                    0 => codes[write.column as usize] = write.word as u8,
                    1 => scale = f32::from_bits(write.word as u32),
                    _ => bias = f32::from_bits(write.word as u32),
                }
            }
            for (value, &code) in values.iter_mut().zip(&codes) {
                *value = radhard_kernels::plain::dequantised(code, scale, bias);
            }
        }
    }
}
