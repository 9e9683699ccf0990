//! `watch --exec`, `render` and `top` as processes, against real agents.

#![allow(clippy::disallowed_methods, reason = "real processes live in real time")]

#[path = "support/agent_process.rs"]
mod support;

use nix::pty::{Winsize, openpty};
use nix::sys::signal::{self, Signal};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use support::{Agent, PATIENCE, Place, poll, shoal};

/// A command that is ended with its test.
struct Running(Child);

impl Running {
    fn start(command: &mut Command) -> Self {
        Self(command.spawn().expect("the binary starts"))
    }

    fn signal(&self, number: Signal) {
        signal::kill(Pid::from_raw(self.0.id().cast_signed()), number)
            .expect("it is ours and was not waited for");
    }

    fn code(&mut self) -> Option<i32> {
        poll(PATIENCE, || self.0.try_wait().expect("can be asked")).expect("it ends").code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn asking(agent: &Agent, words: &[&str]) -> Command {
    let mut command = shoal();
    command.args(words).arg("--socket").arg(agent.socket());
    command
}

fn register(agent: &Agent, id: &str, port: u16) {
    let body = format!(r#"{{"Name": "web", "ID": "{id}", "Port": {port}, "Address": "10.0.0.7"}}"#);
    assert_eq!(agent.put("/v1/agent/service/register", &body).status, 200, "{}", agent.log());
}

fn appears(path: &std::path::Path, wanted: &str) {
    let mut last = String::new();
    let found = poll(PATIENCE, || {
        last = fs::read_to_string(path).unwrap_or_default();
        (last == wanted).then_some(())
    });
    assert!(found.is_some(), "{} still says {last:?}, not {wanted:?}", path.display());
}

#[test]
fn a_rendered_file_follows_the_table_over_a_crash_of_the_agent() {
    let place = Place::new();
    let agent = place.start("one", &[]);
    register(&agent, "a", 80);
    let (template, out, runs) = (place.path("in"), place.path("out"), place.path("runs"));
    fs::write(&template, "{% for i in service('web') %}\n{{ i.endpoint }} {{ i.health }}\n{% endfor %}\n")
        .expect("is written");
    let exec = format!("echo run >> {}", runs.display());
    let words = ["render", &template.display().to_string(), &out.display().to_string(), "-q"];
    let mut render = asking(&agent, &words);
    let mut render =
        Running::start(render.args(["--debounce", "20ms", "--exec", &exec, "--verify", "test -s {}"]));
    appears(&out, "10.0.0.7:80 passing\n");
    register(&agent, "b", 81);
    appears(&out, "10.0.0.7:80 passing\n10.0.0.7:81 passing\n");
    agent.kill();
    let agent = place.start("one", &[]);
    assert_eq!(agent.put("/v1/agent/service/deregister/a", "").status, 200);
    appears(&out, "10.0.0.7:81 passing\n");
    // An empty file is what --verify refuses, so the last good one stays.
    assert_eq!(agent.put("/v1/agent/service/deregister/b", "").status, 200);
    register(&agent, "c", 82);
    appears(&out, "10.0.0.7:82 passing\n");
    render.signal(Signal::SIGTERM);
    assert_eq!(render.code(), Some(0));
    let ran = fs::read_to_string(&runs).expect("it ran").lines().count();
    assert!((3..=5).contains(&ran), "{ran} runs");
}

#[test]
fn a_watch_runs_its_command_for_what_changes_and_ends_with_a_signal() {
    let place = Place::new();
    let agent = place.start("one", &[]);
    let (begun, lines) = (place.path("begun"), place.path("lines"));
    let exec =
        format!("cat >> {}; echo \"$SHOAL_SERVICE $SHOAL_INDEX\" > {}", lines.display(), begun.display());
    let mut watch = asking(&agent, &["watch", "web", "-q", "--debounce", "20ms", "--exec", &exec]);
    let mut watch = Running::start(watch.stdout(Stdio::null()));
    // What was there before the watch began is no change, so there have to be some afterwards.
    let mut port = 80;
    let ran = poll(PATIENCE, || {
        port += 1;
        register(&agent, "a", port);
        fs::read_to_string(&begun).ok().filter(|text| text.ends_with('\n'))
    });
    let ran = ran.expect("the command runs");
    let index = ran.trim().strip_prefix("web ").and_then(|index| index.parse::<u64>().ok());
    assert!(index.is_some_and(|index| index > 0), "{ran}");
    let lines = fs::read_to_string(&lines).expect("it ran");
    for line in lines.lines() {
        let change: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
        assert_eq!(change["service"], "web");
    }
    watch.signal(Signal::SIGTERM);
    assert_eq!(watch.code(), Some(0));
}

/// A terminal of 80 by 24 whose screen is read as it is written.
struct Terminal {
    ours: File,
    theirs: OwnedFd,
    read: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    fn open() -> Self {
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(Some(&size), None).expect("a pseudo terminal");
        let ours = File::from(pty.master);
        let (mut reader, read) =
            (ours.try_clone().expect("a second handle"), Arc::new(Mutex::new(Vec::new())));
        let into = Arc::clone(&read);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = reader.read(&mut bytes) {
                into.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&bytes[..n]);
            }
        });
        Self { ours, theirs: pty.slave, read }
    }

    fn run(&self, command: &mut Command) -> Running {
        let end = || Stdio::from(self.theirs.try_clone().expect("a second handle"));
        Running::start(command.env("TERM", "xterm").stdin(end()).stdout(end()).stderr(end()))
    }

    fn shows(&self, wanted: &str) {
        let seen = || {
            String::from_utf8_lossy(&self.read.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
        };
        let found = poll(PATIENCE, || seen().contains(wanted).then_some(()));
        assert!(found.is_some(), "no {wanted:?} in {:?}", seen());
    }

    fn is_raw(&self) -> bool {
        let modes = tcgetattr(self.theirs.as_fd()).expect("a terminal has modes");
        !modes.local_flags.contains(LocalFlags::ICANON)
    }
}

const LEAVES_THE_SCREEN: &str = "\u{1b}[?1049l";

#[test]
fn top_shows_the_cluster_and_gives_the_terminal_back_by_key_and_by_signal() {
    let place = Place::new();
    let agent = place.start("one", &[]);
    register(&agent, "a", 80);
    for ends_by_key in [true, false] {
        let mut terminal = Terminal::open();
        let mut top = terminal.run(&mut asking(&agent, &["top", "--interval", "50ms"]));
        terminal.shows("Members");
        assert!(terminal.is_raw());
        terminal.ours.write_all(b"2").expect("is typed");
        terminal.shows("SERVICE");
        if ends_by_key {
            terminal.ours.write_all(b"q").expect("is typed");
        } else {
            top.signal(Signal::SIGTERM);
        }
        assert_eq!(top.code(), Some(0));
        terminal.shows(LEAVES_THE_SCREEN);
        assert!(!terminal.is_raw());
    }
}

#[test]
fn top_once_prints_the_view_as_text() {
    let place = Place::new();
    let agent = place.start("one", &[]);
    register(&agent, "a", 80);
    let once = asking(&agent, &["top", "--once"]).output().expect("it runs");
    let text = String::from_utf8_lossy(&once.stdout).into_owned();
    assert!(once.status.success() && text.starts_with("one of shoal  1 alive"), "{text}");
    // No terminal is here.
    let refused = asking(&agent, &["top"]).output().expect("it runs");
    assert_eq!(refused.status.code(), Some(2));
}
