/* raft/core/core.c: the one file that calls libraft: events in, an update out. */
#include "raft/core/core.h"

#include <raft.h>
#include <stdio.h>


/* NEW → STARTED → BROKEN (a step failed: what libraft holds is not known any more) */
enum core_life { CORE_NEW, CORE_STARTED, CORE_BROKEN };

static const uint32_t life_may[] = {[CORE_NEW] = RG_BIT(CORE_STARTED), [CORE_STARTED] = RG_BIT(CORE_BROKEN), [CORE_BROKEN] = 0};
static const char *const life_names[] = {"NEW", "STARTED", "BROKEN"};
const struct rg_sm_table rg_core_lives = RG_SM_TABLE("core", life_may, life_names);

struct rg_core {
    struct raft raft;
    uint64_t id, guest;
    struct rg_sm life;
    char text[RAFT_ERRMSG_BUF_SIZE + 64];
    /* what libraft and our caller see of the entries of a step */
    struct raft_entry *raft_entries; /* own */
    size_t raft_entries_cap;
    struct rg_entry barrier;
    uint8_t barrier_data[8];
    struct rg_core_message *messages; /* own */
    size_t messages_cap;
};

static char batch_of_submit; /* libraft wants a batch that is not NULL, and leaves that of a submission alone */

/* ---- configurations ---- */

_Static_assert((int)RG_ROLE_LEARNER == (int)RAFT_STANDBY, "roles as libraft numbers them");
_Static_assert((int)RG_ROLE_VOTER == (int)RAFT_VOTER, "roles as libraft numbers them");
_Static_assert((int)RG_ENTRY_COMMAND == (int)RAFT_COMMAND, "entries as libraft numbers them");
_Static_assert((int)RG_ENTRY_BARRIER == (int)RAFT_BARRIER, "entries as libraft numbers them");
_Static_assert((int)RG_ENTRY_CHANGE == (int)RAFT_CHANGE, "entries as libraft numbers them");
_Static_assert((int)RG_MSG_APPEND == (int)RAFT_APPEND_ENTRIES, "messages as libraft numbers them");
_Static_assert((int)RG_MSG_APPEND_RESULT == (int)RAFT_APPEND_ENTRIES_RESULT, "messages as libraft numbers them");
_Static_assert((int)RG_MSG_VOTE == (int)RAFT_REQUEST_VOTE, "messages as libraft numbers them");
_Static_assert((int)RG_MSG_VOTE_RESULT == (int)RAFT_REQUEST_VOTE_RESULT, "messages as libraft numbers them");
_Static_assert((int)RG_MSG_INSTALL == (int)RAFT_INSTALL_SNAPSHOT, "messages as libraft numbers them");
_Static_assert((int)RG_MSG_TIMEOUT_NOW == (int)RAFT_TIMEOUT_NOW, "messages as libraft numbers them");
_Static_assert(sizeof(raft_index) == sizeof(uint64_t), "indexes and terms have 64 bits");

/* Checked, then as libraft wants it. */
static enum rg_err conf_decode(struct rg_span bytes, struct raft_configuration *conf)
{
    struct rg_members members;
    struct raft_buffer buf = {.base = (void *)(uintptr_t)bytes.p, .len = bytes.n};
    enum rg_err err = rg_members_decode(bytes, &members);
    int rv;

    if (err)
        return err;
    raft_configuration_init(conf);
    rv = raft_configuration_decode(&buf, conf);
    RG_ASSERT(rv != 0 || conf->n == members.n);
    return rv == 0 ? RG_OK : rv == RAFT_NOMEM ? RG_ENOMEM : RG_EMALFORMED;
}

/* ---- lifetime ---- */

enum rg_err rg_core_new(const struct rg_core_config *config, struct rg_core **ret_core)
{
    struct rg_core *core = calloc(1, sizeof *core);

    RG_ASSERT(config->id != 0);
    RG_ASSERT(config->address != NULL);
    RG_ASSERT(config->window > 0);
    RG_ASSERT(config->heartbeat_ms > 0);
    RG_ASSERT(config->heartbeat_ms <= config->election_ms);
    RG_ASSERT(config->install_ms > 0);
    if (core == NULL)
        return RG_ENOMEM;
    if (raft_init(&core->raft, NULL, NULL, config->id, config->address) != 0) {
        free(core);
        return RG_ENOMEM;
    }
    core->id = config->id;
    rg_sm_init(&core->life, &rg_core_lives, CORE_NEW);
    core->raft.tracer = NULL; /* the default one formats every trace even when off */
    raft_seed(&core->raft, config->seed);
    raft_set_election_timeout(&core->raft, config->election_ms);
    raft_set_heartbeat_timeout(&core->raft, config->heartbeat_ms);
    raft_set_install_snapshot_timeout(&core->raft, config->install_ms);
    raft_set_max_inflight_entries(&core->raft, config->window);
    raft_set_pre_vote(&core->raft, true);
    *ret_core = core;
    return RG_OK;
}

void rg_core_free(struct rg_core *core)
{
    if (core == NULL)
        return;
    raft_close(&core->raft, NULL);
    free(core->raft_entries);
    free(core->messages);
    free(core);
}

/* ---- one step ---- */

static enum rg_err err_of(int rv)
{
    switch (rv) {
    case 0:
        return RG_OK;
    case RAFT_NOMEM:
        return RG_ENOMEM;
    case RAFT_SHUTDOWN:
        return RG_ECORRUPT;
    case RAFT_NOTLEADER:
        return RG_ENOTPRIMARY;
    default:
        return RG_EINTERNAL;
    }
}

static enum rg_err entries_room(struct rg_core *core, size_t n)
{
    struct raft_entry *more;
    size_t cap = core->raft_entries_cap;

    RG_ASSERT(n > 0);
    RG_ASSERT(n <= UINT32_MAX); /* what libraft counts with */
    RG_ASSERT((cap == 0) == (core->raft_entries == NULL));
    if (n <= cap)
        return RG_OK;
    while (cap < n)
        cap = cap == 0 ? 1024 : cap * 2;
    more = realloc(core->raft_entries, cap * sizeof *more);
    if (more == NULL)
        return RG_ENOMEM;
    core->raft_entries = more;
    core->raft_entries_cap = cap;
    return RG_OK;
}

/* libraft keeps no entry and writes into none: the payload stays ours. */
static void entries_fill(struct raft_entry *out, const struct rg_entry *entries, size_t n, void *batch)
{
    for (size_t i = 0; i < n; i++) {
        out[i].term = entries[i].term;
        out[i].type = (enum raft_entry_type)entries[i].type;
        out[i].buf.base = (void *)(uintptr_t)entries[i].data.p;
        out[i].buf.len = entries[i].data.n;
        out[i].batch = batch;
    }
}

static bool message_out(const struct raft_message *in, struct rg_core_message *out)
{
    memset(out, 0, sizeof *out);
    out->to = in->server_id;
    out->msg.type = (enum rg_msg_type)in->type;
    switch (in->type) {
    case RAFT_APPEND_ENTRIES:
        out->msg.append = (struct rg_msg_append){
            .term = in->append_entries.term,
            .prev_index = in->append_entries.prev_log_index,
            .prev_term = in->append_entries.prev_log_term,
            .commit = in->append_entries.leader_commit,
            .n = in->append_entries.n_entries,
        };
        return true;
    case RAFT_APPEND_ENTRIES_RESULT:
        out->msg.append_result = (struct rg_msg_append_result){
            .term = in->append_entries_result.term,
            .rejected = in->append_entries_result.rejected,
            .last_index = in->append_entries_result.last_log_index,
            .features = in->append_entries_result.features,
            .capacity = in->append_entries_result.capacity,
        };
        return true;
    case RAFT_REQUEST_VOTE:
        out->msg.vote = (struct rg_msg_vote){
            .term = in->request_vote.term,
            .candidate = in->request_vote.candidate_id,
            .last_index = in->request_vote.last_log_index,
            .last_term = in->request_vote.last_log_term,
            .disrupt = in->request_vote.disrupt_leader,
            .pre_vote = in->request_vote.pre_vote,
        };
        return true;
    case RAFT_REQUEST_VOTE_RESULT:
        out->msg.vote_result = (struct rg_msg_vote_result){
            .term = in->request_vote_result.term,
            .granted = in->request_vote_result.vote_granted,
            .pre_vote = in->request_vote_result.pre_vote,
            .features = in->request_vote_result.features,
            .capacity = in->request_vote_result.capacity,
        };
        return true;
    case RAFT_INSTALL_SNAPSHOT: /* the fields behind these are not filled in by libraft */
        out->msg.install = (struct rg_msg_install){
            .term = in->install_snapshot.term,
            .index = in->install_snapshot.last_index,
            .index_term = in->install_snapshot.last_term,
        };
        return true;
    case RAFT_TIMEOUT_NOW:
        out->msg.timeout_now = (struct rg_msg_timeout_now){
            .term = in->timeout_now.term,
            .last_index = in->timeout_now.last_log_index,
            .last_term = in->timeout_now.last_log_term,
        };
        return true;
    }
    return false;
}

static enum rg_err messages_out(struct rg_core *core, const struct raft_update *u, struct rg_core_update *ret_update)
{
    if (u->messages.n > core->messages_cap) {
        size_t cap = u->messages.n + 16;
        struct rg_core_message *more = realloc(core->messages, cap * sizeof *more);

        if (more == NULL)
            return RG_ENOMEM;
        core->messages = more;
        core->messages_cap = cap;
    }
    for (unsigned i = 0; i < u->messages.n; i++)
        if (message_out(&u->messages.batch[i], &core->messages[ret_update->n_messages]))
            ret_update->n_messages++;
    RG_ASSERT(ret_update->n_messages <= core->messages_cap);
    for (size_t i = 0; i < ret_update->n_messages; i++) {
        RG_ASSERT(core->messages[i].to != 0);
        RG_ASSERT(core->messages[i].to != core->id);
    }
    ret_update->messages = core->messages;
    return RG_OK;
}

/* The entries of the update are a tail of the ones that were passed in, or the barrier of a new leader (which hands over its
 * eight bytes). given: what the array core->raft_entries stands for. */
static void entries_out(struct rg_core *core, const struct raft_event *event, struct raft_update *u,
                        const struct rg_entry *given, size_t n_given, struct rg_core_update *ret_update)
{
    struct raft_entry *batch = u->entries.batch;

    RG_ASSERT(batch != NULL);
    RG_ASSERT(u->entries.n > 0);
    RG_ASSERT(u->entries.index >= 1);
    RG_ASSERT(u->entries.index + u->entries.n - 1 == raft_last_index(&core->raft));
    ret_update->first_index = u->entries.index;
    ret_update->n_entries = u->entries.n;
    if (given != NULL && batch >= core->raft_entries && batch < core->raft_entries + n_given) {
        RG_ASSERT(event->type == RAFT_RECEIVE || event->type == RAFT_SUBMIT);
        RG_ASSERT(event->type == RAFT_RECEIVE || batch == core->raft_entries); /* what is proposed goes into the log whole */
        ret_update->entries = given + (batch - core->raft_entries);
        RG_ASSERT((size_t)(batch - core->raft_entries) + u->entries.n <= n_given);
        if (event->type == RAFT_RECEIVE)
            raft_free(batch[0].batch); /* our token; in all other outcomes libraft has freed it */
        return;
    }
    RG_ASSERT(u->entries.n == 1);
    RG_ASSERT(batch[0].type == RAFT_BARRIER);
    RG_ASSERT(batch[0].term == raft_current_term(&core->raft));
    RG_ASSERT(core->raft.state == RAFT_LEADER);
    RG_ASSERT(batch[0].buf.len == sizeof core->barrier_data);
    memcpy(core->barrier_data, batch[0].buf.base, sizeof core->barrier_data);
    core->barrier = (struct rg_entry){
        .term = batch[0].term,
        .type = RG_ENTRY_BARRIER,
        .data = rg_span(core->barrier_data, sizeof core->barrier_data),
    };
    ret_update->entries = &core->barrier;
    raft_free(batch[0].buf.base);
    if (batch != &core->raft.barrier)
        raft_free(batch);
}

/* What libraft holds after a step that went well. */
static void core_check(struct rg_core *core)
{
    RG_ASSERT(raft_voted_for(&core->raft) == 0 || raft_current_term(&core->raft) != 0);
    RG_ASSERT(core->raft.state != RAFT_UNAVAILABLE);
    RG_ASSERT(core->raft.state != RAFT_LEADER || raft_current_term(&core->raft) != 0);
    RG_ASSERT(core->raft.configuration.n <= RG_PEERS_MAX);
    RG_ASSERT(core->guest != core->id);
    RG_ASSERT(core->raft.id == core->id);
    RG_ASSERT(raft_last_index(&core->raft) == 0 || raft_current_term(&core->raft) != 0);
}

/* What a step changed of term and vote is in its update: the caller makes that durable before anything leaves. At a start they are
 * what is durable. */
static void saved_check(struct rg_core *core, const struct raft_event *event, const struct raft_update *u, uint64_t term, uint64_t vote)
{
    bool saved = (u->flags & ((RAFT_UPDATE_CURRENT_TERM) | (RAFT_UPDATE_VOTED_FOR))) != 0;

    if (event->type == RAFT_START) {
        term = event->start.term;
        vote = event->start.voted_for;
    }
    RG_ASSERT(raft_current_term(&core->raft) >= term);
    RG_ASSERT(raft_current_term(&core->raft) == term || saved);
    RG_ASSERT(raft_voted_for(&core->raft) == vote || saved);
    RG_ASSERT(raft_voted_for(&core->raft) == vote || vote == 0 || raft_current_term(&core->raft) > term); /* one vote a term */
}

static enum rg_err step(struct rg_core *core, uint64_t now_ms, struct raft_event *event, const struct rg_entry *given,
                        size_t n_given, struct rg_core_update *ret_update)
{
    uint64_t term = raft_current_term(&core->raft), vote = raft_voted_for(&core->raft);
    struct raft_update u;
    enum rg_err err;
    int rv;

    RG_ASSERT(core->life.state == CORE_STARTED);
    RG_ASSERT((n_given == 0) == (given == NULL));
    RG_ASSERT(n_given <= core->raft_entries_cap);
    memset(ret_update, 0, sizeof *ret_update);
    memset(&u, 0, sizeof u);
    event->time = now_ms;
    event->capacity = UINT16_MAX;
    rv = raft_step(&core->raft, event, &u);
    err = err_of(rv);
    if (err) {
        snprintf(core->text, sizeof core->text, "raft_step of event %d: %s", (int)event->type, raft_strerror(rv));
        if (event->type != RAFT_SUBMIT || err != RG_ENOTPRIMARY)
            rg_sm_move(&core->life, CORE_BROKEN);
        return err;
    }
    saved_check(core, event, &u, term, vote); /* the commit index may fall, with a snapshot: step.c takes what rises */
    core_check(core);
    ret_update->save = (u.flags & ((RAFT_UPDATE_CURRENT_TERM) | (RAFT_UPDATE_VOTED_FOR))) != 0;
    ret_update->state = (u.flags & (RAFT_UPDATE_STATE)) != 0;
    ret_update->commit = (u.flags & (RAFT_UPDATE_COMMIT_INDEX)) != 0;
    if (u.flags & (RAFT_UPDATE_ENTRIES))
        entries_out(core, event, &u, given, n_given, ret_update);
    if (u.flags & (RAFT_UPDATE_SNAPSHOT)) {
        ret_update->snapshot = true;
        ret_update->snapshot_index = u.snapshot.metadata.index;
        ret_update->snapshot_term = u.snapshot.metadata.term;
        RG_ASSERT(event->type == RAFT_RECEIVE);
        RG_ASSERT(ret_update->snapshot_index > 0);
        RG_ASSERT(ret_update->snapshot_term > 0);
        RG_ASSERT(ret_update->snapshot_term <= raft_current_term(&core->raft));
        RG_ASSERT(ret_update->n_entries == 0);
        raft_configuration_close(&u.snapshot.metadata.configuration);
        raft_free(u.snapshot.chunk.base);
    }
    return u.flags & (RAFT_UPDATE_MESSAGES) ? messages_out(core, &u, ret_update) : RG_OK;
}

static enum rg_err base_metadata(const struct rg_core_base *base, struct raft_snapshot_metadata *metadata)
{
    RG_ASSERT(base->index > 0);
    RG_ASSERT(base->term > 0);
    RG_ASSERT(base->config_index <= base->index);
    metadata->index = base->index;
    metadata->term = base->term;
    metadata->configuration_index = base->config_index;
    return conf_decode(base->config, &metadata->configuration);
}

/* Checked here since libraft's decoder trusts its input. */
static enum rg_err changes_check(const struct rg_entry *entries, size_t n)
{
    struct rg_members members;

    for (size_t i = 0; i < n; i++)
        if (entries[i].type == RG_ENTRY_CHANGE && rg_members_decode(entries[i].data, &members) != RG_OK)
            return RG_EMALFORMED;
    return RG_OK;
}

enum rg_err rg_core_start(struct rg_core *core, uint64_t now_ms, uint64_t term, uint64_t vote,
                          const struct rg_core_base *base, uint64_t first_index, const struct rg_entry *entries, size_t n,
                          struct rg_core_update *ret_update)
{
    struct raft_event event = {.type = RAFT_START};
    struct raft_snapshot_metadata metadata;
    struct raft_entry *given = NULL;
    void *token = NULL;
    enum rg_err err;

    RG_ASSERT(first_index >= 1);
    RG_ASSERT(n == 0 || entries != NULL);
    RG_ASSERT((base->index == 0) == (base->term == 0));
    RG_ASSERT(first_index <= base->index + 1); /* no gap behind the snapshot, */
    RG_ASSERT(n == 0 || first_index + n > base->index); /* which the log reaches */
    rg_sm_move(&core->life, CORE_STARTED);
    if (term == 0 && (n > 0 || base->index > 0 || vote != 0))
        return RG_ECORRUPT;
    if (base->index == 0 && n > 0 && (first_index != 1 || entries[0].type != RG_ENTRY_CHANGE))
        return RG_ECORRUPT;
    if (changes_check(entries, n) != RG_OK || n > UINT32_MAX)
        return RG_ECORRUPT;
    if (base->index > 0) {
        err = base_metadata(base, &metadata);
        if (err)
            return err == RG_EMALFORMED ? RG_ECORRUPT : err;
        event.start.metadata = &metadata;
    }
    if (n > 0) { /* on an error libraft frees both */
        given = raft_malloc(n * sizeof *given);
        token = raft_malloc(1);
        if (given == NULL || token == NULL) {
            raft_free(given);
            raft_free(token);
            return RG_ENOMEM;
        }
        entries_fill(given, entries, n, token);
    }
    event.start.term = term;
    event.start.voted_for = vote;
    event.start.start_index = first_index;
    event.start.entries = given;
    event.start.n_entries = (unsigned)n;
    err = step(core, now_ms, &event, NULL, 0, ret_update);
    if (!err) {
        raft_free(given);
        raft_free(token);
    }
    return err;
}

/* ---- receiving ---- */

static enum rg_err refuse(struct rg_core *core, uint64_t from, const char *why)
{
    RG_ASSERT(from != core->id);
    snprintf(core->text, sizeof core->text, "peer %llu: %s", (unsigned long long)from, why);
    return RG_EPEER;
}

/* Nobody can be elected beside an only voter, and a learner has no vote. */
static bool no_election(const struct rg_core *core, uint64_t from)
{
    return core->raft.configuration.n > 0 && (rg_core_voters(core) == 1 || !rg_core_is_voter(core, from));
}

static enum rg_err receive_check(struct rg_core *core, uint64_t from, const struct rg_msg *m)
{
    const struct rg_msg_append *a = &m->append;
    bool leads = rg_core_state(core) == RG_CORE_LEADER;

    /* Not while the configuration is one from before this node: its log is only now being received. */
    if (core->raft.configuration.n > 0 && from != core->guest && rg_core_is_member(core, core->id) &&
        !rg_core_is_member(core, from))
        return refuse(core, from, "not a member of the configuration");
    switch (m->type) {
    case RG_MSG_APPEND:
        if (leads && a->term == rg_core_term(core))
            return refuse(core, from, "claims to lead in the term in which this node leads");
        for (size_t i = 1; i < a->n; i++)
            RG_ASSERT(a->entries[i].type != RG_ENTRY_CHANGE);
        return changes_check(a->entries, a->n) == RG_OK ? RG_OK : refuse(core, from, "malformed configuration entry");
    case RG_MSG_INSTALL:
        if (leads && m->install.term == rg_core_term(core))
            return refuse(core, from, "claims to lead in the term in which this node leads");
        return RG_OK;
    case RG_MSG_VOTE:
        return m->vote.candidate == from ? RG_OK : refuse(core, from, "asks for a vote in another's name");
    case RG_MSG_TIMEOUT_NOW:
        return no_election(core, from) ? refuse(core, from, "has no part in an election") : RG_OK;
    default:
        return RG_OK;
    }
}

static enum rg_err receive_append(struct rg_core *core, const struct rg_msg_append *m, struct raft_message *out)
{
    void *token = NULL;

    RG_ASSERT(m->n <= RG_MSG_ENTRIES_MAX);
    RG_ASSERT(m->term != 0);
    out->append_entries.term = m->term;
    out->append_entries.prev_log_index = m->prev_index;
    out->append_entries.prev_log_term = m->prev_term;
    out->append_entries.leader_commit = m->commit;
    out->append_entries.n_entries = (unsigned)m->n;
    RG_ASSERT(m->prev_term <= m->term);
    RG_ASSERT((m->prev_index == 0) == (m->prev_term == 0));
    if (m->n == 0)
        return RG_OK;
    RG_ASSERT(m->entries[m->n - 1].term <= m->term);
    RG_ASSERT(m->entries[0].term >= m->prev_term);
    if (entries_room(core, m->n) != RG_OK)
        return RG_ENOMEM;
    token = raft_malloc(1);
    if (token == NULL)
        return RG_ENOMEM;
    entries_fill(core->raft_entries, m->entries, m->n, token);
    out->append_entries.entries = core->raft_entries;
    return RG_OK;
}

static enum rg_err receive_fill(struct rg_core *core, const struct rg_msg *m, struct raft_message *out)
{
    switch (m->type) {
    case RG_MSG_APPEND:
        return receive_append(core, &m->append, out);
    case RG_MSG_APPEND_RESULT:
        out->append_entries_result.term = m->append_result.term;
        out->append_entries_result.rejected = m->append_result.rejected;
        out->append_entries_result.last_log_index = m->append_result.last_index;
        out->append_entries_result.features = m->append_result.features;
        out->append_entries_result.capacity = m->append_result.capacity;
        return RG_OK;
    case RG_MSG_VOTE:
        out->request_vote.version = 2;
        out->request_vote.term = m->vote.term;
        out->request_vote.candidate_id = m->vote.candidate;
        out->request_vote.last_log_index = m->vote.last_index;
        out->request_vote.last_log_term = m->vote.last_term;
        out->request_vote.disrupt_leader = m->vote.disrupt;
        out->request_vote.pre_vote = m->vote.pre_vote;
        return RG_OK;
    case RG_MSG_VOTE_RESULT:
        out->request_vote_result.version = 2;
        out->request_vote_result.term = m->vote_result.term;
        out->request_vote_result.vote_granted = m->vote_result.granted;
        out->request_vote_result.pre_vote = m->vote_result.pre_vote;
        out->request_vote_result.features = m->vote_result.features;
        out->request_vote_result.capacity = m->vote_result.capacity;
        return RG_OK;
    case RG_MSG_TIMEOUT_NOW:
        out->timeout_now.term = m->timeout_now.term;
        out->timeout_now.last_log_index = m->timeout_now.last_index;
        out->timeout_now.last_log_term = m->timeout_now.last_term;
        return RG_OK;
    case RG_MSG_INSTALL:
        RG_ASSERT(m->install.index > 0);
        RG_ASSERT(m->install.index_term > 0);
        RG_ASSERT(m->install.index_term <= m->install.term);
        out->install_snapshot.term = m->install.term;
        out->install_snapshot.last_index = m->install.index;
        out->install_snapshot.last_term = m->install.index_term;
        raft_configuration_init(&out->install_snapshot.conf); /* the real one comes, proved, with the snapshot's header */
        out->install_snapshot.data.len = 1;
        out->install_snapshot.data.base = raft_malloc(1);
        return out->install_snapshot.data.base != NULL ? RG_OK : RG_ENOMEM;
    default:
        return RG_EINTERNAL;
    }
}

/* A message of a leader that was. libraft's answer to it has a last index it never set: a leader that is back in a later term
 * meanwhile could take it for an acknowledgement of everything. So the answer is ours: rejected, and the term that deposes. */
static enum rg_err receive_stale(struct rg_core *core, uint64_t from, const struct rg_msg *m,
                                 struct rg_core_update *ret_update)
{
    uint64_t rejected = RG_MAX(m->append.prev_index, UINT64_C(1));

    if (m->type != RG_MSG_APPEND)
        return RG_OK;
    if (core->messages_cap == 0) {
        core->messages = calloc(16, sizeof *core->messages);
        if (core->messages == NULL)
            return RG_ENOMEM;
        core->messages_cap = 16;
    }
    memset(&core->messages[0], 0, sizeof core->messages[0]);
    RG_ASSERT(m->append.term < rg_core_term(core));
    RG_ASSERT(rejected > 0);
    core->messages[0].to = from;
    core->messages[0].msg.type = RG_MSG_APPEND_RESULT;
    core->messages[0].msg.append_result = (struct rg_msg_append_result){
        .term = rg_core_term(core),
        .rejected = rejected,
        .last_index = RG_MIN(raft_last_index(&core->raft), rejected - 1),
        .capacity = UINT16_MAX,
    };
    ret_update->messages = core->messages;
    ret_update->n_messages = 1;
    return RG_OK;
}

/* A leader submits a CHANGE only once the one before is committed: so a log that holds the next one holds a committed one before it,
 * whether this follower knows that yet or not. libraft forgets the first when the second comes, and should the second be cut off, goes
 * back to what was before both; it is told here. saved: the configuration in force before the step; taken. */
static enum rg_err change_overtaken(struct rg_core *core, uint64_t index, struct raft_buffer *saved)
{
    struct raft_configuration conf;
    int rv = 0;

    if (index > core->raft.configuration_committed_index && core->raft.configuration_uncommitted_index > index) {
        raft_configuration_init(&conf);
        rv = raft_configuration_decode(saved, &conf);
        if (rv == 0) {
            raft_configuration_close(&core->raft.configuration_committed);
            core->raft.configuration_committed = conf;
            core->raft.configuration_committed_index = index;
        }
    }
    raft_free(saved->base);
    return rv == 0 ? RG_OK : RG_ENOMEM;
}

static enum rg_err step_receive(struct rg_core *core, uint64_t now_ms, struct raft_event *event, const struct rg_msg *msg,
                                struct rg_core_update *ret_update)
{
    bool append = msg->type == RG_MSG_APPEND && msg->append.n > 0;
    uint64_t pending = append && msg->append.entries[0].type == RG_ENTRY_CHANGE ? rg_core_change_index(core) : 0;
    struct raft_buffer saved = {.base = NULL};
    enum rg_err err;

    if (pending != 0 && raft_configuration_encode(&core->raft.configuration, &saved) != 0)
        return RG_ENOMEM;
    err = step(core, now_ms, event, append ? msg->append.entries : NULL, append ? msg->append.n : 0, ret_update);
    if (err || pending == 0) {
        raft_free(saved.base);
        return err;
    }
    return change_overtaken(core, pending, &saved);
}

void rg_core_guest(struct rg_core *core, uint64_t id)
{
    RG_ASSERT(id != core->id);
    core->guest = id;
}

enum rg_err rg_core_receive(struct rg_core *core, uint64_t now_ms, uint64_t from, const struct rg_msg *msg,
                            struct rg_core_update *ret_update)
{
    struct raft_message message = {.type = (enum raft_message_type)msg->type, .server_id = from};
    struct raft_event event = {.type = RAFT_RECEIVE};
    char address[24];
    enum rg_err err;

    RG_ASSERT(core->life.state == CORE_STARTED);
    RG_ASSERT(from != 0);
    RG_ASSERT(from != core->id);
    memset(ret_update, 0, sizeof *ret_update);
    err = receive_check(core, from, msg);
    if (err)
        return err;
    if ((msg->type == RG_MSG_APPEND && msg->append.term < rg_core_term(core)) ||
        (msg->type == RG_MSG_INSTALL && msg->install.term < rg_core_term(core)))
        return receive_stale(core, from, msg, ret_update);
    if ((msg->type == RG_MSG_VOTE || msg->type == RG_MSG_VOTE_RESULT) && no_election(core, from))
        return RG_OK; /* no fault of the peer's: one of the two has not heard of the configuration in force */
    if (msg->type == RG_MSG_VOTE_RESULT && rg_core_state(core) != RG_CORE_CANDIDATE)
        return RG_OK; /* late; libraft would read a candidate's fields in a state that has none */
    snprintf(address, sizeof address, "%llu", (unsigned long long)from); /* libraft only keeps it for us: ids are enough */
    message.server_address = address;
    err = receive_fill(core, msg, &message);
    if (err)
        return err;
    event.receive.message = &message;
    return step_receive(core, now_ms, &event, msg, ret_update);
}

/* ---- the other steps ---- */

enum rg_err rg_core_persisted(struct rg_core *core, uint64_t now_ms, uint64_t index, struct rg_core_update *ret_update)
{
    struct raft_event event = {.type = RAFT_PERSISTED_ENTRIES};

    RG_ASSERT(index > core->raft.last_stored);
    RG_ASSERT(index <= raft_last_index(&core->raft));
    if (raft_state(&core->raft) == RAFT_CANDIDATE) { /* a candidate has no write under way: libraft waits for them first */
        snprintf(core->text, sizeof core->text, "entry %llu became durable while a candidate", (unsigned long long)index);
        return RG_EINTERNAL;
    }
    event.persisted_entries.index = index;
    return step(core, now_ms, &event, NULL, 0, ret_update);
}

enum rg_err rg_core_installed(struct rg_core *core, uint64_t now_ms, const struct rg_core_base *base,
                              struct rg_core_update *ret_update)
{
    struct raft_event event = {.type = RAFT_PERSISTED_SNAPSHOT};
    enum rg_err err = base_metadata(base, &event.persisted_snapshot.metadata);

    if (err)
        return err;
    RG_ASSERT(core->raft.state == RAFT_FOLLOWER);
    RG_ASSERT(base->term <= raft_current_term(&core->raft));
    event.persisted_snapshot.last = true;
    return step(core, now_ms, &event, NULL, 0, ret_update);
}

enum rg_err rg_core_configured(struct rg_core *core, uint64_t now_ms, uint64_t index, struct rg_span config,
                               struct rg_core_update *ret_update)
{
    struct raft_event event = {.type = RAFT_CONFIGURATION};
    enum rg_err err = conf_decode(config, &event.configuration.conf);

    if (err)
        return err;
    RG_ASSERT(index > 0);
    RG_ASSERT(index <= raft_last_index(&core->raft));
    event.configuration.index = index;
    return step(core, now_ms, &event, NULL, 0, ret_update);
}

enum rg_err rg_core_snapshotted(struct rg_core *core, uint64_t now_ms, const struct rg_core_base *base, unsigned trailing,
                                struct rg_core_update *ret_update)
{
    struct raft_event event = {.type = RAFT_SNAPSHOT};
    enum rg_err err = base_metadata(base, &event.snapshot.metadata);

    if (err)
        return err;
    RG_ASSERT(base->index <= raft_last_index(&core->raft)); /* of our own state */
    RG_ASSERT(base->term <= raft_current_term(&core->raft));
    RG_ASSERT(trailing > 0);
    event.snapshot.trailing = trailing;
    return step(core, now_ms, &event, NULL, 0, ret_update);
}

enum rg_err rg_core_timeout(struct rg_core *core, uint64_t now_ms, struct rg_core_update *ret_update)
{
    struct raft_event event = {.type = RAFT_TIMEOUT};

    return step(core, now_ms, &event, NULL, 0, ret_update);
}

enum rg_err rg_core_transfer(struct rg_core *core, uint64_t now_ms, uint64_t to, struct rg_core_update *ret_update)
{
    struct raft_event event = {.type = RAFT_TRANSFER};

    RG_ASSERT(rg_core_state(core) == RG_CORE_LEADER);
    RG_ASSERT(to != core->id);
    RG_ASSERT(rg_core_is_voter(core, to));
    RG_ASSERT(rg_core_match(core, to) == raft_last_index(&core->raft)); /* or it would be waited for, and nothing submitted meanwhile */
    memset(ret_update, 0, sizeof *ret_update);
    if (raft_transferee(&core->raft) != 0)
        return RG_EBUSY;
    event.transfer.server_id = to;
    return step(core, now_ms, &event, NULL, 0, ret_update);
}

enum rg_err rg_core_submit(struct rg_core *core, uint64_t now_ms, const struct rg_entry *entries, size_t n,
                           struct rg_core_update *ret_update)
{
    struct raft_event event = {.type = RAFT_SUBMIT};
    enum rg_err err = entries_room(core, n);

    if (err)
        return err;
    RG_ASSERT(n > 0);
    for (size_t i = 0; i < n; i++)
        RG_ASSERT(entries[i].term == rg_core_term(core));
    entries_fill(core->raft_entries, entries, n, &batch_of_submit);
    event.submit.entries = core->raft_entries;
    event.submit.n = (unsigned)n;
    return step(core, now_ms, &event, entries, n, ret_update);
}

/* ---- what it knows ---- */

uint64_t rg_core_term(const struct rg_core *core)
{
    return raft_current_term(&core->raft);
}

uint64_t rg_core_vote(const struct rg_core *core)
{
    return raft_voted_for(&core->raft);
}

uint64_t rg_core_commit(const struct rg_core *core)
{
    return raft_commit_index(&core->raft);
}

enum rg_core_state rg_core_state(const struct rg_core *core)
{
    switch (core->raft.state) {
    case RAFT_LEADER:
        return RG_CORE_LEADER;
    case RAFT_CANDIDATE:
        return RG_CORE_CANDIDATE;
    default:
        return RG_CORE_FOLLOWER;
    }
}

uint64_t rg_core_leader(const struct rg_core *core)
{
    if (core->raft.state == RAFT_LEADER)
        return core->id;
    return core->raft.state == RAFT_FOLLOWER ? core->raft.follower_state.current_leader.id : 0;
}

uint64_t rg_core_deadline(const struct rg_core *core)
{
    return raft_timeout(&core->raft);
}

uint64_t rg_core_match(const struct rg_core *core, uint64_t peer)
{
    raft_index index;

    return raft_match_index(&core->raft, peer, &index) == 0 ? index : 0;
}

static const struct raft_server *server_of(const struct rg_core *core, uint64_t id)
{
    for (unsigned i = 0; i < core->raft.configuration.n; i++)
        if (core->raft.configuration.servers[i].id == id)
            return &core->raft.configuration.servers[i];
    return NULL;
}

bool rg_core_is_member(const struct rg_core *core, uint64_t id)
{
    return server_of(core, id) != NULL;
}

bool rg_core_is_voter(const struct rg_core *core, uint64_t id)
{
    const struct raft_server *server = server_of(core, id);

    return server != NULL && server->role == RAFT_VOTER;
}

void rg_core_members(const struct rg_core *core, struct rg_members *ret_members)
{
    const struct raft_configuration *conf = &core->raft.configuration;

    memset(ret_members, 0, sizeof *ret_members);
    RG_ASSERT(conf->n <= RG_PEERS_MAX);
    for (unsigned i = 0; i < conf->n; i++) {
        struct rg_peer_config *peer = &ret_members->peers[ret_members->n++];

        RG_ASSERT(conf->servers[i].id != 0);
        peer->id = conf->servers[i].id;
        peer->role = conf->servers[i].role == RAFT_VOTER ? RG_ROLE_VOTER : RG_ROLE_LEARNER;
        RG_ASSERT(rg_member_address_parse(conf->servers[i].address, peer)); /* all of them passed rg_members_decode */
    }
}

size_t rg_core_voters(const struct rg_core *core)
{
    size_t n = 0;

    RG_ASSERT(core->raft.configuration.n <= RG_PEERS_MAX);
    for (unsigned i = 0; i < core->raft.configuration.n; i++)
        n += core->raft.configuration.servers[i].role == RAFT_VOTER;
    return n;
}

bool rg_core_change_pending(const struct rg_core *core)
{
    return core->raft.configuration_uncommitted_index != 0;
}

uint64_t rg_core_change_index(const struct rg_core *core)
{
    return core->raft.configuration_uncommitted_index;
}

const char *rg_core_text(const struct rg_core *core)
{
    return core->text;
}
