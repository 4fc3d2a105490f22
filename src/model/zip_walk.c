#include "model/zip_walk.h"

#include "base/buf.h"
#include "base/hash_set.h"
#include "base/num.h"
#include "base/text.h"
#include "model/keras.h"
#include "model/limits.h"
#include "model/npy.h"
#include "model/pickle_machine.h"
#include "model/torchscript.h"

/* Signatures and the fixed bytes behind them (APPNOTE 6.3.10, section 4.3). */
enum record { RECORD_LOCAL, RECORD_CENTRAL, RECORD_END, RECORD_END_64, RECORD_LOCATOR_64, RECORD_MAX };
static const struct {
        uint32_t signature;
        uint8_t fixed; /* with the signature */
        const char *name;
} records[RECORD_MAX] = {
        [RECORD_LOCAL] = {0x04034b50, 30, "member"},
        [RECORD_CENTRAL] = {0x02014b50, 46, "directory entry"},
        [RECORD_END] = {0x06054b50, 22, "end record"},
        [RECORD_END_64] = {0x06064b50, 56, "64-bit end record"},
        [RECORD_LOCATOR_64] = {0x07064b50, 20, "64-bit locator"},
};

enum phase {
        PHASE_SIGNATURE,
        PHASE_FIXED,
        PHASE_VARIABLE,
        PHASE_DATA,       /* of a known length */
        PHASE_SEARCH,     /* up to a descriptor that fits */
        PHASE_DESCRIPTOR, /* behind data of a known length */
        PHASE_ENDED,      /* behind the end record */
        PHASE_OVER
};

#define FLAG_ENCRYPTED  0x0001u
#define FLAG_DESCRIPTOR 0x0008u
#define FLAG_UTF8       0x0800u
#define FLAG_MASKED     0x2000u
#define METHOD_STORED   0u
#define EXTRA_ZIP64     1u
#define SIZE_ELSEWHERE  UINT32_MAX /* in the ZIP64 extra field */
#define EMPTY_DEFLATED  2u         /* bytes: more without content can only be the 64-bit form */
#define DESCRIPTOR_32   16u
#define DESCRIPTOR_64   24u

struct member {
        uint64_t at; /* of its local header */
        uint64_t packed, plain;
        uint32_t crc, name;
        uint16_t name_n, method, flags;
        bool listed;
};

struct zip_walk {
        struct model_report *report;
        uint64_t size, at;
        uint64_t record_at; /* where the record being read begins */
        uint64_t left;      /* data still to come */
        uint64_t data_at;
        uint64_t central_at, central_n, end_64_at;
        enum phase phase;
        enum record record;
        size_t head_n, held_n, variable_want;
        uint32_t n, room, listed, pickles, arrays, scripts;
        bool in_directory, has_end_64, has_locator, ended, wide, unpacked;
        struct member *members;
        struct hash_set *names;
        struct buf texts, variable;
        struct pickle_machine *pickle; /* of the member that is read */
        struct npy *npy;
        struct keras *keras;
        char head[64];
        char held[DESCRIPTOR_64]; /* bytes that may be a descriptor */
};

int zip_walk_new(struct model_report *report, uint64_t size, bool unpacked, struct zip_walk **ret) {
        struct zip_walk *z = calloc(1, sizeof *z);
        int r;

        if (!z)
                return -ENOMEM;
        z->report = report;
        z->size = size;
        z->unpacked = unpacked;
        z->texts = BUF_INIT(ZIP_NAMES_MAX);
        z->variable = BUF_INIT(ZIP_VARIABLE_MAX);
        r = hash_set_new(ZIP_MEMBERS_MAX, &z->names);
        if (r < 0) {
                zip_walk_free(z);
                return r;
        }
        *ret = z;
        return 0;
}

struct zip_walk *zip_walk_free(struct zip_walk *z) {
        if (z) {
                pickle_machine_free(z->pickle);
                npy_free(z->npy);
                keras_free(z->keras);
                hash_set_free(z->names);
                buf_done(&z->texts);
                buf_done(&z->variable);
                free(z->members);
                free(z);
        }
        return NULL;
}

#define put(z, rule, ...) report_put((z)->report, (rule), (z)->record_at, VIEW_NULL, __VA_ARGS__)

static void stop(struct zip_walk *z, enum model_rule rule, const char *why) {
        z->phase = PHASE_OVER;
        if (z->size == UINT64_MAX)
                put(z, rule, "%s; what follows is not read.", why);
        else
                put(z, rule, "%s; %llu bytes from here on are not read.", why,
                    (unsigned long long)(z->size - z->record_at));
}

static struct view name_of(const struct zip_walk *z, const struct member *m) {
        return view_sub(buf_view(&z->texts), m->name, m->name_n);
}

static struct member *current(struct zip_walk *z) {
        return &z->members[z->n - 1];
}

/* Names that unpack somewhere else, or that look like another one. */
static const char *name_fault(struct view name) {
        struct view rest = name, part;

        if (name.n == 0)
                return "is empty";
        if (name.p[0] == '/' || (name.n > 1 && name.p[1] == ':'))
                return "is absolute";
        if (utf8_first_fault(name) != SIZE_MAX)
                return "is not UTF-8";
        for (size_t i = 0; i < name.n; i++)
                if ((uint8_t)name.p[i] < ' ' || name.p[i] == 0x7f || name.p[i] == '\\')
                        return "holds a control character or a backslash";
        while (view_split(&rest, '/', &part))
                if (view_eq_str(part, ".."))
                        return "leads upwards with '..'";
        return view_eq_str(rest, "..") ? "leads upwards with '..'" : NULL;
}

static void check_name(struct zip_walk *z, struct view name) {
        const char *fault = name_fault(name);

        if (fault)
                put(z, RULE_ZIP_NAME, "The member's name \"%s\" %s.", report_quote(name).text, fault);
}

/* Also the tables of lines that TorchScript keeps beside its code. */
static bool is_pickle(struct view name) {
        return view_ends(name, VIEW(".pkl")) || view_ends(name, VIEW(".pickle")) ||
               view_ends(name, VIEW(".debug_pkl"));
}

static bool is_description(struct view name) {
        return view_eq_str(name, "config.json"); /* Keras 3 */
}

bool zip_walk_follows(struct view name) {
        return is_pickle(name) || view_ends(name, VIEW(".npy")) || is_description(name);
}

/* ---- members ---- */

static int add_member(struct zip_walk *z, struct member m, struct view name) {
        int r;

        if (z->n == ZIP_MEMBERS_MAX || name.n > ZIP_NAME_MAX || name.n > ZIP_NAMES_MAX - z->texts.n) {
                stop(z, RULE_ZIP_LIMIT, "More members or longer names than are followed");
                return 0;
        }
        if (z->n == z->room) {
                uint32_t room = z->room ? z->room * 2 : 64;
                struct member *p = reallocarray(z->members, room, sizeof *p);

                if (!p)
                        return -ENOMEM;
                z->members = p;
                z->room = room;
        }
        r = hash_set_add(z->names, name);
        if (r < 0)
                return r;
        if (r == 0)
                put(z, RULE_ZIP_DUPLICATE, "A second member has the name \"%s\".", report_quote(name).text);
        m.name = (uint32_t)z->texts.n;
        m.name_n = (uint16_t)name.n;
        z->members[z->n++] = m;
        return buf_append_view(&z->texts, name);
}

/* The 64-bit sizes of an extra field stand there in this order, each only when its 32 bits are all ones. */
static bool widen(struct view extra, uint64_t *values[], size_t n) {
        while (extra.n >= 4) {
                uint16_t id = load_le16(extra.p), size = load_le16(extra.p + 2);
                struct view body = view_sub(extra, 4, size);

                if (body.n < size)
                        return false;
                for (size_t i = 0; id == EXTRA_ZIP64 && i < n; i++) {
                        if (*values[i] != SIZE_ELSEWHERE)
                                continue;
                        if (body.n < 8)
                                return false;
                        *values[i] = load_le64(body.p);
                        body = view_sub(body, 8, SIZE_MAX);
                }
                extra = view_sub(extra, 4 + (size_t)size, SIZE_MAX);
        }
        return true;
}

/* Which reader follows this member, if any. */
static int open_member(struct zip_walk *z, struct view name) {
        const struct member *m = current(z);
        uint64_t size = z->phase == PHASE_SEARCH ? PICKLE_SIZE_UNKNOWN : z->left;
        bool pickle = is_pickle(name), array = view_ends(name, VIEW(".npy"));
        bool described = is_description(name);

        z->pickles += pickle;
        z->arrays += array;
        z->scripts += !pickle && !array && torchscript_is_code(name);
        if (m->flags & (FLAG_ENCRYPTED | FLAG_MASKED))
                put(z, RULE_ZIP_CLOSED, "The member \"%s\" is encrypted.", report_quote(name).text);
        else if (m->method != METHOD_STORED && !z->unpacked && zip_walk_follows(name))
                put(z, RULE_ZIP_CLOSED, "The member \"%s\" is compressed and not looked into.",
                    report_quote(name).text);
        else if (m->method != METHOD_STORED)
                return 0;
        else if (pickle)
                return pickle_machine_new(z->report, z->data_at, size, &z->pickle);
        else if (array)
                return npy_new(z->report, z->data_at, size, &z->npy);
        else if (described)
                return keras_new(z->report, z->data_at, &z->keras);
        return 0;
}

static int read_member(struct zip_walk *z, struct view data) {
        if (z->pickle)
                return pickle_machine_feed(z->pickle, data);
        if (z->keras)
                keras_feed(z->keras, data);
        return z->npy ? npy_feed(z->npy, data) : 0;
}

static void close_member(struct zip_walk *z) {
        if (z->pickle)
                pickle_machine_finish(z->pickle);
        if (z->npy)
                npy_finish(z->npy);
        z->pickle = pickle_machine_free(z->pickle);
        if (z->keras)
                keras_finish(z->keras);
        z->npy = npy_free(z->npy);
        z->keras = keras_free(z->keras);
        z->phase = PHASE_SIGNATURE;
        z->head_n = 0;
}

static int take_local(struct zip_walk *z) {
        const char *p = z->head;
        struct view name = view_sub(buf_view(&z->variable), 0, load_le16(p + 26));
        struct view extra = view_sub(buf_view(&z->variable), name.n, SIZE_MAX);
        struct member m = {.at = z->record_at,
                           .flags = load_le16(p + 6),
                           .method = load_le16(p + 8),
                           .crc = load_le32(p + 14),
                           .packed = load_le32(p + 18),
                           .plain = load_le32(p + 22)};
        uint64_t *wide[] = {&m.plain, &m.packed};
        int r;

        check_name(z, name);
        z->wide = m.packed == SIZE_ELSEWHERE || m.plain == SIZE_ELSEWHERE;
        if (!widen(extra, wide, ARRAY_SIZE(wide)))
                put(z, RULE_ZIP_STRUCTURE, "The member's extra fields are cut off.");
        r = add_member(z, m, name);
        if (r < 0 || z->phase == PHASE_OVER)
                return r;
        z->data_at = z->at;
        z->left = m.packed;
        z->held_n = 0;
        if (m.flags & FLAG_DESCRIPTOR && m.packed == 0 && m.crc == 0) {
                z->left = 0;
                z->phase = PHASE_SEARCH;
        } else if (m.packed > z->size - z->at) {
                stop(z, RULE_ZIP_STRUCTURE, "The member reaches over the end of the archive");
                return 0;
        } else
                z->phase = PHASE_DATA;
        if (m.method == METHOD_STORED && m.packed != m.plain)
                put(z, RULE_ZIP_AGREE, "A stored member has two sizes, %llu and %llu.",
                    (unsigned long long)m.packed, (unsigned long long)m.plain);
        return open_member(z, name);
}

/* A descriptor behind its data: signature, checksum, both sizes in 32 or 64 bits. */
static void take_descriptor(struct zip_walk *z, const char *p, bool wide) {
        struct member *m = current(z);
        uint64_t packed = wide ? load_le64(p + 8) : load_le32(p + 8);
        uint64_t plain = wide ? load_le64(p + 16) : load_le32(p + 12);

        if (z->phase == PHASE_DESCRIPTOR &&
            (packed != m->packed || plain != m->plain || (m->crc != 0 && m->crc != load_le32(p + 4))))
                put(z, RULE_ZIP_AGREE, "The member's header and the descriptor behind it disagree.");
        m->packed = packed;
        m->plain = plain;
        m->crc = load_le32(p + 4);
        close_member(z);
}

static int end_data(struct zip_walk *z) {
        if (current(z)->flags & FLAG_DESCRIPTOR) {
                z->phase = PHASE_DESCRIPTOR;
                z->held_n = 0;
        } else
                close_member(z);
        return 0;
}

static int take_data(struct zip_walk *z, struct view v, size_t *ret_n) {
        size_t n = (size_t)MIN_OF(z->left, (uint64_t)v.n);
        int r = read_member(z, view_sub(v, 0, n));

        *ret_n = n;
        z->left -= n;
        return r < 0 || z->left > 0 ? r : end_data(z);
}

static void take_known_descriptor(struct zip_walk *z, char c) {
        z->held[z->held_n++] = c;
        if (z->held_n == 4 && load_le32(z->held) != 0x08074b50)
                stop(z, RULE_ZIP_STRUCTURE, "No descriptor stands behind a member that announces one");
        else if (z->held_n == (z->wide ? DESCRIPTOR_64 : DESCRIPTOR_32))
                take_descriptor(z, z->held, z->wide);
}

enum fit { FIT_NO, FIT_MAYBE, FIT_32, FIT_64 };

/* Whether the held bytes are the descriptor of the `left` bytes that went before (here: counted up). */
static enum fit held_fits(const struct zip_walk *z) {
        static const char signature[] = {'P', 'K', 7, 8};
        bool stored = z->members[z->n - 1].method == METHOD_STORED;
        uint64_t a, b;

        if (memcmp(z->held, signature, MIN_OF(z->held_n, sizeof signature)) != 0)
                return FIT_NO;
        if (z->held_n < DESCRIPTOR_32)
                return FIT_MAYBE;
        a = load_le32(z->held + 8);
        b = load_le32(z->held + 12);
        if (z->held_n == DESCRIPTOR_32 && a == z->left && (stored ? b == a : b != 0 || a <= EMPTY_DEFLATED))
                return FIT_32;
        if (load_le64(z->held + 8) != z->left)
                return FIT_NO;
        if (z->held_n < DESCRIPTOR_64)
                return FIT_MAYBE;
        return !stored || load_le64(z->held + 16) == z->left ? FIT_64 : FIT_NO;
}

static int release(struct zip_walk *z, struct view data) {
        z->left += data.n;
        return read_member(z, data);
}

/* The first held byte is data after all; the others may still begin a descriptor. */
static int shift_held(struct zip_walk *z) {
        size_t next = 1;
        int r;

        while (next < z->held_n && z->held[next] != 'P')
                next++;
        r = release(z, view_make(z->held, next));
        z->held_n -= next;
        memmove(z->held, z->held + next, z->held_n);
        return r;
}

static int settle_held(struct zip_walk *z) {
        int r = 0;

        for (enum fit fit = held_fits(z); r >= 0 && z->held_n > 0 && fit != FIT_MAYBE; fit = held_fits(z)) {
                if (fit != FIT_NO) {
                        take_descriptor(z, z->held, fit == FIT_64);
                        return 0;
                }
                r = shift_held(z);
        }
        return r;
}

static int take_search(struct zip_walk *z, struct view v, size_t *ret_n) {
        size_t n;

        if (z->held_n > 0) {
                z->held[z->held_n++] = v.p[0];
                *ret_n = 1;
                return settle_held(z);
        }
        n = MIN_OF(view_find_char(v, 'P'), v.n);
        *ret_n = n;
        if (n > 0)
                return release(z, view_sub(v, 0, n));
        z->held[z->held_n++] = 'P';
        *ret_n = 1;
        return 0;
}

/* ---- the directory and the end ---- */

static struct member *find_member(struct zip_walk *z, uint64_t at) {
        uint32_t low = 0, high = z->n;

        while (low < high) {
                uint32_t middle = low + (high - low) / 2;

                if (z->members[middle].at < at)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low < z->n && z->members[low].at == at ? &z->members[low] : NULL;
}

static const char *difference(const struct zip_walk *z, const struct member *local,
                              const struct member *central, struct view name) {
        if (!view_eq(name_of(z, local), name))
                return "the name";
        if (local->method != central->method)
                return "the compression";
        if (local->packed != central->packed || local->plain != central->plain)
                return "the size";
        if (local->crc != central->crc)
                return "the checksum";
        return (local->flags ^ central->flags) & (FLAG_ENCRYPTED | FLAG_DESCRIPTOR | FLAG_UTF8 | FLAG_MASKED)
                       ? "the flags"
                       : NULL;
}

static void take_central(struct zip_walk *z) {
        const char *p = z->head;
        struct view all = buf_view(&z->variable), name = view_sub(all, 0, load_le16(p + 28));
        struct member c = {.flags = load_le16(p + 8),
                           .method = load_le16(p + 10),
                           .crc = load_le32(p + 16),
                           .packed = load_le32(p + 20),
                           .plain = load_le32(p + 24),
                           .at = load_le32(p + 42)};
        uint64_t *wide[] = {&c.plain, &c.packed, &c.at};
        struct member *local;
        const char *what;

        if (!widen(view_sub(all, name.n, load_le16(p + 30)), wide, ARRAY_SIZE(wide)))
                put(z, RULE_ZIP_STRUCTURE, "The directory entry's extra fields are cut off.");
        check_name(z, name);
        if ((load_le32(p + 38) >> 16 & 0170000) == 0120000)
                put(z, RULE_ZIP_NAME, "The member \"%s\" is a symbolic link.", report_quote(name).text);
        local = find_member(z, c.at);
        if (!local) {
                put(z, RULE_ZIP_AGREE, "The directory lists \"%s\" at %llu, where no member begins.",
                    report_quote(name).text, (unsigned long long)c.at);
                return;
        }
        if (local->listed)
                put(z, RULE_ZIP_DUPLICATE, "The directory lists the member at %llu twice.",
                    (unsigned long long)c.at);
        z->listed += !local->listed;
        local->listed = true;
        what = difference(z, local, &c, name);
        if (what)
                put(z, RULE_ZIP_AGREE,
                    "The directory says \"%s\", but %s differs from the member's own header.",
                    report_quote(name).text, what);
}

static void check_end(struct zip_walk *z, uint64_t disks, uint64_t here, uint64_t count, uint64_t size,
                      uint64_t at) {
        uint64_t directory = z->central_n > 0 ? z->central_at : z->record_at;
        uint64_t end = z->has_end_64 ? z->end_64_at : z->record_at;

        if (disks != 0 || here != count)
                put(z, RULE_ZIP_STRUCTURE, "The archive says that it has several parts.");
        if (count != z->central_n)
                put(z, RULE_ZIP_AGREE, "The end record counts %llu members, the directory has %llu.",
                    (unsigned long long)count, (unsigned long long)z->central_n);
        if (z->central_n > 0 && (at != directory || size != end - directory))
                put(z, RULE_ZIP_AGREE, "The end record gives another place or size for the directory.");
}

static void take_end_64(struct zip_walk *z) {
        const char *p = z->head;

        if (z->has_end_64)
                put(z, RULE_ZIP_DUPLICATE, "A second 64-bit end record stands here.");
        z->has_end_64 = true;
        z->end_64_at = z->record_at;
        check_end(z, (uint64_t)load_le32(p + 16) | load_le32(p + 20), load_le64(p + 24), load_le64(p + 32),
                  load_le64(p + 40), load_le64(p + 48));
}

static void take_locator(struct zip_walk *z) {
        if (z->has_locator || !z->has_end_64 || load_le64(z->head + 8) != z->end_64_at)
                put(z, RULE_ZIP_STRUCTURE, "The 64-bit locator points to another place than its record.");
        z->has_locator = true;
}

static uint64_t or_wide(uint64_t value, uint64_t ones, uint64_t wide) {
        return value == ones ? wide : value;
}

static void take_end(struct zip_walk *z) {
        const char *p = z->head;
        uint64_t directory = z->central_n > 0 ? z->central_at : z->record_at;
        uint64_t end = z->has_end_64 ? z->end_64_at : z->record_at;
        bool wide = z->has_end_64;

        if (z->has_end_64 != z->has_locator)
                put(z, RULE_ZIP_STRUCTURE,
                    "A 64-bit end record without its locator, or the other way round.");
        check_end(z, (uint64_t)load_le16(p + 4) | load_le16(p + 6),
                  or_wide(load_le16(p + 8), wide ? UINT16_MAX : UINT64_MAX, z->central_n),
                  or_wide(load_le16(p + 10), wide ? UINT16_MAX : UINT64_MAX, z->central_n),
                  or_wide(load_le32(p + 12), wide ? UINT32_MAX : UINT64_MAX, end - directory),
                  or_wide(load_le32(p + 16), wide ? UINT32_MAX : UINT64_MAX, directory));
        z->ended = true;
        z->record_at = z->at;
        z->phase = PHASE_ENDED;
}

/* ---- records ---- */

static size_t variable_size(const struct zip_walk *z) {
        switch (z->record) {
        case RECORD_LOCAL:
                return (size_t)load_le16(z->head + 26) + load_le16(z->head + 28);
        case RECORD_CENTRAL:
                return (size_t)load_le16(z->head + 28) + load_le16(z->head + 30) + load_le16(z->head + 32);
        case RECORD_END:
                return load_le16(z->head + 20);
        default:
                return 0;
        }
}

static int take_record(struct zip_walk *z) {
        z->phase = PHASE_SIGNATURE;
        z->head_n = 0;
        switch (z->record) {
        case RECORD_LOCAL: {
                int r = take_local(z);

                return r >= 0 && z->phase == PHASE_DATA && z->left == 0 ? end_data(z) : r;
        }
        case RECORD_CENTRAL:
                take_central(z);
                break;
        case RECORD_END:
                take_end(z);
                break;
        case RECORD_END_64:
                take_end_64(z);
                break;
        default:
                take_locator(z);
                break;
        }
        return 0;
}

/* Members come first, then the directory, then the end. */
static void check_order(struct zip_walk *z) {
        if (z->record == RECORD_LOCAL ? z->in_directory : z->record == RECORD_CENTRAL && z->has_end_64)
                put(z, RULE_ZIP_STRUCTURE, "A %s stands behind the directory or its end.",
                    records[z->record].name);
        if (z->record != RECORD_LOCAL)
                z->in_directory = true;
        if (z->record != RECORD_CENTRAL)
                return;
        if (z->central_n++ == 0)
                z->central_at = z->record_at;
}

static void take_signature(struct zip_walk *z, char c) {
        uint32_t signature;

        if (z->head_n == 0)
                z->record_at = z->at - 1;
        z->head[z->head_n++] = c;
        if (z->head_n < 4)
                return;
        signature = load_le32(z->head);
        for (unsigned i = 0; i < RECORD_MAX; i++)
                if (records[i].signature == signature) {
                        z->record = (enum record)i;
                        z->phase = PHASE_FIXED;
                        check_order(z);
                        return;
                }
        stop(z, RULE_ZIP_STRUCTURE, "Bytes that belong to no member and no directory");
}

static int take_fixed(struct zip_walk *z, struct view v, size_t *ret_n) {
        size_t n = MIN_OF(records[z->record].fixed - z->head_n, v.n);

        memcpy(z->head + z->head_n, v.p, n);
        z->head_n += n;
        *ret_n = n;
        if (z->head_n < records[z->record].fixed)
                return 0;
        if (z->record == RECORD_END_64 && load_le64(z->head + 4) != 44) {
                stop(z, RULE_ZIP_STRUCTURE, "The 64-bit end record has a size that nobody writes");
                return 0;
        }
        z->variable.n = 0;
        z->variable_want = variable_size(z);
        z->phase = PHASE_VARIABLE;
        return 0;
}

static int take_variable(struct zip_walk *z, struct view v, size_t *ret_n) {
        size_t n = MIN_OF(z->variable_want - z->variable.n, v.n);

        *ret_n = n;
        return buf_append(&z->variable, v.p, n);
}

/* At least one byte of `v`, unless a record that needs no more bytes is complete. */
static int step(struct zip_walk *z, struct view v, size_t *ret_n) {
        *ret_n = 1;
        switch (z->phase) {
        case PHASE_SIGNATURE:
                z->at++;
                take_signature(z, v.p[0]);
                return 0;
        case PHASE_FIXED: {
                int r = take_fixed(z, v, ret_n);

                z->at += *ret_n;
                return r;
        }
        case PHASE_VARIABLE: {
                int r = take_variable(z, v, ret_n);

                z->at += *ret_n;
                return r;
        }
        case PHASE_DATA: {
                int r = take_data(z, v, ret_n);

                z->at += *ret_n;
                return r;
        }
        case PHASE_SEARCH: {
                int r = take_search(z, v, ret_n);

                z->at += *ret_n;
                return r;
        }
        case PHASE_DESCRIPTOR:
                z->at++;
                take_known_descriptor(z, v.p[0]);
                return 0;
        case PHASE_ENDED:
                stop(z, RULE_ZIP_STRUCTURE, "Bytes follow the end of the archive");
                return 0;
        default:
                *ret_n = v.n;
                return 0;
        }
}

int zip_walk_feed(struct zip_walk *z, struct view bytes) {
        int r = 0;

        while (r >= 0 && bytes.n > 0 && z->phase != PHASE_OVER) {
                size_t n;

                r = step(z, bytes, &n);
                bytes = view_sub(bytes, n, SIZE_MAX);
                if (r >= 0 && z->phase == PHASE_VARIABLE && z->variable.n == z->variable_want)
                        r = take_record(z);
        }
        return r;
}

void zip_walk_finish(struct zip_walk *z) {
        z->held_n = 0;
        if (z->phase != PHASE_OVER && z->phase != PHASE_ENDED) {
                if (z->n > 0 && (z->pickle || z->npy || z->keras))
                        close_member(z);
                z->record_at = z->at;
                stop(z, RULE_ZIP_STRUCTURE, "The archive breaks off");
        }
        if (z->ended && z->listed < z->n)
                report_put(z->report, RULE_ZIP_AGREE, z->central_at, VIEW_NULL,
                           "%u members are not listed in the directory.", z->n - z->listed);
        report_put(z->report, RULE_ZIP_HOLDS, 0, VIEW_NULL,
                   "%u members: %u pickles, %u arrays, %u files of program code, %u others.", z->n,
                   z->pickles, z->arrays, z->scripts, z->n - z->pickles - z->arrays - z->scripts);
}
