/*
 * How much of one author is taken in a day: a node that floods its logs fills the disks of nobody
 * but itself. What counts are the bytes of entries of its logs, of all epochs together, that were
 * proven and written here since the first of them; a day after that one it begins anew, as it does
 * with a restart. Over the cap its logs are not fetched; what is held stays and is served, and the
 * logs of others go on. The directory, and what comes back of one's own, have no cap.
 */
#include <stdio.h>

#include "replication/engine/internal.h"

enum { DAY_MS = 24 * 60 * 60 * 1000 };

static bool is_counted(const struct engine *engine, const struct elog *log)
{
	return engine->opts.daily_bytes > 0 && !log->directory && !log_is_ours(engine, log);
}

/* NULL: nothing was taken of it yet. */
static struct quota *quota_of(const struct engine *engine, const char *node)
{
	for (size_t i = 0; i < engine->quota_count; i++)
		if (strcmp(engine->quotas[i].node, node) == 0)
			return &engine->quotas[i];
	return NULL;
}

static struct quota *quota_get(struct engine *engine, const char *node)
{
	struct quota *quota = quota_of(engine, node), *list;

	if (quota != NULL)
		return quota;
	list = mem_resize(engine->quotas, (engine->quota_count + 1) * sizeof(*list));
	if (list == NULL) {
		engine->nomem = true;
		return NULL;
	}
	engine->quotas = list;
	quota = &list[engine->quota_count++];
	*quota = (struct quota){.since_ms = engine->now_ms};
	snprintf(quota->node, sizeof(quota->node), "%s", node);
	return quota;
}

static bool is_over(const struct engine *engine, const struct quota *quota)
{
	return quota != NULL && quota->bytes >= engine->opts.daily_bytes &&
	       engine->now_ms - quota->since_ms < DAY_MS;
}

bool quota_refuses(const struct engine *engine, const struct elog *log)
{
	return is_counted(engine, log) && is_over(engine, quota_of(engine, log->node));
}

uint64_t quota_due(const struct engine *engine, const struct elog *log)
{
	return quota_of(engine, log->node)->since_ms + DAY_MS;
}

void quota_took(struct engine *engine, const struct elog *log, size_t bytes)
{
	struct quota *quota = is_counted(engine, log) ? quota_get(engine, log->node) : NULL;

	if (quota == NULL)
		return;
	if (engine->now_ms - quota->since_ms >= DAY_MS)
		*quota = (struct quota){.since_ms = engine->now_ms};
	if (quota->node[0] == '\0')
		snprintf(quota->node, sizeof(quota->node), "%s", log->node);
	quota->bytes += bytes;
	if (!is_over(engine, quota))
		return;
	effect_notice(engine, NOTICE_WARNING,
		"more than %llu bytes of '%s' came within a day: nothing more of it is taken for "
		"%llu min",
		(unsigned long long)engine->opts.daily_bytes, log->node,
		(unsigned long long)((quota_due(engine, log) - engine->now_ms) / 60000));
	for (size_t i = 0; i < engine->log_count; i++)
		if (strcmp(engine->logs[i]->node, log->node) == 0 && !engine->logs[i]->directory)
			fetch_stop(engine, engine->logs[i], true);
}
