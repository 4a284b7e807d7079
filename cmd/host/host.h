/* cmd/host/host.h: the raft thread of a daemon: its libuv loop, the lanes' threads, the timer and the queues from the HTTP
 * workers; fills raft/io.h with the real disk, clock and network. */
#ifndef REGENT_CMD_HOST_HOST_H
#define REGENT_CMD_HOST_HOST_H

#include "net/link/link.h"
#include "raft/node/node.h"

struct uv_loop_s;
struct rg_shell;

/** Make the loop and start the lanes' threads. */
RG_MUST enum rg_err rg_shell_new(const struct rg_log *log, struct rg_shell **ret_shell, struct rg_errctx *ctx);
/** The table for rg_node_config and the other users of files. */
struct rg_io *rg_shell_io(struct rg_shell *shell);
struct uv_loop_s *rg_shell_loop(struct rg_shell *shell);
/** Attach what the loop drives; both may be NULL until then. */
void rg_shell_attach(struct rg_shell *shell, struct rg_node *node, struct rg_links *links);

/** From any thread: hand over a proposal or a wait; their on_done comes on the raft thread. After rg_shell_quit they are
 * answered RG_ESTOPPED at once, on the caller's thread. */
void rg_shell_submit(void *shell, struct rg_proposal *proposal);
void rg_shell_wait(void *shell, struct rg_wait *wait);
/** From any thread: have a task run on the raft thread; after rg_shell_quit it runs at once, with no node. */
void rg_shell_task(void *shell, struct rg_task *task);
/** Answer every later hand-over with RG_ESTOPPED. */
void rg_shell_quit(struct rg_shell *shell);

/** Run the loop until rg_shell_stop. */
void rg_shell_run(struct rg_shell *shell);
/** Make rg_shell_run return. On the raft thread. */
void rg_shell_stop(struct rg_shell *shell);
/** Wait until the lanes have run all they hold, and join them; their `done`s are dropped. Then the node may be freed. */
void rg_shell_drain(struct rg_shell *shell);
/** Close the loop and free (consume), after rg_shell_drain. */
void rg_shell_free(struct rg_shell *shell);

#endif
