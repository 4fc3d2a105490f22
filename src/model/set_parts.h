/* set_parts: what the parts of model_set share. Included by set_*.c and model_set.c only. */
#pragma once

#include "base/hash_set.h"
#include "model/limits.h"
#include "model/model_set.h"
#include "model/names_digest.h"
#include "model/report.h"
#include "model/set_names.h"

/* What is kept of a member's summary. */
struct model_member {
        uint32_t path_at;
        uint16_t path_n;
        uint8_t file; /* enum set_file */
        bool told;    /* facts are there */
        enum model_kind kind;
        uint32_t format_version;
        uint32_t split_no, split_count;
        uint64_t size;
        uint64_t tensors;
        uint64_t tensor_bytes;
        uint64_t split_tensors;
        uint64_t embedding_rows, embedding_columns;
        uint32_t landmarks;
        uint8_t names_digest[NAMES_DIGEST_MAX];
        bool has_architecture;
};

#define SET_CLASS_MAX 64u

/* What a config.json, scheduler_config.json and the like says of the model beside it. */
struct set_config {
        uint32_t member;
        bool strict; /* read to its end without a fault */
        bool nested; /* has further configurations inside; what stands outside need not be the whole */
        uint64_t vocabulary, width, context; /* 0: not said */
        uint64_t layers;
        char class_name[SET_CLASS_MAX];   /* _class_name */
        char architecture[SET_CLASS_MAX]; /* the first of architectures */
        char type[SET_CLASS_MAX];         /* model_type */
};

/* A tensor that an index names, and the shard that it promises it in. */
struct set_promise {
        uint8_t hash[NAMES_DIGEST_HASH];
        uint32_t shard; /* member */
        uint32_t index; /* member: the index */
};

struct set_index {
        uint32_t member;
        bool strict;
        bool bad; /* something in it can't be followed; said already */
        bool has_total;
        uint64_t total;
};

enum set_component_form { COMPONENT_NAMED, COMPONENT_ABSENT, COMPONENT_MALFORMED };

/* A component of an image model, as model_index.json names it. */
struct set_component {
        enum set_component_form form;
        unsigned texts; /* of its pair that were read */
        unsigned nulls;
        uint8_t name_n;
        char name[SET_CLASS_MAX];
        char library[SET_CLASS_MAX];
        char class_name[SET_CLASS_MAX];
};

struct set_pipeline {
        bool present; /* there is a model_index.json at the top */
        bool strict;
        bool too_many;
        uint32_t member;
        bool has_class, has_version;
        char class_name[SET_CLASS_MAX];
        char version[SET_CLASS_MAX];
        size_t n;
        struct set_component components[MODEL_SET_PARTS_MAX];
};

struct model_set {
        struct finding_sink sink;
        struct model_report report; /* of the folder as a whole and of what holds between files */
        struct buf paths;
        struct buf members; /* struct model_member */
        struct hash_set *exact, *folded;
        size_t folders;
        struct model_summary summary;
        uint64_t quantization_bytes;
        struct buf configs;  /* struct set_config */
        struct buf indexes;  /* struct set_index */
        struct buf promises; /* struct set_promise */
        struct set_pipeline pipeline;
};

static inline size_t set_count(const struct model_set *s) {
        return s->members.n / sizeof(struct model_member);
}
static inline struct model_member *set_get(const struct model_set *s, size_t i) {
        return (struct model_member *)(void *)s->members.p + i;
}
static inline struct view set_path(const struct model_set *s, const struct model_member *m) {
        return (struct view){s->paths.p + m->path_at, m->path_n};
}
/* A finding about member `i` (SIZE_MAX: about the folder). */
#define SET_PUT(s, i, rule, ...)                                                                             \
        ({                                                                                                   \
                (s)->report.member = (uint32_t)((i) + 1);                                                    \
                report_put(&(s)->report, rule, REPORT_WHOLE, VIEW_NULL, __VA_ARGS__);                        \
        })

/* The member with that path, or SIZE_MAX. `folder` "" is the top. */
size_t set_find(const struct model_set *s, struct view folder, struct view name);
/* True when `path` lies directly in `folder`. */
bool set_is_in(struct view path, struct view folder);
/* The configuration that `name` in `folder` gave, or NULL. */
const struct set_config *set_config_find(const struct model_set *s, struct view folder, const char *name);

/* The rules across files, by the kind of the whole. */
void set_split_check(struct model_set *s);              /* GGUF in parts */
SAI_NODISCARD int set_index_check(struct model_set *s); /* every index against its shards. -ENOMEM */
void set_folder_check(struct model_set *s);             /* a language model's folder */
void set_diffusion_check(struct model_set *s);          /* an image model's folder */
/* A configuration's numbers against the tensors of the files in `folder`. */
void set_config_check(struct model_set *s, struct view folder, const struct set_config *c);
