/* Sharded safetensors: SAFETENSORS-S13. An index promises which tensor lies in which file and how many bytes there are; the
 * shards must hold exactly that. */
#include "model/set_parts.h"

static int compare(const void *a, const void *b) {
        const struct set_promise *x = a, *y = b;

        if (x->index != y->index)
                return x->index < y->index ? -1 : 1;
        if (x->shard != y->shard)
                return x->shard < y->shard ? -1 : 1;
        return memcmp(x->hash, y->hash, sizeof x->hash);
}

static unsigned long long ull(uint64_t v) {
        return v;
}

/* The tensors promised in one shard, sorted, against those it has. */
static void check_shard(struct model_set *s, const struct set_promise *p, size_t n) {
        const struct model_member *m = set_get(s, p->shard);
        uint8_t digest[NAMES_DIGEST_MAX];

        names_digest_of_sorted(p->hash, n, sizeof *p, digest);
        if (m->kind == MODEL_KIND_SAFETENSORS &&
            (n != m->tensors || memcmp(digest, m->names_digest, sizeof digest) != 0))
                SET_PUT(s, p->shard, RULE_ST_INDEX,
                        "The index puts %zu tensors into this file, which holds %llu; they are not the same.",
                        n, ull(m->tensors));
}

static void mark(uint8_t *named, size_t i) {
        named[i / 8] = (uint8_t)(named[i / 8] | 1u << i % 8);
}

/* All shards of one index; *ret_bytes: of their tensors. */
static void check_shards(struct model_set *s, const struct set_promise *p, size_t n, uint8_t *named,
                         uint64_t *ret_bytes) {
        uint64_t bytes = 0;

        for (size_t i = 0, k; i < n; i = k) {
                for (k = i + 1; k < n && p[k].shard == p[i].shard; k++)
                        ;
                check_shard(s, &p[i], k - i);
                mark(named, p[i].shard);
                if (__builtin_add_overflow(bytes, set_get(s, p[i].shard)->tensor_bytes, &bytes))
                        bytes = UINT64_MAX;
        }
        *ret_bytes = bytes;
}

/* "x-00002-of-00005": the last number must be the count of shards. */
static bool shard_number(struct view base, uint64_t *ret_no, uint64_t *ret_count) {
        static const char shape[] = "-NNNNN-of-NNNNN.safetensors";
        size_t n = sizeof shape - 1;
        const char *p = base.p + base.n - n;
        uint64_t no = 0, count = 0;

        if (base.n < n)
                return false;
        for (size_t i = 0; i < n; i++) {
                if (shape[i] == 'N' ? p[i] < '0' || p[i] > '9' : p[i] != shape[i])
                        return false;
                if (i < 6 && shape[i] == 'N')
                        no = no * 10 + (uint64_t)(p[i] - '0');
                else if (shape[i] == 'N')
                        count = count * 10 + (uint64_t)(p[i] - '0');
        }
        *ret_no = no;
        *ret_count = count;
        return true;
}

static void check_numbers(struct model_set *s, const struct set_promise *p, size_t n) {
        uint64_t shards = 0, no, count;

        for (size_t i = 0; i < n; i++)
                shards += i == 0 || p[i].shard != p[i - 1].shard;
        for (size_t i = 0; i < n; i++) {
                struct view base = set_name_base(set_path(s, set_get(s, p[i].shard)));

                if ((i > 0 && p[i].shard == p[i - 1].shard) || !shard_number(base, &no, &count))
                        continue;
                if (count != shards || no == 0 || no > count)
                        SET_PUT(s, p[i].shard, RULE_ST_INDEX,
                                "The name says part %llu of %llu, the index names %llu files.", ull(no),
                                ull(count), ull(shards));
        }
}

static void check_one(struct model_set *s, const struct set_index *x, const struct set_promise *p, size_t n,
                      uint8_t *named) {
        uint64_t bytes;

        if (n == 0 && x->strict && !x->bad)
                SET_PUT(s, x->member, RULE_ST_INDEX, "The index has no weight_map, or an empty one.");
        check_shards(s, p, n, named, &bytes);
        if (!x->strict || x->bad) /* said already */
                return;
        check_numbers(s, p, n);
        if (x->has_total && x->total != bytes)
                SET_PUT(s, x->member, RULE_ST_INDEX,
                        "The index says %llu bytes of weights, its files hold %llu.", ull(x->total),
                        ull(bytes));
        if (!x->has_total && n > 0)
                SET_PUT(s, x->member, RULE_FOLDER_UNSAID,
                        "The index does not say how many bytes of weights there are.");
}

/* Where an index stands, no further weights may; where none does, one file must be all. */
static void check_named(struct model_set *s, const uint8_t *named) {
        const struct set_index *x = (const struct set_index *)(const void *)s->indexes.p;

        for (size_t i = 0; i < set_count(s); i++) {
                struct view folder = set_name_folder(set_path(s, set_get(s, i)));
                uint64_t no, count;
                bool indexed = false;

                if (set_get(s, i)->file != SET_FILE_SAFETENSORS || (named[i / 8] & 1u << i % 8))
                        continue;
                for (size_t k = 0; k < s->indexes.n / sizeof *x && !indexed; k++)
                        indexed = set_is_in(set_path(s, set_get(s, x[k].member)), folder);
                if (indexed)
                        SET_PUT(s, i, RULE_ST_INDEX, "The index beside this file does not name it.");
                else if (shard_number(set_name_base(set_path(s, set_get(s, i))), &no, &count) && count != 1)
                        SET_PUT(s, i, RULE_ST_INDEX,
                                "This is one part of several, and no *.index.json says what belongs in it.");
        }
}

int set_index_check(struct model_set *s) {
        _cleanup_(freep) uint8_t *named = calloc(set_count(s) / 8 + 1, 1);
        const struct set_index *x = (const struct set_index *)(const void *)s->indexes.p;
        struct set_promise *p = (struct set_promise *)(void *)s->promises.p;
        size_t n = s->promises.n / sizeof *p;

        if (!named)
                return -ENOMEM;
        if (n > 1)
                qsort(p, n, sizeof *p, compare);
        for (size_t i = 0; i < s->indexes.n / sizeof *x; i++) {
                size_t first = 0, last;

                while (first < n && p[first].index != x[i].member)
                        first++;
                for (last = first; last < n && p[last].index == x[i].member; last++)
                        ;
                check_one(s, &x[i], p + first, last - first, named);
        }
        check_named(s, named);
        return 0;
}
