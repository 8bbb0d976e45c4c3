/*
 * The table of logs, and what is durable of each. A log of a node that the directory does not list
 * yet is kept as a name only, so that nothing is lost when the directory catches up; it is not
 * fetched until then.
 */
#include <stdio.h>

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

static void index_all(struct engine *engine)
{
	memset(engine->index, 0, engine->index_size * sizeof(*engine->index));
	for (size_t i = 0; i < engine->log_count; i++)
		index_put(engine, engine->logs[i]);
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
	index_all(engine);
	return true;
}

static void log_init(struct engine *engine, struct elog *log, const struct origin *origin,
	struct bytes node, size_t position)
{
	*log = (struct elog){.origin = *origin, .position = position};
	memcpy(log->node, node.data, node.size);
	compact_init(&log->stored);
	compact_init(&log->head);
	buf_init(&log->note, LIMIT_NOTE_SIZE);
	buf_init(&log->pin_note, LIMIT_NOTE_SIZE);
	buf_init(&log->opened, LIMIT_LOG_OPENED);
	buf_init(&log->seen_note, LIMIT_NOTE_SIZE);
	buf_init(&log->end_note, LIMIT_NOTE_SIZE);
	witness_init(log);
	log->queue_end = &log->queue;
	if (strcmp(origin->text, engine->opts.directory.text) == 0) {
		log->directory = true;
		log->own = engine->opts.directory_own;
		log->key_known = log_note_key(origin, &engine->opts.directory_key, &log->key) == OK;
	} else {
		log->own = strcmp(log->node, engine->node) == 0 &&
			   (engine->opts.own == OWN_ANY ||
				   (engine->opts.own == OWN_LOG &&
					   strcmp(engine->opts.own_log.text, origin->text) == 0));
	}
}

bool log_is_ours(const struct engine *engine, const struct elog *log)
{
	return log->own || strcmp(log->node, engine->node) == 0;
}

/* The author's own word was the only reason against what others show: now it is a log to fetch. */
static void log_disown(struct engine *engine, struct elog *log)
{
	log->own = log->open = false;
	if (log->beyond && !log->proven)
		log->frozen = log->beyond = false;
	append_fail_all(engine, log, ERR_STALE);
	fetch_choose(engine, log);
}

void log_own(struct engine *engine, struct bytes origin)
{
	struct elog *log = log_get(engine, origin);

	if (log == NULL)
		return;
	if (log->directory) {
		engine->opts.directory_own = true;
	} else {
		engine->opts.own = OWN_LOG;
		engine->opts.own_log = log->origin;
	}
	fetch_stop(engine, log, true);
	log->own = true;
	for (size_t i = 0; i < engine->log_count && !log->directory; i++) {
		struct elog *other = engine->logs[i];

		if (other != log && !other->directory && strcmp(other->node, engine->node) == 0)
			log_disown(engine, other);
	}
}

struct elog *log_make(struct engine *engine, const struct origin *origin, struct bytes node)
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
	log_init(engine, log, origin, node, engine->log_count);
	engine->logs[engine->log_count++] = log;
	index_put(engine, log);
	cut_look(engine, log);
	return log;
}

static void log_release(struct elog *log)
{
	cosigned_release(log);
	witness_release(log);
	mem_free(log->marks);
	buf_release(&log->note);
	buf_release(&log->pin_note);
	buf_release(&log->opened);
	buf_release(&log->seen_note);
	buf_release(&log->end_note);
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
}

void log_free(struct elog *log)
{
	if (log == NULL)
		return;
	log_release(log);
	mem_free(log);
}

struct elog *log_get(struct engine *engine, struct bytes text)
{
	struct elog *log = log_find(engine, text);
	struct origin origin;
	struct origin_parts parts;

	if (log != NULL)
		return log;
	if (origin_parse(text, &origin, &parts) != OK ||
		!bytes_equal_str(parts.network, engine->network) ||
		(bytes_equal_str(parts.node, "directory") &&
			!bytes_equal_str(text, engine->opts.directory.text)))
		return NULL;
	return log_make(engine, &origin, parts.node);
}

/*
 * Origins on a peer's word. Nothing of such a log is proven until its LogOpened has come, so any
 * peer can name as many as it likes, of any node. They have room as long as there is room; then the
 * places of unproven logs are shared out evenly among those who vouch for them, and the author's
 * own word goes before everybody else's. So nobody keeps a real log out by inventing others.
 */
static bool is_unproven(const struct elog *log)
{
	return !log->own && !log->directory && !log->key_known && log->head.size == 0;
}

static bool by_author(const struct elog *log, const struct session *session)
{
	return strcmp(log->node, session->peer) == 0;
}

/* Counts in session->sponsored the unproven logs of each; node "": of all nodes. */
static void count_sponsored(struct engine *engine, struct bytes node)
{
	for (struct session *s = engine->sessions; s != NULL; s = s->next)
		s->sponsored = 0;
	if (engine->import != NULL)
		engine->import->session.sponsored = 0;
	for (size_t i = 0; i < engine->log_count; i++) {
		const struct elog *log = engine->logs[i];

		if (is_unproven(log) && log->sponsor != NULL &&
			(node.size == 0 || bytes_equal_str(node, log->node)))
			log->sponsor->sponsored++;
	}
}

/* An unproven log that must make room for one more of `session`; NULL: none. */
static struct elog *log_victim(
	struct engine *engine, const struct session *session, struct bytes node, bool author)
{
	struct elog *victim = NULL;

	count_sponsored(engine, node);
	for (size_t i = 0; i < engine->log_count; i++) {
		struct elog *log = engine->logs[i];

		if (!is_unproven(log) || (node.size > 0 && !bytes_equal_str(node, log->node)))
			continue;
		if (log->sponsor == NULL)
			return log;
		if (log->sponsor == session || by_author(log, log->sponsor) ||
			(!author && log->sponsor->sponsored <= session->sponsored + 1))
			continue;
		if (victim == NULL || log->sponsor->sponsored > victim->sponsor->sponsored)
			victim = log;
	}
	return victim;
}

static void session_forget(struct session *s, size_t position)
{
	if (position >= s->log_count)
		return;
	peer_log_release(&s->logs[position]);
	peer_log_init(&s->logs[position]);
}

/* The place of a log that was never proven becomes another's. */
static void log_replace(
	struct engine *engine, struct elog *log, const struct origin *origin, struct bytes node)
{
	fetch_stop(engine, log, true);
	for (struct session *s = engine->sessions; s != NULL; s = s->next)
		session_forget(s, log->position);
	if (engine->import != NULL)
		session_forget(&engine->import->session, log->position);
	lag_forget(engine, log);
	log_release(log);
	log_init(engine, log, origin, node, log->position);
	index_all(engine);
	cut_look(engine, log);
}

static struct elog *log_make_heard(struct engine *engine, const struct session *session,
	const struct origin *origin, struct bytes node)
{
	bool author = bytes_equal_str(node, session->peer);
	size_t epochs = 0;

	for (size_t i = 0; i < engine->log_count; i++)
		epochs += bytes_equal_str(node, engine->logs[i]->node);
	if (epochs < LIMIT_EPOCHS_PER_NODE && engine->log_count < LIMIT_LOGS)
		return log_make(engine, origin, node);
	struct elog *victim = log_victim(
		engine, session, epochs < LIMIT_EPOCHS_PER_NODE ? BYTES_NONE : node, author);

	if (victim != NULL)
		log_replace(engine, victim, origin, node);
	return victim;
}

static void log_sponsored_by(struct engine *engine, struct elog *log, struct session *session)
{
	if (!is_unproven(log) || log->sponsor == session)
		return;
	if (log->sponsor != NULL && !by_author(log, session)) {
		if (by_author(log, log->sponsor))
			return;
		/* The word of the one who says less is worth more. */
		count_sponsored(engine, BYTES_NONE);
		if (log->sponsor->sponsored <= session->sponsored + 1)
			return;
	}
	log->sponsor = session;
}

struct elog *log_heard(struct engine *engine, struct session *session, struct bytes text)
{
	struct elog *log = log_find(engine, text);
	struct origin origin;
	struct origin_parts parts;

	if (log == NULL &&
		(origin_parse(text, &origin, &parts) != OK ||
			!bytes_equal_str(parts.network, engine->network) ||
			(bytes_equal_str(parts.node, engine->node) && engine->opts.own == OWN_ANY)))
		return NULL;
	if (log == NULL && bytes_equal_str(parts.node, "directory"))
		return log_get(engine, text);
	if (log == NULL)
		log = log_make_heard(engine, session, &origin, parts.node);
	if (log != NULL)
		log_sponsored_by(engine, log, session);
	return log;
}

void log_sponsor_gone(struct engine *engine, struct elog *log, const struct session *session)
{
	if (log->sponsor != session)
		return;
	log->sponsor = NULL;
	for (struct session *s = engine->sessions; s != NULL; s = s->next)
		if (s->state == SESSION_ACTIVE && log->position < s->log_count &&
			s->logs[log->position].have_size > 0 &&
			(log->sponsor == NULL || by_author(log, s)))
			log->sponsor = s;
}

enum err log_learn_key(struct engine *engine, struct bytes entry, struct elog *log, bool check,
	struct note_key *ret, struct errctx *ctx)
{
	struct arena arena;
	struct log_opened opened;
	const struct ed25519_public *node = NULL;

	/* It stands in evidence, which must stay small enough for everybody. */
	if (entry.size > LIMIT_LOG_OPENED)
		return err_set(ctx, ERR_LIMIT, "its LogOpened has %zu bytes", entry.size);
	if (check) {
		const struct member *member =
			directory_find(engine->directory, bytes_str(log->node));

		if (member == NULL || (!member->active && !log->listed))
			return err_set(
				ctx, ERR_UNTRUSTED, "'%s' is not in the directory", log->node);
		node = directory_opener(engine->directory, log->origin.text);
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

void log_set_checkpoint(struct elog *log, const struct checkpoint *checkpoint)
{
	log->has_checkpoint = true;
	log->checkpoint = *checkpoint;
	log_remember_root(log, checkpoint, true);
	if (log->seen.size <= checkpoint->size)
		log->seen.size = 0;
	if (log->pin.size <= checkpoint->size)
		log->tailed = false;
}

/* The directory's key needs none. */
void log_keep_opened(struct engine *engine, struct elog *log, struct bytes entry)
{
	if (log->directory || entry.size == 0 || entry.size > LIMIT_LOG_OPENED)
		return;
	buf_clear(&log->opened);
	buf_put(&log->opened, entry);
	engine->nomem |= log->opened.err != OK;
}

/* Of a stored note what is given out: the log's own line, and no other that stands beside it. */
static enum err load_note(const struct elog *log, struct bytes note, struct buf *out)
{
	enum err err =
		log->key_known ? checkpoint_strip(note, &log->key, out, NULL) : ERR_UNTRUSTED;

	if (err == ERR_NOMEM)
		return err;
	if (err != OK) {
		buf_clear(out);
		buf_put(out, note);
	}
	return out->err;
}

/* Whose word entries behind the checkpoint are. */
static enum err log_load_pin(struct elog *log, struct bytes note)
{
	if (note.size == 0 || checkpoint_peek(note, &log->pin, NULL) != OK ||
		log->pin.size < log->size || log->size == log->checkpoint.size)
		return OK;
	log->tailed = true;
	return load_note(log, note, &log->pin_note);
}

enum err log_load(struct engine *engine, const struct log_head *head)
{
	struct elog *log = log_get(engine, bytes_str(head->origin.text));
	struct checkpoint checkpoint;
	struct note_key key;

	if (log == NULL)
		return engine->nomem ? ERR_NOMEM : ERR_INVALID;
	log->size = head->size;
	log->stored = log->head = head->compact;
	/* What is held goes before what evidence says: they may bear two keys. */
	if (!log->directory && head->size > 0 &&
		log_learn_key(engine, buf_bytes(&head->first_entry), log, false, &key, NULL) ==
			OK) {
		log->key = key;
		log->key_known = true;
	}
	log_keep_opened(engine, log, buf_bytes(&head->first_entry));
	witness_load(engine, log, head);
	if (head->checkpoint.size == 0)
		return log_load_pin(log, buf_bytes(&head->pin));
	TRY(checkpoint_peek(buf_bytes(&head->checkpoint), &checkpoint, NULL));
	TRY(load_note(log, buf_bytes(&head->checkpoint), &log->note));
	log_set_checkpoint(log, &checkpoint);
	TRY(log_load_pin(log, buf_bytes(&head->pin)));
	for (size_t i = 0; i < head->cosignature_count; i++)
		cosigned_load(engine, log, &head->cosignatures[i]);
	return log->note.err;
}

/* The smallest makes room: whoever shows old ones displaces no new one. */
void log_remember_root(struct elog *log, const struct checkpoint *checkpoint, bool proven)
{
	unsigned least = 0;

	for (unsigned i = 0; i < RECENT_ROOTS; i++) {
		if (log->recent[i].size == checkpoint->size &&
			hash_equal(&log->recent[i].root, &checkpoint->root)) {
			log->recent[i].proven |= proven;
			return;
		}
		if (log->recent[i].size < log->recent[least].size)
			least = i;
	}
	log->recent[least] = (struct recent_root){checkpoint->size, checkpoint->root, proven};
}

bool log_has_root(const struct elog *log, uint64_t size, const struct hash *root)
{
	for (unsigned i = 0; i < RECENT_ROOTS; i++)
		if (log->recent[i].proven && log->recent[i].size == size &&
			hash_equal(&log->recent[i].root, root))
			return true;
	return false;
}

bool log_knows_root(const struct elog *log, uint64_t size, const struct hash *root)
{
	for (unsigned i = 0; i < RECENT_ROOTS; i++)
		if (log->recent[i].size == size && size != 0 &&
			hash_equal(&log->recent[i].root, root))
			return true;
	return false;
}

static void tell_forked(struct engine *engine, const struct elog *log, const char *what,
	const char *by, bool proven)
{
	struct effect *effect = effect_add(engine, EFFECT_FORKED);

	if (effect == NULL)
		return;
	effect->origin = log->origin;
	effect->proven = proven;
	snprintf(effect->peer, sizeof(effect->peer), "%s", by);
	snprintf(effect->text, sizeof(effect->text), "%s, shown by '%s'", what, by);
}

static void freeze(
	struct engine *engine, struct elog *log, const char *what, const char *by, bool proven)
{
	bool first = !log->frozen || (proven && !log->proven);

	if (!first)
		return;
	log->frozen = true;
	log->proven = proven;
	effect_notice(engine, NOTICE_ALARM, "log '%s': %s, shown by '%s': it takes nothing new",
		log->origin.text, what, by);
	/* A copy of this node is at work, or its disk was put back: what its witness signed there
	 * is not known here. */
	engine->opts.witness_lost |= log->own && engine->started;
	if (log->own || (proven && log_is_ours(engine, log)))
		tell_forked(engine, log, what, by, proven);
	fetch_stop(engine, log, true);
	append_fail_all(engine, log, ERR_FORK);
}

void log_forked(struct engine *engine, struct elog *log, const char *by)
{
	log->beyond = false;
	freeze(engine, log, "two signed checkpoints, different roots", by, true);
}

static bool contradicts(uint64_t size, const struct hash *root, const struct checkpoint *shown)
{
	return size == shown->size && size > 0 && !hash_equal(root, &shown->root);
}

/* Of one size: true when there is evidence now. */
static bool contradicted(struct engine *engine, struct elog *log, const struct checkpoint *shown,
	struct bytes note, const char *by)
{
	const struct buf *ours = NULL;

	if (log->has_checkpoint && contradicts(log->checkpoint.size, &log->checkpoint.root, shown))
		ours = &log->note;
	else if ((log->pinned || log->tailed) && contradicts(log->pin.size, &log->pin.root, shown))
		ours = &log->pin_note;
	else if (contradicts(log->seen.size, &log->seen.root, shown))
		ours = &log->seen_note;
	else if (log->witness.note.size > 0 &&
		 contradicts(log->witness.is.size, &log->witness.is.root, shown))
		ours = &log->witness.note;
	if (ours == NULL)
		return false;
	if (note.size > 0)
		evidence_equal(engine, log, buf_bytes(ours), note, by);
	return true;
}

bool log_agrees(struct engine *engine, struct elog *log, const struct checkpoint *shown,
	struct bytes note, const char *by)
{
	static const char both[] = "two signed checkpoints of one size with different roots";
	bool fork;

	if (log->branch) /* it has one checkpoint */
		return true;
	fork = contradicted(engine, log, shown, note, by);

	/* Smaller ones are for the own tree to judge, with a proof. */
	for (unsigned i = 0; i < RECENT_ROOTS; i++)
		fork |= shown->size > log->checkpoint.size &&
			contradicts(log->recent[i].size, &log->recent[i].root, shown);
	if (fork) {
		freeze(engine, log, both, by, false);
		return false;
	}
	/* Under way but signed counts: a commit's checkpoint is never sent before it is durable, so
	 * a larger one of our own was signed by somebody else with our key, or by our own past. */
	if (log->own && shown->size > log->size) {
		log->beyond = !log->frozen;
		freeze(engine, log, "a checkpoint of our own beyond what we hold", by, false);
		return false;
	}
	if (!log->own && shown->size > log->checkpoint.size && shown->size > log->seen.size &&
		note.size > 0 && log->key_known) {
		log->seen = *shown;
		buf_clear(&log->seen_note);
		(void)!checkpoint_strip(note, &log->key, &log->seen_note, NULL);
		engine->nomem |= log->seen_note.err != OK;
	}
	return true;
}

static void directory_grew(struct engine *engine, const struct store_write *write)
{
	struct errctx ctx = {""};

	for (size_t i = 0; i < write->entries->count; i++) {
		uint64_t odd = directory_odd(engine->directory, NULL);
		enum err err = directory_apply(engine->directory, write->entries->entry[i]);

		if (err == OK)
			guest_self(engine, write->entries->entry[i], odd);
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
	mail_members_changed(engine);
	cut_members_changed(engine);
	cosigned_members_changed(engine);
	for (struct session *s = engine->sessions, *next; s != NULL; s = next) {
		const struct member *member = directory_find(engine->directory, bytes_str(s->peer));

		next = s->next;
		if (s->state == SESSION_CLOSING || s->guest)
			continue;
		if (member == NULL || !member->active)
			session_close(engine, s, NOTICE_WARNING,
				"the directory does not list it as active");
		else if (member->keys_index != s->keys_index)
			session_close(engine, s, NOTICE_WARNING,
				"the directory lists it with other keys");
	}
	guest_members_changed(engine);
	for (size_t i = 0; i < engine->log_count; i++)
		fetch_choose(engine, engine->logs[i]);
}

void log_grew(struct engine *engine, struct elog *log, const struct store_write *write)
{
	if (log->directory && write->entries != NULL)
		directory_grew(engine, write);
	if (write->checkpoint.size == 0)
		return;
	evidence_grew(engine, log);
	lag_grew(engine, log);
	serve_grew(engine, log, write);
	have_grew(engine);
	cosigned_make(engine, log);
}

/* The disk's or the machine's trouble may be over at the next try, and the store says itself what
 * is the matter; writes behind one that failed fail because of it. The rest is the log's own. */
static enum notice failure_level(const struct elog *log, enum err err)
{
	if (log->write_failed)
		return NOTICE_DEBUG;
	if (err == ERR_FULL || err == ERR_IO || err == ERR_DENIED || err == ERR_NOMEM)
		return NOTICE_WARNING;
	return NOTICE_ALARM;
}

/* A write of entries came back: what was proven is now durable, or must be asked for again. */
static void entries_written(
	struct engine *engine, struct elog *log, const struct store_write *write)
{
	struct checkpoint checkpoint;

	log->writing--;
	if (write->witness.size > 0)
		witness_written(engine, log, write);
	if (write->first >= log->stream_from && log->unwritten > 0)
		log->unwritten--;
	if (write->result != OK) {
		effect_notice(engine, failure_level(log, write->result),
			"log '%s': cannot store entries from %llu on: %s", log->origin.text,
			(unsigned long long)write->first, err_text(write->result));
		log->write_failed = true;
	} else {
		log->size = write->first + write->entries->count;
		if (write->first == 0)
			log_keep_opened(engine, log, write->entries->entry[0]);
		for (size_t i = 0; i < write->entries->count; i++)
			compact_append(&log->stored, &write->entries->leaf[i]);
		if (write->checkpoint.size > 0 &&
			checkpoint_peek(buf_bytes(&write->checkpoint), &checkpoint, NULL) == OK) {
			buf_clear(&log->note);
			buf_put(&log->note, buf_bytes(&write->checkpoint));
			engine->nomem |= log->note.err != OK;
			log_set_checkpoint(log, &checkpoint);
		}
		cut_update(engine, log);
		cosigned_settle(engine, log);
	}
	if (log->write_failed && log->writing == 0) {
		log->write_failed = false;
		log->head = log->stored;
		log->pinned = false;
		/* The newest pin was proven to begin with all that is held. */
		log->tailed = log->size > log->checkpoint.size && log->pin.size >= log->size;
		log->retry_ms = engine->now_ms + engine->opts.timing.retry_delay;
		fetch_stop(engine, log, true);
	}
	if (log->own && log->commit.state == COMMIT_WRITING)
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
	if (write->evidence.size > 0) {
		evidence_written(engine, write);
	} else if (write->dispute.size > 0) {
		dispute_written(engine, write);
	} else if (write->heal) {
		refetch_written(engine, log, write);
		import_written(engine, log, write);
	} else if (write->entries != NULL) {
		entries_written(engine, log, write);
		import_written(engine, log, write);
	} else if (write->cosigner[0] != '\0') {
		cosigned_written(engine, log, write);
	} else if (write->witness.size > 0) {
		witness_written(engine, log, write);
		witness_look(engine, log);
	}
	store_write_free(write);
}
