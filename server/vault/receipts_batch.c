/*
 * From the rows into the log. Happy path of one STEP that finds a batch due: begin (which log,
 * which clock), settle (nothing is being written), confirm (nothing has changed), due: the oldest
 * rows that wait become a record; "it is being written" is durable; the record goes back to the
 * loop. The next STEP settles it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "certs/record_receipt.h"
#include "server/vault/receipts_parts.h"

/* ---- what was being written ---- */

/* The record of that body, from `from` on; *ret_index SIZE_MAX: it is not there. */
static enum err search(struct book *book, const struct receipt_clock_row *clock,
	uint64_t *ret_index, struct buf *ret_items, struct errctx *ctx)
{
	CLEANUP(arena_release) struct arena arena;
	struct log_head head = {.size = 0};
	struct origin origin = {""};
	struct hash hash;
	enum err err;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	*ret_index = UINT64_MAX;
	snprintf(origin.text, sizeof(origin.text), "%s", clock->origin);
	err = store_head(book->opts.store, &origin, &head, ctx);
	for (uint64_t i = clock->size_before; err == OK && i < head.size; i++) {
		struct receipt_tags tags;

		buf_clear(&book->entry);
		err = book_go_on(book);
		if (err == OK)
			err = store_entry(book->opts.store, &origin, i, &book->entry, ctx);
		if (err != OK ||
			receipt_tags_read(buf_bytes(&book->entry), NULL, &arena, &tags, NULL) != OK)
			continue;
		sha256(tags.body, &hash);
		if (!hash_equal(&hash, &clock->body))
			continue;
		*ret_index = i;
		buf_put(ret_items, tags.items);
		err = ret_items->err;
		break;
	}
	log_head_release(&head);
	return err == ERR_NOTFOUND ? OK : err; /* the log is not here: nor is the record */
}

static uint32_t chance(void)
{
	uint32_t value = 0;

	/* Without it the delay is none: nobody waits for that. */
	return random_bytes((uint8_t *)&value, sizeof(value)) == OK ? value : 0;
}

/* Rows whose items are in that batch are LOGGED, in the same transaction as the clock. */
static enum err settle_written(struct book *book, struct vault_request *request, uint64_t index,
	struct bytes batch, struct receipt_clock_row *clock)
{
	struct receipts *r = book->receipts;
	struct receipt_row *rows = mem_array(LIMIT_RECEIPTS_BATCH, sizeof(*rows));
	size_t count = 0;
	enum err err;

	if (rows == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < r->count && count < LIMIT_RECEIPTS_BATCH; i++) {
		if (r->rows[i].state != RECEIPT_WAITING ||
			receipt_batch_find(batch, r->rows[i].item.b) == SIZE_MAX)
			continue;
		rows[count] = r->rows[i];
		rows[count].state = RECEIPT_LOGGED;
		rows[count].index = index;
		memcpy(rows[count++].origin, clock->origin, sizeof(clock->origin));
	}
	receipt_clock_start(&clock->clock, request->node_s, true, chance());
	err = receipts_put(book, request, rows, count, clock);
	for (size_t n = 0; err == OK && n < count; n++)
		for (size_t i = 0; i < r->count; i++)
			if (memcmp(r->rows[i].event.b, rows[n].event.b, EVENT_ID_SIZE) == 0)
				r->rows[i] = rows[n];
	mem_free(rows);
	return err;
}

static enum err settle(struct book *book, struct vault_request *request)
{
	struct receipts *r = book->receipts;
	struct receipt_clock_row clock = r->clock;
	CLEANUP(buf_release) struct buf items;
	uint64_t index;

	buf_init(&items, LIMIT_RECEIPTS_BATCH * LIMIT_RECEIPT_ITEM);
	if (!r->clock.writing)
		return OK;
	TRY(search(book, &r->clock, &index, &items, &request->ctx));
	clock.writing = false;
	if (index == UINT64_MAX)
		TRY(receipts_put(book, request, NULL, 0, &clock));
	else
		TRY(settle_written(book, request, index, buf_bytes(&items), &clock));
	r->clock = clock;
	r->swept = false;
	return OK;
}

/* ---- what is held ---- */

static uint64_t held_of(const struct vault_request *request, const char *origin)
{
	for (size_t i = 0; i < request->held_count; i++)
		if (strcmp(request->held[i].origin, origin) == 0)
			return request->held[i].size;
	return 0;
}

/* Without the item: which of a batch it was is not known here any more. Of an event that is erased
 * nothing stays. */
static struct receipt_row confirmed(const struct book *book, const struct receipt_row *row)
{
	struct receipt_row after = {.state = RECEIPT_CONFIRMED, .event = row->event};

	if (!casebook_find_event(book->cases, &row->event, NULL))
		after.state = 0;
	return after;
}

static enum err confirm_one(struct book *book, struct vault_request *request, size_t i)
{
	struct receipts *r = book->receipts;
	const char *own = book->logs[BOOK_OWN_LOG].origin.text;
	struct receipt_row after = r->rows[i];

	if (after.index < held_of(request, after.origin))
		after = confirmed(book, &after);
	else if (strcmp(after.origin, own) != 0)
		after = (struct receipt_row){.state = RECEIPT_WAITING,
			.event = after.event,
			.made_s = after.made_s,
			.item = after.item};
	else
		return OK;
	TRY(receipts_put(book, request, &after, 1, NULL));
	if (after.state == RECEIPT_WAITING)
		r->rows[i] = after;
	else
		r->rows[i] = r->rows[--r->count];
	return OK;
}

static enum err confirm(struct book *book, struct vault_request *request)
{
	struct receipts *r = book->receipts;

	for (size_t i = r->count; i-- > 0;) {
		TRY(book_go_on(book));
		if (r->rows[i].state == RECEIPT_LOGGED)
			TRY(confirm_one(book, request, i));
	}
	return OK;
}

/* ---- what is erased ---- */

struct sweep {
	struct book *book;
	struct receipt_row *rows;
	size_t count;
};

static enum err sweep_row(void *arg, const struct keyring_item *item, struct errctx *ctx)
{
	CLEANUP(buf_release) struct buf plain;
	struct sweep *sweep = arg;
	struct receipt_row row;
	struct row_name name;

	(void)ctx;
	buf_init(&plain, ROW_PLAIN_MAX);
	TRY(book_go_on(sweep->book));
	memcpy(name.b, item->kid, sizeof(name.b));
	if (sweep->count == LIMIT_RECEIPTS_BATCH || row_kind(item->value) != ROW_RECEIPT ||
		row_unwrap(secret_bytes(&sweep->book->keyring_key), ROW_RECEIPT, &name, item->value,
			&plain) != OK ||
		receipt_row_read(buf_bytes(&plain), &row) != OK || row.state != RECEIPT_CONFIRMED ||
		casebook_find_event(sweep->book->cases, &row.event, NULL))
		return OK;
	sweep->rows[sweep->count++] = (struct receipt_row){.event = row.event};
	return OK;
}

/* CONFIRMED rows of events that were erased: with each batch, as many as a batch has. */
static enum err sweep(struct book *book, struct vault_request *request)
{
	struct sweep s = {book, mem_array(LIMIT_RECEIPTS_BATCH, sizeof(*s.rows)), 0};
	enum err err;

	if (s.rows == NULL)
		return ERR_NOMEM;
	err = keyring_each(book->opts.keyring, sweep_row, &s, &request->ctx);
	if (err == OK)
		err = receipts_put(book, request, s.rows, s.count, NULL);
	book->receipts->swept = err == OK && s.count < LIMIT_RECEIPTS_BATCH;
	mem_free(s.rows);
	return err;
}

/* ---- the next batch ---- */

static int older_first(const void *a, const void *b)
{
	const struct receipt_row *x = *(const struct receipt_row *const *)a;
	const struct receipt_row *y = *(const struct receipt_row *const *)b;

	return x->made_s != y->made_s ? (x->made_s < y->made_s ? -1 : 1)
				      : memcmp(x->event.b, y->event.b, sizeof(x->event.b));
}

static enum err items_gather(const struct receipts *r, struct receipt_item **ret, size_t *ret_count)
{
	const struct receipt_row **order = mem_array(r->count + 1, sizeof(const void *));
	struct receipt_item *items = mem_array(r->count + 1, sizeof(*items));
	size_t count = 0;

	if (order == NULL || items == NULL) {
		mem_free(order);
		mem_free(items);
		return ERR_NOMEM;
	}
	for (size_t i = 0; i < r->count; i++)
		if (r->rows[i].state == RECEIPT_WAITING)
			order[count++] = &r->rows[i];
	qsort(order, count, sizeof(*order), older_first);
	for (size_t i = 0; i < count; i++)
		items[i] = order[i]->item;
	mem_free(order);
	*ret = items;
	*ret_count = count;
	return OK;
}

static enum err make_body(const struct receipts *r, struct buf *ret)
{
	CLEANUP(buf_release) struct buf batch;
	struct receipt_item *items = NULL;
	size_t count = 0, taken;
	enum err err;

	buf_init(&batch, LIMIT_RECEIPTS_BATCH * LIMIT_RECEIPT_ITEM);
	buf_init(ret, LIMIT_ENTRY_SIZE);
	TRY(items_gather(r, &items, &count));
	err = receipt_batch_make(items, count, &batch, &taken);
	mem_free(items);
	return err == OK ? receipt_tags_body(ret, buf_bytes(&batch)) : err;
}

static enum err write_batch(struct book *book, struct vault_request *request)
{
	struct receipts *r = book->receipts;
	struct vault_receipts *io = request->receipts;
	struct receipt_clock_row clock = r->clock;
	struct log_head head;
	enum err err;

	TRY(store_head(book->opts.store, &book->logs[BOOK_OWN_LOG].origin, &head, &request->ctx));
	clock.size_before = head.size;
	log_head_release(&head);
	TRY(make_body(r, &io->body));
	sha256(buf_bytes(&io->body), &clock.body);
	clock.writing = true;
	err = receipts_put(book, request, NULL, 0, &clock);
	if (err != OK) {
		buf_release(&io->body);
		return err;
	}
	r->clock = clock;
	snprintf(request->log_origin, sizeof(request->log_origin), "%s", clock.origin);
	return OK;
}

/* The clock of the log that is written now. */
static enum err begin(struct book *book, struct vault_request *request)
{
	struct receipts *r = book->receipts;
	const char *own = book->logs[BOOK_OWN_LOG].origin.text;
	struct receipt_clock_row clock = r->clock;

	if (clock.clock.base_s != 0 && strcmp(clock.origin, own) == 0)
		return OK;
	receipt_clock_start(&clock.clock, request->node_s, false, chance());
	snprintf(clock.origin, sizeof(clock.origin), "%.*s", LIMIT_ORIGIN, own);
	TRY(receipts_put(book, request, NULL, 0, &clock));
	r->clock = clock;
	return OK;
}

static enum err due(struct book *book, struct vault_request *request, bool *ret)
{
	struct receipts *r = book->receipts;
	struct receipt_clock_row clock = r->clock;
	bool changed;

	*ret = receipt_clock_due(&clock.clock, request->node_s, &changed);
	if (!changed)
		return OK;
	TRY(receipts_put(book, request, NULL, 0, &clock));
	r->clock = clock;
	return OK;
}

enum err receipts_step(struct book *book, struct vault_request *request)
{
	bool now;

	TRY(settle(book, request));
	TRY(confirm(book, request));
	if (!book->receipts->swept)
		TRY(sweep(book, request));
	TRY(begin(book, request));
	TRY(due(book, request, &now));
	return now && request->receipts->writable ? write_batch(book, request) : OK;
}
