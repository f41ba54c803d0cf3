#!/usr/bin/env bash
# Plays a lesson, looks at recordings and registers hooks with client libraries as they are in use, once with http nodes and once with https nodes.
#
# The libraries are installed below target/clients, unless they are there. B3SCALED names the program to test; without it,
# it is built.
set -euo pipefail
shopt -s inherit_errexit

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
place=${CARGO_TARGET_DIR:-$root/target}/clients
python_version=0.0.11
node_version=1.1.5
hooks_version=0.2.0

say() { echo "clients: $*" >&2; }

install_clients() {
    local done="$place/python/bigbluebutton-api-python-$python_version"
    if [ ! -e "$done" ]; then
        say "pip install bigbluebutton-api-python==$python_version, into $place/python"
        python3 -m venv --clear "$place/python"
        "$place/python/bin/pip" install --quiet --disable-pip-version-check "bigbluebutton-api-python==$python_version"
        touch "$done"
    fi
    done="$place/node/bbb-api-$node_version"
    if [ ! -e "$done" ]; then
        say "npm install bbb-api@$node_version, into $place/node"
        rm -rf "$place/node"
        mkdir -p "$place/node"
        npm install --prefix "$place/node" --silent --no-audit --no-fund "bbb-api@$node_version"
        touch "$done"
    fi
    done="$place/hooks/bigbluebutton-js-$hooks_version"
    if [ ! -e "$done" ]; then
        say "npm install bigbluebutton-js@$hooks_version, into $place/hooks"
        rm -rf "$place/hooks"
        mkdir -p "$place/hooks"
        npm install --prefix "$place/hooks" --silent --no-audit --no-fund "bigbluebutton-js@$hooks_version"
        touch "$done"
    fi
}

demo_pid=
stop_demo() {
    [ -n "$demo_pid" ] || return 0
    kill "$demo_pid" 2>/dev/null || true
    wait "$demo_pid" || true
    demo_pid=
}

# with_demo OPTION…: plays the lesson against a demo of its own.
with_demo() {
    local object api token key url secret
    say "b3scaled demo $*"
    exec 3< <(exec "$b3scaled" demo --json --listen 127.0.0.1:0 "$@" 2>"$log")
    demo_pid=$!
    # One line, or the end of the output when there is no demo.
    if ! IFS= read -r -t 120 object <&3; then
        say "the demo did not start:"
        cat "$log" >&2
        return 1
    fi
    read -r api token key url secret < <(python3 -c '
import json, sys
demo = json.loads(sys.argv[1])
frontend = demo["frontends"][0]
print(demo["api"], demo["token"], frontend["key"], frontend["url"], frontend["secret"])' "$object")
    python3 "$here/recordings.py" "$api" "$token" "$key"
    "$place/python/bin/python" "$here/clients.py" "$url" "$secret"
    CLIENTS_NODE="$place/node" node --no-deprecation "$here/clients.mjs" "$url" "$secret"
    CLIENTS_NODE="$place/hooks" node --no-deprecation "$here/hooks.mjs" "$url" "$secret"
    stop_demo
    exec 3<&-
}

log=$(mktemp)
trap 'stop_demo; rm -f "$log"' EXIT
install_clients
b3scaled=${B3SCALED:-}
if [ -z "$b3scaled" ]; then
    cargo build --quiet --manifest-path "$root/Cargo.toml" --bin b3scaled
    b3scaled=${CARGO_TARGET_DIR:-$root/target}/debug/b3scaled
fi
with_demo
with_demo --https-nodes
