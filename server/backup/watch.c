#include "server/backup/internal.h"

enum err watch_poll(const struct backup_watch *watch, struct errctx *ctx)
{
	if (watch->stop != NULL && __atomic_load_n(watch->stop, __ATOMIC_RELAXED))
		return err_set(ctx, ERR_CANCELED, "stopped before it was complete");
	return OK;
}

void watch_tell(const struct backup_watch *watch, const char *step, uint64_t done, uint64_t total)
{
	struct backup_progress progress = {step, done, total};

	if (watch->progress != NULL)
		watch->progress(watch->arg, &progress);
}
