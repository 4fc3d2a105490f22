#!/bin/sh
# Fuzzes readers with libFuzzer under ASan and UBSan, FUZZ_SECONDS each (default 60), from the committed corpus and with the
# dictionary fuzz/dict/<name>.dict where there is one. Prints how many inputs were executed. New inputs go to
# build-fuzz/corpus/<name>; a crash stops the run and leaves its input there.
# usage: tools/fuzz.sh [NAME…]     default: all targets
set -eu
cd "$(dirname "$0")/.."
build="build-fuzz"
seconds=${FUZZ_SECONDS:-60}
wanted="$*"
[ -f "$build/build.ninja" ] || CC=clang meson setup "$build" -Dfuzz=true -Dweb=disabled -Db_sanitize=address,undefined -Db_lundef=false
meson compile -C "$build"
for target in "$build"/fuzz/fuzz_*; do
	if [ ! -x "$target" ] || [ ! -f "$target" ]; then
		continue
	fi
	name=${target##*/fuzz_}
	if [ -n "$wanted" ] && ! echo " $wanted " | grep -qF " $name "; then
		continue
	fi
	mkdir -p "$build/corpus/$name"
	set -- "-max_total_time=$seconds" -rss_limit_mb=1024 -timeout=10 -print_final_stats=1 \
		"-artifact_prefix=$build/corpus/$name-"
	if [ -f "fuzz/dict/$name.dict" ]; then
		set -- "$@" "-dict=fuzz/dict/$name.dict"
	fi
	echo "== $name, $seconds s"
	"$target" "$@" "$build/corpus/$name" "fuzz/corpus/$name" 2>&1 |
		grep -E 'stat::number_of_executed_units|ERROR|SUMMARY|Test unit written' || true
	if ls "$build/corpus/$name"-crash-* "$build/corpus/$name"-timeout-* "$build/corpus/$name"-oom-* 2>/dev/null; then
		exit 1
	fi
done
