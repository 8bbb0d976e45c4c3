/*
 * safe: how well what is recorded here is held. In words, the same everywhere:
 *
 *   durable here    committed and synced on this machine's disk; every answer to a recording says
 * so held by 1 of 2  so many mirrors that count have cosigned a checkpoint that covers it, of as
 * many as the directory's quorum wants safe            the quorum holds it, the quorum of `[safe]
 * policy` (if there is one) has cosigned a checkpoint that covers it, and its keys are in an
 * acknowledged escrow where a recovery key exists
 *
 * All of it is computed anew from the newest cosignatures each time it is asked for, and never
 * remembered: a mirror that is revoked, or another policy, makes less of it safe.
 *
 * Cosigners of the policy are nodes of the network with the keys that the directory lists now; a
 * revoked one counts no more. The policy is about this node's own logs alone.
 */
#ifndef SERVER_SAFE_H
#define SERVER_SAFE_H

#include <jansson.h>

#include "server/runtime.h"
#include "server/safe_state.h"

/* Of an entry that is durable here. Of another node's log no policy is asked, and no keys. */
void safe_look(const struct runtime *rt, size_t log, uint64_t index, enum safe_keys keys,
	struct safe_state *ret);
/* {"state": in words, "durable","held_by","quorum","in_quorum","in_policy" (null: no policy),
 * "keys": none|unknown|waiting|escrowed,"safe"} */
json_t *safe_state_json(const struct safe_state *state);
/* Of all keys, as far as the loop knows: escrowed only while no key has been made since. */
enum safe_keys safe_keys_known(const struct runtime *rt);

/* So many entries of an own log the policy's quorum has cosigned; UINT64_MAX: nobody need. */
uint64_t safe_reach(const struct runtime *rt, size_t log);

/* Reads the policy that the configuration names. Errors of safe_policy_load. */
enum err safe_boot(struct runtime *rt, struct errctx *ctx) MUST_USE;
void safe_start(struct runtime *rt); /* there is an engine */
/* SIGHUP: reads the configuration and its policy again. Whatever is wrong with one of them is said
 * in the program's log, with file and line, and the policy there was stays. */
void safe_reload(struct runtime *rt);
void safe_free(struct runtime *rt);

/* Of status: how far the log that is written now is held, and what the policy waits for. */
json_t *safe_json(const struct runtime *rt);
void safe_alarms(const struct runtime *rt, json_t *alarms);

#endif
