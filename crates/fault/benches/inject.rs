//! Drawing, injecting and undoing flips, beside one random number per bit and one pass of memcpy.
//!
//! A model of 18.5 M f32 words (wide-deep at Criteo's size), one thread. The dense reference draws one 32-bit word of
//! Philox per bit, compares it with the rate and flips; it undoes nothing, so the comparison is in its favour.

use std::hint::black_box;
use std::time::{Duration, Instant};

use radhard_fault::{
    BitErrorRate, Chip, Component, DrawnMap, DrawnParameter, ErrorModel, Expose, Exposure, Flips, Format,
    Injected, ParameterSpec, Parameters, Target, View, Words, WordsMut, philox,
};
use radhard_memory::Buffer;

const RATES: [f64; 8] = [1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2];
const ROWS: usize = 1_086_810;

/// Wall-clock time spent on each rate.
const BUDGET: Duration = Duration::from_millis(700);

/// f32 parameters in buffers with huge pages, as models have them.
#[derive(Clone)]
struct Model {
    specs: Vec<ParameterSpec>,
    words: Vec<Buffer<f32>>,
}

impl Model {
    fn new() -> Self {
        let shapes: [(&str, &[usize], Component); 10] = [
            ("embedding.embedding.weight", &[ROWS, 16], Component::Embedding),
            ("linear.bias", &[1], Component::Dense),
            ("linear.fc.weight", &[ROWS, 1], Component::Embedding),
            ("mlp.mlp.0.bias", &[16], Component::Dense),
            ("mlp.mlp.0.weight", &[16, 624], Component::Dense),
            ("mlp.mlp.1.bias", &[16], Component::Dense),
            ("mlp.mlp.1.weight", &[16], Component::Dense),
            ("mlp.mlp.4.bias", &[16], Component::Dense),
            ("mlp.mlp.4.weight", &[16, 16], Component::Dense),
            ("mlp.mlp.8.weight", &[1, 16], Component::Dense),
        ];
        let spec = |(name, shape, component): (&str, &[usize], _)| ParameterSpec {
            name: name.to_owned(),
            shape: shape.to_vec(),
            format: Format::F32,
            component,
        };
        let specs: Vec<_> = shapes.into_iter().map(spec).collect();
        let words = |spec: &ParameterSpec| {
            let mut words = Buffer::zeroed(spec.elements() as usize);
            for (i, word) in words.iter_mut().enumerate() {
                *word = (i as f32).sin();
            }
            words
        };
        Self { words: specs.iter().map(words).collect(), specs }
    }

    fn bytes(&self, index: usize) -> &[u8] {
        bytemuck::cast_slice(&self.words[index])
    }
}

impl Parameters for Model {
    fn specs(&self) -> &[ParameterSpec] {
        &self.specs
    }

    fn words(&self, index: usize) -> Words<'_> {
        let view = View::contiguous(Format::F32, self.words[index].len());
        Words::new(self.bytes(index), Format::F32, view).expect("the view is that of the buffer")
    }

    fn words_mut(&mut self, index: usize) -> WordsMut<'_> {
        let view = View::contiguous(Format::F32, self.words[index].len());
        WordsMut::new(bytemuck::cast_slice_mut(&mut self.words[index]), Format::F32, view)
            .expect("the view is that of the buffer")
    }
}

/// Median and ends of some times.
struct Times(Vec<f64>);

impl Times {
    fn measure(budget: Duration, at_least: usize, mut run: impl FnMut(u64)) -> Self {
        run(0);
        let (start, mut times) = (Instant::now(), Vec::new());
        while times.len() < at_least || (start.elapsed() < budget && times.len() < 10_000) {
            let lap = Instant::now();
            run(times.len() as u64);
            times.push(lap.elapsed().as_secs_f64());
        }
        times.sort_by(f64::total_cmp);
        Self(times)
    }

    fn median(&self) -> f64 {
        self.0[self.0.len() / 2]
    }

    fn row(&self) -> String {
        let (low, high) = (self.0[0], self.0[self.0.len() - 1]);
        format!("{} | {} – {} | {}", show(self.median()), show(low), show(high), self.0.len())
    }
}

fn show(seconds: f64) -> String {
    match seconds {
        s if s >= 1.0 => format!("{s:.2} s"),
        s if s >= 1e-3 => format!("{:.2} ms", s * 1e3),
        s => format!("{:.1} µs", s * 1e6),
    }
}

/// One 32-bit random word per bit, four to a block of Philox, compared with the rate.
fn dense(parameters: &mut Model, rate: f64, trial: u64) {
    let threshold = (rate * 4_294_967_296.0) as u32;
    for index in 0..parameters.specs().len() {
        let key = [trial as u32, index as u32];
        for (element, word) in parameters.words[index].iter_mut().enumerate() {
            let mut mask = 0;
            for block in 0..8 {
                let draws = philox::block([element as u32, (element >> 32) as u32, block, 0], key);
                for (bit, draw) in draws.into_iter().enumerate() {
                    mask |= u32::from(draw < threshold) << (4 * block as usize + bit);
                }
            }
            if mask != 0 {
                *word = f32::from_bits(word.to_bits() ^ mask);
            }
        }
    }
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or_else(|| "unknown".to_owned(), |(_, name)| name.to_owned())
}

fn flips_of(drawn: &DrawnMap) -> u64 {
    let flips = drawn.parameters().iter().flat_map(DrawnParameter::flips);
    flips.map(|mask| u64::from(mask.count_ones())).sum()
}

fn main() {
    let mut parameters = Model::new();
    let exposure: Exposure =
        Target::all().resolve(parameters.specs(), Expose::Parameters).expect("the model has parameters");
    let bits = exposure.bits() as f64;
    println!("{} words, {} bits, one thread, {}\n", exposure.words(), exposure.bits(), processor());

    let mut copies = parameters.words.clone();
    let memcpy = Times::measure(BUDGET, 5, |_| {
        for (copy, words) in copies.iter_mut().zip(&parameters.words) {
            copy.copy_from_slice(words);
        }
        black_box(&mut copies);
    });
    let reference = Times::measure(Duration::ZERO, 3, |trial| dense(&mut parameters, 1e-6, trial));
    println!("| what | median | min – max | runs | ns/bit |\n|---|---|---|---|---|");
    println!("| one pass of memcpy over the words | {} | |", memcpy.row());
    println!("| dense reference, no undo | {} | {:.2} |\n", reference.row(), reference.median() / bits * 1e9);

    let clean = parameters.clone();
    let mut drawn = DrawnMap::new();
    println!(
        "| rate | flips | draw + inject + undo | min – max | runs | ns/flip | of which draw | dense / this | memcpy / this |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for rate in RATES {
        let rate = BitErrorRate::new(rate).expect("rates are in [0, 1]");
        let mut flips = 0;
        let draw = |trial, drawn: &mut DrawnMap| {
            Flips.draw(Chip::new(1, trial), &exposure, Some(rate), drawn).expect("flips take a rate");
        };
        let times = Times::measure(BUDGET, 5, |trial| {
            draw(trial, &mut drawn);
            let injected = Injected::new(&mut parameters, &drawn).expect("the map is for this model");
            flips = injected.flips();
            black_box(&*injected);
        });
        assert_eq!(flips, flips_of(&drawn));
        let draws = Times::measure(BUDGET / 4, 5, |trial| draw(trial, &mut drawn));
        println!(
            "| {rate} | {flips} | {} | {:.1} | {} | {:.0}× | {:.1}× |",
            times.row(),
            times.median() * 1e9 / (bits * rate.get()),
            show(draws.median()),
            reference.median() / times.median(),
            memcpy.median() / times.median(),
        );
    }
    println!("\nmap and buffers: {} bytes", drawn.allocated_bytes());
    let bytes = |model: &Model| (0..10).all(|index| model.bytes(index) == clean.bytes(index));
    assert!(bytes(&parameters), "every byte is what it was");
}
