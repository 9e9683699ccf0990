//! Sealing: AES-256-GCM-SIV (RFC 8452) over everything after a datagram's header, and the cookies
//! by which an address proves that it receives.
//!
//! Header and cluster name are authenticated with it. Both functions are pure: the nonce is an
//! argument. With random 96-bit nonces one key is good for some 2^50 datagrams (RFC 8452, section
//! 9), and a nonce that repeats tells that two datagrams were equal and nothing else.

use super::datagram::HEADER_BYTES;
use crate::model::{KeyId, KeyMaterial};
use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use std::net::{IpAddr, SocketAddr};

/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 12;
/// Bytes that a sealed datagram has more than a plain one: the tag at its end.
pub const SEAL_BYTES: usize = 16;
/// Where the nonce stands in the header.
const NONCE_AT: usize = 7;
/// Where the id of the key stands.
const KEY_ID_AT: usize = 3;
/// What is authenticated beside the body at most: the header and a cluster's name.
const AAD_BYTES_MAX: usize = HEADER_BYTES + 256;

/// A datagram that was not sealed with this key, or was changed on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the seal is broken")]
pub struct Broken;

/// A key of one cluster, ready for use.
pub struct SealKey {
    id: KeyId,
    key: LessSafeKey,
    cluster: Box<str>,
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SealKey({})", self.id)
    }
}

impl SealKey {
    /// Makes `material` ready for the datagrams of the cluster of that name.
    pub fn new(material: &KeyMaterial, cluster: &str) -> Self {
        let key = UnboundKey::new(&AES_256_GCM_SIV, material.bytes()).expect("a key has 32 bytes");
        Self { id: material.id(), key: LessSafeKey::new(key), cluster: cluster.into() }
    }

    /// The key's name.
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// Header and name, on the stack: this is done for each datagram.
    fn aad<'a>(&self, header: &[u8], room: &'a mut [u8; AAD_BYTES_MAX]) -> &'a [u8] {
        let name = self.cluster.as_bytes();
        let name = &name[..name.len().min(AAD_BYTES_MAX - HEADER_BYTES)];
        let end = HEADER_BYTES + name.len();
        room[..HEADER_BYTES].copy_from_slice(&header[..HEADER_BYTES]);
        room[HEADER_BYTES..end].copy_from_slice(name);
        &room[..end]
    }

    /// Seals a plain datagram in place: puts key id and nonce into its header, makes the rest
    /// unreadable and appends the tag.
    ///
    /// # Panics
    /// If `datagram` has no header.
    pub fn seal(&self, nonce: [u8; NONCE_BYTES], datagram: &mut Vec<u8>) {
        datagram[KEY_ID_AT..NONCE_AT].copy_from_slice(&self.id.0.to_le_bytes());
        datagram[NONCE_AT..NONCE_AT + NONCE_BYTES].copy_from_slice(&nonce);
        let (header, body) = datagram.split_at_mut(HEADER_BYTES);
        let mut room = [0; AAD_BYTES_MAX];
        let aad = self.aad(header, &mut room);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce, Aad::from(aad), body)
            .expect("a datagram is shorter than what GCM-SIV can seal");
        datagram.extend_from_slice(tag.as_ref());
    }

    /// Puts what follows the header of a sealed datagram into `body`, readable.
    pub fn open(&self, datagram: &[u8], body: &mut Vec<u8>) -> Result<(), Broken> {
        let (header, sealed) = datagram.split_first_chunk::<HEADER_BYTES>().ok_or(Broken)?;
        let (sealed, tag) = sealed.split_last_chunk::<SEAL_BYTES>().ok_or(Broken)?;
        let mut room = [0; AAD_BYTES_MAX];
        let aad = self.aad(header, &mut room);
        let nonce = header[NONCE_AT..NONCE_AT + NONCE_BYTES].try_into().map_err(|_| Broken)?;
        body.clear();
        body.resize(sealed.len(), 0);
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key.open_separate_gather(nonce, Aad::from(aad), sealed, tag, body).map_err(|_| {
            body.clear();
            Broken
        })
    }
}

/// Makes the cookies of one run of an agent: only whoever receives at an address can know the one
/// for it (as DTLS' HelloVerifyRequest, RFC 6347, section 4.2.1, and QUIC's Retry, RFC 9000,
/// section 8.1.2).
pub struct CookieKey(hmac::Key);

impl CookieKey {
    /// From a secret that nobody else has.
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The cookie for `addr` in that span of time.
    pub fn cookie(&self, addr: SocketAddr, span: u64) -> u64 {
        let mut text = [0; 26];
        let ip = match addr.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        text[..16].copy_from_slice(&ip.octets());
        text[16..18].copy_from_slice(&addr.port().to_le_bytes());
        text[18..].copy_from_slice(&span.to_le_bytes());
        let tag = hmac::sign(&self.0, &text);
        u64::from_le_bytes(tag.as_ref().first_chunk().copied().unwrap_or_default())
    }
}
