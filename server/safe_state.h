/*
 * safe_state: how well an entry or an event of this node is held, and that in words. Pure; safe.h
 * says what the words mean, and where what is in here comes from.
 */
#ifndef SERVER_SAFE_STATE_H
#define SERVER_SAFE_STATE_H

#include <stdbool.h>
#include <stddef.h>

/* The keys of an entry: there is no recovery key, so that none could be in escrow; nobody has
 * looked, since the vault alone can; they are not in an acknowledged escrow; they are. */
enum safe_keys { SAFE_KEYS_NONE, SAFE_KEYS_UNKNOWN, SAFE_KEYS_WAITING, SAFE_KEYS_ESCROWED };

struct safe_state {
	unsigned held_by, needed; /* mirrors that count; by the quorum of the directory */
	bool in_quorum, in_policy, has_policy;
	enum safe_keys keys;
};

bool safe_is(const struct safe_state *state);

/* "durable here"; "held by 1 of 2", or "held by 3, 2 needed", and what it lacks besides where the
 * quorum holds it; "safe". */
enum { SAFE_WORDS_SIZE = 80 };
void safe_words(const struct safe_state *state, char ret[SAFE_WORDS_SIZE]);

#endif
