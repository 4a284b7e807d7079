/* net/aws_json.h: JSON bodies in and out, and the shapes of AWS operations: a table says what a member must be, one walk
 * checks a whole body against it. Source of the constraints: the services' models (API versions 2020-06-15, 2020-07-20). */
#ifndef REGENT_NET_AWS_JSON_H
#define REGENT_NET_AWS_JSON_H

#include <jansson.h>

#include "base/buf.h"

/**
 * Parse a request body: one JSON object; empty means {}.               RFC 8259
 * ret   own
 * RG_EMALFORMED, with the place: not JSON, not an object, a repeated member, a NUL, invalid UTF-8, nested too deeply.
 */
RG_MUST enum rg_err rg_json_parse_body(struct rg_span body, json_t **ret, struct rg_errctx *ctx);
/** A JSON string with its quotes. Text that is not UTF-8 (which no writer lets in) has the bad bytes replaced. */
void rg_json_put_string(struct rg_buf *out, struct rg_span text);

/* What a string's code points must be. */
enum rg_pattern {
    RG_PAT_ANY,
    RG_PAT_TEXT,        /* letters, marks, symbols, numbers, punctuation, tab, line ends, spaces */
    RG_PAT_NAME,        /* the same without any white space: user names, issuers, external ids */
    RG_PAT_STORE_ID,    /* d-<10 hex> or a UUID */
    RG_PAT_RESOURCE_ID, /* UUID, with an optional <10 hex>- before it */
    RG_PAT_UUID,
    RG_PAT_ATTRIBUTE_PATH,
    RG_PAT_EXTENSION,   /* aws:identitystore:<1-20 lower-case letters> */
    RG_PAT_TOKEN,       /* NextToken of sso-admin */
    RG_PAT_STORE_TOKEN, /* NextToken of identitystore: ':' too */
    RG_PAT_INSTANCE_ARN,
    RG_PAT_PERMSET_ARN,
    RG_PAT_MANAGED_POLICY_ARN,
    RG_PAT_TAGGABLE_ARN,
    RG_PAT_PERMSET_NAME,
    RG_PAT_LATIN1,      /* permission set descriptions, inline policies */
    RG_PAT_DURATION,    /* ISO 8601 */
    RG_PAT_RELAY_STATE,
    RG_PAT_ACCOUNT_ID,
    RG_PAT_REGION,
    RG_PAT_TAG,
    RG_PAT_CLIENT_TOKEN,
};

enum rg_shape_kind { RG_SHAPE_STRING, RG_SHAPE_BOOL, RG_SHAPE_INT, RG_SHAPE_LIST, RG_SHAPE_STRUCT, RG_SHAPE_MAP, RG_SHAPE_DOCUMENT };

/* A member, or (without a name) a list's element. Arrays of members end with a zeroed one. */
struct rg_shape {
    const char *name;
    enum rg_shape_kind kind;
    bool required;
    unsigned min, max; /* code points of a string, elements of a list or map, or the number itself; max 0: no bound */
    enum rg_pattern pattern;
    const char *const *values;  /* an enumeration, ended by NULL */
    const struct rg_shape *of;  /* STRUCT: members; LIST, MAP: one element */
    bool one_of;                /* STRUCT: a union: exactly one member */
};

/**
 * Check a body against the members of an input shape. Members that the shape does not have are ignored; null counts as absent.
 * RG_EMALFORMED (a JSON type is wrong) or RG_EINVALID (a constraint is broken), worded as AWS words it, naming the member.
 */
RG_MUST enum rg_err rg_shape_check(const struct rg_shape *members, const json_t *body, struct rg_errctx *ctx);
/** Whether text is of the pattern; length apart. */
bool rg_pattern_matches(enum rg_pattern pattern, struct rg_span text);

/** A member's text; empty span (p NULL) when absent or null. */
struct rg_span rg_json_text(const json_t *object, const char *name);
/** A whole number of the member; `otherwise` when absent. */
int64_t rg_json_number(const json_t *object, const char *name, int64_t otherwise);

/* NextToken: base64url of (operation, key of the last row), with a checksum so that a token of another operation, or a changed
 * one, is refused. */
void rg_page_token_put(struct rg_buf *out, const char *operation, struct rg_span key);
/** RG_EINVALID when it is not one of this operation. key: the last row's key, appended. */
RG_MUST enum rg_err rg_page_token_get(struct rg_span token, const char *operation, struct rg_buf *key, struct rg_errctx *ctx);

#endif
