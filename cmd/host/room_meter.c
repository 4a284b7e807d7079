#include "cmd/host/room_meter.h"

enum { LOOK_EVERY_MS = 1000 };

static void on_look(uv_fs_t *request)
{
    struct rg_room_meter *meter = request->data;
    struct rg_room_look *look = RG_CONTAINER(request, struct rg_room_look, request);
    const uv_statfs_t *fs = request->ptr;

    look->busy = false;
    if (request->result == 0 && fs != NULL) {
        look->free = fs->f_bavail * fs->f_bsize;
        look->total = fs->f_blocks * fs->f_bsize;
    }
    uv_fs_req_cleanup(request);
    if (rg_host_node(meter->host) != NULL && !uv_is_closing((uv_handle_t *)&meter->timer))
        rg_node_on_room(rg_host_node(meter->host),
                        &(struct rg_room){.memory_free = meter->state.free, .memory_total = meter->state.total,
                                          .disk_free = meter->disk.free, .disk_total = meter->disk.total});
}

/* On libuv's threads: a file system that hangs holds up no one, and is asked once. */
static void look_at(struct rg_room_meter *meter, struct rg_room_look *look)
{
    if (look->busy)
        return;
    look->request.data = meter;
    look->busy = uv_fs_statfs(rg_host_loop(meter->host), &look->request, look->path, on_look) == 0;
}

static void on_timer(uv_timer_t *timer)
{
    struct rg_room_meter *meter = timer->data;

    look_at(meter, &meter->state);
    look_at(meter, &meter->disk);
}

void rg_room_meter_start(struct rg_room_meter *meter, struct rg_host *host, const char *state_dir, const char *data_dir)
{
    memset(meter, 0, sizeof *meter);
    meter->host = host;
    meter->state.path = state_dir;
    meter->disk.path = data_dir;
    uv_timer_init(rg_host_loop(host), &meter->timer);
    meter->timer.data = meter;
    uv_timer_start(&meter->timer, on_timer, 0, LOOK_EVERY_MS);
}

void rg_room_meter_close(struct rg_room_meter *meter)
{
    uv_close((uv_handle_t *)&meter->timer, NULL);
}
