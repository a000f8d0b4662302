//! Sums of bags held against totals: none of a million clean ones fails, whatever the rows are.
#![expect(clippy::unwrap_used, reason = "a fixture that fails should fail its test")]

use radhard_data::{BagsView, RowsView};
use radhard_fault::OwnedParameters;
use radhard_models::{Config, HookEvents, Init, Model, Scores};
use radhard_protect::{Protected, Subject, parse_protection};

const TABLE: u32 = 64;
const WIDTH: usize = 4;

fn model() -> Model {
    let config =
        Config { embed_dim: WIDTH, mlp_dims: vec![1], numeric: 1, ..Config::new("dummy", vec![TABLE]) };
    Model::new(&config, Init::TorchFm, 3).unwrap()
}

fn set(model: &mut Model, value: impl Fn(usize, usize) -> f32) {
    let table = model.parameters_mut().iter_mut().find(|tensor| tensor.shape() == [TABLE as usize, WIDTH]);
    for (at, word) in table.unwrap().f32s_mut().iter_mut().enumerate() {
        *word = value(at / WIDTH, at % WIDTH);
    }
}

/// Bags of 0 to 23 rows, and what a data row has beside.
struct Bags {
    offsets: Vec<u64>,
    indices: Vec<u32>,
    numeric: Vec<f32>,
    labels: Vec<u8>,
}

impl Bags {
    fn new(count: usize) -> Self {
        let mut state = 1u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 33) as u32
        };
        let (mut offsets, mut indices) = (vec![0], Vec::new());
        for _ in 0..count {
            let length = next() % 24;
            indices.extend((0..length).map(|_| next() % TABLE));
            offsets.push(indices.len() as u64);
        }
        Self { offsets, indices, numeric: vec![0.5; count], labels: vec![0; count] }
    }

    fn rows(&self) -> RowsView<'_> {
        RowsView {
            fields: 0,
            numeric_width: 1,
            indices: &[],
            numeric: &self.numeric,
            labels: &self.labels,
            bags: Some(BagsView { offsets: &self.offsets, indices: &self.indices }),
        }
    }
}

fn protect(model: &Model, name: &str) -> Protected {
    let parameters = OwnedParameters::default();
    let subject = Subject { model: Some(model), parameters: &parameters, calibration: None, looked_up: &[] };
    parse_protection(name).unwrap().prepare(&subject).unwrap()
}

fn hash(row: usize, d: usize) -> f32 {
    let mixed = ((row * WIDTH + d + 1) as u32).wrapping_mul(2_654_435_761);
    (mixed >> 8) as f32 / 8_388_608.0 - 1.0
}

#[test]
fn none_of_a_million_clean_bags_fails() {
    type Value = fn(usize, usize) -> f32;
    let kinds: [(&str, Value); 10] = [
        ("uniform", hash),
        ("of one sign", |row, d| 0.1 + hash(row, d).abs()),
        ("equal", |_, _| 0.1),
        ("rows that add up to zero", |row, d| if d % 2 == 0 { hash(row, d) } else { -hash(row, d - 1) }),
        ("rows centred on zero", |row, d| hash(row, d) - (0..WIDTH).map(|d| hash(row, d)).sum::<f32>() / 4.0),
        ("signs that alternate by row", |row, _| if row % 2 == 0 { 1.1 } else { -1.1 }),
        ("scales of 2^-60 to 2^60", |row, d| hash(row, d) * 2f32.powi((row * 7 + d * 29) as i32 % 121 - 60)),
        ("a giant and its negative", |row, d| match row % 8 {
            0 => 3e30,
            1 => -3e30,
            _ => hash(row, d),
        }),
        ("subnormal", |row, d| f32::from_bits((row * 977 + d * 31) as u32 % 4096 + 1)),
        ("around the smallest normal", |row, d| f32::MIN_POSITIVE * hash(row, d) * 3.0),
    ];
    let bags = Bags::new(100_000);
    for (name, value) in kinds {
        let mut model = model();
        set(&mut model, value);
        let protected = protect(&model, "abft-embedding:recompute");
        let events =
            model.scores_hooked(&bags.rows(), protected.hooks().unwrap(), &mut Scores::default()).unwrap();
        assert_eq!(events, HookEvents::default(), "{name}");
    }
}

#[test]
fn a_bag_with_a_flipped_row_fails_and_is_reloaded() {
    let mut model = model();
    set(&mut model, hash);
    let bags = Bags::new(1000);
    let protected = protect(&model, "abft-embedding:reload");
    // A total of 8 bytes and magnitudes of 4 for each row.
    assert_eq!(protected.cost().memory_bits, 96 * u64::from(TABLE));
    let mut golden = Scores::default();
    model.scores(&bags.rows(), &mut golden).unwrap();
    let hit = |row: u32| {
        let bag = |range: &[u64]| bags.indices[range[0] as usize..range[1] as usize].contains(&row);
        bags.offsets.windows(2).filter(|range| bag(range)).count() as u64
    };
    for bit in [20, 26, 30, 31] {
        let mut faulty = model.clone();
        let flipped = f32::from_bits(hash(9, 2).to_bits() ^ 1 << bit);
        set(&mut faulty, |row, d| if (row, d) == (9, 2) { flipped } else { hash(row, d) });
        let mut scores = Scores::default();
        let events = faulty.scores_hooked(&bags.rows(), protected.hooks().unwrap(), &mut scores).unwrap();
        assert_eq!((events.detected, events.reloads), (hit(9), hit(9)), "bit {bit}");
        assert!(scores.same_bits(&golden), "bit {bit}");
    }
}
