#!/usr/bin/env bash
# Builds FlexCore if needed and runs the example pipeline; run by `make demo`.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --release --package flexcore
flexcore=$(realpath "${CARGO_TARGET_DIR:-target}")/release/flexcore

cd examples/flights
# A demo that was killed goes on where it was.
"$flexcore" run pipelines/flights.yaml --on-unfinished resume

cat <<'NEXT'

The results are in examples/flights/out, the log of what happened in examples/flights/.flexcore.
Run it again and nothing is moved, because nothing is new. In that folder, with target/release on the PATH:
  flexcore execution show last    what happened, event by event
  flexcore logs last              what the steps wrote
  flexcore events verify          proof that the log is whole
NEXT
