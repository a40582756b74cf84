//! The SDK's hand-written types, and its documentation, against the code they describe.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::tool;

fn sdk() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("web/sdk")
}

/// All of the SDK's code.
fn code() -> String {
    fs::read_dir(sdk())
        .expect("the SDK is there")
        .map(|entry| entry.expect("it can be read").path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "js"))
        .map(|path| fs::read_to_string(path).expect("text"))
        .collect()
}

fn types() -> String {
    fs::read_to_string(sdk().join("index.d.ts")).expect("the types are there")
}

#[test]
fn the_types_compile_and_promise_only_what_the_code_has() {
    let node = tool::need("node", "nodejs");
    let tsc = tool::need_file(
        "node_modules/typescript/bin/tsc",
        "run `npm ci --prefix tests/e2e`",
    );
    let project = tool::need_file("types/tsconfig.json", "it belongs to the tests");
    let output = Command::new(node)
        .arg(tsc)
        .arg("-p")
        .arg(project)
        .output()
        .expect("node starts");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}");
}

#[test]
fn every_event_that_the_types_name_is_emitted_somewhere() {
    let (code, types) = (code(), types());
    let mut events = 0;
    for block in types.split("Events<{").skip(1) {
        let block = block.split("}>").next().expect("it is closed");
        for line in block.split(['\n', ';']) {
            let Some((name, rest)) = line.trim().split_once(':') else {
                continue;
            };
            // An event's arguments are a tuple; what is within one is not a name of an event.
            if !rest.trim_start().starts_with('[') {
                continue;
            }
            events += 1;
            assert!(code.contains(&format!("'{name}'")), "nobody emits {name}");
        }
    }
    assert!(events > 30, "only {events} events were found");
}

#[test]
fn the_documentation_names_only_what_the_types_have() {
    let page = include_str!("../../docs/SDK.md");
    let types = types();
    let table = page
        .split("## What there is")
        .nth(1)
        .and_then(|rest| rest.split("\nOurs").next())
        .expect("the table is there");
    let mut names = 0;
    for name in table.split('`').skip(1).step_by(2) {
        let name = name.split('(').next().expect("there is a first part");
        let name = name.rsplit('.').next().expect("there is a last part");
        if name == "meeting" {
            continue;
        }
        names += 1;
        assert!(types.contains(name), "docs/SDK.md names {name}");
    }
    assert!(names > 100, "only {names} names were found");
}
