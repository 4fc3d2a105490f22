#!/usr/bin/env python3
"""Writes the files next to it: small models and archives of refused formats, each with one thing that has to be named
(expect.txt says what) or with nothing bad at all. Standard library only; run it again after a change, the files are
committed. What needs a program that is not everywhere (7z, zstd, lz4) stands here as hexadecimal text."""
import bz2, gzip, io, json, lzma, os, struct, sys, tarfile, zipfile, zlib

HERE = os.path.dirname(os.path.abspath(__file__))
EXPECT = []
DATE = (2024, 1, 1, 0, 0, 0)


def write(name, data, *expected):
    """expected: (rule, words) pairs; none: nothing may be found but that the format is refused."""
    with open(os.path.join(HERE, "files", name), "wb") as f:
        f.write(data)
    for rule, words in expected or [("-", "")]:
        EXPECT.append("%s\t%s\t%s" % (name, rule, words))


# ---- pickles ----

EVIL = b"cos\nsystem\n(S'id'\ntR."
EVIL_SAYS = ("PICKLE-001", '"os.system" (GLOBAL) and calls it (REDUCE at 19): it runs programs')
PLAIN = b"\x80\x02}q\x00U\x01aK\x01s."


def text(s):
    return b"X" + struct.pack("<I", len(s)) + s.encode()


def dtype(code):
    return b"cnumpy\ndtype\n" + text(code) + b"\x89\x88\x87R(K\x03" + text("<") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"


def joblib_array(shape, code, data, padded=True, key="shape"):
    dims = b"(" + b"".join(b"M" + struct.pack("<H", n) for n in shape) + b"t"
    out = b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81}("
    out += text("subclass") + b"cnumpy\nndarray\n" + text(key) + dims + text("order") + text("C")
    out += text("dtype") + dtype(code) + text("allow_mmap") + b"\x88"
    if padded:
        out += text("numpy_array_alignment_bytes") + b"K\x10"
    out += b"ub"
    if padded:
        out += b"\x05" + b"\xff" * 5
    return out + data


RAW = bytes(range(256)) * 3  # holds every opcode
ARRAY = joblib_array((2, 96), "f4", RAW)


def pickles():
    write("joblib-plain.joblib", b"\x80\x03](" + ARRAY + joblib_array((96,), "f8", RAW, False) + b"e.")
    write("joblib-evil.joblib", b"\x80\x03](" + ARRAY + b"cos\nsystem\n" + text("id") + b"\x85Re.",
          ("PICKLE-001", '"os.system" (GLOBAL) and calls it'))
    inner = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n0" + EVIL
    write("joblib-objects.joblib", b"\x80\x03" + joblib_array((1,), "O", inner, False) + b".",
          ("PICKLE-001", '"os.system"'))
    write("joblib-unknown-length.joblib", b"\x80\x03" + joblib_array((2,), "f4", RAW, key="shapf") + b".",
          ("PICKLE-005", "An array of unknown length"))
    write("joblib-too-long.joblib", b"\x80\x03" + joblib_array((65535,), "f8", RAW) + b".",
          ("PICKLE-005", "reaches over the end of the file"))
    plain, evil = b"\x80\x03" + ARRAY + b".", b"\x80\x03" + joblib_array((2, 96), "f4", RAW)[:-1] + b"\xff0" + EVIL
    evil = b"\x80\x03" + ARRAY + b"0" + EVIL
    for name, pack in (("zlib", zlib.compress), ("gz", lambda d: gzip.compress(d, mtime=0)), ("bz2", bz2.compress),
                       ("xz", lzma.compress), ("lzma", lambda d: lzma.compress(d, lzma.FORMAT_ALONE))):
        write("joblib-%s-plain.joblib" % name, pack(plain))
        write("joblib-%s-evil.joblib" % name, pack(evil), ("PICKLE-001", 'In "(content)" at'),
              ("PICKLE-001", '"os.system" (GLOBAL) and calls it'))
    magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
    head = magic + b"\x80\x02M\xe9\x03." + b"\x80\x02}q\x00(X\x10\x00\x00\x00protocol_versionM\xe9\x03u."
    state = (b"\x80\x02ccollections\nOrderedDict\n)R(U\x01wctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\n"
             b"FloatStorage\nU\x010U\x03cpuK\x04NtQK\x00K\x04\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtRu.")
    keys = b"\x80\x02](U\x010e."
    storages = struct.pack("<q4f", 4, 1, 2, 3, 4)
    write("legacy-plain.pt", head + state + keys + storages, ("PICKLE-010", "raw numbers of tensors follow"), ("-", ""))
    write("legacy-evil.pt", head + b"\x80\x02" + EVIL + keys + storages, ("PICKLE-001", '"os.system" (GLOBAL)'))


# ---- zip: PyTorch, TorchScript, npz, Keras ----

def zipped(members, method=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        for name, data in members:
            info = zipfile.ZipInfo(name, DATE)
            info.compress_type = method
            info.external_attr = 0o644 << 16
            z.writestr(info, data)
    return out.getvalue()


def npy(descr, data):
    head = ("{'descr': %s, 'fortran_order': False, 'shape': (1,), }" % descr).encode()
    head += b" " * (63 - (len(head) + 10) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + data


def archives():
    pt = [("m/data.pkl", PLAIN), ("m/byteorder", b"little"), ("m/data/0", b"\0" * 16), ("m/version", b"3\n")]
    write("pytorch-plain.pt", zipped(pt))
    write("pytorch-evil-stored.pt", zipped([("m/data.pkl", b"\x80\x02" + EVIL)] + pt[1:]), ("PICKLE-001", '"os.system"'))
    write("pytorch-evil-deflated.pt", zipped([("m/data.pkl", EVIL)] + pt[1:], zipfile.ZIP_DEFLATED),
          ("PICKLE-001", 'In "m/data.pkl" at 0: Imports ' + EVIL_SAYS[1]), ("ARCHIVE-006", "4 members: 1 Python pickle"))
    write("pytorch-plain-deflated.pt", zipped(pt, zipfile.ZIP_DEFLATED))
    code = b"class M(Module):\n  def forward(self: __torch__.M,\n    x: Tensor) -> Tensor:\n    return torch.add(x, 1)\n"
    ts = [("m/data.pkl", PLAIN), ("m/code/__torch__.py.debug_pkl", PLAIN), ("m/constants.pkl", PLAIN)]
    write("torchscript.pt", zipped(ts + [("m/code/__torch__.py", code)], zipfile.ZIP_DEFLATED),
          ("TORCH-001", 'In "m/code/__torch__.py" at 0: This is TorchScript'))
    for name, call, says in (("save", "torch.save(x, \"/tmp/x\")", '"torch.save", which writes a file'),
                             ("from-file", "torch.from_file  (\"/etc/passwd\")", '"torch.from_file", which reads'),
                             ("custom-op", "ops.evil.run(x)", '"ops.evil.run", an operator from outside')):
        write("torchscript-%s.pt" % name,
              zipped(ts + [("m/code/__torch__.py", code + b"    y = " + call.encode() + b"\n")]), ("TORCH-002", says))
    write("numbers.npz", zipped([("w.npy", npy("'<f4'", b"\0" * 4))], zipfile.ZIP_DEFLATED))
    write("objects.npz", zipped([("w.npy", npy("'|O'", EVIL))], zipfile.ZIP_DEFLATED),
          ("NPY-001", 'In "w.npy" at 128'), ("PICKLE-001", 'In "w.npy" at 128: Imports "os.system"'))
    write("objects-stored.npz", zipped([("w.npy", npy("'|O'", EVIL))]), ("NPY-001", "Python objects"), ("PICKLE-001", '"os.system"'))

    def keras(*layers):
        config = {"module": "keras", "class_name": "Sequential",
                  "config": {"name": "sequential", "trainable": True, "layers": list(layers)}, "registered_name": None}
        return [("metadata.json", b'{"keras_version": "3.5.0"}'), ("config.json", json.dumps(config).encode()),
                ("model.weights.h5", b"\x89HDF\r\n\x1a\n" + b"\0" * 64)]
    dense = {"module": "keras.layers", "class_name": "Dense", "config": {"name": "dense", "units": 1, "activation": "relu"}}
    code = {"class_name": "__lambda__", "config": {"code": "4wEAAAA", "defaults": None, "closure": None}}
    lam = {"module": "keras.layers", "class_name": "Lambda", "config": {"name": "steal_it", "function": code, "arguments": {}},
           "registered_name": None}
    call = {"module": "os", "class_name": "function", "config": "system", "registered_name": "function"}
    other = {"class_name": "Popen", "config": {"args": "id"}, "module": "subprocess", "registered_name": None}
    custom = {"module": None, "class_name": "Layer", "config": {"name": "x"}, "registered_name": "Evil>Layer"}
    write("plain.keras", zipped(keras(dense)))
    write("lambda.keras", zipped(keras(dense, lam)), ("KERAS-001", 'The layer "steal_it" is a Lambda layer'),
          ("KERAS-001", "compiled Python code"))
    write("lambda-deflated.keras", zipped(keras(lam), zipfile.ZIP_DEFLATED), ("KERAS-001", 'In "config.json" at'))
    write("lambda-escaped.keras", zipped([(n, d.replace(b"Lambda", b"\\u004cambda")) for n, d in keras(lam)]),
          ("KERAS-001", 'The layer "steal_it" is a Lambda layer'))
    write("function.keras", zipped(keras({"module": "keras.layers", "class_name": "Activation", "config": {"activation": call}})),
          ("KERAS-002", 'calls the Python function "os.system"'))
    write("class.keras", zipped(keras(other)), ("KERAS-002", 'loads "subprocess.Popen"'))
    write("custom.keras", zipped(keras(custom)), ("KERAS-002", 'needs "Evil>Layer"'))
    h5 = b"\x89HDF\r\n\x1a\n" + RAW
    write("lambda.h5", h5 + keras(lam)[1][1] + RAW, ("KERAS-001", 'The layer "steal_it" is a Lambda layer'))
    write("plain.h5", h5 + keras(dense)[1][1] + RAW)

    # names and programs
    write("leads-up.zip", zipped([("../../x", b"x")]), ("ZIP-003", "upwards"), ("ARCHIVE-002", "upwards"))
    elf = b"\x7fELF\x02\x01\x01" + b"\0" * 9 + struct.pack("<HHI", 2, 62, 1) + b"\0" * 28 + struct.pack("<H", 64) + b"\0" * 10
    write("program.zip", zipped([("bin/tool", elf)], zipfile.ZIP_DEFLATED), ("ARCHIVE-001", 'In "bin/tool": This is a Linux program'))
    write("renamed.zip", zipped([("weights.safetensors", elf)], zipfile.ZIP_DEFLATED),
          ("KIND-002", 'In "weights.safetensors": The name ends in .safetensors'))
    write("script.zip", zipped([("setup.py", b"import os\n")]), ("ARCHIVE-001", "file of program code"))
    broken = bytearray(zipped([("m/data.pkl", EVIL)], zipfile.ZIP_DEFLATED))
    write("cut.zip", bytes(broken[:40]), ("ZIP-004", "over the end"), ("ARCHIVE-003", "can't be read"))
    zeros = zipped([("zeros", b"\0" * (80 << 20))], zipfile.ZIP_DEFLATED)
    write("bomb.zip.gz", gzip.compress(zeros, mtime=0), ("ARCHIVE-004", "Few bytes of the archive become very many"))

    # nested
    deep = zipped([("data.pkl", EVIL)], zipfile.ZIP_DEFLATED)
    write("nested.tar.gz", gzip.compress(tarred([("a/b.zip", deep, {})]), mtime=0),
          ("PICKLE-001", 'b.zip!data.pkl" at 0: Imports "os.system" (GLOBAL)'))
    for _ in range(6):
        deep = gzip.compress(deep, mtime=0)
    write("too-deep.gz", deep, ("ARCHIVE-004", "More than 4 archives lie within each other"))


def tarred(members, form=tarfile.GNU_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as t:
        for name, data, more in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for k, v in more.items():
                setattr(info, k, v)
            t.addfile(info, io.BytesIO(data))
    full = out.getvalue().rstrip(b"\0")
    return full + b"\0" * (-len(full) % 512 + 1024)  # no more zeros than have to be


def tars():
    write("plain.tar", tarred([("a.txt", b"hello\n", {}), ("dir", b"", {"type": tarfile.DIRTYPE})]))
    write("plain-pax.tar", tarred([("\u00e4" * 80 + ".txt", b"hello\n", {})], tarfile.PAX_FORMAT))
    write("pytorch-old.tar", tarred([("pickle", EVIL, {}), ("storages", PLAIN, {}), ("sys_info", PLAIN, {})]),
          ("PICKLE-001", 'In "pickle" at 0: Imports "os.system"'), ("ARCHIVE-006", "3 members: 3 Python pickle"))
    for name, more, says in (("absolute", {}, "absolute"), ("link", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, "symbolic link"),
                             ("hard", {"type": tarfile.LNKTYPE, "linkname": "a"}, "hard link"),
                             ("device", {"type": tarfile.CHRTYPE}, "device")):
        write("%s.tar" % name, tarred([("/etc/x" if name == "absolute" else "x", b"", more)]), ("ARCHIVE-002", says))
    write("behind.tar", tarred([("a.txt", b"hello\n", {})]) + b"hidden", ("ARCHIVE-003", "bytes follow the end of the archive"))
    write("behind.gz", gzip.compress(b"hello\n", mtime=0) + b"hidden", ("ARCHIVE-003", "bytes follow the end of the archive"))
    cut = tarred([("a.txt", b"hello\n" * 200, {})])
    write("cut.tar", cut[:1200], ("ARCHIVE-003", "can't be read"))


# ---- TensorFlow ----

def field(n, data):
    out, size = bytes([n << 3 | 2]), len(data)
    while size > 0x7f:
        out, size = out + bytes([size & 0x7f | 0x80]), size >> 7
    return out + bytes([size]) + data


def node(name, op):
    return field(1, field(1, name.encode()) + field(2, op.encode()) + field(5, field(1, b"T") + field(2, b"\x30\x01")))


def saved_model(*graph):
    return b"\x08\x01" + field(2, field(1, field(5, b"2.15.0")) + field(2, b"".join(graph)))


def tensorflow():
    harmless = node("x", "Placeholder") + node("y", "MatMul")
    write("plain-saved_model.pb", saved_model(harmless))
    write("frozen.pb", harmless)
    write("frozen-read.pb", harmless + node("steal", "ReadFile"), ("TF-001", 'The node "steal" is a "ReadFile", which reads files'))
    for op, says in (("WriteFile", "writes"), ("PyFunc", "Python"), ("EagerPyFunc", "Python"), ("MatchingFiles", "lists"),
                     ("MyShellExecute", "by its name to run commands"), ("Evil>Op", "outside of TensorFlow")):
        name = "op-%s.pb" % op.lower().replace(">", "-")
        write(name, saved_model(harmless, node("n/a", op)), ("TF-001", '"n/a" is a "%s", which' % op), ("TF-001", says))
    function = field(2, field(1, field(1, field(1, b"f")) + field(3, node("in_f", "ReadFile")[2:])))
    write("function.pb", saved_model(harmless, function), ("TF-001", '"in_f" is a "ReadFile"'))
    write("cut.pb", saved_model(harmless)[:-3], ("TF-002", "over the end of its message"))
    layer = {"class_name": "Lambda", "config": {"name": "l", "function_type": "lambda"}}
    write("keras_metadata.pb", saved_model(harmless) + b"\x1a" + field(3, json.dumps(layer).encode())[1:],
          ("KERAS-001", 'The layer "l" is a Lambda layer'))


def tflite(custom):
    """A FlatBuffer with one operator code."""
    code = custom.encode()
    root = struct.pack("<I", 20) + b"TFL3" + struct.pack("<HHHH", 8, 8, 0, 4) + b"\0" * 4  # 8: vtable of the model
    root += struct.pack("<iI", 12, 4)  # 20: the model, 24: points to 28
    root += struct.pack("<II", 1, 12)  # 28: one operator, 32: points to 44
    root += struct.pack("<HHHH", 8, 8, 0, 4 if code else 0)  # 36: vtable of the operator
    root += struct.pack("<iI", 8, 4)  # 44: the operator, 48: points to 52
    return root + struct.pack("<I", len(code)) + code + b"\0"


def onnx_tensor(dims, dtype, raw):
    body = b"".join(b"\x08" + bytes([d]) for d in dims) + b"\x10" + bytes([dtype]) + field(9, raw)
    return b"\x08\x07\x12\x01x" + field(7, field(5, body))


def others():
    write("plain.tflite", tflite(""))
    write("custom.tflite", tflite("FlexReadFile"), ("TFLITE-001", 'custom operator "FlexReadFile"'))
    write("out.tflite", tflite("x").replace(struct.pack("<II", 1, 12), struct.pack("<II", 1, 99999)), ("TFLITE-002", "leads out"))
    write("data.onnx", onnx_tensor((2, 3), 1, b"\0" * 24))
    write("data-int4.onnx", onnx_tensor((3,), 22, b"\0" * 2))
    write("data-short.onnx", onnx_tensor((2, 3), 1, b"\0" * 20), ("ONNX-005", "6 elements of type 1 has 20 bytes"))
    packed = b"\x08\x07\x12\x01x" + field(7, field(5, field(1, b"\x02\x83\x00") + b"\x10\x01" + field(9, b"\0" * 4)))
    write("data-packed.onnx", packed, ("ONNX-005", "6 elements of type 1 has 4 bytes"))
    external = field(13, field(1, b"location") + field(2, b"w.bin")) + field(13, field(1, b"length") + field(2, b"8"))
    write("data-external.onnx", b"\x08\x07\x12\x01x" + field(7, field(5, b"\x08\x03\x10\x01" + external)),
          ("ONNX-005", "3 elements of type 1 takes 8 bytes"))
    gguf = b"GGUF" + struct.pack("<IQQ", 3, 2, 5) + b"\0" * 100
    llamafile = b"MZqFpD='\n" + b"\0" * 119 + gguf + zipped([("m.gguf", gguf)])
    write("model.llamafile", llamafile, ("PROGRAM-001", "GGUF model of 2 tensors begins"), ("KIND-003", "ZIP archive ends here"))
    elf = b"\x7fELF\x02\x01\x01" + b"\0" * 9 + struct.pack("<HHI", 2, 62, 1) + b"\0" * 100
    write("elf.bin", elf)
    write("elf-with-zip", elf + zipped([("x", b"y")]), ("KIND-003", "ZIP archive ends here"))


# EVIL as m/data.pkl (7z) or alone; written with libarchive 3.6, zstd 1.5 and lz4 1.9.
HEX = {
    "evil-store.7z":
        "377abcaf271c0003b21a8c0f15000000000000004c0000000000000041c86bf9636f730a73797374656d0a2853276964270a"
        "74522e0104060001091500070b01000101000c1500080a01be45b827000005011117006d002f0064006100740061002e0070"
        "006b006c000000140a010000c08976453cda01150601002080a4810000",
    "evil-lzma1.7z":
        "377abcaf271c00031d69540c21000000000000005400000000000000d5aaa42100319bcac6b27c65dfdf91599fb1d67e2d71"
        "6a0571564cf2f32897ffff98ce00000104060001092100070b01000123030101055d000080000c1500080a01be45b8270000"
        "05011117006d002f0064006100740061002e0070006b006c000000140a010000c08976453cda01150601002080a4810000",
    "evil-lzma2.7z":
        "377abcaf271c0003839639e919000000000000004e0000000000000046f90161010014636f730a73797374656d0a28532769"
        "64270a74522e000104060001091900070b010001212101160c1500080a01be45b827000005011117006d002f006400610074"
        "0061002e0070006b006c000000140a010000c08976453cda01150601002080a4810000",
    "evil-ppmd.7z":
        "377abcaf271c00030bb7c7061900000000000000540000000000000020296fbf00630e3265ff4eef5009e2010dff1cc20501"
        "0ed0e1ed0e82000104060001091900070b010001230304010506000000010c1500080a01be45b827000005011117006d002f"
        "0064006100740061002e0070006b006c000000140a010000c08976453cda01150601002080a4810000",
    "evil.zst":
        "28b52ffd2415a90000636f730a73797374656d0a2853276964270a74522e33d761ef",
    "evil.lz4":
        "04224d186440a715000080636f730a73797374656d0a2853276964270a74522e0000000078565c4c",
}


def hexes():
    for name, text in sorted(HEX.items()):
        write(name, bytes.fromhex(text), ("PICKLE-001", '"os.system" (GLOBAL) and calls it (REDUCE at 19)'))


def main():
    os.makedirs(os.path.join(HERE, "files"), exist_ok=True)
    for name in os.listdir(os.path.join(HERE, "files")):
        os.unlink(os.path.join(HERE, "files", name))
    for part in (pickles, archives, tars, tensorflow, others, hexes):
        part()
    with open(os.path.join(HERE, "expect.txt"), "w") as f:
        f.write("# file, rule, words of its message; \"-\": nothing is found but that the format is refused\n")
        f.write("\n".join(EXPECT) + "\n")


main()
