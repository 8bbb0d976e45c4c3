/*
 * change: the records by which the keys of a name in the directory become others (DESIGN 7).
 *
 *   NodeKeysRotated  the node itself: signed by its current `node` key; the new one proves itself
 *   NodeReplaced     headquarters: another machine takes the name, when the former one is lost,
 *                    stolen or revoked. Signed by headquarters; the new `node` key proves itself
 *
 * The first is worth the node's own word. The second is worth headquarters' alone: whoever gives
 * keys of cases to that name has an officer compare the words of the new key first
 * (cases/keys/trust.h), and the former machine, if there is one, sees it and disputes it.
 *
 * Logs are numbered by their epoch's counter: up to `epoch` they were opened by the keys before.
 *
 * Form only, both ways; whether one takes effect is the directory's to say. As in record.h.
 */
#ifndef CERTS_CHANGE_H
#define CERTS_CHANGE_H

#include "certs/directory.h"
#include "certs/record.h"

struct rotation {
	struct member member;    /* name and new keys; the rest is the directory's */
	uint64_t directory_size; /* that the node knew: entries */
	uint32_t epoch;          /* counter of the log it writes */
	uint64_t made_at;
};
/* The body of a NodeKeysRotated, to be signed by the current key (record_write). fresh: the new
 * node key. ERR_INVALID for what rotation_read would not take. */
enum err rotation_body(struct buf *out, const char *network, const struct rotation *rotation,
	const struct signer *fresh) MUST_USE;
/* The proof of the new key is verified; role and country of the member are unset. ERR_MALFORMED
 * naming what; ERR_UNTRUSTED: another network, or the proof is wrong; ERR_NOMEM. */
enum err rotation_read(struct bytes body, struct arena *arena, const char *network,
	struct rotation *ret, struct errctx *ctx) MUST_USE;

struct replacement {
	struct member member;      /* as the new machine signed it */
	struct revocation closing; /* of the former machine */
	struct bytes admitted, admitted_signature;
	uint32_t epoch;
};
/* The body of a NodeReplaced, to be signed by headquarters: out of closing, admitted and its
 * signature, and epoch; member is what is read out of admitted. ERR_INVALID for what
 * replacement_read would not take. */
enum err replacement_body(
	struct buf *out, const char *network, const struct replacement *replacement) MUST_USE;
/* As rotation_read. Views and logs are in the arena. */
enum err replacement_read(struct bytes body, struct arena *arena, const char *network,
	struct replacement *ret, struct errctx *ctx) MUST_USE;

#endif
