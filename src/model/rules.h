/* rules: the catalogue of everything that the format readers can find fault with. One table gives each rule
 * its stable id, stage, severity and the words for people; docs/rules.md is checked against it by a test. */
#pragma once

#include "model/finding.h"

enum model_rule {
        RULE_KIND_REFUSED,
        RULE_KIND_NAME,
        RULE_KIND_POLYGLOT,
        RULE_KIND_EMPTY,
        RULE_GGUF_MAGIC,
        RULE_GGUF_VERSION,
        RULE_GGUF_COUNTS,
        RULE_GGUF_KEY,
        RULE_GGUF_TYPE,
        RULE_GGUF_ARRAY,
        RULE_GGUF_STRING,
        RULE_GGUF_ALIGNMENT,
        RULE_GGUF_NAME,
        RULE_GGUF_DIMENSIONS,
        RULE_GGUF_TENSOR_TYPE,
        RULE_GGUF_OFFSET,
        RULE_GGUF_PADDING,
        RULE_GGUF_END,
        RULE_GGUF_SPLIT,
        RULE_GGUF_VOCABULARY,
        RULE_GGUF_TEMPLATE,
        RULE_ST_LENGTH,
        RULE_ST_BRACE,
        RULE_ST_JSON,
        RULE_ST_DUPLICATE,
        RULE_ST_METADATA,
        RULE_ST_ENTRY,
        RULE_ST_NUMBER,
        RULE_ST_DTYPE,
        RULE_ST_SIZE,
        RULE_ST_OFFSETS,
        RULE_ST_NAME,
        RULE_ST_PICKLE,
        RULE_TEMPLATE_SYNTAX,
        RULE_TEMPLATE_STATEMENT,
        RULE_TEMPLATE_UNDERSCORE,
        RULE_TEMPLATE_FILTER,
        RULE_TEMPLATE_NAME,
        RULE_TEMPLATE_BUILT,
        RULE_TEMPLATE_LIMIT,
        RULE_TEMPLATE_CONDITIONAL,
        RULE_WEIGHTS_NON_FINITE,
        RULE_PICKLE_DANGEROUS,
        RULE_PICKLE_UNLISTED,
        RULE_PICKLE_UNNAMED,
        RULE_PICKLE_CALL,
        RULE_PICKLE_BROKEN,
        RULE_PICKLE_AFTER_STOP,
        RULE_PICKLE_LIMIT,
        RULE_PICKLE_HARMLESS,
        RULE_PICKLE_OUTSIDE,
        RULE_ZIP_AGREE,
        RULE_ZIP_DUPLICATE,
        RULE_ZIP_NAME,
        RULE_ZIP_STRUCTURE,
        RULE_ZIP_CLOSED,
        RULE_ZIP_LIMIT,
        RULE_ZIP_HOLDS,
        RULE_NPY_OBJECTS,
        RULE_NPY_HEADER,
        RULE_ONNX_STRUCTURE,
        RULE_ONNX_DOMAIN,
        RULE_ONNX_EXTERNAL,
        RULE_ONNX_HOLDS,
        RULE_KERAS_CODE,
        MODEL_RULE_MAX
};

struct model_rule_text {
        const char *id; /* "GGUF-G12" */
        unsigned stage; /* 2 format_gate, 5 static_scan */
        enum finding_severity severity;
        const char *title;   /* a few words */
        const char *meaning; /* why the rule exists, for someone who is no programmer */
        const char *action;  /* what to do */
};

const struct model_rule_text *model_rule_get(enum model_rule rule); /* never NULL */
const struct model_rule_text *model_rule_find(struct view id);      /* NULL when there is no such rule */
