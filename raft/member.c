/* raft/member.c: configurations as bytes, and back: libraft's own layout. */
#include "raft/member.h"

#include <stdio.h>

#include "raft/io.h"
#include "store/model/region_name.h"

enum { FORMAT_VERSION = 1, ALIGN = 8 }; /* libraft's encoding of a configuration: version, count; id, address, 0, role of each; zeros */

/* ---- incarnations ---- */

void rg_incarnation_draw(struct rg_io *io, struct rg_incarnation *ret_incarnation)
{
    do
        for (size_t i = 0; i < sizeof ret_incarnation->b; i += sizeof(uint64_t)) {
            uint64_t v = io->random(io);

            memcpy(ret_incarnation->b + i, &v, sizeof v);
        }
    while (!rg_incarnation_known(ret_incarnation));
}

bool rg_incarnation_known(const struct rg_incarnation *incarnation)
{
    static const struct rg_incarnation none;

    return memcmp(incarnation->b, none.b, sizeof none.b) != 0;
}

bool rg_incarnation_equal(const struct rg_incarnation *a, const struct rg_incarnation *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

_Static_assert(sizeof ((struct rg_incarnation *)0)->b % sizeof(uint64_t) == 0, "drawn in whole numbers");
_Static_assert(sizeof "region=;link=;incarnation=" + sizeof ((struct rg_peer_config *)0)->region +
                   sizeof ((struct rg_peer_config *)0)->link + 2 * sizeof(struct rg_incarnation) <= RG_ADDRESS_BYTES_MAX,
               "every address fits, a bound one's too");
_Static_assert(1 + 8 + RG_PEERS_MAX * (8 + RG_ADDRESS_BYTES_MAX + 1) + ALIGN <= RG_RAFT_CONFIG_BYTES_MAX, "every configuration fits");
_Static_assert(sizeof ((struct rg_peer_config *)0)->region == RG_REGION_NAME_BYTES_MAX + 1, "every region's name fits");
_Static_assert(RG_ROLE_LEARNER == 0 && RG_ROLE_VOTER == 1, "in every log");

/* ---- addresses ---- */

static const char incarnation_key[] = ";incarnation=";

void rg_member_address(const struct rg_peer_config *peer, char out[RG_ADDRESS_BYTES_MAX])
{
    char hex[2 * sizeof peer->incarnation.b + 1] = "";
    bool bound = rg_incarnation_known(&peer->incarnation);
    int n;

    RG_ASSERT(memchr(peer->region, '\0', sizeof peer->region) != NULL);
    RG_ASSERT(memchr(peer->link, '\0', sizeof peer->link) != NULL);
    if (bound)
        rg_hex(hex, peer->incarnation.b, sizeof peer->incarnation.b);
    n = snprintf(out, RG_ADDRESS_BYTES_MAX, "region=%s;link=%s%s%s", peer->region, peer->link, bound ? incarnation_key : "", hex);
    RG_ASSERT(n > 0);
    RG_ASSERT(n < RG_ADDRESS_BYTES_MAX); /* never cut: it would name somebody else */
}

/* As it is written and in no other way, so that decoding and encoding again give the same bytes. */
static bool incarnation_parse(const char *text, struct rg_incarnation *out)
{
    char again[2 * sizeof out->b + 1];

    if (strlen(text) != 2 * sizeof out->b || !rg_unhex(out->b, text, sizeof out->b))
        return false;
    rg_hex(again, out->b, sizeof out->b);
    return strcmp(again, text) == 0 && rg_incarnation_known(out);
}

bool rg_member_address_parse(const char *address, struct rg_peer_config *peer)
{
    const char *semicolon = strchr(address, ';'), *more;
    size_t region, link;

    if (strncmp(address, "region=", 7) != 0 || semicolon == NULL || strncmp(semicolon, ";link=", 6) != 0)
        return false;
    region = (size_t)(semicolon - (address + 7));
    more = strstr(semicolon + 6, incarnation_key);
    link = more != NULL ? (size_t)(more - (semicolon + 6)) : strlen(semicolon + 6);
    memset(&peer->incarnation, 0, sizeof peer->incarnation);
    if (more != NULL && !incarnation_parse(more + strlen(incarnation_key), &peer->incarnation))
        return false;
    if (region == 0 || region >= sizeof peer->region || link == 0 || link >= sizeof peer->link)
        return false;
    RG_ASSERT(7 + region + 6 + link <= strlen(address)); /* both lie in it */
    memcpy(peer->region, address + 7, region);
    peer->region[region] = '\0';
    memcpy(peer->link, semicolon + 6, link);
    peer->link[link] = '\0';
    return true;
}

/* Whether it comes back as what it is: no part of it can be taken for the mark between two. */
static bool address_holds(const struct rg_peer_config *peer)
{
    char address[RG_ADDRESS_BYTES_MAX];
    struct rg_peer_config again;

    rg_member_address(peer, address);
    return rg_member_address_parse(address, &again) && strcmp(again.region, peer->region) == 0 && strcmp(again.link, peer->link) == 0 &&
           rg_incarnation_equal(&again.incarnation, &peer->incarnation);
}

/* ---- members ---- */

const struct rg_peer_config *rg_members_find(const struct rg_members *members, uint64_t id)
{
    RG_ASSERT(members->n <= RG_PEERS_MAX);
    for (size_t i = 0; i < members->n; i++)
        if (members->peers[i].id == id)
            return &members->peers[i];
    return NULL;
}

size_t rg_members_voters(const struct rg_members *members)
{
    size_t n = 0;

    RG_ASSERT(members->n <= RG_PEERS_MAX);
    for (size_t i = 0; i < members->n; i++)
        n += members->peers[i].role == RG_ROLE_VOTER;
    RG_ASSERT(n <= members->n);
    return n;
}

bool rg_members_votes(const struct rg_members *members, uint64_t id)
{
    const struct rg_peer_config *member = rg_members_find(members, id);

    return member != NULL && member->role == RG_ROLE_VOTER;
}

bool rg_members_equal(const struct rg_members *a, const struct rg_members *b)
{
    bool equal = a->n == b->n;

    RG_ASSERT(a->n <= RG_PEERS_MAX);
    RG_ASSERT(b->n <= RG_PEERS_MAX);
    for (size_t i = 0; equal && i < a->n; i++)
        equal = a->peers[i].id == b->peers[i].id && a->peers[i].role == b->peers[i].role &&
                rg_incarnation_equal(&a->peers[i].incarnation, &b->peers[i].incarnation) &&
                strcmp(a->peers[i].link, b->peers[i].link) == 0 && strcmp(a->peers[i].region, b->peers[i].region) == 0;
    return equal;
}

size_t rg_members_bound(const struct rg_members *members)
{
    size_t n = 0;

    RG_ASSERT(members->n <= RG_PEERS_MAX);
    for (size_t i = 0; i < members->n; i++)
        n += rg_incarnation_known(&members->peers[i].incarnation);
    RG_ASSERT(n <= members->n);
    return n;
}

struct rg_incarnation rg_members_incarnation(const struct rg_members *members, uint64_t id)
{
    const struct rg_peer_config *member = rg_members_find(members, id);

    return member != NULL ? member->incarnation : (struct rg_incarnation){{0}};
}

/* Among the first n: one data directory has one id. */
static bool incarnation_taken(const struct rg_members *members, size_t n, const struct rg_peer_config *peer)
{
    RG_ASSERT(n <= RG_PEERS_MAX);
    for (size_t i = 0; i < n && rg_incarnation_known(&peer->incarnation); i++)
        if (rg_incarnation_equal(&members->peers[i].incarnation, &peer->incarnation))
            return true;
    return false;
}

/* Among the first n. Whoever comes back answers where it did: two data directories of one place can be told apart, once one of them is
 * bound. */
static bool address_taken(const struct rg_members *members, size_t n, const struct rg_peer_config *peer)
{
    RG_ASSERT(n <= members->n);
    RG_ASSERT(n <= RG_PEERS_MAX);
    for (size_t i = 0; i < n; i++)
        if (strcmp(members->peers[i].link, peer->link) == 0 && strcmp(members->peers[i].region, peer->region) == 0 &&
            rg_incarnation_equal(&members->peers[i].incarnation, &peer->incarnation))
            return true;
    return false;
}

/* ---- bytes ---- */

enum rg_err rg_members_encode(const struct rg_members *members, struct rg_buf *out)
{
    static const uint8_t zeros[ALIGN];
    size_t begin = out->len;

    if (members->n == 0 || members->n > RG_PEERS_MAX)
        return RG_EINVALID;
    for (size_t i = 0; i < members->n; i++) {
        const struct rg_peer_config *peer = &members->peers[i];

        if (peer->id == 0 || rg_members_find(members, peer->id) != peer || address_taken(members, i, peer) ||
            incarnation_taken(members, i, peer) || !address_holds(peer))
            return RG_EINVALID;
    }
    rg_buf_put_u8(out, FORMAT_VERSION);
    rg_buf_put_u64(out, members->n);
    for (size_t i = 0; i < members->n; i++) {
        char address[RG_ADDRESS_BYTES_MAX];

        RG_ASSERT(members->peers[i].role == RG_ROLE_VOTER || members->peers[i].role == RG_ROLE_LEARNER);
        rg_member_address(&members->peers[i], address);
        rg_buf_put_u64(out, members->peers[i].id);
        rg_buf_put(out, address, strlen(address) + 1);
        rg_buf_put_u8(out, (uint8_t)members->peers[i].role);
    }
    rg_buf_put(out, zeros, (ALIGN - (out->len - begin) % ALIGN) % ALIGN);
    RG_ASSERT(out->err || (out->len - begin) % ALIGN == 0);
    RG_ASSERT(out->err || out->len - begin <= RG_RAFT_CONFIG_BYTES_MAX);
    return out->err;
}

/* libraft's own decoder trusts counts and lengths; this walk over the same layout does not. Every configuration passes it
 * before libraft sees it. */
enum rg_err rg_members_decode(struct rg_span bytes, struct rg_members *ret_members)
{
    struct rg_members m;
    struct rg_cursor cur;
    uint64_t n;

    memset(&m, 0, sizeof m);
    rg_cursor_init(&cur, bytes);
    if (rg_cursor_u8(&cur) != FORMAT_VERSION)
        return RG_EMALFORMED;
    n = rg_cursor_u64(&cur);
    if (cur.bad || n == 0 || n > RG_PEERS_MAX)
        return RG_EMALFORMED;
    for (m.n = 0; m.n < n; m.n++) {
        struct rg_peer_config *peer = &m.peers[m.n];
        const uint8_t *end;
        uint8_t role;

        peer->id = rg_cursor_u64(&cur);
        end = cur.bad ? NULL : memchr(cur.p, 0, (size_t)(cur.end - cur.p));
        if (end == NULL || peer->id == 0 || rg_members_find(&m, peer->id) != NULL ||
            !rg_member_address_parse((const char *)cur.p, peer) || address_taken(&m, m.n, peer) ||
            incarnation_taken(&m, m.n, peer))
            return RG_EMALFORMED;
        (void)rg_cursor_bytes(&cur, (size_t)(end - cur.p) + 1);
        role = rg_cursor_u8(&cur);
        if (cur.bad || (role != RG_ROLE_VOTER && role != RG_ROLE_LEARNER))
            return RG_EMALFORMED;
        peer->role = role == RG_ROLE_VOTER ? RG_ROLE_VOTER : RG_ROLE_LEARNER;
    }
    RG_ASSERT(m.n == n);
    RG_ASSERT(m.n >= 1);
    RG_ASSERT(cur.p <= cur.end);
    *ret_members = m;
    return RG_OK;
}
