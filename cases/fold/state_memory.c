/* The memory of a case_state: lists that grow little by little, and the pool of texts. */
#include <assert.h>

#include "base/alloc.h"
#include "base/secret.h"
#include "cases/fold/state_parts.h"
#include "cases/schema/lists.h"

enum err case_state_new(struct case_state **ret)
{
	struct case_state *state = mem_zalloc(sizeof *state);

	if (state == NULL)
		return ERR_NOMEM;
	*ret = state;
	return OK;
}

static void forget(void *data, size_t size)
{
	if (data != NULL)
		wipe(data, size);
	mem_free(data);
}

void case_state_free(struct case_state *state)
{
	if (state == NULL)
		return;
	forget(state->events, state->event_room * sizeof *state->events);
	forget(state->consents, state->consent_room * sizeof *state->consents);
	forget(state->items, state->item_room * sizeof *state->items);
	forget(state->moves, state->move_room * sizeof *state->moves);
	forget(state->officers, state->officer_room * sizeof *state->officers);
	forget(state->awaited, state->awaited_room * sizeof *state->awaited);
	forget(state->text, state->text_room);
	forget(state, sizeof *state);
}

/* A copy without room to spare. */
static enum err copy_list(void *list, uint16_t count, uint16_t *room, size_t size, void **ret)
{
	*ret = NULL;
	*room = 0;
	if (count == 0)
		return OK;
	*ret = mem_dup(list, count * size);
	if (*ret == NULL)
		return ERR_NOMEM;
	*room = count;
	return OK;
}

enum err case_state_copy(const struct case_state *state, struct case_state **ret)
{
	struct case_state *copy = mem_dup(state, sizeof *state);
	enum err err = OK;

	if (copy == NULL)
		return ERR_NOMEM;
#define COPY(list, one)                                                                            \
	do {                                                                                       \
		void *copied = NULL;                                                               \
		enum err list##_err = copy_list(state->list, state->one##_count,                   \
			&copy->one##_room, sizeof *state->list, &copied);                          \
		copy->list = copied;                                                               \
		err = err == OK ? list##_err : err;                                                \
	} while (0)
	COPY(events, event);
	COPY(consents, consent);
	COPY(items, item);
	COPY(moves, move);
	COPY(officers, officer);
	COPY(awaited, awaited);
#undef COPY
	copy->text = NULL;
	copy->text_room = state->text_size;
	if (state->text_size > 0) {
		copy->text = mem_dup(state->text, state->text_size);
		if (copy->text == NULL) {
			copy->text_room = 0;
			err = ERR_NOMEM;
		}
	}
	if (err != OK) {
		case_state_free(copy);
		return err;
	}
	*ret = copy;
	return OK;
}

size_t case_state_size(const struct case_state *state)
{
	return sizeof *state + state->event_room * sizeof *state->events +
	       state->consent_room * sizeof *state->consents +
	       state->item_room * sizeof *state->items + state->move_room * sizeof *state->moves +
	       state->officer_room * sizeof *state->officers +
	       state->awaited_room * sizeof *state->awaited + state->text_room;
}

/* Grown into new memory, so that the old can be wiped. */
static enum err grow(void **list, size_t used, size_t room)
{
	void *grown = mem_zalloc(room);

	if (grown == NULL)
		return ERR_NOMEM;
	if (used > 0)
		memcpy(grown, *list, used);
	forget(*list, used);
	*list = grown;
	return OK;
}

static enum err reserve(
	void **list, uint16_t count, uint16_t *room, size_t size, uint16_t more, size_t max)
{
	size_t needed = (size_t)count + more, wanted = needed + count / 4u;

	if (needed <= *room)
		return OK;
	if (needed > max)
		return ERR_LIMIT;
	if (wanted > max)
		wanted = max;
	TRY(grow(list, count * size, wanted * size));
	*room = (uint16_t)wanted;
	return OK;
}

static enum err reserve_text(struct case_state *state, size_t more)
{
	size_t size = state->text_size == 0 ? 1 : state->text_size;
	size_t needed = size + more, wanted = needed + size / 8;
	void *grown = state->text;

	if (more == 0 || needed <= state->text_room)
		return OK;
	if (needed > LIMIT_CASE_TEXT)
		return ERR_LIMIT;
	if (wanted > LIMIT_CASE_TEXT)
		wanted = LIMIT_CASE_TEXT;
	TRY(grow(&grown, state->text_size, wanted));
	state->text = grown;
	state->text_room = (uint16_t)wanted;
	return OK;
}

enum err state_reserve(struct case_state *state, const struct state_room *room)
{
#define RESERVE(list, one, max)                                                                    \
	do {                                                                                       \
		void *grown = state->list;                                                         \
		enum err err = reserve(&grown, state->one##_count, &state->one##_room,             \
			sizeof *state->list, room->list, max);                                     \
		state->list = grown;                                                               \
		if (err != OK)                                                                     \
			return err;                                                                \
	} while (0)
	RESERVE(events, event, LIMIT_CASE_EVENTS);
	RESERVE(consents, consent, LIMIT_CASE_CONSENTS);
	RESERVE(items, item, LIMIT_CASE_ITEMS);
	RESERVE(moves, move, LIMIT_CASE_EVENTS);
	RESERVE(officers, officer, LIMIT_CASE_OFFICERS);
	RESERVE(awaited, awaited, LIMIT_CASE_AWAITED);
#undef RESERVE
	return reserve_text(state, room->text);
}

struct state_event *state_add_event(struct case_state *state)
{
	assert(state->event_count < state->event_room);
	return memset(&state->events[state->event_count++], 0, sizeof *state->events);
}

struct state_consent *state_add_consent(struct case_state *state)
{
	assert(state->consent_count < state->consent_room);
	return memset(&state->consents[state->consent_count++], 0, sizeof *state->consents);
}

struct state_item *state_add_item(struct case_state *state)
{
	assert(state->item_count < state->item_room);
	return memset(&state->items[state->item_count++], 0, sizeof *state->items);
}

struct state_move *state_add_move(struct case_state *state)
{
	assert(state->move_count < state->move_room);
	return memset(&state->moves[state->move_count++], 0, sizeof *state->moves);
}

struct state_officer *state_add_officer(struct case_state *state)
{
	assert(state->officer_count < state->officer_room);
	return memset(&state->officers[state->officer_count++], 0, sizeof *state->officers);
}

void state_add_awaited(struct case_state *state, const struct event_id *id)
{
	assert(state->awaited_count < state->awaited_room);
	state->awaited[state->awaited_count++] = *id;
}

/* --- texts --- */

/* Those that most cases have take no room in any: codes, and the first ids of each letter. The rest
 * stand in the pool, each behind the other with its zero; the first is "". */
enum { TEXT_CODES = LIMIT_CASE_TEXT, CODES_MAX = 32, IDS_EACH = 12 };

static const struct code_list *const coded[] = {&list_purposes, &list_services, &list_person_roles,
	&list_allegation_types, &list_claim_kinds, &list_concerns, &list_concern_levels,
	&list_complaint_kinds, &list_transfer_reasons, &list_risks};
enum { CODED = sizeof coded / sizeof coded[0], TEXT_IDS = TEXT_CODES + CODED * CODES_MAX };

#define IDS(l)                                                                                     \
	{                                                                                          \
		l "-1", l "-2", l "-3", l "-4", l "-5", l "-6", l "-7", l "-8", l "-9", l "-10",   \
			l "-11", l "-12"                                                           \
	}
static const char ids[][IDS_EACH][5] = {
	IDS("A"), IDS("C"), IDS("F"), IDS("K"), IDS("P"), IDS("Q"), IDS("R")};
_Static_assert(TEXT_IDS + sizeof ids / 5 < UINT16_MAX, "every text has its number");

static bool common_id(struct bytes text, text_id *ret)
{
	for (unsigned l = 0; l < sizeof ids / sizeof ids[0]; l++)
		for (unsigned n = 0; n < IDS_EACH && ids[l][0][0] == text.data[0]; n++)
			if (bytes_equal_str(text, ids[l][n])) {
				*ret = (text_id)(TEXT_IDS + l * IDS_EACH + n);
				return true;
			}
	return false;
}

static bool common_code(struct bytes text, text_id *ret)
{
	for (unsigned l = 0; l < CODED; l++)
		for (unsigned n = 0; n < coded[l]->count && n < CODES_MAX; n++)
			if (bytes_equal_str(text, coded[l]->codes[n].name)) {
				*ret = (text_id)(TEXT_CODES + l * CODES_MAX + n);
				return true;
			}
	return false;
}

static const char *common_text(text_id id)
{
	unsigned n = id >= TEXT_IDS ? id - TEXT_IDS : id - TEXT_CODES;

	return id >= TEXT_IDS ? ids[n / IDS_EACH][n % IDS_EACH]
			      : coded[n / CODES_MAX]->codes[n % CODES_MAX].name;
}

bool state_text_find(const struct case_state *state, struct bytes text, text_id *ret)
{
	if (text.size == 0) {
		*ret = 0;
		return true;
	}
	if (text.size > 2 && text.data[1] == '-' ? common_id(text, ret) : common_code(text, ret))
		return true;
	for (uint32_t at = 1; at < state->text_size;) {
		size_t size = strlen(state->text + at);

		if (size == text.size && memcmp(state->text + at, text.data, size) == 0) {
			*ret = (text_id)at;
			return true;
		}
		at += (uint32_t)size + 1;
	}
	return false;
}

text_id state_intern(struct case_state *state, struct bytes text)
{
	uint32_t at = state->text_size == 0 ? 1 : state->text_size;
	text_id known;

	if (state_text_find(state, text, &known))
		return known;
	assert(at + text.size < state->text_room);
	state->text[0] = 0;
	memcpy(state->text + at, text.data, text.size);
	state->text[at + text.size] = 0;
	state->text_size = (uint16_t)(at + text.size + 1);
	return (text_id)at;
}

struct bytes state_text(const struct case_state *state, text_id id)
{
	return bytes_str(id == 0 ? "" : id < TEXT_CODES ? state->text + id : common_text(id));
}
