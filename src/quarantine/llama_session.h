/* llama_session: one quarantined model in one sealed llama-server, asked one question after the other. The server and all that
 * it says are hostile. Blocks; not thread-safe. */
#pragma once

#include "base/buf.h"
#include "core/launcher.h"
#include "wire/http_client.h"

struct llama_session {
        struct launcher *launcher;
        struct launcher_worker worker;
        struct http_client *client;
        bool running;
};

struct llama_start {
        struct launcher *launcher;
        int model_fd;
        const int *
                part_fds; /* instead of model_fd: the files of a split model in order; NULL: it is one file */
        unsigned n_parts;
        uint64_t model_size; /* of all parts */
        uint32_t context;
        unsigned threads;
        uint64_t timeout_usec;
        bool (*go_on)(void *userdata); /* false: -ECANCELED; may be NULL */
        void *userdata;
};

/* 0 when it listens. -ENOENT: there is no worker root. -ECHILD: it ended while loading (*ret_status). -ETIMEDOUT.
 * -E2BIG: more than LAUNCHER_FDS_MAX parts. */
SAI_NODISCARD int llama_session_start(const struct llama_start *start, struct llama_session *ret,
                                      int *ret_status);
void llama_session_done(struct llama_session *s);
static inline void llama_session_donep(struct llama_session *s) {
        llama_session_done(s);
}
bool llama_session_is_alive(struct llama_session *s);

struct llama_question {
        struct view system, prompt; /* system VIEW_NULL: none */
        unsigned tokens;
        uint64_t timeout_usec, quiet_usec;
        bool (*go_on)(void *userdata);
        void *userdata;
};
enum llama_end { LLAMA_COMPLETE, LLAMA_TIMED_OUT, LLAMA_DIED, LLAMA_BROKEN };
struct llama_answer {
        struct buf text; /* BUF_INIT(ANSWER_BYTES_MAX) */
        bool thought;    /* it had thoughts (reasoning_content) besides */
        uint64_t pieces;
        enum llama_end end;
};
static inline void llama_answer_donep(struct llama_answer *a) {
        buf_done(&a->text);
}
/* 0 and *answer whatever the model did; -ECANCELED, -ENOMEM. */
SAI_NODISCARD int llama_session_ask(struct llama_session *s, const struct llama_question *q,
                                    struct llama_answer *answer);
