/*
 * Events are small records in chunks, found by a hash table of their ids; entries are arrays per
 * key that refer to events by number. Chains of the tables are record numbers plus one, 0 ends
 * them: no pointers, four bytes instead of eight.
 */
#include "cases/book/casebook.h"

#include <assert.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/secret.h"
#include "cases/event/case_code.h"

enum { EVENTS_PER_CHUNK = 1024, ENTRIES_MIN = 2 };

struct stored_event {
	struct event_id id;
	uint32_t kase;
	uint32_t next; /* in the chain, or of the free list */
	group_set groups;
	uint8_t type;
	uint8_t main : 4, foreign : 1, committed : 1;
	uint8_t counted : 1; /* .. in a group of a case */
};
_Static_assert(sizeof(struct stored_event) == 28, "no holes: 128 bytes an event is a promise");
_Static_assert(sizeof(struct casebook_entry) == 16, "as above");
_Static_assert(EVENT_TYPE_LAST <= UINT8_MAX, "struct stored_event.type");
_Static_assert(GROUP_LAST <= 0xf, "struct stored_event.main");

struct table {
	uint32_t *heads;
	uint32_t size; /* a power of two, or 0 */
};

struct casebook {
	struct casebook_options options; /* node: see below */
	char node[LIMIT_NODE_NAME + 1];
	struct casebook_case **cases;
	uint32_t case_count, case_capacity;
	struct table by_ref, by_code;

	struct stored_event **chunks;
	uint32_t event_numbers; /* ever used */
	uint32_t event_free;    /* list of unused ones, number + 1 */
	uint32_t event_count;   /* in use */
	uint32_t event_committed;
	struct table by_id;

	struct casebook_key *reserved_keys;
	size_t reserved;
	size_t entry_capacity; /* of all keys */
};

/* --- tables --- */

static uint64_t mix(uint64_t h, uint64_t word)
{
	h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

static uint64_t hash_id(const struct casebook *book, const uint8_t id[16])
{
	return mix(mix(mix(book->options.seed, get_u64be(id)), get_u64be(id + 8)), 16) >> 7;
}

static uint64_t hash_code(const struct casebook *book, const char *code)
{
	uint64_t h = book->options.seed;

	for (; *code != 0; code++)
		h = mix(h, (uint8_t)*code);
	return mix(h, 1) >> 7;
}

static uint32_t *table_head(const struct table *table, uint64_t hash)
{
	return &table->heads[hash & (table->size - 1)];
}

/* Room for one more than `count`: load at most one. *ret_grown says that all must be put anew. */
static enum err table_reserve(struct table *table, uint32_t count, bool *ret_grown)
{
	uint32_t size = table->size == 0 ? 64 : table->size * 2;
	uint32_t *heads;

	*ret_grown = false;
	if (count < table->size)
		return OK;
	heads = mem_array(size, sizeof *heads);
	if (heads == NULL)
		return ERR_NOMEM;
	mem_free(table->heads);
	*table = (struct table){heads, size};
	*ret_grown = true;
	return OK;
}

/* --- events --- */

static struct stored_event *event_at(const struct casebook *book, uint32_t number)
{
	return &book->chunks[number / EVENTS_PER_CHUNK][number % EVENTS_PER_CHUNK];
}

static void event_link(struct casebook *book, uint32_t number)
{
	struct stored_event *event = event_at(book, number);
	uint32_t *head = table_head(&book->by_id, hash_id(book, event->id.b));

	event->next = *head;
	*head = number + 1;
}

static void event_unlink(struct casebook *book, uint32_t number)
{
	struct stored_event *event = event_at(book, number);
	uint32_t *at = table_head(&book->by_id, hash_id(book, event->id.b));

	while (*at != number + 1)
		at = &event_at(book, *at - 1)->next;
	*at = event->next;
}

static bool event_is(const struct stored_event *event, const struct event_id *id,
	const struct casebook_case *foreign_in)
{
	return memcmp(event->id.b, id->b, EVENT_ID_SIZE) == 0 &&
	       event->foreign == (foreign_in != NULL) &&
	       (foreign_in == NULL || event->kase == foreign_in->number);
}

/* Number plus one; 0 when unknown. foreign_in: of other nodes, in that case; NULL: of this node, in
 * any. An author of another case, or another author, has no say in either. */
static uint32_t event_lookup(const struct casebook *book, const struct event_id *id,
	const struct casebook_case *foreign_in)
{
	uint32_t at;

	if (book->by_id.size == 0)
		return 0;
	at = *table_head(&book->by_id, hash_id(book, id->b));
	while (at != 0 && !event_is(event_at(book, at - 1), id, foreign_in))
		at = event_at(book, at - 1)->next;
	return at;
}

static enum err events_reserve_chunk(struct casebook *book)
{
	uint32_t count = book->event_numbers / EVENTS_PER_CHUNK;
	struct stored_event **chunks;

	if (book->event_free != 0 || book->event_numbers % EVENTS_PER_CHUNK != 0)
		return OK;
	if (book->event_numbers > UINT32_MAX - 2 * EVENTS_PER_CHUNK)
		return ERR_LIMIT;
	chunks = mem_resize(book->chunks, (count + 1) * sizeof *chunks);
	if (chunks == NULL)
		return ERR_NOMEM;
	book->chunks = chunks;
	chunks[count] = mem_array(EVENTS_PER_CHUNK, sizeof **chunks);
	return chunks[count] == NULL ? ERR_NOMEM : OK;
}

static enum err events_reserve_table(struct casebook *book)
{
	bool grown;

	TRY(table_reserve(&book->by_id, book->event_count, &grown));
	for (uint32_t n = 0; grown && n < book->event_numbers; n++)
		if (event_at(book, n)->groups != 0) /* not on the free list */
			event_link(book, n);
	return OK;
}

/* The ledger is a case that lasts as long as the node. Views stop before all else does. */
static uint32_t event_limit(enum group group)
{
	return group == GROUP_VIEWS   ? LIMIT_LEDGER_VIEWS
	       : group == GROUP_AUDIT ? LIMIT_LEDGER_EVENTS
				      : LIMIT_CASE_EVENTS;
}

/* Of another node's; what an auditor was given of its ledger is larger than a case. */
static uint32_t foreign_limit(enum group group)
{
	return group == GROUP_AUDIT ? LIMIT_LEDGER_FOREIGN : LIMIT_CASE_FOREIGN;
}

/* The chunk comes last: once there, it is used at once, so that none is lost to a failure. */
static enum err event_new(struct casebook *book, const struct part_info *part,
	const struct casebook_key *key, uint32_t *ret_number)
{
	struct casebook_case *kase = key->owner;
	struct stored_event *event;
	uint32_t number;

	if (key->foreign ? kase->foreign_all >= foreign_limit(key->group)
			 : kase->event_all >= event_limit(part->group))
		return ERR_LIMIT;
	TRY(events_reserve_table(book));
	TRY(events_reserve_chunk(book));
	if (book->event_free != 0) {
		number = book->event_free - 1;
		book->event_free = event_at(book, number)->next;
	} else {
		number = book->event_numbers++;
	}
	event = event_at(book, number);
	*event = (struct stored_event){
		.id = part->event_id,
		.kase = kase->number,
		.type = part->type <= UINT8_MAX ? (uint8_t)part->type : 0,
		.foreign = key->foreign,
	};
	event_link(book, number);
	book->event_count++;
	if (key->foreign)
		kase->foreign_all++;
	else
		kase->event_all++;
	*ret_number = number;
	return OK;
}

static void event_drop(struct casebook *book, uint32_t number)
{
	struct stored_event *event = event_at(book, number);

	event_unlink(book, number);
	if (event->foreign)
		book->cases[event->kase]->foreign_all--;
	else
		book->cases[event->kase]->event_all--;
	book->event_count--;
	*event = (struct stored_event){.next = book->event_free};
	book->event_free = number + 1;
}

/* --- cases and keys --- */

enum err casebook_new(const struct casebook_options *options, struct casebook **ret)
{
	struct casebook *book = mem_zalloc(sizeof *book);

	if (book == NULL)
		return ERR_NOMEM;
	book->options = *options;
	if (options->node != NULL)
		strncpy(book->node, options->node, LIMIT_NODE_NAME);
	book->options.node = NULL;
	*ret = book;
	return OK;
}

static void free_wiped(void *data, size_t size)
{
	if (data != NULL)
		wipe(data, size);
	mem_free(data);
}

static void key_free(struct casebook_key *key)
{
	seal_key_release(&key->seal);
	free_wiped(key->entries, key->entry_capacity * sizeof *key->entries);
	free_wiped(key, sizeof *key);
}

static void case_free(struct casebook_case *kase)
{
	while (kase->keys != NULL) {
		struct casebook_key *key = kase->keys;

		kase->keys = key->next;
		key_free(key);
	}
	free_wiped(kase, sizeof *kase);
}

void casebook_free(struct casebook *book)
{
	uint32_t chunks;

	if (book == NULL)
		return;
	chunks = (book->event_numbers + EVENTS_PER_CHUNK - 1) / EVENTS_PER_CHUNK;
	for (uint32_t i = 0; i < book->case_count; i++)
		case_free(book->cases[i]);
	for (uint32_t i = 0; i < chunks; i++)
		free_wiped(book->chunks[i], EVENTS_PER_CHUNK * sizeof **book->chunks);
	mem_free(book->cases);
	mem_free(book->chunks);
	mem_free(book->by_ref.heads);
	mem_free(book->by_code.heads);
	mem_free(book->by_id.heads);
	free_wiped(book, sizeof *book);
}

static void case_link_ref(struct casebook *book, struct casebook_case *kase)
{
	uint32_t *head = table_head(&book->by_ref, hash_id(book, kase->ref.b));

	kase->next_by_ref = *head;
	*head = kase->number + 1;
}

/* Of two cases with one code this node's is found, then the first added. */
static bool code_before(const struct casebook_case *a, const struct casebook_case *b)
{
	return a->opened_foreign != b->opened_foreign ? b->opened_foreign : a->number < b->number;
}

/* Cases get their codes out of order: the chain is kept in that of code_before. */
static void case_link_code(struct casebook *book, struct casebook_case *kase)
{
	uint32_t *at = table_head(&book->by_code, hash_code(book, kase->code));

	while (*at != 0 && code_before(book->cases[*at - 1], kase))
		at = &book->cases[*at - 1]->next_by_code;
	kase->next_by_code = *at;
	*at = kase->number + 1;
}

static void case_unlink_code(struct casebook *book, struct casebook_case *kase)
{
	uint32_t *at = table_head(&book->by_code, hash_code(book, kase->code));

	while (*at != kase->number + 1)
		at = &book->cases[*at - 1]->next_by_code;
	*at = kase->next_by_code;
}

/* Both tables have room for every case, so that a code can be put in without failing. */
static enum err cases_reserve(struct casebook *book)
{
	bool grown;

	if (book->case_count >= LIMIT_CASES)
		return ERR_LIMIT;
	if (book->case_count == book->case_capacity) {
		uint32_t capacity = book->case_capacity == 0 ? 64 : book->case_capacity * 2;
		struct casebook_case **cases =
			mem_resize(book->cases, capacity * sizeof(struct casebook_case *));

		if (cases == NULL)
			return ERR_NOMEM;
		book->cases = cases;
		book->case_capacity = capacity;
	}
	TRY(table_reserve(&book->by_ref, book->case_count, &grown));
	for (uint32_t i = 0; grown && i < book->case_count; i++)
		case_link_ref(book, book->cases[i]);
	TRY(table_reserve(&book->by_code, book->case_count, &grown));
	for (uint32_t i = 0; grown && i < book->case_count; i++)
		if (book->cases[i]->code[0] != 0)
			case_link_code(book, book->cases[i]);
	return OK;
}

static enum err case_get(
	struct casebook *book, const struct case_ref *ref, struct casebook_case **ret)
{
	struct casebook_case *kase = casebook_find_ref(book, ref);

	if (kase == NULL) {
		TRY(cases_reserve(book));
		kase = mem_zalloc(sizeof *kase);
		if (kase == NULL)
			return ERR_NOMEM;
		kase->ref = *ref;
		kase->number = book->case_count;
		book->cases[book->case_count++] = kase;
		case_link_ref(book, kase);
	}
	*ret = kase;
	return OK;
}

enum err casebook_add_key(
	struct casebook *book, const struct keyring_entry *entry, struct casebook_key **ret_key)
{
	struct casebook_case *kase;
	struct casebook_key *key;
	bool foreign = book->node[0] != 0 && strcmp(entry->author, book->node) != 0;
	size_t count = 0;
	enum err err;

	TRY(case_get(book, &entry->case_ref, &kase));
	key = mem_zalloc(sizeof *key);
	if (key == NULL)
		return ERR_NOMEM;
	err = seal_key_init(&key->seal, secret_bytes(&entry->key));
	for (struct casebook_key *k = kase->keys; k != NULL && err == OK; k = k->next) {
		if (memcmp(k->seal.kid.b, key->seal.kid.b, SEAL_KID_SIZE) == 0)
			err = ERR_EXISTS;
		else if (k->foreign == foreign && ++count >= CASEBOOK_KEYS_MAX)
			err = ERR_LIMIT;
	}
	if (err != OK) {
		key_free(key);
		return err;
	}
	key->owner = kase;
	key->group = entry->group;
	key->generation = entry->generation;
	memcpy(key->author, entry->author, sizeof key->author);
	key->foreign = foreign;
	key->next = kase->keys;
	kase->keys = key;
	if (ret_key != NULL)
		*ret_key = key;
	return OK;
}

/* --- finding --- */

struct casebook_case *casebook_find_ref(const struct casebook *book, const struct case_ref *ref)
{
	uint32_t at;

	if (book->by_ref.size == 0)
		return NULL;
	at = *table_head(&book->by_ref, hash_id(book, ref->b));
	while (at != 0 && memcmp(book->cases[at - 1]->ref.b, ref->b, CASE_REF_SIZE) != 0)
		at = book->cases[at - 1]->next_by_ref;
	return at == 0 ? NULL : book->cases[at - 1];
}

struct casebook_case *casebook_find_code(const struct casebook *book, struct bytes code)
{
	char normal[CASE_CODE_MAX + 1];
	uint32_t at;

	if (book->by_code.size == 0 || case_code_normal(code, normal) != OK)
		return NULL;
	at = *table_head(&book->by_code, hash_code(book, normal));
	while (at != 0 && strcmp(book->cases[at - 1]->code, normal) != 0)
		at = book->cases[at - 1]->next_by_code;
	return at == 0 ? NULL : book->cases[at - 1];
}

struct casebook_case *casebook_find(const struct casebook *book, struct bytes code_or_ref)
{
	struct casebook_case *kase = NULL;
	struct case_ref ref;

	if (case_ref_parse(code_or_ref, &ref) == OK)
		kase = casebook_find_ref(book, &ref);
	return kase != NULL ? kase : casebook_find_code(book, code_or_ref);
}

struct casebook_key *casebook_find_key(
	const struct casebook_case *kase, enum group group, struct bytes author)
{
	struct casebook_key *found = NULL;

	for (struct casebook_key *k = kase->keys; k != NULL; k = k->next)
		if (k->group == group && bytes_equal_str(author, k->author) &&
			(found == NULL || k->generation > found->generation))
			found = k;
	return found;
}

static void event_info(
	const struct casebook *book, uint32_t number, struct casebook_event_info *ret)
{
	const struct stored_event *event = event_at(book, number);

	*ret = (struct casebook_event_info){
		.target = {event->type, (enum group)event->main, event->groups},
		.kase = book->cases[event->kase],
		.committed = event->committed,
	};
}

bool casebook_find_event(
	const struct casebook *book, const struct event_id *id, struct casebook_event_info *ret)
{
	uint32_t at = event_lookup(book, id, NULL);

	if (at != 0 && ret != NULL)
		event_info(book, at - 1, ret);
	return at != 0;
}

static bool key_has(const struct casebook_key *key, uint32_t event)
{
	for (uint32_t n = 0; n < key->entry_count; n++)
		if (key->entries[n].event == event)
			return true;
	return false;
}

bool casebook_find_foreign(const struct casebook *book, const struct casebook_case *kase,
	const struct event_id *id, struct casebook_event_info *ret)
{
	uint32_t at = event_lookup(book, id, kase);
	const char *author = NULL;

	if (at == 0)
		return false;
	event_info(book, at - 1, ret);
	for (const struct casebook_key *key = kase->keys; key != NULL; key = key->next) {
		if (!key->foreign || !key_has(key, at - 1))
			continue;
		ret->contested |= author != NULL && strcmp(author, key->author) != 0;
		author = key->author;
	}
	return true;
}

uint64_t casebook_entry_index(const struct casebook_entry *entry)
{
	return (uint64_t)entry->index_high << 32 | entry->index_low;
}

const struct event_id *casebook_entry_event(
	const struct casebook *book, const struct casebook_entry *entry)
{
	return &event_at(book, entry->event)->id;
}

/* --- noting and reserving --- */

static enum err entries_reserve(struct casebook *book, struct casebook_key *key)
{
	uint32_t capacity = key->entry_capacity + key->entry_capacity / 2;
	struct casebook_entry *entries;

	if (key->entry_count < key->entry_capacity)
		return OK;
	if (capacity < key->entry_capacity + ENTRIES_MIN)
		capacity = key->entry_capacity + ENTRIES_MIN;
	entries = mem_resize(key->entries, capacity * sizeof *entries);
	if (entries == NULL)
		return ERR_NOMEM;
	book->entry_capacity += capacity - key->entry_capacity;
	key->entries = entries;
	key->entry_capacity = capacity;
	return OK;
}

static bool already_noted(const struct casebook_key *key, const struct casebook_at *at)
{
	const struct casebook_entry *last = key->entries + key->entry_count;

	/* As a rule they come in order. */
	if (key->entry_count == 0 || (last[-1].log == at->log && last[-1].i < at->i))
		return false;
	for (uint32_t n = 0; n < key->entry_count; n++)
		if (key->entries[n].log == at->log && key->entries[n].i == at->i)
			return true;
	return false;
}

static enum err check_part(const struct casebook_key *key, const struct part_info *part)
{
	if (part->group != key->group ||
		memcmp(part->case_ref.b, key->owner->ref.b, CASE_REF_SIZE) != 0)
		return ERR_INVALID;
	return OK;
}

/* The event's record, made when it is new, with this part's group put in. */
static enum err event_get(struct casebook *book, struct casebook_key *key,
	const struct part_info *part, uint32_t *ret_number)
{
	uint32_t at = event_lookup(book, &part->event_id, key->foreign ? key->owner : NULL);
	struct stored_event *event;
	uint32_t number = at - 1;

	if (at == 0)
		TRY(event_new(book, part, key, &number));
	event = event_at(book, number);
	if (event->kase != key->owner->number)
		return ERR_INVALID;
	event->groups |= GROUP_BIT(part->group);
	if (part->main && event->main == GROUP_NONE) {
		event->main = part->group & 0xf;
		event->type = part->type <= UINT8_MAX ? (uint8_t)part->type : 0;
	}
	*ret_number = number;
	return OK;
}

static void event_committed(struct casebook *book, uint32_t number, enum group group)
{
	struct stored_event *event = event_at(book, number);

	event->committed = 1;
	if (event->counted || !group_of_case(group))
		return;
	event->counted = 1;
	book->event_committed++;
	book->cases[event->kase]->event_count++;
}

static void date_seen(struct casebook_case *kase, const char *date)
{
	if (strcmp(date, kase->last_occurred_on) > 0)
		memcpy(kase->last_occurred_on, date, strlen(date) + 1);
}

/* CASE_OPENED gives the code; the first one counts. */
static void case_opened(struct casebook *book, struct casebook_case *kase,
	const struct part_info *part, bool foreign)
{
	if (case_code_normal(bytes_str(part->case_code), kase->code) != OK)
		return;
	memcpy(kase->opened_on, part->occurred_on, sizeof kase->opened_on);
	kase->opened_foreign = foreign;
	case_link_code(book, kase);
}

static bool opens(const struct casebook_case *kase, const struct part_info *part)
{
	return part->main && part->type == EVENT_CASE_OPENED && part->case_code[0] != 0 &&
	       kase->code[0] == 0;
}

void casebook_granted(
	struct casebook *book, struct casebook_case *kase, const char *code, const char *opened_on)
{
	kase->granted = true;
	if (kase->code[0] != 0 || case_code_normal(bytes_str(code), kase->code) != OK)
		return;
	memcpy(kase->opened_on, opened_on, strlen(opened_on) + 1);
	kase->opened_foreign = true;
	case_link_code(book, kase);
}

static void entry_put(struct casebook_key *key, uint32_t event, const struct casebook_at *at)
{
	key->entries[key->entry_count++] = (struct casebook_entry){
		.event = event,
		.i = (uint32_t)at->i,
		.index_low = (uint32_t)at->index,
		.index_high = (uint16_t)(at->index >> 32),
		.log = at->log,
	};
}

enum err casebook_note(struct casebook *book, struct casebook_key *key,
	const struct casebook_at *at, const struct part_info *part)
{
	uint32_t event = 0;

	TRY(check_part(key, part));
	if (key->entry_committed != key->entry_count)
		return ERR_BUSY;
	if (at->i >= UINT32_MAX || at->index >= LIMIT_LOG_SIZE)
		return ERR_LIMIT;
	if (already_noted(key, at))
		return OK;
	TRY(entries_reserve(book, key));
	TRY(event_get(book, key, part, &event));
	entry_put(key, event, at);
	key->entry_committed = key->entry_count;
	event_committed(book, event, key->group);
	date_seen(key->owner, part->occurred_on);
	if (opens(key->owner, part))
		case_opened(book, key->owner, part, key->foreign);
	if (at->log == book->options.own_log && at->i >= key->next_i)
		key->next_i = at->i + 1;
	return OK;
}

static enum err check_new(
	const struct casebook *book, const struct casebook_key *key, const struct part_info *part)
{
	const struct casebook_case *other;
	uint32_t at = event_lookup(book, &part->event_id, NULL);

	if (at != 0 && (event_at(book, at - 1)->groups & GROUP_BIT(part->group)) != 0)
		return ERR_EXISTS;
	if (!opens(key->owner, part))
		return OK;
	other = casebook_find_code(book, bytes_str(part->case_code));
	return other != NULL && other != key->owner && !other->opened_foreign ? ERR_EXISTS : OK;
}

static void key_reserved(struct casebook *book, struct casebook_key *key)
{
	book->reserved++;
	if (key->in_reserved)
		return;
	key->in_reserved = true;
	key->next_reserved = book->reserved_keys;
	book->reserved_keys = key;
}

/* Takes the next number for a part that may be taken. */
static enum err entry_reserve(struct casebook *book, struct casebook_key *key,
	const struct part_info *part, uint64_t *ret_i, struct casebook_ticket *ret_ticket)
{
	struct casebook_at at = {.i = key->next_i, .log = book->options.own_log};
	uint32_t event = 0;

	assert(!key->foreign);
	if (at.i >= UINT32_MAX)
		return ERR_LIMIT;
	TRY(entries_reserve(book, key));
	TRY(event_get(book, key, part, &event));
	entry_put(key, event, &at);
	key->next_i++;
	key_reserved(book, key);
	*ret_i = at.i;
	*ret_ticket = (struct casebook_ticket){.key = key, .entry = key->entry_count - 1};
	memcpy(ret_ticket->occurred_on, part->occurred_on, sizeof ret_ticket->occurred_on);
	return OK;
}

enum err casebook_reserve(struct casebook *book, struct casebook_key *key,
	const struct part_info *part, uint64_t *ret_i, struct casebook_ticket *ret_ticket)
{
	TRY(check_part(key, part));
	TRY(check_new(book, key, part));
	TRY(entry_reserve(book, key, part, ret_i, ret_ticket));
	if (opens(key->owner, part)) {
		case_opened(book, key->owner, part, false);
		key->owner->opened_reserved = key->owner->code[0] != 0;
	}
	return OK;
}

bool casebook_in_own_log(
	const struct casebook *book, const struct casebook_key *key, uint32_t event)
{
	if (key->next_i == 0) /* the rule: nothing of this key stands there yet */
		return false;
	for (uint32_t n = 0; n < key->entry_count; n++)
		if (key->entries[n].event == event && key->entries[n].log == book->options.own_log)
			return true;
	return false;
}

enum err casebook_reserve_again(struct casebook *book, struct casebook_key *key,
	const struct part_info *part, uint64_t *ret_i, struct casebook_ticket *ret_ticket)
{
	uint32_t at = event_lookup(book, &part->event_id, NULL);

	TRY(check_part(key, part));
	if (at == 0 || (event_at(book, at - 1)->groups & GROUP_BIT(part->group)) == 0)
		return ERR_NOTFOUND;
	if (casebook_in_own_log(book, key, at - 1))
		return ERR_EXISTS;
	return entry_reserve(book, key, part, ret_i, ret_ticket);
}

/* Once nothing is reserved, no key is remembered for it. */
static void reserved_forget(struct casebook *book)
{
	while (book->reserved_keys != NULL) {
		struct casebook_key *key = book->reserved_keys;

		book->reserved_keys = key->next_reserved;
		key->next_reserved = NULL;
		key->in_reserved = false;
	}
}

void casebook_commit(struct casebook *book, const struct casebook_ticket *ticket, uint64_t index)
{
	struct casebook_key *key = ticket->key;
	struct casebook_entry *entry = &key->entries[ticket->entry];
	const struct stored_event *event = event_at(book, entry->event);

	assert(book->reserved > 0 && ticket->entry < key->entry_count &&
		key->entry_committed < key->entry_count && index < LIMIT_LOG_SIZE);
	entry->index_low = (uint32_t)index;
	entry->index_high = (uint16_t)(index >> 32);
	key->entry_committed++;
	event_committed(book, entry->event, key->group);
	date_seen(key->owner, ticket->occurred_on);
	if (event->type == EVENT_CASE_OPENED && event->main == key->group)
		key->owner->opened_reserved = false;
	if (--book->reserved == 0)
		reserved_forget(book);
}

/* Another entry of the same part, of an older epoch: the part is known without this one. */
static bool stands_elsewhere(const struct casebook_key *key, uint32_t event)
{
	for (uint32_t n = 0; n < key->entry_committed; n++)
		if (key->entries[n].event == event)
			return true;
	return false;
}

static void entry_abort(struct casebook *book, struct casebook_key *key)
{
	struct casebook_entry *entry = &key->entries[--key->entry_count];
	struct stored_event *event = event_at(book, entry->event);

	key->next_i--;
	book->reserved--;
	if (event->committed && stands_elsewhere(key, entry->event))
		return;
	event->groups &= (group_set)~GROUP_BIT(key->group);
	if (event->main == key->group)
		event->main = GROUP_NONE;
	if (event->groups == 0)
		event_drop(book, entry->event);
}

static void code_forget(struct casebook *book, struct casebook_case *kase)
{
	case_unlink_code(book, kase);
	wipe(kase->code, sizeof kase->code);
	wipe(kase->opened_on, sizeof kase->opened_on);
	kase->opened_reserved = false;
}

void casebook_abort(struct casebook *book)
{
	for (struct casebook_key *key = book->reserved_keys; key != NULL;
		key = key->next_reserved) {
		struct casebook_case *kase = key->owner;

		while (key->entry_count > key->entry_committed)
			entry_abort(book, key);
		if (kase->opened_reserved)
			code_forget(book, kase);
	}
	assert(book->reserved == 0);
	reserved_forget(book);
}

void casebook_take_back(struct casebook *book, const struct casebook_ticket *tickets, size_t count)
{
	while (count > 0) {
		struct casebook_key *key = tickets[--count].key;
		struct casebook_case *kase = key->owner;
		const struct stored_event *event =
			event_at(book, key->entries[tickets[count].entry].event);
		bool opened = kase->opened_reserved && event->type == EVENT_CASE_OPENED &&
			      event->main == key->group;

		assert(tickets[count].entry == key->entry_count - 1 &&
			key->entry_count > key->entry_committed);
		entry_abort(book, key);
		if (opened)
			code_forget(book, kase);
	}
	if (book->reserved == 0)
		reserved_forget(book);
}

/* Another key of the case that has the same group of the event. */
static bool told_elsewhere(const struct casebook_key *key, uint32_t event)
{
	for (const struct casebook_key *k = key->owner->keys; k != NULL; k = k->next)
		if (k != key && k->group == key->group && k->foreign == key->foreign &&
			key_has(k, event))
			return true;
	return false;
}

static void entry_forget(struct casebook *book, struct casebook_key *key, uint32_t number)
{
	struct stored_event *event = event_at(book, number);
	struct casebook_case *kase = key->owner;

	/* Twice under one key, in two epochs: the first time has done it. */
	if ((event->groups & GROUP_BIT(key->group)) == 0 || told_elsewhere(key, number))
		return;
	event->groups &= (group_set)~GROUP_BIT(key->group);
	if (event->main == key->group) {
		event->main = GROUP_NONE;
		if (event->type == EVENT_CASE_OPENED && event->foreign == kase->opened_foreign &&
			kase->code[0] != '\0')
			code_forget(book, kase);
	}
	if (event->groups != 0)
		return;
	if (event->counted) {
		book->event_committed--;
		kase->event_count--;
	}
	event_drop(book, number);
}

void casebook_forget_key(struct casebook *book, struct casebook_key *key)
{
	struct casebook_case *kase = key->owner;
	struct casebook_key **at = &kase->keys;

	assert(key->entry_count == key->entry_committed && !key->in_reserved);
	for (uint32_t n = 0; n < key->entry_count; n++)
		entry_forget(book, key, key->entries[n].event);
	while (*at != key)
		at = &(*at)->next;
	*at = key->next;
	book->entry_capacity -= key->entry_capacity;
	key_free(key);
	if (kase->keys == NULL)
		wipe(kase->last_occurred_on, sizeof(kase->last_occurred_on));
}

size_t casebook_reserved(const struct casebook *book)
{
	return book->reserved;
}

void casebook_set_own_log(struct casebook *book, uint16_t log)
{
	assert(book->reserved == 0);
	book->options.own_log = log;
	for (uint32_t c = 0; c < book->case_count; c++)
		for (struct casebook_key *k = book->cases[c]->keys; k != NULL; k = k->next) {
			k->next_i = 0;
			for (uint32_t n = 0; n < k->entry_count; n++)
				if (k->entries[n].log == log && k->entries[n].i >= k->next_i)
					k->next_i = k->entries[n].i + UINT64_C(1);
		}
}

/* --- lists --- */

size_t casebook_case_count(const struct casebook *book)
{
	return book->case_count;
}

struct casebook_case *casebook_case_at(const struct casebook *book, size_t number)
{
	return number < book->case_count ? book->cases[number] : NULL;
}

size_t casebook_event_count(const struct casebook *book)
{
	return book->event_committed;
}

static int case_compare(const void *a, const void *b)
{
	const struct casebook_case *x = *(const struct casebook_case *const *)a;
	const struct casebook_case *y = *(const struct casebook_case *const *)b;
	int c = strcmp(x->code, y->code);

	return c != 0 ? c : memcmp(x->ref.b, y->ref.b, CASE_REF_SIZE);
}

enum err casebook_list(
	const struct casebook *book, const struct casebook_case ***ret, size_t *ret_count)
{
	const struct casebook_case **list = NULL;
	size_t count = 0;

	if (book->case_count > 0) {
		list = mem_array(book->case_count, sizeof *list);
		if (list == NULL)
			return ERR_NOMEM;
	}
	for (uint32_t i = 0; i < book->case_count; i++)
		if (book->cases[i]->event_count > 0 || book->cases[i]->granted)
			list[count++] = book->cases[i];
	if (count == 0) {
		mem_free(list);
		list = NULL;
	} else {
		qsort(list, count, sizeof *list, case_compare);
	}
	*ret = list;
	*ret_count = count;
	return OK;
}

size_t casebook_event_memory(const struct casebook *book)
{
	size_t chunks = (book->event_numbers + EVENTS_PER_CHUNK - 1) / EVENTS_PER_CHUNK;

	return chunks * EVENTS_PER_CHUNK * sizeof(struct stored_event) +
	       chunks * sizeof(struct stored_event *) +
	       book->by_id.size * sizeof *book->by_id.heads +
	       book->entry_capacity * sizeof(struct casebook_entry);
}
