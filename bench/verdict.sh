#!/bin/sh
# How soon a file that its first bytes give away is rejected, in the running system.
# usage: bench/verdict.sh BUILD
set -eu
build=$(cd "${1:-build}" && pwd)
SECAI_STAGE=$build/stage "$build/bench/bench_verdict" 2>/dev/null | grep -E '^first verdict'
