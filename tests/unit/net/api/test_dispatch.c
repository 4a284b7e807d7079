/* net/api/dispatch: one order for all operations. Whatever else is wrong with a request, the first that is wrong in that order is
 * answered: every set of faults, in both interfaces. And those that go other ways: probes, and what brings its own proof. */
#include "tests/lib/api_rig.h"
#include "tests/lib/check_main.h"

/* In the order they are answered. */
enum fault { HEADER, NOT_READY, STRANGER, LOST_REVISION, BROKEN_BODY, NOWHERE, SHAPE, READER, REPLICA, ITS_OWN, FAULTS };
enum { NODE = 1 << NOT_READY | 1 << REPLICA }; /* of the node, not of the request */

struct way {
    const char *method, *path, *nowhere, *target, *no_target; /* target NULL: the path names it */
    const char *fits, *shapeless, *own;                       /* bodies */
    unsigned possible;                                        /* faults it knows */
    struct {
        int status;
        const char *code;
    } want[FAULTS + 1]; /* the last: nothing is wrong */
};

static const struct way ways[] = {
    {.method = "PUT", .path = "/v1/accounts/123456789012", .nowhere = "/v1/accounts/123456789012/none", .fits = "{\"name\":\"new\"}",
     .own = "{",
     .possible = 1 << HEADER | 1 << NOT_READY | 1 << STRANGER | 1 << LOST_REVISION | 1 << NOWHERE | 1 << READER | 1 << REPLICA |
                 1 << ITS_OWN,
     .want = {[HEADER] = {400, "ValidationException"},
              [NOT_READY] = {503, "NotReady"},
              [STRANGER] = {401, "MissingAuthenticationToken"},
              [LOST_REVISION] = {410, "RevisionLost"},
              [NOWHERE] = {404, "NotFound"},
              [READER] = {403, "AccessDeniedException"},
              [REPLICA] = {421, "NotPrimary"},
              [ITS_OWN] = {400, "SerializationException"},
              [FAULTS] = {200, NULL}}},
    {.method = "POST", .path = "/", .target = "AWSIdentityStore.CreateGroup", .no_target = "AWSIdentityStore.None",
     .fits = "{\"IdentityStoreId\":\"" API_STORE "\",\"DisplayName\":\"new\"}", .shapeless = "{\"DisplayName\":\"new\"}",
     .own = "{\"IdentityStoreId\":\"" API_STORE "\",\"DisplayName\":\"Admins\"}", /* there is one */
     .possible = (1 << FAULTS) - 1,
     .want = {[HEADER] = {400, "ValidationException"},
              [NOT_READY] = {503, "InternalServerException"},
              [STRANGER] = {403, "MissingAuthenticationTokenException"},
              [LOST_REVISION] = {410, "RevisionLost"},
              [BROKEN_BODY] = {400, "SerializationException"},
              [NOWHERE] = {400, "UnknownOperationException"},
              [SHAPE] = {400, "ValidationException"},
              [READER] = {403, "AccessDeniedException"},
              [REPLICA] = {421, "NotPrimary"},
              [ITS_OWN] = {400, "ConflictException"},
              [FAULTS] = {200, NULL}}},
};

static void send_wrong(struct answer *a, const struct way *w, unsigned faults)
{
    const char *body = faults & 1 << BROKEN_BODY ? "{" : faults & 1 << SHAPE ? w->shapeless : faults & 1 << ITS_OWN ? w->own : w->fits;
    const char *target = faults & 1 << NOWHERE ? w->no_target : w->target;
    char headers[1024];

    snprintf(headers, sizeof headers, "%s%s%s%s%s%s",
             faults & 1 << STRANGER ? ""
             : faults & 1 << READER ? "Authorization: Bearer " API_READ_TOKEN "\r\n"
                                    : "Authorization: Bearer " API_TOKEN "\r\n",
             faults & 1 << HEADER ? "Regent-Wait-Regions: some\r\n" : "",
             faults & 1 << LOST_REVISION ? "Regent-Min-Revision: 2.1\r\n" : "", target != NULL ? "X-Amz-Target: " : "",
             target != NULL ? target : "", target != NULL ? "\r\n" : "");
    ask_raw(a, w->method, faults & 1 << NOWHERE && w->nowhere != NULL ? w->nowhere : w->path, headers, body, strlen(body));
}

/* One group with the name is enough: the next one would be refused. */
static void forget(const struct way *w, const struct answer *a)
{
    struct answer gone;
    char body[256];

    if (w->target == NULL || a->status != 200)
        return;
    snprintf(body, sizeof body, "{\"IdentityStoreId\":\"" API_STORE "\",\"GroupId\":\"%s\"}", text_at(a->json, "GroupId"));
    ask_with(&gone, "POST", "/", "X-Amz-Target: AWSIdentityStore.DeleteGroup\r\n", body);
    ck_assert_int_eq(gone.status, 200);
    answer_free(&gone);
}

static void try_faults(const struct way *w, unsigned faults)
{
    struct answer a;
    unsigned first = 0;
    const char *code;

    while (first < FAULTS && !(faults >> first & 1))
        first++;
    send_wrong(&a, w, faults);
    code = w->target != NULL ? text_at(a.json, "__type") : text_at(a.json, "code");
    ck_assert_msg(a.status == w->want[first].status && (w->want[first].code == NULL || strcmp(code, w->want[first].code) == 0),
                  "%s %s, faults %#x: %d %s, not %d", w->method, w->path, faults, a.status, (char *)a.body.data, w->want[first].status);
    forget(w, &a);
    answer_free(&a);
}

static unsigned tried(const struct way *w, unsigned node)
{
    unsigned n = 0;

    for (unsigned faults = 0; faults < 1 << FAULTS; faults++)
        if ((faults & ~w->possible) == 0 && (faults & NODE) == node) {
            try_faults(w, faults);
            n++;
        }
    return n;
}

CASE(.setup = af_open, .teardown = af_close);

LOOP(the_first_fault_is_answered, RG_LEN(ways))
{
    const struct way *w = &ways[_i];
    unsigned n = 0;

    strcpy(af.node.status.not_ready, "it catches up");
    for (unsigned node = 0; node < 4; node++) {
        API_STATUS(ready, (node & 1) == 0);
        API_STATUS(leader, (node & 2) == 0);
        API_STATUS(leader_id, node & 2 ? 2 : 1);
        n += tried(w, (node & 1 ? 1 << NOT_READY : 0) | (node & 2 ? 1 << REPLICA : 0));
    }
    ck_assert_uint_eq(n, 1u << __builtin_popcount(w->possible));
}

/* ---- those that go other ways ---- */

static const struct {
    const char *what;
    bool ready, fenced;
    const char *headers, *method, *path, *body;
    int status;
    const char *code;
} others[] = {
    {"a probe looks at no header", true, false, "Regent-Wait-Ms: x\r\n", "GET", "/healthz", "", 200, NULL},
    {"nor for a credential", false, false, "", "GET", "/healthz", "", 200, NULL},
    {"and answers HEAD", false, false, "", "HEAD", "/healthz", "", 200, NULL},
    {"but not POST", false, false, "Regent-Wait-Ms: x\r\n", "POST", "/readyz", "", 405, "MethodNotAllowed"},
    {"no other answers HEAD", true, false, "Authorization: Bearer " API_TOKEN "\r\n", "HEAD", "/v1/status", "", 405, NULL},
    {"what tells why is told", false, false, "Authorization: Bearer " API_TOKEN "\r\n", "GET", "/v1/status", "", 200, NULL},
    {"to whoever has a credential", false, false, "", "GET", "/v1/status", "", 401, "MissingAuthenticationToken"},
    {"the rest is not", false, false, "Authorization: Bearer " API_TOKEN "\r\n", "GET", "/v1/epochs", "", 503, "NotReady"},
    {"nor what does not exist", false, false, "", "GET", "/v1/none", "", 503, "NotReady"},
    {"a fenced node says so", false, true, "", "GET", "/v1/epochs", "", 503, "Fenced"},
    {"what is there is a secret", true, false, "", "GET", "/v1/none", "", 401, "MissingAuthenticationToken"},
    {"another method too", true, false, "", "DELETE", "/v1/check", "", 401, "MissingAuthenticationToken"},
    {"who joins sends sound headers", true, false, "Regent-Wait-Ms: x\r\n", "POST", "/v1/join", "{}", 400, "ValidationException"},
    {"by POST", false, false, "", "GET", "/v1/join", "", 405, "MethodNotAllowed"},
    {"to a node that is ready", false, false, "", "POST", "/v1/join", "{}", 503, "NotReady"},
    {"and hears nothing of fences", false, true, "", "POST", "/v1/rejoin", "{}", 503, "NotReady"},
    {"and brings a body", true, false, "", "POST", "/v1/join", "{}", 400, "ValidationException"},
};

LOOP(others_go_their_way, RG_LEN(others))
{
    struct answer a;

    strcpy(af.node.status.not_ready, "it catches up");
    API_STATUS(fenced, others[_i].fenced);
    API_STATUS(ready, others[_i].ready);
    ask_raw(&a, others[_i].method, others[_i].path, others[_i].headers, others[_i].body, strlen(others[_i].body));
    ck_assert_msg(a.status == others[_i].status, "%s: %d %s", others[_i].what, a.status, (char *)a.body.data);
    if (others[_i].code != NULL)
        ck_assert_str_eq(text_at(a.json, "code"), others[_i].code);
    answer_free(&a);
}
