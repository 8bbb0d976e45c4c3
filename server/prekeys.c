/*
 * The newest prekey of each node. It stands in the node's own log, signed by its node key; what
 * becomes durable is looked at as it comes, and what was there before once, by a worker. How far
 * that got is kept with the mail, written down every minute: what was not is looked at again. Where
 * mail could not be opened its recipient names its newest in the signed end.
 *
 * One counts only under the node key that signed it: when a node gets another key, as when its
 * machine is replaced, what is known of it is forgotten and its logs are looked at once more.
 *
 * Of this node: publishing the newest, and having the vault do what is due (certs/prekeys.h).
 */
#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "proto/stored.pb-c.h"
#include "server/internal.h"
#include "server/keys/erasing.h"
#include "server/keys/grants.h"
#include "server/log.h"
#include "server/mail.h"

enum {
	SCAN_ENTRIES = 4096,
	SCAN_FOUND = 16,
	SETTLE_RETRY_MS = 60 * 1000,
	TIME_LOOK_MS = 60 * 1000
};

/* ---- the index ---- */

static void signer_hash(const struct ed25519_public *key, struct hash *ret)
{
	sha256(BYTES_ARRAY(key->b), ret);
}

/* Is it signed by the key that the node has now? */
static bool is_current(const struct runtime *rt, const struct known_prekey *known)
{
	const struct member *member =
		directory_find(engine_directory(rt->engine), bytes_str(known->node));
	struct hash signer;

	if (member == NULL)
		return false;
	signer_hash(&member->node, &signer);
	return hash_equal(&known->signer, &signer);
}

const struct known_prekey *prekeys_of(const struct runtime *rt, const char *node)
{
	for (size_t i = 0; rt->mail != NULL && i < rt->mail->prekey_count; i++) {
		const struct known_prekey *known = &rt->mail->prekeys[i];

		if (strcmp(known->node, node) == 0)
			return known->prekey.number != 0 && is_current(rt, known) ? known : NULL;
	}
	return NULL;
}

static struct known_prekey *prekey_get(struct mail *mail, const char *node)
{
	struct known_prekey *known;

	for (size_t i = 0; i < mail->prekey_count; i++)
		if (strcmp(mail->prekeys[i].node, node) == 0)
			return &mail->prekeys[i];
	if (!mail_room((void **)&mail->prekeys, mail->prekey_count, &mail->prekey_capacity,
		    sizeof(*mail->prekeys)))
		runtime_out_of_memory();
	known = &mail->prekeys[mail->prekey_count++];
	*known = (struct known_prekey){.prekey = {.number = 0}};
	snprintf(known->node, sizeof(known->node), "%s", node);
	return known;
}

enum err prekeys_load(struct runtime *rt, struct bytes name, struct bytes value)
{
	CLEANUP(arena_release) struct arena arena;
	struct known_prekey *known;
	Sauti__KnownPrekey *row;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	if (CODEC_UNPACK(known_prekey, value, &scan_limits_default, &arena, &row, NULL) != OK ||
		!bytes_equal_str(name, row->node) || !node_name_valid(name) ||
		row->key.len != X25519_KEY_SIZE || row->signer.len != HASH_SIZE)
		return OK; /* also of before the signer was kept: its logs are looked at again */
	known = prekey_get(rt->mail, row->node);
	known->prekey.number = row->number;
	known->prekey.made_at = row->made_at;
	known->index = row->index;
	memcpy(known->prekey.key.b, row->key.data, X25519_KEY_SIZE);
	memcpy(known->signer.b, row->signer.data, HASH_SIZE);
	snprintf(known->origin, sizeof(known->origin), "%s", row->origin);
	return OK;
}

static void prekey_save(struct runtime *rt, const struct known_prekey *known)
{
	CLEANUP(buf_release) struct buf packed;
	Sauti__KnownPrekey row = SAUTI__KNOWN_PREKEY__INIT;

	buf_init(&packed, MAIL_NOTE_VALUE_MAX);
	row.node = (char *)known->node;
	row.number = known->prekey.number;
	row.key = codec_binary(BYTES_ARRAY(known->prekey.key.b));
	row.made_at = known->prekey.made_at;
	row.origin = (char *)known->origin;
	row.index = known->index;
	row.signer = codec_binary(hash_bytes(&known->signer));
	codec_pack(&packed, &row);
	if (packed.err == OK)
		mail_note_put(rt, MAIL_NOTE_PREKEY, known->node, buf_bytes(&packed));
}

/* One of a newer log of the node counts also when it is the same. */
static bool is_newer(
	const struct known_prekey *known, const struct prekey *prekey, const char *origin)
{
	return prekey->number > known->prekey.number ||
	       (prekey->number == known->prekey.number && strcmp(origin, known->origin) > 0);
}

/* Its signature was checked with the member's key. */
static void take(struct runtime *rt, const struct member *member, const struct prekey *prekey,
	const char *origin, uint64_t index)
{
	struct known_prekey *known = prekey_get(rt->mail, member->name);

	if (!is_current(rt, known))
		known->prekey.number = 0;
	else if (!is_newer(known, prekey, origin))
		return;
	known->prekey = *prekey;
	known->index = index;
	signer_hash(&member->node, &known->signer);
	snprintf(known->origin, sizeof(known->origin), "%s", origin);
	log_line(
		LOG_DEBUG, "prekey %llu of '%s'", (unsigned long long)prekey->number, member->name);
	prekey_save(rt, known);
	grants_kick(rt);
}

static void learn(struct runtime *rt, const char *origin, uint64_t index, struct bytes entry)
{
	CLEANUP(arena_release) struct arena arena;
	const struct member *member;
	struct origin_parts parts;
	struct prekey prekey;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	if (origin_parse(bytes_str(origin), NULL, &parts) != OK)
		return;
	member = directory_find(engine_directory(rt->engine), parts.node);
	if (member != NULL && prekey_read(entry, &member->node, &arena, &prekey, NULL) == OK)
		take(rt, member, &prekey, origin, index);
}

void prekeys_told(struct runtime *rt, const char *node, const struct prekey *prekey)
{
	const struct member *member = directory_find(engine_directory(rt->engine), bytes_str(node));

	if (member != NULL && prekey->number != 0)
		take(rt, member, prekey, "", 0);
}

/* ---- what is looked at ---- */

static struct scanned *scanned_get(struct mail *mail, const char *origin)
{
	struct scanned *scanned;

	for (size_t i = 0; i < mail->scanned_count; i++)
		if (strcmp(mail->scanned[i].origin, origin) == 0)
			return &mail->scanned[i];
	if (!mail_room((void **)&mail->scanned, mail->scanned_count, &mail->scanned_capacity,
		    sizeof(*mail->scanned)))
		runtime_out_of_memory();
	scanned = &mail->scanned[mail->scanned_count++];
	*scanned = (struct scanned){.size = 0};
	snprintf(scanned->origin, sizeof(scanned->origin), "%s", origin);
	return scanned;
}

enum err prekeys_load_scanned(struct runtime *rt, struct bytes name, struct bytes value)
{
	char origin[LIMIT_LOG_NAME + 1];

	if (name.size > LIMIT_LOG_NAME || value.size != 8)
		return OK;
	snprintf(origin, sizeof(origin), "%.*s", BYTES_FMT(name));
	scanned_get(rt->mail, origin)->size = get_u64be(value.data);
	return OK;
}

void prekeys_written(struct runtime *rt, const struct store_write *write)
{
	struct scanned *scanned;

	if (rt->mail == NULL || rt->mail->store == NULL || write->result != OK ||
		write->entries == NULL || write->entries->count == 0)
		return;
	scanned = scanned_get(rt->mail, write->origin.text);
	if (scanned->size != write->first)
		return; /* the worker comes by */
	for (size_t i = 0; i < write->entries->count; i++)
		if (prekey_looks_like(write->entries->entry[i]))
			learn(rt, write->origin.text, write->first + i, write->entries->entry[i]);
	scanned->size += write->entries->count;
	scanned->unsaved = true;
}

struct scan {
	uv_work_t work;
	struct runtime *rt;
	struct origin origin;
	uint64_t from, up_to; /* up_to: looked at up to there */
	struct buf found[SCAN_FOUND];
	uint64_t found_at[SCAN_FOUND];
	size_t count;
	enum err result;
};

/* Only what looks like a prekey is carried back; who signs hundreds of them in a row is asked for
 * the last ones. */
static void scan_run(uv_work_t *work)
{
	struct scan *scan = work->data;
	CLEANUP(buf_release) struct buf entry;

	buf_init(&entry, LIMIT_ENTRY_SIZE + 1);
	for (uint64_t i = scan->from; i < scan->up_to; i++) {
		struct buf *place = &scan->found[scan->count % SCAN_FOUND];
		enum err err;

		buf_clear(&entry);
		err = store_entry(scan->rt->store, &scan->origin, i, &entry, NULL);
		if (err != OK && err != ERR_CORRUPT) {
			scan->result = err;
			return;
		}
		if (err != OK || !prekey_looks_like(buf_bytes(&entry)))
			continue;
		buf_clear(place);
		buf_put(place, buf_bytes(&entry));
		scan->found_at[scan->count % SCAN_FOUND] = i;
		scan->count++;
	}
}

static void scan_done(uv_work_t *work, int status)
{
	struct scan *scan = work->data;
	struct runtime *rt = scan->rt;

	rt->mail->scanning = false;
	if (status == 0 && scan->result == OK && !rt->stopping) {
		struct scanned *scanned = scanned_get(rt->mail, scan->origin.text);

		for (size_t i = 0; i < SCAN_FOUND; i++)
			if (scan->found[i].size > 0)
				learn(rt, scan->origin.text, scan->found_at[i],
					buf_bytes(&scan->found[i]));
		if (scanned->size < scan->up_to) {
			scanned->size = scan->up_to;
			scanned->unsaved = true;
		}
		mail_wake(rt); /* the next */
	}
	for (size_t i = 0; i < SCAN_FOUND; i++)
		buf_release(&scan->found[i]);
	mem_free(scan);
}

static void scan_start(struct runtime *rt, const struct engine_log *log, uint64_t from)
{
	struct scan *scan = mem_zalloc(sizeof(*scan));

	if (scan == NULL)
		runtime_out_of_memory();
	scan->work.data = scan;
	scan->rt = rt;
	scan->origin = log->origin;
	scan->from = from;
	scan->up_to = log->size - from < SCAN_ENTRIES ? log->size : from + SCAN_ENTRIES;
	for (size_t i = 0; i < SCAN_FOUND; i++)
		buf_init(&scan->found[i], LIMIT_ENTRY_SIZE);
	rt->mail->scanning = true;
	if (uv_queue_work(&rt->loop, &scan->work, scan_run, scan_done) != 0) {
		rt->mail->scanning = false;
		mem_free(scan);
	}
}

/* False: everything was looked at. */
static bool scan_next(struct runtime *rt)
{
	for (size_t i = 0; i < engine_log_count(rt->engine); i++) {
		struct engine_log log;
		struct scanned *scanned;

		engine_log_at(rt->engine, i, &log);
		if (log.size == 0)
			continue;
		scanned = scanned_get(rt->mail, log.origin.text);
		if (scanned->size < log.size) {
			scan_start(rt, &log, scanned->size);
			return true;
		}
	}
	return false;
}

/* .. of that node; once more from the beginning. */
static void scan_again(struct runtime *rt, const char *node)
{
	for (size_t i = 0; i < rt->mail->scanned_count; i++) {
		struct scanned *scanned = &rt->mail->scanned[i];
		struct origin_parts parts;

		if (origin_parse(bytes_str(scanned->origin), NULL, &parts) != OK ||
			!bytes_equal_str(parts.node, node))
			continue;
		scanned->size = 0;
		scanned->unsaved = true;
	}
}

/* Under which key each member's logs were looked at: entries that only its new key signed may have
 * come before the directory said so. */
static void members_look(struct runtime *rt)
{
	const struct directory *directory = engine_directory(rt->engine);
	const struct member *member;

	if (rt->mail->members_looked == directory_size(directory))
		return;
	rt->mail->members_looked = directory_size(directory);
	for (size_t i = 0; (member = directory_at(directory, i)) != NULL; i++) {
		struct known_prekey *known = prekey_get(rt->mail, member->name);

		if (is_current(rt, known))
			continue;
		scan_again(rt, member->name);
		known->prekey = (struct prekey){.number = 0};
		known->origin[0] = '\0';
		signer_hash(&member->node, &known->signer);
		prekey_save(rt, known);
	}
}

static void scanned_save(struct runtime *rt)
{
	for (size_t i = 0; i < rt->mail->scanned_count; i++) {
		struct scanned *scanned = &rt->mail->scanned[i];
		uint8_t size[8];

		if (!scanned->unsaved)
			continue;
		put_u64be(size, scanned->size);
		scanned->unsaved = false;
		mail_note_put(rt, MAIL_NOTE_SCANNED, scanned->origin, BYTES_ARRAY(size));
	}
}

/* ---- the node's time ---- */

/* What others signed goes on while we run, whoever it was. */
static void signed_look(struct mail *mail, const struct engine *engine, uint64_t now_ms)
{
	uint64_t signed_s = engine_signed_time(engine);

	mail->looked_ms = now_ms;
	if (signed_s <= mail->signed_s)
		return;
	mail->signed_s = signed_s;
	mail->signed_ms = now_ms;
}

uint64_t prekeys_now(const struct runtime *rt)
{
	uint64_t now_ms = uv_now(&rt->loop), wall_s = runtime_wall_s(), signed_s;
	struct mail *mail = rt->mail;

	if (mail->looked_ms == 0 || now_ms - mail->looked_ms >= TIME_LOOK_MS)
		signed_look(mail, rt->engine, now_ms);
	signed_s = mail->signed_s == 0 ? 0 : mail->signed_s + (now_ms - mail->signed_ms) / 1000;
	return signed_s > wall_s ? signed_s : wall_s;
}

/* ---- the own ones ---- */

static void on_published(void *arg, enum err error, uint64_t index)
{
	struct runtime *rt = arg;

	if (rt->mail != NULL)
		rt->mail->publishing = false;
	if (error != OK && error != ERR_CANCELED)
		log_line(LOG_WARNING, "the prekey could not be published: %s", err_text(error));
}

static bool is_published(const struct runtime *rt, const struct vault_keys *keys)
{
	const struct known_prekey *known = prekeys_of(rt, rt->node);

	if (known == NULL || known->prekey.number < keys->prekey.number)
		return false;
	/* A larger one, or another: the vault makes one behind it. */
	return known->prekey.number > keys->prekey.number ||
	       strcmp(known->origin, keys->log_origin) == 0 ||
	       !bytes_equal(BYTES_ARRAY(known->prekey.key.b), BYTES_ARRAY(keys->prekey.key.b));
}

static void publish(struct runtime *rt)
{
	const struct vault_keys *keys = rt->keys;
	CLEANUP(buf_release) struct buf entry;
	struct entries *entries;
	struct engine_log log;
	size_t position;

	buf_init(&entry, LIMIT_ENTRY_SIZE);
	if (keys == NULL || keys->prekey.number == 0 || rt->mail->publishing ||
		rt->mail->settling || rt->opening || !guard_state_writable(&rt->guard_state) ||
		is_published(rt, keys))
		return;
	if (!engine_log_find(rt->engine, bytes_str(keys->log_origin), &log, &position) ||
		!log.open || log.size == 0)
		return;
	struct bytes list;
	enum err err = prekey_write(&entry, &keys->prekey, keys->node);

	list = buf_bytes(&entry);
	if (err == OK)
		err = entries_make(&list, 1, &entries);
	if (err != OK)
		return;
	rt->mail->publishing = true;
	runtime_append(rt, keys->log_origin, entries, on_published, rt);
}

/* The newest of this node whose record a mirror that counts holds; 0: none. */
static uint64_t acknowledged(const struct runtime *rt)
{
	const struct known_prekey *known = prekeys_of(rt, rt->node);
	struct engine_log log;
	size_t position;

	if (known == NULL || known->origin[0] == '\0' ||
		!engine_log_find(rt->engine, bytes_str(known->origin), &log, &position) ||
		engine_holders_at(rt->engine, position, known->index) == 0)
		return 0;
	return known->prekey.number;
}

/* Whose older ones could be retired now. */
void prekeys_peer_holds(struct runtime *rt)
{
	const struct prekey_table *table;

	if (rt->keys == NULL || rt->mail == NULL)
		return;
	table = &rt->keys->prekeys;
	if (table->count > 1 && table->list[table->count - 2].retired_at == 0)
		mail_wake(rt);
}

bool prekeys_held(const struct runtime *rt)
{
	return rt->keys != NULL && rt->keys->prekey.number != 0 &&
	       acknowledged(rt) >= rt->keys->prekey.number;
}

static struct prekey_look look_of(struct runtime *rt)
{
	const struct known_prekey *known = prekeys_of(rt, rt->node);
	struct prekey_look look = {.now_s = prekeys_now(rt),
		.acknowledged = acknowledged(rt),
		.published = known == NULL ? 0 : known->prekey.number,
		.wanted = rt->mail->prekey_wanted};

	signer_hash(signer_public(rt->keys->node), &look.signer);
	if (known != NULL && known->prekey.number == rt->keys->prekey.number)
		look.published_other = !bytes_equal(
			BYTES_ARRAY(known->prekey.key.b), BYTES_ARRAY(rt->keys->prekey.key.b));
	return look;
}

struct prekey_step prekeys_due(struct runtime *rt)
{
	struct prekey_table table = rt->keys->prekeys;
	struct prekey_look look = look_of(rt);

	return prekeys_step(&table, &look);
}

static void settle(struct runtime *rt)
{
	const struct known_prekey *known = prekeys_of(rt, rt->node);
	struct prekey_step step;
	struct vault_request *ask;

	if (rt->keys == NULL || rt->mail->settling || uv_now(&rt->loop) < rt->mail->settle_ms)
		return;
	step = prekeys_due(rt);
	if (!step.changed && !step.make)
		return;
	ask = vault_request_new(VAULT_PREKEYS, NULL);
	if (ask == NULL || (ask->prekeys = mem_zalloc(sizeof(*ask->prekeys))) == NULL)
		runtime_out_of_memory();
	ask->prekeys->now_s = prekeys_now(rt);
	ask->prekeys->acknowledged = acknowledged(rt);
	ask->prekeys->wanted = rt->mail->prekey_wanted;
	if (known != NULL)
		ask->prekeys->published = known->prekey;
	rt->mail->settling = true;
	rt->mail->prekey_wanted = false;
	vault_submit(rt->vault, ask);
}

/* The private half of a prekey was destroyed: what was sealed to it opens nowhere any more. */
static void gone(struct runtime *rt, const struct prekey_state *state)
{
	log_line(LOG_INFO, "prekey %llu is destroyed", (unsigned long long)state->number);
	erasing_wake(rt); /* receipts may say so now */
}

static void tell_gone(
	struct runtime *rt, const struct prekey_table *before, const struct prekey_table *after)
{
	uint64_t at;

	for (size_t i = 0; i < after->count; i++)
		if (after->list[i].gone_at != 0 &&
			prekeys_fate(before, after->list[i].number, &at) == PREKEY_KEPT)
			gone(rt, &after->list[i]);
}

void prekeys_settled(struct runtime *rt, struct vault_request *done)
{
	const struct vault_prekeys *answer = done->prekeys;
	struct prekey_table before;

	rt->mail->settling = false;
	if (done->result != OK) {
		rt->mail->prekey_wanted |= answer->wanted;
		rt->mail->settle_ms = uv_now(&rt->loop) + SETTLE_RETRY_MS;
		if (done->result != ERR_LOCKED && done->result != ERR_CANCELED)
			log_line(LOG_ALARM, "prekeys stay as they are, and are tried again: %s",
				err_message(&done->ctx, done->result));
		return;
	}
	if (rt->keys == NULL)
		return;
	before = rt->keys->prekeys;
	if (answer->newest.number != rt->keys->prekey.number)
		log_line(
			LOG_INFO, "prekey %llu is made", (unsigned long long)answer->newest.number);
	rt->keys->prekey = answer->newest;
	rt->keys->prekeys = answer->table;
	tell_gone(rt, &before, &answer->table);
	mail_wake(rt); /* to be published */
}

void prekeys_after_erase(struct runtime *rt)
{
	if (rt->mail == NULL)
		return;
	rt->mail->prekey_wanted = true;
	mail_wake(rt);
}

void prekeys_chores(struct runtime *rt)
{
	members_look(rt);
	if (rt->mail->scanning || scan_next(rt))
		return;
	settle(rt);
	publish(rt);
	scanned_save(rt);
}
