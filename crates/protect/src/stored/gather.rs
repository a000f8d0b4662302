//! Reading of table words as they are looked up, checked while they are in cache.

use std::borrow::Cow;

use radhard_kernels::{Bounds, Kernels, LANES, Lane, Table};
use radhard_models::{BLOCK, Checksum, GlobalId, HookCall, HookEvents, Hooks, LookupSite, TableRow};

use rayon::prelude::*;

use crate::combination::Protected;

/// What is looked up in one table for a block of data rows.
pub struct Lookups<'a> {
    /// The kernels; all give the same bits.
    pub kernels: Kernels,
    /// Rows of the table `[F, R]`.
    pub rows_read: &'a [TableRow],
    /// F.
    pub fields: usize,
    /// Data rows that are not padding.
    pub rows: usize,
}

impl Lookups<'_> {
    /// Lane groups of the block.
    pub(crate) fn groups(&self) -> usize {
        self.rows_read.len() / self.fields / LANES
    }

    /// The sum over data rows that are not padding.
    pub(crate) fn count(&self, of_rows: &[[u32; LANES]]) -> u64 {
        of_rows.as_flattened()[..self.rows].iter().map(|&count| u64::from(count)).sum()
    }
}

/// Reads f32 words of one table in place as they are looked up.
pub trait GatherReader: Send + Sync {
    /// Rewrites the bad ones among looked-up words `[F · D, R]`.
    fn read(&self, lookups: &Lookups<'_>, words: &mut [Lane]) -> HookEvents;

    /// Whether none of so many of the table's words, sixteen by sixteen, is bad; none where rows have to be told apart.
    fn passes(&self, _kernels: Kernels, _words: &[Lane]) -> Option<bool> {
        None
    }
}

/// Lanes of words that are checked at a time.
const PIECE: usize = 1 << 12;

/// Whether a reader leaves all rows of a table as they are.
fn passes_whole(reader: &dyn GatherReader, width: usize, words: &[f32]) -> bool {
    let kernels = Kernels::detected();
    let (lanes, rest) = words.as_chunks::<LANES>();
    if rest.is_empty() && reader.passes(kernels, &lanes[..0]).is_some() {
        return lanes.par_chunks(PIECE).all(|lanes| reader.passes(kernels, lanes) == Some(true));
    }
    let rows = words.len() / width;
    (0..rows.div_ceil(BLOCK)).into_par_iter().with_min_len(PIECE / BLOCK).all(|block| {
        let mut gathered = vec![[0.0; LANES]; width * BLOCK / LANES];
        let last = rows - 1;
        let numbers: [u32; BLOCK] = std::array::from_fn(|row| (block * BLOCK + row).min(last) as u32);
        // Of a table by itself, rows are ids.
        kernels.gather(Table::F32(words), GlobalId::all(&numbers), GlobalId::FIRST, width, &mut gathered);
        let lookups = Lookups { kernels, rows_read: TableRow::all(&numbers), fields: 1, rows: BLOCK };
        reader.read(&lookups, &mut gathered) == HookEvents::default()
    })
}

/// A layer that looks up, and what reads its words.
pub(crate) type SiteReaders = (LookupSite, Vec<Box<dyn GatherReader>>);

/// Protections whose readers check words as they are looked up, with what they do to values between layers.
pub struct GatherHooks<'a> {
    protected: &'a Protected,
    /// By layer.
    readers: Vec<Option<SiteReaders>>,
}

impl<'a> GatherHooks<'a> {
    pub(crate) fn new(protected: &'a Protected, readers: impl IntoIterator<Item = SiteReaders>) -> Self {
        let mut by_layer = Vec::new();
        for (site, readers) in readers {
            by_layer.resize_with(site.layer, || None);
            by_layer.push(Some((site, readers)));
        }
        Self { protected, readers: by_layer }
    }
}

impl Hooks for GatherHooks<'_> {
    fn acts(&self, layer: usize) -> bool {
        self.protected.acts(layer)
    }

    fn needs_input(&self, layer: usize) -> bool {
        self.protected.needs_input(layer)
    }

    fn vouches(&self, layer: usize, words: &[f32]) -> bool {
        self.protected.vouches(layer, words)
    }

    fn bounds(&self, layer: usize) -> Option<Bounds> {
        self.protected.bounds(layer)
    }

    fn checksum(&self, layer: usize) -> Option<Checksum<'_>> {
        self.protected.checksum(layer)
    }

    fn acts_inside(&self, layer: usize) -> bool {
        self.protected.acts_inside(layer)
    }

    fn inside(&self, call: &HookCall<'_>, product: usize, results: &mut [Lane]) -> HookEvents {
        self.protected.inside(call, product, results)
    }

    fn clean_bytes(&self, layer: usize) -> u64 {
        self.protected.clean_bytes(layer)
    }

    fn behind(&self, call: &HookCall<'_>, values: &mut [Lane]) -> HookEvents {
        self.protected.behind(call, values)
    }

    fn reads(&self, layer: usize) -> bool {
        matches!(self.readers.get(layer), Some(Some((_, readers))) if !readers.is_empty())
    }

    fn passes_whole(&self, layer: usize, words: &[f32]) -> bool {
        let Some(Some((site, readers))) = self.readers.get(layer) else { return false };
        readers.iter().all(|reader| passes_whole(reader.as_ref(), site.width, words))
    }

    fn read(&self, call: &HookCall<'_>, words: &mut [Lane]) -> HookEvents {
        let mut events = HookEvents::default();
        if let Some(Some((site, readers))) = self.readers.get(call.layer) {
            let fields = site.fields.len();
            let rows_read = rows_read(site, call, words.len() / site.width / fields * LANES);
            let lookups = Lookups { kernels: call.kernels, rows_read: &rows_read, fields, rows: call.rows };
            for reader in readers {
                events.add(reader.read(&lookups, words));
            }
        }
        events
    }
}

/// The rows of its table that a layer looks up, of a block of so many data rows.
pub(crate) fn rows_read<'a>(site: &LookupSite, call: &HookCall<'a>, block: usize) -> Cow<'a, [TableRow]> {
    let ids = &call.ids[site.fields.start * block..site.fields.end * block];
    if site.first == GlobalId::FIRST {
        Cow::Borrowed(TableRow::all(GlobalId::numbers(ids)))
    } else {
        Cow::Owned(ids.iter().map(|id| id.row(site.first)).collect())
    }
}
