/* raft/part/marked: what the mark says of the data directory that is there. */
#include "raft/part/marked.h"
#include "tests/lib/check_main.h"

static const struct rg_incarnation this = {{1}}, other = {{2}};

/* Mark and directory, and what comes of it. */
static const struct {
    const char *name;
    bool there;
    const char *cluster;
    uint64_t node, starts, sequence; /* of the mark */
    const struct rg_incarnation *incarnation;
    enum rg_marked_says says;
} cases[] = {
    {"no mark", false, "c", 3, 5, 9, &this, RG_MARKED_NONE},
    {"the same", true, "c", 3, 5, 9, &this, RG_MARKED_FITS},
    {"a crash between the two", true, "c", 3, 5, 10, &this, RG_MARKED_FINISH},
    {"two saves ahead", true, "c", 3, 5, 11, &this, RG_MARKED_AHEAD},
    {"far ahead", true, "c", 3, 50, 900, &this, RG_MARKED_AHEAD},
    {"the mark is older", true, "c", 3, 5, 8, &this, RG_MARKED_BEHIND},
    {"another life", true, "c", 3, 5, 9, &other, RG_MARKED_LIFE},
    {"another life, under a new id", true, "c", 17, 1, 2, &other, RG_MARKED_LIFE},
    {"a life that never began", true, "c", 3, 0, 1, &other, RG_MARKED_NONE},
    {"another cluster", true, "d", 3, 5, 9, &other, RG_MARKED_FOREIGN},
    {"one directory under two ids", true, "c", 4, 5, 9, &this, RG_MARKED_FOREIGN},
};

LOOP(what_the_mark_says, RG_LEN(cases))
{
    struct rg_meta meta = {.cluster_id = "c", .region = "r", .node_id = 3, .starts = 5, .incarnation = this};
    struct rg_marked marked = {.there = cases[_i].there, .sequence = cases[_i].sequence,
                               .meta = {.region = "r", .node_id = cases[_i].node, .starts = cases[_i].starts,
                                        .incarnation = *cases[_i].incarnation}};

    strcpy(marked.meta.cluster_id, cases[_i].cluster);
    ck_assert_msg(rg_marked_judge(&meta, 9, &marked) == cases[_i].says, "%s", cases[_i].name);
}

static const struct {
    const char *name;
    struct rg_held held;
    uint64_t last, term;
    bool lost;
} logs[] = {
    {"nothing is held", {.index = 0}, 0, 0, false},
    {"of another directory", {{{2}}, 50, 7}, 10, 0, false},
    {"it is there", {{{1}}, 50, 7}, 60, 7, false},
    {"it is the last one", {{{1}}, 50, 7}, 50, 7, false},
    {"the log begins behind it", {{{1}}, 50, 7}, 90, 0, false},
    {"the log ends before it", {{{1}}, 50, 7}, 49, 0, true},
    {"the log is empty", {{{1}}, 50, 7}, 0, 0, true},
    {"another entry is there", {{{1}}, 50, 7}, 60, 6, true},
};

LOOP(what_the_log_has_lost, RG_LEN(logs))
{
    ck_assert_msg(rg_held_lost(&logs[_i].held, &this, logs[_i].last, logs[_i].term) == logs[_i].lost, "%s", logs[_i].name);
}
