#include "base/secret/secret.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

static _Atomic size_t unlocked;

static size_t whole_pages(size_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    return (n + page - 1) / page * page;
}

void *rg_secret_new(size_t n)
{
    size_t whole = whole_pages(n);
    void *p;

    RG_ASSERT(n > 0 && whole >= n);
    p = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    (void)madvise(p, whole, MADV_DONTDUMP);
    if (mlock(p, whole) != 0)
        atomic_fetch_add(&unlocked, whole);
    return p;
}

void rg_secret_free(void *p, size_t n)
{
    if (p == NULL)
        return;
    RG_ASSERT(n > 0);
    rg_wipe(p, n);
    RG_ASSERT(munmap(p, whole_pages(n)) == 0);
}

size_t rg_secret_unlocked(void) { return atomic_load(&unlocked); }

/* ---- the arena: cells one behind the other, the first that fits; a node has a handful of keys ---- */

struct cell {
    _Alignas(max_align_t) size_t n; /* bytes, this head included */
    bool used;
};

static struct {
    pthread_mutex_t mutex;
    pthread_once_t once;
    uint8_t *bytes; /* own, for the life of the process; NULL: there was no memory */
} arena = {.mutex = PTHREAD_MUTEX_INITIALIZER, .once = PTHREAD_ONCE_INIT};

static _Thread_local unsigned inside;

static struct cell *cell_at(size_t at) { return (struct cell *)(void *)(arena.bytes + at); }

static void arena_make(void)
{
    arena.bytes = rg_secret_new(RG_SECRET_ARENA_BYTES);
    if (arena.bytes == NULL)
        return;
    *cell_at(0) = (struct cell){.n = RG_SECRET_ARENA_BYTES, .used = false};
#ifdef __SANITIZE_ADDRESS__
    __lsan_register_root_region(arena.bytes, RG_SECRET_ARENA_BYTES); /* what only a library's object in here points to is no leak */
#endif
}

bool rg_secret_in_arena(const void *p)
{
    const uint8_t *at = p;

    return arena.bytes != NULL && at >= arena.bytes && at < arena.bytes + RG_SECRET_ARENA_BYTES;
}

/* Free cells that stand beside each other become one. */
static void join_free(size_t at)
{
    struct cell *cell = cell_at(at);

    while (!cell->used && at + cell->n < RG_SECRET_ARENA_BYTES && !cell_at(at + cell->n)->used)
        cell->n += cell_at(at + cell->n)->n;
    RG_ASSERT(at + cell->n <= RG_SECRET_ARENA_BYTES);
}

static void *arena_take(size_t n)
{
    size_t whole = (n + 2 * sizeof(struct cell) - 1) / sizeof(struct cell) * sizeof(struct cell);
    void *p = NULL;

    if (n > RG_SECRET_ARENA_BYTES / 2)
        return NULL;
    pthread_mutex_lock(&arena.mutex);
    for (size_t at = 0; at < RG_SECRET_ARENA_BYTES; at += cell_at(at)->n) {
        struct cell *cell = cell_at(at);

        join_free(at);
        if (cell->used || cell->n < whole)
            continue;
        if (cell->n > whole)
            *cell_at(at + whole) = (struct cell){.n = cell->n - whole, .used = false};
        *cell = (struct cell){.n = whole, .used = true};
        p = cell + 1;
        break;
    }
    pthread_mutex_unlock(&arena.mutex);
    return p;
}

static size_t room_of(void *p)
{
    return rg_secret_in_arena(p) ? ((struct cell *)p - 1)->n - sizeof(struct cell) : malloc_usable_size(p);
}

static void arena_give(void *p)
{
    struct cell *cell = (struct cell *)p - 1;

    rg_wipe(p, cell->n - sizeof *cell);
    pthread_mutex_lock(&arena.mutex);
    RG_ASSERT(cell->used);
    cell->used = false;
    pthread_mutex_unlock(&arena.mutex);
}

void rg_secret_enter(void)
{
    pthread_once(&arena.once, arena_make);
    inside++;
}

void rg_secret_leave(void)
{
    RG_ASSERT(inside > 0);
    inside--;
}

/* ---- a library's memory ---- */

void *rg_secret_lib_malloc(size_t n, const char *file, int line)
{
    void *p = NULL;

    if (n == 0)
        return NULL;
    if (inside > 0 && arena.bytes != NULL)
        p = arena_take(n);
    return p != NULL ? p : malloc(n);
}

void rg_secret_lib_free(void *p, const char *file, int line)
{
    size_t room;

    if (p == NULL)
        return;
    if (rg_secret_in_arena(p)) {
        arena_give(p);
        return;
    }
    room = malloc_usable_size(p);
    rg_wipe(p, RG_MIN(room, (size_t)(room > 2 * RG_SECRET_WIPE_BYTES_MAX ? RG_SECRET_WIPE_BYTES_MAX : room)));
    free(p);
}

void *rg_secret_lib_realloc(void *p, size_t n, const char *file, int line)
{
    void *fresh;

    if (p == NULL)
        return rg_secret_lib_malloc(n, file, line);
    if (n == 0) {
        rg_secret_lib_free(p, file, line);
        return NULL;
    }
    fresh = rg_secret_lib_malloc(n, file, line); /* never in place of a copy that stays behind */
    if (fresh == NULL)
        return NULL;
    memcpy(fresh, p, RG_MIN(n, room_of(p)));
    rg_secret_lib_free(p, file, line);
    return fresh;
}

/* ---- the process ---- */

enum rg_err rg_secret_process(bool cores)
{
    const struct rlimit none = {0, 0};

    if (cores)
        return RG_OK;
    return setrlimit(RLIMIT_CORE, &none) == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 ? RG_OK : RG_EINTERNAL;
}
