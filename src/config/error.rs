//! Why a configuration was refused: where, which key, and the reason, in one line.

use std::fmt;
use std::path::{Path, PathBuf};

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// On the command line.
    Flag,
    /// In the environment.
    Environment,
    /// In a file; line counted from 1, where known.
    File {
        /// As the user named it.
        path: PathBuf,
        /// Counted from 1.
        line: Option<usize>,
    },
    /// Nowhere: the built-in default.
    Default,
}

impl Origin {
    /// A place in a file, from a byte offset into its text.
    pub(super) fn at(path: &Path, text: &str, offset: usize) -> Self {
        let before = &text.as_bytes()[..offset.min(text.len())];
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Self::File {
            path: path.to_owned(),
            line: Some(line),
        }
    }

    /// A file as a whole.
    pub(super) fn file(path: &Path) -> Self {
        Self::File {
            path: path.to_owned(),
            line: None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("command line"),
            Self::Environment => f.write_str("environment"),
            Self::File { path, line: None } => write!(f, "{}", path.display()),
            Self::File {
                path,
                line: Some(line),
            } => write!(f, "{}:{line}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A configuration that cannot be used. The operator must mend it; nothing was started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {key}{}{reason}", if key.is_empty() { "" } else { ": " })]
pub struct ConfigError {
    /// Where it was written.
    pub origin: Origin,
    /// The key as written there (`--sip`, `RINGBRIDGE_SIP` or `sip`); empty when a whole file is
    /// meant.
    pub key: String,
    /// What is wrong and, where it can be said, what would be right.
    pub reason: String,
}
