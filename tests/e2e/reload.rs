//! SIGHUP: what may change in a running server changes, and what cannot be used changes nothing.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};

use crate::harness::raw_sip::{RawSip, status};
use crate::harness::server::Folder;
use crate::harness::{Server, wait};

const SOON: Duration = Duration::from_secs(10);

/// The server's settings' file, and the server.
fn start(text: &str) -> (Folder, PathBuf, Server) {
    let folder = Folder::new();
    let file = folder.path.join("ringbridge.toml");
    fs::write(&file, text).expect("a file");
    let server = Server::start_with(&["--config", file.to_str().expect("UTF-8")]);
    (folder, file, server)
}

fn reload(server: &Server, expected: &str) {
    let before = server.log().matches(expected).count();
    server.signal("HUP");
    wait::until(expected, SOON, || {
        server.log().matches(expected).count() > before
    });
}

/// The final status of a fresh authenticated INVITE, which stays up if it is 200.
fn invite(server: &Server, name: &str) -> u16 {
    let phone = RawSip::new(server);
    let call = phone.new_call(server);
    phone.send(phone.authenticated_invite(server, &call, name));
    status(&phone.final_response("INVITE"))
}

#[test]
fn limits_and_the_gate_change_and_a_file_that_cannot_be_used_changes_nothing() {
    let (_folder, file, server) = start("max-calls = 1\n");
    assert_eq!(invite(&server, "first"), 200);
    assert_eq!(invite(&server, "full"), 503);
    fs::write(&file, "max-calls = 2\nworkers = 3\n").expect("a file");
    reload(&server, "configuration reloaded");
    assert!(
        server.log().contains("workers"),
        "it says what waits for a restart"
    );
    assert_eq!(invite(&server, "second"), 200);
    assert_eq!(invite(&server, "full-again"), 503);
    // A typo beside a good change: neither is used.
    fs::write(&file, "max-calls = 9\nopus-complexity = 77\n").expect("a file");
    reload(&server, "configuration kept");
    assert!(
        server
            .log()
            .contains("opus-complexity: `77` is not a number"),
        "{}",
        server.log()
    );
    assert_eq!(invite(&server, "still-full"), 503);
}

#[test]
fn a_profile_changes_for_the_next_call() {
    let profiles = Folder::new();
    let trunk = profiles.path.join("lab.toml");
    let (_folder, _file, server) = start(&format!("profiles = \"{}\"\n", profiles.path.display()));
    assert_eq!(uninvited(&server, "stranger"), 401);
    let user = &server.card.sip_username;
    let text = format!(
        "name = \"lab\"\ndescription = \"A trunk\"\norigin = \"this test\"\n\
         [match]\nsources = [\"127.0.0.0/8\"]\n\
         [authentication]\nkind = \"cidr\"\nacts-as = \"{user}\"\n"
    );
    fs::write(&trunk, text).expect("a file");
    reload(&server, "configuration reloaded");
    assert_eq!(uninvited(&server, "trunk"), 200);
    fs::write(&trunk, "name = \"lab\"\n").expect("a file");
    reload(&server, "configuration kept");
    assert_eq!(uninvited(&server, "trunk-still"), 200);
}

/// The final status of an INVITE without credentials.
fn uninvited(server: &Server, name: &str) -> u16 {
    let phone = RawSip::new(server);
    let call = phone.new_call(server);
    phone.send(phone.invite(&call, 1, name, ""));
    status(&phone.final_response("INVITE"))
}

/// A fresh certificate for 127.0.0.1 and its key, both PEM.
fn certificate() -> (String, String) {
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    (certificate.pem(), key.serialize_pem())
}

async fn trusts(server: &Server, pem: &str) -> bool {
    let root = reqwest::Certificate::from_pem(pem.as_bytes()).expect("PEM");
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([root])
        .build()
        .expect("a client");
    let url = server
        .card
        .https_join_url
        .split("/join")
        .next()
        .expect("a base");
    client.get(format!("{url}/healthz")).send().await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_changes_for_the_next_handshake_and_a_broken_one_does_not() {
    ringbridge::net::tls::install_provider();
    let folder = Folder::new();
    let (file, key_file) = (folder.path.join("cert.pem"), folder.path.join("key.pem"));
    let (old, new) = (certificate(), certificate());
    let write = |(certificate, key): &(String, String)| {
        fs::write(&file, certificate).expect("a file");
        fs::write(&key_file, key).expect("a file");
    };
    write(&old);
    let [file_text, key_text] = [&file, &key_file].map(|path| path.to_str().expect("UTF-8"));
    let server = Server::start_with(&["--https-certificate", file_text, "--https-key", key_text]);
    assert!(trusts(&server, &old.0).await && !trusts(&server, &new.0).await);
    write(&new);
    reload(&server, "configuration reloaded");
    assert!(trusts(&server, &new.0).await && !trusts(&server, &old.0).await);
    // The key of another certificate.
    fs::write(&key_file, &old.1).expect("a file");
    reload(&server, "configuration kept");
    assert!(trusts(&server, &new.0).await, "the one in use stays");
}
