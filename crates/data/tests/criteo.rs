//! Criteo's `train.txt`, its stand-in and the dummy data, on small files.
#![expect(clippy::unwrap_used, reason = "what a test needs is there, or the test fails")]

use std::io::Write;
use std::path::Path;

use radhard_data::prepare::{
    CriteoIntegers, CriteoOptions, PrepareError, PrepareOptions, TableOptions, criteo, csv,
};
use radhard_data::synth::{DummyOptions, Shape, SynthOptions, dummy, synth};
use radhard_data::{DataSet, IdRule, Info, Meta, OpenError, Part, Split, Vocabulary};

/// A line with the given label, I1, I2 and C1; all else is missing.
fn line(label: &str, integers: [&str; 2], word: &str) -> String {
    format!("{label}\t{}\t{}{}{word}{}", integers[0], integers[1], "\t".repeat(12), "\t".repeat(25))
}

fn sample() -> String {
    let lines = [
        line("1", ["1", "0"], "0000000b"),
        line("0", ["1", "99"], "0000000a"),
        line("0", ["", "-3"], "0000000b"),
        line("1", ["5", "0"], "0000000a"),
    ];
    lines.join("\n") + "\n"
}

fn options(rare_below: u32) -> CriteoOptions {
    CriteoOptions { rare_below, ..CriteoOptions::default() }
}

fn prepared(text: &[u8], options: &CriteoOptions) -> Result<(Meta, DataSet, Vec<u8>), PrepareError> {
    let dir = tempfile::tempdir().unwrap();
    let (input, out) = (dir.path().join("train.txt"), dir.path().join("out.data"));
    std::fs::write(&input, text).unwrap();
    let mut progress = Vec::new();
    let result = criteo(dir.path(), &out, options, &mut |p| progress.push(p));
    assert!(progress.iter().all(|p| p.done <= p.total));
    assert_eq!(result.is_ok(), out.exists());
    let meta = result?;
    Ok((meta, DataSet::open(&out).unwrap(), std::fs::read(&out).unwrap()))
}

fn strings(values: &[&str]) -> Vocabulary {
    Vocabulary::Strings(values.iter().map(|v| v.as_bytes().into()).collect())
}

fn column(data: &DataSet, field: usize) -> Vec<u32> {
    data.select(Part::All).field(field).collect()
}

#[test]
fn values_are_ordered_by_count_and_then_by_their_bytes() {
    let (meta, data, _) = prepared(sample().as_bytes(), &options(1)).unwrap();
    assert_eq!((meta.rows, meta.positives, meta.bad_lines, meta.rare_below), (4, 2, 0, Some(1)));
    assert_eq!((meta.fields(), &meta.field_names[0][..], &meta.field_names[38][..]), (39, "I1", "C26"));
    assert_eq!((&meta.source[..], meta.ids, meta.stand_in), ("train.txt", IdRule::Dense, false));
    // I1: 1 is category -1 twice, then once each the missing value and 5, of category floor(ln(5)²) = 2.
    assert_eq!(data.vocabulary(0), Some(&strings(&["-1", "", "2"])));
    assert_eq!(column(&data, 0), [0, 0, 1, 2]);
    // I2: 0 is category -2 twice, then -3 is -5 and 99 is floor(ln(99)²) = floor(21.115…) = 21.
    assert_eq!(data.vocabulary(1), Some(&strings(&["-2", "-5", "21"])));
    assert_eq!(column(&data, 1), [0, 2, 1, 0]);
    assert_eq!(data.vocabulary(13), Some(&strings(&["0000000a", "0000000b"])));
    assert_eq!(column(&data, 13), [1, 0, 1, 0]);
    // One value and the row of rare values, which no value is.
    assert_eq!((data.vocabulary(38), meta.field_dims[38]), (Some(&strings(&[""])), 2));
    assert_eq!(&meta.field_dims[..3], [4, 4, 2]);
    assert_eq!(data.labels(), [1, 0, 0, 1]);
    assert_eq!(data.meta(), &meta);
    assert_eq!(data.computed_fingerprint(), meta.fingerprint);
}

#[test]
fn rare_values_share_the_row_after_the_others() {
    let (meta, data, _) = prepared(sample().as_bytes(), &options(2)).unwrap();
    assert_eq!(data.vocabulary(0), Some(&strings(&["-1"])));
    assert_eq!((column(&data, 0), column(&data, 1)), (vec![0, 0, 1, 1], vec![0, 1, 1, 0]));
    assert_eq!((&meta.field_dims[..3], meta.field_dims[13]), (&[2, 2, 2][..], 3));
    let (meta, data, _) = prepared(sample().as_bytes(), &CriteoOptions::default()).unwrap();
    assert_eq!((meta.rare_below, &meta.field_dims[..]), (Some(10), &[1; 39][..]));
    assert!(data.indices().iter().all(|index| *index == 0));
}

#[test]
fn dense_integers_are_logarithms() {
    let options = CriteoOptions { integers: CriteoIntegers::Dense, ..options(1) };
    let (meta, data, bytes) = prepared(sample().as_bytes(), &options).unwrap();
    assert_eq!((meta.fields(), &meta.field_names[0][..], meta.numeric_names.len()), (26, "C1", 13));
    assert_eq!(column(&data, 0), [1, 0, 1, 0]);
    let ln = |value: f64| value.ln() as f32;
    let rows: Vec<&[f32]> = data.numeric().chunks_exact(13).map(|row| &row[..3]).collect();
    assert_eq!(rows, [[ln(2.0), 0.0, 0.0], [ln(2.0), ln(100.0), 0.0], [0.0; 3], [ln(6.0), 0.0, 0.0]]);
    assert_eq!(data.computed_fingerprint(), meta.fingerprint);
    assert_eq!(DataSet::from_bytes(&bytes).unwrap().meta(), &meta);
}

#[test]
fn ends_of_lines_and_gzip_make_no_difference() {
    let whole = prepared(sample().as_bytes(), &options(1)).unwrap().2;
    let returns = sample().replace('\n', "\r\n");
    assert!(prepared(returns.as_bytes(), &options(1)).unwrap().2 == whole);
    assert!(prepared(returns.trim_end_matches(['\r', '\n']).as_bytes(), &options(1)).unwrap().2 == whole);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(sample().as_bytes()).unwrap();
    assert!(prepared(&encoder.finish().unwrap(), &options(1)).unwrap().2 == whole);
}

#[test]
fn bad_lines_are_counted_and_named() {
    let bad = [
        line("1", ["x", ""], ""),
        line("1", ["", ""], "xyz"),
        line("2", ["", ""], ""),
        "1\t2\t3".to_owned(),
        line("1", ["", ""], "") + "\t",
        String::new(),
    ];
    let text = sample() + &bad.join("\n") + "\n" + &line("1", ["7", "7"], "0000000c");
    let error = prepared(text.as_bytes(), &options(1)).unwrap_err();
    assert!(matches!(error, PrepareError::BadLines { allowed: 0, .. }));
    for expected in [
        "6 bad lines",
        "line 5: I1 \"x\" is not a number",
        "line 6: C1 \"xyz\" is not a hexadecimal word",
        "line 7: label \"2\"",
        "line 8: expected 40 columns, found 3",
        "line 9: expected 40 columns, found 41",
        "line 10: expected 40 columns, found 1",
    ] {
        assert!(error.to_string().contains(expected), "{error}, expected {expected}");
    }
    let common = PrepareOptions { max_bad_lines: 6, ..PrepareOptions::default() };
    let (meta, data, _) = prepared(text.as_bytes(), &CriteoOptions { common, ..options(1) }).unwrap();
    assert_eq!((meta.rows, meta.bad_lines), (5, 6));
    assert_eq!(data.vocabulary(13), Some(&strings(&["0000000a", "0000000b", "0000000c"])));
    assert!(meta.notes[0].starts_with("left out: 6 bad lines"));
    assert_eq!(meta.notes[1], "11 lines, where the published train.txt has 45840617");
}

#[test]
fn files_without_rows_are_refused() {
    assert!(matches!(prepared(b"", &options(1)), Err(PrepareError::Empty { .. })));
    assert!(matches!(
        prepared(b"label,clicks\n1,2\n", &options(1)),
        Err(PrepareError::NoRow { lines: 2, .. })
    ));
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let missing = criteo(dir.path(), &out, &options(1), &mut |_| {}).unwrap_err();
    assert!(matches!(missing, PrepareError::NoFile { .. }), "{missing}");
}

#[test]
fn options_that_do_not_fit_are_refused() {
    let with = |common: PrepareOptions| {
        prepared(sample().as_bytes(), &CriteoOptions { common, ..options(1) }).map(|p| p.0.field_dims)
    };
    let error = with(PrepareOptions { ids: Some(IdRule::Index), ..PrepareOptions::default() }).unwrap_err();
    assert!(matches!(error, PrepareError::HashedIds { .. }), "{error}");
    let dims = |dim| PrepareOptions { field_dims: Some(vec![dim; 39]), ..PrepareOptions::default() };
    let error = with(dims(3)).unwrap_err();
    assert_eq!(error.to_string(), "field `I1` has 4 values, but its dim is declared as 3");
    assert_eq!(with(dims(9)).unwrap(), [9; 39]);
}

#[test]
fn a_vocabulary_gives_unknown_values_the_row_of_rare_ones() {
    let dir = tempfile::tempdir().unwrap();
    let (input, first, second) =
        (dir.path().join("train.txt"), dir.path().join("first.data"), dir.path().join("second.data"));
    std::fs::write(&input, sample()).unwrap();
    let known = criteo(&input, &first, &options(1), &mut |_| {}).unwrap();
    let common = || PrepareOptions { vocabulary: Some(first.clone()), ..PrepareOptions::default() };
    let new = [line("1", ["77", "1000000"], "0000000c"), line("0", ["", "0"], "0000000b")].join("\n");
    std::fs::write(&input, new).unwrap();
    let options = CriteoOptions { common: common(), ..options(1) };
    let meta = criteo(&input, &second, &options, &mut |_| {}).unwrap();
    let data = DataSet::open(&second).unwrap();
    assert_eq!((&meta.field_dims, meta.rare_below), (&known.field_dims, Some(1)));
    assert_eq!((column(&data, 0), column(&data, 1), column(&data, 13)), (vec![3, 1], vec![3, 0], vec![2, 1]));
    // The same vocabulary serves a table with the same fields.
    let header: Vec<String> =
        (1..=13).map(|n| format!("I{n}")).chain((1..=26).map(|n| format!("C{n}"))).collect();
    std::fs::write(&input, format!("y,{}\n1,-1{}\n", header.join(","), ",ff".repeat(38))).unwrap();
    let table =
        TableOptions { label: "y".into(), categorical: header, common: common(), ..TableOptions::default() };
    csv(&input, &second, &table, &mut |_| {}).unwrap();
    let data = DataSet::open(&second).unwrap();
    assert_eq!((data.indices()[0], data.indices()[1], data.indices()[13]), (0, 3, 2));
}

/// Some thousand rows over several pieces of text, with values of any popularity.
fn many(rows: u64) -> String {
    let row = |row: u64| {
        let mixed = row.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let mut cells = vec![u8::from(mixed.is_multiple_of(4)).to_string()];
        cells.extend((0..13).map(|n| ((mixed >> n) % (3 << n)).to_string()));
        cells.extend((0..26).map(|n| format!("{:08x}", (mixed >> n) % (2 << (n / 2)))));
        cells.join("\t") + "\n"
    };
    (0..rows).map(row).collect()
}

#[test]
fn preparation_is_the_same_on_any_number_of_threads() {
    let text = many(12_000);
    assert!(text.len() > 3 << 20, "several pieces: {}", text.len());
    let common = PrepareOptions { split: Some(Split::default()), ..PrepareOptions::default() };
    for integers in [CriteoIntegers::Categories, CriteoIntegers::Dense] {
        let options = CriteoOptions { integers, common: common.clone(), ..CriteoOptions::default() };
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| prepared(text.as_bytes(), &options).unwrap().2)
        };
        let one = on(1);
        assert!(one == on(3));
        let data = DataSet::from_bytes(&one).unwrap();
        assert_eq!(data.meta().split.as_ref().unwrap().counts, [9600, 1200, 1200]);
        for field in 0..data.fields() {
            let mut counts = vec![0u32; data.meta().field_dims[field] as usize];
            for row in column(&data, field) {
                counts[row as usize] += 1;
            }
            let frequent = &counts[..counts.len() - 1];
            assert!(frequent.windows(2).all(|pair| pair[0] >= pair[1]), "{field} {counts:?}");
            assert!(frequent.iter().all(|count| *count >= 10));
        }
    }
}

fn stand_in(rows: u64, seed: u64) -> (Meta, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.data");
    let options = SynthOptions { rows: Some(rows), seed, split: Some(Split::default()) };
    let meta = synth(Shape::named("criteo").unwrap(), &out, &options, &mut |_| {}).unwrap();
    (meta, std::fs::read(&out).unwrap())
}

#[test]
fn the_stand_in_of_criteo_has_its_statistics() {
    let (meta, bytes) = stand_in(100_000, 0);
    let info = Info::of(&DataSet::from_bytes(&bytes).unwrap());
    assert_eq!(
        (info.rows, info.field_dims.len(), info.field_dims.iter().sum::<u32>()),
        (100_000, 39, 1_086_810)
    );
    assert!(info.stand_in && info.intact && meta.notes[0].starts_with("stand-in"));
    // Labels have a standard error of 0.0014, the calibration on 65,536 rows one of 0.0006; 5 of both together.
    assert!((info.positive_rate - 0.256_22).abs() < 0.0075, "{}", info.positive_rate);
    // Standard errors of the AUC 0.0016 and 0.002; 4 of both together.
    assert!((info.attainable_auc.unwrap() - 0.81).abs() < 0.0105, "{:?}", info.attainable_auc);
    let share = |field: usize| info.fields[field].greatest as f64 / 100_000.0;
    // I1's most frequent value is the missing one, C1's the one with 50.06 % of a sample, C9's that with 89.87 %; standard
    // errors at most 0.0016, 5 of them: false alarms 6e-7 each, and the seed is fixed.
    for (field, fact) in [(0, 0.453_606), (13, 0.5006), (21, 0.898_66), (32, 0.440_065)] {
        assert!((share(field) - fact).abs() < 0.008, "{} {}", info.fields[field].name, share(field));
    }
}

#[test]
fn the_stand_in_of_criteo_is_a_function_of_its_seed_on_any_number_of_threads() {
    let on = |threads: usize, seed: u64| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| stand_in(5000, seed).1)
    };
    let one = on(1, 7);
    assert!(one == on(3, 7));
    assert!(one != on(1, 8));
}

fn dummies(out: &Path, options: &DummyOptions) -> Result<DataSet, PrepareError> {
    dummy(out, options, &mut |_| {})?;
    Ok(DataSet::open(out).unwrap())
}

#[test]
fn dummy_data_have_dense_values_and_bags() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.data");
    let options = DummyOptions { rows: 2000, split: Some(Split::default()), ..DummyOptions::default() };
    let data = dummies(&out, &options).unwrap();
    let meta = data.meta();
    assert_eq!(
        (meta.rows, meta.fields(), meta.numeric_names.len(), meta.bag_dim),
        (2000, 0, 128, Some(8192))
    );
    assert!(meta.stand_in && meta.positives == 0 && meta.notes[1].contains("no labels"));
    assert_eq!(data.computed_fingerprint(), meta.fingerprint);
    let bags = data.bags().unwrap();
    // 16,384,000 bits of probability 0.001: standard deviation 128; 5 of them: false alarms 6e-7, and the seed is fixed.
    assert!(bags.indices.len().abs_diff(16_384) < 640, "{}", bags.indices.len());
    assert!((0..2000).all(|row| bags.view().of(row).is_sorted_by(|a, b| a < b)));
    let test = data.select(Part::Test);
    let of_test = data.select_bags(Part::Test).unwrap();
    assert_eq!((test.len(), of_test.len()), (200, 200));
    for row in 0..200 {
        assert_eq!(of_test.view().of(row), bags.view().of(test.row_id(row) as usize));
    }
    assert!(Info::of(&data).intact);
    let all = DummyOptions { rows: 3, sparse_dim: 5, dense_dim: 0, sparsity: 1.0, ..options };
    let data = dummies(&out, &all).unwrap();
    assert_eq!((data.numeric().len(), data.bags().unwrap().view().of(2)), (0, &[0, 1, 2, 3, 4][..]));
}

#[test]
fn impossible_dummy_data_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.data");
    let default = DummyOptions::default();
    for (options, expected) in [
        (DummyOptions { sparsity: 1.5, ..default }, "sparsity 1.5 is outside [0, 1]"),
        (DummyOptions { sparsity: f64::NAN, ..default }, "sparsity NaN is outside [0, 1]"),
        (DummyOptions { sparse_dim: 0, ..default }, "a sparse vector has at least one bit"),
        (DummyOptions { rows: 0, ..default }, "dummy holds no rows"),
        (DummyOptions { rows: 1 << 32, ..default }, "more than 4294967295 rows"),
    ] {
        assert_eq!(dummies(&out, &options).unwrap_err().to_string(), expected);
    }
}

#[test]
fn bags_that_do_not_fit_are_named_with_their_row() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.data");
    let options =
        DummyOptions { rows: 3, sparse_dim: 2, dense_dim: 1, sparsity: 1.0, ..DummyOptions::default() };
    dummies(&out, &options).unwrap();
    let bytes = std::fs::read(&out).unwrap();
    // The offsets 0, 2, 4, 6 stand first, then three numeric values, then the six indices.
    let start = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let changed = |place: usize, value: u8| {
        let mut bytes = bytes.clone();
        bytes[start + place] = value;
        DataSet::from_bytes(&bytes).unwrap_err()
    };
    for (place, value, expected) in [
        (8, 5, "row 1: bag from 5 to 4 of 6 indices"),
        (24, 7, "row 2: bag from 4 to 7 of 6 indices"),
        (24, 5, "row 0: the bags do not span their 6 indices"),
        (0, 1, "row 0: the bags do not span their 6 indices"),
        (32 + 12 + 12, 2, "row 1: index 2 of its bag is not below the dim 2"),
    ] {
        let error = changed(place, value);
        assert!(matches!(error, OpenError::Bag { .. }));
        assert_eq!(error.to_string(), expected);
    }
}
