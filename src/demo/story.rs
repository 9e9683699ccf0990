//! Plays a script, step by step, while the board goes on.

use super::script::{Act, Step};
use super::stage::Stage;
use crate::agent::ApiParts;
use crate::api::Api;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

/// What is not known everywhere by then is given up.
pub(super) const SETTLE_MAX: Duration = Duration::from_secs(60);

/// A script that is being played.
#[derive(Debug)]
pub(super) struct Story {
    steps: VecDeque<Step>,
    /// When the step under way ends, whatever happens.
    until: Option<Instant>,
    /// A step could not be done.
    pub(super) failed: bool,
}

/// What a story wants next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// This done.
    Act(Act),
    /// To be asked again at this time, or when something happened.
    Wait(Instant),
    /// To say that not everybody agrees.
    GiveUp,
    /// Nothing any more.
    End,
}

impl Story {
    pub(super) fn new(steps: Vec<Step>) -> Self {
        Self { steps: steps.into(), until: None, failed: false }
    }

    pub(super) fn next(&mut self, settled: bool, now: Instant) -> Next {
        loop {
            let Some(step) = self.steps.front() else { return Next::End };
            match step {
                Step::Act(_) => {
                    let Some(Step::Act(act)) = self.steps.pop_front() else { return Next::End };
                    return Next::Act(act);
                }
                Step::Wait(time) => {
                    let until = *self.until.get_or_insert(now + *time);
                    if now < until {
                        return Next::Wait(until);
                    }
                }
                Step::Settle => {
                    let until = *self.until.get_or_insert(now + SETTLE_MAX);
                    if !settled && now < until {
                        return Next::Wait(until);
                    }
                    if !settled {
                        self.end_step();
                        return Next::GiveUp;
                    }
                }
            }
            self.end_step();
        }
    }

    fn end_step(&mut self) {
        self.until = None;
        self.steps.pop_front();
    }

    /// Goes one step on, if it is time to; whether it is over.
    pub(super) async fn go_on<F>(&mut self, stage: &mut Stage<F>) -> bool
    where
        F: Fn(ApiParts) -> Api + Clone + Send + 'static,
    {
        match self.next(stage.board.is_settled(), Instant::now()) {
            Next::Act(act) => self.failed |= !stage.act(&act).await,
            Next::GiveUp => {
                self.failed = true;
                let now = stage.now();
                stage.board.give_up(now);
            }
            Next::Wait(_) => {}
            Next::End => return true,
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::script::parse;

    #[tokio::test(start_paused = true)]
    async fn steps_come_one_after_the_other_and_waiting_has_an_end() {
        let mut story = Story::new(parse("wait 2s; heal; settle; settle").expect("a script"));
        let start = Instant::now();
        assert_eq!(story.next(true, start), Next::Wait(start + Duration::from_secs(2)));
        assert_eq!(story.next(true, start + Duration::from_secs(2)), Next::Act(Act::Heal(None)));
        let later = start + Duration::from_secs(3);
        assert_eq!(story.next(false, later), Next::Wait(later + SETTLE_MAX));
        // Known at last; the second wait for it begins anew and is not met.
        assert_eq!(story.next(false, later + SETTLE_MAX), Next::GiveUp);
        assert_eq!(story.next(true, later + SETTLE_MAX), Next::End);
    }
}
