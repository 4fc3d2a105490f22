#!/bin/sh
# The front end's own tests (node's test runner, flat TAP on standard output).
set -eu
cd "$(dirname "$0")/../web"
npm run --silent check >&2
npm test --silent -- --test-reporter=tap | sed -n 's/^ *\(ok\|not ok\) [0-9]* - \(.*\)/\1 - web-unit: \2/p'
