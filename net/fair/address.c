#include "net/fair/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

void rg_address_key(const struct sockaddr *from, uint8_t ret_key[RG_ADDRESS_BYTES])
{
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)from;

    RG_ASSERT(from != NULL);
    memset(ret_key, 0, RG_ADDRESS_BYTES);
    if (from->sa_family == AF_INET) {
        memcpy(ret_key, &((const struct sockaddr_in *)from)->sin_addr, 4);
    } else if (from->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
        memcpy(ret_key, in6->sin6_addr.s6_addr + 12, 4);
    } else if (from->sa_family == AF_INET6) {
        memcpy(ret_key, in6->sin6_addr.s6_addr, 8);
        ret_key[RG_ADDRESS_BYTES - 1] = 1;
    }
}

uint32_t rg_address_hash(const uint8_t key[RG_ADDRESS_BYTES], uint64_t seed)
{
    uint64_t a, b, h;

    memcpy(&a, key, 8);
    memcpy(&b, key + 8, 8);
    h = (a ^ seed) * UINT64_C(0x9e3779b97f4a7c15);
    h = (h ^ (h >> 32) ^ b ^ seed) * UINT64_C(0xd6e8feb86659fd93);
    return (uint32_t)(h >> 32);
}

void rg_address_text(const struct sockaddr *from, char ret_text[RG_ADDRESS_TEXT_MAX])
{
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)from;
    const struct sockaddr_in *in4 = (const struct sockaddr_in *)from;
    bool v6 = from->sa_family == AF_INET6;
    char host[INET6_ADDRSTRLEN] = "";

    if (!v6 && from->sa_family != AF_INET) {
        snprintf(ret_text, RG_ADDRESS_TEXT_MAX, "?");
        return;
    }
    inet_ntop(from->sa_family, v6 ? (const void *)&in6->sin6_addr : (const void *)&in4->sin_addr, host, sizeof host);
    snprintf(ret_text, RG_ADDRESS_TEXT_MAX, v6 ? "[%s]:%u" : "%s:%u", host, ntohs(v6 ? in6->sin6_port : in4->sin_port));
}
