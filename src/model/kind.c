#include "model/kind.h"

#include <strings.h>

#include "base/num.h"
#include "base/text.h"
#include "model/limits.h"
#include "model/pickle.h"

static const struct {
        const char *name;
        const char *title;
        const char *why; /* it is refused */
} kinds[MODEL_KIND_MAX] = {
        [MODEL_KIND_UNKNOWN] = {"unknown", "unknown format",
                                "This is no format that is known here. Only GGUF and safetensors "
                                "models are accepted."},
        [MODEL_KIND_EMPTY] = {"empty", "empty file", "The file is empty."},
        [MODEL_KIND_GGUF] = {"gguf", "GGUF model", ""},
        [MODEL_KIND_SAFETENSORS] = {"safetensors", "safetensors model", ""},
        [MODEL_KIND_GGML_LEGACY] = {"ggml-legacy", "old GGML model",
                                    "This is a model in the old GGML format (before GGUF), "
                                    "which current programs no longer read. Convert it to GGUF."},
        [MODEL_KIND_PICKLE] = {"pickle", "Python pickle",
                               "This is a Python pickle. Loading a pickle runs code from inside "
                               "the file, so it is never accepted. Get the model as safetensors or GGUF."},
        [MODEL_KIND_ZIP] = {"zip", "ZIP archive",
                            "This is a ZIP archive, not a model. Unpack it and import the model file "
                            "in it."},
        [MODEL_KIND_PYTORCH_ZIP] =
                {"pytorch", "PyTorch checkpoint",
                 "This is a PyTorch checkpoint: an archive with a Python "
                 "pickle, and loading a pickle runs code from inside the file. Get the model as "
                 "safetensors or GGUF."},
        [MODEL_KIND_NUMPY] = {"numpy", "NumPy array",
                              "This is a NumPy array file; it can hold Python objects that run code "
                              "when they are loaded. Get the model as safetensors or GGUF."},
        [MODEL_KIND_ONNX] = {"onnx", "ONNX model",
                             "This looks like an ONNX model, which is not accepted: it can refer to "
                             "other files and to custom code. Get the model as GGUF or safetensors."},
        [MODEL_KIND_HDF5] = {"hdf5", "HDF5 (Keras) file",
                             "This is an HDF5 file, as Keras writes it; such models can hold "
                             "Python code. Get the model as safetensors or GGUF."},
        [MODEL_KIND_TFLITE] = {"tflite", "TensorFlow Lite model",
                               "This is a TensorFlow Lite model, which is not accepted. "
                               "Get the model as GGUF or safetensors."},
        [MODEL_KIND_ELF] = {"elf", "Linux program",
                            "This is a program for Linux (ELF), not a model. Don't run it."},
        [MODEL_KIND_PE] = {"pe", "Windows program",
                           "This is a program for Windows, not a model. Don't run it."},
        [MODEL_KIND_MACHO] = {"macho", "macOS program",
                              "This is a program for macOS, not a model. Don't run it."},
        [MODEL_KIND_SCRIPT] = {"script", "script", "This is a script, not a model. Don't run it."},
        [MODEL_KIND_TAR] = {"tar", "tar archive",
                            "This is a tar archive, not a model. Unpack it and import the model file "
                            "in it."},
        [MODEL_KIND_GZIP] = {"gzip", "gzip-compressed file",
                             "This is a gzip-compressed file. Unpack it and import the model "
                             "in it."},
        [MODEL_KIND_BZIP2] = {"bzip2", "bzip2-compressed file",
                              "This is a bzip2-compressed file. Unpack it and import the "
                              "model in it."},
        [MODEL_KIND_XZ] = {"xz", "xz-compressed file",
                           "This is an xz-compressed file. Unpack it and import the model in it."},
        [MODEL_KIND_ZSTD] = {"zstd", "zstd-compressed file",
                             "This is a zstd-compressed file. Unpack it and import the model "
                             "in it."},
        [MODEL_KIND_7Z] = {"7z", "7-Zip archive",
                           "This is a 7-Zip archive. Unpack it and import the model file in it."},
        [MODEL_KIND_PDF] = {"pdf", "PDF document", "This is a PDF document, not a model."},
        [MODEL_KIND_HTML] = {"html", "web page",
                             "This is a web page, not a model: perhaps the download needed a login. "
                             "Download the file again."},
        [MODEL_KIND_JSON] = {"json", "JSON text",
                             "This is a JSON text, not a model: perhaps the configuration file that "
                             "belongs to one. Import the .gguf or .safetensors file."},
        [MODEL_KIND_TEXT] = {"text", "plain text", "This is plain text, not a model."},
        [MODEL_KIND_IMAGE] = {"image", "picture", "This is a picture, not a model."},
        [MODEL_KIND_RAR] = {"rar", "RAR archive",
                            "This is a RAR archive. Unpack it and import the model file in it."},
        [MODEL_KIND_LFS_POINTER] =
                {"lfs-pointer", "Git LFS pointer",
                 "This is a Git LFS pointer: a note of a few lines that "
                 "stands for the model, not the model. Download the file itself (git lfs pull)."},
        [MODEL_KIND_SENTENCEPIECE] =
                {"sentencepiece", "SentencePiece vocabulary",
                 "This is the vocabulary of a model, not a model. Import the folder that "
                 "it belongs to."},
        [MODEL_KIND_NUMBERS] = {"numbers", "plain numbers",
                                "These are numbers without a header, not a model."},
        [MODEL_KIND_GGUF_SET] = {"gguf-set", "GGUF model in a folder", ""},
        [MODEL_KIND_SAFETENSORS_SET] = {"safetensors-set", "safetensors model in a folder", ""},
        [MODEL_KIND_DIFFUSION] = {"diffusion", "image model in a folder", ""},
        [MODEL_KIND_FOLDER] = {"folder", "folder", "This folder is no model that is known here."},
        [MODEL_KIND_LZ4] = {"lz4", "lz4-compressed file",
                            "This is an lz4-compressed file. Unpack it and import the model in it."},
        [MODEL_KIND_LZMA] = {"lzma", "lzma-compressed file",
                             "This is an lzma-compressed file. Unpack it and import the model in it."},
        [MODEL_KIND_ZLIB] = {"zlib", "zlib-compressed file",
                             "This is a zlib-compressed file, as joblib writes: what comes out is most "
                             "likely a pickle. Get the model as safetensors or GGUF."},
        [MODEL_KIND_SAVED_MODEL] = {"saved-model", "TensorFlow SavedModel",
                                    "This is a TensorFlow SavedModel: a program of operators, some of which "
                                    "read and write files. Get the model as GGUF or safetensors."},
        [MODEL_KIND_GRAPH_DEF] = {"graph-def", "frozen TensorFlow graph",
                                  "This is a frozen TensorFlow graph: a program of operators, some of which "
                                  "read and write files. Get the model as GGUF or safetensors."},
        [MODEL_KIND_KERAS_ZIP] = {"keras", "Keras 3 model",
                                  "This is a Keras 3 model. Its description can name Python code that runs "
                                  "when it is loaded. Get the model as GGUF or safetensors."},
        [MODEL_KIND_PYTORCH_LEGACY] =
                {"pytorch-legacy", "PyTorch checkpoint (old form)",
                 "This is a PyTorch checkpoint in its old form: several Python pickles in a row, and loading "
                 "a pickle runs code from inside the file. Get the model as safetensors or GGUF."},
        [MODEL_KIND_LLAMAFILE] = {"llamafile", "llamafile (a program with a model in it)",
                                  "This is a program for several systems at once, as llamafile makes them, "
                                  "perhaps with a model inside. Get the model as GGUF; don't run this."},
};

const char *model_kind_name(enum model_kind k) {
        return kinds[(unsigned)k < MODEL_KIND_MAX ? k : MODEL_KIND_UNKNOWN].name;
}

const char *model_kind_title(enum model_kind k) {
        return kinds[(unsigned)k < MODEL_KIND_MAX ? k : MODEL_KIND_UNKNOWN].title;
}

static const struct {
        size_t at;
        struct view magic;
        enum model_kind kind;
} magics[] = {
        {0, VIEW_INIT("GGUF"), MODEL_KIND_GGUF},
        {0, VIEW_INIT("FUGG"), MODEL_KIND_GGUF},
        {0, VIEW_INIT("GGML"), MODEL_KIND_GGML_LEGACY},
        {0, VIEW_INIT("GGMF"), MODEL_KIND_GGML_LEGACY},
        {0, VIEW_INIT("GGJT"), MODEL_KIND_GGML_LEGACY},
        {0, VIEW_INIT("lmgg"), MODEL_KIND_GGML_LEGACY},
        {0, VIEW_INIT("fmgg"), MODEL_KIND_GGML_LEGACY},
        {0, VIEW_INIT("tjgg"), MODEL_KIND_GGML_LEGACY},
        {0, VIEW_INIT("algg"), MODEL_KIND_GGML_LEGACY},
        {0, VIEW_INIT("MZqFpD"), MODEL_KIND_LLAMAFILE}, /* actually portable executables */
        {0, VIEW_INIT("jartsr='"), MODEL_KIND_LLAMAFILE},
        {0, VIEW_INIT("APEDBG='"), MODEL_KIND_LLAMAFILE},
        {0, VIEW_INIT("\177ELF"), MODEL_KIND_ELF},
        {0, VIEW_INIT("\xfe\xed\xfa\xce"), MODEL_KIND_MACHO},
        {0, VIEW_INIT("\xfe\xed\xfa\xcf"), MODEL_KIND_MACHO},
        {0, VIEW_INIT("\xce\xfa\xed\xfe"), MODEL_KIND_MACHO},
        {0, VIEW_INIT("\xcf\xfa\xed\xfe"), MODEL_KIND_MACHO},
        {0, VIEW_INIT("\xca\xfe\xba\xbe"), MODEL_KIND_MACHO},
        {0, VIEW_INIT("\x93NUMPY"), MODEL_KIND_NUMPY},
        {0, VIEW_INIT("\x89HDF\r\n\x1a\n"), MODEL_KIND_HDF5},
        {4, VIEW_INIT("TFL3"), MODEL_KIND_TFLITE},
        {0, VIEW_INIT("7z\xbc\xaf\x27\x1c"), MODEL_KIND_7Z},
        {0, VIEW_INIT("Rar!\x1a\x07"), MODEL_KIND_RAR},
        {0,
         VIEW_INIT("\xfd"
                   "7zXZ\0"),
         MODEL_KIND_XZ},
        {0, VIEW_INIT("\x28\xb5\x2f\xfd"), MODEL_KIND_ZSTD},
        {0, VIEW_INIT("\x04\x22\x4d\x18"), MODEL_KIND_LZ4},
        {0, VIEW_INIT("\x02\x21\x4c\x18"), MODEL_KIND_LZ4},
        {0, VIEW_INIT("\x5d\0\0\x80\0"), MODEL_KIND_LZMA}, /* joblib and lzma -6; others below */
        {0, VIEW_INIT("BZh"), MODEL_KIND_BZIP2},
        {0, VIEW_INIT("\x1f\x8b\x08"), MODEL_KIND_GZIP},
        {0, VIEW_INIT("%PDF-"), MODEL_KIND_PDF},
        {0, VIEW_INIT("\x89PNG\r\n\x1a\n"), MODEL_KIND_IMAGE},
        {0, VIEW_INIT("\xff\xd8\xff"), MODEL_KIND_IMAGE},
        {0, VIEW_INIT("GIF8"), MODEL_KIND_IMAGE},
        {0, VIEW_INIT("II*\0"), MODEL_KIND_IMAGE},
        {0, VIEW_INIT("MM\0*"), MODEL_KIND_IMAGE},
        {8, VIEW_INIT("WEBP"), MODEL_KIND_IMAGE},
        {0, VIEW_INIT("version https://git-lfs"), MODEL_KIND_LFS_POINTER},
        {0, VIEW_INIT("#!"), MODEL_KIND_SCRIPT},
        {257, VIEW_INIT("ustar"), MODEL_KIND_TAR},
        {0, VIEW_INIT("MZ"), MODEL_KIND_PE},
};

static bool has_at(struct view v, size_t at, struct view magic) {
        return view_starts(view_sub(v, at, SIZE_MAX), magic);
}

/* Also headers that break a rule of the format, so that the rule can be named. */
static bool looks_like_safetensors(struct view head) {
        static const char first[] = "{ \t\r\n\xef";

        return head.n >= 9 && load_le64(head.p) < UINT64_C(1) << 40 && head.p[8] && strchr(first, head.p[8]);
}

static enum model_kind zip_kind(struct view head) {
        if (!has_at(head, 0, VIEW("PK\3\4")) && !has_at(head, 0, VIEW("PK\5\6")) &&
            !has_at(head, 0, VIEW("PK\7\10")))
                return MODEL_KIND_UNKNOWN;
        if (view_find(head, VIEW("data.pkl")) != SIZE_MAX)
                return MODEL_KIND_PYTORCH_ZIP;
        return view_find(head, VIEW("metadata.json")) != SIZE_MAX &&
                               view_find(head, VIEW("config.json")) != SIZE_MAX
                       ? MODEL_KIND_KERAS_ZIP
                       : MODEL_KIND_ZIP;
}

/* The number that torch.save wrote in front, as a pickle of protocol 2 (torch/serialization.py, MAGIC_NUMBER). */
static bool looks_like_legacy_pytorch(struct view head) {
        return has_at(head, 0, VIEW("\x80\2\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."));
}

/* A protocol mark, or opcodes that lead to an import or a proper end. */
static bool looks_like_pickle(struct view head) {
        struct pickle p;

        if (head.n >= 2 && (uint8_t)head.p[0] == 0x80 && head.p[1] >= 1 && head.p[1] <= 5)
                return true;
        pickle_init(&p);
        pickle_feed(&p, head);
        return p.state == PICKLE_IMPORTS || (p.state == PICKLE_STOPPED && p.steps > 2);
}

/* A protobuf length at `*at`; false when there is none or it is cut off. */
static bool take_length(struct view v, size_t *at, uint64_t *ret) {
        *ret = 0;
        for (unsigned shift = 0; shift < 63 && *at < v.n; shift += 7) {
                uint8_t c = (uint8_t)v.p[(*at)++];

                *ret |= (uint64_t)(c & 0x7f) << shift;
                if (!(c & 0x80))
                        return true;
        }
        return false;
}

/* SavedModel: schema version 1, then a graph with its description (saved_model.proto). */
static bool looks_like_saved_model(struct view head) {
        size_t at = 3;
        uint64_t n;

        return has_at(head, 0, VIEW("\x08\1\x12")) && take_length(head, &at, &n) && at < head.n &&
               (head.p[at] == 0x0a || head.p[at] == 0x12);
}

/* A text field of at most 255 bytes that are all printable; `*at` moves behind it. */
static bool take_text(struct view head, char tag, size_t *at) {
        uint64_t n;

        if (*at >= head.n || head.p[(*at)++] != tag || !take_length(head, at, &n) || n == 0 || n > 255 ||
            n > head.n - *at)
                return false;
        for (size_t i = 0; i < n; i++)
                if (head.p[*at + i] <= ' ' || head.p[*at + i] > '~')
                        return false;
        *at += (size_t)n;
        return true;
}

/* GraphDef: a node with its name and its operator (graph.proto, node_def.proto). */
static bool looks_like_graph_def(struct view head) {
        size_t at = 1;
        uint64_t n;

        return head.n > 4 && head.p[0] == 0x0a && take_length(head, &at, &n) && n >= 4 &&
               take_text(head, 0x0a, &at) && take_text(head, 0x12, &at);
}

/* A zlib stream of the usual window (RFC 1950): too weak a mark to be asked before any other. */
static bool looks_like_zlib(struct view head) {
        return head.n >= 8 && head.p[0] == 0x78 && load_le16(head.p) != 0 &&
               (0x7800u + (uint8_t)head.p[1]) % 31 == 0 && !((uint8_t)head.p[1] & 0x20) &&
               ((uint8_t)head.p[2] >> 1 & 3) != 3;
}

/* lzma of any dictionary size that its writers choose, length unknown or below 2^40 (lzma-file-format.txt). */
static bool looks_like_lzma(struct view head) {
        uint64_t size;
        uint32_t dictionary;

        if (head.n < 14 || head.p[0] != 0x5d)
                return false;
        dictionary = load_le32(head.p + 1);
        size = load_le64(head.p + 5);
        return dictionary >= 4096 && (dictionary & (dictionary - 1)) == 0 && head.p[13] == 0 &&
               (size == UINT64_MAX || size < UINT64_C(1) << 40);
}

/* ModelProto: ir_version, then producer_name, domain, graph or opset_import (onnx.proto). */
static bool looks_like_onnx(struct view head) {
        return head.n >= 4 && head.p[0] == 0x08 && head.p[1] >= 1 && head.p[1] <= 32 && head.p[2] &&
               strchr("\x12\x1a\x22\x32\x3a\x42", head.p[2]);
}

static bool is_text(struct view head) {
        size_t bad = utf8_first_fault(head);

        if (bad != SIZE_MAX && head.n - bad > 3) /* a code point may be cut at the end */
                return false;
        for (size_t i = 0; i < head.n; i++)
                if ((uint8_t)head.p[i] < ' ' && (!head.p[i] || !strchr("\t\n\r\f\b\x1b", head.p[i])))
                        return false;
        return true;
}

static bool starts_with_tag(struct view v) {
        static const char *const tags[] = {"<!doctype", "<html", "<head", "<body",
                                           "<script",   "<?xml", "<svg"};

        for (size_t i = 0; i < ARRAY_SIZE(tags); i++)
                if (v.n >= strlen(tags[i]) && strncasecmp(v.p, tags[i], strlen(tags[i])) == 0)
                        return true;
        return false;
}

static enum model_kind text_kind(struct view head) {
        size_t i = 0;

        if (!is_text(head))
                return MODEL_KIND_UNKNOWN;
        while (i < head.n && strchr(" \t\r\n", head.p[i]))
                i++;
        if (starts_with_tag(view_sub(head, i, SIZE_MAX)))
                return MODEL_KIND_HTML;
        if (i < head.n && (head.p[i] == '{' || head.p[i] == '['))
                return MODEL_KIND_JSON;
        return MODEL_KIND_TEXT;
}

/* Formats without a magic number, the surer ones first. */
static enum model_kind unmarked_kind(struct view head) {
        enum model_kind text;

        if (looks_like_legacy_pytorch(head))
                return MODEL_KIND_PYTORCH_LEGACY;
        if (looks_like_pickle(head))
                return MODEL_KIND_PICKLE;
        if (looks_like_saved_model(head))
                return MODEL_KIND_SAVED_MODEL;
        if (looks_like_onnx(head))
                return MODEL_KIND_ONNX;
        if (looks_like_graph_def(head))
                return MODEL_KIND_GRAPH_DEF;
        text = text_kind(head);
        if (text != MODEL_KIND_UNKNOWN)
                return text;
        if (looks_like_lzma(head))
                return MODEL_KIND_LZMA;
        return looks_like_zlib(head) ? MODEL_KIND_ZLIB : MODEL_KIND_UNKNOWN;
}

enum model_kind model_kind_detect(struct view head, uint64_t size) {
        enum model_kind zip = zip_kind(head);

        if (size == 0)
                return MODEL_KIND_EMPTY;
        if (zip != MODEL_KIND_UNKNOWN)
                return zip;
        /* "GGUF" and its version read as a length of 2^33, and the tensor count behind it can begin with a
         * '{' or a space: without this a GGUF of 32 or 123 tensors would be taken for safetensors. */
        if (view_starts(head, VIEW("GGUF")))
                return MODEL_KIND_GGUF;
        if (looks_like_safetensors(head))
                return MODEL_KIND_SAFETENSORS;
        for (size_t i = 0; i < ARRAY_SIZE(magics); i++)
                if (has_at(head, magics[i].at, magics[i].magic))
                        return magics[i].kind;
        return unmarked_kind(head);
}

static void refuse_pickle(struct model_report *report, struct view head) {
        struct pickle p;

        pickle_init(&p);
        pickle_feed(&p, head);
        if (p.state == PICKLE_IMPORTS && p.name[0])
                report_put(report, RULE_KIND_REFUSED, 0, VIEW_NULL,
                           "This is a Python pickle. Loading a pickle runs code from inside the file; this "
                           "one calls \"%s\". Get "
                           "the model as safetensors or GGUF.",
                           report_quote(view_of(p.name)).text);
        else
                report_put(report, RULE_KIND_REFUSED, 0, VIEW_NULL, "%s", kinds[MODEL_KIND_PICKLE].why);
}

void model_kind_refuse(struct model_report *report, enum model_kind kind, struct view head) {
        if (kind == MODEL_KIND_EMPTY)
                report_put(report, RULE_KIND_EMPTY, REPORT_WHOLE, VIEW_NULL, "The file is empty.");
        else if (kind == MODEL_KIND_PICKLE)
                refuse_pickle(report, head);
        else if (kind == MODEL_KIND_GGML_LEGACY)
                report_put(report, RULE_GGUF_MAGIC, 0, VIEW_NULL, "%s", kinds[kind].why);
        else
                report_put(report, RULE_KIND_REFUSED, 0, VIEW_NULL, "%s", kinds[kind].why);
}

#define ENDING_KINDS 8 /* MODEL_KIND_UNKNOWN ends a shorter list */

/* Endings that promise a kind. Several kinds may answer to one ending; the first is named in the message. */
static const struct {
        const char *ending;
        enum model_kind kinds[ENDING_KINDS];
} endings[] = {
        {".gguf", {MODEL_KIND_GGUF}},
        {".safetensors", {MODEL_KIND_SAFETENSORS}},
        {".ggml", {MODEL_KIND_GGML_LEGACY}},
        {".llamafile", {MODEL_KIND_LLAMAFILE, MODEL_KIND_ELF, MODEL_KIND_PE}},
        {".onnx", {MODEL_KIND_ONNX}},
        {".pt", {MODEL_KIND_PYTORCH_ZIP, MODEL_KIND_PICKLE, MODEL_KIND_ZIP, MODEL_KIND_PYTORCH_LEGACY}},
        {".pth", {MODEL_KIND_PYTORCH_ZIP, MODEL_KIND_PICKLE, MODEL_KIND_ZIP, MODEL_KIND_PYTORCH_LEGACY}},
        {".ckpt", {MODEL_KIND_PYTORCH_ZIP, MODEL_KIND_PICKLE, MODEL_KIND_ZIP, MODEL_KIND_PYTORCH_LEGACY}},
        {".pkl", {MODEL_KIND_PICKLE, MODEL_KIND_ZLIB, MODEL_KIND_GZIP, MODEL_KIND_BZIP2}},
        {".pickle", {MODEL_KIND_PICKLE}},
        {".joblib",
         {MODEL_KIND_PICKLE, MODEL_KIND_ZLIB, MODEL_KIND_GZIP, MODEL_KIND_BZIP2, MODEL_KIND_XZ,
          MODEL_KIND_LZMA, MODEL_KIND_LZ4}},
        {".npy", {MODEL_KIND_NUMPY}},
        {".npz", {MODEL_KIND_ZIP}},
        {".zip", {MODEL_KIND_ZIP, MODEL_KIND_PYTORCH_ZIP, MODEL_KIND_KERAS_ZIP}},
        {".keras", {MODEL_KIND_KERAS_ZIP, MODEL_KIND_ZIP}},
        {".h5", {MODEL_KIND_HDF5}},
        {".hdf5", {MODEL_KIND_HDF5}},
        {".pb", {MODEL_KIND_SAVED_MODEL, MODEL_KIND_GRAPH_DEF}},
        {".tflite", {MODEL_KIND_TFLITE}},
        {".exe", {MODEL_KIND_PE, MODEL_KIND_LLAMAFILE}},
        {".dll", {MODEL_KIND_PE}},
        {".so", {MODEL_KIND_ELF}},
        {".dylib", {MODEL_KIND_MACHO}},
        {".sh", {MODEL_KIND_SCRIPT, MODEL_KIND_TEXT}},
        {".py", {MODEL_KIND_TEXT, MODEL_KIND_SCRIPT, MODEL_KIND_EMPTY}},
        {".tar", {MODEL_KIND_TAR}},
        {".tgz", {MODEL_KIND_GZIP}},
        {".gz", {MODEL_KIND_GZIP}},
        {".bz2", {MODEL_KIND_BZIP2}},
        {".xz", {MODEL_KIND_XZ}},
        {".lzma", {MODEL_KIND_LZMA}},
        {".zst", {MODEL_KIND_ZSTD}},
        {".lz4", {MODEL_KIND_LZ4}},
        {".7z", {MODEL_KIND_7Z}},
        {".rar", {MODEL_KIND_RAR}},
        {".pdf", {MODEL_KIND_PDF}},
        {".json", {MODEL_KIND_JSON}},
        {".html", {MODEL_KIND_HTML, MODEL_KIND_TEXT}},
        {".png", {MODEL_KIND_IMAGE}},
        {".jpg", {MODEL_KIND_IMAGE}},
        {".jpeg", {MODEL_KIND_IMAGE}},
};

static bool ends_with(struct view name, const char *ending) {
        size_t n = strlen(ending);

        return name.n > n && strncasecmp(name.p + name.n - n, ending, n) == 0;
}

static bool is_promised(const enum model_kind list[ENDING_KINDS], enum model_kind kind) {
        for (size_t i = 0; i < ENDING_KINDS && list[i] != MODEL_KIND_UNKNOWN; i++)
                if (list[i] == kind)
                        return true;
        return false;
}

void model_kind_check_name(struct model_report *report, enum model_kind kind, struct view name) {
        for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
                if (!ends_with(name, endings[i].ending))
                        continue;
                if (!is_promised(endings[i].kinds, kind))
                        report_put(report, RULE_KIND_NAME, REPORT_WHOLE, VIEW_NULL,
                                   "The name ends in %s (%s), but the content is: %s.", endings[i].ending,
                                   model_kind_title(endings[i].kinds[0]), model_kind_title(kind));
                return;
        }
}

/* The number in a tar header's checksum field, and whether it is right (POSIX ustar). */
static bool tar_header_is_valid(struct view head) {
        uint32_t sum = 0, stated = 0;

        if (!has_at(head, 257, VIEW("ustar")) || head.n < 512)
                return false;
        for (size_t i = 0; i < 512; i++)
                sum += i >= 148 && i < 156 ? ' ' : (uint8_t)head.p[i];
        for (size_t i = 148; i < 156 && head.p[i] >= '0' && head.p[i] <= '7'; i++)
                stated = stated * 8 + (uint32_t)(head.p[i] - '0');
        return sum == stated;
}

void model_kind_check_head(struct model_report *report, struct view head) {
        size_t pdf = view_find(view_sub(head, 0, 1024 + 5), VIEW("%PDF-")); /* readers look that far */

        if (pdf != SIZE_MAX)
                report_put(report, RULE_KIND_POLYGLOT, pdf, VIEW_NULL,
                           "The file can also be opened as a PDF document.");
        if (tar_header_is_valid(head))
                report_put(report, RULE_KIND_POLYGLOT, 257, VIEW_NULL,
                           "The file can also be opened as a tar archive.");
}

/* An end-of-central-directory record whose numbers make sense (APPNOTE 4.3.16); `at` from the start of the
 * file. */
static bool zip_end_is_plausible(struct view v, uint64_t at) {
        uint32_t size, offset;

        if (v.n < 22)
                return false;
        size = load_le32(v.p + 12);
        offset = load_le32(v.p + 16);
        if (load_le16(v.p + 8) != load_le16(v.p + 10) || load_le16(v.p + 4) != load_le16(v.p + 6))
                return false;
        return (size <= at && offset <= at) || size == UINT32_MAX || offset == UINT32_MAX;
}

void model_kind_check_tail(struct model_report *report, struct view tail, uint64_t size) {
        uint64_t base = size - tail.n;
        size_t from = 0;

        for (;;) {
                size_t i = view_find(view_sub(tail, from, SIZE_MAX), VIEW("PK\5\6"));

                if (i == SIZE_MAX)
                        break;
                from += i;
                if (zip_end_is_plausible(view_sub(tail, from, SIZE_MAX), base + from)) {
                        report_put(report, RULE_KIND_POLYGLOT, base + from, VIEW_NULL,
                                   "A ZIP archive ends here: the file can also be opened as an archive.");
                        break;
                }
                from++;
        }
        if (tail.n >= 512 && memcmp(tail.p + tail.n - 512, "koly", 4) == 0)
                report_put(report, RULE_KIND_POLYGLOT, size - 512, VIEW_NULL,
                           "A macOS disk image ends here: the file can also be opened as one.");
}
