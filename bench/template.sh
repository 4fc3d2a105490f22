#!/bin/sh
# The verdict on chat templates of 64 KiB (real ones, repeated, and dense ones) against SHA-256 of the same bytes in the same run.
# usage: bench/template.sh BUILD   (SECAI_BENCH_RUNS changes the number of runs)
set -eu
exec "${1:-build}/bench/bench_template" "${SECAI_BENCH_RUNS:-200}" "$(dirname "$0")/../tests/attacks/template/accept"
