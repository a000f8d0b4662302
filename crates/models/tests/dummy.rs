//! The dummy models agree with torch: outputs without faults, and the consequence of bit 30 in each parameter.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use radhard_data::{Bags, BagsView, RowsView};
use radhard_kernels::{Kernels, Path};
use radhard_models::{Config, Init, Model, NamedTensor, NumberFormat, Scores, ScoresError};
use safetensors::SafeTensors;

struct Golden {
    bytes: Vec<u8>,
    config: Config,
    parameters: Vec<String>,
}

impl Golden {
    fn open(name: &str) -> Self {
        let path = format!("{}/../../testdata/models/{name}.safetensors", env!("CARGO_MANIFEST_DIR"));
        let bytes = std::fs::read(path).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let meta = header.metadata().clone().unwrap();
        let number = |key: &str| meta[key].parse::<usize>().unwrap();
        let config = Config::dummy(
            number("depth"),
            number("hidden"),
            number("embed"),
            number("dense"),
            number("sparse") as u32,
        );
        let parameters = serde_json::from_str(&meta["parameters"]).unwrap();
        Self { bytes, config, parameters }
    }

    fn words<T>(&self, name: &str, read: impl Fn([u8; 4]) -> T) -> Vec<T> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let view = tensors.tensor(name).unwrap();
        view.data().as_chunks::<4>().0.iter().map(|word| read(*word)).collect()
    }

    fn f32s(&self, name: &str) -> Vec<f32> {
        self.words(name, f32::from_le_bytes)
    }

    fn model(&self) -> Model {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let views = tensors.tensors();
        let named: Vec<_> = views
            .iter()
            .filter(|(name, _)| self.parameters.contains(name))
            .map(|(name, view)| NamedTensor {
                name,
                shape: view.shape(),
                format: Some(NumberFormat::F32),
                bytes: view.data(),
            })
            .collect();
        Model::from_state_dict(&self.config, &named).unwrap()
    }

    fn bags(&self) -> Bags<'static> {
        let indices = self.words("io.bag_indices", u32::from_le_bytes);
        let mut offsets: Vec<u64> =
            self.words("io.bag_offsets", u32::from_le_bytes).into_iter().map(u64::from).collect();
        offsets.push(indices.len() as u64);
        Bags { dim: self.config.field_dims[0], offsets: offsets.into(), indices: indices.into() }
    }

    fn scores(&self, model: &Model, path: Path) -> Scores {
        let (bags, numeric) = (self.bags(), self.f32s("io.dense"));
        let labels = vec![0; bags.len()];
        let rows = RowsView {
            fields: 0,
            numeric_width: self.config.numeric,
            indices: &[],
            numeric: &numeric,
            labels: &labels,
            bags: Some(bags.view()),
        };
        let mut scores = Scores::default();
        model.scores_with(Kernels::on(path).unwrap(), &rows, &mut scores).unwrap();
        scores
    }
}

#[test]
fn outputs_agree_with_torch_and_are_raw() {
    for name in ["dummy-depth1", "dummy-depth2"] {
        let golden = Golden::open(name);
        let scores = golden.scores(&golden.model(), Path::Portable);
        for (row, (e, f)) in golden.f32s("io.output").iter().zip(&scores.logits).enumerate() {
            assert!((e - f).abs() <= 1e-5 * (1.0 + e.abs()), "{name}, row {row}: torch {e}, here {f}");
        }
        assert_eq!(scores.logits, scores.probabilities, "{name}");
    }
}

#[test]
fn bit_30_of_each_parameter_has_the_consequence_it_has_in_torch() {
    for name in ["dummy-depth1", "dummy-depth2"] {
        let golden = Golden::open(name);
        let elements: Vec<usize> = {
            let tensors = SafeTensors::deserialize(&golden.bytes).unwrap();
            let view = tensors.tensor("fault.each_parameter.element").unwrap();
            view.data().as_chunks::<8>().0.iter().map(|word| i64::from_le_bytes(*word) as usize).collect()
        };
        let expected = golden.f32s("fault.each_parameter.output");
        let rows = expected.len() / elements.len();
        for ((parameter, element), expected) in
            golden.parameters.iter().zip(elements).zip(expected.chunks_exact(rows))
        {
            let mut model = golden.model();
            let index = model.parameters().index_of(parameter).unwrap();
            model.parameters_mut()[index].bytes_mut()[4 * element + 3] ^= 0x40;
            let scores = golden.scores(&model, Path::Portable);
            for (row, (&e, &f)) in expected.iter().zip(&scores.logits).enumerate() {
                let same = if e.is_nan() || f.is_nan() {
                    e.is_nan() && f.is_nan()
                } else if e.is_infinite() || f.is_infinite() {
                    e == f
                } else if e.abs() > 1e6 {
                    f.abs() > 1e5 && e.signum() == f.signum()
                } else {
                    (e - f).abs() <= 1e-4 * e.abs().max(1.0)
                };
                assert!(same, "{name}, {parameter}[{element}], row {row}: torch {e:e}, here {f:e}");
            }
            for &path in Path::available() {
                assert!(golden.scores(&model, path).same_bits(&scores), "{name}, {parameter} on {path}");
            }
        }
    }
}

/// The model row by row from the plain kernels, by its definition.
fn plain_output(model: &Model, numeric: &[f32], bag: &[u32]) -> f32 {
    use radhard_kernels::plain;
    let tensor = |name: &str| {
        let index = model.parameters().index_of(name).unwrap();
        model.parameters()[index].bytes().as_chunks::<4>().0.iter().map(|w| f32::from_le_bytes(*w)).collect()
    };
    let layers = |prefix: &str, mut x: Vec<f32>, last: bool| {
        let depth = model.config().mlp_dims.len();
        for i in 0..=depth {
            let weight: Vec<f32> = tensor(&format!("{prefix}.{}.weight", 2 * i));
            let bias: Vec<f32> = tensor(&format!("{prefix}.{}.bias", 2 * i));
            let mut y = vec![0.0; bias.len()];
            plain::linear(&weight, &bias, &x, &mut y);
            x = if last && i == depth { y } else { y.into_iter().map(plain::relu).collect() };
        }
        x
    };
    let table: Vec<f32> = tensor("sparse_extractor.weight");
    let dim = model.config().embed_dim;
    let mut x = layers("dense_extractor", numeric.to_vec(), false);
    x.extend((0..dim).map(|d| bag.iter().fold(0.0, |sum, id| sum + table[*id as usize * dim + d])));
    layers("predictor", x, true)[0]
}

#[test]
fn outputs_are_those_of_the_plain_model_bit_for_bit_with_nan_and_infinity_too() {
    let golden = Golden::open("dummy-depth2");
    let (bags, numeric) = (golden.bags(), golden.f32s("io.dense"));
    let mut model = golden.model();
    for flip in 0..8 {
        let scores = golden.scores(&model, Path::Portable);
        for (row, found) in scores.logits.iter().enumerate() {
            let width = golden.config.numeric;
            let expected = plain_output(&model, &numeric[row * width..][..width], bags.view().of(row));
            assert!(
                expected.to_bits() == found.to_bits() || expected.is_nan() && found.is_nan(),
                "{flip} flips, row {row}: plain {expected:e}, here {found:e}"
            );
        }
        let tensor = &mut model.parameters_mut()[flip];
        let word = (flip * 7919) % tensor.bytes().len().div_ceil(4);
        tensor.bytes_mut()[4 * word + 3] ^= 0x7f;
    }
}

#[test]
fn a_model_of_bags_refuses_rows_without_them_and_the_other_way_round() {
    let (dummy, fm) = (Config::dummy(1, 8, 4, 2, 9), Config::new("fm", vec![9]));
    let bags = BagsView { offsets: &[0, 2], indices: &[1, 9] };
    let rows = |bags: Option<BagsView<'static>>| RowsView {
        fields: usize::from(bags.is_none()),
        numeric_width: 2 * usize::from(bags.is_some()),
        indices: if bags.is_some() { &[] } else { &[3] },
        numeric: if bags.is_some() { &[0.5, 1.0] } else { &[] },
        labels: &[0],
        bags,
    };
    let mut scores = Scores::default();
    let mut ask = |config: &Config, rows: &RowsView<'_>| {
        Model::new(config, Init::TorchFm, 1).unwrap().scores(rows, &mut scores)
    };
    assert_eq!(ask(&dummy, &rows(None)), Err(ScoresError::Bags { model: true }));
    assert_eq!(ask(&fm, &rows(Some(bags))), Err(ScoresError::Bags { model: false }));
    assert_eq!(
        ask(&dummy, &rows(Some(bags))),
        Err(ScoresError::Index { row: 0, field: 0, index: 9, dim: 9 })
    );
    assert_eq!(ask(&fm, &rows(None)), Ok(()));
}

#[test]
fn parameters_of_the_dummy_model_are_counted_as_in_the_paper_s_grid() {
    // 8192·64 + (128·64 + 64 + 64·32 + 32) + ((32 + 64)·64 + 64 + 64 + 1)
    let model = Model::new(&Config::dummy(1, 64, 64, 128, 8192), Init::TorchFm, 1).unwrap();
    assert_eq!(model.parameters().trained(), 8192 * 64 + 8192 + 64 + 2048 + 32 + 96 * 64 + 64 + 64 + 1);
}
