//! The operator's subcommands and their arguments.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::config::Raw;

/// Every subcommand that [`super::main`] runs.
pub fn commands() -> Vec<Command> {
    vec![
        noun("calls", "Calls in progress and their records")
            .subcommand(verb("list", "The latest hundred").arg(flag("live", "In progress only")))
            .subcommand(verb("show", "One call, and what happened in it").arg(id()))
            .subcommand(verb("hangup", "End a call in progress").arg(id())),
        noun("meetings", "Meetings")
            .subcommand(verb("list", "The latest hundred"))
            .subcommand(verb("show", "One meeting").arg(id()))
            .subcommand(verb("create", "Make one").arg(given("title", "TITLE", "Its title"))),
        noun("users", "SIP user names and passwords for phones")
            .subcommand(verb("list", "The latest hundred"))
            .subcommand(
                verb("add", "Make one; the password is told once")
                    .arg(given("name", "NAME", "Whose phone it is"))
                    .arg(option("username", "NAME", "Instead of a drawn one"))
                    .arg(option("password", "TEXT", "Instead of a drawn one")),
            )
            .subcommand(verb("remove", "Delete one").arg(id())),
        noun("bans", "Who is shut out of SIP for wrong passwords")
            .subcommand(verb("list", "Those in force"))
            .subcommand(
                verb("lift", "Let one in again")
                    .arg(given("source", "ADDRESS", "Where it sends from"))
                    .arg(given("username", "NAME", "This user name only").required(false)),
            ),
        Command::new("profile")
            .about("SIP profiles")
            .subcommand_required(true)
            .arg_required_else_help(true)
            .subcommand(
                Command::new("test")
                    .about("Check a profile's file and say what it means")
                    .arg(given("file", "FILE", "Such as my-carrier.toml"))
                    .arg(json()),
            ),
        Raw::augment(
            Command::new("doctor")
                .about("Check whether this machine can be what the settings want")
                .arg(json()),
        ),
    ]
}

/// Writes the manual page of `root`.
///
/// # Errors
/// Standard output takes no more.
pub fn manual(root: Command, out: &mut dyn Write) -> io::Result<()> {
    clap_mangen::Man::new(root).render(out)
}

/// The data folder of the server that is asked.
pub(super) fn data_dir(matches: &ArgMatches) -> PathBuf {
    let given = matches.get_one::<String>("data").map(PathBuf::from);
    given.unwrap_or_else(|| PathBuf::from("./ringbridge-data"))
}

fn noun(name: &'static str, about: &'static str) -> Command {
    Command::new(name)
        .about(about)
        .subcommand_required(true)
        .arg_required_else_help(true)
}

fn verb(name: &'static str, about: &'static str) -> Command {
    let data = option(
        "data",
        "DIR",
        "Data folder of the server [default: ./ringbridge-data]",
    );
    Command::new(name)
        .about(about)
        .arg(data.env("RINGBRIDGE_DATA"))
        .arg(json())
}

fn json() -> Arg {
    flag("json", "JSON instead of text")
}

fn id() -> Arg {
    given("id", "ID", "Its id, from `list`")
}

fn given(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).value_name(value).help(help).required(true)
}

fn option(name: &'static str, value: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name(value).help(help)
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .action(ArgAction::SetTrue)
        .help(help)
}
