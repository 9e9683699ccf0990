//! Answers, from the view to the bytes: DNS, and HTTP with a filter.

use crate::in_process;
use crate::owners::{Observer, Owner};
use criterion::Criterion;
use http_body_util::BodyExt as _;
use shoal::dns::{Asked, Options, Reply, Responder, Transport};
use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

/// A question for the addresses of a service.
fn question(name: &str) -> Vec<u8> {
    let mut bytes = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in [name, "service", "consul"] {
        bytes.push(u8::try_from(label.len()).expect("labels are short"));
        bytes.extend(label.as_bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}

/// One answer of a resolver's: beside it stand two system calls, of about two microseconds each.
pub(crate) fn dns(c: &mut Criterion) {
    let mut observer = Observer::new();
    for number in 0..10 {
        let mut owner = Owner::new(number, 100, 100);
        observer.meet(&mut owner);
        observer.show(owner.key);
    }
    let view = observer.reader.load();
    let service = view.services().max_by_key(|s| s.instances.len()).expect("there are services");
    let question = question(service.name.as_str());
    let mut responder = Responder::new(Arc::new(Options::default()), "dc1");
    let mut out = Vec::new();
    let mut seed = 0;
    c.bench_function("dns answer", |b| {
        b.iter(|| {
            seed += 1;
            let asked = Asked {
                message: black_box(&question),
                transport: Transport::Udp,
                view: &view,
                reverse: None,
                resolved: None,
                unix_seconds: 1_700_000_000,
                seed,
            };
            let reply = responder.answer(&asked, &mut out);
            assert!(matches!(reply, Reply::Answer { .. }), "{reply:?}");
        });
    });
}

const INSTANCES: usize = 100;

fn register(socket: &std::path::Path) {
    for n in 0..INSTANCES {
        let body = format!(
            r#"{{"Name":"web","ID":"web-{n}","Port":{},"Tags":["v{}"],"Meta":{{"zone":"eu-{}"}}}}"#,
            8_000 + n,
            n % 4,
            n % 3
        );
        let mut stream = UnixStream::connect(socket).expect("the agent listens");
        let head = "PUT /v1/agent/service/register HTTP/1.1\r\nHost: x\r\nConnection: close";
        write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).expect("is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the agent answers");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

/// A hundred instances: what a caller waits for beside the socket. What was asked before is there already, written;
/// a new filter is read, tried on each instance, and what passes is written as JSON.
pub(crate) fn filters(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a directory");
    let (socket, api) = in_process::start(dir.path(), &[]);
    register(&socket);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("builds");
    let ask = |path: &str| {
        let request = http::Request::get(path).body(http_body_util::Empty::new()).expect("is a request");
        runtime.block_on(async {
            let answer = api.answer(request).await.expect("never fails");
            assert_eq!(answer.status(), 200);
            answer.into_body().collect().await.expect("is in memory").to_bytes().len()
        })
    };
    let mut group = c.benchmark_group("answer of 100 instances");
    group.bench_function("asked again", |b| b.iter(|| ask(black_box("/v1/health/service/web"))));
    let mut n = 0;
    for (name, clause) in [("filtered to 25", "%22v1%22%20in%20Service.Tags%20and"), ("filtered to all", "")]
    {
        group.bench_function(name, |b| {
            b.iter(|| {
                // Never the same question, which would be answered from what was written.
                n += 1;
                ask(&format!("/v1/health/service/web?filter={clause}%20Service.Port%20!=%20{n}"))
            });
        });
    }
    group.finish();
}
