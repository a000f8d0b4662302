//! Attention over the pairs of fields.

use radhard_kernels::plain::CHAIN;
use radhard_kernels::{Affine, KnownScores, LANES, Lane};

use crate::graph::{ParameterId, Slot};
use crate::hook::{ProductPart, ProductSite};
use crate::layers::dropout::Masking;
use crate::layers::{Block, FMA_NS, Gradients, Known, Layer, Scope, Show, Ties, Values, Weights};

/// `[D, R]`: Σ over pairs of a · (v_i ⊙ v_j), a the softmax over pairs of projection(relu(attention(v_i ⊙ v_j))).
///
/// Letters: P pairs i < j in row order, A width of the attention layer.
pub(crate) struct PairAttention {
    pub(crate) attention: (ParameterId, ParameterId),
    pub(crate) projection: (ParameterId, ParameterId),
    pub(crate) fields: usize,
    pub(crate) dim: usize,
    pub(crate) width: usize,
    /// Dropout on a.
    pub(crate) masking: Masking,
    pub(crate) input: Slot,
    /// a `[P, R]`.
    pub(crate) shares: Slot,
    /// a after dropout `[P, R]`.
    pub(crate) kept: Slot,
    /// v_i ⊙ v_j `[D, R]` and the attention layer before and after the rectifier `[A, R]`, of one pair.
    pub(crate) scratch: [Slot; 3],
    pub(crate) output: Slot,
}

impl PairAttention {
    /// Products of two rows up to this magnitude give finite scores; NaN where none surely do.
    ///
    /// A score is no larger than what the magnitudes of its terms add up to; a quarter of the largest f32 leaves room for the
    /// rounding of each step.
    pub(crate) fn limit(&self, weights: Weights<'_>) -> f64 {
        let most = f64::from(f32::MAX) / 4.0;
        let magnitude = |x: &f32| f64::from(x.abs());
        let (attention, bias) = (weights.f32s(self.attention.0), weights.f32s(self.attention.1));
        let (projection, last) = (weights.f32s(self.projection.0), weights.f32s(self.projection.1));
        // Each value is at most `slope` · product + `offset`.
        let mut limit = most;
        let mut score = (0.0, magnitude(&last[0]));
        let mut bound = |slope: f64, offset: f64| {
            let finite = slope.is_finite() && offset < most;
            let own = if finite { (most - offset) / slope } else { f64::NAN };
            limit = if own >= limit { limit } else { own };
            finite
        };
        for ((weights, bias), projection) in attention.chunks_exact(self.dim).zip(bias).zip(projection) {
            let (slope, offset) = (weights.iter().map(magnitude).sum::<f64>(), magnitude(bias));
            let share = magnitude(projection);
            if !bound(slope, offset) {
                return f64::NAN;
            }
            score = (score.0 + share * slope, score.1 + share * offset);
        }
        if bound(score.0, score.1) { limit } else { f64::NAN }
    }

    /// The pairs of fields, in row order.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let fields = self.fields;
        (0..fields).flat_map(move |i| (i + 1..fields).map(move |j| (i, j)))
    }

    /// The weights and bias of the attention layer, and of its projection.
    pub(crate) fn both<'w>(&self, weights: Weights<'w>) -> (Affine<'w>, Affine<'w>) {
        let affine = |(weight, bias)| (weights.f32s(weight), weights.f32s(bias));
        (affine(self.attention), affine(self.projection))
    }

    /// Whether each score is one chain of its terms.
    pub(crate) fn short(&self) -> bool {
        self.dim <= CHAIN && self.width <= CHAIN
    }

    fn row<'v>(&self, v: &'v [Lane], field: usize) -> &'v [Lane] {
        let stride = v.len() / self.fields;
        &v[field * stride..(field + 1) * stride]
    }

    /// The layer, where each score is one chain, with those scores that are known.
    pub(crate) fn forward_with(
        &self,
        known: Option<KnownScores<'_>>,
        scope: &Scope<'_>,
        values: &mut Values,
    ) {
        let groups = values.groups();
        let mut product = values.take(self.scratch[0]);
        values.write(self.shares, |values, shares| {
            let (v, layers) = (values.get(self.input), self.both(scope.weights));
            scope.kernels.pair_scores(v, self.fields, layers, known, &mut product, shares);
            scope.kernels.softmax(shares, groups);
        });
        values.put(self.scratch[0], product);
        self.weigh(scope, values);
    }

    /// The sum of the pairs' products, by their shares.
    fn weigh(&self, scope: &Scope<'_>, values: &mut Values) {
        let groups = values.groups();
        values.write(self.kept, |values, kept| {
            let shares = values.get(self.shares);
            match scope.training {
                None => kept.copy_from_slice(shares),
                Some(training) => {
                    kept.fill([0.0; LANES]);
                    self.masking.add(scope.kernels, training, shares, groups, kept);
                }
            }
        });
        values.write(self.output, |values, out| {
            scope.kernels.pair_sum(values.get(self.input), values.get(self.kept), self.fields, out);
        });
    }

    /// The product of a pair and its hidden values before and after the rectifier.
    fn hidden(
        &self,
        scope: &Scope<'_>,
        v: &[Lane],
        (i, j): (usize, usize),
        scratch: &mut [Block; 3],
        show: &mut Show<'_>,
    ) {
        let [product, before, after] = scratch;
        let (weight, bias) = (scope.weights.f32s(self.attention.0), scope.weights.f32s(self.attention.1));
        scope.kernels.multiply(self.row(v, i), self.row(v, j), product);
        scope.kernels.linear(weight, bias, product, self.dim, before);
        show(0, product, before);
        scope.kernels.relu(before, after);
    }
}

impl Layer for PairAttention {
    fn ties(&self) -> Ties {
        Ties {
            reads: vec![self.input],
            writes: [self.shares, self.kept].into_iter().chain(self.scratch).chain([self.output]).collect(),
            parameters: vec![
                (self.attention.0, 0..self.width * self.dim),
                (self.attention.1, 0..self.width),
                (self.projection.0, 0..self.width),
                (self.projection.1, 0..1),
            ],
            settles: self.fields == 2,
            cost: FMA_NS * (self.fields * (self.fields - 1) / 2 * self.width * (self.dim + 4)) as f64,
        }
    }

    /// The softmax of one pair is 1, as long as its score is finite.
    fn settled(&self, weights: Weights<'_>, largest: f32) -> bool {
        self.fields == 2 && f64::from(largest) * f64::from(largest) <= self.limit(weights)
    }

    fn forward(&self, scope: &Scope<'_>, values: &mut Values) {
        if self.short() {
            self.forward_with(None, scope, values);
        } else {
            self.forward_shown(scope, values, &mut |_, _, _| {});
        }
    }

    fn known(&self) -> Known<'_> {
        Known::PairAttention(self)
    }

    fn inner_products(&self) -> Vec<ProductSite> {
        let site = |product, (weight, bias), inputs, outputs| ProductSite {
            layer: 0,
            weight,
            bias: Some(bias),
            inputs,
            outputs,
            fields: None,
            part: ProductPart::Inner(product),
        };
        vec![site(0, self.attention, self.dim, self.width), site(1, self.projection, self.width, 1)]
    }

    fn forward_shown(&self, scope: &Scope<'_>, values: &mut Values, show: &mut Show<'_>) {
        let groups = values.groups();
        let (weight, bias) = (scope.weights.f32s(self.projection.0), scope.weights.f32s(self.projection.1));
        let mut scratch = self.scratch.map(|slot| values.take(slot));
        values.write(self.shares, |values, shares| {
            let v = values.get(self.input);
            for (pair, shares) in self.pairs().zip(shares.chunks_exact_mut(groups)) {
                self.hidden(scope, v, pair, &mut scratch, show);
                scope.kernels.linear(weight, bias, &scratch[2], self.width, shares);
                show(1, &scratch[2], shares);
            }
            scope.kernels.softmax(shares, groups);
        });
        for (slot, lanes) in self.scratch.into_iter().zip(scratch) {
            values.put(slot, lanes);
        }
        self.weigh(scope, values);
    }

    fn backward(&self, scope: &Scope<'_>, values: &Values, gradients: &mut Gradients) {
        let groups = values.groups();
        let kernels = scope.kernels;
        let v = values.get(self.input);
        let (shares, kept) = (values.get(self.shares), values.get(self.kept));
        let zeros = |width: usize| Block::zeroed(width * groups);
        let mut scratch = [zeros(self.dim), zeros(self.width), zeros(self.width)];

        // By a: through the mask, then through the softmax, a · (da − Σ a · da).
        let mut ds = zeros(shares.len() / groups);
        let dy = gradients.values.take(self.output);
        for ((i, j), ds) in self.pairs().zip(ds.chunks_exact_mut(groups)) {
            kernels.multiply(self.row(v, i), self.row(v, j), &mut scratch[0]);
            kernels.add_dot(&dy, &scratch[0], ds);
        }
        if let Some(training) = scope.training {
            let unmasked = std::mem::replace(&mut ds, zeros(shares.len() / groups));
            self.masking.add(kernels, training, &unmasked, groups, &mut ds);
        }
        let mut mean = zeros(1);
        kernels.add_dot(shares, &ds, &mut mean);
        kernels.softmax_gradient(shares, &mean, &mut ds);

        let projection = scope.weights.f32s(self.projection.0);
        let attention = scope.weights.f32s(self.attention.0);
        let mut by_input = gradients.values.take(self.input);
        for (((i, j), ds), kept) in self.pairs().zip(ds.chunks_exact(groups)).zip(kept.chunks_exact(groups)) {
            self.hidden(scope, v, (i, j), &mut scratch, &mut |_, _, _| {});
            let dense = &mut gradients.dense;
            kernels.linear_weight_gradient(&scratch[2], ds, self.width, &mut dense[self.projection.0]);
            kernels.feature_sums(ds, &mut dense[self.projection.1]);
            let (mut after, mut before, mut product) =
                (zeros(self.width), zeros(self.width), zeros(self.dim));
            kernels.linear_input_gradient(projection, ds, self.width, &mut after);
            kernels.relu_gradient(&scratch[1], &after, &mut before);
            kernels.linear_weight_gradient(&scratch[0], &before, self.dim, &mut dense[self.attention.0]);
            kernels.feature_sums(&before, &mut dense[self.attention.1]);
            kernels.linear_input_gradient(attention, &before, self.dim, &mut product);
            kernels.add_scaled(&dy, kept, &mut product);
            let stride = self.dim * groups;
            kernels.add_product(&product, self.row(v, j), &mut by_input[i * stride..(i + 1) * stride]);
            kernels.add_product(&product, self.row(v, i), &mut by_input[j * stride..(j + 1) * stride]);
        }
        gradients.values.put(self.input, by_input);
        gradients.values.put(self.output, dy);
    }
}
