/* raft/lives: a later life takes the place of an earlier one, and never the other way round. */
#include "raft/lives.h"
#include "tests/lib/check_main.h"

static const struct {
    const char *name;
    struct rg_life known, said;
    enum rg_life_order want;
} cases[] = {
    {"nothing is known", {0, 0}, {1, 7}, RG_LIFE_LATER},
    {"nothing is known, and nothing said", {0, 0}, {0, 7}, RG_LIFE_LATER},
    {"the same", {3, 7}, {3, 7}, RG_LIFE_SAME},
    {"the next start", {3, 7}, {4, 9}, RG_LIFE_LATER},
    {"the start before", {3, 7}, {2, 9}, RG_LIFE_EARLIER},
    {"the start before, of the same number", {3, 7}, {2, 7}, RG_LIFE_EARLIER},
    {"another process of the same start", {3, 7}, {3, 9}, RG_LIFE_TWIN},
};

LOOP(lives_are_compared, RG_LEN(cases))
{
    ck_assert_msg(rg_life_cmp(&cases[_i].known, &cases[_i].said) == cases[_i].want, "%s", cases[_i].name);
}

static const struct rg_incarnation one = {{1}}, other = {{2}};

TEST(a_directory_has_its_own_lives)
{
    struct rg_lives lives = {.n = 0};

    ck_assert(rg_lives_set(&lives, 5, &one, &(struct rg_life){3, 7}));
    ck_assert_uint_eq(rg_lives_get(&lives, 5, &one).boot, 7);
    ck_assert_uint_eq(rg_lives_get(&lives, 5, &other).start, 0);
    ck_assert_uint_eq(rg_lives_get(&lives, 6, &one).start, 0);
    ck_assert(rg_lives_set(&lives, 5, &other, &(struct rg_life){1, 8})); /* in its place */
    ck_assert_uint_eq(lives.n, 1);
    ck_assert_uint_eq(rg_lives_get(&lives, 5, &one).start, 0);
    ck_assert_uint_eq(rg_lives_get(&lives, 5, &other).start, 1);
}

TEST(as_many_are_kept_as_there_are_members)
{
    struct rg_members members = {.n = RG_PEERS_MAX};
    struct rg_lives lives = {.n = 0};

    for (unsigned i = 0; i < RG_PEERS_MAX; i++)
        members.peers[i].id = i + 1;
    for (uint64_t id = 1; id <= RG_LIVES_MAX; id++)
        ck_assert(rg_lives_set(&lives, id + 1, &one, &(struct rg_life){id, id}));
    ck_assert(!rg_lives_set(&lives, 1, &one, &(struct rg_life){1, 1}));
    rg_lives_keep(&lives, &members, 1);
    ck_assert_uint_eq(lives.n, RG_LIVES_MAX - 1); /* the one that is no member is gone */
    ck_assert(rg_lives_set(&lives, 1, &one, &(struct rg_life){1, 1}));
    rg_lives_keep(&lives, &(struct rg_members){.n = 0}, 9);
    ck_assert_uint_eq(lives.n, 1);
    ck_assert_uint_eq(rg_lives_get(&lives, 9, &one).start, 8);
}

TEST(their_bytes_come_back_and_others_are_refused)
{
    struct rg_lives in = {.n = 0}, out;
    struct rg_buf buf;

    rg_buf_init(&buf, 4096);
    ck_assert_int_eq(rg_lives_decode(rg_buf_span(&buf), &out), RG_OK);
    ck_assert_uint_eq(out.n, 0);
    for (uint64_t id = 1; id <= RG_LIVES_MAX; id++)
        ck_assert(rg_lives_set(&in, id, &one, &(struct rg_life){id + 1, UINT64_MAX - id}));
    rg_lives_encode(&in, &buf);
    ck_assert_int_eq(rg_lives_decode(rg_buf_span(&buf), &out), RG_OK);
    ck_assert_uint_eq(out.n, in.n);
    ck_assert_mem_eq(out.rows, in.rows, sizeof in.rows);
    for (size_t cut = 1; cut < buf.len; cut++)
        ck_assert(rg_lives_decode(rg_span(buf.data, buf.len - cut), &out) == (cut % 40 == 0 ? RG_OK : RG_EMALFORMED));
    rg_lives_encode(&(struct rg_lives){.n = 1, .rows = {in.rows[0]}}, &buf);
    ck_assert_int_eq(rg_lives_decode(rg_buf_span(&buf), &out), RG_EMALFORMED); /* one too many */
    ck_assert_int_eq(rg_lives_decode(rg_span(buf.data + buf.len - 80, 80), &out), RG_OK);
    memcpy(buf.data + buf.len - 80, buf.data + buf.len - 40, 40); /* an id twice */
    ck_assert_int_eq(rg_lives_decode(rg_span(buf.data + buf.len - 80, 80), &out), RG_EMALFORMED);
    memset(buf.data + 8, 0, 16);
    ck_assert_int_eq(rg_lives_decode(rg_span(buf.data, 40), &out), RG_EMALFORMED); /* of no directory */
    rg_buf_deinit(&buf);
}
