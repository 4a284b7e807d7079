/* base/err.h: one error enum, one table: a code fits the log, HTTP, the AWS JSON interfaces and the CLI from one row. */
#ifndef REGENT_BASE_ERR_H
#define REGENT_BASE_ERR_H

#include "base/util.h"

/* X(code, name in /v1 errors, HTTP status, AWS __type, exit code of `regent`, text) */
#define RG_ERR_MAP(X)                                                                                                  \
    X(RG_OK, "OK", 200, "", 0, "no error")                                                                             \
    /* local faults: they stop the node when they reach the log or apply */                                            \
    X(RG_EINTERNAL, "InternalError", 500, "InternalServerException", 1, "internal error")                              \
    X(RG_ENOMEM, "InternalError", 500, "InternalServerException", 1, "out of memory")                                  \
    X(RG_EIO, "InternalError", 500, "InternalServerException", 1, "input/output error")                                \
    X(RG_ENOSPACE, "InternalError", 500, "InternalServerException", 1, "no space left")                                \
    X(RG_ECORRUPT, "InternalError", 500, "InternalServerException", 1, "data is damaged and cannot be trusted")        \
    X(RG_EKEY, "KeyUnavailable", 500, "InternalServerException", 1, "the shared key is missing, damaged or another")   \
    X(RG_EFOREIGN, "ForeignData", 500, "InternalServerException", 1, "the data belongs to another instance or node")   \
    X(RG_EFENCED, "Fenced", 503, "InternalServerException", 1, "this node was fenced")                                 \
    X(RG_ESTOPPED, "Stopping", 503, "InternalServerException", 1, "the node is stopping")                              \
    /* bad input */                                                                                                    \
    X(RG_EMALFORMED, "SerializationException", 400, "SerializationException", 1, "the input cannot be read")           \
    X(RG_EINVALID, "ValidationException", 400, "ValidationException", 1, "the input breaks a constraint")              \
    X(RG_ETOOBIG, "RequestTooLarge", 413, "ValidationException", 1, "the input is over a limit")                       \
    X(RG_EUNKNOWNOP, "UnknownOperationException", 400, "UnknownOperationException", 1, "no such operation")            \
    X(RG_ENOROUTE, "NotFound", 404, "UnknownOperationException", 1, "nothing is served at this path")                  \
    X(RG_EMETHOD, "MethodNotAllowed", 405, "UnknownOperationException", 1, "the method is not allowed here")           \
    X(RG_EUSAGE, "Usage", 400, "ValidationException", 2, "wrong use of the command")                                   \
    /* refusals, equal on every node */                                                                                \
    X(RG_ENOTFOUND, "ResourceNotFoundException", 404, "ResourceNotFoundException", 1, "not found")                     \
    X(RG_ECONFLICT, "ConflictException", 409, "ConflictException", 1, "conflicts with what is there")                  \
    X(RG_EQUOTA, "ServiceQuotaExceededException", 402, "ServiceQuotaExceededException", 1, "over a quota")             \
    X(RG_ESTALE, "ConflictException", 409, "ConflictException", 1, "changed by somebody else meanwhile")               \
    /* access */                                                                                                       \
    X(RG_EUNAUTH, "MissingAuthenticationToken", 403, "MissingAuthenticationTokenException", 1, "no credentials given") \
    X(RG_EBADSIG, "InvalidSignature", 403, "InvalidSignatureException", 1, "the signature does not match")             \
    X(RG_EBADTOKEN, "UnrecognizedClient", 403, "UnrecognizedClientException", 1, "the key or token is not known")      \
    X(RG_EEXPIRED, "ExpiredToken", 403, "InvalidSignatureException", 1, "the request or credential has expired")       \
    X(RG_EDENIED, "AccessDeniedException", 403, "AccessDeniedException", 1, "access denied")                           \
    X(RG_ESTATEMENT, "StatementNeeded", 403, "AccessDeniedException", 1, "an operator must sign for this")             \
    /* regions */                                                                                                      \
    X(RG_ENOTPRIMARY, "NotPrimary", 421, "NotPrimary", 1, "writes go to the primary region")                           \
    X(RG_ENOPRIMARY, "PrimaryUnavailable", 503, "PrimaryUnavailable", 1, "the primary region cannot be reached")       \
    X(RG_EREVISION, "RevisionNotReached", 412, "RevisionNotReached", 1, "this region has not reached the revision")    \
    X(RG_EREVLOST, "RevisionLost", 410, "RevisionLost", 1, "the revision was lost with an old primary")                \
    X(RG_EREPLICATION, "ReplicationTimeout", 504, "ReplicationTimeout", 1,                                             \
      "the write stands, but not in as many regions as asked")                                                         \
    X(RG_EPAUSED, "WritesPaused", 503, "InternalServerException", 1, "writes are paused for a moment: a switchover runs")  \
    X(RG_ESHORTAGE, "RegionsShort", 503, "InternalServerException", 1,                                                 \
      "too few regions are reachable for the durability asked for")                                                    \
    X(RG_ELEASE, "LeaseNotHeld", 503, "InternalServerException", 1, "the write lease is not held by enough regions")   \
    X(RG_EUNREADY, "NotReady", 503, "InternalServerException", 1, "the node is not ready yet")                         \
    X(RG_EBUSY, "ThrottlingException", 429, "ThrottlingException", 1, "too much at once; try again")                   \
    /* transport */                                                                                                    \
    X(RG_EUNREACHABLE, "Unreachable", 503, "InternalServerException", 3, "cannot be reached")                          \
    X(RG_ETIMEOUT, "Timeout", 504, "InternalServerException", 3, "took too long")                                      \
    X(RG_ECLOSED, "Closed", 503, "InternalServerException", 3, "the connection was closed")                            \
    X(RG_EPEER, "PeerRefused", 403, "AccessDeniedException", 1, "the peer is not who it must be")                      \
    /* full: asked again it is refused again, until there is room */                                                   \
    X(RG_ESTATEFULL, "StateFull", 507, "ServiceQuotaExceededException", 1, "the memory for the state is nearly full")  \
    X(RG_EDISKFULL, "DiskFull", 507, "ServiceQuotaExceededException", 1, "the disk of the log is nearly full")         \
    X(RG_ETOOSTALE, "TooStale", 503, "InternalServerException", 1, "what this region has may be older than allowed")     \
    X(RG_ESUPERSEDED, "Superseded", 503, "InternalServerException", 1, "another life of this node goes on")

#define RG_ERR_ENUM(code, name, http, aws, exit, text) code,
enum rg_err { RG_ERR_MAP(RG_ERR_ENUM) RG_ERR_COUNT };
#undef RG_ERR_ENUM

/* An optional message that goes with a code. Zero it before use; NULL is taken everywhere. */
struct rg_errctx {
    char text[768];
};

/** Symbol of the code ("RG_EIO"), for logs. Static string. */
const char *rg_err_symbol(enum rg_err err);
/** Name used in the `code` member of /v1 errors. Static string. */
const char *rg_err_name(enum rg_err err);
/** Human text of the row. Static string. */
const char *rg_err_text(enum rg_err err);
/** HTTP status for /v1 (the AWS JSON interfaces answer 400 for every 4xx but those of access and region, as AWS does). */
int rg_err_http(enum rg_err err);
/** `__type` for the AWS JSON interfaces. Static string. */
const char *rg_err_aws_type(enum rg_err err);
/** Exit code of `regent`. */
int rg_err_exit(enum rg_err err);

/** Write a message into ctx (NULL is fine; over-long text is cut). */
void rg_errctx_set(struct rg_errctx *ctx, const char *fmt, ...) RG_PRINTF(2, 3);
/**
 * Write a message into ctx, as rg_errctx_set, and be err: `return rg_fail(ctx, RG_EIO, "listen on %s: %s", …);`
 * A macro, so that an analyser sees at the call that the outcome is not RG_OK.
 */
#define rg_fail(ctx, err, ...)              \
    __extension__({                         \
        __attribute__((unused)) const enum rg_err fail_ = (err); \
        rg_errctx_set((ctx), __VA_ARGS__);  \
        fail_;                              \
    })
/** ctx's message, or the row's text when ctx is NULL or empty. */
const char *rg_errctx_text(const struct rg_errctx *ctx, enum rg_err err);
/** Translate an errno value where it appears: ENOSPC/EDQUOT → RG_ENOSPACE, ENOMEM → RG_ENOMEM, ENOENT → RG_ENOTFOUND, else RG_EIO. */
enum rg_err rg_err_from_errno(int errnum);

#endif
