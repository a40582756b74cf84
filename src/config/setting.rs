//! The table of all settings: one row gives the flag, the file key, the variable and the help.

/// One setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Key in the file; `--name` on the command line.
    pub name: &'static str,
    /// Form of the value in help texts.
    pub value: &'static str,
    /// Text used where nothing was given; `None`: found at start or absent.
    pub default: Option<&'static str>,
    /// May be given several times (an array in the file, commas in the environment).
    pub repeatable: bool,
    /// One sentence.
    pub help: &'static str,
}

impl Setting {
    /// Name of the environment variable.
    pub fn variable(&self) -> String {
        let mut variable = String::from(ENVIRONMENT_PREFIX);
        variable.extend(self.name.chars().map(|letter| match letter {
            '-' => '_',
            other => other.to_ascii_uppercase(),
        }));
        variable
    }
}

/// What the names of our environment variables begin with.
pub const ENVIRONMENT_PREFIX: &str = "RINGBRIDGE_";

const fn one(
    name: &'static str,
    value: &'static str,
    default: Option<&'static str>,
    help: &'static str,
) -> Setting {
    Setting {
        name,
        value,
        default,
        repeatable: false,
        help,
    }
}

const fn many(
    name: &'static str,
    value: &'static str,
    default: Option<&'static str>,
    help: &'static str,
) -> Setting {
    Setting {
        name,
        value,
        default,
        repeatable: true,
        help,
    }
}

/// Every setting, in the order of the help and of the README's table.
pub const SETTINGS: &[Setting] = &[
    one(
        "data",
        "DIR",
        Some("./ringbridge-data"),
        "Folder of the store, the generated certificate and first-call.json",
    ),
    one(
        "sip",
        "ADDR:PORT",
        Some("0.0.0.0:5060"),
        "SIP over UDP and TCP",
    ),
    one(
        "sips",
        "ADDR:PORT",
        Some("0.0.0.0:5061"),
        "SIP over TLS, with the certificate of --https; `off` switches it off",
    ),
    one(
        "http",
        "ADDR:PORT",
        Some("0.0.0.0:8080"),
        "Join page, API and signalling, plain (microphones work on localhost only)",
    ),
    one(
        "https",
        "ADDR:PORT",
        Some("0.0.0.0:8443"),
        "The same over TLS; `off` switches it off",
    ),
    one(
        "https-certificate",
        "FILE",
        None,
        "PEM certificate chain for --https; without it a self-signed one is made",
    ),
    one(
        "https-key",
        "FILE",
        None,
        "PEM private key of --https-certificate",
    ),
    one(
        "admin",
        "ADDR:PORT",
        Some("127.0.0.1:9090"),
        "Metrics and admin calls; keep it private",
    ),
    one(
        "media-address",
        "IP",
        None,
        "Local address of media sockets; default: the address of --sip",
    ),
    one(
        "rtp-ports",
        "LO-HI",
        Some("10000-19999"),
        "UDP ports of phone legs, two a call; 0 lets the kernel choose",
    ),
    one(
        "webrtc-port",
        "BASE",
        Some("7882"),
        "UDP port towards browsers; worker k uses BASE+k; 0 lets the kernel choose",
    ),
    many(
        "public-address",
        "IP",
        None,
        "What SDP, Contact and ICE tell others; repeatable; default: found from the interfaces",
    ),
    one("workers", "N", None, "Media threads; default: one per core"),
    one(
        "profiles",
        "DIR",
        None,
        "Folder of SIP profiles that replace or extend the built-in ones",
    ),
    many(
        "webhook-networks",
        "CIDR",
        None,
        "Networks of your own that webhooks may reach; repeatable; without it only public addresses",
    ),
    many(
        "sip-algorithms",
        "NAME",
        Some("md5"),
        "Digest hashes offered to phones: md5, sha-256 (some phones fail when it is offered)",
    ),
    one(
        "opus-bitrate",
        "BPS",
        Some("24000"),
        "Bit rate of phone voices towards browsers, 6000 to 128000",
    ),
    one(
        "opus-complexity",
        "N",
        Some("5"),
        "Effort of the Opus encoder, 0 (cheap) to 10 (best)",
    ),
    one(
        "worker-load-max",
        "PERCENT",
        Some("85"),
        "Share of its core at which a media worker refuses newcomers with 503; 100: never",
    ),
    one(
        "max-calls",
        "N",
        Some("1000"),
        "Phone calls at a time; one more is refused with 503",
    ),
    one(
        "sip-rate",
        "N",
        Some("100"),
        "SIP messages a second of an address that has proved nothing, five times that at once; 0: any",
    ),
    one(
        "sip-rate-strangers",
        "N",
        Some("5000"),
        "SIP messages a second of all such addresses together; 0: any",
    ),
    one(
        "sip-rate-known",
        "N",
        Some("20000"),
        "SIP messages a second of an address with right credentials or of a trunk; 0: any",
    ),
    one(
        "sip-ban-failures",
        "N",
        Some("20"),
        "Wrong SIP passwords within ten minutes that get an unknown address banned; 0: never",
    ),
    one(
        "sip-ban-time",
        "TIME",
        Some("10m"),
        "Length of a first ban; each further one is twice as long, up to a day",
    ),
    one(
        "drain-timeout",
        "TIME",
        Some("30s"),
        "How long calls may go on after SIGTERM, such as 500ms, 30s, 10m, 1h",
    ),
    one(
        "log-format",
        "FORMAT",
        Some("text"),
        "text for people, json for machines",
    ),
    one(
        "log-filter",
        "DIRECTIVES",
        Some("info"),
        "What is logged, such as info,ringbridge::sip=debug",
    ),
    one(
        "log-personal-data",
        "BOOL",
        Some("false"),
        "Log numbers, names and addresses unredacted; secrets never are",
    ),
];

/// The row of this name.
pub fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}
