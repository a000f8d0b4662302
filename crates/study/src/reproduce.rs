//! One part of the paper at a time, or all of them.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use radhard_data::DataSet;
use radhard_report::Summary;

use crate::answers::{Answer, answers};
use crate::artefact::WAYS;
use crate::audience::Audience;
use crate::campaigns::{Campaign, DUMMY_RATES, Needs, PAPER_DUMMY_RATES};
use crate::claim::Claim;
use crate::claims::claims;
use crate::figures::{Made, curves, heat_maps, recovery};
use crate::findings::Findings;
use crate::injection::Injection;
use crate::outputs::Outputs;
use crate::scale::Scale;
use crate::sets::{SETS, grouped};
use crate::study::{DIRECTORIES, SEED, Study, StudyError};
use crate::training::Trained;

/// A part of the paper that can be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Table 1: the grid of dummy models.
    Table1,
    /// Table 2: the models and their fault-free AUCs.
    Table2,
    /// Figure 4: dummy models of depth 1.
    Fig4,
    /// Figure 5: dummy models of depth 2.
    Fig5,
    /// Figure 6: dummy models of depth 2 with denser sparse input.
    Fig6,
    /// Figure 7: AUC under faults in all parameters.
    Fig7,
    /// Figure 8: AUC under faults in the tables.
    Fig8,
    /// Figure 9: AUC under faults in the networks.
    Fig9,
    /// Figure 10: protections.
    Fig10,
    /// The claims, with verdicts.
    Claims,
    /// Everything.
    All,
}

impl Part {
    /// Every part with its word.
    pub const WORDS: [(Self, &'static str); 11] = [
        (Self::Table1, "table1"),
        (Self::Table2, "table2"),
        (Self::Fig4, "fig4"),
        (Self::Fig5, "fig5"),
        (Self::Fig6, "fig6"),
        (Self::Fig7, "fig7"),
        (Self::Fig8, "fig8"),
        (Self::Fig9, "fig9"),
        (Self::Fig10, "fig10"),
        (Self::Claims, "claims"),
        (Self::All, "all"),
    ];

    fn covers(self, other: Self) -> bool {
        self == other || self == Self::All
    }

    /// The campaigns that it shows, without those whose rates follow from the grid and those of further seeds.
    fn campaigns(self, scale: &Scale) -> Vec<Campaign> {
        match self {
            Self::Table1 | Self::Table2 => Vec::new(),
            Self::Fig4 | Self::Fig5 | Self::Fig6 => {
                vec![Campaign::dummies(scale), Campaign::dummy_weights(scale)]
            }
            Self::Fig7 | Self::Fig8 | Self::Fig9 => vec![Campaign::grid(scale)],
            Self::Fig10 => vec![Campaign::grid(scale), Campaign::protections(scale)],
            Self::Claims | Self::All => {
                let mut campaigns = vec![
                    Campaign::dummies(scale),
                    Campaign::dummy_weights(scale),
                    Campaign::inputs(scale),
                    Campaign::grid(scale),
                    Campaign::protections(scale),
                    Campaign::checksums(scale),
                ];
                campaigns.extend(scale.chosen().map(|set| Campaign::profile(scale, set)));
                campaigns.extend(scale.chosen().map(|set| Campaign::profile_of_several(scale, set)));
                if scale.sets[0] {
                    campaigns.extend([
                        Campaign::permanent(scale),
                        Campaign::transient(scale),
                        Campaign::detection(scale),
                    ]);
                }
                campaigns
            }
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Self::WORDS.into_iter().find(|(part, _)| part == self).map_or("", |(_, word)| word);
        f.pad(word)
    }
}

/// A word that names no part.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no part of the paper; there are table1, table2, fig4 … fig10, claims, all")]
pub struct UnknownPart(String);

impl FromStr for Part {
    type Err = UnknownPart;

    fn from_str(text: &str) -> Result<Self, UnknownPart> {
        let found = Self::WORDS.into_iter().find(|(_, word)| *word == text);
        found.map(|(part, _)| part).ok_or_else(|| UnknownPart(text.to_owned()))
    }
}

/// What was repeated.
#[derive(Debug, Default)]
pub struct Reproduced {
    /// The tables as text.
    pub tables: Vec<String>,
    /// The claims, where they were asked for.
    pub claims: Vec<Claim>,
    /// The research questions, answered from them.
    pub answers: Vec<Answer>,
    /// Whether any data are stand-ins.
    pub stand_in: bool,
    /// Every file written.
    pub written: Vec<PathBuf>,
}

/// Repeats a part of the paper, with all that it needs; what is there already is not made again.
///
/// `None` where the audience ended it: the same call continues.
pub fn reproduce(
    study: &Study<'_>,
    part: Part,
    audience: &dyn Audience,
) -> Result<Option<Reproduced>, StudyError> {
    study.begin()?;
    let mut outputs = Outputs::new(&study.out.join(DIRECTORIES[2]))?;
    let mut reproduced = Reproduced::default();
    let widths = study.scale.dummy_widths;
    if part.covers(Part::Table1) {
        reproduced.tables.push(outputs.table1(widths)?);
    }
    let mut trained = Vec::new();
    if part.covers(Part::Table2) || part == Part::Claims {
        let Some(models) = study.models(audience)? else { return Ok(None) };
        reproduced.stand_in |= models.iter().any(|model| model.stand_in);
        trained = models;
    }
    let of_models = part.campaigns(&study.scale).iter().any(|campaign| campaign.needs == Needs::Models);
    if of_models && trained.is_empty() {
        let Some(models) = study.models(audience)? else { return Ok(None) };
        trained = models;
    }
    let made = study.made(&trained)?;
    if part.covers(Part::Table2) {
        reproduced.tables.push(outputs.table2(&trained, &study.scale, &made)?);
    }
    let mut findings = Findings::default();
    for campaign in part.campaigns(&study.scale) {
        if study.run(&campaign, audience)?.is_none() {
            return Ok(None);
        }
        findings.take_from(study, &campaign)?;
    }
    if part.covers(Part::Claims) && study.steep(&mut findings, audience)?.is_none() {
        return Ok(None);
    }
    for (figure, depth, sparsity) in [(Part::Fig4, 1, 0.001), (Part::Fig5, 2, 0.001), (Part::Fig6, 2, 0.01)] {
        if part.covers(figure) {
            let title = format!("Dummy models: depth {depth}, sparsity {sparsity}");
            let of = (depth, sparsity);
            let (paper, beyond) = (&PAPER_DUMMY_RATES, &DUMMY_RATES[PAPER_DUMMY_RATES.len()..]);
            outputs.heat(&figure.to_string(), &heat_maps(&findings, of, widths, paper, &title))?;
            let title = format!("{title}: rates above the paper's");
            outputs.heat(&format!("{figure}-beyond"), &heat_maps(&findings, of, widths, beyond, &title))?;
        }
    }
    for (figure, target, what) in [
        (Part::Fig7, "all", "all parameters"),
        (Part::Fig8, "embedding", "the embedding tables"),
        (Part::Fig9, "dense", "the networks"),
    ] {
        if part.covers(figure) {
            let title = format!("AUC against bit error rate, faults in {what}");
            outputs.sheet(&figure.to_string(), &curves(&findings, target, &title, &made))?;
        }
    }
    if part.covers(Part::Fig10) {
        for place in study.scale.chosen() {
            let (set, caption) = (&SETS[place], &made.captions[place]);
            let title = format!("Protections on {caption}, the same chips");
            let sheet = recovery(&findings, place, &["clip:paper", "sbp"], &title, &made);
            outputs.sheet(&format!("{}-{}", Part::Fig10, set.name), &sheet)?;
            let title = format!("What else can be built, on {caption}, the same chips");
            let sheet = recovery(&findings, place, &["sbp=tmr", "range-guard"], &title, &made);
            outputs.sheet(&format!("{}-{}-beyond", Part::Fig10, set.name), &sheet)?;
        }
    }
    if part.covers(Part::Claims) {
        // Figures show the first seed; claims count the chips of all.
        if study.further_seeds(&mut findings, audience)?.is_none() {
            return Ok(None);
        }
        findings.leave_out(study.partial(&trained));
        if study.costs(audience)?.is_none() {
            return Ok(None);
        }
        let mut clock = study.clock();
        if clock.injection.is_none() {
            audience.stage("timing injections into 19 million parameters");
            clock.injection = Some(Injection::measured()?);
            study.keep(&clock)?;
        }
        reproduced.claims = claims(&findings, &trained, &study.scale, &clock);
        reproduced.answers = answers(&reproduced.claims);
        reproduced.tables.push(outputs.claims(&reproduced.claims, &reproduced.answers)?);
        reproduced.tables.push(outputs.times(&clock, &reproduced.claims)?);
    }
    reproduced.stand_in |= SETS.iter().any(|set| findings.stand_in(set.name));
    if part == Part::All {
        let title = "The paper's tables, figures and claims";
        let summary = summary(study, part)?;
        outputs.page("paper", title, (study.scale.name, reproduced.stand_in), summary.as_ref())?;
    }
    reproduced.written = outputs.written().to_vec();
    Ok(Some(reproduced))
}

impl Study<'_> {
    /// The counted cells on the chips of further seeds; `None` where the audience ended it.
    fn further_seeds(
        &self,
        findings: &mut Findings,
        audience: &dyn Audience,
    ) -> Result<Option<()>, StudyError> {
        for set in self.scale.chosen() {
            for place in 1..self.scale.seeds[set] {
                let seed = SEED + place;
                let campaign = Campaign::another_seed(&self.scale, set, seed);
                if self.run(&campaign, audience)?.is_none() {
                    return Ok(None);
                }
                findings.take_seed(self, &campaign, place)?;
            }
        }
        Ok(Some(()))
    }

    /// Captions on the data and on the models.
    fn made(&self, trained: &[Trained]) -> Result<Made, StudyError> {
        let mut made = Made::default();
        for place in self.scale.chosen() {
            let path = self.data(SETS[place].name);
            if path.exists() {
                let data = DataSet::open(&path).map_err(|source| StudyError::Data { path, source })?;
                made.captions[place] = SETS[place].caption(data.meta());
            }
        }
        let of_sets: Vec<String> = self
            .scale
            .chosen()
            .filter_map(|place| {
                let set = &SETS[place];
                let of_set = || trained.iter().filter(|one| one.set == set.name);
                let (least, most) =
                    (of_set().map(|one| one.epochs).min()?, of_set().map(|one| one.epochs).max()?);
                let one = of_set().next()?;
                let epochs = if least == most { least.to_string() } else { format!("{least} to {most}") };
                Some(format!(
                    "{}: {} rows, {epochs} of at most {} epochs",
                    set.title,
                    grouped(one.rows),
                    one.epochs_at_most
                ))
            })
            .collect();
        if !of_sets.is_empty() {
            made.note = format!("Models trained on {} ({} study)", of_sets.join("; "), self.scale.name);
        }
        Ok(made)
    }

    /// The names of the data sets that are a part of a real file.
    fn partial(&self, trained: &[Trained]) -> Vec<&'static str> {
        self.scale
            .chosen()
            .map(|place| SETS[place].name)
            .filter(|name| trained.iter().any(|one| one.set == *name && one.partial))
            .collect()
    }
}

/// What the campaigns of the five models say together; none where none was run.
fn summary(study: &Study<'_>, part: Part) -> Result<Option<Summary>, StudyError> {
    let campaigns = part.campaigns(&study.scale);
    let steep = study
        .scale
        .chosen()
        .flat_map(|set| ["embedding", "dense"].map(|target| Campaign::steep(&study.scale, set, target, &[])));
    let mut stores = Vec::new();
    for campaign in campaigns.into_iter().chain(steep) {
        // The others have targets and error models of their own, which the page's controls would list.
        let shown = matches!(campaign.name.as_str(), "grid" | "protections" | "checksums");
        if shown || campaign.name.starts_with("steep-") {
            stores.extend(study.recorded(&campaign)?);
        }
    }
    let Some((first, others)) = stores.split_first() else { return Ok(None) };
    Ok(Some(Summary::of_all(first, others)?.untimed()))
}

/// Makes the released artefact's ways that change a part of the paper again, each beside ours on the same chips.
///
/// `None` where the audience ended it: the same call continues.
pub fn reproduce_as_artefact(
    study: &Study<'_>,
    part: Part,
    audience: &dyn Audience,
) -> Result<Option<Reproduced>, StudyError> {
    study.begin()?;
    let mut outputs = Outputs::new(&study.out.join(DIRECTORIES[2]))?;
    let mut ways = Vec::new();
    for way in WAYS.iter().filter(|way| way.changes(part)) {
        let Some(shown) = way.shown(study, audience)? else { return Ok(None) };
        outputs.sheet(&format!("as-artefact-{}", way.name), &shown.sheet)?;
        ways.push((*way, shown));
    }
    let table = outputs.ways(&ways)?;
    let stand_in = ways.iter().any(|(_, shown)| shown.stand_in);
    if part == Part::All {
        outputs.page(
            "as-artefact",
            "as-artefact: the released artefact's ways",
            (study.scale.name, stand_in),
            None,
        )?;
    }
    let written = outputs.written().to_vec();
    Ok(Some(Reproduced { tables: vec![table], stand_in, written, ..Reproduced::default() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audience::Silence;

    #[test]
    fn the_page_is_told_from_the_records_that_are_there_and_without_a_clock() {
        let (real, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let scale =
            Scale { rows: [Some(4_000), Some(1), Some(1)], epochs: [1; 3], ..Scale::quick().with_chips(3) };
        let study = Study { real: Some(real.path()), out: out.path(), scale };
        assert!(summary(&study, Part::All).unwrap().is_none());
        let mut steep = Campaign::steep(&study.scale, 0, "dense", &[1e-3, 1e-1]);
        steep.needs = Needs::ModelsOn(0);
        study.run(&steep, &Silence).unwrap().unwrap();
        let summary = summary(&study, Part::All).unwrap().unwrap();
        assert_eq!((summary.cells.len(), summary.timed), (5 * 2, false));
        let mut outputs = Outputs::new(&out.path().join("paper")).unwrap();
        outputs.table1(&[64]).unwrap();
        outputs.table2(&[], &study.scale, &Made::default()).unwrap();
        outputs.page("paper", "A title", ("quick", true), Some(&summary)).unwrap();
        let page = std::fs::read_to_string(out.path().join("paper/paper.html")).unwrap();
        let anchors = ["findings", "table1", "curves", "vulnerability", "table2", "cells"];
        let places: Vec<_> = anchors.iter().map(|id| page.find(&format!("<section id=\"{id}\""))).collect();
        assert!(places.is_sorted() && places.iter().all(Option::is_some), "{places:?}");
        assert!(page.contains("<h1>A title</h1>") && page.contains("id=\"choose\""));
        assert!(page.len() < 1_000_000, "{} bytes", page.len());
    }

    #[test]
    fn every_part_reads_back_from_its_word() {
        for (part, word) in Part::WORDS {
            assert_eq!((part.to_string().as_str(), word.parse()), (word, Ok(part)));
        }
        assert!("fig11".parse::<Part>().unwrap_err().to_string().contains("fig4 … fig10"));
    }
}
