#!/bin/sh
# Lists in the header of a GGUF: time an element and for 2 million texts, against SHA-256 of the same bytes in the same run.
# usage: bench/header.sh BUILD   (SECAI_BENCH_RUNS changes the number of runs)
set -eu
exec "${1:-build}/bench/bench_header" "${SECAI_BENCH_RUNS:-5}"
