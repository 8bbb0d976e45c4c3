/*
 * A grant that came by mail. It is judged whole: one key that may not be given refuses all of it.
 * The same grant again changes nothing, however often it comes.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "cases/event/case_code.h"
#include "certs/mail_grant.h"
#include "server/vault/erase/erase.h"
#include "server/vault/foreign.h"
#include "server/vault/grants/grants.h"
#include "server/vault/refusal.h"

struct taking {
	struct book *book;
	struct vault_request *request;
	const struct mail_item *item;
	const struct mail_grant *grant;
	struct event_id id;
	struct case_ref ref;
	struct casebook_case *kase; /* NULL: not known here */
	bool is_new[LIMIT_GRANT_KEYS];
	size_t new_count;
};

/* ---- its form ---- */

static bool is_code(const char *text)
{
	return text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_")] == '\0';
}

static bool is_date(const char *text)
{
	size_t size = strlen(text);

	return text[strspn(text, "0123456789-")] == '\0' &&
	       (size == 0 || size == 4 || size == 7 || size == 10);
}

static bool texts_ok(const struct mail_grant *grant)
{
	char code[CASE_CODE_MAX + 1];

	return is_code(grant->purpose) && is_date(grant->opened_on) &&
	       (grant->case_code[0] == '\0' ||
		       case_code_normal(bytes_str(grant->case_code), code) == OK) &&
	       (grant->until[0] == '\0' || vault_day_valid(grant->until)) &&
	       grant_basis_name(grant->basis)[0] != '\0';
}

static bool group_ok(const struct mail_grant *grant, uint32_t group)
{
	return grant->basis == GRANT_LEDGER ? group == GROUP_AUDIT : group_of_case(group);
}

/* Of the sender's own log, with the kid that is its own. */
static bool key_ok(const struct taking *t, const struct mail_grant_key *key)
{
	struct origin_parts parts;
	struct seal_kid kid;

	return group_ok(t->grant, key->group) && key->generation > FOREIGN_ONCE &&
	       origin_parse(bytes_str(key->origin), NULL, &parts) == OK &&
	       bytes_equal_str(parts.network, t->book->opts.network) &&
	       bytes_equal_str(parts.node, t->item->sender) &&
	       seal_kid_of(secret_bytes(&key->key), &kid) == OK &&
	       memcmp(kid.b, key->kid, sizeof(kid.b)) == 0;
}

/* ---- whose it is ---- */

static bool gave_to(const struct taking *t)
{
	const struct given *given = NULL;

	while ((given = grants_given_of(t->book, &t->ref, given)) != NULL)
		if (strcmp(given->recipient, t->item->sender) == 0)
			return true;
	return false;
}

/* A case of this node's takes answers of whom it is shared with, and nothing that would be answered
 * in turn; one of somebody else's takes keys of whoever knows its reference, which is random:
 * nobody guesses it. */
static bool case_ok(const struct taking *t)
{
	bool own = t->kase != NULL && t->kase->code[0] != '\0' && !t->kase->opened_foreign;

	if (ledger_is(t->book, &t->ref) || (own && t->grant->basis != GRANT_REPLY))
		return false;
	return (!own && t->grant->basis != GRANT_REPLY) || gave_to(t);
}

/* False: here it is another's, or of another group. */
static bool key_look(struct taking *t, size_t i)
{
	const struct mail_grant_key *key = &t->grant->keys[i];
	const struct casebook_key *known = t->kase == NULL ? NULL : t->kase->keys;

	while (known != NULL && memcmp(known->seal.kid.b, key->kid, SEAL_KID_SIZE) != 0)
		known = known->next;
	t->is_new[i] = known == NULL;
	t->new_count += known == NULL;
	return known == NULL || (strcmp(known->author, t->item->sender) == 0 &&
					(uint32_t)known->group == key->group);
}

/* A grant of that name is here: is it this one? */
static bool is_same(const struct taking *t, const struct received *received)
{
	if (received->kid_count != t->grant->key_count ||
		memcmp(received->case_ref.b, t->ref.b, CASE_REF_SIZE) != 0)
		return false;
	for (size_t i = 0; i < received->kid_count; i++)
		if (memcmp(received->kids[i].b, t->grant->keys[i].kid, SEAL_KID_SIZE) != 0)
			return false;
	return true;
}

static enum mail_refusal judge(struct taking *t)
{
	char today[11];

	request_today(t->request, today);
	if (t->item->class != MAIL_ORDINARY || !texts_ok(t->grant))
		return REFUSED_FORM; /* as an erasure it would get past the room for mail */
	if (!t->request->sender_active)
		return REFUSED_SENDER;
	for (size_t i = 0; i < t->grant->key_count; i++)
		if (!key_ok(t, &t->grant->keys[i]))
			return REFUSED_KEYS;
	for (size_t i = 0; i < t->grant->key_count; i++) {
		struct seal_kid kid;

		memcpy(kid.b, t->grant->keys[i].kid, sizeof(kid.b));
		if (erasures_gone(t->book, t->item->sender, &kid))
			return REFUSED_ERASED;
	}
	if (t->grant->until[0] != '\0' && strcmp(t->grant->until, today) < 0)
		return REFUSED_ENDED;
	if (!case_ok(t))
		return REFUSED_CASE;
	for (size_t i = 0; i < t->grant->key_count; i++)
		if (!key_look(t, i))
			return REFUSED_KEYS;
	return REFUSED_NOT;
}

/* ---- keeping it ---- */

static enum err fill(const struct taking *t, struct received *ret)
{
	const struct mail_grant *grant = t->grant;

	TRY(received_init(ret, grant->key_count));
	ret->id = t->id;
	ret->case_ref = t->ref;
	memcpy(ret->sender, t->item->sender, sizeof(ret->sender));
	ret->node_key = t->request->sender_key;
	ret->prekey = t->item->prekey;
	memcpy(ret->code, grant->case_code, sizeof(ret->code));
	memcpy(ret->opened_on, grant->opened_on, sizeof(ret->opened_on));
	memcpy(ret->purpose, grant->purpose, sizeof(ret->purpose));
	memcpy(ret->until, grant->until, sizeof(ret->until));
	ret->basis = grant->basis;
	ret->received_at = t->request->now_s;
	ret->consent_leaf = grant->consent_leaf;
	memcpy(ret->consent_origin, grant->consent_origin, sizeof(ret->consent_origin));
	ret->consent_index = grant->consent_index;
	for (size_t i = 0; i < grant->key_count; i++) {
		memcpy(ret->kids[i].b, grant->keys[i].kid, SEAL_KID_SIZE);
		ret->groups |= GROUP_BIT(grant->keys[i].group);
	}
	return OK;
}

static enum err entry_make(
	const struct taking *t, const struct mail_grant_key *key, struct keyring_entry *ret)
{
	*ret = (struct keyring_entry){
		.case_ref = t->ref, .group = (enum group)key->group, .generation = key->generation};
	memcpy(ret->author, t->item->sender, sizeof(ret->author));
	memcpy(ret->origin, key->origin, sizeof(ret->origin));
	return secret_copy(&ret->key, secret_bytes(&key->key));
}

struct rows {
	struct keyring_entry entries[LIMIT_GRANT_KEYS];
	struct keyring_item items[LIMIT_GRANT_KEYS + 1];
	size_t count; /* of entries */
	struct buf wrapped;
};

static void rows_free(struct rows *rows)
{
	for (size_t i = 0; i < rows->count; i++)
		keyring_entry_release(&rows->entries[i]);
	buf_release(&rows->wrapped);
	mem_free(rows);
}

static enum err wrap_received(
	const struct book *book, const struct received *received, struct rows *rows)
{
	struct keyring_item *item = &rows->items[rows->count];
	size_t start = rows->wrapped.size;
	CLEANUP(buf_wipe) struct buf plain;
	struct row_name name;

	buf_init(&plain, ROW_PLAIN_MAX);
	TRY(received_pack(received, &plain));
	received_row_name(received->sender, &received->id, &name);
	TRY(row_wrap(secret_bytes(&book->keyring_key), ROW_RECEIVED, &name, buf_bytes(&plain),
		&rows->wrapped));
	memcpy(item->kid, name.b, sizeof(item->kid));
	item->value = bytes_make(rows->wrapped.data + start, rows->wrapped.size - start);
	return OK;
}

static enum err wrap_keys(struct taking *t, struct rows *rows)
{
	for (size_t i = 0; i < t->grant->key_count; i++) {
		size_t start = rows->wrapped.size;
		struct keyring_item *item = &rows->items[rows->count];
		struct seal_kid kid;

		if (!t->is_new[i])
			continue;
		TRY(entry_make(t, &t->grant->keys[i], &rows->entries[rows->count++]));
		TRY(keyring_wrap(secret_bytes(&t->book->keyring_key),
			&rows->entries[rows->count - 1], &rows->wrapped, &kid));
		memcpy(item->kid, kid.b, sizeof(item->kid));
		item->value = bytes_make(rows->wrapped.data + start, rows->wrapped.size - start);
	}
	return OK;
}

static enum err use_keys(struct taking *t, const struct rows *rows)
{
	for (size_t i = 0; i < rows->count; i++) {
		struct casebook_key *key;

		TRY(casebook_add_key(t->book->cases, &rows->entries[i], &key));
		TRY(foreign_add_key(t->book, &rows->entries[i], key, &t->request->ctx));
	}
	t->kase = casebook_find_ref(t->book->cases, &t->ref);
	return OK;
}

/* Into the keyring in one transaction; then into the book, and what the sender's log has under
 * them. */
static enum err keep(struct taking *t, struct received *received, struct rows *rows)
{
	size_t max = (t->new_count + 1) * (size_t)KEYRING_VALUE_MAX;
	struct book *book = t->book;

	buf_init(&rows->wrapped, max);
	if (buf_reserve(&rows->wrapped, max) == NULL)
		return rows->wrapped.err; /* views stay valid */
	TRY(wrap_keys(t, rows));
	TRY(wrap_received(book, received, rows));
	TRY(keyring_put(book->opts.keyring, rows->items, rows->count + 1, &t->request->ctx));
	TRY(use_keys(t, rows));
	if (received->basis != GRANT_LEDGER)
		casebook_granted(book->cases, t->kase, received->code, received->opened_on);
	TRY(grants_add_received(book, received));
	grants_touch(book, t->kase);
	return foreign_refresh(book, &t->request->ctx);
}

static bool there_is_room(const struct taking *t)
{
	const struct casebook_key *key = t->kase == NULL ? NULL : t->kase->keys;
	size_t foreign = 0;

	for (; key != NULL; key = key->next)
		foreign += key->foreign;
	return foreign_room(t->book, t->item->sender) && grants_room(t->book, t->item->sender) &&
	       foreign + t->new_count <= CASEBOOK_KEYS_MAX &&
	       (t->kase != NULL || casebook_case_count(t->book->cases) < LIMIT_CASES);
}

static enum err take(struct taking *t)
{
	struct received received = {.kids = NULL};
	struct rows *rows;
	enum err err;

	if (!there_is_room(t))
		return err_set(&t->request->ctx, ERR_FULL, "as many grants of '%s' as there may be",
			t->item->sender);
	rows = mem_zalloc(sizeof(*rows));
	err = rows == NULL ? ERR_NOMEM : fill(t, &received);
	if (err == OK)
		err = keep(t, &received, rows);
	received_release(&received);
	if (rows != NULL)
		rows_free(rows);
	return err;
}

static enum err take_or_refuse(struct taking *t)
{
	const struct received *known = grants_find_received(t->book, t->item->sender, &t->id);
	enum mail_refusal refusal = judge(t);
	enum err err = OK;

	if (refusal == REFUSED_NOT && known != NULL)
		refusal = is_same(t, known) ? REFUSED_NOT : REFUSED_KEYS;
	else if (refusal == REFUSED_NOT)
		err = take(t);
	if (err == ERR_EXISTS) { /* a kid of another case */
		refusal = REFUSED_KEYS;
		err = OK;
	}
	t->request->refusal = refusal;
	return err;
}

enum err grant_take(struct book *book, const struct mail_item *item, struct bytes body,
	struct vault_request *request)
{
	CLEANUP(arena_release) struct arena arena;
	CLEANUP(mail_grant_release) struct mail_grant grant = {.keys = NULL};
	struct taking *t;
	enum err err;

	arena_init(&arena, 256 * 1024);
	request->outcome = MAIL_PROCESSED;
	request->mail_kind = MAIL_GRANT;
	err = mail_grant_read(body, &arena, &grant, NULL);
	if (err == ERR_NOMEM || err == ERR_CRYPTO)
		return err;
	if (err != OK) {
		request->refusal = REFUSED_FORM;
		request->outcome = MAIL_REFUSED;
		return OK;
	}
	t = mem_zalloc(sizeof(*t));
	if (t == NULL)
		return ERR_NOMEM;
	t->book = book;
	t->request = request;
	t->item = item;
	t->grant = &grant;
	memcpy(t->id.b, grant.grant_id, EVENT_ID_SIZE);
	memcpy(t->ref.b, grant.case_ref, CASE_REF_SIZE);
	t->kase = casebook_find_ref(book->cases, &t->ref);
	err = take_or_refuse(t);
	if (request->refusal != REFUSED_NOT)
		request->outcome = MAIL_REFUSED;
	mem_free(t);
	return err;
}
