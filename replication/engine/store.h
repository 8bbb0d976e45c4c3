/*
 * What the engine asks of a store. The engine never calls one: it hands out struct store_write and
 * struct store_read as effects, and is told of the outcome by events. Two implementations: LMDB in
 * server/store, and the simulator's, which loses what was not synced.
 *
 * A store guarantees: a write that was reported OK is durable, whole, and visible to every later
 * read; writes of one log happen in the order given; a write that failed changed nothing.
 */
#ifndef REPLICATION_ENGINE_STORE_H
#define REPLICATION_ENGINE_STORE_H

#include "replication/log/checkpoint.h"
#include "replication/log/entries.h"
#include "replication/log/tree.h"

/* One change of one log: entries [first, first + count) and the tiles over them, and/or a
 * checkpoint, and/or one mirror's cosignature. All in one transaction. */
struct store_write {
	struct origin origin;    /* the log is made by its first write */
	uint64_t first;          /* must be the log's size when there are entries */
	struct entries *entries; /* may be NULL; one reference, owned */
	struct buf checkpoint; /* signed note, its size <= first + count; empty: unchanged. owned */
	char cosigner[NOTE_KEY_NAME_MAX + 1]; /* "" : none */
	uint64_t cosigned_size;
	struct buf cosignature; /* opaque to the store: root || line; replaces the older. owned */
	bool heal; /* the entries stand in for damaged ones that the store has marked; `first` is
		    * where they belong, and nothing else is written */
	/* The signed note that the entries were proven against, when it is not reached yet: kept
	 * beside them until a checkpoint is written, so that it stays known who vouched for them.
	 * owned */
	struct buf pin;
	/* An evidence of a fork, and its id: then nothing else is in the write, and no log is made.
	 * One that is there already is left as it is. owned */
	struct buf evidence;
	struct hash evidence_id;
	/* A dispute, and its id: as evidence. owned */
	struct buf dispute;
	struct hash dispute_id;
	/* The log's signed note that this node's witness key may be put to from now on, and when
	 * (seconds since 1970); empty: unchanged. Of one that is stored it must be no smaller and
	 * no other of that size: ERR_STALE, ERR_FORK. owned */
	struct buf witness;
	uint64_t witness_s;
	uint64_t ticket;          /* the asker's, given back */
	enum err result;          /* set by the store */
	struct store_write *next; /* the store's and its caller's queues */
};
/* NULL when out of memory; free releases everything owned. */
struct store_write *store_write_new(const struct origin *origin);
void store_write_free(struct store_write *write);

/* An entry that the store knows to be damaged, and its leaf hash, for which its tree vouches. */
struct store_mark {
	uint64_t index;
	struct hash leaf;
};

/* READ_BATCH: as many entries from `first` on as the caps allow, not past `target`, and the
 * consistency proof from behind them to `target`. READ_PROOF: the root at size `first` and the
 * consistency proof from there to `target`; then 1 <= first <= target. */
enum store_read_kind { READ_BATCH, READ_PROOF };
struct store_read {
	enum store_read_kind kind;
	struct origin origin;
	uint64_t first, target;     /* first < target <= size */
	size_t count_max, size_max; /* at least one entry is given whatever its size */
	uint64_t ticket;
};
struct store_batch {
	struct entries *entries; /* one reference, the receiver's; NULL for READ_PROOF */
	struct proof proof;      /* from first + entries->count, or from first, to target */
	struct hash root;        /* of READ_PROOF */
};

struct store_cosignature {
	char cosigner[NOTE_KEY_NAME_MAX + 1];
	uint64_t size;
	struct buf line; /* as it was written: root || line */
};

/* What a store knows of one log when it is opened. */
struct log_head {
	struct origin origin;
	uint64_t size;          /* entries held */
	struct compact compact; /* of [0, size) */
	struct buf checkpoint;  /* newest signed note stored; empty: none. Its size <= size */
	struct buf first_entry; /* the entry at index 0 */
	struct buf pin;     /* the note that entries behind the checkpoint were proven against */
	struct buf witness; /* what the witness key was put to last; empty: nothing */
	uint64_t witness_s;
	bool witness_damaged;                   /* .. or nobody knows */
	struct store_cosignature *cosignatures; /* newest of each cosigner */
	size_t cosignature_count;
};
void log_head_release(struct log_head *head);

#endif
