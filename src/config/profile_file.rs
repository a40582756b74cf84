//! `sip-profiles/*.toml`: read, checked, turned into [`Profile`]s.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use ipnet::IpNet;
use serde::Deserialize;

use super::error::{ConfigError, Origin};
use super::glob::Glob;
use super::profile::{
    Authentication, DialRules, DtmfForm, GENERIC, MatchRules, Profile, Profiles, Quirks, digits,
};
use crate::id::MeetingId;
use crate::meeting::leg::PhoneCodec;
use crate::sdp::crypto::SrtpPolicy;
use crate::sip::auth::DigestAlgorithm;

/// A trunk's network may not be wider: a typo such as `/0` would let everybody call.
const TRUSTED_PREFIX_MIN_IPV4: u8 = 8;
const TRUSTED_PREFIX_MIN_IPV6: u8 = 24;

const BUILT_IN: [(&str, &str); 5] = [
    (
        "generic.toml",
        include_str!("../../sip-profiles/generic.toml"),
    ),
    (
        "linphone.toml",
        include_str!("../../sip-profiles/linphone.toml"),
    ),
    ("trunk.toml", include_str!("../../sip-profiles/trunk.toml")),
    (
        "twilio.toml",
        include_str!("../../sip-profiles/twilio.toml"),
    ),
    (
        "zoiper.toml",
        include_str!("../../sip-profiles/zoiper.toml"),
    ),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    name: String,
    description: String,
    /// Where the knowledge in the file comes from; for its readers.
    #[serde(rename = "origin")]
    _origin: String,
    #[serde(default = "yes")]
    enabled: bool,
    #[serde(default, rename = "match")]
    rules: MatchSection,
    #[serde(default)]
    authentication: AuthenticationSection,
    #[serde(default)]
    media: MediaSection,
    #[serde(default)]
    dial: DialSection,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    #[serde(default)]
    quirks: QuirksSection,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct MatchSection {
    usernames: Vec<String>,
    sources: Vec<Network>,
    user_agents: Vec<String>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(try_from = "String")]
struct Network(IpNet);

impl TryFrom<String> for Network {
    type Error = String;

    /// A single address is a network of one.
    fn try_from(text: String) -> Result<Self, String> {
        let network = text
            .parse::<IpNet>()
            .or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        network
            .map(Self)
            .map_err(|_| format!("`{text}` is neither a network (192.0.2.0/24) nor an address"))
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct AuthenticationSection {
    kind: Kind,
    algorithms: Option<Vec<Algorithm>>,
    acts_as: Option<String>,
}

#[derive(Deserialize, Default, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    #[default]
    Digest,
    Cidr,
}

#[derive(Deserialize, Clone, Copy)]
enum Algorithm {
    #[serde(rename = "md5")]
    Md5,
    #[serde(rename = "sha-256")]
    Sha256,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct MediaSection {
    codecs: Vec<Codec>,
    dtmf: Vec<Dtmf>,
    srtp: Srtp,
    agc: bool,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Srtp {
    Off,
    Optional,
    Required,
}

impl Default for MediaSection {
    fn default() -> Self {
        Self {
            codecs: vec![Codec::Opus, Codec::G722, Codec::Pcmu, Codec::Pcma],
            dtmf: vec![Dtmf::Rfc4733, Dtmf::Info],
            srtp: Srtp::Optional,
            agc: false,
        }
    }
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
enum Codec {
    Opus,
    G722,
    Pcmu,
    Pcma,
}

#[derive(Deserialize, Clone, Copy, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Dtmf {
    Rfc4733,
    Info,
    Inband,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct DialSection {
    meeting_header: Option<String>,
    strip_prefix: String,
    numbers: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct QuirksSection {
    report_headers: bool,
    early_media: bool,
    tls_name: Option<String>,
}

fn yes() -> bool {
    true
}

impl Profiles {
    /// The profiles that come with the program.
    pub fn built_in() -> Self {
        let profiles = BUILT_IN.iter().map(|(name, text)| {
            let profile = parse(&Path::new("sip-profiles").join(name), text);
            let profile = profile.expect("the built-in profiles are checked by a test");
            (profile.name.clone(), profile)
        });
        Self {
            profiles: profiles.collect(),
        }
    }

    /// The built-in profiles, replaced or joined by the `*.toml` files of `folder`.
    ///
    /// # Errors
    /// A folder or file that cannot be read or understood: for the operator.
    pub fn load(folder: &Path) -> Result<Self, ConfigError> {
        let refuse = |path: &Path, error: std::io::Error| ConfigError {
            origin: Origin::file(path),
            key: String::new(),
            reason: format!("cannot be read: {error}"),
        };
        let mut profiles = Self::built_in();
        for entry in std::fs::read_dir(folder).map_err(|error| refuse(folder, error))? {
            let path = entry.map_err(|error| refuse(folder, error))?.path();
            if path.extension().is_none_or(|extension| extension != "toml") {
                continue;
            }
            let text = std::fs::read_to_string(&path).map_err(|error| refuse(&path, error))?;
            let profile = parse(&path, &text)?;
            profiles.profiles.insert(profile.name.clone(), profile);
        }
        Ok(profiles)
    }
}

impl Profiles {
    /// Understands one file, without the others.
    ///
    /// # Errors
    /// It cannot be read or does not mean anything: for the operator.
    pub fn load_file(path: &Path) -> Result<Profile, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError {
            origin: Origin::file(path),
            key: String::new(),
            reason: format!("cannot be read: {error}"),
        })?;
        parse(path, &text)
    }
}

/// Understands one file.
pub(super) fn parse(path: &Path, text: &str) -> Result<Profile, ConfigError> {
    let file: File = toml::from_str(text).map_err(|error| ConfigError {
        origin: match error.span() {
            Some(span) => Origin::at(path, text, span.start),
            None => Origin::file(path),
        },
        key: String::new(),
        reason: error.message().replace('\n', " "),
    })?;
    check(path, &file).map_err(|(key, reason)| ConfigError {
        origin: Origin::file(path),
        key: key.to_owned(),
        reason,
    })?;
    Ok(resolve(file))
}

fn check(path: &Path, file: &File) -> Result<(), (&'static str, String)> {
    if path.file_stem().is_none_or(|stem| *stem != *file.name) {
        return Err((
            "name",
            format!("`{}` is not the name of the file", file.name),
        ));
    }
    if file.name == GENERIC && !file.enabled {
        return Err((
            "enabled",
            "the generic profile is what all others fall back to".into(),
        ));
    }
    if file.media.codecs.is_empty() {
        return Err(("media.codecs", "needs at least one codec".into()));
    }
    let has = |form| file.media.dtmf.contains(&form);
    if has(Dtmf::Inband) && has(Dtmf::Info) {
        let reason = "\"inband\" beside \"info\" would press keys twice";
        return Err(("media.dtmf", reason.into()));
    }
    check_authentication(file)?;
    for (number, meeting) in &file.dial.numbers {
        if digits(number).is_empty() {
            return Err(("dial.numbers", format!("`{number}` holds no digit")));
        }
        if meeting.parse::<MeetingId>().is_err() {
            return Err(("dial.numbers", format!("`{meeting}` is not a meeting's id")));
        }
    }
    for (header, attribute) in &file.attributes {
        if header.ends_with('*') != attribute.contains('*') {
            let reason = format!("`{header}` = `{attribute}`: a * belongs in both or in neither");
            return Err(("attributes", reason));
        }
    }
    Ok(())
}

fn check_authentication(file: &File) -> Result<(), (&'static str, String)> {
    let authentication = &file.authentication;
    if authentication
        .algorithms
        .as_ref()
        .is_some_and(Vec::is_empty)
    {
        return Err(("authentication.algorithms", "needs at least one".into()));
    }
    if authentication.kind == Kind::Digest {
        return match authentication.acts_as {
            Some(_) => Err(("authentication.acts-as", "is for kind = \"cidr\"".into())),
            None => Ok(()),
        };
    }
    if authentication.algorithms.is_some() {
        return Err((
            "authentication.algorithms",
            "is for kind = \"digest\"".into(),
        ));
    }
    if file.enabled
        && authentication
            .acts_as
            .as_deref()
            .unwrap_or_default()
            .is_empty()
    {
        let reason = "needs the user name whose meetings these calls may enter";
        return Err(("authentication.acts-as", reason.into()));
    }
    if file.enabled && file.rules.sources.is_empty() {
        let reason = "kind = \"cidr\" needs the networks that are let in";
        return Err(("match.sources", reason.into()));
    }
    for Network(network) in &file.rules.sources {
        let shortest = match network {
            IpNet::V4(_) => TRUSTED_PREFIX_MIN_IPV4,
            IpNet::V6(_) => TRUSTED_PREFIX_MIN_IPV6,
        };
        if network.prefix_len() < shortest {
            let reason = format!("{network} is too wide to let in without a password");
            return Err(("match.sources", reason));
        }
    }
    Ok(())
}

fn resolve(file: File) -> Profile {
    let algorithm = |algorithm: &Algorithm| match algorithm {
        Algorithm::Md5 => DigestAlgorithm::Md5,
        Algorithm::Sha256 => DigestAlgorithm::Sha256,
    };
    let codec = |codec: &Codec| match codec {
        Codec::Opus => PhoneCodec::Opus,
        Codec::G722 => PhoneCodec::G722,
        Codec::Pcmu => PhoneCodec::Pcmu,
        Codec::Pcma => PhoneCodec::Pcma,
    };
    let dtmf = |form: &Dtmf| match form {
        Dtmf::Rfc4733 => DtmfForm::Rfc4733,
        Dtmf::Info => DtmfForm::Info,
        Dtmf::Inband => DtmfForm::Inband,
    };
    let algorithms = file.authentication.algorithms.as_deref();
    Profile {
        name: file.name,
        description: file.description,
        enabled: file.enabled,
        rules: MatchRules {
            usernames: file.rules.usernames,
            sources: file
                .rules
                .sources
                .iter()
                .map(|network| network.0.trunc())
                .collect(),
            user_agents: file
                .rules
                .user_agents
                .iter()
                .map(|text| Glob::new(text))
                .collect(),
        },
        authentication: match file.authentication.kind {
            Kind::Digest => Authentication::Digest {
                algorithms: algorithms.map(|list| list.iter().map(algorithm).collect()),
            },
            Kind::Cidr => Authentication::Cidr {
                acts_as: file.authentication.acts_as.unwrap_or_default(),
            },
        },
        codecs: file.media.codecs.iter().map(codec).collect(),
        srtp: match file.media.srtp {
            Srtp::Off => SrtpPolicy::Off,
            Srtp::Optional => SrtpPolicy::Optional,
            Srtp::Required => SrtpPolicy::Required,
        },
        dtmf: file.media.dtmf.iter().map(dtmf).collect(),
        automatic_gain: file.media.agc,
        dial: DialRules {
            meeting_header: file.dial.meeting_header,
            strip_prefix: file.dial.strip_prefix,
            numbers: file
                .dial
                .numbers
                .into_iter()
                .map(|(number, meeting)| (digits(&number), meeting))
                .collect(),
        },
        header_attributes: file
            .attributes
            .into_iter()
            .map(|(header, attribute)| (header.to_ascii_lowercase(), attribute))
            .collect(),
        quirks: Quirks {
            report_headers: file.quirks.report_headers,
            early_media: file.quirks.early_media,
            tls_name: file.quirks.tls_name,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_profiles_are_valid_and_generic_is_among_them() {
        let profiles = Profiles::built_in();
        let names: Vec<&str> = profiles
            .iter()
            .map(|profile| profile.name.as_str())
            .collect();
        assert_eq!(names, ["generic", "linphone", "trunk", "twilio", "zoiper"]);
        assert_eq!(
            profiles.generic().codecs,
            [
                PhoneCodec::Opus,
                PhoneCodec::G722,
                PhoneCodec::Pcmu,
                PhoneCodec::Pcma
            ]
        );
    }

    #[test]
    fn a_folder_replaces_and_extends_the_built_in_profiles() {
        let folder =
            std::env::temp_dir().join(format!("ringbridge-profiles-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let head = |name: &str| format!("name = \"{name}\"\ndescription = \"x\"\norigin = \"x\"\n");
        let twilio = format!("{}[media]\ncodecs = [\"PCMA\"]\n", head("twilio"));
        std::fs::write(folder.join("twilio.toml"), twilio).unwrap();
        std::fs::write(folder.join("desk.toml"), head("desk")).unwrap();
        std::fs::write(folder.join("notes.txt"), "not a profile").unwrap();
        let profiles = Profiles::load(&folder).unwrap();
        assert_eq!(profiles.iter().count(), 6);
        assert_eq!(profiles.profiles["twilio"].codecs, [PhoneCodec::Pcma]);

        std::fs::write(folder.join("desk.toml"), "name = 1\n").unwrap();
        let error = Profiles::load(&folder).unwrap_err().to_string();
        assert!(error.contains("desk.toml:1"), "{error}");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_profile_that_would_open_the_door_or_do_nothing_is_refused() {
        let head = "name = \"t\"\ndescription = \"x\"\norigin = \"x\"\n";
        for (body, expected) in [
            ("[media]\ncodecs = []\n", "media.codecs"),
            (
                "[media]\ncodec = [\"PCMU\"]\n",
                "t.toml:5: unknown field `codec`",
            ),
            (
                "[media]\ncodecs = [\"G729\"]\n",
                "t.toml:5: unknown variant",
            ),
            ("[match]\nsources = [\"10.0.0.0/99\"]\n", "t.toml:5"),
            (
                "[authentication]\nkind = \"cidr\"\n",
                "authentication.acts-as",
            ),
            (
                "[authentication]\nkind = \"cidr\"\nacts-as = \"x\"\n",
                "match.sources",
            ),
            (
                "[authentication]\nkind = \"cidr\"\nacts-as = \"x\"\n[match]\nsources=[\"0.0.0.0/0\"]\n",
                "too wide",
            ),
            (
                "[authentication]\nacts-as = \"x\"\n",
                "authentication.acts-as",
            ),
            (
                "[dial]\nnumbers = { \"+1\" = \"room\" }\n",
                "not a meeting's id",
            ),
            ("[attributes]\n\"X-*\" = \"all\"\n", "a * belongs in both"),
        ] {
            let error = parse(Path::new("t.toml"), &format!("{head}{body}")).unwrap_err();
            let error = error.to_string();
            assert!(error.contains(expected), "{body}: {error}");
            assert!(!error.contains('\n'), "{error}");
        }
        let error = parse(Path::new("other.toml"), head)
            .unwrap_err()
            .to_string();
        assert_eq!(error, "other.toml: name: `t` is not the name of the file");
    }
}
