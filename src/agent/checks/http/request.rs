//! From a probe to the request that is sent, and from a redirect to the next one.
//!
//! Owns which headers go along, as Go's client has it, which Consul uses. Sends nothing.

use super::super::net::Endpoint;
use super::Fault;
use crate::model::HttpProbe;
use ::http::header::{
    ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, LOCATION, TRAILER,
    TRANSFER_ENCODING, USER_AGENT, WWW_AUTHENTICATE,
};
use ::http::uri::PathAndQuery;
use ::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri, Version};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http_body_util::Full;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use std::net::Ipv4Addr;
use url::{Host, Url};

/// The method as it is shown.
pub(super) fn method_word(http: &HttpProbe) -> &str {
    if http.method.is_empty() { "GET" } else { &http.method }
}

/// The method as it begins an error: `Get`.
pub(super) fn operation(http: &HttpProbe) -> String {
    let method = method_word(http);
    let rest = method.to_lowercase();
    method.chars().take(1).chain(rest.chars().skip(1)).collect()
}

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Request {
    url: Url,
    endpoint: Endpoint,
    method: Method,
    /// Without `Host` and what describes the body.
    headers: HeaderMap,
    /// In place of the URL's.
    host: Option<HeaderValue>,
    body: Bytes,
}

impl Request {
    /// The first one.
    pub(super) fn new(http: &HttpProbe) -> Result<Self, Fault> {
        let url = parse(&http.url, None)?;
        let word = method_word(http);
        let method = Method::from_bytes(word.as_bytes())
            .map_err(|_| Fault::new(format!("method {word:?}: want one such as GET")))?;
        let mut headers = headers(http)?;
        let host = headers.remove(HOST);
        // The client writes these itself, as they have to be.
        for own in [CONNECTION, CONTENT_LENGTH, TRAILER, TRANSFER_ENCODING] {
            headers.remove(own);
        }
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static("Consul Health Check"));
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("text/plain, text/*, */*"));
        let body = Bytes::copy_from_slice(http.body.as_bytes());
        Ok(Self { endpoint: endpoint(&url)?, url, method, headers, host, body })
    }

    /// Its URL.
    pub(super) fn url(&self) -> &str {
        self.url.as_str()
    }

    /// Its URL, which was given as `text`, for errors: without the password if it has one, since
    /// the whole cluster may read them.
    pub(super) fn shown_url(&self, text: &str) -> String {
        let mut url = self.url.clone();
        if url.password().is_some() && url.set_password(Some("***")).is_ok() {
            url.into()
        } else {
            text.to_owned()
        }
    }

    /// Whom to connect to.
    pub(super) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Whether TLS is wanted.
    pub(super) fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// As it is sent in `version`.
    pub(super) fn message(&self, version: Version) -> Result<::http::Request<Full<Bytes>>, Fault> {
        let failed = |what: &str| Fault::new(format!("{what} cannot be sent in a request"));
        let target = &self.url[url::Position::BeforePath..url::Position::AfterQuery];
        let target = PathAndQuery::try_from(target).map_err(|_| failed(target))?;
        let authority = &self.url[url::Position::BeforeHost..url::Position::AfterPort];
        let host = match &self.host {
            Some(host) => host.clone(),
            None => HeaderValue::from_str(authority).map_err(|_| failed(authority))?,
        };
        let mut message = ::http::Request::new(Full::new(self.body.clone()));
        *message.headers_mut() = self.headers.clone();
        if version == Version::HTTP_2 {
            let uri = Uri::builder().scheme(self.url.scheme()).authority(host.as_bytes());
            let uri = uri.path_and_query(target).build();
            *message.uri_mut() = uri.map_err(|_| failed(&format!("host {host:?}")))?;
        } else {
            *message.uri_mut() = target.into();
            message.headers_mut().insert(HOST, host);
            message.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(credentials) = self.credentials() {
            message.headers_mut().entry(AUTHORIZATION).or_insert(credentials);
        }
        *message.version_mut() = version;
        *message.method_mut() = self.method.clone();
        Ok(message)
    }

    /// `user:password@` of the URL.
    fn credentials(&self) -> Option<HeaderValue> {
        if self.url.username().is_empty() && self.url.password().is_none() {
            return None;
        }
        let mut plain: Vec<u8> = percent_decode_str(self.url.username()).collect();
        plain.push(b':');
        plain.extend(percent_decode_str(self.url.password().unwrap_or_default()));
        let mut value = HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(plain))).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// The request that follows from `response`, if that is a redirect.
    pub(super) fn redirected<B>(&self, response: &Response<B>) -> Result<Option<Self>, Fault> {
        let keeps_body = match response.status() {
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER => false,
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
            _ => return Ok(None),
        };
        // Without a place to go to it is an answer like any other, and not a good one.
        let Some(location) = response.headers().get(LOCATION) else { return Ok(None) };
        let location = String::from_utf8_lossy(location.as_bytes());
        let url = parse(&location, Some(&self.url))?;
        let mut next = Self { endpoint: endpoint(&url)?, url, ..self.clone() };
        if !keeps_body {
            next.body = Bytes::new();
            next.headers.remove(CONTENT_TYPE);
            if self.method != Method::HEAD {
                next.method = Method::GET;
            }
        }
        // A host by another name is meant only for where it was given for.
        if Url::parse(&location).is_ok() {
            next.host = None;
        }
        if !is_same_or_below(&self.url, &next.url) {
            for secret in [AUTHORIZATION, COOKIE, WWW_AUTHENTICATE] {
                next.headers.remove(secret);
            }
        }
        Ok(Some(next))
    }
}

fn headers(http: &HttpProbe) -> Result<HeaderMap, Fault> {
    let mut headers = HeaderMap::new();
    for (name, values) in &http.headers {
        let key = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| Fault::new(format!("header {name:?}: want a name of letters, digits and dashes")))?;
        for value in values.iter().filter(|v| !v.is_empty() || key != HOST) {
            let value = HeaderValue::from_str(value)
                .map_err(|_| Fault::new(format!("header {name:?}: {value:?}: want one line of text")))?;
            headers.append(&key, value);
        }
    }
    Ok(headers)
}

/// Reads a URL, or a reference that is seen from `base`.
fn parse(text: &str, base: Option<&Url>) -> Result<Url, Fault> {
    let bare = without_ipv4_brackets(text);
    let parsed = Url::options().base_url(base).parse(&bare);
    let url = parsed.map_err(|e| Fault::new(format!("url {text:?}: {e}; want http://host:port/path")))?;
    if url.has_host() && matches!(url.scheme(), "http" | "https") {
        Ok(url)
    } else {
        Err(Fault::new(format!("url {text:?}: want http:// or https://")))
    }
}

fn endpoint(url: &Url) -> Result<Endpoint, Fault> {
    let host = match url.host() {
        Some(Host::Domain(name)) => name.to_owned(),
        Some(Host::Ipv4(ip)) => ip.to_string(),
        Some(Host::Ipv6(ip)) => ip.to_string(),
        None => return Err(Fault::new(format!("url {:?}: want a host", url.as_str()))),
    };
    let port = url.port_or_known_default().unwrap_or(80);
    Ok(Endpoint { host, port })
}

/// `http://[127.0.0.1]:80/` is no URL, but Go takes it and some register their checks that way.
fn without_ipv4_brackets(text: &str) -> Cow<'_, str> {
    let bare = || {
        let (scheme, rest) = text.split_once("://")?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let start = rest[..end].rfind('@').map_or(0, |at| at + 1);
        let (user, rest) = rest.split_at(start);
        let (host, rest) = rest.strip_prefix('[')?.split_once(']')?;
        host.parse::<Ipv4Addr>().ok()?;
        Some(format!("{scheme}://{user}{host}{rest}"))
    };
    bare().map_or(Cow::Borrowed(text), Cow::Owned)
}

/// Whether what is secret between this host and `from` may be told `to`.
fn is_same_or_below(from: &Url, to: &Url) -> bool {
    let (Some(from), Some(to)) = (from.host_str(), to.host_str()) else { return false };
    to == from || to.strip_suffix(from).is_some_and(|rest| rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn probe(url: &str) -> HttpProbe {
        HttpProbe {
            url: url.to_owned(),
            method: String::new(),
            headers: BTreeMap::new(),
            body: String::new(),
            follows_redirects: true,
            tls: crate::model::ProbeTls::default(),
        }
    }

    fn first(http: &HttpProbe) -> Request {
        Request::new(http).expect("can be made")
    }

    fn redirect(request: &Request, status: u16, location: &str) -> Request {
        let response =
            Response::builder().status(status).header(LOCATION, location).body(()).expect("builds");
        request.redirected(&response).expect("is a URL").expect("leads on")
    }

    #[test]
    fn an_address_of_version_4_may_stand_in_brackets() {
        let request = first(&probe("http://[127.0.0.1]:9998/health?x=1#top"));
        assert_eq!(request.endpoint(), &Endpoint { host: "127.0.0.1".to_owned(), port: 9998 });
        let message = request.message(Version::HTTP_11).expect("can be sent");
        assert_eq!(message.uri(), "/health?x=1");
        assert_eq!(message.headers()[HOST], "127.0.0.1:9998");
        assert_eq!(request.shown_url("as given"), "as given");
        let request = first(&probe("https://[::1]/"));
        assert_eq!(request.endpoint(), &Endpoint { host: "::1".to_owned(), port: 443 });
    }

    #[test]
    fn the_headers_are_those_of_consul_unless_given() {
        let message = first(&probe("http://h/")).message(Version::HTTP_11).expect("can be sent");
        assert_eq!(message.headers()[USER_AGENT], "Consul Health Check");
        assert_eq!(message.headers()[ACCEPT], "text/plain, text/*, */*");
        assert_eq!(message.headers()[CONNECTION], "close");
        let mut http = probe("http://u:p%40@h/");
        let given = [("accept", "a/b"), ("Host", "other:1"), ("Content-Length", "7"), ("X-Y", "1")];
        http.headers = given.map(|(k, v)| (k.to_owned(), vec![v.to_owned()])).into();
        let message = first(&http).message(Version::HTTP_11).expect("can be sent");
        assert_eq!(message.headers()[ACCEPT], "a/b");
        assert_eq!(message.headers()[HOST], "other:1");
        assert_eq!(message.headers()["x-y"], "1");
        assert_eq!(message.headers()[AUTHORIZATION], "Basic dTpwQA==");
        assert!(!message.headers().contains_key(CONTENT_LENGTH));
        assert_eq!(first(&http).shown_url(&http.url), "http://u:***@h/");
        let message = first(&http).message(Version::HTTP_2).expect("can be sent");
        assert_eq!(message.uri(), "http://other:1/");
        assert!(!message.headers().contains_key(HOST));
    }

    #[test]
    fn what_cannot_be_sent_is_named() {
        let refused = |http: &HttpProbe| Request::new(http).expect_err("is refused").to_string();
        assert_eq!(refused(&probe("ftp://h/")), r#"url "ftp://h/": want http:// or https://"#);
        assert!(refused(&probe("h:80/x")).contains("want http:// or https://"));
        assert!(refused(&probe("")).starts_with(r#"url "": "#));
        let mut http = probe("http://h/");
        http.headers.insert("a b".to_owned(), vec!["x".to_owned()]);
        assert!(refused(&http).starts_with(r#"header "a b": want"#));
        http.headers = [("a".to_owned(), vec!["x\ny".to_owned()])].into();
        assert!(refused(&http).starts_with(r#"header "a": "x\ny": want"#));
        http.headers.clear();
        http.method = "GE T".to_owned();
        assert!(refused(&http).starts_with(r#"method "GE T": want"#));
    }

    #[test]
    fn a_redirect_takes_along_what_it_may() {
        let mut http = probe("http://a.example/x");
        http.method = "POST".to_owned();
        http.body = "body".to_owned();
        let given = [("Host", "other"), ("Authorization", "secret"), ("Content-Type", "t/t")];
        http.headers = given.map(|(k, v)| (k.to_owned(), vec![v.to_owned()])).into();
        let request = first(&http);

        let next = redirect(&request, 302, "y");
        assert_eq!((next.url(), &next.method), ("http://a.example/y", &Method::GET));
        assert!(next.body.is_empty() && !next.headers.contains_key(CONTENT_TYPE));
        assert!(next.host.is_some() && next.headers.contains_key(AUTHORIZATION));

        let next = redirect(&request, 307, "https://sub.a.example/z");
        assert_eq!((&next.method, next.body.as_ref()), (&Method::POST, b"body".as_slice()));
        assert!(next.is_https() && next.host.is_none() && next.headers.contains_key(AUTHORIZATION));

        let next = redirect(&request, 308, "//b.example/");
        assert_eq!(next.url(), "http://b.example/");
        assert!(!next.headers.contains_key(AUTHORIZATION));
    }

    #[test]
    fn a_redirect_to_nowhere_is_an_answer() {
        let request = first(&probe("http://h/"));
        let bare = Response::builder().status(302).body(()).expect("builds");
        assert!(request.redirected(&bare).expect("is no error").is_none());
        let other = Response::builder().status(304).header(LOCATION, "/").body(()).expect("builds");
        assert!(request.redirected(&other).expect("is no error").is_none());
    }
}
