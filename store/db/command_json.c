#include "store/db/command_json.h"

#include <stdio.h>

#include "base/json.h"
#include "store/db/attrs.h"
#include "store/db/command.h"

enum { HEX_BYTES_MAX = 4096, NESTED_MAX = 2, JSON_DEPTH_MAX = 1000 };
_Static_assert(JSON_DEPTH_MAX + NESTED_MAX + 8 < JSON_PARSER_MAX_DEPTH, "what is shown can be read again, inside of an answer too");

_Static_assert(2 * HEX_BYTES_MAX < RG_CMD_BYTES_MAX, "what cannot be read is shown by less than what can");

enum form {
    FORM_TEXT,
    FORM_TEXTS, /* repeats */
    FORM_NUMBER,
    FORM_TIME,
    FORM_ID,    /* UUID, or a permission set's 8 bytes */
    FORM_HEX,
    FORM_SIZE,  /* sealed: its size alone */
    FORM_ATTRS,
    FORM_PTYPE,
    FORM_FLAG,
    FORM_PAIRS,  /* two texts with 0x00 between; repeats */
    FORM_NESTED, /* repeats */
};

static const struct known {
    uint32_t field;
    const char *name; /* NULL: an object's head, or never shown by name */
    enum form form;
    const char *first, *second; /* of a pair */
} known[] = {
#define FORM_PAIR(first, second) FORM_PAIRS, first, second
#define KNOWN(name, number, json, form) {RG_F_##name, json, FORM_##form},
    RG_FIELD_MAP(KNOWN)
#undef KNOWN
#undef FORM_PAIR
};

/* --- values: each NULL without memory --- */

static json_t *hex_text(struct rg_span bytes)
{
    RG_AUTO_MEM char *text = malloc(2 * bytes.n + 1);

    RG_ASSERT(bytes.p != NULL || bytes.n == 0);
    RG_ASSERT(bytes.n <= RG_CMD_BYTES_MAX);
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

    RG_ASSERT(bytes.p != NULL || bytes.n == 0);
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

    RG_ASSERT(form == FORM_NUMBER || form == FORM_TIME || form == FORM_FLAG);
    if (!rg_tlv_number(bytes, &v))
        return hex_object(bytes);
    if (form == FORM_FLAG)
        return v <= 1 ? json_boolean(v) : json_integer((json_int_t)RG_MIN(v, (uint64_t)INT64_MAX));
    if (form == FORM_TIME) {
        (void)rg_time_format(text, (int64_t)v);
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

    _Static_assert(sizeof text >= 3 + 2 * 8 + 1, "ps- and 16 digits");
    RG_ASSERT(bytes.p != NULL || bytes.n == 0);
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

    RG_ASSERT(k->form == FORM_PAIRS);
    RG_ASSERT(k->first != NULL);
    RG_ASSERT(k->second != NULL);
    RG_ASSERT(zero == NULL || n < bytes.n);
    if (zero == NULL)
        return text_value(bytes);
    return json_pack("{s:o,s:o}", k->first, text_value(rg_span(bytes.p, n)), k->second,
                     text_value(rg_span(zero + 1, bytes.n - n - 1)));
}

/* What a reader with the same limit could not read back inside of our object stays a text. */
static bool deeper_than(struct rg_span bytes, unsigned max)
{
    unsigned depth = 0;

    RG_ASSERT(max > 0);
    RG_ASSERT(bytes.p != NULL || bytes.n == 0);
    for (size_t i = 0; i < bytes.n; i++) {
        if ((bytes.p[i] == '[' || bytes.p[i] == '{') && ++depth > max)
            return true;
        if ((bytes.p[i] == ']' || bytes.p[i] == '}') && depth > 0)
            depth--;
    }
    return false;
}

/* Attributes, under AWS's names whatever they rest under. */
static json_t *attrs_value(struct rg_span bytes)
{
    RG_AUTO_BUF struct rg_buf worded = {.max = 0};
    json_t *value = NULL;

    RG_ASSERT(bytes.n <= RG_CMD_BYTES_MAX);
    rg_buf_init(&worded, 2 * RG_CMD_BYTES_MAX);
    rg_attrs_put_object(&worded, bytes, RG_ATTRS_AWS);
    if (worded.err)
        return NULL;
    if (!deeper_than(rg_buf_span(&worded), JSON_DEPTH_MAX))
        value = rg_json_parse(rg_buf_span(&worded), NULL);
    return value != NULL ? value : text_value(bytes);
}

static json_t *ptype_value(struct rg_span bytes)
{
    RG_ASSERT(bytes.p != NULL || bytes.n == 0);
    if (rg_span_is(bytes, "G"))
        return json_string("GROUP");
    return rg_span_is(bytes, "U") ? json_string("USER") : text_value(bytes);
}

static json_t *record_value(struct rg_span bytes, unsigned depth);

static json_t *field_value(const struct known *k, struct rg_span bytes, unsigned depth)
{
    RG_ASSERT(depth <= NESTED_MAX);
    RG_ASSERT(k == NULL || k->name != NULL);
    if (k == NULL)
        return hex_object(bytes);
    switch (k->form) {
    case FORM_TEXT:
    case FORM_TEXTS:
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
    case FORM_ATTRS:
        return attrs_value(bytes);
    case FORM_PTYPE:
        return ptype_value(bytes);
    case FORM_PAIRS:
        return pair_value(k, bytes);
    case FORM_NESTED:
        return record_value(bytes, depth + 1);
    }
    return NULL;
}

/* --- objects --- */

static const struct known *find(uint32_t field)
{
    RG_ASSERT(field >= 1);
    for (size_t i = 0; i < RG_LEN(known); i++)
        if (known[i].field == field && known[i].name != NULL)
            return &known[i];
    return NULL;
}

static bool repeats(const struct known *k)
{
    RG_ASSERT(k == NULL || k->name != NULL);
    return k != NULL && (k->form == FORM_TEXTS || k->form == FORM_PAIRS || k->form == FORM_NESTED);
}

/* A second value makes an array, whatever the field: nothing that is there is left out. */
static bool add(json_t *object, const char *name, bool array_always, json_t *value)
{
    json_t *there = json_object_get(object, name), *array;

    RG_ASSERT(json_is_object(object));
    RG_ASSERT(name[0] != '\0');
    if (value == NULL)
        return false;
    if (there != NULL && json_is_array(there))
        return json_array_append_new(there, value) == 0;
    if (there == NULL && !array_always)
        return json_object_set_new(object, name, value) == 0;
    array = json_array();
    if (array == NULL || (there != NULL && json_array_append(array, there) != 0)) {
        json_decref(array);
        json_decref(value);
        return false;
    }
    if (json_array_append_new(array, value) != 0) {
        json_decref(array);
        return false;
    }
    return json_object_set_new(object, name, array) == 0;
}

/* KIND is the object's head already. A row's attributes may be an array: such a field holds one value only. */
static bool add_field(json_t *object, const struct rg_tlv *tlv, unsigned depth)
{
    const struct known *k = find(tlv->field);
    char unknown[24];

    RG_ASSERT(tlv->field >= 1);
    RG_ASSERT(depth <= NESTED_MAX);
    if (tlv->field == RG_F_KIND && depth == 0)
        return true;
    if (k != NULL && k->form == FORM_ATTRS && json_object_get(object, k->name) != NULL)
        return true;
    _Static_assert(sizeof unknown >= sizeof "field" + RG_DIGITS_MAX - 10, "any 32-bit number");
    snprintf(unknown, sizeof unknown, "field%u", tlv->field);
    return add(object, k != NULL ? k->name : unknown, repeats(k), field_value(k, tlv->value, depth));
}

static bool add_fields(json_t *object, struct rg_span bytes, unsigned depth)
{
    struct rg_cursor cur;
    struct rg_tlv tlv;

    RG_ASSERT(json_is_object(object));
    RG_ASSERT(depth <= NESTED_MAX);
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

    RG_ASSERT(depth >= 1);
    RG_ASSERT(depth <= NESTED_MAX);
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

    RG_ASSERT(bytes.p != NULL || bytes.n == 0);
    if (rg_cmd_decode(bytes, &cmd) != RG_OK)
        return json_pack("{s:s,s:b,s:o}", "kind", "?", "malformed", 1, "hex",
                         hex_text(rg_span(bytes.p, RG_MIN(bytes.n, (size_t)HEX_BYTES_MAX))));
    RG_ASSERT(bytes.n <= RG_CMD_BYTES_MAX);
    name = rg_cmd_kind_name(cmd.kind);
    object = json_pack("{s:s}", "kind", name);
    if (object == NULL || (name[0] == '?' && json_object_set_new(object, "kindNumber", json_integer(cmd.kind)) != 0) ||
        !add_fields(object, bytes, 0)) {
        json_decref(object);
        return NULL;
    }
    return object;
}
