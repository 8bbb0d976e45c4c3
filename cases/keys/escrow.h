/*
 * escrow: case keys of this node, packed for its own recovery (DESIGN 9). A chunk holds some of
 * them in two layers: sealed to the office's recovery key, of which no node has the private half,
 * and under a version key, which custodians keep and destroy.
 *
 *   keys   = u8 1 || u8 origins || for each: lv16 origin
 *            || u32be count || for each: K 32 || case_ref 16 || u8 group || u32be generation
 *                                        || u8 number of its origin
 *   inner  = HPKE(recovery key, info, keys), base mode: enc 32 || ciphertext || tag 16
 *   info   = "sauti/1 escrow keys" || name
 *   outer  = u32be count || for each: tag 16 || inner
 *   sealed = AES-256-GCM(key, nonce, aad, outer)
 *   key    = HKDF-Expand(version key, "sauti/1 escrow key", 32)
 *   aad    = "sauti/1 escrow chunk" || name
 *   name   = lv16 network || lv16 node || u32be number || u64be version || version key's id 16
 *            || recovery key 32
 *   tag    = HMAC-SHA256(tag key, kid)[0:16], by which the node itself knows what is in a chunk
 *            that it cannot open; a custodian learns nothing from it
 *   id     = HKDF-Expand(version key, "sauti/1 kid", 16), as of a case key
 *
 * Pure: bytes in, bytes out. Whoever calls reserves and wipes what holds keys.
 */
#ifndef CASES_KEYS_ESCROW_H
#define CASES_KEYS_ESCROW_H

#include "cases/seal/keyring.h"

enum {
	ESCROW_TAG_SIZE = 16,
	ESCROW_ID_SIZE = SEAL_KID_SIZE,
	ESCROW_KEY_SIZE = 32,    /* of a version key, and of the tag key */
	ESCROW_RECORD_SIZE = 54, /* of a case key in a chunk */
	ESCROW_BYTES_A_KEY = ESCROW_RECORD_SIZE + ESCROW_TAG_SIZE,
};

struct escrow_id {
	uint8_t b[ESCROW_ID_SIZE];
};
struct escrow_tag {
	uint8_t b[ESCROW_TAG_SIZE];
};

/* What both layers are bound to. */
struct escrow_name {
	const char *network, *node; /* borrowed */
	uint32_t number;
	uint64_t version;
	struct escrow_id version_key;
	struct x25519_public recovery_key;
};

/* Keys on their way into a chunk. */
struct escrow_pack {
	char origins[LIMIT_ESCROW_ORIGINS][LIMIT_ORIGIN + 1];
	size_t origin_count, count;
	struct buf records, tags; /* records holds keys: reserved whole, wiped */
};
enum err escrow_pack_init(struct escrow_pack *pack) MUST_USE;
void escrow_pack_release(struct escrow_pack *pack); /* wipes; NULL and zeroed are fine */
void escrow_pack_clear(struct escrow_pack *pack);
/* Would it fit? LIMIT_ESCROW_CHUNK_KEYS keys, LIMIT_ESCROW_ORIGINS logs. */
bool escrow_pack_takes(const struct escrow_pack *pack, const char *origin);
/* ERR_LIMIT: it does not fit. ERR_INVALID: K of another size, or a group that is none. */
enum err escrow_pack_add(
	struct escrow_pack *pack, const struct keyring_entry *entry, struct bytes tag_key) MUST_USE;

enum err escrow_id_of(struct bytes version_key, struct escrow_id *ret) MUST_USE;
enum err escrow_tag_of(
	struct bytes tag_key, const struct seal_kid *kid, struct escrow_tag *ret) MUST_USE;

/* Appends `sealed`, at most LIMIT_ESCROW_CHUNK bytes. nonce, ephemeral: random, used once.
 * ERR_INVALID: the name's id is not of the version key, or no keys. */
enum err escrow_seal(const struct escrow_pack *pack, const struct escrow_name *name,
	struct bytes version_key, const uint8_t nonce[AEAD_NONCE_SIZE], struct bytes ephemeral,
	struct buf *out) MUST_USE;

/* The outer layer: tags and the inner one, as views into `out`, which is filled. ERR_DECRYPT:
 * another version key, or not of this name; ERR_MALFORMED; ERR_INVALID: the key is not of the name.
 */
struct escrow_outer {
	struct bytes tags; /* ESCROW_TAG_SIZE each */
	size_t count;
	struct bytes inner;
};
enum err escrow_open_outer(const struct escrow_name *name, struct bytes version_key,
	const uint8_t nonce[AEAD_NONCE_SIZE], struct bytes sealed, struct buf *out,
	struct escrow_outer *ret) MUST_USE;

/* Opens the inner layer, and calls each with every key, in order; stops at its first error and
 * returns it. author: of the entries. ERR_DECRYPT, ERR_MALFORMED, ERR_NOMEM. */
enum err escrow_open_inner(const struct escrow_name *name, struct bytes private_key,
	const struct escrow_outer *outer,
	enum err (*each)(void *arg, const struct keyring_entry *entry), void *arg) MUST_USE;

#endif
