#include "store/model/trust.h"

#include "crypto/digest.h"
#include "store/db/rowmap.h"

/* --- what can be said --- */

enum { SAID_FIELDS_MAX = 6 };

struct said {
    const char *name;
    unsigned role;
    uint32_t fields[SAID_FIELDS_MAX]; /* 0: no more */
};
static const struct said saids[] = {
#define SAID_ROW(name, number, role, ...) [number] = {#name, role, {__VA_ARGS__}},
    RG_SAID_MAP(SAID_ROW)
#undef SAID_ROW
};

static const struct said *said_of(unsigned kind)
{
    _Static_assert(RG_LEN(saids) < 32, "kinds are bits of a set");
    _Static_assert(RG_LEN(saids) <= RG_STATEMENT_KINDS_MAX + 1, "each can be said");
    return kind < RG_LEN(saids) && saids[kind].name != NULL ? &saids[kind] : NULL;
}

const char *rg_said_name(unsigned kind)
{
    const struct said *said = said_of(kind);

    RG_ASSERT(said == NULL || said->fields[0] != 0); /* each says something */
    RG_ASSERT(said == NULL || kind >= 1);
    return said != NULL ? said->name : "?";
}

unsigned rg_said_role(unsigned kind)
{
    const struct said *said = said_of(kind);

    RG_ASSERT(said == NULL || (said->role & ~(unsigned)RG_ROLES_ALL) == 0);
    RG_ASSERT(said == NULL || (said->role == 0) == (kind == RG_SAID_GENESIS)); /* that is the root's */
    return said != NULL ? said->role : 0;
}

static bool is_of(const struct said *said, uint32_t field)
{
    RG_ASSERT(said->fields[0] != 0);
    RG_ASSERT(field >= 1);
    for (size_t i = 0; i < SAID_FIELDS_MAX && said->fields[i] != 0; i++)
        if (said->fields[i] == field)
            return true;
    return false;
}

/* A number in its one form: a row that is written again has that one. */
static bool value_ok(uint32_t field, struct rg_span v)
{
    uint64_t n;

    RG_ASSERT(field >= 1);
    RG_ASSERT(v.p != NULL || v.n == 0);
    if (field != RG_F_EXPIRES_MS && field != RG_F_ROLES && field != RG_F_REGIONS && field != RG_F_LEASE_MS && field != RG_F_NODE_ID &&
        field != RG_F_EPOCH && field != RG_F_PREVIOUS_EPOCH && field != RG_F_ACCEPT_LOSS)
        return true;
    return rg_tlv_number(v, &n) && (v.n == 1 || v.p[v.n - 1] != 0);
}

/* Fields ascend, so none is there twice but KEPT. */
static bool only_own(const struct said *said, struct rg_span fields)
{
    struct rg_cursor cur;
    struct rg_tlv tlv;
    uint32_t last = 0;

    RG_ASSERT(said->name != NULL);
    RG_ASSERT(said->fields[0] >= RG_F_ID); /* of rows */
    rg_cursor_init(&cur, fields);
    while (rg_tlv_next(&cur, &tlv)) {
        if (!is_of(said, tlv.field) || !value_ok(tlv.field, tlv.value) || tlv.field < last || (tlv.field == last && tlv.field != RG_F_KEPT))
            return false;
        last = tlv.field;
    }
    return !cur.bad;
}

bool rg_said_covers(unsigned kind, struct rg_span fields, struct rg_span bytes)
{
    const struct said *said = said_of(kind);

    RG_ASSERT(fields.p != NULL || fields.n == 0);
    RG_ASSERT(bytes.p != NULL || bytes.n == 0);
    if (said == NULL || !only_own(said, fields))
        return false;
    for (size_t i = 0; i < SAID_FIELDS_MAX && said->fields[i] != 0; i++) {
        struct rg_span a, b;
        bool in = rg_tlv_get(fields, said->fields[i], &a);

        if (in != rg_tlv_get(bytes, said->fields[i], &b) || !rg_span_eq(a, b))
            return false;
    }
    return true;
}

/* --- roles --- */

static const char *const role_names[] = {"regions", "settings", "operators", "failover"};
_Static_assert((1 << RG_LEN(role_names)) - 1 == RG_ROLES_ALL, "each has a name");

const char *rg_role_name(unsigned role)
{
    RG_ASSERT(role != 0);
    RG_ASSERT((role & (role - 1)) == 0); /* one */
    for (unsigned i = 0; i < RG_LEN(role_names); i++)
        if (role == 1u << i)
            return role_names[i];
    return NULL;
}

bool rg_roles_parse(const char *text, unsigned *ret_roles)
{
    unsigned roles = 0;

    RG_ASSERT(text != NULL);
    while (*text != '\0') {
        size_t n = strcspn(text, ",");
        unsigned bit = 0;

        for (unsigned i = 0; i < RG_LEN(role_names); i++)
            if (strlen(role_names[i]) == n && memcmp(role_names[i], text, n) == 0)
                bit = 1u << i;
        if (bit == 0 || (roles & bit) != 0)
            return false;
        roles |= bit;
        text += n;
        if (*text == ',' && *++text == '\0')
            return false;
    }
    RG_ASSERT((roles & ~(unsigned)RG_ROLES_ALL) == 0);
    *ret_roles = roles;
    return roles != 0;
}

/* --- rows --- */

struct genesis_row {
    struct rg_span statement, root;
    uint64_t version;
};
static const struct rg_row_member genesis_members[] = {
    [RG_F_VERSION] = RG_ROW(struct genesis_row, version),
    [RG_F_STATEMENT] = RG_ROW(struct genesis_row, statement),
    [RG_F_ROOT_KEY] = RG_ROW(struct genesis_row, root),
};
static const struct rg_rowmap genesis_map = RG_ROWMAP(genesis_members, struct genesis_row, RG_F_STATEMENT, RG_F_ROOT_KEY);

struct instance_row {
    struct rg_span cluster;
    uint64_t level;
};
static const struct rg_row_member instance_members[] = {
    [RG_F_INSTANCE_ARN] = RG_ROW(struct instance_row, cluster),
    [RG_F_TRUST] = RG_ROW(struct instance_row, level),
};
static const struct rg_rowmap instance_map = RG_ROWMAP(instance_members, struct instance_row, RG_F_INSTANCE_ARN);

static enum rg_err read_genesis(struct rg_txn *txn, struct rg_trust *trust)
{
    const struct rg_rowkey genesis = rg_rowkey_trust('g', rg_span(NULL, 0)), clock = rg_rowkey_trust('c', rg_span(NULL, 0));
    struct genesis_row row;
    struct rg_signed said;
    struct rg_span bytes;
    enum rg_err err = rg_rowmap_get(&genesis_map, txn, &genesis, &row);

    RG_ASSERT(trust->level >= 2);
    if (err)
        return err == RG_ENOTFOUND ? RG_ECORRUPT : err;
    if (rg_signed_decode(row.statement, &said) != RG_OK || row.root.n != RG_ES256_SPKI_BYTES)
        return RG_ECORRUPT;
    trust->statement = row.statement;
    trust->root = row.root;
    trust->version = row.version;
    rg_statement_hash(said.statement, trust->genesis);
    err = rg_row_get(txn, rg_rowkey_span(&clock), &bytes);
    if (!err)
        trust->clock_ms = (int64_t)rg_tlv_u64(bytes, RG_F_AT_MS, 0);
    RG_ASSERT(trust->root.n > 0);
    return err == RG_ENOTFOUND ? RG_ECORRUPT : err;
}

enum rg_err rg_trust_get(struct rg_txn *txn, struct rg_trust *ret_trust)
{
    const struct rg_rowkey key = rg_rowkey_table(RG_T_INSTANCE);
    struct rg_trust trust = {.level = 1};
    struct instance_row row;
    enum rg_err err = rg_rowmap_get(&instance_map, txn, &key, &row);

    RG_ASSERT(key.n == 1);
    if (err)
        return err;
    trust.cluster = row.cluster;
    if (row.level >= 2) {
        trust.level = 2;
        err = read_genesis(txn, &trust);
    }
    RG_ASSERT(err || trust.level == 2 || trust.root.n == 0);
    if (!err)
        *ret_trust = trust;
    return err;
}

static const struct rg_row_member operator_members[] = {
    [RG_F_VERSION] = RG_ROW(struct rg_operator, version),
    [RG_F_NAME] = RG_ROW(struct rg_operator, name),
    [RG_F_STATUS] = RG_ROW(struct rg_operator, status),
    [RG_F_EXPIRES_MS] = RG_ROW(struct rg_operator, expires_ms),
    [RG_F_STATEMENT] = RG_ROW(struct rg_operator, statement),
    [RG_F_PUBLIC_KEY] = RG_ROW(struct rg_operator, public_key),
    [RG_F_ROLES] = RG_ROW(struct rg_operator, roles),
    [RG_F_ENDING] = RG_ROW(struct rg_operator, ending),
};
static const struct rg_rowmap operator_map =
    RG_ROWMAP(operator_members, struct rg_operator, RG_F_NAME, RG_F_STATUS, RG_F_STATEMENT, RG_F_PUBLIC_KEY, RG_F_ROLES);

enum rg_err rg_operator_get(struct rg_txn *txn, const uint8_t key_sha256[32], struct rg_operator *ret_operator)
{
    const struct rg_rowkey key = rg_rowkey_trust('o', rg_span(key_sha256, RG_SHA256_BYTES));

    RG_ASSERT(key.n == 2 + RG_SHA256_BYTES);
    RG_ASSERT(key.b[0] == RG_T_TRUST);
    return rg_rowmap_get(&operator_map, txn, &key, ret_operator);
}

enum rg_err rg_operator_list(struct rg_txn *txn, struct rg_scan *scan)
{
    const struct rg_rowkey prefix = rg_rowkey_trust('o', rg_span(NULL, 0));

    RG_ASSERT(prefix.n == 2);
    RG_ASSERT(prefix.b[0] == RG_T_TRUST);
    return rg_rowkey_scan(txn, &prefix, NULL, scan);
}

enum rg_err rg_operator_next(struct rg_scan *scan, struct rg_operator *ret_operator)
{
    RG_ASSERT(scan->prefix_len == 2);
    RG_ASSERT(scan->prefix[1] == 'o');
    return rg_rowmap_next(&operator_map, scan, ret_operator);
}

bool rg_operator_active(const struct rg_operator *op)
{
    RG_ASSERT(op->status.p != NULL); /* read from a row, that has both */
    RG_ASSERT(op->public_key.p != NULL);
    return rg_span_is(op->status, "ACTIVE");
}

/* --- what a GENESIS finds --- */

static bool is_setting(struct rg_span key)
{
    struct rg_span name = rg_span(key.p + 1, key.n - 1);

    RG_ASSERT(key.n >= 1);
    RG_ASSERT(key.p[0] == RG_T_SETTING);
    return rg_span_is(name, "durability") || rg_span_is(name, "lease");
}

static bool is_admin(struct rg_span row)
{
    struct rg_span role;

    _Static_assert(RG_F_ROLE >= RG_F_ID, "a credential's own");
    RG_ASSERT(row.p != NULL || row.n == 0);
    return rg_tlv_get(row, RG_F_ROLE, &role) && rg_span_is(role, "admin");
}

enum { PARTS_MAX = 5 };

/* Of a node: where it is, where it answers, whose key was let in, and which key it is. What else its row has changes by itself. */
static void node_parts(struct rg_span row, struct rg_span parts[PARTS_MAX])
{
    (void)rg_tlv_get(row, RG_F_NAME, &parts[0]);
    (void)rg_tlv_get(row, RG_F_LINK, &parts[1]);
    (void)rg_tlv_get(row, RG_F_URL, &parts[2]);
    (void)rg_tlv_get(row, RG_F_ADMITTED, &parts[3]);
    (void)rg_tlv_get(row, RG_F_PIN, &parts[4]);
    RG_ASSERT(parts[0].n <= row.n);
    RG_ASSERT(parts[1].n <= row.n);
}

bool rg_trust_kept_row(struct rg_span key, struct rg_span row, uint8_t ret_kept[RG_KEPT_BYTES])
{
    struct rg_span parts[PARTS_MAX] = {{NULL, 0}};
    uint8_t memory[1024], digest[RG_SHA256_BYTES];
    struct rg_buf head;

    RG_ASSERT(key.n >= 1);
    RG_ASSERT(row.p != NULL || row.n == 0);
    if (key.n > RG_KEY_BYTES_MAX)
        return false;
    switch (key.p[0]) {
    case RG_T_SETTING:
        if (!is_setting(key))
            return false;
        parts[0] = row;
        break;
    case RG_T_CREDENTIAL:
        if (!is_admin(row))
            return false;
        parts[0] = row;
        break;
    case RG_T_NODE:
        node_parts(row, parts);
        break;
    case RG_T_REGION:
        break;
    default:
        return false;
    }
    rg_buf_init_over(&head, memory, sizeof memory);
    rg_tlv_put(&head, 1, key);
    for (size_t i = 0; i < RG_LEN(parts); i++) /* lengths first, so that no two rows make the same text */
        rg_buf_put_u32(&head, (uint32_t)parts[i].n);
    RG_ASSERT(head.err == RG_OK);
    {
        const struct rg_span all[] = {rg_buf_span(&head), parts[0], parts[1], parts[2], parts[3], parts[4]};

        rg_sha256_v(all, RG_LEN(all), digest);
    }
    memcpy(ret_kept, digest, RG_KEPT_BYTES);
    return true;
}

static enum rg_err collect(struct rg_txn *txn, enum rg_table table, struct rg_buf *out)
{
    const struct rg_rowkey prefix = rg_rowkey_table(table);
    RG_AUTO_SCAN struct rg_scan scan = {0};
    uint8_t kept[RG_KEPT_BYTES];
    struct rg_span key, row;
    enum rg_err err = rg_rowkey_scan(txn, &prefix, NULL, &scan);

    RG_ASSERT(prefix.n == 1);
    RG_ASSERT(out->len % RG_KEPT_BYTES == 0);
    while (!err && (err = rg_scan_next(&scan, &key, &row)) == RG_OK)
        if (rg_trust_kept_row(key, row, kept)) {
            if (out->len >= (size_t)RG_KEPT_MAX * RG_KEPT_BYTES)
                return RG_ETOOBIG;
            rg_buf_put(out, kept, sizeof kept);
        }
    return err == RG_ENOTFOUND ? out->err : err;
}

static int compare(const void *a, const void *b) { return memcmp(a, b, RG_KEPT_BYTES); }

enum rg_err rg_trust_kept(struct rg_txn *txn, struct rg_buf *out)
{
    static const enum rg_table tables[] = {RG_T_CREDENTIAL, RG_T_SETTING, RG_T_NODE, RG_T_REGION};
    enum rg_err err = RG_OK;

    RG_ASSERT(out->len == 0);
    _Static_assert(RG_KEPT_MAX * (RG_KEPT_BYTES + 2) < RG_STATEMENT_FIELDS_BYTES_MAX - 512, "they fit into a statement, with its keys");
    for (size_t i = 0; !err && i < RG_LEN(tables); i++)
        err = collect(txn, tables[i], out);
    if (!err && out->len > 0)
        qsort(out->data, out->len / RG_KEPT_BYTES, RG_KEPT_BYTES, compare);
    RG_ASSERT(err || out->len % RG_KEPT_BYTES == 0);
    return err;
}
