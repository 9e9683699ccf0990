//! The report for people: one page that needs nothing but itself.
//!
//! Inline style and drawings, no script, nothing loaded from anywhere; light or dark as the reader's
//! system is. Names and texts of scenarios are escaped.

mod charts;
mod parts;

use super::summary::Summary;
use super::{Outcome, Run, palette};
use charts::Section;
use minijinja::value::Serde;
use minijinja::{Environment, Value, context};
use parts::{Bars, Failure, Grid, Known, Tile};
use serde::Serialize;

const PAGE: &str = include_str!("html/page.html");
const STYLE: &str = include_str!("html/page.css");
/// Failed runs that are listed.
const FAILURES_MAX: usize = 50;
/// Modes whose curves over time are drawn.
const DRAWN_MAX: usize = 4;

/// Everything the page says.
#[derive(Serialize)]
struct Page<'a> {
    name: &'a str,
    about: &'a str,
    reproduces: &'a str,
    ok: bool,
    verdict: String,
    facts: Vec<String>,
    tiles: Vec<Tile>,
    failures: Vec<Failure>,
    more_failures: usize,
    known: Vec<Known>,
    comparison: Option<Grid>,
    points: Option<Grid>,
    sections: Vec<Section>,
    bars: Vec<Bars>,
    figures: Grid,
    replay: &'a str,
}

/// `outcome` as a page.
pub fn html(outcome: &Outcome) -> String {
    let (summary, modes) = (Summary::of(outcome), Summary::by_mode(outcome));
    let failed: Vec<&Run> = outcome.runs.iter().filter(|run| !run.is_ok()).collect();
    let mut sections = vec![charts::distributions(&modes)];
    for mode in modes.groups.iter().take(DRAWN_MAX) {
        sections.extend(charts::over_time(mode, modes.groups.len() > 1));
    }
    sections.retain(|section| !section.charts.is_empty());
    let several = summary.groups.len() > 1;
    let page = Page {
        name: &outcome.name,
        about: &outcome.about,
        reproduces: &outcome.reproduces,
        ok: failed.is_empty() && !outcome.runs.is_empty(),
        verdict: parts::verdict(outcome, failed.len()),
        facts: parts::facts(outcome, &summary),
        tiles: parts::tiles(&modes),
        failures: failed.iter().take(FAILURES_MAX).map(|run| parts::failure(run, several)).collect(),
        more_failures: failed.len().saturating_sub(FAILURES_MAX),
        known: parts::known(outcome, &modes),
        comparison: (modes.groups.len() > 1).then(|| parts::side_by_side(&modes)),
        points: (summary.groups.len() > modes.groups.len()).then(|| parts::points(&summary)),
        sections,
        bars: parts::bars(&modes),
        figures: parts::figures(&modes),
        replay: outcome.runs.first().map_or("", |run| &run.replay),
    };
    let mut environment = Environment::new();
    environment.add_template("page.html", PAGE).expect("the page's template is valid");
    let template = environment.get_template("page.html").expect("it was added one line above");
    let style = format!("{}{STYLE}", palette::css());
    let context = context! { page => Value::from(Serde(&page)), style };
    template.render(context).expect("the page's template names only what it is given")
}
