//! The regularised incomplete beta function and its inverse.

/// I_x(a, b) for a, b > 0 and x in [0, 1].
///
/// Numerics: Lentz's evaluation of the continued fraction (DLMF 8.17.22), on the side where it converges fast;
/// the factor before it by `libm::lgamma`, so the relative error grows as 1e-16 times the size of ln Γ(a + b).
pub fn incomplete(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    if x < (a + 1.0) / (a + b + 2.0) { front(a, b, x) } else { 1.0 - front(b, a, 1.0 - x) }
}

fn front(a: f64, b: f64, x: f64) -> f64 {
    let log_factor =
        libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b) + a * libm::log(x) + b * libm::log1p(-x);
    libm::exp(log_factor) / (a * fraction(a, b, x))
}

/// The continued fraction 1 + d1/(1 + d2/(1 + …)).
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away = |value: f64| if value.abs() < TINY { TINY } else { value };
    let (mut value, mut c, mut d) = (1.0, 1.0, 0.0);
    for m in 1..20_000_u32 {
        let k = f64::from(m / 2);
        let coefficient = if m % 2 == 0 {
            k * (b - k) * x / ((a + 2.0 * k - 1.0) * (a + 2.0 * k))
        } else {
            -(a + k) * (a + b + k) * x / ((a + 2.0 * k) * (a + 2.0 * k + 1.0))
        };
        d = 1.0 / away(1.0 + coefficient * d);
        c = away(1.0 + coefficient / c);
        let delta = c * d;
        value *= delta;
        if (delta - 1.0).abs() < 1e-16 {
            break;
        }
    }
    value
}

/// The x with I_x(a, b) = p, by bisection to the last bit.
pub fn quantile(a: f64, b: f64, p: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    loop {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            return middle;
        }
        if incomplete(a, b, middle) < p { low = middle } else { high = middle }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integer_parameters_give_the_binomial_tail() {
        // I_x(k, n - k + 1) = P(Bin(n, x) >= k), summed term by term.
        for n in [1_u32, 2, 5, 10, 40, 100] {
            for k in 1..=n {
                for x in [0.001, 0.1, 0.3, 0.5, 0.77, 0.99] {
                    let tail: f64 = (k..=n)
                        .map(|j| {
                            let choose: f64 = (0..j).map(|i| f64::from(n - i) / f64::from(j - i)).product();
                            choose * f64::powi(x, j as i32) * f64::powi(1.0 - x, (n - j) as i32)
                        })
                        .sum();
                    let value = incomplete(f64::from(k), f64::from(n - k + 1), x);
                    assert!((value - tail).abs() < 1e-12, "n {n} k {k} x {x}: {value} {tail}");
                }
            }
        }
    }

    #[test]
    fn closed_forms_hold() {
        for x in [1e-9, 0.2, 0.5, 0.9] {
            assert!((incomplete(1.0, 1.0, x) - x).abs() < 1e-14);
            assert!((incomplete(3.5, 1.0, x) - f64::powf(x, 3.5)).abs() < 1e-13);
            // Arcsine law.
            let arcsine = 2.0 / std::f64::consts::PI * f64::asin(f64::sqrt(x));
            assert!((incomplete(0.5, 0.5, x) - arcsine).abs() < 1e-12);
        }
    }

    #[test]
    fn quantile_is_the_inverse() {
        for (a, b) in [(1.0, 10.0), (5.0, 6.0), (200.0, 3.0), (0.5, 0.5)] {
            for p in [0.025, 0.5, 0.975] {
                assert!((incomplete(a, b, quantile(a, b, p)) - p).abs() < 1e-12);
            }
        }
    }
}
