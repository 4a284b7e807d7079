/* store/model/setting_priv.h: what reading settings (here) and writing them (store/apply/setting.c) share. */
#ifndef REGENT_STORE_MODEL_SETTING_PRIV_H
#define REGENT_STORE_MODEL_SETTING_PRIV_H

#include "store/db/rowkey.h"
#include "store/model/setting.h"

static inline struct rg_span setting_text(struct rg_span row, uint32_t field)
{
    struct rg_span value;

    RG_ASSERT(field > 0);
    return rg_tlv_get(row, field, &value) ? value : rg_span(NULL, 0);
}

static inline struct rg_rowkey setting_count_key(void)
{
    struct rg_rowkey key;

    RG_ASSERT(rg_rowkey_text(RG_T_SETTING, rg_span_str("degraded-count"), &key));
    return key;
}

#endif
