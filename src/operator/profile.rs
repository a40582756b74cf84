//! `ringbridge profile test FILE`.

use std::path::Path;
use std::process::ExitCode;

use clap::ArgMatches;
use serde_json::json;

use super::{show, text};
use crate::config::{EXIT_USAGE, Profiles};

pub(super) fn main(matches: &ArgMatches) -> ExitCode {
    let Some(("test", matches)) = matches.subcommand() else {
        unreachable!("clap asks for a verb");
    };
    let file = Path::new(text(matches, "file"));
    let as_json = matches.get_flag("json");
    let told = match Profiles::load_file(file) {
        Ok(profile) => {
            let meaning = profile.in_words();
            match as_json {
                true => json!({ "valid": true, "name": profile.name, "meaning": meaning }),
                false => format!("{}: valid. {}: {meaning}", file.display(), profile.name).into(),
            }
        }
        Err(error) if as_json => json!({ "valid": false, "error": error.to_string() }),
        Err(error) => {
            eprintln!("ringbridge: {error}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let is_valid = told["valid"] != json!(false);
    let line = match told.as_str() {
        Some(words) => format!("{words}\n"),
        None => format!("{told:#}\n"),
    };
    match (show::print(&line), is_valid) {
        (printed, true) => printed,
        _ => ExitCode::from(EXIT_USAGE),
    }
}
