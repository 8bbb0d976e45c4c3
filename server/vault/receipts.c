#include "server/vault/receipts.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "replication/log/tree.h"
#include "server/vault/receipts_parts.h"
#include "server/vault/reveal.h"

enum { ROW_VALUE_MAX = 512, LATE_S = 3 * 24 * 3600 };

enum err receipts_new(struct receipts **ret)
{
	*ret = mem_zalloc(sizeof(**ret));
	if (*ret == NULL)
		return ERR_NOMEM;
	(*ret)->swept = true; /* the next batch is early enough */
	return OK;
}

void receipts_free(struct receipts *receipts)
{
	if (receipts == NULL)
		return;
	mem_free(receipts->rows);
	mem_free(receipts);
}

/* ---- rows ---- */

static enum err add(struct receipts *r, const struct receipt_row *row)
{
	if (r->count == r->capacity) {
		size_t capacity = r->capacity == 0 ? 16 : 2 * r->capacity;
		struct receipt_row *rows = mem_array(capacity, sizeof(*rows));

		if (rows == NULL)
			return ERR_NOMEM;
		if (r->count > 0)
			memcpy(rows, r->rows, r->count * sizeof(*rows));
		mem_free(r->rows);
		r->rows = rows;
		r->capacity = capacity;
	}
	r->rows[r->count++] = *row;
	return OK;
}

enum err receipts_load(struct book *book, const struct keyring_item *item, struct errctx *ctx)
{
	CLEANUP(buf_release) struct buf plain;
	struct receipts *r = book->receipts;
	struct row_name name, clock;
	struct receipt_row row;
	enum err err;

	buf_init(&plain, ROW_PLAIN_MAX);
	memcpy(name.b, item->kid, sizeof(name.b));
	receipt_clock_name(&clock);
	err = row_unwrap(secret_bytes(&book->keyring_key), ROW_RECEIPT, &name, item->value, &plain);
	if (err == OK && memcmp(name.b, clock.b, sizeof(name.b)) == 0)
		err = receipt_clock_read(buf_bytes(&plain), &r->clock);
	else if (err == OK) {
		err = receipt_row_read(buf_bytes(&plain), &row);
		if (err == OK && row.state != RECEIPT_CONFIRMED)
			err = add(r, &row);
	}
	return err == OK ? OK : err_wrap(ctx, err, "a row of receipts");
}

static enum err wrap(struct book *book, const struct row_name *name, struct bytes plain,
	struct buf *values, struct keyring_item *ret)
{
	size_t at = values->size;

	memcpy(ret->kid, name->b, sizeof(ret->kid));
	ret->value = BYTES_NONE;
	if (plain.size == 0)
		return OK;
	TRY(row_wrap(secret_bytes(&book->keyring_key), ROW_RECEIPT, name, plain, values));
	ret->value = bytes_make(values->data + at, values->size - at);
	return OK;
}

static enum err wrap_all(struct book *book, const struct receipt_row *rows, size_t count,
	const struct receipt_clock_row *clock, struct buf *values, struct keyring_item *items)
{
	CLEANUP(buf_release) struct buf plain;
	struct row_name name;

	buf_init(&plain, ROW_VALUE_MAX);
	for (size_t i = 0; i < count; i++) {
		buf_clear(&plain);
		if (rows[i].state != 0)
			receipt_row_write(&rows[i], &plain);
		TRY(plain.err);
		receipt_row_name(&rows[i].event, &name);
		TRY(wrap(book, &name, buf_bytes(&plain), values, &items[i]));
	}
	if (clock == NULL)
		return OK;
	buf_clear(&plain);
	receipt_clock_write(clock, &plain);
	TRY(plain.err);
	receipt_clock_name(&name);
	return wrap(book, &name, buf_bytes(&plain), values, &items[count]);
}

enum err receipts_put(struct book *book, struct vault_request *request,
	const struct receipt_row *rows, size_t count, const struct receipt_clock_row *clock)
{
	size_t items_count = count + (clock != NULL);
	struct keyring_item *items = mem_array(items_count + 1, sizeof(*items));
	CLEANUP(buf_release) struct buf values;
	enum err err;

	buf_init(&values, items_count * ROW_VALUE_MAX + 1);
	if (items == NULL)
		return ERR_NOMEM;
	err = buf_reserve(&values, items_count * ROW_VALUE_MAX + 1) == NULL /* views stay valid */
		      ? values.err
		      : wrap_all(book, rows, count, clock, &values, items);
	if (err == OK && items_count > 0) {
		err = keyring_update(book->opts.keyring, items, items_count, &request->ctx);
		request->trouble = keyring_trouble(book->opts.keyring);
	}
	mem_free(items);
	return err;
}

/* ---- giving ---- */

static bool is_own(const struct timeline *timeline, size_t i)
{
	return timeline_author(timeline, i)[0] == '\0';
}

/* Of the case as it is read: the first contact, where the office is, how many were given. */
struct found {
	const struct event *opened; /* NULL: not this node's */
	size_t given;
	char office[4]; /* where the node has no country */
};

static struct found look(const struct timeline *timeline)
{
	struct found found = {.opened = NULL};

	for (size_t i = 0; i < timeline_count(timeline); i++) {
		const struct event *event = timeline_event(timeline, i);

		if (!is_own(timeline, i))
			continue;
		memcpy(found.office, event->office, sizeof(found.office));
		found.given += event->type == EVENT_RECEIPT_GIVEN;
		if (event->type == EVENT_CASE_OPENED && found.opened == NULL)
			found.opened = event;
	}
	return found;
}

static enum err check_room(const struct book *book, const struct found *found, struct errctx *ctx)
{
	if (found->given >= LIMIT_RECEIPTS_CASE)
		return err_set(ctx, ERR_LIMIT,
			"%d receipts were given for this case already: there is no room for more",
			LIMIT_RECEIPTS_CASE);
	if (book->receipts->count >= LIMIT_RECEIPTS_OPEN)
		return err_set(ctx, ERR_LIMIT,
			"%d receipts of this office are not held by the quorum yet: no more can be "
			"given until the node has met its peers",
			LIMIT_RECEIPTS_OPEN);
	return OK;
}

/* Which entry the box names: read, and found to be what it should be, first. */
static enum err find_box(struct book *book, const struct casebook_case *kase,
	const struct event *opened, struct receipt_box *ret, struct errctx *ctx)
{
	struct casebook_at at;
	struct reveal_place place;

	if (opened == NULL)
		return err_set(ctx, ERR_DENIED,
			"the first contact was recorded by another office: that office gives the "
			"receipt");
	if (!reveal_find(book, kase, GROUP_CORE, &opened->id, &place))
		return err_set(
			ctx, ERR_NOTFOUND, "the record of the first contact is not in the log yet");
	at = (struct casebook_at){
		place.entry->i, casebook_entry_index(place.entry), place.entry->log};
	TRY(book_read(book, place.key, &at, ctx));
	book_part_wipe(book);
	tree_leaf(buf_bytes(&book->entry), &ret->leaf);
	ret->origin = book_log_at(book, at.log)->hash;
	ret->index = at.index;
	return OK;
}

static enum err draw(struct book *book, const struct receipt_box *box, struct vault_receipts *io,
	struct receipt_item *ret)
{
	struct receipt_words words;
	struct receipt_keys keys = {.tag = {0}};
	enum err err = receipt_words_draw(&words);

	if (err == OK)
		err = receipt_keys_derive(&words, book->opts.network, &keys);
	if (err == OK)
		err = receipt_item_make(&keys, box, ret);
	if (err == OK)
		receipt_words_text(&words, io->words);
	wipe(&words, sizeof(words));
	wipe(&keys, sizeof(keys));
	return err;
}

/* medium and dates were checked: they need no escaping. */
static enum err write_line(const struct casebook_case *kase, const struct found *found,
	const struct book *book, const struct vault_request *request)
{
	struct vault_receipts *io = request->receipts;
	char ref[2 * CASE_REF_SIZE + 1], today[11];

	request_today(request, today);
	case_ref_text(&kase->ref, ref);
	buf_init(&io->line, LIMIT_EVENT_JSON);
	buf_printf(&io->line,
		"{\"type\":\"RECEIPT_GIVEN\",\"event_id\":\"%s\",\"case_ref\":\"%s\","
		"\"occurred_on\":\"%s\",\"medium\":\"%s\"",
		io->event_id, ref, today, io->medium);
	if (io->risk_on[0] != '\0')
		buf_printf(&io->line, ",\"risk_discussed_on\":\"%s\"", io->risk_on);
	if (book->opts.country[0] == '\0')
		buf_printf(&io->line, ",\"office\":\"%s\"", found->office);
	buf_put_u8(&io->line, '}');
	return io->line.err;
}

static enum err make_item(struct book *book, const struct casebook_case *kase,
	const struct found *found, struct vault_request *request)
{
	struct vault_receipts *io = request->receipts;
	struct receipt_row row = {.state = RECEIPT_WAITING, .made_s = request->now_s};
	struct receipt_box box;
	uint8_t random[10];
	enum err err;

	TRY(check_room(book, found, &request->ctx));
	TRY(find_box(book, kase, found->opened, &box, &request->ctx));
	TRY(random_bytes(random, sizeof(random)));
	row.event = event_id_make(request->now_ms, random);
	event_id_text(&row.event, io->event_id);
	TRY(write_line(kase, found, book, request));
	TRY(draw(book, &box, io, &row.item));
	err = receipts_put(book, request, &row, 1, NULL);
	return err == OK ? add(book->receipts, &row) : err;
}

static uint64_t due_at(const struct receipts *r)
{
	return r->clock.clock.base_s == 0
		       ? 0
		       : r->clock.clock.base_s + r->clock.clock.delay_s + RECEIPT_DAY_S;
}

static enum err make(struct book *book, struct vault_request *request)
{
	const struct casebook_case *kase;
	const struct case_state *state;
	struct timeline *timeline;
	uint64_t unread = 0;
	enum err err;

	TRY(case_named(book, request, &kase, &state));
	TRY(timeline_new(&timeline));
	err = show_read(book, kase, timeline, &unread, &request->ctx);
	if (err == OK) {
		struct found found = look(timeline);

		err = make_item(book, kase, &found, request);
	}
	request->receipts->due_s = due_at(book->receipts);
	timeline_free(timeline);
	return err;
}

static struct receipt_row *find(const struct book *book, const struct event_id *event)
{
	for (size_t i = 0; i < book->receipts->count; i++)
		if (memcmp(book->receipts->rows[i].event.b, event->b, sizeof(event->b)) == 0)
			return &book->receipts->rows[i];
	return NULL;
}

/* One that is in a batch already stays: nobody knows its words. */
static enum err drop(struct book *book, struct vault_request *request)
{
	struct receipt_row gone = {.made_s = 0}, *row;

	TRY(event_id_parse(bytes_str(request->receipts->event_id), &gone.event));
	row = find(book, &gone.event);
	if (row == NULL || row->state != RECEIPT_WAITING || book->receipts->clock.writing)
		return OK;
	TRY(receipts_put(book, request, &gone, 1, NULL));
	*row = book->receipts->rows[--book->receipts->count];
	return OK;
}

/* ---- showing ---- */

static enum err is_confirmed(struct book *book, const struct event_id *event, bool *ret)
{
	CLEANUP(buf_release) struct buf value;
	CLEANUP(buf_release) struct buf plain;
	struct receipt_row row = {.made_s = 0};
	struct row_name name;
	enum err err;

	*ret = false;
	buf_init(&value, KEYRING_VALUE_MAX);
	buf_init(&plain, ROW_PLAIN_MAX);
	receipt_row_name(event, &name);
	err = keyring_get(book->opts.keyring, name.b, &value, NULL);
	if (err == ERR_NOTFOUND)
		return OK;
	if (err == OK)
		err = row_unwrap(secret_bytes(&book->keyring_key), ROW_RECEIPT, &name,
			buf_bytes(&value), &plain);
	if (err == OK)
		err = receipt_row_read(buf_bytes(&plain), &row);
	*ret = err == OK && row.state == RECEIPT_CONFIRMED;
	return err;
}

static bool is_held(const struct vault_request *request, const struct receipt_row *row)
{
	for (size_t i = 0; i < request->held_count; i++)
		if (strcmp(request->held[i].origin, row->origin) == 0)
			return row->index < request->held[i].size;
	return false;
}

static enum err state_of(struct book *book, const struct vault_request *request,
	const struct event_id *event, const char **ret)
{
	const struct receipt_row *row = find(book, event);
	bool confirmed;

	if (row != NULL) {
		*ret = row->state == RECEIPT_WAITING ? "provisional"
		       : is_held(request, row)       ? "confirmed"
						     : "logged";
		return OK;
	}
	TRY(is_confirmed(book, event, &confirmed));
	*ret = confirmed ? "confirmed" : "unknown";
	return OK;
}

static enum err put_one(
	struct book *book, const struct timeline *timeline, size_t i, struct vault_request *request)
{
	const struct event *event = timeline_event(timeline, i);
	const char *medium = timeline_value(timeline, i, "medium"), *state = "elsewhere";
	char id[EVENT_ID_TEXT + 1];
	uint64_t due_s = due_at(book->receipts);

	if (is_own(timeline, i))
		TRY(state_of(book, request, &event->id, &state));
	event_id_text(&event->id, id);
	buf_printf(&book->json,
		"{\"event_id\":\"%s\",\"given_on\":\"%s\",\"by\":\"%s\",\"medium\":%s,"
		"\"state\":\"%s\",\"due_at\":",
		id, event->occurred_on, event->recorded_by, medium == NULL ? "null" : medium,
		state);
	if (strcmp(state, "provisional") == 0 && due_s != 0)
		buf_printf(&book->json, "%" PRIu64 "}", due_s);
	else
		buf_put_str(&book->json, "null}");
	return book->json.err;
}

static enum err show_receipts(
	struct book *book, const struct timeline *timeline, struct vault_request *request)
{
	struct vault_doc **last = &request->docs;

	for (size_t i = 0; i < timeline_count(timeline); i++) {
		if (timeline_event(timeline, i)->type != EVENT_RECEIPT_GIVEN)
			continue;
		TRY(put_one(book, timeline, i, request));
		TRY(show_doc(book, &last));
		request->events++;
	}
	return OK;
}

static enum err show(struct book *book, struct vault_request *request)
{
	const struct casebook_case *kase;
	const struct case_state *state;
	struct timeline *timeline;
	uint64_t unread = 0;
	enum err err;

	TRY(case_named(book, request, &kase, &state));
	TRY(timeline_new(&timeline));
	err = show_read(book, kase, timeline, &unread, &request->ctx);
	if (err == OK)
		err = show_receipts(book, timeline, request);
	if (err == OK)
		ledger_view(book, request, &kase->ref, GROUP_BIT(GROUP_CORE));
	timeline_free(timeline);
	return err;
}

uint64_t receipts_late(const struct book *book, const struct casebook_case *kase, uint64_t now_s)
{
	struct casebook_event_info info;
	uint64_t count = 0;

	for (size_t i = 0; i < book->receipts->count; i++) {
		const struct receipt_row *row = &book->receipts->rows[i];

		count += row->made_s + LATE_S <= now_s &&
			 casebook_find_event(book->cases, &row->event, &info) &&
			 (kase == NULL || info.kase == kase);
	}
	return count;
}

enum err receipts_answer(struct book *book, struct vault_request *request)
{
	switch (request->receipts->op) {
	case RECEIPTS_MAKE:
		return make(book, request);
	case RECEIPTS_DROP:
		return drop(book, request);
	case RECEIPTS_SHOW:
		return show(book, request);
	case RECEIPTS_STEP:
		return receipts_step(book, request);
	}
	return ERR_INVALID;
}
