/* raft/snap/transfer.c: snapshots between two nodes: the one that sends, the one that receives. */
#include "raft/snap/transfer.h"

#include "base/buf.h"
#include "raft/snap/snapstore_priv.h"

_Static_assert(RG_TRANSFER_CHUNK_BYTES <= RG_TRANSFER_WINDOW_BYTES, "a window holds a chunk");
_Static_assert(RG_TRANSFER_CHUNK_BYTES <= RG_MSG_CHUNK_BYTES_MAX, "a message holds a chunk");
_Static_assert(RG_MSG_CHUNK_BYTES_MAX <= SNAP_RECEIVE_BYTES_MAX, "a chunk is one write");
_Static_assert(RG_TRANSFER_WINDOW_BYTES / RG_TRANSFER_CHUNK_BYTES < SNAP_RECEIVE_QUEUE_MAX, "the receiver queues a window");
_Static_assert(2 * RG_TRANSFER_ASK_MS < RG_TRANSFER_SILENCE_MS, "a silent peer is asked before it is given up");

/* ---- sending ---- */

/* The one chunk between disk and link:
 *
 *   EMPTY → READING → LOADED → EMPTY (sent, or of before a resumption)
 *   READING → FAILED (the disk);  READING → LEAVING (freed meanwhile: memory goes when the read is done) */
enum sender_chunk { SENDER_EMPTY, SENDER_READING, SENDER_LOADED, SENDER_FAILED, SENDER_LEAVING };

static const uint32_t sender_may[] = {
    [SENDER_EMPTY] = RG_BIT(SENDER_READING),
    [SENDER_READING] = RG_BIT(SENDER_LOADED) | RG_BIT(SENDER_FAILED) | RG_BIT(SENDER_LEAVING),
    [SENDER_LOADED] = RG_BIT(SENDER_EMPTY),
    [SENDER_FAILED] = 0,
    [SENDER_LEAVING] = 0,
};
static const char *const sender_names[] = {"EMPTY", "READING", "LOADED", "FAILED", "LEAVING"};
const struct rg_sm_table snap_senders = RG_SM_TABLE("sender", sender_may, sender_names);

struct rg_sender {
    struct rg_sender_config config;
    uint64_t peer, term;
    struct rg_snapfile file;
    int fd;
    uint64_t read_at, sent, acked; /* next byte to read; bytes below these were sent, answered for */
    uint64_t heard_ms, offered_ms;
    bool answered; /* the last offer was */
    struct rg_sm state; /* snap_senders */
    struct rg_work work;
    uint64_t chunk_at;
    size_t chunk_n;
    enum rg_err chunk_err;
    uint8_t chunk[RG_TRANSFER_CHUNK_BYTES];
};

/* acked ≤ sent ≤ read_at, no further apart than the window, and nothing beyond the file. */
static void sender_check(const struct rg_sender *sender)
{
    RG_ASSERT(sender->acked <= sender->sent);
    RG_ASSERT(sender->sent <= sender->file.size);
    RG_ASSERT(sender->read_at <= sender->file.size);
    RG_ASSERT(sender->chunk_at + sender->chunk_n <= sender->file.size);
    RG_ASSERT(sender->chunk_n > 0 || sender->state.state == SENDER_EMPTY);
    RG_ASSERT(sender->state.state != SENDER_LEAVING);
    RG_ASSERT(sender->sent <= sender->read_at);
    RG_ASSERT(sender->read_at - sender->acked < RG_TRANSFER_WINDOW_BYTES + RG_TRANSFER_CHUNK_BYTES);
    RG_ASSERT(sender->chunk_n <= sizeof sender->chunk);
    RG_ASSERT(sender->fd >= 0);
}

static void sender_destroy(struct rg_sender *sender)
{
    RG_ASSERT(sender->state.state != SENDER_READING);
    RG_ASSERT(sender->fd >= 0);
    rg_snapstore_release(sender->config.snaps, &sender->file, sender->fd);
    free(sender);
}

static void chunk_run(struct rg_work *work)
{
    struct rg_sender *sender = RG_CONTAINER(work, struct rg_sender, work);
    size_t n = 0;

    RG_ASSERT(sender->chunk_n > 0);
    RG_ASSERT(sender->chunk_n <= sizeof sender->chunk);
    sender->chunk_err = sender->config.io->pread(sender->config.io, sender->fd, sender->chunk, sender->chunk_n,
                                                 sender->chunk_at, &n, NULL);
    RG_ASSERT(sender->chunk_err || n <= sender->chunk_n);
    if (!sender->chunk_err && n != sender->chunk_n)
        sender->chunk_err = RG_EIO;
}

static void chunk_done(struct rg_work *work)
{
    struct rg_sender *sender = RG_CONTAINER(work, struct rg_sender, work);

    RG_ASSERT(sender->state.state == SENDER_READING || sender->state.state == SENDER_LEAVING);
    if (sender->state.state == SENDER_LEAVING) {
        sender_destroy(sender);
        return;
    }
    rg_sm_move(&sender->state, sender->chunk_err ? SENDER_FAILED : SENDER_LOADED);
    sender_check(sender);
}

enum rg_err rg_sender_new(const struct rg_sender_config *config, uint64_t peer, uint64_t term, const struct rg_snapfile *file,
                          struct rg_sender **ret_sender, struct rg_errctx *ctx)
{
    struct rg_sender *sender = calloc(1, sizeof *sender);
    enum rg_err err;

    RG_ASSERT(config->send != NULL);
    RG_ASSERT(peer != 0);
    RG_ASSERT(term != 0);
    if (sender == NULL)
        return RG_ENOMEM;
    sender->config = *config;
    sender->peer = peer;
    sender->term = term;
    sender->file = *file;
    sender->work.run = chunk_run;
    sender->work.done = chunk_done;
    sender->heard_ms = config->io->now_ms(config->io);
    rg_sm_init(&sender->state, &snap_senders, SENDER_EMPTY);
    err = rg_snapstore_hold(config->snaps, file, &sender->fd, ctx);
    if (err) {
        free(sender);
        return err;
    }
    sender_check(sender);
    *ret_sender = sender;
    return RG_OK;
}

void rg_sender_free(struct rg_sender *sender)
{
    if (sender == NULL)
        return;
    RG_ASSERT(sender->state.state != SENDER_LEAVING);
    if (sender->state.state == SENDER_READING)
        rg_sm_move(&sender->state, SENDER_LEAVING);
    else
        sender_destroy(sender);
}

bool rg_sender_on_ack(struct rg_sender *sender, const struct rg_msg_snap_ack *ack)
{
    RG_ASSERT(sender->state.state != SENDER_LEAVING);
    if (ack->index != sender->file.index || ack->index_term != sender->file.term)
        return true; /* of an earlier file */
    sender->heard_ms = sender->config.io->now_ms(sender->config.io);
    if (ack->status != RG_SNAP_GOING || ack->offset > sender->file.size)
        return false;
    if (!sender->answered) { /* the first answer to an offer says where to go on */
        sender->answered = true;
        sender->read_at = sender->sent = sender->acked = ack->offset;
        sender_check(sender);
        return true;
    }
    if (ack->offset > sender->sent)
        return false;
    sender->acked = RG_MAX(sender->acked, ack->offset);
    sender_check(sender);
    return true;
}

static enum rg_err send_offer(struct rg_sender *sender)
{
    struct rg_msg m = {.type = RG_MSG_SNAP_OFFER};

    RG_ASSERT(!sender->answered);
    RG_ASSERT(sender->state.state != SENDER_FAILED);
    m.snap_offer = (struct rg_msg_snap_offer){
        .term = sender->term, .index = sender->file.index, .index_term = sender->file.term, .size = sender->file.size};
    return sender->config.send(sender->config.arg, sender->peer, &m);
}

static enum rg_err send_chunk(struct rg_sender *sender)
{
    struct rg_msg m = {.type = RG_MSG_SNAP_CHUNK};

    RG_ASSERT(sender->state.state == SENDER_LOADED);
    RG_ASSERT(sender->answered);
    RG_ASSERT(sender->chunk_at == sender->sent); /* in order, each byte once */
    RG_ASSERT(sender->chunk_n > 0);
    m.snap_chunk = (struct rg_msg_snap_chunk){.index = sender->file.index,
                                              .index_term = sender->file.term,
                                              .offset = sender->chunk_at,
                                              .data = rg_span(sender->chunk, sender->chunk_n)};
    return sender->config.send(sender->config.arg, sender->peer, &m);
}

static void read_next(struct rg_sender *sender)
{
    uint64_t left = sender->file.size - sender->read_at;

    RG_ASSERT(sender->read_at <= sender->file.size);
    RG_ASSERT(sender->acked <= sender->read_at);
    RG_ASSERT(sender->state.state == SENDER_EMPTY);
    if (left == 0 || sender->read_at - sender->acked >= RG_TRANSFER_WINDOW_BYTES)
        return;
    rg_sm_move(&sender->state, SENDER_READING);
    sender->chunk_at = sender->read_at;
    sender->chunk_n = (size_t)RG_MIN(left, RG_TRANSFER_CHUNK_BYTES);
    sender->read_at += sender->chunk_n;
    sender->config.io->work(sender->config.io, RG_LANE_SNAPSHOT, &sender->work);
}

/* An offer also asks where the peer stands: answers travel on another connection, which may have been down. */
static bool offer(struct rg_sender *sender, uint64_t now)
{
    enum rg_err err;

    RG_ASSERT(!sender->answered);
    RG_ASSERT(sender->offered_ms <= now);
    if (sender->offered_ms != 0 && now - sender->offered_ms < RG_TRANSFER_ASK_MS)
        return true;
    err = send_offer(sender);
    if (!err)
        sender->offered_ms = now;
    return !err || err == RG_EBUSY;
}

bool rg_sender_step(struct rg_sender *sender)
{
    uint64_t now = sender->config.io->now_ms(sender->config.io);
    enum rg_err err;

    RG_ASSERT(sender->state.state != SENDER_LEAVING);
    RG_ASSERT(sender->heard_ms <= now);
    if (sender->state.state == SENDER_FAILED || now - sender->heard_ms > RG_TRANSFER_SILENCE_MS)
        return false;
    if (now - sender->heard_ms >= 2 * RG_TRANSFER_ASK_MS)
        sender->answered = false;
    if (!sender->answered)
        return offer(sender, now);
    if (sender->state.state == SENDER_READING)
        return true;
    if (sender->state.state == SENDER_LOADED) {
        err = sender->chunk_at == sender->sent ? send_chunk(sender) : RG_OK; /* else of before a resumption */
        if (err)
            return err == RG_EBUSY;
        sender->sent += sender->chunk_at == sender->sent ? sender->chunk_n : 0;
        rg_sm_move(&sender->state, SENDER_EMPTY);
    }
    read_next(sender);
    sender_check(sender);
    return true;
}

uint64_t rg_sender_offset(const struct rg_sender *sender)
{
    RG_ASSERT(sender->acked <= sender->file.size);
    return sender->acked;
}

const struct rg_snapfile *rg_sender_file(const struct rg_sender *sender)
{
    return &sender->file;
}

/* ---- receiving ---- */

/* IDLE → TAKING → FINISHING (being loaded) → IDLE
 * TAKING → IDLE: given up;  TAKING → DROPPING (while writes are under way) → IDLE */
enum receiver_state { RECEIVER_IDLE, RECEIVER_TAKING, RECEIVER_FINISHING, RECEIVER_DROPPING };

static const uint32_t receiver_may[] = {
    [RECEIVER_IDLE] = RG_BIT(RECEIVER_TAKING),
    [RECEIVER_TAKING] = RG_BIT(RECEIVER_FINISHING) | RG_BIT(RECEIVER_DROPPING) | RG_BIT(RECEIVER_IDLE),
    [RECEIVER_FINISHING] = RG_BIT(RECEIVER_IDLE),
    [RECEIVER_DROPPING] = RG_BIT(RECEIVER_IDLE),
};
static const char *const receiver_names[] = {"IDLE", "TAKING", "FINISHING", "DROPPING"};
const struct rg_sm_table snap_receivers = RG_SM_TABLE("receiver", receiver_may, receiver_names);

struct rg_receiver {
    struct rg_receiver_config config;
    struct rg_sm state;
    uint64_t peer;
    struct rg_msg_snap_offer offer;
    uint64_t again_ms; /* nothing is taken before this moment */
    uint64_t expected; /* next byte to come: everything below is written or queued */
    uint64_t durable;
    unsigned writing; /* writes under way */
};

enum rg_err rg_receiver_new(const struct rg_receiver_config *config, struct rg_receiver **ret_receiver)
{
    struct rg_receiver *receiver = calloc(1, sizeof *receiver);

    RG_ASSERT(config->send != NULL);
    RG_ASSERT(config->bytes_free != NULL);
    RG_ASSERT(config->on_complete != NULL);
    RG_ASSERT(config->on_failed != NULL);
    if (receiver == NULL)
        return RG_ENOMEM;
    receiver->config = *config;
    rg_sm_init(&receiver->state, &snap_receivers, RECEIVER_IDLE);
    *ret_receiver = receiver;
    return RG_OK;
}

void rg_receiver_free(struct rg_receiver *receiver)
{
    free(receiver);
}

/* durable ≤ expected ≤ size while a file is taken; writes are under way only then, or while it is dropped. */
static void receiver_check(const struct rg_receiver *receiver)
{
    unsigned state = receiver->state.state;

    RG_ASSERT(receiver->writing == 0 || state == RECEIVER_TAKING || state == RECEIVER_DROPPING);
    RG_ASSERT(state != RECEIVER_DROPPING || receiver->writing > 0);
    RG_ASSERT(state != RECEIVER_TAKING || receiver->durable <= receiver->expected);
    RG_ASSERT(state != RECEIVER_TAKING || receiver->expected <= receiver->offer.size);
    RG_ASSERT(state != RECEIVER_TAKING || (receiver->writing == 0) == (receiver->durable == receiver->expected));
    RG_ASSERT(state != RECEIVER_FINISHING || receiver->durable == receiver->offer.size);
    RG_ASSERT(receiver->writing <= SNAP_RECEIVE_QUEUE_MAX);
    if (state == RECEIVER_IDLE)
        return;
    RG_ASSERT(receiver->peer != 0);
    RG_ASSERT(receiver->offer.index > 0);
    RG_ASSERT(receiver->offer.size > 0);
    RG_ASSERT(receiver->offer.index_term > 0);
}

static void answer(struct rg_receiver *receiver, uint64_t peer, uint64_t index, uint64_t index_term, uint64_t offset,
                   enum rg_snap_status status)
{
    struct rg_msg m = {.type = RG_MSG_SNAP_ACK};

    RG_ASSERT(peer != 0);
    RG_ASSERT(status != RG_SNAP_REFUSED || offset == 0);
    m.snap_ack = (struct rg_msg_snap_ack){.index = index, .index_term = index_term, .offset = offset, .status = status};
    /* A lost answer is made good by the next one, or by the sender's silence limit and a new offer. */
    (void)receiver->config.send(receiver->config.arg, peer, &m);
}

static void answer_current(struct rg_receiver *receiver, enum rg_snap_status status)
{
    RG_ASSERT(receiver->durable <= receiver->offer.size);
    RG_ASSERT(status != RG_SNAP_COMPLETE || receiver->durable == receiver->offer.size);
    answer(receiver, receiver->peer, receiver->offer.index, receiver->offer.index_term, receiver->durable, status);
}

static void drop(struct rg_receiver *receiver)
{
    RG_ASSERT(receiver->state.state != RECEIVER_IDLE);
    if (receiver->writing > 0) {
        if (receiver->state.state != RECEIVER_DROPPING)
            rg_sm_move(&receiver->state, RECEIVER_DROPPING);
        return;
    }
    rg_snapstore_receive_abort(receiver->config.snaps);
    rg_sm_move(&receiver->state, RECEIVER_IDLE);
    receiver_check(receiver);
}

static void fail(struct rg_receiver *receiver, enum rg_err err, const char *text)
{
    RG_ASSERT(err != RG_OK);
    RG_ASSERT(receiver->state.state == RECEIVER_TAKING || receiver->state.state == RECEIVER_FINISHING);
    answer_current(receiver, RG_SNAP_DAMAGED);
    drop(receiver);
    receiver->config.on_failed(receiver->config.arg, receiver->peer, &receiver->offer, err, text);
}

_Static_assert(RG_TRANSFER_AGAIN_MS < RG_TRANSFER_SILENCE_MS, "the sender is there still, and offers it again");

/* It is whole, and there is no room to load it: what came stays, for there may be later. */
static void postpone(struct rg_receiver *receiver, enum rg_err err, const char *text)
{
    RG_ASSERT(receiver->state.state == RECEIVER_FINISHING);
    RG_ASSERT(receiver->writing == 0);
    rg_snapstore_receive_leave(receiver->config.snaps);
    rg_sm_move(&receiver->state, RECEIVER_IDLE);
    receiver->again_ms = receiver->config.io->now_ms(receiver->config.io) + RG_TRANSFER_AGAIN_MS;
    receiver_check(receiver);
    receiver->config.on_failed(receiver->config.arg, receiver->peer, &receiver->offer, err, text);
}

static void complete(struct rg_receiver *receiver, const struct rg_snap_loaded *loaded)
{
    RG_ASSERT(receiver->state.state == RECEIVER_IDLE);
    RG_ASSERT(receiver->durable == receiver->offer.size);
    answer_current(receiver, RG_SNAP_COMPLETE);
    receiver->config.on_complete(receiver->config.arg, receiver->peer, &receiver->offer, loaded);
}

static void on_finished(void *arg, enum rg_err err, const struct rg_snap_loaded *loaded, const char *text)
{
    struct rg_receiver *receiver = arg;

    RG_ASSERT(receiver->state.state == RECEIVER_FINISHING);
    RG_ASSERT(receiver->writing == 0);
    RG_ASSERT((err == RG_OK) == (loaded != NULL));
    if (err == RG_ESTATEFULL || err == RG_EBUSY) {
        postpone(receiver, err, text);
        return;
    }
    if (err) {
        fail(receiver, err, text);
        return;
    }
    RG_ASSERT(loaded->file.index == receiver->offer.index);
    RG_ASSERT(loaded->file.term == receiver->offer.index_term);
    RG_ASSERT(loaded->file.size == receiver->offer.size);
    rg_sm_move(&receiver->state, RECEIVER_IDLE);
    complete(receiver, loaded);
}

static void finish(struct rg_receiver *receiver)
{
    enum rg_err err;

    RG_ASSERT(receiver->writing == 0);
    RG_ASSERT(receiver->durable == receiver->offer.size);
    rg_sm_move(&receiver->state, RECEIVER_FINISHING);
    err = rg_snapstore_receive_finish(receiver->config.snaps, receiver->config.store, receiver->config.bytes_free(receiver->config.arg),
                                      on_finished, receiver);
    if (err)
        fail(receiver, err, rg_err_text(err));
}

static void on_written(void *arg, enum rg_err err, uint64_t offset)
{
    struct rg_receiver *receiver = arg;

    RG_ASSERT(receiver->writing > 0);
    receiver->writing--;
    if (receiver->state.state == RECEIVER_DROPPING) {
        drop(receiver);
        return;
    }
    if (err) {
        fail(receiver, err, "a write of the received snapshot failed");
        return;
    }
    RG_ASSERT(receiver->state.state == RECEIVER_TAKING);
    RG_ASSERT(offset > receiver->durable);
    RG_ASSERT(offset <= receiver->expected);
    receiver->durable = offset;
    receiver_check(receiver);
    answer_current(receiver, RG_SNAP_GOING);
    if (receiver->durable == receiver->offer.size && receiver->writing == 0)
        finish(receiver);
}

static bool same_file(const struct rg_msg_snap_offer *a, const struct rg_msg_snap_offer *b)
{
    return a->index == b->index && a->index_term == b->index_term && a->size == b->size;
}

static void take(struct rg_receiver *receiver, uint64_t peer, const struct rg_msg_snap_offer *offer)
{
    struct rg_snapfile file = {.index = offer->index, .term = offer->index_term, .size = offer->size};
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err;

    RG_ASSERT(receiver->state.state == RECEIVER_IDLE);
    RG_ASSERT(receiver->writing == 0);
    RG_ASSERT(offer->index_term > 0);
    RG_ASSERT(offer->index_term <= offer->term);
    receiver->peer = peer;
    receiver->offer = *offer;
    err = rg_snapstore_receive_begin(receiver->config.snaps, &file, &receiver->durable, &ctx);
    if (err == RG_EBUSY) {
        answer(receiver, peer, offer->index, offer->index_term, 0, RG_SNAP_REFUSED);
        return;
    }
    if (err) {
        receiver->config.on_failed(receiver->config.arg, peer, offer, err, rg_errctx_text(&ctx, err));
        return;
    }
    RG_ASSERT(receiver->durable < offer->size);
    receiver->expected = receiver->durable;
    rg_sm_move(&receiver->state, RECEIVER_TAKING);
    receiver_check(receiver);
    answer_current(receiver, RG_SNAP_GOING);
}

void rg_receiver_on_offer(struct rg_receiver *receiver, uint64_t peer, const struct rg_msg_snap_offer *offer, uint64_t above)
{
    receiver_check(receiver);
    RG_ASSERT(peer != 0);
    if (offer->index <= above) {
        answer(receiver, peer, offer->index, offer->index_term, 0, RG_SNAP_REFUSED);
        return;
    }
    switch ((enum receiver_state)receiver->state.state) {
    case RECEIVER_IDLE:
        if (receiver->config.io->now_ms(receiver->config.io) < receiver->again_ms)
            return;
        take(receiver, peer, offer);
        return;
    case RECEIVER_TAKING:
        if (same_file(offer, &receiver->offer)) { /* a new connection: go on behind what is already here */
            receiver->peer = peer;
            receiver->offer.term = offer->term;
            answer(receiver, peer, offer->index, offer->index_term, receiver->expected, RG_SNAP_GOING);
            return;
        }
        if (offer->term >= receiver->offer.term) { /* a leader has one offer open: the newest; the other is dead */
            drop(receiver);
            if (receiver->state.state == RECEIVER_IDLE) {
                take(receiver, peer, offer);
                return;
            }
        }
        break;
    case RECEIVER_FINISHING:
        if (same_file(offer, &receiver->offer)) { /* the verdict goes to the newest connection; until then it hears that there is one */
            receiver->peer = peer;
            receiver->offer.term = offer->term;
            answer_current(receiver, RG_SNAP_GOING);
            return;
        }
        break;
    case RECEIVER_DROPPING:
        break;
    }
    answer(receiver, peer, offer->index, offer->index_term, 0, RG_SNAP_REFUSED);
}

void rg_receiver_stop(struct rg_receiver *receiver)
{
    receiver->writing = 0; /* nothing of it is heard any more */
    if (receiver->state.state != RECEIVER_IDLE)
        rg_sm_move(&receiver->state, RECEIVER_IDLE);
    receiver_check(receiver);
}

void rg_receiver_abort(struct rg_receiver *receiver, uint64_t term)
{
    receiver_check(receiver);
    if (receiver->offer.term >= term)
        return;
    if (receiver->state.state == RECEIVER_TAKING || receiver->state.state == RECEIVER_FINISHING)
        drop(receiver);
    receiver_check(receiver);
}

void rg_receiver_on_chunk(struct rg_receiver *receiver, uint64_t peer, const struct rg_msg_snap_chunk *chunk)
{
    enum rg_err err;

    receiver_check(receiver);
    if (receiver->state.state != RECEIVER_TAKING || peer != receiver->peer || chunk->index != receiver->offer.index ||
        chunk->index_term != receiver->offer.index_term)
        return;
    if (chunk->offset != receiver->expected)
        return; /* of before a resumption, or behind a loss: answers and the silence limit sort it out */
    if (chunk->data.n > receiver->offer.size - receiver->expected) {
        fail(receiver, RG_EMALFORMED, "the peer sends more than it offered");
        return;
    }
    receiver->writing++;
    err = rg_snapstore_receive_write(receiver->config.snaps, chunk->offset, chunk->data, on_written, receiver);
    if (err) {
        receiver->writing--;
        fail(receiver, err, rg_err_text(err));
        return;
    }
    receiver->expected += chunk->data.n;
    receiver_check(receiver);
}

