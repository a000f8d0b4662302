use std::borrow::Cow;

use radhard_kernels::{Kernels, LANES, Lane, LinearSums, LinearTotals, plain};
use radhard_models::{
    BLOCK, Checksum, HookCall, HookEvents, Hooks, Model, ProductPart, ProductSite, WIDEST_BLOCK,
};

use super::{RETRIES, Recovery, SMALLEST, UNIT};
use crate::protection::{Cost, Prepared, ProtectError, Protection, Subject};

/// Lane groups of the narrowest blocks of a pass.
const FEW_GROUPS: usize = BLOCK / LANES;

/// `abft-gemm`: the outputs of a row add up to what the checksum column of the clean weights says.
///
/// Row r passes if |Σ_j C_rj − A_r·S| ≤ (ℓ + n + 2)·u·(|A_r|·Σ_j|B_·j|) + k·n·2^-149, where ℓ is the longest chain of
/// additions to one output and S is kept in f64. The bias counts as an input of 1.
///
/// Source: Huang and Abraham 1984; Li et al. 2022. Deviation: the tolerance is a proven bound, so clean rows never fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbftGemm {
    recovery: Recovery,
}

impl AbftGemm {
    /// A check with this recovery.
    pub fn new(recovery: Recovery) -> Self {
        Self { recovery }
    }

    pub(crate) fn parse(settings: &[&str]) -> Option<Self> {
        Recovery::parse(settings).map(Self::new)
    }
}

impl Protection for AbftGemm {
    fn name(&self) -> String {
        format!("abft-gemm:{}", self.recovery.name())
    }

    fn place(&self) -> Option<String> {
        Some("the results of linear layers".to_owned())
    }

    fn prepare(&self, subject: &Subject<'_>) -> Result<Box<dyn Prepared>, ProtectError> {
        let Some(model) = subject.model else {
            let reason = "it checks results, and there are stored words alone".to_owned();
            return Err(ProtectError::NoPlace { protection: self.name(), reason });
        };
        let mut cost = Cost { assumptions: vec!["the checksum columns".to_owned()], ..Cost::default() };
        if self.recovery == Recovery::Reload {
            cost.assumptions.push(crate::stored::CLEAN_COPY.to_owned());
        }
        let products = model.products();
        let unchecked = unchecked(model, &products);
        let mut layers: Vec<Vec<Checked>> = Vec::new();
        for site in products {
            if layers.len() <= site.layer {
                layers.resize_with(site.layer + 1, Vec::new);
            }
            cost.memory_bits += 128 * (site.inputs as u64 + 1);
            cost.checks_per_sample += 1.0;
            cost.operations_per_sample += (4 * site.inputs + site.outputs + 3) as f64;
            layers[site.layer].push(Checked::new(model, site));
        }
        if layers.is_empty() {
            cost.assumptions = vec!["none: the model has no linear layer, so it changes nothing".to_owned()];
        } else if !unchecked.is_empty() {
            cost.assumptions.push(format!("unchecked: {}", unchecked.join(", ")));
        }
        Ok(Box::new(Checks { recovery: self.recovery, layers, cost }))
    }
}

/// Matrices that no product site covers.
fn unchecked(model: &Model, products: &[ProductSite]) -> Vec<String> {
    let parameters = model.parameters().iter().enumerate();
    let matrices = parameters.filter(|(_, tensor)| {
        tensor.component() == radhard_models::Component::Dense && tensor.shape().len() == 2
    });
    matrices
        .filter(|(at, _)| products.iter().all(|site| site.weight != *at))
        .map(|(_, tensor)| tensor.name().to_owned())
        .collect()
}

/// One linear layer with its checksums.
struct Checked {
    site: ProductSite,
    sums: Vec<f64>,
    magnitudes: Vec<f64>,
    rough: Vec<f32>,
    bias: (f64, f64),
    /// Roundings that the tolerance allows for.
    roundings: f64,
    absolute: f64,
    clean_weight: Vec<f32>,
    clean_bias: Vec<f32>,
}

impl Checked {
    fn new(model: &Model, site: ProductSite) -> Self {
        let weight = &model.parameters()[site.weight].f32s()[site.elements()];
        let bias = site.bias.map_or(&[][..], |bias| model.parameters()[bias].f32s());
        let (mut sums, mut magnitudes) = (vec![0.0; site.inputs], vec![0.0; site.inputs]);
        for row in weight.chunks_exact(site.inputs) {
            for ((sum, magnitude), &w) in sums.iter_mut().zip(&mut magnitudes).zip(row) {
                *sum += f64::from(w);
                *magnitude += f64::from(w).abs();
            }
        }
        if let ProductPart::Tail { .. } = site.part {
            // It goes on with both results of the head as they are.
            sums.splice(..0, [1.0; 2]);
            magnitudes.splice(..0, [1.0; 2]);
        }
        let rough = magnitudes.iter().map(|&magnitude| (magnitude as f32).next_up()).collect();
        let total = |of: fn(f64) -> f64| bias.iter().map(|&b| of(f64::from(b))).sum();
        let (k, n) = (site.inputs as f64, site.outputs as f64);
        Self {
            site,
            sums,
            magnitudes,
            rough,
            bias: (total(|b| b), total(f64::abs)),
            roundings: longest_chain(&site) as f64 + n + 2.0,
            absolute: k * n * SMALLEST,
            clean_weight: weight.to_vec(),
            clean_bias: bias.to_vec(),
        }
    }

    /// One bit for each row of a group that fails.
    fn failed(&self, kernels: Kernels, x: &[Lane], y: &[Lane]) -> [u16; WIDEST_BLOCK / LANES] {
        let mut failed = [0; WIDEST_BLOCK / LANES];
        let groups = y.len() / self.site.outputs;
        // Most blocks are small: a large room would take longer to clear than to use.
        match groups {
            0..=FEW_GROUPS => self.fail::<FEW_GROUPS>(kernels, x, y, &mut failed[..groups]),
            _ => self.fail::<{ WIDEST_BLOCK / LANES }>(kernels, x, y, &mut failed[..groups]),
        }
        failed
    }

    fn fail<const ROOM: usize>(&self, kernels: Kernels, x: &[Lane], y: &[Lane], failed: &mut [u16]) {
        let mut out = [[[0.0; LANES]; ROOM]; 3];
        let groups = failed.len();
        let [totals, expected, magnitudes] = &mut out;
        let clean = LinearSums {
            sums: &self.sums,
            magnitudes: &self.magnitudes,
            rough: &self.rough,
            bias: self.bias.0,
            bias_magnitude: self.bias.1,
        };
        let view = LinearTotals {
            totals: &mut totals[..groups],
            expected: &mut expected[..groups],
            magnitudes: &mut magnitudes[..groups],
        };
        kernels.linear_totals(clean, x, y, view);
        let found = [&totals[..groups], &expected[..groups], &magnitudes[..groups]];
        kernels.totals_fail(found, (self.roundings * UNIT, self.absolute), failed);
    }

    /// What it multiplies, one value after the other.
    fn input<'a>(&self, call: &HookCall<'a>) -> Cow<'a, [Lane]> {
        match self.site.part {
            ProductPart::Tail { .. } => Cow::Owned([call.input, call.second].concat()),
            _ => Cow::Borrowed(call.input),
        }
    }

    fn compute(&self, kernels: Kernels, (weight, bias): (&[f32], &[f32]), x: &[Lane], out: &mut [Lane]) {
        match (self.site.part, self.site.fields) {
            (ProductPart::Head, _) => kernels.linear_head(weight, x, out),
            (ProductPart::Tail { before }, _) => {
                let (head, x) = x.split_at(2 * out.len());
                kernels.linear_tail(weight, bias[0], (head, before), x, out);
            }
            (_, Some(fields)) => kernels.field_layer(weight, bias, x, self.site.inputs, fields, out),
            (_, None) => kernels.linear(weight, bias, x, self.site.inputs, out),
        }
    }
}

/// Additions on the longest way from a product to an output.
fn longest_chain(site: &ProductSite) -> usize {
    let before = if let ProductPart::Tail { before } = site.part { before } else { 0 };
    let inputs = before + site.inputs;
    let before_bias = if let Some(fields) = site.fields {
        site.inputs / fields + fields.next_power_of_two().trailing_zeros() as usize
    } else {
        inputs.min(plain::CHAIN) + inputs.div_ceil(plain::CHAIN) - 1
    };
    before_bias + usize::from(site.bias.is_some())
}

/// The checked layers of one model.
struct Checks {
    recovery: Recovery,
    layers: Vec<Vec<Checked>>,
    cost: Cost,
}

/// The bits of rows that are not padding.
pub(super) fn used(rows: usize, group: usize) -> u16 {
    let rows = rows.saturating_sub(group * LANES).min(LANES);
    ((1u32 << rows) - 1) as u16
}

impl Checks {
    fn of(&self, layer: usize) -> &[Checked] {
        self.layers.get(layer).map_or(&[], Vec::as_slice)
    }

    fn check(&self, layer: &Checked, call: &HookCall<'_>, values: &mut [Lane]) -> HookEvents {
        let mut events = HookEvents::default();
        let groups = values.len() / layer.site.outputs;
        let x = layer.input(call);
        let mut open = layer.failed(call.kernels, &x, values);
        for (g, open) in open.iter_mut().enumerate() {
            *open &= used(call.rows, g);
        }
        let count = |bits: &[u16]| bits.iter().map(|bits| u64::from(bits.count_ones())).sum::<u64>();
        events.detected = count(&open);
        if events.detected == 0 {
            return events;
        }
        let put = |from: Option<&[Lane]>, rows: &[u16], values: &mut [Lane]| {
            for (output, values) in values.chunks_exact_mut(groups).enumerate() {
                for (g, (value, rows)) in
                    values.iter_mut().zip(rows).enumerate().filter(|(_, (_, rows))| **rows != 0)
                {
                    let from = from.map_or([0.0; LANES], |from| from[output * groups + g]);
                    for l in 0..LANES {
                        value[l] = if rows >> l & 1 == 1 { from[l] } else { value[l] };
                    }
                }
            }
        };
        each_row(&open, |row| call.detected(row));
        if self.recovery == Recovery::Fallback {
            put(None, &open, values);
            each_row(&open, |row| call.unrestored(row));
            events.fallbacks = events.detected;
            return events;
        }
        let mut again = vec![[0.0; LANES]; values.len()];
        for attempt in 1..=RETRIES {
            let before = count(&open);
            if before == 0 {
                break;
            }
            // What was transient is right when it is computed again: parameters are reloaded where it is not.
            let reloads = self.recovery == Recovery::Reload && attempt > 1;
            let (weight, bias) = (layer.site.weight, layer.site.bias);
            let parameters = if reloads {
                (&layer.clean_weight[..], &layer.clean_bias[..])
            } else {
                (&call.dense(weight)[layer.site.elements()], bias.map_or(&[][..], |bias| call.dense(bias)))
            };
            layer.compute(call.kernels, parameters, &x, &mut again);
            call.recomputed(attempt as u32, &mut again);
            put(Some(&again), &open, values);
            let failed = layer.failed(call.kernels, &x, values);
            for (open, failed) in open.iter_mut().zip(failed) {
                *open &= failed;
            }
            let mended = before - count(&open);
            if reloads {
                events.reloads += mended;
                events.reloaded_layers |= 1 << call.layer.min(127);
            } else {
                events.retries += before;
                events.corrected += mended;
            }
        }
        each_row(&open, |row| call.unrestored(row));
        events
    }
}

/// Calls `act` with each row of a block whose bit is set.
fn each_row(bits: &[u16], mut act: impl FnMut(usize)) {
    for (g, bits) in bits.iter().enumerate() {
        (0..LANES).filter(|l| bits >> l & 1 == 1).for_each(|l| act(g * LANES + l));
    }
}

impl Hooks for Checks {
    fn acts(&self, layer: usize) -> bool {
        self.of(layer).iter().any(|of| !matches!(of.site.part, ProductPart::Inner(_)))
    }

    fn acts_inside(&self, layer: usize) -> bool {
        self.of(layer).iter().any(|of| matches!(of.site.part, ProductPart::Inner(_)))
    }

    fn checksum(&self, layer: usize) -> Option<Checksum<'_>> {
        let [of] = self.of(layer) else { return None };
        matches!(of.site.part, ProductPart::Whole | ProductPart::Head).then_some(Checksum {
            sums: &of.sums,
            magnitudes: &of.magnitudes,
            bias: of.bias.0,
            bias_magnitude: of.bias.1,
            roundings: of.roundings,
        })
    }

    fn clean_bytes(&self, layer: usize) -> u64 {
        self.of(layer).iter().map(|of| 4 * (of.clean_weight.len() + of.clean_bias.len()) as u64).sum()
    }

    fn behind(&self, call: &HookCall<'_>, values: &mut [Lane]) -> HookEvents {
        let whole = self.of(call.layer).iter().find(|of| !matches!(of.site.part, ProductPart::Inner(_)));
        whole.map_or_else(HookEvents::default, |layer| self.check(layer, call, values))
    }

    fn inside(&self, call: &HookCall<'_>, product: usize, results: &mut [Lane]) -> HookEvents {
        let inner = self.of(call.layer).iter().find(|of| of.site.part == ProductPart::Inner(product));
        inner.map_or_else(HookEvents::default, |layer| self.check(layer, call, results))
    }
}

impl Prepared for Checks {
    fn hooks(&self) -> Option<&dyn Hooks> {
        (!self.layers.is_empty()).then_some(self)
    }

    fn cost(&self) -> Cost {
        self.cost.clone()
    }
}
