//! Targets: which parameters, and which bits of their words, are exposed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::bits::BitsError;
use crate::{BitSelection, Component, Exposure, ParameterSpec};

/// What is exposed: a list of parameters by component or name, each with a choice of bits.
///
/// Written `all`, `embedding`, `dense` or a glob over names (`*` is any text, dots included, `?` any character), several
/// of them with commas between, each with bits after an `@`: `embedding@exponent`, `mlp.*.weight@23-31,fc.bias`. A name in double
/// quotes is that name alone, whatever it holds: `"a,b"@30`, `"all"`, `"layer.*"`; a quote in it is written twice.
///
/// # Example
/// ```
/// use radhard_fault::Target;
///
/// let target: Target = "embedding@30, mlp.*".parse()?;
/// assert_eq!(target.to_string(), "embedding@30,mlp.*");
/// # Ok::<(), radhard_fault::TargetParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Target {
    items: Vec<Item>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Item {
    selector: Selector,
    bits: BitSelection,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Selector {
    All,
    Embedding,
    Dense,
    Glob(String),
    /// A name as it stands; one that can't be written without quotes.
    Name(String),
}

/// What of a model is exposed besides its learnt parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expose {
    /// Learnt parameters only.
    #[default]
    Parameters,
    /// BatchNorm statistics too; counters of batches never.
    State,
}

/// Why a text is not a target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetParseError {
    /// Nothing between two commas, or nothing at all.
    #[error("target \"{0}\" has an empty item")]
    EmptyItem(String),
    /// Nothing before the `@`.
    #[error("target \"{0}\" has bits without a parameter before the @")]
    NoSelector(String),
    /// A quote that is not closed, or something other than bits after it.
    #[error(
        "target \"{target}\": after {read} comes {found}; a name in double quotes ends with one, and has a quote in it twice"
    )]
    Quote {
        /// The whole target.
        target: String,
        /// The part of the item that was read.
        read: String,
        /// The rest.
        found: String,
    },
    /// The bits after the `@` make no sense.
    #[error("target \"{target}\": {reason}")]
    Bits {
        /// The whole target.
        target: String,
        /// What is wrong with its bits.
        #[source]
        reason: BitsError,
    },
}

/// A name that no kind of exposure has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" can't be exposed, expected parameters or state")]
pub struct ExposeError(String);

/// Why a target does not fit a model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// An item of the target matches no parameter.
    #[error("target \"{item}\" matches no parameter {exposed}, there are: {names}", exposed = .expose.rule())]
    NoMatch {
        /// The item.
        item: String,
        /// What may be exposed.
        expose: Expose,
        /// The parameters there are.
        names: String,
    },
    /// An item names a part of a model whose parts are not known.
    #[error(
        "target \"{item}\" matches no parameter: the architecture is unknown, and with it which parameters are {item}; \
         a glob over names works, there are: {names}"
    )]
    UnknownParts {
        /// The item.
        item: String,
        /// The parameters there are.
        names: String,
    },
    /// The item matches parameters without elements only.
    #[error("target \"{item}\" exposes no bits: the parameters it matches are empty: {names}")]
    Empty {
        /// The item.
        item: String,
        /// The parameters that it matches.
        names: String,
    },
    /// The item matches parameters, but their formats have none of the bits.
    #[error("target \"{item}\" selects no bit of the parameters it matches, which have formats {formats}")]
    NoBits {
        /// The item.
        item: String,
        /// The formats of the matched parameters.
        formats: String,
    },
    /// Two parameters have the same name, so their draws would be the same.
    #[error("parameter \"{0}\" is there twice")]
    DuplicateName(String),
    /// Sites are counted exactly up to 2^53.
    #[error("parameter \"{name}\" has more than 2^53 bits")]
    TooLarge {
        /// The parameter.
        name: String,
    },
}

impl Target {
    /// Every learnt parameter, all bits.
    pub fn all() -> Self {
        Self { items: vec![Item { selector: Selector::All, bits: BitSelection::All }] }
    }

    /// The parameters and bits of a model that this target exposes.
    ///
    /// Errors: an item that matches nothing, or no bit, or empty parameters only; names there are twice; parameters beyond 2^53 bits.
    pub fn resolve(&self, specs: &[ParameterSpec], expose: Expose) -> Result<Exposure, TargetError> {
        let mut names: Vec<_> = specs.iter().map(|spec| spec.name.as_str()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(TargetError::DuplicateName(pair[0].to_owned()));
        }
        let groups: Vec<_> = specs.iter().map(std::slice::from_ref).collect();
        Exposure::new(specs, &self.masks(&groups, expose)?, self.to_string(), expose)
    }

    /// Whether an item selects a parameter by its name and its part of the model, whatever its format.
    pub fn names(&self, name: &str, component: Component, expose: Expose) -> bool {
        self.items.iter().any(|item| item.selects(name, component, expose))
    }

    /// The bits of each group's words that this target exposes: an item matches a group if it matches one of its specs, and bits
    /// are those of the first one's format.
    pub(crate) fn masks(&self, groups: &[&[ParameterSpec]], expose: Expose) -> Result<Vec<u64>, TargetError> {
        let specs = || groups.iter().copied().flatten();
        let mut masks = vec![0; groups.len()];
        for item in &self.items {
            let matched: Vec<_> = (0..groups.len())
                .filter(|&i| groups[i].iter().any(|spec| item.matches(spec, expose)))
                .collect();
            if matched.is_empty() {
                let names = list_names(specs());
                if item.needs_parts() && specs().all(|spec| spec.component == Component::Unknown) {
                    return Err(TargetError::UnknownParts { item: item.to_string(), names });
                }
                return Err(TargetError::NoMatch { item: item.to_string(), expose, names });
            }
            let matched_specs = || matched.iter().map(|&index| &groups[index][0]);
            let (mut bits, mut elements) = (0, 0);
            for (&index, spec) in matched.iter().zip(matched_specs()) {
                let mask = item.bits.mask(spec.format);
                masks[index] |= mask;
                bits |= mask;
                elements |= if mask == 0 { 0 } else { spec.elements() };
            }
            if bits == 0 {
                let mut formats: Vec<_> = matched_specs().map(|spec| spec.format.name()).collect();
                formats.sort_unstable();
                formats.dedup();
                return Err(TargetError::NoBits { item: item.to_string(), formats: formats.join(" ") });
            }
            if elements == 0 {
                return Err(TargetError::Empty {
                    item: item.to_string(),
                    names: list_names(matched_specs()),
                });
            }
        }
        Ok(masks)
    }
}

/// Names for an error message: all of a model's, or the first and how many more.
fn list_names<'a>(specs: impl Iterator<Item = &'a ParameterSpec>) -> String {
    const SHOWN: usize = 40;
    let mut names: Vec<_> = specs.map(|spec| spec.name.clone()).collect();
    if names.len() > SHOWN {
        let more = names.len() - SHOWN;
        names.truncate(SHOWN);
        names.push(format!("and {more} more"));
    }
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

impl Item {
    /// Whether it selects by the part of a model.
    fn needs_parts(&self) -> bool {
        matches!(self.selector, Selector::Embedding | Selector::Dense)
    }

    fn matches(&self, spec: &ParameterSpec, expose: Expose) -> bool {
        self.selects(&spec.name, spec.component, expose)
    }

    fn selects(&self, name: &str, component: Component, expose: Expose) -> bool {
        let never = name.rsplit('.').next() == Some("num_batches_tracked");
        let hidden = component == Component::State && expose == Expose::Parameters;
        let selected = match &self.selector {
            Selector::All => true,
            Selector::Embedding => component == Component::Embedding,
            // The statistics of a BatchNorm belong to a dense layer, so exposing state exposes them here too.
            Selector::Dense => matches!(component, Component::Dense | Component::State),
            Selector::Glob(pattern) => glob_matches(pattern, name),
            Selector::Name(this) => this == name,
        };
        selected && !hidden && !never
    }
}

/// Whether a name fits a pattern in which `*` is any text and `?` any character.
///
/// Greedy with one point to return to: the last star, so the work is at most pattern × name.
fn glob_matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<_>, Vec<_>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    let mut star = None;
    while n < name.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, n));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == name[n]) {
            p += 1;
            n += 1;
        } else if let Some((star_p, star_n)) = star {
            star = Some((star_p, star_n + 1));
            p = star_p + 1;
            n = star_n + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&character| character == '*')
}

impl FromStr for Target {
    type Err = TargetParseError;

    fn from_str(text: &str) -> Result<Self, TargetParseError> {
        let mut items = Vec::new();
        let mut rest = Some(text);
        while let Some(left) = rest {
            let (item, after) = Item::first_of(left, text)?;
            items.push(item);
            rest = after;
        }
        Ok(Self { items })
    }
}

impl Item {
    /// The first item of what is left of a target, and what follows its comma, if one does.
    fn first_of<'a>(left: &'a str, target: &str) -> Result<(Self, Option<&'a str>), TargetParseError> {
        let bits_of = |bits: &str| {
            let bits = bits.trim().parse();
            bits.map_err(|reason| TargetParseError::Bits { target: target.to_owned(), reason })
        };
        if let Some(quoted) = left.trim_start().strip_prefix('"') {
            let (name, behind) = quoted_name(quoted).ok_or_else(|| TargetParseError::Quote {
                target: target.to_owned(),
                read: left.trim().to_owned(),
                found: "no closing quote".to_owned(),
            })?;
            let (behind, after) =
                behind.split_once(',').map_or((behind, None), |(item, after)| (item, Some(after)));
            let bits = match behind.trim() {
                "" => BitSelection::All,
                behind => bits_of(behind.strip_prefix('@').ok_or_else(|| TargetParseError::Quote {
                    target: target.to_owned(),
                    read: format!("{name:?}"),
                    found: format!("\"{behind}\""),
                })?)?,
            };
            if name.is_empty() {
                return Err(TargetParseError::NoSelector(target.to_owned()));
            }
            let selector = if needs_quotes(&name) { Selector::Name(name) } else { Selector::Glob(name) };
            return Ok((Self { selector, bits }, after));
        }
        let (item, after) = left.split_once(',').map_or((left, None), |(item, after)| (item, Some(after)));
        let (selector, bits) = match item.trim().split_once('@') {
            Some((selector, bits)) => (selector.trim(), bits_of(bits)?),
            None => (item.trim(), BitSelection::All),
        };
        let selector = match selector {
            "" if item.trim().is_empty() => return Err(TargetParseError::EmptyItem(target.to_owned())),
            "" => return Err(TargetParseError::NoSelector(target.to_owned())),
            "all" => Selector::All,
            "embedding" => Selector::Embedding,
            "dense" => Selector::Dense,
            pattern => Selector::Glob(pattern.to_owned()),
        };
        Ok((Self { selector, bits }, after))
    }
}

/// A name up to its closing quote, and what follows; quotes that stand twice are one of the name's.
fn quoted_name(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('"')?;
        name.push_str(part);
        match after.strip_prefix('"') {
            Some(more) => {
                name.push('"');
                rest = more;
            }
            None => return Some((name, after)),
        }
    }
}

/// Whether a name would mean something else, or several things, if it stood without quotes.
fn needs_quotes(name: &str) -> bool {
    matches!(name, "" | "all" | "embedding" | "dense")
        || name.contains([',', '@', '*', '?'])
        || name.starts_with('"')
        || name.trim() != name
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.selector {
            Selector::All => f.write_str("all")?,
            Selector::Embedding => f.write_str("embedding")?,
            Selector::Dense => f.write_str("dense")?,
            Selector::Glob(pattern) => f.write_str(pattern)?,
            Selector::Name(name) => write!(f, "\"{}\"", name.replace('"', "\"\""))?,
        }
        if self.bits == BitSelection::All { Ok(()) } else { write!(f, "@{}", self.bits) }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, item) in self.items.iter().enumerate() {
            write!(f, "{}{item}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl TryFrom<String> for Target {
    type Error = TargetParseError;

    fn try_from(text: String) -> Result<Self, TargetParseError> {
        text.parse()
    }
}

impl From<Target> for String {
    fn from(target: Target) -> Self {
        target.to_string()
    }
}

impl Expose {
    const fn rule(self) -> &'static str {
        match self {
            Self::Parameters => "that is exposed (state is not, unless asked for)",
            Self::State => "that may be exposed (counters of batches never are)",
        }
    }
}

impl fmt::Display for Expose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Parameters => "parameters",
            Self::State => "state",
        })
    }
}

impl FromStr for Expose {
    type Err = ExposeError;

    fn from_str(text: &str) -> Result<Self, ExposeError> {
        match text {
            "parameters" => Ok(Self::Parameters),
            "state" => Ok(Self::State),
            _ => Err(ExposeError(text.to_owned())),
        }
    }
}
