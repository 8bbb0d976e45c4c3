/*
 * The newest prekey of each node. It stands in the node's own log, signed by its node key; what
 * becomes durable is looked at as it comes, and what was there before once, by a worker. How far
 * that got is kept with the mail, written down every minute: what was not is looked at again.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "base/text.h"
#include "proto/stored.pb-c.h"
#include "server/internal.h"
#include "server/log.h"
#include "server/mail.h"

enum { SCAN_ENTRIES = 4096, SCAN_FOUND = 16 };

/* ---- the index ---- */

const struct known_prekey *prekeys_of(const struct runtime *rt, const char *node)
{
	for (size_t i = 0; rt->mail != NULL && i < rt->mail->prekey_count; i++)
		if (strcmp(rt->mail->prekeys[i].node, node) == 0)
			return &rt->mail->prekeys[i];
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
		row->key.len != X25519_KEY_SIZE)
		return OK;
	known = prekey_get(rt->mail, row->node);
	known->prekey.number = row->number;
	known->prekey.made_at = row->made_at;
	memcpy(known->prekey.key.b, row->key.data, X25519_KEY_SIZE);
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
	codec_pack(&packed, &row);
	if (packed.err == OK)
		mail_note_put(rt, MAIL_NOTE_PREKEY, known->node, buf_bytes(&packed));
}

/* One of a newer log of the node counts also when it is the same. */
static void learn(struct runtime *rt, const char *origin, struct bytes entry)
{
	CLEANUP(arena_release) struct arena arena;
	char node[LIMIT_NODE_NAME + 1];
	const struct member *member;
	struct known_prekey *known;
	struct origin_parts parts;
	struct prekey prekey;

	arena_init(&arena, LIMIT_ARENA_SIZE);
	if (origin_parse(bytes_str(origin), NULL, &parts) != OK || parts.node.size >= sizeof(node))
		return;
	snprintf(node, sizeof(node), "%.*s", BYTES_FMT(parts.node));
	member = directory_find(engine_directory(rt->engine), bytes_str(node));
	if (member == NULL || prekey_read(entry, &member->node, &arena, &prekey, NULL) != OK)
		return;
	known = prekey_get(rt->mail, node);
	if (prekey.number < known->prekey.number ||
		(prekey.number == known->prekey.number && strcmp(origin, known->origin) <= 0))
		return;
	known->prekey = prekey;
	snprintf(known->origin, sizeof(known->origin), "%s", origin);
	log_line(LOG_DEBUG, "prekey %llu of '%s'", (unsigned long long)prekey.number, node);
	prekey_save(rt, known);
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
			learn(rt, write->origin.text, write->entries->entry[i]);
	scanned->size += write->entries->count;
	scanned->unsaved = true;
}

struct scan {
	uv_work_t work;
	struct runtime *rt;
	struct origin origin;
	uint64_t from, up_to; /* up_to: looked at up to there */
	struct buf found[SCAN_FOUND];
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
				learn(rt, scan->origin.text, buf_bytes(&scan->found[i]));
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

/* ---- the own one ---- */

static void on_published(void *arg, enum err error, uint64_t index)
{
	struct runtime *rt = arg;

	if (rt->mail != NULL)
		rt->mail->publishing = false;
	if (error != OK && error != ERR_CANCELED)
		log_line(LOG_WARNING, "the prekey could not be published: %s", err_text(error));
}

static void publish(struct runtime *rt)
{
	const struct known_prekey *known = prekeys_of(rt, rt->node);
	const struct vault_keys *keys = rt->keys;
	CLEANUP(buf_release) struct buf entry;
	struct entries *entries;
	struct engine_log log;
	size_t position;

	buf_init(&entry, LIMIT_ENTRY_SIZE);
	if (keys == NULL || keys->prekey.number == 0 || rt->mail->publishing || rt->opening ||
		!guard_state_writable(&rt->guard_state))
		return;
	if (known != NULL && known->prekey.number >= keys->prekey.number &&
		strcmp(known->origin, keys->log_origin) == 0)
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

void prekeys_chores(struct runtime *rt)
{
	if (rt->mail->scanning || scan_next(rt))
		return;
	publish(rt);
	scanned_save(rt);
}
