//! Tables of data: prepared files, and the readers of the files that they are prepared from.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use radhard_data::prepare::{
    self, CriteoIntegers, CriteoOptions, MovieLens, MovieLensOptions, PrepareError, PrepareOptions,
    TableOptions,
};
use radhard_data::{Columns, DataSet, IdRule, Meta, Part, Progress, Split, SplitMeta, Vocabulary};

use crate::{edits, scratch};

/// The prepared file that inputs edit.
pub(crate) fn data_file() -> &'static [u8] {
    static FILE: OnceLock<Vec<u8>> = OnceLock::new();
    FILE.get_or_init(|| {
        let mut meta = Meta::new("small", vec!["user".into(), "item".into()], vec![3, 4]);
        meta.numeric_names = vec!["age".into()];
        meta.split = Some(SplitMeta { seed: 0, ratio: [2, 1, 1], counts: [2, 1, 1] });
        let columns = Columns {
            indices: vec![0, 3, 1, 2, 2, 1, 0, 0],
            numeric: vec![0.5, 1.5, 2.5, 3.5],
            labels: vec![1, 0, 1, 0],
            parts: vec![0, 2, 0, 1],
            vocabularies: vec![
                Some(Vocabulary::Integers(vec![10, 20, 30])),
                Some(Vocabulary::Strings([&b"a"[..], b"bc"].map(Into::into).to_vec())),
            ],
            bags: None,
        };
        let path = scratch::file("whole.data");
        columns.write(&path, meta).expect("a prepared file is written");
        fs::read(&path).expect("what was written can be read")
    })
}

/// Properties of every data set that was accepted.
fn check(data: &DataSet) {
    let meta = data.meta();
    assert_eq!(data.labels().len(), data.rows());
    assert_eq!(data.indices().len(), data.rows() * data.fields());
    for row in data.indices().chunks_exact(data.fields().max(1)) {
        assert!(row.iter().zip(&meta.field_dims).all(|(index, dim)| index < dim), "{row:?}");
    }
    assert!(data.labels().iter().all(|label| *label <= 1));
    let parts = [Part::Train, Part::Validation, Part::Test].map(|part| data.select(part).view().labels.len());
    assert_eq!(parts.iter().sum::<usize>(), data.rows());
}

/// Prepared files: what is accepted keeps every rule of the format.
pub(crate) fn data(input: &[u8]) {
    let bytes = edits::file(data_file(), input);
    let Ok(data) = DataSet::from_bytes(&bytes) else { return };
    check(&data);
}

/// A preparation, which leaves a file exactly when it succeeds, and an accepted one.
fn prepared(
    input: &[u8],
    prepare: impl FnOnce(&Path, &Path, &mut dyn FnMut(Progress)) -> Result<Meta, PrepareError>,
) -> Option<DataSet> {
    let (from, to) = (scratch::file("input"), scratch::file("out.data"));
    fs::write(&from, input).expect("an input is written");
    if let Err(error) = fs::remove_file(&to) {
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}");
    }
    let result = prepare(&from, &to, &mut |_| {});
    assert_eq!(result.is_ok(), to.exists(), "{:?}", result.err());
    let meta = result.ok()?;
    let data = DataSet::open(&to).expect("a prepared file is one");
    assert_eq!(data.meta(), &meta);
    assert_eq!(data.computed_fingerprint(), meta.fingerprint);
    check(&data);
    Some(data)
}

fn options(choice: u8) -> TableOptions {
    let ids = [None, Some(IdRule::Dense), Some(IdRule::Index), Some(IdRule::OneBased)];
    TableOptions {
        label: "y".into(),
        positive: (choice & 4 != 0).then(|| ">3".parse().expect("a condition of this crate")),
        categorical: vec!["a".into(), "b".into()],
        numeric: vec!["x".into()],
        common: PrepareOptions {
            ids: ids[usize::from(choice & 3)],
            split: (choice & 8 != 0).then(Split::default),
            max_bad_lines: u64::from(choice & 16),
            ..PrepareOptions::default()
        },
    }
}

/// A preparation of a table.
type Reader = fn(&Path, &Path, &TableOptions, &mut dyn FnMut(Progress)) -> Result<Meta, PrepareError>;

/// Prepares a table, and once more with the vocabulary of the first time: the rows are the same.
fn table(input: &[u8], reader: Reader) {
    let Some((&choice, bytes)) = input.split_first() else { return };
    let mut options = options(choice);
    let Some(first) = prepared(bytes, |from, to, told| reader(from, to, &options, told)) else { return };
    if first.meta().ids != IdRule::Dense {
        return;
    }
    let known = scratch::file("known.data");
    fs::rename(scratch::file("out.data"), &known).expect("a file is renamed");
    options.common.vocabulary = Some(known);
    options.common.ids = None;
    let second = prepared(bytes, |from, to, told| reader(from, to, &options, told));
    let second = second.expect("a vocabulary fits the table that it is of");
    assert_eq!(second.indices(), first.indices());
    assert_eq!(second.labels(), first.labels());
}

/// Comma-separated tables, plain or gzip.
pub(crate) fn csv(input: &[u8]) {
    table(input, prepare::csv);
}

/// Parquet tables.
pub(crate) fn parquet(input: &[u8]) {
    table(input, prepare::parquet);
}

/// Ratings of the four MovieLens sets.
pub(crate) fn movielens(input: &[u8]) {
    let Some((&choice, bytes)) = input.split_first() else { return };
    let sets =
        [MovieLens::OneMillion, MovieLens::TwentyMillion, MovieLens::HundredThousand, MovieLens::LatestSmall];
    let common = PrepareOptions { max_bad_lines: u64::from(choice & 16), ..PrepareOptions::default() };
    let options = MovieLensOptions { set: sets[usize::from(choice & 3)], common };
    let data = prepared(bytes, |from, to, told| prepare::movielens(from, to, &options, told));
    assert!(data.is_none_or(|data| data.fields() == 2));
}

/// Lines of Criteo's `train.txt`.
pub(crate) fn criteo(input: &[u8]) {
    let Some((&choice, bytes)) = input.split_first() else { return };
    let integers = if choice & 1 == 0 { CriteoIntegers::Categories } else { CriteoIntegers::Dense };
    let common = PrepareOptions { max_bad_lines: u64::from(choice & 16), ..PrepareOptions::default() };
    let options = CriteoOptions { integers, rare_below: u32::from(choice >> 5), common };
    let data = prepared(bytes, |from, to, told| prepare::criteo(from, to, &options, told));
    assert!(data.is_none_or(|data| data.fields() == if choice & 1 == 0 { 39 } else { 26 }));
}
