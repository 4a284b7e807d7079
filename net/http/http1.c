#include "net/http/http1.h"

#include <strings.h>

enum { TOKEN = 1, VALUE = 2, TARGET = 4, HOST = 8, ALL = 15 };
enum { CHUNK_DIGITS_MAX = 16, LENGTH_DIGITS_MAX = 18 };

/* RFC 9110 §5.6.2 tchar; §5.5 field-content with obs-text; RFC 3986 as widely sent, without '#'; RFC 3986 §3.2.2 host */
static const uint8_t kind[256] = {
    ['\t'] = VALUE, [' '] = VALUE, ['!'] = ALL, ['"'] = VALUE | TARGET, ['#'] = TOKEN | VALUE, ['$'] = ALL,
    ['%'] = ALL, ['&'] = ALL, ['\''] = ALL, ['('] = VALUE | TARGET | HOST, [')'] = VALUE | TARGET | HOST, ['*'] = ALL,
    ['+'] = ALL, [','] = VALUE | TARGET | HOST, ['-'] = ALL, ['.'] = ALL, ['/'] = VALUE | TARGET, ['0' ... '9'] = ALL,
    [':'] = VALUE | TARGET | HOST, [';'] = VALUE | TARGET | HOST, ['<'] = VALUE | TARGET,
    ['='] = VALUE | TARGET | HOST, ['>'] = VALUE | TARGET, ['?'] = VALUE | TARGET, ['@'] = VALUE | TARGET,
    ['A' ... 'Z'] = ALL, ['['] = VALUE | TARGET | HOST, ['\\'] = VALUE | TARGET, [']'] = VALUE | TARGET | HOST,
    ['^'] = TOKEN | VALUE | TARGET, ['_'] = ALL, ['`'] = TOKEN | VALUE | TARGET, ['a' ... 'z'] = ALL,
    ['{'] = VALUE | TARGET, ['|'] = TOKEN | VALUE | TARGET, ['}'] = VALUE | TARGET, ['~'] = ALL, [0x80 ... 0xff] = VALUE,
};

static bool all_of(struct rg_span s, uint8_t want)
{
    uint8_t have = want;

    for (size_t i = 0; i < s.n; i++)
        have &= kind[s.p[i]];
    return have == want;
}

static bool is_nocase(struct rg_span s, const char *lower)
{
    return s.n == strlen(lower) && strncasecmp((const char *)s.p, lower, s.n) == 0;
}

void rg_http1_begin(struct rg_http1 *p, struct rg_message *msg)
{
    *p = (struct rg_http1){.msg = msg};
}

static enum rg_http1_event refuse(struct rg_http1 *p, int status, const char *reason)
{
    p->state = RG_HTTP1_BAD;
    p->status = status;
    p->reason = reason;
    return RG_HTTP1_REFUSED;
}

/* ---- the request line ---- */

bool rg_http_authority_ok(struct rg_span authority)
{
    return all_of(authority, HOST);
}

/* The byte at *i, of which a dot and a slash may be percent-encoded; *i is then past it. */
static uint8_t path_byte(struct rg_span path, size_t *i)
{
    uint8_t c = path.p[*i];

    if (c == '%' && path.n - *i >= 3 && path.p[*i + 1] == '2') {
        uint8_t low = path.p[*i + 2] | 0x20;

        if (low == 'e' || low == 'f') {
            *i += 3;
            return low == 'e' ? '.' : '/';
        }
    }
    (*i)++;
    return c;
}

bool rg_http_path_plain(struct rg_span path)
{
    size_t length = 0, dots = 0; /* of the segment */
    bool begun = false;          /* behind the first slash */

    for (size_t i = 0; i < path.n;) {
        uint8_t c = path_byte(path, &i);

        if (c != '/') {
            length++;
            dots += c == '.';
            continue;
        }
        if (begun && (length == 0 || (length <= 2 && dots == length)))
            return false;
        begun = true;
        length = dots = 0;
    }
    return length == 0 || length > 2 || dots != length;
}

bool rg_http_target_split(struct rg_request *req, struct rg_span target)
{
    const uint8_t *mark = target.n > 0 ? memchr(target.p, '?', target.n) : NULL;

    if (target.n == 0 || !all_of(target, TARGET))
        return false;
    req->path = target;
    req->query = rg_span(NULL, 0);
    if (mark != NULL) {
        req->path.n = (size_t)(mark - target.p);
        req->query = rg_span(mark + 1, target.n - req->path.n - 1);
    }
    return rg_http_path_plain(req->path);
}

/* "http://authority/path?query". RFC 9112 §3.2.2: a server MUST accept the absolute-form. */
static bool take_absolute(struct rg_request *req, struct rg_span target)
{
    static const char *const schemes[] = {"http://", "https://"};

    for (size_t i = 0; i < RG_LEN(schemes); i++) {
        size_t at = strlen(schemes[i]), from = at;

        if (target.n <= at || strncasecmp((const char *)target.p, schemes[i], at) != 0)
            continue;
        while (at < target.n && target.p[at] != '/' && target.p[at] != '?')
            at++;
        req->authority = rg_span(target.p + from, at - from);
        if (req->authority.n == 0 || !rg_http_authority_ok(req->authority))
            return false;
        if (at == target.n) {
            req->path = rg_span_str("/");
            return true;
        }
        if (!rg_http_target_split(req, rg_span(target.p + at, target.n - at)))
            return false;
        if (req->path.n == 0)
            req->path = rg_span_str("/");
        return true;
    }
    return false;
}

bool rg_http_method_known(struct rg_span method)
{
    static const char *const known[] = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"};

    for (size_t i = 0; i < RG_LEN(known); i++) {
        if (rg_span_is(method, known[i]))
            return true;
    }
    return false;
}

static enum rg_http1_event take_line(struct rg_http1 *p, struct rg_span line)
{
    struct rg_request *req = &p->msg->req;
    const uint8_t *a = memchr(line.p, ' ', line.n);
    const uint8_t *b = a != NULL ? memchr(a + 1, ' ', (size_t)(line.p + line.n - a - 1)) : NULL;
    struct rg_span target, version;

    if (b == NULL)
        return refuse(p, 400, "malformed request line");
    req->method = rg_span(line.p, (size_t)(a - line.p));
    target = rg_span(a + 1, (size_t)(b - a - 1));
    version = rg_span(b + 1, (size_t)(line.p + line.n - b - 1));
    if (version.n != 8 || memcmp(version.p, "HTTP/", 5) != 0 || version.p[5] < '0' || version.p[5] > '9' ||
        version.p[6] != '.' || version.p[7] < '0' || version.p[7] > '9')
        return refuse(p, 400, "malformed protocol version");
    if (version.p[5] != '1' || version.p[7] > '1')
        return refuse(p, 505, "only HTTP/1.1 and HTTP/1.0 here");
    p->http10 = version.p[7] == '0';
    p->close = p->http10;
    if (req->method.n == 0 || !all_of(req->method, TOKEN))
        return refuse(p, 400, "malformed method");
    if (!rg_http_method_known(req->method))
        return refuse(p, 501, "method not implemented");
    if (target.n == 0 || !all_of(target, TARGET))
        return refuse(p, 400, "malformed request target");
    if (target.p[0] == '/' && !rg_http_target_split(req, target))
        return refuse(p, 400, "a path with empty segments, or with dots for one, is not taken");
    if (target.p[0] == '/')
        ;
    else if (rg_span_is(target, "*") && rg_span_is(req->method, "OPTIONS"))
        req->path = target;
    else if (!take_absolute(req, target))
        return refuse(p, 400, "malformed request target");
    p->state = RG_HTTP1_FIELD;
    return RG_HTTP1_MORE;
}

/* ---- header fields ---- */

static struct rg_span trim(struct rg_span s)
{
    while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = rg_span(s.p + 1, s.n - 1);
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

static enum rg_http1_event take_length(struct rg_http1 *p, struct rg_span value)
{
    if (p->has_length)
        return refuse(p, 400, "repeated Content-Length");
    if (value.n == 0 || value.n > LENGTH_DIGITS_MAX)
        return refuse(p, 400, "malformed Content-Length");
    p->left = 0;
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] < '0' || value.p[i] > '9')
            return refuse(p, 400, "malformed Content-Length");
        p->left = p->left * 10 + (uint64_t)(value.p[i] - '0');
    }
    p->has_length = true;
    return RG_HTTP1_MORE;
}

static enum rg_http1_event take_coding(struct rg_http1 *p, struct rg_span value)
{
    if (p->chunked)
        return refuse(p, 400, "repeated Transfer-Encoding");
    /* RFC 9112 §6.1: "A server MAY reject a request that contains both Content-Length and Transfer-Encoding" and one in
     * HTTP/1.0 has faulty framing. */
    if (!is_nocase(value, "chunked") || p->http10)
        return refuse(p, 400, "only the chunked transfer coding is taken, in HTTP/1.1");
    p->chunked = true;
    return RG_HTTP1_MORE;
}

static enum rg_http1_event take_host(struct rg_http1 *p, struct rg_span value)
{
    if (p->has_host)
        return refuse(p, 400, "repeated Host");
    if (!rg_http_authority_ok(value))
        return refuse(p, 400, "malformed Host");
    p->has_host = true;
    if (p->msg->req.authority.n == 0) /* an absolute-form target outranks it */
        p->msg->req.authority = value;
    return RG_HTTP1_MORE;
}

static void take_connection(struct rg_http1 *p, struct rg_span value)
{
    while (value.n > 0) {
        const uint8_t *comma = memchr(value.p, ',', value.n);
        struct rg_span token = rg_span(value.p, comma != NULL ? (size_t)(comma - value.p) : value.n);

        if (is_nocase(trim(token), "close"))
            p->close = true;
        if (comma == NULL)
            return;
        value = rg_span(comma + 1, value.n - token.n - 1);
    }
}

/* The fields that frame the message or steer the connection. name is lower case. */
static enum rg_http1_event take_special(struct rg_http1 *p, struct rg_span name, struct rg_span value)
{
    switch (name.n) {
    case 4:
        return memcmp(name.p, "host", 4) == 0 ? take_host(p, value) : RG_HTTP1_MORE;
    case 6:
        if (memcmp(name.p, "expect", 6) != 0)
            return RG_HTTP1_MORE;
        if (!is_nocase(value, "100-continue"))
            return refuse(p, 417, "unknown expectation");
        p->expect = !p->http10;
        return RG_HTTP1_MORE;
    case 7:
        return memcmp(name.p, "upgrade", 7) == 0 ? refuse(p, 400, "no upgrade is offered") : RG_HTTP1_MORE;
    case 10:
        if (memcmp(name.p, "connection", 10) == 0)
            take_connection(p, value);
        return RG_HTTP1_MORE;
    case 14:
        return memcmp(name.p, "content-length", 14) == 0 ? take_length(p, value) : RG_HTTP1_MORE;
    case 17:
        return memcmp(name.p, "transfer-encoding", 17) == 0 ? take_coding(p, value) : RG_HTTP1_MORE;
    default:
        return RG_HTTP1_MORE;
    }
}

/* line is in msg->head: the name is made lower case where it stands. */
static enum rg_http1_event take_field(struct rg_http1 *p, uint8_t *line, size_t n)
{
    struct rg_request *req = &p->msg->req;
    struct rg_span name, value;
    size_t i;

    if (line[0] == ' ' || line[0] == '\t')
        return refuse(p, 400, "folded header field");
    for (i = 0; i < n && (kind[line[i]] & TOKEN) != 0; i++) {
        if (line[i] >= 'A' && line[i] <= 'Z')
            line[i] |= 0x20;
    }
    if (i == 0 || i == n || line[i] != ':')
        return refuse(p, 400, "malformed header field name");
    name = rg_span(line, i);
    value = trim(rg_span(line + i + 1, n - i - 1));
    if (!all_of(value, VALUE))
        return refuse(p, 400, "malformed header field value");
    if (req->n_headers == RG_HTTP_HEADERS_MAX)
        return refuse(p, 431, "too many header fields");
    req->headers[req->n_headers++] = (struct rg_http_header){name, value};
    return take_special(p, name, value);
}

static enum rg_http1_event ready(struct rg_http1 *p)
{
    p->state = RG_HTTP1_DONE;
    p->msg->req.body = rg_buf_span(&p->msg->body);
    return RG_HTTP1_READY;
}

static enum rg_http1_event take_head_end(struct rg_http1 *p, bool more_follows)
{
    if (!p->has_host && !p->http10)
        return refuse(p, 400, "Host is missing");
    if (p->has_length && p->chunked)
        return refuse(p, 400, "Content-Length beside Transfer-Encoding");
    if (p->left > RG_HTTP_BODY_BYTES_MAX)
        return refuse(p, 413, "the body is over 1 MiB");
    if (p->chunked)
        p->state = RG_HTTP1_CHUNK_SIZE;
    else if (p->left > 0)
        p->state = RG_HTTP1_LENGTH;
    else
        return ready(p);
    return p->expect && !more_follows ? RG_HTTP1_CONTINUE : RG_HTTP1_MORE;
}

/* Collect one line into msg->head and judge it as soon as it is whole. */
static enum rg_http1_event feed_line(struct rg_http1 *p, const uint8_t *bytes, size_t n, size_t *used)
{
    struct rg_message *msg = p->msg;
    const uint8_t *lf = memchr(bytes, '\n', n);
    size_t take = lf != NULL ? (size_t)(lf - bytes) + 1 : n, len;
    uint8_t *line;

    if (take > sizeof msg->head - msg->head_len)
        return refuse(p, 431, "the head is over 8 KiB");
    memcpy(msg->head + msg->head_len, bytes, take);
    msg->head_len += take;
    *used += take;
    if (lf == NULL)
        return RG_HTTP1_MORE;
    line = msg->head + p->line_at;
    len = msg->head_len - p->line_at;
    p->line_at = msg->head_len;
    if (len < 2 || line[len - 2] != '\r')
        return refuse(p, 400, "line not ended by CRLF");
    len -= 2; /* a CR within the line is in no character class */
    if (p->state == RG_HTTP1_LINE)
        return take_line(p, rg_span(line, len));
    if (len == 0)
        return take_head_end(p, take < n);
    return take_field(p, line, len);
}

/* RFC 9112 §2.2: "a server … SHOULD ignore at least one empty line (CRLF) received prior to the request-line". One. */
static enum rg_http1_event feed_start(struct rg_http1 *p, uint8_t c, size_t *used)
{
    if (p->seen_cr) {
        if (c != '\n')
            return refuse(p, 400, "line not ended by CRLF");
        p->seen_cr = false;
        p->skipped = true;
        (*used)++;
    } else if (c == '\r' && !p->skipped) {
        p->seen_cr = true;
        (*used)++;
    } else if (c >= 'A' && c <= 'Z') {
        p->state = RG_HTTP1_LINE;
    } else {
        return refuse(p, 400, "this is not an HTTP request");
    }
    return RG_HTTP1_MORE;
}

/* ---- bodies ---- */

static enum rg_http1_event take_body(struct rg_http1 *p, const uint8_t *bytes, size_t n, size_t *used)
{
    size_t take = n < p->left ? n : (size_t)p->left;

    rg_buf_put(&p->msg->body, bytes, take);
    if (p->msg->body.err == RG_ETOOBIG)
        return refuse(p, 413, "the body is over 1 MiB");
    if (p->msg->body.err != RG_OK)
        return refuse(p, 503, "out of memory");
    p->left -= take;
    *used += take;
    return RG_HTTP1_MORE;
}

static enum rg_http1_event feed_length(struct rg_http1 *p, const uint8_t *bytes, size_t n, size_t *used)
{
    enum rg_http1_event event = take_body(p, bytes, n, used);

    return event == RG_HTTP1_MORE && p->left == 0 ? ready(p) : event;
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum rg_http1_event feed_size(struct rg_http1 *p, uint8_t c)
{
    int v = hex_value(c);

    if (p->seen_cr) {
        if (c != '\n')
            return refuse(p, 400, "line not ended by CRLF");
        p->seen_cr = false;
        p->digits = 0;
        p->state = p->left > 0 ? RG_HTTP1_CHUNK_DATA : RG_HTTP1_LAST;
        return RG_HTTP1_MORE;
    }
    if (c == '\r' && p->digits > 0) {
        p->seen_cr = true;
        if (p->left > RG_HTTP_BODY_BYTES_MAX - p->msg->body.len)
            return refuse(p, 413, "the body is over 1 MiB");
        return RG_HTTP1_MORE;
    }
    if (v < 0 || ++p->digits > CHUNK_DIGITS_MAX)
        return refuse(p, 400, c == ';' ? "chunk extensions are not taken" : "malformed chunk size");
    p->left = p->left << 4 | (uint64_t)v;
    return RG_HTTP1_MORE;
}

/* CRLF after a chunk's data, or the one that ends the body: a trailer field would stand there. */
static enum rg_http1_event feed_end(struct rg_http1 *p, uint8_t c)
{
    if (!p->seen_cr) {
        if (c != '\r')
            return refuse(p, 400, p->state == RG_HTTP1_LAST ? "trailers are not taken" : "malformed end of a chunk");
        p->seen_cr = true;
        return RG_HTTP1_MORE;
    }
    if (c != '\n')
        return refuse(p, 400, "line not ended by CRLF");
    p->seen_cr = false;
    if (p->state == RG_HTTP1_LAST)
        return ready(p);
    p->state = RG_HTTP1_CHUNK_SIZE;
    return RG_HTTP1_MORE;
}

static enum rg_http1_event step(struct rg_http1 *p, const uint8_t *bytes, size_t n, size_t *used)
{
    enum rg_http1_event event;

    switch (p->state) {
    case RG_HTTP1_START:
        return feed_start(p, bytes[0], used);
    case RG_HTTP1_LINE:
    case RG_HTTP1_FIELD:
        return feed_line(p, bytes, n, used);
    case RG_HTTP1_LENGTH:
        return feed_length(p, bytes, n, used);
    case RG_HTTP1_CHUNK_DATA:
        event = take_body(p, bytes, n, used);
        if (event == RG_HTTP1_MORE && p->left == 0)
            p->state = RG_HTTP1_CHUNK_END;
        return event;
    case RG_HTTP1_CHUNK_SIZE:
        (*used)++;
        return feed_size(p, bytes[0]);
    case RG_HTTP1_CHUNK_END:
    case RG_HTTP1_LAST:
        (*used)++;
        return feed_end(p, bytes[0]);
    case RG_HTTP1_DONE:
    case RG_HTTP1_BAD:
        break;
    }
    RG_ASSERT(false && "fed after its end");
    return RG_HTTP1_REFUSED;
}

enum rg_http1_event rg_http1_feed(struct rg_http1 *p, const uint8_t *bytes, size_t n, size_t *ret_used)
{
    enum rg_http1_event event = RG_HTTP1_MORE;
    size_t used = 0;

    while (used < n && event == RG_HTTP1_MORE)
        event = step(p, bytes + used, n - used, &used);
    *ret_used = used;
    return event;
}

/* ---- replies ---- */

const char *rg_http_reason(int status)
{
    static const struct {
        int status;
        const char *text;
    } reasons[] = {
        {200, "OK"}, {201, "Created"}, {202, "Accepted"}, {204, "No Content"}, {301, "Moved Permanently"},
        {302, "Found"}, {303, "See Other"}, {304, "Not Modified"}, {307, "Temporary Redirect"}, {400, "Bad Request"},
        {401, "Unauthorized"}, {402, "Payment Required"}, {403, "Forbidden"}, {404, "Not Found"},
        {405, "Method Not Allowed"}, {406, "Not Acceptable"}, {408, "Request Timeout"}, {409, "Conflict"},
        {410, "Gone"}, {412, "Precondition Failed"}, {413, "Content Too Large"}, {415, "Unsupported Media Type"},
        {417, "Expectation Failed"}, {421, "Misdirected Request"}, {422, "Unprocessable Content"},
        {429, "Too Many Requests"}, {431, "Request Header Fields Too Large"}, {500, "Internal Server Error"},
        {501, "Not Implemented"}, {502, "Bad Gateway"}, {503, "Service Unavailable"}, {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };

    for (size_t i = 0; i < RG_LEN(reasons); i++) {
        if (reasons[i].status == status)
            return reasons[i].text;
    }
    return "Status";
}

bool rg_http_header_sendable(const struct rg_http_header *header)
{
    static const char *const ours[] = {"connection", "content-length", "transfer-encoding", "date", "keep-alive",
                                       "upgrade", "trailer"};

    if (header->name.n == 0 || !all_of(header->name, TOKEN) || !all_of(header->value, VALUE))
        return false;
    for (size_t i = 0; i < RG_LEN(ours); i++) {
        if (is_nocase(header->name, ours[i]))
            return false;
    }
    return true;
}

size_t rg_http_digits(char *out, uint64_t v)
{
    char reversed[20];
    size_t n = 0;

    do {
        reversed[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    for (size_t i = 0; i < n; i++)
        out[i] = reversed[n - 1 - i];
    return n;
}

/* A head is written where room for all of it was made: two dozen short pieces, of each reply. */

static uint8_t *put(uint8_t *to, const void *p, size_t n)
{
    if (n > 0)
        memcpy(to, p, n);
    return to + n;
}

#define PUT(to, literal) put(to, literal, sizeof literal - 1)

enum { OWN_BYTES_MAX = 256 }; /* what is written here besides what is given */

static uint8_t *put_status(uint8_t *to, int status, const char *reason)
{
    char digits[20];
    size_t n = rg_http_digits(digits, (uint64_t)status);

    if (status == 200)
        return PUT(to, "HTTP/1.1 200 OK\r\n");
    to = PUT(to, "HTTP/1.1 ");
    to = put(to, digits, n);
    to = PUT(to, " ");
    to = put(to, reason, strlen(reason));
    return PUT(to, "\r\n");
}

static bool bodiless(const struct rg_http_reply *reply) { return reply->status == 204 || reply->status == 304 || reply->status < 200; }

static uint8_t *put_framing(uint8_t *to, const struct rg_http_reply *reply, const struct rg_reply_frame *frame)
{
    char digits[20];

    if (frame->stream) {
        if (!frame->raw)
            to = PUT(to, "Transfer-Encoding: chunked\r\n");
    } else if (!bodiless(reply)) {
        to = PUT(to, "Content-Length: ");
        to = put(to, digits, rg_http_digits(digits, reply->body.n));
        to = PUT(to, "\r\n");
    }
    if (frame->close)
        to = PUT(to, "Connection: close\r\n");
    return PUT(to, "\r\n");
}

static size_t head_bytes_max(const struct rg_http_reply *reply, const struct rg_reply_frame *frame, const char *reason)
{
    size_t n = OWN_BYTES_MAX + strlen(reason) + strlen(frame->date);

    if (reply->content_type != NULL)
        n += strlen(reply->content_type);
    for (size_t i = 0; i < reply->n_headers; i++)
        n += reply->headers[i].name.n + reply->headers[i].value.n + 4;
    return n;
}

void rg_http1_encode(struct rg_buf *out, const struct rg_http_reply *reply, const struct rg_reply_frame *frame)
{
    const char *reason = rg_http_reason(reply->status);
    size_t n_max = head_bytes_max(reply, frame, reason);
    uint8_t *from = rg_buf_reserve(out, n_max), *to = from;

    if (from == NULL)
        return;
    to = put_status(to, reply->status, reason);
    to = PUT(to, "Date: ");
    to = put(to, frame->date, strlen(frame->date));
    to = PUT(to, "\r\n");
    if (reply->content_type != NULL) {
        to = PUT(to, "Content-Type: ");
        to = put(to, reply->content_type, strlen(reply->content_type));
        to = PUT(to, "\r\n");
    }
    for (size_t i = 0; i < reply->n_headers; i++) {
        const struct rg_http_header *h = &reply->headers[i];

        if (!rg_http_header_sendable(h))
            continue;
        to = put(to, h->name.p, h->name.n);
        to = PUT(to, ": ");
        to = put(to, h->value.p, h->value.n);
        to = PUT(to, "\r\n");
    }
    to = put_framing(to, reply, frame);
    RG_ASSERT((size_t)(to - from) <= n_max);
    out->len += (size_t)(to - from);
    if (!frame->stream && !bodiless(reply) && !frame->head_only)
        rg_buf_put(out, reply->body.p, reply->body.n);
}

void rg_http1_encode_chunk(struct rg_buf *out, struct rg_span bytes)
{
    static const char hex[] = "0123456789abcdef";
    char size[16];
    size_t n = 0;

    if (bytes.n == 0) {
        rg_buf_put_str(out, "0\r\n\r\n");
        return;
    }
    for (size_t v = bytes.n; v > 0; v >>= 4)
        n++;
    for (size_t i = 0, v = bytes.n; i < n; i++, v >>= 4)
        size[n - 1 - i] = hex[v & 15];
    rg_buf_put(out, size, n);
    rg_buf_put(out, "\r\n", 2);
    rg_buf_put(out, bytes.p, bytes.n);
    rg_buf_put(out, "\r\n", 2);
}
