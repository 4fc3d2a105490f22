#!/bin/sh
# Stages 1 to 5 over two generated files of 4 GiB, a GGUF of Q4_K blocks and a safetensors of BF16 weights, against
# `openssl dgst -sha256` on the same file, in turns, the memory they take, and how often each byte is read. sha256sum, ClamAV and
# YARA (with our own rules) on the same file are measured in the same turns where they are installed.
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
size=${SECAI_BENCH_BYTES:-4294967296}

# The commands that are installed are put before ours.
measure() {
	file=$1
	set -- -- "$stage/usr/libexec/secure-ai/quarantine" --scan --stages 1-5 --config "$stage/etc/secure-ai" \
		--share "$stage/usr/share/secure-ai"
	if command -v yara >/dev/null; then
		set -- -- yara -w "$stage"/usr/share/secure-ai/yara/*.yar "$@"
	else
		echo "NOT MEASURED: yara is not installed"
	fi
	if command -v clamscan >/dev/null; then
		set -- -- clamscan --no-summary --max-filesize=2000M --max-scansize=2000M "$@"
	else
		echo "NOT MEASURED: clamscan is not installed"
	fi
	if command -v sha256sum >/dev/null; then
		set -- -- sha256sum "$@"
	else
		echo "NOT MEASURED: sha256sum is not installed"
	fi
	"$build/bench/bench_scan" "${SECAI_BENCH_RUNS:-5}" "$file" -- openssl dgst -sha256 "$@"
}

for kind in gguf safetensors; do
	echo "$kind of $size bytes:"
	"$build/tests/support/modelgen" "$kind-large" "$size" "$dir/large.$kind"
	measure "$dir/large.$kind"
	rm -f -- "$dir/large.$kind"
done
