/* net/link/control.h: the control channel: questions between daemons over their links, answered by JSON. Small and seldom: what
 * is on its way when a link breaks fails. All of it on the raft thread.
 *
 * A message of RG_LINK_CONTROL: u8 0xC7 (which tells it from raft's where the link is to a release before channels), u8 type
 * (1 ask, 2 answer, 3 failure), u64 number (little-endian), one JSON object. An ask has "op" and its arguments; a failure
 * "code" and "message". */
#ifndef REGENT_NET_LINK_CONTROL_H
#define REGENT_NET_LINK_CONTROL_H

#include <jansson.h>

#include "base/buf.h"
#include "base/log.h"

#define RG_CONTROL_BYTE 0xC7
#define RG_CONTROL_FRAME_BYTES_MAX (64 * 1024)
#define RG_CONTROL_ASKS_MAX 64 /* waiting for an answer, at once */
#define RG_CONTROL_OPS_MAX 16
#define RG_CONTROL_OP_BYTES_MAX 32

struct uv_loop_s;
struct rg_control;

struct rg_control_config {
    struct uv_loop_s *loop;
    const struct rg_log *log;
    void *arg;
    enum rg_err (*send)(void *arg, uint64_t peer, struct rg_span message); /* rg_links_send, on RG_LINK_CONTROL */
};

RG_MUST enum rg_err rg_control_new(const struct rg_control_config *config, struct rg_control **ret_control);
/** Fail all that waits with RG_ESTOPPED and take nothing more; memory returns with the loop's next step. NULL is fine. */
void rg_control_close(struct rg_control *control);

/**
 * The outcome of an ask, once, from the loop and never from inside rg_control_ask.
 * answer   borrow; NULL unless err is RG_OK
 * text     why not; "" with RG_OK. RG_ETIMEOUT, RG_ECLOSED (the link is gone: it may have been done), RG_ESTOPPED, or the
 *          peer's own refusal
 */
typedef void (*rg_control_answer_fn)(void *arg, uint64_t peer, enum rg_err err, const json_t *answer, const char *text);

/**
 * Ask a peer.
 * args   consume; an object, or NULL for none
 * RG_OK: on_answer will be called. Otherwise it will not: RG_ECLOSED (no link), RG_EBUSY (RG_CONTROL_ASKS_MAX wait, or the
 * link's queue is full), RG_ETOOBIG, RG_EINVALID (args is no object), RG_ENOMEM.
 */
RG_MUST enum rg_err rg_control_ask(struct rg_control *control, uint64_t peer, const char *op, json_t *args,
                                   unsigned timeout_ms, rg_control_answer_fn on_answer, void *arg);
/** Forget every ask with this arg: its on_answer is not called any more. */
void rg_control_forget(struct rg_control *control, const void *arg);

/**
 * Answers one kind of ask.
 * args        borrow
 * ret_answer  own: an object; left NULL it is {}
 * An error is sent with its code and ctx's text.
 */
typedef enum rg_err (*rg_control_serve_fn)(void *arg, uint64_t peer, const json_t *args, json_t **ret_answer,
                                           struct rg_errctx *ctx);
/** Serve an op (static string) from now on; again: replaces it; fn NULL: no more. RG_ETOOBIG: over RG_CONTROL_OPS_MAX. */
RG_MUST enum rg_err rg_control_serve(struct rg_control *control, const char *op, rg_control_serve_fn fn, void *arg);

/** A message of the channel. A malformed one is logged and dropped. */
void rg_control_on_message(struct rg_control *control, uint64_t peer, struct rg_span message);
/** Our connection to the peer is gone: what was asked of it fails with RG_ECLOSED. */
void rg_control_on_down(struct rg_control *control, uint64_t peer);

/* ---- the bytes ---- */

enum rg_control_type { RG_CONTROL_ASK = 1, RG_CONTROL_ANSWER = 2, RG_CONTROL_FAILURE = 3 };

/** Append a frame. RG_ETOOBIG, RG_ENOMEM. */
RG_MUST enum rg_err rg_control_encode(enum rg_control_type type, uint64_t number, const json_t *object,
                                      struct rg_buf *out);
/** ret_object: own. RG_EMALFORMED with what is wrong; RG_ETOOBIG. */
RG_MUST enum rg_err rg_control_decode(struct rg_span frame, enum rg_control_type *ret_type, uint64_t *ret_number,
                                      json_t **ret_object, struct rg_errctx *ctx);

/* The hello on a link where one side is not (or not yet) a member, or does not know the cluster's state yet: who speaks, and
 * nothing of a log. On such a link there are control frames only. */
struct rg_candidate_hello {
    char cluster_id[64], region[33];
    uint64_t from, to; /* raft ids */
};
void rg_candidate_hello_encode(const struct rg_candidate_hello *hello, struct rg_buf *out);
/** Whether a hello is one of these, by its first byte (a member's begins otherwise). */
bool rg_candidate_hello_is(struct rg_span bytes);
/** RG_EMALFORMED. Unknown fields are skipped. */
RG_MUST enum rg_err rg_candidate_hello_decode(struct rg_span bytes, struct rg_candidate_hello *ret_hello,
                                              struct rg_errctx *ctx);

#endif
