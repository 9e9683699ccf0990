//! Checks by an HTTP request.
//!
//! Owns what an answer's status means and what is shown of it. Reads no more of a body than what an
//! ordinary one has, and never longer than the timeout: an answer whose head came in time counts,
//! however its body ends.

mod request;

use super::capture::Capture;
use super::connection::{Connection, Versions};
use super::{Context, Fault, Finding, fault};
use crate::model::{CheckStatus, HttpProbe, Probe};
use ::http::{Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::ext::ReasonPhrase;
use request::Request;

/// Requests of one run, redirected ones and all.
const REQUESTS_MAX: usize = 10;

/// Bytes of a body that are read, most of them only to be counted; then the agent hangs up. The
/// server of a long page is to see its answer taken, but a stream never ends.
const BODY_BYTES_MAX: u64 = 1 << 20;

/// Makes the request and follows where it leads.
pub(super) async fn run(http: &HttpProbe, probe: &Probe, context: &Context) -> Finding {
    let mut seen = Seen { url: http.url.clone(), answer: None };
    let bytes_max = probe.output_bytes_max;
    let fetched = tokio::time::timeout(probe.timeout, fetch(http, bytes_max, context, &mut seen)).await;
    if let Some(answer) = seen.answer {
        return answer.finding(http);
    }
    let fault = fetched.unwrap_or(Ok(())).err().unwrap_or_else(|| Fault::timeout(probe.timeout));
    Finding::critical(format!("{} {:?}: {fault}", request::operation(http), seen.url))
}

/// How far a run came.
struct Seen {
    /// The URL that is being asked for.
    url: String,
    /// What came back, as much of it as there is.
    answer: Option<Answer>,
}

struct Answer {
    status: StatusCode,
    /// The words after the number.
    phrase: String,
    body: Capture,
}

impl Answer {
    fn new(response: &Response<Incoming>, bytes_max: usize) -> Self {
        let status = response.status();
        let own = response.extensions().get::<ReasonPhrase>();
        let own = own.map(|phrase| String::from_utf8_lossy(phrase.as_bytes()).into_owned());
        let phrase = own.unwrap_or_else(|| status.canonical_reason().unwrap_or_default().to_owned());
        Self { status, phrase, body: Capture::new(bytes_max) }
    }

    fn finding(&self, http: &HttpProbe) -> Finding {
        let status = match self.status {
            StatusCode::TOO_MANY_REQUESTS => CheckStatus::Warning,
            status if status.is_success() => CheckStatus::Passing,
            _ => CheckStatus::Critical,
        };
        let (method, url) = (request::method_word(http), &http.url);
        let (number, phrase, body) = (self.status.as_u16(), &self.phrase, self.body.text());
        Finding { status, output: format!("HTTP {method} {url}: {number} {phrase} Output: {body}") }
    }
}

async fn fetch(http: &HttpProbe, bytes_max: usize, context: &Context, seen: &mut Seen) -> Result<(), Fault> {
    let mut request = Request::new(http)?;
    seen.url = request.shown_url(seen.url.as_str());
    for _ in 0..REQUESTS_MAX {
        let tls = request.is_https().then_some(&http.tls);
        let mut connection = Connection::open(request.endpoint(), tls, Versions::Any, context).await?;
        let message = request.message(connection.version())?;
        let response = connection.send(message).await.map_err(|e| Fault::new(fault::reason(&e)))?;
        if http.follows_redirects
            && let Some(next) = request.redirected(&response)?
        {
            request = next;
            seen.url = request.shown_url(request.url());
            continue;
        }
        let answer = seen.answer.insert(Answer::new(&response, bytes_max));
        read(response.into_body(), &mut answer.body).await;
        return Ok(());
    }
    Err(Fault::new(format!("stopped after {REQUESTS_MAX} redirects")))
}

/// Reads a body to its end, until it breaks off, or until it is enough.
async fn read(mut body: Incoming, capture: &mut Capture) {
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return };
        if let Some(data) = frame.data_ref() {
            capture.push(data);
        }
        if capture.total() > BODY_BYTES_MAX {
            return;
        }
    }
    capture.end();
}
