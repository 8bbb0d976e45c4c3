/*
 * Two peers bring what does not prove against what is held here, at the same place: it may be what
 * is held here. Before the second is blamed the own log is read from the disk and hashed again
 * (EFFECT_VERIFY). When it is damaged nobody was at fault; nothing more of the log is taken until
 * it was repaired.
 */
#include <stdio.h>

#include "replication/engine/internal.h"

/* One log at a time, and not without end: two that lie together would keep the disk busy, and
 * nobody be served. Meanwhile the second is blamed like the first. */
enum { PAUSE_MS = 10 * 60 * 1000 };

bool recheck_blames(struct engine *engine, struct elog *log, const char *peer)
{
	struct effect *effect;

	if (log->rechecking || log->spoilt)
		return false;
	if (log->failed_at != log->head.size || log->failed_by[0] == '\0') {
		log->failed_at = log->head.size;
		log->rechecked = false;
		snprintf(log->failed_by, sizeof(log->failed_by), "%s", peer);
		return true;
	}
	if (log->rechecked || log->size == 0 || strcmp(log->failed_by, peer) == 0 ||
		engine->now_ms < engine->recheck_ms)
		return true;
	effect = effect_add(engine, EFFECT_VERIFY);
	if (effect == NULL)
		return true;
	effect->origin = log->origin;
	log->rechecking = true;
	engine->recheck_ms = UINT64_MAX;
	effect_notice(engine, NOTICE_WARNING,
		"log '%s': neither '%s' nor '%s' has what follows entry %llu here: what is held "
		"here is read again",
		log->origin.text, log->failed_by, peer, (unsigned long long)log->head.size);
	fetch_stop(engine, log, true);
	return false;
}

void recheck_done(struct engine *engine, const struct event *event)
{
	struct elog *log = log_find(engine, bytes_str(event->origin->text));

	if (log == NULL || !log->rechecking)
		return;
	log->rechecking = false;
	log->rechecked = true;
	engine->recheck_ms = engine->now_ms + PAUSE_MS;
	log->spoilt = event->error == ERR_CORRUPT;
	if (log->spoilt)
		effect_notice(engine, NOTICE_ALARM,
			"log '%s': what is held here is damaged: nothing more of it is taken "
			"until it is repaired",
			log->origin.text);
	fetch_choose(engine, log);
}
