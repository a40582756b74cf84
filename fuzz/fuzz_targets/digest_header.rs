//! Authorization headers, and the hash over whatever they hold.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ringbridge::sip::auth::{DigestAlgorithm, DigestResponse};

fuzz_target!(|value: &str| {
    if let Ok(Some(response)) = DigestResponse::parse(value) {
        for algorithm in [DigestAlgorithm::Md5, DigestAlgorithm::Sha256] {
            let expected = response.expected(algorithm, "ha1", "INVITE");
            assert!(expected.bytes().all(|b| b.is_ascii_hexdigit()));
        }
    }
});
