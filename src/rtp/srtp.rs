//! SRTP and SRTCP (RFC 3711, RFC 7714) of a phone leg, keyed by SDES (RFC 4568). The one door to
//! `rtc_srtp`.
//!
//! A context is kept for each source that has authenticated, a few at most: a stranger who sprays
//! SSRCs costs a key derivation a packet and not an octet of memory.

use std::fmt;

use bytes::BytesMut;
use rtc_srtp::context::Context;
use rtc_srtp::crypto;
use rtc_srtp::option::{srtcp_replay_protection, srtp_replay_protection};
use rtc_srtp::protection_profile::ProtectionProfile;

use super::discard::Discard;
use crate::limits::SRTP_SOURCES_MAX;

/// Octets of the longest master key with its salt.
pub const KEYING_BYTES_MAX: usize = 46;

/// Octets that protection adds to a packet at most: GCM's tag, and SRTCP's index.
pub const OVERHEAD_BYTES_MAX: usize = 16 + 4;

/// Packets that may come out of order, and how far a replay is recognised (RFC 3711 §3.3.2: at
/// least 64). A burst over Wi-Fi reorders dozens.
const REPLAY_WINDOW_PACKETS: usize = 128;

/// SRTCP's index with its E bit (RFC 3711 §3.4).
const SRTCP_INDEX_BYTES: usize = 4;

/// RTP header without CSRC, or SRTCP's clear part.
const HEADER_BYTES: usize = 12;

/// A crypto suite of SDES.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SrtpSuite {
    /// RFC 4568 §6.2.1: what everybody speaks.
    AesCm128HmacSha1_80,
    /// RFC 4568 §6.2.2.
    AesCm128HmacSha1_32,
    /// RFC 6188.
    AesCm256HmacSha1_80,
    /// RFC 6188.
    AesCm256HmacSha1_32,
    /// RFC 7714 §14.2.
    AeadAes128Gcm,
    /// RFC 7714 §14.2.
    AeadAes256Gcm,
}

impl SrtpSuite {
    /// Every suite we speak.
    pub const ALL: [Self; 6] = [
        Self::AesCm128HmacSha1_80,
        Self::AesCm128HmacSha1_32,
        Self::AesCm256HmacSha1_80,
        Self::AesCm256HmacSha1_32,
        Self::AeadAes128Gcm,
        Self::AeadAes256Gcm,
    ];

    /// As in `a=crypto`.
    pub fn name(self) -> &'static str {
        match self {
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AesCm256HmacSha1_80 => "AES_256_CM_HMAC_SHA1_80",
            Self::AesCm256HmacSha1_32 => "AES_256_CM_HMAC_SHA1_32",
            Self::AeadAes128Gcm => "AEAD_AES_128_GCM",
            Self::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    /// By its name in `a=crypto`, in any case. Some stacks write `AES_CM_256` for RFC 6188's
    /// `AES_256_CM`.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name
            .to_ascii_uppercase()
            .replace("AES_CM_256", "AES_256_CM");
        Self::ALL.into_iter().find(|suite| suite.name() == name)
    }

    /// Octets of master key and salt together.
    pub fn keying_bytes(self) -> usize {
        self.profile().key_len() + self.profile().salt_len()
    }

    fn profile(self) -> ProtectionProfile {
        match self {
            Self::AesCm128HmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
            Self::AesCm128HmacSha1_32 => ProtectionProfile::Aes128CmHmacSha1_32,
            Self::AesCm256HmacSha1_80 => ProtectionProfile::Aes256CmHmacSha1_80,
            Self::AesCm256HmacSha1_32 => ProtectionProfile::Aes256CmHmacSha1_32,
            Self::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
            Self::AeadAes256Gcm => ProtectionProfile::AeadAes256Gcm,
        }
    }
}

/// What an exchange of `a=crypto` lines settled.
#[derive(Clone, PartialEq, Eq)]
pub struct SrtpKeys {
    /// Same for both directions (RFC 4568 §5.1.2).
    pub suite: SrtpSuite,
    /// Master key and salt with which we protect.
    pub local: Vec<u8>,
    /// Master key and salt with which the phone protects.
    pub remote: Vec<u8>,
}

impl fmt::Debug for SrtpKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SrtpKeys")
            .field("suite", &self.suite)
            .finish_non_exhaustive()
    }
}

/// Protection of one leg, both directions.
pub struct SrtpSession {
    keys: SrtpKeys,
    ours: Context,
    /// Sources that have authenticated, oldest first.
    theirs: Vec<(u32, Context)>,
}

impl SrtpSession {
    /// With the keys of an exchange; `None` if their lengths do not fit the suite.
    pub fn new(keys: SrtpKeys) -> Option<Self> {
        let ours = context(keys.suite, &keys.local)?;
        context(keys.suite, &keys.remote)?;
        Some(Self {
            keys,
            ours,
            theirs: Vec::new(),
        })
    }

    /// The keys in use.
    pub fn keys(&self) -> &SrtpKeys {
        &self.keys
    }

    /// Protects the first `length` octets of `packet`, RTP, in place; the new length.
    pub fn protect_rtp(&mut self, packet: &mut [u8], length: usize) -> Option<usize> {
        let protected = self.ours.encrypt_rtp(packet.get(..length)?).ok()?;
        put(packet, &protected)
    }

    /// Protects the first `length` octets of `packet`, RTCP, in place; the new length.
    pub fn protect_rtcp(&mut self, packet: &mut [u8], length: usize) -> Option<usize> {
        let protected = self.ours.encrypt_rtcp(packet.get(..length)?).ok()?;
        put(packet, &protected)
    }

    /// The RTP packet behind a datagram.
    ///
    /// # Errors
    /// It is too short, does not authenticate, or is a replay.
    pub fn unprotect_rtp(&mut self, datagram: &[u8]) -> Result<BytesMut, Discard> {
        let ssrc = word(datagram, 8)?;
        self.unprotect(ssrc, |context| context.decrypt_rtp(datagram).ok())
    }

    /// The RTCP packet behind a datagram.
    ///
    /// # Errors
    /// It is too short, does not authenticate, or is a replay.
    pub fn unprotect_rtcp(&mut self, datagram: &[u8]) -> Result<BytesMut, Discard> {
        let ssrc = word(datagram, 4)?;
        if !self.claims_encryption(datagram) {
            return Err(Discard::NotAuthentic);
        }
        self.unprotect(ssrc, |context| context.decrypt_rtcp(datagram).ok())
    }

    /// The E bit of SRTCP (RFC 3711 §3.4). Where it is not set the library gives the packet back
    /// without looking at its tag: anybody could speak in the phone's name. No phone we know sends
    /// such packets.
    fn claims_encryption(&self, datagram: &[u8]) -> bool {
        let profile = self.keys.suite.profile();
        let behind = SRTCP_INDEX_BYTES + profile.rtcp_auth_tag_len();
        let index = datagram.len().checked_sub(behind);
        index.is_some_and(|at| datagram[at] & 0x80 != 0)
    }

    fn unprotect<T>(
        &mut self,
        ssrc: u32,
        open: impl FnOnce(&mut Context) -> Option<T>,
    ) -> Result<T, Discard> {
        if let Some((_, known)) = self.theirs.iter_mut().find(|(of, _)| *of == ssrc) {
            return open(known).ok_or(Discard::NotAuthentic);
        }
        let keys = &self.keys;
        let mut fresh = context(keys.suite, &keys.remote).ok_or(Discard::NotAuthentic)?;
        let opened = open(&mut fresh).ok_or(Discard::NotAuthentic)?;
        if self.theirs.len() == SRTP_SOURCES_MAX {
            self.theirs.remove(0);
        }
        self.theirs.push((ssrc, fresh));
        Ok(opened)
    }
}

fn context(suite: SrtpSuite, keying: &[u8]) -> Option<Context> {
    let profile = suite.profile();
    let (key, salt) = keying.split_at_checked(profile.key_len())?;
    let provider = crypto::default_provider().ok()?;
    Context::new(
        key,
        salt,
        profile,
        Some(srtp_replay_protection(REPLAY_WINDOW_PACKETS)),
        Some(srtcp_replay_protection(REPLAY_WINDOW_PACKETS)),
        provider.crypto(),
    )
    .ok()
}

fn put(packet: &mut [u8], protected: &[u8]) -> Option<usize> {
    packet
        .get_mut(..protected.len())?
        .copy_from_slice(protected);
    Some(protected.len())
}

fn word(datagram: &[u8], at: usize) -> Result<u32, Discard> {
    if datagram.len() < HEADER_BYTES {
        return Err(Discard::Malformed);
    }
    let octets = [
        datagram[at],
        datagram[at + 1],
        datagram[at + 2],
        datagram[at + 3],
    ];
    Ok(u32::from_be_bytes(octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let text: String = text.split_whitespace().collect();
        (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
            .collect()
    }

    fn session(suite: SrtpSuite, local: &[u8], remote: &[u8]) -> SrtpSession {
        let keys = SrtpKeys {
            suite,
            local: local.to_vec(),
            remote: remote.to_vec(),
        };
        SrtpSession::new(keys).unwrap()
    }

    fn packet(ssrc: u32, sequence: u16) -> Vec<u8> {
        let mut packet = vec![0x80, 0];
        packet.extend(sequence.to_be_bytes());
        packet.extend(160u32.to_be_bytes());
        packet.extend(ssrc.to_be_bytes());
        packet.extend([0x55; 160]);
        packet
    }

    fn protect(session: &mut SrtpSession, plain: &[u8]) -> Vec<u8> {
        let mut buffer = plain.to_vec();
        buffer.resize(plain.len() + OVERHEAD_BYTES_MAX, 0);
        let length = session.protect_rtp(&mut buffer, plain.len()).unwrap();
        buffer.truncate(length);
        buffer
    }

    /// The packet and keys that libsrtp's own driver checks itself against (`srtp_driver.c`,
    /// `srtp_validate`): a foreign stack's word, since our own round trip would prove nothing.
    #[test]
    fn aes_cm_128_gives_the_octets_that_libsrtp_gives() {
        let keying = hex("e1f97a0d3e018be0d64fa32c06de4139 0ec675ad498afeebb6960b3aabe6");
        let plain = hex("800f1234 decafbad cafebabe abababab abababab abababab abababab");
        let expected = hex(
            "800f1234 decafbad cafebabe 4e55dc4c e79978d8 8ca4d215 949d2402 \
             b78d6acc 99ea179b 8dbb",
        );
        let mut session = session(SrtpSuite::AesCm128HmacSha1_80, &keying, &keying);
        assert_eq!(protect(&mut session, &plain), expected);
        let opened = session.unprotect_rtp(&expected).unwrap();
        assert_eq!(opened.as_ref(), plain);
    }

    /// RFC 7714 §16.1.1, whose session key and salt cannot be given to an SRTP context, is checked
    /// by the library; here the derivation and the layout are, by libsrtp's `srtp_validate_gcm`.
    #[test]
    fn aes_gcm_128_gives_the_octets_that_libsrtp_gives() {
        let keying = hex("000102030405060708090a0b0c0d0e0f a0a1a2a3a4a5a6a7a8a9aaab");
        let plain = hex("800f1234 decafbad cafebabe abababab abababab abababab abababab");
        let expected = hex(
            "800f1234 decafbad cafebabe c5002ede 04cfdd2e b91159e0 880aa06e \
             d2976826 f796b201 df3131a1 27e8a392",
        );
        let mut session = session(SrtpSuite::AeadAes128Gcm, &keying, &keying);
        assert_eq!(protect(&mut session, &plain), expected);
    }

    #[test]
    fn every_suite_carries_both_directions_and_refuses_a_replay() {
        for suite in SrtpSuite::ALL {
            let (left, right) = (vec![7; suite.keying_bytes()], vec![9; suite.keying_bytes()]);
            let mut phone = session(suite, &left, &right);
            let mut us = session(suite, &right, &left);
            for sequence in [65_534, 65_535, 0, 1] {
                let plain = packet(77, sequence);
                let protected = protect(&mut phone, &plain);
                assert_ne!(protected[12..40], plain[12..40], "{}", suite.name());
                assert_eq!(us.unprotect_rtp(&protected).unwrap().as_ref(), plain);
                assert_eq!(
                    us.unprotect_rtp(&protected).err(),
                    Some(Discard::NotAuthentic)
                );
            }
            let back = protect(&mut us, &packet(3, 1));
            assert!(phone.unprotect_rtp(&back).is_ok());
        }
    }

    #[test]
    fn a_new_source_is_heard_from_its_own_beginning_and_a_stranger_leaves_no_trace() {
        let suite = SrtpSuite::AesCm128HmacSha1_80;
        let (ours, theirs) = (vec![1; 30], vec![2; 30]);
        let mut us = session(suite, &ours, &theirs);
        for ssrc in 0..100 {
            let mut stranger = session(suite, &[3; 30], &ours);
            let garbage = protect(&mut stranger, &packet(ssrc, 1));
            assert_eq!(
                us.unprotect_rtp(&garbage).err(),
                Some(Discard::NotAuthentic)
            );
        }
        assert!(us.theirs.is_empty());
        // Carriers change the SSRC between ringback and the answered stream.
        for ssrc in 0..20 {
            let mut phone = session(suite, &theirs, &ours);
            assert!(
                us.unprotect_rtp(&protect(&mut phone, &packet(ssrc, 9)))
                    .is_ok()
            );
        }
        assert_eq!(us.theirs.len(), SRTP_SOURCES_MAX);
    }

    #[test]
    fn rtcp_is_protected_and_its_replay_refused() {
        let suite = SrtpSuite::AeadAes256Gcm;
        let (left, right) = (vec![7; 44], vec![9; 44]);
        let (mut phone, mut us) = (session(suite, &left, &right), session(suite, &right, &left));
        let report = hex("80c90001 00000011");
        let mut buffer = [0; 64];
        buffer[..report.len()].copy_from_slice(&report);
        let length = phone.protect_rtcp(&mut buffer, report.len()).unwrap();
        assert_eq!(
            us.unprotect_rtcp(&buffer[..length]).unwrap().as_ref(),
            report
        );
        assert!(us.unprotect_rtcp(&buffer[..length]).is_err());
    }

    #[test]
    fn names_are_read_as_peers_write_them_and_short_keys_are_refused() {
        assert_eq!(
            SrtpSuite::from_name("aes_cm_256_hmac_sha1_80"),
            Some(SrtpSuite::AesCm256HmacSha1_80)
        );
        assert_eq!(SrtpSuite::from_name("F8_128_HMAC_SHA1_80"), None);
        let keys = SrtpKeys {
            suite: SrtpSuite::AeadAes128Gcm,
            local: vec![0; 28],
            remote: vec![0; 27],
        };
        assert!(SrtpSession::new(keys).is_none());
        assert!(
            SrtpSuite::ALL
                .iter()
                .all(|suite| suite.keying_bytes() <= KEYING_BYTES_MAX)
        );
    }
}
