//! What a check does by itself: the fields that say so, by kind.

use crate::api::json::{Misread, Object};
use crate::model::{HttpProbe, ProbeTarget, ProbeTls};

/// The target of a check, if it has one; remembers whether anything about one was given at all.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Target {
    target: Option<ProbeTarget>,
    /// Fields that belong to a target, without one.
    strays: bool,
}

impl Target {
    pub(super) fn read(object: &Object<'_>) -> Result<Self, Misread> {
        let tls = ProbeTls {
            server_name: object.text("TLSServerName")?,
            skips_verification: object.flag("TLSSkipVerify")?,
        };
        let (method, body, headers) = (object.text("Method")?, object.text("Body")?, object.lists("Header")?);
        let stays = object.flag("DisableRedirects")?;
        let mut strays = tls != ProbeTls::default() || stays;
        strays |= !method.is_empty() || !body.is_empty() || !headers.is_empty();
        let over = |wanted: bool| wanted.then(|| tls.clone());
        let (tcp_tls, grpc_tls) = (object.flag("TCPUseTLS")?, object.flag("GRPCUseTLS")?);
        // On unless it is turned off; giving it says nothing about whether there is a check.
        let h2_tls = object.flag_or("H2PingUseTLS", true)?;
        strays |= tcp_tls || grpc_tls;
        let (http, tcp, udp) = (object.text("HTTP")?, object.text("TCP")?, object.text("UDP")?);
        let (grpc, h2ping, args) =
            (object.text("GRPC")?, object.text("H2PING")?, object.texts("ScriptArgs")?);
        let target = if !args.is_empty() {
            Some(ProbeTarget::Script { args })
        } else if !http.is_empty() {
            Some(ProbeTarget::Http(HttpProbe {
                url: http,
                method: if method.is_empty() { "GET".to_owned() } else { method },
                headers,
                body,
                follows_redirects: !stays,
                tls,
            }))
        } else if !tcp.is_empty() {
            Some(ProbeTarget::Tcp { address: tcp, tls: over(tcp_tls) })
        } else if !udp.is_empty() {
            Some(ProbeTarget::Udp { address: udp })
        } else if !grpc.is_empty() {
            let (address, service) = grpc.split_once('/').unwrap_or((&grpc, ""));
            let (address, service) = (address.to_owned(), service.to_owned());
            Some(ProbeTarget::Grpc { address, service, tls: over(grpc_tls) })
        } else if !h2ping.is_empty() {
            Some(ProbeTarget::H2Ping { address: h2ping, tls: over(h2_tls) })
        } else {
            None
        };
        Ok(Self { target, strays })
    }

    pub(super) const fn is_some(&self) -> bool {
        self.target.is_some()
    }

    pub(super) const fn take(&mut self) -> Option<ProbeTarget> {
        self.target.take()
    }
}
