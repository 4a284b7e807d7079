/* Members of what a node that joins, or comes back, asks. */
#include <stdio.h>
#include <strings.h>

#include "net/join/join_priv.h"

enum rg_err join_take(const json_t *input, const char *name, size_t max, struct rg_span *ret, struct rg_errctx *ctx)
{
    *ret = rg_json_text(input, name);
    if (ret->p == NULL || ret->n == 0)
        return rg_fail(ctx, RG_EINVALID, "%s: a text is needed", name);
    if (ret->n > max)
        return rg_fail(ctx, RG_EINVALID, "%s: is over %zu bytes", name, max);
    if (memchr(ret->p, 0, ret->n) != NULL)
        return rg_fail(ctx, RG_EINVALID, "%s: holds a NUL", name);
    return RG_OK;
}

static void copy(char *to, size_t size, struct rg_span text) { snprintf(to, size, "%.*s", RG_SPAN_ARG(text)); }

/* "host:port" or "[v6]:port": the host alone. False: it is neither. */
bool join_host_of(const char *address, char host[JOIN_HOST_BYTES_MAX])
{
    const char *colon = strrchr(address, ':'), *from = address;
    size_t n = colon != NULL ? (size_t)(colon - address) : 0;
    char *end;
    unsigned long port = colon != NULL && colon[1] >= '0' && colon[1] <= '9' ? strtoul(colon + 1, &end, 10) : 0;

    if (port < 1 || port > 65535 || *end != '\0' || n < 1)
        return false;
    if (n > 2 && address[0] == '[' && address[n - 1] == ']') {
        from++;
        n -= 2;
    } else if (memchr(address, ':', n) != NULL) {
        return false;
    }
    if (n >= JOIN_HOST_BYTES_MAX || strspn(from, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:-") < n)
        return false;
    memcpy(host, from, n);
    host[n] = '\0';
    return true;
}

/* "https://host:port", nothing behind it; in the clear on one machine alone. */
bool join_host_of_url(const char *url, char host[JOIN_HOST_BYTES_MAX])
{
    bool plain = strncmp(url, "http://", 7) == 0;

    if (!plain && strncmp(url, "https://", 8) != 0)
        return false;
    return join_host_of(strstr(url, "//") + 2, host) &&
           (!plain || strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0);
}

enum rg_err join_take_place(const json_t *input, struct join *j, struct rg_errctx *ctx)
{
    struct rg_span region, link, url, csr;
    char host[JOIN_HOST_BYTES_MAX];
    enum rg_err err = join_take(input, "region", RG_REGION_NAME_BYTES_MAX, &region, ctx);

    if (!err && !rg_region_name_ok(region))
        err = rg_fail(ctx, RG_EINVALID, "region: is 1 to %d of a-z, 0-9 and '-'", RG_REGION_NAME_BYTES_MAX);
    if (!err)
        err = join_take(input, "link", JOIN_LINK_BYTES_MAX, &link, ctx);
    if (!err)
        err = join_take(input, "url", JOIN_URL_BYTES_MAX, &url, ctx);
    if (!err)
        err = join_take(input, "csr", JOIN_CSR_BYTES_MAX, &csr, ctx);
    if (err)
        return err;
    copy(j->region, sizeof j->region, region);
    copy(j->link, sizeof j->link, link);
    copy(j->url, sizeof j->url, url);
    copy(j->csr, sizeof j->csr, csr);
    if (!join_host_of(j->link, host))
        return rg_fail(ctx, RG_EINVALID, "link: must be host:port, where the other nodes reach this one");
    if (!join_host_of_url(j->url, host))
        return rg_fail(ctx, RG_EINVALID, "url: must be https://host:port, where clients reach this node");
    return RG_OK;
}

/* ---- whose names they are ---- */

bool join_host_is_local(const char *host)
{
    return strcasecmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0;
}

bool join_hosts_of_row(const struct rg_node_row *row, char link[JOIN_HOST_BYTES_MAX], char url[JOIN_HOST_BYTES_MAX])
{
    char text[JOIN_URL_BYTES_MAX + 1];

    if (row->link.n >= sizeof text || row->url.n >= sizeof text)
        return false;
    copy(text, sizeof text, row->link);
    if (!join_host_of(text, link))
        return false;
    copy(text, sizeof text, row->url);
    return join_host_of_url(text, url);
}

static bool same_host(const char *a, const char *b) { return strcasecmp(a, b) == 0 && !join_host_is_local(a); }

/* What another node has of it; NULL: nothing. */
static const char *taken_by(const struct rg_node_row *row, const struct rg_node_row *other)
{
    char link[JOIN_HOST_BYTES_MAX], url[JOIN_HOST_BYTES_MAX], its_link[JOIN_HOST_BYTES_MAX], its_url[JOIN_HOST_BYTES_MAX];

    if (rg_span_eq(row->link, other->link))
        return "link";
    if (rg_span_eq(row->url, other->url))
        return "url";
    if (!join_hosts_of_row(row, link, url) || !join_hosts_of_row(other, its_link, its_url))
        return NULL;
    if (same_host(link, its_link) || same_host(link, its_url))
        return "link's host";
    return same_host(url, its_link) || same_host(url, its_url) ? "url's host" : NULL;
}

enum rg_err join_check_local(struct rg_call *call, const struct join *j, struct rg_errctx *ctx)
{
    char from[64], hosts[2][JOIN_HOST_BYTES_MAX];
    static const char *const whose[] = {"link", "url"};

    if (!join_host_of(j->link, hosts[0]) || !join_host_of_url(j->url, hosts[1]))
        return RG_EINTERNAL;
    rg_peer_address(call->req->peer, from);
    for (size_t i = 0; i < RG_LEN(hosts); i++)
        if (join_host_is_local(hosts[i]) && !join_host_is_local(from))
            return rg_fail(ctx, RG_EINVALID, "%s: %s is every machine's own name: give one that others reach", whose[i], hosts[i]);
    return RG_OK;
}

enum rg_err join_check_free(struct rg_txn *txn, const struct rg_node_row *row, uint64_t but, struct rg_errctx *ctx)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_node_row other;
    enum rg_err err = rg_node_row_list(txn, &scan);

    while (!err && (err = rg_node_row_next(&scan, &other)) == RG_OK) {
        bool live = rg_span_is(other.status, "MEMBER") || (rg_span_is(other.status, "PREPARED") && !rg_node_row_asks(&other));
        const char *what = live && other.id != row->id && other.id != but ? taken_by(row, &other) : NULL;

        if (what != NULL)
            return rg_fail(ctx, RG_ECONFLICT, "%s: is that of node %llu in %.*s, which is there: no two nodes have the same", what,
                           (unsigned long long)other.id, RG_SPAN_ARG(other.region));
    }
    return err == RG_ENOTFOUND ? RG_OK : err;
}
