#!/usr/bin/env bash
# Installs what is missing on this machine, says what it does, and takes a moment when nothing is.
#
#   tools/setup.sh [--tests] [--lint] [--fuzz]
#
# Debian packages (tools/packages.txt; with sudo where you are not root), the web UI's npm packages from its lock file,
# the sealed worker root (tools/worker-root.sh). Environment: SECAI_SETUP_TESTS=1 is --tests;
# SECAI_SKIP_WORKER_ROOT=1 goes on without the sealed worker (no chat, no behavioural test, so no model is promoted).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

NODE_LEAST=18
groups=(build)
may_ask=0
[ ! -t 0 ] || may_ask=1
[ "${SECAI_SETUP_TESTS:-0}" != 1 ] || groups+=(test)

say() { printf 'setup: %s\n' "$*"; }
die() {
	printf 'setup: ERROR: %s\n' "$*" >&2
	exit 1
}
usage() {
	sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
	exit "$1"
}

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

node_is_enough() {
	local version
	command -v npm >/dev/null || return 1
	version=$(node --version 2>/dev/null) || return 1
	version=${version#v}
	[[ ${version%%.*} =~ ^[0-9]+$ ]] && [ "${version%%.*}" -ge "$NODE_LEAST" ]
}

# Prints each wanted entry ("a|b") of which no alternative is installed.
missing_entries() {
	local group entry alternative
	while read -r group entry _; do
		[[ " ${groups[*]} " == *" $group "* ]] || continue
		for alternative in ${entry//|/ }; do
			! is_installed "$alternative" || continue 2
		done
		printf '%s\n' "$entry"
	done < <(sed -e '/^#/d' -e '/^$/d' tools/packages.txt)
}

# The command in front of apt-get: nothing for root, sudo for others; without a terminal sudo must not ask.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif [ "$may_ask" = 1 ]; then
		sudo "$@"
	else
		sudo -n "$@"
	fi
}
apt_as_root() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@" </dev/null; }

# First alternative that the archive has.
choose() { # entry
	local alternative candidate
	for alternative in ${1//|/ }; do
		candidate=$(apt-cache policy "$alternative" 2>/dev/null | sed -n 's/^  Candidate: //p')
		if [ -n "$candidate" ] && [ "$candidate" != "(none)" ]; then
			printf '%s\n' "$alternative"
			return 0
		fi
	done
	return 1
}

install_packages() {
	local missing chosen=() entry name
	missing=$(missing_entries)
	[ -n "$missing" ] || return 0
	command -v apt-get >/dev/null ||
		die "this is not a Debian system (no apt-get). Install by hand what tools/packages.txt lists, or use Debian 12 or 13."
	if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
		die "packages are missing and there is no sudo. As root, run:  apt-get install --no-install-recommends" \
			"$(echo "$missing" | sed 's/|.*//' | tr '\n' ' ')"
	fi
	say "missing Debian packages: $(echo "$missing" | tr '\n' ' ')"
	apt_as_root update || say "apt-get update failed; trying with the package lists that are here"
	for entry in $missing; do
		name=$(choose "$entry") || die "the archive has none of: ${entry//|/, }. Check /etc/apt and run this again."
		chosen+=("$name")
	done
	say "installing ${chosen[*]}"
	apt_as_root install -y --no-install-recommends "${chosen[@]}" ||
		die "apt-get could not install them (see above). Put that right and run this again."
}

# node_modules is what the lock file says: made anew whenever that (or Node itself) changes.
install_npm_packages() {
	local stamp=web/node_modules/.secai-stamp want
	[ -f web/package-lock.json ] || return 0
	want="$(sha256sum <web/package-lock.json | cut -d' ' -f1) $(node --version)"
	if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ]; then
		return 0
	fi
	say "fetching the web UI's npm packages as its lock file pins them (their install scripts don't run)"
	(cd web && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error </dev/null) ||
		die "npm ci failed in web/ (see above). Expected: a network and the npm registry; then run this again."
	printf '%s\n' "$want" >"$stamp"
}

make_worker_root() {
	if [ "${SECAI_SKIP_WORKER_ROOT:-0}" = 1 ]; then
		say "going on without the sealed worker root, as asked: no chat and no promotion of models"
		return 0
	fi
	tools/worker-root.sh ||
		die "no sealed worker root (see above). To go on without chat and promotion: SECAI_SKIP_WORKER_ROOT=1"
}

# The workers' last line of defence. Some kernels and containers forbid it; better known now than at the first scan.
check_namespaces() {
	if ! bwrap --ro-bind / / --unshare-all --die-with-parent true 2>/dev/null; then
		say "WARNING: this machine lets $(id -un) make no user namespaces, so the sealed workers can't start." \
			"On a plain Debian: sysctl kernel.unprivileged_userns_clone=1; in a container: allow user namespaces."
	fi
}

for argument in "$@"; do
	case $argument in
	--tests) groups+=(test) ;;
	--lint) groups+=(lint) ;;
	--fuzz) groups+=(fuzz) ;;
	--help | -h) usage 0 ;;
	*) usage 2 ;;
	esac
done
node_is_enough || groups+=(node)

install_packages
if [[ " ${groups[*]} " == *" node "* ]] && ! node_is_enough; then
	die "Node.js $NODE_LEAST or newer with npm is needed to build the web UI; found: $(node --version 2>/dev/null || echo none)"
fi
install_npm_packages
make_worker_root
if [[ " ${groups[*]} " == *" test "* ]]; then
	tools/reference-readers.sh || say "going on without it: what it would be compared with is skipped, loudly"
fi
check_namespaces
say "everything is in place"
