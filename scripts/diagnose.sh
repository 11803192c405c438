#!/usr/bin/env bash
# What one wants to see of a project that does not do as it should: diagnose.sh [FOLDER]; run by `make diagnose`. Each part
# is shown even if the one before it found a fault.
set -uo pipefail
cd "$(dirname "$0")/.."
cargo build --quiet --package flexcore || exit
flexcore=$(cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/debug/flexcore
cd "${1:-.}" || exit

failed=0
for verb in "config show" "doctor" "store status" "views" "execution list --limit 5" "events verify" "health"; do
  printf '\n== flexcore %s\n' "$verb"
  # Words of a verb are words.
  # shellcheck disable=SC2086
  "$flexcore" $verb || failed=1
done
exit "$failed"
