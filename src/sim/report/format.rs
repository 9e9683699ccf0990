//! Numbers for people: three figures that matter, and a unit that fits.

use crate::sim::scenario::Unit;

/// A value with its unit; `never` for what did not come to be.
pub(super) fn value(value: f64, unit: Unit) -> String {
    if value.is_nan() {
        return "-".to_owned();
    }
    if value.is_infinite() {
        return "never".to_owned();
    }
    match unit {
        Unit::Seconds => seconds(value),
        Unit::Count => count(value),
        Unit::PerSecond => format!("{} /s", number(value)),
        Unit::BytesPerSecond => format!("{}/s", bytes(value)),
        Unit::PerHour => format!("{} /h", number(value)),
        Unit::Share => format!("{} %", number(value * 100.0)),
    }
}

/// A time.
pub(super) fn seconds(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 {
        "0 s".to_owned()
    } else if size < 0.001 {
        format!("{} µs", number(value * 1e6))
    } else if size < 1.0 {
        format!("{} ms", number(value * 1e3))
    } else if size < 180.0 {
        format!("{} s", number(value))
    } else if size < 10_800.0 {
        format!("{} min", number(value / 60.0))
    } else if size < 259_200.0 {
        format!("{} h", number(value / 3_600.0))
    } else {
        format!("{} d", number(value / 86_400.0))
    }
}

/// An amount of bytes.
pub(super) fn bytes(value: f64) -> String {
    let size = value.abs();
    if size < 1e3 {
        format!("{} B", number(value))
    } else if size < 1e6 {
        format!("{} kB", number(value / 1e3))
    } else if size < 1e9 {
        format!("{} MB", number(value / 1e6))
    } else {
        format!("{} GB", number(value / 1e9))
    }
}

/// A number of things: whole up to a million.
fn count(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e6 { grouped(value as i64) } else { number(value) }
}

/// At most three figures, with k, M, G for the large.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    let (scaled, sign) = if size >= 1e12 {
        return format!("{value:.1e}");
    } else if size >= 1e9 {
        (value / 1e9, "G")
    } else if size >= 1e6 {
        (value / 1e6, "M")
    } else if size >= 1e4 {
        (value / 1e3, "k")
    } else {
        (value, "")
    };
    let size = scaled.abs();
    let digits = if size >= 99.95 || size == 0.0 {
        0
    } else if size >= 9.995 {
        1
    } else if size >= 0.0995 {
        2
    } else if size >= 0.000_995 {
        4
    } else {
        return format!("{scaled:.1e}{sign}");
    };
    let text = format!("{scaled:.digits$}");
    let text = if digits > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{sign}")
}

/// A whole number with its thousands apart.
fn grouped(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0 { format!("-{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_three_figures_and_no_idle_zeros() {
        for (is, want) in [
            (0.0, "0"),
            (0.000_001, "1.0e-6"),
            (0.0123, "0.0123"),
            (0.5, "0.5"),
            (1.582, "1.58"),
            (9.999, "10"),
            (12.34, "12.3"),
            (999.6, "1000"),
            (12_345.0, "12.3k"),
            (3.4e6, "3.4M"),
            (1e15, "1.0e15"),
        ] {
            assert_eq!(number(is), want);
        }
    }

    #[test]
    fn units_fit_the_size() {
        assert_eq!(value(0.004, Unit::Seconds), "4 ms");
        assert_eq!(value(12.45, Unit::Seconds), "12.4 s");
        assert_eq!(value(86_400.0, Unit::Seconds), "24 h");
        assert_eq!(value(f64::INFINITY, Unit::Seconds), "never");
        assert_eq!(value(339_002.0, Unit::Count), "339,002");
        assert_eq!(value(1_540.0, Unit::BytesPerSecond), "1.54 kB/s");
        assert_eq!(value(0.0153, Unit::Share), "1.53 %");
    }
}
