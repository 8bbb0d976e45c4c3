#include "server/safe_state.h"

#include <stdio.h>

bool safe_is(const struct safe_state *state)
{
	return state->in_quorum && state->in_policy &&
	       (state->keys == SAFE_KEYS_NONE || state->keys == SAFE_KEYS_ESCROWED);
}

static const char *lacks(const struct safe_state *state)
{
	if (!state->in_quorum)
		return "";
	if (!state->in_policy)
		return ", not by the policy";
	return state->keys == SAFE_KEYS_WAITING ? ", keys not in escrow yet"
						: ", keys not looked at";
}

void safe_words(const struct safe_state *state, char ret[SAFE_WORDS_SIZE])
{
	if (safe_is(state))
		snprintf(ret, SAFE_WORDS_SIZE, "safe");
	else if (state->held_by == 0)
		snprintf(ret, SAFE_WORDS_SIZE, "durable here");
	else if (state->held_by <= state->needed)
		snprintf(ret, SAFE_WORDS_SIZE, "held by %u of %u%s", state->held_by, state->needed,
			lacks(state));
	else
		snprintf(ret, SAFE_WORDS_SIZE, "held by %u, %u needed%s", state->held_by,
			state->needed, lacks(state));
}
