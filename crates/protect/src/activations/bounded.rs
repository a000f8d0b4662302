use radhard_kernels::{Bounds, Kernels, LANES, Lane, Outside};
use radhard_models::{BLOCK, HookCall, HookEvents, HookSite, Hooks, SiteKind};

use super::profile::Profile;
use crate::protection::{Cost, Prepared, ProtectError, Protection, Subject};

/// Values behind layers kept within bounds.
///
/// Source: Eq. 1 (`zero`) and Eq. 2 (`clip`) of Ma et al. 2023; Chen et al. 2021 for `ranger`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounded {
    rule: Rule,
    place: Place,
    bounds: BoundsFrom,
}

/// What a value beyond a bound becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The bound.
    Clip,
    /// Zero.
    Zero,
}

/// Behind which layers values are kept within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Behind every activation.
    Activation,
    /// Behind every linear layer but the last, before its batch norm.
    Linear,
    /// Behind every layer, tables included.
    Everywhere,
}

/// How bounds are found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BoundsFrom {
    /// The same for all layers.
    Fixed(f32, f32),
    /// The smallest and largest value behind each layer over the train rows.
    Profiled,
}

impl Bounded {
    /// Bounds behind layers; `None` if fixed ones are NaN or reversed, or leave out 0.
    pub fn new(rule: Rule, place: Place, bounds: BoundsFrom) -> Option<Self> {
        match bounds {
            BoundsFrom::Fixed(low, high) if !(low <= 0.0 && 0.0 <= high) => None,
            _ => Some(Self { rule, place, bounds }),
        }
    }

    /// `ranger`: every layer within what it gave on clean rows.
    pub fn ranger() -> Self {
        Self { rule: Rule::Clip, place: Place::Everywhere, bounds: BoundsFrom::Profiled }
    }

    /// `Err` tells the rule that is broken, where it is not the form.
    pub(crate) fn parse(rule: Rule, settings: &[&str]) -> Result<Self, Option<String>> {
        let of = |place, bounds| {
            Self::new(rule, place, bounds).ok_or_else(|| {
                Some(format!("bounds {bounds:?} must be numbers in order with 0 between them"))
            })
        };
        let (place, bounds) = match settings {
            ["paper"] if rule == Rule::Clip => return of(Place::Activation, BoundsFrom::Fixed(-6.0, 6.0)),
            ["artefact"] if rule == Rule::Clip => return of(Place::Linear, BoundsFrom::Fixed(-100.0, 100.0)),
            ["activation", bounds] => (Place::Activation, bounds),
            ["linear", bounds] => (Place::Linear, bounds),
            _ => return Err(None),
        };
        if *bounds == "profiled" {
            return of(place, BoundsFrom::Profiled);
        }
        let (low, high) = bounds.split_once("..").ok_or(None)?;
        let number = |text: &str| text.parse::<f32>().map_err(|_| None);
        of(place, BoundsFrom::Fixed(number(low)?, number(high)?))
    }

    fn acts_at(self, site: &HookSite) -> bool {
        match self.place {
            Place::Activation => site.kind == SiteKind::Activation,
            Place::Linear => site.kind == SiteKind::Linear,
            Place::Everywhere => true,
        }
    }
}

impl Protection for Bounded {
    fn name(&self) -> String {
        let rule = match (self.rule, self.place) {
            (_, Place::Everywhere) => return "ranger".to_owned(),
            (Rule::Clip, _) => "clip",
            (Rule::Zero, _) => "zero",
        };
        let place = if self.place == Place::Activation { "activation" } else { "linear" };
        match (*self, self.bounds) {
            (Self { rule: Rule::Clip, place: Place::Activation, .. }, BoundsFrom::Fixed(-6.0, 6.0)) => {
                "clip:paper".into()
            }
            (Self { rule: Rule::Clip, place: Place::Linear, .. }, BoundsFrom::Fixed(-100.0, 100.0)) => {
                "clip:artefact".into()
            }
            (_, BoundsFrom::Fixed(low, high)) => format!("{rule}:{place},{low}..{high}"),
            (_, BoundsFrom::Profiled) => format!("{rule}:{place},profiled"),
        }
    }

    fn place(&self) -> Option<String> {
        Some(format!("{:?}", self.place))
    }

    fn calibrates(&self) -> bool {
        self.bounds == BoundsFrom::Profiled
    }

    fn prepare(&self, subject: &Subject<'_>) -> Result<Box<dyn Prepared>, ProtectError> {
        let Some(model) = subject.model else {
            let reason = "it acts on activations, and there are stored words alone".to_owned();
            return Err(ProtectError::NoPlace { protection: self.name(), reason });
        };
        let sites = model.sites();
        let profile = match (self.bounds, subject.calibration) {
            (BoundsFrom::Fixed(..), _) => None,
            (BoundsFrom::Profiled, None) => {
                let part = "the train part".to_owned();
                return Err(ProtectError::NoCalibration { protection: self.name(), part });
            }
            (BoundsFrom::Profiled, Some(rows)) => Some(
                Profile::of(model, &rows)
                    .map_err(|source| ProtectError::Pass { protection: self.name(), source })?,
            ),
        };
        let mut cost = Cost { assumptions: vec!["the bounds of layers".to_owned()], ..Cost::default() };
        let mut limits = vec![None; sites.last().map_or(0, |site| site.layer + 1)];
        for site in sites.iter().filter(|site| self.acts_at(site)) {
            let (low, high) = match (self.bounds, &profile) {
                (BoundsFrom::Fixed(low, high), _) => (low, high),
                // Eq. 1 and 2 bound an activation from 0 up, and a linear layer by magnitude.
                (_, Some(ranges)) => match (ranges[site.layer], self.place) {
                    (range, Place::Everywhere) => range,
                    ((_, high), Place::Activation) => (0.0, high.max(0.0)),
                    ((low, high), Place::Linear) => {
                        let most = high.max(-low);
                        (-most, most)
                    }
                },
                (BoundsFrom::Profiled, None) => continue,
            };
            if !(low.is_finite() && high.is_finite()) && profile.is_some() {
                let reason =
                    format!("{} gives {low}..{high} on clean rows, and a bound is finite", site.name);
                return Err(ProtectError::Setting { protection: self.name(), reason });
            }
            limits[site.layer] = Some((low, high));
            cost.operations_per_sample += 2.0 * site.width as f64;
            cost.memory_bits += 64;
        }
        if limits.iter().all(Option::is_none) {
            let place = if self.place == Place::Activation { "activation" } else { "hidden linear layer" };
            cost.assumptions = vec![format!("finds no place to act: the model has no {place}")];
        }
        cost.calibration_rows =
            if profile.is_some() { subject.calibration.map_or(0, |rows| rows.len() as u64) } else { 0 };
        Ok(Box::new(Limits { rule: self.rule, by_layer: limits, cost }))
    }
}

/// Bounds behind the layers of one model.
struct Limits {
    rule: Rule,
    by_layer: Vec<Option<(f32, f32)>>,
    cost: Cost,
}

impl Hooks for Limits {
    fn acts(&self, layer: usize) -> bool {
        self.by_layer[layer].is_some()
    }

    fn behind(&self, call: &HookCall<'_>, values: &mut [Lane]) -> HookEvents {
        let Some(limits) = self.by_layer[call.layer] else { return HookEvents::default() };
        let outside = self.keep(limits, call.kernels, call.rows, values);
        HookEvents { detected: outside.nan, fallbacks: outside.nan, ..HookEvents::default() }
    }
}

impl Limits {
    fn keep(&self, (low, high): (f32, f32), kernels: Kernels, rows: usize, values: &mut [Lane]) -> Outside {
        let (below, above) = if self.rule == Rule::Clip { (low, high) } else { (0.0, 0.0) };
        let bounds = Bounds { low, high, below, above, nan: 0.0_f32.clamp(low, high) };
        let mut outside = Outside::default();
        kernels.bound(bounds, (BLOCK / LANES, rows), values, &mut outside);
        outside
    }
}

impl Prepared for Limits {
    fn hooks(&self) -> Option<&dyn Hooks> {
        self.by_layer.iter().any(Option::is_some).then_some(self)
    }

    fn cost(&self) -> Cost {
        self.cost.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(rule: Rule, values: [f32; 6]) -> ([f32; 6], Outside) {
        let limits = Limits { rule, by_layer: Vec::new(), cost: Cost::default() };
        let mut block = [[0.0; LANES]; BLOCK / LANES];
        block[0][..6].copy_from_slice(&values);
        let outside = limits.keep((-6.0, 6.0), Kernels::detected(), 6, &mut block);
        (block[0][..6].try_into().unwrap(), outside)
    }

    const OUTSIDE: Outside = Outside { beyond: 3, nan: 1 };
    const VALUES: [f32; 6] = [1.5, -0.0, 7.0, -9e30, f32::NAN, f32::INFINITY];

    #[test]
    fn a_clip_gives_bounds_a_zero_gives_zero_and_both_turn_nan_into_zero() {
        assert_eq!(after(Rule::Clip, VALUES), ([1.5, -0.0, 6.0, -6.0, 0.0, 6.0], OUTSIDE));
        assert_eq!(after(Rule::Zero, VALUES), ([1.5, -0.0, 0.0, 0.0, 0.0, 0.0], OUTSIDE));
    }

    #[test]
    fn padding_is_not_counted() {
        let limits = Limits { rule: Rule::Clip, by_layer: Vec::new(), cost: Cost::default() };
        let mut block = [[f32::NAN; LANES]; BLOCK / LANES];
        let outside = limits.keep((0.0, 1.0), Kernels::detected(), 3, &mut block);
        assert_eq!(outside, Outside { beyond: 0, nan: 3 });
    }
}
