//! Cases that once went wrong, each of which stands for its kind.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use safetensors::SafeTensors;
use serde_json::Value;

use crate::workbench::{Ran, Workbench};

/// An input of `testdata`, copied into the bench.
fn given(bench: &Workbench, folder: &str, name: &str) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata").join(folder).join(name);
    fs::copy(from, bench.path(name)).expect("an input of a case is there");
}

/// What a run of the command took.
struct Taken {
    ran: Ran,
    time: Duration,
    peak_bytes: u64,
}

/// Runs the command and watches its largest resident memory.
fn measured(bench: &Workbench, words: &str) -> Taken {
    let words: Vec<&str> = words.split(' ').collect();
    let start = Instant::now();
    let mut command = bench.command(&words);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command starts");
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut peak = 0;
    while child.try_wait().expect("a child can be waited for").is_none() {
        peak = peak.max(fs::read_to_string(&status).ok().and_then(|text| high_water(&text)).unwrap_or(0));
        std::thread::park_timeout(Duration::from_millis(2));
    }
    let output = child.wait_with_output().expect("a child can be waited for");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let ran = Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
    Taken { ran, time: start.elapsed(), peak_bytes: peak }
}

fn high_water(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? << 10)
}

/// The place of a tensor's bytes in a safetensors file.
fn place(file: &[u8], name: &str) -> std::ops::Range<usize> {
    let tensors = SafeTensors::deserialize(file).expect("a safetensors file");
    let data = tensors.tensor(name).expect("the tensor is there").data();
    let start = data.as_ptr().addr() - file.as_ptr().addr();
    start..start + data.len()
}

fn words(map: &SafeTensors<'_>, name: &str, width: usize) -> Vec<u64> {
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    map.tensor(name).expect("the map has it").data().chunks_exact(width).map(word).collect()
}

#[test]
fn a_file_in_which_some_words_are_injected_is_taken_back_or_finished() {
    let bench = Workbench::new();
    bench.models();
    let original = fs::read(bench.path("fm.model")).expect("a model");
    bench.run("inject fm.model --ber 1e-3 --seed 3 --map m.map --json").json();
    let map = fs::read(bench.path("m.map")).expect("a map");
    let map = SafeTensors::deserialize(&map).expect("a map is a safetensors file");
    let mut changes = Vec::new();
    for name in map.names() {
        let Some(parameter) = name.strip_suffix(".element") else { continue };
        let start = place(&original, parameter).start;
        let (elements, masks) = (words(&map, name, 8), words(&map, &format!("{parameter}.mask"), 4));
        changes
            .extend(elements.iter().zip(masks).map(|(element, mask)| (start + *element as usize * 4, mask)));
    }
    assert!(changes.len() > 20, "{} words", changes.len());
    let changed = |which: &dyn Fn(usize) -> bool| {
        let mut bytes = original.clone();
        for (_, (at, mask)) in changes.iter().enumerate().filter(|(i, _)| which(*i)) {
            bytes[*at..at + 4].iter_mut().zip(mask.to_le_bytes()).for_each(|(byte, mask)| *byte ^= mask);
        }
        bytes
    };
    let injected = changed(&|_| true);
    let last = changes.len() - 1;
    let mixes: [&dyn Fn(usize) -> bool; 5] =
        [&|i| i < 12, &|i| i >= 12, &|i| i % 2 == 0, &|i| i == 0, &move |i| i != last];
    for (number, mix) in mixes.into_iter().enumerate() {
        for (words, expected) in
            [("undo mix.model --map m.map", &original), ("apply mix.model --map m.map", &injected)]
        {
            fs::write(bench.path("mix.model"), changed(mix)).expect("a mix is written");
            let ran = bench.run(words);
            assert_eq!(ran.code, Some(0), "mix {number}, {words}: {}{}", ran.out, ran.err);
            let found = fs::read(bench.path("mix.model")).expect("the file is there");
            assert!(&found == expected, "mix {number}, {words}: other bytes");
            if words.starts_with("apply") {
                bench.run("undo mix.model --map m.map --json").json();
            }
        }
    }
    // A third value belongs to neither state: nothing is written.
    let mut third = changed(&|i| i < 12);
    third[changes[last].0] ^= 0x10;
    fs::write(bench.path("mix.model"), &third).expect("a file is written");
    for words in ["undo mix.model --map m.map", "apply mix.model --map m.map"] {
        bench.run(words).fails(5, &["mix.model"]);
        assert!(fs::read(bench.path("mix.model")).is_ok_and(|bytes| bytes == third), "{words}");
    }
}

#[test]
fn a_model_larger_than_memory_is_refused_with_both_sizes() {
    let bench = Workbench::new();
    bench.write("index.csv", "user,item,click\n1,2,0\n3,4,1\n5,6,0\n7,8,1\n");
    let words = "data prepare csv index.csv --label click --categorical user,item --ids index --split none \
                 --field-dims 3000000001,10 --out d.data --json";
    bench.run(words).json();
    let taken = measured(&bench, "init --model fm --data d.data --out m.model");
    assert!(matches!(taken.ran.code, Some(1 | 5)), "{:?} {}", taken.ran.code, taken.ran.err);
    assert!(taken.ran.err.contains("GB") || taken.ran.err.contains("bytes"), "{}", taken.ran.err);
    assert!(!taken.ran.err.contains("bug"), "{}", taken.ran.err);
    assert!(!bench.path("m.model").exists());
    assert!(taken.peak_bytes < 200 << 20, "{} bytes", taken.peak_bytes);
}

#[test]
fn formats_that_all_cannot_reach_are_named() {
    let bench = Workbench::new();
    for name in ["fp8", "f4", "e8m0", "bool"] {
        let file = format!("formats-{name}.safetensors");
        given(&bench, "cases", &file);
        let injected = bench.run(&format!("inject {file} --ber 0.05 --out {name}.st --json")).json();
        let exposed = injected["exposed_bits"].as_u64().expect("exposed bits");
        let passed = injected["passed_over"].as_array().expect("a list of what is passed over");
        let names: Vec<&str> = passed.iter().filter_map(|tensor| tensor["name"].as_str()).collect();
        let text = bench.run(&format!("inject {file} --ber 0.05 --out {name}.text.st"));
        match name {
            "fp8" => assert_eq!((exposed, names.len()), (16_928, 0)),
            "bool" => {
                assert_eq!(names, ["mask"]);
                assert!((text.out.clone() + &text.err).contains("mask"), "{}{}", text.out, text.err);
                let strict = bench.run(&format!("inject {file} --ber 0.05 --out strict.st --strict"));
                strict.fails(1, &["mask"]);
                assert!(!bench.path("strict.st").exists());
            }
            _ => assert!(exposed > 512 && names.is_empty(), "{name}: {exposed} bits, {names:?}"),
        }
    }
}

/// A copy of a model with `by` added to its last bias.
fn shifted(bench: &Workbench, name: &str, by: f32) {
    let mut bytes = fs::read(bench.path("fm.model")).expect("a model");
    let bias = place(&bytes, "linear.bias");
    let old = f32::from_le_bytes(bytes[bias.clone()].try_into().expect("one float"));
    bytes[bias].copy_from_slice(&(old + by).to_le_bytes());
    fs::write(bench.path(name), bytes).expect("a model is written");
}

#[test]
fn rows_whose_probability_is_at_a_bound_are_counted() {
    let bench = Workbench::new();
    bench.models();
    let evaluated =
        |name: &str| bench.run(&format!("evaluate {name} --data small.data --split all --json")).json();
    let golden = evaluated("fm.model");
    assert_eq!(golden["ties_at_bounds"], 0);
    let rows = golden["rows"].as_u64().expect("rows");
    shifted(&bench, "high.model", 40.0);
    let high = evaluated("high.model");
    assert_eq!(high["ties_at_bounds"].as_u64(), Some(rows));
    assert_eq!(high["auc"].as_f64(), Some(0.5));
    shifted(&bench, "low.model", -20.0);
    let low = evaluated("low.model");
    assert_eq!(low["ties_at_bounds"], 0);
    let difference = low["auc"].as_f64().expect("an AUC") - golden["auc"].as_f64().expect("an AUC");
    assert!(difference.abs() < 1e-3, "{difference}");
}

/// Asserts a refusal that was quick and small.
fn refused_cheaply(taken: &Taken, case: &str) {
    assert_eq!(taken.ran.code, Some(5), "{case}: {}{}", taken.ran.out, taken.ran.err);
    // Twice the two seconds of a release build that has the machine for itself.
    assert!(taken.time < Duration::from_secs(4), "{case}: {:?}", taken.time);
    assert!(taken.peak_bytes < 200 << 20, "{case}: {} bytes", taken.peak_bytes);
}

#[test]
fn a_parquet_header_that_loops_is_refused_cheaply() {
    let bench = Workbench::new();
    given(&bench, "data", "loop.parquet");
    let words = "data prepare parquet loop.parquet --label l --positive >3 --categorical a,b \
                 --numeric n --out p.data";
    refused_cheaply(&measured(&bench, &words.replace("                 ", "")), "parquet");
}

#[test]
fn small_pickles_that_would_become_large_are_refused_cheaply() {
    let bench = Workbench::new();
    for name in ["pickle-16M-tuple1.pt", "pickle-16M-empty-dicts.pt"] {
        given(&bench, "cases", name);
        let words = format!("import {name} --model fm --field-dims 9,9 --out m.model");
        refused_cheaply(&measured(&bench, &words), name);
    }
}

#[test]
fn a_plan_without_end_is_refused_cheaply() {
    let bench = Workbench::new();
    for plan in ["/dev/zero", "fifo"] {
        if plan == "fifo" {
            let made = Command::new("mkfifo").arg(bench.path("fifo")).status();
            assert!(made.is_ok_and(|status| status.success()), "mkfifo");
        }
        refused_cheaply(&measured(&bench, &format!("run {plan} --out z")), plan);
    }
}

#[test]
fn records_with_a_flipped_bit_are_refused_or_equal_and_never_a_bug() {
    let bench = Workbench::new();
    bench.models();
    bench.plan("seed = 4\nchips = 20\ntargets = [\"all\"]\nrates = [1e-4, 1e-3]\n");
    bench.run("run plan.toml --out whole --json").json();
    let digest = bench.digest("whole");
    let whole = fs::read(bench.path("whole/records.sqlite")).expect("records");
    fs::create_dir(bench.path("hurt")).expect("a directory can be made");
    let mut refused = 0;
    for trial in 0..60 {
        let mut bytes = whole.clone();
        let bit = (trial * 7_368_787_u64 + 977_u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let bit = bit as usize % (bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(bench.path("hurt/records.sqlite"), &bytes).expect("records are written");
        let exported = bench.run("export hurt --digest");
        let reported = bench.run("report hurt --out r.html --force");
        for (name, ran) in [("export", &exported), ("report", &reported)] {
            assert!(matches!(ran.code, Some(0 | 5)), "bit {bit}, {name}: {:?} {}", ran.code, ran.err);
        }
        refused += u32::from(exported.code == Some(5));
        assert!(
            exported.code == Some(5) || exported.out.trim() == digest,
            "bit {bit} changed the digest unseen"
        );
    }
    assert!(refused > 10, "{refused} of 60 refused");
}

#[test]
fn dlrm_under_checks_of_its_tables_is_evaluated_alike_both_ways() {
    let bench = Workbench::new();
    let mut state = 1_u32;
    let mut below = |n: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % n
    };
    for (name, dims) in [("two", &[40, 300][..]), ("three", &[300, 40, 20])] {
        let fields: Vec<String> = (0..dims.len()).map(|i| format!("f{i}")).collect();
        let mut text = format!("{},x,y\n", fields.join(","));
        for _ in 0..2000 {
            let ids: Vec<String> = dims.iter().map(|dim| below(*dim).to_string()).collect();
            writeln!(text, "{},0.{},{}", ids.join(","), below(1000), u32::from(below(10) < 4))
                .expect("a string takes text");
        }
        bench.write("t.csv", &text);
        let prepare = format!(
            "data prepare csv t.csv --label y --categorical {} --numeric x --out {name}.data --json",
            fields.join(",")
        );
        bench.run(&prepare).json();
        bench.run(&format!("init --model dlrm --data {name}.data --out {name}.model --json")).json();
        let plan = format!(
            "chips = 20\ntargets = [\"embedding\"]\nrates = [1e-4]\nprotections = [\"none\", \"abft-embedding:recompute\"]\n\
             [[subject]]\nmodel = \"{name}.model\"\ndata = \"{name}.data\"\n"
        );
        bench.write("plan.toml", &plan);
        let digests = ["auto", "full"].map(|way| {
            bench.run(&format!("run plan.toml --out {name}-{way} --evaluation {way} --json")).json();
            bench.digest(&format!("{name}-{way}"))
        });
        assert_eq!(digests[0], digests[1], "{name} fields");
    }
}

/// Bytes of the sparse file, in units of 10^9; the long tests take 60.
fn sparse_gigabytes() -> u64 {
    std::env::var("RADHARD_SPARSE_GB").map_or(6, |text| text.parse().expect("a number of gigabytes"))
}

#[test]
fn a_sparse_file_beyond_4_gib_costs_what_the_flips_touch() {
    let bench = Workbench::new();
    let total = sparse_gigabytes() * 1_000_000_000;
    let codes = total / 2 / 4 * 4;
    let table = total - codes;
    let mut header = format!(
        r#"{{"codes":{{"dtype":"U8","shape":[{codes}],"data_offsets":[0,{codes}]}},"table":{{"dtype":"F32","shape":[{}],"data_offsets":[{codes},{total}]}}}}"#,
        table / 4
    );
    while header.len() % 8 != 0 {
        header.push(' ');
    }
    let start = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
    fs::write(bench.path("big.st"), &start).expect("a header is written");
    let file = fs::OpenOptions::new().write(true).open(bench.path("big.st")).expect("a file opens");
    if let Err(error) = file.set_len(start.len() as u64 + total) {
        println!("sparse file: skipped, this disk has no sparse file of {total} bytes: {error}");
        return;
    }
    let mut lines = Vec::new();
    for words in [
        "inject big.st --error-model count:2000 --seed 5 --map m.map --json",
        "apply big.st --map m.map --json",
        "undo big.st --map m.map --json",
        "inspect big.st --json",
    ] {
        let taken = measured(&bench, words);
        let _: Value = taken.ran.json();
        let name = words.split(' ').next().unwrap_or_default();
        lines.push(format!("{name} {:.2} s {} MB", taken.time.as_secs_f64(), taken.peak_bytes / 1_000_000));
        assert!(taken.peak_bytes <= 200_000_000, "{words}: {} bytes", taken.peak_bytes);
        assert!(taken.time <= Duration::from_secs(3), "{words}: {:?}", taken.time);
        if name == "apply" {
            let blocks = std::os::unix::fs::MetadataExt::blocks(&file.metadata().expect("a file"));
            assert!(blocks * 512 <= 64 << 20, "{} bytes of the disk are touched", blocks * 512);
        }
    }
    println!("sparse file of {total} bytes: {}", lines.join(", "));
}
