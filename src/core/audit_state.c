#include "core/audit_state.h"

#include <sys/stat.h>

#include "base/file.h"
#include "base/num.h"
#include "base/secret.h"

/* A slot, all numbers little-endian:
 *   0 magic (8)  8 generation  16 next sequence  24 key (32)  56 last hash (32)  88 count of leaves
 *   96 rotated  104 offset  112 last checkpoint  120 levels of the tree (64 * 32)  … SHA-256 of all before */
#define SLOT_MAGIC  "SAIAUD01"
#define SLOT_LEVELS ((size_t)120)
#define SLOT_SUM    (SLOT_LEVELS + (size_t)AUDIT_TREE_LEVELS * SHA256_SIZE)

static void store_le64(uint8_t *p, uint64_t v) {
        for (unsigned i = 0; i < 8; i++)
                p[i] = (uint8_t)(v >> (8 * i));
}

static int slot_pack(const struct audit_state *s, uint8_t slot[AUDIT_STATE_SLOT_SIZE]) {
        struct sha256 sum;
        int r;

        memset(slot, 0, AUDIT_STATE_SLOT_SIZE);
        memcpy(slot, SLOT_MAGIC, 8);
        store_le64(slot + 8, s->generation);
        store_le64(slot + 16, s->chain.next_sequence);
        memcpy(slot + 24, s->chain.key, AUDIT_KEY_SIZE);
        memcpy(slot + 56, s->chain.last.b, SHA256_SIZE);
        store_le64(slot + 88, s->tree.count);
        store_le64(slot + 96, s->rotated);
        store_le64(slot + 104, s->offset);
        store_le64(slot + 112, s->last_checkpoint);
        for (unsigned i = 0; i < AUDIT_TREE_LEVELS; i++)
                memcpy(slot + SLOT_LEVELS + i * SHA256_SIZE, s->tree.level[i].b, SHA256_SIZE);
        r = sha256_of(view_make(slot, SLOT_SUM), &sum);
        if (r < 0)
                return r;
        memcpy(slot + SLOT_SUM, sum.b, SHA256_SIZE);
        return 0;
}

static int slot_unpack(const uint8_t slot[AUDIT_STATE_SLOT_SIZE], struct audit_state *s) {
        struct sha256 sum;
        int r = sha256_of(view_make(slot, SLOT_SUM), &sum);

        if (r < 0)
                return r;
        if (memcmp(slot, SLOT_MAGIC, 8) != 0 || memcmp(slot + SLOT_SUM, sum.b, SHA256_SIZE) != 0)
                return -EUCLEAN;
        s->generation = load_le64(slot + 8);
        s->chain.next_sequence = load_le64(slot + 16);
        memcpy(s->chain.key, slot + 24, AUDIT_KEY_SIZE);
        memcpy(s->chain.last.b, slot + 56, SHA256_SIZE);
        s->tree.count = load_le64(slot + 88);
        s->rotated = load_le64(slot + 96);
        s->offset = load_le64(slot + 104);
        s->last_checkpoint = load_le64(slot + 112);
        for (unsigned i = 0; i < AUDIT_TREE_LEVELS; i++)
                memcpy(s->tree.level[i].b, slot + SLOT_LEVELS + i * SHA256_SIZE, SHA256_SIZE);
        return s->chain.next_sequence > 0 && s->tree.count == s->chain.next_sequence - 1 ? 0 : -EUCLEAN;
}

/* 0 and *s when the slot is valid; -EUCLEAN when it is not (also: beyond the end of the file). */
static int slot_read(int fd, unsigned index, struct audit_state *s) {
        uint8_t slot[AUDIT_STATE_SLOT_SIZE];
        int r = pread_all(fd, slot, sizeof slot, index * AUDIT_STATE_SLOT_SIZE);

        r = r < 0 ? (r == -EIO ? -EUCLEAN : r) : slot_unpack(slot, s);
        wipe(slot, sizeof slot);
        return r;
}

void audit_state_wipe(struct audit_state *s) {
        wipe(s, sizeof *s);
}

int audit_state_read(int fd, struct audit_state *ret) {
        struct audit_state a, b;
        int ra = slot_read(fd, 0, &a), rb = slot_read(fd, 1, &b);
        bool take_b = rb >= 0 && (ra < 0 || b.generation > a.generation);

        if (ra >= 0 || rb >= 0)
                *ret = take_b ? b : a;
        audit_state_wipe(&a);
        audit_state_wipe(&b);
        return ra >= 0 || rb >= 0 ? 0 : ra;
}

static int slot_write(int fd, unsigned index, const uint8_t slot[AUDIT_STATE_SLOT_SIZE]) {
        off_t at = (off_t)(index * AUDIT_STATE_SLOT_SIZE);
        ssize_t n;

        do
                n = pwrite(fd, slot, AUDIT_STATE_SLOT_SIZE, at);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return negative_errno();
        return n == (ssize_t)AUDIT_STATE_SLOT_SIZE ? 0 : -EIO;
}

int audit_state_store(int fd, struct audit_state *s) {
        static const uint8_t nothing[AUDIT_STATE_SLOT_SIZE];
        uint8_t slot[AUDIT_STATE_SLOT_SIZE];
        unsigned index;
        int r;

        s->generation++;
        index = (unsigned)(s->generation & 1);
        r = slot_pack(s, slot);
        if (r >= 0)
                r = slot_write(fd, index, slot);
        wipe(slot, sizeof slot);
        if (r >= 0 && fdatasync(fd) < 0)
                r = negative_errno();
        if (r < 0) {
                s->generation--;
                return r;
        }
        /* The old key goes: at once from the page cache, from the disk with the next store or write-back at the
         * latest. Nothing depends on it but secrecy, so a failure here is no failure of the store. */
        (void)slot_write(fd, index ^ 1, nothing);
        return 0;
}
