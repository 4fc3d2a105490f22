#!/bin/sh
# Runs every test of a build and counts single cases: unit, attack, fuzz-corpus and system tests through meson, then the
# front end's own tests and the browser tests. Ends with "N passed, N failed".
# usage: tools/test.sh BUILD [--no-web]
set -eu
cd "$(dirname "$0")/.."
build=${1:-build}
web=1
[ "${2:-}" = --no-web ] && web=0
results=$build/results
mkdir -p "$results"
rm -f "$results"/*.tap

jobs=$(nproc)
rc=0
meson test -C "$build" --no-rebuild --num-processes "$jobs" --print-errorlogs >"$build/test-output.txt" 2>&1 || rc=$?
grep -E '^ *[0-9]+/[0-9]+ .*(FAIL|TIMEOUT|ERROR|SKIP|UNEXPECTED)' "$build/test-output.txt" || true
if [ "$rc" -ne 0 ]; then
	sed -n '/^Summary of Failures/,$p' "$build/test-output.txt" | tail -40
	grep -E '^not ok|^# .*(Error|error|failed|!=)' "$build/test-output.txt" | head -60 || true
fi
tools/collect-tap.sh "$build/meson-logs/testlog.txt" >"$results/meson.tap"

if [ "$web" -eq 1 ]; then
	tools/test-web-unit.sh >"$results/web-unit.tap" 2>"$results/web-unit.log" || true
	grep -E '^not ok' "$results/web-unit.tap" && tail -40 "$results/web-unit.log"
	tools/test-web.sh "$build" >"$results/web-browser.tap" 2>"$results/web-browser.log" || true
	grep -E '^ *not ok' "$results/web-browser.tap" && tail -40 "$results/web-browser.log"
fi

passed=$(cat "$results"/*.tap | grep -cE '^ok .*' || true)
skipped=$(cat "$results"/*.tap | grep -ciE '^ok .*# *skip' || true)
failed=$(cat "$results"/*.tap | grep -cE '^not ok' || true)
passed=$((passed - skipped))
# a suite that printed nothing at all, or a meson failure that no case shows, is a failure too
for f in "$results"/*.tap; do
	if ! grep -qE '^(ok|not ok)' "$f"; then
		echo "no result in $f"
		tail -20 "${f%.tap}.log" 2>/dev/null || true
		failed=$((failed + 1))
	fi
done
[ "$rc" -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
grep -hiE '^ok .*# *skip' "$results"/*.tap | sed 's/^/skipped: /' || true
if [ "${SECAI_CAPABILITIES:-}" != skip ] && ! tools/check-capabilities.sh "$results"/*.tap; then
	failed=$((failed + 1))
fi
if [ "$skipped" -gt 0 ]; then
	echo "$passed passed, $failed failed, $skipped skipped"
else
	echo "$passed passed, $failed failed"
fi
[ "$failed" -eq 0 ]
