/* The services' own models walked: for every operation that is served a body is made that fits, then broken in each way that
 * the model forbids, one at a time. The server must see each, for the official clients check nothing. */
#include "tests/lib/aws_rig.h"
#include "tests/lib/check_main.h"
#include "tests/lib/shared_data.h"

static struct aws aws;
static json_t *shapes;           /* of the model under way */
static const char *operation;
static unsigned broken_n, kept_n;

/* A text that fits each string shape with a pattern. */
static const struct {
    const char *shape, *text;
    const char *fill; /* repeated, it makes a text of any length; NULL: there is none */
} samples[] = {
    {"IdentityStoreId", AWS_STORE, NULL},
    {"ResourceId", AWS_NO_ID, NULL},
    {"UserName", "u", "\xc3\xa9"},
    {"GroupDisplayName", "g", "\xe5\xb1\xb1"},
    {"SensitiveStringType", "s", "\xf0\x9f\x98\x80"},
    {"ExternalIdIssuer", "i", "\xc3\xa9"},
    {"ExternalIdIdentifier", "i", "\xc3\xa9"},
    {"AttributePath", "userName", "\xc3\xa9"},
    {"ExtensionName", "aws:identitystore:enterprise", NULL},
    {"NextToken", "AAAA", "A"},
    {"Token", "AAAA", "A"},
    {"InstanceArn", AWS_INSTANCE, NULL},
    {"PermissionSetArn", AWS_NO_PERMSET, NULL},
    {"TaggableResourceArn", AWS_NO_PERMSET, NULL},
    {"ManagedPolicyArn", "arn:aws:iam::aws:policy/ReadOnlyAccess", NULL},
    {"PermissionSetName", "n", "n"},
    {"PermissionSetDescription", "d", "\xc3\xa9"},
    {"PermissionSetPolicyDocument", "{}", "\xc3\xa9"},
    {"Duration", "PT1H", NULL},
    {"RelayState", "r", "r"},
    {"TagKey", "k", "\xc3\xa9"},
    {"TagValue", "v", "\xc3\xa9"},
    {"TargetId", "123456789012", NULL},
    {"AccountId", "123456789012", NULL},
    {"PrincipalId", AWS_NO_ID, NULL},
    {"UUId", AWS_NO_ID, NULL},
    {"RegionName", "us-east-1", NULL},
};

static const json_t *shape_of(const char *name)
{
    const json_t *shape = json_object_get(shapes, name);

    ck_assert_msg(shape != NULL, "%s", name);
    return shape;
}
static const char *text(const json_t *object, const char *name)
{
    const char *t = json_string_value(json_object_get(object, name));

    return t != NULL ? t : "";
}
static long number(const json_t *object, const char *name, long otherwise)
{
    const json_t *n = json_object_get(object, name);

    return n != NULL ? (long)json_integer_value(n) : otherwise;
}
static bool is(const json_t *shape, const char *type) { return strcmp(text(shape, "type"), type) == 0; }

static const char *sample(const char *name, const char **ret_fill)
{
    for (size_t i = 0; i < RG_LEN(samples); i++)
        if (strcmp(samples[i].shape, name) == 0) {
            *ret_fill = samples[i].fill;
            return samples[i].text;
        }
    ck_abort_msg("no sample of %s", name);
    return NULL;
}

/* A value that fits, with every member. Of a union the first. */
static json_t *fitting(const char *name)
{
    const json_t *shape = shape_of(name);
    const char *fill, *key;
    json_t *made, *value;

    if (json_is_true(json_object_get(shape, "document")))
        return json_pack("{s:[i,n]}", "a", 1);
    if (json_object_get(shape, "enum") != NULL)
        return json_incref(json_array_get(json_object_get(shape, "enum"), 0));
    if (is(shape, "string"))
        return json_string(sample(name, &fill));
    if (is(shape, "integer"))
        return json_integer(number(shape, "min", 0));
    if (is(shape, "boolean"))
        return json_true();
    if (is(shape, "list"))
        return json_pack("[o]", fitting(text(json_object_get(shape, "member"), "shape")));
    made = json_object();
    if (is(shape, "map")) {
        json_object_set_new(made, sample(text(json_object_get(shape, "key"), "shape"), &fill),
                            fitting(text(json_object_get(shape, "value"), "shape")));
        return made;
    }
    ck_assert(is(shape, "structure"));
    json_object_foreach(json_object_get(shape, "members"), key, value)
    {
        json_object_set_new(made, key, fitting(text(value, "shape")));
        if (json_is_true(json_object_get(shape, "union")))
            break;
    }
    return made;
}

/* ---- breaking ---- */

struct place {
    json_t *root, *parent;
    const char *key; /* NULL: element 0 */
    char path[300];
};

static void put(const struct place *p, json_t *value)
{
    if (p->key == NULL)
        json_array_set_new(p->parent, 0, value);
    else if (value == NULL)
        json_object_del(p->parent, p->key);
    else
        json_object_set_new(p->parent, p->key, value);
}

/* With this value in its place the request is refused so: by its shape, before anything is read or written. */
static void breaks(const struct place *p, json_t *value, enum rg_err want, const char *how)
{
    json_t *was = p->key == NULL ? json_array_get(p->parent, 0) : json_object_get(p->parent, p->key);
    enum rg_err err;

    json_incref(was);
    put(p, value);
    err = aws_ask_json(&aws, operation, json_deep_copy(p->root));
    ck_assert_msg(aws_is(err, want), "%s, %s %s: %s %s", operation, p->path, how, rg_err_symbol(err), aws.message);
    if (want == RG_EINVALID)
        ck_assert_msg(strstr(aws.message, "validation error") != NULL && strstr(aws.message, " must ") != NULL, "%s %s: %s", operation,
                      p->path, aws.message);
    ck_assert_uint_eq(aws_proposals(), 0);
    put(p, was);
    broken_n++;
}

/* With this value the shape is kept, whatever else becomes of the request. */
static void keeps(const struct place *p, json_t *value, const char *how)
{
    json_t *was = p->key == NULL ? json_array_get(p->parent, 0) : json_object_get(p->parent, p->key), *body;
    struct rg_errctx ctx = {.text = ""};
    char target[128];
    enum rg_err err = RG_EINTERNAL;

    json_incref(was);
    put(p, value);
    body = json_deep_copy(p->root);
    aws_target(operation, target);
    for (size_t s = 0; s < rg_aws_interface.n_services; s++)
        for (size_t i = 0; i < rg_aws_interface.services[s]->n; i++) {
            const struct rg_operation *op = &rg_aws_interface.services[s]->operations[i];

            if (strcmp(op->path, target) == 0)
                err = rg_shape_check(op->input, body, &ctx);
        }
    ck_assert_msg(err == RG_OK, "%s, %s %s: %s", operation, p->path, how, ctx.text);
    json_decref(body);
    put(p, was);
    kept_n++;
}

static json_t *repeated(const char *fill, long n)
{
    struct rg_buf out;
    json_t *json;

    rg_buf_init(&out, 1 << 20);
    for (long i = 0; i < n; i++)
        rg_buf_put_str(&out, fill);
    json = json_stringn(out.len > 0 ? (const char *)out.data : "", out.len);
    rg_buf_deinit(&out);
    return json;
}

static void break_string(const struct place *p, const char *name, const json_t *shape)
{
    const char *fill = "x", *fits = json_object_get(shape, "pattern") != NULL ? sample(name, &fill) : "x";
    long min = number(shape, "min", 0), max = number(shape, "max", 0);
    char wrong[300];

    if (json_object_get(shape, "enum") != NULL) {
        breaks(p, json_string("NOT_ONE_OF_THEM"), RG_EINVALID, "not in the enumeration");
        breaks(p, json_string(""), RG_EINVALID, "empty");
        return;
    }
    if (min > 0)
        breaks(p, repeated("x", min - 1), RG_EINVALID, "too short");
    if (max > 0)
        breaks(p, repeated(fill != NULL ? fill : "x", max + 1), RG_EINVALID, "too long");
    if (max > 0 && fill != NULL) /* in code points, not bytes */
        keeps(p, repeated(fill, max), "as long as may be");
    if (fill != NULL)
        keeps(p, repeated(fill, min), "as short as may be");
    if (json_object_get(shape, "pattern") == NULL)
        return;
    snprintf(wrong, sizeof wrong, "%s\x01", fits);
    breaks(p, json_string(wrong), RG_EINVALID, "with a control character");
    snprintf(wrong, sizeof wrong, "\x7f%s", fits);
    if (strcmp(name, "PermissionSetPolicyDocument") != 0)
        breaks(p, json_string(wrong), RG_EINVALID, "with DEL");
    snprintf(wrong, sizeof wrong, "%s\xee\x80\x80", fits);
    breaks(p, json_string(wrong), RG_EINVALID, "with a private character");
}

static void break_value(struct place *p, const char *name, bool required, bool one_of);

static void break_members(const struct place *p, const json_t *value, const json_t *shape)
{
    bool one_of = json_is_true(json_object_get(shape, "union"));
    const json_t *required = json_object_get(shape, "required"), *member;
    json_t *copy = json_deep_copy(value);
    const char *key;

    json_object_foreach(json_object_get(shape, "members"), key, member)
    {
        struct place inner = {.root = p->root, .parent = (json_t *)(uintptr_t)value, .key = key};
        bool needed = false;

        for (size_t i = 0; i < json_array_size(required); i++)
            needed |= strcmp(json_string_value(json_array_get(required, i)), key) == 0;
        snprintf(inner.path, sizeof inner.path, "%.200s.%.90s", p->path, key);
        if (one_of) { /* each alone */
            json_object_clear(inner.parent);
            json_object_set_new(inner.parent, key, fitting(text(member, "shape")));
        }
        break_value(&inner, text(member, "shape"), needed, one_of);
    }
    if (one_of) {
        json_object_clear((json_t *)(uintptr_t)value);
        json_object_update((json_t *)(uintptr_t)value, copy);
    }
    json_decref(copy);
}

static void break_list(const struct place *p, json_t *value, const json_t *shape)
{
    const char *element = text(json_object_get(shape, "member"), "shape");
    long min = number(shape, "min", 0), max = number(shape, "max", 0);
    struct place inner = {.root = p->root, .parent = value};
    json_t *many = json_array();

    if (min > 0)
        breaks(p, json_array(), RG_EINVALID, "empty");
    for (long i = 0; max > 0 && i < max; i++)
        json_array_append_new(many, fitting(element));
    if (max > 0)
        keeps(p, json_deep_copy(many), "as many as may be");
    json_array_append_new(many, fitting(element));
    if (max > 0)
        breaks(p, json_incref(many), RG_EINVALID, "too many");
    json_decref(many);
    snprintf(inner.path, sizeof inner.path, "%.290s[]", p->path);
    break_value(&inner, element, true, true);
}

static void break_map(const struct place *p, json_t *value, const json_t *shape)
{
    json_t *many = json_object();
    char key[60];

    breaks(p, json_object(), RG_EINVALID, "empty");
    for (long i = 0; i <= number(shape, "max", 0); i++) {
        snprintf(key, sizeof key, "aws:identitystore:%c", (char)('a' + i));
        json_object_set_new(many, key, json_integer(1));
    }
    breaks(p, many, RG_EINVALID, "too many");
    breaks(p, json_pack("{s:i}", "wrong key", 1), RG_EINVALID, "a key against the pattern");
    breaks(p, json_pack("{s:i}", "aws:identitystore:abcdefghijklmnopqrstuvwxyz", 1), RG_EINVALID, "a key too long");
    breaks(p, json_pack("{s:n}", "aws:identitystore:a"), RG_EMALFORMED, "null inside");
    (void)value;
}

static void break_type(const struct place *p, const json_t *shape)
{
    const struct {
        json_t *value;
        bool fits;
    } others[] = {
        {json_string("x"), is(shape, "string")},
        {json_integer(7), is(shape, "integer")},
        {json_real(1.5), false},
        {json_false(), is(shape, "boolean")},
        {json_array(), is(shape, "list")},
        {json_object(), is(shape, "structure") || is(shape, "map")},
    };

    for (size_t i = 0; i < RG_LEN(others); i++)
        if (others[i].fits)
            json_decref(others[i].value);
        else
            breaks(p, others[i].value, RG_EMALFORMED, "of another type");
}

/* alone: null is no way to leave it out (a list's element, a union's member). */
static void break_value(struct place *p, const char *name, bool required, bool alone)
{
    const json_t *shape = shape_of(name);
    json_t *value = p->key != NULL ? json_object_get(p->parent, p->key) : json_array_get(p->parent, 0);

    ck_assert_msg(value != NULL, "%s", p->path);
    if (alone)
        breaks(p, json_null(), RG_EMALFORMED, "null");
    else if (required) {
        breaks(p, NULL, RG_EINVALID, "missing");
        breaks(p, json_null(), RG_EINVALID, "null");
    } else {
        keeps(p, NULL, "absent");
        keeps(p, json_null(), "null");
    }
    if (json_is_true(json_object_get(shape, "document")))
        return;
    break_type(p, shape);
    if (is(shape, "string"))
        break_string(p, name, shape);
    else if (is(shape, "structure"))
        break_members(p, value, shape);
    else if (is(shape, "list"))
        break_list(p, value, shape);
    else if (is(shape, "map"))
        break_map(p, value, shape);
    else if (is(shape, "integer")) {
        breaks(p, json_integer(number(shape, "min", 0) - 1), RG_EINVALID, "too small");
        breaks(p, json_integer(number(shape, "max", 0) + 1), RG_EINVALID, "too big");
        breaks(p, json_integer(INT64_MAX), RG_EMALFORMED, "past 32 bits");
        keeps(p, json_integer(number(shape, "max", 0)), "as big as may be");
    }
}

/* ---- the other way round: a table has nothing that its model has not ---- */

static bool beyond_model(const char *name, const char *member)
{
    return (strcmp(name, "CreateUser") == 0 && (strcmp(member, "UserStatus") == 0 || strcmp(member, "ExternalIds") == 0)) ||
           (strcmp(name, "CreateGroup") == 0 && strcmp(member, "ExternalIds") == 0);
}

static void check_table(const struct rg_operation *op, const json_t *members)
{
    unsigned n = 0;

    for (const struct rg_shape *m = op->input; m->name != NULL; m++) {
        n += json_object_get(members, m->name) != NULL;
        ck_assert_msg(json_object_get(members, m->name) != NULL || beyond_model(operation, m->name), "%s.%s", operation, m->name);
    }
    ck_assert_msg(n == json_object_size(members), "%s has %u of %zu members", operation, n, json_object_size(members));
}

static void walk(const char *file, const struct rg_service *service)
{
    const struct rg_operation *operations = service->operations;
    size_t n = service->n;
    json_t *root = shared_json(file);
    const json_t *model = json_object_get(root, "service-2");
    const char *prefix;

    if (root == NULL)
        return;
    shapes = json_object_get(model, "shapes");
    prefix = text(json_object_get(model, "metadata"), "targetPrefix");
    for (size_t i = 0; i < n; i++) {
        struct place top = {.key = NULL};
        const char *input, *key;
        const json_t *shape, *member;

        ck_assert_int_eq(strncmp(operations[i].path, prefix, strlen(prefix)), 0);
        operation = operations[i].path + strlen(prefix) + 1;
        input = text(json_object_get(json_object_get(json_object_get(model, "operations"), operation), "input"), "shape");
        shape = shape_of(input);
        top.root = fitting(input);
        check_table(&operations[i], json_object_get(shape, "members"));
        json_object_foreach(json_object_get(shape, "members"), key, member)
        {
            struct place p = {.root = top.root, .parent = top.root, .key = key};
            bool required = false;
            size_t k;
            json_t *name;

            json_array_foreach(json_object_get(shape, "required"), k, name)
            {
                required |= strcmp(json_string_value(name), key) == 0;
            }
            snprintf(p.path, sizeof p.path, "%s", key);
            break_value(&p, text(member, "shape"), required, false);
        }
        json_decref(top.root);
    }
    printf("%s: %zu operations, %u bodies broken, %u kept\n", prefix, n, broken_n, kept_n);
    ck_assert_uint_gt(broken_n, 500);
    ck_assert_uint_gt(kept_n, 100);
    json_decref(root);
}

static void setup(void)
{
    aws_open(&aws);
    broken_n = kept_n = 0;
}
static void teardown(void) { aws_close(&aws); }

CASE(.setup = setup, .teardown = teardown, .seconds = 120);

TEST(test_identitystore)
{
    walk("aws-api-models/identitystore.json.gz", &rg_identitystore_service);
}

TEST(test_ssoadmin)
{
    walk("aws-api-models/sso-admin.json.gz", &rg_ssoadmin_service);
}
