//! The registrar (RFC 3261 §10): bindings of phones with their expiry, in bounded memory.
//!
//! An account is one address-of-record: bindings belong to the digest credentials, whatever To
//! says, since phones put display forms and foreign domains there.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use super::dialog::seconds;
use super::flow::Flow;
use super::header::{NameAddr, parse_decimal};
use super::message::Request;
use super::uri::{Scheme, Uri};
use crate::id::CredentialId;
use crate::limits::{SIP_BINDINGS_MAX, SIP_BINDINGS_PER_CREDENTIAL_MAX};

/// Bounds of a registration's lifetime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RegistrationExpires {
    /// Asked for less (but not zero): 423 with Min-Expires.
    pub min: Duration,
    /// Asked for nothing.
    pub default: Duration,
    /// Asked for more: this much is granted.
    pub max: Duration,
}

/// Why a REGISTER is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RegisterRefusal {
    /// A Contact cannot be read, or `*` is used wrongly: 400.
    Contact,
    /// CSeq is not above that of the binding's last REGISTER: 500 (RFC 3261 §10.3 step 6).
    OutOfOrder,
    /// 423.
    TooBrief,
    /// The table is full: 503.
    Full,
}

/// One binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The digest username.
    pub username: String,
    /// Contact URI as sent.
    pub uri: String,
    /// Where it came from.
    pub flow: Flow,
    /// User-Agent header.
    pub user_agent: Option<String>,
    /// Contact as echoed, without `expires`.
    pub(super) contact: String,
    /// `+sip.instance`, where the phone has one: it stays when the Contact changes (RFC 5626).
    pub(super) instance: Option<String>,
    /// Which of its flows it is.
    pub(super) reg_id: Option<u32>,
    pub(super) call_id: String,
    pub(super) cseq: u32,
    pub(super) expires_at: Instant,
}

/// A binding came, stayed or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Whose.
    pub credential: CredentialId,
    /// Which.
    pub binding: Binding,
    /// Time left; `None` when it went.
    pub expires: Option<Duration>,
}

/// All bindings.
#[derive(Debug)]
pub struct Registrar {
    expires: RegistrationExpires,
    bindings: HashMap<CredentialId, Vec<Binding>>,
    count: usize,
    /// Next expiry of each credential's bindings.
    deadlines: BTreeSet<(Instant, CredentialId)>,
    /// The same, by credential.
    scheduled: HashMap<CredentialId, Instant>,
}

/// One Contact of a REGISTER.
struct Wanted {
    contact: NameAddr,
    lifetime: Duration,
}

impl Registrar {
    /// Without bindings.
    pub fn new(expires: RegistrationExpires) -> Self {
        Self {
            expires,
            bindings: HashMap::new(),
            count: 0,
            deadlines: BTreeSet::new(),
            scheduled: HashMap::new(),
        }
    }

    /// How many bindings there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Contact values of a 200: all bindings of the credential with the seconds they have left.
    pub fn contacts(&self, now: Instant, credential: CredentialId) -> Vec<String> {
        let bindings = self.bindings.get(&credential).into_iter().flatten();
        bindings
            .filter(|binding| binding.expires_at > now)
            .map(|binding| {
                let left = binding.expires_at.duration_since(now).as_secs();
                format!("{};expires={left}", binding.contact)
            })
            .collect()
    }

    /// Follows an authenticated REGISTER. A REGISTER without Contact asks only.
    pub fn register(
        &mut self,
        now: Instant,
        request: &Request,
        flow: Flow,
        credential: CredentialId,
        username: &str,
    ) -> Result<Vec<Change>, RegisterRefusal> {
        let expires = request.headers.get("Expires").and_then(seconds);
        let values: Vec<&str> = request.headers.all("Contact").collect();
        if values.contains(&"*") {
            if values.len() != 1 || expires != Some(0) {
                return Err(RegisterRefusal::Contact);
            }
            return Ok(self.remove_all(credential));
        }
        let wanted = values
            .into_iter()
            .map(|value| self.read_contact(value, expires))
            .collect::<Result<Vec<_>, _>>()?;
        if self.is_stale(&wanted, request, credential) {
            return Err(RegisterRefusal::OutOfOrder);
        }
        if self.count + wanted.len() > SIP_BINDINGS_MAX {
            return Err(RegisterRefusal::Full);
        }
        let mut changes = Vec::new();
        for wanted in wanted {
            self.unbind(credential, &wanted.contact, &mut changes);
            if wanted.lifetime.is_zero() {
                continue;
            }
            let binding = Binding {
                username: username.to_owned(),
                uri: wanted.contact.uri.clone(),
                flow,
                user_agent: request.headers.get("User-Agent").map(str::to_owned),
                contact: echo(&wanted.contact),
                instance: wanted
                    .contact
                    .params
                    .get("+sip.instance")
                    .map(str::to_owned),
                reg_id: reg_id_of(&wanted.contact),
                call_id: request.call_id.clone(),
                cseq: request.cseq,
                expires_at: now + wanted.lifetime,
            };
            // A refresh is one change, not a removal and a binding.
            changes.retain(|change: &Change| !change.binding.is_same_phone(&wanted.contact));
            self.bind(credential, binding.clone(), &mut changes);
            changes.push(Change {
                credential,
                binding,
                expires: Some(wanted.lifetime),
            });
        }
        self.reschedule(credential);
        Ok(changes)
    }

    /// Takes up a binding of an earlier run.
    pub fn restore(&mut self, credential: CredentialId, binding: Binding) {
        if self.count < SIP_BINDINGS_MAX {
            // What makes room for it was kept by the same run: nobody need be told.
            self.bind(credential, binding, &mut Vec::new());
            self.reschedule(credential);
        }
    }

    /// Removes what has run out.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Change> {
        let mut changes = Vec::new();
        while let Some(&(at, credential)) = self.deadlines.first()
            && at <= now
        {
            self.take(
                credential,
                |binding| binding.expires_at <= now,
                &mut changes,
            );
            self.reschedule(credential);
        }
        changes
    }

    /// When the next binding runs out.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    fn read_contact(&self, value: &str, expires: Option<u32>) -> Result<Wanted, RegisterRefusal> {
        let contact = NameAddr::parse(value).map_err(|_| RegisterRefusal::Contact)?;
        let uri = Uri::parse(&contact.uri).map_err(|_| RegisterRefusal::Contact)?;
        if !matches!(uri.scheme(), Scheme::Sip | Scheme::Sips) {
            return Err(RegisterRefusal::Contact);
        }
        // What cannot be read counts as not said (RFC 3261 §10.2.1.1).
        let asked = contact.params.get("expires").and_then(seconds).or(expires);
        let lifetime = match asked {
            None => self.expires.default,
            Some(asked) => Duration::from_secs(u64::from(asked)).min(self.expires.max),
        };
        if !lifetime.is_zero() && lifetime < self.expires.min {
            return Err(RegisterRefusal::TooBrief);
        }
        Ok(Wanted { contact, lifetime })
    }

    fn is_stale(&self, wanted: &[Wanted], request: &Request, credential: CredentialId) -> bool {
        let bindings = self.bindings.get(&credential).into_iter().flatten();
        bindings
            .filter(|binding| binding.call_id == request.call_id && binding.cseq >= request.cseq)
            .any(|binding| {
                wanted
                    .iter()
                    .any(|wanted| binding.is_same_phone(&wanted.contact))
            })
    }

    fn bind(&mut self, credential: CredentialId, binding: Binding, changes: &mut Vec<Change>) {
        let bindings = self.bindings.entry(credential).or_default();
        if bindings.len() >= SIP_BINDINGS_PER_CREDENTIAL_MAX {
            let soonest = bindings
                .iter()
                .min_by_key(|binding| binding.expires_at)
                .cloned();
            self.take(
                credential,
                |binding| soonest.as_ref() == Some(binding),
                changes,
            );
        }
        self.bindings.entry(credential).or_default().push(binding);
        self.count += 1;
    }

    fn unbind(&mut self, credential: CredentialId, contact: &NameAddr, changes: &mut Vec<Change>) {
        self.take(
            credential,
            |binding| binding.is_same_phone(contact),
            changes,
        );
    }

    fn remove_all(&mut self, credential: CredentialId) -> Vec<Change> {
        let mut changes = Vec::new();
        self.take(credential, |_| true, &mut changes);
        self.reschedule(credential);
        changes
    }

    fn take(
        &mut self,
        credential: CredentialId,
        which: impl Fn(&Binding) -> bool,
        changes: &mut Vec<Change>,
    ) {
        let Some(bindings) = self.bindings.get_mut(&credential) else {
            return;
        };
        let before = bindings.len();
        bindings.retain(|binding| {
            let goes = which(binding);
            if goes {
                changes.push(Change {
                    credential,
                    binding: binding.clone(),
                    expires: None,
                });
            }
            !goes
        });
        self.count -= before - bindings.len();
    }

    fn reschedule(&mut self, credential: CredentialId) {
        if let Some(at) = self.scheduled.remove(&credential) {
            self.deadlines.remove(&(at, credential));
        }
        let bindings = self.bindings.get(&credential).into_iter().flatten();
        match bindings.map(|binding| binding.expires_at).min() {
            Some(next) => {
                self.deadlines.insert((next, credential));
                self.scheduled.insert(credential, next);
            }
            None => {
                self.bindings.remove(&credential);
            }
        }
    }
}

/// `reg-id` of a Contact (RFC 5626 §4.2).
pub(super) fn reg_id_of(contact: &NameAddr) -> Option<u32> {
    contact.params.get("reg-id").and_then(parse_decimal)
}

impl Binding {
    fn is_same_phone(&self, contact: &NameAddr) -> bool {
        match (&self.instance, contact.params.get("+sip.instance")) {
            (Some(instance), Some(other)) => instance == other && self.reg_id == reg_id_of(contact),
            _ => self.uri == contact.uri,
        }
    }
}

/// Contact with its parameters but `expires`; values that are no tokens are quoted again.
fn echo(contact: &NameAddr) -> String {
    let mut echo = format!("<{}>", contact.uri);
    for (name, value) in contact.params.iter().filter(|(name, _)| *name != "expires") {
        echo.push(';');
        echo.push_str(name);
        match value {
            Some(value)
                if value.bytes().all(super::normalise::is_token_byte) && !value.is_empty() =>
            {
                echo.push_str(&format!("={value}"));
            }
            Some(value) => {
                let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
                echo.push_str(&format!("=\"{escaped}\""));
            }
            None => {}
        }
    }
    echo
}
