/* store/model/setting_priv.h: what reading settings (here) and writing them (store/apply/setting.c) share. */
#ifndef REGENT_STORE_MODEL_SETTING_PRIV_H
#define REGENT_STORE_MODEL_SETTING_PRIV_H

#include "store/db/rowkey.h"
#include "store/model/setting.h"

static inline struct rg_span setting_text(struct rg_span row, uint32_t field)
{
    struct rg_span value;

    RG_ASSERT(field >= RG_F_ID); /* apply's own are no texts of a setting */
    return rg_tlv_get(row, field, &value) ? value : rg_span(NULL, 0);
}

static inline struct rg_rowkey setting_count_key(void)
{
    struct rg_rowkey key;

    RG_ASSERT(rg_rowkey_text(RG_T_SETTING, rg_span_str("degraded-count"), &key));
    RG_ASSERT(key.n == 1 + sizeof "degraded-count" - 1); /* as it is: no command's name */
    return key;
}

#endif
