/* directories.pml: what a disk forgets. Two small models, searched whole; one directory forgets (or is cloned) once.
 *
 *  default   regions: node 0 is the primary P of epoch 1 with one voter, 1..N other regions, two of which may be promoted (epochs 2
 *            and 3). Policy: K regions, lease and durability. Clocks are left out: a region's obligation ends only after the
 *            primary's belief in it (that this is so with real clocks is failover.pml's affair).
 *  VOTERS    one region of three voters: terms, votes, a log of one or two entries.
 *
 * Faults (budget: one node, once; a reboot of anybody RESTARTS times in all):
 *   WIPE      an empty directory under the old id and key     ROLL   an older image of the directory, taken at any time
 *   CLONE     an image started beside the original, as node T; both have the same id and incarnation
 *   DIRONLY   ROLL sets back the directory but not the mark outside it
 * Guards, on unless a mutant drops them:
 *   NO_BLANK     (R1) an empty directory acts under its old id
 *   NO_STANDING  (R4) a restarted node acts at once        NO_KNOWERS (R5) only the leader is asked (voters: only one other)
 *   NO_LEVEL     (R6) it promises before its log has reached what it was told of
 *   NO_WAIT60    (R7) it believes that it granted nothing  NO_PRIMARY (R5) a restarted only voter leads without asking
 *   NO_START     (R3) start numbers are not compared       START_VOLATILE (R3) are forgotten at a restart
 *   KEEP_BELIEF  (R3) a primary that accepts a later start goes on counting what the one before granted
 *   NO_VOID      (R5) a promise counts although its giver has started anew since, as another promiser knows
 *   NO_MERGE     (R5) and the candidate does not keep what it was told of later starts
 *   SOFT         (R4) an answer of one that is not firm counts as much
 *   AT_ONCE      (R8) a node that was seeded again counts at once
 *   FORGIVEN     (R2, with DISK) a node that was found forgetful is believed after its next restart
 *   DISK         option: a directory that agrees with its mark is believed (no asking after a reboot)
 * REACH         assertions that must fail: the interesting states are reachable
 */
#ifndef RESTARTS
#define RESTARTS 2
#endif
#define BIT(r) (1 << (r))
#define IN(m, r) (((m) & BIT(r)) != 0)
#define MAX(a, b) ((a) > (b) -> (a) : (b))

#ifndef VOTERS
/* ======================================================= regions ======================================================= */
#ifndef N
#define N 2
#endif
#ifndef K
#define K 1
#endif
#define NODES (N + 1)
#ifdef CLONE
#define ALL (NODES + 1)
#define T NODES
#else
#define ALL NODES
#define T 99
#endif
#define X(p, r) ((p) * NODES + (r))
#define EP(i) ((i) + 1)
#define EPOCHS 4
#define MEMBERS ((1 << NODES) - 1)

/* Durable: promised, log (last epoch, length), number of starts. ks, kw: the start and process of r that p has accepted. */
byte pr[ALL], le[ALL], ll[ALL], st[ALL];
byte ks[NODES * NODES];
bit kw[NODES * NODES];
/* Volatile. */
bit firm[ALL], level[ALL], up[ALL];
byte heard[ALL], heardf[ALL]; /* who has told it what he knows; of those, who was firm */
byte to_e[ALL], to_l[ALL];    /* the longest log it was told of */
bit lead_seen[ALL];
bit belief[3 * NODES];
byte match[3 * NODES];
byte oblig[ALL];              /* to which primaries it has granted */
byte stage[3], got[3], owe[3]; /* promotion; owe: beliefs to wait for, a bit each for p * NODES + r (p < 2) */
bit blank[NODES];
byte joined_e[NODES], joined_l[NODES]; /* the entry that lets the seeded one in under its new id; epoch 0: it never was away */
/* The fault. */
byte victim, spent, restarts;
byte ipr, ile, ill, ist;
bit have_image;
/* True of each epoch. */
byte base_e[EPOCHS], base_l[EPOCHS], members[EPOCHS], acked[EPOCHS];
bit started[EPOCHS];
hidden byte i, j, e, n, n2;
hidden byte ok;

#define ID(x) ((x) == T -> victim : (x))
#define WHO(x) ((x) == T)
#define SIZE(m) (IN(m, 0) + IN(m, 1) + IN(m, 2) + IN(m, 3) + IN(m, 4))
#define OTHERS(c) members[le[c]]
#define LONGER(ae, al, be, bl) ((ae) > (be) || ((ae) == (be) && (al) > (bl)))

inline holds(x, ep, index)
{
    e = le[x]; n = ll[x];
    do
    :: e > ep -> n = base_l[e]; e = base_e[e];
    :: else -> break;
    od;
    ok = (index == 0) || (e == ep && index <= n);
}

/* Is x, saying which start it is, the one that p deals with? A later start takes its place, for good. */
#ifdef NO_START
#define KNOWN(p, x) 1
#else
#define KNOWN(p, x) (st[x] > ks[X(ID(p), ID(x))] || (st[x] == ks[X(ID(p), ID(x))] && kw[X(ID(p), ID(x))] == WHO(x)))
#endif
inline note_start(p, x)
{
#ifndef KEEP_BELIEF
    if /* another life of x's: what the one before granted and had is worth nothing from here on */
    :: ID(p) < 3 && !WHO(p) && (ks[X(ID(p), ID(x))] != st[x] || kw[X(ID(p), ID(x))] != WHO(x)) -> belief[X(ID(p), ID(x))] = 0; match[X(ID(p), ID(x))] = 0;
    :: else
    fi;
#endif
    ks[X(ID(p), ID(x))] = st[x];
    kw[X(ID(p), ID(x))] = WHO(x);
}

#define LEADS(p) (up[p] && le[p] == EP(p) && pr[p] == EP(p) && !blank[p] && firm[p])
/* R8: of the regions before it, so many have the entry that every promotion meets one. */
#ifdef AT_ONCE
#define COUNTS(p, r) 1
#else
#define COUNTS(p, r) (joined_e[r] == 0 || JOIN_SEEN(p, r) >= K)
#endif
#define SEEN1(p, r, q) ((q) != (r) && IN(members[EP(p)], q) && joined_e[q] == 0 && match[X(p, q)] >= joined_l[r])
#if N == 2
#define JOIN_SEEN(p, r) (SEEN1(p, r, 1) + SEEN1(p, r, 2))
#else
#define JOIN_SEEN(p, r) (SEEN1(p, r, 1) + SEEN1(p, r, 2) + SEEN1(p, r, 3))
#endif

/* ---- primary and region ---- */
#define CAN_WRITE(p) (LEADS(p) && ll[p] < base_l[EP(p)] + ((p) != 0) + 1 + (joined_e[1] == EP(p)) + (joined_e[2] == EP(p)))
#define CAN_TALK(p, r) (LEADS(p) && up[r] && !blank[ID(r)] && firm[r] && pr[r] <= EP(p) && KNOWN(p, r) && KNOWN(r, p) && \
                        IN(members[EP(p)], ID(r)) && !(ID(r) == (p)) && !(le[r] == EP(ID(r)) && EP(ID(r)) >= EP(p)))
inline beat(p, r)
{
    note_start(p, r); note_start(r, p);
    pr[r] = EP(p);
    oblig[r] = oblig[r] | BIT(p);
    belief[X(p, ID(r))] = 1;
    if
    :: ID(r) != 0 && ID(r) < 3 && stage[ID(r)] == 1 && EP(ID(r)) < EP(p) -> stage[ID(r)] = 2;
    :: else
    fi;
}
inline exchange(p, r)
{
    beat(p, r);
    le[r] = EP(p); ll[r] = ll[p];
    match[X(p, ID(r))] = ll[p];
    if
    :: !LONGER(to_e[r], to_l[r], le[r], ll[r]) -> level[r] = 1;
    :: else
    fi;
}
#define HELD1(p, r) (belief[X(p, r)] && COUNTS(p, r))
#if N == 2
#define HELD(p) (HELD1(p, 1) + HELD1(p, 2) + HELD1(p, 0))
#else
#define HELD(p) (HELD1(p, 1) + HELD1(p, 2) + HELD1(p, 3) + HELD1(p, 0))
#endif
#define CAN_ACK(p) (LEADS(p) && HELD(p) >= K)
inline ack(p)
{
    e = EP(p);
#ifdef BOTH
    assert(!(e < 2 && acked[2]) && !(e < 3 && acked[3])); /* ONE_AT_A_TIME; an epoch that its own forgetful node alone knew never was */
    for (i : 1 .. EPOCHS - 1) {
        if
        :: i < EP(p) -> holds(p, i, acked[i]); assert(ok); /* NOTHING_LOST */
        :: else
        fi;
    }
    e = EP(p);
#else
    assert(!(e < 2 && started[2]) && !(e < 3 && started[3])); /* ONE_AT_A_TIME */
#endif
    n2 = 0;
    for (j : 1 .. ll[p]) {
        n = 0;
        for (i : 0 .. N) {
            n = n + (i != (p) && match[X(p, i)] >= j && COUNTS(p, i));
        }
        if
        :: n >= K -> n2 = j;
        :: else
        fi;
    }
    e = EP(p);
    if
    :: n2 > acked[e] -> acked[e] = n2;
    :: else
    fi;
#ifdef REACH
    assert(!(acked[1] && (acked[2] > base_l[2] + 1) && spent)); /* REACHED */
#endif
}
#define CAN_EXPIRE(p, r) (belief[X(p, r)])
#define CAN_FREE(x, p) (IN(oblig[x], p) && !belief[X(p, ID(x))])

/* ---- promotion ---- */
#ifdef NO_LEVEL
#define MAY_PROMISE(x) (firm[x])
#else
#define MAY_PROMISE(x) (firm[x] && level[x])
#endif
inline owe_for(c, x) /* c waits until the beliefs that x stands by are over */
{
    for (j : 0 .. 1) {
        if
        :: j != c && IN(oblig[x], j) -> owe[c] = owe[c] | BIT(X(j, ID(x)));
        :: else
        fi;
    }
    skip;
}
#define CAN_BEGIN(c) (up[c] && !blank[c] && MAY_PROMISE(c) && stage[c] == 0 && pr[c] < EP(c) && IN(OTHERS(c), c))
inline begin(c)
{
    pr[c] = EP(c);
    stage[c] = 1;
    got[c] = BIT(c);
    owe[c] = 0;
    owe_for(c, c);
}
#define CAN_ASK(c, x) (stage[c] == 1 && up[c] && up[x] && !blank[ID(x)] && MAY_PROMISE(x) && IN(OTHERS(c), ID(x)) && \
                       !IN(got[c], ID(x)) && pr[x] <= EP(c) && KNOWN(c, x) && KNOWN(x, c))
inline ask(c, x)
{
    note_start(c, x); note_start(x, c);
    ok = 1;
    if
    :: joined_e[ID(x)] != 0 -> i = joined_e[ID(x)]; j = joined_l[ID(x)]; holds(c, i, j);
    :: else
    fi;
    if /* under its new id it is none of those that c's log knows */
    :: !ok
    :: else ->
        pr[x] = EP(c);
        if
        :: ID(x) != 0 && ID(x) < 3 && ID(x) != c && stage[ID(x)] == 1 -> stage[ID(x)] = 2;
        :: else
        fi;
        if
        :: LONGER(le[x], ll[x], le[c], ll[c]) -> stage[c] = 2; got[c] = 0; owe[c] = 0;
        :: else -> got[c] = got[c] | BIT(ID(x)); owe_for(c, x);
        fi;
#ifndef NO_VOID
        for (j : 1 .. N) { /* the answer says which starts x has seen: the promise of an earlier life is void */
            if
            :: j != c && j != ID(x) && (ks[X(ID(x), j)] > ks[X(c, j)] || (ks[X(ID(x), j)] == ks[X(c, j)] && kw[X(ID(x), j)] != kw[X(c, j)])) ->
                got[c] = got[c] & (255 - BIT(j));
#ifndef NO_MERGE
                ks[X(c, j)] = ks[X(ID(x), j)]; kw[X(c, j)] = kw[X(ID(x), j)]; /* and is refused from here on */
#endif
            :: else
            fi;
        }
#endif
    fi;
}
#define OWES(c, p, r) (IN(owe[c], X(p, r)) && belief[X(p, r)])
#if N == 2
#define WAITS(c) (OWES(c, 0, 1) || OWES(c, 0, 2) || OWES(c, 1, 0) || OWES(c, 1, 2))
#else
#define WAITS(c) (OWES(c, 0, 1) || OWES(c, 0, 2) || OWES(c, 0, 3) || OWES(c, 1, 0) || OWES(c, 1, 2) || OWES(c, 1, 3))
#endif
#define CAN_START(c) (stage[c] == 1 && up[c] && pr[c] == EP(c) && SIZE(got[c] & OTHERS(c)) + K > SIZE(OTHERS(c)) && !WAITS(c))
inline start(c)
{
    for (i : 1 .. EPOCHS - 1) {
        if
        :: i < EP(c) -> holds(c, i, acked[i]); assert(ok); /* NOTHING_LOST */
        :: else
        fi;
    }
    j = EP(c);
    base_e[j] = le[c]; base_l[j] = ll[c];
    members[j] = OTHERS(c) & (255 - BIT(c));
    le[c] = j; ll[c]++;
    started[j] = 1;
    stage[c] = 2; got[c] = 0; owe[c] = 0;
}

/* ---- standing: what a restarted node is told ---- */
/* ---- x tells m what it knows; that it has seen this start of m's it keeps first ---- */
inline tell_all(x, m)
{
    note_start(x, m);
    pr[m] = MAX(pr[m], pr[x]);
    if
    :: LONGER(le[x], ll[x], to_e[m], to_l[m]) -> to_e[m] = le[x]; to_l[m] = ll[x];
    :: else
    fi;
    heard[m] = heard[m] | BIT(ID(x));
#ifdef SOFT
    heardf[m] = heardf[m] | BIT(ID(x));
#else
    if
    :: firm[x] && level[x] -> heardf[m] = heardf[m] | BIT(ID(x));
    :: else
    fi;
#endif
    if
    :: LEADS(x) && EP(ID(x)) == pr[m] -> lead_seen[m] = 1;
    :: pr[x] > EP(0) && !LEADS(x) -> lead_seen[m] = 0;
    :: else
    fi;
}
inline tell(x, m) /* x tells m what it knows; that it has seen this start of m's it keeps first */
{
    if
    :: blank[ID(x)] -> heard[m] = heard[m] | BIT(ID(x)); /* it knows nothing, and says so */
    :: else -> tell_all(x, m);
    fi;
}
#ifdef BLANK_TELLS
#define MAY_TELL(x) 1
#else
#define MAY_TELL(x) (!blank[ID(x)])
#endif
#define CAN_TELL(x, m) (up[x] && up[m] && !firm[m] && MAY_TELL(x) && !blank[ID(m)] && ID(x) != ID(m) && !IN(heard[m], ID(x)) && KNOWN(x, m))
#define ALL_HEARD(m) ((heard[m] | BIT(ID(m))) == MEMBERS)
#ifdef NO_KNOWERS
#define ENOUGH_REGION(m) (lead_seen[m])
#else
#define ENOUGH_REGION(m) (lead_seen[m] && SIZE(heardf[m] & OTHERS(m) & (255 - BIT(ID(m)))) >= K)
#endif
#define ENOUGH_PRIMARY(m) (SIZE(heardf[m] & OTHERS(m)) >= SIZE(OTHERS(m)) - K + 1)
#define ENOUGH(m) (ALL_HEARD(m) || (le[m] != EP(ID(m)) && ENOUGH_REGION(m)) || (le[m] == EP(ID(m)) && ENOUGH_PRIMARY(m)))
#define CAN_FIRM(m) (up[m] && !firm[m] && !blank[ID(m)] && ENOUGH(m))
inline confirm(m)
{
    if /* a primary that is behind, or was replaced: it never leads again */
    :: le[m] == EP(ID(m)) && (pr[m] > EP(ID(m)) || LONGER(to_e[m], to_l[m], le[m], ll[m])) -> blank[ID(m)] = 1;
    :: else -> firm[m] = 1;
    fi;
    level[m] = !LONGER(to_e[m], to_l[m], le[m], ll[m]);
    heard[m] = 0; heardf[m] = 0; lead_seen[m] = 0;
    if
    :: level[m] -> to_e[m] = 0; to_l[m] = 0;
    :: else
    fi;
}

/* ---- restarts and faults ---- */
inline down(x, forgets)
{
    if
    :: !WHO(x) && x < 3 ->
        for (j : 0 .. N) { belief[X(x, j)] = 0; match[X(x, j)] = 0; }
        if
        :: x != 0 -> got[x] = 0; owe[x] = 0; stage[x] = (stage[x] == 1 -> 2 : stage[x]);
        :: else
        fi;
    :: else
    fi;
    st[x]++;
    heard[x] = 0; heardf[x] = 0; to_e[x] = 0; to_l[x] = 0; lead_seen[x] = 0;
#if defined(NO_STANDING)
    firm[x] = 1; level[x] = 1;
#elif defined(DISK) && !defined(DIRONLY)
    firm[x] = 1; level[x] = 1;
#elif defined(DISK) && defined(FORGIVEN)
    firm[x] = !(forgets); level[x] = !(forgets);
#elif defined(DISK)
    level[x] = level[x] && firm[x] && !(forgets); firm[x] = firm[x] && !(forgets);
#elif defined(NO_PRIMARY)
    firm[x] = (le[x] == EP(ID(x))); level[x] = 1;
#else
    firm[x] = 0; level[x] = 0;
#endif
#ifdef NO_WAIT60
    if
    :: forgets -> oblig[x] = 0;
    :: else -> oblig[x] = 3;
    fi;
#else
    oblig[x] = 3; /* the longest lease there can be */
#endif
#ifdef START_VOLATILE
    for (j : 0 .. N) { ks[X(ID(x), j)] = 0; }
#endif
    skip;
}
#define CAN_RESTART(x) (restarts < RESTARTS && up[x])
#define CAN_IMAGE(x) (!have_image && !spent)
inline image(x)
{
    have_image = 1; victim = x;
    ipr = pr[x]; ile = le[x]; ill = ll[x]; ist = st[x];
}
#define CAN_ROLL(x) (have_image && victim == (x) && !spent)
inline roll(x)
{
    spent = 1;
    pr[x] = ipr; le[x] = ile; ll[x] = ill; st[x] = ist;
    for (j : 0 .. N) { ks[X(x, j)] = 0; }
    down(x, 1);
}
inline clone(x)
{
    spent = 1; up[T] = 1;
    pr[T] = ipr; le[T] = ile; ll[T] = ill; st[T] = ist;
    down(T, 1);
}
#define CAN_WIPE(x) (!spent)
inline wipe(x)
{
    spent = 1; victim = x;
    pr[x] = 1; le[x] = 1; ll[x] = 0; st[x] = 0;
    for (j : 0 .. N) { ks[X(x, j)] = 0; }
    down(x, 1);
    st[x] = 3; /* other restarts do not reach it: it is known by its incarnation, if at all */
#ifndef NO_BLANK
    blank[x] = 1;
#endif
}
/* R8: a leader's entry lets a blank region in under a new id. */
#define CAN_SEED(p, r) (LEADS(p) && up[r] && blank[r] && (r) != 0 && (r) != (p) && IN(members[EP(p)], r) && joined_e[r] == 0)
inline seed(p, r)
{
    ll[p]++;
    joined_e[r] = EP(p); joined_l[r] = ll[p];
    blank[r] = 0; firm[r] = 1; level[r] = 0;
    belief[X(p, r)] = 0; match[X(p, r)] = 0;
    to_e[r] = EP(p); to_l[r] = ll[p];
    le[r] = 1; ll[r] = 0; pr[r] = EP(p);
}

#define PAIR(p, r) \
    :: d_step { CAN_TALK(p, r) -> exchange(p, r) } \
    :: d_step { CAN_TALK(p, r) && !belief[X(p, ID(r))] -> beat(p, r) }
#define LEASE(p, r) \
    :: d_step { CAN_EXPIRE(p, r) -> belief[X(p, r)] = 0; } \
    :: d_step { CAN_FREE(r, p) -> oblig[r] = oblig[r] & (255 - BIT(p)); }
#define TELL(x, m) :: d_step { CAN_TELL(x, m) -> tell(x, m) }
#define ASKS(c, x) :: d_step { CAN_ASK(c, x) -> ask(c, x) }
#define FAULT(x) \
    :: d_step { CAN_RESTART(x) -> restarts++; down(x, 0) } \
    ROLLS(x) CLONES(x) WIPES(x)
#ifdef ROLL
#define ROLLS(x) :: d_step { CAN_IMAGE(x) -> image(x) } :: d_step { CAN_ROLL(x) -> roll(x) }
#else
#define ROLLS(x)
#endif
#ifdef CLONE
#define CLONES(x) :: d_step { CAN_IMAGE(x) -> image(x) } :: d_step { CAN_ROLL(x) -> clone(x) }
#else
#define CLONES(x)
#endif
#ifdef WIPE
#define WIPES(x) :: d_step { CAN_WIPE(x) -> wipe(x) } :: d_step { CAN_SEED(0, x) -> seed(0, x) } :: d_step { CAN_SEED(1, x) -> seed(1, x) }
#else
#define WIPES(x)
#endif

init
{
    d_step {
        for (j : 0 .. N) {
            pr[j] = 1; le[j] = 1; st[j] = 1; firm[j] = 1; level[j] = 1; up[j] = 1;
            for (i : 0 .. N) { ks[X(i, j)] = 1; }
        }
        members[1] = MEMBERS - 1;
        started[1] = 1; base_e[1] = 1;
    }
    do
    :: d_step { CAN_WRITE(0) -> ll[0]++; }
    :: d_step { CAN_WRITE(1) -> ll[1]++; }
    :: d_step { CAN_ACK(0) -> ack(0) }
    :: d_step { CAN_ACK(1) -> ack(1) }
    PAIR(0, 1) PAIR(0, 2) PAIR(1, 2)
    LEASE(0, 1) LEASE(0, 2) LEASE(1, 2)
    :: d_step { CAN_BEGIN(1) -> begin(1) }
    :: d_step { CAN_START(1) -> start(1) }
    ASKS(1, 2)
#ifdef BOTH
    :: d_step { CAN_WRITE(2) -> ll[2]++; }
    :: d_step { CAN_ACK(2) -> ack(2) }
    PAIR(2, 1)
    :: d_step { CAN_EXPIRE(2, 1) -> belief[X(2, 1)] = 0; }
    :: d_step { CAN_BEGIN(2) -> begin(2) }
    :: d_step { CAN_START(2) -> start(2) }
    ASKS(2, 1)
#endif
    TELL(0, 1) TELL(0, 2) TELL(1, 0) TELL(1, 2) TELL(2, 0) TELL(2, 1)
    :: d_step { CAN_FIRM(0) -> confirm(0) }
    :: d_step { CAN_FIRM(1) -> confirm(1) }
    :: d_step { CAN_FIRM(2) -> confirm(2) }
    FAULT(0) FAULT(1) FAULT(2)
#if N == 3
    PAIR(0, 3) PAIR(1, 3) LEASE(0, 3) LEASE(1, 3) ASKS(1, 3)
    TELL(0, 3) TELL(1, 3) TELL(2, 3) TELL(3, 0) TELL(3, 1) TELL(3, 2)
    :: d_step { CAN_FIRM(3) -> confirm(3) }
    FAULT(3)
#endif
#ifdef CLONE
    PAIR(0, T) PAIR(1, T) ASKS(1, T) TELL(0, T) TELL(1, T) TELL(2, T)
    :: d_step { CAN_FREE(T, 0) -> oblig[T] = oblig[T] & (255 - BIT(0)); }
    :: d_step { CAN_FIRM(T) -> confirm(T) }
#endif
    od;
}
#else
/* ======================================================= three voters ======================================================= */
#define V 3
#ifdef CLONE
#define ALL 4
#define T 3
#else
#define ALL 3
#define T 99
#endif
#define TERMS 4
byte tm[ALL], vote[ALL], le[ALL], ll[ALL], st[ALL]; /* le: term of the last entry; vote: id + 1 */
byte ks[V * V]; bit kw[V * V];
bit firm[ALL], level[ALL], blank[V];
byte heard[ALL], to_e[ALL], to_l[ALL];
bit leads[V]; byte votes[V], match[V * V];
byte victim, spent, restarts, itm, ivote, ile, ill, ist;
bit have_image;
byte base_e[TERMS], base_l[TERMS], com[TERMS], leader_of[TERMS];
hidden byte i, j, e, n, n2;
hidden byte ok;
#define ID(x) ((x) == T -> victim : (x))
#define WHO(x) ((x) == T)
#define X(a, b) ((a) * V + (b))
#define LONGER(ae, al, be, bl) ((ae) > (be) || ((ae) == (be) && (al) > (bl)))
#define SIZE(m) (IN(m, 0) + IN(m, 1) + IN(m, 2))
#ifdef NO_START
#define KNOWN(p, x) 1
#else
#define KNOWN(p, x) (st[x] > ks[X(ID(p), ID(x))] || (st[x] == ks[X(ID(p), ID(x))] && kw[X(ID(p), ID(x))] == WHO(x)))
#endif
inline note_start(p, x) { ks[X(ID(p), ID(x))] = st[x]; kw[X(ID(p), ID(x))] = WHO(x); }
inline holds(x, ep, index)
{
    e = le[x]; n = ll[x];
    do
    :: e > ep -> n = base_l[e]; e = base_e[e];
    :: else -> break;
    od;
    ok = (index == 0) || (e == ep && index <= n);
}
/* An election: c stands in the next term; each vote is a step. */
#ifdef NO_LEVEL
#define MAY_VOTE(x) firm[x]
#else
#define MAY_VOTE(x) (firm[x] && level[x])
#endif
#define CAN_STAND(c) (MAY_VOTE(c) && !blank[c] && tm[c] + 1 < TERMS && !leads[c])
inline stand(c) { tm[c]++; vote[c] = c + 1; votes[c] = BIT(c); }
#define CAN_VOTE(c, x) (votes[c] != 0 && !leads[c] && ID(x) != (c) && !blank[ID(x)] && MAY_VOTE(x) && KNOWN(c, x) && KNOWN(x, c) && \
    (tm[x] < tm[c] || (tm[x] == tm[c] && (vote[x] == 0 || vote[x] == (c) + 1))) && !LONGER(le[x], ll[x], le[c], ll[c]) && !IN(votes[c], ID(x)))
inline give(c, x)
{
    note_start(c, x); note_start(x, c);
    if
    :: !WHO(x) && tm[x] < tm[c] -> leads[x] = 0; votes[x] = 0;
    :: else
    fi;
    tm[x] = tm[c]; vote[x] = (c) + 1;
    votes[c] = votes[c] | BIT(ID(x));
}
#define CAN_LEAD(c) (votes[c] != 0 && !leads[c] && SIZE(votes[c]) >= 2)
inline lead(c)
{
    assert(leader_of[tm[c]] == 0 || leader_of[tm[c]] == (c) + 1); /* ONE_LEADER */
    leader_of[tm[c]] = (c) + 1;
    for (i : 1 .. TERMS - 1) {
        if
        :: i < tm[c] -> holds(c, i, com[i]); assert(ok); /* NOTHING_LOST */
        :: else
        fi;
    }
    base_e[tm[c]] = le[c]; base_l[tm[c]] = ll[c];
    leads[c] = 1;
    le[c] = tm[c]; ll[c]++;
    for (j : 0 .. V - 1) { match[X(c, j)] = 0; }
    skip;
}
#define CAN_TAKE(p, x) (leads[p] && ID(x) != (p) && !blank[ID(x)] && firm[x] && tm[x] <= tm[p] && KNOWN(p, x) && KNOWN(x, p) && \
                        !(le[x] == le[p] && ll[x] == ll[p] && match[X(p, ID(x))] == ll[p]))
inline take(p, x)
{
    note_start(p, x); note_start(x, p);
    if
    :: !WHO(x) -> leads[x] = 0; votes[x] = 0;
    :: else
    fi;
    if
    :: tm[x] < tm[p] -> tm[x] = tm[p]; vote[x] = 0;
    :: else
    fi;
    le[x] = le[p]; ll[x] = ll[p]; match[X(p, ID(x))] = ll[p];
    if
    :: !LONGER(to_e[x], to_l[x], le[x], ll[x]) -> level[x] = 1;
    :: else
    fi;
}
#define CAN_COMMIT(p) (leads[p] && ll[p] > com[tm[p]] && 1 + (match[X(p, 0)] == ll[p]) + (match[X(p, 1)] == ll[p]) + (match[X(p, 2)] == ll[p]) >= 2)
inline commit(p)
{
    com[tm[p]] = ll[p];
#ifdef REACH
    assert(!(spent && com[2] && com[3])); /* REACHED */
#endif
}
inline tell_all(x, m)
{
    note_start(x, m);
    if
    :: tm[x] >= tm[m] -> tm[m] = tm[x]; vote[m] = 4; /* it may have voted in this term: never again */
    :: else
    fi;
    if
    :: LONGER(le[x], ll[x], to_e[m], to_l[m]) -> to_e[m] = le[x]; to_l[m] = ll[x];
    :: else
    fi;
    heard[m] = heard[m] | BIT(ID(x));
}
inline tell(x, m)
{
    if
    :: blank[ID(x)] -> heard[m] = heard[m] | BIT(ID(x));
    :: else -> tell_all(x, m);
    fi;
}
#ifdef BLANK_TELLS
#define MAY_TELL(x) 1
#else
#define MAY_TELL(x) (!blank[ID(x)])
#endif
#define CAN_TELL(x, m) (!firm[m] && MAY_TELL(x) && !blank[ID(m)] && ID(x) != ID(m) && !IN(heard[m], ID(x)) && KNOWN(x, m))
#ifdef NO_KNOWERS
#define CAN_FIRM(m) (!firm[m] && !blank[ID(m)] && heard[m] != 0)
#else
#define CAN_FIRM(m) (!firm[m] && !blank[ID(m)] && SIZE(heard[m]) >= 2)
#endif
inline confirm(m)
{
    firm[m] = 1; heard[m] = 0;
    level[m] = !LONGER(to_e[m], to_l[m], le[m], ll[m]);
}
inline down(x, forgets)
{
    if
    :: !WHO(x) -> leads[x] = 0; votes[x] = 0;
    :: else
    fi;
    st[x]++; heard[x] = 0; to_e[x] = 0; to_l[x] = 0;
#if defined(NO_STANDING) || (defined(DISK) && !defined(DIRONLY))
    firm[x] = 1; level[x] = 1;
#elif defined(DISK) && defined(FORGIVEN)
    firm[x] = !(forgets); level[x] = !(forgets);
#elif defined(DISK)
    level[x] = level[x] && firm[x] && !(forgets); firm[x] = firm[x] && !(forgets);
#else
    firm[x] = 0; level[x] = 0;
#endif
#ifdef START_VOLATILE
    for (j : 0 .. V - 1) { ks[X(ID(x), j)] = 0; }
#endif
    skip;
}
inline image(x) { have_image = 1; victim = x; itm = tm[x]; ivote = vote[x]; ile = le[x]; ill = ll[x]; ist = st[x]; }
inline back(x) { spent = 1; tm[x] = itm; vote[x] = ivote; le[x] = ile; ll[x] = ill; st[x] = ist; }
inline wipe(x)
{
    spent = 1; victim = x; tm[x] = 1; vote[x] = 0; le[x] = 1; ll[x] = 0; st[x] = 0;
    down(x, 1);
    st[x] = 3;
#ifndef NO_BLANK
    blank[x] = 1;
#endif
}
#ifdef ROLL
#define ROLLS(x) :: d_step { !have_image && !spent -> image(x) } :: d_step { have_image && victim == x && !spent -> back(x); for (j : 0 .. V - 1) { ks[X(x, j)] = 0; } down(x, 1) }
#else
#define ROLLS(x)
#endif
#ifdef CLONE
#define CLONES(x) :: d_step { !have_image && !spent -> image(x) } :: d_step { have_image && victim == x && !spent -> back(T); down(T, 1) }
#else
#define CLONES(x)
#endif
#ifdef WIPE
#define WIPES(x) :: d_step { !spent -> wipe(x) }
#else
#define WIPES(x)
#endif
#define NODE(c) \
    :: d_step { CAN_STAND(c) -> stand(c) } \
    :: d_step { CAN_LEAD(c) -> lead(c) } \
    :: d_step { CAN_COMMIT(c) -> commit(c) } \
    :: d_step { CAN_FIRM(c) -> confirm(c) } \
    :: d_step { restarts < RESTARTS -> restarts++; down(c, 0) } \
    ROLLS(c) CLONES(c) WIPES(c)
#define PAIR(a, b) \
    :: d_step { CAN_VOTE(a, b) -> give(a, b) } \
    :: d_step { CAN_TAKE(a, b) -> take(a, b) } \
    :: d_step { CAN_TELL(a, b) -> tell(a, b) }
init
{
    d_step {
        for (j : 0 .. V - 1) {
            tm[j] = 1; le[j] = 1; st[j] = 1; firm[j] = 1; level[j] = 1;
            for (i : 0 .. V - 1) { ks[X(i, j)] = 1; }
        }
        base_e[1] = 1;
    }
    do
    NODE(0) NODE(1) NODE(2)
    PAIR(0, 1) PAIR(0, 2) PAIR(1, 0) PAIR(1, 2) PAIR(2, 0) PAIR(2, 1)
#ifdef CLONE
    PAIR(0, T) PAIR(1, T) PAIR(2, T)
    :: d_step { CAN_FIRM(T) -> confirm(T) }
#endif
    od;
}
#endif
