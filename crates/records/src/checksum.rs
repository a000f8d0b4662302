//! Checksums of rows: CRC-32 over the values of a row as they are stored, as docs/formats/records.md defines it.

use rusqlite::types::{Value, ValueRef};

/// Runs over rows, value by value.
#[derive(Debug, Default)]
pub(crate) struct Checksum {
    bytes: Vec<u8>,
}

impl Checksum {
    /// Begins a row of a table.
    pub(crate) fn row(&mut self, table: &str) {
        self.text(table.as_bytes());
    }

    /// Takes the next value.
    pub(crate) fn take(&mut self, value: ValueRef<'_>) {
        match value {
            ValueRef::Null => self.bytes.push(0),
            ValueRef::Integer(integer) => self.word(1, integer.to_le_bytes()),
            // NaN is stored as NULL, and zero has no sign in the file.
            ValueRef::Real(real) if real.is_nan() => self.bytes.push(0),
            ValueRef::Real(real) => self.word(2, (real + 0.0).to_le_bytes()),
            ValueRef::Text(text) => self.text(text),
            // No column is a blob; where damage made one, it must not look like anything else.
            ValueRef::Blob(blob) => {
                self.bytes.push(4);
                self.bytes.extend_from_slice(blob);
            }
        }
    }

    /// A row of a table whole.
    pub(crate) fn values(&mut self, table: &str, values: &[Value]) {
        self.row(table);
        for value in values {
            self.take(ValueRef::from(value));
        }
    }

    fn word(&mut self, tag: u8, bytes: [u8; 8]) {
        self.bytes.push(tag);
        self.bytes.extend_from_slice(&bytes);
    }

    fn text(&mut self, text: &[u8]) {
        self.word(3, (text.len() as u64).to_le_bytes());
        self.bytes.extend_from_slice(text);
    }

    /// The checksum of what was taken; begins anew.
    pub(crate) fn finish(&mut self) -> i64 {
        let checksum = crc32fast::hash(&self.bytes);
        self.bytes.clear();
        i64::from(checksum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_checksum_that_the_page_gives() {
        let mut checksum = Checksum::default();
        checksum.values("header", &[Value::Text("seed".into()), Value::Text("7".into())]);
        let bytes = b"\x03\x06\0\0\0\0\0\0\0header\x03\x04\0\0\0\0\0\0\0seed\x03\x01\0\0\0\0\0\0\x007";
        assert_eq!(checksum.bytes, bytes);
        assert_eq!(checksum.finish(), i64::from(crc32fast::hash(bytes)));
        // The check value of CRC-32 as everyone defines it.
        assert_eq!(crc32fast::hash(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn values_that_the_file_holds_alike_have_one_checksum() {
        let of = |value: Value| {
            let mut checksum = Checksum::default();
            checksum.take(ValueRef::from(&value));
            checksum.finish()
        };
        assert_eq!(of(Value::Real(-0.0)), of(Value::Real(0.0)));
        assert_eq!(of(Value::Real(f64::NAN)), of(Value::Null));
        assert_ne!(of(Value::Integer(0)), of(Value::Real(0.0)));
        assert_ne!(of(Value::Text(String::new())), of(Value::Null));
    }
}
