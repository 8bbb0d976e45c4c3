#include "server/vault/escrow/escrow.h"

#include "base/alloc.h"
#include "proto/stored.pb-c.h"

enum { TAG_KEY = 'E', ROW_MAX = 12 * 1024 };
#define HEAD_NAME "escrow"

enum err escrow_new(struct escrow **ret)
{
	struct escrow *escrow = mem_zalloc(sizeof(*escrow));
	enum err err = escrow == NULL ? ERR_NOMEM : custody_new(&escrow->custody);

	if (err != OK)
		mem_free(escrow);
	else
		*ret = escrow;
	return err;
}

void escrow_free(struct escrow *escrow)
{
	if (escrow == NULL)
		return;
	for (size_t i = 0; i < escrow->vkey_count; i++)
		secret_release(&escrow->vkeys[i].key);
	for (size_t i = 0; i < escrow->answer_count; i++)
		secret_release(&escrow->answers[i].key.key);
	secret_release(&escrow->tag_key);
	version_ids_release(&escrow->wanted);
	custody_free(escrow->custody);
	mem_free(escrow->answers);
	mem_free(escrow->vkeys);
	mem_free(escrow->plan_keys);
	mem_free(escrow);
}

/* ---- what there is ---- */

struct escrow_vkey *escrow_vkey_find(struct escrow *escrow, const uint8_t id[ESCROW_ID_SIZE])
{
	for (size_t i = 0; i < escrow->vkey_count; i++)
		if (!escrow->vkeys[i].gone &&
			memcmp(escrow->vkeys[i].id.b, id, ESCROW_ID_SIZE) == 0)
			return &escrow->vkeys[i];
	return NULL;
}

enum err escrow_vkey_add(struct escrow *escrow, struct escrow_vkey **ret)
{
	if (escrow->vkey_count >= LIMIT_ESCROW_VERSION_KEYS)
		return ERR_LIMIT;
	if (escrow->vkey_count == escrow->vkey_capacity) {
		size_t capacity = escrow->vkey_capacity == 0 ? 16 : 2 * escrow->vkey_capacity;
		struct escrow_vkey *grown = mem_resize(escrow->vkeys, capacity * sizeof(*grown));

		if (grown == NULL)
			return ERR_NOMEM;
		escrow->vkeys = grown;
		escrow->vkey_capacity = capacity;
	}
	*ret = &escrow->vkeys[escrow->vkey_count++];
	**ret = (struct escrow_vkey){.version = 0};
	return OK;
}

struct escrow_holder *escrow_holder_find(struct escrow_vkey *vkey, const char *node)
{
	for (size_t i = 0; i < vkey->holder_count; i++)
		if (strcmp(vkey->holders[i].node, node) == 0)
			return &vkey->holders[i];
	return NULL;
}

size_t escrow_quorum(const struct escrow *escrow)
{
	return escrow->custodian_count / 2 + 1;
}

bool escrow_acknowledged(const struct escrow *escrow, const struct escrow_vkey *vkey)
{
	size_t held = 0;

	for (size_t c = 0; c < escrow->custodian_count; c++)
		for (size_t i = 0; i < vkey->holder_count; i++)
			held += strcmp(vkey->holders[i].node, escrow->custodians[c]) == 0 &&
				vkey->holders[i].held_at != 0;
	return held >= escrow_quorum(escrow);
}

/* The next own key; NULL to begin with. */
struct casebook_key *escrow_next_key(
	const struct book *book, size_t *kase, struct casebook_key *key)
{
	key = key == NULL ? NULL : key->next;
	for (;;) {
		while (key != NULL && key->foreign)
			key = key->next;
		if (key != NULL)
			return key;
		if (*kase == casebook_case_count(book->cases))
			return NULL;
		key = casebook_case_at(book->cases, (*kase)++)->keys;
	}
}

/* ---- rows: out ---- */

static void head_name(struct row_name *ret)
{
	row_name(ROW_ESCROW, bytes_str(HEAD_NAME), ret);
}

static void head_pack(const struct escrow *escrow, struct buf *out)
{
	Sauti__StoredEscrow head = SAUTI__STORED_ESCROW__INIT;
	Sauti__StoredEscrowRow row = SAUTI__STORED_ESCROW_ROW__INIT;
	char *custodians[LIMIT_ESCROW_CUSTODIANS];

	for (size_t i = 0; i < escrow->custodian_count; i++)
		custodians[i] = (char *)escrow->custodians[i];
	head.tag_key = codec_binary(secret_bytes(&escrow->tag_key));
	head.sequence = escrow->sequence;
	head.origin = (char *)escrow->origin;
	head.index = escrow->index;
	head.recovery_key = codec_binary(BYTES_ARRAY(escrow->recovery_key.b));
	head.custodians = custodians;
	head.n_custodians = escrow->custodian_count;
	row.body_case = SAUTI__STORED_ESCROW_ROW__BODY_HEAD;
	row.head = &head;
	codec_pack(out, &row);
}

static void vkey_pack(const struct escrow_vkey *vkey, struct buf *out)
{
	Sauti__StoredHolder holder[LIMIT_ESCROW_CUSTODIANS], *holders[LIMIT_ESCROW_CUSTODIANS];
	Sauti__StoredVersionKey key = SAUTI__STORED_VERSION_KEY__INIT;
	Sauti__StoredEscrowRow row = SAUTI__STORED_ESCROW_ROW__INIT;

	for (size_t i = 0; i < vkey->holder_count; i++) {
		sauti__stored_holder__init(&holder[i]);
		holder[i].node = (char *)vkey->holders[i].node;
		holder[i].node_key = codec_binary(hash_bytes(&vkey->holders[i].node_key));
		holder[i].held_at = vkey->holders[i].held_at;
		holder[i].refused = vkey->holders[i].refused;
		holder[i].prekeys = (uint64_t *)vkey->holders[i].prekeys.number;
		holder[i].n_prekeys = vkey->holders[i].prekeys.count;
		holders[i] = &holder[i];
	}
	key.writing = vkey->writing;
	key.key = codec_binary(secret_bytes(&vkey->key));
	key.number = vkey->number;
	key.version = vkey->version;
	key.origin = (char *)vkey->origin;
	key.index = vkey->index;
	key.keys = vkey->keys;
	key.retired = vkey->retired;
	key.made_at = vkey->made_at;
	key.settled = vkey->settled;
	key.settled_manifest = vkey->settled_manifest;
	key.holders = holders;
	key.n_holders = vkey->holder_count;
	row.body_case = SAUTI__STORED_ESCROW_ROW__BODY_KEY;
	row.key = &key;
	codec_pack(out, &row);
}

/* Wraps one row; its end in `wrapped` goes into *ret_end. vkey NULL: the head. */
static enum err row_make(const struct book *book, const struct escrow_vkey *vkey,
	struct buf *wrapped, uint8_t name[ROW_NAME_SIZE], size_t *ret_end)
{
	struct row_name row;
	struct buf plain;
	enum err err;

	buf_init(&plain, ROW_MAX);
	(void)buf_reserve(&plain, ROW_MAX);
	if (vkey == NULL) {
		head_name(&row);
		head_pack(book->escrow, &plain);
	} else {
		memcpy(row.b, vkey->id.b, ROW_NAME_SIZE);
		vkey_pack(vkey, &plain);
	}
	err = plain.err != OK ? plain.err
			      : row_wrap(secret_bytes(&book->keyring_key), ROW_ESCROW, &row,
					buf_bytes(&plain), wrapped);
	buf_wipe(&plain);
	memcpy(name, row.b, ROW_NAME_SIZE);
	*ret_end = wrapped->size;
	return err;
}

enum err escrow_rows_put(struct book *book, struct escrow_vkey *const *vkeys, size_t count,
	bool head, struct errctx *ctx)
{
	size_t all = count + head, *ends = mem_array(all + 1, sizeof(*ends)), at = 0;
	struct keyring_item *items = mem_array(all + 1, sizeof(*items));
	struct buf wrapped;
	enum err err = ends == NULL || items == NULL ? ERR_NOMEM : OK;

	buf_init(&wrapped, (all + 1) * (ROW_MAX + 64));
	for (size_t i = 0; err == OK && i < all; i++)
		err = row_make(book, i < count ? vkeys[i] : NULL, &wrapped, items[i].kid, &ends[i]);
	for (size_t i = 0; err == OK && i < all; i++) {
		items[i].value = bytes_make(wrapped.data + at, ends[i] - at);
		at = ends[i];
	}
	if (err == OK && all > 0)
		err = keyring_update(book->opts.keyring, items, all, ctx);
	buf_release(&wrapped);
	mem_free(items);
	mem_free(ends);
	return err;
}

/* ---- rows: in ---- */

static enum err head_load(struct escrow *escrow, const Sauti__StoredEscrow *head)
{
	if (head->tag_key.len != ESCROW_KEY_SIZE || head->recovery_key.len != X25519_KEY_SIZE ||
		strlen(head->origin) > LIMIT_ORIGIN || head->n_custodians > LIMIT_ESCROW_CUSTODIANS)
		return ERR_CORRUPT;
	for (size_t i = 0; i < head->n_custodians; i++) {
		if (strlen(head->custodians[i]) > LIMIT_NODE_NAME)
			return ERR_CORRUPT;
		strcpy(escrow->custodians[escrow->custodian_count++], head->custodians[i]);
	}
	TRY(secret_copy(&escrow->tag_key, codec_bytes(head->tag_key)));
	memcpy(escrow->recovery_key.b, head->recovery_key.data, X25519_KEY_SIZE);
	strcpy(escrow->origin, head->origin);
	escrow->sequence = head->sequence;
	escrow->index = head->index;
	escrow->set = true;
	return OK;
}

static enum err holders_load(struct escrow_vkey *vkey, const Sauti__StoredVersionKey *from)
{
	for (size_t i = 0; i < from->n_holders; i++) {
		const Sauti__StoredHolder *h = from->holders[i];
		struct escrow_holder *holder = &vkey->holders[vkey->holder_count];

		if (vkey->holder_count == LIMIT_ESCROW_CUSTODIANS ||
			strlen(h->node) > LIMIT_NODE_NAME || h->node_key.len != HASH_SIZE)
			return ERR_CORRUPT;
		strcpy(holder->node, h->node);
		memcpy(holder->node_key.b, h->node_key.data, HASH_SIZE);
		holder->held_at = h->held_at;
		holder->refused = h->refused;
		for (size_t k = 0; k < h->n_prekeys; k++)
			TRY(erasure_prekeys_add(&holder->prekeys, h->prekeys[k]));
		vkey->holder_count++;
	}
	return OK;
}

static enum err vkey_load(
	struct escrow *escrow, const struct keyring_item *item, const Sauti__StoredVersionKey *from)
{
	struct escrow_vkey *vkey;

	if (from->key.len != ESCROW_KEY_SIZE || strlen(from->origin) > LIMIT_ORIGIN ||
		from->keys > LIMIT_ESCROW_CHUNK_KEYS)
		return ERR_CORRUPT;
	TRY(escrow_vkey_add(escrow, &vkey));
	TRY(secret_copy(&vkey->key, codec_bytes(from->key)));
	memcpy(vkey->id.b, item->kid, ESCROW_ID_SIZE);
	vkey->number = from->number;
	vkey->version = from->version;
	strcpy(vkey->origin, from->origin);
	vkey->index = from->index;
	vkey->keys = from->keys;
	vkey->retired = from->retired || from->writing;
	vkey->made_at = from->made_at;
	vkey->settled = from->settled;
	vkey->settled_manifest = from->settled_manifest;
	return holders_load(vkey, from);
}

static enum err own_row_load(struct book *book, const struct keyring_item *item, struct bytes plain)
{
	CLEANUP(arena_release) struct arena arena;
	Sauti__StoredEscrowRow *row;
	enum err err;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	TRY(CODEC_UNPACK(stored_escrow_row, plain, &scan_limits_default, &arena, &row, NULL));
	switch (row->body_case) {
	case SAUTI__STORED_ESCROW_ROW__BODY_HEAD:
		err = head_load(book->escrow, row->head);
		wipe(row->head->tag_key.data, row->head->tag_key.len);
		return err;
	case SAUTI__STORED_ESCROW_ROW__BODY_KEY:
		err = vkey_load(book->escrow, item, row->key);
		wipe(row->key->key.data, row->key->key.len);
		return err;
	default:
		return ERR_CORRUPT;
	}
}

enum err escrow_load(struct book *book, const struct keyring_item *item, struct errctx *ctx)
{
	struct row_name name;
	struct buf plain;
	enum err err;

	if (row_kind(item->value) == ROW_CUSTODY)
		return custody_load(book, item, ctx);
	memcpy(name.b, item->kid, sizeof(name.b));
	buf_init(&plain, ROW_PLAIN_MAX);
	if (buf_reserve(&plain, ROW_PLAIN_MAX) == NULL)
		return plain.err;
	err = row_unwrap(secret_bytes(&book->keyring_key), ROW_ESCROW, &name, item->value, &plain);
	if (err == OK)
		err = own_row_load(book, item, buf_bytes(&plain));
	buf_wipe(&plain);
	return err == OK ? OK : err_set(ctx, err, "a row of the escrow is not readable");
}

/* ---- what the chunks hold ---- */

/* Tags of one chunk into the map: (number of the version key << 10) + place. */
static enum err chunk_tags(struct book *book, uint32_t number, struct plan_map *map)
{
	CLEANUP(arena_release) struct arena arena;
	struct escrow_vkey *vkey = &book->escrow->vkeys[number];
	struct escrow_name name = {book->opts.network, book->opts.node, vkey->number, vkey->version,
		vkey->id, book->escrow->recovery_key};
	struct escrow_outer outer;
	struct escrow_chunk chunk;
	struct buf plain;
	enum err err;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	buf_init(&plain, LIMIT_ESCROW_CHUNK);
	buf_clear(&book->entry);
	err = store_entry(book->opts.store, &book->logs[BOOK_OWN_LOG].origin, vkey->index,
		&book->entry, NULL);
	if (err == OK)
		err = escrow_chunk_read(buf_bytes(&book->entry), NULL, &arena, &chunk, NULL);
	if (err == OK)
		err = escrow_open_outer(
			&name, secret_bytes(&vkey->key), chunk.nonce, chunk.sealed, &plain, &outer);
	for (uint32_t i = 0; err == OK && i < outer.count; i++)
		err = plan_map_put(map, TAG_KEY,
			bytes_make(outer.tags.data + i * ESCROW_TAG_SIZE, ESCROW_TAG_SIZE),
			number << 10 | i);
	if (err == OK)
		vkey->keys = (uint32_t)outer.count;
	buf_release(&plain);
	return err;
}

static bool lives(const struct book *book, const struct escrow_vkey *vkey)
{
	return !vkey->gone && !vkey->retired && vkey->version > 0 &&
	       strcmp(vkey->origin, book->logs[BOOK_OWN_LOG].origin.text) == 0;
}

/* What cannot be read any more is as if it had never been: its keys go into another chunk. */
static enum err tags_gather(struct book *book, struct plan_map *map)
{
	struct escrow *escrow = book->escrow;

	for (uint32_t i = 0; i < escrow->vkey_count; i++) {
		enum err err;

		if (!lives(book, &escrow->vkeys[i]))
			continue;
		TRY(book_go_on(book));
		err = chunk_tags(book, i, map);
		if (err == ERR_NOMEM || err == ERR_CRYPTO)
			return err;
		if (err != OK)
			escrow->vkeys[i].retired = true;
	}
	return OK;
}

static enum err keys_place(struct book *book, const struct plan_map *map)
{
	struct casebook_key *key = NULL;
	size_t kase = 0;

	while ((key = escrow_next_key(book, &kase, key)) != NULL) {
		struct escrow_tag tag;
		uint32_t place;

		TRY(escrow_tag_of(secret_bytes(&book->escrow->tag_key), &key->seal.kid, &tag));
		if (!plan_map_find(map, TAG_KEY, BYTES_ARRAY(tag.b), &place))
			continue;
		key->escrow = (place >> 10) + 1;
		key->escrow_place = place & 1023;
	}
	return OK;
}

/* Is the manifest what there is? And which version keys does it name? */
static enum err manifest_compare(struct book *book)
{
	CLEANUP(arena_release) struct arena arena;
	CLEANUP(escrow_manifest_release) struct escrow_manifest manifest = {.sequence = 0};
	struct escrow *escrow = book->escrow;
	size_t living = 0, same = 0;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	escrow->stale = true;
	if (strcmp(escrow->origin, book->logs[BOOK_OWN_LOG].origin.text) != 0)
		return OK;
	buf_clear(&book->entry);
	if (store_entry(book->opts.store, &book->logs[BOOK_OWN_LOG].origin, escrow->index,
		    &book->entry, NULL) != OK ||
		escrow_manifest_read(buf_bytes(&book->entry), NULL, &arena, &manifest, NULL) != OK)
		return OK;
	for (size_t i = 0; i < escrow->vkey_count; i++)
		living += lives(book, &escrow->vkeys[i]);
	for (size_t i = 0; i < manifest.chunk_count; i++) {
		const struct escrow_place *place = &manifest.chunks[i];
		struct escrow_vkey *vkey = escrow_vkey_find(escrow, place->version_key);

		if (vkey == NULL || !lives(book, vkey) || vkey->version != place->version)
			continue;
		vkey->manifest = escrow->index + 1;
		same++;
	}
	escrow->stale = same != living || same != manifest.chunk_count;
	return OK;
}

enum err escrow_settle(struct book *book, struct errctx *ctx)
{
	struct plan_map map = {.slots = NULL};
	enum err err;

	if (!book->escrow->set)
		return OK;
	err = random_bytes(map.seed, sizeof(map.seed));
	if (err == OK)
		err = tags_gather(book, &map);
	if (err == OK)
		err = keys_place(book, &map);
	if (err == OK)
		err = manifest_compare(book);
	mem_free(map.slots);
	return err == OK ? OK : err_wrap(ctx, err, "look at the escrow");
}

void escrow_retire(struct book *book, uint32_t number)
{
	struct casebook_key *key = NULL;
	size_t kase = 0;

	book->escrow->vkeys[number].retired = true;
	book->escrow->stale = true;
	while ((key = escrow_next_key(book, &kase, key)) != NULL)
		if (key->escrow == number + 1)
			key->escrow = 0;
}

void escrow_vkey_forget(struct book *book, const char *author, const uint8_t id[ESCROW_ID_SIZE])
{
	struct escrow_vkey *vkey = escrow_vkey_find(book->escrow, id);

	if (strcmp(author, book->opts.node) != 0) {
		custody_forget(book->escrow->custody, author);
	} else if (vkey != NULL) {
		vkey->gone = true;
		secret_release(&vkey->key);
	}
}

/* ---- what is safe ---- */

bool escrow_held_at(const struct vault_request *request, const char *origin, uint64_t index)
{
	for (size_t i = 0; i < request->held_count; i++)
		if (strcmp(request->held[i].origin, origin) == 0)
			return index < request->held[i].size;
	return false;
}

bool escrow_safe(const struct book *book, const struct vault_request *request,
	const struct casebook_key *key)
{
	const struct escrow *escrow = book->escrow;
	const struct escrow_vkey *vkey;

	if (!escrow->set || key->escrow == 0 || key->escrow == ESCROW_NEVER)
		return false;
	vkey = &escrow->vkeys[key->escrow - 1];
	if (!escrow_acknowledged(escrow, vkey))
		return false;
	if (key->escrow_place < vkey->settled && vkey->settled_manifest > 0 &&
		escrow_held_at(request, vkey->origin, vkey->settled_manifest - 1))
		return true;
	return vkey->manifest > 0 && escrow_held_at(request, vkey->origin, vkey->manifest - 1);
}

static bool key_seals(const struct book *book, const struct vault_request *request,
	const struct casebook_key *key)
{
	for (uint32_t i = 0; i < key->entry_committed; i++) {
		const struct casebook_entry *entry = &key->entries[i];
		uint64_t index = casebook_entry_index(entry);

		if (entry->log < BOOK_LOGS_MAX && index >= request->index && index < request->end &&
			strcmp(book_log_at(book, entry->log)->origin.text, request->log_origin) ==
				0)
			return true;
	}
	return false;
}

/* All keys of the node's own that seal one of those entries. */
static enum err keys_safe(const struct book *book, struct vault_request *request)
{
	struct casebook_key *key = NULL;
	size_t kase = 0;

	request->escrow_set = book->escrow->set;
	while ((key = escrow_next_key(book, &kase, key)) != NULL) {
		if (!key_seals(book, request, key))
			continue;
		request->added++;
		request->known += escrow_safe(book, request, key);
	}
	return OK;
}

void escrow_count(
	const struct book *book, const struct vault_request *request, struct escrow_counts *ret)
{
	const struct escrow *escrow = book->escrow;
	struct escrow_counts counts = {.keys = 0};
	struct casebook_key *key = NULL;
	size_t kase = 0;

	while ((key = escrow_next_key(book, &kase, key)) != NULL) {
		counts.keys++;
		counts.escrowed += key->escrow != 0 && key->escrow != ESCROW_NEVER;
		counts.pending += key->escrow == 0;
		counts.safe += escrow_safe(book, request, key);
	}
	for (size_t i = 0; i < escrow->vkey_count; i++) {
		if (!lives(book, &escrow->vkeys[i]))
			continue;
		counts.chunks++;
		counts.acknowledged += escrow_acknowledged(escrow, &escrow->vkeys[i]);
	}
	counts.manifest_held = escrow->set && !escrow->stale && escrow->sequence > 0 &&
			       escrow_held_at(request, escrow->origin, escrow->index);
	*ret = counts;
}

/* ---- letters that came ---- */

enum err escrow_refuse(struct vault_request *request, enum mail_kind kind, enum err why)
{
	request->outcome = MAIL_REFUSED;
	request->refusal = why == OK ? REFUSED_SENDER : REFUSED_FORM;
	request->mail_kind = kind;
	request->ctx = (struct errctx){""};
	return OK;
}

/* Who acknowledges what it was never sent gains nothing. */
static bool holder_note(struct escrow *escrow, const struct vault_request *request,
	const uint8_t id[ESCROW_ID_SIZE], bool refused, struct escrow_vkey **ret)
{
	struct escrow_vkey *vkey = escrow_vkey_find(escrow, id);
	struct escrow_holder *holder =
		vkey == NULL ? NULL : escrow_holder_find(vkey, request->sender.node);
	struct hash key;

	if (holder == NULL || vkey->retired)
		return false;
	sha256(BYTES_ARRAY(request->sender.key.b), &key);
	if (!hash_equal(&key, &holder->node_key))
		return false;
	if (holder->refused == refused && (holder->held_at != 0) != refused)
		return false;
	holder->refused = refused;
	holder->held_at = refused ? 0 : request->now_s;
	*ret = vkey;
	return true;
}

enum err escrow_held(struct book *book, const struct mail_item *item, struct bytes body,
	struct arena *arena, struct vault_request *request)
{
	CLEANUP(mail_escrow_held_release) struct mail_escrow_held held = {.held = {0}};
	struct escrow_vkey **changed;
	size_t count = 0;
	enum err err = mail_escrow_held_read(body, arena, &held, &request->ctx);

	request->outcome = MAIL_PROCESSED;
	if (err == ERR_NOMEM)
		return err;
	if (err != OK || !request->sender_active)
		return escrow_refuse(request, MAIL_ESCROW_HELD, err);
	changed = mem_array(held.held.count + held.refused.count + 1, sizeof(struct escrow_vkey *));
	if (changed == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < held.held.count; i++)
		count += holder_note(
			book->escrow, request, held.held.list[i], false, &changed[count]);
	for (size_t i = 0; i < held.refused.count; i++)
		count += holder_note(
			book->escrow, request, held.refused.list[i], true, &changed[count]);
	err = escrow_rows_put(book, changed, count, false, &request->ctx);
	mem_free(changed);
	return err;
}

/* ---- requests ---- */

enum err escrow_answer(struct book *book, struct vault_request *request)
{
	switch (request->type) {
	case VAULT_ESCROW_WRITTEN:
		return escrow_written(book, request);
	case VAULT_ESCROW_SETUP:
		return recover_setup(book, request);
	case VAULT_RECOVER_LOOK:
		return recover_look(book, request);
	case VAULT_KEYS_SAFE:
		return keys_safe(book, request);
	default:
		return escrow_plan_step(book, request);
	}
}
