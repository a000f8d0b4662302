//! A small model.

use radhard_fault::*;

/// Two tables and a small dense part, in f32, with normal weights around zero.
pub(crate) fn model() -> OwnedParameters {
    let mut parameters = OwnedParameters::default();
    let shapes: [(&str, &[usize], Component); 5] = [
        ("embedding.weight", &[300, 8], Component::Embedding),
        ("linear.fc.weight", &[300, 1], Component::Embedding),
        ("mlp.0.weight", &[16, 24], Component::Dense),
        ("mlp.0.bias", &[16], Component::Dense),
        ("mlp.1.running_var", &[16], Component::State),
    ];
    for (name, shape, component) in shapes {
        let count = shape.iter().product::<usize>() as u64;
        let key = StreamKey::new(99, 0, count);
        let value = |element| {
            let numbers = key.pair(Purpose::Custom(1), 0, element).map(unit);
            ((numbers[0] + numbers[1] - 1.0) * 0.4) as f32
        };
        let values: Vec<f32> = (0..count).map(value).collect();
        parameters.push_f32(name, shape, component, &values);
    }
    parameters
}
