use ratatui::backend::TestBackend;
use ratatui::{DefaultTerminal, Frame, Terminal};
use std::io;

/// The whole terminal; it is as it was before when this is dropped, as by an error or a panic.
pub(crate) struct Screen(DefaultTerminal);

impl Screen {
    /// Takes the terminal.
    pub(crate) fn open() -> io::Result<Self> {
        match ratatui::try_init() {
            Ok(terminal) => Ok(Self(terminal)),
            Err(error) => {
                // Raw mode may be on already. That this fails too changes nothing.
                ratatui::try_restore().ok();
                Err(error)
            }
        }
    }

    /// Shows what `draw` draws, and answers what it does.
    pub(crate) fn draw<T>(&mut self, draw: impl FnOnce(&mut Frame<'_>) -> T) -> io::Result<T> {
        let mut answer = None;
        self.0.draw(|frame| answer = Some(draw(frame)))?;
        Ok(answer.expect("a terminal that drew has called what draws"))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that went away cannot be restored, and does not have to be.
        ratatui::try_restore().ok();
        self.0.show_cursor().ok();
    }
}

/// What `draw` draws as lines of text, as it would look on a terminal of that size.
pub(crate) fn as_text(width: u16, height: u16, draw: impl FnOnce(&mut Frame<'_>)) -> Vec<String> {
    let Ok(mut terminal) = Terminal::new(TestBackend::new(width, height));
    let Ok(frame) = terminal.draw(draw);
    let cells = frame.buffer.content().chunks(usize::from(width.max(1)));
    cells
        .map(|line| line.iter().map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_owned())
        .collect()
}
