//! Holds the tree to its shape: the invariants of `docs/ARCHITECTURE.md` that text can check.
//!
//! Only code that ships is looked at: comments and strings are blanked, `#[cfg(test)]` modules
//! left out. An exception stands in a table here, with its reason, or does not exist.

use std::path::{Path, PathBuf};
use std::process::Command;

use ringbridge::config::setting::SETTINGS;

/// Lines of a file's shipping code, documentation included. When a file passes it, ask which noun
/// wants out.
const LINES_MAX: usize = 500;

/// Columns of a line.
const COLUMNS_MAX: usize = 100;

/// Files that are longer, and why they may be.
const LONG_FILES: &[(&str, &str)] = &[
    (
        "net/batch.rs",
        "the only unsafe code: the system calls and their safe face stay together",
    ),
    (
        "limits.rs",
        "every bound of the process: one table, so that none is looked for in vain",
    ),
    (
        "call/machine.rs",
        "a call's life in one state table: divided, an arrow would be missed",
    ),
];

/// The core: pure machines over time and bytes.
const CORE: &[&str] = &["sip", "sdp", "rtp", "audio", "call", "meeting"];

/// A1: what the core never mentions. Time and randomness are arguments.
const NOT_IN_CORE: &[&str] = &[
    "tokio",
    "UdpSocket",
    "TcpStream",
    "TcpListener",
    "std::thread",
    "std::fs",
    "std::env",
    "Instant::now",
    "SystemTime",
    "rand::random",
    "rand::rng",
    "OsRng",
    "thread_rng",
    "getrandom",
];

/// The direction: the shell may use the core, never the reverse.
const SHELL: &[&str] = &[
    "config",
    "telemetry",
    "net",
    "store",
    "run",
    "api",
    "probe",
    "app",
    "operator",
];

/// A2: reading the clock.
const CLOCK: &[&str] = &["Instant::now", "SystemTime::now", "now_utc", "now_local"];

/// A2: who may read the clock. Relative to `src/`.
const CLOCK_READERS: &[(&str, &str)] = &[
    ("run/clock.rs", "the clock of the process"),
    (
        "probe/",
        "a program of its own: the clients of the self-test and the load generator",
    ),
    ("testkit/", "tests' side"),
];

/// A4: each foreign library and the places that may know it. Relative to `src/`.
const DOORS: &[(&str, &[&str])] = &[
    ("rtc::", &["meeting/peer", "probe/browser/", "testkit/"]),
    ("audiopus", &["audio/opus.rs"]),
    ("rubato", &["audio/resample.rs"]),
    ("rsip", &["sip/"]),
    ("sdp_types", &["sdp/"]),
    ("rtp_rs", &["rtp/"]),
    ("axum", &["api/"]),
    ("rustls", &["net/tls.rs", "probe/tls.rs"]),
    ("rcgen", &["net/tls.rs"]),
    ("x509_parser", &["net/tls.rs"]),
    ("rusqlite", &["store/"]),
    ("clap", &["config/raw.rs", "main.rs", "probe/", "operator/"]),
    ("webrtc::", &["probe/", "testkit/"]),
    ("tracing_subscriber", &["telemetry/log.rs"]),
    ("unsafe", &["net/batch.rs"]),
];

/// Never in code that ships.
const NEVER: &[(&str, &str)] = &[
    ("todo!", "unfinished"),
    ("unimplemented!", "unfinished"),
    ("dbg!", "left over"),
    (
        "unbounded",
        "A6: every queue has a bound named in limits.rs",
    ),
    ("mpsc::channel()", "A6: std's channel without a bound"),
    ("Error::Other", "an error nobody can act on"),
];

/// Never in any Rust file, tests included.
const NEVER_IN_TESTS_EITHER: &[(&str, &str)] = &[
    ("#[ignore", "a test that does not run is no test"),
    ("allow(dead_code)", "unused code is removed, not silenced"),
];

/// One `.rs` file below `src/`.
struct Source {
    /// Relative to `src/`, with `/`.
    path: String,
    /// Shipping code: comments and strings blanked, test modules blanked; the same lines.
    code: String,
    /// Lines outside test modules.
    lines: usize,
}

#[test]
fn the_core_knows_no_sockets_threads_clocks_or_chance() {
    let mut offences = Vec::new();
    for source in sources()
        .iter()
        .filter(|source| CORE.contains(&source.module()))
    {
        for word in NOT_IN_CORE {
            offences.extend(source.mentions(word, "A1"));
        }
        for shell in SHELL {
            offences
                .extend(source.mentions(&format!("crate::{shell}"), "the core below the shell"));
        }
    }
    report(offences);
}

#[test]
fn only_one_file_reads_the_clock() {
    let mut offences = Vec::new();
    for source in sources() {
        if CLOCK_READERS
            .iter()
            .any(|(path, _)| source.path.starts_with(path))
        {
            continue;
        }
        for word in CLOCK {
            offences.extend(source.mentions(word, "A2"));
        }
    }
    report(offences);
}

#[test]
fn signalling_and_meetings_do_not_know_each_other() {
    let mut offences = Vec::new();
    for source in sources() {
        match source.module() {
            "sip" => offences.extend(source.mentions("crate::meeting", "A3")),
            "meeting" => offences.extend(source.mentions("crate::sip", "A3")),
            _ => {}
        }
    }
    report(offences);
}

#[test]
fn each_foreign_library_lives_behind_its_door() {
    let mut offences = Vec::new();
    for source in sources() {
        for (library, doors) in DOORS {
            if !doors.iter().any(|door| source.path.starts_with(door)) {
                offences.extend(source.mentions(library, "A4"));
            }
        }
    }
    report(offences);
}

#[test]
fn nothing_unfinished_unbounded_or_silenced_ships() {
    let mut offences = Vec::new();
    for source in sources() {
        for (word, why) in NEVER {
            offences.extend(source.mentions(word, why));
        }
    }
    for path in tracked(&["*.rs"]) {
        let code = blank_comments_and_strings(&read(&path));
        for (word, why) in NEVER_IN_TESTS_EITHER {
            offences.extend(mentions(&path.display().to_string(), &code, word, why));
        }
    }
    report(offences);
}

#[test]
fn no_file_is_longer_than_one_noun() {
    let mut offences = Vec::new();
    for source in sources() {
        let excused = LONG_FILES.iter().any(|(path, _)| *path == source.path);
        match (source.lines > LINES_MAX, excused) {
            (true, false) => {
                offences.push(format!("src/{}: {} lines", source.path, source.lines));
            }
            (false, true) => offences.push(format!("src/{}: needs no excuse", source.path)),
            _ => {}
        }
    }
    report(offences);
}

#[test]
fn no_line_is_wider_than_a_hundred_columns() {
    let mut offences = Vec::new();
    for path in tracked(&["*.rs", "scripts/*", ".ci/*", "Dockerfile", "*.toml"]) {
        for (number, line) in read(&path).lines().enumerate() {
            // A long literal (a captured message, a token) or a table's row cannot be broken.
            let is_row = line.trim_start().starts_with("//! |");
            let is_literal = line.contains('"') || line.ends_with("\\r\\n\\");
            let is_data = is_literal || line.contains("http") || is_row;
            if line.chars().count() > COLUMNS_MAX && !is_data {
                offences.push(format!("{}:{}: too wide", path.display(), number + 1));
            }
        }
    }
    report(offences);
}

#[test]
fn no_file_names_somebodys_machine() {
    // Written in two parts, so that this file does not name them either.
    let places = [
        concat!("/wor", "k/"),
        concat!("/roo", "t/"),
        concat!("/hom", "e/"),
        concat!("/tm", "p/bash"),
    ];
    let mut offences = Vec::new();
    for path in tracked(&[]) {
        // Foreign messages, kept as they were sent.
        if path.starts_with("fixtures") || path.ends_with("Cargo.lock") {
            continue;
        }
        let text = read(&path);
        for place in places {
            if text.contains(place) {
                offences.push(format!("{}: names {place}", path.display()));
            }
        }
    }
    report(offences);
}

#[test]
fn the_readme_lists_every_setting_with_its_default() {
    let readme = read(Path::new("README.md"));
    let mut offences = Vec::new();
    for setting in SETTINGS {
        let default = setting
            .default
            .map_or("–".to_owned(), |text| format!("`{text}`"));
        let row = format!("| `--{} {}` | {default} |", setting.name, setting.value);
        if !readme.contains(&row) {
            offences.push(format!("README.md lacks a row that begins: {row}"));
        }
    }
    report(offences);
}

#[test]
fn the_blanking_of_comments_strings_and_tests_is_right() {
    let text = r##"
let a = "tokio"; // tokio
/* tokio /* tokio */ tokio */ let b = 'x'; let c = '"'; let d: &'static str = r#"tokio"#;
#[cfg(test)]
mod tests { fn f() { tokio(); } }
fn shipped() { rtc::x(); }
"##;
    let code = blank_tests(&blank_comments_and_strings(text));
    assert!(!code.contains("tokio"), "{code}");
    assert!(code.contains("fn shipped"), "{code}");
    assert_eq!(code.lines().count(), text.lines().count());
    assert_eq!(
        mentions("x", "rtc::x rtp_rtc::y xrtc::z", "rtc::", "").len(),
        1
    );
}

impl Source {
    fn module(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    fn mentions(&self, word: &str, why: &str) -> Vec<String> {
        mentions(&format!("src/{}", self.path), &self.code, word, why)
    }
}

/// Lines of `code` in which `word` stands as a word of its own.
fn mentions(path: &str, code: &str, word: &str, why: &str) -> Vec<String> {
    let is_part = |letter: Option<char>| letter.is_some_and(|l| l.is_alphanumeric() || l == '_');
    let mut found = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let stands = line.match_indices(word).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let after = line[at + word.len()..].chars().next();
            let joined_after = word.ends_with(char::is_alphanumeric) && is_part(after);
            // `crate::rtc::` is a module of ours, not the library.
            let of_ours = word.ends_with("::") && line[..at].ends_with("::");
            !is_part(before) && !joined_after && !of_ours
        });
        if stands {
            found.push(format!("{path}:{}: {word} ({why})", number + 1));
        }
    }
    found
}

fn report(offences: Vec<String>) {
    assert!(offences.is_empty(), "\n{}\n", offences.join("\n"));
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    let bytes = std::fs::read(root().join(path)).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Files that git knows, or would if they were added.
fn tracked(patterns: &[&str]) -> Vec<PathBuf> {
    let output = Command::new("git")
        .current_dir(root())
        .args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "--",
        ])
        .args(patterns)
        .output()
        .expect("git runs");
    assert!(output.status.success(), "git ls-files fails");
    let names = String::from_utf8(output.stdout).expect("names are UTF-8");
    names
        .lines()
        .map(PathBuf::from)
        .filter(|path| root().join(path).is_file())
        .collect()
}

fn sources() -> Vec<Source> {
    let files: Vec<(String, String)> = tracked(&["src/*.rs"])
        .iter()
        .map(|path| {
            let name = path
                .strip_prefix("src")
                .expect("below src")
                .display()
                .to_string();
            (name, blank_comments_and_strings(&read(path)))
        })
        .collect();
    assert!(files.len() > 20, "the sources were not found");
    let test_files: Vec<String> = files
        .iter()
        .flat_map(|(path, code)| test_modules(path, code))
        .collect();
    files
        .into_iter()
        .filter(|(path, _)| {
            !test_files
                .iter()
                .any(|module| path.starts_with(module.as_str()))
        })
        .map(|(path, code)| {
            let blanked = blank_tests(&code);
            let lines = code.lines().count() - test_lines(&code);
            Source {
                path,
                code: blanked,
                lines,
            }
        })
        .collect()
}

/// Paths (without `.rs`) of modules declared as `#[cfg(test)] mod name;` in a file.
fn test_modules(path: &str, code: &str) -> Vec<String> {
    let folder = match path
        .strip_suffix("mod.rs")
        .or_else(|| path.strip_suffix("lib.rs"))
    {
        Some(folder) => folder.to_owned(),
        None => format!("{}/", path.strip_suffix(".rs").unwrap_or(path)),
    };
    code.split("#[cfg(test)]")
        .skip(1)
        .filter_map(|rest| {
            let rest = rest.trim_start().trim_start_matches("pub(crate) ");
            let name = rest.strip_prefix("mod ")?;
            let end = name.find(|letter: char| !letter.is_alphanumeric() && letter != '_')?;
            let (name, rest) = name.split_at(end);
            rest.starts_with(';').then(|| format!("{folder}{name}"))
        })
        .collect()
}

/// Byte ranges of `#[cfg(test)]` items with a body.
fn test_ranges(code: &str) -> Vec<std::ops::Range<usize>> {
    let mut ranges = Vec::new();
    let mut from = 0;
    while let Some(at) = code[from..].find("#[cfg(test)]").map(|at| at + from) {
        let body = code[at..]
            .find(['{', ';'])
            .map_or(code.len(), |offset| at + offset);
        let mut depth = 0usize;
        let mut end = code.len();
        for (offset, byte) in code.bytes().enumerate().skip(body) {
            match byte {
                b'{' => depth += 1,
                b'}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                end = offset + 1;
                break;
            }
        }
        ranges.push(at..end);
        from = end;
    }
    ranges
}

fn blank_tests(code: &str) -> String {
    let mut bytes = code.as_bytes().to_vec();
    for range in test_ranges(code) {
        blank(&mut bytes[range]);
    }
    String::from_utf8(bytes).expect("blanked as a whole")
}

fn test_lines(code: &str) -> usize {
    let ranges = test_ranges(code);
    ranges
        .iter()
        .map(|range| code[range.clone()].lines().count())
        .sum()
}

fn blank(bytes: &mut [u8]) {
    for byte in bytes {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
}

/// Comments, strings and character literals become blanks; line breaks stay.
fn blank_comments_and_strings(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match &bytes[at..] {
            [b'/', b'/', ..] => line_end(&bytes, at),
            [b'/', b'*', ..] => comment_end(&bytes, at),
            [b'"', ..] => string_end(&bytes, at),
            [b'r', b'"' | b'#', ..] if !is_word(&bytes, at) => raw_string_end(&bytes, at),
            [b'\'', b'\\', ..] => char_end(&bytes, at),
            [b'\'', _, b'\'', ..] => at + 3,
            _ => at,
        };
        if end > at {
            blank(&mut bytes[at..end]);
            at = end;
        } else {
            at += 1;
        }
    }
    String::from_utf8(bytes).expect("literals are blanked as a whole")
}

fn is_word(bytes: &[u8], at: usize) -> bool {
    at > 0
        && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_')
        && bytes[at - 1] != b'b'
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    let length = bytes[at..].iter().position(|byte| *byte == b'\n');
    length.map_or(bytes.len(), |length| at + length)
}

fn comment_end(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0;
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                at += 2;
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    at
}

fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn raw_string_end(bytes: &[u8], at: usize) -> usize {
    let hashes = bytes[at + 1..]
        .iter()
        .take_while(|byte| **byte == b'#')
        .count();
    let open = at + 1 + hashes;
    if bytes.get(open) != Some(&b'"') {
        return at;
    }
    let close: Vec<u8> = std::iter::once(b'"')
        .chain(std::iter::repeat_n(b'#', hashes))
        .collect();
    let rest = &bytes[open + 1..];
    let length = rest.windows(close.len()).position(|window| window == close);
    length.map_or(bytes.len(), |length| open + 1 + length + close.len())
}

fn char_end(bytes: &[u8], at: usize) -> usize {
    let length = bytes[at + 3..].iter().position(|byte| *byte == b'\'');
    length.map_or(bytes.len(), |length| at + 3 + length + 1)
}
