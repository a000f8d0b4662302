//! Evaluation where more acts than stored words: hooks between layers, and faults in what layers compute.

use radhard_data::RowsView;
use radhard_kernels::Kernels;
use radhard_metrics::{Noticing, Reference, RowsNoticed};
use radhard_models::{Acting, Evaluation, HookEvents, Hooks, Noted, Scores, ScoresError};

use crate::changes::{Changes, Written};
use crate::engine::{Engine, Exposed, Outcome, WORTH, Way, Work};
use crate::lend::LentModel;
use crate::readers::Found;
use crate::upsets::Transients;

/// What a chip does to a model, and what is done about it in a pass.
#[derive(Clone, Copy)]
pub struct Under<'a> {
    /// Stored words that read otherwise.
    pub changes: &'a Changes,
    /// What happens to results as they are computed.
    pub transients: Option<&'a Transients>,
    /// What is done to values between layers.
    pub hooks: Option<&'a dyn Hooks>,
}

/// What a chip came to where protections look at results.
#[derive(Debug, Clone, PartialEq)]
pub struct Acted {
    /// Scores, with the rows that were noticed in their classes, and how they were found.
    pub outcome: Outcome,
    /// What hooks noticed.
    pub events: HookEvents,
    /// Of how many rows, and what became of them.
    pub rows: RowsNoticed,
    /// Whether all scores are those of the golden run.
    pub as_golden: bool,
}

impl Acted {
    /// What a chip came to where nothing looks at results.
    pub fn unnoticed(outcome: Outcome, as_golden: bool) -> Self {
        Self { outcome, events: HookEvents::default(), rows: RowsNoticed::default(), as_golden }
    }

    /// Where nothing looks at results, nothing is missed.
    fn seen_by(self, hooks: Option<&dyn Hooks>) -> Self {
        let rows = if hooks.is_some() { self.rows } else { RowsNoticed::default() };
        Self { rows, ..self }
    }
}

impl<'a> Under<'a> {
    /// Stored words alone.
    pub fn words(changes: &'a Changes) -> Self {
        Self { changes, transients: None, hooks: None }
    }

    /// Whether more acts than stored words do.
    pub fn acts(&self) -> bool {
        self.hooks.is_some() || self.transients.is_some()
    }

    fn acting(&self) -> Acting<'a> {
        Acting {
            hooks: self.hooks,
            upsets: self.transients.map(|transients| transients as &dyn radhard_models::Upsets),
        }
    }
}

impl Engine {
    /// As [`beside`](Self::beside) for one chip, where more acts than stored words: the rows that read a changed table row or are hit
    /// themselves are evaluated with all that acts on them, the others keep what the golden run, under the same hooks, gave them.
    ///
    /// `None` where a full pass is cheaper, or words outside the tables changed. The golden run must have noticed nothing.
    pub fn evaluate_under(
        &self,
        (lent, rows): (&LentModel, &RowsView<'_>),
        (reference, noticing): (&Reference<'_>, Noticing<'_>),
        under: Under<'_>,
        work: &mut Work,
    ) -> (Exposed, Option<Acted>) {
        let Under { changes, transients, .. } = under;
        let mut exposed = self.expose(lent, changes, &mut work.ids);
        if let Some(transients) = transients {
            exposed.flips_read += transients.flips();
        }
        let known = changes.is_empty() && transients.is_none_or(Transients::is_empty);
        if known {
            let outcome = Outcome { scores: reference.metrics().clone(), way: Way::Known };
            return (exposed, Some(Acted::unnoticed(outcome, true)));
        }
        let model = lent.model();
        let most = (rows.len() as f64 * WORTH / model.cost_apart(None)) as usize;
        if changes.iter().any(|(index, _)| model.table_of(index).is_none())
            || work.ids.len() > 4 * most.max(16)
            || self.readers.list(work.ids.iter().copied(), most, &mut work.marks, &mut work.listed)
                == Found::TooMany
        {
            return (exposed, None);
        }
        if let Some(transients) = transients {
            let mut hit = Vec::new();
            let few = transients.rows(most, &mut hit);
            exposed.reads += if few { hit.len() as u64 } else { transients.count_rows() };
            work.listed.append(&mut hit);
            if !changes.is_empty() {
                work.listed.sort_unstable();
                work.listed.dedup();
            }
            if !few || work.listed.len() > most {
                return (exposed, None);
            }
        }
        work.overlay.clear();
        for (index, words) in changes.iter() {
            for &(element, word) in words {
                work.overlay.write(model, index, element, word);
            }
        }
        work.overlay.finish(model);
        let evaluation =
            Evaluation { kernels: Kernels::detected(), rows: *rows, overlay: &work.overlay, apart: None };
        let out = (&mut work.some, &mut work.noted);
        model.scores_of_under(&evaluation, &work.listed, under.acting(), &mut work.worker, out);
        let Scores { logits, probabilities } = &work.some;
        let scores = reference.changed(&mut work.metrics, &work.listed, probabilities, logits);
        let as_golden = scores == *reference.metrics();
        let rows = work.listed.iter().zip(probabilities).zip(&work.noted.rows);
        let rows = rows.map(|((&row, &probability), &flags)| (row as usize, probability, flags));
        let (scores, rows) = noticing.classes(scores, rows);
        let outcome = Outcome { scores, way: Way::Rows };
        let acted = Acted { outcome, events: work.noted.events, rows, as_golden };
        (exposed, Some(acted.seen_by(under.hooks)))
    }

    /// How far a chip is exposed to the rows.
    pub fn exposed_under(&self, lent: &LentModel, under: Under<'_>, work: &mut Work) -> Exposed {
        let mut exposed = self.exposed(lent, under.changes, work);
        if let Some(transients) = under.transients {
            exposed.flips_read += transients.flips();
            exposed.reads += transients.count_rows();
        }
        exposed
    }

    /// As [`full`](Self::full), where more acts than stored words.
    ///
    /// # Errors
    /// If the rows do not fit the model.
    pub fn full_under(
        lent: &mut LentModel,
        rows: &RowsView<'_>,
        under: Under<'_>,
        (out, noted): (&mut Scores, &mut Noted),
    ) -> Result<(), ScoresError> {
        if under.changes.is_empty() {
            return lent.model().scores_under(rows, under.acting(), out, noted);
        }
        let written = Written::new(lent, under.changes);
        written.model().scores_under(rows, under.acting(), out, noted)
    }

    /// Scores what [`full_under`](Self::full_under) gave.
    pub fn judged(
        (reference, noticing): (&Reference<'_>, Noticing<'_>),
        under: Under<'_>,
        (out, noted): (&Scores, &Noted),
        work: &mut Work,
    ) -> Acted {
        let scores = reference.all(&mut work.metrics, &out.probabilities, &out.logits);
        let as_golden = scores == *reference.metrics();
        let rows = out.probabilities.iter().zip(&noted.rows).enumerate();
        let rows = rows.map(|(row, (&probability, &flags))| (row, probability, flags));
        let (scores, rows) = noticing.classes(scores, rows);
        let outcome = Outcome { scores, way: Way::Full };
        Acted { outcome, events: noted.events, rows, as_golden }.seen_by(under.hooks)
    }
}
