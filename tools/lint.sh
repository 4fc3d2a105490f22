#!/bin/sh
# Checks of form: formatting, static analysis, banned functions, layers, shell scripts. Prints one line a check and
# exits 1 when any of them found something.
# usage: tools/lint.sh [BUILD]     BUILD has compile_commands.json (made by `make build`)
set -eu
cd "$(dirname "$0")/.."
build=${1:-build}
failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

check() { # NAME COMMAND...
	name=$1
	shift
	if "$@" >"$log" 2>&1; then
		echo "ok   lint: $name"
	else
		echo "FAIL lint: $name"
		sed 's/^/     /' "$log" | head -60
		failed=$((failed + 1))
	fi
}

c_files() { git ls-files 'src/*.[ch]' 'tests/*.[ch]' 'fuzz/*.[ch]' 'bench/*.[ch]' 'tools/*.[ch]'; }
sources() { git ls-files 'src/*.c'; }

format() { c_files | xargs clang-format --dry-run -Werror; }

tidy() {
	[ -f "$build/compile_commands.json" ] || { echo "$build/compile_commands.json is missing: run make build"; return 1; }
	sources | xargs -P "$(nproc)" -n 4 clang-tidy --quiet -p "$build" --warnings-as-errors='*' \
		--extra-arg=-Wno-unknown-warning-option --extra-arg=-enable-trivial-auto-var-init-zero-knowing-it-will-be-removed-from-clang 2>/dev/null
}

cppcheck_all() {
	cppcheck --quiet --std=c11 --language=c --enable=warning,portability --inline-suppr --error-exitcode=1 \
		--suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches --suppress=unknownMacro \
		--suppress=checkersReport -D_GNU_SOURCE -I src -j "$(nproc)" src
}

shell_scripts() { git ls-files '*.sh' .ci/run | xargs shellcheck; }

# Comments may name a banned function; calls may not.
ban_list() {
	! git grep -nE '(^|[^A-Za-z0-9_."])(strcpy|strcat|sprintf|vsprintf|strncpy|strtok|strtok_r|atoi|atol|atoll|gets|alloca|system|popen|mktemp|tmpnam|localtime|localtime_r|ctime|ctime_r|rand|srand|signal|getenv|setjmp|longjmp)[[:space:]]*\(' \
		-- 'src/*.c' 'src/*.h' ':!src/base/macros.h' | grep -vE ':[0-9]+:[[:space:]]*(/?\*|//)'
}

layers() { tools/check-layers.sh; }

unfinished() {
	! git grep -nIE '\b(TODO|FIXME|XXX|HACK)\b' -- src web/src tests fuzz bench config tools docs README.md ':!tools/lint.sh'
}

# clang-format and clang-tidy differ between versions: the tree follows version 14, newer ones only report.
check format format
check "clang-tidy" tidy
check "cppcheck" cppcheck_all
check "shellcheck" shell_scripts
check "ban list" ban_list
check "layers" layers
check "nothing unfinished" unfinished
check "capabilities name known files" tools/check-capabilities.sh --static

[ "$failed" -eq 0 ] || { echo "lint: $failed checks failed"; exit 1; }
