/* raft/part/append: what a leader sends against what is applied here. */
#include "raft/part/append.h"
#include "tests/lib/check_main.h"

#define E1 (UINT64_C(1) << 32)
#define E2 (UINT64_C(2) << 32)

/* Applied up to 50 in term E1+3; a snapshot at 40 of term E1+2; the log begins at 31. */
static const struct rg_append_here here = {
    .applied_index = 50, .applied_term = E1 + 3, .snap_index = 40, .snap_term = E1 + 2, .first_index = 31};
static struct rg_entry entries[30];

/* n entries behind prev of terms that go along with what is here: up to 40 E1+2, then E1+3. */
static struct rg_msg_append append(uint64_t prev, size_t n)
{
    struct rg_msg_append m = {.term = E1 + 3, .prev_index = prev, .prev_term = prev <= 40 ? E1 + 2 : E1 + 3, .entries = entries, .n = n};

    for (size_t i = 0; i < n; i++)
        entries[i] = (struct rg_entry){.term = prev + 1 + i <= 40 ? E1 + 2 : E1 + 3, .type = RG_ENTRY_COMMAND};
    return m;
}

static const struct {
    const char *name;
    uint64_t prev, prev_term;
    size_t n, at; /* entry `at` (0: none) is of this term: */
    uint64_t term;
    bool contradicts;
} contradictions[] = {
    {"it goes along", 35, E1 + 2, 20, 0, 0, false},
    {"behind what is applied everything may be", 50, E2, 5, 51, E2, false},
    {"the entry before is of a later term", 49, E2, 0, 0, 0, true},
    {"an applied entry is of a later term", 45, E1 + 3, 10, 48, E2, true},
    {"the last applied entry is of a later term", 45, E1 + 3, 10, 50, E2, true},
    {"the first that is not applied may be", 45, E1 + 3, 10, 51, E2, false},
    {"the snapshot's entry is of another term", 35, E1 + 2, 10, 40, E1 + 1, true},
    {"one before the snapshot's may be: nobody knows", 35, E1 + 2, 10, 39, E1 + 1, false},
};

LOOP(a_contradiction, RG_LEN(contradictions))
{
    struct rg_msg_append m = append(contradictions[_i].prev, contradictions[_i].n);

    m.prev_term = contradictions[_i].prev_term;
    if (contradictions[_i].at > 0)
        entries[contradictions[_i].at - m.prev_index - 1].term = contradictions[_i].term;
    ck_assert_msg(rg_append_contradicts(&here, &m) == contradictions[_i].contradicts, "%s", contradictions[_i].name);
}

/* A leader that looks for where the logs agree sends no entries: its predecessor's term is enough. */
TEST(another_entry_before)
{
    static const struct {
        uint64_t prev, own;
        bool contradicts;
    } cases[] = {{45, E1 + 3, false}, {45, E1 + 2, true}, {45, 0, false}, {50, E1 + 2, true}, {51, E1 + 2, false}, {0, 0, false}};

    for (size_t i = 0; i < RG_LEN(cases); i++) {
        struct rg_append_here h = here;
        struct rg_msg_append m = append(cases[i].prev, 0);

        h.prev_term = cases[i].own;
        if (cases[i].prev == 0)
            m.prev_term = 0;
        ck_assert_msg(rg_append_contradicts(&h, &m) == cases[i].contradicts, "case %zu", i);
    }
}

static const struct {
    const char *name;
    uint64_t prev;
    size_t n;
    uint64_t term;
    bool may;
    uint64_t prev_after;
    size_t n_after;
} trims[] = {
    {"its predecessor is in the log", 31, 20, E1 + 3, true, 31, 20},
    {"behind the snapshot", 45, 10, E1 + 3, true, 45, 10},
    {"at the snapshot", 40, 10, E1 + 3, true, 40, 10},
    {"over the snapshot's entry: it begins behind it", 20, 25, E1 + 3, true, 40, 5},
    {"up to the snapshot's entry", 20, 20, E1 + 3, true, 40, 0},
    {"below it, of the same epoch: it has it", 20, 10, E1 + 9, true, 40, 0},
    {"below it, of another epoch: nobody knows", 20, 10, E2, false, 20, 10},
    {"over it, of another epoch: it shows its entry", 20, 25, E2, true, 40, 5},
    {"from the beginning", 0, 10, E1 + 3, true, 40, 0},
};

LOOP(a_trim, RG_LEN(trims))
{
    struct rg_msg_append m = append(trims[_i].prev, trims[_i].n);

    m.term = trims[_i].term;
    ck_assert_msg(rg_append_trim(&here, &m) == trims[_i].may, "%s", trims[_i].name);
    ck_assert_uint_eq(m.prev_index, trims[_i].prev_after);
    ck_assert_uint_eq(m.n, trims[_i].n_after);
    if (m.prev_index != trims[_i].prev) {
        ck_assert_uint_eq(m.prev_term, here.snap_term);
        ck_assert(m.n == 0 || m.entries == entries + (here.snap_index - trims[_i].prev));
    }
}

TEST(a_log_without_a_snapshot_trims_nothing)
{
    const struct rg_append_here empty = {.first_index = 1};
    struct rg_msg_append m = append(0, 3);

    ck_assert(rg_append_trim(&empty, &m) && m.n == 3 && m.prev_index == 0);
    ck_assert(!rg_append_contradicts(&empty, &m));
}

TEST(a_change_is_the_first_of_its_part)
{
    static const size_t sizes[] = {2, 1, 3}; /* 0 1 | C | C 4 5 */
    struct rg_msg_append m = append(50, 6), part;
    size_t done = 0;

    entries[2].type = entries[3].type = RG_ENTRY_CHANGE;
    for (size_t i = 0; i < RG_LEN(sizes); i++) {
        part = rg_append_part(&m, done);
        ck_assert_uint_eq(part.n, sizes[i]);
        ck_assert_uint_eq(part.prev_index, 50 + done);
        ck_assert_uint_eq(part.prev_term, E1 + 3);
        ck_assert_ptr_eq(part.entries, entries + done);
        for (size_t k = 1; k < part.n; k++)
            ck_assert_int_ne(part.entries[k].type, RG_ENTRY_CHANGE);
        done += part.n;
    }
    ck_assert_uint_eq(done, m.n);
    ck_assert_uint_eq(rg_append_part(&m, done).n, 0); /* a heartbeat has one part, without entries */
}
