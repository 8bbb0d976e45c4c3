#include "server/vault/erase/erase.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cases/event/event_json.h"
#include "cases/keys/order.h"
#include "certs/mail_erase.h"
#include "server/vault/drafts.h"
#include "server/vault/erase/erase_parts.h"
#include "server/vault/escrow/escrow.h"
#include "server/vault/foreign.h"
#include "server/vault/grants/grants.h"

enum { ASK_AGAIN_S = 24 * 60 * 60 };

/* ---- memory ---- */

enum err erasures_new(struct erasures **ret)
{
	struct erasures *erasures = mem_zalloc(sizeof(*erasures));

	if (erasures == NULL)
		return ERR_NOMEM;
	*ret = erasures;
	return OK;
}

void erasures_free(struct erasures *erasures)
{
	if (erasures == NULL)
		return;
	for (size_t i = 0; i < erasures->count; i++)
		erasure_release(&erasures->list[i]);
	mem_free(erasures->list);
	mem_free(erasures->tombs);
	mem_free(erasures->doomed);
	mem_free(erasures->holds);
	mem_free(erasures->ordered);
	mem_free(erasures);
}

/* Room for one more; false: no memory. */
static bool room(void *array, size_t count, size_t *capacity, size_t size)
{
	void **at = array, *grown;

	if (count < *capacity)
		return true;
	grown = mem_resize(*at, (*capacity * 2 + 16) * size);
	if (grown == NULL)
		return false;
	*at = grown;
	*capacity = *capacity * 2 + 16;
	return true;
}

static int row_compare(const void *a, const void *b)
{
	return memcmp(a, b, ROW_NAME_SIZE);
}

static bool tomb_there(const struct erasures *e, const struct row_name *name)
{
	return e->tomb_count > 0 &&
	       bsearch(name, e->tombs, e->tomb_count, sizeof(*name), row_compare) != NULL;
}

bool erasures_gone(const struct book *book, const char *author, const struct seal_kid *kid)
{
	const struct erasures *e = book->erasures;
	struct row_name name;

	if (e->tomb_count == 0)
		return false;
	tombstone_row_name(author, kid, &name);
	return tomb_there(e, &name);
}

/* Sorted again by whoever adds. */
static enum err tomb_add(struct erasures *e, const struct row_name *name)
{
	if (!room(&e->tombs, e->tomb_count, &e->tomb_capacity, sizeof(*e->tombs)))
		return ERR_NOMEM;
	e->tombs[e->tomb_count++] = *name;
	return OK;
}

static void tombs_sort(struct erasures *e)
{
	if (e->tomb_count > 0)
		qsort(e->tombs, e->tomb_count, sizeof(*e->tombs), row_compare);
}

enum err erasures_doom(struct book *book, const uint8_t name[KEYRING_NAME_SIZE])
{
	struct erasures *e = book->erasures;

	for (size_t i = 0; i < e->doomed_count; i++)
		if (memcmp(e->doomed[i], name, KEYRING_NAME_SIZE) == 0)
			return OK;
	if (!room(&e->doomed, e->doomed_count, &e->doomed_capacity, sizeof(*e->doomed)))
		return ERR_NOMEM;
	memcpy(e->doomed[e->doomed_count++], name, KEYRING_NAME_SIZE);
	return OK;
}

static struct erasure *find(const struct erasures *e, const char *sender, const struct order_id *id)
{
	for (size_t i = 0; i < e->count; i++)
		if (strcmp(e->list[i].sender, sender) == 0 &&
			memcmp(e->list[i].id.b, id->b, ORDER_ID_SIZE) == 0)
			return &e->list[i];
	return NULL;
}

const struct erasure *erase_find(const struct book *book, const struct order_id *id)
{
	return find(book->erasures, "", id);
}

uint64_t erasures_entries(const struct book *book)
{
	uint64_t count = 0;

	for (size_t i = 0; i < book->erasures->count; i++)
		if (book->erasures->list[i].destroyed_at != 0)
			count += book->erasures->list[i].entries;
	return count;
}

/* Takes what it points to on OK. */
static enum err list_add(struct erasures *e, const struct erasure *erasure)
{
	if (e->count == LIMIT_ERASURES)
		return ERR_FULL;
	if (!room(&e->list, e->count, &e->capacity, sizeof(*e->list)))
		return ERR_NOMEM;
	e->list[e->count++] = *erasure;
	return OK;
}

/* ---- loading ---- */

static enum err scan_row(void *arg, const struct keyring_item *item, struct errctx *ctx)
{
	struct row_name name;

	if (row_kind(item->value) != ROW_TOMBSTONE)
		return OK;
	memcpy(name.b, item->kid, sizeof(name.b));
	return tomb_add(arg, &name);
}

enum err erasures_scan(struct book *book, struct errctx *ctx)
{
	TRY(keyring_each(book->opts.keyring, scan_row, book->erasures, ctx));
	tombs_sort(book->erasures);
	return OK;
}

static enum err load_erasure(struct book *book, struct bytes plain)
{
	struct erasure erasure;
	enum err err;

	TRY(erasure_unpack(plain, &erasure));
	err = list_add(book->erasures, &erasure);
	if (err != OK)
		erasure_release(&erasure);
	return err;
}

static enum err load_hold(struct book *book, struct bytes plain)
{
	struct erasures *e = book->erasures;
	struct hold hold;

	TRY(hold_unpack(plain, &hold));
	if (!room(&e->holds, e->hold_count, &e->hold_capacity, sizeof(*e->holds)))
		return ERR_NOMEM;
	e->holds[e->hold_count++] = hold;
	return OK;
}

enum err erasures_load(struct book *book, const struct keyring_item *item, struct errctx *ctx)
{
	CLEANUP(buf_release) struct buf plain;
	enum row_kind kind = row_kind(item->value);
	struct row_name name;
	enum err err;

	buf_init(&plain, ROW_PLAIN_MAX + AEAD_TAG_SIZE);
	if (kind == ROW_TOMBSTONE)
		return OK; /* its name is known, and enough */
	memcpy(name.b, item->kid, sizeof(name.b));
	err = row_unwrap(secret_bytes(&book->keyring_key), kind, &name, item->value, &plain);
	if (err == OK)
		err = kind == ROW_HOLD ? load_hold(book, buf_bytes(&plain))
				       : load_erasure(book, buf_bytes(&plain));
	return err == OK ? OK : err_wrap(ctx, err, "a row of what is erased");
}

/* ---- writing ---- */

enum { ROW_ROOM = ROW_PLAIN_MAX + 64 };

/* Rows that are written together: wrapped behind one another. */
struct writing {
	struct keyring_item *items;
	size_t *ends;
	size_t count, max;
	struct buf values;
};

static enum err writing_init(struct writing *w, size_t rows)
{
	*w = (struct writing){.max = rows};
	buf_init(&w->values, (size_t)2 * ROW_ROOM + rows * 1024);
	w->items = mem_array(rows, sizeof(*w->items));
	w->ends = mem_array(rows, sizeof(*w->ends));
	return w->items == NULL || w->ends == NULL ? ERR_NOMEM : OK;
}

static void writing_release(struct writing *w)
{
	mem_free(w->items);
	mem_free(w->ends);
	buf_release(&w->values);
}

static enum err writing_put(struct book *book, struct writing *w, enum row_kind kind,
	const struct row_name *name, struct bytes plain)
{
	TRY(row_wrap(secret_bytes(&book->keyring_key), kind, name, plain, &w->values));
	memcpy(w->items[w->count].kid, name->b, sizeof(name->b));
	w->ends[w->count++] = w->values.size;
	return OK;
}

static enum err writing_end(struct book *book, struct writing *w, struct errctx *ctx)
{
	size_t at = 0;

	for (size_t i = 0; i < w->count; i++) {
		w->items[i].value = bytes_make(w->values.data + at, w->ends[i] - at);
		at = w->ends[i];
	}
	return keyring_update(book->opts.keyring, w->items, w->count, ctx);
}

static enum err put_erasure(struct book *book, struct writing *w, const struct erasure *erasure)
{
	CLEANUP(buf_release) struct buf plain;
	struct row_name name;

	buf_init(&plain, ROW_PLAIN_MAX);
	TRY(erasure_pack(erasure, &plain));
	erasure_row_name(erasure->sender, &erasure->id, &name);
	return writing_put(book, w, ROW_ERASURE, &name, buf_bytes(&plain));
}

static enum err put_tombstone(
	struct book *book, struct writing *w, const char *author, const uint8_t *kid, uint64_t at)
{
	CLEANUP(buf_release) struct buf plain;
	struct tombstone tombstone = {.at = at};
	struct row_name name;

	buf_init(&plain, 256);
	strcpy(tombstone.author, author);
	memcpy(tombstone.kid.b, kid, SEAL_KID_SIZE);
	TRY(tombstone_pack(&tombstone, &plain));
	tombstone_row_name(author, &tombstone.kid, &name);
	if (tomb_there(book->erasures, &name))
		return OK;
	return writing_put(book, w, ROW_TOMBSTONE, &name, buf_bytes(&plain));
}

enum err erase_save(struct book *book, const struct erasure *erasure, struct errctx *ctx)
{
	struct writing w;
	enum err err = writing_init(&w, 1);

	if (err == OK)
		err = put_erasure(book, &w, erasure);
	if (err == OK)
		err = writing_end(book, &w, ctx);
	writing_release(&w);
	return err;
}

enum err erase_save_with(struct book *book, const struct erasure *erasure,
	const struct keyring_entry *keys, size_t count, struct errctx *ctx)
{
	struct writing w;
	enum err err = writing_init(&w, count + 1);

	if (err == OK)
		err = put_erasure(book, &w, erasure);
	for (size_t i = 0; err == OK && i < count; i++) {
		struct seal_kid kid;

		err = keyring_wrap(secret_bytes(&book->keyring_key), &keys[i], &w.values, &kid);
		memcpy(w.items[w.count].kid, kid.b, sizeof(kid.b));
		w.ends[w.count++] = w.values.size;
	}
	if (err == OK)
		err = writing_end(book, &w, ctx);
	writing_release(&w);
	return err;
}

/* The order and a tombstone for each of its keys: all of it or nothing. */
static enum err save_with_tombstones(
	struct book *book, const struct erasure *erasure, uint64_t at, struct errctx *ctx)
{
	struct erasures *e = book->erasures;
	struct writing w;
	enum err err = writing_init(&w, erasure->kid_count + 1);

	if (err == OK)
		err = put_erasure(book, &w, erasure);
	for (size_t i = 0; err == OK && i < erasure->kid_count; i++)
		err = put_tombstone(book, &w, erasure_author(book, erasure), erasure->kids[i], at);
	for (size_t i = 1; err == OK && i < w.count; i++) { /* in memory before they are durable */
		struct row_name name;

		memcpy(name.b, w.items[i].kid, sizeof(name.b));
		err = tomb_add(e, &name);
	}
	tombs_sort(e);
	if (err == OK)
		err = writing_end(book, &w, ctx);
	writing_release(&w);
	return err;
}

/* ---- destroying ---- */

const char *erasure_author(const struct book *book, const struct erasure *erasure)
{
	return erasure->sender[0] == '\0' ? book->opts.node : erasure->sender;
}

static struct casebook_key *key_find(
	const struct casebook_case *kase, const char *author, const uint8_t *kid)
{
	for (struct casebook_key *key = kase->keys; key != NULL; key = key->next)
		if (memcmp(key->seal.kid.b, kid, SEAL_KID_SIZE) == 0 &&
			strcmp(key->author, author) == 0)
			return key;
	return NULL;
}

static void key_forget(struct book *book, struct casebook_key *key)
{
	struct casebook_case *kase = key->owner;

	if (key->foreign)
		foreign_forget_key(book, key);
	casebook_forget_key(book->cases, key);
	states_drop(book, kase);
	grants_touch(book, kase);
}

/* Out of memory first: whatever the disk does, they are not served any more. How many entries of
 * this node's own logs nobody opens from now on. */
static uint64_t forget(struct book *book, const struct erasure *erasure)
{
	const char *author = erasure_author(book, erasure);
	struct casebook_case *kase = casebook_find_ref(book->cases, &erasure->case_ref);
	uint64_t entries = 0;

	for (size_t i = 0; kase != NULL && i < erasure->kid_count; i++) {
		struct casebook_key *key = key_find(kase, author, erasure->kids[i]);

		if (key == NULL)
			continue;
		entries += key->foreign ? 0 : key->entry_count;
		key_forget(book, key);
	}
	return entries;
}

/* The row of a key, if it is here: whose it is. */
static enum err row_author(struct book *book, const uint8_t *kid, bool *ret_here,
	struct keyring_entry *ret, struct errctx *ctx)
{
	CLEANUP(buf_release) struct buf value;
	struct seal_kid id;
	enum err err;

	*ret_here = false;
	buf_init(&value, KEYRING_VALUE_MAX);
	memcpy(id.b, kid, sizeof(id.b));
	err = keyring_get(book->opts.keyring, kid, &value, ctx);
	if (err == ERR_NOTFOUND)
		return OK;
	TRY(err);
	if (row_kind(buf_bytes(&value)) == ROW_ESCROW || row_kind(buf_bytes(&value)) == ROW_CUSTODY)
		return erase_version_key(book, kid, row_kind(buf_bytes(&value)), ret_here, ret);
	if (row_kind(buf_bytes(&value)) != ROW_KEY)
		return OK;
	TRY(keyring_unwrap(secret_bytes(&book->keyring_key), &id, buf_bytes(&value), ret));
	*ret_here = true;
	return OK;
}

static enum err doom_keys(struct book *book, const struct erasure *erasure, struct errctx *ctx)
{
	const char *author = erasure_author(book, erasure);

	for (size_t i = 0; i < erasure->kid_count; i++) {
		struct keyring_entry entry = {0};
		bool here, own;

		TRY(row_author(book, erasure->kids[i], &here, &entry, ctx));
		own = here && strcmp(entry.author, author) == 0;
		if (own && entry.key.size == 0) /* a version key */
			escrow_vkey_forget(book, entry.author, erasure->kids[i]);
		keyring_entry_release(&entry);
		if (own)
			TRY(erasures_doom(book, erasure->kids[i]));
	}
	return OK;
}

enum err erasures_settle(struct book *book, bool *ret_broken, struct errctx *ctx)
{
	struct erasures *e = book->erasures;
	struct destroy_rows rows;
	enum err err = OK;

	*ret_broken = false;
	while (err == OK && e->doomed_count > 0) {
		size_t count =
			e->doomed_count < LIMIT_ERASE_ROWS ? e->doomed_count : LIMIT_ERASE_ROWS;

		rows = (struct destroy_rows){e->doomed + e->doomed_count - count, count};
		err = destroy_rows(book->opts.destroy, &rows, &book->keyring_key, ret_broken, ctx);
		if (err == OK)
			e->doomed_count -= count;
	}
	return err;
}

/* The drafts of a case that is gone as a whole. */
static enum err drop_drafts(struct book *book, const struct erasure *erasure, struct errctx *ctx)
{
	struct drafts drafts = {
		book->opts.destroy->vault->drafts, secret_bytes(&book->keyring_key)};
	char ref[2 * CASE_REF_SIZE + 1];

	if (erasure->sender[0] != '\0' || erasure->scope != ERASE_CASE)
		return OK;
	case_ref_text(&erasure->case_ref, ref);
	return drafts_drop_case(&drafts, bytes_str(erasure->code), bytes_str(ref), ctx);
}

/* What others have said of a case that is erased here goes with it. No tombstones: these are
 * theirs. */
static enum err forget_others(struct book *book, const struct erasure *erasure)
{
	struct casebook_case *kase = casebook_find_ref(book->cases, &erasure->case_ref);
	struct casebook_key *key, *next;

	if (kase == NULL || erasure->sender[0] != '\0' || erasure->scope != ERASE_CASE)
		return OK;
	for (key = kase->keys; key != NULL; key = next) {
		next = key->next;
		if (!key->foreign)
			continue;
		TRY(erasures_doom(book, key->seal.kid.b));
		key_forget(book, key);
	}
	return OK;
}

enum err erase_run(struct book *book, struct erasure *erasure, uint64_t now_s, struct errctx *ctx)
{
	erasure->entries += forget(book, erasure);
	TRY(forget_others(book, erasure));
	TRY(save_with_tombstones(book, erasure, now_s, ctx));
	TRY(doom_keys(book, erasure, ctx));
	TRY(drop_drafts(book, erasure, ctx));
	TRY(erasures_settle(book, &book->broken, ctx));
	book->erasures->ran = true;
	erasure->destroyed_at = now_s;
	return erase_save(book, erasure, ctx);
}

/* ---- out of the ledger ---- */

static enum err ordered_add(struct erasures *e, const char *author, const char *hex)
{
	struct ordered *added;

	if (!room(&e->ordered, e->ordered_count, &e->ordered_capacity, sizeof(*e->ordered)))
		return ERR_NOMEM;
	added = &e->ordered[e->ordered_count];
	if (strlen(author) > LIMIT_NODE_NAME ||
		hex_decode(bytes_str(hex), added->kid, sizeof(added->kid)) != OK)
		return OK; /* of a later Sauti */
	strcpy(added->author, author);
	e->ordered_count++;
	return OK;
}

static enum err ordered_read(struct book *book, const struct event *event)
{
	const char *list = event_field_json(event, "key_ids");
	json_t *kids = list == NULL ? NULL : json_loads(list, 0, NULL);
	char *by = NULL;
	enum err err = OK;

	if (event_field_string(event, "by", &by) == ERR_NOMEM)
		err = ERR_NOMEM;
	for (size_t i = 0; err == OK && i < json_array_size(kids); i++) {
		const char *hex = json_string_value(json_array_get(kids, i));

		if (hex != NULL)
			err = ordered_add(book->erasures, by == NULL ? book->opts.node : by, hex);
	}
	mem_free(by);
	json_decref(kids);
	return err;
}

enum err erasures_noted(struct book *book, const struct part_info *info)
{
	struct bytes part = buf_bytes(&book->part);
	struct event event = {0};
	enum err err = OK;

	if (info->group != GROUP_AUDIT || info->type != EVENT_KEYS_ERASED)
		return OK;
	if (event_merge(&part, 1, &event, NULL) == OK)
		err = ordered_read(book, &event);
	event_release(&event);
	return err;
}

/* A key that came back: out of memory, with a tombstone, and to be destroyed. */
static enum err bury(struct book *book, struct writing *w, const struct ordered *ordered)
{
	struct row_name name;
	struct seal_kid kid;

	memcpy(kid.b, ordered->kid, sizeof(kid.b));
	TRY(put_tombstone(book, w, ordered->author, ordered->kid, book->opts.now_s));
	tombstone_row_name(ordered->author, &kid, &name);
	TRY(tomb_add(book->erasures, &name));
	for (size_t i = 0; i < casebook_case_count(book->cases); i++) {
		struct casebook_case *kase = casebook_case_at(book->cases, i);
		struct casebook_key *key = key_find(kase, ordered->author, ordered->kid);

		if (key == NULL)
			continue;
		key_forget(book, key);
		TRY(erasures_doom(book, ordered->kid));
	}
	return OK;
}

enum err erasures_restore(struct book *book, struct errctx *ctx)
{
	struct erasures *e = book->erasures;
	size_t count = 0;
	struct writing w;
	enum err err;

	/* As a rule all of them have one. */
	for (size_t i = 0; i < e->ordered_count; i++) {
		struct seal_kid kid;

		memcpy(kid.b, e->ordered[i].kid, sizeof(kid.b));
		if (!erasures_gone(book, e->ordered[i].author, &kid))
			e->ordered[count++] = e->ordered[i];
	}
	e->ordered_count = count;
	if (count == 0)
		return OK;
	err = writing_init(&w, count);
	for (size_t i = 0; err == OK && i < count; i++)
		err = bury(book, &w, &e->ordered[i]);
	tombs_sort(e);
	if (err == OK)
		err = writing_end(book, &w, ctx);
	writing_release(&w);
	return err == OK ? OK : err_wrap(ctx, err, "do again what the ledger says was erased");
}

/* ---- orders of others ---- */

static const struct hold *hold_of(
	const struct book *book, const struct case_ref *ref, const char *today)
{
	const struct erasures *e = book->erasures;

	for (size_t i = 0; i < e->hold_count; i++)
		if (memcmp(e->holds[i].case_ref.b, ref->b, CASE_REF_SIZE) == 0 &&
			hold_lasts(&e->holds[i], today))
			return &e->holds[i];
	return NULL;
}

/* What there is of each key, for the judge; and which case it is about: *ret_one: no more than one.
 */
static enum err keys_look(struct book *book, const struct mail_erase_order *order,
	const char *sender, struct order_key *keys, struct erasure *erasure, bool *ret_one,
	struct errctx *ctx)
{
	static const char other[] = "?"; /* whoever it is, it is not the sender */
	bool found = false;

	*ret_one = true;

	for (size_t i = 0; i < order->kids.count; i++) {
		struct keyring_entry entry = {0};
		struct seal_kid kid;

		memcpy(kid.b, order->kids.kid[i], sizeof(kid.b));
		memcpy(erasure->kids[i], kid.b, sizeof(kid.b));
		keys[i] = (struct order_key){.author = other};
		TRY(row_author(book, kid.b, &keys[i].here, &entry, ctx));
		if (!keys[i].here) {
			if (!erasures_gone(book, sender, &kid))
				memcpy(erasure->never[erasure->never_count++], kid.b,
					sizeof(kid.b));
			continue;
		}
		if (strcmp(entry.author, sender) == 0)
			keys[i].author = sender;
		if (entry.key.size == 0) { /* a version key: it is of no case */
			keys[i].given_known = erase_custody_by(book, &kid, &keys[i].given_by);
			keyring_entry_release(&entry);
			continue;
		}
		erase_given_by(book, &entry.case_ref, sender, &kid, &keys[i]);
		if (found && memcmp(erasure->case_ref.b, entry.case_ref.b, CASE_REF_SIZE) != 0)
			*ret_one = false;
		erasure->case_ref = entry.case_ref;
		found = true;
		keyring_entry_release(&entry);
	}
	return OK;
}

/* Obeyed and answered for good, and every key of it was here: should it come once more it is
 * answered from the tombstones. Those of keys that nobody had stay, so that their number has an
 * end. */
static bool is_over(const struct erasure *erasure)
{
	return erasure->sender[0] != '\0' && erasure->destroyed_at != 0 && erasure->ledger &&
	       erasure->told_at != 0 && erasure->never_count == 0 &&
	       erasure->gone.count >= erasure->prekeys.count;
}

static enum err list_remove(struct book *book, size_t i, struct errctx *ctx)
{
	struct erasures *e = book->erasures;
	struct keyring_item item = {.value = BYTES_NONE};
	struct row_name name;

	erasure_row_name(e->list[i].sender, &e->list[i].id, &name);
	memcpy(item.kid, name.b, sizeof(item.kid));
	TRY(keyring_update(book->opts.keyring, &item, 1, ctx));
	erasure_release(&e->list[i]);
	e->count--;
	memmove(&e->list[i], &e->list[i + 1], (e->count - i) * sizeof(e->list[0]));
	return OK;
}

/* Whoever floods with orders fills what one office can have, and all others together leave half to
 * this node's own erasures. */
static enum err order_room(struct book *book, const char *sender, struct errctx *ctx)
{
	struct erasures *e = book->erasures;
	size_t of_sender = 0, of_others = 0;
	bool sender_full, full;

	for (size_t i = 0; i < e->count; i++) {
		of_others += e->list[i].sender[0] != '\0';
		of_sender += strcmp(e->list[i].sender, sender) == 0;
	}
	sender_full = of_sender >= LIMIT_ERASURES_SENDER;
	full = of_others >= LIMIT_ERASURES / 2 || e->count >= LIMIT_ERASURES;
	if (!sender_full && !full)
		return OK;
	for (size_t i = 0; i < e->count; i++)
		if (is_over(&e->list[i]) &&
			(!sender_full || strcmp(e->list[i].sender, sender) == 0))
			return list_remove(book, i, ctx);
	return sender_full ? err_set(ctx, ERR_FULL, "%d orders of one node are remembered already",
				     LIMIT_ERASURES_SENDER)
			   : err_set(ctx, ERR_FULL, "%d orders of others are remembered already",
				     LIMIT_ERASURES / 2);
}

static enum err order_fill(struct book *book, const struct mail_erase_order *order,
	struct vault_request *request, struct erasure *erasure)
{
	struct vault_erase *ask = request->erase;
	struct casebook_case *kase;

	memcpy(erasure->id.b, order->order_id, ORDER_ID_SIZE);
	strcpy(erasure->sender, ask->sender);
	erasure->sender_key = ask->sender_key;
	erasure->ordered_at = request->now_s;
	memcpy(erasure->revealed, order->revealed, order->revealed_count * HASH_SIZE);
	for (size_t i = 0; i < order->prekeys.count; i++)
		TRY(erasure_prekeys_add(&erasure->prekeys, order->prekeys.number[i]));
	kase = casebook_find_ref(book->cases, &erasure->case_ref);
	if (kase != NULL)
		memcpy(erasure->code, kase->code, sizeof(kase->code));
	return OK;
}

/* It was taken before: it is answered again, and changes nothing. */
static enum err order_known(struct book *book, struct erasure *known,
	const struct mail_erase_order *order, struct vault_request *request)
{
	struct vault_erase *ask = request->erase;
	struct order_sender sender = {ask->sender, ask->sender_key, ask->confirmed};

	ask->verdict = order_again(
		known, &sender, bytes_make(order->kids.kid, order->kids.count * SEAL_KID_SIZE));
	if (ask->verdict != ORDER_GOOD)
		return OK;
	known->told_at = 0;
	return erase_save(book, known, &request->ctx);
}

static enum err order_judged(struct book *book, const struct mail_erase_order *order,
	struct vault_request *request, struct erasure *erasure)
{
	struct vault_erase *ask = request->erase;
	struct order_sender sender = {ask->sender, ask->sender_key, ask->confirmed};
	struct order_key *keys = mem_array(order->kids.count + 1, sizeof(*keys));
	struct errctx *ctx = &request->ctx;
	enum err err = keys == NULL ? ERR_NOMEM : OK;
	bool one_case = false;

	if (err == OK)
		err = keys_look(book, order, ask->sender, keys, erasure, &one_case, ctx);
	if (err == OK)
		ask->verdict = order_judge(&sender, keys, order->kids.count);
	/* A hold is on a case: of two the one that is held would go with the other. */
	if (err == OK && ask->verdict == ORDER_GOOD && !one_case)
		ask->verdict = ORDER_TOO_MUCH;
	mem_free(keys);
	TRY(err);
	if (ask->verdict != ORDER_GOOD)
		return OK;
	TRY(order_room(book, ask->sender, ctx));
	return order_fill(book, order, request, erasure);
}

static enum err order_obey(
	struct book *book, struct erasure *erasure, struct vault_request *request)
{
	struct erasures *e = book->erasures;
	char today[11];

	request_today(request, today);
	TRY(list_add(e, erasure));
	erasure = &e->list[e->count - 1];
	if (hold_of(book, &erasure->case_ref, today) != NULL)
		return erase_save(book, erasure, &request->ctx);
	return erase_run(book, erasure, request->now_s, &request->ctx);
}

static enum err take_order(struct book *book, struct vault_request *request, struct arena *arena)
{
	struct vault_erase *ask = request->erase;
	struct mail_erase_order *order = mem_zalloc(sizeof(*order));
	struct erasure *known, erasure = {.kids = NULL};
	struct order_id id;
	enum err err = order == NULL ? ERR_NOMEM : OK;

	if (err == OK)
		err = mail_erase_order_read(buf_bytes(&request->mail), arena, order, &request->ctx);
	if (err == OK) {
		memcpy(id.b, order->order_id, sizeof(id.b));
		known = find(book->erasures, ask->sender, &id);
		if (known != NULL) {
			err = order_known(book, known, order, request);
			mem_free(order);
			return err;
		}
		err = erasure_init(&erasure, order->kids.count, order->revealed_count, 0);
	}
	if (err == OK)
		err = order_judged(book, order, request, &erasure);
	mem_free(order);
	if (err == OK && ask->verdict == ORDER_GOOD) {
		size_t before = book->erasures->count;

		err = order_obey(book, &erasure, request);
		if (book->erasures->count > before)
			return err; /* the list's from here on */
	}
	erasure_release(&erasure);
	return err;
}

/* ---- what others answer ---- */

static enum err take_receipt(struct book *book, struct vault_request *request, struct arena *arena)
{
	struct vault_erase *ask = request->erase;
	struct order_sender sender = {ask->sender, ask->sender_key, ask->confirmed};
	struct mail_erase_receipt *read = mem_zalloc(sizeof(*read));
	struct erasure *erasure = NULL;
	struct order_receipt receipt;
	struct order_id id;
	size_t holder = 0;
	enum err err = read == NULL ? ERR_NOMEM : OK;

	if (err == OK)
		err = mail_erase_receipt_read(
			buf_bytes(&request->mail), arena, read, &request->ctx);
	if (err == OK) {
		memcpy(id.b, read->order_id, sizeof(id.b));
		receipt = (struct order_receipt){
			.destroyed = bytes_make(
				read->destroyed.kid, read->destroyed.count * SEAL_KID_SIZE),
			.never = bytes_make(read->never.kid, read->never.count * SEAL_KID_SIZE),
			.gone = read->prekeys_gone.number,
			.left = read->prekeys_left.number,
			.gone_count = read->prekeys_gone.count,
			.left_count = read->prekeys_left.count,
		};
		erasure = find(book->erasures, "", &id);
		ask->verdict = order_answer(erasure, &sender, &holder);
		if (ask->verdict == ORDER_GOOD)
			ask->verdict = order_receipt_judge(erasure, holder, &receipt);
	}
	if (err == OK && ask->verdict == ORDER_GOOD) {
		order_receipt_take(erasure, holder, &receipt, request->now_s);
		err = erase_save(book, erasure, &request->ctx);
	}
	mem_free(read);
	return err;
}

static enum err take_hold(struct book *book, struct vault_request *request, struct arena *arena)
{
	struct vault_erase *ask = request->erase;
	struct order_sender sender = {ask->sender, ask->sender_key, ask->confirmed};
	struct mail_erase_hold hold;
	struct erasure_holder *from;
	struct erasure *erasure;
	struct order_id id;
	size_t holder = 0;

	TRY(mail_erase_hold_read(buf_bytes(&request->mail), arena, &hold, &request->ctx));
	memcpy(id.b, hold.order_id, sizeof(id.b));
	erasure = find(book->erasures, "", &id);
	ask->verdict = order_answer(erasure, &sender, &holder);
	if (ask->verdict != ORDER_GOOD)
		return OK;
	from = &erasure->holders[holder];
	if (from->receipt_at != 0)
		return OK; /* what is destroyed is held by nobody */
	from->hold_at = request->now_s;
	strcpy(from->hold_authority, hold.authority);
	strcpy(from->hold_until, hold.until);
	return erase_save(book, erasure, &request->ctx);
}

/* Has an officer compared the words of the very key that signed it? */
static bool is_confirmed(const struct book *book, const struct vault_erase *ask)
{
	const struct trust_row *row = trust_find(&book->trust, ask->sender);
	struct hash hash;

	if (row == NULL)
		return false;
	sha256(BYTES_ARRAY(row->key.b), &hash);
	return hash_equal(&hash, &ask->sender_key);
}

static enum err take(struct book *book, struct vault_request *request)
{
	CLEANUP(arena_release) struct arena arena;
	enum err err;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	request->erase->confirmed |= is_confirmed(book, request->erase);
	switch (request->erase->kind) {
	case MAIL_ERASE_ORDER:
		err = take_order(book, request, &arena);
		break;
	case MAIL_ERASE_RECEIPT:
		err = take_receipt(book, request, &arena);
		break;
	default:
		err = take_hold(book, request, &arena);
		break;
	}
	if (err == ERR_MALFORMED || err == ERR_LIMIT) {
		request->erase->verdict = ORDER_TOO_MUCH;
		err = OK;
	}
	return err;
}

/* ---- what is next ---- */

static void say(
	struct vault_request *request, const struct erasure *erasure, uint32_t todo, const char *to)
{
	struct vault_erase *ask = request->erase;

	ask->todo = todo;
	memcpy(ask->order_id, erasure->id.b, ORDER_ID_SIZE);
	snprintf(ask->of, sizeof(ask->of), "%s", erasure->sender);
	snprintf(ask->to, sizeof(ask->to), "%s", to);
}

static void put_kids(const uint8_t (*kids)[SEAL_KID_SIZE], size_t count, struct buf *out)
{
	for (size_t i = 0; i < count; i++) {
		char hex[2 * SEAL_KID_SIZE + 1];

		hex_encode(bytes_make(kids[i], SEAL_KID_SIZE), hex);
		buf_printf(out, "%s\"%s\"", i == 0 ? "" : ",", hex);
	}
}

/* Of the ledger: a list has at most ERASE_LINE_KIDS. */
static enum err ledger_lines(
	struct vault_request *request, const struct erasure *erasure, const char *stage)
{
	struct buf *out = &request->mail;
	char id[2 * ORDER_ID_SIZE + 1], ref[2 * CASE_REF_SIZE + 1];
	size_t at = 0;

	hex_encode(BYTES_ARRAY(erasure->id.b), id);
	case_ref_text(&erasure->case_ref, ref);
	do {
		size_t count = erasure->kid_count - at;

		count = count > ERASE_LINE_KIDS ? ERASE_LINE_KIDS : count;
		buf_printf(out,
			"{\"type\":\"KEYS_ERASED\",\"order_id\":\"%s\",\"stage\":\"%s\","
			"\"case\":\"%s\"",
			id, stage, ref);
		if (erasure->sender[0] != '\0')
			buf_printf(out, ",\"by\":\"%s\"", erasure->sender);
		if (count > 0) {
			buf_put_str(out, ",\"key_ids\":[");
			put_kids((const uint8_t(*)[SEAL_KID_SIZE])erasure->kids + at, count, out);
			buf_put_u8(out, ']');
		}
		if (erasure->holder_count > 0 && strcmp(stage, "COMPLETE") == 0) {
			buf_put_str(out, ",\"nodes_confirmed\":[");
			for (size_t i = 0; i < erasure->holder_count; i++)
				buf_printf(out, "%s\"%s\"", i == 0 ? "" : ",",
					erasure->holders[i].node);
			buf_put_u8(out, ']');
		}
		buf_put_str(out, "}\n");
		at += count;
	} while (at < erasure->kid_count);
	return out->err;
}

/* Of the case, which goes on: what was asked for, and that it is done. */
static enum err case_lines(struct vault_request *request, const struct erasure *erasure)
{
	static const char *const scopes[] = {"", "CASE", "FIELD_GROUP", "EVENT", "EVENT"};
	struct buf *out = &request->mail;
	char ref[2 * CASE_REF_SIZE + 1], id[EVENT_ID_TEXT + 1], today[11];
	size_t count = erasure->kid_count < ERASE_LINE_KIDS ? erasure->kid_count : ERASE_LINE_KIDS;

	request_today(request, today);
	case_ref_text(&erasure->case_ref, ref);
	buf_printf(out,
		"{\"type\":\"ERASURE_REQUESTED\",\"case_ref\":\"%s\",\"occurred_on\":\"%s\","
		"\"scope\":\"%s\",\"asked_by\":\"VICTIM\",\"decision\":\"GRANTED\",\"basis\":\"%"
		"s\"",
		ref, today, scopes[erasure->scope], erasure->basis);
	if (erase_part(erasure)) {
		event_id_text(&erasure->event, id);
		buf_printf(out, ",\"event\":\"%s\"", id);
	}
	buf_put_str(out, ",\"groups\":[");
	for (unsigned g = 1, n = 0; g <= GROUP_CASE_LAST; g++)
		if ((erasure->groups & GROUP_BIT(g)) != 0)
			buf_printf(out, "%s\"%s\"", n++ == 0 ? "" : ",", group_name((enum group)g));
	buf_printf(out,
		"]}\n{\"type\":\"ERASURE_DONE\",\"case_ref\":\"%s\",\"occurred_on\":\"%s\","
		"\"scope\":\"%s\",\"key_ids\":[",
		ref, today, scopes[erasure->scope]);
	put_kids((const uint8_t(*)[SEAL_KID_SIZE])erasure->kids, count, out);
	buf_put_str(out, "]}\n");
	return out->err;
}

static enum err order_mail(const struct erasure *erasure, const struct erasure_holder *holder,
	struct vault_request *request)
{
	struct mail_erase_order *order = mem_zalloc(sizeof(*order));
	enum err err;

	if (order == NULL)
		return ERR_NOMEM;
	memcpy(order->order_id, erasure->id.b, ORDER_ID_SIZE);
	memcpy(order->kids.kid, erasure->kids, erasure->kid_count * SEAL_KID_SIZE);
	order->kids.count = erasure->kid_count;
	memcpy(order->prekeys.number, holder->prekeys.number, sizeof(order->prekeys.number));
	order->prekeys.count = holder->prekeys.count;
	memcpy(order->revealed, erasure->revealed, erasure->revealed_count * HASH_SIZE);
	order->revealed_count = erasure->revealed_count;
	order->at = erasure->ordered_at;
	err = mail_erase_order_write(&request->mail, order);
	mem_free(order);
	return err;
}

static bool prekey_there(const struct mailbox *box, uint64_t number)
{
	return mailbox_private_half(box, number) != NULL;
}

/* Those named that are not here any more. */
static size_t prekeys_gone(
	const struct mailbox *box, const struct erasure *erasure, struct mail_prekeys *ret)
{
	ret->count = 0;
	for (size_t i = 0; i < erasure->prekeys.count; i++)
		if (!prekey_there(box, erasure->prekeys.number[i]))
			ret->number[ret->count++] = erasure->prekeys.number[i];
	return ret->count;
}

static enum err receipt_mail(
	const struct mailbox *box, const struct erasure *erasure, struct vault_request *request)
{
	struct mail_erase_receipt *receipt = mem_zalloc(sizeof(*receipt));
	enum err err;

	if (receipt == NULL)
		return ERR_NOMEM;
	memcpy(receipt->order_id, erasure->id.b, ORDER_ID_SIZE);
	for (size_t i = 0; i < erasure->kid_count; i++)
		if (bsearch(erasure->kids[i], erasure->never, erasure->never_count, SEAL_KID_SIZE,
			    row_compare) == NULL)
			memcpy(receipt->destroyed.kid[receipt->destroyed.count++], erasure->kids[i],
				SEAL_KID_SIZE);
	memcpy(receipt->never.kid, erasure->never, erasure->never_count * SEAL_KID_SIZE);
	receipt->never.count = erasure->never_count;
	(void)prekeys_gone(box, erasure, &receipt->prekeys_gone);
	for (size_t i = 0; i < erasure->prekeys.count; i++)
		if (prekey_there(box, erasure->prekeys.number[i]))
			receipt->prekeys_left.number[receipt->prekeys_left.count++] =
				erasure->prekeys.number[i];
	receipt->at = request->now_s;
	err = mail_erase_receipt_write(&request->mail, receipt);
	mem_free(receipt);
	return err;
}

static enum err hold_mail(
	const struct hold *hold, const struct erasure *erasure, struct vault_request *request)
{
	struct mail_erase_hold mail = {.at = hold->at};

	memcpy(mail.order_id, erasure->id.b, ORDER_ID_SIZE);
	strcpy(mail.authority, hold->authority);
	strcpy(mail.officers[0], hold->officers[0]);
	strcpy(mail.officers[1], hold->officers[1]);
	strcpy(mail.until, hold->until);
	return mail_erase_hold_write(&request->mail, &mail);
}

/* Is it time to ask this node (again)? */
static bool to_ask(const struct erasure_holder *holder, uint64_t now_s, const char *today)
{
	if (holder->receipt_at != 0)
		return false;
	if (holder->hold_at != 0 && strcmp(today, holder->hold_until) <= 0)
		return false;
	return holder->asked_at == 0 || now_s >= holder->asked_at + ASK_AGAIN_S ||
	       now_s < holder->asked_at;
}

static enum err next_own(struct book *book, struct erasure *erasure, struct vault_request *request)
{
	char today[11];

	request_today(request, today);
	if (!erasure->ledger) {
		say(request, erasure, ERASE_TODO_ORDERED, "");
		return ledger_lines(request, erasure, "ORDERED");
	}
	if (erasure->destroyed_at == 0) {
		bool more = false;

		if (erase_part(erasure))
			TRY(erase_survivors(book, erasure, &more, &request->ctx));
		if (more) {
			say(request, erasure, ERASE_TODO_RESEAL, "");
			return OK;
		}
		TRY(erase_escrow(book, erasure, &more, request));
		if (more)
			return OK;
		TRY(erase_run(book, erasure, request->now_s, &request->ctx));
	}
	if (!erasure->noted && erasure->scope != ERASE_CASE && erasure->scope != ERASE_KEYS) {
		say(request, erasure, ERASE_TODO_NOTE, "");
		snprintf(request->erase->second, sizeof(request->erase->second), "%s",
			erasure->officer);
		return case_lines(request, erasure);
	}
	for (size_t i = 0; i < erasure->holder_count; i++) {
		const struct erasure_holder *holder = &erasure->holders[i];

		if (!to_ask(holder, request->now_s, today))
			continue;
		say(request, erasure, ERASE_TODO_ORDER, holder->node);
		return order_mail(erasure, holder, request);
	}
	if (erasure->confirmed_at == 0 && erasure_complete(erasure)) {
		say(request, erasure, ERASE_TODO_COMPLETE, "");
		return ledger_lines(request, erasure, "COMPLETE");
	}
	return OK;
}

static enum err next_received(struct book *book, const struct mailbox *box, struct erasure *erasure,
	struct vault_request *request)
{
	const struct hold *hold;
	struct mail_prekeys gone;
	char today[11];

	request_today(request, today);
	hold = hold_of(book, &erasure->case_ref, today);
	if (erasure->destroyed_at == 0 && hold != NULL) {
		if (erasure->told_at != 0)
			return OK;
		say(request, erasure, ERASE_TODO_HOLD, erasure->sender);
		return hold_mail(hold, erasure, request);
	}
	if (erasure->destroyed_at == 0) {
		erasure->told_at = 0;
		TRY(erase_run(book, erasure, request->now_s, &request->ctx));
	}
	if (!erasure->ledger) {
		say(request, erasure, ERASE_TODO_OBEYED, "");
		return ledger_lines(request, erasure, "OBEYED");
	}
	if (erasure->told_at != 0 && prekeys_gone(box, erasure, &gone) <= erasure->gone.count)
		return OK;
	say(request, erasure, ERASE_TODO_RECEIPT, erasure->sender);
	return receipt_mail(box, erasure, request);
}

static void count_open(const struct erasures *e, struct vault_erase *ret)
{
	for (size_t i = 0; i < e->count; i++) {
		bool own = e->list[i].sender[0] == '\0';

		ret->open += own && e->list[i].confirmed_at == 0;
		ret->held += !own && e->list[i].destroyed_at == 0;
	}
}

static enum err next(struct book *book, const struct mailbox *box, struct vault_request *request)
{
	struct erasures *e = book->erasures;

	buf_init(&request->mail, LIMIT_MAIL_CONTENT);
	TRY(erasures_settle(book, &book->broken, &request->ctx));
	TRY(erase_withdrawn(book, request->now_s, &request->ctx));
	for (size_t i = 0; i < e->count && request->erase->todo == ERASE_TODO_NOTHING; i++) {
		struct erasure *erasure = &e->list[i];

		TRY(erasure->sender[0] == '\0' ? next_own(book, erasure, request)
					       : next_received(book, box, erasure, request));
	}
	count_open(e, request->erase);
	return OK;
}

/* The loop has done it, durably. */
static enum err did(struct book *book, const struct mailbox *box, struct vault_request *request)
{
	struct vault_erase *ask = request->erase;
	struct mail_prekeys gone;
	struct erasure *erasure;
	struct order_id id;

	memcpy(id.b, ask->order_id, sizeof(id.b));
	erasure = find(book->erasures, ask->of, &id);
	if (erasure == NULL)
		return err_set(&request->ctx, ERR_NOTFOUND, "no such erasure");
	switch (ask->todo) {
	case ERASE_TODO_ORDERED:
	case ERASE_TODO_OBEYED:
		erasure->ledger = true;
		break;
	case ERASE_TODO_ORDER:
		for (size_t i = 0; i < erasure->holder_count; i++)
			if (strcmp(erasure->holders[i].node, ask->to) == 0)
				erasure->holders[i].asked_at = request->now_s;
		break;
	case ERASE_TODO_NOTE:
		erasure->noted = true;
		break;
	case ERASE_TODO_COMPLETE:
		erasure->confirmed_at = request->now_s;
		break;
	case ERASE_TODO_RECEIPT:
		(void)prekeys_gone(box, erasure, &gone);
		for (size_t i = 0; i < gone.count; i++)
			TRY(erasure_prekeys_add(&erasure->gone, gone.number[i]));
		erasure->told_at = request->now_s;
		break;
	default:
		erasure->told_at = request->now_s;
		break;
	}
	return erase_save(book, erasure, &request->ctx);
}

/* ---- withdrawals ---- */

enum err erase_order_keys(
	struct book *book, const struct erase_wish *wish, uint64_t now_s, struct errctx *ctx)
{
	struct erasure erasure;
	enum err err;

	if (find(book->erasures, "", &wish->id) != NULL)
		return OK;
	if (book->erasures->count == LIMIT_ERASURES) /* before it is written */
		return err_set(ctx, ERR_FULL, "%d erasures are remembered already", LIMIT_ERASURES);
	TRY(erasure_init(&erasure, wish->kid_count, 0, 1));
	erasure.id = wish->id;
	erasure.case_ref = wish->case_ref;
	snprintf(erasure.code, sizeof(erasure.code), "%s", wish->code);
	/* The keys stay here, and the ledger has said that they are withdrawn. */
	erasure.ordered_at = erasure.destroyed_at = now_s;
	erasure.ledger = true;
	for (size_t i = 0; i < wish->kid_count; i++)
		memcpy(erasure.kids[i], wish->kids[i].b, SEAL_KID_SIZE);
	qsort(erasure.kids, erasure.kid_count, SEAL_KID_SIZE, row_compare);
	snprintf(erasure.holders[0].node, sizeof(erasure.holders[0].node), "%s", wish->node);
	erasure.holders[0].node_key = wish->node_key;
	err = OK;
	for (size_t i = 0; err == OK && i < wish->prekey_count; i++)
		err = erasure_prekeys_add(&erasure.holders[0].prekeys, wish->prekeys[i]);
	if (err == OK)
		err = erase_save(book, &erasure, ctx);
	if (err == OK)
		err = list_add(book->erasures, &erasure);
	if (err != OK)
		erasure_release(&erasure);
	return err;
}

/* ---- requests ---- */

static enum err answer(struct book *book, const struct mailbox *box, struct vault_request *request)
{
	switch (request->type) {
	case VAULT_ERASE_BEGIN:
		return erase_begin(book, request);
	case VAULT_ERASE_TAKE:
		return take(book, request);
	case VAULT_ERASE_NEXT:
		return next(book, box, request);
	case VAULT_ERASE_DID:
		return did(book, box, request);
	case VAULT_ERASE_HOLD:
		return erase_hold(book, request);
	default:
		return erase_show(book, request);
	}
}

enum err erase_answer(struct book *book, const struct mailbox *box, struct vault_request *request)
{
	enum err err;

	book->erasures->ran = false;
	err = answer(book, box, request);
	if (request->erase != NULL)
		request->erase->ran = book->erasures->ran;
	return err;
}

enum err erase_add(struct book *book, struct erasure *erasure)
{
	return list_add(book->erasures, erasure);
}

int erase_kid_compare(const void *a, const void *b)
{
	return row_compare(a, b);
}

enum err erase_put_hold(struct book *book, const struct hold *hold, struct errctx *ctx)
{
	CLEANUP(buf_release) struct buf plain;
	struct erasures *e = book->erasures;
	struct row_name name;
	struct writing w;
	size_t at = 0;
	enum err err;

	buf_init(&plain, ROW_PLAIN_MAX);
	while (at < e->hold_count &&
		memcmp(e->holds[at].case_ref.b, hold->case_ref.b, CASE_REF_SIZE) != 0)
		at++;
	if (at == LIMIT_HOLDS)
		return err_set(ctx, ERR_LIMIT, "%d cases are held already", LIMIT_HOLDS);
	if (!room(&e->holds, e->hold_count, &e->hold_capacity, sizeof(*e->holds)))
		return ERR_NOMEM;
	hold_row_name(&hold->case_ref, &name);
	err = writing_init(&w, 1);
	if (err == OK)
		err = hold_pack(hold, &plain);
	if (err == OK)
		err = writing_put(book, &w, ROW_HOLD, &name, buf_bytes(&plain));
	if (err == OK)
		err = writing_end(book, &w, ctx);
	writing_release(&w);
	TRY(err);
	e->holds[at] = *hold;
	e->hold_count += at == e->hold_count;
	return OK;
}
