/* In words: what is full, where, how much of it, and what gives it more. */
#include <stdio.h>

#include "net/api/worker.h"

static unsigned long long mib(uint64_t bytes) { return (unsigned long long)(bytes >> 20); }

void rg_api_room_text(unsigned full, const struct rg_room *room, const char *region, uint64_t id, char *out, size_t size)
{
    if (full & RG_FULL_DISK)
        snprintf(out, size,
                 "the disk of the log at %s (node %llu) has %llu MiB left of %llu MiB: writes are refused until data_dir has more room",
                 region, (unsigned long long)id, mib(room->disk_free), mib(room->disk_total));
    else if (full & RG_FULL_MEMORY)
        snprintf(out, size,
                 "the memory for the state at %s (node %llu) is nearly full: its file system has %llu MiB left of %llu MiB: what adds "
                 "to the state is refused until state_dir there has more room; deletions go on",
                 region, (unsigned long long)id, mib(room->memory_free), mib(room->memory_total));
    else
        snprintf(out, size,
                 "the memory for the state at %s (node %llu) is nearly full: it takes %llu MiB of the %llu MiB of state_mb_max: what "
                 "adds to it is refused until something is deleted, or state_mb_max is raised there and the node restarted",
                 region, (unsigned long long)id, mib(room->state_bytes), mib(room->state_bytes_max));
}

void rg_api_room_stopped_text(const struct rg_room *room, struct rg_rev applied, char *out, size_t size)
{
    char rev[RG_REV_TEXT_MAX];

    rg_rev_format(rev, applied);
    snprintf(out, size,
             "there is no room for the entry behind revision %s: reads go on there, nothing newer becomes visible, until state_mb_max "
             "(%llu MiB, %llu taken) is raised at a restart or the file system of state_dir (%llu MiB left) has room",
             rev, mib(room->state_bytes_max), mib(room->state_bytes), mib(room->memory_free));
}

void rg_api_refusal_text(const struct rg_node_status *s, char *out, size_t size)
{
    if (s->refusing & RG_FULL_STOPPED)
        rg_api_room_stopped_text(&s->refusing_room, s->applied, out, size);
    else
        rg_api_room_text(s->refusing, &s->refusing_room, s->refusing_region, s->refusing_id, out, size);
}
