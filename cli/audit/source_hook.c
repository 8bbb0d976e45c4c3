/* What the source of an audit says of itself. */
#include "cli/audit/log.h"

static enum err tell_damage(void *arg, const char *text)
{
	const struct audit_tell tell = {.kind = FINDING_SOURCE_DAMAGED};

	return audit_tell(arg, &tell, "damaged: %.480s", text);
}

static enum err tell(struct audit_run *run, struct errctx *ctx)
{
	const struct audit_source *source = &run->source.files;

	return source->damage == NULL ? OK : source->damage(source->arg, tell_damage, run, ctx);
}

const struct audit_hook audit_source_hook = {.begin = tell};
