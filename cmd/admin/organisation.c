#include <errno.h>
#include <stdio.h>
#include <zlib.h>

#include "cmd/admin/organisation.h"

enum { FILE_BYTES_MAX = 512 * 1024 * 1024, PATH_BYTES_MAX = 400 };

/* What a member must be. */
enum kind {
    NOTED,     /* anything: it says where the document comes from, and nothing is made of it */
    TEXT,      /* a string, not an empty one */
    NEEDED,    /* the same, and it is there */
    STATUS,    /* ENABLED, DISABLED */
    PRINCIPAL, /* GROUP, USER; needed */
    OBJECT,
    POLICY,    /* an object, or one as a string */
    TEXTS,     /* an array of strings */
    ROWS,      /* an array of objects of `of` */
    ALL_ROWS,  /* the same, and it is there */
};
struct member {
    const char *name;
    enum kind kind;
    const struct member *of;
};

static const struct member external_id[] = {{"issuer", NEEDED, NULL}, {"id", NEEDED, NULL}, {NULL, NOTED, NULL}};
static const struct member tag[] = {{"key", NEEDED, NULL}, {"value", TEXT, NULL}, {NULL, NOTED, NULL}};
static const struct member user[] = {{"userName", NEEDED, NULL}, {"displayName", TEXT, NULL},     {"status", STATUS, NULL},
                                     {"email", TEXT, NULL},      {"externalIds", ROWS, external_id}, {"attributes", OBJECT, NULL},
                                     {NULL, NOTED, NULL}};
static const struct member group[] = {{"displayName", NEEDED, NULL}, {"description", TEXT, NULL}, {"externalIds", ROWS, external_id},
                                      {"members", TEXTS, NULL}, {"parent", NOTED, NULL}, {"synthetic", NOTED, NULL}, {NULL, NOTED, NULL}};
static const struct member account[] = {{"id", NEEDED, NULL}, {"name", TEXT, NULL}, {"description", TEXT, NULL}, {NULL, NOTED, NULL}};
static const struct member permission_set[] = {
    {"name", NEEDED, NULL}, {"description", TEXT, NULL}, {"sessionDuration", TEXT, NULL}, {"relayState", TEXT, NULL},
    {"managedPolicies", TEXTS, NULL}, {"inlinePolicy", POLICY, NULL}, {"tags", ROWS, tag}, {NULL, NOTED, NULL}};
static const struct member assignment[] = {{"principalType", PRINCIPAL, NULL}, {"principal", NEEDED, NULL}, {"account", NEEDED, NULL},
                                           {"permissionSet", NEEDED, NULL}, {NULL, NOTED, NULL}};
static const struct member organisation[] = {
    {"format", NEEDED, NULL}, {"users", ALL_ROWS, user}, {"groups", ALL_ROWS, group}, {"accounts", ALL_ROWS, account},
    {"permissionSets", ALL_ROWS, permission_set}, {"assignments", ALL_ROWS, assignment}, {"source", NOTED, NULL}, {"facts", NOTED, NULL},
    {"revision", NOTED, NULL}, {NULL, NOTED, NULL}};

/* ---- where ---- */

/* A walk over JSON that was read already, so it is JSON. */
struct walk {
    const uint8_t *p, *end;
    unsigned line;
};

static void space(struct walk *w)
{
    for (; w->p < w->end && (*w->p == ' ' || *w->p == '\t' || *w->p == '\r' || *w->p == '\n' || *w->p == ',' || *w->p == ':'); w->p++)
        w->line += *w->p == '\n';
}

static struct rg_span string(struct walk *w)
{
    const uint8_t *from = ++w->p;

    while (w->p < w->end && *w->p != '"')
        w->p += *w->p == '\\' ? 2 : 1;
    return rg_span(from, (size_t)(w->p++ - from));
}

/* Past a value. */
static void skip(struct walk *w)
{
    unsigned depth = 0;

    do {
        space(w);
        if (w->p >= w->end)
            return;
        if (*w->p == '"') {
            (void)string(w);
        } else if (*w->p == '{' || *w->p == '[') {
            depth++;
            w->p++;
        } else if (*w->p == '}' || *w->p == ']') {
            depth -= depth > 0;
            w->p++;
        } else {
            while (w->p < w->end && strchr(",]} \t\r\n", *w->p) == NULL)
                w->p++;
        }
    } while (depth > 0);
}

/* Into an object's member, or an array's place. False: it is not there. */
static bool enter(struct walk *w, const char *name, size_t at)
{
    space(w);
    if (w->p >= w->end || (*w->p != '{' && *w->p != '['))
        return false;
    w->p++;
    for (size_t i = 0;; i++) {
        space(w);
        if (w->p >= w->end || *w->p == '}' || *w->p == ']')
            return false;
        if (name == NULL ? i == at : rg_span_is(string(w), name)) {
            space(w);
            return true;
        }
        skip(w);
    }
}

/* ---- what is wrong ---- */

/* Where in a document: at most a member of a row of a list of a row of a list. */
struct place {
    const char *file;
    struct rg_span text;
    struct {
        const char *name;
        size_t at; /* of an array; SIZE_MAX: none */
    } steps[3];
    size_t n;
    struct rg_errctx *ctx;
};

static enum rg_err wrong(const struct place *place, const char *name, const char *what)
{
    struct walk w = {.p = place->text.p, .end = place->text.p + place->text.n, .line = 1};
    char path[PATH_BYTES_MAX] = "", line[24] = "";
    size_t used = 0;
    bool there = place->text.n > 0;

    for (size_t i = 0; i < place->n; i++) {
        bool row = place->steps[i].at != SIZE_MAX;
        int n = row ? snprintf(path + used, sizeof path - used, "%s[%zu].", place->steps[i].name, place->steps[i].at)
                    : snprintf(path + used, sizeof path - used, "%s.", place->steps[i].name);

        used = RG_MIN(used + (size_t)n, sizeof path - 1);
        there = there && enter(&w, place->steps[i].name, 0) && (!row || enter(&w, NULL, place->steps[i].at));
    }
    if (there)
        (void)enter(&w, name, 0); /* one that is missing: where it should be */
    if (there)
        snprintf(line, sizeof line, ":%u", w.line);
    return rg_fail(place->ctx, RG_EINVALID, "%s%s: %s%s: %s", place->file, line, path, name, what);
}

static enum rg_err check_object(struct place *place, const json_t *object, const struct member *members);

static enum rg_err check_rows(struct place *place, const json_t *rows, const struct member *m)
{
    enum rg_err err = RG_OK;

    RG_ASSERT(place->n < RG_LEN(place->steps));
    for (size_t i = 0; !err && i < json_array_size(rows); i++) {
        place->steps[place->n].name = m->name;
        place->steps[place->n++].at = i;
        err = check_object(place, json_array_get(rows, i), m->of);
        place->n--;
    }
    return err;
}

static bool is_text(const json_t *value) { return json_is_string(value) && json_string_length(value) > 0; }

static bool is_texts(const json_t *value)
{
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!is_text(json_array_get(value, i)))
            return false;
    return json_is_array(value);
}

static bool is_one_of(const json_t *value, const char *a, const char *b)
{
    struct rg_span text = rg_json_string(value);

    return rg_span_is(text, a) || rg_span_is(text, b);
}

static enum rg_err check_member(struct place *place, const json_t *value, const struct member *m)
{
    switch (m->kind) {
    case NOTED:
        return RG_OK;
    case TEXT:
        if (json_is_string(value) && (m->name[0] == 'v' || is_text(value))) /* a tag's value may be empty */
            return RG_OK;
        return wrong(place, m->name, "must be a string, not an empty one");
    case NEEDED:
        return is_text(value) ? RG_OK : wrong(place, m->name, "must be there: a string, not an empty one");
    case STATUS:
        return is_one_of(value, "ENABLED", "DISABLED") ? RG_OK : wrong(place, m->name, "must be ENABLED or DISABLED");
    case PRINCIPAL:
        return is_one_of(value, "GROUP", "USER") ? RG_OK : wrong(place, m->name, "must be there: GROUP or USER");
    case OBJECT:
        return json_is_object(value) ? RG_OK : wrong(place, m->name, "must be an object");
    case POLICY:
        return json_is_object(value) || is_text(value) ? RG_OK : wrong(place, m->name, "must be a policy document: an object");
    case TEXTS:
        return is_texts(value) ? RG_OK : wrong(place, m->name, "must be an array of strings");
    case ROWS:
    case ALL_ROWS:
        return json_is_array(value) ? check_rows(place, value, m) : wrong(place, m->name, "must be an array");
    }
    return RG_EINTERNAL;
}

static const struct member *find(const struct member *members, const char *name)
{
    for (; members->name != NULL; members++)
        if (strcmp(members->name, name) == 0)
            return members;
    return NULL;
}

static enum rg_err check_object(struct place *place, const json_t *object, const struct member *members)
{
    enum rg_err err = RG_OK;
    const char *name;
    json_t *value;

    if (!json_is_object(object))
        return wrong(place, "", "must be an object");
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
        if (!err && find(members, name) == NULL)
            err = wrong(place, name, "is not known, and nothing is imported that would not be kept");
    for (const struct member *m = members; !err && m->name != NULL; m++) {
        value = json_object_get(object, m->name);
        if (value != NULL || m->kind == NEEDED || m->kind == PRINCIPAL || m->kind == ALL_ROWS)
            err = check_member(place, value, m);
    }
    return err;
}

enum rg_err rg_organisation_check(const json_t *data, const char *where, struct rg_span text, struct rg_errctx *ctx)
{
    struct place place = {.file = where, .text = text, .ctx = ctx};
    const char *format = json_string_value(json_object_get(data, "format"));

    if (format == NULL || strcmp(format, "idc-org-dataset/1") != 0)
        return rg_fail(ctx, RG_EINVALID, "%s: format: must be \"idc-org-dataset/1\", not \"%s\"", where,
                       format != NULL ? format : "(missing)");
    return check_object(&place, data, organisation);
}

/* ---- a file ---- */

static enum rg_err read_all(const char *path, struct rg_buf *out, struct rg_errctx *ctx)
{
    gzFile f = gzopen(path, "rbe"); /* reads plain files as they are */
    int n;

    if (f == NULL)
        return rg_fail(ctx, rg_err_from_errno(errno), "%s: %s", path, strerror(errno));
    for (;;) {
        uint8_t *to = rg_buf_reserve(out, 65536);

        if (to == NULL) {
            gzclose(f);
            return rg_fail(ctx, out->err, "%s: is over %d bytes", path, FILE_BYTES_MAX);
        }
        n = gzread(f, to, 65536);
        if (n <= 0)
            break;
        out->len += (size_t)n;
    }
    if (n < 0 || gzclose_r(f) != Z_OK)
        return rg_fail(ctx, RG_EMALFORMED, "%s: is damaged (gzip)", path);
    return RG_OK;
}

enum rg_err rg_organisation_load(const char *path, json_t **ret_data, struct rg_errctx *ctx)
{
    RG_AUTO_BUF struct rg_buf text = {.max = 0};
    json_error_t error;
    json_t *data;
    enum rg_err err;

    rg_buf_init(&text, FILE_BYTES_MAX);
    err = read_all(path, &text, ctx);
    if (err)
        return err;
    data = rg_json_parse(rg_buf_span(&text), &error);
    if (data == NULL)
        return rg_fail(ctx, RG_EMALFORMED, "%s:%d: %s", path, error.line, error.text);
    err = rg_organisation_check(data, path, rg_buf_span(&text), ctx);
    if (err)
        json_decref(data);
    else
        *ret_data = data;
    return err;
}
