use ratatui::layout::Rect;

/// Cuts `height` lines, or what is left, off the top of `area`.
pub(crate) fn take_top(area: &mut Rect, height: u16) -> Rect {
    let height = height.min(area.height);
    let top = Rect { height, ..*area };
    *area = Rect { y: area.y + height, height: area.height - height, ..*area };
    top
}

/// Cuts `height` lines, or what is left, off the bottom of `area`.
pub(crate) fn take_bottom(area: &mut Rect, height: u16) -> Rect {
    let height = height.min(area.height);
    let bottom = Rect { y: area.y + area.height - height, height, ..*area };
    area.height -= height;
    bottom
}
