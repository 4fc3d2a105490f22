/* json_walk: a JSON file of a folder, read once in pieces: strict (json_stream), bounded, every key of an object once.
 * What it means is the caller's business, who gets each event with the keys that lead to it. Faults go to the report;
 * after the first one that breaks the structure the rest is ignored. Pure. Memory: 32 bytes a key.
 *
 * Limits, chosen so that the files of published models pass (a tokenizer.json of 260,000 words and 510,000 merges has 33 MB
 * and 2.6 million tokens): MODEL_SET_TEXT_MAX bytes, JSON_WALK_DEPTH_MAX levels, JSON_WALK_TOKENS_MAX values
 * and keys, JSON_WALK_KEYS_MAX keys. */
#pragma once

#include "base/hash_set.h"
#include "model/json_stream.h"
#include "model/report.h"

struct json_walk;
/* `text` as in json_event_fn. A negative return ends the reading and is handed through. */
typedef int (*json_walk_fn)(void *userdata, const struct json_walk *w, enum json_event e, struct view text,
                            uint64_t length);

struct json_walk_level {
        uint64_t id; /* which object of the file this is */
        bool is_object;
        uint8_t key_n;
        char key[JSON_WALK_NAME_MAX];
};

struct json_walk {
        struct json_stream json;
        struct model_report *report;
        json_walk_fn put;
        void *userdata;
        struct hash_set *keys;
        uint64_t objects, tokens;
        bool refused;
        unsigned depth; /* levels that are open */
        struct json_walk_level levels[JSON_WALK_DEPTH_MAX];
        char scratch[sizeof(uint64_t) + JSON_WALK_KEY_MAX];
};

/* -ENOMEM. */
SAI_NODISCARD int json_walk_init(struct json_walk *w, struct model_report *report, json_walk_fn put,
                                 void *userdata);
void json_walk_done(struct json_walk *w);
/* 0, -ENOMEM or what `put` returned. */
SAI_NODISCARD int json_walk_feed(struct json_walk *w, struct view bytes);
/* After the last byte: reports a text that ends too early. True when all of it was read and strict. */
bool json_walk_finish(struct json_walk *w);
/* The key under which a value of level `i` stands (0: in the outermost object), its first JSON_WALK_NAME_MAX bytes; ""
 * in an array. */
struct view json_walk_key(const struct json_walk *w, unsigned i);
