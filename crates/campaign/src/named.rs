//! Metrics that the plan names, beside the fixed list of scores.

use radhard_metrics::ScoreOptions;
use radhard_metrics::auc::auc_logit;
use radhard_models::Scores;
use radhard_records::Metrics;

/// The named metrics of a run; none of them where its outputs are not probabilities of labels.
pub(crate) fn of(names: &[String], scores: &Scores, labels: &[u8], options: &ScoreOptions<'_>) -> Metrics {
    let one = |name: &String| {
        let value = match name.as_str() {
            "auc_logit" if options.probabilities => {
                auc_logit(&scores.logits, labels, options.non_finite, options.fallback)
            }
            _ => None,
        };
        (name.clone(), value)
    };
    names.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use radhard_metrics::NonFinite;

    use super::*;

    #[test]
    fn logits_rank_rows_whose_probabilities_are_all_one() {
        let scores = Scores { logits: vec![90.0, 100.0, 95.0], probabilities: vec![1.0; 3] };
        let names = ["auc_logit".to_owned()];
        let of = |scores: &Scores, non_finite| {
            let options = ScoreOptions { non_finite, ..ScoreOptions::new(0.5) };
            of(&names, scores, &[0, 1, 0], &options)["auc_logit"]
        };
        assert_eq!(of(&scores, NonFinite::Fallback), Some(1.0));
        // NaN ranks as the logit of the fallback, 0 for a rate of 1/2.
        let broken = Scores { logits: vec![-1.0, f32::NAN, 1.0], ..scores };
        assert_eq!(of(&broken, NonFinite::Fallback), Some(0.5));
        assert_eq!(of(&broken, NonFinite::Lowest), Some(0.0));
        assert_eq!(of(&broken, NonFinite::Highest), Some(1.0));
    }
}
