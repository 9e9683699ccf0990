//! Durations as people write them in files: `200ms`, `1m 30s`, `72h`.

use jiff::fmt::friendly::{SpanParser, SpanPrinter};
use std::time::Duration;

/// What [`parse_duration`] takes, for error messages.
pub const DURATION_WANT: &str = r#"a duration such as "200ms", "5s" or "72h""#;

/// A duration as people write it; `None` when it is not one.
pub fn parse_duration(text: &str) -> Option<Duration> {
    SpanParser::new().parse_unsigned_duration(text).ok()
}

/// A duration that [`parse_duration`] reads back.
pub fn show_duration(duration: Duration) -> String {
    SpanPrinter::new().unsigned_duration_to_string(&duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_read_back() {
        for ms in [0, 1, 200, 1_500, 90_000, 259_200_000] {
            let duration = Duration::from_millis(ms);
            assert_eq!(parse_duration(&show_duration(duration)), Some(duration));
        }
        assert_eq!(parse_duration("0.5ms"), Some(Duration::from_micros(500)));
        assert_eq!(parse_duration("soon"), None);
        assert_eq!(parse_duration("-1s"), None);
    }
}
