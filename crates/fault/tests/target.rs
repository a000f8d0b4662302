//! Targets: what they match, and what is said where they match nothing.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use radhard_fault::*;

fn specs() -> Vec<ParameterSpec> {
    [
        ("embedding.embedding.weight", vec![100, 4], Format::F32, Component::Embedding),
        ("linear.fc.weight", vec![100, 1], Format::F16, Component::Embedding),
        ("mlp.mlp.0.weight", vec![16, 8], Format::F32, Component::Dense),
        ("mlp.mlp.0.bias", vec![16], Format::F32, Component::Dense),
        ("mlp.mlp.1.running_mean", vec![16], Format::F32, Component::State),
        ("mlp.mlp.1.running_var", vec![16], Format::F32, Component::State),
        ("mlp.mlp.1.num_batches_tracked", vec![], Format::I64, Component::State),
    ]
    .into_iter()
    .map(|(name, shape, format, component)| ParameterSpec { name: name.to_owned(), shape, format, component })
    .collect()
}

fn resolve(target: &str, expose: Expose) -> Result<Exposure, TargetError> {
    target.parse::<Target>().unwrap().resolve(&specs(), expose)
}

fn matched(target: &str, expose: Expose) -> Vec<usize> {
    resolve(target, expose).unwrap().parameters().iter().map(|parameter| parameter.index).collect()
}

#[test]
fn components_and_globs_match_what_they_name() {
    for (target, expected) in [
        ("all", vec![0, 1, 2, 3]),
        ("embedding", vec![0, 1]),
        ("dense", vec![2, 3]),
        ("embedding, dense", vec![0, 1, 2, 3]),
        ("*", vec![0, 1, 2, 3]),
        ("*.weight", vec![0, 1, 2]),
        ("mlp.*", vec![2, 3]),
        ("mlp*bias", vec![3]),
        ("linear.fc.weight", vec![1]),
        ("*.?.*", vec![2, 3]),
        ("?inear.fc.weight,*bias,*bias", vec![1, 3]),
        ("*e*e*e*g*t", vec![0]),
    ] {
        assert_eq!(matched(target, Expose::Parameters), expected, "{target}");
    }
}

#[test]
fn state_is_exposed_on_demand_and_counters_never() {
    assert_eq!(matched("all", Expose::State), [0, 1, 2, 3, 4, 5]);
    assert_eq!(matched("dense", Expose::State), [2, 3, 4, 5]);
    assert_eq!(matched("embedding", Expose::State), [0, 1]);
    assert_eq!(matched("*running_var", Expose::State), [5]);
    for (target, expose) in [
        ("*running_var", Expose::Parameters),
        ("*num_batches_tracked", Expose::State),
        ("nothing", Expose::State),
    ] {
        let error = resolve(target, expose).unwrap_err();
        assert!(matches!(error, TargetError::NoMatch { .. }), "{target}: {error}");
    }
    // In a file of no known architecture it is the name that tells a counter.
    let mut unknown = specs();
    for spec in &mut unknown {
        spec.component = Component::Unknown;
    }
    assert_eq!(Target::all().resolve(&unknown, Expose::Parameters).unwrap().parameters().len(), 6);
}

#[test]
fn bits_are_counted_over_the_exposed_ones() {
    for (target, bits) in [
        ("all", 400 * 32 + 100 * 16 + 144 * 32),
        ("embedding", 400 * 32 + 100 * 16),
        ("all@sign", 400 + 100 + 144),
        ("embedding@exponent", 400 * 8 + 100 * 5),
        ("all@30", 400 + 144),
        ("mlp*@23-31", 144 * 9),
        ("mlp*@mantissa,mlp*@20-25", 144 * 26),
        ("mlp*.bias,mlp*@sign", 16 * 32 + 128),
    ] {
        let exposure = resolve(target, Expose::Parameters).unwrap();
        assert_eq!(exposure.bits(), bits, "{target}");
        assert_eq!(exposure.bits(), exposure.parameters().iter().map(ExposedParameter::bits).sum::<u64>());
    }
    assert_eq!(resolve("all@30", Expose::Parameters).unwrap().parameters().len(), 3, "f16 has no bit 30");
}

#[test]
fn a_target_that_matches_nothing_is_told_the_names_there_are() {
    let error = resolve("embedding,fc.*@sign", Expose::Parameters).unwrap_err().to_string();
    assert!(error.starts_with("target \"fc.*@sign\" matches no parameter"), "{error}");
    for spec in specs() {
        assert!(error.contains(&spec.name), "{error}");
    }
    let many: Vec<_> =
        (0..100).map(|i| ParameterSpec { name: format!("layer{i}"), ..specs()[0].clone() }).collect();
    let error = "x".parse::<Target>().unwrap().resolve(&many, Expose::Parameters).unwrap_err().to_string();
    assert!(error.ends_with("layer39, and 60 more"), "{error}");
    let error = Target::all().resolve(&[], Expose::Parameters).unwrap_err().to_string();
    assert!(error.ends_with("there are: none"), "{error}");
}

#[test]
fn parts_of_a_model_of_unknown_architecture_are_refused_with_the_way_out() {
    let mut unknown = specs();
    for spec in &mut unknown {
        spec.component = Component::Unknown;
    }
    for target in ["embedding", "dense"] {
        let error = target.parse::<Target>().unwrap().resolve(&unknown, Expose::Parameters).unwrap_err();
        assert!(matches!(error, TargetError::UnknownParts { .. }), "{error}");
        let error = error.to_string();
        assert!(error.contains("architecture is unknown") && error.contains("a glob over names"), "{error}");
        assert!(error.contains("mlp.mlp.0.bias"), "{error}");
    }
    let dense: Vec<_> = specs().into_iter().filter(|spec| spec.component == Component::Dense).collect();
    let error = "embedding".parse::<Target>().unwrap().resolve(&dense, Expose::Parameters).unwrap_err();
    assert!(matches!(error, TargetError::NoMatch { .. }), "{error}");
}

#[test]
fn a_target_of_empty_parameters_exposes_nothing_and_is_refused() {
    let mut some = specs();
    some[2].shape = vec![0, 8];
    let resolve = |target: &str| target.parse::<Target>().unwrap().resolve(&some, Expose::Parameters);
    assert_eq!(
        resolve("all,mlp.mlp.0.weight").unwrap_err().to_string(),
        "target \"mlp.mlp.0.weight\" exposes no bits: the parameters it matches are empty: mlp.mlp.0.weight"
    );
    assert_eq!(resolve("mlp.*").unwrap().bits(), 16 * 32);
}

#[test]
fn bits_that_no_format_has_are_refused() {
    let error = resolve("linear.fc.weight@30", Expose::Parameters).unwrap_err().to_string();
    let expected =
        "target \"linear.fc.weight@30\" selects no bit of the parameters it matches, which have formats f16";
    assert_eq!(error, expected);
}

#[test]
fn names_are_unique_and_sizes_countable() {
    let mut twice = specs();
    twice[3].name = twice[2].name.clone();
    assert_eq!(
        Target::all().resolve(&twice, Expose::Parameters).unwrap_err(),
        TargetError::DuplicateName("mlp.mlp.0.weight".to_owned())
    );
    let mut large = specs();
    large[0].shape = vec![1 << 30, 1 << 20];
    assert!(matches!(Target::all().resolve(&large, Expose::Parameters), Err(TargetError::TooLarge { .. })));
}

#[test]
fn targets_print_their_canonical_form() {
    for (text, canonical) in [
        ("all", "all"),
        (" embedding@exponent , dense@ 23-31 ", "embedding@exponent,dense@23-31"),
        ("fc.*@30-30", "fc.*@30"),
        ("fc@all", "fc"),
    ] {
        let target: Target = text.parse().unwrap();
        assert_eq!(target.to_string(), canonical);
        assert_eq!(serde_json::to_string(&target).unwrap(), format!("\"{canonical}\""));
    }
    assert_eq!(Target::all().to_string(), "all");
}

#[test]
fn targets_that_make_no_sense_are_refused_with_the_reason() {
    let error = |text: &str| text.parse::<Target>().unwrap_err().to_string();
    assert_eq!(error(""), "target \"\" has an empty item");
    assert_eq!(error("all,,dense"), "target \"all,,dense\" has an empty item");
    assert_eq!(error("@sign"), "target \"@sign\" has bits without a parameter before the @");
    assert_eq!(error("all@31-23"), "target \"all@31-23\": bit range 31-23 runs backwards");
    assert!(error("all@").contains("selects no bits"));
    assert!(serde_json::from_str::<Target>("\"all@x\"").is_err());
    assert_eq!(
        "learnt".parse::<Expose>().unwrap_err().to_string(),
        "\"learnt\" can't be exposed, expected parameters or state"
    );
    for expose in [Expose::Parameters, Expose::State] {
        assert_eq!(expose.to_string().parse(), Ok(expose));
    }
}

/// The definition of a glob: a star is empty, or any character and a star again.
fn plain_glob(pattern: &[char], name: &[char]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((&'*', rest)), None) => plain_glob(rest, name),
        (Some((&'*', rest)), Some((_, after))) => plain_glob(rest, name) || plain_glob(pattern, after),
        (Some((&p, rest)), Some((&n, after))) => (p == '?' || p == n) && plain_glob(rest, after),
        _ => false,
    }
}

proptest! {
    #[test]
    fn parsed_targets_print_and_read_back(text in "[a-z.*?@0-9, -]{0,20}") {
        if let Ok(target) = text.parse::<Target>() {
            prop_assert_eq!(target.to_string().parse::<Target>(), Ok(target));
        }
    }

    #[test]
    fn no_text_makes_a_parser_panic(text: String) {
        drop(text.parse::<Target>());
        drop(text.parse::<BitSelection>());
        drop(text.parse::<BitErrorRate>());
        drop(text.parse::<Format>());
        drop(parse_error_model(&text).map(|model| model.name()));
    }

    #[test]
    fn no_settings_make_an_error_model_panic(
        name in "flips|count|burst|stuck-at|asymmetric|value",
        settings in "(:[0-9a-z.+e-]{0,6}){0,3}",
    ) {
        if let Ok(model) = parse_error_model(&format!("{name}{settings}")) {
            let again = parse_error_model(&model.name()).unwrap();
            prop_assert_eq!(again.name(), model.name());
        }
    }

    #[test]
    fn globs_match_as_their_definition_says(pattern in "[ab.*?]{1,8}", name in "[ab.]{1,8}") {
        let spec = ParameterSpec { name: name.clone(), ..specs()[0].clone() };
        let [p, n] = [&pattern, &name].map(|text| text.chars().collect::<Vec<_>>());
        let matches = pattern.parse::<Target>().unwrap().resolve(&[spec], Expose::Parameters).is_ok();
        prop_assert_eq!(matches, plain_glob(&p, &n));
    }
}

#[test]
fn quoted_names_are_names_and_print_as_they_were_written() {
    for (written, printed) in [
        ("\"a,b\"", "\"a,b\""),
        (" \"a,b\" @ 30 , dense", "\"a,b\"@30,dense"),
        ("\"fc.bias\"", "fc.bias"),
        ("\"all\"", "\"all\""),
        ("\" x\"", "\" x\""),
        ("\"a\"\"b\"", "a\"b"),
        ("\"\"\"b\"", "\"\"\"b\""),
        ("a\"b", "a\"b"),
        ("\"e*\",e*", "\"e*\",e*"),
    ] {
        let target: Target = written.parse().unwrap();
        assert_eq!(target.to_string(), printed, "{written}");
        assert_eq!(printed.parse::<Target>().unwrap(), target, "{written}");
    }
    for written in ["\"a", "\"a\"b", "\"a\"\"", "\"\"", "\"a\"@", "\"a\","] {
        assert!(written.parse::<Target>().is_err(), "{written}");
    }
    let specs: Vec<ParameterSpec> = ["a,b", "e*", "e1", "all"]
        .iter()
        .map(|name| ParameterSpec {
            name: (*name).to_owned(),
            shape: vec![3],
            format: Format::F32,
            component: Component::Dense,
        })
        .collect();
    for (written, bits) in [("\"a,b\"", 96), ("\"e*\"", 96), ("e*", 192), ("\"all\"@31", 3), ("all", 384)] {
        let target: Target = written.parse().unwrap();
        assert_eq!(target.resolve(&specs, Expose::Parameters).unwrap().bits(), bits, "{written}");
    }
}

proptest! {
    #[test]
    fn any_name_can_be_quoted(name in "[a-c,@*?\" ]{1,8}") {
        let written = format!("\"{}\"", name.replace('"', "\"\""));
        let target: Target = written.parse().unwrap();
        prop_assert_eq!(target.to_string().parse::<Target>().unwrap(), target.clone());
        let spec = |name: &str| ParameterSpec {
            name: name.to_owned(),
            shape: vec![1],
            format: Format::F32,
            component: Component::Dense,
        };
        let specs = [spec(&name), spec("another name")];
        prop_assert_eq!(target.resolve(&specs, Expose::Parameters).unwrap().bits(), 32);
    }
}
