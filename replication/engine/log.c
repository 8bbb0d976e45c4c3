/*
 * The table of logs, and what is durable of each. A log of a node that the directory does not list
 * yet is kept as a name only, so that nothing is lost when the directory catches up; it is not
 * fetched until then.
 */
#include "replication/engine/internal.h"

static size_t origin_slot(const struct engine *engine, struct bytes origin)
{
	uint64_t h = 14695981039346656037u;

	for (size_t i = 0; i < origin.size; i++)
		h = (h ^ origin.data[i]) * 1099511628211u;
	return (size_t)(h % engine->index_size);
}

struct elog *log_find(const struct engine *engine, struct bytes origin)
{
	if (engine->index_size == 0)
		return NULL;
	for (size_t slot = origin_slot(engine, origin); engine->index[slot] != 0;
		slot = (slot + 1) % engine->index_size) {
		struct elog *log = engine->logs[engine->index[slot] - 1];

		if (bytes_equal_str(origin, log->origin.text))
			return log;
	}
	return NULL;
}

static void index_put(struct engine *engine, const struct elog *log)
{
	size_t slot = origin_slot(engine, bytes_str(log->origin.text));

	while (engine->index[slot] != 0)
		slot = (slot + 1) % engine->index_size;
	engine->index[slot] = log->position + 1;
}

static bool table_grow(struct engine *engine)
{
	size_t capacity = engine->log_capacity == 0 ? 16 : 2 * engine->log_capacity;
	struct elog **logs = mem_resize(engine->logs, capacity * sizeof(*logs));

	if (logs == NULL)
		return false;
	engine->logs = logs;
	size_t *index = mem_array(2 * capacity, sizeof(*index));

	if (index == NULL)
		return false;
	mem_free(engine->index);
	engine->index = index;
	engine->index_size = 2 * capacity;
	engine->log_capacity = capacity;
	for (size_t i = 0; i < engine->log_count; i++)
		index_put(engine, engine->logs[i]);
	return true;
}

static struct elog *log_make(struct engine *engine, const struct origin *origin, struct bytes node)
{
	if (engine->log_count == engine->log_capacity && !table_grow(engine)) {
		engine->nomem = true;
		return NULL;
	}
	struct elog *log = mem_zalloc(sizeof(*log));

	if (log == NULL) {
		engine->nomem = true;
		return NULL;
	}
	log->origin = *origin;
	memcpy(log->node, node.data, node.size);
	log->position = engine->log_count;
	compact_init(&log->stored);
	compact_init(&log->head);
	buf_init(&log->note, LIMIT_NOTE_SIZE);
	buf_init(&log->pin_note, LIMIT_NOTE_SIZE);
	log->queue_end = &log->queue;
	if (strcmp(origin->text, engine->opts.directory.text) == 0) {
		log->directory = true;
		log->own = engine->opts.directory_own;
		log->key_known = log_note_key(origin, &engine->opts.directory_key, &log->key) == OK;
	} else {
		log->own = strcmp(log->node, engine->node) == 0;
	}
	engine->logs[engine->log_count++] = log;
	index_put(engine, log);
	return log;
}

/* Epochs count against their node once they are proven. A peer that invents origins of somebody
 * else's name uses up its own quota of unproven ones, not the other's. */
static bool may_make(const struct engine *engine, const struct origin_parts *parts,
	struct bytes origin, const char *shown_by)
{
	size_t proven = 0, unproven = 0;

	if (bytes_equal_str(origin, engine->opts.directory.text))
		return true;
	if (!bytes_equal_str(parts->network, engine->network) ||
		bytes_equal_str(parts->node, "directory") || engine->log_count >= LIMIT_LOGS)
		return false;
	for (size_t i = 0; i < engine->log_count; i++) {
		const struct elog *log = engine->logs[i];

		if (log->head.size == 0 && !log->own)
			unproven += strcmp(log->shown_by, shown_by) == 0;
		else
			proven += bytes_equal_str(parts->node, log->node);
	}
	return proven < LIMIT_EPOCHS_PER_NODE && unproven < LIMIT_UNPROVEN_PER_PEER;
}

struct elog *log_get(struct engine *engine, struct bytes text, const char *shown_by)
{
	struct elog *log = log_find(engine, text);
	struct origin origin;
	struct origin_parts parts;

	if (log != NULL)
		return log;
	if (origin_parse(text, &origin, &parts) != OK || !may_make(engine, &parts, text, shown_by))
		return NULL;
	log = log_make(engine, &origin, parts.node);
	if (log != NULL)
		memcpy(log->shown_by, shown_by, strlen(shown_by));
	return log;
}

void log_free(struct elog *log)
{
	if (log == NULL)
		return;
	for (size_t i = 0; i < log->cosigned_count; i++)
		buf_release(&log->cosigned[i].line);
	mem_free(log->cosigned);
	buf_release(&log->note);
	buf_release(&log->pin_note);
	entries_unref(log->commit.entries);
	for (struct append *list = log->queue; list != NULL;) {
		struct append *next = list->next;

		entries_unref(list->entries);
		mem_free(list);
		list = next;
	}
	for (struct append *list = log->commit.appends; list != NULL;) {
		struct append *next = list->next;

		entries_unref(list->entries);
		mem_free(list);
		list = next;
	}
	mem_free(log);
}

enum err log_learn_key(struct engine *engine, struct bytes entry, struct elog *log, bool check,
	struct note_key *ret, struct errctx *ctx)
{
	struct arena arena;
	struct log_opened opened;
	const struct ed25519_public *node = NULL;

	if (check) {
		const struct member *member =
			directory_find(engine->directory, bytes_str(log->node));

		if (member == NULL || !member->active)
			return err_set(
				ctx, ERR_UNTRUSTED, "'%s' is not in the directory", log->node);
		node = &member->node;
	}
	arena_init(&arena, LIMIT_ARENA_SIZE);
	enum err err = log_opened_read(entry, node, &arena, &opened, ctx);

	if (err == OK && strcmp(opened.origin, log->origin.text) != 0)
		err = err_set(ctx, ERR_UNTRUSTED, "its LogOpened names another origin");
	if (err == OK)
		err = log_note_key(&log->origin, &opened.log_key, ret);
	arena_release(&arena);
	return err;
}

static void log_set_checkpoint(struct elog *log, const struct checkpoint *checkpoint)
{
	log->has_checkpoint = true;
	log->checkpoint = *checkpoint;
	log_remember_root(log, checkpoint);
}

enum err log_load(struct engine *engine, const struct log_head *head)
{
	struct elog *log = log_get(engine, bytes_str(head->origin.text), "");
	struct checkpoint checkpoint;

	if (log == NULL)
		return engine->nomem ? ERR_NOMEM : ERR_INVALID;
	log->size = head->size;
	log->stored = log->head = head->compact;
	if (!log->key_known && head->size > 0)
		log->key_known = log_learn_key(engine, buf_bytes(&head->first_entry), log, false,
					 &log->key, NULL) == OK;
	if (head->checkpoint.size == 0)
		return OK;
	TRY(checkpoint_peek(buf_bytes(&head->checkpoint), &checkpoint, NULL));
	buf_put(&log->note, buf_bytes(&head->checkpoint));
	log_set_checkpoint(log, &checkpoint);
	for (size_t i = 0; i < head->cosignature_count; i++) {
		const struct store_cosignature *c = &head->cosignatures[i];
		struct cursor cursor = cursor_make(buf_bytes(&c->line));
		struct hash root;

		cursor_copy(&cursor, root.b, HASH_SIZE);
		if (cursor.err != OK)
			continue;
		TRY(have_keep(engine, log, c->cosigner, c->size, &root, cursor.rest));
		have_cosigned_of(log, c->cosigner)->unsaved = false;
	}
	log->save_due_ms = 0;
	return log->note.err;
}

void log_remember_root(struct elog *log, const struct checkpoint *checkpoint)
{
	if (log_knows_root(log, checkpoint->size, &checkpoint->root))
		return;
	log->recent[log->recent_next] = (struct recent_root){checkpoint->size, checkpoint->root};
	log->recent_next = (log->recent_next + 1) % RECENT_ROOTS;
}

bool log_knows_root(const struct elog *log, uint64_t size, const struct hash *root)
{
	for (unsigned i = 0; i < RECENT_ROOTS; i++)
		if (log->recent[i].size == size && size != 0 &&
			hash_equal(&log->recent[i].root, root))
			return true;
	return false;
}

static void freeze(struct engine *engine, struct elog *log, const char *what, const char *by)
{
	if (log->frozen)
		return;
	log->frozen = true;
	effect_notice(engine, NOTICE_ALARM, "log '%s': %s, shown by '%s': it takes nothing new",
		log->origin.text, what, by);
	fetch_stop(engine, log, true);
	append_fail_all(engine, log, ERR_FORK);
}

bool log_agrees(
	struct engine *engine, struct elog *log, const struct checkpoint *shown, const char *by)
{
	for (unsigned i = 0; i < RECENT_ROOTS; i++) {
		if (log->recent[i].size != shown->size ||
			hash_equal(&log->recent[i].root, &shown->root))
			continue;
		freeze(engine, log, "two signed checkpoints of one size with different roots", by);
		return false;
	}
	/* Under way but signed counts: a commit's checkpoint is never sent before it is durable, so
	 * a larger one of our own was signed by somebody else with our key, or by our own past. */
	if (log->own && shown->size > log->size) {
		freeze(engine, log, "a checkpoint of our own beyond what we hold", by);
		return false;
	}
	return true;
}

static void directory_grew(struct engine *engine, const struct store_write *write)
{
	struct errctx ctx = {""};

	for (size_t i = 0; i < write->entries->count; i++) {
		enum err err = directory_apply(engine->directory, write->entries->entry[i]);

		if (err == ERR_NOMEM)
			engine->nomem = true;
		else if (err != OK)
			effect_notice(
				engine, NOTICE_WARNING, "directory: %s", err_message(&ctx, err));
	}
	log_members_changed(engine);
}

void log_members_changed(struct engine *engine)
{
	effect_add(engine, EFFECT_MEMBERS);
	for (struct session *s = engine->sessions, *next; s != NULL; s = next) {
		const struct member *member = directory_find(engine->directory, bytes_str(s->peer));

		next = s->next;
		if (s->state != SESSION_CLOSING && (member == NULL || !member->active))
			session_close(engine, s, NOTICE_WARNING,
				"the directory does not list it as active");
	}
	for (size_t i = 0; i < engine->log_count; i++)
		fetch_choose(engine, engine->logs[i]);
}

void log_grew(struct engine *engine, struct elog *log, const struct store_write *write)
{
	if (log->directory && write->entries != NULL)
		directory_grew(engine, write);
	if (write->checkpoint.size == 0)
		return;
	serve_grew(engine, log, write);
	have_changed(engine, log, true);
	have_cosign(engine, log);
}

/* A write of entries came back: what was proven is now durable, or must be asked for again. */
static void entries_written(
	struct engine *engine, struct elog *log, const struct store_write *write)
{
	struct checkpoint checkpoint;

	log->writing--;
	if (write->result != OK) {
		log->write_failed = true;
		effect_notice(engine, NOTICE_ALARM,
			"log '%s': cannot store entries from %llu on: %s", log->origin.text,
			(unsigned long long)write->first, err_text(write->result));
	} else {
		log->size = write->first + write->entries->count;
		for (size_t i = 0; i < write->entries->count; i++)
			compact_append(&log->stored, &write->entries->leaf[i]);
		if (write->checkpoint.size > 0 &&
			checkpoint_peek(buf_bytes(&write->checkpoint), &checkpoint, NULL) == OK) {
			buf_clear(&log->note);
			buf_put(&log->note, buf_bytes(&write->checkpoint));
			engine->nomem |= log->note.err != OK;
			log_set_checkpoint(log, &checkpoint);
		}
	}
	if (log->write_failed && log->writing == 0) {
		log->write_failed = false;
		log->head = log->stored;
		log->pinned = false;
		log->retry_ms = engine->now_ms + engine->opts.timing.retry_delay;
		fetch_stop(engine, log, true);
	}
	if (log->own)
		append_written(engine, log, write);
	if (write->result == OK) {
		log_grew(engine, log, write);
		fetch_written(engine, log, write);
	}
}

void log_written(struct engine *engine, struct store_write *write)
{
	struct elog *log = log_find(engine, bytes_str(write->origin.text));

	assert(log != NULL);
	if (write->entries != NULL) {
		entries_written(engine, log, write);
	} else if (write->cosigner[0] != '\0' && write->result != OK) {
		struct cosigned *c = have_cosigned_of(log, write->cosigner);

		if (c != NULL)
			c->unsaved = true;
		log->save_due_ms = engine->now_ms + engine->opts.timing.retry_delay;
	}
	store_write_free(write);
}
