/* cmd/config/yaml_rows: a file becomes rows, and what is not one of ours is refused with its line. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "cmd/config/yaml_rows.h"
#include "tests/lib/check_main.h"

static struct rg_errctx ctx;

/* The rows as "path=value@line path=value@line", or the error's text. */
static const char *read_as(const char *text, size_t n)
{
    static char out[4096];
    struct rg_yaml yaml;

    out[0] = '\0';
    if (rg_yaml_parse("f", rg_span(text, n), &yaml, &ctx) != RG_OK) {
        ck_assert_ptr_null(yaml.rows);
        return ctx.text;
    }
    for (size_t i = 0; i < yaml.n; i++)
        snprintf(out + strlen(out), sizeof out - strlen(out), "%s%s=%s@%u", i > 0 ? " " : "", yaml.rows[i].path, yaml.rows[i].value,
                 yaml.rows[i].line);
    rg_yaml_deinit(&yaml);
    return out;
}

static const struct {
    const char *name, *text, *want;
} files[] = {
    {"fields", "a: 1\nb: two words\n", "a=1@1 b=two words@2"},
    {"a mapping inside", "listen:\n  https: h:1\n  link: h:2\nz: 3\n", "listen.https=h:1@2 listen.link=h:2@3 z=3@4"},
    {"in one line", "tls: {ca: x, key: y}\nz: 3", "tls.ca=x@1 tls.key=y@1 z=3@2"},
    {"a list of texts", "a: [x, y]\nz: 1", "a[0]=x@1 a[1]=y@1 z=1@2"},
    {"a list of mappings", "peers:\n  - {id: 1, role: voter}\n  - {id: 2}\nz: 1", "peers[0].id=1@2 peers[0].role=voter@2 peers[1].id=2@3 z=1@4"},
    {"a list in a list", "a: [[1, 2], [3]]\n", "a[0][0]=1@1 a[0][1]=2@1 a[1][0]=3@1"},
    {"nothing", "", ""},
    {"a comment", "# nothing\n", ""},
    {"an empty value", "a:\nb: ''\n", "a=@1 b=@2"},
    {"quoted", "a: 'it''s'\nb: \"\\u00e9\"\n", "a=it's@1 b=\xc3\xa9@2"},
    {"given twice", "a: 1\nb: 2\na: 3\n", "f:3: a: given twice, first on line 1"},
    {"given twice, deep down", "a: {b: 1, b: 1}\n", "f:1: a.b: given twice, first on line 1"},
    {"a mapping twice", "a: {x: 1}\nb: 2\na: {y: 2}\n", "f:3: a: given twice, first on line 1"},
    {"a mapping twice, deep down", "a:\n  b: {x: 1}\n  b: {y: 2}\n", "f:3: a.b: given twice, first on line 2"},
    {"a list twice", "a: [x]\na: [y]\n", "f:2: a: given twice, first on line 1"},
    {"a list, then a mapping", "a: [x]\na: {y: 2}\n", "f:2: a: given twice, first on line 1"},
    {"a value, then a mapping", "a: 1\na: {y: 2}\n", "f:2: a: given twice, first on line 1"},
    {"a mapping, then a value", "a: {b: {c: 1}}\na: 2\n", "f:2: a: given twice, first on line 1"},
    {"an empty mapping, then a full one", "a: {}\na: {y: 2}\n", "f:2: a: given twice, first on line 1"},
    {"a full list, then an empty one", "a: [x]\na: []\n", "f:2: a: given twice, first on line 1"},
    {"a name in two mappings", "a: {x: {z: 1}}\nb: {x: {z: 2}}\n", "a.x.z=1@1 b.x.z=2@2"},
    {"a name that begins as another", "ab: {x: 1}\na: {x: 2}\n", "ab.x=1@1 a.x=2@2"},
    {"a name with a dot beside a mapping", "a.b: 1\na: {c: 2}\na.d: 3\n", "a.b=1@1 a.c=2@2 a.d=3@3"},
    {"a name with a dot, again in a mapping", "a.b: 1\na: {b: 2}\n", "f:2: a.b: given twice, first on line 1"},
    {"a name of nothing", "b: 1\n'': {x: 1}\n", "b=1@1 x=1@2"},
    {"a value of no name", "b: 1\n'': 2\n", "b=1@1 =2@2"},
    {"empty ones", "a: {}\nb: [ ]\nc: [{}, []]\nd: 1\n", "a=@1 b=@2 c[0]=@3 c[1]=@3 d=1@4"},
    {"an empty file of fields", "{}\n", ""},
    {"an alias", "a: &x 1\nb: *x\n", "f:2: aliases are not taken"},
    {"a text alone", "hello\n", "f:1: the file must be a mapping of fields"},
    {"a list alone", "- 1\n", "f:1: a list stands where a field is expected"},
    {"a mapping for a name", "? {a: 1}\n: 2\n", "f:1: a field's name must be plain text"},
    {"a list for a name", "? [a]\n: 2\n", "f:1: a list stands where a field is expected"},
    {"eight deep", "a: {b: {c: {d: {e: {f: {g: 1}}}}}}\n", "a.b.c.d.e.f.g=1@1"},
    {"nine deep", "a: {b: {c: {d: {e: {f: {g: {h: {i: 1}}}}}}}}\n", "f:1: nested too deeply"},
    {"a tab", "a:\n\tb: 1\n", "f:2: found character that cannot start any token"},
};

LOOP(files_become_rows, RG_LEN(files))
{
    ck_assert_msg(strcmp(read_as(files[_i].text, strlen(files[_i].text)), files[_i].want) == 0, "%s: %s", files[_i].name,
                  read_as(files[_i].text, strlen(files[_i].text)));
}

TEST(a_nul_is_in_no_value)
{
    static const char text[] = "a: \"x\\0y\"\n";

    ck_assert_str_eq(read_as(text, sizeof text - 1), "f:1: a NUL in a value");
}

TEST(names_and_values_have_bounds)
{
    const size_t name_max = sizeof((struct rg_yaml_row *)0)->path - 1, value_max = sizeof((struct rg_yaml_row *)0)->value - 1;
    char text[4096], many[1200];
    struct rg_yaml yaml;

    memset(many, 'x', sizeof many);
    snprintf(text, sizeof text, "%.*s: %.*s\n", (int)name_max, many, (int)value_max, many);
    ck_assert_int_eq(rg_yaml_parse("f", rg_span_str(text), &yaml, &ctx), RG_OK);
    ck_assert_uint_eq(strlen(yaml.rows[0].path), name_max);
    ck_assert_uint_eq(strlen(yaml.rows[0].value), value_max);
    rg_yaml_deinit(&yaml);
    snprintf(text, sizeof text, "%.*s: 1\n", (int)name_max + 1, many);
    ck_assert_str_eq(read_as(text, strlen(text)), "f:1: the field's name is too long");
    snprintf(text, sizeof text, "a: %.*s\n", (int)value_max + 1, many);
    ck_assert_str_eq(read_as(text, strlen(text)), "f:1: a: the value is too long");
}

TEST(rows_have_a_bound)
{
    RG_AUTO_BUF struct rg_buf text = {.max = 0};
    struct rg_yaml yaml;

    rg_buf_init(&text, 1 << 20);
    for (unsigned i = 0; i < RG_YAML_ROWS_MAX; i++)
        rg_buf_printf(&text, "k%u: v\n", i);
    ck_assert_int_eq(rg_yaml_parse("f", rg_buf_span(&text), &yaml, &ctx), RG_OK);
    ck_assert_uint_eq(yaml.n, RG_YAML_ROWS_MAX);
    rg_yaml_deinit(&yaml);
    rg_buf_put_str(&text, "more: v\n");
    ck_assert_int_eq(rg_yaml_parse("f", rg_buf_span(&text), &yaml, &ctx), RG_EMALFORMED);
    ck_assert_str_eq(ctx.text, "f:2049: too many fields");
}

TEST(what_nobody_asked_for_is_found)
{
    struct rg_yaml yaml;

    ck_assert_int_eq(rg_yaml_parse("f", rg_span_str("a: 1\nb: {c: 2, d: 3}\n"), &yaml, &ctx), RG_OK);
    ck_assert_ptr_null(rg_yaml_get(&yaml, "b"));
    ck_assert_str_eq(rg_yaml_get(&yaml, "b.c")->value, "2");
    ck_assert_str_eq(rg_yaml_unused(&yaml)->path, "a");
    ck_assert_ptr_nonnull(rg_yaml_get(&yaml, "a"));
    ck_assert_str_eq(rg_yaml_unused(&yaml)->path, "b.d");
    ck_assert_ptr_nonnull(rg_yaml_get(&yaml, "b.d"));
    ck_assert_ptr_null(rg_yaml_unused(&yaml));
    rg_yaml_deinit(&yaml);
}

static const struct {
    const char *text, *ask, *unused; /* unused NULL: none */
} empties[] = {
    {"peerz: {}\n", "peers[0].id", "peerz"},
    {"peers: {}\n", "peerz[0].id", "peers"},
    {"peer: []\n", "peers[0].id", "peer"},
    {"peers: []\n", "peers[0].id", NULL},
    {"raft: {}\n", "raft.heartbeat_ms", NULL},
    {"raft: {}\n", "raft", NULL},
    {"raft: {election: {}}\n", "raft.election_ms", "raft.election"},
    {"raft: 1\n", "raft.heartbeat_ms", "raft"}, /* a value is no mapping */
    {"raft: {}\nlog: {}\n", "raft.heartbeat_ms", "log"},
};

LOOP(an_empty_one_is_absent_and_its_name_is_looked_at, RG_LEN(empties))
{
    const struct rg_yaml_row *row;
    struct rg_yaml yaml;

    ck_assert_int_eq(rg_yaml_parse("f", rg_span_str(empties[_i].text), &yaml, &ctx), RG_OK);
    ck_assert_ptr_null(rg_yaml_get(&yaml, empties[_i].ask));
    row = rg_yaml_unused(&yaml);
    ck_assert_msg((row == NULL) == (empties[_i].unused == NULL), "%s", empties[_i].text);
    if (row != NULL)
        ck_assert_str_eq(row->path, empties[_i].unused);
    rg_yaml_deinit(&yaml);
}

static const char *read_secret_as(const char *text)
{
    static char out[4096];
    struct rg_yaml yaml;

    out[0] = '\0';
    if (rg_yaml_parse_secret("f", rg_span_str(text), &yaml, &ctx) != RG_OK) {
        ck_assert_ptr_null(yaml.rows);
        return ctx.text;
    }
    for (size_t i = 0; i < yaml.n; i++)
        snprintf(out + strlen(out), sizeof out - strlen(out), "%s%s=%s@%u", i > 0 ? " " : "", yaml.rows[i].path, yaml.rows[i].value,
                 yaml.rows[i].line);
    rg_yaml_deinit(&yaml);
    return out;
}

static const char plain_only[] = "in a file of secrets a value is plain or quoted, on one line, without escapes or tags";
static const struct {
    const char *name, *text, *want;
} secrets[] = {
    {"plain, both quotes", "a: 1.5\nb: 'x: y # z'\nc: \"~+/=.^<$;\"\n", "a=1.5@1 b=x: y # z@2 c=~+/=.^<$;@3"},
    {"a mapping inside, in one line", "# made by us\n---\nadmin: {key: AKIA/x+y==, 'token': t}\n", "admin.key=AKIA/x+y==@3 admin.token=t@3"},
    {"a comment behind, spaces", "a:   word two   # why\nb: ''\nc:\n", "a=word two@1 b=@2 c=@3"},
    {"a list", "a: [x, 'y']\n", "a[0]=x@1 a[1]=y@1"},
    {"given twice", "a: 1\na: 2\n", "f:2: a: given twice, first on line 1"},
    {"names that mask the same", "ab: 1\ncd: 2\n", "ab=1@1 cd=2@2"},
    {"a quote in a quote", "a: 'it''s'\n", plain_only},
    {"a block", "a: |\n  x\n", plain_only},
    {"over two lines", "a: x\n  y\n", plain_only},
    {"a tag", "a: !!str x\n", plain_only},
    {"an alias", "a: &x 1\nb: *x\n", plain_only},
    {"an escape", "a: \"\\x41\"\n", "f:1: a file of secrets has no escapes"},
    {"beyond ASCII", "a: 1\nb: \xc3\xa9\n", "f:2: a file of secrets has no escapes"},
};

LOOP(a_file_of_secrets, RG_LEN(secrets))
{
    const char *got = read_secret_as(secrets[_i].text);

    ck_assert_msg(strstr(got, secrets[_i].want) != NULL, "%s: %s", secrets[_i].name, got);
}

/* Whatever is in the values: libyaml's mask has the same structure as the file. Held against libyaml over the file itself. */
TEST(the_mask_changes_nothing)
{
    static const char letters[] = "abXY019 :{}[],'\"#&*!|>%@`?-\n.=/+";
    uint32_t x = 99;

    for (unsigned round = 0; round < 20000; round++) {
        char text[24], masked[4096];
        size_t n = 1 + (x = x * 1664525u + 1013904223u) / 7 % (sizeof text - 1);

        for (size_t i = 0; i < n; i++)
            text[i] = letters[((x = x * 1664525u + 1013904223u) >> 8) % (sizeof letters - 1)];
        text[n - 1] = '\0';
        snprintf(masked, sizeof masked, "%s", read_secret_as(text));
        if (strncmp(masked, "f:", 2) != 0) /* what is taken is what libyaml itself takes */
            ck_assert_msg(strcmp(masked, read_as(text, n - 1)) == 0, "%s: %s, and not %s", text, masked, read_as(text, n - 1));
    }
}
