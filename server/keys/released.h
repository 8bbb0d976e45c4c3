/*
 * released: the node keys to which keys may leave while headquarters is silent (silence.h), each
 * until a time. Pure.
 */
#ifndef SERVER_KEYS_RELEASED_H
#define SERVER_KEYS_RELEASED_H

#include "base/crypto.h"
#include "base/limits.h"

struct released {
	struct released_row {
		char node[LIMIT_NODE_NAME + 1];
		struct hash signer; /* SHA-256 of the node key that was compared */
		uint64_t until_ms;
	} list[LIMIT_SILENCE_RELEASES];
	size_t count;
};

/* Replaces the node's; what is over goes. ERR_LIMIT: there is no room. */
enum err released_add(struct released *released, const char *node, const struct hash *signer,
	uint64_t now_ms, uint64_t until_ms) MUST_USE;
bool released_has(const struct released *released, const char *node, const struct hash *signer,
	uint64_t now_ms);

#endif
