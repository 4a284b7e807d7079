/* GET /v1/access: the effective access as sorted lines; GET /v1/who: the users that have one permission set. Both are
 * lists of users in the order of their names, made in slices. */
#include "net/api/stream.h"
#include "net/v1/v1.h"

enum {
    USER_GRANTS_MAX = 1 << 22,
    LINES_LIMIT_MAX = 100000000,
    LOOK_EVERY = 16, /* lines between looks at the clock */
};

/* What one line ends in. */
struct grant {
    char account_id[13];
    struct rg_span permset;
};

struct permset_name {
    struct rg_psid id;
    struct rg_span name; /* borrow: the transaction's */
};

struct access {
    struct rg_stream stream;
    enum { COLLECT, SORT, EMIT } phase;
    struct rg_scan scan; /* COLLECT of all users */
    struct rg_sorted_names names;
    size_t at;            /* EMIT: the user */
    struct grant *grants; /* own: of that user, in order */
    size_t n_grants, at_grant;
    struct permset_name *permsets; /* own: by id */
    size_t n_permsets;
    struct rg_json_writer writer; /* with json: of the answer, to stream.out */
    bool json, has_permset, who;
    char account_id[13]; /* empty: any */
    struct rg_psid permset;
    struct rg_buf after, line;
    struct rg_span after_user; /* of `after`, before its first TAB */
    uint64_t limit, lines;
};

static void access_deinit(struct rg_stream *stream)
{
    struct access *a = RG_CONTAINER(stream, struct access, stream);

    rg_scan_end(&a->scan);
    rg_sorted_names_deinit(&a->names);
    free(a->grants);
    free(a->permsets);
    rg_buf_deinit(&a->after);
    rg_buf_deinit(&a->line);
}

/* --- names of permission sets --- */

static enum rg_err load_permsets(struct access *a, struct rg_txn *txn)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_permset permset;
    struct rg_counts counts;
    enum rg_err err = rg_permset_list(txn, NULL, &scan);

    rg_txn_counts(txn, &counts);
    a->permsets = calloc(counts.permsets + 1, sizeof *a->permsets);
    if (a->permsets == NULL)
        return RG_ENOMEM;
    while (!err && (err = rg_permset_list_next(&scan, &permset)) == RG_OK) {
        if (a->n_permsets == counts.permsets)
            return RG_ECORRUPT;
        a->permsets[a->n_permsets++] = (struct permset_name){permset.id, permset.name};
    }
    return err == RG_ENOTFOUND ? RG_OK : err;
}

static int compare_psid(const void *a, const void *b)
{
    return memcmp(((const struct permset_name *)a)->id.b, ((const struct permset_name *)b)->id.b,
                  sizeof(struct rg_psid));
}

static const struct permset_name *permset_name(const struct access *a, const struct rg_psid *id)
{
    const struct permset_name key = {.id = *id};

    return bsearch(&key, a->permsets, a->n_permsets, sizeof key, compare_psid);
}

/* --- the grants of one user --- */

static int compare_grants(const void *a, const void *b)
{
    const struct grant *x = a, *y = b;
    int order = memcmp(x->account_id, y->account_id, sizeof x->account_id);

    return order != 0 ? order : rg_name_order(x->permset, y->permset);
}

static enum rg_err take_grants(struct access *a, const struct rg_grant *from, size_t n)
{
    a->grants = calloc(n + 1, sizeof *a->grants);
    if (a->grants == NULL)
        return RG_ENOMEM;
    a->n_grants = a->at_grant = 0;
    for (size_t i = 0; i < n; i++) {
        const struct permset_name *set = permset_name(a, &from[i].permset_id);
        struct grant *to = &a->grants[a->n_grants];

        if (set == NULL)
            return RG_ECORRUPT;
        if (a->account_id[0] != '\0' && memcmp(from[i].account_id, a->account_id, sizeof a->account_id) != 0)
            continue;
        if (a->has_permset && memcmp(from[i].permset_id.b, a->permset.b, sizeof a->permset.b) != 0)
            continue;
        memcpy(to->account_id, from[i].account_id, sizeof to->account_id);
        to->permset = set->name;
        a->n_grants++;
    }
    qsort(a->grants, a->n_grants, sizeof *a->grants, compare_grants);
    return RG_OK;
}

static enum rg_err load_grants(struct access *a)
{
    RG_AUTO_MEM struct rg_grant *grants = NULL;
    size_t n;
    enum rg_err err = rg_access_of(a->stream.call->txn, &a->names.at[a->at].id, USER_GRANTS_MAX, &grants, &n);

    if (err)
        return err == RG_ENOTFOUND ? RG_ECORRUPT : err;
    return take_grants(a, grants, n);
}

/* --- lines --- */

static int compare_bytes(struct rg_span a, struct rg_span b)
{
    size_t n = RG_MIN(a.n, b.n);
    int order = n > 0 ? memcmp(a.p, b.p, n) : 0;

    return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

static enum rg_err put_line(struct access *a, struct rg_span user, const struct grant *grant)
{
    struct rg_buf *out = &a->stream.out;

    rg_buf_clear(&a->line);
    rg_buf_put(&a->line, user.p, user.n);
    rg_buf_put_u8(&a->line, '\t');
    rg_buf_put(&a->line, grant->account_id, 12);
    rg_buf_put_u8(&a->line, '\t');
    rg_buf_put(&a->line, grant->permset.p, grant->permset.n);
    if (a->line.err)
        return a->line.err;
    if (a->after.len > 0 && compare_bytes(rg_buf_span(&a->line), rg_buf_span(&a->after)) <= 0)
        return RG_OK;
    if (a->json) {
        rg_json_object(&a->writer, NULL);
        rg_json_span(&a->writer, "userName", user);
        rg_json_span(&a->writer, "accountId", rg_span(grant->account_id, 12));
        rg_json_span(&a->writer, "permissionSet", grant->permset);
        rg_json_end(&a->writer);
    } else {
        rg_buf_put(out, a->line.data, a->line.len);
        rg_buf_put_u8(out, '\n');
    }
    a->lines++;
    return RG_OK;
}

/* Lines of users until the slice is over; RG_ENOTFOUND after the last. */
static enum rg_err emit(struct access *a, uint64_t until_us)
{
    for (unsigned k = 1; a->lines < a->limit; k++) {
        enum rg_err err = RG_OK;

        if (k % LOOK_EVERY == 0 && rg_slice_over(&a->stream, until_us))
            return RG_OK;
        if (a->at == a->names.n)
            return RG_ENOTFOUND;
        if (a->grants == NULL) {
            if (a->after.len > 0 && rg_name_order(a->names.at[a->at].text, a->after_user) < 0)
                a->at++;
            else
                err = load_grants(a);
        } else if (a->at_grant < a->n_grants) {
            err = put_line(a, a->names.at[a->at].text, &a->grants[a->at_grant++]);
        } else {
            free(RG_STEAL(a->grants));
            a->at++;
        }
        if (err)
            return err;
    }
    return RG_ENOTFOUND;
}

static void put_end(struct access *a)
{
    struct rg_json_writer *j = &a->writer;

    if (!a->json)
        return;
    rg_json_end(j);
    if (a->lines == a->limit && !a->who)
        rg_json_span(j, "next", rg_buf_span(&a->line));
    rg_json_revision(j, "revision", a->stream.call->read_rev);
    rg_json_end(j);
    rg_json_done(j);
}

/* --- users, for /v1/who --- */

static enum rg_err put_user(struct access *a, const struct rg_name *name)
{
    struct rg_json_writer *j = &a->writer;
    struct rg_user user;
    enum rg_err err = rg_user_get(a->stream.call->txn, &name->id, &user);

    if (err)
        return err == RG_ENOTFOUND ? RG_ECORRUPT : err;
    rg_json_object(j, NULL);
    rg_json_uuid(j, "userId", &name->id);
    rg_json_span(j, "userName", user.name);
    rg_json_span_if_any(j, "displayName", user.display_name);
    rg_json_end(j);
    return RG_OK;
}

static enum rg_err emit_users(struct access *a, uint64_t until_us)
{
    for (; a->at < a->names.n; a->at++) {
        enum rg_err err;

        if (a->at % LOOK_EVERY == LOOK_EVERY - 1 && rg_slice_over(&a->stream, until_us))
            return RG_OK;
        err = put_user(a, &a->names.at[a->at]);
        if (err)
            return err;
    }
    return RG_ENOTFOUND;
}

/* --- the steps --- */

static enum rg_err access_step(struct rg_stream *stream, uint64_t until_us, bool *ret_done)
{
    struct access *a = RG_CONTAINER(stream, struct access, stream);
    bool sorted;
    enum rg_err err = RG_OK;

    if (a->phase == COLLECT) {
        err = a->scan.cursor != NULL ? rg_sorted_names_of_users(&a->names, &a->scan, until_us) : RG_ENOTFOUND;
        if (err != RG_ENOTFOUND)
            return err;
        rg_scan_end(&a->scan);
        a->phase = SORT;
    }
    if (a->phase == SORT) {
        err = rg_sorted_names_sort(&a->names, until_us, &sorted);
        if (err || !sorted)
            return err;
        a->phase = EMIT;
        if (a->json) {
            rg_json_begin(&a->writer, &stream->out);
            rg_json_object(&a->writer, NULL);
            rg_json_array(&a->writer, a->who ? "users" : "access");
        }
    }
    err = a->who ? emit_users(a, until_us) : emit(a, until_us);
    if (err != RG_ENOTFOUND)
        return err;
    put_end(a);
    *ret_done = true;
    return RG_OK;
}

/* --- what is asked --- */

/* The users to look at: one, those of an account (and set), or all. */
static enum rg_err choose_users(struct access *a, struct rg_span user, struct rg_errctx *ctx)
{
    struct rg_call *call = a->stream.call;
    RG_AUTO_MEM struct rg_uuid *ids = NULL;
    struct rg_uuid one;
    struct rg_user row;
    size_t n = 0;
    enum rg_err err;

    if (user.p != NULL) {
        err = rg_find_user(call, user, &one);
        if (err == RG_ENOTFOUND)
            return rg_fail(ctx, err, "there is no user %.*s", (int)RG_MIN(user.n, (size_t)200), (const char *)user.p);
        if (!err)
            err = rg_user_get(call->txn, &one, &row);
        return err ? err : rg_sorted_names_add(&a->names, row.name, &one);
    }
    if (a->account_id[0] == '\0')
        return rg_user_list(call->txn, NULL, &a->scan);
    err = rg_access_who(call->txn, rg_span(a->account_id, 12), a->has_permset ? &a->permset : NULL, RG_USERS_MAX, &ids,
                        &n);
    for (size_t i = 0; !err && i < n; i++) {
        err = rg_user_get(call->txn, &ids[i], &row);
        if (!err)
            err = rg_sorted_names_add(&a->names, row.name, &ids[i]);
    }
    return err == RG_ENOTFOUND ? RG_ECORRUPT : err;
}

static enum rg_err take_account(struct access *a, struct rg_span text, struct rg_errctx *ctx)
{
    enum rg_err err = text.p != NULL ? rg_find_account(a->stream.call, text, a->account_id) : RG_OK;

    if (err == RG_ENOTFOUND)
        return rg_fail(ctx, err, "there is no account %.*s", (int)RG_MIN(text.n, (size_t)200), (const char *)text.p);
    if (err == RG_ECONFLICT)
        return rg_fail(ctx, RG_EINVALID, "account: several accounts have this name: give the id");
    return err;
}

static enum rg_err take_permset(struct access *a, struct rg_span text, struct rg_errctx *ctx)
{
    enum rg_err err = text.p != NULL ? rg_find_permset(a->stream.call, text, &a->permset) : RG_OK;

    if (err == RG_ENOTFOUND)
        return rg_fail(ctx, err, "there is no permission set %.*s", (int)RG_MIN(text.n, (size_t)200),
                       (const char *)text.p);
    a->has_permset = text.p != NULL;
    return err;
}

static enum rg_err take_limit(struct access *a, struct rg_span text, struct rg_errctx *ctx)
{
    uint64_t v = 0;

    a->limit = UINT64_MAX;
    if (text.p == NULL)
        return RG_OK;
    for (size_t i = 0; i < text.n && v <= LINES_LIMIT_MAX; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return rg_fail(ctx, RG_EINVALID, "limit: must be a number of lines");
        v = v * 10 + (uint64_t)(text.p[i] - '0');
    }
    if (v == 0 || v > LINES_LIMIT_MAX)
        return rg_fail(ctx, RG_EINVALID, "limit: must be 1 to %d", LINES_LIMIT_MAX);
    a->limit = v;
    return RG_OK;
}

static enum rg_err take_after(struct access *a, struct rg_span text)
{
    const uint8_t *tab;

    if (text.n == 0)
        return RG_OK;
    rg_buf_put(&a->after, text.p, text.n);
    if (a->after.err)
        return a->after.err;
    tab = memchr(a->after.data, '\t', a->after.len);
    a->after_user = rg_span(a->after.data, tab != NULL ? (size_t)(tab - a->after.data) : a->after.len);
    return RG_OK;
}

static enum rg_err take_format(struct access *a, struct rg_span text, struct rg_errctx *ctx)
{
    a->json = rg_span_is(text, "json");
    if (!a->json && text.p != NULL && !rg_span_is(text, "tsv"))
        return rg_fail(ctx, RG_EINVALID, "format: must be tsv or json");
    return RG_OK;
}

static enum rg_err access_ask(struct access *a, struct rg_errctx *ctx)
{
    static const char *const names[] = {"user", "account", "permissionSet", "format", "after", "limit"};
    struct rg_span values[RG_LEN(names)];
    RG_AUTO_BUF struct rg_buf scratch = {.max = 0};
    enum rg_err err;

    rg_buf_init(&scratch, RG_HTTP_HEAD_BYTES_MAX + 64);
    err = rg_v1_query(a->stream.call, names, values, RG_LEN(names), &scratch, ctx);
    if (!err)
        err = take_account(a, values[1], ctx);
    if (!err)
        err = take_permset(a, values[2], ctx);
    if (!err)
        err = take_format(a, values[3], ctx);
    if (!err)
        err = take_after(a, values[4]);
    if (!err)
        err = take_limit(a, values[5], ctx);
    if (!err)
        err = load_permsets(a, a->stream.call->txn);
    return err ? err : choose_users(a, values[0], ctx);
}

static enum rg_err who_ask(struct access *a, struct rg_errctx *ctx)
{
    static const char *const names[] = {"account", "permissionSet"};
    struct rg_span values[RG_LEN(names)];
    RG_AUTO_BUF struct rg_buf scratch = {.max = 0};
    enum rg_err err;

    a->json = a->who = true;
    rg_buf_init(&scratch, RG_HTTP_HEAD_BYTES_MAX + 64);
    err = rg_v1_query(a->stream.call, names, values, RG_LEN(names), &scratch, ctx);
    if (!err && values[0].p == NULL)
        return rg_fail(ctx, RG_EINVALID, "account: is missing");
    if (!err)
        err = take_account(a, values[0], ctx);
    if (!err)
        err = take_permset(a, values[1], ctx);
    return err ? err : choose_users(a, rg_span(NULL, 0), ctx);
}

static void begin(struct rg_call *call, enum rg_err (*ask)(struct access *a, struct rg_errctx *ctx))
{
    struct rg_errctx ctx = {.text = ""};
    struct rg_txn *txn;
    struct access *a;
    enum rg_err err;

    if (rg_call_txn(call, &txn) != RG_OK)
        return;
    a = calloc(1, sizeof *a);
    if (a == NULL) {
        rg_call_fail(call, RG_ENOMEM, NULL);
        return;
    }
    a->stream = (struct rg_stream){.call = call, .step = access_step, .deinit = access_deinit};
    rg_buf_init(&a->after, RG_HTTP_HEAD_BYTES_MAX);
    rg_buf_init(&a->line, 64 * 1024);
    err = ask(a, &ctx);
    if (err) {
        access_deinit(&a->stream);
        free(a);
        rg_call_fail(call, err, "%s", rg_errctx_text(&ctx, err));
        return;
    }
    a->stream.content_type = a->json ? "application/json" : "text/tab-separated-values; charset=utf-8";
    rg_stream_start(&a->stream);
}

void rg_v1_access(struct rg_call *call) { begin(call, access_ask); }

void rg_v1_who(struct rg_call *call) { begin(call, who_ask); }
