#include "cmd/probe/page.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

enum { REQUEST_BYTES_MAX = 4096, REQUEST_MS_MAX = 2000, TEXT_BYTES_MAX = 256 * 1024 };

struct rg_probe_page {
    pthread_mutex_t mutex; /* of text */
    struct rg_buf text;    /* own */
    pthread_t thread;
    int fd, stop_fd; /* own */
};

static bool is_loopback(const struct sockaddr *sa)
{
    if (sa->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)sa)->sin_addr.s_addr) >> 24 == 127;
    return sa->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr);
}

/* "ADDR:PORT" or "[ADDR]:PORT" as a listening socket. */
static enum rg_err listen_at(const char *address, int *ret_fd, struct rg_errctx *ctx)
{
    const struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    const char *colon = strrchr(address, ':');
    struct addrinfo *found = NULL;
    char host[64] = "";
    bool bracket = address[0] == '[';
    int fd, on = 1;

    if (colon != NULL && (size_t)(colon - address) < sizeof host + 2 * bracket)
        snprintf(host, sizeof host, "%.*s", (int)(colon - address) - 2 * bracket, address + bracket);
    if (host[0] == '\0' || getaddrinfo(host, colon + 1, &hints, &found) != 0)
        return rg_fail(ctx, RG_EUSAGE, "--listen: \"%s\" is not ADDR:PORT", address);
    if (!is_loopback(found->ai_addr)) {
        freeaddrinfo(found);
        return rg_fail(ctx, RG_EUSAGE, "--listen: %s is not this machine's own (127.0.0.1 or [::1]): it is plain HTTP", address);
    }
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) != 0 || listen(fd, 16) != 0) {
        rg_errctx_set(ctx, "--listen: %s: %s", address, strerror(errno));
        freeaddrinfo(found);
        if (fd >= 0)
            close(fd);
        return RG_EIO;
    }
    freeaddrinfo(found);
    *ret_fd = fd;
    return RG_OK;
}

static int ms_left(uint64_t from_ms)
{
    uint64_t ms = rg_clock_ms() - from_ms;

    return ms >= REQUEST_MS_MAX ? 0 : REQUEST_MS_MAX - (int)ms;
}

static bool wait_for(const struct rg_probe_page *page, int fd, short events, uint64_t from_ms)
{
    struct pollfd p[2] = {{.fd = fd, .events = events}, {.fd = page->stop_fd, .events = POLLIN}};

    return poll(p, 2, ms_left(from_ms)) > 0 && p[1].revents == 0;
}

static void send_all(const struct rg_probe_page *page, int fd, const struct rg_buf *out, uint64_t from_ms)
{
    size_t sent = 0;

    while (sent < out->len && wait_for(page, fd, POLLOUT, from_ms)) {
        ssize_t n = send(fd, out->data + sent, out->len - sent, MSG_NOSIGNAL);

        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return;
        sent += n > 0 ? (size_t)n : 0;
    }
}

static void put_answer(struct rg_probe_page *page, const char *head, struct rg_buf *out)
{
    bool get = strncmp(head, "GET ", 4) == 0, here = strncmp(head + 4 * get, "/metrics ", 9) == 0;

    if (!get || !here) {
        rg_buf_put_str(out, get ? "HTTP/1.1 404 Not Found\r\n" : "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET\r\n");
        rg_buf_put_str(out, "Content-Length: 0\r\nConnection: close\r\n\r\n");
        return;
    }
    pthread_mutex_lock(&page->mutex);
    rg_buf_printf(out,
                  "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: %zu\r\n"
                  "Connection: close\r\n\r\n",
                  page->text.len);
    rg_buf_put(out, page->text.data, page->text.len);
    pthread_mutex_unlock(&page->mutex);
}

/* One request: its head is read whole, within its time. */
static void serve(struct rg_probe_page *page, int fd)
{
    char head[REQUEST_BYTES_MAX + 1];
    RG_AUTO_BUF struct rg_buf out = {.max = 0};
    uint64_t from_ms = rg_clock_ms();
    size_t n = 0;

    rg_buf_init(&out, TEXT_BYTES_MAX + 1024);
    for (head[0] = '\0'; strstr(head, "\r\n\r\n") == NULL;) {
        ssize_t got;

        if (n == REQUEST_BYTES_MAX || !wait_for(page, fd, POLLIN, from_ms))
            return;
        got = recv(fd, head + n, REQUEST_BYTES_MAX - n, 0);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
            return;
        n += got > 0 ? (size_t)got : 0;
        head[n] = '\0';
    }
    put_answer(page, head, &out);
    if (!out.err)
        send_all(page, fd, &out, from_ms);
}

static void *page_run(void *arg)
{
    struct rg_probe_page *page = arg;

    for (;;) {
        struct pollfd p[2] = {{.fd = page->fd, .events = POLLIN}, {.fd = page->stop_fd, .events = POLLIN}};
        int fd;

        if (poll(p, 2, -1) < 0 && errno != EINTR)
            return NULL;
        if (p[1].revents != 0)
            return NULL;
        fd = accept4(page->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0)
            continue;
        serve(page, fd);
        close(fd);
    }
}

enum rg_err rg_probe_page_start(const char *address, struct rg_probe_page **ret_page, struct rg_errctx *ctx)
{
    struct rg_probe_page *page = calloc(1, sizeof *page);
    enum rg_err err;

    if (page == NULL)
        return RG_ENOMEM;
    page->stop_fd = -1;
    rg_buf_init(&page->text, TEXT_BYTES_MAX);
    pthread_mutex_init(&page->mutex, NULL);
    err = listen_at(address, &page->fd, ctx);
    if (err) {
        pthread_mutex_destroy(&page->mutex);
        free(page);
        return err;
    }
    page->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (page->stop_fd < 0 || pthread_create(&page->thread, NULL, page_run, page) != 0) {
        close(page->fd);
        if (page->stop_fd >= 0)
            close(page->stop_fd);
        pthread_mutex_destroy(&page->mutex);
        free(page);
        return rg_fail(ctx, RG_ENOMEM, "--listen: a thread cannot be started");
    }
    *ret_page = page;
    return RG_OK;
}

enum rg_err rg_probe_page_set(struct rg_probe_page *page, struct rg_span text)
{
    enum rg_err err;

    pthread_mutex_lock(&page->mutex);
    rg_buf_clear(&page->text);
    rg_buf_put(&page->text, text.p, text.n);
    err = page->text.err;
    pthread_mutex_unlock(&page->mutex);
    return err;
}

void rg_probe_page_stop(struct rg_probe_page *page)
{
    const uint64_t one = 1;

    if (page == NULL)
        return;
    if (write(page->stop_fd, &one, sizeof one) == sizeof one)
        pthread_join(page->thread, NULL);
    close(page->fd);
    close(page->stop_fd);
    pthread_mutex_destroy(&page->mutex);
    rg_buf_deinit(&page->text);
    free(page);
}
