//! Tables in comma-separated text with a header.
use std::borrow::Cow;
use std::path::Path;

use crate::assembly::{Assembly, Piece, RowReader};
use crate::bad_line::{Reason, excerpt};
use crate::meta::{IdRule, Meta};
use crate::prepare::{Preparation, PrepareError};
use crate::progress::Report;
use crate::table::{self, Places, RowRules, TableOptions};
use crate::text::Text;

/// Prepares the csv file `input`, plain or gzip.
///
/// A column may stand in double quotes, where `""` means one quote; a quoted column ends on its line. Values of
/// categorical columns are taken byte for byte, an empty one is a value like any other; numbers may have spaces around.
pub fn csv(
    input: &Path,
    out: &Path,
    options: &TableOptions,
    report: &mut Report<'_>,
) -> Result<Meta, PrepareError> {
    let mut text = Text::open(input)?;
    let header = text.line()?.ok_or_else(|| PrepareError::Empty { path: input.to_owned() })?;
    let mut cells = Vec::new();
    split(&header, &mut cells).map_err(|_| PrepareError::Header {
        path: input.to_owned(),
        found: excerpt(&header),
        expected: "names of columns between commas".to_owned(),
    })?;
    let columns: Vec<String> =
        cells.iter().map(|cell| String::from_utf8_lossy(&cell.value(&header)).trim().to_owned()).collect();
    let places = options.locate(input, &columns)?;
    let rules = options.common.rules(&options.categorical, IdRule::Dense)?;
    let reader =
        CsvReader { rows: RowRules { options, rules: &rules.rules }, places, columns: columns.len() };
    let mut assembly = Assembly::new(&rules.rules);
    assembly.read(&mut text, 1, &reader, report)?;
    let (data, bad) = assembly.into_columns();
    Preparation { input, expected: columns.join(","), columns: data, bad, meta: options.meta("csv"), rules }
        .write(out, &options.common, report)
}

struct CsvReader<'a> {
    rows: RowRules<'a>,
    places: Places,
    columns: usize,
}

impl RowReader for CsvReader<'_> {
    fn fields(&self) -> usize {
        self.places.categorical.len()
    }

    fn read(&self, line: &[u8], piece: &mut Piece) -> Result<(), Reason> {
        let mut cells = Vec::with_capacity(self.columns);
        split(line, &mut cells)?;
        if cells.len() != self.columns {
            return Err(Reason::Columns { expected: self.columns, found: cells.len() });
        }
        let options = self.rows.options;
        let label = table::number(&options.label, &cells[self.places.label].value(line))?;
        let numeric = options
            .numeric
            .iter()
            .zip(&self.places.numeric)
            .map(|(name, place)| table::single(name, table::number(name, &cells[*place].value(line))?));
        let numeric: Vec<f32> = numeric.collect::<Result<_, _>>()?;
        let categories: Vec<Cow<'_, [u8]>> =
            self.places.categorical.iter().map(|place| cells[*place].value(line)).collect();
        self.rows.add(label, &numeric, |field| &categories[field], piece)
    }
}

/// One column of a line: its bytes without the quotes around, and whether quotes within are doubled.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Cell {
    begin: usize,
    end: usize,
    doubled: bool,
}

impl Cell {
    fn value<'a>(&self, line: &'a [u8]) -> Cow<'a, [u8]> {
        let bytes = &line[self.begin..self.end];
        if !self.doubled {
            return Cow::Borrowed(bytes);
        }
        let mut value = Vec::with_capacity(bytes.len());
        let mut rest = bytes.iter();
        while let Some(byte) = rest.next() {
            value.push(*byte);
            if *byte == b'"' {
                rest.next();
            }
        }
        Cow::Owned(value)
    }
}

/// The cells of a line.
fn split(line: &[u8], cells: &mut Vec<Cell>) -> Result<(), Reason> {
    let mut begin = 0;
    loop {
        if line.get(begin) != Some(&b'"') {
            let end = memchr::memchr(b',', &line[begin..]).map_or(line.len(), |at| begin + at);
            cells.push(Cell { begin, end, doubled: false });
            if end == line.len() {
                return Ok(());
            }
            begin = end + 1;
            continue;
        }
        begin += 1;
        let mut end = begin;
        let mut doubled = false;
        loop {
            end += memchr::memchr(b'"', &line[end..]).ok_or(Reason::Quote)?;
            if line.get(end + 1) != Some(&b'"') {
                break;
            }
            doubled = true;
            end += 2;
        }
        cells.push(Cell { begin, end, doubled });
        match line.get(end + 1) {
            None => return Ok(()),
            Some(b',') => begin = end + 2,
            Some(_) => return Err(Reason::Quote),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values(line: &str) -> Result<Vec<String>, Reason> {
        let mut cells = Vec::new();
        split(line.as_bytes(), &mut cells)?;
        Ok(cells
            .iter()
            .map(|cell| String::from_utf8(cell.value(line.as_bytes()).to_vec()).unwrap())
            .collect())
    }

    #[test]
    fn quotes_hold_commas_and_doubled_quotes() {
        assert_eq!(values("a,b").unwrap(), ["a", "b"]);
        assert_eq!(values("").unwrap(), [""]);
        assert_eq!(values(",").unwrap(), ["", ""]);
        assert_eq!(values(r#""a,b","say ""no""","#).unwrap(), ["a,b", "say \"no\"", ""]);
        assert_eq!(values(r#"a"b,"",c"#).unwrap(), ["a\"b", "", "c"]);
        for line in [r#""a"#, r#"a,"b"#, r#""a"b"#, r#"""""#] {
            assert_eq!(values(line), Err(Reason::Quote), "{line}");
        }
    }

    proptest! {
        #[test]
        fn what_is_quoted_is_read_back(cells in proptest::collection::vec("[a-c\", ]{0,6}", 1..5)) {
            let quoted: Vec<String> = cells.iter().map(|c| format!("\"{}\"", c.replace('"', "\"\""))).collect();
            prop_assert_eq!(values(&quoted.join(",")).unwrap(), cells);
        }

        #[test]
        fn any_bytes_split_or_are_bad(line: Vec<u8>) {
            let mut cells = Vec::new();
            if split(&line, &mut cells).is_ok() {
                prop_assert!(!cells.is_empty());
                for cell in cells {
                    cell.value(&line);
                }
            }
        }
    }
}
