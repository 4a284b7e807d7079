/* raft/epoch/accept: each kind of certificate, and each lie about it. */
#include "crypto/digest.h"
#include "raft/epoch/accept.h"
#include "tests/lib/check_main.h"
#include "tests/lib/trust_rig.h"

/* Ids 1 to 6: 1 led epoch 1, 3 leads 1027. 6 is gone. Node n is key 20 + n; "ann", key 1, may declare; "bob", key 2, may not; "carl", key 3,
 * has ended; "dora", key 4, is over. */
enum { NODES = 6, LEADS = 3, NODE_KEYS = 20, ANN = 1, BOB, CARL, DORA, NOBODY };
#define AT INT64_C(1750000000000)
#define TERM(epoch) (((uint64_t)(epoch) << 32) | 1)

static uint8_t genesis[32], memory[RG_CERTIFICATE_BYTES_MAX];
static struct rg_epoch_node nodes[NODES];
static struct rg_operator operators[4];
static struct rg_certified certified[4];
static struct rg_epoch_here here;

static void key_hash(int key, uint8_t out[32]) { rg_sha256(rg_es256_spki(trust_key(key)), out); }

static void world(void)
{
    static const unsigned roles[] = {RG_ROLE_FAILOVER, RG_ROLE_REGIONS | RG_ROLE_OPERATORS, RG_ROLES_ALL, RG_ROLES_ALL};

    memset(genesis, 0x77, sizeof genesis);
    for (size_t i = 0; i < NODES; i++) {
        nodes[i] = (struct rg_epoch_node){.id = i + 1, .member = i + 1 < NODES, .dead = i + 1 == NODES,
                                          .region = rg_span_str(i + 1 == LEADS ? "three" : "other")};
        key_hash(NODE_KEYS + (int)i + 1, nodes[i].pin);
        memset(nodes[i].bound.b, 0x40 + (int)i, sizeof nodes[i].bound.b);
    }
    for (size_t i = 0; i < RG_LEN(operators); i++)
        operators[i] = (struct rg_operator){.name = rg_span_str("x"), .public_key = rg_es256_spki(trust_key((int)i + 1)),
                                            .status = rg_span_str(i + 1 == CARL ? "ENDED" : "ACTIVE"), .roles = roles[i],
                                            .expires_ms = i + 1 == DORA ? AT - 1 : AT + 1000000};
    certified[0] = (struct rg_certified){.epoch = 1, .node = 1, .first_index = 1};
    memcpy(certified[0].hash, genesis, sizeof genesis);
    certified[1] = (struct rg_certified){.epoch = 1027, .node = LEADS, .first_index = 500, .hash = {7}};
    here = (struct rg_epoch_here){.cluster = rg_span_str(TRUST_CLUSTER), .root = rg_es256_spki(trust_key(TRUST_ROOT)), .genesis = genesis,
                                  .certified = certified, .n_certified = 2, .nodes = nodes, .n_nodes = NODES,
                                  .operators = operators, .n_operators = RG_LEN(operators), .verify = rg_es256_verify};
}
CASE(.setup = world);

/* What is said, and what is told instead of the truth. */
struct saying {
    enum rg_certificate_kind kind;
    uint64_t node, epoch, previous;
    int by;                     /* whose key declares */
    unsigned said;              /* kind of statement */
    uint64_t to, said_epoch, said_previous; /* in the declaration */
    bool accept_loss, said_elsewhere, said_nothing;
    int64_t at_ms, said_ms, life_ms;
    uint64_t first_index, last_term;
    int key, named_key;         /* that signs; that is named */
    uint8_t genesis_byte, hash_byte;
    bool unsigned_one;
    uint64_t promises[NODES];   /* by these nodes; 0: no more */
    uint64_t ceded;             /* the one of them that ceded */
    uint64_t lies;              /* the one of them that is told wrong, by: */
    enum { NO_LIE, OTHER_KEY, OTHER_EPOCH, OTHER_DECLARATION, OTHER_GENESIS, OTHER_DIRECTORY, NOT_SIGNED, HAS_MORE, UNDECLARED } lie;
};

static struct saying declared(void)
{
    return (struct saying){.kind = RG_CERTIFICATE_DECLARED, .node = 2, .epoch = 1026 + 1024, .previous = 1027, .by = ANN,
                           .said = RG_SAID_DECLARE, .to = 2, .said_epoch = 1026 + 1024, .said_previous = 1027, .at_ms = AT, .said_ms = AT,
                           .life_ms = 900000, .first_index = 901, .last_term = TERM(1027), .key = NODE_KEYS + 2,
                           .named_key = NODE_KEYS + 2, .genesis_byte = 0x77, .hash_byte = 7, .promises = {1, 4, 5}};
}
static struct saying switchover(void)
{
    struct saying s = declared();

    s.kind = RG_CERTIFICATE_SWITCHOVER;
    s.promises[0] = s.ceded = LEADS;
    s.promises[1] = 4, s.promises[2] = 0;
    return s;
}
static struct saying recover(void)
{
    struct saying s = declared();

    s.kind = RG_CERTIFICATE_RECOVER;
    s.by = TRUST_ROOT;
    s.promises[0] = 0;
    return s;
}
static struct saying raise_it(void)
{
    struct saying s = declared();

    s.kind = RG_CERTIFICATE_RAISE;
    s.node = LEADS;
    s.epoch = 1027 + 1024;
    s.key = s.named_key = NODE_KEYS + LEADS;
    memcpy(s.promises, (uint64_t[NODES]){1, 2, 4, 5}, sizeof s.promises);
    return s;
}

static void say_declaration(const struct saying *s, struct rg_buf *out)
{
    uint8_t bytes[64];
    struct rg_buf fields;
    struct trust_saying t = {.kind = s->said, .cluster = s->said_elsewhere ? "arn:other" : NULL, .genesis = genesis, .at_ms = s->said_ms,
                             .expires_ms = s->said_ms + s->life_ms, .nonce = 9, .signers = {s->by}, .n = 1};

    rg_buf_init_over(&fields, bytes, sizeof bytes);
    rg_tlv_put_u64(&fields, RG_F_NODE_ID, s->to);
    rg_tlv_put_u64(&fields, RG_F_EPOCH, s->said_epoch);
    rg_tlv_put_u64(&fields, RG_F_PREVIOUS_EPOCH, s->said_previous);
    if (s->accept_loss)
        rg_tlv_put_u64(&fields, RG_F_ACCEPT_LOSS, 1);
    t.fields = rg_buf_span(&fields);
    trust_say(&t, out);
}

static void say_promise(const struct saying *s, uint64_t node, const uint8_t declaration[32], struct rg_buf *out)
{
    int key = NODE_KEYS + (int)node, lie = node == s->lies ? (int)s->lie : NO_LIE;
    struct rg_promise p = {.node = node, .epoch = s->epoch + (lie == OTHER_EPOCH ? 1024 : 0), .last_term = s->last_term,
                           .last_index = s->first_index - 1, .heard_ms = 5, .ceded = node == s->ceded,
                           .declared = s->kind != RG_CERTIFICATE_RAISE && lie != UNDECLARED};
    uint8_t bytes[RG_PROMISE_TEXT_BYTES_MAX];
    struct rg_vouched v = {.spki = rg_es256_spki(trust_key(lie == OTHER_KEY ? NODE_KEYS + 9 : key))};
    struct rg_buf text;

    memset(p.genesis, lie == OTHER_GENESIS ? 1 : 0x77, sizeof p.genesis);
    memset(p.incarnation, lie == OTHER_DIRECTORY ? 0x3f : 0x40 + (int)node - 1, sizeof p.incarnation);
    if (p.declared)
        memcpy(p.declaration, declaration, 32);
    if (lie == OTHER_DECLARATION)
        p.declaration[0] ^= 1;
    if (lie == HAS_MORE || p.ceded)
        p.last_index++;
    rg_buf_init_over(&text, bytes, sizeof bytes);
    ck_assert_int_eq(rg_promise_encode(&p, &text), RG_OK);
    v.text = rg_buf_span(&text);
    ck_assert_int_eq(rg_es256_sign(trust_key(lie == OTHER_KEY ? NODE_KEYS + 9 : lie == NOT_SIGNED ? NODE_KEYS : key),
                                   rg_promise_domain, v.text, v.rs), RG_OK);
    ck_assert_int_eq(rg_vouched_encode(&v, out), RG_OK);
}

/* Bytes in `memory`. */
static struct rg_span say(const struct saying *s)
{
    static uint8_t said_bytes[RG_CERTIFICATE_DECLARATION_BYTES_MAX], promise_bytes[NODES][RG_PROMISE_BYTES_MAX],
        text_bytes[RG_CERTIFICATE_TEXT_BYTES_MAX];
    struct rg_certificate c = {.kind = s->kind, .epoch = s->epoch, .node = s->node, .previous = s->previous, .at_ms = s->at_ms,
                               .first_index = s->first_index, .last_term = s->last_term};
    struct rg_vouched v = {.spki = rg_es256_spki(trust_key(s->key))};
    uint8_t declaration[32] = {0};
    struct rg_signed said;
    struct rg_buf out;

    memset(c.genesis, s->genesis_byte, sizeof c.genesis);
    c.previous_hash[0] = s->hash_byte;
    key_hash(s->named_key, c.key);
    if (s->kind != RG_CERTIFICATE_RAISE) {
        rg_buf_init_over(&out, said_bytes, sizeof said_bytes);
        say_declaration(s, &out);
        c.declaration = rg_buf_span(&out);
        ck_assert_int_eq(rg_signed_decode(c.declaration, &said), RG_OK);
        rg_statement_hash(said.statement, declaration);
        if (s->said_nothing)
            c.declaration.n--;
    }
    for (size_t i = 0; i < NODES && s->promises[i] != 0; i++) {
        rg_buf_init_over(&out, promise_bytes[i], sizeof promise_bytes[i]);
        say_promise(s, s->promises[i], declaration, &out);
        c.promises[c.n_promises++] = rg_buf_span(&out);
    }
    rg_buf_init_over(&out, text_bytes, sizeof text_bytes);
    ck_assert_int_eq(rg_certificate_encode(&c, &out), RG_OK);
    v.text = rg_buf_span(&out);
    ck_assert_int_eq(rg_es256_sign(trust_key(s->unsigned_one ? NODE_KEYS : s->key), rg_certificate_domain, v.text, v.rs), RG_OK);
    rg_buf_init_over(&out, memory, sizeof memory);
    ck_assert_int_eq(rg_vouched_encode(&v, &out), RG_OK);
    return rg_buf_span(&out);
}

/* why: NULL, or how the reason begins */
static struct rg_epoch_judged expect(const struct saying *s, enum rg_epoch_verdict verdict, const char *why)
{
    struct rg_epoch_judged j;

    ck_assert_int_eq(rg_epoch_accept(&here, say(s), &j), RG_OK);
    ck_assert_msg((int)j.verdict == (int)verdict, "verdict %d, not %d: %s (%s)", (int)j.verdict, (int)verdict,
                  j.why != NULL ? j.why : "", why != NULL ? why : "");
    if (why == NULL)
        ck_assert_ptr_null(j.why);
    else
        ck_assert_str_eq(j.why, why);
    return j;
}
/* The bytes that `say` made last. */
static struct rg_epoch_judged again(struct rg_span bytes, enum rg_epoch_verdict verdict)
{
    struct rg_epoch_judged j;

    ck_assert_int_eq(rg_epoch_accept(&here, bytes, &j), RG_OK);
    ck_assert_msg((int)j.verdict == (int)verdict, "verdict %d, not %d: %s", (int)j.verdict, (int)verdict, j.why != NULL ? j.why : "");
    return j;
}
static void refused(const struct saying *s, const char *why) { (void)expect(s, RG_EPOCH_REFUSED, why); }

TEST(each_kind_counts)
{
    struct saying all[] = {declared(), switchover(), recover(), raise_it()};

    for (size_t i = 0; i < RG_LEN(all); i++) {
        struct rg_epoch_judged j = expect(&all[i], RG_EPOCH_TAKEN, NULL);

        ck_assert(j.is.epoch == all[i].epoch && j.is.node == all[i].node && j.is.first_index == 901 && !j.accept_loss);
    }
    all[0].promises[0] = 0; /* with no promise at all: whoever declares it says whether a loss is accepted */
    all[0].accept_loss = true;
    ck_assert(expect(&all[0], RG_EPOCH_TAKEN, NULL).accept_loss);
    all[0].node = all[0].to = LEADS; /* who leads, too */
    all[0].epoch = all[0].said_epoch = 1027 + 1024;
    all[0].key = all[0].named_key = NODE_KEYS + LEADS;
    (void)expect(&all[0], RG_EPOCH_TAKEN, NULL);
}

/* Known ones, once more; those that a later one has overtaken. */
TEST(what_is_known)
{
    struct saying s = declared();
    struct rg_span bytes = say(&s);

    certified[2] = again(bytes, RG_EPOCH_TAKEN).is;
    here.n_certified = 3;
    (void)again(bytes, RG_EPOCH_HAD);
    nodes[1].dead = true; /* what counted counts */
    (void)again(bytes, RG_EPOCH_HAD);
    nodes[1].dead = false;
    s.first_index++;
    (void)expect(&s, RG_EPOCH_TWICE, "its node has begun this epoch twice");
    s.unsigned_one = true; /* that somebody else says so proves nothing */
    refused(&s, "its node has not signed it");
    certified[2] = (struct rg_certified){.epoch = 4100, .node = 4, .first_index = 950};
    s = declared();
    (void)expect(&s, RG_EPOCH_BYGONE, NULL);
    s.by = BOB;
    refused(&s, "it is declared by somebody who may not");
}

TEST(what_it_stands_on)
{
    struct saying s = declared();

    s.previous = s.said_previous = 1028;
    (void)expect(&s, RG_EPOCH_ASK, "the epoch before it is not known");
    s = declared(), s.hash_byte = 8;
    (void)expect(&s, RG_EPOCH_DISPUTED, "it stands on another beginning of the epoch before it");
    s.by = NOBODY; /* no member's own word makes a dispute */
    refused(&s, "it is declared by nobody who is known");
    s = declared(), s.first_index = 500, s.last_term = TERM(1027);
    refused(&s, "it does not follow the epoch before it");
    s = declared(), s.last_term = TERM(1028);
    refused(&s, "it does not follow the epoch before it");
    s = declared(), s.previous = s.said_previous = 1, s.hash_byte = 0x77, s.last_term = TERM(1);
    (void)expect(&s, RG_EPOCH_DISPUTED, "it stands on another beginning of the epoch before it"); /* of the GENESIS all 32 bytes */
    certified[0] = (struct rg_certified){.epoch = 1, .node = 1, .first_index = 1, .hash = {0x77}};
    /* another promotion of then: both are good, the greater counts */
    (void)expect(&s, RG_EPOCH_TAKEN, NULL);
}

TEST(who_begins_it)
{
    struct saying s = declared();
    struct rg_epoch_judged j;

    s.unsigned_one = true, refused(&s, "its node has not signed it");
    s = declared(), s.key = NODE_KEYS + 4, refused(&s, "it is signed by another key than its node's");
    s = declared(), s.named_key = NODE_KEYS + 4, refused(&s, "it is signed by another key than its node's");
    s = declared(), s.node = 6, s.key = s.named_key = NODE_KEYS + 6, refused(&s, "its node is nobody any more");
    s = declared(), s.node = 7;
    (void)expect(&s, RG_EPOCH_ASK, "its node is not known");
    s = declared(), s.genesis_byte = 1, refused(&s, "it is of another cluster");
    s = declared(), s.epoch = s.said_epoch = 2052, refused(&s, "the epoch is another node's");
    s = declared(), s.epoch = s.said_epoch = 2050 + 64 * 1024, refused(&s, "the epoch is too far ahead");
    s = declared(), s.epoch = s.said_epoch = 2 + 64 * 1024, (void)expect(&s, RG_EPOCH_TAKEN, NULL);
    certified[1].epoch = s.previous = s.said_previous = RG_EPOCH_HEARD_MAX - 2;
    s.epoch = s.said_epoch = rg_epoch_next(RG_EPOCH_HEARD_MAX, 2), refused(&s, "the epoch is too far ahead");
    ck_assert_int_eq(rg_epoch_accept(&here, rg_span_str("no certificate"), &j), RG_OK);
    ck_assert(j.verdict == RG_EPOCH_REFUSED && j.is.epoch == 0);
    ck_assert_int_eq(rg_epoch_accept(&here, rg_span(NULL, 0), &j), RG_OK);
    ck_assert(j.verdict == RG_EPOCH_REFUSED && j.is.epoch == 0);
}

TEST(who_declared_it)
{
    struct saying s = declared();

    s.by = BOB, refused(&s, "it is declared by somebody who may not");
    s.by = CARL, refused(&s, "it is declared by somebody who may not");
    s.by = DORA, refused(&s, "it is declared by somebody who may no more");
    s.by = NOBODY, refused(&s, "it is declared by nobody who is known");
    s.by = TRUST_ROOT, refused(&s, "it is declared by nobody who is known"); /* that is a RECOVER */
    s.by = NODE_KEYS + 2, refused(&s, "it is declared by nobody who is known");
    s = recover(), s.by = ANN, refused(&s, "it is not declared by the root's key");
    s = declared(), operators[0].public_key = rg_es256_spki(trust_key(NODE_KEYS)), refused(&s, "it is declared by nobody who is known");
    world();
    s = declared(), s.said = RG_SAID_OPERATOR_END, refused(&s, "what it shows is no declaration");
    s = declared(), s.said_nothing = true, refused(&s, "what it shows is no declaration");
    s = declared(), s.said_elsewhere = true, refused(&s, "its declaration is of another cluster");
    s = declared(), s.to = 4, refused(&s, "something else was declared");
    s = declared(), s.said_epoch = 1026, refused(&s, "something else was declared"); /* one of before, shown again */
    s = declared(), s.said_previous = 1, refused(&s, "something else was declared");
    s = declared(), s.at_ms = AT + 900001, refused(&s, "it began when it was not declared");
    s = declared(), s.at_ms = AT - RG_STATEMENT_SKEW_MS - 1, refused(&s, "it began when it was not declared");
    s = declared(), s.life_ms = RG_STATEMENT_LIFE_MS + 1, refused(&s, "it began when it was not declared");
    s = declared(), s.at_ms = AT + 900000, (void)expect(&s, RG_EPOCH_TAKEN, NULL);
    s = raise_it(), s.node = 2, s.epoch = 2050, s.key = s.named_key = NODE_KEYS + 2;
    memcpy(s.promises, (uint64_t[NODES]){1, 3, 4, 5}, sizeof s.promises);
    refused(&s, "only who leads raises its epoch");
}

TEST(what_was_promised)
{
    static const struct {
        int lie;
        const char *why;
    } lies[] = {
        {OTHER_KEY, "a promise is signed by another key than its node's"}, {OTHER_EPOCH, "a promise is of something else"},
        {OTHER_DECLARATION, "a promise is of something else"},              {OTHER_GENESIS, "a promise is of another cluster"},
        {OTHER_DIRECTORY, "a promise is of another data directory"},        {NOT_SIGNED, "a node has not signed its promise"},
        {UNDECLARED, "a promise is of something else"},                     {HAS_MORE, "a node that promised has more, and nobody accepted the loss"},
    };
    struct saying s;

    for (size_t i = 0; i < RG_LEN(lies); i++) {
        s = declared(), s.lies = 4, s.lie = lies[i].lie;
        refused(&s, lies[i].why);
    }
    s.accept_loss = true; /* HAS_MORE */
    (void)expect(&s, RG_EPOCH_TAKEN, NULL);
    s = declared(), s.promises[2] = 6, refused(&s, "a node that promised is nobody any more");
    s = declared(), s.promises[2] = 7, (void)expect(&s, RG_EPOCH_ASK, "a node that promised is not known");
    s = declared(), s.ceded = 4, refused(&s, "somebody ceded who did not lead");
    s = switchover(), s.ceded = 0, refused(&s, "the primary before has not ceded");
    s = switchover(), s.ceded = 4, refused(&s, "somebody ceded who did not lead");
    memset(nodes[3].bound.b, 0, sizeof nodes[3].bound.b); /* not bound yet */
    s = declared(), s.lies = 4, s.lie = OTHER_DIRECTORY, (void)expect(&s, RG_EPOCH_TAKEN, NULL);
}

/* Of several voters one began the epoch and another may lead it: their region cedes and raises, no other one. */
TEST(a_region_leads)
{
    struct saying s = switchover(), r = raise_it();

    s.ceded = 4;
    refused(&s, "somebody ceded who did not lead");
    nodes[3].region = rg_span_str("three");
    (void)expect(&s, RG_EPOCH_TAKEN, NULL);
    r.node = 4, r.epoch = 2052, r.key = r.named_key = NODE_KEYS + 4;
    memcpy(r.promises, (uint64_t[NODES]){1, 2, 3, 5}, sizeof r.promises);
    (void)expect(&r, RG_EPOCH_TAKEN, NULL);
    nodes[3].region = nodes[2].region = rg_span(NULL, 0); /* not known: not the same */
    refused(&r, "only who leads raises its epoch");
    refused(&s, "somebody ceded who did not lead");
    nodes[2].dead = true; /* who began it is gone since: its region is still known */
    nodes[3].region = nodes[2].region = rg_span_str("three");
    memcpy(r.promises, (uint64_t[NODES]){1, 2, 5}, sizeof r.promises);
    (void)expect(&r, RG_EPOCH_TAKEN, NULL);
}

/* A raise is nobody's declaration: so everybody's word, and never over what somebody began. A primary that was fenced has no other way. */
TEST(what_is_raised)
{
    struct saying s = raise_it();

    s.promises[3] = 0, refused(&s, "not every member has promised it");
    nodes[4].member = false, (void)expect(&s, RG_EPOCH_TAKEN, NULL);
    nodes[4].member = nodes[4].dead = true, (void)expect(&s, RG_EPOCH_TAKEN, NULL);
    world();
    s = raise_it(), s.lies = 2, s.lie = HAS_MORE, refused(&s, "a node that promised has more, and nobody accepted the loss");
    certified[2] = (struct rg_certified){.epoch = 2050, .node = 2, .first_index = 800};
    here.n_certified = 3;
    s = raise_it(), refused(&s, "it goes over an epoch that somebody began");
}

static enum rg_err no_memory(struct rg_span spki, const char *domain, struct rg_span text, const uint8_t signature[64])
{
    (void)spki, (void)domain, (void)text, (void)signature;
    return RG_ENOMEM;
}

TEST(what_cannot_be_told_is_not_refused)
{
    struct saying s = declared();
    struct rg_epoch_judged j;

    here.verify = no_memory;
    ck_assert_int_eq(rg_epoch_accept(&here, say(&s), &j), RG_ENOMEM);
}
