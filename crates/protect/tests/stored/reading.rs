//! What is read of hit words: the sparse answer equals reading all of memory, word by word.

use crate::memory::{Memory, parameters, try_prepare, words};
use radhard_fault::*;
use radhard_protect::stored::{Checksum, hsiao};
use radhard_protect::{Events, parse_protection};

const ALL: [&str; 21] = [
    "sbp",
    "sbp:0",
    "sbp=tmr",
    "sbp=tmr:6,7",
    "sbp=sec",
    "sbp=parity",
    "secded",
    "secded:zero",
    "secded:reload",
    "tmr",
    "mset",
    "constant-bits",
    "range-guard",
    "range-guard:clamp",
    "range-guard:row,margin=1.5",
    "row-checksum",
    "row-checksum:zero",
    "row-checksum:crc32",
    "row-checksum:crc32,zero",
    "secded+range-guard",
    "mset+tmr+constant-bits",
];
const ERROR_MODELS: [(&str, Option<f64>); 7] = [
    ("flips", Some(1e-2)),
    ("flips", Some(0.3)),
    ("count:200", None),
    ("burst:40:0.5", Some(1e-3)),
    ("stuck-at:random", Some(2e-2)),
    ("asymmetric:0.1:1", Some(2e-2)),
    ("value:uniform", Some(1e-2)),
];

/// Every word of a parameter as the definition reads it, from all of memory.
fn plain(memory: &Memory, name: &str, index: usize) -> Vec<u64> {
    let spec = memory.clean.specs()[index].clone();
    let (format, clean) = (spec.format, memory.clean.words(index).iter().collect::<Vec<_>>());
    let stored = memory.stored(index, clean.clone());
    let kept = |suffix: &str, clean: Vec<u64>| {
        memory.stored(memory.place(&format!("{}#{suffix}", spec.name)), clean)
    };
    let width = (spec.elements() / spec.shape[0] as u64) as usize;
    let table = spec.component == Component::Embedding;
    let each = |read: &dyn Fn(u64) -> u64| stored.iter().map(|&word| read(word)).collect::<Vec<_>>();
    match name {
        "tmr" => {
            let (b, c) = (kept("copy1", clean.clone()), kept("copy2", clean));
            stored.iter().zip(b.iter().zip(&c)).map(|(a, (b, c))| a & b | a & c | b & c).collect()
        }
        "sbp=tmr" => {
            let mask = format.field(Field::Sign) | format.field(Field::Exponent);
            if mask == 0 {
                return stored;
            }
            let copy: Vec<u64> = clean.iter().map(|word| word & mask).collect();
            let (b, c) = (kept("copy1", copy.clone()), kept("copy2", copy));
            let vote = |(a, (b, c)): (&u64, (&u64, &u64))| a & !mask | (a & b | a & c | b & c) & mask;
            stored.iter().zip(b.iter().zip(&c)).map(vote).collect()
        }
        "sbp=parity" => {
            let mask = format.field(Field::Sign) | format.field(Field::Exponent);
            if mask == 0 {
                return stored;
            }
            let parity = |word: u64| u64::from((word & mask).count_ones() % 2);
            let check = kept("check", clean.iter().map(|&word| parity(word)).collect());
            let reads = stored.iter().zip(&check).zip(&clean);
            reads.map(|((&word, &check), &clean)| if parity(word) == check { word } else { clean }).collect()
        }
        "secded" | "secded:zero" | "secded:reload" => secded(memory, name, index),
        "constant-bits" => {
            let ones = clean.iter().fold(u64::MAX, |all, word| all & word);
            let some = clean.iter().fold(0, |some, word| some | word);
            each(&|word| word & some | ones)
        }
        "range-guard" | "range-guard:clamp" | "range-guard:row,margin=1.5" if format.is_float() => {
            let margin = if name.contains("1.5") { 1.5 } else { 1.0 };
            let rows = if name.contains("row") && table { width } else { clean.len() };
            let bounds = clean.chunks(rows).flat_map(|row| {
                let most = row.iter().map(|&word| format.decode(word).abs()).fold(0.0, f64::max);
                std::iter::repeat_n(most * margin, row.len())
            });
            stored
                .iter()
                .zip(bounds)
                .map(|(&word, bound)| {
                    let value = format.decode(word);
                    if value.abs() <= bound {
                        word
                    } else if value.is_nan() || !name.contains("clamp") {
                        0
                    } else {
                        format.encode(if value < 0.0 { -bound } else { bound })
                    }
                })
                .collect()
        }
        _ if name.starts_with("row-checksum") && table => {
            let kind = if name.contains("crc32") { Checksum::Crc32 } else { Checksum::Sum };
            let sum = |row: &[u64]| {
                let bytes: Vec<u8> = row
                    .iter()
                    .flat_map(|word| word.to_le_bytes().into_iter().take(format.bits() as usize / 8))
                    .collect();
                kind.of(&bytes)
            };
            let rows = stored.chunks(width).zip(clean.chunks(width));
            let read = |(row, clean): (&[u64], &[u64])| match (sum(row) == sum(clean), name.contains("zero"))
            {
                (true, _) => row.to_vec(),
                (false, true) => vec![0; width],
                (false, false) => clean.to_vec(),
            };
            rows.flat_map(read).collect()
        }
        _ => stored,
    }
}

/// By the kernel that decodes slices, over the whole parameter.
fn secded(memory: &Memory, name: &str, index: usize) -> Vec<u64> {
    let format = memory.clean.specs()[index].format;
    let run = 64 / format.bits() as usize;
    let pack = |words: &[u64]| -> Vec<u64> {
        let fold = |(i, word): (usize, &u64)| word << (i * format.bits() as usize);
        words.chunks(run).map(|run| run.iter().enumerate().map(fold).sum()).collect()
    };
    let clean: Vec<u64> = memory.clean.words(index).iter().collect();
    let mut check = vec![0; clean.len().div_ceil(run)];
    hsiao::encode_all(&pack(&clean), &mut check);
    let place = memory.place(&format!("{}#check", memory.clean.specs()[index].name));
    let check: Vec<u8> = memory
        .stored(place, check.into_iter().map(u64::from).collect())
        .into_iter()
        .map(|byte| byte as u8)
        .collect();
    let mut data = pack(&memory.stored(index, clean.clone()));
    let before = data.clone();
    let mut double = Vec::new();
    hsiao::decode_all(&mut data, &check, &mut double);
    // What is no word of the parameter is filling; a correction there is a double error.
    let filling = clean.len() % run * format.bits() as usize;
    let last = data.len() - 1;
    if filling > 0 && data[last] >> filling != 0 {
        data[last] = before[last];
        double.push(last);
    }
    let clean = pack(&clean);
    for number in double {
        match name {
            "secded:zero" => data[number] = 0,
            "secded:reload" => data[number] = clean[number],
            _ => {}
        }
    }
    let words = data
        .iter()
        .flat_map(|data| (0..run).map(move |i| data >> (i as u32 * format.bits()) & format.word_mask()));
    words.take(memory.clean.words(index).len()).collect()
}

#[test]
fn reading_what_was_touched_equals_reading_all_of_memory() {
    for name in ALL.into_iter().filter(|name| !name.contains('+') && !name.starts_with("sbp:")) {
        if matches!(name, "sbp=sec" | "mset" | "sbp=tmr:6,7") {
            continue;
        }
        let mut memory = Memory::new(name, "all", parameters());
        for (error_model, rate) in ERROR_MODELS {
            memory.chip(error_model, 3, rate);
            for index in 0..memory.clean.specs().len() {
                let expected = plain(&memory, name, index);
                assert_eq!(memory.words_read(index), expected, "{name}, {error_model} {rate:?}, {index}");
            }
        }
    }
}

#[test]
fn the_bits_that_data_and_target_share_are_hit_as_without_protection() {
    for name in ALL.into_iter().filter(|name| *name != "mset+tmr+constant-bits" && *name != "mset") {
        let mut memory = Memory::new(name, "all", parameters());
        for (error_model, rate) in ERROR_MODELS.into_iter().filter(|(_, rate)| rate.is_some()) {
            memory.chip(error_model, 8, rate);
            let target = memory.exposure.target();
            let mut alone = DrawnMap::new();
            let rate = rate.map(|rate| BitErrorRate::new(rate).unwrap());
            parse_error_model(error_model).unwrap().draw(Chip::new(5, 8), target, rate, &mut alone).unwrap();
            for drawn in alone.parameters() {
                let in_memory = memory.drawn.parameters().iter().find(|other| other.index() == drawn.index());
                let in_memory = in_memory.unwrap();
                let kept = in_memory.exposed().mask;
                let expected = drawn.iter().map(|(element, effect)| (element, effect.within(kept)));
                let expected: Vec<_> = expected.filter(|(_, effect)| *effect != Effect::NOTHING).collect();
                assert_eq!(in_memory.iter().collect::<Vec<_>>(), expected, "{name} {error_model}");
            }
        }
    }
}

#[test]
fn a_chip_that_hits_nothing_is_read_clean_and_unnoticed() {
    for name in ALL {
        let mut memory = Memory::new(name, "all", parameters());
        assert_eq!(memory.chip("flips", 0, Some(0.0)), Events::default(), "{name}");
        assert!(memory.read.is_empty(), "{name}");
    }
}

#[test]
fn what_reads_as_stored_is_not_in_the_map() {
    for name in ALL {
        let mut memory = Memory::new(name, "all", parameters());
        for chip in 0..20 {
            memory.chip("stuck-at:random", chip, Some(1e-3));
            let changed = memory.read.resolve(&memory.clean).unwrap();
            assert_eq!(changed.words(), memory.read.words(), "{name}");
            assert_eq!(memory.read.effective_flips(&memory.clean).unwrap(), changed.flips(), "{name}");
        }
    }
}

#[test]
fn one_flip_is_gone_under_every_code_and_copy() {
    for name in ["tmr", "secded", "secded:zero", "secded:reload"] {
        let mut memory = Memory::new(name, "all", parameters());
        for chip in 0..200 {
            let events = memory.chip("count:1", chip, None);
            assert!(memory.read.is_empty(), "{name} {chip}");
            assert_eq!(events, Events { detected: 1, corrected: 1, ..Events::default() }, "{name} {chip}");
        }
    }
    let mut memory = Memory::new("row-checksum", "embedding", parameters());
    for chip in 0..50 {
        let events = memory.chip("count:1", chip, None);
        assert!(memory.read.is_empty() && events.reloads == 1 && events.reload_bytes > 0);
    }
}

#[test]
fn a_target_of_some_bits_exposes_all_that_is_kept_for_its_parameters_and_no_more() {
    let memory = Memory::new("secded", "mlp.weight@30", parameters());
    assert_eq!(memory.exposure.memory().bits(), 99 + 8 * 50);
    let memory = Memory::new("sbp=tmr:30", "linear.*@exponent", parameters_of_f32());
    assert_eq!(memory.exposure.memory().bits(), 301 * (8 + 2));
    let memory = Memory::new("sbp", "mlp.*", parameters());
    assert_eq!(memory.exposure.memory().bits(), 100 * 23);
    let memory = Memory::new("sbp:30", "mlp.*@30", parameters_of_f32());
    assert_eq!(memory.exposure.memory().bits(), 0);
}

fn parameters_of_f32() -> OwnedParameters {
    let mut parameters = OwnedParameters::default();
    parameters.push_f32("linear.fc.weight", &[301, 1], Component::Embedding, &[0.5; 301]);
    parameters.push_f32("mlp.weight", &[4], Component::Dense, &[0.5; 4]);
    parameters
}

#[test]
fn costs_are_those_of_the_definitions() {
    let parameters = words(1000);
    let bits = |name: &str| crate::memory::prepare(name, &parameters).cost().memory_bits;
    assert_eq!(bits("secded"), 32_000 / 8);
    assert_eq!(bits("tmr"), 2 * 32_000);
    assert_eq!(bits("sbp=tmr"), 18 * 1000);
    assert_eq!(bits("sbp=sec"), 4 * 1000);
    assert_eq!(bits("sbp=parity"), 1000);
    assert_eq!(bits("row-checksum"), 32 * 1000);
    assert_eq!(bits("range-guard:row"), 32 * 1000);
    for name in ["sbp", "mset", "constant-bits", "range-guard"] {
        assert_eq!(bits(name), 0, "{name}");
    }
}

#[test]
fn nan_and_infinity_never_pass_a_range_guard() {
    for name in ["range-guard", "range-guard:row", "range-guard:clamp", "range-guard:margin=1e30"] {
        let mut memory = Memory::new(name, "embedding.weight", parameters());
        for chip in 0..40 {
            memory.chip("flips", chip, Some(0.2));
            let words = memory.words_read(0);
            assert!(words.iter().all(|&word| f32::from_bits(word as u32).is_finite()), "{name}");
        }
    }
}

#[test]
fn where_there_is_no_place_to_act_a_protection_says_so() {
    let error = |name: &str, parameters: &OwnedParameters| {
        try_prepare(name, parameters).err().map(|error| error.to_string()).unwrap()
    };
    assert_eq!(
        error("sbp:30", &parameters()),
        "protection sbp:30 names bits that format f16 of \"half\" lacks"
    );
    let mut integers = OwnedParameters::default();
    integers.push(ParameterSpec {
        name: "codes".into(),
        shape: vec![8],
        format: Format::U8,
        component: Component::Dense,
    });
    for name in ["sbp", "range-guard", "mset", "row-checksum"] {
        assert!(error(name, &integers).contains("finds no place to act"), "{name}");
    }
    let mut sick = OwnedParameters::default();
    sick.push_f32("w", &[3], Component::Dense, &[1.0, f32::NAN, 2.0]);
    assert_eq!(
        error("range-guard", &sick),
        "protection range-guard: word 1 of \"w\" is NaN without any fault, and a bound is finite"
    );
    assert!(error("secded+sbp=sec", &words(3)).contains("keep words under the name \"w#check\""));
}

#[test]
fn only_mset_stores_other_words_and_barely() {
    for name in ALL {
        let combination = parse_protection(name).unwrap();
        let mut stored = parameters();
        combination.rewrite(&mut stored);
        assert_eq!(stored != parameters(), combination.rewrites(), "{name}");
        assert_eq!(combination.rewrites(), name.contains("mset"));
    }
    let mut stored = words(1000);
    parse_protection("mset").unwrap().rewrite(&mut stored);
    for (a, b) in stored.words(0).iter().zip(words(1000).words(0).iter()) {
        assert!(a & !3 == b & !3 && a & 3 == if a >> 30 & 1 == 1 { 3 } else { 0 });
    }
}

#[test]
fn reading_slices_equals_reading_what_was_touched() {
    let names = ALL.into_iter().filter(|name| !name.starts_with("sbp=tmr:6"));
    for name in names.chain(["sbp=tmr:30", "range-guard:row,clamp", "secded:reload+range-guard:margin=1.25"])
    {
        for target in ["a", "b"] {
            let mut clean = OwnedParameters::default();
            let values: Vec<f32> = (0..903).map(|i| (i * 7919 % 2003) as f32 / 1001.5 - 1.0).collect();
            clean.push_f32("a", &[301, 3], Component::Embedding, &values);
            clean.push_f32("b", &[903, 1], Component::Embedding, &values);
            let mut memory = Memory::new(name, target, clean);
            let index = usize::from(target == "b");
            for rate in [1e-3, 3e-2, 0.3] {
                let rate = BitErrorRate::new(rate).ok();
                // Hits in the words alone, none in what is kept for them.
                let target = memory.exposure.target().clone();
                parse_error_model("flips")
                    .unwrap()
                    .draw(Chip::new(5, 1), &target, rate, &mut memory.drawn)
                    .unwrap();
                let clean: Vec<u32> = memory.clean.words(index).iter().map(|word| word as u32).collect();
                let mut words = memory.stored(index, memory.clean.words(index).iter().collect());
                if name.starts_with("sbp") && !name.contains('=') {
                    assert!(memory.protected.slice_readers(index, &clean).is_empty());
                    continue;
                }
                let events = memory.read_drawn();
                let mut slice: Vec<u32> = words.drain(..).map(|word| word as u32).collect();
                let mut fired = 0;
                for mut reader in memory.protected.slice_readers(index, &clean) {
                    fired += reader(&mut slice).fired;
                }
                let expected: Vec<u32> =
                    memory.words_read(index).into_iter().map(|word| word as u32).collect();
                assert_eq!(slice, expected, "{name} {index}");
                assert_eq!(fired, events.detected, "{name} {index}");
            }
        }
    }
}

#[test]
fn clean_words_raise_no_alarm() {
    for name in ALL {
        let memory = Memory::new(name, "all", words(1001));
        let clean: Vec<u32> = memory.clean.words(0).iter().map(|word| word as u32).collect();
        let mut slice = clean.clone();
        for mut reader in memory.protected.slice_readers(0, &clean) {
            let checked = reader(&mut slice);
            assert!(checked.checks > 0 && checked.fired == 0, "{name}");
        }
        assert_eq!(slice, clean, "{name}");
    }
}

#[test]
fn sbp_on_sign_and_exponent_leaves_only_the_mantissa_exposed() {
    // So that a read word lies within a factor of 2 of the stored one; what is built from cells lets the rest through.
    let within = |memory: &Memory| {
        let clean: Vec<u64> = memory.clean.words(0).iter().collect();
        memory.words_read(0).into_iter().zip(clean).all(|(read, clean)| {
            let (read, clean) = (f32::from_bits(read as u32), f32::from_bits(clean as u32));
            let ratio = read / clean;
            read.to_bits() >> 23 == clean.to_bits() >> 23 && ratio > 0.5 && ratio < 2.0
        })
    };
    let mut ideal = Memory::new("sbp", "all", words(1001));
    let kept_within = |memory: &mut Memory| {
        (0..20)
            .filter(|&chip| {
                memory.chip("flips", chip, Some(0.2));
                within(memory)
            })
            .count()
    };
    assert_eq!(kept_within(&mut ideal), 20);
    assert_eq!(ideal.exposure.memory().bits(), 23 * 1001, "only mantissas can be hit");
    for (realised, per_word) in [("sbp=tmr", 9 * 3 + 23), ("sbp=sec", 9 + 4 + 23), ("sbp=parity", 9 + 1 + 23)]
    {
        let mut memory = Memory::new(realised, "all", words(1001));
        assert_eq!(memory.exposure.memory().bits(), per_word * 1001, "{realised}");
        assert_eq!(kept_within(&mut memory), 0, "{realised} at 0.2");
    }
}
