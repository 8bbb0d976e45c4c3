/*
 * record: the signed public records that stand in logs, and the node signature they carry:
 * Ed25519 over "sauti/1 " || purpose || 0x00 || body (DESIGN 7).
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

enum err node_sign(const struct signer *node, const char *purpose, struct bytes body,
	struct ed25519_signature *ret) MUST_USE;
bool node_verify(const struct ed25519_public *node, const char *purpose, struct bytes body,
	struct bytes signature) MUST_USE;

/* Appends the bytes of an Entry holding a Record of that type over body, signed. */
enum err record_write(struct buf *out, Sauti__RecordType type, struct bytes body,
	const struct signer *node) MUST_USE;
/* The same with a signature made elsewhere. */
enum err record_write_signed(struct buf *out, Sauti__RecordType type, struct bytes body,
	struct bytes signature) MUST_USE;

struct log_opened {
	const char *origin, *previous_origin; /* views into the arena when parsed */
	struct ed25519_public log_key;
	uint64_t opened_at;
};
/* The entry at index 0 of a log. */
enum err log_opened_write(struct buf *out, const struct log_opened *opened,
	const struct signer *node) MUST_USE;
/* Parses entry bytes; ERR_MALFORMED when it is no LogOpened of the right form; ERR_UNTRUSTED when
 * the signature is not node's (node NULL: not checked). */
enum err log_opened_read(struct bytes entry, const struct ed25519_public *node,
	struct arena *arena, struct log_opened *ret, struct errctx *ctx) MUST_USE;

struct network_created {
	const char *network, *hq;
	struct ed25519_public hq_node;
	struct hash root_certificate; /* SHA-256 of the DER */
	uint64_t created_at;
};
enum err network_created_write(struct buf *out, const struct network_created *created,
	const struct signer *node) MUST_USE;

/* The body of a NodeAdmitted for this member (not signed). */
enum err node_admitted_body(struct buf *out, const char *network,
	const struct member *member) MUST_USE;
/* Parses a body; form only. */
enum err node_admitted_read(struct bytes body, struct arena *arena, const char *network,
	struct member *ret, struct errctx *ctx) MUST_USE;

#endif
