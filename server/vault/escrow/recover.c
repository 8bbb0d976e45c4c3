/*
 * Recovery: the newest manifest of this node is looked for in its logs, as mirrors gave them back;
 * custodians are asked for the version keys; with these and the recovery key all chunks are opened,
 * and the case keys put into the keyring. A drill does the same and changes nothing.
 *
 * Nothing is believed but what a node key of this node's own has signed; a version key counts when
 * its id is the one of the manifest. Keys that were erased here stay so.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cases/keys/erasure.h"
#include "server/vault/escrow/escrow.h"

enum { PUT_ITEMS = 1024, WRAPPED_MAX = 1024 };

/* ---- setting up ---- */

static enum err key_usable(const struct x25519_public *key, struct errctx *ctx)
{
	struct secret probe = {0}, shared = {0};
	enum err err = secret_random(&probe, X25519_KEY_SIZE);

	if (err == OK)
		err = x25519_shared(secret_bytes(&probe), key, &shared);
	secret_release(&probe);
	secret_release(&shared);
	return err == ERR_UNTRUSTED ? err_set(ctx, err, "that is no recovery key") : err;
}

/* A new key: whatever was sealed to the former one is made anew. */
static enum err setup_key(struct book *book, const struct x25519_public *key, struct errctx *ctx)
{
	struct escrow *escrow = book->escrow;
	struct escrow_vkey **changed =
		mem_array(escrow->vkey_count + 1, sizeof(struct escrow_vkey *));
	size_t count = 0;
	enum err err = changed == NULL ? ERR_NOMEM : OK;

	if (err == OK && escrow->tag_key.size == 0)
		err = secret_random(&escrow->tag_key, ESCROW_KEY_SIZE);
	for (uint32_t i = 0; err == OK && i < escrow->vkey_count; i++)
		if (!escrow->vkeys[i].retired && !escrow->vkeys[i].gone) {
			escrow_retire(book, i);
			changed[count++] = &escrow->vkeys[i];
		}
	if (err == OK) {
		escrow->recovery_key = *key;
		escrow->stale = escrow->set = true;
		err = escrow_rows_put(book, changed, count, true, ctx);
	}
	mem_free(changed);
	return err;
}

enum err recover_setup(struct book *book, struct vault_request *request)
{
	const struct vault_escrow *io = request->escrow;

	if (book->escrow->set && !io->reshare)
		return err_set(&request->ctx, ERR_EXISTS,
			"there is a recovery key already: 'sauti recover reshare' makes a new one");
	if (!book->escrow->set && io->reshare)
		return err_set(&request->ctx, ERR_NOTFOUND,
			"there is no recovery key yet: 'sauti recover setup' makes one");
	if (book->escrow->busy != ESCROW_IDLE)
		return err_set(&request->ctx, ERR_BUSY,
			"a part of the escrow is being written: try "
			"again in a moment");
	TRY(key_usable(&io->recovery_key, &request->ctx));
	return setup_key(book, &io->recovery_key, &request->ctx);
}

/* ---- the newest manifest ---- */

struct found {
	struct origin origin;
	uint64_t index;
	struct escrow_manifest manifest;
};

/* Signed by any node key of this node. */
static enum err manifest_read(struct book *book, const struct vault_escrow *io, struct arena *arena,
	struct escrow_manifest *ret)
{
	enum err err = ERR_UNTRUSTED;

	for (size_t i = 0; i < io->signer_count && err == ERR_UNTRUSTED; i++)
		err = escrow_manifest_read(
			buf_bytes(&book->entry), &io->signers[i], arena, ret, NULL);
	return err;
}

/* From the end of one log backwards; the first that is found is its newest. */
static enum err manifest_in(struct book *book, const struct vault_escrow *io,
	const struct log_head *head, struct arena *arena, struct found *best)
{
	struct escrow_manifest manifest;

	for (uint64_t i = head->size; i-- > 0;) {
		enum err err;

		TRY(book_go_on(book));
		buf_clear(&book->entry);
		err = store_entry(book->opts.store, &head->origin, i, &book->entry, NULL);
		if (err == ERR_NOMEM)
			return err;
		if (err != OK || !escrow_manifest_looks_like(buf_bytes(&book->entry)))
			continue;
		err = manifest_read(book, io, arena, &manifest);
		if (err == ERR_NOMEM || err == ERR_CRYPTO)
			return err;
		if (err != OK)
			continue;
		if (strcmp(manifest.network, book->opts.network) != 0 ||
			strcmp(manifest.node, book->opts.node) != 0 ||
			manifest.sequence <= best->manifest.sequence) {
			escrow_manifest_release(&manifest);
			return OK;
		}
		escrow_manifest_release(&best->manifest);
		*best = (struct found){head->origin, i, manifest};
		return OK;
	}
	return OK;
}

static bool own_log(const struct book *book, const struct origin *origin)
{
	struct origin_parts parts;

	return log_name_parse(bytes_str(origin->text), NULL, NULL, &parts) == OK &&
	       bytes_equal_str(parts.network, book->opts.network) &&
	       bytes_equal_str(parts.node, book->opts.node);
}

static enum err manifest_find(struct book *book, const struct vault_escrow *io, struct arena *arena,
	struct found *ret, struct errctx *ctx)
{
	struct log_head *heads = NULL;
	size_t count = 0;
	enum err err;

	TRY(store_heads(book->opts.store, &heads, &count, ctx));
	err = OK;
	for (size_t i = 0; i < count; i++) {
		if (err == OK && own_log(book, &heads[i].origin))
			err = manifest_in(book, io, &heads[i], arena, ret);
		log_head_release(&heads[i]);
	}
	mem_free(heads);
	if (err == OK && ret->manifest.sequence == 0)
		return err_set(ctx, ERR_NOTFOUND,
			"no escrow of node '%s' is here: have its logs come back from its mirrors? "
			"See "
			"'sauti log list'",
			book->opts.node);
	return err;
}

/* ---- version keys ---- */

static const struct secret *answer_find(const struct escrow *escrow, const uint8_t *id)
{
	for (size_t i = 0; i < escrow->answer_count; i++)
		if (memcmp(escrow->answers[i].key.id, id, ESCROW_ID_SIZE) == 0)
			return &escrow->answers[i].key.key;
	return NULL;
}

/* Of a drill those of custodians alone. NULL: it has to be asked for. */
static const struct secret *key_find(struct escrow *escrow, const uint8_t *id, bool drill)
{
	const struct secret *answer = answer_find(escrow, id);
	const struct escrow_vkey *vkey = drill ? NULL : escrow_vkey_find(escrow, id);

	return answer != NULL ? answer : vkey != NULL ? &vkey->key : NULL;
}

static bool is_wanted(const struct escrow *escrow, const uint8_t *id)
{
	for (size_t i = 0; i < escrow->wanted.count; i++)
		if (memcmp(escrow->wanted.list[i], id, ESCROW_ID_SIZE) == 0)
			return true;
	return false;
}

/* What was asked for always has room: there are no more of these than chunks. What else comes has
 * as much as one node may fill, and takes none of another's. */
static bool has_room(struct escrow *escrow, const uint8_t *id, const char *from)
{
	size_t count = 0;

	if (is_wanted(escrow, id))
		return true;
	for (size_t i = 0; i < escrow->answer_count; i++)
		count += !escrow->answers[i].wanted && strcmp(escrow->answers[i].from, from) == 0;
	return count < LIMIT_ESCROW_CHUNKS && escrow_vkey_find(escrow, id) == NULL;
}

static enum err answer_add(struct escrow *escrow, struct version_key *key, const char *from)
{
	struct recovery_answer *answer;

	if (escrow->answer_count == escrow->answer_capacity) {
		size_t capacity = escrow->answer_capacity + 64;
		struct recovery_answer *grown =
			mem_resize(escrow->answers, capacity * sizeof(*grown));

		if (grown == NULL)
			return ERR_NOMEM;
		escrow->answers = grown;
		escrow->answer_capacity = capacity;
	}
	answer = &escrow->answers[escrow->answer_count++];
	*answer = (struct recovery_answer){*key, "", is_wanted(escrow, key->id)};
	snprintf(answer->from, sizeof(answer->from), "%s", from);
	*key = (struct version_key){.id = {0}};
	return OK;
}

static void answered_note(struct escrow *escrow, const char *node)
{
	for (size_t i = 0; i < escrow->answered_count; i++)
		if (strcmp(escrow->answered[i], node) == 0)
			return;
	if (escrow->answered_count < LIMIT_ESCROW_CUSTODIANS)
		snprintf(escrow->answered[escrow->answered_count++], LIMIT_NODE_NAME + 1, "%s",
			node);
}

enum err recover_answered(struct book *book, const struct mail_item *item, struct bytes body,
	struct arena *arena, struct vault_request *request)
{
	CLEANUP(mail_recovery_answer_release) struct mail_recovery_answer answer = {.drill = false};
	struct escrow *escrow = book->escrow;
	enum err err = mail_recovery_answer_read(body, arena, &answer, &request->ctx);

	request->outcome = MAIL_PROCESSED;
	if (err == ERR_NOMEM)
		return err;
	if (err != OK || !request->sender_active)
		return escrow_refuse(request, MAIL_RECOVERY_ANSWER, err);
	for (size_t i = 0; i < answer.keys.count; i++) {
		struct version_key *key = &answer.keys.list[i];
		struct escrow_id id;

		TRY(escrow_id_of(secret_bytes(&key->key), &id));
		if (memcmp(id.b, key->id, sizeof(id.b)) != 0) {
			escrow->refused++; /* not the one of the manifest */
			request->refusal = REFUSED_KEYS;
			request->mail_kind = MAIL_RECOVERY_ANSWER;
			continue;
		}
		/* Older ones, of which nobody here knows any more, are kept to be erased one day.
		 */
		if (answer_find(escrow, key->id) == NULL && has_room(escrow, key->id, item->sender))
			TRY(answer_add(escrow, key, item->sender));
	}
	answered_note(escrow, item->sender);
	return OK;
}

/* ---- asking ---- */

static enum err wanted_set(
	struct escrow *escrow, const struct escrow_manifest *manifest, bool drill)
{
	version_ids_release(&escrow->wanted);
	for (size_t i = 0; i < manifest->chunk_count; i++)
		if (key_find(escrow, manifest->chunks[i].version_key, drill) == NULL &&
			escrow->wanted.count < LIMIT_ESCROW_MAIL_KEYS)
			TRY(version_ids_add(&escrow->wanted, manifest->chunks[i].version_key));
	return OK;
}

static enum err ask(
	struct book *book, struct vault_request *request, const char *custodian, struct buf *asked)
{
	const struct vault_escrow *io = request->escrow;
	struct mail_recovery_ask wish = {
		.ids = book->escrow->wanted, .prekey = io->own_prekey, .drill = io->drill};
	CLEANUP(buf_release) struct buf content;

	buf_init(&content, LIMIT_MAIL_CONTENT);
	for (size_t i = 0; i < io->node_count; i++) {
		if (strcmp(io->nodes[i].node, custodian) != 0)
			continue;
		TRY(mail_recovery_ask_write(&content, &wish));
		TRY(escrow_letter(
			request, book, &io->nodes[i], MAIL_RECOVERY_ASK, buf_bytes(&content)));
		buf_printf(asked, "%s\"%s\"", asked->size > 0 ? "," : "", custodian);
		return asked->err;
	}
	return OK;
}

static void put_found(
	const struct book *book, const struct found *found, bool drill, struct buf *json)
{
	const struct escrow_manifest *m = &found->manifest;
	struct recovery_set set;
	uint64_t keys = 0;
	size_t missing = 0;

	recovery_set_of(&m->recovery_key, &set);
	for (size_t i = 0; i < m->chunk_count; i++) {
		keys += m->chunks[i].keys;
		missing += key_find(book->escrow, m->chunks[i].version_key, drill) == NULL;
	}
	buf_printf(json,
		"\"set\":\"%02x%02x%02x%02x\",\"sequence\":%llu,\"made_at\":%llu,\"log\":\"%s\","
		"\"index\":%llu,\"chunks\":%zu,\"keys\":%llu,\"missing\":%zu,\"custodians\":[",
		set.b[0], set.b[1], set.b[2], set.b[3], (unsigned long long)m->sequence,
		(unsigned long long)m->made_at, found->origin.text,
		(unsigned long long)found->index, m->chunk_count, (unsigned long long)keys,
		missing);
	for (size_t i = 0; i < m->custodian_count; i++)
		buf_printf(json, "%s\"%s\"", i > 0 ? "," : "", m->custodians[i]);
	buf_put_str(json, "]");
}

static enum err look_answer(struct book *book, struct vault_request *request,
	const struct found *found, const struct buf *asked)
{
	struct vault_doc **last = &request->docs;

	buf_put_u8(&book->json, '{');
	put_found(book, found, request->escrow->drill, &book->json);
	buf_put_str(&book->json, ",\"asked\":[");
	buf_put(&book->json, buf_bytes(asked));
	buf_put_str(&book->json, "]");
	recover_put(book, &book->json);
	buf_put_str(&book->json, "}");
	return show_doc(book, &last);
}

enum err recover_look(struct book *book, struct vault_request *request)
{
	CLEANUP(arena_release) struct arena arena;
	CLEANUP(buf_release) struct buf asked;
	struct vault_escrow *io = request->escrow;
	struct found found = {.index = 0};
	enum err err;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	buf_init(&asked, 4096);
	TRY(manifest_find(book, io, &arena, &found, &request->ctx));
	err = wanted_set(book->escrow, &found.manifest, io->drill);
	if (io->ask && book->escrow->wanted.count > 0)
		for (size_t i = 0; err == OK && i < found.manifest.custodian_count; i++)
			err = ask(book, request, found.manifest.custodians[i], &asked);
	if (err == OK)
		err = look_answer(book, request, &found, &asked);
	escrow_manifest_release(&found.manifest);
	return err;
}

void recover_put(const struct book *book, struct buf *json)
{
	const struct escrow *escrow = book->escrow;

	buf_printf(json,
		",\"recovery\":{\"wanted\":%zu,\"answers\":%zu,\"refused\":%llu,"
		"\"answered_by\":[",
		escrow->wanted.count, escrow->answer_count, (unsigned long long)escrow->refused);
	for (size_t i = 0; i < escrow->answered_count; i++)
		buf_printf(json, "%s\"%s\"", i > 0 ? "," : "", escrow->answered[i]);
	buf_put_str(json, "]}");
}

/* ---- opening all of it ---- */

struct opening {
	struct book *book;
	bool drill;
	struct errctx *ctx;
	struct keyring_item items[PUT_ITEMS]; /* to be put; values are in `wrapped` */
	size_t ends[PUT_ITEMS], item_count;
	struct buf wrapped;
	uint64_t keys, known, added, erased;
	size_t opened, missing, bad;
};

static enum err items_put(struct opening *o)
{
	size_t at = 0;
	enum err err;

	for (size_t i = 0; i < o->item_count; i++) {
		o->items[i].value = bytes_make(o->wrapped.data + at, o->ends[i] - at);
		at = o->ends[i];
	}
	err = o->item_count == 0
		      ? OK
		      : keyring_update(o->book->opts.keyring, o->items, o->item_count, o->ctx);
	buf_clear(&o->wrapped);
	o->item_count = 0;
	return err;
}

static enum err row_there(struct book *book, const uint8_t name[ROW_NAME_SIZE], bool *ret)
{
	CLEANUP(buf_release) struct buf value;
	enum err err;

	buf_init(&value, KEYRING_VALUE_MAX);
	err = keyring_get(book->opts.keyring, name, &value, NULL);
	*ret = err == OK;
	return err == ERR_NOTFOUND ? OK : err;
}

static enum err take_key(void *arg, const struct keyring_entry *entry)
{
	struct opening *o = arg;
	struct row_name buried;
	struct seal_kid kid;
	bool there;

	TRY(book_go_on(o->book));
	o->keys++;
	TRY(seal_kid_of(secret_bytes(&entry->key), &kid));
	TRY(row_there(o->book, kid.b, &there));
	if (there) {
		o->known++;
		return OK;
	}
	tombstone_row_name(entry->author, &kid, &buried);
	TRY(row_there(o->book, buried.b, &there));
	if (there) {
		o->erased++;
		return OK;
	}
	if (o->drill)
		return OK;
	TRY(keyring_wrap(secret_bytes(&o->book->keyring_key), entry, &o->wrapped, &kid));
	memcpy(o->items[o->item_count].kid, kid.b, sizeof(kid.b));
	o->ends[o->item_count++] = o->wrapped.size;
	o->added++;
	return o->item_count == PUT_ITEMS ? items_put(o) : OK;
}

static enum err chunk_read(struct book *book, const struct vault_escrow *io,
	const struct found *found, const struct escrow_place *place, struct arena *arena,
	struct escrow_chunk *ret)
{
	enum err err = ERR_UNTRUSTED;

	buf_clear(&book->entry);
	TRY(store_entry(book->opts.store, &found->origin, place->index, &book->entry, NULL));
	for (size_t i = 0; i < io->signer_count && err == ERR_UNTRUSTED; i++)
		err = escrow_chunk_read(buf_bytes(&book->entry), &io->signers[i], arena, ret, NULL);
	TRY(err);
	if (ret->number != place->number || ret->version != place->version ||
		memcmp(ret->version_key, place->version_key, sizeof(ret->version_key)) != 0 ||
		memcmp(ret->recovery_key.b, found->manifest.recovery_key.b, X25519_KEY_SIZE) != 0)
		return ERR_UNTRUSTED; /* another chunk has been put there */
	return OK;
}

static enum err chunk_open(struct opening *o, const struct vault_escrow *io,
	const struct found *found, const struct escrow_place *place, struct bytes private_key)
{
	CLEANUP(arena_release) struct arena arena;
	const struct secret *vkey = key_find(o->book->escrow, place->version_key, o->drill);
	struct escrow_name name = {o->book->opts.network, o->book->opts.node, place->number,
		place->version, {{0}}, found->manifest.recovery_key};
	struct escrow_outer outer;
	struct escrow_chunk chunk;
	struct buf plain;
	enum err err;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	buf_init(&plain, LIMIT_ESCROW_CHUNK);
	if (vkey == NULL)
		return ERR_NOTFOUND;
	memcpy(name.version_key.b, place->version_key, ESCROW_ID_SIZE);
	err = chunk_read(o->book, io, found, place, &arena, &chunk);
	if (err == OK)
		err = escrow_open_outer(
			&name, secret_bytes(vkey), chunk.nonce, chunk.sealed, &plain, &outer);
	if (err == OK)
		err = escrow_open_inner(&name, private_key, &outer, take_key, o);
	buf_release(&plain);
	return err == ERR_NOTFOUND ? ERR_CORRUPT : err; /* its entry is not here */
}

static bool chunk_at_fault(enum err err)
{
	return err == ERR_CORRUPT || err == ERR_MALFORMED || err == ERR_UNTRUSTED ||
	       err == ERR_DECRYPT || err == ERR_VERSION || err == ERR_INVALID || err == ERR_LIMIT;
}

static enum err open_all(struct opening *o, const struct vault_escrow *io,
	const struct found *found, struct bytes private_key)
{
	for (size_t i = 0; i < found->manifest.chunk_count; i++) {
		enum err err = chunk_open(o, io, found, &found->manifest.chunks[i], private_key);

		if (err == ERR_NOTFOUND)
			o->missing++;
		else if (err == OK)
			o->opened++;
		else if (chunk_at_fault(err))
			o->bad++;
		else
			return err;
	}
	return items_put(o);
}

static enum err fits(const struct found *found, struct bytes private_key, struct errctx *ctx)
{
	char have[2 * RECOVERY_SET_SIZE + 1], need[sizeof(have)];
	struct recovery_set set;
	struct x25519_public public;

	TRY(x25519_public(private_key, &public));
	if (memcmp(public.b, found->manifest.recovery_key.b, X25519_KEY_SIZE) == 0)
		return OK;
	recovery_set_of(&public, &set);
	hex_encode(BYTES_ARRAY(set.b), have);
	recovery_set_of(&found->manifest.recovery_key, &set);
	hex_encode(BYTES_ARRAY(set.b), need);
	return err_set(ctx, ERR_UNTRUSTED,
		"the shares are of set %s, the escrow is sealed to set %s: the shares were made "
		"anew "
		"since",
		have, need);
}

/* Whoever was a custodian may hold it, and the letter that brought it was sealed to a prekey of
 * then: one of the last. */
static enum err holders_fill(
	const struct vault_escrow *io, const struct found *found, struct escrow_vkey *vkey)
{
	for (size_t i = 0; i < found->manifest.custodian_count; i++) {
		struct escrow_holder *holder = &vkey->holders[vkey->holder_count];

		for (size_t k = 0; k < io->node_count; k++) {
			const struct vault_custodian *node = &io->nodes[k];
			uint64_t last = node->prekey.number, first = last > 16 ? last - 15 : 1;

			if (strcmp(node->node, found->manifest.custodians[i]) != 0)
				continue;
			snprintf(holder->node, sizeof(holder->node), "%s", node->node);
			sha256(BYTES_ARRAY(node->key.b), &holder->node_key);
			for (uint64_t n = first; n <= last; n++)
				TRY(erasure_prekeys_add(&holder->prekeys, n));
			vkey->holder_count++;
		}
	}
	return OK;
}

static uint32_t number_of(const struct found *found, const uint8_t *id)
{
	for (size_t i = 0; i < found->manifest.chunk_count; i++)
		if (memcmp(found->manifest.chunks[i].version_key, id, ESCROW_ID_SIZE) == 0)
			return found->manifest.chunks[i].number;
	return 0; /* of a manifest of before */
}

/* Marks what the chunks of one of its own logs are sealed under. */
static enum err mark_used(
	struct book *book, const struct vault_escrow *io, const struct log_head *head, bool *used)
{
	struct escrow *escrow = book->escrow;

	for (uint64_t i = 0; i < head->size; i++) {
		CLEANUP(arena_release) struct arena arena;
		struct escrow_chunk chunk;
		enum err err;

		arena_init(&arena, LIMIT_ARENA_SIZE);
		TRY(book_go_on(book));
		buf_clear(&book->entry);
		err = store_entry(book->opts.store, &head->origin, i, &book->entry, NULL);
		if (err == ERR_NOMEM)
			return err;
		if (err != OK || !escrow_chunk_looks_like(buf_bytes(&book->entry)))
			continue;
		err = ERR_UNTRUSTED;
		for (size_t s = 0; s < io->signer_count && err == ERR_UNTRUSTED; s++)
			err = escrow_chunk_read(
				buf_bytes(&book->entry), &io->signers[s], &arena, &chunk, NULL);
		if (err == ERR_NOMEM || err == ERR_CRYPTO)
			return err;
		for (size_t a = 0; err == OK && a < escrow->answer_count; a++)
			if (memcmp(escrow->answers[a].key.id, chunk.version_key, ESCROW_ID_SIZE) ==
				0)
				used[a] = true;
	}
	return OK;
}

/* Anybody may send version keys. Under those that no chunk names nothing was ever sealed: whoever
 * kept them would name them in every erasure, and one order names only so many. */
static enum err answers_used(struct book *book, const struct vault_escrow *io,
	const struct found *found, bool *used, struct errctx *ctx)
{
	const struct escrow *escrow = book->escrow;
	struct log_head *heads = NULL;
	size_t count = 0, others = 0;
	enum err err = OK;

	for (size_t i = 0; i < escrow->answer_count; i++) {
		used[i] = number_of(found, escrow->answers[i].key.id) != 0;
		others += !used[i];
	}
	if (others == 0)
		return OK;
	TRY(store_heads(book->opts.store, &heads, &count, ctx));
	for (size_t i = 0; i < count; i++) {
		if (err == OK && own_log(book, &heads[i].origin))
			err = mark_used(book, io, &heads[i], used);
		log_head_release(&heads[i]);
	}
	mem_free(heads);
	return err;
}

/* Version keys that came back: an erasure must be able to name them, wherever they still are. */
static enum err keep_used(struct book *book, const struct vault_escrow *io,
	const struct found *found, const bool *used, uint64_t now_s, struct errctx *ctx)
{
	struct escrow *escrow = book->escrow;

	for (size_t i = 0; i < escrow->answer_count; i++) {
		const struct version_key *answer = &escrow->answers[i].key;
		struct escrow_vkey *vkey;

		if (!used[i] || escrow_vkey_find(escrow, answer->id) != NULL)
			continue;
		TRY(escrow_vkey_add(escrow, &vkey));
		memcpy(vkey->id.b, answer->id, ESCROW_ID_SIZE);
		vkey->number = number_of(found, answer->id);
		vkey->made_at = now_s;
		vkey->retired = true;
		TRY(secret_copy(&vkey->key, secret_bytes(&answer->key)));
		TRY(holders_fill(io, found, vkey));
		TRY(escrow_rows_put(book, &vkey, 1, false, ctx));
	}
	return OK;
}

static enum err keep_answers(struct book *book, const struct vault_escrow *io,
	const struct found *found, uint64_t now_s, struct errctx *ctx)
{
	bool *used = mem_array(book->escrow->answer_count + 1, sizeof(*used));
	enum err err = used == NULL ? ERR_NOMEM : answers_used(book, io, found, used, ctx);

	if (err == OK)
		err = keep_used(book, io, found, used, now_s, ctx);
	mem_free(used);
	return err;
}

/* The same recovery key goes on, in this machine's own log. */
static enum err go_on(struct book *book, const struct found *found, struct errctx *ctx)
{
	struct escrow *escrow = book->escrow;

	if (escrow->sequence < found->manifest.sequence)
		escrow->sequence = found->manifest.sequence;
	if (escrow->set)
		return escrow_rows_put(book, NULL, 0, true, ctx);
	return setup_key(book, &found->manifest.recovery_key, ctx);
}

static enum err run_answer(struct book *book, struct vault_request *request,
	const struct found *found, const struct opening *o)
{
	struct vault_doc **last = &request->docs;

	buf_put_u8(&book->json, '{');
	put_found(book, found, o->drill, &book->json);
	buf_printf(&book->json,
		",\"opened\":%zu,\"unreadable\":%zu,\"read\":%llu,\"known\":%llu,\"erased\":%llu,"
		"\"added\":%llu,\"drill\":%s",
		o->opened, o->bad, (unsigned long long)o->keys, (unsigned long long)o->known,
		(unsigned long long)o->erased, (unsigned long long)o->added,
		o->drill ? "true" : "false");
	recover_put(book, &book->json);
	buf_put_str(&book->json, "}");
	request->added = o->added;
	return show_doc(book, &last);
}

enum err recover_run(struct book *book, struct vault_request *request)
{
	CLEANUP(arena_release) struct arena arena;
	struct bytes private_key = secret_bytes(&request->passphrase);
	const struct vault_escrow *io = request->escrow;
	struct opening *o = mem_zalloc(sizeof(*o));
	struct found found = {.index = 0};
	enum err err = o == NULL ? ERR_NOMEM : OK;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	if (err == OK) {
		o->book = book;
		o->drill = io->drill;
		o->ctx = &request->ctx;
		buf_init(&o->wrapped, PUT_ITEMS * WRAPPED_MAX);
		err = manifest_find(book, io, &arena, &found, &request->ctx);
	}
	if (err == OK)
		err = fits(&found, private_key, &request->ctx);
	if (err == OK)
		err = open_all(o, io, &found, private_key);
	if (err == OK && !o->drill)
		err = keep_answers(book, io, &found, request->now_s, &request->ctx);
	if (err == OK && !o->drill)
		err = go_on(book, &found, &request->ctx);
	if (err == OK)
		err = run_answer(book, request, &found, o);
	escrow_manifest_release(&found.manifest);
	if (o != NULL)
		buf_release(&o->wrapped);
	mem_free(o);
	return err;
}
