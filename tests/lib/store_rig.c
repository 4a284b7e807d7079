#include "tests/lib/store_rig.h"

enum fix_form { FIX_ID, FIX_PSID, FIX_TEXT, FIX_NUMBER, FIX_PAIR, FIX_TOKEN, FIX_NESTED };

void fix_open_sized(struct fix *f, size_t map_bytes)
{
    struct rg_errctx ctx = {{0}};
    enum rg_err err;

    memset(f, 0, sizeof *f);
    tmpdir_make(f->dir);
    err = rg_store_open(f->dir, map_bytes, 64, &f->store, &ctx);
    ck_assert_msg(err == RG_OK, "%s", rg_errctx_text(&ctx, err));
    rg_buf_init(&f->cmd, 2 * RG_CMD_BYTES_MAX);
    f->at_ms = 1700000000000;
}

void fix_open(struct fix *f) { fix_open_sized(f, FIX_MAP_BYTES); }

void fix_empty(struct rg_store *store)
{
    const struct rg_applied nothing = {.index = 0};
    struct rg_txn *txn;

    ck_assert_int_eq(rg_store_spare(store, 0, NULL), RG_OK);
    ck_assert_int_eq(rg_spare_begin(store, RG_TXN_WRITE, &txn), RG_OK);
    rg_txn_set_applied(txn, &nothing);
    ck_assert_int_eq(rg_txn_commit(txn), RG_OK);
    rg_spare_loaded(store, &nothing);
    rg_store_swap(store);
    ck_assert(rg_store_reap(store));
}

void fix_close(struct fix *f)
{
    rg_store_free(f->store);
    rg_buf_deinit(&f->cmd);
    ck_assert_int_eq(rmdir(f->dir), 0);
}

struct rg_uuid fix_id(const char *name)
{
    struct rg_uuid id = {{0}};

    memcpy(id.b, name, RG_MIN(strlen(name), sizeof id.b));
    return id;
}

struct rg_psid fix_psid(const char *name)
{
    struct rg_psid id = {{0}};

    memcpy(id.b, name, RG_MIN(strlen(name), sizeof id.b));
    return id;
}

void fix_token(const char *name, uint8_t out[32])
{
    memset(out, 0x5a, 32);
    memcpy(out, name, RG_MIN(strlen(name), (size_t)32));
}

static const struct {
    const char *word;
    uint32_t field;
    enum fix_form form;
} fix_words[] = {
    {"id", RG_F_ID, FIX_ID},
    {"psid", RG_F_ID, FIX_PSID},
    {"name", RG_F_NAME, FIX_TEXT},
    {"display", RG_F_DISPLAY_NAME, FIX_TEXT},
    {"desc", RG_F_DESCRIPTION, FIX_TEXT},
    {"status", RG_F_STATUS, FIX_TEXT},
    {"email", RG_F_EMAIL, FIX_TEXT},
    {"ext", RG_F_EXTERNAL_ID, FIX_PAIR},
    {"attrs", RG_F_ATTRS, FIX_TEXT},
    {"group", RG_F_GROUP_ID, FIX_ID},
    {"user", RG_F_USER_ID, FIX_ID},
    {"membership", RG_F_MEMBERSHIP_ID, FIX_ID},
    {"account", RG_F_ACCOUNT_ID, FIX_TEXT},
    {"permset", RG_F_PERMSET_ID, FIX_PSID},
    {"ptype", RG_F_PRINCIPAL_TYPE, FIX_TEXT},
    {"principal", RG_F_PRINCIPAL_ID, FIX_ID},
    {"request", RG_F_REQUEST_ID, FIX_ID},
    {"policy", RG_F_MANAGED_POLICY, FIX_TEXT},
    {"duration", RG_F_SESSION_DURATION, FIX_TEXT},
    {"relay", RG_F_RELAY_STATE, FIX_TEXT},
    {"inline", RG_F_INLINE_POLICY, FIX_TEXT},
    {"boundary", RG_F_BOUNDARY, FIX_TEXT},
    {"tag", RG_F_TAG, FIX_PAIR},
    {"arn", RG_F_INSTANCE_ARN, FIX_TEXT},
    {"store", RG_F_IDENTITY_STORE_ID, FIX_TEXT},
    {"owner", RG_F_OWNER_ACCOUNT_ID, FIX_TEXT},
    {"key", RG_F_KEY_ID, FIX_TEXT},
    {"url", RG_F_URL, FIX_TEXT},
    {"primary", RG_F_PRIMARY, FIX_NUMBER},
    {"akid", RG_F_ACCESS_KEY_ID, FIX_TEXT},
    {"secret", RG_F_SECRET_SEALED, FIX_TEXT},
    {"token", RG_F_TOKEN_SHA256, FIX_TOKEN},
    {"role", RG_F_ROLE, FIX_TEXT},
    {"if", RG_F_IF_VERSION, FIX_NUMBER},
    {"node", RG_F_NODE_ID, FIX_NUMBER},
    {"oldnode", RG_F_OLD_NODE_ID, FIX_NUMBER},
    {"rejoin", RG_F_REJOIN, FIX_NUMBER},
    {"link", RG_F_LINK, FIX_TEXT},
    {"cert", RG_F_CERT, FIX_TEXT},
    {"csr", RG_F_CSR, FIX_TEXT},
    {"admitted", RG_F_ADMITTED, FIX_TOKEN},
    {"pin", RG_F_PIN, FIX_TOKEN},
    {"returns", RG_F_RETURNS, FIX_TEXT},
    {"from", RG_F_FROM, FIX_TEXT},
    {"release", RG_F_RELEASE, FIX_TEXT},
    {"host", RG_F_HOST, FIX_TEXT},
    {"phase", RG_F_PHASE, FIX_TEXT},
    {"error", RG_F_ERROR, FIX_TEXT},
    {"expires", RG_F_EXPIRES_MS, FIX_NUMBER},
    {"regions", RG_F_REGIONS, FIX_NUMBER},
    {"shortage", RG_F_ON_SHORTAGE, FIX_TEXT},
    {"lease", RG_F_LEASE_MS, FIX_NUMBER},
    {"settled", RG_F_SETTLED, FIX_NUMBER},
    {"degraded", RG_F_DEGRADED, FIX_NUMBER},
    {"epoch", RG_F_EPOCH, FIX_NUMBER},
    {"declared", RG_F_DECLARED_BY, FIX_TEXT},
    {"reason", RG_F_REASON, FIX_TEXT},
    {"region", RG_F_REGION, FIX_NESTED},         /* region=name:eu-west-1,status:ACTIVE */
    {"credential", RG_F_CREDENTIAL, FIX_NESTED}, /* credential=akid:AKIA1,token:t1,role:admin */
    {"shortid", RG_F_ID, FIX_TEXT},              /* ids of a wrong length */
    {"future", 999, FIX_TEXT},                   /* a field of a later release */
};

static void fix_put_field(struct rg_buf *buf, const char *word, size_t word_n, const char *value, size_t n)
{
    uint8_t token[32];
    struct rg_uuid id;
    char copy[8192];
    char *bar;

    ck_assert_uint_lt(n, sizeof copy);
    memcpy(copy, value, n);
    copy[n] = '\0';
    for (size_t i = 0; i < RG_LEN(fix_words); i++) {
        uint32_t field = fix_words[i].field;
        RG_AUTO_BUF struct rg_buf nested = {.max = 0};

        rg_buf_init(&nested, RG_CMD_BYTES_MAX);
        if (strlen(fix_words[i].word) != word_n || memcmp(fix_words[i].word, word, word_n) != 0)
            continue;
        switch (fix_words[i].form) {
        case FIX_ID:
            id = fix_id(copy);
            rg_tlv_put(buf, field, rg_span(id.b, 16));
            return;
        case FIX_PSID:
            id = fix_id(copy);
            rg_tlv_put(buf, field, rg_span(id.b, 8));
            return;
        case FIX_PAIR:
            bar = strchr(copy, '|');
            if (bar != NULL)
                *bar = '\0';
            rg_tlv_put(buf, field, rg_span(copy, n));
            return;
        case FIX_NUMBER:
            rg_tlv_put_u64(buf, field, strtoull(copy, NULL, 10));
            return;
        case FIX_TOKEN:
            fix_token(copy, token);
            rg_tlv_put(buf, field, rg_span(token, 32));
            return;
        case FIX_NESTED:
            fix_put_fields(&nested, copy, copy + n, ':', ',');
            rg_tlv_put(buf, field, rg_buf_span(&nested));
            return;
        case FIX_TEXT:
            rg_tlv_put(buf, field, rg_span(copy, n));
            return;
        }
    }
    ck_abort_msg("no field is called %.*s", (int)word_n, word);
}

void fix_put_fields(struct rg_buf *buf, const char *text, const char *end, char eq, char sep)
{
    while (text < end) {
        const char *stop = memchr(text, sep, (size_t)(end - text));
        const char *sign;

        if (stop == NULL)
            stop = end;
        sign = memchr(text, eq, (size_t)(stop - text));
        if (stop > text) {
            ck_assert_ptr_nonnull(sign);
            fix_put_field(buf, text, (size_t)(sign - text), sign + 1, (size_t)(stop - sign - 1));
        }
        text = stop + 1;
    }
}

void fix_cmd(struct fix *f, enum rg_cmd_kind kind, const char *fields)
{
    rg_cmd_begin(&f->cmd, kind, f->at_ms, rg_span_str("tester"));
    fix_put_fields(&f->cmd, fields, fields + strlen(fields), '=', ' ');
    ck_assert_int_eq(f->cmd.err, RG_OK);
}

/* What it would come to is what it comes to, and a reader can say so. */
static void try_first(struct fix *f, struct rg_span bytes, struct rg_reply *ret_reply)
{
    struct rg_txn *txn = fix_read(f);

    ck_assert_int_eq(rg_fsm_try(txn, bytes, ret_reply), RG_OK);
    rg_txn_free(txn);
}

enum rg_err fix_apply_bytes(struct fix *f, struct rg_span bytes)
{
    struct rg_reply reply;
    struct rg_txn *txn;

    try_first(f, bytes, &reply);
    ck_assert_int_eq(rg_txn_begin(f->store, RG_TXN_WRITE, &txn), RG_OK);
    f->index++;
    f->at_ms += 1000;
    ck_assert_int_eq(rg_fsm_apply(txn, f->index, 1, bytes, &f->reply), RG_OK);
    ck_assert_int_eq(rg_txn_commit(txn), RG_OK);
    ck_assert_int_eq(reply.err, f->reply.err);
    ck_assert_int_eq(reply.why, f->reply.why);
    if (f->reply.err != RG_OK)
        ck_assert_mem_eq(&reply.id, &f->reply.id, sizeof reply.id);
    return f->reply.err;
}

enum rg_err fix_apply(struct fix *f, enum rg_cmd_kind kind, const char *fields)
{
    fix_cmd(f, kind, fields);
    return fix_apply_bytes(f, rg_buf_span(&f->cmd));
}

void fix_must(struct fix *f, enum rg_cmd_kind kind, const char *fields)
{
    enum rg_err err = fix_apply(f, kind, fields);

    ck_assert_msg(err == RG_OK, "%s %s: %s, why %d", rg_cmd_kind_name(kind), fields, rg_err_symbol(err), f->reply.why);
}

struct rg_txn *fix_read(struct fix *f)
{
    struct rg_txn *txn;

    ck_assert_int_eq(rg_txn_begin(f->store, RG_TXN_READ, &txn), RG_OK);
    return txn;
}

void fix_hash(struct fix *f, uint8_t out[RG_STATE_HASH_BYTES])
{
    struct rg_txn *txn = fix_read(f);
    struct rg_applied applied;

    rg_txn_applied(txn, &applied);
    memcpy(out, applied.hash, RG_STATE_HASH_BYTES);
    rg_txn_free(txn);
}

void fix_check_hash(struct fix *f)
{
    struct rg_txn *txn = fix_read(f);
    uint8_t hash[RG_STATE_HASH_BYTES];
    struct rg_applied applied;

    rg_txn_applied(txn, &applied);
    ck_assert_int_eq(rg_store_rehash(txn, hash), RG_OK);
    ck_assert_mem_eq(applied.hash, hash, sizeof hash);
    rg_txn_free(txn);
}

void fix_world(struct fix *f)
{
    fix_must(f, RG_CMD_INSTANCE_INIT, FIX_INIT);
    fix_must(f, RG_CMD_USER_CREATE,
             "id=u1 name=Alice display=Alice email=Alice@Example.com ext=okta|a1 status=ENABLED");
    fix_must(f, RG_CMD_USER_CREATE, "id=u2 name=bob email=bob@example.com ext=okta|b1 ext=entra|b2");
    fix_must(f, RG_CMD_USER_CREATE, "id=u3 name=carol status=DISABLED");
    fix_must(f, RG_CMD_GROUP_CREATE, "id=g1 name=Admins desc=all ext=okta|ga");
    fix_must(f, RG_CMD_GROUP_CREATE, "id=g2 name=Readers");
    fix_must(f, RG_CMD_MEMBERSHIP_CREATE, "membership=m1 group=g1 user=u1");
    fix_must(f, RG_CMD_MEMBERSHIP_CREATE, "membership=m2 group=g2 user=u1");
    fix_must(f, RG_CMD_MEMBERSHIP_CREATE, "membership=m3 group=g2 user=u2");
    fix_must(f, RG_CMD_MEMBERSHIP_CREATE, "membership=m4 group=g1 user=u3");
    fix_must(f, RG_CMD_PERMSET_CREATE, "psid=p1 name=Admin duration=PT8H policy=arn:aws:iam::aws:policy/X");
    fix_must(f, RG_CMD_PERMSET_CREATE, "psid=p2 name=View");
    fix_must(f, RG_CMD_ACCOUNT_PUT, "account=111111111111 name=prod");
    fix_must(f, RG_CMD_ACCOUNT_PUT, "account=222222222222 name=dev");
    fix_must(f, RG_CMD_ASSIGNMENT_CREATE, "account=111111111111 permset=p1 ptype=G principal=g1 request=r1");
    fix_must(f, RG_CMD_ASSIGNMENT_CREATE, "account=111111111111 permset=p2 ptype=G principal=g2 request=r2");
    fix_must(f, RG_CMD_ASSIGNMENT_CREATE, "account=222222222222 permset=p2 ptype=U principal=u2 request=r3");
    fix_must(f, RG_CMD_ASSIGNMENT_CREATE, "account=111111111111 permset=p1 ptype=U principal=u1 request=r4");
}

void fix_refused(struct fix *f, const struct fix_refusal *want)
{
    uint8_t before[RG_STATE_HASH_BYTES], after[RG_STATE_HASH_BYTES];
    struct rg_applied applied;
    struct rg_txn *txn;
    enum rg_err err;

    fix_hash(f, before);
    err = fix_apply(f, want->kind, want->fields);
    ck_assert_msg(err == want->err, "%s: %s", want->name, rg_err_symbol(err));
    ck_assert_msg(f->reply.why == want->why, "%s: why %d", want->name, f->reply.why);
    if (want->id != NULL) {
        struct rg_uuid id = fix_id(want->id);

        ck_assert_msg(memcmp(&f->reply.id, &id, sizeof id) == 0, "%s: id %.16s", want->name,
                      (const char *)f->reply.id.b);
    }
    fix_hash(f, after);
    ck_assert_mem_eq(before, after, sizeof before);
    fix_check_hash(f);
    txn = fix_read(f); /* refused or not, it is applied */
    rg_txn_applied(txn, &applied);
    ck_assert_uint_eq(applied.index, f->index);
    rg_txn_free(txn);
}

bool fix_row_exists(struct fix *f, const char *key, size_t n)
{
    struct rg_txn *txn = fix_read(f);
    struct rg_span value;
    enum rg_err err = rg_row_get(txn, rg_span(key, n), &value);

    rg_txn_free(txn);
    return err == RG_OK;
}

struct rg_counts fix_counts(struct fix *f)
{
    struct rg_txn *txn = fix_read(f);
    struct rg_counts c;

    rg_txn_counts(txn, &c);
    rg_txn_free(txn);
    return c;
}

struct rg_settings fix_settings(struct fix *f)
{
    struct rg_txn *txn = fix_read(f);
    struct rg_settings s;

    ck_assert_int_eq(rg_settings_get(txn, &s), RG_OK);
    rg_txn_free(txn);
    return s;
}

uint64_t fix_rows_under(struct fix *f, const char *prefix)
{
    struct rg_txn *txn = fix_read(f);
    struct rg_span key, value;
    struct rg_scan scan;
    uint64_t n = 0;

    ck_assert_int_eq(rg_scan_begin(txn, rg_span_str(prefix), rg_span(NULL, 0), &scan), RG_OK);
    while (rg_scan_next(&scan, &key, &value) == RG_OK)
        n++;
    rg_scan_end(&scan);
    rg_txn_free(txn);
    return n;
}

void fix_copy_row(struct rg_txn *txn, const struct rg_rowkey *from, const struct rg_rowkey *to)
{
    RG_AUTO_BUF struct rg_buf copy = {.max = 0};
    struct rg_span row;

    rg_buf_init(&copy, RG_ROW_BYTES_MAX);
    ck_assert_int_eq(rg_row_get(txn, rg_rowkey_span(from), &row), RG_OK);
    rg_buf_put(&copy, row.p, row.n);
    ck_assert_int_eq(rg_row_add(txn, rg_rowkey_span(to), rg_buf_span(&copy)), RG_OK);
}
