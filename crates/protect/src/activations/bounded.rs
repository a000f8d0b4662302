use radhard_data::RowsView;
use radhard_kernels::{Bounds, Kernels, LANES, Lane, Outside};
use radhard_models::{HookCall, HookEvents, HookSite, Hooks, LookupResult, Model, SiteKind, WIDEST_BLOCK};
use rayon::prelude::*;

use super::profile::Profile;
use super::quantile::{self, Quantiles};
use super::tuned::{self, TuneError, Tuning};
use crate::protection::{Cost, LayerBounds, Prepared, ProtectError, Protection, Subject};

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rule {
    /// The bound.
    #[default]
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
    /// The value behind each layer that this share of the values over the train rows does not exceed; within (0, 1].
    Quantile(f64),
    /// Searched for, layer by layer, from 0 to the largest value over the train rows, so that the area under AUC over the logarithm
    /// of the bit error rate is largest.
    ///
    /// Source: Hoang, Hanif and Shafique 2020 (FT-ClipAct). Deviation: the interval around the best bound is halved to both
    /// sides, and AUC stands for accuracy.
    Tuned,
}

impl Bounded {
    /// Bounds behind layers; `None` if fixed ones are NaN or reversed, leave out 0 or hold nothing but 0, or if a quantile is outside
    /// (0, 1].
    pub fn new(rule: Rule, place: Place, bounds: BoundsFrom) -> Option<Self> {
        let sound = match bounds {
            BoundsFrom::Fixed(low, high) => low <= 0.0 && 0.0 <= high && low < high,
            BoundsFrom::Quantile(q) => q > 0.0 && q <= 1.0,
            BoundsFrom::Profiled | BoundsFrom::Tuned => true,
        };
        sound.then_some(Self { rule, place, bounds })
    }

    /// `ranger`: every layer within what it gave on clean rows.
    pub fn ranger() -> Self {
        Self { rule: Rule::Clip, place: Place::Everywhere, bounds: BoundsFrom::Profiled }
    }

    /// `Err` tells the rule that is broken, where it is not the form.
    pub(crate) fn parse(rule: Rule, settings: &[&str]) -> Result<Self, Option<String>> {
        let of = |place, bounds| {
            Self::new(rule, place, bounds).ok_or_else(|| {
                Some(match bounds {
                    BoundsFrom::Quantile(q) => format!("quantile {q} is outside (0, 1]"),
                    BoundsFrom::Fixed(low, high) => {
                        format!("bounds {low}..{high} must be two numbers in order with 0 between them")
                    }
                    other => format!("bounds {other:?}"),
                })
            })
        };
        let (place, bounds) = match settings {
            ["paper"] if rule == Rule::Clip => return of(Place::Activation, BoundsFrom::Fixed(-6.0, 6.0)),
            ["artefact"] if rule == Rule::Clip => return of(Place::Linear, BoundsFrom::Fixed(-100.0, 100.0)),
            ["activation", bounds] => (Place::Activation, bounds),
            ["linear", bounds] => (Place::Linear, bounds),
            _ => return Err(None),
        };
        match *bounds {
            "profiled" => return of(place, BoundsFrom::Profiled),
            "tuned" => return of(place, BoundsFrom::Tuned),
            _ => {}
        }
        if let Some(share) = bounds.strip_prefix("quantile=") {
            return of(place, BoundsFrom::Quantile(share.parse().map_err(|_| None)?));
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
            (_, BoundsFrom::Quantile(q)) => format!("{rule}:{place},quantile={q}"),
            (_, BoundsFrom::Tuned) => format!("{rule}:{place},tuned"),
        }
    }

    fn place(&self) -> Option<String> {
        Some(format!("{:?}", self.place))
    }

    fn calibrates(&self) -> bool {
        !matches!(self.bounds, BoundsFrom::Fixed(..))
    }

    fn with_bounds(&self, bounds: &LayerBounds) -> Option<Box<dyn Protection>> {
        self.calibrates()
            .then(|| Box::new(Given { of: *self, bounds: bounds.clone() }) as Box<dyn Protection>)
    }

    fn prepare(&self, subject: &Subject<'_>) -> Result<Box<dyn Prepared>, ProtectError> {
        self.limits(subject, None)
    }
}

/// Bounds that were taken from the clean model before, as its campaign recorded them.
struct Given {
    of: Bounded,
    bounds: LayerBounds,
}

impl Protection for Given {
    fn name(&self) -> String {
        self.of.name()
    }

    fn place(&self) -> Option<String> {
        self.of.place()
    }

    fn prepare(&self, subject: &Subject<'_>) -> Result<Box<dyn Prepared>, ProtectError> {
        self.of.limits(subject, Some(&self.bounds))
    }
}

/// The name of each layer in records: its name, with its number where another has the same.
fn names(sites: &[HookSite]) -> Vec<String> {
    let twice = |site: &HookSite| sites.iter().filter(|other| other.name == site.name).count() > 1;
    let of = |site: &HookSite| {
        if twice(site) { format!("{} ({})", site.name, site.layer) } else { site.name.clone() }
    };
    sites.iter().map(of).collect()
}

impl Bounded {
    fn limits(
        &self,
        subject: &Subject<'_>,
        given: Option<&LayerBounds>,
    ) -> Result<Box<dyn Prepared>, ProtectError> {
        let Some(model) = subject.model else {
            let reason = "it acts on activations, and there are stored words alone".to_owned();
            return Err(ProtectError::NoPlace { protection: self.name(), reason });
        };
        let sites = model.sites();
        let layers = sites.last().map_or(0, |site| site.layer + 1);
        let mut acting = vec![false; layers];
        for site in sites.iter().filter(|site| self.acts_at(site)) {
            acting[site.layer] = true;
        }
        let mut rows = vec![false; layers];
        for site in model.lookups() {
            rows[site.layer] = site.gives == LookupResult::Rows;
        }
        let by_layer = vec![None; layers];
        let mut limits = Limits { rule: self.rule, by_layer, rows, ..Limits::default() };
        let none = !acting.contains(&true);
        let named: Vec<(String, usize)> =
            names(&sites).into_iter().zip(sites.iter().map(|site| site.layer)).collect();
        let named = named.into_iter().filter(|(_, layer)| acting[*layer]);
        if let BoundsFrom::Fixed(low, high) = self.bounds {
            limits.by_layer = acting.iter().map(|&acts| acts.then_some((low, high))).collect();
        } else if let Some(given) = given {
            for (name, layer) in named {
                let unfit = |reason| ProtectError::Setting { protection: self.name(), reason };
                let [low, high] = *given.get(&name).ok_or_else(|| {
                    unfit(format!("there is no bound for {name} among those that are given"))
                })?;
                limits.by_layer[layer] = Some((low, high));
            }
            self.in_order(model, &limits)?;
            self.check_finite(&sites, &limits)?;
        } else {
            let rows = subject.calibration.filter(|rows| !rows.is_empty()).ok_or_else(|| {
                let part = "the train part".to_owned();
                ProtectError::NoCalibration { protection: self.name(), part }
            })?;
            if !none {
                self.calibrate(subject, model, (&rows, &acting), &mut limits)?;
                self.check_finite(&sites, &limits)?;
            }
            let bound = |(name, layer): (String, usize)| {
                limits.by_layer[layer].map(|(low, high)| (name, [low, high]))
            };
            limits.taken = named.filter_map(bound).collect();
        }
        let cost = &mut limits.cost;
        cost.assumptions.insert(0, "the bounds of layers".to_owned());
        for site in sites.iter().filter(|site| acting[site.layer]) {
            cost.operations_per_sample += 2.0 * site.width as f64;
            cost.checks_per_sample += site.width as f64;
            cost.memory_bits += 64;
        }
        if none {
            let place = if self.place == Place::Activation { "activation" } else { "hidden linear layer" };
            cost.assumptions = vec![format!("finds no place to act: the model has no {place}")];
        }
        Ok(Box::new(limits))
    }
}

impl Bounded {
    /// Refuses bounds of values that are not numbers.
    fn in_order(&self, model: &Model, limits: &Limits) -> Result<(), ProtectError> {
        let mut sites = model.sites().into_iter();
        let unfit = sites.find(|site| {
            limits.by_layer[site.layer].is_some_and(|(low, high)| low.is_nan() || high.is_nan() || low > high)
        });
        let Some(site) = unfit else { return Ok(()) };
        let (low, high) = limits.by_layer[site.layer].unwrap_or_default();
        let reason = format!(
            "its bounds behind {} come out as {low} and {high}: without any fault values there are not numbers",
            site.name
        );
        Err(ProtectError::Setting { protection: self.name(), reason })
    }

    /// Takes bounds of the acting layers from clean rows.
    fn calibrate(
        &self,
        subject: &Subject<'_>,
        model: &Model,
        (rows, acting): (&RowsView<'_>, &[bool]),
        limits: &mut Limits,
    ) -> Result<(), ProtectError> {
        let failed = |source| ProtectError::Pass { protection: self.name(), source };
        let within = |most: f32| if self.place == Place::Linear { (-most, most) } else { (0.0, most) };
        if let BoundsFrom::Quantile(q) = self.bounds {
            let bounds = Quantiles::of(model, rows, (self.place, acting), q).map_err(failed)?;
            let bounds = bounds.into_iter().zip(acting);
            limits.by_layer = bounds.map(|(most, &acts)| acts.then(|| within(most))).collect();
            limits.cost.calibration_rows = quantile::PASSES * rows.len() as u64;
            return self.in_order(model, limits);
        }
        let ranges = Profile::of(model, rows).map_err(failed)?;
        // Eq. 1 and 2 bound an activation from 0 up, and a linear layer by magnitude.
        let profiled = |(low, high): (f32, f32)| match self.place {
            Place::Everywhere => (low, high),
            // No value was a number.
            Place::Activation if low > high => (low, high),
            Place::Activation => (0.0, high.max(0.0)),
            Place::Linear => within(high.max(-low)),
        };
        let ranges = ranges.into_iter().zip(acting);
        limits.by_layer = ranges.map(|(range, &acts)| acts.then(|| profiled(range))).collect();
        limits.cost.calibration_rows = rows.len() as u64;
        self.in_order(model, limits)?;
        if self.bounds == BoundsFrom::Tuned {
            let unfit = |source: TuneError| ProtectError::Setting {
                protection: self.name(),
                reason: source.to_string(),
            };
            let mut tuning = Tuning::new(model, subject.parameters, rows).map_err(unfit)?;
            for layer in (0..acting.len()).filter(|&layer| acting[layer]) {
                let Some((_, most)) = limits.by_layer[layer] else { continue };
                let with = |bound| {
                    let mut by_layer = limits.by_layer.clone();
                    by_layer[layer] = Some(within(bound));
                    Limits { rule: self.rule, by_layer, ..Limits::default() }
                };
                let best = tuning.best(most, with).map_err(unfit)?;
                limits.by_layer[layer] = Some(within(best));
            }
            let (passes, of) = tuning.passes();
            limits.cost.calibration_rows += tuning.rows_passed();
            limits.cost.assumptions.push(format!(
                "tuned by {passes} passes of {of} rows: {} chips at each of {:?}, and none",
                tuned::CHIPS,
                tuned::RATES
            ));
        }
        Ok(())
    }

    fn check_finite(&self, sites: &[HookSite], limits: &Limits) -> Result<(), ProtectError> {
        for site in sites {
            if let Some((low, high)) = limits.by_layer[site.layer]
                && !(low.is_finite() && high.is_finite())
            {
                let reason =
                    format!("{} gives {low}..{high} on clean rows, and a bound is finite", site.name);
                return Err(ProtectError::Setting { protection: self.name(), reason });
            }
        }
        Ok(())
    }
}

/// Bounds behind the layers of one model.
#[derive(Default)]
struct Limits {
    rule: Rule,
    by_layer: Vec<Option<(f32, f32)>>,
    /// Whether what a layer gives are rows of a table as they are stored, by layer.
    rows: Vec<bool>,
    /// Those that were taken from clean rows.
    taken: LayerBounds,
    cost: Cost,
}

/// Words of a table that are looked at by one task.
const PIECE: usize = 1 << 16;

impl Hooks for Limits {
    fn acts(&self, layer: usize) -> bool {
        self.by_layer[layer].is_some()
    }

    fn needs_input(&self, _layer: usize) -> bool {
        false
    }

    fn bounds(&self, layer: usize) -> Option<Bounds> {
        self.by_layer[layer].map(|limits| self.with(limits))
    }

    fn vouches(&self, layer: usize, words: &[f32]) -> bool {
        let kernels = Kernels::detected();
        let within = |(limits, words): ((f32, f32), &[f32])| {
            let mut beyond = false;
            kernels.beyond(limits, words, &mut beyond);
            !beyond
        };
        let limits = self.by_layer[layer].filter(|_| self.rows.get(layer) == Some(&true));
        limits.is_some_and(|limits| words.par_chunks(PIECE).all(|words| within((limits, words))))
    }

    fn behind(&self, call: &HookCall<'_>, values: &mut [Lane]) -> HookEvents {
        let Some(limits) = self.by_layer[call.layer] else { return HookEvents::default() };
        let nan = nan_rows(values, call.groups());
        let outside = self.keep(limits, call.kernels, (call.groups(), call.rows), values);
        if outside.nan > 0 {
            for row in (0..call.rows).filter(|row| nan[row / LANES] >> (row % LANES) & 1 == 1) {
                call.detected(row);
                call.unrestored(row);
            }
        }
        HookEvents { detected: outside.nan, fallbacks: outside.nan, ..HookEvents::default() }
    }
}

/// One bit for each row of a group with a NaN.
fn nan_rows(values: &[Lane], groups: usize) -> [u16; WIDEST_BLOCK / LANES] {
    let mut nan = [[false; LANES]; WIDEST_BLOCK / LANES];
    for values in values.chunks_exact(groups) {
        for (nan, values) in nan.iter_mut().zip(values) {
            for (nan, value) in nan.iter_mut().zip(values) {
                *nan |= value.is_nan();
            }
        }
    }
    nan.map(|lanes| lanes.iter().rev().fold(0, |bits, &nan| bits << 1 | u16::from(nan)))
}

impl Limits {
    fn with(&self, (low, high): (f32, f32)) -> Bounds {
        let (below, above) = if self.rule == Rule::Clip { (low, high) } else { (0.0, 0.0) };
        Bounds { low, high, below, above, nan: 0.0_f32.clamp(low, high) }
    }

    fn keep(
        &self,
        limits: (f32, f32),
        kernels: Kernels,
        block: (usize, usize),
        values: &mut [Lane],
    ) -> Outside {
        let bounds = self.with(limits);
        let mut outside = Outside::default();
        kernels.bound(bounds, block, values, &mut outside);
        outside
    }
}

impl Prepared for Limits {
    fn hooks(&self) -> Option<&dyn Hooks> {
        self.by_layer.iter().any(Option::is_some).then_some(self)
    }

    fn taken_bounds(&self) -> LayerBounds {
        self.taken.clone()
    }

    fn cost(&self) -> Cost {
        self.cost.clone()
    }
}

#[cfg(test)]
mod tests {
    use radhard_models::BLOCK;

    use super::*;

    fn after(rule: Rule, values: [f32; 6]) -> ([f32; 6], Outside) {
        let limits = Limits { rule, ..Limits::default() };
        let mut block = [[0.0; LANES]; BLOCK / LANES];
        block[0][..6].copy_from_slice(&values);
        let outside = limits.keep((-6.0, 6.0), Kernels::detected(), (BLOCK / LANES, 6), &mut block);
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
        let limits = Limits::default();
        let mut block = [[f32::NAN; LANES]; BLOCK / LANES];
        let outside = limits.keep((0.0, 1.0), Kernels::detected(), (BLOCK / LANES, 3), &mut block);
        assert_eq!(outside, Outside { beyond: 0, nan: 3 });
    }
}
