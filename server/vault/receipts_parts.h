/* What receipts.c and receipts_batch.c share. */
#ifndef SERVER_VAULT_RECEIPTS_PARTS_H
#define SERVER_VAULT_RECEIPTS_PARTS_H

#include "cases/receipt/receipt_row.h"
#include "server/vault/receipts.h"

struct receipts {
	struct receipt_clock_row clock; /* clock.base_s 0: there is no row yet */
	struct receipt_row *rows;       /* WAITING and LOGGED, in no order */
	size_t count, capacity;
	bool swept; /* rows of events that are gone were looked for, since the last batch */
};

/* Makes rows durable, all or none: those of `rows`, then the clock where it is not NULL. A row with
 * no state is removed. Nothing in memory changes. */
enum err receipts_put(struct book *book, struct vault_request *request,
	const struct receipt_row *rows, size_t count,
	const struct receipt_clock_row *clock) MUST_USE;

/* STEP. */
enum err receipts_step(struct book *book, struct vault_request *request) MUST_USE;

#endif
