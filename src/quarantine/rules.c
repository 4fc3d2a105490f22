#include "quarantine/rules.h"

#include "base/buf.h"
#include "base/num.h"
#include "quarantine/limits.h"
#include "quarantine/magics.h"
#include "quarantine/text_runs.h"

#include <hs/hs.h>
#include <yara.h>

struct rule_info {
        char id[FINDING_RULE_MAX];
        char description[FINDING_MESSAGE_MAX];
        enum finding_severity severity;
};

struct rules {
        YR_RULES *yara;
        YR_SCANNER *scanner;
        struct rule_info *info;
        size_t n;
        size_t magics;
        size_t longest;
        size_t *literal_lengths; /* by Hyperscan id */
        hs_database_t *literals; /* the strings of all rules */
        hs_database_t *first;    /* magic numbers, and those strings that hold no run of text */
        hs_scratch_t *scratch;
        bool initialised;
};

struct compile_fault {
        char file[64];
        struct fault *out;
        bool failed;
};

static void on_compile_message(int level, const char *file, int line, const YR_RULE *rule,
                               const char *message, void *userdata) {
        struct compile_fault *c = userdata;

        if (level != YARA_ERROR_LEVEL_ERROR || c->failed)
                return;
        c->failed = true;
        (void)fault_set(c->out, -EBADMSG, "RULES-001", line > 0 ? (uint64_t)line : 0, "%s:%d: %.80s", c->file,
                        line, message);
}

/* Next file of the container; 0 at its end. */
static int next_file(struct view *container, struct view *ret_name, struct view *ret_text) {
        uint32_t name_n, text_n;

        if (container->n == 0)
                return 0;
        if (container->n < 8)
                return -EBADMSG;
        name_n = load_le32(container->p);
        text_n = load_le32(container->p + 4);
        if ((uint64_t)name_n + text_n > container->n - 8)
                return -EBADMSG;
        *ret_name = view_sub(*container, 8, name_n);
        *ret_text = view_sub(*container, 8 + (size_t)name_n, text_n);
        *container = view_sub(*container, 8 + (size_t)name_n + text_n, SIZE_MAX);
        return 1;
}

static int compile_files(YR_COMPILER *compiler, struct view container, struct fault *reterr) {
        struct compile_fault context = {.out = reterr};
        size_t files = 0;
        int r;

        yr_compiler_set_callback(compiler, on_compile_message, &context);
        yr_compiler_set_include_callback(compiler, NULL, NULL, NULL);
        for (;;) {
                _cleanup_(freep) char *source = NULL;
                struct view name, text;

                r = next_file(&container, &name, &text);
                if (r <= 0)
                        return r < 0 ? fault_set(reterr, r, "RULES-002", 0, "the rule container is damaged")
                                     : 0;
                if (++files > RULES_FILES_MAX)
                        return fault_set(reterr, -E2BIG, "RULES-003", 0, "more than %d rule files",
                                         RULES_FILES_MAX);
                (void)snprintf(context.file, sizeof context.file, "%.*s", (int)MIN_OF(name.n, (size_t)60),
                               name.p);
                source = view_dup(text);
                if (!source)
                        return fault_set(reterr, -EBADMSG, "RULES-002", 0, "%s: holds a NUL byte",
                                         context.file);
                if (yr_compiler_add_string(compiler, source, NULL) > 0)
                        return context.failed ? -EBADMSG
                                              : fault_set(reterr, -EBADMSG, "RULES-001", 0,
                                                          "%s: not valid YARA", context.file);
        }
}

static int compile(struct rules *r, struct view container, struct fault *reterr) {
        YR_COMPILER *compiler = NULL;
        int q;

        if (yr_initialize() != ERROR_SUCCESS)
                return -ENOMEM;
        r->initialised = true;
        if (yr_compiler_create(&compiler) != ERROR_SUCCESS)
                return -ENOMEM;
        q = compile_files(compiler, container, reterr);
        if (q >= 0 && yr_compiler_get_rules(compiler, &r->yara) != ERROR_SUCCESS)
                q = -ENOMEM;
        yr_compiler_destroy(compiler);
        return q;
}

static int read_severity(const char *text, enum finding_severity *ret) {
        for (int s = FINDING_INFO; s < FINDING_SEVERITY_MAX; s++)
                if (strcmp(text, finding_severity_name((enum finding_severity)s)) == 0) {
                        *ret = (enum finding_severity)s;
                        return 0;
                }
        return -EBADMSG;
}

static bool id_is_good(const char *id) {
        size_t n = strlen(id);

        if (n < 3 || n >= FINDING_RULE_MAX)
                return false;
        return strspn(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == n;
}

static int read_meta(const YR_RULE *rule, struct rule_info *info, struct fault *reterr) {
        const YR_META *meta;
        bool severity = false;

        yr_rule_metas_foreach(rule, meta) {
                if (meta->type != META_TYPE_STRING)
                        continue;
                if (strcmp(meta->identifier, "id") == 0 && id_is_good(meta->string))
                        (void)snprintf(info->id, sizeof info->id, "%s", meta->string);
                else if (strcmp(meta->identifier, "description") == 0)
                        (void)snprintf(info->description, sizeof info->description, "%s", meta->string);
                else if (strcmp(meta->identifier, "severity") == 0)
                        severity = read_severity(meta->string, &info->severity) == 0;
        }
        if (!info->id[0] || !info->description[0] || !severity)
                return fault_set(reterr, -EBADMSG, "RULES-004", 0,
                                 "rule %.40s: meta needs id (A-Z, 0-9, -), description and severity "
                                 "(info, warning, reject)",
                                 rule->identifier);
        return 0;
}

/* The list of literals while the database is being built. */
struct literals {
        char *text[RULES_LITERALS_MAX];
        unsigned flags[RULES_LITERALS_MAX];
        unsigned ids[RULES_LITERALS_MAX];
        size_t lengths[RULES_LITERALS_MAX];
        unsigned n;
};

static void literals_freep(struct literals **l) {
        if (*l)
                for (unsigned i = 0; i < (*l)->n; i++)
                        free((*l)->text[i]);
        free(*l);
        *l = NULL;
}

static int add_literal(struct literals *l, const uint8_t *p, size_t n, bool wide, bool caseless) {
        size_t step = wide ? 2 : 1;
        char *copy;

        if (l->n == RULES_LITERALS_MAX)
                return -E2BIG;
        copy = calloc(n, step);
        if (!copy)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                copy[i * step] = (char)p[i];
        l->text[l->n] = copy;
        l->flags[l->n] = caseless ? HS_FLAG_CASELESS : 0;
        l->ids[l->n] = l->n;
        l->lengths[l->n] = n * step;
        l->n++;
        return 0;
}

static int add_string(struct literals *l, const YR_RULE *rule, const YR_STRING *s, struct fault *reterr) {
        bool caseless = STRING_IS_NO_CASE(s) != 0;
        int r = 0;

        if (!STRING_IS_LITERAL(s) || STRING_IS_XOR(s) || STRING_IS_BASE64(s) || STRING_IS_BASE64_WIDE(s) ||
            STRING_IS_CHAIN_PART(s))
                return fault_set(
                        reterr, -EBADMSG, "RULES-005", 0,
                        "rule %.40s, string %.20s: only literal strings can be searched at memory speed "
                        "(no wildcards, xor, base64)",
                        rule->identifier, s->identifier);
        if (s->length < RULES_LITERAL_LEAST || s->length > RULES_LITERAL_MOST)
                return fault_set(reterr, -EBADMSG, "RULES-006", 0,
                                 "rule %.40s, string %.20s: %d bytes; it needs %d to %d", rule->identifier,
                                 s->identifier, s->length, RULES_LITERAL_LEAST, RULES_LITERAL_MOST);
        if (STRING_IS_WIDE(s))
                r = add_literal(l, s->string, (size_t)s->length, true, caseless);
        if (r >= 0 && (STRING_IS_ASCII(s) || !STRING_IS_WIDE(s)))
                r = add_literal(l, s->string, (size_t)s->length, false, caseless);
        return r < 0 ? fault_set(reterr, r, "RULES-003", 0, "more than %d strings", RULES_LITERALS_MAX) : 0;
}

static int check_rule(struct rules *r, struct literals *l, const YR_RULE *rule, struct fault *reterr) {
        struct rule_info *info = &r->info[r->n];
        const YR_STRING *s;
        int q;

        q = read_meta(rule, info, reterr);
        if (q < 0)
                return q;
        for (size_t i = 0; i < r->n; i++)
                if (strcmp(r->info[i].id, info->id) == 0)
                        return fault_set(reterr, -EBADMSG, "RULES-007", 0, "rule %.40s: id %s is taken",
                                         rule->identifier, info->id);
        if (!rule->strings)
                return fault_set(reterr, -EBADMSG, "RULES-008", 0, "rule %.40s has no strings",
                                 rule->identifier);
        yr_rule_strings_foreach(rule, s) {
                q = add_string(l, rule, s, reterr);
                if (q < 0)
                        return q;
        }
        r->n++;
        return 0;
}

static int add_magics(struct rules *r, struct literals *l) {
        const struct magic *m = magics(&r->magics);
        int q = 0;

        for (size_t i = 0; i < r->magics && q >= 0; i++)
                q = add_literal(l, (const uint8_t *)m[i].bytes.p, m[i].bytes.n, false, false);
        return q;
}

/* Such a string can only stand where text_runs finds one. */
static bool holds_text(const char *text, size_t n) {
        size_t start, end;

        return text_run_next(view_make(text, n), 0, &start, &end);
}

static int compile_some(const struct literals *l, const unsigned *which, unsigned n, hs_database_t **ret,
                        struct fault *reterr) {
        _cleanup_(literals_freep) struct literals *part = calloc(1, sizeof *part);
        hs_compile_error_t *error = NULL;
        hs_error_t e;

        if (!part)
                return -ENOMEM;
        for (unsigned i = 0; i < n; i++) { /* borrowed: part->n stays 0, so nothing is freed twice */
                part->text[i] = l->text[which[i]];
                part->flags[i] = l->flags[which[i]];
                part->ids[i] = l->ids[which[i]];
                part->lengths[i] = l->lengths[which[i]];
        }
        e = hs_compile_lit_multi((const char *const *)part->text, part->flags, part->ids, part->lengths, n,
                                 HS_MODE_BLOCK, NULL, ret, &error);
        if (e == HS_SUCCESS)
                return 0;
        (void)fault_set(reterr, -EBADMSG, "RULES-009", 0, "literal matcher: %.100s",
                        error ? error->message : "unknown fault");
        hs_free_compile_error(error);
        return -EBADMSG;
}

static int build_databases(struct rules *r, const struct literals *l, struct fault *reterr) {
        _cleanup_(freep) unsigned *which = calloc(l->n, sizeof *which);
        unsigned n = 0;
        int q;

        if (!which)
                return -ENOMEM;
        for (unsigned i = (unsigned)r->magics; i < l->n; i++)
                which[n++] = i;
        q = compile_some(l, which, n, &r->literals, reterr);
        if (q < 0)
                return q;
        n = 0;
        for (unsigned i = 0; i < l->n; i++)
                if (i < r->magics || !holds_text(l->text[i], l->lengths[i]))
                        which[n++] = i;
        q = compile_some(l, which, n, &r->first, reterr);
        if (q < 0)
                return q;
        return hs_alloc_scratch(r->literals, &r->scratch) == HS_SUCCESS &&
                               hs_alloc_scratch(r->first, &r->scratch) == HS_SUCCESS
                       ? 0
                       : -ENOMEM;
}

static int build_matcher(struct rules *r, const struct literals *l, struct fault *reterr) {

        r->literal_lengths = calloc(l->n, sizeof *r->literal_lengths);
        if (!r->literal_lengths)
                return -ENOMEM;
        for (unsigned i = 0; i < l->n; i++) {
                r->literal_lengths[i] = l->lengths[i];
                r->longest = MAX_OF(r->longest, l->lengths[i]);
        }
        return build_databases(r, l, reterr);
}

static int check_rules(struct rules *r, struct fault *reterr) {
        _cleanup_(literals_freep) struct literals *l = calloc(1, sizeof *l);
        const YR_RULE *rule;
        int q;

        if (!l)
                return -ENOMEM;
        r->info = calloc(RULES_COUNT_MAX, sizeof *r->info);
        if (!r->info)
                return -ENOMEM;
        q = add_magics(r, l);
        if (q < 0)
                return q;
        yr_rules_foreach(r->yara, rule) {
                if (r->n == RULES_COUNT_MAX)
                        return fault_set(reterr, -E2BIG, "RULES-003", 0, "more than %d rules",
                                         RULES_COUNT_MAX);
                q = check_rule(r, l, rule, reterr);
                if (q < 0)
                        return q;
        }
        return build_matcher(r, l, reterr);
}

struct scan_call {
        struct rules *rules;
        rules_found found;
        void *userdata;
        bool imports;
};

/* libyara packs its matches without regard to alignment: they are copied out. */
static int64_t least_offset(const YR_MATCH *match, int64_t least) {
        YR_MATCH m;

        for (; match; match = m.next) {
                memcpy(&m, (const void *)match, sizeof m);
                least = MIN_OF(least, m.base + m.offset);
        }
        return least;
}

static size_t first_match(YR_SCAN_CONTEXT *context, YR_RULE *rule) {
        int64_t least = INT64_MAX;
        YR_STRING *s;

        yr_rule_strings_foreach(rule, s) {
                least = least_offset(context->matches[s->idx].head, least);
        }
        return least == INT64_MAX || least < 0 ? 0 : (size_t)least;
}

static int on_scan_message(YR_SCAN_CONTEXT *context, int message, void *data, void *userdata) {
        struct scan_call *c = userdata;
        struct rule_match m;
        YR_RULE *rule = data;

        if (message == CALLBACK_MSG_IMPORT_MODULE) {
                c->imports = true;
                return CALLBACK_ABORT;
        }
        if (message != CALLBACK_MSG_RULE_MATCHING)
                return CALLBACK_CONTINUE;
        m.index = (unsigned)(rule - c->rules->yara->rules_table);
        if (m.index >= c->rules->n)
                return CALLBACK_ERROR;
        m.id = c->rules->info[m.index].id;
        m.description = c->rules->info[m.index].description;
        m.severity = c->rules->info[m.index].severity;
        m.at = first_match(context, rule);
        if (c->found)
                c->found(&m, c->userdata);
        return CALLBACK_CONTINUE;
}

static int scan_window(struct rules *r, struct view window, struct scan_call *call) {
        int q;

        yr_scanner_set_callback(r->scanner, on_scan_message, call);
        q = yr_scanner_scan_mem(r->scanner, (const uint8_t *)(window.p ? window.p : ""), window.n);
        switch (q) {
        case ERROR_SUCCESS:
        case ERROR_TOO_MANY_MATCHES: /* of one string; the others were still looked at */
                return 0;
        case ERROR_INSUFFICIENT_MEMORY:
                return -ENOMEM;
        default:
                return -EIO;
        }
}

int rules_scan_window(struct rules *r, struct view window, rules_found found, void *userdata) {
        struct scan_call call = {.rules = r, .found = found, .userdata = userdata};

        return scan_window(r, window, &call);
}

static void remember_match(const struct rule_match *m, void *userdata) {
        *(const char **)userdata = m->id;
}

/* What the literal matcher can't find it can't hand to YARA: a rule that is true for bytes without any of its strings
 * would silently never be tried. */
static int refuse_rules_without_need_of_strings(struct rules *r, struct fault *reterr) {
        _cleanup_(freep) char *zeros = calloc(1, SCAN_WINDOW_REACH);
        const size_t sizes[] = {0, 1, SCAN_WINDOW_REACH};

        if (!zeros)
                return -ENOMEM;
        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
                const char *id = NULL;
                struct scan_call call = {.rules = r, .found = remember_match, .userdata = &id};
                int q = scan_window(r, view_make(zeros, sizes[i]), &call);

                if (call.imports)
                        return fault_set(reterr, -EBADMSG, "RULES-010", 0, "rules must not import modules");
                if (q < 0)
                        return q;
                if (id)
                        return fault_set(reterr, -EBADMSG, "RULES-011", 0,
                                         "rule %s matches without any of its strings", id);
        }
        return 0;
}

static int make_scanner(struct rules *r) {
        if (yr_scanner_create(r->yara, &r->scanner) != ERROR_SUCCESS)
                return -ENOMEM;
        yr_scanner_set_flags(r->scanner, SCAN_FLAGS_REPORT_RULES_MATCHING | SCAN_FLAGS_NO_TRYCATCH);
        return 0;
}

int rules_load(struct view container, struct rules **ret, struct fault *reterr) {
        _cleanup_(rules_freep) struct rules *r = calloc(1, sizeof *r);
        int q;

        if (!r)
                return -ENOMEM;
        q = compile(r, container, reterr);
        if (q >= 0)
                q = check_rules(r, reterr);
        if (q >= 0)
                q = make_scanner(r);
        if (q >= 0)
                q = refuse_rules_without_need_of_strings(r, reterr);
        if (q < 0)
                return q;
        *ret = TAKE_PTR(r);
        return 0;
}

struct rules *rules_free(struct rules *r) {
        if (!r)
                return NULL;
        if (r->scanner)
                yr_scanner_destroy(r->scanner);
        if (r->yara)
                yr_rules_destroy(r->yara);
        if (r->initialised)
                (void)yr_finalize();
        hs_free_scratch(r->scratch);
        hs_free_database(r->literals);
        hs_free_database(r->first);
        free(r->literal_lengths);
        free(r->info);
        free(r);
        return NULL;
}

size_t rules_count(const struct rules *r) {
        return r->n;
}

size_t rules_literal_longest(const struct rules *r) {
        return r->longest;
}

/* Where strings of rules can be, in any order. */
struct region {
        size_t start, end;
};

struct match_call {
        const struct rules *rules;
        rules_hit hit;
        void *userdata;
        size_t base; /* of the bytes that are searched, in those that were given */
        struct region regions[RULES_REGIONS_MAX];
        size_t n;
        bool too_many;
};

static void add_region(struct match_call *c, size_t start, size_t end) {
        if (c->n == RULES_REGIONS_MAX)
                c->too_many = true;
        else
                c->regions[c->n++] = (struct region){start, end};
}

static int on_literal(unsigned id, unsigned long long from, unsigned long long to, unsigned flags,
                      void *userdata) {
        const struct match_call *c = userdata;
        size_t n = c->rules->literal_lengths[id];

        c->hit(c->base + (size_t)to - n, c->base + (size_t)to, -1, c->userdata);
        return 0;
}

static int on_first(unsigned id, unsigned long long from, unsigned long long to, unsigned flags,
                    void *userdata) {
        struct match_call *c = userdata;
        size_t n = c->rules->literal_lengths[id];

        if (id < c->rules->magics)
                c->hit((size_t)to - n, (size_t)to, (int)id, c->userdata);
        else
                add_region(c, (size_t)to - n, (size_t)to);
        return 0;
}

/* A string lies around a run of text, and reaches beyond it by less than its own length. */
static void add_text(struct match_call *c, struct view bytes) {
        size_t reach = c->rules->longest, start, end;

        for (size_t at = 0; !c->too_many && text_run_next(bytes, at, &start, &end); at = end)
                add_region(c, start - MIN_OF(start, reach), end + MIN_OF(bytes.n - end, reach));
}

static int compare_regions(const void *a, const void *b) {
        const struct region *x = a, *y = b;

        return x->start < y->start ? -1 : x->start > y->start;
}

static int search(struct match_call *c, struct view bytes, size_t start, size_t end) {
        c->base = start;
        return hs_scan(c->rules->literals, bytes.p + start, (unsigned)(end - start), 0, c->rules->scratch,
                       on_literal, c) == HS_SUCCESS
                       ? 0
                       : -EIO;
}

/* Regions that overlap or touch are one: each string is found once, in order. */
static int search_regions(struct match_call *c, struct view bytes) {
        int r = 0;

        if (c->too_many)
                return search(c, bytes, 0, bytes.n);
        qsort(c->regions, c->n, sizeof *c->regions, compare_regions);
        for (size_t i = 0; i < c->n && r >= 0;) {
                size_t start = c->regions[i].start, end = c->regions[i].end;

                for (i++; i < c->n && c->regions[i].start <= end; i++)
                        end = MAX_OF(end, c->regions[i].end);
                r = search(c, bytes, start, end);
        }
        return r;
}

int rules_match_literals(struct rules *r, struct view bytes, rules_hit hit, void *userdata) {
        static __thread struct match_call call; /* large */

        if (bytes.n > UINT32_MAX)
                return -E2BIG;
        call.rules = r;
        call.hit = hit;
        call.userdata = userdata;
        call.n = 0;
        call.too_many = false;
        if (hs_scan(r->first, bytes.p, (unsigned)bytes.n, 0, r->scratch, on_first, &call) != HS_SUCCESS)
                return -EIO;
        add_text(&call, bytes);
        return search_regions(&call, bytes);
}
