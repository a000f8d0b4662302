//! Whether predictions of theory hold against what was measured.

use serde::Serialize;

use crate::summary::CellLine;

/// Rates above this lie outside the validity of the closed forms.
pub const VALID_UP_TO: f64 = 0.1;

/// Whether a prediction holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Verdict {
    /// Its band, narrow enough to check, overlaps the interval of the mean.
    #[serde(rename = "agrees")]
    Agrees,
    /// Its band, narrow enough to check, does not.
    #[serde(rename = "disagrees")]
    Disagrees,
    /// Its band is too wide, or there is none.
    #[serde(rename = "too coarse to check")]
    TooCoarse,
}

impl Verdict {
    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Agrees => "agrees",
            Self::Disagrees => "disagrees",
            Self::TooCoarse => "too coarse to check",
        }
    }
}

/// The verdict on a band against the interval of the mean: a band narrower than 0.01 and 30 % of the predicted loss is checked.
pub(crate) fn verdict(band: Option<[f64; 2]>, reference: f64, interval: [f64; 2]) -> Verdict {
    let Some([low, high]) = band else { return Verdict::TooCoarse };
    let loss = reference - f64::midpoint(low, high);
    if high - low > 0.01 + 0.3 * loss.max(0.0) {
        return Verdict::TooCoarse;
    }
    if low <= interval[1] && high >= interval[0] { Verdict::Agrees } else { Verdict::Disagrees }
}

impl CellLine {
    /// Judges its prediction, where it has one and its rate lies within the validity of closed forms.
    pub(crate) fn judge_prediction(&mut self) {
        let valid = self.ber.is_none_or(|ber| ber <= VALID_UP_TO * (1.0 + 1e-9));
        let Some(mean) = self.predicted else { return };
        if self.prediction.as_deref() == Some("exact") {
            (self.predicted_low, self.predicted_high) = (Some(mean), Some(mean));
        }
        let band = self.predicted_low.zip(self.predicted_high).filter(|_| valid);
        let measured = self.reference().zip(self.ci_low.zip(self.ci_high));
        self.prediction_verdict = measured.map(|(reference, (low, high))| {
            verdict(band.map(|(low, high)| [low, high]), reference, [low, high])
        });
    }
}

/// How many predictions agree, disagree, and are too coarse to check.
pub(crate) fn tally(cells: &[CellLine]) -> [usize; 3] {
    let count =
        |verdict: Verdict| cells.iter().filter(|cell| cell.prediction_verdict == Some(verdict)).count();
    [Verdict::Agrees, Verdict::Disagrees, Verdict::TooCoarse].map(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_band_agrees_or_disagrees_and_a_wide_one_cannot_be_checked() {
        let interval = [0.70, 0.72];
        assert_eq!(verdict(Some([0.71, 0.73]), 0.8, interval), Verdict::Agrees);
        assert_eq!(verdict(Some([0.73, 0.74]), 0.8, interval), Verdict::Disagrees);
        assert_eq!(verdict(Some([0.60, 0.74]), 0.8, interval), Verdict::TooCoarse);
        assert_eq!(verdict(None, 0.8, interval), Verdict::TooCoarse);
    }
}
