/* net/api/operation.h: what can be asked. An operation is a row, and what holds for it stands in its row: net/api/dispatch.c
 * enforces it, in one order for all. Rows belong to services, services to interfaces, which say how a request names its operation
 * and how an error is worded. */
#ifndef REGENT_NET_API_OPERATION_H
#define REGENT_NET_API_OPERATION_H

#include "base/err.h"
#include "base/util.h"

struct rg_call;
struct rg_shape;      /* net/aws/shape.h */
struct rg_request;    /* net/http/server.h */

enum {
    RG_OP_WRITE = 1 << 0,   /* done where writes are taken: elsewhere it is refused, or queued, before anything of it is done */
    RG_OP_QUEUE = 1 << 1,   /* a write whose only effect is one command that may wait as an intent (raft/intent/intent.h) */
    RG_OP_EXEMPT = 1 << 2,  /* what it proposes administers durability, lease or nodes, and is not held up by them */
    RG_OP_OPEN = 1 << 3,    /* asks no credential of its caller: it has nothing to hide, or asks for a proof itself */
    RG_OP_UNREADY = 1 << 4, /* answered by a node that is not ready too. With OPEN it is a monitor's probe, answered whatever the
                             * headers say; its GET serves HEAD */
    RG_OP_HOMED = 1 << 5,   /* changes what the region asked keeps or is, not the replicated state: never sent to the primary */
    RG_OP_NOW = 1 << 6,     /* of use now or never: Regent-Intent is of no account, for it could not wait */
};

/* What a caller must be permitted. Today a credential's role is admin, which may everything, or read. */
enum rg_permission {
    RG_PERMIT_OPEN,  /* nothing */
    RG_PERMIT_READ,  /* any credential */
    RG_PERMIT_WRITE, /* to change something */
    RG_PERMIT_LOST,  /* to see and handle writes that were lost with an old primary */
    RG_PERMISSIONS
};
/** "open", "read", "write", "lost". Static string. */
const char *rg_permission_name(enum rg_permission permission);

/* All static. */
struct rg_operation {
    const char *name;             /* "identitystore.CreateUser": for metrics, audit, permissions */
    const char *method;           /* NULL: path is an X-Amz-Target */
    const char *path;             /* '*' stands for one whole segment that is not empty: call->argument. One at most */
    const struct rg_shape *input; /* of the body; NULL: run reads it itself */
    unsigned flags;
    enum rg_permission permission;
    void (*run)(struct rg_call *call); /* everything above holds */
};

/* Operations under one name. */
struct rg_service {
    const char *name;  /* "identitystore" */
    const char *sigv4; /* what clients scope their signatures to */
    const struct rg_operation *operations;
    size_t n;
    bool names_resources; /* its errors say which resource they are about */
};

/* Further members and headers of an error; each may be NULL. */
struct rg_fail_extra {
    const char *reason, *resource_type, *resource_id;
    const char *location;
};

/* A way to ask and to answer. */
struct rg_interface {
    const char *name;  /* "aws-json" */
    const char *other; /* "aws.other": what a call is counted as before it has a name */
    /** Whether a request is of this interface. The first that takes it has it; the last takes what is left. */
    bool (*takes)(const struct rg_request *req);
    const struct rg_service *const *services;
    size_t n_services;
    bool by_target; /* operations are named by X-Amz-Target, not by method and path */
    /** Read what all its operations need, once the caller is let in; before it is told whether the operation exists. NULL: nothing.
     * False: answered. */
    bool (*begin)(struct rg_call *call);
    /** Answer a call whose operation does not exist; path: that of one which exists with another method, or NULL. */
    void (*unknown)(struct rg_call *call, const char *path);
    /** Hold the body to the row's shape; called when it has one. False: answered. */
    bool (*check)(struct rg_call *call);
    /* how it words errors */
    const char *content_type;
    int (*error_status)(enum rg_err err);
    const char *(*error_code)(enum rg_err err); /* static string */
    void (*put_error)(struct rg_call *call, enum rg_err err, const char *message, const struct rg_fail_extra *extra); /* to call->out */
};

/* All rows, found by one look into a hash table. */
struct rg_operations;
/**
 * interfaces  borrow, for as long as the table is used
 * RG_EINVALID: two rows of one interface are asked for in the same way, or a row's path is not one. RG_ENOMEM.
 */
RG_MUST enum rg_err rg_operations_new(const struct rg_interface *const *interfaces, size_t n, struct rg_operations **ret_table,
                                      struct rg_errctx *ctx);
/** NULL is fine. */
void rg_operations_free(struct rg_operations *table);

/** What calls are counted as: every interface's `other`, in their order, then every row's name. Borrow until the table is freed. */
const char *const *rg_operations_names(const struct rg_operations *table, size_t *ret_n);

struct rg_found {
    const struct rg_service *service;
    const struct rg_operation *operation; /* NULL: there is none */
    struct rg_span argument;              /* borrow from path */
    unsigned number;                      /* of rg_operations_names */
    bool other_method;                    /* the operation stands at this path, and takes another method */
};
/** The row of a path and method, or of a target (method: not looked at). No allocation. */
void rg_operations_find(const struct rg_operations *table, const struct rg_interface *interface, struct rg_span method,
                        struct rg_span path, struct rg_found *ret_found);

#endif
