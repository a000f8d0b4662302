//! Where searches begin: at least one input of each form that a parser knows.

use std::io::Write;

use flate2::Compression as Level;
use flate2::write::GzEncoder;
use parquet::basic::Compression;

use crate::{containers, edits, files, records as database, tables, training, zip};

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

pub(crate) fn target() -> Vec<Vec<u8>> {
    texts(&["all", "embedding@31", "dense@sign,mlp.*", "*.weight@0-7", "all@exponent", "\"a,b@c*\"@30"])
}

pub(crate) fn error_model() -> Vec<Vec<u8>> {
    texts(&[
        "flips",
        "count:8",
        "burst:4:0.5",
        "stuck-at:0",
        "stuck-at:random",
        "asymmetric:0.1:1",
        "value:uniform",
        "value:zero",
        "value:-1..1e3",
    ])
}

pub(crate) fn protection() -> Vec<Vec<u8>> {
    texts(&[
        "none",
        "sbp",
        "sbp:31-30",
        "sbp=tmr:sign,exponent",
        "sbp=sec",
        "sbp=parity",
        "secded:zero",
        "tmr+range-guard:row,clamp,margin=1.5",
        "mset",
        "constant-bits",
        "clip:paper",
        "clip:activation,0..6",
        "zero:linear,quantile=0.99",
        "clip:linear,profiled",
        "ranger",
        "abft-gemm:recompute",
        "abft-embedding:reload",
        "row-checksum:crc32,zero",
    ])
}

pub(crate) fn settings() -> Vec<Vec<u8>> {
    texts(&[
        "1e-6",
        "0.5",
        "31",
        "30-23",
        "sign",
        "exponent",
        "mantissa",
        ">=3.5",
        "!=0",
        "parameters",
        "state",
        "f32",
        "bf16",
        "i8",
        "dense",
        "index",
        "one-based",
        "movielens-1m",
        "fallback",
        "worst",
        "masked",
        "sdc",
        "train",
        "test",
        "all",
        "memory",
        "compute",
        "8:1:1",
        "torch-fm",
        "adam",
        "int8-rowwise",
    ])
}

pub(crate) fn plan() -> Vec<Vec<u8>> {
    texts(&[
        "rates = [1e-3]\n[[subject]]\nmodel = \"m\"\ndata = \"d\"\n",
        "seed = 2\nchips = 5\nsplit = \"all\"\nevaluation = \"full\"\nnon_finite = \"worst\"\nexpose = \"state\"\n\
         targets = [\"embedding@31\", \"dense\"]\nerror_models = [\"flips\", \"count:3\"]\nrates = [1e-6, 1e-3]\n\
         protections = [\"none\", \"sbp+tmr\"]\n[[subject]]\nmodel = \"m\"\ndata = \"d\"\n",
        "persistence = \"compute\"\nrates = [0.5]\n[[subject]]\nmodel = \"m\"\ndata = \"d\"\n",
    ])
}

pub(crate) fn safetensors() -> Vec<Vec<u8>> {
    edits::seeds(files::safetensors())
}

pub(crate) fn model() -> Vec<Vec<u8>> {
    edits::seeds(containers::model_file())
}

pub(crate) fn error_map() -> Vec<Vec<u8>> {
    let mut seeds = edits::seeds(containers::map_file());
    seeds.push([&[0], &containers::map_of("flips")[..]].concat());
    seeds
}

/// The instructions of a tensor in storage 0, in protocol 2.
fn pickled_tensor() -> Vec<u8> {
    [
        &b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\n"[..],
        b"X\x01\0\0\x000X\x03\0\0\0cpuK\x04tQK\x00K\x02K\x02\x86K\x02K\x01\x86",
        b"\x89ccollections\nOrderedDict\n)RtR",
    ]
    .concat()
}

pub(crate) fn pickle() -> Vec<Vec<u8>> {
    let tensor = pickled_tensor();
    let state = [&b"\x80\x02}(X\x01\0\0\0w"[..], &tensor, b"X\x01\0\0\0v", &tensor, b"u."].concat();
    let ordered =
        [&b"\x80\x02ccollections\nOrderedDict\nq\0)Rq\x01(X\x01\0\0\0w"[..], &tensor, b"u."].concat();
    let module = [
        &b"\x80\x02cmy\nNet\n)\x81}(X\x0b\0\0\0_parametersccollections\nOrderedDict\n)R(X\x01\0\0\0w"[..],
        &tensor,
        b"uX\x08\0\0\0_modules}X\x08\0\0\0trainingI00\nub.",
    ]
    .concat();
    let untyped = b"\x80\x04\x95\0\0\0\0\0\0\0\0}\x94(\x8c\x01w\x8c\x0ctorch._utils\x8c\x12_rebuild_tensor_v3\x93\x94\
        ((\x8c\x07storage\x8c\x0dtorch.storage\x8c\x0eUntypedStorage\x93\x94\x8c\x010\x8c\x03cpuK\x10tQK\x01K\x01\x85\
        K\x01\x85\x89N\x8c\x05torch\x8c\x07float32\x93\x94tRu.";
    vec![state, ordered, module, untyped.to_vec(), b"\x80\x02}.".to_vec()]
}

pub(crate) fn npy() -> Vec<Vec<u8>> {
    let array = |descr: &str, order: &str, shape: &str, bytes: usize| {
        let header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
        let length = (header.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\0", &length[..], header.as_bytes(), &vec![7; bytes]].concat()
    };
    vec![
        array("<f4", "False", "(2, 3)", 24),
        array("<f8", "True", "(2, 2)", 32),
        array("<f2", "False", "(4,)", 8),
        array("|b1", "False", "()", 1),
        array("<i8", "False", "(1,)", 8),
    ]
}

pub(crate) fn weights() -> Vec<Vec<u8>> {
    let mut seeds = vec![files::safetensors().to_vec()];
    for pickle in pickle() {
        let entries: [(&str, &[u8]); 3] =
            [("m/data.pkl", &pickle), ("m/data/0", &[7; 16]), ("m/byteorder", b"little")];
        seeds.push(zip::archive(&entries));
    }
    seeds.extend(npy().iter().map(|array| zip::archive(&[("a.npy", array)])));
    seeds
}

pub(crate) fn data() -> Vec<Vec<u8>> {
    edits::seeds(tables::data_file())
}

/// A text under each of some choices, plain and once packed by gzip.
fn chosen(choices: &[u8], text: &str) -> Vec<Vec<u8>> {
    let mut seeds: Vec<_> = choices.iter().map(|choice| [&[*choice], text.as_bytes()].concat()).collect();
    let mut packed = GzEncoder::new(vec![choices[0]], Level::fast());
    packed.write_all(text.as_bytes()).expect("memory can be written");
    seeds.push(packed.finish().expect("memory can be written"));
    seeds
}

pub(crate) fn csv() -> Vec<Vec<u8>> {
    let text = "y,a,b,x\n1,7,\"b, c\",0.5\n0,10,a,-1e3\n1,7,\"say \"\"c\"\"\", 2 \n";
    let numbers = "a,b,x,y,z\r\n1,2,0.5,4,\r\n3,1,1e-3,1,q\r\n1,1,7,5,\r\n";
    [chosen(&[0, 8, 16], text), chosen(&[2, 4, 14, 22, 6, 23], numbers)].concat()
}

pub(crate) fn movielens() -> Vec<Vec<u8>> {
    let commas =
        "userId,movieId,rating,timestamp\n1,31,2.5,1260759144\n1,1029,3.5,1260759179\n2,10,4.0,835355493\n";
    [
        chosen(&[0, 16], "1::1193::5::978300760\n1::661::3::978302109\n2::1193::4::978298413\n"),
        chosen(&[1, 3, 17, 19], commas),
        chosen(&[2, 18], "196\t242\t3\t881250949\n186\t302\t3\t891717742\n22\t377\t5\t878887116\n"),
    ]
    .concat()
}

pub(crate) fn criteo() -> Vec<Vec<u8>> {
    let line = |label: u8, shift: usize| {
        let integers: Vec<String> = (0..13)
            .map(|i| if i == shift { String::new() } else { format!("{}", i as i64 * 7 - 3) })
            .collect();
        let words: Vec<String> = (0..26)
            .map(|i| if i == shift { String::new() } else { format!("{:08x}", 0x05db_9164 + i) })
            .collect();
        format!("{label}\t{}\t{}\n", integers.join("\t"), words.join("\t"))
    };
    let text: String = (0..4).map(|i| line(i % 2, usize::from(i) + 1)).collect();
    chosen(&[0, 1, 16, 17, 33, 64], &text)
}

pub(crate) fn parquet() -> Vec<Vec<u8>> {
    let kinds = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::ZSTD(parquet::basic::ZstdLevel::default()),
    ];
    let gzip = Compression::GZIP(parquet::basic::GzipLevel::default());
    kinds.into_iter().chain([gzip]).map(|kind| [&[16][..], &files::parquet(kind)].concat()).collect()
}

pub(crate) fn checkpoint() -> Vec<Vec<u8>> {
    edits::seeds(training::checkpoint_file())
}

/// Edits alone: the database is larger than an input should be.
pub(crate) fn records() -> Vec<Vec<u8>> {
    let pages = database::database().len() / 4096;
    let edit = |first: u8, page: usize, kind: u8| {
        let at = ((page * 4096 + 4000) as u32).to_le_bytes();
        [&[first][..], &at, &[kind, 1]].concat()
    };
    let mut seeds = vec![vec![1], vec![2]];
    seeds.extend((0..pages).flat_map(|page| [edit(1, page, 0), edit(1, page, 7), edit(2, page, 0)]));
    seeds
}
