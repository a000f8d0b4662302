//! Appending trials: 100,000 a time in batches of 1,000, on chips without a flip and on chips with scores of their own.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on has failed")]

#[path = "../tests/fixture/mod.rs"]
mod fixture;

use divan::Bencher;
use divan::counter::ItemsCount;
use fixture::{cell, golden, header, trial};
use radhard_records::{CellId, Store, Trial};

const TRIALS: u64 = 100_000;
const BATCH: usize = 1000;

fn main() {
    divan::main();
}

fn append(bencher: Bencher<'_, '_>, like: u64) {
    bencher
        .counter(ItemsCount::new(TRIALS))
        .with_inputs(|| {
            let dir = tempfile::tempdir().unwrap();
            let mut store = Store::create_or_continue(dir.path(), &header()).unwrap();
            store.put_golden(&golden("fm", "none")).unwrap();
            let id = store.put_cell(&cell("fm", "all", 1e-9)).unwrap();
            let trials: Vec<(CellId, Trial)> =
                (0..TRIALS).map(|chip| (id, Trial { chip, ..trial(like) })).collect();
            (dir, store, trials)
        })
        .bench_local_values(|(dir, mut store, trials)| {
            for batch in trials.chunks(BATCH) {
                store.append(batch).unwrap();
            }
            (dir, store)
        });
}

#[divan::bench(sample_count = 10)]
fn known(bencher: Bencher<'_, '_>) {
    append(bencher, 0);
}

#[divan::bench(sample_count = 10)]
fn scored(bencher: Bencher<'_, '_>) {
    append(bencher, 1);
}
