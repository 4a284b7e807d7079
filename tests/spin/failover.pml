/* tests/spin/failover.pml: lease, epoch, promise, promotion and switchover, small enough to be searched whole.
 *
 * Node 0 is the old primary P, in epoch 1; nodes 1..N are the other regions, its learners. Nodes 1 and 2 may be promoted, each
 * into its own epoch (2 and 3), at the same time or one after the other; P may hand over to either of them meanwhile.
 *
 * Build options (see run.py):
 *   N=3           regions besides P
 *   K=2           lease.regions and, under a lease, durability; without a lease the durability alone
 *   LEASE         acknowledge under a lease; without it P may die, and promotion follows its death
 *   SWITCH        P may switch over
 *   CRASH=n       any node may crash and restart at any moment, n times in all; 0: any number of times
 *   W=1           writes of one primary
 *   GROW          region N is not there at first; P adds it
 *   KNEW=k        P changes the lease from K regions to KNEW, by an entry of its log. No lease is written K=N: a promotion
 *                 needs no promise but its own, and nothing is promised before the new lease is settled but of what all have
 *   BEAT          a lease is renewed by itself too, also while the region's disk is busy
 *   RACE          of the two, node 1 is promoted and node 2 switched to; no promise is lost
 *   CHANNELS      requests and answers are under way for any time; without it an exchange happens, or does not, in one step
 *                 (and takes any time at the disk): an answer that comes at once only allows more
 * Mutants, each a fault that a property must catch:
 *   NO_PROMISE    a region answers a promotion and goes on following the old epoch
 *   NO_WAIT       a promotion does not wait for leases to end
 *   NO_QUORUM     a promotion is content with its own promise
 *   SAME_EPOCH    two promotions may choose the same epoch
 *   FORGET_GRANT  a restarted region believes that it granted no lease
 *   NO_HANDOVER_RECORD  P sends COMMIT without having the hand-over on disk
 *   NO_SWITCH_PROMISE   the target of a switchover starts on COMMIT, without promises
 *   LATE_ANSWER   entries that become durable after a promise are still reported to the old primary
 *   LEASE_FROM_ANSWER   the primary counts a lease from the answer, not from its own sending
 *   NO_GRANT_MARGIN, NO_WAIT_MARGIN, NO_LEASE_MARGIN  a clock's tolerance is left out
 *   COUNT_AT_ONCE a region that is being added counts before the others know of it
 *   SET_AT_ONCE   a smaller lease counts before every region knows of it
 *   SET_LATE      a larger lease counts only when every region does
 *   ANY_LOG       a promotion does not compare logs
 *
 * A log is written (epoch of its last entry, length): the entries of an epoch have one author, and where an epoch's log begins is
 * known (base_*), so this names the whole log. Messages: one exchange (request, disk, answer) is under way between a primary and
 * a region; a message is lost by staying where it is for ever, or by being replaced with a newer one.
 */
#ifndef N
#define N 3
#endif
#ifndef K
#define K 2
#endif
#ifndef W
#define W 1
#endif

#define NODES (N + 1)
#define CANDIDATES 2
#ifdef GROW
#define MEMBERS_FIRST (N - 1)
#else
#define MEMBERS_FIRST N
#endif
#define EPOCHS 4 /* 1: P's; 2 and 3: of nodes 1 and 2 */

#ifdef SAME_EPOCH
#define EPOCH_OF(i) ((i) == 0 -> 1 : 2)
#else
#define EPOCH_OF(i) ((i) + 1)
#endif

/* Time, in ticks of a true clock that no node sees. Whatever a node measures may be off by one tick, either way, and the model
 * takes the bad way always: the primary believes in its lease for LENGTH - 1 by its clock, which is slow; a region stands by what it
 * granted for LENGTH + 1 by its clock, which is fast; a promotion waits one tick more than it is told by its clock, which is fast.
 * A lease believed in longer, or stood by shorter, only allows more: these are the worst clocks. */
#ifndef LENGTH
#define LENGTH 2
#endif
#ifdef NO_LEASE_MARGIN
#define HELD (LENGTH + 1)
#else
#define HELD (LENGTH - 1 + 1)
#endif
#ifdef NO_GRANT_MARGIN
#define GRANT (LENGTH - 1)
#else
#define GRANT (LENGTH + 1 - 1)
#endif
#ifdef NO_WAIT_MARGIN
#define WAIT_MORE (0 - 1)
#else
#define WAIT_MORE (1 - 1)
#endif

/* Durable. */
byte promised[NODES]; /* follows no epoch below this */
byte log_epoch[NODES], log_len[NODES];

/* Volatile. */
bit primary[NODES]; /* acts as one; comes back after a restart, being in the log */
byte grant[NODES];  /* ticks left of the lease it granted last */
#ifdef SWITCH
byte grant_epoch[NODES]; /* to whom */
#endif

/* Exchanges of primary p (0..CANDIDATES) and region r. */
#define NONE 0
#define REQUEST 1
#define DISK 2
#define ANSWER 3
#define X(p, r) ((p) * NODES + (r))
#define EXCHANGES ((CANDIDATES + 1) * NODES)
byte x_state[EXCHANGES], x_len[EXCHANGES];
byte x_left[EXCHANGES]; /* of the lease that the answer will mean */
byte lease[EXCHANGES], match[EXCHANGES];

/* Promotions. */
#define IDLE 0
#define ASKING 1
#define OVER 2
#define READY 3 /* the target of a switchover has promised its new epoch */
byte stage[CANDIDATES + 1], wait[CANDIDATES + 1];
byte got[CANDIDATES + 1]; /* whose promises: a bit for each node */

/* Switchover. */
#define SW_NONE 0
#define SW_PREPARED 1
#define SW_COMMITTED 2
#define SW_OVER 3
byte sw, sw_to;
bit paused; /* P, for a switchover */
bit dead;   /* P, for good */
#if CRASH > 0
byte crashes;
#endif

#ifdef GROW
byte grown_at; /* the entry that adds region N */
#endif

#ifdef KNEW
byte set_at;        /* the entry that changes the lease */
bit has_set[EPOCHS]; /* it stands before the epoch's first entry */
#endif

/* What is true of each epoch, whoever knows it. */
byte base_epoch[EPOCHS], base_len[EPOCHS], members[EPOCHS];
bit started[EPOCHS];
byte acked[EPOCHS], acker[EPOCHS]; /* acker: node + 1 */

hidden byte i, j, e, n, n2; /* scratch, of no step but one */
hidden byte kept;

#define BIT(r) (1 << (r))
#define IN(mask, r) (((mask) & BIT(r)) != 0)
#define SIZE(m) (IN(m, 0) + IN(m, 1) + IN(m, 2) + IN(m, 3) + IN(m, 4))

/* The other regions, as node's log has them. */
#ifdef GROW
#define OTHERS(node) \
    (members[log_epoch[node]] | (log_epoch[node] == 1 && grown_at != 0 && log_len[node] >= grown_at -> BIT(N) : 0))
#else
#define OTHERS(node) members[log_epoch[node]]
#endif

/* Does node's log hold entry (ep, index)? into kept */
inline holds(node, ep, index)
{
    e = log_epoch[node];
    n = log_len[node];
    do
    :: e > ep -> n = base_len[e]; e = base_epoch[e];
    :: else -> break;
    od;
    kept = (index == 0) || (e == ep && index <= n);
}

/* A promotion goes by the lease that its node's log has. A primary whose log has the change goes by the larger lease of both, until
 * every other member has the change too. (As many as the old lease needs would do; the larger one for longer only forbids more.) */
#ifdef KNEW
#define HAS_SET(node) (has_set[log_epoch[node]] || (log_epoch[node] == 1 && set_at != 0 && log_len[node] >= set_at))
#define SET_AT(p, r) (match[X(p, r)] >= set_at || (r) == (p) || !IN(OTHERS(p), r))
#if N == 3
#define SET_KNOWN(p) (SET_AT(p, 1) && SET_AT(p, 2) && SET_AT(p, 3))
#else
#define SET_KNOWN(p) (SET_AT(p, 1) && SET_AT(p, 2) && SET_AT(p, 3) && SET_AT(p, 4))
#endif
#if defined(SET_AT_ONCE)
#define K_UNTIL KNEW
#elif defined(SET_LATE) || K > KNEW
#define K_UNTIL K
#else
#define K_UNTIL KNEW
#endif
#define K_PROMOTE(c) (HAS_SET(c) -> KNEW : K)
#define K_ACK(p) (HAS_SET(p) -> (SET_KNOWN(p) -> KNEW : K_UNTIL) : K)
#else
#define K_PROMOTE(c) K
#define K_ACK(p) K
#endif

inline end(p, r)
{
    x_state[X(p, r)] = NONE;
    x_len[X(p, r)] = 0;
    x_left[X(p, r)] = 0;
}

/* The node promises ep, on disk. What this makes pointless is forgotten, which keeps the state small. */
inline promise(node, ep)
{
    if
    :: ep > promised[node] ->
        promised[node] = ep;
        for (i : 0 .. CANDIDATES) {
            if
            :: EPOCH_OF(i) < ep && x_state[X(i, node)] == REQUEST -> end(i, node);
            :: else
            fi;
        }
        if
        :: node <= CANDIDATES && EPOCH_OF(node) < ep -> retire(node);
        :: else
        fi;
    :: else
    fi;
}

/* Outgoing exchanges end; what a region is writing it writes. */
inline hang_up(node)
{
    for (i : 0 .. N) {
        if
        :: x_state[X(node, i)] != DISK -> x_state[X(node, i)] = NONE; x_len[X(node, i)] = 0;
        :: else
        fi;
        x_left[X(node, i)] = 0;
        lease[X(node, i)] = 0;
        match[X(node, i)] = 0;
    }
}

inline retire(node)
{
    primary[node] = 0;
    stage[node] = OVER;
    got[node] = 0;
    wait[node] = 0;
    hang_up(node);
}

#define ACTS(p) (primary[p] && promised[p] == EPOCH_OF(p))

/* ---- A region ---- */

inline learn(p, r) /* what an answer does at the primary */
{
    if
    :: x_len[X(p, r)] > match[X(p, r)] -> match[X(p, r)] = x_len[X(p, r)];
    :: else
    fi;
#ifdef LEASE_FROM_ANSWER
    x_left[X(p, r)] = HELD;
#endif
    if
    :: x_left[X(p, r)] > lease[X(p, r)] -> lease[X(p, r)] = x_left[X(p, r)];
    :: else
    fi;
    end(p, r);
}

#ifdef CHANNELS
#define ANSWERS(p, r) x_state[X(p, r)] = ANSWER
#else
#define ANSWERS(p, r) learn(p, r)
#endif

inline take(p, r) /* a request arrives */
{
    promise(r, EPOCH_OF(p));
#ifdef LEASE
    grant[r] = GRANT;
#ifdef SWITCH
    grant_epoch[r] = EPOCH_OF(p);
#endif
#endif
    holds(r, EPOCH_OF(p), x_len[X(p, r)]);
    if
    :: kept -> ANSWERS(p, r);
    :: else -> x_state[X(p, r)] = DISK;
    fi;
}

#define CAN_TAKE(p, r) (x_state[X(p, r)] == REQUEST && promised[r] <= EPOCH_OF(p) && NO_DISK(r))
inline receive(p, r)
{
    take(p, r);
}

#ifdef LATE_ANSWER
#define MAY_ANSWER(p, r) 1
#else
#define MAY_ANSWER(p, r) (promised[r] == EPOCH_OF(p))
#endif
#define CAN_SYNC(p, r) (x_state[X(p, r)] == DISK)
inline sync(p, r)
{
    log_epoch[r] = EPOCH_OF(p);
    log_len[r] = x_len[X(p, r)];
    if
    :: MAY_ANSWER(p, r) && ACTS(p) && !((p) == 0 && dead) -> ANSWERS(p, r);
    :: else -> end(p, r);
    fi;
}

/* ---- A primary ---- */

#if defined(GROW)
#define STARTED_WITH(p) ((p) != 0 || grown_at != 0)
#elif defined(KNEW)
#define STARTED_WITH(p) ((p) != 0 || set_at != 0)
#else
#define STARTED_WITH(p) ((p) != 0)
#endif
#define CAN_WRITE(p) (ACTS(p) && !((p) == 0 && (paused || dead)) && log_len[p] < base_len[EPOCH_OF(p)] + STARTED_WITH(p) + W)
inline write(p)
{
    log_len[p]++;
}

#ifdef KNEW
#define CAN_SET (ACTS(0) && set_at == 0)
inline set()
{
    log_len[0]++;
    set_at = log_len[0];
}
#endif

#ifdef GROW
/* P adds region N by an entry of its log. Whoever has the entry knows of it; P counts on it once the entry is acknowledged. */
#define CAN_GROW (ACTS(0) && grown_at == 0)
inline grow()
{
    log_len[0]++;
    grown_at = log_len[0];
}
#define HAVE_GROWN(r) (match[X(0, r)] >= grown_at)
#ifdef COUNT_AT_ONCE
#define COUNTED(p, r) 1
#else
#define COUNTED(p, r) ((p) != 0 || (r) != N || HAVE_GROWN(1) + HAVE_GROWN(2) + (N == 4 && HAVE_GROWN(3)) >= K)
#endif
#else
#define COUNTED(p, r) 1
#endif

#define NO_DISK(r) (x_state[X(0, r)] != DISK && x_state[X(1, r)] != DISK && x_state[X(2, r)] != DISK)
#define MAY_SEND(p, r) (ACTS(p) && !((p) == 0 && dead) && IN(OTHERS(p), r) && promised[r] <= EPOCH_OF(p))
#ifndef CHANNELS
#define CAN_SEND(p, r) (MAY_SEND(p, r) && NO_DISK(r))
#elif defined(LEASE)
#define CAN_SEND(p, r) \
    (MAY_SEND(p, r) && x_state[X(p, r)] != DISK && \
     !(x_state[X(p, r)] == REQUEST && x_len[X(p, r)] == log_len[p] && x_left[X(p, r)] == HELD))
#else
#define CAN_SEND(p, r) (MAY_SEND(p, r) && x_state[X(p, r)] != DISK && !(x_state[X(p, r)] == REQUEST && x_len[X(p, r)] == log_len[p]))
#endif
inline send(p, r)
{
    x_state[X(p, r)] = REQUEST;
    x_len[X(p, r)] = log_len[p];
#ifdef LEASE
    x_left[X(p, r)] = HELD;
#endif
#ifndef CHANNELS
    take(p, r);
#endif
}

#ifdef BEAT
#define CAN_BEAT(p, r) (MAY_SEND(p, r) && (lease[X(p, r)] < HELD || grant[r] < GRANT))
inline beat(p, r)
{
    promise(r, EPOCH_OF(p));
    grant[r] = GRANT;
#ifdef SWITCH
    grant_epoch[r] = EPOCH_OF(p);
#endif
    lease[X(p, r)] = HELD;
}
#define BEATS(p, r) :: d_step { CAN_BEAT(p, r) -> beat(p, r) }
#else
#define BEATS(p, r)
#endif

#define CAN_HEAR(p, r) (x_state[X(p, r)] == ANSWER && !((p) == 0 && dead))
inline hear(p, r)
{
    learn(p, r);
}

/* Acknowledge all that may be acknowledged; nothing new: still an answer given as the primary. */
#define LEASED(p, r) (lease[X(p, r)] > 0 && COUNTED(p, r))
#if N == 3
#define LEASES(p) (LEASED(p, 0) + LEASED(p, 1) + LEASED(p, 2) + LEASED(p, 3))
#else
#define LEASES(p) (LEASED(p, 0) + LEASED(p, 1) + LEASED(p, 2) + LEASED(p, 3) + LEASED(p, 4))
#endif
#ifdef LEASE
#define CAN_ACK(p) (ACTS(p) && !((p) == 0 && paused) && LEASES(p) >= K_ACK(p))
#else
#define CAN_ACK(p) (ACTS(p) && !((p) == 0 && (paused || dead)) && log_len[p] > acked[EPOCH_OF(p)])
#endif
inline ack(p)
{
    n2 = 0; /* the highest entry that K regions have */
    for (j : 1 .. log_len[p]) {
        n = 0;
        for (i : 0 .. N) {
            n = n + (match[X(p, i)] >= j && COUNTED(p, i));
        }
        if
        :: n >= K_ACK(p) -> n2 = j;
        :: else
        fi;
    }
    e = EPOCH_OF(p);
#ifdef LEASE
    assert(!(e < 2 && started[2]) && !(e < 3 && started[3])); /* ONE_AT_A_TIME */
#endif
    if
    :: n2 > acked[e] ->
        assert(acker[e] == 0 || acker[e] == p + 1); /* ONE_ACKER */
        acked[e] = n2;
        acker[e] = p + 1;
#ifdef REACH_SWITCH
        assert(!(acked[1] && sw == SW_COMMITTED && p == sw_to)); /* REACHED */
#endif
#ifdef REACH
#if K == 1
        assert(!(acked[1] && acked[2] && acked[3])); /* REACHED */
#else
        assert(!(acked[1] && (acked[2] || acked[3]))); /* REACHED */
#endif
#endif
    :: else
    fi;
}

/* ---- A promotion ---- */

#ifdef SWITCH
#define OWED(c, r) (grant[r] > 0 && !(sw == SW_COMMITTED && sw_to == (c) && grant_epoch[r] == 1))
#else
#define OWED(c, r) (grant[r] > 0)
#endif
inline owe(c, r) /* c waits for what r has granted */
{
#ifndef NO_WAIT
    if
    :: OWED(c, r) && grant[r] + WAIT_MORE > wait[c] -> wait[c] = grant[r] + WAIT_MORE;
    :: else
    fi;
#else
    skip;
#endif
}

#ifdef LEASE
#ifdef RACE
#define MAY_DECLARE(c) ((c) == 1)
#else
#define MAY_DECLARE(c) 1
#endif
#else
#define MAY_DECLARE(c) dead
#endif
#define CAN_BEGIN(c) \
    (MAY_DECLARE(c) && stage[c] == IDLE && !primary[c] && EPOCH_OF(c) > promised[c] && IN(OTHERS(c), c))
inline begin(c)
{
    promise(c, EPOCH_OF(c));
    stage[c] = ASKING;
    got[c] = BIT(c);
    owe(c, c);
}

#define AHEAD(r, c) (log_epoch[r] > log_epoch[c] || (log_epoch[r] == log_epoch[c] && log_len[r] > log_len[c]))
#define CAN_ASK(c, r) (stage[c] == ASKING && IN(OTHERS(c), r) && !IN(got[c], r) && promised[r] <= EPOCH_OF(c))
inline ask(c, r)
{
#ifndef NO_PROMISE
    promise(r, EPOCH_OF(c));
#endif
    if
#ifndef ANY_LOG
    :: AHEAD(r, c) -> retire(c);
#endif
    :: else ->
        got[c] = got[c] | BIT(r);
        owe(c, r);
    fi;
}

/* The answer is lost. */
#ifdef RACE
#define MAY_LOSE 0
#else
#define MAY_LOSE 1
#endif
#ifdef LEASE
#define CAN_ASK_IN_VAIN(c, r) (MAY_LOSE && CAN_ASK(c, r) && promised[r] < EPOCH_OF(c))
#else
#define CAN_ASK_IN_VAIN(c, r) 0
#endif
inline ask_in_vain(c, r)
{
#ifndef NO_PROMISE
    promise(r, EPOCH_OF(c));
#endif
    skip;
}

#ifdef NO_QUORUM
#define ENOUGH(c) 1
#elif defined(LEASE)
#define ENOUGH(c) (SIZE(got[c] & OTHERS(c)) + K_PROMOTE(c) > SIZE(OTHERS(c)))
#else /* all others are reachable */
#define ENOUGH(c) ((got[c] & OTHERS(c)) == OTHERS(c))
#endif
#define CAN_START(c) (stage[c] == ASKING && promised[c] == EPOCH_OF(c) && wait[c] == 0 && ENOUGH(c) && NO_DISK(c))
inline start(c)
{
    for (j : 1 .. EPOCHS - 1) {
        if
        :: j < EPOCH_OF(c) ->
            holds(c, j, acked[j]);
            assert(kept); /* NOTHING_LOST */
        :: else
        fi;
    }
    j = EPOCH_OF(c);
#ifdef KNEW
    has_set[j] = HAS_SET(c);
#endif
    base_epoch[j] = log_epoch[c];
    base_len[j] = log_len[c];
    members[j] = OTHERS(c) & (255 - BIT(c));
#ifdef SWITCH
    if
    :: sw == SW_COMMITTED && sw_to == c -> members[j] = members[j] | BIT(0);
    :: else
    fi;
#endif
    log_epoch[c] = j;
    log_len[c]++;
    primary[c] = 1;
    started[j] = 1;
    stage[c] = OVER;
    got[c] = 0;
}

/* ---- Switchover ---- */

/* PREPARE: P pauses, the target is level; READY: it has promised its epoch. The answer may be lost: P is then paused alone. */
#define CAN_PREPARE(c) \
    (sw == SW_NONE && ACTS(0) && stage[c] == IDLE && match[X(0, c)] == log_len[0] && promised[c] == 1)
inline prepare(c)
{
    promise(c, EPOCH_OF(c));
    stage[c] = READY;
    sw = SW_PREPARED;
    sw_to = c;
    paused = 1;
}

#define CAN_RESUME (sw == SW_PREPARED)
inline resume()
{
    paused = 0; sw = SW_OVER; sw_to = 0;
}

#define CAN_HAND_OVER (sw == SW_PREPARED)
inline hand_over()
{
    sw = SW_COMMITTED;
#ifndef NO_HANDOVER_RECORD
    e = EPOCH_OF(sw_to);
    promise(0, e);
    base_epoch[e] = 1;
    base_len[e] = log_len[0];
    log_epoch[0] = e;
    log_len[0]++;
    paused = 0;
#endif
}

#define CAN_COMMIT(c) \
    (sw == SW_COMMITTED && sw_to == c && stage[c] == READY && promised[c] == EPOCH_OF(c) && log_epoch[c] == 1)
inline commit(c)
{
    stage[c] = ASKING;
    got[c] = BIT(c);
#ifdef NO_SWITCH_PROMISE
    got[c] = members[1];
#else
    owe(c, c);
#endif
}

/* ---- Faults and time ---- */

inline crash(node)
{
#ifdef LEASE
#ifdef FORGET_GRANT
    grant[node] = 0;
#else
    if
    :: node != 0 || !primary[0] -> grant[node] = GRANT;
    :: else
    fi;
#endif
#ifdef SWITCH
    grant_epoch[node] = promised[node];
#endif
#endif
    for (j : 0 .. CANDIDATES) {
        if
        :: x_state[X(j, node)] == DISK -> end(j, node);
        :: else
        fi;
    }
    if
    :: node <= CANDIDATES ->
        hang_up(node);
        if
        :: stage[node] == ASKING -> stage[node] = OVER; got[node] = 0; wait[node] = 0;
        :: else
        fi;
    :: else
    fi;
    if
    :: node == 0 ->
        paused = 0;
        if
        :: sw == SW_PREPARED -> sw = SW_OVER; sw_to = 0;
        :: else
        fi;
    :: else
    fi;
}

inline local_tick(node)
{
    if
    :: grant[node] > 0 -> grant[node]--;
    :: else
    fi;
#ifdef SWITCH
    if
    :: grant[node] == 0 -> grant_epoch[node] = 0;
    :: else
    fi;
#endif
    if
    :: node <= CANDIDATES ->
        if
        :: wait[node] > 0 -> wait[node]--;
        :: else
        fi;
        for (i : 0 .. N) {
            if
            :: x_left[X(node, i)] > 0 -> x_left[X(node, i)]--;
            :: else
            fi;
            if
            :: lease[X(node, i)] > 0 -> lease[X(node, i)]--;
            :: else
            fi;
        }
    :: else
    fi;
}

inline tick()
{
    for (j : 0 .. N) {
        local_tick(j);
    }
    skip; /* spin 6.5 cannot end a d_step with a loop */
}

#ifdef CHANNELS
#define CHANNEL(p, r) \
    :: d_step { CAN_TAKE(p, r) -> receive(p, r) } \
    :: d_step { CAN_HEAR(p, r) -> hear(p, r) }
#else
#define CHANNEL(p, r)
#endif
#define EXCHANGE(p, r) \
    :: d_step { CAN_SEND(p, r) -> send(p, r) } \
    BEATS(p, r) \
    :: d_step { CAN_SYNC(p, r) -> sync(p, r) } \
    CHANNEL(p, r)
#define ASK(c, r) \
    :: d_step { CAN_ASK(c, r) -> ask(c, r) } \
    :: d_step { CAN_ASK_IN_VAIN(c, r) -> ask_in_vain(c, r) }
#define PRIMARY(p) \
    :: d_step { CAN_WRITE(p) -> write(p) } \
    :: d_step { CAN_ACK(p) -> ack(p) }
#define CANDIDATE(c) \
    :: d_step { CAN_BEGIN(c) -> begin(c) } \
    :: d_step { CAN_START(c) -> start(c) }

#if CRASH > 0
#define CRASHES(node) :: d_step { crashes < CRASH -> crashes++; crash(node) }
#else
#define CRASHES(node) :: d_step { crash(node) }
#endif

init
{
    d_step {
        for (j : 0 .. N) {
            promised[j] = 1;
            log_epoch[j] = 1;
        }
        for (j : 1 .. MEMBERS_FIRST) {
            members[1] = members[1] | BIT(j);
        }
        primary[0] = 1;
        started[1] = 1;
        base_epoch[1] = 1;
    }
    do
    PRIMARY(0) PRIMARY(1) PRIMARY(2)
    EXCHANGE(0, 1) EXCHANGE(0, 2) EXCHANGE(0, 3)
    EXCHANGE(1, 2) EXCHANGE(1, 3) EXCHANGE(2, 1) EXCHANGE(2, 3)
#ifdef GROW
    :: d_step { CAN_GROW -> grow() }
#endif
#ifdef KNEW
    :: d_step { CAN_SET -> set() }
#endif
    CANDIDATE(1) CANDIDATE(2)
    ASK(1, 2) ASK(1, 3) ASK(2, 1) ASK(2, 3)
#if N == 4
    EXCHANGE(0, 4) EXCHANGE(1, 4) EXCHANGE(2, 4)
    ASK(1, 4) ASK(2, 4)
#endif
#ifdef SWITCH
    EXCHANGE(1, 0) EXCHANGE(2, 0)
    ASK(1, 0) ASK(2, 0)
#ifndef RACE
    :: d_step { CAN_PREPARE(1) -> prepare(1) }
#endif
    :: d_step { CAN_PREPARE(2) -> prepare(2) }
    :: d_step { CAN_RESUME -> resume() }
    :: d_step { CAN_HAND_OVER -> hand_over() }
    :: d_step { CAN_COMMIT(1) -> commit(1) }
    :: d_step { CAN_COMMIT(2) -> commit(2) }
#endif
#ifdef CRASH
    CRASHES(0)
    CRASHES(1)
    CRASHES(2)
    CRASHES(3)
#endif
#ifdef LEASE
    :: d_step { tick() }
#else
    :: !dead -> dead = 1;
#endif
    od;
}
