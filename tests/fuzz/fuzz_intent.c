/* The file of an intent: raw bytes, raw bytes behind a good head, and raw bytes sealed as a record. */
#include "raft/intent/intent.h"
#include "tests/sim/simlanes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t material[32] = {1};
static const char name[] = "00000000000000000007-00112233-4455-6677-8899-aabbccddeeff";
static struct rg_intent_seal seal = {.region = "r", .instance_arn = "a", .identity_store_id = "d"};

static void check_record(struct rg_span bytes)
{
    RG_AUTO_BUF struct rg_buf again = {.max = 0};
    struct rg_intent r, s;
    uint8_t hash[32];

    if (rg_intent_decode(bytes, &r, NULL) != RG_OK)
        return;
    RG_ASSERT(memchr(r.code, 0, sizeof r.code) != NULL && memchr(r.text, 0, sizeof r.text) != NULL &&
              memchr(r.decided_by, 0, sizeof r.decided_by) != NULL);
    RG_ASSERT(strcmp(rg_intent_status_name(r.status), "?") != 0);
    RG_ASSERT(rg_intent_hash(r.cmd, hash) == RG_OK);
    rg_buf_init(&again, RG_INTENT_RECORD_BYTES_MAX);
    rg_intent_encode(&r, &again);
    RG_ASSERT(!again.err && rg_intent_decode(rg_buf_span(&again), &s, NULL) == RG_OK);
    RG_ASSERT(r.seq == s.seq && r.status == s.status && r.automatic == s.automatic && rg_span_eq(r.cmd, s.cmd) &&
              strcmp(r.decided_by, s.decided_by) == 0);
}

static void open_file(struct rg_span file)
{
    RG_AUTO_BUF struct rg_buf record = {.max = 0};

    rg_buf_init(&record, RG_INTENT_FILE_BYTES_MAX);
    if (rg_intent_open(&seal, name, file, &record, NULL) == RG_OK)
        check_record(rg_buf_span(&record));
}

static void check_name(const uint8_t *data, size_t size)
{
    char text[RG_INTENT_NAME_MAX], again[RG_INTENT_NAME_MAX];
    struct rg_uuid id;
    uint64_t seq;

    size = RG_MIN(size, sizeof text - 1);
    memcpy(text, data, size);
    text[size] = '\0';
    if (!rg_intent_name_parse(text, &seq, &id))
        return;
    rg_intent_name(again, seq, &id);
    RG_ASSERT(strcmp(text, again) == 0);
}

/* A record around the bytes as a command, and the bytes as further fields. */
static void around(const uint8_t *data, size_t size)
{
    RG_AUTO_BUF struct rg_buf cmd = {.max = 0}, record = {.max = 0};
    struct rg_intent r = {.seq = 7, .status = RG_INTENT_QUEUED};

    rg_buf_init(&cmd, RG_CMD_BYTES_MAX);
    rg_buf_init(&record, RG_INTENT_RECORD_BYTES_MAX);
    rg_cmd_begin(&cmd, RG_CMD_USER_CREATE, 1, rg_span_str("f"));
    rg_buf_put(&cmd, data, size);
    r.cmd = rg_buf_span(&cmd);
    rg_buf_put(&record, data, size / 2);
    rg_intent_encode(&r, &record);
    rg_buf_put(&record, data, size);
    if (!cmd.err && !record.err)
        check_record(rg_buf_span(&record));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    RG_AUTO_BUF struct rg_buf file = {.max = 0};

    if (seal.keys == NULL)
        RG_ASSERT(rg_keyprov_memory_new("mrk-00000000000000000000000000000001", material, &seal.keys) == RG_OK);
    check_name(data, size);
    check_record(rg_span(data, size));
    around(data, size);
    open_file(rg_span(data, size));
    rg_buf_init(&file, RG_INTENT_FILE_BYTES_MAX);
    if (size > 4096 || rg_intent_seal(&seal, name, rg_span(data, size), &file) != RG_OK || file.err)
        return 0;
    open_file(rg_buf_span(&file));
    if (size > 0) { /* damaged */
        file.data[data[0] * 7 % file.len] ^= (uint8_t)(1 + data[size - 1] % 255);
        open_file(rg_buf_span(&file));
    }
    return 0;
}
