#!/bin/bash
# Memory of all control programs together: proportional set size (each shared page counted once), after a start with the
# shipped configuration. The sealed workers hold the models and are not counted.
# usage: bench/memory.sh BUILD
set -euo pipefail
build=$(cd "${1:-build}" && pwd)
target_kib=$((80 * 1024))
stage=$build/stage
root=$(mktemp -d /tmp/secai-memory-XXXXXX)
up=

stop() {
	if [ -n "$up" ]; then
		"$stage/usr/bin/securectl" down --state-root "$root" >/dev/null 2>&1 || kill "$up" 2>/dev/null || true
		wait "$up" 2>/dev/null || true
	fi
	rm -rf -- "$root"
}
trap stop EXIT

if [ ! -x "$stage/usr/bin/securectl" ]; then
	echo "NOT MEASURED: $stage/usr/bin/securectl is not built"
	exit 0
fi

# Ours are the children of the supervisor, all the way down, as long as they are programs of this build.
programs() {
	local pid=$1 child
	case $(readlink "/proc/$pid/exe" 2>/dev/null) in
	"$stage"/*) echo "$pid" ;;
	esac
	cat "/proc/$pid/task/"*/children 2>/dev/null | tr ' ' '\n' | while read -r child; do
		[ -z "$child" ] || programs "$child"
	done
}

pss_kib() { awk '$1 == "Pss:" { print $2 }' "/proc/$1/smaps_rollup" 2>/dev/null || echo 0; }

"$stage/usr/bin/securectl" up --state-root "$root" --port 0 --no-tcp >"$root.log" 2>&1 </dev/null &
up=$!
for _ in $(seq 100); do
	sleep 0.2
	if [ -S "$root/run/ui.sock" ] && [ "$(programs "$up" | wc -l)" -ge 6 ]; then
		break
	fi
	if ! kill -0 "$up" 2>/dev/null; then
		echo "NOT MEASURED: the system did not start:"
		tail -20 "$root.log"
		up=
		rm -f "$root.log"
		exit 1
	fi
done
sleep 2 # until each has said that it is ready and come to rest
rm -f "$root.log"

total=0
for pid in $(programs "$up"); do
	kib=$(pss_kib "$pid")
	total=$((total + ${kib:-0}))
	printf '%8d KiB  %s\n' "${kib:-0}" "$(tr '\0' ' ' <"/proc/$pid/cmdline" | awk '{ n = split($1, a, "/"); print a[n] }')"
done
printf '%8d KiB  together (target: below %d KiB), ratio %s\n' "$total" "$target_kib" \
	"$(awk -v a="$total" -v b="$target_kib" 'BEGIN { printf "%.2f", a / b }')"
[ "$total" -gt 0 ]
