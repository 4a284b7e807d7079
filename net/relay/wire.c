#include "net/relay/wire.h"

#include <stdio.h>

#include "base/tlv.h"
#include "net/http/http1.h"

enum {
    F_METHOD = 1, F_PATH = 2, F_QUERY = 3, F_AUTHORITY = 4, F_NAME = 5, F_VALUE = 6, F_BODY = 7, F_PEER = 8,
    F_STATUS = 9, F_TYPE = 10, F_WHY = 11,
    METHOD_BYTES_MAX = 16,
};

/* ---- what may stand where ---- */

static bool is_visible(struct rg_span text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] < 0x21 || text.p[i] > 0x7e)
            return false;
    return true;
}

static bool is_method(struct rg_span text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] < 'A' || text.p[i] > 'Z')
            return false;
    return text.n > 0 && text.n <= METHOD_BYTES_MAX;
}

static bool is_name(struct rg_span text)
{
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL)))
            return false;
    }
    return text.n > 0;
}

static bool is_value(struct rg_span text)
{
    for (size_t i = 0; i < text.n; i++)
        if ((text.p[i] < 0x20 && text.p[i] != '\t') || text.p[i] == 0x7f)
            return false;
    return true;
}

static bool has(struct rg_span text, char c) { return text.n > 0 && memchr(text.p, c, text.n) != NULL; }

static bool is_path(struct rg_span path)
{
    return path.n > 0 && path.p[0] == '/' && is_visible(path) && !has(path, '?') && !has(path, '#') && rg_http_path_plain(path);
}

/* ---- writing ---- */

static void put_head(struct rg_buf *out, enum rg_relay_type type, uint64_t number)
{
    RG_ASSERT(out->len == 0); /* so the number is where it is looked for */
    rg_buf_put_u8(out, type);
    rg_buf_put_u64(out, number);
}

static void put_headers(struct rg_buf *out, const struct rg_http_header *headers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        rg_tlv_put(out, F_NAME, headers[i].name);
        rg_tlv_put(out, F_VALUE, headers[i].value);
    }
}

enum rg_err rg_relay_put_request(const struct rg_request *req, struct rg_buf *out)
{
    put_head(out, RG_RELAY_REQUEST, 0);
    rg_tlv_put(out, F_METHOD, req->method);
    rg_tlv_put(out, F_PATH, req->path);
    rg_tlv_put(out, F_QUERY, req->query);
    rg_tlv_put(out, F_AUTHORITY, req->authority);
    rg_tlv_put_str(out, F_PEER, req->peer);
    put_headers(out, req->headers, req->n_headers);
    rg_tlv_put(out, F_BODY, req->body);
    return out->err;
}

enum rg_err rg_relay_put_answer(uint64_t number, const struct rg_http_reply *reply, struct rg_buf *out)
{
    RG_ASSERT(number != 0);
    if (reply->n_headers > RG_RELAY_HEADERS_MAX)
        return RG_EINVALID;
    put_head(out, RG_RELAY_ANSWER, number);
    rg_tlv_put_u64(out, F_STATUS, (uint64_t)reply->status);
    if (reply->content_type != NULL)
        rg_tlv_put_str(out, F_TYPE, reply->content_type);
    put_headers(out, reply->headers, reply->n_headers);
    rg_tlv_put(out, F_BODY, reply->body);
    return out->err;
}

enum rg_err rg_relay_put_refusal(uint64_t number, enum rg_err err, struct rg_buf *out)
{
    RG_ASSERT(number != 0 && err != RG_OK);
    put_head(out, RG_RELAY_REFUSAL, number);
    rg_tlv_put_str(out, F_WHY, rg_err_symbol(err));
    return out->err;
}

/* ---- reading ---- */

enum rg_err rg_relay_decode(struct rg_span message, enum rg_relay_type *ret_type, uint64_t *ret_number, struct rg_span *ret_fields)
{
    struct rg_cursor cur;
    uint64_t number;
    uint8_t type;

    if (message.n > RG_RELAY_FRAME_BYTES_MAX)
        return RG_EMALFORMED;
    rg_cursor_init(&cur, message);
    type = rg_cursor_u8(&cur);
    number = rg_cursor_u64(&cur);
    if (cur.bad || type < RG_RELAY_REQUEST || type > RG_RELAY_REFUSAL || number == 0)
        return RG_EMALFORMED;
    *ret_type = (enum rg_relay_type)type;
    *ret_number = number;
    *ret_fields = rg_cursor_bytes(&cur, rg_cursor_left(&cur));
    return RG_OK;
}

/* Headers as they come: a name, then its value. */
struct header_list {
    struct rg_http_header *headers;
    size_t n, max, bytes;
    bool named; /* a value is due */
};

static enum rg_err take_header(struct header_list *list, const struct rg_tlv *field)
{
    bool name = field->field == F_NAME;

    if (name == list->named || !(name ? is_name(field->value) : is_value(field->value)))
        return RG_EMALFORMED;
    list->bytes += field->value.n;
    if (list->n == list->max || list->bytes > RG_HTTP_HEAD_BYTES_MAX)
        return RG_ETOOBIG;
    if (name)
        list->headers[list->n].name = field->value;
    else
        list->headers[list->n++].value = field->value;
    list->named = name;
    return RG_OK;
}

/* A field that stands once. */
static bool take_once(struct rg_span *to, struct rg_span value)
{
    if (to->p != NULL)
        return false;
    *to = rg_span(value.p != NULL ? value.p : (const uint8_t *)"", value.n);
    return true;
}

enum rg_err rg_relay_get_request(struct rg_span fields, struct rg_request *ret_req)
{
    struct rg_span method = {0}, path = {0}, query = {0}, authority = {0}, body = {0}, peer = {0};
    struct header_list list = {.headers = ret_req->headers, .max = RG_HTTP_HEADERS_MAX};
    struct rg_span *const once[] = {
        [F_METHOD] = &method, [F_PATH] = &path, [F_QUERY] = &query, [F_AUTHORITY] = &authority, [F_BODY] = &body, [F_PEER] = &peer};
    enum rg_err err = RG_OK;
    struct rg_cursor cur;
    struct rg_tlv field;

    rg_cursor_init(&cur, fields);
    while (!err && rg_tlv_next(&cur, &field)) {
        if (field.field == F_NAME || field.field == F_VALUE)
            err = take_header(&list, &field);
        else if (field.field < RG_LEN(once) && once[field.field] != NULL && !take_once(once[field.field], field.value))
            err = RG_EMALFORMED;
    }
    if (err)
        return err;
    if (cur.bad || list.named || !is_method(method) || !is_path(path) || !is_visible(query) || has(query, '#') || !is_visible(authority))
        return RG_EMALFORMED;
    if (path.n + query.n + authority.n > RG_HTTP_HEAD_BYTES_MAX || body.n > RG_HTTP_BODY_BYTES_MAX)
        return RG_ETOOBIG;
    ret_req->method = method;
    ret_req->path = path;
    ret_req->query = query.n > 0 ? query : rg_span(NULL, 0);
    ret_req->authority = authority;
    ret_req->n_headers = list.n;
    ret_req->body = body;
    snprintf(ret_req->peer, sizeof ret_req->peer, "%.*s", is_visible(peer) ? (int)RG_MIN(peer.n, sizeof ret_req->peer - 1) : 0,
             peer.p != NULL ? (const char *)peer.p : "");
    return RG_OK;
}

static bool take_type(char to[64], struct rg_span text)
{
    if (to[0] != '\0' || text.n == 0 || text.n >= 64 || !is_value(text))
        return false;
    memcpy(to, text.p, text.n);
    to[text.n] = '\0';
    return true;
}

enum rg_err rg_relay_get_answer(struct rg_span fields, struct rg_relay_answer *ret_answer)
{
    struct header_list list = {.headers = ret_answer->headers, .max = RG_RELAY_HEADERS_MAX};
    enum rg_err err = RG_OK;
    uint64_t status = 0;
    struct rg_cursor cur;
    struct rg_tlv field;

    ret_answer->content_type[0] = '\0';
    ret_answer->body = rg_span(NULL, 0);
    rg_cursor_init(&cur, fields);
    while (!err && rg_tlv_next(&cur, &field)) {
        if (field.field == F_NAME || field.field == F_VALUE)
            err = take_header(&list, &field);
        else if (field.field == F_STATUS && (status != 0 || !rg_tlv_number(field.value, &status)))
            err = RG_EMALFORMED;
        else if (field.field == F_TYPE && !take_type(ret_answer->content_type, field.value))
            err = RG_EMALFORMED;
        else if (field.field == F_BODY && !take_once(&ret_answer->body, field.value))
            err = RG_EMALFORMED;
    }
    if (err)
        return err;
    if (cur.bad || list.named || status < 200 || status > 599)
        return RG_EMALFORMED;
    ret_answer->status = (int)status;
    ret_answer->n_headers = list.n;
    return RG_OK;
}

enum rg_err rg_relay_get_refusal(struct rg_span fields)
{
    struct rg_span why;

    if (rg_tlv_get(fields, F_WHY, &why))
        for (enum rg_err err = RG_OK + 1; err < RG_ERR_COUNT; err++)
            if (rg_span_is(why, rg_err_symbol(err)))
                return err;
    return RG_EPEER;
}
