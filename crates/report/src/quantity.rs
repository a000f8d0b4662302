//! Quantities as people read them: few digits, and a dash where there is no value.

/// What stands for an undefined value.
pub const UNDEFINED: &str = "–";

/// A rate to two digits, in powers of ten.
pub fn rate(value: f64) -> String {
    let text = format!("{value:.1e}");
    text.replace(".0e", "e").replace("e0", "")
}

/// An AUC to four places.
pub fn score(value: Option<f64>) -> String {
    value.map_or_else(|| UNDEFINED.to_owned(), |value| format!("{value:.4}"))
}

/// A loss to four places, with its sign where it is a gain.
pub fn loss(value: Option<f64>) -> String {
    match value {
        // A loss of less than half a digit is none: not "-0.0000".
        Some(value) if value.abs() < 5e-5 => "0.0000".to_owned(),
        value => score(value),
    }
}

/// A distance from golden to three digits; ∞ where an output is no finite number.
pub fn rmse(value: Option<f64>) -> String {
    match value {
        None => UNDEFINED.to_owned(),
        Some(value) if value.is_infinite() => "∞".to_owned(),
        Some(0.0) => "0".to_owned(),
        Some(value) if (1e-3..1e4).contains(&value) => {
            let places = if value < 1.0 { 4 } else { 2 };
            format!("{value:.places$}")
        }
        Some(value) => rate(value),
    }
}

/// A share of chips in percent.
pub fn share(value: Option<f64>) -> String {
    value.map_or_else(
        || UNDEFINED.to_owned(),
        |value| {
            let percent = 100.0 * value;
            if percent > 0.0 && percent < 0.05 {
                "< 0.1 %".to_owned()
            } else if percent == percent.round() || percent >= 10.0 {
                format!("{percent:.0} %")
            } else {
                format!("{percent:.1} %")
            }
        },
    )
}

/// A share of chips with its interval, as in `4.7 % [2.6, 7.7 %]`; ends are rounded outwards.
pub fn share_with_ends(value: f64, low: Option<f64>, high: Option<f64>) -> String {
    let (Some(low), Some(high)) = (low, high) else { return share(Some(value)) };
    let tenths = |value: f64, round: fn(f64) -> f64| {
        // A hair of rounding in the arithmetic is no tenth.
        let tenths = 1000.0 * value;
        let near = tenths.round();
        (if (tenths - near).abs() < 1e-9 { near } else { round(tenths) }) / 10.0
    };
    let short = |percent: f64| {
        if percent == percent.round() { format!("{percent:.0}") } else { format!("{percent:.1}") }
    };
    format!(
        "{} % [{}, {} %]",
        short(tenths(value, f64::round)),
        short(tenths(low, f64::floor)),
        short(tenths(high, f64::ceil))
    )
}

/// A loss or gain with its interval, as in `0.0334 [0.0013, 0.1286]`.
pub fn with_ends(value: Option<f64>, low: Option<f64>, high: Option<f64>) -> String {
    match (low, high) {
        (Some(_), Some(_)) => format!("{} [{}, {}]", loss(value), loss(low), loss(high)),
        _ => loss(value),
    }
}

/// A mean count to three digits.
pub fn count(value: Option<f64>) -> String {
    value.map_or_else(
        || UNDEFINED.to_owned(),
        |value| match value {
            0.0 => "0".to_owned(),
            value if value < 0.01 => rate(value),
            value if value < 10.0 => format!("{value:.2}"),
            value if value < 100.0 => format!("{value:.1}"),
            value if value < 99_999.5 => format!("{value:.0}"),
            value => rate(value),
        },
    )
}

/// A whole number with its thousands apart.
pub fn whole(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_carry_their_interval_rounded_outwards() {
        assert_eq!(share_with_ends(0.0, Some(0.0), Some(0.264_6)), "0 % [0, 26.5 %]");
        assert_eq!(share_with_ends(0.047, Some(0.026_01), Some(0.077)), "4.7 % [2.6, 7.7 %]");
        assert_eq!(share_with_ends(1.0, Some(0.884_3), Some(1.0)), "100 % [88.4, 100 %]");
        assert_eq!(share_with_ends(0.275, Some(0.162), Some(0.276)), "27.5 % [16.2, 27.6 %]");
        assert_eq!(share_with_ends(0.5, None, None), "50 %");
    }

    #[test]
    fn quantities_are_short_and_dashes_stand_for_none() {
        assert_eq!([1e-9, 3.16e-4, 0.1, 1.0, 0.0].map(rate), ["1e-9", "3.2e-4", "1e-1", "1", "0"]);
        assert_eq!([None, Some(0.78912)].map(score), ["–", "0.7891"]);
        assert_eq!([Some(-1e-9), Some(-0.01), None].map(loss), ["0.0000", "-0.0100", "–"]);
        assert_eq!(
            [Some(0.0), Some(0.123), Some(0.012), Some(0.0001), Some(1.0), None].map(share),
            ["0 %", "12 %", "1.2 %", "< 0.1 %", "100 %", "–"]
        );
        assert_eq!(
            [0.0, 0.0012, 0.5, 12.34, 1234.0, 1.6e8].map(|value| count(Some(value))),
            ["0", "1.2e-3", "0.50", "12.3", "1234", "1.6e8"]
        );
        let distances = [0.0, 1.2e-7, 0.01234, 12.345, 3.4e38, f64::INFINITY];
        assert_eq!(
            distances.map(|value| rmse(Some(value))),
            ["0", "1.2e-7", "0.0123", "12.35", "3.4e38", "∞"]
        );
        assert_eq!([0, 999, 1000, 1_234_567].map(whole), ["0", "999", "1,000", "1,234,567"]);
    }
}
