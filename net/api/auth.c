/* Who asks: a bearer token or an AWS signature, against the credential rows of the state. Every doubt is a refusal. */
#include <stdio.h>
#include <strings.h>

#include "base/secret/secret.h"
#include "crypto/digest.h"
#include "crypto/sigv4.h"
#include "net/api/worker.h"
#include "store/model/credential.h"
#include "store/model/region.h"
#include "store/model/region_name.h"

enum { TOKEN_BYTES_MAX = 512, BEARER_BYTES = 7 };

_Static_assert(sizeof(struct rg_http_header) == sizeof(struct rg_sigv4_header) &&
                   offsetof(struct rg_http_header, value) == offsetof(struct rg_sigv4_header, value),
               "a header is a header");

void rg_auth_forget(struct rg_api_worker *worker)
{
    rg_secret_free(RG_STEAL(worker->secrets), RG_SECRETS_KEPT * sizeof *worker->secrets);
    rg_wipe(worker->tokens, sizeof worker->tokens);
}

static void copy_name(char to[RG_CALLER_BYTES_MAX], struct rg_span name)
{
    size_t n = RG_MIN(name.n, (size_t)RG_CALLER_BYTES_MAX - 1);

    if (n > 0)
        memcpy(to, name.p, n);
    to[n] = '\0';
}

/* Fill caller and admin from a credential that has proved itself. */
static enum rg_err admit(struct rg_call *call, const struct rg_credential *credential, struct rg_errctx *ctx)
{
    bool admin = rg_span_is(credential->role, "admin");

    if (!admin && !rg_span_is(credential->role, "read"))
        return rg_fail(ctx, RG_EDENIED, "the credential has no role that this release knows");
    call->admin = admin;
    copy_name(call->caller, credential->by);
    return RG_OK;
}

static enum rg_err unknown(struct rg_errctx *ctx)
{
    return rg_fail(ctx, RG_EBADTOKEN, "The security token included in the request is invalid.");
}

/* --- bearer tokens --- */

static bool is_bearer(struct rg_span authorization)
{
    return authorization.n > BEARER_BYTES && strncasecmp((const char *)authorization.p, "Bearer ", BEARER_BYTES) == 0;
}

static struct rg_token_kept *token_slot(struct rg_api_worker *w, const uint8_t sha256[32])
{
    return &w->tokens[sha256[0] & (RG_TOKENS_KEPT - 1)];
}

static enum rg_err check_row(struct rg_call *call, const uint8_t sha256[32], struct rg_errctx *ctx)
{
    struct rg_credential credential;
    enum rg_err err = rg_credential_by_token(call->txn, sha256, &credential);

    if (err == RG_ENOTFOUND)
        return unknown(ctx);
    if (err)
        return err;
    if (credential.token_sha256.n != 32 || !rg_equal_ct(credential.token_sha256.p, sha256, 32))
        return unknown(ctx);
    return admit(call, &credential, ctx);
}

static enum rg_err check_bearer(struct rg_call *call, struct rg_errctx *ctx)
{
    struct rg_span token = rg_span(call->authorization.p + BEARER_BYTES, call->authorization.n - BEARER_BYTES);
    struct rg_token_kept *kept;
    struct rg_applied applied;
    uint8_t sha256[32];
    enum rg_err err;

    while (token.n > 0 && token.p[0] == ' ')
        token = rg_span(token.p + 1, token.n - 1);
    if (token.n == 0 || token.n > TOKEN_BYTES_MAX)
        return unknown(ctx);
    rg_sha256(token, sha256);
    rg_txn_applied(call->txn, &applied);
    kept = token_slot(rg_call_worker(call), sha256);
    if (applied.index != 0 && kept->index == applied.index && kept->term == applied.term &&
        rg_equal_ct(kept->sha256, sha256, sizeof sha256)) { /* the same state says the same */
        call->admin = kept->admin;
        memcpy(call->caller, kept->caller, sizeof call->caller);
        return RG_OK;
    }
    err = check_row(call, sha256, ctx);
    if (err == RG_EBADTOKEN && !call->req->handed) { /* whose token is good is not held up by others at its address */
        if (rg_guesses_spent(&call->api->tokens_guessed, call->req->peer, call->began_us / 1000))
            return rg_fail(ctx, RG_EBUSY, "Too many tokens that are not known came from this address: try again.");
        rg_guesses_count(&call->api->tokens_guessed, call->req->peer, call->began_us / 1000);
    }
    if (err)
        return err;
    memcpy(kept->sha256, sha256, sizeof sha256);
    memcpy(kept->caller, call->caller, sizeof kept->caller);
    kept->admin = call->admin;
    kept->index = applied.index;
    kept->term = applied.term;
    return RG_OK;
}

/* --- AWS signatures --- */

static struct rg_secret_kept *secret_slot(struct rg_api_worker *w, struct rg_span access_key_id)
{
    unsigned h = 5381;

    for (size_t i = 0; i < access_key_id.n; i++)
        h = h * 33 + access_key_id.p[i];
    return &w->secrets[h & (RG_SECRETS_KEPT - 1)];
}

static bool secret_is(const struct rg_secret_kept *kept, struct rg_span access_key_id, struct rg_span sealed)
{
    return kept->secret_n > 0 && rg_span_is(access_key_id, kept->access_key_id) && sealed.n == kept->sealed_n &&
           memcmp(sealed.p, kept->sealed, sealed.n) == 0;
}

/* Open the row's secret into the slot, so that the next request has it at hand. */
static enum rg_err open_secret(struct rg_call *call, struct rg_span access_key_id, struct rg_span sealed,
                               struct rg_secret_kept *kept, struct rg_errctx *ctx)
{
    const struct rg_api *api = call->api;
    const struct rg_context context = {.instance_arn = rg_span_str(api->instance_arn),
                                       .identity_store_id = rg_span_str(api->identity_store_id),
                                       .purpose = rg_span_str("secret")};
    struct rg_buf plain;
    enum rg_err err;

    if (access_key_id.n >= sizeof kept->access_key_id || sealed.n > sizeof kept->sealed)
        return rg_fail(ctx, RG_ECORRUPT, "the credential's row is of a wrong form");
    rg_wipe(kept, sizeof *kept);
    rg_buf_init(&plain, RG_SECRET_BYTES_MAX);
    if (rg_buf_reserve(&plain, RG_SECRET_BYTES_MAX) == NULL) /* at once: growing would leave copies behind */
        return RG_ENOMEM;
    err = rg_envelope_open(api->config.keys, &context, sealed, &plain, ctx);
    if (!err && plain.len == 0)
        err = rg_fail(ctx, RG_ECORRUPT, "the credential's secret is empty");
    if (!err) {
        copy_name(kept->access_key_id, access_key_id);
        memcpy(kept->sealed, sealed.p, sealed.n);
        memcpy(kept->secret, plain.data, plain.len);
        kept->sealed_n = sealed.n;
        kept->secret_n = plain.len;
    }
    rg_wipe(plain.data, plain.cap);
    rg_buf_deinit(&plain);
    return err;
}

/* Which service the client thinks it speaks to: any that is served will do. */
static enum rg_err check_service(const struct rg_api_config *config, struct rg_span service, struct rg_errctx *ctx)
{
    char known[256];
    const char *last = NULL;
    size_t n = 0;

    known[0] = '\0';
    for (size_t i = 0; i < config->n_interfaces; i++)
        for (size_t s = 0; s < config->interfaces[i]->n_services; s++) {
            if (rg_span_is(service, config->interfaces[i]->services[s]->sigv4))
                return RG_OK;
            if (last != NULL && n < sizeof known)
                n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", n > 0 ? ", " : "", last);
            last = config->interfaces[i]->services[s]->sigv4;
        }
    return rg_fail(ctx, RG_EBADSIG, "Credential should be scoped to correct service: %s%s%s.", known, n > 0 ? " or " : "",
                   last != NULL ? last : "none");
}

/* Which region: any that there is, for clients keep one profile for all. AWS's are; an own one is when the cluster has it. */
static enum rg_err check_region(struct rg_call *call, struct rg_span name, struct rg_errctx *ctx)
{
    struct rg_region region;
    enum rg_err err = RG_OK;

    if (rg_region_place(name) == NULL && !rg_span_is(name, call->api->region))
        err = rg_region_name_ok(name) ? rg_region_get(call->txn, name, &region) : RG_ENOTFOUND;
    if (err == RG_ENOTFOUND)
        return rg_fail(ctx, RG_EBADSIG, "Credential should be scoped to a valid region, not '%.*s'.", (int)RG_MIN(name.n, (size_t)64),
                       (const char *)name.p);
    return err;
}

static bool host_in(const char *list, struct rg_span host)
{
    while (*list != '\0') {
        size_t n;

        list += strspn(list, ", ");
        n = strcspn(list, ", ");
        if (n > 0 && n == host.n && strncasecmp(list, (const char *)host.p, n) == 0)
            return true;
        list += n;
    }
    return false;
}

/* What a region's other node passes on was signed for that one, which has looked at it. */
static enum rg_err check_host(const struct rg_call *call, struct rg_span host, struct rg_errctx *ctx)
{
    const char *hosts = call->api->config.hosts;

    if (hosts == NULL || hosts[0] == '\0' || call->req->handed || host_in(hosts, host))
        return RG_OK;
    return rg_fail(ctx, RG_EBADSIG, "The request is signed for the host '%.*s', which is none of this node's.",
                   (int)RG_MIN(host.n, (size_t)64), host.p != NULL ? (const char *)host.p : "");
}

/* Refused as a wrong signature is, after as much work: key ids are not to be tried out. */
static enum rg_err refuse_nobody(struct rg_call *call, const struct rg_sigv4_request *request, const struct rg_sigv4_claim *claim,
                                 struct rg_errctx *ctx)
{
    const struct rg_span secret = rg_span(call->api->nobodys_secret, sizeof call->api->nobodys_secret);
    enum rg_err err = rg_sigv4_verify(request, claim, secret, call->now_ms / 1000, ctx);

    return err ? err : unknown(ctx);
}

static void note_signature(struct rg_call *call, const struct rg_sigv4_claim *claim)
{
    RG_ASSERT(claim->signature.n >= 2 * sizeof call->signature);
    call->is_signed = rg_unhex(call->signature, (const char *)claim->signature.p, sizeof call->signature);
    call->signature_until_s = claim->at_s + RG_SIGV4_SKEW_S_MAX;
    RG_ASSERT(call->is_signed); /* it was found to be digits */
}

/* known: that there is such a key is enough. */
static enum rg_err verify(struct rg_call *call, const struct rg_sigv4_request *request, bool known, struct rg_errctx *ctx)
{
    struct rg_credential credential;
    struct rg_secret_kept *kept;
    struct rg_sigv4_claim claim;
    enum rg_err err = rg_sigv4_parse(request, &claim, ctx);

    if (err == RG_EMALFORMED)
        return RG_EBADSIG; /* as AWS's IncompleteSignature: a matter of access, not of the operation's input */
    if (err)
        return err;
    if (claim.in_query)
        return rg_fail(ctx, RG_EBADSIG,
                       "Presigned requests are not taken: sign the request with an Authorization header.");
    err = check_service(&call->api->config, claim.service, ctx);
    if (!err)
        err = check_region(call, claim.region, ctx);
    if (err)
        return err;
    if (claim.security_token.n > 0 || claim.access_key_id.n == 0)
        return unknown(ctx);
    err = rg_credential_by_key(call->txn, claim.access_key_id, &credential);
    if (err == RG_ENOTFOUND)
        return refuse_nobody(call, request, &claim, ctx);
    if (err)
        return err;
    if (!rg_span_eq(credential.access_key_id, claim.access_key_id) || credential.secret_sealed.n == 0)
        return refuse_nobody(call, request, &claim, ctx);
    if (known)
        return RG_OK;
    kept = secret_slot(rg_call_worker(call), claim.access_key_id);
    if (!secret_is(kept, claim.access_key_id, credential.secret_sealed)) {
        err = open_secret(call, claim.access_key_id, credential.secret_sealed, kept, ctx);
        if (err)
            return err == RG_EMALFORMED ? RG_ECORRUPT : err;
    }
    err = rg_sigv4_verify(request, &claim, rg_span(kept->secret, kept->secret_n), call->now_ms / 1000, ctx);
    if (err)
        return err;
    note_signature(call, &claim);
    return admit(call, &credential, ctx);
}

/* to_come: by the hash that is claimed of a body that is not there yet; where none is claimed, by the key's id alone. */
static enum rg_err check_sigv4(struct rg_call *call, bool to_come, struct rg_errctx *ctx)
{
    const struct rg_request *req = call->req;
    struct rg_sigv4_header headers[RG_HTTP_HEADERS_MAX + 1];
    struct rg_sigv4_request request = {.method = req->method,
                                       .path = req->path,
                                       .query = req->query,
                                       .headers = headers,
                                       .n_headers = req->n_headers,
                                       .body = req->body,
                                       .normalize_path = true};
    struct rg_span host = req->authority;
    bool has_host = false, has_hash = false;
    enum rg_err err;

    for (size_t i = 0; i < req->n_headers; i++) {
        headers[i] = (struct rg_sigv4_header){req->headers[i].name, req->headers[i].value};
        if (rg_span_is(req->headers[i].name, "host")) {
            host = req->headers[i].value;
            has_host = true;
        }
        has_hash |= rg_span_is(req->headers[i].name, "x-amz-content-sha256");
    }
    request.body_to_come = to_come && has_hash;
    if (!has_host && req->n_headers < RG_SIGV4_HEADERS_MAX) /* HTTP/2 calls it :authority, what is signed is host */
        headers[request.n_headers++] = (struct rg_sigv4_header){rg_span_str("host"), req->authority};
    err = check_host(call, host, ctx);
    return err ? err : verify(call, &request, to_come && !has_hash, ctx);
}

void rg_auth_log_refusal(struct rg_call *call, enum rg_err err, const char *text)
{
    struct rg_api_worker *w = rg_call_worker(call);

    if (call->began_us - w->refusals_at_us >= 1000000) {
        w->refusals_at_us = call->began_us;
        w->refusals_logged = 0;
    }
    if (w->refusals_logged++ < 10) /* a second: an attacker does not fill the disk */
        rg_log_warn(call->api->config.log, "auth.refused", "code=%s peer=%s request=%s text=\"%s\"", rg_err_symbol(err),
                    call->req->peer, call->request_id, text);
}

enum rg_err rg_auth_check(struct rg_call *call, struct rg_errctx *ctx)
{
    enum rg_err err;

    if (call->authorization.n == 0)
        return rg_fail(ctx, RG_EUNAUTH, "Missing Authentication Token");
    err = rg_call_txn_try(call);
    if (!err)
        err = is_bearer(call->authorization) ? check_bearer(call, ctx) : check_sigv4(call, false, ctx);
    /* Whatever went wrong while looking is no proof: codes that an operation would word in its own way become refusals.
     */
    if (err == RG_ENOTFOUND || err == RG_EMALFORMED || err == RG_EINVALID || err == RG_ETOOBIG)
        return rg_fail(ctx, RG_EBADSIG, "The request's authorization cannot be read.");
    return err;
}

bool rg_api_vouches(void *arg, const struct rg_request *req)
{
    struct rg_api *api = arg;
    struct rg_call *call = rg_call_begin(api, (struct rg_request *)(uintptr_t)req);
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err = RG_EUNAUTH;

    if (call == NULL)
        return false;
    for (size_t i = 0; i < req->n_headers; i++)
        if (rg_span_is(req->headers[i].name, "authorization"))
            call->authorization = req->headers[i].value;
    if (call->authorization.n > 0)
        err = rg_call_txn_try(call);
    if (!err)
        err = is_bearer(call->authorization) ? check_bearer(call, &ctx) : check_sigv4(call, true, &ctx);
    call->counted = true; /* it is no call */
    rg_call_end(call, err);
    return err == RG_OK || err == RG_EUNREADY; /* an empty state knows nobody: the request will hear so */
}
