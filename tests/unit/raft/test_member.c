/* raft/member: configurations come back as they were, and their bytes are libraft's. */
#include <raft.h>
#include <stdio.h>

#include "base/prng.h"
#include "raft/member.h"
#include "tests/lib/check_main.h"

static struct rg_members members_of(unsigned voters, unsigned learners)
{
    struct rg_members m = {.n = voters + learners};

    for (unsigned i = 0; i < m.n; i++) {
        m.peers[i].id = i + 1;
        m.peers[i].role = i < voters ? RG_ROLE_VOTER : RG_ROLE_LEARNER;
        snprintf(m.peers[i].region, sizeof m.peers[i].region, "region-%u", i);
        snprintf(m.peers[i].link, sizeof m.peers[i].link, "host-%u:7000", i);
    }
    return m;
}

TEST(members_come_back_as_they_were)
{
    struct rg_members in = members_of(3, 4), out;
    struct rg_buf buf;

    rg_buf_init(&buf, 65536);
    ck_assert_int_eq(rg_members_encode(&in, &buf), RG_OK);
    ck_assert_int_eq(rg_members_decode(rg_buf_span(&buf), &out), RG_OK);
    ck_assert_uint_eq(out.n, 7);
    ck_assert_uint_eq(rg_members_voters(&out), 3);
    ck_assert_str_eq(rg_members_find(&out, 5)->region, "region-4");
    ck_assert_str_eq(rg_members_find(&out, 5)->link, "host-4:7000");
    ck_assert_ptr_null(rg_members_find(&out, 8));
    rg_buf_deinit(&buf);
}

TEST(incarnations_travel_with_their_members)
{
    struct rg_members in = members_of(2, 2), out;
    struct rg_buf buf, again;

    in.peers[1].incarnation = (struct rg_incarnation){{1, 0xab, [15] = 0xff}};
    in.peers[3].incarnation = (struct rg_incarnation){{2}};
    rg_buf_init(&buf, 65536);
    rg_buf_init(&again, 65536);
    ck_assert_int_eq(rg_members_encode(&in, &buf), RG_OK);
    ck_assert_int_eq(rg_members_decode(rg_buf_span(&buf), &out), RG_OK);
    ck_assert(rg_members_equal(&in, &out));
    ck_assert_uint_eq(rg_members_bound(&out), 2);
    ck_assert_str_eq(out.peers[1].link, "host-1:7000");
    ck_assert_int_eq(rg_members_encode(&out, &again), RG_OK);
    ck_assert(rg_span_eq(rg_buf_span(&buf), rg_buf_span(&again)));
    in.peers[2].incarnation = in.peers[3].incarnation; /* one data directory has one id */
    ck_assert(!rg_members_equal(&in, &out));
    rg_buf_clear(&again);
    ck_assert_int_eq(rg_members_encode(&in, &again), RG_EINVALID);
    rg_buf_deinit(&again);
    rg_buf_deinit(&buf);
}

static const char *const bad_addresses[] = {
    "region=a;link=b:1;incarnation=",
    "region=a;link=b:1;incarnation=00000000000000000000000000000000",
    "region=a;link=b:1;incarnation=0102030405060708090a0b0c0d0e0f1",
    "region=a;link=b:1;incarnation=0102030405060708090a0b0c0d0e0f1g",
    "region=a;link=b:1;incarnation=0102030405060708090A0B0C0D0E0F10",
    "region=a;link=b:1;incarnation=0102030405060708090a0b0c0d0e0f10;",
    "region=a;link=;incarnation=0102030405060708090a0b0c0d0e0f10",
};

LOOP(addresses_that_are_none, RG_LEN(bad_addresses))
{
    struct rg_peer_config peer;

    ck_assert_msg(!rg_member_address_parse(bad_addresses[_i], &peer), "%s", bad_addresses[_i]);
}

TEST(members_that_cannot_be_are_refused)
{
    struct rg_members m = members_of(1, 1), out;
    struct rg_buf buf;

    rg_buf_init(&buf, 65536);
    m.peers[1].id = 1;
    ck_assert_int_eq(rg_members_encode(&m, &buf), RG_EINVALID);
    m = members_of(1, 1);
    memcpy(&m.peers[1], &m.peers[0], sizeof m.peers[0]);
    m.peers[1].id = 2;
    ck_assert_int_eq(rg_members_encode(&m, &buf), RG_EINVALID); /* one address twice */
    m = members_of(1, 1);
    m.peers[0].region[0] = '\0';
    ck_assert_int_eq(rg_members_encode(&m, &buf), RG_EINVALID);
    m = members_of(1, 1); /* what would come back as another one */
    snprintf(m.peers[0].link, sizeof m.peers[0].link, "h:1;incarnation=0102030405060708090a0b0c0d0e0f10");
    ck_assert_int_eq(rg_members_encode(&m, &buf), RG_EINVALID);
    m = members_of(1, 1);
    snprintf(m.peers[0].region, sizeof m.peers[0].region, "a;link=b");
    ck_assert_int_eq(rg_members_encode(&m, &buf), RG_EINVALID);
    ck_assert_int_eq(rg_members_decode(rg_span_str(""), &out), RG_EMALFORMED);
    rg_buf_deinit(&buf);
}

TEST(members_spoiled_anywhere_do_no_harm)
{
    struct rg_members m = members_of(2, 3), out;
    struct rg_prng prng;
    struct rg_buf buf;

    rg_buf_init(&buf, 65536);
    ck_assert_int_eq(rg_members_encode(&m, &buf), RG_OK);
    rg_prng_init(&prng, 3);
    for (size_t n = 0; n < buf.len; n++)
        (void)!rg_members_decode(rg_span(buf.data, n), &out);
    for (int i = 0; i < 20000; i++) {
        size_t at = rg_prng_below(&prng, buf.len);
        uint8_t was = buf.data[at];

        buf.data[at] = (uint8_t)rg_prng_u64(&prng);
        (void)!rg_members_decode(rg_buf_span(&buf), &out);
        buf.data[at] = was;
    }
    rg_buf_deinit(&buf);
}

/* What is in logs and snapshots was written by libraft: byte for byte the same, whatever the length comes to. */
TEST(the_bytes_are_librafts)
{
    for (unsigned n = 1; n <= RG_PEERS_MAX; n++) {
        struct rg_members m = members_of(n - n / 2, n / 2);
        struct raft_configuration conf;
        struct raft_buffer theirs;
        struct rg_buf ours;

        snprintf(m.peers[n - 1].link, sizeof m.peers[0].link, "h%.*s:7000", (int)(n % 9), "aaaaaaaaa");
        raft_configuration_init(&conf);
        for (unsigned i = 0; i < n; i++) {
            char address[RG_ADDRESS_BYTES_MAX];

            rg_member_address(&m.peers[i], address);
            ck_assert_int_eq(raft_configuration_add(&conf, m.peers[i].id, address,
                                                    m.peers[i].role == RG_ROLE_VOTER ? RAFT_VOTER : RAFT_STANDBY), 0);
        }
        ck_assert_int_eq(raft_configuration_encode(&conf, &theirs), 0);
        rg_buf_init(&ours, RG_RAFT_CONFIG_BYTES_MAX);
        ck_assert_int_eq(rg_members_encode(&m, &ours), RG_OK);
        ck_assert(rg_span_eq(rg_buf_span(&ours), rg_span(theirs.base, theirs.len)));
        rg_buf_deinit(&ours);
        raft_free(theirs.base);
        raft_configuration_close(&conf);
    }
}
