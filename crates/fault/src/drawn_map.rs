//! Drawn maps: what a chip does to the words of a model, whatever they store.

use std::sync::Arc;

use crate::arrivals::{Arrivals, words};
use crate::exposure::ExposureIdentity;
use crate::injected::{InjectError, check_fit};
use crate::{BitErrorRate, Chip, Effect, ExposedParameter, Exposure, Parameters};

/// Effects on words, sparse and sorted, as an error model drew them; keeps its buffers from draw to draw.
///
/// Memory: O(words hit), two or three 64-bit numbers each.
#[derive(Debug, Default)]
pub struct DrawnMap {
    origin: Option<Origin>,
    parameters: Vec<DrawnParameter>,
    used: usize,
    /// Workspace of the next draw; there from the first one on.
    arrivals: Option<Box<Arrivals>>,
}

/// Where a drawn map comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// The chip.
    pub chip: Chip,
    /// The rate, for error models that take one.
    pub rate: Option<BitErrorRate>,
    /// Canonical name of the error model.
    pub error_model: String,
    /// What was exposed.
    pub exposure: Arc<ExposureIdentity>,
}

/// Effects on the words of one parameter.
#[derive(Clone, Debug)]
pub struct DrawnParameter {
    exposed: ExposedParameter,
    elements: Vec<u64>,
    xor: Vec<u64>,
    /// Empty if all effects are flips.
    and: Vec<u64>,
    sorted: bool,
}

impl DrawnMap {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the last draw and keeps its buffers.
    pub(crate) fn clear(&mut self) {
        self.origin = None;
        self.used = 0;
    }

    /// Makes room for a draw in this exposure; until it is finished this is the map of no draw.
    pub(crate) fn start(&mut self, exposure: &Exposure) {
        self.origin = None;
        self.used = exposure.parameters().len();
        for (i, &exposed) in exposure.parameters().iter().enumerate() {
            match self.parameters.get_mut(i) {
                Some(parameter) => parameter.clear(exposed),
                None => self.parameters.push(DrawnParameter::new(exposed)),
            }
        }
    }

    /// Brings what was pushed into the order of the words, which makes this the map of that draw.
    pub(crate) fn finish(&mut self, origin: Origin) {
        for parameter in &mut self.parameters[..self.used] {
            parameter.sort();
        }
        self.origin = Some(origin);
    }

    /// Makes this the map of what readers get of a draw that a protection has looked at: every bit of the words that
    /// `exposure`, the target's own, names may read otherwise than stored, whichever of them were hit.
    ///
    /// Errors: `drawn` is the map of no draw; this is then too.
    pub fn fill_read(
        &mut self,
        drawn: &Self,
        exposure: &Exposure,
        fill: impl FnOnce(&mut [DrawnParameter]),
    ) -> Result<(), InjectError> {
        self.clear();
        let origin = drawn.origin().ok_or(InjectError::NotDrawn)?;
        self.start(exposure);
        let parameters = &mut self.parameters[..self.used];
        for parameter in parameters.iter_mut() {
            parameter.exposed.mask = parameter.exposed.format.word_mask();
        }
        fill(parameters);
        self.finish(Origin { exposure: Arc::clone(exposure.identity()), ..origin.clone() });
        Ok(())
    }

    /// Takes the draw out; the workspace stays for the next one.
    #[must_use]
    pub fn detach(&mut self) -> Self {
        let arrivals = self.arrivals.take();
        let drawn = std::mem::take(self);
        self.arrivals = arrivals;
        drawn
    }

    /// Number of bits that this map changes in these parameters, without listing them.
    ///
    /// Errors: the map is for other parameters.
    pub fn effective_flips<P: Parameters + ?Sized>(&self, parameters: &P) -> Result<u64, InjectError> {
        check_fit(parameters, self)?;
        let flips = self.parameters().iter().filter(|drawn| !drawn.elements.is_empty()).map(|drawn| {
            if drawn.flips_only() {
                return drawn.xor.iter().map(|mask| u64::from(mask.count_ones())).sum::<u64>();
            }
            let words = parameters.words(drawn.index());
            let changed = |(element, effect): (u64, Effect)| {
                let word = words.get(element);
                u64::from((word ^ effect.on(word)).count_ones())
            };
            drawn.iter().map(changed).sum()
        });
        Ok(flips.sum())
    }

    /// Where the last draw came from; `None` before the first, and after one that failed.
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// Effects per exposed parameter, in the order of the exposure.
    pub fn parameters(&self) -> &[DrawnParameter] {
        &self.parameters[..self.used]
    }

    /// For error models: an exposed parameter, by its place in the exposure, to push effects to.
    pub fn parameter_mut(&mut self, place: usize) -> &mut DrawnParameter {
        &mut self.parameters[..self.used][place]
    }

    /// For error models: what draws arrivals, and the parameters to push effects to.
    pub fn split(&mut self) -> (&mut Arrivals, &mut [DrawnParameter]) {
        (self.arrivals.get_or_insert_default(), &mut self.parameters[..self.used])
    }

    /// Whether no word is touched: such a trial is the golden run.
    pub fn is_empty(&self) -> bool {
        self.parameters().iter().all(|parameter| parameter.elements.is_empty())
    }

    /// Number of words touched.
    pub fn words(&self) -> u64 {
        self.parameters().iter().map(|parameter| parameter.elements.len() as u64).sum()
    }

    /// Bytes that this map and its buffers hold.
    pub fn allocated_bytes(&self) -> usize {
        let words = |parameter: &DrawnParameter| {
            parameter.elements.capacity() + parameter.xor.capacity() + parameter.and.capacity()
        };
        let workspace = self.arrivals.as_ref().map_or(0, |arrivals| arrivals.allocated_bytes());
        workspace + self.parameters.iter().map(words).sum::<usize>() * size_of::<u64>()
    }
}

impl DrawnParameter {
    fn new(exposed: ExposedParameter) -> Self {
        Self { exposed, elements: Vec::new(), xor: Vec::new(), and: Vec::new(), sorted: true }
    }

    fn clear(&mut self, exposed: ExposedParameter) {
        self.exposed = exposed;
        self.elements.clear();
        self.xor.clear();
        self.and.clear();
        self.sorted = true;
    }

    /// The parameter and its exposed bits.
    pub fn exposed(&self) -> &ExposedParameter {
        &self.exposed
    }

    /// Place of the parameter in the model.
    pub fn index(&self) -> usize {
        self.exposed.index
    }

    /// The words touched, in order, each once.
    pub fn elements(&self) -> &[u64] {
        &self.elements
    }

    /// The bits that flip, per word touched.
    pub fn flips(&self) -> &[u64] {
        &self.xor
    }

    /// Whether all effects are flips of stored bits, whatever these are.
    pub fn flips_only(&self) -> bool {
        self.and.is_empty()
    }

    /// The effect on the `i`-th word touched.
    pub fn effect(&self, i: usize) -> Effect {
        Effect { and: self.and.get(i).copied().unwrap_or(u64::MAX), xor: self.xor[i] }
    }

    /// The words touched with the effect on each.
    pub fn iter(&self) -> impl Iterator<Item = (u64, Effect)> {
        self.elements.iter().enumerate().map(|(i, &element)| (element, self.effect(i)))
    }

    /// Adds an effect on a word, after those it has already; bits that are not exposed stay as they are.
    ///
    /// # Panics
    /// If there is no such element.
    pub fn push(&mut self, element: u64, effect: Effect) {
        assert!(element < self.exposed.elements, "element {element} of {}", self.exposed.elements);
        let effect = effect.within(self.exposed.mask);
        if effect == Effect::NOTHING {
            return;
        }
        match self.elements.last() {
            Some(&last) if last == element => {
                let last = self.elements.len() - 1;
                self.replace(last, self.effect(last).then(effect));
            }
            Some(&last) => {
                self.sorted &= last < element;
                self.append(element, effect);
            }
            None => self.append(element, effect),
        }
    }

    /// Adds flips of bits in storage order; those that are not exposed stay as they are.
    ///
    /// Sites must be sorted, unique and behind everything pushed before.
    pub(crate) fn extend_flips(&mut self, sites: &[u64]) {
        debug_assert!(self.and.is_empty() && sites.is_sorted_by(|a, b| a < b));
        let exposed = self.exposed;
        words(&exposed, sites, |element, mask| {
            self.elements.push(element);
            self.xor.push(mask);
        });
    }

    /// Replaces everything by the flips of the exposed bits that arrive below a rate.
    pub(crate) fn set_flips(&mut self, arrivals: &mut Arrivals, chip: Chip, rate: BitErrorRate) {
        let exposed = self.exposed;
        self.clear(exposed);
        let expected = exposed.bits() as f64 * rate.get();
        let room = (expected + 4.0 * expected.sqrt()).min(exposed.elements as f64) as usize;
        self.elements.reserve(room);
        self.xor.reserve(room);
        arrivals.flips_below(chip, &exposed, rate, |element, mask| {
            self.elements.push(element);
            self.xor.push(mask);
        });
    }

    fn append(&mut self, element: u64, effect: Effect) {
        self.elements.push(element);
        self.xor.push(effect.xor);
        if !self.and.is_empty() {
            self.and.push(effect.and);
        } else if effect.and != u64::MAX {
            self.and.resize(self.elements.len() - 1, u64::MAX);
            self.and.push(effect.and);
        }
    }

    fn replace(&mut self, i: usize, effect: Effect) {
        self.xor[i] = effect.xor;
        if self.and.is_empty() && effect.and != u64::MAX {
            self.and.resize(self.elements.len(), u64::MAX);
        }
        if let Some(and) = self.and.get_mut(i) {
            *and = effect.and;
        }
    }

    /// Sorts by element; effects on the same word keep their order and become one.
    fn sort(&mut self) {
        if self.sorted {
            return;
        }
        let mut effects: Vec<_> = self.iter().collect();
        effects.sort_by_key(|&(element, _)| element);
        self.clear(self.exposed);
        for (element, effect) in effects {
            self.push(element, effect);
        }
    }
}
