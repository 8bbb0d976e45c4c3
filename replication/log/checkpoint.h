/*
 * C2SP tlog-checkpoints: the note text "origin LF size LF base64(root) LF", without extension lines
 * (DESIGN 8), and the origins and key names of Sauti.
 */
#ifndef REPLICATION_LOG_CHECKPOINT_H
#define REPLICATION_LOG_CHECKPOINT_H

#include "base/limits.h"
#include "replication/log/note.h"

/* An origin; or the name of a branch, see below. */
struct origin {
	char text[LIMIT_LOG_NAME + 1];
};

/* "<network>/<node>/<epoch>", epoch "<counter>-<16 hex>", lower case, no leading zeros; node
 * "directory" is the directory. ERR_MALFORMED. Either output may be NULL. */
struct origin_parts {
	struct bytes network, node, epoch; /* views into the text that was parsed */
	uint32_t counter;
};
enum err origin_parse(
	struct bytes text, struct origin *ret, struct origin_parts *ret_parts) MUST_USE;
/* random: 8 bytes. ERR_INVALID for names that are not valid. */
enum err origin_make(struct bytes network, struct bytes node, uint32_t counter,
	const uint8_t random[8], struct origin *ret) MUST_USE;

struct checkpoint {
	struct origin origin;
	uint64_t size;
	struct hash root;
};

/* The name under which a branch of a forked log is held: its origin, '~', and the first 32 hex
 * digits of SHA-256("sauti/1 branch" || u64be size || root) of the checkpoint that it ends with. */
void branch_name(const struct checkpoint *end, struct origin *ret);
/* The name of a log, an origin or a branch's; parts are the origin's. *ret_origin is what its notes
 * are signed for: the origin. ERR_MALFORMED. Outputs may be NULL. */
enum err log_name_parse(struct bytes text, struct origin *ret_name, struct origin *ret_origin,
	struct origin_parts *ret_parts) MUST_USE;
/* Is this checkpoint one of the log of that name? */
bool checkpoint_is_of(const struct checkpoint *checkpoint, const char *name);

void checkpoint_format(struct buf *out, const struct checkpoint *checkpoint);
/* Three lines exactly, the first an origin as above; size 0 only with the empty tree's root.
 * ERR_MALFORMED, ERR_LIMIT (size over LIMIT_LOG_SIZE), ERR_NOMEM. */
enum err checkpoint_parse(struct bytes text, struct checkpoint *ret, struct errctx *ctx) MUST_USE;
bool checkpoint_equal(const struct checkpoint *a, const struct checkpoint *b);

/* Parses note and checkpoint and verifies the signature of `key`, whose name must be the origin.
 * ret_text (may be NULL) is the note's text, a view into data. Errors of note_parse,
 * checkpoint_parse and note_verify. */
enum err checkpoint_open(struct bytes data, const struct note_key *key, struct checkpoint *ret,
	struct bytes *ret_text, struct errctx *ctx) MUST_USE;
/* Without a key: form only. For what cannot be verified yet. */
enum err checkpoint_peek(struct bytes data, struct checkpoint *ret, struct errctx *ctx) MUST_USE;

/* Of a signed note what counts: its text and the line of this key. Whoever passes a note on can add
 * lines to it, and write the same signature in no other way. Appended to out; nothing is verified.
 * ERR_UNTRUSTED: no line is by this key; ERR_MALFORMED, ERR_LIMIT, ERR_NOMEM. data is no view of
 * out. */
enum err checkpoint_strip(struct bytes data, const struct note_key *key, struct buf *out,
	struct errctx *ctx) MUST_USE;

/* Text, empty line, signature line: the whole signed note. ERR_INVALID for a checkpoint that
 * checkpoint_parse would refuse. */
enum err checkpoint_sign(
	struct buf *out, const struct checkpoint *checkpoint, const struct signer *signer) MUST_USE;

/* The note key of a log (0x01, name = origin), and those of a node's mirror and witness (0x04,
 * names "<network>/mirror/<node>", "<network>/witness/<node>"). ERR_INVALID for bad names. */
enum err log_note_key(const struct origin *origin, const struct ed25519_public *key,
	struct note_key *ret) MUST_USE;
enum err mirror_note_key(struct bytes network, struct bytes node, const struct ed25519_public *key,
	struct note_key *ret) MUST_USE;
enum err witness_note_key(struct bytes network, struct bytes node, const struct ed25519_public *key,
	struct note_key *ret) MUST_USE;

#endif
