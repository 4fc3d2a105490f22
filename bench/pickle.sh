#!/bin/sh
# The pickle machine over a generated pickle of 256 MiB against `sha256sum` on the same file, in turns.
# usage: bench/pickle.sh BUILD   (SECAI_BENCH_RUNS changes the number of runs)
set -eu
build=$(cd "${1:-build}" && pwd)
dir=$(mktemp -d "${TMPDIR:-/tmp}/secai-pickle-bench-XXXXXX")
trap 'rm -rf -- "$dir"' EXIT
trap 'exit 130' INT TERM
"$build/bench/bench_pickle" "${SECAI_BENCH_RUNS:-5}" "$dir"
