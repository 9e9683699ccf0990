//! Threads that take one run after the other. What a run gives depends on its job alone, so neither
//! their number nor their order is seen in any result.

use std::any::Any;
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// How often whoever waits is called when nothing happens.
const TICK: Duration = Duration::from_millis(200);
/// Threads of this name keep their panics to themselves: each is told as the end of its run.
const THREAD_NAME: &str = "simulated run";

/// What workers tell.
pub(super) enum News<T> {
    /// Job so and so has come to this point of its virtual time, out of so much.
    At(usize, Duration, Duration),
    /// It is done; the error is the message of a panic.
    Done(usize, Result<T, String>),
    /// Nothing for a while.
    Nothing,
}

/// Does `work` for each job number below `count` on `threads` threads; `tell` learns of it on the
/// calling thread, and ends everything early by an error.
pub(super) fn run_all<T: Send, E>(
    count: usize,
    threads: usize,
    work: impl Fn(usize, &mut dyn FnMut(Duration, Duration)) -> T + Sync,
    mut tell: impl FnMut(News<T>) -> Result<(), E>,
) -> Result<(), E> {
    let _quiet = Quiet::new();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..threads.clamp(1, count.max(1)) {
            let (sender, next, work) = (sender.clone(), &next, &work);
            let worker = move || {
                loop {
                    let job = next.fetch_add(1, Ordering::Relaxed);
                    if job >= count {
                        return;
                    }
                    let mut watch = |at, of| {
                        // Nobody listens any more once the caller gave up.
                        sender.send(News::At(job, at, of)).ok();
                    };
                    let done = panic::catch_unwind(AssertUnwindSafe(|| work(job, &mut watch)));
                    let done = done.map_err(|panic| message(&*panic) + &place());
                    if sender.send(News::Done(job, done)).is_err() {
                        return;
                    }
                }
            };
            let started = thread::Builder::new().name(THREAD_NAME.to_owned()).spawn_scoped(scope, worker);
            if started.is_err() && next.load(Ordering::Relaxed) == 0 {
                panic!("the system gives no thread to run simulations on");
            }
        }
        drop(sender);
        loop {
            let news = match receiver.recv_timeout(TICK) {
                Ok(news) => news,
                Err(RecvTimeoutError::Timeout) => News::Nothing,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            if let Err(error) = tell(news) {
                // What runs is finished, nothing new begins.
                next.store(count, Ordering::Relaxed);
                return Err(error);
            }
        }
    })
}

thread_local! {
    /// Where in the program this thread last panicked.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Where the panic was, unless its message says more than a place could.
fn place() -> String {
    PLACE.with(RefCell::take)
}

fn message(panic: &(dyn Any + Send)) -> String {
    text_of(panic).unwrap_or("a panic without a message").to_owned()
}

fn text_of(panic: &(dyn Any + Send)) -> Option<&str> {
    panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied())
}

type Hook = Box<dyn Fn(&panic::PanicHookInfo<'_>) + Sync + Send>;

/// While it lives, panics of our threads print nothing.
struct Quiet(std::sync::Arc<Hook>);

impl Quiet {
    fn new() -> Self {
        let former = std::sync::Arc::new(panic::take_hook());
        let other = std::sync::Arc::clone(&former);
        panic::set_hook(Box::new(move |info| {
            if thread::current().name() != Some(THREAD_NAME) {
                return other(info);
            }
            // A broken invariant says what and when; of other panics the place is all there is.
            let told = text_of(info.payload()).is_some_and(|text| text.contains("replay:"));
            if let (false, Some(at)) = (told, info.location()) {
                PLACE.with(|place| *place.borrow_mut() = format!(" (at {at})"));
            }
        }));
        Self(former)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let former = std::sync::Arc::clone(&self.0);
        if !thread::panicking() {
            panic::set_hook(Box::new(move |info| former(info)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_is_done_once_and_a_panic_is_the_result_of_its_job() {
        let mut done = vec![None; 20];
        let work = |job: usize, watch: &mut dyn FnMut(Duration, Duration)| {
            watch(Duration::from_secs(job as u64), Duration::from_secs(20));
            assert!(job != 7, "job {job} falls");
            job * 2
        };
        run_all(20, 3, work, |news| {
            if let News::Done(job, result) = news {
                assert!(done[job].replace(result).is_none(), "once");
            }
            Ok::<(), ()>(())
        })
        .expect("nobody stops it");
        for (job, result) in done.into_iter().enumerate() {
            match result.expect("every job") {
                Ok(double) => assert_eq!(double, job * 2),
                Err(message) => {
                    assert_eq!(job, 7);
                    assert!(message.starts_with("job 7 falls (at "), "{message}");
                }
            }
        }
    }

    #[test]
    fn whoever_listens_can_end_it() {
        let mut heard = 0;
        let ended = run_all(
            1_000,
            2,
            |job, _| job,
            |news| {
                heard += usize::from(matches!(news, News::Done(..)));
                if heard == 3 { Err("enough") } else { Ok(()) }
            },
        );
        assert_eq!((ended, heard), (Err("enough"), 3));
    }
}
