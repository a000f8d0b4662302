use radhard_kernels::{Kernels, LANES, Lane, LookupSums, plain};
use radhard_models::{HookCall, HookEvents, Hooks, LookupResult, LookupSite, Model, TableRow};
use rayon::prelude::*;

use super::gemm::used;
use super::{RETRIES, Recovery, SMALLEST, UNIT};
use crate::protection::{Cost, Prepared, ProtectError, Protection, Subject};

/// `abft-embedding`: the values of a bag, or of a single table row, add up to the stored totals of its rows.
///
/// A single row passes if its values, added in their order in f64, give the stored f64 total t_r itself: nothing was rounded
/// but in that sum, so clean rows give its bits. A sum of rows passes if |Σ_j R_j − Σ_r t_r| ≤ γ·M + d·L·2^-149 with
/// γ = (ℓ + 1)·u / (1 − (ℓ + 1)·u) and M = Σ_r Σ_j |T_rj| from clean rows, where ℓ is the longest chain of additions. Totals of quantised rows are those of their
/// clean values, so that flips in scale and bias show.
///
/// Source: Li et al. 2022. Deviation: the tolerance follows the magnitudes of the rows, not of their sums, so that clean bags
/// never fail; single rows have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbftEmbedding {
    recovery: Recovery,
}

impl AbftEmbedding {
    /// A check with this recovery.
    pub fn new(recovery: Recovery) -> Self {
        Self { recovery }
    }

    pub(crate) fn parse(settings: &[&str]) -> Option<Self> {
        Recovery::parse(settings).map(Self::new)
    }
}

impl Protection for AbftEmbedding {
    fn name(&self) -> String {
        format!("abft-embedding:{}", self.recovery.name())
    }

    fn place(&self) -> Option<String> {
        Some("the results of lookups".to_owned())
    }

    fn prepare(&self, subject: &Subject<'_>) -> Result<Box<dyn Prepared>, ProtectError> {
        let no_place =
            |reason: &str| ProtectError::NoPlace { protection: self.name(), reason: reason.to_owned() };
        let model =
            subject.model.ok_or_else(|| no_place("it checks results, and there are stored words alone"))?;
        let mut cost = Cost { assumptions: vec!["the totals of rows".to_owned()], ..Cost::default() };
        if self.recovery == Recovery::Reload {
            cost.assumptions.push(crate::stored::CLEAN_COPY.to_owned());
        }
        let mut layers: Vec<Option<Checked>> = Vec::new();
        for site in model.lookups() {
            layers.resize_with(site.layer, || None);
            let checked = Checked::new(model, site, self.recovery == Recovery::Reload);
            cost.memory_bits += 64 * checked.totals.len() as u64 + 32 * checked.magnitudes.len() as u64;
            let looked_up: f64 = subject.looked_up.get(checked.site.table).map_or(0.0, |words| *words);
            // Each value is added; per row of a sum its total and magnitude are; then the comparison.
            let per_row = if checked.site.gives == LookupResult::Rows { 1.0 } else { 4.0 };
            cost.operations_per_sample += looked_up + per_row * looked_up / checked.site.width as f64;
            let single = checked.site.gives == LookupResult::Rows;
            cost.checks_per_sample += if single { checked.site.fields.len() as f64 } else { 1.0 };
            layers.push(Some(checked));
        }
        if layers.is_empty() {
            return Err(no_place("the model looks no rows up"));
        }
        Ok(Box::new(Checks { recovery: self.recovery, layers, cost }))
    }
}

/// One layer that looks up, with the totals of its table's rows.
struct Checked {
    site: LookupSite,
    totals: Vec<f64>,
    /// Sums of magnitudes, rounded up; only where rows of more than one value are added.
    magnitudes: Vec<f32>,
    /// The values of all rows, where results are computed from them.
    clean: Vec<f32>,
    /// The largest magnitude of a total; infinity where one is no number.
    largest: f64,
}

/// Rows of a table that are looked at by one task.
const PIECE: usize = 1 << 12;

impl Checked {
    fn new(model: &Model, site: LookupSite, copy: bool) -> Self {
        let (width, rows, site_table) = (site.width, model.parameters()[site.table].shape()[0], site.table);
        let of_rows = |of: fn(&[f32]) -> f64| {
            let rows = (0..rows as u32).into_par_iter().with_min_len(4096);
            rows.map_init(
                move || vec![0.0; width],
                move |values, row| {
                    model.table_row(site_table, TableRow::new(row), values);
                    of(values)
                },
            )
        };
        let totals: Vec<f64> = of_rows(total).collect();
        let bags = site.gives != LookupResult::Rows && width > 1;
        let magnitude = |values: &[f32]| values.iter().map(|&x| f64::from(x).abs()).sum();
        let magnitudes = if bags {
            of_rows(magnitude).map(|magnitude| (magnitude as f32).next_up()).collect()
        } else {
            Vec::new()
        };
        let mut clean = vec![0.0; if copy { rows * width } else { 0 }];
        clean.par_chunks_mut(width).enumerate().with_min_len(4096).for_each(|(row, values)| {
            model.table_row(site.table, TableRow::new(row as u32), values);
        });
        let magnitude = |total: &f64| if total.is_nan() { f64::INFINITY } else { total.abs() };
        let largest = totals.iter().map(magnitude).fold(0.0, f64::max);
        Self { site, totals, magnitudes, clean, largest }
    }

    /// Whether no look-up of rows of a table that holds these words `[V, D]` fails: each row has its total. Then a sum of rows is
    /// the clean one, and passes by the proof of its tolerance, unless it overflows.
    fn vouches(&self, words: &[f32]) -> bool {
        let width = self.site.width;
        let passes = match self.site.gives {
            LookupResult::Rows => true,
            LookupResult::FieldSum => {
                width == 1 && self.largest * self.site.fields.len() as f64 <= f64::from(f32::MAX) / 2.0
            }
            LookupResult::BagSum => false,
        };
        let kernels = Kernels::detected();
        let alike = |(totals, words): (&[f64], &[f32])| {
            let mut unlike = false;
            kernels.totals_unlike(totals, words, &mut unlike);
            !unlike
        };
        passes && self.totals.par_chunks(PIECE).zip(words.par_chunks(PIECE * width)).all(alike)
    }

    /// Whether the values of the rows' result add up to the rows' totals.
    fn passes(&self, rows: &[TableRow], result: &[f32]) -> bool {
        let found = total(result);
        if self.site.gives == LookupResult::Rows {
            return rows.iter().all(|row| found == self.totals[row.index()]);
        }
        let (mut expected, mut magnitude) = (0.0, 0.0);
        for row in rows {
            let total = self.totals[row.index()];
            expected += total;
            magnitude += self.magnitudes.get(row.index()).map_or(total.abs(), |&of| f64::from(of));
        }
        self.sum_passes((found - expected).abs(), rows.len(), magnitude)
    }

    /// The data rows whose sums are to be looked at: of sums over fields those that fail.
    fn suspects(&self, call: &HookCall<'_>, values: &[Lane]) -> Vec<usize> {
        let site = &self.site;
        if site.gives == LookupResult::BagSum || site.width > 1 {
            return (0..call.rows).collect();
        }
        let (groups, fields) = (values.len(), site.fields.len());
        let (mut expected, mut magnitudes) = (vec![[0.0; LANES]; groups], vec![[0.0; LANES]; groups]);
        let out = LookupSums { expected: &mut expected, magnitudes: &mut magnitudes };
        let rows = crate::stored::rows_read(site, call, groups * LANES);
        call.kernels.sum_totals(&self.totals, (&rows, fields), out);
        let fails = |at: &usize| {
            let (g, l) = (at / LANES, at % LANES);
            let difference = (f64::from(values[g][l]) - expected[g][l]).abs();
            // NaN does not pass.
            !self.sum_passes(difference, fields, magnitudes[g][l])
        };
        (0..call.rows).filter(fails).collect()
    }

    /// Whether a sum of so many rows is near enough; NaN is not.
    fn sum_passes(&self, difference: f64, rows: usize, magnitude: f64) -> bool {
        let chain = match self.site.gives {
            LookupResult::BagSum => rows,
            _ => rows.next_power_of_two().trailing_zeros() as usize,
        };
        difference <= tolerance(chain, self.site.width, rows, magnitude)
    }

    /// What the layer gives of table rows that `read` writes.
    fn result(&self, rows: &[TableRow], mut read: impl FnMut(TableRow, &mut [f32])) -> Vec<f32> {
        let width = self.site.width;
        let mut values = vec![0.0; rows.len() * width];
        for (&row, values) in rows.iter().zip(values.chunks_exact_mut(width)) {
            read(row, values);
        }
        match self.site.gives {
            LookupResult::Rows => values,
            LookupResult::FieldSum => vec![plain::tree(&values)],
            LookupResult::BagSum => {
                let mut sums = vec![0.0; width];
                for row in values.chunks_exact(width) {
                    sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
                }
                sums
            }
        }
    }
}

/// The sum of a row's values, in their order.
fn total(values: &[f32]) -> f64 {
    values.iter().map(|&x| f64::from(x)).sum()
}

/// The proven bound on what rounding makes of a sum of `rows` rows of `width` values. Of `chain` roundings the first adds to +0 and
/// is none: what it has to spare is far above what sums in f64 round.
fn tolerance(chain: usize, width: usize, rows: usize, magnitude: f64) -> f64 {
    let steps = (chain + 1) as f64 * UNIT;
    steps / (1.0 - steps) * magnitude + (width * rows) as f64 * SMALLEST
}

/// The checked layers of one model.
struct Checks {
    recovery: Recovery,
    layers: Vec<Option<Checked>>,
    cost: Cost,
}

impl Checks {
    /// Deals with a result that failed, of data row `at` of the block and of elements from `first` on: what stands in its place.
    fn recover(
        &self,
        layer: &Checked,
        rows: &[TableRow],
        (call, at, first): (&HookCall<'_>, usize, usize),
        events: &mut HookEvents,
    ) -> Vec<f32> {
        let width = layer.site.width;
        events.detected += 1;
        call.detected(at);
        let mut again = vec![0.0; width];
        if self.recovery == Recovery::Fallback {
            events.fallbacks += 1;
            call.unrestored(at);
            return again;
        }
        for attempt in 1..=RETRIES {
            // What was transient is right when it is looked up again: rows are reloaded where it is not.
            let reloads = self.recovery == Recovery::Reload && attempt > 1;
            again = layer.result(rows, |row, out| {
                if reloads {
                    call.reloaded(row);
                    out.copy_from_slice(&layer.clean[row.index() * width..][..width]);
                } else {
                    call.table_row(layer.site.table, row, out);
                }
            });
            call.recomputed_row(attempt as u32, at, first, &mut again);
            events.retries += u64::from(!reloads);
            if layer.passes(rows, &again) {
                *if reloads { &mut events.reloads } else { &mut events.corrected } += 1;
                return again;
            }
        }
        call.unrestored(at);
        again
    }

    /// Single rows, field by field.
    fn rows(&self, layer: &Checked, call: &HookCall<'_>, values: &mut [Lane]) -> HookEvents {
        let site = &layer.site;
        let (fields, width) = (site.fields.len(), site.width);
        let groups = values.len() / fields / width;
        let block = groups * LANES;
        let rows = crate::stored::rows_read(site, call, block);
        let mut failed = vec![0; fields * groups];
        call.kernels.lookup_totals(&layer.totals, (&rows, fields), values, &mut failed);
        let mut events = HookEvents::default();
        for (at, failed) in failed.into_iter().enumerate() {
            let (field, g) = (at / groups, at % groups);
            let failed = failed & used(call.rows, g);
            for l in (0..LANES).filter(|l| failed >> l & 1 == 1) {
                let row = rows[field * block + g * LANES + l];
                let place = (call, g * LANES + l, field * width);
                for (d, x) in self.recover(layer, &[row], place, &mut events).into_iter().enumerate() {
                    values[(field * width + d) * groups + g][l] = x;
                }
            }
        }
        events
    }

    /// Sums of rows, data row by data row.
    fn sums(&self, layer: &Checked, call: &HookCall<'_>, values: &mut [Lane]) -> HookEvents {
        let site = &layer.site;
        let groups = values.len() / site.width;
        let mut events = HookEvents::default();
        let (mut rows, mut result) = (Vec::new(), vec![0.0; site.width]);
        let suspects = layer.suspects(call, values);
        for at in suspects {
            let (g, l) = (at / LANES, at % LANES);
            rows.clear();
            match call.bags {
                Some(bags) => rows.extend_from_slice(TableRow::all(bags.of(at))),
                None => rows.extend(
                    site.fields.clone().map(|field| call.ids[field * groups * LANES + at].row(site.first)),
                ),
            }
            for (d, result) in result.iter_mut().enumerate() {
                *result = values[d * groups + g][l];
            }
            if layer.passes(&rows, &result) {
                continue;
            }
            for (d, x) in self.recover(layer, &rows, (call, at, 0), &mut events).into_iter().enumerate() {
                values[d * groups + g][l] = x;
            }
        }
        events
    }
}

impl Hooks for Checks {
    fn acts(&self, layer: usize) -> bool {
        self.layers.get(layer).is_some_and(Option::is_some)
    }

    fn vouches(&self, layer: usize, words: &[f32]) -> bool {
        self.layers.get(layer).and_then(Option::as_ref).is_some_and(|layer| layer.vouches(words))
    }

    fn behind(&self, call: &HookCall<'_>, values: &mut [Lane]) -> HookEvents {
        match self.layers.get(call.layer) {
            Some(Some(layer)) if layer.site.gives == LookupResult::Rows => self.rows(layer, call, values),
            Some(Some(layer)) => self.sums(layer, call, values),
            _ => HookEvents::default(),
        }
    }
}

impl Prepared for Checks {
    fn hooks(&self) -> Option<&dyn Hooks> {
        Some(self)
    }

    fn cost(&self) -> Cost {
        self.cost.clone()
    }
}
