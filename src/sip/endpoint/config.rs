//! What the endpoint is told once, at its start.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::sip::auth::DigestAlgorithm;
use crate::sip::flow::Flow;
pub use crate::sip::registrar::RegistrationExpires;

/// Host and port that we name in Contact and Via for a flow: what the peer can reach us at.
pub type Advertise = Box<dyn Fn(&Flow) -> (String, u16) + Send>;

/// The name of the trunk that a source address belongs to, when that address alone admits it.
pub type TrunkTable = Box<dyn Fn(IpAddr) -> Option<String> + Send>;

/// The hash algorithms to challenge with on a flow, in the order of the challenges.
pub type AlgorithmTable = Box<dyn Fn(&Flow) -> Vec<DigestAlgorithm> + Send>;

/// What the endpoint is told once.
pub struct EndpointConfig {
    /// Digest realm, fixed in the store at first start.
    pub realm: String,
    /// Algorithms to offer; an algorithm not offered is never accepted.
    pub algorithms: AlgorithmTable,
    /// What to advertise in Contact.
    pub advertise: Advertise,
    /// Trunks admitted by source address.
    pub trunk: TrunkTable,
    /// `Server` and `User-Agent` header.
    pub product: String,
    /// How long a nonce may be used; afterwards `stale=true`. RFC 7616 §3.3.
    pub nonce_ttl: Duration,
    /// Wrong passwords from one address for one user name, within the failure window, after which
    /// the answer is 403 without a challenge.
    pub auth_failures_max: u32,
    /// The shortest session interval we accept (RFC 4028 §4: at least 90 s).
    pub min_session_expires: Duration,
    /// Bounds of a registration's expiry: what is asked beyond them is cut to them.
    pub registration_expires: RegistrationExpires,
    /// Seconds in `Retry-After` of 503.
    pub retry_after: Duration,
}

impl EndpointConfig {
    /// Defaults for a realm and an advertised address; MD5 alone, no trunks.
    pub fn new(realm: impl Into<String>, advertise: Advertise) -> Self {
        Self {
            realm: realm.into(),
            algorithms: Box::new(|_| vec![DigestAlgorithm::Md5]),
            advertise,
            trunk: Box::new(|_| None),
            product: concat!("Ringbridge/", env!("CARGO_PKG_VERSION")).to_owned(),
            nonce_ttl: Duration::from_secs(300),
            auth_failures_max: 5,
            min_session_expires: Duration::from_secs(90),
            registration_expires: RegistrationExpires {
                // Zoiper asks for 30 s: shorter would only be a flood.
                min: Duration::from_secs(20),
                default: Duration::from_secs(300),
                max: Duration::from_secs(3600),
            },
            retry_after: Duration::from_secs(30),
        }
    }
}

impl fmt::Debug for EndpointConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndpointConfig")
            .field("realm", &self.realm)
            .finish_non_exhaustive()
    }
}
