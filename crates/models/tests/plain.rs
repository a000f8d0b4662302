//! Every model, written out for one row with the plain kernels: the definition that evaluation equals bit for bit.

use proptest::prelude::*;
use radhard_data::RowsView;
use radhard_kernels::plain;
use radhard_models::{Config, Init, Model, NumberFormat, Scores, architectures};

struct Row<'m> {
    model: &'m Model,
    /// Table rows, offsets included.
    ids: Vec<usize>,
    numeric: &'m [f32],
}

impl Row<'_> {
    fn tensor(&self, name: &str) -> &[f32] {
        self.model.parameters().named(name).unwrap_or_else(|| panic!("{name}")).f32s()
    }

    fn embedding(&self) -> Vec<f32> {
        let dim = self.model.config().embed_dim;
        let table = self.tensor("embedding.embedding.weight");
        self.ids.iter().flat_map(|&id| table[id * dim..(id + 1) * dim].to_vec()).collect()
    }

    fn first_order(&self) -> f32 {
        let table = self.tensor("linear.fc.weight");
        let weights: Vec<f32> = self.ids.iter().map(|&id| table[id]).collect();
        plain::tree(&weights) + self.tensor("linear.bias")[0]
    }

    fn linear(&self, name: &str, x: &[f32]) -> Vec<f32> {
        let bias = self.tensor(&format!("{name}.bias"));
        let mut y = vec![0.0; bias.len()];
        plain::linear(self.tensor(&format!("{name}.weight")), bias, x, &mut y);
        y
    }

    fn mlp(&self, x: &[f32], output: bool) -> Vec<f32> {
        let widths = &self.model.config().mlp_dims;
        let mut x = x.to_vec();
        for (i, &width) in widths.iter().enumerate() {
            let name = format!("mlp.mlp.{}", 4 * i);
            let mut y = vec![0.0; width];
            let (w, b) = (self.tensor(&format!("{name}.weight")), self.tensor(&format!("{name}.bias")));
            if i == 0 {
                plain::field_layer(w, b, &x, self.ids.len(), &mut y);
            } else {
                plain::linear(w, b, &x, &mut y);
            }
            let norm = |part: &str| self.tensor(&format!("mlp.mlp.{}.{part}", 4 * i + 1));
            let (w, b, mean, var) = (norm("weight"), norm("bias"), norm("running_mean"), norm("running_var"));
            for (i, y) in y.iter_mut().enumerate() {
                let (alpha, beta) = plain::batch_norm(w[i], b[i], mean[i], var[i], 1e-5);
                *y = plain::relu(plain::affine(alpha, beta, *y));
            }
            x = y;
        }
        if !output {
            return x;
        }
        let name = format!("mlp.mlp.{}", 4 * widths.len());
        if widths.is_empty() {
            let mut y = vec![0.0];
            let (w, b) = (self.tensor(&format!("{name}.weight")), self.tensor(&format!("{name}.bias")));
            plain::field_layer(w, b, &x, self.ids.len(), &mut y);
            return y;
        }
        self.linear(&name, &x)
    }

    fn crossed(&self, x0: &[f32]) -> Vec<f32> {
        let mut x = x0.to_vec();
        for i in 0..self.model.config().cross_layers {
            let weight = self.tensor(&format!("cn.w.{i}.weight"));
            let mut s = [0.0];
            if i == 0 {
                plain::field_layer(weight, &[], &x, self.ids.len(), &mut s);
            } else {
                plain::linear(weight, &[], &x, &mut s);
            }
            let bias = self.tensor(&format!("cn.b.{i}"));
            x = (0..x.len()).map(|k| plain::cross(x0[k], s[0], bias[k], x[k])).collect();
        }
        x
    }

    fn attended(&self, v: &[f32]) -> Vec<f32> {
        let (fields, dim) = (self.ids.len(), self.model.config().embed_dim);
        let mut shares = Vec::new();
        for i in 0..fields {
            for j in i + 1..fields {
                let product: Vec<f32> = (0..dim).map(|d| v[i * dim + d] * v[j * dim + d]).collect();
                let mut hidden = self.linear("afm.attention", &product);
                hidden = hidden.into_iter().map(plain::relu).collect();
                shares.extend(self.linear("afm.projection", &hidden));
            }
        }
        plain::softmax(&mut shares);
        let mut out = vec![0.0; dim];
        plain::pair_sum(v, &shares, fields, &mut out);
        out
    }

    fn dlrm(&self) -> f32 {
        let config = self.model.config();
        let mut x = self.numeric.to_vec();
        for i in 0..=config.bottom_dims.len() {
            x = self.linear(&format!("bot_l.{}", 2 * i), &x);
            x = x.into_iter().map(plain::relu).collect();
        }
        let mut parts = vec![x.clone()];
        for (field, (&id, offset)) in self.ids.iter().zip(config.offsets()).enumerate() {
            let at = (id - offset.index()) * config.embed_dim;
            parts.push(self.tensor(&format!("emb_l.{field}.weight"))[at..at + config.embed_dim].to_vec());
        }
        for i in 0..parts.len() {
            x.extend((0..i).map(|j| plain::dot(&parts[i], &parts[j])));
        }
        for i in 0..config.mlp_dims.len() {
            x = self.linear(&format!("top_l.{}", 2 * i), &x);
            x = x.into_iter().map(plain::relu).collect();
        }
        self.linear(&format!("top_l.{}", 2 * config.mlp_dims.len()), &x)[0]
    }

    fn logit(&self) -> f32 {
        if self.model.config().name == "dlrm" {
            return self.dlrm();
        }
        let v = self.embedding();
        let pairs = || plain::factorisation(&v, self.ids.len());
        match self.model.config().name.as_str() {
            "fm" => self.first_order() + pairs(),
            "deepfm" => (self.first_order() + pairs()) + self.mlp(&v, true)[0],
            "wide-deep" => self.first_order() + self.mlp(&v, true)[0],
            "dcn" => self.linear("linear", &[self.crossed(&v), self.mlp(&v, false)].concat())[0],
            "afm" => self.first_order() + self.linear("afm.fc", &self.attended(&v))[0],
            other => panic!("{other} has no plain form"),
        }
    }
}

fn canonical(x: f32) -> u32 {
    if x.is_nan() { 0x7fc0_0000 } else { x.to_bits() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn evaluation_is_the_plain_model_bit_for_bit_whatever_is_flipped(
        dims in prop_oneof![prop::collection::vec(1u32..9, 1..9), prop::collection::vec(1u32..9, 2)],
        (embed, attention, cross) in (prop_oneof![1usize..20, Just(16), Just(32)], 1usize..9, 0usize..4),
        hidden in prop::collection::vec(1usize..36, 0..3),
        rows in 1usize..150,
        flips in prop::collection::vec(any::<(u32, u32, bool)>(), 0..12),
        seed in any::<u64>(),
    ) {
        for architecture in architectures().iter().filter(|a| !a.takes_bags()) {
            let name = architecture.name();
            let mut config = Config::new(name, dims.clone());
            (config.embed_dim, config.attention_dim, config.cross_layers) = (embed, attention, cross);
            config.mlp_dims = hidden.clone();
            config.bottom_dims = hidden.clone();
            let width = if architecture.takes_numeric() { 3 } else { 0 };
            config.numeric = width;
            let mut model = Model::new(&config, Init::TorchFm, seed).unwrap();
            for &(tensor, bit, high) in &flips {
                let tensors = model.parameters().len();
                let tensor = &mut model.parameters_mut()[tensor as usize % tensors];
                if tensor.format() == NumberFormat::F32 {
                    let values = tensor.f32s_mut();
                    let value = &mut values[bit as usize / 32 % values.len()];
                    *value = f32::from_bits(value.to_bits() ^ (1 << if high { 30 } else { bit % 32 }));
                }
            }
            let fields = dims.len();
            let indices: Vec<u32> =
                (0..rows * fields).map(|i| ((i as u64 * 7919 + seed % 101) % u64::from(dims[i % fields])) as u32).collect();
            let numeric: Vec<f32> = (0..rows * width).map(|i| (i % 13) as f32 / 3.0 - 2.0).collect();
            let labels = vec![0; rows];
            let view = RowsView { fields, numeric_width: width, indices: &indices, numeric: &numeric, labels: &labels, bags: None };
            let mut scores = Scores::default();
            model.scores(&view, &mut scores).unwrap();
            let offsets = config.offsets();
            for (r, row) in indices.chunks_exact(fields).enumerate() {
                let ids = row.iter().zip(&offsets).map(|(&i, &offset)| i as usize + offset.index()).collect();
                let logit = Row { model: &model, ids, numeric: &numeric[r * width..(r + 1) * width] }.logit();
                let (found, expected) = (scores.logits[r], canonical(logit));
                prop_assert_eq!(found.to_bits(), expected, "{}, row {}: {:e} instead of {:e}", name, r, found, logit);
                prop_assert_eq!(scores.probabilities[r].to_bits(), canonical(plain::sigmoid(logit)));
            }
        }
    }
}
