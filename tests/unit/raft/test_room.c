/* raft/room: from where on a node is full, and from where on it is not any more. */
#include "raft/room.h"
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
