/* raft/lives.c: which life of each node this one has dealt with. */
#include "raft/lives.h"

enum { ROW_BYTES = 8 + 16 + 8 + 8 };
_Static_assert(sizeof(struct rg_incarnation) == 16, "in every node's metadata");
_Static_assert(RG_LIVES_MAX >= RG_PEERS_MAX, "every member has room");
_Static_assert(sizeof(struct rg_life_row) == ROW_BYTES, "a row is written whole");

enum rg_life_order rg_life_cmp(const struct rg_life *known, const struct rg_life *said)
{
    if (known->start == 0)
        return RG_LIFE_LATER;
    if (said->start != known->start)
        return said->start > known->start ? RG_LIFE_LATER : RG_LIFE_EARLIER;
    return said->boot == known->boot ? RG_LIFE_SAME : RG_LIFE_TWIN;
}

static const struct rg_life_row *find(const struct rg_lives *lives, uint64_t id)
{
    RG_ASSERT(lives->n <= RG_LIVES_MAX);
    RG_ASSERT(id != 0);
    for (size_t i = 0; i < lives->n; i++)
        if (lives->rows[i].id == id)
            return &lives->rows[i];
    return NULL;
}

struct rg_life rg_lives_get(const struct rg_lives *lives, uint64_t id, const struct rg_incarnation *incarnation)
{
    const struct rg_life_row *row = find(lives, id);

    RG_ASSERT(row == NULL || row->life.start != 0);
    return row != NULL && rg_incarnation_equal(&row->incarnation, incarnation) ? row->life : (struct rg_life){0};
}

bool rg_lives_set(struct rg_lives *lives, uint64_t id, const struct rg_incarnation *incarnation, const struct rg_life *life)
{
    const struct rg_life_row *row = find(lives, id);
    size_t at = row != NULL ? (size_t)(row - lives->rows) : lives->n;

    RG_ASSERT(life->start != 0);
    RG_ASSERT(rg_incarnation_known(incarnation));
    RG_ASSERT(row == NULL || !rg_incarnation_equal(&row->incarnation, incarnation) || rg_life_cmp(&row->life, life) == RG_LIFE_LATER);
    if (at == RG_LIVES_MAX)
        return false;
    lives->rows[at] = (struct rg_life_row){.id = id, .incarnation = *incarnation, .life = *life};
    lives->n = RG_MAX(lives->n, at + 1);
    RG_ASSERT(lives->n <= RG_LIVES_MAX);
    return true;
}

void rg_lives_keep(struct rg_lives *lives, const struct rg_members *members, uint64_t also)
{
    size_t n = 0;

    RG_ASSERT(lives->n <= RG_LIVES_MAX);
    for (size_t i = 0; i < lives->n; i++)
        if (lives->rows[i].id == also || rg_members_find(members, lives->rows[i].id) != NULL)
            lives->rows[n++] = lives->rows[i];
    RG_ASSERT(n <= members->n + (also != 0)); /* an id has one row */
    lives->n = n;
}

void rg_lives_encode(const struct rg_lives *lives, struct rg_buf *out)
{
    size_t begin = out->len;

    RG_ASSERT(lives->n <= RG_LIVES_MAX);
    for (size_t i = 0; i < lives->n; i++) {
        const struct rg_life_row *row = &lives->rows[i];

        rg_buf_put_u64(out, row->id);
        rg_buf_put(out, row->incarnation.b, sizeof row->incarnation.b);
        rg_buf_put_u64(out, row->life.start);
        rg_buf_put_u64(out, row->life.boot);
    }
    RG_ASSERT(out->err || out->len - begin == lives->n * ROW_BYTES);
}

enum rg_err rg_lives_decode(struct rg_span bytes, struct rg_lives *ret_lives)
{
    struct rg_lives lives = {.n = 0};
    struct rg_cursor cur;

    if (bytes.n % ROW_BYTES != 0 || bytes.n / ROW_BYTES > RG_LIVES_MAX)
        return RG_EMALFORMED;
    rg_cursor_init(&cur, bytes);
    for (size_t i = 0; i < bytes.n / ROW_BYTES; i++) {
        struct rg_life_row row = {.id = rg_cursor_u64(&cur)};
        struct rg_span incarnation = rg_cursor_bytes(&cur, sizeof row.incarnation.b);

        RG_ASSERT(!cur.bad);
        memcpy(row.incarnation.b, incarnation.p, sizeof row.incarnation.b);
        row.life.start = rg_cursor_u64(&cur);
        row.life.boot = rg_cursor_u64(&cur);
        if (row.id == 0 || row.life.start == 0 || find(&lives, row.id) != NULL || !rg_incarnation_known(&row.incarnation) ||
            !rg_lives_set(&lives, row.id, &row.incarnation, &row.life))
            return RG_EMALFORMED;
    }
    RG_ASSERT(lives.n == bytes.n / ROW_BYTES);
    *ret_lives = lives;
    return RG_OK;
}
