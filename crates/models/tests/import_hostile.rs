//! One hostile file per way to be wrong, built by hand.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::io::Write;

use radhard_models::import::{
    self, ArchiveError, Convert, Element, ImportError, NpyError, PickleError, StateDict,
};

/// An entry of an archive to be built.
struct Entry {
    name: String,
    method: u16,
    flags: u16,
    size: u32,
    crc: u32,
    data: Vec<u8>,
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

fn stored(name: &str, data: &[u8]) -> Entry {
    let (size, crc) = (data.len() as u32, crc(data));
    Entry { name: name.to_owned(), method: 0, flags: 0, size, crc, data: data.to_vec() }
}

fn deflated(name: &str, data: &[u8]) -> Entry {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(data).unwrap();
    Entry { method: 8, data: encoder.finish().unwrap(), ..stored(name, data) }
}

/// The archive of some entries; `shift` moves where the directory says that they are.
fn zip_at(entries: &[Entry], shift: impl Fn(usize, u32) -> u32) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (i, e) in entries.iter().enumerate() {
        let offset = shift(i, file.len() as u32);
        let common = [
            &[20, 0][..],
            &e.flags.to_le_bytes(),
            &e.method.to_le_bytes(),
            &[0; 4],
            &e.crc.to_le_bytes(),
            &(e.data.len() as u32).to_le_bytes(),
            &e.size.to_le_bytes(),
            &(e.name.len() as u16).to_le_bytes(),
            &[0, 0],
        ]
        .concat();
        file.extend([b"PK\x03\x04", &common[..], e.name.as_bytes(), &e.data].concat());
        directory.extend(
            [b"PK\x01\x02\x14\x00", &common[..], &[0; 10], &offset.to_le_bytes(), e.name.as_bytes()].concat(),
        );
    }
    let (start, count) = (file.len() as u32, entries.len() as u16);
    file.extend(&directory);
    file.extend(b"PK\x05\x06\x00\x00\x00\x00");
    file.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    file.extend((directory.len() as u32).to_le_bytes());
    file.extend(start.to_le_bytes());
    file.extend([0, 0]);
    file
}

fn zip(entries: &[Entry]) -> Vec<u8> {
    zip_at(entries, |_, offset| offset)
}

fn read(bytes: &[u8]) -> Result<StateDict, ImportError> {
    import::from_bytes(bytes, Convert::No)
}

/// A torch archive of a pickle and one storage.
fn torch(pickle: &[u8], storage: &[u8]) -> Vec<u8> {
    zip(&[stored("m/data.pkl", pickle), stored("m/data/0", storage)])
}

fn pickled(pickle: &[u8]) -> ImportError {
    read(&torch(pickle, &[0; 16])).unwrap_err()
}

fn pickle_error(pickle: &[u8]) -> PickleError {
    match pickled(pickle) {
        ImportError::Pickle(error) => error,
        other => panic!("{other}"),
    }
}

fn text(value: &str) -> Vec<u8> {
    [b"X", &(value.len() as u32).to_le_bytes()[..], value.as_bytes()].concat()
}

fn long(value: i64) -> Vec<u8> {
    [&b"\x8a\x08"[..], &value.to_le_bytes()].concat()
}

fn tuple(values: &[i64]) -> Vec<u8> {
    [b"(".to_vec(), values.iter().flat_map(|&v| long(v)).collect(), b"t".to_vec()].concat()
}

/// The instructions of a tensor in storage 0.
fn tensor(class: &str, count: i64, offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    [
        b"ctorch._utils\n_rebuild_tensor_v2\n((".to_vec(),
        text("storage"),
        format!("ctorch\n{class}\n").into_bytes(),
        text("0"),
        text("cpu"),
        long(count),
        b"tQ".to_vec(),
        long(offset),
        tuple(shape),
        tuple(strides),
        b"\x89ccollections\nOrderedDict\n)RtR".to_vec(),
    ]
    .concat()
}

fn dict(pairs: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let inner: Vec<u8> = pairs.iter().flat_map(|(key, value)| [text(key), value.clone()].concat()).collect();
    [b"}(", &inner[..], b"u"].concat()
}

fn whole(value: &[u8]) -> Vec<u8> {
    [b"\x80\x02", value, b"."].concat()
}

fn one(class: &str, count: i64, offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    whole(&dict(&[("w", tensor(class, count, offset, shape, strides))]))
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

#[test]
fn strides_and_offsets_are_honoured() {
    let storage = floats(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let state = read(&torch(&one("FloatStorage", 7, 1, &[2, 3], &[1, 2]), &storage)).unwrap();
    assert_eq!(state.tensors()[0].shape, [2, 3]);
    assert_eq!(state.tensors()[0].bytes, floats(&[1.0, 3.0, 5.0, 2.0, 4.0, 6.0]));
}

#[test]
fn tensors_of_untyped_storages_and_protocol_4_are_read() {
    let short = |text: &str| [&[0x8c, text.len() as u8], text.as_bytes()].concat();
    let global = |module: &str, name: &str| [short(module), short(name), b"\x93\x94".to_vec()].concat();
    let tensor = |dtype: &str| {
        let parts = [
            b"\x80\x04\x95\0\0\0\0\0\0\0\0}\x94(".to_vec(),
            short("w"),
            global("torch._utils", "_rebuild_tensor_v3"),
            b"((".to_vec(),
            short("storage"),
            global("torch.storage", "UntypedStorage"),
            short("0"),
            short("cpu"),
            b"K\x08tQK\x01K\x01\x85K\x01\x85\x89N".to_vec(),
            global("torch", dtype),
            b"tRu.".to_vec(),
        ];
        torch(&parts.concat(), &floats(&[1.0, 2.0]))
    };
    assert_eq!(read(&tensor("float32")).unwrap().tensors()[0].bytes, floats(&[2.0]));
    assert!(matches!(read(&tensor("int64")).unwrap_err(), ImportError::Beyond { .. }));
    let error = read(&tensor("float8_e5m2")).unwrap_err();
    assert!(error.to_string().contains("torch.float8_e5m2"), "{error}");
}

#[test]
fn archives_with_64_bit_records_are_read() {
    let pickle = one("FloatStorage", 4, 0, &[4], &[1]);
    let mut file = torch(&pickle, &[0; 16]);
    let plain = read(&file).unwrap();
    let end = file.split_off(file.len() - 22);
    let at = file.len() as u64;
    let word = |i: usize| u64::from(u32::from_le_bytes(end[i..i + 4].try_into().unwrap())).to_le_bytes();
    let wide =
        [&[45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &2_u64.to_le_bytes(), &2_u64.to_le_bytes()].concat();
    file.extend([b"PK\x06\x06", &44_u64.to_le_bytes()[..], &wide, &word(12), &word(16)].concat());
    file.extend([b"PK\x06\x07\0\0\0\0", &at.to_le_bytes()[..], &[1, 0, 0, 0]].concat());
    file.extend([b"PK\x05\x06\0\0\0\0", &[0xff; 12][..], &[0, 0]].concat());
    assert_eq!(read(&file).unwrap(), plain);
}

#[test]
fn checkpoints_have_the_state_dict_under_a_key() {
    for key in ["state_dict", "model_state_dict"] {
        let inner = dict(&[("w", tensor("FloatStorage", 4, 0, &[4], &[1]))]);
        let pickle = whole(&dict(&[("epoch", long(3)), (key, inner)]));
        let state = read(&torch(&pickle, &floats(&[1.0, 2.0, 3.0, 4.0]))).unwrap();
        assert_eq!((state.tensors().len(), state.tensors()[0].name.as_str()), (1, "w"));
    }
}

#[test]
fn other_floats_are_converted_only_if_asked() {
    let doubles: Vec<u8> = [0.5_f64, -3.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    for (class, storage, wanted) in [
        ("HalfStorage", vec![0x00, 0x3c, 0x00, 0xc0], [1.0, -2.0]),
        ("BFloat16Storage", vec![0x80, 0x3f, 0x20, 0xbf], [1.0, -0.625]),
        ("DoubleStorage", doubles, [0.5, -3.0]),
    ] {
        let file = torch(&one(class, 2, 0, &[2], &[1]), &storage);
        let error = read(&file).unwrap_err();
        assert!(matches!(&error, ImportError::NeedsConversion { name, .. } if name == "w"), "{error}");
        assert!(error.to_string().contains("--convert"), "{error}");
        let state = import::from_bytes(&file, Convert::Yes).unwrap();
        assert_eq!(state.tensors()[0].element, Element::F32);
        assert_eq!(state.tensors()[0].bytes, floats(&wanted));
    }
    let batches = torch(&one("LongStorage", 1, 0, &[], &[]), &7_i64.to_le_bytes());
    assert_eq!(import::from_bytes(&batches, Convert::Yes).unwrap().tensors()[0].element, Element::I64);
}

#[test]
fn hostile_calls_are_refused_by_name() {
    for (module, name) in [("os", "system"), ("builtins", "eval"), ("torch.storage", "_load_from_bytes")] {
        let call = [format!("c{module}\n{name}\n(").into_bytes(), text("id"), b"tR".to_vec()].concat();
        let error = pickle_error(&whole(&call));
        assert!(
            matches!(&error, PickleError::Refused { name: n, .. } if *n == format!("{module}.{name}")),
            "{error}"
        );
        let stacked = [text(module), text(name), b"\x93)R".to_vec()].concat();
        assert!(matches!(pickle_error(&whole(&stacked)), PickleError::Refused { .. }));
    }
    assert!(matches!(
        pickle_error(b"\x80\x02(S'id'\nios\nsystem\n."),
        PickleError::Opcode { opcode: b'S', .. }
    ));
    assert!(matches!(pickle_error(b"\x80\x02(ios\nsystem\n."), PickleError::Opcode { opcode: b'i', .. }));
    assert!(matches!(pickle_error(b"\x80\x02\x82\x01."), PickleError::Opcode { opcode: 0x82, .. }));
}

#[test]
fn damaged_pickles_are_refused() {
    assert!(matches!(pickle_error(b"\x80\x02}"), PickleError::Truncated { .. }));
    assert!(matches!(pickle_error(b"\x80\x02X\xff\xff\xff\xffab."), PickleError::Truncated { .. }));
    assert!(matches!(
        pickle_error(b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\xffab."),
        PickleError::Truncated { .. }
    ));
    assert!(matches!(pickle_error(b"\x80\x09}."), PickleError::Protocol { version: 9 }));
    assert!(matches!(pickle_error(b"\x80\x02."), PickleError::Stack { .. }));
    assert!(matches!(pickle_error(b"\x80\x02t."), PickleError::Stack { .. }));
    assert!(matches!(pickle_error(b"\x80\x02}K\x01(s."), PickleError::Stack { .. }));
    assert!(matches!(pickle_error(b"\x80\x02h\x07."), PickleError::Memo { index: 7, .. }));
    assert!(matches!(pickle_error(b"\x80\x02X\x01\x00\x00\x00\xff."), PickleError::Text { .. }));
    assert!(matches!(pickle_error(b"\x80\x02K\x01K\x02a."), PickleError::Operand { .. }));
    assert!(matches!(pickle_error(&vec![b'N'; (16 << 20) + 1]), PickleError::TooLong { .. }));
}

#[test]
fn what_is_no_state_dict_is_named() {
    assert!(matches!(pickled(&whole(b"K\x01")), ImportError::NoStateDict { .. }));
    assert!(matches!(pickled(&whole(b"cmy\nModel\n)\x81}b")), ImportError::NoStateDict { .. }));
    assert!(matches!(pickled(&whole(b"}K\x01K\x02s")), ImportError::Key { .. }));
    let error = pickled(&whole(&dict(&[("w", b"cos\nsystem\n".to_vec())])));
    assert_eq!(error.to_string(), "w is os.system; plain tensors are read");
    let twice = tensor("FloatStorage", 4, 0, &[4], &[1]);
    assert!(matches!(
        pickled(&whole(&dict(&[("w", twice.clone()), ("w", twice)]))),
        ImportError::Duplicate { .. }
    ));
    assert!(matches!(
        pickled(&whole(&dict(&[(&"w".repeat(1025), b"N".to_vec())]))),
        ImportError::TooManyNames
    ));
}

/// A module whose only child is `child`, kept as memo 0.
fn module(children: &[u8]) -> Vec<u8> {
    let state = [
        b"}(".to_vec(),
        text("_parameters"),
        b"}".to_vec(),
        text("_buffers"),
        b"}".to_vec(),
        text("_modules"),
        b"}(".to_vec(),
    ];
    [b"cmy\nModel\n)\x81q\x00", &state.concat()[..], children, b"uub"].concat()
}

#[test]
fn modules_without_end_are_refused() {
    let cycle = module(&[text("a"), b"h\x00".to_vec()].concat());
    assert!(matches!(pickled(&whole(&cycle)), ImportError::TooDeep));
    let mut bomb = module(b"");
    for level in 1..40_u8 {
        let twice = [text("a"), vec![b'h', level], text("b"), vec![b'h', level]].concat();
        bomb = [&bomb[..], &[b'q', level], &module(&twice)].concat();
    }
    assert!(matches!(pickled(&whole(&bomb)), ImportError::TooManyNames));
}

#[test]
fn tensors_beyond_their_storage_are_refused() {
    for (offset, shape, strides) in [
        (0, &[5][..], &[1][..]),
        (1, &[4], &[1]),
        (0, &[2, 2], &[3, 1]),
        (0, &[1 << 40, 1 << 40], &[1 << 40, 1]),
        (i64::MAX, &[2], &[i64::MAX]),
    ] {
        let error = pickled(&one("FloatStorage", 4, offset, shape, strides));
        assert!(matches!(&error, ImportError::Beyond { .. }), "{error}");
    }
    for (offset, shape, stride) in [(-1, 4, 1), (0, -4, 1), (0, 4, -1)] {
        assert!(matches!(
            pickle_error(&one("FloatStorage", 4, offset, &[shape], &[stride])),
            PickleError::Operand { .. }
        ));
    }
    assert!(matches!(
        pickle_error(&one("FloatStorage", 4, 0, &[1; 65], &[1; 65])),
        PickleError::Operand { .. }
    ));
    assert!(matches!(pickle_error(&one("FloatStorage", 4, 0, &[4], &[])), PickleError::Operand { .. }));
    assert!(matches!(pickle_error(&one("QInt8Storage", 4, 0, &[4], &[1])), PickleError::Operand { .. }));
    assert!(matches!(pickled(&one("FloatStorage", 5, 0, &[4], &[1])), ImportError::StorageSize { .. }));
    assert!(matches!(
        pickled(&one("FloatStorage", i64::MAX, 0, &[4], &[1])),
        ImportError::StorageSize { .. }
    ));
    let error = pickled(&one("FloatStorage", 4, 0, &[1 << 40], &[0]));
    assert!(matches!(error, ImportError::TooMuch { .. }), "{error}");
    let alone = zip(&[stored("m/data.pkl", &one("FloatStorage", 4, 0, &[4], &[1]))]);
    assert!(matches!(read(&alone).unwrap_err(), ImportError::NoStorage { .. }));
}

#[test]
fn foreign_files_are_told_apart() {
    assert!(matches!(read(b"").unwrap_err(), ImportError::UnknownFormat));
    assert!(matches!(read(b"\x93NUMPY\x01\x00").unwrap_err(), ImportError::SingleArray));
    let old = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
    assert!(matches!(read(old).unwrap_err(), ImportError::Legacy { .. }));
    let tar = [vec![0; 257], b"ustar\x0000".to_vec()].concat();
    assert!(matches!(read(&tar).unwrap_err(), ImportError::Legacy { .. }));
    assert!(matches!(read(b"\xff\xff\xff\xff\xff\xff\xff\x7f{}").unwrap_err(), ImportError::Safetensors(_)));
    assert!(matches!(read(&zip(&[stored("readme.txt", b"")])).unwrap_err(), ImportError::ForeignArchive));
    let script = zip(&[stored("m/data.pkl", b"}."), stored("m/constants.pkl", b").")]);
    assert!(matches!(read(&script).unwrap_err(), ImportError::TorchScript));
    let big = zip(&[stored("m/data.pkl", b"}."), stored("m/byteorder", b"big")]);
    assert!(matches!(read(&big).unwrap_err(), ImportError::ByteOrder { .. }));
    let missing = std::path::Path::new("/nonexistent/weights.pt");
    assert!(matches!(import::read(missing, Convert::No).unwrap_err(), ImportError::Map(_)));
    let header = br#"{"w":{"dtype":"U16","shape":[1],"data_offsets":[0,2]}}"#;
    let file = [&(header.len() as u64).to_le_bytes()[..], header, &[0, 0]].concat();
    assert!(matches!(read(&file).unwrap_err(), ImportError::Format { .. }));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("weights.pt");
    std::fs::write(&path, b"nothing").unwrap();
    let error = import::read(&path, Convert::No).unwrap_err();
    assert!(matches!(error, ImportError::At { .. }) && error.to_string().contains("weights.pt"));
}

fn archive_error(bytes: &[u8]) -> ArchiveError {
    match read(bytes).unwrap_err() {
        ImportError::Archive(error) => error,
        other => panic!("{other}"),
    }
}

#[test]
fn hostile_archives_are_refused() {
    let pickle = || stored("m/data.pkl", b"}.");
    assert!(matches!(archive_error(b"PK\x03\x04"), ArchiveError::NoEnd));
    assert!(matches!(archive_error(&zip(&[pickle(), pickle()])), ArchiveError::Duplicate { .. }));
    assert!(matches!(archive_error(&zip_at(&[pickle()], |_, _| 9)), ArchiveError::Record { .. }));
    let inner = zip(&[pickle()]);
    let overlap = zip_at(&[stored("a", &inner), pickle()], |i, offset| if i == 0 { offset } else { 31 });
    assert!(matches!(archive_error(&overlap), ArchiveError::Overlap { .. }));
    let encrypted = Entry { flags: 1, ..pickle() };
    assert!(matches!(archive_error(&zip(&[encrypted])), ArchiveError::Encrypted { .. }));
    let method = Entry { method: 93, ..pickle() };
    assert!(matches!(archive_error(&zip(&[method])), ArchiveError::Method { method: 93, .. }));
    let size = Entry { size: 3, ..pickle() };
    assert!(matches!(archive_error(&zip(&[size])), ArchiveError::Size { size: 3, .. }));
    let damaged = Entry { crc: 0, ..pickle() };
    assert!(matches!(archive_error(&zip(&[damaged])), ArchiveError::Damaged { wanted: 0, .. }));
    let mut volumes = zip(&[pickle()]);
    let end = volumes.len() - 22;
    volumes[end + 4] = 1;
    assert!(matches!(archive_error(&volumes), ArchiveError::Volumes));
    let mut name = zip(&[pickle()]);
    for at in (0..name.len()).filter(|&at| name[at..].starts_with(b"m/data")).collect::<Vec<_>>() {
        name[at] = 0xff;
    }
    assert!(matches!(archive_error(&name), ArchiveError::Name { entry: 0 }));
    let bomb = deflated("m/data.pkl", &vec![b'N'; 80 << 20]);
    assert!(matches!(archive_error(&zip(&[bomb])), ArchiveError::TooMuch { .. }));
    let liar = Entry { size: 10, ..deflated("m/data.pkl", &vec![b'N'; 1 << 20]) };
    assert!(matches!(archive_error(&zip(&[liar])), ArchiveError::Size { size: 10, .. }));
}

fn npy(header: &str, data: &[u8]) -> Vec<u8> {
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
}

fn array(descr: &str, order: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    npy(&format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n"), data)
}

#[test]
fn arrays_are_read_stored_and_deflated_in_both_orders() {
    let data = floats(&[1.0, 2.0, 3.0, 4.0]);
    let file = zip(&[
        stored("mlp.0.weight.npy", &array("<f4", "False", "(2, 2)", &data)),
        deflated("table.npy", &array("<f4", "True", "(2, 2)", &data)),
        stored("n.npy", &array("<i8", "False", "()", &[1, 0, 0, 0, 0, 0, 0, 0])),
    ]);
    let state = read(&file).unwrap();
    let names: Vec<_> = state.tensors().iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["mlp.0.weight", "table", "n"]);
    assert_eq!(state.tensors()[0].bytes, data);
    assert_eq!(state.tensors()[1].bytes, floats(&[1.0, 3.0, 2.0, 4.0]));
    assert_eq!((state.tensors()[2].element, state.tensors()[2].shape.len()), (Element::I64, 0));
}

#[test]
fn hostile_arrays_are_refused() {
    let error = |bytes: &[u8]| match read(&zip(&[stored("w.npy", bytes)])).unwrap_err() {
        ImportError::Npy { source, .. } => source,
        other => panic!("{other}"),
    };
    assert_eq!(error(b"\x93NUM"), NpyError::NoHeader);
    assert_eq!(error(b"\x93NUMPY\x01\x00\xff\xff{"), NpyError::NoHeader);
    assert_eq!(error(b"\x93NUMPY\x02\x00\xff\xff\xff\xff{"), NpyError::NoHeader);
    assert_eq!(error(b"\x93NUMPY\x09\x00"), NpyError::Version(9));
    assert!(matches!(error(&npy("{'descr': '<f4'}", b"")), NpyError::Header(_)));
    assert!(matches!(error(&npy("{'é", b"")), NpyError::Header(_)));
    assert!(matches!(error(&array("<f4", "False", "(-1,)", &[])), NpyError::Header(_)));
    assert_eq!(error(&array(">f4", "False", "(1,)", &[0; 4])), NpyError::BigEndian(">f4".to_owned()));
    assert_eq!(error(&array("|O", "False", "(1,)", &[0; 8])), NpyError::Type("|O".to_owned()));
    let records = npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", &[0; 4]);
    assert!(matches!(error(&records), NpyError::Type(_)));
    assert!(matches!(error(&array("<f4", "False", "(2,)", &[0; 4])), NpyError::Length { found: 4, .. }));
    let huge = "(4611686018427387904, 4611686018427387904)";
    assert!(matches!(error(&array("<f4", "True", huge, &[])), NpyError::Length { .. }));
}

#[test]
fn values_of_a_pickle_are_charged_to_the_file() {
    const COUNT: usize = 16_000_000;
    for (name, begin, each) in [
        ("empty dicts", &b"\x80\x02"[..], &b"}"[..]),
        ("tuples in tuples", b"\x80\x02N", b"\x85"),
        ("values on the stack", b"\x80\x02", b"N"),
        ("marks", b"\x80\x02", b"("),
        ("memos", b"\x80\x02N", b"\x94"),
        ("copies in a list", b"\x80\x02]N", b"2"),
    ] {
        let mut pickle = begin.to_vec();
        pickle.extend(each.repeat((COUNT - begin.len()) / each.len()));
        let file = zip(&[deflated("m/data.pkl", &pickle)]);
        assert!(file.len() < 20_000, "{name}");
        let error = read(&file).unwrap_err();
        assert!(matches!(error, ImportError::Pickle(PickleError::TooMuch { .. })), "{name}: {error}");
    }
    // A list that grows by itself again and again: what it holds is charged each time.
    let mut pickle = b"\x80\x02](".to_vec();
    pickle.extend(b"N".repeat(1000));
    pickle.extend(b"e");
    assert!(matches!(
        read(&zip(&[stored("m/data.pkl", &[pickle, b".".to_vec()].concat())])),
        Err(ImportError::NoStateDict { .. })
    ));
}
