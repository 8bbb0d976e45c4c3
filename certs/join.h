/*
 * join: the messages by which an invited node becomes a member (DESIGN 7, docs/PROTOCOL). Pure:
 * each function takes what arrived and gives what to send; sockets, files and durability are the
 * callers' (server/net for headquarters, cli for the joiner).
 *
 *   hq      invite            -> token                (the secret is stored with the invite)
 *   joiner  connects, ALPN sauti-join/1, without a certificate
 *   hq      JoinWelcome        the directory with its checkpoint
 *   joiner  checks it against the token, and the server's key against the directory
 *   joiner  JoinRequest        its keys; proof = HMAC(secret, label || .. || TLS exporter)
 *   hq      checks; burns the invite durably; admits; issues; JoinReply
 */
#ifndef CERTS_JOIN_H
#define CERTS_JOIN_H

#include "certs/directory.h"
#include "certs/keystore.h"
#include "proto/arena.h"
#include "proto/join.pb-c.h"

#define JOIN_EXPORTER_LABEL "EXPERIMENTAL sauti join 1"
enum { JOIN_SECRET_SIZE = 32, JOIN_EXPORTER_SIZE = 32 };

struct join_token {
	char network[LIMIT_NETWORK_NAME + 1];
	char name[LIMIT_NODE_NAME + 1];
	enum role role;
	char country[4];
	char addresses[4][LIMIT_ADDRESS + 1]; /* "" past the last */
	char directory_origin[LIMIT_ORIGIN + 1];
	struct ed25519_public directory_key;
	uint64_t directory_size;
	struct hash directory_root;
	uint8_t secret[JOIN_SECRET_SIZE]; /* wipe the struct after use */
	uint64_t expires_at;
	uint32_t epoch; /* > 0: in place of a machine whose logs have counters up to this one; the
			 * new machine's begin behind it */
};
/* "sauti-join-1.<base64url of JoinToken>": appended; a secret, wipe out with buf_wipe. ERR_INVALID:
 * what join_token_read would not take; ERR_LIMIT: over LIMIT_JOIN_TOKEN; ERR_NOMEM. */
enum err join_token_write(const struct join_token *token, struct buf *out) MUST_USE;
/* ERR_MALFORMED naming what; surrounding white space is ignored. Whether it has expired is for
 * headquarters to say: the joiner's clock may be wrong. ERR_NOMEM. */
enum err join_token_read(struct bytes text, struct join_token *ret, struct errctx *ctx) MUST_USE;

/* The joiner: the TLS server shows a key whose SPKI has this SHA-256. OK only if the directory
 * folded from the welcome is the token's (network, origin, log key, not smaller) and lists the key
 * for an active member with role hq; ERR_UNTRUSTED otherwise. The caller has verified before, in
 * this order: the checkpoint under token->directory_key, that the entries have its root, and that
 * their first token->directory_size have token->directory_root. */
enum err join_welcome_check(const struct join_token *token, const struct directory *directory,
	const struct hash *spki, struct errctx *ctx) MUST_USE;

/* HMAC-SHA-256(secret, "sauti/1 join" || lv16 network || lv16 name || SHA-256(tls SPKI) ||
 * SHA-256(admitted body) || exporter). */
enum err join_proof(const uint8_t secret[JOIN_SECRET_SIZE], const char *network, const char *name,
	struct bytes tls_spki, struct bytes admitted_body,
	const uint8_t exporter[JOIN_EXPORTER_SIZE], struct hash *ret) MUST_USE;

/* The joiner's request: member filled from keys and token, made_at = now (seconds, UTC). Appends
 * the packed JoinRequest. ERR_INVALID: the boot keys are for another node or network than the
 * token, or a key is missing; ERR_CRYPTO, ERR_NOMEM. */
enum err join_request_write(const struct join_token *token, const struct boot_keys *boot,
	const struct node_keys *keys, const uint8_t exporter[JOIN_EXPORTER_SIZE], uint64_t now,
	struct buf *out) MUST_USE;

/* A member whose keys rotate asks in the same way, without a token: its `node` key speaks for it.
 * boot and keys are the new ones; signer the node key that the directory lists. Errors of
 * rotation_body and node_sign. */
struct rotation;
enum err join_rotation_write(const struct rotation *rotation, const char *network,
	const struct boot_keys *boot, const struct signer *fresh, const struct signer *signer,
	struct buf *out) MUST_USE;
/* Headquarters: form, the new key's proof, the TLS key, and the signature of the key that the
 * directory lists; or, when it lists the new ones already, that they are just these. ERR_DENIED,
 * reason in ctx; ERR_NOMEM. The directory has the last word: apply the record to it. */
enum err join_rotation_check(const Sauti__JoinRequest *request, const struct directory *directory,
	struct member *ret, struct errctx *ctx) MUST_USE;

/* Headquarters: checks form, proof, expiry, self-signature, and that name, role, country and key
 * hash are those of the invite. ERR_DENIED (no more said to the stranger), reason in ctx for the
 * log; ERR_NOMEM, ERR_CRYPTO. Whether the invite was used is the caller's to know, and whether the
 * directory has room for these keys: apply the record to a fold before issuing anything. */
struct join_invite {
	char name[LIMIT_NODE_NAME + 1];
	enum role role;
	char country[4];
	uint8_t secret[JOIN_SECRET_SIZE];
	uint64_t expires_at;
};
enum err join_request_check(const Sauti__JoinRequest *request, const char *network,
	const struct join_invite *invite, const uint8_t exporter[JOIN_EXPORTER_SIZE], uint64_t now,
	struct member *ret, struct errctx *ctx) MUST_USE;

#endif
