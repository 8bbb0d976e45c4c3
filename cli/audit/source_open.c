#include "cli/audit/source_open.h"

/* The last takes whatever nobody else does, and says what is wrong with it. */
static const struct source_kind *const kinds[] = {
	&source_kind_node,
	&source_kind_http,
	&source_kind_bundle,
	&source_kind_files,
	NULL,
};

enum err source_open(
	const struct cli *cli, const char *text, struct source *ret, struct errctx *ctx)
{
	struct source source = {.close = NULL};
	size_t i = 0;

	while (kinds[i + 1] != NULL && !kinds[i]->is(text))
		i++;
	TRY(kinds[i]->open(cli, text, &source, ctx));
	*ret = source;
	return OK;
}

void source_close(struct source *source)
{
	if (source->close != NULL)
		source->close(source->files.arg);
	source->close = NULL;
}
