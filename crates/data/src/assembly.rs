//! Rows read in pieces, put together in the order of the input.
use rayon::prelude::*;

use crate::bad_line::{BadLines, Reason};
use crate::file::Columns;
use crate::id_rule::{self, FieldRule, Interner};
use crate::prepare::PrepareError;
use crate::progress::{Progress, Report, Stage};
use crate::text::{self, Text};
use crate::vocabulary::Vocabulary;

const PIECE_BYTES: usize = 1 << 20;

/// The rows of one piece of the input.
///
/// Shapes: `indices` `[B, F]`, `numeric` `[B, N]`, `labels` `[B]`, `interners` `[F]`.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    pub(crate) indices: Vec<u32>,
    pub(crate) numeric: Vec<f32>,
    pub(crate) labels: Vec<u8>,
    pub(crate) interners: Vec<Interner>,
    /// Lines, good and bad.
    pub(crate) lines: u64,
    pub(crate) bad: BadLines,
}

impl Piece {
    /// A piece for `fields` fields.
    pub(crate) fn new(fields: usize) -> Self {
        Self { interners: (0..fields).map(|_| Interner::default()).collect(), ..Self::default() }
    }

    /// Counts a line, and keeps it among the bad ones when it is no row.
    pub(crate) fn line(&mut self, row: Result<(), Reason>) {
        self.lines += 1;
        if let Err(reason) = row {
            self.bad.add(self.lines, reason);
        }
    }
}

/// What reads one line of a format.
pub(crate) trait RowReader: Sync {
    /// Fields, F.
    fn fields(&self) -> usize;
    /// Adds the row of `line` to `piece`, or says why it is none and leaves the rows of `piece` as they were.
    fn read(&self, line: &[u8], piece: &mut Piece) -> Result<(), Reason>;
}

/// All rows so far.
#[derive(Debug)]
pub(crate) struct Assembly {
    pub(crate) rows: Piece,
    fields: usize,
    dense: Vec<bool>,
}

impl Assembly {
    /// No rows yet; `rules` says which fields are numbered as they come.
    pub(crate) fn new(rules: &[FieldRule]) -> Self {
        let dense = rules.iter().map(|rule| matches!(rule, FieldRule::Dense)).collect();
        Self { rows: Piece::new(rules.len()), fields: rules.len(), dense }
    }

    /// Adds a later piece.
    pub(crate) fn append(&mut self, mut piece: Piece) -> Result<(), PrepareError> {
        for field in (0..self.fields).filter(|field| self.dense[*field]) {
            let numbers = self.rows.interners[field].absorb(&piece.interners[field]);
            for index in piece.indices.iter_mut().skip(field).step_by(self.fields) {
                *index = numbers[*index as usize];
            }
        }
        let rows = &mut self.rows;
        rows.indices.append(&mut piece.indices);
        rows.numeric.append(&mut piece.numeric);
        rows.labels.append(&mut piece.labels);
        rows.bad.append(piece.bad, rows.lines);
        rows.lines += piece.lines;
        if rows.labels.len() > u32::MAX as usize {
            return Err(PrepareError::TooManyRows);
        }
        Ok(())
    }

    /// Reads a text to its end, piece by piece in parallel. `lines_before` counts lines that were read already.
    pub(crate) fn read(
        &mut self,
        text: &mut Text,
        lines_before: u64,
        reader: &impl RowReader,
        report: &mut Report<'_>,
    ) -> Result<(), PrepareError> {
        self.rows.lines += lines_before;
        let total = text.total_bytes();
        while let Some(batch) = text.batch()? {
            let pieces: Vec<Piece> = text::pieces(batch, PIECE_BYTES)
                .into_par_iter()
                .map(|bytes| {
                    let mut piece = Piece::new(reader.fields());
                    for line in text::lines(bytes) {
                        let row = reader.read(line, &mut piece);
                        piece.line(row);
                    }
                    piece
                })
                .collect();
            pieces.into_iter().try_for_each(|piece| self.append(piece))?;
            report(Progress { stage: Stage::Reading, done: text.done_bytes(), total });
        }
        Ok(())
    }

    /// The columns without parts yet; dense fields get their final numbers and vocabularies.
    pub(crate) fn into_columns(self) -> (Columns, BadLines) {
        let Piece { mut indices, numeric, labels, interners, bad, .. } = self.rows;
        let vocabularies: Vec<Option<Vocabulary>> = interners
            .into_iter()
            .enumerate()
            .map(|(field, interner)| {
                self.dense[field].then(|| {
                    let (vocabulary, rows) = interner.into_vocabulary();
                    id_rule::renumber(&mut indices, self.fields, field, &rows);
                    vocabulary
                })
            })
            .collect();
        (Columns { indices, numeric, labels, vocabularies, ..Columns::default() }, bad)
    }
}
