"""safetensors_dump LIBRARY FOLDER COUNT: reads FOLDER/0 to FOLDER/COUNT-1 with safetensors' own reader (tools/reference-readers.sh)
and prints, between "file N" and "end", what it understood, sorted, or "refused":
    metadata KEY VALUE                        (hex, UTF-8)
    tensor NAME DTYPE [SHAPE] BYTES CRC-32    (NAME in hex; of the tensor's data)
"""
import importlib.machinery
import importlib.util
import sys
import types
import zlib


def load(path):
    sys.modules.setdefault("numpy", types.ModuleType("numpy"))  # asked for when a file is opened, used for tensors only
    loader = importlib.machinery.ExtensionFileLoader("_safetensors_rust", path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("_safetensors_rust", loader))
    loader.exec_module(module)
    return module


def reading(reader, path):
    with open(path, "rb") as file:
        tensors = reader.deserialize(file.read())
    lines = []
    for name, tensor in tensors:
        shape = ",".join(str(n) for n in tensor["shape"])
        data = bytes(tensor["data"])
        lines.append("tensor %s %s [%s] %d %08x" %
                     (name.encode().hex(), tensor["dtype"], shape, len(data), zlib.crc32(data)))
    with reader.safe_open(path, framework="np") as file:
        for key, value in (file.metadata() or {}).items():
            lines.append("metadata %s %s" % (key.encode().hex(), value.encode().hex()))
    return sorted(lines)


def main():
    reader = load(sys.argv[1])
    for i in range(int(sys.argv[3])):
        print("file %d" % i)
        try:
            lines = reading(reader, "%s/%d" % (sys.argv[2], i))
        except Exception:  # its own error class, and memory
            lines = ["refused"]
        print("\n".join(lines + ["end"]) if lines else "end")


main()
