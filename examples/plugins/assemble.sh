#!/usr/bin/env bash
# assemble.sh FOLDER: puts the plugins of this example into FOLDER, each as a folder that FlexCore takes in.
#
# Programs and modules are those that `make setup` builds under .cache; packages come from its environment of the SDK.
set -euo pipefail
target=${1:?name the folder to put the plugins into}
mkdir -p "$target"
target=$(cd "$target" && pwd)
cd "$(dirname "$0")/../.."
readonly HERE=examples/plugins CACHE=.cache

need() {
  [[ -e $1 ]] || { printf 'assemble.sh: %s is not there; run make setup\n' "$1" >&2; exit 1; }
}

# plugin NAME SOURCE FILE…: the manifest of a plugin and what it consists of.
plugin() {
  local name=$1 source=$2 file
  shift 2
  rm -rf "${target:?}/$name"
  mkdir -p "$target/$name"
  cp "$HERE/$source/plugin.toml" "$target/$name/"
  for file in "$@"; do
    need "$file"
    cp -RL "$file" "$target/$name/"
  done
}

plugin go-greeter go-greeter "$CACHE/go/bin/go-greeter"
plugin pseudonymize pseudonymize-py "$CACHE/guests/pseudonymize.wasm"
plugin titles titles-js "$CACHE/guests/titles.wasm"
plugin letters letters-c "$CACHE/guests/letters.wasm"
plugin places places-http

# The Python plugin runs with the interpreter that its packages were installed for.
need "$CACHE/venvs/flexcore-plugin/bin/python"
python=$(readlink -f "$CACHE/venvs/flexcore-plugin/bin/python")
plugin score score-py
sed "1s|.*|#!$python -B|" "$HERE/score-py/score.py" >"$target/score/score.py"
chmod +x "$target/score/score.py"
mkdir "$target/score/site"
for package in "$CACHE"/venvs/flexcore-plugin/lib/python3*/site-packages/*; do
  case $(basename "$package") in
    pip* | setuptools* | wheel* | __pycache__ | *.dist-info | *.pth | distutils-precedence*) ;;
    *) cp -R "$package" "$target/score/site/" ;;
  esac
done
find "$target/score/site" -name __pycache__ -type d -prune -exec rm -r {} +
