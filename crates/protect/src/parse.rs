//! Protections by name.

use radhard_fault::BitsError;

use crate::activations::{Bounded, Rule};
use crate::combination::{Combination, NONE};
use crate::protection::Protection;
use crate::results::{AbftEmbedding, AbftGemm};
use crate::stored::{BitChoice, ConstantBits, Mset, RangeGuard, Realisation, RowChecksum, Sbp, Secded, Tmr};

/// Why a text is not a protection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// None has that name.
    #[error("protection \"{0}\" is not known, there are: none, {list}", list = known_forms())]
    Unknown(String),
    /// It has other settings.
    #[error("protection \"{text}\" is not of the form {form}")]
    Form {
        /// The text.
        text: String,
        /// How it should look.
        form: &'static str,
    },
    /// A setting breaks a rule.
    #[error("protection \"{text}\": {rule}")]
    Rule {
        /// The text.
        text: String,
        /// The value and the rule.
        rule: String,
    },
    /// Two parts that can't stand together.
    #[error("protection \"{text}\": {first} and {second} {reason}")]
    Clash {
        /// The whole text.
        text: String,
        /// The one.
        first: String,
        /// The other.
        second: String,
        /// What keeps them apart.
        reason: &'static str,
    },
}

/// What is wrong with the settings of a protection.
pub(crate) enum Wrong {
    /// They don't look like its form.
    Form,
    /// The value and the rule that it breaks.
    Rule(String),
}

impl From<BitsError> for Wrong {
    fn from(error: BitsError) -> Self {
        Self::Rule(error.to_string())
    }
}

type Parsed = Result<Box<dyn Protection>, Wrong>;

/// Reads the settings behind the colon, separated by commas.
type Parse = fn(&[&str]) -> Parsed;

/// Name, form and parser of every protection.
const KNOWN: &[(&str, &str, Parse)] = &[
    ("sbp", "sbp[:BITS]", |settings| sbp(Realisation::Ideal, settings)),
    ("sbp=tmr", "sbp=tmr[:BITS]", |settings| sbp(Realisation::Tmr, settings)),
    ("sbp=sec", "sbp=sec[:BITS]", |settings| sbp(Realisation::Sec, settings)),
    ("sbp=parity", "sbp=parity[:BITS]", |settings| sbp(Realisation::Parity, settings)),
    ("secded", "secded[:pass|zero|reload]", |settings| boxed(Secded::parse(settings))),
    ("tmr", "tmr", |settings| boxed(settings.is_empty().then_some(Tmr))),
    ("mset", "mset", |settings| boxed(settings.is_empty().then_some(Mset))),
    ("constant-bits", "constant-bits", |settings| boxed(settings.is_empty().then_some(ConstantBits))),
    ("range-guard", "range-guard[:tensor|row][,zero|clamp][,margin=X]", |settings| {
        match RangeGuard::parse(settings) {
            Ok(guard) => Ok(Box::new(guard)),
            Err(rule) => Err(rule.map_or(Wrong::Form, Wrong::Rule)),
        }
    }),
    (
        "clip",
        "clip:paper|artefact or clip:activation|linear,LOW..HIGH|profiled|quantile=Q|tuned",
        |settings| bounded(Bounded::parse(Rule::Clip, settings)),
    ),
    ("zero", "zero:activation|linear,LOW..HIGH|profiled|quantile=Q|tuned", |settings| {
        bounded(Bounded::parse(Rule::Zero, settings))
    }),
    ("ranger", "ranger", |settings| boxed(settings.is_empty().then(Bounded::ranger))),
    ("abft-gemm", "abft-gemm:recompute|reload|fallback", |settings| boxed(AbftGemm::parse(settings))),
    ("abft-embedding", "abft-embedding:recompute|reload|fallback", |settings| {
        boxed(AbftEmbedding::parse(settings))
    }),
    ("row-checksum", "row-checksum[:sum|crc32][,reload|zero]", |settings| {
        boxed(RowChecksum::parse(settings))
    }),
];

fn boxed(protection: Option<impl Protection + 'static>) -> Parsed {
    protection.map(|protection| Box::new(protection) as Box<dyn Protection>).ok_or(Wrong::Form)
}

fn bounded(parsed: Result<Bounded, Option<String>>) -> Parsed {
    match parsed {
        Ok(bounded) => Ok(Box::new(bounded)),
        Err(rule) => Err(rule.map_or(Wrong::Form, Wrong::Rule)),
    }
}

fn sbp(realisation: Realisation, settings: &[&str]) -> Parsed {
    Ok(Box::new(Sbp::new(realisation, BitChoice::parse(settings)?)))
}

fn known_forms() -> String {
    KNOWN.iter().map(|&(_, form, _)| form).collect::<Vec<_>>().join(", ")
}

/// The protections that a text such as `none`, `sbp=tmr:30` or `secded:reload+range-guard:row,clamp` names.
pub fn parse_protection(text: &str) -> Result<Combination, ParseError> {
    let text = text.trim();
    if text == NONE {
        return Ok(Combination::new(Vec::new()));
    }
    let stages = text.split('+').map(|part| parse_one(part.trim())).collect::<Result<Vec<_>, _>>()?;
    for (i, second) in stages.iter().enumerate() {
        for first in &stages[..i] {
            let reason = if first.name() == second.name() {
                "are the same"
            } else if first.place().is_some() && first.place() == second.place() {
                "act at one place"
            } else {
                continue;
            };
            let (first, second) = (first.name(), second.name());
            return Err(ParseError::Clash { text: text.to_owned(), first, second, reason });
        }
    }
    Ok(Combination::new(stages))
}

fn parse_one(text: &str) -> Result<Box<dyn Protection>, ParseError> {
    let (name, settings) = text.split_once(':').map_or((text, None), |(name, rest)| (name, Some(rest)));
    let &(_, form, parse) = KNOWN
        .iter()
        .find(|&&(known, _, _)| known == name)
        .ok_or_else(|| ParseError::Unknown(text.to_owned()))?;
    let settings: Vec<_> =
        settings.map_or_else(Vec::new, |settings| settings.split(',').map(str::trim).collect());
    parse(&settings).map_err(|wrong| match wrong {
        Wrong::Form => ParseError::Form { text: text.to_owned(), form },
        Wrong::Rule(rule) => ParseError::Rule { text: text.to_owned(), rule },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> String {
        parse_protection(text).map(|protection| protection.name()).unwrap()
    }

    fn error(text: &str) -> String {
        parse_protection(text).err().map(|error| error.to_string()).unwrap()
    }

    #[test]
    fn canonical_names_read_back() {
        for text in [
            "none",
            "sbp",
            "sbp:exponent",
            "sbp:30",
            "sbp:30,31",
            "sbp:28-31",
            "sbp=tmr:30",
            "sbp=sec",
            "sbp=parity:sign",
            "secded",
            "secded:zero",
            "secded:reload",
            "tmr",
            "mset",
            "constant-bits",
            "range-guard",
            "range-guard:row,clamp,margin=1.5",
            "clip:paper",
            "clip:artefact",
            "clip:activation,0..6",
            "clip:linear,profiled",
            "clip:activation,quantile=0.999",
            "zero:linear,quantile=1",
            "zero:activation,tuned",
            "zero:activation,-1..2.5",
            "ranger",
            "abft-gemm:reload",
            "abft-embedding:fallback",
            "abft-gemm:recompute+abft-embedding:reload",
            "range-guard+clip:paper",
            "row-checksum",
            "row-checksum:crc32,zero",
            "secded:reload+range-guard:row",
        ] {
            assert_eq!(name(text), text);
        }
    }

    #[test]
    fn settings_that_are_the_default_are_left_out_of_names() {
        assert_eq!(name("sbp:sign,exponent"), "sbp");
        assert_eq!(name("secded:pass"), "secded");
        assert_eq!(name("range-guard:tensor,zero,margin=1.0"), "range-guard");
        assert_eq!(name("row-checksum:sum,reload"), "row-checksum");
        assert_eq!(name(" tmr + range-guard: row, zero "), "tmr+range-guard:row");
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_value_and_rule() {
        assert!(
            error("shield").starts_with("protection \"shield\" is not known, there are: none, sbp[:BITS], ")
        );
        assert_eq!(error("tmr:3"), "protection \"tmr:3\" is not of the form tmr");
        assert_eq!(error("sbp:31-30"), "protection \"sbp:31-30\": bit range 31-30 runs backwards");
        assert_eq!(
            error("range-guard:margin=0.5"),
            "protection \"range-guard:margin=0.5\": margin 0.5 is not a finite number from 1 up, so clean words would change"
        );
        for margin in ["NaN", "inf", "-2"] {
            assert!(error(&format!("range-guard:margin={margin}")).contains("is not a finite number"));
        }
        assert!(error("range-guard:row,tensor").contains("settles again"));
        assert!(error("clip:linear,NaN..6").contains("numbers in order"));
        assert!(error("clip:linear,6..-6").contains("numbers in order"));
        assert!(error("clip:activation,0..0").contains("numbers in order"));
        assert!(error("clip:activation,..6").contains("not of the form"));
        for share in ["0", "1.5", "-0.1", "NaN", "inf"] {
            let error = error(&format!("clip:activation,quantile={share}"));
            assert!(error.ends_with("is outside (0, 1]"), "{error}");
        }
        assert!(error("clip:activation,quantile=").contains("not of the form"));
        assert!(error("clip:tuned").contains("not of the form"));
        assert!(error("zero:paper").contains("not of the form"));
        assert_eq!(
            error("clip:paper+zero:activation,0..3"),
            "protection \"clip:paper+zero:activation,0..3\": clip:paper and zero:activation,0..3 act at one place"
        );
        assert!(error("range-guard+range-guard:row").ends_with("act at one place"));
        assert!(error("none+sbp").contains("not known"));
        assert_eq!(error("tmr+tmr"), "protection \"tmr+tmr\": tmr and tmr are the same");
        assert!(error("").contains("not known"));
        assert!(error("sbp:").contains("selects no bits"));
    }
}
