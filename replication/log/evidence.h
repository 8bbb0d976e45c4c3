/*
 * evidence: proof that a log has two histories (DESIGN 10), for anybody who has the log's key, at
 * any time, without asking anybody.
 *
 * It is two checkpoints of one origin, both signed by the log's key, of sizes 1 <= m <= n. When the
 * sizes are equal the roots differ. When they are not: the root that the larger's tree had at size
 * m, the consistency proof from there to the larger, and that root is not the one that was signed
 * for m. An author who never signs two histories can never be the subject of one: whoever makes it
 * needs a signature under a root that is not the log's.
 *
 * It carries the LogOpened too, which bears the log's key and is signed by the author's `node` key,
 * so that a stranger who has the directory can verify it; the directory's log needs none.
 *
 * An author who gives one log two keys has two histories that nobody can compare: two LogOpened of
 * one origin, signed by the node key, with different log keys, are evidence as well. For these it
 * is the node key that verifies.
 *
 * One fork has one form on the wire: a note is its text and the one line of the log's key, of two
 * checkpoints of one size the one with the smaller root comes first. The id is over what was signed
 * for, never over signature lines. Pure; views point into the arena.
 */
#ifndef REPLICATION_LOG_EVIDENCE_H
#define REPLICATION_LOG_EVIDENCE_H

#include "proto/arena.h"
#include "proto/frame.pb-c.h"
#include "replication/log/checkpoint.h"
#include "replication/log/tree.h"

struct evidence {
	struct checkpoint smaller, larger; /* as above; of one origin */
	struct bytes smaller_note, larger_note;
	struct hash root;    /* of the larger's tree at the smaller's size, when that is smaller */
	struct proof proof;  /* from there to the larger */
	struct bytes opened; /* entry bytes; empty: none */
	/* Two keys in place of two histories: both LogOpened were signed by the author's node key.
	 * Sizes are 0, and the roots above are the two keys. */
	struct bytes other;
};

/* Form only: two notes of one origin, sizes, order, lengths. ERR_MALFORMED (also when the two do
 * not contradict each other), ERR_LIMIT over LIMIT_EVIDENCE_SIZE, ERR_NOMEM. */
enum err evidence_parse(
	struct bytes data, struct arena *arena, struct evidence *ret, struct errctx *ctx) MUST_USE;
/* The same for a message that was unpacked: views are into it. */
enum err evidence_read(
	const Sauti__Evidence *message, struct evidence *ret, struct errctx *ctx) MUST_USE;

/* The key that its LogOpened gives the log. node: the author's key, which must have signed it
 * (NULL: not checked). ERR_UNTRUSTED, ERR_MALFORMED, ERR_NOTFOUND when it carries none, ERR_NOMEM.
 */
enum err evidence_key(const struct evidence *evidence, const struct ed25519_public *node,
	struct note_key *ret, struct errctx *ctx) MUST_USE;

/* Of two keys: did the author's node key sign both? ERR_UNTRUSTED; ERR_INVALID: it is not of keys.
 */
enum err evidence_verify_keys(const struct evidence *evidence, const struct ed25519_public *node,
	struct errctx *ctx) MUST_USE;
/* Makes evidence of two LogOpened, in any order. ERR_INVALID when they do not contradict each
 * other. */
enum err evidence_make_keys(struct bytes a, struct bytes b, const struct ed25519_public *node,
	struct buf *out, struct errctx *ctx) MUST_USE;

/* Is it what it says? `key` is the log's. ERR_UNSUPPORTED: it is of two keys. ERR_UNTRUSTED: a
 * signature is not by this key; ERR_PROOF: the proof does not verify; ERR_NOMEM. */
enum err evidence_verify(
	const struct evidence *evidence, const struct note_key *key, struct errctx *ctx) MUST_USE;

/* Makes it, and verifies what was made: two signed notes in any order and with any other lines on
 * them; root and proof as above. Appends the message to out. ERR_INVALID when the two do not
 * contradict each other; the errors of evidence_verify and evidence_parse. */
struct evidence_parts {
	struct bytes a, b;
	const struct hash *root; /* of the larger's tree at the smaller's size; NULL: equal sizes */
	const struct proof *proof; /* from there to the larger; NULL: equal sizes */
	struct bytes opened;
};
enum err evidence_make(const struct evidence_parts *parts, const struct note_key *key,
	struct buf *out, struct errctx *ctx) MUST_USE;

/* Appends the message. */
void evidence_write(const struct evidence *evidence, struct buf *out);

/* SHA-256("sauti/1 evidence" || lv16(origin) || u64be m || root || u64be n || root): what is stored
 * and sent once. */
void evidence_id(const struct evidence *evidence, struct hash *ret);

/* A file of evidence: u32be length || message, each. */
void evidence_frame(struct bytes message, struct buf *out);
/* Calls each for every message, whose first error ends it. ERR_MALFORMED: it is cut, or one has no
 * possible length. What each message is, is not looked at. */
enum err evidence_frames(struct bytes file, enum err (*each)(void *arg, struct bytes message),
	void *arg, struct errctx *ctx) MUST_USE;

#endif
