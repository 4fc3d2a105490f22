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
#define SAFETENSORS_RANK_MAX     16u

#define JSON_STREAM_DEPTH_MAX 4u    /* nesting that a safetensors header needs: 3 */
#define JSON_STREAM_TEXT_MAX  4096u /* bytes of a string kept; longer ones are checked, not kept */

#define TEMPLATE_MAX       (UINT32_C(1) << 20) /* bytes; a longer template is refused, never skipped */
#define TEMPLATE_DEPTH_MAX 64u                 /* nesting of blocks and expressions together */

#define SCAN_HEAD_MAX         4096u               /* bytes that decide what a file is */
#define SCAN_TAIL_MAX         65557u              /* where ZIP readers look for the end record: 22 + 65535 */
#define PICKLE_STEPS_MAX      (UINT64_C(1) << 24) /* opcodes walked before it counts as a runnable one */
#define FINDINGS_PER_RULE_MAX 8u                  /* further ones of the same rule say nothing new */

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
