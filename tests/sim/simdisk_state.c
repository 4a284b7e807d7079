#include "tests/sim/simdisk_priv.h"

void *sd_must(void *p)
{
    RG_ASSERT(p != NULL);
    return p;
}

char *sd_copy_text(const char *s) { return sd_must(strdup(s)); }

void sd_grow_array(void **v, size_t *cap, size_t n, size_t item)
{
    if (n < *cap)
        return;
    *cap = *cap == 0 ? 8 : *cap * 2;
    *v = sd_must(realloc(*v, *cap * item));
}

/* --- content --- */

static void content_pages(struct content *c, uint64_t end)
{
    size_t need = (size_t)((end + PAGE - 1) / PAGE);

    if (need <= c->n_pages)
        return;
    c->pages = sd_must(realloc(c->pages, need * sizeof *c->pages));
    memset(c->pages + c->n_pages, 0, (need - c->n_pages) * sizeof *c->pages);
    c->n_pages = need;
}

void sd_content_read(const struct content *c, uint64_t at, void *out, size_t n)
{
    uint8_t *p = out;

    while (n > 0) {
        size_t page = (size_t)(at / PAGE), in = (size_t)(at % PAGE), k = RG_MIN(n, PAGE - in);

        if (page < c->n_pages && c->pages[page] != NULL)
            memcpy(p, c->pages[page] + in, k);
        else
            memset(p, 0, k);
        p += k;
        at += k;
        n -= k;
    }
}

/* data NULL: zeros. Does not move the size. */
void sd_content_write(struct content *c, uint64_t at, const uint8_t *data, uint64_t n)
{
    content_pages(c, at + n);
    while (n > 0) {
        size_t page = (size_t)(at / PAGE), in = (size_t)(at % PAGE), k = (size_t)RG_MIN(n, (uint64_t)(PAGE - in));

        if (data == NULL && k == PAGE) {
            free(c->pages[page]);
            c->pages[page] = NULL;
        } else if (data == NULL && c->pages[page] != NULL) {
            memset(c->pages[page] + in, 0, k);
        } else if (data != NULL) {
            if (c->pages[page] == NULL)
                c->pages[page] = sd_must(calloc(1, PAGE));
            memcpy(c->pages[page] + in, data, k);
        }
        if (data != NULL)
            data += k;
        at += k;
        n -= k;
    }
}

static void content_copy_page(struct content *to, const struct content *from, size_t page)
{
    const uint8_t *src = page < from->n_pages ? from->pages[page] : NULL;

    content_pages(to, ((uint64_t)page + 1) * PAGE);
    if (src == NULL) {
        free(to->pages[page]);
        to->pages[page] = NULL;
        return;
    }
    if (to->pages[page] == NULL)
        to->pages[page] = sd_must(malloc(PAGE));
    memcpy(to->pages[page], src, PAGE);
}

void sd_content_copy(struct content *to, const struct content *from)
{
    size_t n = RG_MAX(to->n_pages, from->n_pages);

    for (size_t i = 0; i < n; i++)
        content_copy_page(to, from, i);
    to->size = from->size;
}

static void content_deinit(struct content *c)
{
    for (size_t i = 0; i < c->n_pages; i++)
        free(c->pages[i]);
    free(c->pages);
    *c = (struct content){0};
}

/* Set the size; what is cut reads as zeros when the file grows again. */
void sd_content_resize(struct content *c, uint64_t size)
{
    uint64_t end = (uint64_t)c->n_pages * PAGE;

    if (size < end)
        sd_content_write(c, size, NULL, end - size);
    c->size = size;
}

/* --- inodes and names --- */

struct inode *sd_inode_ref(struct inode *inode)
{
    inode->refs++;
    return inode;
}

static void inode_clear_ops(struct inode *inode)
{
    for (size_t i = 0; i < inode->n_ops; i++)
        free(inode->ops[i].data);
    inode->n_ops = 0;
}

void sd_inode_unref(struct inode *inode)
{
    if (--inode->refs > 0)
        return;
    inode_clear_ops(inode);
    free(inode->ops);
    content_deinit(&inode->live);
    content_deinit(&inode->durable);
    free(inode);
}

struct name *sd_names_find(const struct names *names, const char *path)
{
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->v[i].path, path) == 0)
            return &names->v[i];
    return NULL;
}

void sd_names_remove(struct names *names, struct name *name)
{
    size_t i = (size_t)(name - names->v);

    free(name->path);
    sd_inode_unref(name->inode);
    memmove(names->v + i, names->v + i + 1, (names->n - i - 1) * sizeof *names->v);
    names->n--;
}

void sd_names_link(struct names *names, const char *path, struct inode *inode)
{
    struct name *old = sd_names_find(names, path);

    sd_inode_ref(inode);
    if (old != NULL) {
        sd_inode_unref(old->inode);
        old->inode = inode;
        return;
    }
    sd_grow_array((void **)&names->v, &names->cap, names->n, sizeof *names->v);
    names->v[names->n++] = (struct name){sd_copy_text(path), inode};
}

void sd_names_clear(struct names *names)
{
    while (names->n > 0)
        sd_names_remove(names, &names->v[names->n - 1]);
}

static void names_copy(struct names *to, const struct names *from)
{
    sd_names_clear(to);
    for (size_t i = 0; i < from->n; i++)
        sd_names_link(to, from->v[i].path, from->v[i].inode);
}

/* What the op names must be there as it was, otherwise (an earlier op was lost) it has nothing to do. */
void sd_names_apply(struct names *names, const struct name_op *op)
{
    struct name *name;

    switch (op->kind) {
    case NAME_LINK:
        sd_names_link(names, op->path, op->inode);
        break;
    case NAME_UNLINK:
        name = sd_names_find(names, op->path);
        if (name != NULL && name->inode == op->inode)
            sd_names_remove(names, name);
        break;
    case NAME_RENAME:
        name = sd_names_find(names, op->path);
        if (name != NULL && name->inode == op->inode) {
            sd_names_link(names, op->to, op->inode);
            sd_names_remove(names, sd_names_find(names, op->path));
        }
        break;
    }
}

void sd_name_op_deinit(struct name_op *op)
{
    free(op->path);
    free(op->to);
    sd_inode_unref(op->inode);
}

void sd_push_name_op(struct simdisk *disk, enum name_op_kind kind, const char *path, const char *to,
                     struct inode *inode)
{
    struct name_op op = {kind, sd_copy_text(path), to != NULL ? sd_copy_text(to) : NULL, sd_inode_ref(inode)};

    sd_names_apply(&disk->live, &op);
    sd_grow_array((void **)&disk->pending, &disk->cap_pending, disk->n_pending, sizeof *disk->pending);
    disk->pending[disk->n_pending++] = op;
}

/* Length of the directory part; 0 when the parent is the root or the current directory, which always exist. */
size_t sd_parent_length(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? 0 : (size_t)(slash - path);
}

bool sd_in_dir(const char *path, const char *dir)
{
    size_t n = strlen(dir);

    while (n > 0 && dir[n - 1] == '/')
        n--;
    if (strcmp(dir, ".") == 0)
        n = 0;
    return sd_parent_length(path) == n && memcmp(path, dir, n) == 0;
}

bool sd_parent_exists(const struct names *names, const char *path)
{
    size_t n = sd_parent_length(path);
    char parent[1024];
    struct name *name;

    if (n == 0)
        return true;
    RG_ASSERT(n < sizeof parent);
    memcpy(parent, path, n);
    parent[n] = '\0';
    if (strcmp(parent, ".") == 0)
        return true;
    name = sd_names_find(names, parent);
    return name != NULL && name->inode->dir;
}

struct inode *sd_find_file(const struct simdisk *disk, const char *path)
{
    struct name *name = sd_names_find(&disk->live, path);

    return name != NULL && !name->inode->dir ? name->inode : NULL;
}

/* --- changes --- */

static void push_op(struct inode *inode, uint64_t offset, uint64_t n, const uint8_t *data)
{
    struct op op = {offset, n, inode->live.size, NULL};

    if (data != NULL) {
        op.data = sd_must(malloc((size_t)n));
        memcpy(op.data, data, (size_t)n);
    }
    sd_grow_array((void **)&inode->ops, &inode->cap_ops, inode->n_ops, sizeof *inode->ops);
    inode->ops[inode->n_ops++] = op;
}

void sd_inode_write(struct inode *inode, uint64_t offset, uint64_t n, const uint8_t *data)
{
    if (n == 0)
        return;
    sd_content_write(&inode->live, offset, data, n);
    inode->live.size = RG_MAX(inode->live.size, offset + n);
    push_op(inode, offset, n, data);
}

void sd_inode_resize(struct inode *inode, uint64_t size)
{
    uint64_t old = inode->live.size;

    sd_content_resize(&inode->live, size);
    push_op(inode, size, old > size ? old - size : 0, NULL);
}

void sd_inode_sync(struct inode *inode, struct rg_prng *lossy)
{
    for (size_t i = 0; i < inode->n_ops; i++) {
        const struct op *op = &inode->ops[i];

        if (op->n == 0 || (lossy != NULL && rg_prng_chance(lossy, 1, 2)))
            continue;
        for (uint64_t page = op->offset / PAGE; page <= (op->offset + op->n - 1) / PAGE; page++)
            content_copy_page(&inode->durable, &inode->live, (size_t)page);
    }
    if (lossy == NULL || rg_prng_chance(lossy, 1, 2))
        inode->durable.size = inode->live.size;
    inode_clear_ops(inode);
}

/* --- crash --- */

static uint64_t op_first_sector(const struct op *op) { return op->offset / SECTOR; }
static uint64_t op_end_sector(const struct op *op)
{
    return op->n == 0 ? op_first_sector(op) : (op->offset + op->n - 1) / SECTOR + 1;
}

/* How many of the ops that touch it each sector keeps. */
static void crash_draw(const struct inode *inode, struct rg_prng *prng, uint32_t *limit)
{
    uint64_t mode = rg_prng_below(prng, 4);
    size_t whole = (size_t)rg_prng_below(prng, inode->n_ops + 1); /* of mode 3 */

    if (mode == 0)
        return;
    for (size_t i = 0; i < inode->n_ops; i++) {
        const struct op *op = &inode->ops[i];

        if (mode == 3 && i > whole)
            break;
        for (uint64_t s = op_first_sector(op); s < op_end_sector(op); s++)
            if (mode != 3 || i < whole || rg_prng_chance(prng, 1, 2))
                limit[s]++;
    }
    if (mode != 2)
        return;
    for (size_t i = 0; i < inode->n_ops; i++) /* each sector once: where its last op is */
        for (uint64_t s = op_first_sector(&inode->ops[i]); s < op_end_sector(&inode->ops[i]); s++)
            if ((limit[s] & 0x80000000u) == 0)
                limit[s] = (uint32_t)rg_prng_below(prng, (uint64_t)limit[s] + 1) | 0x80000000u;
}

static void crash_apply(struct simdisk *disk, struct inode *inode, const uint32_t *limit, uint32_t *seen)
{
    for (size_t i = 0; i < inode->n_ops; i++) {
        const struct op *op = &inode->ops[i];

        for (uint64_t s = op_first_sector(op); s < op_end_sector(op); s++) {
            uint64_t from = RG_MAX(op->offset, s * SECTOR), to = RG_MIN(op->offset + op->n, (s + 1) * SECTOR);

            if (seen[s]++ < (limit[s] & 0x7fffffffu))
                sd_content_write(&inode->durable, from, op->data != NULL ? op->data + (from - op->offset) : NULL,
                                 to - from);
            else
                disk->stats.sectors_lost++;
        }
    }
}

void sd_crash_inode(struct simdisk *disk, struct inode *inode, struct rg_prng *prng)
{
    uint64_t sectors = 1, size = inode->durable.size;
    uint32_t *limit, *seen;
    size_t kept;

    if (inode->n_ops == 0) {
        sd_content_copy(&inode->live, &inode->durable); /* may differ after a failed sync */
        return;
    }
    for (size_t i = 0; i < inode->n_ops; i++)
        sectors = RG_MAX(sectors, op_end_sector(&inode->ops[i]) + 1);
    limit = sd_must(calloc((size_t)sectors, sizeof *limit));
    seen = sd_must(calloc((size_t)sectors, sizeof *seen));
    crash_draw(inode, prng, limit);
    crash_apply(disk, inode, limit, seen);
    kept = (size_t)rg_prng_below(prng, inode->n_ops + 1);
    if (rg_prng_chance(prng, 1, 2))
        kept = inode->n_ops;
    if (kept > 0)
        size = inode->ops[kept - 1].size;
    sd_content_resize(&inode->durable, size);
    sd_content_copy(&inode->live, &inode->durable);
    inode_clear_ops(inode);
    free(limit);
    free(seen);
}

void sd_crash_names(struct simdisk *disk, struct rg_prng *prng)
{
    bool prefix = rg_prng_chance(prng, 1, 2);
    size_t kept = (size_t)rg_prng_below(prng, disk->n_pending + 1);
    bool again;

    for (size_t i = 0; i < disk->n_pending; i++) {
        if (prefix ? i < kept : rg_prng_chance(prng, 1, 2))
            sd_names_apply(&disk->durable, &disk->pending[i]);
        else
            disk->stats.names_lost++;
        sd_name_op_deinit(&disk->pending[i]);
    }
    disk->n_pending = 0;
    do { /* a directory that was lost takes its files along */
        again = false;
        for (size_t i = disk->durable.n; i-- > 0;)
            if (!sd_parent_exists(&disk->durable, disk->durable.v[i].path)) {
                sd_names_remove(&disk->durable, &disk->durable.v[i]);
                again = true;
            }
    } while (again);
    names_copy(&disk->live, &disk->durable);
}
