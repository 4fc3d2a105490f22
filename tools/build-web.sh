#!/usr/bin/env bash
# Builds the web UI and compiles its files into a C source; called by src/ui/meson.build.
# usage: build-web.sh auto|enabled|disabled WEB-FOLDER WORK-FOLDER EMBED OUT.c DEPFILE
#   auto      builds when the npm packages of web/package-lock.json are installed, else embeds a page that says so
#   enabled   installs the packages first when they are missing; any failure is an error
#   disabled  embeds the page
set -eu
mode=$1 web=$2 embed=$4 out=$5 depfile=$6
mkdir -p "$3"
work=$(cd "$3" && pwd) # npm runs in another folder
dist=$work/dist

# tools/setup.sh leaves a stamp; packages that somebody installed by hand are asked for with npm, which needs no network.
packages_are_current() {
	local stamp=$web/node_modules/.secai-stamp lock
	[ -f "$web/node_modules/.package-lock.json" ] || return 1
	lock=$(sha256sum <"$web/package-lock.json")
	case $(cat "$stamp" 2>/dev/null) in
	"${lock%% *} "*) return 0 ;;
	*) (cd "$web" && npm ls >/dev/null 2>&1) ;;
	esac
}

build() {
	(cd "$web" && SECAI_WEB_OUT=$dist npm run --silent build >&2)
	"$embed" "$out" web_files "$dist/index.html" "$dist"/assets/*
}

embed_notice() {
	mkdir -p "$dist"
	cat >"$dist/index.html" <<'END'
<!doctype html>
<html lang="en">
<title>SecAI OS</title>
<h1>The web page was not built</h1>
<p>This installation came without the web page. Run <code>make setup</code>, which fetches what building it needs, then
<code>make run</code> again. The command line works as ever: <code>securectl --help</code>.</p>
</html>
END
	"$embed" "$out" web_files "$dist/index.html"
}

# Everything that was read; folders too, so that new files are noticed. What isn't there yet is left out: ninja would
# build again each time.
write_depfile() {
	{
		printf '%s:' "$out"
		for path in "$web/package-lock.json" "$web/node_modules/.package-lock.json" \
			"$web/node_modules/.secai-stamp" "$web/package.json" "$web/build.mjs"; do
			[ ! -e "$path" ] || printf ' \\\n  %s' "$path"
		done
		[ ! -d "$web/src" ] || find "$web" -maxdepth 0 -exec printf ' \\\n  %s' {} \;
		[ ! -d "$web/src" ] || find "$web/src" -exec printf ' \\\n  %s' {} \;
		printf '\n'
	} >"$depfile"
}

rm -rf "$dist"
write_depfile
case $mode in
enabled)
	packages_are_current || (cd "$web" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2)
	build
	;;
auto)
	if command -v npm >/dev/null && packages_are_current; then
		build
	else
		echo "build-web: the packages of web/ are not installed, so the page is left out (make setup installs them)" >&2
		embed_notice
	fi
	;;
*) embed_notice ;;
esac
