//! The fuzzers' targets under a seeded mutation of real messages: bounded, on the stable compiler,
//! the same in every run. `RINGBRIDGE_TEST_FUZZ_CASES` raises the number of cases a target gets,
//! and `RINGBRIDGE_TEST_FUZZ_SEED` picks another run; a failure names the seed, and its octets are
//! kept.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::fuzz_targets::TARGETS;

/// Cases a target gets when nothing else is asked.
const CASES: u64 = 1_500;

/// SplitMix64: enough to pick bytes.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.roll() % bound.max(1) as u64) as usize
    }
}

/// Pieces that parsers dislike.
const PIECES: [&[u8]; 18] = [
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\0",
    b"\xff",
    b"\xf4\x8f\xbf\xbf",
    b"<",
    b"\"",
    b"\\",
    b";",
    b",",
    b":",
    b"@",
    b"%",
    b"4294967296",
    b"-1",
    b"\xff\xff\xff\xff",
    b"{",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn files(folder: &str, kind: &str) -> Vec<Vec<u8>> {
    let Ok(entries) = std::fs::read_dir(root().join(folder)) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|found| found == kind))
        .collect();
    paths.sort();
    paths
        .iter()
        .filter_map(|path| std::fs::read(path).ok())
        .collect()
}

/// Real messages of a target's kind.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let rtp = |kind: u8| {
        let mut packet = vec![0x80, kind, 0, 1, 0, 0, 0, 160, 0, 0, 0, 7];
        packet.extend([0x55; 160]);
        packet
    };
    let mut stun = vec![0, 1, 0, 16, 0x21, 0x12, 0xa4, 0x42];
    stun.extend([7; 12]);
    stun.extend(b"\x80\x22\x00\x03abc\0\x00\x06\x00\x05ab:cd\0\0\0");
    match target {
        "sip_message" => [
            files("fixtures/torture/rfc4475", "dat"),
            files("fixtures/torture/rfc5118", "dat"),
        ]
        .concat(),
        "sip_stream" => files("fixtures/torture/rfc4475", "dat")
            .into_iter()
            .map(|message| [&[17u8][..], &message].concat())
            .collect(),
        "sdp" => files("fixtures/sdp", "sdp"),
        "digest_header" => vec![
            b"Digest username=\"u\", realm=\"r\", nonce=\"n\", uri=\"sip:a@b\", response=\"0\", \
              algorithm=MD5, cnonce=\"c\", qop=auth, nc=00000001"
                .to_vec(),
        ],
        "rtp" => vec![rtp(0), rtp(101), [&[0xb1][..], &rtp(0)[1..]].concat()],
        "srtp" => vec![rtp(0), rtp(200)],
        "rtcp" => vec![
            [
                &[0x81, 200, 0, 12, 0, 0, 0, 9][..],
                &[1; 20],
                &[0, 0, 0, 7],
                &[2; 20],
                &[0x81, 202, 0, 3, 0, 0, 0, 9, 1, 3],
                b"abc\0\0\0",
                &[0x81, 203, 0, 1, 0, 0, 0, 9],
            ]
            .concat(),
        ],
        "dtmf" => vec![vec![
            1, 10, 0, 160, 1, 10, 1, 64, 1, 0x8a, 1, 224, 11, 0x8a, 1, 224,
        ]],
        "stun_door" => vec![stun],
        "signal_json" => [
            r#"{"type":"join","token":"t","name":"Ada","protocol":1}"#,
            r#"{"type":"chat_send","text":"hello","to":["6f9619ff-8b86-4d01-b42d-00cf4fc964ff"]}"#,
            r#"{"type":"broadcast","kind":"x","payload":{"a":[1,2.5,null,true]}}"#,
            r#"{"type":"offer","sdp":"v=0\r\n"}"#,
        ]
        .map(|text| text.as_bytes().to_vec())
        .to_vec(),
        _ => vec![b"eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjk5OTk5OTk5OTl9.c2lnbmF0dXJl".to_vec()],
    }
}

fn mutate(dice: &mut Dice, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[dice.below(seeds.len())].clone();
    for _ in 0..=dice.below(6) {
        let at = dice.below(bytes.len() + 1);
        match dice.below(7) {
            0 => bytes.truncate(at),
            1 if at < bytes.len() => bytes[at] = dice.roll() as u8,
            2 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            3 => {
                let piece = PIECES[dice.below(PIECES.len())].repeat(1 + dice.below(40));
                bytes.splice(at..at, piece);
            }
            4 if at < bytes.len() => {
                let end = at + dice.below(bytes.len() - at);
                bytes.drain(at..end);
            }
            5 => {
                let other = &seeds[dice.below(seeds.len())];
                let from = dice.below(other.len());
                let tail = other[from..].to_vec();
                bytes.splice(at.., tail);
            }
            _ => {
                let end = at + dice.below(bytes.len() - at + 1).min(64);
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
        }
    }
    bytes
}

fn number(variable: &str, default: u64) -> u64 {
    let given = std::env::var(variable).ok();
    given.and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn no_parser_panics_or_breaks_its_promise_on_broken_messages() {
    let cases = number("RINGBRIDGE_TEST_FUZZ_CASES", CASES);
    let first = number("RINGBRIDGE_TEST_FUZZ_SEED", 1);
    for (name, target) in TARGETS {
        let seeds = seeds(name);
        assert!(!seeds.is_empty(), "{name} has no seeds");
        seeds.iter().for_each(|seed| target(seed));
        for seed in first..first + cases {
            let bytes = mutate(&mut Dice(seed), &seeds);
            if catch_unwind(AssertUnwindSafe(|| target(&bytes))).is_err() {
                let kept = std::env::temp_dir().join(format!("ringbridge-fuzz-{name}-{seed}"));
                let _ = std::fs::write(&kept, &bytes);
                panic!(
                    "{name} with RINGBRIDGE_TEST_FUZZ_SEED={seed} RINGBRIDGE_TEST_FUZZ_CASES=1; \
                     put {} into fuzz/regressions/{name}/",
                    kept.display()
                );
            }
        }
    }
}

#[test]
fn what_broke_a_parser_once_does_not_again() {
    for (name, target) in TARGETS {
        let Ok(entries) = std::fs::read_dir(root().join("fuzz/regressions").join(name)) else {
            continue;
        };
        for entry in entries.filter_map(Result::ok) {
            target(&std::fs::read(entry.path()).expect("a kept message"));
        }
    }
}
