/*
 * An event, or its note, is erased alone: the groups that it has parts in get new keys, what else
 * stands under the old ones is sealed again under the new, and then the old ones go. What corrects
 * it goes with it: it has its words. Entries that survive are found by id, as in a new epoch: a
 * part that stands twice counts once.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "server/vault/erase/erase_parts.h"
#include "server/vault/grants/grants.h"

/* Of one request. */
enum { SURVIVORS_PARTS = 512, SURVIVORS_BYTES = 1024 * 1024, TAG_MOVED = 'M' };

/* ---- new keys ---- */

static enum err new_key(struct book *book, const struct casebook_case *kase, enum group group,
	struct keyring_entry *ret)
{
	const struct casebook_key *newest =
		casebook_find_key(kase, group, bytes_str(book->opts.node));

	*ret = (struct keyring_entry){.case_ref = kase->ref,
		.group = group,
		.generation = newest == NULL ? 1 : newest->generation + 1};
	memcpy(ret->author, book->opts.node, strlen(book->opts.node) + 1);
	memcpy(ret->origin, book->logs[BOOK_OWN_LOG].origin.text, sizeof(ret->origin));
	return secret_random(&ret->key, SEAL_KEY_SIZE);
}

enum err erase_roll(struct book *book, const struct casebook_case *kase,
	const struct erasure *erasure, struct errctx *ctx)
{
	struct keyring_entry keys[GROUP_CASE_LAST] = {0};
	size_t count = 0;
	enum err err = OK;

	for (unsigned g = 1; err == OK && g <= GROUP_CASE_LAST; g++)
		if ((erasure->groups & GROUP_BIT(g)) != 0)
			err = new_key(book, kase, (enum group)g, &keys[count++]);
	if (err == OK)
		err = erase_save_with(book, erasure, keys, count, ctx);
	for (size_t i = 0; err == OK && i < count; i++)
		err = casebook_add_key(book->cases, &keys[i], NULL);
	for (size_t i = 0; i < count; i++)
		keyring_entry_release(&keys[i]);
	if (err == OK)
		grants_touch(book, kase); /* who has the old ones is given the new */
	return err;
}

/* ---- what stays ---- */

struct moving {
	struct book *book;
	const struct erasure *erasure;
	struct plan *plan;     /* NULL: only whether there is any */
	struct plan_map moved; /* by event: stands under the new key */
	size_t bytes;
	bool found;
	struct errctx *ctx;
};

static bool full(const struct moving *m)
{
	return m->plan == NULL
		       ? m->found
		       : m->plan->part_count >= SURVIVORS_PARTS || m->bytes >= SURVIVORS_BYTES;
}

/* Is the part in book->part a correction of what is erased? */
static bool corrects_it(const struct moving *m, const struct part_info *info)
{
	struct bytes part = buf_bytes(&m->book->part);
	struct event event = {0};
	struct event_id id;
	char *text = NULL;
	bool is = false;

	if (info->type != EVENT_CORRECTION)
		return false;
	if (event_merge(&part, 1, &event, NULL) == OK &&
		event_field_string(&event, "corrects", &text) == OK && text != NULL)
		is = event_id_parse(bytes_str(text), &id) == OK &&
		     memcmp(id.b, m->erasure->event.b, EVENT_ID_SIZE) == 0;
	mem_free(text);
	event_release(&event);
	return is;
}

static enum err take_part(struct moving *m, const struct part_info *info)
{
	struct book *book = m->book;
	struct buf packed;

	m->found = true;
	TRY(plan_map_put(&m->moved, TAG_MOVED, BYTES_ARRAY(info->event_id.b), 0));
	if (m->plan == NULL)
		return OK;
	buf_init(&packed, LIMIT_PART_SIZE);
	(void)buf_reserve(&packed, book->part.size);
	buf_put(&packed, buf_bytes(&book->part));
	if (packed.err != OK) {
		buf_wipe(&packed);
		return ERR_NOMEM;
	}
	m->bytes += packed.size;
	return plan_add_part(m->plan, info, &packed);
}

static enum err look_at(
	struct moving *m, const struct casebook_key *key, const struct casebook_entry *entry)
{
	struct casebook_at at = {entry->i, casebook_entry_index(entry), entry->log};
	struct part_info info;
	enum err err = book_read(m->book, key, &at, m->ctx);

	if (err == OK)
		err = part_info_read(buf_bytes(&m->book->part), &info, m->ctx);
	if (err == OK && !corrects_it(m, &info))
		err = take_part(m, &info);
	book_part_wipe(m->book);
	return book_unreadable(err) ? OK : err;
}

static struct bytes event_of(const struct moving *m, const struct casebook_entry *entry)
{
	return bytes_make(casebook_entry_event(m->book->cases, entry)->b, EVENT_ID_SIZE);
}

/* Of one old key: what the newest of its group does not have. */
static enum err move_key(
	struct moving *m, const struct casebook_case *kase, const struct casebook_key *old)
{
	const struct casebook_key *new =
		casebook_find_key(kase, old->group, bytes_str(m->book->opts.node));

	mem_free(m->moved.slots);
	m->moved.slots = NULL;
	m->moved.size = m->moved.count = 0;
	for (uint32_t n = 0; n < new->entry_count; n++)
		TRY(plan_map_put(&m->moved, TAG_MOVED, event_of(m, &new->entries[n]), 0));
	for (uint32_t n = 0; n < old->entry_committed && !full(m); n++) {
		struct bytes id = event_of(m, &old->entries[n]);

		if (memcmp(id.data, m->erasure->event.b, EVENT_ID_SIZE) == 0 ||
			plan_map_find(&m->moved, TAG_MOVED, id, NULL))
			continue;
		TRY(look_at(m, old, &old->entries[n]));
	}
	return OK;
}

static enum err move_all(struct moving *m)
{
	const struct casebook_case *kase = casebook_find_ref(m->book->cases, &m->erasure->case_ref);
	enum err err = random_bytes(m->moved.seed, sizeof(m->moved.seed));

	for (const struct casebook_key *key = kase == NULL ? NULL : kase->keys;
		err == OK && key != NULL && !full(m); key = key->next)
		if (!key->foreign && erasure_has(m->erasure, key->seal.kid.b))
			err = move_key(m, kase, key);
	mem_free(m->moved.slots);
	if (err == OK)
		*m->ctx = (struct errctx){""}; /* what nobody can read any more does not stay */
	return err;
}

enum err erase_survivors(
	struct book *book, const struct erasure *erasure, bool *ret_more, struct errctx *ctx)
{
	struct moving m = {.book = book, .erasure = erasure, .ctx = ctx};

	TRY(move_all(&m));
	*ret_more = m.found;
	return OK;
}

enum err erase_reseal_plan(struct book *book, struct vault_request *request, struct plan *ret_plan)
{
	struct plan plan = {0};
	struct moving m = {.book = book, .plan = &plan, .ctx = &request->ctx};
	struct order_id id;
	enum err err;

	memcpy(id.b, request->erase->order_id, sizeof(id.b));
	m.erasure = erase_find(book, &id);
	if (m.erasure == NULL)
		return err_set(&request->ctx, ERR_NOTFOUND, "no such erasure");
	err = random_bytes(plan.map.seed, sizeof(plan.map.seed));
	if (err == OK)
		err = move_all(&m);
	if (err != OK) {
		plan_release(&plan);
		return err;
	}
	*ret_plan = plan;
	return OK;
}
