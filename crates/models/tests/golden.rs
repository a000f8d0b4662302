//! Agreement with torch on recorded vectors: the same logits, and the same consequences of the same faults.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::path::PathBuf;

use radhard_data::RowsView;
use radhard_models::{Config, Model, NumberFormat, Scores, architectures};
use safetensors::SafeTensors;

/// A recorded file, parsed.
struct Golden {
    bytes: Vec<u8>,
    config: Config,
    /// State-dict names in torch's order of parameters, which faults index.
    parameters: Vec<String>,
}

fn words<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|&b| read(b)).collect()
}

impl Golden {
    fn open(name: &str) -> Self {
        let path: PathBuf =
            [env!("CARGO_MANIFEST_DIR"), "../../testdata/models", &format!("{name}.safetensors")]
                .iter()
                .collect();
        let bytes = std::fs::read(path).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let meta = header.metadata().clone().unwrap();
        let json = |key: &str| serde_json::from_str::<serde_json::Value>(&meta[key]).unwrap();
        let field_dims = serde_json::from_value(json("field_dims")).unwrap();
        let parameters = serde_json::from_value(json("parameters")).unwrap();
        let mut config = Config::new(name, field_dims);
        if name == "dlrm" {
            (config.numeric, config.bottom_dims, config.mlp_dims) = (6, vec![24], vec![20]);
        }
        Self { bytes, config, parameters }
    }

    fn tensors(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.bytes).unwrap()
    }

    fn f32s(&self, name: &str) -> Vec<f32> {
        words(self.tensors().tensor(name).unwrap().data(), f32::from_le_bytes)
    }

    fn i32s(&self, name: &str) -> Vec<i32> {
        words(self.tensors().tensor(name).unwrap().data(), i32::from_le_bytes)
    }

    fn i64s(&self, name: &str) -> Vec<i64> {
        words(self.tensors().tensor(name).unwrap().data(), i64::from_le_bytes)
    }

    fn numeric(&self) -> Vec<f32> {
        if self.config.numeric > 0 { self.f32s("io.dense") } else { Vec::new() }
    }

    fn u8s(&self, name: &str) -> Vec<u8> {
        self.tensors().tensor(name).unwrap().data().to_vec()
    }

    fn model(&self) -> Model {
        let views = self.tensors().tensors();
        let named: Vec<_> = views
            .iter()
            .filter(|(name, _)| !name.starts_with("io.") && !name.starts_with("fault."))
            .map(|(name, view)| radhard_models::NamedTensor {
                name,
                shape: view.shape(),
                format: Some(if view.dtype() == safetensors::Dtype::I64 {
                    NumberFormat::I64
                } else {
                    NumberFormat::F32
                }),
                bytes: view.data(),
            })
            .collect();
        Model::from_state_dict(&self.config, &named).unwrap()
    }

    fn scores(&self, model: &Model) -> Scores {
        let indices: Vec<u32> = self.i32s("io.indices").iter().map(|&i| i as u32).collect();
        let labels = self.u8s("io.label");
        let numeric = self.numeric();
        let rows = RowsView {
            fields: self.config.fields(),
            numeric_width: self.config.numeric,
            indices: &indices,
            numeric: &numeric,
            labels: &labels,
            bags: None,
        };
        let mut scores = Scores::default();
        model.scores(&rows, &mut scores).unwrap();
        scores
    }

    fn flip(&self, model: &mut Model, parameter: usize, element: usize, bit: u8) {
        let index = model.parameters().index_of(&self.parameters[parameter]).unwrap();
        model.parameters_mut()[index].bytes_mut()[element * 4 + usize::from(bit / 8)] ^= 1 << (bit % 8);
    }
}

fn names() -> Vec<&'static str> {
    // The dummy models have vectors of their own kind: tests/dummy.rs.
    architectures().iter().map(|a| a.name()).filter(|name| *name != "dummy").collect()
}

/// Finite values within 1e-4 relative, beyond 1e6 of the same sign; all others of the same class.
fn assert_same_consequences(what: &str, expected: &[f32], found: &[f32]) {
    for (row, (&e, &f)) in expected.iter().zip(found).enumerate() {
        let same = if e.is_nan() || f.is_nan() {
            e.is_nan() && f.is_nan()
        } else if e.is_infinite() || f.is_infinite() {
            e == f
        } else if e.abs() > 1e6 {
            f.abs() > 1e5 && e.signum() == f.signum()
        } else {
            (e - f).abs() <= 1e-4 * e.abs().max(1.0)
        };
        assert!(same, "{what}, row {row}: torch {e:e}, here {f:e}");
    }
}

#[test]
fn logits_agree_with_torch() {
    for name in names() {
        let golden = Golden::open(name);
        let scores = golden.scores(&golden.model());
        let mut worst = 0.0f32;
        for (row, (&e, &f)) in golden.f32s("io.logit").iter().zip(&scores.logits).enumerate() {
            let error = (e - f).abs() / (1.0 + e.abs());
            worst = worst.max(error);
            assert!(error <= 1e-5, "{name}, row {row}: torch {e}, here {f}");
        }
        for (row, (&e, &f)) in golden.f32s("io.probability").iter().zip(&scores.probabilities).enumerate() {
            assert!((e - f).abs() <= 1e-5, "{name}, row {row}: torch {e}, here {f}");
        }
    }
}

#[test]
fn fault_lists_have_the_consequences_they_have_in_torch() {
    for name in names() {
        let golden = Golden::open(name);
        for list in ["benign", "exponent", "uniform"] {
            if golden.tensors().tensor(&format!("fault.{list}.param")).is_err() {
                assert_eq!(name, "dlrm", "{list} is missing");
                continue;
            }
            let mut model = golden.model();
            let parameters = golden.i32s(&format!("fault.{list}.param"));
            let elements = golden.i64s(&format!("fault.{list}.element"));
            let bits = golden.u8s(&format!("fault.{list}.bit"));
            for ((&parameter, &element), &bit) in parameters.iter().zip(&elements).zip(&bits) {
                golden.flip(&mut model, parameter as usize, element as usize, bit);
            }
            let scores = golden.scores(&model);
            let what = format!("{name} under {list}");
            assert_same_consequences(&what, &golden.f32s(&format!("fault.{list}.logit")), &scores.logits);
            let expected = golden.f32s(&format!("fault.{list}.probability"));
            assert_same_consequences(&what, &expected, &scores.probabilities);
        }
    }
}

#[test]
fn bit_30_of_each_parameter_has_the_consequence_it_has_in_torch() {
    for name in names() {
        let golden = Golden::open(name);
        let elements = golden.i64s("fault.each_parameter.element");
        let expected = golden.f32s("fault.each_parameter.probability");
        let rows = golden.u8s("io.label").len();
        for (i, (&element, expected)) in elements.iter().zip(expected.chunks_exact(rows)).enumerate() {
            let mut model = golden.model();
            golden.flip(&mut model, i, element as usize, 30);
            let scores = golden.scores(&model);
            let what = format!("{name}, {}[{element}]", golden.parameters[i]);
            assert_same_consequences(&what, expected, &scores.probabilities);
        }
    }
}

#[test]
fn scores_do_not_depend_on_path_threads_or_neighbours() {
    for name in names() {
        let golden = Golden::open(name);
        let mut model = golden.model();
        let table = golden.parameters.iter().position(|p| p.starts_with("emb")).unwrap();
        golden.flip(&mut model, table, 3, 30);
        let whole = golden.scores(&model);
        let indices: Vec<u32> = golden.i32s("io.indices").iter().map(|&i| i as u32).collect();
        let labels = golden.u8s("io.label");
        let fields = golden.config.fields();
        let numeric = golden.numeric();
        let rows = |from: usize, to: usize| RowsView {
            fields,
            numeric_width: golden.config.numeric,
            indices: &indices[from * fields..to * fields],
            numeric: &numeric[from * golden.config.numeric..to * golden.config.numeric],
            labels: &labels[from..to],
            bags: None,
        };
        let mut scores = Scores::default();
        for &path in radhard_kernels::Path::available() {
            let kernels = radhard_kernels::Kernels::on(path).unwrap();
            model.scores_with(kernels, &rows(0, labels.len()), &mut scores).unwrap();
            assert!(scores.same_bits(&whole), "{name} on {path}");
        }
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| model.scores(&rows(0, labels.len()), &mut scores)).unwrap();
            assert!(scores.same_bits(&whole), "{name} on {threads} threads");
        }
        for row in [0, 17, 299] {
            model.scores(&rows(row, row + 1), &mut scores).unwrap();
            assert_eq!(scores.logits[0].to_bits(), whole.logits[row].to_bits(), "{name}, row {row} alone");
        }
    }
}
