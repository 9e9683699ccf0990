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
/// Groups of runs whose curves over time are drawn.
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
    sections: Vec<Section>,
    bars: Bars,
    figures: Grid,
    replay: &'a str,
}

/// `outcome` as a page.
pub fn html(outcome: &Outcome) -> String {
    let summary = Summary::of(outcome);
    let failed: Vec<&Run> = outcome.runs.iter().filter(|run| !run.is_ok()).collect();
    let several = summary.groups.len() > 1;
    let mut sections = vec![charts::distributions(&summary)];
    for group in summary.groups.iter().take(DRAWN_MAX) {
        sections.extend(charts::over_time(group, several));
    }
    sections.retain(|section| !section.charts.is_empty());
    let page = Page {
        name: &outcome.name,
        about: &outcome.about,
        reproduces: &outcome.reproduces,
        ok: failed.is_empty() && !outcome.runs.is_empty(),
        verdict: parts::verdict(outcome, failed.len()),
        facts: parts::facts(outcome, &summary),
        tiles: parts::tiles(&summary),
        failures: failed.iter().take(FAILURES_MAX).map(|run| parts::failure(run, several)).collect(),
        more_failures: failed.len().saturating_sub(FAILURES_MAX),
        known: parts::known(outcome, &summary),
        comparison: parts::comparison(&summary),
        sections,
        bars: parts::bars(&summary),
        figures: parts::figures(&summary),
        replay: outcome.runs.first().map_or("", |run| &run.replay),
    };
    let mut environment = Environment::new();
    environment.add_template("page.html", PAGE).expect("the page's template is valid");
    let template = environment.get_template("page.html").expect("it was added one line above");
    let style = format!("{}{STYLE}", palette::css());
    let context = context! { page => Value::from(Serde(&page)), style };
    template.render(context).expect("the page's template names only what it is given")
}
