#!/bin/bash
# Builds the sealed root in which llama-server runs: the few files it needs from Debian's testing packages, nothing else.
#
#   tools/worker-root.sh            builds it unless it is there and whole (then it only checks every file's hash)
#   tools/worker-root.sh --check    checks it: 0 whole, 1 missing or changed
#   tools/worker-root.sh --relock   writes image/worker-root.{lock,files} anew from what the archive has today
#
# Place: $SECAI_WORKER_ROOT, else ~/.cache/secure-ai/worker-root. No root needed; packages are unpacked, never installed,
# and none of their scripts run. Trust: the archive's signature (Debian archive keyring) covers the index, and each
# package must have the SHA-256 in image/worker-root.lock, each file that in image/worker-root.files. Testing moves on: when
# a pinned version has left the archive, a lock of this machine's own is made from the archive's signed hashes, loudly.
set -euo pipefail

SUITE=forky
PACKAGE=llama.cpp-tools
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
lock=$top/image/worker-root.lock
files=$top/image/worker-root.files
root=${SECAI_WORKER_ROOT:-${HOME:?set HOME or SECAI_WORKER_ROOT}/.cache/secure-ai/worker-root}
local_lock=$root.local.lock
local_files=$root.local.files
arch=$(dpkg --print-architecture)
work=
# shellcheck disable=SC2034  # read by debian-archive.sh
label=worker-root

say() { printf 'worker-root: %s\n' "$*"; }
die() {
	printf 'worker-root: ERROR: %s\n' "$*" >&2
	exit 1
}
# shellcheck source=tools/debian-archive.sh
. "$top/tools/debian-archive.sh"
remove_tree() {
	[ -e "$1" ] || return 0
	find "$1" -type d ! -perm -u+w -exec chmod u+w {} +
	rm -rf -- "$1"
}
clean_up() {
	[ -z "$work" ] || remove_tree "$work"
	remove_tree "$root.new"
	remove_tree "$root.old"
}

entries() { sed -e '/^#/d' -e '/^$/d' "$1"; }
pinned() { entries "$lock" | awk -v arch="$arch" '$3 == arch'; }
seal() { cat "$1" "$2" | sha256sum | cut -d' ' -f1; }

# Every listed file has its hash, and nothing else is there.
tree_is_whole() { # root, file list
	local have want
	[ -d "$1" ] || return 1
	have=$(cd "$1" && find . ! -type d ! -name .complete | LC_ALL=C sort)
	want=$(entries "$2" | sed 's|^[0-9a-f]*  |./|' | LC_ALL=C sort)
	[ "$have" = "$want" ] || return 1
	(cd "$1" && entries "$2" | sha256sum --check --strict --status)
}

root_matches() { # lock, file list
	[ -f "$1" ] && [ -f "$2" ] && [ -f "$root/.complete" ] || return 1
	[ "$(cat "$root/.complete")" = "$(seal "$1" "$2")" ] || return 1
	tree_is_whole "$root" "$2"
}

# A lock of this machine's own counts only as long as the committed lock is the one it replaced.
local_lock_is_current() {
	[ -f "$local_lock" ] && [ -f "$local_files" ] && grep -qx "# instead of $(seal "$lock" "$files")" "$local_lock"
}

is_whole() {
	root_matches "$lock" "$files" && return 0
	local_lock_is_current && root_matches "$local_lock" "$local_files" || return 1
	say "note: built from this machine's own lock (signed by the archive, not pinned by this source tree)"
}

# File name that apt gives the package: the colon of an epoch is written %3a.
deb_of() { printf '%s/debs/%s_%s_%s.deb' "$work" "$1" "${2//:/%3a}" "$3"; }

unpack_all() {
	local deb
	mkdir -p "$work/all"
	for deb in "$work"/debs/*.deb; do
		dpkg-deb -x "$deb" "$work/all"
	done
}

# Packages name their files with or without /usr before /lib; symbolic links must stay inside.
source_of() { # path in the root
	local candidate found
	for candidate in "$work/all/$1" "$work/all/usr/$1"; do
		found=$(readlink -f -- "$candidate") || continue
		if [ -f "$found" ] && [ "${found#"$work/all/"}" != "$found" ]; then
			printf '%s\n' "$found"
			return 0
		fi
	done
	return 1
}

# Files only, no links: each library lies under the name it is loaded by.
assemble() { # file list
	local path from
	remove_tree "$root.new"
	mkdir -p "$root.new"/{proc,dev,tmp,run,sys}
	while read -r _ path; do
		from=$(source_of "$path") || die "no package has $path"
		mkdir -p "$root.new/$(dirname "$path")"
		cp -- "$from" "$root.new/$path"
	done < <(entries "$1")
	find "$root.new" -type f ! -path '*/bin/*' ! -name 'ld-linux*' -exec chmod 0444 {} +
	find "$root.new" -type f \( -path '*/bin/*' -o -name 'ld-linux*' \) -exec chmod 0555 {} +
}

install_root() { # lock, file list
	tree_is_whole "$root.new" "$2" || die "unpacked files differ from $2; nothing was installed"
	seal "$1" "$2" >"$root.new/.complete"
	chmod 0444 "$root.new/.complete"
	find "$root.new" -exec touch -h -d @0 {} +
	find "$root.new" -mindepth 1 -type d -exec chmod 0555 {} +
	sync -f "$root.new/.complete"
	remove_tree "$root.old"
	[ ! -e "$root" ] || mv -T -- "$root" "$root.old"
	mv -T -- "$root.new" "$root"
	chmod 0555 "$root"
	say "ready: $root ($(du -sm "$root" | cut -f1) MB, $(entries "$2" | wc -l) files)"
}

# 0 all pinned packages are here and have their hashes; 1 some version has left the archive. A wrong hash ends the script.
fetch_pinned() {
	local name version architecture hash size deb wanted=()
	while read -r name version architecture hash size; do
		wanted+=("$name=$version")
	done < <(pinned)
	if [ ${#wanted[@]} = 0 ]; then
		say "the committed lock has no packages for $arch"
		return 1
	fi
	apt_private apt-cache madison "${wanted[@]%%=*}" |
		awk -F'|' '{ gsub(/ /, ""); print $1 "=" $2 }' >"$work/available"
	for name in "${wanted[@]}"; do
		grep -qxF -- "$name" "$work/available" || {
			say "the archive no longer has $name"
			return 1
		}
	done
	download "${wanted[@]}" || die "download failed; check the network and run this again"
	while read -r name version architecture hash size; do
		deb=$(deb_of "$name" "$version" "$architecture")
		if [ "$(stat -c %s "$deb")" != "$size" ] || ! echo "$hash  $deb" | sha256sum --check --status; then
			die "$name $version is signed by the archive but is not the package pinned in $lock" \
				"(expected SHA-256 $hash). Nothing was installed. Do not go on before you know why."
		fi
	done < <(pinned)
}

elf_field() { readelf -W -d "$1" 2>/dev/null | sed -n "s/.*($2).*\[\(.*\)\]/\1/p"; }

# Prints the paths in the root of all that $@ (paths in the unpacked tree) load, themselves included.
closure() {
	local triplet todo=("$@") path needed dir found
	local -A done_set=()
	triplet=$(basename "$(ls -d "$work"/all/usr/lib/*-linux-gnu*)")
	while [ ${#todo[@]} -gt 0 ]; do
		path=${todo[0]}
		todo=("${todo[@]:1}")
		[ -z "${done_set[$path]:-}" ] || continue
		done_set[$path]=1
		printf '%s\n' "$path"
		for needed in $(elf_field "$work/all/$path" NEEDED); do
			found=
			for dir in $(elf_field "$work/all/$path" RUNPATH | tr ':' ' ') "/usr/lib/$triplet"; do
				dir=${dir//\$ORIGIN//$(dirname "$path")}
				if source_of "${dir#/}/$needed" >/dev/null; then
					found=${dir#/}/$needed
					break
				fi
			done
			case $needed in
			ld-linux*) continue ;; # it is the interpreter, which has its own fixed path
			esac
			[ -n "$found" ] || die "$path needs $needed, which no package has"
			todo+=("$found")
		done
	done
}

write_files() { # output
	local server=usr/bin/llama-server interpreter path list
	interpreter=$(readelf -W -l "$work/all/$server" | sed -n 's/.*program interpreter: \/\(.*\)\]/\1/p')
	[ -n "$interpreter" ] || die "$server names no interpreter"
	list=$(cd "$work/all" && ls usr/lib/*/ggml/backends*/libggml-cpu*.so)
	# shellcheck disable=SC2086  # a list of names without spaces
	list=$({ echo "$interpreter" && closure "$server" $list; } | LC_ALL=C sort -u)
	{
		echo "# Every file of the sealed worker root. Made by tools/worker-root.sh --relock from worker-root.lock."
		for path in $list; do
			printf '%s  %s\n' "$(sha256sum <"$(source_of "$path")" | cut -d' ' -f1)" "$path"
		done
	} >"$1"
}

# Only packages that give a file to the root are pinned.
write_lock() { # output, file list, further comment
	local deb name version architecture path
	(cd "$work/all" && while read -r _ path; do source_of "$path"; done < <(entries "$2")) |
		sed "s|^$work/all/||" >"$work/sources"
	{
		echo "# Packages of the sealed worker root: name, version, architecture, SHA-256, size. Suite $SUITE."
		[ -z "$3" ] || echo "$3"
		for deb in "$work"/debs/*.deb; do
			# not grep -q: it would end before tar, and tar's SIGPIPE would count as failure
			if dpkg-deb --fsys-tarfile "$deb" | tar -t | sed 's|^\./||' | grep -xFf "$work/sources" >/dev/null; then
				name=$(dpkg-deb -f "$deb" Package)
				version=$(dpkg-deb -f "$deb" Version)
				architecture=$(dpkg-deb -f "$deb" Architecture)
				printf '%s %s %s %s %s\n' "$name" "$version" "$architecture" \
					"$(sha256sum <"$deb" | cut -d' ' -f1)" "$(stat -c %s "$deb")"
			fi
		done
	} >"$1"
}

# New lists from what the archive offers today; apt has checked index signature and package hashes.
relock() { # lock, file list, further comment in the lock
	local packages
	command -v readelf >/dev/null || die "readelf is missing; install binutils"
	# shellcheck disable=SC2046  # a list of names without spaces
	packages=$(apt_private apt-get -s --no-install-recommends install "$PACKAGE" | awk '$1 == "Inst" { print $2 }')
	[ -n "$packages" ] || die "the archive offers no $PACKAGE for $arch in suite $SUITE"
	remove_tree "$work/debs"
	# shellcheck disable=SC2086
	download $packages || die "download failed; check the network and run this again"
	unpack_all
	write_files "$work/new.files"
	write_lock "$work/new.lock" "$work/new.files" "$3"
	mkdir -p "$(dirname "$1")" "$(dirname "$2")"
	cp -- "$work/new.files" "$2"
	cp -- "$work/new.lock" "$1"
}

build_local() {
	cat >&2 <<EOF
worker-root: ************************************************************************************************
worker-root: A package pinned in image/worker-root.lock is not in the archive any more (testing has moved on).
worker-root: Going on with today's packages: SIGNED by the Debian archive, but NOT pinned by this source tree.
worker-root: Their hashes are kept in $local_lock.
worker-root: Maintainers: run 'tools/worker-root.sh --relock', run the tests, and commit image/worker-root.*.
worker-root: ************************************************************************************************
EOF
	relock "$local_lock" "$local_files" "# instead of $(seal "$lock" "$files")"
	assemble "$local_files"
	install_root "$local_lock" "$local_files"
}

build() {
	is_whole && return 0
	say "building $root from Debian $SUITE packages (about 11 MB to download)"
	open_archive
	if fetch_pinned; then
		unpack_all
		assemble "$files"
		install_root "$lock" "$files"
	else
		build_local
	fi
}

mkdir -p "$(dirname "$root")"
exec 9>"$root.lock"
flock 9
trap clean_up EXIT
case ${1:-} in
'') build ;;
--check) is_whole ;;
--relock)
	open_archive
	relock "$lock" "$files" ""
	say "wrote $lock and $files; run the tests before you commit them"
	;;
*)
	sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
	exit 2
	;;
esac
