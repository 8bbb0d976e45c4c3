/*
 * receipt_row: what a node remembers of receipts, in rows of its keyring of kind ROW_RECEIPT
 * (docs/FORMAT, Receipts): one for each that was given, named after the event RECEIPT_GIVEN, and
 * one that says when the next batch is due. No words are in it, and nothing that they derive but
 * the item, as it is public in the log; no case.
 *
 *   receipt = u8 1 || u8 state || event_id 16 || u64be made at
 *             || item 153                             of WAITING and LOGGED
 *             || lv16 origin || u64be index           of LOGGED: where the batch stands
 *   clock   = u8 1 || u8 4 || u64be base, delay, last, furthest || lv16 origin of the log it is of
 *             || u8 0, or u8 1 || u64be size before || SHA-256 of the batch's record: one is being
 *                written
 *
 * The item is kept until the quorum holds the batch: a log that is never signed again may lose its
 * last entries, and the item goes into the next batch of the next. Pure.
 */
#ifndef CASES_RECEIPT_ROW_H
#define CASES_RECEIPT_ROW_H

#include "cases/event/event.h"
#include "cases/receipt/receipt_batch.h"
#include "cases/seal/row.h"

/* Final: they stand on the disk. */
enum receipt_state {
	RECEIPT_WAITING = 1,   /* for the next batch: provisional */
	RECEIPT_LOGGED = 2,    /* in the log */
	RECEIPT_CONFIRMED = 3, /* .. and the quorum has held the batch */
};

struct receipt_row {
	enum receipt_state state;
	struct event_id event;
	uint64_t made_s; /* of CONFIRMED 0 */
	struct receipt_item item;
	char origin[LIMIT_ORIGIN + 1];
	uint64_t index;
};
struct receipt_clock_row {
	struct receipt_clock clock;
	char origin[LIMIT_ORIGIN + 1];
	bool writing;
	uint64_t size_before;
	struct hash body; /* of the record that is written */
};

void receipt_row_name(const struct event_id *event, struct row_name *ret);
void receipt_clock_name(struct row_name *ret);

void receipt_row_write(const struct receipt_row *row, struct buf *out);
void receipt_clock_write(const struct receipt_clock_row *row, struct buf *out);
/* ERR_CORRUPT. A row of the other sort is that, too: told apart by its name. */
enum err receipt_row_read(struct bytes plain, struct receipt_row *ret) MUST_USE;
enum err receipt_clock_read(struct bytes plain, struct receipt_clock_row *ret) MUST_USE;

#endif
