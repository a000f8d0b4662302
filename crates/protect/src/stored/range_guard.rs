use radhard_fault::{Format, ParameterSpec, Words};
use radhard_kernels::{Kernels, LANES, Lane, Limits};
use radhard_models::HookEvents;
use rayon::prelude::*;

use super::{GatherReader, Lookups, each_word, exposable, per_sample, table_rows};
use crate::protection::{
    Checked, Cost, Events, Prepared, ProtectError, Protection, SliceReader, Subject, Touched,
};

/// On read, a word with !(|w| ≤ M · margin) becomes 0 or is clamped, M the largest clean magnitude of its parameter or row; so
/// NaN never passes. Words of integer formats pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RangeGuard {
    bound: Bound,
    replacement: Replacement,
    margin: f64,
}

/// What a bound is taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bound {
    /// A parameter.
    #[default]
    Tensor,
    /// A row of a table; what is no table has one bound.
    Row,
}

/// What a word beyond its bound becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replacement {
    /// Zero.
    #[default]
    Zero,
    /// The bound, with the sign of the word; zero for NaN.
    Clamp,
}

impl RangeGuard {
    /// A guard; `None` for a margin below 1, which would change clean words, or one that is not finite.
    pub fn new(bound: Bound, replacement: Replacement, margin: f64) -> Option<Self> {
        (margin >= 1.0 && margin.is_finite()).then_some(Self { bound, replacement, margin })
    }

    /// `Err` tells the rule that is broken, where it is not the form.
    pub(crate) fn parse(settings: &[&str]) -> Result<Self, Option<String>> {
        let (mut bound, mut replacement, mut margin) = (None, None, None);
        for &setting in settings {
            let again = match setting {
                "tensor" => bound.replace(Bound::Tensor).is_some(),
                "row" => bound.replace(Bound::Row).is_some(),
                "zero" => replacement.replace(Replacement::Zero).is_some(),
                "clamp" => replacement.replace(Replacement::Clamp).is_some(),
                _ => {
                    let text = setting.strip_prefix("margin=").ok_or(None)?;
                    margin.replace(text.parse::<f64>().map_err(|_| None)?).is_some()
                }
            };
            if again {
                return Err(Some(format!("\"{setting}\" settles again what is settled before it")));
            }
        }
        let margin = margin.unwrap_or(1.0);
        Self::new(bound.unwrap_or_default(), replacement.unwrap_or_default(), margin).ok_or_else(|| {
            Some(format!("margin {margin} is not a finite number from 1 up, so clean words would change"))
        })
    }

    fn rows(&self, spec: &ParameterSpec) -> Option<u64> {
        let (_, width) = table_rows(spec)?;
        (self.bound == Bound::Row).then_some(width)
    }
}

/// The largest magnitude among words; NaN if one is NaN.
fn largest(format: Format, words: Words<'_>, elements: std::ops::Range<u64>) -> f64 {
    elements.map(|element| format.decode(words.get(element)).abs()).fold(0.0, |largest, magnitude| {
        if largest >= magnitude || largest.is_nan() { largest } else { magnitude }
    })
}

/// What holds a parameter's words.
#[derive(Clone, Copy)]
enum Limit {
    /// Nothing: integers.
    None,
    /// This magnitude.
    Tensor(f64),
    /// The largest magnitude of each row of so many words.
    Row(u64),
}

struct PreparedRangeGuard {
    guard: RangeGuard,
    limits: Vec<Limit>,
    cost: Cost,
}

impl Protection for RangeGuard {
    fn name(&self) -> String {
        let mut settings = Vec::new();
        if self.bound == Bound::Row {
            settings.push("row".to_owned());
        }
        if self.replacement == Replacement::Clamp {
            settings.push("clamp".to_owned());
        }
        if self.margin > 1.0 {
            settings.push(format!("margin={}", self.margin));
        }
        let colon = if settings.is_empty() { "" } else { ":" };
        format!("range-guard{colon}{}", settings.join(","))
    }

    fn place(&self) -> Option<String> {
        Some("the range of words".to_owned())
    }

    fn prepare(&self, subject: &Subject<'_>) -> Result<Box<dyn Prepared>, ProtectError> {
        let mut limits = Vec::new();
        let mut cost = Cost::default();
        for (index, spec) in subject.parameters.specs().iter().enumerate() {
            if !spec.format.is_float() || !exposable(spec) {
                limits.push(Limit::None);
                continue;
            }
            let words = subject.parameters.words(index);
            let chunk = 1 << 16;
            let most: Vec<f64> = (0..spec.elements().div_ceil(chunk))
                .into_par_iter()
                .map(|i| largest(spec.format, words, i * chunk..((i + 1) * chunk).min(spec.elements())))
                .collect();
            if most.iter().any(|magnitude| !magnitude.is_finite()) {
                let unbounded = |&element: &u64| !spec.format.decode(words.get(element)).is_finite();
                let element = (0..spec.elements()).find(unbounded).unwrap_or_default();
                return Err(ProtectError::CleanWord {
                    protection: self.name(),
                    parameter: spec.name.clone(),
                    element,
                    value: spec.format.decode(words.get(element)),
                });
            }
            limits.push(match self.rows(spec) {
                Some(width) => {
                    cost.memory_bits += 32 * spec.elements() / width;
                    Limit::Row(width)
                }
                None => Limit::Tensor(most.into_iter().fold(0.0, f64::max)),
            });
        }
        if limits.iter().all(|limit| matches!(limit, Limit::None)) {
            let reason = "no parameter is stored in floating point".to_owned();
            return Err(ProtectError::NoPlace { protection: self.name(), reason });
        }
        cost.operations_per_sample =
            per_sample(subject, |spec| if spec.format.is_float() { 3.0 } else { 0.0 });
        cost.assumptions
            .push(if cost.memory_bits > 0 { "the bounds of rows" } else { "a bound per parameter" }.into());
        Ok(Box::new(PreparedRangeGuard { guard: *self, limits, cost }))
    }
}

const MAGNITUDE: u32 = !0 >> 1;

impl PreparedRangeGuard {
    /// The bits of the largest f32 that passes. Magnitudes of f32 are in the order of their bits, NaN above all; the bound is
    /// rounded towards zero.
    fn bound(&self, limit: f64) -> u32 {
        let limit = (limit * self.guard.margin).min(f32::MAX.into());
        let near = limit as f32;
        near.to_bits() - u32::from(f64::from(near) > limit)
    }
}

/// Bounds of the words of one table.
struct Bounds {
    clamp: bool,
    of: BoundsOf,
}

/// What has a bound.
enum BoundsOf {
    /// The table.
    Table(u32),
    /// Each of its rows.
    Rows(Vec<u32>),
}

impl GatherReader for Bounds {
    fn passes(&self, kernels: Kernels, words: &[Lane]) -> Option<bool> {
        let BoundsOf::Table(limit) = self.of else { return None };
        let mut found = false;
        kernels.beyond_limits(Limits::All(limit), words, &mut found);
        Some(!found)
    }

    fn read(&self, lookups: &Lookups<'_>, words: &mut [Lane]) -> HookEvents {
        let limits = match &self.of {
            BoundsOf::Table(limit) => Limits::All(*limit),
            BoundsOf::Rows(limits) => Limits::Rows(limits, (lookups.rows_read, lookups.fields)),
        };
        let mut found = false;
        lookups.kernels.beyond_limits(limits, words, &mut found);
        if !found {
            return HookEvents::default();
        }
        let mut changed = vec![[0; LANES]; lookups.groups()];
        lookups.kernels.limit(limits, self.clamp, words, &mut changed);
        let bad = lookups.count(&changed);
        HookEvents { detected: bad, fallbacks: bad, ..HookEvents::default() }
    }
}

impl Prepared for PreparedRangeGuard {
    fn reads(&self) -> bool {
        true
    }

    fn read(&self, touched: &Touched<'_>, out: &mut Vec<(u64, u64)>, events: &mut Events) {
        let format = touched.clean.format();
        let mut row_limit = (u64::MAX, 0.0);
        for &(element, word) in touched.words {
            let limit = match self.limits[touched.index] {
                Limit::None => {
                    out.push((element, word));
                    continue;
                }
                Limit::Tensor(limit) => limit,
                Limit::Row(width) => {
                    let row = element / width;
                    if row_limit.0 != row {
                        row_limit = (row, largest(format, touched.clean, row * width..(row + 1) * width));
                    }
                    row_limit.1
                }
            } * self.guard.margin;
            let value = format.decode(word);
            let mut read = word;
            if value.is_nan() || value.abs() > limit {
                events.detected += 1;
                events.fallbacks += 1;
                read = match self.guard.replacement {
                    Replacement::Clamp if !value.is_nan() => format.encode(limit.copysign(value)),
                    _ => 0,
                };
            }
            if read != touched.clean.get(element) {
                out.push((element, read));
            }
        }
    }

    fn slice_reader(&self, index: usize, clean: &[u32]) -> Option<SliceReader> {
        let bound = |limit| self.bound(limit);
        let clamp = self.guard.replacement == Replacement::Clamp;
        let read = move |word: u32, bound: u32| {
            let magnitude = word & MAGNITUDE;
            let bad = magnitude > bound;
            let keep = clamp && magnitude <= f32::INFINITY.to_bits();
            (
                if !bad {
                    word
                } else if keep {
                    word & !MAGNITUDE | bound
                } else {
                    0
                },
                bad,
            )
        };
        match self.limits[index] {
            Limit::None => None,
            Limit::Tensor(limit) => {
                let bound = bound(limit);
                Some(each_word(move |_, word| read(word, bound)))
            }
            Limit::Row(width) => {
                let width = width as usize;
                let most = |row: &[u32]| row.iter().map(|word| word & MAGNITUDE).max().unwrap_or_default();
                let bounds: Vec<u32> =
                    clean.chunks(width).map(|row| bound(f32::from_bits(most(row)).into())).collect();
                Some(Box::new(move |words| {
                    let mut fired = 0;
                    for (row, &bound) in words.chunks_mut(width).zip(&bounds) {
                        for word in row {
                            let (read, bad) = read(*word, bound);
                            *word = read;
                            fired += u64::from(bad);
                        }
                    }
                    Checked { checks: words.len() as u64, fired }
                }))
            }
        }
    }

    fn gather_reader(&self, index: usize, clean: &[f32]) -> Option<Box<dyn GatherReader>> {
        let of = match self.limits[index] {
            Limit::None => return None,
            Limit::Tensor(limit) => BoundsOf::Table(self.bound(limit)),
            Limit::Row(width) => {
                let most = |row: &[f32]| row.iter().fold(0.0, |most: f32, w| most.max(w.abs()));
                let bounds = clean.par_chunks(width as usize).with_min_len(1 << 12);
                BoundsOf::Rows(bounds.map(|row| self.bound(most(row).into())).collect())
            }
        };
        Some(Box::new(Bounds { clamp: self.guard.replacement == Replacement::Clamp, of }))
    }

    fn cost(&self) -> Cost {
        self.cost.clone()
    }
}
