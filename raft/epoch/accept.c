/* raft/epoch/accept.c: whether an epoch may count. What costs nothing to see is looked at before any signature but its own. */
#include "raft/epoch/accept.h"

#include "crypto/digest.h"
#include "store/db/schema.h"

_Static_assert(RG_EPOCH_IDS - 1 == RG_CERTIFICATE_NODES_MAX, "an epoch's number names its node");
_Static_assert(RG_PEERS_MAX - 1 == RG_CERTIFICATE_PROMISES_MAX, "every other member has room for its promise");

struct judge {
    const struct rg_epoch_here *here; /* borrow */
    struct rg_vouched vouched;
    struct rg_certificate c;
    const struct rg_certified *previous;
    bool disputed; /* it stands on another one of that number */
    uint8_t declaration[RG_STATEMENT_HASH_BYTES];
    struct rg_epoch_judged out;
    enum rg_err err; /* RG_OK, or why it cannot be told */
};

/* False, always: so a check ends with it. */
static bool end(struct judge *j, enum rg_epoch_verdict verdict, const char *why)
{
    RG_ASSERT(why != NULL);
    RG_ASSERT(j->out.why == NULL); /* the first counts */
    j->out.verdict = verdict;
    j->out.why = why;
    return false;
}

static bool refuse(struct judge *j, const char *why) { return end(j, RG_EPOCH_REFUSED, why); }

/* A signature is one, is none, or it cannot be told. */
static bool verified(struct judge *j, enum rg_err err, const char *why)
{
    RG_ASSERT(j->err == RG_OK);
    RG_ASSERT(why != NULL);
    if (err == RG_ENOMEM)
        j->err = err;
    return err == RG_OK || refuse(j, why);
}

static bool is_key(struct rg_span spki, const uint8_t sha256[32])
{
    uint8_t hash[RG_SHA256_BYTES];

    RG_ASSERT(spki.n > 0);
    RG_ASSERT(sha256 != NULL);
    rg_sha256(spki, hash);
    return memcmp(hash, sha256, sizeof hash) == 0;
}

static const struct rg_epoch_node *node_of(const struct judge *j, uint64_t id)
{
    RG_ASSERT(id >= 1);
    RG_ASSERT(j->here->nodes != NULL || j->here->n_nodes == 0);
    for (size_t i = 0; i < j->here->n_nodes; i++)
        if (j->here->nodes[i].id == id)
            return &j->here->nodes[i];
    return NULL;
}

static const struct rg_certified *certified_of(const struct judge *j, uint64_t epoch)
{
    RG_ASSERT(epoch >= 1);
    RG_ASSERT(j->here->n_certified >= 1);
    for (size_t i = 0; i < j->here->n_certified; i++)
        if (j->here->certified[i].epoch == epoch)
            return &j->here->certified[i];
    return NULL;
}

/* A node of the region that the epoch before is of: of several voters whoever leads it now may be another than began it. */
static bool of_its_region(const struct judge *j, uint64_t id)
{
    const struct rg_epoch_node *began = node_of(j, j->previous->node), *node = node_of(j, id);

    RG_ASSERT(j->previous->node >= 1);
    RG_ASSERT(id >= 1);
    return id == j->previous->node ||
           (began != NULL && node != NULL && began->region.n > 0 && rg_span_eq(began->region, node->region));
}

/* ---- what it is ---- */

static bool read(struct judge *j, struct rg_span bytes)
{
    RG_ASSERT(bytes.p != NULL || bytes.n == 0);
    if (rg_vouched_decode(bytes, &j->vouched) != RG_OK || rg_certificate_decode(j->vouched.text, &j->c) != RG_OK)
        return refuse(j, "it is no certificate of an epoch");
    j->out.is = (struct rg_certified){.epoch = j->c.epoch, .node = j->c.node, .first_index = j->c.first_index};
    rg_certificate_hash(j->vouched.text, j->out.is.hash);
    RG_ASSERT(j->out.is.epoch > 1);
    return memcmp(j->c.genesis, j->here->genesis, sizeof j->c.genesis) == 0 || refuse(j, "it is of another cluster");
}

/* The node's own word: beyond this nobody but that node can have made it. */
static bool check_signer(struct judge *j)
{
    const struct rg_epoch_node *node = node_of(j, j->c.node);

    RG_ASSERT(j->out.why == NULL);
    RG_ASSERT(j->vouched.spki.n == RG_ES256_SPKI_BYTES);
    if (node == NULL)
        return end(j, RG_EPOCH_ASK, "its node is not known");
    if (node->dead)
        return refuse(j, "its node is nobody any more");
    if (!is_key(j->vouched.spki, node->pin) || !is_key(j->vouched.spki, j->c.key))
        return refuse(j, "it is signed by another key than its node's");
    return verified(j, j->here->verify(j->vouched.spki, rg_certificate_domain, j->vouched.text, j->vouched.rs),
                    "its node has not signed it");
}

static bool check_number(struct judge *j)
{
    const struct rg_certified *known = certified_of(j, j->c.epoch);
    uint64_t newest = j->here->certified[j->here->n_certified - 1].epoch;

    RG_ASSERT(newest <= RG_EPOCH_MAX);
    if (known != NULL) /* the same one was seen before any signature was */
        return end(j, RG_EPOCH_TWICE, "its node has begun this epoch twice");
    if (!rg_epoch_of_node(j->c.epoch, j->c.node))
        return refuse(j, "the epoch is another node's");
    if (j->c.epoch >= RG_EPOCH_HEARD_MAX || (j->c.epoch > newest && j->c.epoch - newest > RG_EPOCH_AHEAD_MAX))
        return refuse(j, "the epoch is too far ahead");
    RG_ASSERT(j->c.epoch != newest);
    return true;
}

/* Where it stands: over a beginning that is known here, and behind it. */
static bool check_place(struct judge *j)
{
    const struct rg_certified *previous = certified_of(j, j->c.previous);

    RG_ASSERT(j->c.previous < j->c.epoch);
    RG_ASSERT(j->c.first_index >= 2);
    if (previous == NULL)
        return end(j, RG_EPOCH_ASK, "the epoch before it is not known");
    j->previous = previous;
    j->disputed = memcmp(previous->hash, j->c.previous_hash, sizeof previous->hash) != 0;
    if ((!j->disputed && j->c.first_index <= previous->first_index) || rg_epoch_of(j->c.last_term) > j->c.previous)
        return refuse(j, "it does not follow the epoch before it");
    return true;
}

/* ---- who declared it ---- */

static const struct rg_operator *operator_of(const struct judge *j, const uint8_t signer[32])
{
    RG_ASSERT(j->here->operators != NULL || j->here->n_operators == 0);
    RG_ASSERT(j->here->n_operators <= RG_OPERATORS_ROOT_MAX);
    for (size_t i = 0; i < j->here->n_operators; i++)
        if (is_key(j->here->operators[i].public_key, signer))
            return &j->here->operators[i];
    return NULL;
}

static bool check_operator(struct judge *j, const struct rg_signed *said, size_t i, int64_t at_ms)
{
    const struct rg_operator *op = operator_of(j, said->signatures[i].signer);

    RG_ASSERT(i < said->n);
    RG_ASSERT(j->c.kind != RG_CERTIFICATE_RAISE);
    if (j->c.kind == RG_CERTIFICATE_RECOVER)
        return verified(j, rg_signed_verify_by(said, i, j->here->root, j->here->verify), "it is not declared by the root's key");
    if (op == NULL)
        return refuse(j, "it is declared by nobody who is known");
    if (!rg_operator_active(op) || (op->roles & RG_ROLE_FAILOVER) == 0)
        return refuse(j, "it is declared by somebody who may not");
    if (op->expires_ms < at_ms || op->expires_ms < j->c.at_ms)
        return refuse(j, "it is declared by somebody who may no more");
    return verified(j, rg_signed_verify_by(said, i, op->public_key, j->here->verify), "who declared it has not signed that");
}

/* It is what was declared: this node, this epoch, over that one, while it could be. */
static bool check_fields(struct judge *j, const struct rg_statement *s)
{
    RG_ASSERT(s->at_ms < s->expires_ms);
    RG_ASSERT(j->c.at_ms > 0);
    if (s->kind != RG_SAID_DECLARE || !rg_said_covers(RG_SAID_DECLARE, s->fields, s->fields))
        return refuse(j, "what it shows is no declaration");
    if (!s->on_genesis || memcmp(s->genesis, j->here->genesis, sizeof s->genesis) != 0 || !rg_span_eq(s->cluster, j->here->cluster))
        return refuse(j, "its declaration is of another cluster");
    if (rg_tlv_u64(s->fields, RG_F_NODE_ID, 0) != j->c.node || rg_tlv_u64(s->fields, RG_F_EPOCH, 0) != j->c.epoch ||
        rg_tlv_u64(s->fields, RG_F_PREVIOUS_EPOCH, 0) != j->c.previous)
        return refuse(j, "something else was declared");
    if (s->expires_ms - s->at_ms > RG_STATEMENT_LIFE_MS || j->c.at_ms > s->expires_ms || j->c.at_ms < s->at_ms - RG_STATEMENT_SKEW_MS)
        return refuse(j, "it began when it was not declared");
    return true;
}

static bool check_declaration(struct judge *j)
{
    struct rg_statement s;
    struct rg_signed said;

    RG_ASSERT(j->previous != NULL);
    RG_ASSERT((j->c.declaration.n == 0) == (j->c.kind == RG_CERTIFICATE_RAISE));
    if (j->c.kind == RG_CERTIFICATE_RAISE)
        return of_its_region(j, j->c.node) || refuse(j, "only who leads raises its epoch");
    if (rg_signed_decode(j->c.declaration, &said) != RG_OK || rg_statement_decode(said.statement, &s) != RG_OK)
        return refuse(j, "what it shows is no declaration");
    rg_statement_hash(said.statement, j->declaration);
    if (!check_fields(j, &s))
        return false;
    for (size_t i = 0; i < said.n; i++)
        if (!check_operator(j, &said, i, s.at_ms))
            return false;
    j->out.accept_loss = rg_tlv_u64(s.fields, RG_F_ACCEPT_LOSS, 0) != 0;
    return true;
}

/* ---- what was promised ---- */

/* It has entries that this node begins without. Who cedes is ahead by what it wrote to do so. */
static bool has_more(const struct judge *j, const struct rg_promise *p)
{
    RG_ASSERT(j->c.first_index >= 2);
    RG_ASSERT(p->node != j->c.node);
    return p->last_term > j->c.last_term || (p->last_term == j->c.last_term && p->last_index >= j->c.first_index);
}

static bool check_promiser(struct judge *j, const struct rg_vouched *v, const struct rg_promise *p)
{
    const struct rg_epoch_node *node = node_of(j, p->node);

    RG_ASSERT(v->spki.n == RG_ES256_SPKI_BYTES);
    RG_ASSERT(p->node >= 1);
    if (node == NULL)
        return end(j, RG_EPOCH_ASK, "a node that promised is not known");
    if (node->dead)
        return refuse(j, "a node that promised is nobody any more");
    if (rg_incarnation_known(&node->bound) && memcmp(node->bound.b, p->incarnation, sizeof p->incarnation) != 0)
        return refuse(j, "a promise is of another data directory");
    if (!is_key(v->spki, node->pin))
        return refuse(j, "a promise is signed by another key than its node's");
    return verified(j, j->here->verify(v->spki, rg_promise_domain, v->text, v->rs), "a node has not signed its promise");
}

static bool check_promise(struct judge *j, struct rg_span bytes, struct rg_promise *p)
{
    bool declared = j->c.kind != RG_CERTIFICATE_RAISE, ceding = j->c.kind == RG_CERTIFICATE_SWITCHOVER;
    struct rg_vouched v;

    _Static_assert(sizeof p->incarnation == sizeof((struct rg_incarnation *)0)->b, "the same");
    if (rg_vouched_decode(bytes, &v) != RG_OK || rg_promise_decode(v.text, p) != RG_OK) /* as the certificate was read */
        return refuse(j, "a promise is none");
    RG_ASSERT(p->node != j->c.node);
    if (memcmp(p->genesis, j->here->genesis, sizeof p->genesis) != 0)
        return refuse(j, "a promise is of another cluster");
    if (p->epoch != j->c.epoch || p->declared != declared ||
        (declared && memcmp(p->declaration, j->declaration, sizeof p->declaration) != 0))
        return refuse(j, "a promise is of something else");
    if (p->ceded && (!ceding || !of_its_region(j, p->node)))
        return refuse(j, "somebody ceded who did not lead");
    if (!p->ceded && !j->out.accept_loss && has_more(j, p))
        return refuse(j, "a node that promised has more, and nobody accepted the loss");
    return check_promiser(j, &v, p);
}

/* A raise needs nobody's word but the nodes': each member's, whoever judges is one, and then nobody has begun what it goes over. */
static bool check_all_promised(struct judge *j, const uint64_t *promised)
{
    RG_ASSERT(j->c.kind == RG_CERTIFICATE_RAISE);
    RG_ASSERT(j->c.n_promises <= RG_CERTIFICATE_PROMISES_MAX);
    for (size_t i = 0; i < j->here->n_certified; i++)
        if (j->here->certified[i].epoch > j->c.previous && j->here->certified[i].epoch < j->c.epoch)
            return refuse(j, "it goes over an epoch that somebody began");
    for (size_t i = 0; i < j->here->n_nodes; i++) {
        const struct rg_epoch_node *node = &j->here->nodes[i];
        bool has = !node->member || node->dead || node->id == j->c.node;

        for (size_t k = 0; k < j->c.n_promises; k++)
            has |= promised[k] == node->id;
        if (!has)
            return refuse(j, "not every member has promised it");
    }
    return true;
}

static bool check_promises(struct judge *j)
{
    uint64_t promised[RG_CERTIFICATE_PROMISES_MAX];
    bool ceded = false;

    RG_ASSERT(j->c.n_promises <= RG_LEN(promised));
    RG_ASSERT(j->previous != NULL);
    for (size_t i = 0; i < j->c.n_promises; i++) {
        struct rg_promise p;

        if (!check_promise(j, j->c.promises[i], &p))
            return false;
        promised[i] = p.node;
        ceded |= p.ceded;
    }
    if (j->c.kind == RG_CERTIFICATE_SWITCHOVER && !ceded)
        return refuse(j, "the primary before has not ceded");
    return j->c.kind != RG_CERTIFICATE_RAISE || check_all_promised(j, promised);
}

static bool is_had(const struct judge *j)
{
    const struct rg_certified *known = certified_of(j, j->c.epoch);

    RG_ASSERT(j->out.is.epoch == j->c.epoch);
    RG_ASSERT(j->out.why == NULL);
    return known != NULL && memcmp(known->hash, j->out.is.hash, sizeof known->hash) == 0;
}

/* That it stands on another beginning is said of one that is proved but for that: else any member could say so. */
static bool check_dispute(struct judge *j)
{
    RG_ASSERT(j->previous != NULL);
    RG_ASSERT(j->out.why == NULL);
    return !j->disputed || end(j, RG_EPOCH_DISPUTED, "it stands on another beginning of the epoch before it");
}

enum rg_err rg_epoch_accept(const struct rg_epoch_here *here, struct rg_span bytes, struct rg_epoch_judged *ret_judged)
{
    struct judge j = {.here = here};

    RG_ASSERT(here->n_certified >= 1);
    RG_ASSERT(here->genesis != NULL);
    RG_ASSERT(here->verify != NULL);
    if (read(&j, bytes)) {
        if (is_had(&j))
            j.out.verdict = RG_EPOCH_HAD;
        else if (check_signer(&j) && check_number(&j) && check_place(&j) && check_declaration(&j) && check_promises(&j) &&
                 check_dispute(&j))
            j.out.verdict = j.c.epoch > here->certified[here->n_certified - 1].epoch ? RG_EPOCH_TAKEN : RG_EPOCH_BYGONE;
    }
    if (j.err)
        return j.err;
    RG_ASSERT((j.out.why == NULL) ==
              (j.out.verdict == RG_EPOCH_TAKEN || j.out.verdict == RG_EPOCH_HAD || j.out.verdict == RG_EPOCH_BYGONE));
    *ret_judged = j.out;
    return RG_OK;
}
