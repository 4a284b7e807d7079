/* cmd/host/room_meter.h: looks each second how much room the file systems of state and log have, beside the loop, and tells the
 * node, which decides what that means (raft/room.h). */
#ifndef REGENT_CMD_HOST_ROOM_METER_H
#define REGENT_CMD_HOST_ROOM_METER_H

#include <uv.h>

#include "cmd/host/host.h"

/* One file system. */
struct rg_room_look {
    uv_fs_t request;
    const char *path; /* borrow */
    uint64_t free, total;
    bool busy;
};

struct rg_room_meter {
    struct rg_host *host; /* borrow */
    uv_timer_t timer;
    struct rg_room_look state, disk;
};

/** Begin, once the host has its node. The paths are borrowed until the host is freed. */
void rg_room_meter_start(struct rg_room_meter *meter, struct rg_host *host, const char *state_dir, const char *data_dir);
/** End: a look that is under way comes to nothing. The memory must stay until the host is freed. */
void rg_room_meter_close(struct rg_room_meter *meter);

#endif
