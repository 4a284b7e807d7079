/* cmd/host/host.h: the raft thread of a daemon: its libuv loop, the lanes' threads, the timer and the queues from the HTTP
 * workers; fills raft/io.h with the real disk and clock, and with the wire that it is given. */
#ifndef REGENT_CMD_HOST_HOST_H
#define REGENT_CMD_HOST_HOST_H

#include "raft/node.h"

struct uv_loop_s;
struct rg_host;

/* Raft's way to its peers: rg_io's send and flush. All NULL: none, what is sent is RG_ECLOSED. */
struct rg_host_wire {
    void *arg;
    enum rg_err (*send)(void *arg, uint64_t peer, struct rg_span message);
    void (*flush)(void *arg);
};

/** Make the loop and start the lanes' threads. */
RG_MUST enum rg_err rg_host_new(const struct rg_log *log, struct rg_host **ret_shell, struct rg_errctx *ctx);
/** The table for rg_node_config and the other users of files. */
struct rg_io *rg_host_io(struct rg_host *host);
struct uv_loop_s *rg_host_loop(struct rg_host *host);
/** Let what is to outlive the process be kept in this directory, whose state it has open (cmd/host/live_file.h). */
void rg_host_live(struct rg_host *host, const char *state_dir);
/** Attach what the loop drives. node NULL: nothing (any more). */
void rg_host_attach(struct rg_host *host, struct rg_node *node, struct rg_host_wire wire);
/** The node attached; NULL before and after. */
struct rg_node *rg_host_node(struct rg_host *host);

/** From any thread: hand over a proposal or a wait; their on_done comes on the raft thread. After rg_host_quit they are
 * answered RG_ESTOPPED at once, on the caller's thread. */
void rg_host_submit(void *host, struct rg_proposal *proposal);
void rg_host_wait(void *host, struct rg_wait *wait);
/** From any thread: have a task run on the raft thread; after rg_host_quit it runs at once, with `stopping` set. */
void rg_host_task(void *host, struct rg_task *task);
/** Answer every later hand-over with RG_ESTOPPED. */
void rg_host_quit(struct rg_host *host);

/** Run the loop until rg_host_stop. */
void rg_host_run(struct rg_host *host);
/** Make rg_host_run return. On the raft thread. */
void rg_host_stop(struct rg_host *host);
/** Once the loop has ended: join the lanes, and finish here what they hold and what that leads to, `done`s included. Then the node may
 * be freed; once more afterwards, for what its end left to be done. False: a lane did not end
 * within ms_max (0: as long as it takes), and the process can only end. */
RG_MUST bool rg_host_drain(struct rg_host *host, unsigned ms_max);
/** Close the loop and free (consume), after rg_host_drain. */
void rg_host_free(struct rg_host *host);

#endif
