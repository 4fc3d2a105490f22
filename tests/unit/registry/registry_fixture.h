/* registry_fixture: audit and registry running, with quarantine's key, and files to promote. */
#pragma once

#include "core/fd_channel.h"
#include "core/set_listing.h"
#include "support/evidence.h"
#include "support/harness.h"

struct registry_fixture {
        struct harness *h;
        char private_dir[96]; /* quarantine's key */
        char inbox[96];       /* files of the test */
};

void registry_fixture_make(struct registry_fixture *f);
void registry_fixture_done(struct registry_fixture *f);

/* Writes `content` to a file of its own and opens it read-only. */
int registry_fixture_file(struct registry_fixture *f, const char *name, struct view content);
int registry_fixture_channel(struct registry_fixture *f, const char *caller);

/* What the registry answered on the channel. */
struct channel_answer {
        bool ok, duplicate, final;
        char code[64], sha256[65], name[256], message[256], kind[32];
        uint64_t size;
        int fd; /* of open; the test closes it */
};
/* Sends a message with a descriptor and reads the answer; the channel stays open. */
struct channel_answer registry_fixture_ask(int sock, struct view message, int fd);
/* One promotion on a channel of its own as quarantine. */
struct channel_answer registry_fixture_promote(struct registry_fixture *f, const struct evidence_spec *s,
                                               int fd);
/* The same with a file of this content and evidence that passes; gives the digest as text too. */
struct channel_answer registry_fixture_add(struct registry_fixture *f, const char *name, struct view content);
struct channel_answer registry_fixture_open(int sock, const char *sha256);

/* A set of text files, by hand: paths and contents, sorted by path. */
#define TEST_SET_MAX 8
struct test_set {
        size_t n;
        const char *paths[TEST_SET_MAX], *contents[TEST_SET_MAX];
};
struct buf registry_fixture_listing(const struct test_set *t); /* the caller frees it */
/* Evidence that passes for this set, of kind gguf-set. */
struct evidence_spec registry_fixture_set_spec(const char *name, const struct test_set *t);
struct channel_answer registry_fixture_member(struct registry_fixture *f, int sock, struct view content);
struct channel_answer registry_fixture_document(struct registry_fixture *f, int sock, const char *name,
                                                struct view content);
/* Hands in all members and asks for the promotion, on that channel. */
struct channel_answer registry_fixture_promote_set(struct registry_fixture *f, int sock,
                                                   const struct evidence_spec *s, const struct test_set *t);

/* Body of an HTTP call as `caller`; the test frees it. */
unsigned registry_fixture_call(struct registry_fixture *f, const char *caller, const char *method,
                               const char *path, struct buf *ret_body);
/* Number of models in the list. */
unsigned registry_fixture_count(struct registry_fixture *f);
/* Path of a model's file in the store. */
void registry_fixture_object(struct registry_fixture *f, const char *sha256, char out[512]);
