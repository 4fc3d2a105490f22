#include "quarantine/coroutine.h"

#include <sys/mman.h>
#include <ucontext.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define COROUTINE_ASAN 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define COROUTINE_ASAN 1
#endif
#ifdef COROUTINE_ASAN
#include <dlfcn.h>
#include <sanitizer/common_interface_defs.h>
#endif

#define GUARD_BYTES 65536u /* more than a page, on any machine a multiple of one */

struct coroutine {
        void (*run)(void *userdata);
        void *userdata;
        char *memory;
        size_t size; /* with the guard */
        bool over;
        ucontext_t inside, outside;
        const void *outside_stack; /* for the sanitizer, which has to know on which stack we are */
        size_t outside_size;
};

/* The sanitizer wants to hear of each change of stacks, before and after. `over`: this one is left for good. */
static void before(void **save, const void *stack, size_t size, bool over) {
#ifdef COROUTINE_ASAN
        __sanitizer_start_switch_fiber(over ? NULL : save, stack, size);
#else
        (void)save, (void)stack, (void)size, (void)over;
#endif
}

static void after(void *saved, const void **ret_stack, size_t *ret_size) {
#ifdef COROUTINE_ASAN
        __sanitizer_finish_switch_fiber(saved, ret_stack, ret_size);
#else
        (void)saved, (void)ret_stack, (void)ret_size;
#endif
}

/* The sanitizer's own swapcontext does no more than warn on standard error, and it is told of each change above: the C library's
 * is called past it. */
static int swap(ucontext_t *from, const ucontext_t *to) {
#ifdef COROUTINE_ASAN
        static int (*library)(ucontext_t *, const ucontext_t *);

        if (!library) {
                void *c = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);

                *(void **)&library = c ? dlsym(c, "swapcontext") : NULL;
        }
        if (library)
                return library(from, to);
#endif
        return swapcontext(from, to);
}

/* makecontext passes ints only: a pointer takes two. */
static void begin(unsigned high, unsigned low) {
        struct coroutine *c = (struct coroutine *)((uintptr_t)high << 32 | low);
        void *save = NULL;

        after(NULL, &c->outside_stack, &c->outside_size);
        c->run(c->userdata);
        c->over = true;
        before(&save, c->outside_stack, c->outside_size, true);
        (void)setcontext(&c->outside);
}

int coroutine_new(void (*run)(void *userdata), void *userdata, size_t stack, struct coroutine **ret) {
        struct coroutine *c = calloc(1, sizeof *c);
        uintptr_t p = (uintptr_t)c;

        if (!c)
                return -ENOMEM;
        c->run = run;
        c->userdata = userdata;
        c->size = stack + GUARD_BYTES;
        c->memory = mmap(NULL, c->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (c->memory == MAP_FAILED) {
                free(c);
                return -ENOMEM;
        }
        if (mprotect(c->memory, GUARD_BYTES, PROT_NONE) < 0 || getcontext(&c->inside) < 0) {
                coroutine_free(c);
                return -ENOMEM;
        }
        c->inside.uc_stack.ss_sp = c->memory + GUARD_BYTES;
        c->inside.uc_stack.ss_size = stack;
        c->inside.uc_link = NULL;
        makecontext(&c->inside, (void (*)(void))begin, 2, (unsigned)(p >> 32), (unsigned)p);
        *ret = c;
        return 0;
}

struct coroutine *coroutine_free(struct coroutine *c) {
        if (c) {
                (void)munmap(c->memory, c->size);
                free(c);
        }
        return NULL;
}

bool coroutine_resume(struct coroutine *c) {
        void *save = NULL;

        if (c->over)
                return false;
        before(&save, c->memory + GUARD_BYTES, c->size - GUARD_BYTES, false);
        (void)swap(&c->outside, &c->inside);
        after(save, NULL, NULL);
        return !c->over;
}

void coroutine_yield(struct coroutine *c) {
        void *save = NULL;

        before(&save, c->outside_stack, c->outside_size, false);
        (void)swap(&c->inside, &c->outside);
        after(save, &c->outside_stack, &c->outside_size);
}
