//! Tables in the formats that fleets serve: what is stored, how far it is off, and what evaluation makes of it.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::ops::ControlFlow;

use proptest::prelude::*;
use radhard_data::{DataSet, RowsView};
use radhard_kernels::{Kernels, Path};
use radhard_models::{
    Component, Config, ConfigError, ConvertError, Init, Model, NumberFormat, Scores, StateDictError,
    TableFormat, TrainError, TrainOptions, architecture, architectures, convert, train,
};

const DIMS: [u32; 3] = [5, 40, 9];

fn model(name: &str, embed: usize, seed: u64) -> Model {
    let numeric = if architecture(name).unwrap().takes_numeric() { 2 } else { 0 };
    let config = Config { numeric, embed_dim: embed, ..Config::new(name, DIMS.to_vec()) };
    Model::new(&config, Init::TorchFm, seed).unwrap()
}

fn scores(model: &Model, kernels: Kernels, rows: usize) -> Scores {
    let indices: Vec<u32> = (0..rows * 3).map(|i| (i as u32 * 7919) % DIMS[i % 3]).collect();
    let width = model.config().numeric;
    let numeric: Vec<f32> = (0..rows * width).map(|i| (i % 13) as f32 / 3.0 - 2.0).collect();
    let labels = vec![0; rows];
    let view = RowsView {
        fields: 3,
        numeric_width: width,
        indices: &indices,
        numeric: &numeric,
        labels: &labels,
        bags: None,
    };
    let mut scores = Scores::default();
    model.scores_with(kernels, &view, &mut scores).unwrap();
    scores
}

/// An fm model of one field whose embedding row and first-order weight are these.
fn one_row(row: &[f32], first: f32) -> Model {
    let config = Config { embed_dim: row.len(), ..Config::new("fm", vec![1]) };
    let mut model = Model::new(&config, Init::TorchFm, 0).unwrap();
    for (name, values) in [("embedding.embedding.weight", row), ("linear.fc.weight", &[first][..])] {
        let at = model.parameters().index_of(name).unwrap();
        model.parameters_mut()[at].f32s_mut().copy_from_slice(values);
    }
    model
}

#[test]
fn known_values_are_stored_as_their_formats_say() {
    let model = one_row(&[-1.0, 0.0, 4.1, 0.5, 1.0 / 3.0], -2.5);
    let half = convert(&model, TableFormat::F16).unwrap();
    let words = half.parameters().named("embedding.embedding.weight").unwrap();
    assert_eq!((words.format(), words.component()), (NumberFormat::F16, Component::Embedding));
    assert_eq!(words.u16s(), [0xbc00, 0x0000, 0x441a, 0x3800, 0x3555]);
    assert_eq!(half.parameters().named("linear.fc.weight").unwrap().u16s(), [0xc100]);
    assert_eq!(half.parameters().named("linear.bias").unwrap().format(), NumberFormat::F32);

    let brain = convert(&model, TableFormat::Bf16).unwrap();
    let words = brain.parameters().named("embedding.embedding.weight").unwrap();
    assert_eq!(
        (words.format(), words.u16s()),
        (NumberFormat::Bf16, &[0xbf80, 0, 0x4083, 0x3f00, 0x3eab][..])
    );

    // A range of 5.1 in steps of 0.02.
    let quantised = convert(&model, TableFormat::Int8Rowwise).unwrap();
    let tensor = |name: &str| quantised.parameters().named(name).unwrap();
    let codes = tensor("embedding.embedding.weight.codes");
    assert_eq!(
        (codes.format(), codes.component(), codes.shape()),
        (NumberFormat::U8, Component::Embedding, &[1, 5][..])
    );
    assert_eq!(codes.bytes(), [0, 50, 255, 75, 67]);
    let (scale, bias) =
        (tensor("embedding.embedding.weight.scale"), tensor("embedding.embedding.weight.bias"));
    assert_eq!((scale.shape(), scale.f32s(), bias.f32s()), (&[1][..], &[0.02f32][..], &[-1.0f32][..]));
    assert_eq!((scale.component(), bias.component()), (Component::Embedding, Component::Embedding));
}

#[test]
fn rows_of_one_value_stay_f32_where_other_tables_become_int8_rowwise() {
    let model = one_row(&[-1.0, 0.0], -2.5);
    let quantised = convert(&model, TableFormat::Int8Rowwise).unwrap();
    let names: Vec<_> = quantised.parameters().iter().map(|t| (t.name(), t.format())).collect();
    assert_eq!(
        names,
        [
            ("embedding.embedding.weight.codes", NumberFormat::U8),
            ("embedding.embedding.weight.scale", NumberFormat::F32),
            ("embedding.embedding.weight.bias", NumberFormat::F32),
            ("linear.bias", NumberFormat::F32),
            ("linear.fc.weight", NumberFormat::F32),
        ]
    );
    assert_eq!(quantised.parameters().named("linear.fc.weight").unwrap().f32s(), [-2.5]);
    let narrow = convert(&one_row(&[0.3], 0.1), TableFormat::Int8Rowwise).unwrap();
    assert!(narrow.parameters().iter().all(|t| t.format() == NumberFormat::F32));
    // What int8 could not hold is kept.
    let wild = convert(&one_row(&[0.0, 1.0], f32::INFINITY), TableFormat::Int8Rowwise).unwrap();
    assert_eq!(wild.parameters().named("linear.fc.weight").unwrap().f32s(), [f32::INFINITY]);
}

#[test]
fn names_and_formats_read_back() {
    for format in TableFormat::ALL {
        assert_eq!(format.to_string().parse::<TableFormat>(), Ok(format));
        assert_eq!(serde_json::to_string(&format).unwrap(), format!("\"{format}\""));
    }
    let unknown = "int8".parse::<TableFormat>().unwrap_err().to_string();
    assert_eq!(unknown, "table format \"int8\" is not known; known are f32, f16, bf16, int8-rowwise");
    let names = [NumberFormat::F16, NumberFormat::Bf16, NumberFormat::U8].map(NumberFormat::as_str);
    assert_eq!(names, ["f16", "bf16", "u8"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_are_off_by_half_a_step_at_most(
        row in prop::collection::vec(prop_oneof![-2.0f32..2.0, -1e-3f32..1e-3, any::<f32>()], 2..40),
    ) {
        prop_assume!(row.iter().all(|x| x.is_finite() && x.abs() < 1e38));
        let model = one_row(&row, row[0]);
        let quantised = convert(&model, TableFormat::Int8Rowwise).unwrap();
        let back = convert(&quantised, TableFormat::F32).unwrap();
        let scale = quantised.parameters().named("embedding.embedding.weight.scale").unwrap().f32s()[0];
        let found = back.parameters().named("embedding.embedding.weight").unwrap().f32s();
        for (&w, &f) in row.iter().zip(found) {
            // Half a step; half a unit in the last place of the value; a subnormal scale, off by 2^-150, 255 times.
            let bound = f64::from(scale) * 0.500_000_1 + f64::from(f.abs()) / 16_777_216.0 + 255.0 * f64::exp2(-149.0);
            prop_assert!((f64::from(w) - f64::from(f)).abs() <= bound, "{w:e} became {f:e}, scale {scale:e}");
        }
        prop_assert_eq!(back.parameters().named("linear.fc.weight").unwrap().f32s()[0], row[0]);
        let halves = |format, relative: f64, step: f64| {
            let narrow: Vec<f32> = row.iter().map(|x| x.clamp(-6e4, 6e4)).collect();
            let back = convert(&convert(&one_row(&narrow, 0.0), format).unwrap(), TableFormat::F32).unwrap();
            let found = back.parameters().named("embedding.embedding.weight").unwrap().f32s().to_vec();
            narrow.iter().zip(found).all(|(&w, f)| {
                let off = (f64::from(w) - f64::from(f)).abs();
                off <= f64::from(w.abs()) * relative || off <= step
            })
        };
        prop_assert!(halves(TableFormat::F16, f64::exp2(-11.0), f64::exp2(-25.0)));
        prop_assert!(halves(TableFormat::Bf16, f64::exp2(-8.0), f64::exp2(-134.0)));
    }

    #[test]
    fn a_converted_model_is_the_f32_model_of_its_values_bit_for_bit_whatever_is_flipped(
        embed in 1usize..36,
        flips in prop::collection::vec(any::<(u32, u32)>(), 0..12),
        seed in any::<u64>(),
    ) {
        for architecture in architectures().iter().filter(|a| !a.takes_bags()) {
            let model = model(architecture.name(), embed, seed);
            for format in TableFormat::ALL {
                let mut converted = convert(&model, format).unwrap();
                for &(tensor, bit) in &flips {
                    let tables: Vec<usize> = (0..converted.parameters().len())
                        .filter(|&i| converted.parameters()[i].component() == Component::Embedding)
                        .collect();
                    let tensor = &mut converted.parameters_mut()[tables[tensor as usize % tables.len()]];
                    let bits = tensor.bytes().len() * 8;
                    // The upper bits of words turn half of these flips into NaN or extremes.
                    let bit = if bit & 1 == 0 { bit as usize | 6 } else { bit as usize } % bits;
                    tensor.bytes_mut()[bit / 8] ^= 1 << (bit % 8);
                }
                let values = convert(&converted, TableFormat::F32).unwrap();
                prop_assert_eq!(values.config(), model.config());
                let expected = scores(&values, Kernels::on(Path::Portable).unwrap(), 150);
                for &path in Path::available() {
                    let found = scores(&converted, Kernels::on(path).unwrap(), 150);
                    prop_assert!(found.same_bits(&expected), "{}, {format}, {path}", architecture.name());
                }
                if format == TableFormat::F32 && flips.is_empty() {
                    prop_assert_eq!(values.fingerprint(), model.fingerprint());
                }
            }
        }
    }
}

#[test]
fn every_half_word_reads_alike_in_a_file_and_in_evaluation() {
    // NaN and infinities of f16 among them.
    let mut model = convert(&model("wide-deep", 16, 3), TableFormat::F16).unwrap();
    let at = model.parameters().index_of("embedding.embedding.weight").unwrap();
    for (word, special) in model.parameters_mut()[at]
        .u16s_mut()
        .iter_mut()
        .step_by(50)
        .zip([0x7c00, 0xfc00, 0x7e01, 0x7c01, 0x0001, 0x83ff].into_iter().cycle())
    {
        *word = special;
    }
    let values = convert(&model, TableFormat::F32).unwrap();
    let (found, expected) =
        (scores(&model, Kernels::detected(), 300), scores(&values, Kernels::detected(), 300));
    assert!(found.same_bits(&expected));
    assert!(found.logits.iter().any(|x| x.is_nan()));
    assert!(found.logits.iter().any(|x| x.is_finite()));
}

fn saved(model: &Model) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("m.safetensors");
    model.save(&path).unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn converted_models_are_saved_and_opened_and_f32_files_stay_as_they_were() {
    for architecture in architectures().iter().filter(|a| !a.takes_bags()) {
        for format in TableFormat::ALL {
            let converted = convert(&model(architecture.name(), 7, 1), format).unwrap();
            let bytes = saved(&converted);
            let back = Model::from_bytes(&bytes).unwrap();
            assert_eq!(back.fingerprint(), converted.fingerprint());
            assert_eq!(back.config().tables, format);
            assert_eq!(saved(&back), bytes);
            let text = String::from_utf8_lossy(&bytes[8..]).into_owned();
            assert_eq!(text.contains("\\\"tables\\\""), format != TableFormat::F32);
        }
    }
}

#[test]
fn a_converted_file_cut_or_changed_never_panics() {
    let bytes = saved(&convert(&model("deepfm", 3, 1), TableFormat::Int8Rowwise).unwrap());
    for end in 0..bytes.len() {
        assert!(Model::from_bytes(&bytes[..end]).is_err(), "{end}");
    }
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    for at in 0..header {
        for change in [1u8, 0x80, 0x15] {
            let mut bytes = bytes.clone();
            bytes[at] ^= change;
            let _ = Model::from_bytes(&bytes);
        }
    }
}

#[test]
fn tensors_of_another_table_format_are_listed() {
    let half = convert(&model("fm", 4, 1), TableFormat::F16).unwrap();
    let bytes = String::from_utf8_lossy(&saved(&half)).into_owned();
    assert!(bytes.contains("\\\"tables\\\":\\\"f16\\\""));
    let mut told = saved(&half);
    let at = told.windows(3).position(|w| w == b"f16").unwrap();
    told[at..at + 3].copy_from_slice(b"f32");
    let error = Model::from_bytes(&told).unwrap_err();
    assert!(matches!(&error, radhard_models::OpenError::StateDict(StateDictError::Mismatch { .. })));
    let line =
        "model has embedding.embedding.weight f32 [54, 4], the file embedding.embedding.weight f16 [54, 4]";
    assert!(error.to_string().contains(line), "{error}");
    told[at..at + 3].copy_from_slice(b"f17");
    assert!(matches!(Model::from_bytes(&told), Err(radhard_models::OpenError::Metadata(_))));
}

#[test]
fn values_that_a_format_cannot_hold_are_refused_by_place() {
    let refused = |row: &[f32], format| convert(&one_row(row, 0.0), format).unwrap_err();
    let error = refused(&[1.0, 65520.0], TableFormat::F16);
    assert!(matches!(error, ConvertError::Overflow { row: 0, column: 1, .. }));
    assert_eq!(
        error.to_string(),
        "embedding.embedding.weight, row 0, column 1: 6.552e4 is beyond what f16 can hold"
    );
    assert!(matches!(refused(&[f32::MAX], TableFormat::Bf16), ConvertError::Overflow { .. }));
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let error = refused(&[1.0, value, 2.0], TableFormat::Int8Rowwise);
        assert!(matches!(error, ConvertError::NotFinite { row: 0, column: 1, .. }), "{error}");
        for format in [TableFormat::F16, TableFormat::Bf16, TableFormat::F32] {
            let kept = convert(&one_row(&[1.0, value], 0.0), format).unwrap();
            let back = convert(&kept, TableFormat::F32).unwrap();
            let found = back.parameters().named("embedding.embedding.weight").unwrap().f32s()[1];
            assert!(found == value || (found.is_nan() && value.is_nan()), "{value} as {format}");
        }
    }
    // The first misfit is named, on any number of threads.
    let config = Config { embed_dim: 2, ..Config::new("fm", vec![40_000]) };
    let mut model = Model::new(&config, Init::TorchFm, 0).unwrap();
    let at = model.parameters().index_of("embedding.embedding.weight").unwrap();
    for row in [9_001, 9_002, 39_999] {
        model.parameters_mut()[at].f32s_mut()[2 * row + 1] = 1e30;
    }
    let error = convert(&model, TableFormat::F16).unwrap_err();
    assert!(matches!(error, ConvertError::Overflow { row: 9_001, column: 1, .. }), "{error}");
}

#[test]
fn converted_tables_are_not_trained_and_untrained_models_are_f32() {
    let config = Config { tables: TableFormat::Bf16, ..Config::new("fm", vec![3]) };
    let error = Model::new(&config, Init::TorchFm, 0).unwrap_err();
    assert_eq!(error, ConfigError::Tables { format: TableFormat::Bf16 });
    assert_eq!(error.to_string(), "tables of an untrained model are f32, not bf16; convert it");

    let columns = radhard_data::Columns {
        indices: vec![0, 1],
        labels: vec![0, 1],
        parts: vec![0, 0],
        ..radhard_data::Columns::default()
    };
    let data =
        DataSet::from_columns(radhard_data::Meta::new("d", vec!["f".to_owned()], vec![3]), &columns).unwrap();
    let mut model = convert(&one_row(&[1.0], 0.0), TableFormat::Int8Rowwise).unwrap();
    let error =
        train(&mut model, &data, &TrainOptions::default(), &|_, _| None, &mut |_| ControlFlow::Continue(()))
            .unwrap_err();
    assert!(matches!(error, TrainError::Tables { format: TableFormat::Int8Rowwise }));
    assert_eq!(
        error.to_string(),
        "the tables are int8-rowwise; only f32 tables can be trained: train first, convert then"
    );
}
