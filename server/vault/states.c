/*
 * What each case is now, folded while unlocking and kept as long as the node is unlocked: 40 bytes
 * an event or so, without a word of free text. Recording moves a state on before the commit; when
 * that fails the states of its cases are dropped, and folded anew out of what is durable when they
 * are next asked for.
 */
#include <assert.h>

#include "base/alloc.h"
#include "server/vault/internal.h"

enum err states_reserve(struct book *book, size_t cases)
{
	size_t capacity = book->state_capacity == 0 ? 64 : book->state_capacity;
	struct case_state **states;

	while (capacity < cases)
		capacity *= 2;
	if (capacity == book->state_capacity)
		return OK;
	states = mem_resize(book->states, capacity * sizeof(struct case_state *));
	if (states == NULL)
		return ERR_NOMEM;
	memset(states + book->state_capacity, 0,
		(capacity - book->state_capacity) * sizeof(struct case_state *));
	book->states = states;
	book->state_capacity = capacity;
	return OK;
}

void states_put(struct book *book, const struct casebook_case *kase, struct case_state *state)
{
	assert(kase->number < book->state_capacity);
	case_state_free(book->states[kase->number]);
	book->states[kase->number] = state;
}

void states_drop(struct book *book, const struct casebook_case *kase)
{
	if (kase->number < book->state_capacity)
		states_put(book, kase, NULL);
}

/* This batch's reservations, and all behind them, are about to be aborted. */
void states_take_back(struct book *book, const struct batch *batch)
{
	for (; batch != NULL; batch = batch->next)
		for (size_t i = 0; i < batch->count; i++)
			states_drop(book, batch->tickets[i].key->owner);
}

void states_release(struct book *book)
{
	for (size_t i = 0; i < book->state_capacity; i++)
		case_state_free(book->states[i]);
	mem_free(book->states);
	book->states = NULL;
	book->state_capacity = 0;
}

size_t states_memory(const struct book *book)
{
	size_t size = 0;

	for (size_t i = 0; i < book->state_capacity; i++)
		if (book->states[i] != NULL)
			size += case_state_size(book->states[i]);
	return size;
}

/* ---- folding ---- */

static enum err add_entries(struct book *book, const struct casebook_key *key,
	struct timeline *timeline, uint64_t *parts, struct errctx *ctx)
{
	for (uint32_t i = 0; i < key->entry_committed; i++) {
		const struct casebook_entry *entry = &key->entries[i];
		struct casebook_at at = {entry->i, casebook_entry_index(entry), entry->log};
		enum err err;

		TRY(book_go_on(book));
		err = book_read(book, key, &at, ctx);
		if (err == OK)
			err = timeline_add_of(timeline, key->foreign ? key->author : NULL,
				buf_bytes(&book->part), ctx);
		book_part_wipe(book);
		if (err != OK && !book_unreadable(err))
			return err;
		++*parts;
	}
	return OK;
}

static enum err add_planned(const struct plan *plan, const struct plan_case *planned,
	struct timeline *timeline, uint64_t *parts, struct errctx *ctx)
{
	for (uint32_t at = planned->first_part; at != 0; at = plan->parts[at - 1].next) {
		const struct plan_part *part = &plan->parts[at - 1];

		TRY(timeline_add_known(timeline, buf_bytes(&part->packed), &part->info, ctx));
		++*parts;
	}
	return OK;
}

enum err states_fold(struct book *book, const struct casebook_case *kase, const struct plan *plan,
	const struct plan_case *planned, struct case_state **ret, uint64_t *parts,
	struct errctx *ctx)
{
	const struct casebook_key *key = kase == NULL ? NULL : kase->keys;
	struct timeline *timeline;
	enum err err = OK;

	TRY(timeline_new(&timeline));
	for (; key != NULL && err == OK; key = key->next)
		if (group_of_case(key->group))
			err = add_entries(book, key, timeline, parts, ctx);
	if (err == OK)
		*ctx = (struct errctx){""}; /* what was unreadable is left out */
	if (err == OK && planned != NULL)
		err = add_planned(plan, planned, timeline, parts, ctx);
	if (err == OK)
		err = timeline_finish(timeline);
	if (err == OK)
		err = timeline_state(timeline, ret);
	timeline_free(timeline);
	return err;
}

enum err states_get(struct book *book, const struct casebook_case *kase,
	const struct case_state **ret, struct errctx *ctx)
{
	struct case_state *state = NULL;
	uint64_t parts = 0;

	TRY(states_reserve(book, kase->number + (size_t)1));
	if (book->states[kase->number] == NULL) {
		TRY(states_fold(book, kase, NULL, NULL, &state, &parts, ctx));
		book->states[kase->number] = state;
	}
	*ret = book->states[kase->number];
	return OK;
}

/* ---- who sees what ---- */

void request_today(const struct vault_request *request, char ret[11])
{
	char text[21];

	event_time_text(request->now_s, text);
	memcpy(ret, text, 10);
	ret[10] = '\0';
}

bool officer_sees(const struct vault_request *request, const struct case_state *state)
{
	char today[11];

	if ((request->roles & ACCOUNT_SUPERVISOR) != 0)
		return true;
	request_today(request, today);
	return (request->roles & ACCOUNT_OFFICER) != 0 &&
	       case_state_officer_in(state, request->officer, today);
}
