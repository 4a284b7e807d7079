/* The models' patterns, matched by hand: a regular expression's worst case is nothing to give to a client. */
#include "net/aws/shape.h"
#include "base/unicode.h"

static bool in(const char *set, uint8_t c) { return c != 0 && strchr(set, c) != NULL; }
static bool digit(uint8_t c) { return c >= '0' && c <= '9'; }
static bool lower(uint8_t c) { return c >= 'a' && c <= 'z'; }
static bool alpha(uint8_t c) { return lower(c) || (c >= 'A' && c <= 'Z'); }
static bool alnum(uint8_t c) { return alpha(c) || digit(c); }
static bool low_hex(uint8_t c) { return digit(c) || (c >= 'a' && c <= 'f'); }

static bool all_of(struct rg_span s, bool (*is)(uint8_t), const char *others)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is(s.p[i]) && !in(others, s.p[i]))
            return false;
    return true;
}

static bool points(struct rg_span s, bool (*is)(uint32_t))
{
    for (const uint8_t *p = s.p, *end = p + s.n; p < end;)
        if (!is(rg_utf8_next(&p, end)))
            return false;
    return true;
}

static bool is_name(uint32_t c)
{
    return (rg_char_class(c) & (RG_CHAR_LETTER | RG_CHAR_MARK | RG_CHAR_SIGN | RG_CHAR_NUMBER)) != 0;
}

static bool is_group_name(uint32_t c)
{
    return is_name(c) || c == '\t' || c == '\n' || c == '\r' || c == ' ' || c == 0xa0;
}

static bool is_text(uint32_t c) { return is_group_name(c) || c == 0x3000; }

static bool is_tag(uint32_t c)
{
    return (rg_char_class(c) & (RG_CHAR_LETTER | RG_CHAR_SEPARATOR | RG_CHAR_NUMBER)) != 0 ||
           (c < 0x80 && in("_.:/=+-@", (uint8_t)c));
}

static bool is_policy(uint32_t c) { return c == '\t' || c == '\n' || c == '\r' || (c >= 0x20 && c <= 0xff); }
static bool is_description(uint32_t c) { return is_policy(c) && (c < 0x7f || c > 0xa0); }

static bool resource_id(struct rg_span s)
{
    struct rg_uuid id;

    if (s.n == 47 && s.p[10] == '-' && all_of(rg_span(s.p, 10), low_hex, ""))
        s = rg_span(s.p + 11, 36);
    return rg_uuid_parse(s, &id);
}

static bool store_id(struct rg_span s)
{
    struct rg_uuid id;

    return (s.n == 12 && memcmp(s.p, "d-", 2) == 0 && all_of(rg_span(s.p + 2, 10), low_hex, "")) ||
           (rg_uuid_parse(s, &id) && all_of(s, low_hex, "-"));
}

/* Skip a prefix. */
static bool skip(struct rg_span *s, const char *prefix)
{
    size_t n = strlen(prefix);

    if (s->n < n || memcmp(s->p, prefix, n) != 0)
        return false;
    *s = rg_span(s->p + n, s->n - n);
    return true;
}

/* "arn:aws" and up to three "-xxxxx". */
static bool skip_partition(struct rg_span *s)
{
    if (!skip(s, "arn:aws"))
        return false;
    for (int i = 0; i < 3 && s->n > 0 && s->p[0] == '-'; i++) {
        size_t n = 1;

        while (n < s->n && n <= 5 && lower(s->p[n]))
            n++;
        if (n < 2)
            return false;
        *s = rg_span(s->p + n, s->n - n);
    }
    return true;
}

static bool skip_id(struct rg_span *s, const char *others)
{
    if (s->n < 16 || !all_of(rg_span(s->p, 16), alnum, others))
        return false;
    *s = rg_span(s->p + 16, s->n - 16);
    return true;
}

static bool instance_arn(struct rg_span s)
{
    if (!skip_partition(&s) || !skip(&s, ":sso:::instance/"))
        return false;
    (void)skip(&s, "sso");
    return skip(&s, "ins-") && skip_id(&s, "-.") && s.n == 0;
}

static bool permset_arn(struct rg_span s)
{
    if (!skip_partition(&s) || !skip(&s, ":sso:::permissionSet/"))
        return false;
    (void)skip(&s, "sso");
    return skip(&s, "ins-") && skip_id(&s, "-.") && skip(&s, "/ps-") && skip_id(&s, "-./") && s.n == 0;
}

static bool managed_policy_arn(struct rg_span s)
{
    if (!skip_partition(&s) || !skip(&s, ":iam::aws:policy/") || s.n == 0 || s.p[s.n - 1] == '/' || s.p[0] == '/')
        return false;
    for (size_t i = 1; i < s.n; i++)
        if (s.p[i] == '/' && s.p[i - 1] == '/')
            return false;
    return all_of(s, alnum, "/.,+@=_-");
}

static bool taggable_arn(struct rg_span s)
{
    struct rg_span rest = s;
    struct rg_uuid id;

    if (instance_arn(s) || permset_arn(s))
        return true;
    if (!skip_partition(&rest) || !skip(&rest, ":sso::") || rest.n < 12 || !all_of(rg_span(rest.p, 12), digit, ""))
        return false;
    rest = rg_span(rest.p + 12, rest.n - 12);
    if (skip(&rest, ":application/")) {
        (void)skip(&rest, "sso");
        return skip(&rest, "ins-") && skip_id(&rest, "-.") && skip(&rest, "/apl-") && skip_id(&rest, "") && rest.n == 0;
    }
    if (!skip(&rest, ":trustedTokenIssuer/"))
        return false;
    (void)skip(&rest, "sso");
    return skip(&rest, "ins-") && skip_id(&rest, "-.") && skip(&rest, "/tti-") && rg_uuid_parse(rest, &id) &&
           all_of(rest, low_hex, "-");
}

/* Digits and one of the units, if that is what comes next. fraction: of the digits may follow a point. */
static bool skip_amount(struct rg_span *s, const char *units, bool fraction)
{
    size_t n = 0, whole;

    while (n < s->n && digit(s->p[n]))
        n++;
    whole = n;
    if (fraction && whole > 0 && n + 1 < s->n && s->p[n] == '.' && digit(s->p[n + 1]))
        for (n++; n < s->n && digit(s->p[n]);)
            n++;
    if (whole == 0 || n == s->n || !in(units, s->p[n]))
        return false;
    *s = rg_span(s->p + n + 1, s->n - n - 1);
    return true;
}

static bool duration(struct rg_span s)
{
    (void)skip(&s, "-");
    if (!skip(&s, "P") || s.n == 0 || !(digit(s.p[0]) || (s.p[0] == 'T' && s.n > 1 && digit(s.p[1]))))
        return false;
    (void)skip_amount(&s, "Y", false);
    (void)skip_amount(&s, "M", false);
    (void)skip_amount(&s, "DW", false);
    if (skip(&s, "T")) {
        (void)skip_amount(&s, "H", false);
        (void)skip_amount(&s, "M", false);
        (void)skip_amount(&s, "S", true);
    }
    return s.n == 0;
}

static bool region(struct rg_span s)
{
    unsigned parts = 0;

    while (s.n > 0 && lower(s.p[0])) {
        size_t n = 0;

        while (n < s.n && lower(s.p[n]))
            n++;
        if (n == s.n || s.p[n] != '-')
            return false;
        s = rg_span(s.p + n + 1, s.n - n - 1);
        parts++;
    }
    return (parts == 2 || parts == 3) && s.n == 1 && digit(s.p[0]);
}

/* One to three names joined by points; or three joined by colons, then up to three behind points. */
static bool attribute_path(struct rg_span s)
{
    unsigned colons = 0, dots = 0;
    bool letter = false;

    for (const uint8_t *p = s.p, *end = p + s.n; p < end;) {
        uint32_t c = rg_utf8_next(&p, end);

        if (rg_char_class(c) == RG_CHAR_LETTER) {
            letter = true;
            continue;
        }
        if (!letter || (c != '.' && c != ':') || (c == ':' && dots > 0))
            return false;
        colons += c == ':';
        dots += c == '.';
        letter = false;
    }
    return letter && ((colons == 0 && dots <= 2) || (colons == 2 && dots <= 3));
}

static bool extension(struct rg_span s)
{
    return skip(&s, "aws:identitystore:") && s.n >= 1 && s.n <= 20 && all_of(s, lower, "");
}

static bool text(struct rg_span s) { return points(s, is_text); }
static bool group_name(struct rg_span s) { return points(s, is_group_name); }
static bool name(struct rg_span s) { return points(s, is_name); }
static bool tag(struct rg_span s) { return points(s, is_tag); }
static bool policy(struct rg_span s) { return points(s, is_policy); }
static bool description(struct rg_span s) { return points(s, is_description); }
static bool token(struct rg_span s) { return all_of(s, alnum, "-+=/_"); }
static bool store_token(struct rg_span s) { return all_of(s, alnum, "-+=/_:"); }
static bool permset_name(struct rg_span s) { return all_of(s, alnum, "_+=,.@-"); }
static bool relay_state(struct rg_span s) { return all_of(s, alnum, "&$@#\\/%?=~-_'\"|!:,.;*+[] (){}"); }
static bool account_id(struct rg_span s) { return s.n == 12 && all_of(s, digit, ""); }

static bool uuid(struct rg_span s)
{
    struct rg_uuid id;

    return rg_uuid_parse(s, &id) && all_of(s, low_hex, "-");
}

/* The text is for messages: the model's. */
static const struct {
    bool (*matches)(struct rg_span s);
    const char *text;
} patterns[RG_PATTERNS] = {
    [RG_PAT_ANY] = {NULL, ".*"},
    [RG_PAT_TEXT] = {text, "[\\p{L}\\p{M}\\p{S}\\p{N}\\p{P}\\t\\n\\r \\u00a0\\u3000]+"},
    [RG_PAT_GROUP_NAME] = {group_name, "[\\p{L}\\p{M}\\p{S}\\p{N}\\p{P}\\t\\n\\r \\u00a0]+"},
    [RG_PAT_NAME] = {name, "[\\p{L}\\p{M}\\p{S}\\p{N}\\p{P}]+"},
    [RG_PAT_STORE_ID] = {store_id, "d-[0-9a-f]{10}$|^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"},
    [RG_PAT_RESOURCE_ID] = {resource_id, "([0-9a-f]{10}-|)[A-Fa-f0-9]{8}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{4}-[A-Fa-f0-9]{12}"},
    [RG_PAT_UUID] = {uuid, "\\b[0-9a-f]{8}\\b-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-\\b[0-9a-f]{12}\\b"},
    [RG_PAT_ATTRIBUTE_PATH] = {attribute_path, "(?:\\p{L}+:\\p{L}+:\\p{L}+(?:\\.\\p{L}+){0,3}|\\p{L}+(?:\\.\\p{L}+){0,2})"},
    [RG_PAT_EXTENSION] = {extension, "aws:identitystore:[a-z]{1,20}"},
    [RG_PAT_TOKEN] = {token, "[-a-zA-Z0-9+=/_]*"},
    [RG_PAT_STORE_TOKEN] = {store_token, "[-a-zA-Z0-9+=/:_]*"},
    [RG_PAT_INSTANCE_ARN] = {instance_arn, "arn:aws(-[a-z]{1,5}){0,3}:sso:::instance/(sso)?ins-[a-zA-Z0-9-.]{16}"},
    [RG_PAT_PERMSET_ARN] = {permset_arn, "arn:aws(-[a-z]{1,5}){0,3}:sso:::permissionSet/(sso)?ins-[a-zA-Z0-9-.]{16}/ps-[a-zA-Z0-9-./]{16}"},
    [RG_PAT_MANAGED_POLICY_ARN] = {managed_policy_arn,
                               "arn:aws(-[a-z]{1,5}){0,3}:iam::aws:policy((/[A-Za-z0-9\\.,\\+@=_-]+)*)/([A-Za-z0-9\\.,\\+"
                               "=@_-]+)"},
    [RG_PAT_TAGGABLE_ARN] = {taggable_arn,
                               "arn:aws(-[a-z]{1,5}){0,3}:sso::((:instance/(sso)?ins-[a-zA-Z0-9-.]{16})|(:permissionSet/("
                               "sso)?ins-[a-zA-Z0-9-.]{16}/ps-[a-zA-Z0-9-./]{16})|(\\d{12}:application/(sso)?i"
                               "ns-[a-zA-Z0-9-.]{16}/apl-[a-zA-Z0"
                               "-9]{16})|(\\d{12}:trustedTokenIssuer/(sso)?ins-[a-zA-Z0-9-.]{16}/tti-[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9"
                               "]{4}-[a-f0-9]{4}-[a-f0-9]{12}))"},
    [RG_PAT_PERMSET_NAME] = {permset_name, "[\\w+=,.@-]+"},
    [RG_PAT_DESCRIPTION] = {description, "[\\u0009\\u000A\\u000D\\u0020-\\u007E\\u00A1-\\u00FF]*"},
    [RG_PAT_POLICY] = {policy, "[\\u0009\\u000A\\u000D\\u0020-\\u00FF]+"},
    [RG_PAT_DURATION] = {duration, "(-?)P(?=\\d|T\\d)(?:(\\d+)Y)?(?:(\\d+)M)?(?:(\\d+)([DW]))?(?:T(?:(\\d+)H)?(?:(\\d+)M)?(?:(\\d+(?:\\."
                               "\\d+)?)S)?)?"},
    [RG_PAT_RELAY_STATE] = {relay_state, "[a-zA-Z0-9&$@#\\\\\\/%?=~\\-_'\"|!:,.;*+\\[\\]\\ \\(\\)\\{\\}]+"},
    [RG_PAT_ACCOUNT_ID] = {account_id, "\\d{12}"},
    [RG_PAT_REGION] = {region, "([a-z]+-){2,3}\\d"},
    [RG_PAT_TAG] = {tag, "([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)"},
};

bool rg_pattern_matches(enum rg_pattern pattern, struct rg_span s)
{
    return patterns[pattern].matches == NULL || patterns[pattern].matches(s);
}

const char *rg_pattern_text(enum rg_pattern pattern) { return patterns[pattern].text; }
