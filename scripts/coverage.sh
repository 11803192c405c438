#!/usr/bin/env bash
# Runs the tests with coverage and writes target/llvm-cov/html/index.html; run by `make coverage-html`.
#
# Reading coverage needs llvm-cov and llvm-profdata of the LLVM that rustc was built with. Where the toolchain has them
# (rustup's component llvm-tools) they are used, else Debian's.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/install.sh

readonly LLVM_COV_TOOL=0.9.1

main() {
  find_llvm
  install_cargo_tool cargo-llvm-cov "$LLVM_COV_TOOL"
  cargo llvm-cov nextest --workspace --html --ignore-filename-regex '/(tests|examples)/|/tests\.rs$'
  cargo llvm-cov report --summary-only --ignore-filename-regex '/(tests|examples)/|/tests\.rs$'
}

# Sets LLVM_COV and LLVM_PROFDATA, unless the toolchain or the caller brings them.
find_llvm() {
  if [[ -n ${LLVM_COV:-} && -n ${LLVM_PROFDATA:-} ]]; then
    return
  fi
  local host major
  host=$(rustc -vV | sed -n 's/^host: //p')
  major=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
  if [[ -x $(rustc --print sysroot)/lib/rustlib/$host/bin/llvm-cov ]]; then
    return      # cargo-llvm-cov looks there itself
  fi
  has "llvm-cov-$major" || install_packages "llvm-$major" ||
    fail "rustc uses LLVM $major, and neither the toolchain nor Debian has its tools; add rustup's component llvm-tools, or set LLVM_COV and LLVM_PROFDATA"
  LLVM_COV=$(command -v "llvm-cov-$major")
  LLVM_PROFDATA=$(command -v "llvm-profdata-$major")
  export LLVM_COV LLVM_PROFDATA
}

main "$@"
