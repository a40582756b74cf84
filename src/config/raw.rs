//! What was typed: flags, environment and file, laid over each other but not yet understood.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Origin};
use super::setting::{self, ENVIRONMENT_PREFIX, SETTINGS, Setting};

/// Id of the `--config` flag; not a setting, since a file cannot name itself.
const CONFIG_FLAG: &str = "config";

/// What `ringbridge probe` reads: a shell that has them set may start the server, too.
const PROBE_VARIABLES: [&str; 2] = ["API_KEY", "SIP_PASSWORD"];

/// One value as written, with its place for error messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// One text, or several where the setting is repeatable.
    pub texts: Vec<String>,
    /// Where it stands.
    pub origin: Origin,
    /// The key as written there.
    pub key: String,
}

impl Given {
    /// The error that this value is not usable.
    pub fn refuse(&self, reason: impl Into<String>) -> ConfigError {
        ConfigError {
            origin: self.origin.clone(),
            key: self.key.clone(),
            reason: reason.into(),
        }
    }
}

/// All values given, the strongest place of each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Raw {
    values: BTreeMap<&'static str, Given>,
    file: Option<PathBuf>,
}

impl Raw {
    /// Adds `--config` and a flag for every setting to a command.
    pub fn augment(command: clap::Command) -> clap::Command {
        let file = clap::Arg::new(CONFIG_FLAG)
            .long(CONFIG_FLAG)
            .value_name("FILE")
            .help("TOML file with any of these settings [env: RINGBRIDGE_CONFIG]");
        let flags = SETTINGS.iter().map(|setting| {
            let action = match setting.repeatable {
                true => clap::ArgAction::Append,
                false => clap::ArgAction::Set,
            };
            let help = match setting.default {
                Some(default) => format!("{} [default: {default}]", setting.help),
                None => setting.help.to_owned(),
            };
            clap::Arg::new(setting.name)
                .long(setting.name)
                .value_name(setting.value)
                .action(action)
                .help(help)
        });
        command.arg(file).args(flags)
    }

    /// Lays flags over the environment over the file that either of them names.
    ///
    /// # Errors
    /// An unknown or unreadable key or file: for the operator.
    pub fn gather(
        matches: &clap::ArgMatches,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut raw = Self::default();
        raw.lay_flags(matches);
        let mut file = matches.get_one::<String>(CONFIG_FLAG).map(PathBuf::from);
        for (variable, text) in environment {
            match raw.lay_variable(&variable, &text)? {
                Variable::ConfigFile => file = file.or_else(|| Some(PathBuf::from(&text))),
                Variable::Setting | Variable::NotOurs => {}
            }
        }
        if let Some(path) = file {
            let text = std::fs::read_to_string(&path).map_err(|error| ConfigError {
                origin: Origin::file(&path),
                key: String::new(),
                reason: format!("cannot be read: {error}"),
            })?;
            raw.lay_file(&path, &text)?;
            raw.file = Some(path);
        }
        Ok(raw)
    }

    /// The value given for a setting, if any.
    pub fn given(&self, name: &str) -> Option<&Given> {
        self.values.get(name)
    }

    /// The configuration file that was read, if any.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    fn lay_flags(&mut self, matches: &clap::ArgMatches) {
        for setting in SETTINGS {
            if let Some(texts) = matches.get_many::<String>(setting.name) {
                let given = Given {
                    texts: texts.cloned().collect(),
                    origin: Origin::Flag,
                    key: format!("--{}", setting.name),
                };
                self.lay(setting, given);
            }
        }
    }

    fn lay_variable(&mut self, variable: &str, text: &str) -> Result<Variable, ConfigError> {
        let Some(rest) = variable.strip_prefix(ENVIRONMENT_PREFIX) else {
            return Ok(Variable::NotOurs);
        };
        if rest == "CONFIG" {
            return Ok(Variable::ConfigFile);
        }
        if is_foreign(rest, text) {
            return Ok(Variable::NotOurs);
        }
        let name = rest.to_ascii_lowercase().replace('_', "-");
        let Some(setting) = setting::find(&name) else {
            return Err(ConfigError {
                origin: Origin::Environment,
                key: variable.to_owned(),
                reason: unknown(&name, |near| near.variable()),
            });
        };
        let texts = match setting.repeatable {
            true => text.split(',').map(|part| part.trim().to_owned()).collect(),
            false => vec![text.to_owned()],
        };
        let given = Given {
            texts,
            origin: Origin::Environment,
            key: variable.to_owned(),
        };
        self.lay(setting, given);
        Ok(Variable::Setting)
    }

    fn lay_file(&mut self, path: &Path, text: &str) -> Result<(), ConfigError> {
        let table = DeTable::parse(text).map_err(|error| ConfigError {
            origin: match error.span() {
                Some(span) => Origin::at(path, text, span.start),
                None => Origin::file(path),
            },
            key: String::new(),
            reason: format!("not TOML: {}", error.message()),
        })?;
        for (key, value) in table.get_ref() {
            let origin = Origin::at(path, text, key.span().start);
            let key = key.get_ref().as_ref();
            let refuse = |reason: String| ConfigError {
                origin: origin.clone(),
                key: key.to_owned(),
                reason,
            };
            let Some(setting) = setting::find(key) else {
                return Err(refuse(unknown(key, |near| near.name.to_owned())));
            };
            let texts = texts_of(setting, value.get_ref()).map_err(refuse)?;
            let given = Given {
                texts,
                origin: origin.clone(),
                key: key.to_owned(),
            };
            self.lay(setting, given);
        }
        Ok(())
    }

    /// Keeps what a stronger place has already said.
    fn lay(&mut self, setting: &'static Setting, given: Given) {
        self.values.entry(setting.name).or_insert(given);
    }
}

enum Variable {
    ConfigFile,
    Setting,
    NotOurs,
}

/// Variables with our prefix that others set: Kubernetes gives every pod the addresses of a
/// service called `ringbridge` (`RINGBRIDGE_SERVICE_HOST`, `RINGBRIDGE_PORT=udp://…`), test
/// harnesses need names of their own, and the self-test takes its secrets from two.
fn is_foreign(rest: &str, text: &str) -> bool {
    rest.contains("SERVICE_HOST")
        || rest.contains("SERVICE_PORT")
        || rest.starts_with("PORT_")
        || rest.contains("_PORT_")
        || rest.starts_with("TEST_")
        || PROBE_VARIABLES.contains(&rest)
        || text.starts_with("tcp://")
        || text.starts_with("udp://")
}

fn texts_of(setting: &Setting, value: &DeValue<'_>) -> Result<Vec<String>, String> {
    if let (Some(array), true) = (value.as_array(), setting.repeatable) {
        return array.iter().map(|item| text_of(item.get_ref())).collect();
    }
    Ok(vec![text_of(value)?])
}

fn text_of(value: &DeValue<'_>) -> Result<String, String> {
    if let Some(text) = value.as_str() {
        return Ok(text.to_owned());
    }
    if let Some(integer) = value.as_integer().filter(|integer| integer.radix() == 10) {
        return Ok(integer.as_str().to_owned());
    }
    if let Some(boolean) = value.as_bool() {
        return Ok(boolean.to_string());
    }
    Err(format!(
        "must be a text or a number, not {}",
        value.type_str()
    ))
}

/// "unknown", with the nearest known name where one is near.
fn unknown(name: &str, spell: impl Fn(&Setting) -> String) -> String {
    let normal = name.to_ascii_lowercase().replace(['_', '.'], "-");
    let near = SETTINGS
        .iter()
        .map(|setting| (distance(&normal, setting.name), setting))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= 2);
    match near {
        Some((_, setting)) => format!("unknown key; did you mean `{}`?", spell(setting)),
        None => "unknown key; `ringbridge --help` lists all".to_owned(),
    }
}

/// Levenshtein's edit distance.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (above, from) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (column, to) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(from != *to);
            diagonal = row[column + 1];
            row[column + 1] = substituted.min(row[column] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gather(flags: &[&str], environment: &[(&str, &str)]) -> Result<Raw, ConfigError> {
        let command = Raw::augment(clap::Command::new("ringbridge").no_binary_name(true));
        let matches = command.try_get_matches_from(flags).expect("flags parse");
        let environment = environment
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Raw::gather(&matches, environment)
    }

    fn with_file(text: &str) -> Result<Raw, ConfigError> {
        let mut raw = Raw::default();
        raw.lay_file(Path::new("ringbridge.toml"), text)?;
        Ok(raw)
    }

    #[test]
    fn a_flag_beats_the_environment_and_the_environment_beats_the_file() {
        let folder = std::env::temp_dir().join(format!("ringbridge-raw-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("file.toml");
        std::fs::write(
            &path,
            "sip = \"1.1.1.1:1\"\nhttp = \"1.1.1.1:2\"\nworkers = 3\n",
        )
        .unwrap();
        let file = path.to_str().unwrap();
        let raw = gather(
            &["--sip", "3.3.3.3:1"],
            &[
                ("RINGBRIDGE_CONFIG", file),
                ("RINGBRIDGE_SIP", "2.2.2.2:1"),
                ("RINGBRIDGE_HTTP", "2.2.2.2:2"),
                ("HOME", "/"),
            ],
        )
        .unwrap();
        let text = |name| raw.given(name).unwrap().texts[0].clone();
        assert_eq!(text("sip"), "3.3.3.3:1");
        assert_eq!(text("http"), "2.2.2.2:2");
        assert_eq!(text("workers"), "3");
        assert_eq!(raw.file(), Some(path.as_path()));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line_and_the_nearest_name() {
        let error =
            with_file("# comment\nsip = \"0.0.0.0:5060\"\nrtp_ports = \"1-2\"\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "ringbridge.toml:3: rtp_ports: unknown key; did you mean `rtp-ports`?"
        );
        let error = gather(&[], &[("RINGBRIDGE_SPI", "x")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "environment: RINGBRIDGE_SPI: unknown key; did you mean `RINGBRIDGE_SIP`?"
        );
    }

    #[test]
    fn broken_toml_is_refused_with_its_line() {
        let error = with_file("sip = \"0.0.0.0:5060\"\nhttp = \n").unwrap_err();
        assert!(
            matches!(error.origin, Origin::File { line: Some(2), .. }),
            "{error}"
        );
    }

    #[test]
    fn sections_and_arrays_are_refused_where_one_value_is_meant() {
        assert!(with_file("[sip]\nport = 1\n").is_err());
        assert!(with_file("sip = [\"a\", \"b\"]\n").is_err());
        let raw = with_file("public-address = [\"192.0.2.1\", \"2001:db8::1\"]\n").unwrap();
        assert_eq!(raw.given("public-address").unwrap().texts.len(), 2);
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = gather(&["--config", "/nowhere/x.toml"], &[]).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("/nowhere/x.toml: cannot be read")
        );
    }

    #[test]
    fn variables_that_kubernetes_sets_for_a_service_of_our_name_are_ignored() {
        let raw = gather(
            &[],
            &[
                ("RINGBRIDGE_SERVICE_HOST", "10.0.0.1"),
                ("RINGBRIDGE_PORT", "udp://10.0.0.1:5060"),
                ("RINGBRIDGE_PORT_5060_UDP_ADDR", "10.0.0.1"),
                ("RINGBRIDGE_SIP_SERVICE_PORT", "5060"),
                ("RINGBRIDGE_API_KEY", "secret"),
                ("RINGBRIDGE_PUBLIC_ADDRESS", "192.0.2.1, 192.0.2.2"),
            ],
        )
        .unwrap();
        assert_eq!(raw.values.len(), 1);
        assert_eq!(
            raw.given("public-address").unwrap().texts,
            ["192.0.2.1", "192.0.2.2"]
        );
    }
}
