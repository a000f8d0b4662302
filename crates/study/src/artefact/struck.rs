//! Trials outside of campaigns: a model's rows scored under one chip's flips, for ways that records do not hold.

use radhard_campaign::lend::LentModel;
use radhard_data::{DataSet, Part, Rows, RowsView};
use radhard_fault::{
    BitErrorRate, Chip, DrawnMap, ErrorModel, Expose, Exposure, Flips, Injected, Parameters, Target,
};
use radhard_models::Scores;

use crate::study::{SEED, Study, StudyError, opened};

/// A model with the rows that it is scored on.
pub(super) struct Struck {
    name: String,
    lent: LentModel,
    exposure: Exposure,
    drawn: DrawnMap,
    /// The rows.
    pub(super) rows: Rows<'static>,
    /// Share of positives among the train rows.
    pub(super) base_rate: f64,
}

impl Struck {
    /// A model and data of a study, all of whose parameters are hit.
    pub(super) fn open(study: &Study<'_>, model: &str, data: &str, part: Part) -> Result<Self, StudyError> {
        let lent = LentModel::new(opened(&study.model(model))?);
        let path = study.data(data);
        let data = DataSet::open(&path).map_err(|source| StudyError::Data { path, source })?;
        let exposure = Target::all().resolve(lent.specs(), Expose::Parameters);
        Ok(Self {
            name: model.to_owned(),
            exposure: exposure.map_err(|error| refused(model, &error))?,
            lent,
            drawn: DrawnMap::new(),
            rows: data.select(part).into_owned(),
            base_rate: data.meta().train_positive_rate,
        })
    }

    /// The scores of some rows as the model is now.
    pub(super) fn scores(&self, rows: &RowsView<'_>) -> Result<Scores, StudyError> {
        let mut scores = Scores::default();
        self.lent.model().scores(rows, &mut scores).map_err(|error| refused(&self.name, &error))?;
        Ok(scores)
    }

    /// The scores of all rows under a chip's flips, which are gone afterwards.
    pub(super) fn scores_under(&mut self, chip: u64, rate: f64) -> Result<Scores, StudyError> {
        self.draw(chip, rate)?;
        let injected =
            Injected::new(&mut self.lent, &self.drawn).map_err(|error| refused(&self.name, &error))?;
        let mut scores = Scores::default();
        let scored = injected.model().scores(&self.rows.view(), &mut scores);
        scored.map_err(|error| refused(&self.name, &error))?;
        Ok(scores)
    }

    /// Flips a chip's bits and leaves them flipped: a bit that is hit again flips back.
    pub(super) fn strike(&mut self, chip: u64, rate: f64) -> Result<(), StudyError> {
        self.draw(chip, rate)?;
        for parameter in self.drawn.parameters() {
            let mut words = self.lent.words_mut(parameter.index());
            words.flip(parameter.elements(), parameter.flips());
        }
        Ok(())
    }

    /// The words as they are stored.
    pub(super) fn restored(&mut self, study: &Study<'_>) -> Result<(), StudyError> {
        self.lent = LentModel::new(opened(&study.model(&self.name))?);
        Ok(())
    }

    fn draw(&mut self, chip: u64, rate: f64) -> Result<(), StudyError> {
        let rate = BitErrorRate::new(rate).map_err(|error| refused(&self.name, &error))?;
        let drawn = Flips.draw(Chip::new(SEED, chip), &self.exposure, Some(rate), &mut self.drawn);
        drawn.map_err(|error| refused(&self.name, &error))
    }
}

fn refused(model: &str, error: &dyn std::fmt::Display) -> StudyError {
    StudyError::Struck { model: model.to_owned(), reason: error.to_string() }
}
