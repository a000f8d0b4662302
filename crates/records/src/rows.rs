//! Rows of the tables, and the types they are read into.

use std::collections::BTreeMap;
use std::path::Path;

use radhard_metrics::TrialScores;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, params};

use crate::cell::{Cell, CellId, CellKey, Prediction};
use crate::error::RecordsError;
use crate::golden::{Golden, SubjectKey};
use crate::header::Header;
use crate::score::{self, Number};
use crate::trial::{Noticed, Trial};

pub(crate) fn write_header(connection: &mut Connection, header: &Header) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    write_header_in(&transaction, header)?;
    transaction.commit()
}

pub(crate) fn write_header_in(connection: &Connection, header: &Header) -> rusqlite::Result<()> {
    let rows = [
        ("plan", header.plan.clone()),
        ("seed", header.seed.to_string()),
        ("version", header.version.clone()),
        ("stream_version", header.stream_version.to_string()),
        ("numeric_contract", header.numeric_contract.to_string()),
    ];
    for (key, value) in rows {
        connection.execute("INSERT OR REPLACE INTO header VALUES (?1, ?2)", params![key, value])?;
    }
    for (key, value) in &header.identity {
        connection.execute("INSERT OR REPLACE INTO identity VALUES (?1, ?2)", params![key, value])?;
    }
    Ok(())
}

pub(crate) fn read_header(connection: &Connection, file: &Path) -> Result<Header, RecordsError> {
    let pairs = |table: &str| -> rusqlite::Result<BTreeMap<String, String>> {
        let mut statement = connection.prepare(&format!("SELECT key, value FROM {table}"))?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect()
    };
    let failed = |source| RecordsError::sqlite(file, "reading the header", source);
    let mut header = pairs("header").map_err(failed)?;
    let identity = pairs("identity").map_err(failed)?;
    let mut take = |key: &str| {
        header.remove(key).ok_or_else(|| RecordsError::Damaged {
            path: file.to_owned(),
            place: "table header".to_owned(),
            reason: format!("there is no key {key}"),
        })
    };
    Ok(Header {
        plan: take("plan")?,
        seed: parse(file, "header seed", &take("seed")?)?,
        version: take("version")?,
        stream_version: parse(file, "header stream_version", &take("stream_version")?)?,
        numeric_contract: parse(file, "header numeric_contract", &take("numeric_contract")?)?,
        identity,
    })
}

/// Every golden run.
pub(crate) fn read_goldens(connection: &Connection, file: &Path) -> Result<Vec<Golden>, RecordsError> {
    let failed = |source| RecordsError::sqlite(file, "reading golden runs", source);
    let mut statement = connection.prepare("SELECT * FROM goldens").map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    let mut goldens = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let outcome = parse(file, "goldens outcome", &row.get::<_, String>(10).map_err(failed)?)?;
        goldens.push(Golden {
            subject: SubjectKey {
                model: row.get(0).map_err(failed)?,
                data: row.get(1).map_err(failed)?,
                protection: row.get(2).map_err(failed)?,
            },
            positives: unsigned(row, 3).map_err(failed)?,
            split: row.get(4).map_err(failed)?,
            stand_in: row.get(5).map_err(failed)?,
            parameters: unsigned(row, 6).map_err(failed)?,
            model_fingerprint: row.get(7).map_err(failed)?,
            data_fingerprint: row.get(8).map_err(failed)?,
            seconds: row.get(9).map_err(failed)?,
            scores: score::of_numbers(read_numbers(row, 11, file)?, outcome)
                .map_err(|column| wrong_type(file, "goldens", column))?,
        });
    }
    Ok(goldens)
}

/// Every cell with its number.
pub(crate) fn read_cells(connection: &Connection, file: &Path) -> Result<Vec<(CellId, Cell)>, RecordsError> {
    let failed = |source| RecordsError::sqlite(file, "reading cells", source);
    let mut statement = connection
        .prepare(
            "SELECT cell, model, data, target, error_model, ber, protection, seed, exposed_bits, p_no_flip,
                 predicted, prediction_kind, prediction_note FROM cells",
        )
        .map_err(failed)?;
    let mut rows = statement.query([]).map_err(failed)?;
    let mut cells = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let mean: Option<f64> = row.get(10).map_err(failed)?;
        let kind: Option<String> = row.get(11).map_err(failed)?;
        let note: Option<String> = row.get(12).map_err(failed)?;
        let predicted = match (mean, kind) {
            (Some(mean), Some(kind)) => Some(Prediction {
                mean,
                kind: parse(file, "cells prediction_kind", &kind)?,
                note: note.unwrap_or_default(),
            }),
            _ => None,
        };
        cells.push((
            CellId(row.get(0).map_err(failed)?),
            Cell {
                key: CellKey {
                    model: row.get(1).map_err(failed)?,
                    data: row.get(2).map_err(failed)?,
                    target: row.get(3).map_err(failed)?,
                    error_model: row.get(4).map_err(failed)?,
                    ber: row.get(5).map_err(failed)?,
                    protection: row.get(6).map_err(failed)?,
                },
                seed: parse(file, "cells seed", &row.get::<_, String>(7).map_err(failed)?)?,
                exposed_bits: unsigned(row, 8).map_err(failed)?,
                p_no_flip: row.get(9).map_err(failed)?,
                predicted,
            },
        ));
    }
    Ok(cells)
}

/// Hands over the trials of a cell by ascending chip, or the one of `chip`.
pub(crate) fn each_trial<E: From<RecordsError>>(
    connection: &Connection,
    file: &Path,
    cell: CellId,
    golden: &Golden,
    chip: Option<u64>,
    mut take: impl FnMut(Trial) -> Result<(), E>,
) -> Result<(), E> {
    let failed = |source| RecordsError::sqlite(file, "reading trials", source);
    let mut statement = connection
        .prepare_cached(
            "SELECT t.chip, t.flips, t.path, t.outcome, t.seconds, t.flips_read, t.reads, t.detected, t.corrected,
             t.reloads, t.reload_bytes, t.retries, t.fallbacks, t.rows_detected, t.rows_recovered, t.rows_missed, s.*
             FROM trials t
             LEFT JOIN scores s ON s.cell = t.cell AND s.chip = t.chip
             WHERE t.cell = ?1 AND t.chip BETWEEN ?2 AND ?3 ORDER BY t.chip",
        )
        .map_err(failed)?;
    let (first, last) = chip.map_or((i64::MIN, i64::MAX), |chip| (chip.cast_signed(), chip.cast_signed()));
    let mut rows = statement.query(params![cell.0, first, last]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let word = |column: usize, place: &str| -> Result<&str, RecordsError> {
            row.get_ref(column).map_err(failed)?.as_str().map_err(|source| RecordsError::Damaged {
                path: file.to_owned(),
                place: place.to_owned(),
                reason: source.to_string(),
            })
        };
        let outcome = parse(file, "trials outcome", word(3, "trials outcome")?)?;
        let scores = if row.get_ref(17).map_err(failed)? == ValueRef::Null {
            TrialScores { outcome, ..golden.scores.clone() }
        } else {
            score::of_numbers(read_numbers(row, 18, file)?, outcome)
                .map_err(|column| wrong_type(file, "scores", column))?
        };
        let mut noticed = [0; 9];
        for (i, count) in noticed.iter_mut().enumerate() {
            *count = unsigned(row, 7 + i).map_err(failed)?;
        }
        let counted = |column| row.get::<_, Option<i64>>(column).map(|count| count.map(i64::cast_unsigned));
        take(Trial {
            chip: unsigned(row, 0).map_err(failed)?,
            flips: unsigned(row, 1).map_err(failed)?,
            flips_read: counted(5).map_err(failed)?,
            reads: counted(6).map_err(failed)?,
            noticed: Noticed::of_counts(noticed),
            path: parse(file, "trials path", word(2, "trials path")?)?,
            seconds: row.get(4).map_err(failed)?,
            scores,
        })?;
    }
    Ok(())
}

fn read_numbers(row: &Row<'_>, first: usize, file: &Path) -> Result<[Number; score::COUNT], RecordsError> {
    let mut numbers = [Number::Undefined; score::COUNT];
    for (column, number) in numbers.iter_mut().enumerate() {
        let value = row
            .get_ref(first + column)
            .map_err(|source| RecordsError::sqlite(file, "reading scores", source))?;
        *number = Number::read(value).ok_or_else(|| wrong_type(file, "scores", score::NAMES[column]))?;
    }
    Ok(numbers)
}

fn wrong_type(file: &Path, table: &str, column: &str) -> RecordsError {
    RecordsError::Damaged {
        path: file.to_owned(),
        place: format!("{table} {column}"),
        reason: "a value of another type".to_owned(),
    }
}

fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(
    file: &Path,
    place: &str,
    text: &str,
) -> Result<T, RecordsError> {
    text.parse().map_err(|source: T::Err| RecordsError::Damaged {
        path: file.to_owned(),
        place: place.to_owned(),
        reason: source.to_string(),
    })
}

pub(crate) fn signed(what: &'static str, value: u64) -> Result<i64, RecordsError> {
    i64::try_from(value).map_err(|_| RecordsError::TooLarge { what, value })
}

pub(crate) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}
