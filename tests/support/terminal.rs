//! Commands that have a terminal, and what they show on it.

#![allow(dead_code, reason = "each test target uses its own part")]

use crate::support::{PATIENCE, poll};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{self, Signal};
use nix::sys::termios::{LocalFlags, tcgetattr};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

/// A command that is ended with its test.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.spawn().expect("the binary starts"))
    }

    pub(crate) fn own(child: Child) -> Self {
        Self(child)
    }

    pub(crate) fn signal(&self, number: Signal) {
        signal::kill(Pid::from_raw(self.0.id().cast_signed()), number)
            .expect("it is ours and was not waited for");
    }

    pub(crate) fn code(&mut self) -> Option<i32> {
        poll(PATIENCE, || self.0.try_wait().expect("can be asked")).expect("it ends").code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A terminal of 80 by 24 whose screen is read as it is written.
pub(crate) struct Terminal {
    ours: File,
    theirs: OwnedFd,
    read: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    pub(crate) fn open() -> Self {
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

    pub(crate) fn run(&self, command: &mut Command) -> Running {
        let end = || Stdio::from(self.theirs.try_clone().expect("a second handle"));
        Running::start(command.env("TERM", "xterm").stdin(end()).stdout(end()).stderr(end()))
    }

    pub(crate) fn types(&self, keys: &str) {
        (&self.ours).write_all(keys.as_bytes()).expect("is typed");
    }

    pub(crate) fn shows(&self, wanted: &str) {
        let seen = || {
            String::from_utf8_lossy(&self.read.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
        };
        let found = poll(PATIENCE, || seen().contains(wanted).then_some(()));
        assert!(found.is_some(), "no {wanted:?} in {:?}", seen());
    }

    pub(crate) fn is_raw(&self) -> bool {
        let modes = tcgetattr(self.theirs.as_fd()).expect("a terminal has modes");
        !modes.local_flags.contains(LocalFlags::ICANON)
    }
}

pub(crate) const LEAVES_THE_SCREEN: &str = "\u{1b}[?1049l";
