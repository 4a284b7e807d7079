/* raft/core: what it asks for, what it refuses, and what libraft would do without that. */
#include <stdio.h>

#include "raft/core/core.h"
#include "tests/lib/check_main.h"

#define T(n) ((UINT64_C(1) << 32) | (n))

static struct rg_core *core;
static struct rg_core_update u;
static struct rg_buf config;
static uint64_t now;

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

static void begin(uint64_t id, unsigned voters, unsigned learners, bool log)
{
    struct rg_core_config c = {.id = id, .address = "a", .heartbeat_ms = 100, .election_ms = 1000, .window = 100,
                               .install_ms = 400, .seed = 1};
    struct rg_members m = members_of(voters, learners);
    struct rg_core_base base = {0};
    struct rg_entry first = {.term = T(1), .type = RG_ENTRY_CHANGE};

    now = 1000;
    rg_buf_init(&config, 65536);
    ck_assert_int_eq(rg_members_encode(&m, &config), RG_OK);
    first.data = rg_buf_span(&config);
    ck_assert_int_eq(rg_core_new(&c, &core), RG_OK);
    ck_assert_int_eq(rg_core_start(core, now, log ? T(2) : 0, 0, &base, 1, &first, log ? 1 : 0, &u), RG_OK);
}

static void finish(void)
{
    rg_core_free(core);
    core = NULL;
    rg_buf_deinit(&config);
}

static const struct rg_entry command = {.term = T(2), .type = RG_ENTRY_COMMAND, .data = {(const uint8_t *)"x", 1}};

TEST(an_only_voter_leads_from_the_start)
{
    begin(1, 1, 2, true);
    ck_assert_int_eq(rg_core_state(core), RG_CORE_LEADER);
    ck_assert_uint_eq(rg_core_commit(core), 1);
    ck_assert_uint_eq(rg_core_term(core), T(2));
    ck_assert(rg_core_is_voter(core, 1) && !rg_core_is_voter(core, 2) && rg_core_is_member(core, 3));
    finish();
}

TEST(a_submission_comes_back_for_the_log_and_commits_when_durable)
{
    struct rg_entry two[2] = {command, command};

    begin(1, 1, 2, true);
    ck_assert_int_eq(rg_core_submit(core, now, two, 2, &u), RG_OK);
    ck_assert_uint_eq(u.first_index, 2);
    ck_assert_uint_eq(u.n_entries, 2);
    ck_assert_ptr_eq(u.entries, two); /* no copy in between */
    ck_assert(!u.commit);
    ck_assert_int_eq(rg_core_persisted(core, now, 3, &u), RG_OK);
    ck_assert(u.commit);
    ck_assert_uint_eq(rg_core_commit(core), 3);
    finish();
}

static enum rg_err receive_append(uint64_t from, uint64_t term, uint64_t prev, uint64_t prev_term, uint64_t commit,
                                  const struct rg_entry *entries, size_t n)
{
    struct rg_msg m = {.type = RG_MSG_APPEND};

    m.append = (struct rg_msg_append){.term = term, .prev_index = prev, .prev_term = prev_term, .commit = commit,
                                      .entries = entries, .n = n};
    return rg_core_receive(core, now, from, &m, &u);
}

TEST(an_empty_learner_takes_the_log_from_the_first_entry)
{
    struct rg_entry first = {.term = T(1), .type = RG_ENTRY_CHANGE};

    begin(2, 1, 2, false);
    first.data = rg_buf_span(&config);
    ck_assert_int_eq(receive_append(1, T(2), 0, 0, 1, &first, 1), RG_OK);
    ck_assert(u.save); /* the term is new */
    ck_assert_uint_eq(u.first_index, 1);
    ck_assert_uint_eq(u.n_entries, 1);
    ck_assert_ptr_eq(u.entries, &first);
    ck_assert_int_eq(rg_core_persisted(core, now, 1, &u), RG_OK);
    ck_assert_uint_eq(u.n_messages, 1);
    ck_assert_uint_eq(u.messages[0].msg.append_result.last_index, 1);
    ck_assert_uint_eq(rg_core_leader(core), 1);
    ck_assert(rg_core_is_member(core, 3));
    finish();
}

TEST(entries_that_are_there_are_not_taken_again)
{
    struct rg_entry more[2] = {{.term = T(1), .type = RG_ENTRY_CHANGE}, command};

    begin(2, 1, 2, true);
    more[0].data = rg_buf_span(&config);
    ck_assert_int_eq(receive_append(1, T(2), 0, 0, 1, more, 2), RG_OK);
    ck_assert_uint_eq(u.first_index, 2);
    ck_assert_uint_eq(u.n_entries, 1);
    ck_assert_ptr_eq(u.entries, &more[1]);
    ck_assert_int_eq(receive_append(1, T(2), 0, 0, 1, more, 2), RG_OK);
    ck_assert_uint_eq(u.n_entries, 0);
    finish();
}

TEST(protocol_breaks_are_the_peers_fault)
{
    struct rg_msg vote = {.type = RG_MSG_VOTE};
    struct rg_entry bad = {.term = T(2), .type = RG_ENTRY_CHANGE, .data = {(const uint8_t *)"\x01\xff\xff\xff\xff", 5}};

    begin(1, 1, 2, true);
    ck_assert_int_eq(receive_append(2, T(2), 1, T(1), 1, NULL, 0), RG_EPEER); /* leads in our own term */
    ck_assert_int_eq(receive_append(9, T(3), 1, T(1), 1, NULL, 0), RG_EPEER); /* no member */
    vote.vote = (struct rg_msg_vote){.term = T(9), .candidate = 2, .last_index = 9, .last_term = T(8), .disrupt = true};
    ck_assert_int_eq(rg_core_receive(core, now, 2, &vote, &u), RG_OK); /* nobody is elected beside an only voter: no answer */
    ck_assert(u.n_messages == 0 && !u.save);
    ck_assert_int_eq(rg_core_state(core), RG_CORE_LEADER);
    vote.vote.candidate = 3;
    ck_assert_int_eq(rg_core_receive(core, now, 2, &vote, &u), RG_EPEER); /* in another's name */
    finish();
    begin(2, 1, 2, true);
    ck_assert_int_eq(receive_append(1, T(2), 1, T(1), 1, &bad, 1), RG_EPEER); /* a configuration nobody can read */
    finish();
}

/* libraft answers both with a last index that it never set. */
TEST(a_leader_of_a_past_term_gets_a_whole_answer)
{
    struct rg_msg install = {.type = RG_MSG_INSTALL};

    begin(2, 1, 2, true);
    ck_assert_int_eq(receive_append(1, T(5), 1, T(1), 1, NULL, 0), RG_OK);
    ck_assert_int_eq(receive_append(1, T(4), 1, T(1), 1, NULL, 0), RG_OK);
    ck_assert_uint_eq(u.n_messages, 1);
    ck_assert_uint_eq(u.messages[0].msg.append_result.term, T(5));
    ck_assert_uint_eq(u.messages[0].msg.append_result.rejected, 1);
    ck_assert_uint_eq(u.messages[0].msg.append_result.last_index, 0);
    ck_assert_int_eq(receive_append(1, T(4), 0, 0, 1, NULL, 0), RG_OK);
    ck_assert_uint_gt(u.messages[0].msg.append_result.rejected, 0);
    install.install = (struct rg_msg_install){.term = T(4), .index = 50, .index_term = T(3)};
    ck_assert_int_eq(rg_core_receive(core, now, 1, &install, &u), RG_OK);
    ck_assert_uint_eq(u.n_messages, 0);
    ck_assert(!u.snapshot);
    finish();
}

TEST(a_later_term_deposes)
{
    struct rg_msg result = {.type = RG_MSG_APPEND_RESULT, .append_result = {.term = T(7)}};
    struct rg_entry late = command;

    begin(1, 1, 2, true);
    ck_assert_int_eq(rg_core_receive(core, now, 2, &result, &u), RG_OK);
    ck_assert(u.state && u.save);
    ck_assert_int_eq(rg_core_state(core), RG_CORE_FOLLOWER);
    late.term = rg_core_term(core);
    ck_assert_int_eq(rg_core_submit(core, now, &late, 1, &u), RG_ENOTPRIMARY);
    finish();
}

TEST(what_is_committed_cannot_be_contradicted)
{
    struct rg_entry other = {.term = T(3), .type = RG_ENTRY_COMMAND, .data = {(const uint8_t *)"y", 1}};

    begin(2, 1, 2, true);
    ck_assert_int_eq(receive_append(1, T(2), 1, T(1), 2, &command, 1), RG_OK);
    ck_assert_int_eq(rg_core_persisted(core, now, 2, &u), RG_OK);
    ck_assert_uint_eq(rg_core_commit(core), 2);
    ck_assert_int_eq(receive_append(1, T(3), 1, T(1), 2, &other, 1), RG_ECORRUPT);
    finish();
}

/* Two CHANGEs come to a follower before it hears that the first is committed, and a later leader cuts the second off. */
TEST(a_change_that_is_cut_off_leaves_the_one_before)
{
    RG_AUTO_BUF struct rg_buf three = {.max = 65536}, four = {.max = 65536};
    struct rg_members m = members_of(2, 1), now_in;
    struct rg_entry changes[2] = {{.term = T(2), .type = RG_ENTRY_CHANGE}, {.term = T(2), .type = RG_ENTRY_CHANGE}};
    struct rg_entry other = {.term = T(3), .type = RG_ENTRY_COMMAND, .data = {(const uint8_t *)"y", 1}};

    ck_assert_int_eq(rg_members_encode(&m, &three), RG_OK);
    m = members_of(3, 0);
    ck_assert_int_eq(rg_members_encode(&m, &four), RG_OK);
    changes[0].data = rg_buf_span(&three);
    changes[1].data = rg_buf_span(&four);
    begin(2, 1, 2, true);
    ck_assert_int_eq(receive_append(1, T(2), 1, T(1), 1, &changes[0], 1), RG_OK);
    ck_assert_int_eq(receive_append(1, T(2), 2, T(2), 1, &changes[1], 1), RG_OK);
    ck_assert_uint_eq(rg_core_voters(core), 3);
    ck_assert_uint_eq(rg_core_change_index(core), 3);
    ck_assert_int_eq(rg_core_persisted(core, now, 3, &u), RG_OK);
    ck_assert_int_eq(receive_append(1, T(3), 2, T(2), 2, &other, 1), RG_OK); /* the second goes, and the first is committed */
    rg_core_members(core, &now_in);
    ck_assert_uint_eq(rg_members_voters(&now_in), 2);
    ck_assert(!rg_core_change_pending(core));
    ck_assert_int_eq(rg_core_configured(core, now, 2, rg_buf_span(&three), &u), RG_OK);
    ck_assert_uint_eq(rg_core_voters(core), 2);
    finish();
}

TEST(a_snapshot_replaces_the_log)
{
    struct rg_msg install = {.type = RG_MSG_INSTALL, .install = {.term = T(2), .index = 50, .index_term = T(2)}};
    struct rg_core_base base = {.index = 50, .term = T(2), .config_index = 1};

    begin(2, 1, 2, true);
    base.config = rg_buf_span(&config);
    ck_assert_int_eq(rg_core_receive(core, now, 1, &install, &u), RG_OK);
    ck_assert(u.snapshot);
    ck_assert_uint_eq(u.snapshot_index, 50);
    ck_assert_int_eq(rg_core_installed(core, now, &base, &u), RG_OK);
    ck_assert_uint_eq(rg_core_commit(core), 50);
    ck_assert_uint_eq(u.n_messages, 1);
    ck_assert_uint_eq(u.messages[0].msg.append_result.last_index, 50);
    finish();
}

TEST(three_voters_elect_by_pre_vote)
{
    struct rg_msg yes = {.type = RG_MSG_VOTE_RESULT, .vote_result = {.term = T(3), .granted = true, .pre_vote = true}};

    begin(1, 3, 1, true);
    ck_assert_int_eq(rg_core_state(core), RG_CORE_FOLLOWER);
    now = rg_core_deadline(core);
    ck_assert_int_eq(rg_core_timeout(core, now, &u), RG_OK);
    ck_assert_int_eq(rg_core_state(core), RG_CORE_CANDIDATE);
    ck_assert_uint_eq(u.n_messages, 2);
    ck_assert(u.messages[0].msg.vote.pre_vote);
    ck_assert_int_eq(rg_core_receive(core, now, 2, &yes, &u), RG_OK);
    ck_assert(u.save); /* now it is meant: a new term, and a vote for itself */
    ck_assert_uint_eq(rg_core_vote(core), 1);
    yes.vote_result.pre_vote = false;
    yes.vote_result.term = rg_core_term(core);
    ck_assert_int_eq(rg_core_receive(core, now, 2, &yes, &u), RG_OK);
    ck_assert_int_eq(rg_core_state(core), RG_CORE_LEADER);
    ck_assert_int_eq(rg_core_receive(core, now, 4, &yes, &u), RG_OK); /* a learner has no vote */
    ck_assert(u.n_messages == 0 && !u.save && !u.state);
    finish();
}
