/* Malformed safetensors files: a header as it is written, and the bytes of data behind it. */
#include "support/modelgen.h"

struct row {
        const char *name;
        const char *rule;
        struct view header;
        size_t data;
};

#define H(lit) VIEW_INIT(lit)
/* One good entry of eight bytes, for headers that are wrong elsewhere. */
#define GOOD "\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}"

static const struct row rows[] = {
        /* around the header */
        {"space before the brace", "SAFETENSORS-S2", H(" {" GOOD "}"), 8},
        {"newline before the brace", "SAFETENSORS-S2", H("\n{" GOOD "}"), 8},
        {"tab behind the brace", "SAFETENSORS-S2", H("{" GOOD "}\t"), 8},
        {"newline behind the brace", "SAFETENSORS-S2", H("{" GOOD "}\n"), 8},
        {"NUL behind the brace", "SAFETENSORS-S2", H("{" GOOD "}  \0"), 8},
        {"second object", "SAFETENSORS-S2", H("{" GOOD "}{" GOOD "}"), 8},
        {"byte order mark", "SAFETENSORS-S2", H("\xef\xbb\xbf{" GOOD "}"), 8},
        /* strict JSON */
        {"not closed", "SAFETENSORS-S3", H("{" GOOD), 8},
        {"text not closed", "SAFETENSORS-S3", H("{\"w"), 8},
        {"comma at the end", "SAFETENSORS-S3", H("{" GOOD ",}"), 8},
        {"two commas", "SAFETENSORS-S3", H("{" GOOD ",,\"v\":1}"), 8},
        {"no colon", "SAFETENSORS-S3", H("{\"w\" {}}"), 0},
        {"comment", "SAFETENSORS-S3", H("{/*x*/" GOOD "}"), 8},
        {"single quotes", "SAFETENSORS-S3", H("{'w':{}}"), 0},
        {"bare key", "SAFETENSORS-S3", H("{w:{}}"), 0},
        {"NaN", "SAFETENSORS-S3", H("{\"w\":{\"dtype\":\"F32\",\"shape\":[NaN],\"data_offsets\":[0,8]}}"), 8},
        {"Infinity", "SAFETENSORS-S3",
         H("{\"w\":{\"dtype\":\"F32\",\"shape\":[Infinity],\"data_offsets\":[0,8]}}"), 8},
        {"leading zero", "SAFETENSORS-S3",
         H("{\"w\":{\"dtype\":\"F32\",\"shape\":[02],\"data_offsets\":[0,8]}}"), 8},
        {"hexadecimal", "SAFETENSORS-S3",
         H("{\"w\":{\"dtype\":\"F32\",\"shape\":[0x2],\"data_offsets\":[0,8]}}"), 8},
        {"plus sign", "SAFETENSORS-S3",
         H("{\"w\":{\"dtype\":\"F32\",\"shape\":[+2],\"data_offsets\":[0,8]}}"), 8},
        {"number without digits", "SAFETENSORS-S3",
         H("{\"w\":{\"dtype\":\"F32\",\"shape\":[-],\"data_offsets\":[0,8]}}"), 8},
        {"bad literal", "SAFETENSORS-S3", H("{\"w\":nul}"), 0},
        {"NUL in a name", "SAFETENSORS-S3", H("{\"w\0\":{}}"), 0},
        {"escaped NUL in a name", "SAFETENSORS-S3", H("{\"w\\u0000\":{}}"), 0},
        {"control character in a name", "SAFETENSORS-S3", H("{\"w\1\":{}}"), 0},
        {"newline in a text", "SAFETENSORS-S3", H("{\"__metadata__\":{\"a\":\"x\ny\"}}"), 0},
        {"lone high surrogate", "SAFETENSORS-S3", H("{\"\\ud800\":{}}"), 0},
        {"lone low surrogate", "SAFETENSORS-S3", H("{\"\\udc00\":{}}"), 0},
        {"high surrogate and a letter", "SAFETENSORS-S3", H("{\"\\ud800a\":{}}"), 0},
        {"two high surrogates", "SAFETENSORS-S3", H("{\"\\ud800\\ud800\":{}}"), 0},
        {"unknown escape", "SAFETENSORS-S3", H("{\"\\x41\":{}}"), 0},
        {"short escape", "SAFETENSORS-S3", H("{\"\\u12\":{}}"), 0},
        {"not UTF-8", "SAFETENSORS-S3", H("{\"\xff\":{}}"), 0},
        {"overlong UTF-8", "SAFETENSORS-S3", H("{\"\xc0\xaf\":{}}"), 0},
        {"surrogate in UTF-8", "SAFETENSORS-S3", H("{\"\xed\xa0\x80\":{}}"), 0},
        {"code point cut by the quote", "SAFETENSORS-S3", H("{\"\xc3\":{}}"), 0},
        {"brackets that don't match", "SAFETENSORS-S3", H("{\"w\":{\"shape\":[2}}"), 0},
        {"header after a NUL", "SAFETENSORS-S3", H("{\0" GOOD "}"), 8},
        /* names used twice */
        {"tensor twice", "SAFETENSORS-S4", H("{" GOOD "," GOOD "}"), 8},
        {"tensor twice, one escaped", "SAFETENSORS-S4",
         H("{" GOOD ",\"\\u0077\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}"), 16},
        {"dtype twice", "SAFETENSORS-S4",
         H("{\"w\":{\"dtype\":\"F32\",\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[0,8]}}"), 8},
        {"shape twice", "SAFETENSORS-S4",
         H("{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"shape\":[2],\"data_offsets\":[0,8]}}"), 8},
        {"offsets twice, one escaped", "SAFETENSORS-S4",
         H("{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"data\\u005foffsets\":[0,8]}}"),
         8},
        {"metadata twice", "SAFETENSORS-S4", H("{\"__metadata__\":{},\"__metadata__\":{}," GOOD "}"), 8},
        {"metadata key twice", "SAFETENSORS-S4",
         H("{\"__metadata__\":{\"a\":\"1\",\"\\u0061\":\"2\"}," GOOD "}"), 8},
        /* metadata */
        {"metadata is a text", "SAFETENSORS-S5", H("{\"__metadata__\":\"x\"," GOOD "}"), 8},
        {"metadata is a list", "SAFETENSORS-S5", H("{\"__metadata__\":[]," GOOD "}"), 8},
        {"metadata is null", "SAFETENSORS-S5", H("{\"__metadata__\":null," GOOD "}"), 8},
        {"metadata value is a number", "SAFETENSORS-S5", H("{\"__metadata__\":{\"a\":1}," GOOD "}"), 8},
        {"metadata value is an object", "SAFETENSORS-S5", H("{\"__metadata__\":{\"a\":{}}," GOOD "}"), 8},
        {"metadata value is true", "SAFETENSORS-S5", H("{\"__metadata__\":{\"a\":true}," GOOD "}"), 8},
        /* entries */
        {"unknown member", "SAFETENSORS-S6",
         H("{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"x\":1}}"), 8},
        {"no dtype", "SAFETENSORS-S6", H("{\"w\":{\"shape\":[2],\"data_offsets\":[0,8]}}"), 8},
        {"no shape", "SAFETENSORS-S6", H("{\"w\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}"), 8},
        {"no offsets", "SAFETENSORS-S6", H("{\"w\":{\"dtype\":\"F32\",\"shape\":[2]}}"), 8},
        {"empty entry", "SAFETENSORS-S6", H("{\"w\":{}}"), 0},
        {"entry is a list", "SAFETENSORS-S6", H("{\"w\":[]}"), 0},
        {"entry is a number", "SAFETENSORS-S6", H("{\"w\":1}"), 0},
        {"dtype is a number", "SAFETENSORS-S6",
         H("{\"w\":{\"dtype\":1,\"shape\":[2],\"data_offsets\":[0,8]}}"), 8},
        {"shape is a number", "SAFETENSORS-S6",
         H("{\"w\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}"), 8},
        {"one offset", "SAFETENSORS-S7", H("{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}}"),
         8},
        {"three offsets", "SAFETENSORS-S6",
         H("{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8,8]}}"), 8},
        /* numbers */
        {"negative dimension", "SAFETENSORS-S7",
         H("{\"w\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}"), 8},
        {"minus zero", "SAFETENSORS-S7",
         H("{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-0,8]}}"), 8},
        {"fraction", "SAFETENSORS-S7",
         H("{\"w\":{\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]}}"), 8},
        {"exponent", "SAFETENSORS-S7",
         H("{\"w\":{\"dtype\":\"F32\",\"shape\":[2e0],\"data_offsets\":[0,8]}}"), 8},
        {"2^53", "SAFETENSORS-S7",
         H("{\"w\":{\"dtype\":\"F32\",\"shape\":[9007199254740992],\"data_offsets\":[0,8]}}"), 8},
        {"2^64", "SAFETENSORS-S7",
         H("{\"w\":{\"dtype\":\"F32\",\"shape\":[18446744073709551616],\"data_offsets\":[0,8]}}"), 8},
        {"text in the shape", "SAFETENSORS-S7",
         H("{\"w\":{\"dtype\":\"F32\",\"shape\":[\"2\"],\"data_offsets\":[0,8]}}"), 8},
        {"list in the shape", "SAFETENSORS-S7",
         H("{\"w\":{\"dtype\":\"F32\",\"shape\":[[2]],\"data_offsets\":[0,8]}}"), 8},
        {"null in the offsets", "SAFETENSORS-S7",
         H("{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[null,8]}}"), 8},
        /* dtypes */
        {"unknown dtype", "SAFETENSORS-S8",
         H("{\"w\":{\"dtype\":\"F128\",\"shape\":[2],\"data_offsets\":[0,8]}}"), 8},
        {"lower-case dtype", "SAFETENSORS-S8",
         H("{\"w\":{\"dtype\":\"f32\",\"shape\":[2],\"data_offsets\":[0,8]}}"), 8},
        {"empty dtype", "SAFETENSORS-S8", H("{\"w\":{\"dtype\":\"\",\"shape\":[2],\"data_offsets\":[0,8]}}"),
         8},
        {"dtype with a space", "SAFETENSORS-S8",
         H("{\"w\":{\"dtype\":\"F32 \",\"shape\":[2],\"data_offsets\":[0,8]}}"), 8},
        /* sizes */
        {"shape smaller than the range", "SAFETENSORS-S9",
         H("{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]}}"), 8},
        {"shape larger than the range", "SAFETENSORS-S9",
         H("{\"w\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}"), 8},
        {"end before begin", "SAFETENSORS-S9",
         H("{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}"), 8},
        {"product wraps", "SAFETENSORS-S9",
         H("{\"w\":{\"dtype\":\"U8\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}"), 0},
        {"bits wrap", "SAFETENSORS-S9",
         H("{\"w\":{\"dtype\":\"F64\",\"shape\":[4503599627370496,64],\"data_offsets\":[0,0]}}"), 0},
        {"half a byte", "SAFETENSORS-S9",
         H("{\"w\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,1]}}"), 1},
        {"three quarters of a byte", "SAFETENSORS-S9",
         H("{\"w\":{\"dtype\":\"F6_E2M3\",\"shape\":[1],\"data_offsets\":[0,1]}}"), 1},
        /* cover */
        {"hole at the start", "SAFETENSORS-S10",
         H("{\"w\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}"), 16},
        {"hole between tensors", "SAFETENSORS-S10",
         H("{" GOOD ",\"v\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[9,10]}}"), 10},
        {"overlap", "SAFETENSORS-S10",
         H("{" GOOD ",\"v\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[7,9]}}"), 9},
        {"two tensors over the same bytes", "SAFETENSORS-S10",
         H("{" GOOD ",\"v\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[0,8]}}"), 8},
        {"tensor inside another, listed first", "SAFETENSORS-S10",
         H("{\"v\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[2,3]}," GOOD "}"), 8},
        {"one byte too many", "SAFETENSORS-S10", H("{" GOOD "}"), 9},
        {"one byte too few", "SAFETENSORS-S10", H("{" GOOD "}"), 7},
        {"no tensors but data", "SAFETENSORS-S10", H("{}"), 8},
        {"no data at all", "SAFETENSORS-S10", H("{" GOOD "}"), 0},
        /* names */
        {"empty name", "SAFETENSORS-S11",
         H("{\"\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}"), 8},
        {"name with two dots", "SAFETENSORS-S11",
         H("{\"a/../b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}"), 8},
        {"name with an escaped newline", "SAFETENSORS-S11",
         H("{\"a\\n\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}"), 8},
        {"name with DEL", "SAFETENSORS-S11",
         H("{\"a\x7f\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}"), 8},
        {"seventeen dimensions", "SAFETENSORS-S11",
         H("{\"w\":{\"dtype\":\"F32\",\"shape\":[2,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,8]}"
           "}"),
         8},
        {"five levels", "SAFETENSORS-S6", H("{\"w\":{\"dtype\":[[[[1]]]]}}"), 0},
        {"document in the header", "KIND-003", H("{\"__metadata__\":{\"a\":\"%PDF-1.7 \"}," GOOD "}"), 8},
};

/* Whole files, length field and all. */
static const struct {
        const char *name;
        const char *rule;
        struct view file;
} raw[] = {
        {"length beyond the file", "SAFETENSORS-S1", VIEW_INIT("\xff\0\0\0\0\0\0\0{}")},
        {"length of 100 MB and one", "SAFETENSORS-S1", VIEW_INIT("\1\xe1\xf5\5\0\0\0\0{}")},
        {"length 1", "SAFETENSORS-S1", VIEW_INIT("\1\0\0\0\0\0\0\0{")},
        {"length 0", "SAFETENSORS-S1", VIEW_INIT("\0\0\0\0\0\0\0\0{}")},
        {"length in terabytes", "SAFETENSORS-S1", VIEW_INIT("\2\0\0\0\xff\0\0\0{}")},
        {"runnable pickle in length and header", "SAFETENSORS-S12",
         VIEW_INIT("X\x0a\0\0\0\0\0\0{\"\x80\0\0\0\0cos\nsystem\n(S'id'\ntR."
                   "                                                                        ")},
};

size_t modelgen_bad_safetensors_n(void) {
        return ARRAY_SIZE(rows) + ARRAY_SIZE(raw);
}

int modelgen_bad_safetensors(size_t i, struct buf *out, struct modelgen_case *ret) {
        if (i < ARRAY_SIZE(rows)) {
                *ret = (struct modelgen_case){rows[i].name, rows[i].rule};
                return modelgen_safetensors(rows[i].header, rows[i].data, out);
        }
        i -= ARRAY_SIZE(rows);
        if (i >= ARRAY_SIZE(raw))
                return -EINVAL;
        *ret = (struct modelgen_case){raw[i].name, raw[i].rule};
        return buf_append_view(out, raw[i].file);
}
