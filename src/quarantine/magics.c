#include "quarantine/magics.h"

static const struct magic table[] = {
        {VIEW_INIT("\x7f"
                   "ELF"),
         0},
        {VIEW_INIT("MZ"), 0},
        {VIEW_INIT("\xfe\xed\xfa\xce"), 0},
        {VIEW_INIT("\xfe\xed\xfa\xcf"), 0},
        {VIEW_INIT("\xce\xfa\xed\xfe"), 0},
        {VIEW_INIT("\xcf\xfa\xed\xfe"), 0},
        {VIEW_INIT("\xca\xfe\xba\xbe"), 0},
        {VIEW_INIT("PK\x03\x04"), 0},
        {VIEW_INIT("PK\x05\x06"), 0},
        {VIEW_INIT("\x1f\x8b\x08"), 0},
        {VIEW_INIT("BZh"), 0},
        {VIEW_INIT("\xfd"
                   "7zXZ\x00"),
         0},
        {VIEW_INIT("\x28\xb5\x2f\xfd"), 0},
        {VIEW_INIT("7z\xbc\xaf\x27\x1c"), 0},
        {VIEW_INIT("%PDF-"), 0},
        {VIEW_INIT("\x89HDF\r\n\x1a\n"), 0},
        {VIEW_INIT("ustar"), 257},
};

const struct magic *magics(size_t *ret_n) {
        *ret_n = ARRAY_SIZE(table);
        return table;
}
