/* net/api/guesses.h: how often an address may be refused where no credential is asked for, for all workers together: a few times at once,
 * then one time a second. Addresses do not hinder each other; of IPv6, a /64 is one. Atomic, of a fixed size, without a lock. */
#ifndef REGENT_NET_API_GUESSES_H
#define REGENT_NET_API_GUESSES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    RG_GUESSES_AT_ONCE = 10,
    RG_GUESSES_EVERY_MS = 1000,
    RG_GUESSES_SLOTS = 1024,
};

struct rg_guesses {
    uint8_t seed[16]; /* who shares a slot with whom is not a stranger's to choose */
    _Atomic uint64_t slots[RG_GUESSES_SLOTS]; /* 24 bits that tell the address, 40 bits of when, in ms, its last refusal is forgotten */
};

void rg_guesses_init(struct rg_guesses *guesses);
/**
 * peer    "address:port", "[address]:port"; anything else is an address of its own
 * now_ms  monotonic, above 0
 */
bool rg_guesses_spent(const struct rg_guesses *guesses, const char *peer, uint64_t now_ms);
/** It was refused. */
void rg_guesses_count(struct rg_guesses *guesses, const char *peer, uint64_t now_ms);

/** Whether a peer is on this machine. */
bool rg_peer_is_loopback(const char *peer);
/** The address of a peer without its port: as text, for rows and people. */
void rg_peer_address(const char *peer, char ret_address[64]);

#endif
