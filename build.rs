//! Embeds `web/` into the binary: one list of (path, bytes), so that a new file needs no code.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=web");
    println!("cargo:rerun-if-changed=build.rs");
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("web");
    let mut files = Vec::new();
    if root.is_dir() {
        collect(&root, &root, &mut files)?;
    }
    files.sort();
    let mut code = String::from("&[\n");
    for file in files {
        let path = root.join(&file);
        writeln!(
            code,
            "    ({file:?}, include_bytes!({:?}).as_slice()),",
            path.to_str().expect("a UTF-8 path")
        )
        .expect("a String takes everything");
    }
    code.push(']');
    let out = env::var("OUT_DIR").expect("cargo sets it");
    fs::write(Path::new(&out).join("web_assets.rs"), code)
}

/// Every servable file below `dir`, as a path relative to `root`.
fn collect(root: &Path, dir: &Path, files: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_none_or(|name| name.starts_with('.') || name == "node_modules") {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, files)?;
        } else if path.extension().is_some_and(|kind| kind != "md") {
            let relative = path.strip_prefix(root).expect("it is below root");
            files.push(relative.to_str().expect("a UTF-8 path").replace('\\', "/"));
        }
    }
    Ok(())
}
