//! The picture: a pure function of the model and the size of the terminal.
//!
//! At 80 by 24 everything has its place; on less the facts, the latest events and the columns at
//! the right go first, and rows of the table last. Every state is a word as well as a colour.

use super::super::members::short_millis;
use super::super::table::on_one_line;
use super::model::{Model, Tab};
use crate::client::{Check, Member};
use crate::model::CheckStatus;
use crate::screen::{bold, dim, of_member, of_status, take_bottom, take_top};
use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Row, Table};
use serde_json::Value;
use std::time::Duration;

/// Terminals narrower than this show fewer columns.
const WIDE: u16 = 60;
/// From this height on there is room for all facts and for the latest events.
const TALL: u16 = 18;
/// Lines of the latest events, their heading included.
const LATEST: u16 = 6;

/// Draws `model`, and answers how many rows of the table had room.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model) -> usize {
    let area = frame.area();
    let facts = facts(model, area.width);
    let shown_facts = if area.height >= TALL { facts.len() } else { usize::from(area.height > 4) };
    let mut rest = area;
    for line in facts.into_iter().take(shown_facts) {
        frame.render_widget(line, take_top(&mut rest, 1));
    }
    frame.render_widget(tabs(model), take_top(&mut rest, 1));
    if area.height > 3 {
        frame.render_widget(keys(model), take_bottom(&mut rest, 1));
    }
    if area.height >= TALL && model.tab != Tab::Events {
        latest(frame, model, take_bottom(&mut rest, LATEST));
    }
    table(frame, model, rest)
}

/// A part of the first lines: a count that is trouble unless it is zero stands out.
fn counted<'a>(count: u64, word: &str, status: CheckStatus) -> Span<'a> {
    let style = if count == 0 { Style::new() } else { of_status(status) };
    Span::styled(format!("{count} {word}  "), style)
}

fn facts(model: &Model, width: u16) -> Vec<Line<'static>> {
    let status = &model.status;
    let text = |value: &Value| on_one_line(value.as_str().unwrap_or("-"));
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    if let Some(trouble) = &model.trouble {
        let first = Line::styled(format!("{trouble}; trying again"), of_status(CheckStatus::Critical));
        return [first].into_iter().chain(health(model)).chain(traffic(model)).collect();
    }
    let members = &status["members"];
    let mut spans = vec![Span::styled(format!("{} ", text(&status["node"])), bold())];
    if width >= WIDE {
        spans.push(Span::raw(format!("of {}  ", text(&status["cluster"]))));
    }
    spans.extend([
        counted(number(&members["alive"]), "alive", CheckStatus::Passing),
        counted(number(&members["suspect"]), "suspect", CheckStatus::Warning),
        counted(number(&members["failed"]), "failed", CheckStatus::Critical),
        Span::raw(format!("{} left", number(&members["left"]))),
    ]);
    [Line::from(spans)].into_iter().chain(health(model)).chain(traffic(model)).collect()
}

/// How the agent and the table are.
fn health(model: &Model) -> Option<Line<'static>> {
    let status = &model.status;
    let score = status["local_health"].as_u64()?;
    let (word, of) = match score {
        0 => ("good", CheckStatus::Passing),
        1 => ("strained", CheckStatus::Warning),
        _ => ("poor", CheckStatus::Critical),
    };
    let ago = |value: &Value| match value.as_f64().and_then(|s| Duration::try_from_secs_f64(s).ok()) {
        Some(age) => format!("{} ago", short_age(age)),
        None => "never".to_owned(),
    };
    let catalog = |name: &str| status["catalog"][name].as_u64().unwrap_or(0);
    Some(Line::from(vec![
        Span::styled(format!("health {score} ({word})  "), of_status(of)),
        Span::raw(format!(
            "{} instances  {} checks  heard {}  last difference {}",
            catalog("instances"),
            catalog("checks"),
            ago(&status["view"]["age_s"]),
            ago(&status["convergence"]["since_difference_s"]),
        )),
    ]))
}

/// What goes over the network.
fn traffic(model: &Model) -> Option<Line<'static>> {
    model.status.is_object().then(|| match model.rates {
        None => Line::styled("rates follow with the second answer", dim()),
        Some(rates) => Line::from(vec![
            Span::raw(format!(
                "in {}/s {}  out {}/s {}  ",
                short_count(rates.received),
                short_bytes(rates.received_bytes),
                short_count(rates.sent),
                short_bytes(rates.sent_bytes),
            )),
            Span::raw(format!("probes {}/s  ", short_count(rates.probes))),
            rate(rates.probes_failed, "failed"),
            rate(rates.suspicions, "suspected"),
            Span::raw(format!("rumours {}/s  ", short_count(rates.rumours))),
            Span::raw(format!("repaired {}/s", short_count(rates.repaired))),
        ]),
    })
}

fn rate<'a>(per_second: f64, word: &str) -> Span<'a> {
    let style = if per_second > 0.0 { of_status(CheckStatus::Warning) } else { Style::new() };
    Span::styled(format!("{word} {}/s  ", short_count(per_second)), style)
}

fn tabs(model: &Model) -> Line<'static> {
    let title = |(at, tab): (usize, &Tab)| {
        let style = if *tab == model.tab { bold().add_modifier(Modifier::REVERSED) } else { Style::new() };
        Span::styled(format!(" {} {} ", at + 1, tab.title()), style)
    };
    Line::from_iter(Tab::ALL.iter().enumerate().map(title))
}

fn keys(model: &Model) -> Line<'static> {
    let order = model.order().name();
    let reversed = if model.reversed { ", reversed" } else { "" };
    Line::styled(
        format!("q quit  1-4 view  s sort ({order}{reversed})  r reverse  \u{2191}\u{2193} scroll"),
        dim(),
    )
}

fn latest(frame: &mut Frame<'_>, model: &Model, mut area: Rect) {
    frame.render_widget(Line::styled("Latest events", bold()), take_top(&mut area, 1));
    if model.events.is_empty() {
        frame.render_widget(
            Line::styled("nothing has changed since this began", dim()),
            take_top(&mut area, 1),
        );
    }
    for event in &model.events {
        if area.height == 0 {
            break;
        }
        let style = event.status.map_or(Style::new(), of_status);
        let age = Span::styled(format!("{:>5}  ", event_age(model, event.at)), dim());
        let line = Line::from(vec![age, Span::styled(event.text.clone(), style)]);
        frame.render_widget(line, take_top(&mut area, 1));
    }
}

fn event_age(model: &Model, at: Duration) -> String {
    short_age(model.now.saturating_sub(at))
}

fn table(frame: &mut Frame<'_>, model: &Model, area: Rect) -> usize {
    let page = usize::from(area.height.saturating_sub(1));
    let (count, wide) = (model.rows(), area.width >= WIDE);
    if count == 0 {
        let text = match model.tab {
            Tab::Events => "nothing has changed since this began",
            Tab::Members | Tab::Services | Tab::Checks => "there are none",
        };
        frame.render_widget(Line::styled(text, dim()), area);
        return page;
    }
    let first = model.offset.min(count.saturating_sub(page.max(1)));
    let shown = first..(first + page).min(count);
    // Columns at the end are for wide terminals alone.
    let (header, widths, rows): (Vec<&str>, Vec<Constraint>, Vec<Row<'_>>) = match model.tab {
        Tab::Members => (
            vec!["NAME", "STATUS", "RTT", "ADDRESS", "TAGS"],
            vec![
                Constraint::Fill(2),
                Constraint::Length(8),
                Constraint::Length(8),
                Constraint::Fill(2),
                Constraint::Fill(2),
            ],
            model.members[shown].iter().map(|member| member_row(member, wide)).collect(),
        ),
        Tab::Services => (
            vec!["SERVICE", "INSTANCES", "PASSING", "WARNING", "CRITICAL"],
            [Constraint::Fill(1)].into_iter().chain([Constraint::Length(9); 4]).collect(),
            model.services[shown]
                .iter()
                .map(|service| {
                    let style = of_status(service.status());
                    let counts = [service.instances(), service.passing, service.warning, service.critical];
                    let counts = counts.map(|n| Cell::new(format!("{n:>8}")));
                    cut(
                        [Cell::new(Span::styled(on_one_line(&service.name), style))]
                            .into_iter()
                            .chain(counts),
                        wide,
                    )
                })
                .collect(),
        ),
        Tab::Checks => (
            vec!["CHECK", "STATUS", "NODE", "SERVICE", "OUTPUT"],
            vec![
                Constraint::Fill(2),
                Constraint::Length(8),
                Constraint::Fill(1),
                Constraint::Fill(1),
                Constraint::Fill(2),
            ],
            model.checks[shown].iter().map(|check| check_row(check, wide)).collect(),
        ),
        Tab::Events => (
            vec!["AGE", "EVENT"],
            vec![Constraint::Length(6), Constraint::Fill(1)],
            model
                .events
                .range(shown)
                .map(|event| {
                    let style = event.status.map_or(Style::new(), of_status);
                    let age = Cell::new(event_age(model, event.at));
                    cut([age, Cell::new(Span::styled(event.text.clone(), style))], wide)
                })
                .collect(),
        ),
    };
    let kept = if wide { header.len() } else { header.len().min(NARROW_COLUMNS) };
    let header = Row::new(header.into_iter().take(kept)).style(bold());
    frame.render_widget(Table::new(rows, widths.into_iter().take(kept)).header(header), area);
    page
}

/// Columns that a narrow terminal has room for.
const NARROW_COLUMNS: usize = 3;

fn cut<'a>(cells: impl IntoIterator<Item = Cell<'a>>, wide: bool) -> Row<'a> {
    Row::new(cells.into_iter().take(if wide { usize::MAX } else { NARROW_COLUMNS }))
}

fn member_row(member: &Member, wide: bool) -> Row<'static> {
    let style = of_member(member.status);
    let rtt = member.rtt.map_or_else(|| "-".to_owned(), |rtt| short_millis(rtt.as_secs_f64() * 1_000.0));
    let tags: Vec<String> = member.tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let cells = [
        Cell::new(on_one_line(&member.name)),
        Cell::new(Span::styled(member.status.as_str(), style)),
        Cell::new(rtt),
        Cell::new(on_one_line(&member.address)),
        Cell::new(on_one_line(&tags.join(","))),
    ];
    cut(cells, wide)
}

fn check_row(check: &Check, wide: bool) -> Row<'static> {
    let cells = [
        Cell::new(on_one_line(&check.id)),
        Cell::new(Span::styled(check.status.as_str(), of_status(check.status))),
        Cell::new(on_one_line(&check.node)),
        Cell::new(on_one_line(&check.service_name)),
        Cell::new(on_one_line(&check.output)),
    ];
    cut(cells, wide)
}

/// Whole units: `0s`, `59s`, `3m`, `5h`, `12d`.
fn short_age(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn short_count(n: f64) -> String {
    match n {
        n if n < 10.0 => format!("{n:.1}"),
        n if n < 10_000.0 => format!("{n:.0}"),
        n => format!("{:.0}k", n / 1_000.0),
    }
}

fn short_bytes(n: f64) -> String {
    match n {
        n if n < 1_000.0 => format!("{n:.0}B/s"),
        n if n < 1_000_000.0 => format!("{:.1}kB/s", n / 1_000.0),
        n => format!("{:.1}MB/s", n / 1_000_000.0),
    }
}

#[cfg(test)]
mod tests;
