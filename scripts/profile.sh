#!/usr/bin/env bash
# Profiles a run of the binary: profile.sh cpu|memory ARGS…; run by `make profile-cpu` and `make profile-memory`.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/install.sh

readonly RESULTS=target/profiles

main() {
  local kind=$1
  shift
  (($# > 0)) || fail "say what to run: make profile-$kind ARGS=\"run FILE\""
  mkdir -p "$RESULTS"
  cargo build --release --package flexcore
  case $kind in
    cpu)
      has perf || fail "perf is missing; Debian has it in linux-perf"
      perf record --call-graph dwarf,16384 --output "$RESULTS/cpu.perf" -- target/release/flexcore "$@"
      perf report --input "$RESULTS/cpu.perf" --no-children --stdio --percent-limit 1 | head -n 60
      say "the whole of it: perf report --input $RESULTS/cpu.perf"
      ;;
    memory)
      has heaptrack || fail "heaptrack is missing; Debian has it in heaptrack"
      heaptrack --output "$RESULTS/memory" target/release/flexcore "$@"
      heaptrack_print "$RESULTS"/memory.* | tail -n 40
      ;;
    *) fail "cpu or memory, not $kind" ;;
  esac
}

main "$@"
