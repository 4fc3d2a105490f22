#!/bin/sh
# Runs every benchmark of bench/ and prints its ratios. Each measures a named peer in the same run.
# usage: tools/bench.sh BUILD
set -eu
cd "$(dirname "$0")/.."
build=${1:-build}
for b in bench/*.sh; do
	[ -f "$b" ] || continue
	echo "== ${b##*/}"
	"$b" "$build"
done
