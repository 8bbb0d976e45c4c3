/*
 * receipt_batch: the items of one batch, and when the next is due (docs/FORMAT, Receipts). A batch
 * has 16 items, or 64 when more than 16 wait, sorted by tag; what nobody waits for is random bytes
 * of the same size. One is written every day, also when nothing waits: when it comes and what it
 * looks like says nothing about receipts. Pure; times are the node's, in seconds, handed in.
 */
#ifndef CASES_RECEIPT_BATCH_H
#define CASES_RECEIPT_BATCH_H

#include "base/buf.h"
#include "cases/receipt/receipt.h"

enum {
	RECEIPT_DAY_S = 24 * 3600, /* between two batches, and before the first of a log */
	RECEIPT_DELAY_S = 3600,    /* .. and at most so much more, by chance */
	RECEIPT_APART_S = 20 * 3600,
};

/* Appends a batch of the first of these items; *ret_taken: how many, at most LIMIT_RECEIPTS_BATCH.
 * ERR_INVALID: two have the same tag. Errors of random_bytes, ERR_NOMEM. */
enum err receipt_batch_make(const struct receipt_item *items, size_t count, struct buf *out,
	size_t *ret_taken) MUST_USE;
/* The item with this tag among those of a batch; its place, or SIZE_MAX. */
size_t receipt_batch_find(struct bytes batch, const uint8_t tag[RECEIPT_TAG_SIZE]);
size_t receipt_batch_count(struct bytes batch);
void receipt_batch_at(struct bytes batch, size_t i, struct receipt_item *ret);

/*
 * When the next is due: RECEIPT_DAY_S and the delay after the last, or after the log was first
 * seen. A clock that went back makes nobody wait until it is there again: it is counted from now;
 * but never two batches within RECEIPT_APART_S of each other by what the clock said at any of them.
 */
struct receipt_clock {
	uint64_t base_s;     /* counted from here; 0: not begun */
	uint64_t delay_s;    /* by chance */
	uint64_t last_s;     /* of the last batch; 0: none */
	uint64_t furthest_s; /* the greatest of all of them */
};
/* A log begins, or the last batch was written (`written`); chance: random. */
void receipt_clock_start(
	struct receipt_clock *clock, uint64_t now_s, bool written, uint32_t chance);
/* Is a batch due? *ret_changed: the clock had gone back, and is counted from now. */
bool receipt_clock_due(struct receipt_clock *clock, uint64_t now_s, bool *ret_changed);

#endif
