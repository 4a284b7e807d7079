/* tests/lib/store_rig.h: a store in a directory of its own, and commands written as short texts:
 *   fix_apply(&f, RG_CMD_USER_CREATE, "id=u1 name=alice email=alice@example.com ext=okta|00u1 status=ENABLED")
 * An environment must not cross a fork: open it in a checked fixture. */
#ifndef REGENT_TESTS_LIB_STORE_RIG_H
#define REGENT_TESTS_LIB_STORE_RIG_H

#include <check.h>
#include <stdio.h>
#include <unistd.h>

#include "base/prng.h"
#include "store/apply/fsm.h"
#include "store/authz/access.h"
#include "store/db/rowkey.h"
#include "store/model/setting.h"
#include "tests/lib/tmpdir.h"

#define FIX_MAP_BYTES ((size_t)256 << 20)

struct fix {
    char dir[TMPDIR_BYTES];
    struct rg_store *store;
    uint64_t index;
    int64_t at_ms;
    struct rg_buf cmd;
    struct rg_reply reply; /* of the last command */
};

void fix_open_sized(struct fix *f, size_t map_bytes);
void fix_open(struct fix *f); /* of FIX_MAP_BYTES */
void fix_empty(struct rg_store *store); /* by an empty spare, swapped in */
void fix_close(struct fix *f); /* its folder must be empty then */

/* Ids are their names, padded: "u1" is 75310000-0000-…, so order by name is order by id. */
struct rg_uuid fix_id(const char *name);
struct rg_psid fix_psid(const char *name);
void fix_token(const char *name, uint8_t out[32]);

/* Fields as texts, "name=alice status=ENABLED" with '=' and ' ', after what buf has. */
void fix_put_fields(struct rg_buf *buf, const char *text, const char *end, char eq, char sep);
/* Build f->cmd. */
void fix_cmd(struct fix *f, enum rg_cmd_kind kind, const char *fields);

/* Apply bytes in a transaction of their own. */
enum rg_err fix_apply_bytes(struct fix *f, struct rg_span bytes);
/* Build it and apply it; fix_must: it must be RG_OK. */
enum rg_err fix_apply(struct fix *f, enum rg_cmd_kind kind, const char *fields);
void fix_must(struct fix *f, enum rg_cmd_kind kind, const char *fields);

/* A command that must be refused so, and change nothing by it: it is applied, and the hash is as before. */
struct fix_refusal {
    const char *name;
    enum rg_cmd_kind kind;
    const char *fields;
    enum rg_err err;
    enum rg_why why;
    const char *id; /* reply: of the object in the way or addressed; NULL: not looked at */
};
void fix_refused(struct fix *f, const struct fix_refusal *want);

struct rg_counts fix_counts(struct fix *f);
struct rg_settings fix_settings(struct fix *f);
bool fix_row_exists(struct fix *f, const char *key, size_t n);
uint64_t fix_rows_under(struct fix *f, const char *prefix);

/* The row of one under the key of another. */
void fix_copy_row(struct rg_txn *txn, const struct rg_rowkey *from, const struct rg_rowkey *to);

/* A read transaction; own. */
struct rg_txn *fix_read(struct fix *f);
void fix_hash(struct fix *f, uint8_t out[RG_STATE_HASH_BYTES]);

/* The incremental hash is the hash of what is there. */
void fix_check_hash(struct fix *f);

#define FIX_INIT                                                                                                       \
    "arn=arn:aws:sso:::instance/ssoins-0123456789abcdef store=d-0123456789 owner=999999999999 key=mrk-1 "              \
    "region=name:us-east-1,status:ACTIVE,primary:1 region=name:eu-central-1,status:ACTIVE,primary:0 "                  \
    "credential=akid:AKIAROOT,secret:sealed,token:root,role:admin"

/* A small organisation: three users, two groups, two sets, two accounts. */
void fix_world(struct fix *f);

#endif
