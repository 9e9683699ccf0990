//! Who may do what over the API.
//!
//! Owns the decision, its words and its counters. A caller at the Unix socket is known by what the
//! kernel says of it (`SO_PEERCRED`, unix(7)); one over TCP by a token (RFC 6750) and by the name it
//! was told to ask (against DNS rebinding). Reads no file and resolves no name: rules come from the
//! configuration, understood, and can be exchanged while the agent runs. Without rules, whoever may open
//! the socket may do everything.

use super::App;
use super::reply::Failure;
use super::route::Endpoint;
use arc_swap::ArcSwap;
use http::header::{AUTHORIZATION, HOST};
use http::request::Parts;
use http::{Extensions, HeaderMap, Method, StatusCode, Uri};
use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use subtle::ConstantTimeEq as _;

/// Who sent a request, as the listener put it into the request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// A process of this host, as the kernel knew it when it connected.
    Unix {
        /// Its effective user.
        uid: u32,
        /// Its effective group.
        gid: u32,
        /// Its process, if the kernel tells.
        pid: Option<i32>,
    },
    /// Somebody over TCP.
    Tcp(SocketAddr),
    /// Nobody said. No rule but `*` covers it.
    Unknown,
}

impl Caller {
    /// Who connected, as the listener noted it.
    pub(super) fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().copied().unwrap_or(Self::Unknown)
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix { uid, gid, pid: Some(pid) } => write!(f, "uid {uid} (gid {gid}, pid {pid})"),
            Self::Unix { uid, gid, pid: None } => write!(f, "uid {uid} (gid {gid})"),
            Self::Tcp(addr) => write!(f, "{addr} over TCP"),
            Self::Unknown => f.write_str("an unknown caller"),
        }
    }
}

/// One of those whom a rule allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// `*`
    Anybody,
    /// A user.
    User(u32),
    /// Whoever runs as this group, and the users who are listed as its members.
    Group {
        /// Its number.
        gid: u32,
        /// Its members' numbers.
        members: Vec<u32>,
    },
    /// `tcp`: whoever comes over TCP, with the token if there is one.
    Tcp,
}

impl Principal {
    fn is(&self, caller: Caller) -> bool {
        match (self, caller) {
            (Self::Anybody, _) | (Self::Tcp, Caller::Tcp(_)) => true,
            (Self::User(user), Caller::Unix { uid, .. }) => *user == uid,
            (Self::Group { gid, members }, Caller::Unix { uid, gid: own, .. }) => {
                *gid == own || members.contains(&uid)
            }
            (Self::User(_) | Self::Group { .. }, Caller::Tcp(_) | Caller::Unknown)
            | (Self::Tcp, Caller::Unix { .. } | Caller::Unknown) => false,
        }
    }
}

/// Whom a rule allows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed {
    /// As written in the configuration.
    pub words: Vec<String>,
    /// What that means.
    pub principals: Vec<Principal>,
}

impl Allowed {
    fn covers(&self, caller: Caller) -> bool {
        self.principals.iter().any(|p| p.is(caller))
    }
}

/// What the configuration says. A rule that is not there allows everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Who may ask.
    pub read: Option<Allowed>,
    /// Who may register, change and drain which services: names in lower case, or prefixes with a
    /// `*` at the end. The exact name counts, else the longest prefix; where there are such rules,
    /// names that none covers are nobody's.
    pub register: Option<Vec<(String, Allowed)>>,
    /// Who may join, leave, make others leave, reload, fire events, drain the node, register its
    /// checks, and see the keyring. Who changes the keyring must run as the agent's user as well.
    pub administer: Option<Allowed>,
}

/// What everybody over TCP has to know. Never shown.
#[derive(Clone)]
pub struct Token(String);

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.is(other.0.as_bytes())
    }
}

impl Eq for Token {}

impl Token {
    /// Shortest and longest, in bytes.
    pub const BYTES: std::ops::RangeInclusive<usize> = 16..=512;

    /// A token of visible ASCII characters, which a header can carry.
    pub fn new(text: &str) -> Option<Self> {
        let fits = Self::BYTES.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| Self(text.to_owned()))
    }

    /// In a time that says nothing of where they differ.
    fn is(&self, told: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(told).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// What a request wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want<'a> {
    /// To hear that the agent runs, or to get the dashboard's files, which hold no data.
    Nothing,
    /// To read.
    Read,
    /// To change a service of this name, or its checks.
    Register(&'a str),
    /// What it wants depends on what it names: its handler asks.
    Later,
    /// To change the node or its place in the cluster.
    Administer,
}

impl fmt::Display for Want<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing | Self::Read => f.write_str("to read"),
            Self::Register(name) => write!(f, "to change service {name:?}"),
            Self::Later | Self::Administer => f.write_str("to administer this agent"),
        }
    }
}

/// What asking for `endpoint` with `method` wants. What changes something and is not named here is
/// for administrators.
pub(super) fn wanted(endpoint: Endpoint, method: &Method) -> Want<'static> {
    match endpoint {
        Endpoint::Leader | Endpoint::Dashboard | Endpoint::ToDashboard => Want::Nothing,
        Endpoint::RegisterService
        | Endpoint::DeregisterService
        | Endpoint::ServiceMaintenance
        | Endpoint::RegisterCheck
        | Endpoint::DeregisterCheck
        | Endpoint::PassCheck
        | Endpoint::WarnCheck
        | Endpoint::FailCheck
        | Endpoint::UpdateCheck
        | Endpoint::CatalogRegister
        | Endpoint::CatalogDeregister => Want::Later,
        Endpoint::Keyring => Want::Administer,
        _ if *method == Method::GET => Want::Read,
        _ => Want::Administer,
    }
}

/// What is decided by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// Whom the rules allow what.
    pub rules: Rules,
    /// What callers over TCP must tell, if anything.
    pub token: Option<Token>,
    /// What callers over TCP may ask for beside IP addresses and localhost, in lower case.
    pub hosts: Vec<String>,
}

impl Terms {
    /// Whether the token is told, where one is wanted.
    fn has_token(&self, headers: &HeaderMap) -> bool {
        self.token.as_ref().is_none_or(|token| told(headers).any(|told| token.is(told)))
    }

    /// A web page can make a browser ask this agent under the page's own name (DNS rebinding); what
    /// nobody can point elsewhere is fine. The error is what was asked.
    fn asked_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), String> {
        let told = headers.get_all(HOST).iter().map(|h| String::from_utf8_lossy(h.as_bytes()));
        let asked: Vec<String> =
            told.map(String::from).chain(uri.authority().map(ToString::to_string)).collect();
        if asked.is_empty() {
            return Err(String::new());
        }
        let unknown = |host: &String| !self.knows(host);
        asked.into_iter().find(unknown).map_or(Ok(()), |host| Err(host.chars().take(100).collect()))
    }

    fn knows(&self, authority: &str) -> bool {
        if let Some(rest) = authority.strip_prefix('[') {
            let Some((ip, port)) = rest.split_once(']') else { return false };
            return ip.parse::<Ipv6Addr>().is_ok() && is_port(port);
        }
        let (host, port) = authority.find(':').map_or((authority, ""), |at| authority.split_at(at));
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        is_port(port) && (host == "localhost" || host.parse::<IpAddr>().is_ok() || self.hosts.contains(&host))
    }
}

/// The one place that says yes or no.
#[derive(Debug, Default)]
pub struct Access {
    terms: ArcSwap<Terms>,
    /// The user that the agent runs as.
    owner: Option<u32>,
    by_rule: AtomicU64,
    by_token: AtomicU64,
    by_host: AtomicU64,
}

impl Access {
    /// Decides by `rules`; callers over TCP must tell `token` and ask for an IP address, localhost
    /// or one of `hosts` (in lower case).
    pub fn new(rules: Rules, token: Option<Token>, hosts: Vec<String>) -> Self {
        Self::by(Terms { rules, token, hosts })
    }

    /// Decides by these.
    pub fn by(terms: Terms) -> Self {
        Self { terms: ArcSwap::from_pointee(terms), ..Self::default() }
    }

    /// Decides by these from the next request on. What was let in goes on to its end.
    pub fn set(&self, terms: Terms) {
        self.terms.store(Arc::new(terms));
    }

    /// The user that the agent runs as, who may change keys as root may.
    #[must_use]
    pub fn owned_by(self, uid: u32) -> Self {
        Self { owner: Some(uid), ..self }
    }

    /// Whether it is root or the user that the agent runs as, over the Unix socket.
    pub(super) fn owns(&self, caller: Caller) -> bool {
        matches!(caller, Caller::Unix { uid, .. } if uid == 0 || Some(uid) == self.owner)
    }

    /// Whether `caller` may be given an answer to a question that reads, of which this is known. Counts
    /// nothing and says nothing: it is for answers that are at hand, before anything else is looked at.
    pub(super) fn lets_read(&self, caller: Caller, uri: &Uri, headers: &HeaderMap) -> bool {
        let terms = self.terms.load();
        let known = match caller {
            Caller::Tcp(_) => terms.asked_host(uri, headers).is_ok() && terms.has_token(headers),
            Caller::Unix { .. } | Caller::Unknown => true,
        };
        known && terms.rules.read.as_ref().is_none_or(|allowed| allowed.covers(caller))
    }

    /// Whether the request may be looked at: whom it was sent to and what it tells. `endpoint` is
    /// what it asks, if there is such a thing.
    pub(super) fn admits(
        &self,
        caller: Caller,
        parts: &Parts,
        endpoint: Option<Endpoint>,
    ) -> Result<(), Failure> {
        if !matches!(caller, Caller::Tcp(_)) {
            return Ok(());
        }
        let terms = self.terms.load();
        if let Err(host) = terms.asked_host(&parts.uri, &parts.headers) {
            let text = format!(
                "Permission denied: Host {host:?}: want an IP address, localhost or a name in http_hosts"
            );
            return Err(refuse(&self.by_host, caller, text));
        }
        let open = endpoint.is_some_and(|e| wanted(e, &parts.method) == Want::Nothing);
        if !open && !terms.has_token(&parts.headers) {
            let text = "Permission denied: want the token of http_token_file, as \
                        \"Authorization: Bearer TOKEN\" or \"X-Consul-Token: TOKEN\"";
            return Err(refuse(&self.by_token, caller, text.to_owned()));
        }
        Ok(())
    }

    /// Whether `caller` may do what it wants.
    pub(super) fn permits(&self, caller: Caller, want: Want<'_>) -> Result<(), Failure> {
        let terms = self.terms.load();
        let (rule, allowed) = match want {
            Want::Nothing | Want::Later => return Ok(()),
            Want::Read => ("access.read".to_owned(), terms.rules.read.as_ref()),
            Want::Administer => ("access.administer".to_owned(), terms.rules.administer.as_ref()),
            Want::Register(name) => {
                let Some(patterns) = &terms.rules.register else { return Ok(()) };
                match covering(patterns, name) {
                    Some((pattern, allowed)) => (format!("access.register.{pattern:?}"), Some(allowed)),
                    None => {
                        let text = format!(
                            "Permission denied: no rule of access.register covers it; {caller} wanted {want}"
                        );
                        return Err(refuse(&self.by_rule, caller, text));
                    }
                }
            }
        };
        let Some(allowed) = allowed.filter(|a| !a.covers(caller)) else { return Ok(()) };
        let words = if allowed.words.is_empty() { "nobody".to_owned() } else { allowed.words.join(", ") };
        let text = format!("Permission denied: {rule} allows {words}; {caller} wanted {want}");
        Err(refuse(&self.by_rule, caller, text))
    }

    /// Whether names of services matter.
    pub(super) fn guards_names(&self) -> bool {
        self.terms.load().rules.register.is_some()
    }

    /// Appends its counters, as Prometheus text.
    pub(super) fn expose(&self, out: &mut String) {
        const NAME: &str = "shoal_api_refused_total";
        // Writing to a string cannot fail.
        let _ = writeln!(out, "# TYPE {NAME} counter");
        for (by, count) in [("rule", &self.by_rule), ("token", &self.by_token), ("host", &self.by_host)] {
            let _ = writeln!(out, "{NAME}{{by=\"{by}\"}} {}", count.load(Ordering::Relaxed));
        }
    }
}

fn is_port(text: &str) -> bool {
    text.is_empty() || text.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok())
}

/// Tokens that the request tells.
fn told(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let bearer = headers.get_all(AUTHORIZATION).iter().filter_map(|value| {
        let (scheme, token) = value.as_bytes().split_at_checked("Bearer ".len())?;
        scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
    });
    bearer.chain(headers.get_all("x-consul-token").iter().map(|value| value.as_bytes()))
}

/// The exact name, else the longest prefix. Names differ in more than case or not at all.
fn covering<'a>(patterns: &'a [(String, Allowed)], name: &str) -> Option<(&'a str, &'a Allowed)> {
    let name = name.to_lowercase();
    let fits = |pattern: &str| match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    };
    let covers = patterns.iter().filter(|(pattern, _)| fits(pattern));
    let best = covers.max_by_key(|(pattern, _)| (!pattern.ends_with('*'), pattern.len()));
    best.map(|(pattern, allowed)| (pattern.as_str(), allowed))
}

fn refuse(counter: &AtomicU64, caller: Caller, text: String) -> Failure {
    counter.fetch_add(1, Ordering::Relaxed);
    tracing::info!(%caller, reason = text, "refused");
    Failure::new(StatusCode::FORBIDDEN, text)
}

/// Notes who changed something.
pub(super) fn changed(caller: Caller, what: &str, id: &str) {
    match caller {
        Caller::Unix { uid, gid, pid } => tracing::info!(uid, gid, pid, what, id, "changed over the API"),
        Caller::Tcp(from) => tracing::info!(%from, what, id, "changed over the API"),
        Caller::Unknown => tracing::info!(what, id, "changed over the API"),
    }
}

impl App {
    /// [`Access::permits`].
    pub(super) fn permits(&self, caller: Caller, want: Want<'_>) -> Result<(), Failure> {
        self.access.permits(caller, want)
    }
}
