/*
 * record: the signed public records that stand in logs, and the node signature they carry:
 * Ed25519 over "sauti/1 " || purpose || 0x00 || body (DESIGN 7).
 *
 * Readers are strict in what one record may say (lengths, names, roles, keys) and lenient about
 * fields they do not know, so that a later version may add some. Pure; nothing here is kept: what
 * is parsed lives in the caller's arena. Writers append to out only when all went well, but for
 * the sticky error of out itself.
 */
#ifndef CERTS_RECORD_H
#define CERTS_RECORD_H

#include "base/buf.h"
#include "base/crypto.h"
#include "certs/directory.h"
#include "proto/codec.h"
#include "proto/entry.pb-c.h"

#define PURPOSE_LOG_OPENED      "log-opened"
#define PURPOSE_NETWORK_CREATED "network-created"
#define PURPOSE_NODE_ADMITTED   "node-admitted"
#define PURPOSE_NODE_REVOKED    "node-revoked"
#define PURPOSE_POLICY_CHANGED  "policy-changed"
#define PURPOSE_KEYS_ROTATED    "node-keys-rotated"
#define PURPOSE_KEYS_PROOF      "node-keys-proof"
#define PURPOSE_NODE_REPLACED   "node-replaced"
#define PURPOSE_DISPUTE         "dispute"
#define PURPOSE_PREKEY          "prekey"
#define PURPOSE_ESCROW_CHUNK    "escrow-chunk"
#define PURPOSE_ESCROW_MANIFEST "escrow-manifest"
#define PURPOSE_RECEIPT_TAGS    "receipt-tags"

/* The words of a network that no node may be called: "directory" stands in the directory's origin
 * where a log has its node's name. */
bool node_name_reserved(const char *name);

/* "<network>/<node>/<counter>-<16 hex>" with valid names; network and node NULL: any. */
bool log_origin_ok(const char *origin, const char *network, const char *node);
/* Of "<network>/<node>/<counter>-..", what stands behind the '-' unread: a branch's name too.
 * False: it is none. */
bool log_origin_read(const char *origin, struct bytes *ret_node, uint32_t *ret_counter);

/* ERR_LIMIT: body over LIMIT_ENTRY_SIZE; ERR_NOMEM, ERR_CRYPTO. */
enum err node_sign(const struct signer *node, const char *purpose, struct bytes body,
	struct ed25519_signature *ret) MUST_USE;
/* False also when memory is short: use node_check where that must not look like a forgery. */
bool node_verify(const struct ed25519_public *node, const char *purpose, struct bytes body,
	struct bytes signature) MUST_USE;
/* OK, ERR_UNTRUSTED, ERR_NOMEM. */
enum err node_check(const struct ed25519_public *node, const char *purpose, struct bytes body,
	struct bytes signature) MUST_USE;

/* A purpose for each type; NULL for types that this version does not know. */
const char *record_purpose(Sauti__RecordType type);

/* Appends the bytes of an Entry holding a Record of that type over body, signed. ERR_INVALID: a
 * type that record_purpose does not know; ERR_LIMIT: the entry is over LIMIT_ENTRY_SIZE. */
enum err record_write(struct buf *out, Sauti__RecordType type, struct bytes body,
	const struct signer *node) MUST_USE;
/* The same with a signature made elsewhere (its size is checked, ERR_INVALID; it is not verified).
 */
enum err record_write_signed(struct buf *out, Sauti__RecordType type, struct bytes body,
	struct bytes signature) MUST_USE;

/* The Record in an entry: views into the arena. Types that are not known are returned too; the
 * signature is 64 bytes, not verified. ERR_MALFORMED, ERR_LIMIT, ERR_NOMEM. */
struct record {
	uint32_t type;
	struct bytes body, signature;
};
enum err record_read(
	struct bytes entry, struct arena *arena, struct record *ret, struct errctx *ctx) MUST_USE;

struct log_opened {
	const char *origin, *previous_origin; /* views into the arena when parsed */
	struct ed25519_public log_key;
	uint64_t opened_at;
};
/* The entry at index 0 of a log. ERR_INVALID for origins that are none; previous_origin "" or NULL
 * for the first epoch. */
enum err log_opened_write(
	struct buf *out, const struct log_opened *opened, const struct signer *node) MUST_USE;
/* Parses entry bytes; ERR_MALFORMED when it is no LogOpened of the right form; ERR_UNTRUSTED when
 * the signature is not node's (node NULL: not checked); ERR_NOMEM. Whether the origin is the
 * expected one is for the caller to compare. */
enum err log_opened_read(struct bytes entry, const struct ed25519_public *node, struct arena *arena,
	struct log_opened *ret, struct errctx *ctx) MUST_USE;

struct network_created {
	const char *network, *hq;
	struct ed25519_public hq_node;
	struct hash root_certificate; /* SHA-256 of the DER */
	uint64_t created_at;
};
/* ERR_INVALID for names that are not valid. */
enum err network_created_write(
	struct buf *out, const struct network_created *created, const struct signer *node) MUST_USE;
/* Parses a body; form only. */
enum err network_created_read(struct bytes body, struct arena *arena, struct network_created *ret,
	struct errctx *ctx) MUST_USE;

/* What one NodeAdmitted may say, wherever it stands: name valid and not reserved; role known;
 * country 3 upper-case letters for an office, "" for headquarters, either for an auditor; keys that
 * differ from each other, and no Ed25519 key of small order (anybody could sign for it).
 * ERR_MALFORMED naming what. */
enum err member_check(const struct member *member, struct errctx *ctx) MUST_USE;

/* The body of a NodeAdmitted for this member (not signed). active and admitted_index are not in
 * it. ERR_INVALID when the network's name or member_check is against it. */
enum err node_admitted_body(
	struct buf *out, const char *network, const struct member *member) MUST_USE;
/* Parses a body; form (member_check) and network only. ret->active is true, admitted_index 0.
 * ERR_MALFORMED, ERR_UNTRUSTED for another network, ERR_NOMEM. */
enum err node_admitted_read(struct bytes body, struct arena *arena, const char *network,
	struct member *ret, struct errctx *ctx) MUST_USE;

/* A node's key for mail that is sealed to it, in its own log. number > 0. */
struct prekey {
	uint64_t number;
	struct x25519_public key;
	uint64_t made_at; /* seconds, UTC */
};
/* The entry. ERR_INVALID for number 0. */
enum err prekey_write(
	struct buf *out, const struct prekey *prekey, const struct signer *node) MUST_USE;
/* Told by its first bytes: other entries need not be unpacked. */
bool prekey_looks_like(struct bytes entry);
/* Parses entry bytes. ERR_NOTFOUND: it does not look like one. ERR_MALFORMED; ERR_UNTRUSTED: not
 * signed by this key; ERR_NOMEM. */
enum err prekey_read(struct bytes entry, const struct ed25519_public *node, struct arena *arena,
	struct prekey *ret, struct errctx *ctx) MUST_USE;

#endif
