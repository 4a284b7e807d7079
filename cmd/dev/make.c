/* cmd/dev/make.c: the files of a development cluster: CA and certificates, keystores, configuration files. */
#include "cmd/dev/dev.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/dev/devproxy.h"
#include "crypto/digest.h"
#include "crypto/keyprov.h"
#include "crypto/pki.h"

/* Below the range that the kernel gives to outgoing connections, so that a node finds its port free when it starts again. */
enum rg_err rg_dev_port_free(struct rg_dev_ports *ports, uint16_t *ret_port, struct rg_errctx *ctx)
{
    for (unsigned tries = 0; tries < 200 && ports->n < RG_DEV_PORTS_MAX; tries++) {
        struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        uint16_t r;

        if (fd < 0)
            break;
        rg_random(&r, sizeof r);
        sa.sin_port = htons((uint16_t)(10240 + r % 22000));
        if (bind(fd, (struct sockaddr *)&sa, sizeof sa) == 0) {
            ports->sockets[ports->n++] = fd;
            *ret_port = ntohs(sa.sin_port);
            return RG_OK;
        }
        close(fd);
    }
    return rg_fail(ctx, RG_EIO, "no free port on 127.0.0.1: %s", strerror(errno));
}

void rg_dev_ports_release(struct rg_dev_ports *ports)
{
    while (ports->n > 0)
        close(ports->sockets[--ports->n]);
}

static enum rg_err write_file(const char *path, const struct rg_buf *text, struct rg_errctx *ctx)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool failed = fd < 0 || text->err || write(fd, text->data, text->len) != (ssize_t)text->len;

    if (fd >= 0 && close(fd) != 0)
        failed = true;
    return failed ? rg_fail(ctx, RG_EIO, "%s cannot be written: %s", path, strerror(errno)) : RG_OK;
}

static enum rg_err make_dir(const char *path, struct rg_errctx *ctx)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return rg_fail(ctx, RG_EIO, "%s cannot be made: %s", path, strerror(errno));
    return RG_OK;
}

static void random_hex(char *out, size_t bytes)
{
    uint8_t b[32];

    rg_random(b, bytes);
    rg_hex(out, b, bytes);
}

/* Regions and their nodes' ids, ports and places. */
enum rg_err rg_dev_plan_nodes(struct rg_dev_plan *p, const char *regions, unsigned voters, uint64_t base_port,
                              struct rg_errctx *ctx)
{
    char list[1024], *save = NULL;
    uint64_t id = 0;

    if (strlen(regions) >= sizeof list)
        return rg_fail(ctx, RG_EUSAGE, "--regions: the list is too long");
    strcpy(list, regions);
    for (char *name = strtok_r(list, ",", &save); name != NULL; name = strtok_r(NULL, ",", &save)) {
        struct rg_cluster_region *r = &p->cluster->regions[p->cluster->n_regions];
        unsigned n = p->cluster->n_regions == 0 ? voters : 1;

        if (strlen(name) > 32 || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(name))
            return rg_fail(ctx, RG_EUSAGE, "--regions: \"%s\" is not a region name", name);
        if (p->cluster->n_regions == RG_CLUSTER_REGIONS_MAX || id + n > RG_PEERS_MAX)
            return rg_fail(ctx, RG_EUSAGE, "--regions: too many");
        for (size_t i = 0; i < p->cluster->n_regions; i++)
            if (strcmp(p->cluster->regions[i].name, name) == 0)
                return rg_fail(ctx, RG_EUSAGE, "--regions: %s is there twice", name);
        p->cluster->n_regions++;
        snprintf(r->name, sizeof r->name, "%s", name);
        r->primary = p->cluster->n_regions == 1;
        for (unsigned i = 0; i < n; i++) {
            struct rg_cluster_node *node = &r->nodes[r->n_nodes++];
            uint16_t https = (uint16_t)(base_port + 2 * id), link = (uint16_t)(base_port + 2 * id + 1);
            enum rg_err err = RG_OK;

            if (base_port == 0) {
                err = rg_dev_port_free(&p->ports, &https, ctx);
                if (!err)
                    err = rg_dev_port_free(&p->ports, &link, ctx);
            }
            if (err)
                return err;
            node->id = ++id;
            snprintf(node->url, sizeof node->url, "http%s://127.0.0.1:%u", p->plain_http ? "" : "s", https);
            snprintf(node->link, sizeof node->link, "127.0.0.1:%u", link);
            snprintf(node->config, sizeof node->config, "%s/%s-%llu/regentd.yaml", p->dir, name, (unsigned long long)id);
            snprintf(node->data_dir, sizeof node->data_dir, "%s/%s-%llu/data", p->dir, name, (unsigned long long)id);
        }
        memcpy(r->url, r->nodes[0].url, sizeof r->url);
    }
    return p->cluster->n_regions > 0 ? RG_OK : rg_fail(ctx, RG_EUSAGE, "--regions: is empty");
}

static void put_peers(const struct rg_dev_plan *p, struct rg_buf *out)
{
    rg_buf_put_str(out, "peers:\n");
    for (size_t i = 0; i < p->cluster->n_regions; i++) {
        const struct rg_cluster_region *r = &p->cluster->regions[i];

        for (size_t k = 0; k < r->n_nodes; k++)
            rg_buf_printf(out, "  - {id: %llu, region: %s, role: %s, link: '%s', url: '%s'}\n",
                          (unsigned long long)r->nodes[k].id, r->name, r->primary ? "voter" : "learner", r->nodes[k].link,
                          r->nodes[k].url);
    }
}

static enum rg_err write_config(const struct rg_dev_plan *p, const struct rg_cluster_region *r, const struct rg_cluster_node *n,
                                struct rg_errctx *ctx)
{
    RG_AUTO_BUF struct rg_buf out = {.max = 0};

    rg_buf_init(&out, 65536);
    rg_buf_printf(&out,
                  "# Written by `regent dev up`.\ncluster: %s\nregion: %s\nid: %llu\n"
                  "instance: {arn: '%s', identity_store_id: '%s'}\ndata_dir: data\n",
                  p->cluster_id, r->name, (unsigned long long)n->id, p->cluster->instance_arn,
                  p->cluster->identity_store_id);
    if (p->state_base[0] != '\0')
        rg_buf_printf(&out, "state_dir: %s-%llu\n", p->state_base, (unsigned long long)n->id);
    else
        rg_buf_put_str(&out, "state_dir: state\n");
    rg_buf_printf(&out, "listen:\n  https: '%s'\n  link: '%s'\n  workers: %llu\n", strstr(n->url, "//") + 2, n->link,
                  (unsigned long long)p->workers);
    if (p->plain_http)
        rg_buf_put_str(&out, "  plain_http: true\n");
    rg_buf_put_str(&out, "tls: {ca: ../ca.pem, cert: cert.pem, key: key.pem}\n"
                         "keystore: {file: keystore, passphrase_file: passphrase}\n");
    rg_buf_put_str(&out, "removal: {grace_hours: 0}\n");
    if (p->routes)
        rg_buf_put_str(&out, "link_routes: " RG_DEVPROXY_ROUTES "\n");
    if (r->primary)
        rg_buf_put_str(&out, "bootstrap: ../bootstrap.yaml\n");
    put_peers(p, &out);
    return write_file(n->config, &out, ctx);
}

static enum rg_err write_passphrase(const char *path, char text[65], struct rg_errctx *ctx)
{
    RG_AUTO_BUF struct rg_buf out = {.max = 0};

    rg_buf_init(&out, 100);
    random_hex(text, 32);
    rg_buf_printf(&out, "%s\n", text);
    return write_file(path, &out, ctx);
}

/* A node's folder: configuration, certificate, its region's replica of the shared key. */
static enum rg_err make_node(const struct rg_dev_plan *p, const struct rg_cluster_region *r, const struct rg_cluster_node *n,
                             const char *first_keystore, const char *first_passphrase, struct rg_errctx *ctx)
{
    char ca[512], ca_key[512], dir[500], cert[512], key[512], keystore[512], file[512], passphrase[65];
    enum rg_err err;

    snprintf(dir, sizeof dir, "%s/%s-%llu", p->dir, r->name, (unsigned long long)n->id);
    snprintf(ca, sizeof ca, "%s/ca.pem", p->dir);
    snprintf(ca_key, sizeof ca_key, "%s/ca.key", p->dir);
    snprintf(cert, sizeof cert, "%s/cert.pem", dir);
    snprintf(key, sizeof key, "%s/key.pem", dir);
    snprintf(keystore, sizeof keystore, "%s/keystore", dir);
    snprintf(file, sizeof file, "%s/passphrase", dir);
    err = make_dir(dir, ctx);
    if (!err)
        err = write_passphrase(file, passphrase, ctx);
    if (!err)
        err = rg_keystore_replicate(first_keystore, rg_span_str(first_passphrase), keystore, r->name,
                                    rg_span_str(passphrase), ctx);
    rg_wipe(passphrase, sizeof passphrase);
    if (!err)
        err = rg_pki_node_create(ca, ca_key, p->cluster_id, r->name, n->id, NULL, NULL, cert, key, ctx);
    if (!err)
        err = write_config(p, r, n, ctx);
    return err;
}

enum rg_err rg_dev_make_files(struct rg_dev_plan *p, struct rg_errctx *ctx)
{
    char ca_key[512], keystore[512], file[512], passphrase[65], key_id[RG_KEY_ID_BYTES_MAX];
    struct rg_cluster *c = p->cluster;
    RG_AUTO_BUF struct rg_buf out = {.max = 0};
    enum rg_err err;

    rg_buf_init(&out, 4096);
    snprintf(c->ca, sizeof c->ca, "%s/ca.pem", p->dir);
    snprintf(ca_key, sizeof ca_key, "%s/ca.key", p->dir);
    snprintf(keystore, sizeof keystore, "%s/keystore", p->dir);
    snprintf(file, sizeof file, "%s/passphrase", p->dir);
    err = rg_pki_ca_create(p->cluster_id, c->ca, ca_key, ctx);
    if (!err)
        err = write_passphrase(file, passphrase, ctx);
    if (!err)
        err = rg_keystore_create(keystore, c->regions[0].name, rg_span_str(passphrase), key_id, ctx);
    rg_buf_printf(&out,
                  "# Read once, when the instance is created.\naccount_id: '%s'\nadmin:\n  access_key_id: '%s'\n"
                  "  secret_access_key: '%s'\n  bearer_token: '%s'\nca_key: ca.key\n",
                  c->account_id, c->access_key_id, c->secret_access_key, c->bearer_token);
    if (!err) {
        char path[512];

        snprintf(path, sizeof path, "%s/bootstrap.yaml", p->dir);
        err = write_file(path, &out, ctx);
    }
    for (size_t i = 0; !err && i < c->n_regions; i++)
        for (size_t k = 0; !err && k < c->regions[i].n_nodes; k++)
            err = make_node(p, &c->regions[i], &c->regions[i].nodes[k], keystore, passphrase, ctx);
    rg_wipe(passphrase, sizeof passphrase);
    return err;
}

void rg_dev_plan_identity(struct rg_dev_plan *p)
{
    struct rg_cluster *c = p->cluster;
    uint8_t digits[12];
    char hex[41];

    random_hex(hex, 8);
    snprintf(p->cluster_id, sizeof p->cluster_id, "rc-%.16s", hex);
    random_hex(hex, 8);
    snprintf(c->instance_arn, sizeof c->instance_arn, "arn:aws:sso:::instance/ssoins-%s", hex);
    random_hex(hex, 5);
    snprintf(c->identity_store_id, sizeof c->identity_store_id, "d-%s", hex);
    rg_random(digits, sizeof digits);
    for (size_t i = 0; i < 12; i++)
        c->account_id[i] = (char)('0' + digits[i] % 10);
    random_hex(hex, 8);
    for (char *h = hex; *h != '\0'; h++)
        *h = (char)(*h >= 'a' ? *h - 32 : *h);
    snprintf(c->access_key_id, sizeof c->access_key_id, "AKIA%s", hex);
    random_hex(hex, 20);
    snprintf(c->secret_access_key, sizeof c->secret_access_key, "%s", hex);
    random_hex(c->bearer_token, 32);
    if (access("/dev/shm", W_OK) == 0)
        snprintf(p->state_base, sizeof p->state_base, "/dev/shm/regent-%u-%s", (unsigned)getuid(), p->cluster_id);
}

/* Absolute form of --dir, made if missing. */
enum rg_err rg_dev_absolute(const char *dir, char out[RG_DEV_DIR_MAX], struct rg_errctx *ctx)
{
    enum rg_err err = make_dir(dir, ctx);
    RG_AUTO_MEM char *real = err ? NULL : realpath(dir, NULL);

    if (err)
        return err;
    if (real == NULL || strlen(real) >= RG_DEV_DIR_MAX)
        return rg_fail(ctx, RG_EINVALID, "%s: %s", dir, real != NULL ? "the path is too long" : strerror(errno));
    memcpy(out, real, strlen(real) + 1);
    return RG_OK;
}
