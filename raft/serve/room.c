/* raft/serve/room.c: what is full, here and in the other regions; what a primary then refuses; how a node that cannot apply goes on. */
#include "base/bug/bug.h"
#include "raft/serve/serve.h"

#define ROOM_APPLY_MS 500u   /* before an entry without room is tried again */
#define ROOM_TELL_MS 1000u   /* the primary hears of it this often, and at once when something becomes full or has room again */
_Static_assert(ROOM_APPLY_MS <= ROOM_TELL_MS, "that it goes on is told when it does");
#define ROOM_REWRITE_BYTES 64 /* what is replaced may grow by this: a status that was not there, a longer time */

/* ---- what is full ---- */

static void log_change(const struct rg_node *node, unsigned before)
{
    const struct rg_room *r = &node->room.now;
    bool more = (node->room.full & ~before) != 0;
    enum rg_log_level level = more ? RG_LOG_WARN : RG_LOG_INFO;

    RG_ASSERT(node->room.full != before);
    rg_log_event(node->config.log, level, more ? "room.full" : "room.again",
           "full=%s state_bytes=%llu state_bytes_max=%llu memory_free=%llu disk_free=%llu", rg_room_name(node->room.full),
           (unsigned long long)r->state_bytes, (unsigned long long)r->state_bytes_max, (unsigned long long)r->memory_free,
           (unsigned long long)r->disk_free);
}

static void judge_refusal(struct rg_node *node)
{
    unsigned before = node->room.refusing;

    node->room.refusing = node->room.full;
    node->room.by = node->config.id;
    for (size_t i = 0; i < node->n_peers && node->room.refusing == 0; i++) {
        const struct node_peer *peer = &node->peers[i];

        node->room.refusing = peer->up && peer->counts && !RG_BUG(room_unheard) ? rg_room_refused_for(peer->full) : 0;
        if (node->room.refusing != 0)
            node->room.by = peer->config.id;
    }
    RG_ASSERT((node->room.refusing & ~(unsigned)RG_FULL_ALL) == 0);
    RG_ASSERT(node->room.by == node->config.id || (node->room.refusing & (RG_FULL_DISK | RG_FULL_STOPPED)) == 0); /* a peer's own affair */
    RG_ASSERT(node->room.full == 0 || node->room.by == node->config.id);
    if (node->leading && (node->room.refusing & ~before) != 0)
        node_answers_refuse(node);
}

void node_room_judge(struct rg_node *node)
{
    unsigned before = node->room.full;

    node->room.full = rg_room_judge(&node->room.now, before) | (before & RG_FULL_STOPPED) |
                      (rg_wal_full(node->wal) ? RG_FULL_DISK : 0);
    RG_ASSERT((node->room.full & RG_FULL_STOPPED) == (before & RG_FULL_STOPPED)); /* apply's to say */
    RG_ASSERT((node->room.full & ~(unsigned)RG_FULL_ALL) == 0);
    if (node->room.full != before) {
        log_change(node, before);
        node->room.tell = true;
    }
    judge_refusal(node);
}

/* The log says by itself when it has no room. Whoever waits for what it cannot write down is told, and need not wait. */
void node_room_step(struct rg_node *node)
{
    bool stalled = rg_wal_stalled(node->wal);

    if (rg_wal_full(node->wal) != node->room.log_full || stalled != node->room.log_stalled) {
        node->room.log_full = rg_wal_full(node->wal);
        node->room.log_stalled = stalled;
        node_room_judge(node);
        if (stalled && node->leading)
            node_answers_stalled(node, RG_EDISKFULL);
    }
}

void node_room_measure(struct rg_node *node)
{
    enum rg_err err = rg_store_fill(node->config.store, &node->room.now.state_bytes, &node->room.now.state_bytes_max);

    if (err)
        node_fail(node, err, "measure the state: %s", rg_err_text(err));
    else
        node_room_judge(node);
}

void rg_node_on_room(struct rg_node *node, const struct rg_room *room)
{
    if (node->stage.state == NODE_STOPPED)
        return;
    node->room.now.memory_free = room->memory_free;
    node->room.now.memory_total = room->memory_total;
    node->room.now.disk_free = room->disk_free;
    node->room.now.disk_total = room->disk_total;
    node_room_judge(node);
}

/* ---- an entry for which there is no room ---- */

void node_room_stopped(struct rg_node *node, bool stopped)
{
    bool before = (node->room.full & RG_FULL_STOPPED) != 0;

    if (stopped)
        node->room.apply_ms = RG_BUG(room_not_again) ? UINT64_MAX : node_now_ms(node) + ROOM_APPLY_MS;
    if (stopped == before)
        return;
    node->room.full = stopped ? node->room.full | RG_FULL_STOPPED : node->room.full & ~(unsigned)RG_FULL_STOPPED;
    node->room.tell = true;
    RG_ASSERT(((node->room.full & RG_FULL_STOPPED) != 0) == stopped);
    if (stopped)
        rg_log_error(node->config.log, "apply.stopped", "index=%llu text=\"no room for the state: give it more (state_mb_max, the file "
                     "system of state_dir); it goes on by itself\"", (unsigned long long)node->state.applied.index);
    else
        rg_log_info(node->config.log, "apply.again", "index=%llu", (unsigned long long)node->state.applied.index);
    if (stopped)
        node_answers_stalled(node, RG_ESTATEFULL);
    judge_refusal(node);
}

/* ---- what a primary refuses ---- */

/* Looked at only while something is full: what the command would come to here and now. Where that cannot be seen now, it does. */
static bool grows(struct rg_node *node, struct rg_span cmd)
{
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    struct rg_reply reply;
    enum rg_err err = node_writes_aside(node) ? RG_EBUSY : rg_txn_begin(node->config.store, RG_TXN_WRITE, &txn);

    RG_ASSERT(node->room.refusing != 0);
    RG_ASSERT(node->state.applied.index > 0);
    RG_ASSERT(node->snap.install.state == INSTALL_NONE);
    if (!err)
        err = rg_fsm_apply(txn, node->state.applied.index + 1, node->state.applied.term, cmd, &reply);
    return err || rg_txn_grown(txn) > ROOM_REWRITE_BYTES;
}

enum rg_err node_room_check(struct rg_node *node, struct rg_span cmd)
{
    enum rg_err err;
    bool more;

    RG_ASSERT(node->leading);
    if (node->room.refusing == 0)
        return RG_OK;
    err = rg_room_refusal(node->room.refusing, rg_cmd_kind_flags(rg_tlv_u64(cmd, RG_F_KIND, 0)), node->room.log_stalled, &more);
    return !err && more && (node->state.applied.index == 0 || grows(node, cmd)) ? RG_ESTATEFULL : err;
}

/* ---- between nodes ---- */

void node_on_room(struct rg_node *node, struct node_peer *peer, const struct rg_msg_room *m)
{
    RG_ASSERT(peer->config.id != node->config.id);
    peer->room = m->room;
    peer->full = m->full;
    judge_refusal(node);
}

void node_room_tell_soon(struct rg_node *node)
{
    node->room.tell = true;
}

void node_room_tell(struct rg_node *node)
{
    struct rg_msg m = {.type = RG_MSG_ROOM};
    struct node_peer *primary = node_peer_find(node, node->primary.id);
    uint64_t now = node_now_ms(node);

    RG_ASSERT(node->stage.state == NODE_RUNNING);
    if (node->leading || primary == NULL || !primary->up || !primary->room_known ||
        (!node->room.tell && now < node->room.told_ms + ROOM_TELL_MS))
        return;
    RG_ASSERT(primary->config.id != node->config.id);
    m.room.room = node->room.now;
    m.room.full = node->room.full;
    node->room.tell = node_send(node, primary->config.id, &m) != RG_OK;
    node->room.told_ms = now;
}
