/*
 * The next step of the escrow:
 *
 *	1. custodians that are no longer to be such: every version key is retired, so that all of
 *	   it is made anew for those that are
 *	2. keys that are in no chunk go into the newest one, as long as it is small, or into new
 *	   ones: version keys durable first, then the chunks into the log
 *	3. nothing is missing: the manifest, when it is not what there is
 *	4. beside that, letters to custodians that have not said that they hold a version key
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "server/vault/escrow/escrow.h"

enum {
	SMALL = 212,                  /* keys in a chunk that is written again for a few more */
	SEND_AGAIN_S = 3 * 24 * 3600, /* a letter that nobody answered */
	TAG_KID = 'k',
};

/* ---- custodians ---- */

static const struct vault_custodian *node_find(const struct vault_escrow *io, const char *name)
{
	for (size_t i = 0; i < io->node_count; i++)
		if (strcmp(io->nodes[i].node, name) == 0)
			return &io->nodes[i];
	return NULL;
}

static bool wanted(const struct vault_escrow *io, const char *name)
{
	for (size_t i = 0; i < io->wanted_count; i++)
		if (strcmp(io->wanted[i], name) == 0)
			return true;
	return false;
}

/* A node with another key is another machine, or may be: it says again what it holds. */
static void holders_review(struct escrow_vkey *vkey, const struct vault_escrow *io)
{
	for (size_t i = 0; i < vkey->holder_count; i++) {
		struct escrow_holder *holder = &vkey->holders[i];
		const struct vault_custodian *node = node_find(io, holder->node);
		struct hash key = {{0}};

		if (node != NULL)
			sha256(BYTES_ARRAY(node->key.b), &key);
		if (node != NULL && hash_equal(&key, &holder->node_key))
			continue;
		holder->sent_at = holder->held_at = 0;
		holder->refused = false;
	}
}

static bool custodians_lost(const struct escrow *escrow, const struct vault_escrow *io)
{
	for (size_t i = 0; i < escrow->custodian_count; i++)
		if (!wanted(io, escrow->custodians[i]))
			return true;
	return false;
}

static enum err retire_all(struct book *book, struct errctx *ctx)
{
	struct escrow *escrow = book->escrow;
	struct escrow_vkey **changed =
		mem_array(escrow->vkey_count + 1, sizeof(struct escrow_vkey *));
	size_t count = 0;
	enum err err;

	if (changed == NULL)
		return ERR_NOMEM;
	for (uint32_t i = 0; i < escrow->vkey_count; i++) {
		if (escrow->vkeys[i].retired || escrow->vkeys[i].gone)
			continue;
		escrow_retire(book, i);
		changed[count++] = &escrow->vkeys[i];
	}
	err = escrow_rows_put(book, changed, count, true, ctx);
	mem_free(changed);
	return err;
}

/* Those there are stay, as long as they are members; others fill up what is missing. */
static void custodians_keep(const struct escrow *escrow, struct vault_escrow *io)
{
	char list[LIMIT_ESCROW_CUSTODIANS][LIMIT_NODE_NAME + 1] = {""};
	size_t count = 0;

	for (size_t i = 0; i < escrow->custodian_count && count < ESCROW_CUSTODIANS; i++)
		if (node_find(io, escrow->custodians[i]) != NULL)
			memcpy(list[count++], escrow->custodians[i], sizeof(list[0]));
	for (size_t i = 0; i < io->wanted_count && count < ESCROW_CUSTODIANS; i++) {
		bool there = false;

		for (size_t k = 0; k < count; k++)
			there |= strcmp(list[k], io->wanted[i]) == 0;
		if (!there)
			memcpy(list[count++], io->wanted[i], sizeof(list[0]));
	}
	memcpy(io->wanted, list, sizeof(io->wanted));
	io->wanted_count = count;
}

static enum err custodians_review(struct book *book, struct vault_request *request)
{
	struct vault_escrow *io = request->escrow;
	struct escrow *escrow = book->escrow;
	bool lost;

	if (!io->configured)
		custodians_keep(escrow, io);
	lost = custodians_lost(escrow, io);

	for (size_t i = 0; i < escrow->vkey_count; i++)
		holders_review(&escrow->vkeys[i], io);
	if (!lost && escrow->custodian_count == io->wanted_count)
		return OK;
	if (escrow->busy != ESCROW_IDLE)
		return OK; /* after it */
	escrow->custodian_count = io->wanted_count;
	memcpy(escrow->custodians, io->wanted, sizeof(escrow->custodians));
	escrow->stale = true;
	return lost ? retire_all(book, &request->ctx)
		    : escrow_rows_put(book, NULL, 0, true, &request->ctx);
}

/* ---- what goes into chunks ---- */

static int place_compare(const void *a, const void *b)
{
	const struct casebook_key *x = *(struct casebook_key *const *)a;
	const struct casebook_key *y = *(struct casebook_key *const *)b;

	return (x->escrow_place > y->escrow_place) - (x->escrow_place < y->escrow_place);
}

/* The newest one that lives; -1: none. */
static long newest(const struct book *book)
{
	const struct escrow *escrow = book->escrow;
	long found = -1;

	for (uint32_t i = 0; i < escrow->vkey_count; i++) {
		const struct escrow_vkey *v = &escrow->vkeys[i];

		if (!v->retired && !v->gone &&
			(v->version == 0 ||
				strcmp(v->origin, book->logs[BOOK_OWN_LOG].origin.text) == 0) &&
			(found < 0 || v->number > escrow->vkeys[found].number))
			found = i;
	}
	return found;
}

static uint64_t pending_count(const struct book *book)
{
	struct casebook_key *key = NULL;
	uint64_t count = 0;
	size_t kase = 0;

	while ((key = escrow_next_key(book, &kase, key)) != NULL)
		count += key->escrow == 0;
	return count;
}

/* Keys of chunk `again` (-1: none) in their order, then those of no chunk, up to `max`. */
static enum err keys_gather(struct book *book, long again, size_t max)
{
	struct escrow *escrow = book->escrow;
	struct casebook_key *key = NULL;
	size_t kase = 0, members = 0;

	mem_free(escrow->plan_keys);
	escrow->plan_keys = mem_array(max + 1, sizeof(struct casebook_key *));
	escrow->plan_key_count = 0;
	if (escrow->plan_keys == NULL)
		return ERR_NOMEM;
	while (again >= 0 && (key = escrow_next_key(book, &kase, key)) != NULL)
		if (key->escrow == (uint32_t)again + 1 && members < max)
			escrow->plan_keys[members++] = key;
	if (members > 0)
		qsort(escrow->plan_keys, members, sizeof(struct casebook_key *), place_compare);
	escrow->plan_key_count = members;
	key = NULL;
	kase = 0;
	while (escrow->plan_key_count < max && (key = escrow_next_key(book, &kase, key)) != NULL)
		if (key->escrow == 0)
			escrow->plan_keys[escrow->plan_key_count++] = key;
	return OK;
}

/* The log that the key seals in first. */
static const char *key_origin(const struct book *book, const struct casebook_key *key)
{
	uint16_t log = key->entry_count > 0 ? key->entries[0].log : BOOK_OWN_LOG;

	if (log >= BOOK_LOGS_MAX || strlen(book->logs[log].origin.text) > LIMIT_ORIGIN)
		log = BOOK_OWN_LOG; /* a branch */
	return book->logs[log].origin.text;
}

static enum err pack_key(
	const struct book *book, const struct casebook_key *key, struct escrow_pack *pack)
{
	struct keyring_entry entry = {
		.case_ref = key->owner->ref, .group = key->group, .generation = key->generation};
	enum err err;

	snprintf(entry.origin, sizeof(entry.origin), "%.*s", LIMIT_ORIGIN, key_origin(book, key));
	TRY(secret_copy(&entry.key, seal_key_bytes(&key->seal)));
	err = escrow_pack_add(pack, &entry, secret_bytes(&book->escrow->tag_key));
	keyring_entry_release(&entry);
	return err;
}

static enum err vkey_make(struct book *book, uint64_t now_s, uint32_t *ret)
{
	struct escrow *escrow = book->escrow;
	struct escrow_vkey *vkey;
	uint32_t number = 0;
	enum err err;

	for (size_t i = 0; i < escrow->vkey_count; i++)
		if (escrow->vkeys[i].number > number)
			number = escrow->vkeys[i].number;
	TRY(escrow_vkey_add(escrow, &vkey));
	vkey->number = number + 1;
	vkey->made_at = now_s;
	err = secret_random(&vkey->key, ESCROW_KEY_SIZE);
	if (err == OK)
		err = escrow_id_of(secret_bytes(&vkey->key), &vkey->id);
	if (err != OK) {
		secret_release(&vkey->key);
		escrow->vkey_count--;
		return err;
	}
	*ret = (uint32_t)(escrow->vkey_count - 1);
	return OK;
}

/* ---- chunks ---- */

static enum err chunk_seal(struct book *book, struct vault_request *request,
	const struct escrow_planned *planned, const struct escrow_pack *pack)
{
	struct escrow_vkey *vkey = &book->escrow->vkeys[planned->vkey];
	struct vault_escrow *io = request->escrow;
	struct escrow_chunk *chunk = &io->chunks[io->chunk_count];
	struct escrow_name name = {book->opts.network, book->opts.node, vkey->number,
		planned->version, vkey->id, book->escrow->recovery_key};
	uint8_t ephemeral[X25519_KEY_SIZE];
	size_t before = request->file.size;
	enum err err;

	chunk->number = vkey->number;
	chunk->version = planned->version;
	memcpy(chunk->version_key, vkey->id.b, sizeof(chunk->version_key));
	chunk->recovery_key = book->escrow->recovery_key;
	TRY(random_bytes(chunk->nonce, sizeof(chunk->nonce)));
	TRY(random_bytes(ephemeral, sizeof(ephemeral)));
	err = escrow_seal(pack, &name, secret_bytes(&vkey->key), chunk->nonce,
		BYTES_ARRAY(ephemeral), &request->file);
	wipe(ephemeral, sizeof(ephemeral));
	TRY(err);
	chunk->sealed = bytes_make(request->file.data + before, request->file.size - before);
	io->chunk_count++;
	return OK;
}

/* One chunk of the keys from `first` on, as many as fit. */
static enum err chunk_make(struct book *book, struct vault_request *request, long again,
	size_t first, struct escrow_pack *pack)
{
	struct escrow *escrow = book->escrow;
	struct escrow_planned *planned = &escrow->plan[escrow->plan_count];

	*planned = (struct escrow_planned){.first = first};
	if (again >= 0)
		planned->vkey = (uint32_t)again;
	else
		TRY(vkey_make(book, request->now_s, &planned->vkey));
	planned->version = escrow->vkeys[planned->vkey].version + 1;
	escrow->vkeys[planned->vkey].writing = true;
	escrow_pack_clear(pack);
	for (size_t i = first; i < escrow->plan_key_count; i++) {
		const struct casebook_key *key = escrow->plan_keys[i];

		if (!escrow_pack_takes(pack, key_origin(book, key)))
			break;
		TRY(pack_key(book, key, pack));
	}
	planned->count = pack->count;
	escrow->plan_count++;
	return chunk_seal(book, request, planned, pack);
}

static enum err chunks_make(struct book *book, struct vault_request *request, long again)
{
	struct escrow *escrow = book->escrow;
	struct escrow_pack pack = {.count = 0};
	size_t at = 0;
	enum err err = escrow_pack_init(&pack);

	buf_init(&request->file, ESCROW_STEP_CHUNKS * LIMIT_ESCROW_CHUNK);
	/* Views into it stay: it does not grow. */
	if (err == OK &&
		buf_reserve(&request->file, ESCROW_STEP_CHUNKS * LIMIT_ESCROW_CHUNK) == NULL)
		err = request->file.err;
	while (err == OK && at < escrow->plan_key_count &&
		escrow->plan_count < ESCROW_STEP_CHUNKS) {
		err = chunk_make(book, request, again, at, &pack);
		if (err == OK)
			at += escrow->plan[escrow->plan_count - 1].count;
		again = -1;
	}
	escrow_pack_release(&pack);
	return err;
}

static enum err planned_rows(struct book *book, struct errctx *ctx)
{
	struct escrow_vkey *vkeys[ESCROW_STEP_CHUNKS];

	for (size_t i = 0; i < book->escrow->plan_count; i++)
		vkeys[i] = &book->escrow->vkeys[book->escrow->plan[i].vkey];
	return escrow_rows_put(book, vkeys, book->escrow->plan_count, false, ctx);
}

static enum err chunks_plan(struct book *book, struct vault_request *request)
{
	struct escrow *escrow = book->escrow;
	uint64_t pending = pending_count(book);
	long again = newest(book);
	size_t max = ESCROW_STEP_CHUNKS * LIMIT_ESCROW_CHUNK_KEYS, members = 0;
	uint64_t ticket;
	enum err err;

	if (pending == 0)
		return OK;
	TRY(random_bytes((uint8_t *)&ticket, sizeof(ticket)));
	if (again >= 0)
		members = escrow->vkeys[again].keys;
	if (again >= 0 &&
		(members + pending > LIMIT_ESCROW_CHUNK_KEYS || members > SMALL + pending))
		again = -1;
	escrow->plan_count = 0;
	TRY(keys_gather(book, again, max));
	err = chunks_make(book, request, again);
	if (err == OK)
		err = planned_rows(book, &request->ctx);
	if (err != OK) {
		escrow->plan_count = escrow->plan_key_count = 0;
		request->escrow->chunk_count = 0;
		return err;
	}
	escrow->busy = ESCROW_CHUNKS_GO;
	request->escrow->ticket = escrow->ticket = ticket;
	request->escrow->what = VAULT_ESCROW_CHUNKS;
	request->escrow->pending = pending > max;
	return OK;
}

/* ---- the manifest ---- */

static int number_compare(const void *a, const void *b)
{
	const struct escrow_place *x = a, *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

static bool named(const struct book *book, const struct escrow_vkey *vkey)
{
	return !vkey->gone && !vkey->retired && vkey->version > 0 &&
	       strcmp(vkey->origin, book->logs[BOOK_OWN_LOG].origin.text) == 0;
}

static enum err manifest_plan(struct book *book, struct vault_request *request)
{
	struct escrow_manifest *m = &request->escrow->manifest;
	struct escrow *escrow = book->escrow;
	uint64_t ticket;

	if (!escrow->stale)
		return OK;
	TRY(random_bytes((uint8_t *)&ticket, sizeof(ticket)));
	*m = (struct escrow_manifest){.network = book->opts.network,
		.node = book->opts.node,
		.sequence = escrow->sequence + 1,
		.made_at = request->now_s,
		.recovery_key = escrow->recovery_key,
		.custodian_count = escrow->custodian_count};
	memcpy(m->custodians, escrow->custodians, sizeof(m->custodians));
	m->chunks = mem_array(escrow->vkey_count + 1, sizeof(*m->chunks));
	if (m->chunks == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < escrow->vkey_count; i++) {
		const struct escrow_vkey *v = &escrow->vkeys[i];
		struct escrow_place *place = &m->chunks[m->chunk_count];

		if (!named(book, v))
			continue;
		*place = (struct escrow_place){.number = v->number,
			.version = v->version,
			.index = v->index,
			.keys = v->keys};
		memcpy(place->version_key, v->id.b, sizeof(place->version_key));
		m->chunk_count++;
	}
	if (m->chunk_count > LIMIT_ESCROW_CHUNKS)
		return err_set(&request->ctx, ERR_LIMIT,
			"more than %d chunks in the escrow: 'sauti "
			"recover reshare' makes it anew",
			LIMIT_ESCROW_CHUNKS);
	qsort(m->chunks, m->chunk_count, sizeof(*m->chunks), number_compare);
	escrow->busy = ESCROW_MANIFEST_GOES;
	request->escrow->ticket = escrow->ticket = ticket;
	request->escrow->what = VAULT_ESCROW_MANIFEST;
	return OK;
}

/* ---- how that ended ---- */

/* True: one of them is about to be erased, which began meanwhile. */
static bool keys_place(struct escrow *escrow, const struct escrow_planned *planned)
{
	bool never = false;

	for (size_t k = 0; k < planned->count; k++) {
		struct casebook_key *key = escrow->plan_keys[planned->first + k];

		if (key->escrow == ESCROW_NEVER) {
			never = true;
			continue;
		}
		key->escrow = planned->vkey + 1;
		key->escrow_place = (uint32_t)k;
	}
	return never;
}

static enum err chunks_written(struct book *book, struct vault_request *request)
{
	const char *origin = book->logs[BOOK_OWN_LOG].origin.text;
	struct escrow *escrow = book->escrow;

	for (size_t i = 0; i < escrow->plan_count; i++) {
		const struct escrow_planned *planned = &escrow->plan[i];
		struct escrow_vkey *vkey = &escrow->vkeys[planned->vkey];

		vkey->writing = false;
		vkey->version = planned->version;
		vkey->index = request->index + i;
		vkey->keys = (uint32_t)planned->count;
		vkey->manifest = 0;
		snprintf(vkey->origin, sizeof(vkey->origin), "%.*s", LIMIT_ORIGIN, origin);
		if (keys_place(escrow, planned))
			escrow_retire(book, planned->vkey);
	}
	escrow->stale = true;
	return planned_rows(book, &request->ctx);
}

static enum err manifest_written(struct book *book, struct vault_request *request)
{
	const char *origin = book->logs[BOOK_OWN_LOG].origin.text;
	struct escrow *escrow = book->escrow;

	escrow->sequence++;
	escrow->index = request->index;
	snprintf(escrow->origin, sizeof(escrow->origin), "%.*s", LIMIT_ORIGIN, origin);
	escrow->stale = false;
	for (size_t i = 0; i < escrow->vkey_count; i++)
		if (named(book, &escrow->vkeys[i]))
			escrow->vkeys[i].manifest = request->index + 1;
	return escrow_rows_put(book, NULL, 0, true, &request->ctx);
}

/* Whether a chunk stands there nobody knows: its version key is not used again, and goes with the
 * next erasure. */
static enum err planned_retire(struct book *book, struct errctx *ctx)
{
	for (size_t i = 0; i < book->escrow->plan_count; i++)
		escrow_retire(book, book->escrow->plan[i].vkey);
	return planned_rows(book, ctx);
}

enum err escrow_written(struct book *book, struct vault_request *request)
{
	struct escrow *escrow = book->escrow;
	int busy = escrow->busy;
	enum err err = OK;

	if (request->escrow->ticket != escrow->ticket)
		return OK; /* of before the node was locked */
	escrow->busy = ESCROW_IDLE;
	if (request->escrow->error == OK && busy == ESCROW_CHUNKS_GO)
		err = chunks_written(book, request);
	else if (request->escrow->error == OK && busy == ESCROW_MANIFEST_GOES)
		err = manifest_written(book, request);
	if (busy == ESCROW_CHUNKS_GO && request->escrow->error != OK)
		err = planned_retire(book, &request->ctx);
	escrow->plan_count = escrow->plan_key_count = 0;
	return err;
}

/* ---- letters ---- */

enum err escrow_letter(struct vault_request *request, const struct book *book,
	const struct vault_custodian *to, enum mail_kind kind, struct bytes content)
{
	struct vault_letter *letter = mem_zalloc(sizeof(*letter));
	uint8_t ephemeral[X25519_KEY_SIZE];
	struct mail_draft draft = {.network = book->opts.network,
		.sender = book->opts.node,
		.recipient = to->node,
		.class = MAIL_ORDINARY,
		.kind = kind,
		.content = content,
		.made_at = request->now_s};
	enum err err = letter == NULL ? ERR_NOMEM : random_bytes(draft.id, sizeof(draft.id));

	if (err == OK)
		err = random_bytes(ephemeral, sizeof(ephemeral));
	if (kind != MAIL_ESCROW_HELD && kind != MAIL_RECOVERY_ASK) {
		draft.prekey = &to->prekey;
		draft.ephemeral = BYTES_ARRAY(ephemeral);
	}
	if (letter != NULL)
		buf_init(&letter->body, LIMIT_MAIL_ITEM);
	if (err == OK)
		err = mail_body_write(&letter->body, &draft);
	wipe(ephemeral, sizeof(ephemeral));
	if (err != OK) {
		if (letter != NULL)
			buf_release(&letter->body);
		mem_free(letter);
		return err;
	}
	letter->next = request->letters;
	request->letters = letter;
	return OK;
}

/* NULL: it has it, or was asked lately. */
static struct escrow_holder *holder_due(
	struct escrow_vkey *vkey, const struct vault_custodian *to, uint64_t now_s)
{
	struct escrow_holder *holder = escrow_holder_find(vkey, to->node);

	if (vkey->retired || vkey->gone)
		return NULL;
	if (holder == NULL && vkey->holder_count < LIMIT_ESCROW_CUSTODIANS)
		holder = &vkey->holders[vkey->holder_count++];
	if (holder == NULL || holder->held_at != 0 || holder->refused ||
		(holder->sent_at != 0 && now_s < holder->sent_at + SEND_AGAIN_S))
		return NULL;
	return holder;
}

static enum err letter_fill(struct book *book, const struct vault_custodian *to, uint64_t now_s,
	struct version_keys *keys, struct escrow_vkey **changed)
{
	struct escrow *escrow = book->escrow;

	for (size_t i = 0; i < escrow->vkey_count && keys->count < LIMIT_ESCROW_MAIL_KEYS; i++) {
		struct escrow_vkey *vkey = &escrow->vkeys[i];
		struct escrow_holder *holder = holder_due(vkey, to, now_s);
		struct version_key *key = &keys->list[keys->count];

		if (holder == NULL)
			continue;
		TRY(secret_copy(&key->key, secret_bytes(&vkey->key)));
		memcpy(key->id, vkey->id.b, sizeof(key->id));
		changed[keys->count++] = vkey;
		snprintf(holder->node, sizeof(holder->node), "%s", to->node);
		sha256(BYTES_ARRAY(to->key.b), &holder->node_key);
		holder->sent_at = now_s;
		/* More than there is room for were sealed to in vain: the newest count. */
		if (erasure_prekeys_add(&holder->prekeys, to->prekey.number) != OK) {
			holder->prekeys.count = 0;
			(void)!erasure_prekeys_add(&holder->prekeys, to->prekey.number);
		}
	}
	return OK;
}

/* The rows say to whom a version key went before it goes. */
static enum err letter_to(
	struct book *book, struct vault_request *request, const struct vault_custodian *to)
{
	struct escrow_vkey *changed[LIMIT_ESCROW_MAIL_KEYS];
	struct version_keys keys;
	struct buf content;
	enum err err;

	buf_init(&content, LIMIT_MAIL_CONTENT);
	TRY(version_keys_init(&keys, LIMIT_ESCROW_MAIL_KEYS));
	err = letter_fill(book, to, request->now_s, &keys, changed);
	if (err == OK && keys.count > 0) {
		(void)buf_reserve(&content, LIMIT_MAIL_CONTENT);
		err = mail_escrow_keys_write(&content, &keys);
		if (err == OK)
			err = escrow_rows_put(book, changed, keys.count, false, &request->ctx);
		if (err == OK)
			err = escrow_letter(
				request, book, to, MAIL_ESCROW_KEYS, buf_bytes(&content));
	}
	buf_wipe(&content);
	version_keys_release(&keys);
	return err;
}

static enum err letters(struct book *book, struct vault_request *request)
{
	struct vault_escrow *io = request->escrow;

	for (size_t i = 0; i < io->wanted_count; i++) {
		const struct vault_custodian *to = node_find(io, io->wanted[i]);

		if (to != NULL && to->prekey.number != 0)
			TRY(letter_to(book, request, to));
	}
	return OK;
}

/* ---- held, erased ---- */

/* What was safe stays so while a chunk is being written again. */
static enum err settled_note(struct book *book, struct vault_request *request)
{
	struct escrow *escrow = book->escrow;
	struct escrow_vkey **changed =
		mem_array(escrow->vkey_count + 1, sizeof(struct escrow_vkey *));
	size_t count = 0;
	enum err err;

	if (changed == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < escrow->vkey_count; i++) {
		struct escrow_vkey *v = &escrow->vkeys[i];

		if (!named(book, v) || v->manifest == 0 || v->settled == v->keys ||
			!escrow_held_at(request, v->origin, v->manifest - 1))
			continue;
		v->settled = v->keys;
		v->settled_manifest = v->manifest;
		changed[count++] = v;
	}
	err = escrow_rows_put(book, changed, count, false, &request->ctx);
	mem_free(changed);
	return err;
}

static enum err kids_map(const uint8_t (*kids)[SEAL_KID_SIZE], size_t count, struct plan_map *map)
{
	TRY(random_bytes(map->seed, sizeof(map->seed)));
	for (size_t i = 0; i < count; i++)
		TRY(plan_map_put(map, TAG_KID, bytes_make(kids[i], SEAL_KID_SIZE), 0));
	return OK;
}

/* Which version keys they are under, by number. */
static void kids_mark(struct book *book, const struct plan_map *map, bool *ends)
{
	struct casebook_key *key = NULL;
	size_t kase = 0;

	while ((key = escrow_next_key(book, &kase, key)) != NULL) {
		if (!plan_map_find(map, TAG_KID, BYTES_ARRAY(key->seal.kid.b), NULL))
			continue;
		if (key->escrow != 0 && key->escrow != ESCROW_NEVER)
			ends[key->escrow - 1] = true;
		key->escrow = ESCROW_NEVER;
	}
}

static enum err kids_drop(
	struct book *book, const uint8_t (*kids)[SEAL_KID_SIZE], size_t count, struct errctx *ctx)
{
	struct plan_map map = {.slots = NULL};
	struct escrow *escrow = book->escrow;
	bool *ends = mem_zalloc(escrow->vkey_count + 1);
	enum err err = ends == NULL ? ERR_NOMEM : kids_map(kids, count, &map);

	if (err == OK)
		kids_mark(book, &map, ends);
	for (uint32_t i = 0; err == OK && i < escrow->vkey_count; i++)
		if (ends[i]) {
			struct escrow_vkey *vkey = &escrow->vkeys[i];

			escrow_retire(book, i);
			err = escrow_rows_put(book, &vkey, 1, false, ctx);
		}
	mem_free(ends);
	mem_free(map.slots);
	return err;
}

/* All there is now is named by a manifest that is held, under version keys that are acknowledged.
 */
static bool settled(const struct book *book)
{
	const struct escrow *escrow = book->escrow;

	for (size_t i = 0; i < escrow->vkey_count; i++)
		if (named(book, &escrow->vkeys[i]) &&
			!escrow_acknowledged(escrow, &escrow->vkeys[i]))
			return false;
	return escrow->busy == ESCROW_IDLE && !escrow->stale && pending_count(book) == 0 &&
	       escrow->index < escrow->held;
}

enum err escrow_let_go(struct book *book, const uint8_t (*kids)[SEAL_KID_SIZE], size_t count,
	bool *ret_ready, struct errctx *ctx)
{
	if (book->escrow->set)
		TRY(kids_drop(book, kids, count, ctx));
	*ret_ready = !book->escrow->set || settled(book);
	book->escrow->letting_go = !*ret_ready;
	return OK;
}

/* ---- what is shown ---- */

static void custodian_put(const struct escrow *escrow, const char *name, struct buf *json)
{
	size_t held = 0, of = 0, refused = 0;

	for (size_t i = 0; i < escrow->vkey_count; i++) {
		struct escrow_vkey *vkey = &escrow->vkeys[i];
		struct escrow_holder *holder;

		if (vkey->retired || vkey->gone)
			continue;
		holder = escrow_holder_find(vkey, name);
		of++;
		held += holder != NULL && holder->held_at != 0;
		refused += holder != NULL && holder->refused;
	}
	buf_printf(json, "{\"node\":\"%s\",\"held\":%zu,\"of\":%zu,\"refused\":%zu}", name, held,
		of, refused);
}

static enum err status_put(struct book *book, struct vault_request *request)
{
	struct vault_doc **last = &request->docs;
	const struct escrow *escrow = book->escrow;
	struct buf *json = &book->json;
	struct escrow_counts counts;
	struct recovery_set set;
	uint32_t retired = 0;

	escrow_count(book, request, &counts);
	recovery_set_of(&escrow->recovery_key, &set);
	for (size_t i = 0; i < escrow->vkey_count; i++)
		retired += escrow->vkeys[i].retired && !escrow->vkeys[i].gone;
	buf_printf(json, "{\"set_up\":%s", escrow->set ? "true" : "false");
	if (escrow->set)
		buf_printf(json, ",\"set\":\"%02x%02x%02x%02x\"", set.b[0], set.b[1], set.b[2],
			set.b[3]);
	buf_printf(json,
		",\"keys\":%llu,\"escrowed\":%llu,\"safe\":%llu,\"pending\":%llu,\"chunks\":%zu,"
		"\"acknowledged\":%zu,\"retired\":%u,\"quorum\":%zu,\"manifest\":{\"sequence\":%"
		"llu,"
		"\"log\":\"%s\",\"index\":%llu,\"held\":%s},\"custodians\":[",
		(unsigned long long)counts.keys, (unsigned long long)counts.escrowed,
		(unsigned long long)counts.safe, (unsigned long long)counts.pending, counts.chunks,
		counts.acknowledged, retired, escrow_quorum(escrow),
		(unsigned long long)escrow->sequence, escrow->origin,
		(unsigned long long)escrow->index, counts.manifest_held ? "true" : "false");
	for (size_t i = 0; i < escrow->custodian_count; i++) {
		if (i > 0)
			buf_put_u8(json, ',');
		custodian_put(escrow, escrow->custodians[i], json);
	}
	buf_put_u8(json, ']');
	custody_put(book, request, json);
	recover_put(book, json);
	buf_put_u8(json, '}');
	return show_doc(book, &last);
}

/* ---- one step ---- */

static enum err advance(struct book *book, struct vault_request *request)
{
	struct escrow *escrow = book->escrow;

	if (!escrow->set)
		return OK;
	TRY(custodians_review(book, request));
	TRY(settled_note(book, request));
	if (request->escrow->writable && escrow->busy == ESCROW_IDLE) {
		TRY(chunks_plan(book, request));
		if (escrow->busy == ESCROW_IDLE)
			TRY(manifest_plan(book, request));
	}
	return letters(book, request);
}

enum err escrow_plan_step(struct book *book, struct vault_request *request)
{
	const char *own = book->logs[BOOK_OWN_LOG].origin.text;

	for (size_t i = 0; i < request->held_count; i++)
		if (strcmp(request->held[i].origin, own) == 0)
			book->escrow->held = request->held[i].size;
	request->escrow->erasing = book->escrow->letting_go;
	TRY(advance(book, request));
	TRY(custody_answer(book, request));
	return status_put(book, request);
}
