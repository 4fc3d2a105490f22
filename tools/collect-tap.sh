#!/bin/sh
# Turns meson's testlog.txt into flat TAP: one line a case, "ok - <test>: <case>". A test without TAP of its own counts as
# one case; a test that died before its plan was fulfilled gets a "not ok" line of its own.
# usage: tools/collect-tap.sh TESTLOG
set -eu
awk '
function finish() {
	if (name == "") return
	if (cases == 0)
		printf "%s - %s\n", result ~ /exit status 0/ ? "ok" : result ~ /exit status 77/ ? "ok # skip" : "not ok", name
	else if (result !~ /exit status 0/ && bad == 0)
		printf "not ok - %s: ended abnormally (%s)\n", name, result
}
/^=+ [0-9]+\/[0-9]+ =+$/ { finish(); name = ""; result = ""; cases = 0; bad = 0; next }
/^test: / { if (name == "") { name = $0; sub(/^test: +/, "", name); sub(/^[^:]*:/, "", name); sub(/^.* \/ /, "", name); gsub(/^ +| +$/, "", name) } next }
/^result: / { result = $0; next }
# cmocka 1.1 reports a skipped case as "not ok"
/^(not )?ok [0-9]+ # SKIP/ { text = $0; sub(/^.*# SKIP */, "", text); printf "ok - %s: %s # skip\n", name, text; cases++; next }
/^ok [0-9]+/ { text = $0; sub(/^ok [0-9]+ *-? */, "", text); sub(/^test_/, "", text); printf "ok - %s: %s\n", name, text; cases++; next }
/^not ok [0-9]+/ { text = $0; sub(/^not ok [0-9]+ *-? */, "", text); sub(/^test_/, "", text); printf "not ok - %s: %s\n", name, text; cases++; bad++; next }
END { finish() }' "$1"
