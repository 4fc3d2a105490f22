#!/bin/sh
# Stages 1 to 5 over a folder of 16 safetensors shards (BF16) with their index against `openssl dgst -sha256` of the same shards, in turns,
# warm cache. A folder is read by two workers, and its files are independent streams, so both cores hash.
# usage: bench/folder.sh BUILD   (SECAI_BENCH_BYTES: of all shards together, default 1 GiB; SECAI_BENCH_RUNS, default 5)
set -eu
build=$(cd "${1:-build}" && pwd)
stage=$build/stage
dir=$(mktemp -d "${TMPDIR:-/tmp}/secai-folder-bench-XXXXXX")
trap 'rm -rf -- "$dir"' EXIT
trap 'exit 130' INT TERM
if ! command -v openssl >/dev/null || ! command -v python3 >/dev/null; then
	echo "NOT MEASURED: openssl or python3 is not installed"
	exit 0
fi
export dir build stage
python3 - "${SECAI_BENCH_BYTES:-1073741824}" "${SECAI_BENCH_RUNS:-5}" <<'PYTHON'
import json, os, statistics, subprocess, sys, time

SHARDS, TENSORS = 16, 4
ROWS_OF = 4096
folder, stage = os.environ["dir"] + "/model", os.environ["stage"]
size, runs = int(sys.argv[1]), int(sys.argv[2])
rows = size // SHARDS // TENSORS // (2 * ROWS_OF)
# high bytes of weights of ordinary size: about 0.002 to 0.03, both signs
high = bytes((0x3B, 0x3C, 0xBB, 0xBC)[i % 4] for i in range(256))


def weights(n):
    data = bytearray(os.urandom(n))
    data[1::2] = bytes(data[1::2]).translate(high)
    return data


def shard(i):
    names = ["model.layers.%d.%s.weight" % (i, part) for part in ("q_proj", "k_proj", "v_proj", "o_proj")]
    n = rows * ROWS_OF * 2
    header = json.dumps({name: {"dtype": "BF16", "shape": [rows, ROWS_OF], "data_offsets": [k * n, (k + 1) * n]}
                         for k, name in enumerate(names)}).encode()
    header += b" " * (-len(header) % 8)
    path = "model-%05d-of-%05d.safetensors" % (i + 1, SHARDS)
    with open(os.path.join(folder, path), "wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for _ in names:
            file.write(weights(n))
    return {name: path for name in names}, TENSORS * n


def seconds(command):
    start = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0:
        sys.exit("folder.sh: %s failed: %s" % (command[0], (done.stdout + done.stderr)[-2000:].decode(errors="replace")))
    return time.monotonic() - start


def main():
    os.mkdir(folder)
    index, total = {}, 0
    for i in range(SHARDS):
        names, n = shard(i)
        index.update(names)
        total += n
    with open(folder + "/model.safetensors.index.json", "w") as file:
        json.dump({"metadata": {"total_size": total}, "weight_map": index}, file)
    with open(folder + "/config.json", "w") as file:
        json.dump({"model_type": "llama", "torch_dtype": "bfloat16"}, file)
    shards = sorted(folder + "/" + name for name in set(index.values()))
    ours = [stage + "/usr/libexec/secure-ai/quarantine", "--scan", "--stages", "1-5", "--config", stage + "/etc/secure-ai",
            "--share", stage + "/usr/share/secure-ai", folder]
    peer = ["openssl", "dgst", "-sha256"] + shards
    seconds(peer)
    a, b = [], []
    for i in range(runs):
        a.append(seconds(peer))
        b.append(seconds(ours))
        print("  run %d: openssl %.3f s, stages 1-5 %.3f s, ratio %.2f" % (i + 1, a[-1], b[-1], b[-1] / a[-1]))
    x, y = statistics.median(a), statistics.median(b)
    print("folder of %d shards, %d MiB: stages 1-5 against openssl dgst -sha256: ratio %.2f by medians (%.3f s / %.3f s), "
          "%.2f by the best runs (target: below 1)" % (SHARDS, total >> 20, y / x, y, x, min(b) / min(a)))


main()
PYTHON
