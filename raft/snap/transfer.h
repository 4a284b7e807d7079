/* raft/snap/transfer.h: snapshot files between two nodes: in chunks, resumable, flow-controlled, at most one to a peer and one from
 * anybody. Sender and receiver are separate nouns. Reading and writing happens on RG_LANE_SNAPSHOT; entries for other peers
 * pass by. The file travels as it rests: sealed.
 *
 *   sender                              receiver
 *   OFFER(index, term, size)     →      open or go on with the .part file
 *                                ←      ACK(offset, GOING)            what is durable there; again after each write
 *   CHUNK(offset, bytes) …       →      write, in order
 *                                ←      ACK(size, GOING)              it is being loaded, which also proves it: again for each offer
 *                                ←      ACK(size, COMPLETE)           it is intact, and here
 */
#ifndef REGENT_RAFT_SNAP_TRANSFER_H
#define REGENT_RAFT_SNAP_TRANSFER_H

#include "raft/core/rpc.h"
#include "raft/snap/snapstore.h"

#define RG_TRANSFER_WINDOW_BYTES (2u * 1024 * 1024) /* sent and not answered */
#define RG_TRANSFER_SILENCE_MS 15000                /* a peer that answers nothing for so long is given up */
#define RG_TRANSFER_ASK_MS 1000                   /* unanswered offers are made again this often */
#define RG_TRANSFER_AGAIN_MS 10000                /* offers are not answered for so long after one had no room here; they go on meanwhile */
#define RG_TRANSFER_CHUNK_BYTES (128u * 1024)

/* ---- sending ---- */

struct rg_sender;

struct rg_sender_config {
    struct rg_io *io;
    struct rg_snapstore *snaps; /* borrow */
    void *arg;
    /* As rg_io's send: RG_EBUSY is tried again by rg_sender_step, RG_ECLOSED ends the transfer. */
    enum rg_err (*send)(void *arg, uint64_t peer, const struct rg_msg *msg);
};
/** Hold a snapshot of this node's log and offer it to the peer in this term. RG_ENOTFOUND: it is not here. */
RG_MUST enum rg_err rg_sender_new(const struct rg_sender_config *config, uint64_t peer, uint64_t term,
                                  const struct rg_snapfile *file, struct rg_sender **ret_sender, struct rg_errctx *ctx);
/** The file is released; while a read is under way memory goes when it is done. NULL is fine. */
void rg_sender_free(struct rg_sender *sender);
/** Answer from the peer. False: the transfer is over (however it ended): free it. */
bool rg_sender_on_ack(struct rg_sender *sender, const struct rg_msg_snap_ack *ack);
/** Go on: read and send what the window allows. False: given up (silence, no connection, a failed read): free it. */
bool rg_sender_step(struct rg_sender *sender);
uint64_t rg_sender_offset(const struct rg_sender *sender); /* answered for */
const struct rg_snapfile *rg_sender_file(const struct rg_sender *sender); /* borrow: as long as the sender */

/* ---- receiving ---- */

struct rg_receiver;

struct rg_receiver_config {
    struct rg_io *io;
    struct rg_snapstore *snaps;
    struct rg_store *store; /* borrow; a file is loaded into its spare */
    void *arg;
    enum rg_err (*send)(void *arg, uint64_t peer, const struct rg_msg *msg);
    /* How many bytes of the state's file system are for what serves, whatever is loaded. */
    uint64_t (*bytes_free)(void *arg);
    /* A file is complete, intact and the store's spare: swap it in once the log stands on it, or drop it. Its .part stays, adopted or to
     * go with the next one that is received. */
    void (*on_complete)(void *arg, uint64_t peer, const struct rg_msg_snap_offer *offer, const struct rg_snap_loaded *loaded);
    /* RG_ESTATEFULL, RG_EBUSY: there was no room to load it, which is tried again after a while. Else: the disk failed, or
     * what came was damaged. */
    void (*on_failed)(void *arg, uint64_t peer, const struct rg_msg_snap_offer *offer, enum rg_err err, const char *text);
};
RG_MUST enum rg_err rg_receiver_new(const struct rg_receiver_config *config, struct rg_receiver **ret_receiver);
/** The lanes are drained. NULL is fine. */
void rg_receiver_free(struct rg_receiver *receiver);
/** above: index of what this node has already; an offer at or below is refused. */
void rg_receiver_on_offer(struct rg_receiver *receiver, uint64_t peer, const struct rg_msg_snap_offer *offer, uint64_t above);
/** This node stops: as rg_snapstore_stop, which comes next. */
void rg_receiver_stop(struct rg_receiver *receiver);
/** Leave it, and delete what came, unless it comes from a leader of this term or a later one. */
void rg_receiver_abort(struct rg_receiver *receiver, uint64_t term);
void rg_receiver_on_chunk(struct rg_receiver *receiver, uint64_t peer, const struct rg_msg_snap_chunk *chunk);

#endif
