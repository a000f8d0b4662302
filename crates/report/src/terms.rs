//! The terms of a report, each in a sentence, for tooltips and for the list at the end of the page.

/// Terms with what they mean.
pub(crate) const TERMS: [(&str, &str); 10] = [
    (
        "bit error rate",
        "probability that a stored bit of the target is wrong on a chip; 1e-6 is one bit in a million",
    ),
    (
        "chip",
        "one virtual memory with its own bit errors; the same chip number has the same errors in every cell",
    ),
    ("cell", "one model, data set, target, error model, rate and protection: all its chips together"),
    ("target", "the part of the model whose bits can be wrong"),
    ("golden run", "the model without any bit error; losses are taken against its score without protection"),
    (
        "AUC",
        "probability that a positive row is ranked above a negative one: 1 is perfect, 0.5 is random ranking",
    ),
    (
        "interval",
        "holds the true value in at least 95 of 100 campaigns like this one, at any number of chips",
    ),
    ("shown", "holds after adjustment for everything that was compared; likely: in a single test only"),
    ("BER_50", "the rate at which half of the model's advantage over random ranking is lost"),
    ("gain", "mean difference of the score with and without a protection, on the same chips"),
];

/// The terms as templates take them.
pub(crate) fn terms() -> Vec<minijinja::Value> {
    TERMS.iter().map(|&(term, means)| minijinja::context! { term, means }).collect()
}
