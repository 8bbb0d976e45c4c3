/*
 * Checked parts -> sealed entries:
 *
 *	1. a new key for every (case, group) that has none, all of them durable in the keyring in
 *one transaction, before the first entry sealed under them exists
 *	2. for each part the next number under its key is reserved, and the part is sealed there
 *	3. the entries are shuffled: which belong together does not show in their order
 *
 * What fails after 2 has begun takes its own reservations back. Keys that were made stay: they are
 * used when the lines come again. (If memory runs out between keyring and casebook, the casebook
 * misses a key until the next unlock; a second one of the same generation is made then, and both
 * are read.)
 */
#include <assert.h>

#include "base/alloc.h"
#include "server/vault/internal.h"

enum { TAG_KEY = 'K', FIRST_GENERATION = 1 };

/* Keys to be made: what is stored, and the wrapped values behind one another in `wrapped`. */
struct new_keys {
	struct keyring_entry *entries;
	struct keyring_item *items;
	size_t *ends;
	size_t count;
	struct buf wrapped;
};

static void new_keys_release(struct new_keys *keys)
{
	for (size_t i = 0; i < keys->count; i++)
		keyring_entry_release(&keys->entries[i]);
	mem_free(keys->entries);
	mem_free(keys->items);
	mem_free(keys->ends);
	buf_release(&keys->wrapped);
}

static struct casebook_key *find_key(const struct book *book, const struct part_info *info)
{
	const struct casebook_case *kase = casebook_find_ref(book->cases, &info->case_ref);

	return kase == NULL ? NULL
			    : casebook_find_key(kase, info->group, bytes_str(book->opts.node));
}

static enum err key_make(struct book *book, const struct part_info *info, struct new_keys *keys)
{
	struct keyring_entry *entry = &keys->entries[keys->count];
	struct seal_kid kid;

	*entry = (struct keyring_entry){
		.case_ref = info->case_ref,
		.group = info->group,
		.generation = FIRST_GENERATION,
	};
	memcpy(entry->author, book->opts.node, strlen(book->opts.node) + 1);
	memcpy(entry->origin, book->logs[BOOK_OWN_LOG].origin.text, sizeof(entry->origin));
	TRY(secret_random(&entry->key, SEAL_KEY_SIZE));
	keys->count++; /* to be released from here on */
	TRY(keyring_wrap(secret_bytes(&book->keyring_key), entry, &keys->wrapped, &kid));
	memcpy(keys->items[keys->count - 1].kid, kid.b, sizeof(kid.b));
	keys->ends[keys->count - 1] = keys->wrapped.size;
	return OK;
}

/* `max`: how many there can be. */
static enum err new_keys_make(struct book *book, struct plan *plan, struct new_keys *keys)
{
	size_t max = plan->part_count;

	keys->entries = mem_array(max, sizeof(*keys->entries));
	keys->items = mem_array(max, sizeof(*keys->items));
	keys->ends = mem_array(max, sizeof(*keys->ends));
	if (keys->entries == NULL || keys->items == NULL || keys->ends == NULL)
		return ERR_NOMEM;
	buf_init(&keys->wrapped, max * KEYRING_VALUE_MAX);
	for (size_t i = 0; i < plan->part_count; i++) {
		const struct part_info *info = &plan->parts[i].info;
		uint8_t name[CASE_REF_SIZE + 1];

		memcpy(name, info->case_ref.b, CASE_REF_SIZE);
		name[CASE_REF_SIZE] = (uint8_t)info->group;
		if (find_key(book, info) != NULL ||
			plan_map_find(&plan->map, TAG_KEY, BYTES_ARRAY(name), NULL))
			continue;
		TRY(plan_map_put(&plan->map, TAG_KEY, BYTES_ARRAY(name), 0));
		TRY(key_make(book, info, keys));
	}
	return OK;
}

static enum err new_keys_store(struct book *book, struct new_keys *keys, struct errctx *ctx)
{
	size_t at = 0;

	for (size_t i = 0; i < keys->count; i++) {
		keys->items[i].value = bytes_make(keys->wrapped.data + at, keys->ends[i] - at);
		at = keys->ends[i];
	}
	TRY(keyring_put(book->opts.keyring, keys->items, keys->count, ctx));
	for (size_t i = 0; i < keys->count; i++)
		TRY(casebook_add_key(book->cases, &keys->entries[i], NULL));
	return OK;
}

static enum err keys_prepare(struct book *book, struct plan *plan, struct errctx *ctx)
{
	struct new_keys keys = {0};
	enum err err;

	if (casebook_case_count(book->cases) + plan->opened > LIMIT_CASES)
		return err_set(ctx, ERR_LIMIT, "more than %d cases", LIMIT_CASES);
	err = new_keys_make(book, plan, &keys);
	if (err == OK && keys.count > 0)
		err = new_keys_store(book, &keys, ctx);
	new_keys_release(&keys);
	return err;
}

/* --- sealing --- */

struct sealing {
	struct casebook_ticket *tickets; /* by part, in the order reserved */
	size_t reserved;                 /* of them */
	size_t *ends;                    /* by part, in `sealed` */
	uint32_t *order;                 /* order[position] is a part */
	struct bytes *views;             /* by position */
	struct buf sealed;
};

static void sealing_release(struct sealing *s)
{
	mem_free(s->tickets);
	mem_free(s->ends);
	mem_free(s->order);
	mem_free(s->views);
	buf_release(&s->sealed);
}

static enum err sealing_init(struct sealing *s, size_t count)
{
	*s = (struct sealing){0};
	buf_init(&s->sealed, count * LIMIT_ENTRY_SIZE);
	s->tickets = mem_array(count, sizeof(*s->tickets));
	s->ends = mem_array(count, sizeof(*s->ends));
	s->order = mem_array(count, sizeof(*s->order));
	s->views = mem_array(count, sizeof(*s->views));
	if (s->tickets == NULL || s->ends == NULL || s->order == NULL || s->views == NULL)
		return ERR_NOMEM;
	return OK;
}

static enum err seal_part(
	struct book *book, const struct plan_part *part, bool again, struct sealing *s)
{
	struct seal_position position = {.origin = book->logs[BOOK_OWN_LOG].hash};
	struct casebook_key *key = find_key(book, &part->info);
	uint8_t random[SEAL_RANDOM_SIZE];
	struct seal_options options = {
		random, book->opts.compression ? SEAL_ZSTD_DICTIONARY_1 : SEAL_PLAIN};
	enum err err;

	assert(key != NULL);
	TRY(book_go_on(book));
	TRY(pool_draw(&book->pool, random, sizeof(random)));
	err = (again ? casebook_reserve_again : casebook_reserve)(
		book->cases, key, &part->info, &position.index, &s->tickets[s->reserved]);
	TRY(err);
	s->reserved++;
	err = seal_write(book->sealer, &key->seal, &position, &options, buf_bytes(&part->packed),
		&s->sealed);
	wipe(random, sizeof(random));
	return err;
}

static enum err seal_parts(struct book *book, const struct plan *plan, bool again,
	struct sealing *s, uint32_t *ret_line, struct errctx *ctx)
{
	for (size_t i = 0; i < plan->part_count; i++) {
		const struct plan_part *part = &plan->parts[i];
		enum err err = seal_part(book, part, again, s);

		if (err == ERR_LIMIT || err == ERR_EXISTS || err == ERR_INVALID)
			*ret_line = part->line;
		if (err == ERR_LIMIT)
			return err_set(ctx, err, "the case would have more than %d events",
				LIMIT_CASE_EVENTS);
		TRY(err);
		s->ends[i] = s->sealed.size;
	}
	return OK;
}

/* 0 .. bound - 1, all with the same chance. */
static enum err draw_below(struct pool *pool, uint32_t bound, uint32_t *ret)
{
	uint32_t unfair = UINT32_MAX - UINT32_MAX % bound; /* from here on numbers are left out */
	uint8_t random[4];
	uint32_t drawn;

	do {
		TRY(pool_draw(pool, random, sizeof(random)));
		drawn = get_u32be(random);
	} while (drawn >= unfair);
	*ret = drawn % bound;
	return OK;
}

enum err pool_shuffle(struct pool *pool, uint32_t *order, size_t count)
{
	for (size_t i = 0; i < count; i++)
		order[i] = (uint32_t)i;
	for (size_t i = count; i > 1; i--) {
		uint32_t other = 0, last = order[i - 1];

		TRY(draw_below(pool, (uint32_t)i, &other));
		order[i - 1] = order[other];
		order[other] = last;
	}
	return OK;
}

static enum err seal_all(struct book *book, const struct plan *plan, bool again, struct sealing *s,
	uint32_t *ret_line, struct errctx *ctx)
{
	TRY(seal_parts(book, plan, again, s, ret_line, ctx));
	TRY(pool_shuffle(&book->pool, s->order, plan->part_count));
	for (size_t i = 0; i < plan->part_count; i++) {
		uint32_t part = s->order[i];
		size_t start = part == 0 ? 0 : s->ends[part - 1];

		s->views[i] = bytes_make(s->sealed.data + start, s->ends[part] - start);
	}
	return OK;
}

static enum err make_batch(
	struct sealing *s, size_t count, struct batch *ret, struct entries **ret_entries)
{
	struct casebook_ticket *tickets = mem_array(count, sizeof(*tickets));
	enum err err;

	if (tickets == NULL)
		return ERR_NOMEM;
	err = entries_make(s->views, count, ret_entries);
	if (err != OK) {
		mem_free(tickets);
		return err;
	}
	for (size_t i = 0; i < count; i++)
		tickets[i] = s->tickets[s->order[i]];
	ret->tickets = tickets;
	ret->count = count;
	return OK;
}

static enum err seal_plan_parts(struct book *book, const struct plan *plan, bool again,
	struct batch *ret, struct entries **ret_entries, uint32_t *ret_line, struct errctx *ctx)
{
	struct sealing s;
	enum err err;

	assert(plan->part_count > 0);
	err = sealing_init(&s, plan->part_count);
	if (err == OK)
		err = seal_all(book, plan, again, &s, ret_line, ctx);
	if (err == OK)
		err = make_batch(&s, plan->part_count, ret, ret_entries);
	if (err != OK)
		casebook_take_back(book->cases, s.tickets, s.reserved);
	sealing_release(&s);
	return err;
}

enum err batch_seal(struct book *book, struct plan *plan, struct batch *ret,
	struct entries **ret_entries, uint32_t *ret_line, struct errctx *ctx)
{
	TRY(keys_prepare(book, plan, ctx));
	return seal_plan_parts(book, plan, false, ret, ret_entries, ret_line, ctx);
}

enum err batch_seal_again(struct book *book, struct plan *plan, struct batch *ret,
	struct entries **ret_entries, struct errctx *ctx)
{
	uint32_t line;

	return seal_plan_parts(book, plan, true, ret, ret_entries, &line, ctx);
}

void batch_commit(struct book *book, const struct batch *batch, uint64_t index)
{
	for (size_t i = 0; i < batch->count; i++)
		casebook_commit(book->cases, &batch->tickets[i], index + i);
}

void batch_release(struct batch *batch)
{
	if (batch->tickets != NULL)
		wipe(batch->tickets, batch->count * sizeof(*batch->tickets));
	mem_free(batch->tickets);
	batch->tickets = NULL;
	batch->count = 0;
}
