/* raft/room.c: how full a node is, and what is refused for its sake. */
#include "raft/room.h"

#include "store/db/command.h"

/* Full at 85 % of what rows may take, and no more so below 80 %. The rest, and as much again that the map has (store/db/env.c),
 * is for what is in the logs already, for changes that make nothing larger, and for copies of pages while they are changed. */
enum { STATE_FULL_PERCENT = 85, STATE_AGAIN_PERCENT = 80 };

/* Of a file system 64 MiB are kept, or an eighth of a small one: a batch of writes dirties 48 MiB of pages at most (512
 * commands of some six rows, each at the end of its own path of four pages), and is followed by a look. */
#define RESERVE_BYTES (UINT64_C(64) << 20)
enum { RESERVE_SHARE = 8 };
_Static_assert(STATE_AGAIN_PERCENT < STATE_FULL_PERCENT, "or it would be full and not full by turns");
_Static_assert(STATE_FULL_PERCENT < 100, "the rest is for what is in the logs");
_Static_assert(RESERVE_SHARE > 2, "half as much again as is kept is less than there is");
_Static_assert((RG_FULL_ADDS & ~RG_FULL_ALL) == 0 && (RG_FULL_ADDS & RG_FULL_DISK) == 0, "the log's disk is not the state's");
_Static_assert(RG_FULL_ALL == (RG_FULL_STATE | RG_FULL_MEMORY | RG_FULL_DISK | RG_FULL_STOPPED), "and nothing else is ever full");
_Static_assert(RG_FULL_ALL <= UINT32_MAX, "said in four bytes");

uint64_t rg_room_reserve(uint64_t total) { return RG_MIN(RESERVE_BYTES, total / RESERVE_SHARE); }

static bool state_full(const struct rg_room *room, bool before)
{
    uint64_t percent = before ? STATE_AGAIN_PERCENT : STATE_FULL_PERCENT;

    return room->state_bytes_max > 0 && room->state_bytes >= room->state_bytes_max / 100 * percent;
}

/* Half as much again must be free before it is no more full. */
static bool disk_full(uint64_t free, uint64_t total, bool before)
{
    uint64_t reserve = rg_room_reserve(total);

    RG_ASSERT(reserve == 0 || reserve + reserve / 2 < total); /* it can have room again */
    return total > 0 && free < (before ? reserve + reserve / 2 : reserve);
}

unsigned rg_room_judge(const struct rg_room *room, unsigned before)
{
    unsigned full = 0;

    RG_ASSERT((before & ~(unsigned)RG_FULL_ALL) == 0);
    if (state_full(room, (before & RG_FULL_STATE) != 0))
        full |= RG_FULL_STATE;
    if (disk_full(room->memory_free, room->memory_total, (before & RG_FULL_MEMORY) != 0))
        full |= RG_FULL_MEMORY;
    if (disk_full(room->disk_free, room->disk_total, (before & RG_FULL_DISK) != 0))
        full |= RG_FULL_DISK;
    RG_ASSERT((full & RG_FULL_STOPPED) == 0); /* that is met, not measured */
    return full;
}

const char *rg_room_name(unsigned full)
{
    RG_ASSERT((full & ~(unsigned)RG_FULL_ALL) == 0);
    return full & RG_FULL_STOPPED  ? "stopped"
           : full & RG_FULL_STATE  ? "state"
           : full & RG_FULL_MEMORY ? "memory"
           : full & RG_FULL_DISK   ? "disk"
                                   : "nothing";
}

/* It must be able to apply what is committed. Where its disk is full it confirms nothing, and policy and lease go by that. */
unsigned rg_room_refused_for(unsigned full)
{
    unsigned refused = full & (RG_FULL_STATE | RG_FULL_MEMORY);

    RG_ASSERT((full & ~(unsigned)RG_FULL_ALL) == 0);
    if (refused == 0 && (full & RG_FULL_STOPPED) != 0)
        refused = RG_FULL_STATE; /* it cannot apply: there is no room for more */
    RG_ASSERT((refused != 0) == ((full & RG_FULL_ADDS) != 0));
    RG_ASSERT((refused & (RG_FULL_DISK | RG_FULL_STOPPED)) == 0);
    return refused;
}

/* What administers the cluster goes on, and what takes away from the state, as long as it can be applied. */
enum rg_err rg_room_refusal(unsigned refusing, unsigned flags, bool log_stalled, bool *ret_grows)
{
    RG_ASSERT((refusing & ~(unsigned)RG_FULL_ALL) == 0);
    *ret_grows = false;
    if (refusing == 0)
        return RG_OK;
    if (refusing & RG_FULL_STOPPED)
        return RG_ESTATEFULL;
    if (refusing & RG_FULL_DISK)
        return flags & RG_CMDF_CLIENT || log_stalled ? RG_EDISKFULL : RG_OK;
    if (flags & RG_CMDF_ADDS)
        return RG_ESTATEFULL;
    RG_ASSERT((refusing & ~(unsigned)RG_FULL_ADDS) == 0); /* the state alone is full */
    *ret_grows = (flags & RG_CMDF_REWRITES) != 0;
    return RG_OK;
}
