#!/bin/bash
# Fetches the readers that tests compare ours with, from Debian's testing packages: today safetensors' own (python3-safetensors,
# written in Rust by the format's authors). Nothing is installed; its one library is loaded by this machine's python3.
# (llama.cpp's reader is in the sealed worker root already.)
#
#   tools/reference-readers.sh            fetches unless it is there
#   tools/reference-readers.sh --check    0 it is there and can be loaded, 1 not
#
# Place: $SECAI_REFERENCE_READERS, else ~/.cache/secure-ai/reference-readers. Trust: the archive's signature covers the index, the
# index the package. Only tests use it, so it is no fault when it can't be had: the comparison is skipped, and says so.
set -euo pipefail

SUITE=forky
PACKAGE=python3-safetensors
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
place=${SECAI_REFERENCE_READERS:-${HOME:?set HOME or SECAI_REFERENCE_READERS}/.cache/secure-ai/reference-readers}
library=$place/_safetensors_rust.so
arch=$(dpkg --print-architecture)
work=
# shellcheck disable=SC2034  # read by debian-archive.sh
label=reference-readers

say() { printf 'reference-readers: %s\n' "$*"; }
die() {
	printf 'reference-readers: ERROR: %s\n' "$*" >&2
	exit 1
}
# shellcheck source=tools/debian-archive.sh
. "$top/tools/debian-archive.sh"

clean_up() {
	[ -z "$work" ] || rm -rf -- "$work"
	rm -f -- "$library.new"
}

can_be_loaded() { # library
	[ -f "$1" ] || return 1
	python3 - "$1" <<'PYTHON' 2>/dev/null
import importlib.machinery, importlib.util, sys
loader = importlib.machinery.ExtensionFileLoader("_safetensors_rust", sys.argv[1])
module = importlib.util.module_from_spec(importlib.util.spec_from_loader("_safetensors_rust", loader))
loader.exec_module(module)
assert module.deserialize(b"\x02\0\0\0\0\0\0\0{}") == []
PYTHON
}

fetch() {
	local deb from
	open_archive
	download "$PACKAGE" || die "the archive has no $PACKAGE for $arch in suite $SUITE"
	deb=$(ls "$work"/debs/*.deb)
	dpkg-deb -x "$deb" "$work/all"
	from=$(find "$work/all" -name '_safetensors_rust*.so')
	[ -f "$from" ] || die "$(basename "$deb") has no _safetensors_rust library"
	mkdir -p "$place"
	cp -- "$from" "$library.new"
	can_be_loaded "$library.new" || die "this machine's python3 can't load $(basename "$deb")"
	mv -T -- "$library.new" "$library"
	say "ready: $library ($(basename "$deb" .deb))"
}

mkdir -p "$(dirname "$place")"
exec 9>"$place.lock"
flock 9
trap clean_up EXIT
case ${1:-} in
'') can_be_loaded "$library" || fetch ;;
--check) can_be_loaded "$library" ;;
*)
	sed -n '2,10s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
	exit 2
	;;
esac
