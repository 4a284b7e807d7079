/* raft/rpc: every message comes back as it was; anything cut, lengthened or out of range is refused. */

#include "base/prng.h"
#include "base/tlv.h"
#include "raft/core/hello.h"
#include "tests/lib/check_main.h"

static struct rg_entry room[RG_MSG_ENTRIES_MAX];
static const struct rg_entry sample[] = {
    {.term = 7, .type = RG_ENTRY_CHANGE, .data = {(const uint8_t *)"abc", 3}},
    {.term = 7, .type = RG_ENTRY_COMMAND, .data = {(const uint8_t *)"", 0}},
    {.term = 9, .type = RG_ENTRY_BARRIER, .data = {(const uint8_t *)"12345678", 8}},
};
static const struct rg_msg messages[] = {
    {.type = RG_MSG_APPEND, .append = {.term = 9, .prev_index = 4, .prev_term = 6, .commit = 5, .entries = sample, .n = 3}},
    {.type = RG_MSG_APPEND, .append = {.term = 9}},
    {.type = RG_MSG_APPEND_RESULT, .append_result = {.term = 3, .rejected = 9, .last_index = 8, .features = 1, .capacity = 2}},
    {.type = RG_MSG_VOTE, .vote = {.term = 3, .candidate = 2, .last_index = 8, .last_term = 2, .pre_vote = true}},
    {.type = RG_MSG_VOTE_RESULT, .vote_result = {.term = 3, .granted = true, .features = 1}},
    {.type = RG_MSG_TIMEOUT_NOW, .timeout_now = {.term = 3, .last_index = 8, .last_term = 2}},
    {.type = RG_MSG_ANNOUNCE,
     .announce = {.term = 3, .commit = 9, .index = 8, .hash = {1, 2, 3}, .stamp = 77, .lease_ms = 3000}},
    {.type = RG_MSG_REPORT,
     .report = {.term = 3, .durable = 9, .index = 8, .hash = {4}, .stamp = 77, .lease_ms = 3000}},
    {.type = RG_MSG_PROPOSE, .propose = {.number = 5, .cmd = {(const uint8_t *)"command", 7}}},
    {.type = RG_MSG_PROPOSED,
     .proposed = {.number = 5, .err = RG_OK, .rev = {1, 9}, .reply = {.err = RG_ECONFLICT, .why = RG_WHY_USER, .version = 9}}},
    {.type = RG_MSG_FENCE, .fence = {.number = 4, .epoch = 1026, .ceded = 7}},
    {.type = RG_MSG_FENCE_RESULT,
     .fence_result = {.number = 4, .promised = true, .voter = true, .epoch = 1026, .last_term = 9, .last_index = 8,
                      .lease_left_ms = 100, .primary_heard_ms = UINT64_MAX}},
    {.type = RG_MSG_HANDOVER,
     .handover = {.number = 4, .step = RG_HANDOVER_COMMIT, .term = 1, .last_index = 9, .last_term = 1,
                  .config = {(const uint8_t *)"configuration", 13}}},
    {.type = RG_MSG_ROOM,
     .room = {.room = {.state_bytes = 1, .state_bytes_max = 2, .memory_free = 3, .memory_total = 4, .disk_free = 5, .disk_total = 6},
              .full = RG_FULL_STATE | RG_FULL_DISK}},
    {.type = RG_MSG_CLAIMS, .claims = {.term = 3, .claims = {.rows = {{4, {{1}}}, {1029, {{2}}}}, .n = 2}}},
    {.type = RG_MSG_CLAIMS, .claims = {.term = 3}},
    {.type = RG_MSG_WHO, .who = {.number = 4}},
    {.type = RG_MSG_KNOW,
     .know = {.number = 4, .asking = true, .level = true, .cold = true, .leads = true, .term = 9, .promised = 1026, .last_term = 9,
              .last_index = 8, .regions = 2, .lease_ms = 3000}},
    {.type = RG_MSG_KNOW, .know = {.number = 4}},
    {.type = RG_MSG_LIVES, .lives = {.rows = {{.id = 3, .incarnation = {{7}}, .life = {.start = 5, .boot = 6}}}, .n = 1}},
    {.type = RG_MSG_SNAP_OFFER, .snap_offer = {.term = 3, .index = 9, .index_term = 2, .size = 4096}},
    {.type = RG_MSG_SNAP_ACK, .snap_ack = {.index = 9, .index_term = 2, .offset = 4096, .status = RG_SNAP_COMPLETE}},
    {.type = RG_MSG_SNAP_CHUNK,
     .snap_chunk = {.index = 9, .index_term = 2, .offset = 128, .data = {(const uint8_t *)"chunk", 5}}},
};

static void encode(const struct rg_msg *m, struct rg_buf *out)
{
    rg_buf_init(out, RG_MSG_BYTES_MAX);
    rg_rpc_encode(m, out);
    ck_assert_int_eq(out->err, RG_OK);
}

LOOP(a_message_comes_back_as_it_was, RG_LEN(messages))
{
    struct rg_buf first, again;
    struct rg_msg m;

    encode(&messages[_i], &first);
    ck_assert_int_eq(rg_rpc_decode(rg_buf_span(&first), room, &m, NULL), RG_OK);
    ck_assert_int_eq(m.type, messages[_i].type);
    encode(&m, &again);
    ck_assert(rg_span_eq(rg_buf_span(&first), rg_buf_span(&again)));
    rg_buf_deinit(&first);
    rg_buf_deinit(&again);
}

LOOP(a_message_cut_or_lengthened_is_refused, RG_LEN(messages))
{
    struct rg_buf buf;
    struct rg_msg m;

    encode(&messages[_i], &buf);
    for (size_t n = 0; n < buf.len; n++)
        ck_assert_int_eq(rg_rpc_decode(rg_span(buf.data, n), room, &m, NULL), RG_EMALFORMED);
    rg_buf_put_u8(&buf, 0);
    ck_assert_int_eq(rg_rpc_decode(rg_buf_span(&buf), room, &m, NULL), RG_EMALFORMED);
    rg_buf_deinit(&buf);
}

static const struct {
    const char *name;
    size_t offset;
    uint8_t byte;
} spoiled[] = {
    {"unknown type", 0, 99},
    {"an INSTALL", 0, RG_MSG_INSTALL},
    {"another version", 1, 9},
    {"term 0", 2, 0},
    {"a previous term without a previous index", 10, 0},
    {"a previous term later than the message's", 18, 200},
    {"more entries than fit", 35, 200},
    {"an entry of a term before the previous", 38, 1},
    {"an entry of a term after the message's", 38, 200},
    {"an entry of no type", 46, 9},
    {"an entry longer than there is", 48, 200},
};

LOOP(numbers_out_of_range_are_refused, RG_LEN(spoiled))
{
    struct rg_buf buf;
    struct rg_msg m;

    encode(&messages[0], &buf);
    ck_assert_uint_ne(buf.data[spoiled[_i].offset], spoiled[_i].byte);
    buf.data[spoiled[_i].offset] = spoiled[_i].byte;
    ck_assert_msg(rg_rpc_decode(rg_buf_span(&buf), room, &m, NULL) == RG_EMALFORMED, "%s", spoiled[_i].name);
    rg_buf_deinit(&buf);
}

TEST(random_bytes_do_no_harm)
{
    struct rg_prng prng;
    struct rg_msg m;
    struct rg_hello h;
    uint8_t bytes[300];

    rg_prng_init(&prng, 99);
    for (int i = 0; i < 20000; i++) {
        size_t n = rg_prng_below(&prng, sizeof bytes);

        rg_prng_bytes(&prng, bytes, n);
        if (n > 1) {
            bytes[0] = (uint8_t)rg_prng_below(&prng, 27);
            bytes[1] = 2;
        }
        (void)!rg_rpc_decode(rg_span(bytes, n), room, &m, NULL);
        (void)!rg_hello_decode(rg_span(bytes, n), &h, NULL);
    }
}

TEST(hello_comes_back_and_skips_what_is_new)
{
    struct rg_hello in = {.version = 1, .cluster_id = "c", .region = "eu-central-1", .from = 1, .to = 2, .starts = 3,
                          .boot = 4, .term = 5, .last_index = 6, .last_term = 5, .voter = true, .first_crc = 77};
    struct rg_hello out;
    struct rg_buf buf;

    rg_buf_init(&buf, RG_HELLO_BYTES_MAX);
    rg_hello_encode(&in, &buf);
    rg_tlv_put_str(&buf, 500, "of a later release");
    ck_assert_int_eq(rg_hello_decode(rg_buf_span(&buf), &out, NULL), RG_OK);
    ck_assert_str_eq(out.cluster_id, "c");
    ck_assert_str_eq(out.region, "eu-central-1");
    ck_assert_uint_eq(out.boot, 4);
    ck_assert_uint_eq(out.first_crc, 77);
    ck_assert(out.voter && !out.leader);
    ck_assert(!rg_incarnation_known(&out.incarnation) && !rg_incarnation_known(&out.bound));
    ck_assert_int_eq(rg_hello_decode(rg_span(buf.data, buf.len - 1), &out, NULL), RG_EMALFORMED);
    rg_buf_deinit(&buf);
}

/* However much there is to say, a release before reads it. */
TEST(the_longest_hello_has_its_size)
{
    struct rg_hello in = {.version = 2, .from = UINT64_MAX, .to = UINT64_MAX, .incarnation = {{1}}, .bound = {{2}}, .seen = 1, .starts = UINT64_MAX,
                          .boot = UINT64_MAX, .voter = true, .leader = true, .first_crc = UINT32_MAX, .promised = UINT32_MAX, .room = true,
                          .history = {{3}}, .life = {1, 2}, .life_up = true, .claims_said = true};
    struct rg_hello out;
    struct rg_buf buf;

    memset(in.cluster_id, 'c', sizeof in.cluster_id - 1);
    memset(in.region, 'r', sizeof in.region - 1);
    for (uint64_t epoch = 1; epoch <= RG_CLAIMS_MAX; epoch++)
        ck_assert(rg_claims_add(&in.claims, epoch, &(struct rg_incarnation){{(uint8_t)epoch}}));
    rg_buf_init(&buf, 4096);
    rg_hello_encode(&in, &buf);
    ck_assert_int_eq(rg_hello_decode(rg_buf_span(&buf), &out, NULL), RG_OK);
    ck_assert(buf.len <= RG_HELLO_BYTES_MAX);
    ck_assert(out.claims_said);
    ck_assert_mem_eq(&in.claims, &out.claims, sizeof in.claims);
    in.claims_said = false;
    rg_buf_clear(&buf);
    rg_hello_encode(&in, &buf);
    ck_assert_int_eq(rg_hello_decode(rg_buf_span(&buf), &out, NULL), RG_OK);
    ck_assert(!out.claims_said && out.claims.n == 0);
    rg_buf_deinit(&buf);
}

TEST(hello_says_which_data_directory)
{
    struct rg_hello in = {.version = 2, .cluster_id = "c", .region = "r", .from = 1, .to = 2, .boot = 4,
                          .incarnation = {{1, 2, 3}}, .bound = {{[15] = 9}}, .life = {3, UINT64_MAX}, .life_up = true, .history = {{5, [15] = 6}}};
    static const uint8_t none[16], some[17] = {1};
    struct rg_hello out;
    struct rg_buf buf;

    rg_buf_init(&buf, RG_HELLO_BYTES_MAX);
    rg_hello_encode(&in, &buf);
    ck_assert_int_eq(rg_hello_decode(rg_buf_span(&buf), &out, NULL), RG_OK);
    ck_assert(rg_incarnation_equal(&out.incarnation, &in.incarnation) && rg_incarnation_equal(&out.bound, &in.bound));
    ck_assert_mem_eq(&out.history, &in.history, sizeof in.history);
    ck_assert(out.life.start == 3 && out.life.boot == UINT64_MAX && out.life_up);
    for (size_t n = 15; n <= 17; n++) { /* too short, none at all, too long */
        size_t was = buf.len;

        rg_tlv_put(&buf, 15, rg_span(n == 16 ? none : some, n));
        ck_assert_int_eq(rg_hello_decode(rg_buf_span(&buf), &out, NULL), RG_EMALFORMED);
        buf.len = was;
    }
    rg_buf_deinit(&buf);
}
