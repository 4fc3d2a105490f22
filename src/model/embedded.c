#include "base/num.h"
#include "base/text.h"
#include "model/pickle.h"
#include "model/scan.h"

/* Each test sees bytes that begin with the magic number and decides whether the rest of the header makes
 * sense. They are strict enough that random bytes pass less than once in 10^12; a real file passes always. */

static uint32_t load_be32(const char *p) {
        return __builtin_bswap32(load_le32(p));
}

static bool starts(struct view v, struct view magic) {
        return view_starts(v, magic);
}

static bool elf(struct view v) {
        const uint8_t *b = (const uint8_t *)v.p;
        bool wide, big;
        uint16_t type, machine, header;
        uint32_t version;

        if (v.n < 64 || !starts(v, VIEW("\177ELF")) || b[4] < 1 || b[4] > 2 || b[5] < 1 || b[5] > 2 ||
            b[6] != 1)
                return false;
        wide = b[4] == 2;
        big = b[5] == 2;
        type = load_le16(b + 16);
        machine = load_le16(b + 18);
        version = load_le32(b + 20);
        header = load_le16(b + (wide ? 52 : 40));
        if (big) {
                type = __builtin_bswap16(type);
                machine = __builtin_bswap16(machine);
                version = __builtin_bswap32(version);
                header = __builtin_bswap16(header);
        }
        return type >= 1 && type <= 4 && machine != 0 && version == 1 && header == (wide ? 64 : 52);
}

static bool pe_machine_is_known(uint16_t machine) {
        static const uint16_t known[] = {0x14c, 0x8664, 0x1c0,  0x1c4,  0xaa64,
                                         0x200, 0x166,  0x5064, 0x6264, 0xebc};

        for (size_t i = 0; i < ARRAY_SIZE(known); i++)
                if (machine == known[i])
                        return true;
        return false;
}

static bool pe(struct view v) {
        uint32_t at;

        if (v.n < 64 || !starts(v, VIEW("MZ")))
                return false;
        at = load_le32(v.p + 60);
        if (at < 4 || at > 1u << 20)
                return false;
        if (v.n >= (size_t)at + 8) {
                uint16_t sections = load_le16(v.p + at + 6);

                return memcmp(v.p + at, "PE\0\0", 4) == 0 && pe_machine_is_known(load_le16(v.p + at + 4)) &&
                       sections >= 1 && sections <= 96;
        }
        /* The header lies beyond what is at hand: the DOS header alone must convince. */
        return load_le16(v.p + 8) == 4 && load_le16(v.p + 24) == 64 && at % 8 == 0 &&
               load_le32(v.p + 28) == 0 && load_le32(v.p + 32) == 0;
}

static bool macho_cpu_is_known(uint32_t cpu) {
        cpu &= 0x00ffffffu; /* the top byte says 64 bits */
        return cpu == 7 || cpu == 12 || cpu == 18 || cpu == 6 || cpu == 11 || cpu == 14;
}

static bool macho(struct view v) {
        bool big = starts(v, VIEW("\xfe\xed\xfa\xce")) || starts(v, VIEW("\xfe\xed\xfa\xcf"));
        uint32_t cpu, type, commands, bytes;

        if (v.n < 28)
                return false;
        if (starts(v, VIEW("\xca\xfe\xba\xbe"))) /* fat: count, then cpu, subtype, offset, size, alignment */
                return load_be32(v.p + 4) >= 1 && load_be32(v.p + 4) <= 16 &&
                       macho_cpu_is_known(load_be32(v.p + 8)) && load_be32(v.p + 24) <= 20;
        if (!big && !starts(v, VIEW("\xce\xfa\xed\xfe")) && !starts(v, VIEW("\xcf\xfa\xed\xfe")))
                return false;
        cpu = big ? load_be32(v.p + 4) : load_le32(v.p + 4);
        type = big ? load_be32(v.p + 12) : load_le32(v.p + 12);
        commands = big ? load_be32(v.p + 16) : load_le32(v.p + 16);
        bytes = big ? load_be32(v.p + 20) : load_le32(v.p + 20);
        return macho_cpu_is_known(cpu) && type >= 1 && type <= 12 && commands >= 1 && commands <= 4096 &&
               bytes >= 8 * commands && bytes <= 1u << 24;
}

static bool is_printable(struct view v) {
        for (size_t i = 0; i < v.n; i++)
                if ((uint8_t)v.p[i] < ' ' || v.p[i] == 0x7f)
                        return false;
        return utf8_first_fault(v) == SIZE_MAX;
}

static bool zip_local(struct view v) {
        static const uint8_t methods[] = {0, 1, 6, 8, 9, 12, 14, 93, 95, 98, 99};
        uint16_t flags, method, name;
        bool known = false;

        if (v.n < 31 || !starts(v, VIEW("PK\3\4")))
                return false;
        flags = load_le16(v.p + 6);
        method = load_le16(v.p + 8);
        name = load_le16(v.p + 26);
        for (size_t i = 0; i < ARRAY_SIZE(methods); i++)
                known |= method == methods[i];
        return known && (uint8_t)v.p[4] <= 63 && (flags & 0xd780u) == 0 && name >= 1 && name <= 1024 &&
               is_printable(view_sub(v, 30, MIN_OF(name, (uint16_t)16)));
}

/* Bits of a deflate stream, least significant first. */
struct bits {
        struct view v;
        size_t at; /* in bits */
};

static unsigned take_bits(struct bits *b, unsigned n) {
        unsigned value = 0;

        for (unsigned i = 0; i < n; i++, b->at++)
                if (b->at / 8 < b->v.n)
                        value |= ((unsigned)(uint8_t)b->v.p[b->at / 8] >> (b->at % 8) & 1u) << i;
        return value;
}

/* The first block of a deflate stream has a header that makes sense (RFC 1951). */
static bool deflate_is_plausible(struct view v, bool trusted) {
        struct bits b = {v, 1};
        unsigned type = take_bits(&b, 2), literals, distances, lengths, space = 0;

        if (v.n < 16)
                return trusted;
        if (type == 0)
                return (load_le16(v.p + 1) ^ load_le16(v.p + 3)) == 0xffff;
        if (type == 1)
                return trusted;
        if (type != 2)
                return false;
        literals = take_bits(&b, 5);
        distances = take_bits(&b, 5);
        lengths = take_bits(&b, 4) + 4;
        for (unsigned i = 0; i < lengths; i++) {
                unsigned length = take_bits(&b, 3);

                space += length ? 128u >> length : 0;
        }
        return literals <= 29 && distances <= 29 &&
               space == 128; /* a complete prefix code, no more, no less */
}

static bool gzip(struct view v) {
        const uint8_t *b = (const uint8_t *)v.p;
        uint32_t time;
        size_t at = 10;
        bool named;

        if (v.n < 18 || !starts(v, VIEW("\x1f\x8b\x08")) || (b[3] & 0xe0) ||
            (b[8] != 0 && b[8] != 2 && b[8] != 4))
                return false;
        if (b[9] != 0 && b[9] != 3 && b[9] != 7 && b[9] != 10 && b[9] != 11 && b[9] != 255)
                return false;
        time = load_le32(b + 4);
        if (time != 0 && (time < 631152000u || time > 2524608000u)) /* 1990 to 2050 */
                return false;
        if (b[3] & 4) /* extra field: what follows is out of reach of a simple test */
                return load_le16(b + 10) <= 1024 && time == 0;
        named = (b[3] & 8) != 0;
        if (named) {
                size_t end = view_find_char(view_sub(v, at, 256), '\0');

                if (end == SIZE_MAX || end == 0 || !is_printable(view_sub(v, at, end)))
                        return false;
                at += end + 1;
        }
        if (b[3] & ~8u)
                return named;
        return deflate_is_plausible(view_sub(v, at, SIZE_MAX), named || time == 0);
}

static bool bzip2(struct view v) {
        return v.n >= 10 && starts(v, VIEW("BZh")) && v.p[3] >= '1' && v.p[3] <= '9' &&
               (memcmp(v.p + 4, "\x31\x41\x59\x26\x53\x59", 6) == 0 ||
                memcmp(v.p + 4, "\x17\x72\x45\x38\x50\x90", 6) == 0);
}

static bool xz(struct view v) {
        return v.n >= 12 &&
               starts(v, VIEW("\xfd"
                              "7zXZ\0")) &&
               v.p[6] == 0 && (uint8_t)v.p[7] <= 15;
}

/* Frame header, then the first block's header (RFC 8878). */
static bool zstd(struct view v) {
        static const uint8_t content_sizes[4] = {0, 2, 4, 8}, dictionary_sizes[4] = {0, 1, 2, 4};
        uint8_t d;
        size_t at = 5;
        uint32_t block;

        if (v.n < 24 || !starts(v, VIEW("\x28\xb5\x2f\xfd")))
                return false;
        d = (uint8_t)v.p[4];
        if ((d & 0x18) || dictionary_sizes[d & 3] != 0)
                return false;
        if (d & 0x20)
                at += MAX_OF(content_sizes[d >> 6], (uint8_t)1);
        else {
                if ((uint8_t)v.p[at] >> 3 > 17) /* a window of more than 128 MiB */
                        return false;
                at += 1u + content_sizes[d >> 6];
        }
        block = load_le32(v.p + at) & 0xffffffu;
        return block >> 3 <= 128 * 1024 && (block >> 1 & 3) != 3;
}

static bool seven_zip(struct view v) {
        return v.n >= 8 && starts(v, VIEW("7z\xbc\xaf\x27\x1c")) && v.p[6] == 0 && (uint8_t)v.p[7] <= 4;
}

static bool rar(struct view v) {
        return starts(v, VIEW("Rar!\x1a\x07\0")) || starts(v, VIEW("Rar!\x1a\x07\1\0"));
}

static bool script(struct view v) {
        static const char *const folders[] = {"/bin/", "/usr/bin/",  "/usr/local/bin/", "/sbin/",
                                              "/opt/", "/usr/sbin/", "/data/data/",     "/system/bin/"};
        size_t at = 2;

        if (!starts(v, VIEW("#!")))
                return false;
        while (at < v.n && at < 8 && (v.p[at] == ' ' || v.p[at] == '\t'))
                at++;
        for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
                if (starts(view_sub(v, at, SIZE_MAX), view_of(folders[i])))
                        return true;
        return false;
}

static bool is_identifier(const char *s) {
        size_t n = strlen(s);

        for (size_t i = 0; i < n; i++)
                if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') ||
                      (s[i] >= '0' && s[i] <= '9') || s[i] == '_' || s[i] == '.'))
                        return false;
        return n >= 5;
}

static bool pickle(struct view v) {
        struct pickle p;

        if (v.n < 4 || (uint8_t)v.p[0] != 0x80 || v.p[1] < 2 || v.p[1] > 5)
                return false;
        if (v.p[1] >= 4 && ((uint8_t)v.p[2] != 0x95 || v.n < 11 || load_le32(v.p + 7) != 0))
                return false; /* protocol 4 and later begin with a frame */
        pickle_init(&p);
        pickle_feed(&p, v);
        if (p.state == PICKLE_IMPORTS)
                return is_identifier(p.name);
        /* Nothing imported (so far): many opcodes in a row that make sense don't happen by chance. */
        return p.state != PICKLE_BROKEN && p.steps >= 24;
}

static bool pdf(struct view v) {
        return v.n >= 9 && (starts(v, VIEW("%PDF-1.")) || starts(v, VIEW("%PDF-2."))) && v.p[7] >= '0' &&
               v.p[7] <= '9' && (v.p[8] == '\r' || v.p[8] == '\n' || v.p[8] == ' ');
}

static const struct {
        enum model_kind kind;
        bool (*plausible)(struct view v);
} tests[] = {
        {MODEL_KIND_ELF, elf},       {MODEL_KIND_PE, pe},         {MODEL_KIND_MACHO, macho},
        {MODEL_KIND_ZIP, zip_local}, {MODEL_KIND_GZIP, gzip},     {MODEL_KIND_BZIP2, bzip2},
        {MODEL_KIND_XZ, xz},         {MODEL_KIND_ZSTD, zstd},     {MODEL_KIND_7Z, seven_zip},
        {MODEL_KIND_RAR, rar},       {MODEL_KIND_SCRIPT, script}, {MODEL_KIND_PICKLE, pickle},
        {MODEL_KIND_PDF, pdf},
};

bool model_embedded_plausible(struct view bytes, enum model_kind *ret_kind) {
        for (size_t i = 0; i < ARRAY_SIZE(tests); i++)
                if (tests[i].plausible(bytes)) {
                        *ret_kind = tests[i].kind;
                        return true;
                }
        return false;
}
