#include "model/sentencepiece.h"

#include "base/num.h"
#include "base/text.h"
#include "model/limits.h"

#define MESSAGE_MAX ((size_t)4 << 20) /* the table of characters of a normalizer has some 300 KB */
#define PIECE_MAX   65535u

enum { FIELD_PIECE = 1, FIELD_LAST = 5 };
enum { WIRE_NUMBER = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

#define REFUSE(p, ...)                                                                                       \
        ({                                                                                                   \
                report_put((p)->report, RULE_FOLDER_PIECES, (p)->at, VIEW_NULL, __VA_ARGS__);                \
                (p)->refused = true;                                                                         \
        })

bool sentencepiece_looks_like(struct view head) {
        size_t n = head.n > 1 ? (uint8_t)head.p[1] : 0;

        /* the first piece: a message of less than 128 bytes that begins with a text, and another one behind it */
        return head.n > 4 && head.p[0] == 0x0a && n < 128 && head.p[2] == 0x0a && (uint8_t)head.p[3] < n &&
               (head.n <= n + 2 || ((uint8_t)head.p[n + 2] & 7) == WIRE_BYTES);
}

void sentencepiece_init(struct sentencepiece *p, uint64_t size, struct model_report *report) {
        memset(p, 0, sizeof *p);
        p->report = report;
        p->size = size;
        p->message = BUF_INIT(MESSAGE_MAX);
}

void sentencepiece_done(struct sentencepiece *p) {
        buf_done(&p->message);
}

/* One field of a message in memory: its number, wire type and value. False when it is malformed. */
struct field {
        uint64_t number;
        unsigned wire;
        uint64_t value;    /* WIRE_NUMBER */
        struct view bytes; /* the others */
};

static bool take_number(struct view *v, uint64_t *ret) {
        uint64_t value = 0;

        for (size_t i = 0; i < MIN_OF(v->n, (size_t)10); i++) {
                uint8_t b = (uint8_t)v->p[i];

                if (i == 9 && b > 1)
                        return false;
                value |= (uint64_t)(b & 0x7f) << 7 * i;
                if (b & 0x80)
                        continue;
                if (b == 0 && i > 0) /* a longer spelling of a shorter number */
                        return false;
                *ret = value;
                *v = view_sub(*v, i + 1, SIZE_MAX);
                return true;
        }
        return false;
}

static bool take_field(struct view *v, struct field *ret) {
        uint64_t tag, n = 0;

        if (!take_number(v, &tag) || tag >> 3 == 0 || tag > UINT32_MAX)
                return false;
        *ret = (struct field){.number = tag >> 3, .wire = (unsigned)tag & 7};
        switch (ret->wire) {
        case WIRE_NUMBER:
                return take_number(v, &ret->value);
        case WIRE_64:
                n = 8;
                break;
        case WIRE_32:
                n = 4;
                break;
        case WIRE_BYTES:
                if (!take_number(v, &n))
                        return false;
                break;
        default:
                return false;
        }
        if (n > v->n)
                return false;
        ret->bytes = view_sub(*v, 0, (size_t)n);
        *v = view_sub(*v, (size_t)n, SIZE_MAX);
        return true;
}

/* SentencePiece: text = 1, score = 2 (float), type = 3 (1 to 6). */
static bool piece_is_sound(struct view v) {
        struct field f;
        unsigned seen = 0;

        while (v.n > 0) {
                if (!take_field(&v, &f) || f.number > 3 || (seen & 1u << f.number))
                        return false;
                seen |= 1u << f.number;
                if (f.number == 1 && (f.wire != WIRE_BYTES || f.bytes.n == 0 || f.bytes.n > PIECE_MAX ||
                                      utf8_first_fault(f.bytes) != SIZE_MAX))
                        return false;
                if (f.number == 2 &&
                    (f.wire != WIRE_32 || (load_le32(f.bytes.p) & 0x7f800000u) == 0x7f800000u))
                        return false;
                if (f.number == 3 && (f.wire != WIRE_NUMBER || f.value < 1 || f.value > 6))
                        return false;
        }
        return seen & 1u << 1;
}

/* The other messages: how the vocabulary was trained and how text is normalized. */
static bool message_is_sound(struct view v) {
        struct field f;

        while (v.n > 0)
                if (!take_field(&v, &f))
                        return false;
        return true;
}

static void end_message(struct sentencepiece *p) {
        struct view v = buf_view(&p->message);

        if (p->field == FIELD_PIECE ? !piece_is_sound(v) : !message_is_sound(v))
                REFUSE(p, "Entry %llu of the vocabulary is malformed.", (unsigned long long)p->pieces);
        if (p->field == FIELD_PIECE && ++p->pieces > SENTENCEPIECE_PIECES_MAX)
                REFUSE(p, "The vocabulary has more than %u pieces.", SENTENCEPIECE_PIECES_MAX);
        p->in_message = false;
        buf_clear(&p->message);
}

static void end_tag(struct sentencepiece *p) {
        uint64_t field = p->number >> 3;

        if ((p->number & 7) != WIRE_BYTES || field == 0 || field > FIELD_LAST) {
                REFUSE(p, "The vocabulary has a field (%llu) that none has.", (unsigned long long)field);
                return;
        }
        p->field = (unsigned)field;
        if (field != FIELD_PIECE && (p->seen & 1u << field))
                REFUSE(p, "The vocabulary has field %u twice.", p->field);
        p->seen |= 1u << field;
        p->in_length = true;
}

static void end_length(struct sentencepiece *p) {
        if (p->number > p->size - p->at || p->number > MESSAGE_MAX) {
                REFUSE(p, "An entry of the vocabulary announces %llu bytes.", (unsigned long long)p->number);
                return;
        }
        p->in_length = false;
        p->in_message = true;
        p->left = p->number;
}

static void take_digit(struct sentencepiece *p, uint8_t b) {
        p->at++;
        if (p->digits == 5 || (b == 0 && p->digits > 0)) {
                REFUSE(p, "A number is not written in its shortest form, or is too long.");
                return;
        }
        p->number |= (uint64_t)(b & 0x7f) << 7 * p->digits++;
        if (b & 0x80)
                return;
        if (p->in_length)
                end_length(p);
        else
                end_tag(p);
        p->number = p->digits = 0;
}

int sentencepiece_feed(struct sentencepiece *p, struct view bytes) {
        while (!p->refused && (bytes.n > 0 || (p->in_message && p->left == 0))) {
                struct view part;
                int r;

                if (!p->in_message) {
                        take_digit(p, (uint8_t)bytes.p[0]);
                        bytes = view_sub(bytes, 1, SIZE_MAX);
                        continue;
                }
                part = view_sub(bytes, 0, (size_t)MIN_OF(p->left, (uint64_t)bytes.n));
                r = buf_append_view(&p->message, part);
                if (r < 0)
                        return r;
                p->at += part.n;
                p->left -= part.n;
                bytes = view_sub(bytes, part.n, SIZE_MAX);
                if (p->left == 0)
                        end_message(p);
        }
        return 0;
}

void sentencepiece_finish(struct sentencepiece *p) {
        if (p->refused)
                return;
        if (p->in_message || p->in_length || p->digits > 0)
                REFUSE(p, "The vocabulary ends in the middle of an entry.");
        else if (p->pieces == 0)
                REFUSE(p, "The vocabulary is empty.");
}
