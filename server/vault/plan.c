/*
 * Lines -> checked parts. For each line:
 *
 *	1. parse; find its case, by reference or by code; leave the event out when it is known
 *	2. fill in what the node knows (id, time, officer, office) and what follows from the case
 *	   (rules_fill)
 *	3. check it by itself (schema_check) and in its case, as the lines before it and what is on
 *	   its way leave it (rules_check)
 *	4. split it into parts, and move the state of the case on
 *
 * Nothing is reserved and no key is made, so that one bad line spoils the whole request before
 * anything happened. Whoever may not see a case is told that there is none.
 *
 * An event that comes late (it was recorded before others that are known, or corrects one) has its
 * case folded anew: out of the log, and of the parts of the lines before it.
 */
#include "base/alloc.h"
#include "base/text.h"
#include "cases/event/case_code.h"
#include "cases/schema/schema.h"
#include "server/vault/complaint.h"
#include "server/vault/grants/grants.h"
#include "server/vault/internal.h"

enum { TAG_EVENT = 'E', TAG_CASE = 'C', TAG_CODE = 'N' };
enum { MAP_SIZE_MIN = 64, CODE_DRAWS_MAX = 1000, SEQUENCE_SIZE = 4096 };

/* --- the map --- */

static void map_key(const struct plan_map *map, char tag, struct bytes name, uint8_t ret[16])
{
	struct bytes parts[] = {BYTES_ARRAY(map->seed), bytes_make(&tag, 1), name};
	struct hash hash;

	sha256_parts(parts, 3, &hash);
	memcpy(ret, hash.b, 16);
}

/* The slot of the key, or the empty one where it belongs. size > 0, never full. */
static struct plan_slot *map_slot(const struct plan_map *map, const uint8_t key[16])
{
	size_t at = (size_t)get_u64be(key) & (map->size - 1);

	while (map->slots[at].value != 0 && memcmp(map->slots[at].key, key, 16) != 0)
		at = (at + 1) & (map->size - 1);
	return &map->slots[at];
}

bool plan_map_find(const struct plan_map *map, char tag, struct bytes name, uint32_t *ret)
{
	const struct plan_slot *slot;
	uint8_t key[16];

	if (map->size == 0)
		return false;
	map_key(map, tag, name, key);
	slot = map_slot(map, key);
	if (slot->value == 0)
		return false;
	if (ret != NULL)
		*ret = slot->value - 1;
	return true;
}

static enum err map_grow(struct plan_map *map)
{
	struct plan_map grown = *map;

	grown.size = map->size == 0 ? MAP_SIZE_MIN : 2 * map->size;
	grown.slots = mem_array(grown.size, sizeof(*grown.slots));
	if (grown.slots == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < map->size; i++)
		if (map->slots[i].value != 0)
			*map_slot(&grown, map->slots[i].key) = map->slots[i];
	mem_free(map->slots);
	*map = grown;
	return OK;
}

enum err plan_map_put(struct plan_map *map, char tag, struct bytes name, uint32_t value)
{
	struct plan_slot fresh = {.value = value + 1}, *slot;

	if (map->count >= map->size / 2)
		TRY(map_grow(map));
	map_key(map, tag, name, fresh.key);
	slot = map_slot(map, fresh.key);
	map->count += slot->value == 0;
	*slot = fresh;
	return OK;
}

/* --- the plan --- */

enum err plan_init(struct plan *plan)
{
	*plan = (struct plan){0};
	return random_bytes(plan->map.seed, sizeof(plan->map.seed));
}

static void parts_release(struct plan *plan)
{
	for (size_t i = 0; i < plan->part_count; i++)
		buf_wipe(&plan->parts[i].packed);
	if (plan->parts != NULL)
		wipe(plan->parts, plan->part_count * sizeof(*plan->parts));
	mem_free(plan->parts);
	plan->parts = NULL;
	plan->part_count = plan->part_capacity = plan->part_bytes = 0;
}

void plan_release(struct plan *plan)
{
	parts_release(plan);
	for (size_t i = 0; i < plan->case_count; i++)
		case_state_free(plan->cases[i].state);
	if (plan->cases != NULL)
		wipe(plan->cases, plan->case_count * sizeof(*plan->cases));
	if (plan->items != NULL)
		wipe(plan->items, plan->item_count * sizeof(*plan->items));
	mem_free(plan->cases);
	mem_free(plan->items);
	mem_free(plan->map.slots);
	*plan = (struct plan){0};
}

static void chain(struct plan *plan, struct plan_case *c)
{
	uint32_t number = (uint32_t)plan->part_count; /* plus one: it is counted already */

	if (c->last_part == 0)
		c->first_part = number;
	else
		plan->parts[c->last_part - 1].next = number;
	c->last_part = number;
}

/* Files have the events of a case together as a rule: those of the last lines will be asked for. */
void plan_thin(struct plan *plan, size_t bytes_max, size_t recent)
{
	struct plan old = *plan;

	if (plan->part_bytes <= bytes_max)
		return;
	plan->part_count = plan->part_bytes = 0;
	for (size_t i = 0; i < plan->case_count; i++) {
		struct plan_case *c = &plan->cases[i];

		c->thinned |= c->first_part != 0 && c->last_item < recent;
		c->first_part = c->last_part = 0;
	}
	for (size_t i = 0; i < old.part_count; i++) {
		struct plan_part part = old.parts[i];
		struct plan_case *c = &plan->cases[part.kase];

		if (c->last_item < recent) {
			buf_wipe(&part.packed);
			continue;
		}
		part.next = 0;
		plan->parts[plan->part_count++] = part;
		plan->part_bytes += part.packed.size;
		chain(plan, c);
	}
}

void plan_adopt(struct book *book, struct plan *plan)
{
	for (size_t i = 0; i < plan->case_count; i++) {
		struct plan_case *c = &plan->cases[i];
		const struct casebook_case *kase = casebook_find_ref(book->cases, &c->ref);

		if (kase == NULL)
			continue;
		states_put(book, kase, c->state);
		c->state = NULL;
	}
}

/* Room for `more`, in an array that doubles. Copies ids, case codes and dates, no fields. */
static enum err array_reserve(
	void **array, size_t *capacity, size_t count, size_t more, size_t size)
{
	size_t wanted = *capacity == 0 ? 16 : *capacity;
	void *grown;

	while (wanted < count + more)
		wanted *= 2;
	if (wanted == *capacity)
		return OK;
	grown = mem_array(wanted, size);
	if (grown == NULL)
		return ERR_NOMEM;
	if (count > 0) {
		memcpy(grown, *array, count * size);
		wipe(*array, count * size);
	}
	mem_free(*array);
	*array = grown;
	*capacity = wanted;
	return OK;
}

struct planner {
	struct book *book;
	const struct vault_request *request;
	struct plan *plan;
	uint32_t line;
	char today[11];
	char named[CASE_CODE_MAX + 1]; /* the code that the line names its case by; "" */
	struct errctx *ctx;
};

static enum err other_case(const struct planner *p)
{
	return err_set(p->ctx, ERR_EXISTS, "event_id: an event of another case has this id");
}

/* Recorded already, or on an earlier line? */
static enum err check_known(const struct planner *p, const struct event *event, bool *ret_known)
{
	const struct case_ref *ref = NULL;
	struct casebook_event_info info;
	uint32_t item;

	*ret_known = true;
	if (!event->has.event_id) {
		*ret_known = false;
	} else if (casebook_find_event(p->book->cases, &event->id, &info)) {
		ref = &info.kase->ref;
		p->plan->on_way |= !info.committed;
	} else if (plan_map_find(&p->plan->map, TAG_EVENT, BYTES_ARRAY(event->id.b), &item)) {
		ref = &p->plan->cases[p->plan->items[item].kase].ref;
	} else {
		*ret_known = false;
	}
	if (*ret_known && event->has.case_ref &&
		memcmp(ref->b, event->case_ref.b, CASE_REF_SIZE) != 0)
		return other_case(p);
	return OK;
}

/* --- the case of a line --- */

/* In the words of the line, so that nobody learns more than what they knew. */
static enum err unknown_case(const struct planner *p, const struct event *event)
{
	char ref[2 * CASE_REF_SIZE + 1];

	if (p->named[0] != '\0')
		return err_set(p->ctx, ERR_NOTFOUND, "case: no case %s is known here", p->named);
	case_ref_text(&event->case_ref, ref);
	return err_set(p->ctx, ERR_NOTFOUND, "case_ref: no case %s is known here", ref);
}

static enum err take_field(struct planner *p, struct event *event, const char *name, char **ret)
{
	enum err err = event_field_string(event, name, ret);

	if (err == ERR_NOTFOUND)
		return OK;
	if (err == ERR_INVALID)
		return err_set(p->ctx, err, "%s: allowed is the code of a case, as text", name);
	TRY(err);
	event_remove_field(event, name);
	return OK;
}

/* "case": a code in the place of the reference. */
static enum err name_case(struct planner *p, struct event *event, const char *code)
{
	const struct casebook_case *kase;
	uint32_t number;

	if (event->type == EVENT_CASE_OPENED)
		return err_set(p->ctx, ERR_INVALID,
			"case: found in CASE_OPENED, which has a case_code instead");
	if (event->has.case_ref)
		return err_set(p->ctx, ERR_INVALID, "case: found beside case_ref, allowed is one");
	if (case_code_normal(bytes_str(code), p->named) != OK)
		return err_set(p->ctx, ERR_INVALID,
			"case: allowed is a case code, 1 to %d letters, digits and hyphens",
			CASE_CODE_MAX);
	kase = casebook_find_code(p->book->cases, bytes_str(p->named));
	if (kase != NULL)
		event_set_case(event, &kase->ref);
	else if (plan_map_find(&p->plan->map, TAG_CODE, bytes_str(p->named), &number))
		event_set_case(event, &p->plan->cases[number].ref);
	else
		return unknown_case(p, event);
	return OK;
}

static enum err settle_case(struct planner *p, struct event *event)
{
	char *code = NULL;
	enum err err = take_field(p, event, "case", &code);

	p->named[0] = '\0';
	if (err == OK && code != NULL)
		err = name_case(p, event, code);
	if (code != NULL)
		wipe(code, strlen(code));
	mem_free(code);
	return err;
}

static enum err case_add(struct planner *p, const struct case_ref *ref, struct plan_case *planned,
	struct plan_case **ret)
{
	struct plan *plan = p->plan;
	void *array = plan->cases;
	enum err err = array_reserve(
		&array, &plan->case_capacity, plan->case_count, 1, sizeof(*plan->cases));

	plan->cases = array;
	planned->ref = *ref;
	if (err == OK)
		err = plan_map_put(
			&plan->map, TAG_CASE, BYTES_ARRAY(ref->b), (uint32_t)plan->case_count);
	if (err != OK) {
		case_state_free(planned->state);
		return err;
	}
	plan->cases[plan->case_count] = *planned;
	*ret = &plan->cases[plan->case_count++];
	return OK;
}

static void look_granted(
	const struct planner *p, const struct casebook_case *kase, struct plan_case *planned)
{
	if (kase == NULL || !kase->granted || !kase->opened_foreign)
		return;
	planned->received = true;
	planned->granted = grants_granted(p->book, &kase->ref, p->today);
}

static enum err case_begin(struct planner *p, const struct case_ref *ref, struct plan_case **ret)
{
	struct casebook_case *kase = casebook_find_ref(p->book->cases, ref);
	struct plan_case planned = {.kase = kase};
	const struct case_state *state;

	look_granted(p, kase, &planned);
	/* One that has keys and no event is left of a request that failed, or was given. */
	if (kase == NULL || kase->event_all + kase->foreign_all == 0) {
		TRY(case_state_new(&planned.state));
	} else {
		TRY(states_get(p->book, kase, &state, p->ctx));
		TRY(case_state_copy(state, &planned.state));
		planned.events = kase->event_all;
		planned.foreign = kase->foreign_all > 0;
	}
	return case_add(p, ref, &planned, ret);
}

/* The case as it will be, if it is there and the officer may see it, or if this opens it. */
static enum err find_case(struct planner *p, const struct event *event, struct plan_case **ret)
{
	bool opens = event->type == EVENT_CASE_OPENED;
	char ref[2 * CASE_REF_SIZE + 1];
	struct plan_case *c = NULL;
	uint32_t number;

	case_ref_text(&event->case_ref, ref);
	if (ledger_is(p->book, &event->case_ref))
		return err_set(p->ctx, ERR_INVALID,
			"case_ref: %s is the node's own ledger, which nobody writes into", ref);
	if (plan_map_find(&p->plan->map, TAG_CASE, BYTES_ARRAY(event->case_ref.b), &number))
		c = &p->plan->cases[number];
	else
		TRY(case_begin(p, &event->case_ref, &c));
	if (opens && (c->events > 0 || c->foreign || c->received))
		return err_set(p->ctx, ERR_EXISTS,
			"case_ref: case %s is open already, by another event", ref);
	if (!opens && ((c->events == 0 && !c->foreign && !c->received) ||
			      !officer_sees(p->request, c->state)))
		return unknown_case(p, event);
	if (c->received && c->granted == 0)
		return err_set(p->ctx, ERR_CONSENT,
			"case_ref: what was given of this case has ended: nothing more is recorded "
			"in it here");
	if (c->events >= LIMIT_CASE_EVENTS)
		return err_set(p->ctx, ERR_LIMIT, "the case would have more than %d events",
			LIMIT_CASE_EVENTS);
	*ret = c;
	return OK;
}

/* --- filling in --- */

/* A counter stands where RFC 9562 6.2 (method 1) puts it, so that events of one day and one request
 * keep the order of their lines. */
static enum err fill_id(struct planner *p, struct event *event)
{
	uint32_t number = p->plan->ids_made++;
	uint8_t random[10];
	struct event_id id;

	do {
		TRY(pool_draw(&p->book->pool, random, sizeof(random)));
		put_u16be(random, (uint16_t)(number % SEQUENCE_SIZE));
		id = event_id_make(p->request->now_ms + number / SEQUENCE_SIZE, random);
	} while (casebook_find_event(p->book->cases, &id, NULL) ||
		 plan_map_find(&p->plan->map, TAG_EVENT, BYTES_ARRAY(id.b), NULL));
	event_set_id(event, &id);
	return OK;
}

static enum err fill_case(struct planner *p, struct event *event)
{
	struct case_ref ref;

	do {
		TRY(pool_draw(&p->book->pool, ref.b, sizeof(ref.b)));
	} while (casebook_find_ref(p->book->cases, &ref) != NULL);
	event_set_case(event, &ref);
	return OK;
}

/* What the node knows. */
static enum err fill(struct planner *p, struct event *event)
{
	const char *officer = p->request->officer;
	struct bytes country = bytes_str(p->book->opts.country);

	if (!event->has.event_id)
		TRY(fill_id(p, event));
	if (!event->has.case_ref && event->type == EVENT_CASE_OPENED)
		TRY(fill_case(p, event));
	if (!event->has.recorded_at)
		event_set_recorded_at(event, p->request->now_s);
	if (event->has.recorded_by && (p->request->roles & ACCOUNT_SUPERVISOR) == 0 &&
		strcmp(event->recorded_by, officer) != 0)
		return err_set(p->ctx, ERR_DENIED,
			"recorded_by: only a supervisor records what another officer did");
	if (!event->has.recorded_by && officer[0] != 0 &&
		event_set_recorded_by(event, bytes_str(officer)) != OK)
		return err_set(p->ctx, ERR_INVALID, "recorded_by: the officer's name is no text");
	if (!event->has.office && country.size > 0 && event_set_office(event, country) != OK)
		return err_set(p->ctx, ERR_INVALID, "office: the node's country is no code");
	if (!event->has.office)
		return err_set(p->ctx, ERR_INVALID,
			"office: missing, and this node has no country of its own; say in the "
			"event of which office it is, as HTI");
	return event_check_complete(event, p->ctx);
}

/* --- cases and their codes --- */

static bool code_taken(const struct planner *p, const struct event *event, const char *normal)
{
	const struct casebook_case *kase = casebook_find_code(p->book->cases, bytes_str(normal));

	return (kase != NULL && !kase->opened_foreign &&
		       memcmp(kase->ref.b, event->case_ref.b, CASE_REF_SIZE) != 0) ||
	       plan_map_find(&p->plan->map, TAG_CODE, bytes_str(normal), NULL);
}

static enum err put_code(struct event *event, const char *code)
{
	char json[CASE_CODE_SIZE + 3];
	struct event_field field, *grown;

	if (event->field_count >= LIMIT_EVENT_FIELDS)
		return ERR_LIMIT;
	grown = mem_resize(event->fields, (event->field_count + 1) * sizeof(*grown));
	if (grown == NULL)
		return ERR_NOMEM;
	event->fields = grown;
	json[0] = '"';
	memcpy(json + 1, code, CASE_CODE_SIZE);
	memcpy(json + 1 + CASE_CODE_SIZE, "\"", 2);
	field = (struct event_field){mem_strdup("case_code"), mem_strdup(json)};
	if (field.name == NULL || field.json == NULL) {
		mem_free(field.name);
		mem_free(field.json);
		return ERR_NOMEM;
	}
	event->fields[event->field_count++] = field;
	return OK;
}

static enum err make_code(struct planner *p, struct event *event, char *ret)
{
	uint8_t random[CASE_CODE_RANDOM_SIZE];
	enum err err;

	for (unsigned n = 0; n < CODE_DRAWS_MAX; n++) {
		TRY(pool_draw(&p->book->pool, random, sizeof(random)));
		TRY(case_code_make(bytes_str(event->office), random, ret));
		if (code_taken(p, event, ret))
			continue;
		err = put_code(event, ret);
		if (err == ERR_LIMIT)
			return err_set(p->ctx, err, "no room for a case_code beside %d fields",
				LIMIT_EVENT_FIELDS);
		return err;
	}
	return err_set(p->ctx, ERR_LIMIT, "case_code: no free code for %s was found in %d draws",
		event->office, CODE_DRAWS_MAX);
}

static enum err read_code(const struct planner *p, const struct event *event, char *ret)
{
	char *text = NULL;
	enum err err;

	err = event_field_string(event, "case_code", &text);
	if (err == OK)
		err = case_code_normal(bytes_str(text), ret);
	if (text != NULL)
		wipe(text, strlen(text));
	mem_free(text);
	if (err == ERR_INVALID)
		return err_set(p->ctx, err,
			"case_code: allowed are 1 to %d letters, digits and hyphens",
			CASE_CODE_MAX);
	return err;
}

/* The code of a case that is opened: given, or made here. */
static enum err settle_code(struct planner *p, struct event *event, uint32_t kase)
{
	char code[CASE_CODE_MAX + 1] = "";

	if (event_field_json(event, "case_code") == NULL)
		TRY(make_code(p, event, code));
	else
		TRY(read_code(p, event, code));
	if (code_taken(p, event, code))
		return err_set(p->ctx, ERR_EXISTS, "case_code: another case has the code %s", code);
	return plan_map_put(&p->plan->map, TAG_CODE, bytes_str(code), kase);
}

/* --- splitting --- */

/* What a CORRECTION corrects; *ret_found false for all others, and where it is not known. */
static enum err find_target(const struct planner *p, const struct event *event,
	struct event_target *ret, bool *ret_found)
{
	const struct case_ref *ref = &event->case_ref;
	const struct casebook_case *kase = casebook_find_ref(p->book->cases, &event->case_ref);
	struct casebook_event_info info;
	struct event_id id;
	uint32_t number;
	enum err err = event_corrects(event, &id);

	*ret_found = false;
	if (err == ERR_NOTFOUND)
		return OK;
	if (err == ERR_MALFORMED)
		return err_set(p->ctx, err, "corrects: allowed is the event_id of an event");
	TRY(err);
	*ret_found = true;
	if (casebook_find_event(p->book->cases, &id, &info)) {
		*ret = info.target;
		ref = &info.kase->ref;
	} else if (plan_map_find(&p->plan->map, TAG_EVENT, BYTES_ARRAY(id.b), &number)) {
		*ret = p->plan->items[number].target;
		ref = &p->plan->cases[p->plan->items[number].kase].ref;
	} else if (kase != NULL && casebook_find_foreign(p->book->cases, kase, &id, &info)) {
		/* Which of them is meant decides the group, and so who may read it. */
		if (info.contested)
			return err_set(p->ctx, ERR_INVALID,
				"corrects: several nodes wrote an event of that id");
		*ret = info.target;
	} else {
		*ret_found = false;
	}
	if (memcmp(ref->b, event->case_ref.b, CASE_REF_SIZE) != 0)
		return err_set(p->ctx, ERR_NOTFOUND, "corrects: an event of another case");
	return OK;
}

enum err plan_add_part(struct plan *plan, const struct part_info *info, struct buf *packed)
{
	void *array = plan->parts;
	enum err err = array_reserve(
		&array, &plan->part_capacity, plan->part_count, 1, sizeof(*plan->parts));

	if (err != OK) {
		buf_wipe(packed);
		return err;
	}
	plan->parts = array;
	plan->parts[plan->part_count++] = (struct plan_part){.info = *info, .packed = *packed};
	return OK;
}

static enum err add_parts(
	struct planner *p, struct event_parts *parts, struct plan_case *c, struct plan_item *item)
{
	struct plan *plan = p->plan;
	void *array = plan->parts; /* array_reserve frees the old one */

	TRY(array_reserve(&array, &plan->part_capacity, plan->part_count, parts->count,
		sizeof(*plan->parts)));
	plan->parts = array;
	for (size_t i = 0; i < parts->count; i++) {
		struct plan_part *part = &plan->parts[plan->part_count];
		struct buf *packed = &parts->part[i].packed;

		part->line = p->line;
		part->next = 0;
		part->kase = item->kase;
		TRY(part_info_read(buf_bytes(packed), &part->info, p->ctx));
		part->packed = *packed;
		buf_init(packed, packed->max);
		plan->part_count++;
		plan->part_bytes += part->packed.size;
		chain(plan, c);
		item->target.groups |= GROUP_BIT(part->info.group);
		if (part->info.main)
			item->target.main = part->info.group;
	}
	return OK;
}

static enum err add_event(struct planner *p, const struct event *event, struct plan_case *c)
{
	struct plan_item item = {
		.kase = (uint32_t)(c - p->plan->cases), .target = {.type = event->type}};
	struct event_target target;
	struct event_parts parts = {0};
	struct plan *plan = p->plan;
	void *array = plan->items;
	bool found;
	enum err err;

	TRY(array_reserve(&array, &plan->item_capacity, plan->item_count, 1, sizeof(*plan->items)));
	plan->items = array;
	TRY(find_target(p, event, &target, &found));
	TRY(event_split(event, found ? &target : NULL, &parts, p->ctx));
	err = add_parts(p, &parts, c, &item);
	event_parts_release(&parts);
	if (err == OK && c->received)
		err = rules_granted(event, item.target.groups, c->granted, p->ctx);
	TRY(err);
	TRY(plan_map_put(
		&plan->map, TAG_EVENT, BYTES_ARRAY(event->id.b), (uint32_t)plan->item_count));
	plan->opened += event->type == EVENT_CASE_OPENED;
	c->last_item = plan->item_count;
	plan->items[plan->item_count++] = item;
	c->events++;
	return OK;
}

/* --- states --- */

static bool on_way(const struct casebook_case *kase)
{
	for (const struct casebook_key *key = kase == NULL ? NULL : kase->keys; key != NULL;
		key = key->next)
		if (key->entry_committed != key->entry_count)
			return true;
	return false;
}

/* The case with the event, whose parts are in the plan, out of all there is. What a trial has not
 * kept, or what is on its way while one goes on, it does without: then the state lacks the event,
 * and says nothing against those behind it. They are checked when they are recorded. */
static enum err refold(struct planner *p, struct plan_case *c)
{
	struct case_state *state = NULL;

	if (p->request->dry_run && (c->thinned || on_way(c->kase))) {
		c->blurred = true;
		return OK;
	}
	if (on_way(c->kase))
		return ERR_AGAIN;
	TRY(states_fold(p->book, c->kase, p->plan, c, &state, &p->plan->refolded, p->ctx));
	case_state_free(c->state);
	c->state = state;
	if (p->plan->refolded > LIMIT_REFOLD_PARTS)
		return err_set(p->ctx, ERR_LIMIT,
			"too many events here were recorded before others of their case: put them "
			"into the order of recorded_at");
	return OK;
}

static enum err move_on(struct planner *p, const struct event *event, struct plan_case *c)
{
	enum err err = case_state_apply(c->state, event);

	if (err == ERR_AGAIN || (err == ERR_LIMIT && c->foreign)) /* others take no room away */
		err = refold(p, c);
	if (err == ERR_LIMIT && p->ctx->text[0] == '\0')
		return err_set(p->ctx, err, "the case has no room for another event of this type");
	return err;
}

/* --- lines --- */

static enum err check(struct planner *p, struct event *event, const struct plan_case *c)
{
	struct rules_context context = {.today = p->today,
		.node = p->book->opts.node,
		.country = p->book->opts.country,
		.granted = c->granted};
	struct errctx none = {""};
	struct planner quiet = *p;
	struct event_target target;
	bool found;
	enum err err;

	quiet.ctx = &none; /* what is wrong with it is told below, or by add_event */
	if (find_target(&quiet, event, &target, &found) == OK && found)
		context.corrected = target.groups;
	err = rules_fill(c->state, event, &context, p->ctx);
	if (err == OK)
		err = schema_check(event, p->ctx);
	if (err == OK)
		err = rules_check(c->state, event, &context, p->ctx);
	if (c->blurred && (err == ERR_INVALID || err == ERR_CONSENT)) {
		*p->ctx = (struct errctx){""};
		return OK;
	}
	return err;
}

static enum err plan_event(struct planner *p, struct event *event)
{
	struct plan_case *c = NULL;
	bool known;

	TRY(settle_case(p, event));
	TRY(check_known(p, event, &known));
	if (known) {
		p->plan->known++;
		return OK;
	}
	TRY(fill(p, event));
	TRY(complaint_check_plain(p->book, event, p->ctx));
	TRY(find_case(p, event, &c));
	if (event->type == EVENT_CASE_OPENED)
		TRY(settle_code(p, event, (uint32_t)(c - p->plan->cases)));
	TRY(check(p, event, c));
	TRY(add_event(p, event, c));
	return move_on(p, event, c);
}

static enum err plan_line(struct planner *p, struct bytes line)
{
	struct event event = {0};
	enum err err;

	TRY(event_parse(line, &event, p->ctx));
	err = plan_event(p, &event);
	event_release(&event);
	return err;
}

static bool is_blank(struct bytes line)
{
	for (size_t i = 0; i < line.size; i++)
		if (line.data[i] != ' ' && line.data[i] != '\t' && line.data[i] != '\r')
			return false;
	return true;
}

static enum err plan_lines(struct planner *p, struct bytes rest)
{
	while (rest.size > 0) {
		const uint8_t *end = memchr(rest.data, '\n', rest.size);
		size_t size = end != NULL ? (size_t)(end - rest.data) : rest.size;
		struct bytes line = bytes_make(rest.data, size);
		size_t taken = end != NULL ? size + 1 : size;

		TRY(book_go_on(p->book));
		rest = bytes_make(rest.data + taken, rest.size - taken);
		p->line++;
		if (!is_blank(line))
			TRY(plan_line(p, line));
	}
	return OK;
}

enum err plan_make(struct book *book, struct vault_request *request, struct plan *plan)
{
	struct planner p = {.book = book, .request = request, .plan = plan, .ctx = &request->ctx};
	enum err err;

	TRY(request->lines.err);
	request_today(request, p.today);
	plan->refolded = 0; /* a trial goes on with the plan of the request before */
	err = plan_lines(&p, buf_bytes(&request->lines));
	if (err == OK && casebook_case_count(book->cases) + plan->opened > LIMIT_CASES)
		err = err_set(p.ctx, ERR_LIMIT, "more than %d cases", LIMIT_CASES);
	if (err != OK && err != ERR_AGAIN)
		request->line = p.line;
	return err;
}
