/*
 * directory: who is a member, as the fold of headquarters' public log. Its caller feeds entries in
 * order, each proven against a checkpoint of the directory's log before; the fold is pure and
 * never trusts a record for more than its place and its signatures say:
 *
 *   index 0   LogOpened       signed by the hq node key that index 1 names (checked there)
 *   index 1   NetworkCreated  signed by the hq node key
 *   later     NodeAdmitted    signed by the node key it introduces; the first must be hq's own
 *             NodeKeysRotated signed by an active member's node key, whose keys then are the new
 *             NodeRevoked     signed by the hq node key: an active member other than hq itself
 *             NodeReplaced    signed by the hq node key: a member other than hq, active or revoked,
 *                             whose role and country stay; it is active then, with the new keys
 *             PolicyChanged   signed by the hq node key; names members that are active then
 *
 * A record that breaks a rule changes nothing; it is counted and its reason kept (directory_odd):
 * it is its author's fault and blocks nobody (DESIGN 8). A name is admitted once. A revoked member
 * stays in the table, not active: its name comes back by NodeReplaced alone, its keys never. No
 * key, TLS key hashes included, serves two names or two roles (C2SP tlog-cosignature: the signed
 * message does not name its cosigner), also none that a member had before; the directory's own log
 * key counts.
 *
 * Keys that a member had before stay known: for the LogOpened of older epochs, for evidence and
 * disputes. For what is new only the current ones count. Which key must have opened a log follows
 * from the counter of its epoch: each change of keys says up to which they are the former's.
 *
 * Lookups are by hash table. Not thread-safe; concurrent reads of a fold at rest are.
 */
#ifndef CERTS_DIRECTORY_H
#define CERTS_DIRECTORY_H

#include "base/bytes.h"
#include "base/crypto.h"
#include "base/limits.h"
#include "certs/ruling.h"

enum role { ROLE_UNKNOWN = 0, ROLE_HQ = 1, ROLE_OFFICE = 2, ROLE_AUDITOR = 3 };
const char *role_name(enum role role);  /* "hq", "office", "auditor", "unknown" */
enum role role_parse(const char *text); /* ROLE_UNKNOWN when it is none */

struct member {
	char name[LIMIT_NODE_NAME + 1];
	enum role role;
	char country[4]; /* "" for headquarters */
	bool active;
	struct hash tls_spki;
	struct ed25519_public node, mirror, witness;
	struct x25519_public complaint;
	uint64_t admitted_index;     /* in the directory log */
	uint64_t made_at;            /* seconds, UTC, as the record says */
	uint64_t keys_index;         /* the record that gave it the keys it has */
	const struct former *former; /* the keys it had before them; NULL: none */
	uint32_t changes;            /* how often they changed */
};

/* Keys that a member had. */
struct former {
	char name[LIMIT_NODE_NAME + 1];
	struct hash tls_spki;
	struct ed25519_public node, mirror, witness;
	struct x25519_public complaint;
	bool replaced;     /* by headquarters' word, not by their own */
	uint64_t index;    /* the record that ended them */
	uint64_t ended_at; /* .. seconds, UTC, as it says */
	uint32_t epoch;    /* logs up to this counter are of these keys, or of older ones */
	const struct former *former; /* those before; NULL: none */
};

struct directory;

/* network: copied. ERR_INVALID for a name that is not valid; ERR_NOMEM; ERR_CRYPTO (no randomness
 * for the seed of its hash table, which never shows in anything that leaves the fold). */
enum err directory_new(const char *network, struct directory **ret) MUST_USE;
void directory_free(struct directory *directory);

/* The next entry, index == directory_size(). Only ERR_NOMEM and ERR_LIMIT (there are
 * LIMIT_DIRECTORY_RECORDS already) are returned, and then nothing has changed: odd records are
 * counted and skipped. A record of a type that is not known is skipped without being odd. */
enum err directory_apply(struct directory *directory, struct bytes entry) MUST_USE;

uint64_t directory_size(const struct directory *directory); /* entries applied */
/* How many were odd; the last one's reason ("" when none was), valid until the next apply or free.
 * ret_last_reason may be NULL. */
uint64_t directory_odd(const struct directory *directory, const char **ret_last_reason);
const char *directory_network(const struct directory *directory);
/* What NetworkCreated says; false as long as there is none. */
bool directory_root_certificate(const struct directory *directory, struct hash *ret_sha256);
/* The origin that LogOpened gives, and its key; NULL until NetworkCreated has vouched for it.
 * ret_key may be NULL. */
const char *directory_origin(const struct directory *directory, struct ed25519_public *ret_key);

/* NULL when there is none. Pointers stay valid until the next apply or free. By a key that a member
 * had before it is not found. */
const struct member *directory_find(const struct directory *directory, struct bytes name);
const struct member *directory_find_spki(
	const struct directory *directory, const struct hash *spki);
/* NULL: not revoked, or replaced since. */
const struct revocation *directory_revocation(const struct directory *directory, struct bytes name);
/* The newest NodeReplaced of this name, as what it closed; NULL: there is none. */
const struct revocation *directory_replacement(
	const struct directory *directory, struct bytes name);
/* All that were revoked or replaced, in order; NULL past the end. */
const struct revocation *directory_closing(const struct directory *directory, size_t position);
/* The node key that must have signed the LogOpened of this log; NULL: of no member, or it is no
 * log's name. A branch's name is its log's. */
const struct ed25519_public *directory_opener(
	const struct directory *directory, const char *origin);
/* Up to where a log counts whose author was revoked or replaced. NULL and *ret_closed false: there
 * is no end; NULL and true: nothing of it counts. */
const struct revoked_log *directory_last(
	const struct directory *directory, const char *origin, bool *ret_closed);
/* What holds now: the newest PolicyChanged, or the built-in one; never NULL. */
const struct policy *directory_policy(const struct directory *directory);
/* Does a cosignature of this node count for the quorum: active, and among the policy's mirrors? */
bool directory_counts(const struct directory *directory, const char *mirror);
/* In order of admission; NULL past the end. */
const struct member *directory_at(const struct directory *directory, size_t position);

#endif
