/* cmd/probe/page.h: one text for a Prometheus server, over plain HTTP on this machine. */
#ifndef REGENT_CMD_PROBE_PAGE_H
#define REGENT_CMD_PROBE_PAGE_H

#include "base/buf.h"

struct rg_probe_page;

/** Listen at "ADDR:PORT" ("[::1]:PORT" too) and answer GET /metrics, on a thread. RG_EUSAGE: not a loopback address. */
RG_MUST enum rg_err rg_probe_page_start(const char *address, struct rg_probe_page **ret_page, struct rg_errctx *ctx);
/** The text from now on: copied. */
RG_MUST enum rg_err rg_probe_page_set(struct rg_probe_page *page, struct rg_span text);
/** Closes the port; a request under way has two seconds. NULL is fine. */
void rg_probe_page_stop(struct rg_probe_page *page);

#endif
