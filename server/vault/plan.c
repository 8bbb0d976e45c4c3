/*
 * Lines -> checked parts. For each line: parse; leave it out when the event is known; fill in what
 * a node may fill in; check the case; split. Nothing is reserved and no key is made, so that one
 * bad line spoils the whole request before anything happened.
 *
 * A dry run may be one of several chunks whose earlier ones were not recorded: there a case or a
 * corrected event that is not known is no error.
 */
#include "base/alloc.h"
#include "base/text.h"
#include "cases/event/case_code.h"
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

void plan_release(struct plan *plan)
{
	for (size_t i = 0; i < plan->part_count; i++)
		buf_wipe(&plan->parts[i].packed);
	if (plan->parts != NULL)
		wipe(plan->parts, plan->part_count * sizeof(*plan->parts));
	if (plan->items != NULL)
		wipe(plan->items, plan->item_count * sizeof(*plan->items));
	mem_free(plan->parts);
	mem_free(plan->items);
	mem_free(plan->map.slots);
	*plan = (struct plan){0};
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
		ref = &p->plan->items[item].ref;
	} else {
		*ret_known = false;
	}
	if (*ret_known && event->has.case_ref &&
		memcmp(ref->b, event->case_ref.b, CASE_REF_SIZE) != 0)
		return other_case(p);
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
	return event_check_complete(event, p->ctx);
}

/* --- cases and their codes --- */

static enum err check_opened(const struct planner *p, const struct event *event)
{
	const struct casebook_case *kase = casebook_find_ref(p->book->cases, &event->case_ref);
	struct bytes name = BYTES_ARRAY(event->case_ref.b);
	char ref[2 * CASE_REF_SIZE + 1];
	bool here = kase != NULL && kase->event_count > 0;
	bool above = plan_map_find(&p->plan->map, TAG_CASE, name, NULL);

	case_ref_text(&event->case_ref, ref);
	if (ledger_is(p->book, &event->case_ref))
		return err_set(p->ctx, ERR_INVALID,
			"case_ref: %s is the node's own ledger, which nobody writes into", ref);
	if (event->type == EVENT_CASE_OPENED && (here || above))
		return err_set(p->ctx, ERR_EXISTS,
			"case_ref: case %s is open already, by another event", ref);
	if (event->type != EVENT_CASE_OPENED && !here && !above && !p->request->dry_run)
		return err_set(p->ctx, ERR_NOTFOUND, "case_ref: no case %s is known here", ref);
	return OK;
}

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
static enum err settle_code(struct planner *p, struct event *event)
{
	char code[CASE_CODE_MAX + 1] = "";

	if (event_field_json(event, "case_code") == NULL)
		TRY(make_code(p, event, code));
	else
		TRY(read_code(p, event, code));
	if (code_taken(p, event, code))
		return err_set(p->ctx, ERR_EXISTS, "case_code: another case has the code %s", code);
	return plan_map_put(
		&p->plan->map, TAG_CODE, bytes_str(code), (uint32_t)p->plan->item_count);
}

/* --- splitting --- */

/* What a CORRECTION corrects; *ret_found false for all others, and where it is not known. */
static enum err find_target(const struct planner *p, const struct event *event,
	struct event_target *ret, bool *ret_found)
{
	static const struct event_target stand_in = {
		EVENT_CASE_OPENED, GROUP_CORE, GROUP_BIT(GROUP_CORE)};
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
		ref = &p->plan->items[number].ref;
	} else if (kase != NULL && casebook_find_foreign(p->book->cases, kase, &id, &info)) {
		/* Which of them is meant decides the group, and so who may read it. */
		if (info.contested)
			return err_set(p->ctx, ERR_INVALID,
				"corrects: several nodes wrote an event of that id");
		*ret = info.target;
	} else if (p->request->dry_run) {
		*ret = stand_in;
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

static enum err add_parts(struct planner *p, struct event_parts *parts, struct plan_item *item)
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
		TRY(part_info_read(buf_bytes(packed), &part->info, p->ctx));
		part->packed = *packed;
		buf_init(packed, packed->max);
		plan->part_count++;
		item->target.groups |= GROUP_BIT(part->info.group);
		if (part->info.main)
			item->target.main = part->info.group;
	}
	return OK;
}

static enum err add_event(struct planner *p, const struct event *event)
{
	struct plan_item item = {.ref = event->case_ref, .target = {.type = event->type}};
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
	err = add_parts(p, &parts, &item);
	event_parts_release(&parts);
	TRY(err);
	TRY(plan_map_put(
		&plan->map, TAG_EVENT, BYTES_ARRAY(event->id.b), (uint32_t)plan->item_count));
	if (event->type == EVENT_CASE_OPENED)
		TRY(plan_map_put(&plan->map, TAG_CASE, BYTES_ARRAY(event->case_ref.b),
			(uint32_t)plan->item_count));
	plan->opened += event->type == EVENT_CASE_OPENED;
	plan->items[plan->item_count++] = item;
	return OK;
}

/* --- lines --- */

static enum err plan_event(struct planner *p, struct event *event)
{
	bool known;

	TRY(check_known(p, event, &known));
	if (known) {
		p->plan->known++;
		return OK;
	}
	TRY(fill(p, event));
	TRY(check_opened(p, event));
	if (event->type == EVENT_CASE_OPENED)
		TRY(settle_code(p, event));
	return add_event(p, event);
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

enum err plan_make(struct book *book, struct vault_request *request, struct plan *ret)
{
	struct plan plan = {0};
	struct planner p = {book, request, &plan, 0, &request->ctx};
	enum err err;

	TRY(request->lines.err);
	TRY(random_bytes(plan.map.seed, sizeof(plan.map.seed)));
	err = plan_lines(&p, buf_bytes(&request->lines));
	if (err != OK) {
		request->line = p.line;
		plan_release(&plan);
		return err;
	}
	*ret = plan;
	return OK;
}
