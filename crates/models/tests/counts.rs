//! Parameter counts and names of the literature's models.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use radhard_models::{Component, Config, ConfigError, Graph, Init, Model, architectures, components};

fn count(name: &str, dims: &[u32]) -> usize {
    let graph = Graph::of(&Config::new(name, dims.to_vec())).unwrap();
    graph
        .specs()
        .iter()
        .filter(|s| s.component != Component::State)
        .map(|s| s.shape.iter().product::<usize>())
        .sum()
}

#[test]
fn movielens_1m_models_have_the_published_sizes() {
    let dims = [6040, 3952];
    for (name, expected) in
        [("fm", 169_865), ("deepfm", 170_746), ("wide-deep", 170_746), ("afm", 170_171), ("dcn", 160_977)]
    {
        assert_eq!(count(name, &dims), expected, "{name}");
    }
}

#[test]
fn movielens_20m_and_criteo_models_have_the_published_sizes() {
    assert_eq!(count("fm", &[138_493, 131_262]), 4_585_836);
    // 39 fields that add up to 1,086,810.
    let mut dims = vec![1000; 38];
    dims.push(1_086_810 - 38_000);
    for (name, expected) in
        [("fm", 18_475_771), ("deepfm", 18_486_124), ("wide-deep", 18_486_124), ("dcn", 17_403_681)]
    {
        assert_eq!(count(name, &dims), expected, "{name}");
    }
}

#[test]
fn trained_counts_leave_state_out() {
    let model = Model::new(&Config::new("wide-deep", vec![6040, 3952]), Init::TorchFm, 1).unwrap();
    assert_eq!(model.parameters().trained(), 170_746);
    assert!(model.parameters().named("mlp.mlp.1.running_var").unwrap().f32s().iter().all(|&v| v == 1.0));
}

#[test]
fn first_order_weights_are_embedding_and_statistics_are_state() {
    let parts = components(&Config::new("deepfm", vec![3, 4])).unwrap();
    let part = |name: &str| parts.iter().find(|(n, _)| n == name).unwrap().1;
    assert_eq!(part("linear.fc.weight"), Component::Embedding);
    assert_eq!(part("embedding.embedding.weight"), Component::Embedding);
    assert_eq!(part("linear.bias"), Component::Dense);
    assert_eq!(part("mlp.mlp.1.weight"), Component::Dense);
    assert_eq!(part("mlp.mlp.1.running_mean"), Component::State);
    assert_eq!(part("mlp.mlp.1.num_batches_tracked"), Component::State);
}

#[test]
fn the_start_is_the_seeds_and_the_chosen_law() {
    for architecture in architectures().iter().filter(|a| !a.takes_bags()) {
        let mut config = Config::new(architecture.name(), vec![300, 200]);
        config.numeric = usize::from(architecture.takes_numeric());
        let a = Model::new(&config, Init::TorchFm, 1).unwrap();
        assert_eq!(a.fingerprint(), Model::new(&config, Init::TorchFm, 1).unwrap().fingerprint());
        assert_ne!(a.fingerprint(), Model::new(&config, Init::TorchFm, 2).unwrap().fingerprint());
        if let Some(table) = a.parameters().named("embedding.embedding.weight") {
            let (table, bound) = (table.f32s(), (6.0f32 / 516.0).sqrt());
            assert!(table.iter().all(|w| w.abs() <= bound) && table.iter().any(|w| w.abs() > 0.99 * bound));
        }
        let zero = Model::new(&config, Init::ZeroFirstOrder, 1).unwrap();
        if let Some(first) = zero.parameters().named("linear.fc.weight") {
            assert!(first.f32s().iter().all(|&w| w == 0.0));
        }
    }
}

#[test]
fn configurations_that_cannot_be_are_refused() {
    let check = |change: &dyn Fn(&mut Config)| {
        let mut config = Config::new("wide-deep", vec![3, 4]);
        change(&mut config);
        Model::new(&config, Init::TorchFm, 0).unwrap_err()
    };
    let unknown = check(&|c| c.name = "deep".into()).to_string();
    assert_eq!(
        unknown,
        "model \"deep\" is not known; known are fm, deepfm, wide-deep, dcn, afm, dlrm, dummy"
    );
    assert!(matches!(check(&|c| c.field_dims.clear()), ConfigError::NoFields { .. }));
    assert!(matches!(check(&|c| c.field_dims[1] = 0), ConfigError::EmptyField { field: 1 }));
    assert!(matches!(check(&|c| c.field_dims = vec![u32::MAX; 2]), ConfigError::TooManyRows { .. }));
    assert!(matches!(check(&|c| c.embed_dim = 0), ConfigError::Width { .. }));
    assert!(matches!(check(&|c| c.mlp_dims = vec![16, 0]), ConfigError::Width { .. }));
    assert!(matches!(check(&|c| c.mlp_dims = vec![1; 65]), ConfigError::Depth { .. }));
    assert!(matches!(check(&|c| c.dropout = 1.0), ConfigError::Dropout { .. }));
    assert!(matches!(check(&|c| c.dropout = f64::NAN), ConfigError::Dropout { .. }));
    assert!(matches!(check(&|c| c.numeric = 3), ConfigError::Numeric { .. }));
    let none = check(&|c| c.name = "dlrm".into()).to_string();
    assert_eq!(none, "0 numeric inputs given, but dlrm takes at least one");
}
