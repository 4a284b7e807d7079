#include "store/db/attrs.h"

/* ---- the table: SCIM's name, AWS's member. They differ in the case of their first letter, and in nothing else. ---- */

struct attr {
    const char *scim, *aws;
    size_t n;
    const struct attr *of; /* what a complex one, or each of several, is made of; NULL: plain */
};
#define ATTR(scim, aws, of) {scim, aws, sizeof(scim) - 1, of}
#define ATTRS_END {NULL, NULL, 0, NULL}

static const struct attr of_name[] = {
    ATTR("formatted", "Formatted", NULL),   ATTR("familyName", "FamilyName", NULL),
    ATTR("givenName", "GivenName", NULL),   ATTR("middleName", "MiddleName", NULL),
    ATTR("honorificPrefix", "HonorificPrefix", NULL), ATTR("honorificSuffix", "HonorificSuffix", NULL),
    ATTRS_END,
};
static const struct attr of_value[] = {
    ATTR("value", "Value", NULL), ATTR("type", "Type", NULL), ATTR("display", "Display", NULL), ATTR("primary", "Primary", NULL),
    ATTRS_END,
};
static const struct attr of_address[] = {
    ATTR("streetAddress", "StreetAddress", NULL), ATTR("locality", "Locality", NULL),   ATTR("region", "Region", NULL),
    ATTR("postalCode", "PostalCode", NULL),       ATTR("country", "Country", NULL),     ATTR("formatted", "Formatted", NULL),
    ATTR("type", "Type", NULL),                   ATTR("primary", "Primary", NULL),     ATTRS_END,
};
static const struct attr of_user[] = {
    ATTR("name", "Name", of_name),
    ATTR("nickName", "NickName", NULL),
    ATTR("profileUrl", "ProfileUrl", NULL),
    ATTR("emails", "Emails", of_value),
    ATTR("addresses", "Addresses", of_address),
    ATTR("phoneNumbers", "PhoneNumbers", of_value),
    ATTR("userType", "UserType", NULL),
    ATTR("title", "Title", NULL),
    ATTR("preferredLanguage", "PreferredLanguage", NULL),
    ATTR("locale", "Locale", NULL),
    ATTR("timezone", "Timezone", NULL),
    ATTR("photos", "Photos", of_value),
    ATTR("website", "Website", NULL),     /* OpenID Connect Core 1.0 §5.1 */
    ATTR("birthdate", "Birthdate", NULL), /* the same */
    ATTR("roles", "Roles", of_value),
    ATTRS_END,
};

/* Extensions that both sides name, each in its own way; others have one name for both. AWS keeps them in a member of its own. */
#define AWS_EXTENSIONS "Extensions"
static const struct {
    const char *scim, *aws;
} extensions[] = {
    {"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", "aws:identitystore:enterprise"},
};

static const struct attr *find(const struct attr *table, struct rg_span name)
{
    RG_ASSERT(name.p != NULL || name.n == 0);
    RG_ASSERT(table != NULL);
    for (const struct attr *a = table; a->n > 0; a++)
        if (a->n == name.n && (name.p[0] == a->scim[0] || name.p[0] == a->aws[0]) && memcmp(name.p + 1, a->scim + 1, name.n - 1) == 0)
            return a;
    return NULL;
}

static struct rg_span extension_name(struct rg_span name, enum rg_attrs_names names)
{
    RG_ASSERT(name.p != NULL || name.n == 0);
    RG_ASSERT(names == RG_ATTRS_SCIM || names == RG_ATTRS_AWS);
    for (size_t i = 0; i < RG_LEN(extensions); i++)
        if (rg_span_is(name, extensions[i].scim) || rg_span_is(name, extensions[i].aws))
            return rg_span_str(names == RG_ATTRS_AWS ? extensions[i].aws : extensions[i].scim);
    return name;
}

/* Whether AWS has it as one: others are members like any that AWS does not know. */
static bool is_extension(struct rg_span name)
{
    static const char prefix[] = "aws:";
    struct rg_span aws = extension_name(name, RG_ATTRS_AWS);

    return aws.n >= sizeof prefix && memcmp(aws.p, prefix, sizeof prefix - 1) == 0;
}

/* ---- reading: compact JSON, of which only the names are looked at ---- */

struct scan {
    const uint8_t *p, *end;
};

static bool take_byte(struct scan *s, uint8_t c)
{
    bool there = s->p < s->end && *s->p == c;

    RG_ASSERT(s->p <= s->end);
    RG_ASSERT(c != '\0'); /* no JSON has one */
    s->p += there;
    return there;
}

static bool at_byte(const struct scan *s, uint8_t c)
{
    RG_ASSERT(s->p <= s->end);
    return s->p < s->end && *s->p == c;
}

/* A string with its quotes. */
static bool take_string(struct scan *s, struct rg_span *ret)
{
    const uint8_t *begin = s->p, *p;

    if (!at_byte(s, '"'))
        return false;
    p = s->p + 1;
    for (; p < s->end && *p != '"'; p++)
        if (*p == '\\' && ++p == s->end)
            return false;
    if (p == s->end)
        return false;
    s->p = p + 1;
    RG_ASSERT(s->p - begin >= 2);
    RG_ASSERT(s->p <= s->end);
    *ret = rg_span(begin, (size_t)(s->p - begin));
    return true;
}

/* Any value, whole: its brackets are balanced, and no more is known of it. */
static bool take_value(struct scan *s, struct rg_span *ret)
{
    const uint8_t *begin = s->p;
    struct rg_span text;
    size_t depth = 0;

    do {
        if (at_byte(s, '"')) {
            if (!take_string(s, &text))
                return false;
        } else if (at_byte(s, '{') || at_byte(s, '[')) {
            depth++;
            s->p++;
        } else if (depth > 0 && (at_byte(s, '}') || at_byte(s, ']'))) {
            depth--;
            s->p++;
        } else if (depth > 0 && s->p < s->end) {
            s->p++;
        } else if (depth > 0) { /* cut off within */
            return false;
        } else { /* a number, true, false, null */
            while (s->p < s->end && *s->p > ' ' && memchr(",}]{[:\"", *s->p, 7) == NULL)
                s->p++;
            break;
        }
    } while (depth > 0);
    RG_ASSERT(depth == 0);
    RG_ASSERT(s->p <= s->end);
    RG_ASSERT(s->p >= begin);
    *ret = rg_span(begin, (size_t)(s->p - begin));
    return ret->n > 0;
}

/* `"name":`, the name without its quotes. */
static bool take_name(struct scan *s, struct rg_span *ret)
{
    if (!take_string(s, ret) || !take_byte(s, ':'))
        return false;
    RG_ASSERT(ret->n >= 2);
    *ret = rg_span(ret->p + 1, ret->n - 2);
    return true;
}

/* ---- writing: what is given is copied in runs as long as may be, its names' first letters turned on the way ---- */

enum { LETTERS_MAX = 32 };

struct copy {
    struct rg_buf *out;
    const uint8_t *run;                  /* where what is not copied yet begins; NULL: nothing stands open */
    const uint8_t *letters[LETTERS_MAX]; /* within the run: to be of the other case */
    size_t n;
};

/* Copy the run, up to here. */
static void flush(struct copy *c, const uint8_t *to)
{
    size_t at = c->out->len;

    RG_ASSERT(c->run != NULL);
    RG_ASSERT(to >= c->run);
    RG_ASSERT(c->n <= LETTERS_MAX);
    RG_ASSERT(c->n == 0 || c->letters[c->n - 1] < to); /* in order, and all of them within */
    rg_buf_put(c->out, c->run, (size_t)(to - c->run));
    for (size_t i = 0; i < c->n && c->out->err == RG_OK; i++)
        c->out->data[at + (size_t)(c->letters[i] - c->run)] ^= 'a' ^ 'A';
    c->run = to;
    c->n = 0;
}

static void rename_to(struct copy *c, const uint8_t *letter, char wanted)
{
    RG_ASSERT(c->run != NULL);
    RG_ASSERT(letter >= c->run);
    if (*letter == (uint8_t)wanted)
        return;
    RG_ASSERT((*letter ^ (uint8_t)wanted) == ('a' ^ 'A')); /* the same letter, of the other case */
    if (c->n == LETTERS_MAX)
        flush(c, letter);
    RG_ASSERT(c->n < LETTERS_MAX);
    c->letters[c->n++] = letter;
}

static void put_comma(struct rg_buf *out)
{
    RG_ASSERT(out->len <= out->cap);
    if (out->len > 0 && out->data[out->len - 1] != '{' && out->data[out->len - 1] != '[')
        rg_buf_put_u8(out, ',');
}

static void put_name(struct rg_buf *out, struct rg_span name)
{
    RG_ASSERT(name.p != NULL || name.n == 0);
    put_comma(out);
    rg_buf_put_u8(out, '"');
    rg_buf_put(out, name.p, name.n);
    rg_buf_put(out, "\":", 2);
}

static bool copy_object(struct copy *c, struct scan *s, const struct attr *table, const struct rg_attrs_view *view);

/* A value, the names in it as the table has them. */
static bool copy_value(struct copy *c, struct scan *s, const struct attr *of, const struct rg_attrs_view *view)
{
    struct rg_span value;

    RG_ASSERT(c->run != NULL); /* it is being copied */
    RG_ASSERT(s->p <= s->end);
    if (of != NULL && at_byte(s, '{'))
        return copy_object(c, s, of, view);
    if (of == NULL || !take_byte(s, '['))
        return take_value(s, &value);
    if (take_byte(s, ']'))
        return true;
    do {
        if (!copy_value(c, s, at_byte(s, '{') ? of : NULL, view))
            return false;
    } while (take_byte(s, ','));
    return take_byte(s, ']');
}

/* One member, which begins where s stands; what the view leaves out is passed by. any: whether one of the object was kept. */
static bool copy_member(struct copy *c, struct scan *s, const struct attr *a, const uint8_t *begin, const struct rg_attrs_view *view,
                        bool leave, bool *any)
{
    struct rg_span value;

    RG_ASSERT(begin < s->p); /* behind its name */
    RG_ASSERT(s->p[-1] == ':');
    RG_ASSERT(a == NULL || a->n > 0);
    if (leave) {
        if (c->run != NULL)
            flush(c, *any ? begin - 1 : begin); /* without the comma */
        c->run = NULL;
        return take_value(s, &value);
    }
    if (c->run == NULL)
        c->run = *any ? begin - 1 : begin;
    *any = true;
    if (a != NULL)
        rename_to(c, begin + 1, view->names == RG_ATTRS_AWS ? a->aws[0] : a->scim[0]);
    return copy_value(c, s, a != NULL ? a->of : NULL, view);
}

static bool copy_object(struct copy *c, struct scan *s, const struct attr *table, const struct rg_attrs_view *view)
{
    struct rg_span name;
    bool any = false;

    RG_ASSERT(at_byte(s, '{'));
    RG_ASSERT(table != NULL);
    RG_ASSERT(c->out != NULL);
    s->p++;
    if (take_byte(s, '}'))
        return true;
    do {
        const uint8_t *begin = s->p;
        const struct attr *a;

        if (!take_name(s, &name))
            return false;
        a = find(table, name);
        if (!copy_member(c, s, a, begin, view, a == NULL && view->known_only, &any))
            return false;
    } while (take_byte(s, ','));
    if (!take_byte(s, '}'))
        return false;
    if (c->run == NULL)
        c->run = s->p - 1;
    return true;
}

/* ---- the two halves of an object of attributes: extensions, and all but them ---- */

static bool is_extension_there(struct rg_span name, const struct scan *value)
{
    return (rg_span_is(name, AWS_EXTENSIONS) && at_byte(value, '{')) || is_extension(name);
}

/* ret_extended: whether the other half has any. */
static bool put_plain(struct rg_buf *out, struct rg_span attrs, const struct rg_attrs_view *view, bool *ret_extended)
{
    struct scan s = {attrs.p, attrs.p + attrs.n};
    struct copy c = {.out = out};
    struct rg_span name;
    bool any = false;

    RG_ASSERT(attrs.p != NULL || attrs.n == 0);
    RG_ASSERT(view->names == RG_ATTRS_SCIM || view->names == RG_ATTRS_AWS);
    *ret_extended = false;
    if (!take_byte(&s, '{'))
        return false;
    if (attrs.n == 2 && at_byte(&s, '}'))
        return true;
    do {
        const uint8_t *begin = s.p;
        const struct attr *a;
        bool extension;

        if (!take_name(&s, &name))
            return false;
        a = find(of_user, name);
        extension = a == NULL && is_extension_there(name, &s);
        *ret_extended |= extension;
        if (!any && !extension && (a != NULL || !view->known_only))
            put_comma(out);
        if (!copy_member(&c, &s, a, begin, view, extension || (a == NULL && view->known_only), &any))
            return false;
    } while (take_byte(&s, ','));
    if (!take_byte(&s, '}') || s.p != s.end)
        return false;
    if (c.run != NULL)
        flush(&c, s.p - 1);
    return true;
}

static bool put_extension(struct rg_buf *out, struct scan *s, struct rg_span name, const struct rg_attrs_view *view)
{
    struct rg_span value;

    RG_ASSERT(s->p[-1] == ':'); /* behind its name */
    if (!take_value(s, &value))
        return false;
    if (view->extension != NULL && !view->extension(view->arg, extension_name(name, RG_ATTRS_AWS)))
        return true;
    put_name(out, extension_name(name, view->names));
    rg_buf_put(out, value.p, value.n);
    return true;
}

/* AWS's member that holds them all. */
static bool put_extensions_within(struct rg_buf *out, struct scan *s, const struct rg_attrs_view *view)
{
    struct rg_span name;

    RG_ASSERT(s->p[-1] == ':');
    if (!take_byte(s, '{'))
        return false;
    if (!at_byte(s, '}'))
        do {
            if (!take_name(s, &name) || !put_extension(out, s, name, view))
                return false;
        } while (take_byte(s, ','));
    return take_byte(s, '}');
}

/* The members of an object that put_plain has walked. */
static bool put_extended(struct rg_buf *out, struct rg_span attrs, const struct rg_attrs_view *view)
{
    struct scan s = {attrs.p + 1, attrs.p + attrs.n};
    struct rg_span name, value;
    bool ok;

    RG_ASSERT(attrs.n > 2); /* it was walked: there is a member */
    RG_ASSERT(attrs.p[0] == '{');
    do {
        if (!take_name(&s, &name))
            return false;
        if (!is_extension_there(name, &s))
            ok = take_value(&s, &value);
        else if (is_extension(name))
            ok = put_extension(out, &s, name, view);
        else
            ok = put_extensions_within(out, &s, view);
    } while (ok && take_byte(&s, ','));
    return ok;
}

/* The extensions: members like any other, but AWS has them in one of its own, if there are any. */
static bool put_extensions(struct rg_buf *out, struct rg_span attrs, const struct rg_attrs_view *view)
{
    size_t before = out->len, begun;

    RG_ASSERT(attrs.n > 2);
    if (view->names == RG_ATTRS_SCIM)
        return put_extended(out, attrs, view);
    put_name(out, rg_span_str(AWS_EXTENSIONS));
    rg_buf_put_u8(out, '{');
    begun = out->len;
    if (!put_extended(out, attrs, view))
        return false;
    RG_ASSERT(out->len >= begun);
    if (out->len == begun) /* none is wanted */
        out->len = before;
    else
        rg_buf_put_u8(out, '}');
    return true;
}

bool rg_attrs_put(struct rg_buf *out, struct rg_span attrs, const struct rg_attrs_view *view)
{
    size_t before = out->len;
    bool extended;

    RG_ASSERT(view != NULL);
    RG_ASSERT(attrs.n == 0 || attrs.p != out->data); /* a put may move what it reads */
    if (put_plain(out, attrs, view, &extended) && (!extended || put_extensions(out, attrs, view)))
        return true;
    RG_ASSERT(out->len >= before);
    out->len = before;
    return false;
}

void rg_attrs_put_object(struct rg_buf *out, struct rg_span attrs, enum rg_attrs_names names)
{
    const struct rg_attrs_view all = {.names = names};
    size_t before = out->len;

    RG_ASSERT(attrs.p != NULL || attrs.n == 0);
    RG_ASSERT(names == RG_ATTRS_SCIM || names == RG_ATTRS_AWS);
    rg_buf_put_u8(out, '{');
    if (rg_attrs_put(out, attrs, &all)) {
        rg_buf_put_u8(out, '}');
        return;
    }
    RG_ASSERT(out->len >= before);
    out->len = before;
    rg_buf_put(out, attrs.p, attrs.n);
}

bool rg_attrs_get(struct rg_span attrs, const char *name, struct rg_span *ret_value)
{
    struct scan s = {attrs.p, attrs.p + attrs.n};
    struct rg_span at, value;

    RG_ASSERT(attrs.p != NULL || attrs.n == 0);
    RG_ASSERT(name[0] != '\0');
    if (!take_byte(&s, '{'))
        return false;
    do {
        const struct attr *a;

        if (!take_name(&s, &at) || !take_value(&s, &value))
            return false;
        a = find(of_user, at);
        if (a != NULL ? strcmp(a->scim, name) == 0 : rg_span_is(at, name)) {
            *ret_value = value;
            return true;
        }
    } while (take_byte(&s, ','));
    return false;
}

bool rg_attrs_first(struct rg_span array, const char *member, struct rg_span *ret_text)
{
    struct scan s = {array.p, array.p + array.n};
    struct rg_span at, value;

    RG_ASSERT(array.p != NULL || array.n == 0);
    RG_ASSERT(member[0] != '\0');
    if (!take_byte(&s, '[') || !take_byte(&s, '{'))
        return false;
    do {
        if (!take_name(&s, &at) || !take_value(&s, &value))
            return false;
        if (rg_span_is(at, member)) {
            if (value.p[0] != '"' || memchr(value.p, '\\', value.n) != NULL)
                return false;
            RG_ASSERT(value.n >= 2);
            *ret_text = rg_span(value.p + 1, value.n - 2);
            return true;
        }
    } while (take_byte(&s, ','));
    return false;
}
