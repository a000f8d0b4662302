//! What codes and copies let through, against theory.

use radhard_fault::DrawnParameter;

use crate::memory::{Memory, words};

/// Sum over chips of `count`, and how many chips there were.
fn total(memory: &mut Memory, rate: f64, chips: u64, count: impl Fn(&Memory) -> u64) -> f64 {
    (0..chips)
        .map(|chip| {
            memory.chip("flips", chip, Some(rate));
            count(memory) as f64
        })
        .sum()
}

/// Flips of bit 30 that readers get.
fn bit_30(memory: &Memory) -> u64 {
    let flips = memory.read.parameters().iter().flat_map(DrawnParameter::flips);
    flips.map(|mask| mask >> 30 & 1).sum()
}

fn words_wrong(memory: &Memory) -> u64 {
    memory.read.words()
}

/// Within 4.5 standard deviations of a Poisson count: a false alarm in 150,000, or fewer, per check.
fn assert_near(observed: f64, expected: f64, what: &str) {
    assert!(
        (observed - expected).abs() < 4.5 * expected.sqrt() + 1e-9,
        "{what}: {observed}, expected {expected}"
    );
}

#[test]
fn copies_let_3_p_2_minus_2_p_3_through() {
    for p in [1e-3, 1e-2, 0.1] {
        let (bits, chips) = (32.0 * 2000.0, 60);
        let mut memory = Memory::new("tmr", "all", words(2000));
        let flips = |memory: &Memory| {
            let masks = memory.read.parameters().iter().flat_map(DrawnParameter::flips);
            masks.map(|mask| u64::from(mask.count_ones())).sum()
        };
        let expected = bits * chips as f64 * (3.0 * p * p - 2.0 * p * p * p);
        assert_near(total(&mut memory, p, chips, flips), expected, &format!("tmr at {p}"));
    }
}

#[test]
fn realised_sbp_leaves_the_residues_of_bit_30_that_theory_gives() {
    // 881 words are the dense part of a Wide&Deep; 1,500 chips of them.
    let (p, n, chips) = (1e-2_f64, 881.0, 1500);
    let odd_of_nine = f64::midpoint(1.0, -(1.0 - 2.0 * p).powi(9));
    let expected = [
        ("sbp", 0.0),
        ("sbp=tmr", n * (3.0 * p * p - 2.0 * p.powi(3))),
        ("sbp=parity", n * p * odd_of_nine),
        ("mset", n * (3.0 * p * p - 2.0 * p.powi(3))),
    ];
    for (name, residues) in expected {
        let mut memory = Memory::new(name, "all", words(881));
        let observed = total(&mut memory, p, chips, bit_30);
        assert_near(observed, residues * chips as f64, name);
    }
    // Where bit 30 is hit and any other of the 13 bits too, it stays wrong; a Hamming code also flips it where two others point at it.
    let mut memory = Memory::new("sbp=sec", "all", words(881));
    let observed = total(&mut memory, p, chips, bit_30);
    assert_near(observed, n * sec_residue(p) * chips as f64, "sbp=sec");
    let hit_and_another = n * p * (1.0 - (1.0 - p).powi(12));
    assert!((hit_and_another - 1.0).abs() < 0.01);
    assert!((1.3..1.5).contains(&(n * sec_residue(p))), "{}", n * sec_residue(p));
}

/// Probability that bit 30 is read wrong: over all 2^13 patterns of a word's nine bits and four check bits.
fn sec_residue(p: f64) -> f64 {
    let positions = [3_u32, 5, 6, 7, 9, 10, 11, 12, 13];
    let mut residue = 0.0;
    for pattern in 0_u32..1 << 13 {
        let (data, check) = (pattern & 0x1FF, pattern >> 9);
        let of_data = (0..9).filter(|bit| data >> bit & 1 == 1).fold(0, |sum, bit| sum ^ positions[bit]);
        let syndrome = of_data ^ check;
        let corrected = positions.iter().position(|&position| position == syndrome).map_or(0, |bit| 1 << bit);
        // Bits 23 to 31 are data bits 0 to 8, so bit 30 is the eighth.
        if (data ^ corrected) >> 7 & 1 == 1 {
            let flips = pattern.count_ones() as i32;
            residue += p.powi(flips) * (1.0 - p).powi(13 - flips);
        }
    }
    residue
}

#[test]
fn secded_fails_where_two_of_72_bits_are_wrong() {
    // 1,000 codewords; at these rates three or more wrong bits count little and are kept in the bounds.
    let (codewords, chips) = (1000.0, 100);
    for p in [2e-4_f64, 2e-3] {
        let choose = |k: i32| {
            let ways = (0..k).fold(1.0, |ways, i| ways * f64::from(72 - i) / f64::from(i + 1));
            ways * p.powi(k) * (1.0 - p).powi(72 - k)
        };
        let mut memory = Memory::new("secded", "all", words(2000));
        let (mut single, mut double) = (0.0, 0.0);
        for chip in 0..chips {
            let events = memory.chip("flips", chip, Some(p));
            single += events.corrected as f64;
            double += (events.detected - events.corrected) as f64;
        }
        let all = codewords * chips as f64;
        let even = all * (choose(2) + choose(4));
        let three = all * choose(3);
        assert!((single - all * choose(1)).abs() < 4.5 * (all * choose(1)).sqrt() + three, "{p}: {single}");
        assert!((double - even).abs() < 4.5 * even.sqrt() + three, "{p}: {double} for {even}");
        let mut reloaded = Memory::new("secded:reload", "all", words(2000));
        let wrong = total(&mut reloaded, p, chips, words_wrong);
        assert!(
            wrong <= 4.0 * (three + 4.5 * three.sqrt()) + 1.0,
            "{p}: {wrong} words for {three} codewords"
        );
    }
}

#[test]
fn no_flip_and_nothing_noticed_has_the_probability_of_data_and_check_bits() {
    use radhard_fault::{BitErrorRate, parse_error_model};
    let chips = 3000_u64;
    for name in ["sbp", "sbp=tmr:30", "sbp=sec", "sbp=parity", "secded", "tmr", "row-checksum"] {
        for error_model in ["flips", "asymmetric:0.5:1", "stuck-at:0"] {
            let mut memory = Memory::new(name, "all", words(20));
            let p = 1.0 / memory.exposure.memory().bits() as f64;
            let rate = BitErrorRate::new(p).ok();
            let stored = memory.protected.stored_bits(&memory.exposure, &memory.clean).ok();
            let law = parse_error_model(error_model).ok();
            let law = law.and_then(|law| law.p_no_flip(memory.exposure.memory(), rate, stored.as_ref()));
            let expected = law.map(|law| law * chips as f64).unwrap_or_default();
            let none = (0..chips).filter(|&chip| {
                memory.chip(error_model, chip, Some(p));
                memory.protected.flips(&memory.exposure, &memory.clean, &memory.drawn) == 0
            });
            let none = none.count() as f64;
            // Binomial, 4.5 standard deviations.
            let deviation = (expected * (1.0 - expected / chips as f64)).sqrt();
            assert!(
                (none - expected).abs() < 4.5 * deviation,
                "{name} {error_model}: {none}, expected {expected}"
            );
        }
    }
}
