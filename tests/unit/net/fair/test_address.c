/* net/fair/address: what is one address and what are two. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "net/fair/address.h"
#include "tests/lib/check_main.h"

static const struct {
    const char *a, *b;
    bool same;
} pairs[] = {
    {"10.0.0.1", "10.0.0.1", true},
    {"10.0.0.1", "10.0.0.2", false},
    {"::ffff:10.0.0.1", "10.0.0.1", true},
    {"2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true}, /* one /64 */
    {"2001:db8:1:2::1", "2001:db8:1:3::1", false},
    {"::", "0.0.0.0", false},
};

static void key_of(const char *text, uint8_t key[RG_ADDRESS_BYTES])
{
    struct sockaddr_in in4 = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};

    if (inet_pton(AF_INET, text, &in4.sin_addr) == 1) {
        rg_address_key((const struct sockaddr *)&in4, key);
        return;
    }
    ck_assert_int_eq(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
    rg_address_key((const struct sockaddr *)&in6, key);
}

CASE(.setup = NULL);

LOOP(addresses_are_told_apart, RG_LEN(pairs))
{
    uint8_t a[RG_ADDRESS_BYTES], b[RG_ADDRESS_BYTES];

    key_of(pairs[_i].a, a);
    key_of(pairs[_i].b, b);
    ck_assert_msg((memcmp(a, b, sizeof a) == 0) == pairs[_i].same, "%s and %s", pairs[_i].a, pairs[_i].b);
}

TEST(an_address_as_text)
{
    struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(443), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(65535), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr none = {.sa_family = AF_UNIX};
    char text[RG_ADDRESS_TEXT_MAX];

    rg_address_text((const struct sockaddr *)&in4, text);
    ck_assert_str_eq(text, "127.0.0.1:443");
    rg_address_text((const struct sockaddr *)&in6, text);
    ck_assert_str_eq(text, "[::1]:65535");
    rg_address_text(&none, text);
    ck_assert_str_eq(text, "?");
}
