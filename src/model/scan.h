/* scan: one pass over an artifact's bytes that feeds every reader of src/model at once: kind by content, the format's
 * validator (stage 2), chat templates, embedded executables' and archives' plausibility and non-finite weights
 * (stage 5). Pure: bytes in, findings out. Constant memory plus 64 bytes a tensor. Runs inside the locked worker. */
#pragma once

#include "model/finding.h"
#include "model/tensor_record.h"

enum model_kind {
        MODEL_KIND_UNKNOWN,
        MODEL_KIND_EMPTY,
        MODEL_KIND_GGUF,
        MODEL_KIND_SAFETENSORS,
        MODEL_KIND_GGML_LEGACY,
        MODEL_KIND_PICKLE,
        MODEL_KIND_ZIP,
        MODEL_KIND_PYTORCH_ZIP,
        MODEL_KIND_NUMPY,
        MODEL_KIND_ONNX,
        MODEL_KIND_HDF5,
        MODEL_KIND_TFLITE,
        MODEL_KIND_ELF,
        MODEL_KIND_PE,
        MODEL_KIND_MACHO,
        MODEL_KIND_SCRIPT,
        MODEL_KIND_TAR,
        MODEL_KIND_GZIP,
        MODEL_KIND_BZIP2,
        MODEL_KIND_XZ,
        MODEL_KIND_ZSTD,
        MODEL_KIND_7Z,
        MODEL_KIND_PDF,
        MODEL_KIND_HTML,
        MODEL_KIND_JSON,
        MODEL_KIND_TEXT,
        MODEL_KIND_IMAGE,
        MODEL_KIND_RAR,
        MODEL_KIND_LFS_POINTER,
        MODEL_KIND_SENTENCEPIECE,   /* of a folder's members only */
        MODEL_KIND_NUMBERS,         /* the same: plain numbers without a header */
        MODEL_KIND_GGUF_SET,        /* of a folder as a whole (model_set) from here on */
        MODEL_KIND_SAFETENSORS_SET, /* in the layout of Hugging Face */
        MODEL_KIND_DIFFUSION,       /* in the layout of diffusers */
        MODEL_KIND_FOLDER,          /* none of these: refused */
        MODEL_KIND_LZ4,
        MODEL_KIND_LZMA,
        MODEL_KIND_ZLIB,
        MODEL_KIND_SAVED_MODEL,
        MODEL_KIND_GRAPH_DEF,
        MODEL_KIND_KERAS_ZIP,
        MODEL_KIND_PYTORCH_LEGACY,
        MODEL_KIND_LLAMAFILE,
        MODEL_KIND_MAX
};
const char *model_kind_name(enum model_kind k);  /* "gguf", "pickle", … stable, for machines */
const char *model_kind_title(enum model_kind k); /* "Python pickle", for people */

#define MODEL_ARCHITECTURE_MAX 64
#define MODEL_NAME_MAX         128
#define MODEL_LICENSE_MAX      64

/* Tensors that are there, by the names that tell what a file of weights is (safetensors only). */
#define MODEL_LANDMARK_CONV_IN 1u /* conv_in.weight: a UNet */
#define MODEL_LANDMARK_DECODER 2u /* decoder.conv_in.weight: a picture's decoder */
#define MODEL_LANDMARK_WORDS   4u /* an embedding of words */

/* What the readers learnt; hostile in content, bounded in form (escaped text, NUL-terminated). */
struct model_summary {
        enum model_kind kind;
        uint64_t size;
        uint64_t tensors;
        uint64_t parameters;                        /* sum of elements */
        uint64_t context_length;                    /* 0: unknown */
        uint64_t non_finite;                        /* weights or block scales */
        uint64_t tensor_bytes;                      /* of the tensors alone */
        uint64_t split_tensors;                     /* GGUF: split.tensors.count */
        uint64_t embedding_rows, embedding_columns; /* safetensors: of the embedding of words; 0: none */
        uint32_t split_no, split_count;             /* GGUF: as they are stated */
        uint32_t landmarks;                         /* MODEL_LANDMARK_… */
        uint32_t format_version;                    /* GGUF 2 or 3 */
        uint8_t names_digest[32];                   /* of the tensors' names (names_digest) */
        bool has_chat_template;
        uint8_t template_sha256[32];               /* of its text; with several, template_note says which */
        char architecture[MODEL_ARCHITECTURE_MAX]; /* "llama" or "" */
        char name[MODEL_NAME_MAX];                 /* general.name or "" */
        char license[MODEL_LICENSE_MAX];           /* general.license or "" */
        char quantization[16];                     /* most frequent block type by bytes, "Q4_K" */
        char family[16];                           /* by the tensors' names: "llama", "vae" …, or "" */
        uint8_t structure[32];   /* digest of names (numbers left out), types and shapes; zero: unknown */
        uint8_t merkle_root[32]; /* over all tensors (docs/components/weights.md); zero: unknown */
};

struct model_scan; /* opaque */

/* `size`: the artifact's length in bytes, fixed when it was claimed. `name`: its name, compared with the content only
 * (a .gguf that is a zip is a finding); may be VIEW_NULL. -ENOMEM. */
SAI_NODISCARD int model_scan_new(uint64_t size, struct view name, const struct finding_sink *sink,
                                 struct model_scan **ret);
/* Before the first byte: where the record of each tensor goes, and the limits of policy for weights (both copied). */
void model_scan_set_tensor_sink(struct model_scan *m, const struct tensor_sink *sink);
void model_scan_set_weights_limits(struct model_scan *m, const struct weights_limits *limits);
/* What looks into archives (model/unpack.h); without it they are named only. Before the first byte; stays the caller's. */
struct model_unpacker;
void model_scan_set_unpacker(struct model_scan *m, const struct model_unpacker *u);
/* Next bytes, in order, any sizes. 0, or -ENOMEM / -EFBIG (more bytes than `size`). A refused format is no error here:
 * it is a finding, and the remaining bytes are still looked at. */
SAI_NODISCARD int model_scan_feed(struct model_scan *m, struct view bytes);
/* After the last byte. -EIO when fewer than `size` bytes came. */
SAI_NODISCARD int model_scan_finish(struct model_scan *m, struct model_summary *ret);
struct model_scan *model_scan_free(struct model_scan *m);
static inline void model_scan_freep(struct model_scan **m) {
        *m = model_scan_free(*m);
}

/* Embedded content: called (by the worker's literal matcher) with the offset of a magic number's first byte and the
 * bytes from there on that are at hand; true and *ret_kind when a real executable or archive plausibly starts here (header
 * fields make sense), so that chance hits in weights raise no alarm. */
bool model_embedded_plausible(struct view bytes, enum model_kind *ret_kind);

/* A chat template alone (also used by tests and tools): puts findings with stage 5. */
void model_template_check(struct view template_text, const char *key, uint64_t at,
                          const struct finding_sink *sink);
