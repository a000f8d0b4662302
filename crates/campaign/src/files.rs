//! Injection into files: any safetensors file, without loading it as a model.

mod error;
mod in_place;
mod marked_copy;
#[cfg(test)]
mod power_loss;
mod provenance;
mod words;

use std::io;
use std::path::{Path, PathBuf};

use radhard_fault::{
    ApplyError, BitErrorRate, Chip, Component, Coverage, DrawnMap, ErrorMap, ErrorModel, Expose, Exposure,
    PassedOver, SafetensorsBytes, SafetensorsLayout, Target, TargetError, sha256_hex,
};
use radhard_memory::{Mapped, MappedMut, Positioned, write_atomically};
use radhard_models::{Config, components};
use radhard_protect::{Combination, Events, ReadWork, Subject};
use serde::Serialize;

use self::error::At;
use self::in_place::{OpenModel, Side};
use self::marked_copy::{Change, Header};
use self::provenance::{SideFile, journal_path, side_path};
use self::words::{ChangedWords, State, read_words};
use crate::lend;

pub use self::error::{FileCause, FileError, listed};
pub use self::provenance::{Mark, MarkError, Provenance};

/// What is to be injected.
pub struct Request<'a> {
    /// Where faults may strike.
    pub target: &'a Target,
    /// Whether BatchNorm statistics are exposed.
    pub expose: Expose,
    /// How bits go wrong.
    pub error_model: &'a dyn ErrorModel,
    /// At which rate, for error models that take one.
    pub rate: Option<BitErrorRate>,
    /// What protects the stored words.
    pub protection: &'a Combination,
    /// Seed of the campaign.
    pub seed: u64,
    /// Chip of that seed.
    pub chip: u64,
    /// Whether a tensor that the target names but can't reach is an error.
    pub strict: bool,
}

/// Where an injection goes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outputs<'a> {
    /// The faulty copy to write.
    pub out: Option<&'a Path>,
    /// Where the error map is written; where the model is changed in place, there must be one.
    pub map: Option<&'a Path>,
    /// Whether the model itself is changed.
    pub in_place: bool,
}

/// What an injection, an apply or an undo did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Injection {
    /// Bits that changed; those of words that a protection zeroed are not among them.
    pub flips: u64,
    /// Words that changed.
    pub words: u64,
    /// Of these, zeroed by a protection.
    pub zeroed: u64,
    /// Of these, found as they were to become: a change that was stopped before was finished.
    pub already: u64,
    /// Bits that could have been hit.
    pub exposed_bits: u64,
    /// The target, in its canonical form.
    pub target: String,
    /// The bit error rate; none where the error model has none.
    pub ber: Option<f64>,
    /// The tensors that the target reached and passed over; none where the error map does not say.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
    /// What a protection did; none without one.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub protected: Option<Protected>,
}

/// What a protection did to an injection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Protected {
    /// Its canonical name.
    pub protection: String,
    /// Bits that changed in memory, check bits and copies included, before it read them.
    pub memory_flips: u64,
    /// Words, codewords or rows that it found bad.
    pub detected: u64,
    /// Of these, restored.
    pub restored: u64,
}

/// The source of the component of each tensor of a file: the architecture in its metadata, where there is one.
pub fn component_of(bytes: &[u8]) -> impl Fn(&str) -> Component + use<> {
    let known = Config::of_file(bytes).and_then(|config| components(&config).ok());
    move |name| {
        let found = known.as_ref().and_then(|known| known.iter().find(|(of, _)| of == name));
        found.map_or(Component::Unknown, |(_, component)| lend::component(*component))
    }
}

/// A safetensors file that is open, with the layout of its tensors.
struct Opened {
    file: Positioned,
    layout: SafetensorsLayout,
}

impl Opened {
    /// Opens a file; to be written, it is locked against other processes first.
    fn new(path: &Path, writable: bool) -> Result<Self, FileCause> {
        let file = if writable { Positioned::open_writable(path)? } else { Positioned::open(path)? };
        if writable {
            file.lock()?;
            if !file.is_still_there() {
                return Err(FileCause::Replaced);
            }
        }
        let bytes = Mapped::open(path)?;
        bytes.scattered();
        let layout = SafetensorsLayout::of(&bytes, component_of(&bytes))?;
        Ok(Self { file, layout })
    }

    fn read(&self, index: usize, elements: &[u64]) -> Result<Vec<u64>, FileCause> {
        Ok(read_words(self.file.file(), &self.layout, index, elements)?)
    }

    fn size(&self) -> Result<u64, FileCause> {
        Ok(self.file.file().metadata()?.len())
    }

    /// The fault-free model as a mark names it: by the SHA-256 of its tensors where it states one, else by its file's name.
    fn golden(&self, path: &Path) -> String {
        let header = self.layout.metadata().get(MODEL_KEY);
        let header = header.and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
        let stated = header.and_then(|header| header.get("sha256")?.as_str().map(ToOwned::to_owned));
        stated.unwrap_or_else(|| path.file_name().unwrap_or_default().to_string_lossy().into_owned())
    }
}

/// The metadata key of a model, whose object may state the SHA-256 of its tensors.
const MODEL_KEY: &str = "radhard.model";

/// A chip drawn on a file.
struct Drawn {
    errors: ErrorMap,
    exposed_bits: u64,
    protected: Option<Protected>,
    /// The file as a protection stores it, where that is otherwise.
    rewritten: Option<SafetensorsBytes<MappedMut>>,
}

/// Draws a chip on a model file; writes the error map and the faulty copy, or changes the model itself.
///
/// Under a protection they hold what readers get of what the chip did to the protected memory.
///
/// # Errors
/// If the file or the request can't be used, or the file holds faults already; nothing is written then.
pub fn inject(model: &Path, outputs: Outputs<'_>, request: &Request<'_>) -> Result<Injection, FileError> {
    let combination = request.protection;
    if (outputs.map.is_some() || outputs.in_place) && combination.rewrites() {
        return Err(FileCause::MapOfRewritten { protection: combination.name() }.at(model));
    }
    let opened = Opened::new(model, outputs.in_place).at(model)?;
    if let Some(mark) = Mark::of(model).at(model)? {
        return Err(FileCause::Marked { mark: Box::new(mark) }.at(model));
    }
    let (target, coverage) = reached(request, &opened.layout).at(model)?;
    let Drawn { mut errors, exposed_bits, protected, rewritten } = if combination.is_none() {
        draw(request, &target, &opened).at(model)?
    } else {
        draw_protected(request, &target, model).at(model)?
    };
    errors.origin.protection = protected.as_ref().map(|of| of.protection.clone());
    errors.origin.coverage = Some(coverage);
    let map_bytes = errors.to_bytes().at(model)?;
    let provenance = Provenance::of_map(&errors, sha256_hex(&map_bytes), opened.golden(model));
    let words = ChangedWords::new(&errors, &opened.layout).at(model)?;
    match (outputs.map, outputs.in_place) {
        (None, true) => return Err(FileCause::InPlaceWithoutMap.at(model)),
        (Some(map), true) => {
            let place = journal_place(map).at(map)?;
            in_place::put_whole(&OpenModel(&opened.file), &place, &map_bytes).at(map)?;
            change_in_place(
                model,
                &opened,
                &words,
                &SideFile::new(provenance.clone(), opened.size().at(model)?, map, None),
            )
            .at(model)?;
        }
        (Some(map), false) => {
            write_atomically(map, |writer| io::Write::write_all(writer, &map_bytes)).at(map)?;
        }
        (None, false) => {}
    }
    if let Some(out) = outputs.out {
        let header = if errors.words() > 0 || rewritten.is_some() {
            Header::Marked(&provenance)
        } else {
            Header::Plain(marked_copy::header_of(opened.file.file(), &opened.layout).at(model)?)
        };
        let data = rewritten.as_ref().map(|stored| &stored.bytes()[opened.layout.header().end..]);
        let change = Change { data, words: &words, state: State::Injected };
        marked_copy::write(opened.file.file(), &opened.layout, out, &header, Some(&change)).at(out)?;
    }
    Ok(Injection { exposed_bits, protected, ..injection(&errors, 0) })
}

/// The words that a request exposes in a file, and the tensors that its target passes over.
fn reached(request: &Request<'_>, layout: &SafetensorsLayout) -> Result<(Exposure, Coverage), FileCause> {
    let target = || request.target.to_string();
    let exposure = request.target.resolve(layout.specs(), request.expose);
    if let Err(TargetError::NoMatch { .. } | TargetError::UnknownParts { .. }) = &exposure {
        let tensors = PassedOver::foreign(request.target, request.expose, layout.foreign());
        if !tensors.is_empty() {
            return Err(FileCause::ForeignAlone { target: target(), tensors });
        }
    }
    let exposure = exposure?;
    let coverage = Coverage::of(request.target, request.expose, &exposure, layout.foreign());
    if request.strict && !coverage.is_whole() {
        return Err(FileCause::PassedOver { target: target(), tensors: coverage.passed_over });
    }
    Ok((exposure, coverage))
}

/// Draws a chip on unprotected words, of which only those that are hit are read.
fn draw(request: &Request<'_>, target: &Exposure, opened: &Opened) -> Result<Drawn, FileCause> {
    let mut drawn = DrawnMap::new();
    let chip = Chip::new(request.seed, request.chip);
    request.error_model.draw(chip, target, request.rate, &mut drawn)?;
    let errors = drawn.resolve_with(|index, elements| opened.read(index, elements))?;
    Ok(Drawn { errors, exposed_bits: target.bits(), protected: None, rewritten: None })
}

/// Draws a chip on protected memory, and takes what readers get of it.
fn draw_protected(request: &Request<'_>, target: &Exposure, model: &Path) -> Result<Drawn, FileCause> {
    let file = MappedMut::open_private(model)?;
    file.scattered();
    let component = component_of(&file);
    let mut lent = SafetensorsBytes::new(file, component)?;
    let combination = request.protection;
    // The map is private: the file keeps its words.
    combination.rewrite(&mut lent);
    let looked_up = vec![0.0; lent.specs().len()];
    let subject = Subject { model: None, parameters: &lent, calibration: None, looked_up: &looked_up };
    // Protections of activations have no words to show in a file, and say so for want of a model.
    let protected = combination.prepare(&subject)?;
    let exposure = protected.exposure(target)?;
    let (mut drawn, mut read) = (DrawnMap::new(), DrawnMap::new());
    let chip = Chip::new(request.seed, request.chip);
    request.error_model.draw(chip, exposure.memory(), request.rate, &mut drawn)?;
    let memory_flips = protected.flips(&exposure, &lent, &drawn);
    let mut events = Events::default();
    if protected.reads() {
        events = protected.read(&exposure, &lent, &drawn, &mut ReadWork::default(), &mut read)?;
    } else {
        read = drawn;
    }
    let errors = read.resolve(&lent)?;
    let of_protection = Protected {
        protection: combination.name(),
        memory_flips,
        detected: events.detected,
        restored: events.corrected + events.reloads,
    };
    let exposed_bits = exposure.memory().bits();
    let rewritten = combination.rewrites().then_some(lent);
    Ok(Drawn { errors, exposed_bits, protected: Some(of_protection), rewritten })
}

/// Where a map that a change is undone by is written: a regular file, at the end of any links.
fn journal_place(map: &Path) -> Result<PathBuf, FileCause> {
    if std::fs::metadata(map).is_ok_and(|there| !there.is_file()) {
        return Err(FileCause::MapIsNoFile);
    }
    Ok(radhard_memory::followed(map)?)
}

/// Makes the words of a map injected in a file without a mark.
fn change_in_place(
    model: &Path,
    opened: &Opened,
    words: &ChangedWords<'_>,
    side: &SideFile,
) -> Result<u64, FileCause> {
    let path = side_path(model);
    let disk = OpenModel(&opened.file);
    let survey = in_place::apply(&disk, words, Side { path: &path, there: false }, &side.to_bytes()?)?;
    Ok(survey.injected)
}

/// An error map that was given, and what its file is.
struct GivenMap {
    errors: ErrorMap,
    sha256: String,
    /// The SHA-256 of the map of another model that was given, where this one has the words of the model at hand.
    rebased_from: Option<String>,
    /// The file that has the words as they were.
    path: PathBuf,
}

impl GivenMap {
    fn read(path: &Path) -> Result<Self, FileCause> {
        let bytes = Mapped::open(path)?;
        let errors = ErrorMap::from_bytes(&bytes)?;
        Ok(Self { errors, sha256: sha256_hex(&bytes), rebased_from: None, path: path.to_owned() })
    }

    /// This map, or where the model was changed by it rebased, the one with the words of the model, if the mark is of its change.
    fn of_mark(self, mark: &Mark) -> Result<Option<Self>, FileCause> {
        let provenance = mark.provenance();
        if let Mark::InPlace(side, file) = mark
            && file.rebased_from.as_ref() == Some(&self.sha256)
        {
            let journal = Self::read(&journal_path(side))?;
            if journal.sha256 != provenance.map_sha256 {
                return Err(FileCause::OtherJournal { path: journal.path });
            }
            return Ok(Some(Self { rebased_from: Some(self.sha256), ..journal }));
        }
        Ok(provenance.is_of(&self.errors, &self.sha256).then_some(self))
    }

    /// The same flips on the words of the file at hand.
    fn rebased(self, opened: &Opened) -> Result<Self, FileCause> {
        let errors = self
            .errors
            .rebased_with(opened.layout.specs(), |index, elements| opened.read(index, elements))?;
        let sha256 = sha256_hex(&errors.to_bytes()?);
        Ok(Self { errors, sha256, rebased_from: Some(self.sha256), path: self.path })
    }

    /// Of a faulty copy that this map made when it was rebased: the map with its words.
    fn rebased_back(&self, opened: &Opened, provenance: &Provenance) -> Result<Option<ErrorMap>, FileCause> {
        if self.sha256 == provenance.map_sha256 {
            return Ok(None);
        }
        let injected =
            self.errors.rebased_with(opened.layout.specs(), |index, elements| opened.read(index, elements));
        let Ok(map) = injected.map(|map: ErrorMap| map.inverse()) else { return Ok(None) };
        Ok((sha256_hex(&map.to_bytes()?) == provenance.map_sha256).then_some(map))
    }
}

/// Applies an error map to a model file: in place, or to a copy.
///
/// With `rebase`, words may differ from those the map was drawn on: flips flip what is there. Maps that wrote words are refused. A
/// change by the same map that was stopped is finished.
///
/// # Errors
/// If the map does not fit the file, is applied to it already, or the file holds other faults; nothing is changed then.
pub fn apply(model: &Path, map: &Path, out: Option<&Path>, rebase: bool) -> Result<Injection, FileError> {
    let given = GivenMap::read(map).at(map)?;
    let opened = Opened::new(model, out.is_none()).at(model)?;
    let mark = Mark::of(model).at(model)?;
    let there = matches!(mark, Some(Mark::InPlace(..)));
    let given = match mark {
        Some(mark) => match given.of_mark(&mark).at(model)? {
            Some(given) if there => given,
            Some(given) => {
                return Err(
                    FileCause::from(ApplyError::AppliedAlready { words: given.errors.words() }).at(model)
                );
            }
            None => return Err(FileCause::Marked { mark: Box::new(mark) }.at(model)),
        },
        None if rebase => given.rebased(&opened).at(model)?,
        None => given,
    };
    let words = ChangedWords::new(&given.errors, &opened.layout).at(model)?;
    let provenance = Provenance::of_map(&given.errors, given.sha256.clone(), opened.golden(model));
    let already = match out {
        Some(out) => {
            let survey = words.survey(opened.file.file()).at(model)?;
            if survey.all(State::Injected) {
                return Err(FileCause::from(ApplyError::AppliedAlready { words: survey.injected }).at(model));
            }
            let header = Header::Marked(&provenance);
            let change = Change { data: None, words: &words, state: State::Injected };
            marked_copy::write(opened.file.file(), &opened.layout, out, &header, Some(&change)).at(out)?;
            survey.injected
        }
        None => apply_in_place(model, &opened, &given, &words, (provenance, there))?,
    };
    Ok(injection(&given.errors, already))
}

/// Makes the words of a map injected in a file, to be taken back by the same map.
fn apply_in_place(
    model: &Path,
    opened: &Opened,
    given: &GivenMap,
    words: &ChangedWords<'_>,
    (provenance, there): (Provenance, bool),
) -> Result<u64, FileError> {
    let disk = OpenModel(&opened.file);
    let path = side_path(model);
    if given.rebased_from.is_some() && !there {
        let journal = journal_path(&path);
        let bytes = given.errors.to_bytes().at(&given.path)?;
        in_place::put_whole(&disk, &journal, &bytes).at(&journal)?;
    } else {
        in_place::settle(&disk, &given.path).at(&given.path)?;
    }
    let side = SideFile::new(provenance, opened.size().at(model)?, &given.path, given.rebased_from.clone());
    let survey =
        in_place::apply(&disk, words, Side { path: &path, there }, &side.to_bytes().at(&path)?).at(model)?;
    Ok(survey.injected)
}

/// Undoes an error map on a model file: in place, or in a copy. A change that was stopped is taken back.
///
/// # Errors
/// If the map does not fit the file, is not applied to it, or the file holds other faults; nothing is changed then.
pub fn undo(model: &Path, map: &Path, out: Option<&Path>) -> Result<Injection, FileError> {
    let given = GivenMap::read(map).at(map)?;
    let opened = Opened::new(model, out.is_none()).at(model)?;
    let mark = Mark::of(model).at(model)?;
    let mut given = match &mark {
        Some(mark) => match given.of_mark(mark).at(model)? {
            Some(given) => given,
            None => return Err(FileCause::Marked { mark: Box::new(mark.clone()) }.at(model)),
        },
        None => given,
    };
    if let Some(Mark::Copy(provenance)) = &mark
        && let Some(errors) = given.rebased_back(&opened, provenance).at(model)?
    {
        given.errors = errors;
    }
    let words = ChangedWords::new(&given.errors, &opened.layout).at(model)?;
    if let (None, None | Some(Mark::InPlace(..))) = (out, &mark) {
        let side = mark.is_some().then(|| side_path(model));
        let survey = in_place::undo(&OpenModel(&opened.file), &words, side.as_deref()).at(model)?;
        if let (Some(side), Some(_)) = (&side, &given.rebased_from) {
            // A file that can't be removed does no harm: the side file that names it is gone.
            let _ = std::fs::remove_file(journal_path(side));
        }
        return Ok(injection(&given.errors, survey.old));
    }
    let survey = words.survey(opened.file.file()).at(model)?;
    if survey.all(State::Old) && mark.is_none() {
        return Err(FileCause::from(ApplyError::NotApplied { words: survey.old }).at(model));
    }
    let header = match &mark {
        Some(Mark::Copy(_)) => marked_copy::original_header(&opened.layout),
        _ => marked_copy::header_of(opened.file.file(), &opened.layout).map_err(FileCause::from),
    };
    let header = Header::Plain(header.at(model)?);
    // In place of a link, the file that it leads to is replaced.
    let replaced = std::fs::canonicalize(model).at(model)?;
    let out = out.unwrap_or(&replaced);
    let change = Change { data: None, words: &words, state: State::Old };
    marked_copy::write(opened.file.file(), &opened.layout, out, &header, Some(&change)).at(out)?;
    Ok(injection(&given.errors, survey.old))
}

/// Writes a model that was made of a faulty one, so that it says so from the moment it is there.
///
/// # Errors
/// If `save` can't write it, or the marked file can't be written; whatever was there stays.
pub fn write_marked(
    out: &Path,
    provenance: &Provenance,
    save: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<(), FileError> {
    let plain = in_place::temporary(out);
    let written = save(&plain).map_err(FileCause::from).and_then(|()| {
        let opened = Opened::new(&plain, false)?;
        let header = marked_copy::derived_header(opened.file.file(), &opened.layout, provenance)?;
        marked_copy::write(opened.file.file(), &opened.layout, out, &Header::Plain(header), None)
    });
    // Nothing can be done about a temporary file that can't be removed.
    let _ = std::fs::remove_file(&plain);
    written.at(out)
}

fn injection(errors: &ErrorMap, already: u64) -> Injection {
    Injection {
        flips: errors.flips(),
        words: errors.words(),
        zeroed: errors.zeroed(),
        already,
        exposed_bits: errors.origin.exposed_bits,
        target: errors.origin.target.clone(),
        ber: errors.origin.rate.map(BitErrorRate::get),
        coverage: errors.origin.coverage.clone(),
        protected: None,
    }
}
