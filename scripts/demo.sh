#!/usr/bin/env bash
# Builds FlexCore if needed and runs the example pipeline; run by `make demo`.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --release --package flexcore
flexcore=$(realpath "${CARGO_TARGET_DIR:-target}")/release/flexcore

cd examples/flights
"$flexcore" run pipelines/flights.yaml
