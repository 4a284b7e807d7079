/* raft/serve/lives.c: which life of a peer is dealt with, and what of that is said to it. What they mean is judged in raft/rule/hello.c. */
#include "raft/serve/serve.h"

#define ALIVE_MS 2000u /* a peer that was heard within this runs */
#define TWIN_MS 60000u /* how long it is said that one runs twice: it ends when it hears so */
_Static_assert(TWIN_MS > ALIVE_MS, "what made it one is over before that is forgotten");

bool node_peer_alive(const struct rg_node *node, const struct node_peer *peer)
{
    RG_ASSERT(peer == NULL || peer->heard_ms <= node_now_ms(node));
    return peer != NULL && (peer->up || (peer->heard_ms != 0 && node_now_ms(node) - peer->heard_ms <= ALIVE_MS));
}

bool node_life_twin(const struct rg_node *node, const struct node_peer *peer)
{
    RG_ASSERT(peer->twin_ms <= node_now_ms(node));
    return peer->twin_ms != 0 && node_now_ms(node) - peer->twin_ms <= TWIN_MS;
}

void node_life_said(struct rg_node *node, uint64_t peer, struct rg_hello *hello)
{
    hello->life = rg_lives_get(&node->meta.lives, peer, &hello->bound);
    RG_ASSERT(hello->life.start != 0 || hello->life.boot == 0);
    hello->life_up = hello->life.start != 0 && node_peer_alive(node, node_peer_find(node, peer));
}

/* What this peer has answered, or promised, was said by a life before its present one: it counts for nothing. */
static void unheard(struct rg_node *node, uint64_t peer)
{
    struct rg_failover *f = node->failover.request;

    RG_ASSERT(f == NULL || f->n_candidates <= RG_LEN(f->candidates));
    RG_ASSERT(f == NULL || f->candidates[0].id != peer); /* what this node says of itself stands */
    for (size_t i = 1; f != NULL && i < f->n_candidates; i++)
        if (f->candidates[i].id == peer)
            f->candidates[i].answered = f->candidates[i].promised = false;
}

void node_life_claimed(struct rg_node *node, uint64_t id, uint64_t start)
{
    struct node_peer *peer = node_peer_find(node, id);

    if (node->failover.request == NULL || peer == NULL || start <= rg_lives_get(&node->meta.lives, id, &peer->said).start)
        return;
    peer->claimed = RG_MAX(peer->claimed, start);
    unheard(node, id);
}

bool node_life_counts(const struct rg_node *node, const struct node_peer *peer)
{
    return peer->claimed <= rg_lives_get(&node->meta.lives, peer->config.id, &peer->said).start;
}

enum rg_err node_life_keep(struct rg_node *node, struct node_peer *peer, const struct rg_hello *h, struct rg_errctx *ctx)
{
    const struct rg_life said = {.start = h->starts, .boot = h->boot};
    struct rg_life seen = rg_lives_get(&node->meta.lives, h->from, &h->incarnation);
    enum rg_err err;

    RG_ASSERT(h->from != node->config.id);
    RG_ASSERT(peer == NULL || peer->config.id == h->from);
    if (!rg_incarnation_known(&h->incarnation) || said.start == 0 || rg_life_cmp(&seen, &said) != RG_LIFE_LATER)
        return RG_OK;
    if (seen.start != 0 && node_peer_alive(node, peer))
        rg_log_warn(node->config.log, "peer.later_life", "peer=%llu start=%llu seen=%llu text=\"the one before was heard a moment ago\"",
                    (unsigned long long)h->from, (unsigned long long)said.start, (unsigned long long)seen.start);
    if (peer != NULL && !RG_BUG(lives_believed))
        peer->lease_until_ms = 0; /* what the one before has granted or promised, this one may not know */
    unheard(node, h->from);
    rg_lives_keep(&node->meta.lives, &node->members, h->from);
    if (!rg_lives_set(&node->meta.lives, h->from, &h->incarnation, &said))
        return rg_fail(ctx, RG_ETOOBIG, "peer %llu: lives of %d nodes are kept already", (unsigned long long)h->from, RG_LIVES_MAX);
    seen = rg_lives_get(&node->meta.lives, h->from, &h->incarnation);
    RG_ASSERT(seen.start == said.start);
    RG_ASSERT(seen.boot == said.boot);
    err = RG_BUG(lives_volatile) ? RG_OK : rg_metafile_save(node->metafile, &node->meta, ctx);
    if (err)
        node_fail(node, err, "save the start of peer %llu: %s", (unsigned long long)h->from, rg_errctx_text(ctx, err));
    return err;
}
