/* The audit log's readers on hostile lines: a line taken apart must be made of the input's own bytes, nothing may be
 * accepted without the key, and a signed checkpoint can't come out of nowhere. */
#include "core/audit_log.h"
#include "core/audit_tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char pem[] = "-----BEGIN PUBLIC KEY-----\n"
                          "MCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=\n"
                          "-----END PUBLIC KEY-----\n";

static void check_line(struct view text) {
        struct audit_chain chain = {.next_sequence = 1};
        struct audit_line line;

        if (audit_line_parse(text, &line) < 0)
                return;
        if (line.body.p != text.p || line.body.n >= text.n || line.time.p < text.p ||
            line.time.p + line.time.n > text.p + text.n)
                abort();
        memcpy(chain.key, "a key that no seed was made with", sizeof chain.key);
        if (audit_chain_check(&chain, &line) >= 0 || chain.next_sequence != 1)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static struct public_key *key;
        struct view rest = view_make(data, n), line;
        struct audit_checkpoint checkpoint;

        if (!key && public_key_from_pem(view_of(pem), &key, NULL) < 0)
                abort();
        if (audit_checkpoint_read(rest, key, &checkpoint) >= 0)
                abort();
        while (view_split(&rest, '\n', &line))
                check_line(line);
        check_line(rest);
        (void)audit_event_is_valid(rest);
        (void)audit_decision_is_valid(rest);
        return 0;
}
