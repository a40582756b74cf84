//! The commands of `docs/API.md`, as a reader would paste them.

use std::process::Command;

use serde_json::Value;

use crate::harness::Server;

const PAGE: &str = include_str!("../../docs/API.md");

#[test]
fn the_api_pages_commands_work_as_they_stand() {
    let server = Server::start();
    let script: String = PAGE
        .split("```sh\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        // A reply ends without a newline.
        .map(|block| block.to_owned() + "echo\n")
        .collect();
    let card = server.folder().join("data/first-call.json");
    let output = Command::new("bash")
        .args(["-eu", "-c", &script])
        .env("CARD", card)
        .env("NO_PROXY", "127.0.0.1,localhost")
        .output()
        .expect("bash runs");
    let (told, complained) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{told}\n{complained}");
    let replies: Vec<Value> = serde_json::Deserializer::from_str(&told)
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap_or_else(|e| panic!("{e}: {told}"));
    let commands = script.matches("\napi \"").count() + script.matches("\ncurl ").count();
    assert_eq!(replies.len(), commands);
    assert!(
        replies
            .iter()
            .all(|reply| reply["success"] == true || reply["ready"] == true),
        "{told}"
    );
}
