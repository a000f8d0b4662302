//! Sums over the checksums of rows: a row that was lost, or came from nowhere, shows here.

use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, params};

use crate::cell::CellId;
use crate::checksum::Checksum;
use crate::error::RecordsError;
use crate::fields::Fields;
use crate::schema;

/// The part under which trials are summed up, cell by cell.
const TRIALS: &str = "trials";

/// Writes how many rows a small table has, and the sum of their checksums.
pub(crate) fn seal(connection: &Connection, table: &str) -> rusqlite::Result<()> {
    let sql = format!(
        "INSERT OR REPLACE INTO checks SELECT '{table}', 0, count(*), ifnull(sum(checksum), 0) FROM {table}"
    );
    connection.prepare_cached(&sql)?.execute([]).map(|_| ())
}

/// Adds rows to what is written down for their part.
pub(crate) fn add(connection: &Connection, sum: Sum) -> rusqlite::Result<()> {
    let sql = "INSERT INTO checks VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT (part, cell) DO UPDATE SET rows = rows + excluded.rows, sum = sum + excluded.sum";
    connection.prepare_cached(sql)?.execute(params![sum.part, sum.cell, sum.rows, sum.total]).map(|_| ())
}

/// Rows and the sum of their checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sum {
    part: &'static str,
    cell: i64,
    /// Whether rows of this schema carry checksums.
    checked: bool,
    rows: i64,
    total: i64,
}

impl Sum {
    /// The empty sum of a small table.
    pub(crate) fn of(table: &'static str, version: i64) -> Self {
        Self { part: table, cell: 0, checked: version >= schema::CHECKED, rows: 0, total: 0 }
    }

    /// The empty sum of the trials of a cell.
    pub(crate) fn of_trials(cell: CellId, version: i64) -> Self {
        Self { cell: cell.0, ..Self::of(TRIALS, version) }
    }

    /// Whether rows carry checksums.
    pub(crate) fn is_checked(self) -> bool {
        self.checked
    }

    /// Takes the checksum of a row that was just made.
    pub(crate) fn add(&mut self, checksum: i64) {
        self.rows += 1;
        self.total += checksum;
    }

    /// Takes back the checksum of a row that is written anew.
    pub(crate) fn take_back(&mut self, checksum: i64) {
        self.rows -= 1;
        self.total -= checksum;
    }

    /// Compares a row of a small table with its checksum, in the column after `columns` others.
    pub(crate) fn row(&mut self, fields: &Fields<'_>, columns: usize) -> Result<(), RecordsError> {
        if !self.checked {
            return Ok(());
        }
        let mut checksum = Checksum::default();
        checksum.row(fields.table);
        for column in 0..columns {
            checksum.take(fields.value(column)?);
        }
        self.compare(fields, columns, &mut checksum)
    }

    /// Compares what was taken of a row with the checksum in column `at`, and adds it.
    pub(crate) fn compare(
        &mut self,
        fields: &Fields<'_>,
        at: usize,
        checksum: &mut Checksum,
    ) -> Result<(), RecordsError> {
        let computed = checksum.finish();
        match fields.value(at)? {
            ValueRef::Integer(recorded) if recorded == computed => {
                self.add(recorded);
                Ok(())
            }
            ValueRef::Integer(recorded) => Err(fields.damaged(
                "row",
                format!("its checksum is {recorded:08x}, and its values give {computed:08x}"),
            )),
            _ => Err(fields.damaged("checksum", "a value of another type")),
        }
    }

    /// Compares with what was written down for this part.
    pub(crate) fn check(self, connection: &Connection, file: &Path) -> Result<(), RecordsError> {
        if !self.checked {
            return Ok(());
        }
        let read = |sql| -> rusqlite::Result<Option<(i64, i64)>> {
            let mut statement = connection.prepare_cached(sql)?;
            statement
                .query_row(params![self.part, self.cell], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()
        };
        let written = read("SELECT rows, sum FROM checks WHERE part = ?1 AND cell = ?2")
            .map_err(|source| RecordsError::sqlite(file, "reading checksums", source))?;
        let (rows, sum) = written.unwrap_or_default();
        if (rows, sum) == (self.rows, self.total) {
            return Ok(());
        }
        let cell = if self.part == TRIALS { format!(" of cell {}", self.cell) } else { String::new() };
        let reason = if rows == self.rows {
            "its rows are not those that were written".to_owned()
        } else {
            format!("it has {} rows, and {rows} were written", self.rows)
        };
        Err(RecordsError::Damaged { path: file.to_owned(), place: format!("{}{cell}", self.part), reason })
    }
}
