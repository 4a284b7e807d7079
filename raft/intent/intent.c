/* raft/intent/intent.c: what may wait, what it comes to, its record and file. */
#include "raft/intent/intent.h"

#include <jansson.h>
#include <stdio.h>

#include "base/json.h"
#include "crypto/digest.h"
#include "store/db/attrs.h"
#include "store/model/identity.h"

enum { VERSION = 1, HEAD_BYTES = 8, FIELDS_MAX = 256 };

_Static_assert(RG_INTENT_RECORD_BYTES_MAX >= RG_CMD_BYTES_MAX + sizeof(struct rg_intent) + 14 * 16, "any record fits its bound");
_Static_assert(RG_INTENT_FILE_BYTES_MAX >= HEAD_BYTES + RG_WRAPPED_BYTES_MAX + RG_INTENT_RECORD_BYTES_MAX + RG_TAG_BYTES, "any file too");
_Static_assert(RG_INTENT_NAME_MAX >= RG_DIGITS_MAX + 1 + RG_UUID_TEXT_MAX, "a name has room");
_Static_assert(RG_INTENT_STATUS_COUNT == RG_INTENT_DROPPED + 1, "each status is below the count");

/* Fields of a record. Numbers are never used again for another meaning (docs/formats-disk.md). */
enum {
    F_ID = 1,
    F_SEQ = 2,
    F_STATUS = 3,
    F_AUTOMATIC = 4,
    F_UNCERTAIN = 5,
    F_SINCE_MS = 6,
    F_ATTEMPTS = 7,
    F_EPOCH = 8,
    F_INDEX = 9,
    F_CODE = 10,
    F_TEXT = 11,
    F_DECIDED_BY = 12,
    F_DECIDED_MS = 13,
    F_CMD = 14,
};

static const char *const status_names[RG_INTENT_STATUS_COUNT] = {
    [RG_INTENT_QUEUED] = "QUEUED",   [RG_INTENT_PRESENTING] = "PRESENTING", [RG_INTENT_APPLIED] = "APPLIED",
    [RG_INTENT_REFUSED] = "REFUSED", [RG_INTENT_DROPPED] = "DROPPED",
};

const char *rg_intent_status_name(enum rg_intent_status status)
{
    return (unsigned)status < RG_INTENT_STATUS_COUNT && status_names[status] != NULL ? status_names[status] : "?";
}

enum rg_err rg_intent_status_parse(struct rg_span name, enum rg_intent_status *ret_status)
{
    for (unsigned i = RG_INTENT_QUEUED; i < RG_INTENT_STATUS_COUNT; i++) {
        if (!rg_span_is(name, status_names[i]))
            continue;
        *ret_status = (enum rg_intent_status)i;
        return RG_OK;
    }
    return RG_ENOTFOUND;
}

/* ---- what a command is ---- */

bool rg_intent_takes(enum rg_cmd_kind kind) { return (rg_cmd_kind_flags(kind) & RG_CMDF_INTENT) != 0; }

/* Whether the field is minted anew each time the same thing is asked. */
static bool is_minted(enum rg_cmd_kind kind, uint32_t field)
{
    unsigned flags = rg_cmd_kind_flags(kind);

    return ((flags & RG_CMDF_MINTS_ID) != 0 && field == RG_F_ID) ||
           ((flags & RG_CMDF_MINTS_MEMBERSHIP_ID) != 0 && field == RG_F_MEMBERSHIP_ID);
}

/* Attributes rest under two sorts of names (store/db/attrs.h): the same ones are the same whichever they are. */
static void put_attrs(struct rg_buf *out, struct rg_span attrs)
{
    rg_buf_deinit(out);
    rg_buf_init(out, 2 * RG_CMD_BYTES_MAX);
    rg_attrs_put_object(out, attrs, RG_ATTRS_SCIM);
}

enum rg_err rg_intent_hash(struct rg_span bytes, uint8_t out[32])
{
    RG_AUTO_BUF struct rg_buf plain = {.max = 0};
    RG_AUTO_BUF struct rg_buf attrs = {.max = 0};
    struct rg_cursor cur;
    struct rg_cmd cmd;
    struct rg_tlv tlv;
    enum rg_err err = rg_cmd_decode(bytes, &cmd);

    if (err)
        return err;
    rg_buf_init(&plain, 3 * RG_CMD_BYTES_MAX);
    rg_cursor_init(&cur, bytes);
    while (rg_tlv_next(&cur, &tlv)) {
        if (tlv.field == RG_F_ATTRS) {
            put_attrs(&attrs, tlv.value);
            tlv.value = rg_buf_span(&attrs);
        }
        if (tlv.field != RG_F_AT_MS && tlv.field != RG_F_REQUEST_ID && !is_minted(cmd.kind, tlv.field))
            rg_tlv_put(&plain, tlv.field, tlv.value);
    }
    if (attrs.err || plain.err)
        return attrs.err ? attrs.err : plain.err;
    rg_sha256(rg_buf_span(&plain), out);
    return RG_OK;
}

/* Own; NULL: no JSON, or no memory. */
static json_t *attrs_json(struct rg_span attrs)
{
    RG_AUTO_BUF struct rg_buf text = {.max = 0};

    put_attrs(&text, attrs);
    return text.err ? NULL : rg_json_parse(rg_buf_span(&text), NULL);
}

/* Attributes are kept as JSON text: the same object may be written in another order. */
static bool same_value(uint32_t field, struct rg_span a, struct rg_span b)
{
    json_t *x, *y;
    bool same;

    if (rg_span_eq(a, b))
        return true;
    if (field != RG_F_ATTRS)
        return false;
    x = attrs_json(a);
    y = attrs_json(b);
    same = x != NULL && y != NULL && json_equal(x, y);
    json_decref(x);
    json_decref(y);
    return same;
}

/* The object's own fields, but its status. False: more than can be compared. */
static bool own_fields(struct rg_span bytes, struct rg_tlv fields[FIELDS_MAX], size_t *ret_n)
{
    struct rg_cursor cur;
    struct rg_tlv tlv;
    size_t n = 0;

    rg_cursor_init(&cur, bytes);
    while (rg_tlv_next(&cur, &tlv)) {
        if (tlv.field < RG_F_ID || tlv.field == RG_F_STATUS)
            continue;
        RG_ASSERT(n <= FIELDS_MAX);
        if (n == FIELDS_MAX)
            return false;
        fields[n++] = tlv;
    }
    *ret_n = n;
    return !cur.bad;
}

static bool same_fields(struct rg_span a, struct rg_span b)
{
    struct rg_tlv x[FIELDS_MAX], y[FIELDS_MAX];
    bool taken[FIELDS_MAX] = {false};
    size_t n, m;

    if (!own_fields(a, x, &n) || !own_fields(b, y, &m) || n != m)
        return false;
    RG_ASSERT(n <= FIELDS_MAX);
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;

        while (k < m && (taken[k] || x[i].field != y[k].field || !same_value(x[i].field, x[i].value, y[k].value)))
            k++;
        if (k == m)
            return false;
        taken[k] = true;
    }
    return true;
}

static bool is_disabled(struct rg_span bytes)
{
    struct rg_span status;

    return rg_tlv_get(bytes, RG_F_STATUS, &status) && rg_span_is(status, "DISABLED");
}

/* RG_ENOTFOUND: no such user; RG_EMALFORMED: no id. */
static enum rg_err user_of(struct rg_txn *txn, struct rg_span cmd, struct rg_user *ret_user)
{
    struct rg_span text;
    struct rg_uuid id;

    if (!rg_tlv_get(cmd, RG_F_ID, &text) || text.n != sizeof id.b)
        return RG_EMALFORMED;
    memcpy(id.b, text.p, sizeof id.b);
    return rg_user_get(txn, &id, ret_user);
}

enum rg_err rg_intent_is_automatic(struct rg_txn *txn, struct rg_span bytes, bool *ret_automatic)
{
    struct rg_user user;
    struct rg_cmd cmd;
    enum rg_err err = rg_cmd_decode(bytes, &cmd);

    if (err)
        return err;
    *ret_automatic = (rg_cmd_kind_flags(cmd.kind) & RG_CMDF_AUTOMATIC) != 0;
    if (cmd.kind != RG_CMD_USER_REPLACE || !is_disabled(bytes))
        return RG_OK;
    err = user_of(txn, bytes, &user);
    if (!err)
        *ret_automatic = same_fields(bytes, user.row); /* disabled already: nothing at all, here at least */
    return err;
}

/* ---- what is presented ---- */

static void put_common(struct rg_buf *out, const struct rg_cmd *cmd)
{
    struct rg_span request;

    rg_cmd_begin(out, cmd->kind, cmd->at_ms, cmd->by);
    if (rg_tlv_get(cmd->bytes, RG_F_REQUEST_ID, &request))
        rg_tlv_put(out, RG_F_REQUEST_ID, request);
}

static bool is_no_status(const void *none, const struct rg_tlv *tlv)
{
    (void)none;
    return tlv->field != RG_F_STATUS;
}

static enum rg_err present_disabling(struct rg_txn *txn, const struct rg_cmd *cmd, struct rg_buf *out, bool *ret_done)
{
    struct rg_user user;
    enum rg_err err = user_of(txn, cmd->bytes, &user);

    if (err == RG_ENOTFOUND || (!err && is_disabled(user.row))) {
        *ret_done = true;
        return RG_OK;
    }
    if (err)
        return err;
    RG_ASSERT(out->len == 0);
    put_common(out, cmd);
    rg_tlv_put_u64(out, RG_F_IF_VERSION, user.version);
    rg_tlv_put_str(out, RG_F_STATUS, "DISABLED");
    rg_cmd_put_row(out, user.row, is_no_status, NULL);
    return out->err;
}

static enum rg_err with_fresh_request(struct rg_span bytes, const uint8_t random[16], struct rg_buf *out)
{
    struct rg_cursor cur;
    struct rg_uuid id;
    struct rg_tlv tlv;

    RG_ASSERT(out->len == 0);
    rg_uuid_v4(&id, random);
    rg_cursor_init(&cur, bytes);
    while (rg_tlv_next(&cur, &tlv))
        rg_tlv_put(out, tlv.field, tlv.field == RG_F_REQUEST_ID ? rg_span(id.b, sizeof id.b) : tlv.value);
    return out->err;
}

enum rg_err rg_intent_present(struct rg_txn *txn, const struct rg_intent *intent, const uint8_t random[16], struct rg_buf *out,
                              bool *ret_done)
{
    struct rg_cmd cmd;
    enum rg_err err = rg_cmd_decode(intent->cmd, &cmd);

    RG_ASSERT(!rg_intent_is_over(intent->status));
    RG_ASSERT(out->max <= RG_CMD_BYTES_MAX); /* so that what is presented is no longer than a command may be */
    if (err)
        return err;
    RG_ASSERT(rg_intent_takes(cmd.kind));
    rg_buf_clear(out);
    *ret_done = false;
    if (intent->automatic && cmd.kind == RG_CMD_USER_REPLACE)
        return present_disabling(txn, &cmd, out, ret_done);
    if (intent->uncertain && (rg_cmd_kind_flags(cmd.kind) & RG_CMDF_REQUEST_ONCE) != 0)
        return with_fresh_request(intent->cmd, random, out);
    rg_buf_put(out, intent->cmd.p, intent->cmd.n);
    return out->err;
}

/* ---- the record ---- */

/* Before it is encoded, and once it was decoded. */
static void intent_check(const struct rg_intent *intent)
{
    RG_ASSERT(intent->seq > 0);
    RG_ASSERT(intent->status >= RG_INTENT_QUEUED);
    RG_ASSERT(intent->status < RG_INTENT_STATUS_COUNT);
    RG_ASSERT(intent->cmd.n > 0);
    RG_ASSERT(intent->cmd.n <= RG_CMD_BYTES_MAX);
    RG_ASSERT(intent->cmd.p != NULL);
    RG_ASSERT(intent->attempts <= 2 * RG_INTENT_ATTEMPTS_MAX);
    RG_ASSERT(memchr(intent->decided_by, 0, sizeof intent->decided_by) != NULL);
    RG_ASSERT(memchr(intent->code, 0, sizeof intent->code) != NULL);
    RG_ASSERT(memchr(intent->text, 0, sizeof intent->text) != NULL);
}

void rg_intent_encode(const struct rg_intent *intent, struct rg_buf *out)
{
    intent_check(intent);
    rg_tlv_put(out, F_ID, rg_span(intent->id.b, sizeof intent->id.b));
    rg_tlv_put_u64(out, F_SEQ, intent->seq);
    rg_tlv_put_u64(out, F_STATUS, intent->status);
    rg_tlv_put_u64(out, F_AUTOMATIC, intent->automatic);
    rg_tlv_put_u64(out, F_UNCERTAIN, intent->uncertain);
    rg_tlv_put_u64(out, F_SINCE_MS, (uint64_t)intent->since_ms);
    rg_tlv_put_u64(out, F_ATTEMPTS, intent->attempts);
    rg_tlv_put_u64(out, F_EPOCH, intent->rev.epoch);
    rg_tlv_put_u64(out, F_INDEX, intent->rev.index);
    if (intent->code[0] != '\0')
        rg_tlv_put_str(out, F_CODE, intent->code);
    if (intent->text[0] != '\0')
        rg_tlv_put_str(out, F_TEXT, intent->text);
    if (intent->decided_by[0] != '\0') {
        rg_tlv_put_str(out, F_DECIDED_BY, intent->decided_by);
        rg_tlv_put_u64(out, F_DECIDED_MS, (uint64_t)intent->decided_ms);
    }
    rg_tlv_put(out, F_CMD, intent->cmd);
}

static bool take_text(struct rg_span bytes, uint32_t field, char *out, size_t size)
{
    struct rg_span text;

    if (!rg_tlv_get(bytes, field, &text))
        return true;
    if (text.n >= size || memchr(text.p, 0, text.n) != NULL)
        return false;
    memcpy(out, text.p, text.n);
    out[text.n] = '\0';
    return true;
}

enum rg_err rg_intent_decode(struct rg_span bytes, struct rg_intent *ret_intent, struct rg_errctx *ctx)
{
    struct rg_intent r = {.seq = rg_tlv_u64(bytes, F_SEQ, 0),
                          .since_ms = (int64_t)rg_tlv_u64(bytes, F_SINCE_MS, 0),
                          .attempts = rg_tlv_u64(bytes, F_ATTEMPTS, 0),
                          .rev = {rg_tlv_u64(bytes, F_EPOCH, 0), rg_tlv_u64(bytes, F_INDEX, 0)},
                          .decided_ms = (int64_t)rg_tlv_u64(bytes, F_DECIDED_MS, 0)};
    uint64_t status = rg_tlv_u64(bytes, F_STATUS, 0), automatic = rg_tlv_u64(bytes, F_AUTOMATIC, 2),
             uncertain = rg_tlv_u64(bytes, F_UNCERTAIN, 2);
    struct rg_span id;
    struct rg_cmd cmd;

    if (!rg_tlv_valid(bytes))
        return rg_fail(ctx, RG_EMALFORMED, "the record is no sequence of fields");
    if (!rg_tlv_get(bytes, F_ID, &id) || id.n != sizeof r.id.b || r.seq == 0)
        return rg_fail(ctx, RG_EMALFORMED, "the record has no id or no place in the queue");
    memcpy(r.id.b, id.p, sizeof r.id.b);
    if (status < RG_INTENT_QUEUED || status >= RG_INTENT_STATUS_COUNT || automatic > 1 || uncertain > 1)
        return rg_fail(ctx, RG_EMALFORMED, "the record has status %llu, which this release does not know",
                       (unsigned long long)status);
    if (r.attempts > RG_INTENT_ATTEMPTS_MAX)
        return rg_fail(ctx, RG_EMALFORMED, "the record counts %llu attempts, more than there can have been",
                       (unsigned long long)r.attempts);
    r.status = (enum rg_intent_status)status;
    r.automatic = automatic;
    r.uncertain = uncertain;
    if (!take_text(bytes, F_CODE, r.code, sizeof r.code) || !take_text(bytes, F_TEXT, r.text, sizeof r.text) ||
        !take_text(bytes, F_DECIDED_BY, r.decided_by, sizeof r.decided_by))
        return rg_fail(ctx, RG_EMALFORMED, "a text of the record is too long or holds a zero");
    if (!rg_tlv_get(bytes, F_CMD, &r.cmd) || rg_cmd_decode(r.cmd, &cmd) != RG_OK || !rg_intent_takes(cmd.kind))
        return rg_fail(ctx, RG_EMALFORMED, "the record's command cannot be read or may not be an intent");
    intent_check(&r);
    *ret_intent = r;
    return RG_OK;
}

/* ---- the file ---- */

void rg_intent_name(char out[RG_INTENT_NAME_MAX], uint64_t seq, const struct rg_uuid *id)
{
    char text[RG_UUID_TEXT_MAX];
    int n;

    RG_ASSERT(seq > 0);
    RG_ASSERT(seq <= RG_INTENT_SEQ_MAX);
    rg_uuid_format(text, id);
    n = snprintf(out, RG_INTENT_NAME_MAX, "%020llu-%s", (unsigned long long)seq, text);
    RG_ASSERT(n == 20 + 1 + RG_UUID_TEXT_MAX - 1);
}

bool rg_intent_name_parse(const char *name, uint64_t *ret_seq, struct rg_uuid *ret_id)
{
    char again[RG_INTENT_NAME_MAX];
    uint64_t seq = 0;

    if (strlen(name) != 20 + 1 + RG_UUID_TEXT_MAX - 1)
        return false;
    for (size_t i = 0; i < 20; i++)
        seq = seq * 10 + (uint64_t)(name[i] - '0');
    if (seq == 0 || seq > RG_INTENT_SEQ_MAX || !rg_uuid_parse(rg_span(name + 21, RG_UUID_TEXT_MAX - 1), ret_id))
        return false;
    rg_intent_name(again, seq, ret_id); /* digits, dash, lower case: what we write and nothing else */
    *ret_seq = seq;
    return strcmp(again, name) == 0;
}

static const uint8_t head[HEAD_BYTES] = {'R', 'G', 'I', 'N', VERSION};

static struct rg_context context_of(const struct rg_intent_seal *seal)
{
    RG_ASSERT(seal->keys != NULL);
    RG_ASSERT(seal->instance_arn != NULL);
    RG_ASSERT(seal->identity_store_id != NULL);
    return (struct rg_context){.instance_arn = rg_span_str(seal->instance_arn),
                               .identity_store_id = rg_span_str(seal->identity_store_id),
                               .purpose = rg_span_str("intent")};
}

static void aad_of(const struct rg_intent_seal *seal, const char *name, struct rg_buf *aad)
{
    RG_ASSERT(seal->region != NULL);
    rg_buf_init(aad, 512);
    rg_buf_put(aad, head, sizeof head);
    rg_buf_put_str(aad, seal->region);
    rg_buf_put_u8(aad, '/');
    rg_buf_put_str(aad, name);
}

enum rg_err rg_intent_seal(const struct rg_intent_seal *seal, const char *name, struct rg_span record, struct rg_buf *out)
{
    const struct rg_context context = context_of(seal);
    RG_AUTO_BUF struct rg_buf aad = {.max = 0};
    RG_AUTO(dek) struct rg_dek *dek = NULL;
    uint8_t *to;
    enum rg_err err;

    RG_ASSERT(name[0] != '\0');
    RG_ASSERT(record.n <= RG_INTENT_RECORD_BYTES_MAX);
    RG_ASSERT(out->len == 0);
    aad_of(seal, name, &aad);
    rg_buf_put(out, head, sizeof head);
    err = aad.err ? aad.err : rg_dek_new(seal->keys, &context, out, &dek);
    if (err)
        return err;
    to = rg_buf_reserve(out, record.n + RG_TAG_BYTES);
    if (to == NULL)
        return out->err;
    err = rg_dek_seal(dek, 0, 0, rg_buf_span(&aad), record, to);
    if (!err)
        out->len += record.n + RG_TAG_BYTES;
    return err;
}

enum rg_err rg_intent_open(const struct rg_intent_seal *seal, const char *name, struct rg_span file, struct rg_buf *out,
                           struct rg_errctx *ctx)
{
    const struct rg_context context = context_of(seal);
    RG_AUTO_BUF struct rg_buf aad = {.max = 0};
    RG_AUTO(dek) struct rg_dek *dek = NULL;
    struct rg_span sealed;
    size_t header;
    uint8_t *to;
    enum rg_err err;

    if (file.n < HEAD_BYTES || memcmp(file.p, head, 4) != 0)
        return rg_fail(ctx, RG_EMALFORMED, "it is no intent's file");
    if (memcmp(file.p, head, sizeof head) != 0)
        return rg_fail(ctx, RG_EMALFORMED, "it has version %u, which this release does not know", file.p[4]);
    aad_of(seal, name, &aad);
    sealed = rg_span(file.p + HEAD_BYTES, file.n - HEAD_BYTES);
    err = aad.err ? aad.err : rg_dek_open(seal->keys, &context, sealed, &header, &dek, ctx);
    if (err)
        return err;
    RG_ASSERT(header <= sealed.n);
    sealed = rg_span(sealed.p + header, sealed.n - header);
    if (sealed.n < RG_TAG_BYTES || sealed.n > RG_INTENT_RECORD_BYTES_MAX + RG_TAG_BYTES)
        return rg_fail(ctx, RG_ECORRUPT, "the sealed bytes are cut");
    to = rg_buf_reserve(out, sealed.n);
    if (to == NULL)
        return out->err;
    err = rg_dek_unseal(dek, 0, 0, rg_buf_span(&aad), sealed, to);
    if (err == RG_ECORRUPT)
        return rg_fail(ctx, err, "it does not authenticate: damaged, or of another region or name");
    if (!err)
        out->len += sealed.n - RG_TAG_BYTES;
    return err;
}
