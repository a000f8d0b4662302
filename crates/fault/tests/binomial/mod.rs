//! How likely a count is.

/// Chance that a Binomial(n, p) count is at least as far out as this one, on its side, times two.
///
/// Numerics: probabilities by `lgamma`, summed outwards from the count until they vanish.
pub(crate) fn two_sided(count: u64, n: u64, p: f64) -> f64 {
    let (n_f, mean) = (n as f64, n as f64 * p);
    let log_probability = |k: f64| {
        if n_f > 1e9 {
            // log(n! / (n − k)!) = k log n − k (k − 1) / 2n, up to k³/n², where lgamma would cancel.
            k * libm::log(mean) - k * (k - 1.0) / (2.0 * n_f) - libm::lgamma(k + 1.0)
                + (n_f - k) * libm::log1p(-p)
        } else {
            libm::lgamma(n_f + 1.0) - libm::lgamma(k + 1.0) - libm::lgamma(n_f - k + 1.0)
                + k * libm::log(p)
                + (n_f - k) * libm::log1p(-p)
        }
    };
    let probability = |k: u64| libm::exp(log_probability(k as f64));
    let mut tail = 0.0;
    let mut k = count;
    loop {
        let term = probability(k);
        tail += term;
        let end = if count as f64 > mean { n } else { 0 };
        if k == end || term < tail * 1e-12 {
            break;
        }
        k = if count as f64 > mean { k + 1 } else { k - 1 };
    }
    (2.0 * tail).min(1.0)
}
