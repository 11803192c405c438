# shellcheck shell=bash
# What the scripts that install something share; to be sourced.

say() { printf '%s: %s\n' "$(basename "$0" .sh)" "$*" >&2; }
fail() {
  say "error: $*"
  exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }

as_root() {
  if [[ $(id -u) -eq 0 ]]; then
    "$@"
  elif has sudo; then
    sudo -- "$@"
  else
    fail "must be root (or have sudo) to run: $*"
  fi
}

# install_packages NAME…: Debian packages; nothing happens without a name.
install_packages() {
  [[ $# -gt 0 ]] || return 0
  has apt-get || fail "this machine has no apt-get; install what these Debian packages bring, then try again: $*"
  say "installing $*"
  # A source of somebody else's that does not answer is no reason to stop; a package that is then missing is.
  as_root apt-get update --quiet=2 >&2 || say "apt-get update reported errors; going on with the lists at hand"
  local status=0
  keep_servers_down
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends "$@" >&2 || status=$?
  let_servers_start
  return "$status"
}

# Packages that bring a server start it when they are installed; nobody asked for one on this machine. Debian's way to say
# so: a program that forbids it (invoke-rc.d(8)).
readonly POLICY=/usr/sbin/policy-rc.d
policy_is_ours=false
keep_servers_down() {
  [[ ! -e $POLICY ]] || return 0
  policy_is_ours=true
  # shellcheck disable=SC2016
  as_root sh -c 'printf "#!/bin/sh\nexit 101\n" >"$0" && chmod 755 "$0"' "$POLICY"
}
let_servers_start() {
  if $policy_is_ours; then
    as_root rm --force "$POLICY"
    policy_is_ours=false
  fi
}

# install_cargo_tool NAME VERSION [OPTION…]: that version, unless cargo already finds it or a later one.
install_cargo_tool() {
  local name=$1 version=$2
  shift 2
  local present
  # cargo finds its subcommands on the PATH and in its own bin folder.
  present=$(cargo "${name#cargo-}" --version 2>/dev/null | grep -Eom1 '[0-9]+\.[0-9]+\.[0-9]+' || true)
  if [[ -n $present && $(printf '%s\n%s\n' "$version" "$present" | sort --version-sort | head -n 1) == "$version" ]]; then
    return 0
  fi
  say "installing $name $version with cargo (this takes some minutes, once)"
  # A folder of its own: our build flags and target folder are not the tool's.
  env -u CARGO_TARGET_DIR -u RUSTFLAGS cargo install --quiet --locked --version "$version" "$@" "$name"
}
