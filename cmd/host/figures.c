#include "cmd/host/figures.h"

#include <stddef.h>

void rg_figures_init(struct rg_figures *f, const struct rg_config *config, const struct rg_descriptors *descriptors)
{
    memset(f, 0, sizeof *f);
    f->config = config;
    f->descriptors = descriptors;
    pthread_mutex_init(&f->lock, NULL);
}

void rg_figures_deinit(struct rg_figures *f) { pthread_mutex_destroy(&f->lock); }

void rg_figures_note(struct rg_figures *f, struct rg_links *links)
{
    const struct rg_config *c = f->config;

    pthread_mutex_lock(&f->lock);
    for (size_t i = 0; i < c->n_peers; i++)
        if (c->peers[i].raft.id != c->id)
            rg_links_stat(links, c->peers[i].raft.id, &f->stats[i]);
    rg_links_strangers(links, &f->strangers);
    pthread_mutex_unlock(&f->lock);
}

static void link_metric(struct rg_figures *f, struct rg_buf *out, const char *name, const char *type, const char *help,
                        size_t offset, bool wide)
{
    const struct rg_config *c = f->config;

    rg_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
    for (size_t i = 0; i < c->n_peers; i++) {
        const uint8_t *at = (const uint8_t *)&f->stats[i] + offset;
        uint64_t v = 0;

        if (c->peers[i].raft.id == c->id)
            continue;
        memcpy(&v, at, wide ? 8 : 4);
        rg_buf_printf(out, "%s{region=\"%s\",peer=\"%llu\"} %llu\n", name, c->peers[i].raft.region,
                      (unsigned long long)c->peers[i].raft.id, (unsigned long long)v);
    }
}

void rg_figures_print_links(struct rg_figures *f, struct rg_buf *out)
{
    pthread_mutex_lock(&f->lock);
#define M(field, type, help)                                                                                           \
    link_metric(f, out, "regent_link_" #field, type, help, offsetof(struct rg_link_stat, field),                       \
                sizeof f->stats[0].field == 8)
    M(rtt_us, "gauge", "Round trip of the last keepalive, microseconds.");
    M(sent_bytes, "counter", "Bytes written to the peer's link, TLS included.");
    M(received_bytes, "counter", "Bytes read from the peer's link, TLS included.");
    M(sent_messages, "counter", "Messages sent to the peer.");
    M(received_messages, "counter", "Messages received from the peer.");
    M(queued_bytes, "gauge", "Bytes waiting to be written to the peer.");
#undef M
#define C(field, help)                                                                                                 \
    rg_buf_printf(out, "# HELP regent_link_strangers_" #field "_total " help "\n# TYPE regent_link_strangers_" #field "_total counter\n" \
                       "regent_link_strangers_" #field "_total %llu\n", (unsigned long long)f->strangers.field)
    C(handshakes, "Connections at the link port that showed a certificate of the cluster.");
    C(failed, "Handshakes at the link port that were broken off, refused or too long.");
    C(refused, "Connections at the link port closed for want of a place, or since one address came too often.");
#undef C
    pthread_mutex_unlock(&f->lock);
}

void rg_figures_print_server(const struct rg_figures *f, struct rg_server *server, struct rg_buf *out)
{
    struct rg_server_stats s;

    rg_server_stats(server, &s);
    rg_buf_printf(out, "# HELP regent_http_connections Open connections.\n# TYPE regent_http_connections gauge\n"
                       "regent_http_connections %llu\n", (unsigned long long)s.conns_open);
    rg_buf_printf(out, "# HELP regent_http_connections_max Connections beyond are closed at once.\n"
                       "# TYPE regent_http_connections_max gauge\nregent_http_connections_max %u\n",
                  f->descriptors->clients * f->config->workers);
    rg_buf_printf(out, "# HELP regent_process_open_fds Open files and connections.\n# TYPE regent_process_open_fds gauge\n"
                       "regent_process_open_fds %u\n", rg_descriptors_open());
    rg_buf_printf(out, "# HELP regent_process_max_fds The limit of them.\n# TYPE regent_process_max_fds gauge\n"
                       "regent_process_max_fds %u\n", f->descriptors->limit);
#define C(name, value, help)                                                                                           \
    rg_buf_printf(out, "# HELP regent_http_" name " " help "\n# TYPE regent_http_" name " counter\nregent_http_" name  \
                       " %llu\n", (unsigned long long)(value))
    C("connections_total", s.conns_total, "Connections accepted.");
    C("requests_total", s.requests_total, "Requests read.");
    C("handshakes_failed_total", s.handshakes_failed, "TLS handshakes that failed.");
    C("refused_total", s.refused_total, "Malformed or over-limit requests refused.");
    C("timeouts_total", s.timeouts_total, "Connections closed at a deadline.");
    C("received_bytes_total", s.bytes_in, "Bytes read.");
    C("sent_bytes_total", s.bytes_out, "Bytes written.");
#undef C
}
