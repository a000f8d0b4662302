//! The two numbers of a table row, as types of their own: a row of one table, and an id among the rows of all fields.
//!
//! They differ by the id of the table's first row. Where one table holds all fields that is 0, so that a mix-up shows only
//! in models with a table per field.

/// A row of one table, counted from the table's first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct TableRow(u32);

/// A table row among those of all fields: the index within the field plus the field's offset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct GlobalId(u32);

impl TableRow {
    /// The id among the rows of all fields, of a row of the table whose first row has the id `first`.
    ///
    /// # Panics
    /// If it is above all ids.
    #[inline]
    pub fn id(self, first: GlobalId) -> GlobalId {
        match first.0.checked_add(self.0) {
            Some(id) => GlobalId(id),
            None => panic!("row {} of the table that begins at id {} is above all ids", self.0, first.0),
        }
    }
}

impl GlobalId {
    /// The id of the first row of the first field.
    pub const FIRST: Self = Self(0);

    /// The row of the table whose first row has the id `first`.
    ///
    /// # Panics
    /// If the id is of an earlier table.
    #[inline]
    pub fn row(self, first: GlobalId) -> TableRow {
        match self.0.checked_sub(first.0) {
            Some(row) => TableRow(row),
            None => panic!("id {} is before the table that begins at id {}", self.0, first.0),
        }
    }
}

/// Conversion of both types from and to plain numbers, one by one and in whole slices.
macro_rules! number {
    ($name:ident) => {
        impl $name {
            /// The number as this type.
            #[inline]
            pub const fn new(number: u32) -> Self {
                Self(number)
            }

            /// The plain number.
            #[inline]
            pub const fn get(self) -> u32 {
                self.0
            }

            /// The plain number, to index with.
            #[inline]
            pub const fn index(self) -> usize {
                self.0 as usize
            }

            /// Plain numbers as this type.
            #[inline]
            pub fn all(numbers: &[u32]) -> &[Self] {
                // SAFETY: the type is a transparent `u32`, so size, alignment and validity are the same.
                unsafe { std::slice::from_raw_parts(numbers.as_ptr().cast(), numbers.len()) }
            }

            /// The plain numbers, for loops over them.
            #[inline]
            pub fn numbers(all: &[Self]) -> &[u32] {
                // SAFETY: as above.
                unsafe { std::slice::from_raw_parts(all.as_ptr().cast(), all.len()) }
            }

            /// The plain numbers, to be written.
            #[inline]
            pub fn numbers_mut(all: &mut [Self]) -> &mut [u32] {
                // SAFETY: as above, and the borrow is unique.
                unsafe { std::slice::from_raw_parts_mut(all.as_mut_ptr().cast(), all.len()) }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(TableRow);
number!(GlobalId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_row_and_the_tables_first_id_and_back() {
        let first = GlobalId::new(40);
        assert_eq!(TableRow::new(2).id(first), GlobalId::new(42));
        assert_eq!(GlobalId::new(42).row(first), TableRow::new(2));
        assert_eq!(GlobalId::new(42).row(GlobalId::FIRST).get(), 42);
    }

    #[test]
    #[should_panic(expected = "id 39 is before the table that begins at id 40")]
    fn an_id_of_an_earlier_table_is_no_row() {
        let _ = GlobalId::new(39).row(GlobalId::new(40));
    }

    #[test]
    #[should_panic(expected = "is above all ids")]
    fn a_row_beyond_all_ids_is_no_id() {
        let _ = TableRow::new(1).id(GlobalId::new(u32::MAX));
    }

    #[test]
    fn slices_are_the_same_numbers() {
        let mut rows = vec![TableRow::new(3), TableRow::new(7)];
        assert_eq!(TableRow::numbers(&rows), [3, 7]);
        TableRow::numbers_mut(&mut rows)[1] = 9;
        assert_eq!(rows, TableRow::all(&[3, 9]));
        assert!(GlobalId::all(&[]).is_empty());
    }
}
