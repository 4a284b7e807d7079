/* cmd/admin/requests.c: nodes that ask to join, and tokens that let them: seen, let in, sent away. */
#include "base/json.h"
#include "cmd/admin/admin.h"
#include "cmd/cli/letting.h"
#include "crypto/pki.h"
#include "crypto/privfile.h"

enum { PEM_BYTES_MAX = 64 * 1024, PATH_BYTES_MAX = 512 };

static enum rg_err check_id(struct rg_cli *cli)
{
    uint64_t id;

    return rg_cli_number(cli, "ID", cli->arg[0], 1, 1023, &id);
}

static enum rg_err check_approve(struct rg_cli *cli)
{
    if (rg_opt(cli, "fingerprint") == NULL)
        return rg_fail(&cli->err, RG_EUSAGE, "--fingerprint is needed: as regent node fingerprint says on the node's host");
    return check_id(cli);
}

static json_t *approve_body(const struct rg_cli *cli) { return json_pack("{s:s}", "fingerprint", rg_opt(cli, "fingerprint")); }

static void print_node(struct rg_cli *cli, const json_t *answer)
{
    printf("node %lld of %s is %s\n", rg_json_number(answer, "id"), rg_json_cstr(answer, "region"), rg_json_cstr(answer, "status"));
}

static void print_token(struct rg_cli *cli, const json_t *answer)
{
    printf("token %s is %s\n", rg_json_cstr(answer, "id"), rg_json_cstr(answer, "status"));
}

/* What its host shows: of the key that lies in the folder. */
static enum rg_err fingerprint(struct rg_cli *cli)
{
    char path[PATH_BYTES_MAX], text[RG_PKI_FINGERPRINT_BYTES];
    RG_AUTO_BUF struct rg_buf pem = {.max = 0};
    uint8_t sha256[32];
    enum rg_err err;

    if (snprintf(path, sizeof path, "%s/key.pem", cli->arg[0]) >= (int)sizeof path)
        return rg_fail(&cli->err, RG_EUSAGE, "the path is too long");
    rg_buf_init(&pem, PEM_BYTES_MAX);
    if (rg_buf_reserve(&pem, PEM_BYTES_MAX) == NULL) /* at once: growing would leave copies behind */
        return RG_ENOMEM;
    err = rg_privfile_read(path, "the private key", RG_PRIVFILE_SECRET, &pem, &cli->err);
    if (!err && !rg_pki_private_key_sha256(rg_buf_span(&pem), sha256))
        err = rg_fail(&cli->err, RG_EINVALID, "%s: holds no private key", path);
    rg_wipe(pem.data, pem.cap);
    if (err)
        return err;
    rg_pki_fingerprint(sha256, text);
    if (cli->json) {
        struct rg_cli_line line;

        rg_json_str(rg_cli_line_begin(&line), "fingerprint", text);
        rg_cli_line_end(cli, &line);
    } else {
        printf("%s\n", text);
    }
    return RG_OK;
}

static bool hosts_cell(const json_t *row, char out[RG_CELL_BYTES_MAX])
{
    const json_t *host, *hosts = json_object_get(row, "hosts");
    size_t i, at = 0;

    snprintf(out, RG_CELL_BYTES_MAX, "-");
    json_array_foreach(hosts, i, host) {
        int n = snprintf(out + at, RG_CELL_BYTES_MAX - at, "%s%s", i > 0 ? "," : "", json_string_value(host));

        if (n < 0 || (size_t)n >= RG_CELL_BYTES_MAX - at)
            break;
        at += (size_t)n;
    }
    return true;
}

static const struct rg_column node_columns[] = {{"ID", 5, "id"},
                                                {"REGION", 16, "region"},
                                                {"STATUS", 10, "status"},
                                                {"SINCE", 25, "created"},
                                                {"FROM", 16, "from", "-"},
                                                {"RELEASE", 8, "release", "-"},
                                                {"FINGERPRINT", 24, "fingerprint", "-"},
                                                {"IDENTITY", 24, "identity", "-"},
                                                {"MAY RETURN", 24, "returns", "-"},
                                                {"LINK", 22, "link"},
                                                {"URL", 0, "url"},
                                                {NULL}};
static const struct rg_column token_columns[] = {{"ID", 17, "id"},
                                                 {"REGION", 16, "region"},
                                                 {"STATUS", 8, "status"},
                                                 {"EXPIRES", 25, "expires"},
                                                 {"BY", 20, "by"},
                                                 {"NAMES", 0, .cell = hosts_cell},
                                                 {NULL}};
static const struct rg_option approve_options[] = {{"fingerprint", "F", "of its key, as its host shows it"}, {NULL}};

const struct rg_command rg_requests_commands[] = {
    {"node list", "", "The nodes, and those that ask to be let in", "REQUESTED: it waits for regent region add, or regent node approve.\n"
     "WAITING: it asks to come back in the place of the member ID, from elsewhere or with an older key, and needs regent\n"
     "node approve.\n",
     .who = RG_WHO_READER, .path = "/v1/nodes", .columns = node_columns, .rows = "nodes"},
    {"node approve", "ID --fingerprint F", "Let a node in that asks to join: it gets its certificate and the shared key",
     "regent region add does so, too, and asks for the fingerprint. Of a member that is away: whoever has the key with this fingerprint\n"
     "comes back in its place, once; its log says which (rejoin.waiting), when it asks with an old key, or from another address.\n",
     approve_options, 1, 1, RG_WHO_PRIMARY, .check = check_approve,
     .method = "POST", .path = "/v1/nodes/*/approve", .body = approve_body, .print = print_node},
    {"node withdraw", "ID", "Send a node away that asks to join, or was let in and is not used",
     "Its id is gone for good. Of a member: that somebody else's key may come back in its place (MAY RETURN) is taken back.\n", NULL, 1, 1,
     RG_WHO_PRIMARY, .check = check_id, .method = "DELETE", .path = "/v1/nodes/*", .print = print_node},
    {"node fingerprint", "DIR", "The fingerprint of the key in a node's folder, which who lets it in is asked for", NULL, NULL, 1, 1,
     .run = fingerprint},
    {"token list", "", "Join tokens: for which region and names, until when", .who = RG_WHO_READER, .path = "/v1/join-tokens",
     .columns = token_columns, .rows = "tokens"},
    {"token revoke", "ID", "Take a join token back that was not used", NULL, NULL, 1, 1, RG_WHO_PRIMARY, .method = "DELETE",
     .path = "/v1/join-tokens/*", .print = print_token},
    {NULL}};
