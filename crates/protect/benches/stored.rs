//! Reading protected words: every reader over the rows that a batch looks up, beside the pass of the model over that batch.
//!
//! Words are those of a fresh Wide&Deep of MovieLens-1M's shape, gathered for 65,536 random rows. Reader and pass take turns, both
//! on all threads; the overhead is the reader's time over the pass's. The code alone is timed on 64 MiB, one thread.

use std::hint::black_box;
use std::time::Instant;

use radhard_data::RowsView;
use radhard_fault::{Component, OwnedParameters};
use radhard_models::{Config, Init, Model, Scores};
use radhard_protect::stored::hsiao;
use radhard_protect::{SliceReader, Subject, parse_protection};
use rayon::prelude::*;

const ROWS: usize = 65_536;
const TURNS: usize = 15;
const DIMS: [u32; 2] = [6040, 3952];
const PIECE: usize = 4096;

const PROTECTIONS: [&str; 11] = [
    "constant-bits",
    "range-guard",
    "range-guard:row",
    "mset",
    "sbp=parity",
    "sbp=sec",
    "sbp=tmr:30",
    "tmr",
    "secded",
    "row-checksum",
    "row-checksum:crc32",
];

fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// Median (min–max).
fn spread(mut values: Vec<f64>) -> String {
    values.sort_unstable_by(f64::total_cmp);
    format!("{:.3} ({:.3}–{:.3})", values[values.len() / 2], values[0], values[values.len() - 1])
}

fn code() {
    let mut state = 1;
    let data: Vec<u64> = (0..1 << 23).map(|_| random(&mut state)).collect();
    let (mut read, mut check) = (data.clone(), vec![0; data.len()]);
    let gigabytes = data.len() as f64 * 8e-9;
    let (mut encode, mut decode, mut copy) = (Vec::new(), Vec::new(), Vec::new());
    let mut double = Vec::new();
    for _ in 0..TURNS {
        encode.push(gigabytes / seconds(|| hsiao::encode_all(black_box(&data), &mut check)));
        decode.push(
            gigabytes
                / seconds(|| {
                    black_box(hsiao::decode_all(black_box(&mut read), &check, &mut double));
                }),
        );
        copy.push(gigabytes / seconds(|| read.copy_from_slice(black_box(&data))));
    }
    println!("(72,64) code on 64 MiB, one thread, GB/s: median (min–max) of {TURNS} turns\n");
    println!("| work | GB/s |\n|---|---:|");
    for (name, rates) in [("encode", encode), ("decode, no error", decode), ("copy", copy)] {
        println!("| {name} | {} |", spread(rates));
    }
}

fn main() {
    code();
    let config = Config::new("wide-deep", DIMS.to_vec());
    let model = Model::new(&config, Init::TorchFm, 1).expect("a known model");
    let mut state = 7;
    let indices: Vec<u32> =
        (0..ROWS).flat_map(|_| DIMS).map(|dim| (random(&mut state) % u64::from(dim)) as u32).collect();
    let labels = vec![0; ROWS];
    let rows = RowsView {
        fields: 2,
        numeric_width: 0,
        indices: &indices,
        numeric: &[],
        labels: &labels,
        bags: None,
    };
    let table = model.parameters().named("embedding.embedding.weight").expect("a table");
    let width = table.shape()[1];
    let mut parameters = OwnedParameters::default();
    parameters.push_f32("table", &[table.shape()[0], width], Component::Embedding, table.f32s());
    let gathered: Vec<u32> = indices
        .chunks(2)
        .flat_map(|row| [row[0], row[1] + DIMS[0]])
        .flat_map(|id| &table.f32s()[id as usize * width..][..width])
        .map(|value| value.to_bits())
        .collect();
    let mut scores = Scores::default();
    println!(
        "\nReading {ROWS} rows of 2 × {width} words, over the pass of wide-deep on them: median (min–max) of {TURNS} turns\n"
    );
    println!("| protection | reader, ms | pass, ms | reader / pass |\n|---|---:|---:|---:|");
    for name in PROTECTIONS {
        let looked_up = [2.0 * width as f64];
        let subject = Subject {
            model: Some(&model),
            parameters: &parameters,
            calibration: None,
            looked_up: &looked_up,
        };
        let protected = parse_protection(name).expect("a name").prepare(&subject).expect("a place to act");
        let mut pieces: Vec<(Vec<u32>, SliceReader)> = gathered
            .chunks(PIECE * width)
            .map(|piece| (piece.to_vec(), protected.slice_readers(0, piece).pop().expect("a reader")))
            .collect();
        let (mut reads, mut passes) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            reads.push(seconds(|| {
                pieces.par_iter_mut().for_each(|(words, read)| {
                    black_box(read(words));
                });
            }));
            passes.push(seconds(|| model.scores(&rows, &mut scores).expect("rows fit")));
        }
        let ratio = reads.iter().zip(&passes).map(|(read, pass)| read / pass).collect();
        let ms = |times: Vec<f64>| spread(times.into_iter().map(|time| time * 1e3).collect());
        println!("| `{name}` | {} | {} | {} |", ms(reads), ms(passes), spread(ratio));
    }
}
