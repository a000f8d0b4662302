//! How large a study is.

use radhard_models::Init;

/// Sizes of a study: what the paper did, or what minutes allow.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    /// Its word in file names and tables.
    pub name: &'static str,
    /// Rows of each stand-in, in the order of [`SETS`](crate::SETS); `None` draws as many as the real file has.
    pub rows: [Option<u64>; 3],
    /// Training rows used at most, in the same order; `None` uses all.
    pub train_rows: [Option<u64>; 3],
    /// Epochs at most, in the same order.
    pub epochs: [u64; 3],
    /// How weights start.
    pub init: Init,
    /// Chips in each cell of the grid.
    pub chips: u64,
    /// Chips in each cell of the protections.
    pub protected_chips: u64,
    /// Chips in each cell of the dummy models.
    pub dummy_chips: u64,
    /// Hidden and embedding widths of the dummy models.
    pub dummy_widths: &'static [usize],
    /// Rows of the dummy data.
    pub dummy_rows: u64,
    /// Chips in each cell of models with few and many dense inputs.
    pub input_chips: u64,
    /// Chips in each cell that shows a way of the released artefact.
    pub artefact_chips: u64,
}

impl Scale {
    /// The paper's sizes; the Criteo stand-in trains on its first 4 million rows.
    pub fn full() -> Self {
        Self {
            name: "full",
            rows: [None; 3],
            train_rows: [None, None, Some(4_000_000)],
            epochs: [40, 5, 2],
            init: Init::TorchFm,
            chips: 10,
            protected_chips: 10,
            dummy_chips: 40,
            dummy_widths: &[64, 128, 256, 512],
            dummy_rows: 10_000,
            input_chips: 100,
            artefact_chips: 10,
        }
    }

    /// What ten minutes on two cores allow: MovieLens-1M whole, the others' tables whole with fewer rows.
    ///
    /// First-order weights start at zero: torchfm's start, which `full` has, takes more rows and epochs than these to wear off.
    pub fn quick() -> Self {
        Self {
            name: "quick",
            rows: [None, Some(2_000_000), Some(400_000)],
            train_rows: [None; 3],
            epochs: [4, 3, 2],
            init: Init::ZeroFirstOrder,
            chips: 10,
            protected_chips: 10,
            dummy_chips: 40,
            dummy_widths: &[64, 512],
            dummy_rows: 2_000,
            input_chips: 60,
            artefact_chips: 10,
        }
    }

    /// The same with so many chips in every cell.
    #[must_use]
    pub fn with_chips(self, chips: u64) -> Self {
        Self {
            chips,
            protected_chips: chips,
            dummy_chips: chips,
            input_chips: chips,
            artefact_chips: chips,
            ..self
        }
    }

    /// What data and models are made by, in a line: chips may be added later, these may not change.
    pub fn in_words(&self) -> String {
        let count = |rows: &Option<u64>| rows.map_or_else(|| "all".to_owned(), |rows| rows.to_string());
        let of = |rows: &[Option<u64>; 3]| rows.iter().map(count).collect::<Vec<_>>().join(", ");
        format!(
            "{} (rows {}; training rows {}; epochs {}, {}, {}; dummy rows {})",
            self.name,
            of(&self.rows),
            of(&self.train_rows),
            self.epochs[0],
            self.epochs[1],
            self.epochs[2],
            self.dummy_rows
        )
    }
}
