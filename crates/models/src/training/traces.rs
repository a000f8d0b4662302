//! Training agrees with torch on recorded traces of thirty steps.

use safetensors::SafeTensors;

use crate::file::NamedTensor;
use crate::parameter::{Component, NumberFormat};
use crate::training::TrainOptions;
use crate::training::batch::{Batch, Trainer};
use crate::{Config, Model, Scores, architectures};

fn words<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|&b| read(b)).collect()
}

fn model(config: &Config, file: &SafeTensors<'_>, prefix: &str) -> Model {
    let views = file.tensors();
    let named: Vec<_> = views
        .iter()
        .filter_map(|(name, view)| {
            let format =
                if view.dtype() == safetensors::Dtype::I64 { NumberFormat::I64 } else { NumberFormat::F32 };
            let (shape, bytes) = (view.shape(), view.data());
            Some(NamedTensor { name: name.strip_prefix(prefix)?, shape, format: Some(format), bytes })
        })
        .collect();
    Model::from_state_dict(config, &named).unwrap()
}

#[test]
fn thirty_steps_give_torchs_losses_and_weights() {
    for architecture in architectures().iter().filter(|a| !a.takes_bags()) {
        let name = architecture.name();
        let path =
            format!("{}/../../testdata/models/{name}.training.safetensors", env!("CARGO_MANIFEST_DIR"));
        let bytes = std::fs::read(path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let mut config = Config::new(name, vec![23, 7, 41, 13, 5]);
        config.dropout = 0.0;
        if name == "dlrm" {
            (config.numeric, config.bottom_dims, config.mlp_dims) = (6, vec![24], vec![20]);
        }
        let mut trained = model(&config, &file, "init.");
        let expected = model(&config, &file, "final.");
        let data = |name: &str| file.tensor(name).unwrap().data();
        let unsigned = |name: &str| words(data(name), |b| i32::from_le_bytes(b) as u32);
        let (indices, order) = (unsigned("io.indices"), unsigned("io.batch_rows"));
        let labels = data("io.label");
        let numeric =
            if config.numeric > 0 { words(data("io.dense"), f32::from_le_bytes) } else { Vec::new() };
        let losses = words(data("io.loss"), f32::from_le_bytes);

        let options = TrainOptions::default();
        let mut trainer = Trainer::new(trained.graph(), trained.parameters());
        for (step, (rows, loss)) in order.chunks_exact(64).zip(losses).enumerate() {
            let reader = radhard_data::RowReader::of_memory(5, config.numeric, &indices, &numeric);
            let batch = Batch { rows: reader, labels, order: rows };
            let (graph, parameters) = trained.split_mut();
            let found = trainer.step(graph, parameters, batch, &options).unwrap();
            assert!(
                (found - f64::from(loss)).abs() <= 1e-5,
                "{name}, step {step}: torch {loss}, here {found}"
            );
        }
        // A bias before a batch norm has gradient zero, of which Adam amplifies the rounding noise; and what follows
        // its noise is the running mean.
        let noisy = |name: &str| {
            ["mlp.mlp.0.bias", "mlp.mlp.4.bias", "mlp.mlp.1.running_mean", "mlp.mlp.5.running_mean"]
                .contains(&name)
        };
        for (e, f) in expected.parameters().iter().zip(trained.parameters()) {
            if e.format() == NumberFormat::I64 {
                assert_eq!(e.i64s(), f.i64s(), "{name}, {}", e.name());
                continue;
            }
            if noisy(e.name()) {
                continue;
            }
            assert!(e.component() != Component::State || e.name().ends_with("running_var"));
            for (i, (e32, f32)) in e.f32s().iter().zip(f.f32s()).enumerate() {
                assert!((e32 - f32).abs() <= 1e-5, "{name}, {}[{i}]: torch {e32}, here {f32}", e.name());
            }
        }
        let rows = radhard_data::RowsView {
            fields: 5,
            numeric_width: config.numeric,
            indices: &indices,
            numeric: &numeric,
            labels,
            bags: None,
        };
        let worst = |trained: &Model| {
            let (mut e, mut f) = (Scores::default(), Scores::default());
            expected.scores(&rows, &mut e).unwrap();
            trained.scores(&rows, &mut f).unwrap();
            let errors = e.logits.iter().zip(&f.logits).map(|(e, f)| (e - f).abs() / (1.0 + e.abs()));
            errors.fold(0.0f32, |worst, error| if error <= worst { worst } else { error })
        };
        // Noise moves such a bias by at most the learning rate a step, and the running mean follows about nine steps
        // behind: 9e-3 per hidden value.
        assert!(worst(&trained) <= 9e-3, "{name}: logits off by {}", worst(&trained));
        for (e, f) in expected.parameters().iter().zip(trained.parameters_mut()) {
            if noisy(e.name()) {
                f.bytes_mut().copy_from_slice(e.bytes());
            }
        }
        assert!(worst(&trained) <= 1e-4, "{name}: logits off by {} beside the noise", worst(&trained));
    }
}
