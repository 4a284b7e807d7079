/* raft/room: from where on a node is full, and from where on it is not any more. */
#include "raft/room.h"
#include "store/db/command.h"
#include "tests/lib/check_main.h"

#define MIB UINT64_C(1048576)

static const struct {
    const char *name;
    struct rg_room room;
    unsigned before, full;
} rows[] = {
    {"nothing is known", {0}, 0, 0},
    {"nothing is known: it was full", {0}, RG_FULL_ALL, 0},
    {"84 %", {.state_bytes = 84 * MIB, .state_bytes_max = 100 * MIB}, 0, 0},
    {"85 %", {.state_bytes = 85 * MIB, .state_bytes_max = 100 * MIB}, 0, RG_FULL_STATE},
    {"over all there is", {.state_bytes = 130 * MIB, .state_bytes_max = 100 * MIB}, 0, RG_FULL_STATE},
    {"82 %, on the way up", {.state_bytes = 82 * MIB, .state_bytes_max = 100 * MIB}, RG_FULL_DISK, 0},
    {"82 %, on the way down", {.state_bytes = 82 * MIB, .state_bytes_max = 100 * MIB}, RG_FULL_STATE, RG_FULL_STATE},
    {"79 %, on the way down", {.state_bytes = 79 * MIB, .state_bytes_max = 100 * MIB}, RG_FULL_STATE, 0},
    {"a large file system: 64 MiB are kept", {.memory_free = 64 * MIB, .memory_total = 8192 * MIB}, 0, 0},
    {"less", {.memory_free = 64 * MIB - 1, .memory_total = 8192 * MIB}, 0, RG_FULL_MEMORY},
    {"a little more, on the way up again", {.memory_free = 80 * MIB, .memory_total = 8192 * MIB}, RG_FULL_MEMORY, RG_FULL_MEMORY},
    {"half as much more", {.memory_free = 96 * MIB, .memory_total = 8192 * MIB}, RG_FULL_MEMORY, 0},
    {"a container's 64 MiB: an eighth", {.memory_free = 8 * MIB, .memory_total = 64 * MIB}, 0, 0},
    {"less than an eighth", {.memory_free = 8 * MIB - 1, .memory_total = 64 * MIB}, 0, RG_FULL_MEMORY},
    {"the log's disk", {.disk_free = 0, .disk_total = 64 * MIB}, 0, RG_FULL_DISK},
    {"each by itself", {.state_bytes = 9, .state_bytes_max = 1000, .memory_free = 1, .memory_total = MIB, .disk_free = 1, .disk_total = MIB},
     RG_FULL_STATE, RG_FULL_MEMORY | RG_FULL_DISK},
};

LOOP(what_is_full, RG_LEN(rows))
{
    ck_assert_msg(rg_room_judge(&rows[_i].room, rows[_i].before) == rows[_i].full, "%s: %u", rows[_i].name,
                  rg_room_judge(&rows[_i].room, rows[_i].before));
}

static const struct {
    const char *name;
    unsigned full, refused;
} peers[] = {
    {"nothing", 0, 0},
    {"its disk is its own affair", RG_FULL_DISK, 0},
    {"its state", RG_FULL_STATE | RG_FULL_DISK, RG_FULL_STATE},
    {"its memory", RG_FULL_MEMORY, RG_FULL_MEMORY},
    {"it cannot apply", RG_FULL_STOPPED, RG_FULL_STATE},
    {"it cannot apply, and says why", RG_FULL_STOPPED | RG_FULL_MEMORY, RG_FULL_MEMORY},
};

LOOP(what_is_refused_for_a_regions_sake, RG_LEN(peers))
{
    ck_assert_msg(rg_room_refused_for(peers[_i].full) == peers[_i].refused, "%s", peers[_i].name);
    ck_assert((peers[_i].refused != 0) == ((peers[_i].full & RG_FULL_ADDS) != 0));
}

#define ADDS (RG_CMDF_CLIENT | RG_CMDF_ADDS)
#define REWRITES (RG_CMDF_CLIENT | RG_CMDF_REWRITES)
static const struct {
    const char *name;
    unsigned refusing, flags;
    bool stalled;
    enum rg_err err;
    bool grows; /* it is to be tried */
} refusals[] = {
    {"nothing is full", 0, ADDS, false, RG_OK, false},
    {"the state: what adds", RG_FULL_STATE, ADDS, false, RG_ESTATEFULL, false},
    {"the state: what replaces", RG_FULL_STATE, REWRITES, false, RG_OK, true},
    {"the state: what takes away", RG_FULL_STATE, RG_CMDF_CLIENT, false, RG_OK, false},
    {"the memory is the state's", RG_FULL_MEMORY, ADDS, false, RG_ESTATEFULL, false},
    {"the disk: what clients want", RG_FULL_DISK, RG_CMDF_CLIENT, false, RG_EDISKFULL, false},
    {"the disk: what administers", RG_FULL_DISK, RG_CMDF_ADDS, false, RG_OK, false},
    {"the disk, and nothing can be written", RG_FULL_DISK, 0, true, RG_EDISKFULL, false},
    {"disk and state: the disk is named", RG_FULL_DISK | RG_FULL_STATE, ADDS, false, RG_EDISKFULL, false},
    {"nothing is applied: nobody may", RG_FULL_STOPPED, 0, false, RG_ESTATEFULL, false},
    {"nothing is applied, whatever else", RG_FULL_ALL, RG_CMDF_CLIENT, true, RG_ESTATEFULL, false},
};

LOOP(what_a_primary_refuses, RG_LEN(refusals))
{
    bool grows = true;

    ck_assert_msg(rg_room_refusal(refusals[_i].refusing, refusals[_i].flags, refusals[_i].stalled, &grows) == refusals[_i].err, "%s",
                  refusals[_i].name);
    ck_assert_msg(grows == refusals[_i].grows, "%s", refusals[_i].name);
}
