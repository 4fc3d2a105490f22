/* Malformed GGUF files: changes to the file that modelgen_gguf makes. A marker is a text that occurs once in
 * it; the change happens `delta` bytes behind it. Behind a key come its type (4 bytes) and its value; behind
 * a tensor's name its rank (4), dimensions (8 each), type (4) and offset (8). In front of both stands a
 * length (8). */
#include "base/num.h"
#include "support/modelgen.h"

enum change { PUT, INSERT, CUT, APPEND };

struct row {
        const char *name;
        const char *rule;
        const char *marker; /* "": the start of the file */
        long delta;
        enum change change;
        struct view bytes;
        size_t over; /* bytes that PUT replaces, when not as many as it puts */
};

#define B(lit)   VIEW_INIT(lit)
#define ALIGN    "general.alignment"
#define TOKENS   "tokenizer.ggml.tokens"
#define SCORES   "tokenizer.ggml.scores"
#define TYPES    "tokenizer.ggml.token_type"
#define MERGES   "tokenizer.ggml.merges"
#define BOS      "tokenizer.ggml.bos_token_id"
#define TEMPLATE "tokenizer.chat_template"
#define FIRST    "first.weight"
#define SECOND   "second.weight"
#define THIRD    "third.weight"
#define FF8      "\xff\xff\xff\xff\xff\xff\xff\xff"

static const struct row rows[] = {
        /* signature and version */
        {"byte-swapped signature", "GGUF-G1", "", 0, PUT, B("FUGG")},
        {"old signature ggjt", "GGUF-G1", "", 0, PUT, B("tjgg")},
        {"old signature ggml", "GGUF-G1", "", 0, PUT, B("lmgg")},
        {"old signature ggmf", "GGUF-G1", "", 0, PUT, B("fmgg")},
        {"old signature in capitals", "GGUF-G1", "", 0, PUT, B("GGML")},
        {"unknown signature", "KIND-001", "", 0, PUT, B("GGUX")},
        {"lower-case signature", "KIND-001", "", 0, PUT, B("gguf")},
        {"byte before the signature", "KIND-001", "", 0, INSERT, B("\1")},
        {"version 0", "GGUF-G2", "", 4, PUT, B("\0\0\0\0")},
        {"version 1", "GGUF-G2", "", 4, PUT, B("\1\0\0\0")},
        {"version 4", "GGUF-G2", "", 4, PUT, B("\4\0\0\0")},
        {"version 3 big-endian", "GGUF-G2", "", 4, PUT, B("\0\0\0\3")},
        {"version 2 big-endian", "GGUF-G2", "", 4, PUT, B("\0\0\0\2")},
        {"version with high bits", "GGUF-G2", "", 4, PUT, B("\3\0\1\0")},
        {"version all ones", "GGUF-G2", "", 4, PUT, B("\xff\xff\xff\xff")},
        /* counts */
        {"tensor count 2^64-1", "GGUF-G3", "", 8, PUT, B(FF8)},
        {"pair count 2^64-1", "GGUF-G3", "", 16, PUT, B(FF8)},
        {"tensor count 65537", "GGUF-G3", "", 8, PUT, B("\1\0\1\0\0\0\0\0")},
        {"pair count 65537", "GGUF-G3", "", 16, PUT, B("\1\0\1\0\0\0\0\0")},
        {"tensor count beyond the file", "GGUF-G3", "", 8, PUT, B("\0\x10\0\0\0\0\0\0")},
        {"pair count beyond the file", "GGUF-G3", "", 16, PUT, B("\0\x10\0\0\0\0\0\0")},
        {"tensor count times size wraps", "GGUF-G3", "", 8, PUT, B("\xab\xaa\xaa\xaa\xaa\xaa\xaa\x0a")},
        {"one pair too many", "GGUF-G4", "", 16, PUT, B("\x15\0\0\0\0\0\0\0")},
        {"one pair too few", "GGUF-G10", "", 16, PUT, B("\x12\0\0\0\0\0\0\0")},
        {"one tensor too many", "GGUF-G9", "", 8, PUT, B("\4\0\0\0\0\0\0\0")},
        {"one tensor too few", "GGUF-G13", "", 8, PUT, B("\2\0\0\0\0\0\0\0")},
        {"no tensors but data", "GGUF-G14", "", 8, PUT, B("\0\0\0\0\0\0\0\0")},
        /* keys */
        {"key of no bytes", "GGUF-G4", "general.name", -20, PUT, B("\0\0\0\0\0\0\0\0")},
        {"key longer than the file", "GGUF-G4", "general.name", -20, PUT, B("\xff\xff\0\0\0\0\0\0")},
        {"key of 65536 bytes", "GGUF-G4", "general.name", -20, PUT, B("\0\0\1\0\0\0\0\0")},
        {"key of 2^64-1 bytes", "GGUF-G4", "general.name", -20, PUT, B(FF8)},
        {"key of 2^63 bytes", "GGUF-G4", "general.name", -20, PUT, B("\0\0\0\0\0\0\0\x80")},
        {"key with a capital", "GGUF-G4", "general.flag", -1, PUT, B("G")},
        {"key with a space", "GGUF-G4", "general.flag", -1, PUT, B(" ")},
        {"key with a NUL", "GGUF-G4", "general.flag", -2, PUT, B("\0")},
        {"key with a slash", "GGUF-G4", "general.flag", -1, PUT, B("/")},
        {"key with a newline", "GGUF-G4", "general.flag", -1, PUT, B("\n")},
        {"key that is not ASCII", "GGUF-G4", "general.flag", -2, PUT, B("\xc3\xa4")},
        {"key with a byte 0x80", "GGUF-G4", "general.flag", -1, PUT, B("\x80")},
        {"key given twice", "GGUF-G4", "general.half", -4, PUT, B("flag")},
        {"architecture given twice", "GGUF-G4", "tokenizer.ggml.eos_token_id", -12, PUT, B("bos_token_id")},
        /* values */
        {"value type 13", "GGUF-G5", "general.flag", 0, PUT, B("\x0d\0\0\0")},
        {"value type 2^32-1", "GGUF-G5", "general.flag", 0, PUT, B("\xff\xff\xff\xff")},
        {"value type with a high byte", "GGUF-G5", "general.flag", 0, PUT, B("\7\0\0\1")},
        {"truth value 2", "GGUF-G5", "general.flag", 4, PUT, B("\2")},
        {"truth value 255", "GGUF-G5", "general.flag", 4, PUT, B("\xff")},
        {"truth value 2 in a list", "GGUF-G5", "general.truths", 17, PUT, B("\2")},
        {"architecture is a number", "GGUF-G5", "general.architecture", 0, PUT, B("\x0a\0\0\0")},
        {"name is a number", "GGUF-G5", "general.name", 0, PUT, B("\x0b\0\0\0")},
        /* lists */
        {"list of lists", "GGUF-G6", "general.numbers", 4, PUT, B("\x09\0\0\0")},
        {"list of unknown type", "GGUF-G6", "general.numbers", 4, PUT, B("\x0d\0\0\0")},
        {"list of type 2^32-1", "GGUF-G6", "general.numbers", 4, PUT, B("\xff\xff\xff\xff")},
        {"list longer than the file", "GGUF-G6", "general.numbers", 8, PUT, B("\0\0\1\0\0\0\0\0")},
        {"list of 2^64-1", "GGUF-G6", "general.numbers", 8, PUT, B(FF8)},
        {"list of 2^63 wraps to nothing", "GGUF-G6", "general.numbers", 8, PUT, B("\0\0\0\0\0\0\0\x80")},
        {"list of 2^30+1", "GGUF-G6", "general.nothing", 8, PUT, B("\1\0\0\x40\0\0\0\0")},
        {"texts more than fit", "GGUF-G6", "general.tags", 8, PUT, B("\0\x10\0\0\0\0\0\0")},
        {"texts of 2^61 wrap to nothing", "GGUF-G6", "general.tags", 8, PUT, B("\0\0\0\0\0\0\0\x20")},
        {"one element too many", "GGUF-G4", "general.numbers", 8, PUT, B("\4\0\0\0\0\0\0\0")},
        {"one element too few", "GGUF-G4", "general.numbers", 8, PUT, B("\2\0\0\0\0\0\0\0")},
        /* texts */
        {"text longer than the file", "GGUF-G7", "general.name", 4, PUT, B("\0\0\1\0\0\0\0\0")},
        {"text of 2^64-1 bytes", "GGUF-G7", "general.name", 4, PUT, B(FF8)},
        {"text of 2^63 bytes", "GGUF-G7", "general.name", 4, PUT, B("\0\0\0\0\0\0\0\x80")},
        {"text of 2^64-8 bytes", "GGUF-G7", "general.name", 4, PUT, B("\xf8\xff\xff\xff\xff\xff\xff\xff")},
        {"text that is not UTF-8", "GGUF-G7", "general.name", 12, PUT, B("\xff")},
        {"text with an overlong form", "GGUF-G7", "general.name", 12, PUT, B("\xc0\xaf")},
        {"text with a surrogate", "GGUF-G7", "general.name", 12, PUT, B("\xed\xa0\x80")},
        {"text past U+10FFFF", "GGUF-G7", "general.name", 12, PUT, B("\xf4\x90\x80\x80")},
        {"text with a lone continuation byte", "GGUF-G7", "general.name", 13, PUT, B("\x80")},
        {"text that ends inside a code point", "GGUF-G7", "general.name", 15, PUT, B("\xc3")},
        {"name with a NUL", "GGUF-G7", "general.name", 13, PUT, B("\0")},
        {"architecture with a NUL", "GGUF-G7", "general.architecture", 13, PUT, B("\0")},
        {"text in a list that is not UTF-8", "GGUF-G7", "general.tags", 24, PUT, B("\xff")},
        {"text in a list longer than the file", "GGUF-G7", "general.tags", 16, PUT, B(FF8)},
        /* alignment */
        {"alignment 0", "GGUF-G8", ALIGN, 4, PUT, B("\0\0\0\0")},
        {"alignment 1", "GGUF-G8", ALIGN, 4, PUT, B("\1\0\0\0")},
        {"alignment 4", "GGUF-G8", ALIGN, 4, PUT, B("\4\0\0\0")},
        {"alignment 33", "GGUF-G8", ALIGN, 4, PUT, B("\x21\0\0\0")},
        {"alignment 48", "GGUF-G8", ALIGN, 4, PUT, B("\x30\0\0\0")},
        {"alignment 131072", "GGUF-G8", ALIGN, 4, PUT, B("\0\0\2\0")},
        {"alignment 2^31", "GGUF-G8", ALIGN, 4, PUT, B("\0\0\0\x80")},
        {"alignment 2^32-1", "GGUF-G8", ALIGN, 4, PUT, B("\xff\xff\xff\xff")},
        {"alignment as i32", "GGUF-G8", ALIGN, 0, PUT, B("\5\0\0\0")},
        {"alignment as f32", "GGUF-G8", ALIGN, 0, PUT, B("\6\0\0\0")},
        {"alignment 64 with tensors at 32", "GGUF-G12", ALIGN, 4, PUT, B("\x40\0\0\0")},
        {"alignment 16 with tensors at 32", "GGUF-G12", ALIGN, 4, PUT, B("\x10\0\0\0")},
        /* tensor names */
        {"tensor name of no bytes", "GGUF-G9", FIRST, -20, PUT, B("\0\0\0\0\0\0\0\0")},
        {"tensor name of 64 bytes", "GGUF-G9", FIRST, -20, PUT, B("\x40\0\0\0\0\0\0\0")},
        {"tensor name of 2^64-1 bytes", "GGUF-G9", FIRST, -20, PUT, B(FF8)},
        {"tensor name with a NUL", "GGUF-G9", FIRST, -3, PUT, B("\0")},
        {"tensor name that is not UTF-8", "GGUF-G9", FIRST, -3, PUT, B("\xff")},
        {"tensor name cut inside a code point", "GGUF-G9", FIRST, -1, PUT, B("\xc3")},
        {"tensor name given twice", "GGUF-G9", THIRD, -12, PUT, B("first.weight")},
        /* shapes */
        {"rank 0", "GGUF-G10", FIRST, 0, PUT, B("\0\0\0\0")},
        {"rank 5", "GGUF-G10", FIRST, 0, PUT, B("\5\0\0\0")},
        {"rank 2^32-1", "GGUF-G10", FIRST, 0, PUT, B("\xff\xff\xff\xff")},
        {"dimension 0", "GGUF-G10", FIRST, 4, PUT, B("\0\0\0\0\0\0\0\0")},
        {"second dimension 0", "GGUF-G10", FIRST, 12, PUT, B("\0\0\0\0\0\0\0\0")},
        {"dimension 2^48+1", "GGUF-G10", FIRST, 4, PUT, B("\1\0\0\0\0\0\1\0")},
        {"dimension 2^63", "GGUF-G10", FIRST, 4, PUT, B("\0\0\0\0\0\0\0\x80")},
        {"dimension 2^64-1", "GGUF-G10", FIRST, 4, PUT, B(FF8)},
        {"product wraps to 0", "GGUF-G10", FIRST, 4, PUT, B("\0\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0")},
        {"product wraps to 8", "GGUF-G10", FIRST, 4, PUT, B("\0\0\0\0\0\0\1\0\0\0\1\0\0\0\0\0")},
        {"bytes wrap", "GGUF-G10", FIRST, 4, PUT, B("\0\0\0\0\0\0\1\0\0\x40\0\0\0\0\0\0")},
        {"padding wraps", "GGUF-G10", FIRST, 4, PUT, B("\xff\xff\xff\x7f\0\0\0\0\1\0\0\x80\0\0\0\0")},
        {"larger than the file", "GGUF-G12", FIRST, 4, PUT, B("\x40\0\0\0\0\0\0\0")},
        {"last tensor larger than the file", "GGUF-G14", THIRD, 12, PUT, B("\2\0\0\0\0\0\0\0")},
        {"last tensor smaller than its place", "GGUF-G14", THIRD, 28, PUT, B("\x18\0\0\0")},
        {"terabytes in a small file", "GGUF-G14", THIRD, 12, PUT, B("\0\0\0\0\0\1\0\0")},
        /* types: see also the generated ones */
        {"row not a multiple of the block", "GGUF-G11", THIRD, 4, PUT, B("\x21\0\0\0\0\0\0\0")},
        {"row shorter than the block", "GGUF-G11", THIRD, 4, PUT, B("\1\0\0\0\0\0\0\0")},
        {"elements fill blocks, rows don't", "GGUF-G11", THIRD, 4, PUT,
         B("\x10\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0")},
        /* places */
        {"first tensor not at 0", "GGUF-G12", FIRST, 24, PUT, B("\x20\0\0\0\0\0\0\0")},
        {"tensor over the one before", "GGUF-G12", SECOND, 16, PUT, B("\0\0\0\0\0\0\0\0")},
        {"tensor not aligned", "GGUF-G12", SECOND, 16, PUT, B("\x21\0\0\0\0\0\0\0")},
        {"hole before a tensor", "GGUF-G12", SECOND, 16, PUT, B("\x40\0\0\0\0\0\0\0")},
        {"tensors swapped", "GGUF-G12", SECOND, 16, PUT, B("\x40\0\0\0\0\0\0\0")},
        {"tensor behind the file", "GGUF-G12", THIRD, 32, PUT, B("\0\0\1\0\0\0\0\0")},
        {"tensor at 2^64-32", "GGUF-G12", THIRD, 32, PUT, B("\xe0\xff\xff\xff\xff\xff\xff\xff")},
        {"tensor at 2^63", "GGUF-G12", THIRD, 32, PUT, B("\0\0\0\0\0\0\0\x80")},
        /* padding and end */
        {"byte in the padding before the data", "GGUF-G13", THIRD, 40, PUT, B("\1")},
        {"shell script behind the data", "GGUF-G14", "", 0, APPEND, B("\n#!/bin/sh\nid\n")},
        {"one byte behind the data", "GGUF-G14", "", 0, APPEND, B("\0")},
        {"32 zero bytes behind the data", "GGUF-G14", "", 0, APPEND,
         B("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0")},
        {"archive end behind the data", "KIND-003", "", 0, APPEND,
         B("PK\5\6\0\0\0\0\1\0\1\0\x2e\0\0\0\0\0\0\0\0\0")},
        {"archive end with a comment behind the data", "KIND-003", "", 0, APPEND,
         B("PK\5\6\0\0\0\0\1\0\1\0\x2e\0\0\0\0\0\0\0\3\0abc")},
        {"byte in the last padding", "GGUF-G13", "", -1, PUT, B("\1")},
        {"byte in a padding between tensors", "GGUF-G13", "", -65, PUT, B("\x80")},
        {"one byte of the last tensor missing", "GGUF-G14", "", -31, CUT, B("")},
        {"half of the last padding missing", "GGUF-G14", "", -16, CUT, B("")},
        {"half of the data missing", "GGUF-G14", "", -80, CUT, B("")},
        {"all data missing", "GGUF-G14", "", -128, CUT, B("")},
        {"cut inside the tensor table", "GGUF-G14", SECOND, 6, CUT, B("")},
        {"cut inside a key", "GGUF-G3", "general.name", -4, CUT, B("")},
        {"cut inside the header", "GGUF-G14", "", 12, CUT, B("")},
        {"only the signature", "GGUF-G14", "", 4, CUT, B("")},
        {"document in the metadata", "KIND-003", "general.name", 12, PUT, B("%PDF-1.7\n")},
        /* split sets */
        {"one of two parts", "GGUF-G15", "general.flag", -20, INSERT,
         B("\x0b\0\0\0\0\0\0\0split.count\2\0\0\0\2\0")},
        {"part number 1", "GGUF-G15", "general.flag", -20, INSERT,
         B("\x08\0\0\0\0\0\0\0split.no\2\0\0\0\1\0")},
        {"part count as text", "GGUF-G15", "general.flag", -20, INSERT,
         B("\x0b\0\0\0\0\0\0\0split.count\x08\0\0\0\1\0\0\0\0\0\0\0"
           "2")},
        /* vocabulary */
        {"scores without tokens", "GGUF-G16", TOKENS, -1, PUT, B("z")},
        {"fewer scores than tokens", "GGUF-G16", SCORES, 8, PUT, B("\6\0\0\0\0\0\0\0"), 12},
        {"fewer types than tokens", "GGUF-G16", TYPES, 8, PUT, B("\6\0\0\0\0\0\0\0"), 12},
        {"scores that are no floats", "GGUF-G16", SCORES, 4, PUT, B("\4\0\0\0")},
        {"types of one byte", "GGUF-G16", TYPES, 4, PUT, B("\0\0\0\0")},
        {"types that are floats", "GGUF-G16", TYPES, 4, PUT, B("\6\0\0\0")},
        {"tokens that are numbers", "GGUF-G16", TOKENS, 4, PUT, B("\4\0\0\0")},
        {"tokens that are one text", "GGUF-G16", TOKENS, 0, PUT, B("\x08\0\0\0")},
        {"merges that are numbers", "GGUF-G16", MERGES, 4, PUT, B("\0\0\0\0")},
        {"merge without a space", "GGUF-G16", MERGES, 25, PUT, B("x")},
        {"merge with nothing before the space", "GGUF-G16", MERGES, 24, PUT, B(" x")},
        {"merge with nothing behind the space", "GGUF-G16", MERGES, 25, PUT, B("x ")},
        {"token with a NUL", "GGUF-G7", "</s>", -2, PUT, B("\0")},
        {"text of an unknown key with a NUL", "GGUF-G7", "general.tags", 25, PUT, B("\0")},
        {"merge with a NUL", "GGUF-G7", MERGES, 24, PUT, B("\0")},
        {"bos beyond the vocabulary", "GGUF-G16", BOS, 4, PUT, B("\7\0\0\0")},
        {"bos 2^32-1", "GGUF-G16", BOS, 4, PUT, B("\xff\xff\xff\xff")},
        {"bos as i32", "GGUF-G16", BOS, 0, PUT, B("\5\0\0\0")},
        {"bos as f32", "GGUF-G16", BOS, 0, PUT, B("\6\0\0\0")},
        {"byte token with a sign", "GGUF-G16", "<0xAF>", -3, PUT, B("-1")},
        {"byte token in lower case", "GGUF-G16", "<0xAF>", -3, PUT, B("af")},
        {"byte token with letters", "GGUF-G16", "<0xAF>", -3, PUT, B("GG")},
        {"byte token with a space", "GGUF-G16", "<0xAF>", -3, PUT, B(" 1")},
        {"byte token with a NUL", "GGUF-G16", "<0xAF>", -3, PUT, B("\0A")},
        {"byte token without a bracket", "GGUF-G16", "<0xAF>", -1, PUT, B("x")},
        {"word marked as a byte", "GGUF-G16", TYPES, 36, PUT, B("\6\0\0\0")},
        /* templates */
        {"template as a number", "GGUF-G17", TEMPLATE, 0, PUT, B("\0\0\0\0")},
        {"template with a NUL", "GGUF-G17", TEMPLATE, 12, PUT, B("\0")},
        {"template that is not UTF-8", "GGUF-G17", TEMPLATE, 12, PUT, B("\xff")},
        {"template that runs programs", "TEMPLATE-003", TEMPLATE, 12, PUT, B("{{ ''.__class__.__mro__ }}")},
        {"template that imports", "TEMPLATE-002", TEMPLATE, 12, PUT, B("{% import x %}")},
        {"template that is not closed", "TEMPLATE-001", TEMPLATE, 12, PUT, B("{% if")},
        {"second template that runs programs", "TEMPLATE-004", "general.flag", -20, INSERT,
         B("\x20\0\0\0\0\0\0\0tokenizer.chat_template.tool_use\x08\0\0\0\x0e\0\0\0\0\0\0\0{{ m|attr(k)}}")},
};

static const uint32_t bad_types[] = {4, 5, 31, 32, 33, 36, 37, 38, 43, 44, 255, 256, 0x80000000u, UINT32_MAX};

/* ---- making them ---- */

static size_t position(const struct row *row, struct view file) {
        size_t at = 0;

        if (row->marker[0]) {
                at = view_find(file, view_of(row->marker));
                if (at == SIZE_MAX)
                        abort(); /* the table is wrong */
                at += strlen(row->marker);
        } else if (row->delta < 0)
                at = file.n;
        return at + (size_t)row->delta;
}

static int apply(const struct row *row, struct view file, struct buf *out) {
        size_t at = row->change == APPEND ? file.n : position(row, file);
        size_t over = row->change != PUT ? 0 : row->over ? row->over : row->bytes.n;
        int r = buf_append_view(out, view_sub(file, 0, at));

        if (r >= 0)
                r = buf_append_view(out, row->bytes);
        if (r >= 0 && row->change != CUT)
                r = buf_append_view(out, view_sub(file, at + over, SIZE_MAX));
        /* An inserted pair is counted. The data moves too: other rules may speak up besides the expected one.
         * */
        if (r >= 0 && row->change == INSERT && row->marker[0])
                out->p[16]++;
        return r;
}

static int bad_row(size_t i, struct buf *out, struct modelgen_case *ret) {
        _cleanup_(buf_donep) struct buf file = BUF_INIT((size_t)1 << 20);
        int r = modelgen_gguf(&file);

        if (r < 0)
                return r;
        *ret = (struct modelgen_case){rows[i].name, rows[i].rule};
        return apply(&rows[i], buf_view(&file), out);
}

static int bad_type(size_t i, struct buf *out, struct modelgen_case *ret) {
        static char name[64];
        _cleanup_(buf_donep) struct buf file = BUF_INIT((size_t)1 << 20);
        char le[4];
        struct row row = {name, "GGUF-G11", THIRD, 28, PUT, {le, sizeof le}, 0};
        int r = modelgen_gguf(&file);

        if (r < 0)
                return r;
        for (size_t k = 0; k < sizeof le; k++)
                le[k] = (char)(bad_types[i] >> 8 * k & 0xff);
        (void)snprintf(name, sizeof name, "tensor type %u", bad_types[i]);
        *ret = (struct modelgen_case){row.name, row.rule};
        return apply(&row, buf_view(&file), out);
}

/* NaN or infinity in the second block of a tensor of each type that has such numbers. */
static int bad_number(const struct modelgen_type *t, uint32_t value, struct buf *out,
                      struct modelgen_case *ret) {
        static char name[64];
        size_t data;
        int r = modelgen_gguf_of_type(t->id, out, &data);

        if (r < 0)
                return r;
        for (unsigned k = 0; k < t->nan_width; k++)
                out->p[data + t->bytes + t->nan_at + k] = (char)(value >> 8 * k & 0xff);
        (void)snprintf(name, sizeof name, "%s in %s", value == t->nan ? "NaN" : "infinity", t->name);
        *ret = (struct modelgen_case){name, "WEIGHTS-001"};
        return 0;
}

/* The n-th of: NaN and infinity of each type, as far as it has them. NULL past the end. */
static const struct modelgen_type *number_case(size_t n, uint32_t *ret_value) {
        for (size_t i = 0; i < modelgen_gguf_types_n; i++) {
                const struct modelgen_type *t = &modelgen_gguf_types[i];
                size_t has = t->nan_width == 0 ? 0 : t->infinity ? 2 : 1;

                if (n < has) {
                        *ret_value = n == 0 ? t->nan : t->infinity;
                        return t;
                }
                n -= has;
        }
        return NULL;
}

size_t modelgen_bad_gguf_n(void) {
        size_t n = 0;
        uint32_t value;

        while (number_case(n, &value))
                n++;
        return ARRAY_SIZE(rows) + ARRAY_SIZE(bad_types) + n;
}

int modelgen_bad_gguf(size_t i, struct buf *out, struct modelgen_case *ret) {
        const struct modelgen_type *t;
        uint32_t value;

        if (i < ARRAY_SIZE(rows))
                return bad_row(i, out, ret);
        i -= ARRAY_SIZE(rows);
        if (i < ARRAY_SIZE(bad_types))
                return bad_type(i, out, ret);
        t = number_case(i - ARRAY_SIZE(bad_types), &value);
        return t ? bad_number(t, value, out, ret) : -EINVAL;
}
