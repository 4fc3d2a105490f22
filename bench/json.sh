#!/bin/sh
# Time to read a JSON message, against jansson.
# usage: bench/json.sh BUILD
set -eu
exec "${1:-build}/bench/bench_json"
