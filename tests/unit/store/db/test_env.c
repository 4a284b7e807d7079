/* store/env: rows, hash, counters, scans; what a full disk does; who may look. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "store/db/statedir.h"
#include "store/db/pinned.h"
#include "tests/lib/check_main.h"
#include "tests/lib/store_rig.h"

static struct fix fix;

static void setup(void) { fix_open(&fix); }
static void teardown(void) { fix_close(&fix); }

static struct rg_txn *begin_write(void)
{
    struct rg_txn *txn;

    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
    return txn;
}

static void put(struct rg_txn *txn, const char *key, const char *value)
{
    ck_assert_int_eq(rg_row_put(txn, rg_span_str(key), rg_span_str(value)), RG_OK);
}

static void commit(struct rg_txn *txn) { ck_assert_int_eq(rg_txn_commit(txn), RG_OK); }

/* The assertion fired: tidy up behind it. */
static void remove_files_and_exit(int signo)
{
    static const char *const names[] = {"/state-a.mdb", "/state-a.mdb-lock", "/state-b.mdb", "/state-b.mdb-lock", ""};

    for (size_t i = 0; i < RG_LEN(names); i++) {
        char path[300];

        snprintf(path, sizeof path, "%s%s", fix.dir, names[i]);
        (void)remove(path);
    }
    _exit(99);
}

static bool hash_is_zero(void)
{
    static const uint8_t zero[RG_STATE_HASH_BYTES];
    uint8_t hash[RG_STATE_HASH_BYTES];

    fix_hash(&fix, hash);
    return memcmp(hash, zero, sizeof hash) == 0;
}

CASE(.setup = setup, .teardown = teardown);

TEST(rows_come_back)
{
    struct rg_txn *txn = begin_write();
    struct rg_span value;

    put(txn, "u1", "one");
    put(txn, "u1", "two");
    put(txn, "u2", "");
    ck_assert_int_eq(rg_row_get(txn, rg_span_str("u1"), &value), RG_OK);
    ck_assert(rg_span_is(value, "two"));
    commit(txn);
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_row_get(txn, rg_span_str("u2"), &value), RG_OK);
    ck_assert_uint_eq(value.n, 0);
    ck_assert_int_eq(rg_row_get(txn, rg_span_str("u"), &value), RG_ENOTFOUND);
    rg_txn_free(txn);
    txn = begin_write();
    ck_assert_int_eq(rg_row_delete(txn, rg_span_str("u1")), RG_OK);
    ck_assert_int_eq(rg_row_delete(txn, rg_span_str("u1")), RG_ENOTFOUND);
    ck_assert_int_eq(rg_row_get(txn, rg_span_str("u1"), &value), RG_ENOTFOUND);
    commit(txn);
}

TEST(keys_and_values_have_bounds)
{
    static uint8_t big[RG_ROW_BYTES_MAX + 1];
    struct rg_txn *txn = begin_write();
    uint8_t key[RG_KEY_BYTES_MAX + 1];
    struct rg_span value;

    memset(key, 'u', sizeof key);
    ck_assert_int_eq(rg_row_put(txn, rg_span(key, sizeof key), rg_span_str("x")), RG_EINVALID);
    ck_assert_int_eq(rg_row_put(txn, rg_span(key, 0), rg_span_str("x")), RG_EINVALID);
    ck_assert_int_eq(rg_row_put(txn, rg_span("", 1), rg_span_str("x")), RG_EINVALID); /* the meta row's key */
    ck_assert_int_eq(rg_row_put(txn, rg_span(key, 5), rg_span(big, sizeof big)), RG_EINVALID);
    ck_assert_int_eq(rg_row_get(txn, rg_span(key, 0), &value), RG_ENOTFOUND);
    ck_assert_int_eq(rg_row_get(txn, rg_span("", 1), &value), RG_ENOTFOUND);
    ck_assert_int_eq(rg_row_delete(txn, rg_span("", 1)), RG_ENOTFOUND);
    ck_assert_int_eq(rg_row_put(txn, rg_span(key, RG_KEY_BYTES_MAX), rg_span(big, RG_ROW_BYTES_MAX)), RG_OK);
    commit(txn);
    fix_check_hash(&fix);
}

TEST(a_row_is_added_once)
{
    uint8_t before[RG_STATE_HASH_BYTES], after[RG_STATE_HASH_BYTES];
    struct rg_txn *txn = begin_write();
    struct rg_applied applied;
    struct rg_span value;

    ck_assert_int_eq(rg_row_add(txn, rg_span_str("ua"), rg_span_str("1")), RG_OK);
    put(txn, "ub", "2");
    commit(txn);
    fix_hash(&fix, before);
    txn = begin_write();
    ck_assert_int_eq(rg_row_add(txn, rg_span_str("ua"), rg_span_str("other")), RG_ECORRUPT);
    ck_assert_int_eq(rg_row_add(txn, rg_span_str("ub"), rg_span_str("2")), RG_ECORRUPT); /* the same value is none to add either */
    ck_assert_int_eq(rg_row_add(txn, rg_span(NULL, 0), rg_span_str("2")), RG_EINVALID);
    ck_assert_uint_eq(rg_txn_changes(txn), 0);
    ck_assert_int_eq(rg_row_get(txn, rg_span_str("ua"), &value), RG_OK);
    ck_assert(rg_span_is(value, "1"));
    rg_txn_applied(txn, &applied);
    ck_assert_uint_eq(applied.rows, 2);
    commit(txn);
    fix_hash(&fix, after);
    ck_assert_mem_eq(before, after, sizeof before);
    fix_check_hash(&fix);
}

TEST(hash_is_of_the_set_of_rows)
{
    uint8_t a[RG_STATE_HASH_BYTES], b[RG_STATE_HASH_BYTES];
    struct rg_txn *txn = begin_write();

    put(txn, "u1", "one");
    put(txn, "u2", "two");
    put(txn, "u3", "three");
    commit(txn);
    fix_hash(&fix, a);
    fix_check_hash(&fix);
    fix_empty(fix.store);
    ck_assert(hash_is_zero());

    txn = begin_write();
    put(txn, "u3", "other");
    put(txn, "u9", "gone later");
    put(txn, "u2", "two");
    put(txn, "u3", "three");
    put(txn, "u1", "one");
    put(txn, "u1", "one");
    ck_assert_int_eq(rg_row_delete(txn, rg_span_str("u9")), RG_OK);
    commit(txn);
    fix_hash(&fix, b);
    fix_check_hash(&fix);
    ck_assert_mem_eq(a, b, sizeof a);

    txn = begin_write();
    put(txn, "u1", "onE");
    commit(txn);
    fix_hash(&fix, b);
    ck_assert_mem_ne(a, b, sizeof a);
    /* key and value do not run into each other */
    txn = begin_write();
    ck_assert_int_eq(rg_row_delete(txn, rg_span_str("u1")), RG_OK);
    put(txn, "u1o", "ne");
    commit(txn);
    fix_hash(&fix, b);
    ck_assert_mem_ne(a, b, sizeof a);
    txn = begin_write();
    for (const char *const *key = (const char *const[]){"u1o", "u2", "u3", NULL}; *key != NULL; key++)
        ck_assert_int_eq(rg_row_delete(txn, rg_span_str(*key)), RG_OK);
    commit(txn);
    ck_assert(hash_is_zero());
}

/* The layout in docs: SHA-256(varint key length, key, value), a little-endian number, summed. One row is its own sum.
 */
TEST(hash_of_one_row_is_its_sha256)
{
    static const char want[] =
        "d9a5b208fbf0017cb0c36e3d1bb183a98b6aeb729ef7f5f52abe959372e0dafb"; /* printf '\002u1one' | sha256sum */
    uint8_t hash[RG_STATE_HASH_BYTES];
    struct rg_txn *txn = begin_write();
    char hex[65];

    put(txn, "u1", "one");
    commit(txn);
    fix_hash(&fix, hash);
    rg_hex(hex, hash, sizeof hash);
    ck_assert_str_eq(hex, want);
}

TEST(an_aborted_transaction_leaves_nothing)
{
    struct rg_txn *txn = begin_write();
    struct rg_applied applied;
    struct rg_counts counts;
    struct rg_span value;

    put(txn, "u1", "one");
    commit(txn);
    txn = begin_write();
    put(txn, "u2", "two");
    rg_txn_mark_applied(txn, 7, 1);
    ck_assert_uint_eq(rg_txn_changes(txn), 1);
    rg_txn_free(txn);
    txn = fix_read(&fix);
    rg_txn_applied(txn, &applied);
    rg_txn_counts(txn, &counts);
    ck_assert_uint_eq(applied.index, 0);
    ck_assert_uint_eq(applied.rows, 1);
    ck_assert_uint_eq(counts.users, 1);
    ck_assert_int_eq(rg_row_get(txn, rg_span_str("u2"), &value), RG_ENOTFOUND);
    rg_txn_free(txn);
    fix_check_hash(&fix);
}

TEST(applied_and_counts_live_in_the_transaction)
{
    static const char *const keys[] = {"u1", "u2", "g1", "m1", "p1", "c1", "s1", "z1", "a1", "n1"};
    struct rg_txn *old, *txn = begin_write();
    struct rg_applied applied;
    struct rg_counts counts;

    for (size_t i = 0; i < RG_LEN(keys); i++)
        put(txn, keys[i], "v");
    put(txn, "u1", "again");
    rg_txn_mark_applied(txn, 5, 3);
    old = fix_read(&fix);
    commit(txn);
    rg_txn_applied(old, &applied); /* a reader keeps what it began with */
    ck_assert_uint_eq(applied.index, 0);
    rg_txn_free(old);
    txn = fix_read(&fix);
    rg_txn_applied(txn, &applied);
    rg_txn_counts(txn, &counts);
    ck_assert_uint_eq(applied.index, 5);
    ck_assert_uint_eq(applied.term, 3);
    ck_assert_uint_eq(applied.rows, RG_LEN(keys));
    ck_assert_uint_eq(counts.users, 2);
    ck_assert_uint_eq(counts.groups, 1);
    ck_assert_uint_eq(counts.memberships, 1);
    ck_assert_uint_eq(counts.permsets, 1);
    ck_assert_uint_eq(counts.accounts, 1);
    ck_assert_uint_eq(counts.assignments, 1);
    ck_assert_uint_eq(counts.requests, 1);
    rg_txn_free(txn);
}

/* Scan prefix, after; want: the keys in order, joined. */
static const struct {
    const char *name, *prefix, *after, *want;
} scans[] = {
    {"all rows, not the meta row", "", "", "a1 m1 m12 m2 n1 "},
    {"a prefix", "m", "", "m1 m12 m2 "},
    {"a longer prefix", "m1", "", "m1 m12 "},
    {"behind a row", "m", "m1", "m12 m2 "},
    {"behind a row that is not there", "m", "m11", "m12 m2 "},
    {"behind the last", "m", "m2", ""},
    {"behind a key before the prefix", "m", "a1", "m1 m12 m2 "},
    {"behind a key past the prefix", "m", "z", ""},
    {"behind a row, no prefix", "", "m2", "n1 "},
    {"no such prefix", "k", "", ""},
};

LOOP(scan, RG_LEN(scans))
{
    struct rg_txn *txn = begin_write();
    struct rg_span key, value;
    char got[256] = "";
    struct rg_scan s;
    enum rg_err err;

    for (const char *const *k = (const char *const[]){"m2", "n1", "m1", "a1", "m12", NULL}; *k != NULL; k++)
        put(txn, *k, "v");
    commit(txn);
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_scan_begin(txn, rg_span_str(scans[_i].prefix), rg_span_str(scans[_i].after), &s), RG_OK);
    while ((err = rg_scan_next(&s, &key, &value)) == RG_OK)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%.*s ", RG_SPAN_ARG(key));
    ck_assert_int_eq(err, RG_ENOTFOUND);
    ck_assert_int_eq(rg_scan_next(&s, &key, &value), RG_ENOTFOUND); /* stays at its end */
    rg_scan_end(&s);
    rg_scan_end(&s);
    rg_txn_free(txn);
    ck_assert_msg(strcmp(got, scans[_i].want) == 0, "%s: %s", scans[_i].name, got);
}

TEST(scan_seeks_within_its_prefix)
{
    struct rg_txn *txn = begin_write();
    uint8_t long_prefix[65] = {'m'};
    struct rg_span key, value;
    struct rg_scan s;

    for (const char *const *k = (const char *const[]){"m1", "m3", "m5", "n1", NULL}; *k != NULL; k++)
        put(txn, *k, *k);
    ck_assert_int_eq(rg_scan_begin(txn, rg_span_str("m"), rg_span(NULL, 0), &s), RG_OK);
    ck_assert_int_eq(rg_scan_seek(&s, rg_span_str("m2"), &key, &value), RG_OK);
    ck_assert(rg_span_is(key, "m3"));
    ck_assert(rg_span_is(value, "m3"));
    ck_assert_int_eq(rg_scan_next(&s, &key, &value), RG_OK);
    ck_assert(rg_span_is(key, "m5"));
    ck_assert_int_eq(rg_scan_seek(&s, rg_span_str("m6"), &key, &value), RG_ENOTFOUND);
    ck_assert_int_eq(rg_scan_seek(&s, rg_span_str("m1"), &key, &value), RG_ENOTFOUND);
    rg_scan_end(&s);
    ck_assert_int_eq(rg_scan_begin(txn, rg_span(long_prefix, sizeof long_prefix), rg_span(NULL, 0), &s), RG_EINVALID);
    rg_scan_end(&s);
    rg_txn_free(txn);
}

TEST(append_wants_ascending_keys)
{
    struct rg_applied applied = {.index = 9, .term = 2, .rows = 3}, got;
    struct rg_txn *txn = begin_write();
    struct rg_counts counts;

    ck_assert_int_eq(rg_row_append(txn, rg_span_str("g1"), rg_span_str("a")), RG_OK);
    ck_assert_int_eq(rg_row_append(txn, rg_span_str("u1"), rg_span_str("b")), RG_OK);
    commit(txn);
    txn = begin_write(); /* the meta row is there now, and sorts first */
    ck_assert_int_eq(rg_row_append(txn, rg_span_str("u2"), rg_span_str("c")), RG_OK);
    ck_assert_int_eq(rg_row_append(txn, rg_span_str("u2"), rg_span_str("c")), RG_EMALFORMED);
    ck_assert_int_eq(rg_row_append(txn, rg_span_str("u11"), rg_span_str("c")), RG_EMALFORMED);
    ck_assert_int_eq(rg_row_append(txn, rg_span("", 1), rg_span_str("c")), RG_EMALFORMED);
    ck_assert_int_eq(rg_row_append(txn, rg_span_str(""), rg_span_str("c")), RG_EMALFORMED);
    ck_assert_int_eq(rg_store_rehash(txn, applied.hash), RG_OK);
    rg_txn_set_applied(txn, &applied);
    commit(txn);
    txn = fix_read(&fix);
    rg_txn_applied(txn, &got);
    rg_txn_counts(txn, &counts);
    ck_assert_mem_eq(&got, &applied, sizeof got);
    ck_assert_uint_eq(counts.users, 2);
    ck_assert_uint_eq(counts.groups, 1);
    rg_txn_free(txn);
    txn = begin_write(); /* later changes go on from that hash */
    put(txn, "u0", "d");
    commit(txn);
    fix_check_hash(&fix);
}

TEST(another_space_has_nothing_of_the_one_before)
{
    struct rg_txn *txn = begin_write();
    struct rg_applied applied;
    struct rg_counts counts;
    struct rg_span key, value;
    struct rg_scan s;

    for (int i = 0; i < 5000; i++) {
        char key_text[16];

        snprintf(key_text, sizeof key_text, "u%d", i);
        put(txn, key_text, "value");
    }
    rg_txn_mark_applied(txn, 3, 1);
    commit(txn);
    fix_empty(fix.store);
    txn = fix_read(&fix);
    rg_txn_applied(txn, &applied);
    rg_txn_counts(txn, &counts);
    ck_assert_uint_eq(applied.index, 0);
    ck_assert_uint_eq(applied.rows, 0);
    ck_assert_uint_eq(counts.users, 0);
    ck_assert_int_eq(rg_scan_begin(txn, rg_span(NULL, 0), rg_span(NULL, 0), &s), RG_OK);
    ck_assert_int_eq(rg_scan_next(&s, &key, &value), RG_ENOTFOUND);
    rg_scan_end(&s);
    rg_txn_free(txn);
    ck_assert(hash_is_zero());
}

/* --- full --- */

/* Fill until refused; then everything committed before must be there. */
static void fill_until_full(struct rg_store *store, const char *what)
{
    static uint8_t value[20000];
    uint64_t committed = 0, seen = 0;
    struct rg_span key, row;
    struct rg_applied applied;
    struct rg_txn *txn;
    struct rg_scan s;
    uint8_t hash[RG_STATE_HASH_BYTES];
    enum rg_err err = RG_OK;

    while (!err) {
        err = rg_txn_begin(store, RG_TXN_WRITE, &txn);
        ck_assert_int_eq(err, RG_OK);
        for (int i = 0; !err && i < 8; i++) {
            char text[32];

            snprintf(text, sizeof text, "u%08llu", (unsigned long long)(committed * 8 + (uint64_t)i));
            err = rg_row_put(txn, rg_span_str(text), rg_span(value, sizeof value));
        }
        if (err) {
            rg_txn_free(txn);
            break;
        }
        err = rg_txn_commit(txn);
        if (!err)
            committed++;
        ck_assert_msg(committed < 100000, "%s is never full", what);
    }
    ck_assert_msg(err == RG_ENOSPACE, "%s: %s", what, rg_err_symbol(err));
    ck_assert_uint_gt(committed, 0);
    ck_assert_int_eq(rg_txn_begin(store, RG_TXN_READ, &txn), RG_OK);
    ck_assert_int_eq(rg_scan_begin(txn, rg_span_str("u"), rg_span(NULL, 0), &s), RG_OK);
    while (rg_scan_next(&s, &key, &row) == RG_OK)
        seen += row.n == sizeof value;
    rg_scan_end(&s);
    rg_txn_applied(txn, &applied);
    ck_assert_int_eq(rg_store_rehash(txn, hash), RG_OK);
    ck_assert_mem_eq(hash, applied.hash, sizeof hash);
    rg_txn_free(txn);
    ck_assert_uint_eq(seen, committed * 8);
}

CASE();

TEST(a_full_map_is_an_error)
{
    struct fix small;

    fix_open_sized(&small, 4 << 20);
    fill_until_full(small.store, "a map for 4 MiB");
    fix_empty(small.store);
    fill_until_full(small.store, "the map of the next space");
    fix_close(&small);
}

/* Rows of all sizes, numbered, until they take what they may; how many. */
static unsigned fill_to_the_limit(struct rg_store *store, uint8_t with)
{
    static uint8_t value[9000];
    uint64_t bytes, max;
    unsigned n = 0;

    memset(value, with, sizeof value);
    do {
        struct rg_txn *txn;

        ck_assert_int_eq(rg_txn_begin(store, RG_TXN_WRITE, &txn), RG_OK);
        for (int i = 0; i < 20; i++, n++) {
            char text[32];

            snprintf(text, sizeof text, "u%08x", n * 2654435761u);
            ck_assert_int_eq(rg_row_put(txn, rg_span_str(text), rg_span(value, 20 + n * 7919 % 8900)), RG_OK);
        }
        ck_assert_int_eq(rg_txn_commit(txn), RG_OK);
        ck_assert_int_eq(rg_store_fill(store, &bytes, &max), RG_OK);
    } while (bytes < max);
    return n;
}

/* Every row anew, or gone, in one transaction; once more behind a turn when there was no room. */
static void change_all(struct rg_store *store, unsigned n, uint8_t with, int64_t *ret_grown)
{
    static uint8_t value[9000];
    enum rg_err err = RG_OK;
    struct rg_txn *txn;

    memset(value, with, sizeof value);
    for (int attempt = 0; attempt < 2; attempt++) {
        if (err == RG_ENOSPACE)
            ck_assert_int_eq(rg_store_turn(store), RG_OK);
        ck_assert_int_eq(rg_txn_begin(store, RG_TXN_WRITE, &txn), RG_OK);
        err = RG_OK;
        for (unsigned i = 0; !err && i < n; i++) {
            char text[32];

            snprintf(text, sizeof text, "u%08x", i * 2654435761u);
            err = with > 0 ? rg_row_put(txn, rg_span_str(text), rg_span(value, 20 + i * 7919 % 8900)) : rg_row_delete(txn, rg_span_str(text));
        }
        *ret_grown = rg_txn_grown(txn);
        if (!err)
            err = rg_txn_commit(RG_STEAL(txn));
        rg_txn_free(txn);
        if (err != RG_ENOSPACE)
            break;
    }
    ck_assert_int_eq(err, RG_OK);
}

/* What a state at its limit may be asked for in one transaction, at worst: every page of it changes. Again and again. */
TEST(any_change_fits_at_the_limit)
{
    uint64_t bytes, max, again;
    int64_t grown;
    struct fix small;
    unsigned n;

    fix_open_sized(&small, 4 << 20);
    n = fill_to_the_limit(small.store, 1);
    for (uint8_t round = 2; round < 9; round++) {
        change_all(small.store, n, round, &grown);
        ck_assert_int_eq(grown, 0);
    }
    ck_assert_int_eq(rg_store_fill(small.store, &bytes, &max), RG_OK);
    ck_assert_uint_eq(max, 4 << 20);
    ck_assert_uint_ge(bytes, max);
    ck_assert_uint_lt(bytes, max + max / 8);
    change_all(small.store, n, 0, &grown); /* and all of it goes at once */
    ck_assert_int_lt(grown, -(int64_t)(max / 2));
    ck_assert_int_eq(rg_store_fill(small.store, &again, &max), RG_OK);
    ck_assert_uint_lt(again, max / 16);
    fix_close(&small);
}

/* Who reads keeps what is changed; once he has gone the pages are used again. */
TEST(what_a_reader_keeps_is_seen_in_the_file)
{
    struct rg_pinned before, held, after;
    struct rg_txn *reader, *later;
    struct fix small;
    int64_t grown;

    fix_open_sized(&small, 4 << 20);
    fill_to_the_limit(small.store, 1);
    for (uint8_t round = 2; round < 6; round++)
        change_all(small.store, 100, round, &grown);
    ck_assert_int_eq(rg_txn_begin(small.store, RG_TXN_READ, &reader), RG_OK);
    rg_txn_pinned(reader, &before);
    ck_assert_uint_eq(before.bytes_max, 4 << 20);
    ck_assert_uint_gt(before.map_bytes, 8 << 20);
    ck_assert_uint_ge(before.file_bytes, 4 << 20);
    ck_assert(!before.left);
    for (uint8_t round = 6; round < 10; round++)
        change_all(small.store, 100, round, &grown);
    rg_txn_pinned(reader, &held);
    ck_assert_uint_gt(held.file_bytes, before.file_bytes + (1 << 19));
    ck_assert_uint_le(held.file_bytes, held.map_bytes);
    rg_txn_free(reader);
    for (uint8_t round = 14; round < 40; round++)
        change_all(small.store, 100, round, &grown);
    ck_assert_int_eq(rg_txn_begin(small.store, RG_TXN_READ, &later), RG_OK);
    rg_txn_pinned(later, &after);
    ck_assert_uint_le(after.file_bytes, held.file_bytes + (1 << 18)); /* not by what was changed since */
    rg_txn_free(later);
    fix_close(&small);
}

/* A tmpfs of 2 MiB in a mount namespace of a child's own. The exit code tells; 77: such namespaces are not allowed
 * here. */
static int full_tmpfs_child(const char *dir)
{
    struct rg_errctx ctx = {{0}};
    struct rg_store *store;
    char path[300];
    enum rg_err err;
    int fd, rc;

    if (unshare(CLONE_NEWNS) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
        return 77;
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", dir, "tmpfs", 0, "size=2m,mode=0700") != 0)
        return 77;
    err = rg_store_open(dir, (size_t)64 << 20, 8, &store, &ctx);
    ck_assert_msg(err == RG_OK, "%s", ctx.text);
    fill_until_full(store, "a tmpfs of 2 MiB");
    ck_assert_int_eq(rg_store_spare(store, 0, &ctx), RG_ENOSPACE); /* what serves goes on */
    ck_assert_ptr_nonnull(strstr(ctx.text, dir));
    rg_store_free(store);

    /* full from the beginning: not even the lock file */
    snprintf(path, sizeof path, "%s/other", dir);
    fd = open(path, O_RDWR | O_CREAT, 0600);
    ck_assert_int_ge(fd, 0);
    rc = posix_fallocate(fd, 0, 2 << 20);
    if (rc == ENOSPC)
        for (off_t at = 0; posix_fallocate(fd, at, 4096) == 0; at += 4096)
            ;
    close(fd);
    err = rg_store_open(dir, (size_t)64 << 20, 8, &store, &ctx);
    ck_assert_msg(err == RG_ENOSPACE, "%s: %s", rg_err_symbol(err), ctx.text);
    ck_assert_ptr_nonnull(strstr(ctx.text, dir));
    return 0;
}

TEST(a_full_memory_file_system_is_an_error)
{
    char dir[TMPDIR_BYTES];
    int status;
    pid_t pid;

    tmpdir_make(dir);
    pid = fork(); /* before any environment is open here */
    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        _exit(full_tmpfs_child(dir));
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(rmdir(dir), 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        printf("SKIPPED: a full memory file system: no mount namespaces here\n");
        return;
    }
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child status 0x%x", status);
}

/* Our own mistakes: going on would diverge, or read what LMDB has freed. Each ends the process; the first of all is none. */
static void no_mistake(struct rg_txn *txn) { rg_txn_mark_applied(txn, 6, 1); }

static void apply_twice(struct rg_txn *txn) { rg_txn_mark_applied(txn, 5, 1); }

static void write_under_a_scan(struct rg_txn *txn)
{
    struct rg_span key, value;
    struct rg_scan s;

    if (rg_scan_begin(txn, rg_span(NULL, 0), rg_span(NULL, 0), &s) || rg_scan_next(&s, &key, &value) ||
        rg_row_put(txn, rg_span_str("u3"), rg_span_str("c")))
        return;
    (void)!rg_scan_next(&s, &key, &value);
}

static void leave_a_scan(struct rg_txn *txn)
{
    struct rg_scan s;

    if (!rg_scan_begin(txn, rg_span(NULL, 0), rg_span(NULL, 0), &s))
        (void)!rg_txn_commit(txn);
}

static void (*const mistakes[])(struct rg_txn *txn) = {no_mistake, apply_twice, write_under_a_scan, leave_a_scan};

LOOP(a_mistake_of_ours_ends_the_process, RG_LEN(mistakes))
{
    int status;
    pid_t pid = fork();

    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        struct rlimit no_core = {0, 0};
        struct rg_txn *txn;

        (void)setrlimit(RLIMIT_CORE, &no_core);
        fix_open(&fix);
        txn = begin_write();
        rg_txn_mark_applied(txn, 5, 1);
        rg_txn_free(txn);
        txn = begin_write();
        put(txn, "u1", "a");
        rg_txn_mark_applied(txn, 5, 1); /* what was aborted was not applied */
        commit(txn);
        signal(SIGABRT, remove_files_and_exit);
        txn = begin_write();
        mistakes[_i](txn);
        rg_txn_free(txn);
        signal(SIGABRT, SIG_DFL);
        fix_close(&fix);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), _i == 0 ? 0 : 99);
}

/* --- readers --- */

static _Atomic bool readers_stop;
static _Atomic uint64_t reads;

/* In every transaction the row says what the applied index says. */
static void *reader(void *arg)
{
    static char cannot_begin[] = "cannot begin", no_row[] = "no row", torn[] = "a torn read";

    while (!readers_stop) {
        struct rg_applied applied;
        struct rg_txn *txn;
        struct rg_span value;
        uint64_t index;

        if (rg_txn_begin(fix.store, RG_TXN_READ, &txn) != RG_OK)
            return cannot_begin;
        rg_txn_applied(txn, &applied);
        if (rg_row_get(txn, rg_span_str("u1"), &value) != RG_OK || value.n != sizeof index)
            return no_row;
        memcpy(&index, value.p, sizeof index);
        rg_txn_free(txn);
        if (index != applied.index)
            return torn;
        reads++;
    }
    return NULL;
}

CASE(.setup = setup, .teardown = teardown);

TEST(readers_never_see_half_a_transaction)
{
    pthread_t threads[4];

    for (uint64_t i = 1; i <= 3000; i++) {
        struct rg_txn *txn = begin_write();

        ck_assert_int_eq(rg_row_put(txn, rg_span_str("u1"), rg_span(&i, sizeof i)), RG_OK);
        rg_txn_mark_applied(txn, i, 1);
        commit(txn);
        for (size_t t = 0; i == 1 && t < RG_LEN(threads); t++)
            ck_assert_int_eq(pthread_create(&threads[t], NULL, reader, NULL), 0);
    }
    while (reads < 1000)
        sched_yield();
    readers_stop = true;
    for (size_t t = 0; t < RG_LEN(threads); t++) {
        void *failed;

        ck_assert_int_eq(pthread_join(threads[t], &failed), 0);
        ck_assert_msg(failed == NULL, "%s", (const char *)failed);
    }
    fix_check_hash(&fix);
}

TEST(too_many_readers_are_refused_and_slots_come_back)
{
    static struct rg_txn *txns[20000];
    enum rg_err err = RG_OK;
    size_t n = 0;

    while (n < RG_LEN(txns) && (err = rg_txn_begin(fix.store, RG_TXN_READ, &txns[n])) == RG_OK)
        n++;
    ck_assert_int_eq(err, RG_EBUSY);
    ck_assert_uint_ge(n, 64);
    for (size_t round = 0; round < 2; round++) {
        rg_txn_free(txns[n - 1]);
        ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_READ, &txns[n - 1]), RG_OK);
    }
    while (n > 0)
        rg_txn_free(txns[--n]);
}

/* --- files --- */

static unsigned mode_of(const char *dir, const char *name)
{
    char path[600];
    struct stat st;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    return stat(path, &st) == 0 ? st.st_mode & 07777u : 0;
}

TEST(files_are_private_and_gone_afterwards)
{
    struct rg_errctx ctx = {{0}};
    char dir[300], deep[320], kept[340];
    struct rg_store *store;
    struct rg_txn *txn;
    struct rg_span value;
    int fd;

    snprintf(dir, sizeof dir, "%s/a", fix.dir);
    snprintf(deep, sizeof deep, "%s/b", dir);
    umask(0);
    ck_assert_int_eq(rg_store_open(deep, 4 << 20, 8, &store, &ctx), RG_OK);
    ck_assert_uint_eq(mode_of(deep, "."), 0700);
    ck_assert_uint_eq(mode_of(deep, "state-a.mdb"), 0600);
    ck_assert_uint_eq(mode_of(deep, "state-a.mdb-lock"), 0600);
    ck_assert_int_eq(rg_txn_begin(store, RG_TXN_WRITE, &txn), RG_OK);
    put(txn, "u1", "old");
    commit(txn);
    rg_store_free(store);
    ck_assert_uint_eq(mode_of(dir, "b"), 0); /* what it made it removes */

    ck_assert_int_eq(mkdir(deep, 0755), 0);
    snprintf(kept, sizeof kept, "%s/kept", deep);
    fd = open(kept, O_CREAT | O_WRONLY, 0644);
    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert_int_eq(rg_store_open(deep, 4 << 20, 8, &store, &ctx), RG_OK);
    ck_assert_uint_eq(mode_of(deep, "."), 0700);
    ck_assert_int_eq(rg_txn_begin(store, RG_TXN_READ, &txn), RG_OK);
    ck_assert_int_eq(rg_row_get(txn, rg_span_str("u1"), &value), RG_ENOTFOUND);
    rg_txn_free(txn);
    rg_store_free(store);
    ck_assert_uint_eq(mode_of(deep, "kept"), 0644); /* others' files stay */
    ck_assert_uint_eq(mode_of(deep, "state-a.mdb"), 0);
    ck_assert_uint_eq(mode_of(deep, "state-a.mdb-lock"), 0);
    ck_assert_int_eq(unlink(kept), 0);
    ck_assert_int_eq(rmdir(deep), 0);
    ck_assert_int_eq(rmdir(dir), 0);
}

TEST(a_state_that_is_open_is_left_alone)
{
    struct rg_errctx ctx = {{0}};
    struct rg_store *first, *second = NULL;
    struct stat before, after;
    char dir[300], path[330];

    snprintf(dir, sizeof dir, "%s/shared", fix.dir);
    snprintf(path, sizeof path, "%s/state-a.mdb", dir);
    ck_assert_int_eq(rg_store_open(dir, 4 << 20, 8, &first, &ctx), RG_OK);
    ck_assert_int_eq(stat(path, &before), 0);
    ck_assert_int_eq(rg_store_open(dir, 4 << 20, 8, &second, &ctx), RG_ECONFLICT);
    ck_assert_ptr_null(second);
    ck_assert_ptr_nonnull(strstr(ctx.text, "state_dir"));
    rg_statedir_purge(dir);
    ck_assert_int_eq(stat(path, &after), 0);
    ck_assert_uint_eq(before.st_ino, after.st_ino);
    rg_store_free(first);
    ck_assert_int_eq(rg_store_open(dir, 4 << 20, 8, &second, &ctx), RG_OK); /* free again */
    rg_store_free(second);
    ck_assert_uint_eq(mode_of(dir, "."), 0);
}

TEST(what_a_crash_left_is_thrown_away)
{
    static const char *const names[] = {"state-a.mdb", "state-a.mdb-lock", "state-b.mdb", "state-b.mdb-lock", "data.mdb", "lock.mdb"};
    struct rg_errctx ctx = {{0}};
    struct rg_store *store;
    char dir[300], path[330];
    FILE *file;

    snprintf(dir, sizeof dir, "%s/left", fix.dir);
    ck_assert_int_eq(mkdir(dir, 0700), 0);
    for (size_t i = 0; i < RG_LEN(names); i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        file = fopen(path, "w");
        ck_assert_ptr_nonnull(file);
        fputs("not a database at all", file);
        fclose(file);
    }
    ck_assert_msg(rg_store_open(dir, 4 << 20, 8, &store, &ctx) == RG_OK, "%s", ctx.text);
    rg_store_free(store);
    rg_statedir_purge(dir);
    ck_assert_int_ne(rmdir(dir), 0); /* it went with its files */
}

TEST(a_directory_of_somebody_else_is_refused)
{
    struct rg_errctx ctx = {{0}};
    struct rg_store *store;
    char dir[300], link[300];

    snprintf(dir, sizeof dir, "%s/theirs", fix.dir);
    snprintf(link, sizeof link, "%s/link", fix.dir);
    ck_assert_int_eq(mkdir(dir, 0700), 0);
    ck_assert_int_eq(symlink(dir, link), 0);
    ck_assert_int_eq(rg_store_open(link, 4 << 20, 8, &store, &ctx), RG_EIO);
    if (chown(dir, 12345, 12345) == 0) {
        ck_assert_int_eq(rg_store_open(dir, 4 << 20, 8, &store, &ctx), RG_EIO);
        ck_assert_ptr_nonnull(strstr(ctx.text, "belongs to"));
    } else {
        printf("SKIPPED: a foreign directory: only root can make one\n");
    }
    ck_assert_int_eq(rg_store_open("", 4 << 20, 8, &store, &ctx), RG_EINVALID);
    ck_assert_int_eq(rg_store_open("/proc/nowhere/state", 4 << 20, 8, &store, NULL), RG_EIO);
    ck_assert_int_eq(unlink(link), 0);
    ck_assert_int_eq(rmdir(dir), 0);
}
