#include "tests/power/guard.h"

#include <stdio.h>

enum err power_guard_begin(struct power_guard *guard, struct bench *bench,
	const char *node_directory, struct errctx *ctx)
{
	struct guard_opts opts = {.network = NETWORK, .node = NODE, .directory = ""};
	enum guard_verdict verdict = GUARD_OTHER;
	struct guard_record record;
	char path[300];

	*guard = (struct power_guard){.guard = NULL};
	snprintf(path, sizeof(path), "%.280s.guard", node_directory);
	opts.path = path;
	TRY(guard_open(&opts, &guard->guard, ctx));
	if (guard_get(guard->guard, &record)) {
		guard->commit = record.commit;
		guard->size = record.log_count > 0 ? record.logs[0].size : 0;
	}
	TRY(guard_check(guard->guard, bench->store, &verdict, &guard->why, ctx));
	guard->verdict = guard_verdict_name(verdict);
	bench_writer(bench, guard->guard);
	return OK;
}

void power_guard_end(struct power_guard *guard)
{
	guard_close(guard->guard);
}
