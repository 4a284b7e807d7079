/* raft/member.c: configurations as bytes, and back: libraft's own layout. */
#include "raft/member.h"

#include <stdio.h>

enum { FORMAT_VERSION = 1, ALIGN = 8 }; /* libraft's encoding of a configuration: version, count; id, address, 0, role of each; zeros */

/* ---- incarnations ---- */

bool rg_incarnation_known(const struct rg_incarnation *incarnation)
{
    static const struct rg_incarnation none;

    return memcmp(incarnation->b, none.b, sizeof none.b) != 0;
}

bool rg_incarnation_equal(const struct rg_incarnation *a, const struct rg_incarnation *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

/* ---- addresses ---- */

void rg_member_address(const struct rg_peer_config *peer, char out[RG_ADDRESS_BYTES_MAX])
{
    snprintf(out, RG_ADDRESS_BYTES_MAX, "region=%s;link=%s", peer->region, peer->link);
}

bool rg_member_address_parse(const char *address, struct rg_peer_config *peer)
{
    const char *semicolon = strchr(address, ';');
    size_t region, link;

    if (strncmp(address, "region=", 7) != 0 || semicolon == NULL || strncmp(semicolon, ";link=", 6) != 0)
        return false;
    region = (size_t)(semicolon - (address + 7));
    link = strlen(semicolon + 6);
    if (region == 0 || region >= sizeof peer->region || link == 0 || link >= sizeof peer->link)
        return false;
    memcpy(peer->region, address + 7, region);
    peer->region[region] = '\0';
    memcpy(peer->link, semicolon + 6, link + 1);
    return true;
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

    RG_ASSERT(a->n <= RG_PEERS_MAX && b->n <= RG_PEERS_MAX);
    for (size_t i = 0; equal && i < a->n; i++)
        equal = a->peers[i].id == b->peers[i].id && a->peers[i].role == b->peers[i].role &&
                strcmp(a->peers[i].link, b->peers[i].link) == 0 && strcmp(a->peers[i].region, b->peers[i].region) == 0;
    return equal;
}

/* Among the first n. */
static bool address_taken(const struct rg_members *members, size_t n, const struct rg_peer_config *peer)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(members->peers[i].link, peer->link) == 0 && strcmp(members->peers[i].region, peer->region) == 0)
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
        char address[RG_ADDRESS_BYTES_MAX];
        struct rg_peer_config again;

        rg_member_address(peer, address);
        if (peer->id == 0 || rg_members_find(members, peer->id) != peer || address_taken(members, i, peer) ||
            !rg_member_address_parse(address, &again))
            return RG_EINVALID;
    }
    rg_buf_put_u8(out, FORMAT_VERSION);
    rg_buf_put_u64(out, members->n);
    for (size_t i = 0; i < members->n; i++) {
        char address[RG_ADDRESS_BYTES_MAX];

        rg_member_address(&members->peers[i], address);
        rg_buf_put_u64(out, members->peers[i].id);
        rg_buf_put(out, address, strlen(address) + 1);
        rg_buf_put_u8(out, members->peers[i].role == RG_ROLE_VOTER ? RG_ROLE_VOTER : RG_ROLE_LEARNER);
    }
    rg_buf_put(out, zeros, (ALIGN - (out->len - begin) % ALIGN) % ALIGN);
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
            !rg_member_address_parse((const char *)cur.p, peer) || address_taken(&m, m.n, peer))
            return RG_EMALFORMED;
        (void)rg_cursor_bytes(&cur, (size_t)(end - cur.p) + 1);
        role = rg_cursor_u8(&cur);
        if (cur.bad || (role != RG_ROLE_VOTER && role != RG_ROLE_LEARNER))
            return RG_EMALFORMED;
        peer->role = role == RG_ROLE_VOTER ? RG_ROLE_VOTER : RG_ROLE_LEARNER;
    }
    *ret_members = m;
    return RG_OK;
}
