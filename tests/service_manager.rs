//! What systemd is told, over a socket that stands in for it.

#![allow(clippy::disallowed_methods, reason = "real processes live in real time")]

#[path = "support/agent_process.rs"]
mod support;

use nix::sys::ptrace;
use nix::sys::signal::{self, Signal};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use support::{Answer, PATIENCE, Place, poll, request, shoal};

/// Time within which the manager wants a sign of life.
const WITHIN: Duration = Duration::from_millis(600);

struct Manager {
    socket: UnixDatagram,
    place: Place,
    agent: Child,
}

impl Manager {
    /// Starts an agent as the manager would.
    fn start(watchdog: bool) -> Self {
        let place = Place::new();
        let path = place.path("notify");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        fs::write(place.path("shoal.toml"), "").expect("is written");
        let mut command = shoal();
        command.arg("agent").args(place.flags("one")).arg("--config").arg(place.path("shoal.toml"));
        command.env("NOTIFY_SOCKET", &path).stdout(Stdio::null());
        command.stderr(fs::File::create(place.path("log")).expect("a log file"));
        if watchdog {
            command.env("WATCHDOG_USEC", WITHIN.as_micros().to_string());
        }
        let agent = command.spawn().expect("the binary starts");
        Self { socket, place, agent }
    }

    /// What is told next, unless nothing comes for so long.
    fn told_within(&self, patience: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(patience)).expect("is set");
        let mut buffer = [0; 4096];
        match self.socket.recv(&mut buffer) {
            Ok(length) => Some(String::from_utf8_lossy(&buffer[..length]).trim_end().to_owned()),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
            Err(e) => panic!("{e}"),
        }
    }

    fn told(&self) -> String {
        self.told_within(PATIENCE).unwrap_or_else(|| panic!("nothing came:\n{}", self.log()))
    }

    fn told_but_signs_of_life(&self) -> String {
        loop {
            let told = self.told();
            if told != "WATCHDOG=1" {
                return told;
            }
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.place.path("log")).unwrap_or_default()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.agent.id().cast_signed())
    }

    fn signal(&self, number: Signal) {
        signal::kill(self.pid(), number).expect("it is ours and was not waited for");
    }

    fn answers(&self) -> bool {
        let Ok(mut stream) = std::os::unix::net::UnixStream::connect(self.place.path("agent.sock")) else {
            return false;
        };
        stream.set_read_timeout(Some(PATIENCE)).expect("is set");
        let sent = std::io::Write::write_all(&mut stream, request("GET", "/v1/agent/self", "").as_bytes());
        sent.is_ok() && Answer::read(stream).status == 200
    }

    /// The thread that runs the protocol.
    fn protocol_thread(&self) -> Pid {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).expect("it runs");
        let found = tasks.flatten().find(|task| {
            fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.trim() == "shoal-protocol")
        });
        let name = found.expect("it has such a thread").file_name();
        Pid::from_raw(name.to_string_lossy().parse().expect("a number"))
    }

    fn exit_code(&mut self) -> Option<i32> {
        poll(PATIENCE, || self.agent.try_wait().expect("can be asked")).expect("it ends").code()
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.agent.kill().ok();
        self.agent.wait().ok();
    }
}

#[test]
fn ready_is_said_once_the_agent_answers_reload_and_end_are_told() {
    let mut manager = Manager::start(false);
    assert_eq!(manager.told(), "READY=1");
    assert!(manager.answers(), "it is ready when it says so");
    manager.signal(Signal::SIGHUP);
    let told = manager.told();
    let (first, second) = told.split_once('\n').expect("two lines");
    assert_eq!(first, "RELOADING=1");
    let told: u64 = second.strip_prefix("MONOTONIC_USEC=").expect("a time").parse().expect("a number");
    let uptime = fs::read_to_string("/proc/uptime").expect("is there");
    let now: f64 = uptime.split(' ').next().and_then(|s| s.parse().ok()).expect("a number");
    assert!((told as f64 / 1e6 - now).abs() < PATIENCE.as_secs_f64(), "{told} at {now}");
    assert_eq!(manager.told(), "READY=1");
    // One that is refused has come to its end as well; the log says what was wrong.
    fs::write(manager.place.path("shoal.toml"), "cluster = 7\n").expect("is written");
    manager.signal(Signal::SIGHUP);
    assert!(manager.told().starts_with("RELOADING=1\n"));
    assert_eq!(manager.told(), "READY=1");
    assert!(manager.log().contains("cluster = 7: want"), "{}", manager.log());
    assert_eq!(manager.told_within(WITHIN), None, "signs of life are told who wants them");
    manager.signal(Signal::SIGTERM);
    assert_eq!(manager.told(), "STOPPING=1");
    assert_eq!(manager.exit_code(), Some(0), "{}", manager.log());
}

#[test]
fn signs_of_life_come_from_the_loop_and_stop_when_it_is_stuck() {
    let mut manager = Manager::start(true);
    assert_eq!(manager.told_but_signs_of_life(), "READY=1");
    let began = Instant::now();
    for _ in 0..4 {
        assert_eq!(manager.told(), "WATCHDOG=1");
    }
    let took = began.elapsed();
    assert!(took >= WITHIN, "twice in the time that is wanted, not more often: {took:?}");
    // The protocol's thread alone is held; the API's go on, and answer from the view.
    let thread = manager.protocol_thread();
    ptrace::attach(thread).expect("a child may be traced");
    waitpid(thread, Some(WaitPidFlag::__WALL)).expect("it stops");
    while manager.told_within(WITHIN / 2).is_some() {}
    assert!(manager.answers(), "others do not notice");
    assert_eq!(manager.told_within(WITHIN * 3), None, "a loop that is stuck gives no sign of life");
    ptrace::detach(thread, None).expect("it was held");
    assert_eq!(manager.told(), "WATCHDOG=1");
    manager.signal(Signal::SIGTERM);
    assert_eq!(manager.told_but_signs_of_life(), "STOPPING=1");
    assert_eq!(manager.exit_code(), Some(0), "{}", manager.log());
}
