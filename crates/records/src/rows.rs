//! Helpers of writers and readers of rows.

use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, Row};

use crate::error::RecordsError;
use crate::fields::LARGEST;

/// A count as the file holds it.
pub(crate) fn signed(what: &'static str, value: u64) -> Result<i64, RecordsError> {
    if value > LARGEST {
        return Err(RecordsError::TooLarge { what, value });
    }
    Ok(value.cast_signed())
}

/// The value, or NULL.
pub(crate) fn optional(value: Option<impl Into<Value>>) -> Value {
    value.map_or(Value::Null, Into::into)
}

/// Hands over the rows of a query, with what went wrong named by the action.
pub(crate) fn each_row<E: From<RecordsError>>(
    connection: &Connection,
    file: &Path,
    (action, sql): (&'static str, &str),
    mut take: impl FnMut(&Row<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let failed = |source| RecordsError::sqlite(file, action, source);
    let mut statement = connection.prepare_cached(sql).map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        take(row)?;
    }
    Ok(())
}
