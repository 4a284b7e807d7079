/* bench/http_echo.c: a constant 300-byte JSON reply through the HTTPS engine, to measure what the engine itself costs.
 * http_echo --port P [--workers N] [--cert FILE --key FILE]; runs until SIGTERM or SIGINT. See bench/http.sh. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>

#include "net/http/server.h"

static void answer(void *arg, struct rg_request *req)
{
    const struct rg_span *body = arg;
    struct rg_http_reply reply = {.status = 200, .content_type = "application/json", .body = *body};

    rg_request_reply(req, &reply);
}

static void fill(char *body, size_t n)
{
    int at = snprintf(body, n, "{\"allowed\":true,\"reason\":\"");

    memset(body + at, 'x', n - (size_t)at);
    memcpy(body + n - 2, "\"}", 2);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"port", required_argument, NULL, 'p'},
                                            {"workers", required_argument, NULL, 'w'},
                                            {"cert", required_argument, NULL, 'c'},
                                            {"key", required_argument, NULL, 'k'},
                                            {NULL, 0, NULL, 0}};
    char body[300] = "";
    struct rg_span span = rg_span(body, sizeof body);
    struct rg_server_config config = {.address = "127.0.0.1", .workers = 1, .handler = answer, .arg = &span};
    struct rg_errctx ctx = {""};
    struct rg_server *server;
    sigset_t stop;
    uint16_t port;
    int c, sig;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'p':
            config.port = (uint16_t)atoi(optarg);
            break;
        case 'w':
            config.workers = (unsigned)atoi(optarg);
            break;
        case 'c':
            config.cert_path = optarg;
            break;
        case 'k':
            config.key_path = optarg;
            break;
        default:
            return 2;
        }
    }
    fill(body, sizeof body);
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    if (rg_server_start(&config, &server, &port, &ctx) != RG_OK) {
        fprintf(stderr, "http_echo: %s\n", ctx.text);
        return 1;
    }
    printf("%u\n", port);
    fflush(stdout);
    sigwait(&stop, &sig);
    rg_server_stop(server, 1000);
    return 0;
}
