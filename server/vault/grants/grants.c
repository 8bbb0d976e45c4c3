#include "server/vault/grants/grants.h"

#include "base/alloc.h"

enum { TAG_GIVEN = 'G', TAG_RECEIVED = 'R', TAG_ID = 'I', TAG_NAME = 'N' };
enum { NONE = UINT32_MAX };

/* Grants of one case are chained: the newest first. */
struct given_slot {
	struct given *given; /* NULL: forgotten */
	uint32_t next;
};
struct received_slot {
	struct received *received;
	uint32_t next;
};

struct grants {
	struct given_slot *given;
	size_t given_count, given_capacity, given_gone;
	struct received_slot *received;
	size_t received_count, received_capacity;
	/* case -> the newest slot; grant -> slot */
	struct plan_map given_of, received_of, by_id;
	uint32_t *touched; /* numbers of cases */
	size_t touched_count, touched_capacity;
	bool all; /* every case from `next` on */
	size_t next;
};

enum err grants_new(struct grants **ret)
{
	struct grants *grants = mem_zalloc(sizeof(*grants));
	enum err err;

	if (grants == NULL)
		return ERR_NOMEM;
	err = random_bytes(grants->given_of.seed, sizeof(grants->given_of.seed));
	if (err != OK) {
		mem_free(grants);
		return err;
	}
	memcpy(grants->received_of.seed, grants->given_of.seed, sizeof(grants->given_of.seed));
	memcpy(grants->by_id.seed, grants->given_of.seed, sizeof(grants->given_of.seed));
	grants->all = true; /* what was interrupted */
	*ret = grants;
	return OK;
}

static void given_free(struct given *given)
{
	if (given == NULL)
		return;
	given_release(given);
	mem_free(given);
}

void grants_free(struct grants *grants)
{
	if (grants == NULL)
		return;
	for (size_t i = 0; i < grants->given_count; i++)
		given_free(grants->given[i].given);
	for (size_t i = 0; i < grants->received_count; i++) {
		received_release(grants->received[i].received);
		mem_free(grants->received[i].received);
	}
	mem_free(grants->given);
	mem_free(grants->received);
	mem_free(grants->given_of.slots);
	mem_free(grants->received_of.slots);
	mem_free(grants->by_id.slots);
	mem_free(grants->touched);
	mem_free(grants);
}

/* Room for one more in an array that doubles. */
static enum err room(void *array, size_t count, size_t *capacity, size_t size)
{
	void **at = array, *grown;
	size_t wanted = *capacity == 0 ? 16 : 2 * *capacity;

	if (count < *capacity)
		return OK;
	grown = mem_resize(*at, wanted * size);
	if (grown == NULL)
		return ERR_NOMEM;
	*at = grown;
	*capacity = wanted;
	return OK;
}

static uint32_t first_of(const struct plan_map *map, char tag, const struct case_ref *ref)
{
	uint32_t at = NONE;

	return plan_map_find(map, tag, BYTES_ARRAY(ref->b), &at) ? at : NONE;
}

/* ---- adding ---- */

enum err grants_add_given(struct book *book, struct given *given)
{
	struct grants *grants = book->grants;
	uint32_t number = (uint32_t)grants->given_count;
	struct given *kept;

	if (grants->given_count - grants->given_gone >= LIMIT_GRANTS || number >= NONE - 1)
		return ERR_FULL;
	TRY(room(&grants->given, grants->given_count, &grants->given_capacity,
		sizeof(*grants->given)));
	kept = mem_dup(given, sizeof(*given));
	if (kept == NULL)
		return ERR_NOMEM;
	grants->given[number] =
		(struct given_slot){kept, first_of(&grants->given_of, TAG_GIVEN, &given->case_ref)};
	if (plan_map_put(&grants->by_id, TAG_ID, BYTES_ARRAY(given->id.b), number) != OK ||
		plan_map_put(&grants->given_of, TAG_GIVEN, BYTES_ARRAY(given->case_ref.b),
			number) != OK) {
		mem_free(kept);
		return ERR_NOMEM;
	}
	grants->given_count++;
	*given = (struct given){.keys = NULL};
	return OK;
}

enum err grants_add_received(struct book *book, struct received *received)
{
	struct grants *grants = book->grants;
	uint32_t number = (uint32_t)grants->received_count;
	struct received *kept;
	struct row_name name;

	if (grants->received_count >= LIMIT_GRANTS)
		return ERR_FULL;
	TRY(room(&grants->received, grants->received_count, &grants->received_capacity,
		sizeof(*grants->received)));
	kept = mem_dup(received, sizeof(*received));
	if (kept == NULL)
		return ERR_NOMEM;
	received_row_name(received->sender, &received->id, &name);
	grants->received[number] = (struct received_slot){
		kept, first_of(&grants->received_of, TAG_RECEIVED, &received->case_ref)};
	if (plan_map_put(&grants->by_id, TAG_NAME, BYTES_ARRAY(name.b), number) != OK ||
		plan_map_put(&grants->received_of, TAG_RECEIVED, BYTES_ARRAY(received->case_ref.b),
			number) != OK) {
		mem_free(kept);
		return ERR_NOMEM;
	}
	grants->received_count++;
	*received = (struct received){.kids = NULL};
	return OK;
}

void grants_forget_given(struct book *book, struct given *given)
{
	struct grants *grants = book->grants;

	for (size_t i = 0; i < grants->given_count; i++)
		if (grants->given[i].given == given) {
			grants->given[i].given = NULL;
			grants->given_gone++;
			given_free(given);
			return;
		}
}

/* ---- rows ---- */

static enum err load_given(struct book *book, struct bytes plain)
{
	struct given given;
	enum err err;

	TRY(given_unpack(plain, &given));
	err = grants_add_given(book, &given);
	if (err != OK)
		given_release(&given);
	return err;
}

static enum err load_received(struct book *book, struct bytes plain)
{
	struct received received;
	enum err err;

	TRY(received_unpack(plain, &received));
	err = grants_add_received(book, &received);
	if (err != OK)
		received_release(&received);
	return err;
}

enum err grants_load(struct book *book, const struct keyring_item *item, struct errctx *ctx)
{
	enum row_kind kind = row_kind(item->value);
	CLEANUP(buf_wipe) struct buf plain;
	struct row_name name;
	enum err err;

	memcpy(name.b, item->kid, sizeof(name.b));
	buf_init(&plain, ROW_PLAIN_MAX);
	err = row_unwrap(secret_bytes(&book->keyring_key), kind, &name, item->value, &plain);
	if (err == OK)
		err = kind == ROW_GIVEN ? load_given(book, buf_bytes(&plain))
					: load_received(book, buf_bytes(&plain));
	return err == OK ? OK : err_wrap(ctx, err, "a grant in the keyring");
}

enum err grants_wrap_given(
	struct book *book, const struct given *given, struct buf *out, struct keyring_item *ret)
{
	CLEANUP(buf_wipe) struct buf plain;
	struct row_name name;
	size_t start = out->size;

	buf_init(&plain, ROW_PLAIN_MAX);
	TRY(given_pack(given, &plain));
	given_row_name(&given->id, &name);
	TRY(row_wrap(secret_bytes(&book->keyring_key), ROW_GIVEN, &name, buf_bytes(&plain), out));
	memcpy(ret->kid, name.b, sizeof(ret->kid));
	ret->value = bytes_make(out->data + start, out->size - start);
	return OK;
}

enum err grants_save(struct book *book, const struct given *given, struct errctx *ctx)
{
	CLEANUP(buf_release) struct buf wrapped;
	struct keyring_item item;

	buf_init(&wrapped, KEYRING_VALUE_MAX);
	TRY(grants_wrap_given(book, given, &wrapped, &item));
	return keyring_update(book->opts.keyring, &item, 1, ctx);
}

/* Was anything recorded here in a case that another node gave? It stays when its keys are taken
 * back. */
static bool wrote_here(const struct casebook_case *kase, const struct received *received)
{
	const struct casebook_key *key = kase->keys;

	while (key != NULL && key->foreign)
		key = key->next;
	return key != NULL && received->basis != GRANT_REPLY;
}

/* A case of which nothing was read yet has its code from whoever gave it. */
enum err grants_settle(struct book *book)
{
	const struct received *received;

	for (size_t i = 0; (received = grants_received(book, i)) != NULL; i++) {
		struct casebook_case *kase = casebook_find_ref(book->cases, &received->case_ref);

		if (kase != NULL && received->basis != GRANT_LEDGER &&
			(grants_held(book, received) != 0 || wrote_here(kase, received)))
			casebook_granted(book->cases, kase, received->code, received->opened_on);
	}
	return OK;
}

/* ---- what there is ---- */

const struct given *grants_given(const struct book *book, size_t *at)
{
	const struct grants *grants = book->grants;

	while (*at < grants->given_count && grants->given[*at].given == NULL)
		++*at;
	return *at < grants->given_count ? grants->given[(*at)++].given : NULL;
}

const struct received *grants_received(const struct book *book, size_t i)
{
	return i < book->grants->received_count ? book->grants->received[i].received : NULL;
}

static uint32_t number_of(const struct book *book, const struct given *given)
{
	uint32_t at = NONE;

	(void)plan_map_find(&book->grants->by_id, TAG_ID, BYTES_ARRAY(given->id.b), &at);
	return at;
}

const struct given *grants_given_of(
	const struct book *book, const struct case_ref *ref, const struct given *before)
{
	const struct grants *grants = book->grants;
	uint32_t at = before == NULL ? first_of(&grants->given_of, TAG_GIVEN, ref)
				     : grants->given[number_of(book, before)].next;

	while (at != NONE && grants->given[at].given == NULL)
		at = grants->given[at].next;
	return at == NONE ? NULL : grants->given[at].given;
}

const struct received *grants_received_of(
	const struct book *book, const struct case_ref *ref, const struct received *before)
{
	const struct grants *grants = book->grants;
	uint32_t at = NONE;
	struct row_name name;

	if (before == NULL) {
		at = first_of(&grants->received_of, TAG_RECEIVED, ref);
	} else {
		received_row_name(before->sender, &before->id, &name);
		if (plan_map_find(&grants->by_id, TAG_NAME, BYTES_ARRAY(name.b), &at))
			at = grants->received[at].next;
	}
	return at == NONE ? NULL : grants->received[at].received;
}

struct given *grants_find(const struct book *book, const uint8_t id[EVENT_ID_SIZE])
{
	uint32_t at;

	return plan_map_find(&book->grants->by_id, TAG_ID, bytes_make(id, EVENT_ID_SIZE), &at)
		       ? book->grants->given[at].given
		       : NULL;
}

const struct received *grants_find_received(
	const struct book *book, const char *sender, const struct event_id *id)
{
	struct row_name name;
	uint32_t at;

	received_row_name(sender, id, &name);
	return plan_map_find(&book->grants->by_id, TAG_NAME, BYTES_ARRAY(name.b), &at)
		       ? book->grants->received[at].received
		       : NULL;
}

bool grants_room(const struct book *book, const char *sender)
{
	const struct grants *grants = book->grants;
	size_t count = 0;

	for (size_t i = 0; i < grants->received_count; i++)
		count += strcmp(grants->received[i].received->sender, sender) == 0;
	return grants->received_count < LIMIT_GRANTS && count < LIMIT_GRANTS_SENDER;
}

group_set grants_held(const struct book *book, const struct received *received)
{
	const struct casebook_case *kase = casebook_find_ref(book->cases, &received->case_ref);
	const struct casebook_key *key = kase == NULL ? NULL : kase->keys;
	group_set groups = 0;

	for (; key != NULL; key = key->next)
		if (key->foreign && strcmp(key->author, received->sender) == 0 &&
			received_has(received, &key->seal.kid))
			groups |= GROUP_BIT(key->group);
	return groups;
}

group_set grants_granted(const struct book *book, const struct case_ref *ref, const char *today)
{
	const struct received *received = NULL;
	group_set groups = 0;

	while ((received = grants_received_of(book, ref, received)) != NULL)
		if (received->basis != GRANT_REPLY && received_in_force(received, today))
			groups |= grants_held(book, received);
	return groups & GROUP_SET_CASE;
}

/* ---- what is to be looked at ---- */

static bool concerns(const struct book *book, const struct case_ref *ref)
{
	return ledger_is(book, ref) || grants_given_of(book, ref, NULL) != NULL ||
	       grants_received_of(book, ref, NULL) != NULL;
}

void grants_touch(struct book *book, const struct casebook_case *kase)
{
	struct grants *grants = book->grants;

	if (kase == NULL || !concerns(book, &kase->ref))
		return;
	for (size_t i = 0; i < grants->touched_count; i++)
		if (grants->touched[i] == kase->number)
			return;
	if (grants->touched_count >= LIMIT_GRANTS_TOUCHED ||
		room(&grants->touched, grants->touched_count, &grants->touched_capacity,
			sizeof(*grants->touched)) != OK) {
		grants_touch_all(book);
		return;
	}
	grants->touched[grants->touched_count++] = kase->number;
}

void grants_touch_all(struct book *book)
{
	book->grants->all = true;
	book->grants->next = 0;
	book->grants->touched_count = 0;
}

bool grants_due(const struct book *book)
{
	const struct grants *grants = book->grants;

	return grants->all || grants->touched_count > 0;
}

struct casebook_case *grants_next_touched(struct book *book)
{
	struct grants *grants = book->grants;

	if (grants->touched_count > 0)
		return casebook_case_at(book->cases, grants->touched[--grants->touched_count]);
	while (grants->all && grants->next < casebook_case_count(book->cases)) {
		struct casebook_case *kase = casebook_case_at(book->cases, grants->next++);

		if (concerns(book, &kase->ref))
			return kase;
	}
	grants->all = false;
	return NULL;
}
