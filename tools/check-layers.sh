#!/bin/sh
# Arrows only point down: base < wire < core < services; model stands on base alone; a service never includes
# another service's headers. Also: whatever includes a project header names it from src/.
set -eu
cd "$(dirname "$0")/.."
git grep -nE '^#include "' -- 'src/*.c' 'src/*.h' | awk -F: '
function allowed(layer, target) {
	if (target == layer) return 1
	if (layer == "base") return 0
	if (layer == "model") return target == "base"
	if (layer == "wire") return target == "base"
	if (layer == "core") return target == "base" || target == "wire"
	return target == "base" || target == "wire" || target == "core" || target == "model"
}
{
	split($1, part, "/")
	layer = part[2]
	include = $3
	sub(/^#include "/, "", include)
	sub(/".*/, "", include)
	if (include !~ /\//) {
		# generated headers sit beside the build of their own layer
		next
	}
	split(include, to, "/")
	if (!allowed(layer, to[1])) {
		printf "%s:%s: %s may not include \"%s\"\n", $1, $2, layer, include
		bad = 1
	}
}
END { exit bad }'
