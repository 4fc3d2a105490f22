#!/bin/sh
# One signature bundle verified offline, in microseconds.
# usage: bench/bundle.sh BUILD
set -eu
"${1:-build}/bench/bench_bundle"
