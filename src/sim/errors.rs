//! What the core logs as an error during a run: an invariant broke, so the run has failed.
//!
//! A `tracing` subscriber of a few lines that keeps ERROR events and lets nothing else be formatted.
//! It is installed for one run and one thread ([`tracing::subscriber::with_default`]), never
//! globally. Events below ERROR cost one comparison with the level hint.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// ERROR events of one run, oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Errors(Arc<Kept>);

#[derive(Debug, Default)]
struct Kept {
    count: AtomicUsize,
    texts: Mutex<Vec<String>>,
}

impl Errors {
    /// Is anything kept? One load.
    pub(crate) fn any(&self) -> bool {
        self.0.count.load(Ordering::Relaxed) > 0
    }

    /// Takes what is kept.
    pub(crate) fn take(&self) -> Vec<String> {
        self.0.count.store(0, Ordering::Relaxed);
        std::mem::take(&mut *self.0.texts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Subscriber for Errors {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::ERROR)
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        self.0.texts.lock().unwrap_or_else(PoisonError::into_inner).push(text.0);
        self.0.count.fetch_add(1, Ordering::Relaxed);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// An event as one line: the message, then the fields.
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let written = if field.name() == "message" {
            write!(self.0, "{value:?}")
        } else {
            write!(self.0, " {field}={value:?}")
        };
        written.expect("a string takes any text");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_kept_and_nothing_else_is_even_formatted() {
        struct Never;
        impl std::fmt::Debug for Never {
            fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                panic!("formatted for nobody")
            }
        }
        let errors = Errors::default();
        tracing::subscriber::with_default(errors.clone(), || {
            tracing::warn!(value = ?Never, "not this");
            let _span = tracing::info_span!("nor this", value = ?Never).entered();
            assert!(!errors.any());
            tracing::error!(timers = 3, "no probe is scheduled");
        });
        tracing::error!("outside of the run");
        assert!(errors.any());
        assert_eq!(errors.take(), ["no probe is scheduled timers=3"]);
        assert!(!errors.any() && errors.take().is_empty());
    }
}
