//! Colours by what they stand for, in light and in dark.
//!
//! Charts are drawn with marker colours that are used for nothing else; the page's style sheet maps
//! each of them to a variable, whose value depends on the reader's colour scheme. So one drawing
//! serves both.

use plotters::style::RGBColor;
use std::fmt::Write as _;

/// What a colour stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    /// Text and axes.
    Ink,
    /// Labels of axes.
    Muted,
    /// Lines of the grid.
    Grid,
    /// A moment at which something happened.
    Mark,
    /// A curve, by number.
    Series(usize),
    /// Members that are suspected.
    Suspect,
    /// Members that are shown as failed.
    Failed,
    /// Members that left.
    Left,
    /// How much is not as it is in calm, from 0 (nothing) to 5 (most of it).
    Heat(usize),
    /// No agent runs.
    Absent,
}

/// Curves that can be told apart.
pub(super) const SERIES_MAX: usize = 6;
/// Steps of heat.
pub(super) const HEAT_MAX: usize = 6;

/// Name, light, dark.
const FIXED: [(&str, &str, &str); 8] = [
    ("ink", "#1b2430", "#e6eaf0"),
    ("muted", "#566273", "#a3afbf"),
    ("grid", "#e3e7ec", "#2b333e"),
    ("mark", "#9aa5b4", "#6b7889"),
    ("suspect", "#c77700", "#f5b041"),
    ("failed", "#c62839", "#ff6b78"),
    ("left", "#7a5bc0", "#b79cf5"),
    ("absent", "#dfe3e8", "#313a46"),
];
const SERIES: [(&str, &str); SERIES_MAX] = [
    ("#1a66d6", "#6aa8ff"),
    ("#c2570c", "#ff9f5a"),
    ("#0b8073", "#3fd0bd"),
    ("#8a3ab9", "#cf8df5"),
    ("#9a6a00", "#e3bd4d"),
    ("#ad1e63", "#ff82b7"),
];
const HEAT: [(&str, &str); HEAT_MAX] = [
    ("#cfe6dc", "#1d4a3c"),
    ("#f4e3ad", "#5a4f1f"),
    ("#f2c27b", "#86601c"),
    ("#ea9457", "#b4662a"),
    ("#d95f4c", "#d9553f"),
    ("#a92a3d", "#ff5d73"),
];

impl Colour {
    fn number(self) -> usize {
        match self {
            Self::Ink => 0,
            Self::Muted => 1,
            Self::Grid => 2,
            Self::Mark => 3,
            Self::Suspect => 4,
            Self::Failed => 5,
            Self::Left => 6,
            Self::Absent => 7,
            Self::Series(n) => FIXED.len() + n % SERIES_MAX,
            Self::Heat(n) => FIXED.len() + SERIES_MAX + n.min(HEAT_MAX - 1),
        }
    }

    /// The marker that charts are drawn with.
    pub(super) fn marker(self) -> RGBColor {
        marker(self.number())
    }

    /// The style sheet's variable.
    pub(super) fn variable(self) -> String {
        variable(self.number())
    }
}

/// A drawing's marker; all of them are of one shade of grey-blue, so that a page without its style
/// sheet is still readable.
fn marker(number: usize) -> RGBColor {
    RGBColor(70, 80, 100 + u8::try_from(number).expect("there are few colours"))
}

fn variable(number: usize) -> String {
    match number.checked_sub(FIXED.len()) {
        None => format!("--{}", FIXED[number].0),
        Some(n) if n < SERIES_MAX => format!("--s{n}"),
        Some(n) => format!("--h{}", n - SERIES_MAX),
    }
}

/// The variables' values, and the mapping of markers to variables.
pub(super) fn css() -> String {
    let (mut light, mut dark, mut map) = (String::new(), String::new(), String::new());
    let fixed = FIXED.iter().map(|(_, light, dark)| (*light, *dark));
    let all = fixed.chain(SERIES).chain(HEAT);
    for (number, (light_value, dark_value)) in all.enumerate() {
        let name = variable(number);
        let RGBColor(r, g, b) = marker(number);
        let marker = format!("#{r:02X}{g:02X}{b:02X}");
        write!(light, "{name}:{light_value};").expect("a string takes any text");
        write!(dark, "{name}:{dark_value};").expect("a string takes any text");
        writeln!(
            map,
            "svg [fill=\"{marker}\"]{{fill:var({name})}}svg [stroke=\"{marker}\"]{{stroke:var({name})}}"
        )
        .expect("a string takes any text");
    }
    format!(":root{{{light}}}\n@media (prefers-color-scheme:dark){{:root{{{dark}}}}}\n{map}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_colour_has_a_marker_and_a_variable_of_its_own() {
        let mut all = vec![
            Colour::Ink,
            Colour::Muted,
            Colour::Grid,
            Colour::Mark,
            Colour::Suspect,
            Colour::Failed,
            Colour::Left,
            Colour::Absent,
        ];
        all.extend((0..SERIES_MAX).map(Colour::Series));
        all.extend((0..HEAT_MAX).map(Colour::Heat));
        let css = css();
        let mut names: Vec<String> = all.iter().map(|c| c.variable()).collect();
        for name in &names {
            assert_eq!(css.matches(&format!("{name}:")).count(), 2, "{name} in light and dark");
        }
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all.len());
    }
}
