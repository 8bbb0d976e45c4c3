/*
 * A new log in place of one that is never signed again (DESIGN 10).
 *
 *	1. guard: the new origin, synced: this node may sign it from here on, and no other
 *	2. keystore: the new origin and a new log key, under the same slots
 *	3. the book is opened on the new log; the loop appends its LogOpened, which names the old
 *	4. RESEAL: events of older epochs that no mirror is known to hold are sealed into it,
 *	   batch by batch, under the keys they had; folds know an event by its id, so nothing
 *	   counts twice
 *
 * An interruption after 1 goes on with the same origin, after 2 with the same key. What 4 has to do
 * follows from the logs alone: a restart goes on where it stopped.
 */
#include "base/alloc.h"
#include "server/store/guard.h"
#include "server/vault/internal.h"

/* Of one RESEAL. */
enum { RESEAL_PARTS = 512, RESEAL_BYTES = 1024 * 1024, TAG_PART = 'P', TAG_OWN = 'O' };

/* ---- which log is written ---- */

/* An origin behind the keystore's, behind the guard's (or "") and behind every log of this node in
 * the store. */
static enum err origin_after(struct store *store, const char *last, const char *guarded,
	struct origin *ret, struct errctx *ctx)
{
	struct origin_parts newest = {0}, parts = {0};
	struct log_head *heads = NULL;
	uint8_t random[8];
	size_t count = 0;

	TRY(random_bytes(random, sizeof(random)));
	if (origin_parse(bytes_str(last), NULL, &newest) != OK)
		return err_set(ctx, ERR_CORRUPT, "the keystore's log '%s' is none", last);
	if (origin_parse(bytes_str(guarded), NULL, &parts) == OK && parts.counter > newest.counter)
		newest.counter = parts.counter;
	TRY(store_heads(store, &heads, &count, ctx));
	for (size_t i = 0; i < count; i++) {
		if (origin_parse(bytes_str(heads[i].origin.text), NULL, &parts) == OK &&
			bytes_equal(parts.node, newest.node) && parts.counter > newest.counter)
			newest.counter = parts.counter;
		log_head_release(&heads[i]);
	}
	mem_free(heads);
	/* Whoever has this node's key may have made the last number there is: the random half is as
	 * good a name. */
	if (newest.counter < UINT32_MAX)
		newest.counter++;
	return origin_make(newest.network, newest.node, newest.counter, random, ret);
}

static enum err keystore_renew(const struct epoch_opts *opts, const struct origin *next,
	struct node_keys *keys, struct errctx *ctx)
{
	struct secret seed = {0};

	TRY(secret_random(&seed, ED25519_SEED_SIZE));
	secret_release(&keys->log_seed);
	keys->log_seed = seed;
	memcpy(keys->log_origin, next->text, sizeof(keys->log_origin));
	return officers_write(opts->vault, opts->file, opts->master, keys, NULL, ctx);
}

static enum err renew(const struct epoch_opts *opts, const struct guard_record *record,
	const char *own, struct node_keys *keys, struct errctx *ctx)
{
	struct origin previous = {""}, next = record->next;
	struct store_marks marks;

	memcpy(previous.text, keys->log_origin, strlen(keys->log_origin));
	if (next.text[0] == '\0') {
		TRY(origin_after(opts->vault->store, keys->log_origin, own, &next, ctx));
		TRY(store_marks(opts->vault->store, &marks, ctx));
		TRY(guard_next(opts->vault->guard, &previous, &next, marks.commits, ctx));
	}
	return keystore_renew(opts, &next, keys, ctx);
}

enum err epoch_settle(const struct epoch_opts *opts, struct node_keys *keys,
	char ret_previous[LIMIT_ORIGIN + 1], struct errctx *ctx)
{
	struct guard_record record = {0};
	const struct guard_log *own;
	bool opening;

	ret_previous[0] = '\0';
	if (opts->vault->guard == NULL)
		return OK;
	guard_get(opts->vault->guard, &record);
	own = guard_record_own(&record);
	/* The keystore has the new origin already: an interrupted attempt, or one that ended well
	 * and whose first entry was not written yet. */
	opening = record.next.text[0] != '\0' && strcmp(record.next.text, keys->log_origin) == 0;
	/* An older copy of the keystore has lost the key of the newer log. */
	if (!opening &&
		(opts->renew || (own != NULL && strcmp(own->origin.text, keys->log_origin) != 0))) {
		TRY(renew(opts, &record, own == NULL ? "" : own->origin.text, keys, ctx));
		guard_get(opts->vault->guard, &record);
		own = guard_record_own(&record);
	}
	if (own != NULL && strcmp(own->origin.text, keys->log_origin) != 0)
		memcpy(ret_previous, own->origin.text, LIMIT_ORIGIN + 1);
	return OK;
}

/* ---- what is sealed again ---- */

struct collecting {
	struct book *book;
	struct plan *plan;
	size_t size;
	uint64_t unread;
	struct errctx *ctx;
};

static bool collecting_full(const struct collecting *c)
{
	return c->plan->part_count >= RESEAL_PARTS || c->size >= RESEAL_BYTES;
}

static enum err collect_entry(
	struct collecting *c, const struct casebook_key *key, const struct casebook_entry *entry)
{
	struct casebook_at at = {entry->i, casebook_entry_index(entry), entry->log};
	struct book *book = c->book;
	uint8_t name[EVENT_ID_SIZE + 1];
	struct part_info info;
	struct buf packed;
	enum err err = book_read(book, key, &at, c->ctx);

	if (err == OK)
		err = part_info_read(buf_bytes(&book->part), &info, c->ctx);
	if (err != OK) {
		book_part_wipe(book);
		c->unread += book_unreadable(err);
		return book_unreadable(err) ? OK : err;
	}
	buf_init(&packed, LIMIT_PART_SIZE);
	(void)buf_reserve(&packed, book->part.size);
	buf_put(&packed, buf_bytes(&book->part));
	book_part_wipe(book);
	if (packed.err != OK) {
		buf_wipe(&packed);
		return ERR_NOMEM;
	}
	/* The same part may stand in several older epochs: once is enough. */
	memcpy(name, info.event_id.b, EVENT_ID_SIZE);
	name[EVENT_ID_SIZE] = (uint8_t)info.group;
	if (plan_map_find(&c->plan->map, TAG_PART, BYTES_ARRAY(name), NULL)) {
		buf_wipe(&packed);
		return OK;
	}
	err = plan_map_put(&c->plan->map, TAG_PART, BYTES_ARRAY(name), 0);
	if (err != OK) {
		buf_wipe(&packed);
		return err;
	}
	c->size += packed.size;
	return plan_add_part(c->plan, &info, &packed);
}

static struct bytes event_name(const struct casebook_entry *entry)
{
	return bytes_make(&entry->event, sizeof(entry->event));
}

/* Events of the key that stand in the new log, or are on their way there. The ledger's keys have
 * many: looking for each by itself would take the square of them. */
static enum err own_events(const struct casebook_key *key, struct plan_map *ret)
{
	for (uint32_t n = 0; n < key->entry_count; n++)
		if (key->entries[n].log == BOOK_OWN_LOG)
			TRY(plan_map_put(ret, TAG_OWN, event_name(&key->entries[n]), 0));
	return OK;
}

static enum err collect_entries(
	struct collecting *c, const struct casebook_key *key, struct plan_map *own)
{
	const struct book *book = c->book;
	bool known = false;

	for (uint32_t n = 0; n < key->entry_committed && !collecting_full(c); n++) {
		const struct casebook_entry *entry = &key->entries[n];

		if (entry->log == BOOK_OWN_LOG ||
			casebook_entry_index(entry) < book->logs[entry->log].kept)
			continue;
		if (!known)
			TRY(own_events(key, own));
		known = true;
		if (!plan_map_find(own, TAG_OWN, event_name(entry), NULL))
			TRY(collect_entry(c, key, entry));
	}
	return OK;
}

static enum err collect_key(struct collecting *c, const struct casebook_key *key)
{
	struct plan_map own = {.slots = NULL};
	enum err err;

	memcpy(own.seed, c->plan->map.seed, sizeof(own.seed));
	err = collect_entries(c, key, &own);
	mem_free(own.slots);
	return err;
}

enum err epoch_plan(
	struct book *book, struct plan *ret_plan, uint64_t *ret_unread, struct errctx *ctx)
{
	struct plan plan = {0};
	struct collecting c = {book, &plan, 0, 0, ctx};
	enum err err = random_bytes(plan.map.seed, sizeof(plan.map.seed));

	for (size_t i = 0; err == OK && book->log_count > 1 && !collecting_full(&c) &&
			   i < casebook_case_count(book->cases);
		i++) {
		const struct casebook_case *kase = casebook_case_at(book->cases, i);

		for (const struct casebook_key *key = kase->keys; key != NULL && err == OK;
			key = key->next)
			if (strcmp(key->author, book->opts.node) == 0)
				err = collect_key(&c, key);
	}
	if (err != OK) {
		plan_release(&plan);
		return err;
	}
	*ctx = (struct errctx){""}; /* what was unreadable is counted */
	*ret_plan = plan;
	*ret_unread = c.unread;
	return OK;
}
