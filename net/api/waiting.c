#include "net/api/waiting.h"

enum rg_err rg_waiting_init(struct rg_waiting *w)
{
    w->n = 0;
    return pthread_mutex_init(&w->mutex, NULL) == 0 ? RG_OK : RG_ENOMEM;
}

void rg_waiting_deinit(struct rg_waiting *w) { pthread_mutex_destroy(&w->mutex); }

static bool is_over(const struct rg_waiting_node *node, int64_t wall_ms) { return wall_ms - node->asked_ms > RG_WAITING_KEPT_MS; }

/* Those behind it move up. */
static void drop(struct rg_waiting *w, size_t at)
{
    RG_ASSERT(at < w->n);
    w->n--;
    memmove(&w->nodes[at], &w->nodes[at + 1], (w->n - at) * sizeof w->nodes[0]);
}

static size_t find(const struct rg_waiting *w, const struct rg_waiting_node *node)
{
    size_t at = 0;

    while (at < w->n && (w->nodes[at].old_id != node->old_id || strcmp(w->nodes[at].fingerprint, node->fingerprint) != 0))
        at++;
    return at;
}

static size_t most_silent(const struct rg_waiting *w)
{
    size_t at = 0;

    for (size_t i = 1; i < w->n; i++)
        if (w->nodes[i].asked_ms < w->nodes[at].asked_ms)
            at = i;
    return at;
}

void rg_waiting_note(struct rg_waiting *w, const struct rg_waiting_node *node)
{
    int64_t since_ms = node->asked_ms;
    size_t at;

    RG_ASSERT(node->old_id != 0 && node->heir != 0);
    pthread_mutex_lock(&w->mutex);
    at = find(w, node);
    if (at < w->n && is_over(&w->nodes[at], node->asked_ms)) {
        drop(w, at);
        at = w->n;
    }
    if (at < w->n)
        since_ms = w->nodes[at].since_ms;
    else if (w->n == RG_WAITING_MAX)
        drop(w, most_silent(w));
    at = RG_MIN(at, w->n);
    w->nodes[at] = *node;
    w->nodes[at].since_ms = since_ms;
    w->n = RG_MAX(w->n, at + 1);
    RG_ASSERT(w->n <= RG_WAITING_MAX);
    pthread_mutex_unlock(&w->mutex);
}

void rg_waiting_forget(struct rg_waiting *w, uint64_t old_id)
{
    pthread_mutex_lock(&w->mutex);
    for (size_t i = w->n; i-- > 0;)
        if (w->nodes[i].old_id == old_id)
            drop(w, i);
    pthread_mutex_unlock(&w->mutex);
}

size_t rg_waiting_list(struct rg_waiting *w, int64_t wall_ms, struct rg_waiting_node ret_nodes[RG_WAITING_MAX])
{
    size_t n = 0;

    pthread_mutex_lock(&w->mutex);
    for (size_t i = 0; i < w->n; i++)
        if (!is_over(&w->nodes[i], wall_ms))
            ret_nodes[n++] = w->nodes[i];
    pthread_mutex_unlock(&w->mutex);
    return n;
}
