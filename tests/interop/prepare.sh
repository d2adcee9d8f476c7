#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Builds what `make interop` compares the library with, once until versions.txt changes:
#     prepare.sh python DIR      a virtual environment DIR/venv with the pinned PyPI packages
#     prepare.sh sdk DIR         the same with Hatchet's Python SDK: DIR/sdk
#     prepare.sh collector DIR   the OpenTelemetry Collector as DIR/collector/otelcol
#     prepare.sh engine DIR      Hatchet's engine, API and commands in DIR/engine
#     prepare.sh gosdk DIR       sdks/golang.go with Hatchet's Go SDK as DIR/gosdk/operations
#     prepare.sh node DIR        grpc-js and the TypeScript SDK in DIR/node/node_modules
#     prepare.sh java DIR        grpc-java's jars and servers/GrpcJava.java, compiled, in DIR/java
#     prepare.sh tonic DIR       servers/tonic.rs as DIR/tonic/debug/server
# The log of the last build is DIR/<what>.log. Exit code 0: it is there.
set -eu

what=$1
mkdir -p "$2"
dir=$(cd "$2" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
versions=$here/versions.txt
log=$dir/$what.log

# pins KIND: the lines of one kind, "name version".
pins() {
    awk -v kind="$1" '$1 == kind { print $2, $3 }' "$versions"
}

# pin PATTERN: the whole "name version" of the Go module whose name matches.
pin() {
    pins go | grep -E "$1"
}

# environment KIND FOLDER: a virtual environment with the pins of a kind.
environment() {
    rm -rf "$2"
    python3 -m venv "$2"
    pins "$1" | sed 's/ /==/' > "$2/requirements.txt"
    "$2/bin/python" -m pip install --disable-pip-version-check --no-deps -r "$2/requirements.txt"
    "$2/bin/python" -m pip check
}

prepare_python() {
    environment pypi "$dir/venv"
}

prepare_sdk() {
    environment sdk "$dir/sdk"
}

prepare_collector() {
    mkdir -p "$dir/collector"
    cat > "$dir/collector.yaml" <<EOT
dist:
  name: otelcol
  description: OpenTelemetry Collector for the interop tests
  output_path: $dir/collector
conf_resolver:
  default_uri_scheme: file
receivers:
  - gomod: $(pin /otlpreceiver)
exporters:
  - gomod: $(pin /fileexporter)
  - gomod: $(pin /debugexporter)
providers:
  - gomod: $(pin /fileprovider)
EOT
    # -e: `go mod tidy` wants what the exporter's own tests import too, which not every module
    # proxy has. The build does not, and stops by itself on anything that it misses.
    export GOBIN="$dir/bin" CGO_ENABLED=0 GOFLAGS="${GOFLAGS:-} -e"
    go install "$(pin /cmd/builder | tr ' ' '@')"
    "$GOBIN/builder" --config "$dir/collector.yaml"
}

# The folder of Hatchet's Go module.
hatchet_folder() {
    module=$(pins engine | tr ' ' '@')
    go mod download -json "$module" | sed -n 's/^[[:space:]]*"Dir": "\(.*\)",$/\1/p'
}

# In the module's own folder, with its go.sum: `go install MODULE@VERSION` also asks the proxy for a
# list of all versions, which not every proxy has.
prepare_engine() {
    mkdir -p "$dir/engine"
    folder=$(hatchet_folder)
    cd "$folder"
    CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$dir/engine/" \
        ./cmd/hatchet-engine ./cmd/hatchet-api ./cmd/hatchet-admin ./cmd/hatchet-migrate
}

# With the go.mod and go.sum of the SDK itself: nothing has to be resolved.
prepare_gosdk() {
    mkdir -p "$dir/gosdk"
    folder=$(hatchet_folder)
    {
        sed 's/^module .*/module operations/' "$folder/go.mod"
        echo "require $(pins engine)"
        echo "replace $(pins engine | cut -d ' ' -f 1) => $folder"
    } > "$dir/gosdk/go.mod"
    cp "$folder/go.sum" "$here/sdks/golang.go" "$dir/gosdk/"
    chmod u+w "$dir/gosdk/go.sum"
    cd "$dir/gosdk"
    CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o operations .
}

prepare_node() {
    mkdir -p "$dir/node"
    # shellcheck disable=SC2046
    npm install --prefix "$dir/node" --no-save --no-audit --no-fund $(pins npm | tr ' ' '@')
}

prepare_java() {
    rm -rf "$dir/java"
    mkdir -p "$dir/java"
    {
        echo '<project><modelVersion>4.0.0</modelVersion><groupId>interop</groupId>'
        echo '<artifactId>jars</artifactId><version>1</version><dependencies>'
        pins maven | tr ': ' '  ' | while read -r group artifact version; do
            echo "<dependency><groupId>$group</groupId><artifactId>$artifact</artifactId>"
            echo "<version>$version</version></dependency>"
        done
        echo '</dependencies></project>'
    } > "$dir/java/pom.xml"
    mvn -q -B -f "$dir/java/pom.xml" dependency:copy-dependencies \
        -DoutputDirectory="$dir/java/jars"
    javac -cp "$dir/java/jars/*" -d "$dir/java" "$here/servers/GrpcJava.java"
}

prepare_tonic() {
    mkdir -p "$dir/tonic"
    {
        printf '[package]\nname = "server"\nversion = "0.0.0"\nedition = "2021"\n'
        printf '[[bin]]\nname = "server"\npath = "%s"\n[dependencies]\n' "$here/servers/tonic.rs"
        pins cargo | while read -r crate version; do
            case $crate in
            tonic) wanted='default-features = false, '
                   wanted=$wanted'features = ["server", "router", "tls-ring", "gzip"], ' ;;
            tokio) wanted='features = ["rt", "net", "signal", "macros"], ' ;;
            *) wanted= ;;
            esac
            printf '%s = { %sversion = "=%s" }\n' "$crate" "$wanted" "$version"
        done
        printf '[profile.dev]\ndebug = false\nincremental = false\n'
    } > "$dir/tonic/Cargo.toml"
    cargo build --manifest-path "$dir/tonic/Cargo.toml" --target-dir "$dir/tonic"
}

source=
case $what in
python) kind=pypi ;;
sdk) kind=sdk ;;
collector) kind=go ;;
engine) kind=engine ;;
gosdk) kind=engine source=$here/sdks/golang.go ;;
node) kind=npm ;;
java) kind=maven source=$here/servers/GrpcJava.java ;;
tonic) kind=cargo source=$here/servers/tonic.rs ;;
*)
    echo "usage: prepare.sh python|sdk|collector|engine|gosdk|node|java|tonic DIR" >&2
    exit 2
    ;;
esac

# The stamp says what was built how. It is written last: half a build is never taken for one.
stamp=$dir/$what.stamp
recipe=$(pins "$kind" && cat "$0" ${source:+"$source"} | cksum)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$recipe" ]; then
    exit 0
fi
rm -f "$stamp"
"prepare_$what" > "$log" 2>&1
echo "$recipe" > "$stamp"
