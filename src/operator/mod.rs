//! `ringbridge calls`, `meetings`, `users`, `bans`, `profile` and `doctor`: what an operator asks a
//! running server, or the machine it shall run on, from a shell. They speak to the server as any
//! client would, by REST; the data folder's `first-call.json` tells them where and as whom.
//!
//! | File | What |
//! |---|---|
//! | `command` | the subcommands and their arguments |
//! | `client` | REST with the card's key |
//! | `show` | answers as text, or with `--json` as they came |
//! | `doctor` | whether this machine can be what the settings want |

mod client;
mod command;
mod doctor;
mod profile;
mod show;

use std::process::ExitCode;

use clap::ArgMatches;
use reqwest::Method;
use serde_json::{Value, json};

pub use command::{commands, manual};

use client::{Client, Failure};
use show::Column;

/// Runs a subcommand of [`commands`]; `None` when it is none of them.
pub fn main(name: &str, matches: &ArgMatches) -> Option<ExitCode> {
    let code = match name {
        "profile" => profile::main(matches),
        "doctor" => doctor::main(matches),
        "calls" | "meetings" | "users" | "bans" => ask(name, matches),
        _ => return None,
    };
    Some(code)
}

fn ask(name: &str, matches: &ArgMatches) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let asked = match runtime {
        Ok(runtime) => runtime.block_on(answer(name, matches)),
        Err(error) => Err(Failure::from(error)),
    };
    match asked {
        Ok(text) => show::print(&text),
        Err(failure) => {
            eprintln!("ringbridge: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn answer(name: &str, matches: &ArgMatches) -> Result<String, Failure> {
    let Some((verb, matches)) = matches.subcommand() else {
        unreachable!("clap asks for a verb");
    };
    let client = Client::new(command::data_dir(matches))?;
    let as_json = matches.get_flag("json");
    let data = match (name, verb) {
        ("calls", "list") => {
            let live = matches.get_flag("live");
            let path = match live {
                true => "sip/calls?per_page=100&status=LIVE",
                false => "sip/calls?per_page=100",
            };
            client.rest(Method::GET, path, None).await?
        }
        ("calls", "show") => {
            let path = at("sip/calls", matches);
            let call = client.rest(Method::GET, &path, None).await?;
            return Ok(show::either(as_json, &call, show::call));
        }
        ("calls", _) => {
            let path = format!("{}/hang-up", at("sip/calls", matches));
            client.rest(Method::POST, &path, None).await?
        }
        ("meetings", "list") => {
            client
                .rest(Method::GET, "meetings?per_page=100", None)
                .await?
        }
        ("meetings", "create") => {
            let body = json!({ "title": text(matches, "title") });
            client.rest(Method::POST, "meetings", Some(body)).await?
        }
        ("meetings", _) => {
            client
                .rest(Method::GET, &at("meetings", matches), None)
                .await?
        }
        ("users", "list") => {
            let path = "sip/credentials?per_page=100";
            client.rest(Method::GET, path, None).await?
        }
        ("users", "add") => {
            let mut body = json!({ "name": text(matches, "name") });
            for member in ["username", "password"] {
                if let Some(given) = matches.get_one::<String>(member) {
                    body[member] = json!(given);
                }
            }
            client
                .rest(Method::POST, "sip/credentials", Some(body))
                .await?
        }
        ("users", _) => {
            let path = at("sip/credentials", matches);
            client.rest(Method::DELETE, &path, None).await?
        }
        (_, "list") => client.admin(Method::GET, "bans").await?,
        _ => {
            let mut path = format!("bans/{}", text(matches, "source"));
            if let Some(username) = matches.get_one::<String>("username") {
                path = format!("{path}/{username}");
            }
            client.admin(Method::DELETE, &path).await?
        }
    };
    Ok(show::either(as_json, &data, |data| {
        show::table(data, columns(name))
    }))
}

fn text<'a>(matches: &'a ArgMatches, name: &str) -> &'a str {
    matches.get_one::<String>(name).map_or("", String::as_str)
}

/// The path of the thing whose id was given.
fn at(noun: &str, matches: &ArgMatches) -> String {
    format!("{noun}/{}", text(matches, "id"))
}

/// What a list shows of its items; an item alone shows all of itself.
fn columns(name: &str) -> &'static [Column] {
    match name {
        "calls" => &[
            ("ID", "id"),
            ("STATUS", "status"),
            ("CALLER", "caller"),
            ("MEETING", "meeting_id"),
            ("STARTED", "started_at"),
            ("SECONDS", "duration_s"),
            ("OUTCOME", "outcome"),
            ("REASON", "reason"),
        ],
        "meetings" => &[("ID", "id"), ("STATUS", "status"), ("TITLE", "title")],
        "users" => &[("ID", "id"), ("USERNAME", "username"), ("NAME", "name")],
        _ => &[
            ("SOURCE", "source"),
            ("USERNAME", "username"),
            ("SECONDS LEFT", "seconds_left"),
            ("TIMES", "count"),
        ],
    }
}

/// A value as one word of a table.
fn word(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => show::tame(text),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => format!("{float:.1}"),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}
