//! Axes: from where to where, and which values are written at them.

use super::super::format;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use std::ops::Range;

/// Ticks of an axis, about.
const TICKS: f64 = 5.0;
/// Decades of a logarithmic axis, at most.
const DECADES_MAX: i32 = 7;

/// How values are written.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Text {
    /// Multiples of this many.
    Scaled(f64),
    Seconds,
    Share,
    Bytes,
}

/// What an axis counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Counts {
    Things,
    Bytes,
}

/// One axis of a chart.
#[derive(Debug, Clone)]
pub(in super::super) struct Axis {
    pub(super) label: String,
    /// Ends and ticks as [`Self::place`] gives them.
    pub(super) from: f64,
    pub(super) to: f64,
    ticks: Vec<f64>,
    text: Text,
    /// Values stand at their logarithms.
    logarithmic: bool,
}

impl Axis {
    /// Time from zero to the last of these seconds.
    pub(in super::super) fn time(label: &str, values: impl Iterator<Item = f64>) -> Self {
        let to = largest(values);
        let (unit, word) = match to {
            t if t <= 0.002 => (1e-6, "µs"),
            t if t <= 2.0 => (1e-3, "ms"),
            t if t <= 300.0 => (1.0, "s"),
            t if t <= 14_400.0 => (60.0, "min"),
            t if t <= 1e6 => (3_600.0, "h"),
            _ => (86_400.0, "d"),
        };
        let step = step(to / unit, word == "s" || word == "min") * unit;
        let label = format!("{label} ({word})");
        Self { label, from: 0.0, to, ticks: ticks(step, to), text: Text::Scaled(unit), logarithmic: false }
    }

    /// Time on a logarithmic scale.
    pub(in super::super) fn log_time(label: &str, values: impl Iterator<Item = f64>) -> Self {
        Self::logarithmic(label, values, Text::Seconds)
    }

    /// Shares, from nothing to all.
    pub(in super::super) fn share(label: &str) -> Self {
        let ticks = vec![0.0, 0.25, 0.5, 0.75, 1.0];
        Self { label: label.to_owned(), from: 0.0, to: 1.0, ticks, text: Text::Share, logarithmic: false }
    }

    /// Amounts, from zero.
    pub(in super::super) fn linear(label: &str, counts: Counts, values: impl Iterator<Item = f64>) -> Self {
        // A little air above the highest curve.
        let to = largest(values) * 1.06;
        let ticks = ticks(step(to, false), to);
        Self { label: label.to_owned(), from: 0.0, to, ticks, text: counts.text(), logarithmic: false }
    }

    /// Amounts on a logarithmic scale, which shows peaks and calm in one chart. Zero stands at the
    /// bottom.
    pub(in super::super) fn log(label: &str, counts: Counts, values: impl Iterator<Item = f64>) -> Self {
        Self::logarithmic(label, values.filter(|v| *v > 0.0), counts.text())
    }

    fn logarithmic(label: &str, values: impl Iterator<Item = f64>, text: Text) -> Self {
        let logs: Vec<f64> = values.filter(|v| v.is_finite()).map(log).collect();
        let low = logs.iter().copied().fold(f64::INFINITY, f64::min);
        let high = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (low, high) = if low <= high { (low.floor(), high.ceil()) } else { (-3.0, 0.0) };
        let (from, to) = (low as i32, (high as i32).max(low as i32 + 1));
        let every = 1 + (to - from) / DECADES_MAX;
        Self {
            label: format!("{label} (logarithmic)"),
            from: from.into(),
            to: to.into(),
            ticks: (from..=to).step_by(every.unsigned_abs() as usize).map(f64::from).collect(),
            text,
            logarithmic: true,
        }
    }

    /// Where a value stands; what is beyond an end stands at the end.
    pub(super) fn place(&self, value: f64) -> f64 {
        let at = if self.logarithmic { log(value) } else { value };
        at.clamp(self.from, self.to)
    }

    /// The value at the right end.
    pub(in super::super) fn end(&self) -> f64 {
        if self.logarithmic { 10_f64.powf(self.to) } else { self.to }
    }

    /// How the value at `place` is written.
    pub(super) fn text(&self, place: f64) -> String {
        let value = if self.logarithmic { 10_f64.powf(place) } else { place };
        match self.text {
            Text::Scaled(unit) => format::number(value / unit),
            Text::Seconds => format::seconds(value),
            Text::Share => format!("{} %", format::number(value * 100.0)),
            Text::Bytes => format::bytes(value),
        }
    }

    /// Where values stand in a drawing.
    pub(super) fn scale(&self) -> Scale {
        Scale { from: self.from, to: self.to, ticks: self.ticks.clone() }
    }
}

impl Counts {
    const fn text(self) -> Text {
        match self {
            Self::Things => Text::Scaled(1.0),
            Self::Bytes => Text::Bytes,
        }
    }
}

/// The logarithm of a value; what is less than a millionth counts as that.
fn log(value: f64) -> f64 {
    value.clamp(1e-6, 1e15).log10()
}

/// A linear scale with the ticks it was given; values beyond its ends stand at the ends.
pub(super) struct Scale {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) ticks: Vec<f64>,
}

impl Ranged for Scale {
    type ValueType = f64;
    type FormatOption = DefaultFormatting;

    fn map(&self, value: &f64, (first, last): (i32, i32)) -> i32 {
        // Halves, because the difference of the ends may be more than a number can hold.
        let share = (value / 2.0 - self.from / 2.0) / (self.to / 2.0 - self.from / 2.0);
        let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
        first + (share * f64::from(last - first)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() { Vec::new() } else { self.ticks.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.from..self.to
    }
}

/// The largest finite value; 1 if there is none above zero.
fn largest(values: impl Iterator<Item = f64>) -> f64 {
    let largest = values.filter(|v| v.is_finite()).fold(0.0, f64::max);
    if largest > 0.0 { largest.min(1e300) } else { 1.0 }
}

/// A round distance of ticks; of time counted in sixties if `sixties`.
fn step(to: f64, sixties: bool) -> f64 {
    let rough = to / TICKS;
    if sixties && (5.0..=60.0).contains(&rough) {
        return [5.0, 10.0, 15.0, 30.0, 60.0].into_iter().find(|s| *s >= rough).unwrap_or(60.0);
    }
    let decade = 10_f64.powf(rough.log10().floor());
    let round = [1.0, 2.0, 5.0, 10.0].into_iter().find(|m| m * decade >= rough * 0.999);
    round.unwrap_or(10.0) * decade
}

fn ticks(step: f64, to: f64) -> Vec<f64> {
    (0..16).map(|n| f64::from(n) * step).take_while(|tick| *tick <= to * 1.000_001).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: &Axis) -> Vec<String> {
        axis.ticks.iter().map(|t| axis.text(*t)).collect()
    }

    #[test]
    fn ticks_are_round_and_few() {
        let axis = Axis::time("time", [0.0, 60.0].into_iter());
        assert_eq!(
            (axis.label.as_str(), texts(&axis)),
            ("time (s)", ["0", "15", "30", "45", "60"].map(String::from).to_vec())
        );
        let axis = Axis::time("time", [3_600.0].into_iter());
        assert_eq!((axis.label.as_str(), texts(&axis)[1].as_str()), ("time (min)", "15"));
        let axis = Axis::linear("n", Counts::Things, [0.0, 47.0].into_iter());
        assert_eq!(texts(&axis), ["0", "10", "20", "30", "40"]);
        let axis = Axis::linear("sent", Counts::Bytes, [5_400.0].into_iter());
        assert_eq!(texts(&axis)[1], "2 kB");
        for largest in [1e-300, 1e-9, 0.3, 7.0, 1e15, 1e300] {
            let count = Axis::linear("n", Counts::Things, [largest].into_iter()).ticks.len();
            assert!((3..=11).contains(&count), "{largest}: {count}");
        }
    }

    #[test]
    fn a_logarithmic_axis_has_a_tick_per_decade_or_two() {
        let axis = Axis::log_time("delay", [0.002, 0.9].into_iter());
        assert_eq!(texts(&axis), ["1 ms", "10 ms", "100 ms", "1 s"]);
        assert_eq!(texts(&Axis::log_time("delay", [].into_iter())).len(), 4);
        let axis = Axis::log_time("delay", [0.0, 1e12].into_iter());
        assert!(axis.ticks.len() < 12);
        assert_eq!(Axis::log_time("delay", [0.01].into_iter()).ticks.len(), 2);
        let axis = Axis::log("sent", Counts::Bytes, [0.0, 300.0, 600_000.0].into_iter());
        assert_eq!(texts(&axis), ["100 B", "1 kB", "10 kB", "100 kB", "1 MB"]);
        assert_eq!((axis.place(0.0), axis.place(1e9), axis.end()), (2.0, 6.0, 1e6));
    }
}
