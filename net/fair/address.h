/* net/fair/address.h: whose connection it is, as far as its address says: what is shared out among addresses is shared out by this. */
#ifndef REGENT_NET_FAIR_ADDRESS_H
#define REGENT_NET_FAIR_ADDRESS_H

#include "base/util.h"

#define RG_ADDRESS_BYTES 16
#define RG_ADDRESS_TEXT_MAX 64

struct sockaddr;

/** Sixteen bytes that two connections have in common when they are of one address; of IPv6, of one /64, for whoever has one of these
 * addresses has them all. IPv4 within IPv6 is IPv4. */
void rg_address_key(const struct sockaddr *from, uint8_t ret_key[RG_ADDRESS_BYTES]);
/** A number that nobody foresees who does not know the seed. */
uint32_t rg_address_hash(const uint8_t key[RG_ADDRESS_BYTES], uint64_t seed);
/** "1.2.3.4:5", "[::1]:5"; "?" when it is neither. */
void rg_address_text(const struct sockaddr *from, char ret_text[RG_ADDRESS_TEXT_MAX]);

#endif
