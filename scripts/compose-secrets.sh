#!/usr/bin/env bash
# Makes what the Compose stack keeps secret, once: passwords, and the settings that hold one. Run by `make docker-up`.
set -euo pipefail
cd "$(dirname "$0")/../deploy/compose"

readonly FOLDER=secrets

main() {
  umask 077
  mkdir -p "$FOLDER"
  random_into postgres_password
  random_into grafana_password
  # An API key with the permission system.metrics belongs here; `deploy/README.md` says how it is made.
  touch "$FOLDER/prometheus_key"
  if [[ ! -e $FOLDER/server.toml ]]; then
    cat >"$FOLDER/server.toml" <<TOML
# The settings of both servers; docs/configuration.md has every one.
[server]
address = "0.0.0.0"
allow_hosts = ["haproxy", "flexcore-1", "flexcore-2"]

[auth]
api_keys = true

[telemetry]
log_format = "json"

[store]
database_url = "postgres://flexcore:$(<"$FOLDER/postgres_password")@postgres/flexcore"
TOML
  fi
  # The image's user reads it, and is nobody on this machine.
  chmod 644 "$FOLDER"/*
}

# random_into FILE: 24 random bytes as text, unless the file is there.
random_into() {
  [[ -e $FOLDER/$1 ]] || head --bytes 24 /dev/urandom | base64 --wrap 0 | tr '+/' '-_' >"$FOLDER/$1"
}

main "$@"
