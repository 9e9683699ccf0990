//! The ceiling of what a reader can have here: this program again, as a server that has one answer in memory and
//! gives it by the library that the agent's API is built on.

use crate::client::{Server, Waits, poll, read_over};
use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

/// As the first argument it makes this program that server.
const SERVER: &str = "floor-server";

/// Serves, if this process was started to; then it does not return.
pub(crate) fn run_if_asked() {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_none_or(|first| first != SERVER) {
        return;
    }
    let (socket, body) = (arguments.next().expect("a socket"), arguments.next().expect("a file"));
    let body = Bytes::from(std::fs::read(body).expect("the file is there"));
    let answer = move || async move { ([(CONTENT_TYPE, "application/json")], body) };
    let router = Router::new().route("/v1/health/service/{name}", get(answer));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("builds");
    runtime.block_on(async {
        let listener = tokio::net::UnixListener::bind(socket).expect("the socket is free");
        axum::serve(listener, router).await.expect("serves");
    });
}

/// `query` answered with `body`: what one reader waits for, and answers in a second to sixteen.
pub(crate) fn floor(dir: &Path, body: &str, query: &'static [u8], seconds: usize) -> (Waits, f64) {
    let (socket, file): (PathBuf, PathBuf) = (dir.join("floor.sock"), dir.join("floor.json"));
    std::fs::write(&file, body).expect("the directory is ours");
    let program = std::env::current_exe().expect("this program has a path");
    let child = Command::new(program).arg(SERVER).args([&socket, &file]).spawn().expect("it starts");
    let _server = Server(child);
    poll("the floor's socket", || UnixStream::connect(&socket).ok());
    read_over(&socket, query, seconds)
}
