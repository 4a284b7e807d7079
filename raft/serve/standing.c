/* raft/serve/standing.c: a start without proof that the disk forgot nothing: those who would know are asked, and until they have told, this
 * node neither votes, promises, grants, counts nor leads. A voter does not even start its core; another one follows meanwhile. What
 * decides is raft/standing/standing.c. */
#include <stdio.h>

#include "raft/serve/serve.h"

#define ASK_MS 500u      /* between two askings */
#define SAY_MS 60000u    /* between two lines in the log */
#define COLD_MS 3000u    /* for those that start together with it */
#define BLANK_MS 30000u  /* so long a member says that its disk is lost before it is believed: it may be mounted yet */
#define BLANK_AGAIN_MS 60000u /* and says it again within this */
#define WARM_MS 600000u  /* so long after such a start it is no witness against another one */

/* ---- what the next process is left ---- */

static void store(struct rg_node *node)
{
    const struct node_standing *s = &node->standing;
    uint64_t last = node->log.persisted;
    struct rg_record r = {.incarnation = node->meta.incarnation,
                          .start = node->meta.starts,
                          .sequence = rg_metafile_sequence(node->metafile),
                          .firm = !s->asking,
                          .level_term = s->level_term,
                          .level_index = s->level_index,
                          .granted_ms = node->lease.granted.until_ms};
    uint8_t bytes[RG_RECORD_BYTES_MAX];

    if (!node->config.memory_peers || node->io->live_store == NULL || node->stage.state == NODE_NEW)
        return;
    r.index = last;
    r.term = last > 0 ? rg_wal_term(node->wal, last) : 0;
    if (last > 0 && r.term == 0 && last == node->snap.index)
        r.term = node->snap.term;
    if (r.term == 0)
        r.index = 0;
    RG_ASSERT(r.index <= node->log.persisted); /* told of by nobody before it is on disk */
    RG_ASSERT(r.term <= node->meta.term);
    RG_ASSERT(r.start >= 1);
    node->io->live_store(node->io, bytes, rg_record_encode(&r, bytes));
}

void node_standing_note(struct rg_node *node)
{
    store(node);
}

static void on_saved(void *arg)
{
    store(arg);
}

/* The log holds what the record says that it held. */
static bool log_fits(const struct rg_node *node, const struct rg_record *r)
{
    if (r->index == 0)
        return true;
    RG_ASSERT(r->term != 0);
    if (r->index <= node->snap.index) /* compacted since, or replaced by a later one */
        return r->index < node->snap.index || r->term == node->snap.term;
    return r->index <= rg_wal_last(node->wal) && rg_wal_term(node->wal, r->index) == r->term;
}

/* The start was counted already. */
void node_standing_open(struct rg_node *node)
{
    uint8_t bytes[RG_RECORD_BYTES_MAX];
    bool kept = node->config.memory_peers && node->io->live_load != NULL;
    size_t n = kept ? node->io->live_load(node->io, bytes, sizeof bytes) : 0;
    struct node_standing *s = &node->standing;

    RG_ASSERT(node->stage.state == NODE_NEW);
    RG_ASSERT(node->meta.starts >= 1);
    RG_ASSERT(n <= sizeof bytes);
    s->fits = n > 0 && rg_record_decode(rg_span(bytes, n), &s->before) &&
              rg_record_fits(&s->before, &node->meta.incarnation, node->meta.starts - 1, rg_metafile_sequence(node->metafile)) &&
              log_fits(node, &s->before) && s->before.firm;
    RG_ASSERT(!s->fits || s->before.start + 1 == node->meta.starts);
    if (s->fits) { /* a start that ends before it runs has told nobody anything: the next one is left the same */
        s->before.start = node->meta.starts;
        s->before.sequence = rg_metafile_sequence(node->metafile);
        node->io->live_store(node->io, bytes, rg_record_encode(&s->before, bytes));
    }
    rg_metafile_watch(node->metafile, on_saved, node);
}

/* ---- whether ---- */

/* The most that is enforced while its members may not all know the terms that are in force. */
static uint32_t regions(const struct rg_node *node)
{
    const struct rg_settings *p = node_settings(node);

    return RG_MAX(p->degrade ? 0 : p->regions, p->lease_index != 0 ? RG_MAX(p->lease_regions, p->old_lease_regions) : p->lease_regions);
}

static uint64_t last_term(const struct rg_node *node)
{
    uint64_t last = rg_wal_last(node->wal), term = last > 0 ? rg_wal_term(node->wal, last) : 0;

    return term == 0 && last == node->snap.index ? node->snap.term : term;
}

static struct rg_standing_here here(const struct rg_node *node)
{
    return (struct rg_standing_here){.id = node->config.id,
                                     .members = &node->members,
                                     .regions = regions(node),
                                     .lease_ms = RG_MAX((uint32_t)node->meta.lease_ms, rg_lease_asked_ms(node_settings(node))),
                                     .epoch = rg_epoch_of(node->meta.term),
                                     .promised = node->meta.promised,
                                     .term = node->meta.term,
                                     .last_term = last_term(node),
                                     .last_index = rg_wal_last(node->wal),
                                     .waited = node_now_ms(node) - node->pump.started_ms >= COLD_MS};
}

/* Not before every id is bound to its directory: until then some may run a release that cannot tell. A directory that was made by this
 * start has forgotten nothing; what its id had before, whoever knows it refuses. */
void node_standing_begin(struct rg_node *node)
{
    struct node_standing *s = &node->standing;
    const struct rg_standing_here h = here(node);

    RG_ASSERT(node->stage.state == NODE_NEW);
    RG_ASSERT(!s->asking);
    RG_ASSERT(s->n_known == 0);
    RG_ASSERT(h.last_term <= h.term);
    s->number = node->boot;
    if (s->fits) {
        s->level_term = s->before.level_term;
        s->level_index = s->before.level_index;
        return;
    }
    s->asking = node->config.memory_peers && node->meta.starts > 1 && rg_members_bound(&node->members) > 0 &&
                rg_binding_whole(&node->members) && rg_standing_asks(&h) && !RG_BUG(standing_believed);
    RG_ASSERT(!s->asking || node->members.n > 1); /* there is somebody to ask */
    RG_ASSERT(!s->asking || node->config.memory_peers);
}

bool node_standing_holds(const struct rg_node *node)
{
    RG_ASSERT(!node->standing.asking || !node->leading);
    return node->standing.asking && node_votes(node);
}

bool node_standing_level(const struct rg_node *node)
{
    return node->standing.level_index == 0 || RG_BUG(standing_unlevel);
}

bool node_standing_stands(const struct rg_node *node)
{
    return !node->standing.asking && node_standing_level(node);
}

bool node_standing_may_elect(const struct rg_node *node, uint64_t last_term, uint64_t last_index)
{
    const struct node_standing *s = &node->standing;

    return !s->asking && (node_standing_level(node) || rg_standing_reaches(last_term, last_index, s->level_term, s->level_index));
}

/* ---- asking ---- */

static const struct rg_told *known(const struct node_standing *s, uint64_t id)
{
    RG_ASSERT(s->n_known <= RG_LEN(s->known));
    for (size_t i = 0; i < s->n_known; i++)
        if (s->known[i].id == id)
            return &s->known[i];
    return NULL;
}

void node_standing_why(const struct rg_node *node, char *out, size_t n)
{
    size_t at = (size_t)snprintf(out, n, "MemoryUnproved: started without proof that its disk forgot nothing; %s",
                                 node->standing.behind ? "other regions have more than this primary: it has lost data" : "waiting for");

    for (size_t i = 0; i < node->n_peers && at < n && !node->standing.behind; i++) {
        const struct node_peer *p = &node->peers[i];
        const struct rg_told *k = known(&node->standing, p->config.id);

        if (!p->guest && (k == NULL || !k->firm))
            at += (size_t)snprintf(out + at, n - at, " node %llu (%s%s)", (unsigned long long)p->config.id, p->config.region,
                                   k == NULL ? "" : k->blank ? ", its disk is lost" : ", asking itself");
    }
}

/* Again, also to who has told: it may be firm by now. */
static void ask(struct rg_node *node)
{
    struct node_standing *s = &node->standing;
    struct rg_msg m = {.type = RG_MSG_WHO, .who = {.number = s->number}};
    uint64_t now = node_now_ms(node);

    if (now < s->ask_ms)
        return;
    s->ask_ms = now + ASK_MS;
    for (size_t i = 0; i < node->n_peers; i++)
        if (node->peers[i].up && node->peers[i].standing_known && (s->asking || node->peers[i].asking))
            (void)node_send(node, node->peers[i].config.id, &m);
}

static void say(struct rg_node *node)
{
    struct node_standing *s = &node->standing;
    uint64_t now = node_now_ms(node);
    char why[160];

    RG_ASSERT(s->asking);
    if (s->said_ms != 0 && now - s->said_ms < SAY_MS)
        return;
    s->said_ms = now;
    node_standing_why(node, why, sizeof why);
    rg_log_warn(node->config.log, "standing.asking", "text=\"%s\"", why);
}

void node_on_who(struct rg_node *node, struct node_peer *peer, const struct rg_msg_who *m)
{
    const struct rg_standing_here h = here(node);
    struct rg_msg out = {.type = RG_MSG_KNOW};

    out.know = (struct rg_msg_know){.number = m->number,
                                    .asking = node->standing.asking || node->stage.state != NODE_RUNNING,
                                    .level = node_standing_level(node),
                                    .cold = node->standing.cold && node_now_ms(node) - node->pump.started_ms < WARM_MS,
                                    .leads = node->leading,
                                    .term = h.term,
                                    .promised = h.promised,
                                    .last_term = h.last_term,
                                    .last_index = h.last_index,
                                    .regions = h.regions,
                                    .lease_ms = h.lease_ms};
    if ((node->config.test_flags & RG_TEST_UNTOLD) != 0)
        return;
    RG_ASSERT(!node->leading || !node->standing.asking);
    RG_ASSERT(h.last_index == rg_wal_last(node->wal));
    RG_ASSERT(h.last_term <= h.term);
    (void)node_send(node, peer->config.id, &out); /* it asks again */
}

void node_on_know(struct rg_node *node, struct node_peer *peer, const struct rg_msg_know *m)
{
    struct node_standing *s = &node->standing;
    struct rg_told k = {.id = peer->config.id,
                         .firm = !m->asking && m->level,
                         .cold = m->cold,
                         .leads = m->leads,
                         .epoch = rg_epoch_of(m->term),
                         .promised = m->promised,
                         .term = m->term,
                         .last_term = m->last_term,
                         .last_index = m->last_index,
                         .regions = m->regions,
                         .lease_ms = m->lease_ms};
    uint64_t latest = RG_MAX(k.epoch, k.promised);
    size_t at = 0;

    if (m->number != s->number)
        return;
    if (peer->asking && !m->asking) {
        peer->asking = false;
        node_regions_moved(node);
    }
    if (!s->asking || rg_epoch_heard(RG_MAX(node->meta.promised, rg_epoch_of(node->meta.term)), latest) != latest)
        return; /* not believed, and so not told */
    RG_ASSERT(k.id != node->config.id);
    RG_ASSERT(s->n_known <= RG_LEN(s->known));
    while (at < s->n_known && s->known[at].id != k.id)
        at++;
    if (at == RG_LEN(s->known))
        return;
    s->known[at] = k;
    s->n_known = RG_MAX(s->n_known, at + 1);
    RG_ASSERT(known(s, k.id) == &s->known[at]); /* once */
}

static struct node_blank *blank(struct node_standing *s, uint64_t id)
{
    RG_ASSERT(s->n_blanks <= RG_LEN(s->blanks));
    RG_ASSERT(id != 0);
    for (size_t i = 0; i < s->n_blanks; i++)
        if (s->blanks[i].id == id)
            return &s->blanks[i];
    if (s->n_blanks == RG_LEN(s->blanks))
        return NULL;
    s->blanks[s->n_blanks] = (struct node_blank){.id = id};
    return &s->blanks[s->n_blanks++];
}

/* It is not waited for any more. What it told before that stands. */
void node_standing_blank(struct rg_node *node, uint64_t id)
{
    struct node_standing *s = &node->standing;
    const struct node_peer *peer = node_peer_find(node, id);
    uint64_t now = node_now_ms(node);
    struct node_blank *b;

    RG_ASSERT(s->asking);
    if (id == 0 || id == node->config.id || peer == NULL || peer->guest || peer->up || known(s, id) != NULL)
        return;
    b = blank(s, id);
    if (b == NULL)
        return;
    if (b->heard_ms == 0 || now - b->heard_ms > BLANK_AGAIN_MS)
        b->since_ms = now;
    b->heard_ms = now;
    RG_ASSERT(b->since_ms <= now);
    if (now - b->since_ms < BLANK_MS || s->n_known == RG_LEN(s->known) || RG_BUG(standing_waits_for_blank))
        return;
    s->known[s->n_known++] = (struct rg_told){.id = id, .blank = true};
    rg_log_warn(node->config.log, "standing.blank", "node=%llu note=\"its data directory is empty, and has been: it is not waited for\"",
                (unsigned long long)id);
}

/* What was told is this node's from here on: on disk before it acts by it. */
static enum rg_err take(struct rg_node *node, const struct rg_standing_judged *j, struct rg_errctx *ctx)
{
    bool held = node->stage.state == NODE_ASKING;

    RG_ASSERT(!held || node_votes(node));
    RG_ASSERT(!held || rg_epoch_of(j->term) == rg_epoch_of(node->meta.term) || RG_BUG(standing_takes_over)); /* not another's */
    RG_ASSERT(j->promised >= node->meta.promised);
    RG_ASSERT(j->term >= node->meta.term);
    node->meta.promised = RG_MAX(node->meta.promised, j->promised);
    if (held && rg_members_voters(&node->members) > 1) {
        if (j->term > node->meta.term || node->meta.vote == 0)
            node->meta.vote = node->config.id; /* it may have voted in it: never again */
        node->meta.term = RG_MAX(node->meta.term, j->term);
    } else if (held && j->term > node->meta.term) {
        node->meta.term = j->term; /* raised by one as it starts */
        node->meta.vote = 0;
    }
    RG_ASSERT(!held || rg_members_voters(&node->members) == 1 || node->meta.vote != 0);
    RG_ASSERT(!held || node->meta.term == j->term);
    return rg_metafile_save(node->metafile, &node->meta, ctx);
}

/* What is left of it: raft/node/node.c. */
static bool become_firm(struct rg_node *node, const struct rg_standing_judged *j)
{
    struct node_standing *s = &node->standing;
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err = take(node, j, &ctx);

    RG_ASSERT(s->asking);
    RG_ASSERT(s->vouched || j->standing != RG_STANDING_REPLACED);
    RG_ASSERT(s->vouched || j->standing != RG_STANDING_BEHIND);
    if (err) {
        node_fail(node, err, "save what others told: %s", rg_errctx_text(&ctx, err));
        return false;
    }
    if (!s->vouched && !rg_standing_reaches(last_term(node), rg_wal_last(node->wal), j->level_term, j->level_index)) {
        s->level_term = j->level_term;
        s->level_index = j->level_index;
    }
    s->asking = s->behind = false;
    s->cold = j->cold;
    if (!RG_BUG(standing_grants))
        node_lease_assume(node, j->lease_ms);
    rg_log_info(node->config.log, "standing.firm", "told=%zu cold=%d promised=%llu level=%llu", s->n_known, s->cold,
                (unsigned long long)node->meta.promised, (unsigned long long)s->level_index);
    return true;
}

/* A member that is linked and runs a release that cannot tell: it counts on nothing that others would have told, and until it is
 * upgraded a disk is worth what it was to that release. NULL: there is none. */
static const struct node_peer *untold(const struct rg_node *node)
{
    RG_ASSERT(node->standing.asking);
    RG_ASSERT(node->n_peers <= RG_PEERS_MAX);
    for (size_t i = 0; i < node->n_peers; i++)
        if (node->peers[i].up && !node->peers[i].guest && !node->peers[i].standing_known && !RG_BUG(standing_waits_for_old))
            return &node->peers[i];
    return NULL;
}

static bool believe(struct rg_node *node, const struct rg_standing_here *h, const struct rg_standing_judged *j)
{
    const struct node_peer *old = h->waited && j->standing == RG_STANDING_ASKING ? untold(node) : NULL;

    if (old == NULL || (node_votes(node) && j->begun != h->epoch))
        return false;
    rg_log_warn(node->config.log, "standing.believed",
                "peer=%llu region=%s note=\"its release cannot tell what it knows: this disk is believed, as by that release\"",
                (unsigned long long)old->config.id, old->config.region);
    return true;
}

static bool step_asking(struct rg_node *node)
{
    struct node_standing *s = &node->standing;
    const struct rg_standing_here h = here(node);
    struct rg_standing_judged j;

    RG_ASSERT(s->asking);
    RG_ASSERT(!node->leading);
    rg_standing_judge(&h, s->known, s->n_known, &j);
    if (j.standing == RG_STANDING_REPLACED) {
        node_fence(node, j.begun, "a peer has seen a later epoch: another primary was promoted");
        return false;
    }
    if (node->health.alarm) /* of who has what this primary has lost nothing is taken, not even what it could tell */
        j.standing = RG_STANDING_BEHIND;
    s->behind = j.standing == RG_STANDING_BEHIND;
    if (j.standing == RG_STANDING_FIRM || believe(node, &h, &j) ||
        (s->vouched && !node->health.alarm && (j.begun == h.epoch || !node_votes(node))))
        return become_firm(node, &j);
    s->vouched = false; /* for now, and not for what is found out later */
    say(node);
    return false;
}

static bool asked_for(const struct rg_node *node)
{
    for (size_t i = 0; i < node->n_peers; i++)
        if (node->peers[i].asking)
            return true;
    return false;
}

static void see_level(struct rg_node *node)
{
    struct node_standing *s = &node->standing;
    uint64_t last = node->log.persisted;

    RG_ASSERT(!s->asking);
    if (s->level_index == 0 || last == 0 || !rg_standing_reaches(rg_wal_term(node->wal, last), last, s->level_term, s->level_index))
        return;
    s->level_term = s->level_index = 0;
    rg_log_info(node->config.log, "standing.level", "last=%llu", (unsigned long long)last);
    store(node);
}

bool node_standing_step(struct rg_node *node)
{
    struct node_standing *s = &node->standing;

    if (node->stage.state != NODE_ASKING && node->stage.state != NODE_RUNNING)
        return false;
    if (s->asking || (node->leading && asked_for(node)))
        ask(node);
    if (s->asking)
        return step_asking(node);
    see_level(node);
    return false;
}

uint64_t node_standing_due(const struct rg_node *node)
{
    return node->standing.asking ? node->standing.ask_ms : UINT64_MAX;
}

bool node_standing_vouch(struct rg_node *node, const char *by, const char *reason)
{
    struct node_standing *s = &node->standing;

    if (!s->asking && s->level_index == 0)
        return false;
    rg_log_warn(node->config.log, "standing.vouched", "starts=%llu last=%llu by=\"%s\" reason=\"%s\"",
                (unsigned long long)node->meta.starts, (unsigned long long)rg_wal_last(node->wal), by, reason);
    s->vouched = true;
    s->level_term = s->level_index = 0;
    RG_ASSERT(node_standing_level(node));
    if (!s->asking)
        store(node);
    return true;
}

/* ---- whose promise is void ---- */

/* A promise of a life of that node before the one that its peer has dealt with: it may have been forgotten, and the next one has told
 * somebody what it knew before this was promised here. Believed for the promotion under way alone: a peer that lies could have kept its
 * own promise to itself as well. */
void node_on_lives(struct rg_node *node, const struct rg_lives *lives)
{
    RG_ASSERT(lives->n <= RG_LIVES_MAX);
    for (size_t i = 0; i < lives->n && !RG_BUG(standing_not_void); i++) {
        const struct rg_life_row *row = &lives->rows[i];
        struct rg_incarnation bound = rg_members_incarnation(&node->members, row->id);

        if (rg_incarnation_equal(&bound, &row->incarnation))
            node_life_claimed(node, row->id, row->life.start);
    }
}
