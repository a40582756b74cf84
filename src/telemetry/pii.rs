//! Personal data in logs: the only door (invariant A9).
//!
//! Phone numbers, display names, user names and addresses of peers are wrapped in [`Pii`] where
//! they are logged. Unless the operator allows them (`log-personal-data`), a short pseudonym
//! stands in their place: the same value gives the same one until the process ends, so that lines
//! about one caller can still be found together. Secrets (passwords, digests, tokens, keys) are
//! never logged in any form; there is deliberately no type for them.

use std::fmt;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest as _, Sha256};

static ALLOWED: AtomicBool = AtomicBool::new(false);

/// Set once at start, from the configuration.
pub(super) fn allow(allowed: bool) {
    ALLOWED.store(allowed, Ordering::Relaxed);
}

/// A value about a person; shown as a pseudonym unless allowed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pii<T>(pub T);

impl<T: fmt::Display> Pii<T> {
    /// The value itself whatever the settings, for the few lines whose purpose needs it: the
    /// source of an attack, which a firewall shall be told. Say at the place of use why.
    pub fn for_security(&self) -> &T {
        &self.0
    }

    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if ALLOWED.load(Ordering::Relaxed) {
            return write_tame(f, &self.0.to_string());
        }
        let hash = Sha256::new()
            .chain_update(salt())
            .chain_update(self.0.to_string().as_bytes())
            .finalize();
        write!(
            f,
            "pii:{:02x}{:02x}{:02x}{:02x}",
            hash[0], hash[1], hash[2], hash[3]
        )
    }
}

impl<T: fmt::Display> fmt::Display for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

/// The same as `Display`: a `{:?}` of something that holds a `Pii` must not be a way around it.
impl<T: fmt::Display> fmt::Debug for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

/// Peers' text may hold line breaks and terminal escapes, to forge log lines.
fn write_tame(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for letter in text.chars() {
        if letter.is_control() {
            write!(f, "{}", letter.escape_default())?;
        } else {
            write!(f, "{letter}")?;
        }
    }
    Ok(())
}

/// Drawn at the first use: without it, all phone numbers could be hashed and looked up.
fn salt() -> &'static [u8; 16] {
    static SALT: OnceLock<[u8; 16]> = OnceLock::new();
    SALT.get_or_init(rand::random)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One test for both settings: the switch is the process's.
    #[test]
    fn personal_data_is_a_stable_pseudonym_unless_allowed() {
        let caller = Pii("+14155550100");
        let shown = format!("{caller} {caller:?}");
        assert!(!shown.contains("415"), "{shown}");
        assert_eq!(caller.to_string(), Pii("+14155550100").to_string());
        assert_ne!(caller.to_string(), Pii("+14155550101").to_string());
        assert_eq!(*caller.for_security(), "+14155550100");

        allow(true);
        assert_eq!(caller.to_string(), "+14155550100");
        assert_eq!(Pii("a\r\nb\u{1b}[0m").to_string(), "a\\r\\nb\\u{1b}[0m");
        allow(false);
    }
}
