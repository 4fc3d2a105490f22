#include "base/arena.h"

#define ARENA_BLOCK_FIRST ((size_t)4096)
#define ARENA_BLOCK_MOST  ((size_t)1 << 20)

struct block {
        struct block *next;
        size_t size;
        size_t used;
        _Alignas(16) char data[];
};

struct arena {
        struct block *head;
        size_t used;
        size_t max;
        size_t next_size;
};

int arena_new(size_t max, struct arena **ret) {
        struct arena *a = calloc(1, sizeof *a);

        if (!a)
                return -ENOMEM;
        a->max = max;
        a->next_size = ARENA_BLOCK_FIRST;
        *ret = a;
        return 0;
}

static void blocks_free(struct block *b) {
        while (b) {
                struct block *next = b->next;
                free(b);
                b = next;
        }
}

struct arena *arena_free(struct arena *a) {
        if (a) {
                blocks_free(a->head);
                free(a);
        }
        return NULL;
}

void arena_clear(struct arena *a) {
        if (a->head) {
                blocks_free(a->head->next);
                a->head->next = NULL;
                a->head->used = 0;
        }
        a->used = 0;
}

static char *take(struct arena *a, size_t n, size_t align) {
        struct block *b = a->head;
        size_t at, size;

        if (n > a->max - a->used)
                return NULL;
        if (b) {
                at = (b->used + align - 1) & ~(align - 1);
                if (at <= b->size && n <= b->size - at) {
                        b->used = at + n;
                        a->used += n;
                        return b->data + at;
                }
        }
        size = MAX_OF(a->next_size, n);
        if (size > SIZE_MAX - sizeof *b)
                return NULL;
        b = malloc(sizeof *b + size);
        if (!b)
                return NULL;
        a->next_size = MIN_OF(a->next_size * 2, ARENA_BLOCK_MOST);
        b->next = a->head;
        b->size = size;
        b->used = n;
        a->head = b;
        a->used += n;
        return b->data;
}

void *arena_alloc(struct arena *a, size_t n) {
        char *p = take(a, n, 16);

        if (p)
                memset(p, 0, n);
        return p;
}

char *arena_alloc_bytes(struct arena *a, size_t n) {
        return take(a, n, 1);
}

struct view arena_copy(struct arena *a, struct view v) {
        char *p = v.n == SIZE_MAX ? NULL : take(a, v.n + 1, 1);

        if (!p)
                return VIEW_NULL;
        if (v.n)
                memcpy(p, v.p, v.n);
        p[v.n] = '\0';
        return (struct view){p, v.n};
}

size_t arena_used(const struct arena *a) {
        return a->used;
}
