//! The first draws of every branch, stored: a change of any is a new stream version.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use radhard_fault::*;
fn table(elements: usize) -> Exposure {
    let spec = ParameterSpec {
        name: "embedding.weight".to_owned(),
        shape: vec![elements],
        format: Format::F32,
        component: Component::Embedding,
    };
    Target::all().resolve(&[spec], Expose::Parameters).unwrap()
}

/// The first words that a model touches on chip (seed 1, trial 2), as "element:and:xor".
fn first(error_model: &str, exposure: &Exposure, rate: Option<f64>) -> String {
    let mut drawn = DrawnMap::new();
    let rate = rate.map(|rate| BitErrorRate::new(rate).unwrap());
    parse_error_model(error_model).unwrap().draw(Chip::new(1, 2), exposure, rate, &mut drawn).unwrap();
    let text = |(element, effect): (u64, Effect)| format!("{element}:{:x}:{:x}", effect.and, effect.xor);
    drawn.parameters()[0].iter().take(3).map(text).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_stream_has_its_version() {
    assert_eq!(STREAM_VERSION, 1);
}

#[test]
fn first_draws_keep_their_values() {
    let (small, large) = (table(1000), table(1 << 40));
    for (error_model, exposure, rate, expected) in [
        (
            "flips",
            &large,
            Some(1e-12),
            "38519136012:ffffffffffffffff:800 160016342093:ffffffffffffffff:200 183781584893:ffffffffffffffff:10000000",
        ),
        ("flips", &large, Some(2e-15), "160016342093:ffffffffffffffff:200"),
        (
            "flips",
            &small,
            Some(1e-3),
            "5:ffffffffffffffff:800 29:ffffffffffffffff:8000 79:ffffffffffffffff:400000",
        ),
        (
            "flips",
            &small,
            Some(0.3),
            "0:ffffffffffffffff:6f848320 1:ffffffffffffffff:4823c49c 2:ffffffffffffffff:4ea8366f",
        ),
        (
            "flips",
            &small,
            Some(0.9),
            "0:ffffffffffffffff:ffecdff3 1:ffffffffffffffff:ea6ffffe 2:ffffffffffffffff:fffef7ff",
        ),
        (
            "count:3",
            &small,
            None,
            "352:ffffffffffffffff:20 797:ffffffffffffffff:2000000 923:ffffffffffffffff:2000",
        ),
        (
            "burst:9:0.5",
            &small,
            Some(1e-3),
            "5:ffffffffffffffff:8000 29:ffffffffffffffff:a38000 79:ffffffffffffffff:32400000",
        ),
        (
            "stuck-at:random",
            &small,
            Some(1e-3),
            "5:fffffffffffff7ff:800 29:ffffffffffff7fff:8000 79:ffffffffffbfffff:0",
        ),
        (
            "asymmetric:0.5:1",
            &small,
            Some(1e-3),
            "5:fffffffffffff7ff:0 29:ffffffffffffffff:8000 79:ffffffffffbfffff:0",
        ),
        (
            "value:uniform",
            &small,
            Some(1e-2),
            "6:ffffffff00000000:3f80f6de 159:ffffffff00000000:5432b58f 225:ffffffff00000000:4bb24b80",
        ),
        (
            "value:-1..1",
            &small,
            Some(1e-2),
            "6:ffffffff00000000:3ece6bc0 159:ffffffff00000000:bf592fb5 225:ffffffff00000000:3f2cd4e0",
        ),
    ] {
        assert_eq!(first(error_model, exposure, rate), expected, "{error_model} at {rate:?}");
    }
}
