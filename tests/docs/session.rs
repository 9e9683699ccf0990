//! A page's blocks, run as a reader would: in one shell for each host that the page speaks of.
//!
//! Pages name the usual addresses, ports and files. Each page gets a loopback network of its own
//! (127.A.B.0/24, in which every port is free) and a directory that stands for the root of each of its hosts:
//!
//! | a page says | here |
//! |---|---|
//! | `127.0.0.1`, `localhost:PORT` on some host | an address of that host's alone |
//! | `10.0.0.N` | an address that all hosts of the page reach |
//! | `/etc/`, `/run/`, `/var/`, `/tmp/` | below a directory of that host |
//! | `target/release/shoal`, `cargo run --release --` | the binary under test |
//! | `scp FILE 10.0.0.N:FILE`, `pkill`, `sudo` | the N-th host of the page; this host's processes; nothing |
//!
//! The shells stand in a directory with the repository's `docs`, `simulations`, `packaging` and `tests`.
//! What they print is turned back before it is compared. Everything that a page started is ended with it.

use super::compare;
use super::pages::{Block, Page, root};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// Longer than any block takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
/// Longer than any block takes to print what a page says, once it was run again and again.
const UNTIL: Duration = Duration::from_secs(45);
/// Set in everything that a page starts, so that what is left of it can be found.
const MARK: &str = "SHOAL_DOCS_PAGE_DIR";
/// The name of a page's host where it names none.
const HOST: &str = "web-1";

static NETWORKS: AtomicU8 = AtomicU8::new(1);

struct Host {
    number: usize,
    dir: PathBuf,
    shell: Child,
    input: ChildStdin,
}

pub(crate) struct Session {
    dir: tempfile::TempDir,
    /// "127.A.B."
    network: String,
    hosts: BTreeMap<String, Host>,
    steps: usize,
}

fn poll<T>(patience: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Session {
    pub(crate) fn new() -> Self {
        let process = u8::try_from(std::process::id() % 200).expect("it is less than 200");
        let network = format!("127.{}.{}.", 20 + process, NETWORKS.fetch_add(1, Ordering::Relaxed));
        let dir = tempfile::Builder::new().prefix("sd").tempdir().expect("a temporary directory");
        let bin = dir.path().join("bin");
        fs::create_dir(&bin).expect("is created");
        fs::create_dir(bin.join("real")).expect("is created");
        symlink(env!("CARGO_BIN_EXE_shoal"), bin.join("real/shoal")).expect("is linked");
        let shims =
            [("shoal", SHOAL), ("sudo", "exec \"$@\""), ("cargo", CARGO), ("scp", SCP), ("pkill", PKILL)];
        for (name, text) in shims {
            let path = bin.join(name);
            fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("is written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("is set");
        }
        Self { dir, network, hosts: BTreeMap::new(), steps: 0 }
    }

    /// Runs what is to be run of a page; `tools` are the programs that may be used.
    pub(crate) fn run(page: &Page, tools: &[String]) -> Result<usize, String> {
        let mut session = Self::new();
        session.make_hosts(page);
        if let Some(command) = &page.with {
            session.start(command).map_err(|e| format!("{}: {command}: {e}", page.name))?;
        }
        let mut count = 0;
        for block in page.blocks.iter().filter(|b| b.is_run()) {
            if block.needs().iter().any(|need| !tools.iter().any(|tool| tool == need)) {
                continue;
            }
            let told =
                |e: String| format!("{}:{}: {e}\n--- the block\n{}", page.name, block.line, block.text);
            session.block(block).map_err(told)?;
            count += 1;
        }
        Ok(count)
    }

    /// Runs what a page takes for granted on its first host, until the socket is there.
    fn start(&mut self, command: &str) -> Result<(), String> {
        let Some(host) = self.hosts.values_mut().find(|host| host.number == 0) else { return Ok(()) };
        let (socket, log) = (host.dir.join("run/shoal/agent.sock"), host.dir.join("log"));
        let line = format!("{command} >/dev/null 2>>{} </dev/null &\n", log.display());
        host.input.write_all(line.as_bytes()).map_err(|e| format!("the shell has ended: {e}"))?;
        poll(PATIENCE, || socket.exists().then_some(()))
            .ok_or_else(|| fs::read_to_string(&log).unwrap_or_default())
    }

    fn block(&mut self, block: &Block) -> Result<(), String> {
        let name = block.value("host").unwrap_or(HOST).to_owned();
        self.steps += 1;
        let (steps, network) = (self.steps, self.network.clone());
        let host = self.hosts.get_mut(&name).expect("all hosts of the page were made");
        let there = There { network, host: host.number, dir: host.dir.clone() };
        let script = host.dir.join(format!("{steps}.{}", block.language));
        fs::write(&script, there.substituted(&block.text)).expect("is written");
        let wanted = block.prints.as_deref();
        if block.has("forever") {
            // What is logged comes in between, at any moment.
            let (out, log) = (host.dir.join(format!("{steps}.out")), host.dir.join("log"));
            let line = format!(
                "( source {} ) >{} 2>>{} </dev/null &\n",
                script.display(),
                out.display(),
                log.display()
            );
            host.input.write_all(line.as_bytes()).map_err(|e| format!("the shell has ended: {e}"))?;
            let Some(wanted) = wanted else { return Ok(()) };
            let mut printed = String::new();
            let found = poll(UNTIL, || {
                printed = there.restored(&fs::read_to_string(&out).unwrap_or_default());
                compare::matches(wanted, &printed).then_some(())
            });
            let logged = || fs::read_to_string(&log).unwrap_or_default();
            return found.ok_or_else(|| format!("{}--- logged\n{}", differs(wanted, &printed), logged()));
        }
        let code: i32 = block.value("exit").map_or(Ok(0), str::parse).map_err(|e| format!("exit: {e}"))?;
        let deadline = Instant::now() + UNTIL;
        for attempt in 0.. {
            let (got, out, err) = host.once(block, &script, steps, attempt)?;
            let (out, printed) = (there.restored(&out), there.restored(&format!("{out}{err}")));
            let fault = if got != code {
                format!("exit code {got}, want {code}\n--- printed\n{printed}")
            } else if let Some(wanted) = wanted.filter(|wanted| !said(wanted, &out, &printed)) {
                differs(wanted, &printed)
            } else {
                return Ok(());
            };
            if !block.has("until") || Instant::now() >= deadline {
                return Err(fault);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        unreachable!("the loop ends by itself")
    }

    /// The hosts of a page, in the order in which it names them: the N-th is 10.0.0.N.
    fn make_hosts(&mut self, page: &Page) {
        let mut list = String::new();
        for block in page.blocks.iter().filter(|b| b.is_run()) {
            let name = block.value("host").unwrap_or(HOST);
            if !self.hosts.contains_key(name) {
                let host = self.host(name);
                list.push_str(&format!("{}\n", host.dir.display()));
                self.hosts.insert(name.to_owned(), host);
            }
        }
        fs::write(self.dir.path().join("hosts"), list).expect("is written");
    }

    fn host(&self, name: &str) -> Host {
        let number = self.hosts.len();
        let dir = self.dir.path().join(name);
        for below in [
            "etc/shoal",
            "etc/haproxy",
            "etc/nginx/conf.d",
            "run/shoal",
            "var/lib/shoal",
            "tmp",
            "home",
            "work",
        ] {
            fs::create_dir_all(dir.join(below)).expect("is created");
        }
        let private = fs::Permissions::from_mode(0o700);
        fs::set_permissions(dir.join("run/shoal"), private).expect("is set");
        for shared in ["docs", "simulations", "packaging", "tests", "README.md"] {
            if root().join(shared).exists() {
                symlink(root().join(shared), dir.join("work").join(shared)).expect("is linked");
            }
        }
        let there = There { network: self.network.clone(), host: number, dir: dir.clone() };
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("bash");
        command.arg("--norc").arg("--noprofile").current_dir(dir.join("work"));
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("SHOAL_") {
                command.env_remove(variable);
            }
        }
        command
            .env_remove("NOTIFY_SOCKET")
            .env(MARK, self.dir.path())
            .env("SHOAL_DOCS_HOST_DIR", &dir)
            .env("PATH", format!("{}:{path}", self.dir.path().join("bin").display()))
            .env("HOME", dir.join("home"))
            .env("TMPDIR", dir.join("tmp"))
            .env("XDG_RUNTIME_DIR", dir.join("run"))
            .env("SHOAL_NODE", name)
            .env("SHOAL_BIND", there.substituted("127.0.0.1:7946"))
            .env("SHOAL_SOCKET", dir.join("run/shoal/agent.sock"))
            .env("SHOAL_DATA_DIR", dir.join("var/lib/shoal"))
            .env("LC_ALL", "C.UTF-8")
            .env("NO_COLOR", "1")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        let mut shell = command.spawn().expect("there is a bash");
        let input = shell.stdin.take().expect("is piped");
        Host { number, dir, shell, input }
    }
}

impl Host {
    /// Runs a block to its end: its exit code and what it printed, to standard output and standard error.
    fn once(
        &mut self,
        block: &Block,
        script: &Path,
        step: usize,
        attempt: u32,
    ) -> Result<(i32, String, String), String> {
        let file = |what: &str| self.dir.join(format!("{step}.{attempt}.{what}"));
        let (out, err, done) = (file("out"), file("err"), file("done"));
        let (script, out_path, err_path, done_path) =
            (script.display(), out.display(), err.display(), done.display());
        let run = if block.language == "python" {
            format!("python3 {script}")
        } else if block.is_configuration() {
            format!("shoal config check --config {script}")
        } else if block.value("exit").is_some() || block.has("until") {
            format!("source {script}")
        } else {
            // The first command that fails ends it, and the shell.
            format!("set -e; source {script}; set +e")
        };
        let line = format!(
            "{{ {run}; }} >{out_path} 2>{err_path} </dev/null; echo $? >{done_path}.new; mv {done_path}.new {done_path}\n"
        );
        let printed = |file: &Path| fs::read_to_string(file).unwrap_or_default();
        let ended = |what: &str| format!("{what}\n--- printed\n{}{}", printed(&out), printed(&err));
        self.input.write_all(line.as_bytes()).map_err(|e| ended(&format!("the shell has ended: {e}")))?;
        let code = poll(PATIENCE, || {
            if let Ok(text) = fs::read_to_string(&done) {
                return Some(text.trim().parse::<i32>().map_err(|e| e.to_string()));
            }
            let status = self.shell.try_wait().expect("can be asked")?;
            Some(Err(format!("a command failed ({status})")))
        });
        match code {
            None => Err(ended("it does not end")),
            Some(Err(what)) => Err(ended(&what)),
            Some(Ok(code)) => Ok((code, printed(&out), printed(&err))),
        }
    }
}

/// Whether a page that says `wanted` shows all that was printed, or all but remarks about how it goes on.
fn said(wanted: &str, out: &str, all: &str) -> bool {
    compare::matches(wanted, all) || compare::matches(wanted, out)
}

fn differs(wanted: &str, printed: &str) -> String {
    format!("it does not print what the page says\n--- the page says\n{wanted}--- printed\n{printed}")
}

const CARGO: &str = "case \"$*\" in\n\
    'run --release -- '*) shift 3; exec shoal \"$@\" ;;\n\
    'build --release'*) exit 0 ;;\n\
    *) echo \"no such command here: cargo $*\" >&2; exit 1 ;;\n\
    esac";

/// What the environment says here would win over files; what they say for themselves is left to them.
const SHOAL: &str = "previous=\n\
    for word in \"$@\"; do\n\
    if [ \"$previous\" = --config ] && [ -f \"$word\" ]; then\n\
    for key in node bind socket data_dir; do\n\
    grep -q \"^$key *=\" \"$word\" && unset \"SHOAL_$(echo $key | tr a-z A-Z)\"\n\
    done; fi; previous=$word; done\n\
    exec \"$SHOAL_DOCS_PAGE_DIR/bin/real/shoal\" \"$@\"";

/// Finds the other host's directory by the last number of its address.
const SCP: &str = "to=${2%%:*}; file=${2#*:}; dir=$(sed -n \"${to##*.}p\" \"$SHOAL_DOCS_PAGE_DIR/hosts\")\n\
    exec cp \"$1\" \"$dir${file#\"$SHOAL_DOCS_HOST_DIR\"}\"";

/// Of this host's processes alone, whatever the pattern.
const PKILL: &str = "signal=-15; case $1 in -[0-9]*|-[A-Z]*) signal=$1; shift ;; esac; found=1\n\
    for process in $(pgrep \"$@\"); do\n\
    [ \"$process\" != $$ ] && grep -qzFx \"SHOAL_DOCS_HOST_DIR=$SHOAL_DOCS_HOST_DIR\" /proc/$process/environ 2>/dev/null \\\n\
    && kill \"$signal\" \"$process\" && found=0\n\
    done; exit $found";

/// Where a host of a page is.
struct There {
    network: String,
    host: usize,
    dir: PathBuf,
}

impl There {
    fn own(&self) -> String {
        format!("{}{}", self.network, 200 + self.host)
    }

    fn substituted(&self, text: &str) -> String {
        let own = self.own();
        let mut text = text.replace("127.0.0.1", &own).replace("10.0.0.", &self.network);
        let with_port = regex::Regex::new(r"localhost:(\d)").expect("is right");
        text = with_port.replace_all(&text, format!("{own}:$1")).into_owned();
        // At the beginning of a word only: not inside of a longer path or an address.
        let below = regex::Regex::new(r#"(^|[\s='"(<>:])/(etc|run|var|tmp)/"#).expect("is right");
        text = below.replace_all(&text, format!("${{1}}{}/${{2}}/", self.dir.display())).into_owned();
        text.replace("target/release/shoal", "shoal")
    }

    fn restored(&self, text: &str) -> String {
        let text = text.replace(&format!("{}/", self.dir.display()), "/");
        // What a shell says of jobs that ended, which is for whoever sits before it.
        let job =
            regex::Regex::new(r"(?m)^\S+: line \d+:\s+\d+ (Killed|Terminated|Hangup|Interrupt|Done).*\n")
                .expect("is right");
        let text = job.replace_all(&text, "").into_owned();
        let own = regex::Regex::new(&format!(r"{}2\d\d\b", regex::escape(&self.network))).expect("is right");
        own.replace_all(&text, "127.0.0.1").replace(&self.network, "10.0.0.")
    }
}

/// Processes that have this page's mark in their environment.
fn left_of(dir: &Path) -> Vec<Pid> {
    let mark = format!("{MARK}={}\0", dir.display()).into_bytes();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let marked = entries.filter(|entry| {
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        environment.windows(mark.len()).any(|window| window == mark)
    });
    marked.filter_map(|e| e.file_name().to_str()?.parse().ok().map(Pid::from_raw)).collect()
}

impl Drop for Session {
    fn drop(&mut self) {
        for host in self.hosts.values() {
            let group = Pid::from_raw(host.shell.id().cast_signed());
            // It may be gone already.
            killpg(group, Signal::SIGKILL).ok();
        }
        let dir = self.dir.path().to_owned();
        poll(Duration::from_secs(5), || {
            let left = left_of(&dir);
            for process in &left {
                kill(*process, Signal::SIGKILL).ok();
            }
            left.is_empty().then_some(())
        });
        for host in self.hosts.values_mut() {
            host.shell.wait().ok();
        }
    }
}
