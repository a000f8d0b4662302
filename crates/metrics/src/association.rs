//! Whether two things go together: odds ratios of failures, and Kendall's tau of curves.

use crate::interval::{Interval, LEVEL, Method};
use crate::normal;

/// The odds of an event among some chips beside those among others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OddsRatio {
    /// ln of the ratio, a half added to each count (Haldane 1956, Anscombe 1956): finite for any counts.
    pub log: f64,
    /// 95 % interval of the logarithm by Woolf 1955, on the same counts; approximate.
    pub log_interval: Interval,
    /// 95 % interval of the ratio given both margins (Cornfield 1956); at least 95 % at every n; an end may be 0 or
    /// infinite.
    pub exact: Interval,
    /// Fisher's exact p-value, two-sided: the tables no more likely than this one.
    pub p_value: f64,
}

/// Compares `first` = (events, chips) with `second`; a ratio above 1 says that the first has more.
///
/// # Panics
///
/// If there are more events than chips.
pub fn odds_ratio(first: (u64, u64), second: (u64, u64)) -> OddsRatio {
    for (events, n) in [first, second] {
        assert!(events <= n, "{events} events in {n} chips");
    }
    let halves = |(events, n): (u64, u64)| [events as f64 + 0.5, (n - events) as f64 + 0.5];
    let ([a, b], [c, d]) = (halves(first), halves(second));
    let log = libm::log(a * d / (b * c));
    let spread = normal::quantile(0.5 + LEVEL / 2.0) * (1.0 / a + 1.0 / b + 1.0 / c + 1.0 / d).sqrt();
    let tables = Tables::of(first, second);
    OddsRatio {
        log,
        log_interval: Interval::two_sided(log - spread, log + spread, LEVEL, Method::Woolf),
        exact: tables.interval(first.0),
        p_value: tables.p_value(first.0),
    }
}

/// Logarithms of the weights of all tables with the same margins, by the events of the first chips.
struct Tables {
    least: u64,
    logs: Vec<f64>,
}

impl Tables {
    fn of(first: (u64, u64), second: (u64, u64)) -> Self {
        let events = first.0 + second.0;
        let (least, most) = (events.saturating_sub(second.1), events.min(first.1));
        let choose = |n: u64, k: u64| {
            let gamma = |x: u64| libm::lgamma(x as f64 + 1.0);
            gamma(n) - gamma(k) - gamma(n - k)
        };
        Self {
            least,
            logs: (least..=most).map(|k| choose(first.1, k) + choose(second.1, events - k)).collect(),
        }
    }

    /// P(at most, at least `events`) where ln of the ratio is `log`.
    fn tails(&self, events: u64, log: f64) -> [f64; 2] {
        let weights = || self.logs.iter().zip(self.least..).map(|(weight, k)| (k, weight + k as f64 * log));
        let largest = weights().map(|(_, weight)| weight).fold(f64::NEG_INFINITY, f64::max);
        let (mut all, mut below, mut above) = (0.0, 0.0, 0.0);
        for (k, weight) in weights() {
            let weight = libm::exp(weight - largest);
            all += weight;
            below += if k <= events { weight } else { 0.0 };
            above += if k >= events { weight } else { 0.0 };
        }
        [below / all, above / all]
    }

    fn interval(&self, events: u64) -> Interval {
        let tail = (1.0 - LEVEL) / 2.0;
        let most = self.least + self.logs.len() as u64 - 1;
        // Bisected to the last bit; ratios beyond e^±700 are 0 and infinite.
        let end = |wanted: &dyn Fn(f64) -> bool| {
            let (mut low, mut high) = (-700.0, 700.0);
            loop {
                let middle = f64::midpoint(low, high);
                if middle <= low || middle >= high {
                    return libm::exp(middle);
                }
                if wanted(middle) { low = middle } else { high = middle }
            }
        };
        let low = if events == self.least { 0.0 } else { end(&|log| self.tails(events, log)[1] < tail) };
        let high = if events == most { f64::INFINITY } else { end(&|log| self.tails(events, log)[0] > tail) };
        Interval::two_sided(low, high, LEVEL, Method::Conditional)
    }

    fn p_value(&self, events: u64) -> f64 {
        let largest = self.logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weight = |log: f64| libm::exp(log - largest);
        let this = weight(self.logs[(events - self.least) as usize]);
        let all: f64 = self.logs.iter().map(|log| weight(*log)).sum();
        // Equally likely tables differ by rounding.
        let as_rare = |weight: &f64| *weight <= this * (1.0 + 1e-9);
        (self.logs.iter().map(|log| weight(*log)).filter(as_rare).sum::<f64>() / all).min(1.0)
    }
}

/// Concordance of pairs of values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Concordance {
    /// Pairs of places at which both values rise or both fall.
    pub concordant: u64,
    /// Pairs at which one rises and the other falls.
    pub discordant: u64,
    /// Kendall's tau-b, which allows for ties; `None` where all of one side tie.
    pub tau_b: Option<f64>,
    /// Goodman and Kruskal's gamma: tau over the pairs without a tie; `None` where there is none.
    pub gamma: Option<f64>,
}

/// Kendall's tau of two sequences, pair by pair; infinities tie with themselves, a NaN ties with everything.
///
/// # Panics
///
/// If they differ in length.
pub fn kendall(first: &[f64], second: &[f64]) -> Concordance {
    assert_eq!(first.len(), second.len(), "sequences differ in length");
    let (mut concordant, mut discordant, mut first_differs, mut second_differs) =
        (0_u64, 0_u64, 0_u64, 0_u64);
    for i in 0..first.len() {
        for j in 0..i {
            let sign = |values: &[f64]| i8::from(values[i] > values[j]) - i8::from(values[i] < values[j]);
            let (x, y) = (sign(first), sign(second));
            first_differs += u64::from(x != 0);
            second_differs += u64::from(y != 0);
            concordant += u64::from(x * y > 0);
            discordant += u64::from(x * y < 0);
        }
    }
    let lead = concordant as f64 - discordant as f64;
    let over = |pairs: f64| (pairs > 0.0).then(|| lead / pairs);
    Concordance {
        concordant,
        discordant,
        tau_b: over(libm::sqrt(first_differs as f64 * second_differs as f64)),
        gamma: over((concordant + discordant) as f64),
    }
}
