#!/bin/sh
# Time to the first word of a chat through inference, against the bare llama-server.
# usage: bench/chat.sh BUILD   (SECAI_BENCH_MODEL: another model than the demo)
set -eu
build=${1:-build}
root=${SECAI_WORKER_ROOT:-$HOME/.cache/secure-ai/worker-root}
model=${SECAI_BENCH_MODEL:-$build/stage/usr/share/secure-ai/demo/pebble.gguf}
if [ ! -d "$root" ] || [ ! -f "$model" ]; then
	echo "NOT MEASURED: no sealed worker root ($root) or no model ($model)"
	exit 0
fi
exec "$build/bench/bench_chat" "$root" "$model"
