#!/bin/sh
# Processor time a byte of the two sides of a scan: hashing the file, and what the locked worker does with the same bytes.
# usage: bench/worker.sh BUILD   (SECAI_BENCH_BYTES changes the size of the file)
set -eu
build=$(cd "${1:-build}" && pwd)
dir=$(mktemp -d "${TMPDIR:-/tmp}/secai-worker-bench-XXXXXX")
trap 'rm -rf -- "$dir"' EXIT
trap 'exit 130' INT TERM
"$build/tests/support/modelgen" gguf-large "${SECAI_BENCH_BYTES:-268435456}" "$dir/large.gguf"
"$build/bench/bench_worker" "$dir/large.gguf" "$build/stage/usr/share/secure-ai/yara"
