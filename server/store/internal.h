/*
 * The store from inside: its tables and keys, shared by store.c, verify.c and writer.c. The layout
 * is in store.h.
 *
 * What LMDB reports sticks in the transaction. What is wrong with the contents of one log is
 * returned, and does not stick: in the writer it must not fail the writes of other logs.
 */
#ifndef SERVER_STORE_INTERNAL_H
#define SERVER_STORE_INTERNAL_H

#include "proto/arena.h"
#include "replication/log/tiles.h"
#include "server/store/checked.h"
#include "server/store/store.h"

enum {
	DB_META,
	DB_LOGS,
	DB_HEADS,
	DB_ENTRIES,
	DB_TILES,
	DB_COSIGNATURES,
	DB_LOCATORS,
	DB_INVITES,
	DB_DAMAGE,
	DB_EVIDENCE,
	DB_PINS,
	DB_DISPUTES,
	DB_WITNESSED,
	DB_COUNT
};
_Static_assert((int)DB_COUNT <= (int)ENV_DATABASES, "every database needs a slot");

/* In `meta`: the public key that may have signed more than `seen` says, or nothing: whichever
 * it is at the next start. */
#define STORE_WITNESS_LOST "witness lost"

extern const char *const store_tables[DB_COUNT]; /* their names */

enum { LOCATOR_SIZE = 16 };

struct index;

struct store {
	struct env *env;
	struct index *index; /* of locators: index.h */
	uint64_t reserve;    /* bytes that replicas leave free */
	char node[LIMIT_NODE_NAME + 1];
};

/* A key of fixed shape. */
struct store_key {
	uint8_t b[28];
	uint8_t size;
};

static inline struct bytes store_key_bytes(const struct store_key *key)
{
	return bytes_make(key->b, key->size);
}

static inline struct store_key log_key(uint32_t log)
{
	struct store_key key = {.size = 4};

	put_u32be(key.b, log);
	return key;
}

static inline struct store_key entry_key(uint32_t log, uint64_t index)
{
	struct store_key key = {.size = 12};

	put_u32be(key.b, log);
	put_u64be(key.b + 4, index);
	return key;
}

static inline struct store_key tile_key(uint32_t log, struct tile_id id)
{
	struct store_key key = {.size = 13};

	put_u32be(key.b, log);
	key.b[4] = (uint8_t)id.level;
	put_u64be(key.b + 5, id.index);
	return key;
}

/* One row of `heads`. */
struct log_row {
	uint32_t number;
	uint64_t size;
	struct bytes checkpoint; /* a view, as txn_get */
};
/* ERR_NOTFOUND, ERR_CORRUPT, or what sticks in txn. */
enum err store_row(struct txn *txn, const struct origin *origin, struct log_row *ret,
	struct errctx *ctx) MUST_USE;

/* The commit number, 0 when there is none yet: ERR_CORRUPT, what sticks in txn. What fails to be
 * put sticks. */
enum err store_commits(struct txn *txn, uint64_t *ret) MUST_USE;
void store_commits_put(struct txn *txn, uint64_t commits);

/* A tile_source over one log in a transaction; ERR_CORRUPT for a tile that is missing or narrower
 * than asked. The view is as txn_get. */
struct store_tiles {
	struct txn *txn;
	uint32_t log;
};
enum err store_tiles_read(void *arg, struct tile_id id, unsigned width, struct bytes *ret) MUST_USE;

/* evidence.c: what one write asks for. Errors of the put stick in txn. ERR_LIMIT: LIMIT_EVIDENCE
 * are held, or LIMIT_EVIDENCE_PER_ORIGIN of that origin; ERR_MALFORMED: it is none. */
enum err store_evidence_check(
	struct txn *txn, const struct store_write *write, struct errctx *ctx) MUST_USE;
void store_evidence_put(struct txn *txn, const struct store_write *write);

/* disputes.c: the same. ERR_LIMIT: as many are held as all members may have made. */
enum err store_dispute_check(
	struct txn *txn, const struct store_write *write, struct errctx *ctx) MUST_USE;
void store_dispute_put(struct txn *txn, const struct store_write *write);

/* witnessed.c: what the witness key is put to. ERR_STALE: less than is stored, ERR_FORK: another of
 * that size, ERR_CORRUPT: the row is damaged, ERR_INVALID: a note of another log. Errors of the put
 * stick in txn. */
enum err store_witness_check(struct txn *txn, const struct log_row *row,
	const struct store_write *write, struct errctx *ctx) MUST_USE;
void store_witness_put(struct txn *txn, uint32_t log, const struct store_write *write);
/* Into the head; a damaged row is said to be so, and fails nothing. */
enum err store_witness_fill(struct txn *txn, uint32_t log, struct log_head *head) MUST_USE;
/* The row's parts: when, and the note, a view. False: it is none. */
bool store_witness_read(struct bytes value, uint64_t *ret_time_s, struct bytes *ret_note) MUST_USE;

/* *ret_found says whether it is a sealed entry with a locator of 16 bytes; anything else, malformed
 * too, has none. Clears the arena. ERR_NOMEM. */
enum err store_locator(struct arena *arena, struct bytes entry, bool *ret_found,
	uint8_t ret[LOCATOR_SIZE]) MUST_USE;

#endif
