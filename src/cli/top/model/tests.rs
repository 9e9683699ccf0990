use super::super::testing::{busy, change};
use super::*;
use serde_json::json;

#[test]
fn rates_are_over_the_time_between_two_answers_and_none_after_a_restart() {
    let rates_of = |before: u64, after: u64, seconds: u64| {
        let counters = |n: u64| json!({"shoal_datagrams_sent_total": n});
        rates(&counters(before), &counters(after), Duration::from_secs(seconds)).map(|rates| rates.sent)
    };
    assert_eq!(rates_of(100, 150, 10), Some(5.0));
    assert_eq!(rates_of(150, 10, 10), None);
    assert_eq!(rates_of(1, 2, 0), None);
}

#[test]
fn an_instance_is_as_bad_as_its_node_and_its_worst_check() {
    let mut model = busy();
    let web = ServiceRow { name: "web".to_owned(), passing: 1, warning: 0, critical: 2 };
    assert_eq!(model.services, [web]);
    model.take_event(&change(json!({"index": 6, "kind": "instance-removed", "node": "n2",
        "instance": {"node": "n2", "service": {"ID": "web", "Service": "web"}}})));
    model.take_event(&change(json!({"index": 7, "kind": "instance-added", "node": "n1",
        "instance": {"node": "n1", "status": "passing", "service": {"ID": "db", "Service": "db"}}})));
    model.count_services();
    let counts: Vec<_> =
        model.services.iter().map(|row| (row.name.as_str(), row.passing, row.critical)).collect();
    assert_eq!(counts, [("db", 1, 0), ("web", 1, 1)]);
    assert_eq!(model.events[0].text, "instance-added db on n1 passing");
}

#[test]
fn orders_go_round_and_can_be_turned() {
    let mut model = busy();
    let names = |model: &Model| model.members.iter().map(|m| m.name.as_str()).collect::<Vec<_>>().join(" ");
    assert_eq!((model.order(), names(&model).as_str()), (Order::Status, "n3 n2 n1 n4"));
    model.press(Key::Sort);
    assert_eq!((model.order(), names(&model).as_str()), (Order::Name, "n1 n2 n3 n4"));
    model.press(Key::Reverse);
    assert_eq!(names(&model), "n4 n3 n2 n1");
    model.press(Key::Reverse);
    model.press(Key::Sort);
    assert_eq!((model.order(), names(&model).as_str()), (Order::Rtt, "n4 n2 n1 n3"));
    model.press(Key::Sort);
    assert_eq!(model.order(), Order::Status);
    model.press(Key::PreviousTab);
    assert_eq!(model.tab, Tab::Events);
    assert!(!model.press(Key::Quit));
}

#[test]
fn events_are_bounded_and_stay_where_they_are_looked_at() {
    let mut model = busy();
    model.press(Key::Show(Tab::Events));
    for n in 0..EVENTS_MAX + 10 {
        model.take_event(&change(
            json!({"index": n, "kind": "member-changed", "node": "n9", "member": {"status": "failed"}}),
        ));
    }
    assert_eq!((model.events.len(), model.offset), (EVENTS_MAX, 0));
    assert_eq!(model.events[0].text, "member-changed n9 failed");
    (model.page, model.offset) = (10, 5);
    model.take_event(&WatchEvent::Resumed);
    assert_eq!(model.offset, 6);
}

#[test]
fn what_others_wrote_moves_no_cursor() {
    let raw = json!({"kind": "instance-added", "node": "\u{1b}[2J", "instance": {"service": {"ID": "a\nb"}}});
    assert_eq!(told(&raw).0, "instance-added a b on [2J");
}
