/*
 * Branches. Of a forked log the two histories that its first evidence names are kept as logs of
 * their own, up to the checkpoint that was signed for each, so that the author can get back through
 * any relay what it lost with a disk. A branch has a name (checkpoint.h); what it says is signed
 * for the log's origin.
 *
 *   ALIAS   the log that is held here begins with it: nothing is held twice, it is served from
 * there else    it is fetched from whoever shows it, proven against that one checkpoint and no
 * other
 *
 * Nothing of a branch is cosigned, and no peer can name one that evidence has not named.
 */
#include "replication/engine/internal.h"
#include "replication/log/evidence.h"

static const struct origin *base_origin(const struct engine *engine, const struct elog *log)
{
	return log->branch ? &engine->logs[log->base]->origin : &log->origin;
}

const char *branch_notes_origin(const struct engine *engine, const struct elog *log)
{
	return base_origin(engine, log)->text;
}

const struct origin *branch_stored(const struct engine *engine, const struct elog *log)
{
	return log->alias ? base_origin(engine, log) : &log->origin;
}

/* The log held here begins with it. */
static void branch_alias(struct engine *engine, struct elog *log)
{
	log->alias = true;
	log->settled = true;
	log->size = log->head.size = log->end.size;
	log->has_checkpoint = true;
	log->checkpoint = log->end;
	buf_clear(&log->note);
	buf_put(&log->note, buf_bytes(&log->end_note));
	engine->nomem |= log->note.err != OK;
	have_grew(engine);
}

static void branch_answer(struct engine *engine, struct elog *log, bool ours)
{
	log->settled = true;
	if (ours)
		branch_alias(engine, log);
	else
		fetch_choose(engine, log);
}

/* Is it what the log begins with? */
static void branch_settle(struct engine *engine, struct elog *log)
{
	struct elog *base = engine->logs[log->base];

	if (log->settled || !engine->started)
		return;
	if (log->size > 0) { /* some of it is held already */
		branch_answer(engine, log, false);
		return;
	}
	switch (root_look(base, log->end.size, &log->end.root)) {
	case ROOT_OURS:
		branch_answer(engine, log, true);
		break;
	case ROOT_OTHER:
	case ROOT_AHEAD:
		branch_answer(engine, log, false);
		break;
	case ROOT_UNKNOWN:
		root_ask(engine, base, log->end.size);
		break;
	}
}

void branch_proof(struct engine *engine, const struct elog *base, const struct root_proof *proof)
{
	for (size_t i = 0; i < engine->log_count; i++) {
		struct elog *log = engine->logs[i];

		if (!log->branch || log->settled || log->base != base->position)
			continue;
		if (proof != NULL && proof->size == log->end.size)
			branch_answer(
				engine, log, root_proves(proof, log->end.size, &log->end.root));
		else
			branch_settle(engine, log);
	}
}

void branch_tick(struct engine *engine)
{
	for (size_t i = 0; i < engine->log_count; i++)
		if (engine->logs[i]->branch && !engine->logs[i]->settled)
			branch_settle(engine, engine->logs[i]);
}

static void branch_make(struct engine *engine, const struct elog *base,
	const struct checkpoint *end, struct bytes note)
{
	struct origin name;
	struct elog *log;

	if (end->size == 0) /* evidence of two keys */
		return;
	branch_name(end, &name);
	if (log_find(engine, bytes_str(name.text)) != NULL || engine->log_count >= LIMIT_LOGS)
		return;
	log = log_make(engine, &name, bytes_str(base->node));
	if (log == NULL)
		return;
	log->own = false;
	log->branch = true;
	log->base = base->position;
	log->end = *end;
	log->key = base->key;
	log->key_known = base->key_known;
	buf_put(&log->end_note, note);
	engine->nomem |= log->end_note.err != OK;
	branch_settle(engine, log);
}

void branch_found(struct engine *engine, const struct elog *base, const struct evidence *evidence)
{
	branch_make(engine, base, &evidence->smaller, evidence->smaller_note);
	branch_make(engine, base, &evidence->larger, evidence->larger_note);
}
