# shellcheck shell=bash
# Sourced by the scripts beside it: finding the tools, installing what is missing.

# The oldest Rust that builds us; Cargo.toml's rust-version says the same.
RUST_MIN=1.95

say() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; }
fail() { say "$*"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# as_root COMMAND…: as it is for root, else through sudo.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif have sudo; then sudo "$@"
  else fail "needs root or sudo for: $*"
  fi
}

# at_least WANTED FOUND: whether version FOUND is not older.
at_least() {
  [ "$(printf '%s\n%s\n' "$1" "$2" | sort --version-sort | head -n 1)" = "$1" ]
}

# cargo_works [COMMAND]: whether it is a cargo, and its rustc is, of at least RUST_MIN.
cargo_works() {
  local cargo=${1:-cargo} rustc version
  case $cargo in */*) rustc=$(dirname "$cargo")/rustc ;; *) rustc=rustc ;; esac
  version=$("$cargo" --version 2>/dev/null) || return 1
  at_least "$RUST_MIN" "$(printf '%s' "$version" | cut -d' ' -f2)" || return 1
  version=$("$rustc" --version 2>/dev/null) || return 1
  at_least "$RUST_MIN" "$(printf '%s' "$version" | cut -d' ' -f2)"
}

# Puts a cargo of at least RUST_MIN first in PATH, if the machine has one anywhere.
find_cargo() {
  local cargo
  if cargo_works; then return 0; fi
  for cargo in "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" /usr/local/cargo/bin/cargo \
      "${RUSTUP_HOME:-$HOME/.rustup}"/toolchains/*/bin/cargo /usr/bin/cargo; do
    if [ -x "$cargo" ] && cargo_works "$cargo"; then
      PATH=$(dirname "$cargo"):$PATH
      export PATH
      return 0
    fi
  done
  return 1
}

# Debian packages, installed in one go by install_packages.
MISSING=()
want() { MISSING+=("$@"); }

install_packages() {
  [ ${#MISSING[@]} -gt 0 ] || return 0
  have apt-get || fail "not a Debian machine; install by hand: ${MISSING[*]}"
  say "installing ${MISSING[*]}"
  as_root apt-get update -q
  # Through env, since sudo drops variables.
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends "${MISSING[@]}"
  MISSING=()
}
