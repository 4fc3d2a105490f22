#!/bin/sh
# Stages 1 to 5 over a generated 2 GiB GGUF against `openssl dgst -sha256` on the same file, in turns, and the memory they take.
# usage: bench/scan.sh BUILD   (SECAI_BENCH_BYTES, SECAI_BENCH_RUNS change size and number of runs)
set -eu
build=$(cd "${1:-build}" && pwd)
stage=$build/stage
dir=$(mktemp -d "${TMPDIR:-/tmp}/secai-scan-bench-XXXXXX")
trap 'rm -rf -- "$dir"' EXIT
trap 'exit 130' INT TERM
if ! command -v openssl >/dev/null; then
	echo "NOT MEASURED: openssl is not installed"
	exit 0
fi
"$build/tests/support/modelgen" gguf-large "${SECAI_BENCH_BYTES:-2147483648}" "$dir/large.gguf"
"$build/bench/bench_scan" "${SECAI_BENCH_RUNS:-5}" "$dir/large.gguf" openssl "$stage/usr/libexec/secure-ai/quarantine" \
	--scan --stages 1-5 --config "$stage/etc/secure-ai" --share "$stage/usr/share/secure-ai"
