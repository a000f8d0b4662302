//! How large a study is.

use radhard_models::Init;

/// Sizes of a study: what the paper did, or what minutes allow.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    /// Its word in file names and tables.
    pub name: &'static str,
    /// Which of [`SETS`](crate::SETS) are studied.
    pub sets: [bool; 3],
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
    /// Seeds of chips for the cells that claims count, in the order of the sets; the first is that of every campaign.
    pub seeds: [u64; 3],
    /// Chips with one flip of the top bit of a network, and with each number of several.
    pub profile_chips: [u64; 2],
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
    /// The paper's sizes and training: up to 100 epochs, until the validation AUC has not risen for 3; Criteo's models train on
    /// its first 4 million rows.
    pub fn full() -> Self {
        Self {
            name: "full",
            sets: [true; 3],
            rows: [None; 3],
            train_rows: [None, None, Some(4_000_000)],
            epochs: [100; 3],
            init: Init::TorchFm,
            chips: 10,
            protected_chips: 10,
            seeds: [5, 3, 1],
            profile_chips: [400, 100],
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
            sets: [true; 3],
            rows: [None, Some(2_000_000), Some(400_000)],
            train_rows: [None; 3],
            epochs: [4, 3, 2],
            init: Init::ZeroFirstOrder,
            chips: 10,
            protected_chips: 10,
            seeds: [5, 1, 1],
            profile_chips: [400, 100],
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
            profile_chips: [chips; 2],
            artefact_chips: chips,
            ..self
        }
    }

    /// The sets that are studied, by their places.
    pub fn chosen(&self) -> impl Iterator<Item = usize> + use<> {
        let sets = self.sets;
        (0..sets.len()).filter(move |place| sets[*place])
    }

    /// What data and models are made by, in a line: chips may be added later, these may not change.
    pub fn in_words(&self) -> String {
        let count = |rows: &Option<u64>| rows.map_or_else(|| "all".to_owned(), |rows| rows.to_string());
        let of = |rows: &[Option<u64>; 3]| rows.iter().map(count).collect::<Vec<_>>().join(", ");
        format!(
            "{} (rows {}; training rows {}; epochs at most {}, {}, {}; first-order weights {}; dummy rows {})",
            self.name,
            of(&self.rows),
            of(&self.train_rows),
            self.epochs[0],
            self.epochs[1],
            self.epochs[2],
            if self.init == Init::TorchFm { "N(0, 1)" } else { "0" },
            self.dummy_rows
        )
    }
}
