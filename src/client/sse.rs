//! Server-sent events: bytes in, events out.
//!
//! Follows the event stream interpretation of the WHATWG HTML standard (9.2.6), with one
//! difference: a block that names an event is delivered even when it carries no data.

use std::collections::VecDeque;

/// The most bytes one event may take. A snapshot of a large table is a few megabytes.
const EVENT_BYTES_MAX: usize = 256 << 20;

/// One event of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Event {
    /// The last id the stream named, if any.
    pub(super) id: Option<String>,
    /// The event's name; `message` when it named none.
    pub(super) name: String,
    /// The data lines, joined by line feeds.
    pub(super) data: String,
}

/// An event grew past [`EVENT_BYTES_MAX`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TooLarge;

/// Reassembles events from pieces of a stream, cut anywhere.
#[derive(Debug, Default)]
pub(super) struct Parser {
    line: Vec<u8>,
    after_cr: bool,
    begun: bool,
    id: Option<String>,
    name: Option<String>,
    data: Option<String>,
    events: VecDeque<Event>,
}

impl Parser {
    /// Takes the next piece.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), TooLarge> {
        while !bytes.is_empty() {
            // CR LF is one line end, also when the pieces are cut between the two.
            if std::mem::take(&mut self.after_cr) && bytes[0] == b'\n' {
                bytes = &bytes[1..];
                continue;
            }
            let Some(end) = bytes.iter().position(|b| matches!(b, b'\n' | b'\r')) else {
                self.line.extend_from_slice(bytes);
                return self.check_size();
            };
            self.line.extend_from_slice(&bytes[..end]);
            self.check_size()?;
            self.after_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
            let line = std::mem::take(&mut self.line);
            self.end_line(&line);
        }
        Ok(())
    }

    /// The next whole event, if one has arrived.
    pub(super) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn check_size(&self) -> Result<(), TooLarge> {
        let held = self.line.len() + self.data.as_ref().map_or(0, String::len);
        if held > EVENT_BYTES_MAX { Err(TooLarge) } else { Ok(()) }
    }

    fn end_line(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let mut line = line.as_ref();
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix('\u{feff}').unwrap_or(line);
        }
        if line.is_empty() {
            return self.end_event();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            "event" => self.name = Some(value.to_owned()),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            // Comments (an empty field name) keep the connection open; the rest is for browsers.
            _ => {}
        }
    }

    fn end_event(&mut self) {
        let (name, data) = (self.name.take(), self.data.take());
        if name.is_some() || data.is_some() {
            self.events.push_back(Event {
                id: self.id.clone().filter(|id| !id.is_empty()),
                name: name.filter(|n| !n.is_empty()).unwrap_or_else(|| "message".to_owned()),
                data: data.unwrap_or_default(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(pieces: &[&[u8]]) -> Vec<Event> {
        let mut parser = Parser::default();
        let mut events = Vec::new();
        for piece in pieces {
            parser.feed(piece).expect("small");
            while let Some(event) = parser.poll_event() {
                events.push(event);
            }
        }
        events
    }

    fn event(id: Option<&str>, name: &str, data: &str) -> Event {
        Event { id: id.map(str::to_owned), name: name.to_owned(), data: data.to_owned() }
    }

    const STREAM: &[u8] = b"\xef\xbb\xbf: hello\nid: 7\nevent: snapshot\ndata: {\"a\":1}\n\n\
        event: change\r\ndata:one\r\ndata: two\r\n\r\n\
        id: 8\revent: gone\r\rretry: 10\n\ndata\n\nid: 9\nevent: half\ndata: never ended\n";

    fn whole() -> Vec<Event> {
        vec![
            event(Some("7"), "snapshot", "{\"a\":1}"),
            event(Some("7"), "change", "one\ntwo"),
            event(Some("8"), "gone", ""),
            event(Some("8"), "message", ""),
        ]
    }

    #[test]
    fn events_are_read_with_every_kind_of_line_end() {
        assert_eq!(parse(&[STREAM]), whole());
    }

    #[test]
    fn one_byte_at_a_time_gives_the_same_events() {
        let bytes: Vec<&[u8]> = STREAM.chunks(1).collect();
        assert_eq!(parse(&bytes), whole());
    }

    proptest! {
        #[test]
        fn the_cuts_do_not_matter(cuts in proptest::collection::vec(0..STREAM.len(), 0..12)) {
            let mut cuts = cuts;
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts {
                pieces.push(&STREAM[from..cut]);
                from = cut;
            }
            pieces.push(&STREAM[from..]);
            prop_assert_eq!(parse(&pieces), whole());
        }

        #[test]
        fn any_data_survives(lines in proptest::collection::vec("[^\r\n\u{feff}]{0,30}", 1..5), cut in 0usize..200) {
            let data = lines.join("\n");
            let fields: Vec<String> = lines.iter().map(|line| format!("data: {line}\n")).collect();
            let text = format!("event: change\n{}\n", fields.concat());
            let bytes = text.as_bytes();
            let cut = cut.min(bytes.len());
            prop_assert_eq!(parse(&[&bytes[..cut], &bytes[cut..]]), vec![event(None, "change", &data)]);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&[&bytes]);
        }
    }
}
