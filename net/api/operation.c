#include "net/api/operation.h"

#include <stdlib.h>
#include <string.h>

enum { SEGMENTS_MAX = 16 };

struct entry {
    const struct rg_interface *interface; /* NULL: free */
    const struct rg_service *service;
    const struct rg_operation *operation;
    uint32_t hash;
    uint32_t path_n;
    unsigned number; /* of names */
    bool star;
};

struct rg_operations {
    struct entry *entries; /* own; never full */
    size_t mask;
    const char **names; /* own */
    size_t names_n;
    unsigned stars; /* bit n: some path has its star as segment n, counted from 1 */
};

const char *rg_permission_name(enum rg_permission permission)
{
    static const char *const names[RG_PERMISSIONS] = {"open", "read", "write", "lost"};

    RG_ASSERT(permission < RG_PERMISSIONS);
    return names[permission];
}

/* --- keys: a path, of which one segment may be replaced by a star --- */

struct key {
    struct rg_span before, after;
    bool star; /* between the two */
};

static uint32_t hash_more(uint32_t h, struct rg_span bytes)
{
    for (size_t i = 0; i < bytes.n; i++)
        h = (h ^ bytes.p[i]) * 16777619;
    return h;
}

static uint32_t hash_of(const struct key *key)
{
    uint32_t h = hash_more(2166136261u, key->before);

    return key->star ? hash_more(hash_more(h, rg_span("*", 1)), key->after) : h;
}

static bool is_key(const struct entry *entry, const struct key *key)
{
    const char *path = entry->operation->path;

    if (entry->star != key->star || entry->path_n != key->before.n + key->star + key->after.n ||
        memcmp(path, key->before.p, key->before.n) != 0)
        return false;
    return !key->star || (path[key->before.n] == '*' && memcmp(path + key->before.n + 1, key->after.p, key->after.n) == 0);
}

/* The path with its segment n, counted from 1, replaced. False: it has none of this number, or an empty one. */
static bool key_with_star(struct rg_span path, unsigned n, struct key *ret_key)
{
    const uint8_t *at = path.p, *end = path.p + path.n, *slash;

    for (unsigned i = 0; i < n; i++) {
        at = at < end ? memchr(at, '/', (size_t)(end - at)) : NULL;
        if (at == NULL)
            return false;
        at++;
    }
    slash = at < end ? memchr(at, '/', (size_t)(end - at)) : NULL;
    if (at == end || at == slash)
        return false;
    if (slash == NULL)
        slash = end;
    *ret_key = (struct key){rg_span(path.p, (size_t)(at - path.p)), rg_span(slash, (size_t)(end - slash)), true};
    return true;
}

/* --- making the table --- */

/* *ret_star: which segment is a star; 0: none. False: not a path. */
static bool path_is_one(const struct rg_operation *operation, unsigned *ret_star)
{
    const char *star = strchr(operation->path, '*');

    *ret_star = 0;
    if (operation->method == NULL)
        return operation->path[0] != '\0' && operation->path[0] != '/' && star == NULL;
    if (operation->path[0] != '/')
        return false;
    if (star == NULL)
        return true;
    for (const char *c = operation->path; c < star; c++)
        *ret_star += *c == '/';
    return star[-1] == '/' && (star[1] == '\0' || star[1] == '/') && strchr(star + 1, '*') == NULL && *ret_star < SEGMENTS_MAX;
}

static enum rg_err add(struct rg_operations *table, const struct rg_interface *interface, const struct rg_service *service,
                       const struct rg_operation *operation, struct rg_errctx *ctx)
{
    const struct key key = {.before = rg_span_str(operation->path)};
    struct entry new = {interface, service, operation, hash_of(&key), (uint32_t)key.before.n, (unsigned)table->names_n, false};
    unsigned star;
    size_t at;

    if (!path_is_one(operation, &star) || (operation->method == NULL) != interface->by_target)
        return rg_fail(ctx, RG_EINVALID, "%s: %s is no way to ask in %s", operation->name, operation->path, interface->name);
    new.star = star > 0;
    for (at = new.hash & table->mask; table->entries[at].interface != NULL; at = (at + 1) & table->mask) {
        const struct entry *e = &table->entries[at];

        if (e->interface == interface && strcmp(e->operation->path, operation->path) == 0 &&
            (operation->method == NULL || strcmp(e->operation->method, operation->method) == 0))
            return rg_fail(ctx, RG_EINVALID, "%s and %s are asked for in the same way", e->operation->name, operation->name);
    }
    table->entries[at] = new;
    table->names[table->names_n++] = operation->name;
    if (star > 0)
        table->stars |= 1u << star;
    return RG_OK;
}

static enum rg_err add_all(struct rg_operations *table, const struct rg_interface *interface, struct rg_errctx *ctx)
{
    for (size_t s = 0; s < interface->n_services; s++)
        for (size_t i = 0; i < interface->services[s]->n; i++) {
            enum rg_err err = add(table, interface, interface->services[s], &interface->services[s]->operations[i], ctx);

            if (err)
                return err;
        }
    return RG_OK;
}

enum rg_err rg_operations_new(const struct rg_interface *const *interfaces, size_t n, struct rg_operations **ret_table,
                              struct rg_errctx *ctx)
{
    struct rg_operations *table = calloc(1, sizeof *table);
    size_t rows = 0, size = 16;
    enum rg_err err = RG_OK;

    for (size_t i = 0; i < n; i++)
        for (size_t s = 0; s < interfaces[i]->n_services; s++)
            rows += interfaces[i]->services[s]->n;
    while (size < rows * 2)
        size *= 2;
    if (table == NULL || (table->entries = calloc(size, sizeof *table->entries)) == NULL ||
        (table->names = calloc(n + rows, sizeof *table->names)) == NULL) {
        rg_operations_free(table);
        return RG_ENOMEM;
    }
    table->mask = size - 1;
    for (size_t i = 0; i < n; i++)
        table->names[table->names_n++] = interfaces[i]->other;
    for (size_t i = 0; !err && i < n; i++)
        err = add_all(table, interfaces[i], ctx);
    if (err)
        rg_operations_free(table);
    else
        *ret_table = table;
    return err;
}

void rg_operations_free(struct rg_operations *table)
{
    if (table == NULL)
        return;
    free(table->entries);
    free(table->names);
    free(table);
}

const char *const *rg_operations_names(const struct rg_operations *table, size_t *ret_n)
{
    *ret_n = table->names_n;
    return table->names;
}

/* --- looking --- */

/* A probe's GET serves HEAD as well. */
static bool takes_method(const struct rg_operation *operation, struct rg_span method)
{
    const unsigned probe = RG_OP_OPEN | RG_OP_UNREADY;

    return rg_span_is(method, operation->method) ||
           ((operation->flags & probe) == probe && rg_span_is(method, "HEAD") && strcmp(operation->method, "GET") == 0);
}

/* True: found, if only with another method. */
static bool look(const struct rg_operations *table, const struct rg_interface *interface, struct rg_span method,
                 const struct key *key, struct rg_found *found)
{
    uint32_t hash = hash_of(key);

    for (size_t at = hash & table->mask; table->entries[at].interface != NULL; at = (at + 1) & table->mask) {
        const struct entry *e = &table->entries[at];

        if (e->hash != hash || e->interface != interface || !is_key(e, key))
            continue;
        found->service = e->service;
        found->operation = e->operation;
        found->number = e->number;
        found->other_method = e->operation->method != NULL && !takes_method(e->operation, method);
        if (!found->other_method)
            return true;
    }
    return found->operation != NULL;
}

void rg_operations_find(const struct rg_operations *table, const struct rg_interface *interface, struct rg_span method,
                        struct rg_span path, struct rg_found *ret_found)
{
    struct key key = {.before = path};

    *ret_found = (struct rg_found){.operation = NULL};
    if (path.n == 0 || look(table, interface, method, &key, ret_found))
        return;
    for (unsigned n = 1; n < SEGMENTS_MAX && table->stars >> n != 0; n++)
        if ((table->stars >> n & 1) && key_with_star(path, n, &key) && look(table, interface, method, &key, ret_found)) {
            ret_found->argument = rg_span(path.p + key.before.n, path.n - key.before.n - key.after.n);
            return;
        }
}
