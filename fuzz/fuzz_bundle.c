/* bundle: the readers of everything that a stranger's signature brings: bundle, statement, log entry, checkpoint, trusted root,
 * certificates and time stamps. Nothing that is fuzzed may ever count as signed by the pinned key. */
#include "core/sig_body.h"
#include "core/sig_certificate.h"
#include "core/sig_check.h"
#include "core/sig_intoto.h"
#include "core/sig_log.h"
#include "core/sig_root.h"
#include "core/sig_statement.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char key_pem[] = "-----BEGIN PUBLIC KEY-----\n"
                              "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaxfR8uEsQkf4vOblY6RA8ncDfYEt\n"
                              "6zOg9KE5RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\n"
                              "-----END PUBLIC KEY-----\n"; /* base point of P-256: its private key is 1 */

static struct sig_trust *trust_of_key(void) {
        static struct sig_trust *t;

        if (!t && (sig_trust_of_key(view_make(key_pem, sizeof key_pem - 1), "fuzz", &t, NULL) < 0 ||
                   sig_trust_add_builder(t, VIEW("urn:builder")) < 0))
                abort();
        return t;
}

/* What lies behind proofs that a fuzzer can't forge. */
static void entry(const struct sig_bundle *b, const struct sig_log_entry *e, const struct sig_trust *t,
                  const struct sha256 *file) {
        struct sig_log_key log = {.key = t->keys[0]};
        struct fault why = FAULT_NONE;

        if (b->n_certificates > 0 && sig_body_check(b, e, b->certificates[0], file, &why) < 0 && !why.rule)
                abort();
        if (e->set.n > 0)
                (void)!sig_log_check_set(e, &log, NULL);
        (void)!sig_log_check_checkpoint(e->checkpoint, e->tree_size, e->root, &log, NULL);
        memcpy(log.id_of_key, e->checkpoint.n > 4 ? e->checkpoint.p : "1234", 4);
        log.is_ed25519 = true;
        (void)!sig_log_check_checkpoint(e->checkpoint, e->tree_size, e->root, &log, NULL);
}

static void certificates(const struct sig_bundle *b) {
        _cleanup_(sig_chain_donep) struct sig_chain c = {0};

        for (size_t i = 0; i < b->n_certificates; i++)
                if (sig_chain_build(b->certificates[i], NULL, 0, NULL, 0, 1750000000, &c, NULL) >= 0)
                        abort(); /* nobody is pinned */
}

static void check(const struct sig_bundle *b, struct sig_trust *t) {
        static const struct sha256 file = {{1, 2, 3}};
        struct sig_result result;
        struct fault why = FAULT_NONE;
        int r = sig_check_file(b, t, &file, 1750000000, &result, &why);

        if (r < 0 && r != -ENOMEM && !why.rule)
                abort(); /* a refusal must say why */
        for (size_t i = 0; i < b->n_entries; i++) {
                const struct sig_log_entry *e = &b->entries[i];

                entry(b, e, t, &file);
                (void)!sig_log_check_inclusion(e->body, e->proof_index, e->tree_size, e->path, e->n_path,
                                               e->root, NULL);
        }
}

static void statement(struct view text) {
        _cleanup_(sig_statement_freep) struct sig_statement *s = NULL;

        if (sig_statement_read(text, &s, NULL) < 0)
                return;
        for (size_t i = 0; i < s->n_resources; i++)
                if (!sig_path_is_safe(s->resources[i].path) && !view_eq_str(s->resources[i].path, "."))
                        abort();
}

/* Statements of others: subjects as files, a builder that is believed or not. */
static void intoto(struct view text, const struct sig_trust *t) {
        static const struct sha256 file = {{1, 2, 3}};
        struct fault why = FAULT_NONE;

        for (int one = 0; one < 2; one++) {
                _cleanup_(sig_statement_freep) struct sig_statement *s = NULL;
                struct view builder;
                int r = sig_intoto_files(text, t, one ? &file : NULL, &s, &builder, &why);

                if (r < 0 && r != -ENOMEM && !why.rule)
                        abort();
                for (size_t i = 0; r >= 0 && i < s->n_resources; i++)
                        if (!sig_path_is_safe(s->resources[i].path) &&
                            !view_eq_str(s->resources[i].path, "."))
                                abort();
        }
}

/* A bare envelope that nobody who is believed has signed never becomes a verdict. */
static void envelope(struct view text, const struct sig_trust *t) {
        _cleanup_(sig_bundle_freep) struct sig_bundle *b = NULL;
        struct sig_summary summary;
        struct fault why = FAULT_NONE;

        if (sig_envelope_read(text, &b, &why) < 0) {
                if (!why.rule && why.code != -ENOMEM)
                        abort();
                return;
        }
        intoto(b->payload, t);
        if (sig_summary_read(b, &t->keys[0], &summary, &why) >= 0)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        struct view text = view_make(data, n);
        _cleanup_(sig_bundle_freep) struct sig_bundle *b = NULL;
        _cleanup_(sig_root_freep) struct sig_root *root = NULL;
        struct fault why = FAULT_NONE;

        statement(text);
        intoto(text, trust_of_key());
        envelope(text, trust_of_key());
        (void)!sig_root_read(text, &root, NULL);
        if (sig_bundle_read(text, &b, &why) >= 0) {
                statement(b->payload);
                check(b, trust_of_key());
                certificates(b);
        } else if (!why.rule && why.code != -ENOMEM)
                abort();
        return 0;
}
