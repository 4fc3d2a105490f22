#include "base/hash_set.h"

#include "base/num.h"
#include "base/secret.h"

struct hash_set {
        uint8_t key[16];
        size_t max;
        size_t count;
        size_t slots; /* power of two */
        uint64_t (*table)[2];
};

static inline uint64_t rotate(uint64_t x, unsigned b) {
        return x << b | x >> (64 - b);
}

static inline void sip_round(uint64_t v[4]) {
        v[0] += v[1];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[0] = rotate(v[0], 32);
        v[2] += v[3];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[2] = rotate(v[2], 32);
}

void siphash_128(const uint8_t key[16], struct view in, uint64_t out[2]) {
        uint64_t k0 = load_le64(key), k1 = load_le64(key + 8), last = (uint64_t)in.n << 56;
        uint64_t v[4] = {UINT64_C(0x736f6d6570736575) ^ k0, UINT64_C(0x646f72616e646f6d) ^ k1 ^ 0xee,
                         UINT64_C(0x6c7967656e657261) ^ k0, UINT64_C(0x7465646279746573) ^ k1};
        const uint8_t *p = (const uint8_t *)in.p;
        size_t whole = in.n / 8 * 8;

        for (size_t i = 0; i < whole; i += 8) {
                uint64_t m = load_le64(p + i);

                v[3] ^= m;
                sip_round(v);
                sip_round(v);
                v[0] ^= m;
        }
        for (size_t i = whole; i < in.n; i++)
                last |= (uint64_t)p[i] << 8 * (i - whole);
        v[3] ^= last;
        sip_round(v);
        sip_round(v);
        v[0] ^= last;
        v[2] ^= 0xee;
        for (int i = 0; i < 4; i++)
                sip_round(v);
        out[0] = v[0] ^ v[1] ^ v[2] ^ v[3];
        v[1] ^= 0xdd;
        for (int i = 0; i < 4; i++)
                sip_round(v);
        out[1] = v[0] ^ v[1] ^ v[2] ^ v[3];
}

int hash_set_new(size_t max, struct hash_set **ret) {
        struct hash_set *s = calloc(1, sizeof *s);
        int r;

        if (!s)
                return -ENOMEM;
        s->max = max;
        r = random_bytes(s->key, sizeof s->key);
        if (r < 0) {
                free(s);
                return r;
        }
        *ret = s;
        return 0;
}

struct hash_set *hash_set_free(struct hash_set *s) {
        if (s) {
                free(s->table);
                free(s);
        }
        return NULL;
}

/* Where `h` is or would go. {0,0} marks an empty slot; callers never pass it. */
static size_t find_slot(uint64_t (*table)[2], size_t slots, const uint64_t h[2]) {
        size_t i = (size_t)h[0] & (slots - 1);

        while ((table[i][0] | table[i][1]) && (table[i][0] != h[0] || table[i][1] != h[1]))
                i = (i + 1) & (slots - 1);
        return i;
}

static int grow(struct hash_set *s) {
        size_t slots = s->slots ? s->slots * 2 : 64;
        uint64_t(*table)[2] = calloc(slots, sizeof *table);

        if (!table)
                return -ENOMEM;
        for (size_t i = 0; i < s->slots; i++)
                if (s->table[i][0] | s->table[i][1])
                        memcpy(table[find_slot(table, slots, s->table[i])], s->table[i], sizeof *table);
        free(s->table);
        s->table = table;
        s->slots = slots;
        return 0;
}

int hash_set_add(struct hash_set *s, struct view key) {
        uint64_t h[2];
        size_t i;
        int r;

        siphash_128(s->key, key, h);
        if ((h[0] | h[1]) == 0)
                h[1] = 1;
        if (s->count + 1 > s->slots / 4 * 3) {
                r = grow(s);
                if (r < 0)
                        return r;
        }
        i = find_slot(s->table, s->slots, h);
        if (s->table[i][0] | s->table[i][1])
                return 0;
        if (s->count >= s->max)
                return -E2BIG;
        memcpy(s->table[i], h, sizeof h);
        s->count++;
        return 1;
}

size_t hash_set_count(const struct hash_set *s) {
        return s->count;
}

void hash_set_clear(struct hash_set *s) {
        if (s->table)
                memset(s->table, 0, s->slots * sizeof *s->table);
        s->count = 0;
}
