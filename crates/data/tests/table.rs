//! Tables in csv and Parquet.
#![expect(clippy::unwrap_used, reason = "what a test needs is there, or the test fails")]

use std::path::Path;
use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use radhard_data::prepare::{
    PrepareError, PrepareOptions, TableOptions, csv, embedded_ml_latest_small, parquet,
};
use radhard_data::{DataSet, IdRule, Meta, OpenError, Split, Vocabulary, embedded};

const TABLE: &str = "user,\"item, id\",clicks,age\n7,b,1,0.5\n10,a,0,-1e3\n7,\"say \"\"c\"\"\",1, 2 \n";

fn options() -> TableOptions {
    TableOptions {
        label: "clicks".into(),
        positive: None,
        categorical: vec!["user".into(), "item, id".into()],
        numeric: vec!["age".into()],
        common: PrepareOptions::default(),
    }
}

fn of_users(ids: IdRule, field_dims: Option<Vec<u32>>) -> TableOptions {
    TableOptions {
        categorical: vec!["user".into()],
        numeric: Vec::new(),
        common: PrepareOptions { ids: Some(ids), field_dims, ..PrepareOptions::default() },
        ..options()
    }
}

fn prepared(text: &[u8], options: &TableOptions) -> Result<(Meta, DataSet), PrepareError> {
    let dir = tempfile::tempdir().unwrap();
    let (input, out) = (dir.path().join("table.csv"), dir.path().join("out.data"));
    std::fs::write(&input, text).unwrap();
    let result = csv(&input, &out, options, &mut |_| {});
    assert_eq!(result.is_ok(), out.exists());
    Ok((result?, DataSet::open(&out).unwrap()))
}

fn strings(values: &[&str]) -> Vocabulary {
    Vocabulary::Strings(values.iter().map(|v| v.as_bytes().into()).collect())
}

#[test]
fn a_table_is_renumbered_and_keeps_its_vocabulary() {
    let (meta, data) = prepared(TABLE.as_bytes(), &options()).unwrap();
    assert_eq!((meta.rows, meta.positives, &meta.field_dims[..]), (3, 2, &[2, 3][..]));
    assert_eq!(data.vocabulary(0), Some(&Vocabulary::Integers(vec![7, 10])));
    assert_eq!(data.vocabulary(1), Some(&strings(&["a", "b", "say \"c\""])));
    assert_eq!(data.indices(), [0, 1, 1, 0, 0, 2]);
    assert_eq!(data.numeric(), [0.5, -1000.0, 2.0]);
    assert_eq!(data.labels(), [1, 0, 1]);
    assert_eq!((meta.user_field, meta.item_field, &meta.positive[..]), (Some(0), None, "clicks = 1"));
    assert_eq!((&meta.name[..], &meta.source[..], meta.ids), ("csv", "table.csv", IdRule::Dense));
}

#[test]
fn a_condition_says_when_a_label_is_positive() {
    let rated = TableOptions {
        label: "age".into(),
        positive: Some(">=0.5".parse().unwrap()),
        numeric: Vec::new(),
        ..options()
    };
    let (meta, data) = prepared(TABLE.as_bytes(), &rated).unwrap();
    assert_eq!(data.labels(), [1, 0, 1]);
    assert_eq!(meta.positive, "age >=0.5");
}

#[test]
fn ids_are_taken_as_they_are_or_less_one() {
    let (meta, data) = prepared(TABLE.as_bytes(), &of_users(IdRule::Index, None)).unwrap();
    assert_eq!((&meta.field_dims[..], data.indices()), (&[11][..], &[7, 10, 7][..]));
    assert_eq!(data.vocabulary(0), None);
    let (meta, data) = prepared(TABLE.as_bytes(), &of_users(IdRule::OneBased, Some(vec![60]))).unwrap();
    assert_eq!((&meta.field_dims[..], data.indices()), (&[60][..], &[6, 9, 6][..]));
    let error = prepared(TABLE.as_bytes(), &of_users(IdRule::Index, Some(vec![10]))).unwrap_err();
    assert!(error.to_string().contains("line 3: user 10 is outside [0, 9]"), "{error}");
    let huge = TABLE.replace("10,a", "4000000000,a");
    let error = prepared(huge.as_bytes(), &of_users(IdRule::Index, None)).unwrap_err();
    assert!(error.to_string().contains("line 3: user 4000000000 is outside [0, 9999999]"), "{error}");
    let declared = of_users(IdRule::Index, Some(vec![4_000_000_001]));
    assert_eq!(prepared(huge.as_bytes(), &declared).unwrap().1.indices(), [7, 4_000_000_000, 7]);
}

#[test]
fn dims_that_do_not_fit_are_refused() {
    let with = |dims: Vec<u32>| {
        let mut options = options();
        options.common.field_dims = Some(dims);
        prepared(TABLE.as_bytes(), &options)
    };
    assert_eq!(with(vec![60, 40]).unwrap().0.field_dims, [60, 40]);
    assert!(matches!(with(vec![60]).unwrap_err(), PrepareError::DimCount { dims: 1, fields: 2 }));
    assert!(matches!(with(vec![60, 2]).unwrap_err(), PrepareError::DimTooSmall { values: 3, dim: 2, .. }));
    assert!(matches!(with(vec![u32::MAX, 40]).unwrap_err(), PrepareError::DimSum(_)));
}

#[test]
fn bad_lines_are_named_and_leave_no_value_behind() {
    for (line, reason) in [
        ("7,b,1", "expected 4 columns, found 3"),
        ("", "expected 4 columns, found 1"),
        ("9,\"b,1,0.5", "a quoted column is not closed on its line"),
        ("9,z,2,0.5", "label \"2\" is neither 0 nor 1"),
        ("9,z,,0.5", "clicks \"\" is not a number"),
        ("9,z,NaN,0.5", "clicks \"NaN\" is not finite"),
        ("9,z,1,", "age \"\" is not a number"),
        ("9,z,1,nan", "age \"NaN\" is not finite"),
        ("9,z,1,1e39", "is not finite"),
    ] {
        let text = format!("{TABLE}{line}\n");
        let error = prepared(text.as_bytes(), &options()).unwrap_err().to_string();
        assert!(error.contains("1 bad line: line 5: ") && error.contains(reason), "{error}");
        let mut allowing = options();
        allowing.common.max_bad_lines = 1;
        let (meta, data) = prepared(text.as_bytes(), &allowing).unwrap();
        assert_eq!((meta.rows, meta.bad_lines, &meta.field_dims[..]), (3, 1, &[2, 3][..]));
        assert_eq!(data.vocabulary(0).unwrap().len(), 2);
    }
}

#[test]
fn columns_are_found_by_name_or_listed() {
    let mut other = options();
    other.label = "rating".into();
    let error = prepared(TABLE.as_bytes(), &other).unwrap_err();
    assert!(error.to_string().contains("no column `rating`; it has user, item, id, clicks, age"), "{error}");
    other.label = "user".into();
    assert!(matches!(prepared(TABLE.as_bytes(), &other).unwrap_err(), PrepareError::RepeatedColumn(_)));
    let error = prepared(b"user,user,clicks,age\n", &of_users(IdRule::Dense, None)).unwrap_err();
    assert!(matches!(error, PrepareError::RepeatedColumn(_)), "{error}");
    assert!(matches!(prepared(b"", &options()).unwrap_err(), PrepareError::Empty { .. }));
    assert!(matches!(prepared(b"\"user\n", &options()).unwrap_err(), PrepareError::Header { .. }));
    let only_header = TABLE.lines().next().unwrap();
    assert!(matches!(prepared(only_header.as_bytes(), &options()).unwrap_err(), PrepareError::Empty { .. }));
    let error = prepared(TABLE.replace(',', ";").as_bytes(), &options()).unwrap_err();
    assert!(matches!(error, PrepareError::UnknownColumn { .. } | PrepareError::Header { .. }), "{error}");
}

#[test]
fn new_data_reuse_the_vocabulary_of_old_ones() {
    let dir = tempfile::tempdir().unwrap();
    let (input, old) = (dir.path().join("old.csv"), dir.path().join("old.data"));
    std::fs::write(&input, TABLE).unwrap();
    csv(&input, &old, &options(), &mut |_| {}).unwrap();
    let reusing = |old: &Path| {
        let mut options = options();
        options.common.vocabulary = Some(old.to_owned());
        options
    };
    let header = TABLE.lines().next().unwrap();
    let (meta, data) = prepared(format!("{header}\n10,b,0,1\n").as_bytes(), &reusing(&old)).unwrap();
    assert_eq!((data.indices(), &meta.field_dims[..]), (&[1, 1][..], &[2, 3][..]));
    assert_eq!(data.vocabulary(1), Some(&strings(&["a", "b", "say \"c\""])));
    let error = prepared(format!("{header}\n10,new,0,1\n10,a,0,1\n").as_bytes(), &reusing(&old)).unwrap_err();
    assert!(error.to_string().contains("line 2: item, id \"new\" is not in the vocabulary"), "{error}");

    let mut swapped = reusing(&old);
    swapped.categorical.reverse();
    let error = prepared(TABLE.as_bytes(), &swapped).unwrap_err();
    assert!(matches!(error, PrepareError::OtherFields { .. }), "{error}");
    let mut widened = reusing(&old);
    widened.common.field_dims = Some(vec![9, 9]);
    let error = prepared(TABLE.as_bytes(), &widened).unwrap_err();
    assert!(matches!(error, PrepareError::VocabularyConflict(_)), "{error}");
    let error = prepared(TABLE.as_bytes(), &reusing(&input)).unwrap_err();
    assert!(
        matches!(&error, PrepareError::VocabularyFile { source, .. }
        if matches!(**source, OpenError::NotSafetensors(_))),
        "{error}"
    );

    let raw = dir.path().join("raw.data");
    csv(&input, &raw, &of_users(IdRule::Index, None), &mut |_| {}).unwrap();
    let mut without = of_users(IdRule::Dense, None);
    without.common.vocabulary = Some(raw);
    let error = prepared(TABLE.as_bytes(), &without).unwrap_err();
    assert!(matches!(error, PrepareError::NoVocabulary { .. }), "{error}");
    assert!(error.to_string().contains("its ids are index, with the field dims [11]"), "{error}");
}

#[test]
fn the_ratings_as_a_table_are_the_ratings_as_movielens_on_any_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("ratings.csv"), embedded::ml_latest_small_ratings()).unwrap();
    embedded_ml_latest_small(&path("small.data"), PrepareOptions::default(), &mut |_| {}).unwrap();
    let known = DataSet::open(path("small.data")).unwrap();
    let options = TableOptions {
        label: "rating".into(),
        positive: Some(">3".parse().unwrap()),
        categorical: vec!["userId".into(), "movieId".into()],
        ..TableOptions::default()
    };
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let out = path("table.data");
        pool.install(|| csv(&path("ratings.csv"), &out, &options, &mut |_| {})).unwrap();
        let table = DataSet::open(&out).unwrap();
        assert_eq!(table.meta().fingerprint, known.meta().fingerprint);
        assert_eq!(table.vocabulary(1), known.vocabulary(1));
    }
}

/// Users, items, clicks and ages of a row group; levels are 0 where a value is missing.
type Group<'a> = (&'a [i64], &'a [i16], &'a [&'a str], &'a [i32], &'a [i16], &'a [f64], &'a [i16]);

/// Writes [`TABLE`] as Parquet in two row groups, with a row without user, one without label and one without age.
fn write_parquet(path: &Path) {
    let schema = "message table {
        OPTIONAL INT64 user;
        REQUIRED BYTE_ARRAY item (UTF8);
        OPTIONAL INT32 clicks;
        OPTIONAL DOUBLE age;
        REQUIRED DOUBLE score;
    }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let file = std::fs::File::create(path).unwrap();
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(file, schema, properties).unwrap();
    let groups: [Group<'_>; 2] = [
        (&[7, 10], &[1, 1, 0], &["b", "a", "a"], &[1, 0, 0], &[1, 1, 1], &[0.5, -1e3, 1.0], &[1, 1, 1]),
        (&[7, 7, 7], &[1, 1, 1], &["c", "d", "e"], &[1, 1], &[1, 0, 1], &[2.0, 3.0], &[1, 1, 0]),
    ];
    for (users, user_levels, items, clicks, click_levels, ages, age_levels) in groups {
        let mut group = writer.next_row_group().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(users, Some(user_levels), None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let items: Vec<ByteArray> = items.iter().map(|item| ByteArray::from(*item)).collect();
        column.typed::<ByteArrayType>().write_batch(&items, None, None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int32Type>().write_batch(clicks, Some(click_levels), None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<DoubleType>().write_batch(ages, Some(age_levels), None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<DoubleType>().write_batch(&[0.25, 0.5, 0.75], None, None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.close().unwrap();
}

#[test]
fn a_parquet_table_is_read_with_its_missing_values() {
    let dir = tempfile::tempdir().unwrap();
    let (input, out) = (dir.path().join("table.parquet"), dir.path().join("out.data"));
    write_parquet(&input);
    let mut options = options();
    options.categorical[1] = "item".into();
    let error = parquet(&input, &out, &options, &mut |_| {}).unwrap_err().to_string();
    assert!(
        error.contains("2 bad lines: line 5: clicks has no value; line 6: age has no value; at most 0"),
        "{error}"
    );
    assert!(!out.exists());
    options.common.max_bad_lines = 2;
    options.common.split = Some(Split::default());
    let meta = parquet(&input, &out, &options, &mut |_| {}).unwrap();
    let data = DataSet::open(&out).unwrap();
    assert_eq!((meta.rows, meta.positives, meta.bad_lines), (4, 2, 2));
    assert_eq!((meta.user_field, meta.item_field), (Some(0), Some(1)));
    assert_eq!(data.vocabulary(0), Some(&strings(&["", "10", "7"])));
    assert_eq!(data.vocabulary(1), Some(&strings(&["a", "b", "c"])));
    assert_eq!(data.indices(), [2, 1, 1, 0, 0, 0, 2, 2]);
    assert_eq!(data.numeric(), [0.5, -1000.0, 1.0, 2.0]);
    assert_eq!(data.labels(), [1, 0, 0, 1]);

    options.categorical[1] = "score".into();
    let error = parquet(&input, &out, &options, &mut |_| {}).unwrap_err();
    assert!(
        error.to_string().contains("column `score` of type DOUBLE cannot be used as category"),
        "{error}"
    );
    options.categorical[1] = "age".into();
    options.numeric[0] = "item".into();
    let error = parquet(&input, &out, &options, &mut |_| {}).unwrap_err();
    assert!(matches!(error, PrepareError::ParquetColumn { .. }), "{error}");
}

#[test]
fn a_damaged_parquet_file_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let (input, out) = (dir.path().join("table.parquet"), dir.path().join("out.data"));
    write_parquet(&input);
    let bytes = std::fs::read(&input).unwrap();
    let mut options = options();
    options.categorical[1] = "item".into();
    for end in [0, 4, 20, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&input, &bytes[..end]).unwrap();
        let error = parquet(&input, &out, &options, &mut |_| {}).unwrap_err();
        assert!(matches!(error, PrepareError::Parquet { .. }), "{end} {error}");
    }
    let error = parquet(&dir.path().join("no"), &out, &options, &mut |_| {}).unwrap_err();
    assert!(matches!(error, PrepareError::Read { .. }), "{error}");
    assert!(!out.exists());
}

#[test]
fn a_parquet_file_with_damaged_bytes_is_read_or_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let (input, out) = (dir.path().join("table.parquet"), dir.path().join("out.data"));
    write_parquet(&input);
    let bytes = std::fs::read(&input).unwrap();
    let mut options = options();
    options.categorical[1] = "item".into();
    options.common.max_bad_lines = u64::MAX;
    let mut refused = 0;
    for place in (4..bytes.len() - 8).step_by(13) {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1 << (place % 8);
        std::fs::write(&input, &damaged).unwrap();
        refused += u32::from(parquet(&input, &out, &options, &mut |_| {}).is_err());
    }
    assert!(refused > 0);
}
