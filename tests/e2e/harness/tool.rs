//! The programs the tests need. A missing one is a failure that names it, never a silent skip.

use std::env;
use std::path::{Path, PathBuf};

/// The full path of `name`.
///
/// # Panics
/// When it is not installed; names it and the Debian package that has it.
pub fn need(name: &str, package: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| {
            panic!("`{name}` is missing: run scripts/setup (Debian package `{package}`)")
        })
}

/// A file of the tests, by its path under `tests/e2e`.
///
/// # Panics
/// When it is missing; `remedy` says how to get it.
pub fn need_file(path: &str, remedy: &str) -> PathBuf {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/e2e")
        .join(path);
    assert!(file.exists(), "{} is missing: {remedy}", file.display());
    file
}
