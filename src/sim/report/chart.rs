//! Drawings: curves over an axis of time, and strips of heat.
//!
//! Sized for a phone and scaled up from there, so that text stays readable at any width. Legends
//! are not part of a drawing; the page writes them below it, where nothing can overlap.

mod axis;

use axis::Scale;
pub(super) use axis::{Axis, Counts};

use super::palette::Colour;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Size of a drawing.
const WIDTH: u32 = 420;
const HEIGHT: u32 = 250;
/// Height of a strip's row, at most and at least.
const ROW_HEIGHT_MAX: u32 = 22;
const ROW_HEIGHT_MIN: u32 = 3;
/// Height of all strips together, about.
const STRIPS_HEIGHT: u32 = 192;
const FONT: &str = "sans-serif";
const FONT_SIZE: u32 = 12;
/// Room for the labels of axes.
const LEFT: u32 = 54;
const BOTTOM: u32 = 40;
const TOP: u32 = 26;
const RIGHT: u32 = 18;
/// Moments that are marked; more would be a carpet.
const MARKS_MAX: usize = 24;

/// A curve.
pub(super) struct Line {
    pub(super) name: String,
    pub(super) colour: Colour,
    pub(super) dashed: bool,
    /// In pixels; curves that may cover each other have different widths.
    pub(super) width: u32,
    pub(super) points: Vec<(f64, f64)>,
}

/// Curves in one frame. Points and marks are values; the axes know where those stand.
pub(super) struct Chart {
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) lines: Vec<Line>,
    /// Moments on the x axis to point out.
    pub(super) marks: Vec<f64>,
}

/// A strip per row, each made of cells.
pub(super) struct Strips {
    pub(super) x: Axis,
    /// What the rows are.
    pub(super) label: String,
    pub(super) rows: Vec<Strip>,
}

/// One row: its name, and from when to when it has which colour.
pub(super) struct Strip {
    pub(super) name: String,
    pub(super) cells: Vec<(f64, f64, Colour)>,
}

type Canvas<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// What `draw` draws, as SVG of that height.
fn drawn(height: u32, draw: impl FnOnce(&Canvas<'_>) -> Result<(), Box<dyn std::error::Error>>) -> String {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
        draw(&root).expect("drawing into a string cannot fail");
    }
    tidy(&svg)
}

impl Chart {
    /// The drawing as SVG.
    pub(super) fn draw(&self) -> String {
        drawn(HEIGHT, |root| self.draw_on(root))
    }

    fn draw_on(&self, root: &Canvas<'_>) -> Result<(), Box<dyn std::error::Error>> {
        let (x, y) = (&self.x, &self.y);
        title(root, &y.label)?;
        let mut chart = ChartBuilder::on(root)
            .margin_top(TOP)
            .margin_right(RIGHT)
            .x_label_area_size(BOTTOM)
            .y_label_area_size(LEFT)
            .build_cartesian_2d(x.scale(), y.scale())?;
        let colour = Colour::Muted.marker();
        let style = (FONT, FONT_SIZE, &colour).into_text_style(root);
        chart
            .configure_mesh()
            .bold_line_style(Colour::Grid.marker())
            .light_line_style(TRANSPARENT)
            .axis_style(Colour::Mark.marker())
            .label_style(style.clone())
            .axis_desc_style(style)
            .x_label_formatter(&|value| x.text(*value))
            .y_label_formatter(&|value| y.text(*value))
            .x_desc(x.label.clone())
            .draw()?;
        let inside = |mark: &&f64| mark.is_finite() && **mark <= x.end();
        for mark in self.marks.iter().filter(inside).take(MARKS_MAX) {
            let line = vec![(x.place(*mark), y.from), (x.place(*mark), y.to)];
            chart.draw_series(DashedLineSeries::new(line, 2, 4, Colour::Mark.marker().into()))?;
        }
        for line in &self.lines {
            let finite = |(a, b): &(f64, f64)| a.is_finite() && b.is_finite();
            let place = |(a, b): (f64, f64)| (x.place(a), y.place(b));
            let points = line.points.iter().copied().filter(finite).map(place);
            let style = line.colour.marker().stroke_width(line.width);
            if line.dashed {
                chart.draw_series(DashedLineSeries::new(points, 5, 4, style))?;
            } else {
                chart.draw_series(LineSeries::new(points, style))?;
            }
        }
        Ok(())
    }
}

impl Strips {
    /// The drawing as SVG.
    pub(super) fn draw(&self) -> String {
        let count = u32::try_from(self.rows.len()).unwrap_or(u32::MAX).max(1);
        let row_height = (STRIPS_HEIGHT / count).clamp(ROW_HEIGHT_MIN, ROW_HEIGHT_MAX);
        let height = count.saturating_mul(row_height).saturating_add(TOP + BOTTOM);
        drawn(height, |root| self.draw_on(root))
    }

    fn draw_on(&self, root: &Canvas<'_>) -> Result<(), Box<dyn std::error::Error>> {
        let x = &self.x;
        let rows = self.rows.len().max(1) as f64;
        // As many names as there is room for.
        let every = self.rows.len().div_ceil(12).max(1);
        let named: Vec<f64> = (0..self.rows.len()).step_by(every).map(|row| row as f64 + 0.5).collect();
        title(root, &self.label)?;
        let mut chart = ChartBuilder::on(root)
            .margin_top(TOP)
            .margin_right(RIGHT)
            .x_label_area_size(BOTTOM)
            .y_label_area_size(LEFT)
            .build_cartesian_2d(x.scale(), Scale { from: rows, to: 0.0, ticks: named })?;
        let colour = Colour::Muted.marker();
        let style = (FONT, FONT_SIZE, &colour).into_text_style(root);
        chart
            .configure_mesh()
            .disable_mesh()
            .axis_style(Colour::Mark.marker())
            .label_style(style.clone())
            .axis_desc_style(style)
            .x_label_formatter(&|value| x.text(*value))
            .y_label_formatter(&|value| {
                let row = self.rows.get(value.max(0.0) as usize);
                row.map_or_else(String::new, |row| shortened(&row.name))
            })
            .x_desc(x.label.clone())
            .draw()?;
        for (number, row) in self.rows.iter().enumerate() {
            let (top, bottom) = (number as f64, number as f64 + 1.0);
            for (from, to, colour) in row.cells.iter().copied().filter(|(a, b, _)| a.is_finite() && b > a) {
                let corners = [(from.max(x.from), top), (to.min(x.to), bottom)];
                chart.draw_series([Rectangle::new(corners, colour.marker().filled())])?;
            }
        }
        Ok(())
    }
}

/// What the y axis counts, written above the frame.
fn title(
    root: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    text: &str,
) -> Result<(), Box<dyn std::error::Error>> {
    let colour = Colour::Muted.marker();
    let style = (FONT, FONT_SIZE, &colour).into_text_style(root).pos(Pos::new(HPos::Left, VPos::Top));
    root.draw(&Text::new(text.to_owned(), (2, 4), style))?;
    Ok(())
}

/// A name that fits beside a strip.
fn shortened(name: &str) -> String {
    if name.chars().count() <= 7 {
        return name.to_owned();
    }
    name.chars().take(6).chain(['…']).collect()
}

/// Inside a page no namespace is needed, and the size is the page's business; numbers need no
/// trailing spaces.
fn tidy(svg: &str) -> String {
    let (Some(start), Some(view)) = (svg.find("<svg"), svg.find("viewBox")) else { return String::new() };
    let rest = svg[view..].replacen(" xmlns=\"http://www.w3.org/2000/svg\"", "", 1);
    let head = &svg[start..start + 4];
    format!("{head} role=\"img\" {rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(points: Vec<(f64, f64)>) -> Line {
        Line { name: "x".to_owned(), colour: Colour::Series(0), dashed: false, width: 2, points }
    }

    #[test]
    fn nothing_one_point_and_huge_values_can_be_drawn() {
        for points in [
            vec![],
            vec![(0.0, 0.0)],
            vec![(0.0, 0.0), (1e300, 1e300)],
            vec![(f64::NAN, 1.0), (1.0, f64::INFINITY), (2.0, 2.0)],
            vec![(5.0, -1e9), (5.0, 1e-30)],
        ] {
            let xs = || points.iter().map(|p| p.0);
            let ys = || points.iter().map(|p| p.1);
            let chart = Chart {
                x: Axis::time("time", xs()),
                y: Axis::linear("things", Counts::Things, ys()),
                lines: vec![line(points.clone())],
                marks: vec![0.5, f64::INFINITY],
            };
            let svg = chart.draw();
            assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{svg}");
            assert!(!svg.contains("http") && !svg.contains("NaN"), "{svg}");
            let log = Chart {
                x: Axis::log_time("time", xs()),
                y: Axis::share("share"),
                lines: vec![],
                marks: vec![],
            };
            assert!(log.draw().contains("</svg>"));
        }
    }

    #[test]
    fn strips_of_any_number_can_be_drawn() {
        for count in [0, 1, 5, 64, 500] {
            let strip = |n| Strip {
                name: format!("a-rather-long-name-{n}"),
                cells: vec![(0.0, 1.0, Colour::Heat(0)), (1.0, 4.0, Colour::Heat(9))],
            };
            let strips = Strips {
                x: Axis::time("time", [0.0, 4.0].into_iter()),
                label: "observer".to_owned(),
                rows: (0..count).map(strip).collect(),
            };
            let svg = strips.draw();
            assert_eq!(svg.matches("<rect").count(), 2 * count);
        }
    }
}
