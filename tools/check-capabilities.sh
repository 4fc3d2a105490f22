#!/bin/sh
# docs/capabilities.md names for every feature the test that proves it, as `test: case` or `test`. Fails when one of them is not
# among the cases that ran and passed.
# usage: tools/check-capabilities.sh RESULT.tap...   |   --static (form only)
set -eu
cd "$(dirname "$0")/.."
table=docs/capabilities.md
[ -f "$table" ] || { echo "$table is missing"; exit 1; }
proofs=$(mktemp)
trap 'rm -f "$proofs"' EXIT
# last column of each table row, names between backticks (single quotes on purpose)
# shellcheck disable=SC2016
grep -E '^\|' "$table" | grep -vE '^\|[ :-]+\|' | sed 1d | awk -F'|' '{ print $(NF-1) }' | grep -oE '`[^`]+`' | tr -d '`' | sort -u >"$proofs"
[ -s "$proofs" ] || { echo "$table names no tests"; exit 1; }
grep -E '^\|' "$table" | grep -vE '^\|[ :-]+\|' | sed 1d |
	awk -F'|' '$(NF-1) !~ /`/ { print "no proof named: " $2; bad = 1 } END { exit bad }' || exit 1
[ "$1" != --static ] || exit 0
missing=0
while IFS= read -r proof; do
	if ! cat "$@" | grep -E '^ok ' | grep -viE '# *skip' | grep -qF -- "- $proof"; then
		echo "docs/capabilities.md: no test named '$proof' ran and passed"
		missing=$((missing + 1))
	fi
done <"$proofs"
[ "$missing" -eq 0 ]
