/*
 * Logs of a revoked node, and those of a machine that another one has replaced (DESIGN 7). The
 * NodeRevoked or NodeReplaced lists the last checkpoint that counts of each of them; nothing beyond
 * is taken from anybody, nor anything of a log that it does not list; nor one that a former key
 * opened after its time. The machine that took the name fetches them like anybody's.
 *
 *   BEHIND   less than the last checkpoint is held: fetched from anybody, against that very
 *            checkpoint and no other
 *   ASKING   as much or more is held; is the last checkpoint one of that history?
 *   AT       it is: it is what is announced, served and cosigned from now on. Entries beyond stay
 *            on the disk and are shown to the operator, to nobody else
 *   OTHER    it is not, or the log is not listed: what is held stays on the disk; nothing of it is
 *            announced or served, since nobody could take it
 *
 * Whoever shows or sends more has not heard of the revocation yet, or holds more from before: it is
 * ignored, and nobody is blamed. At the node of that name itself nothing changes: it keeps its
 * records.
 */
#include "replication/engine/internal.h"

/* Nothing of it is announced, served or cosigned. */
static void hide(struct engine *engine, struct elog *log)
{
	log->has_checkpoint = false;
	log->checkpoint = (struct checkpoint){.size = 0};
	buf_clear(&log->note);
	for (struct session *s = engine->sessions; s != NULL; s = s->next) {
		if (log->position >= s->log_count)
			continue;
		s->logs[log->position].serving = false;
		s->logs[log->position].told_size = 0;
	}
}

static bool last_note(const struct elog *log, struct buf *out)
{
	struct checkpoint opened;

	buf_init(out, LIMIT_NOTE_SIZE);
	checkpoint_format(out, &log->last);
	buf_put_str(out, "\n");
	return note_line_write(out, &log->key, BYTES_ARRAY(log->last_signature.b)) == OK &&
	       checkpoint_open(buf_bytes(out), &log->key, &opened, NULL, NULL) == OK;
}

/* The last checkpoint is one of the history held here. */
static void cut_at(struct engine *engine, struct elog *log)
{
	struct buf note;

	if (!last_note(log, &note)) {
		effect_notice(engine, NOTICE_WARNING,
			"log '%s': the checkpoint that the directory lists is not signed by its "
			"key",
			log->origin.text);
		log->cut = CUT_OTHER;
	} else {
		log->cut = CUT_AT;
		buf_put(&log->note, buf_bytes(&note));
		engine->nomem |= log->note.err != OK;
		log_set_checkpoint(log, &log->last);
		have_grew(engine);
		cosigned_make(engine, log);
	}
	buf_release(&note);
}

static void cut_answer(struct engine *engine, struct elog *log, bool ours)
{
	if (ours) {
		cut_at(engine, log);
		return;
	}
	log->cut = CUT_OTHER;
	effect_notice(engine, NOTICE_ALARM,
		"log '%s': what is held here is not what the directory lists as its last: "
		"its author has signed two histories",
		log->origin.text);
}

void cut_update(struct engine *engine, struct elog *log)
{
	if (log->cut != CUT_BEHIND && log->cut != CUT_ASKING)
		return;
	if (log->size < log->last.size) {
		if (log->checkpoint.size > log->last.size)
			hide(engine, log);
		return;
	}
	if (log->cut == CUT_BEHIND) {
		hide(engine, log);
		log->cut = CUT_ASKING;
	}
	switch (root_look(log, log->last.size, &log->last.root)) {
	case ROOT_OURS:
		cut_answer(engine, log, true);
		break;
	case ROOT_OTHER:
		cut_answer(engine, log, false);
		break;
	case ROOT_UNKNOWN:
		root_ask(engine, log, log->last.size);
		break;
	case ROOT_AHEAD:
		break;
	}
}

void cut_proof(struct engine *engine, struct elog *log, const struct root_proof *proof)
{
	if (log->cut == CUT_ASKING && proof->size == log->last.size)
		cut_answer(engine, log, root_proves(proof, log->last.size, &log->last.root));
}

/* Of a node whose keys have changed: opened by a key that was no longer its own. */
static bool opened_late(const struct engine *engine, const struct elog *log)
{
	const struct member *member = directory_find(engine->directory, bytes_str(log->node));
	struct log_opened opened;
	struct arena arena;
	enum err err;

	if (member == NULL || member->former == NULL || log->opened.size == 0)
		return false;
	arena_init(&arena, LIMIT_ARENA_SIZE);
	err = log_opened_read(buf_bytes(&log->opened),
		directory_opener(engine->directory, log->origin.text), &arena, &opened, NULL);
	arena_release(&arena);
	return err == ERR_UNTRUSTED;
}

void cut_look(struct engine *engine, struct elog *log)
{
	const struct revoked_log *last;
	bool closed;

	if (log->cut != CUT_NONE || log->directory || log_is_ours(engine, log))
		return;
	last = directory_last(engine->directory, log->origin.text, &closed);
	if (last == NULL && !closed && !opened_late(engine, log))
		return;
	fetch_stop(engine, log, true);
	if (last == NULL) {
		hide(engine, log);
		log->cut = CUT_OTHER;
		return;
	}
	log->listed = true;
	log->cut = CUT_BEHIND;
	log->last =
		(struct checkpoint){.origin = log->origin, .size = last->size, .root = last->root};
	log->last_signature = last->signature;
	cut_update(engine, log);
}

void cut_members_changed(struct engine *engine)
{
	for (size_t i = 0; i < engine->log_count; i++)
		cut_look(engine, engine->logs[i]);
	for (size_t i = 0; i < engine->log_count; i++)
		cut_update(engine, engine->logs[i]);
}

bool cut_wants(const struct elog *log)
{
	return log->cut == CUT_BEHIND && log->head.size < log->last.size;
}

uint64_t cut_shown(const struct elog *log, const struct checkpoint *shown)
{
	return log->listed && checkpoint_equal(&log->last, shown) ? shown->size : 0;
}

bool cut_takes(const struct elog *log, const struct checkpoint *target)
{
	return log->cut == CUT_NONE || (log->listed && checkpoint_equal(&log->last, target));
}

void cut_tick(struct engine *engine)
{
	for (size_t i = 0; i < engine->log_count; i++)
		if (engine->logs[i]->cut == CUT_ASKING && engine->logs[i]->asking == 0)
			cut_update(engine, engine->logs[i]);
}
