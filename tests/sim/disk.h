/*
 * disk: the simulator's store (replication/engine/store.h). What is submitted waits until disk_sync
 * makes it durable; a loss of power forgets what waits. It refuses what the real store refuses,
 * with the same errors: tests/lib/store_conformance.h holds both to one model.
 */
#ifndef TESTS_SIM_DISK_H
#define TESTS_SIM_DISK_H

#include "replication/engine/store.h"

enum { DISK_LOGS_MAX = 128 };

/* One log, as it is durable. */
struct disk_log {
	struct origin origin;
	size_t size, capacity;
	struct entries **block; /* for each index, the block it came in */
	size_t *offset;         /* .. and its place there */
	struct hash *leaf;
	struct buf checkpoint, pin;
	struct checkpoint seen; /* by the witness key; size 0: none */
	struct buf seen_note;
	uint64_t seen_s;
	struct store_cosignature *cosigned; /* in the order of names */
	size_t cosigned_count;
};
struct disk_evidence {
	struct hash id;
	struct buf message;
};
/* Zeroed is empty. */
struct disk {
	struct disk_evidence *evidence;
	size_t evidence_count;
	struct disk_log *logs[DISK_LOGS_MAX];
	size_t log_count;
	uint64_t commits; /* that changed something */
	/* The mark that what a witness key signed is not all known, and what each commit is to
	 * put there. */
	bool witness_lost, witness_losing;
	struct ed25519_public lost_key, losing_key;
	struct store_write *queue, *queue_last; /* submitted, not yet durable */
	size_t queued;                          /* .. how many */
	bool broken; /* what it reports is not what it has: everything fails until it is opened anew
		      */
};
void disk_release(struct disk *disk);
/* `ret`, empty, becomes what `disk` has durable: an image of it. */
void disk_copy(const struct disk *disk, struct disk *ret);

void disk_submit(struct disk *disk, struct store_write *write); /* takes it */
/* Told of each write that becomes durable, right before it does. */
struct disk_watch {
	void (*durable)(void *arg, const struct store_write *write);
	void *arg;
};
/* Makes durable what was submitted, in order, and gives it back with results; the caller frees.
 * `refused` other than OK: the disk refuses the whole commit with that. */
struct store_write *disk_sync(struct disk *disk, enum err refused, const struct disk_watch *watch);
/* Power is lost. The first `reached` of what was submitted were on the disk already. */
void disk_lose(struct disk *disk, size_t reached, const struct disk_watch *watch);

/* A write by itself, durable at once. ERR_INVALID: its entries do not follow, its checkpoint is of
 * another log or beyond the end; ERR_MALFORMED: origin or checkpoint; ERR_LIMIT: too many logs.
 * Nothing has changed then. */
enum err disk_apply(struct disk *disk, const struct store_write *write) MUST_USE;

struct disk_log *disk_find(struct disk *disk, const struct origin *origin);
struct bytes disk_entry(const struct disk_log *log, size_t index);
void disk_head(const struct disk_log *log, struct log_head *ret);
/* ERR_NOTFOUND: no such log; ERR_INVALID: not first < target <= size. */
enum err disk_read(
	struct disk *disk, const struct store_read *read, struct store_batch *ret) MUST_USE;
void disk_root(const struct disk_log *log, uint64_t size, struct hash *ret);

#endif
