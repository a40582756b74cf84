//! SIP profiles: what differs between kinds of SIP peers, as data.
//!
//! A profile is chosen for a call by, in this order: the digest user name, the most specific
//! source network, the User-Agent; else it is `generic`. What a peer merely *claims* (its
//! User-Agent) changes tastes such as the codec order, never rights: only a profile whose
//! authentication is `cidr` lets calls in without digest, and only by their source address.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::glob::Glob;
use crate::limits::{PROFILE_ATTRIBUTE_BYTES_MAX, PROFILE_ATTRIBUTES_MAX};
use crate::meeting::leg::PhoneCodec;
use crate::sdp::crypto::SrtpPolicy;
use crate::sip::auth::DigestAlgorithm;

/// Name of the profile used where no other fits; always present.
pub const GENERIC: &str = "generic";

/// Settings for one kind of SIP peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Name, also of its file.
    pub name: String,
    /// One sentence for people.
    pub description: String,
    /// False: a template, checked but never chosen.
    pub enabled: bool,
    /// Which peers it is for.
    pub rules: MatchRules,
    /// How its calls prove who they are.
    pub authentication: Authentication,
    /// Codecs we answer with, best first; never empty.
    pub codecs: Vec<PhoneCodec>,
    /// Whether media is protected by SRTP (SDES).
    pub srtp: SrtpPolicy,
    /// Forms in which digits are accepted. A phone that sends one digit in two forms would
    /// otherwise press each key twice.
    pub dtmf: Vec<DtmfForm>,
    /// Bring quiet and loud callers nearer to each other.
    pub automatic_gain: bool,
    /// How the dialled number or a header names the meeting.
    pub dial: DialRules,
    /// Header (lower case, perhaps ending in `*`) → attribute of the robo participant.
    pub header_attributes: BTreeMap<String, String>,
    /// Departures from the common behaviour.
    pub quirks: Quirks,
}

/// Which peers a profile is for; any one of these suffices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MatchRules {
    /// Digest user names, compared exactly.
    pub usernames: Vec<String>,
    /// Networks from which it sends.
    pub sources: Vec<IpNet>,
    /// Patterns of its User-Agent.
    pub user_agents: Vec<Glob>,
}

/// How calls prove who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authentication {
    /// Digest; `algorithms` overrides the listener's where set.
    Digest {
        /// Hashes offered, in order.
        algorithms: Option<Vec<DigestAlgorithm>>,
    },
    /// By source network alone, with the rights of one stored credential.
    Cidr {
        /// Digest user name whose meetings these calls may enter.
        acts_as: String,
    },
}

/// A form in which a phone sends digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DtmfForm {
    /// telephone-event in RTP (RFC 4733); offered in SDP only where listed.
    Rfc4733,
    /// SIP INFO with `application/dtmf-relay` or `application/dtmf`.
    Info,
    /// Tones in the sound itself; listened for only where no telephone-event is agreed.
    Inband,
}

/// How a call names its meeting where it does not dial the meeting's id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DialRules {
    /// Header (lower case) whose value is the meeting's id; asked first.
    pub meeting_header: Option<String>,
    /// Taken from the front of the dialled user part before anything else is looked up.
    pub strip_prefix: String,
    /// Dialled number, digits only → meeting id.
    pub numbers: BTreeMap<String, String>,
}

/// Departures from the common behaviour.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quirks {
    /// Put `X-Ringbridge-Participant-Id` or `X-Ringbridge-Error` on the final response.
    pub report_headers: bool,
    /// Ring by 183 with our answer in place of 180: for carriers that play no ringing themselves.
    pub early_media: bool,
    /// The host that its certificate names, where its Route or Contact is an address: asked for
    /// when we open a TLS connection to it, because it closed its own.
    pub tls_name: Option<String>,
}

/// What is known of a peer when a profile is chosen for it.
#[derive(Debug, Clone, Copy)]
pub struct Peer<'a> {
    /// Where it sends from.
    pub source: IpAddr,
    /// Its User-Agent header.
    pub user_agent: Option<&'a str>,
    /// The digest user name it authenticated with.
    pub username: Option<&'a str>,
}

/// All profiles, `generic` among them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profiles {
    pub(super) profiles: BTreeMap<String, Profile>,
}

impl Profiles {
    /// The profile for a peer.
    pub fn choose(&self, peer: &Peer<'_>) -> &Profile {
        let by_username = |profile: &&Profile| {
            let names = &profile.rules.usernames;
            peer.username
                .is_some_and(|name| names.iter().any(|listed| listed == name))
        };
        let by_user_agent = |profile: &&Profile| {
            let patterns = &profile.rules.user_agents;
            peer.user_agent
                .is_some_and(|agent| patterns.iter().any(|glob| glob.matches(agent)))
        };
        self.enabled()
            .find(by_username)
            .or_else(|| self.by_source(peer.source, |_| true))
            .or_else(|| self.enabled().find(by_user_agent))
            .unwrap_or_else(|| self.generic())
    }

    /// The digest user name as which calls from `source` are let in without a challenge.
    pub fn trusted(&self, source: IpAddr) -> Option<&str> {
        let is_cidr = |profile: &Profile| match profile.authentication {
            Authentication::Cidr { .. } => true,
            Authentication::Digest { .. } => false,
        };
        match &self.by_source(source, is_cidr)?.authentication {
            Authentication::Cidr { acts_as } => Some(acts_as),
            Authentication::Digest { .. } => None,
        }
    }

    /// The profile used where no other fits.
    pub fn generic(&self) -> &Profile {
        &self.profiles[GENERIC]
    }

    /// All profiles in order of name, templates too.
    pub fn iter(&self) -> impl Iterator<Item = &Profile> {
        self.profiles.values()
    }

    /// Names of those that calls can have.
    pub fn names(&self) -> Vec<String> {
        self.enabled().map(|profile| profile.name.clone()).collect()
    }

    /// The enabled one of this name.
    pub fn named(&self, name: &str) -> Option<&Profile> {
        self.enabled().find(|profile| profile.name == name)
    }

    fn enabled(&self) -> impl Iterator<Item = &Profile> {
        self.iter().filter(|profile| profile.enabled)
    }

    fn by_source(&self, source: IpAddr, wanted: impl Fn(&Profile) -> bool) -> Option<&Profile> {
        // A dual-stack socket shows IPv4 peers as ::ffff:a.b.c.d.
        let source = source.to_canonical();
        self.enabled()
            .filter(|profile| wanted(profile))
            .flat_map(|profile| profile.rules.sources.iter().map(move |net| (net, profile)))
            .filter(|(net, _)| net.contains(&source))
            .max_by_key(|(net, _)| net.prefix_len())
            .map(|(_, profile)| profile)
    }
}

impl Profile {
    /// Hashes to offer to this peer, given the listener's.
    pub fn algorithms<'a>(&'a self, listener: &'a [DigestAlgorithm]) -> &'a [DigestAlgorithm] {
        match &self.authentication {
            Authentication::Digest {
                algorithms: Some(algorithms),
            } => algorithms,
            Authentication::Digest { algorithms: None } | Authentication::Cidr { .. } => listener,
        }
    }

    /// Whether digits in this form are accepted.
    pub fn accepts(&self, form: DtmfForm) -> bool {
        self.dtmf.contains(&form)
    }

    /// The text that should be a meeting's id, from the dialled user part and the headers.
    pub fn dialled_meeting(&self, user: &str, headers: &[(String, String)]) -> String {
        let named = self.dial.meeting_header.as_deref().and_then(|wanted| {
            headers
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
                .map(|(_, value)| value.trim())
        });
        if let Some(id) = named.filter(|id| !id.is_empty()) {
            return id.to_owned();
        }
        let user = user.strip_prefix(&self.dial.strip_prefix).unwrap_or(user);
        match self.dial.numbers.get(&digits(user)) {
            Some(meeting) => meeting.clone(),
            None => user.to_owned(),
        }
    }

    /// Attributes of the robo participant, from the call's headers: at most
    /// [`PROFILE_ATTRIBUTES_MAX`], each value cut at [`PROFILE_ATTRIBUTE_BYTES_MAX`] and without
    /// control characters, since it comes from the network and goes to browsers. `private`: the
    /// caller withholds its identity, and headers that tell it are left out.
    pub fn attributes(
        &self,
        headers: &[(String, String)],
        private: bool,
    ) -> BTreeMap<String, String> {
        let mut attributes = BTreeMap::new();
        for (name, value) in headers {
            if attributes.len() == PROFILE_ATTRIBUTES_MAX {
                break;
            }
            let name = name.to_ascii_lowercase();
            if let Some((attribute, value)) = self.parameter_attribute(&name, value) {
                attributes.entry(attribute).or_insert_with(|| tame(value));
            }
            if private && TELLS_WHO.contains(&name.as_str()) {
                continue;
            }
            if let Some(attribute) = self.attribute_of(&name) {
                attributes.entry(attribute).or_insert_with(|| tame(value));
            }
        }
        attributes
    }

    /// The attribute that a parameter of this header gives: `P-Asserted-Identity;verstat`. Carriers
    /// put it into the user part of the URI, or after it.
    fn parameter_attribute<'a>(&self, header: &str, value: &'a str) -> Option<(String, &'a str)> {
        self.header_attributes.iter().find_map(|(key, attribute)| {
            let wanted = key.strip_prefix(header)?.strip_prefix(';')?;
            let found = value.split(';').skip(1).find_map(|part| {
                let (name, value) = part.split_once('=')?;
                name.trim().eq_ignore_ascii_case(wanted).then_some(value)
            })?;
            let end = found.find(['@', '>', ' ', ',', '?']).unwrap_or(found.len());
            Some((attribute.clone(), &found[..end]))
        })
    }

    fn attribute_of(&self, header: &str) -> Option<String> {
        if let Some(attribute) = self.header_attributes.get(header) {
            return Some(attribute.clone());
        }
        self.header_attributes
            .iter()
            .find_map(|(pattern, attribute)| {
                let rest = header.strip_prefix(pattern.strip_suffix('*')?)?;
                Some(attribute.replace('*', rest))
            })
    }
}

/// Headers (lower case) that tell who calls, whatever the caller wishes.
const TELLS_WHO: [&str; 6] = [
    "from",
    "history-info",
    "identity",
    "p-asserted-identity",
    "p-preferred-identity",
    "remote-party-id",
];

/// The digits of a dialled number: carriers write the same one as `+1415…`, `1415…`, `1-415-…`.
pub(super) fn digits(number: &str) -> String {
    number.chars().filter(char::is_ascii_digit).collect()
}

fn tame(value: &str) -> String {
    let mut tamed = String::new();
    for letter in value.trim().chars().filter(|letter| !letter.is_control()) {
        if tamed.len() + letter.len_utf8() > PROFILE_ATTRIBUTE_BYTES_MAX {
            break;
        }
        tamed.push(letter);
    }
    tamed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer<'a>(source: &str, user_agent: Option<&'a str>, username: Option<&'a str>) -> Peer<'a> {
        Peer {
            source: source.parse().unwrap(),
            user_agent,
            username,
        }
    }

    fn with_trunk(text: &str) -> Profiles {
        let mut profiles = Profiles::built_in();
        let path = std::path::Path::new("carrier.toml");
        let profile = super::super::profile_file::parse(path, text).unwrap();
        profiles.profiles.insert(profile.name.clone(), profile);
        profiles
    }

    const CARRIER: &str = r#"
        name = "carrier"
        description = "A carrier"
        origin = "test"
        [match]
        sources = ["192.0.2.0/24", "2001:db8::/48"]
        [authentication]
        kind = "cidr"
        acts-as = "rb-carrier"
        [dial]
        meeting-header = "X-Meeting"
        strip-prefix = "9"
        numbers = { "+1 (415) 555-0100" = "11111111-1111-4111-8111-111111111111" }
        [attributes]
        "Diversion" = "sip.diversion"
        "X-*" = "sip.h.x-*"
    "#;

    #[test]
    fn a_peer_gets_the_profile_of_its_user_agent_or_network_and_else_generic() {
        let profiles = Profiles::built_in();
        let name = |peer| profiles.choose(&peer).name.clone();
        assert_eq!(
            name(peer("198.51.100.1", Some("Twilio Gateway"), None)),
            "twilio"
        );
        assert_eq!(name(peer("54.172.60.1", None, None)), "twilio");
        assert_eq!(name(peer("::ffff:54.172.60.1", None, None)), "twilio");
        assert_eq!(
            name(peer("198.51.100.1", Some("Z 5.6.1 v2.10.19.9"), None)),
            "zoiper"
        );
        assert_eq!(
            name(peer("198.51.100.1", Some("Linphone-Desktop/5.2"), None)),
            "linphone"
        );
        assert_eq!(
            name(peer("198.51.100.1", Some("baresip v1.0"), None)),
            "generic"
        );
        assert_eq!(name(peer("198.51.100.1", None, None)), "generic");
    }

    #[test]
    fn only_a_cidr_profile_lets_calls_in_without_digest_and_only_from_its_networks() {
        let built_in = Profiles::built_in();
        assert_eq!(built_in.trusted("54.172.60.1".parse().unwrap()), None);
        let profiles = with_trunk(CARRIER);
        assert_eq!(
            profiles.trusted("192.0.2.7".parse().unwrap()),
            Some("rb-carrier")
        );
        assert_eq!(
            profiles.trusted("2001:db8::7".parse().unwrap()),
            Some("rb-carrier")
        );
        assert_eq!(profiles.trusted("192.0.3.7".parse().unwrap()), None);
    }

    #[test]
    fn a_user_name_is_stronger_than_a_network_and_a_network_than_a_user_agent() {
        let mut profiles = with_trunk(CARRIER);
        let agent = Some("Linphone/5");
        assert_eq!(
            profiles.choose(&peer("192.0.2.7", agent, None)).name,
            "carrier"
        );
        let zoiper = profiles.profiles.get_mut("zoiper").unwrap();
        zoiper.rules.usernames.push("rb-desk".to_owned());
        assert_eq!(
            profiles
                .choose(&peer("192.0.2.7", agent, Some("rb-desk")))
                .name,
            "zoiper"
        );
    }

    #[test]
    fn a_template_is_never_chosen() {
        let text = CARRIER.replace("description", "enabled = false\ndescription");
        let profiles = with_trunk(&text);
        assert_eq!(profiles.trusted("192.0.2.7".parse().unwrap()), None);
        assert_eq!(
            profiles.choose(&peer("192.0.2.7", None, None)).name,
            "generic"
        );
    }

    #[test]
    fn a_trunk_names_its_meeting_by_header_number_or_prefix() {
        let profiles = with_trunk(CARRIER);
        let carrier = &profiles.profiles["carrier"];
        let id = "11111111-1111-4111-8111-111111111111";
        assert_eq!(carrier.dialled_meeting("+14155550100", &[]), id);
        assert_eq!(carrier.dialled_meeting("914155550100", &[]), id);
        assert_eq!(carrier.dialled_meeting("9abc", &[]), "abc");
        let header = ("x-meeting".to_owned(), " other ".to_owned());
        assert_eq!(carrier.dialled_meeting("+14155550100", &[header]), "other");
    }

    #[test]
    fn headers_become_attributes_bounded_and_without_control_characters() {
        let profiles = with_trunk(CARRIER);
        let carrier = &profiles.profiles["carrier"];
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let attributes = carrier.attributes(
            &[
                header("DIVERSION", "<sip:+1@x>"),
                header("X-Account", "seven\u{7}\r\n"),
                header("Via", "no"),
            ],
            false,
        );
        assert_eq!(attributes["sip.diversion"], "<sip:+1@x>");
        assert_eq!(attributes["sip.h.x-account"], "seven");
        assert_eq!(attributes.len(), 2);

        let flood: Vec<_> = (0..200)
            .map(|n| header(&format!("X-{n}"), &"é".repeat(2_000)))
            .collect();
        let attributes = carrier.attributes(&flood, false);
        assert_eq!(attributes.len(), PROFILE_ATTRIBUTES_MAX);
        assert!(
            attributes
                .values()
                .all(|value| value.len() <= PROFILE_ATTRIBUTE_BYTES_MAX)
        );
    }

    #[test]
    fn a_callers_identity_is_told_with_its_verification_unless_withheld() {
        let identity = "[attributes]\n\"P-Asserted-Identity\" = \"sip.assertedIdentity\"\n\
            \"P-Asserted-Identity;verstat\" = \"sip.verstat\"\n\"Identity\" = \"sip.identity\"\n";
        let text = CARRIER.replace("[attributes]", identity);
        let profiles = with_trunk(&text);
        let carrier = &profiles.profiles["carrier"];
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        for asserted in [
            "<sip:+1333;verstat=TN-Validation-Passed@192.0.2.1:5060>",
            "\"Ann\" <sip:+1333@192.0.2.1>;verstat=TN-Validation-Passed",
            "<tel:+1333;Verstat=TN-Validation-Passed>",
        ] {
            let headers = [
                header("P-Asserted-Identity", asserted),
                header("Identity", "eyJ..;info=<https://cert.example>"),
                header("Diversion", "<sip:+1@x>"),
            ];
            let told = carrier.attributes(&headers, false);
            assert_eq!(told["sip.verstat"], "TN-Validation-Passed", "{asserted}");
            assert_eq!(told["sip.assertedIdentity"], asserted);
            let withheld = carrier.attributes(&headers, true);
            assert_eq!(withheld["sip.verstat"], "TN-Validation-Passed");
            assert_eq!(withheld["sip.diversion"], "<sip:+1@x>");
            assert_eq!(withheld.len(), 2, "{withheld:?}");
        }
    }

    #[test]
    fn a_profile_may_ask_for_other_hashes_than_the_listener() {
        let md5 = [DigestAlgorithm::Md5];
        let text = CARRIER.replace("\"cidr\"", "\"digest\"").replace(
            "acts-as = \"rb-carrier\"",
            "algorithms = [\"sha-256\", \"md5\"]",
        );
        let profiles = with_trunk(&text);
        let carrier = &profiles.profiles["carrier"];
        assert_eq!(
            carrier.algorithms(&md5),
            [DigestAlgorithm::Sha256, DigestAlgorithm::Md5]
        );
        assert_eq!(profiles.generic().algorithms(&md5), md5);
    }
}
