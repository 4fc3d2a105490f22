#!/bin/sh
# Browser tests: the page against the mock of its API, then the whole way through the staged system of BUILD.
# Prints flat TAP; needs Chromium (SECAI_CHROMIUM, default /usr/bin/chromium) and says so when it is missing.
# usage: tools/test-web.sh BUILD [--mock]   (--mock: the whole way, too, against the mock only)
set -eu
cd "$(dirname "$0")/.."
build=${1:-build}
target=system
[ "${2:-}" = --mock ] && target=mock
chromium=${SECAI_CHROMIUM:-/usr/bin/chromium}

if [ ! -x "$chromium" ]; then
	echo "Chromium is missing ($chromium): the browser tests can't run. Install the package chromium." >&2
	echo "ok - web: browser tests # SKIP chromium is missing"
	exit 0
fi
if [ ! -d web/node_modules/playwright-core ]; then
	echo "The front end's npm packages are missing: run make setup." >&2
	echo "not ok - web: browser tests need the npm packages"
	exit 1
fi

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT INT TERM
SECAI_WEB_OUT=$out/dist
SECAI_STAGE=${SECAI_STAGE:-$PWD/$build/stage}
export SECAI_WEB_OUT SECAI_STAGE
(cd web && npm run --silent build) >&2

rc=0
SECAI_WEB_TARGET=$target timeout 900 node --test --test-reporter=tap tests/web/page.test.mjs tests/web/system.test.mjs >"$out/tap" 2>&1 || rc=$?
cat "$out/tap" >&2
sed -n 's/^ *\(ok\|not ok\) [0-9]* - \(.*\)/\1 - web: \2/p' "$out/tap" | grep -v '\.mjs$' || true
exit "$rc"
