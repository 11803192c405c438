#!/usr/bin/env bash
# Audits what we depend on; run by `make security`. Bans, licences and sources need no network and must pass. The
# advisory database lies elsewhere and may be out of reach: then this says so, and passes on what it could check.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/install.sh

readonly DENY=0.20.2

main() {
  install_cargo_tool cargo-deny "$DENY"
  cargo deny check bans licenses sources
  if ! cargo deny fetch db; then
    say "bans, licences and sources: checked. Advisories: NOT checked, the advisory database could not be fetched"
    return
  fi
  cargo deny check --disable-fetch advisories
  say "bans, licences, sources and advisories: checked"
}

main "$@"
