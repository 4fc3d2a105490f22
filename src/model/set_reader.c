#include "model/set_reader.h"

#include "model/png_walk.h"
#include "model/pickle.h"
#include "model/sentencepiece.h"
#include "model/set_json.h"
#include "model/set_parts.h"
#include "model/template.h"
#include "model/utf8_stream.h"
#include "base/num.h"

enum content {
        CONTENT_NONE, /* already refused, or weights */
        CONTENT_JSON,
        CONTENT_TEXT,
        CONTENT_TEMPLATE,
        CONTENT_PIECES,
        CONTENT_PICTURE,
        CONTENT_NUMBERS
};

struct set_reader {
        struct model_set *set;
        uint32_t member;
        struct model_report *report; /* the scan's */
        enum content content;
        bool refused;
        uint64_t at;
        struct set_json *json;
        struct utf8_stream utf8;
        struct buf text; /* of a template */
        struct sentencepiece pieces;
        struct png_walk png;
        struct pickle pickle;
        uint8_t word[4];
};

int set_reader_new(struct model_set *set, uint32_t member, struct set_reader **ret) {
        struct set_reader *r = calloc(1, sizeof *r);

        if (!r)
                return -ENOMEM;
        r->set = set;
        r->member = member;
        r->text = BUF_INIT(TEMPLATE_MAX);
        *ret = r;
        return 0;
}

struct set_reader *set_reader_free(struct set_reader *r) {
        if (r) {
                set_json_free(r->json);
                sentencepiece_done(&r->pieces);
                buf_done(&r->text);
                free(r);
        }
        return NULL;
}

/* Kinds that are refused with their own words, because opening them could run something or unpack it. */
static bool kind_is_mild(enum model_kind k) {
        return k == MODEL_KIND_UNKNOWN || k == MODEL_KIND_JSON || k == MODEL_KIND_TEXT ||
               k == MODEL_KIND_IMAGE || k == MODEL_KIND_SENTENCEPIECE || k == MODEL_KIND_NUMBERS;
}

/* What may be in a member that is named like this. */
static enum content content_of(enum set_file file, enum model_kind k) {
        switch (file) {
        case SET_FILE_JSON:
                return k == MODEL_KIND_JSON ? CONTENT_JSON : CONTENT_NONE;
        case SET_FILE_TEXT:
                return k == MODEL_KIND_JSON || k == MODEL_KIND_TEXT ? CONTENT_TEXT : CONTENT_NONE;
        case SET_FILE_TEMPLATE:
                return k == MODEL_KIND_JSON || k == MODEL_KIND_TEXT ? CONTENT_TEMPLATE : CONTENT_NONE;
        case SET_FILE_PIECES:
                return k == MODEL_KIND_SENTENCEPIECE ? CONTENT_PIECES
                       : k == MODEL_KIND_TEXT        ? CONTENT_TEXT
                                                     : CONTENT_NONE;
        case SET_FILE_PICTURE:
                return k == MODEL_KIND_IMAGE ? CONTENT_PICTURE : CONTENT_NONE;
        case SET_FILE_NUMBERS:
                return k == MODEL_KIND_NUMBERS ? CONTENT_NUMBERS : CONTENT_NONE;
        default:
                return CONTENT_NONE;
        }
}

static bool is_text(enum set_file file) {
        return file == SET_FILE_TEXT || file == SET_FILE_PIECES || file == SET_FILE_TEMPLATE;
}

/* Python would import a name from these bytes: a module and an object, as they are written in Python. */
static bool imports_a_name(const struct pickle *p) {
        if (p->state != PICKLE_IMPORTS)
                return false;
        for (const char *c = p->name; *c; c++)
                if (!((*c | 0x20) >= 'a' && (*c | 0x20) <= 'z') && !(*c >= '0' && *c <= '9') && *c != '_' &&
                    *c != '.')
                        return false;
        return true;
}

/* One text in a hundred begins with letters that are also opcodes of a pickle up to its end mark ("GIT v1.5.0.1"). It counts
 * as one only when something would be imported; without that nothing can run. */
static bool is_text_after_all(struct view head) {
        struct pickle p;

        pickle_init(&p);
        pickle_feed(&p, head);
        return head.n > 0 && (uint8_t)head.p[0] != 0x80 && !imports_a_name(&p);
}

/* Some formats have no mark of their own; the name says which one to look for. */
static enum model_kind refine(enum set_file file, enum model_kind k, struct view head) {
        if (file == SET_FILE_PIECES && k == MODEL_KIND_UNKNOWN && sentencepiece_looks_like(head))
                return MODEL_KIND_SENTENCEPIECE;
        if (file == SET_FILE_NUMBERS && (k == MODEL_KIND_UNKNOWN || k == MODEL_KIND_ONNX))
                return MODEL_KIND_NUMBERS;
        if (is_text(file) && k == MODEL_KIND_PICKLE && is_text_after_all(head))
                return MODEL_KIND_TEXT;
        return k;
}

static uint64_t size_limit(enum content c) {
        return c == CONTENT_PICTURE    ? MODEL_SET_PICTURE_MAX
               : c == CONTENT_NUMBERS  ? MODEL_SET_NUMBERS_MAX
               : c == CONTENT_TEMPLATE ? TEMPLATE_MAX
                                       : MODEL_SET_TEXT_MAX;
}

static int start(struct set_reader *r, uint64_t size) {
        switch (r->content) {
        case CONTENT_JSON:
                return set_json_new(r->set, r->member, r->report, &r->json);
        case CONTENT_PIECES:
                sentencepiece_init(&r->pieces, size, r->report);
                break;
        case CONTENT_PICTURE:
                png_walk_init(&r->png, size, r->report);
                break;
        default:
                break;
        }
        pickle_init(&r->pickle);
        return 0;
}

int set_reader_begin(struct set_reader *r, struct view head, struct model_report *report,
                     struct model_summary *summary) {
        enum set_file file = (enum set_file)set_get(r->set, r->member)->file;
        int e;

        r->report = report;
        summary->kind = refine(file, summary->kind, head);
        r->content = content_of(file, summary->kind);
        if (r->content == CONTENT_NONE) {
                if (file == SET_FILE_SAFETENSORS || file == SET_FILE_GGUF || !kind_is_mild(summary->kind))
                        return 0;
                report_put(report, RULE_FOLDER_CONTENT, 0, VIEW_NULL,
                           "The content is not what a file of this name holds, but: %s.",
                           model_kind_title(summary->kind));
                return 1;
        }
        if (summary->size > size_limit(r->content)) {
                report_put(report, RULE_FOLDER_LIMIT, REPORT_WHOLE, VIEW_NULL,
                           "The file has %llu bytes; of its kind at most %llu are read.",
                           (unsigned long long)summary->size, (unsigned long long)size_limit(r->content));
                r->content = CONTENT_NONE;
                return 1;
        }
        e = start(r, summary->size);
        return e < 0 ? e : 1;
}

#define REFUSE(r, rule, at, ...)                                                                             \
        ({                                                                                                   \
                report_put((r)->report, rule, at, VIEW_NULL, __VA_ARGS__);                                   \
                (r)->refused = true;                                                                         \
        })

static size_t control_at(struct view v) {
        for (size_t i = 0; i < v.n; i++)
                if ((uint8_t)v.p[i] < ' ' && (!v.p[i] || !strchr("\t\n\r\f\v", v.p[i])))
                        return i;
        return SIZE_MAX;
}

static void feed_text(struct set_reader *r, struct view bytes) {
        size_t bad;

        pickle_feed(&r->pickle, bytes);
        if (r->refused)
                return;
        bad = control_at(bytes);
        if (bad != SIZE_MAX)
                REFUSE(r, RULE_FOLDER_TEXT, r->at + bad, "A text has the control character 0x%02x.",
                       (unsigned)(uint8_t)bytes.p[bad]);
        bad = r->refused ? SIZE_MAX : utf8_stream_feed(&r->utf8, bytes);
        if (bad != SIZE_MAX)
                REFUSE(r, RULE_FOLDER_TEXT, r->at + bad, "A text is not UTF-8.");
}

/* Little-endian words that are numbers: finite and of a sensible size, or small whole ones. */
static bool word_is_number(const uint8_t *p) {
        uint32_t word = load_le32(p), exponent = word >> 23 & 0xff;

        return word < UINT32_C(1) << 24 || (exponent >= 127 - 60 && exponent <= 127 + 30);
}

static void feed_numbers(struct set_reader *r, struct view bytes) {
        pickle_feed(&r->pickle, bytes);
        for (size_t i = 0; i < bytes.n && !r->refused; i++) {
                r->word[(r->at + i) % 4] = (uint8_t)bytes.p[i];
                if ((r->at + i) % 4 == 3 && !word_is_number(r->word))
                        REFUSE(r, RULE_FOLDER_NUMBERS, r->at + i - 3, "Not all of this are plain numbers.");
        }
}

int set_reader_feed(struct set_reader *r, struct view bytes) {
        int e = 0;

        switch (r->content) {
        case CONTENT_JSON:
                e = set_json_feed(r->json, bytes);
                break;
        case CONTENT_TEMPLATE:
                e = buf_append_view(&r->text, bytes);
                __attribute__((fallthrough));
        case CONTENT_TEXT:
                feed_text(r, bytes);
                break;
        case CONTENT_PIECES:
                e = sentencepiece_feed(&r->pieces, bytes);
                break;
        case CONTENT_PICTURE:
                png_walk_feed(&r->png, bytes);
                break;
        case CONTENT_NUMBERS:
                feed_numbers(r, bytes);
                break;
        default:
                break;
        }
        r->at += bytes.n;
        return e;
}

static void finish_text(struct set_reader *r) {
        if (!r->refused && !utf8_stream_complete(&r->utf8))
                REFUSE(r, RULE_FOLDER_TEXT, r->at, "A text ends in the middle of a character.");
        if (!r->refused && imports_a_name(&r->pickle))
                REFUSE(r, RULE_FOLDER_TEXT, 0, "The text is also a Python pickle that imports \"%s\".",
                       report_quote(view_of(r->pickle.name)).text);
        if (!r->refused && r->content == CONTENT_TEMPLATE) {
                template_note(&r->set->summary, buf_view(&r->text));
                template_check(r->report, buf_view(&r->text),
                               report_quote(set_path(r->set, set_get(r->set, r->member))).text, 0);
        }
}

static void finish_numbers(struct set_reader *r) {
        if (r->refused)
                return;
        if (r->at % 4 != 0 || r->pickle.state == PICKLE_IMPORTS || r->pickle.state == PICKLE_STOPPED)
                REFUSE(r, RULE_FOLDER_NUMBERS, REPORT_WHOLE,
                       "These are no plain numbers of four bytes each.");
}

int set_reader_finish(struct set_reader *r) {
        switch (r->content) {
        case CONTENT_JSON:
                return set_json_finish(r->json);
        case CONTENT_TEMPLATE:
        case CONTENT_TEXT:
                finish_text(r);
                break;
        case CONTENT_PIECES:
                sentencepiece_finish(&r->pieces);
                break;
        case CONTENT_PICTURE:
                png_walk_finish(&r->png);
                break;
        case CONTENT_NUMBERS:
                finish_numbers(r);
                break;
        default:
                break;
        }
        return 0;
}
