#include "store/db/command_json.h"

#include <stdio.h>
#include <time.h>

#include "store/db/command.h"

enum { HEX_BYTES_MAX = 4096, NESTED_MAX = 2, JSON_DEPTH_MAX = 1000 };

enum form {
    FORM_TEXT,
    FORM_NUMBER,
    FORM_TIME,
    FORM_ID,    /* UUID, or a permission set's 8 bytes */
    FORM_HEX,
    FORM_SIZE,  /* sealed: its size alone */
    FORM_JSON,
    FORM_PTYPE,
    FORM_FLAG,
    FORM_PAIR,  /* two texts with 0x00 between */
    FORM_NESTED,
};

static const struct known {
    uint32_t field;
    const char *name;
    enum form form;
    bool repeats;
    const char *first, *second; /* of a pair */
} known[] = {
    {RG_F_AT_MS, "at", FORM_TIME},
    {RG_F_BY, "by", FORM_TEXT},
    {RG_F_REQUEST_ID, "requestId", FORM_ID},
    {RG_F_IF_VERSION, "ifVersion", FORM_NUMBER},
    {RG_F_VERSION, "version", FORM_NUMBER},
    {RG_F_CREATED_MS, "createdAt", FORM_TIME},
    {RG_F_CREATED_BY, "createdBy", FORM_TEXT},
    {RG_F_UPDATED_MS, "updatedAt", FORM_TIME},
    {RG_F_UPDATED_BY, "updatedBy", FORM_TEXT},
    {RG_F_ID, "id", FORM_ID},
    {RG_F_NAME, "name", FORM_TEXT},
    {RG_F_DISPLAY_NAME, "displayName", FORM_TEXT},
    {RG_F_DESCRIPTION, "description", FORM_TEXT},
    {RG_F_STATUS, "status", FORM_TEXT},
    {RG_F_EMAIL, "email", FORM_TEXT},
    {RG_F_EXTERNAL_ID, "externalIds", FORM_PAIR, true, "issuer", "id"},
    {RG_F_ATTRS, "attributes", FORM_JSON},
    {RG_F_GROUP_ID, "groupId", FORM_ID},
    {RG_F_USER_ID, "userId", FORM_ID},
    {RG_F_MEMBERSHIP_ID, "membershipId", FORM_ID},
    {RG_F_ACCOUNT_ID, "accountId", FORM_TEXT},
    {RG_F_PERMSET_ID, "permissionSetId", FORM_ID},
    {RG_F_PRINCIPAL_TYPE, "principalType", FORM_PTYPE},
    {RG_F_PRINCIPAL_ID, "principalId", FORM_ID},
    {RG_F_SESSION_DURATION, "sessionDuration", FORM_TEXT},
    {RG_F_RELAY_STATE, "relayState", FORM_TEXT},
    {RG_F_MANAGED_POLICY, "managedPolicies", FORM_TEXT, true},
    {RG_F_INLINE_POLICY, "inlinePolicy", FORM_TEXT},
    {RG_F_TAG, "tags", FORM_PAIR, true, "key", "value"},
    {RG_F_REASON, "reason", FORM_TEXT},
    {RG_F_BOUNDARY, "permissionsBoundary", FORM_TEXT},
    {RG_F_CUSTOMER_POLICY, "customerPolicies", FORM_PAIR, true, "name", "path"},
    {RG_F_INSTANCE_ARN, "instanceArn", FORM_TEXT},
    {RG_F_IDENTITY_STORE_ID, "identityStoreId", FORM_TEXT},
    {RG_F_OWNER_ACCOUNT_ID, "ownerAccountId", FORM_TEXT},
    {RG_F_KEY_ID, "keyId", FORM_TEXT},
    {RG_F_REGION, "regions", FORM_NESTED, true},
    {RG_F_PRIMARY, "primary", FORM_FLAG},
    {RG_F_URL, "url", FORM_TEXT},
    {RG_F_ACCESS_KEY_ID, "accessKeyId", FORM_TEXT},
    {RG_F_SECRET_SEALED, "secretSealed", FORM_SIZE},
    {RG_F_TOKEN_SHA256, "tokenSha256", FORM_HEX},
    {RG_F_CREDENTIAL, "credentials", FORM_NESTED, true},
    {RG_F_ROLE, "role", FORM_TEXT},
    {RG_F_NODE_ID, "nodeId", FORM_NUMBER},
    {RG_F_LINK, "link", FORM_TEXT},
    {RG_F_EXPIRES_MS, "expires", FORM_TIME},
    {RG_F_CERT, "certificate", FORM_HEX},
    {RG_F_PHASE, "phase", FORM_TEXT},
    {RG_F_ERROR, "error", FORM_TEXT},
    {RG_F_OWNER, "owner", FORM_TEXT},
    {RG_F_OLD_NODE_ID, "oldNodeId", FORM_NUMBER},
    {RG_F_REJOIN, "rejoin", FORM_FLAG},
    {RG_F_REGIONS, "otherRegions", FORM_NUMBER},
    {RG_F_ON_SHORTAGE, "onShortage", FORM_TEXT},
    {RG_F_LEASE_MS, "leaseMs", FORM_NUMBER},
    {RG_F_DEGRADED, "regionsReachable", FORM_NUMBER},
    {RG_F_EPOCH, "epoch", FORM_NUMBER},
    {RG_F_FIRST_INDEX, "firstIndex", FORM_NUMBER},
    {RG_F_DECLARED_BY, "declaredBy", FORM_TEXT},
};

size_t rg_time_text(char out[RG_TIME_TEXT_MAX], int64_t ms)
{
    int64_t rest = ms % 1000, seconds = ms / 1000;
    time_t t;
    struct tm tm;
    int n;

    if (rest < 0) {
        rest += 1000;
        seconds--;
    }
    t = (time_t)seconds;
    if (gmtime_r(&t, &tm) == NULL || tm.tm_year < -1900 || tm.tm_year > 9999 - 1900)
        n = snprintf(out, RG_TIME_TEXT_MAX, "%lld", (long long)ms);
    else
        n = snprintf(out, RG_TIME_TEXT_MAX, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", (unsigned)(tm.tm_year + 1900) % 10000u,
                     (unsigned)(tm.tm_mon + 1) % 100u, (unsigned)tm.tm_mday % 100u, (unsigned)tm.tm_hour % 100u,
                     (unsigned)tm.tm_min % 100u, (unsigned)tm.tm_sec % 100u, (unsigned)rest % 1000u);
    return (size_t)n;
}

/* --- values: each NULL without memory --- */

static json_t *hex_text(struct rg_span bytes)
{
    RG_AUTO_MEM char *text = malloc(2 * bytes.n + 1);

    if (text == NULL)
        return NULL;
    rg_hex(text, bytes.p, bytes.n);
    return json_stringn(text, 2 * bytes.n);
}

static json_t *hex_object(struct rg_span bytes)
{
    return json_pack("{s:o}", "hex", hex_text(bytes));
}

/* jansson refuses what is not UTF-8; 0x00 would need a reader of its own. */
static json_t *text_value(struct rg_span bytes)
{
    json_t *text = NULL;

    if (bytes.n == 0)
        return json_string("");
    if (memchr(bytes.p, 0, bytes.n) == NULL)
        text = json_stringn((const char *)bytes.p, bytes.n);
    return text != NULL ? text : hex_object(bytes);
}

static json_t *number_value(struct rg_span bytes, enum form form)
{
    char text[RG_TIME_TEXT_MAX];
    uint64_t v;

    if (!rg_tlv_number(bytes, &v))
        return hex_object(bytes);
    if (form == FORM_FLAG)
        return v <= 1 ? json_boolean(v) : json_integer((json_int_t)RG_MIN(v, (uint64_t)INT64_MAX));
    if (form == FORM_TIME) {
        (void)rg_time_text(text, (int64_t)v);
        return json_string(text);
    }
    if (v <= INT64_MAX)
        return json_integer((json_int_t)v);
    snprintf(text, sizeof text, "%llu", (unsigned long long)v);
    return json_string(text);
}

static json_t *id_value(struct rg_span bytes)
{
    char text[RG_UUID_TEXT_MAX] = "ps-";
    struct rg_uuid id;

    if (bytes.n == 8) {
        rg_hex(text + 3, bytes.p, 8);
        return json_string(text);
    }
    if (bytes.n != sizeof id.b)
        return hex_object(bytes);
    memcpy(id.b, bytes.p, sizeof id.b);
    rg_uuid_format(text, &id);
    return json_string(text);
}

static json_t *pair_value(const struct known *k, struct rg_span bytes)
{
    const uint8_t *zero = bytes.n > 0 ? memchr(bytes.p, 0, bytes.n) : NULL;
    size_t n = zero != NULL ? (size_t)(zero - bytes.p) : 0;

    if (zero == NULL)
        return text_value(bytes);
    return json_pack("{s:o,s:o}", k->first, text_value(rg_span(bytes.p, n)), k->second,
                     text_value(rg_span(zero + 1, bytes.n - n - 1)));
}

/* What a reader with the same limit could not read back inside of our object stays a text. */
static bool deeper_than(struct rg_span bytes, unsigned max)
{
    unsigned depth = 0;

    for (size_t i = 0; i < bytes.n; i++) {
        if ((bytes.p[i] == '[' || bytes.p[i] == '{') && ++depth > max)
            return true;
        if ((bytes.p[i] == ']' || bytes.p[i] == '}') && depth > 0)
            depth--;
    }
    return false;
}

static json_t *json_value(struct rg_span bytes)
{
    json_t *value = deeper_than(bytes, JSON_DEPTH_MAX)
                        ? NULL
                        : json_loadb((const char *)bytes.p, bytes.n, JSON_REJECT_DUPLICATES, NULL);

    return value != NULL ? value : text_value(bytes);
}

static json_t *ptype_value(struct rg_span bytes)
{
    if (rg_span_is(bytes, "G"))
        return json_string("GROUP");
    return rg_span_is(bytes, "U") ? json_string("USER") : text_value(bytes);
}

static json_t *record_value(struct rg_span bytes, unsigned depth);

static json_t *field_value(const struct known *k, struct rg_span bytes, unsigned depth)
{
    if (k == NULL)
        return hex_object(bytes);
    switch (k->form) {
    case FORM_TEXT:
        return text_value(bytes);
    case FORM_NUMBER:
    case FORM_TIME:
    case FORM_FLAG:
        return number_value(bytes, k->form);
    case FORM_ID:
        return id_value(bytes);
    case FORM_HEX:
        return hex_text(bytes);
    case FORM_SIZE:
        return json_pack("{s:I}", "bytes", (json_int_t)bytes.n);
    case FORM_JSON:
        return json_value(bytes);
    case FORM_PTYPE:
        return ptype_value(bytes);
    case FORM_PAIR:
        return pair_value(k, bytes);
    case FORM_NESTED:
        return record_value(bytes, depth + 1);
    }
    return NULL;
}

/* --- objects --- */

static const struct known *find(uint32_t field)
{
    for (size_t i = 0; i < RG_LEN(known); i++)
        if (known[i].field == field)
            return &known[i];
    return NULL;
}

/* A second value makes an array, whatever the field: nothing that is there is left out. */
static bool add(json_t *object, const char *name, bool repeats, json_t *value)
{
    json_t *there = json_object_get(object, name), *array;

    if (value == NULL)
        return false;
    if (there != NULL && json_is_array(there))
        return json_array_append_new(there, value) == 0;
    if (there == NULL && !repeats)
        return json_object_set_new(object, name, value) == 0;
    array = json_array();
    if (array == NULL || (there != NULL && json_array_append(array, there) != 0)) {
        json_decref(array);
        json_decref(value);
        return false;
    }
    return json_array_append_new(array, value) == 0 ? json_object_set_new(object, name, array) == 0
                                                    : (json_decref(array), false);
}

/* KIND is the object's head already. A row's attributes may be an array: such a field holds one value only. */
static bool add_field(json_t *object, const struct rg_tlv *tlv, unsigned depth)
{
    const struct known *k = find(tlv->field);
    char unknown[24];

    if (tlv->field == RG_F_KIND && depth == 0)
        return true;
    if (k != NULL && k->form == FORM_JSON && json_object_get(object, k->name) != NULL)
        return true;
    snprintf(unknown, sizeof unknown, "field%u", tlv->field);
    return add(object, k != NULL ? k->name : unknown, k != NULL && k->repeats, field_value(k, tlv->value, depth));
}

static bool add_fields(json_t *object, struct rg_span bytes, unsigned depth)
{
    struct rg_cursor cur;
    struct rg_tlv tlv;

    rg_cursor_init(&cur, bytes);
    while (rg_tlv_next(&cur, &tlv))
        if (!add_field(object, &tlv, depth))
            return false;
    return true;
}

/* A nested record; what is none, or too deep, as bytes. */
static json_t *record_value(struct rg_span bytes, unsigned depth)
{
    json_t *object;

    if (depth >= NESTED_MAX || bytes.n == 0 || !rg_tlv_valid(bytes))
        return bytes.n > 0 && memchr(bytes.p, 0, bytes.n) == NULL && depth < NESTED_MAX ? text_value(bytes)
                                                                                      : hex_object(bytes);
    object = json_object();
    if (object == NULL || !add_fields(object, bytes, depth)) {
        json_decref(object);
        return NULL;
    }
    return object;
}

json_t *rg_command_json(struct rg_span bytes)
{
    struct rg_cmd cmd;
    json_t *object;
    const char *name;

    if (rg_cmd_decode(bytes, &cmd) != RG_OK)
        return json_pack("{s:s,s:b,s:o}", "kind", "?", "malformed", 1, "hex",
                         hex_text(rg_span(bytes.p, RG_MIN(bytes.n, (size_t)HEX_BYTES_MAX))));
    name = rg_cmd_kind_name(cmd.kind);
    object = json_pack("{s:s}", "kind", name);
    if (object == NULL || (name[0] == '?' && json_object_set_new(object, "kindNumber", json_integer(cmd.kind)) != 0) ||
        !add_fields(object, bytes, 0)) {
        json_decref(object);
        return NULL;
    }
    return object;
}
