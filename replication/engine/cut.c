/*
 * Logs of a revoked node (DESIGN 7). Its NodeRevoked lists the last checkpoint that counts of each
 * of its logs; nothing beyond is taken from anybody, nor anything of a log that it does not list.
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
 * ignored, and nobody is blamed. At the revoked node itself nothing changes: it keeps its records.
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

static const struct revoked_log *listed(const struct revocation *revocation, const struct elog *log)
{
	for (size_t i = 0; i < revocation->log_count; i++)
		if (strcmp(revocation->logs[i].origin, log->origin.text) == 0)
			return &revocation->logs[i];
	return NULL;
}

void cut_look(struct engine *engine, struct elog *log)
{
	const struct revocation *revocation;
	const struct revoked_log *last;

	if (log->cut != CUT_NONE || log->directory || log_is_ours(engine, log))
		return;
	revocation = directory_revocation(engine->directory, bytes_str(log->node));
	if (revocation == NULL)
		return;
	fetch_stop(engine, log, true);
	last = listed(revocation, log);
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
