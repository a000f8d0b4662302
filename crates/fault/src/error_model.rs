//! Error models: how arrivals on a chip become effects on words.

mod asymmetric;
mod burst;
mod count;
mod flips;
mod stuck_at;
mod value;

pub use asymmetric::Asymmetric;
pub use burst::Burst;
pub use count::Count;
pub use flips::Flips;
pub use stuck_at::{Level, StuckAt};
pub use value::{Value, Written};

use crate::drawn_map::Origin;
use crate::{BitErrorRate, Chip, DrawnMap, Exposure, StoredBits};

/// How faults change words.
///
/// What is drawn must depend on the chip and, per parameter, on its hash and format alone (use [`Arrivals`] and
/// [`StreamKey`] for that), never on other parameters of the exposure; only then do all targets meet the same chips.
///
/// # Example
/// A model that clears every word that arrives below the rate:
/// ```
/// use radhard_fault::*;
///
/// struct Blank;
///
/// impl ErrorModel for Blank {
///     fn name(&self) -> String {
///         "blank".to_owned()
///     }
///
///     fn nests(&self) -> bool {
///         true
///     }
///
///     fn fill(&self, chip: Chip, exposure: &Exposure, rate: BitErrorRate, out: &mut DrawnMap) -> Result<(), DrawError> {
///         let (arrivals, parameters) = out.split();
///         for (exposed, drawn) in exposure.parameters().iter().zip(parameters) {
///             for &element in arrivals.words_below(chip, exposed, rate) {
///                 drawn.push(element, Effect::write(0));
///             }
///         }
///         Ok(())
///     }
/// }
///
/// let mut parameters = OwnedParameters::default();
/// parameters.push_f32("fc.weight", &[100], Component::Dense, &[1.0; 100]);
/// let exposure = Target::all().resolve(parameters.specs(), Expose::Parameters)?;
/// let mut drawn = DrawnMap::new();
/// Blank.draw(Chip::new(7, 0), &exposure, Some(BitErrorRate::ONE), &mut drawn)?;
/// assert_eq!(drawn.resolve(&parameters)?.words(), 100);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`Arrivals`]: crate::Arrivals
/// [`StreamKey`]: crate::StreamKey
pub trait ErrorModel: Send + Sync {
    /// Canonical name with all settings, such as `burst:4:0.5`; two models with one name draw the same.
    fn name(&self) -> String;

    /// Whether a draw depends on a rate; where not, [`fill`](Self::fill) is called with rate 0.
    fn takes_rate(&self) -> bool {
        true
    }

    /// Whether on one chip everything that happens at a rate happens at every higher one too (for models without a
    /// rate: whether it grows with their parameter).
    fn nests(&self) -> bool;

    /// Whether bits flip, whatever is stored there: such models fit computed words too, which no draw knows.
    fn flips_only(&self) -> bool {
        false
    }

    /// Pushes the effects on each exposed parameter to `out`, which is empty.
    fn fill(
        &self,
        chip: Chip,
        exposure: &Exposure,
        rate: BitErrorRate,
        out: &mut DrawnMap,
    ) -> Result<(), DrawError>;

    /// Probability that no stored bit changes; `None` if that is not known, for want of `stored` or at all.
    fn p_no_flip(
        &self,
        _exposure: &Exposure,
        _rate: Option<BitErrorRate>,
        _stored: Option<&StoredBits>,
    ) -> Option<f64> {
        None
    }

    /// Replaces `out` by what happens on a chip.
    ///
    /// Errors: a rate is missing or given in vain; the model does not fit the exposure. Then `out` is the map of no draw.
    fn draw(
        &self,
        chip: Chip,
        exposure: &Exposure,
        rate: Option<BitErrorRate>,
        out: &mut DrawnMap,
    ) -> Result<(), DrawError> {
        out.clear();
        let given = match (self.takes_rate(), rate) {
            (true, Some(rate)) => rate,
            (false, None) => BitErrorRate::ZERO,
            (true, None) => return Err(DrawError::RateMissing { error_model: self.name() }),
            (false, Some(rate)) => return Err(DrawError::RateInVain { error_model: self.name(), rate }),
        };
        let origin = Origin {
            chip,
            rate,
            error_model: self.name(),
            exposure: std::sync::Arc::clone(exposure.identity()),
        };
        out.start(exposure);
        let filled = self.fill(chip, exposure, given, out);
        match filled {
            Ok(()) => out.finish(origin),
            Err(_) => out.clear(),
        }
        filled
    }
}

/// Why an error model can't be drawn.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DrawError {
    /// The model needs a rate.
    #[error("error model {error_model} needs a bit error rate")]
    RateMissing {
        /// The model.
        error_model: String,
    },
    /// The model has no use for a rate.
    #[error("error model {error_model} takes no bit error rate, but {rate} is given")]
    RateInVain {
        /// The model.
        error_model: String,
        /// The rate.
        rate: BitErrorRate,
    },
    /// More bits are to flip than are exposed.
    #[error("error model count:{count} flips more bits than the {bits} that are exposed")]
    TooManyBits {
        /// Bits to flip.
        count: u64,
        /// Bits exposed.
        bits: u64,
    },
    /// A number to write does not fit a format.
    #[error(
        "error model value: {number:e} is outside the numbers of format {format}, in which \"{parameter}\" is stored"
    )]
    NotRepresentable {
        /// The number.
        number: f64,
        /// The format.
        format: crate::Format,
        /// The parameter.
        parameter: String,
    },
    /// A model from outside failed.
    #[error("error model {error_model}: {reason}")]
    Other {
        /// The model.
        error_model: String,
        /// Its own words.
        reason: String,
    },
}

/// Why a text is not an error model.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ErrorModelParseError {
    /// No model has that name.
    #[error("error model \"{0}\" is not known, there are: {list}", list = known_forms())]
    Unknown(String),
    /// The model has other settings.
    #[error("error model \"{text}\" is not of the form {form}")]
    Form {
        /// The text.
        text: String,
        /// How it should look.
        form: &'static str,
    },
    /// A setting is out of its range.
    #[error("error model \"{text}\": {rule}")]
    Range {
        /// The text.
        text: String,
        /// What must hold.
        rule: &'static str,
    },
}

/// Reads the part after the first colon of a text; `None` for the form to be reported.
type Parse = fn(&[&str]) -> Result<Box<dyn ErrorModel>, Wrong>;

/// What is wrong with the settings of a model.
enum Wrong {
    Form,
    Range(&'static str),
}

/// Name, forms and parser of the models that are known.
const KNOWN: [(&str, &str, Parse); 6] = [
    ("flips", "flips", Flips::parse),
    ("count", "count:K", Count::parse),
    ("burst", "burst:LENGTH:INNER_RATE", Burst::parse),
    ("stuck-at", "stuck-at:0|1|random", StuckAt::parse),
    ("asymmetric", "asymmetric:P01_FACTOR:P10_FACTOR", Asymmetric::parse),
    ("value", "value:uniform|zero|LOW..HIGH", Value::parse),
];

fn known_forms() -> String {
    KNOWN.map(|(_, form, _)| form).join(", ")
}

/// The error model that a text such as `flips`, `count:8` or `burst:4:0.5` names.
pub fn parse_error_model(text: &str) -> Result<Box<dyn ErrorModel>, ErrorModelParseError> {
    let mut parts = text.trim().split(':');
    let name = parts.next().unwrap_or_default();
    let settings: Vec<_> = parts.collect();
    let (_, form, parse) = KNOWN
        .into_iter()
        .find(|&(known, _, _)| known == name)
        .ok_or_else(|| ErrorModelParseError::Unknown(text.to_owned()))?;
    parse(&settings).map_err(|wrong| match wrong {
        Wrong::Form => ErrorModelParseError::Form { text: text.to_owned(), form },
        Wrong::Range(rule) => ErrorModelParseError::Range { text: text.to_owned(), rule },
    })
}

/// A setting that is a probability.
fn probability(text: &str) -> Result<f64, Wrong> {
    let value: f64 = text.parse().map_err(|_| Wrong::Form)?;
    if (0.0..=1.0).contains(&value) {
        Ok(value.abs())
    } else {
        Err(Wrong::Range("a probability is in [0, 1]"))
    }
}
