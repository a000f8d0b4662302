//! Reading of clean protected words, whole: false alarms, and time beside unprotected passes.

use std::time::Instant;

use radhard_data::{Rows, RowsView};
use radhard_engine::LentModel;
use radhard_fault::{Format, Parameters};
use radhard_models::{Hooks, Model, Scores, TableRow};
use radhard_protect::{Checked, Protected, SliceReader};
use radhard_records::TimeRatio;
use rayon::prelude::*;

/// Rows that are passed for a time.
const TIMED_ROWS: usize = 1 << 14;
/// Pairs of passes.
const TURNS: usize = 15;
/// Words that a reader has at a time, about: they stay in cache.
const PIECE: usize = 1 << 15;

/// Words read in place by the stages of a protection, one after another.
struct Piece {
    words: Vec<u32>,
    readers: Vec<SliceReader>,
}

impl Piece {
    fn read(&mut self) -> Checked {
        let mut all = Checked::default();
        for reader in &mut self.readers {
            let checked = reader(&mut self.words);
            all.checks += checked.checks;
            all.fired += checked.fired;
        }
        all
    }
}

/// Cuts words of a parameter into pieces of whole rows, each with its readers.
fn pieces(protected: &Protected, index: usize, width: usize, words: &[u32]) -> Vec<Piece> {
    let piece =
        |words: &[u32]| Piece { words: words.to_vec(), readers: protected.slice_readers(index, words) };
    let of = words.chunks((PIECE / width).max(1) * width).map(piece);
    of.filter(|piece| !piece.readers.is_empty()).collect()
}

/// Words of an f32 parameter.
fn stored(lent: &LentModel, index: usize) -> Option<Vec<u32>> {
    let f32 = lent.specs()[index].format == Format::F32;
    f32.then(|| lent.words(index).iter().map(|word| word as u32).collect())
}

/// Reads every clean f32 word once, and makes the checks of values and results on some rows.
pub(crate) fn check_clean(lent: &LentModel, rows: &Rows<'_>, protected: &Protected) -> Checked {
    let mut all = Checked::default();
    if let Some(hooks) = protected.hooks() {
        let rows = rows.slice(0..rows.len().min(TIMED_ROWS));
        if let Ok(events) = lent.model().scores_hooked(&rows, hooks, &mut Scores::default()) {
            all.checks += (protected.cost().checks_per_sample * rows.len() as f64) as u64;
            all.fired += events.detected;
        }
    }
    for index in 0..lent.specs().len() {
        let Some(words) = stored(lent, index) else { continue };
        let width = lent.model().table_of(index).map_or(2, |table| table.words);
        for mut piece in pieces(protected, index, width, &words) {
            let checked = piece.read();
            all.checks += checked.checks;
            all.fired += checked.fired;
        }
    }
    all
}

/// The table words that rows look up, gathered; none for tables that are read by bag or not in f32.
fn gathered(lent: &LentModel, rows: &RowsView<'_>, index: usize) -> Option<(usize, Vec<u32>)> {
    let table = lent.model().table_of(index)?;
    if lent.specs()[index].format != Format::F32 || rows.bags.is_some() || rows.fields == 0 {
        return None;
    }
    let values = lent.model().parameters().as_slice()[index].f32s();
    let offsets = lent.model().config().offsets();
    let read = rows.indices.chunks_exact(rows.fields).flat_map(|row| {
        let ids = row.iter().zip(&offsets).map(|(&index, &offset)| TableRow::new(index).id(offset));
        ids.filter(|id| *id >= table.first).map(|id| id.row(table.first))
    });
    let count = values.len() / table.words;
    let words = read
        .filter(|row| row.index() < count)
        .flat_map(|row| &values[row.index() * table.words..][..table.words])
        .map(|value| value.to_bits())
        .collect();
    Some((table.words, words))
}

/// Time of a pass with the words it looks up read by a protection, over that of the pass alone; each reads on all cores. Where the
/// protection can, it reads in the block to which words are looked up, else words gathered apart. None where there is nothing to time,
/// or tables are not in f32.
pub(crate) fn time(lent: &LentModel, rows: &Rows<'_>, protected: &Protected) -> Option<TimeRatio> {
    let rows = rows.slice(0..rows.len().min(TIMED_ROWS));
    let mut looked_up = Vec::new();
    let mut once = Vec::new();
    let gather = protected.gather_hooks(lent.model());
    let hooks = gather.as_ref().map(|hooks| hooks as &dyn Hooks).or_else(|| protected.hooks());
    for index in 0..lent.specs().len() {
        if lent.model().table_of(index).is_some() {
            if gather.is_some() {
                continue;
            }
            let (width, words) = gathered(lent, &rows, index)?;
            looked_up.extend(pieces(protected, index, width, &words));
        } else if let Some(words) = stored(lent, index) {
            once.extend(pieces(protected, index, 2, &words));
        }
    }
    if looked_up.is_empty() && once.is_empty() && hooks.is_none() {
        return None;
    }
    let mut scores = Scores::default();
    let mut ratios = Vec::new();
    for turn in 0..=TURNS {
        let pass = seconds(|| pass(lent.model(), &rows, &mut scores))?;
        let hooked = match hooks {
            Some(hooks) => {
                seconds(|| lent.model().scores_hooked(&rows, hooks, &mut scores).ok().map(|_| ()))?
            }
            None => pass,
        };
        let reads = seconds(|| {
            looked_up.par_iter_mut().for_each(|piece| {
                std::hint::black_box(piece.read());
            });
            for piece in &mut once {
                std::hint::black_box(piece.read());
            }
            Some(())
        })?;
        // The first turn makes buffers.
        if turn > 0 {
            ratios.push((hooked + reads) / pass);
        }
    }
    ratios.sort_unstable_by(f64::total_cmp);
    Some(TimeRatio { median: ratios[TURNS / 2], low: ratios[0], high: ratios[TURNS - 1], n: TURNS as u64 })
}

fn pass(model: &Model, rows: &RowsView<'_>, scores: &mut Scores) -> Option<()> {
    model.scores(rows, scores).ok()
}

fn seconds(work: impl FnOnce() -> Option<()>) -> Option<f64> {
    let start = Instant::now();
    work()?;
    Some(start.elapsed().as_secs_f64())
}
