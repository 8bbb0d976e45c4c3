/*
 * escrow: how a node keeps its own case keys where they can be had again (DESIGN 9, docs/FORMAT
 * "Escrow"), and those version keys that it keeps for others.
 *
 *   escrow.c       the rows, what is in which chunk, what is safe
 *   escrow_plan.c  the next chunks, the next manifest, letters to custodians
 *   custody.c      version keys of other nodes: taken, given back
 *   recover.c      everything read again, by two shares
 *
 * One step at a time (VAULT_ESCROW): chunks that are missing, then the manifest that names them,
 * beside that letters. The loop signs and appends, and says with VAULT_ESCROW_WRITTEN how that
 * ended. A version key is durable here before any letter or chunk with it leaves.
 *
 * A key is *safe* when its chunk's version key is acknowledged by a quorum of custodians, and the
 * quorum of mirrors holds the manifest that names the chunk. That is looked at each time it is
 * asked: it may stop to be so.
 *
 * Of the vault's thread.
 */
#ifndef SERVER_VAULT_ESCROW_H
#define SERVER_VAULT_ESCROW_H

#include "cases/keys/erasure.h"
#include "cases/keys/escrow.h"
#include "cases/seal/row.h"
#include "certs/mail_escrow.h"
#include "certs/recovery.h"
#include "server/vault/internal.h"
#include "server/vault/refusal.h"

/* casebook_key.escrow of a key that is about to be erased. */
#define ESCROW_NEVER UINT32_MAX

struct escrow_holder {
	char node[LIMIT_NODE_NAME + 1];
	struct hash node_key;      /* SHA-256 of the key it had when it was sent the version key */
	uint64_t sent_at, held_at; /* held_at 0: it has not said so. sent_at: since the unlock */
	bool refused;
	struct erasure_prekeys prekeys; /* that it was sealed to */
};

struct escrow_vkey {
	struct escrow_id id;
	struct secret key;
	uint32_t number;
	uint64_t version; /* of the newest chunk under it; 0: none was written */
	char origin[LIMIT_ORIGIN + 1];
	uint64_t index;
	uint32_t keys;
	bool retired, gone; /* gone: its row was destroyed */
	bool writing;       /* a chunk may stand in the log of which nobody knows: after a cut it is
			       retired */
	uint64_t made_at;
	struct escrow_holder holders[LIMIT_ESCROW_CUSTODIANS];
	size_t holder_count;
	uint64_t manifest; /* index of the newest one that names this version, plus one */
	uint32_t settled;  /* so many of its keys were named by a manifest that was held .. */
	uint64_t settled_manifest; /* .. by this one, plus one */
};

/* Chunks that are being written. */
struct escrow_planned {
	uint32_t vkey;
	uint64_t version;
	size_t first, count; /* in keys */
};

struct escrow {
	bool set; /* there is a recovery key */
	struct secret tag_key;
	struct x25519_public recovery_key;
	uint64_t sequence, index; /* of the newest manifest */
	char origin[LIMIT_ORIGIN + 1];
	char custodians[LIMIT_ESCROW_CUSTODIANS][LIMIT_NODE_NAME + 1];
	size_t custodian_count;
	struct escrow_vkey *vkeys;
	size_t vkey_count, vkey_capacity;
	bool stale; /* the manifest is not what there is */
	/* On its way: nothing else is planned. */
	enum { ESCROW_IDLE, ESCROW_CHUNKS_GO, ESCROW_MANIFEST_GOES } busy;
	uint64_t ticket;
	struct casebook_key **plan_keys;
	size_t plan_key_count;
	struct escrow_planned plan[ESCROW_STEP_CHUNKS];
	size_t plan_count;
	/* Version keys for which this node asked, and those that came. */
	struct version_ids wanted;
	struct recovery_answer {
		struct version_key key;
		char from[LIMIT_NODE_NAME + 1];
		bool wanted;
	} * answers;
	size_t answer_count, answer_capacity;
	char answered[LIMIT_ESCROW_CUSTODIANS][LIMIT_NODE_NAME + 1]; /* by whom */
	size_t answered_count;
	uint64_t refused; /* version keys that were not those of the manifest */
	uint64_t held;    /* of the own log, when last looked at */
	bool letting_go;  /* an erasure waits */
	/* For others. */
	struct custody *custody;
};

enum err escrow_new(struct escrow **ret) MUST_USE;
void escrow_free(struct escrow *escrow); /* wipes; NULL is fine */
/* A row of the kinds ROW_ESCROW and ROW_CUSTODY. */
enum err escrow_load(
	struct book *book, const struct keyring_item *item, struct errctx *ctx) MUST_USE;
/* Once keys and logs are known: what is in the chunks. */
enum err escrow_settle(struct book *book, struct errctx *ctx) MUST_USE;

/* The requests VAULT_ESCROW*, VAULT_RECOVER*. */
enum err escrow_answer(struct book *book, struct vault_request *request) MUST_USE;
/* Own keys are about to be erased: they go into no chunk any more, and those that they are in are
 * made anew without them. *ret_ready: that is done, acknowledged by a quorum of custodians, and
 * held. Until then it is to be asked again. */
enum err escrow_let_go(struct book *book, const uint8_t (*kids)[SEAL_KID_SIZE], size_t count,
	bool *ret_ready, struct errctx *ctx) MUST_USE;
/* The version key of this name, which is its author's, is being destroyed. */
void escrow_vkey_forget(struct book *book, const char *author, const uint8_t id[ESCROW_ID_SIZE]);
/* Whose version key is it that is kept here under this name, and the hash of the node key that
 * signed for it; ERR_NOTFOUND: none. */
enum err custody_owner(struct book *book, const uint8_t id[ESCROW_ID_SIZE],
	char ret_owner[LIMIT_NODE_NAME + 1], struct hash *ret_signed_by) MUST_USE;

/* Is this key of the node's own safe, by request->held? */
bool escrow_safe(const struct book *book, const struct vault_request *request,
	const struct casebook_key *key);

/* Contents of mail; see complaint_take. ESCROW_KEYS, RECOVERY_ASK: custody.c. */
enum err escrow_held(struct book *book, const struct mail_item *item, struct bytes body,
	struct arena *arena, struct vault_request *request) MUST_USE;
enum err recover_answered(struct book *book, const struct mail_item *item, struct bytes body,
	struct arena *arena, struct vault_request *request) MUST_USE;
enum err custody_take(struct book *book, const struct mail_item *item, struct bytes body,
	struct arena *arena, struct vault_request *request) MUST_USE;
enum err custody_asked(struct book *book, const struct mail_item *item, struct bytes body,
	struct arena *arena, struct vault_request *request) MUST_USE;

/* ---- between these files ---- */

/* Not taken, recorded; why: of reading it, OK: its sender may not send it. */
enum err escrow_refuse(struct vault_request *request, enum mail_kind kind, enum err why) MUST_USE;

struct escrow_vkey *escrow_vkey_find(struct escrow *escrow, const uint8_t id[ESCROW_ID_SIZE]);
/* Room for one more; it is the caller's to fill. */
enum err escrow_vkey_add(struct escrow *escrow, struct escrow_vkey **ret) MUST_USE;
bool escrow_acknowledged(const struct escrow *escrow, const struct escrow_vkey *vkey);
size_t escrow_quorum(const struct escrow *escrow);
struct escrow_holder *escrow_holder_find(struct escrow_vkey *vkey, const char *node);
/* In one transaction: the row of each of these, and the head when `head`. */
enum err escrow_rows_put(struct book *book, struct escrow_vkey *const *vkeys, size_t count,
	bool head, struct errctx *ctx) MUST_USE;
/* Is everything escrowed, named and held? Counts what is not. */
struct escrow_counts {
	uint64_t keys, escrowed, safe, pending;
	size_t chunks, acknowledged;
	bool manifest_held;
};
void escrow_count(
	const struct book *book, const struct vault_request *request, struct escrow_counts *ret);
bool escrow_held_at(const struct vault_request *request, const char *origin, uint64_t index);
/* A version key of this node has taken its leave: its keys are to be escrowed anew. */
void escrow_retire(struct book *book, uint32_t vkey);
/* The number behind a vkey's keys, for all own keys; each(NULL: none) in the order of the book. */
struct casebook_key *escrow_next_key(
	const struct book *book, size_t *kase, struct casebook_key *key);

enum err escrow_plan_step(struct book *book, struct vault_request *request) MUST_USE;
enum err escrow_written(struct book *book, struct vault_request *request) MUST_USE;
enum err escrow_letter(struct vault_request *request, const struct book *book,
	const struct vault_custodian *to, enum mail_kind kind, struct bytes content) MUST_USE;

enum err custody_new(struct custody **ret) MUST_USE;
void custody_free(struct custody *custody);
void custody_forget(struct custody *custody, const char *owner);
enum err custody_load(
	struct book *book, const struct keyring_item *item, struct errctx *ctx) MUST_USE;
/* Letters to those whose wish may be granted now. */
enum err custody_answer(struct book *book, struct vault_request *request) MUST_USE;
/* ,"kept_for":[..],"asks":[..] */
void custody_put(const struct book *book, const struct vault_request *request, struct buf *json);

enum err recover_look(struct book *book, struct vault_request *request) MUST_USE;
enum err recover_run(struct book *book, struct vault_request *request) MUST_USE;
enum err recover_setup(struct book *book, struct vault_request *request) MUST_USE;
void recover_put(const struct book *book, struct buf *json);

#endif
