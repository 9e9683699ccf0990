//! The picture: a pure function of the board and the size of the terminal.
//!
//! 80 by 24 shows everything, with the last lines of the story; a larger terminal shows more of them. On a
//! smaller one the services go first, then the hosts.

use super::View;
use crate::client::{Health, format_duration};
use crate::demo::board::{Board, Tone, opinion_in_words};
use crate::demo::plain::clock;
use crate::demo::sales::LATELY;
use crate::demo::script::Target;
use crate::demo::shop::{Host, Instance, SERVICES};
use crate::demo::truth::Doing;
use crate::model::CheckStatus;
use crate::screen::{bold, dim, of_status, take_bottom, take_top};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use std::collections::BTreeMap;
use std::time::Duration;

/// Below this height the services are left out, and below that the hosts.
const TALL: u16 = 20;
const LOW: u16 = 10;

pub(super) fn draw(frame: &mut Frame<'_>, board: &Board, view: &View, now: Duration) {
    let area = frame.area();
    if view.help {
        return lines(frame, area, help(view));
    }
    let mut rest = area;
    lines(frame, take_top(&mut rest, 1), vec![title(board, view, now)]);
    lines(frame, take_bottom(&mut rest, if area.height >= LOW { 2 } else { 1 }), keys());
    if area.height >= LOW {
        let hosts = hosts(board, view);
        lines(frame, take_top(&mut rest, hosts.len() as u16), hosts);
    }
    if area.height >= TALL {
        let services = services(board, now);
        lines(frame, take_top(&mut rest, services.len() as u16), services);
    }
    lines(frame, take_top(&mut rest, 1), vec![shoppers(board, now)]);
    story(frame, rest, board);
}

fn lines(frame: &mut Frame<'_>, area: Rect, lines: Vec<Line<'_>>) {
    let mut rest = area;
    for line in lines {
        let place = take_top(&mut rest, 1);
        if place.height == 0 {
            return;
        }
        frame.render_widget(line, place);
    }
}

fn title(board: &Board, view: &View, now: Duration) -> Line<'static> {
    let mut spans = vec![
        Span::styled("shoal demo", bold()),
        Span::raw(format!(
            "  a shop on five agents, profile {}, {}",
            view.profile,
            format_duration(Duration::from_secs(now.as_secs()))
        )),
    ];
    if let Some(cut) = board.truth().cut() {
        let cut = format!("  CUT: {cut}");
        spans.push(Span::styled(cut, of_status(CheckStatus::Critical)));
    }
    Line::from(spans)
}

fn keys() -> Vec<Line<'static>> {
    vec![
        Line::styled("1-5 select host   k kill  p pause  u unplug  x partition  c crash  d drain", dim()),
        Line::styled("h heal all  r heal this host   ? commands for another terminal   q quit", dim()),
    ]
}

/// What a host is at, and how good that is.
fn doing(board: &Board, host: Host) -> (&'static str, CheckStatus) {
    let truth = board.truth();
    match truth.agent(host) {
        Doing::Killed => ("killed", CheckStatus::Critical),
        Doing::Paused => ("paused", CheckStatus::Critical),
        Doing::Running if truth.is_cut(host) => ("cut off", CheckStatus::Warning),
        Doing::Running if truth.is_drained(Target::Host(host)) => ("drained", CheckStatus::Warning),
        Doing::Running => ("running", CheckStatus::Passing),
    }
}

fn hosts(board: &Board, view: &View) -> Vec<Line<'static>> {
    let header = format!(
        "  {:<5} {:<8} {:<18} INSTANCES, AS {}'S AGENT SEES THEM",
        "HOST",
        "AGENT",
        "OTHERS SAY",
        board.shoppers_at.name().to_uppercase()
    );
    let row = |host: Host| {
        let (word, status) = doing(board, host);
        let mut opinions = board.opinions_of(host);
        opinions.remove(&host);
        let all_alive = opinions.values().all(|s| *s == crate::model::MemberStatus::Alive);
        let worst = if all_alive { CheckStatus::Passing } else { CheckStatus::Critical };
        let (mark, name) = if host == view.selected {
            ("> ", bold().add_modifier(Modifier::REVERSED))
        } else {
            ("  ", Style::new())
        };
        let mut spans = vec![
            Span::raw(mark),
            Span::styled(format!("{host:<4}"), name),
            Span::raw("  "),
            Span::styled(format!("{word:<8} "), of_status(status)),
            Span::styled(format!("{:<18} ", opinion_in_words(&opinions)), of_status(worst)),
        ];
        spans.extend(instances(board, host));
        Line::from(spans)
    };
    [Line::styled(header, bold())].into_iter().chain(Host::all().map(row)).collect()
}

/// A host's instances, those that are not well last and with the word for it.
fn instances(board: &Board, host: Host) -> Vec<Span<'static>> {
    let mut by_health: BTreeMap<Option<Health>, Vec<Instance>> = BTreeMap::new();
    for instance in host.instances() {
        by_health.entry(board.health(instance)).or_default().push(instance);
    }
    let part = |(health, instances): (Option<Health>, Vec<Instance>)| {
        let names: Vec<&str> = instances.into_iter().map(Instance::id).collect();
        let names = names.join(" ");
        match health {
            None => Span::styled(format!("unknown: {names}  "), dim()),
            Some(Health::Passing) => Span::styled(format!("{names}  "), of_status(CheckStatus::Passing)),
            Some(health) => {
                let status =
                    if health == Health::Critical { CheckStatus::Critical } else { CheckStatus::Warning };
                Span::styled(format!("{health}: {names}  "), of_status(status))
            }
        }
    };
    by_health.into_iter().map(part).collect()
}

fn services(board: &Board, now: Duration) -> Vec<Line<'static>> {
    let header = format!(
        "  {:<11} {:>7} {:>7}   ANSWERED IN THE LAST {} S",
        "SERVICE",
        "OK",
        "FAILED",
        LATELY.as_secs()
    );
    let row = |(n, service): (usize, &&str)| {
        let (answered, failed) = board.sales.lately(n, now);
        let tally = board.sales.of(n);
        let style = if failed == 0 { Style::new() } else { of_status(CheckStatus::Critical) };
        let mut spans = vec![
            Span::raw(format!("  {service:<11} {:>7} ", tally.ok)),
            Span::styled(format!("{:>7}   ", tally.failed), style),
        ];
        for instance in Instance::all().filter(|i| i.service() == *service) {
            let count = answered.get(&instance).copied().unwrap_or(0);
            let style = if count == 0 { dim() } else { Style::new() };
            spans.push(Span::styled(format!("{:<14}", format!("{instance} {count}")), style));
        }
        if failed > 0 {
            spans.push(Span::styled(format!("failed {failed}"), of_status(CheckStatus::Critical)));
        }
        Line::from(spans)
    };
    [Line::styled(header, bold())].into_iter().chain(SERVICES.iter().enumerate().map(row)).collect()
}

fn shoppers(board: &Board, now: Duration) -> Line<'static> {
    let lately = board.sales.since(now.saturating_sub(LATELY));
    let total = board.sales.total();
    let trouble = if lately.failed == 0 { CheckStatus::Passing } else { CheckStatus::Critical };
    Line::from(vec![
        Span::raw(format!("Shoppers ask {}'s agent: {} ok, ", board.shoppers_at, total.ok)),
        Span::raw(format!("{} failed; in the last {} s ", total.failed, LATELY.as_secs())),
        Span::styled(format!("{} failed", lately.failed), of_status(trouble)),
        Span::raw(format!(" of {}", lately.requests)),
    ])
}

fn style(tone: Tone) -> Style {
    match tone {
        Tone::Act => bold(),
        Tone::News => Style::new(),
        Tone::Good => of_status(CheckStatus::Passing),
        Tone::Bad => of_status(CheckStatus::Critical),
        Tone::Remark => dim(),
    }
}

/// Columns in front of the text of a line.
const MARGIN: usize = 9;

fn story(frame: &mut Frame<'_>, area: Rect, board: &Board) {
    let room = usize::from(area.height);
    let width = usize::from(area.width).saturating_sub(MARGIN).max(16);
    let mut picture: Vec<Line<'static>> = Vec::new();
    // From the newest back, as far as there is room.
    for line in board.lines().rev() {
        let parts = wrapped(&line.text, width);
        let mut shown: Vec<Line<'static>> = parts
            .into_iter()
            .enumerate()
            .map(|(n, part)| {
                let margin = if n == 0 { format!("{:>7}  ", clock(line.at)) } else { " ".repeat(MARGIN) };
                Line::from(vec![Span::styled(margin, dim()), Span::styled(part, style(line.tone))])
            })
            .collect();
        shown.append(&mut picture);
        picture = shown;
        if picture.len() >= room {
            break;
        }
    }
    let skipped = picture.len().saturating_sub(room);
    lines(frame, area, picture.split_off(skipped));
}

/// Lines of at most `width` characters, broken between words.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.last_mut().expect("there is one");
        if last.is_empty() {
            last.push_str(word);
        } else if last.chars().count() + 1 + word.chars().count() <= width {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// The first screen.
fn help(view: &View) -> Vec<Line<'static>> {
    let plain = |text: &str| Line::raw(text.to_owned());
    let mut lines = vec![
        Line::styled("shoal demo", bold()),
        plain("A shop runs on five agents in this process: real sockets on loopback, nothing"),
        plain("installed, nothing kept. Shoppers ask an agent where to go, for each request."),
        plain("Break something, and read how fast everybody knows and what it cost."),
        Line::default(),
        Line::styled("Try from another terminal", bold()),
    ];
    lines.extend(
        super::super::commands(&view.sockets, view.http).into_iter().map(|c| Line::raw(format!("  {c}"))),
    );
    let profile = match view.profile {
        "local" => "Profile local, for agents on one machine: about twice as fast as lan.",
        _ => "Profile lan, what `shoal agent` has: times as between hosts of one data center.",
    };
    lines.extend([
        Line::default(),
        Line::styled("Keys, for the host that is selected with 1 to 5", bold()),
        plain("  k kill       agent and services are gone; the kernel reports closed ports"),
        plain("  p pause      the agent stands still, as by SIGSTOP; its services go on"),
        plain("  u unplug     the host's network is silent, as by a pulled cable"),
        plain("  x partition  this host and the next one hear each other alone"),
        plain("  c crash      one of its services ends; a check has to find out"),
        plain("  d drain      in maintenance and back: nobody is sent there"),
        plain("  h heal       everything works again; r: this host alone"),
        Line::default(),
        plain(profile),
        Line::styled("Any key goes on; ? comes back here; q quits", bold()),
    ]);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::board::News;
    use crate::demo::script::Act;
    use crate::demo::truth::{State, Thing};
    use crate::screen::as_text;

    fn view(help: bool) -> View {
        let sockets = std::array::from_fn(|n| format!("/tmp/shoal-demo-AbCdEf/n{}.sock", n + 1).into());
        let http = "127.0.0.1:8500".parse().ok();
        View { selected: Host::named("n3").expect("is there"), help, profile: "lan", sockets, http }
    }

    /// A shop in which n3 was killed, and everybody knows.
    fn busy() -> Board {
        let mut board = Board::new(Duration::from_secs(59));
        let n3 = Host::named("n3").expect("is there");
        board.act(&Act::Kill(n3), Duration::from_secs(60)).expect("makes sense");
        for ((observer, thing), state) in board.truth().expected() {
            let now = Duration::from_secs(62);
            match (thing, state) {
                (Thing::Host(host), State::Member(status)) => {
                    board.take(News::Member { observer, host, status }, now);
                }
                (Thing::Instance(instance), _) => {
                    let dead = instance.host() == n3;
                    let health = if dead { Health::Critical } else { Health::Passing };
                    board.take(
                        News::Instances { observer, health: BTreeMap::from([(instance, health)]) },
                        now,
                    );
                }
                (Thing::Host(_), _) => unreachable!("a host is a member"),
            }
        }
        board
    }

    fn picture(board: &Board, view: &View, width: u16, height: u16) -> Vec<String> {
        as_text(width, height, |frame| draw(frame, board, view, Duration::from_secs(63)))
    }

    #[test]
    fn at_80_by_24_all_of_it_has_its_place() {
        let shown = picture(&busy(), &view(false), 80, 24);
        assert_eq!(shown[0], "shoal demo  a shop on five agents, profile lan, 1m3s");
        assert_eq!(shown[1], "  HOST  AGENT    OTHERS SAY         INSTANCES, AS N1'S AGENT SEES THEM");
        assert_eq!(shown[2], "  n1    running  alive 3            frontend-1 cart-1");
        assert_eq!(shown[4], "> n3    killed   failed 4           critical: payment-2 inventory-2");
        assert!(shown[7].starts_with("  SERVICE          OK  FAILED"), "{}", shown[7]);
        assert!(shown[15].starts_with("Shoppers ask n1's agent: 0 ok, 0 failed"), "{}", shown[15]);
        let story = shown[16..22].join("\n");
        assert!(story.contains("KILL n3: its agent and payment-2 and inventory-2 are gone"), "{story}");
        assert!(shown[22].starts_with("1-5 select host") && shown[23].ends_with("q quit"), "{shown:?}");
    }

    #[test]
    fn the_first_screen_names_commands_that_can_be_pasted() {
        let shown = picture(&busy(), &view(true), 80, 24);
        for command in [
            "  shoal members --socket /tmp/shoal-demo-AbCdEf/n1.sock",
            "  shoal resolve cart --socket /tmp/shoal-demo-AbCdEf/n5.sock",
            "  http://127.0.0.1:8500/ui/ in a browser",
        ] {
            assert!(shown.iter().any(|line| line == command), "{shown:#?}");
        }
        assert!(shown.iter().any(|line| line.starts_with("Any key goes on")), "{shown:#?}");
    }

    #[test]
    fn any_size_is_drawn_and_the_story_goes_last() {
        let board = busy();
        for width in [0, 1, 20, 60, 80, 200] {
            for height in [0, 1, 2, 5, 9, 10, 19, 24, 60] {
                picture(&board, &view(true), width, height);
                let shown = picture(&board, &view(false), width, height);
                if (width, height) == (60, 9) {
                    assert!(shown.iter().any(|line| line.contains("agree after")), "{shown:#?}");
                }
            }
        }
    }

    #[test]
    fn long_lines_are_broken_between_words() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("unbreakable", 4), ["unbreakable"]);
    }
}
