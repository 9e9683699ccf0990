//! HTTP requests.

use super::targets::{Identity, answering, answering_with_tls, gone, hanging, head, resetting, serve};
use super::*;
use crate::model::HttpProbe;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

fn get(url: impl ToString) -> HttpProbe {
    HttpProbe {
        url: url.to_string(),
        method: "GET".to_owned(),
        headers: BTreeMap::new(),
        body: String::new(),
        follows_redirects: true,
        tls: ProbeTls::default(),
    }
}

async fn asked(url: impl ToString) -> Finding {
    found(ProbeTarget::Http(get(url))).await
}

#[tokio::test]
async fn a_request_and_its_finding_look_as_in_consul() {
    let (heads, mut asked_with) = mpsc::unbounded_channel();
    let addr = serve(move |mut stream| {
        let heads = heads.clone();
        async move {
            let _ = heads.send(head(&mut stream).await);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello").await;
            // Whoever keeps the connection is hung up on by nobody here.
            let _ = stream.read(&mut [0; 1]).await;
        }
    })
    .await;
    let url = format!("http://{addr}/x?y=1");
    let wanted = format!("HTTP GET {url}: 200 OK Output: hello");
    assert_finding(&asked(&url).await, CheckStatus::Passing, &wanted);
    let head = asked_with.recv().await.expect("was asked");
    let (first, rest) = head.split_once("\r\n").expect("has lines");
    let mut lines: Vec<&str> = rest.split_terminator("\r\n").filter(|l| !l.is_empty()).collect();
    lines.sort_unstable();
    assert_eq!(first, "GET /x?y=1 HTTP/1.1");
    let host = format!("Host: {addr}");
    let wanted =
        ["Accept: text/plain, text/*, */*", "Connection: close", &host, "User-Agent: Consul Health Check"];
    assert_eq!(lines, wanted);

    let bracketed = format!("http://[127.0.0.1]:{}/", addr.port());
    let wanted = format!("HTTP GET {bracketed}: 200 OK Output: hello");
    assert_finding(&asked(&bracketed).await, CheckStatus::Passing, &wanted);
}

#[tokio::test]
async fn method_headers_and_body_are_sent_as_given() {
    let (requests, mut asked_with) = mpsc::unbounded_channel();
    let addr = serve(move |mut stream| {
        let requests = requests.clone();
        async move {
            let head = head(&mut stream).await;
            let mut body = [0; 4];
            stream.read_exact(&mut body).await.expect("comes");
            let _ = requests.send((head, body));
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        }
    })
    .await;
    let mut http = get(format!("http://{addr}/"));
    http.method = "PUT".to_owned();
    http.body = "ping".to_owned();
    let given = [("host", "other.example"), ("Accept", "a/b"), ("User-Agent", "me"), ("X-Two", "1")];
    http.headers = given.map(|(name, value)| (name.to_owned(), vec![value.to_owned()])).into();
    http.headers.insert("X-Two".to_owned(), vec!["1".to_owned(), "2".to_owned()]);
    let wanted = format!("HTTP PUT http://{addr}/: 204 No Content Output: ");
    assert_finding(&found(ProbeTarget::Http(http)).await, CheckStatus::Passing, &wanted);
    let (head, body) = asked_with.recv().await.expect("was asked");
    assert_eq!(&body, b"ping");
    assert!(head.starts_with("PUT / HTTP/1.1\r\n"), "{head}");
    for line in
        ["Host: other.example", "Accept: a/b", "User-Agent: me", "X-Two: 1", "X-Two: 2", "Content-Length: 4"]
    {
        assert!(head.contains(&format!("\r\n{line}\r\n")), "{line} in {head}");
    }
}

#[tokio::test]
async fn the_status_decides() {
    let cases = [
        ("HTTP/1.1 299 Almost\r\nContent-Length: 0\r\n\r\n", CheckStatus::Passing, "299 Almost Output: "),
        (
            "HTTP/1.1 429 Too Many Requests\r\n\r\nhello",
            CheckStatus::Warning,
            "429 Too Many Requests Output: hello",
        ),
        ("HTTP/1.1 404 Not Found\r\n\r\nhello", CheckStatus::Critical, "404 Not Found Output: hello"),
        (
            "HTTP/1.0 500 Internal Server Error\r\n\r\nhello",
            CheckStatus::Critical,
            "500 Internal Server Error Output: hello",
        ),
        ("HTTP/1.1 302 Found\r\n\r\nnowhere", CheckStatus::Critical, "302 Found Output: nowhere"),
    ];
    for (answer, status, text) in cases {
        let url = format!("http://{}/", answering(answer).await);
        assert_finding(&asked(&url).await, status, &format!("HTTP GET {url}: {text}"));
    }
}

#[tokio::test]
async fn an_answer_that_is_slow_counts_when_it_comes_in_time() {
    let addr = serve(|mut stream| async move {
        head(&mut stream).await;
        tokio::time::sleep(SHORT).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nlate").await;
    })
    .await;
    let url = format!("http://{addr}/");
    assert_finding(&asked(&url).await, CheckStatus::Passing, &format!("HTTP GET {url}: 200 OK Output: late"));
    let within = found_within(ProbeTarget::Http(get(&url)), SHORT / 4).await;
    assert_finding(&within, CheckStatus::Critical, &format!("Get \"{url}\": i/o timeout (50ms)"));
}

#[tokio::test]
async fn who_cannot_be_asked_is_critical() {
    let url = format!("http://{}/", gone().await);
    let wanted = format!("Get {url:?}: dial tcp {}: connect: connection refused", &url[7..url.len() - 1]);
    assert_finding(&asked(&url).await, CheckStatus::Critical, &wanted);
    let url = format!("http://{}/", hanging().await);
    let wanted = format!("Get {url:?}: i/o timeout (200ms)");
    assert_finding(&timed_out(ProbeTarget::Http(get(&url))).await, CheckStatus::Critical, &wanted);
    let url = format!("http://{}/", resetting().await);
    assert_critical(&asked(&url).await, &format!("Get {url:?}: "));
    assert_critical(&asked(&url).await, "connection reset by peer");
    let url = format!("http://{}/", answering("I speak no HTTP\r\n\r\n").await);
    assert_critical(&asked(&url).await, &format!("Get {url:?}: "));
    let url = format!("http://{}/", answering("").await);
    assert_critical(&asked(&url).await, "connection closed before message completed");
    assert_critical(&asked("nothing").await, "Get \"nothing\": url \"nothing\": ");
}

#[tokio::test]
async fn redirects_are_followed_if_wanted_but_not_for_ever() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let addr = serve(move |mut stream| {
        let counted = Arc::clone(&counted);
        async move {
            counted.fetch_add(1, Ordering::SeqCst);
            let answer = match head(&mut stream).await.split(' ').nth(1) {
                Some("/from") => "HTTP/1.1 307 Temporary Redirect\r\nLocation: to\r\n\r\n",
                Some("/to") => "HTTP/1.1 200 OK\r\n\r\nhere",
                _ => "HTTP/1.1 301 Moved Permanently\r\nLocation: /again\r\n\r\nhello",
            };
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    })
    .await;
    let url = format!("http://{addr}/from");
    let wanted = format!("HTTP GET {url}: 200 OK Output: here");
    assert_finding(&asked(&url).await, CheckStatus::Passing, &wanted);
    assert_eq!(count.swap(0, Ordering::SeqCst), 2);

    let url = format!("http://{addr}/again");
    let wanted = format!("Get \"{url}\": stopped after 10 redirects");
    assert_finding(&asked(&url).await, CheckStatus::Critical, &wanted);
    assert_eq!(count.swap(0, Ordering::SeqCst), 10);

    let stays = HttpProbe { follows_redirects: false, ..get(&url) };
    let wanted = format!("HTTP GET {url}: 301 Moved Permanently Output: hello");
    assert_finding(&found(ProbeTarget::Http(stays)).await, CheckStatus::Critical, &wanted);
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_body_is_read_until_it_is_enough() {
    let long = answering(Box::leak(format!("HTTP/1.1 200 OK\r\n\r\n{}", "z".repeat(6000)).into_boxed_str()));
    let finding = asked(format!("http://{}/", long.await)).await;
    assert_eq!(finding.status, CheckStatus::Passing);
    assert!(finding.output.ends_with("zz ... (captured 4096 of 6000 bytes)"), "{}", finding.output);

    let endless = serve(|mut stream| async move {
        head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 429 Too Many Requests\r\n\r\n").await;
        while stream.write_all(&[b'z'; 10_000]).await.is_ok() {}
    });
    let finding = asked(format!("http://{}/", endless.await)).await;
    assert_eq!(finding.status, CheckStatus::Warning);
    assert!(finding.output.contains("zz ... (captured 4096 of more than 10"), "{}", finding.output);
    assert!(finding.output.len() < 5000);
}

#[tokio::test]
async fn a_body_that_drips_costs_the_timeout_and_not_the_status() {
    let dripping = serve(|mut stream| async move {
        head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nz").await;
        std::future::pending::<()>().await;
    });
    let url = format!("http://{}/", dripping.await);
    let wanted = format!("HTTP GET {url}: 200 OK Output: z ... (captured 1 of more than 1 bytes)");
    assert_finding(&timed_out(ProbeTarget::Http(get(&url))).await, CheckStatus::Passing, &wanted);
}

#[tokio::test]
async fn certificates_count() {
    let identity = Identity::new();
    let addr = answering_with_tls(&identity, "HTTP/1.1 200 OK\r\n\r\nsafe").await;
    let url = format!("https://{addr}/");
    let wanted = format!("HTTP GET {url}: 200 OK Output: safe");
    let over = |tls| ProbeTarget::Http(HttpProbe { tls, ..get(&url) });
    assert_finding(&found(over(any_certificate())).await, CheckStatus::Passing, &wanted);
    assert_critical(&found(over(certificate_of("good.example"))).await, "tls: invalid peer certificate");
    let known = probe(over(certificate_of("good.example")), PATIENCE);
    assert_finding(&run(&known, &identity.trusted()).await, CheckStatus::Passing, &wanted);
    let other = probe(over(certificate_of("other.example")), PATIENCE);
    assert_critical(&run(&other, &identity.trusted()).await, "not valid for name");
    // Talking HTTP to a port with TLS, and the other way round.
    assert_eq!(asked(format!("http://{addr}/")).await.status, CheckStatus::Critical);
    let plain = serve(|mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let _ = stream.read(&mut [0; 1]).await;
    });
    assert_critical(&asked(format!("https://{}/", plain.await)).await, "tls: ");
}

#[tokio::test]
async fn a_server_that_prefers_http_2_is_asked_in_it() {
    let acceptor = Identity::new().acceptor(&[b"h2"]);
    let addr = serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let service = service_fn(async |request: hyper::Request<hyper::body::Incoming>| {
                let text = format!(
                    "{:?} {} {:?}",
                    request.version(),
                    request.uri(),
                    request.headers().get("user-agent")
                );
                Ok::<_, std::convert::Infallible>(hyper::Response::new(text))
            });
            let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        }
    })
    .await;
    let mut http = HttpProbe { tls: any_certificate(), ..get(format!("https://{addr}/x")) };
    http.headers.insert("Host".to_owned(), vec!["other.example".to_owned()]);
    let wanted = format!(
        "HTTP GET https://{addr}/x: 200 OK Output: HTTP/2.0 https://other.example/x Some(\"Consul Health Check\")"
    );
    assert_finding(&found(ProbeTarget::Http(http)).await, CheckStatus::Passing, &wanted);
}
