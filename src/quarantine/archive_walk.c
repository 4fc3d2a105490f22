#include "quarantine/archive_walk.h"

#include "base/buf.h"
#include "base/text.h"
#include "model/inner.h"
#include "model/zip_walk.h"
#include "quarantine/coroutine.h"
#include "quarantine/limits.h"

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <sys/stat.h>
#include <time.h>

/* What all levels of one artifact share. */
struct shared {
        struct model_report report;
        uint64_t taken;    /* bytes of the outermost archive */
        uint64_t inflated; /* bytes that came out, on all levels */
        uint64_t held;     /* bytes of archives that are kept as a whole */
        uint32_t members;
        bool full; /* a limit of all levels together was hit */
};

struct walk {
        struct shared *shared;
        const struct model_unpacker *unpacker;
        enum model_kind kind;
        unsigned depth;
        struct coroutine *coroutine;
        struct view fresh; /* handed over, not taken yet */
        bool ended;        /* no more bytes will come */
        bool cancelled;
        int error; /* -ENOMEM */
        struct buf held;
        size_t held_at;
        unsigned zlib_phase;
        struct archive *archive;
        struct archive_entry *entry;
        uint32_t members;
        uint32_t kinds[MODEL_KIND_MAX];
        uint64_t fed, filled;           /* bytes that came; up to the last that is not zero */
        const char *place;              /* `outer` or `inside` */
        char outer[REPORT_INSIDE_MAX];  /* where this archive lies */
        char inside[REPORT_INSIDE_MAX]; /* the member that is read */
};

#define put(w, rule, ...) report_put(&(w)->shared->report, (rule), REPORT_WHOLE, VIEW_NULL, __VA_ARGS__)

/* Findings are about this place until it is left. */
static void stand_in(struct walk *w, const char *place) {
        w->place = place;
        (void)snprintf(w->shared->report.inside, sizeof w->shared->report.inside, "%s", place);
}

/* ---- bytes in ---- */

/* A zlib stream is a deflate stream behind two bytes: with gzip's header in front instead, libarchive reads it; its
 * checksum is of another kind, which libarchive does not look at. */
static const char gzip_header[] = {0x1f, (char)0x8b, 8, 0, 0, 0, 0, 0, 0, 3};
static const char gzip_trailer[8];

static bool fetch(struct walk *w) {
        while (w->fresh.n == 0 && !w->ended)
                coroutine_yield(w->coroutine);
        return w->fresh.n > 0 && !w->cancelled;
}

static la_ssize_t read_zlib(struct walk *w, const void **ret) {
        if (w->zlib_phase == 0) {
                w->zlib_phase = 1;
                *ret = gzip_header;
                return sizeof gzip_header;
        }
        while (w->zlib_phase < 3 && fetch(w)) {
                w->fresh = view_sub(w->fresh, 1, SIZE_MAX);
                w->zlib_phase++;
        }
        if (fetch(w))
                return -1; /* bytes: the caller hands them on */
        if (w->zlib_phase == 4)
                return 0;
        w->zlib_phase = 4;
        *ret = gzip_trailer;
        return sizeof gzip_trailer;
}

/* libarchive has copied what it still needs of the last bytes when it asks for the next. */
static la_ssize_t on_read(struct archive *a, void *userdata, const void **ret) {
        struct walk *w = userdata;
        struct view v;

        if (w->kind == MODEL_KIND_ZLIB) {
                la_ssize_t n = read_zlib(w, ret);

                if (n >= 0)
                        return n;
        }
        if (!fetch(w))
                return w->cancelled ? ARCHIVE_FATAL : 0;
        v = w->fresh;
        w->fresh = VIEW_NULL;
        *ret = v.p;
        return (la_ssize_t)v.n;
}

static la_ssize_t on_read_held(struct archive *a, void *userdata, const void **ret) {
        struct walk *w = userdata;
        struct view v = view_sub(buf_view(&w->held), w->held_at, ARCHIVE_BLOCK);

        w->held_at += v.n;
        *ret = v.p;
        return (la_ssize_t)v.n;
}

static la_int64_t on_seek_held(struct archive *a, void *userdata, la_int64_t offset, int whence) {
        struct walk *w = userdata;
        la_int64_t base = whence == SEEK_SET ? 0 : (la_int64_t)(whence == SEEK_END ? w->held.n : w->held_at);

        if (offset < -base || offset > (la_int64_t)w->held.n - base)
                return ARCHIVE_FATAL;
        w->held_at = (size_t)(base + offset);
        return base + offset;
}

/* ---- what libarchive may read ---- */

/* libarchive's number of the one filter that is used; no others are tried, and none behind it. */
static int filter_of(enum model_kind kind) {
        switch (kind) {
        case MODEL_KIND_BZIP2:
                return ARCHIVE_FILTER_BZIP2;
        case MODEL_KIND_XZ:
                return ARCHIVE_FILTER_XZ;
        case MODEL_KIND_LZMA:
                return ARCHIVE_FILTER_LZMA;
        case MODEL_KIND_LZ4:
                return ARCHIVE_FILTER_LZ4;
        case MODEL_KIND_ZSTD:
                return ARCHIVE_FILTER_ZSTD;
        default:
                return ARCHIVE_FILTER_GZIP;
        }
}

static bool is_compressed(enum model_kind kind) {
        return kind != MODEL_KIND_TAR && kind != MODEL_KIND_7Z && kind != MODEL_KIND_ZIP &&
               kind != MODEL_KIND_PYTORCH_ZIP && kind != MODEL_KIND_KERAS_ZIP;
}

/* ARCHIVE_WARN would mean that a program has to be run. */
static int enable(struct archive *a, enum model_kind kind) {
        int r;

        if (kind == MODEL_KIND_TAR)
                return archive_read_support_format_tar(a);
        if (kind == MODEL_KIND_7Z)
                return archive_read_support_format_7zip(a);
        if (!is_compressed(kind))
                return archive_read_support_format_zip_streamable(a);
        r = archive_read_append_filter(a, filter_of(kind));
        return r == ARCHIVE_OK ? archive_read_support_format_raw(a) : r;
}

static int open_archive(struct walk *w) {
        bool held = w->kind == MODEL_KIND_7Z;
        int r = enable(w->archive, w->kind);

        if (r != ARCHIVE_OK)
                return r == ARCHIVE_WARN ? ARCHIVE_FATAL : r;
        (void)archive_read_set_read_callback(w->archive, held ? on_read_held : on_read);
        if (held)
                (void)archive_read_set_seek_callback(w->archive, on_seek_held);
        (void)archive_read_set_callback_data(w->archive, w);
        return archive_read_open1(w->archive);
}

/* ---- members ---- */

static void limit(struct walk *w, const char *what) {
        w->shared->full = true;
        put(w, RULE_ARCHIVE_LIMIT, "%s; what follows is not looked into.", what);
}

/* Where a member lies, for people: the archives around it, then its path; cut in front. */
static void set_inside(struct walk *w, struct view name) {
        char escaped[REPORT_INSIDE_MAX];
        int n;

        report_escape(escaped, sizeof escaped,
                      view_sub(name, name.n - MIN_OF(name.n, sizeof escaped / 2), SIZE_MAX));
        n = snprintf(w->inside, sizeof w->inside, "%s%s%s", w->outer, w->outer[0] ? "!" : "", escaped);
        if (n >= (int)sizeof w->inside) /* the innermost part says most */
                (void)snprintf(w->inside, sizeof w->inside, "%s", escaped);
}

static bool is_unclean(struct view name) {
        for (size_t i = 0; i < name.n; i++)
                if ((uint8_t)name.p[i] < ' ' || name.p[i] == 0x7f || name.p[i] == '\\')
                        return true;
        return utf8_first_fault(name) != SIZE_MAX;
}

static bool leads_up(struct view name) {
        struct view part;

        while (view_split(&name, '/', &part))
                if (view_eq_str(part, ".."))
                        return true;
        return view_eq_str(name, "..");
}

static const char *name_fault(struct view name) {
        if (name.n > 0 && (name.p[0] == '/' || (name.n > 1 && name.p[1] == ':')))
                return "its name is absolute";
        if (leads_up(name))
                return "its name leads upwards with '..'";
        return is_unclean(name) ? "its name holds control characters, a backslash or no UTF-8" : NULL;
}

static const char *entry_fault(struct archive_entry *e, struct view name) {
        if (archive_entry_hardlink(e))
                return "it is a hard link";
        switch (archive_entry_filetype(e)) {
        case AE_IFREG:
        case AE_IFDIR:
        case 0:
                return name_fault(name);
        case AE_IFLNK:
                return "it is a symbolic link";
        default:
                return "it is a device, pipe or socket";
        }
}

/* The archive's own walk (model/zip_walk.h) has followed this member, with its offsets. */
static bool is_followed(struct walk *w, struct view name) {
        const char *format = archive_format_name(w->archive);

        return !is_compressed(w->kind) && w->kind != MODEL_KIND_TAR && w->kind != MODEL_KIND_7Z && format &&
               strstr(format, "uncompressed") && zip_walk_follows(name);
}

/* Counts what came out. False: too much. */
static bool account(struct walk *w, size_t n) {
        struct shared *s = w->shared;

        s->inflated += n;
        if (s->inflated > ARCHIVE_INFLATED_MAX)
                limit(w, "More bytes come out of the archive than are looked at");
        else if (s->inflated > ARCHIVE_RATIO_FLOOR && s->inflated / ARCHIVE_RATIO_MAX > s->taken)
                limit(w, "Few bytes of the archive become very many");
        return !s->full;
}

static void broken(struct walk *w) {
        const char *why = archive_error_string(w->archive);

        put(w, RULE_ARCHIVE_BROKEN, "The archive can't be read on from here: %.80s.",
            report_quote(view_of(why ? why : "no reason was given")).text);
}

/* 1: all of it was read; 0: the archive is over; -ENOMEM. */
static int read_data(struct walk *w, struct inner *inner) {
        int64_t at = 0;

        for (;;) {
                const void *p;
                size_t n;
                la_int64_t offset;
                int r = archive_read_data_block(w->archive, &p, &n, &offset);

                if (r == ARCHIVE_EOF)
                        return 1;
                if (w->cancelled)
                        return 0;
                if ((r != ARCHIVE_OK && r != ARCHIVE_WARN) || offset != at) {
                        if (r != ARCHIVE_OK && r != ARCHIVE_WARN)
                                broken(w);
                        else
                                put(w, RULE_ARCHIVE_CLOSED, "The file has holes, which are not followed.");
                        return r == ARCHIVE_FATAL ? 0 : 1;
                }
                if (!account(w, n))
                        return 0;
                at += (int64_t)n;
                r = n > 0 && inner ? inner_feed(inner, view_make(p, n)) : 0;
                stand_in(w, w->inside);
                if (r < 0)
                        return r;
        }
}

static int read_member(struct walk *w, struct view name) {
        const struct refused_context c = {&w->shared->report, w->unpacker, w->shared, w->depth + 1};
        enum model_kind kind = MODEL_KIND_UNKNOWN;
        struct inner *inner = NULL;
        int r = 0, again;

        if (!is_followed(w, name))
                r = inner_new(&c, name, &inner);
        if (r < 0)
                return r;
        r = again = read_data(w, inner);
        if (again >= 0 && inner && !w->cancelled)
                r = inner_finish(inner, &kind);
        stand_in(w, w->inside);
        inner_free(inner);
        w->kinds[kind]++;
        return r < 0 ? r : again;
}

/* A compressed file has one nameless member. */
static struct view name_of(const struct walk *w) {
        const char *name = archive_entry_pathname_utf8(w->entry);

        if (is_compressed(w->kind))
                return VIEW("");
        return view_of(name ? name : archive_entry_pathname(w->entry));
}

/* As read_data. */
static int take_member(struct walk *w) {
        struct view name = name_of(w);
        const char *fault = is_compressed(w->kind) ? NULL : entry_fault(w->entry, name);
        int r = 1;

        if (w->shared->members++ == ARCHIVE_MEMBERS_MAX) {
                limit(w, "The archive has too many members");
                return 0;
        }
        w->members++;
        set_inside(w, is_compressed(w->kind) ? VIEW("(content)") : name);
        stand_in(w, w->inside);
        if (fault)
                put(w, RULE_ARCHIVE_NAME, "This member leads out of the archive: %s.", fault);
        if (archive_entry_is_encrypted(w->entry))
                put(w, RULE_ARCHIVE_CLOSED, "The member is encrypted.");
        else if (archive_entry_filetype(w->entry) == AE_IFREG || is_compressed(w->kind))
                r = read_member(w, name);
        stand_in(w, w->outer);
        return r;
}

/* "3 members: 2 Python pickle, 1 plain text." */
static void tell(struct walk *w) {
        _cleanup_(buf_donep) struct buf text = BUF_INIT(4096);
        int r = buf_printf(&text, "%u members", w->members);

        for (unsigned k = 0, shown = 0; k < MODEL_KIND_MAX && r >= 0; k++)
                if (w->kinds[k] > 0 && k != MODEL_KIND_UNKNOWN)
                        r = buf_printf(&text, "%s%u %s", shown++ ? ", " : ": ", w->kinds[k],
                                       model_kind_title((enum model_kind)k));
        if (r >= 0)
                put(w, RULE_ARCHIVE_HOLDS, "%s.", buf_str(&text));
}

/* Waits for the last byte and says when some of them belong to nothing. ZIP archives have their own walk. */
static void check_rest(struct walk *w) {
        uint64_t end = (uint64_t)archive_filter_bytes(w->archive, -1);

        if (w->kind == MODEL_KIND_7Z || w->kind == MODEL_KIND_ZLIB ||
            (!is_compressed(w->kind) && w->kind != MODEL_KIND_TAR))
                return;
        while (!w->ended) {
                w->fresh = VIEW_NULL;
                coroutine_yield(w->coroutine);
        }
        if (!w->cancelled && w->filled > end)
                put(w, RULE_ARCHIVE_BROKEN, "%llu bytes follow the end of the archive.",
                    (unsigned long long)(w->filled - end));
}

static int walk_members(struct walk *w) {
        int r = 1;

        while (r == 1 && !w->shared->full) {
                int h = archive_read_next_header(w->archive, &w->entry);

                if (w->cancelled)
                        break;
                if (h == ARCHIVE_EOF) {
                        check_rest(w);
                        break;
                }
                if (h != ARCHIVE_OK && h != ARCHIVE_WARN) {
                        broken(w);
                        break;
                }
                r = take_member(w);
        }
        return r;
}

static void run(void *userdata) {
        struct walk *w = userdata;
        int r;

        w->archive = archive_read_new();
        if (!w->archive) {
                w->error = -ENOMEM;
                return;
        }
        r = open_archive(w);
        if (r == ARCHIVE_OK || r == ARCHIVE_WARN)
                w->error = MIN_OF(walk_members(w), 0);
        else if (!w->cancelled)
                broken(w);
        if (!w->cancelled && w->error >= 0)
                tell(w);
        (void)archive_read_free(w->archive);
        w->archive = NULL;
}

/* ---- the readers' side ---- */

static void walk_close(void *state) {
        struct walk *w = state;

        if (!w)
                return;
        w->ended = w->cancelled = true;
        w->fresh = VIEW_NULL;
        if (w->archive) /* stopped in the middle: it lets go of everything */
                while (coroutine_resume(w->coroutine))
                        ;
        coroutine_free(w->coroutine);
        w->shared->held -= w->held.n;
        buf_done(&w->held);
        if (w->depth == 0)
                free(w->shared);
        free(w);
}

static int make_shared(const struct unpack_job *job, struct walk *w) {
        w->shared = job->shared;
        if (w->shared)
                return 0;
        w->shared = calloc(1, sizeof *w->shared);
        if (!w->shared)
                return -ENOMEM;
        w->shared->report.sink = job->sink;
        w->shared->report.member = job->member;
        return 0;
}

static int walk_open(const struct model_unpacker *u, const struct unpack_job *job, void **ret) {
        struct walk *w = calloc(1, sizeof *w);
        int r;

        if (!w)
                return -ENOMEM;
        w->unpacker = u;
        w->kind = job->kind;
        w->depth = job->depth;
        w->held = BUF_INIT(ARCHIVE_HELD_MAX);
        r = make_shared(job, w);
        if (r < 0) {
                free(w);
                return r;
        }
        (void)snprintf(w->outer, sizeof w->outer, "%s", w->shared->report.inside);
        w->place = w->outer;
        if (w->depth >= ARCHIVE_DEPTH_MAX) {
                put(w, RULE_ARCHIVE_LIMIT,
                    "More than %u archives lie within each other; this one is not looked into.",
                    ARCHIVE_DEPTH_MAX);
                w->ended = true;
        } else
                r = coroutine_new(run, w, ARCHIVE_STACK_BYTES, &w->coroutine);
        if (r < 0) {
                walk_close(w);
                return r;
        }
        *ret = w;
        return 0;
}

/* Lets libarchive take `bytes`. */
static int push(struct walk *w, struct view bytes) {
        stand_in(w, w->place);
        w->fresh = bytes;
        (void)coroutine_resume(w->coroutine);
        w->fresh = VIEW_NULL;
        return w->error;
}

static int hold(struct walk *w, struct view bytes) {
        int r;

        if (bytes.n > ARCHIVE_HELD_MAX - w->shared->held) {
                put(w, RULE_ARCHIVE_LIMIT,
                    "Of 7-Zip archives, %zu MiB are looked into; this one is larger and is not.",
                    ARCHIVE_HELD_MAX >> 20);
                w->ended = true;
                return 0;
        }
        r = buf_append_view(&w->held, bytes);
        if (r >= 0)
                w->shared->held += bytes.n;
        return r;
}

static void note_filled(struct walk *w, struct view bytes) {
        size_t n = bytes.n;

        while (n > 0 && bytes.p[n - 1] == 0)
                n--;
        if (n > 0)
                w->filled = w->fed + n;
        w->fed += bytes.n;
}

static int walk_feed(void *state, struct view bytes) {
        struct walk *w = state;

        if (w->depth == 0)
                w->shared->taken += bytes.n;
        note_filled(w, bytes);
        if (w->ended || bytes.n == 0)
                return 0;
        return w->kind == MODEL_KIND_7Z ? hold(w, bytes) : push(w, bytes);
}

static int walk_finish(void *state) {
        struct walk *w = state;

        if (w->ended)
                return 0;
        w->ended = true;
        return push(w, VIEW_NULL);
}

const struct model_unpacker *archive_walk_unpacker(void) {
        static const struct model_unpacker unpacker = {walk_open, walk_feed, walk_finish, walk_close};

        return &unpacker;
}

static void ignore(void *userdata, const struct finding *f) {
}

/* An archive with a member of no bytes, whose name is UTF-8 and whose date has to be told in local time. */
int archive_walk_prepare(void) {
        static const char zip[] = "PK\3\4\x14\0\0\x08\0\0\0\0\x21\0\0\0\0\0\0\0\0\0\0\0\0\0\2\0\0\0\xc3\xa4";
        const struct unpack_job job = {&(const struct finding_sink){ignore, NULL}, MODEL_KIND_ZIP, 0, 0,
                                       NULL};
        void *state;
        int r;

        /* A time zone that is spelt out is not looked for again and again in a file. */
        if (!setlocale(LC_CTYPE, "C.UTF-8") || setenv("TZ", "UTC0", 1) < 0)
                return -EIO;
        tzset();
        r = walk_open(archive_walk_unpacker(), &job, &state);
        if (r < 0)
                return r;
        r = walk_feed(state, view_make(zip, sizeof zip - 1));
        if (r >= 0)
                r = walk_finish(state);
        if (r >= 0 && ((struct walk *)state)->members != 1)
                r = -EIO;
        walk_close(state);
        return r;
}
