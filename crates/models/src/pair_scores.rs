//! Scores of attention for all indices of two fields, where the fields have so few that rows share them.

use std::ops::Range;

use radhard_data::RowsView;
use radhard_kernels::{Affine, GlobalId, Kernels, KnownScores, LANES, Lane, ScorePlaces, Table};
use radhard_memory::Buffer;
use rayon::prelude::*;

use crate::graph::Graph;
use crate::layers::Weights;
use crate::layers::pair_attention::PairAttention;
use crate::looked_up::{rows_of, straight};
use crate::pass::table_rows;
use crate::scores::{BLOCK, TASK as ROWS};
use crate::watch::Watch;

/// Most scores of two fields: what is read often of them stays in the caches.
const MOST: usize = 1 << 18;

/// Data rows per score from which on the scores of two fields pay.
const ROWS_PER_SCORE: usize = 4;

/// Scores of one task.
const TASK: usize = 1 << 15;

/// The scores of pairs of fields for all their indices.
pub(crate) struct PairScores {
    all: Buffer<f32>,
    places: Vec<ScorePlaces>,
    /// For each pair of fields in row order, which of these it is.
    pairs: Vec<Option<u32>>,
}

/// What is known of the scores of a task's rows: so many rows read the scores of one pair while these are in the caches.
#[derive(Default)]
pub(crate) struct KnownOfTask {
    first: usize,
    groups: usize,
    /// Table rows `[F, W]`.
    ids: Vec<GlobalId>,
    /// `[K, W]`.
    scores: Vec<Lane>,
}

/// Two fields, the one with fewer indices first.
struct Pair {
    at: usize,
    fields: [usize; 2],
}

impl PairScores {
    /// The scores that pay for so many data rows.
    pub(crate) fn new(
        graph: &Graph,
        weights: Weights<'_>,
        kernels: Kernels,
        attention: &PairAttention,
        (rows, watch): (usize, &Watch<'_>),
    ) -> Option<Self> {
        let (table, dim) = rows_of(graph, attention.input)?;
        if !attention.short() || weights.rewrites_rows() || !straight(graph, attention.input, watch) {
            return None;
        }
        let dims: Vec<usize> = graph.config().field_dims.iter().map(|dim| *dim as usize).collect();
        let (mut chosen, mut starts) = (Vec::new(), vec![0]);
        for (at, (i, j)) in attention.pairs().enumerate() {
            let count = dims[i].saturating_mul(dims[j]);
            if count > MOST || count.saturating_mul(ROWS_PER_SCORE) > rows {
                continue;
            }
            let fields = if dims[i] > dims[j] { [j, i] } else { [i, j] };
            starts.push(starts[chosen.len()] + count);
            chosen.push(Pair { at, fields });
        }
        let count = *starts.last()?;
        // Places are counted in 32 bits.
        u32::try_from(count).ok().filter(|count| *count > 0)?;
        let mut pairs = vec![None; attention.pairs().count()];
        let mut places = Vec::new();
        let offsets = graph.offsets();
        for (pair, &start) in chosen.iter().zip(&starts) {
            let [a, b] = pair.fields;
            let many = dims[b] as u32;
            let before = offsets[a].get().wrapping_mul(many).wrapping_add(offsets[b].get());
            pairs[pair.at] = Some(places.len() as u32);
            places.push(ScorePlaces {
                fields: [a as u32, b as u32],
                start: (start as u32).wrapping_sub(before),
                steps: [many, 1],
            });
        }
        // How many there are depends on the rows: room of past passes would seldom fit.
        let mut all = Buffer::zeroed(count);
        let (mut tasks, mut rest) = (Vec::new(), &mut all[..]);
        for pair in &chosen {
            let [few, many] = pair.fields.map(|field| dims[field]);
            let (mut own, behind) = rest.split_at_mut(few * many);
            rest = behind;
            let mut first = 0;
            while first < few {
                let count = (TASK / many).clamp(1, few - first);
                let (now, later) = own.split_at_mut(count * many);
                tasks.push((pair, first, now));
                (own, first) = (later, first + count);
            }
        }
        let table = weights.table(table);
        tasks.into_par_iter().for_each_init(
            || Room::new(dim),
            |room, (pair, first, out)| {
                let [a, b] = pair.fields.map(|field| offsets[field].index());
                let many = dims[pair.fields[1]];
                room.scores(kernels, attention.both(weights), (table, a + first, b), (many, out));
            },
        );
        Some(Self { all, places, pairs })
    }

    /// Looks up what is known of a task, as its first block comes.
    pub(crate) fn enter(
        &self,
        kernels: Kernels,
        offsets: &[GlobalId],
        (rows, block, block_rows): (&RowsView<'_>, &Range<usize>, usize),
        known: &mut KnownOfTask,
    ) {
        if !block.start.is_multiple_of(ROWS) {
            return;
        }
        let own = rows.slice(block.start..rows.len().min(block.start + ROWS));
        let padded = own.len().next_multiple_of(block_rows);
        (known.first, known.groups) = (block.start, padded / LANES);
        known.ids.resize(padded * offsets.len(), GlobalId::FIRST);
        table_rows(own.indices, offsets, &mut known.ids);
        known.scores.resize(self.places.len() * known.groups, [0.0; LANES]);
        kernels.known_scores(&self.all, &self.places, &known.ids, &mut known.scores);
    }

    /// What is known of the block that begins at a row.
    pub(crate) fn of<'a>(&'a self, first: usize, known: &'a KnownOfTask) -> KnownScores<'a> {
        let groups = (known.groups, (first - known.first) / LANES);
        KnownScores { scores: &known.scores, groups, pairs: &self.pairs }
    }
}

/// The buffers of one task.
struct Room {
    /// One row of the field with fewer indices.
    row: Vec<f32>,
    ids: Vec<GlobalId>,
    /// That row throughout, and rows of the other field `[2 · D, R]`.
    rows: Buffer<Lane>,
    product: Buffer<Lane>,
    scores: [Lane; GROUPS],
}

/// Lane groups of a block.
const GROUPS: usize = BLOCK / LANES;

impl Room {
    fn new(dim: usize) -> Self {
        let lanes = |width: usize| Buffer::<Lane>::zeroed(width * GROUPS);
        let (row, ids) = (vec![0.0; dim], vec![GlobalId::FIRST; BLOCK]);
        Self { row, ids, rows: lanes(2 * dim), product: lanes(dim), scores: [[0.0; LANES]; GROUPS] }
    }

    /// The scores `[…, many]` of the table rows from `a` on with each of those from `b` on.
    fn scores(
        &mut self,
        kernels: Kernels,
        layers: (Affine<'_>, Affine<'_>),
        (table, a, b): (Table<'_>, usize, usize),
        (many, out): (usize, &mut [f32]),
    ) {
        let Self { row, ids, rows, product, scores } = self;
        for first in (0..many).step_by(BLOCK) {
            let count = BLOCK.min(many - first);
            for (i, id) in ids.iter_mut().enumerate() {
                *id = GlobalId::new((b + first + i.min(count - 1)) as u32);
            }
            let dim = row.len();
            kernels.gather(table, ids, GlobalId::FIRST, dim, &mut rows[dim * GROUPS..]);
            for (i, out) in out.chunks_exact_mut(many).enumerate() {
                table.row(a + i, row);
                for (lanes, &x) in rows.chunks_exact_mut(GROUPS).zip(&row[..]) {
                    lanes.fill([x; LANES]);
                }
                kernels.pair_scores(rows, 2, layers, None, product, scores);
                out[first..first + count].copy_from_slice(&scores.as_flattened()[..count]);
            }
        }
    }
}
