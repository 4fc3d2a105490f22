/* limits: every cap of the format readers, named. */
#pragma once

#include <stdint.h>

#define GGUF_PAIRS_MAX      65536u               /* key/value pairs */
#define GGUF_TENSORS_MAX    65536u               /* tensors of one file */
#define GGUF_KEY_MAX        65535u               /* bytes of a key */
#define GGUF_NAME_MAX       63u                  /* bytes of a tensor's name */
#define GGUF_STRING_MAX     (UINT64_C(64) << 20) /* bytes of one metadata string: a tokenizer.json fits */
#define GGUF_ARRAY_MAX      (UINT64_C(1) << 30)  /* elements of one array, as the reference reader */
#define GGUF_DIMENSION_MAX  (UINT64_C(1) << 48)  /* one dimension of a tensor */
#define GGUF_DIMENSIONS_MAX 4u                   /* rank */
#define GGUF_ALIGNMENT_MIN  8u                   /* general.alignment */
#define GGUF_ALIGNMENT_MAX  65536u
#define GGUF_VOCABULARY_MAX (UINT64_C(1) << 22) /* tokens */
#define GGUF_TOKEN_MAX      65535u              /* bytes of one token's text */

#define SAFETENSORS_HEADER_MAX   UINT64_C(100000000) /* as the reference reader (format.rs) */
#define SAFETENSORS_TENSORS_MAX  262144u             /* entries, 64 bytes each while the file is read */
#define SAFETENSORS_METADATA_MAX 65536u              /* members of __metadata__ */
#define SAFETENSORS_NAME_MAX     4096u               /* bytes of a tensor's name or a metadata key */
#define SAFETENSORS_TEXTS_MAX    ((size_t)32 << 20) /* bytes of names and shapes kept while the data is read */
#define SAFETENSORS_RANK_MAX     16u

#define JSON_STREAM_DEPTH_MAX 4u    /* nesting that a safetensors header needs: 3 */
#define JSON_STREAM_TEXT_MAX  4096u /* bytes of a string kept; longer ones are checked, not kept */

#define TEMPLATE_MAX       (UINT32_C(1) << 20) /* bytes; a longer template is refused, never skipped */
#define TEMPLATE_DEPTH_MAX 64u                 /* nesting of blocks and expressions together */

#define SCAN_HEAD_MAX    4096u               /* bytes that decide what a file is */
#define SCAN_TAIL_MAX    65557u              /* where ZIP readers look for the end record: 22 + 65535 */
#define PICKLE_STEPS_MAX (UINT64_C(1) << 24) /* opcodes walked before it counts as a runnable one */

#define FINDINGS_PER_RULE_MAX 8u /* further ones of the same rule say nothing new */

#define PICKLE_STACK_MAX   (UINT32_C(1) << 20) /* values on the stack of the pickle machine */
#define PICKLE_MARKS_MAX   (UINT32_C(1) << 16) /* open MARKs */
#define PICKLE_MEMO_MAX    (UINT32_C(1) << 20) /* memo indices; a higher one is not remembered, and said */
#define PICKLE_TEXT_MAX    255u                /* bytes of a text that may become a name; longer ones can't */
#define PICKLE_TEXTS_MAX   (UINT32_C(1) << 24) /* bytes of all such texts of one pickle */
#define PICKLE_GLOBALS_MAX 256u                /* different names that are told apart */
#define PICKLE_COUNT_MAX   (UINT32_C(1) << 20) /* pickles one after the other in one file */

#define ZIP_MEMBERS_MAX  65536u                   /* 48 bytes each while the archive is read */
#define ZIP_NAME_MAX     1024u                    /* bytes of a member's name */
#define ZIP_NAMES_MAX    (UINT32_C(4) << 20)      /* bytes of all names */
#define ZIP_VARIABLE_MAX (3 * (size_t)UINT16_MAX) /* name, extra fields and comment of one header */
#define NPY_HEADER_MAX   65535u /* bytes of an array's description; NumPy itself stops at 10,000 */

#define ONNX_DEPTH_MAX 64u /* messages within messages */
#define ONNX_TEXT_MAX                                                                                        \
        128u /* bytes kept of a domain, an operator's name or a location; a longer one is refused */

#define MODEL_SET_MEMBERS_MAX 20000u               /* files of a folder */
#define MODEL_SET_FOLDERS_MAX 4096u                /* folders in it */
#define MODEL_SET_PATH_MAX    1024u                /* bytes of a path */
#define MODEL_SET_PATHS_MAX   (UINT32_C(8) << 20)  /* bytes of all paths */
#define MODEL_SET_NAME_MAX    255u                 /* bytes of one part of a path */
#define MODEL_SET_DEPTH_MAX   32u                  /* parts of a path */
#define MODEL_SET_TEXT_MAX    (UINT64_C(64) << 20) /* bytes of a member that is text, JSON or a vocabulary */
#define MODEL_SET_PICTURE_MAX (UINT64_C(16) << 20) /* bytes of a picture */
#define MODEL_SET_NUMBERS_MAX (UINT64_C(1) << 20)  /* bytes of reference data beside an image model */
#define MODEL_SET_PROMISES_MAX                                                                               \
        (UINT32_C(1) << 20)           /* tensors that all indexes of a folder name, 24 bytes each */
#define MODEL_SET_CONFIGS_MAX    256u /* config.json and the like that are remembered */
#define MODEL_SET_PARTS_MAX      64u  /* components of an image model */
#define MODEL_SET_GGUF_PARTS_MAX 64u  /* files of a GGUF model in parts: as many as llama-server is given */

#define JSON_WALK_DEPTH_MAX 64u
#define JSON_WALK_TOKENS_MAX                                                                                 \
        (UINT32_C(1) << 23) /* of 150,000 to 260,000 words, a tokenizer.json has up to 3 million */
#define JSON_WALK_KEYS_MAX (UINT32_C(1) << 20) /* of one file, 32 bytes each while it is read */
#define JSON_WALK_KEY_MAX  4096u               /* bytes of a key */
#define JSON_WALK_NAME_MAX 64u                 /* bytes of a key remembered while its value is read */

#define SENTENCEPIECE_PIECES_MAX (UINT32_C(1) << 22)
#define PNG_CHUNKS_MAX           65536u
#define INNER_NAME_MAX           1024u /* bytes kept of a path in an archive, from its end */
#define KERAS_TEXT_MAX           64u   /* bytes kept of a key or a value; no name that counts is longer */
#define KERAS_DEPTH_MAX          32u   /* objects within objects that are told apart */
#define TORCHSCRIPT_NAME_MAX     128u  /* bytes of a dotted name */
#define TENSORFLOW_TEXT_MAX      128u  /* bytes kept of a node's name or operator */
#define TFLITE_MAX               (UINT32_C(16) << 20) /* bytes of a model whose operators are named */
