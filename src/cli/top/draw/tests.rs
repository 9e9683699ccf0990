use super::super::testing::busy;
use super::*;
use crate::cli::top::model::Key;

fn as_text(model: &Model, width: u16, height: u16) -> Vec<String> {
    crate::screen::as_text(width, height, |frame| {
        draw(frame, model);
    })
}

fn text(model: &Model, width: u16, height: u16) -> String {
    as_text(model, width, height).join("\n")
}

#[test]
fn at_80_by_24_everything_has_its_place() {
    let mut model = busy();
    let picture = as_text(&model, 80, 24);
    assert_eq!(picture.len(), 24);
    assert_eq!(picture[0], "n1 of shoal  2 alive  1 suspect  1 failed  0 left");
    assert_eq!(
        picture[1],
        "health 1 (strained)  3 instances  4 checks  heard 0s ago  last difference 2m ago"
    );
    assert!(
        picture[2].starts_with("in 10/s 2.0kB/s  out 5.0/s 500B/s  probes 1.0/s  failed 0.0/s"),
        "{}",
        picture[2]
    );
    assert_eq!(picture[3], " 1 Members  2 Services  3 Checks  4 Events");
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(&picture[4]), ["NAME", "STATUS", "RTT", "ADDRESS", "TAGS"]);
    assert_eq!(words(&picture[5]), ["n3", "failed", "-", "10.0.0.3:7946", "rack=r3"]);
    assert_eq!(words(&picture[6]), ["n2", "suspect", "2ms", "10.0.0.2:7946", "rack=r2"]);
    assert_eq!(picture[17], "Latest events");
    assert!(picture[18].ends_with("check-changed service:web on n3: passing to critical"), "{}", picture[18]);
    assert_eq!(picture[23], "q quit  1-4 view  s sort (status)  r reverse  \u{2191}\u{2193} scroll");
    model.press(Key::Show(Tab::Services));
    let picture = as_text(&model, 80, 24);
    assert_eq!(words(&picture[5]), ["web", "3", "1", "0", "2"]);
    model.press(Key::Show(Tab::Checks));
    let picture = as_text(&model, 80, 24);
    assert_eq!(words(&picture[5])[..3], ["serfHealth", "critical", "n3"]);
    model.press(Key::Show(Tab::Events));
    let picture = as_text(&model, 80, 24);
    assert_eq!(words(&picture[4]), ["AGE", "EVENT"]);
}

#[test]
fn at_40_by_10_the_table_and_the_keys_are_there() {
    let mut model = busy();
    let picture = as_text(&model, 40, 10);
    assert_eq!(picture.len(), 10);
    assert_eq!(picture[0], "n1 2 alive  1 suspect  1 failed  0 left");
    assert!(picture[1].starts_with(" 1 Members  2 Services  3 Checks"), "{}", picture[1]);
    assert_eq!(picture[2].split_whitespace().collect::<Vec<_>>(), ["NAME", "STATUS", "RTT"]);
    assert!(picture[3].starts_with("n3"), "{}", picture[3]);
    assert!(picture[9].starts_with("q quit"), "{}", picture[9]);
    for tab in Tab::ALL {
        model.press(Key::Show(tab));
        assert!(!text(&model, 40, 10).is_empty());
    }
}

#[test]
fn no_size_is_too_small_to_draw() {
    let mut model = busy();
    let mut empty = Model::new();
    for tab in Tab::ALL {
        model.press(Key::Show(tab));
        empty.press(Key::Show(tab));
        for (width, height) in (0..24).flat_map(|h| [0, 1, 2, 3, 7, 19, 40, 200].map(|w| (w, h))) {
            for offset in [0, usize::MAX] {
                model.offset = offset;
                as_text(&model, width, height);
                as_text(&empty, width, height);
            }
        }
    }
}

#[test]
fn trouble_comes_first_and_what_was_known_stays() {
    let mut model = busy();
    model.trouble = Some("no agent answers at /x".to_owned());
    let picture = as_text(&model, 80, 24);
    assert_eq!(picture[0], "no agent answers at /x; trying again");
    assert!(picture[5].starts_with("n3"));
}

#[test]
fn scrolling_stops_at_the_last_row() {
    let mut model = busy();
    model.page = 2;
    model.press(Key::Bottom);
    assert_eq!(model.offset, 2);
    model.press(Key::Move(5));
    assert_eq!(model.offset, 2);
    let picture = as_text(&model, 40, 6);
    assert!(picture[4].starts_with("n4"), "{picture:?}");
}

#[test]
fn numbers_are_short() {
    assert_eq!([0.04, 9.9, 123.4, 54_321.0].map(short_count), ["0.0", "9.9", "123", "54k"]);
    assert_eq!([12.0, 2_049.0, 3_200_000.0].map(short_bytes), ["12B/s", "2.0kB/s", "3.2MB/s"]);
    let ages = [0, 59, 60, 7_200, 900_000].map(|s| short_age(Duration::from_secs(s)));
    assert_eq!(ages, ["0s", "59s", "1m", "2h", "10d"]);
}
