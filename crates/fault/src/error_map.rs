//! Error maps: the effective changes of one trial to one model, which can be kept, applied and undone.

use crate::injected::{InjectError, check_fit, check_length};
use crate::{
    BitErrorRate, Chip, Coverage, DrawnMap, Expose, Format, ParameterSpec, Parameters, STREAM_VERSION,
    fingerprint,
};

/// What one trial changed in the words of one model: only words that differ, sorted.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorMap {
    /// Where it comes from and what it fits.
    pub origin: MapOrigin,
    pub(crate) parameters: Vec<MapParameter>,
}

/// Where an error map comes from and what it fits.
#[derive(Clone, Debug, PartialEq)]
pub struct MapOrigin {
    /// The chip.
    pub chip: Chip,
    /// The rate, for error models that take one.
    pub rate: Option<BitErrorRate>,
    /// Canonical name of the error model.
    pub error_model: String,
    /// Canonical target.
    pub target: String,
    /// What was exposed besides parameters.
    pub expose: Expose,
    /// Number of bits that were exposed.
    pub exposed_bits: u64,
    /// Whether words were written rather than flipped, be it without a change.
    pub written: bool,
    /// Fingerprint of the names, shapes and formats of the parameters.
    pub fingerprint: String,
    /// Version of the random streams it was drawn from.
    pub stream_version: u32,
    /// The protection that read the words, whose repairs and losses are in the map; none without one.
    pub protection: Option<String>,
    /// Tensors of the file that the target reached and passed over; none in maps of models, and in those of older versions.
    pub coverage: Option<Coverage>,
}

/// Changed words of one parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapParameter {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) format: Format,
    /// Whether the words were written rather than flipped.
    pub(crate) written: bool,
    pub(crate) elements: Vec<u64>,
    pub(crate) masks: Vec<u64>,
    pub(crate) old: Vec<u64>,
}

/// Why an error map can't be applied or undone; nothing is changed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Names, shapes or formats are not those the map fits.
    #[error("the error map is for other parameters: its fingerprint is {expected}, theirs {found}")]
    OtherParameters {
        /// Fingerprint in the map.
        expected: String,
        /// Fingerprint of the parameters.
        found: String,
    },
    /// The map names a parameter that is not there, or has it in another format.
    #[error("the error map changes \"{name}\" in format {format}, which the parameters lack")]
    NoParameter {
        /// Name in the map.
        name: String,
        /// Format in the map.
        format: Format,
    },
    /// The map changes an element that is not there.
    #[error("the error map changes element {element} of \"{name}\", which has {elements}")]
    NoElement {
        /// The parameter.
        name: String,
        /// The element.
        element: u64,
        /// Elements there are.
        elements: u64,
    },
    /// A word is not what the map says it was before.
    #[error(
        "word {element} of \"{name}\" is {found:#x}, not {expected:#x}: the map is {} or for another model",
        if *.applied { "applied already" } else { "not applied" }
    )]
    OtherWord {
        /// The parameter.
        name: String,
        /// The element.
        element: u64,
        /// The word expected.
        expected: u64,
        /// The word found.
        found: u64,
        /// Whether the map was to be applied, rather than undone.
        applied: bool,
    },
    /// Every word is the injected one already.
    #[error("all {words} words of the error map are the injected ones: the map is applied already")]
    AppliedAlready {
        /// Words of the map.
        words: u64,
    },
    /// No word is the injected one.
    #[error("all {words} words of the error map are the ones before it: the map is not applied")]
    NotApplied {
        /// Words of the map.
        words: u64,
    },
    /// A word is neither the one before nor the injected one.
    #[error(
        "word {element} of \"{name}\" is {found:#x}, neither {old:#x} nor, injected, {injected:#x}: the map is for another model, or \
         the word was changed by something else"
    )]
    ThirdWord {
        /// The parameter.
        name: String,
        /// The element.
        element: u64,
        /// The word before.
        old: u64,
        /// The injected word.
        injected: u64,
        /// The word found.
        found: u64,
    },
    /// The map does not know what its faults do to other words.
    #[error(
        "the error map of {error_model} can't be rebased: it holds only the words that it changed in its own model, \
         not what was written to the others; draw it on the other model instead"
    )]
    RebaseOfWritten {
        /// The error model.
        error_model: String,
    },
    /// A view lends fewer or more words than its spec says.
    #[error(transparent)]
    Lent(#[from] InjectError),
}

impl DrawnMap {
    /// What this map changes in these parameters: words that come out as they were are left out.
    ///
    /// Errors: the map is for other parameters.
    pub fn resolve<P: Parameters + ?Sized>(&self, parameters: &P) -> Result<ErrorMap, InjectError> {
        check_fit(parameters, self)?;
        self.resolve_with(|index, elements| {
            let words = parameters.words(index);
            Ok(elements.iter().map(|&element| words.get(element)).collect())
        })
    }

    /// The same, where `read` gives the words of some elements of the parameter at a place: rising elements, each once.
    ///
    /// Errors: those of `read`; the map was never drawn.
    pub fn resolve_with<E: From<InjectError>>(
        &self,
        mut read: impl FnMut(usize, &[u64]) -> Result<Vec<u64>, E>,
    ) -> Result<ErrorMap, E> {
        let origin = self.origin().ok_or(InjectError::NotDrawn)?;
        let exposure = &origin.exposure;
        let mut changed = Vec::new();
        let written = self.parameters().iter().any(|drawn| !drawn.flips_only());
        for drawn in self.parameters().iter().filter(|drawn| !drawn.elements().is_empty()) {
            let spec = &exposure.specs[drawn.index()];
            let words = read(drawn.index(), drawn.elements())?;
            let mut parameter = MapParameter::new(&spec.name, &spec.shape, spec.format, !drawn.flips_only());
            for ((element, effect), old) in drawn.iter().zip(words) {
                parameter.push(element, old ^ effect.on(old), old);
            }
            if !parameter.elements.is_empty() {
                changed.push(parameter);
            }
        }
        Ok(ErrorMap {
            origin: MapOrigin {
                chip: origin.chip,
                rate: origin.rate,
                error_model: origin.error_model.clone(),
                target: exposure.target.clone(),
                expose: exposure.expose,
                exposed_bits: exposure.bits,
                written,
                fingerprint: exposure.fingerprint.clone(),
                stream_version: STREAM_VERSION,
                protection: None,
                coverage: None,
            },
            parameters: changed,
        })
    }
}

impl ErrorMap {
    /// The parameters with changed words, in the order of the model.
    pub fn parameters(&self) -> &[MapParameter] {
        &self.parameters
    }

    /// Number of bits that change; those of words that a protection zeroed are not among them.
    pub fn flips(&self) -> u64 {
        let changes = self.parameters.iter().flat_map(MapParameter::iter);
        let flips = changes.filter(|&(_, mask, old)| !self.is_zeroed(old ^ mask));
        flips.map(|(_, mask, _)| u64::from(mask.count_ones())).sum()
    }

    /// Number of words that a protection zeroed: those that read zero, where one read them.
    pub fn zeroed(&self) -> u64 {
        let changes = self.parameters.iter().flat_map(MapParameter::iter);
        changes.filter(|&(_, mask, old)| self.is_zeroed(old ^ mask)).count() as u64
    }

    fn is_zeroed(&self, injected: u64) -> bool {
        injected == 0 && self.origin.protection.is_some()
    }

    /// Number of words that change.
    pub fn words(&self) -> u64 {
        self.parameters.iter().map(|parameter| parameter.elements.len() as u64).sum()
    }

    /// Changes the words, if all of them are what they were when the map was made.
    ///
    /// Errors: other parameters; a word differs, so the map is applied already or for another model (see
    /// [`rebased`](Self::rebased)). Nothing is changed then.
    pub fn apply<P: Parameters + ?Sized>(&self, parameters: &mut P) -> Result<(), ApplyError> {
        self.replace(parameters, true)
    }

    /// Restores the words, if all of them are what the map made of them.
    ///
    /// Errors: other parameters; a word differs, so the map is not applied. Nothing is changed then.
    pub fn undo<P: Parameters + ?Sized>(&self, parameters: &mut P) -> Result<(), ApplyError> {
        self.replace(parameters, false)
    }

    /// The same flips on the words of another model with the same names, shapes and formats.
    ///
    /// Errors: other parameters; words were written, of which the map holds only those that changed.
    pub fn rebased<P: Parameters + ?Sized>(&self, parameters: &P) -> Result<Self, ApplyError> {
        self.places(parameters)?;
        self.rebased_with(parameters.specs(), |index, elements| {
            let words = parameters.words(index);
            Ok(elements.iter().map(|&element| words.get(element)).collect())
        })
    }

    /// The same, where `read` gives the words of some elements of the parameter at a place: rising elements, each once.
    ///
    /// Errors: those of `read` and of [`rebased`](Self::rebased).
    pub fn rebased_with<E: From<ApplyError>>(
        &self,
        specs: &[ParameterSpec],
        mut read: impl FnMut(usize, &[u64]) -> Result<Vec<u64>, E>,
    ) -> Result<Self, E> {
        let places = self.fits(specs)?;
        if self.origin.written || self.parameters.iter().any(|changed| changed.written) {
            return Err(ApplyError::RebaseOfWritten { error_model: self.origin.error_model.clone() }.into());
        }
        let mut rebased = Self { origin: self.origin.clone(), parameters: Vec::new() };
        for (changed, &place) in self.parameters.iter().zip(&places) {
            let old = read(place, &changed.elements)?;
            rebased.parameters.push(MapParameter { old, ..changed.clone() });
        }
        Ok(rebased)
    }

    /// The map that takes these changes back: its old words are those that this one makes.
    #[must_use]
    pub fn inverse(&self) -> Self {
        let mut inverse = self.clone();
        for changed in &mut inverse.parameters {
            for (old, mask) in changed.old.iter_mut().zip(&changed.masks) {
                *old ^= mask;
            }
        }
        inverse
    }

    fn replace<P: Parameters + ?Sized>(&self, parameters: &mut P, applied: bool) -> Result<(), ApplyError> {
        let places = self.places(parameters)?;
        for (changed, &place) in self.parameters.iter().zip(&places) {
            let words = parameters.words(place);
            for (element, mask, old) in changed.iter() {
                let expected = if applied { old } else { old ^ mask };
                let found = words.get(element);
                if found != expected {
                    let name = changed.name.clone();
                    return Err(ApplyError::OtherWord { name, element, expected, found, applied });
                }
            }
        }
        for (changed, &place) in self.parameters.iter().zip(&places) {
            parameters.words_mut(place).flip(&changed.elements, &changed.masks);
        }
        Ok(())
    }

    /// The place of each changed parameter among these, all checked to lend the elements that change.
    fn places<P: Parameters + ?Sized>(&self, parameters: &P) -> Result<Vec<usize>, ApplyError> {
        let places = self.fits(parameters.specs())?;
        places.iter().try_for_each(|&place| check_length(parameters, place))?;
        Ok(places)
    }

    /// The place of each changed parameter among these, all checked to have the elements that change.
    ///
    /// Errors: other parameters; a parameter or an element that is not there.
    pub fn fits(&self, specs: &[ParameterSpec]) -> Result<Vec<usize>, ApplyError> {
        let found = fingerprint(specs);
        if found != self.origin.fingerprint && older_fingerprint(specs) != self.origin.fingerprint {
            return Err(ApplyError::OtherParameters { expected: self.origin.fingerprint.clone(), found });
        }
        let place = |changed: &MapParameter| {
            let name = changed.name.clone();
            let place = specs.iter().position(|spec| spec.name == name && spec.format == changed.format);
            let place =
                place.ok_or(ApplyError::NoParameter { name: name.clone(), format: changed.format })?;
            let elements = specs[place].elements();
            match changed.elements.last() {
                Some(&element) if element >= elements => {
                    Err(ApplyError::NoElement { name, element, elements })
                }
                _ => Ok(place),
            }
        };
        self.parameters.iter().map(place).collect()
    }
}

/// The fingerprint in maps that were drawn before f4 and f8e8m0 were formats: such parameters were not known then.
fn older_fingerprint(specs: &[ParameterSpec]) -> String {
    let known: Vec<_> = specs.iter().filter(|spec| !spec.format.is_younger_than_maps()).cloned().collect();
    fingerprint(&known)
}

impl MapParameter {
    pub(crate) fn new(name: &str, shape: &[usize], format: Format, written: bool) -> Self {
        let (name, shape) = (name.to_owned(), shape.to_vec());
        Self { name, shape, format, written, elements: Vec::new(), masks: Vec::new(), old: Vec::new() }
    }

    fn push(&mut self, element: u64, mask: u64, old: u64) {
        let mask = mask & self.format.word_mask();
        if mask != 0 {
            self.elements.push(element);
            self.masks.push(mask);
            self.old.push(old);
        }
    }

    /// The parameter's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The sizes of its dimensions.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The format of its words.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether words were written, rather than bits flipped whatever they were.
    pub fn written(&self) -> bool {
        self.written
    }

    /// The changed words, sorted, each once.
    pub fn elements(&self) -> &[u64] {
        &self.elements
    }

    /// The bits that change, per changed word; never empty.
    pub fn masks(&self) -> &[u64] {
        &self.masks
    }

    /// The words before.
    pub fn old(&self) -> &[u64] {
        &self.old
    }

    /// Element, changed bits and old word of each change.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64, u64)> {
        self.elements
            .iter()
            .zip(&self.masks)
            .zip(&self.old)
            .map(|((&element, &mask), &old)| (element, mask, old))
    }
}
