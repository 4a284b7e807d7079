/* tests/unit/store/model/world.h: what the programs of store/model/ read: the small organisation, in a transaction that is open. */
#ifndef REGENT_TESTS_UNIT_STORE_MODEL_WORLD_H
#define REGENT_TESTS_UNIT_STORE_MODEL_WORLD_H

#include "tests/lib/store_rig.h"

static struct fix fix;
static struct rg_txn *txn;

static void world_open(void)
{
    fix_open(&fix);
    fix_world(&fix);
    txn = fix_read(&fix);
}

static void world_close(void)
{
    rg_txn_free(txn);
    fix_close(&fix);
}

#endif
