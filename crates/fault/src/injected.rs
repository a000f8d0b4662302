//! Injection as a guard: faults are in the words while it lives, and gone when it ends.

use std::ops::Deref;

use crate::{DrawnMap, DrawnParameter, ParameterSpec, Parameters};

/// Why a map can't be brought onto parameters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InjectError {
    /// The map was never drawn.
    #[error("the drawn map is empty of any draw")]
    NotDrawn,
    /// Names, shapes or formats are not those the map was drawn for.
    #[error("the map is for other parameters: {0}")]
    OtherParameters(String),
    /// A view lends fewer or more words than its spec says.
    #[error("parameter \"{name}\" lends {lent} words of {elements}")]
    WrongLength {
        /// The parameter.
        name: String,
        /// Words lent.
        lent: u64,
        /// Words of the spec.
        elements: u64,
    },
}

/// Faults in the words of a model; dropping it, on whatever path, restores every byte.
///
/// Leaking it with [`std::mem::forget`] leaves the faults in.
///
/// # Example
/// ```
/// use radhard_fault::*;
///
/// let mut parameters = OwnedParameters::default();
/// parameters.push_f32("fc.weight", &[100], Component::Dense, &[0.5; 100]);
/// let exposure = Target::all().resolve(parameters.specs(), Expose::Parameters)?;
/// let mut drawn = DrawnMap::new();
/// Flips.draw(Chip::new(7, 0), &exposure, Some("1e-2".parse()?), &mut drawn)?;
///
/// let clean = parameters.clone();
/// let injected = Injected::new(&mut parameters, &drawn)?;
/// assert_ne!(injected.bytes(0), clean.bytes(0));
/// drop(injected);
/// assert_eq!(parameters, clean);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Injected<'a, P: Parameters + ?Sized> {
    parameters: &'a mut P,
    drawn: &'a DrawnMap,
    /// Exposed parameters that hold faults: the first so many.
    done: usize,
    /// Per parameter done: the old words where effects are not flips only.
    old: Vec<Vec<u64>>,
    flips: u64,
}

impl<'a, P: Parameters + ?Sized> Injected<'a, P> {
    /// Brings a drawn map into the words.
    ///
    /// Errors: the map is for other parameters; nothing is changed then.
    pub fn new(parameters: &'a mut P, drawn: &'a DrawnMap) -> Result<Self, InjectError> {
        check_fit(parameters, drawn)?;
        let mut injected = Self { parameters, drawn, done: 0, old: Vec::new(), flips: 0 };
        injected.inject();
        Ok(injected)
    }

    fn inject(&mut self) {
        for drawn in self.drawn.parameters() {
            let mut old = Vec::new();
            if !drawn.elements().is_empty() {
                let mut words = self.parameters.words_mut(drawn.index());
                if drawn.flips_only() {
                    words.flip(drawn.elements(), drawn.flips());
                    self.flips += drawn.flips().iter().map(|mask| u64::from(mask.count_ones())).sum::<u64>();
                } else {
                    old.reserve_exact(drawn.elements().len());
                    for (element, effect) in drawn.iter() {
                        let word = words.apply(element, effect);
                        old.push(word);
                        self.flips += u64::from((word ^ effect.on(word)).count_ones());
                    }
                }
            }
            if !drawn.flips_only() {
                self.old.resize_with(self.done, Vec::new);
                self.old.push(old);
            }
            self.done += 1;
        }
    }

    /// Number of stored bits that differ from the clean model.
    pub fn flips(&self) -> u64 {
        self.flips
    }
}

impl<P: Parameters + ?Sized> Deref for Injected<'_, P> {
    type Target = P;

    fn deref(&self) -> &P {
        self.parameters
    }
}

impl<P: Parameters + ?Sized> Drop for Injected<'_, P> {
    fn drop(&mut self) {
        for (place, drawn) in self.drawn.parameters()[..self.done].iter().enumerate() {
            if drawn.elements().is_empty() {
                continue;
            }
            let mut words = self.parameters.words_mut(drawn.index());
            if drawn.flips_only() {
                words.flip(drawn.elements(), drawn.flips());
            } else {
                for (&element, &old) in drawn.elements().iter().zip(&self.old[place]) {
                    words.set(element, old);
                }
            }
        }
    }
}

/// Runs a closure on parameters that hold the faults of a map.
///
/// Errors: the map is for other parameters; the closure does not run then.
pub fn with_injected<P: Parameters + ?Sized, R>(
    parameters: &mut P,
    drawn: &DrawnMap,
    run: impl FnOnce(&P) -> R,
) -> Result<R, InjectError> {
    let injected = Injected::new(parameters, drawn)?;
    Ok(run(&injected))
}

/// Whether a map was drawn for these parameters, and these lend the words they say.
pub(crate) fn check_fit<P: Parameters + ?Sized>(parameters: &P, drawn: &DrawnMap) -> Result<(), InjectError> {
    let origin = drawn.origin().ok_or(InjectError::NotDrawn)?;
    if let Some(difference) = difference(&origin.exposure.specs, parameters.specs()) {
        return Err(InjectError::OtherParameters(difference));
    }
    let touched = drawn.parameters().iter().filter(|drawn| !drawn.elements().is_empty());
    touched.map(DrawnParameter::index).try_for_each(|index| check_length(parameters, index))
}

/// Whether a parameter lends as many words as its spec says.
pub(crate) fn check_length<P: Parameters + ?Sized>(parameters: &P, index: usize) -> Result<(), InjectError> {
    let spec = &parameters.specs()[index];
    let (lent, elements) = (parameters.words(index).len() as u64, spec.elements());
    if lent == elements {
        Ok(())
    } else {
        Err(InjectError::WrongLength { name: spec.name.clone(), lent, elements })
    }
}

/// The first difference in name, shape or format, in words.
fn difference(expected: &[ParameterSpec], found: &[ParameterSpec]) -> Option<String> {
    let describe = |spec: &ParameterSpec| format!("\"{}\" {:?} {}", spec.name, spec.shape, spec.format);
    for (a, b) in expected.iter().zip(found) {
        if (&a.name, &a.shape, a.format) != (&b.name, &b.shape, b.format) {
            return Some(format!("expected {}, found {}", describe(a), describe(b)));
        }
    }
    (expected.len() != found.len())
        .then(|| format!("expected {} parameters, found {}", expected.len(), found.len()))
}
