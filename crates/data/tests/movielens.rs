//! The MovieLens formats, on the embedded set and on small hostile files.
#![expect(clippy::unwrap_used, reason = "what a test needs is there, or the test fails")]

use std::path::PathBuf;

use radhard_data::prepare::{
    MovieLens, MovieLensOptions, PrepareError, PrepareOptions, embedded_ml_latest_small, movielens,
};
use radhard_data::{DataSet, IdRule, Meta, Part, Reason, Split, Vocabulary, embedded};

const ONE: &str = "1::1193::5::978300760\n1::661::3::978302109\n6040::3952::4::978301968\n";

fn prepared(set: MovieLens, text: &[u8], common: PrepareOptions) -> Result<(Meta, DataSet), PrepareError> {
    let dir = tempfile::tempdir().unwrap();
    let (input, out) = (dir.path().join("ratings"), dir.path().join("out.data"));
    std::fs::write(&input, text).unwrap();
    let result = movielens(&input, &out, &MovieLensOptions { set, common }, &mut |_| {});
    match result {
        Ok(meta) => Ok((meta, DataSet::open(&out).unwrap())),
        Err(error) => {
            assert!(!out.exists(), "a file was written in spite of {error}");
            Err(error)
        }
    }
}

fn with_split() -> PrepareOptions {
    PrepareOptions { split: Some(Split::default()), ..PrepareOptions::default() }
}

#[test]
fn ml_latest_small_has_its_published_counts() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("small.data");
    let mut stages = Vec::new();
    let meta = embedded_ml_latest_small(&out, with_split(), &mut |p| stages.push(p)).unwrap();
    assert_eq!((meta.rows, meta.bad_lines), (100_836, 0));
    assert_eq!(meta.field_dims, [610, 9724]);
    assert_eq!(meta.positives, 61_716);
    assert_eq!(format!("{:.3}", 100.0 * meta.positives as f64 / meta.rows as f64), "61.204");
    assert_eq!(meta.split.as_ref().unwrap().counts, [80_668, 10_084, 10_084]);
    assert_eq!((meta.user_field, meta.item_field, meta.stand_in), (Some(0), Some(1), false));
    assert!(meta.notes.is_empty());
    assert!(stages.iter().all(|p| p.done <= p.total) && stages.last().unwrap().done == 100_836);

    let data = DataSet::open(&out).unwrap();
    assert_eq!(data.meta(), &meta);
    assert_eq!(data.computed_fingerprint(), meta.fingerprint);
    let Some(Vocabulary::Integers(items)) = data.vocabulary(1) else { panic!("no item ids") };
    assert_eq!((items[0], items[9723]), (1, 193_609));
    // The first line is 1,1,4.0 and the last 610,170875,3.0.
    assert_eq!((&data.indices()[..2], data.labels()[0]), (&[0, 0][..], 1));
    let last = &data.indices()[2 * 100_835..];
    assert_eq!((last[0], items[last[1] as usize], data.labels()[100_835]), (609, 170_875, 0));
    for part in Part::STORED {
        let rate = data.select(part).labels().iter().map(|l| f64::from(*l)).sum::<f64>()
            / data.select(part).len() as f64;
        // Standard error 0.0049 in the small parts; 4 of them: false alarms 6e-5 each, and the seed is fixed.
        assert!((rate - 0.612_04).abs() < 0.02, "{part} {rate}");
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = |name: &str, seed| {
        let out = dir.path().join(name);
        let common = PrepareOptions { split: Some(Split { seed, ..Split::default() }), ..Default::default() };
        embedded_ml_latest_small(&out, common, &mut |_| {}).unwrap();
        std::fs::read(out).unwrap()
    };
    assert!(bytes("a", 1) == bytes("b", 1));
    assert!(bytes("c", 1) != bytes("d", 2));
}

#[test]
fn a_file_a_directory_and_gzip_give_the_same_rows() {
    let dir = tempfile::tempdir().unwrap();
    let csv = embedded::ml_latest_small_ratings();
    std::fs::write(dir.path().join("ratings.csv"), &csv).unwrap();
    let options = MovieLensOptions { set: MovieLens::LatestSmall, common: with_split() };
    let from = |input: PathBuf| {
        let out = dir.path().join("out.data");
        movielens(&input, &out, &options, &mut |_| {}).unwrap().fingerprint
    };
    let plain = from(dir.path().join("ratings.csv"));
    assert_eq!(from(dir.path().to_owned()), plain);
    let zipped = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(zipped.path().join("ratings.csv.gz")).unwrap();
    let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, &csv).unwrap();
    encoder.finish().unwrap();
    assert_eq!(from(zipped.path().to_owned()), plain);
}

#[test]
fn one_based_ids_keep_their_gaps() {
    let (meta, data) = prepared(MovieLens::OneMillion, ONE.as_bytes(), PrepareOptions::default()).unwrap();
    assert_eq!(meta.field_dims, [6040, 3952]);
    assert_eq!(meta.ids, IdRule::OneBased);
    assert_eq!(data.indices(), [0, 1192, 0, 660, 6039, 3951]);
    assert_eq!(data.labels(), [1, 0, 1]);
    assert_eq!((data.parts(), &meta.split), (&[0, 0, 0][..], &None));
    assert!(
        meta.notes[0].contains("3 lines, where the published ratings.dat has 1000209"),
        "{:?}",
        meta.notes
    );
    let index = PrepareOptions { ids: Some(IdRule::Index), ..PrepareOptions::default() };
    let (meta, _) = prepared(MovieLens::OneMillion, ONE.as_bytes(), index).unwrap();
    assert_eq!(meta.field_dims, [6041, 3953]);
    let dense = PrepareOptions { ids: Some(IdRule::Dense), ..PrepareOptions::default() };
    let (meta, data) = prepared(MovieLens::OneMillion, ONE.as_bytes(), dense).unwrap();
    assert_eq!(meta.field_dims, [2, 3]);
    assert_eq!(data.vocabulary(0), Some(&Vocabulary::Integers(vec![1, 6040])));
}

#[test]
fn tabs_returns_and_a_missing_last_newline_are_read() {
    let text = b"196\t242\t3\t881250949\r\n186\t302\t4\t891717742";
    let (meta, data) = prepared(MovieLens::HundredThousand, text, PrepareOptions::default()).unwrap();
    assert_eq!(meta.field_dims, [2, 2]);
    assert_eq!(data.indices(), [1, 0, 0, 1]);
    assert_eq!(data.labels(), [0, 1]);
}

#[test]
fn half_stars_are_positive_above_3() {
    let ratings = ["0.5", "3", "3.0", "3.5", "4.0", "5", " 4 ", "3.01"];
    let lines: Vec<String> = ratings.iter().map(|rating| format!("1,2,{rating},9\n")).collect();
    let text = format!("userId,movieId,rating,timestamp\n{}", lines.concat());
    let (_, data) = prepared(MovieLens::TwentyMillion, text.as_bytes(), PrepareOptions::default()).unwrap();
    assert_eq!(data.labels(), [0, 0, 0, 1, 1, 1, 1, 1]);
}

#[test]
fn every_kind_of_bad_line_is_named_with_its_number() {
    for (line, reason) in [
        ("1::2::3", "expected 4 columns, found 3"),
        ("1::2::3::4::5", "expected 4 columns, found 5"),
        ("", "expected 4 columns, found 1"),
        ("1,2,3,4", "expected 4 columns, found 1"),
        ("x::2::3::4", "userId \"x\" is not a number"),
        ("1::::3::4", "movieId \"\" is not a number"),
        ("1::2.5::3::4", "movieId \"2.5\" is not a number"),
        ("4000000000::2::3::4", "userId 4000000000 is outside [1, 10000000]"),
        ("99999999999999999999::2::3::4", "userId 99999999999999999999 is outside [1, 10000000]"),
        ("0::2::3::4", "userId 0 is outside [1, 10000000]"),
        ("-7::2::3::4", "userId -7 is outside [1, 10000000]"),
        ("1::2::NaN::4", "rating \"NaN\" is not finite"),
        ("1::2::inf::4", "rating \"inf\" is not finite"),
        ("1::2::good::4", "rating \"good\" is not a number"),
        ("1::2::0::4", "rating 0 is outside [0.5, 5]"),
        ("1::2::5.5::4", "rating 5.5 is outside [0.5, 5]"),
        ("1::2::3::", "timestamp \"\" is not a number"),
        ("1::2::3::4x", "timestamp \"4x\" is not a number"),
    ] {
        let text = format!("{ONE}{line}\n{ONE}");
        let error = prepared(MovieLens::OneMillion, text.as_bytes(), PrepareOptions::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains(&format!("1 bad line: line 4: {reason}; at most 0 are allowed")), "{error}");
        let allowed = PrepareOptions { max_bad_lines: 1, ..PrepareOptions::default() };
        let (meta, _) = prepared(MovieLens::OneMillion, text.as_bytes(), allowed).unwrap();
        assert_eq!((meta.rows, meta.bad_lines), (6, 1));
        assert!(meta.notes.iter().any(|n| n.contains(&format!("line 4: {reason}"))), "{:?}", meta.notes);
    }
}

#[test]
fn a_file_cut_short_is_a_bad_last_line() {
    for cut in ["6040::39", "6040::3952::", "6040::3952::4::"] {
        let text = format!("{ONE}{cut}");
        let error = prepared(MovieLens::OneMillion, text.as_bytes(), PrepareOptions::default()).unwrap_err();
        assert!(matches!(&error, PrepareError::BadLines { bad, .. } if bad.first[0].line == 4), "{error}");
    }
}

#[test]
fn a_file_of_another_format_is_told_from_a_damaged_one() {
    let allowed = || PrepareOptions { max_bad_lines: u64::MAX, ..PrepareOptions::default() };
    let error = prepared(MovieLens::HundredThousand, ONE.as_bytes(), allowed()).unwrap_err();
    assert!(matches!(&error, PrepareError::NoRow { lines: 3, first, .. } if first.line == 1), "{error}");
    assert!(error.to_string().contains("user<tab>item<tab>rating<tab>timestamp"), "{error}");
    let error = prepared(MovieLens::TwentyMillion, ONE.as_bytes(), allowed()).unwrap_err();
    assert!(error.to_string().contains("expected the header \"userId,movieId,rating,timestamp\""), "{error}");
    let semicolons = "userId,movieId,rating,timestamp\n1;2;3;4\n";
    let error = prepared(MovieLens::TwentyMillion, semicolons.as_bytes(), allowed()).unwrap_err();
    assert!(matches!(&error, PrepareError::NoRow { .. }), "{error}");
    for (set, empty) in
        [(MovieLens::OneMillion, ""), (MovieLens::LatestSmall, "userId,movieId,rating,timestamp\n")]
    {
        let error = prepared(set, empty.as_bytes(), allowed()).unwrap_err();
        assert!(matches!(error, PrepareError::Empty { .. }), "{error}");
    }
    assert!(matches!(
        prepared(MovieLens::LatestSmall, b"", allowed()).unwrap_err(),
        PrepareError::Empty { .. }
    ));
}

#[test]
fn a_vocabulary_is_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let first = dir.path().join("first.data");
    embedded_ml_latest_small(&first, with_split(), &mut |_| {}).unwrap();
    let known = || PrepareOptions { vocabulary: Some(first.clone()), ..PrepareOptions::default() };
    let header = "userId,movieId,rating,timestamp\n";
    let text = format!("{header}610,193609,4.0,1\n1,1,1.0,1\n");
    let (meta, data) = prepared(MovieLens::LatestSmall, text.as_bytes(), known()).unwrap();
    assert_eq!(meta.field_dims, [610, 9724]);
    assert_eq!(data.indices(), [609, 9723, 0, 0]);
    assert_eq!(data.vocabulary(1), DataSet::open(&first).unwrap().vocabulary(1));
    let unknown = format!("{text}611,1,4.0,1\n");
    let error = prepared(MovieLens::LatestSmall, unknown.as_bytes(), known()).unwrap_err();
    assert!(
        matches!(&error, PrepareError::BadLines { bad, .. }
        if bad.first[0].line == 4 && matches!(bad.first[0].reason, Reason::Unknown { .. })),
        "{error}"
    );
    let conflict = PrepareOptions { ids: Some(IdRule::OneBased), ..known() };
    let error = prepared(MovieLens::LatestSmall, text.as_bytes(), conflict).unwrap_err();
    assert!(matches!(error, PrepareError::VocabularyConflict(_)), "{error}");
}

#[test]
fn unreadable_inputs_and_outputs_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let options = MovieLensOptions { set: MovieLens::OneMillion, common: PrepareOptions::default() };
    let out = dir.path().join("out.data");
    let error = movielens(&dir.path().join("no"), &out, &options, &mut |_| {}).unwrap_err();
    assert!(matches!(error, PrepareError::Read { .. }), "{error}");
    let error = movielens(dir.path(), &out, &options, &mut |_| {}).unwrap_err();
    assert!(
        matches!(&error, PrepareError::NoFile { .. }) && error.to_string().contains("ratings.dat"),
        "{error}"
    );
    let input = dir.path().join("ratings.dat");
    std::fs::write(&input, ONE).unwrap();
    let error = movielens(&input, &dir.path().join("no").join("out"), &options, &mut |_| {}).unwrap_err();
    assert!(matches!(error, PrepareError::Write { .. }), "{error}");
}

#[test]
fn names_of_the_sets_are_read_back() {
    for set in
        [MovieLens::OneMillion, MovieLens::TwentyMillion, MovieLens::HundredThousand, MovieLens::LatestSmall]
    {
        assert_eq!(set.to_string().parse(), Ok(set));
    }
    assert!("movielens".parse::<MovieLens>().is_err());
}
