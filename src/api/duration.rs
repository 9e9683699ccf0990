//! Durations as Go spells them, which is how callers send and expect them.
//!
//! The grammar is that of Go's `time.ParseDuration`: a sign, then numbers with units, or a bare
//! zero. Seconds without a unit are an error there, so they are one here.

use std::time::Duration;

/// Nanoseconds, possibly negative: callers may send that, and are told what is wrong with it later.
pub(super) type Nanos = i64;

const UNITS: [(&str, f64); 8] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("μs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3_600e9),
];

/// Reads `1m30s`, `1.5h`, `-2s`, `0`.
pub(super) fn parse(text: &str) -> Result<Nanos, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        Some(_) | None => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total = 0.0_f64;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(end);
        if !number.contains(|c: char| c.is_ascii_digit()) {
            return Err(invalid());
        }
        let value: f64 = number.parse().map_err(|_| invalid())?;
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {text:?}"));
        }
        let Some((_, scale)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(format!("time: unknown unit {unit:?} in duration {text:?}"));
        };
        total += value * scale;
        rest = tail;
    }
    if total >= Nanos::MAX as f64 {
        return Err(invalid());
    }
    let nanos = total.round() as Nanos;
    Ok(if negative { -nanos } else { nanos })
}

/// The positive part, for those who already refused the rest.
pub(super) fn to_std(nanos: Nanos) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

/// Writes `1m30s`, `1.5s`, `250ms`, `0s`.
pub(super) fn format(nanos: Nanos) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let n = nanos.unsigned_abs();
    let decimals = |value: u64, scale: u64| {
        let (whole, part) = (value / scale, value % scale);
        if part == 0 {
            return whole.to_string();
        }
        let width = scale.ilog10() as usize;
        let part = format!("{part:0width$}");
        format!("{whole}.{}", part.trim_end_matches('0'))
    };
    let text = match n {
        0 => "0s".to_owned(),
        1..1_000 => format!("{n}ns"),
        1_000..1_000_000 => format!("{}µs", decimals(n, 1_000)),
        1_000_000..1_000_000_000 => format!("{}ms", decimals(n, 1_000_000)),
        1_000_000_000.. => {
            let (minutes, rest) = (n / 60_000_000_000, n % 60_000_000_000);
            let seconds = decimals(rest, 1_000_000_000);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{seconds}s"),
                (0, m) => format!("{m}m{seconds}s"),
                (h, m) => format!("{h}h{m}m{seconds}s"),
            }
        }
    };
    format!("{sign}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Nanos = 1_000_000_000;

    #[test]
    fn durations_of_real_clients_are_read() {
        for (text, want) in [
            ("120000ms", 120 * S),
            ("525s", 525 * S),
            ("1m30s", 90 * S),
            ("5m0s", 300 * S),
            ("1.5h", 5_400 * S),
            (".5s", S / 2),
            ("-2s", -2 * S),
            ("+3us", 3_000),
            ("7µs", 7_000),
            ("0", 0),
            ("10ns", 10),
        ] {
            assert_eq!(parse(text), Ok(want), "{text}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused_with_its_words() {
        for (text, want) in [
            ("60", "time: missing unit in duration \"60\""),
            ("", "time: invalid duration \"\""),
            ("xx", "time: invalid duration \"xx\""),
            ("5d", "time: unknown unit \"d\" in duration \"5d\""),
            ("1.2.3s", "time: invalid duration \"1.2.3s\""),
            (".s", "time: invalid duration \".s\""),
            ("-", "time: invalid duration \"-\""),
            ("99999999999h", "time: invalid duration \"99999999999h\""),
            ("1ä", "time: unknown unit \"ä\" in duration \"1ä\""),
        ] {
            assert_eq!(parse(text), Err(want.to_owned()), "{text}");
        }
    }

    #[test]
    fn written_as_go_writes_them() {
        for (nanos, want) in [
            (0, "0s"),
            (10 * S, "10s"),
            (90 * S, "1m30s"),
            (S * 3 / 2, "1.5s"),
            (3_600 * S, "1h0m0s"),
            (250_000_000, "250ms"),
            (1_500, "1.5µs"),
            (-S, "-1s"),
            (5_400 * S + S / 20, "1h30m0.05s"),
            (Nanos::MIN, "-2562047h47m16.854775808s"),
        ] {
            assert_eq!(format(nanos), want);
        }
    }
}
