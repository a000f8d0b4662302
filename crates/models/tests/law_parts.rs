//! The law of parts: what is evaluated in part equals the full pass over the written model, bit for bit.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use radhard_data::{Bags, RowsView};
use radhard_kernels::{Answered, Answers, Kernels, Path};
use radhard_models::{
    Component, Config, Evaluation, GlobalId, Init, Kept, Model, NumberFormat, Overlay, Scores, TableFormat,
    TableRow, Together, Worker, architectures, convert,
};

/// A stream of numbers, the same on every run (Steele, Lea & Flood 2014).
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

const ROWS: usize = 333;

/// More than two tasks of a pass.
const MANY: usize = 2500;

struct Case {
    name: String,
    model: Model,
    indices: Vec<u32>,
    numeric: Vec<f32>,
    labels: Vec<u8>,
    bags: Option<Bags<'static>>,
}

impl Case {
    fn new(name: &str, format: TableFormat, dims: &[u32], seed: u64) -> Self {
        Self::of(ROWS, name, format, dims, seed)
    }

    fn of(count: usize, name: &str, format: TableFormat, dims: &[u32], seed: u64) -> Self {
        let mut draws = Draws(seed);
        let mut config = Config::new(name, dims.to_vec());
        if name == "dlrm" {
            (config.numeric, config.bottom_dims, config.mlp_dims) = (5, vec![9], vec![12, 7]);
        }
        if name == "dummy" {
            config = Config::dummy(dims.len() - 1, 20, 24, 6, 50);
        }
        let model = convert(&Model::new(&config, Init::TorchFm, seed).unwrap(), format).unwrap();
        let bags = (name == "dummy").then(|| {
            let mut offsets = vec![0];
            let mut indices = Vec::new();
            for _ in 0..count {
                for _ in 0..draws.below(4) {
                    indices.push(draws.below(50) as u32);
                }
                offsets.push(indices.len() as u64);
            }
            Bags { dim: 50, offsets: offsets.into(), indices: indices.into() }
        });
        let mut indices = Vec::new();
        if bags.is_none() {
            for _ in 0..count {
                indices.extend(dims.iter().map(|&dim| draws.below(dim as usize) as u32));
            }
        }
        let numeric = (0..count * config.numeric).map(|_| draws.below(1000) as f32 / 250.0 - 2.0).collect();
        Self { name: format!("{name} {format}"), model, indices, numeric, labels: vec![0; count], bags }
    }

    fn rows(&self) -> RowsView<'_> {
        RowsView {
            fields: if self.bags.is_some() { 0 } else { self.model.config().fields() },
            numeric_width: self.model.config().numeric,
            indices: &self.indices,
            numeric: &self.numeric,
            labels: &self.labels,
            bags: self.bags.as_ref().map(Bags::view),
        }
    }

    /// Random flips: the word that each touched element then reads, in no order.
    fn flips(&self, draws: &mut Draws, count: usize, dense: bool) -> Vec<(usize, usize, u64)> {
        let parameters = self.model.parameters();
        let mut writes: Vec<(usize, usize, u64)> = Vec::new();
        // A model with few dense words, or bits drawn twice, gets fewer.
        for _ in 0..50 * count {
            if writes.len() == count {
                break;
            }
            let parameter = draws.below(parameters.len());
            let tensor = &parameters[parameter];
            let embedding = tensor.component() == Component::Embedding;
            if tensor.format() == NumberFormat::I64 || dense && embedding {
                continue;
            }
            let element = draws.below(tensor.elements());
            if writes.iter().any(|(p, e, _)| (*p, *e) == (parameter, element)) {
                continue;
            }
            let size = tensor.format().bytes();
            let bytes = &tensor.bytes()[element * size..(element + 1) * size];
            let word = bytes.iter().rev().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
            // Half of the flips hit the upper bits, where NaN and infinity come from.
            let bits = 8 * size;
            let bit = if draws.below(2) == 0 { draws.below(bits) } else { bits - 1 - draws.below(3) };
            writes.push((parameter, element, word ^ 1 << bit));
        }
        writes
    }

    /// The full pass over a copy of the model into which the words were written.
    fn written(&self, writes: &[(usize, usize, u64)]) -> Scores {
        let mut bytes = self.model.clone();
        for &(parameter, element, word) in writes {
            let tensor = &mut bytes.parameters_mut()[parameter];
            let size = tensor.format().bytes();
            tensor.bytes_mut()[element * size..(element + 1) * size]
                .copy_from_slice(&word.to_le_bytes()[..size]);
        }
        let mut scores = Scores::default();
        bytes.scores(&self.rows(), &mut scores).unwrap();
        scores
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for architecture in architectures() {
        for format in TableFormat::ALL {
            cases.push(Case::new(architecture.name(), format, &[40, 7, 90], 3));
        }
        cases.push(Case::new(architecture.name(), TableFormat::F32, &[60, 80], 4));
        if architecture.name() == "dcn" {
            // 18 fields of 16: the last layer's chain is cut inside its second block.
            cases.push(Case::new("dcn", TableFormat::F32, &[11; 18], 5));
        }
    }
    cases
}

fn overlay(model: &Model, writes: &[(usize, usize, u64)], overlay: &mut Overlay) {
    overlay.clear();
    for &(parameter, element, word) in writes {
        overlay.write(model, parameter, element as u64, word);
    }
    overlay.finish(model);
}

#[test]
fn some_rows_under_an_overlay_are_those_of_the_written_model() {
    let mut draws = Draws(1);
    for case in cases() {
        let mut under = Overlay::new(&case.model);
        let mut worker = Worker::new(&case.model);
        let mut out = Scores::default();
        let kept = case.model.keep(&case.rows(), u64::MAX, &mut out).unwrap();
        // Without room for products.
        let bare = case.model.keep(&case.rows(), 0, &mut out).unwrap();
        assert_eq!(bare.bytes(), 0);
        let component = |parameter: usize| case.model.parameters()[parameter].component();
        for round in 0..16 {
            let mut writes = case.flips(&mut draws, [1, 3, 20][round % 3], false);
            // In half of the rounds only tables change.
            while round % 2 == 1 && writes.iter().all(|write| component(write.0) != Component::Embedding) {
                writes = case.flips(&mut draws, [1, 3, 20][round % 3], false);
            }
            writes.retain(|write| round % 2 == 0 || component(write.0) == Component::Embedding);
            overlay(&case.model, &writes, &mut under);
            let full = case.written(&writes);
            let mut selected: Vec<u32> = (0..ROWS as u32).filter(|_| draws.below(4) == 0).collect();
            selected.truncate([1, 16, 17, ROWS][round % 4]);
            for &path in Path::available() {
                let kernels = Kernels::on(path).unwrap();
                for apart in [None, kept.apart(), bare.apart()] {
                    let evaluation = Evaluation { kernels, rows: case.rows(), overlay: &under, apart };
                    case.model.scores_of(&evaluation, &selected, &mut worker, &mut out);
                    for (at, &row) in selected.iter().enumerate() {
                        let row = row as usize;
                        let same = out.logits[at].to_bits() == full.logits[row].to_bits()
                            && out.probabilities[at].to_bits() == full.probabilities[row].to_bits();
                        assert!(same, "{}, round {round}, row {row} on {path}, {apart:?}", case.name);
                    }
                }
            }
        }
        // Products are looked up by the models that have a dense layer on f32 rows, and terms by fm.
        let expected = case.name.ends_with("f32").then_some(&case.name[..case.name.len() - 4]);
        let looks_up = kept.apart().map(radhard_models::Apart::bytes);
        match expected {
            Some("deepfm" | "wide-deep" | "dcn") => {
                assert!(looks_up.is_some_and(|bytes| bytes > 0), "{}", case.name);
            }
            Some("fm") => assert_eq!(looks_up, Some(0)),
            _ => {}
        }
    }
}

#[test]
fn a_pass_from_kept_values_is_that_of_the_written_model() {
    let mut draws = Draws(2);
    for case in cases() {
        let mut golden = Scores::default();
        let all = case.model.keep(&case.rows(), u64::MAX, &mut golden).unwrap();
        let some = case.model.keep(&case.rows(), all.bytes() / 2, &mut golden).unwrap();
        assert!(golden.same_bits(&case.written(&[])), "{}", case.name);
        assert!(some.bytes() <= all.bytes() / 2);
        let mut under = Overlay::new(&case.model);
        let mut out = Scores::default();
        for round in 0..24 {
            let writes = case.flips(&mut draws, [1, 1, 2, 9][round % 4], true);
            overlay(&case.model, &writes, &mut under);
            let full = case.written(&writes);
            let kernels = Kernels::on(Path::available()[round % Path::available().len()]).unwrap();
            let evaluation = Evaluation { kernels, rows: case.rows(), overlay: &under, apart: None };
            for kept in [&all, &some, &Kept::nothing(ROWS)] {
                case.model.scores_from(kept, &evaluation, &mut out);
                assert!(out.same_bits(&full), "{}, round {round}, {} bytes kept", case.name, kept.bytes());
            }
            let [kept, nothing] =
                [&all, &Kept::nothing(ROWS)].map(|kept| case.model.suffix_cost(kept, &under));
            assert!((0.0..=nothing).contains(&kept), "{}: {kept} beside {nothing}", case.name);
        }
    }
}

#[test]
fn changes_that_are_evaluated_together_are_each_those_of_its_written_model() {
    let mut draws = Draws(7);
    for case in cases() {
        let mut golden = Scores::default();
        let kept = case.model.keep(&case.rows(), u64::MAX, &mut golden).unwrap();
        for round in 0..4 {
            // Single words many times over, so that changes meet in one layer, and one that changes nothing.
            let writes: Vec<_> = [1, 1, 1, 1, 1, 1, 3, 9, 0]
                .into_iter()
                .map(|count| case.flips(&mut draws, count, true))
                .collect();
            let overlays: Vec<Overlay> = writes
                .iter()
                .map(|writes| {
                    let mut under = Overlay::new(&case.model);
                    overlay(&case.model, writes, &mut under);
                    under
                })
                .collect();
            let kernels = Kernels::on(Path::available()[round % Path::available().len()]).unwrap();
            let nothing = Kept::nothing(ROWS);
            for kept in [&kept, &nothing] {
                let together = Together::new(&case.model, kept, kernels, &overlays);
                let mut room = together.room();
                let zeros = || Scores { logits: vec![0.0; ROWS], probabilities: vec![0.0; ROWS] };
                let mut out: Vec<Scores> = writes.iter().map(|_| zeros()).collect();
                let mut changed = vec![0; writes.len()];
                // In two pieces, as threads would.
                for range in [0..256, 256..ROWS] {
                    let answers = out.iter_mut().map(|out| Answers {
                        golden: &golden.probabilities[range.clone()],
                        answers: &mut out.probabilities[range.clone()],
                        logits: &mut out.logits[range.clone()],
                        counted: Answered::default(),
                    });
                    let mut answers: Vec<Answers<'_>> = answers.collect();
                    together.run(&case.rows(), range, &mut room, &mut answers);
                    for (count, answers) in changed.iter_mut().zip(&answers) {
                        *count += answers.counted.changed as usize;
                    }
                }
                for (out, changed) in out.iter().zip(changed) {
                    let pairs = out.probabilities.iter().zip(&golden.probabilities);
                    assert_eq!(changed, pairs.filter(|(p, g)| p.to_bits() != g.to_bits()).count());
                }
                for (at, (writes, out)) in writes.iter().zip(&out).enumerate() {
                    assert!(
                        out.same_bits(&case.written(writes)),
                        "{}, round {round}, change {at}",
                        case.name
                    );
                }
            }
        }
    }
}

#[test]
fn dense_changes_below_rows_that_read_changed_tables_are_evaluated_together() {
    let mut draws = Draws(5);
    for case in cases() {
        let mut golden = Scores::default();
        let kept = case.model.keep(&case.rows(), u64::MAX, &mut golden).unwrap();
        let mut under = Overlay::new(&case.model);
        let mut worker = Worker::new(&case.model);
        let (mut all, mut some) = (Scores::default(), Scores::default());
        for round in 0..6 {
            let mut writes = case.flips(&mut draws, 6, false);
            let dense = case.flips(&mut draws, 2, true);
            writes.retain(|(p, e, _)| dense.iter().all(|(q, f, _)| (p, e) != (q, f)));
            writes.extend(dense);
            overlay(&case.model, &writes, &mut under);
            let evaluation = Evaluation {
                kernels: Kernels::detected(),
                rows: case.rows(),
                overlay: &under,
                apart: kept.apart(),
            };
            case.model.scores_from(&kept, &evaluation, &mut all);
            let everyone: Vec<u32> = (0..ROWS as u32).collect();
            case.model.scores_of(&evaluation, &everyone, &mut worker, &mut some);
            assert!(some.same_bits(&case.written(&writes)), "{}, round {round}", case.name);
            let rows: std::collections::BTreeSet<GlobalId> = under.ids().collect();
            for row in 0..ROWS {
                let view = case.rows();
                let offsets = case.model.config().offsets();
                let reads = match view.bags {
                    Some(bags) => bags.of(row).iter().any(|id| rows.contains(&GlobalId::new(*id))),
                    None => (view.indices_of(row).iter().zip(&offsets))
                        .any(|(index, first)| rows.contains(&TableRow::new(*index).id(*first))),
                };
                if !reads {
                    assert_eq!(
                        all.logits[row].to_bits(),
                        some.logits[row].to_bits(),
                        "{}, row {row}",
                        case.name
                    );
                }
            }
        }
    }
}

#[test]
fn a_cleared_overlay_leaves_no_trace() {
    let mut draws = Draws(9);
    for case in cases() {
        let mut under = Overlay::new(&case.model);
        overlay(&case.model, &case.flips(&mut draws, 30, false), &mut under);
        assert!(!under.is_empty());
        overlay(&case.model, &[], &mut under);
        assert!(under.is_empty() && !under.dense_changed() && under.ids().next().is_none());
        let evaluation =
            Evaluation { kernels: Kernels::detected(), rows: case.rows(), overlay: &under, apart: None };
        let mut out = Scores::default();
        let everyone: Vec<u32> = (0..ROWS as u32).collect();
        case.model.scores_of(&evaluation, &everyone, &mut Worker::new(&case.model), &mut out);
        assert!(out.same_bits(&case.written(&[])), "{}", case.name);
    }
}

#[test]
fn attention_on_two_fields_is_worked_out_again_once_a_score_may_overflow() {
    let case = Case::new("afm", TableFormat::F32, &[60, 80], 4);
    let mut golden = Scores::default();
    let kept = case.model.keep(&case.rows(), u64::MAX, &mut golden).unwrap();
    let mut under = Overlay::new(&case.model);
    let mut out = Scores::default();
    let (mut costs, mut other) = (Vec::new(), 0);
    for name in ["afm.attention.weight", "afm.attention.bias", "afm.projection.weight", "afm.projection.bias"]
    {
        let parameter = case.model.parameters().index_of(name).unwrap();
        for value in [0.0, -3.0, 1e30, 3e38, f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
            let writes = [(parameter, 0, u64::from(value.to_bits()))];
            overlay(&case.model, &writes, &mut under);
            costs.push(case.model.suffix_cost(&kept, &under));
            let full = case.written(&writes);
            other += usize::from(!full.same_bits(&golden));
            let evaluation = Evaluation {
                kernels: Kernels::detected(),
                rows: case.rows(),
                overlay: &under,
                apart: kept.apart(),
            };
            case.model.scores_from(&kept, &evaluation, &mut out);
            assert!(out.same_bits(&full), "{name} = {value}");
        }
    }
    costs.sort_by(f64::total_cmp);
    // Attention that is known not to matter is passed over, and only that.
    let (least, most) = (costs[0], costs[costs.len() - 1]);
    let quick = costs.iter().filter(|cost| **cost == least).count();
    assert!(
        quick >= 10 && most > 3.0 * least && other >= 4,
        "{quick} quick of {costs:?}, {other} not golden"
    );
}

#[test]
fn attention_on_two_fields_that_rows_apart_look_up_is_worked_out_beyond_its_limit() {
    let case = Case::new("afm", TableFormat::F32, &[60, 80], 4);
    let mut golden = Scores::default();
    let kept = case.model.keep(&case.rows(), u64::MAX, &mut golden).unwrap();
    let (mut under, mut worker) = (Overlay::new(&case.model), Worker::new(&case.model));
    let everyone: Vec<u32> = (0..ROWS as u32).collect();
    let table = case.model.parameters().iter().position(|tensor| tensor.shape() == [140, 16]).unwrap();
    let (mut out, mut beyond) = (Scores::default(), 0);
    for value in [1.0f32, 1e20, -1e20, 3e38, f32::INFINITY, f32::NAN] {
        // One value of a row of the first field, and of all rows of the second.
        let rows = [7].into_iter().chain(60..140);
        let writes: Vec<_> = rows.map(|row| (table, row * 16, u64::from(value.to_bits()))).collect();
        overlay(&case.model, &writes, &mut under);
        let full = case.written(&writes);
        let (kernels, apart) = (Kernels::detected(), kept.apart());
        let evaluation = Evaluation { kernels, rows: case.rows(), overlay: &under, apart };
        case.model.scores_of(&evaluation, &everyone, &mut worker, &mut out);
        assert!(apart.is_some() && out.same_bits(&full), "{value}");
        beyond += usize::from(value.is_finite() && full.logits.iter().any(|logit| logit.is_nan()));
    }
    assert!(beyond > 0, "no finite word gives a score that is none");
}

#[test]
fn attention_whose_scores_many_rows_share_is_that_of_each_row() {
    let mut draws = Draws(11);
    for (format, dims) in [
        (TableFormat::F32, &[40, 7, 600, 90, 3, 200][..]),
        (TableFormat::Int8Rowwise, &[5, 300, 2, 17]),
        (TableFormat::F32, &[9, 9, 9]),
    ] {
        let case = Case::of(MANY, "afm", format, dims, 6);
        for count in [0, 0, 1, 40, 3000] {
            let mut model = case.model.clone();
            for (parameter, element, word) in case.flips(&mut draws, count, false) {
                let tensor = &mut model.parameters_mut()[parameter];
                let size = tensor.format().bytes();
                tensor.bytes_mut()[element * size..(element + 1) * size]
                    .copy_from_slice(&word.to_le_bytes()[..size]);
            }
            // Few rows share nothing.
            let (mut all, mut few) = (Scores::default(), Scores::default());
            for rows in [MANY, 1024, 2049, 1100] {
                let rows = case.rows().slice(0..rows);
                model.scores(&rows, &mut all).unwrap();
                for first in (0..rows.len()).step_by(7) {
                    let rows = rows.slice(first..rows.len().min(first + 7));
                    model.scores(&rows, &mut few).unwrap();
                    let same =
                        few.logits.iter().zip(&all.logits[first..]).all(|(a, b)| a.to_bits() == b.to_bits());
                    assert!(same, "{} from row {first} on, {count} flips", case.name);
                }
            }
        }
        let mut outside = Case::of(MANY, "afm", format, dims, 6);
        for place in [1030 * dims.len(), MANY * dims.len() - 1] {
            let old = std::mem::replace(&mut outside.indices[place], u32::MAX);
            let found = case.model.scores(&outside.rows(), &mut Scores::default());
            assert!(found.is_err(), "an index outside its field");
            outside.indices[place] = old;
        }
    }
}
